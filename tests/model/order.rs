//! One of many states that differ only in the order of what has none, in names, and in what can no
//! longer make a difference.

use std::cell::OnceCell;

use tranship_core::protocol;

use crate::state::{
    GONE, Group, Life, Object, PARTS_MAX, Parts, Row, Sent, Task, UPLOADS_MAX, Upload, Uploads,
    numbers, small,
};
use crate::world::{Broken, Process, Rules, World};
use crate::{completer, planner, worker};

/// What any record of a part is, where nothing of it is read but that there is one.
const RECORDED: Sent = Sent { generation: 0, request: 1 };

impl Process {
    /// The epoch whose records it may read yet.
    fn reads(&self) -> Option<u8> {
        match self {
            Self::Completer(it) if it.at != completer::At::Forget => Some(it.row.epoch),
            _ => None,
        }
    }

    fn row(&mut self) -> Option<&mut Row> {
        match self {
            Self::Planner(it) => Some(&mut it.row),
            Self::Completer(it) => Some(&mut it.row),
            Self::Worker(_) => None,
        }
    }

    /// What it saw at the destination, and is about to decide by.
    fn sees(&mut self) -> Option<&mut Object> {
        match self {
            Self::Planner(it) => match &mut it.at {
                planner::At::HeadSource { there } => Some(there),
                _ => None,
            },
            Self::Completer(it) => match &mut it.at {
                completer::At::Lives { there, .. } => Some(there),
                _ => None,
            },
            Self::Worker(_) => None,
        }
    }

    fn listed(&mut self) -> Option<&mut Uploads> {
        match self {
            Self::Planner(it) => match &mut it.at {
                planner::At::AbortOrphans { listed } => Some(listed),
                _ => None,
            },
            Self::Completer(it) => match &mut it.at {
                completer::At::CloseAfter { listed, .. } => Some(listed),
                _ => None,
            },
            Self::Worker(_) => None,
        }
    }

    /// The upload that it knows of beside its row.
    fn upload(&mut self) -> Option<&mut u8> {
        match self {
            Self::Planner(it) => match &mut it.at {
                planner::At::Open { upload } | planner::At::AbortOwn { upload } => Some(upload),
                _ => None,
            },
            Self::Worker(it) => Some(&mut it.upload),
            Self::Completer(_) => None,
        }
    }
}

impl World {
    /// A revision stays as it is, although little is read of it but whether a process holds the last one:
    /// whoever writes the header for ever and comes no further would be in a circle else, which no
    /// search tells from rest.
    pub(crate) fn in_order(mut self, rules: &Rules) -> Self {
        self.drop_what_is_over(rules);
        self.forget_names(rules);
        self.sort();
        self.sort_parts(rules.parts);
        self
    }

    pub(crate) fn sort(&mut self) {
        self.tasks.sort_unstable();
        self.executions.sort_unstable();
        self.processes.sort_unstable();
    }

    /// All that follows changes nothing that anybody could do, or see, from now on.
    fn forget_names(&mut self, rules: &Rules) {
        self.forget_accounts();
        self.forget_what_has_ended();
        self.forget_blame();
        self.forget_the_dead();
        self.forget_what_lay_there();
        if !rules.has(Broken::RecordedETags) {
            self.forget_requests();
        }
        self.renumber_uploads();
    }

    fn rows(&mut self) -> impl Iterator<Item = &mut Row> {
        self.header.iter_mut().chain(self.processes.iter_mut().filter_map(Process::row))
    }

    /// Messages, executions and last steps that would find that there is nothing to do, now and
    /// whenever they come.
    pub(crate) fn drop_what_is_over(&mut self, rules: &Rules) {
        let Some(row) = self.header else { return };
        let header = OnceCell::new();
        let is_current = |epoch: u8| {
            let header = header.get_or_init(|| row.to_core(rules.parts));
            protocol::is_current(header, epoch.into())
        };
        let is_over = |epoch: u8| epoch < row.epoch || row.stands.is_terminal();
        let settled = self.settled;
        let is_due = |task: &Task| match task {
            Task::Plan { account } => settled >> account & 1 == 0,
            Task::Part { epoch, .. } => is_current(*epoch),
        };
        self.tasks.retain(is_due);
        self.executions.retain(|epoch| !is_over(*epoch));
        let read = self.processes.iter().filter_map(Process::reads);
        let read = read.fold(0_u32, |bits, epoch| bits | 1 << epoch);
        let is_read = |epoch: u8| read >> epoch & 1 == 1;
        let open = self.listed();
        self.processes.retain_mut(|process| match process {
            Process::Worker(it) => {
                it.task = it.task.filter(is_due);
                if matches!(it.at, worker::At::Upload { .. }) && open >> it.upload & 1 == 0 {
                    it.at = worker::At::Moved;
                }
                match it.at {
                    worker::At::Mark | worker::At::Moved => is_current(it.epoch),
                    worker::At::Trigger => !is_over(it.epoch),
                    worker::At::Record(_) => !is_over(it.epoch) || is_read(it.epoch),
                    worker::At::Upload { .. } => true,
                }
            }
            Process::Completer(it) => {
                let is_last = it.at == completer::At::Forget;
                !is_last || !is_over(it.row.epoch) || is_read(it.row.epoch)
            }
            Process::Planner(it) => {
                it.task = it.task.filter(is_due);
                match it.at {
                    planner::At::AbortOld if it.row.old_uploads & open == 0 => {
                        it.at = planner::At::Send;
                    }
                    planner::At::AbortFirst if it.row.old_uploads & open == 0 => {
                        it.looks_again = true;
                        it.at = planner::At::HeadDestination;
                    }
                    _ => {}
                }
                true
            }
        });
        for (epoch, group) in (1..).zip(&mut self.groups) {
            if is_over(epoch) && !is_read(epoch) {
                *group = Group::default();
            }
            if !is_current(epoch) {
                group.count = 0;
            }
            if rules.has(Broken::Counts) {
                group.parts = [None; PARTS_MAX];
            }
        }
        let used = self.groups.iter().rposition(|group| *group != Group::default());
        self.groups.truncate(used.map_or(0, |last| last + 1));
    }

    /// Whether an account has its outcome asks only who brings a message of it, and the end.
    fn forget_accounts(&mut self) {
        let of_processes = self.processes.iter().filter_map(|process| match process {
            Process::Planner(it) => it.task,
            Process::Worker(_) | Process::Completer(_) => None,
        });
        let asked = self.tasks.iter().copied().chain(of_processes).fold(
            1_u16 << self.accounts,
            |bits, task| match task {
                Task::Plan { account } => bits | 1 << account,
                Task::Part { .. } => bits,
            },
        );
        self.settled |= ((1 << self.accounts) - 1) & !asked;
    }

    /// The epoch after an end takes little of the header.
    fn forget_what_has_ended(&mut self) {
        let Some(row) = self.header.as_mut().filter(|row| row.stands.is_terminal()) else { return };
        (row.condition, row.over) = (None, Object::Absent);
        (row.is_full, row.attempt) = (false, 0);
    }

    /// An intent is blamed once it opens its upload: a planner that it has lost, or that is beyond that,
    /// does not.
    fn forget_blame(&mut self) {
        let Some(row) = self.header else { return };
        let blamed = self.ghosts.blamed;
        let opens = |process: &Process| match process {
            Process::Planner(it) => {
                let is_beyond = matches!(
                    it.at,
                    planner::At::AbortOwn { .. }
                        | planner::At::AbortOld
                        | planner::At::Send
                        | planner::At::End(_)
                );
                it.row.random == blamed && it.row.revision == row.revision && !is_beyond
            }
            Process::Worker(_) | Process::Completer(_) => false,
        };
        if blamed != 0 && !self.processes.iter().any(opens) {
            self.ghosts.blamed = 0;
        }
    }

    /// Of what was aborted, or is visible no more, nothing is left that anybody could see, unless
    /// somebody saw it and has not decided yet.
    fn forget_the_dead(&mut self) {
        let seen = self.seen();
        for (number, upload) in (0..).zip(&mut self.uploads) {
            if upload.life == Life::Open {
                continue;
            }
            upload.parts = [None; PARTS_MAX];
            if self.destination != Object::Copy(number) {
                upload.visible = [None; PARTS_MAX];
            }
            if seen >> number & 1 == 0 {
                (upload.epoch, upload.random, upload.generation) = (0, 0, 0);
            }
        }
        let open = self.listed();
        for row in self.rows() {
            if row.old_uploads & !open != 0 {
                row.old_uploads = (row.old_uploads & open) | (1 << GONE);
            }
        }
        for listed in self.processes.iter_mut().filter_map(Process::listed) {
            *listed &= open;
        }
    }

    /// Uploads whose copies lie at the destination, or were seen there by those who decide now.
    fn seen(&mut self) -> Uploads {
        let mut seen = 0;
        let there = self.processes.iter_mut().filter_map(Process::sees).map(|there| *there);
        for object in there.chain([self.destination]) {
            if let Object::Copy(upload) = object {
                seen |= 1 << upload;
            }
        }
        seen
    }

    /// What lies at the destination no more never comes back, but for nothing: no condition on it will
    /// ever hold. Of foreign objects one is like another.
    fn forget_what_lay_there(&mut self) {
        let there = self.destination;
        let is_foreign = matches!(there, Object::Foreign(_));
        let now = |object: Object| match object {
            Object::Absent => Object::Absent,
            same if same == there && is_foreign => Object::Foreign(1),
            same if same == there => same,
            Object::Foreign(_) | Object::Copy(_) => Object::Foreign(0),
        };
        for row in self.rows() {
            row.condition = row.condition.map(now);
            row.over = now(row.over);
        }
        for seen in self.processes.iter_mut().filter_map(Process::sees) {
            if matches!(seen, Object::Foreign(_)) {
                *seen = now(*seen);
            }
        }
        self.destination = now(there);
        self.foreigners = self.foreigners.min(1);
    }

    /// Requests tell only whether a completion names what its upload holds: a part that was sent again
    /// is another for ever. What is recorded or visible of them nobody reads, and of what is recorded
    /// nobody reads the generation either, since no listing here shows checksums.
    fn forget_requests(&mut self) {
        let same = |parts: &mut Parts| {
            parts.iter_mut().flatten().for_each(|sent| sent.request = 1);
        };
        for process in &mut self.processes {
            match process {
                Process::Worker(it) => {
                    if let worker::At::Record(sent) = &mut it.at {
                        *sent = RECORDED;
                    }
                }
                Process::Completer(it) => {
                    let Some(named) = it.at.named() else { continue };
                    let upload = self.uploads[usize::from(it.row.upload.unwrap())];
                    for (named, sent) in named.iter_mut().zip(upload.parts) {
                        let is_held = sent.map(|sent| sent.request) == *named;
                        let lives = upload.life == Life::Open;
                        *named = named.filter(|_| lives).map(|_| u8::from(is_held));
                    }
                }
                Process::Planner(_) => {}
            }
        }
        for sent in self.groups.iter_mut().flat_map(|group| &mut group.parts).flatten() {
            *sent = RECORDED;
        }
        for upload in &mut self.uploads {
            same(&mut upload.parts);
            same(&mut upload.visible);
        }
    }

    /// Uploads that are gone and that nobody names are left out, and of those that are named all that
    /// went the same way are one.
    fn renumber_uploads(&mut self) {
        if self.uploads.iter().all(|upload| upload.life == Life::Open) {
            return;
        }
        let mut named = self.seen();
        for row in self.rows() {
            named |= row.upload.map_or(0, |upload| 1 << upload);
        }
        for upload in self.processes.iter_mut().filter_map(Process::upload) {
            named |= 1 << *upload;
        }
        let mut kept: Vec<Upload> = Vec::with_capacity(self.uploads.len());
        let mut to = [GONE; UPLOADS_MAX];
        for (number, upload) in self.uploads.iter().enumerate() {
            let is_alive = upload.life == Life::Open || upload.epoch != 0;
            if !is_alive && named >> number & 1 == 0 {
                continue;
            }
            let same = kept.iter().position(|other| !is_alive && other == upload);
            to[number] = small(same.unwrap_or_else(|| {
                kept.push(*upload);
                kept.len() - 1
            }));
        }
        self.uploads = kept;
        self.name_uploads(|upload| to[usize::from(upload)]);
    }

    fn name_uploads(&mut self, to: impl Fn(u8) -> u8) {
        let all = |of: Uploads| numbers(of).fold(0, |bits, upload| bits | 1 << to(upload));
        let object = |object: &mut Object| {
            if let Object::Copy(upload) = object {
                *upload = to(*upload);
            }
        };
        for row in self.rows() {
            row.upload = row.upload.map(&to);
            row.old_uploads = all(row.old_uploads);
            row.condition.iter_mut().for_each(object);
            object(&mut row.over);
        }
        object(&mut self.destination);
        for process in &mut self.processes {
            process.sees().into_iter().for_each(object);
            process.listed().into_iter().for_each(|listed| *listed = all(*listed));
            process.upload().into_iter().for_each(|upload| *upload = to(*upload));
        }
    }
}
