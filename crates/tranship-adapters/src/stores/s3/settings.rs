//! Settings: which bucket, behind which endpoint, with whose credentials, and what every write adds.

use std::fmt;

use crate::secrets::SecretCredentials;

/// A bucket and the way to it.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct S3Settings {
    pub bucket: String,
    /// `None`: as the AWS configuration says, or `us-east-1` where there is an endpoint.
    pub region: Option<String>,
    /// `None` is Amazon S3 itself.
    pub endpoint: Option<String>,
    /// Without an endpoint, the one of the AWS configuration is meant, where there is one: it is our
    /// own configuration, and not one of the person who runs a command.
    pub endpoint_as_configured: bool,
    pub path_style: bool,
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
    /// They go before a secret's.
    pub credentials: Option<StaticCredentials>,
    /// Credentials out of Secrets Manager. With neither: the profile's, or the default AWS chain.
    pub secret: Option<SecretCredentials>,
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
