//! What a world is like: drawn from a seed, or plain.

use tranship_adapters::clock::Chance;
use tranship_core::policy::{Compare, DeleteGuard, Overwrite, Policy, ServerSide};

use super::{Host, LARGE_BYTES};
use crate::faulty::pick;

/// What a world is like.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a trait of its own")]
pub struct Nature {
    pub seed: u64,
    pub keys: u64,
    pub pages_of: usize,
    /// Messages come in order, and once.
    pub orderly: bool,
    pub opaque: bool,
    pub server_side: bool,
    pub token: bool,
    pub compare: Compare,
    pub overwrite: Overwrite,
    pub deletes: bool,
    pub scans_max: usize,
    /// Changes that others make while a process works: one before so many calls, and how many.
    pub disturbed_one_in: u64,
    pub disturbances: u64,
    /// Whether others write to the destination, too.
    pub foreign: bool,
    /// How far the destination's clock is ahead of ours.
    pub skew_ms: u64,
    /// How far the clocks of processes are apart.
    pub clocks_apart_ms: u64,
    /// The ledger or the queues are lost in the middle of this process, by its number from 1.
    pub wiped: Option<(u64, Wipe)>,
    pub streams_max: usize,
    pub objects_per_task_max: usize,
    pub window_keys: usize,
    pub queue_depth_max: u64,
    /// Who runs the stages.
    pub host: Host,
    /// Changes that one process is told of while it works.
    pub events_max: u64,
    /// Who takes the largest objects' tasks where the functions run: nobody in particular, a fleet, or
    /// one that never comes.
    pub fleet: Option<Fleet>,
}

/// Those who poll the queue of the largest objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fleet {
    Polls,
    IsDead,
}

/// What is lost in mid-run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wipe {
    Ledger,
    Queues,
    Both,
}

impl Nature {
    /// A plain world in which nobody else writes.
    pub fn plain(seed: u64) -> Self {
        Self {
            seed,
            keys: 9,
            pages_of: 4,
            orderly: true,
            opaque: false,
            server_side: false,
            token: true,
            compare: Compare::ETag,
            overwrite: Overwrite::Always,
            deletes: false,
            scans_max: 1,
            disturbed_one_in: 10,
            disturbances: 0,
            foreign: false,
            skew_ms: 0,
            clocks_apart_ms: 0,
            wiped: None,
            streams_max: 4,
            objects_per_task_max: 3,
            window_keys: 3,
            queue_depth_max: 6,
            host: Host::Process,
            events_max: 0,
            fleet: None,
        }
    }

    pub fn drawn(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0x000a_1b2c);
        let mut one_in = |n| chance.below(n) == 0;
        let opaque = one_in(6);
        let token = opaque || !one_in(8);
        let overwrite = if one_in(4) { Overwrite::Never } else { Overwrite::Always };
        let overwrite = if one_in(6) { Overwrite::Newer } else { overwrite };
        let weaker = [Compare::Size, Compare::SizeAndTime, Compare::Metadata, Compare::Always];
        let compare = if one_in(3) { pick(&weaker, seed / 3) } else { Compare::ETag };
        let (deletes, foreign, server_side) = (one_in(4), one_in(3), one_in(8));
        let wipe = pick(&[Wipe::Ledger, Wipe::Queues, Wipe::Both], chance.next());
        let wiped = (chance.below(4) == 0).then(|| (1 + chance.below(2), wipe));
        let mut few = |most| usize::try_from(1 + chance.below(most)).unwrap();
        let (streams_max, scans_max) = (few(6), few(3));
        let (objects_per_task_max, window_keys) = (few(4), few(5));
        Self {
            seed,
            keys: 2 + chance.below(6),
            pages_of: usize::try_from(1 + chance.below(6)).unwrap(),
            orderly: false,
            opaque,
            server_side,
            token,
            compare,
            overwrite,
            deletes,
            scans_max,
            disturbed_one_in: 5 + chance.below(60),
            disturbances: chance.below(4) * chance.below(5),
            foreign,
            skew_ms: chance.below(3) * 900,
            clocks_apart_ms: chance.below(3) * 15_000,
            wiped,
            streams_max,
            objects_per_task_max,
            window_keys,
            queue_depth_max: 2 + chance.below(8),
            fleet: pick(&[None, None, Some(Fleet::Polls), Some(Fleet::IsDead)], chance.next()),
            host: pick(&[Host::Process, Host::Process, Host::Functions], chance.next()),
            events_max: pick(&[0, 1, 4], chance.next()),
        }
    }

    pub(super) fn policy(&self) -> Policy {
        let guard = DeleteGuard { objects_max: 1_000, percent_max: 100 };
        let mut policy = Policy {
            multipart_threshold_bytes: u64::try_from(LARGE_BYTES).unwrap(),
            part_size_bytes: Some(5 << 20),
            compare: self.compare,
            overwrite: self.overwrite,
            delete: self.deletes.then_some(guard),
            token: self.token,
            server_side: if self.server_side { ServerSide::Always } else { ServerSide::Never },
            by_prefix: true,
            ..Policy::default()
        };
        policy.limits.streams_max = self.streams_max;
        policy.limits.objects_per_task_max = self.objects_per_task_max;
        policy.limits.bytes_per_parts_task = 5 << 20;
        policy.limits.window_keys = self.window_keys;
        policy.limits.scans_max = self.scans_max;
        policy.limits.queue_depth_max = self.queue_depth_max;
        policy
    }
}
