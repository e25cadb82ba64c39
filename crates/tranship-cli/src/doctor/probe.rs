//! The probe: a few small objects at the destination, looked at and taken away again.
//!
//! It happens only where a person asked for it, and never where an object could be locked: that one
//! could not be taken away.

use bytes::Bytes;
use tranship_adapters::stores::s3::S3Store;
use tranship_core::body::full;
use tranship_core::error::{ErrorKind, StoreError};
use tranship_core::object::{ETag, ObjectKey};
use tranship_core::store::{Condition, ListRequest, ObjectStore as _, Put, Write};

use super::finding::{Finding, State};
use crate::engine::{Side, patiently};

/// Names that stores and clients stumble over, in the order of their bytes.
const NAMES: [&str; 9] =
    ["%41", "../up", "a b", "a+b", "a//b", "back\\slash", "line\nfeed", "q?x=<&>'\"", "é\u{1f600}"];
const BYTES: &[u8] = b"a probe of tranship doctor; it may be deleted";

const SIDE: Side = Side::Destination;

/// Writes, looks, and deletes. `locks`: whether object locks are on, where that could be asked.
pub(super) async fn probe(
    store: &S3Store,
    prefix: &str,
    id: u64,
    locks: &Result<bool, StoreError>,
) -> Vec<Finding> {
    if !matches!(locks, Ok(false)) {
        let what = "no probe was written: object locks are on, or may be";
        let to_do = "probe another bucket of the same store";
        return vec![Finding::new(SIDE, "probe", State::Unknown, what, to_do)];
    }
    let folder = format!("{prefix}tranship-doctor-{id:016x}/");
    let mut written = Vec::new();
    let mut findings = write_all(store, &folder, &mut written).await;
    if let Some((key, _)) = written.first() {
        findings.push(fence(store, key).await);
        findings.push(listed(store, &folder, &written).await);
        findings.push(multipart(store, key).await);
    }
    findings.push(take_away(store, &folder, written).await);
    findings
}

async fn put(store: &S3Store, key: &ObjectKey) -> Result<ETag, StoreError> {
    let put = Put {
        key,
        size: u64::try_from(BYTES.len()).unwrap_or(u64::MAX),
        write: Write::default(),
        condition: Some(&Condition::Absent),
        checksum: None,
        md5: None,
    };
    store.put(put, full(Bytes::from_static(BYTES))).await.map(|written| written.etag)
}

/// Stops at the first that is refused for good: the others would be, too.
async fn write_all(
    store: &S3Store,
    folder: &str,
    written: &mut Vec<(ObjectKey, ETag)>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in NAMES {
        let key = ObjectKey::new(format!("{folder}{name}"));
        match put(store, &key).await {
            Ok(etag) => written.push((key, etag)),
            Err(error) if error.kind.is_about_credentials() => {
                let to_do = "allow s3:PutObject on the objects; --print-policy shows the whole";
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

/// Whether a write over what was not expected is refused.
async fn fence(store: &S3Store, key: &ObjectKey) -> Finding {
    const CHECK: &str = "conditional writes";
    match put(store, key).await {
        Err(error) if matches!(error.kind, ErrorKind::PreconditionFailed | ErrorKind::Conflict) => {
            Finding::good(SIDE, CHECK, "a write over what somebody else put there is refused")
        }
        Err(error) => Finding::new(SIDE, CHECK, State::Unknown, error.to_string(), ""),
        Ok(_) => {
            let what = "the store ignores them";
            let to_do = "let nobody else write there during a copy: it could be written over";
            Finding::new(SIDE, CHECK, State::Advice, what, to_do)
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
        store.abort_upload(key, &upload).await
    };
    match tried.await {
        Ok(()) => Finding::good(SIDE, CHECK, "one can be begun and aborted"),
        Err(error) => {
            let to_do = "allow s3:PutObject and s3:AbortMultipartUpload on the objects";
            Finding::new(SIDE, CHECK, State::Bad, error.to_string(), to_do)
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
    fn the_names_of_the_probe_are_in_the_order_of_their_bytes() {
        assert!(NAMES.is_sorted(), "{NAMES:?}");
    }
}
