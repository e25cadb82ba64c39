use redb::{Database, TableDefinition};

use super::*;
use crate::clock::SystemClock;
use tranship_core::ports::{Ledger as _, Row, TaskQueue as _};
use tranship_core::rows::RowKey;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn row(revision: u64) -> Row {
    Row { revision, due: None, value: b"v".to_vec() }
}

#[tokio::test]
async fn a_reopened_file_has_its_rows_and_messages() {
    let folder = folder();
    let path = folder.path().join("deep/er/ledger");
    let key = RowKey("run".to_owned());
    {
        let file = EmbeddedFile::open(&path, "t").unwrap();
        assert!(file.ledger().put(&key, row(1), None).await.unwrap());
        let queue = file.queue(Arc::new(SystemClock::new()));
        queue.send(Queue::Scan, vec!["a".into(), "b".into(), "c".into()]).await.unwrap();
        let received = queue.receive(Queue::Scan, 2).await.unwrap();
        queue.delete(Queue::Scan, &received[0].receipt).await.unwrap();
    }
    let file = EmbeddedFile::open(&path, "t").unwrap();
    assert_eq!(file.ledger().get(&key).await.unwrap(), Some(row(1)));
    let queue = file.queue(Arc::new(SystemClock::new()));
    assert_eq!(queue.depth(Queue::Scan).await.unwrap(), 2);
    queue.send(Queue::Scan, vec!["d".into()]).await.unwrap();
    let received = queue.receive(Queue::Scan, 10).await.unwrap();
    let seen: Vec<_> = received.iter().map(|r| (r.body.as_str(), r.receives)).collect();
    assert_eq!(seen, [("b", 2), ("c", 1), ("d", 1)]);
}

#[test]
fn a_second_handle_is_told_that_the_ledger_is_in_use() {
    let folder = folder();
    let path = folder.path().join("ledger");
    let first = EmbeddedFile::open(&path, "t").unwrap();
    let error = EmbeddedFile::open(&path, "t").unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    drop(first);
    EmbeddedFile::open(&path, "t").unwrap();
}

#[test]
fn a_foreign_file_is_left_untouched() {
    let folder = folder();
    let path = folder.path().join("ledger");
    std::fs::write(&path, "dear diary").unwrap();
    let error = EmbeddedFile::open(&path, "t").unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert!(error.to_string().contains("is not a tranship ledger"));
    assert_eq!(std::fs::read(&path).unwrap(), b"dear diary");
}

#[test]
fn another_programs_database_is_foreign() {
    let folder = folder();
    let path = folder.path().join("ledger");
    let database = Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(TableDefinition::<u64, u64>::new("meta")).unwrap();
    write.commit().unwrap();
    drop(database);
    let error = EmbeddedFile::open(&path, "t").unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
}

#[test]
fn a_newer_format_is_named_with_the_version_that_wrote_it() {
    let folder = folder();
    let path = folder.path().join("ledger");
    drop(EmbeddedFile::open(&path, "t").unwrap());
    let database = Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut meta = write.open_table(TableDefinition::<&str, &str>::new("meta")).unwrap();
        meta.insert("format", "7").unwrap();
        meta.insert("version", "9.9.9").unwrap();
    }
    write.commit().unwrap();
    drop(database);
    let error = EmbeddedFile::open(&path, "t").unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 7, known: FORMAT, .. }), "{error}");
    assert!(error.to_string().contains("tranship 9.9.9"), "{error}");
}

#[test]
fn another_transfers_ledger_is_refused_by_name() {
    let folder = folder();
    let path = folder.path().join("ledger");
    drop(EmbeddedFile::open(&path, "s3://a to s3://b").unwrap());
    let error = EmbeddedFile::open(&path, "s3://a to s3://c").unwrap_err();
    assert!(matches!(error, OpenError::OtherTransfer { .. }), "{error}");
    assert!(error.to_string().contains("s3://a to s3://b"), "{error}");
}

#[test]
fn an_empty_file_and_what_a_killed_creation_left_count_as_absent() {
    let folder = folder();
    let path = folder.path().join("ledger");
    std::fs::write(&path, "").unwrap();
    std::fs::write(folder.path().join("ledger.new"), "half a led").unwrap();
    drop(EmbeddedFile::open(&path, "t").unwrap());
    assert!(!folder.path().join("ledger.new").exists());
    EmbeddedFile::open(&path, "t").unwrap();
}

#[test]
fn a_folder_in_its_place_cannot_be_written() {
    let folder = folder();
    let error = EmbeddedFile::open(folder.path(), "t").unwrap_err();
    assert!(matches!(error, OpenError::Unwritable { .. }), "{error}");
}

#[test]
fn of_many_that_create_at_once_one_wins_and_none_spoils_it() {
    for _ in 0..20 {
        let folder = folder();
        let path = folder.path().join("ledger");
        let opened = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| EmbeddedFile::open(&path, "t"))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(opened.iter().filter(|file| file.is_ok()).count(), 1);
        for error in opened.iter().filter_map(|file| file.as_ref().err()) {
            assert!(matches!(error, OpenError::Locked { .. }), "{error}");
        }
        drop(opened);
        EmbeddedFile::open(&path, "t").unwrap();
    }
}

/// `cargo test -p tranship-adapters commit_rate -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "it measures real time")]
async fn commit_rate() {
    let folder =
        tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")).unwrap();
    for writers in [1_u64, 64] {
        let file = EmbeddedFile::open(folder.path().join(format!("ledger{writers}")), "t").unwrap();
        let start = std::time::Instant::now();
        let each = if writers == 1 { 300 } else { 100 };
        let tasks: Vec<_> = (0..writers)
            .map(|writer| {
                let ledger = file.ledger();
                tokio::spawn(async move {
                    for i in 0..each {
                        let key = RowKey(format!("task/{writer:04}/{i:08}"));
                        let row = Row { revision: 1, due: None, value: vec![b'x'; 300] };
                        assert!(ledger.put(&key, row, None).await.unwrap());
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let rate =
            f64::from(u32::try_from(writers * each).unwrap()) / start.elapsed().as_secs_f64();
        println!("{writers} writers: {rate:.0} commits/s");
    }
}
