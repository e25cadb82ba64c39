//! From a schedule, a message of the scan queue or a command to what the finder does about it.

use std::sync::Arc;

use aws_lambda_events::sqs::SqsEvent;
use serde::Deserialize;
use serde_json::Value;
use tranship_stack::{Failure, Name, Surroundings, deadline};

use crate::{command, report, runs, scans, sweep};

/// What the schedules and the command ask for.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "tranship", rename_all = "lowercase")]
enum Asked {
    Run,
    Sweep,
    Status,
    Retry,
    Pause,
    Resume,
    Settings,
    Report {
        run: u64,
        #[serde(default)]
        after: Option<String>,
    },
}

pub(crate) async fn handle(
    surroundings: Arc<Surroundings>,
    event: Value,
    deadline_ms: u64,
) -> Result<Value, Failure> {
    if event.get("Records").is_some() {
        let event: SqsEvent = serde_json::from_value(event).map_err(|error| {
            Failure::new(Name::BadInput, format!("not a batch of a queue: {error}"))
        })?;
        return answer(&scans::run(&surroundings, &event, deadline_ms).await);
    }
    let asked: Asked = serde_json::from_value(event).map_err(|error| {
        let text = "neither a batch of the scan queue nor {\"tranship\": \"run\"} and its kin";
        Failure::new(Name::BadInput, format!("{text}: {error}"))
    })?;
    let work = Box::pin(run(&surroundings, asked));
    deadline::within(&surroundings.stage, deadline_ms, work).await.unwrap_or_else(|| {
        Err(Failure::new(Name::Unavailable, "the time was over; the next sweep goes on"))
    })
}

async fn run(surroundings: &Surroundings, asked: Asked) -> Result<Value, Failure> {
    match asked {
        Asked::Run => answer(&runs::begin(surroundings, false).await?),
        Asked::Sweep => answer(&sweep::sweep(surroundings).await?),
        Asked::Status => answer(&command::status(surroundings).await?),
        Asked::Retry => answer(&command::retry(surroundings).await?),
        Asked::Pause => answer(&command::pause(surroundings).await?),
        Asked::Resume => answer(&command::resume(surroundings).await?),
        Asked::Settings => answer(&surroundings.settings.options()),
        Asked::Report { run, after } => {
            answer(&report::report(surroundings, run, after.as_deref()).await?)
        }
    }
}

fn answer<T: serde::Serialize>(answer: &T) -> Result<Value, Failure> {
    serde_json::to_value(answer).map_err(|error| Failure::new(Name::Unavailable, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_run_is_asked_for_from_its_beginning_or_from_a_row_on() {
        let first = include_str!("../../../events/finder/report.json");
        let asked: Asked = serde_json::from_str(first).unwrap();
        assert_eq!(asked, Asked::Report { run: 1, after: None });
        let next = r#"{"tranship":"report","run":18446744073709551615,"after":"share/1"}"#;
        let asked: Asked = serde_json::from_str(next).unwrap();
        assert_eq!(asked, Asked::Report { run: u64::MAX, after: Some("share/1".to_owned()) });
        assert!(serde_json::from_str::<Asked>(r#"{"tranship":"report"}"#).is_err(), "of no run");
    }
}
