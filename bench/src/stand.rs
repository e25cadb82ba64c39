//! The stand of a measurement: the stores in a process of their own, and a folder for the ledger.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum as _;
use serde::de::DeserializeOwned;

use crate::case::Work;
use crate::client::Who;
use crate::cost::Cost;
use crate::serve::{Counts, Place};

/// Names this program again, in another role.
fn this_program(role: &str, work: Work) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    let case = work.case.to_possible_value().context("the case has no name")?;
    command.args([role, "--case", case.get_name(), "--scale", &work.scale.to_string()]);
    Ok(command)
}

pub(crate) struct Stand {
    work: Work,
    place: Place,
    stores: Child,
    /// `None` only while ending: the stores serve until it closes.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    ledger: tempfile::TempDir,
}

impl Stand {
    pub(crate) fn start(work: Work) -> Result<Self> {
        let mut command = this_program("serve", work)?;
        let mut stores = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let questions = stores.stdin.take();
        let mut answers = BufReader::new(stores.stdout.take().context("the stores say nothing")?);
        let place = read_line(&mut answers)?;
        Ok(Self { work, place, stores, questions, answers, ledger: tempfile::tempdir()? })
    }

    /// Runs one client, and adds to what it cost what it asked for.
    pub(crate) fn measure(&mut self, who: Who) -> Result<Cost> {
        self.count()?;
        let mut command = this_program("client", self.work)?;
        command
            .args(["--who", who.name()])
            .args(["--source", &self.place.source, "--destination", &self.place.destination])
            .args(["--ca-bundle", &self.place.ca_bundle])
            .arg("--ledger")
            .arg(self.ledger.path().join("ledger.redb"));
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "the client ended with {}", output.status);
        let mut cost: Cost = serde_json::from_slice(&output.stdout)?;
        cost.requests = self.count()?.values().sum();
        Ok(cost)
    }

    /// The requests since the last count.
    fn count(&mut self) -> Result<Counts> {
        let questions = self.questions.as_mut().context("the stores are gone")?;
        writeln!(questions, "count")?;
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
