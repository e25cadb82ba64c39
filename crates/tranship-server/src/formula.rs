//! A formula: objects that exist by arithmetic alone, up to billions of them, in the order of their keys.

use crate::checksum::{Hasher, Sums, compose_etag};
use crate::clock;
use crate::content::{Content, PERIOD, mix};
use crate::store::{Object, ObjectPart, Properties};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// What the `ETag`s of objects by formula are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormulaEtags {
    /// The true MD5 of the bytes, computed once per distinct content and kept.
    #[default]
    Md5,
    /// A number that is cheap to compute and equal for equal content.
    Fast,
}

/// The rule behind a synthetic bucket. Keys are `prefix`, the folder if there is one, the ordinal padded with
/// zeros, and `suffix`, so that their sorted order is the order of the ordinals.
#[derive(Clone, Debug)]
pub struct Formula {
    pub count: u64,
    pub prefix: String,
    pub suffix: String,
    /// The width of the padded ordinal; it must hold `count - 1`.
    pub width: usize,
    /// Objects per folder, whose name is its own padded ordinal; 0 makes one flat prefix.
    pub per_folder: u64,
    /// Sizes in bytes, taken in turn by ordinal.
    pub sizes: Vec<u64>,
    /// The part size of objects that are larger than it: their `ETag`s end in `-N`.
    pub part_size: Option<u64>,
    /// How many contents there are; equal (ordinal mod `variants`) and equal size make equal bytes.
    pub variants: u64,
    pub etags: FormulaEtags,
    /// The modification time, in seconds after the epoch.
    pub modified: u64,
}

impl Default for Formula {
    fn default() -> Self {
        Self {
            count: 0,
            prefix: String::new(),
            suffix: String::new(),
            width: 12,
            per_folder: 0,
            sizes: vec![0],
            part_size: None,
            variants: 16,
            etags: FormulaEtags::default(),
            modified: 1_700_000_000,
        }
    }
}

impl Formula {
    /// The key of an ordinal.
    pub fn key(&self, ordinal: u64) -> String {
        let mut key = self.prefix.clone();
        let width = self.width;
        // Writing to a String cannot fail.
        if let Some(folder) = ordinal.checked_div(self.per_folder) {
            write!(key, "{folder:0width$}/").ok();
        }
        write!(key, "{ordinal:0width$}{}", self.suffix).ok();
        key
    }

    /// The size of an ordinal's object.
    pub fn size(&self, ordinal: u64) -> u64 {
        let count = u64::try_from(self.sizes.len()).unwrap_or_default();
        let turn = ordinal.checked_rem(count).unwrap_or_default();
        usize::try_from(turn)
            .ok()
            .and_then(|turn| self.sizes.get(turn))
            .copied()
            .unwrap_or_default()
    }

    /// The bytes of an ordinal's object.
    pub fn content(&self, ordinal: u64) -> Content {
        let variant = ordinal.checked_rem(self.variants).unwrap_or_default();
        let mut state = variant;
        Content::Pattern { offset: mix(&mut state) % PERIOD, length: self.size(ordinal) }
    }

    /// The first ordinal whose key is not before `bound`, or is after it if `exclusive`.
    pub(crate) fn seek(&self, bound: &str, exclusive: bool) -> u64 {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let key = self.key(middle);
            let before = if exclusive { key.as_str() <= bound } else { key.as_str() < bound };
            if before {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The ordinal of exactly this key.
    pub(crate) fn find(&self, key: &str) -> Option<u64> {
        let ordinal = self.seek(key, false);
        (ordinal < self.count && self.key(ordinal) == key).then_some(ordinal)
    }

    fn part_sizes(&self, size: u64) -> Vec<u64> {
        let Some(part_size) = self.part_size.filter(|part| *part > 0 && *part < size) else {
            return Vec::new();
        };
        let mut parts = Vec::new();
        let mut rest = size;
        while rest > 0 {
            parts.push(rest.min(part_size));
            rest = rest.saturating_sub(part_size);
        }
        parts
    }
}

/// A formula with the `ETag`s that were computed from it so far.
#[derive(Debug)]
pub(crate) struct Formulated {
    pub(crate) formula: Formula,
    etags: Mutex<HashMap<(u64, u64), Arc<str>>>,
}

impl Formulated {
    pub(crate) fn new(formula: Formula) -> Self {
        Self { formula, etags: Mutex::default() }
    }

    pub(crate) fn object(&self, ordinal: u64) -> Object {
        let formula = &self.formula;
        let content = formula.content(ordinal);
        let sizes = formula.part_sizes(content.len());
        let etag = self.etag(&content, &sizes);
        let parts = (1..)
            .zip(sizes)
            .map(|(number, size)| ObjectPart { number, size, sums: Sums::default() })
            .collect();
        Object {
            version_id: "null".to_owned(),
            content,
            etag,
            parts,
            sums: Sums::default(),
            checksum_type: s3s::dto::ChecksumType::FULL_OBJECT,
            properties: Properties::default(),
            tags: Vec::new(),
            readers: Vec::new(),
            modified: clock::at(formula.modified),
            restored_until: None,
            form: crate::store::Form::Plain,
            has_vendor_checksum: true,
            is_unlisted: false,
            generation: formula.modified * 1_000_000,
            archive_classes: crate::store::ARCHIVE_CLASSES,
        }
    }

    fn etag(&self, content: &Content, parts: &[u64]) -> String {
        let Content::Pattern { offset, length } = *content else {
            return String::new();
        };
        if self.formula.etags == FormulaEtags::Fast {
            return fast_etag(offset ^ length.rotate_left(32), parts.len());
        }
        let known = self
            .etags
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(offset, length))
            .cloned();
        if let Some(etag) = known {
            return etag.as_ref().to_owned();
        }
        let etag = true_etag(content, parts);
        self.etags
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((offset, length), etag.as_str().into());
        etag
    }
}

/// An `ETag` that costs nothing: 32 hex digits out of a seed, with the count of parts behind it.
pub(crate) fn fast_etag(seed: u64, parts: usize) -> String {
    let mut state = seed;
    let (high, low) = (mix(&mut state), mix(&mut state));
    match parts {
        0 => format!("{high:016x}{low:016x}"),
        parts => format!("{high:016x}{low:016x}-{parts}"),
    }
}

fn true_etag(content: &Content, parts: &[u64]) -> String {
    let md5 = |range| {
        let mut hasher = Hasher::new(true, &[]);
        for slice in content.slices(range).into_iter().flatten() {
            hasher.update(&slice);
        }
        hex::encode(hasher.finish().md5.unwrap_or_default())
    };
    if parts.is_empty() {
        return md5(0..content.len());
    }
    let mut at = 0;
    let digests: Vec<String> = parts
        .iter()
        .map(|size| {
            at += size;
            md5(at - size..at)
        })
        .collect();
    compose_etag(digests.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_billion_keys_are_found_by_arithmetic() {
        let formula = Formula {
            count: 1_000_000_000,
            prefix: "data/".to_owned(),
            suffix: ".bin".to_owned(),
            per_folder: 1000,
            sizes: vec![1, 2, 3],
            ..Formula::default()
        };
        for ordinal in [0, 1, 999, 1000, 123_456_789, 999_999_999] {
            let key = formula.key(ordinal);
            assert_eq!(formula.find(&key), Some(ordinal));
            assert_eq!(formula.seek(&key, true), ordinal + 1);
        }
        assert_eq!(formula.find("data/none"), None);
        assert_eq!(formula.seek("", false), 0);
        assert_eq!(formula.seek("e", false), 1_000_000_000);
    }

    #[test]
    fn etags_are_true_and_fast_ones_only_look_so() {
        let mut formula =
            Formula { count: 4, sizes: vec![100], part_size: Some(30), ..Formula::default() };
        let object = Formulated::new(formula.clone()).object(1);
        assert!(object.etag.ends_with("-4"));
        assert_eq!(object.parts.len(), 4);
        formula.part_size = None;
        let object = Formulated::new(formula.clone()).object(1);
        let mut hasher = Hasher::new(true, &[]);
        hasher.update(&object.content.read().unwrap());
        assert_eq!(object.etag, hex::encode(hasher.finish().md5.unwrap()));
        formula.etags = FormulaEtags::Fast;
        assert_eq!(Formulated::new(formula).object(1).etag.len(), 32);
    }
}
