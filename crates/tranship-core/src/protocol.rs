//! The completion protocol's decisions: pure steps of a header from one state to the next.
//!
//! Nothing here waits or calls. The stages read the world, ask here what follows, and write the
//! answer with a compare-and-set; the protocol's model calls the same functions.

use crate::error::ErrorKind;
use crate::object::{ETag, Identity, Millis, PartNumber};
use crate::rows::{AccountRef, Header, PartGroup, Status};
use crate::store::{Condition, Head, Part};
use crate::token::Token;

mod steps;
pub use steps::{
    Lost, Marked, Next, Resume, after_answer, after_losing, condition_of, ended, has_landed_before,
    is_current, left_by, mark_full, next_try, opened, orphans, parked, plan_over, rebased,
    released, resume,
};

/// How long a completer may be silent before another takes its place.
pub const COMPLETION_LEASE_MS: u64 = 5 * 60 * 1_000;
/// How long an upload may stay as it is before the sweep looks at it.
pub const SWEEP_AFTER_MS: u64 = 15 * 60 * 1_000;
/// How far a store's clock may be behind ours. An upload that seems older than its intent is not
/// ours to abort.
pub const CLOCK_SKEW_MS: u64 = 60 * 1_000;
/// How long after the last intent a key that has ended is looked at once more: whoever planned it in vain,
/// and creates an upload late, has ended by then.
pub const ORPHANS_AFTER_MS: u64 = 60 * 60 * 1_000;
/// Epochs that one source identity may cost before its object is parked.
pub const TRIES_MAX: u32 = 5;

/// What is to be done about a key for which an upload is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Store this header, then create the upload.
    Plan(Box<Header>),
    /// An upload of this key is under way: send what is missing, or complete it.
    GoOn(Box<Header>),
    /// Another open run's or event's upload carries the key.
    Superseded,
    /// Given up before; the reason is the header's.
    Parked(String),
}

/// Decides whether to plan a new epoch for a key.
///
/// `fresh` is what a header would be for a key never seen. `source` is the source's identity as
/// the asker knows it, if it does. `insist`: a parked key is to be tried again.
pub fn intend(
    existing: Option<Header>,
    fresh: Header,
    source: Option<&Identity>,
    insist: bool,
) -> Intent {
    let Some(existing) = existing else { return Intent::Plan(Box::new(fresh)) };
    let same_source = match (&existing.source, source) {
        (Some(planned), Some(now)) => planned.is_same_as(now),
        _ => false,
    };
    if !existing.status.is_terminal() && !may_take_over(&existing.account, &fresh.account) {
        return Intent::Superseded;
    }
    match existing.status {
        Status::Open | Status::Completing if same_source => {
            Intent::GoOn(Box::new(Header { account: fresh.account, ..existing }))
        }
        Status::Parked if same_source && !insist => Intent::Parked(
            existing.reason.unwrap_or_else(|| "given up in an earlier run".to_owned()),
        ),
        _ => {
            let parked = existing.status == Status::Parked;
            let tries = if same_source && !parked { existing.tries } else { 0 };
            Intent::Plan(Box::new(next_epoch(existing, &fresh, tries)))
        }
    }
}

/// Whether a header that settles one account may settle another one from now on: a later run's, or
/// the same window's when it is listed again. What comes late from an earlier one counts for nothing
/// any more, and must not take the header away from the one that counts.
fn may_take_over(existing: &AccountRef, fresh: &AccountRef) -> bool {
    let (old, new) = (&existing.task, &fresh.task);
    let same_window =
        (old.generation, old.scan, old.window) == (new.generation, new.scan, new.window);
    existing == fresh
        || old.generation < new.generation
        || (same_window && old.attempt < new.attempt)
}

/// A new epoch of a key: the upload before it is to be aborted.
pub fn next_epoch(mut header: Header, fresh: &Header, tries: u32) -> Header {
    header.old_uploads.extend(header.upload.take());
    let orphans_since = header.may_have_orphans_since();
    let epoch = header.epoch + 1;
    let first_epoch = if header.status.is_terminal() { epoch } else { header.first_epoch };
    Header {
        revision: header.revision,
        epoch,
        first_epoch,
        old_uploads: header.old_uploads,
        tries: tries + 1,
        orphans_since,
        ..fresh.clone()
    }
}

/// What became of an upload whose completion was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// What lies at the destination is this epoch's.
    Landed,
    /// Nothing happened, and the upload is still there: send the same again.
    Again,
    /// Something else lies there now, and it may be written over: complete on this condition.
    Rebase(Condition),
    /// A foreign object lies there, and it stays.
    Foreign,
    /// The upload is lost: a new epoch.
    Lost,
}

/// Reads the outcome of a completion off the destination, whatever the answer was.
///
/// `there` is a HEAD of the destination made after the answer, `upload_lives` whether its parts can
/// still be listed, `may_overwrite` what the policy says about what lies there.
pub fn reconcile(
    header: &Header,
    transfer: &str,
    there: Option<&Head>,
    upload_lives: bool,
    may_overwrite: bool,
) -> Verdict {
    if there.is_some_and(|head| is_ours(header, transfer, head)) {
        return Verdict::Landed;
    }
    if !upload_lives {
        return Verdict::Lost;
    }
    let now = condition_of(there);
    if header.condition.as_ref().is_none_or(|planned| *planned == now) {
        return Verdict::Again;
    }
    let ours_but_older = there
        .and_then(|head| Token::read(&head.attributes.user))
        .is_some_and(|token| token.transfer == transfer && token.epoch < header.epoch);
    if there.is_none() || ours_but_older || may_overwrite {
        return Verdict::Rebase(now);
    }
    Verdict::Foreign
}

/// Whether an object is what this header's epoch wrote. Without a token (switched off, or no room)
/// an equal composite `ETag` is the evidence.
pub fn is_ours(header: &Header, transfer: &str, there: &Head) -> bool {
    if let Some(token) = Token::read(&there.attributes.user) {
        return token.transfer == transfer
            && token.epoch == header.epoch
            && token.random == header.random;
    }
    header.source.as_ref().is_some_and(|source| {
        source.etag == there.identity.etag && source.size == there.identity.size
    })
}

/// Whether an error of a completion can be believed as it is, without a look at the destination.
pub fn is_final(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Denied
            | ErrorKind::Unauthenticated
            | ErrorKind::ClockSkewed
            | ErrorKind::Encryption
            | ErrorKind::WrongRegion
            | ErrorKind::WrongAddress
            | ErrorKind::NoSuchBucket
    )
}

/// Why the parts of an upload cannot be completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAdmitted {
    /// Recorded, and not in the upload (or with other bytes): the upload is not what we recorded.
    Differs(PartNumber),
    /// Not recorded yet.
    Missing(PartNumber),
    /// The composed checksum is not the source's own.
    Corrupt(String),
}

/// Admits the parts of an upload: all of them recorded, all of them there, each of the planned size
/// and with the recorded checksum where the listing carries one, and the whole with the source's.
pub fn admit(
    header: &Header,
    recorded: &[PartGroup],
    listed: &[Part],
) -> Result<Vec<(PartNumber, ETag)>, NotAdmitted> {
    let Some(layout) = header.layout else { return Err(NotAdmitted::Missing(PartNumber::FIRST)) };
    let mut admitted = Vec::with_capacity(listed.len());
    let mut composed = header.checksum.map(|checksum| (checksum, Vec::new()));
    let mut there = listed.iter().peekable();
    for number in layout.parts() {
        let part = recorded
            .get(usize::from(crate::rows::group_of(number)))
            .and_then(|group| group.get(number))
            .ok_or(NotAdmitted::Missing(number))?;
        while there.next_if(|listed| listed.number < number).is_some() {}
        let found =
            there.next_if(|listed| listed.number == number).ok_or(NotAdmitted::Differs(number))?;
        let planned = layout.range(number).map(crate::object::ByteRange::size);
        if planned != Some(found.size) || planned != Some(part.size) || contradicts(part, found) {
            return Err(NotAdmitted::Differs(number));
        }
        if let Some((whole, values)) = &mut composed {
            match part.checksums.iter().find(|c| c.algorithm == whole.algorithm) {
                Some(checksum) => values.push((checksum.value, part.size)),
                None => composed = None,
            }
        }
        admitted.push((number, found.etag.clone()));
    }
    if let Some((whole, values)) = composed {
        let value = crate::checksum::combine(whole.algorithm, values);
        if value != whole.value {
            let text =
                format!("the parts compose to another {:?} than the source's", whole.algorithm);
            return Err(NotAdmitted::Corrupt(text));
        }
    }
    Ok(admitted)
}

fn contradicts(recorded: &Part, listed: &Part) -> bool {
    listed.checksums.iter().any(|there| {
        recorded
            .checksums
            .iter()
            .any(|here| here.algorithm == there.algorithm && here.value != there.value)
    })
}

/// Takes a header into completion under a lease; `None` if it is not to be completed now.
pub fn claim(mut header: Header, epoch: u64, now: Millis) -> Option<Header> {
    let lapsed = header.lease_until.is_none_or(|until| until <= now);
    let claimable = match header.status {
        Status::Open => header.is_full(),
        Status::Completing => lapsed,
        _ => false,
    };
    if !claimable || header.epoch != epoch {
        return None;
    }
    header.status = Status::Completing;
    header.lease_until = Some(now.plus(COMPLETION_LEASE_MS));
    header.due = header.lease_until;
    header.attempt += 1;
    header.revision += 1;
    Some(header)
}

#[cfg(test)]
#[path = "protocol/tests.rs"]
mod tests;
