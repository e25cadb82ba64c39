//! Objects larger than one PUT may carry, from parts as large as S3 allows.

use tranship_core::policy::Policy;
use tranship_server::{Backend, Formula, ServerOptions};
use tranship_tests::rig::{DESTINATION, Rig, SOURCE};

const GIB: u64 = 1 << 30;

/// Both sides hash what passes: equal composite ETags mean equal bytes and equal boundaries.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_more_than_five_gibibytes_keeps_its_parts_and_its_etag() {
    let discarding = ServerOptions {
        backend: Backend::Synthetic { hash_writes: true },
        ..ServerOptions::default()
    };
    let rig = Rig::with(ServerOptions::default(), discarding).await;
    let formula = Formula {
        count: 1,
        prefix: "backup/".to_owned(),
        sizes: vec![5 * GIB + 7],
        part_size: Some(5 * GIB),
        ..Formula::default()
    };
    let key = formula.key(0);
    rig.here().create_synthetic_bucket(SOURCE, formula, Backend::default());
    rig.copy(Policy::default()).await.expect(&[("copied", 1)]);
    let there = rig.there().get(DESTINATION, &key).unwrap();
    assert_eq!(there.size(), 5 * GIB + 7);
    assert_eq!(there.parts.iter().map(|part| part.size).collect::<Vec<_>>(), [5 * GIB, 7]);
    assert!(there.etag.ends_with("-2"), "{}", there.etag);
    assert_eq!(rig.destination.requests().count("UploadPart"), 2);
    rig.copy(Policy::default()).await.expect(&[("equal", 1)]);
    assert_eq!(rig.there().open_uploads(DESTINATION), []);
}
