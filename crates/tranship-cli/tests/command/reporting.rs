//! The run report: what it says, and that it stands alone.

use serde_json::{Value, json};
use tranship_server::{Fault, Matcher, Properties, Rule};

use crate::support::{DESTINATION, MIB, SOURCE, World, expect_outcomes, noise, run};

/// Everything by which a page could fetch something.
const REFERENCES: [&str; 9] =
    ["<script", "<link", "<img", "<iframe", "src=", "href=", "url(", "@import", "http://"];

/// The fields of a run's report, whichever host ran it.
pub(crate) const REPORT_FIELDS: [&str; 12] = [
    "balance",
    "ended",
    "failures",
    "other_prefixes",
    "prefixes",
    "report",
    "run",
    "started",
    "throughput",
    "tranship",
    "version",
    "without_prefix",
];
/// Those of the run in it.
pub(crate) const RUN_FIELDS: [&str; 16] = [
    "balanced",
    "bytes_moved",
    "delete_manifest",
    "deletes_held",
    "dry_run",
    "elapsed_ms",
    "ending",
    "exit_code",
    "failed_deliveries",
    "failures",
    "listed",
    "losses",
    "outcomes",
    "reason",
    "retries",
    "transfer",
];
/// Those of a moment of it.
pub(crate) const POINT_FIELDS: [&str; 6] =
    ["at_ms", "bytes_copied", "bytes_moved", "failed_deliveries", "retries", "settled_objects"];

/// The names of an object's fields, in their order.
pub(crate) fn fields(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn report(world: &World, folder: &str) -> (Value, String) {
    let text = world.read(&format!("{folder}/report.json"));
    assert!(text.is_ascii() && text.lines().count() == 1, "{text}");
    let html = world.read(&format!("{folder}/report.html"));
    for reference in REFERENCES {
        assert!(!html.contains(reference), "{reference} in {html}");
    }
    let is_odd = |c: &char| (c.is_control() && *c != '\n') || *c == '\u{202e}';
    assert_eq!(html.chars().find(is_odd), None, "{html}");
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    (serde_json::from_str(&text).unwrap(), html)
}

fn prefix<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report["prefixes"].as_array().unwrap();
    all.iter().find(|row| row["prefix"] == name).unwrap_or_else(|| panic!("no {name} in {report}"))
}

fn objects(row: &Value, outcome: &str) -> u64 {
    row.pointer(&format!("/outcomes/{outcome}/objects")).and_then(Value::as_u64).unwrap()
}

/// Objects under some prefixes, with most outcomes.
async fn world() -> World {
    let world = World::new().await;
    for n in 0..30 {
        world.put(&format!("in/a/{n:02}"), noise(n, 1_000));
    }
    for n in 0..5 {
        world.put(&format!("in/<script>alert('b')\u{202e}/{n}"), noise(n, 10));
    }
    world.put("in/c/large", noise(1, 12 * MIB));
    world.put("in/c/skip", noise(1, 7));
    world.put("in/c/same", noise(2, 70));
    world.there().put(DESTINATION, "out/c/same", noise(2, 70));
    world.there().put(DESTINATION, "out/d/extra", noise(3, 33));
    let tags = vec![("project".to_owned(), "x".to_owned())];
    world.here().put_with(SOURCE, "in/top", noise(4, 40), Properties::default(), tags);
    world.put("in/a/bad<b>\n", noise(1, 9));
    let rule = Rule::new(Matcher::on("GetObject").key("bad"), Fault::Status5xxBefore);
    world.source.faults().add(rule);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_has_accounts_failures_losses_and_time() {
    let world = world().await;
    let (from, to) = (format!("s3://{SOURCE}/in/"), format!("s3://{DESTINATION}/out/"));
    let options = ["--report", "reports/one", "--retries", "1", "--no-tags", "--exclude", "*skip"];
    let more = ["--multipart-threshold", "6MiB", "--delete", "--delete-unversioned"];
    let mut command = world.copying_at(&from, &to, &options);
    command.args(more).args(["--delete-max-ratio", "100"]);
    run(command).expect(3, &["run report: reports/one", "1 object failed"]);
    let files: Vec<_> =
        world.files().into_iter().filter(|file| file.starts_with("reports/")).collect();
    assert_eq!(files, ["reports/one/report.html", "reports/one/report.json"]);

    let (report, html) = report(&world, "reports/one");
    assert_eq!(fields(&report), REPORT_FIELDS);
    assert_eq!(fields(&report["run"]), RUN_FIELDS);
    assert_eq!((&report["report"], &report["version"]), (&json!("run"), &json!(1)));
    assert_eq!(report["balance"]["balanced"], true, "{report}");
    assert!(report["balance"]["statement"].as_str().unwrap().starts_with("Every prefix balances"));
    assert_eq!(
        (&report["without_prefix"], &report["other_prefixes"]),
        (&Value::Null, &Value::Null)
    );
    let hostile = "<script>alert('b')\u{202e}/";
    let (a, b, c) = (prefix(&report, "a/"), prefix(&report, hostile), prefix(&report, "c/"));
    assert_eq!((objects(a, "copied"), objects(a, "failed")), (30, 1));
    assert_eq!(a["listed"], json!({ "objects": 31, "bytes": 30_009 }));
    assert_eq!(objects(b, "copied"), 5);
    let of_c = ["copied", "filtered", "equal"].map(|outcome| objects(c, outcome));
    assert_eq!(of_c, [1, 1, 1]);
    assert_eq!(c["outcomes"]["copied"]["bytes"], 12 * MIB);
    assert_eq!(objects(prefix(&report, ""), "copied"), 1);
    let d = prefix(&report, "d/");
    assert_eq!((objects(d, "extra"), objects(d, "deleted")), (0, 1));
    assert_eq!(d["listed"]["objects"], 0);
    // Together they are the run's own account.
    for (outcome, count) in report["run"]["outcomes"].as_object().unwrap() {
        let rows = report["prefixes"].as_array().unwrap();
        let sum: u64 = rows.iter().map(|row| objects(row, outcome)).sum();
        assert_eq!(count["objects"].as_u64(), Some(sum), "{outcome}");
    }
    assert_eq!(report["failures"]["count"], 1);
    let failure = &report["failures"]["first"][0];
    assert_eq!(failure["key"], "in/a/bad<b>\n");
    assert!(failure["reason"].as_str().unwrap().contains("InternalError"), "{failure}");
    assert_eq!(
        report["run"]["losses"],
        json!({ "tags, which are switched off, or which one of the stores does not hand over or take": 1 })
    );
    assert!(report["run"]["retries"].as_u64() > Some(0), "{report}");
    // The delivery that failed, and the one in which it was given up.
    assert_eq!(report["run"]["failed_deliveries"], 2, "{report}");
    let points = report["throughput"].as_array().unwrap();
    assert_eq!(fields(&points[0]), POINT_FIELDS);
    let copied = &report["run"]["outcomes"]["copied"]["bytes"];
    assert_eq!(&points.last().unwrap()["bytes_copied"], copied);
    let moved = |point: Option<&Value>| point.unwrap()["bytes_moved"].as_u64();
    assert!(moved(points.first()) < moved(points.last()), "{report}");
    assert_eq!(moved(points.last()), report["run"]["bytes_moved"].as_u64());

    for text in [
        "in/a/bad&lt;b&gt;\\n",
        "&lt;script&gt;alert(&#39;b&#39;)\\u{202e}/",
        "Every prefix balances",
        "(keys without a slash)",
        "tags, which are switched off, or which one of the stores does not hand over or take",
        "1 object failed",
        "objects with an outcome",
        "The run balances",
        "tried again or given up: 2.",
    ] {
        assert!(html.contains(text), "no {text:?} in {html}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_a_resumed_run_is_of_the_whole_run() {
    let world = World::new().await;
    for n in 0..40 {
        world.put(&format!("{}/{n}", n % 4), noise(n, 100));
    }
    world.there().configure(DESTINATION, |bucket| bucket.deny_write = true);
    let options = ["--json", "--report", "out"];
    assert_eq!(world.copy(&options).code, Some(4));
    let (halted, html) = report(&world, "out");
    assert_eq!(halted["run"]["ending"], "halted");
    assert_eq!((&halted["ended"], &halted["balance"]["balanced"]), (&Value::Null, &json!(false)));
    let statement = halted["balance"]["statement"].as_str().unwrap();
    assert!(
        statement.contains("0/: listed 10 objects and 1000 bytes, with an outcome 0 and 0"),
        "{statement}"
    );
    assert!(html.contains("does not balance"), "{html}");
    assert!(html.contains("<td>without an outcome</td><td class=\"n\">40</td>"), "{html}");
    world.there().configure(DESTINATION, |bucket| bucket.deny_write = false);
    let done = world.copy(&options);
    assert_eq!(done.events()[0]["resumed"], true, "{done}");
    let ended = done.last_event();
    expect_outcomes(&ended, &[("copied", 40)]);
    assert_eq!(ended["report"], "out");
    let (whole, _) = report(&world, "out");
    assert_eq!(whole["balance"]["balanced"], true, "{whole}");
    assert_eq!(whole["prefixes"].as_array().unwrap().len(), 4);
    for name in ["0/", "1/", "2/", "3/"] {
        let row = prefix(&whole, name);
        assert_eq!((objects(row, "copied"), &row["balanced"]), (10, &json!(true)), "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_written_is_named_before_anything_is_copied() {
    let world = World::new().await;
    world.put("k", "bytes");
    world.write("file", "");
    world.copy(&["--report", "file"]).expect(2, &["the run report", "file", "--report"]);
    world.expect_untouched();
    world.copy(&["--report", "out", "--dry-run"]).expect(0, &["nothing was written"]);
    assert!(!world.path("out").exists());
}
