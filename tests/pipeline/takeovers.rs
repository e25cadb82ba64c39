//! Two that ask for the same large key: a run and an event, two runs, two completers. Whoever comes later
//! takes the upload over, and everybody's account is settled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use tranship_core::finder::events::{self, Change, ChangeKind};
use tranship_core::object::ObjectKey;
use tranship_core::policy::{Overwrite, Policy};
use tranship_core::ports::{Clock as _, Queue};
use tranship_core::rows::{self, Header, HeaderId, Run, Status};
use tranship_core::store::{ObjectStore as _, Put, Write};
use tranship_tests::faulty::{Disturbance, Faults, FaultyStore, Life};

use crate::visits::Visits;

const MIB: usize = 1 << 20;
const PART: usize = 5 * MIB;

fn in_parts() -> Policy {
    let size = u64::try_from(PART).unwrap();
    Policy { multipart_threshold_bytes: size, part_size_bytes: Some(size), ..Policy::default() }
}

/// A run that has planned the upload of its one key. The task of an event is next, before those of the parts.
async fn planned(kind: ChangeKind) -> Visits {
    let mut visits = Visits::new(in_parts());
    visits.put("large", vec![7; 2 * PART + 1]).await;
    visits.begin().await;
    assert!(visits.visit_scan(false).await);
    tell(&visits, kind).await;
    visits.visit(Queue::Transfer).await.unwrap();
    assert_eq!(header(&visits).await.status, Status::Open);
    visits
}

async fn header(visits: &Visits) -> Header {
    let row = HeaderId::of(&ObjectKey::new("large")).row_key();
    rows::load(&*visits.stage.ledger, &row).await.unwrap().unwrap()
}

async fn tell(visits: &Visits, kind: ChangeKind) {
    let change = Change { key: ObjectKey::new("large"), kind };
    events::take(&visits.stage, &[change]).await.unwrap();
}

fn outcomes(run: &Run) -> Vec<(&'static str, u64)> {
    let account = &run.totals.as_ref().unwrap().account;
    let some = account.iter().filter(|(_, count)| count.objects > 0);
    some.map(|(outcome, count)| (outcome.name(), count.objects)).collect()
}

/// Without a word of the hour that it was told in: it is over, and everything in it is settled.
async fn expect_hour_settled(visits: &Visits) {
    let told = events::account_at(visits.clock.now());
    for generation in told - 24..=told {
        let totals = events::account(&visits.stage, generation).await.unwrap();
        assert!(totals.balances(), "{totals:?}");
    }
}

/// The run ends complete, and its one key has this outcome.
async fn expect_complete(mut visits: Visits, outcome: &'static str) -> Visits {
    let run = visits.run_to_end(false).await;
    assert_eq!((run.verdict(), outcomes(&run)), ("complete", vec![(outcome, 1)]));
    visits.expect_equal();
    expect_hour_settled(&visits).await;
    visits
}

#[tokio::test]
async fn a_run_whose_upload_an_event_takes_over_ends_complete() {
    let visits = planned(ChangeKind::Written(None)).await;
    expect_complete(visits, "superseded").await;
}

#[tokio::test]
async fn a_run_whose_key_an_event_plans_anew_ends_complete() {
    let visits = planned(ChangeKind::Written(None)).await;
    visits.put("large", vec![8; 3 * PART]).await;
    expect_complete(visits, "superseded").await;
}

/// The key is deleted while its new bytes are on their way, and an older copy is there.
#[tokio::test]
async fn a_run_whose_upload_an_event_ends_by_a_delete_ends_complete() {
    let mut visits = Visits::new(in_parts());
    visits.put("large", "small as yet").await;
    visits.begin().await;
    visits.run_to_end(false).await;
    visits.put("large", vec![7; 2 * PART + 1]).await;
    visits.begin().await;
    assert!(visits.visit_scan(false).await);
    tell(&visits, ChangeKind::Deleted).await;
    visits.visit(Queue::Transfer).await.unwrap();
    assert_eq!(header(&visits).await.status, Status::Open);
    visits.source.delete(&ObjectKey::new("large"), None).await.unwrap();
    let visits = expect_complete(visits, "vanished").await;
    assert_eq!(visits.destination.open_uploads(), []);
}

/// An event that comes while another event's upload of the key is on its way.
#[tokio::test]
async fn two_events_of_one_key_settle_both() {
    let visits = Visits::new(in_parts());
    visits.put("large", vec![7; 2 * PART + 1]).await;
    tell(&visits, ChangeKind::Written(None)).await;
    visits.clock.advance(60 * 60 * 1_000);
    tell(&visits, ChangeKind::Written(None)).await;
    visits.visit(Queue::Transfer).await.unwrap();
    assert_eq!(header(&visits).await.status, Status::Open);
    for _ in 0..40 {
        while visits.visit(Queue::Transfer).await.is_some() {}
        visits.clock.advance(60_000);
    }
    visits.expect_equal();
    expect_hour_settled(&visits).await;
}

/// What happens just before the first completion is sent: somebody writes there, so that it is refused, and
/// another run takes the header over, so that the completer loses its race.
fn overtaken(visits: &Visits) -> Disturbance {
    let (destination, ledger) = (visits.destination.clone(), visits.stage.ledger.clone());
    let is_done = AtomicBool::new(false);
    Arc::new(move |call: &str| {
        if !call.starts_with("destination complete_upload") || is_done.swap(true, Ordering::Relaxed)
        {
            return;
        }
        let key = ObjectKey::new("large");
        let (write, condition, checksum, md5) = (Write::default(), None, None, None);
        let put = Put { key: &key, size: 7, write, condition, checksum, md5 };
        let written = destination.put(put, tranship_core::body::full("foreign".into()));
        written.now_or_never().unwrap().unwrap();
        let take_over = async {
            let row = HeaderId::of(&key).row_key();
            let mut header = rows::load::<Header>(&*ledger, &row).await.unwrap().unwrap();
            header.account.task.generation += 1;
            header.revision += 1;
            assert!(rows::store(&*ledger, &header).await.unwrap());
        };
        take_over.now_or_never().unwrap();
    })
}

#[tokio::test]
async fn a_completer_that_loses_its_race_leaves_the_parts_to_the_winner() {
    let mut visits = Visits::new(Policy { overwrite: Overwrite::Always, ..in_parts() });
    let life = Arc::new(Life::new(Faults::default(), 1, overtaken(&visits)));
    let (inner, name) = (visits.destination.clone(), "destination");
    visits.stage.destination = Arc::new(FaultyStore { inner, life: life.clone(), name });
    visits.put("large", vec![7; 2 * PART + 1]).await;
    visits.begin().await;
    assert!(visits.visit_scan(false).await);
    for _ in 0..60 {
        while visits.visit(Queue::Transfer).await.is_some() {}
        visits.sweep().await;
        visits.clock.advance(60_000);
    }
    visits.expect_equal();
    let sent = life.begun().iter().filter(|call| call.contains("upload_part")).count();
    assert_eq!(sent, 3, "no part is sent twice: {:#?}", life.begun());
    let groups = header(&visits).await.id().groups_prefix(1);
    assert_eq!(visits.stage.ledger.page(&groups, None, 10).await.unwrap(), [], "all is cleared up");
}
