//! A condition: what a request demands of an object before it is read or written.

use crate::clock;
use crate::store::{Object, no_such_key};
use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};

/// The four headers of a conditional read.
#[expect(clippy::struct_field_names, reason = "they are the names of the headers")]
pub(super) struct ReadCondition<'a> {
    pub(super) if_match: Option<&'a ETagCondition>,
    pub(super) if_none_match: Option<&'a ETagCondition>,
    pub(super) if_modified_since: Option<&'a Timestamp>,
    pub(super) if_unmodified_since: Option<&'a Timestamp>,
}

/// The headers of a conditional read out of an input that has them by their usual names.
macro_rules! read_condition {
    ($input:expr) => {
        $crate::api::condition::ReadCondition {
            if_match: $input.if_match.as_ref(),
            if_none_match: $input.if_none_match.as_ref(),
            if_modified_since: $input.if_modified_since.as_ref(),
            if_unmodified_since: $input.if_unmodified_since.as_ref(),
        }
    };
}

/// The same out of the input of a copy.
macro_rules! source_condition {
    ($input:expr) => {
        $crate::api::condition::ReadCondition {
            if_match: $input.copy_source_if_match.as_ref(),
            if_none_match: $input.copy_source_if_none_match.as_ref(),
            if_modified_since: $input.copy_source_if_modified_since.as_ref(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.as_ref(),
        }
    };
}

pub(super) use {read_condition, source_condition};

impl ReadCondition<'_> {
    /// Checks in the order of RFC 9110: the `ETag` conditions win over those on time.
    pub(super) fn check(&self, object: &Object) -> S3Result<()> {
        let modified = clock::seconds(&object.modified);
        match (self.if_match, self.if_unmodified_since) {
            (Some(wanted), _) if !holds(wanted, &object.etag) => return Err(failed()),
            (None, Some(since)) if modified > clock::seconds(since) => return Err(failed()),
            _ => {}
        }
        let unchanged = match (self.if_none_match, self.if_modified_since) {
            (Some(unwanted), _) => holds(unwanted, &object.etag),
            (None, Some(since)) => modified <= clock::seconds(since),
            (None, None) => false,
        };
        if unchanged {
            return Err(not_modified(object));
        }
        Ok(())
    }

    /// A copy has no 304: whatever fails is a 412.
    pub(super) fn check_source(&self, object: &Object) -> S3Result<()> {
        self.check(object).map_err(|_| failed())
    }
}

/// Checks `If-Match` and `If-None-Match` of a write against what is there now.
pub(super) fn check_write(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    current: Option<&Object>,
) -> S3Result<()> {
    match if_none_match {
        Some(ETagCondition::Any) if current.is_some() => return Err(failed()),
        Some(ETagCondition::ETag(_)) => {
            return Err(s3_error!(
                NotImplemented,
                "A header you provided implies functionality that is not implemented: If-None-Match with an ETag"
            ));
        }
        _ => {}
    }
    match (if_match, current) {
        (Some(_), None) => Err(no_such_key()),
        (Some(wanted), Some(current)) if !holds(wanted, &current.etag) => Err(failed()),
        _ => Ok(()),
    }
}

fn holds(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

fn failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

fn not_modified(object: &Object) -> S3Error {
    let mut error = s3_error!(NotModified);
    let mut headers = http::HeaderMap::new();
    if let Ok(etag) = http::HeaderValue::from_str(&format!("\"{}\"", object.etag)) {
        headers.insert(http::header::ETAG, etag);
    }
    headers.extend(clock::last_modified(&object.modified));
    error.set_headers(headers);
    error
}
