//! The model as the checker sees it: what may happen next, and what must never be.

use stateright::{Model, Property};
use tranship_core::protocol::{self, Resume};
use tranship_core::rows::Header;

use crate::completer::{self, Answer};
use crate::planner;
use crate::state::{Lease, Life, NOW, Object, Row, Sent, Stands, TRANSFER, Task, head, numbers};
use crate::worker;
use crate::world::{Broken, Kind, Process, Rules, World};

/// Planners, workers and completers that are at work at one time.
const AT_ONCE: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Take(Task),
    Claim(u8),
    /// By place: the order of the processes is part of the state.
    Step(usize),
    /// The store is asked to complete what is complete.
    Replay(usize, Answer),
    Sweep,
    LeaseLapses,
    Fault(Fault),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    WorkerDies(usize),
    Crash(usize),
    Again(Task),
    StartAgain(u8),
    StartLost(u8),
    Answer(usize, Answer, bool),
    SentTwice { upload: u8, index: u8 },
    Overwrite(u8),
    Delete,
    ForeignWrite { keeps: bool },
    ForeignDelete,
    Expire(u8),
    LapseUnderHolder,
    ImpatientSweep,
}

impl Fault {
    fn kind(self) -> Kind {
        match self {
            Self::WorkerDies(_) => Kind::Work,
            Self::Crash(_) => Kind::Crash,
            Self::Again(_) | Self::StartAgain(_) | Self::StartLost(_) => Kind::Delivery,
            Self::Answer(..) | Self::SentTwice { .. } => Kind::Answer,
            Self::Overwrite(_) | Self::Delete => Kind::Source,
            Self::ForeignWrite { .. } | Self::ForeignDelete => Kind::Foreign,
            Self::Expire(_) => Kind::Expiry,
            Self::LapseUnderHolder | Self::ImpatientSweep => Kind::Clock,
        }
    }
}

impl Model for Rules {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::begin(self.faults)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        free(self, world, actions);
        if world.faults_left > 0 {
            let mut faults = Vec::new();
            of_processes(world, &mut faults);
            of_the_world(world, &mut faults);
            let may = |fault: &Fault| self.kinds.contains(&fault.kind());
            actions.extend(faults.into_iter().filter(may).map(Action::Fault));
        }
    }

    /// What is as it was but for a fault that is spent is no other state: all that may come of it comes
    /// of the one before.
    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let world = happen(self, last, action)?.in_order(self);
        let faults_left = last.faults_left;
        let is_new = World { faults_left, ..world.clone() } != *last;
        is_new.then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(WHOLE, is_whole),
            Property::always(UNCLOBBERED, |_: &Self, world: &World| !world.ghosts.clobbered),
            Property::always(FORWARDS, |_: &Self, world: &World| !world.ghosts.went_back),
            Property::always(DONE_LANDED, |_: &Self, world: &World| done_is_landed(world)),
            Property::always(FAILED_NOT_LANDED, |_: &Self, world: &World| {
                failed_is_not_landed(world)
            }),
            Property::always(NOTHING_LEFT, |rules: &Self, world: &World| {
                !is_at_rest(rules, world) || what_is_left(world).is_none()
            }),
            Property::always(NO_WASTE, |_: &Self, world: &World| !world.ghosts.wasted),
        ]
    }
}

/// `None`: it cannot happen here, or makes no difference.
pub(crate) fn happen(rules: &Rules, last: &World, action: Action) -> Option<World> {
    let mut world = last.clone();
    let happens = match action {
        Action::Take(task) => {
            remove(&mut world.tasks, &task);
            match task {
                Task::Plan { account } => planner::take(&mut world, rules, task, account),
                Task::Part { epoch, index } => {
                    worker::take(&mut world, rules, task, epoch, index);
                }
            }
            true
        }
        Action::Claim(epoch) => {
            remove(&mut world.executions, &epoch);
            completer::claim(&mut world, rules, epoch);
            true
        }
        Action::Step(at) => {
            match world.processes.remove(at) {
                Process::Planner(it) => it.step(&mut world, rules),
                Process::Worker(it) => it.step(&mut world, rules),
                Process::Completer(it) => it.step(&mut world, rules),
            }
            true
        }
        Action::Replay(at, answer) => {
            let Process::Completer(it) = world.processes.remove(at) else { return None };
            it.replay(&mut world, answer);
            true
        }
        Action::Sweep => sweep(&mut world, rules),
        Action::LeaseLapses => {
            world.header.as_mut()?.lease = Lease::Lapsed;
            true
        }
        Action::Fault(fault) => {
            world.faults_left -= 1;
            apply(&mut world, rules, fault)
        }
    };
    happens.then_some(world)
}

pub(crate) const WHOLE: &str = "what is visible is whole, and of one generation";
pub(crate) const UNCLOBBERED: &str = "nothing is written over that was not planned over";
pub(crate) const FORWARDS: &str = "epochs only grow";
pub(crate) const DONE_LANDED: &str = "done is landed";
pub(crate) const FAILED_NOT_LANDED: &str = "failed is not landed";
pub(crate) const NOTHING_LEFT: &str = "at rest, nothing is left to do";
pub(crate) const NO_WASTE: &str = "no copy is made again for a reason of our own";
/// The invariants that safety is; [`NO_WASTE`] is what economy is about.
pub(crate) const SAFETY: [&str; 6] =
    [WHOLE, UNCLOBBERED, FORWARDS, DONE_LANDED, FAILED_NOT_LANDED, NOTHING_LEFT];

fn remove<T: PartialEq>(of: &mut Vec<T>, it: &T) {
    let at = of.iter().position(|other| other == it).unwrap();
    of.remove(at);
}

/// What happens by itself.
fn free(rules: &Rules, world: &World, actions: &mut Vec<Action>) {
    let count = |is: fn(&Process) -> bool| world.processes.iter().filter(|p| is(p)).count();
    let may_plan = count(|p| matches!(p, Process::Planner(_))) < AT_ONCE;
    let may_work = count(|p| matches!(p, Process::Worker(_))) < AT_ONCE;
    let may_complete = count(|p| matches!(p, Process::Completer(_))) < AT_ONCE;
    let mut tasks = world.tasks.clone();
    tasks.dedup();
    actions.extend(tasks.into_iter().filter_map(|task| {
        let may = if matches!(task, Task::Plan { .. }) { may_plan } else { may_work };
        may.then_some(Action::Take(task))
    }));
    if may_complete {
        actions.extend(world.executions.iter().copied().map(Action::Claim));
    }
    for (at, process) in world.processes.iter().enumerate() {
        actions.push(Action::Step(at));
        if let Process::Completer(it) = process
            && it.may_be_replayed(world)
        {
            let answers = [Answer::Done, Answer::PreconditionFailed];
            actions.extend(answers.map(|answer| Action::Replay(at, answer)));
        }
    }
    if world.lease() == Some(false) {
        actions.push(Action::LeaseLapses);
    }
    if world.is_quiet() && !rules.has(Broken::NoSweep) {
        actions.push(Action::Sweep);
    }
}

fn of_processes(world: &World, faults: &mut Vec<Fault>) {
    for (at, process) in world.processes.iter().enumerate() {
        let works = matches!(process, Process::Worker(_));
        faults.push(if works { Fault::WorkerDies(at) } else { Fault::Crash(at) });
        let task = match process {
            Process::Planner(it) => it.task,
            Process::Worker(it) => it.task,
            Process::Completer(it) => {
                if matches!(it.at, completer::At::Complete(_)) {
                    faults.extend([
                        Fault::Answer(at, Answer::Unavailable, false),
                        Fault::Answer(at, Answer::Unavailable, true),
                        Fault::Answer(at, Answer::NoSuchUpload, true),
                        Fault::Answer(at, Answer::PreconditionFailed, true),
                    ]);
                }
                None
            }
        };
        faults.extend(task.map(Fault::Again));
    }
    let mut tasks = world.tasks.clone();
    tasks.dedup();
    faults.extend(tasks.into_iter().map(Fault::Again));
    for epoch in &world.executions {
        faults.push(Fault::StartLost(*epoch));
    }
    if let Some(row) = world.header.filter(|row| !world.executions.contains(&row.epoch))
        && (row.is_full || row.stands == Stands::Completing)
    {
        faults.push(Fault::StartAgain(row.epoch));
    }
}

fn of_the_world(world: &World, faults: &mut Vec<Fault>) {
    faults.push(Fault::Delete);
    let may_keep = if world.foreigners == 0 { &[false, true][..] } else { &[world.keeps] };
    faults.extend(may_keep.iter().map(|keeps| Fault::ForeignWrite { keeps: *keeps }));
    let others = (1..=world.newest + 1).filter(|generation| *generation != world.source);
    faults.extend(others.map(Fault::Overwrite));
    if world.destination != Object::Absent {
        faults.push(Fault::ForeignDelete);
    }
    if world.lease() == Some(true) {
        faults.push(Fault::LapseUnderHolder);
    }
    if !world.is_quiet() && world.header.is_some() {
        faults.push(Fault::ImpatientSweep);
    }
    for (number, upload) in (0..).zip(&world.uploads) {
        if upload.life == Life::Open {
            faults.push(Fault::Expire(number));
            let sent = (0..).zip(&upload.parts).filter(|(_, sent)| sent.is_some());
            faults.extend(sent.map(|(index, _)| Fault::SentTwice { upload: number, index }));
        }
    }
}

/// `false`: it cannot happen here, or makes no difference.
fn apply(world: &mut World, rules: &Rules, fault: Fault) -> bool {
    match fault {
        Fault::WorkerDies(at) | Fault::Crash(at) => {
            let task = match world.processes.remove(at) {
                Process::Planner(it) => it.task,
                Process::Worker(it) => it.task,
                Process::Completer(_) => None,
            };
            world.tasks.extend(task);
        }
        Fault::Again(task) => world.tasks.push(task),
        Fault::StartAgain(epoch) => world.start(epoch),
        Fault::StartLost(epoch) => remove(&mut world.executions, &epoch),
        Fault::Answer(at, answer, is_done) => {
            let Process::Completer(it) = world.processes.remove(at) else { return false };
            return it.complete_badly(world, answer, is_done);
        }
        Fault::SentTwice { upload, index } => {
            let sent = world.upload(upload).parts[usize::from(index)].unwrap();
            world.send_part(upload, index, sent.generation);
        }
        Fault::Overwrite(generation) => {
            world.source = generation;
            world.newest = world.newest.max(generation);
            world.accounts += 1;
            world.ghosts.disturbed = true;
            world.tasks.push(Task::Plan { account: world.accounts });
        }
        Fault::Delete => {
            world.source = 0;
            world.ghosts.disturbed = true;
        }
        Fault::ForeignWrite { keeps } => {
            world.keeps = keeps;
            world.foreigners += 1;
            world.replace(Object::Foreign(world.foreigners));
        }
        Fault::ForeignDelete => world.replace(Object::Absent),
        Fault::Expire(upload) => {
            world.upload(upload).life = Life::Aborted;
            world.ghosts.disturbed = true;
        }
        Fault::LapseUnderHolder => match &mut world.header {
            Some(row) => row.lease = Lease::Lapsed,
            None => return false,
        },
        Fault::ImpatientSweep => return sweep(world, rules),
    }
    true
}

/// What is due is started again, and what a planner that is gone left behind is aborted. `false`:
/// there is nothing to do.
fn sweep(world: &mut World, rules: &Rules) -> bool {
    let Some(row) = world.header else { return false };
    let header = row.to_core(rules.parts);
    match protocol::resume(&header, true, NOW) {
        Resume::Replan => planner::replan(world, rules, &row, None, 0),
        Resume::Complete => {
            world.start(row.epoch);
            true
        }
        Resume::Resend(header) => {
            let stored = world.store(Row::of_core(&header, row.over));
            world.send_parts(row.epoch, rules.parts);
            stored
        }
        Resume::Clear => clear(world, rules, row),
        Resume::Nothing if row.has_orphans => {
            let listed = world.listed();
            world.abort_orphans(&row, listed, rules);
            let revision = row.revision + 1;
            world.store(Row { has_orphans: false, revision, ..row })
        }
        Resume::Nothing => false,
    }
}

/// The second half of parking.
fn clear(world: &mut World, rules: &Rules, mut row: Row) -> bool {
    world.abort(numbers(row.old_uploads));
    let listed = world.listed();
    world.abort_orphans(&row, listed, rules);
    row.has_orphans = false;
    let there = head(world.destination, &world.uploads, rules.parts);
    let mut header = Header::clone(&row.to_core(rules.parts));
    world.settle(row.account);
    let landed = there.is_some_and(|there| protocol::is_ours(&header, TRANSFER, &there));
    header.end(if landed { Stands::Done.into() } else { header.status });
    world.forget(row.epoch);
    world.store(Row::of_core(&header, row.over))
}

/// Every part that was planned, all of the generation that the plan was made for.
fn is_whole(rules: &Rules, world: &World) -> bool {
    let Object::Copy(upload) = world.destination else { return true };
    let upload = &world.uploads[usize::from(upload)];
    let visible = upload.visible.iter().take(usize::from(rules.parts));
    let is_right = |sent: &Sent| sent.generation == upload.generation;
    visible.into_iter().all(|sent| sent.as_ref().is_some_and(is_right))
}

fn done_is_landed(world: &World) -> bool {
    world.header.is_none_or(|row| {
        row.stands != Stands::Done
            || (world.ghosts.landed != 0
                && (row.generation == 0 || world.ghosts.landed >> row.generation & 1 == 1))
    })
}

fn failed_is_not_landed(world: &World) -> bool {
    let Some(row) = &world.header else { return true };
    if !row.stands.is_terminal() || row.stands == Stands::Done {
        return true;
    }
    let Object::Copy(upload) = world.destination else { return true };
    let upload = &world.uploads[usize::from(upload)];
    (upload.epoch, upload.random) != (row.epoch, row.random)
}

/// Whether nothing happens any more unless something goes wrong.
fn is_at_rest(rules: &Rules, world: &World) -> bool {
    let mut swept = world.clone();
    world.is_quiet()
        && world.lease() != Some(false)
        && (rules.has(Broken::NoSweep) || !sweep(&mut swept, rules))
}

/// What should have been done, once nothing is done any more.
pub(crate) fn what_is_left(world: &World) -> Option<&'static str> {
    if world.listed() != 0 {
        return Some("an upload is open");
    }
    let Some(row) = &world.header else { return Some("nobody began") };
    if !row.stands.is_terminal() {
        return Some("the header is not at its end");
    }
    if !world.is_settled(world.accounts) {
        return Some("the object has no outcome");
    }
    let is_equal = match world.destination {
        Object::Copy(upload) => world.uploads[usize::from(upload)].generation == world.source,
        // Somebody else wrote it: before, and it is kept; or since, and the next run sees it.
        Object::Foreign(_) | Object::Absent => {
            row.stands == Stands::Conflict || world.ghosts.landed >> world.source & 1 == 1
        }
    };
    (!is_equal && world.source > 0).then_some("the destination is not equal to the source")
}
