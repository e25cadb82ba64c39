//! Switches what the breaker's row says: the event source mappings of the queues.
//!
//! A mapping that is disabled takes no more messages; they wait in their queue, and lose nothing. The
//! one of the largest objects' queue is enabled only while nobody else takes them.

use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::DisplayErrorContext;
use tranship_core::breaker::{self, Breaker, State};
use tranship_core::error::StoreError;
use tranship_core::stage::Stage;

use crate::failure::{Failure, Name};
use crate::settings::Own;

/// The mappings from the scan queue to the finder, and from the others to the worker.
#[derive(Debug)]
pub struct Mappings {
    client: Client,
    finder: String,
    worker: String,
    /// The name of the queue of the largest objects.
    large: Option<String>,
}

impl Mappings {
    pub fn new(config: &SdkConfig, own: &Own) -> Self {
        let large = own.large.as_ref().map(|large| queue_name(&large.url).to_owned());
        let (finder, worker) = (own.finder_function.clone(), own.worker_function.clone());
        Self { client: Client::new(config), finder, worker, large }
    }

    /// Lets the functions take tasks, or not.
    async fn switch(&self, enabled: bool) -> Result<(), Failure> {
        for function in [&self.finder, &self.worker] {
            self.switch_those(function, enabled, |is_large| !(enabled && is_large)).await?;
        }
        Ok(())
    }

    /// Lets the worker function take the tasks of the largest objects, or leaves them to the fleet.
    pub async fn help(&self, enabled: bool) -> Result<(), Failure> {
        self.switch_those(&self.worker, enabled, |is_large| is_large).await
    }

    async fn switch_those(
        &self,
        function: &str,
        enabled: bool,
        of_large: impl Fn(bool) -> bool,
    ) -> Result<(), Failure> {
        let list = self.client.list_event_source_mappings().function_name(function);
        let listed = list.send().await.map_err(|error| {
            unavailable("ListEventSourceMappings", function, &DisplayErrorContext(&error))
        })?;
        for mapping in listed.event_source_mappings() {
            let Some(uuid) = mapping.uuid() else { continue };
            let queue = mapping.event_source_arn().map(queue_name);
            let is_large = self.large.is_some() && queue == self.large.as_deref();
            // One that is on its way to another state takes no order: the next sweep looks again.
            let waits = if enabled { "Disabled" } else { "Enabled" };
            if mapping.state() != Some(waits) || !of_large(is_large) {
                continue;
            }
            let update = self.client.update_event_source_mapping().uuid(uuid).enabled(enabled);
            update.send().await.map_err(|error| {
                unavailable("UpdateEventSourceMapping", function, &DisplayErrorContext(&error))
            })?;
        }
        Ok(())
    }
}

/// What a queue is called, in its URL or its ARN.
pub fn queue_name(address: &str) -> &str {
    address.rsplit(['/', ':']).next().unwrap_or(address)
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
    let mut breaker = breaker::read(&*stage.ledger).await?;
    if breaker.state == State::Open && !breaker.rests(stage.clock.now()) {
        match breaker::probe(stage).await {
            Ok(()) => breaker = close_probed(stage, mappings, breaker).await?,
            Err(error) => {
                let reason = error.to_string();
                tracing::warn!(reason, "the transfer is still halted");
            }
        }
    }
    // Whoever switched them last may have been overtaken, or have died before.
    mappings.switch(breaker.is_closed()).await?;
    Ok(breaker)
}

async fn close_probed(
    stage: &Stage,
    mappings: &Mappings,
    probed: Breaker,
) -> Result<Breaker, Failure> {
    let reason = "both sides can be used again";
    mappings.switch(true).await?;
    let breaker = breaker::close(&*stage.ledger, &*stage.clock, probed, reason).await?;
    if breaker.is_closed() {
        tracing::info!(reason, "the transfer goes on");
    }
    Ok(breaker)
}
