//! Stores of other vendors, played after their documentation: from each to Amazon's, and to each.

use std::collections::BTreeMap;

use tranship_server::{Dialect, Fault, Matcher, Properties, Rule, ServerOptions};

use crate::support::{DESTINATION, MIB, SOURCE, World, expect_outcomes, noise, run};

/// A bucket's name that every vendor takes.
const BUCKET: &str = "bucket-1250000000";

const VENDORS: [(Dialect, &str, &str); 4] = [
    (Dialect::Oss, "oss", "cn-hangzhou"),
    (Dialect::Cos, "cos", "ap-guangzhou"),
    (Dialect::Kodo, "kodo", "cn-east-1"),
    (Dialect::Gcs, "gs", "us-central1"),
];

/// Keys that every vendor can hold, though some of their listings cannot tell them apart.
const KEYS: [&str; 16] = [
    "plain",
    "a b",
    "a+b",
    "a%2Bb",
    "100%",
    "quo\"te",
    "quo'te",
    "back\\slash",
    "emoji😀",
    "caf\u{e9}",
    "cafe\u{301}",
    "dots/./../x",
    "two//slashes",
    " space ",
    "marker/",
    "<&>",
];

fn described() -> Properties {
    Properties {
        content_type: Some("text/x-test".to_owned()),
        metadata: BTreeMap::from([("color".to_owned(), "red".to_owned())]),
        ..Properties::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_vendors_objects_are_copied_from_it() {
    for native_headers in [false, true] {
        for (dialect, scheme, region) in VENDORS {
            let options = ServerOptions { dialect, native_headers, ..ServerOptions::default() };
            let world = World::with(options, ServerOptions::default()).await;
            let store = world.here();
            store.create_bucket(BUCKET);
            for key in KEYS {
                store.put_with(BUCKET, key, key.to_owned(), described(), Vec::new());
            }
            store.put(BUCKET, "large", noise(1, 20 * MIB));
            let parts = vec![noise(2, 6 * MIB).into(), noise(3, MIB).into()];
            store.put_multipart(BUCKET, "in parts", parts);
            let (from, to) = (format!("{scheme}://{BUCKET}"), format!("s3://{DESTINATION}"));
            let options = ["--json", "--source-region", region];
            let ended = run(world.copying_at(&from, &to, &options));
            expect_outcomes(&ended.last_event(), &[("copied", 18)]);
            let keys = store.keys(BUCKET);
            assert_eq!(world.there().keys(DESTINATION), keys, "{dialect:?}");
            for key in keys {
                let bytes = world.there().read(DESTINATION, &key);
                assert!(bytes == store.read(BUCKET, &key), "{dialect:?}: {key:?}");
            }
            let copied = world.there().get(DESTINATION, "a b").unwrap();
            assert_eq!(copied.properties.content_type.as_deref(), Some("text/x-test"));
            assert_eq!(copied.properties.metadata["color"], "red", "{dialect:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_vendor_takes_objects() {
    for (dialect, scheme, region) in VENDORS {
        let options = ServerOptions { dialect, ..ServerOptions::default() };
        let world = World::with(ServerOptions::default(), options).await;
        world.there().create_bucket(BUCKET);
        for key in KEYS {
            world.here().put_with(SOURCE, key, key.to_owned(), described(), Vec::new());
        }
        world.put("large", noise(1, 20 * MIB));
        let (from, to) = (format!("s3://{SOURCE}"), format!("{scheme}://{BUCKET}"));
        let options = ["--json", "--destination-region", region];
        let ended = run(world.copying_at(&from, &to, &options));
        expect_outcomes(&ended.last_event(), &[("copied", 17)]);
        let keys = world.here().keys(SOURCE);
        assert_eq!(world.there().keys(BUCKET), keys, "{dialect:?}");
        for key in keys {
            let bytes = world.there().read(BUCKET, &key);
            assert!(bytes == world.here().read(SOURCE, &key), "{dialect:?}: {key:?}");
        }
        let copied = world.there().get(BUCKET, "a b").unwrap();
        assert_eq!(copied.properties.metadata["color"], "red", "{dialect:?}");
        assert_eq!(world.there().open_uploads(BUCKET), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scheme_is_planned_and_verified() {
    for (dialect, scheme, region) in VENDORS {
        let options = ServerOptions { dialect, native_headers: true, ..ServerOptions::default() };
        let world = World::with(options, ServerOptions::default()).await;
        world.here().create_bucket(BUCKET);
        for key in KEYS {
            world.here().put(BUCKET, &format!("2024/{key}"), key.to_owned());
        }
        let (from, to) = (format!("{scheme}://{BUCKET}/2024/"), format!("s3://{DESTINATION}/"));
        let options = ["--source-region", region];
        let plan = run(world.copying_at(&from, &to, &["--dry-run", options[0], options[1]]));
        assert_eq!(plan.code, Some(0), "{plan:?}");
        assert_eq!(world.there().keys(DESTINATION).len(), 0, "{scheme}");
        let copied = run(world.copying_at(&from, &to, &options));
        assert_eq!(copied.code, Some(0), "{scheme}: {copied:?}");
        let verified = run(world.verifying_at(&from, &to, &options));
        assert_eq!(verified.code, Some(0), "{scheme}: {verified:?}");
        assert!(verified.out.contains(&from), "{scheme}: {verified:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vendor_refuses_is_explained() {
    let options = ServerOptions { dialect: Dialect::Oss, ..ServerOptions::default() };
    let world = World::with(options, ServerOptions::default()).await;
    world.here().create_bucket(BUCKET);
    world.here().put(BUCKET, "k", "bytes");
    let (from, to) = (format!("oss://{BUCKET}"), format!("s3://{DESTINATION}"));
    let region = ["--source-region", "cn-hangzhou"];
    let command = world.copying_at(&from, &to, &["--source-path-style", region[0], region[1]]);
    let refused = run(command);
    let words = ["SecondLevelDomainForbidden", "in the host's name", "--source-path-style=false"];
    refused.expect(4, &words);
    assert!(!refused.err.contains("--source-region"), "the region is right: {refused:?}");
    for (status, code, words) in [
        (403, "InvalidAccessKeyId", ["InvalidAccessKeyId", "--source-profile"]),
        (403, "InDebt", ["InDebt", "the vendor has closed the account"]),
        (400, "IncorrectRegion", ["IncorrectRegion", "name the bucket's region"]),
    ] {
        let refuse = Fault::Refuse { status, code };
        world.source.faults().add(Rule::new(Matcher::any(), refuse));
        world.refuses(world.copying_at(&from, &to, &region), 4, &words);
        world.source.faults().clear();
    }
}

/// Each vendor has words of its own for a bucket that is in another region, and some of them name no region. What
/// mends it is said all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_of_another_region_is_answered_with_the_option_that_mends_it() {
    let beijing = "oss-cn-beijing.aliyuncs.com";
    for (dialect, scheme, region, native_headers, words) in [
        (Dialect::Oss, "oss", "cn-hangzhou", true, ["AccessDenied", beijing]),
        (Dialect::Oss, "oss", "cn-hangzhou", false, ["NoSuchBucket", "correct its name or"]),
        (Dialect::Cos, "cos", "ap-guangzhou", false, ["NoSuchBucket", "correct its name or"]),
        (Dialect::Kodo, "kodo", "cn-east-1", false, ["IncorrectRegion", "the bucket's region"]),
    ] {
        let options = || ServerOptions { dialect, native_headers, ..ServerOptions::default() };
        for side in ["source", "destination"] {
            let is_source = side == "source";
            let amazon = ServerOptions::default;
            let (here, there) =
                if is_source { (options(), amazon()) } else { (amazon(), options()) };
            let world = World::with(here, there).await;
            let store = if is_source { world.here() } else { world.there() };
            store.create_bucket(BUCKET);
            store.configure(BUCKET, |bucket| bucket.region = Some("cn-beijing".to_owned()));
            let vendors = format!("{scheme}://{BUCKET}");
            let (from, to) = if is_source {
                (vendors, format!("s3://{DESTINATION}"))
            } else {
                (format!("s3://{SOURCE}"), vendors)
            };
            let option = format!("--{side}-region");
            let refused = run(world.copying_at(&from, &to, &[&option, region]));
            refused.expect(4, &[&words[..], &[&option, "nothing was written"]].concat());
            assert!(!refused.err.contains("give credentials"), "{refused:?}");
        }
    }
}

/// A world whose source plays a vendor over HTTPS; its authority is in `ca.pem`.
async fn over_tls(dialect: Dialect) -> World {
    let options = ServerOptions { dialect, tls: true, ..ServerOptions::default() };
    let world = World::with(options, ServerOptions::default()).await;
    world.write("ca.pem", world.source.ca_pem().unwrap());
    world
}

/// A certificate for `*.host` covers a bucket in the host's name.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_in_the_hosts_name_is_reached_over_https() {
    for (dialect, scheme, region) in VENDORS {
        let world = over_tls(dialect).await;
        world.here().create_bucket(BUCKET);
        world.here().put(BUCKET, "a b/\u{e9}", "bytes");
        let endpoint = format!("https://s3.localhost:{}", world.source.address().port());
        let (from, to) = (format!("{scheme}://{BUCKET}"), format!("s3://{DESTINATION}"));
        let options = [
            "--json",
            "--ca-bundle=ca.pem",
            "--source-path-style=false",
            "--source-region",
            region,
            "--source-endpoint",
            &endpoint,
            "--destination-endpoint",
            &world.destination.endpoint(),
        ];
        let mut command = world.bare(&["copy", &from, &to]);
        command.args(options);
        expect_outcomes(&run(command).last_event(), &[("copied", 1)]);
        assert_eq!(world.there().keys(DESTINATION), ["a b/\u{e9}"], "{dialect:?}");
    }
}

/// One that covers the host alone does not: the bucket is named, and so is what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_no_certificate_covers_is_named_with_the_remedy() {
    let world = over_tls(Dialect::Kodo).await;
    world.here().create_bucket("photos");
    world.here().put("photos", "k", "bytes");
    let endpoint = format!("https://localhost:{}", world.source.address().port());
    let to = format!("s3://{DESTINATION}");
    let there = world.destination.endpoint();
    let copying = |path_style: &str| {
        let mut command = world.bare(&["copy", "kodo://photos", &to, "--ca-bundle=ca.pem"]);
        command.args(["--source-endpoint", &endpoint, "--destination-endpoint", &there]);
        command.args(["--source-region=cn-east-1", path_style]);
        command
    };
    let words = ["the source", "photos in the host's name", "--source-path-style"];
    world.refuses(copying("--source-path-style=false"), 1, &words);
    run(copying("--source-path-style=true")).expect(0, &[]);
    assert_eq!(world.there().keys(DESTINATION), ["k"]);
}

/// No certificate for `*.host` covers a bucket with a dot in its name. It stands in the path instead, and where the
/// store refuses that, the bucket is named, and what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_with_a_dot_in_its_name_stands_in_the_path_over_https() {
    for (dialect, scheme, bucket) in
        [(Dialect::Kodo, "kodo", "my.photos"), (Dialect::Cos, "cos", "my.photos-1250000000")]
    {
        let world = over_tls(dialect).await;
        world.here().create_bucket(bucket);
        world.here().put(bucket, "k", "bytes");
        let endpoint = format!("https://s3.localhost:{}", world.source.address().port());
        let (from, to) = (format!("{scheme}://{bucket}"), format!("s3://{DESTINATION}"));
        let mut command = world.bare(&["copy", &from, &to, "--ca-bundle=ca.pem"]);
        let there = world.destination.endpoint();
        command.args(["--source-endpoint", &endpoint, "--destination-endpoint", &there]);
        command.args(["--source-region=here-1", "--source-path-style=false"]);
        if dialect == Dialect::Kodo {
            run(command).expect(0, &[]);
            assert_eq!(world.there().keys(DESTINATION), ["k"]);
        } else {
            let words = ["PathStyleDomainForbidden", bucket, "dot", "--source-bucket-endpoint"];
            world.refuses(command, 4, &words);
        }
    }
}

/// What a look shows of metadata that the destination does not take, a plan names with its key.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_names_metadata_that_the_destination_does_not_take() {
    let options = ServerOptions { dialect: Dialect::Oss, ..ServerOptions::default() };
    let world = World::with(ServerOptions::default(), options).await;
    world.there().create_bucket(BUCKET);
    world.put("plain", "bytes");
    for (key, name, len) in [("too much", "m", 9_000), ("odd", "my_key", 1)] {
        let metadata = BTreeMap::from([(name.to_owned(), "x".repeat(len))]);
        let rich = Properties { metadata, ..Properties::default() };
        world.here().put_with(SOURCE, key, "bytes", rich, vec![]);
    }
    let (from, to) = (format!("s3://{SOURCE}"), format!("oss://{BUCKET}"));
    let region = ["--destination-region", "cn-hangzhou"];
    let planned = run(world.planning_at(&from, &to, &region));
    for words in ["too much", "takes 8191", "odd", "one is my_key", "would fail, as each named"] {
        assert!(planned.out.contains(words) || planned.err.contains(words), "{words}: {planned}");
    }
    assert_eq!(world.there().keys(BUCKET).len(), 0);
    let done = run(world.copying_at(&from, &to, &region));
    done.expect(3, &["2 objects failed", "too much", "takes 8191", "odd", "one is my_key"]);
    assert_eq!(world.there().keys(BUCKET), ["plain"]);
}
