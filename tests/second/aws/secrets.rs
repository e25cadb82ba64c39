//! Credentials out of Secrets Manager.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use aws_sdk_s3::primitives::Blob as Bytes;
use tranship_adapters::clock::SimulatedClock;
use tranship_adapters::secrets::{SecretCredentials, SecretError};
use tranship_adapters::stores::s3::{S3Settings, S3Store};
use tranship_core::error::ErrorKind;
use tranship_core::object::{Millis, ObjectKey};
use tranship_core::ports::Clock as _;
use tranship_core::store::ObjectStore as _;
use tranship_server::{Server, ServerOptions};
use tranship_tests::rig::{credentials, settings_at};

use super::{Cloud, cloud};

const MINUTE_MS: u64 = 60_000;
/// What no error and no output may hold.
const CANARY: &str = "hush";

struct Secrets {
    cloud: Cloud,
    client: aws_sdk_secretsmanager::Client,
    clock: Arc<SimulatedClock>,
}

fn text(id: &str, secret: &str) -> String {
    serde_json::json!({ "access_key_id": id, "secret_access_key": secret }).to_string()
}

impl Secrets {
    async fn new() -> Self {
        let cloud = cloud().await;
        let client = aws_sdk_secretsmanager::Client::new(&cloud.config);
        let clock = Arc::new(SimulatedClock::manual(Millis(1_700_000_000_000), 1));
        Self { cloud, client, clock }
    }

    /// Makes a secret; gives its ARN.
    async fn make(&self, name: &str, text: &str) -> String {
        let made = self.client.create_secret().name(name).secret_string(text).send().await;
        made.unwrap().arn.unwrap()
    }

    async fn change(&self, arn: &str, text: &str) {
        self.client.put_secret_value().secret_id(arn).secret_string(text).send().await.unwrap();
    }

    fn provider(&self, arn: &str) -> SecretCredentials {
        self.cloud.wire.take();
        SecretCredentials::new(&self.cloud.config, arn, self.clock.clone())
    }

    /// How often the secret was read since the last time.
    fn reads(&self) -> usize {
        self.cloud.wire.take().iter().filter(|exchange| exchange.call == "GetSecretValue").count()
    }
}

async fn id(provider: &SecretCredentials) -> String {
    provider.get().await.unwrap().access_key_id().to_owned()
}

#[tokio::test]
async fn a_secret_is_read_again_when_it_is_old_and_not_before() {
    let secrets = Secrets::new().await;
    let arn = secrets.make("old", &text("first", CANARY)).await;
    let provider = secrets.provider(&arn);
    let both = tokio::join!(id(&provider), id(&provider));
    assert_eq!(both, ("first".to_owned(), "first".to_owned()));
    assert_eq!(secrets.reads(), 1, "whoever comes meanwhile waits for the same answer");
    secrets.change(&arn, &text("second", CANARY)).await;
    secrets.clock.advance(15 * MINUTE_MS - 1);
    assert_eq!(id(&provider).await, "first");
    secrets.clock.advance(1);
    assert_eq!(id(&provider).await, "second");
    assert_eq!(id(&provider).await, "second");
    assert_eq!(secrets.reads(), 1);
}

#[tokio::test]
async fn a_refusal_has_the_secret_read_again_once_a_minute() {
    let secrets = Secrets::new().await;
    let arn = secrets.make("refused", &text("first", CANARY)).await;
    let provider = secrets.provider(&arn);
    assert_eq!(id(&provider).await, "first");
    secrets.change(&arn, &text("second", CANARY)).await;
    provider.refused();
    assert_eq!(id(&provider).await, "second", "at once");
    secrets.change(&arn, &text("third", CANARY)).await;
    provider.refused();
    secrets.clock.advance(MINUTE_MS - 1);
    assert_eq!(id(&provider).await, "second");
    secrets.clock.advance(1);
    assert_eq!(id(&provider).await, "third");
    assert_eq!(secrets.reads(), 3);
    secrets.clock.advance(2 * MINUTE_MS);
    assert_eq!(id(&provider).await, "third");
    assert_eq!(secrets.reads(), 0, "nobody refused it");
}

#[tokio::test]
async fn what_was_good_is_kept_while_the_service_is_away() {
    let secrets = Secrets::new().await;
    let arn = secrets.make("away", &text("first", CANARY)).await;
    let provider = secrets.provider(&arn);
    assert_eq!(id(&provider).await, "first");
    secrets.change(&arn, &text("second", CANARY)).await;
    secrets.clock.advance(15 * MINUTE_MS);
    secrets.cloud.wire.take();
    for _ in 0..6 {
        secrets.cloud.wire.fail("GetSecretValue", 500, "InternalServiceError");
    }
    assert_eq!(id(&provider).await, "first");
    assert_eq!(id(&provider).await, "first");
    assert_eq!(secrets.reads(), 6, "a burst asks once");
    secrets.clock.advance(5_000);
    assert_eq!(id(&provider).await, "second");
    assert_eq!(secrets.reads(), 1);
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_is_named_and_not_shown() {
    let secrets = Secrets::new().await;
    let unfinished =
        format!("{{\"access_key_id\": \"{CANARY}\", \"secret_access_key\": {CANARY}}}");
    for (name, text, fault) in [
        ("not-json", CANARY, "is not JSON (line 1, column 1)"),
        ("unfinished", &unfinished, "is not JSON"),
        ("blank", "  ", "is empty"),
        ("half", "{\"access_key_id\": \"hush\"}", "has no secret_access_key"),
    ] {
        let arn = secrets.make(name, text).await;
        let provider = secrets.provider(&arn);
        let error = provider.get().await.unwrap_err();
        let shown = format!("{error} {error:?} {provider:?}");
        assert!(shown.contains(&arn) && shown.contains(fault), "{shown}");
        assert!(!shown.contains(CANARY), "{shown}");
        assert!(!error.may_pass());
    }
    let binary = secrets.client.create_secret().name("binary");
    let binary = binary.secret_binary(Bytes::new(CANARY)).send().await.unwrap().arn.unwrap();
    let error = secrets.provider(&binary).get().await.unwrap_err().to_string();
    assert!(error.contains("is binary") && error.contains(&binary), "{error}");

    let error = secrets.provider("no-such-secret").get().await.unwrap_err();
    assert!(matches!(error, SecretError::Refused { .. }), "{error:?}");
    let shown = error.to_string();
    assert!(shown.contains("no-such-secret") && shown.contains("ResourceNotFound"), "{shown}");
}

#[tokio::test]
async fn a_role_is_assumed_with_the_secrets_credentials_and_again_before_it_ends() {
    let secrets = Secrets::new().await;
    let role = "arn:aws:iam::123456789012:role/reader";
    let fields = serde_json::json!({
        "access_key_id": "AKIDFIRST", "secret_access_key": CANARY, "role_arn": role,
    });
    let arn = secrets.make("role", &fields.to_string()).await;
    let provider =
        SecretCredentials::with_age(&secrets.cloud.config, arn, secrets.clock.clone(), u64::MAX);
    let assumed = provider.get().await.unwrap();
    assert_ne!(assumed.access_key_id(), "AKIDFIRST");
    assert!(assumed.session_token().is_some());
    let end = assumed.expiry().unwrap().duration_since(UNIX_EPOCH).unwrap();
    let left = Millis(u64::try_from(end.as_millis()).unwrap()).since(secrets.clock.now());
    secrets.clock.advance(left - 6 * MINUTE_MS);
    assert_eq!(id(&provider).await, assumed.access_key_id());
    secrets.clock.advance(2 * MINUTE_MS);
    assert_ne!(id(&provider).await, assumed.access_key_id());
    assert!(!format!("{assumed:?}").contains(assumed.secret_access_key()));
}

/// A store's refusal reaches the secret, and nothing of it is ever shown.
#[tokio::test]
async fn a_rotated_secret_is_taken_up_by_the_store() {
    let secrets = Secrets::new().await;
    let options = ServerOptions { credentials: Some(credentials()), ..ServerOptions::default() };
    let server = Server::start(options).await.unwrap();
    server.store().create_bucket("bucket");
    server.store().put("bucket", "k", b"bytes".to_vec());
    let (good, key) = credentials();
    let arn = secrets.make("rotated", &text(&good, CANARY)).await;
    let secret = secrets.provider(&arn);
    let settings = S3Settings {
        credentials: None,
        secret: Some(secret),
        ..settings_at(server.endpoint(), "bucket")
    };
    let store = S3Store::connect(settings).await.unwrap();
    let key_there = ObjectKey::new("k");
    let head = || store.head(&key_there, None, None);
    let error = head().await.unwrap_err();
    // A HEAD has no body to say more in.
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert_eq!(secrets.reads(), 2, "read again, and no better");
    assert!(!format!("{error} {error:?} {store:?}").contains(CANARY));
    let error = store.get(&key_there, None, None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthenticated, "{error}");
    secrets.change(&arn, &text(&good, &key)).await;
    assert_eq!(head().await.unwrap_err().kind, ErrorKind::Denied, "read less than a minute ago");
    assert_eq!(secrets.reads(), 0);
    secrets.clock.advance(MINUTE_MS);
    assert_eq!(head().await.unwrap().identity.size, 5);

    // What is refused while the secret changes is no fault of the object: it is asked for again.
    secrets.change(&arn, &text(&good, CANARY)).await;
    secrets.clock.advance(15 * MINUTE_MS);
    // It was read in that very request, so nobody can say which of the two was refused.
    assert_eq!(head().await.unwrap_err().kind, ErrorKind::Unavailable);
    secrets.clock.advance(MINUTE_MS);
    secrets.change(&arn, &text(&good, &key)).await;
    let error = head().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert!(error.message.contains("other credentials"), "{error}");
    assert_eq!(head().await.unwrap().identity.size, 5);

    secrets.change(&arn, "{}").await;
    secrets.clock.advance(15 * MINUTE_MS);
    let error = head().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert!(error.message.contains(&arn) && error.message.contains("access_key_id"), "{error}");
}
