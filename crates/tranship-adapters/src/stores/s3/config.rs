//! The SDK's configuration. Its defaults are for applications; a relay needs other ones.
//!
//! Checksums are sent where they are known and never as trailers, which most vendors refuse. The
//! SDK retries nothing, since the core must see every failure, and times out nothing but connecting,
//! since the adapter has watchdogs of its own.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    ConfigBag, Intercept, RequestChecksumCalculation, ResponseChecksumValidation,
    RuntimeComponents, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::BoxError;
use tranship_core::error::{ErrorKind, StoreError};

use super::errors::NO_REGION;
use super::settings::S3Settings;

const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);
/// Signatures name a region even where the store has none.
const REGION_OF_ENDPOINTS: &str = "us-east-1";

pub(super) async fn client(
    settings: &S3Settings,
    http_client: SharedHttpClient,
) -> Result<Client, StoreError> {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http_client);
    let region = settings.region.clone();
    let region =
        region.or_else(|| settings.endpoint.is_some().then(|| REGION_OF_ENDPOINTS.to_owned()));
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    if settings.anonymous {
        loader = loader.no_credentials();
    } else if let Some(given) = &settings.credentials {
        let token = given.token.clone();
        let name = "tranship settings";
        let credentials = Credentials::new(&given.access_key, &given.secret_key, token, None, name);
        loader = loader.credentials_provider(credentials);
    }
    let shared = Box::pin(loader.load()).await;
    if shared.region().is_none() {
        let context = format!("connecting to s3://{}", settings.bucket);
        return Err(StoreError::new(ErrorKind::Invalid, context, NO_REGION));
    }
    let mut config = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(settings.path_style)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .interceptor(EveryRequest::new(settings));
    if settings.anonymous {
        config = config.allow_no_auth();
    }
    Ok(Client::from_conf(config.build()))
}

/// What the settings change in every request, whatever the call.
#[derive(Debug)]
struct EveryRequest {
    headers: Vec<(&'static str, String)>,
    /// The SDK names its operation in the query. Amazon ignores that; other stores may not.
    strips_operation: bool,
}

impl EveryRequest {
    fn new(settings: &S3Settings) -> Self {
        let mut headers = Vec::new();
        if settings.requester_pays {
            headers.push(("x-amz-request-payer", "requester".to_owned()));
        }
        if let Some(owner) = &settings.expected_bucket_owner {
            headers.push(("x-amz-expected-bucket-owner", owner.clone()));
        }
        Self { headers, strips_operation: settings.endpoint.is_some() }
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for EveryRequest {
    fn name(&self) -> &'static str {
        "EveryRequest"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        for (name, value) in &self.headers {
            request.headers_mut().try_insert(*name, value.clone())?;
        }
        if self.strips_operation
            && let Some(uri) = without_operation(request.uri())
        {
            request.set_uri(uri)?;
        }
        Ok(())
    }
}

/// The URI without its `x-id`; `None` if it has none.
fn without_operation(uri: &str) -> Option<String> {
    let (path, query) = uri.split_once('?')?;
    let kept: Vec<_> = query.split('&').filter(|pair| !pair.starts_with("x-id=")).collect();
    let kept = kept.join("&");
    if kept.len() == query.len() {
        return None;
    }
    Some(if kept.is_empty() { path.to_owned() } else { format!("{path}?{kept}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operation_is_taken_out_of_the_query_and_nothing_else() {
        for (uri, stripped) in [
            ("http://h/b/k?x-id=GetObject", Some("http://h/b/k")),
            ("http://h/b/k?x-id=GetObject&versionId=1", Some("http://h/b/k?versionId=1")),
            ("http://h/b/x-id%3D1?partNumber=1", None),
            ("http://h/b/k", None),
        ] {
            assert_eq!(without_operation(uri).as_deref(), stripped);
        }
    }
}
