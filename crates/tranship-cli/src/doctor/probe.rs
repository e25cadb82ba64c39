//! The probe: a few small objects at the destination, looked at and taken away again. They are written
//! as a copy would write: with the ACL and the encryption of the settings, and with tags where it has any.
//!
//! It happens only where a person asked for it, and never where an object could be locked: that one
//! could not be taken away.

use bytes::Bytes;
use serde_json::Value;
use tranship_adapters::stores::s3::{S3Settings, S3Store, Sse};
use tranship_core::body::full;
use tranship_core::error::{Disposition, ErrorKind, StoreError};
use tranship_core::object::{ETag, ObjectKey, PartNumber};
use tranship_core::store::{Completion, Condition, ListRequest, ObjectStore as _, Put, Write};

use super::Subject;
use super::finding::{Finding, State};
use crate::engine::{Side, patiently};

/// Names that stores and clients stumble over, in the order of their bytes.
const NAMES: [&str; 9] =
    ["%41", "../up", "a b", "a+b", "a//b", "back\\slash", "line\nfeed", "q?x=<&>'\"", "é\u{1f600}"];
const BYTES: &[u8] = b"a probe of tranship doctor; it may be deleted";
const SIZE: u64 = 45;

const SIDE: Side = Side::Destination;

/// An `ETag` that no object has.
const NO_ETAG: &str = "ffffffffffffffffffffffffffffffff";

/// Writes, looks, and deletes. `locks`: whether object locks are on, where that could be asked.
pub(super) async fn probe(
    subject: &Subject<'_>,
    store: &S3Store,
    locks: &Result<bool, StoreError>,
) -> Vec<Finding> {
    let Some(id) = subject.probe_id else {
        let what = "nothing was written: whether a copy may write is not known";
        let to_do = "--write-probe tries it with some small objects, and takes them away again";
        return vec![Finding::new(SIDE, "writing", State::Unknown, what, to_do)];
    };
    if !matches!(locks, Ok(false)) {
        let what = "no probe was written: object locks are on, or may be";
        let to_do = "probe another bucket of the same store";
        return vec![Finding::new(SIDE, "probe", State::Unknown, what, to_do)];
    }
    let folder = format!("{}tranship-doctor-{id:016x}/", subject.prefix);
    let mut written = Vec::new();
    let mut findings = write_all(subject, store, &folder, &mut written).await;
    if let Some((key, etag)) = written.first() {
        findings.push(fence(subject, conditions(store, key, etag).await));
        findings.push(listed(store, &folder, &written).await);
        findings.push(multipart(store, key).await);
        if subject.tags {
            findings.push(tags(store, key).await);
        }
    }
    findings.push(take_away(store, &folder, written).await);
    findings
}

/// The name is nobody else's, so that it takes no condition to harm nothing.
async fn put(
    store: &S3Store,
    key: &ObjectKey,
    condition: Option<&Condition>,
) -> Result<ETag, StoreError> {
    put_with(store, key, condition, Write::default()).await
}

async fn put_with(
    store: &S3Store,
    key: &ObjectKey,
    condition: Option<&Condition>,
    write: Write,
) -> Result<ETag, StoreError> {
    let put = Put { key, size: SIZE, write, condition, checksum: None, md5: None };
    store.put(put, full(Bytes::from_static(BYTES))).await.map(|written| written.etag)
}

/// Stops at the first that is refused for good: the others would be, too.
async fn write_all(
    subject: &Subject<'_>,
    store: &S3Store,
    folder: &str,
    written: &mut Vec<(ObjectKey, ETag)>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in NAMES {
        let key = ObjectKey::new(format!("{folder}{name}"));
        match put(store, &key, None).await {
            Ok(etag) => written.push((key, etag)),
            Err(error) if error.disposition() == Disposition::Halt => {
                let to_do = may_write(&subject.settings);
                findings.push(Finding::new(SIDE, "writing", State::Bad, error.to_string(), to_do));
                return findings;
            }
            Err(error) => {
                let to_do = "such keys fail in a copy; leave them out with --exclude";
                findings.push(Finding::new(
                    SIDE,
                    "writing",
                    State::Advice,
                    error.to_string(),
                    to_do,
                ));
            }
        }
    }
    if findings.is_empty() {
        findings.push(Finding::good(SIDE, "writing", "objects with odd keys can be written"));
    }
    findings
}

/// What a write takes that is asked for as the settings say.
fn may_write(settings: &S3Settings) -> String {
    let acl = if settings.acl.is_some() { " and s3:PutObjectAcl" } else { "" };
    let key = match settings.sse {
        Some(Sse::Kms { .. }) => ", and kms:GenerateDataKey and kms:Decrypt on the key",
        Some(Sse::Managed) | None => "",
    };
    format!("allow s3:PutObject{acl} on the objects{key}; --print-policy shows the whole")
}

/// What a store does about conditions on writes.
enum Conditions {
    Honoured,
    /// This kind of write went through against its condition.
    Ignored(&'static str),
    /// Writes with conditions are refused, whether or not those hold.
    Refused(StoreError),
    Unseen(StoreError),
}

/// Tries each kind of write over an object, under a condition that does not hold, and at last under one
/// that does.
async fn conditions(store: &S3Store, key: &ObjectKey, etag: &ETag) -> Conditions {
    let (absent, other) = (Condition::Absent, Condition::Is(ETag::new(NO_ETAG)));
    let tries = [
        ("a plain write that expects no object", put(store, key, Some(&absent)).await.map(drop)),
        (
            "a plain write that expects another object",
            put(store, key, Some(&other)).await.map(drop),
        ),
        ("an upload in parts that expects no object", complete(store, key, Some(&absent)).await),
    ];
    for (name, tried) in tries {
        match tried {
            Ok(()) => return Conditions::Ignored(name),
            Err(error) => match error.kind {
                ErrorKind::PreconditionFailed | ErrorKind::Conflict => {}
                ErrorKind::Unsupported | ErrorKind::Invalid => return Conditions::Refused(error),
                _ => return Conditions::Unseen(error),
            },
        }
    }
    match put(store, key, Some(&Condition::Is(etag.clone()))).await {
        Ok(_) => Conditions::Honoured,
        Err(error) if error.disposition() == Disposition::Retry => Conditions::Unseen(error),
        Err(error) => Conditions::Refused(error),
    }
}

/// An upload of one part, completed.
async fn complete(
    store: &S3Store,
    key: &ObjectKey,
    condition: Option<&Condition>,
) -> Result<(), StoreError> {
    let upload = store.create_upload(key, &Write::default()).await?;
    let part = store
        .upload_part(key, &upload, PartNumber::FIRST, SIZE, full(Bytes::from_static(BYTES)))
        .await;
    let completed = match part {
        Ok(etag) => {
            let parts = [(PartNumber::FIRST, etag)];
            let completion =
                Completion { key, upload: &upload, parts: &parts, size: SIZE, condition };
            store.complete_upload(completion).await.map(drop)
        }
        Err(error) => Err(error),
    };
    if completed.is_err() {
        // What cannot be aborted either waits for the bucket's lifecycle rule.
        store.abort_upload(key, &upload).await.ok();
    }
    completed
}

/// What that means for a copy, which relies on conditions or does not.
fn fence(subject: &Subject<'_>, seen: Conditions) -> Finding {
    const CHECK: &str = "conditional writes";
    const ALONE: &str = "let nobody else write there during a copy: it could be written over";
    let option = |value: bool| vec![("destination-conditions".to_owned(), Value::from(value))];
    let advice = |what: String, to_do| Finding::new(SIDE, CHECK, State::Advice, what, to_do);
    match (seen, subject.conditions) {
        (Conditions::Honoured, true) => {
            Finding::good(SIDE, CHECK, "a write over what somebody else put there is refused")
        }
        (Conditions::Honoured, false) => {
            let what = "the store honours them, and a copy would not rely on them".to_owned();
            advice(what, "with this nobody else's write is written over").passing(option(true))
        }
        (Conditions::Ignored(which), true) => {
            advice(format!("the store ignores them: {which} went through"), ALONE)
                .passing(option(false))
        }
        (Conditions::Ignored(which), false) => {
            advice(format!("the store ignores them, as is known: {which} went through"), ALONE)
        }
        (Conditions::Refused(error), true) => {
            let to_do = "else every write fails; and let nobody else write there during a copy";
            Finding::new(SIDE, CHECK, State::Bad, error.to_string(), to_do).passing(option(false))
        }
        (Conditions::Refused(error), false) => {
            advice(format!("the store refuses them, and a copy sends none: {error}"), ALONE)
        }
        (Conditions::Unseen(error), _) => {
            Finding::new(SIDE, CHECK, State::Unknown, error.to_string(), "")
        }
    }
}

/// Whether the listing gives the keys back, byte for byte and in order.
async fn listed(store: &S3Store, folder: &str, written: &[(ObjectKey, ETag)]) -> Finding {
    const CHECK: &str = "odd keys";
    let all = ListRequest { prefix: folder.to_owned(), limit: 100, ..ListRequest::default() };
    let page = match patiently(|| store.list(&all)).await {
        Ok(page) => page,
        Err(error) => {
            let to_do = "the store cannot list such keys: leave them out with --exclude";
            return Finding::new(SIDE, CHECK, State::Bad, error.to_string(), to_do);
        }
    };
    let came = page.objects.iter().map(|listed| &listed.key);
    if came.eq(written.iter().map(|(key, _)| key)) {
        return Finding::good(
            SIDE,
            CHECK,
            "they come back from the listing, byte for byte, in order",
        );
    }
    let is_listed = |key: &ObjectKey| page.objects.iter().any(|listed| listed.key == *key);
    let what = match written.iter().find(|(key, _)| !is_listed(key)) {
        Some((key, _)) => format!("{key} was written, and is not listed under that name"),
        None => "all are listed, and not in the order of their bytes".to_owned(),
    };
    let to_do = "a copy would stop at such a listing, or copy such keys again each time";
    Finding::new(SIDE, CHECK, State::Bad, what, to_do)
}

async fn multipart(store: &S3Store, key: &ObjectKey) -> Finding {
    const CHECK: &str = "multipart uploads";
    let tried = async {
        let upload = store.create_upload(key, &Write::default()).await?;
        store.abort_upload(key, &upload).await?;
        complete(store, key, None).await
    };
    match tried.await {
        Ok(()) => Finding::good(SIDE, CHECK, "one can be begun and aborted, and one completed"),
        Err(error) => {
            let to_do = "allow s3:PutObject and s3:AbortMultipartUpload on the objects";
            Finding::new(SIDE, CHECK, State::Bad, error.to_string(), to_do)
        }
    }
}

/// Whether an object may be written with tags, which is a right of its own.
async fn tags(store: &S3Store, key: &ObjectKey) -> Finding {
    const CHECK: &str = "tags";
    let tags = vec![("tranship".to_owned(), "doctor".to_owned())];
    let write = Write { tags: tags.clone(), ..Write::default() };
    if let Err(error) = put_with(store, key, None, write).await {
        let may_pass = error.disposition() == Disposition::Retry;
        let state = if may_pass { State::Unknown } else { State::Bad };
        let to_do = "allow s3:PutObjectTagging on the objects, or leave tags away with --no-tags: else objects that have tags fail";
        return Finding::new(SIDE, CHECK, state, error.to_string(), to_do);
    }
    match patiently(|| store.tags(key, None)).await {
        Ok(found) if found == tags => {
            Finding::good(SIDE, CHECK, "an object can be written with them, and they come back")
        }
        Ok(_) => {
            let what = "an object was written with them, and has none";
            let to_do = "tags would be lost in silence: leave them away with --no-tags, and carry them over by other means";
            Finding::new(SIDE, CHECK, State::Bad, what, to_do)
        }
        Err(error) => {
            let to_do = "allow s3:GetObjectTagging: --compare metadata reads them";
            Finding::new(SIDE, CHECK, State::Advice, error.to_string(), to_do)
        }
    }
}

async fn take_away(store: &S3Store, folder: &str, written: Vec<(ObjectKey, ETag)>) -> Finding {
    const CHECK: &str = "probe";
    let mut left = None;
    for (key, _) in &written {
        // Without a condition: some stores know none on a delete, and the name is ours alone.
        if let Err(error) = patiently(|| store.delete(key, None)).await {
            left.get_or_insert(error);
        }
    }
    match left {
        None => {
            let what = format!("{} objects were written and deleted again", written.len());
            Finding::good(SIDE, CHECK, what)
        }
        Some(error) => {
            let to_do = format!("delete what begins with {folder}");
            Finding::new(SIDE, CHECK, State::Advice, error.to_string(), to_do)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_is_as_it_says() {
        assert!(NAMES.is_sorted(), "{NAMES:?}");
        assert_eq!(u64::try_from(BYTES.len()), Ok(SIZE));
    }
}
