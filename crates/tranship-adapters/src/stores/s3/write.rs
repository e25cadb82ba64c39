//! Calls that write.
//!
//! What a write carries goes as headers that are made here, the same for all three calls: the SDK
//! would refuse metadata that is not ASCII, and would rewrite an `Expires` that is not a date.

use std::time::Duration;

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{
    CompletedMultipartUpload, CompletedPart, MetadataDirective, TaggingDirective,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tranship_core::body::Body;
use tranship_core::checksum::{Algorithm, Checksum};
use tranship_core::error::{ErrorKind, StoreError};
use tranship_core::object::{ByteRange, ETag, ObjectKey, PartNumber, UploadId, VersionId};
use tranship_core::store::{Completion, Condition, CopySource, Put, Write, Written};

use super::encode::{copy_source, tagging};
use super::metadata::encoded;
use super::settings::{S3Settings, Sse};
use super::watch::{Pulse, drain_empty, watch_write};
use super::{CALL_TIMEOUT, Call, S3Store, adding};

/// The store works for minutes before it answers: it assembles, or it copies up to 5 GiB.
const LONG_CALL_TIMEOUT: Duration = Duration::from_mins(5);

impl S3Store {
    pub(super) async fn put_object(&self, put: Put<'_>, body: Body) -> Result<Written, StoreError> {
        let call = Call::new("PutObject", put.key);
        let mut headers = self.headers(call, &put.write)?;
        let checksum = put.checksum.filter(|_| self.settings.sends_checksums());
        headers.extend(checksum.and_then(checksum_header));
        let (if_match, if_none_match) = conditions(put.condition);
        let (body, pulse) = self.outgoing(call, put.size, body).await?;
        let request = self
            .client
            .put_object()
            .bucket(self.bucket_name())
            .key(put.key.as_str())
            .content_length(self.signed(call, put.size)?)
            .set_content_md5(put.md5.map(|md5| BASE64.encode(md5)))
            .set_if_match(if_match)
            .set_if_none_match(if_none_match)
            .body(body)
            .customize()
            .map_request(adding(headers));
        let output = self.send_body(call, pulse, request.send()).await?;
        self.written(call, output.e_tag, output.version_id)
    }

    pub(super) async fn copy_object(
        &self,
        source: CopySource<'_>,
        put: Put<'_>,
    ) -> Result<Written, StoreError> {
        let call = Call::new("CopyObject", put.key);
        let headers = self.headers(call, &put.write)?;
        let (if_match, if_none_match) = conditions(put.condition);
        let request = self
            .client
            .copy_object()
            .bucket(self.bucket_name())
            .key(put.key.as_str())
            .copy_source(copy_source(&source))
            .copy_source_if_match(source.pin.etag.quoted())
            .metadata_directive(MetadataDirective::Replace)
            .tagging_directive(TaggingDirective::Replace)
            .set_if_match(if_match)
            .set_if_none_match(if_none_match)
            .customize()
            .map_request(adding(headers));
        let output = self.send(call, LONG_CALL_TIMEOUT, request.send()).await?;
        let etag = output.copy_object_result.and_then(|result| result.e_tag);
        self.written(call, etag, output.version_id)
    }

    pub(super) async fn create(
        &self,
        key: &ObjectKey,
        write: &Write,
    ) -> Result<UploadId, StoreError> {
        let call = Call::new("CreateMultipartUpload", key);
        let headers = self.headers(call, write)?;
        let request = self
            .client
            .create_multipart_upload()
            .bucket(self.bucket_name())
            .key(key.as_str())
            .customize()
            .map_request(adding(headers));
        let output = self.send(call, CALL_TIMEOUT, request.send()).await?;
        let upload = output.upload_id.filter(|upload| !upload.is_empty());
        upload.map(UploadId).ok_or_else(|| self.lied(call, "the answer has no upload id"))
    }

    pub(super) async fn send_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: PartNumber,
        size: u64,
        body: Body,
    ) -> Result<ETag, StoreError> {
        let call = Call::new("UploadPart", key);
        let (body, pulse) = self.outgoing(call, size, body).await?;
        let request = self
            .client
            .upload_part()
            .bucket(self.bucket_name())
            .key(key.as_str())
            .upload_id(&upload.0)
            .part_number(i32::from(number.get()))
            .content_length(self.signed(call, size)?)
            .body(body);
        let output = self.send_body(call, pulse, request.send()).await?;
        self.etag(call, output.e_tag)
    }

    pub(super) async fn send_part_copy(
        &self,
        source: CopySource<'_>,
        key: &ObjectKey,
        upload: &UploadId,
        number: PartNumber,
        range: ByteRange,
    ) -> Result<ETag, StoreError> {
        let call = Call::new("UploadPartCopy", key);
        let request = self
            .client
            .upload_part_copy()
            .bucket(self.bucket_name())
            .key(key.as_str())
            .upload_id(&upload.0)
            .part_number(i32::from(number.get()))
            .copy_source(copy_source(&source))
            .copy_source_if_match(source.pin.etag.quoted())
            .copy_source_range(range.header());
        let output = self.send(call, LONG_CALL_TIMEOUT, request.send()).await?;
        self.etag(call, output.copy_part_result.and_then(|result| result.e_tag))
    }

    pub(super) async fn complete(&self, completion: Completion<'_>) -> Result<Written, StoreError> {
        let call = Call::new("CompleteMultipartUpload", completion.key);
        let parts = completion.parts.iter().map(|(number, etag)| {
            let number = i32::from(number.get());
            CompletedPart::builder().part_number(number).e_tag(etag.quoted()).build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let (if_match, if_none_match) = conditions(completion.condition);
        let size = self.signed(call, completion.size)?;
        let size = self.settings.sends_checksums().then_some(size);
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(self.bucket_name())
            .key(completion.key.as_str())
            .upload_id(&completion.upload.0)
            .multipart_upload(parts)
            .set_mpu_object_size(size)
            .set_if_match(if_match)
            .set_if_none_match(if_none_match);
        let output = self.send(call, LONG_CALL_TIMEOUT, request.send()).await?;
        self.written(call, output.e_tag, output.version_id)
    }

    pub(super) async fn abort(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), StoreError> {
        let request = self
            .client
            .abort_multipart_upload()
            .bucket(self.bucket_name())
            .key(key.as_str())
            .upload_id(&upload.0);
        let call = Call::new("AbortMultipartUpload", key);
        self.send(call, CALL_TIMEOUT, request.send()).await.map(|_| ())
    }

    pub(super) async fn delete_object(
        &self,
        key: &ObjectKey,
        condition: Option<&ETag>,
    ) -> Result<(), StoreError> {
        let request = self
            .client
            .delete_object()
            .bucket(self.bucket_name())
            .key(key.as_str())
            .set_if_match(condition.map(ETag::quoted));
        let call = Call::new("DeleteObject", key);
        match self.send(call, CALL_TIMEOUT, request.send()).await {
            Ok(_) => Ok(()),
            // What is not there needs no deleting.
            Err(error) if matches!(error.kind, ErrorKind::NoSuchKey | ErrorKind::NotFound) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// A body for the SDK. An empty one is in memory: a stream without bytes is never polled, and
    /// what measures it would not get to judge it.
    async fn outgoing(
        &self,
        call: Call<'_>,
        size: u64,
        body: Body,
    ) -> Result<(ByteStream, Pulse), StoreError> {
        let (body, pulse) = watch_write(body);
        if size > 0 {
            return Ok((ByteStream::from_body_1_x(body), pulse));
        }
        let drained = drain_empty(Box::pin(body)).await;
        drained.map_err(|error| self.error(call, ErrorKind::Unavailable, error.to_string()))?;
        Ok((ByteStream::new(SdkBody::empty()), pulse))
    }

    fn headers(&self, call: Call<'_>, write: &Write) -> Result<Vec<(String, String)>, StoreError> {
        let headers = write_headers(&self.settings, write);
        for (name, value) in &headers {
            let fits = http::HeaderName::try_from(name).is_ok()
                && http::HeaderValue::from_bytes(value.as_bytes()).is_ok();
            if !fits {
                let message = format!("{name:?} with value {value:?} cannot be a header");
                return Err(self.error(call, ErrorKind::Invalid, message));
            }
        }
        Ok(headers)
    }

    fn signed(&self, call: Call<'_>, size: u64) -> Result<i64, StoreError> {
        let too_large =
            |_| self.error(call, ErrorKind::Invalid, format!("{size} bytes are too many"));
        i64::try_from(size).map_err(too_large)
    }

    fn etag(&self, call: Call<'_>, etag: Option<String>) -> Result<ETag, StoreError> {
        let etag = etag.filter(|etag| !etag.is_empty());
        etag.map(|etag| ETag::new(&etag)).ok_or_else(|| self.lied(call, "the answer has no ETag"))
    }

    fn written(
        &self,
        call: Call<'_>,
        etag: Option<String>,
        version: Option<String>,
    ) -> Result<Written, StoreError> {
        Ok(Written { etag: self.etag(call, etag)?, version: version.map(VersionId) })
    }
}

fn conditions(condition: Option<&Condition>) -> (Option<String>, Option<String>) {
    match condition {
        None => (None, None),
        Some(Condition::Absent) => (None, Some("*".to_owned())),
        Some(Condition::Is(etag)) => (Some(etag.quoted()), None),
    }
}

fn checksum_header(checksum: Checksum) -> Option<(String, String)> {
    let name = match checksum.algorithm {
        Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
        Algorithm::Crc32C => "x-amz-checksum-crc32c",
        Algorithm::Crc32 => "x-amz-checksum-crc32",
        Algorithm::Crc64Xz => return None,
    };
    Some((name.to_owned(), checksum.algorithm.encode(checksum.value)))
}

/// Everything that a write carries besides bytes and conditions.
fn write_headers(settings: &S3Settings, write: &Write) -> Vec<(String, String)> {
    let attributes = &write.attributes;
    let mut headers = Vec::new();
    let mut add = |name: &str, value: Option<&str>| {
        headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    };
    add("content-type", attributes.content_type.as_deref());
    add("content-encoding", attributes.content_encoding.as_deref());
    add("content-language", attributes.content_language.as_deref());
    add("content-disposition", attributes.content_disposition.as_deref());
    add("cache-control", attributes.cache_control.as_deref());
    add("expires", attributes.expires.as_deref());
    add("x-amz-website-redirect-location", attributes.website_redirect.as_deref());
    let class = attributes.storage_class.as_deref().map(|class| settings.vendor().class_for(class));
    add("x-amz-storage-class", class);
    add("x-amz-tagging", tagging(&write.tags).as_deref());
    add("x-amz-acl", settings.acl.as_deref());
    match &settings.sse {
        None => {}
        Some(Sse::Managed) => add("x-amz-server-side-encryption", Some("AES256")),
        Some(Sse::Kms { key_id, bucket_key }) => {
            add("x-amz-server-side-encryption", Some("aws:kms"));
            add("x-amz-server-side-encryption-aws-kms-key-id", key_id.as_deref());
            let bucket_key = bucket_key.then_some("true");
            add("x-amz-server-side-encryption-bucket-key-enabled", bucket_key);
        }
    }
    for (name, value) in &attributes.user {
        add(&format!("x-amz-meta-{name}"), Some(&encoded(value)));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use tranship_core::store::Attributes;

    #[test]
    fn a_write_carries_what_it_was_given_and_nothing_else() {
        assert_eq!(write_headers(&S3Settings::default(), &Write::default()), []);
        let attributes = Attributes {
            content_type: Some("text/plain".into()),
            expires: Some("never".into()),
            user: [("note".to_owned(), "é".to_owned())].into(),
            ..Attributes::default()
        };
        let write = Write { attributes, tags: vec![("a b".into(), "c".into())] };
        let sse = Sse::Kms { key_id: Some("key".into()), bucket_key: true };
        let settings =
            S3Settings { sse: Some(sse), acl: Some("private".into()), ..S3Settings::default() };
        let headers = write_headers(&settings, &write);
        let headers: Vec<_> = headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let expected = [
            ("content-type", "text/plain"),
            ("expires", "never"),
            ("x-amz-tagging", "a%20b=c"),
            ("x-amz-acl", "private"),
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "key"),
            ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
            ("x-amz-meta-note", "=?UTF-8?B?w6k=?="),
        ];
        assert_eq!(headers, expected);
    }

    #[test]
    fn conditions_are_quoted() {
        assert_eq!(conditions(None), (None, None));
        assert_eq!(conditions(Some(&Condition::Absent)), (None, Some("*".into())));
        let is = Condition::Is(ETag::new("e"));
        assert_eq!(conditions(Some(&is)), (Some("\"e\"".into()), None));
    }
}
