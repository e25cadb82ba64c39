//! One side, as the environment names it.

use tranship_adapters::stores::s3::vendors::{ListVersion, Vendor};
use tranship_adapters::stores::s3::{S3Settings, S3Store, StaticCredentials, http_client};
use tranship_core::object::ObjectKey;
use tranship_core::store::{ListRequest, ObjectStore as _};

use super::tap::Tap;
use super::{Environment, VARIABLES};

/// What may be given for a side, by the end of the variable and by the option of the command.
const OPTIONS: [(&str, &str); 5] = [
    ("REGION", "region"),
    ("ENDPOINT", "endpoint"),
    ("PROFILE", "profile"),
    ("PATH_STYLE", "path-style"),
    ("BUCKET_ENDPOINT", "bucket-endpoint"),
];

#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) vendor: &'static Vendor,
    pub(super) bucket: String,
    pub(super) prefix: String,
    given: Vec<(&'static str, String)>,
    credentials: Option<StaticCredentials>,
}

impl Place {
    pub(super) fn read(environment: &Environment, side: &str) -> Result<Self, String> {
        let name = format!("{VARIABLES}{side}");
        let of = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let place = of(&name).ok_or_else(|| {
            format!("{name} is not set: give it a place, such as oss://bucket/prefix")
        })?;
        let parts = place.split_once("://").and_then(|(scheme, rest)| {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            Some((Vendor::of_scheme(scheme)?, bucket, prefix))
        });
        let (mut vendor, bucket, prefix) =
            parts.ok_or_else(|| format!("{name} is no place in a store that is known: {place}"))?;
        let given: Vec<_> = OPTIONS
            .iter()
            .filter_map(|(end, option)| Some((*option, of(&format!("{name}_{end}"))?.clone())))
            .collect();
        if vendor.scheme == "s3" {
            let endpoint = given.iter().find(|(option, _)| *option == "endpoint");
            vendor = Vendor::of_endpoint(endpoint.map(|(_, endpoint)| endpoint.as_str()));
        }
        let credentials = of("AWS_ACCESS_KEY_ID").zip(of("AWS_SECRET_ACCESS_KEY"));
        let credentials = credentials.map(|(access_key, secret_key)| StaticCredentials {
            access_key: access_key.clone(),
            secret_key: secret_key.clone(),
            token: of("AWS_SESSION_TOKEN").cloned(),
        });
        let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
        Ok(Self { vendor, bucket, prefix, given, credentials })
    }

    /// A folder in it.
    pub(super) fn below(self, folder: &str) -> Self {
        let between = if self.prefix.is_empty() || self.prefix.ends_with('/') { "" } else { "/" };
        Self { prefix: format!("{}{between}{folder}", self.prefix), ..self }
    }

    /// As the command takes it.
    pub(super) fn address(&self) -> String {
        format!("{}://{}/{}", self.vendor.scheme, self.bucket, self.prefix)
    }

    pub(super) fn options(&self, side: &str) -> Vec<String> {
        self.given.iter().map(|(option, value)| format!("--{side}-{option}={value}")).collect()
    }

    pub(super) fn key(&self, rest: &str) -> ObjectKey {
        ObjectKey::new(format!("{}{rest}", self.prefix))
    }

    fn given(&self, option: &str) -> Option<&str> {
        self.given.iter().find(|(name, _)| *name == option).map(|(_, value)| value.as_str())
    }

    /// The product's own adapter, and what passes through it.
    pub(super) async fn store(
        &self,
        list: Option<ListVersion>,
        encoding: Option<bool>,
    ) -> Result<(S3Store, Tap), String> {
        let region = self.given("region").map(str::to_owned);
        let endpoint = match self.given("endpoint") {
            Some(endpoint) => Some(endpoint.to_owned()),
            None => self
                .vendor
                .endpoint(region.as_deref(), false)
                .map_err(|missing| format!("{}: {missing:?} is missing", self.vendor.name))?,
        };
        let is = |option: &str| self.given(option).map(|value| value == "true");
        let profile = self.given("profile").map(str::to_owned);
        let settings = S3Settings {
            vendor: Some(self.vendor),
            bucket: self.bucket.clone(),
            region,
            endpoint,
            path_style: is("path-style").unwrap_or(self.vendor.quirks.path_style),
            bucket_endpoint: is("bucket-endpoint").unwrap_or_default(),
            list_version: list,
            list_encoding: encoding,
            credentials: self.credentials.clone().filter(|_| profile.is_none()),
            profile,
            ..S3Settings::default()
        };
        let tap = Tap::default();
        let client = tap.client(http_client(None).map_err(|error| error.to_string())?);
        let store = S3Store::connect_with(settings, client).await;
        Ok((store.map_err(|error| error.to_string())?, tap))
    }

    /// Deletes everything in this folder, and says what is left if it cannot.
    pub(super) async fn clear(&self) -> Result<(), String> {
        assert!(self.prefix.contains("tranship-real-"), "{} is not of this suite", self.prefix);
        let failed = |error: String| format!("{} could not be cleared: {error}", self.address());
        let (store, _) = self.store(None, None).await.map_err(failed)?;
        let all = ListRequest { prefix: self.prefix.clone(), limit: 1_000, ..Default::default() };
        let page = match store.list(&all).await {
            Ok(page) => page.objects,
            Err(error) => return Err(failed(error.to_string())),
        };
        for listed in page {
            let deleted = store.delete(&listed.key, None).await;
            deleted.map_err(|error| failed(error.to_string()))?;
        }
        Ok(())
    }
}
