//! The completer: makes an upload visible once, and only when it is proven.
//!
//! Before: every part is recorded and there, the whole composes to the source's own checksum, and
//! the source is still the one that was copied. After: whatever the answer was, a look at the
//! destination tells what happened.

use crate::compare;
use crate::error::{Disposition, ErrorKind, StageError, StoreError};
use crate::loss::Loss;
use crate::object::{ETag, PartNumber};
use crate::outcome::Outcome;
use crate::protocol::{self, Lost, Next, NotAdmitted};
use crate::rows::{self, Header, HeaderId, PartGroup, Status};
use crate::settle::settle_header;
use crate::stage::Stage;
use crate::store::{Completion, Part};
use crate::worker::{back_off_ms, head_if_there, park, replan, source_is_gone};

/// Rounds of "send, look, decide" of one attempt; what needs more comes back by the sweep.
const ROUNDS_MAX: u32 = 8;
/// Attempts after which an upload is given up: with their pauses they outlast an outage of minutes.
const ATTEMPTS_MAX: u32 = 20;
/// The longest pause between two attempts.
pub const BACK_OFF_MAX_MS: u64 = 60_000;

/// Completes the upload of an epoch, if it is still to be completed. Safe to run any number of
/// times, at the same time too.
pub async fn complete(stage: &Stage, id: &HeaderId, epoch: u64) -> Result<(), StageError> {
    let Some(header) = rows::load::<Header>(&*stage.ledger, &id.row_key()).await? else {
        return Ok(());
    };
    let Some(header) = protocol::claim(header, epoch, stage.clock.now()) else { return Ok(()) };
    if !rows::store(&*stage.ledger, &header).await? {
        return Ok(());
    }
    let is_over = match run(stage, header).await {
        Err((header, error)) => {
            if error.disposition() == Disposition::Permanent
                || header.attempt >= attempts_max(stage, &error)
            {
                park(stage, header, error.to_string()).await?;
            } else {
                release(stage, header, &error).await?;
            }
            return Err(error);
        }
        Ok(is_over) => is_over,
    };
    if is_over || has_passed(stage, id, epoch).await? {
        stage.ledger.forget(&id.groups_prefix(epoch)).await?;
    }
    Ok(())
}

/// Whether nobody needs the parts of an epoch any more. Whoever lost a race asks: another run may have taken
/// the header over as it was.
async fn has_passed(stage: &Stage, id: &HeaderId, epoch: u64) -> Result<bool, StageError> {
    let now = rows::load::<Header>(&*stage.ledger, &id.row_key()).await?;
    Ok(now.is_none_or(|now| now.epoch != epoch || now.status.is_terminal()))
}

/// An outage passes; a store whose answers cannot be read does not learn to speak.
fn attempts_max(stage: &Stage, error: &StageError) -> u32 {
    match error {
        StageError::Store(error) if error.kind == ErrorKind::Lied => stage.policy.failures_max,
        _ => ATTEMPTS_MAX,
    }
}

/// Gives the lease back, so that the next attempt need not wait for it to lapse.
async fn release(stage: &Stage, header: Header, error: &StageError) -> Result<(), StageError> {
    let wait = match error.disposition() {
        // Whoever mends what stopped the transfer need not wait as well.
        Disposition::Halt => 0,
        _ => stage.spread(back_off_ms(header.attempt).min(BACK_OFF_MAX_MS)),
    };
    let header = protocol::released(header, stage.clock.now().plus(wait));
    // If it moved on meanwhile, somebody else takes care.
    let _moved_on = rows::store(&*stage.ledger, &header).await?;
    Ok(())
}

/// Whether this process itself has ended the header.
type Ended = Result<bool, (Header, StageError)>;

async fn run(stage: &Stage, mut header: Header) -> Ended {
    for _ in 0..ROUNDS_MAX {
        let verdict = match round(stage, &header).await {
            Ok(verdict) => verdict,
            Err(error) => return Err((header, error)),
        };
        let step = match verdict {
            Step::Landed { clean } => landed(stage, &header, clean).await,
            Step::Rebase(condition) => {
                header = protocol::rebased(header, condition);
                match rows::store(&*stage.ledger, &header).await {
                    Ok(true) => continue,
                    Ok(false) => return Ok(false),
                    Err(error) => return Err((header, error.into())),
                }
            }
            Step::Again(ms) => {
                stage.progress.retried();
                stage.clock.sleep(stage.spread(ms)).await;
                continue;
            }
            Step::Foreign => finish(stage, &header, Status::Conflict, Outcome::Kept).await,
            Step::Gone => finish(stage, &header, Status::Gone, Outcome::Vanished).await,
            Step::Replan(reason) => {
                header.reason = Some(reason);
                replan(stage, &header).await.map(|()| false)
            }
        };
        return step.map_err(|error| (header, error));
    }
    let context = format!("CompleteMultipartUpload {}", header.destination_key);
    let text = "the upload could not be completed; it is tried again later";
    Err((header, StoreError::new(ErrorKind::Unavailable, context, text).into()))
}

enum Step {
    /// `clean`: by this very completion, as its answer says.
    Landed {
        clean: bool,
    },
    Rebase(crate::store::Condition),
    Again(u64),
    Foreign,
    Gone,
    Replan(String),
}

async fn round(stage: &Stage, header: &Header) -> Result<Step, StageError> {
    let Some(upload) = &header.upload else { return Ok(Step::Replan("no upload".to_owned())) };
    let key = &header.destination_key;
    let mut lived = true;
    let sent = match admitted(stage, header).await? {
        Admission::Parts(parts) => {
            if let Some(step) = source_moved(stage, header).await? {
                return Ok(step);
            }
            let size = header.layout.map_or(0, |layout| layout.size());
            let condition = header.condition.as_ref();
            let completion = Completion { key, upload, parts: &parts, size, condition };
            stage.destination.complete_upload(completion).await.err()
        }
        Admission::Refused(reason) => return Ok(Step::Replan(reason)),
        Admission::UploadGone => {
            lived = false;
            None
        }
    };
    if let Some(error) = &sent
        && protocol::is_final(error.kind)
    {
        return Err(error.clone().into());
    }
    let there = head_if_there(stage, &*stage.destination, key).await?;
    if lived && sent.is_some() {
        lived = upload_lives(stage, header).await?;
    }
    let over = match (&there, &header.source) {
        (Some(there), Some(source)) => {
            compare::may_overwrite(&stage.policy, source, &there.identity)
        }
        _ => true,
    };
    let answer = sent.as_ref().map(|error| error.kind);
    let transfer = &stage.transfer_id;
    Ok(match protocol::after_answer(header, transfer, answer, lived, there.as_ref(), over) {
        Next::Landed { clean } => Step::Landed { clean },
        Next::Rebase(condition) => Step::Rebase(condition),
        Next::Again(ms) => Step::Again(ms),
        Next::Foreign => Step::Foreign,
        Next::Lost => Step::Replan("the multipart upload is gone".to_owned()),
        Next::Refused => {
            let refused = || StoreError::new(ErrorKind::Invalid, "CompleteMultipartUpload", "");
            return Err(sent.unwrap_or_else(refused).into());
        }
    })
}

async fn upload_lives(stage: &Stage, header: &Header) -> Result<bool, StageError> {
    let Some(upload) = &header.upload else { return Ok(false) };
    match stage
        .retried(|| stage.destination.list_parts(&header.destination_key, upload, None))
        .await
    {
        Ok(_) => Ok(true),
        Err(error) if error.kind == ErrorKind::NoSuchUpload => Ok(false),
        Err(error) => Err(error.into()),
    }
}

enum Admission {
    Parts(Vec<(PartNumber, ETag)>),
    UploadGone,
    Refused(String),
}

async fn admitted(stage: &Stage, header: &Header) -> Result<Admission, StageError> {
    let mut recorded: Vec<PartGroup> = Vec::new();
    for group in 0..header.group_count() {
        recorded.push(stage.ledger.part_group(&header.id(), header.epoch, group).await?);
    }
    let Some(listed) = listed_parts(stage, header).await? else { return Ok(Admission::UploadGone) };
    Ok(match protocol::admit(header, &recorded, &listed) {
        Ok(parts) => Admission::Parts(parts),
        Err(NotAdmitted::Corrupt(reason)) => Admission::Refused(reason),
        Err(NotAdmitted::Differs(n) | NotAdmitted::Missing(n)) => {
            Admission::Refused(format!("part {} is not in the upload as it was recorded", n.get()))
        }
    })
}

/// All parts of the upload; `None` if the store does not know it.
async fn listed_parts(stage: &Stage, header: &Header) -> Result<Option<Vec<Part>>, StageError> {
    let Some(upload) = &header.upload else { return Ok(None) };
    let mut parts = Vec::new();
    let mut after = None;
    loop {
        let list = || stage.destination.list_parts(&header.destination_key, upload, after);
        match stage.retried(list).await {
            Ok(page) => {
                parts.extend(page.parts);
                match page.next {
                    Some(next) if after.is_none_or(|after| next > after) => after = Some(next),
                    _ => return Ok(Some(parts)),
                }
            }
            Err(error) if error.kind == ErrorKind::NoSuchUpload => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

/// A look at the source without its version: has it moved since it was planned?
async fn source_moved(stage: &Stage, header: &Header) -> Result<Option<Step>, StageError> {
    let Some(now) = head_if_there(stage, &*stage.source, &header.source_key).await? else {
        if source_is_gone(stage, &header.source_key).await? {
            return Ok(Some(Step::Gone));
        }
        return Ok(Some(Step::Again(500)));
    };
    let same = header.source.as_ref().is_some_and(|planned| planned.is_same_as(&now.identity));
    Ok((!same).then(|| Step::Replan("the source changed while it was copied".to_owned())))
}

/// What was copied is visible. If the source moved in that very moment, the next epoch follows.
async fn landed(stage: &Stage, header: &Header, clean: bool) -> Result<bool, StageError> {
    if let Some(Step::Replan(reason)) = source_moved(stage, header).await? {
        let mut moved = header.clone();
        moved.reason = Some(reason);
        if clean {
            moved.upload = None;
        }
        return replan(stage, &moved).await.map(|()| false);
    }
    let uploads = protocol::left_by(header, clean);
    crate::worker::abort_all(stage, &header.destination_key, &uploads).await?;
    remember(stage, header).await?;
    close(stage, header, Status::Done, Outcome::Copied).await
}

/// Where no token found room and the layouts differ, only the ledger can tell the next run that the
/// object is equal.
async fn remember(stage: &Stage, header: &Header) -> Result<(), StageError> {
    let Some(source) = &header.source else { return Ok(()) };
    if stage.policy.token && !header.losses.contains(&Loss::Token) {
        return Ok(());
    }
    let there = head_if_there(stage, &*stage.destination, &header.destination_key).await?;
    if let Some(there) = there.filter(|there| there.identity.etag != source.etag) {
        let (source, written) = (source.clone(), there.identity.etag);
        rows::Evidence::remember(&*stage.ledger, header.id(), source, written).await?;
    }
    Ok(())
}

/// A terminal state without a copy: abort until nothing is left, then look once more.
async fn finish(
    stage: &Stage,
    header: &Header,
    status: Status,
    outcome: Outcome,
) -> Result<bool, StageError> {
    let uploads = protocol::left_by(header, false);
    crate::worker::abort_all(stage, &header.destination_key, &uploads).await?;
    let there = head_if_there(stage, &*stage.destination, &header.destination_key).await?;
    if there.is_some_and(|there| protocol::is_ours(header, &stage.transfer_id, &there)) {
        return landed(stage, header, false).await;
    }
    close(stage, header, status, outcome).await
}

/// Settles and ends the header. Settled first: a crash in between is repeated, and settling twice
/// counts once. A header that another run or attempt took over meanwhile is settled for that one, if
/// what ended it still says so. `false`: it is somebody else's now.
async fn close(
    stage: &Stage,
    header: &Header,
    status: Status,
    outcome: Outcome,
) -> Result<bool, StageError> {
    let mut now = header.clone();
    loop {
        settle_header(stage, &now, outcome, None).await?;
        if crate::worker::abort_orphans(stage, &now).await? {
            now = protocol::ended(now, status, stage.clock.now());
            if rows::store(&*stage.ledger, &now).await? {
                return Ok(true);
            }
        }
        let moved = rows::load::<Header>(&*stage.ledger, &header.id().row_key()).await?;
        match protocol::after_losing(header, moved, status, stage.clock.now()) {
            Lost::Over => return Ok(false),
            Lost::Close(moved) => now = *moved,
            Lost::LookAgain(released) => {
                // If it moved on again, somebody else takes care.
                let _moved_on = rows::store(&*stage.ledger, &*released).await?;
                return Ok(false);
            }
        }
    }
}
