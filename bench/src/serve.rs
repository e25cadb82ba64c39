//! The stores of a case, in a process of their own: their CPU and memory are nobody's cost here.
//!
//! It is told things on its standard input, a line of JSON each, and answers each with a line.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tranship_server::{Backend, Fault, Matcher, Rule, Server, ServerOptions, Store};

use crate::case::{Case, Work};

pub(crate) const SOURCE: &str = "source-bucket";
pub(crate) const DESTINATION: &str = "destination-bucket";
/// Where the new generation lies until it overwrites the old one.
const SPARE: &str = "spare-bucket";
/// Access key and secret of both sides; the stores check no signatures.
pub(crate) const KEYS: (&str, &str) = ("AKIDEXAMPLE", "secret-of-the-benchmark");
/// Longer than any client waits to be killed.
const HELD: Duration = Duration::from_mins(10);
/// What the bytes of each generation are.
const OLD: u8 = 0x0a;
const NEW: u8 = 0x0b;

/// Where the stores are: the first line that they print.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) source: String,
    pub(crate) destination: String,
    /// A file with the certificates of both.
    pub(crate) ca_bundle: String,
    /// One file for each: OpenSSL takes the first of two authorities of one name, whichever signed.
    pub(crate) source_ca: String,
    pub(crate) destination_ca: String,
}

/// What the stores are told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Say {
    /// What was asked since the last time.
    Count,
    /// The next so many `UploadPart`s pass; those behind them are held until [`Say::LetGo`].
    Hold(u64),
    /// Whether one is held.
    IsHeld,
    LetGo,
    /// Before the `UploadPart` behind the next so many, the source's object is overwritten.
    Overwrite(u64),
    /// What lies at the destination.
    Look,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Count {
    /// By operation, on both sides.
    pub(crate) requests: BTreeMap<String, u64>,
    pub(crate) read_bytes: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Look {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    pub(crate) generation: Generation,
}

/// What an object that was overwritten became at the destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Generation {
    /// Nothing is there, or nothing was kept of it.
    #[default]
    None,
    Old,
    New,
    Mixed,
}

/// Serves until the standard input ends.
pub(crate) fn serve(work: Work) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve_until_end(work))
}

async fn serve_until_end(work: Work) -> Result<()> {
    let stores = Stores { work, source: Arc::new(start().await?), destination: start().await? };
    stores.fill();
    let folder = tempfile::tempdir()?;
    let keep = |name: &str, pem: &str| -> Result<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, pem)?;
        Ok(path.to_str().context("the folder's name is not UTF-8")?.to_owned())
    };
    let source_ca = stores.source.ca_pem().unwrap_or_default();
    let destination_ca = stores.destination.ca_pem().unwrap_or_default();
    let place = Place {
        source: stores.source.endpoint(),
        destination: stores.destination.endpoint(),
        ca_bundle: keep("both.pem", &format!("{source_ca}{destination_ca}"))?,
        source_ca: keep("source.pem", source_ca)?,
        destination_ca: keep("destination.pem", destination_ca)?,
    };
    say(&place)?;
    let mut read_before = 0;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line)? {
            Say::Count => {
                let read = stores.source.store().bytes_sent();
                say(&Count { requests: stores.requests(), read_bytes: read - read_before })?;
                read_before = read;
            }
            Say::Hold(parts) => {
                let rule = Rule::new(Matcher::on("UploadPart"), Fault::Stall(HELD)).skip(parts);
                stores.destination.faults().add(rule);
                say(&())?;
            }
            Say::IsHeld => say(&(stores.destination.faults().struck() > 0))?,
            Say::LetGo => {
                stores.destination.faults().clear();
                say(&())?;
            }
            Say::Overwrite(parts) => {
                stores.overwrite_behind(parts);
                say(&())?;
            }
            Say::Look => say(&stores.look())?,
        }
    }
    Ok(())
}

struct Stores {
    work: Work,
    source: Arc<Server>,
    destination: Server,
}

impl Stores {
    fn fill(&self) {
        let discard = Backend::Synthetic { hash_writes: false };
        let (source, destination) = (self.source.store(), self.destination.store());
        let case = self.work.case;
        if case == Case::Overwrite {
            source.create_bucket(SOURCE);
            self.write_generation(SOURCE, OLD);
            self.write_generation(SPARE, NEW);
        } else {
            source.create_synthetic_bucket(SOURCE, self.work.formula(), discard);
        }
        match case {
            Case::List | Case::Empty => {
                destination.create_synthetic_bucket(DESTINATION, self.work.formula(), discard);
            }
            case => destination.create_bucket_on(DESTINATION, case.backend()),
        }
    }

    fn key(&self) -> String {
        self.work.formula().key(0)
    }

    fn write_generation(&self, bucket: &str, byte: u8) {
        let part_bytes = self.work.case.part_bytes();
        let part = bytes_of(byte, part_bytes);
        let parts = (0..self.work.bytes() / part_bytes).map(|_| part.clone().into()).collect();
        self.source.store().put_multipart(bucket, &self.key(), parts);
    }

    fn overwrite_behind(&self, parts: u64) {
        let (source, key) = (Arc::clone(&self.source), self.key());
        self.destination.faults().before(Matcher::on("UploadPart"), parts, move |_: &Store| {
            let store = source.store();
            // Written now, whenever its bytes were made.
            store.put(SPARE, "now", "");
            if let (Some(new), Some(now)) = (store.get(SPARE, &key), store.get(SPARE, "now")) {
                store.change(SOURCE, &key, |object| {
                    *object = (*new).clone();
                    object.modified = now.modified.clone();
                });
            }
        });
    }

    /// Requests by operation since the last time.
    fn requests(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for server in [&*self.source, &self.destination] {
            for (operation, count) in server.requests().counts() {
                *counts.entry(operation.to_owned()).or_default() += count;
            }
            server.requests().clear();
        }
        counts
    }

    fn look(&self) -> Look {
        let store = self.destination.store();
        let mut look = Look::default();
        for object in store.keys(DESTINATION).iter().filter_map(|key| store.get(DESTINATION, key)) {
            look.objects += 1;
            look.bytes += object.size();
        }
        if self.work.case == Case::Overwrite {
            let bytes = store.read(DESTINATION, &self.key()).unwrap_or_default();
            look.generation = generation(bytes.contains(&OLD), bytes.contains(&NEW));
        }
        look
    }
}

fn generation(has_old: bool, has_new: bool) -> Generation {
    match (has_old, has_new) {
        (false, false) => Generation::None,
        (true, false) => Generation::Old,
        (false, true) => Generation::New,
        (true, true) => Generation::Mixed,
    }
}

fn bytes_of(byte: u8, count: u64) -> Vec<u8> {
    vec![byte; usize::try_from(count).unwrap_or_default()]
}

async fn start() -> Result<Server> {
    // Checksums that nobody asked for would only take CPU away from the client.
    let options = ServerOptions { tls: true, default_checksum: false, ..ServerOptions::default() };
    Ok(Server::start(options).await?)
}

/// Prints a line of JSON: how the processes talk to each other.
fn say(what: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, what)?;
    writeln!(out)?;
    Ok(out.flush()?)
}
