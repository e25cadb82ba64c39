use std::collections::BTreeMap;

use tranship_adapters::stores::s3::vendors::{FACTS, ListVersion};

use super::*;

/// What the template sets at least.
fn least() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("TRANSHIP_SOURCE_BUCKET", "photos"),
        ("TRANSHIP_SOURCE_IN_CURRENT_ACCOUNT", "true"),
        ("TRANSHIP_DESTINATION_BUCKET", "archive"),
        ("TRANSHIP_STACK", "photos-to-archive"),
        ("TRANSHIP_TABLE", "t"),
        ("TRANSHIP_SCAN_QUEUE_URL", "https://q/scan"),
        ("TRANSHIP_TRANSFER_QUEUE_URL", "https://q/transfer"),
        ("TRANSHIP_EVENT_QUEUE_URL", "https://q/event"),
        ("TRANSHIP_SCAN_DEAD_LETTER_QUEUE_URL", "https://q/scan-dead"),
        ("TRANSHIP_TRANSFER_DEAD_LETTER_QUEUE_URL", "https://q/transfer-dead"),
        ("TRANSHIP_EVENT_DEAD_LETTER_QUEUE_URL", "https://q/event-dead"),
        ("TRANSHIP_STATE_MACHINE_ARN", "arn:aws:states:us-east-1:1:stateMachine:m"),
        ("TRANSHIP_BUCKET", "own"),
        ("TRANSHIP_WORKER_FUNCTION", "w"),
        ("TRANSHIP_FINDER_FUNCTION", "f"),
        ("TRANSHIP_SCHEDULE", "rate(1 hour)"),
    ])
}

fn read(with: &[(&'static str, &'static str)]) -> Result<Settings, Mistakes> {
    let mut all = least();
    all.extend(with.iter().copied());
    Settings::read(|name| all.get(name).map(|text| (*text).to_owned()))
}

#[test]
fn bucket_names_are_enough() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.source.access, Access::Role);
    assert_eq!(settings.destination.access, Access::Role);
    assert_eq!(settings.policy.compare, Compare::ETag);
    assert_eq!(settings.policy.delete, None);
    assert_eq!(settings.schedule, Schedule::Repeated("rate(1 hour)".to_owned()));
    assert!(settings.policy.limits.message_bytes_max <= settings.message_bytes_max);
    assert!(!settings.policy.retry_parked && settings.policy.metadata);
}

#[test]
fn each_side_has_its_own_way_in() {
    let source = |with: &[_]| read(with).unwrap().source.access;
    let foreign = ("TRANSHIP_SOURCE_IN_CURRENT_ACCOUNT", "false");
    assert_eq!(source(&[foreign]), Access::Anonymous);
    let secret = ("TRANSHIP_SOURCE_CREDENTIALS", "s");
    assert_eq!(source(&[foreign, secret]), Access::Secret("s".to_owned()));
    let there = read(&[("TRANSHIP_DESTINATION_CREDENTIALS", "d")]).unwrap().destination.access;
    assert_eq!(there, Access::Secret("d".to_owned()));
}

/// A host has its own way to a side, and copies for the same transfer.
#[test]
fn another_endpoint_of_a_side_names_no_other_transfer() {
    let domain = "https://photos.example.org";
    let inside = || Some("https://oss-cn-hangzhou-internal.aliyuncs.com".to_owned());
    let mut settings = read(&[
        ("TRANSHIP_SOURCE_KIND", "alibaba-oss"),
        ("TRANSHIP_SOURCE_IN_CURRENT_ACCOUNT", "false"),
        ("TRANSHIP_SOURCE_CREDENTIALS", "s"),
        ("TRANSHIP_SOURCE_REGION", "cn-hangzhou"),
        ("TRANSHIP_SOURCE_ENDPOINT", domain),
        ("TRANSHIP_SOURCE_BUCKET_ENDPOINT", "true"),
    ])
    .unwrap();
    let (id, source) = (settings.transfer.id(), &mut settings.source);
    assert_eq!(source.way(), (Some(domain), true));
    source.reach("NAME", inside()).unwrap();
    assert_eq!(source.way(), (inside().as_deref(), false));
    assert_eq!((source.location.endpoint.as_deref(), settings.transfer.id()), (Some(domain), id));
    let mistakes = settings.destination.reach("NAME", inside()).unwrap_err();
    assert!(mistakes.to_string().contains("NAME"), "{mistakes}");
    assert_eq!(settings.destination.way(), (None, false));
}

#[track_caller]
fn assert_mistaken(with: &[(&'static str, &'static str)], name: &str) {
    let Mistakes(mistakes) = read(with).unwrap_err();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert!(mistakes[0].starts_with(&format!("{name}: ")), "{mistakes:?}");
}

/// A store passes over a header that it does not know, so that the guard would guard nothing.
#[test]
fn what_a_store_does_not_know_is_not_asked_of_it() {
    let owner = ("TRANSHIP_DESTINATION_EXPECTED_OWNER", "111122223333");
    let keys = ("TRANSHIP_DESTINATION_CREDENTIALS", "d");
    let google = ("TRANSHIP_DESTINATION_KIND", "google-gcs");
    let sse = ("TRANSHIP_DESTINATION_SSE", "aws:kms");
    assert_mistaken(&[google, keys, sse], sse.0);
    assert_mistaken(&[google, keys, owner], owner.0);
    // Whose store it is, the endpoint alone may tell.
    let kodo = ("TRANSHIP_DESTINATION_ENDPOINT", "https://s3.cn-east-1.qiniucs.com");
    assert_mistaken(&[kodo, keys, owner], owner.0);
    let pays = ("TRANSHIP_SOURCE_REQUESTER_PAYS", "true");
    let cos = [
        ("TRANSHIP_SOURCE_KIND", "tencent-cos"),
        ("TRANSHIP_SOURCE_REGION", "ap-beijing"),
        ("TRANSHIP_SOURCE_IN_CURRENT_ACCOUNT", "false"),
        ("TRANSHIP_SOURCE_CREDENTIALS", "s"),
        pays,
    ];
    assert_mistaken(&cos, pays.0);
    let settings = read(&[owner, sse, pays]).unwrap();
    assert!(settings.requester_pays && settings.expected_owner.is_some(), "{settings:?}");
}

#[test]
fn a_class_that_the_destination_lacks_is_a_mistake() {
    let name = "TRANSHIP_DESTINATION_STORAGE_CLASS";
    let with = |class| {
        let kind = ("TRANSHIP_DESTINATION_KIND", "google-gcs");
        read(&[kind, ("TRANSHIP_DESTINATION_CREDENTIALS", "d"), (name, class)])
    };
    let mistakes = with("GLACIER").unwrap_err().to_string();
    assert!(mistakes.contains(name) && mistakes.contains("no equal at Google"), "{mistakes}");
    for class in ["STANDARD_IA", "NEARLINE", "A_CLASS_MADE_SINCE"] {
        assert_eq!(with(class).unwrap().policy.storage_class.as_deref(), Some(class));
    }
}

#[test]
fn every_mistake_names_its_setting() {
    for (with, name) in [
        (vec![("TRANSHIP_SOURCE_BUCKET", "")], "TRANSHIP_SOURCE_BUCKET"),
        (vec![("TRANSHIP_TABLE", "")], "TRANSHIP_TABLE"),
        (vec![("TRANSHIP_SOURCE_KIND", "ftp")], "TRANSHIP_SOURCE_KIND"),
        (vec![("TRANSHIP_SOURCE_KIND", "s3-compatible")], "TRANSHIP_SOURCE_ENDPOINT"),
        (
            vec![
                ("TRANSHIP_SOURCE_KIND", "tencent-cos"),
                ("TRANSHIP_SOURCE_IN_CURRENT_ACCOUNT", "false"),
            ],
            "TRANSHIP_SOURCE_REGION",
        ),
        (vec![("TRANSHIP_SOURCE_ENDPOINT", "ftp://x")], "TRANSHIP_SOURCE_ENDPOINT"),
        (vec![("TRANSHIP_DESTINATION_KIND", "azure-blob")], "TRANSHIP_DESTINATION_KIND"),
        (vec![("TRANSHIP_DESTINATION_KIND", "s3-compatible")], "TRANSHIP_DESTINATION_ENDPOINT"),
        (vec![("TRANSHIP_DESTINATION_KIND", "cloudflare-r2")], "TRANSHIP_DESTINATION_ENDPOINT"),
        (
            vec![
                ("TRANSHIP_DESTINATION_KIND", "alibaba-oss"),
                ("TRANSHIP_DESTINATION_CREDENTIALS", "d"),
            ],
            "TRANSHIP_DESTINATION_REGION",
        ),
        (
            vec![
                ("TRANSHIP_DESTINATION_KIND", "alibaba-oss"),
                ("TRANSHIP_DESTINATION_CREDENTIALS", "d"),
                ("TRANSHIP_DESTINATION_ENDPOINT", "https://cos.ap-beijing.myqcloud.com"),
            ],
            "TRANSHIP_DESTINATION_ENDPOINT",
        ),
        (vec![("TRANSHIP_DESTINATION_KIND", "google-gcs")], "TRANSHIP_DESTINATION_CREDENTIALS"),
        (vec![("TRANSHIP_SOURCE_KIND", "google-gcs")], "TRANSHIP_SOURCE_CREDENTIALS"),
        (vec![("TRANSHIP_FACTS", "source-flavour=sweet")], "TRANSHIP_FACTS"),
        (
            vec![
                ("TRANSHIP_FACTS", "source-path-style=true"),
                ("TRANSHIP_SOURCE_PATH_STYLE", "false"),
            ],
            "TRANSHIP_SOURCE_PATH_STYLE",
        ),
        (vec![("TRANSHIP_SOURCE_BUCKET_ENDPOINT", "true")], "TRANSHIP_SOURCE_BUCKET_ENDPOINT"),
        (vec![("TRANSHIP_SOURCE_ENDPOINT", "https://x/y z")], "TRANSHIP_SOURCE_ENDPOINT"),
        (vec![("TRANSHIP_SOURCE_CREDENTIALS", "s")], "TRANSHIP_SOURCE_CREDENTIALS"),
        (
            vec![("TRANSHIP_DESTINATION_IN_CURRENT_ACCOUNT", "false")],
            "TRANSHIP_DESTINATION_CREDENTIALS",
        ),
        (vec![("TRANSHIP_DESTINATION_BUCKET", "photos")], "TRANSHIP_DESTINATION_BUCKET"),
        (vec![("TRANSHIP_DESTINATION_SSE_KMS_KEY_ID", "k")], "TRANSHIP_DESTINATION_SSE_KMS_KEY_ID"),
        (vec![("TRANSHIP_DESTINATION_SSE", "yes")], "TRANSHIP_DESTINATION_SSE"),
        (vec![("TRANSHIP_SOURCE_PREFIX_LIST_BUCKET", "b")], "TRANSHIP_SOURCE_PREFIX_LIST_BUCKET"),
        (vec![("TRANSHIP_COMPARE", "ETag")], "TRANSHIP_COMPARE"),
        (vec![("TRANSHIP_DELETE", "yes")], "TRANSHIP_DELETE"),
        (vec![("TRANSHIP_DELETE_PERCENT_MAX", "101")], "TRANSHIP_DELETE_PERCENT_MAX"),
        (vec![("TRANSHIP_MULTIPART_THRESHOLD_MIB", "4")], "TRANSHIP_MULTIPART_THRESHOLD_MIB"),
        (vec![("TRANSHIP_PART_SIZE_MIB", "3")], "TRANSHIP_PART_SIZE_MIB"),
        (vec![("TRANSHIP_STREAMS", "many")], "TRANSHIP_STREAMS"),
        (vec![("TRANSHIP_RUN_DEADLINE_HOURS", "0")], "TRANSHIP_RUN_DEADLINE_HOURS"),
        (vec![("TRANSHIP_MESSAGE_BYTES_MAX", "1")], "TRANSHIP_MESSAGE_BYTES_MAX"),
        (vec![("TRANSHIP_LOG", "loud")], "TRANSHIP_LOG"),
    ] {
        assert_mistaken(&with, name);
    }
    let all = Settings::read(|_| None).unwrap_err().0;
    assert!(all.len() > 10, "all at once: {all:?}");
}

#[test]
fn an_endpoint_needs_no_scheme() {
    let source = |text| read(&[("TRANSHIP_SOURCE_ENDPOINT", text)]).unwrap().source;
    let endpoint = |text| source(text).location.endpoint.unwrap();
    assert_eq!(endpoint("S3.Example.org"), "https://s3.example.org");
    assert_eq!(endpoint("http://[::1]:9000/"), "http://[::1]:9000");
}

#[test]
fn other_settings_are_another_run() {
    let fingerprint = |with: &[_]| read(with).unwrap().fingerprint;
    let plain = fingerprint(&[]);
    assert_eq!(plain, fingerprint(&[("TRANSHIP_LOG", "debug"), ("TRANSHIP_STREAMS", "4")]));
    for other in [
        ("TRANSHIP_COMPARE", "size"),
        ("TRANSHIP_INCLUDE_METADATA", "false"),
        ("TRANSHIP_DESTINATION_STORAGE_CLASS", "GLACIER"),
        ("TRANSHIP_SOURCE_PREFIX_LIST", "list"),
        ("TRANSHIP_DELETE", "true"),
    ] {
        assert_ne!(plain, fingerprint(&[other]), "{other:?}");
    }
}

#[test]
fn settings_are_told_in_the_words_of_the_command() {
    let settings = read(&[
        ("TRANSHIP_SOURCE_KIND", "s3-compatible"),
        ("TRANSHIP_SOURCE_ENDPOINT", "https://minio.example.org:9000"),
        ("TRANSHIP_SOURCE_BUCKET_ENDPOINT", "true"),
        ("TRANSHIP_SOURCE_PREFIX", "2024/ä b"),
        ("TRANSHIP_SOURCE_PATH_STYLE", "true"),
        ("TRANSHIP_SOURCE_IN_CURRENT_ACCOUNT", "false"),
        ("TRANSHIP_SOURCE_CREDENTIALS", "tranship/source"),
        ("TRANSHIP_DESTINATION_REGION", "eu-central-1"),
        ("TRANSHIP_DESTINATION_SSE", "aws:kms"),
        ("TRANSHIP_COMPARE", "size+time"),
        ("TRANSHIP_DELETE", "true"),
        ("TRANSHIP_TAGS", "false"),
        ("TRANSHIP_PART_SIZE_MIB", "16"),
        ("TRANSHIP_INCLUDE_METADATA", "false"),
        ("TRANSHIP_BANDWIDTH_MIB_PER_SECOND", "5"),
    ]);
    let told = settings.unwrap().options();
    let wanted = serde_json::json!({
        "source": "s3://photos/2024/ä b",
        "source-endpoint": "https://minio.example.org:9000",
        "source-bucket-endpoint": true,
        "source-path-style": true,
        "destination": "s3://archive/",
        "destination-region": "eu-central-1",
        "sse": "aws:kms",
        "compare": "size+time",
        "overwrite": "always",
        "delete": true,
        "delete-max": 1_000,
        "delete-max-ratio": 10,
        "no-tags": true,
        "multipart-threshold": "64MiB",
        "part-size": "16MiB",
        "server-side": "never",
        "bandwidth": "5MiB",
    });
    assert_eq!(serde_json::to_value(&told.options).unwrap(), wanted);
    assert_eq!(told.left_out.len(), 2, "{told:?}");
    assert!(told.left_out[0].contains("tranship/source"), "{told:?}");
}

/// Kinds with a region, and the endpoint that follows.
const KINDS: [(&str, &str, Option<&str>); 5] = [
    ("amazon-s3", "eu-west-1", None),
    ("alibaba-oss", "cn-hangzhou", Some("https://s3.oss-cn-hangzhou.aliyuncs.com")),
    ("tencent-cos", "ap-beijing", Some("https://cos.ap-beijing.myqcloud.com")),
    ("qiniu-kodo", "cn-south-1", Some("https://s3.cn-south-1.qiniucs.com")),
    ("google-gcs", "", Some("https://storage.googleapis.com")),
];

#[test]
fn the_kind_of_the_source_decides_its_endpoint_and_what_is_believed_of_it() {
    let foreign = ("TRANSHIP_SOURCE_IN_CURRENT_ACCOUNT", "false");
    for (kind, region, endpoint) in KINDS {
        let with = [foreign, ("TRANSHIP_SOURCE_KIND", kind), ("TRANSHIP_SOURCE_REGION", region)];
        let settings = read(&with).unwrap();
        assert_eq!(settings.source.location.endpoint.as_deref(), endpoint, "{kind}");
        assert_eq!(settings.policy.composites_follow, kind == "amazon-s3", "{kind}");
        assert!(settings.policy.fenced, "{kind}");
        let has_tags = matches!(kind, "amazon-s3" | "tencent-cos");
        assert_eq!(settings.policy.tags, has_tags, "{kind}");
        assert_eq!(settings.policy.md5_is_promised, kind == "amazon-s3", "{kind}");
    }
}

#[test]
fn the_kind_of_the_destination_decides_its_endpoint_and_what_is_asked_of_it() {
    let keys = ("TRANSHIP_DESTINATION_CREDENTIALS", "d");
    let own = ("TRANSHIP_DESTINATION_ENDPOINT", "https://photos.example.org");
    for (kind, region, endpoint) in KINDS {
        let of_kind =
            [keys, ("TRANSHIP_DESTINATION_KIND", kind), ("TRANSHIP_DESTINATION_REGION", region)];
        let settings = read(&of_kind).unwrap();
        assert_eq!(settings.destination.location.endpoint.as_deref(), endpoint, "{kind}");
        assert_eq!(settings.policy.fenced, kind == "amazon-s3", "{kind}");
        // Behind a domain of its owner's nothing but the kind says whose store it is.
        let settings = read(&[&of_kind[..], &[own]].concat()).unwrap();
        assert_eq!(settings.destination.location.endpoint.as_deref(), Some(own.1));
        assert_eq!(settings.policy.fenced, kind == "amazon-s3", "{kind}");
        let is_told = settings.destination.vendor.kind == kind;
        assert_eq!(is_told, kind != "amazon-s3", "{kind}");
    }
    // And without a kind the host does.
    let gcs = ("TRANSHIP_DESTINATION_ENDPOINT", "https://storage.googleapis.com");
    let settings = read(&[keys, gcs]).unwrap();
    assert!(!settings.policy.fenced && !settings.policy.tags);
}

#[test]
fn facts_go_before_what_is_known_of_a_kind() {
    let facts = "source-list-version=1,source-list-encoding=false,source-path-style=true,\
        source-checksums=false,destination-checksums=true,\
        destination-list-version=1,destination-list-encoding=true,destination-path-style=false,\
        destination-conditions=true,multipart-threshold=5GiB";
    let settings = read(&[
        ("TRANSHIP_FACTS", facts),
        ("TRANSHIP_SOURCE_ENDPOINT", "https://minio.example.org"),
        ("TRANSHIP_DESTINATION_KIND", "qiniu-kodo"),
        ("TRANSHIP_DESTINATION_REGION", "cn-east-1"),
        ("TRANSHIP_DESTINATION_CREDENTIALS", "d"),
    ])
    .unwrap();
    assert_eq!(settings.source.facts.list_version, Some(ListVersion::V1));
    assert_eq!(settings.destination.facts.list_encoding, Some(true));
    assert_eq!(settings.source.facts.checksums, Some(false));
    assert!(settings.policy.fenced, "it was seen to honour conditions");
    assert_eq!(settings.policy.multipart_threshold_bytes, 5 << 30);
    // Every fact is told to the command.
    let told = settings.options().options;
    for name in FACTS {
        assert!(told.contains_key(name), "{name}: {told:?}");
    }
    assert_eq!(told["destination"], "kodo://archive/");
    assert_eq!(told["source-list-version"], "1");
    assert_eq!(told["destination-conditions"], true);
    assert_eq!(told["multipart-threshold"], "5120MiB");
    let ignored = read(&[("TRANSHIP_FACTS", "destination-conditions=false")]).unwrap();
    assert!(!ignored.policy.fenced);
    assert_eq!(ignored.options().options["destination-conditions"], false);
}

#[test]
fn a_part_is_spread_where_there_is_memory_for_its_pieces() {
    let spreads = |memory_mib, streams| {
        let with = [("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_mib), ("TRANSHIP_STREAMS", streams)];
        read(&with).unwrap().spreads
    };
    assert!(spreads("512", "32"));
    assert!(!spreads("128", "32") && !spreads("512", "256"));
    assert!(!read(&[]).unwrap().spreads, "outside Lambda it is for others to say");
}

#[test]
fn the_largest_objects_need_a_queue() {
    let large = ("TRANSHIP_LARGE_OBJECT_MIB", "1024");
    let mistakes = read(&[large]).unwrap_err().to_string();
    assert!(mistakes.contains("TRANSHIP_LARGE_QUEUE_URL"), "{mistakes}");
    let queue = ("TRANSHIP_LARGE_QUEUE_URL", "https://q/large");
    let mistakes = read(&[large, queue]).unwrap_err().to_string();
    assert!(mistakes.contains("TRANSHIP_LARGE_DEAD_LETTER_QUEUE_URL"), "{mistakes}");
    let dead = ("TRANSHIP_LARGE_DEAD_LETTER_QUEUE_URL", "https://q/large-dead");
    let settings = read(&[large, queue, dead, ("TRANSHIP_BANDWIDTH_MIB_PER_SECOND", "5")]).unwrap();
    assert_eq!(settings.policy.large_object_bytes, Some(1 << 30));
    assert_eq!(settings.bandwidth_bytes_per_second, Some(5 << 20));
    let settings = read(&[queue, dead]).unwrap();
    assert_eq!(settings.policy.large_object_bytes, None, "0 is never");
}
