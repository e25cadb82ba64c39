//! The SDK's configuration. Its defaults are for applications; a relay needs other ones.
//!
//! Checksums are sent where they are known and never as trailers, which most vendors refuse. The
//! SDK retries nothing, since the core must see every failure, and times out nothing but connecting,
//! since the adapter has watchdogs of its own.

use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    ConfigBag, Intercept, RequestChecksumCalculation, ResponseChecksumValidation,
    RuntimeComponents, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::BoxError;
use aws_types::os_shim_internal::Env;
use aws_types::service_config::ServiceConfigKey;
use tranship_core::error::{ErrorKind, StoreError};
use tranship_core::object::escape;

use super::errors::NO_REGION;
use super::settings::S3Settings;
use super::translate::Translation;
use super::vendors::AMAZON;
use crate::aws::causes;

const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);
/// Signatures name a region even where the store has none.
const REGION_OF_ENDPOINTS: &str = "us-east-1";

pub(super) async fn client(
    settings: &S3Settings,
    http_client: SharedHttpClient,
) -> Result<Client, StoreError> {
    let mut loader =
        aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http_client.clone());
    let quirks = &settings.vendor().quirks;
    let region = quirks.signed_region.map(str::to_owned).or_else(|| settings.region.clone());
    let region =
        region.or_else(|| settings.endpoint.is_some().then(|| REGION_OF_ENDPOINTS.to_owned()));
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
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
    } else if let Some(secret) = &settings.secret {
        // It knows itself how old it may be, and a cache in between would keep what was refused.
        loader = loader.identity_cache(IdentityCache::no_cache());
        loader = loader.credentials_provider(secret.clone());
    }
    let shared = Box::pin(loader.load()).await;
    let refused = |why: String| {
        let (scheme, bucket) = (settings.vendor().scheme, &settings.bucket);
        let context = format!("connecting to {scheme}://{bucket}");
        StoreError::new(ErrorKind::Invalid, context, why)
    };
    if settings.endpoint.is_none()
        && !settings.endpoint_as_configured
        && let Some(elsewhere) = configured_endpoint(&shared)
    {
        return Err(refused(not_asked_for(&elsewhere)));
    }
    if shared.region().is_none() {
        return Err(refused(NO_REGION.to_owned()));
    }
    let mut config = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(settings.path_style || settings.bucket_endpoint)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .interceptor(EveryRequest::new(settings));
    if let Some(translation) = Translation::of(settings.vendor()) {
        config = config.interceptor(translation);
    }
    if let Some(endpoint) = &settings.endpoint {
        // Set here and not above, so that no variable of the environment goes before it.
        config = config.endpoint_url(endpoint);
    }
    if settings.anonymous {
        config = config.allow_no_auth();
    } else if let (Some(profile), None, None) =
        (&settings.profile, &settings.credentials, &settings.secret)
    {
        let credentials = credentials_of(profile, shared.region(), http_client);
        config = config.credentials_provider(credentials);
    }
    Ok(Client::from_conf(config.build()))
}

/// The credentials of a profile, and of nothing else. In the default chain the environment's go before
/// those of a profile that was named.
fn credentials_of(
    profile: &str,
    region: Option<&Region>,
    http_client: SharedHttpClient,
) -> OfProfile {
    let how = ProviderConfig::default().with_region(region.cloned()).with_http_client(http_client);
    let provider =
        ProfileFileCredentialsProvider::builder().configure(&how).profile_name(profile).build();
    OfProfile { profile: profile.to_owned(), provider }
}

/// The credentials of a profile; where it gives none, the error says which files were read.
#[derive(Debug)]
struct OfProfile {
    profile: String,
    provider: ProfileFileCredentialsProvider,
}

impl OfProfile {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        self.provider.provide_credentials().await.map_err(|error| match error {
            CredentialsError::CredentialsNotLoaded(_)
            | CredentialsError::InvalidConfiguration(_) => {
                CredentialsError::invalid_configuration(format!(
                    "the profile {} gives none: {}; {} and {} were read",
                    escape(&self.profile),
                    causes(&error),
                    escape(&place_of("AWS_CONFIG_FILE", "config")),
                    escape(&place_of("AWS_SHARED_CREDENTIALS_FILE", "credentials")),
                ))
            }
            error => error,
        })
    }
}

impl ProvideCredentials for OfProfile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

/// Where the SDK looks for one of the two files.
fn place_of(variable: &str, name: &str) -> String {
    let environment = Env::real();
    let home = environment.get("HOME").or_else(|_| environment.get("USERPROFILE"));
    let home = home.unwrap_or_else(|_| "~".to_owned());
    environment.get(variable).unwrap_or_else(|_| format!("{home}/.aws/{name}"))
}

/// The endpoint that the SDK would take from the environment or the profile, for S3 or for all
/// services.
fn configured_endpoint(shared: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder();
    let key = key.service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
    let of_s3 = shared.service_config().and_then(|config| config.load_config(key));
    of_s3.or_else(|| shared.endpoint_url().map(str::to_owned))
}

/// The name of a transfer says where its objects lie, so a variable may not lead them elsewhere.
fn not_asked_for(elsewhere: &str) -> String {
    format!(
        "AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile's endpoint_url leads to {}, and no endpoint was given for this side: give that one if it is meant, or set AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true for Amazon S3",
        escape(elsewhere)
    )
}

/// What the settings change in every request, whatever the call.
#[derive(Debug)]
struct EveryRequest {
    headers: Vec<(&'static str, String)>,
    /// The SDK names its operation in the query. Amazon ignores that; other stores may not.
    strips_operation: bool,
    /// The bucket, where the endpoint is a domain of its own.
    strips_bucket: Option<String>,
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
        Self {
            headers,
            strips_operation: settings.vendor() != &AMAZON,
            strips_bucket: settings.bucket_endpoint.then(|| settings.bucket.clone()),
        }
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
        if let Some(bucket) = &self.strips_bucket
            && let Some(uri) = without_bucket(request.uri(), bucket)
        {
            request.set_uri(uri)?;
        }
        Ok(())
    }
}

/// The URI without the bucket that its path begins with.
fn without_bucket(uri: &str, bucket: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    let (host, path) = rest.split_once('/')?;
    let key = path.strip_prefix(bucket)?;
    if !(key.is_empty() || key.starts_with(['/', '?'])) {
        return None;
    }
    let separator = if key.starts_with('/') { "" } else { "/" };
    Some(format!("{scheme}://{host}{separator}{key}"))
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
    fn the_bucket_is_taken_out_of_the_path_and_nothing_else() {
        for (uri, stripped) in [
            ("http://h:1/b/k", Some("http://h:1/k")),
            ("http://h/b/b/k?x=/b/", Some("http://h/b/k?x=/b/")),
            ("http://h/b?list-type=2", Some("http://h/?list-type=2")),
            ("http://h/b/", Some("http://h/")),
            ("http://h/b", Some("http://h/")),
            ("http://h/bb/k", None),
            ("http://h/other/k", None),
        ] {
            assert_eq!(without_bucket(uri, "b").as_deref(), stripped, "{uri}");
        }
    }

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
