//! The gate: a service that does nothing but check signatures, so that a request can be rewritten once it has passed.

use super::bucket_in_host;
use crate::keys::Keys;
use http::{Request, Response};
use s3s::access::{S3Access, S3AccessContext};
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3, S3Result, s3_error};

/// The code of the answer to a request that may pass.
const PASSED: &str = "SignatureIsGood";

struct Nothing;

#[async_trait::async_trait]
impl S3 for Nothing {}

struct Stop;

#[async_trait::async_trait]
impl S3Access for Stop {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(
                AccessDenied,
                "Anonymous access is forbidden for this operation"
            ));
        }
        Err(crate::store::custom_error(PASSED, http::StatusCode::IM_A_TEAPOT, PASSED))
    }
}

/// Takes the bucket's name off the host, as the signature's canonical form needs it.
struct Domain(String);

impl S3Host for Domain {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let whole = VirtualHost::new(self.0.as_str());
        Ok(match bucket_in_host(host, &self.0) {
            Some(bucket) => whole.with_bucket(bucket),
            None => whole,
        })
    }
}

pub(super) fn build(keys: Keys, domain: String) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Nothing);
    builder.set_auth(keys);
    builder.set_access(Stop);
    builder.set_host(Domain(domain));
    builder.build()
}

/// Checks the signature over everything but the body.
pub(super) async fn pass<B>(gate: &S3Service, request: &Request<B>) -> Result<(), Response<Body>> {
    let mut bodiless = Request::new(Body::empty());
    bodiless.method_mut().clone_from(request.method());
    bodiless.uri_mut().clone_from(request.uri());
    bodiless.headers_mut().clone_from(request.headers());
    match gate.call(bodiless).await {
        Ok(answer) if answer.status() == http::StatusCode::IM_A_TEAPOT => Ok(()),
        Ok(answer) => Err(answer),
        Err(_) => Err(crate::front::error_saying(
            http::StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            "The signature could not be checked",
        )),
    }
}
