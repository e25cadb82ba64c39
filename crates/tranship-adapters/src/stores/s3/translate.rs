//! What a vendor says in headers of its own, said again in Amazon's.
//!
//! The SDK reads Amazon's headers and hands no other on. So what stands under the vendor's prefix is
//! repeated under Amazon's before the answer is read, and what Amazon has no header for travels as
//! user metadata, under names that the answer itself could not have given.

use std::collections::BTreeMap;

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::http::Headers;
use tranship_core::checksum::Checksum;
use tranship_core::loss::{Loss, Losses};

use super::vendors::{ETags, Vendor};

const AMAZON_PREFIX: &str = "x-amz-";
const META_PREFIX: &str = "x-amz-meta-";
/// Names of metadata that are ours while an answer is read. What the store itself gives under them is
/// taken away first.
const CHECKSUM: &str = "tranship-answer-checksum";
const OPAQUE: &str = "tranship-answer-opaque";
const KIND: &str = "tranship-answer-kind";
const HIDDEN: &str = "tranship-answer-hidden";
const OURS: [&str; 4] = [CHECKSUM, OPAQUE, KIND, HIDDEN];

/// Headers of a vendor that say the same as one of Amazon's, whatever stands behind the prefix.
const REPEATED: [&str; 8] = [
    "meta-",
    "storage-class",
    "restore",
    "version-id",
    "tagging-count",
    "server-side-encryption",
    "website-redirect-location",
    "delete-marker",
];

/// The vendor's dialect, on both ways.
#[derive(Debug)]
pub(super) struct Translation {
    vendor: &'static Vendor,
}

/// What an answer said in a vendor's own headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub checksum: Option<Checksum>,
    /// The `ETag` is not the MD5 of the bytes, whatever its form.
    pub is_opaque: bool,
    /// What of the object no other store could be given.
    pub losses: Losses,
}

impl Translation {
    /// `None` for a store that speaks as Amazon does.
    pub(super) fn of(vendor: &'static Vendor) -> Option<Self> {
        let quirks = &vendor.quirks;
        let speaks = quirks.prefix.is_some() || quirks.checksum.is_some();
        (speaks || quirks.accepts_gzip || quirks.etags == ETags::Own).then_some(Self { vendor })
    }

    /// Headers to add to an answer.
    fn added(&self, headers: &Headers) -> Vec<(String, String)> {
        let quirks = &self.vendor.quirks;
        let mut added = Vec::new();
        if let Some(prefix) = quirks.prefix {
            for (name, value) in headers {
                let repeated = name.strip_prefix(prefix).filter(|rest| {
                    REPEATED.iter().any(|known| {
                        if known.ends_with('-') { rest.starts_with(known) } else { rest == known }
                    })
                });
                let Some(rest) = repeated else { continue };
                let name = format!("{AMAZON_PREFIX}{rest}");
                if headers.get(&name).is_none() {
                    added.push((name, value.to_owned()));
                }
            }
            if let Some(kind) = headers.get(format!("{prefix}object-type"))
                && is_made_up(kind)
            {
                added.push((format!("{META_PREFIX}{KIND}"), kind.to_ascii_lowercase()));
            }
        }
        if quirks.etags == ETags::Own {
            added.push((format!("{META_PREFIX}{OPAQUE}"), "true".to_owned()));
        }
        if let Some(header) = quirks.checksum {
            let mut values = header.names().iter().flat_map(|name| headers.get_all(name));
            if let Some(value) = values.find(|value| header.read(value).is_some()) {
                added.push((format!("{META_PREFIX}{CHECKSUM}"), value.to_owned()));
            }
        }
        added
    }

    /// Some stores make browsers save what comes from their own domains: that disposition is not the
    /// object's.
    fn is_forced_download(&self, headers: &Headers) -> bool {
        let prefixes = [Some(AMAZON_PREFIX), self.vendor.quirks.prefix];
        prefixes.into_iter().flatten().any(|prefix| {
            headers.get(format!("{prefix}force-download")).is_some_and(|value| value == "true")
        })
    }

    /// Takes what the vendor said out of the metadata that the SDK read.
    pub(super) fn said(vendor: &'static Vendor, user: &mut BTreeMap<String, String>) -> Said {
        if Self::of(vendor).is_none() {
            return Said::default();
        }
        let checksum = user.remove(CHECKSUM);
        let header = vendor.quirks.checksum;
        let kind = user.remove(KIND);
        let of_kind = match kind.as_deref() {
            Some("appendable") => Some(Loss::Appendable),
            Some("symlink") => Some(Loss::Link),
            Some(_) | None => None,
        };
        let hidden = user.remove(HIDDEN).map(|_| Loss::Disposition);
        Said {
            checksum: header.zip(checksum).and_then(|(header, value)| header.read(&value)),
            is_opaque: user.remove(OPAQUE).is_some() || kind.is_some(),
            losses: of_kind.into_iter().chain(hidden).collect(),
        }
    }
}

/// Objects that were appended to have an `ETag` that is drawn, and so has a link that stands for another
/// object.
fn is_made_up(kind: &str) -> bool {
    !["normal", "multipart"].iter().any(|known| kind.eq_ignore_ascii_case(known))
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Translation {
    fn name(&self) -> &'static str {
        "Translation"
    }

    /// After signing: such a store changes the header on its way, and the signature would not hold.
    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.vendor.quirks.accepts_gzip {
            context.request_mut().headers_mut().try_insert("accept-encoding", "gzip")?;
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response_mut().headers_mut();
        for ours in OURS {
            headers.remove(format!("{META_PREFIX}{ours}"));
        }
        if self.is_forced_download(headers) && headers.remove("content-disposition").is_some() {
            headers.insert(format!("{META_PREFIX}{HIDDEN}"), "true");
        }
        for (name, value) in self.added(headers) {
            headers.try_append(name, value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::s3::vendors::{AMAZON, Vendor};
    use tranship_core::checksum::Algorithm;

    fn added(vendor: &'static Vendor, headers: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut all = Headers::new();
        for (name, value) in headers {
            all.append(*name, *value);
        }
        let Some(translation) = Translation::of(vendor) else { return Vec::new() };
        let added = translation.added(&all);
        added.into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    fn vendor(scheme: &str) -> &'static Vendor {
        Vendor::of_scheme(scheme).unwrap()
    }

    #[test]
    fn a_vendors_headers_are_said_again_in_amazons() {
        let oss = vendor("oss");
        for (headers, expected) in [
            (&[("x-oss-meta-a", "1")][..], &["x-amz-meta-a: 1"][..]),
            (&[("x-oss-meta-a", "1"), ("x-amz-meta-a", "2")], &[]),
            (&[("x-oss-storage-class", "IA")], &["x-amz-storage-class: IA"]),
            (&[("x-oss-request-id", "5")], &[]),
            (&[("x-oss-object-type", "Normal")], &[]),
            (
                &[("x-oss-object-type", "Appendable")],
                &["x-amz-meta-tranship-answer-kind: appendable"],
            ),
            (&[("x-oss-hash-crc64ecma", "17")], &["x-amz-meta-tranship-answer-checksum: 17"]),
            (&[("x-oss-hash-crc64ecma", "no number")], &[]),
            (&[("x-cos-meta-a", "1")], &[]),
        ] {
            assert_eq!(added(oss, headers), expected, "{headers:?}");
        }
        assert_eq!(added(&AMAZON, &[("x-oss-meta-a", "1")]), Vec::<String>::new());
        let kodo = added(vendor("kodo"), &[("etag", "\"Fh8xVqod2MQ1mocfI4S4KpRL6D98\"")]);
        assert_eq!(kodo, ["x-amz-meta-tranship-answer-opaque: true"]);
    }

    #[test]
    fn checksums_come_out_of_the_metadata_again() {
        let mut user: BTreeMap<_, _> = [(CHECKSUM, "11051210869376104954"), ("own", "stays")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let value = 11_051_210_869_376_104_954;
        let checksum = Some(Checksum { algorithm: Algorithm::Crc64Xz, value });
        let said = Translation::said(vendor("oss"), &mut user);
        assert_eq!((said, user.len()), (Said { checksum, ..Said::default() }, 1));
        let kind = |kind: &str| {
            let mut user = [(KIND.to_owned(), kind.to_owned())].into();
            Translation::said(vendor("oss"), &mut user)
        };
        let lost = |kind_of: &str| kind(kind_of).losses.into_iter().next();
        assert_eq!(
            (lost("appendable"), lost("symlink")),
            (Some(Loss::Appendable), Some(Loss::Link))
        );
        assert!(kind("symlink").is_opaque);
        let gcs = vendor("gs").quirks.checksum.unwrap();
        let crc = Checksum { algorithm: Algorithm::Crc32C, value: 0xe306_9283 };
        for (value, checksum) in [
            ("crc32c=4waSgw==,md5=x", Some(crc)),
            ("md5=x, crc32c=4waSgw==", Some(crc)),
            ("md5=x", None),
            ("crc32c=4waSgw", None),
        ] {
            assert_eq!(gcs.read(value), checksum, "{value}");
        }
    }
}
