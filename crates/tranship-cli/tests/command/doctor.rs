//! The look at both sides: what it finds, what it says to do, and that it does no harm.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use tranship_server::{EtagMode, Fault, Matcher, Rule, ServerOptions, Versioning};

use crate::support::{DESTINATION, Done, SOURCE, World, run};

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
    expect(&states, "destination", &[]);
    assert!(states.len() >= 18, "{states:#?}");
    world.expect_only_read();
    assert!(world.files().is_empty());
    run(looking(&world, &[])).expect(0, &["good", "0 bad, 0 advice, 0 unknown"]);
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
    ];
    expect(&states, "destination", &wanted);
    let words = ["--no-tags", "add one of some days", "turn versioning on", "carry a token"];
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
    ];
    expect(&look(&world, &[], 0), "destination", &unknown);
    world.expect_untouched();
    let states = look(&world, &["--write-probe"], 0);
    let of = |check: &str| states.get(&("destination".to_owned(), check.to_owned())).cloned();
    for check in ["writing", "conditional writes", "odd keys", "multipart uploads", "probe"] {
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
