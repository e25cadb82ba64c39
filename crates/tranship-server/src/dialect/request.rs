//! A request: what of it a vendor refuses, and what of it the S3 service behind is to see.

use super::{Asked, CreateOnly, InRegion, Interpreter, Refusal, Vendor, gate};
use crate::front::unframe;
use crate::store::{Form, Object, Store};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::Body;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::Arc;

/// <https://help.aliyun.com/en/oss/user-guide/0026-00000012>
const SYMLINK_LEADS_NOWHERE: Refusal =
    Refusal::new(404, "SymlinkTargetNotExist", "The symlink target object does not exist")
        .saying(&[("EC", "0026-00000012")]);

/// Believed; it is documented of another store with the same links.
const SYMLINK_LEADS_TO_SYMLINK: Refusal =
    Refusal::new(400, "InvalidTargetType", "The symlink's target object type is invalid");

/// Headers that a vendor's store does not know and passes over.
const UNKNOWN: &[&str] = &[
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
    "x-amz-mp-object-size",
    "x-amz-optional-object-attributes",
    "x-amz-expected-bucket-owner",
    "x-amz-source-expected-bucket-owner",
];

/// Where a request leads.
#[derive(Default)]
pub(super) struct Way {
    /// The object that the answer is about, and the link that leads to it if the request is for one.
    pub(super) object: Option<Arc<Object>>,
    pub(super) link: Option<Arc<Object>>,
    /// The version that is asked for, by the id that the store has for it.
    version: Option<String>,
    /// Whether the write must not replace anything.
    pub(super) create_only: bool,
    /// The answer to a write whose condition does not hold, if it is the vendor's own.
    pub(super) exists: Option<Refusal>,
}

impl Interpreter {
    /// Refuses what the vendor refuses, the signature among it.
    pub(super) async fn admit(
        &self,
        request: &Request<Incoming>,
        asked: &Asked<'_>,
        elsewhere: Option<String>,
    ) -> Result<(), Response<Body>> {
        let vendor = self.vendor;
        let hosted = self.bucket_in_host(asked.headers).is_some();
        if let Some(refusal) = vendor.path_style
            && !hosted
            && !asked.facts.bucket.is_empty()
        {
            return Err(refusal.answer());
        }
        (vendor.check)(asked).map_err(|refusal| refusal.answer())?;
        if let Some(gate) = self.gate.as_ref().filter(|_| !asked.open) {
            gate::pass(gate, request).await?;
        }
        if let Some(region) = elsewhere {
            let (natively, over_s3) = vendor.elsewhere;
            let mut refusal = if self.native { natively } else { over_s3 }.answer();
            refusal.extensions_mut().insert(InRegion(region));
            return Err(refusal);
        }
        self.check(asked).map_err(|refusal| refusal.answer())
    }

    /// Checks what is written down as data.
    fn check(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        let vendor = self.vendor;
        if vendor.absent.contains(&asked.facts.operation) {
            return Err(vendor.not_there);
        }
        if asked.facts.key.len() > vendor.longest_key {
            return Err(vendor.key_too_long);
        }
        if asked.creates() {
            check_metadata(vendor, asked.headers)?;
        }
        let conditional = ["if-match", "if-none-match"].iter().any(|it| asked.header(it).is_some());
        if let Some(refusal) = vendor.write_conditions
            && asked.writes_object()
            && conditional
        {
            return Err(refusal);
        }
        if asked.facts.operation == "DeleteObjects" && !self.has_delete_checksum(asked) {
            return Err(Refusal::new(
                400,
                "InvalidRequest",
                "Missing required header for this request: Content-MD5",
            ));
        }
        let class = asked.header("x-amz-storage-class").unwrap_or("STANDARD");
        let classes = vendor.classes;
        if asked.creates() && !classes.iter().any(|(s3, own)| *s3 == class || *own == class) {
            return Err(Refusal::new(
                400,
                "InvalidStorageClass",
                "The storage class you specified is not valid",
            ));
        }
        Ok(())
    }

    fn has_delete_checksum(&self, asked: &Asked<'_>) -> bool {
        let newer = || {
            asked.headers.keys().any(|name| name.as_str().starts_with("x-amz-checksum-"))
                || asked.header("x-amz-trailer").is_some()
        };
        asked.header("content-md5").is_some() || (self.vendor.newer_delete_checksum && newer())
    }

    /// Finds what the request is about, and refuses what depends on it.
    pub(super) fn way(&self, asked: &Asked<'_>, store: &Store) -> Result<Way, Refusal> {
        let facts = asked.facts;
        let mut way = Way { version: version(asked, store), ..Way::default() };
        let version = way.version.as_deref();
        way.object = match version {
            Some(id) => store.find(&facts.bucket, &facts.key, Some(id)),
            None => asked.object.clone(),
        };
        if asked.reads_object()
            && let Some(link) = way.object.clone()
            && let Form::Symlink { goal } = &link.form
        {
            let object = store.find(&facts.bucket, goal, None).ok_or(SYMLINK_LEADS_NOWHERE)?;
            if matches!(object.form, Form::Symlink { .. }) {
                return Err(SYMLINK_LEADS_TO_SYMLINK);
            }
            way.object = Some(object);
            way.link = Some(link);
        }
        if facts.operation == "GetObject" && way.object.as_ref().is_some_and(|it| it.is_archived())
        {
            return Err(self.vendor.archived);
        }
        if let Some(rule) = &self.vendor.create_only {
            create_only(asked, rule, &mut way)?;
        }
        Ok(way)
    }

    /// The request as the service behind is to see it: by path, with Amazon's headers alone, and not signed.
    pub(super) async fn rewrite(
        &self,
        mut request: Request<Incoming>,
        asked: &Asked<'_>,
        way: &Way,
    ) -> Result<Request<Body>, Refusal> {
        *request.uri_mut() = self.uri(asked, way).unwrap_or_else(|| request.uri().clone());
        let digest = asked.digest().to_owned();
        let headers = request.headers_mut();
        self.headers(headers, asked, way);
        let request = unframe(request, asked.facts.framed);
        // Whatever is not a digest says that the body is not signed, or signed in frames.
        if self.gate.is_none() || digest.len() != 64 {
            return Ok(request);
        }
        let (head, body) = request.into_parts();
        let cut_off =
            || Refusal::new(400, "IncompleteBody", "The request body terminated unexpectedly");
        let body = body.collect().await.map_err(|_| cut_off())?.to_bytes();
        if !hex::encode(Sha256::digest(&body)).eq_ignore_ascii_case(&digest) {
            return Err(Refusal::new(
                400,
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            ));
        }
        Ok(Request::from_parts(head, Body::from(body)))
    }

    fn headers(&self, headers: &mut HeaderMap, asked: &Asked<'_>, way: &Way) {
        rename(headers, self.vendor.prefix, "x-amz-");
        for name in [header::AUTHORIZATION.as_str(), "x-amz-date", "x-amz-security-token"] {
            headers.remove(name);
        }
        for name in UNKNOWN {
            headers.remove(*name);
        }
        let checksums: Vec<HeaderName> = headers
            .keys()
            .filter(|name| name.as_str().starts_with("x-amz-checksum-"))
            .cloned()
            .collect();
        for name in checksums {
            headers.remove(name);
        }
        if !self.vendor.tags {
            headers.remove("x-amz-tagging");
            headers.remove("x-amz-tagging-directive");
        }
        if !asked.reads_object() {
            headers.remove(header::IF_MATCH);
            headers.remove(header::IF_NONE_MATCH);
        }
        if way.create_only {
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        (self.vendor.rewrite)(asked, headers);
    }

    fn uri(&self, asked: &Asked<'_>, way: &Way) -> Option<Uri> {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let key = match way.link.as_ref().map(|link| &link.form) {
            Some(Form::Symlink { goal }) => goal,
            _ => &asked.facts.key,
        };
        let mut uri = format!("/{}", asked.facts.bucket);
        if !key.is_empty() {
            write!(uri, "/{}", encode(key).replace("%2F", "/")).ok()?;
        }
        let mut before = '?';
        for (name, value) in self.query(asked, way) {
            uri.push(before);
            uri.push_str(&name);
            if !value.is_empty() {
                write!(uri, "={value}").ok()?;
            }
            before = '&';
        }
        uri.parse().ok()
    }

    fn query(&self, asked: &Asked<'_>, way: &Way) -> Vec<(String, String)> {
        let lists = asked.facts.operation.starts_with("ListObjects");
        let second = ["list-type", "continuation-token", "start-after", "fetch-owner"];
        let mut query: Vec<(String, String)> = asked
            .query
            .iter()
            .filter(|(name, _)| !["x-id", "versionId", "generation"].contains(&name.as_str()))
            .filter(|(name, _)| {
                self.vendor.lists.second || !lists || !second.contains(&name.as_str())
            })
            .cloned()
            .collect();
        if lists && asked.query("max-keys").is_none() {
            query.push(("max-keys".to_owned(), self.vendor.lists.page.to_string()));
        }
        if let Some(version) = &way.version
            && way.link.is_none()
        {
            query.push(("versionId".to_owned(), version.clone()));
        }
        query
    }
}

fn check_metadata(vendor: &Vendor, headers: &HeaderMap) -> Result<(), Refusal> {
    let limits = &vendor.metadata;
    let (own, prefix) = (format!("{}meta-", vendor.prefix), "x-amz-meta-");
    let mut total = 0;
    for (header, value) in headers {
        let header = header.as_str();
        let Some(name) = header.strip_prefix(prefix).or_else(|| header.strip_prefix(&own)) else {
            continue;
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if limits.plain_names && !name.bytes().all(is_plain) {
            return Err(limits.bad_name);
        }
        let counted = if limits.whole_names { header.len() } else { name.len() };
        let entry = counted + value.len();
        total += entry;
        if name.len() > limits.name || value.len() > limits.value || entry > limits.entry {
            return Err(limits.too_large);
        }
    }
    if total > limits.total { Err(limits.too_large) } else { Ok(()) }
}

fn create_only(asked: &Asked<'_>, rule: &CreateOnly, way: &mut Way) -> Result<(), Refusal> {
    let wanted = asked.header(rule.header).is_some_and(|it| it.eq_ignore_ascii_case(rule.value));
    if !asked.creates() || !wanted || (rule.unversioned_only && asked.versioned) {
        return Ok(());
    }
    if asked.object.is_some() && asked.facts.operation == "CreateMultipartUpload" {
        return Err(rule.exists);
    }
    way.create_only = true;
    way.exists = Some(rule.exists);
    Ok(())
}

/// The version that the request names, which some vendors count by generations.
fn version(asked: &Asked<'_>, store: &Store) -> Option<String> {
    let named = asked.query("generation").or_else(|| asked.query("versionId"))?;
    let facts = asked.facts;
    let counted =
        named.parse().ok().and_then(|number| store.version_of(&facts.bucket, &facts.key, number));
    Some(counted.unwrap_or_else(|| named.to_owned()))
}

/// Gives headers that begin in one way the names that begin in another, unless those are there already.
pub(super) fn rename(headers: &mut HeaderMap, from: &str, to: &str) {
    let names: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(from)).cloned().collect();
    for name in names {
        let Some(value) = headers.remove(&name) else { continue };
        let rest = name.as_str().strip_prefix(from).unwrap_or_default();
        if let Ok(name) = HeaderName::try_from(format!("{to}{rest}")) {
            headers.entry(name).or_insert(value);
        }
    }
}
