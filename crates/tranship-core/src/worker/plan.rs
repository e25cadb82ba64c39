//! Plans the upload of one object: a new epoch, an intent, the upload, the tasks of its parts.
//!
//! The order is the protocol's: the intent is written before the upload exists, the destination's
//! condition is read before the source's identity, the upload is named in the header before any
//! task of it is sent.

use super::park::park;
use super::parts::run_all;
use super::small::{self, carry_over};
use super::{Settled, denied, head_if_there, source_is_gone, why_not_there};
use crate::compare;
use crate::error::{Disposition, ErrorKind, StageError, StoreError};
use crate::finder::events;
use crate::fleet;
use crate::layout::Layout;
use crate::loss::Losses;
use crate::message::{Message, PartsTask, Work};
use crate::object::{ByteRange, Identity, ObjectKey, PartNumber, UploadId};
use crate::outcome::Outcome;
use crate::policy::{Policy, ServerSide};
use crate::protocol::{self, Intent, SWEEP_AFTER_MS};
use crate::rows::{self, AccountRef, Bits, Header, HeaderId, Note, PARTS_PER_GROUP, Run, Status};
use crate::settle::{Settlement, settle, settle_header};
use crate::stage::Stage;
use crate::store::{Head, Pin, Write, layout_of};
use crate::token::Token;

/// Plans that one delivery of a task begins while others plan the same key.
const PLANS_MAX: u32 = 4;

/// What planning came to.
enum Planned {
    /// An upload is open and its parts are to be copied.
    Open(Box<Header>),
    Settled(Outcome),
    Parked(String),
    /// The source has become empty, and an empty object has no parts.
    Empty(Box<Header>),
    /// Another worker plans the same key, or has done more already.
    Overtaken,
}

/// Plans an object of a task, and sends its parts or copies them at once.
pub(super) async fn plan_and_run(
    stage: &Stage,
    source_key: &ObjectKey,
    account: AccountRef,
    insist: bool,
) -> Result<Settled, StageError> {
    for _ in 0..PLANS_MAX {
        let planned = plan(stage, source_key, account.clone(), insist).await?;
        if matches!(planned, Planned::Overtaken) && !is_carried(stage, source_key, &account).await?
        {
            continue;
        }
        return follow(stage, source_key, &account, planned).await;
    }
    let text = "others keep planning the same key; it is tried again later";
    let context = format!("plan {source_key}");
    Err(StoreError::new(ErrorKind::Unavailable, context, text).into())
}

/// Whether the header is on its way to settle this very account: then the task is in good hands.
async fn is_carried(
    stage: &Stage,
    source_key: &ObjectKey,
    account: &AccountRef,
) -> Result<bool, StageError> {
    let id = HeaderId::of(&stage.destination_key(source_key)?);
    let header = rows::load::<Header>(&*stage.ledger, &id.row_key()).await?;
    Ok(header.is_some_and(|h| !h.status.is_terminal() && h.account == *account))
}

/// Begins a new epoch of a header whose source or upload moved.
pub async fn replan(stage: &Stage, header: &Header) -> Result<(), StageError> {
    let account = header.account.clone();
    let planned = match Box::pin(begin(stage, header.clone(), header.tries)).await {
        Err(StageError::Store(error)) if error.disposition() == Disposition::Permanent => {
            give_up(stage, header, &error).await?
        }
        planned => planned?,
    };
    let settled = follow(stage, &header.source_key, &account, planned).await?;
    if let Settled::Now(outcome, _) = settled {
        settle_header(stage, header, outcome, None).await?;
    }
    Ok(())
}

async fn follow(
    stage: &Stage,
    source_key: &ObjectKey,
    account: &AccountRef,
    planned: Planned,
) -> Result<Settled, StageError> {
    match planned {
        Planned::Open(header) => {
            let small = header
                .source
                .as_ref()
                .is_some_and(|source| source.size < stage.policy.multipart_threshold_bytes);
            if header.status == Status::Completing || header.is_full() {
                stage.completer.start(&header.id(), header.epoch, header.attempt + 1).await?;
            } else if small {
                Box::pin(run_all(stage, *header)).await?;
            } else {
                send_parts(stage, &header).await?;
            }
            Ok(Settled::ByHeader)
        }
        Planned::Settled(outcome) => Ok(Settled::Now(outcome, Losses::new())),
        Planned::Overtaken => Ok(Settled::ByHeader),
        Planned::Empty(mut header) => {
            let settled = small::make_empty(stage, source_key, account.clone()).await?;
            if let Settled::Now(outcome, losses) = &settled {
                header.losses.clone_from(losses);
                settle_header(stage, &header, *outcome, None).await?;
                conclude(stage, *header, Status::Gone).await?;
            }
            Ok(settled)
        }
        Planned::Parked(reason) => {
            settle_sticky(stage, source_key, account, &reason).await?;
            Ok(Settled::ByHeader)
        }
    }
}

/// Settles an object whose earlier end is its end in this run, too.
async fn settle_sticky(
    stage: &Stage,
    source_key: &ObjectKey,
    account: &AccountRef,
    reason: &str,
) -> Result<(), StageError> {
    let listed_size = account.listed_size;
    let text = format!("parked: {reason}; name the key with --keys-from to try again");
    let (key, reason, etag) = (source_key.clone(), Some(text), None);
    let note = Some(Note { key, size: listed_size, reason, etag });
    let (object, outcome, losses) = (account.object, Outcome::Failed, Losses::new());
    let prefix = stage.prefix_of(source_key);
    let settlement = Settlement { object, outcome, listed_size, note, losses, prefix };
    Ok(settle(stage, &account.task, &[settlement]).await?)
}

async fn plan(
    stage: &Stage,
    source_key: &ObjectKey,
    account: AccountRef,
    insist: bool,
) -> Result<Planned, StageError> {
    let destination_key = stage.destination_key(source_key)?;
    let id = HeaderId::of(&destination_key);
    let existing = rows::load::<Header>(&*stage.ledger, &id.row_key()).await?;
    let source = match &existing {
        Some(_) => head_if_there(stage, &*stage.source, source_key).await?,
        None => None,
    };
    let identity = source.as_ref().map(|head| &head.identity);
    let is_ours = existing.as_ref().is_some_and(|header| header.account == account);
    let before = existing.as_ref().filter(|_| !is_ours).cloned();
    let fresh = new_header(stage, source_key.clone(), destination_key, account);
    match protocol::intend(existing, fresh, identity, insist) {
        Intent::Superseded => Ok(Planned::Settled(Outcome::Superseded)),
        Intent::Parked(reason) => Ok(Planned::Parked(reason)),
        // A write that changes nothing would only make others lose their race.
        Intent::GoOn(header) if is_ours => Ok(Planned::Open(header)),
        Intent::GoOn(mut header) => {
            hand_over(stage, before).await?;
            header.revision += 1;
            if rows::store(&*stage.ledger, &*header).await? {
                // Its parts' tasks may be lost, or in the queue still: both are harmless.
                Ok(Planned::Open(header))
            } else {
                Ok(Planned::Overtaken)
            }
        }
        Intent::Plan(header) => {
            hand_over(stage, before).await?;
            open(stage, *header).await
        }
    }
}

/// Settles whoever has asked for this key before, and whom the header is taken away from. First, since
/// nobody remembers them afterwards; if somebody else takes it in this moment, it is gone for them all the same.
async fn hand_over(stage: &Stage, before: Option<Header>) -> Result<(), StageError> {
    match before {
        Some(before) => settle_lost(stage, &before, Outcome::Superseded).await,
        None => Ok(()),
    }
}

/// Settles the account of a header that comes to another end than its own, if it has not ended and anybody still
/// counts it.
pub(super) async fn settle_lost(
    stage: &Stage,
    header: &Header,
    outcome: Outcome,
) -> Result<(), StageError> {
    if header.status.is_terminal() {
        return Ok(());
    }
    let generation = header.account.task.generation;
    let run = rows::load::<Run>(&*stage.ledger, &Run::row_key()).await?;
    let is_open = run.is_some_and(|run| run.is_open() && run.generation == generation);
    if is_open || events::is_account(generation) {
        settle_header(stage, header, outcome, None).await?;
    }
    Ok(())
}

async fn begin(stage: &Stage, header: Header, tries: u32) -> Result<Planned, StageError> {
    let fresh = new_header(
        stage,
        header.source_key.clone(),
        header.destination_key.clone(),
        header.account.clone(),
    );
    if let Some(next) = protocol::next_try(header.clone(), &fresh, tries) {
        return open(stage, next).await;
    }
    let reason = header.reason.clone().unwrap_or_else(|| "its uploads kept failing".to_owned());
    park(stage, header, reason).await?;
    Ok(Planned::Overtaken)
}

/// A plan that can never succeed: what the header holds now is parked, if it is still a plan.
async fn give_up(
    stage: &Stage,
    header: &Header,
    error: &StoreError,
) -> Result<Planned, StageError> {
    let now = rows::load::<Header>(&*stage.ledger, &header.id().row_key()).await?;
    if let Some(now) = now.filter(|now| now.status == Status::Planning) {
        park(stage, now, error.to_string()).await?;
    }
    Ok(Planned::Overtaken)
}

fn new_header(
    stage: &Stage,
    source_key: ObjectKey,
    destination_key: ObjectKey,
    account: AccountRef,
) -> Header {
    let now = stage.clock.now();
    Header {
        revision: 0,
        source_key,
        destination_key,
        epoch: 1,
        first_epoch: 1,
        status: Status::Planning,
        random: stage.clock.random(),
        planned_at: now,
        source: None,
        upload: None,
        old_uploads: Vec::new(),
        layout: None,
        condition: None,
        full_groups: Bits::default(),
        lease_until: None,
        attempt: 0,
        due: Some(now.plus(SWEEP_AFTER_MS)),
        account,
        tries: 1,
        server_side: stage.policy.server_side == ServerSide::Always,
        checksum: None,
        reason: None,
        losses: Losses::new(),
        orphans_since: None,
    }
}

/// Planning → open.
async fn open(stage: &Stage, mut header: Header) -> Result<Planned, StageError> {
    header.revision += 1;
    if !rows::store(&*stage.ledger, &header).await? || !abort_orphans(stage, &header).await? {
        return Ok(Planned::Overtaken);
    }
    let Some((mut there, mut source)) = look(stage, &header).await? else {
        return end(stage, header, Status::Gone, Outcome::Vanished).await;
    };
    let mut ended = already_settled(stage, &header, &source, there.as_ref());
    if ended.is_some() && !header.old_uploads.is_empty() {
        // An earlier epoch's completion may have landed after that look. Now none can any more.
        abort_all(stage, &header.destination_key, &header.old_uploads).await?;
        let Some(again) = look(stage, &header).await? else {
            return end(stage, header, Status::Gone, Outcome::Vanished).await;
        };
        (there, source) = again;
        ended = already_settled(stage, &header, &source, there.as_ref());
    }
    if let Some((status, outcome)) = ended {
        return end(stage, header, status, outcome).await;
    }
    if source.identity.size == 0 {
        return Ok(Planned::Empty(Box::new(header)));
    }
    protocol::plan_over(&mut header, &stage.transfer_id, there.as_ref(), stage.policy.fenced);
    header.layout = Some(layout(stage, &source, &header.source_key).await?);
    header.checksum = source.checksum;
    let token = Token {
        transfer: stage.transfer_id.clone(),
        epoch: header.epoch,
        random: header.random,
        source: source.identity.clone(),
    };
    let carried = carry_over(stage, &header.source_key, &source, Some(token)).await?;
    header.losses = carried.losses;
    header.source = Some(source.identity);
    create(stage, header, &carried.write).await
}

async fn create(stage: &Stage, header: Header, write: &Write) -> Result<Planned, StageError> {
    let key = header.destination_key.clone();
    let upload = match stage.destination.create_upload(&key, write).await {
        Ok(upload) => upload,
        Err(error) => return Err(denied::judge(stage, &write.tags, error).await.into()),
    };
    let header = protocol::opened(header, upload.clone(), stage.clock.now());
    if !rows::store(&*stage.ledger, &header).await? {
        abort_all(stage, &key, &[upload]).await?;
        return Ok(Planned::Overtaken);
    }
    abort_all(stage, &key, &header.old_uploads).await?;
    Ok(Planned::Open(Box::new(header)))
}

/// What lies on both sides, the source's read last; `None`: the source is gone.
async fn look(stage: &Stage, header: &Header) -> Result<Option<(Option<Head>, Head)>, StageError> {
    let there = denied::head_there(stage, &header.destination_key).await?;
    let source = head_if_there(stage, &*stage.source, &header.source_key).await;
    if let Some(mut source) = stage.judged(source)? {
        if source.is_archived {
            source.is_archived = is_refused(stage, &header.source_key, &source).await?;
        }
        return Ok(Some((there, source)));
    }
    if source_is_gone(stage, &header.source_key).await? {
        return Ok(None);
    }
    Err(why_not_there(stage, &header.source_key).await.into())
}

/// Whether the store refuses to give what it says lies in an archive. Some read archives at once if their bucket
/// is set so, and nobody promises that every HEAD tells of a restore.
async fn is_refused(stage: &Stage, key: &ObjectKey, source: &Head) -> Result<bool, StoreError> {
    let pin = Pin::from(&source.identity);
    let first = ByteRange::new(0, 1).filter(|_| source.identity.size > 0);
    let answer = stage.retried(|| stage.source.get(key, first, Some(&pin))).await;
    match stage.judged(answer) {
        Ok(_) => Ok(false),
        Err(error) if error.kind == ErrorKind::Archived => Ok(true),
        Err(error) => Err(error),
    }
}

/// An object that is equal already (an earlier epoch landed), is to be kept, or cannot be read. The last
/// leaves no identity in the header: what is restored later is planned as if it had never been seen.
fn already_settled(
    stage: &Stage,
    header: &Header,
    source: &Head,
    there: Option<&Head>,
) -> Option<(Status, Outcome)> {
    let unreadable = source.is_archived.then_some((Status::Gone, Outcome::Archived));
    let Some(there) = there else { return unreadable };
    if protocol::has_landed_before(header, &stage.transfer_id, &source.identity, there) {
        return Some((Status::Done, Outcome::Copied));
    }
    let may = compare::may_overwrite(&stage.policy, &source.identity, &there.identity);
    if may { unreadable } else { Some((Status::Conflict, Outcome::Kept)) }
}

async fn end(
    stage: &Stage,
    header: Header,
    status: Status,
    outcome: Outcome,
) -> Result<Planned, StageError> {
    // Settled first: nobody looks at a header again once it has ended.
    settle_header(stage, &header, outcome, None).await?;
    let stored = conclude(stage, header, status).await?;
    Ok(if stored { Planned::Settled(outcome) } else { Planned::Overtaken })
}

/// A terminal state without an upload; `false`: the header has moved on.
async fn conclude(stage: &Stage, header: Header, status: Status) -> Result<bool, StageError> {
    abort_all(stage, &header.destination_key, &header.old_uploads).await?;
    let header = protocol::ended(header, status, stage.clock.now());
    Ok(rows::store(&*stage.ledger, &header).await?)
}

/// The source's own layout where it can be learned and held, else the one that cost chooses.
async fn layout(stage: &Stage, source: &Head, key: &ObjectKey) -> Result<Layout, StageError> {
    check_size(&stage.policy, key, source.identity.size)?;
    if let Some(layout) = own_layout(stage, source, key).await? {
        return Ok(layout);
    }
    Layout::by_size(source.identity.size, stage.policy.part_size_bytes).map_err(|error| {
        StoreError::new(ErrorKind::Invalid, format!("plan {key}"), error.to_string()).into()
    })
}

/// Refuses an object that is larger than any at the destination.
pub(super) fn check_size(policy: &Policy, key: &ObjectKey, size: u64) -> Result<(), StoreError> {
    let Some(why) = policy.objects.refuses_size(size) else { return Ok(()) };
    Err(StoreError::new(ErrorKind::Invalid, format!("plan {key}"), why))
}

/// The layout that an object was uploaded in, where it can be learned and held.
pub(super) async fn own_layout(
    stage: &Stage,
    source: &Head,
    key: &ObjectKey,
) -> Result<Option<Layout>, StoreError> {
    let Identity { etag, version, size, .. } = &source.identity;
    let Some(parts) = stage.policy.parts_to_keep(etag) else { return Ok(None) };
    let part = Some(PartNumber::FIRST);
    match stage.retried(|| stage.source.head(key, version.as_ref(), part)).await {
        Ok(first) if first.identity.etag == *etag => {
            if let Some(layout) = layout_of(&first, *size) {
                return Ok(Some(layout));
            }
        }
        // A store that does not know part numbers answers for the whole, or refuses.
        Ok(_) => {}
        Err(error) if matches!(error.kind, ErrorKind::Invalid | ErrorKind::Unsupported) => {}
        Err(error) => return Err(error),
    }
    Ok(Layout::new(*size, *size).filter(|_| parts == 1))
}

/// Aborts uploads until the store knows them no more: parts in flight may outlive one abort.
pub(crate) async fn abort_all(
    stage: &Stage,
    key: &ObjectKey,
    uploads: &[UploadId],
) -> Result<(), StageError> {
    const ABORTS_MAX: u32 = 5;
    for upload in uploads {
        for _ in 0..ABORTS_MAX {
            match stage.retried(|| stage.destination.abort_upload(key, upload)).await {
                Ok(()) => {}
                Err(error) if error.kind == ErrorKind::NoSuchUpload => break,
                Err(error) => return Err(error.into()),
            }
            match stage.retried(|| stage.destination.list_parts(key, upload, None)).await {
                Err(error) if error.kind == ErrorKind::NoSuchUpload => break,
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
        }
    }
    Ok(())
}

/// Aborts the uploads that earlier intents of this key left behind: created, by an answer that was
/// lost or a process that died, and never named in the header. `false`: the header has moved on.
///
/// The header is read again after the listing. If it is still this one, every listed upload was
/// created under an earlier intent, whose planner can no longer make the header name it.
pub(crate) async fn abort_orphans(stage: &Stage, header: &Header) -> Result<bool, StageError> {
    if header.orphans_since.is_none() {
        return Ok(true);
    }
    let key = &header.destination_key;
    let listed = match stage.retried(|| stage.destination.list_uploads(key)).await {
        Ok(listed) => listed,
        // Whoever may write need not be allowed to list uploads, and not every store can. What is
        // left then is the lifecycle rule's.
        Err(error) if matches!(error.kind, ErrorKind::Denied | ErrorKind::Unsupported) => {
            return Ok(true);
        }
        Err(error) => return Err(error.into()),
    };
    let now = rows::load::<Header>(&*stage.ledger, &header.id().row_key()).await?;
    if now.is_none_or(|now| now.revision != header.revision) {
        return Ok(false);
    }
    abort_all(stage, key, &protocol::orphans(header, listed)).await?;
    Ok(true)
}

/// Sends the tasks of all parts of an upload.
pub(crate) async fn send_parts(stage: &Stage, header: &Header) -> Result<(), StageError> {
    let Some(layout) = header.layout else { return Ok(()) };
    let per_task = stage.policy.limits.bytes_per_parts_task / layout.part_size();
    // Whole groups where possible: then one task fills a group, and nobody else writes to it.
    let per_task = u16::try_from(per_task).unwrap_or(PARTS_PER_GROUP).clamp(1, PARTS_PER_GROUP);
    let mut bodies = Vec::new();
    let mut next = Some(PartNumber::FIRST);
    while let Some(first) = next {
        let group_left = PARTS_PER_GROUP - (first.get() - 1) % PARTS_PER_GROUP;
        let count = per_task.min(group_left).min(layout.part_count() - (first.get() - 1));
        let task = PartsTask { header: header.id(), epoch: header.epoch, first, count };
        bodies.push(encode(Work::Parts(task))?);
        next = PartNumber::new(first.get() + count).filter(|n| n.get() <= layout.part_count());
    }
    stage.queue.send(fleet::queue_of(stage, layout.size()), bodies).await?;
    Ok(())
}

pub(crate) fn encode(work: Work) -> Result<String, crate::error::LedgerError> {
    Message::new(work)
        .encode()
        .map_err(|error| crate::error::LedgerError::Unreadable(error.to_string()))
}
