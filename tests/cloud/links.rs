//! The fleet where links are long and processes die: each process in a network of its own, measured and
//! tormented. `make links`; it takes root and some minutes.

use std::time::{Duration, Instant};

use tranship_adapters::clock::Chance;
use tranship_server::{Backend, Formula};
use tranship_tests::cloud::poller::Poller;
use tranship_tests::cloud::sides::Sides;
use tranship_tests::cloud::stack::Stack;
use tranship_tests::namespace::Namespace;
use tranship_tests::rig::{DESTINATION, SOURCE};

use crate::look::copied;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// One synthetic object between two servers whose bytes need not be held.
async fn one_object(
    name: &str,
    bytes: u64,
    part_size: u64,
    more: &[(&str, &str)],
) -> (Stack, String) {
    let sides = Sides::start().await;
    let formula =
        Formula { count: 1, sizes: vec![bytes], part_size: Some(part_size), ..Formula::default() };
    let key = formula.key(0);
    sides.here().create_synthetic_bucket(SOURCE, formula, Backend::Memory);
    let hashed = Backend::Synthetic { hash_writes: true };
    sides.there().create_synthetic_bucket(DESTINATION, Formula::default(), hashed);
    let fleet = [("Fleet", "elsewhere"), ("LargeObjectMiB", "64")];
    let stack = Stack::deploy(name, sides, &[&fleet[..], more].concat()).await;
    (stack, key)
}

fn port_of(endpoint: &str) -> u16 {
    endpoint.rsplit(':').next().unwrap().parse().unwrap()
}

/// The ports of the services and of the destination, and that of the source.
fn ports(stack: &Stack) -> (Vec<u16>, u16) {
    let near =
        vec![port_of(&stack.cloud.proxy.endpoint()), port_of(&stack.sides.destination.endpoint())];
    (near, port_of(&stack.sides.source.endpoint()))
}

fn bytes_moved(pollers: &[&Poller]) -> u64 {
    let moved =
        |poller: &&Poller| poller.health().and_then(|(_, body)| body["bytes_moved"].as_u64());
    pollers.iter().filter_map(moved).sum()
}

/// Bytes a second that processes move, once they have had their time to find their pace.
async fn rate(pollers: &[&Poller], settle: Duration, measure: Duration) -> f64 {
    tokio::time::sleep(settle).await;
    let (began, before) = (Instant::now(), bytes_moved(pollers));
    tokio::time::sleep(measure).await;
    let moved = bytes_moved(pollers) - before;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let moved = moved as f64;
    moved / began.elapsed().as_secs_f64()
}

#[tokio::test]
#[ignore = "takes root and minutes; `make links`"]
async fn the_fleet_finds_the_rate_of_a_long_lossy_link() {
    let (stack, _) = one_object("longlink", 8 * GIB, 16 * MIB, &[]).await;
    let (near, source) = ports(&stack);
    let mut namespace = Namespace::new("long");
    namespace.reaches(&near);
    namespace.reaches_over(200, 0.001, 250, &[source]);
    let place = namespace.place();
    stack.ask("run").await;
    let waits = async || (stack.depth("LargeQueue").await.0 > 0).then_some(());
    stack.until("tasks wait", waits).await;

    let one = [("TRANSHIP_FLEET_STREAMS", "1"), ("TRANSHIP_FLEET_DRAIN_SECONDS", "1")];
    let mut single = Poller::start_in(&stack, "one", &place, &one).await;
    let of_one = rate(&[&single], Duration::from_secs(20), Duration::from_secs(40)).await;
    single.signal("TERM");
    assert_eq!(single.ended().await, Some(0), "{}", single.log());

    let many = Poller::start_in(&stack, "many", &place, &[]).await;
    let of_many = rate(&[&many], Duration::from_secs(45), Duration::from_secs(40)).await;
    let (_, health) = many.health().unwrap();
    let ratio = of_many / of_one;
    println!(
        "200 ms, 0.1 % loss, 250 Mbit/s: one connection {:.2} MB/s; the fleet {:.2} MB/s with {} streams: {ratio:.1} times",
        of_one / 1e6,
        of_many / 1e6,
        health["streams"]
    );
    assert!(ratio >= 10.0, "{ratio} times one connection's rate: {}", many.log());
}

#[tokio::test]
#[ignore = "takes root and minutes; `make links`"]
async fn the_fleet_keeps_a_limit_of_bandwidth() {
    let (stack, _) =
        one_object("limited", 16 * GIB, 16 * MIB, &[("BandwidthMiBPerSecond", "24")]).await;
    let (mut near, source) = ports(&stack);
    near.push(source);
    stack.ask("run").await;
    let waits = async || (stack.depth("LargeQueue").await.0 > 0).then_some(());
    stack.until("tasks wait", waits).await;
    let mut namespaces: Vec<_> = (0..3).map(|n| Namespace::new(&format!("part{n}"))).collect();
    let mut pollers = Vec::new();
    for (n, namespace) in namespaces.iter_mut().enumerate() {
        namespace.reaches(&near);
        let place = namespace.place();
        pollers.push(Poller::start_in(&stack, &format!("i-{n}"), &place, &[]).await);
    }
    for count in [1, 3] {
        // The others stand still, and hold at most the lease that they had.
        for (n, poller) in pollers.iter().enumerate() {
            poller.signal(if n < count { "CONT" } else { "STOP" });
        }
        let some: Vec<_> = pollers.iter().take(count).collect();
        let rate =
            rate(&some, Duration::from_secs(10), Duration::from_secs(30)).await / 1_048_576.0;
        println!("a limit of 24 MiB/s, {count} processes: {rate:.2} MiB/s");
        assert!((21.6..=26.4).contains(&rate), "{rate} MiB/s, which is not within 10 %");
    }
}

/// Tens of GiB between processes that are killed, stopped and cut off at random.
#[tokio::test]
#[ignore = "takes root and minutes; `make links`"]
async fn the_fleet_survives_what_befalls_it() {
    let seed = std::env::var("TRANSHIP_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let size = std::env::var("TRANSHIP_GIB").ok().and_then(|gib| gib.parse().ok()).unwrap_or(20);
    let mut chance = Chance::new(seed);
    let (stack, key) = one_object("tormented", size * GIB, 16 * MIB, &[]).await;
    let (mut near, source) = ports(&stack);
    near.push(source);
    // What is lost with a process is to come back while the test still runs.
    stack.hide_for("LargeQueue", 60).await;
    let mut namespaces: Vec<_> = (0..3).map(|n| Namespace::new(&format!("host{n}"))).collect();
    for namespace in &mut namespaces {
        namespace.reaches(&near);
    }
    let began = Instant::now();
    stack.ask("run").await;
    let streams = [("TRANSHIP_FLEET_STREAMS", "8")];
    let mut pollers = Vec::new();
    for (n, namespace) in namespaces.iter().enumerate() {
        let place = namespace.place();
        pollers.push(Poller::start_in(&stack, &format!("i-{n}"), &place, &streams).await);
    }
    let (mut kills, mut stops, mut cuts, mut drains) = (0, 0, 0, 0);
    let report = loop {
        tokio::time::sleep(Duration::from_millis(1_000 + chance.below(4_000))).await;
        let swept = stack.ask("sweep").await;
        if swept["run"]["ended_ms"].is_u64() {
            break swept["run"].clone();
        }
        assert!(began.elapsed() < Duration::from_mins(30), "it does not end: {swept}");
        let n = usize::try_from(chance.below(3)).unwrap();
        let pause = Duration::from_millis(500 + chance.below(4_000));
        match chance.below(8) {
            0 => {
                pollers[n].signal("KILL");
                kills += 1;
            }
            1 | 2 => {
                pollers[n].signal("STOP");
                tokio::time::sleep(pause).await;
                pollers[n].signal("CONT");
                stops += 1;
            }
            3 | 4 => {
                namespaces[n].cut(true);
                tokio::time::sleep(pause).await;
                namespaces[n].cut(false);
                cuts += 1;
            }
            5 => {
                pollers[n].signal("TERM");
                assert_eq!(pollers[n].ended().await, Some(0), "{}", pollers[n].log());
                drains += 1;
            }
            _ => {}
        }
        if pollers[n].has_ended() {
            let place = namespaces[n].place();
            pollers[n] = Poller::start_in(&stack, &format!("i-{n}"), &place, &streams).await;
        }
    };
    assert_eq!(copied(&report), 1, "{report}");
    let there = stack.sides.there().get(DESTINATION, &key).unwrap();
    let here = stack.sides.here().get(SOURCE, &key).unwrap();
    assert_eq!((&here.etag, here.content.len()), (&there.etag, there.content.len()));
    assert_eq!(stack.sides.there().open_uploads(DESTINATION), []);
    let parts = size * GIB / (16 * MIB);
    let sent = u64::try_from(stack.sides.destination.requests().count("UploadPart")).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let each = sent as f64 / parts as f64;
    println!(
        "{size} GiB, seed {seed}: {kills} kills, {stops} stops, {cuts} cuts, {drains} drains in {:.0} s; {sent} parts sent for {parts}: {each:.3} each",
        began.elapsed().as_secs_f64()
    );
    assert!(each <= 1.05, "a part was copied {each} times on average");
}
