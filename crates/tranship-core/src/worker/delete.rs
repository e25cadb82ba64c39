//! Deletes a key that only the destination has, if that is still so, immediately before and after.

use super::plan::{abort_all, abort_orphans, settle_lost};
use super::{head_if_there, listed, source_is_gone};
use crate::error::{ErrorKind, StageError, StoreError};
use crate::message::{Action, Entry};
use crate::object::{ETag, ObjectKey};
use crate::outcome::Outcome;
use crate::rows::{self, AccountRef, Header, HeaderId, TaskId};
use crate::stage::Stage;
use crate::store::Condition;

/// Deletes on the condition that the listing's object still lies there.
pub(super) async fn delete(stage: &Stage, entry: &Entry) -> Result<Outcome, StageError> {
    let key = stage.destination_key(&entry.key)?;
    let etag = match &entry.destination {
        Some(Condition::Is(etag)) => etag.clone(),
        Some(Condition::Absent) => return Ok(Outcome::Extra),
        // An event names a key and no more: what lies there now is what may be deleted.
        None => match lying_there(stage, &key).await? {
            Some(etag) => etag,
            None => return Ok(Outcome::Vanished),
        },
    };
    if !source_is_gone(stage, &entry.key).await? {
        return Ok(Outcome::Extra);
    }
    if stage.policy.dry_run {
        return Ok(Outcome::Deleted);
    }
    if let Some(fenced) = fence(stage, &HeaderId::of(&key)).await? {
        abort_all(stage, &key, &fenced.old_uploads).await?;
        abort_orphans(stage, &fenced).await?;
    }
    // Where no condition can be sent, a look in the last moment stands in for it.
    if !stage.policy.fenced && lying_there(stage, &key).await?.is_some_and(|now| now != etag) {
        return Ok(Outcome::Extra);
    }
    let condition = stage.policy.fenced.then_some(&etag);
    match stage.retried(|| stage.destination.delete(&key, condition)).await {
        Ok(()) => {
            bring_back(stage, entry).await?;
            Ok(Outcome::Deleted)
        }
        Err(error) if error.kind == ErrorKind::PreconditionFailed => {
            if lying_there(stage, &key).await?.as_ref() == Some(&etag) {
                let text = "the store says that the object has changed, and it has not";
                return Err(StoreError::new(ErrorKind::Lied, error.context, text).into());
            }
            // Somebody wrote there since the listing: not ours to delete.
            Ok(Outcome::Extra)
        }
        Err(error) if matches!(error.kind, ErrorKind::NoSuchKey | ErrorKind::NotFound) => {
            Ok(Outcome::Deleted)
        }
        Err(error) => Err(error.into()),
    }
}

/// The `ETag` of what lies at the destination now. No event comes a second time, so a HEAD's 404 is not
/// believed before a listing agrees.
async fn lying_there(stage: &Stage, key: &ObjectKey) -> Result<Option<ETag>, StoreError> {
    if let Some(there) = head_if_there(stage, &*stage.destination, key).await? {
        return Ok(Some(there.identity.etag));
    }
    Ok(listed(stage, &*stage.destination, key).await?.map(|listed| listed.etag))
}

/// The source may have been written again between the proof and the delete: then it is copied.
async fn bring_back(stage: &Stage, entry: &Entry) -> Result<(), StageError> {
    if source_is_gone(stage, &entry.key).await? {
        return Ok(());
    }
    let look = Entry { action: Action::Look, destination: None, etag: None, ..entry.clone() };
    let task = TaskId { generation: 0, scan: 0, window: 0, attempt: 0, index: 0 };
    let account = AccountRef { task, object: 0, of: 1, listed_size: entry.size };
    Box::pin(super::small::make_equal(stage, &look, account)).await?;
    Ok(())
}

/// A late completion of an older epoch must not bring the key back.
///
/// The header that comes back names the uploads that are to be aborted. They stay named in it, so
/// that a crash in between loses none of them.
async fn fence(stage: &Stage, id: &HeaderId) -> Result<Option<Header>, StageError> {
    loop {
        let Some(mut header) = rows::load::<Header>(&*stage.ledger, &id.row_key()).await? else {
            return Ok(None);
        };
        // Whoever asked for a copy asked for one of a key that is gone.
        settle_lost(stage, &header, Outcome::Vanished).await?;
        header.orphans_since = header.may_have_orphans_since();
        header.epoch += 1;
        header.status = rows::Status::Gone;
        header.due = Some(stage.clock.now());
        header.old_uploads.extend(header.upload.take());
        header.revision += 1;
        if rows::store(&*stage.ledger, &header).await? {
            return Ok(Some(header));
        }
    }
}
