//! What the adapters of AWS services have in common: one configuration, one way to wait before
//! another attempt, and one way to say what failed.
//!
//! Unlike the object stores' clients, these repeat what was throttled or lost by themselves: every
//! call of the ledger, the queue and the completion may be repeated, so the core need not see it.

use std::error::Error;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tranship_core::error::LedgerError;
use tranship_core::object::escape;
use tranship_core::ports::Clock;

/// Attempts of one request, and of one batch whose entries were not all taken: with the waits
/// between them they outlast a burst, and end well before a function does.
pub(crate) const ATTEMPTS_MAX: u32 = 6;
/// The first wait; it doubles with each attempt.
const BACK_OFF_MS: u64 = 50;
const BACK_OFF_MAX_MS: u64 = 2_000;
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);
/// Of one attempt. A long poll takes 20 s by itself.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The configuration of our own AWS services, from the environment; what a host knows better, it
/// sets before it loads.
pub fn loader(http_client: SharedHttpClient) -> ConfigLoader {
    let retry = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS_MAX)
        .with_initial_backoff(Duration::from_millis(BACK_OFF_MS))
        .with_max_backoff(Duration::from_millis(BACK_OFF_MAX_MS));
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client)
        .retry_config(retry)
        .timeout_config(timeouts(ATTEMPT_TIMEOUT))
}

pub(crate) fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(attempt)
        .build()
}

/// Waits before the attempt after this one, the first of which is 1. The time is spread by chance,
/// so that those who were refused together do not come back together.
pub(crate) async fn back_off(clock: &dyn Clock, attempt: u32) {
    let most = (BACK_OFF_MS << attempt.min(10)).min(BACK_OFF_MAX_MS);
    clock.sleep(most / 2 + clock.random() % (most / 2 + 1)).await;
}

/// A service that cannot do now what it was asked to.
pub(crate) fn unavailable<E>(call: &str, error: &SdkError<E, HttpResponse>) -> LedgerError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let text = match (error.as_service_error(), error.code()) {
        (Some(_), Some(code)) => {
            let message = error.message().map(|text| format!(": {}", escape(text)));
            format!("{code}{}", message.unwrap_or_default())
        }
        _ => causes(error),
    };
    LedgerError::Unavailable(format!("{call}: {text}"))
}

pub(crate) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// An error and its causes in one line; a cause that its effect already spells out is left out.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut out = String::new();
    for cause in chain(error) {
        // Some of them are written on several lines.
        let text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let text = escape(&text);
        if out.contains(&text) {
            continue;
        }
        if !out.is_empty() {
            out.push_str(": ");
        }
        out.push_str(&text);
    }
    out
}

/// Has the SDK repeat answers that it would take for final, as it repeats throttled ones. `judge`
/// is given the error of one operation.
pub(crate) struct Repeat<E> {
    judge: fn(&E) -> bool,
}

impl<E> Repeat<E> {
    pub(crate) fn when(judge: fn(&E) -> bool) -> Self {
        Self { judge }
    }
}

impl<E> std::fmt::Debug for Repeat<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Repeat")
    }
}

impl<E: Error + Send + Sync + 'static> ClassifyRetry for Repeat<E> {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err);
        let error = error.and_then(OrchestratorError::as_operation_error);
        match error.and_then(|error| error.downcast_ref::<E>()) {
            Some(error) if (self.judge)(error) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "Repeat"
    }
}
