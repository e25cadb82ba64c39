//! The comparison of two sides: what it says of them, what it asks for that, and its report.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use tranship_server::{
    Backend, Content, Dialect, EtagMode, Fault, Formula, FormulaEtags, Matcher, Rule,
    ServerOptions, Sums,
};

use crate::support::{DESTINATION, Done, MIB, SOURCE, World, end, noise, run, send, until};

/// The last event, after the exit code and the accounts were looked at.
#[track_caller]
fn ended(done: &Done, code: i32) -> Value {
    assert_eq!(done.code, Some(code), "{done}");
    let last = done.last_event();
    let field = |name| last.get(name).cloned().unwrap_or_default();
    assert_eq!(field("event"), "verify-ended", "{done}");
    assert_eq!((field("balanced"), field("exit_code")), (true.into(), code.into()), "{done}");
    last
}

#[track_caller]
fn verify(world: &World, options: &[&str], code: i32) -> Value {
    let mut all = vec!["--json"];
    all.extend(options);
    let last = ended(&run(world.verifying(&all)), code);
    world.expect_only_read();
    last
}

/// What has any objects, by its name.
fn objects(sums: &Value) -> BTreeMap<String, u64> {
    let all = sums.as_object().unwrap().iter();
    all.map(|(name, count)| (name.clone(), count["objects"].as_u64().unwrap()))
        .filter(|(_, objects)| *objects > 0)
        .collect()
}

#[track_caller]
fn expect_objects(sums: &Value, wanted: &[(&str, u64)]) {
    let wanted = wanted.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(objects(sums), wanted, "{sums}");
}

fn both(world: &World, key: &str, bytes: impl Into<Vec<u8>>) {
    let bytes = bytes.into();
    world.here().put(SOURCE, key, bytes.clone());
    world.there().put(DESTINATION, key, bytes);
}

/// Takes the checksum away that the store keeps.
fn forget_checksum(world: &World, key: &str) {
    assert!(world.there().change(DESTINATION, key, |object| object.sums = Sums::default()));
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What both sides were asked for, listings apart.
fn looks(world: &World) -> [u64; 4] {
    let count =
        |name| [world.source.requests().count(name), world.destination.requests().count(name)];
    let ([a, b], [c, d]) = (count("HeadObject"), count("GetObject"));
    [a, b, c, d]
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_sides_are_told_by_their_listings_alone() {
    let world = World::new().await;
    for key in ["a", "a/", "a//b", "../x", "\u{202e}é\n\u{1b}[31m", "<b>&'\"", "z+%2F?#"] {
        both(&world, key, key);
    }
    both(&world, "empty", "");
    let parts = || vec![Bytes::from(noise(1, 5 * MIB)), Bytes::from(noise(2, 100))];
    world.here().put_multipart(SOURCE, "large", parts());
    world.there().put_multipart(DESTINATION, "large", parts());
    let last = verify(&world, &[], 0);
    assert_eq!(last["conclusion"], "equal");
    expect_objects(&last["verdicts"], &[("equal", 9)]);
    expect_objects(&last["grades"], &[("A", 1), ("C", 8)]);
    assert_eq!(looks(&world), [0; 4], "the listings say it all");
    run(world.verifying(&[])).expect(0, &["equal: each of 9 objects has an equal one", "grade C"]);
    assert!(world.files().is_empty(), "there is no ledger, and no report that nobody asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_difference_is_named_and_costs_no_more_than_it_must() {
    let world = World::new().await;
    both(&world, "same", "bytes");
    world.put("only\nhere", "bytes");
    world.there().put(DESTINATION, "only there", "bytes");
    both(&world, "longer", "bytes");
    world.there().put(DESTINATION, "longer", "bytes and more");
    for key in ["checksum", "etag"] {
        world.put(key, "bytes");
        world.there().put(DESTINATION, key, "BYTES");
    }
    forget_checksum(&world, "etag");
    let last = verify(&world, &["--report", "report"], 6);
    assert_eq!(last["conclusion"], "different");
    let wanted = [("different", 3), ("equal", 1), ("extra", 1), ("missing", 1)];
    expect_objects(&last["verdicts"], &wanted);
    assert_eq!(looks(&world), [2, 2, 0, 0], "one look at each side of what listings left open");
    let mut found: Vec<_> = lines(&world.read("report/differences.jsonl"))
        .iter()
        .map(|line| {
            let field = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            (field("key"), field("verdict"), field("by"))
        })
        .collect();
    found.sort();
    let wanted = [
        ("checksum", "different", "checksum"),
        ("etag", "different", "etag"),
        ("longer", "different", "size"),
        ("only\nhere", "missing", ""),
        ("only there", "extra", ""),
    ];
    let wanted = wanted.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(found, wanted);
    let words = ["missing at the destination: only\\nhere", "extra at the destination: only there"];
    run(world.verifying(&[])).expect(6, &words);
    // Each alone makes the sides differ, an extra one unless that is allowed.
    for key in ["longer", "checksum", "etag", "only\nhere"] {
        world.here().delete(SOURCE, key);
        world.there().delete(DESTINATION, key);
    }
    expect_objects(&verify(&world, &[], 6)["verdicts"], &[("equal", 1), ("extra", 1)]);
    let last = verify(&world, &["--ignore-extra"], 0);
    expect_objects(&last["verdicts"], &[("equal", 1), ("extra", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn multipart_objects_of_other_parts_need_a_checksum_or_their_bytes() {
    let world = World::new().await;
    let bytes = noise(3, 6 * MIB);
    let (a, b) = bytes.split_at(5 * MIB);
    for key in ["kept", "forgotten"] {
        let parts = vec![Bytes::copy_from_slice(a), Bytes::copy_from_slice(b)];
        world.here().put_multipart(SOURCE, key, parts);
        world.there().put(DESTINATION, key, bytes.clone());
    }
    forget_checksum(&world, "forgotten");
    let last = verify(&world, &[], 7);
    assert_eq!(last["conclusion"], "not-provable");
    expect_objects(&last["grades"], &[("B", 1), ("D", 1)]);
    assert_eq!(looks(&world), [2, 2, 0, 0]);
    run(world.verifying(&[])).expect(7, &["not provable (size-only): forgotten", "--deep"]);
    let last = verify(&world, &["--deep"], 0);
    expect_objects(&last["grades"], &[("A", 2)]);
    assert_eq!(last["bytes_read"], 4 * 6 * MIB);
    assert_eq!(looks(&world)[2..], [2, 2], "each is read once on each side");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_proves_a_copy_whose_etags_say_nothing() {
    let opaque = ServerOptions {
        etags: EtagMode::Random,
        default_checksum: false,
        ..ServerOptions::default()
    };
    let world = World::with(ServerOptions::default(), opaque).await;
    for key in ["a", "b", "c"] {
        world.put(key, format!("{key} bytes"));
    }
    world.copy(&[]).expect(0, &["complete"]);
    world.destination.requests().clear();
    let last = verify(&world, &[], 0);
    expect_objects(&last["grades"], &[("C", 3)]);
    assert_eq!(looks(&world)[1], 3, "nothing but a look tells");
    // The source has moved on, with an object of the same size: not proven, and not called different.
    world.put("b", "B BYTES");
    let done = run(world.verifying(&[]));
    done.expect(7, &["not provable (other-generation): b"]);
    expect_objects(&verify(&world, &["--deep"], 6)["verdicts"], &[("different", 1), ("equal", 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_finds_a_flipped_byte_that_nothing_else_shows() {
    let world = World::new().await;
    // Two pieces: the flip lies in the second.
    let mut bytes = noise(4, 65 * MIB);
    both(&world, "good", noise(5, 1_000));
    both(&world, "bad", bytes.clone());
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let flipped = Content::Kept([Bytes::from(bytes)].into_iter().collect());
    world.there().change(DESTINATION, "bad", |object| object.content = flipped);
    assert_eq!(verify(&world, &[], 0)["conclusion"], "equal");
    world.source.requests().keep_log();
    world.destination.requests().keep_log();
    let found = verify(&world, &["--deep", "--report", "report"], 6);
    expect_objects(&found["grades"], &[("A", 1)]);
    let differences = lines(&world.read("report/differences.jsonl"));
    assert_eq!(differences.len(), 1);
    assert_eq!((&differences[0]["key"], &differences[0]["by"]), (&"bad".into(), &"bytes".into()));
    for server in [&world.source, &world.destination] {
        let reads: Vec<_> = server
            .requests()
            .log()
            .into_iter()
            .filter(|seen| seen.operation == "GetObject")
            .collect();
        assert!(reads.len() >= 4, "a piece that differs is read twice: {reads:?}");
        assert!(reads.iter().all(|seen| seen.if_match.is_some()), "{reads:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_damaged_on_their_way_are_read_again() {
    let world = World::new().await;
    both(&world, "a", noise(6, 10_000));
    both(&world, "b", noise(7, 10_000));
    for (key, fault) in [("a", Fault::CorruptBody), ("b", Fault::TruncateBody(5_000))] {
        world.destination.faults().add(Rule::once(Matcher::on("GetObject").key(key), fault));
    }
    expect_objects(&verify(&world, &["--deep"], 0)["grades"], &[("A", 2)]);
    assert_eq!(world.destination.faults().struck(), 2);
}

/// A store whose ETags are qetags.
fn kodo() -> ServerOptions {
    ServerOptions { dialect: Dialect::Kodo, etags: EtagMode::Qetag, ..ServerOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_qetags_are_a_checksum_that_both_sides_keep() {
    let world = World::with(kodo(), kodo()).await;
    for (key, size) in [("one block", 100), ("several", 5 * MIB)] {
        both(&world, key, noise(8, size));
    }
    world.put("other", "bytes");
    world.there().put(DESTINATION, "other", "BYTES");
    let (from, to) = (format!("kodo://{SOURCE}"), format!("kodo://{DESTINATION}"));
    let regions = ["--source-region=cn-east-1", "--destination-region=cn-east-1", "--json"];
    let last = ended(&run(world.verifying_at(&from, &to, &regions)), 6);
    expect_objects(&last["grades"], &[("B", 2)]);
    expect_objects(&last["verdicts"], &[("different", 1), ("equal", 2)]);
    assert_eq!(looks(&world), [3, 3, 0, 0], "no byte is read");
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_reads_nothing_that_the_stores_own_qetag_speaks_against() {
    let world = World::with(kodo(), ServerOptions::default()).await;
    for (key, size) in [("one block", 100), ("several", 5 * MIB)] {
        both(&world, key, noise(8, size));
    }
    let (from, to) = (format!("kodo://{SOURCE}"), format!("s3://{DESTINATION}"));
    let verify = |options: &[&str], code| {
        let all = [&["--source-region=cn-east-1", "--deep", "--json"], options].concat();
        ended(&run(world.verifying_at(&from, &to, &all)), code)
    };
    expect_objects(&verify(&[], 0)["grades"], &[("A", 2)]);
    // The store gives other bytes than those that it made the ETags of, and these have been copied.
    for (key, size) in [("one block", 100), ("several", 5 * MIB)] {
        let bytes = Bytes::from(noise(9, size));
        world.there().put(DESTINATION, key, bytes.clone());
        assert!(world.here().change(SOURCE, key, |it| it.content = Content::from(bytes)));
    }
    let last = verify(&["--report", "report"], 7);
    expect_objects(&last["grades"], &[("A", 1), ("U", 1)]);
    let found = lines(&world.read("report/differences.jsonl"));
    assert_eq!((found.len(), &found[0]["key"]), (1, &"one block".into()), "{found:?}");
    assert!(found[0]["reason"].as_str().unwrap().contains("own qetag"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_meanwhile_is_not_judged() {
    for (deep, operation) in [(false, "HeadObject"), (true, "GetObject")] {
        let world = World::new().await;
        for key in ["gone", "moved"] {
            both(&world, key, "bytes");
            world.there().put(DESTINATION, key, "BYTES");
        }
        both(&world, "same", "bytes");
        let faults = world.destination.faults();
        faults.before(Matcher::on(operation).key("moved"), 0, |store| {
            store.put(DESTINATION, "moved", "other bytes");
        });
        faults.before(Matcher::on(operation).key("gone"), 0, |store| {
            store.delete(DESTINATION, "gone");
        });
        let options: &[&str] = if deep { &["--deep"] } else { &[] };
        let last = verify(&world, options, 7);
        expect_objects(&last["verdicts"], &[("changed", 2), ("equal", 1)]);
    }
}

/// Keys that exist by arithmetic on both sides.
fn synthetic(world: &World, count: u64) {
    let formula = Formula {
        count,
        prefix: "flat/".to_owned(),
        sizes: vec![1, 20, 300],
        etags: FormulaEtags::Fast,
        ..Formula::default()
    };
    let backend = Backend::default();
    world.here().create_synthetic_bucket(SOURCE, formula.clone(), backend);
    world.there().create_synthetic_bucket(DESTINATION, formula, backend);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_fails_on_page_three_is_never_empty_and_never_equal() {
    for (at_source, fault, listed) in [
        (true, Fault::Status5xxBefore, 2_000),
        (false, Fault::Status5xxBefore, 2_000),
        (true, Fault::ListGoesBackwards, 2_000),
        // Every page comes once; what never comes is the end.
        (false, Fault::ListNeverAdvances, 3_500),
        (false, Fault::Refuse { status: 403, code: "AccessDenied" }, 2_000),
    ] {
        let world = World::new().await;
        synthetic(&world, 3_500);
        let server = if at_source { &world.source } else { &world.destination };
        // The first is the question whether the bucket may be listed at all.
        server.faults().add(Rule::new(Matcher::on("ListObjectsV2"), fault.clone()).skip(3));
        let done = run(world.verifying(&["--json", "--report", "report"]));
        let last = ended(&done, 7);
        assert_eq!(last["conclusion"], "not-provable", "{fault:?}");
        assert_eq!(last["unlisted_ranges"], 1, "{fault:?}");
        expect_objects(&last["verdicts"], &[("equal", listed)]);
        let lines = lines(&world.read("report/differences.jsonl"));
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["verdict"], "not-listed");
        assert_eq!(
            (&lines[0]["after"], &lines[0]["through"]),
            (&format!("flat/{:012}", listed - 1).into(), &Value::Null)
        );
        assert!(lines[0]["reason"].as_str().unwrap().contains("ListObjectsV2"), "{lines:?}");
    }
}

/// The most memory that a process had at any time, in KiB, as Linux counts it.
#[cfg(target_os = "linux")]
fn most_memory(mut command: std::process::Command) -> (u64, Done) {
    let child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let watch = std::thread::spawn(move || {
        let mut most = 0;
        while let Ok(text) = std::fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            // A process that has ended and was not waited for has no memory.
            let Some(now) = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
            else {
                break;
            };
            most = most.max(now);
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
        most
    });
    let done = end(child);
    (watch.join().unwrap(), done)
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_number_of_keys() {
    const FEW: u64 = 20_000;
    const MANY: u64 = 200_000;
    let world = World::new().await;
    let most = |keys| {
        synthetic(&world, keys);
        // As many ranges for few keys as for many.
        let (most, done) = most_memory(world.verifying(&["--json", "--concurrency", "2"]));
        assert_eq!(ended(&done, 0)["listed"]["source"]["objects"], keys);
        most
    };
    let (few, many) = (most(FEW), most(MANY));
    // 180,000 more keys at 60 bytes each would be 10 MiB.
    assert!(many < few + 8 * 1_024, "{few} KiB for {FEW} keys, {many} KiB for {MANY}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flat_bucket_is_listed_in_ranges_and_no_key_is_lost_or_told_twice() {
    const KEYS: u64 = 100_000;
    let world = World::new().await;
    synthetic(&world, KEYS);
    world.there().delete(DESTINATION, "flat/000000023456");
    world.there().put(DESTINATION, "flat/000000050000x", "extra");
    let last = verify(&world, &[], 6);
    assert_eq!(last["listed"]["source"]["objects"], KEYS);
    assert_eq!(last["listed"]["destination"]["objects"], KEYS);
    expect_objects(&last["verdicts"], &[("equal", KEYS - 1), ("extra", 1), ("missing", 1)]);
    let pages = KEYS / 1_000;
    assert!(world.source.requests().count("ListObjectsV2") > pages + 10, "no range was split");
    assert_eq!(looks(&world), [0; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_balances_by_prefix_and_its_page_opens_offline() {
    let world = World::new().await;
    for key in ["a/1", "a/2", "b/<script>alert(1)</script>", "top", "b/\u{202e}\"'&\u{1b}"] {
        world.put(&format!("in/{key}"), "bytes");
    }
    world.there().put(DESTINATION, "out/a/1", "bytes");
    world.there().put(DESTINATION, "out/top", "bytes");
    world.there().put(DESTINATION, "out/x/<img src=x>", "more bytes");
    let (from, to) = (format!("s3://{SOURCE}/in/"), format!("s3://{DESTINATION}/out/"));
    let done = run(world.verifying_at(&from, &to, &["--json", "--report", "new/report"]));
    let last = ended(&done, 6);
    let mut summary: Value = serde_json::from_str(&world.read("new/report/summary.json")).unwrap();
    assert_eq!(summary["verdicts"], last["verdicts"]);
    let prefixes = lines(&world.read("new/report/prefixes.jsonl"));
    let names: Vec<_> = prefixes.iter().map(|line| line["prefix"].as_str().unwrap()).collect();
    assert_eq!(names, ["", "a/", "b/", "x/"]);
    let sum = |of: &dyn Fn(&Value) -> u64| prefixes.iter().map(of).sum::<u64>();
    for name in ["objects", "bytes"] {
        assert_eq!(sum(&|line| line[name].as_u64().unwrap()), summary[name].as_u64().unwrap());
        let missing = |of: &Value| of["verdicts"]["missing"][name].as_u64().unwrap();
        assert_eq!(sum(&missing), missing(&summary));
        for classes in ["sizes", "ages"] {
            let of = |class: &Value| class[name].as_u64().unwrap();
            let all: u64 = summary[classes].as_array().unwrap().iter().map(of).sum();
            assert_eq!(all, summary[name].as_u64().unwrap(), "{classes}");
        }
    }
    assert_eq!(summary["prefixes_are_all_apart"].take(), true);
    let page = world.read("new/report/report.html");
    for outside in [
        "http:", "https:", "src=", "href", "url(", "@import", "<script", "<link", "<img",
        "\u{202e}", "\u{1b}",
    ] {
        let shown = page.replace("&lt;img src=x&gt;", "").contains(outside);
        assert!(!shown, "{outside:?} is in the page");
    }
    for inside in
        ["&lt;script&gt;alert(1)", "\\u{202e}&quot;&#39;&amp;\\u{1b}", "default-src 'none'"]
    {
        assert!(page.contains(inside), "{inside:?} is not in the page");
    }
    for heading in ["Grade of the evidence", "Prefix", "Size", "Age"] {
        let (_, rest) = page.split_once(&format!("<h2>{heading}")).unwrap();
        let section = rest.split("<h2>").next().unwrap();
        assert_eq!(section.matches("<svg").count(), 2, "objects and bytes by {heading}");
        assert!(section.contains("<rect"), "{heading}");
    }
    assert!(
        !page.contains("<no value>")
            && page.matches("<svg").count() == page.matches("</svg>").count()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_leave_out_both_sides_of_a_key() {
    let world = World::new().await;
    both(&world, "a.jpg", "bytes");
    world.put("b.txt", "bytes");
    world.there().put(DESTINATION, "b.txt", "BYTES");
    world.put("c.txt", "bytes");
    world.there().put(DESTINATION, "d.txt", "bytes");
    let last = verify(&world, &["--include", "*.jpg"], 0);
    expect_objects(&last["verdicts"], &[("equal", 1)]);
    expect_objects(&last["filtered"], &[("destination", 2), ("source", 2)]);
    assert_eq!(looks(&world), [0; 4]);
    world.write("tranship.toml", "include = [\"*.txt\"]\npart-size = \"64MiB\"\n");
    let last = verify(&world, &["--config", "tranship.toml"], 6);
    expect_objects(&last["verdicts"], &[("different", 1), ("extra", 1), ("missing", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_looked_at_is_not_provable() {
    let world = World::new().await;
    both(&world, "etag", "bytes");
    world.put("open", "bytes");
    world.there().put(DESTINATION, "open", "BYTES");
    world.there().configure(DESTINATION, |bucket| bucket.deny_read = true);
    let done = run(world.verifying(&[]));
    done.expect(7, &["not provable (unreadable): open", "HeadObject", "403", "grade U"]);
    let last = verify(&world, &["--deep"], 7);
    expect_objects(&last["grades"], &[("U", 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_named_before_anything_is_compared() {
    let world = World::new().await;
    both(&world, "k", "bytes");
    let place = format!("s3://{DESTINATION}");
    let missing = world.verifying_at("s3://nowhere", &place, &[]);
    world.refuses(missing, 4, &["the source", "NoSuchBucket", "s3://nowhere"]);
    world.source.requests().clear();
    world.refuses(world.bare(&["verify", "s3://aaa"]), 2, &["DESTINATION is missing"]);
    let bad = world.verifying(&["--include", "a[b"]);
    world.refuses(bad, 2, &["--include is not a glob"]);
    world.refuses(
        world.verifying(&["--keys-from", "k"]),
        2,
        &["unexpected argument '--keys-from'"],
    );
    world.write("file", "in the way");
    let words = ["the report in file cannot be written", "--report"];
    world.refuses(world.verifying(&["--report", "file"]), 2, &words);
    assert_eq!(world.source.requests().total(), 0, "no store was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_that_is_interrupted_leaves_the_earlier_report() {
    let world = World::new().await;
    both(&world, "k", "bytes");
    verify(&world, &["--report", "report"], 0);
    let (files, before) = (world.files(), world.read("report/summary.json"));
    let stall = Fault::Stall(std::time::Duration::from_mins(1));
    world.source.faults().add(Rule::new(Matcher::on("ListObjectsV2"), stall).skip(1));
    let child = world.verifying(&["--report", "report"]).spawn().unwrap();
    let begun = world.path("report/differences.jsonl.new");
    let asked = world.destination.requests().count("ListObjectsV2");
    until("both sides are listed", || {
        begun.exists() && world.destination.requests().count("ListObjectsV2") > asked + 1
    })
    .await;
    send("INT", &child);
    end(child).expect(130, &["interrupted", "to begin anew, run:", "tranship verify"]);
    assert_eq!((world.files(), world.read("report/summary.json")), (files, before));
}
