//! The cases: which objects lie at the source, and what becomes of what is written.

use clap::{Args, ValueEnum};
use tranship_server::{Backend, Formula, FormulaEtags};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

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
    /// One object of 2 GiB; the client is killed at half of its parts, and begins again
    Resume,
    /// One object of 256 MiB that is overwritten while it is copied
    Overwrite,
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
    pub(crate) const USUAL: [Self; 6] =
        [Self::Small, Self::Medium, Self::Large, Self::Again, Self::Resume, Self::Overwrite];

    /// Whether each run moves bytes. The others find the work done.
    pub(crate) fn copies(self) -> bool {
        matches!(self, Self::Small | Self::Medium | Self::Large | Self::Resume | Self::Overwrite)
    }

    /// What each client is told to do side by side, whatever it calls it.
    pub(crate) fn streams(self) -> usize {
        match self {
            // What the `tranship` command does unless it is told otherwise.
            Self::Small | Self::Medium | Self::Again | Self::List | Self::Empty => 64,
            // Most peers hold a whole part in memory for each: 64 would be 4 GiB.
            Self::Large => 16,
            // Few, so that some parts are done and some not even begun.
            Self::Resume => 8,
            Self::Overwrite => 4,
        }
    }

    /// The size of parts, and the size from which on an object is copied in parts.
    pub(crate) fn part_bytes(self) -> u64 {
        match self {
            Self::Resume | Self::Overwrite => 16 * MIB,
            _ => 64 * MIB,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
            Self::Again => "again",
            Self::List => "list",
            Self::Resume => "resume",
            Self::Overwrite => "overwrite",
            Self::Empty => "empty",
        }
    }

    /// What the destination does with bytes. Small objects are kept and hashed, so that a second
    /// pass finds true `ETag`s, and the overwritten one is looked at; the others would only fill
    /// the memory.
    pub(crate) fn backend(self) -> Backend {
        match self {
            Self::Small | Self::Again | Self::Overwrite => Backend::Memory,
            Self::Medium | Self::Large | Self::Resume | Self::List | Self::Empty => {
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
            Case::Large => (2, self.parts(2_048, 2) * self.case.part_bytes()),
            Case::Resume => (1, self.parts(2_048, 32) * self.case.part_bytes()),
            Case::Overwrite => (1, 256 * MIB),
            Case::List => (1_000_000 / self.scale, 10 * KIB),
            Case::Empty => (0, 0),
        };
        Formula {
            count,
            prefix: "data/".to_owned(),
            suffix: ".bin".to_owned(),
            sizes: vec![size],
            part_size: Some(self.case.part_bytes()),
            etags: if self.has_true_etags() { FormulaEtags::Md5 } else { FormulaEtags::Fast },
            ..Formula::default()
        }
    }

    /// Whether the source's `ETag`s are made of MD5s of the bytes. Of the largest objects they are
    /// not: it would take longer than to copy them.
    pub(crate) fn has_true_etags(self) -> bool {
        !matches!(self.case, Case::Large | Case::Resume | Case::List | Case::Empty)
    }

    /// How many parts so many MiB are at this scale, but not fewer than `least`.
    fn parts(self, mib: u64, least: u64) -> u64 {
        (mib * MIB / self.scale / self.case.part_bytes()).max(least)
    }

    pub(crate) fn objects(self) -> u64 {
        self.formula().count
    }

    pub(crate) fn bytes(self) -> u64 {
        let formula = self.formula();
        formula.count * formula.size(0)
    }
}
