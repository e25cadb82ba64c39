//! How a function fails: under a name that the state machine and a person know.

use lambda_runtime::Diagnostic;
use tranship_core::error::{Disposition, StageError};

use crate::settings::Mistakes;

/// Why an invocation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// It may pass: the same again, later.
    Unavailable,
    /// Nothing in this transfer will get better by itself.
    Halted,
    /// This object will not get better by itself.
    Permanent,
    /// What the function was invoked with cannot be read.
    BadInput,
    /// What the function was told in its environment cannot be used.
    BadSettings,
}

impl Name {
    /// As the state machine's definition spells it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Unavailable => "Tranship.Unavailable",
            Self::Halted => "Tranship.Halted",
            Self::Permanent => "Tranship.Permanent",
            Self::BadInput => "Tranship.BadInput",
            Self::BadSettings => "Tranship.BadSettings",
        }
    }
}

/// A failed invocation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub name: Name,
    pub message: String,
}

impl Failure {
    pub fn new(name: Name, message: impl Into<String>) -> Self {
        Self { name, message: message.into() }
    }
}

impl From<StageError> for Failure {
    fn from(error: StageError) -> Self {
        let name = match error.disposition() {
            Disposition::Retry | Disposition::Replan => Name::Unavailable,
            Disposition::Permanent => Name::Permanent,
            Disposition::Halt => Name::Halted,
        };
        Self::new(name, error.to_string())
    }
}

impl From<tranship_core::error::LedgerError> for Failure {
    fn from(error: tranship_core::error::LedgerError) -> Self {
        StageError::from(error).into()
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Self::new(Name::BadSettings, mistakes.to_string())
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self { error_type: failure.name.text().to_owned(), error_message: failure.message }
    }
}
