//! Copies inside one store, of which no byte passes the worker.

use std::sync::Arc;

use tranship_cli::engine::Parts;
use tranship_core::finder::KeyLines;
use tranship_core::location::Location;
use tranship_core::policy::{Policy, ServerSide};
use tranship_server::Matcher;
use tranship_tests::functions::Lines;
use tranship_tests::rig::{DESTINATION, MIB, Report, Rig, SOURCE, noise, run, settings};

/// Both buckets on one server.
async fn one_server() -> Rig {
    let rig = Rig::new().await;
    rig.here().create_bucket(DESTINATION);
    rig
}

async fn copy(rig: &Rig, policy: Policy, keys: Option<&[&str]>) -> Report {
    let policy = Policy {
        multipart_threshold_bytes: 6 << 20,
        part_size_bytes: Some(5 << 20),
        server_side: ServerSide::Always,
        ..policy
    };
    let lines = keys.map(|keys| Lines(keys.iter().map(|key| (*key).to_owned()).collect()));
    let mut parts: Parts = rig.parts(policy);
    parts.transfer.destination = Location::new(Some(&rig.source.endpoint()), DESTINATION, "");
    parts.destination = settings(&rig.source, DESTINATION);
    parts.lines = lines.map(|lines| -> Arc<dyn KeyLines> { Arc::new(lines) });
    run(parts, None).await.unwrap()
}

/// Of a key that was named by hand no size is known, and one request copies at most 5 GiB.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_that_is_named_by_hand_is_copied_in_parts() {
    let rig = one_server().await;
    rig.put("large", noise(1, 12 * MIB));
    rig.put("small", "bytes");
    copy(&rig, Policy::default(), Some(&["large", "small"])).await.expect(&[("copied", 2)]);
    let requests = rig.source.requests();
    assert_eq!((requests.count("UploadPartCopy"), requests.count("CopyObject")), (3, 1));
    assert_eq!(requests.count("GetObject"), 0);
    for key in ["large", "small"] {
        assert_eq!(rig.here().read(DESTINATION, key), rig.here().read(SOURCE, key), "{key}");
    }
}

/// Where no condition can be sent, the source is looked at after the copy, as after any other write.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_moves_behind_an_unfenced_copy_is_copied_again() {
    let rig = one_server().await;
    rig.put("k", "before");
    let looks = Matcher::on("HeadObject").key("k");
    // One look is before the run, and one is what the copy is pinned by.
    rig.source.faults().before(looks, 2, |store| {
        store.put(SOURCE, "k", "after it");
    });
    let unfenced = Policy { fenced: false, ..Policy::default() };
    copy(&rig, unfenced, None).await.expect(&[("copied", 1)]);
    assert_eq!(rig.here().read(DESTINATION, "k").unwrap(), "after it");
    assert_eq!(rig.here().count_writes(DESTINATION, "k"), 2);
}
