//! Who sees every change that becomes visible, and holds it against what was there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tranship_adapters::stores::memory::{Change, Object};
use tranship_core::policy::Overwrite;
use tranship_core::token;

use super::nature::Nature;
use super::{DESTINATION_PREFIX, FOREIGN, SOURCE_PREFIX};

/// Sees every visible change, and complains about those that must never be.
#[derive(Debug)]
pub struct Witness {
    nature: Nature,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What lay at each key of the source, by the rest of the key behind the prefix.
    generations: BTreeMap<String, Vec<Arc<Object>>>,
    /// Which of them we wrote last. A later one may be equal to it: every empty object is.
    lying: BTreeMap<String, usize>,
    pub(super) complaints: Vec<String>,
    /// Somebody else is writing at the destination.
    pub(super) is_stranger: bool,
}

pub(super) fn is_foreign(object: &Object) -> bool {
    object.attributes.content_type.as_deref() == Some(FOREIGN)
}

impl Witness {
    pub(super) fn new(nature: Nature) -> Self {
        Self { nature, seen: Mutex::default() }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn complaints(&self) -> Vec<String> {
        self.seen().complaints.clone()
    }

    pub(super) fn source_changed(&self, change: &Change<'_>) {
        let rest = change.key.as_str().strip_prefix(SOURCE_PREFIX).unwrap().to_owned();
        if let Some(after) = change.after {
            self.seen().generations.entry(rest).or_default().push(after.clone());
        }
    }

    pub(super) fn destination_changed(&self, change: &Change<'_>) {
        let mut seen = self.seen();
        if seen.is_stranger {
            return;
        }
        if let Some(complaint) = self.judge(&mut seen, change) {
            seen.complaints.push(format!("{}: {complaint}", change.key));
        }
    }

    fn judge(&self, seen: &mut Seen, change: &Change<'_>) -> Option<String> {
        let rest = change.key.as_str().strip_prefix(DESTINATION_PREFIX).unwrap();
        let none = Vec::new();
        let generations = seen.generations.get(rest).unwrap_or(&none);
        let of = |object: &Object| {
            generations.iter().rposition(|g| {
                let mut user = object.attributes.user.clone();
                token::strip(&mut user);
                user == g.attributes.user && object.has_bytes_of(g)
            })
        };
        let Some(after) = change.after else {
            return (!self.nature.deletes).then(|| "we deleted it".to_owned());
        };
        let Some(written) = of(after) else {
            return Some(format!("{} bytes of no one generation", after.size()));
        };
        let lay = seen.lying.insert(rest.to_owned(), written);
        let before = change.before?;
        if is_foreign(before) {
            let source = generations.get(written)?;
            let clobbered = match self.nature.overwrite {
                Overwrite::Always => false,
                Overwrite::Never => true,
                Overwrite::Newer => before.modified >= source.modified,
            };
            return clobbered.then(|| "we clobbered a foreign object".to_owned());
        }
        let lay = lay?;
        (lay > written).then(|| format!("went back from generation {lay} to {written}"))
    }
}
