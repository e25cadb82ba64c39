//! The look at both sides: what it finds, what it says to do, and that it does no harm.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use tranship_server::{Dialect, EtagMode, Fault, Matcher, Rule, Server, ServerOptions, Versioning};

use crate::support::{DESTINATION, Done, MIB, SOURCE, World, noise, run, signed};

fn looking(world: &World, options: &[&str]) -> Command {
    let (from, to) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
    let mut command = world.bare(&["doctor", &from, &to]);
    command
        .args(["--source-endpoint", &world.source.endpoint()])
        .args(["--destination-endpoint", &world.destination.endpoint()])
        .args(options);
    command
}

/// States by side and check, after the exit code was looked at.
#[track_caller]
fn states(done: &Done, code: i32) -> BTreeMap<(String, String), String> {
    assert_eq!(done.code, Some(code), "{done}");
    let field = |event: &Value, name: &str| {
        event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let events = done.events();
    let (last, findings) = events.split_last().unwrap();
    assert_eq!(field(last, "event"), "doctor-ended");
    findings
        .iter()
        .map(|event| ((field(event, "side"), field(event, "check")), field(event, "state")))
        .collect()
}

#[track_caller]
fn look(world: &World, options: &[&str], code: i32) -> BTreeMap<(String, String), String> {
    let mut all = vec!["--json"];
    all.extend(options);
    states(&run(looking(world, &all)), code)
}

/// What was found of one side, but for what is good.
fn not_good(states: &BTreeMap<(String, String), String>, side: &str) -> Vec<(String, String)> {
    let of_side = states.iter().filter(|((of, _), state)| of == side && *state != "good");
    of_side.map(|((_, check), state)| (check.clone(), state.clone())).collect()
}

#[track_caller]
fn expect(states: &BTreeMap<(String, String), String>, side: &str, wanted: &[(&str, &str)]) {
    let wanted: Vec<_> =
        wanted.iter().map(|(check, state)| ((*check).to_owned(), (*state).to_owned())).collect();
    assert_eq!(not_good(states, side), wanted, "{states:#?}");
}

fn fill(world: &World) {
    for key in ["a", "b c+%", "c"] {
        world.put(key, "bytes");
        world.there().put(DESTINATION, key, "bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_good_sides_are_found_good_and_left_alone() {
    let world = World::new().await;
    fill(&world);
    world.there().configure(DESTINATION, |bucket| {
        bucket.versioning = Versioning::Enabled;
        bucket.abort_incomplete_after_days = Some(7);
    });
    let states = look(&world, &[], 0);
    expect(&states, "source", &[]);
    // Only a write shows that one is allowed.
    expect(&states, "destination", &[("writing", "unknown")]);
    assert!(states.len() >= 18, "{states:#?}");
    world.expect_only_read();
    assert!(world.files().is_empty());
    let words = ["good", "--write-probe tries it", "0 bad, 0 advice, 1 unknown"];
    run(looking(&world, &[])).expect(0, &words);
    expect(&look(&world, &["--write-probe"], 0), "destination", &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_says_what_it_knows_of_history_and_locks() {
    let world = World::new().await;
    fill(&world);
    let of = |side: &str, check: &str| finding(&run(looking(&world, &["--json"])), side, check);
    for side in ["source", "destination"] {
        assert_eq!(of(side, "object locks").0, "good");
    }
    assert_eq!(of("source", "versions").0, "good");
    for (versioning, source, destination, words) in [
        (Versioning::Enabled, "advice", "good", "keeps versions"),
        (Versioning::Suspended, "advice", "advice", "kept versions once"),
    ] {
        world.here().configure(SOURCE, |bucket| bucket.versioning = versioning);
        world.there().configure(DESTINATION, |bucket| bucket.versioning = versioning);
        let (state, what, _) = of("source", "versions");
        assert!(state == source && what.contains(words), "{state}: {what}");
        assert_eq!(of("destination", "versions").0, destination);
    }
    world.here().configure(SOURCE, |bucket| bucket.object_lock = true);
    let (state, what, to_do) = of("source", "object locks");
    assert!(state == "advice" && what.contains("no copy is locked"), "{state}: {what}");
    assert!(to_do.contains("s3:GetObjectRetention"), "{to_do}");
    // Who may not ask is not told that there is nothing.
    for (operation, check, permission) in [
        ("GetBucketVersioning", "versions", "s3:GetBucketVersioning"),
        ("GetObjectLockConfiguration", "object locks", "s3:GetBucketObjectLockConfiguration"),
    ] {
        for (server, side) in [(&world.source, "source"), (&world.destination, "destination")] {
            let refuse = Fault::Refuse { status: 403, code: "AccessDenied" };
            server.faults().add(Rule::new(Matcher::on(operation), refuse));
            let (state, what, to_do) = of(side, check);
            assert!(state == "unknown" && to_do.contains(permission), "{state}: {what} {to_do}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lifecycle_rule_counts_where_it_covers_the_destination() {
    let world = World::new().await;
    fill(&world);
    let (from, to) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}/in/2024/"));
    for (days, prefix, state) in [
        (None, "", "advice"),
        (Some(7), "", "good"),
        (Some(7), "in/", "good"),
        (Some(7), "in/2024/", "good"),
        (Some(7), "in/2024/01/", "advice"),
        (Some(7), "logs/", "advice"),
    ] {
        world.there().configure(DESTINATION, |bucket| {
            bucket.abort_incomplete_after_days = days;
            bucket.abort_incomplete_prefix = prefix.to_owned();
        });
        let mut command = world.bare(&["doctor", &from, &to, "--json"]);
        command.args(["--source-endpoint", &world.source.endpoint()]);
        command.args(["--destination-endpoint", &world.destination.endpoint()]);
        let found = finding(&run(command), "destination", "lifecycle");
        assert_eq!(found.0, state, "{days:?} {prefix}: {found:?}");
        // A copy advises the same.
        let name = format!("{}.redb", prefix.replace('/', "-"));
        let copied = run(world.copying_at(&from, &to, &["--ledger", &name]));
        assert_eq!(copied.err.contains("no lifecycle rule"), state != "good", "{copied}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_writes_as_a_copy_would() {
    let world = World::new().await;
    fill(&world);
    world.there().configure(DESTINATION, |bucket| bucket.deny_tagging = true);
    let done = run(looking(&world, &["--json", "--write-probe"]));
    assert_eq!(done.code, Some(8), "{done}");
    assert_eq!(finding(&done, "destination", "writing").0, "good");
    let (state, what, to_do) = finding(&done, "destination", "tags");
    assert!(state == "bad" && to_do.contains("s3:PutObjectTagging"), "{state}: {what} {to_do}");
    // Who leaves tags away need not be allowed to write them.
    world.write("no-tags.toml", "no-tags = true\n");
    let done = run(looking(&world, &["--json", "--write-probe", "--config", "no-tags.toml"]));
    assert_eq!(done.code, Some(0), "{done}");
    assert!(!done.out.contains("PutObjectTagging"), "{done}");
    world.there().configure(DESTINATION, |bucket| bucket.deny_tagging = false);

    world.write("key.toml", "sse = \"aws:kms\"\nsse-kms-key-id = \"my-key\"\nacl = \"private\"\n");
    let (seen, probes) = std::sync::mpsc::channel();
    world.destination.faults().before(Matcher::on("DeleteObject"), 0, move |store| {
        let keys = store.keys(DESTINATION).into_iter();
        let probe = keys.filter(|key| key.contains("tranship-doctor-"));
        for object in probe.filter_map(|key| store.get(DESTINATION, &key)) {
            seen.send(object.properties.kms_key_id.clone()).unwrap();
        }
    });
    let look = ["--json", "--write-probe", "--config", "key.toml"];
    let done = run(looking(&world, &look));
    assert_eq!(finding(&done, "destination", "tags").0, "good", "{done}");
    let keys: Vec<_> = probes.try_iter().collect();
    assert!(keys.len() > 5 && keys.iter().all(|key| key.as_deref() == Some("my-key")), "{keys:?}");
    // And what a refusal may lack is named.
    world.there().configure(DESTINATION, |bucket| bucket.deny_write = true);
    let (state, _, to_do) = finding(&run(looking(&world, &look)), "destination", "writing");
    let lacking = ["s3:PutObject and s3:PutObjectAcl", "kms:GenerateDataKey and kms:Decrypt"];
    assert!(state == "bad" && lacking.iter().all(|word| to_do.contains(word)), "{to_do}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_should_know_is_said_with_what_to_do() {
    let opaque = ServerOptions {
        etags: EtagMode::Random,
        default_checksum: false,
        ..ServerOptions::default()
    };
    let world = World::with(ServerOptions::default(), opaque).await;
    fill(&world);
    world.here().configure(SOURCE, |bucket| {
        bucket.versioning = Versioning::Enabled;
        bucket.deny_tagging = true;
    });
    world.there().configure(DESTINATION, |bucket| bucket.object_lock = true);
    let rule = Rule::new(Matcher::on("GetObject"), Fault::IgnoreIfMatch);
    world.source.faults().add(rule);
    let states = look(&world, &[], 0);
    let wanted = [("If-Match", "advice"), ("tags", "advice"), ("versions", "advice")];
    expect(&states, "source", &wanted);
    let wanted = [
        ("ETags", "advice"),
        ("lifecycle", "advice"),
        ("object locks", "advice"),
        ("versions", "advice"),
        ("writing", "unknown"),
    ];
    expect(&states, "destination", &wanted);
    let words = [
        "s3:GetObjectVersionTagging",
        "--no-tags",
        "may lack some",
        "add one of some days",
        "turn versioning on",
        "carry a token",
    ];
    run(looking(&world, &[])).expect(0, &words);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_copy_from_working_is_bad() {
    let world = World::new().await;
    fill(&world);
    let (source, faults) = (&world.source, world.source.faults());
    for (fault, operation, check) in [
        (Fault::ListGoesBackwards, "ListObjectsV2", "listing order"),
        (Fault::IgnoreRange, "GetObject", "ranges"),
        (Fault::Refuse { status: 403, code: "AccessDenied" }, "HeadObject", "reading"),
    ] {
        faults.clear();
        faults.add(Rule::new(Matcher::on(operation), fault));
        let states = look(&world, &[], 8);
        let of = |check: &str| states.get(&("source".to_owned(), check.to_owned())).cloned();
        assert_eq!(of(check).as_deref(), Some("bad"), "{states:#?}");
    }
    faults.clear();
    source.store().configure(SOURCE, |bucket| bucket.deny_list = true);
    world.there().configure(DESTINATION, |bucket| bucket.deny_list = true);
    let words = ["source s3://source-bucket/", "bad", "AccessDenied", "s3:ListBucket"];
    run(looking(&world, &[])).expect(8, &words);
    let states = look(&world, &[], 8);
    expect(&states, "source", &[("reach", "bad")]);
    expect(&states, "destination", &[("reach", "bad")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_side_is_unknown_and_a_probe_shows_it() {
    let world = World::new().await;
    world.put("a", "bytes");
    world.put("b?", "bytes");
    let unknown = [
        ("lifecycle", "advice"),
        ("listing order", "unknown"),
        ("odd keys", "unknown"),
        ("reading", "unknown"),
        ("versions", "advice"),
        ("writing", "unknown"),
    ];
    expect(&look(&world, &[], 0), "destination", &unknown);
    world.expect_untouched();
    let states = look(&world, &["--write-probe"], 0);
    let of = |check: &str| states.get(&("destination".to_owned(), check.to_owned())).cloned();
    for check in ["writing", "conditional writes", "odd keys", "multipart uploads", "tags", "probe"]
    {
        assert_eq!(of(check).as_deref(), Some("good"), "{check}: {states:#?}");
    }
    assert_eq!(world.there().keys(DESTINATION), [""; 0], "nothing is left");
    assert_eq!(world.there().open_uploads(DESTINATION), []);
    assert_eq!(world.source.requests().count("PutObject"), 0, "the source is never written to");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_probe_is_written_where_it_could_be_locked() {
    for denied in [false, true] {
        let world = World::new().await;
        fill(&world);
        if denied {
            let refuse = Fault::Refuse { status: 403, code: "AccessDenied" };
            let on = Matcher::on("GetObjectLockConfiguration");
            world.destination.faults().add(Rule::new(on, refuse));
        } else {
            world.there().configure(DESTINATION, |bucket| bucket.object_lock = true);
        }
        let states = look(&world, &["--write-probe"], 0);
        let probe = states.get(&("destination".to_owned(), "probe".to_owned()));
        assert_eq!(probe.map(String::as_str), Some("unknown"), "{states:#?}");
        world.expect_untouched();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_finds_writes_that_are_refused_or_not_fenced() {
    let unfenced = ServerOptions { conditional_writes: false, ..ServerOptions::default() };
    let world = World::with(ServerOptions::default(), unfenced).await;
    fill(&world);
    let states = look(&world, &["--write-probe"], 0);
    let of = |states: &BTreeMap<_, String>, check: &str| {
        states.get(&("destination".to_owned(), check.to_owned())).cloned().unwrap_or_default()
    };
    assert_eq!(of(&states, "conditional writes"), "advice", "{states:#?}");
    world.there().configure(DESTINATION, |bucket| bucket.deny_write = true);
    let states = look(&world, &["--write-probe"], 8);
    assert_eq!(of(&states, "writing"), "bad", "{states:#?}");
    assert_eq!(world.there().keys(DESTINATION), ["a", "b c+%", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_policies_are_those_of_the_documents() {
    let world = World::new().await;
    let mut command = world.bare(&["doctor", "s3://my-photos", "s3://my-archive/in*/"]);
    command.args(["--print-policy", "--destination-region", "cn-north-1"]);
    let done = run(command);
    done.expect(0, &["arn:aws:s3:::my-photos/*", "arn:aws-cn:s3:::my-archive/in${*}/*"]);
    let printed: Value = serde_json::from_str(&done.out).unwrap();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("docs/DEPLOYMENT.md")).unwrap();
    let (_, rest) = text.split_once("The policy of the user or role behind the keys").unwrap();
    let documented: Vec<Value> = rest
        .split("```json")
        .skip(1)
        .take(2)
        .map(|block| serde_json::from_str(block.split("```").next().unwrap()).unwrap())
        .collect();
    let actions = |policy: &Value| -> Vec<Vec<String>> {
        let statements = policy["Statement"].as_array().unwrap().iter();
        let texts = |action: &Value| match action {
            Value::Array(all) => all.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
            one => vec![one.as_str().unwrap().to_owned()],
        };
        statements.map(|statement| texts(&statement["Action"])).collect()
    };
    assert_eq!(actions(&printed["source"]), actions(&documented[0]));
    assert_eq!(actions(&printed["destination"]), actions(&documented[1]));
    assert_eq!(world.source.requests().total() + world.destination.requests().total(), 0);
}

/// What one look said of one check: its state, what was seen, and what to do.
fn finding(done: &Done, side: &str, check: &str) -> (String, String, String) {
    let events = done.events();
    let is = |event: &&Value| event["side"] == side && event["check"] == check;
    let event = events.iter().find(is).unwrap_or_else(|| panic!("no {check} of {side} in {done}"));
    let field = |name: &str| event[name].as_str().unwrap().to_owned();
    (field("state"), field("what"), field("to_do"))
}

/// The options that a look recommends.
fn facts(done: &Done) -> Value {
    done.last_event().get("facts").cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_ignores_conditions_is_written_down_and_copied_to() {
    let unfenced = ServerOptions { conditional_writes: false, ..ServerOptions::default() };
    let world = World::with(ServerOptions::default(), unfenced).await;
    world.put("a", "bytes");
    let look = ["--json", "--write-probe", "--write-facts", "facts.toml"];
    let done = run(looking(&world, &look));
    assert_eq!(done.code, Some(0), "{done}");
    let (state, what, to_do) = finding(&done, "destination", "conditional writes");
    assert_eq!(state, "advice", "{what}");
    assert!(to_do.starts_with("give --destination-conditions=false: "), "{to_do}");
    assert_eq!(facts(&done), serde_json::json!({ "destination-conditions": false }));
    let written = world.read("facts.toml");
    assert_eq!(written.lines().last(), Some("destination-conditions = false"), "{written}");
    // With the file a copy sends no condition, and without it does.
    let requests = world.destination.requests();
    requests.keep_log();
    let conditional =
        || requests.log().iter().filter(|request| request.if_none_match.is_some()).count();
    world.copy(&["--config", "facts.toml", "--ledger", "one.redb"]).expect(0, &[]);
    assert_eq!(conditional(), 0, "a condition was sent");
    // Beside a file of one's own, in any order; but of two that say something else, the later counts.
    world.write("own.toml", "retries = 1\n");
    world.write("other.toml", "destination-conditions = true\n");
    for (files, is_conditional) in [
        (["own.toml", "facts.toml"], false),
        (["facts.toml", "own.toml"], false),
        (["other.toml", "facts.toml"], false),
        (["facts.toml", "other.toml"], true),
    ] {
        requests.clear();
        world.put(&format!("{files:?}"), "bytes");
        let [one, other] = files;
        world.copy(&["--config", one, "--config", other, "--ledger", "one.redb"]).expect(0, &[]);
        assert_eq!(conditional() > 0, is_conditional, "{files:?}");
    }
    requests.clear();
    world.put("b", "bytes");
    world.copy(&["--ledger", "two.redb"]).expect(0, &[]);
    assert!(conditional() > 0);
    // Another look may replace its own file, and nobody else's.
    run(looking(&world, &["--write-probe", "--write-facts", "facts.toml"])).expect(
        0,
        &[
            "facts: options that a copy should have",
            "destination-conditions = false",
            "in a stack: Facts=destination-conditions=false",
        ],
    );
    world.write("mine.toml", "source-region = \"us-east-1\"\n");
    run(looking(&world, &["--write-facts", "mine.toml"])).expect(2, &["holds something else"]);
    assert_eq!(world.read("mine.toml"), "source-region = \"us-east-1\"\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_does_not_work_gives_way_to_one_that_does() {
    let world = World::new().await;
    fill(&world);
    let refuse = Fault::Refuse { status: 501, code: "NotImplemented" };
    world.source.faults().add(Rule::new(Matcher::on("ListObjectsV2"), refuse));
    let backwards = Fault::ListGoesBackwards;
    world.destination.faults().add(Rule::new(Matcher::on("ListObjectsV2"), backwards));
    let done = run(looking(&world, &["--json", "--write-facts", "facts.toml"]));
    assert_eq!(done.code, Some(8), "{done}");
    let (state, what, to_do) = finding(&done, "source", "reach");
    assert!(state == "bad" && what.contains("NotImplemented"), "{state}: {what}");
    assert!(to_do.starts_with("give --source-list-version=1: "), "{to_do}");
    assert_eq!(finding(&done, "source", "listing order").0, "good");
    let (state, _, to_do) = finding(&done, "destination", "listing order");
    assert!(state == "bad" && to_do.starts_with("give --destination-list-version=1"), "{to_do}");
    let wanted = serde_json::json!({ "destination-list-version": "1", "source-list-version": "1" });
    assert_eq!(facts(&done), wanted);
    world.put("d", "more");
    world.copy(&[]).expect(2, &["NotImplemented"]);
    world.copy(&["--config", "facts.toml"]).expect(0, &[]);
    world.expect_equal();
    let states = look(&world, &["--config", "facts.toml"], 0);
    expect(&states, "source", &[]);
}

/// Stores that refuse what they do not know are copied from and to without Amazon's newer headers.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_headers_about_checksums_is_sent_none() {
    let older = || ServerOptions { checksum_headers: false, ..ServerOptions::default() };
    let world = World::with(older(), older()).await;
    fill(&world);
    let done = run(looking(&world, &["--json", "--write-facts", "facts.toml"]));
    assert_eq!(done.code, Some(8), "{done}");
    let (state, what, to_do) = finding(&done, "source", "reach");
    assert!(state == "bad" && what.contains("x-amz-optional-object-attributes"), "{what}");
    assert!(to_do.starts_with("give --source-checksums=false: "), "{to_do}");
    let wanted = serde_json::json!({ "destination-checksums": false, "source-checksums": false });
    assert_eq!(facts(&done), wanted);
    world.put("d", "more");
    world.put("large", noise(1, 13 * MIB));
    world.copy(&[]).expect(2, &["Unsupported header"]);
    let options = ["--config", "facts.toml", "--multipart-threshold=5MiB", "--part-size=5MiB"];
    world.copy(&options).expect(0, &[]);
    world.expect_equal();
    run(world.verifying(&["--config", "facts.toml"])).expect(0, &[]);
    let states = look(&world, &["--config", "facts.toml", "--write-probe"], 0);
    expect(&states, "source", &[("checksums", "advice")]);
}

/// The listing takes them, and a look at an object does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_shows_that_a_store_refuses_headers_about_checksums() {
    let world = World::new().await;
    fill(&world);
    let refused = Fault::Refuse { status: 400, code: "InvalidArgument" };
    world.source.faults().add(Rule::once(Matcher::on("HeadObject"), refused));
    let done = run(looking(&world, &["--json"]));
    let (state, _, to_do) = finding(&done, "source", "checksum headers");
    assert!(state == "bad" && to_do.starts_with("give --source-checksums=false: "), "{to_do}");
    assert_eq!(finding(&done, "source", "ranges").0, "good");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_do_not_come_encoded_need_not_be_asked_for() {
    let plain = ServerOptions { encode_listing: false, ..ServerOptions::default() };
    let world = World::with(plain, ServerOptions::default()).await;
    fill(&world);
    let done = run(looking(&world, &["--json", "--destination-list-encoding=false"]));
    assert_eq!(done.code, Some(0), "{done}");
    let of = |side| finding(&done, side, "encoded keys");
    assert_eq!(of("source").0, "advice");
    assert!(of("source").2.starts_with("give --source-list-encoding=false"), "{done}");
    assert!(of("destination").2.starts_with("give --destination-list-encoding=true"), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_side_is_said_to_be_one() {
    let world = World::new().await;
    fill(&world);
    let done = run(looking(&world, &["--json"]));
    for side in ["source", "destination"] {
        assert_eq!(finding(&done, side, "public").0, "good", "{done}");
    }
    world.here().configure(SOURCE, |bucket| bucket.public = true);
    world.there().configure(DESTINATION, |bucket| bucket.public = true);
    let done = run(looking(&world, &["--json"]));
    for (side, word) in
        [("source", "take the public grant"), ("destination", "block public access")]
    {
        let (state, what, to_do) = finding(&done, side, "public");
        assert_eq!(state, "advice", "{done}");
        assert!(what.contains("list it and read its objects") && to_do.contains(word), "{done}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_that_is_expected_is_looked_for() {
    let (owner, stranger) = ("111122223333", "444455556666");
    let world = World::new().await;
    fill(&world);
    let state = |account: &str, code: i32| {
        let done = run(looking(&world, &["--json", "--expected-bucket-owner", account]));
        assert_eq!(done.code, Some(code), "{done}");
        finding(&done, "destination", "owner")
    };
    // A store that does not know owners answers all the same.
    assert_eq!(state(owner, 0).0, "advice");
    world.there().configure(DESTINATION, |bucket| bucket.owner = Some(owner.to_owned()));
    assert_eq!(state(owner, 0).0, "good");
    let (found, what, _) = state(stranger, 8);
    assert!(found == "bad" && what.contains(stranger), "{found}: {what}");
    world.expect_untouched();
}

/// A server that plays a vendor, with a bucket.
async fn vendor(dialect: Dialect, bucket: &str) -> Server {
    let options = ServerOptions { dialect, check_region: false, ..ServerOptions::default() };
    let server = Server::start(signed(options)).await.unwrap();
    server.store().create_bucket(bucket);
    for key in ["a", "b c+%", "c"] {
        server.store().put(bucket, key, "bytes");
    }
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn each_vendor_is_named_and_found_to_be_as_its_row_says() {
    let world = World::new().await;
    for (dialect, scheme, bucket, words) in [
        (Dialect::Oss, "oss", "photos", "Alibaba Cloud OSS: the bucket stands in the host name"),
        (Dialect::Cos, "cos", "photos-1250000000", "listings of version 1"),
        (Dialect::Kodo, "kodo", "photos", "keys in them as they are"),
        (Dialect::Gcs, "gs", "photos", "tags are lost, a CRC-32C of each whole object"),
    ] {
        let (here, there) = (vendor(dialect, bucket).await, vendor(dialect, bucket).await);
        let look = |options: &[&str]| {
            let place = format!("{scheme}://{bucket}");
            let mut command = world.bare(&["doctor", &place, &place, "--json", "--write-probe"]);
            command.args(["--source-endpoint", &here.endpoint()]);
            command.args(["--destination-endpoint", &there.endpoint()]).args(options);
            run(command)
        };
        let done = look(&[]);
        assert_eq!(done.code, Some(0), "{done}");
        assert!(finding(&done, "source", "store").1.contains(words), "{done}");
        assert_eq!(facts(&done), serde_json::json!({}), "{done}");
        assert!(finding(&done, "destination", "store").1.contains("writes are not fenced"));
        for side in ["source", "destination"] {
            assert_eq!(finding(&done, side, "public").0, "good", "{done}");
        }
        let is_bridged = done.out.contains("docs/SOURCES.md#events-of-other-clouds");
        assert_eq!(is_bridged, matches!(dialect, Dialect::Oss | Dialect::Cos), "{done}");
        // Who relies on conditions there is told not to.
        let done = look(&["--destination-conditions"]);
        assert_eq!(facts(&done), serde_json::json!({ "destination-conditions": false }), "{done}");
        here.store().configure(bucket, |bucket| bucket.public = true);
        assert_eq!(finding(&look(&[]), "source", "public").0, "advice");
        assert_eq!(there.store().keys(bucket), ["a", "b c+%", "c"]);
        assert_eq!(there.store().open_uploads(bucket), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_addressing_is_found_out() {
    let world = World::new().await;
    let here = vendor(Dialect::Oss, "photos").await;
    let mut command = world.bare(&["doctor", "oss://photos", &format!("s3://{DESTINATION}")]);
    command.args(["--json", "--source-path-style", "--source-endpoint", &here.endpoint()]);
    command.args(["--destination-endpoint", &world.destination.endpoint()]);
    let done = run(command);
    assert_eq!(done.code, Some(8), "{done}");
    assert_eq!(facts(&done), serde_json::json!({ "source-path-style": false }), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_vendors_policy_is_the_one_of_its_page() {
    let world = World::new().await;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/SOURCES.md")).unwrap();
    for (source, destination, heading, writes) in [
        ("oss://photos", "oss://archive/in/", "## Alibaba Cloud OSS", "acs:oss:*:*:archive/in/*"),
        (
            "cos://photos-1250000000",
            "cos://archive-1250000000/in/",
            "## Tencent Cloud COS",
            "qcs::cos:ap-guangzhou:uid/1250000000:archive-1250000000/in/*",
        ),
        ("gs://photos", "gs://archive/in/", "## Google Cloud Storage", "roles/storage.objectUser"),
    ] {
        let mut command = world.bare(&["doctor", source, destination, "--print-policy"]);
        command.args(["--source-region", "ap-guangzhou", "--destination-region", "ap-guangzhou"]);
        let done = run(command);
        done.expect(0, &[writes]);
        let printed: Value = serde_json::from_str(&done.out).unwrap();
        let (_, section) = page.split_once(heading).unwrap();
        let (_, section) = section.split_once("### Permissions").unwrap();
        let (_, block) = section.split_once("```json").unwrap();
        let (block, also) = block.split_once("```").unwrap();
        assert_eq!(printed["source"], serde_json::from_str::<Value>(block).unwrap(), "{source}");
        let (also, _) = also.split_once("###").unwrap();
        // Every action that the page asks for besides, but for the one of --delete.
        let actions = also.split('`').skip(1).step_by(2);
        let scheme = format!("{}:", source.split(':').next().unwrap());
        for word in actions.filter(|word| word.starts_with(&scheme)) {
            let is_there = printed["destination"].to_string().contains(&format!("\"{word}\""));
            assert_eq!(is_there, !word.ends_with(":DeleteObject"), "{word} {done}");
        }
    }
    let mut command = world.bare(&["doctor", "kodo://photos", "s3://archive", "--print-policy"]);
    command.args(["--source-region", "cn-east-1"]);
    run(command).expect(0, &["Bucket Policy of photos", "arn:aws:s3:::archive/*"]);
}
