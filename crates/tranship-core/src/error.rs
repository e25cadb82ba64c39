//! What went wrong at a port, and what to do next.
//!
//! An error has a kind (what happened) and from it a disposition (what the caller does). The
//! adapter maps vendor codes to kinds in one table; nothing else looks at a code.

use std::fmt;

/// What happened at an object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The key does not exist, and the store said so in a body.
    NoSuchKey,
    /// A 404 without a body: the key, or the bucket, or permission to know.
    NotFound,
    NoSuchBucket,
    NoSuchUpload,
    /// 412: the object is not the one that the condition names.
    PreconditionFailed,
    /// 409 on a conditional write: the multipart upload is lost.
    Conflict,
    /// The object is in an archive tier and not restored.
    Archived,
    /// The store asks to slow down.
    Throttled,
    /// 5xx, a reset, a timeout: whether a write took effect is unknown.
    Unavailable,
    /// The store refused the bytes: their checksum does not match.
    BadDigest,
    /// A part is missing, or not the one that was named.
    InvalidPart,
    /// What came back is not what was asked for: status, range, length, `ETag`, checksum or listing.
    Lied,
    /// The credentials lack the permission, for this object or for all.
    Denied,
    /// This one object may not be read or written; others can be.
    Forbidden,
    /// There are no credentials, or the store knows nobody by them: wrong, revoked, expired.
    Unauthenticated,
    /// The store's clock and ours are apart: no signature is good.
    ClockSkewed,
    /// The bucket is in another region; the message names it.
    WrongRegion,
    /// The bucket stands where the store does not want it: in the path, or in the host's name.
    WrongAddress,
    /// The encryption key is disabled, or may not be used.
    Encryption,
    /// The request can never succeed as it is.
    Invalid,
    /// The store does not offer the call.
    Unsupported,
}

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The same again, later.
    Retry,
    /// The source or the upload moved: look again and plan anew.
    Replan,
    /// This object will not get better by itself.
    Permanent,
    /// Nothing in this transfer will get better by itself.
    Halt,
}

impl ErrorKind {
    pub fn disposition(self) -> Disposition {
        match self {
            Self::Throttled | Self::Unavailable | Self::Lied | Self::BadDigest => {
                Disposition::Retry
            }
            Self::NoSuchKey
            | Self::NotFound
            | Self::NoSuchUpload
            | Self::PreconditionFailed
            | Self::Conflict
            | Self::InvalidPart => Disposition::Replan,
            Self::Archived | Self::Forbidden | Self::Invalid | Self::Unsupported => {
                Disposition::Permanent
            }
            Self::NoSuchBucket
            | Self::Denied
            | Self::Unauthenticated
            | Self::ClockSkewed
            | Self::WrongRegion
            | Self::WrongAddress
            | Self::Encryption => Disposition::Halt,
        }
    }

    /// Whether other credentials may get another answer.
    pub fn is_about_credentials(self) -> bool {
        matches!(self, Self::Denied | Self::Unauthenticated)
    }

    /// Whether it is about the way to the store, which every call takes, or about what may pass: then it is to be
    /// heeded even of a question whose answer nothing depends on.
    pub fn is_of_the_way(self) -> bool {
        matches!(
            self,
            Self::Throttled
                | Self::Unavailable
                | Self::NoSuchBucket
                | Self::Unauthenticated
                | Self::ClockSkewed
                | Self::WrongRegion
                | Self::WrongAddress
        )
    }

    /// Whether a write that was answered so may have taken effect all the same.
    pub fn is_ambiguous(self) -> bool {
        matches!(
            self,
            Self::Unavailable
                | Self::Lied
                | Self::NoSuchUpload
                | Self::NoSuchKey
                | Self::NotFound
                | Self::PreconditionFailed
        )
    }
}

/// An error of an object store: what happened, in which call, to which bucket and key.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreError {
    pub kind: ErrorKind,
    /// The store's own code and message, or what was wrong with its answer.
    pub message: String,
    /// The call, as S3 names it, with bucket and key, escaped.
    pub context: String,
}

impl StoreError {
    pub fn new(kind: ErrorKind, context: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), context: context.into() }
    }

    pub fn disposition(&self) -> Disposition {
        self.kind.disposition()
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:?})", self.kind)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.context, self.message)
    }
}

impl std::error::Error for StoreError {}

/// An error of the ledger or the queue. They are ours, so there are few kinds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Full disk, throttled table, lost connection.
    #[error("the ledger cannot be used now: {0}")]
    Unavailable(String),
    /// What lies there was not written by this version, or was damaged.
    #[error("the ledger holds what this version cannot read: {0}")]
    Unreadable(String),
}

/// An error of a stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl StageError {
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Store(error) => error.disposition(),
            Self::Ledger(LedgerError::Unavailable(_)) => Disposition::Retry,
            Self::Ledger(LedgerError::Unreadable(_)) => Disposition::Halt,
        }
    }
}
