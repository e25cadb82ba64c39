//! A completer, from its claim to its end.

use std::rc::Rc;

use tranship_core::error::ErrorKind;
use tranship_core::object::ETag;
use tranship_core::protocol::{self, Lost, Next, NotAdmitted};
use tranship_core::rows::{Header, PartGroup};

use crate::planner::replan;
use crate::state::{
    Life, NOW, Object, PARTS_MAX, Parts, Row, Stands, TRANSFER, Uploads, bits, core_parts, head,
    numbers, small,
};
use crate::world::{Broken, Process, Rules, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Completer {
    pub(crate) row: Row,
    pub(crate) at: At,
}

/// The `ETag`s of a completion, by part.
pub(crate) type Named = [Option<u8>; PARTS_MAX];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum At {
    List,
    HeadSource(Named),
    Complete(Named),
    HeadDestination {
        answer: Answer,
    },
    /// The destination was looked at; does the upload live?
    Lives {
        answer: Answer,
        there: Object,
    },
    Landed {
        clean: bool,
    },
    Abort(Stands),
    LookOnceMore(Stands),
    Close(Stands),
    CloseAfter {
        stands: Stands,
        listed: Uploads,
    },
    Forget,
}

/// Why a new epoch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    SourceMoved,
    /// Unless others did something, it is not true or our own doing.
    UploadMoved,
    /// The parts are all there, and could have been completed over it.
    OwnCopyLanded,
}

/// What came of a completion, as far as the completer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Answer {
    Done,
    /// It was not sent, since the upload is not there.
    UploadGone,
    Unavailable,
    NoSuchUpload,
    PreconditionFailed,
    InvalidPart,
}

impl Answer {
    fn kind(self) -> Option<ErrorKind> {
        match self {
            Self::Done | Self::UploadGone => None,
            Self::Unavailable => Some(ErrorKind::Unavailable),
            Self::NoSuchUpload => Some(ErrorKind::NoSuchUpload),
            Self::PreconditionFailed => Some(ErrorKind::PreconditionFailed),
            Self::InvalidPart => Some(ErrorKind::InvalidPart),
        }
    }
}

pub(crate) fn claim(world: &mut World, rules: &Rules, epoch: u8) {
    let Some(header) = world.core_header(rules) else { return };
    let over = world.header.unwrap().over;
    let header = Rc::unwrap_or_clone(header);
    let Some(claimed) = protocol::claim(header, epoch.into(), NOW) else { return };
    let row = Row::of_core(&claimed, over);
    assert!(world.store(row));
    world.processes.push(Process::Completer(Completer { row, at: At::List }));
}

impl Completer {
    pub(crate) fn step(mut self, world: &mut World, rules: &Rules) {
        let next = match self.at {
            At::List => self.list(world, rules),
            At::HeadSource(named) => match world.source {
                0 => Some(At::Abort(Stands::Gone)),
                now if now != self.row.generation => self.replan(world, rules, Reason::SourceMoved),
                _ => Some(At::Complete(named)),
            },
            At::Complete(named) => {
                let answer = self.complete(world, named);
                Some(At::HeadDestination { answer })
            }
            At::HeadDestination { answer } => self.look(world, rules, answer),
            At::Lives { answer, there } => {
                let lived = world.is_open(self.row.upload.unwrap());
                self.decide(world, rules, answer, lived, there)
            }
            At::Landed { clean } => self.landed(world, rules, clean),
            At::Abort(stands) => {
                world.abort(numbers(self.left_by(rules, false)));
                let looks =
                    !rules.has(Broken::AbortsOnErrors) && !rules.has(Broken::BelievesAnswers);
                Some(if looks { At::LookOnceMore(stands) } else { At::Close(stands) })
            }
            At::LookOnceMore(stands) => {
                let there = head(world.destination, &world.uploads, rules.parts);
                let header = self.row.to_core(rules.parts);
                let landed = there.is_some_and(|it| protocol::is_ours(&header, TRANSFER, &it));
                Some(if landed { At::Landed { clean: false } } else { At::Close(stands) })
            }
            At::Close(stands) => {
                world.settle(self.row.account);
                let listed = if self.row.has_orphans { world.listed() } else { 0 };
                Some(At::CloseAfter { stands, listed })
            }
            At::CloseAfter { stands, listed } => Some(self.close(world, rules, stands, listed)),
            At::Forget => {
                // Whoever lost a race may have lost it to one who needs the parts.
                let now = world.header.unwrap();
                if now.epoch != self.row.epoch || now.stands.is_terminal() {
                    world.forget(self.row.epoch);
                }
                None
            }
        };
        if let Some(at) = next {
            self.at = at;
            world.processes.push(Process::Completer(self));
        }
    }

    /// The records and the upload's parts, and what the core admits of them.
    fn list(&mut self, world: &mut World, rules: &Rules) -> Option<At> {
        let upload = self.row.upload.unwrap();
        if !world.is_open(upload) {
            return Some(At::HeadDestination { answer: Answer::UploadGone });
        }
        let (group, there) = (*world.group(self.row.epoch), world.upload(upload).parts);
        if rules.has(Broken::Counts) {
            return Some(At::HeadSource(there.map(|sent| sent.map(|sent| sent.request))));
        }
        let (recorded, listed) = (group.to_core(), core_parts(&there, false));
        match self.admit(rules, std::slice::from_ref(&*recorded), &listed) {
            Ok(_) if rules.has(Broken::RecordedETags) => {
                Some(At::HeadSource(group.parts.map(|sent| sent.map(|sent| sent.request))))
            }
            Ok(named) => Some(At::HeadSource(named)),
            Err(_) => self.replan(world, rules, Reason::UploadMoved),
        }
    }

    fn admit(
        &self,
        rules: &Rules,
        recorded: &[PartGroup],
        listed: &[tranship_core::store::Part],
    ) -> Result<Named, NotAdmitted> {
        let header = self.row.to_core(rules.parts);
        let mut named = [None; PARTS_MAX];
        for (number, etag) in protocol::admit(&header, recorded, listed)? {
            named[usize::from(number.get()) - 1] = Some(request_of(&etag));
        }
        Ok(named)
    }

    /// The store's side of a completion.
    fn complete(&self, world: &mut World, named: Named) -> Answer {
        let number = self.row.upload.unwrap();
        let upload = *world.upload(number);
        if upload.life != Life::Open {
            return Answer::NoSuchUpload;
        }
        let mut visible: Parts = [None; PARTS_MAX];
        for (index, request) in named.iter().enumerate() {
            let Some(request) = request else { continue };
            match upload.parts[index].filter(|sent| sent.request == *request) {
                Some(sent) => visible[index] = Some(sent),
                None => return Answer::InvalidPart,
            }
        }
        if self.row.condition.is_some_and(|condition| condition != world.destination) {
            return Answer::PreconditionFailed;
        }
        world.land(number, visible, self.row.over);
        Answer::Done
    }

    /// What a completion answers that goes wrong on its way; whether it is done all the same.
    pub(crate) fn complete_badly(
        mut self,
        world: &mut World,
        answer: Answer,
        is_done: bool,
    ) -> bool {
        let At::Complete(named) = self.at else { return false };
        if is_done && self.complete(world, named) != Answer::Done {
            return false;
        }
        self.at = At::HeadDestination { answer };
        world.processes.push(Process::Completer(self));
        true
    }

    /// What a store may answer to a completion of what is complete already: that, too, happens.
    pub(crate) fn may_be_replayed(&self, world: &World) -> bool {
        let upload = self.row.upload.map(usize::from);
        matches!(self.at, At::Complete(_))
            && upload.is_some_and(|upload| world.uploads[upload].life == Life::Completed)
    }

    pub(crate) fn replay(mut self, world: &mut World, answer: Answer) {
        self.at = At::HeadDestination { answer };
        world.processes.push(Process::Completer(self));
    }

    /// A HEAD of the destination, whatever the answer was.
    fn look(&mut self, world: &mut World, rules: &Rules, answer: Answer) -> Option<At> {
        let there = world.destination;
        if rules.has(Broken::AbortsOnErrors) && answer.kind().is_some() {
            return Some(At::Abort(Stands::Parked));
        }
        if rules.has(Broken::BelievesAnswers) {
            match answer {
                Answer::NoSuchUpload => return self.replan(world, rules, Reason::UploadMoved),
                Answer::PreconditionFailed => return Some(At::Abort(Stands::Conflict)),
                _ => {}
            }
        }
        if rules.has(Broken::RecordedETags) && answer == Answer::InvalidPart {
            return self.replan(world, rules, Reason::UploadMoved);
        }
        if answer.kind().is_some() {
            return Some(At::Lives { answer, there });
        }
        self.decide(world, rules, answer, answer == Answer::Done, there)
    }

    fn decide(
        &mut self,
        world: &mut World,
        rules: &Rules,
        answer: Answer,
        lived: bool,
        there: Object,
    ) -> Option<At> {
        let header = self.row.to_core(rules.parts);
        let shown = head(there, &world.uploads, rules.parts);
        let over = !world.keeps || !matches!(there, Object::Foreign(_));
        let kind = answer.kind();
        match protocol::after_answer(&header, TRANSFER, kind, lived, shown.as_deref(), over) {
            Next::Landed { clean } => Some(At::Landed { clean }),
            Next::Rebase(_) if rules.has(Broken::NoRebase) => {
                self.replan(world, rules, Reason::OwnCopyLanded)
            }
            Next::Rebase(condition) => {
                self.row =
                    Row::of_core(&protocol::rebased(Header::clone(&header), condition), there);
                Some(if world.store(self.row) { At::List } else { At::Forget })
            }
            Next::Again(_) => Some(At::List),
            Next::Foreign => Some(At::Abort(Stands::Conflict)),
            Next::Refused => panic!("no completion is refused here"),
            Next::Lost => self.replan(world, rules, Reason::UploadMoved),
        }
    }

    /// It is visible; a source that moved in that very moment has the next epoch.
    fn landed(&mut self, world: &mut World, rules: &Rules, clean: bool) -> Option<At> {
        if world.source > 0 && world.source != self.row.generation {
            if clean {
                self.row.upload = None;
            }
            return self.replan(world, rules, Reason::SourceMoved);
        }
        world.abort(numbers(self.left_by(rules, clean)));
        Some(At::Close(Stands::Done))
    }

    fn left_by(&self, rules: &Rules, clean: bool) -> Uploads {
        bits(&protocol::left_by(&self.row.to_core(rules.parts), clean))
    }

    fn replan(&self, world: &mut World, rules: &Rules, reason: Reason) -> Option<At> {
        let is_ours = match reason {
            Reason::SourceMoved => false,
            Reason::UploadMoved => !world.ghosts.disturbed,
            Reason::OwnCopyLanded => true,
        };
        let stored = replan(world, rules, &self.row, None, self.row.epoch);
        if is_ours && stored {
            world.ghosts.blamed = world.header.unwrap().random;
        }
        None
    }

    /// Ends the header, unless it has moved on; looks again if only its account has.
    fn close(&mut self, world: &mut World, rules: &Rules, stands: Stands, listed: Uploads) -> At {
        let now = world.header.unwrap();
        let held = self.row.to_core(rules.parts);
        if now.revision == self.row.revision {
            world.abort_orphans(&self.row, listed, rules);
            let header = protocol::ended(Header::clone(&held), stands.into(), NOW);
            assert!(world.store(Row::of_core(&header, self.row.over)));
            return At::Forget;
        }
        let moved = Some(Header::clone(&now.to_core(rules.parts)));
        match protocol::after_losing(&held, moved, stands.into(), NOW) {
            Lost::Over => {}
            Lost::Close(_) => {
                self.row = now;
                return At::Close(stands);
            }
            Lost::LookAgain(released) => {
                assert!(world.store(Row::of_core(&released, now.over)));
            }
        }
        At::Forget
    }
}

fn request_of(etag: &ETag) -> u8 {
    small(etag.as_str().parse::<u16>().unwrap())
}
