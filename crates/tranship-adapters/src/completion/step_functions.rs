//! Starts the completion of an upload as an execution of the state machine.
//!
//! The execution's name follows from what is to be completed, so that a Standard state machine
//! runs each attempt once at a time; an Express one may run it twice, which the completer's lease allows.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use serde::{Deserialize, Serialize};
use tranship_core::error::LedgerError;
use tranship_core::ports::{Clock as _, Completer};
use tranship_core::rows::HeaderId;

use crate::aws::{Repeat, unavailable};
use crate::clock::SystemClock;

/// Digits of the header's hash in an execution's name, which may have 80 characters in all.
const NAME_DIGITS: usize = 40;

/// What an execution is given, and hands to the completer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    pub header: HeaderId,
    pub epoch: u64,
    pub attempt: u32,
}

impl Completion {
    /// The execution's name: one per attempt.
    pub fn name(&self) -> String {
        let header = self.header.0.get(..NAME_DIGITS).unwrap_or(&self.header.0);
        format!("{header}-{}-{}", self.epoch, self.attempt)
    }

    /// A name of which there is no execution yet.
    fn another_name(&self, random: u64) -> String {
        format!("{}-{:06x}", self.name(), random >> 40)
    }
}

/// The state machine of a transfer.
#[derive(Debug, Clone)]
pub struct StepFunctionsCompleter {
    client: Client,
    state_machine_arn: String,
}

impl StepFunctionsCompleter {
    /// Sends no request yet.
    pub fn new(config: &SdkConfig, state_machine_arn: impl Into<String>) -> Self {
        let config = aws_sdk_sfn::config::Builder::from(config)
            // There are too many open executions: some will have ended in a moment.
            .retry_classifier(Repeat::<StartExecutionError>::when(|error| {
                matches!(error, StartExecutionError::ExecutionLimitExceeded(_))
            }))
            .build();
        let client = Client::from_conf(config);
        Self { client, state_machine_arn: state_machine_arn.into() }
    }

    /// `false`: an execution of this name has ended.
    async fn begin(&self, name: String, input: &str) -> Result<bool, LedgerError> {
        let start = self.client.start_execution().state_machine_arn(&self.state_machine_arn);
        match start.name(name).input(input).send().await {
            Ok(_) => Ok(true),
            Err(error) => {
                let known = error.as_service_error();
                if known.is_some_and(StartExecutionError::is_execution_already_exists) {
                    return Ok(false);
                }
                Err(unavailable(&format!("StartExecution of {}", self.state_machine_arn), &error))
            }
        }
    }
}

#[async_trait]
impl Completer for StepFunctionsCompleter {
    async fn start(&self, header: &HeaderId, epoch: u64, attempt: u32) -> Result<(), LedgerError> {
        let completion = Completion { header: header.clone(), epoch, attempt };
        let input = serde_json::to_string(&completion)
            .map_err(|error| LedgerError::Unreadable(error.to_string()))?;
        if self.begin(completion.name(), &input).await? {
            return Ok(());
        }
        // While one of this name and input runs, asking for it again is a success. So it has ended, and whoever
        // asks has seen that the upload is not complete: it died before it took the header's lease.
        let random = SystemClock::new().random();
        if self.begin(completion.another_name(random), &input).await? {
            return Ok(());
        }
        let name = completion.name();
        Err(LedgerError::Unavailable(format!("StartExecution: all names of {name} are taken")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_enough_and_says_which_attempt() {
        let header = HeaderId("0123456789abcdef".repeat(4));
        let longest = Completion { header: header.clone(), epoch: u64::MAX, attempt: u32::MAX };
        assert!(longest.name().len() <= 80, "{}", longest.name());
        assert!(longest.another_name(u64::MAX).len() <= 80, "{}", longest.another_name(u64::MAX));
        let name = Completion { header, epoch: 7, attempt: 3 }.name();
        assert_eq!(name, "0123456789abcdef0123456789abcdef01234567-7-3");
        let another =
            Completion { header: longest.header, epoch: 7, attempt: 3 }.another_name(5 << 40);
        assert_eq!(another, "0123456789abcdef0123456789abcdef01234567-7-3-000005");
    }
}
