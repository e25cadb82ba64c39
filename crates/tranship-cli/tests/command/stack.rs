//! The commands that ask a deployed stack, against a server that answers as Lambda does.

use serde_json::{Value, json};

use crate::lambda::{Lambda, Reply};
use crate::reporting::{POINT_FIELDS, REPORT_FIELDS, RUN_FIELDS, fields};
use crate::support::{DESTINATION, Done, SOURCE, World, end, outcomes, run, send, until};

const PATH: &str = "/2015-03-31/functions/photos-finder/invocations";
const STATUS: &str = r#"{"tranship":"status"}"#;
const RUN: &str = r#"{"tranship":"run"}"#;

fn report(id: u64, state: &str, failed: u64) -> Value {
    let is_open = matches!(state, "copying" | "deleting");
    json!({
        "kind": "run", "id": id, "state": state, "started_ms": 1_795_694_400_000_u64,
        "ended_ms": (!is_open).then_some(1_795_694_401_000_u64),
        "listed": { "objects": 10, "bytes": 1_000 },
        "outcomes": {
            "copied": { "objects": 10 - failed, "bytes": 1_000 - failed },
            "failed": { "objects": failed, "bytes": failed },
        },
        "unsettled": { "objects": 0, "bytes": 0 }, "balanced": !is_open, "losses": {},
        "failed_deliveries": 3,
    })
}

fn status(run: &Value, breaker: &Value) -> Value {
    json!({
        "stack": "photos", "version": "0.1.0", "new-field": [1],
        "transfer": { "id": "0f3a", "source": "s3://here/", "destination": "s3://there/" },
        "breaker": breaker, "run": run,
        "queues": [
            { "name": "scan", "waiting": 0, "in_flight": 0 },
            { "name": "scan-dead-letter", "waiting": 2, "in_flight": 0 },
        ],
        "failures": [{ "key": "k\u{1b}[31mé", "size": 1, "reason": "denied" }],
        "failures_more": true,
    })
}

fn begun(id: u64) -> Reply {
    Reply::of(&json!({ "begun": true, "why": null, "run": report(id, "copying", 0) }))
}

fn halted(state: &str) -> Value {
    json!({ "state": state, "reason": "the key is denied", "since_ms": 1_795_694_400_000_u64 })
}

async fn ask(script: impl IntoIterator<Item = Reply>, args: &[&str]) -> (Done, Lambda) {
    let (world, lambda) = (World::new().await, Lambda::start(script).await);
    let mut all = args.to_vec();
    all.extend(["--stack", "photos"]);
    let done = run(lambda.command(&world, &all));
    assert!(world.files().is_empty());
    assert!(lambda.paths().iter().all(|path| path == PATH), "{:?}", lambda.paths());
    (done, lambda)
}

#[tokio::test(flavor = "multi_thread")]
async fn status_is_shown_and_succeeds_though_objects_failed() {
    let answer = status(&report(7, "complete", 1), &json!(null));
    let (done, lambda) = ask([Reply::of(&answer)], &["status"]).await;
    done.expect(
        0,
        &[
            "stack photos (version 0.1.0): idle",
            "s3://here/ → s3://there/",
            "run 7: complete",
            "1 object failed; every listed object is accounted for",
            "tranship retry --stack photos",
            "k\\u{1b}[31mé (1 B): denied",
            "  and more",
        ],
    );
    assert_eq!(done.err, "");
    assert_eq!(lambda.questions(), [STATUS]);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_the_answer_as_it_came() {
    let answer = status(&json!(null), &halted("open"));
    let pretty = serde_json::to_string_pretty(&answer).unwrap();
    let (done, _) = ask([Reply::text(&pretty)], &["status", "--json"]).await;
    assert_eq!(done.code, Some(0), "{done}");
    assert_eq!(done.events(), [answer]);
    assert_eq!(done.err, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_goes_on_until_it_is_interrupted() {
    let world = World::new().await;
    let lambda = Lambda::start([Reply::of(&status(&json!(null), &json!(null)))]).await;
    let args = ["status", "--stack", "photos", "--watch", "--every", "1"];
    let child = lambda.command(&world, &args).spawn().unwrap();
    until("it asked three times", || lambda.questions().len() > 2).await;
    send("INT", &child);
    let done = end(child);
    done.expect(130, &["goes on in the stack", "tranship status --stack photos"]);
    assert!(done.out.matches("stack photos").count() > 1, "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_begun_and_not_waited_for() {
    let (done, lambda) = ask([begun(7)], &["run"]).await;
    done.expect(0, &["run 7 is begun", "tranship status --stack photos"]);
    assert_eq!(lambda.questions(), [RUN]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_waited_for_exits_as_a_copy_does() {
    let goes_on = || Reply::of(&status(&report(7, "copying", 0), &json!(null)));
    let passing = || Reply::failed("Tranship.Unavailable", "throttled");
    let cases = [
        (status(&report(7, "complete", 0), &json!(null)), 0, "every listed object"),
        (status(&report(7, "complete", 1), &json!(null)), 3, "1 object failed"),
        (status(&report(7, "incomplete", 0), &json!(null)), 3, "run 7: incomplete"),
        (status(&report(7, "failed", 0), &halted("open")), 3, "run 7: failed"),
        (status(&report(7, "copying", 0), &halted("open")), 4, "halted: the key is denied"),
        (status(&report(7, "copying", 0), &halted("paused")), 4, "tranship resume --stack photos"),
        (status(&report(8, "copying", 0), &json!(null)), 1, "run 8 has begun since"),
        (status(&json!(null), &json!(null)), 1, "does not know run 7"),
    ];
    for (last, code, word) in cases {
        let script = [begun(7), goes_on(), passing(), Reply::of(&last)];
        let (done, lambda) = ask(script, &["run", "--wait", "--every", "1"]).await;
        done.expect(code, &["run 7 is begun", "run 7: copying, 10 of 10", "throttled", word]);
        assert_eq!(lambda.questions(), [RUN, STATUS, STATUS, STATUS]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_begun_says_why() {
    let not = |run: Value| Reply::of(&json!({ "begun": false, "why": "not now", "run": run }));
    let open = || not(report(7, "copying", 0));
    let idle = Reply::of(&status(&report(7, "copying", 0), &json!(null)));
    let (done, _) = ask([open(), idle], &["run"]).await;
    done.expect(1, &["no run was begun: not now", "tranship status --stack photos"]);

    let ended = Reply::of(&status(&report(7, "complete", 0), &json!(null)));
    let (done, lambda) = ask([open(), ended], &["run", "--wait"]).await;
    done.expect(0, &["not now; the open one is followed", "run 7: complete"]);
    assert_eq!(lambda.questions(), [RUN, STATUS]);

    for options in [&["run"][..], &["run", "--wait"]] {
        let paused = Reply::of(&status(&report(7, "complete", 0), &halted("paused")));
        let (done, _) = ask([not(report(7, "complete", 0)), paused], options).await;
        done.expect(4, &["no run was begun: not now", "tranship resume --stack photos"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_goes_on_while_something_is_left() {
    let put_back = |scan, transfer, left| {
        let redriven = json!({ "scan": scan, "transfer": transfer, "event": 0 });
        Reply::of(&json!({ "redriven": redriven, "left": left }))
    };
    let script = [put_back(1, 1_000, true), put_back(0, 500, true), put_back(2, 0, false)];
    let (done, lambda) = ask(script, &["retry"]).await;
    done.expect(
        0,
        &["put back", "transfer                  1,500", "scan                          3"],
    );
    assert_eq!(lambda.questions(), [r#"{"tranship":"retry"}"#; 3]);

    let (done, _) = ask([put_back(0, 0, false)], &["retry"]).await;
    done.expect(0, &["no dead letters"]);

    let (done, lambda) = ask([put_back(0, 0, true)], &["retry"]).await;
    done.expect(1, &["puts none back", "/aws/lambda/photos-finder"]);
    assert_eq!(lambda.questions().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_paused_and_goes_on() {
    let (done, lambda) =
        ask([Reply::of(&json!({ "breaker": halted("paused") }))], &["pause"]).await;
    done.expect(0, &["paused since 2026-", "tranship resume --stack photos"]);
    assert_eq!(lambda.questions(), [r#"{"tranship":"pause"}"#]);
    let (done, lambda) = ask([Reply::of(&json!({ "breaker": null }))], &["resume"]).await;
    done.expect(0, &["the stack goes on"]);
    assert_eq!(lambda.questions(), [r#"{"tranship":"resume"}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_explained() {
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:photos-finder";
    let denied =
        format!("User: me is not authorized to perform: lambda:InvokeFunction on resource: {arn}");
    let cases = [
        (
            Reply::refused(404, "ResourceNotFoundException", "Function not found"),
            1,
            &["no function photos-finder in eu-west-1", "check --stack", "--region"][..],
        ),
        (
            Reply::refused(403, "AccessDeniedException", &denied),
            1,
            &[
                "is denied",
                "allow the caller lambda:InvokeFunction on arn:aws:lambda:eu-west-1:123456789012:function:photos-finder",
            ],
        ),
        (
            Reply::refused(403, "ExpiredTokenException", "The token is expired"),
            1,
            &["the credentials were refused", "renew them"],
        ),
        (
            Reply::failed("Tranship.BadSettings", "TRANSHIP_TABLE is missing"),
            1,
            &["could not do status", "Tranship.BadSettings: TRANSHIP_TABLE is missing", "deploy"],
        ),
        (
            Reply::failed("Tranship.Halted", "no\u{1b}"),
            4,
            &["Halted: no\\u{1b}", "tranship resume"],
        ),
        (
            Reply::failed("Runtime.ExitError", "signal: killed"),
            1,
            &["Runtime.ExitError: signal: killed", "its log, /aws/lambda/photos-finder"],
        ),
        (
            Reply::text(r#"{"version":"7.0.0"}"#),
            1,
            &["cannot be read", env!("CARGO_PKG_VERSION"), "the stack of version 7.0.0"],
        ),
        (Reply::text("<html>"), 1, &["cannot be read", "unknown version"]),
    ];
    for (reply, code, words) in cases {
        let (done, lambda) = ask([reply.clone()], &["status"]).await;
        done.expect(code, words);
        assert_eq!((done.out.as_str(), lambda.questions().len()), ("", 1), "{done}");
        let (in_json, _) = ask([reply], &["status", "--json"]).await;
        let event = in_json.last_event();
        assert_eq!(
            (&event["event"], &event["exit_code"]),
            (&json!("command-failed"), &json!(code))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_options_and_missing_facts_are_explained() {
    let world = World::new().await;
    let lambda = Lambda::start([Reply::text("{}")]).await;
    let cases: &[(&[&str], &[&str])] = &[
        (&["status"], &["required", "--stack <NAME>"]),
        (&["status", "--stack", "a/b"], &["not the name of a stack: \"a/b\"", "--stack"]),
        (&["pause", "--stack", "\u{1b}[31m"], &["\\u{1b}[31m", "letters, digits"]),
        (&["run", "--stack", "a", "--region", "a.b"], &["not a region: \"a.b\"", "--region"]),
        (&["run", "--stack", "a", "--profile", ""], &["the profile is empty", "--profile"]),
        (&["run", "--stack", "a", "--every", "1"], &["--wait"]),
        (&["status", "--stack", "a", "--watch", "--every", "0"], &["1..=3600"]),
        (&["retry", "--stack", "a", "--watch"], &["unexpected argument '--watch'"]),
    ];
    for (args, words) in cases {
        world.refuses(lambda.command(&world, args), 2, words);
    }
    world.refuses(world.bare(&["status", "--stack", "a"]), 2, &["region of the stack", "--region"]);
    assert!(lambda.questions().is_empty());

    let mut nobody = lambda.command(&world, &["status", "--stack", "a"]);
    nobody.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    world.refuses(nobody, 1, &["no credentials", "--profile"]);
    let unknown = lambda.command(&world, &["status", "--stack", "a", "--profile", "none"]);
    world.refuses(unknown, 1, &["no credentials", "--profile"]);
    assert!(lambda.questions().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn region_and_profile_are_those_that_are_named() {
    let world = World::new().await;
    let lambda = Lambda::start([Reply::of(&json!({ "breaker": null }))]).await;
    world.write(
        "config",
        "[profile mine]\naws_access_key_id = AKIDMINE\naws_secret_access_key = x\n",
    );
    let args = ["resume", "--stack", "a", "--region", "eu-west-1", "--profile", "mine"];
    let mut command = lambda.command(&world, &args);
    command.env("AWS_CONFIG_FILE", world.path("config")).env("AWS_REGION", "us-east-1");
    run(command).expect(0, &["the stack goes on"]);
    assert_eq!(lambda.signers(), ["AKIDMINE"]);
}

/// What the stack is set to stands in for a configuration file; the command line goes before it.
#[tokio::test(flavor = "multi_thread")]
async fn plan_verify_and_doctor_take_places_and_options_from_a_stack() {
    let world = World::new().await;
    for n in 0..3 {
        world.put(&format!("in/{n}"), "bytes");
        world.there().put(DESTINATION, &format!("out/{n}"), "other");
    }
    let settings = json!({
        "options": {
            "source": format!("s3://{SOURCE}/in/"), "source-region": "us-east-1",
            "source-endpoint": world.source.endpoint(), "source-path-style": true,
            "destination": format!("s3://{DESTINATION}/out/"), "destination-region": "us-east-1",
            "destination-endpoint": world.destination.endpoint(),
            "overwrite": "never", "delete": true, "delete-max": 5, "delete-unversioned": true,
        },
        "left_out": ["the credentials of the source"],
    });
    let lambda = Lambda::start([Reply::of(&settings)]).await;
    let ask = |args: &[&str]| {
        let mut all = args.to_vec();
        all.extend(["--stack", "photos"]);
        run(lambda.command(&world, &all))
    };
    let planned = ask(&["plan", "--json"]);
    planned.expect(0, &["not taken over from the stack: the credentials of the source"]);
    assert_eq!(outcomes(&planned.last_event()), [("kept".to_owned(), 3)]);
    let planned = ask(&["plan", "--json", "--overwrite", "always"]);
    assert_eq!(outcomes(&planned.last_event()), [("copied".to_owned(), 3)]);
    ask(&["verify"]).expect(6, &["3 objects"]);
    ask(&["doctor"]).expect(0, &["in/"]);
    assert!(lambda.questions().iter().all(|body| body == r#"{"tranship":"settings"}"#));
    world.expect_only_read();

    // Within one store a stack passes the bytes through its workers, and the plan is of that copy.
    world.here().put(DESTINATION, "out/other", "bytes");
    let within = |more: Value| {
        let mut options = json!({
            "source": format!("s3://{SOURCE}/in/"), "destination": format!("s3://{DESTINATION}/out/"),
            "source-endpoint": world.source.endpoint(), "source-path-style": true,
            "destination-endpoint": world.source.endpoint(), "destination-path-style": true,
        });
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "options": options, "left_out": [] })
    };
    for (more, is_read, rate) in [
        (json!({ "server-side": "never", "bandwidth": "5MiB" }), true, 5_u64 << 20),
        (json!({}), false, 4 << 30),
    ] {
        let lambda = Lambda::start([Reply::of(&within(more))]).await;
        let planned = run(lambda.command(&world, &["plan", "--stack", "photos", "--json"]));
        let forecast = planned.last_event().pointer("/plan/forecast").cloned().unwrap();
        assert_eq!(forecast["requests"].to_string().contains("\"GET\""), is_read, "{forecast}");
        assert_eq!(forecast["rates"]["bytes_per_second"]["high"], rate, "{forecast}");
    }

    world.refuses(
        lambda.command(&world, &["plan", "--stack", "photos", "--config", "c.toml"]),
        2,
        &["--stack", "cannot be used with"],
    );
    let newer = json!({ "options": { "flavour": "sweet" }, "left_out": [] });
    let lambda = Lambda::start([Reply::of(&newer)]).await;
    let asked = lambda.command(&world, &["verify", "--stack", "photos"]);
    world.refuses(asked, 2, &["unknown key \"flavour\"", "the stack's settings"]);
    let lambda = Lambda::start([Reply::failed("Tranship.BadInput", "unknown variant")]).await;
    run(lambda.command(&world, &["plan", "--stack", "photos"])).expect(1, &["unknown variant"]);
}

/// A part of the accounts by prefix of `run`: the objects listed and copied under each prefix.
fn part(run: u64, prefixes: &[(&str, u64, u64)], through: Option<&str>) -> Reply {
    Reply::of(&part_of(run, prefixes, through))
}

fn part_of(run: u64, prefixes: &[(&str, u64, u64)], through: Option<&str>) -> Value {
    let prefixes: serde_json::Map<_, _> = prefixes
        .iter()
        .map(|(prefix, listed, copied)| {
            let count = |objects: &u64| json!({ "objects": objects, "bytes": 100 * objects });
            let outcomes = json!({ "copied": count(copied) });
            ((*prefix).to_owned(), json!({ "listed": count(listed), "outcomes": outcomes }))
        })
        .collect();
    json!({ "run": run, "prefixes": prefixes, "through": through, "new-field": 1 })
}

fn asked_for(after: &str) -> String {
    format!(r#"{{"tranship":"report","run":7,"after":"{after}"}}"#)
}

const FIRST: &str = r#"{"tranship":"report","run":7}"#;

/// The report that `args` write, as JSON and as a page, and what they asked for.
async fn reported(script: Vec<Reply>, args: &[&str]) -> (Value, String, Done, Lambda) {
    let (world, lambda) = (World::new().await, Lambda::start(script).await);
    let mut all = args.to_vec();
    all.extend(["--stack", "photos", "--report", "out"]);
    let done = run(lambda.command(&world, &all));
    done.expect(0, &["the report is in out"]);
    let text = world.read("out/report.json");
    assert!(text.is_ascii() && text.lines().count() == 1, "{text}");
    let page = world.read("out/report.html");
    assert!(!page.contains('\u{1b}') && !page.contains("<script"), "{page}");
    (serde_json::from_str(&text).unwrap(), page, done, lambda)
}

/// The whole account of run 7 in three parts, the second at a second attempt; and how it went.
fn parts() -> Vec<Reply> {
    let moment = |at_ms: u64, objects: u64, failed: u64| {
        json!({
            "at_ms": at_ms, "bytes_copied": 100 * objects, "settled_objects": objects,
            "failed_deliveries": failed, "new-field": 1,
        })
    };
    let mut last = part_of(7, &[("a/", 0, 2), ("", 3, 3)], None);
    let timeline = json!([moment(0, 0, 0), moment(250, 4, 2), moment(1_000, 10, 3)]);
    last.as_object_mut().unwrap().insert("timeline".to_owned(), timeline);
    vec![
        part(7, &[("a/", 6, 0), ("<script>\u{1b}/", 1, 0)], Some("share/1")),
        Reply::failed("Tranship.Unavailable", "throttled"),
        part(7, &[("a/", 0, 4), ("<script>\u{1b}/", 0, 1)], Some("task/1")),
        Reply::of(&last),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_a_stacks_run_adds_up_its_parts_by_prefix() {
    let answer = status(&report(7, "complete", 0), &json!(null));
    for args in [&["status"][..], &["run", "--wait"]] {
        let mut script = vec![Reply::of(&answer)];
        if args.len() > 1 {
            script = vec![begun(7), Reply::of(&answer), Reply::of(&answer)];
        }
        let before = script.len();
        script.extend(parts());
        let (json, page, done, lambda) = reported(script, args).await;
        assert!(done.err.contains("throttled"), "{done}");
        let asked = [FIRST, &asked_for("share/1"), &asked_for("share/1"), &asked_for("task/1")];
        assert_eq!(lambda.questions()[before..], asked);
        assert_eq!(json["balance"]["balanced"], true, "{json}");
        let row = |row: &Value| {
            let objects = |at: &str| row.pointer(at).and_then(Value::as_u64).unwrap();
            assert_eq!(row["balanced"], true, "{row}");
            let counts = (objects("/listed/objects"), objects("/outcomes/copied/objects"));
            (row["prefix"].as_str().unwrap().to_owned(), counts)
        };
        let rows: Vec<_> = json["prefixes"].as_array().unwrap().iter().map(row).collect();
        let wanted = [("a/", (6, 6)), ("", (3, 3)), ("<script>\u{1b}/", (1, 1))];
        assert_eq!(rows, wanted.map(|(name, counts)| (name.to_owned(), counts)));
        assert_eq!(
            (&json["other_prefixes"], &json["without_prefix"]),
            (&Value::Null, &Value::Null)
        );
        for text in [
            "s3://here/ → s3://there/",
            "Run 7 is complete",
            "The run balances",
            "Every prefix balances",
            "bytes listed by prefix",
            "&lt;script&gt;",
            "(keys without a slash)",
            "denied",
            "scan-dead-letter",
        ] {
            assert!(page.contains(text), "{text}: {page}");
        }
    }
}

/// What a program reads of a copy in one process it reads of a stack's run.
#[tokio::test(flavor = "multi_thread")]
async fn a_stacks_report_has_the_form_of_a_copys_and_tells_how_the_run_went() {
    let answer = status(&report(7, "complete", 0), &json!(null));
    let script = [vec![Reply::of(&answer)], parts()].concat();
    let (json, page, ..) = reported(script, &["status"]).await;
    assert_eq!(json["stack"], answer, "as it came");
    let own: Vec<_> = fields(&json).into_iter().filter(|name| *name != "stack").collect();
    assert_eq!(own, REPORT_FIELDS);
    let of_run = fields(&json["run"]).into_iter();
    let of_run: Vec<_> = of_run.filter(|name| !["id", "unsettled"].contains(name)).collect();
    assert_eq!(of_run, RUN_FIELDS);
    assert_eq!((&json["report"], &json["version"]), (&json!("run"), &json!(1)));
    assert_eq!(json["started"], "2026-11-26T12:00:00Z");
    let run = |name: &str| &json["run"][name];
    assert_eq!((run("failed_deliveries"), run("retries")), (&json!(3), &Value::Null));
    assert_eq!((run("exit_code"), run("elapsed_ms")), (&json!(0), &json!(1_000)));
    let failures = json!([{ "key": "k\u{1b}[31mé", "size": 1, "reason": "denied" }]);
    assert_eq!(json["failures"], json!({ "count": 1, "first": failures }));

    let points = json["throughput"].as_array().unwrap();
    assert_eq!((points.len(), fields(&points[1])), (3, POINT_FIELDS.to_vec()));
    let at = |name: &str| points[1][name].as_u64();
    let copied = (at("at_ms"), at("bytes_copied"), at("settled_objects"));
    assert_eq!(copied, (Some(250), Some(400), Some(4)));
    assert_eq!((at("failed_deliveries"), at("bytes_moved")), (Some(2), None));
    for text in [
        "tried again or given up: 3.",
        "bytes a second",
        "1.56 KiB/s",
        "10 objects with an outcome",
        "3 deliveries that failed",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stacks_report_names_the_failures_of_its_status_and_where_all_are() {
    let mut answer = status(&report(7, "complete", 9), &json!(null));
    let failed = |n: u64| json!({ "key": format!("{n}"), "size": n, "reason": "denied" });
    answer["failures"] = (1..=5).map(failed).collect();
    let script = [vec![Reply::of(&answer)], parts()].concat();
    let (json, page, ..) = reported(script, &["status"]).await;
    assert_eq!(json["failures"], json!({ "count": 9, "first": answer["failures"] }));
    assert_eq!(json["run"]["failures"], "reports/run/0000000000000007/");
    assert!(page.contains("All of them: under reports/run/0000000000000007/"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stacks_report_names_what_does_not_balance_and_what_has_no_prefix() {
    let answer = || Reply::of(&status(&report(7, "complete", 0), &json!(null)));
    let odd = || part(7, &[("a/", 6, 5), ("b/", 1, 1)], None);
    let (json, page, ..) = reported(vec![answer(), odd()], &["status"]).await;
    assert_eq!(json["balance"]["balanced"], false, "{json}");
    assert_eq!(json["without_prefix"]["listed"]["objects"], 3, "{json}");
    for text in ["Not every prefix balances: a/: listed 6 objects", "(recorded without a prefix)"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    // Nothing has to balance while the run goes on.
    let open = Reply::of(&status(&report(7, "copying", 0), &json!(null)));
    let (json, page, ..) = reported(vec![open, odd()], &["status"]).await;
    assert_eq!(json["balance"]["balanced"], false, "{json}");
    assert!(page.contains("its prefixes are balanced when it ends"), "{page}");
    assert!(page.contains("not yet") && !page.contains("does not balance"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stacks_report_says_why_it_has_no_accounts_by_prefix() {
    let answer = status(&report(7, "complete", 1), &json!(null));
    let first = || part(7, &[("a/", 6, 6)], Some("share/1"));
    let cases = [
        (vec![Reply::failed("Tranship.BadInput", "unknown variant")], "of an older version"),
        (vec![first(), part(8, &[("a/", 1, 1)], None)], "run 8 has begun"),
    ];
    for (parts, why) in cases {
        let script = [vec![Reply::of(&answer)], parts].concat();
        let (json, page, done, _) = reported(script, &["status"]).await;
        assert!(done.err.contains(why), "{done}");
        assert_eq!(json["prefixes"], Value::Null, "{json}");
        assert!(json["prefixes_missing"].as_str().unwrap().contains(why), "{json}");
        assert_eq!(json["throughput"], Value::Null, "{json}");
        assert_eq!((&json["run"]["id"], &json["stack"]), (&json!(7), &answer));
        assert_eq!(json["balance"]["balanced"], true, "as a whole: {json}");
        assert!(page.contains("tells nothing of how the run went over time"), "{page}");
        assert!(page.contains(why) && page.contains("Run 7 is complete"), "{page}");
    }
    // Before the first run there is nothing to ask for.
    let none = status(&json!(null), &json!(null));
    let (json, page, _, lambda) = reported(vec![Reply::of(&none)], &["status"]).await;
    assert_eq!((&json["run"], &json["stack"]), (&Value::Null, &none));
    assert_eq!(lambda.questions(), [STATUS]);
    assert!(page.contains("No run was begun yet."), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_tells_the_same_part_again_is_not_asked_for_ever() {
    let (world, answer) = (World::new().await, status(&report(7, "complete", 0), &json!(null)));
    let script = [Reply::of(&answer), part(7, &[("a/", 1, 1)], Some("share/1"))];
    let lambda = Lambda::start(script).await;
    let args = ["status", "--stack", "photos", "--report", "out"];
    run(lambda.command(&world, &args)).expect(1, &["the same part of the accounts of run 7"]);
    assert_eq!(lambda.questions().len(), 3);
    assert!(world.files().is_empty());
}
