//! One key with its two stores, the ledger, the queue, and the processes that are at work.

use std::rc::Rc;

use tranship_core::protocol;
use tranship_core::rows::Header;

use crate::completer::Completer;
use crate::planner::Planner;
use crate::state::{
    GONE, Group, Lease, Life, Object, PARTS_MAX, Parts, Row, Sent, Task, Upload, Uploads, numbers,
    open_upload, small, upload_number,
};
use crate::worker::Worker;

/// What may be wrong with the protocol on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Reads take what the source holds now.
    NoPin,
    /// Completions carry no condition.
    NoFence,
    /// A 404 or a 412 is taken for the truth.
    BelievesAnswers,
    /// Parts are counted instead of recorded, and what the upload lists is what is completed.
    Counts,
    /// Whatever a completion answers but 200 ends the upload.
    AbortsOnErrors,
    /// Nothing starts again what stopped.
    NoSweep,
    /// Only who marks the last group starts the completion.
    EdgeTriggered,
    /// Messages are deleted before their work.
    AcknowledgesFirst,
    /// Parts are completed by the `ETag`s that their senders were told.
    RecordedETags,
    /// Economy: old uploads are left alone until the end.
    NoAbortBeforeHead,
    /// Economy: a copy of ours that landed meanwhile costs a new epoch.
    NoRebase,
}

/// What may go wrong, each time at the cost of one fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A worker dies anywhere.
    Work,
    /// A planner or a completer dies anywhere.
    Crash,
    /// A message or an execution comes once more, or an execution never begins.
    Delivery,
    /// A completion's answer is lost, or is one that a repeated request got; a part is sent twice.
    Answer,
    /// The source is overwritten, restored or deleted.
    Source,
    /// Somebody else writes the destination's key, or deletes it.
    Foreign,
    /// The upload expires.
    Expiry,
    /// A lease lapses although its holder lives; the sweep comes although others are at work.
    Clock,
}

pub(crate) const ALL_KINDS: [Kind; 8] = [
    Kind::Work,
    Kind::Crash,
    Kind::Delivery,
    Kind::Answer,
    Kind::Source,
    Kind::Foreign,
    Kind::Expiry,
    Kind::Clock,
];

#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) parts: u8,
    pub(crate) faults: u8,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) broken: Vec<Broken>,
}

impl Rules {
    pub(crate) fn has(&self, broken: Broken) -> bool {
        self.broken.contains(&broken)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Process {
    Planner(Planner),
    Worker(Worker),
    Completer(Completer),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a witness of its own")]
pub(crate) struct Ghosts {
    /// A completion replaced what it was not planned over.
    pub(crate) clobbered: bool,
    /// An older epoch replaced a newer one.
    pub(crate) went_back: bool,
    /// The intent of the last epoch that began for a reason of our own making; 0 is none.
    pub(crate) blamed: u8,
    /// The upload of such an epoch was opened: what was copied is copied again.
    pub(crate) wasted: bool,
    /// Somebody else wrote at the destination or moved the source, or an upload expired.
    pub(crate) disturbed: bool,
    /// Generations whose copy was visible once, as bits.
    pub(crate) landed: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct World {
    pub(crate) faults_left: u8,
    /// The generation of the source; 0: there is none.
    pub(crate) source: u8,
    pub(crate) newest: u8,
    pub(crate) destination: Object,
    pub(crate) foreigners: u8,
    /// The policy: what is not ours stays. It is drawn when the first such object comes, and makes no
    /// difference before.
    pub(crate) keeps: bool,
    pub(crate) uploads: Vec<Upload>,
    pub(crate) header: Option<Row>,
    /// By epoch, from 1.
    pub(crate) groups: Vec<Group>,
    pub(crate) tasks: Vec<Task>,
    /// Epochs whose completion was asked for.
    pub(crate) executions: Vec<u8>,
    pub(crate) processes: Vec<Process>,
    pub(crate) accounts: u8,
    /// Accounts with an outcome, as bits.
    pub(crate) settled: u16,
    pub(crate) ghosts: Ghosts,
}

impl World {
    pub(crate) fn begin(faults: u8) -> Self {
        Self {
            faults_left: faults,
            source: 1,
            newest: 1,
            destination: Object::Absent,
            foreigners: 0,
            keeps: false,
            uploads: Vec::new(),
            header: None,
            groups: Vec::new(),
            tasks: vec![Task::Plan { account: 1 }],
            executions: Vec::new(),
            processes: Vec::new(),
            accounts: 1,
            settled: 0,
            ghosts: Ghosts::default(),
        }
    }

    pub(crate) fn core_header(&self, rules: &Rules) -> Option<Rc<Header>> {
        self.header.map(|row| row.to_core(rules.parts))
    }

    /// A compare-and-set on the revision; `false`: somebody was faster.
    pub(crate) fn store(&mut self, row: Row) -> bool {
        let now = self.header.map_or(0, |row| row.revision);
        let may = now + 1 == row.revision;
        if may {
            self.header = Some(row);
        }
        may
    }

    pub(crate) fn settle(&mut self, account: u8) {
        self.settled |= 1 << account;
    }

    pub(crate) fn is_settled(&self, account: u8) -> bool {
        self.settled >> account & 1 == 1
    }

    pub(crate) fn start(&mut self, epoch: u8) {
        if !self.executions.contains(&epoch) {
            self.executions.push(epoch);
        }
    }

    pub(crate) fn send_parts(&mut self, epoch: u8, parts: u8) {
        self.tasks.extend((0..parts).map(|index| Task::Part { epoch, index }));
    }

    pub(crate) fn group(&mut self, epoch: u8) -> &mut Group {
        let at = usize::from(epoch) - 1;
        if self.groups.len() <= at {
            self.groups.resize(at + 1, Group::default());
        }
        &mut self.groups[at]
    }

    pub(crate) fn forget(&mut self, epoch: u8) {
        *self.group(epoch) = Group::default();
    }

    pub(crate) fn upload(&mut self, upload: u8) -> &mut Upload {
        &mut self.uploads[usize::from(upload)]
    }

    pub(crate) fn is_open(&self, upload: u8) -> bool {
        self.uploads[usize::from(upload)].life == Life::Open
    }

    pub(crate) fn create(&mut self, row: &Row) -> u8 {
        self.uploads.push(Upload {
            epoch: row.epoch,
            random: row.random,
            generation: row.generation,
            life: Life::Open,
            parts: [None; PARTS_MAX],
            visible: [None; PARTS_MAX],
        });
        let number = small(self.uploads.len() - 1);
        assert!(number < GONE, "{self:?}");
        number
    }

    pub(crate) fn abort(&mut self, uploads: impl IntoIterator<Item = u8>) {
        for upload in uploads {
            let there = self.uploads.get_mut(usize::from(upload));
            if let Some(upload) = there.filter(|upload| upload.life == Life::Open) {
                upload.life = Life::Aborted;
            }
        }
    }

    /// Sends a part; what the sender is told, if the upload is there.
    pub(crate) fn send_part(&mut self, upload: u8, index: u8, generation: u8) -> Option<Sent> {
        let upload = self.upload(upload);
        let slot = &mut upload.parts[usize::from(index)];
        let sent = Sent { generation, request: slot.map_or(0, |sent| sent.request + 1) };
        (upload.life == Life::Open).then(|| *slot.insert(sent))
    }

    /// Open uploads, as bits.
    pub(crate) fn listed(&self) -> Uploads {
        let open = (0..).zip(&self.uploads).filter(|(_, upload)| upload.life == Life::Open);
        open.fold(0, |bits, (number, _)| bits | 1 << number)
    }

    /// Aborts what the core takes for orphans, of what was listed.
    pub(crate) fn abort_orphans(&mut self, row: &Row, listed: Uploads, rules: &Rules) {
        let open = numbers(listed).map(open_upload).collect();
        let orphans = protocol::orphans(&row.to_core(rules.parts), open);
        self.abort(orphans.iter().map(upload_number));
    }

    /// Makes an upload visible. `over` is what its plan saw.
    pub(crate) fn land(&mut self, upload: u8, visible: Parts, over: Object) {
        let before = self.destination;
        self.destination = Object::Copy(upload);
        let (epoch, generation) = {
            let upload = self.upload(upload);
            upload.life = Life::Completed;
            upload.visible = visible;
            (upload.epoch, upload.generation)
        };
        self.ghosts.landed |= 1 << generation;
        self.ghosts.clobbered |= before != over;
        if let Object::Copy(before) = before {
            self.ghosts.went_back |= self.upload(before).epoch >= epoch;
        }
    }

    /// Somebody else puts something at the destination, or nothing. A copy of ours that goes by this has to
    /// be made again, whoever began another epoch before.
    pub(crate) fn replace(&mut self, by: Object) {
        if let Object::Copy(_) = self.destination {
            self.ghosts.blamed = 0;
        }
        self.destination = by;
        self.ghosts.disturbed = true;
    }

    /// Whether nothing happens by itself, but for what the sweep does.
    pub(crate) fn is_quiet(&self) -> bool {
        self.processes.is_empty() && self.tasks.is_empty() && self.executions.is_empty()
    }

    /// Whether a lease is held, and who holds it is at work.
    pub(crate) fn lease(&self) -> Option<bool> {
        let row = self.header.filter(|row| row.lease == Lease::Held)?;
        let holds = |process: &Process| match process {
            Process::Completer(it) => it.row.epoch == row.epoch && it.row.attempt == row.attempt,
            Process::Planner(_) | Process::Worker(_) => false,
        };
        Some(self.processes.iter().any(holds))
    }
}
