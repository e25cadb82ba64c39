//! The stores of a case, in a process of their own: their CPU and memory are nobody's cost here.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tranship_server::{Backend, Server, ServerOptions};

use crate::case::{Case, Work};

pub(crate) const SOURCE: &str = "source-bucket";
pub(crate) const DESTINATION: &str = "destination-bucket";

/// Where the stores are: the first line that they print.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) source: String,
    pub(crate) destination: String,
    /// A file with the certificates of both.
    pub(crate) ca_bundle: String,
}

/// Requests by operation, since the line before: printed for each line of the standard input.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Serves until the standard input ends.
pub(crate) fn serve(work: Work) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve_until_end(work))
}

async fn serve_until_end(work: Work) -> Result<()> {
    let source = start().await?;
    let destination = start().await?;
    let discard = Backend::Synthetic { hash_writes: false };
    source.store().create_synthetic_bucket(SOURCE, work.formula(), discard);
    match work.case {
        Case::List | Case::Empty => {
            let store = destination.store();
            store.create_synthetic_bucket(DESTINATION, work.formula(), discard);
        }
        case => destination.store().create_bucket_on(DESTINATION, case.backend()),
    }
    let servers = [source, destination];
    let mut bundle = tempfile::NamedTempFile::new()?;
    for server in &servers {
        bundle.write_all(server.ca_pem().unwrap_or_default().as_bytes())?;
    }
    let [source, destination] = &servers;
    let place = Place {
        source: source.endpoint(),
        destination: destination.endpoint(),
        ca_bundle: bundle.path().to_str().context("the folder's name is not UTF-8")?.to_owned(),
    };
    say(&place)?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while lines.next_line().await?.is_some() {
        let mut counts = Counts::new();
        for server in &servers {
            for (operation, count) in server.requests().counts() {
                *counts.entry(operation.to_owned()).or_default() += count;
            }
            server.requests().clear();
        }
        say(&counts)?;
    }
    Ok(())
}

async fn start() -> Result<Server> {
    // Checksums that nobody asked for would only take CPU away from the client.
    let options = ServerOptions { tls: true, default_checksum: false, ..ServerOptions::default() };
    Ok(Server::start(options).await?)
}

/// Prints a line of JSON: how the processes talk to each other.
pub(crate) fn say(what: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, what)?;
    writeln!(out)?;
    Ok(out.flush()?)
}
