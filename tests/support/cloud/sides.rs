//! The two strict servers that a stack copies between, and what it has to be told about them.

use serde_json::json;
use tranship_server::{Server, ServerOptions, Store};

use super::{Cloud, Parameters, RUNTIME};
use crate::rig::{DESTINATION, SOURCE, credentials};

/// Source and destination.
#[derive(Debug)]
pub struct Sides {
    pub source: Server,
    pub destination: Server,
    /// The source's. Not every vendor takes every name.
    pub bucket: &'static str,
    /// The destination's.
    pub bucket_there: &'static str,
}

impl Sides {
    pub async fn start() -> Self {
        Self::with(ServerOptions::default(), ServerOptions::default()).await
    }

    /// Signatures are always checked.
    pub async fn with(source: ServerOptions, destination: ServerOptions) -> Self {
        Self::of_buckets((SOURCE, DESTINATION), source, destination).await
    }

    pub async fn of_buckets(
        (bucket, bucket_there): (&'static str, &'static str),
        source: ServerOptions,
        destination: ServerOptions,
    ) -> Self {
        let source = serve(source).await;
        let destination = serve(destination).await;
        source.store().create_bucket(bucket);
        destination.store().create_bucket(bucket_there);
        Self { source, destination, bucket, bucket_there }
    }

    pub fn here(&self) -> &Store {
        self.source.store()
    }

    pub fn there(&self) -> &Store {
        self.destination.store()
    }

    pub fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) -> String {
        self.here().put(self.bucket, key, bytes.into())
    }

    /// Writes the secrets, and gives the parameters that name them and the servers.
    pub(super) async fn parameters(&self, cloud: &Cloud, stack: &str) -> Parameters {
        let mut parameters = Parameters::new();
        let mut set =
            |name: &str, value: &str| parameters.insert(name.to_owned(), value.to_owned());
        set("SourceKind", "s3-compatible");
        for (side, server, bucket) in [
            ("Source", &self.source, self.bucket),
            ("Destination", &self.destination, self.bucket_there),
        ] {
            let secret = secret_of(stack, side);
            cloud.put_secret(&secret, &secret_text(&credentials())).await;
            set(&format!("{side}Bucket"), bucket);
            set(&format!("{side}Endpoint"), &server.endpoint());
            set(&format!("{side}Region"), "us-east-1");
            set(&format!("{side}Credentials"), &secret);
            set(&format!("{side}InCurrentAccount"), "false");
        }
        parameters
    }

    /// Fails unless the destination has exactly the source's keys and bytes, and no upload is open.
    #[track_caller]
    pub fn expect_equal(&self) {
        let here = self.here().keys(self.bucket);
        assert_eq!(here, self.there().keys(self.bucket_there));
        for key in here {
            let a = self.here().read(self.bucket, &key);
            let b = self.there().read(self.bucket_there, &key);
            assert!(a == b, "the bytes of {key:?} differ");
        }
        assert_eq!(self.there().open_uploads(self.bucket_there), []);
    }
}

/// The name of a side's secret.
pub fn secret_of(stack: &str, side: &str) -> String {
    format!("{stack}-{side}")
}

/// What is in a secret.
pub fn secret_text(keys: &(String, String)) -> String {
    json!({ "access_key_id": keys.0, "secret_access_key": keys.1 }).to_string()
}

/// A server that outlives the test's own runtime, as the functions that ask it do.
async fn serve(options: ServerOptions) -> Server {
    let options =
        ServerOptions { credentials: options.credentials.or(Some(credentials())), ..options };
    RUNTIME.spawn(Server::start(options)).await.unwrap().unwrap()
}
