//! A worker on one part.

use std::rc::Rc;

use tranship_core::protocol::{self, Marked};

use crate::planner::replan;
use crate::state::{NOW, Row, Sent, Task, layout};
use crate::world::{Broken, Process, Rules, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Worker {
    pub(crate) task: Option<Task>,
    pub(crate) epoch: u8,
    pub(crate) index: u8,
    pub(crate) upload: u8,
    pub(crate) at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum At {
    /// Bytes of this generation are on their way.
    Upload {
        generation: u8,
    },
    Record(Sent),
    Mark,
    Trigger,
    Moved,
}

/// The header is read, then the group, then the source.
pub(crate) fn take(world: &mut World, rules: &Rules, task: Task, epoch: u8, index: u8) {
    let Some(header) = world.core_header(rules) else { return };
    if !protocol::is_current(&header, epoch.into()) {
        return;
    }
    let row = world.header.unwrap();
    let counts = rules.has(Broken::Counts);
    let is_recorded = world.group(epoch).parts[usize::from(index)].is_some() && !counts;
    let is_there = world.source > 0;
    let at = if is_recorded {
        At::Mark
    } else if is_there && (world.source == row.generation || rules.has(Broken::NoPin)) {
        At::Upload { generation: world.source }
    } else {
        At::Moved
    };
    let kept = (!rules.has(Broken::AcknowledgesFirst)).then_some(task);
    let upload = row.upload.unwrap();
    world.processes.push(Process::Worker(Worker { task: kept, epoch, index, upload, at }));
}

impl Worker {
    pub(crate) fn step(mut self, world: &mut World, rules: &Rules) {
        let next = match self.at {
            At::Upload { generation } => {
                match world.send_part(self.upload, self.index, generation) {
                    Some(sent) => At::Record(sent),
                    None => At::Moved,
                }
            }
            At::Record(sent) => {
                let group = world.group(self.epoch);
                group.parts[usize::from(self.index)] = Some(sent);
                if rules.has(Broken::Counts) {
                    group.count += 1;
                }
                At::Mark
            }
            At::Mark if self.mark(world, rules) => At::Trigger,
            At::Mark => return,
            At::Trigger => return world.start(self.epoch),
            At::Moved => {
                let header = world.core_header(rules);
                let epoch = self.epoch.into();
                if header.is_some_and(|header| protocol::is_current(&header, epoch)) {
                    let row: Row = world.header.unwrap();
                    replan(world, rules, &row, self.task, 0);
                }
                return;
            }
        };
        self.at = next;
        world.processes.push(Process::Worker(self));
    }

    /// Marks the group if it is full; whether the completion is to be started.
    fn mark(&self, world: &mut World, rules: &Rules) -> bool {
        let group = *world.group(self.epoch);
        let is_full = if rules.has(Broken::Counts) {
            group.count >= rules.parts
        } else {
            group.to_core().is_full(&layout(rules.parts), 0)
        };
        if !is_full {
            return false;
        }
        let over = world.header.map(|row| row.over);
        let header = world.core_header(rules).map(Rc::unwrap_or_clone);
        let now = match protocol::mark_full(header, self.epoch.into(), 0, NOW) {
            Marked::Late => return false,
            Marked::Already(_) if rules.has(Broken::EdgeTriggered) => return false,
            Marked::Already(header) => header,
            Marked::Now(header) => {
                assert!(world.store(Row::of_core(&header, over.unwrap())));
                header
            }
        };
        now.is_full()
    }
}
