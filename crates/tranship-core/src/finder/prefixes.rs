//! Lists by a list of prefixes, one a line, in place of one whole prefix.
//!
//! The first scan walks the list and hands its lines out in groups, each a scan of its own. A group
//! lists its prefixes one after the other, many of them in one window. What of a prefix does not fit
//! into its window is handed on as a scan of keys, which splits itself as any other.

use crate::error::{LedgerError, StageError};
use crate::message::ScanTask;
use crate::object::ObjectKey;
use crate::rows::{Scan, ScanRange};
use crate::stage::Stage;

use super::scan::{KeyLines, Lister, ScanEnd, Window, close_window_and};

/// Lines of one group: enough that a list of ten million has few enough groups to sum up.
const GROUP_LINES: usize = 1_000;
/// Prefixes that one window takes together: each costs a listing on both sides, whatever is in it.
const WINDOW_PREFIXES: usize = 100;

pub(super) async fn run(
    stage: &Stage,
    mut scan: Scan,
    lines: &dyn KeyLines,
    hops: u32,
) -> Result<ScanEnd, StageError> {
    while !scan.closed && !stage.is_stopping() {
        let ScanRange::Prefixes { next, until } = scan.range else { return Ok(ScanEnd::Done) };
        let ours = match until {
            None => hand_out(stage, &mut scan, lines, next, hops).await?,
            Some(until) => Box::pin(list(stage, &mut scan, lines, next..until, hops)).await?,
        };
        if !ours {
            return Ok(ScanEnd::Done);
        }
    }
    Ok(ScanEnd::of(stage, &scan))
}

/// Makes a scan of the next lines. `false`: another attempt has taken this one over.
async fn hand_out(
    stage: &Stage,
    scan: &mut Scan,
    lines: &dyn KeyLines,
    next: u64,
    hops: u32,
) -> Result<bool, StageError> {
    let (group, after) = lines.read(next, GROUP_LINES).await.map_err(LedgerError::Unavailable)?;
    scan.closed = group.len() < GROUP_LINES;
    scan.range = ScanRange::Prefixes { next: after, until: None };
    let range = ScanRange::Prefixes { next, until: Some(after) };
    let child = child(stage, scan, range, None);
    let rest = (!group.is_empty()).then_some(&child);
    close_and_send(stage, scan, Window::default(), rest, hops).await
}

/// Lists the next prefixes of a group, as many as one window takes.
async fn list(
    stage: &Stage,
    scan: &mut Scan,
    lines: &dyn KeyLines,
    range: std::ops::Range<u64>,
    hops: u32,
) -> Result<bool, StageError> {
    let mut window = Window::default();
    let mut next = range.start;
    let mut rest = None;
    for _ in 0..WINDOW_PREFIXES {
        if next >= range.end || window.keys >= stage.policy.limits.window_keys {
            break;
        }
        let (line, after) = lines.read(next, 1).await.map_err(LedgerError::Unavailable)?;
        let Some(prefix) = line.into_iter().next() else {
            next = range.end;
            break;
        };
        let prefix = prefix.as_str();
        let mut lister = Lister::new(stage, Some(prefix), None)?;
        let (cursor, ended) = lister.fill_window(None, &mut window).await?;
        next = after;
        if !ended {
            let range = ScanRange::Keys { through: None, prefix: Some(prefix.to_owned()) };
            rest = Some(child(stage, scan, range, cursor));
            break;
        }
    }
    scan.closed = next >= range.end;
    scan.range = ScanRange::Prefixes { next, until: Some(range.end) };
    close_and_send(stage, scan, window, rest.as_ref(), hops).await
}

fn child(stage: &Stage, of: &Scan, range: ScanRange, cursor: Option<ObjectKey>) -> Scan {
    let id = stage.clock.random() | 2;
    Scan { insist: of.insist, ..super::new_scan(of.generation, id, range, cursor) }
}

async fn close_and_send(
    stage: &Stage,
    scan: &mut Scan,
    window: Window,
    rest: Option<&Scan>,
    hops: u32,
) -> Result<bool, StageError> {
    if !close_window_and(stage, scan, window, rest).await? {
        return Ok(false);
    }
    if let Some(rest) = rest {
        let task = ScanTask { generation: rest.generation, scan: rest.id, hops };
        super::pass_on(stage, &task).await?;
    }
    Ok(true)
}
