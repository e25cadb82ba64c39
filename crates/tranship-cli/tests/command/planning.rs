//! What a plan says, and that a copy then does just that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde_json::{Value, json};
use tranship_adapters::embedded::EmbeddedFile;
use tranship_core::object::Millis;
use tranship_core::outcome::{Count, Outcome};
use tranship_core::rows::{self, Run, RunState, Totals};
use tranship_core::timeline::{Mark, Timeline};
use tranship_server::{EtagMode, Properties, Server, ServerOptions, Versioning};

use crate::support::{DESTINATION, MIB, SOURCE, World, expect_outcomes, noise, outcomes, run};

const FROM: &str = "s3://source-bucket/in/";
const TO: &str = "s3://destination-bucket/archive/of/2024/";
const OPTIONS: [&str; 13] = [
    "--json",
    "--exclude",
    "skip*",
    "--overwrite",
    "newer",
    "--multipart-threshold",
    "6MiB",
    "--part-size",
    "5MiB",
    "--delete",
    "--delete-unversioned",
    "--delete-max-ratio",
    "100",
];

/// Every outcome that a plan can foresee, twice where it can come about in two ways.
async fn world_of_all() -> World {
    let world = World::new().await;
    let here = |key: &str, size: usize| world.put(&format!("in/{key}"), noise(7, size));
    let there = |key: &str, bytes: Vec<u8>| {
        world.there().put(DESTINATION, &format!("archive/of/2024/{key}"), bytes);
    };
    let is_old = |key: &str| {
        let key = format!("archive/of/2024/{key}");
        let change = world.there().change(DESTINATION, &key, |object| {
            object.modified = SystemTime::UNIX_EPOCH.into();
        });
        assert!(change);
    };
    here("a/new", 1_000);
    here("a/<odd>\n\u{202e}", 10);
    here("large", 12 * MIB);
    world.here().put_multipart(
        SOURCE,
        "in/parts",
        vec![noise(1, 5 * MIB).into(), noise(2, 9).into()],
    );
    world.here().put_multipart(
        SOURCE,
        "in/odd-parts",
        vec![noise(1, 99).into(), noise(2, 9).into()],
    );
    here("empty", 0);
    here("same", 500);
    there("same", noise(7, 500));
    here("longer", 600);
    there("longer", noise(7, 500));
    is_old("longer");
    here("changed", 600);
    there("changed", noise(8, 600));
    is_old("changed");
    here("kept", 600);
    there("kept", noise(7, 601));
    // As somebody else's upload in parts leaves it: no token, and an ETag that says nothing.
    here("unproven", 700);
    let parts = vec![noise(7, 700).into()];
    world.there().put_multipart(DESTINATION, "archive/of/2024/unproven", parts);
    is_old("unproven");
    here("skip-this", 10);
    let class =
        |class: &str| Properties { storage_class: Some(class.to_owned()), ..Properties::default() };
    world.here().put_with(SOURCE, "in/frozen", noise(1, 50), class("GLACIER"), Vec::new());
    let tags = vec![("project".to_owned(), "x".to_owned())];
    world.here().put_with(SOURCE, "in/cool", noise(1, 40), class("STANDARD_IA"), tags);
    here(&"k".repeat(1_015), 5);
    there("extra", noise(1, 33));
    world
}

/// The requests that a plan forecasts, by side and name.
fn requests(plan: &Value) -> BTreeMap<(String, String), u64> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = plan.pointer("/forecast/requests").and_then(Value::as_array).unwrap();
    all.iter()
        .map(|it| ((text(&it["side"]), text(&it["request"])), it["count"].as_u64().unwrap()))
        .collect()
}

/// What a server was asked for, as the forecast counts it.
fn asked(server: &Server, operations: &[&str]) -> u64 {
    operations.iter().map(|operation| server.requests().count(operation)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_the_copy_then_does() {
    expect_to_do_as_planned(&OPTIONS).await;
}

/// Every write is followed by a look at the source there.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_a_copy_does_where_writes_are_not_fenced() {
    let unfenced = [&OPTIONS[..], &["--destination-conditions=false"]].concat();
    expect_to_do_as_planned(&unfenced).await;
}

#[expect(clippy::indexing_slicing, reason = "it fails by panicking, as the tests do")]
async fn expect_to_do_as_planned(options: &[&str]) {
    let world = world_of_all().await;
    let done = run(world.planning_at(FROM, TO, options));
    assert_eq!(done.code, Some(3), "a key that is too long fails: {done}");
    let planned = done.last_event();
    let wanted = [
        ("archived", 1),
        ("copied", 10),
        ("deleted", 1),
        ("equal", 1),
        ("failed", 1),
        ("filtered", 1),
        ("kept", 1),
    ];
    expect_outcomes(&planned, &wanted);
    assert_eq!(planned["dry_run"], true);
    assert!(done.out.contains("1,024"), "the failure is named: {done}");
    // Nothing was written anywhere.
    world.expect_untouched();
    assert_eq!(asked(&world.destination, &["GetObject"]), 0);
    assert_eq!(asked(&world.source, &["GetObject", "PutObject", "PutObjectTagging"]), 0);
    assert_eq!(world.files(), BTreeSet::new());

    let mut dry = world.copying_at(FROM, TO, options);
    dry.arg("--dry-run");
    let dry = run(dry).last_event();
    assert_eq!((&dry["plan"], &dry["outcomes"]), (&planned["plan"], &planned["outcomes"]));

    world.source.requests().clear();
    world.destination.requests().clear();
    let copied = run(world.copying_at(FROM, TO, options)).last_event();
    assert_eq!(outcomes(&copied), outcomes(&planned));
    assert_eq!(copied["outcomes"], planned["outcomes"], "bytes, too");
    assert_eq!(copied["listed"], planned["listed"]);
    let requests = requests(&planned["plan"]);
    let of = |side: &str, name: &str| requests[&(side.to_owned(), name.to_owned())];
    let (here, there) = (&world.source, &world.destination);
    assert_eq!(asked(here, &["GetObject"]), of("source", "GET"));
    // One more shows whether the source hides tags.
    assert_eq!(asked(here, &["GetObjectTagging"]), of("source", "GET tags") + 1);
    let whole = ["PutObject", "CompleteMultipartUpload"];
    assert_eq!(asked(there, &whole), of("destination", "PUT, COPY, Complete"));
    let parts = ["CreateMultipartUpload", "UploadPart", "ListParts"];
    assert_eq!(asked(there, &parts), of("destination", "Create, UploadPart, ListParts"));
    assert_eq!(asked(there, &["DeleteObject"]), of("destination", "DELETE"));
    // Besides, each run begins with a look at either side.
    let heads = (asked(here, &["HeadObject"]), asked(there, &["HeadObject"]));
    assert_eq!(heads, (of("source", "HEAD") + 1, of("destination", "HEAD")));
    let lists = (asked(here, &["ListObjectsV2"]), asked(there, &["ListObjectsV2"]));
    assert_eq!(lists, (of("source", "LIST") + 1, of("destination", "LIST") + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_names_the_largest_the_unproven_and_what_is_lost() {
    let world = world_of_all().await;
    world.here().configure(SOURCE, |bucket| bucket.versioning = Versioning::Enabled);
    let mut command = world.planning_at(FROM, TO, &OPTIONS);
    command.args(["--no-tags", "--egress-price", "0.5", "--rate", "1MiB..4MiB"]);
    let plan = &run(command).last_event()["plan"];
    let largest = plan["largest"].as_array().unwrap();
    assert_eq!(largest[0], json!({ "key": "in/large", "bytes": 12 * MIB }));
    assert_eq!(largest[1], json!({ "key": "in/parts", "bytes": 5 * MIB + 9 }));
    assert_eq!(largest.len(), 10);
    assert!(largest.iter().any(|it| it["key"] == "in/a/<odd>\n\u{202e}"), "{plan}");
    assert_eq!(plan["unproven"], json!({ "objects": 1, "bytes": 700 }));
    let line = |what: &str| {
        let all = plan["losses"].as_array().unwrap();
        let found = all.iter().find(|line| line["what"].as_str().unwrap().contains(what));
        let line = found.unwrap_or_else(|| panic!("no {what:?} in {plan}"));
        (line["basis"].as_str().unwrap().to_owned(), line["objects"].as_u64())
    };
    let is = |basis: &str, objects| (basis.to_owned(), objects);
    assert_eq!(line("version history"), is("bucket", None));
    assert_eq!(line("ACL grants"), is("sample", Some(0)));
    assert_eq!(line("archived"), is("listing", Some(1)));
    assert_eq!(line("would fail"), is("listing", Some(1)));
    assert_eq!(line("storage class STANDARD_IA → STANDARD_IA"), is("listing", Some(1)));
    assert_eq!(line("parts that S3 does not take"), is("listing", Some(1)));
    assert_eq!(line("tags, which are switched off"), is("sample", Some(1)));
    assert_eq!(line("cannot be learned or held"), is("sample", Some(1)));
    assert_eq!(plan["sample"], json!({ "looked_at": 10, "of": 10 }));
    let forecast = &plan["forecast"];
    let egress = &forecast["egress"];
    assert_eq!(
        (&egress["given"], &egress["nanodollars_per_gib"]),
        (&json!(true), &json!(500_000_000))
    );
    let rates = &forecast["rates"];
    assert_eq!(rates["bytes_per_second"], json!({ "low": MIB, "high": 4 * MIB }));
    assert_eq!(rates["given"], true);
    assert!(forecast["time_ms"]["low"].as_u64() > Some(4_000), "17 MiB at 4 MiB/s: {plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_a_plan_as_tables() {
    let world = world_of_all().await;
    let done = run(world.planning_at(FROM, TO, &OPTIONS[1..]));
    done.expect(
        3,
        &[
            "dry run: nothing was written",
            "would be copied",
            "12.0 MiB  in/large",
            "in/a/<odd>\\n\\u{202e}",
            "without evidence of being equal, and so copied again: 1 object, 700 B",
            "loss report",
            "sample: 10 of 10 objects to copy",
            "Amazon S3's list prices of us-east-1, 2026-11",
            "PUT, COPY, Complete",
            "data out at $0.09 a GiB, assumed, --egress-price sets it",
            "at 25.0 MiB/s to 250 MiB/s (assumed, --rate sets it)",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_reads_what_an_earlier_copy_remembers_and_leaves_its_file() {
    let opaque = ServerOptions { etags: EtagMode::Random, ..ServerOptions::default() };
    let world = World::with(ServerOptions::default(), opaque).await;
    world.put("a", noise(1, 100));
    world.put("b", noise(2, 200));
    let options = ["--no-token", "--json", "--ledger", "its.redb"];
    expect_outcomes(&world.copy(&options).last_event(), &[("copied", 2)]);
    let before = (world.files(), std::fs::read(world.path("its.redb")).unwrap());
    let plan = |options: &[&str]| {
        let (from, to) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
        run(world.planning_at(&from, &to, options)).last_event()
    };
    expect_outcomes(&plan(&options), &[("equal", 2)]);
    assert_eq!((world.files(), std::fs::read(world.path("its.redb")).unwrap()), before);
    // Without the ledger there is no evidence, and a copy would find none either.
    let other = plan(&["--no-token", "--json", "--ledger", "other.redb"]);
    expect_outcomes(&other, &[("copied", 2)]);
    assert_eq!(other["plan"]["unproven"], json!({ "objects": 2, "bytes": 300 }));
    // What is no ledger is told, and left as it is.
    world.write("foreign", "text");
    let (from, to) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
    let foreign = run(world.planning_at(&from, &to, &["--no-token", "--ledger", "foreign"]));
    foreign.expect(0, &["what earlier copies remember is not known here"]);
    assert_eq!(world.read("foreign"), "text");
    // A run that is not over is one that a copy would go on with.
    world.put("c", noise(3, 300));
    world.there().configure(DESTINATION, |bucket| bucket.deny_write = true);
    assert_eq!(world.copy(&options).code, Some(4));
    let after = run(world.planning_at(&from, &to, &["--no-token", "--ledger", "its.redb"]));
    after.expect(0, &["an earlier copy was interrupted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_named_keys_looks_at_each() {
    let world = World::new().await;
    world.put("here", noise(1, 100));
    world.put("same", noise(2, 200));
    world.there().put(DESTINATION, "same", noise(2, 200));
    let class = Properties { storage_class: Some("GLACIER".to_owned()), ..Properties::default() };
    world.here().put_with(SOURCE, "frozen", noise(1, 50), class, Vec::new());
    world.write("list", "here\nsame\nfrozen\nnone\n");
    let options = ["--json", "--keys-from", "list"];
    let (from, to) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
    let planned = run(world.planning_at(&from, &to, &options)).last_event();
    let wanted = [("archived", 1), ("copied", 1), ("equal", 1), ("vanished", 1)];
    expect_outcomes(&planned, &wanted);
    let largest = json!([{ "key": "here", "bytes": 100 }]);
    assert_eq!(planned["plan"]["largest"], largest);
    world.expect_untouched();
    expect_outcomes(&world.copy(&options).last_event(), &wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_no_upload_can_have_fails_in_the_plan_as_in_the_copy() {
    let world = World::new().await;
    world.put("small\u{1}", noise(1, 100));
    world.put("large\u{1}", noise(1, 6 * MIB));
    world.put("large\t", noise(1, 6 * MIB));
    let (from, to) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
    let options = ["--json", "--multipart-threshold", "6MiB", "--retries", "0"];
    let planned = run(world.planning_at(&from, &to, &options));
    assert!(planned.out.contains("XML cannot carry"), "{planned}");
    expect_outcomes(&planned.last_event(), &[("copied", 2), ("failed", 1)]);
    world.expect_untouched();
    expect_outcomes(&world.copy(&options).last_event(), &[("copied", 2), ("failed", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_that_may_not_be_read_is_told() {
    let world = World::new().await;
    for n in 0..5 {
        world.put(&format!("{n}"), noise(n, 100));
    }
    let (from, to) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
    let rule = tranship_server::Rule::new(
        tranship_server::Matcher::on("HeadObject").key("3"),
        tranship_server::Fault::Status5xxBefore,
    );
    world.source.faults().add(rule);
    let planned = run(world.planning_at(&from, &to, &["--json"])).last_event();
    expect_outcomes(&planned, &[("copied", 5)]);
    let plan = &planned["plan"];
    assert_eq!(plan["sample"], json!({ "looked_at": 4, "of": 5 }));
    assert!(plan["losses"].to_string().contains("could not be looked at"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_within_one_store_moves_no_bytes_out() {
    let world = World::new().await;
    world.here().create_bucket(DESTINATION);
    world.put("small", noise(1, 100));
    world.put("large", noise(2, 12 * MIB));
    let (from, to) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
    let endpoint = world.source.endpoint();
    let options = ["--json", "--multipart-threshold", "6MiB", "--part-size", "5MiB"];
    let command = |name: &str| {
        let mut command = world.bare(&[name, &from, &to]);
        command.args(["--source-endpoint", &endpoint, "--destination-endpoint", &endpoint]);
        command.args(options);
        command
    };
    let planned = run(command("plan")).last_event();
    let egress = &planned["plan"]["forecast"]["egress"];
    assert_eq!((&egress["bytes"], &egress["nanodollars"]), (&json!(0), &json!(0)));
    assert_eq!(world.here().keys(DESTINATION), [""; 0]);
    let requests = requests(&planned["plan"]);
    assert!(!requests.contains_key(&("source".to_owned(), "GET".to_owned())), "{planned}");
    world.source.requests().clear();
    expect_outcomes(&run(command("copy")).last_event(), &[("copied", 2)]);
    let of = |side: &str, name: &str| requests[&(side.to_owned(), name.to_owned())];
    let store = &world.source;
    let whole = ["CopyObject", "CompleteMultipartUpload"];
    assert_eq!(asked(store, &whole), of("destination", "PUT, COPY, Complete"));
    let parts = ["CreateMultipartUpload", "UploadPartCopy", "ListParts"];
    assert_eq!(asked(store, &parts), of("destination", "Create, UploadPart, ListParts"));
    // Besides, a look at either side, and one whether the destination's credentials can read.
    let heads = of("source", "HEAD") + of("destination", "HEAD");
    assert_eq!(asked(store, &["HeadObject"]), heads + 2);
}

/// The rates that a plan of the whole bucket reckons with, and what a person reads of them.
fn rates(world: &World, options: &[&str]) -> (Value, String) {
    let (from, to) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
    let text = run(world.planning_at(&from, &to, options)).out;
    let in_json = [options, &["--json"]].concat();
    let planned = run(world.planning_at(&from, &to, &in_json)).last_event();
    let rates = planned.pointer("/plan/forecast/rates").unwrap_or_else(|| panic!("{planned}"));
    (rates.clone(), text)
}

/// A run that moved 4 GiB in 16 seconds, in the ledger of a copy of the whole bucket.
async fn remember_a_run(world: &World, state: RunState) {
    let path = world.path(&world.default_ledger());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut totals = Totals::default();
    totals.account.add_count(Outcome::Copied, Count { objects: 4, bytes: 4 << 30 });
    let mut timeline = Timeline::default();
    timeline.add(0, Mark::default());
    timeline.add(16_000, Mark { bytes_copied: 4 << 30, ..Mark::default() });
    let run = Run {
        revision: 1,
        generation: 7,
        state,
        started: Millis(1_795_694_400_000),
        ended: Some(Millis(1_795_694_416_000)),
        fingerprint: "another".to_owned(),
        totals: Some(totals),
        progress: None,
        insist: false,
        told: false,
        timeline,
    };
    let file = EmbeddedFile::open(path, &world.transfer().id()).unwrap();
    assert!(rows::store(&file.ledger(), &run).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_reckons_with_the_rate_of_the_last_run_and_within_the_bandwidth() {
    let world = World::new().await;
    world.put("k", noise(1, 3 * MIB));
    let band = |low: usize, high: usize| json!({ "low": low, "high": high });
    let (told, text) = rates(&world, &[]);
    assert_eq!(told["bytes_per_second"], band(25 * MIB, 250 * MIB));
    assert_eq!((&told["measured"], &told["bandwidth"]), (&Value::Null, &Value::Null));
    assert!(text.contains("(assumed, --rate sets it)"), "{text}");

    let (told, text) = rates(&world, &["--bandwidth", "1MiB"]);
    assert_eq!(told["bytes_per_second"], band(MIB, MIB));
    assert_eq!(told["bandwidth"], json!(MIB));
    assert!(
        text.contains("assumed, --rate sets it; no more than --bandwidth, 1.00 MiB/s"),
        "{text}"
    );
    // One that holds nothing down is no part of it.
    let (told, _) = rates(&world, &["--bandwidth", "1GiB"]);
    assert_eq!(told["bytes_per_second"], band(25 * MIB, 250 * MIB));
    assert_eq!(told["bandwidth"], Value::Null);
    // It holds down what a person names, too.
    let (told, _) = rates(&world, &["--bandwidth", "2MiB", "--rate", "1MiB..4MiB"]);
    assert_eq!(told["bytes_per_second"], band(MIB, 2 * MIB));

    remember_a_run(&world, RunState::Complete).await;
    let (told, text) = rates(&world, &[]);
    assert_eq!(told["bytes_per_second"], band(256 * MIB, 256 * MIB));
    assert_eq!(
        (&told["measured"], &told["given"]),
        (&json!("2026-11-26T12:00:16Z"), &json!(false))
    );
    assert!(text.contains("measured in the run that ended at 2026-11-26T12:00:16Z"), "{text}");
    let (told, text) = rates(&world, &["--bandwidth", "1MiB"]);
    assert_eq!(told["bytes_per_second"], band(MIB, MIB));
    assert!(text.contains("--rate sets another; no more than --bandwidth"), "{text}");
    let (told, _) = rates(&world, &["--rate", "4MiB"]);
    assert_eq!(told["bytes_per_second"], band(4 * MIB, 4 * MIB));
    assert_eq!((&told["measured"], &told["given"]), (&Value::Null, &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_over_measures_nothing() {
    let world = World::new().await;
    world.put("k", noise(1, 3 * MIB));
    remember_a_run(&world, RunState::Copying).await;
    let (told, _) = rates(&world, &[]);
    assert_eq!(told["measured"], Value::Null);
}

/// The line of a plan's loss report that begins so, of a plan with these options; `Null` if there is none.
fn loss_line(world: &World, beginning: &str, options: &[&str]) -> Value {
    let (from, to) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
    world.source.requests().clear();
    let planned = run(world.planning_at(&from, &to, options)).last_event();
    let lines = planned.pointer("/plan/losses").and_then(Value::as_array).unwrap();
    let begins = |line: &&Value| line["what"].as_str().unwrap().starts_with(beginning);
    let mut found = lines.iter().filter(begins);
    let line = found.next().cloned().unwrap_or_default();
    assert_eq!(found.next(), None, "{planned}");
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_it_knows_of_history_and_locks() {
    let world = World::new().await;
    world.put("k", noise(1, 100));
    let expect = |beginning: &str, basis: Option<&str>, words: &str| {
        let line = loss_line(&world, beginning, &["--json"]);
        assert_eq!(line["basis"].as_str(), basis, "{line}");
        assert!(line["what"].as_str().unwrap_or_default().contains(words), "{line}");
    };
    expect("version history", None, "");
    expect("object locks", None, "");
    for (versioning, words) in [
        (Versioning::Enabled, "keeps versions"),
        // What was kept once is a history, too.
        (Versioning::Suspended, "kept versions once"),
    ] {
        world.here().configure(SOURCE, |bucket| bucket.versioning = versioning);
        expect("version history", Some("bucket"), words);
    }
    world.here().configure(SOURCE, |bucket| bucket.object_lock = true);
    expect("object locks", Some("bucket"), "s3:GetObjectRetention");
    // Who may not ask must not be told that there is nothing.
    for (operation, beginning, permission) in [
        ("GetBucketVersioning", "version history", "s3:GetBucketVersioning"),
        ("GetObjectLockConfiguration", "object locks", "s3:GetBucketObjectLockConfiguration"),
    ] {
        let fault = tranship_server::Fault::Refuse { status: 403, code: "AccessDenied" };
        let matcher = tranship_server::Matcher::on(operation);
        world.source.faults().add(tranship_server::Rule::new(matcher, fault));
        expect(beginning, Some("not looked at"), permission);
    }
    // A copy asks for no locks.
    world.source.requests().clear();
    expect_outcomes(&world.copy_in_json(&[]), &[("copied", 1)]);
    assert_eq!(world.source.requests().count("GetObjectLockConfiguration"), 0);
}

/// The line of a plan's loss report that is about ACLs, of a plan with these options.
fn acl_line(world: &World, options: &[&str]) -> Value {
    let line = loss_line(world, "ACL grants", options);
    assert_ne!(line, Value::Null);
    line
}

/// A world of so many objects, of which every third is for everybody to read.
async fn world_of_grants(objects: u64) -> World {
    let world = World::new().await;
    for n in 0..objects {
        let key = format!("{n:03}");
        world.put(&key, noise(n, 10));
        let everybody = "http://acs.amazonaws.com/groups/global/AllUsers".to_owned();
        if n % 3 == 0 {
            assert!(world.here().change(SOURCE, &key, |object| object.readers = vec![everybody]));
        }
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn acl_grants_are_counted_in_a_sample_of_what_would_be_copied() {
    let world = world_of_grants(60).await;
    world.there().put(DESTINATION, "000", noise(0, 10));
    let line = acl_line(&world, &["--json"]);
    assert_eq!(
        (&line["basis"], &line["objects"], &line["of"]),
        (&json!("sample"), &json!(19), &json!(59))
    );
    assert_eq!(line["estimate"], Value::Null, "all were looked at: {line}");
    assert_eq!(asked(&world.source, &["GetObjectAcl"]), 59);
    assert_eq!(asked(&world.source, &["GetBucketOwnershipControls"]), 1);
    // Of fewer than all, the number is an estimate.
    let line = acl_line(&world, &["--json", "--acl-sample", "12"]);
    assert_eq!(line["of"], 12);
    let granted = line["objects"].as_u64().unwrap();
    assert_eq!(line["estimate"], (granted * 59 + 6) / 12);
    assert_eq!(asked(&world.source, &["GetObjectAcl"]), 12);
    let (from, to) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
    let done = run(world.planning_at(&from, &to, &["--acl-sample", "12"]));
    done.expect(
        0,
        &["ACL grants beyond the owner's: never carried over", "of 12 sampled, estimated "],
    );
    // A copy asks for none, and of nothing no plan asks.
    world.source.requests().clear();
    expect_outcomes(&world.copy_in_json(&[]), &[("copied", 59), ("equal", 1)]);
    let line = acl_line(&world, &["--json"]);
    assert_eq!((&line["basis"], &line["objects"]), (&json!("not looked at"), &Value::Null));
    assert_eq!(asked(&world.source, &["GetObjectAcl", "GetBucketOwnershipControls"]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_acls_is_asked_once_and_nobody_if_so_wished() {
    let world = world_of_grants(6).await;
    world.here().configure(SOURCE, |bucket| bucket.owner_enforced = true);
    let line = acl_line(&world, &["--json"]);
    assert_eq!((&line["basis"], &line["objects"]), (&json!("bucket"), &json!(0)));
    assert_eq!(asked(&world.source, &["GetObjectAcl"]), 0);
    let line = acl_line(&world, &["--json", "--acl-sample", "0"]);
    assert_eq!((&line["basis"], &line["objects"]), (&json!("not looked at"), &Value::Null));
    assert_eq!(asked(&world.source, &["GetObjectAcl", "GetBucketOwnershipControls"]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn acls_that_cannot_be_looked_at_are_told_with_the_reason() {
    let world = world_of_grants(40).await;
    let refuse = |operation: &str, status, code| {
        let matcher = tranship_server::Matcher::on(operation);
        let fault = tranship_server::Fault::Refuse { status, code };
        world.source.faults().add(tranship_server::Rule::new(matcher, fault));
    };
    // The setting alone may be hidden.
    refuse("GetBucketOwnershipControls", 403, "AccessDenied");
    let line = acl_line(&world, &["--json"]);
    assert_eq!((&line["basis"], &line["objects"]), (&json!("sample"), &json!(14)), "{line}");
    for (status, code) in [(403, "AccessDenied"), (501, "NotImplemented")] {
        world.source.faults().clear();
        refuse("GetObjectAcl", status, code);
        let line = acl_line(&world, &["--json"]);
        assert_eq!((&line["basis"], &line["objects"]), (&json!("not looked at"), &Value::Null));
        let what = line["what"].as_str().unwrap();
        assert!(what.contains("GetObjectAcl") && what.contains(code), "{what}");
        let asked = asked(&world.source, &["GetObjectAcl"]);
        assert!((1..40).contains(&asked), "the others would be refused, too: {asked}");
    }
}
