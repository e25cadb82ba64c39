//! The cases: which objects lie at the source, and what becomes of what is written.

use clap::{Args, ValueEnum};
use tranship_server::{Backend, Formula, FormulaEtags};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// The part size of the large objects, on both sides.
pub(crate) const PART_BYTES: u64 = 64 * MIB;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// 20,000 objects of 10 KiB
    Small,
    /// 200 objects of 8 MiB
    Medium,
    /// Two objects of 2 GiB, in parts of 64 MiB
    Large,
    /// A second pass over the small objects, with nothing changed
    Again,
    /// A million keys on each side, all equal
    List,
    /// No keys on either side: what a run needs before it does anything
    #[value(hide = true)]
    Empty,
}

/// A case, and by how much it is shrunk.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Work {
    #[arg(long)]
    pub(crate) case: Case,
    #[arg(long)]
    pub(crate) scale: u64,
}

impl Case {
    /// The default set.
    pub(crate) const COPIES: [Self; 4] = [Self::Small, Self::Medium, Self::Large, Self::Again];

    /// Whether each run moves bytes. The others find the work done.
    pub(crate) fn copies(self) -> bool {
        matches!(self, Self::Small | Self::Medium | Self::Large)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
            Self::Again => "again",
            Self::List => "list",
            Self::Empty => "empty",
        }
    }

    /// What the destination does with bytes. Small objects are kept and hashed, so that a second
    /// pass finds true `ETag`s; the others would only fill the memory.
    pub(crate) fn backend(self) -> Backend {
        match self {
            Self::Small | Self::Again => Backend::Memory,
            Self::Medium | Self::Large | Self::List | Self::Empty => {
                Backend::Synthetic { hash_writes: false }
            }
        }
    }
}

impl Work {
    /// The objects of the source. They exist by arithmetic, so that serving them costs no memory.
    pub(crate) fn formula(self) -> Formula {
        let (count, size) = match self.case {
            Case::Small | Case::Again => (20_000 / self.scale, 10 * KIB),
            Case::Medium => (200 / self.scale, 8 * MIB),
            Case::Large => (2, (2_048 * MIB / self.scale / PART_BYTES).max(2) * PART_BYTES),
            Case::List => (1_000_000 / self.scale, 10 * KIB),
            Case::Empty => (0, 0),
        };
        let hashed = matches!(self.case, Case::Small | Case::Again | Case::Medium);
        Formula {
            count,
            prefix: "data/".to_owned(),
            suffix: ".bin".to_owned(),
            sizes: vec![size],
            part_size: Some(PART_BYTES),
            etags: if hashed { FormulaEtags::Md5 } else { FormulaEtags::Fast },
            ..Formula::default()
        }
    }

    pub(crate) fn objects(self) -> u64 {
        self.formula().count
    }

    pub(crate) fn bytes(self) -> u64 {
        let formula = self.formula();
        formula.count * formula.size(0)
    }
}
