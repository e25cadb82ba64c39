//! What is measured: the embedded engine, with the settings of the `tranship` command.

use std::sync::Arc;

use anyhow::{Result, ensure};
use tranship_adapters::stores::s3::{S3Settings, StaticCredentials};
use tranship_cli::driver::Ended;
use tranship_cli::engine::{Engine, Parts};
use tranship_core::location::{Location, Transfer};
use tranship_core::outcome::Outcome;
use tranship_core::policy::{Limits, Policy};
use tranship_core::progress::Progress;
use tranship_core::rows::RunState;

use crate::bare::KEYS;
use crate::client::{Client, STREAMS};
use crate::serve::{DESTINATION, SOURCE};

pub(crate) async fn run(client: &Client) -> Result<()> {
    let pem = std::fs::read(&client.ca_bundle)?;
    let settings = |endpoint: &str, bucket: &str| S3Settings {
        bucket: bucket.to_owned(),
        region: Some("us-east-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        path_style: true,
        ca_bundle_pem: Some(pem.clone()),
        credentials: Some(StaticCredentials {
            access_key: KEYS.0.to_owned(),
            secret_key: KEYS.1.to_owned(),
            token: None,
        }),
        ..S3Settings::default()
    };
    let limits = Limits { streams_max: STREAMS, ..Limits::default() };
    // The endpoints are new in each process, and a ledger belongs to its endpoints: named without
    // them, a second pass finds the ledger of the first.
    let parts = Parts {
        transfer: Transfer {
            source: Location::new(None, SOURCE, ""),
            destination: Location::new(None, DESTINATION, ""),
        },
        source: settings(&client.source, SOURCE),
        destination: settings(&client.destination, DESTINATION),
        policy: Policy { limits, ..Policy::default() },
        delete_unversioned: false,
        server_side_if_possible: false,
        ledger: Some(client.ledger.clone()),
        fingerprint: "bench".to_owned(),
        lines: None,
    };
    let engine = Engine::assemble(parts, Arc::new(Progress::default())).await?;
    let (ended, _) = engine.run(None, |_| {}).await?;
    let Ended::Closed(run) = ended else { anyhow::bail!("the run did not end: {ended:?}") };
    let totals = run.totals.unwrap_or_default();
    let count = |outcome| totals.account.get(outcome).objects;
    let settled = count(Outcome::Copied) + count(Outcome::Equal);
    ensure!(
        run.state == RunState::Complete && settled == client.work.objects(),
        "the run is not whole: {totals:?}"
    );
    Ok(())
}
