//! The tags of one object.
//!
//! Who may read an object need not be allowed to read its tags. If the store tells that there are some, the copy
//! would not be what was asked for without them, so that the object fails; it stops nothing but itself, since
//! others may have none. Amazon S3 tells nobody who may not read them. So an object that seems to have none is
//! asked for its tags all the same, one for all of its process, and if that is denied, each copy counts as one that
//! may lack tags.

use crate::error::{Disposition, ErrorKind, StoreError};
use crate::location::Side;
use crate::loss::Loss;
use crate::object::ObjectKey;
use crate::stage::Stage;
use crate::store::Head;

/// The tags of the generation that a look has shown.
pub(super) async fn of(
    stage: &Stage,
    side: Side,
    key: &ObjectKey,
    head: &Head,
) -> Result<Vec<(String, String)>, StoreError> {
    let store = match side {
        Side::Source => &stage.source,
        Side::Destination => &stage.destination,
    };
    let version = head.identity.version.as_ref();
    let answer = stage.retried(|| store.tags(key, version)).await;
    answer.map_err(|error| match error.kind {
        ErrorKind::Denied => {
            let permission = match version {
                Some(_) => "s3:GetObjectVersionTagging",
                None => "s3:GetObjectTagging",
            };
            let message = format!(
                "{}; the object has tags: allow {permission} at the {side}, or leave tags away",
                error.message
            );
            StoreError { kind: ErrorKind::Forbidden, message, ..error }
        }
        _ => error,
    })
}

/// Whether an object that seems to have no tags may have some. An answer that may pass is no answer, and the next
/// object is asked.
async fn may_be_hidden(stage: &Stage, key: &ObjectKey, head: &Head) -> bool {
    let ask = async || match stage.source.tags(key, head.identity.version.as_ref()).await {
        Ok(_) => Ok(false),
        Err(error) if matches!(error.kind, ErrorKind::Denied | ErrorKind::Forbidden) => Ok(true),
        Err(error) => match error.disposition() {
            Disposition::Retry | Disposition::Replan => Err(error),
            // It has no such call, or whatever is wrong shows elsewhere.
            Disposition::Permanent | Disposition::Halt => Ok(false),
        },
    };
    stage.learned.hides_tags.get_or_try_init(ask).await.copied().unwrap_or(false)
}

/// What a copy lacks of the tags of its object, as far as that is known before they are read.
pub(super) async fn loss(stage: &Stage, key: &ObjectKey, head: &Head) -> Option<Loss> {
    match (stage.policy.tags, head.tag_count) {
        (false, 0) => None,
        (false, _) => Some(Loss::Tags),
        (true, 0) => may_be_hidden(stage, key, head).await.then_some(Loss::TagsUnknown),
        (true, _) => None,
    }
}
