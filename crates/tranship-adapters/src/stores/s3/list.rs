//! Calls that read the bucket: itself, its keys, its open uploads and their parts.

use aws_sdk_s3::types::{
    BucketVersioningStatus, EncodingType, ExpirationStatus, LifecycleRule, MultipartUpload, Object,
    ObjectStorageClass, OptionalObjectAttributes, Part as ListedPart, RestoreStatus,
};
use tranship_core::error::{ErrorKind, StoreError};
use tranship_core::object::{ETag, ObjectKey, PartNumber, UploadId};
use tranship_core::store::{
    BucketFacts, ListPage, ListRequest, Listed, OpenUpload, Part, PartPage, Reading, Versioning,
};

use super::answer::{StoredChecksum, millis};
use super::encode::listed_key;
use super::settings::S3Settings;
use super::vendors::{ListVersion, Vendor};
use super::{CALL_TIMEOUT, Call, S3Store};

impl S3Store {
    pub(super) async fn bucket_facts(&self) -> Result<BucketFacts, StoreError> {
        let head = self.client.head_bucket().bucket(self.bucket_name());
        let head = self.send(Call::bucket("HeadBucket"), CALL_TIMEOUT, head.send()).await?;
        let versioning = self.client.get_bucket_versioning().bucket(self.bucket_name());
        let call = Call::bucket("GetBucketVersioning");
        let versioning = match self.send(call, CALL_TIMEOUT, versioning.send()).await {
            Ok(output) => match output.status {
                None => Versioning::Never,
                Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
                Some(BucketVersioningStatus::Suspended) => Versioning::Suspended,
                Some(_) => Versioning::Unknown,
            },
            // Who may not ask, or asks a store that speaks of it in its own way, knows nothing of it:
            // neither that there is a history nor that there is none.
            Err(error) if !error.kind.is_of_the_way() => Versioning::Unknown,
            Err(error) => return Err(error),
        };
        let aborts_below = self.aborts_below().await;
        Ok(BucketFacts { versioning, aborts_below, region: head.bucket_region })
    }

    /// Only advice depends on it, so whatever keeps it from being known is no error.
    async fn aborts_below(&self) -> Option<Vec<String>> {
        let request =
            self.client.get_bucket_lifecycle_configuration().bucket(self.bucket_name()).send();
        match self
            .send(Call::bucket("GetBucketLifecycleConfiguration"), CALL_TIMEOUT, request)
            .await
        {
            Ok(output) => {
                let rules = output.rules.unwrap_or_default();
                Some(rules.into_iter().filter_map(aborts_below).collect())
            }
            Err(error) if error.kind == ErrorKind::NotFound => Some(Vec::new()),
            Err(_) => None,
        }
    }

    /// Whether object locks are on. A store that knows no such thing has none.
    pub async fn has_object_locks(&self) -> Result<bool, StoreError> {
        let request = self.client.get_object_lock_configuration().bucket(self.bucket_name()).send();
        let call = Call::bucket("GetObjectLockConfiguration");
        match self.send(call, CALL_TIMEOUT, request).await {
            Ok(output) => Ok(output.object_lock_configuration.is_some()),
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Unsupported) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn list_page(&self, request: &ListRequest) -> Result<ListPage, StoreError> {
        match self.settings.list_version.unwrap_or(self.quirks().list) {
            ListVersion::V1 => self.list_page_v1(request).await,
            ListVersion::V2 => self.list_page_v2(request).await,
        }
    }

    /// Whether to ask for encoded keys: XML cannot hold some characters.
    fn encoding(&self) -> Option<EncodingType> {
        let encoded = self.settings.list_encoding.unwrap_or(self.quirks().encodes_listings);
        encoded.then_some(EncodingType::Url)
    }

    /// Asks which archived objects are restored, where Amazon's own headers may be sent.
    fn restores(&self) -> Option<Vec<OptionalObjectAttributes>> {
        self.settings.sends_checksums().then(|| vec![OptionalObjectAttributes::RestoreStatus])
    }

    /// Whether a listing gives its keys encoded, if that is asked for. It says so itself.
    pub async fn encodes_listings(&self, prefix: &str) -> Result<bool, StoreError> {
        let place = ObjectKey::new(prefix);
        let encoding = Some(EncodingType::Url);
        let said = match self.settings.list_version.unwrap_or(self.quirks().list) {
            ListVersion::V1 => {
                let list = self.client.list_objects().bucket(self.bucket_name()).prefix(prefix);
                let list = list.max_keys(1).set_encoding_type(encoding.clone());
                let call = Call::new("ListObjects", &place);
                self.send(call, CALL_TIMEOUT, list.send()).await?.encoding_type
            }
            ListVersion::V2 => {
                let list = self.client.list_objects_v2().bucket(self.bucket_name()).prefix(prefix);
                let list = list.max_keys(1).set_encoding_type(encoding.clone());
                let call = Call::new("ListObjectsV2", &place);
                self.send(call, CALL_TIMEOUT, list.send()).await?.encoding_type
            }
        };
        Ok(said == encoding)
    }

    /// The older listing goes on behind the last key that it gave.
    async fn list_page_v1(&self, request: &ListRequest) -> Result<ListPage, StoreError> {
        let place = ObjectKey::new(request.prefix.as_str());
        let call = Call::new("ListObjects", &place);
        let prefix = Some(request.prefix.clone()).filter(|prefix| !prefix.is_empty());
        let list = self
            .client
            .list_objects()
            .bucket(self.bucket_name())
            .max_keys(i32::from(request.limit))
            .set_encoding_type(self.encoding())
            .set_optional_object_attributes(self.restores())
            .set_prefix(prefix)
            .set_marker(request.after.as_ref().map(|after| after.as_str().to_owned()));
        let output = self.send(call, CALL_TIMEOUT, list.send()).await?;
        let is_encoded = output.encoding_type == Some(EncodingType::Url);
        let truncated = self.truncated(call, output.is_truncated)?;
        let objects = self.listed(call, output.contents.unwrap_or_default(), is_encoded)?;
        if truncated && objects.is_empty() {
            return Err(self.lied(call, "the listing goes on, and does not say where"));
        }
        Ok(ListPage { objects, truncated, continuation: None })
    }

    async fn list_page_v2(&self, request: &ListRequest) -> Result<ListPage, StoreError> {
        let after = ObjectKey::new(request.prefix.as_str());
        let call = Call::new("ListObjectsV2", &after);
        let mut list = self
            .client
            .list_objects_v2()
            .bucket(self.bucket_name())
            .max_keys(i32::from(request.limit))
            .set_encoding_type(self.encoding())
            .set_optional_object_attributes(self.restores());
        if !request.prefix.is_empty() {
            list = list.prefix(&request.prefix);
        }
        list = match (&request.continuation, &request.after) {
            (Some(token), _) => list.continuation_token(token),
            (None, Some(after)) => list.start_after(after.as_str()),
            (None, None) => list,
        };
        let output = self.send(call, CALL_TIMEOUT, list.send()).await?;
        let is_encoded = output.encoding_type == Some(EncodingType::Url);
        let truncated = self.truncated(call, output.is_truncated)?;
        let entries = output.contents.as_ref().map_or(0, Vec::len);
        if output.key_count.is_some_and(|count| usize::try_from(count).is_ok_and(|n| n > entries)) {
            return Err(self.lied(call, "the listing has fewer entries than it says"));
        }
        let page = ListPage {
            objects: self.listed(call, output.contents.unwrap_or_default(), is_encoded)?,
            truncated,
            continuation: output.next_continuation_token,
        };
        if page.truncated && page.continuation.is_none() && page.objects.is_empty() {
            return Err(self.lied(call, "the listing goes on, and does not say where"));
        }
        Ok(page)
    }

    fn listed(
        &self,
        call: Call<'_>,
        objects: Vec<Object>,
        is_encoded: bool,
    ) -> Result<Vec<Listed>, StoreError> {
        let objects = objects.into_iter().map(|object| listed(object, is_encoded, &self.settings));
        objects.collect::<Result<_, _>>().map_err(|lie| self.lied(call, lie))
    }

    /// Whether a listing goes on. The parser takes the end of a document for the end of its elements: what
    /// was cut off, or is of another kind, must not pass for a listing without entries.
    fn truncated(&self, call: Call<'_>, said: Option<bool>) -> Result<bool, StoreError> {
        said.ok_or_else(|| self.lied(call, "the listing does not say whether it is whole"))
    }

    pub(super) async fn parts_page(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        after: Option<PartNumber>,
    ) -> Result<PartPage, StoreError> {
        let call = Call::new("ListParts", key);
        let request = self
            .client
            .list_parts()
            .bucket(self.bucket_name())
            .key(key.as_str())
            .upload_id(&upload.0)
            .set_part_number_marker(after.map(|after| after.get().to_string()));
        let output = self.send(call, CALL_TIMEOUT, request.send()).await?;
        let parts: Result<Vec<_>, _> =
            output.parts.unwrap_or_default().into_iter().map(listed_part).collect();
        let parts = parts.map_err(|lie| self.lied(call, lie))?;
        let next = if self.truncated(call, output.is_truncated)? {
            let last = parts.last().map(|part| part.number);
            let marker = output.next_part_number_marker.and_then(|marker| marker.parse().ok());
            let next = marker.and_then(PartNumber::new).or(last).filter(|next| Some(*next) > after);
            Some(next.ok_or_else(|| self.lied(call, "the listing goes on, and does not advance"))?)
        } else {
            None
        };
        Ok(PartPage { parts, next })
    }

    pub(super) async fn uploads_of(&self, key: &ObjectKey) -> Result<Vec<OpenUpload>, StoreError> {
        let call = Call::new("ListMultipartUploads", key);
        let mut uploads = Vec::new();
        let mut marker: Option<(String, Option<String>)> = None;
        loop {
            let (key_marker, upload_marker) = marker.clone().unzip();
            let request = self
                .client
                .list_multipart_uploads()
                .bucket(self.bucket_name())
                .prefix(key.as_str())
                .set_encoding_type(self.encoding())
                .set_key_marker(key_marker)
                .set_upload_id_marker(upload_marker.flatten());
            let output = self.send(call, CALL_TIMEOUT, request.send()).await?;
            let is_encoded = output.encoding_type == Some(EncodingType::Url);
            for upload in output.uploads.unwrap_or_default() {
                let upload = open_upload(upload, is_encoded).map_err(|lie| self.lied(call, lie))?;
                if upload.key == *key {
                    uploads.push(upload);
                }
            }
            if !self.truncated(call, output.is_truncated)? {
                return Ok(uploads);
            }
            let next = output.next_key_marker.and_then(|next| listed_key(&next, is_encoded));
            let next = next.map(|next| (next.as_str().to_owned(), output.next_upload_id_marker));
            if next.is_none() || next == marker {
                return Err(self.lied(call, "the listing goes on, and does not advance"));
            }
            // Keys come in order, and those of which the key is a prefix come after it.
            if next.as_ref().is_some_and(|(next, _)| next.as_str() > key.as_str()) {
                return Ok(uploads);
            }
            marker = next;
        }
    }
}

/// The prefix below which a rule ends incomplete uploads. Amazon takes no such rule that also asks for
/// tags or sizes, since an open upload has neither; of another store's nobody knows what it would end.
fn aborts_below(rule: LifecycleRule) -> Option<String> {
    if rule.status != ExpirationStatus::Enabled || rule.abort_incomplete_multipart_upload.is_none()
    {
        return None;
    }
    let Some(filter) = rule.filter else {
        #[expect(deprecated, reason = "older rules have it, and are still obeyed")]
        return Some(rule.prefix.unwrap_or_default());
    };
    let sizes = (filter.object_size_greater_than, filter.object_size_less_than);
    if filter.tag.is_some() || sizes != (None, None) {
        return None;
    }
    let Some(and) = filter.and else { return Some(filter.prefix.unwrap_or_default()) };
    let sizes = (and.object_size_greater_than, and.object_size_less_than);
    let is_bare = and.tags.unwrap_or_default().is_empty() && sizes == (None, None);
    is_bare.then(|| and.prefix.unwrap_or_default())
}

fn listed(object: Object, is_encoded: bool, settings: &S3Settings) -> Result<Listed, String> {
    let text = object.key.ok_or("a listed object has no key")?;
    let key = listed_key(&text, is_encoded).ok_or_else(|| format!("key {text:?} is not UTF-8"))?;
    let size = object.size.and_then(|size| u64::try_from(size).ok());
    let class = object.storage_class.as_ref().map(ObjectStorageClass::as_str);
    Ok(Listed {
        size: size.ok_or_else(|| format!("listed key {key} has no size"))?,
        etag: ETag::new(&object.e_tag.ok_or_else(|| format!("listed key {key} has no ETag"))?),
        modified: millis(object.last_modified.as_ref()),
        storage_class: settings.class_of(class),
        reading: reading(class, object.restore_status.as_ref(), settings.vendor()),
        key,
    })
}

/// Whether the bytes can be read, by the class that the store itself names.
fn reading(class: Option<&str>, status: Option<&RestoreStatus>, vendor: &Vendor) -> Reading {
    let is_restored = |status: &RestoreStatus| {
        !status.is_restore_in_progress.unwrap_or(false) && status.restore_expiry_date.is_some()
    };
    match (class.filter(|class| vendor.is_archive(class)), status) {
        (None, _) => Reading::Open,
        (Some(_), Some(status)) if is_restored(status) => Reading::Open,
        (Some(_), Some(_)) => Reading::Archived,
        (Some(_), None) if vendor.quirks.lists_restores => Reading::Archived,
        (Some(_), None) => Reading::Unsaid,
    }
}

fn listed_part(part: ListedPart) -> Result<Part, String> {
    let number = part.part_number.and_then(|number| u16::try_from(number).ok());
    let number = number.and_then(PartNumber::new).ok_or("a listed part has no number")?;
    let size = part.size.and_then(|size| u64::try_from(size).ok());
    let stored = StoredChecksum {
        kind: None,
        crc64_nvme: part.checksum_crc64_nvme,
        crc32_c: part.checksum_crc32_c,
        crc32: part.checksum_crc32,
    };
    Ok(Part {
        number,
        size: size.ok_or_else(|| format!("listed part {} has no size", number.get()))?,
        etag: ETag::new(&part.e_tag.ok_or("a listed part has no ETag")?),
        checksums: stored.all(),
    })
}

fn open_upload(upload: MultipartUpload, is_encoded: bool) -> Result<OpenUpload, String> {
    let text = upload.key.ok_or("a listed upload has no key")?;
    let key = listed_key(&text, is_encoded).ok_or_else(|| format!("key {text:?} is not UTF-8"))?;
    Ok(OpenUpload {
        upload: UploadId(upload.upload_id.ok_or_else(|| format!("an upload of {key} has no id"))?),
        initiated: millis(upload.initiated.as_ref()),
        initiator: upload.initiator.and_then(|initiator| initiator.id),
        key,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{
        AbortIncompleteMultipartUpload, LifecycleRuleAndOperator, LifecycleRuleFilter, Tag,
    };

    use super::*;
    use crate::stores::s3::vendors::COMPATIBLE;
    use aws_sdk_s3::primitives::DateTime;

    fn rule(filter: Option<LifecycleRuleFilter>) -> LifecycleRule {
        let days = AbortIncompleteMultipartUpload::builder().days_after_initiation(7).build();
        LifecycleRule::builder()
            .status(ExpirationStatus::Enabled)
            .abort_incomplete_multipart_upload(days)
            .set_filter(filter)
            .build()
            .unwrap()
    }

    #[test]
    fn a_rule_ends_the_uploads_below_its_prefix_and_no_others() {
        let filter = LifecycleRuleFilter::builder;
        let and = LifecycleRuleAndOperator::builder;
        let tag = || Tag::builder().key("k").value("v").build().unwrap();
        for (filter, below) in [
            (None, Some("")),
            (Some(filter().build()), Some("")),
            (Some(filter().prefix("").build()), Some("")),
            (Some(filter().prefix("logs/").build()), Some("logs/")),
            (Some(filter().tag(tag()).build()), None),
            (Some(filter().object_size_greater_than(1).build()), None),
            (Some(filter().object_size_less_than(1).build()), None),
            (Some(filter().and(and().prefix("in/").build()).build()), Some("in/")),
            (Some(filter().and(and().prefix("in/").tags(tag()).build()).build()), None),
            (Some(filter().and(and().object_size_less_than(9).build()).build()), None),
        ] {
            assert_eq!(aborts_below(rule(filter.clone())).as_deref(), below, "{filter:?}");
        }
        let mut off = rule(None);
        off.status = ExpirationStatus::Disabled;
        assert_eq!(aborts_below(off), None);
        let mut other = rule(None);
        other.abort_incomplete_multipart_upload = None;
        assert_eq!(aborts_below(other), None);
        let mut old = rule(None);
        #[expect(deprecated, reason = "older rules have it")]
        {
            old.prefix = Some("in/".to_owned());
        }
        assert_eq!(aborts_below(old).as_deref(), Some("in/"));

        let facts = |below: &[&str]| {
            let below = below.iter().map(|prefix| (*prefix).to_owned()).collect();
            BucketFacts { aborts_below: Some(below), ..BucketFacts::default() }
        };
        for (below, prefix, is_covered) in [
            (&[][..], "", false),
            (&[""], "", true),
            (&[""], "in/", true),
            (&["logs/", "in/"], "in/2024/", true),
            (&["in/"], "in/", true),
            // Of these keys it ends some uploads, or none.
            (&["in/2024/"], "in/", false),
            (&["logs/"], "", false),
            (&["logs/"], "in/", false),
        ] {
            assert_eq!(facts(below).aborts_incomplete_uploads(prefix), Some(is_covered));
        }
        assert_eq!(BucketFacts::default().aborts_incomplete_uploads(""), None);
    }

    #[test]
    fn a_listing_says_what_can_be_read_or_that_it_does_not_know() {
        let status = |in_progress, until: Option<i64>| {
            let until = until.map(DateTime::from_secs);
            let status = RestoreStatus::builder().is_restore_in_progress(in_progress);
            Some(status.set_restore_expiry_date(until).build())
        };
        for (scheme, class, status, expected) in [
            ("s3", None, None, Reading::Open),
            ("s3", Some("STANDARD"), None, Reading::Open),
            ("s3", Some("GLACIER_IR"), None, Reading::Open),
            ("s3", Some("GLACIER"), None, Reading::Archived),
            ("s3", Some("GLACIER"), status(true, None), Reading::Archived),
            ("s3", Some("GLACIER"), status(false, None), Reading::Archived),
            ("s3", Some("DEEP_ARCHIVE"), status(false, Some(1)), Reading::Open),
            ("oss", Some("GLACIER"), None, Reading::Unsaid),
            ("oss", Some("ColdArchive"), None, Reading::Unsaid),
            ("cos", Some("ARCHIVE"), None, Reading::Unsaid),
            ("cos", Some("COLD"), None, Reading::Open),
            ("kodo", Some("DEEP_ARCHIVE"), None, Reading::Unsaid),
            // Google's archive is read at once.
            ("gs", Some("ARCHIVE"), None, Reading::Open),
        ] {
            let vendor = Vendor::of_scheme(scheme).unwrap();
            let said = reading(class, status.as_ref(), vendor);
            assert_eq!(said, expected, "{scheme} {class:?} {status:?}");
        }
        // Whether a store of nobody known obeys the request for the status, nobody knows.
        assert_eq!(reading(Some("GLACIER"), None, &COMPATIBLE), Reading::Unsaid);
    }
}
