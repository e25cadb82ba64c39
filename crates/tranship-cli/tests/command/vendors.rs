//! Stores of other vendors, by their schemes, and what goes wrong with them.

use tranship_server::{Dialect, Fault, Matcher, Rule, ServerOptions};

use crate::support::{DESTINATION, World, expect_outcomes, noise, run};

const DIALECTS: [(Dialect, &str, &str); 4] = [
    (Dialect::Oss, "oss", "photos"),
    (Dialect::Cos, "cos", "photos-1250000000"),
    (Dialect::Kodo, "kodo", "photos"),
    (Dialect::Gcs, "gs", "photos"),
];

async fn world_of(dialect: Dialect, bucket: &str) -> World {
    let options = ServerOptions {
        dialect,
        native_headers: true,
        check_region: false,
        ..ServerOptions::default()
    };
    World::of_buckets(bucket, options, DESTINATION, ServerOptions::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scheme_is_copied_from_planned_and_verified() {
    for (dialect, scheme, bucket) in DIALECTS {
        let world = world_of(dialect, bucket).await;
        for n in 0..5 {
            world.here().put(bucket, &format!("2024/a b+{n}"), noise(n, 400));
        }
        let (from, to) = (format!("{scheme}://{bucket}/2024/"), format!("s3://{DESTINATION}/"));
        let plan = run(world.copying_at(&from, &to, &["--dry-run"]));
        assert_eq!(plan.code, Some(0), "{plan:?}");
        let copied = run(world.copying_at(&from, &to, &["--json"]));
        assert_eq!(copied.code, Some(0), "{scheme}: {copied:?}");
        assert!(copied.out.contains(&from), "{scheme}: {copied:?}");
        expect_outcomes(&copied.last_event(), &[("copied", 5)]);
        let verified = run(world.verifying_at(&from, &to, &[]));
        assert_eq!(verified.code, Some(0), "{scheme}: {verified:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vendor_refuses_is_explained() {
    let world = world_of(Dialect::Oss, "photos").await;
    world.here().put("photos", "k", noise(1, 10));
    let to = format!("s3://{DESTINATION}");
    let command = world.copying_at("oss://photos", &to, &["--source-path-style"]);
    let words = ["SecondLevelDomainForbidden", "in the host's name", "--source-path-style=false"];
    world.refuses(command, 4, &words);
    for (status, code, words) in [
        (403, "InvalidAccessKeyId", ["InvalidAccessKeyId", "--source-profile"]),
        (403, "InDebt", ["InDebt", "the vendor has closed the account"]),
        (400, "IncorrectRegion", ["IncorrectRegion", "name the bucket's region"]),
    ] {
        let refuse = Fault::Refuse { status, code };
        world.source.faults().add(Rule::new(Matcher::any(), refuse));
        world.refuses(world.copying_at("oss://photos", &to, &[]), 4, &words);
        world.source.faults().clear();
    }
}
