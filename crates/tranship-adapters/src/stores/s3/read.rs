//! Calls that read one object.

use aws_sdk_s3::types::ChecksumMode;
use tranship_core::error::{ErrorKind, StoreError};
use tranship_core::object::{ByteRange, ObjectKey, PartNumber, VersionId};
use tranship_core::store::{Head, Pin, Read};

use super::answer::{Answer, Difference, answer};
use super::watch::watch_read;
use super::{CALL_TIMEOUT, Call, S3Store, adding};

/// Asked for by header and not through the SDK, which would then compute the checksum of every body
/// a second time.
const CHECKSUM_MODE: (&str, &str) = ("x-amz-checksum-mode", "ENABLED");

impl S3Store {
    pub(super) async fn head_object(
        &self,
        key: &ObjectKey,
        version: Option<&VersionId>,
        part: Option<PartNumber>,
    ) -> Result<Head, StoreError> {
        let call = Call::new("HeadObject", key);
        let request = self
            .client
            .head_object()
            .bucket(self.bucket_name())
            .key(key.as_str())
            .set_version_id(version.map(|version| version.0.clone()))
            .set_part_number(part.map(|part| i32::from(part.get())))
            .set_checksum_mode(self.settings.sends_checksums().then_some(ChecksumMode::Enabled));
        let output = self.send(call, CALL_TIMEOUT, request.send()).await?;
        let is_tiered_away = output.archive_status.is_some();
        let answer = Answer { is_tiered_away, ..answer!(output) };
        answer.head(&self.settings).map_err(|lie| self.lied(call, lie))
    }

    pub(super) async fn get_object(
        &self,
        key: &ObjectKey,
        range: Option<ByteRange>,
        pin: Option<&Pin>,
    ) -> Result<Read, StoreError> {
        let call = Call::new("GetObject", key);
        let request = self
            .client
            .get_object()
            .bucket(self.bucket_name())
            .key(key.as_str())
            .set_range(range.map(ByteRange::header))
            .set_if_match(pin.map(|pin| pin.etag.quoted()))
            .set_version_id(pin.and_then(|pin| pin.version.clone()).map(|version| version.0));
        let mut headers = Vec::new();
        if range.is_none() && self.settings.sends_checksums() {
            // The checksum of a whole says nothing about a range of it.
            headers.push((CHECKSUM_MODE.0.to_owned(), CHECKSUM_MODE.1.to_owned()));
        }
        let request = request.customize().map_request(adding(headers));
        let mut output = self.send(call, CALL_TIMEOUT, request.send()).await?;
        let body = std::mem::take(&mut output.body).into_inner();
        let answer = answer!(output);
        answer.check(range, pin).map_err(|difference| match difference {
            Difference::Lie(text) => self.lied(call, text),
            Difference::Moved(text) => self.error(call, ErrorKind::PreconditionFailed, text),
        })?;
        let head = answer.head(&self.settings).map_err(|lie| self.lied(call, lie))?;
        let size = head.content_size;
        Ok(Read { head, body: watch_read(body), size })
    }

    pub(super) async fn get_tags(
        &self,
        key: &ObjectKey,
        version: Option<&VersionId>,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let call = Call::new("GetObjectTagging", key);
        let request = self
            .client
            .get_object_tagging()
            .bucket(self.bucket_name())
            .key(key.as_str())
            .set_version_id(version.map(|version| version.0.clone()));
        let output = self.send(call, CALL_TIMEOUT, request.send()).await?;
        Ok(output.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }
}
