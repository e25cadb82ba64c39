//! The fleet where links are long and processes die: each process in a network of its own, measured and
//! tormented. `make links`; it takes root and some minutes.

use std::time::Duration;

use tokio::time::Instant;
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
async fn rate(pollers: &[&Poller], settle: Duration, measure: Duration) -> u64 {
    tokio::time::sleep(settle).await;
    let (began, before) = (Instant::now(), bytes_moved(pollers));
    tokio::time::sleep(measure).await;
    let moved = bytes_moved(pollers) - before;
    moved * 1_000 / u64::try_from(began.elapsed().as_millis()).unwrap()
}

/// A number that whoever measures may choose.
#[expect(clippy::disallowed_methods, reason = "whoever measures says what")]
fn chosen(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
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
    println!(
        "200 ms, 0.1 % loss, 250 Mbit/s: one connection {} KB/s; the fleet {} KB/s with {} streams: {} times",
        of_one / 1_000,
        of_many / 1_000,
        health["streams"],
        of_many / of_one
    );
    assert!(of_many >= 10 * of_one, "{of_many} for {of_one}: {}", many.log());
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
        let kib = rate(&some, Duration::from_secs(10), Duration::from_secs(30)).await / 1_024;
        println!("a limit of 24 MiB/s, {count} processes: {kib} KiB/s");
        let limit = 24 * 1_024;
        assert!(kib * 10 >= limit * 9 && kib * 10 <= limit * 11, "not within 10 %: {kib} KiB/s");
    }
}

/// What befell the processes.
#[derive(Debug, Default)]
struct Torment {
    kills: u32,
    stops: u32,
    cuts: u32,
    drains: u32,
}

/// The hosts of a fleet, each in a network of its own.
struct Hosts {
    namespaces: Vec<Namespace>,
    pollers: Vec<Poller>,
    chance: Chance,
    torment: Torment,
}

const STREAMS: [(&str, &str); 1] = [("TRANSHIP_FLEET_STREAMS", "8")];

impl Hosts {
    async fn start(stack: &Stack, count: u32, ports: &[u16], seed: u64) -> Self {
        let (mut namespaces, mut pollers) = (Vec::new(), Vec::new());
        for n in 0..count {
            let mut namespace = Namespace::new(&format!("host{n}"));
            namespace.reaches(ports);
            let name = format!("i-{n}");
            pollers.push(Poller::start_in(stack, &name, &namespace.place(), &STREAMS).await);
            namespaces.push(namespace);
        }
        Self { namespaces, pollers, chance: Chance::new(seed), torment: Torment::default() }
    }

    /// Does something to one of them, or to none.
    async fn torment(&mut self, stack: &Stack) {
        let n = usize::try_from(self.chance.below(3)).unwrap();
        let pause = Duration::from_millis(500 + self.chance.below(4_000));
        let (poller, namespace) = (&mut self.pollers[n], &mut self.namespaces[n]);
        match self.chance.below(8) {
            0 => {
                poller.signal("KILL");
                assert_eq!(poller.ended().await, None);
                self.torment.kills += 1;
            }
            1 | 2 => {
                poller.signal("STOP");
                tokio::time::sleep(pause).await;
                poller.signal("CONT");
                self.torment.stops += 1;
            }
            3 | 4 => {
                namespace.cut(true);
                tokio::time::sleep(pause).await;
                namespace.cut(false);
                self.torment.cuts += 1;
            }
            5 => {
                poller.signal("TERM");
                assert_eq!(poller.ended().await, Some(0), "{}", poller.log());
                self.torment.drains += 1;
            }
            _ => {}
        }
        if poller.has_ended() {
            let name = format!("i-{n}");
            *poller = Poller::start_in(stack, &name, &namespace.place(), &STREAMS).await;
        }
    }
}

/// Tens of GiB between processes that are killed, stopped and cut off at random.
#[tokio::test]
#[ignore = "takes root and minutes; `make links`"]
async fn the_fleet_survives_what_befalls_it() {
    let (seed, gib) = (chosen("TRANSHIP_SEED", 1), chosen("TRANSHIP_GIB", 20));
    let (stack, key) = one_object("tormented", gib * GIB, 16 * MIB, &[]).await;
    let (mut ports, source) = ports(&stack);
    ports.push(source);
    let began = Instant::now();
    stack.ask("run").await;
    let mut hosts = Hosts::start(&stack, 3, &ports, seed).await;
    let report = loop {
        tokio::time::sleep(Duration::from_millis(1_000 + hosts.chance.below(4_000))).await;
        let swept = stack.ask("sweep").await;
        if swept["run"]["ended_ms"].is_u64() {
            break swept["run"].clone();
        }
        assert!(began.elapsed() < Duration::from_mins(40), "it does not end: {swept}");
        hosts.torment(&stack).await;
    };
    assert_eq!(copied(&report), 1, "{report}");
    let there = stack.sides.there().get(DESTINATION, &key).unwrap();
    let here = stack.sides.here().get(SOURCE, &key).unwrap();
    assert_eq!((&here.etag, here.content.len()), (&there.etag, there.content.len()));
    assert_eq!(stack.sides.there().open_uploads(DESTINATION), []);
    let parts = gib * GIB / (16 * MIB);
    let sent = stack.sides.destination.requests().count("UploadPart");
    println!(
        "{gib} GiB, seed {seed}: {:?} in {} s; {sent} parts sent for {parts}",
        hosts.torment,
        began.elapsed().as_secs()
    );
    assert!(sent * 100 <= parts * 105, "more than 1.05 times on average");
}
