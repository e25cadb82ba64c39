//! The one thing that became of each listed key, and the accounts that add them up.

use serde::{Deserialize, Serialize};

/// What became of a key. Every listed source key ends in exactly one of the first eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Equal,
    Copied,
    /// Policy, or a foreign write, left the destination alone.
    Kept,
    Filtered,
    /// In an archive tier and not restored.
    Archived,
    /// Listed, and gone before it could be read.
    Vanished,
    /// Another run's or event's open upload carries it.
    Superseded,
    Failed,
    /// Only the destination has it.
    Extra,
    /// Only the destination had it.
    Deleted,
}

impl Outcome {
    pub const ALL: [Self; 10] = [
        Self::Equal,
        Self::Copied,
        Self::Kept,
        Self::Filtered,
        Self::Archived,
        Self::Vanished,
        Self::Superseded,
        Self::Failed,
        Self::Extra,
        Self::Deleted,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Copied => "copied",
            Self::Kept => "kept",
            Self::Filtered => "filtered",
            Self::Archived => "archived",
            Self::Vanished => "vanished",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Extra => "extra",
            Self::Deleted => "deleted",
        }
    }

    /// Whether this is the outcome of a key that the source has.
    pub fn is_of_source(self) -> bool {
        !matches!(self, Self::Extra | Self::Deleted)
    }

    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|outcome| *outcome == self).unwrap_or_default()
    }
}

/// A number of objects and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Count {
    pub objects: u64,
    pub bytes: u64,
}

impl Count {
    pub fn add(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
    }
}

/// Counts by outcome.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account([Count; Outcome::ALL.len()]);

impl Account {
    pub fn add(&mut self, outcome: Outcome, bytes: u64) {
        self.add_count(outcome, Count { objects: 1, bytes });
    }

    pub fn add_count(&mut self, outcome: Outcome, count: Count) {
        if let Some(entry) = self.0.get_mut(outcome.index()) {
            entry.add(count);
        }
    }

    /// Takes back what is now counted under another outcome.
    pub fn take_count(&mut self, outcome: Outcome, count: Count) {
        if let Some(entry) = self.0.get_mut(outcome.index()) {
            entry.objects = entry.objects.saturating_sub(count.objects);
            entry.bytes = entry.bytes.saturating_sub(count.bytes);
        }
    }

    pub fn add_all(&mut self, other: &Self) {
        for (outcome, count) in other.iter() {
            self.add_count(outcome, count);
        }
    }

    pub fn get(&self, outcome: Outcome) -> Count {
        self.0.get(outcome.index()).copied().unwrap_or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Outcome, Count)> {
        Outcome::ALL.into_iter().zip(self.0.iter().copied())
    }

    /// The sum over the outcomes of source keys: what must equal the listing.
    pub fn of_source(&self) -> Count {
        let mut sum = Count::default();
        for (_, count) in self.iter().filter(|(outcome, _)| outcome.is_of_source()) {
            sum.add(count);
        }
        sum
    }
}
