//! Exit codes, and the failure of a whole run that chooses one.

use std::process::ExitCode;

/// How the command ended, as a script reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exit {
    #[default]
    Success,
    /// Anything that has no code of its own.
    Other,
    /// The options, the environment or the configuration file.
    Usage,
    /// Some objects failed, or the accounts do not balance.
    Failed,
    /// What stops a whole transfer: credentials, a key service, a denied or missing bucket.
    Halted,
    /// The ledger cannot be opened, read or written.
    Ledger,
    /// Two sides that were compared differ.
    Different,
    /// Two sides that were compared are not known to differ, nor proven to be equal.
    NotProvable,
    /// A look at two sides found what keeps a copy from working.
    Unfit,
    /// Ctrl-C, or a termination signal.
    Interrupted,
}

/// The part of `--help` that names the codes.
pub const EXIT_CODES_HELP: &str = "\
Exit codes:
    0  every listed object is accounted for, and none failed
    1  an error that has no code of its own
    2  wrong options, environment or configuration file; nothing was written
    3  some objects failed, or the accounts do not balance; see the failure list
    4  halted: credentials, a key service, a denied or missing bucket
    5  the ledger cannot be opened, read or written
    6  verify: the sides differ
    7  verify: no difference is known, and equality is not proven
    8  doctor: something keeps a copy from working
  130  interrupted; the same command resumes";

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Other => 1,
            Self::Usage => 2,
            Self::Failed => 3,
            Self::Halted => 4,
            Self::Ledger => 5,
            Self::Different => 6,
            Self::NotProvable => 7,
            Self::Unfit => 8,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command as a whole could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    pub exit: Exit,
    /// What went wrong, and where.
    pub what: String,
    /// What the reader can do about it; empty if there is nothing to advise.
    pub remedy: String,
}

impl Failure {
    pub fn new(exit: Exit, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit, what: what.into(), remedy: remedy.into() }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Other, format!("{error:#}"), "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_distinct_and_documented() {
        let all = [
            Exit::Success,
            Exit::Other,
            Exit::Usage,
            Exit::Failed,
            Exit::Halted,
            Exit::Ledger,
            Exit::Different,
            Exit::NotProvable,
            Exit::Unfit,
            Exit::Interrupted,
        ];
        let mut codes: Vec<u8> = all.iter().map(|exit| exit.code()).collect();
        codes.dedup();
        assert_eq!(codes.len(), all.len());
        for code in codes {
            assert!(EXIT_CODES_HELP.contains(&format!("{code:>5}  ")), "{code}");
        }
    }
}
