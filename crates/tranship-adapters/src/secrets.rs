//! Credentials of a store, kept in Secrets Manager.
//!
//! The secret is read when it is first needed, again when it is old, and again when the store no
//! longer takes what it said; so a rotation needs no deployment. Nothing here shows, logs or puts
//! into an error any of its content: errors name the secret.

mod content;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::sync::Mutex;
use tranship_core::object::Millis;
use tranship_core::ports::Clock;

use self::content::{Content, Fault};
use crate::aws::{causes, chain, timeouts, unavailable};

/// How old a secret may be before it is read again.
pub const AGE_MAX_MS: u64 = 15 * 60 * 1_000;
/// A store that refuses has the secret read again, but not more often than this: most refusals are
/// about an object and not about the credentials.
const REFUSED_PAUSE_MS: u64 = 60_000;
/// How long a failure to read stands, so that a burst of requests asks once.
const FAILED_PAUSE_MS: u64 = 5_000;
/// An assumed role is assumed again so long before it ends.
const ROLE_MARGIN_MS: u64 = 5 * 60 * 1_000;
/// Of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const NAME: &str = "SecretsManager";
/// How the other account's log names our use of a role.
const ROLE_USER: &str = "tranship";

/// Why a secret gives no credentials. It never shows any of the secret's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// May pass by itself.
    #[error("the secret {secret} cannot be read now: {reason}")]
    Unavailable { secret: String, reason: String },
    #[error(
        "the secret {secret} cannot be read: {reason}; check that it exists, and that this function may call secretsmanager:GetSecretValue on it and kms:Decrypt on its key"
    )]
    Refused { secret: String, reason: String },
    #[error(
        "the secret {secret} {fault}; it has to be JSON: {{\"access_key_id\": …, \"secret_access_key\": …}}, optionally with \"session_token\" and \"role_arn\""
    )]
    Malformed { secret: String, fault: Fault },
    #[error("the role of the secret {secret} cannot be assumed: {reason}")]
    Role { secret: String, reason: String },
}

impl SecretError {
    /// Whether the same may work in a moment.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// The one that is behind a failed request, if it is one of these.
    pub(crate) fn behind<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        chain(error).find_map(|cause| cause.downcast_ref())
    }
}

/// The credentials that a secret holds. Clones share what was read.
#[derive(Clone)]
pub struct SecretCredentials(Arc<Inner>);

struct Inner {
    client: Client,
    config: SdkConfig,
    secret: String,
    age_max_ms: u64,
    clock: Arc<dyn Clock>,
    refused: AtomicBool,
    /// How often reading it gave other credentials than before.
    generation: AtomicU64,
    /// Held while the secret is read: whoever comes meanwhile waits for the same answer.
    known: Mutex<Option<Known>>,
}

struct Known {
    read_at: Millis,
    /// When a refusal had it read last.
    refused_at: Option<Millis>,
    /// The last attempt to read failed, whatever is still known from before.
    failed: bool,
    answer: Result<Credentials, SecretError>,
}

/// Which of the credentials that a secret held one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

impl fmt::Debug for SecretCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretCredentials").field(&self.0.secret).finish()
    }
}

impl SecretCredentials {
    /// Reads nothing yet. `config` is our own services'; `secret` is an ARN or a name.
    pub fn new(config: &SdkConfig, secret: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self::with_age(config, secret, clock, AGE_MAX_MS)
    }

    /// As [`new`](Self::new), reading the secret again when it is so old.
    pub fn with_age(
        config: &SdkConfig,
        secret: impl Into<String>,
        clock: Arc<dyn Clock>,
        age_max_ms: u64,
    ) -> Self {
        let client = aws_sdk_secretsmanager::config::Builder::from(config)
            .timeout_config(timeouts(ATTEMPT_TIMEOUT))
            .build();
        Self(Arc::new(Inner {
            client: Client::from_conf(client),
            config: config.clone(),
            secret: secret.into(),
            age_max_ms,
            clock,
            refused: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            known: Mutex::new(None),
        }))
    }

    /// The store refused these credentials: the next request reads the secret again. However many are
    /// refused, that happens at most once a minute.
    pub fn refused(&self) {
        self.0.refused.store(true, Ordering::Relaxed);
    }

    pub(crate) fn generation(&self) -> Generation {
        Generation(self.0.generation.load(Ordering::Relaxed))
    }

    /// Whether the secret holds other credentials than those of a request that the store refused. It is
    /// read again for that, as [`refused`](Self::refused) says.
    pub(crate) async fn changed_since(&self, refused: Generation) -> bool {
        self.refused();
        self.get().await.is_ok() && self.generation() != refused
    }

    /// The credentials as they are now.
    pub async fn get(&self) -> Result<Credentials, SecretError> {
        let inner = &*self.0;
        let mut known = inner.known.lock().await;
        let now = inner.clock.now();
        let before = match known.take() {
            Some(known_now) if !inner.is_stale(&known_now, now) => {
                return known.insert(known_now).answer.clone();
            }
            before => before,
        };
        let refused = inner.refused.swap(false, Ordering::Relaxed);
        let refused_before = before.as_ref().and_then(|before| before.refused_at);
        let refused_at = if refused { Some(now) } else { refused_before };
        let read = Box::pin(inner.read()).await;
        let failed = read.is_err();
        if let (Ok(read), Some(before)) = (&read, &before)
            && !before.answer.as_ref().is_ok_and(|last| is_same(read, last))
        {
            inner.generation.fetch_add(1, Ordering::Relaxed);
        }
        let answer = match (read, before.map(|before| before.answer)) {
            // What was good a while ago is most likely good still.
            (Err(error), Some(Ok(kept))) if error.may_pass() && !ends_before(&kept, now) => {
                Ok(kept)
            }
            (read, _) => read,
        };
        known.insert(Known { read_at: now, refused_at, failed, answer }).answer.clone()
    }
}

impl Inner {
    fn is_stale(&self, known: &Known, now: Millis) -> bool {
        let age = now.since(known.read_at);
        let ends = known.answer.as_ref().is_ok_and(|credentials| {
            ends_before(credentials, now.plus(ROLE_MARGIN_MS)) && age >= FAILED_PAUSE_MS
        });
        age >= self.age_max_ms
            || ends
            || known.failed && age >= FAILED_PAUSE_MS
            || self.refused.load(Ordering::Relaxed)
                && known.refused_at.is_none_or(|at| now.since(at) >= REFUSED_PAUSE_MS)
    }

    async fn read(&self) -> Result<Credentials, SecretError> {
        let got = self.client.get_secret_value().secret_id(&self.secret).send().await;
        let got = got.map_err(|error| self.unread(&error))?;
        let content = Content::parse(got.secret_string.as_deref());
        let secret = || self.secret.clone();
        let content =
            content.map_err(|fault| SecretError::Malformed { secret: secret(), fault })?;
        let Content { access_key_id, secret_access_key, token, role_arn } = content;
        let own = Credentials::new(access_key_id, secret_access_key, token, None, NAME);
        let Some(role) = role_arn else { return Ok(own) };
        let role = AssumeRoleProvider::builder(role).session_name(ROLE_USER);
        let role = role.configure(&self.config).build_from_provider(own).await;
        let assumed = role.provide_credentials().await;
        assumed.map_err(|error| {
            let reason = causes(&error);
            match error {
                CredentialsError::ProviderTimedOut(_) => {
                    SecretError::Unavailable { secret: secret(), reason }
                }
                _ => SecretError::Role { secret: secret(), reason },
            }
        })
    }

    fn unread(&self, error: &SdkError<GetSecretValueError, HttpResponse>) -> SecretError {
        let secret = self.secret.clone();
        let reason = unavailable("GetSecretValue", error).to_string();
        let status = error.raw_response().map(|response| response.status().as_u16());
        let throttled = error.as_service_error().is_some_and(|error| {
            error.meta().code().is_some_and(|code| code.contains("Throttling"))
        });
        if throttled || !status.is_some_and(|status| (400..500).contains(&status)) {
            return SecretError::Unavailable { secret, reason };
        }
        SecretError::Refused { secret, reason }
    }
}

fn is_same(one: &Credentials, other: &Credentials) -> bool {
    one.access_key_id() == other.access_key_id()
        && one.secret_access_key() == other.secret_access_key()
        && one.session_token() == other.session_token()
}

/// Whether credentials end before then. Those without an end do not.
fn ends_before(credentials: &Credentials, then: Millis) -> bool {
    let end = credentials.expiry().and_then(|end| end.duration_since(UNIX_EPOCH).ok());
    end.is_some_and(|end| end.as_millis() < u128::from(then.0))
}

impl ProvideCredentials for SecretCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            self.get().await.map_err(CredentialsError::provider_error)
        })
    }
}
