//! What the finder answers. Fields that are not known here are left alone: a newer stack may say more.

use std::collections::BTreeMap;

use serde::Deserialize;
use tranship_core::breakdown::{PrefixAccount, Stretch};
use tranship_core::outcome::{Count, Outcome};

use crate::exit::Exit;

/// The answer to `status`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Status {
    pub stack: String,
    pub version: String,
    pub transfer: TransferPlace,
    /// `None`: the stack goes on.
    pub breaker: Option<Breaker>,
    /// The last run that was begun; `None` before the first.
    pub run: Option<Report>,
    pub queues: Vec<QueueDepth>,
    /// `None`: there is no queue of the largest objects, or the stack does not say.
    #[serde(default)]
    pub fleet: Option<Fleet>,
    #[serde(default)]
    pub failures: Vec<FailedObject>,
    /// Whether there are more than these.
    #[serde(default)]
    pub failures_more: bool,
}

/// Those who poll the queue of the largest objects, and are no functions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Fleet {
    /// Who of them showed itself last; each does so about once a minute. `None`: nobody ever did.
    pub last: Option<SeenLast>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SeenLast {
    pub by: String,
    pub seen_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TransferPlace {
    pub id: String,
    pub source: String,
    pub destination: String,
}

/// Why the stack stands still.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Breaker {
    /// `open` or `paused`.
    pub state: String,
    #[serde(default)]
    pub reason: String,
    pub since_ms: u64,
}

impl Breaker {
    /// Whether a person stopped it, and not the stack itself.
    pub fn is_paused(&self) -> bool {
        self.state == "paused"
    }
}

/// The account of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Report {
    pub id: u64,
    /// `copying`, `deleting`; `complete`, `failed`, `incomplete`.
    pub state: String,
    pub started_ms: u64,
    #[serde(default)]
    pub ended_ms: Option<u64>,
    pub listed: Count,
    pub outcomes: BTreeMap<String, Count>,
    pub unsettled: Count,
    pub balanced: bool,
    /// What could not be carried over, and for how many objects.
    #[serde(default)]
    pub losses: BTreeMap<String, u64>,
    /// Deliveries of tasks in which something really failed; `None`: the stack does not say.
    #[serde(default)]
    pub failed_deliveries: Option<u64>,
}

impl Report {
    pub fn is_open(&self) -> bool {
        self.ended_ms.is_none()
    }

    pub fn failed(&self) -> u64 {
        self.outcomes.get(Outcome::Failed.name()).map_or(0, |count| count.objects)
    }

    /// The outcomes that any object had, in the order of ours; those that we do not know follow.
    pub fn outcomes(&self) -> impl Iterator<Item = (&str, Count)> {
        let known = Outcome::ALL
            .into_iter()
            .filter_map(|outcome| self.outcomes.get_key_value(outcome.name()));
        let is_known = |name: &str| Outcome::ALL.iter().any(|outcome| outcome.name() == name);
        let others = self.outcomes.iter().filter(move |(name, _)| !is_known(name));
        let all = known.chain(others).map(|(name, count)| (name.as_str(), *count));
        all.filter(|(_, count)| count.objects > 0)
    }

    /// The account in the form that its prefixes have, as far as we know the outcomes.
    pub fn account(&self) -> PrefixAccount {
        let mut all = PrefixAccount { listed: self.listed, ..PrefixAccount::default() };
        for outcome in Outcome::ALL {
            let count = self.outcomes.get(outcome.name()).copied().unwrap_or_default();
            all.account.add_count(outcome, count);
        }
        all
    }

    /// Listed objects that have an outcome.
    pub fn settled(&self) -> Count {
        Count {
            objects: self.listed.objects.saturating_sub(self.unsettled.objects),
            bytes: self.listed.bytes.saturating_sub(self.unsettled.bytes),
        }
    }

    /// What a run that has ended is worth, as a copy in one process would say.
    pub fn exit(&self) -> Exit {
        if self.state == "complete" && self.balanced && self.failed() == 0 {
            Exit::Success
        } else {
            Exit::Failed
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct QueueDepth {
    pub name: String,
    pub waiting: u64,
    pub in_flight: u64,
}

const DEAD_LETTER: &str = "-dead-letter";

impl QueueDepth {
    /// The queue whose messages this one got because they could not be done.
    pub fn dead_letters_of(&self) -> Option<&str> {
        self.name.strip_suffix(DEAD_LETTER)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FailedObject {
    pub key: String,
    pub size: u64,
    #[serde(default)]
    pub reason: Option<String>,
}

/// The answer to `report`: a part of a run's account by prefix.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Part {
    /// The last run that was begun: rows of every other one are forgotten.
    #[serde(default)]
    pub run: Option<u64>,
    #[serde(flatten)]
    pub stretch: Stretch,
    /// With the last part.
    #[serde(default)]
    pub timeline: Option<Vec<Moment>>,
}

/// How far a run was when the stack looked, in milliseconds since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Moment {
    pub at_ms: u64,
    pub bytes_copied: u64,
    pub settled_objects: u64,
    pub failed_deliveries: u64,
}

/// The answer to `run`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RunAnswer {
    pub begun: bool,
    /// Why it was not.
    #[serde(default)]
    pub why: Option<String>,
    /// The run that was begun, or the one that is open.
    #[serde(default)]
    pub run: Option<Report>,
}

/// The answer to `retry`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RetryAnswer {
    pub redriven: Redriven,
    /// Whether the time ended before the messages did.
    pub left: bool,
}

/// Messages that were put back, by queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Redriven(pub BTreeMap<String, u64>);

impl Redriven {
    pub fn add(&mut self, other: &Self) {
        for (queue, messages) in &other.0 {
            let sum = self.0.entry(queue.clone()).or_default();
            *sum = sum.saturating_add(*messages);
        }
    }

    pub fn messages(&self) -> u64 {
        self.0.values().fold(0, |sum, messages| sum.saturating_add(*messages))
    }
}

/// The answer to the question for its settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SettingsAnswer {
    /// In the words of this command.
    pub options: BTreeMap<String, serde_json::Value>,
    /// What no option says, each for a person.
    pub left_out: Vec<String>,
}

/// The answer to `pause` and `resume`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BreakerAnswer {
    pub breaker: Option<Breaker>,
}
