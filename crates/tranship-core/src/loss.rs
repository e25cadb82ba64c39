//! What of an object does not survive the copy: counted and named, never dropped without a word.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Something of an object that its copy does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// It grew by appending; its copy does not.
    Appendable,
    /// A storage class that has no equal at the destination: the copy has the bucket's own.
    Class,
    /// Content-Disposition, which the source's store overlays with one of its own.
    Disposition,
    /// Headers or user metadata, and they are switched off.
    Headers,
    /// A link to another object: the copy has that one's bytes.
    Link,
    /// Retention or legal hold.
    Lock,
    /// User metadata that the source's store says it has and cannot return.
    Metadata,
    /// Its `ETag` looks like an MD5 and is not that of the bytes, and no checksum is kept with it: two readings
    /// that agreed are all that speaks for the copy.
    Proof,
    /// The source has tags, and they are switched off, or one of the stores has no calls for them.
    Tags,
    /// The source's tags may not be read, and to whom may not, some stores do not tell of them: the object may
    /// have some.
    TagsUnknown,
    /// User metadata left no room for the copy token.
    Token,
}

impl Loss {
    /// For a person.
    pub fn name(self) -> &'static str {
        match self {
            Self::Appendable => "that they can be appended to: the copies are plain objects",
            Self::Class => "storage class: it has no equal at the destination, which chooses",
            Self::Disposition => "Content-Disposition, which the source's store hides",
            Self::Headers => "headers and user metadata, which are switched off",
            Self::Link => "that they are links: the copies have the bytes that those lead to",
            Self::Lock => "retention or legal hold",
            Self::Metadata => "user metadata that the source cannot return",
            Self::Proof => {
                "proof: their ETags are no MD5, nor is a checksum kept; two readings agreed"
            }
            Self::Tags => {
                "tags, which are switched off, or which one of the stores does not hand over or take"
            }
            Self::TagsUnknown => {
                "tags, if they have any: the source's may not be read (s3:GetObjectTagging)"
            }
            Self::Token => "copy token: no room in the user metadata, the ledger remembers instead",
        }
    }
}

/// What one object loses; nearly always nothing.
pub type Losses = BTreeSet<Loss>;

/// Objects by what they lose.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LossCounts(BTreeMap<Loss, u64>);

impl LossCounts {
    pub fn add(&mut self, losses: &Losses) {
        for loss in losses {
            *self.0.entry(*loss).or_default() += 1;
        }
    }

    pub fn add_all(&mut self, other: &Self) {
        for (loss, objects) in &other.0 {
            *self.0.entry(*loss).or_default() += objects;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Loss, u64)> + '_ {
        self.0.iter().map(|(loss, objects)| (*loss, *objects))
    }
}
