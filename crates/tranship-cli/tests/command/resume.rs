//! A process that is killed, again and again, at moments that nobody chose.

use std::time::Duration;

use tranship_server::{Fault, Matcher, Rule};

use crate::support::{DESTINATION, MIB, World, end, expect_all_there, noise, send, until};

const KILLS: u64 = 6;
const STREAMS: u64 = 2;
const SMALL: u64 = 300;
const LARGE: u64 = 2;
const LARGE_MIB: u64 = 90;
const PARTS: u64 = LARGE * LARGE_MIB / 5;
/// Parts of one task.
const TASK_PARTS: u64 = 16;

const OPTIONS: [&str; 7] =
    ["--json", "--part-size", "5MiB", "--multipart-threshold", "6MiB", "--concurrency", "2"];

/// Lets a copy run and kills it; `false` if it ended before. Every other one is killed early, when
/// it lists, plans or copies small objects, the others in the midst of parts.
async fn kill_one(world: &World, seed: u64) -> bool {
    let [more, pause] = noise(seed, 2)[..] else { panic!("two bytes were asked for") };
    let parts = || world.destination.requests().count("UploadPart");
    let wanted = parts() + 3 + u64::from(more % 3);
    let mut child = world.copying(&OPTIONS).spawn().unwrap();
    if seed.is_multiple_of(2) {
        until("some parts were sent", || parts() >= wanted || child.try_wait().unwrap().is_some())
            .await;
    } else {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_millis(u64::from(pause / 3))).await;
    let was_running = child.try_wait().unwrap().is_none();
    if was_running {
        send("KILL", &child);
    }
    let done = end(child);
    assert_eq!(done.code, if was_running { None } else { Some(0) }, "{done}");
    was_running
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_goes_on_where_it_stopped() {
    let world = World::new().await;
    for n in 0..SMALL {
        world.put(&format!("small/{n:04}"), noise(n, 2_000));
    }
    for n in 0..LARGE {
        world.put(&format!("large/{n}"), noise(n, usize::try_from(LARGE_MIB).unwrap() * MIB));
    }
    let stall = |matcher, ms| Rule::new(matcher, Fault::Stall(Duration::from_millis(ms)));
    world.source.faults().add(stall(Matcher::on("GetObject").key("large"), 20));
    world.destination.faults().add(stall(Matcher::on("UploadPart"), 60));
    let mut kills = 0;
    for seed in 1..=KILLS {
        if !kill_one(&world, seed).await {
            break;
        }
        kills += 1;
    }
    assert_eq!(kills, KILLS, "the copy ended before all kills");
    let done = world.copy(&OPTIONS);
    assert_eq!(done.events()[0]["resumed"], true, "{done}");
    expect_all_there(&done.last_event(), LARGE + SMALL);
    world.expect_equal();

    // What was in flight when it was killed was not recorded, and nothing else is sent again: but for an
    // object whose plan was sent and not yet settled, which is rare. Its tasks come twice, side by side.
    let asked = world.destination.requests().count("UploadPart");
    assert!(asked <= PARTS + kills * STREAMS + TASK_PARTS, "{asked} parts after {kills} kills");
    for key in world.there().keys(DESTINATION) {
        assert_eq!(world.there().count_writes(DESTINATION, &key), 1, "{key}");
    }
    let ended = done.last_event();
    let bytes = LARGE * LARGE_MIB * (1 << 20) + SMALL * 2_000;
    assert_eq!(ended["listed"]["bytes"], bytes);
    let all = ended["outcomes"].as_object().unwrap().values();
    let sum: u64 = all.map(|count| count["bytes"].as_u64().unwrap()).sum();
    assert_eq!(sum, bytes, "nothing is counted twice");
    for event in done.events().iter().filter(|event| event["event"] == "progress") {
        assert_eq!(event["listed"]["objects"], LARGE + SMALL, "what was listed before is shown");
    }
}
