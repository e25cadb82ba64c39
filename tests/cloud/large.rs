//! Objects in parts: over many workers, and through what happens to them on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use tranship_server::{Backend, Fault as ServerFault, Formula, Matcher, Rule};
use tranship_tests::cloud::proxy::Fault;
use tranship_tests::cloud::sides::Sides;
use tranship_tests::cloud::stack::Stack;
use tranship_tests::rig::{DESTINATION, MIB, SOURCE, noise};

use crate::look::copied;

/// Small parts, so that there are several of them.
const PARTS: [(&str, &str); 2] = [("MultipartThresholdMiB", "5"), ("PartSizeMiB", "5")];

#[tokio::test]
async fn an_object_of_two_gib_goes_over_many_workers() {
    let sides = Sides::start().await;
    let formula =
        Formula { count: 1, sizes: vec![2 << 30], part_size: Some(32 << 20), ..Formula::default() };
    let key = formula.key(0);
    sides.here().create_synthetic_bucket(SOURCE, formula, Backend::Memory);
    // The bytes are hashed and thrown away: two GiB need not be held.
    let nothing = Formula::default();
    let hashed = Backend::Synthetic { hash_writes: true };
    sides.there().create_synthetic_bucket(DESTINATION, nothing, hashed);
    let stack = Stack::deploy("huge", sides, &[]).await;
    let report = stack.run().await;
    assert_eq!(copied(&report), 1, "{report}");
    let here = stack.sides.here().get(SOURCE, &key).unwrap();
    let there = stack.sides.there().get(DESTINATION, &key).unwrap();
    assert_eq!((&here.etag, here.content.len()), (&there.etag, there.content.len()));
    assert_eq!(stack.sides.there().open_uploads(DESTINATION), []);
    let invocations =
        stack.log("worker").await.iter().filter(|line| line.starts_with("START")).count();
    assert!(stack.processes("worker").len() > 1, "one process did it all");
    let requests = stack.sides.destination.requests().counts();
    println!("2 GiB: {invocations} invocations of the worker, {requests:?}");
    println!("2 GiB: peak memory of a worker {} KiB", stack.memory_kib("worker"));
}

/// The process of a worker is killed while it holds half of a part.
#[tokio::test]
async fn a_worker_that_is_killed_in_mid_part_is_replaced() {
    let sides = Sides::start().await;
    sides.put("large", noise(1, 24 * MIB));
    // One read stops in its middle, for longer than the test lasts.
    let stall = ServerFault::StallBody { after: 1 << 20, pause: Duration::from_mins(10) };
    sides.source.faults().add(Rule::once(Matcher::on("GetObject"), stall));
    let stack = Stack::deploy("killed", sides, &PARTS).await;
    stack.hide_for("TransferQueue", 8).await;
    stack.ask("run").await;
    let held = async || (stack.sides.source.faults().struck() > 0).then_some(());
    stack.until("a read hangs", held).await;
    // The others are done with what they can do.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(stack.kill("worker") > 0);
    let report = stack.end_of_run().await;
    assert_eq!(copied(&report), 1, "{report}");
    stack.sides.expect_equal();
    let log = stack.calls();
    let starts: BTreeSet<_> = log
        .iter()
        .filter(|call| call.action == "StartExecution")
        .map(|call| call.asked["input"].to_string())
        .collect();
    // Two workers that see the last part at once may both ask, the second after the execution has ended, and so
    // under another name: it is the one attempt of one epoch all the same.
    assert_eq!(starts.len(), 1, "{starts:?}");
}

/// The source gets other bytes while its parts are on their way.
#[tokio::test]
async fn a_source_that_is_overwritten_in_mid_copy_is_copied_as_it_is_at_last() {
    let sides = Sides::start().await;
    sides.put("large", noise(1, 22 * MIB));
    let overwrite = |store: &tranship_server::Store| {
        store.put(SOURCE, "large", noise(2, 18 * MIB));
    };
    sides.source.faults().before(Matcher::on("GetObject"), 2, overwrite);
    let stack = Stack::deploy("moved", sides, &PARTS).await;
    let report = stack.run().await;
    assert_eq!(copied(&report), 1, "{report}");
    stack.sides.expect_equal();
    assert_eq!(stack.sides.there().count_writes(DESTINATION, "large"), 1, "one generation");
}

/// The messages of its parts are lost: the sweep sends them again.
#[tokio::test]
async fn an_upload_whose_messages_are_lost_is_swept() {
    let sides = Sides::start().await;
    sides.put("large", noise(1, 12 * MIB));
    let stack = Stack::deploy("swept", sides, &PARTS).await;
    for action in ["SendMessageBatch", "SendMessage"] {
        stack.trouble("worker", action, 1, Fault::Swallow);
    }
    stack.ask("run").await;
    let stuck = async || (stack.sides.there().open_uploads(DESTINATION).len() == 1).then_some(());
    stack.until("the upload is open", stuck).await;
    stack.drained("TransferQueue").await;
    stack.ask("sweep").await;
    assert_eq!(stack.sides.there().open_uploads(DESTINATION).len(), 1, "too early to be swept");
    // What the sweep waits for is a quarter of an hour; the test sets the ledger's times back.
    stack.age(Duration::from_mins(16)).await;
    let report = stack.end_of_run().await;
    assert_eq!(copied(&report), 1, "{report}");
    stack.sides.expect_equal();
}
