//! A planner: on its own message, or inside whoever found that an epoch is over.

use std::rc::Rc;

use tranship_core::object::UploadId;
use tranship_core::protocol::{self, Intent};
use tranship_core::rows::Header;

use crate::state::{
    NOW, Object, Row, Stands, TRANSFER, Task, Uploads, fresh, head, identity, layout, numbers,
    upload_id,
};
use crate::world::{Broken, Process, Rules, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Planner {
    pub(crate) task: Option<Task>,
    /// The epoch whose records are forgotten in the end; 0 is none.
    pub(crate) forgets: u8,
    /// Uploads of earlier epochs were aborted, and both sides are looked at once more.
    pub(crate) looks_again: bool,
    pub(crate) row: Row,
    pub(crate) at: At,
}

impl Planner {
    fn at_work(task: Option<Task>, forgets: u8, row: Row, at: At) -> Process {
        Process::Planner(Self { task, forgets, looks_again: false, row, at })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum At {
    ListOrphans,
    AbortOrphans { listed: Uploads },
    HeadDestination,
    HeadSource { there: Object },
    AbortFirst,
    Create,
    Open { upload: u8 },
    AbortOwn { upload: u8 },
    AbortOld,
    Send,
    End(Stands),
}

/// The message asks for a plan.
pub(crate) fn take(world: &mut World, rules: &Rules, task: Task, account: u8) {
    if world.is_settled(account) {
        return;
    }
    let kept = (!rules.has(Broken::AcknowledgesFirst)).then_some(task);
    let existing = world.core_header(rules);
    let over = world.header.map_or(Object::Absent, |row| row.over);
    let random = world.header.map_or(0, |row| row.random) + 1;
    let is_ours = world.header.is_some_and(|row| row.account == account);
    let source =
        (existing.is_some() && world.source > 0).then(|| identity(world.source, rules.parts));
    let existing = existing.map(Rc::unwrap_or_clone);
    match protocol::intend(existing, fresh(account, random), source.as_ref(), false) {
        Intent::Superseded | Intent::Parked(_) => world.settle(account),
        Intent::GoOn(header) => {
            let mut row = Row::of_core(&header, over);
            if !is_ours {
                row.revision += 1;
                assert!(world.store(row));
            }
            if row.stands == Stands::Completing || row.is_full {
                world.start(row.epoch);
            } else {
                let at = At::Send;
                world.processes.push(Planner::at_work(kept, 0, row, at));
            }
        }
        Intent::Plan(mut header) => {
            header.revision += 1;
            let row = Row::of_core(&header, Object::Absent);
            assert!(world.store(row));
            let at = first(&row, rules);
            world.processes.push(Planner::at_work(kept, 0, row, at));
        }
    }
}

fn first(row: &Row, rules: &Rules) -> At {
    let skips = rules.has(Broken::NoAbortBeforeHead) || !row.has_orphans;
    if skips { At::HeadDestination } else { At::ListOrphans }
}

/// Whoever holds this header begins a new epoch of it, unless somebody was faster.
pub(crate) fn replan(
    world: &mut World,
    rules: &Rules,
    row: &Row,
    task: Option<Task>,
    forgets: u8,
) -> bool {
    let header = row.to_core(rules.parts);
    let fresh = fresh(row.account, row.random + 1);
    let next = protocol::next_try(Header::clone(&header), &fresh, header.tries);
    let is_parked = next.is_none();
    let parked = || protocol::parked(Header::clone(&header), String::new(), NOW);
    let mut next = next.unwrap_or_else(parked);
    next.revision = u64::from(row.revision) + 1;
    let next = Row::of_core(&next, Object::Absent);
    let stored = world.store(next);
    if stored && !is_parked {
        let at = first(&next, rules);
        world.processes.push(Planner::at_work(task, forgets, next, at));
    } else if forgets > 0 {
        world.forget(forgets);
    }
    stored
}

impl Planner {
    pub(crate) fn step(mut self, world: &mut World, rules: &Rules) {
        let old = self.row.old_uploads;
        let next = match self.at {
            At::ListOrphans => At::AbortOrphans { listed: world.listed() },
            At::AbortOrphans { listed } => {
                if world.header.is_none_or(|now| now.revision != self.row.revision) {
                    return self.overtaken(world);
                }
                world.abort_orphans(&self.row, listed, rules);
                At::HeadDestination
            }
            At::HeadDestination => At::HeadSource { there: world.destination },
            At::HeadSource { there } => self.plan_over(world, rules, there),
            At::Create => At::Open { upload: world.create(&self.row) },
            At::Open { upload } => {
                let header = Header::clone(&self.row.to_core(rules.parts));
                let opened = protocol::opened(header, UploadId(upload_id(upload).0), NOW);
                self.row = Row::of_core(&opened, self.row.over);
                if !world.store(self.row) {
                    self.at = At::AbortOwn { upload };
                    return world.processes.push(Process::Planner(self));
                }
                world.ghosts.wasted |= world.ghosts.blamed == self.row.random;
                if old == 0 || rules.has(Broken::NoAbortBeforeHead) {
                    At::Send
                } else {
                    At::AbortOld
                }
            }
            At::AbortFirst => {
                world.abort(numbers(old));
                self.looks_again = true;
                At::HeadDestination
            }
            At::AbortOwn { upload } => {
                world.abort([upload]);
                return self.overtaken(world);
            }
            At::AbortOld => {
                world.abort(numbers(old));
                At::Send
            }
            At::Send => {
                world.send_parts(self.row.epoch, rules.parts);
                return self.forget(world);
            }
            At::End(stands) => {
                world.abort(numbers(old));
                let header = Header::clone(&self.row.to_core(rules.parts));
                let header = protocol::ended(header, stands.into(), NOW);
                if world.store(Row::of_core(&header, self.row.over)) {
                    return self.forget(world);
                }
                return self.overtaken(world);
            }
        };
        self.at = next;
        world.processes.push(Process::Planner(self));
    }

    /// The source is read after the destination.
    fn plan_over(&mut self, world: &mut World, rules: &Rules, there: Object) -> At {
        if world.source == 0 {
            world.settle(self.row.account);
            return At::End(Stands::Gone);
        }
        let source = identity(world.source, rules.parts);
        let shown = head(there, &world.uploads, rules.parts);
        let mut header = Header::clone(&self.row.to_core(rules.parts));
        let is_foreign = matches!(there, Object::Foreign(_));
        let stands = match &shown {
            Some(it) if protocol::has_landed_before(&header, TRANSFER, &source, it) => {
                Some(Stands::Done)
            }
            Some(_) if is_foreign && world.keeps => Some(Stands::Conflict),
            _ => None,
        };
        if let Some(stands) = stands {
            if self.row.old_uploads != 0 && !self.looks_again {
                return At::AbortFirst;
            }
            world.settle(self.row.account);
            return At::End(stands);
        }
        let fenced = !rules.has(Broken::NoFence);
        protocol::plan_over(&mut header, TRANSFER, shown.as_deref(), fenced);
        header.source = Some(source);
        header.layout = Some(layout(rules.parts));
        self.row = Row::of_core(&header, there);
        At::Create
    }

    /// Somebody else has the header now. A message whose account nobody carries comes again.
    fn overtaken(self, world: &mut World) {
        let is_carried = self.carried_by(world.header.as_ref());
        if let (Some(task @ Task::Plan { .. }), false) = (self.task, is_carried) {
            world.tasks.push(task);
        }
        self.forget(world);
    }

    fn carried_by(&self, now: Option<&Row>) -> bool {
        now.is_some_and(|now| !now.stands.is_terminal() && now.account == self.row.account)
    }

    fn forget(self, world: &mut World) {
        if self.forgets > 0 {
            world.forget(self.forgets);
        }
    }
}
