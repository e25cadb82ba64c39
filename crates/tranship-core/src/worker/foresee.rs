//! What a dry run says of an object that would be copied: how it would go, and what would be lost.
//!
//! Nothing is written. A key of which only the name is known is looked at, as a copy would; of the
//! others a bounded sample is.

use super::small::{attributes, check_room, new_token};
use super::{head_if_there, plan, source_is_gone, tags};
use crate::compare;
use crate::error::{Disposition, ErrorKind, StageError, StoreError};
use crate::forecast::{self, Way};
use crate::message::Entry;
use crate::object::{ETagForm, Identity, ObjectKey};
use crate::outcome::{Count, Outcome};
use crate::stage::Stage;
use crate::store::Head;
use crate::survey::Findings;

/// The outcome that a copy of this object would have; adds what is found to the survey.
pub(super) async fn foresee(
    stage: &Stage,
    entry: &Entry,
    there: Option<&Head>,
) -> Result<Outcome, StageError> {
    let is_sampled = stage.progress.survey(Findings::takes_sample);
    let is_named = entry.etag.is_none();
    let mut source = None;
    if is_named || is_sampled == Some(true) {
        let answer = head_if_there(stage, &*stage.source, &entry.key).await;
        match stage.judged(answer) {
            Ok(Some(head)) => source = Some(head),
            Ok(None) if source_is_gone(stage, &entry.key).await? => return Ok(Outcome::Vanished),
            Ok(None) => refused(stage, "the listing has it, and a HEAD says that it is not there"),
            Err(error) if is_named || error.disposition() == Disposition::Halt => {
                return Err(error.into());
            }
            Err(error) => refused(stage, &error.to_string()),
        }
    }
    if source.as_ref().is_some_and(|head| head.is_archived) {
        return Ok(Outcome::Archived);
    }
    let class = source.as_ref().map_or(&entry.class, |head| &head.attributes.storage_class);
    if let Some(head) = &source {
        check_metadata(stage, entry, head, is_sampled == Some(true))?;
    }
    let Some(identity) = identity(entry, source.as_ref()) else { return Ok(Outcome::Copied) };
    let policy = &stage.policy;
    plan::check_size(policy, &entry.key, identity.size)?;
    let form = policy.form_of(&identity.etag);
    let (threshold, part_size) = (policy.multipart_threshold_bytes, policy.part_size_bytes);
    let way = forecast::way(identity.size, form, threshold, part_size).map_err(|error| {
        StoreError::new(ErrorKind::Invalid, format!("plan {}", entry.key), error.to_string())
    })?;
    if matches!(way, Way::Parts(_)) {
        check_upload(&stage.destination_key(&entry.key)?)?;
    }
    stage.progress.survey(|findings| {
        let one = Count { objects: 1, bytes: identity.size };
        findings.work.copy(identity.size, way, form, class.as_deref());
        findings.name_if_large(&entry.key, identity.size);
        findings.offer(&entry.key, stage.clock.random());
        if there.is_some_and(|there| compare::is_unproven(policy, &identity, there)) {
            findings.unproven.add(one);
        }
        if let ETagForm::Composite { parts } = identity.etag.form()
            && identity.size > 0
            && (!policy.composites_follow || forecast::layout_of(identity.size, parts).is_none())
        {
            findings.layouts_lost.add(one);
        }
    });
    if let (Some(true), Some(head)) = (is_sampled, &source) {
        sample(stage, entry, head, way).await;
    }
    Ok(Outcome::Copied)
}

/// Refuses what the upload would stumble over: the answer that names it is XML, and has the key in it.
fn check_upload(key: &ObjectKey) -> Result<(), StoreError> {
    let is_held = |c: char| match c {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        c => c >= ' ',
    };
    if key.as_str().chars().all(is_held) {
        return Ok(());
    }
    let text = "the key has a character that XML cannot carry, so the answer that names its upload cannot be read; copy it under another key";
    Err(StoreError::new(ErrorKind::Invalid, format!("CreateMultipartUpload {key}"), text))
}

/// Refuses what a copy would refuse, and counts it where it is of the sample.
fn check_metadata(
    stage: &Stage,
    entry: &Entry,
    head: &Head,
    is_sampled: bool,
) -> Result<(), StoreError> {
    let (carried, ..) = attributes(&stage.policy, head, None);
    let fits = check_room(&stage.policy, &entry.key, &carried);
    if fits.is_err() {
        stage.progress.survey(|findings| {
            findings.sample.looked_at += u64::from(is_sampled);
            findings.sample.metadata_unfit += u64::from(is_sampled);
        });
    }
    fits
}

/// As a look shows it, or else the listing.
fn identity(entry: &Entry, source: Option<&Head>) -> Option<Identity> {
    if let Some(head) = source {
        return Some(head.identity.clone());
    }
    let (etag, size, modified) = (entry.etag.clone()?, entry.size, entry.modified);
    Some(Identity { etag, version: None, size, modified })
}

fn refused(stage: &Stage, why: &str) {
    stage.progress.survey(|findings| {
        findings.sample.refused += 1;
        findings.sample.first_refusal.get_or_insert_with(|| why.to_owned());
    });
}

/// Adds what one object of the sample would lose.
async fn sample(stage: &Stage, entry: &Entry, head: &Head, way: Way) {
    let plain = head.identity.etag.form() == ETagForm::Plain && !head.etag_is_opaque;
    let wants_token = !plain || matches!(way, Way::Parts(_));
    let token = wants_token.then(|| new_token(stage, 0, &head.identity));
    let (carried, _, mut losses) = attributes(&stage.policy, head, token);
    losses.extend(tags::loss(stage, &entry.key, head).await);
    let is_multipart = matches!(head.identity.etag.form(), ETagForm::Composite { .. });
    let keeps_layout = is_multipart
        && plan::own_layout(stage, head, &entry.key).await.is_ok_and(|layout| layout.is_some());
    stage.progress.survey(|findings| {
        let sample = &mut findings.sample;
        sample.looked_at += 1;
        sample.losses.add(&losses);
        sample.tagged += u64::from(head.tag_count > 0);
        sample.metadata_unfit += u64::from(!stage.policy.room.holds(&carried.user));
        sample.multipart += u64::from(is_multipart);
        sample.layouts_kept += u64::from(keeps_layout);
    });
}
