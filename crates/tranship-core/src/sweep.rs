//! The sweep: whatever stopped halfway is started again.
//!
//! It looks at headers alone, never at memory: after a crash, a lost message or a lapsed lease the
//! header says what is missing, and the sweep does just that.

use crate::completer;
use crate::error::{Disposition, LedgerError, StageError};
use crate::ports::Row;
use crate::protocol::{self, Resume};
use crate::rows::{self, Header, RowKey, Status};
use crate::stage::Stage;
use crate::worker::{abort_orphans, clear, replan, send_parts};

const PAGE_ROWS: usize = 200;
/// How long after it became due an upload is taken for forgotten, whatever the queue holds.
const STILL_MS: u64 = 60 * 60 * 1_000;

/// Starts again what an earlier process of this transfer left: its leases are nobody's now.
///
/// `resend`: whether the tasks of open uploads are gone from the queue, too.
pub async fn recover(stage: &Stage, resend: bool) -> Result<(), StageError> {
    let mut after = None;
    loop {
        let page = stage.ledger.page(Header::prefix(), after.as_ref(), PAGE_ROWS).await?;
        for (key, row) in &page {
            let mut header = parse(key, row)?;
            if header.status == Status::Completing {
                header.lease_until = None;
                header.revision += 1;
                if !rows::store(&*stage.ledger, &header).await? {
                    continue;
                }
            }
            tolerate(forget_orphans(stage, &mut header).await)?;
            tolerate(start_again(stage, header, resend).await)?;
        }
        match page.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => return Ok(()),
        }
    }
}

/// Whether something will be due soon, by itself.
pub async fn is_waiting(stage: &Stage) -> Result<bool, StageError> {
    let soon = stage.clock.now().plus(completer::BACK_OFF_MAX_MS);
    Ok(!stage.ledger.due(soon, 1).await?.is_empty())
}

/// Aborts what a process left behind that lost its race and died before it could clean up.
async fn forget_orphans(stage: &Stage, header: &mut Header) -> Result<(), StageError> {
    let is_planned_again = header.status == Status::Planning;
    if is_planned_again || header.orphans_since.is_none() || !abort_orphans(stage, header).await? {
        return Ok(());
    }
    let forgotten = Header { orphans_since: None, revision: header.revision + 1, ..header.clone() };
    if rows::store(&*stage.ledger, &forgotten).await? {
        *header = forgotten;
    }
    Ok(())
}

/// Starts again what is due.
///
/// `resend`: whether the tasks of open uploads are gone from the queue. Where nobody can say so, an
/// upload that has not moved for long has its tasks sent again all the same.
pub async fn sweep(stage: &Stage, resend: bool) -> Result<(), StageError> {
    for (key, row) in stage.ledger.due(stage.clock.now(), PAGE_ROWS).await? {
        let header = parse(&key, &row)?;
        // The index may be a moment behind the rows.
        let now = stage.clock.now();
        if let Some(due) = header.due.filter(|due| *due <= now) {
            let resend = resend || due.plus(STILL_MS) <= now;
            tolerate(start_again(stage, header, resend).await)?;
        }
    }
    Ok(())
}

/// One bad object stops nothing but itself: it stays due, and is looked at again.
fn tolerate(swept: Result<(), StageError>) -> Result<(), StageError> {
    match swept {
        Err(StageError::Store(error)) if error.disposition() != Disposition::Halt => Ok(()),
        swept => swept,
    }
}

fn parse(key: &RowKey, row: &Row) -> Result<Header, LedgerError> {
    rows::parse(key, row)
}

async fn start_again(stage: &Stage, header: Header, resend: bool) -> Result<(), StageError> {
    match protocol::resume(&header, resend, stage.clock.now()) {
        Resume::Nothing => {}
        Resume::Replan => replan(stage, &header).await?,
        Resume::Complete => {
            stage.completer.start(&header.id(), header.epoch, header.attempt + 1).await?;
        }
        Resume::Resend(header) => {
            if rows::store(&*stage.ledger, &*header).await? {
                send_parts(stage, &header).await?;
            }
        }
        Resume::Clear => clear(stage, header).await?,
    }
    Ok(())
}
