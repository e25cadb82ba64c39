//! What a GET or a HEAD answered: checked against what was asked, and read into a [`Head`].
//!
//! Some stores ignore `Range`, `If-Match` or the version id and answer with something else. Whatever
//! differs is a lie, and the message says what.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_s3::primitives::DateTime;
use tranship_core::checksum::{Algorithm, Checksum};
use tranship_core::loss::{Loss, Losses};
use tranship_core::object::{ByteRange, ETag, Identity, Millis, VersionId};
use tranship_core::qetag::Qetag;
use tranship_core::store::{Attributes, Head, Pin};

use super::metadata::decoded;
use super::settings::S3Settings;
use super::translate::{Said, Translation};

/// The parts of an answer that GET and HEAD share.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub etag: Option<String>,
    pub length: Option<i64>,
    pub content_range: Option<String>,
    pub version: Option<String>,
    pub modified: Option<DateTime>,
    pub attributes: Attributes,
    pub tag_count: Option<i32>,
    pub checksum: StoredChecksum,
    pub encryption: Option<String>,
    pub customer_key: Option<String>,
    pub restore: Option<String>,
    /// A class that moves objects by itself has moved this one into an archive. A HEAD alone says so.
    pub is_tiered_away: bool,
    pub part_count: Option<i32>,
    pub locked: bool,
    pub missing_metadata: Option<i32>,
}

/// The checksums that an answer carries, as text.
#[derive(Debug, Clone, Default)]
pub(super) struct StoredChecksum {
    /// `FULL_OBJECT` or `COMPOSITE`; older stores do not say.
    pub kind: Option<String>,
    pub crc64_nvme: Option<String>,
    pub crc32_c: Option<String>,
    pub crc32: Option<String>,
}

/// Moves what GET and HEAD share out of either output, which are types of their own.
macro_rules! answer {
    ($output:ident) => {{
        let text = |value: Option<&str>| value.map(str::to_owned);
        $crate::stores::s3::answer::Answer {
            etag: $output.e_tag,
            length: $output.content_length,
            content_range: $output.content_range,
            version: $output.version_id,
            modified: $output.last_modified,
            attributes: tranship_core::store::Attributes {
                content_type: $output.content_type,
                content_encoding: $output.content_encoding,
                content_language: $output.content_language,
                content_disposition: $output.content_disposition,
                cache_control: $output.cache_control,
                expires: $output.expires_string,
                website_redirect: $output.website_redirect_location,
                // As the store names it; the head has Amazon's name.
                storage_class: text($output.storage_class.as_ref().map(|class| class.as_str())),
                user: $crate::stores::s3::answer::sorted($output.metadata),
            },
            tag_count: $output.tag_count,
            checksum: $crate::stores::s3::answer::StoredChecksum {
                kind: text($output.checksum_type.as_ref().map(|kind| kind.as_str())),
                crc64_nvme: $output.checksum_crc64_nvme,
                crc32_c: $output.checksum_crc32_c,
                crc32: $output.checksum_crc32,
            },
            encryption: text($output.server_side_encryption.as_ref().map(|sse| sse.as_str())),
            customer_key: $output.sse_customer_algorithm,
            restore: $output.restore,
            is_tiered_away: false,
            part_count: $output.parts_count,
            locked: $output.object_lock_mode.is_some()
                || $output
                    .object_lock_legal_hold_status
                    .is_some_and(|status| status.as_str() == "ON"),
            missing_metadata: $output.missing_meta,
        }
    }};
}
pub(super) use answer;

pub(super) fn sorted(metadata: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    let metadata = metadata.unwrap_or_default().into_iter();
    metadata.map(|(name, value)| (name, decoded(&value))).collect()
}

pub(super) fn millis(time: Option<&DateTime>) -> Millis {
    let millis = time.and_then(|time| time.to_millis().ok());
    Millis(millis.and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0))
}

impl StoredChecksum {
    /// The strongest checksum over all bytes that is there.
    pub(super) fn whole(&self) -> Option<Checksum> {
        if self.kind.as_deref() == Some("COMPOSITE") {
            return None;
        }
        self.all().into_iter().next()
    }

    /// Those over all bytes; a part's are always that.
    pub(super) fn all(&self) -> Vec<Checksum> {
        [
            (Algorithm::Crc64Nvme, &self.crc64_nvme),
            (Algorithm::Crc32C, &self.crc32_c),
            (Algorithm::Crc32, &self.crc32),
        ]
        .into_iter()
        .filter_map(|(algorithm, text)| {
            let value = algorithm.decode(text.as_deref()?)?;
            Some(Checksum { algorithm, value })
        })
        .collect()
    }
}

/// How an answer differs from what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Difference {
    /// It is of another generation: the store does not honour conditions, and the object moved.
    Moved(String),
    /// It is not what was asked for.
    Lie(String),
}

impl From<String> for Difference {
    fn from(text: String) -> Self {
        Self::Lie(text)
    }
}

impl Answer {
    /// Size of the answer's own bytes.
    fn content_size(&self) -> Result<u64, String> {
        let length = self.length.ok_or("the answer has no Content-Length")?;
        u64::try_from(length).map_err(|_| format!("the answer's Content-Length is {length}"))
    }

    /// Size of the object, which a Content-Range names where the answer is a part of it.
    fn size(&self) -> Result<u64, String> {
        let Some(text) = &self.content_range else { return self.content_size() };
        let size = text.rsplit_once('/').and_then(|(_, size)| size.trim().parse().ok());
        size.ok_or_else(|| format!("the answer's Content-Range is {text:?}"))
    }

    /// Whether this is what was asked for; else what differs.
    pub(super) fn check(
        &self,
        range: Option<ByteRange>,
        pin: Option<&Pin>,
    ) -> Result<(), Difference> {
        let etag = self.etag()?;
        if let Some(pin) = pin
            && etag != pin.etag
        {
            let text = format!("asked for ETag {}, answered with {etag}", pin.etag);
            return Err(Difference::Moved(text));
        }
        if let Some(VersionId(asked)) = pin.and_then(|pin| pin.version.as_ref())
            && let Some(answered) = &self.version
            && asked != answered
        {
            let text = format!("asked for version {asked}, answered with {answered}");
            return Err(Difference::Moved(text));
        }
        let size = self.content_size()?;
        Ok(match (range, &self.content_range) {
            (None, None) => Ok(()),
            (None, Some(text)) => Err(format!("asked for the whole, answered with {text:?}")),
            (Some(range), Some(text)) => check_range(range, text, size),
            // A store may answer a range that is the whole object with the whole object.
            (Some(range), None) if range.start() == 0 && range.size() == size => Ok(()),
            (Some(range), None) => {
                Err(format!("asked for {}, answered with all {size} bytes", range.header()))
            }
        }?)
    }

    fn etag(&self) -> Result<ETag, String> {
        let etag = self.etag.as_deref().ok_or("the answer has no ETag")?;
        Ok(ETag::new(etag))
    }

    fn losses(&self, said: &Said, class_is_lost: bool) -> Losses {
        let missing = self.missing_metadata.is_some_and(|count| count > 0);
        [(self.locked, Loss::Lock), (missing, Loss::Metadata), (class_is_lost, Loss::Class)]
            .into_iter()
            .filter_map(|(lost, loss)| lost.then_some(loss))
            .chain(said.losses.iter().copied())
            .collect()
    }

    pub(super) fn head(mut self, settings: &S3Settings) -> Result<Head, String> {
        let said = Translation::said(settings.vendor(), &mut self.attributes.user);
        let class = self.attributes.storage_class.take();
        self.attributes.storage_class = settings.class_of(class.as_deref());
        let class_is_lost = class.as_deref().is_some_and(|class| settings.has_no_equal(class));
        let is_archive = class.is_some_and(|class| settings.vendor().is_archive(&class));
        let is_restored = |restore: &str| restore.contains("ongoing-request=\"false\"");
        // Amazon says `aws:kms`, others KMS.
        let may_be_md5 = |sse: &str| {
            sse.eq_ignore_ascii_case("AES256") && !settings.vendor().quirks.encryption_hides_md5
        };
        let is_hidden = self.encryption.as_deref().is_some_and(|sse| !may_be_md5(sse));
        let identity = Identity {
            etag: self.etag()?,
            size: self.size()?,
            modified: millis(self.modified.as_ref()),
            version: self.version.clone().map(VersionId),
        };
        let may_be_one = settings.vendor().quirks.qetags;
        let qetag = may_be_one.then(|| Qetag::of(&identity.etag, identity.size)).flatten();
        Ok(Head {
            identity,
            qetag,
            content_size: self.content_size()?,
            tag_count: self.tag_count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
            checksum: self.checksum.whole().or(said.checksum),
            etag_is_opaque: is_hidden || self.customer_key.is_some() || said.is_opaque,
            is_archived: (is_archive || self.is_tiered_away)
                && !self.restore.as_deref().is_some_and(is_restored),
            part_count: self.part_count.and_then(|count| u32::try_from(count).ok()),
            losses: self.losses(&said, class_is_lost),
            attributes: self.attributes,
        })
    }
}

fn check_range(asked: ByteRange, answered: &str, size: u64) -> Result<(), String> {
    let expected = format!("bytes {}-{}/", asked.start(), asked.end() - 1);
    let whole = answered.strip_prefix(&expected).map(str::trim);
    // A size that is not known is for whoever needs it to say.
    let is_size = |whole: &str| whole == "*" || whole.parse().is_ok_and(|size| asked.end() <= size);
    if !whole.is_some_and(is_size) {
        return Err(format!("asked for {}, answered with {answered:?}", asked.header()));
    }
    if size != asked.size() {
        return Err(format!("asked for {}, answered with {size} bytes", asked.header()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::s3::vendors::Vendor;
    use proptest::prelude::*;

    fn answer(length: i64, content_range: Option<&str>) -> Answer {
        Answer {
            etag: Some("\"e\"".into()),
            length: Some(length),
            content_range: content_range.map(str::to_owned),
            version: Some("v1".into()),
            ..Answer::default()
        }
    }

    #[test]
    fn every_lie_is_found() {
        let range = ByteRange::new(10, 20);
        let whole = ByteRange::new(0, 30);
        for (range, answer, truth) in [
            (None, answer(30, None), true),
            (None, answer(0, None), true),
            (None, answer(10, Some("bytes 10-19/30")), false),
            (range, answer(10, Some("bytes 10-19/30")), true),
            (range, answer(10, Some("bytes 10-19/*")), true),
            (range, answer(9, Some("bytes 10-19/30")), false),
            (range, answer(10, Some("bytes 10-18/30")), false),
            (range, answer(10, Some("bytes 0-9/30")), false),
            (range, answer(10, Some("10-19/30")), false),
            (range, answer(10, Some("bytes 10-19/20")), true),
            (range, answer(10, Some("bytes 10-19/19")), false),
            (range, answer(10, Some("bytes 10-19/30/40, bytes 0-1/2")), false),
            (range, answer(30, None), false),
            (range, answer(10, None), false),
            (whole, answer(30, None), true),
            (whole, answer(31, None), false),
            (whole, answer(-1, None), false),
            (whole, Answer { length: None, ..answer(30, None) }, false),
            (whole, Answer { etag: None, ..answer(30, None) }, false),
            (whole, Answer { etag: Some("other".into()), ..answer(30, None) }, false),
            (whole, Answer { version: Some("v2".into()), ..answer(30, None) }, false),
            (whole, Answer { version: None, ..answer(30, None) }, true),
        ] {
            let pin = Pin { etag: ETag::new("e"), version: Some(VersionId("v1".into())) };
            assert_eq!(answer.check(range, Some(&pin)).is_ok(), truth, "{range:?} {answer:?}");
        }
    }

    proptest! {
        /// Whatever range was asked for and whichever was answered: it is believed if it is the one.
        #[test]
        fn only_the_range_that_was_asked_for_is_believed(
            start in 0..1_u64 << 45,
            size in 1..=5_u64 << 30,
            (off_start, off_end, off_length, beyond) in (-1..=1_i64, -1..=1_i64, -1..=1_i64, -1..=2_i64),
            unit in prop::sample::select(vec!["bytes ", "bytes", "Bytes ", "", "bytes=", "items "]),
        ) {
            let range = ByteRange::new(start, start + size).unwrap();
            let signed = |number: u64| i64::try_from(number).unwrap();
            let (first, last) = (signed(start) + off_start, signed(start + size) - 1 + off_end);
            let text = format!("{unit}{first}-{last}/{}", signed(start + size) + beyond);
            let answer = answer(signed(size) + off_length, Some(&text));
            let is_right =
                (off_start, off_end, off_length) == (0, 0, 0) && beyond >= 0 && unit == "bytes ";
            prop_assert_eq!(answer.check(Some(range), None).is_ok(), is_right, "{}", text);
        }

        /// Any text there: nothing but the range with a whole number after it makes a head.
        #[test]
        fn no_text_is_taken_for_a_content_range(text in "(bytes )?[0-9-]{0,8}[/ *,a-z]{0,2}[0-9*]{0,22}") {
            let range = ByteRange::new(10, 20).unwrap();
            let answer = answer(10, Some(&text));
            if answer.check(Some(range), None).is_ok() && let Ok(head) = answer.head(&S3Settings::default()) {
                prop_assert_eq!(text, format!("bytes 10-19/{}", head.identity.size));
            }
        }
    }

    #[test]
    fn a_head_of_a_part_tells_the_size_of_both() {
        let head = answer(8, Some("bytes 0-7/20")).head(&S3Settings::default()).unwrap();
        assert_eq!((head.identity.size, head.content_size), (20, 8));
        assert!(answer(8, Some("bytes 0-7/*")).head(&S3Settings::default()).is_err());
    }

    #[test]
    fn encryption_and_restore_are_read() {
        for (encryption, customer_key, opaque) in [
            (None, None, false),
            (Some("AES256"), None, false),
            (Some("aws:kms"), None, true),
            (Some("aws:kms:dsse"), None, true),
            (None, Some("AES256"), true),
        ] {
            let (encryption, customer_key) =
                (encryption.map(str::to_owned), customer_key.map(str::to_owned));
            let answer = Answer { encryption, customer_key, ..answer(1, None) };
            assert_eq!(answer.clone().head(&S3Settings::default()).unwrap().etag_is_opaque, opaque);
            // There, an ETag is an MD5 only of what is not encrypted at all.
            let cos = S3Settings { vendor: Vendor::of_scheme("cos"), ..S3Settings::default() };
            let is_encrypted = answer.encryption.is_some() || opaque;
            assert_eq!(answer.head(&cos).unwrap().etag_is_opaque, is_encrypted);
        }
        for (restore, restored) in [
            (None, false),
            (Some("ongoing-request=\"true\""), false),
            (
                Some("ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\""),
                true,
            ),
        ] {
            for (class, is_tiered_away, can_be_away) in [
                (None, false, false),
                (Some("GLACIER_IR"), false, false),
                (Some("GLACIER"), false, true),
                (Some("DEEP_ARCHIVE"), false, true),
                (Some("INTELLIGENT_TIERING"), false, false),
                (Some("INTELLIGENT_TIERING"), true, true),
            ] {
                let storage_class = class.map(str::to_owned);
                let attributes = Attributes { storage_class, ..Attributes::default() };
                let restore = restore.map(str::to_owned);
                let answer = Answer { attributes, restore, is_tiered_away, ..answer(1, None) };
                // What is written in place of a class says nothing about the bytes.
                for given in [vec![], vec![("GLACIER".to_owned(), "STANDARD_IA".to_owned())]] {
                    let settings = S3Settings { classes: given, ..S3Settings::default() };
                    let head = answer.clone().head(&settings).unwrap();
                    assert_eq!(head.is_archived, can_be_away && !restored, "{class:?} {restored}");
                }
            }
        }
        let classes = vec![("STANDARD".to_owned(), "GLACIER".to_owned())];
        let settings = S3Settings { classes, ..S3Settings::default() };
        let head = answer(1, None).head(&settings).unwrap();
        assert_eq!(head.attributes.storage_class.as_deref(), Some("GLACIER"));
        assert!(!head.is_archived, "it is to be written into an archive, and lies in none");
    }

    #[test]
    fn a_qetag_is_looked_for_only_where_the_row_says_that_there_may_be_one() {
        // Of `etag`: <https://docs.rs/qiniu-etag>.
        let own = "FpLiADEaVoALPkdb8tJEJyRTXoe_";
        for vendor in Vendor::all() {
            let settings = S3Settings { vendor: Some(vendor), ..S3Settings::default() };
            for (etag, size, is_one) in [
                (own, 4, true),
                (own, 5 << 20, false),
                ("d41d8cd98f00b204e9800998ecf8427e", 4, false),
            ] {
                let answer = Answer { etag: Some(format!("\"{etag}\"")), ..answer(size, None) };
                let qetag = answer.head(&settings).unwrap().qetag;
                let wanted = (is_one && vendor.kind == "qiniu-kodo").then(|| own.to_owned());
                assert_eq!(qetag.map(Qetag::text), wanted, "{} {etag} {size}", vendor.name);
            }
        }
    }

    #[test]
    fn only_checksums_of_the_whole_count() {
        let crc32 = Some("y/Q5Jg==".to_owned());
        let whole = Checksum { algorithm: Algorithm::Crc32, value: 0xcbf4_3926 };
        let stored = StoredChecksum { crc32, ..StoredChecksum::default() };
        assert_eq!(stored.whole(), Some(whole));
        let composite = StoredChecksum { kind: Some("COMPOSITE".into()), ..stored.clone() };
        assert_eq!((composite.whole(), composite.all()), (None, vec![whole]));
        let dashed = StoredChecksum { crc32: Some("y/Q5Jg==-3".into()), ..stored };
        assert_eq!(dashed.whole(), None);
    }
}
