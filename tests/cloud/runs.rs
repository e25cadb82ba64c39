//! Runs, from the first to the one that finds nothing to do; and what happens to a stack meanwhile.

use serde_json::{Value, json};
use tranship_core::breakdown::{Breakdown, PrefixAccount};
use tranship_tests::cloud::Cloud;
use tranship_tests::cloud::elements;
use tranship_tests::cloud::sides::Sides;
use tranship_tests::cloud::stack::Stack;
use tranship_tests::rig::{SOURCE, credentials, noise};

use crate::look::{copied, writes};

#[tokio::test]
async fn a_first_run_copies_and_the_next_one_finds_all_equal() {
    let sides = Sides::start().await;
    for n in 0..300 {
        sides.put(&format!("small/{n:04}"), noise(n, 500));
    }
    sides.put("hostile/ +%2F é\u{1F980}", "a key that is hard to write");
    let stack = Stack::deploy("runs", sides, &[]).await;
    let told = stack.ask("settings").await;
    assert_eq!(told["options"]["source"], format!("s3://{SOURCE}/"), "{told}");
    assert!(!told.to_string().contains(&credentials().1), "a secret is told");
    let report = stack.run().await;
    assert_eq!(report["state"], "complete", "{report}");
    assert_eq!(report["balanced"], true, "{report}");
    assert_eq!(copied(&report), 301, "{report}");
    stack.sides.expect_equal();
    a_report_is_in_the_bucket(&stack, &report).await;
    the_prefixes_add_up(&stack, &report, &[("hostile/", 1), ("small/", 300)]).await;

    // Equal objects: no copy, no look at any of them, and no write that grows with them.
    stack.cloud.proxy.forget("runs");
    stack.sides.source.requests().clear();
    stack.sides.destination.requests().clear();
    let report = stack.run().await;
    assert_eq!(report["outcomes"]["equal"]["objects"], 301, "{report}");
    assert_eq!(report["outcomes"].as_object().unwrap().len(), 1, "{report}");
    for server in [&stack.sides.source, &stack.sides.destination] {
        let counts = server.requests().counts();
        let lists = counts.get("ListObjectsV2").copied().unwrap_or_default();
        assert_eq!(server.requests().total(), lists, "{counts:?}");
    }
    let written = writes(&stack.calls());
    assert!(written < 20, "{written} rows written for 301 equal objects");
    the_prefixes_add_up(&stack, &report, &[("hostile/", 1), ("small/", 300)]).await;

    // One more differs.
    stack.sides.put("small/0007", noise(1_007, 400));
    let before = report;
    let report = stack.run().await;
    assert_eq!(copied(&report), 1, "{report}");
    stack.sides.expect_equal();
    // Of the run before, nothing is left to be told.
    let asked = json!({ "tranship": "report", "run": before["id"] });
    let part = stack.invoke("finder", asked).await.unwrap();
    let (run, prefixes) = (&part["run"], &part["prefixes"]);
    assert_eq!((run, prefixes), (&report["id"], &json!({})), "{part}");
    assert_eq!(part["timeline"], Value::Null, "{part}");
}

/// The answers to `report`, added up, are the run's own account.
async fn the_prefixes_add_up(stack: &Stack, report: &Value, wanted: &[(&str, u64)]) {
    let mut asked = json!({ "tranship": "report", "run": report["id"] });
    let mut sum = Breakdown::default();
    loop {
        let part = stack.invoke("finder", asked.clone()).await.unwrap();
        assert_eq!(part["run"], report["id"], "{part}");
        sum.add(&serde_json::from_value(part.clone()).unwrap());
        let Some(through) = part["through"].as_str() else {
            the_timeline_ends_with_the_run(&part, report);
            break;
        };
        asked["after"] = json!(through);
    }
    let listed = sum.prefixes.iter().map(|(name, of)| (name.as_str(), of.listed.objects));
    assert_eq!(listed.collect::<Vec<_>>(), wanted);
    assert!(sum.prefixes.values().all(PrefixAccount::balances), "{sum:?}");
    let all = sum.sum();
    assert_eq!(json!(all.listed), report["listed"]);
    for (outcome, count) in all.account.iter().filter(|(_, count)| count.objects > 0) {
        assert_eq!(json!(count), report["outcomes"][outcome.name()], "{report}");
    }
}

/// With the last part comes how the run went.
fn the_timeline_ends_with_the_run(part: &Value, report: &Value) {
    let points = part["timeline"].as_array().unwrap();
    let (first, last) = (&points[0], points.last().unwrap());
    assert_eq!((&first["at_ms"], &first["settled_objects"]), (&json!(0), &json!(0)), "{part}");
    assert_eq!(last["settled_objects"], report["listed"]["objects"], "{part}");
    let copied = report["outcomes"]["copied"]["bytes"].as_u64().unwrap_or_default();
    assert_eq!(last["bytes_copied"], copied, "{part}");
    assert_eq!(last["failed_deliveries"], report["failed_deliveries"], "{part}");
    let ended = report["ended_ms"].as_u64().unwrap() - report["started_ms"].as_u64().unwrap();
    assert_eq!(last["at_ms"], ended, "{part}");
}

async fn a_report_is_in_the_bucket(stack: &Stack, report: &Value) {
    let id = report["id"].as_u64().unwrap();
    let key = format!("{}/reports/run/{id:016}/report.json", stack.resource("StackBucket"));
    let stored = stack.cloud.s3("GET", &key, "").await.unwrap();
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(stored["stack"], stack.name);
    assert_eq!(stored["outcomes"], report["outcomes"]);
}

/// Two schedules that fire at once, and one that fires while a run is open.
#[tokio::test]
async fn of_overlapping_schedules_one_begins_a_run() {
    let sides = Sides::start().await;
    for n in 0..50 {
        sides.put(&format!("{n:04}"), noise(n, 100));
    }
    let stack = Stack::deploy("overlap", sides, &[]).await;
    let (one, two) = tokio::join!(stack.ask("run"), stack.ask("run"));
    let begun = [&one, &two].iter().filter(|answer| answer["begun"] == true).count();
    assert_eq!(begun, 1, "{one} {two}");
    assert_eq!(one["run"]["id"], two["run"]["id"], "{one} {two}");
    let third = stack.ask("run").await;
    assert_eq!(third["begun"], false, "{third}");
    let report = stack.end_of_run().await;
    assert_eq!((&report["id"], copied(&report)), (&one["run"]["id"], 50), "{report}");
    stack.sides.expect_equal();
}

/// `sam deploy` with another parameter while a run is open, and at last `sam delete`.
#[tokio::test]
async fn a_running_stack_is_changed_and_at_last_taken_away() {
    let sides = Sides::start().await;
    for n in 0..40 {
        sides.put(&format!("{n:04}"), noise(n, 2_000));
    }
    let mut stack = Stack::deploy_built("change", sides, &[]).await;
    stack.switch("WorkerTasks", false).await;
    stack.ask("run").await;
    stack
        .until("tasks wait", async || (stack.depth("TransferQueue").await.0 > 0).then_some(()))
        .await;
    stack.change(&[("Streams", "7"), ("LogLevel", "debug")]).await;
    // CloudFormation sees a mapping as it was deployed; here somebody has switched it off since.
    stack.switch("WorkerTasks", true).await;
    let report = stack.end_of_run().await;
    assert_eq!(copied(&report), 40, "{report}");
    stack.sides.expect_equal();

    let before = stack.resources.clone();
    stack.delete().await;
    let kept = leftovers(stack.cloud, "change", &before).await;
    assert_eq!(kept, ["LedgerTable", "StackBucket"], "what is designed to stay");
}

/// The logical names of what still exists of a stack.
async fn leftovers(
    cloud: &Cloud,
    stack: &str,
    before: &std::collections::BTreeMap<String, String>,
) -> Vec<String> {
    let mut all = Vec::new();
    let queues = cloud.sqs("ListQueues", json!({})).await;
    all.extend(texts(&queues["QueueUrls"]));
    let tables = cloud.dynamodb("ListTables", json!({})).await;
    all.extend(texts(&tables["TableNames"]));
    let functions = cloud.rest("lambda", "GET", "/2015-03-31/functions/", None).await.unwrap();
    all.extend(
        functions["Functions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|function| text(&function["FunctionName"])),
    );
    let mappings =
        cloud.rest("lambda", "GET", "/2015-03-31/event-source-mappings/", None).await.unwrap();
    all.extend(
        mappings["EventSourceMappings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|mapping| text(&mapping["UUID"])),
    );
    let schedules = cloud.rest("scheduler", "GET", "/schedules", None).await.unwrap();
    all.extend(
        schedules["Schedules"].as_array().unwrap().iter().map(|schedule| text(&schedule["Name"])),
    );
    let groups = cloud.json("logs", "Logs_20140328.DescribeLogGroups", json!({})).await.unwrap();
    all.extend(
        groups["logGroups"].as_array().unwrap().iter().map(|group| text(&group["logGroupName"])),
    );
    let machines = cloud.states("ListStateMachines", json!({})).await;
    all.extend(
        machines["stateMachines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|machine| text(&machine["stateMachineArn"])),
    );
    let version = ("Version", "2010-05-08");
    let roles = cloud.query("iam", &[("Action", "ListRoles"), version]).await.unwrap();
    all.extend(elements(&roles, "RoleName"));
    let policies = cloud.query("iam", &[("Action", "ListPolicies"), version]).await.unwrap();
    all.extend(elements(&policies, "Arn"));
    let topics = cloud.query("sns", &[("Action", "ListTopics")]).await.unwrap();
    all.extend(elements(&topics, "TopicArn"));
    let alarms = cloud.query("monitoring", &[("Action", "DescribeAlarms")]).await.unwrap();
    all.extend(elements(&alarms, "AlarmName"));
    let buckets = cloud.s3("GET", "", "").await.unwrap();
    all.extend(elements(&String::from_utf8_lossy(&buckets), "Name"));
    let is_left = |physical: &String| all.contains(physical);
    let strangers = all.iter().filter(|name| name.contains(&format!("{stack}-")));
    let strangers = strangers.filter(|name| !before.values().any(|known| known == *name));
    assert_eq!(strangers.collect::<Vec<_>>(), Vec::<&String>::new(), "not of the stack, but its");
    let kept = before.iter().filter(|(_, physical)| is_left(physical));
    kept.map(|(logical, _)| logical.clone()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(text).collect()
}
