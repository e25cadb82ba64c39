//! Signatures: made over the host and the path that were sent, whoever is played.

use super::{BUCKET, Store};
use crate::client::{Answer, ask};
use sha2::{Digest, Sha256};
use tranship_server::{Dialect, ServerOptions};

const VENDORS: [Dialect; 4] = [Dialect::Oss, Dialect::Cos, Dialect::Kodo, Dialect::Gcs];

async fn start(dialect: Dialect) -> Store {
    let credentials = Some(("AK".to_owned(), "secret".to_owned()));
    Store::start_with(ServerOptions { dialect, credentials, ..ServerOptions::default() }).await
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let padded = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

/// A signed request, at a time so many hours from now.
struct Signed<'a> {
    method: &'a str,
    path: &'a str,
    secret: &'a str,
    digest: &'a str,
    hours: i64,
}

impl Signed<'_> {
    async fn send(&self, store: &Store, by_host: bool, body: &'static str) -> Answer {
        let path = if by_host { self.path.to_owned() } else { format!("/{BUCKET}{}", self.path) };
        let host = store.host();
        let now = time::OffsetDateTime::now_utc() + time::Duration::hours(self.hours);
        let day = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
        let date = format!("{day}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second());
        let names = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "{}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{}\nx-amz-date:{date}\n\n{names}\n{}",
            self.method, self.digest, self.digest
        );
        let scope = format!("{day}/anywhere/s3/aws4_request");
        let hash = hex::encode(Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
        let first = hmac(format!("AWS4{}", self.secret).as_bytes(), &day);
        let steps = ["anywhere", "s3", "aws4_request"];
        let key = steps.iter().fold(first, |key, step| hmac(&key, step));
        let signature = hex::encode(hmac(&key, &text));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AK/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        let headers = [
            ("host", host.as_str()),
            ("x-amz-date", &date),
            ("x-amz-content-sha256", self.digest),
            ("authorization", &authorization),
        ];
        ask(&store.server, &format!("{} {path}", self.method), &headers, body).await
    }
}

const PUT: Signed<'static> = Signed {
    method: "PUT",
    path: "/a%20b/%C3%A9%2B",
    secret: "secret",
    digest: "UNSIGNED-PAYLOAD",
    hours: 0,
};

#[tokio::test]
async fn a_good_one_passes_for_any_region() {
    for dialect in VENDORS {
        let store = start(dialect).await;
        let by_host = matches!(dialect, Dialect::Oss | Dialect::Cos);
        PUT.send(&store, by_host, "bytes").await.is(200);
        assert_eq!(store.server.store().read(BUCKET, "a b/é+").unwrap(), "bytes");
        let digest = hex::encode(Sha256::digest("bytes"));
        let hashed = Signed { digest: &digest, ..PUT };
        hashed.send(&store, by_host, "bytes").await.is(200);
        let other = hashed.send(&store, by_host, "other").await;
        assert_eq!(other.is(400).one("Code"), "XAmzContentSHA256Mismatch");
        assert_eq!(store.server.store().read(BUCKET, "a b/é+").unwrap(), "bytes");
    }
}

#[tokio::test]
async fn a_bad_one_does_not() {
    for dialect in VENDORS {
        let store = start(dialect).await;
        let by_host = matches!(dialect, Dialect::Oss | Dialect::Cos);
        let wrong = Signed { secret: "other", ..PUT }.send(&store, by_host, "bytes").await;
        assert_eq!(wrong.is(403).one("Code"), "SignatureDoesNotMatch");
        let late = Signed { hours: -1, ..PUT }.send(&store, by_host, "bytes").await;
        assert_eq!(late.is(403).one("Code"), "RequestTimeTooSkewed");
        assert_eq!(store.get("/k").await.is(403).one("Code"), "AccessDenied");
        store.server.exchange_keys(("BK".to_owned(), "secret".to_owned()));
        let unknown = PUT.send(&store, by_host, "bytes").await;
        assert_eq!(unknown.is(403).one("Code"), "InvalidAccessKeyId");
        assert!(store.server.store().keys(BUCKET).is_empty());
    }
}
