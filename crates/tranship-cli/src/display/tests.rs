//! What a run looks like, in every form.

use std::path::PathBuf;

use serde_json::Value;
use tranship_core::outcome::{Account, Count, Outcome};

use super::*;
use crate::exit::Exit;

/// A writer that can be read.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn reporter(display: Display) -> (Reporter, Page, Page) {
    let (out, err) = (Page::default(), Page::default());
    let resume = "tranship copy s3://a/ s3://b/".to_owned();
    (
        Reporter::with_writers(display, resume, Box::new(out.clone()), Box::new(err.clone())),
        out,
        err,
    )
}

fn summary(failed: u64) -> Summary {
    let mut account = Account::default();
    account.add(Outcome::Copied, 1 << 20);
    for _ in 0..failed {
        account.add(Outcome::Failed, 10);
    }
    account.add(Outcome::Deleted, 5);
    Summary {
        transfer_id: "id".to_owned(),
        source: "s3://a/".to_owned(),
        destination: "s3://b/".to_owned(),
        listed: Count { objects: 1 + failed, bytes: (1 << 20) + 10 * failed },
        account,
        bytes_moved: 1 << 20,
        elapsed_ms: 2_000,
        retries: 3,
        failures: (failed > 0).then(|| PathBuf::from("/s/id.failures.jsonl")),
        losses: vec![("ACL grants".to_owned(), 2)],
        ..Summary::default()
    }
}

fn everything(reporter: &Reporter, summary: &Summary) {
    let progress = Progress::default();
    progress.listed(4, 400);
    progress.settled(Outcome::Equal, 1, 100);
    progress.moved(100);
    reporter.run_started(&RunStart {
        source: "s3://a/".into(),
        destination: "s3://b/".into(),
        ..RunStart::default()
    });
    reporter.show(&progress.read(), false, Millis(1_000));
    reporter.object_failed(&ObjectKey::new("x\u{1b}[31m"), "denied\u{7}");
    reporter.warning("careful\u{1b}");
    reporter.interrupted();
    reporter.run_ended(summary);
}

#[test]
fn plain_lines_go_to_standard_error_and_the_summary_to_standard_output() {
    let (reporter, out, err) = reporter(Display::Lines);
    everything(&reporter, &summary(0));
    let err = err.text();
    for line in [
        "Copying s3://a/ to s3://b/\n",
        "1 of 4+ objects, 200 B of 400+ B",
        "failed: x\\u{1b}[31m: denied\\u{7}\n",
        "warning: careful\\u{1b}\n",
        "To resume, run:\n  tranship copy s3://a/ s3://b/\n",
    ] {
        let line = line.replace("400+ B", "400 B+");
        assert!(err.contains(&line), "{line:?} in {err}");
    }
    assert!(!err.contains('\u{1b}') && !err.contains('\u{7}'));
    assert!(
        out.text().ends_with("complete; every listed object is accounted for\n"),
        "{}",
        out.text()
    );
}

#[test]
fn json_is_one_event_a_line_and_nothing_else() {
    let (reporter, out, err) = reporter(Display::Json);
    everything(&reporter, &summary(1));
    assert_eq!(err.text(), "");
    let events: Vec<Value> =
        out.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["run-started", "progress", "object-failed", "warning", "interrupted", "run-ended"]
    );
    assert_eq!(events[1]["outcomes"]["equal"]["bytes"], 100);
    assert_eq!(events[2]["key"], "x\u{1b}[31m");
    assert_eq!(events[5]["exit_code"], 3);
    assert_eq!(events[5]["balanced"], true);
    assert_eq!(events[5]["losses"]["ACL grants"], 2);
    assert_eq!(events[5]["resume"], "tranship copy s3://a/ s3://b/");
}

#[test]
fn quiet_tells_of_errors_only() {
    let (clean, out, err) = reporter(Display::Quiet);
    clean.run_started(&RunStart::default());
    clean.show(&ProgressReading::default(), true, Millis(1));
    clean.warning("w");
    clean.run_ended(&summary(0));
    assert_eq!(out.text() + &err.text(), "");

    let (failing, out, err) = reporter(Display::Quiet);
    failing.run_ended(&summary(2));
    assert!(
        err.text().contains("complete, 2 objects failed; every listed object is accounted for"),
        "{}",
        err.text()
    );
    assert_eq!(out.text(), "");
}

#[test]
fn a_screen_is_not_flooded_with_failures() {
    let (reporter, _, err) = reporter(Display::Lines);
    for number in 0..1_000 {
        reporter.object_failed(&ObjectKey::new(number.to_string()), "denied");
    }
    assert_eq!(err.text().lines().count(), 21);
}

#[test]
fn the_summary_names_what_matters() {
    let mut summary = summary(2);
    summary.ending = Ending::Interrupted;
    summary.listed.objects += 1;
    let text = summary.text("tranship copy X");
    for part in [
        "  listed                   4 objects     1.00 MiB\n",
        "  failed                   2 objects         20 B\n",
        "  deleted                  1 objects          5 B\n",
        "1.00 MiB read from the source in 2.0s, 512 KiB/s, 3 retries\n",
        "not carried over: ACL grants (2 objects)\n",
        "failure list: /s/id.failures.jsonl\n",
        "interrupted, 2 objects failed; 3 of 4 objects that were listed so far have an outcome\n",
        "to resume, run:\n  tranship copy X\n",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    summary.ending = Ending::Incomplete { reason: "why".to_owned() };
    let text = summary.text("tranship copy X");
    let part = "incomplete: why, 2 objects failed; the account does not balance: 3 objects";
    assert!(text.contains(part), "{text}");
}

#[test]
fn the_ending_chooses_the_exit_code() {
    let with = |ending| Summary { ending, ..summary(0) };
    let reason = || "why".to_owned();
    for (summary, exit) in [
        (summary(0), Exit::Success),
        (summary(1), Exit::Failed),
        (Summary { listed: Count::default(), ..summary(0) }, Exit::Failed),
        (with(Ending::Incomplete { reason: reason() }), Exit::Failed),
        (with(Ending::Halted { reason: reason() }), Exit::Halted),
        (with(Ending::Interrupted), Exit::Interrupted),
    ] {
        assert_eq!(summary.exit(), exit, "{summary:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn watching_writes_a_line_every_five_seconds() {
    let (reporter, _, err) = reporter(Display::Lines);
    let watch = reporter.watch(Arc::default(), Arc::new(AtomicBool::new(true)));
    let ended = tokio::time::timeout(Duration::from_secs(21), watch).await;
    assert!(ended.is_err(), "watching never ends by itself");
    assert_eq!(err.text().lines().count(), 4);
}

#[test]
fn a_failure_of_the_whole_command_says_what_to_do() {
    let (reporter, _, err) = reporter(Display::Lines);
    reporter.run_failed(&Failure::new(
        Exit::Ledger,
        "the ledger\u{1b} is locked",
        "wait for the other run",
    ));
    assert_eq!(err.text(), "error: the ledger\\u{1b} is locked\n  to do: wait for the other run\n");
}
