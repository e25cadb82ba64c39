//! The clock: the one place where this server asks the machine for the time.

use http::{HeaderName, HeaderValue, header};
use s3s::dto::{Timestamp, TimestampFormat};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time in whole seconds, since Amazon S3 keeps no finer modification time: a listing and a HEAD must agree.
#[expect(
    clippy::disallowed_methods,
    reason = "a test server dates its objects as a real store would, by the machine's clock"
)]
pub(crate) fn now() -> Timestamp {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    at(seconds)
}

/// The moment that lies `seconds` after the epoch.
pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Whole seconds since the epoch; a moment before it counts as the epoch.
pub(crate) fn seconds(moment: &Timestamp) -> u64 {
    let moment: time::OffsetDateTime = moment.clone().into();
    u64::try_from(moment.unix_timestamp()).unwrap_or_default()
}

/// The header that says when something was written; answers without a body of their own carry it too.
pub(crate) fn last_modified(moment: &Timestamp) -> Option<(HeaderName, HeaderValue)> {
    let mut text = Vec::new();
    moment.format(TimestampFormat::HttpDate, &mut text).ok()?;
    Some((header::LAST_MODIFIED, HeaderValue::from_bytes(&text).ok()?))
}
