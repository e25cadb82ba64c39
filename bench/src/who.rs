//! The clients that are compared.

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Who {
    /// The `tranship copy` command
    Tranship,
    /// A loop over the SDK: no ledger, no checksums, no conditions
    Bare,
    /// rclone, from the PATH
    Rclone,
    /// s3sync, from the PATH or from where `make peers` puts it
    S3sync,
    /// `bench/boto3_copy.py`, in the environment that `make peers` makes
    Boto3,
}

impl Who {
    pub(crate) const ALL: [Self; 5] =
        [Self::Tranship, Self::Bare, Self::Rclone, Self::S3sync, Self::Boto3];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tranship => "tranship",
            Self::Bare => "bare loop",
            Self::Rclone => "rclone",
            Self::S3sync => "s3sync",
            Self::Boto3 => "boto3",
        }
    }
}
