//! The tags of one object.
//!
//! Who may read an object need not be allowed to read its tags. Without them the copy would not be what was
//! asked for, so that the object fails; it stops nothing but itself, since others may have none.

use crate::error::{ErrorKind, StoreError};
use crate::location::Side;
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
