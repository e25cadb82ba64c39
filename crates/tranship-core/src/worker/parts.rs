//! Copies a range of parts of one upload: pinned reads into fenced parts, each recorded once.
//!
//! A part that is recorded is never copied again. Whoever records the last one starts the
//! completion; a duplicate of the task repeats that trigger, and nothing else.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::park::{count_failure, park};
use super::plan::replan;
use super::{Done, back_off_ms, is_real};
use crate::body::{Body, Expectation, measure};
use crate::checksum::Algorithm;
use crate::completer;
use crate::error::{Disposition, ErrorKind, StageError, StoreError};
use crate::link::{self, Piecewise};
use crate::message::PartsTask;
use crate::object::{ByteRange, ObjectKey, PartNumber, UploadId};
use crate::protocol::{self, Marked};
use crate::rows::{self, Header, HeaderId, group_of};
use crate::stage::Stage;
use crate::store::{CopySource, Part, Pin};

/// Runs a parts task.
pub(super) async fn run(
    stage: &Stage,
    task: &PartsTask,
    receives: u32,
) -> Result<Done, StageError> {
    let Some(header) = current(stage, &task.header, task.epoch).await? else {
        return Ok(Done::Settled);
    };
    let wanted = (task.first.get()..).take(usize::from(task.count)).filter_map(PartNumber::new);
    match copy_parts(stage, &header, wanted.collect()).await? {
        Copied::All | Copied::Moved => Ok(Done::Settled),
        Copied::Left(None) => Ok(Done::left()),
        Copied::Left(Some(error)) if error.disposition() == Disposition::Halt => {
            Ok(Done::Halt(error))
        }
        Copied::Left(Some(error)) => after_failure(stage, task, receives, &header, &error).await,
    }
}

/// Another delivery, or the end of the upload if its part failed too often or for good.
async fn after_failure(
    stage: &Stage,
    task: &PartsTask,
    receives: u32,
    header: &Header,
    error: &StoreError,
) -> Result<Done, StageError> {
    // A read that is denied may be the first of many: before it is held to be the object's own matter,
    // it has to be denied as often as any failure.
    let permanent =
        error.disposition() == Disposition::Permanent && error.kind != ErrorKind::Forbidden;
    // Being asked to slow down has only the deliveries to go by.
    let (is_over, waits) = if is_real(error) {
        let count = count_failure(stage, task, header).await?;
        (permanent || count >= stage.policy.failures_max, count)
    } else {
        (false, receives)
    };
    if !is_over {
        let after_ms = stage.spread(back_off_ms(waits));
        return Ok(Done::Again { after_ms, why: error.to_string() });
    }
    if let Some(now) = current(stage, &header.id(), header.epoch).await? {
        park(stage, now, error.to_string()).await?;
    }
    Ok(Done::Settled)
}

/// Copies all parts of a small upload and completes it, within one task.
pub(super) async fn run_all(stage: &Stage, header: Header) -> Result<(), StageError> {
    let Some(layout) = header.layout else { return Ok(()) };
    match copy_parts_of(stage, &header, layout.parts().collect(), false).await? {
        Copied::All => completer::complete(stage, &header.id(), header.epoch).await,
        Copied::Moved => Ok(()),
        Copied::Left(Some(error)) => Err(error.into()),
        Copied::Left(None) => {
            let text = "the process is ending; the next run goes on here";
            let context = format!("copy {}", header.source_key);
            Err(StoreError::new(ErrorKind::Unavailable, context, text).into())
        }
    }
}

/// The header, if it is still the open one that the task was sent for.
async fn current(stage: &Stage, id: &HeaderId, epoch: u64) -> Result<Option<Header>, StageError> {
    let header = rows::load::<Header>(&*stage.ledger, &id.row_key()).await?;
    Ok(header.filter(|header| protocol::is_current(header, epoch)))
}

enum Copied {
    All,
    /// The source or the upload moved, and a new epoch has begun.
    Moved,
    /// Some are left, for this reason or because the process ends.
    Left(Option<StoreError>),
}

async fn copy_parts(
    stage: &Stage,
    header: &Header,
    wanted: Vec<PartNumber>,
) -> Result<Copied, StageError> {
    copy_parts_of(stage, header, wanted, true).await
}

async fn copy_parts_of(
    stage: &Stage,
    header: &Header,
    wanted: Vec<PartNumber>,
    trigger: bool,
) -> Result<Copied, StageError> {
    let Some(upload) = &header.upload else { return Ok(Copied::All) };
    let missing = missing(stage, header, &wanted).await?;
    let results = stream::iter(missing.into_iter().map(|number| async move {
        // Whoever waited for a stream may have waited until the process is to end.
        let _stream = stage.stream().await;
        if stage.is_stopping() {
            None
        } else {
            Some(copy_part(stage, header, upload, number).await)
        }
    }))
    .buffer_unordered(stage.policy.limits.streams_max)
    .collect::<Vec<_>>()
    .await;
    let mut left = None;
    let mut stopped = false;
    for result in results {
        match result {
            None => stopped = true,
            Some(Ok(())) => {}
            Some(Err(StageError::Ledger(error))) => return Err(error.into()),
            Some(Err(StageError::Store(error))) => {
                // What went back into its archive is for the plan to settle, with nothing left open.
                let is_archived = error.kind == ErrorKind::Archived;
                if is_archived || error.disposition() == Disposition::Replan {
                    return moved(stage, header, &error).await;
                }
                left = Some(error);
            }
        }
    }
    if stopped || left.is_some() {
        return Ok(Copied::Left(left));
    }
    mark_full(stage, header, &wanted, trigger).await?;
    Ok(Copied::All)
}

/// The wanted parts that nobody has recorded.
async fn missing(
    stage: &Stage,
    header: &Header,
    wanted: &[PartNumber],
) -> Result<Vec<PartNumber>, StageError> {
    let mut missing = Vec::new();
    for numbers in wanted.chunk_by(|a, b| group_of(*a) == group_of(*b)) {
        let Some(first) = numbers.first() else { continue };
        let group = stage.ledger.part_group(&header.id(), header.epoch, group_of(*first)).await?;
        missing.extend(numbers.iter().filter(|number| group.get(**number).is_none()));
    }
    Ok(missing)
}

/// A part failed because something is not what the plan said. Plans anew, unless somebody has.
async fn moved(stage: &Stage, header: &Header, error: &StoreError) -> Result<Copied, StageError> {
    let Some(mut now) = current(stage, &header.id(), header.epoch).await? else {
        return Ok(Copied::Moved);
    };
    now.reason = Some(error.to_string());
    replan(stage, &now).await?;
    Ok(Copied::Moved)
}

async fn copy_part(
    stage: &Stage,
    header: &Header,
    upload: &UploadId,
    number: PartNumber,
) -> Result<(), StageError> {
    let (Some(range), Some(source)) =
        (header.layout.and_then(|layout| layout.range(number)), &header.source)
    else {
        let context = format!("part {} of {}", number.get(), header.source_key);
        return Err(
            StoreError::new(ErrorKind::Invalid, context, "the plan has no such part").into()
        );
    };
    let more = stage.link.more();
    let connections = 1 + more.len();
    let pin = Pin::from(source);
    let key = &header.destination_key;
    let (etag, checksums) = if header.server_side {
        let bucket = &stage.transfer.source.bucket;
        let copied = stage
            .retried(|| {
                let from = CopySource { bucket, key: &header.source_key, pin: &pin };
                stage.destination.copy_part(from, key, upload, number, range)
            })
            .await?;
        stage.progress.moved(range.size());
        (copied, Vec::new())
    } else {
        let began = stage.clock.now();
        let sent =
            stage.retried(|| relay(stage, header, upload, number, &pin, connections)).await?;
        let took_ms = stage.clock.now().0.saturating_sub(began.0);
        stage.link.took(connections, range.size(), took_ms);
        sent
    };
    let part = Part { number, size: range.size(), etag, checksums };
    stage.ledger.record_part(&header.id(), header.epoch, part).await?;
    Ok(())
}

/// One GET into one UploadPart. The retry unit: a streamed body cannot be sent twice.
async fn relay(
    stage: &Stage,
    header: &Header,
    upload: &UploadId,
    number: PartNumber,
    pin: &Pin,
    connections: usize,
) -> Result<(crate::object::ETag, Vec<crate::checksum::Checksum>), StoreError> {
    let range = header.layout.and_then(|layout| layout.range(number));
    let (body, size) = open(stage, &header.source_key, range, pin, connections).await?;
    let mut algorithms = vec![Algorithm::Crc64Nvme];
    algorithms.extend(header.checksum.map(|c| c.algorithm).filter(|a| *a != Algorithm::Crc64Nvme));
    let expectation = Expectation { size, checksum: None, qetag: None, algorithms };
    let (body, meter) = measure(body, expectation, stage.progress.clone());
    let sent =
        stage.destination.upload_part(&header.destination_key, upload, number, size, body).await;
    let measured = meter.read();
    match sent {
        Ok(etag) => Ok((etag, measured.checksums)),
        Err(error) => Err(measured.error(&header.source_key).unwrap_or(error)),
    }
}

/// Opens the bytes of a part, over so many connections.
async fn open(
    stage: &Stage,
    key: &ObjectKey,
    range: Option<ByteRange>,
    pin: &Pin,
    connections: usize,
) -> Result<(Body, u64), StoreError> {
    let pieces = range.filter(|_| connections > 1).map(link::ranges).unwrap_or_default();
    let (Some(range), Some(first)) = (range, pieces.first()) else {
        let read = stage.read(key, range, Some(pin)).await?;
        return Ok((read.body, read.size));
    };
    let read = stage.read(key, Some(*first), Some(pin)).await?;
    let source = Arc::clone(&stage.source);
    let (key, pin, bandwidth) = (key.clone(), pin.clone(), stage.link.bandwidth());
    let by_pieces = Piecewise { source, key, pin, bandwidth };
    Ok((link::pieces(by_pieces, read.body, pieces, connections), range.size()))
}

/// Marks the groups that are full now, and starts the completion when all are.
async fn mark_full(
    stage: &Stage,
    header: &Header,
    wanted: &[PartNumber],
    trigger: bool,
) -> Result<(), StageError> {
    let Some(layout) = header.layout else { return Ok(()) };
    let id = header.id();
    for numbers in wanted.chunk_by(|a, b| group_of(*a) == group_of(*b)) {
        let Some(group) = numbers.first().map(|number| group_of(*number)) else { continue };
        let recorded = stage.ledger.part_group(&id, header.epoch, group).await?;
        if !recorded.is_full(&layout, group) {
            continue;
        }
        let Some(now) = set_full(stage, &id, header.epoch, group).await? else { return Ok(()) };
        if now.is_full() && trigger {
            stage.completer.start(&id, now.epoch, now.attempt + 1).await?;
        }
    }
    Ok(())
}

async fn set_full(
    stage: &Stage,
    id: &HeaderId,
    epoch: u64,
    group: u16,
) -> Result<Option<Header>, StageError> {
    loop {
        let header = rows::load::<Header>(&*stage.ledger, &id.row_key()).await?;
        match protocol::mark_full(header, epoch, group, stage.clock.now()) {
            Marked::Late => return Ok(None),
            Marked::Already(header) => return Ok(Some(*header)),
            Marked::Now(header) => {
                if rows::store(&*stage.ledger, &*header).await? {
                    return Ok(Some(*header));
                }
            }
        }
    }
}
