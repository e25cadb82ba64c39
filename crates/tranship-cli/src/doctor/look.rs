//! The questions to one side. None of them changes anything.

use serde_json::Value;
use tranship_adapters::stores::s3::S3Store;
use tranship_core::error::{ErrorKind, StoreError};
use tranship_core::object::{ByteRange, ETag, ETagForm, ObjectKey};
use tranship_core::store::{Head, Listed, ObjectStore as _, Pin, Versioning};

use super::finding::{Finding, State};
use super::way::{self, Way};
use super::{Subject, access, kind, probe};
use crate::engine::{Side, patiently};

/// An `ETag` that no object has.
const NO_ETAG: &str = "ffffffffffffffffffffffffffffffff";

/// Everything that can be seen of a side.
pub(super) async fn look(subject: &Subject<'_>) -> Vec<Finding> {
    let (side, prefix) = (subject.side, subject.prefix);
    let mut findings = kind::introduce(subject);
    let Some(way) = way::find(subject, &mut findings).await else { return findings };
    let Way { store, page, .. } = &way;
    findings.push(odd_keys(side, store, page).await);
    findings.extend(object(side, store, page).await);
    findings.push(access::public(subject, &way).await);
    findings.extend(access::owner(subject, &way).await);
    findings.extend(bucket(side, store, prefix).await);
    let locks = patiently(|| store.has_object_locks()).await;
    findings.push(locked(side, &locks));
    if side == Side::Destination {
        findings.push(uploads(store, prefix).await);
        findings.extend(probe::probe(subject, store, &locks).await);
    }
    findings
}

/// Whether a key that needs an encoding is listed as it is.
async fn odd_keys(side: Side, store: &S3Store, page: &[Listed]) -> Finding {
    const CHECK: &str = "odd keys";
    let is_odd = |key: &ObjectKey| {
        !key.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./=".contains(&byte))
    };
    let Some(odd) = page.iter().find(|listed| is_odd(&listed.key)) else {
        let to_do = if side == Side::Destination { "--write-probe shows it" } else { "" };
        return Finding::new(side, CHECK, State::Unknown, "no such key among the first", to_do);
    };
    let key = &odd.key;
    match patiently(|| store.head(key, None, None)).await {
        Ok(_) => {
            Finding::good(side, CHECK, format!("{key} is there under the name that was listed"))
        }
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::NoSuchKey) => {
            let what = format!("{key} was listed, and there is no object of that name");
            let to_do =
                "the store lists keys otherwise than it takes them: name the keys with --keys-from";
            Finding::new(side, CHECK, State::Bad, what, to_do)
        }
        Err(error) => Finding::new(side, CHECK, State::Unknown, error.to_string(), ""),
    }
}

/// What one object shows: whether it may be read, in ranges and pinned, and what is kept with it.
async fn object(side: Side, store: &S3Store, page: &[Listed]) -> Vec<Finding> {
    let readable = |listed: &&Listed| listed.size >= 2 && listed.storage_class.is_none();
    let Some(sample) = page.iter().filter(readable).min_by_key(|listed| listed.size) else {
        let what = "no object of two bytes and more in the standard class among the first keys";
        let to_do = "look again when there is one";
        return vec![Finding::new(side, "reading", State::Unknown, what, to_do)];
    };
    let key = &sample.key;
    let head = match patiently(|| store.head(key, None, None)).await {
        Ok(head) => head,
        Err(error) => return vec![unreadable(side, &error)],
    };
    let mut findings = vec![range(side, store, key, &head).await, pinned(side, store, key).await];
    findings.push(etags(side, &head));
    findings.push(checksums(side, &head));
    if side == Side::Source {
        findings.push(tags(store, key, &head).await);
    }
    findings
}

fn unreadable(side: Side, error: &StoreError) -> Finding {
    let (state, to_do) = if error.kind.is_about_credentials() {
        (State::Bad, "allow s3:GetObject on the objects; --print-policy shows the whole")
    } else {
        (State::Unknown, "look again")
    };
    Finding::new(side, "reading", state, error.to_string(), to_do)
}

async fn range(side: Side, store: &S3Store, key: &ObjectKey, head: &Head) -> Finding {
    const CHECK: &str = "ranges";
    let (pin, range) = (Pin::from(&head.identity), ByteRange::new(1, 2));
    match patiently(|| store.get(key, range, Some(&pin))).await {
        Ok(_) => Finding::good(side, CHECK, "a part of an object can be read"),
        Err(error) if error.kind == ErrorKind::Lied => {
            let to_do =
                "objects in parts cannot be copied from here, and larger ones than that not at all";
            let threshold = Value::from("5GiB");
            Finding::new(side, CHECK, State::Bad, error.to_string(), to_do)
                .passing(vec![("multipart-threshold".to_owned(), threshold)])
        }
        Err(error) => unreadable(side, &error),
    }
}

/// Whether a read that names another generation is refused.
async fn pinned(side: Side, store: &S3Store, key: &ObjectKey) -> Finding {
    const CHECK: &str = "If-Match";
    let pin = Pin { etag: ETag::new(NO_ETAG), version: None };
    match patiently(|| store.get(key, ByteRange::new(0, 1), Some(&pin))).await {
        // The adapter finds a wrong answer out by itself; only the store's own refusal is a 412.
        Err(error) if error.message.contains("HTTP 412") => {
            Finding::good(side, CHECK, "a read of another generation is refused")
        }
        Err(error) if error.kind == ErrorKind::PreconditionFailed => {
            let what = "the store ignores it: it answers with whichever generation there is";
            let to_do =
                "nothing: every answer's ETag is compared here, and a moved object is begun anew";
            Finding::new(side, CHECK, State::Advice, what, to_do)
        }
        Err(error) => unreadable(side, &error),
        Ok(_) => Finding::new(side, CHECK, State::Unknown, "the object has the ETag ff…", ""),
    }
}

fn etags(side: Side, head: &Head) -> Finding {
    const CHECK: &str = "ETags";
    if head.etag_is_opaque || head.identity.etag.form() == ETagForm::Opaque {
        let what =
            "they are no MD5 here (encryption with keys of a key service, or the store's habit)";
        let to_do = "nothing: copies carry a token, which says what they are copies of";
        return Finding::new(side, CHECK, State::Advice, what, to_do);
    }
    Finding::good(side, CHECK, "they have the form of an MD5")
}

fn checksums(side: Side, head: &Head) -> Finding {
    const CHECK: &str = "checksums";
    if let Some(checksum) = head.checksum {
        let name = checksum.algorithm;
        return Finding::good(
            side,
            CHECK,
            format!("{name:?} over the whole object is kept and told"),
        );
    }
    let what = "none over the whole object is kept with the one that was looked at";
    let to_do = "nothing; verify then goes by ETags, and --deep by the bytes";
    Finding::new(side, CHECK, State::Advice, what, to_do)
}

/// Whether tags can be read as a copy reads them: of the version that was seen.
async fn tags(store: &S3Store, key: &ObjectKey, head: &Head) -> Finding {
    const CHECK: &str = "tags";
    let version = head.identity.version.as_ref();
    match patiently(|| store.tags(key, version)).await {
        Ok(_) => Finding::good(Side::Source, CHECK, "they can be read"),
        Err(error) if error.kind.is_about_credentials() => {
            let permissions = match version {
                Some(_) => "s3:GetObjectTagging and s3:GetObjectVersionTagging",
                None => "s3:GetObjectTagging",
            };
            let to_do = format!(
                "allow {permissions}, or leave tags away with --no-tags: whoever may not read tags is not told by \
                Amazon S3 that there are any, so each copy counts as one that may lack some; where a store tells, the \
                objects that have tags fail"
            );
            Finding::new(Side::Source, CHECK, State::Advice, error.to_string(), to_do)
        }
        Err(error) => Finding::new(Side::Source, CHECK, State::Unknown, error.to_string(), ""),
    }
}

/// What the bucket says about itself.
async fn bucket(side: Side, store: &S3Store, prefix: &str) -> Vec<Finding> {
    let facts = match patiently(|| store.bucket()).await {
        Ok(facts) => facts,
        Err(error) => {
            let to_do =
                "allow s3:GetBucketVersioning and s3:GetLifecycleConfiguration, and look again";
            return vec![Finding::new(side, "bucket", State::Unknown, error.to_string(), to_do)];
        }
    };
    let mut findings = vec![versions(side, facts.versioning)];
    if side == Side::Destination {
        let rule = "lifecycle rule that aborts incomplete uploads of this prefix";
        findings.push(match facts.aborts_incomplete_uploads(prefix) {
            Some(true) => Finding::good(side, "lifecycle", format!("there is a {rule}")),
            Some(false) => {
                let to_do = "add one of some days: parts of a transfer that is given up are billed until then";
                Finding::new(side, "lifecycle", State::Advice, format!("there is no {rule}"), to_do)
            }
            None => {
                let what = format!("whether there is a {rule} cannot be asked");
                let to_do = "allow s3:GetLifecycleConfiguration";
                Finding::new(side, "lifecycle", State::Unknown, what, to_do)
            }
        });
    }
    findings
}

/// Whether there is a history that would stay behind, or whether what a copy replaces is kept.
fn versions(side: Side, versioning: Versioning) -> Finding {
    const CHECK: &str = "versions";
    let advice = |what, to_do| Finding::new(side, CHECK, State::Advice, what, to_do);
    let history = "the current version of each key is copied; copy the history by other means";
    let on = "turn versioning on, if what lies there must not be lost";
    match (side, versioning) {
        (Side::Source, Versioning::Never) => {
            Finding::good(side, CHECK, "there is no history to be lost")
        }
        (Side::Source, Versioning::Enabled) => advice("the bucket keeps versions", history),
        (Side::Source, Versioning::Suspended) => {
            advice("the bucket kept versions once, and may still have them", history)
        }
        (Side::Destination, Versioning::Enabled) => {
            Finding::good(side, CHECK, "what is replaced is kept")
        }
        (Side::Destination, Versioning::Never | Versioning::Suspended) => {
            advice("the bucket keeps no versions: what is replaced is lost", on)
        }
        (_, Versioning::Unknown) => {
            let what = "not looked at: the bucket does not tell, or may not be asked";
            let to_do = "allow s3:GetBucketVersioning to this look, or ask whoever owns the bucket";
            Finding::new(side, CHECK, State::Unknown, what, to_do)
        }
    }
}

async fn uploads(store: &S3Store, prefix: &str) -> Finding {
    const CHECK: &str = "open uploads";
    let key = ObjectKey::new(format!("{prefix}tranship-doctor"));
    match patiently(|| store.list_uploads(&key)).await {
        Ok(_) => Finding::good(Side::Destination, CHECK, "they can be listed"),
        Err(error) => {
            let state = if error.kind.is_about_credentials() { State::Bad } else { State::Unknown };
            let to_do =
                "allow s3:ListBucketMultipartUploads: what a lost answer left is found by it";
            Finding::new(Side::Destination, CHECK, state, error.to_string(), to_do)
        }
    }
}

fn locked(side: Side, locks: &Result<bool, StoreError>) -> Finding {
    const CHECK: &str = "object locks";
    match (locks, side) {
        (Ok(false), _) => Finding::good(side, CHECK, "they are off"),
        (Ok(true), Side::Source) => {
            let what = "they are on, and no copy is locked";
            let to_do = "lock the copies by other means; s3:GetObjectRetention and s3:GetObjectLegalHold let a plan see which objects of its sample are locked";
            Finding::new(side, CHECK, State::Advice, what, to_do)
        }
        (Ok(true), Side::Destination) => {
            let to_do = "copies may become undeletable; try with a bucket without locks first";
            Finding::new(side, CHECK, State::Advice, "they are on", to_do)
        }
        (Err(error), _) => {
            let to_do = "allow s3:GetBucketObjectLockConfiguration to this look";
            Finding::new(side, CHECK, State::Unknown, error.to_string(), to_do)
        }
    }
}
