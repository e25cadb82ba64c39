//! Switches what the breaker's row says: the event source mappings of the two queues.
//!
//! A mapping that is disabled takes no more messages; they wait in their queue, and lose nothing.

use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::DisplayErrorContext;
use tranship_core::breaker::{self, Breaker, State};
use tranship_core::error::StoreError;
use tranship_core::stage::Stage;

use crate::failure::{Failure, Name};
use crate::settings::Own;

/// The mappings from the scan queue to the finder, and from the transfer queue to the worker.
#[derive(Debug)]
pub struct Mappings {
    client: Client,
    functions: [String; 2],
}

impl Mappings {
    pub fn new(config: &SdkConfig, own: &Own) -> Self {
        let functions = [own.finder_function.clone(), own.worker_function.clone()];
        Self { client: Client::new(config), functions }
    }

    async fn switch(&self, enabled: bool) -> Result<(), Failure> {
        for function in &self.functions {
            let list = self.client.list_event_source_mappings().function_name(function);
            let listed = list.send().await.map_err(|error| {
                unavailable("ListEventSourceMappings", function, &DisplayErrorContext(&error))
            })?;
            for mapping in listed.event_source_mappings() {
                let Some(uuid) = mapping.uuid() else { continue };
                let stands = matches!(mapping.state(), Some("Enabled" | "Enabling"));
                if stands == enabled {
                    continue;
                }
                let update = self.client.update_event_source_mapping().uuid(uuid).enabled(enabled);
                update.send().await.map_err(|error| {
                    unavailable("UpdateEventSourceMapping", function, &DisplayErrorContext(&error))
                })?;
            }
        }
        Ok(())
    }
}

fn unavailable(call: &str, function: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Name::Unavailable, format!("{call} of {function}: {error}"))
}

/// Opens the breaker for an error that halted the transfer.
pub async fn open(
    stage: &Stage,
    mappings: &Mappings,
    error: &StoreError,
) -> Result<Breaker, Failure> {
    let reason = error.to_string();
    tracing::error!(reason, "the transfer is halted: nothing in it will get better by itself");
    stop(stage, mappings, State::Open, &reason).await
}

/// Stops the taking of tasks. The row first: whoever dies in between is helped by the next sweep.
pub async fn stop(
    stage: &Stage,
    mappings: &Mappings,
    state: State,
    reason: &str,
) -> Result<Breaker, Failure> {
    let breaker = breaker::set(&*stage.ledger, &*stage.clock, state, reason).await?;
    mappings.switch(false).await?;
    Ok(breaker)
}

/// Goes on. The mappings first: whoever dies in between leaves a breaker that the next sweep closes.
pub async fn close(stage: &Stage, mappings: &Mappings, reason: &str) -> Result<(), Failure> {
    mappings.switch(true).await?;
    breaker::set(&*stage.ledger, &*stage.clock, State::Closed, reason).await?;
    tracing::info!(reason, "the transfer goes on");
    Ok(())
}

/// What the sweep does about the breaker; gives it as it then is.
pub async fn sweep(stage: &Stage, mappings: &Mappings) -> Result<Breaker, Failure> {
    let breaker = breaker::read(&*stage.ledger).await?;
    match breaker.state {
        State::Closed => Ok(breaker),
        State::Paused => {
            mappings.switch(false).await?;
            Ok(breaker)
        }
        State::Open => match breaker::probe(stage).await {
            Ok(()) => {
                close(stage, mappings, "both sides can be used again").await?;
                Ok(breaker::read(&*stage.ledger).await?)
            }
            Err(error) => {
                let reason = error.to_string();
                tracing::warn!(reason, "the transfer is still halted");
                mappings.switch(false).await?;
                Ok(breaker)
            }
        },
    }
}
