//! `tranship doctor`: a look at both sides before the first copy.
//!
//! It asks what a copy relies on, once and without harm, and says what to do about what it finds.
//! What it cannot see it calls unknown. Only the probe writes, where that was asked for. Where a store
//! differs from the row of its vendor, what was seen becomes an option of a copy: a fact.

mod access;
mod facts;
mod finding;
mod kind;
mod look;
mod policy;
mod probe;
mod way;

use std::path::Path;

use serde_json::{Map, json};
use tranship_adapters::clock::SystemClock;
use tranship_adapters::stores::s3::S3Settings;
use tranship_core::ports::Clock as _;

use self::finding::{Finding, State};
use crate::args::DoctorArgs;
use crate::display::Reporter;
use crate::embedded::{authorities, encryption, side};
use crate::engine::Side;
use crate::exit::{Exit, Failure};
use crate::settings::VerifySettings;

pub use self::policy::policies;

/// A side, and what a copy would do about it.
struct Subject<'a> {
    side: Side,
    settings: S3Settings,
    prefix: &'a str,
    /// Whether a copy would rely on conditions of writes.
    conditions: bool,
    /// Whether a copy would write tags.
    tags: bool,
    /// Write probe objects, under this number.
    probe_id: Option<u64>,
}

impl Subject<'_> {
    /// The name of an option of this side.
    fn option(&self, name: &str) -> String {
        format!("{}-{name}", self.side)
    }
}

/// How a copy would speak to the destination: what the settings ask of writes counts for the probe, too.
fn destination(settings: &VerifySettings, pem: Option<&[u8]>) -> S3Settings {
    S3Settings {
        expected_bucket_owner: settings.expected_bucket_owner.clone(),
        acl: settings.acl.clone(),
        sse: settings.sse.as_ref().map(encryption),
        ..side(&settings.destination, pem)
    }
}

/// Looks at both sides, and tells what it found.
pub async fn doctor(
    settings: &VerifySettings,
    asked: &DoctorArgs,
    reporter: &Reporter,
) -> Result<Exit, Failure> {
    let file = asked.write_facts.as_deref().map(Path::new);
    file.map(facts::check_place).transpose()?;
    let pem = settings.ca_bundle.as_deref().map(authorities).transpose()?;
    let subject = |which: Side| {
        let (how, location) = match which {
            Side::Source => (side(&settings.source, pem.as_deref()), &settings.transfer.source),
            Side::Destination => {
                (destination(settings, pem.as_deref()), &settings.transfer.destination)
            }
        };
        let probes = asked.write_probe && which == Side::Destination;
        Subject {
            side: which,
            settings: how,
            prefix: &location.prefix,
            conditions: settings.conditions,
            tags: settings.tags,
            probe_id: probes.then(|| SystemClock::new().random()),
        }
    };
    let mut findings = Vec::new();
    for which in [Side::Source, Side::Destination] {
        findings.extend(look::look(&subject(which)).await);
    }
    let names = [settings.source.location.display(), settings.destination.location.display()];
    let facts = facts::of(&findings);
    if let Some(path) = file {
        facts::write(path, &facts, &names)?;
    }
    let is_bad = findings.iter().any(|finding| finding.state == State::Bad);
    let exit = if is_bad { Exit::Unfit } else { Exit::Success };
    let mut events: Vec<_> = findings.iter().map(Finding::event).collect();
    events.push(json!({
        "event": "doctor-ended",
        "exit_code": exit.code(),
        "facts": facts.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>(),
    }));
    let text = format!("{}{}", finding::text(&findings, &names), facts::text(&facts, file));
    reporter.looked(&events, &text);
    Ok(exit)
}
