//! A run that was cut off goes on where it stopped.

use std::time::Duration;

use tranship_core::policy::Policy;
use tranship_tests::rig::{DESTINATION, How, MIB, Rig, noise};

fn policy() -> Policy {
    let mut policy = Policy {
        multipart_threshold_bytes: 6 << 20,
        part_size_bytes: Some(5 << 20),
        ..Policy::default()
    };
    policy.limits.bytes_per_parts_task = 10 << 20;
    policy.limits.objects_per_task_max = 20;
    policy
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_run_goes_on_where_it_stopped() {
    for ms in [5, 30, 60, 120, 200] {
        let rig = Rig::new().await;
        for n in 0..300 {
            rig.put(&format!("small/{n:04}"), noise(n, 2_000));
        }
        for n in 0..3 {
            rig.put(&format!("large/{n}"), noise(n, 40 * MIB));
        }
        let mut generations = Vec::new();
        loop {
            let report =
                rig.run(rig.parts(policy()), Some(Duration::from_millis(ms))).await.unwrap();
            generations.push(report.run.generation);
            if report.how == How::Closed {
                report.expect(&[("copied", 303)]);
                break;
            }
            assert_eq!(report.how, How::Interrupted);
            assert!(generations.len() < 500, "no progress in {ms} ms");
        }
        assert!(generations.windows(2).all(|pair| pair[0] == pair[1]), "one run: {generations:?}");
        rig.expect_equal();
        assert_eq!(rig.destination.requests().count("UploadPart"), 3 * 8, "no recorded part twice");
        assert_eq!(rig.there().count_writes(DESTINATION, "small/0000"), 1);
    }
}
