//! What a stack looks like.

use super::*;
use crate::args::StackArgs;

/// 2026-11-26 12:00:00 UTC.
const NOON: u64 = 1_795_694_400_000;
const NOW: Millis = Millis(NOON + 185_000);

fn address() -> Address {
    let region = Some("eu-west-1".to_owned());
    Address::of(&StackArgs { stack: "photos".to_owned(), region, ..StackArgs::default() }).unwrap()
}

fn count(objects: u64, bytes: u64) -> serde_json::Value {
    json!({ "objects": objects, "bytes": bytes })
}

fn run(ended: bool) -> serde_json::Value {
    json!({
        "kind": "run",
        "id": 12,
        "state": if ended { "complete" } else { "copying" },
        "started_ms": NOON,
        "ended_ms": ended.then_some(NOON + 60_000),
        "listed": count(1_234_567, 5 << 40),
        "outcomes": {
            "invented": count(1, 1),
            "failed": count(2, 1_000),
            "copied": count(1_234_000, 4 << 40),
            "equal": count(4, 20 << 10),
            "vanished": count(0, 0),
        },
        "unsettled": if ended { count(0, 0) } else { count(560, 1 << 40) },
        "balanced": ended,
        "losses": { "ACL grants": 3 },
    })
}

fn status(run: &serde_json::Value, breaker: &serde_json::Value, dead: u64) -> Status {
    serde_json::from_value(json!({
        "stack": "photos",
        "version": "0.1.0",
        "transfer": { "id": "0f3a", "source": "s3://here/a", "destination": "s3://there/b" },
        "breaker": breaker,
        "run": run,
        "queues": [
            { "name": "scan", "waiting": 0, "in_flight": 1 },
            { "name": "transfer", "waiting": 1_024, "in_flight": 100 },
            { "name": "event", "waiting": 0, "in_flight": 0 },
            { "name": "scan-dead-letter", "waiting": 0, "in_flight": 0 },
            { "name": "transfer-dead-letter", "waiting": dead, "in_flight": 0 },
            { "name": "event-dead-letter", "waiting": 0, "in_flight": 0 },
        ],
        "failures": [],
    }))
    .unwrap()
}

#[track_caller]
fn expect(text: &str, golden: &str) {
    assert!(text == golden, "got:\n{text}\nnot:\n{golden}");
}

#[test]
fn a_run_that_copies() {
    let text = status_text(&status(&run(false), &json!(null), 0), &address(), NOW);
    expect(
        &text,
        "\
stack photos (version 0.1.0): copying
s3://here/a → s3://there/b
transfer 0f3a

run 12: copying, begun 2026-11-26 12:00:00 UTC (3m05s ago)
  listed           1,234,567 objects     5.00 TiB
  equal                    4 objects     20.0 KiB
  copied           1,234,000 objects     4.00 TiB
  failed                   2 objects       1000 B
  invented                 1 objects          1 B
  unsettled              560 objects     1.00 TiB
not carried over: ACL grants (3 objects)
1,234,007 of 1,234,567 objects that were listed so far have an outcome (99%)

queue                     waiting    in flight
  scan                          0            1
  transfer                  1,024          100
  event                         0            0
no dead letters
",
    );
}

/// The lines that tell of who polls the queue of the largest objects.
fn of_fleet(fleet: &serde_json::Value) -> Vec<String> {
    let mut answer = json!({
        "stack": "photos",
        "version": "0.1.0",
        "transfer": { "id": "0f3a", "source": "s3://here/a", "destination": "s3://there/b" },
        "breaker": null,
        "run": null,
        "queues": [{ "name": "large", "waiting": 3, "in_flight": 0 }],
    });
    if !fleet.is_null() {
        answer["fleet"] = fleet.clone();
    }
    let text = status_text(&serde_json::from_value(answer).unwrap(), &address(), NOW);
    text.lines().filter(|line| line.starts_with("fleet")).map(str::to_owned).collect()
}

#[test]
fn who_of_the_fleet_was_seen_last_is_told_where_the_stack_knows() {
    let last = json!({ "last": { "by": "rack-7\u{1b}", "seen_ms": NOON + 145_000 } });
    let told = "fleet: rack-7\\u{1b} was seen last, 2026-11-26 12:02:25 UTC (40s ago)";
    assert_eq!(of_fleet(&last), [told]);
    assert_eq!(of_fleet(&json!({ "last": null })), ["fleet: nobody has shown himself yet"]);
    // A stack of an earlier version, or one without a fleet.
    assert_eq!(of_fleet(&json!(null)), Vec::<String>::new());
}

#[test]
fn a_stack_that_halted_with_dead_letters_and_failures() {
    let breaker = json!({ "state": "open", "reason": "AccessDenied\u{1b}", "since_ms": NOON });
    let mut status = status(&run(true), &breaker, 1_000);
    status.failures = serde_json::from_value(json!([
        { "key": "a\u{202e}\u{1b}[31m", "size": 1_500, "reason": "denied\n" },
        { "key": "b", "size": 0, "reason": null, "etag": "x" },
    ]))
    .unwrap();
    status.failures_more = true;
    expect(
        &status_text(&status, &address(), NOW),
        "\
stack photos (version 0.1.0): halted
s3://here/a → s3://there/b
transfer 0f3a

halted since 2026-11-26 12:00:00 UTC (3m05s ago): AccessDenied\\u{1b}
  to do: set right what the reason names; the stack then goes on by itself within minutes, or at once with: tranship resume --stack photos --region eu-west-1

run 12: complete, begun 2026-11-26 12:00:00 UTC, ended 2026-11-26 12:01:00 UTC (2m05s ago), took 1m00s
  listed           1,234,567 objects     5.00 TiB
  equal                    4 objects     20.0 KiB
  copied           1,234,000 objects     4.00 TiB
  failed                   2 objects       1000 B
  invented                 1 objects          1 B
not carried over: ACL grants (3 objects)
2 objects failed; every listed object is accounted for

queue                     waiting    in flight
  scan                          0            1
  transfer                  1,024          100
  event                         0            0
dead letters              waiting    in flight
  scan                          0            0
  transfer                  1,000            0
  event                         0            0
  to do: when the cause is gone, put them back with: tranship retry --stack photos --region eu-west-1

failed objects
  a\\u{202e}\\u{1b}[31m (1.46 KiB): denied\\n
  b (0 B): no reason was recorded
  and more
",
    );
}

#[test]
fn a_stack_that_never_ran_and_one_that_is_paused() {
    let text = status_text(&status(&json!(null), &json!(null), 0), &address(), NOW);
    let part = "): idle\ns3://here/a → s3://there/b\ntransfer 0f3a\n\nno run yet; to begin one, run:\n  tranship run --stack photos --region eu-west-1\n\nqueue";
    assert!(text.contains(part), "{text}");
    let breaker = json!({ "state": "paused", "since_ms": NOON });
    let text = status_text(&status(&run(false), &breaker, 0), &address(), NOW);
    let part = "\npaused since 2026-11-26 12:00:00 UTC (3m05s ago)\n  to do: to go on, run: tranship resume";
    assert!(text.contains("): paused\n") && text.contains(part), "{text}");
}

#[test]
fn a_run_that_is_followed() {
    let status = status(&run(true), &json!(null), 0);
    let mut ended = status.run.clone().unwrap();
    ended.balanced = false;
    ended.outcomes.remove("failed");
    let text = run_ended_text(&status, &ended, NOW);
    assert!(text.starts_with("s3://here/a → s3://there/b\nrun 12: complete, begun"), "{text}");
    assert!(text.ends_with("(3 objects)\nthe account does not balance\n"), "{text}");
    let open: Report = serde_json::from_value(run(false)).unwrap();
    let line = "run 12: copying, 1,234,007 of 1,234,567 objects and 4.00 TiB of 5.00 TiB settled, 2 failed, 3m05s elapsed";
    assert_eq!(progress_line(&open, NOW), line);
}

#[test]
fn what_was_put_back() {
    let redriven = |scan, transfer| {
        let queues = [("scan".to_owned(), scan), ("transfer".to_owned(), transfer)];
        redriven_text(&Redriven(queues.into()))
    };
    assert_eq!(redriven(0, 0), "there were no dead letters to put back\n");
    let text = "put back into the queues:\n  transfer                  1,500\n";
    assert_eq!(redriven(0, 1_500), text);
}

#[test]
fn times_beyond_any_calendar_are_shown_all_the_same() {
    assert_eq!(time_text(0), "1970-01-01 00:00:00 UTC");
    assert_eq!(time_text(u64::MAX), "18446744073709551615 ms after 1970");
    assert_eq!((percent(0, 0), percent(1, 1), percent(u64::MAX - 1, u64::MAX)), (0, 100, 99));
}
