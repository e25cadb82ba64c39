//! A process that is killed, again and again, at moments that nobody chose.

use std::time::Duration;

use tranship_server::{Fault, Matcher, Rule};

use crate::support::{DESTINATION, MIB, World, end, expect_all_there, noise, send};

const KILLS: u64 = 6;
const STREAMS: u64 = 4;
const SMALL: u64 = 300;
const LARGE: u64 = 2;
const PARTS: u64 = LARGE * 60 / 5;

const OPTIONS: [&str; 7] =
    ["--json", "--part-size", "5MiB", "--multipart-threshold", "6MiB", "--concurrency", "4"];

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_goes_on_where_it_stopped() {
    let world = World::new().await;
    for n in 0..SMALL {
        world.put(&format!("small/{n:04}"), noise(n, 2_000));
    }
    for n in 0..LARGE {
        world.put(&format!("large/{n}"), noise(n, 60 * MIB));
    }
    let stall =
        |operation, ms| Rule::new(Matcher::on(operation), Fault::Stall(Duration::from_millis(ms)));
    world.source.faults().add(stall("GetObject", 60));
    world.destination.faults().add(stall("UploadPart", 100));
    let mut kills = 0;
    for seed in 1..=KILLS {
        let mut child = world.copying(&OPTIONS).spawn().unwrap();
        let delay = u64::from(noise(seed, 1)[0]);
        tokio::time::sleep(Duration::from_millis(200 + 2 * delay)).await;
        if child.try_wait().unwrap().is_some() {
            end(child);
            break;
        }
        send("KILL", &child);
        assert_eq!(end(child).code, None, "killed, not ended");
        kills += 1;
    }
    assert!(kills >= 3, "the copy was too fast to be killed often: {kills}");
    let done = world.copy(&OPTIONS);
    assert_eq!(done.events()[0]["resumed"], true, "{done}");
    expect_all_there(&done.last_event(), LARGE + SMALL);
    world.expect_equal();

    let asked = |operation| world.destination.requests().count(operation);
    assert!(asked("UploadPart") <= PARTS + kills * STREAMS, "{} parts", asked("UploadPart"));
    for key in world.there().keys(DESTINATION) {
        assert_eq!(world.there().count_writes(DESTINATION, &key), 1, "{key}");
    }
    let ended = done.last_event();
    let events = done.events();
    let progress = events.iter().find(|event| event["event"] == "progress").unwrap();
    assert_eq!(progress["listed"]["objects"], LARGE + SMALL, "what was listed before is shown");
    let bytes = LARGE * 60 * (1 << 20) + SMALL * 2_000;
    assert_eq!(ended["listed"]["bytes"], bytes);
    let all = ended["outcomes"].as_object().unwrap().values();
    let sum: u64 = all.map(|count| count["bytes"].as_u64().unwrap()).sum();
    assert_eq!(sum, bytes, "nothing is counted twice");
}
