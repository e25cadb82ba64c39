//! The way to a side: how its bucket is addressed and listed. The way that a copy would take is tried
//! first; where that leads nowhere, others are, and the one that does becomes a fact.

use serde_json::Value;
use tranship_adapters::stores::s3::vendors::ListVersion;
use tranship_adapters::stores::s3::{S3Settings, S3Store};
use tranship_core::compare::check_order;
use tranship_core::error::{ErrorKind, StoreError};
use tranship_core::store::{ListRequest, Listed, ObjectStore as _};

use super::finding::{Finding, State};
use super::{Subject, access};
use crate::embedded::advice;
use crate::engine::patiently;

/// Keys that are looked at.
const PAGE_KEYS: u16 = 1_000;

const REACH: &str = "reach";
const ORDER: &str = "listing order";
const HEADERS: &str = "checksum headers";

/// A way on which the listing came.
pub(super) struct Way {
    pub(super) settings: S3Settings,
    pub(super) store: S3Store,
    pub(super) page: Vec<Listed>,
}

/// Settings that differ from those of a copy, and the options that make them.
struct Detour {
    settings: S3Settings,
    options: Vec<(String, Value)>,
}

/// Finds a way, and says what it is like; `None`: there is none.
pub(super) async fn find(subject: &Subject<'_>, findings: &mut Vec<Finding>) -> Option<Way> {
    let side = subject.side;
    let way = match open(subject, subject.settings.clone()).await {
        Ok(way) => way,
        Err(error) => {
            let (finding, way) = other_than_closed(subject, &error).await;
            findings.push(finding);
            let way = without_headers(subject, way?, findings).await;
            findings
                .push(ordered(subject, &way).await.unwrap_or_else(|what| disorder(subject, what)));
            findings.push(encoding(subject, &way).await);
            return Some(way);
        }
    };
    let way = without_headers(subject, way, findings).await;
    let what = format!("the bucket answers, and {} keys were listed", way.page.len());
    findings.push(Finding::good(side, REACH, what));
    let way = match ordered(subject, &way).await {
        Ok(finding) => {
            findings.push(finding);
            way
        }
        Err(what) => {
            let (finding, other) = other_than_disorder(subject, what).await;
            findings.push(finding);
            other.unwrap_or(way)
        }
    };
    findings.push(encoding(subject, &way).await);
    Some(way)
}

async fn open(subject: &Subject<'_>, settings: S3Settings) -> Result<Way, StoreError> {
    let store = S3Store::connect(settings.clone()).await?;
    let first = ListRequest {
        prefix: subject.prefix.to_owned(),
        limit: PAGE_KEYS,
        ..ListRequest::default()
    };
    let page = patiently(|| store.list(&first)).await?.objects;
    Ok(Way { settings, store, page })
}

/// Whether keys come in the order of their bytes, and a listing can begin behind any of them.
async fn ordered(subject: &Subject<'_>, way: &Way) -> Result<Finding, String> {
    let (side, prefix) = (subject.side, subject.prefix);
    check_order(prefix, None, &way.page)?;
    let [first, .., _] = way.page.as_slice() else {
        let to_do = "look again when there are objects";
        return Ok(Finding::new(side, ORDER, State::Unknown, "fewer than two keys", to_do));
    };
    let after = Some(first.key.clone());
    let behind = ListRequest { prefix: prefix.to_owned(), after, limit: 2, continuation: None };
    let rest = patiently(|| way.store.list(&behind)).await.map_err(|error| error.to_string())?;
    check_order(prefix, Some(&first.key), &rest.objects)
        .map_err(|what| format!("a listing from a key on: {what}"))?;
    Ok(Finding::good(side, ORDER, "by the bytes of the keys, from any key on"))
}

fn disorder(subject: &Subject<'_>, what: String) -> Finding {
    let to_do = "a copy stops at such a listing; name the keys with --keys-from instead";
    Finding::new(subject.side, ORDER, State::Bad, what, to_do)
}

/// Another listing, where the one that a copy would ask for is out of order.
async fn other_than_disorder(subject: &Subject<'_>, what: String) -> (Finding, Option<Way>) {
    for Detour { settings, options } in listings(subject) {
        if let Ok(way) = open(subject, settings).await
            && ordered(subject, &way).await.is_ok()
        {
            let to_do = "a copy stops at such a listing, and with this it does not";
            let finding = Finding::new(subject.side, ORDER, State::Bad, what, to_do);
            return (finding.passing(options), Some(way));
        }
    }
    (disorder(subject, what), None)
}

/// Another way, where the one that a copy would take is closed.
async fn other_than_closed(subject: &Subject<'_>, error: &StoreError) -> (Finding, Option<Way>) {
    let side = subject.side;
    if error.kind == ErrorKind::Denied
        && let Some(foreign) = access::foreign(subject).await
    {
        return (foreign, None);
    }
    // Of no use where another request would meet the same.
    let detours = match error.kind {
        ErrorKind::Unauthenticated | ErrorKind::ClockSkewed => Vec::new(),
        ErrorKind::Unavailable
        | ErrorKind::Throttled
        | ErrorKind::WrongRegion
        | ErrorKind::WrongAddress => addressing(subject),
        // Without the headers first: another listing has them, too, or would hide that it is they.
        ErrorKind::Invalid | ErrorKind::Unsupported => headers(&subject.settings, subject)
            .into_iter()
            .chain(addressing(subject))
            .chain(listings(subject))
            .collect(),
        _ => addressing(subject).into_iter().chain(listings(subject)).collect(),
    };
    for Detour { settings, options } in detours {
        if let Ok(way) = open(subject, settings).await {
            let to_do = "a copy cannot begin so, and with this it can";
            let finding = Finding::new(side, REACH, State::Bad, error.to_string(), to_do);
            return (finding.passing(options), Some(way));
        }
    }
    let to_do = advice(side, subject.settings.vendor(), error);
    (Finding::new(side, REACH, State::Bad, error.to_string(), to_do), None)
}

/// No headers of Amazon's about checksums, if they are sent.
fn headers(now: &S3Settings, subject: &Subject<'_>) -> Option<Detour> {
    let settings = S3Settings { checksums: Some(false), ..now.clone() };
    let options = vec![(subject.option("checksums"), Value::from(false))];
    now.sends_checksums().then_some(Detour { settings, options })
}

/// A way without the headers, where an object cannot be looked at with them, and can be without. To a listing
/// fewer of them belong.
async fn without_headers(subject: &Subject<'_>, way: Way, findings: &mut Vec<Finding>) -> Way {
    let Some(Detour { settings, options }) = headers(&way.settings, subject) else { return way };
    let Some(key) = way.page.first().map(|first| first.key.clone()) else { return way };
    let refused = match patiently(|| way.store.head(&key, None, None)).await {
        Err(error) if matches!(error.kind, ErrorKind::Invalid | ErrorKind::Unsupported) => error,
        Ok(_) | Err(_) => return way,
    };
    let Ok(store) = S3Store::connect(settings.clone()).await else { return way };
    if patiently(|| store.head(&key, None, None)).await.is_err() {
        return way;
    }
    let to_do = "a copy cannot look at an object so, and with this it can";
    let finding = Finding::new(subject.side, HEADERS, State::Bad, refused.to_string(), to_do);
    findings.push(finding.passing(options));
    Way { settings, store, page: way.page }
}

/// The other version of the listing, keys asked for otherwise, and both.
fn listings(subject: &Subject<'_>) -> Vec<Detour> {
    let now = &subject.settings;
    let (version, name) = match now.list_version.unwrap_or(now.vendor().quirks.list) {
        ListVersion::V1 => (ListVersion::V2, "2"),
        ListVersion::V2 => (ListVersion::V1, "1"),
    };
    let encoding = !now.list_encoding.unwrap_or(now.vendor().quirks.encodes_listings);
    let of_version = (subject.option("list-version"), Value::from(name));
    let of_encoding = (subject.option("list-encoding"), Value::from(encoding));
    let (list_version, list_encoding) = (Some(version), Some(encoding));
    vec![
        Detour {
            settings: S3Settings { list_version, ..now.clone() },
            options: vec![of_version.clone()],
        },
        Detour {
            settings: S3Settings { list_encoding, ..now.clone() },
            options: vec![of_encoding.clone()],
        },
        Detour {
            settings: S3Settings { list_version, list_encoding, ..now.clone() },
            options: vec![of_version, of_encoding],
        },
    ]
}

/// The bucket at the other place. At Amazon S3 both lead to the same.
fn addressing(subject: &Subject<'_>) -> Vec<Detour> {
    let now = &subject.settings;
    if now.endpoint.is_none() || now.bucket_endpoint {
        return Vec::new();
    }
    let path_style = !now.path_style;
    let options = vec![(subject.option("path-style"), Value::from(path_style))];
    vec![Detour { settings: S3Settings { path_style, ..now.clone() }, options }]
}

/// Whether keys come encoded where that is asked for, and whether a copy asks.
async fn encoding(subject: &Subject<'_>, way: &Way) -> Finding {
    const CHECK: &str = "encoded keys";
    let (side, settings) = (subject.side, &way.settings);
    let asks = settings.list_encoding.unwrap_or(settings.vendor().quirks.encodes_listings);
    let option = subject.option("list-encoding");
    match (asks, patiently(|| way.store.encodes_listings(subject.prefix)).await) {
        (true, Ok(true)) => Finding::good(side, CHECK, "a listing gives them, as it is asked to"),
        (true, Ok(false)) => {
            let what = "a listing is asked for them and does not give them: a key that XML cannot hold makes its page unreadable";
            Finding::new(side, CHECK, State::Advice, what, "it need not be asked")
                .passing(vec![(option, Value::from(false))])
        }
        (false, Ok(true)) => {
            let what = "a listing gives them if it is asked, and it is not asked";
            let to_do = "with this a listing can hold every key";
            Finding::new(side, CHECK, State::Advice, what, to_do)
                .passing(vec![(option, Value::from(true))])
        }
        (true, Err(error)) => Finding::new(side, CHECK, State::Unknown, error.to_string(), ""),
        (false, Ok(false) | Err(_)) => {
            Finding::good(side, CHECK, "a listing does not give them, and is not asked to")
        }
    }
}
