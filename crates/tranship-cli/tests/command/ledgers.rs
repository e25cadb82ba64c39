//! Ledgers that cannot be used: exit code 5, the file as it was, nothing written.

use redb::{Database, TableDefinition};
use tranship_adapters::embedded::EmbeddedFile;
use tranship_server::{Fault, Matcher, Rule};

use crate::support::{
    DESTINATION, MIB, SOURCE, World, end, expect_all_there, noise, run, send, until,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_or_damaged_file_is_left_untouched() {
    let world = World::new().await;
    world.put("k", "bytes");
    let damaged = [b"redb\x1a\x0a\xa9\x0d\x0a".as_slice(), &[0xab; 5_000]].concat();
    for (bytes, words) in [
        (&b"dear diary"[..], &["x.redb is not a tranship ledger", "name another file"][..]),
        (&damaged, &["the ledger x.redb", "move it away"]),
    ] {
        world.write("x.redb", bytes);
        world.refuses(world.copying(&["--ledger", "x.redb"]), 5, words);
        assert!(std::fs::read(world.path("x.redb")).unwrap() == bytes, "the file was changed");
    }
    std::fs::remove_file(world.path("x.redb")).unwrap();
    drop(Database::create(world.path("x.redb")).unwrap());
    let words = ["x.redb is not a tranship ledger", "another program"];
    world.refuses(world.copying(&["--ledger", "x.redb"]), 5, &words);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_ledger_and_another_transfers_are_refused_by_name() {
    const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
    let world = World::new().await;
    world.put("k", "bytes");
    drop(EmbeddedFile::open(world.path("x.redb"), "another").unwrap());
    let words = ["x.redb belongs to another transfer", "name another file"];
    world.refuses(world.copying(&["--ledger", "x.redb"]), 5, &words);
    let database = Database::open(world.path("x.redb")).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(META).unwrap().insert("format", "99").unwrap();
    write.open_table(META).unwrap().insert("version", "9.9.9").unwrap();
    write.commit().unwrap();
    drop(database);
    let words = ["x.redb has format 99", "tranship 9.9.9", "use that version"];
    world.refuses(world.copying(&["--ledger", "x.redb"]), 5, &words);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_written_is_named() {
    let world = World::new().await;
    world.put("k", "bytes");
    world.write("file", "");
    std::fs::create_dir(world.path("folder")).unwrap();
    for place in ["file/x.redb", "folder"] {
        let words = [place, "cannot be written", "check the folder, its permissions"];
        world.refuses(world.copying(&["--ledger", place]), 5, &words);
    }
    // The state directory of the environment, too.
    let mut command = world.copying(&[]);
    command.env("XDG_STATE_HOME", world.path("file"));
    world.refuses(command, 5, &["file/tranship/", "cannot be written"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused_while_the_first_works() {
    let world = World::new().await;
    world.put("k", "bytes");
    let stall = Fault::Stall(std::time::Duration::from_mins(1));
    world.source.faults().add(Rule::new(Matcher::on("GetObject"), stall));
    let first = world.copying(&[]).spawn().unwrap();
    // The failure list is the last of the files that it begins with.
    let list = world.default_ledger().replace(".redb", ".failures.jsonl.new");
    until("the first has all its files", || world.path(&list).exists()).await;
    let words = [&*world.default_ledger(), "in use by another process", "wait for it or stop it"];
    world.refuses(world.copying(&[]), 5, &words);
    send("KILL", &first);
    end(first);
    world.source.faults().clear();
    world.copy(&[]).expect(0, &["Resuming", "complete"]);
    world.expect_equal();
}

/// A file may not grow any more, as on a disk that is full: the write fails in the midst of the run.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_stops_the_run_which_goes_on_once_there_is_space() {
    let world = World::new().await;
    for n in 0..600 {
        world.put(&format!("{:0200}/{n:04}", 0), noise(n, 20));
    }
    world.put("large", noise(1, 30 * MIB));
    let options = ["--part-size", "5MiB", "--multipart-threshold", "6MiB", "--ledger", "x.redb"];
    // How far an empty ledger grows; what it may grow further is less than the run needs.
    drop(EmbeddedFile::open(world.path("sized.redb"), "another").unwrap());
    let empty = std::fs::metadata(world.path("sized.redb")).unwrap().len();
    // In blocks of 512 bytes: too few for any ledger, and too few for this run.
    for blocks in [1, empty.div_ceil(512) + 512] {
        // Without the trap the limit would be a signal, and not an error.
        let limit = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let done = run(world.under("sh", &["-c", &limit, "sh"], &world.copying(&options)));
        done.expect(5, &["x.redb", "cannot be", "the free space"]);
        for key in world.there().keys(DESTINATION) {
            let (here, there) =
                (world.here().read(SOURCE, &key), world.there().read(DESTINATION, &key));
            assert!(here == there, "{key}");
        }
    }
    let done = world.copy(&[&options[..], &["--json"]].concat());
    expect_all_there(&done.last_event(), 601);
    world.expect_equal();
}
