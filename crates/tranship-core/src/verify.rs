//! Whether two sides hold the same objects, and how well that is known; without any ledger.
//!
//! What a pair of objects comes to is decided here, by data alone: the two listings, two HEADs where
//! those cannot tell, the bytes where somebody wants to know. Every pair ends in one [`Verdict`].
//! Evidence has grades: A, the bytes were read again and hashed; B, a checksum that the source keeps
//! equals the destination's; C, the ETags are equal; D, only the sizes are; U, nothing is proven.
//! Only A to C prove anything: a pair of grade D or U is never called equal.
//!
//! [`walk`] lists both sides and asks for what is missing; [`tally`] adds up what was found.

mod read;
pub mod tally;
pub mod walk;

use serde::Serialize;

use crate::object::{ETag, ETagForm, ObjectKey};
use crate::store::{Head, Listed};
use crate::token::Token;

/// How well the equality of a pair is known, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Grade {
    /// The bytes of both sides were read again and hashed, or there are none.
    A,
    /// A checksum over all bytes that the source keeps equals the one that the destination keeps.
    B,
    /// The ETags are equal: the two objects' own, or the source's and the one recorded with the copy.
    C,
    /// The sizes are equal, and nothing else speaks for the pair or against it.
    D,
    /// Nothing is proven: the pair could not be looked at, or it changed meanwhile.
    U,
}

impl Grade {
    pub const ALL: [Self; 5] = [Self::A, Self::B, Self::C, Self::D, Self::U];

    pub fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::U => "U",
        }
    }

    /// What the letter means, for a person.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::A => "bytes read again and hashed, or none to read",
            Self::B => "a stored checksum of the source equals the destination's",
            Self::C => "ETags equal, or the source's equals the one recorded with the copy",
            Self::D => "sizes equal, and nothing else to go by",
            Self::U => "unproven: not readable, or changed meanwhile",
        }
    }
}

/// What proves that a pair is equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Both are empty, and there is only one empty object.
    Empty,
    Bytes,
    Checksum,
    ETags,
    /// The copy token at the destination: this transfer's worker wrote it out of exactly this
    /// generation of the source, of which it saw every byte. That generation is named by its `ETag`,
    /// so the evidence is worth what equal ETags are, and no more: nobody stored a checksum.
    Token,
}

/// What proves that a pair differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contrast {
    Size,
    Checksum,
    /// Both are the MD5 of the bytes, and differ.
    ETags,
    Bytes,
}

/// Why nothing is proven of a pair that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// Equal sizes, ETags that cannot be compared, no common checksum, no copy token.
    SizeOnly,
    /// The copy token names another generation of the source.
    OtherGeneration,
    /// One side could not be looked at, or could not be read.
    Unreadable,
}

/// What a key comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Equal(Proof),
    /// Only the source has it.
    Missing,
    /// Only the destination has it.
    Extra,
    Different(Contrast),
    NotProvable(Doubt),
    /// It was listed, and then it was another one, or gone.
    Changed,
}

/// The verdicts without their reasons: what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Equal,
    Missing,
    Extra,
    Different,
    NotProvable,
    Changed,
}

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::Equal,
        Self::Missing,
        Self::Extra,
        Self::Different,
        Self::NotProvable,
        Self::Changed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Different => "different",
            Self::NotProvable => "not-provable",
            Self::Changed => "changed",
        }
    }
}

impl Verdict {
    pub fn kind(self) -> Kind {
        match self {
            Self::Equal(_) => Kind::Equal,
            Self::Missing => Kind::Missing,
            Self::Extra => Kind::Extra,
            Self::Different(_) => Kind::Different,
            Self::NotProvable(_) => Kind::NotProvable,
            Self::Changed => Kind::Changed,
        }
    }

    /// The grade of the evidence for equality; `None` where the two are known to differ.
    pub fn grade(self) -> Option<Grade> {
        match self {
            Self::Equal(Proof::Empty | Proof::Bytes) => Some(Grade::A),
            Self::Equal(Proof::Checksum) => Some(Grade::B),
            Self::Equal(Proof::ETags | Proof::Token) => Some(Grade::C),
            Self::NotProvable(Doubt::SizeOnly | Doubt::OtherGeneration) => Some(Grade::D),
            Self::NotProvable(Doubt::Unreadable) | Self::Changed => Some(Grade::U),
            Self::Missing | Self::Extra | Self::Different(_) => None,
        }
    }

    /// What speaks for the verdict, in a word; `None` where the kind says it all.
    pub fn by(self) -> Option<&'static str> {
        Some(match self {
            Self::Equal(Proof::Empty) => "empty",
            Self::Equal(Proof::Bytes) | Self::Different(Contrast::Bytes) => "bytes",
            Self::Equal(Proof::Checksum) | Self::Different(Contrast::Checksum) => "checksum",
            Self::Equal(Proof::ETags) | Self::Different(Contrast::ETags) => "etag",
            Self::Equal(Proof::Token) => "token",
            Self::Different(Contrast::Size) => "size",
            Self::NotProvable(Doubt::SizeOnly) => "size-only",
            Self::NotProvable(Doubt::OtherGeneration) => "other-generation",
            Self::NotProvable(Doubt::Unreadable) => "unreadable",
            Self::Missing | Self::Extra | Self::Changed => return None,
        })
    }
}

/// What was found out about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In the source's terms.
    pub key: ObjectKey,
    pub source: Option<Listed>,
    pub destination: Option<Listed>,
    pub verdict: Verdict,
    /// What went wrong while it was looked at, if anything did.
    pub reason: Option<String>,
}

impl Finding {
    /// The bytes that it is about: the source's where it has the key.
    pub fn size(&self) -> u64 {
        self.listed().map_or(0, |listed| listed.size)
    }

    /// The object that it is about: the source's where it has the key.
    pub fn listed(&self) -> Option<&Listed> {
        self.source.as_ref().or(self.destination.as_ref())
    }
}

/// What the sizes alone say of a pair.
pub fn by_size(source: &Listed, destination: &Listed) -> Option<Verdict> {
    if source.size != destination.size {
        return Some(Verdict::Different(Contrast::Size));
    }
    (source.size == 0).then_some(Verdict::Equal(Proof::Empty))
}

/// What two listings say of a pair; `None`: look at both, since the listings alone leave D or U.
pub fn by_listing(source: &Listed, destination: &Listed) -> Option<Verdict> {
    if let Some(verdict) = by_size(source, destination) {
        return Some(verdict);
    }
    same_md5(&source.etag, &destination.etag).then_some(Verdict::Equal(Proof::ETags))
}

/// What two HEADs say of a pair of equal size, after the listings could not tell.
pub fn by_heads(source: &Listed, destination: &Listed, here: &Head, there: &Head) -> Verdict {
    let is_as_listed = |listed: &Listed, head: &Head| {
        listed.size == head.identity.size && listed.etag == head.identity.etag
    };
    if !is_as_listed(source, here) || !is_as_listed(destination, there) {
        return Verdict::Changed;
    }
    if let (Some(here), Some(there)) = (here.checksum, there.checksum)
        && here.algorithm == there.algorithm
    {
        return if here.value == there.value {
            Verdict::Equal(Proof::Checksum)
        } else {
            Verdict::Different(Contrast::Checksum)
        };
    }
    if let Some(verdict) = by_qetags(here, there) {
        return verdict;
    }
    let token = Token::read(&there.attributes.user);
    if token.as_ref().is_some_and(|token| token.source.is_same_as(&here.identity)) {
        // Before the ETags: a token is written just where the destination's say nothing.
        return Verdict::Equal(Proof::Token);
    }
    let is_md5 = |head: &Head| !head.etag_is_opaque && head.identity.etag.form() == ETagForm::Plain;
    if is_md5(here) && is_md5(there) && !same_md5(&here.identity.etag, &there.identity.etag) {
        return Verdict::Different(Contrast::ETags);
    }
    Verdict::NotProvable(if token.is_some() { Doubt::OtherGeneration } else { Doubt::SizeOnly })
}

/// What the qetags of both say, where both have one.
fn by_qetags(here: &Head, there: &Head) -> Option<Verdict> {
    let (here, there) = (here.qetag?, there.qetag?);
    if here == there {
        return Some(Verdict::Equal(Proof::Checksum));
    }
    let is_known = here.proves_a_difference() && there.proves_a_difference();
    is_known.then_some(Verdict::Different(Contrast::Checksum))
}

/// What the bytes say of a pair of equal size.
pub fn by_bytes(are_equal: bool) -> Verdict {
    if are_equal { Verdict::Equal(Proof::Bytes) } else { Verdict::Different(Contrast::Bytes) }
}

/// Whether two ETags are equal and have the form of an MD5, of the bytes or of the parts. Some
/// stores write it in capitals. What has no such form may be equal by chance, or always.
fn same_md5(a: &ETag, b: &ETag) -> bool {
    a.form() != ETagForm::Opaque && a.as_str().eq_ignore_ascii_case(b.as_str())
}

#[cfg(test)]
mod tests;
