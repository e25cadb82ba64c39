//! Ctrl-C: once stops cleanly, twice stops at once; the same command goes on afterwards.

use std::time::Duration;

use tranship_server::{Fault, Matcher, Rule};

use crate::support::{World, end, expect_all_there, expect_outcomes, noise, send, until};

const OPTIONS: [&str; 4] = ["--concurrency", "4", "--exclude", "it's not there"];

async fn slow(objects: u64, pause: Duration) -> World {
    let world = World::new().await;
    for n in 0..objects {
        world.put(&format!("{n:03}"), noise(n, 500));
    }
    world.source.faults().add(Rule::new(Matcher::on("GetObject"), Fault::Stall(pause)));
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn one_signal_stops_cleanly_and_says_how_to_resume() {
    for signal in ["INT", "TERM"] {
        let world = slow(200, Duration::from_millis(30)).await;
        let child = world.copying(&OPTIONS).spawn().unwrap();
        until("some were copied", || world.there().keys(crate::support::DESTINATION).len() > 20)
            .await;
        send(signal, &child);
        let done = end(child);
        let resume = "--concurrency 4 --exclude 'it'\\''s not there'";
        done.expect(130, &["Stopping cleanly", "interrupted", "to resume, run:", resume]);
        let written = world.destination.requests().count("PutObject");
        assert!(written < 200, "it was stopped too late to say anything");
        assert!(
            done.out.contains(&format!("{written} of 200 objects that were listed so far")),
            "{done}"
        );
        world.source.faults().clear();
        let mut options = vec!["--json"];
        options.extend(OPTIONS);
        let done = world.copy(&options);
        assert_eq!(done.events()[0]["resumed"], true, "{done}");
        expect_outcomes(&done.last_event(), &[("copied", 200)]);
        assert_eq!(world.destination.requests().count("PutObject"), 200, "nothing twice");
        world.expect_equal();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_signals_stop_at_once() {
    let world = slow(20, Duration::from_mins(1)).await;
    let child = world.copying(&OPTIONS).spawn().unwrap();
    until("it waits for the source", || world.source.faults().struck() > 0).await;
    let begin = tokio::time::Instant::now();
    send("INT", &child);
    tokio::time::sleep(Duration::from_millis(300)).await;
    send("INT", &child);
    end(child)
        .expect(130, &["Stopping cleanly; Ctrl-C again stops at once", "tranship copy s3://"]);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    world.source.faults().clear();
    let mut options = vec!["--json"];
    options.extend(OPTIONS);
    let done = world.copy(&options);
    assert_eq!(done.events()[0]["resumed"], true, "{done}");
    expect_all_there(&done.last_event(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_before_the_run_begins_leaves_nothing() {
    let world = World::new().await;
    let stall = Fault::Stall(Duration::from_mins(1));
    world.source.faults().add(Rule::new(Matcher::on("ListObjectsV2"), stall));
    let child = world.copying(&["--json"]).spawn().unwrap();
    until("it waits for the source", || world.source.faults().struck() > 0).await;
    let begin = tokio::time::Instant::now();
    send("INT", &child);
    let done = end(child);
    done.expect(130, &["interrupted before the run began", "run the same command again"]);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    let events: Vec<_> = done.events().iter().map(|event| event["event"].clone()).collect();
    assert_eq!(events, ["interrupted", "run-failed"]);
    assert!(world.files().is_empty());
    world.expect_untouched();
}
