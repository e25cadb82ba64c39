//! A bucket: keys with their versions, open uploads, and the settings that decide who may do what.

use crate::formula::Formulated;
use crate::options::Backend;
use crate::store::object::{Object, Version};
use crate::store::upload::{Completed, Upload};
use s3s::dto::Timestamp;
use s3s::{S3Result, s3_error};
use std::collections::BTreeMap;
use std::collections::btree_map;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

/// Whether overwritten and deleted versions are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versioning {
    #[default]
    Off,
    Enabled,
    Suspended,
}

/// What a bucket's owner has set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch that a test flips by name"
)]
pub struct BucketSettings {
    pub versioning: Versioning,
    /// The region of the bucket if it differs from the server's.
    pub region: Option<String>,
    /// The account id that `x-amz-expected-bucket-owner` must name.
    pub owner: Option<String>,
    pub requester_pays: bool,
    /// Anybody may list it and read its objects, without a signature.
    pub public: bool,
    /// The lifecycle rule that aborts incomplete uploads, if there is one; it is shown and not obeyed.
    pub abort_incomplete_after_days: Option<i32>,
    /// The prefix of that rule's filter.
    pub abort_incomplete_prefix: String,
    /// Whether object locks are on; it is shown and not enforced.
    pub object_lock: bool,
    /// Whether the bucket's owner owns every object, and ACLs count for nothing.
    pub owner_enforced: bool,
    pub deny_list: bool,
    pub deny_read: bool,
    pub deny_write: bool,
    pub deny_delete: bool,
    pub deny_tagging: bool,
    pub deny_acl: bool,
}

pub(crate) struct Bucket {
    pub(crate) settings: BucketSettings,
    pub(crate) backend: Backend,
    pub(crate) created: Timestamp,
    /// The written keys, oldest version first. An empty history hides a key of the formula.
    pub(crate) keys: BTreeMap<String, Vec<Version>>,
    pub(crate) formula: Option<Arc<Formulated>>,
    /// By key and upload id; ids grow with time.
    pub(crate) uploads: BTreeMap<(String, String), Upload>,
    pub(crate) completed: BTreeMap<String, Completed>,
    /// How many objects were written to each key.
    pub(crate) writes: BTreeMap<String, u64>,
}

impl Bucket {
    pub(crate) fn new(backend: Backend, created: Timestamp) -> Self {
        Self {
            settings: BucketSettings::default(),
            backend,
            created,
            keys: BTreeMap::new(),
            formula: None,
            uploads: BTreeMap::new(),
            completed: BTreeMap::new(),
            writes: BTreeMap::new(),
        }
    }

    /// Whether version ids are shown at all.
    pub(crate) fn is_versioned(&self) -> bool {
        self.settings.versioning != Versioning::Off
    }

    /// The newest version of a key, be it a delete marker.
    pub(crate) fn latest(&self, key: &str) -> Option<Version> {
        if let Some(history) = self.keys.get(key) {
            return history.last().cloned();
        }
        let formula = self.formula.as_ref()?;
        let ordinal = formula.formula.find(key)?;
        Some(Version::Object(Arc::new(formula.object(ordinal))))
    }

    /// The object that a plain GET of the key answers with.
    pub(crate) fn current(&self, key: &str) -> Option<Arc<Object>> {
        self.latest(key)?.object().cloned()
    }

    pub(crate) fn version(&self, key: &str, version_id: &str) -> Option<Version> {
        match self.keys.get(key) {
            Some(history) => history.iter().find(|version| version.id() == version_id).cloned(),
            None => self.latest(key).filter(|version| version.id() == version_id),
        }
    }

    /// Finds an object as GET and HEAD do: a delete marker counts as absent.
    pub(crate) fn lookup(&self, key: &str, version_id: Option<&str>) -> S3Result<Arc<Object>> {
        let found = match version_id {
            Some(id) => self
                .version(key, id)
                .ok_or_else(|| s3_error!(NoSuchVersion, "The specified version does not exist."))?,
            None => self.latest(key).ok_or_else(no_such_key)?,
        };
        match (found, version_id) {
            (Version::Object(object), _) => Ok(object),
            (Version::DeleteMarker { version_id, modified }, asked) => {
                let mut error =
                    if asked.is_some() { s3_error!(MethodNotAllowed) } else { no_such_key() };
                let mut headers = http::HeaderMap::new();
                headers.insert("x-amz-delete-marker", http::HeaderValue::from_static("true"));
                if let Ok(id) = http::HeaderValue::from_str(&version_id) {
                    headers.insert("x-amz-version-id", id);
                }
                if asked.is_some() {
                    headers.extend(crate::clock::last_modified(&modified));
                }
                error.set_headers(headers);
                Err(error)
            }
        }
    }

    /// Makes this the newest version of the key, under an id that the versioning calls for.
    pub(crate) fn write(&mut self, key: &str, mut object: Object, fresh_id: String) -> Arc<Object> {
        object.version_id = match self.settings.versioning {
            Versioning::Enabled => fresh_id,
            Versioning::Off | Versioning::Suspended => "null".to_owned(),
        };
        let object = Arc::new(object);
        self.push(key, Version::Object(Arc::clone(&object)));
        *self.writes.entry(key.to_owned()).or_default() += 1;
        object
    }

    /// Deletes the newest version, or leaves a delete marker, whose id is returned.
    pub(crate) fn delete(&mut self, key: &str, fresh_id: String, now: Timestamp) -> Option<String> {
        let version_id = match self.settings.versioning {
            Versioning::Off => {
                if self.formula.is_some() {
                    self.keys.insert(key.to_owned(), Vec::new());
                } else {
                    self.keys.remove(key);
                }
                return None;
            }
            Versioning::Enabled => fresh_id,
            Versioning::Suspended => "null".to_owned(),
        };
        let marker = Version::DeleteMarker { version_id: version_id.clone(), modified: now };
        self.push(key, marker);
        Some(version_id)
    }

    /// Deletes one version for good; says whether it was a delete marker.
    pub(crate) fn delete_version(&mut self, key: &str, version_id: &str) -> bool {
        let Some(found) = self.version(key, version_id) else {
            return false;
        };
        let history = self.keys.entry(key.to_owned()).or_default();
        history.retain(|version| version.id() != version_id);
        if history.is_empty() && self.formula.is_none() {
            self.keys.remove(key);
        }
        found.object().is_none()
    }

    fn push(&mut self, key: &str, version: Version) {
        let mut hidden = None;
        if self.is_versioned() && !self.keys.contains_key(key) {
            hidden = self.latest(key);
        }
        let history = self.keys.entry(key.to_owned()).or_default();
        history.extend(hidden);
        if version.id() == "null" {
            history.retain(|known| known.id() != "null");
        }
        history.push(version);
    }

    /// Replaces one object by a changed copy of itself, without a new version.
    pub(crate) fn amend(
        &mut self,
        key: &str,
        version_id: &str,
        change: impl FnOnce(&mut Object),
    ) -> bool {
        let Some(Version::Object(object)) = self.version(key, version_id) else {
            return false;
        };
        let mut object = Object::clone(&object);
        change(&mut object);
        let changed = Version::Object(Arc::new(object));
        let history = self.keys.entry(key.to_owned()).or_default();
        match history.iter_mut().find(|known| known.id() == version_id) {
            Some(known) => *known = changed,
            None => history.push(changed),
        }
        true
    }

    /// Walks the keys in order, from a bound on.
    pub(crate) fn walk(&self, bound: Bound<&str>) -> Walk<'_> {
        let written = self.keys.range::<str, _>((bound, Bound::Unbounded));
        let formula = self.formula.as_deref();
        let ordinal = formula.map_or(0, |formula| match bound {
            Bound::Included(key) => formula.formula.seek(key, false),
            Bound::Excluded(key) => formula.formula.seek(key, true),
            Bound::Unbounded => 0,
        });
        Walk { written: written.peekable(), formula, ordinal }
    }
}

pub(crate) fn no_such_key() -> s3s::S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

/// Goes through the written keys and those of the formula as one sorted sequence.
pub(crate) struct Walk<'a> {
    written: Peekable<btree_map::Range<'a, String, Vec<Version>>>,
    formula: Option<&'a Formulated>,
    ordinal: u64,
}

/// A key with its history, oldest first.
pub(crate) enum Entry<'a> {
    Written(&'a [Version]),
    ByFormula(&'a Formulated, u64),
}

impl Entry<'_> {
    /// The object a listing shows, if there is one.
    pub(crate) fn current(&self) -> Option<Arc<Object>> {
        match self {
            Self::Written(history) => history.last()?.object().cloned(),
            Self::ByFormula(formula, ordinal) => Some(Arc::new(formula.object(*ordinal))),
        }
    }

    pub(crate) fn is_listed(&self) -> bool {
        match self {
            Self::Written(history) => {
                history.last().and_then(Version::object).is_some_and(|object| !object.is_unlisted)
            }
            Self::ByFormula(..) => true,
        }
    }

    pub(crate) fn versions(&self) -> Vec<Version> {
        match self {
            Self::Written(history) => history.to_vec(),
            Self::ByFormula(..) => self.current().map(Version::Object).into_iter().collect(),
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = (String, Entry<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let formula = self.formula.filter(|formula| self.ordinal < formula.formula.count);
        let Some(formula) = formula else {
            let (key, history) = self.written.next()?;
            return Some((key.clone(), Entry::Written(history)));
        };
        let key = formula.formula.key(self.ordinal);
        match self.written.peek() {
            Some((written, _)) if **written <= key => {
                if **written == key {
                    self.ordinal += 1;
                }
                let (key, history) = self.written.next()?;
                Some((key.clone(), Entry::Written(history)))
            }
            _ => {
                let ordinal = self.ordinal;
                self.ordinal += 1;
                Some((key, Entry::ByFormula(formula, ordinal)))
            }
        }
    }
}
