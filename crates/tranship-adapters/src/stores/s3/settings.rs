//! Settings: which bucket, behind which endpoint, with whose credentials, and what every write adds.

use std::fmt;

use tranship_core::store::STANDARD;

use super::vendors::{ListVersion, Vendor};
use crate::secrets::SecretCredentials;

/// A bucket and the way to it.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct S3Settings {
    /// Whose store it is: its habits are read off this. `None`: the endpoint tells.
    pub vendor: Option<&'static Vendor>,
    pub bucket: String,
    /// `None`: as the AWS configuration says, or `us-east-1` where there is an endpoint.
    pub region: Option<String>,
    /// `None` is Amazon S3 itself.
    pub endpoint: Option<String>,
    /// Without an endpoint, the one of the AWS configuration is meant, where there is one: it is our
    /// own configuration, and not one of the person who runs a command.
    pub endpoint_as_configured: bool,
    pub path_style: bool,
    /// The endpoint is a domain of the bucket's own: the bucket stands nowhere else.
    pub bucket_endpoint: bool,
    /// `None`: the vendor's.
    pub list_version: Option<ListVersion>,
    /// Whether to ask for encoded keys in listings. `None`: unless the vendor has none.
    pub list_encoding: Option<bool>,
    /// Whether Amazon's headers about checksums, and those that came with them, may be sent. `None`: as the vendor's
    /// row says.
    pub checksums: Option<bool>,
    /// Requests are not signed.
    pub anonymous: bool,
    pub requester_pays: bool,
    /// A profile of the AWS configuration files.
    pub profile: Option<String>,
    /// Certificates that are trusted besides the system's own.
    pub ca_bundle_pem: Option<Vec<u8>>,
    /// A store whose bucket belongs to another account refuses every call.
    pub expected_bucket_owner: Option<String>,
    pub sse: Option<Sse>,
    /// A canned ACL; only where it was asked for, since most buckets refuse any.
    pub acl: Option<String>,
    /// Storage classes that are read as others than the vendor's table says: the store's name, and
    /// the one in its place.
    pub classes: Vec<(String, String)>,
    /// They go before a secret's.
    pub credentials: Option<StaticCredentials>,
    /// Credentials out of Secrets Manager. With neither: the profile's, or the default AWS chain.
    pub secret: Option<SecretCredentials>,
}

impl S3Settings {
    pub fn vendor(&self) -> &'static Vendor {
        self.vendor.unwrap_or_else(|| Vendor::of_endpoint(self.endpoint.as_deref()))
    }

    /// Whether Amazon's headers about checksums, and those that came with them, are sent.
    pub fn sends_checksums(&self) -> bool {
        self.checksums.unwrap_or(self.vendor().quirks.checksums)
    }

    /// Amazon's name of a class that the store named, or the one that is to stand in its place. The standard
    /// class is no class: a HEAD leaves it out, a listing names it.
    pub(super) fn class_of(&self, theirs: Option<&str>) -> Option<String> {
        let theirs = theirs.filter(|class| !class.is_empty()).unwrap_or(STANDARD);
        let given = self.classes.iter().find(|(name, _)| name.eq_ignore_ascii_case(theirs));
        let class = given.map_or_else(|| self.vendor().class_of(theirs), |(_, class)| class);
        (class != STANDARD && !self.has_no_equal(theirs)).then(|| class.to_owned())
    }

    /// Whether a class of the store's own has no name that another store would know.
    pub(super) fn has_no_equal(&self, theirs: &str) -> bool {
        let classes = self.vendor().quirks.classes;
        let is = |name: &str| name.eq_ignore_ascii_case(theirs);
        let is_known = classes.iter().any(|(name, _)| is(name))
            || self.classes.iter().any(|(name, _)| is(name));
        !(theirs.is_empty() || classes.is_empty() || is_known || is(STANDARD))
    }
}

/// The encryption that writes ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sse {
    /// With the store's own keys: AES256.
    Managed,
    Kms {
        /// `None` is the account's default key.
        key_id: Option<String>,
        bucket_key: bool,
    },
}

/// Credentials that were given in full.
#[derive(Clone, PartialEq, Eq)]
pub struct StaticCredentials {
    pub access_key: String,
    pub secret_key: String,
    pub token: Option<String>,
}

impl fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticCredentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_amazons_name_unless_another_is_given() {
        let vendor = Vendor::of_scheme("gs");
        let classes = vec![("NEARLINE".to_owned(), "GLACIER_IR".to_owned())];
        let settings = S3Settings { vendor, classes, ..S3Settings::default() };
        for (theirs, amazons) in [
            (None, None),
            (Some(""), None),
            (Some("STANDARD"), None),
            (Some("REGIONAL"), None),
            (Some("NEARLINE"), Some("GLACIER_IR")),
            (Some("coldline"), Some("GLACIER_IR")),
            (Some("NEW_CLASS"), None),
        ] {
            assert_eq!(settings.class_of(theirs).as_deref(), amazons, "{theirs:?}");
        }
        assert!(settings.has_no_equal("NEW_CLASS") && !settings.has_no_equal("coldline"));
        let amazon = S3Settings::default();
        assert_eq!(amazon.class_of(Some("NEW_CLASS")).as_deref(), Some("NEW_CLASS"));
        assert_eq!(amazon.class_of(Some("STANDARD_IA")).as_deref(), Some("STANDARD_IA"));
        // What is given for the standard class holds where the class is left out, too.
        let classes = vec![("standard".to_owned(), "STANDARD_IA".to_owned())];
        let mapped = S3Settings { classes, ..S3Settings::default() };
        for theirs in [None, Some(""), Some("STANDARD")] {
            assert_eq!(mapped.class_of(theirs).as_deref(), Some("STANDARD_IA"), "{theirs:?}");
        }
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let credentials = StaticCredentials {
            access_key: "AKID".into(),
            secret_key: "hush-secret".into(),
            token: Some("hush-token".into()),
        };
        let settings = S3Settings { credentials: Some(credentials), ..S3Settings::default() };
        let shown = format!("{settings:?}");
        assert!(shown.contains("AKID") && !shown.contains("hush"), "{shown}");
    }
}
