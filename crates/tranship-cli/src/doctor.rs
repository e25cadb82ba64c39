//! `tranship doctor`: a look at both sides before the first copy.
//!
//! It asks what a copy relies on, once and without harm, and says what to do about what it finds.
//! What it cannot see it calls unknown. Only the probe writes, where that was asked for.

mod finding;
mod look;
mod policy;
mod probe;

use tranship_adapters::clock::SystemClock;
use tranship_adapters::stores::s3::S3Settings;
use tranship_core::ports::Clock as _;

use self::finding::{Finding, State};
use crate::display::Reporter;
use crate::embedded::{advice, authorities, side};
use crate::engine::{EngineError, Side, connect};
use crate::exit::{Exit, Failure};
use crate::settings::VerifySettings;

pub use self::policy::policies;

/// Looks at both sides, and tells what it found.
pub async fn doctor(
    settings: &VerifySettings,
    write_probe: bool,
    reporter: &Reporter,
) -> Result<Exit, Failure> {
    let pem = settings.ca_bundle.as_deref().map(authorities).transpose()?;
    let source = side(&settings.source, pem.as_deref());
    let destination = S3Settings {
        expected_bucket_owner: settings.expected_bucket_owner.clone(),
        ..side(&settings.destination, pem.as_deref())
    };
    let mut findings = Vec::new();
    for (which, how) in [(Side::Source, source), (Side::Destination, destination)] {
        let location = match which {
            Side::Source => &settings.transfer.source,
            Side::Destination => &settings.transfer.destination,
        };
        let probe_id =
            (write_probe && which == Side::Destination).then(|| SystemClock::new().random());
        match connect(which, how).await {
            Ok(store) => {
                findings.extend(look::look(which, &store, &location.prefix, probe_id).await);
            }
            Err(EngineError::Side(_, error)) => findings.push(Finding::unusable(which, &error)),
            Err(error) => {
                findings.push(Finding::new(which, "reach", State::Bad, error.to_string(), ""));
            }
        }
    }
    let is_bad = findings.iter().any(|finding| finding.state == State::Bad);
    let names = [settings.source.location.display(), settings.destination.location.display()];
    let exit = if is_bad { Exit::Unfit } else { Exit::Success };
    let mut events: Vec<_> = findings.iter().map(Finding::event).collect();
    events.push(serde_json::json!({ "event": "doctor-ended", "exit_code": exit.code() }));
    reporter.looked(&events, &finding::text(&findings, &names));
    Ok(exit)
}

impl Finding {
    /// A side that cannot even be listed: nothing more can be said of it.
    fn unusable(which: Side, error: &tranship_core::error::StoreError) -> Self {
        Self::new(which, "reach", State::Bad, error.to_string(), advice(which, error))
    }
}
