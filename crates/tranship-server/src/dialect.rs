//! A dialect: how the store of one vendor differs from Amazon's, put between a connection and the S3 service.
//!
//! Each request is checked against what the vendor's documentation says, rewritten into what the service understands,
//! and its answer is given the vendor's headers, codes and lists. What a vendor documents stands in a file of its own;
//! where no documentation says it, the comment names who has seen it.

mod answer;
mod cos;
mod gate;
mod gcs;
mod gunzip;
mod kodo;
mod listing;
mod oss;
mod request;
mod whole;

use crate::front::Hangup;
use crate::keys::Keys;
use crate::operation::Facts;
use crate::options::{EtagMode, ServerOptions};
use crate::store::{ARCHIVE_CLASSES, Object, Store};
use http::{HeaderMap, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use s3s::Body;
use s3s::service::S3Service;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whose store a server plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Amazon S3.
    #[default]
    Amazon,
    /// Alibaba Cloud OSS over its S3-compatible API.
    Oss,
    /// Tencent Cloud COS over its S3-compatible API.
    Cos,
    /// Qiniu Kodo over its S3-compatible API.
    Kodo,
    /// Google Cloud Storage over its XML API with HMAC keys.
    Gcs,
}

impl Dialect {
    fn vendor(self) -> Option<&'static Vendor> {
        match self {
            Self::Amazon => None,
            Self::Oss => Some(&oss::VENDOR),
            Self::Cos => Some(&cos::VENDOR),
            Self::Kodo => Some(&kodo::VENDOR),
            Self::Gcs => Some(&gcs::VENDOR),
        }
    }

    /// Whether the vendor has such an operation.
    pub fn has(self, operation: &str) -> bool {
        self.vendor().is_none_or(|vendor| !vendor.absent.contains(&operation))
    }

    /// The longest key that is taken, in bytes.
    pub fn longest_key(self) -> usize {
        self.vendor().map_or(1_024, |vendor| vendor.longest_key)
    }

    /// Whether buckets are addressed by the host's name and in no other way.
    pub(crate) fn is_virtual_only(self) -> bool {
        self.vendor().is_some_and(|vendor| vendor.path_style.is_some())
    }

    pub(crate) fn archive_classes(self) -> &'static [&'static str] {
        self.vendor().map_or(ARCHIVE_CLASSES, |vendor| vendor.archive_classes)
    }

    /// The options of the S3 service behind this dialect.
    pub(crate) fn settle(self, mut options: ServerOptions) -> ServerOptions {
        let Some(vendor) = self.vendor() else { return options };
        options.default_checksum = false;
        options.encode_listing &= vendor.lists.encodes;
        options.minimum_part = options.minimum_part.min(vendor.minimum_part);
        options.metadata_limit = usize::MAX;
        if options.etags == EtagMode::Md5 {
            options.etags = vendor.etags;
        }
        options
    }
}

/// A documented refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    status: u16,
    code: &'static str,
    message: &'static str,
    /// What else the error says, by the names of its elements.
    more: &'static [(&'static str, &'static str)],
}

impl Refusal {
    const fn new(status: u16, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message, more: &[] }
    }

    const fn saying(mut self, more: &'static [(&'static str, &'static str)]) -> Self {
        self.more = more;
        self
    }

    pub(crate) fn answer(&self) -> Response<Body> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut answer = crate::front::error_saying(status, self.code, self.message);
        answer.extensions_mut().insert(*self);
        answer
    }
}

/// How a vendor lists.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent way in which vendors differ"
)]
struct Lists {
    /// Whether there is a second version of the listing.
    second: bool,
    /// Whether `encoding-type=url` is honoured.
    encodes: bool,
    /// How many keys a page has if nobody says.
    page: u32,
    /// Whether a truncated page of the first version always says where to go on, even without a delimiter.
    next_marker: bool,
    /// Whether each key says what kind of object it is.
    types: bool,
}

/// What a vendor takes of user metadata, in bytes.
struct UserMetadata {
    /// All headers together.
    total: usize,
    /// One header.
    entry: usize,
    name: usize,
    value: usize,
    /// Whether the whole names of the headers count, and not only what is the user's of them.
    whole_names: bool,
    /// Whether names are letters, digits and hyphens alone.
    plain_names: bool,
    too_large: Refusal,
    bad_name: Refusal,
}

/// The header of a write that must not replace anything.
struct CreateOnly {
    header: &'static str,
    value: &'static str,
    /// The answer if something is there.
    exists: Refusal,
    /// Whether it is ignored once the bucket's versioning was turned on.
    unversioned_only: bool,
}

/// One vendor, as far as it can be written down as data.
struct Vendor {
    /// What the vendor's own headers begin with.
    prefix: &'static str,
    /// The header with the request's id, natively.
    request_id: &'static str,
    /// How path-style requests are refused, if they are.
    path_style: Option<Refusal>,
    /// Operations that are not there, and what they are answered with.
    absent: &'static [&'static str],
    not_there: Refusal,
    /// Whether `x-amz-tagging` is understood.
    tags: bool,
    /// How conditions on writes are refused; `None` if they are ignored.
    write_conditions: Option<Refusal>,
    create_only: Option<CreateOnly>,
    /// Whether the checksum of a multi-object delete may be one of Amazon's newer ones instead of an MD5.
    newer_delete_checksum: bool,
    longest_key: usize,
    key_too_long: Refusal,
    metadata: UserMetadata,
    /// Storage classes, by the name over the S3 API and by the vendor's own.
    classes: &'static [(&'static str, &'static str)],
    archive_classes: &'static [&'static str],
    archived: Refusal,
    etags: EtagMode,
    minimum_part: u64,
    lists: Lists,
    /// The answer for a bucket that is in another region, natively and over the S3 API.
    elsewhere: (Refusal, Refusal),
    throttled: Refusal,
    /// What else is refused.
    check: fn(&Asked<'_>) -> Result<(), Refusal>,
    /// What else is rewritten before the service sees a request.
    rewrite: fn(&Asked<'_>, &mut HeaderMap),
    /// The headers of an answer about an object.
    describe: fn(&Described<'_>, &mut HeaderMap),
    /// What else becomes of an answer about an object.
    finish: fn(&Asked<'_>, &mut Response<Body>, &Object),
    /// What a bucket without lifecycle rules answers, if it is no error.
    no_lifecycle: Option<&'static str>,
    /// What else an error says.
    error: fn(&Failure) -> Vec<(&'static str, String)>,
}

/// The region that a bucket is in, where the answer is that it is another one.
#[derive(Clone)]
struct InRegion(String);

/// An error that is about to be told.
struct Failure {
    code: String,
    region: Option<String>,
    host: String,
    request_id: String,
}

/// A request with everything that a vendor looks at.
struct Asked<'a> {
    facts: &'a Facts,
    headers: &'a HeaderMap,
    query: Vec<(String, String)>,
    /// What the key holds before the request is served.
    object: Option<Arc<Object>>,
    /// Whether the bucket's versioning was ever turned on.
    versioned: bool,
    /// Whether anybody may ask for this.
    open: bool,
}

impl<'a> Asked<'a> {
    fn of(
        request: &Request<Incoming>,
        headers: &'a HeaderMap,
        facts: &'a Facts,
        store: &Store,
    ) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self {
            facts,
            headers,
            query: query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            object: store.find(&facts.bucket, &facts.key, None),
            versioned: store.is_versioned(&facts.bucket),
            open: crate::front::is_open(request, facts, store),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How the body says that it is signed.
    fn digest(&self) -> &str {
        self.header("x-amz-content-sha256").unwrap_or_default()
    }

    fn query(&self, name: &str) -> Option<&str> {
        let (_, value) = self.query.iter().find(|(known, _)| known == name)?;
        Some(value)
    }

    fn writes_object(&self) -> bool {
        matches!(self.facts.operation, "PutObject" | "CopyObject" | "CompleteMultipartUpload")
    }

    fn creates(&self) -> bool {
        self.writes_object() || self.facts.operation == "CreateMultipartUpload"
    }

    fn reads_object(&self) -> bool {
        matches!(self.facts.operation, "GetObject" | "HeadObject")
    }
}

/// An object whose answer is about to be told.
struct Described<'a> {
    vendor: &'static Vendor,
    head: bool,
    /// What was asked for.
    object: &'a Object,
    /// What the bytes are of; another object only if a link was asked for.
    goal: &'a Object,
    sums: &'a whole::Sums,
}

impl Described<'_> {
    /// The object's storage class as this vendor says it, by its own name or the one over the S3 API.
    fn class(&self, native: bool) -> String {
        let class = self.object.properties.storage_class.as_deref().unwrap_or("STANDARD");
        class_name(self.vendor, class, native).to_owned()
    }
}

/// A storage class by another of its names; what the vendor does not know stays as it is.
fn class_name<'a>(vendor: &'static Vendor, class: &'a str, native: bool) -> &'a str {
    let known = vendor.classes.iter().find(|(s3, own)| *s3 == class || *own == class);
    known.map_or(class, |(s3, own)| if native { own } else { s3 })
}

/// Plays a vendor in front of the S3 service.
pub(crate) struct Interpreter {
    vendor: &'static Vendor,
    native: bool,
    /// The host and port that a bucket's name stands before.
    domain: String,
    /// Where signatures are checked, if they are.
    gate: Option<S3Service>,
    sums: whole::Sums,
    serial: AtomicU64,
}

impl Interpreter {
    pub(crate) fn new(options: &ServerOptions, domain: String, keys: Option<Keys>) -> Option<Self> {
        let vendor = options.dialect.vendor()?;
        Some(Self {
            vendor,
            native: options.native_headers,
            gate: keys.map(|keys| gate::build(keys, domain.clone())),
            domain,
            sums: whole::Sums::default(),
            serial: AtomicU64::new(1),
        })
    }

    /// The bucket that the host names.
    pub(crate) fn bucket_in_host(&self, headers: &HeaderMap) -> Option<String> {
        bucket_in_host(headers.get(header::HOST)?.to_str().ok()?, &self.domain).map(str::to_owned)
    }

    /// What a request is answered with while there are too many.
    pub(crate) fn throttled(&self) -> Response<Body> {
        self.vendor.throttled.answer()
    }

    /// Serves one request by way of a service that checks no signatures.
    pub(crate) async fn serve(
        &self,
        request: Request<Incoming>,
        facts: &Facts,
        service: &S3Service,
        store: &Store,
        elsewhere: Option<String>,
    ) -> Result<Response<Body>, Hangup> {
        let headers = request.headers().clone();
        let asked = Asked::of(&request, &headers, facts, store);
        if let Err(refusal) = self.admit(&request, &asked, elsewhere).await {
            crate::front::drain(request).await;
            return Ok(refusal);
        }
        let way = match self.way(&asked, store) {
            Ok(way) => way,
            Err(refusal) => {
                crate::front::drain(request).await;
                return Ok(refusal.answer());
            }
        };
        let request = match self.rewrite(request, &asked, &way).await {
            Ok(request) => request,
            Err(refusal) => return Ok(refusal.answer()),
        };
        let mut answer = service.call(request).await.map_err(|_| Hangup)?;
        self.translate(&mut answer, &asked, &way, store);
        Ok(answer)
    }

    fn fresh_request_id(&self) -> String {
        format!("{:024X}", 0x5f00_0000_0000_0000 + self.serial.fetch_add(1, Ordering::Relaxed))
    }
}

fn bucket_in_host<'a>(host: &'a str, domain: &str) -> Option<&'a str> {
    host.strip_suffix(domain)?.strip_suffix('.').filter(|bucket| !bucket.is_empty())
}
