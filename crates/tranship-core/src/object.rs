//! The nouns of an object store: keys, ETags, versions, ranges, part numbers.
//!
//! They are types of their own so that a key is never confused with an `ETag`, a part number is never
//! zero and a range is never empty. Keys are bytes that happen to be UTF-8: they are ordered by
//! byte and are never normalised.

use std::fmt;
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

/// The largest part number that S3 accepts.
pub const PART_NUMBER_MAX: u16 = 10_000;
/// The smallest size of any part but the last.
pub const PART_SIZE_MIN_BYTES: u64 = 5 << 20;
/// The largest size of one part, and of one PUT.
pub const PART_SIZE_MAX_BYTES: u64 = 5 << 30;
/// The largest object: 10,000 parts of 5 GiB.
pub const OBJECT_SIZE_MAX_BYTES: u64 = PART_SIZE_MAX_BYTES * 10_000;
/// The longest key, in bytes of UTF-8.
pub const KEY_LENGTH_MAX_BYTES: usize = 1_024;

/// The name of an object in its bucket. Ordered by UTF-8 bytes, as listings are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct ObjectKey(String);

impl ObjectKey {
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as a person or a log may read it: control characters, bidirectional overrides and
    /// the escape character itself are written as `\u{…}`.
    pub fn escaped(&self) -> String {
        escape(&self.0)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escaped())
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.escaped())
    }
}

/// Escapes text that came from outside before a person or a terminal reads it.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\\');
        if hidden {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// An opaque change detector, without its quotes. Compared with another store's only where both
/// are known to mean MD5. Some stores write the digits of an MD5 in capitals: it is the same `ETag`,
/// and goes back to its store as it came.
#[derive(Clone, Eq, Serialize, Deserialize)]
pub struct ETag(String);

impl PartialEq for ETag {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.0, &other.0);
        a == b || (self.form() != ETagForm::Opaque && a.eq_ignore_ascii_case(b))
    }
}

impl std::hash::Hash for ETag {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_ascii_lowercase().hash(state);
    }
}

/// What the form of an `ETag` says about it. Form is not proof: an encrypted object's `ETag` has the
/// plain form too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ETagForm {
    /// 32 hexadecimal digits.
    Plain,
    /// 32 hexadecimal digits, a dash and the number of parts.
    Composite { parts: u32 },
    /// Anything else.
    Opaque,
}

impl ETag {
    /// Takes an `ETag` as the wire has it, with or without quotes.
    pub fn new(etag: &str) -> Self {
        let etag = etag.strip_prefix("W/").unwrap_or(etag);
        Self(etag.trim_matches('"').to_owned())
    }

    /// Takes an `ETag` as we wrote it down: it has lost its quotes, and loses nothing else.
    pub fn written(etag: impl Into<String>) -> Self {
        Self(etag.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a condition header wants it.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }

    pub fn form(&self) -> ETagForm {
        let is_md5 = |s: &str| s.len() == 32 && s.bytes().all(|b| b.is_ascii_hexdigit());
        match self.0.split_once('-') {
            None if is_md5(&self.0) => ETagForm::Plain,
            Some((hash, parts)) if is_md5(hash) => match parts.parse::<u32>() {
                Ok(parts) if parts >= 1 => ETagForm::Composite { parts },
                _ => ETagForm::Opaque,
            },
            _ => ETagForm::Opaque,
        }
    }

    /// The 16 bytes of a plain `ETag`.
    pub fn md5(&self) -> Option<[u8; 16]> {
        if self.form() != ETagForm::Plain {
            return None;
        }
        let mut out = [0; 16];
        hex::decode_to_slice(&self.0, &mut out).ok()?;
        Some(out)
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one version of an object in a versioned bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VersionId(pub String);

/// Names a multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UploadId(pub String);

/// Milliseconds since 1970, by whichever clock the field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Millis(pub u64);

impl Millis {
    #[must_use]
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One generation of a source object. All of an object's bytes come from one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub etag: ETag,
    pub version: Option<VersionId>,
    pub size: u64,
    pub modified: Millis,
}

impl Identity {
    /// Whether another look shows the same generation. The version id is compared only where both
    /// looks show one: a listing never does.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let versions_agree = match (&self.version, &other.version) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        self.etag == other.etag && self.size == other.size && versions_agree
    }
}

/// A non-empty range of bytes, half open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteRange {
    start: u64,
    end: u64,
}

impl ByteRange {
    /// `None` if the range would be empty.
    pub fn new(start: u64, end: u64) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    pub fn start(self) -> u64 {
        self.start
    }

    pub fn end(self) -> u64 {
        self.end
    }

    /// Number of bytes; never zero.
    pub fn size(self) -> u64 {
        self.end - self.start
    }

    /// As the `Range` header wants it: both ends included.
    pub fn header(self) -> String {
        format!("bytes={}-{}", self.start, self.end - 1)
    }
}

/// The number of a part, from 1 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct PartNumber(NonZeroU16);

impl PartNumber {
    pub const FIRST: Self = Self(NonZeroU16::MIN);

    pub fn new(number: u16) -> Option<Self> {
        (number <= PART_NUMBER_MAX).then(|| NonZeroU16::new(number).map(Self)).flatten()
    }

    pub fn get(self) -> u16 {
        self.0.get()
    }

    /// Position in the object, from 0.
    pub fn index(self) -> u64 {
        u64::from(self.0.get()) - 1
    }
}

impl TryFrom<u16> for PartNumber {
    type Error = String;

    fn try_from(number: u16) -> Result<Self, String> {
        Self::new(number).ok_or_else(|| format!("part number {number} is not in 1..=10000"))
    }
}

impl From<PartNumber> for u16 {
    fn from(number: PartNumber) -> u16 {
        number.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_an_etag_is_read_off_its_text() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        for (text, form) in [
            (md5.to_owned(), ETagForm::Plain),
            (format!("\"{md5}\""), ETagForm::Plain),
            (format!("{md5}-3"), ETagForm::Composite { parts: 3 }),
            (format!("{md5}-0"), ETagForm::Opaque),
            (format!("{md5}-x"), ETagForm::Opaque),
            ("abc".to_owned(), ETagForm::Opaque),
            (String::new(), ETagForm::Opaque),
        ] {
            assert_eq!(ETag::new(&text).form(), form, "{text}");
        }
    }

    #[test]
    fn an_etag_loses_its_quotes_once() {
        for (wire, text) in [("\"a\"", "a"), ("W/\"a\"", "a"), ("a", "a"), ("\"W/a\"", "W/a")] {
            let etag = ETag::new(wire);
            assert_eq!(etag.as_str(), text);
            assert_eq!(ETag::new(&etag.quoted()), etag, "as the next answer says it");
            assert_eq!(ETag::written(etag.as_str()), etag);
        }
    }

    #[test]
    fn escaped_text_carries_no_control_and_no_bidirectional_override() {
        assert_eq!(escape("a\u{1b}[31m\n\u{202e}é😀"), "a\\u{1b}[31m\\n\\u{202e}é😀");
        assert_eq!(escape("back\\slash"), "back\\\\slash");
    }

    #[test]
    fn part_numbers_and_ranges_have_bounds() {
        assert!(PartNumber::new(0).is_none());
        assert!(PartNumber::new(10_001).is_none());
        assert_eq!(PartNumber::new(10_000).map(PartNumber::index), Some(9_999));
        assert!(ByteRange::new(5, 5).is_none());
        assert_eq!(ByteRange::new(5, 8).map(ByteRange::header).as_deref(), Some("bytes=5-7"));
    }
}
