//! An answer: the vendor's headers, and its errors.

use super::request::{Way, rename};
use super::{Asked, Described, Failure, InRegion, Interpreter, Refusal, listing};
use crate::clock;
use crate::store::{Object, Store};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use s3s::Body;
use std::fmt::Write;
use std::sync::Arc;

/// Headers that only Amazon's store has.
const AMAZON_ALONE: &[&str] = &[
    "x-amz-server-side-encryption",
    "x-amz-checksum-type",
    "x-amz-checksum-algorithm",
    "x-amz-mp-parts-count",
    "x-amz-bucket-region",
];

impl Interpreter {
    /// Makes a successful answer the vendor's.
    pub(super) fn translate(
        &self,
        answer: &mut Response<Body>,
        asked: &Asked<'_>,
        way: &Way,
        store: &Store,
    ) {
        if let Some(refusal) = &way.exists
            && answer.status() == StatusCode::PRECONDITION_FAILED
        {
            *answer = refusal.answer();
            return;
        }
        for name in AMAZON_ALONE {
            answer.headers_mut().remove(*name);
        }
        if answer.status().is_success() && asked.reads_object() {
            self.describe(answer, asked, way, store);
        }
        if let Some(empty) = self.vendor.no_lifecycle
            && asked.facts.operation == "GetBucketLifecycleConfiguration"
            && answer.status() == StatusCode::NOT_FOUND
            && answer.body().bytes().is_some_and(|text| is_no_lifecycle(&text))
        {
            *answer.status_mut() = StatusCode::OK;
            answer.headers_mut().remove(header::CONTENT_LENGTH);
            *answer.body_mut() = Body::from(empty.to_owned());
        }
        if answer.status().is_success() && asked.facts.operation.starts_with("ListObjects") {
            let listing = listing::Listing {
                vendor: self.vendor,
                native: self.native,
                store,
                bucket: &asked.facts.bucket,
                encoded: asked.query("encoding-type") == Some("url") && self.vendor.lists.encodes,
            };
            listing.translate(answer);
        }
    }

    fn describe(&self, answer: &mut Response<Body>, asked: &Asked<'_>, way: &Way, store: &Store) {
        let headers = answer.headers_mut();
        let Some(object) = answered(headers, asked, way, store) else { return };
        if let Some(link) = &way.link {
            dress_as_link(headers, link, &object);
        }
        let described = Described {
            vendor: self.vendor,
            head: asked.facts.operation == "HeadObject",
            object: way.link.as_ref().unwrap_or(&object),
            goal: &object,
            sums: &self.sums,
        };
        (self.vendor.describe)(&described, headers);
        if headers.contains_key("x-amz-storage-class") || self.vendor.lists.types {
            let class = described.class(self.native);
            if let Ok(class) = HeaderValue::from_str(&class)
                && (self.native || class != "STANDARD")
            {
                headers.insert("x-amz-storage-class", class);
            }
        }
        (self.vendor.finish)(asked, answer, &object);
    }

    /// Gives every answer what the vendor says on each, and an error the vendor's form.
    pub(crate) fn dress(&self, answer: &mut Response<Body>, host: &str) {
        let request_id = self.fresh_request_id();
        let status = answer.status();
        if (status.is_client_error() || status.is_server_error())
            && let Some(text) = answer.body().bytes()
        {
            let text = String::from_utf8_lossy(&text).into_owned();
            let refusal = answer.extensions().get::<Refusal>().copied();
            let code = listing::inner(&text, "Code").unwrap_or_default().to_owned();
            let region = answer.extensions().get::<InRegion>().map(|InRegion(it)| it.clone());
            let (host, request_id) = (host.to_owned(), request_id.clone());
            let failure = Failure { code, region, host, request_id };
            let message = listing::inner(&text, "Message").unwrap_or_default();
            let mut more: Vec<(&str, String)> = refusal
                .iter()
                .flat_map(|refusal| refusal.more)
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect();
            for (name, value) in (self.vendor.error)(&failure) {
                if !more.iter().any(|(known, _)| *known == name) {
                    more.push((name, value));
                }
            }
            self.mark(answer.headers_mut(), &more);
            *answer.body_mut() = Body::from(told(&failure.code, message, &more));
            answer.headers_mut().remove(header::CONTENT_LENGTH);
        }
        let headers = answer.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            headers.insert("x-amz-request-id", id.clone());
            if self.native {
                headers.remove("x-amz-request-id");
                rename(headers, "x-amz-", self.vendor.prefix);
                headers.insert(HeaderName::from_static(self.vendor.request_id), id);
            }
        }
    }

    /// The one element of an error that is also a header.
    fn mark(&self, headers: &mut HeaderMap, more: &[(&str, String)]) {
        let ec = more.iter().find(|(name, _)| *name == "EC");
        let ec = ec.and_then(|(_, value)| HeaderValue::from_str(value).ok());
        let name = HeaderName::try_from(format!("{}ec", self.vendor.prefix)).ok();
        if let (Some(name), Some(value)) = (name, ec) {
            headers.insert(name, value);
        }
    }
}

/// The object that the answer is about: what was there before, or what has come in its place since.
fn answered(
    headers: &HeaderMap,
    asked: &Asked<'_>,
    way: &Way,
    store: &Store,
) -> Option<Arc<Object>> {
    let etag = headers.get(header::ETAG)?.to_str().ok()?.trim_matches('"').to_owned();
    let now = || store.find(&asked.facts.bucket, &asked.facts.key, None);
    let found = way.object.clone().filter(|object| object.etag == etag);
    found.or_else(|| now().filter(|object| object.etag == etag))
}

fn is_no_lifecycle(text: &[u8]) -> bool {
    listing::inner(&String::from_utf8_lossy(text), "Code") == Some("NoSuchLifecycleConfiguration")
}

fn told(code: &str, message: &str, more: &[(&str, String)]) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>"
    );
    for (name, value) in more {
        write!(text, "<{name}>{value}</{name}>").ok();
    }
    text.push_str("</Error>");
    text
}

/// A link's answer has the goal's bytes, length and `ETag`, the later of both times, and its own headers otherwise.
/// <https://help.aliyun.com/en/oss/developer-reference/headobject>
fn dress_as_link(headers: &mut HeaderMap, link: &Object, goal: &Object) {
    let metadata: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("x-amz-meta-")).cloned().collect();
    for name in metadata {
        headers.remove(name);
    }
    for (name, value) in &link.properties.metadata {
        let name = HeaderName::try_from(format!("x-amz-meta-{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    let properties = &link.properties;
    let own = [
        (header::CONTENT_TYPE, &properties.content_type),
        (header::CONTENT_ENCODING, &properties.content_encoding),
        (header::CONTENT_LANGUAGE, &properties.content_language),
        (header::CONTENT_DISPOSITION, &properties.content_disposition),
        (header::CACHE_CONTROL, &properties.cache_control),
    ];
    for (name, value) in own {
        headers.remove(&name);
        if let Some(value) = value.as_deref().and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    if clock::seconds(&link.modified) > clock::seconds(&goal.modified) {
        // In the place of the goal's: an answer with two of them cannot be read.
        if let Some((name, value)) = clock::last_modified(&link.modified) {
            headers.insert(name, value);
        }
    }
}
