//! What the command does when all is well, and when some objects are not.

use std::collections::BTreeSet;

use tranship_server::{Fault, Matcher, Properties, Rule, Versioning};

use crate::support::{DESTINATION, SOURCE, World, expect_outcomes, noise, outcomes, run, text};

fn keys(world: &World) -> Vec<String> {
    world.there().keys(DESTINATION)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_exchanged_for_another() {
    let world = World::new().await;
    for key in ["in", "in/", "in//a/../b", "index", "other", "in/\u{202e}\n\u{1b}[31m"] {
        world.put(key, key);
    }
    let (from, to) = (format!("s3://{SOURCE}/in"), format!("s3://{DESTINATION}/out//"));
    let done = run(world.copying_at(&from, &to, &[]));
    done.expect(0, &["s3://source-bucket/in → s3://destination-bucket/out//", "complete"]);
    let copied: BTreeSet<_> = keys(&world).into_iter().collect();
    let wanted = ["out//", "out///", "out////a/../b", "out//dex", "out///\u{202e}\n\u{1b}[31m"];
    assert_eq!(copied, wanted.into_iter().map(str::to_owned).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_chosen_by_key_size_and_time() {
    const ALL: [&str; 6] = ["a.jpg", "a/b.jpg", "a/b.txt", "café.jpg", "line\n.jpg", "z.TXT"];
    let but = |without: &[&str]| -> Vec<&str> {
        ALL.into_iter().filter(|key| !without.contains(key)).collect()
    };
    for (options, chosen) in [
        (&["--include", "*.jpg"][..], but(&["a/b.txt", "z.TXT"])),
        (&["--include", "a/*", "--include-regex", "(?i)txt$"], vec!["a/b.jpg", "a/b.txt", "z.TXT"]),
        (&["--exclude", "*.jpg"], vec!["a/b.txt", "z.TXT"]),
        (&["--include", "a*", "--exclude", "*/*"], vec!["a.jpg"]),
        (&["--include", "caf?.jpg"], vec!["café.jpg"]),
        (&["--include", "{a,z}.{jpg,TXT}"], vec!["a.jpg", "z.TXT"]),
        (&["--exclude-regex", "^[a-c]"], vec!["line\n.jpg", "z.TXT"]),
        (&["--min-size", "7B"], but(&["a.jpg", "z.TXT"])),
        (&["--max-size", "5"], vec!["a.jpg", "z.TXT"]),
        (&["--modified-before", "2001-01-01T00:00:00Z"], vec![]),
        (&["--modified-after", "2001-01-01T00:00:00Z"], but(&[])),
    ] {
        let world = World::new().await;
        for key in ALL {
            world.put(key, key);
        }
        let mut all = vec!["--json"];
        all.extend(options);
        let ended = world.copy(&all).last_event();
        assert_eq!(keys(&world), chosen, "{options:?}");
        let of = |keys: usize| u64::try_from(keys).unwrap();
        let (copied, filtered) = (of(chosen.len()), of(ALL.len() - chosen.len()));
        let wanted = [("copied", copied), ("filtered", filtered)];
        let wanted: Vec<_> = wanted.into_iter().filter(|(_, objects)| *objects > 0).collect();
        expect_outcomes(&ended, &wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_see_the_key_behind_the_prefix() {
    let world = World::new().await;
    for key in ["in/a", "in/b", "in/in/a"] {
        world.put(key, key);
    }
    let (from, to) = (format!("s3://{SOURCE}/in/"), format!("s3://{DESTINATION}/out/"));
    run(world.copying_at(&from, &to, &["--include", "a", "--include-regex", "^in"])).expect(0, &[]);
    assert_eq!(keys(&world), ["out/a", "out/in/a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_list_is_taken_back_even_from_the_same_file() {
    let world = World::new().await;
    for n in 0..9 {
        world.put(&format!("k{n}"), noise(n, 100));
    }
    world.put("bad\n\u{1b}[31m", "bytes");
    let fail = |key: &str| {
        world.source.faults().clear();
        let rule = Rule::new(Matcher::on("GetObject").key(key), Fault::Status5xxBefore);
        world.source.faults().add(rule);
    };
    fail("");
    let options = ["--retries", "0", "--failures", "list.jsonl"];
    let done = world.copy(&options);
    done.expect(3, &["failed: k0: ", "InternalError", "10 objects failed", "list.jsonl"]);
    assert_eq!(world.read("list.jsonl").lines().count(), 10);
    // Of those ten, one fails again: the list that was read is replaced by a shorter one.
    fail("bad");
    let again = ["--retries", "0", "--failures", "list.jsonl", "--keys-from", "list.jsonl"];
    world.copy(&again).expect(3, &["failed: bad\\n\\u{1b}[31m: ", "1 object failed"]);
    let list = world.read("list.jsonl");
    let [line] = list.lines().collect::<Vec<_>>()[..] else { panic!("{list}") };
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["key"], "bad\n\u{1b}[31m");
    assert!(line["reason"].as_str().unwrap().contains("InternalError"), "{line}");
    world.source.faults().clear();
    world.copy(&again).expect(0, &["complete"]);
    assert_eq!(world.read("list.jsonl"), "", "nothing is left to be done");
    world.expect_equal();
    let mut json = vec!["--json"];
    json.extend(again);
    expect_outcomes(&world.copy(&json).last_event(), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_run_leaves_the_list_that_it_reads() {
    let world = World::new().await;
    let keys: Vec<_> = (0..20).map(|n| format!("{n:02}\n")).collect();
    for key in &keys {
        world.put(key.trim(), "bytes");
    }
    let list = keys.concat();
    world.write("list", &list);
    world.there().configure(DESTINATION, |bucket| bucket.deny_write = true);
    let options = ["--keys-from", "list", "--failures", "list", "--json"];
    assert_eq!(world.copy(&options).code, Some(4));
    assert_eq!(world.read("list"), list);
    world.there().configure(DESTINATION, |bucket| bucket.deny_write = false);
    let done = world.copy(&options);
    assert_eq!(done.events()[0]["resumed"], true, "{done}");
    expect_outcomes(&done.last_event(), &[("copied", 20)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_file_that_are_not_there_are_counted() {
    let world = World::new().await;
    world.put("in/a", "bytes");
    world.write("list", "in/a\nin/none\nout/b\n");
    let (from, to) = (format!("s3://{SOURCE}/in/"), format!("s3://{DESTINATION}"));
    let done = run(world.copying_at(&from, &to, &["--keys-from", "list", "--json"]));
    assert_eq!(done.code, Some(3), "{done}");
    let wanted = [("copied", 1), ("failed", 1), ("vanished", 1)];
    expect_outcomes(&done.last_event(), &wanted);
    assert!(done.out.contains("not under the source prefix"), "{done}");
    assert_eq!(keys(&world), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_it_would_do_and_writes_nothing() {
    let world = World::new().await;
    world.put("new", "bytes");
    world.put("same", "bytes");
    world.put("large", noise(1, 12 << 20));
    world.put("bad", "bytes");
    world.there().put(DESTINATION, "same", "bytes");
    world.there().put(DESTINATION, "extra", "bytes");
    let options = ["--dry-run", "--multipart-threshold", "6MiB"];
    let delete = ["--delete", "--delete-unversioned", "--delete-max-ratio", "100"];
    let all = [&options[..], &delete].concat();
    let ended = world.copy_in_json(&all);
    expect_outcomes(&ended, &[("copied", 3), ("deleted", 1), ("equal", 1)]);
    assert_eq!(ended["dry_run"], true);
    assert_eq!(keys(&world), ["extra", "same"]);
    world.expect_untouched();
    assert_eq!(world.files(), BTreeSet::new());
    world.copy(&all).expect(0, &["dry run: nothing was written"]);
    // What is named is written: to look at before the real run.
    let named = [&all[..], &["--delete-manifest", "gone.jsonl"]].concat();
    world.copy(&named).expect(0, &["candidates for deletion: gone.jsonl"]);
    assert_eq!(world.files(), BTreeSet::from(["gone.jsonl".to_owned()]));
    assert!(world.read("gone.jsonl").contains("\"extra\""));
    world.expect_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_need_the_flag_the_guard_and_where_nothing_is_kept_the_second_flag() {
    let world = World::new().await;
    for n in 0..10 {
        world.put(&format!("{n}"), "bytes");
        world.there().put(DESTINATION, &format!("extra-{n}"), "bytes");
    }
    world.refuses(world.copying(&["--delete"]), 2, &["--delete-unversioned", "keeps no versions"]);
    world.there().configure(DESTINATION, |bucket| bucket.versioning = Versioning::Enabled);
    expect_outcomes(&world.copy_in_json(&[]), &[("copied", 10), ("extra", 10)]);
    let within_ratio = ["--delete", "--delete-max-ratio", "50"];
    let guarded = [&within_ratio[..], &["--delete-max", "9"]].concat();
    for (options, limit) in [(&guarded[..], "at most 9"), (&["--delete"][..], "at most 10 %")] {
        let ended = world.copy_in_json(options);
        expect_outcomes(&ended, &[("equal", 10), ("extra", 10)]);
        let held = ended["deletes_held"].as_str().unwrap();
        assert!(held.contains("10 objects") && held.contains(limit), "{held}");
        // Who asked for deletes, and did not get them, is not told that all is done.
        world.copy(options).expect(3, &["nothing was deleted", limit]);
    }
    world.there().configure(DESTINATION, |bucket| bucket.versioning = Versioning::Off);
    let manifest = ["--delete-unversioned", "--delete-manifest", "gone.jsonl"];
    let ended = world.copy_in_json(&[&within_ratio[..], &manifest].concat());
    expect_outcomes(&ended, &[("deleted", 10), ("equal", 10)]);
    assert_eq!(ended["delete_manifest"], "gone.jsonl");
    assert!(ended["deletes_held"].is_null());
    assert_eq!(world.read("gone.jsonl").lines().count(), 10);
    world.expect_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_a_line_of_json_with_a_known_name() {
    let world = World::new().await;
    for n in 0..40 {
        world.put(&format!("{n}\n\u{1b}[31m😀"), noise(n, 100));
    }
    world
        .source
        .faults()
        .add(Rule::new(Matcher::on("GetObject").key("39"), Fault::Status5xxBefore));
    // Slow enough for one look at the progress.
    let stall = Fault::Stall(std::time::Duration::from_millis(200));
    world.destination.faults().add(Rule::new(Matcher::on("PutObject"), stall));
    let done = world.copy(&["--json", "--retries", "0", "--concurrency", "4"]);
    assert_eq!(done.code, Some(3), "{done}");
    assert!(done.out.is_ascii() && done.err.is_empty(), "{done}");
    let events = done.events();
    let names: BTreeSet<_> = events.iter().map(|it| it["event"].as_str().unwrap()).collect();
    let wanted = ["object-failed", "progress", "run-ended", "run-started", "warning"];
    assert_eq!(names, BTreeSet::from(wanted));
    let names_of = |event: &serde_json::Value| -> Vec<String> {
        event.as_object().unwrap().keys().cloned().collect()
    };
    let wanted = "destination dry_run event ledger resumed source transfer";
    assert_eq!(names_of(&events[0]).join(" "), wanted);
    let wanted = "balanced bytes_moved delete_manifest deletes_held dry_run elapsed_ms ending event exit_code failures listed losses outcomes reason resume retries transfer";
    assert_eq!(names_of(&done.last_event()).join(" "), wanted);
    let progress = events.iter().find(|it| it["event"] == "progress").unwrap();
    let wanted = "bytes_moved bytes_per_second done_bytes elapsed_ms eta_ms event failed listed listing_done outcomes retries";
    assert_eq!(names_of(progress).join(" "), wanted);
    let failed = events.iter().find(|it| it["event"] == "object-failed").unwrap();
    assert_eq!(failed["key"], "39\n\u{1b}[31m😀");
    assert_eq!(done.last_event()["exit_code"], 3);
    assert_eq!(outcomes(&done.last_event()), [("copied".to_owned(), 39), ("failed".to_owned(), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_an_attempt_after_the_first() {
    for (retries, attempts) in [("0", 1), ("1", 2)] {
        let world = World::new().await;
        world.put("k", "bytes");
        world.source.faults().add(Rule::new(Matcher::on("GetObject"), Fault::Status5xxBefore));
        world.copy(&["--retries", retries]).expect(3, &["1 object failed"]);
        // Each attempt repeats a request that may pass at once a few times in place.
        assert_eq!(world.source.requests().count("GetObject"), attempts * 3, "{retries}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let world = World::new().await;
    for key in ["a", "b", "c"] {
        world.put(key, key);
    }
    let config = format!(
        "source = \"s3://{SOURCE}\"\ndestination = \"s3://nowhere\"\nexclude = [\"a\"]\njson = true\ndry-run = true\nstorage-class = \"STANDARD_IA\"\nsource-endpoint = \"{}\"\n",
        world.source.endpoint()
    );
    world.write("tranship.toml", config);
    let mut command = world.bare(&["copy", "--config", "tranship.toml", "--dry-run=false"]);
    command
        .env("TRANSHIP_DESTINATION", format!("s3://{DESTINATION}"))
        .env("TRANSHIP_DESTINATION_ENDPOINT", world.destination.endpoint())
        .env("TRANSHIP_EXCLUDE", "[\"b\"]")
        .env("TRANSHIP_DRY_RUN", "true");
    expect_outcomes(&run(command).last_event(), &[("copied", 2), ("filtered", 1)]);
    assert_eq!(keys(&world), ["a", "c"]);
    let class = |key| world.there().get(DESTINATION, key).unwrap().properties.storage_class.clone();
    assert_eq!(class("a").as_deref(), Some("STANDARD_IA"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_over_and_carried_is_decided_by_options() {
    let world = World::new().await;
    let tags = vec![("project".to_owned(), "x".to_owned())];
    let put = |key: &str, size| {
        let bytes = noise(1, size);
        world.here().put_with(SOURCE, key, bytes, Properties::default(), tags.clone());
    };
    put("small", 100);
    put("large", 12 << 20);
    world.put("taken", "ours");
    world.there().put(DESTINATION, "taken", "theirs");
    let options =
        ["--overwrite", "never", "--no-tags", "--no-token", "--multipart-threshold", "6MiB"];
    expect_outcomes(&world.copy_in_json(&options), &[("copied", 2), ("kept", 1)]);
    assert_eq!(world.there().read(DESTINATION, "taken").unwrap(), "theirs");
    for key in ["small", "large"] {
        let object = world.there().get(DESTINATION, key).unwrap();
        assert!(object.tags.is_empty() && object.properties.metadata.is_empty(), "{key}");
    }
    let always = ["--compare", "always", "--part-size", "6MiB", "--multipart-threshold", "6MiB"];
    expect_outcomes(&world.copy_in_json(&always), &[("copied", 3)]);
    for key in ["small", "large"] {
        assert_eq!(world.there().get(DESTINATION, key).unwrap().tags, tags, "{key}");
    }
    let object = world.there().get(DESTINATION, "large").unwrap();
    assert!(object.properties.metadata.contains_key("tranship-token"));
    assert!(object.etag.ends_with("-2"), "{}", object.etag);
    world.expect_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn within_one_store_no_byte_passes_unless_it_must() {
    for (when, through) in [("auto", false), ("always", false), ("never", true)] {
        let world = World::new().await;
        world.here().create_bucket(DESTINATION);
        world.put("small", noise(1, 100));
        world.put("large", noise(2, 12 << 20));
        let (from, to) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
        let mut command = world.bare(&["copy", &from, &to, "--json", "--server-side", when]);
        let endpoint = world.source.endpoint();
        command.args(["--source-endpoint", &endpoint, "--destination-endpoint", &endpoint]);
        command.args(["--multipart-threshold", "6MiB"]);
        expect_outcomes(&run(command).last_event(), &[("copied", 2)]);
        for key in ["small", "large"] {
            let copy = world.here().read(DESTINATION, key);
            assert!(copy.is_some() && copy == world.here().read(SOURCE, key), "{when} {key}");
        }
        let asked = |operation| world.source.requests().count(operation) > 0;
        assert_eq!((asked("GetObject"), asked("CopyObject")), (through, !through), "{when}");
        assert_eq!((asked("UploadPart"), asked("UploadPartCopy")), (through, !through), "{when}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_says_nothing_unless_something_is_wrong() {
    let world = World::new().await;
    world.put("k", "bytes");
    let done = world.copy(&["--quiet"]);
    assert_eq!((done.code, &*done.out, &*done.err), (Some(0), "", ""));
    world.put("bad", "bytes");
    world.source.faults().add(Rule::new(Matcher::on("GetObject"), Fault::Status5xxBefore));
    let done = world.copy(&["--quiet", "--retries", "0"]);
    done.expect(3, &["failed: bad: ", "failure list: "]);
    assert_eq!(done.out, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_cannot_be_written_are_named_before_anything_is_copied() {
    let world = World::new().await;
    world.put("k", "bytes");
    world.write("file", "");
    std::fs::create_dir(world.path("folder")).unwrap();
    world.there().configure(DESTINATION, |bucket| bucket.versioning = Versioning::Enabled);
    for place in ["file/list", "folder"] {
        for (options, word) in [
            (&["--failures", place][..], "the failure list"),
            (&["--delete", "--delete-manifest", place], "the manifest"),
        ] {
            world
                .copy(options)
                .expect(2, &[word, place, "cannot be written", options[options.len() - 2]]);
            world.expect_untouched();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_everything_and_leaves_nothing() {
    let world = World::new().await;
    let mut command = world.bare(&["demo", "--small"]);
    command.env("TMPDIR", text(&world.path("")));
    run(command).expect(0, &["The first run copied", "every object is the same on both sides"]);
    assert!(world.files().is_empty(), "{:?}", world.files());
    let mut command = world.bare(&["demo", "--small", "--json"]);
    command.env("TMPDIR", text(&world.path("")));
    let done = run(command);
    assert_eq!(done.code, Some(0), "{done}");
    let ended = done.events().into_iter().filter(|event| event["event"] == "run-ended");
    assert_eq!(ended.count(), 2);
}
