//! One object in one request each way: a pinned GET whose body is the body of a fenced PUT.
//!
//! Everything the destination needs to know stands in the GET's own headers, so there is no HEAD.
//! Objects that have to be multipart are handed over to the plan of an upload.

use std::sync::atomic::Ordering;

use futures_util::future::BoxFuture;

use super::seen::Seen;
use super::tags;
use super::{Settled, denied, foresee, head_if_there, plan, source_is_gone, why_not_there};
use crate::body::measure;
use crate::compare;
use crate::error::{ErrorKind, StageError, StoreError};
use crate::location::Side;
use crate::loss::{Loss, Losses};
use crate::message::{Action, Entry};
use crate::object::{Identity, Millis, ObjectKey};
use crate::outcome::Outcome;
use crate::policy::{Compare, Policy, ServerSide};
use crate::rows::{self, AccountRef, Evidence, HeaderId};
use crate::stage::Stage;
use crate::store::{Attributes, Condition, CopySource, Head, Pin, Put, Read, Write, Written};
use crate::token::{self, Token};

/// Looks that one delivery of a task may take at an object that keeps moving under it.
const LOOKS_MAX: u32 = 4;

/// What is known of the destination, read before the source's identity.
struct There {
    /// What the write is conditioned on.
    condition: Condition,
    /// The HEAD, where there was one.
    head: Option<Head>,
}

/// Makes the destination's key equal to the source's as it is now.
pub(super) async fn make_equal(
    stage: &Stage,
    entry: &Entry,
    account: AccountRef,
) -> Result<Settled, StageError> {
    let key = stage.destination_key(&entry.key)?;
    let mut action = entry.action;
    let mut pin = entry.etag.clone().map(|etag| Pin { etag, version: None });
    let mut said = String::new();
    for _ in 0..LOOKS_MAX {
        let there = match (action, &entry.destination) {
            (Action::Copy, Some(condition)) => There { condition: condition.clone(), head: None },
            _ => look(stage, &key).await?,
        };
        if action != Action::Copy
            && let Some(outcome) = decide(stage, entry, action, &there).await?
        {
            return Ok(Settled::Now(outcome, Losses::new()));
        }
        if stage.policy.dry_run {
            let outcome = Box::pin(foresee::foresee(stage, entry, there.head.as_ref())).await?;
            return Ok(Settled::Now(outcome, Losses::new()));
        }
        if must_be_multipart(stage, entry, pin.as_ref()) {
            return plan::plan_and_run(stage, &entry.key, account, insists(stage, entry)).await;
        }
        let listed = entry.size;
        match copy(stage, &entry.key, &key, pin.as_ref(), &there.condition, listed).await {
            Ok(Copied::Landed(losses)) => return Ok(Settled::Now(Outcome::Copied, losses)),
            Ok(Copied::TooLarge) => {
                return plan::plan_and_run(stage, &entry.key, account, insists(stage, entry)).await;
            }
            Err(StageError::Store(error)) => {
                said = error.to_string();
                if let Some(outcome) = after_error(stage, entry, error).await? {
                    return Ok(Settled::Now(outcome, Losses::new()));
                }
                // Something moved: look at both sides again, and take what is there now. A HEAD and the GET
                // have to agree on that, or it is not the store that answers one of them.
                action = Action::Look;
                pin = head_if_there(stage, &*stage.source, &entry.key)
                    .await?
                    .map(|now| Pin { etag: now.identity.etag, version: None });
            }
            Err(error) => return Err(error),
        }
    }
    // Where the store keeps answering so for another reason, its own words tell.
    let text = format!(
        "the object keeps changing while it is copied; it is tried again later; at last: {said}"
    );
    Err(StoreError::new(ErrorKind::PreconditionFailed, format!("copy {}", entry.key), text).into())
}

/// Copies what was large when it was listed, and is empty now.
pub(super) fn make_empty<'a>(
    stage: &'a Stage,
    key: &ObjectKey,
    account: AccountRef,
) -> BoxFuture<'a, Result<Settled, StageError>> {
    let (key, modified) = (key.clone(), Millis::default());
    let action = Action::Look;
    let entry = Entry { modified, ..Entry::named(key, action, 0) };
    // Boxed as a trait object: it may have grown again, and be planned again.
    Box::pin(async move { make_equal(stage, &entry, account).await })
}

/// A key that was named by hand is tried again even if it was given up before, and so is every key
/// of a run that a person asked for with these words.
fn insists(stage: &Stage, entry: &Entry) -> bool {
    stage.policy.retry_parked || entry.insist || entry.action == Action::Look
}

/// What an error of a copy leaves to do: an outcome, another look (`None`), or the error itself.
async fn after_error(
    stage: &Stage,
    entry: &Entry,
    error: StoreError,
) -> Result<Option<Outcome>, StageError> {
    match error.kind {
        ErrorKind::PreconditionFailed | ErrorKind::Conflict => Ok(None),
        ErrorKind::NoSuchKey | ErrorKind::NotFound => {
            // The source may be gone, or the destination that was to be replaced.
            let gone = source_is_gone(stage, &entry.key).await?;
            Ok(gone.then_some(Outcome::Vanished))
        }
        ErrorKind::Archived => Ok(Some(Outcome::Archived)),
        _ => Err(error.into()),
    }
}

async fn look(stage: &Stage, key: &ObjectKey) -> Result<There, StoreError> {
    stage.progress.survey(|findings| findings.work.destination_looks += 1);
    let head = denied::head_there(stage, key).await?;
    let condition =
        head.as_ref().map_or(Condition::Absent, |head| Condition::Is(head.identity.etag.clone()));
    Ok(There { condition, head })
}

/// Whether a key that the listings could not judge is equal or kept; `None`: copy it. Where the action is to look,
/// the listing's row is not believed: it is late, or of a link, which is not what the link leads to.
async fn decide(
    stage: &Stage,
    entry: &Entry,
    action: Action,
    there: &There,
) -> Result<Option<Outcome>, StageError> {
    let Some(head) = &there.head else { return Ok(None) };
    let policy = &stage.policy;
    let needs_source =
        entry.etag.is_none() || action == Action::Look || policy.compare == Compare::Metadata;
    let source = if needs_source {
        stage.progress.survey(|findings| findings.work.source_looks += 1);
        match head_if_there(stage, &*stage.source, &entry.key).await? {
            Some(source) => Some(source),
            None if source_is_gone(stage, &entry.key).await? => return Ok(Some(Outcome::Vanished)),
            None => return Err(why_not_there(stage, &entry.key).await.into()),
        }
    } else {
        None
    };
    let identity = match (&source, &entry.etag) {
        (Some(source), _) => source.identity.clone(),
        (None, Some(etag)) => Identity {
            etag: etag.clone(),
            version: None,
            size: entry.size,
            modified: entry.modified,
        },
        (None, None) => return Ok(None),
    };
    let same = match policy.compare {
        Compare::Always => false,
        Compare::Size => identity.size == head.identity.size,
        Compare::SizeAndTime => {
            identity.size == head.identity.size && head.identity.modified >= identity.modified
        }
        Compare::ETag | Compare::Metadata => {
            compare::by_evidence(policy, &identity, head)
                || is_remembered(stage, entry, &identity, head).await?
        }
    };
    let same = same
        && match (&source, policy.compare) {
            (Some(source), Compare::Metadata) => same_rest(stage, entry, source, head).await?,
            _ => true,
        };
    if same {
        return Ok(Some(Outcome::Equal));
    }
    let over = compare::may_overwrite(policy, &identity, &head.identity);
    Ok((!over).then_some(Outcome::Kept))
}

/// Whether the ledger remembers that what lies at the destination was copied from this source:
/// the evidence where neither ETag nor metadata can carry it.
async fn is_remembered(
    stage: &Stage,
    entry: &Entry,
    source: &Identity,
    there: &Head,
) -> Result<bool, StageError> {
    if Token::read(&there.attributes.user).is_some() {
        return Ok(false);
    }
    let key = Evidence::row_key(&HeaderId::of(&stage.destination_key(&entry.key)?));
    let known = rows::load::<Evidence>(&*stage.ledger, &key).await?;
    Ok(known.is_some_and(|known| known.proves(source, &there.identity)))
}

/// Whether headers, user metadata and tags agree.
async fn same_rest(
    stage: &Stage,
    entry: &Entry,
    source: &Head,
    there: &Head,
) -> Result<bool, StoreError> {
    if !compare::same_attributes(&stage.policy, &source.attributes, &there.attributes) {
        return Ok(false);
    }
    if !stage.policy.tags || (source.tag_count == 0 && there.tag_count == 0) {
        return Ok(true);
    }
    let key = stage.destination_key(&entry.key)?;
    stage.progress.survey(|findings| findings.work.tag_reads += 2);
    let mut here = tags::of(stage, Side::Source, &entry.key, source).await?;
    let mut tags = tags::of(stage, Side::Destination, &key, there).await?;
    here.sort();
    tags.sort();
    Ok(here == tags)
}

/// Large objects, and those whose source is multipart: only a multipart copy has the same `ETag`.
fn must_be_multipart(stage: &Stage, entry: &Entry, pin: Option<&Pin>) -> bool {
    entry.size >= stage.policy.multipart_threshold_bytes
        || pin.is_some_and(|pin| stage.policy.parts_to_keep(&pin.etag).is_some())
}

/// Whether it is more than was listed, or turns out to be multipart.
fn is_too_large(stage: &Stage, now: &Identity, listed_size: u64, pin: Option<&Pin>) -> bool {
    now.size >= stage.policy.multipart_threshold_bytes.max(listed_size + 1)
        || (pin.is_none() && stage.policy.parts_to_keep(&now.etag).is_some())
}

enum Copied {
    Landed(Losses),
    /// It has grown, or turned out to be multipart.
    TooLarge,
}

async fn copy(
    stage: &Stage,
    source_key: &ObjectKey,
    key: &ObjectKey,
    pin: Option<&Pin>,
    condition: &Condition,
    listed_size: u64,
) -> Result<Copied, StageError> {
    let _stream = stage.stream().await;
    let (mut attempt, mut seen) = (0, Seen::default());
    loop {
        let read = if stage.policy.server_side == ServerSide::Always {
            None
        } else {
            Some(stage.read(source_key, None, pin).await)
        };
        let result = match read {
            Some(Ok(read)) => {
                if is_too_large(stage, &read.head.identity, listed_size, pin) {
                    return Ok(Copied::TooLarge);
                }
                relay(stage, source_key, key, read, condition, &mut seen).await
            }
            Some(Err(error)) => Err(error),
            None => {
                let head = stage.judged(stage.source.head(source_key, None, None).await);
                match head {
                    Ok(head) if is_too_large(stage, &head.identity, listed_size, pin) => {
                        return Ok(Copied::TooLarge);
                    }
                    Ok(head) => server_side(stage, source_key, key, &head, condition).await,
                    Err(error) => Err(error),
                }
            }
        };
        match result {
            Ok(landed) => {
                return Box::pin(settle_landed(stage, source_key, key, landed, seen)).await;
            }
            Err(error) => {
                attempt += 1;
                let again = error.disposition() == crate::error::Disposition::Retry && attempt < 3;
                if !again || stage.is_stopping() {
                    return Err(error.into());
                }
                stage.back_off(attempt).await;
            }
        }
    }
}

/// Sees to it that the next run can tell that this object is equal.
async fn settle_landed(
    stage: &Stage,
    source_key: &ObjectKey,
    key: &ObjectKey,
    mut landed: Landed,
    mut seen: Seen,
) -> Result<Copied, StageError> {
    if !landed.proven {
        // The destination's ETag says nothing about the bytes, which only now is known.
        stage.learned.destination_is_opaque.store(true, Ordering::Relaxed);
        if stage.policy.token && !landed.tokenless {
            // Written once more, now with a token; the next objects have theirs at once.
            let condition = Condition::Is(landed.written.etag);
            let read = stage.read(source_key, None, Some(&Pin::from(&landed.source))).await?;
            landed = relay(stage, source_key, key, read, &condition, &mut seen).await?;
        }
    }
    let Landed { source, written, proven, losses, .. } = landed;
    if !proven {
        Evidence::remember(&*stage.ledger, HeaderId::of(key), source, written.etag).await?;
    }
    Ok(Copied::Landed(losses))
}

/// A whole object that was written.
struct Landed {
    source: Identity,
    written: Written,
    /// ETag or token say which source it was copied from.
    proven: bool,
    /// A token was to be written, and found no room.
    tokenless: bool,
    losses: Losses,
}

/// Passes an open read on to the destination. `seen` is what earlier readings have shown, and then this one, too.
async fn relay(
    stage: &Stage,
    source_key: &ObjectKey,
    key: &ObjectKey,
    read: Read,
    condition: &Condition,
    seen: &mut Seen,
) -> Result<Landed, StoreError> {
    let Read { head, body, size } = read;
    let plain = seen.is_plain(&head);
    let opaque = stage.learned.destination_is_opaque.load(Ordering::Relaxed);
    let token = (opaque || !plain).then(|| new_token(stage, 0, &head.identity));
    let wanted = token.is_some();
    let Carried { write, token, mut losses } = carry_over(stage, source_key, &head, token).await?;
    losses.extend(seen.is_unproven(&head).then_some(Loss::Proof));
    let landed = |written: Written| Landed {
        proven: written.etag == head.identity.etag || token.is_some(),
        tokenless: wanted && token.is_none(),
        source: head.identity.clone(),
        written,
        losses: losses.clone(),
    };
    let (body, meter) = measure(body, seen.expects(&head, size), stage.progress.clone());
    let tags = write.tags.clone();
    let put = Put {
        key,
        size,
        write,
        condition: stage.policy.fenced.then_some(condition),
        checksum: None,
        // The source's plain ETag is known before the bytes: the destination verifies them by it.
        md5: plain.then(|| head.identity.etag.md5()).flatten(),
    };
    let answer = stage.destination.put(put, body).await;
    let measured = meter.read();
    seen.read(&measured);
    match answer {
        Ok(written) => {
            look_again(stage, source_key, &head.identity).await?;
            Ok(landed(written))
        }
        Err(error) => {
            if plain && error.kind == ErrorKind::BadDigest && measured.fault.is_none() {
                seen.refused(&stage.policy, &head, &measured);
            }
            if let Some(error) = measured.error(source_key) {
                return Err(error);
            }
            let error = denied::judge(stage, &tags, error).await;
            let written = resolve(stage, key, &head.identity, token.as_ref(), error).await?;
            look_again(stage, source_key, &head.identity).await?;
            Ok(landed(written))
        }
    }
}

/// Where the destination cannot fence, a stale write may have covered a newer one: every write is
/// followed by a look at the source.
async fn look_again(stage: &Stage, key: &ObjectKey, copied: &Identity) -> Result<(), StoreError> {
    if stage.policy.fenced {
        return Ok(());
    }
    let now = head_if_there(stage, &*stage.source, key).await?;
    if now.is_some_and(|now| now.identity.is_same_as(copied)) {
        return Ok(());
    }
    let text = "the source moved while it was copied";
    Err(StoreError::new(ErrorKind::PreconditionFailed, format!("HeadObject {key}"), text))
}

/// The answer to a write can be lost: only a look at the destination tells what happened.
async fn resolve(
    stage: &Stage,
    key: &ObjectKey,
    source: &Identity,
    token: Option<&Token>,
    error: StoreError,
) -> Result<Written, StoreError> {
    if !error.kind.is_ambiguous() {
        return Err(error);
    }
    let Some(there) = head_if_there(stage, &*stage.destination, key).await? else {
        return Err(error);
    };
    let ours = match (token, Token::read(&there.attributes.user)) {
        (Some(ours), Some(token)) => ours.random == token.random && ours.transfer == token.transfer,
        _ => there.identity.etag == source.etag && there.identity.size == source.size,
    };
    let Identity { etag, version, .. } = there.identity;
    if ours { Ok(Written { etag, version }) } else { Err(error) }
}

async fn server_side(
    stage: &Stage,
    source_key: &ObjectKey,
    key: &ObjectKey,
    head: &Head,
    condition: &Condition,
) -> Result<Landed, StoreError> {
    let token = Some(new_token(stage, 0, &head.identity));
    let Carried { write, token, losses } = carry_over(stage, source_key, head, token).await?;
    let landed = |written: Written| Landed {
        proven: written.etag == head.identity.etag || token.is_some(),
        tokenless: token.is_none(),
        source: head.identity.clone(),
        written,
        losses: losses.clone(),
    };
    let pin = Pin::from(&head.identity);
    let bucket = &stage.transfer.source.bucket;
    let tags = write.tags.clone();
    let put = Put {
        key,
        size: head.identity.size,
        write,
        condition: stage.policy.fenced.then_some(condition),
        checksum: None,
        md5: None,
    };
    match stage.destination.copy(CopySource { bucket, key: source_key, pin: &pin }, put).await {
        Ok(written) => {
            stage.progress.moved(head.identity.size);
            look_again(stage, source_key, &head.identity).await?;
            Ok(landed(written))
        }
        Err(error) => {
            let error = denied::judge(stage, &tags, error).await;
            let written = resolve(stage, key, &head.identity, token.as_ref(), error).await?;
            look_again(stage, source_key, &head.identity).await?;
            Ok(landed(written))
        }
    }
}

/// A token of this transfer for a source identity.
pub(super) fn new_token(stage: &Stage, epoch: u64, source: &Identity) -> Token {
    Token {
        transfer: stage.transfer_id.clone(),
        epoch,
        random: stage.clock.random(),
        source: source.clone(),
    }
}

/// What the destination's object carries besides its bytes.
pub(super) struct Carried {
    pub(super) write: Write,
    /// The token, if it found room.
    pub(super) token: Option<Token>,
    pub(super) losses: Losses,
}

/// Takes over what can be taken over, and says what cannot.
pub(super) async fn carry_over(
    stage: &Stage,
    source_key: &ObjectKey,
    head: &Head,
    token: Option<Token>,
) -> Result<Carried, StoreError> {
    let (attributes, token, mut losses) = attributes(&stage.policy, head, token);
    check_room(&stage.policy, source_key, &attributes)?;
    let mut tags = Vec::new();
    losses.extend(tags::loss(stage, source_key, head).await);
    if head.tag_count > 0 && stage.policy.tags {
        tags = tags::of(stage, Side::Source, source_key, head).await?;
    }
    Ok(Carried { write: Write { attributes, tags }, token, losses })
}

/// Refuses user metadata that the destination is known not to take.
pub(super) fn check_room(
    policy: &Policy,
    source_key: &ObjectKey,
    attributes: &Attributes,
) -> Result<(), StoreError> {
    let Some(why) = policy.room.refusal(&attributes.user) else { return Ok(()) };
    Err(StoreError::new(ErrorKind::Invalid, format!("carry over {source_key}"), why))
}

/// What the copy is to have besides bytes and tags, the token if it found room, and what is lost.
pub(super) fn attributes(
    policy: &Policy,
    head: &Head,
    token: Option<Token>,
) -> (Attributes, Option<Token>, Losses) {
    let mut losses = head.losses.clone();
    let mut attributes = head.attributes.clone();
    token::strip(&mut attributes.user);
    if !policy.metadata {
        let storage_class = attributes.storage_class.take();
        if attributes != Attributes::default() {
            losses.insert(Loss::Headers);
        }
        attributes = Attributes { storage_class, ..Attributes::default() };
    }
    let class = attributes.storage_class.take();
    attributes.storage_class = policy.class_for(class.as_deref()).map(str::to_owned);
    if policy.storage_class.is_some() {
        // It is not left to the destination.
        losses.remove(&Loss::Class);
    } else if attributes.storage_class != class {
        losses.insert(Loss::Class);
    }
    let wanted = token.filter(|_| policy.token);
    let wants = wanted.is_some();
    let token = wanted.filter(|token| token.write(&mut attributes.user, &policy.room));
    if wants && token.is_none() {
        losses.insert(Loss::Token);
    }
    (attributes, token, losses)
}
