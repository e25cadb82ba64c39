//! Begins a run, unless one is open or somebody stopped the stack.

use serde::Serialize;
use tranship_core::breaker;
use tranship_core::finder::{self, Begun};
use tranship_core::rows::{self, Run, ScanRange};
use tranship_stack::notices::Report;
use tranship_stack::{Failure, Name, Surroundings};

/// What became of the wish for a run.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    begun: bool,
    why: Option<String>,
    run: Option<Report>,
}

/// `insist`: what was given up is tried again.
pub(crate) async fn begin(surroundings: &Surroundings, insist: bool) -> Result<Answer, Failure> {
    let Surroundings { settings, stage, .. } = surroundings;
    let breaker = breaker::read(&*stage.ledger).await?;
    if !breaker.is_closed() {
        let why = format!("the stack is stopped: {}", breaker.reason);
        tracing::warn!(why, "no run was begun");
        let run = rows::load::<Run>(&*stage.ledger, &Run::row_key()).await?;
        return Ok(Answer { begun: false, why: Some(why), run: run.as_ref().map(Report::of_run) });
    }
    may_delete(surroundings).await?;
    let range = match settings.prefix_list {
        None => ScanRange::whole(),
        Some(_) => ScanRange::Prefixes { next: 0, until: None },
    };
    let fingerprint = fingerprint(surroundings).await?;
    let begun = finder::begin(stage, &fingerprint, range, insist).await?;
    let run = begun.run();
    let (begun, why) = match &begun {
        Begun::Fresh(_) => (true, None),
        Begun::Resumed(_) => (false, Some("a run is open already".to_owned())),
    };
    tracing::info!(run = run.generation, begun, "a run was asked for");
    Ok(Answer { begun, why, run: Some(Report::of_run(run)) })
}

/// What a run is begun with. A list of prefixes counts by what is in it: its positions are of one
/// generation of the list.
pub(crate) async fn fingerprint(surroundings: &Surroundings) -> Result<String, Failure> {
    let settings = &surroundings.settings;
    let Some(prefixes) = &surroundings.prefixes else { return Ok(settings.fingerprint.clone()) };
    let generation = prefixes.generation().await.map_err(|error| {
        let text = format!("the list of prefixes cannot be read: {error}");
        Failure { message: text, ..Failure::from(tranship_core::error::StageError::from(error)) }
    })?;
    Ok(format!("{} {generation}", settings.fingerprint))
}

/// The second flag of deletes: without it, an unversioned destination keeps everything.
async fn may_delete(surroundings: &Surroundings) -> Result<(), Failure> {
    let Surroundings { settings, stage, .. } = surroundings;
    if stage.policy.delete.is_none() || settings.delete_unversioned {
        return Ok(());
    }
    let facts = stage.retried(|| stage.destination.bucket()).await;
    let facts = facts.map_err(tranship_core::error::StageError::from)?;
    if facts.keeps_versions() {
        return Ok(());
    }
    let bucket = &settings.transfer.destination.bucket;
    Err(Failure::new(
        Name::BadSettings,
        format!(
            "TRANSHIP_DELETE: the bucket {bucket} keeps no versions, or does not tell, so what is deleted there is lost; set TRANSHIP_DELETE_UNVERSIONED to true if that is meant"
        ),
    ))
}
