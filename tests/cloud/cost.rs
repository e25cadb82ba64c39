//! What a copy costs in requests, counted: of the functions as they send them, and of the queues and
//! the state machine as the services count them.
//!
//! What time costs is not in it: schedules, and the polling of empty queues.

use std::collections::BTreeMap;

use serde_json::json;
use tranship_server::{Backend, EtagMode, Formula, FormulaEtags, ServerOptions};
use tranship_tests::cloud::call::Call;
use tranship_tests::cloud::sides::Sides;
use tranship_tests::cloud::stack::Stack;
use tranship_tests::rig::{DESTINATION, SOURCE};

use crate::look::{copied, notification};

/// Requests and units, by what they are.
#[derive(Debug, Default)]
struct Count(BTreeMap<String, f64>);

impl Count {
    fn add(&mut self, what: &str, number: f64) {
        *self.0.entry(what.to_owned()).or_default() += number;
    }

    fn total(&self) -> f64 {
        self.0.values().sum()
    }

    /// Of AWS: the ledger in capacity units, everything else in requests. A message is received
    /// once and deleted once by the service that invokes the function.
    fn of(calls: &[Call]) -> Self {
        let mut count = Self::default();
        for call in calls {
            let name = format!("{}:{}", call.service, call.action);
            if call.service == "dynamodb" {
                count.add(&name, call.units());
            } else {
                count.add(&name, 1.0);
            }
            if call.action.starts_with("SendMessage") {
                let messages = call.asked["Entries"].as_array().map_or(1, Vec::len);
                let messages = u32::try_from(messages).unwrap();
                count.add("sqs: received and deleted by Lambda", 2.0 * f64::from(messages));
            }
        }
        count
    }

    /// What the two stores were asked besides GET, PUT and LIST.
    fn add_stores(&mut self, sides: &Sides, free: &[&str]) {
        for (side, server) in [("source", &sides.source), ("destination", &sides.destination)] {
            for (operation, times) in server.requests().counts() {
                if !free.contains(&operation) {
                    let times = u32::try_from(times).unwrap();
                    self.add(&format!("{side}: {operation}"), f64::from(times));
                }
            }
        }
    }

    fn print(&self, title: &str, of: f64) {
        println!("{title}: {:.3} for each", self.total() / of);
        for (what, number) in &self.0 {
            println!("    {number:8.1}  {what}");
        }
    }
}

/// Starts to count from nothing.
fn forget(stack: &Stack) {
    stack.cloud.proxy.forget(&stack.name);
    for server in [&stack.sides.source, &stack.sides.destination] {
        server.requests().clear();
    }
}

/// Runs to the end with as few looks at it as a minute's schedule makes.
async fn run(stack: &Stack) -> serde_json::Value {
    stack.ask("run").await;
    stack.drained("ScanQueue").await;
    stack.drained("TransferQueue").await;
    stack.end_of_run().await
}

#[tokio::test]
async fn small_objects_cost_a_twentieth_of_a_request_and_equal_ones_nothing() {
    const OBJECTS: u32 = 10_000;
    let sides = Sides::start().await;
    let formula = Formula {
        count: u64::from(OBJECTS),
        sizes: vec![1_000, 20_000, 300, 5_000, 60_000, 1 << 20, 900, 40_000, 7, 12_000],
        ..Formula::default()
    };
    sides.here().create_synthetic_bucket(SOURCE, formula, Backend::Memory);
    let stack = Stack::deploy("small", sides, &[]).await;
    let report = run(&stack).await;
    assert_eq!(copied(&report), u64::from(OBJECTS), "{report}");
    let mut count = Count::of(&stack.calls());
    count.add_stores(&stack.sides, &["GetObject", "PutObject", "ListObjectsV2"]);
    count.print("10,000 small objects", f64::from(OBJECTS));
    assert!(count.total() / f64::from(OBJECTS) <= 0.05, "{count:?}");

    forget(&stack);
    let report = run(&stack).await;
    assert_eq!(report["outcomes"]["equal"]["objects"], OBJECTS, "{report}");
    let mut count = Count::of(&stack.calls());
    count.add_stores(&stack.sides, &["ListObjectsV2"]);
    count.print("10,000 equal objects", f64::from(OBJECTS));
    // What a run and its sweeps cost by themselves, whatever the number of objects.
    assert!(count.total() < 200.0, "{count:?}");
    for server in [&stack.sides.source, &stack.sides.destination] {
        let counts = server.requests().counts();
        assert_eq!(server.requests().total(), counts["ListObjectsV2"], "{counts:?}");
    }
    print_memory(&stack);
}

fn print_memory(stack: &Stack) {
    for function in ["finder", "worker", "completer", "s3-event"] {
        println!("memory of {function}: at most {} KiB", stack.memory_kib(function));
    }
}

/// The listings show nothing but different `ETag`s: the destination says where a copy came from.
#[tokio::test]
async fn an_equal_object_that_listings_cannot_decide_costs_one_head() {
    const OBJECTS: u32 = 500;
    let encrypted = ServerOptions { etags: EtagMode::Random, ..ServerOptions::default() };
    let sides = Sides::with(ServerOptions::default(), encrypted).await;
    let formula =
        Formula { count: u64::from(OBJECTS), sizes: vec![1_000, 20_000], ..Formula::default() };
    sides.here().create_synthetic_bucket(SOURCE, formula, Backend::Memory);
    let stack = Stack::deploy("undecided", sides, &[]).await;
    let report = run(&stack).await;
    assert_eq!(copied(&report), u64::from(OBJECTS), "{report}");
    forget(&stack);
    let report = run(&stack).await;
    assert_eq!(report["outcomes"]["equal"]["objects"], OBJECTS, "{report}");
    let (here, there) =
        (stack.sides.source.requests().counts(), stack.sides.destination.requests().counts());
    println!("500 equal objects that listings cannot decide: {here:?} {there:?}");
    assert_eq!(here.keys().copied().collect::<Vec<_>>(), ["ListObjectsV2"], "{here:?}");
    assert_eq!(there.get("HeadObject"), Some(&u64::from(OBJECTS)), "{there:?}");
    assert_eq!(there.values().sum::<u64>(), there["ListObjectsV2"] + u64::from(OBJECTS));
    Count::of(&stack.calls()).print("500 of these", f64::from(OBJECTS));
}

/// A flood of events, as it is after an hour's pause.
#[tokio::test]
async fn an_event_costs_its_message_and_a_look_at_both_sides() {
    const EVENTS: u32 = 400;
    let stack = Stack::deploy("flood", Sides::start().await, &[("SourceEvents", "create")]).await;
    stack.switch("S3EventMessages", false).await;
    for n in 0..EVENTS {
        let key = format!("{n:04}");
        stack.sides.put(&key, key.as_str());
        stack.send("EventQueue", &notification("ObjectCreated:Put", &key, 4)).await;
    }
    forget(&stack);
    stack.switch("S3EventMessages", true).await;
    stack.drained("EventQueue").await;
    stack.drained("TransferQueue").await;
    stack.sides.expect_equal();
    let mut count = Count::of(&stack.calls());
    count.add_stores(&stack.sides, &["GetObject", "PutObject"]);
    count.print("400 events", f64::from(EVENTS));
    let heads = count.0.iter().filter(|(what, _)| what.ends_with("HeadObject"));
    let heads = heads.map(|(_, number)| number).sum::<f64>();
    assert!(heads <= f64::from(EVENTS), "{count:?}");
    // The rest is a batch's, however many events are in it: 10 here, up to 100 on AWS. Its own message is
    // S3's to send, and Lambda's to receive and to delete.
    let batches = count.0["sqs:SendMessageBatch"];
    let secrets = count.0["secretsmanager:GetSecretValue"];
    println!("{} for each batch", (count.total() - heads - secrets) / batches);
    assert!(count.total() - heads - secrets <= 8.0 * batches, "{count:?}");
}

#[tokio::test]
async fn a_part_costs_three_requests_and_an_object_four_transitions() {
    const PARTS: u32 = 240;
    const OBJECTS: u32 = 2;
    let sides = Sides::start().await;
    let formula = Formula {
        count: u64::from(OBJECTS),
        sizes: vec![u64::from(PARTS / OBJECTS) * (5 << 20)],
        part_size: Some(5 << 20),
        etags: FormulaEtags::Md5,
        ..Formula::default()
    };
    sides.here().create_synthetic_bucket(SOURCE, formula, Backend::Memory);
    let hashed = Backend::Synthetic { hash_writes: true };
    sides.there().create_synthetic_bucket(DESTINATION, Formula::default(), hashed);
    // The history of an execution is kept only by a standard state machine.
    let stack = Stack::deploy("parts", sides, &[("StateMachineType", "STANDARD")]).await;
    let report = run(&stack).await;
    assert_eq!(copied(&report), u64::from(OBJECTS), "{report}");
    print_memory(&stack);
    let transitions = transitions(&stack).await;
    println!("transitions: {transitions:?}");
    assert_eq!(transitions.len(), 2, "one execution for each object");
    assert!(transitions.iter().all(|count| *count <= 4), "{transitions:?}");
    let mut count = Count::of(&stack.calls());
    let free = ["GetObject", "UploadPart", "PutObject", "ListObjectsV2"];
    count.add_stores(&stack.sides, &free);
    let steps: usize = transitions.iter().sum();
    count.add("states: transitions", f64::from(u32::try_from(steps).unwrap()));
    count.print("240 parts of 2 objects", f64::from(PARTS));
    assert!(count.total() / f64::from(PARTS) <= 3.0, "{count:?}");
    let written = stack
        .calls()
        .iter()
        .filter(|call| {
            matches!(
                call.action.as_str(),
                "PutItem" | "UpdateItem" | "TransactWriteItems" | "BatchWriteItem"
            )
        })
        .map(Call::units)
        .sum::<f64>();
    println!("write units for each part: {:.2}", written / f64::from(PARTS));
    assert!(written / f64::from(PARTS) <= 2.0, "{written}");
}

/// State transitions of each execution, as they are billed: one for each step, and the start.
async fn transitions(stack: &Stack) -> Vec<usize> {
    let machine = stack.resource("CompletionStateMachine");
    let asked = json!({ "stateMachineArn": machine });
    let listed = stack.cloud.states("ListExecutions", asked).await;
    let mut transitions = Vec::new();
    for execution in listed["executions"].as_array().unwrap() {
        let asked = json!({ "executionArn": execution["executionArn"] });
        let history = stack.cloud.states("GetExecutionHistory", asked).await;
        let events = history["events"].as_array().unwrap();
        let entered = |event: &&serde_json::Value| {
            event["type"].as_str().is_some_and(|kind| kind.ends_with("StateEntered"))
        };
        transitions.push(events.iter().filter(entered).count() + 1);
    }
    transitions
}

/// How long a function takes to begin, how much it weighs, and what it holds at most.
#[tokio::test]
async fn cold_starts_are_measured() {
    let sides = Sides::start().await;
    let stack = Stack::deploy("cold", sides, &[("SourceEvents", "create")]).await;
    for (function, event) in [
        ("finder", json!({ "tranship": "sweep" })),
        ("worker", json!({ "Records": [] })),
        ("s3-event", json!({ "Records": [] })),
        ("completer", json!({ "header": "00", "epoch": 1, "attempt": 1 })),
    ] {
        let (mut first, mut next) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            stack.kill(function);
            for took in [&mut first, &mut next] {
                let began = tokio::time::Instant::now();
                stack.invoke(function, event.clone()).await.ok();
                took.push(began.elapsed().as_millis());
            }
        }
        let warm = next.iter().min().unwrap();
        let cold = first.iter().min().unwrap().saturating_sub(*warm);
        let memory = stack.memory_kib(function);
        println!("{function}: cold start {cold} ms, warm {warm} ms, memory {memory} KiB");
        assert!(cold < 5_000, "{function} takes {cold} ms to begin");
        assert!(memory < 200_000, "{function} takes {memory} KiB");
    }
}
