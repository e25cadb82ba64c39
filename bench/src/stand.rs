//! The stand of a run: the stores in a process of their own, and a folder for what a client keeps.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum as _;
use serde::de::DeserializeOwned;

use crate::case::{Case, Work};
use crate::clients::{Errand, Found};
use crate::cost::{Cost, Ended, watch};
use crate::serve::{Count, Generation, Look, Place, Say};

/// Of what a client says, so much is shown if it fails.
const SHOWN_BYTES: usize = 400;

pub(crate) struct Stand {
    work: Work,
    place: Place,
    stores: Child,
    /// `None` only while ending: the stores serve until it closes.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
}

/// What became of an object that was overwritten while it was copied.
#[derive(Debug)]
pub(crate) struct Overwritten {
    /// After the run in which it happened, and after one more.
    pub(crate) first: (Generation, Option<i32>),
    pub(crate) second: (Generation, Option<i32>),
}

impl Stand {
    pub(crate) fn start(work: Work) -> Result<Self> {
        let case = work.case.to_possible_value().context("the case has no name")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--case", case.get_name(), "--scale", &work.scale.to_string()]);
        let mut stores = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = stores.stdin.take();
        let mut answers = BufReader::new(stores.stdout.take().context("the stores say nothing")?);
        let place = read_line(&mut answers)?;
        Ok(Self { work, place, stores, questions, answers, folder: tempfile::tempdir()? })
    }

    /// Runs one client to its end, and looks whether everything is there.
    pub(crate) fn measure(&mut self, client: &Found) -> Result<Cost> {
        let Ended { cost, status } = self.run(client, false)?;
        match status {
            None => bail!("it took too long; it said:\n{}", self.said()),
            Some(status) if !status.success() => {
                bail!("it ended with {status} and said:\n{}", self.said())
            }
            Some(_) => {}
        }
        // Only what was copied is looked at: a million keys would take longer than their comparison.
        if self.work.case != Case::List {
            let there: Look = self.ask(&Say::Look)?;
            let wanted = (self.work.objects(), self.work.bytes());
            ensure!(
                (there.objects, there.bytes) == wanted,
                "{} objects with {} bytes are there, and {wanted:?} should be",
                there.objects,
                there.bytes
            );
        }
        Ok(cost)
    }

    /// Kills a client at half of the parts and starts it again: the cost of the second run, and how
    /// many bytes were read more often than once.
    pub(crate) fn resume(&mut self, client: &Found) -> Result<(Cost, u64)> {
        let parts = self.work.bytes() / self.work.case.part_bytes();
        self.ask::<()>(&Say::Hold(parts / 2))?;
        let first = self.run(client, true)?;
        ensure!(first.status.is_none(), "it ended before it was killed:\n{}", self.said());
        self.ask::<()>(&Say::LetGo)?;
        let second = self.measure(client)?;
        let read = first.cost.read_bytes + second.read_bytes;
        Ok((second, read.saturating_sub(self.work.bytes())))
    }

    /// Overwrites the source's object in the middle of the copy; then the client runs once more.
    pub(crate) fn overwrite(&mut self, client: &Found) -> Result<(Cost, Overwritten)> {
        let parts = self.work.bytes() / self.work.case.part_bytes();
        self.ask::<()>(&Say::Overwrite(parts / 2))?;
        let first = self.run(client, false)?;
        let there = self.ask::<Look>(&Say::Look)?.generation;
        let second = self.run(client, false)?;
        let then = self.ask::<Look>(&Say::Look)?.generation;
        let code = |ended: &Ended| ended.status.and_then(|status| status.code());
        let overwritten =
            Overwritten { first: (there, code(&first)), second: (then, code(&second)) };
        Ok((first.cost, overwritten))
    }

    /// Runs a client until it ends or, if that is wanted, until the stores hold one of its requests.
    fn run(&mut self, client: &Found, until_held: bool) -> Result<Ended> {
        self.ask::<Count>(&Say::Count)?;
        let errand = Errand { work: self.work, place: &self.place, folder: self.folder.path() };
        let said = File::create(self.said_path())?;
        let mut command = client.command(&errand)?;
        let command = command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        let child = command.spawn()?;
        let ended = watch(child, || Ok(until_held && self.ask(&Say::IsHeld)?))?;
        let Ended { mut cost, status } = ended;
        let count: Count = self.ask(&Say::Count)?;
        cost.requests = count.requests.values().sum();
        cost.read_bytes = count.read_bytes;
        Ok(Ended { cost, status })
    }

    fn said_path(&self) -> PathBuf {
        self.folder.path().join("said.txt")
    }

    /// The end of what the last client said.
    fn said(&self) -> String {
        let said = fs::read(self.said_path()).unwrap_or_default();
        let from = said.len().saturating_sub(SHOWN_BYTES);
        String::from_utf8_lossy(said.get(from..).unwrap_or_default()).trim().to_owned()
    }

    fn ask<T: DeserializeOwned>(&mut self, what: &Say) -> Result<T> {
        let questions = self.questions.as_mut().context("the stores are gone")?;
        writeln!(questions, "{}", serde_json::to_string(what)?)?;
        questions.flush()?;
        read_line(&mut self.answers)
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.questions = None;
        // Whatever became of the stores, they are over.
        drop(self.stores.wait());
    }
}

fn read_line<T: DeserializeOwned>(from: &mut BufReader<ChildStdout>) -> Result<T> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    ensure!(!line.is_empty(), "the stores have ended");
    Ok(serde_json::from_str(&line)?)
}
