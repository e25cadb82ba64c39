//! The beginning of every function: settings, logs, clients, and then one handler for all events.

use std::future::Future;
use std::sync::Arc;

use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::settings::Settings;
use crate::surroundings::Surroundings;

/// Runs a function whose handler is given its surroundings, the event, and the time (in
/// milliseconds since the epoch) at which the invocation ends.
///
/// Settings that cannot be used fail every invocation with all that is wrong with them: a process
/// that ends at its start would only be started again, and say less.
pub async fn run<H, R, A>(
    variable: impl Fn(&str) -> Option<String>,
    handler: H,
) -> Result<(), Error>
where
    H: Fn(Arc<Surroundings>, Value, u64) -> R,
    R: Future<Output = Result<A, Failure>>,
    A: Serialize,
{
    let surroundings = match Settings::read(variable) {
        Ok(settings) => {
            crate::log::begin(settings.own.log);
            Box::pin(Surroundings::build(settings)).await.map(Arc::new)
        }
        Err(mistakes) => {
            crate::log::begin(tracing::Level::INFO);
            Err(mistakes.into())
        }
    };
    let (surroundings, handler) = (&surroundings, &handler);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let LambdaEvent { payload, context } = event;
        let answered = match surroundings {
            Ok(surroundings) => handler(surroundings.clone(), payload, context.deadline).await,
            Err(failure) => Err(failure.clone()),
        };
        answered.map_err(|failure| {
            let Failure { name, message } = &failure;
            tracing::error!(
                error = name.text(),
                why = message,
                request = context.request_id,
                "failed"
            );
            Diagnostic::from(failure)
        })
    }))
    .await
}
