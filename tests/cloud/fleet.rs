//! The worker as a process of its own, on the queue of the largest objects of a deployed stack.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use tranship_server::{Backend, Fault as ServerFault, Formula, Matcher, Rule};
use tranship_tests::between::Between;
use tranship_tests::cloud::ACCOUNT;
use tranship_tests::cloud::metadata::Metadata;
use tranship_tests::cloud::poller::Poller;
use tranship_tests::cloud::sides::Sides;
use tranship_tests::cloud::stack::Stack;
use tranship_tests::rig::{DESTINATION, MIB, SOURCE, noise};

use crate::look::copied;

/// A queue without instances of the stack's own, and small parts, so that there are several of them.
const ELSEWHERE: [(&str, &str); 4] = [
    ("Fleet", "elsewhere"),
    ("LargeObjectMiB", "20"),
    ("MultipartThresholdMiB", "5"),
    ("PartSizeMiB", "5"),
];

fn troubled(status: u16, body: &serde_json::Value) -> Option<()> {
    (status == 503 && body["state"] == "troubled").then_some(())
}

fn polls(status: u16, body: &serde_json::Value) -> Option<()> {
    (status == 200 && body["state"] == "polling" && !body["queue_answered_ms_ago"].is_null())
        .then_some(())
}

#[tokio::test]
async fn the_largest_objects_are_copied_by_who_polls_and_the_others_by_functions() {
    let sides = Sides::start().await;
    sides.put("large", noise(1, 32 * MIB));
    sides.put("parts", noise(2, 12 * MIB));
    sides.put("small", noise(3, MIB));
    let stack = Stack::deploy("fleet", sides, &ELSEWHERE).await;
    let mut poller = Poller::start(&stack, "i-1", &[]).await;
    let report = stack.run().await;
    assert_eq!(copied(&report), 3, "{report}");
    stack.sides.expect_equal();
    assert_eq!(stack.depth("LargeQueue").await, (0, 0), "each message was deleted");
    let moved = poller.until("it tells", |_, body| body["bytes_moved"].as_u64()).await;
    assert_eq!(moved, 32 << 20, "the large one and nothing else");
    let status = stack.status().await;
    let queues = status["queues"].as_array().unwrap();
    assert!(queues.iter().any(|queue| queue["name"] == "large"), "{status}");
    assert_eq!(status["fleet"]["last"]["by"], "i-1", "{status}");
    assert!(status["fleet"]["last"]["seen_ms"].as_u64() > Some(0), "{status}");

    // Nothing is at work: the end comes as soon as the last long poll does.
    poller.signal("TERM");
    assert_eq!(poller.ended().await, Some(0));
    let log = poller.log();
    assert!(log.contains("draining") && log.contains("SIGTERM"), "{log}");
    assert!(log.contains("FleetStreams") && log.contains("CloudWatchMetrics"), "{log}");
    assert!(!log.contains("canary-secret"), "{log}");
}

/// A process that is told to end finishes the parts in its hands, and gives back the others at once.
#[tokio::test]
async fn a_drain_loses_nothing_and_copies_no_part_twice() {
    let sides = Sides::start().await;
    sides.put("large", noise(1, 60 * MIB));
    // Every read takes a while, so that some are in flight when the end comes.
    let slow = ServerFault::StallBody { after: 1 << 20, pause: Duration::from_secs(2) };
    sides.source.faults().add(Rule::new(Matcher::on("GetObject"), slow));
    let stack = Stack::deploy("drained", sides, &ELSEWHERE).await;
    let few = [("TRANSHIP_FLEET_STREAMS", "4")];
    let mut first = Poller::start(&stack, "i-1", &few).await;
    stack.ask("run").await;
    let at_work = async || {
        let requests = stack.sides.source.requests();
        (requests.count("GetObject") > 2).then_some(())
    };
    stack.until("parts are in flight", at_work).await;
    first.signal("TERM");
    assert_eq!(first.ended().await, Some(0), "{}", first.log());
    let (waiting, in_flight) = stack.depth("LargeQueue").await;
    assert!(waiting > 0 && in_flight == 0, "{waiting} wait, {in_flight} fly: {}", first.log());
    let second = Poller::start(&stack, "i-2", &few).await;
    let report = stack.end_of_run().await;
    assert_eq!(copied(&report), 1, "{report}");
    stack.sides.expect_equal();
    let sent = stack.sides.destination.requests().count("UploadPart");
    assert_eq!(sent, 12, "each part once: {}{}", first.log(), second.log());
}

/// Tasks of a process that died are others' after seconds, so that a test can wait for it.
const HIDDEN: (&str, &str) = ("TRANSHIP_FLEET_HIDDEN_SECONDS", "6");

/// A killed process gives its tasks back when they are hidden no more.
#[tokio::test]
async fn a_process_that_is_killed_is_replaced() {
    let sides = Sides::start().await;
    sides.put("large", noise(1, 30 * MIB));
    let stall = ServerFault::StallBody { after: 1 << 20, pause: Duration::from_mins(10) };
    sides.source.faults().add(Rule::once(Matcher::on("GetObject"), stall));
    let stack = Stack::deploy("lost", sides, &ELSEWHERE).await;
    let mut first = Poller::start(&stack, "i-1", &[HIDDEN]).await;
    stack.ask("run").await;
    let held = async || (stack.sides.source.faults().struck() > 0).then_some(());
    stack.until("a read hangs", held).await;
    first.signal("KILL");
    assert_eq!(first.ended().await, None);
    let _second = Poller::start(&stack, "i-2", &[HIDDEN]).await;
    let report = stack.end_of_run().await;
    assert_eq!(copied(&report), 1, "{report}");
    stack.sides.expect_equal();
}

/// A task stays hidden from the others for as long as it lives, and not only for as long as a message is.
#[tokio::test]
async fn a_task_that_takes_long_is_nobody_elses() {
    let sides = Sides::start().await;
    sides.put("large", noise(1, 24 * MIB));
    let slow = ServerFault::StallBody { after: 1 << 20, pause: Duration::from_secs(14) };
    sides.source.faults().add(Rule::new(Matcher::on("GetObject"), slow));
    let stack = Stack::deploy("slow", sides, &ELSEWHERE).await;
    let _pollers = [
        Poller::start(&stack, "i-1", &[HIDDEN]).await,
        Poller::start(&stack, "i-2", &[HIDDEN]).await,
    ];
    let report = stack.run().await;
    assert_eq!(copied(&report), 1, "{report}");
    stack.sides.expect_equal();
    assert_eq!(stack.sides.source.requests().count("GetObject"), 5, "each part was read once");
    assert_eq!(stack.sides.destination.requests().count("UploadPart"), 5);
}

/// Credentials of a host that last for seconds, as its helper gives them, until there are none.
struct Helper(tempfile::TempDir);

impl Helper {
    fn new() -> Self {
        let helper = Self(tempfile::tempdir().unwrap());
        let folder = helper.0.path().display();
        let config = format!("[default]\ncredential_process = sh {folder}/helper\n");
        std::fs::write(helper.0.path().join("config"), config).unwrap();
        helper.gives(true);
        helper
    }

    fn gives(&self, has_any: bool) {
        let script = if has_any {
            format!(
                r#"printf '{{"Version":1,"AccessKeyId":"{ACCOUNT}","SecretAccessKey":"none","Expiration":"%s"}}' \
                    "$(date --utc --date '+8 seconds' +%Y-%m-%dT%H:%M:%SZ)""#
            )
        } else {
            "echo 'the certificate of this host has expired' >&2; exit 1".to_owned()
        };
        // Renamed into its place: it is read at any time.
        let written = self.0.path().join("written");
        std::fs::write(&written, script).unwrap();
        std::fs::rename(written, self.0.path().join("helper")).unwrap();
    }
}

/// The role of a host cannot be taken any more: it says so and takes nothing, and goes on when it can again.
#[tokio::test]
async fn a_role_that_expires_in_mid_copy_costs_no_message() {
    let sides = Sides::start().await;
    sides.put("large", noise(1, 80 * MIB));
    let slow = ServerFault::StallBody { after: 1 << 20, pause: Duration::from_secs(2) };
    sides.source.faults().add(Rule::new(Matcher::on("GetObject"), slow));
    let stack = Stack::deploy("roleless", sides, &ELSEWHERE).await;
    let helper = Helper::new();
    let config = helper.0.path().join("config").display().to_string();
    let more = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_CONFIG_FILE", config.as_str()),
        ("TRANSHIP_FLEET_STREAMS", "4"),
        HIDDEN,
    ];
    let poller = Poller::start(&stack, "rack-7", &more).await;
    stack.ask("run").await;
    let at_work =
        async || (stack.sides.destination.requests().count("UploadPart") > 2).then_some(());
    stack.until("parts are on their way", at_work).await;
    helper.gives(false);
    poller.until("it is troubled", troubled).await;
    let log = poller.log();
    assert!(log.contains("cannot be read: check the role of this process"), "{log}");
    assert!(log.contains("credential"), "it says what is wrong: {log}");
    assert!(
        !log.contains("breaker has changed"),
        "one host's trouble is not the transfer's: {log}"
    );
    let receives = poller.log().matches("comes again").count();
    helper.gives(true);
    poller.until("it goes on", polls).await;
    let report = stack.end_of_run().await;
    assert_eq!(copied(&report), 1, "{report}");
    stack.sides.expect_equal();
    assert_eq!(stack.depth("LargeDeadLetterQueue").await, (0, 0));
    println!("{receives} deliveries were without credentials");
}

/// Nobody polls: after a while the functions do, and leave it again when somebody comes.
#[tokio::test]
async fn what_a_dead_fleet_leaves_is_taken_by_functions() {
    let sides = Sides::start().await;
    sides.put("large", noise(1, 24 * MIB));
    let stack = Stack::deploy("dead", sides, &ELSEWHERE).await;
    stack.ask("run").await;
    let waits = async || (stack.depth("LargeQueue").await.0 > 0).then_some(());
    stack.until("its tasks wait", waits).await;
    stack.ask("sweep").await;
    assert!(stack.depth("LargeQueue").await.0 > 0, "an instance may be starting");
    stack.drained("TransferQueue").await;
    stack.age(Duration::from_mins(16)).await;
    let report = stack.end_of_run().await;
    assert_eq!(copied(&report), 1, "{report}");
    stack.sides.expect_equal();
    let log = stack.log("finder").await.join("\n");
    assert!(log.contains("no instance has shown itself: functions take them"), "{log}");
    let poller = Poller::start(&stack, "i-1", &[]).await;
    poller.until("it polls", polls).await;
    stack.ask("sweep").await;
    let off = async || {
        let path = format!("/2015-03-31/event-source-mappings/{}", stack.resource("LargeTasks"));
        let mapping = stack.cloud.rest("lambda", "GET", &path, None).await.unwrap();
        (mapping["State"] == "Disabled").then_some(())
    };
    stack.until("the mapping is off", off).await;
}

/// A host has its own way to a side: what it copies is the same transfer's.
#[tokio::test]
async fn a_host_reaches_a_side_by_an_endpoint_of_its_own() {
    let sides = Sides::start().await;
    sides.put("large", noise(1, 32 * MIB));
    let stack = Stack::deploy("reaches", sides, &ELSEWHERE).await;
    let settings = stack.settings("worker").await;
    let parts = Arc::new(AtomicU64::new(0));
    let mut more = Vec::new();
    for (side, method) in [("SOURCE", Method::GET), ("DESTINATION", Method::PUT)] {
        let port = settings[&format!("TRANSHIP_{side}_ENDPOINT")].rsplit_once(':').unwrap().1;
        let counted = parts.clone();
        let between = Between::start(port.parse().unwrap(), move |head| {
            counted.fetch_add(u64::from(head.method == method), Ordering::Relaxed);
            None
        });
        more.push((format!("TRANSHIP_FLEET_{side}_ENDPOINT"), between.await.endpoint()));
    }
    let more: Vec<_> = more.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let poller = Poller::start(&stack, "rack-7", &more).await;
    poller.until("it polls", polls).await;
    let report = stack.run().await;
    assert_eq!(copied(&report), 1, "{report}");
    stack.sides.expect_equal();
    // Seven parts, each read and written.
    assert!(parts.load(Ordering::Relaxed) >= 14, "{parts:?}");
    // The next run knows the copy as its own.
    let report = stack.run().await;
    assert_eq!(report["outcomes"]["equal"]["objects"], 1, "{report}");
}

/// What stops the whole transfer stops this process from taking more, and not from living.
#[tokio::test]
async fn an_open_breaker_is_obeyed() {
    let sides = Sides::start().await;
    sides.put("large", noise(1, 24 * MIB));
    let stack = Stack::deploy("obeys", sides, &ELSEWHERE).await;
    let poller = Poller::start(&stack, "i-1", &[]).await;
    poller.until("it polls", polls).await;
    stack.ask("pause").await;
    let halted = |status, body: &serde_json::Value| {
        (status == 200 && body["state"] == "halted").then_some(())
    };
    poller.until("it halts", halted).await;
    stack.ask("resume").await;
    poller.until("it goes on", polls).await;
    let report = stack.run().await;
    assert_eq!(copied(&report), 1, "{report}");
    stack.sides.expect_equal();
}

/// Settings and queues that cannot be used are said clearly, in the log and at the health endpoint.
#[tokio::test]
async fn what_is_wrong_is_said() {
    let sides = Sides::start().await;
    let stack = Stack::deploy("wrong", sides, &ELSEWHERE).await;
    for (name, value, says) in [
        ("TRANSHIP_LARGE_QUEUE_URL", "", "there is no other queue to poll"),
        ("TRANSHIP_FLEET_HEALTH", "nowhere", "TRANSHIP_FLEET_HEALTH"),
        ("TRANSHIP_FLEET_DRAIN_SECONDS", "soon", "TRANSHIP_FLEET_DRAIN_SECONDS"),
        (
            "TRANSHIP_FLEET_SOURCE_ENDPOINT",
            "https://oss-cn-hangzhou-internal.aliyuncs.com",
            "TRANSHIP_FLEET_SOURCE_ENDPOINT",
        ),
        ("TRANSHIP_TABLE", "", "TRANSHIP_TABLE"),
    ] {
        let mut more = vec![(name, value)];
        if name == "TRANSHIP_LARGE_QUEUE_URL" {
            more.push(("TRANSHIP_LARGE_OBJECT_MIB", "0"));
        }
        let mut poller = Poller::start(&stack, "i-1", &more).await;
        assert_eq!(poller.ended().await, Some(2), "{name}");
        let log = poller.log();
        assert!(log.contains(says) && log.contains("cannot begin"), "{name}: {log}");
        assert!(log.contains("\"FleetTroubled\":1"), "no alarm hears of it: {name}: {log}");
    }
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut poller =
        Poller::start(&stack, "i-1", &[("TRANSHIP_FLEET_HEALTH", address.as_str())]).await;
    assert_eq!(poller.ended().await, Some(2));
    assert!(poller.log().contains("in use"), "{}", poller.log());

    // A queue that it may not read, or that is not there: it says so, and goes on asking.
    let gone = format!("{}/123456789012/none", stack.cloud.proxy.endpoint());
    let mut poller =
        Poller::start(&stack, "i-1", &[("TRANSHIP_LARGE_QUEUE_URL", gone.as_str())]).await;
    poller.until("it is troubled", troubled).await;
    assert!(!poller.has_ended());
    assert!(poller.log().contains("the queue cannot be read: check the role"), "{}", poller.log());

    // A ledger that it may not use, or that is not there: it takes nothing, since that would only cost the
    // messages their deliveries, and does not show itself.
    let mut poller = Poller::start(&stack, "i-2", &[("TRANSHIP_TABLE", "none")]).await;
    let idle = |status, body: &serde_json::Value| {
        troubled(status, body).filter(|()| body["queue_answered_ms_ago"].is_null())
    };
    let said = "the ledger cannot be read: check the role";
    for _ in 0..60 {
        if poller.log().contains(said) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(poller.log().contains(said), "{}", poller.log());
    poller.until("it takes nothing all the same", idle).await;
    assert!(!poller.has_ended());
    assert_ne!(stack.status().await["fleet"]["last"]["by"], "i-2", "nobody relies on it");
}

/// A message that is no task goes to the dead letters of its own queue.
#[tokio::test]
async fn a_message_that_cannot_be_read_goes_to_its_own_dead_letters() {
    let sides = Sides::start().await;
    let stack = Stack::deploy("unread", sides, &ELSEWHERE).await;
    let mut poller = Poller::start(&stack, "i-1", &[]).await;
    stack.send("LargeQueue", "no task").await;
    let dead = async || (stack.depth("LargeDeadLetterQueue").await.0 == 1).then_some(());
    stack.until("it is a dead letter", dead).await;
    assert_eq!(stack.depth("LargeQueue").await, (0, 0));
    // Else it would bury it again as fast as it is brought back.
    poller.signal("TERM");
    assert_eq!(poller.ended().await, Some(0));
    let retried = stack.ask("retry").await;
    assert_eq!(retried["redriven"]["large"], 1, "{retried}");
}

/// Several processes share what there is, and one limit of bandwidth.
#[tokio::test]
async fn processes_share_the_tasks_and_a_limit() {
    let sides = Sides::start().await;
    let (count, size) = (24_u64, 24 << 20);
    let part_size = Some(8 << 20);
    let formula = Formula { count, sizes: vec![size], part_size, ..Formula::default() };
    sides.here().create_synthetic_bucket(SOURCE, formula, Backend::Memory);
    let hashed = Backend::Synthetic { hash_writes: true };
    sides.there().create_synthetic_bucket(DESTINATION, Formula::default(), hashed);
    let limited = [&ELSEWHERE[..], &[("BandwidthMiBPerSecond", "64")]].concat();
    let stack = Stack::deploy("shared", sides, &limited).await;
    let few = [("TRANSHIP_FLEET_STREAMS", "4")];
    let pollers =
        [Poller::start(&stack, "i-1", &few).await, Poller::start(&stack, "i-2", &few).await];
    let began = tokio::time::Instant::now();
    let report = stack.run().await;
    assert_eq!(copied(&report), count, "{report}");
    let mut moved = Vec::new();
    for poller in &pollers {
        moved.push(poller.until("it tells", |_, body| body["bytes_moved"].as_u64()).await);
    }
    assert!(moved.iter().all(|moved| *moved > 0), "one did it all: {moved:?}");
    assert_eq!(moved.iter().sum::<u64>(), count * size, "no part twice");
    // A limit is a promise about time, the one thing here that may be asserted of it: not faster.
    let rate = 576.0 / began.elapsed().as_secs_f64();
    assert!(rate <= 70.4, "{rate} MiB/s");
    println!("a limit of 64 MiB/s, two processes: {rate:.1} MiB/s, the whole run counted");
}

/// Each worker tells what it gets of a limit, and says so where that is too little for a function.
#[tokio::test]
async fn a_share_of_the_limit_that_is_too_small_is_said() {
    for (name, limit, is_small) in [("scant", "1", true), ("ample", "64", false)] {
        let sides = Sides::start().await;
        sides.put("small", noise(1, 2 * MIB));
        let stack = Stack::deploy(name, sides, &[("BandwidthMiBPerSecond", limit)]).await;
        assert_eq!(copied(&stack.run().await), 1);
        let log = stack.log("worker").await.join("\n");
        assert!(log.contains("\"BandwidthShare\":"), "{log}");
        assert_eq!(log.contains("share of the bandwidth limit"), is_small, "{log}");
    }
}

/// An instance that is about to end says so in its metadata: then the process drains.
#[tokio::test]
async fn an_instance_that_is_taken_away_drains() {
    let sides = Sides::start().await;
    let stack = Stack::deploy("taken", sides, &ELSEWHERE).await;
    for (path, text, says) in [
        ("autoscaling/target-lifecycle-state", "Terminated", "the Auto Scaling group takes"),
        ("spot/instance-action", r#"{"action":"terminate"}"#, "is about to be taken back"),
    ] {
        let metadata = Metadata::start("i-0123456789abcdef0").await;
        metadata.tell("autoscaling/target-lifecycle-state", "InService");
        let more = [
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.endpoint()),
            ("TRANSHIP_FLEET_INSTANCE", ""),
        ];
        let mut poller = Poller::start(&stack, "i-1", &more).await;
        let name = poller.until("it polls", |status, body| {
            polls(status, body)?;
            body["instance"].as_str().map(str::to_owned)
        });
        assert_eq!(name.await, "i-0123456789abcdef0");
        metadata.tell(path, text);
        assert_eq!(poller.ended().await, Some(0), "{path}: {}", poller.log());
        assert!(poller.log().contains(says), "{path}: {}", poller.log());
    }
}
