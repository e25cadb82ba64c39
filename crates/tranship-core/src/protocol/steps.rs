//! The small steps of the protocol: what a header becomes, and what is to be done about it.

use super::{ORPHANS_AFTER_MS, SWEEP_AFTER_MS, TRIES_MAX, Verdict, next_epoch, reconcile};
use crate::error::ErrorKind;
use crate::object::{Identity, Millis, UploadId};
use crate::rows::{Header, Status};
use crate::store::{Condition, Head, OpenUpload};
use crate::token::Token;

/// Whether a task of this epoch's parts has anything to do yet.
pub fn is_current(header: &Header, epoch: u64) -> bool {
    header.epoch == epoch && header.status == Status::Open
}

/// The next epoch of a header whose source or upload moved; `None` if it had too many.
pub fn next_try(header: Header, fresh: &Header, tries: u32) -> Option<Header> {
    (tries < TRIES_MAX).then(|| next_epoch(header, fresh, tries))
}

/// The uploads that earlier intents of a key left behind, of all that are open.
pub fn orphans(header: &Header, open: Vec<OpenUpload>) -> Vec<UploadId> {
    let Some(since) = header.orphans_since else { return Vec::new() };
    let named: Vec<_> = header.upload.iter().chain(&header.old_uploads).collect();
    open.into_iter()
        .filter(|open| open.initiated.plus(super::CLOCK_SKEW_MS) >= since)
        .map(|open| open.upload)
        .filter(|upload| !named.contains(&upload))
        .collect()
}

/// Whether what lies at the destination is this source's copy already, by an earlier epoch of the same
/// request. What lay there before is to be copied again by whoever asks for it: it may differ in what
/// the source's identity does not show.
pub fn has_landed_before(header: &Header, transfer: &str, source: &Identity, there: &Head) -> bool {
    let epochs = header.first_epoch.max(1)..header.epoch;
    let token = Token::read(&there.attributes.user);
    token
        .filter(|t| t.transfer == transfer && epochs.contains(&t.epoch))
        .is_some_and(|t| t.source.is_same_as(source) && there.identity.size == source.size)
}

/// Plans over what lies at the destination: its condition, and an epoch above that of a token of ours,
/// since the ledger may know less than the destination does.
pub fn plan_over(header: &mut Header, transfer: &str, there: Option<&Head>, fenced: bool) {
    let older = there.and_then(|head| Token::read(&head.attributes.user));
    let floor = older.filter(|token| token.transfer == transfer).map_or(0, |t| t.epoch + 1);
    header.epoch = header.epoch.max(floor);
    header.first_epoch = header.first_epoch.max(floor);
    header.condition = fenced.then(|| condition_of(there));
}

/// The condition under which nothing but this is written over.
pub fn condition_of(there: Option<&Head>) -> Condition {
    there.map_or(Condition::Absent, |head| Condition::Is(head.identity.etag.clone()))
}

/// Planning → open.
pub fn opened(mut header: Header, upload: UploadId, now: Millis) -> Header {
    header.upload = Some(upload);
    header.status = Status::Open;
    header.due = Some(now.plus(SWEEP_AFTER_MS));
    header.revision += 1;
    header
}

/// What comes of marking a group of parts as full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marked {
    /// The epoch is over, or is being completed.
    Late,
    Already(Box<Header>),
    /// To be stored.
    Now(Box<Header>),
}

/// Marks a group as full.
pub fn mark_full(header: Option<Header>, epoch: u64, group: u16, now: Millis) -> Marked {
    let Some(mut header) = header.filter(|header| is_current(header, epoch)) else {
        return Marked::Late;
    };
    if !header.full_groups.insert(usize::from(group)) {
        return Marked::Already(Box::new(header));
    }
    header.due = Some(now.plus(SWEEP_AFTER_MS));
    header.revision += 1;
    Marked::Now(Box::new(header))
}

/// What a completer does after it has sent a completion, or found that it cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// `clean`: by this very completion, as its answer says.
    Landed {
        clean: bool,
    },
    Rebase(Condition),
    /// The same again, after so many milliseconds.
    Again(u64),
    Foreign,
    /// The store will not take this completion, however often it is sent.
    Refused,
    Lost,
}

/// Decides after an answer, which is believed in nothing.
///
/// `answer` is what the completion failed with, `lived` whether the upload's parts could be listed
/// after that (or before, if no completion was sent). `there` and `may_overwrite` are those of
/// [`reconcile`].
pub fn after_answer(
    header: &Header,
    transfer: &str,
    answer: Option<ErrorKind>,
    lived: bool,
    there: Option<&Head>,
    may_overwrite: bool,
) -> Next {
    // A clean answer that cannot be seen is no answer either: the same table decides.
    let alive = lived && (answer.is_some() || there.is_none());
    match reconcile(header, transfer, there, alive, may_overwrite) {
        Verdict::Landed => Next::Landed { clean: lived && answer.is_none() },
        Verdict::Again => match answer {
            Some(ErrorKind::InvalidPart) => Next::Again(100),
            Some(ErrorKind::Invalid) => Next::Refused,
            _ => Next::Again(500),
        },
        Verdict::Rebase(condition) => Next::Rebase(condition),
        Verdict::Foreign => Next::Foreign,
        Verdict::Lost if answer.is_none() && lived && is_plain_success(header, there) => {
            Next::Landed { clean: true }
        }
        Verdict::Lost => Next::Lost,
    }
}

/// The store said 200, and what lies there has the planned size: without a token that is all the
/// evidence there can be.
fn is_plain_success(header: &Header, there: Option<&Head>) -> bool {
    there.is_some_and(|head| {
        Token::read(&head.attributes.user).is_none()
            && Some(head.identity.size) == header.layout.map(|layout| layout.size())
    })
}

/// The same parts, on another condition.
pub fn rebased(mut header: Header, condition: Condition) -> Header {
    header.condition = Some(condition);
    header.revision += 1;
    header
}

/// The uploads that are to be aborted once an epoch has landed. One that landed by another way (a
/// small copy of the same source, an answer that was lost) may have left its own.
pub fn left_by(header: &Header, clean: bool) -> Vec<UploadId> {
    let own = header.upload.iter().filter(|_| !clean);
    header.old_uploads.iter().chain(own).cloned().collect()
}

/// Given up: nobody works on it any more, and the sweep is to see that nothing of it is left.
pub fn parked(mut header: Header, reason: String, now: Millis) -> Header {
    header.orphans_since = header.may_have_orphans_since();
    header.status = Status::Parked;
    header.reason = Some(reason);
    header.old_uploads.extend(header.upload.take());
    header.lease_until = None;
    header.due = Some(now);
    header.revision += 1;
    header
}

/// A terminal state, just after its orphans were aborted. An earlier planner may be at work still: if it
/// creates its upload now, and dies before it finds that it has lost, nobody names that upload. So the
/// sweep looks once more, and only then nothing of the key is left to look after.
pub fn ended(mut header: Header, status: Status, now: Millis) -> Header {
    header.end(status);
    let quiet = header.planned_at.plus(ORPHANS_AFTER_MS);
    header.orphans_since = header.orphans_since.filter(|_| now < quiet);
    header.due = header.orphans_since.map(|_| quiet);
    header
}

/// The lease is given back, so that the next attempt need not wait for it to lapse.
pub fn released(mut header: Header, due: Millis) -> Header {
    header.lease_until = None;
    header.due = Some(due);
    header.revision += 1;
    header
}

/// What a completer does whose header has moved when it was to be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// Somebody else takes care of it.
    Over,
    /// Ends this one in its place.
    Close(Box<Header>),
    /// To be stored: the next attempt looks at both sides anew.
    LookAgain(Box<Header>),
}

/// Decides about a header that has moved. What landed has landed for whoever asks for it now. That
/// the source was gone, or another object in its place, was seen before another run asked.
pub fn after_losing(header: &Header, moved: Option<Header>, status: Status, now: Millis) -> Lost {
    let still = |m: &Header| m.epoch == header.epoch && m.status == Status::Completing;
    match moved.filter(still) {
        None => Lost::Over,
        Some(moved) if status == Status::Done || moved.account == header.account => {
            Lost::Close(Box::new(moved))
        }
        Some(moved) => Lost::LookAgain(Box::new(released(moved, now))),
    }
}

/// What the sweep does about a header that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    Nothing,
    Replan,
    Complete,
    /// Store this, then send the tasks of its parts.
    Resend(Box<Header>),
    /// It ended, and somebody died before everything of it was gone.
    Clear,
}

/// Decides how a header goes on. `resend`: whether the tasks of open uploads are gone from the queue.
pub fn resume(header: &Header, resend: bool, now: Millis) -> Resume {
    match header.status {
        // The task that planned comes again by itself; its intent is fenced by the epoch.
        Status::Planning if resend => Resume::Replan,
        Status::Open if header.is_full() => Resume::Complete,
        Status::Open if resend => {
            // Ever less often: a deep queue is not to be filled with what it holds already.
            let age_ms = now.0.saturating_sub(header.planned_at.0);
            let mut header = header.clone();
            header.due = Some(now.plus(age_ms.max(SWEEP_AFTER_MS)));
            header.revision += 1;
            Resume::Resend(Box::new(header))
        }
        Status::Completing => Resume::Complete,
        Status::Done | Status::Conflict | Status::Gone | Status::Parked if header.due.is_some() => {
            Resume::Clear
        }
        Status::Planning
        | Status::Open
        | Status::Done
        | Status::Conflict
        | Status::Gone
        | Status::Parked => Resume::Nothing,
    }
}
