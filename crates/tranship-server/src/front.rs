//! The front: what stands between a connection and the S3 service, where answers are counted and spoilt.

use crate::api::{Api, Misbehave};
use crate::dialect::Interpreter;
use crate::faults::{Fault, Faults, Spoil, spoil};
use crate::framing::{Trailers, Unframed};
use crate::operation::Facts;
use crate::record::Requests;
use crate::store::Store;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use s3s::Body;
use s3s::dto::{Range, StreamingBlob};
use s3s::service::S3Service;
use std::sync::Arc;

/// Why a request got no answer: the connection is closed at once.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed without an answer")]
pub(crate) struct Hangup;

pub(crate) struct Front {
    pub(crate) service: S3Service,
    /// The same without a look at signatures, for requests that have passed the other one.
    pub(crate) unsigned: S3Service,
    /// Whether signatures are checked.
    pub(crate) signed: bool,
    /// Who plays another vendor's store, unless this is Amazon's.
    pub(crate) interpreter: Option<Interpreter>,
    pub(crate) api: Api,
    pub(crate) store: Arc<Store>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) requests: Arc<Requests>,
}

impl Front {
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Hangup> {
        let hosted = self.interpreter.as_ref().and_then(|it| it.bucket_in_host(request.headers()));
        let facts = Facts::of(&request, hosted.as_deref());
        let host = request.headers().get(header::HOST).cloned();
        let (hooks, fault) = self.faults.choose(&facts);
        for hook in hooks {
            hook(&self.store);
        }
        let head = request.method() == Method::HEAD;
        let answer = Box::pin(self.answer_faultily(request, &facts, fault)).await;
        let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        self.requests.note(facts, status);
        let mut answer = answer?;
        if let Some(interpreter) = &self.interpreter {
            let host = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
            interpreter.dress(&mut answer, host);
        }
        Ok(finish(answer, head))
    }

    async fn answer_faultily(
        &self,
        mut request: Request<Incoming>,
        facts: &Facts,
        fault: Option<Fault>,
    ) -> Result<Response<Body>, Hangup> {
        match fault {
            None => self.serve(request, facts).await,
            Some(Fault::Throttle) if self.interpreter.is_some() => {
                drain(request).await;
                let throttled = self.interpreter.as_ref().map(Interpreter::throttled);
                throttled.ok_or(Hangup)
            }
            Some(Fault::Throttle) => {
                Ok(refuse(request, StatusCode::SERVICE_UNAVAILABLE, "SlowDown").await)
            }
            Some(Fault::Status5xxBefore) => {
                Ok(refuse(request, StatusCode::INTERNAL_SERVER_ERROR, "InternalError").await)
            }
            Some(Fault::Status5xxAfter) => {
                self.serve(request, facts).await?;
                Ok(error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"))
            }
            Some(Fault::Refuse { status, code }) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
                Ok(refuse(request, status, code).await)
            }
            Some(Fault::ResetBefore) => Err(Hangup),
            Some(Fault::ResetAfter) => {
                self.serve(request, facts).await?;
                Err(Hangup)
            }
            Some(Fault::Stall(pause)) => {
                tokio::time::sleep(pause).await;
                self.serve(request, facts).await
            }
            Some(Fault::TruncateBody(after)) => {
                self.spoiled(request, facts, Spoil::Truncate(after)).await
            }
            Some(Fault::CorruptBody) => self.spoiled(request, facts, Spoil::Corrupt).await,
            Some(Fault::StallBody { after, pause }) => {
                self.spoiled(request, facts, Spoil::Stall { after, pause }).await
            }
            Some(Fault::OkWithErrorBody) => {
                Ok(refuse(request, StatusCode::OK, "InternalError").await)
            }
            Some(Fault::OkWithErrorBodyAfter) => {
                self.serve(request, facts).await?;
                Ok(error(StatusCode::OK, "InternalError"))
            }
            Some(Fault::LifecycleAbort) => {
                if let Some(upload_id) = &facts.upload_id {
                    self.store.abort_upload(&facts.bucket, upload_id);
                }
                self.serve(request, facts).await
            }
            Some(other) => {
                if let Some(how) = misbehaviour(&other) {
                    request.extensions_mut().insert(how);
                }
                self.serve(request, facts).await
            }
        }
    }

    async fn spoiled(
        &self,
        request: Request<Incoming>,
        facts: &Facts,
        how: Spoil,
    ) -> Result<Response<Body>, Hangup> {
        let answer = self.serve(request, facts).await?;
        Ok(answer.map(|body| spoil(body, how)))
    }

    async fn serve(
        &self,
        request: Request<Incoming>,
        facts: &Facts,
    ) -> Result<Response<Body>, Hangup> {
        if let Some(interpreter) = &self.interpreter {
            let elsewhere = self.api.foreign_region(&facts.bucket);
            return interpreter.serve(request, facts, &self.unsigned, &self.store, elsewhere).await;
        }
        if !self.api.options.checksum_headers
            && let Some(name) = newer_header(request.headers())
        {
            let message = format!("Unsupported header '{name}' received for this API call.");
            drain(request).await;
            return Ok(error_saying(StatusCode::BAD_REQUEST, "InvalidArgument", &message));
        }
        if let Some(refusal) = self.wrong_region(facts) {
            drain(request).await;
            return Ok(refusal);
        }
        let without_range = without_senseless_range(&request);
        let service =
            if is_open(&request, facts, &self.store) { &self.unsigned } else { &self.service };
        let request = self.unwrap(request, facts);
        let mut answer = service.call(request).await.map_err(|_| Hangup)?;
        if let Some(request) = without_range
            && answer.status() == StatusCode::BAD_REQUEST
        {
            answer = self.unsigned.call(request).await.map_err(|_| Hangup)?;
        }
        if facts.operation == "GetObjectAttributes" {
            bare_etag(&mut answer);
        }
        Ok(answer)
    }

    /// Where signatures are not checked, takes them off, along with the framing that goes with them.
    fn unwrap(&self, mut request: Request<Incoming>, facts: &Facts) -> Request<Body> {
        if self.signed {
            return request.map(Body::from);
        }
        request.headers_mut().remove(header::AUTHORIZATION);
        unframe(request, facts.framed)
    }

    /// Refuses what is signed for a region that is neither the server's nor the bucket's.
    fn wrong_region(&self, facts: &Facts) -> Option<Response<Body>> {
        let own = &self.api.options.region;
        let foreign = self.api.foreign_region(&facts.bucket);
        let signed = facts.region.as_deref();
        let here = foreign.as_deref().unwrap_or(own);
        if signed == Some(here) {
            return None;
        }
        let (status, code) = match (&foreign, signed) {
            (Some(_), None) => (StatusCode::MOVED_PERMANENTLY, "PermanentRedirect"),
            (Some(_), Some(region)) if region == own => {
                (StatusCode::MOVED_PERMANENTLY, "PermanentRedirect")
            }
            (_, Some(_)) if self.signed && self.api.options.check_region => {
                (StatusCode::BAD_REQUEST, "AuthorizationHeaderMalformed")
            }
            _ => return None,
        };
        let mut refusal = error(status, code);
        if let Ok(region) = HeaderValue::from_str(here) {
            refusal.headers_mut().insert("x-amz-bucket-region", region);
        }
        Some(refusal)
    }
}

/// A header about checksums, or one that came with them. Backblaze B2 refuses such in these words:
/// <https://github.com/vatesfr/xen-orchestra/issues/8358>, <https://github.com/diced/zipline/issues/746>.
fn newer_header(headers: &HeaderMap) -> Option<String> {
    const OTHERS: [&str; 3] = [
        "x-amz-sdk-checksum-algorithm",
        "x-amz-optional-object-attributes",
        "x-amz-mp-object-size",
    ];
    let is_newer = |name: &str| name.starts_with("x-amz-checksum-") || OTHERS.contains(&name);
    headers.keys().map(HeaderName::as_str).find(|name| is_newer(name)).map(str::to_owned)
}

/// Whether a request is one that a public bucket answers to anybody.
pub(crate) fn is_open<B>(request: &Request<B>, facts: &Facts, store: &Store) -> bool {
    let reads =
        matches!(facts.operation, "GetObject" | "HeadObject" | "ListObjects" | "ListObjectsV2");
    reads
        && !request.headers().contains_key(header::AUTHORIZATION)
        && store.is_public(&facts.bucket)
}

/// Takes a body out of its aws-chunked frames, if it comes in such.
pub(crate) fn unframe(mut request: Request<Incoming>, framed: bool) -> Request<Body> {
    let headers = request.headers_mut();
    let length = headers.get("x-amz-decoded-content-length").cloned();
    let decoded = length
        .as_ref()
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse().ok());
    let (Some(length), Some(decoded), true) = (length, decoded, framed) else {
        return request.map(Body::from);
    };
    headers.insert(header::CONTENT_LENGTH, length);
    let trailers = Trailers::default();
    request.extensions_mut().insert(trailers.clone());
    request.map(|body| {
        let unframed = Unframed::new(body, decoded, trailers);
        Body::from(StreamingBlob::new(unframed))
    })
}

/// The request as if it had no range, if the one it has makes no sense: Amazon S3 answers with the whole object
/// then. The library refuses such a range, and taking it off beforehand would break the signature.
fn without_senseless_range(request: &Request<Incoming>) -> Option<Request<Body>> {
    let range = request.headers().get(header::RANGE)?;
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    if !is_read || range.to_str().is_ok_and(|range| Range::parse(range).is_ok()) {
        return None;
    }
    let mut copy = Request::new(Body::empty());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    copy.headers_mut().remove(header::RANGE);
    copy.headers_mut().remove(header::AUTHORIZATION);
    if let Some(how) = request.extensions().get::<Misbehave>() {
        copy.extensions_mut().insert(*how);
    }
    Some(copy)
}

/// In this one answer, Amazon S3 gives the `ETag` without quotes; the library always adds them.
fn bare_etag(answer: &mut Response<Body>) {
    let Some(text) = answer.body().bytes() else { return };
    let mut text = String::from_utf8_lossy(&text).into_owned();
    for quote in ["\"", "&quot;"] {
        text = text.replace(&format!("<ETag>{quote}"), "<ETag>");
        text = text.replace(&format!("{quote}</ETag>"), "</ETag>");
    }
    answer.headers_mut().remove(header::CONTENT_LENGTH);
    *answer.body_mut() = Body::from(text);
}

fn misbehaviour(fault: &Fault) -> Option<Misbehave> {
    match fault {
        Fault::IgnoreRange => Some(Misbehave::IgnoreRange),
        Fault::IgnoreIfMatch => Some(Misbehave::IgnoreConditions),
        Fault::ListRepeats => Some(Misbehave::ListRepeats),
        Fault::ListGoesBackwards => Some(Misbehave::ListGoesBackwards),
        Fault::ListNeverAdvances => Some(Misbehave::ListNeverAdvances),
        _ => None,
    }
}

/// Reads a body to its end. An answer that comes before that would be lost with the connection.
pub(crate) async fn drain(request: Request<Incoming>) {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
}

async fn refuse(request: Request<Incoming>, status: StatusCode, code: &str) -> Response<Body> {
    drain(request).await;
    error(status, code)
}

fn error(status: StatusCode, code: &str) -> Response<Body> {
    error_saying(status, code, &format!("{code}, on purpose."))
}

pub(crate) fn error_saying(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut answer = Response::new(Body::from(xml));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}

/// Puts right what the library leaves to others.
fn finish(mut answer: Response<Body>, head: bool) -> Response<Body> {
    let status = answer.status();
    if head && status == StatusCode::OK && answer.headers().contains_key(header::CONTENT_RANGE) {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    // A 304 has no body, nor has the error of a HEAD.
    if status == StatusCode::NOT_MODIFIED || (head && !status.is_success()) {
        *answer.body_mut() = Body::empty();
        answer.headers_mut().remove(header::CONTENT_LENGTH);
        answer.headers_mut().remove(header::CONTENT_TYPE);
    }
    answer
}
