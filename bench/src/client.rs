//! The client of one measurement: a process of its own, which tells what it cost when it is done.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::case::Work;
use crate::cost::Cost;
use crate::{bare, engine, serve};

/// Streams of both sides: what the `tranship` command uses unless it is told otherwise.
pub(crate) const STREAMS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Who {
    /// A loop over the SDK: no ledger, no checksums, no conditions
    Bare,
    /// The embedded engine
    Tranship,
}

impl Who {
    pub(crate) const ALL: [Self; 2] = [Self::Bare, Self::Tranship];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Tranship => "tranship",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Client {
    #[arg(long)]
    pub(crate) who: Who,
    #[command(flatten)]
    pub(crate) work: Work,
    #[arg(long)]
    pub(crate) source: String,
    #[arg(long)]
    pub(crate) destination: String,
    #[arg(long)]
    pub(crate) ca_bundle: PathBuf,
    #[arg(long)]
    pub(crate) ledger: PathBuf,
}

impl Client {
    pub(crate) fn run(self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let begin = tokio::time::Instant::now();
        runtime.block_on(async {
            match self.who {
                Who::Bare => bare::run(&self).await,
                Who::Tranship => Box::pin(engine::run(&self)).await,
            }
        })?;
        let wall = begin.elapsed().as_millis();
        serve::say(&Cost::of_this_process(u64::try_from(wall).unwrap_or(u64::MAX))?)
    }
}
