//! What the destination denies: one key, or everything?
//!
//! A bucket's policy can deny a key, or all that begin so, and such an object is to stop nothing but itself.
//! Credentials that may not do it at all stop the transfer. The destination is asked: whether it answers the
//! same request about another key. A write is asked for as an upload that is begun and aborted, since no
//! object comes of that.

use super::{head_if_there, plan};
use crate::error::{Disposition, ErrorKind, StoreError};
use crate::object::ObjectKey;
use crate::stage::Stage;
use crate::store::{Attributes, Head, Write};

/// What the keys that are asked for begin with, behind the destination's prefix.
const PROBE: &str = "tranship-probe-";

/// A HEAD of the destination; a denial of this key alone is [`ErrorKind::Forbidden`].
pub(super) async fn head_there(stage: &Stage, key: &ObjectKey) -> Result<Option<Head>, StoreError> {
    let denied = match head_if_there(stage, &*stage.destination, key).await {
        Err(error) if error.kind == ErrorKind::Denied => error,
        answer => return answer,
    };
    let elsewhere = head_if_there(stage, &*stage.destination, &probe_key(stage)).await;
    let finding = "another key is not denied: see what the bucket's policy says of this one";
    Err(told_apart(denied, elsewhere.map(drop), finding))
}

/// The error of a write; a denial of this key alone is [`ErrorKind::Forbidden`]. Who may write need not be
/// allowed to write tags, so they belong to the question.
pub(super) async fn judge(
    stage: &Stage,
    tags: &[(String, String)],
    error: StoreError,
) -> StoreError {
    if error.kind != ErrorKind::Denied {
        return error;
    }
    let finding = "an upload of another key can be begun: see what the bucket's policy says of this key, and whether it \
        allows every action that writes";
    told_apart(error, write_elsewhere(stage, tags).await, finding)
}

/// Whether the destination takes any object at all; other troubles than a halt are no answer to that.
pub(crate) async fn may_write(stage: &Stage) -> Result<(), StoreError> {
    match write_elsewhere(stage, &[]).await {
        Err(error) if error.disposition() == Disposition::Halt => Err(error),
        _ => Ok(()),
    }
}

/// Begins an upload of a key that nobody has, and aborts it.
async fn write_elsewhere(stage: &Stage, tags: &[(String, String)]) -> Result<(), StoreError> {
    let key = probe_key(stage);
    let write = Write { attributes: Attributes::default(), tags: tags.to_vec() };
    let upload = stage.retried(|| stage.destination.create_upload(&key, &write)).await?;
    // An upload without parts costs nothing and shows nowhere: what is left is the lifecycle rule's.
    plan::abort_all(stage, &key, &[upload]).await.ok();
    Ok(())
}

/// What a denial is, by the answer to the request about another key; `finding` is what it means if that was let pass.
fn told_apart(denied: StoreError, elsewhere: Result<(), StoreError>, finding: &str) -> StoreError {
    match elsewhere {
        Ok(()) => StoreError {
            kind: ErrorKind::Forbidden,
            message: format!("{}; {finding}", denied.message),
            ..denied
        },
        // Nothing is known yet, so the object comes again.
        Err(error) if error.disposition() == Disposition::Retry => error,
        Err(_) => denied,
    }
}

/// A key below the destination's prefix that nobody has: what may be written is often just that.
fn probe_key(stage: &Stage) -> ObjectKey {
    let prefix = &stage.transfer.destination.prefix;
    ObjectKey::new(format!("{prefix}{PROBE}{:016x}", stage.clock.random()))
}
