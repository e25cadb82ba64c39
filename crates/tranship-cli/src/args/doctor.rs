//! The options of `tranship doctor`.

use clap::{Args, ValueHint};

use super::{SidesArgs, VerifyArgs};

/// Options of `doctor`.
#[derive(Debug, Clone, Default, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub sides: SidesArgs,
    /// Write some small objects below the destination prefix, look at them, and delete them again;
    /// never where object locks are on, or may be
    #[arg(long, help_heading = "This look")]
    pub write_probe: bool,
    /// Print the least permissions that a copy needs on each side, in the language of its store; asks no
    /// store
    #[arg(long, help_heading = "This look")]
    pub print_policy: bool,
    /// Write the options that this look recommends into a TOML file, for the --config of copy
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "This look")]
    pub write_facts: Option<String>,
}

impl DoctorArgs {
    /// What `verify` would be told with the options that both have.
    pub(crate) fn as_verify(&self) -> VerifyArgs {
        VerifyArgs { sides: self.sides.clone(), ..VerifyArgs::default() }
    }
}

/// The part of the help that explains findings and exit codes.
pub const DOCTOR_HELP: &str = "\
It lists a page of each side, and reads the headers and a byte or two of one object. Without
--write-probe it writes nothing. Each finding is one of:
  good     as a copy wants it
  advice   a copy works, and somebody should know this before
  unknown  it could not be seen: an empty side, a permission that only this look needs
  bad      a copy would fail, or stop
Where a store differs from what is known of its kind, the finding names the option that says so. All of
them stand once more at the end, as lines of a configuration file.
Only --write-probe shows whether a copy may write. Its objects have the ACL and the encryption that the
configuration file or the stack asks for, and tags where the destination takes any.
--print-policy leaves out what only some options need: s3:DeleteObject (--delete, and the objects that
--write-probe makes) and s3:PutObjectAcl (--acl); and what only a look or a plan asks for, to count what is
lost: s3:GetObjectAcl and s3:GetBucketOwnershipControls (ACL grants), s3:GetBucketObjectLockConfiguration,
s3:GetObjectRetention and s3:GetObjectLegalHold (locks) at the source. Objects that are encrypted with a key
of a key service also take rights on the key: kms:Decrypt on the source's; kms:GenerateDataKey and
kms:Decrypt on the destination's.

Exit codes:
    0  nothing is bad
    1  an error that has no code of its own
    2  wrong options, environment or configuration file; no store was asked
    8  something keeps a copy from working
  130  interrupted";
