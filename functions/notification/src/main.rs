//! The custom resource that attaches the event queue to a bucket, and detaches it at the end.

mod configuration;
mod handler;
mod request;

use std::sync::Arc;

use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;
use tranship_adapters::aws::loader;
use tranship_adapters::clock::SystemClock;
use tranship_adapters::http::http_client;

use crate::handler::{Hands, connector, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tranship_stack::log::begin(tracing::Level::INFO);
    let config = Box::pin(loader(http_client(None)?).load()).await;
    let hands = Hands { config, connector: connector(), clock: Arc::new(SystemClock::new()) };
    let hands = &hands;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let LambdaEvent { payload, context } = event;
        handle(hands, payload, context.deadline).await.map_err(Diagnostic::from)
    }))
    .await
}
