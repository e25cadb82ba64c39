//! Amazon S3, and every store that speaks its protocol, through `aws-sdk-s3`.
//!
//! Each call of the port is one request, sent once. The answer is checked here, against what was
//! asked; what is wrong with it becomes an [`ErrorKind`] here, and nowhere else. Bodies stream
//! through without being collected or copied.

mod acls;
mod answer;
mod config;
mod encode;
mod errors;
mod list;
mod metadata;
mod read;
mod settings;
#[cfg(test)]
mod tests;
mod translate;
pub mod vendors;
mod watch;
mod write;

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::SharedHttpClient;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::HttpError;
use tranship_core::body::Body;
use tranship_core::error::{ErrorKind, StoreError};
use tranship_core::object::{ByteRange, ETag, ObjectKey, PartNumber, UploadId, VersionId, escape};
use tranship_core::store::{
    BucketFacts, Completion, CopySource, Head, ListPage, ListRequest, ObjectStore, OpenUpload,
    PartPage, Pin, Put, Read, Write, Written,
};

pub use self::settings::{S3Settings, Sse, StaticCredentials};
use self::vendors::Quirks;
pub use crate::http::{check_ca_bundle, http_client};
use crate::secrets::{Generation, SecretCredentials};

/// For calls without bodies, and for the headers of those that answer with one.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// A bucket behind the S3 protocol.
pub struct S3Store {
    client: Client,
    settings: S3Settings,
}

impl std::fmt::Debug for S3Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Store").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A call, for its errors: its name, and the key that it is about.
#[derive(Clone, Copy)]
struct Call<'a> {
    operation: &'static str,
    key: Option<&'a ObjectKey>,
}

impl<'a> Call<'a> {
    fn new(operation: &'static str, key: &'a ObjectKey) -> Self {
        Self { operation, key: Some(key) }
    }

    fn bucket(operation: &'static str) -> Self {
        Self { operation, key: None }
    }
}

impl S3Store {
    /// Connects with an HTTP client of its own. Sends no request yet.
    pub async fn connect(settings: S3Settings) -> Result<Self, StoreError> {
        let http_client = http_client(settings.ca_bundle_pem.as_deref())?;
        Self::connect_with(settings, http_client).await
    }

    /// Connects through this HTTP client, which may be shared, or inject faults.
    pub async fn connect_with(
        settings: S3Settings,
        http_client: SharedHttpClient,
    ) -> Result<Self, StoreError> {
        let client = config::client(&settings, http_client).await?;
        Ok(Self { client, settings })
    }

    fn quirks(&self) -> &'static Quirks {
        &self.settings.vendor().quirks
    }

    fn bucket_name(&self) -> &str {
        &self.settings.bucket
    }

    /// Sends a call without a body.
    async fn send<T, E>(
        &self,
        call: Call<'_>,
        timeout: Duration,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    ) -> Result<T, StoreError>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let credentials = self.credentials();
        match tokio::time::timeout(timeout, Box::pin(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failed(call, credentials, &error).await),
            Err(_) => Err(self.timed_out(call, timeout)),
        }
    }

    /// Sends a call with a body, which may take as long as it moves.
    async fn send_body<T, E>(
        &self,
        call: Call<'_>,
        pulse: watch::Pulse,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    ) -> Result<T, StoreError>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let credentials = self.credentials();
        match pulse.guard(Box::pin(request)).await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Err(self.failed(call, credentials, &error).await),
            None => Err(self.timed_out(call, watch::WRITE_STANDSTILL_MAX)),
        }
    }

    /// Which credentials of the secret a request that is sent now may be signed with.
    fn credentials(&self) -> Option<Generation> {
        self.settings.secret.as_ref().map(SecretCredentials::generation)
    }

    async fn failed<E>(
        &self,
        call: Call<'_>,
        credentials: Option<Generation>,
        error: &SdkError<E, HttpResponse>,
    ) -> StoreError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let (kind, mut message) = errors::explain(call.operation, self.place(), error);
        if !kind.is_about_credentials() {
            return self.error(call, kind, message);
        }
        if let (Some(secret), Some(credentials)) = (&self.settings.secret, credentials)
            && secret.changed_since(credentials).await
        {
            message.push_str("; the secret holds other credentials by now, and they are tried");
            return self.error(call, ErrorKind::Unavailable, message);
        }
        if let Some(profile) = &self.settings.profile {
            message.push_str("; the profile is ");
            message.push_str(&escape(profile));
        }
        self.error(call, kind, message)
    }

    fn timed_out(&self, call: Call<'_>, timeout: Duration) -> StoreError {
        let message = format!("{}: no answer within {} s", self.place().store, timeout.as_secs());
        self.error(call, ErrorKind::Unavailable, message)
    }

    fn lied(&self, call: Call<'_>, lie: impl Into<String>) -> StoreError {
        self.error(call, ErrorKind::Lied, lie)
    }

    fn error(&self, call: Call<'_>, kind: ErrorKind, message: impl Into<String>) -> StoreError {
        let key = call.key.map_or_else(String::new, |key| format!("/{key}"));
        let (operation, bucket) = (call.operation, escape(self.bucket_name()));
        let context = format!("{operation} {}://{bucket}{key}", self.settings.vendor().scheme);
        StoreError::new(kind, context, message)
    }

    fn place(&self) -> errors::Place<'_> {
        errors::Place {
            store: self.settings.endpoint.as_deref().unwrap_or(self.settings.vendor().name),
            bucket: &self.settings.bucket,
            in_host: !self.settings.path_style && !self.settings.bucket_endpoint,
        }
    }
}

/// Adds headers to a request before it is signed.
fn adding(
    headers: Vec<(String, String)>,
) -> impl Fn(HttpRequest) -> Result<HttpRequest, HttpError> + Send + Sync + 'static {
    move |mut request| {
        for (name, value) in &headers {
            request.headers_mut().try_insert(name.clone(), value.clone())?;
        }
        Ok(request)
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn bucket(&self) -> Result<BucketFacts, StoreError> {
        self.bucket_facts().await
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, StoreError> {
        self.list_page(request).await
    }

    async fn head(
        &self,
        key: &ObjectKey,
        version: Option<&VersionId>,
        part: Option<PartNumber>,
    ) -> Result<Head, StoreError> {
        self.head_object(key, version, part).await
    }

    async fn get(
        &self,
        key: &ObjectKey,
        range: Option<ByteRange>,
        pin: Option<&Pin>,
    ) -> Result<Read, StoreError> {
        self.get_object(key, range, pin).await
    }

    async fn put(&self, put: Put<'_>, body: Body) -> Result<Written, StoreError> {
        self.put_object(put, body).await
    }

    async fn copy(&self, source: CopySource<'_>, put: Put<'_>) -> Result<Written, StoreError> {
        self.copy_object(source, put).await
    }

    async fn create_upload(&self, key: &ObjectKey, write: &Write) -> Result<UploadId, StoreError> {
        self.create(key, write).await
    }

    async fn upload_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: PartNumber,
        size: u64,
        body: Body,
    ) -> Result<ETag, StoreError> {
        self.send_part(key, upload, number, size, body).await
    }

    async fn copy_part(
        &self,
        source: CopySource<'_>,
        key: &ObjectKey,
        upload: &UploadId,
        number: PartNumber,
        range: ByteRange,
    ) -> Result<ETag, StoreError> {
        self.send_part_copy(source, key, upload, number, range).await
    }

    async fn list_parts(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        after: Option<PartNumber>,
    ) -> Result<PartPage, StoreError> {
        self.parts_page(key, upload, after).await
    }

    async fn list_uploads(&self, key: &ObjectKey) -> Result<Vec<OpenUpload>, StoreError> {
        self.uploads_of(key).await
    }

    async fn complete_upload(&self, completion: Completion<'_>) -> Result<Written, StoreError> {
        self.complete(completion).await
    }

    async fn abort_upload(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), StoreError> {
        self.abort(key, upload).await
    }

    async fn delete(&self, key: &ObjectKey, condition: Option<&ETag>) -> Result<(), StoreError> {
        self.delete_object(key, condition).await
    }

    async fn tags(
        &self,
        key: &ObjectKey,
        version: Option<&VersionId>,
    ) -> Result<Vec<(String, String)>, StoreError> {
        self.get_tags(key, version).await
    }

    async fn has_acls(&self) -> Result<bool, StoreError> {
        self.has_object_acls().await
    }

    async fn grants(&self, key: &ObjectKey) -> Result<usize, StoreError> {
        self.foreign_grants(key).await
    }
}
