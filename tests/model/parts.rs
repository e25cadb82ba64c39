//! Parts are interchangeable: all are of one size, in one group, and nothing is done in their order.
//! Of states in which they only change places, one is looked at.

use std::cmp::Ordering;

use crate::completer::{self, Named};
use crate::planner::{self, Planner};
use crate::state::{PARTS_MAX, Row, Sent, Task};
use crate::worker;
use crate::world::{Process, World};

/// One of the places where something is known of a part.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Sent(Option<Sent>),
    Named(Option<u8>),
    /// Of which epoch, and the planner but for its message.
    Planner(u8, (u8, bool, Row, planner::At)),
    Worker(Option<u8>, u8, u8, worker::At),
    Task(u8),
}

fn epoch_of(task: Option<Task>, index: u8) -> Option<u8> {
    match task? {
        Task::Part { epoch, index: of } if of == index => Some(epoch),
        Task::Part { .. } | Task::Plan { .. } => None,
    }
}

impl World {
    /// All that is known of a part, in an order in which the parts have none. Parts of which the same is
    /// known can change places, and nothing is changed.
    fn column(&self, index: u8) -> impl Iterator<Item = Known> {
        let at = usize::from(index);
        let uploads = self.uploads.iter().flat_map(move |it| [it.parts[at], it.visible[at]]);
        let sent = uploads.chain(self.groups.iter().map(move |group| group.parts[at]));
        let held = self.processes.iter().filter_map(move |process| match process {
            Process::Planner(Planner { task, forgets, looks_again, row, at }) => {
                let rest = (*forgets, *looks_again, *row, *at);
                epoch_of(*task, index).map(|epoch| Known::Planner(epoch, rest))
            }
            Process::Worker(it) if it.index == index => {
                Some(Known::Worker(epoch_of(it.task, index), it.epoch, it.upload, it.at))
            }
            Process::Worker(_) => None,
            Process::Completer(it) => it.at.names().map(|named| Known::Named(named[at])),
        });
        let tasks = self.tasks.iter().filter_map(move |task| epoch_of(Some(*task), index));
        sent.map(Known::Sent).chain(held).chain(tasks.map(Known::Task))
    }

    /// Completers are told apart by their rows, whatever parts they name.
    fn has_twins(&self) -> bool {
        let mut last = None;
        self.processes.iter().any(|process| match process {
            Process::Completer(it) if it.at.names().is_some() => {
                last.replace(it.row) == Some(it.row)
            }
            _ => false,
        })
    }

    /// Expects everything else in its order.
    pub(crate) fn sort_parts(&mut self, parts: u8) {
        if self.has_twins() {
            let all = orders(parts).into_iter();
            *self = all.map(|order| self.with_parts_at(order)).min().unwrap();
            return;
        }
        let is_sorted = (1..parts).all(|index| self.compare(index - 1, index) != Ordering::Greater);
        if is_sorted {
            return;
        }
        let mut sorted: Vec<u8> = (0..parts).collect();
        sorted.sort_by(|one, other| self.compare(*one, *other));
        let mut to = [0, 1, 2];
        for (place, index) in (0..).zip(sorted) {
            to[usize::from(index)] = place;
        }
        *self = self.with_parts_at(to);
    }

    fn compare(&self, one: u8, other: u8) -> Ordering {
        self.column(one).cmp(self.column(other))
    }

    /// The same with each part in another's place, and everything else in its order.
    pub(crate) fn with_parts_at(&self, to: [u8; PARTS_MAX]) -> Self {
        let mut world = self.clone();
        for upload in &mut world.uploads {
            upload.parts = moved(&upload.parts, to);
            upload.visible = moved(&upload.visible, to);
        }
        for group in &mut world.groups {
            group.parts = moved(&group.parts, to);
        }
        let rename = |task: &mut Task| {
            if let Task::Part { index, .. } = task {
                *index = to[usize::from(*index)];
            }
        };
        world.tasks.iter_mut().for_each(rename);
        for process in &mut world.processes {
            match process {
                Process::Planner(it) => it.task.iter_mut().for_each(rename),
                Process::Worker(it) => {
                    it.task.iter_mut().for_each(rename);
                    it.index = to[usize::from(it.index)];
                }
                Process::Completer(it) => {
                    if let Some(named) = it.at.named() {
                        *named = moved(named, to);
                    }
                }
            }
        }
        world.sort();
        world
    }
}

fn moved<T: Copy>(of: &[T; PARTS_MAX], to: [u8; PARTS_MAX]) -> [T; PARTS_MAX] {
    let mut parts = *of;
    for (part, place) in of.iter().zip(to) {
        parts[usize::from(place)] = *part;
    }
    parts
}

/// The orders of so many parts, by where each of them goes; the places that no part has stay.
pub(crate) fn orders(parts: u8) -> Vec<[u8; PARTS_MAX]> {
    let all = [[0, 1, 2], [1, 0, 2], [0, 2, 1], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let stays = |to: &[u8; PARTS_MAX]| (0..).zip(to).skip(parts.into()).all(|(at, to)| at == *to);
    all.into_iter().filter(stays).collect()
}

impl completer::At {
    /// The parts that it is about to complete, as their `ETag`s.
    pub(crate) fn names(&self) -> Option<&Named> {
        match self {
            Self::HeadSource(named) | Self::Complete(named) => Some(named),
            _ => None,
        }
    }

    pub(crate) fn named(&mut self) -> Option<&mut Named> {
        match self {
            Self::HeadSource(named) | Self::Complete(named) => Some(named),
            _ => None,
        }
    }
}
