//! Gives an upload up: nothing of it stays at the destination, and its object has a reason.
//!
//! In two halves, so that a crash between them loses nothing. The first parks the header, which
//! stops everybody who works on it, and leaves it due; the second aborts the uploads, looks once
//! more whether a completion landed in that very moment, and settles the object. The sweep repeats
//! the second half until the header is due no more.

use super::denied;
use super::plan::{abort_all, abort_orphans};
use crate::error::{ErrorKind, LedgerError, StageError};
use crate::message::PartsTask;
use crate::outcome::Outcome;
use crate::protocol;
use crate::rows::{self, AccountRef, Header, HeaderId, Note, PartFailures, Status};
use crate::settle::{count_part_failure, settle_header};
use crate::stage::Stage;

/// Parks a header for its source's identity, unless it has moved on.
pub(crate) async fn park(stage: &Stage, header: Header, reason: String) -> Result<(), StageError> {
    let header = protocol::parked(header, reason, stage.clock.now());
    if rows::store(&*stage.ledger, &header).await? {
        stage.progress.parked();
        clear(stage, header).await?;
    }
    Ok(())
}

/// Parks the upload that was planned for an object which is about to be settled as failed.
pub(super) async fn park_planned(
    stage: &Stage,
    id: &HeaderId,
    account: &AccountRef,
    reason: &str,
) -> Result<(), StageError> {
    let header = rows::load::<Header>(&*stage.ledger, &id.row_key()).await?;
    match header.filter(|header| !header.status.is_terminal() && header.account == *account) {
        Some(header) => park(stage, header, reason.to_owned()).await,
        None => Ok(()),
    }
}

/// The second half of every end that is not a success: no upload is left, and a parked object is
/// settled.
pub(crate) async fn clear(stage: &Stage, mut header: Header) -> Result<(), StageError> {
    abort_all(stage, &header.destination_key, &header.old_uploads).await?;
    if !abort_orphans(stage, &header).await? {
        return Ok(());
    }
    header.orphans_since = None;
    if header.status == Status::Parked {
        let there = match denied::head_there(stage, &header.destination_key).await {
            // Nothing can be known of a key that may not be looked at.
            Err(error) if error.kind == ErrorKind::Forbidden => None,
            answer => answer?,
        };
        if there.is_some_and(|there| protocol::is_ours(&header, &stage.transfer_id, &there)) {
            settle_header(stage, &header, Outcome::Copied, None).await?;
            header.status = Status::Done;
        } else {
            let note = Note {
                key: header.source_key.clone(),
                size: header.account.listed_size,
                reason: header.reason.clone(),
                etag: header.source.as_ref().map(|source| source.etag.clone()),
            };
            settle_header(stage, &header, Outcome::Failed, Some(note)).await?;
        }
    }
    stage.ledger.forget(&header.id().groups_prefix(header.epoch)).await?;
    header.end(header.status);
    // If it moved on meanwhile, somebody else takes care.
    let _moved_on = rows::store(&*stage.ledger, &header).await?;
    Ok(())
}

/// Counts a real failure of a parts task; gives the number so far.
pub(super) async fn count_failure(
    stage: &Stage,
    task: &PartsTask,
    header: &Header,
) -> Result<u32, LedgerError> {
    // For the run's account, which outlives this count.
    count_part_failure(stage, &header.account.task).await?;
    let key = PartFailures::row_key(&task.header, task.epoch, task.first);
    loop {
        let known = rows::load::<PartFailures>(&*stage.ledger, &key).await?;
        let (revision, count) = known.map_or((0, 0), |known| (known.revision, known.count));
        let row = PartFailures {
            revision: revision + 1,
            header: task.header.clone(),
            epoch: task.epoch,
            first: task.first,
            count: count + 1,
        };
        if rows::store(&*stage.ledger, &row).await? {
            return Ok(row.count);
        }
    }
}
