//! Dialects: each documented way of a vendor's store, as a request and what comes back.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails by panicking, as the tests themselves do"
)]

#[path = "dialects/cos.rs"]
mod cos;
#[path = "dialects/gcs.rs"]
mod gcs;
#[path = "dialects/kodo.rs"]
mod kodo;
#[path = "dialects/metadata.rs"]
mod metadata;
#[path = "dialects/oss.rs"]
mod oss;
#[path = "dialects/signature.rs"]
mod signature;

use crate::client::{Answer, ask};
use tranship_server::{Dialect, Server, ServerOptions};

/// A bucket's name that every vendor takes.
pub(crate) const BUCKET: &str = "bucket-1250000000";

/// A server that plays a vendor, with an empty bucket, and the way its buckets are addressed.
pub(crate) struct Store {
    pub(crate) server: Server,
    by_host: bool,
}

impl Store {
    pub(crate) async fn start(dialect: Dialect) -> Self {
        Self::start_with(ServerOptions { dialect, ..ServerOptions::default() }).await
    }

    pub(crate) async fn start_with(options: ServerOptions) -> Self {
        let by_host = matches!(options.dialect, Dialect::Oss | Dialect::Cos);
        let server = Server::start(options).await.unwrap();
        server.store().create_bucket(BUCKET);
        Self { server, by_host }
    }

    pub(crate) fn host(&self) -> String {
        let address = self.server.address();
        if self.by_host {
            return format!("{BUCKET}.localhost:{}", address.port());
        }
        address.to_string()
    }

    /// Asks for something in the bucket.
    pub(crate) async fn ask(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let place = if self.by_host { String::new() } else { format!("/{BUCKET}") };
        let host = self.host();
        let mut all = vec![("host", host.as_str())];
        all.extend_from_slice(headers);
        ask(&self.server, &format!("{method} {place}{path}"), &all, body.to_owned()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], "").await
    }

    /// Sends each request and compares its status and error code; a HEAD has no code to compare.
    pub(crate) async fn answers(&self, cases: &[Case<'_>]) {
        for (line, headers, status, code) in cases {
            let answer = self.ask(line, headers, "bytes").await;
            assert_eq!(answer.status.as_u16(), *status, "{line} {headers:?}: {answer:?}");
            if status >= &400 {
                assert_eq!(answer.one("Code"), *code, "{line} {headers:?}: {answer:?}");
            }
        }
    }
}

/// A request, and the status and error code that it is answered with.
pub(crate) type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str);

pub(crate) const UNSIGNED_FRAMES: &[(&str, &str)] = &[
    ("content-encoding", "aws-chunked"),
    ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
    ("x-amz-decoded-content-length", "5"),
    ("x-amz-trailer", "x-amz-checksum-crc32"),
];
