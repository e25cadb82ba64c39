//! What every ledger must do, whatever lies behind it.
//!
//! All rows are made under prefixes of the suite's own, so it can run on a ledger that is in use.

use futures_util::future::join_all;
use tranship_core::checksum::{Algorithm, Checksum};
use tranship_core::object::{ETag, Millis, ObjectKey, PartNumber};
use tranship_core::ports::{Ledger, Row};
use tranship_core::rows::{HeaderId, PartGroup, RowKey, group_of};
use tranship_core::store::Part;

/// How often to look again for what may be a moment stale.
const LOOKS: u32 = 50;
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(100);

/// Runs the whole suite.
pub async fn conforms(ledger: &dyn Ledger) {
    an_absent_row_is_none(ledger).await;
    a_row_goes_from_revision_to_revision(ledger).await;
    any_bytes_are_kept(ledger).await;
    two_rows_are_stored_in_one_step_or_not_at_all(ledger).await;
    of_concurrent_writers_one_wins_each_revision(ledger).await;
    a_page_is_ordered_and_goes_on_after_its_last_key(ledger).await;
    a_page_holds_its_prefix_and_nothing_else(ledger).await;
    due_rows_come_the_longest_due_first(ledger).await;
    a_row_is_due_as_its_newest_revision_says(ledger).await;
    a_part_is_set_any_number_of_times(ledger).await;
    parts_of_other_groups_epochs_and_headers_are_apart(ledger).await;
    concurrent_parts_are_all_recorded(ledger).await;
    what_is_forgotten_leaves_nothing(ledger).await;
    many_rows_are_forgotten(ledger).await;
}

fn key(text: &str) -> RowKey {
    RowKey(format!("suite/{text}"))
}

fn row(revision: u64, value: &str) -> Row {
    Row { revision, due: None, value: value.as_bytes().to_vec() }
}

fn due_row(revision: u64, due: u64) -> Row {
    Row { revision, due: Some(Millis(due)), value: Vec::new() }
}

fn header(name: &str) -> HeaderId {
    HeaderId::of(&ObjectKey::new(format!("suite/{name}")))
}

fn part(number: u16, etag: &str) -> Part {
    Part {
        number: PartNumber::new(number).unwrap(),
        size: 5 << 20,
        etag: ETag::new(etag),
        checksums: vec![Checksum { algorithm: Algorithm::Crc64Nvme, value: u64::MAX }],
    }
}

async fn stores(ledger: &dyn Ledger, key: &RowKey, row: Row) {
    assert!(ledger.put(key, row, None).await.unwrap(), "{key:?}");
}

async fn keys(
    ledger: &dyn Ledger,
    prefix: &str,
    after: Option<&RowKey>,
    limit: usize,
) -> Vec<String> {
    let page = ledger.page(prefix, after, limit).await.unwrap();
    page.into_iter().map(|(key, _)| key.0).collect()
}

/// The due rows under a prefix, as soon as they are these.
async fn is_due(ledger: &dyn Ledger, now: u64, prefix: &RowKey, expected: &[&RowKey]) {
    let expected: Vec<&str> = expected.iter().map(|key| key.0.as_str()).collect();
    let mut seen = Vec::new();
    for _ in 0..LOOKS {
        let due = ledger.due(Millis(now), 1_000).await.unwrap();
        seen = due.into_iter().map(|(key, _)| key.0).collect();
        seen.retain(|key| key.starts_with(&prefix.0));
        if seen == expected {
            return;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    assert_eq!(seen, expected);
}

async fn an_absent_row_is_none(ledger: &dyn Ledger) {
    assert_eq!(ledger.get(&key("absent")).await.unwrap(), None);
    assert!(!ledger.put(&key("absent"), row(2, "b"), None).await.unwrap());
    assert!(!ledger.put(&key("absent"), row(0, "z"), None).await.unwrap());
    assert_eq!(ledger.get(&key("absent")).await.unwrap(), None);
}

async fn a_row_goes_from_revision_to_revision(ledger: &dyn Ledger) {
    let key = key("revisions");
    stores(ledger, &key, row(1, "a")).await;
    assert_eq!(ledger.get(&key).await.unwrap(), Some(row(1, "a")));
    for stale in [0, 1, 3, u64::MAX] {
        assert!(!ledger.put(&key, row(stale, "x"), None).await.unwrap(), "revision {stale}");
    }
    assert_eq!(ledger.get(&key).await.unwrap(), Some(row(1, "a")));
    stores(ledger, &key, row(2, "b")).await;
    assert!(!ledger.put(&key, row(2, "again"), None).await.unwrap());
    assert_eq!(ledger.get(&key).await.unwrap(), Some(row(2, "b")));
}

async fn any_bytes_are_kept(ledger: &dyn Ledger) {
    let key = key("bytes");
    let value: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let row = Row { revision: 1, due: Some(Millis(u64::from(u32::MAX))), value };
    stores(ledger, &key, row.clone()).await;
    assert_eq!(ledger.get(&key).await.unwrap(), Some(row));
    let empty = Row { revision: 2, due: None, value: Vec::new() };
    stores(ledger, &key, empty.clone()).await;
    assert_eq!(ledger.get(&key).await.unwrap(), Some(empty));
}

async fn two_rows_are_stored_in_one_step_or_not_at_all(ledger: &dyn Ledger) {
    let (a, b) = (key("both/a"), key("both/b"));
    let put = |ra, rb| ledger.put(&a, row(ra, "a"), Some((b.clone(), row(rb, "b"))));
    assert!(put(1, 1).await.unwrap());
    assert!(!put(2, 1).await.unwrap(), "the second had moved on");
    assert!(!put(1, 2).await.unwrap(), "the first had moved on");
    assert_eq!(ledger.get(&a).await.unwrap(), Some(row(1, "a")));
    assert_eq!(ledger.get(&b).await.unwrap(), Some(row(1, "b")));
    assert!(put(2, 2).await.unwrap());
}

async fn of_concurrent_writers_one_wins_each_revision(ledger: &dyn Ledger) {
    let key = key("race");
    for revision in 1..=20 {
        let names: Vec<String> = (0..8).map(|writer| format!("{revision} by {writer}")).collect();
        let puts = names.iter().map(|name| ledger.put(&key, row(revision, name), None));
        let won: Vec<bool> = join_all(puts).await.into_iter().map(Result::unwrap).collect();
        let winners: Vec<&String> =
            names.iter().zip(&won).filter(|(_, won)| **won).map(|(name, _)| name).collect();
        assert_eq!(winners.len(), 1, "revision {revision}");
        let stored = ledger.get(&key).await.unwrap().unwrap();
        assert_eq!(winners.first().map(|name| name.as_bytes()), Some(stored.value.as_slice()));
    }
}

async fn a_page_is_ordered_and_goes_on_after_its_last_key(ledger: &dyn Ledger) {
    for n in [3, 1, 4, 0, 2] {
        stores(ledger, &key(&format!("page/{n}")), row(1, "p")).await;
    }
    let all: Vec<String> = (0..5).map(|n| format!("suite/page/{n}")).collect();
    assert_eq!(keys(ledger, "suite/page/", None, 100).await, all);
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let page = keys(ledger, "suite/page/", after.as_ref(), 2).await;
        let Some(last) = page.last() else { break };
        after = Some(RowKey(last.clone()));
        assert!(page.len() <= 2);
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let between = RowKey("suite/page/1x".to_owned());
    assert_eq!(keys(ledger, "suite/page/", Some(&between), 1).await, ["suite/page/2"]);
}

async fn a_page_holds_its_prefix_and_nothing_else(ledger: &dyn Ledger) {
    for name in ["fix", "fix/", "fix/a", "fix0", "fiw"] {
        stores(ledger, &key(&format!("pre{name}")), row(1, "p")).await;
    }
    assert_eq!(keys(ledger, "suite/prefix/", None, 100).await, ["suite/prefix/", "suite/prefix/a"]);
    let before = RowKey("a".to_owned());
    assert_eq!(keys(ledger, "suite/prefix/", Some(&before), 1).await, ["suite/prefix/"]);
    let beyond = RowKey("suite/prefix0".to_owned());
    assert!(keys(ledger, "suite/prefix/", Some(&beyond), 100).await.is_empty());
    assert!(keys(ledger, "suite/none/", None, 100).await.is_empty());
}

async fn due_rows_come_the_longest_due_first(ledger: &dyn Ledger) {
    let [a, b, c] = ["due/a", "due/b", "due/c"].map(key);
    stores(ledger, &a, due_row(1, 300)).await;
    stores(ledger, &b, due_row(1, 100)).await;
    stores(ledger, &c, due_row(1, 200)).await;
    stores(ledger, &key("due/never"), row(1, "")).await;
    let prefix = key("due/");
    is_due(ledger, 99, &prefix, &[]).await;
    is_due(ledger, 100, &prefix, &[&b]).await;
    is_due(ledger, 299, &prefix, &[&b, &c]).await;
    is_due(ledger, 10_000, &prefix, &[&b, &c, &a]).await;
    assert_eq!(ledger.due(Millis(10_000), 2).await.unwrap().len(), 2, "the limit");
}

async fn a_row_is_due_as_its_newest_revision_says(ledger: &dyn Ledger) {
    let (a, b) = (key("again/a"), key("again/b"));
    let prefix = key("again/");
    stores(ledger, &a, due_row(1, 100)).await;
    stores(ledger, &a, due_row(2, 500)).await;
    is_due(ledger, 400, &prefix, &[]).await;
    assert!(!ledger.put(&a, due_row(2, 50), None).await.unwrap());
    is_due(ledger, 400, &prefix, &[]).await;
    is_due(ledger, 500, &prefix, &[&a]).await;
    let both = ledger.put(&a, row(3, "no more"), Some((b.clone(), due_row(1, 100)))).await;
    assert!(both.unwrap());
    is_due(ledger, 10_000, &prefix, &[&b]).await;
}

async fn a_part_is_set_any_number_of_times(ledger: &dyn Ledger) {
    let header = header("set");
    let none = ledger.part_group(&header, 1, 0).await.unwrap();
    assert_eq!(none, PartGroup::default());
    for _ in 0..3 {
        let group = ledger.record_part(&header, 1, part(2, "two")).await.unwrap();
        assert_eq!(group.parts, [part(2, "two")]);
    }
    ledger.record_part(&header, 1, part(1, "one")).await.unwrap();
    let group = ledger.record_part(&header, 1, part(2, "new")).await.unwrap();
    assert_eq!(group.parts, [part(1, "one"), part(2, "new")]);
    assert_eq!(ledger.part_group(&header, 1, 0).await.unwrap(), group);
}

async fn parts_of_other_groups_epochs_and_headers_are_apart(ledger: &dyn Ledger) {
    let (one, other) = (header("apart"), header("apart/other"));
    ledger.record_part(&one, 1, part(16, "a")).await.unwrap();
    ledger.record_part(&one, 1, part(17, "b")).await.unwrap();
    ledger.record_part(&one, 2, part(16, "c")).await.unwrap();
    ledger.record_part(&other, 1, part(16, "d")).await.unwrap();
    for (header, epoch, group, expected) in [
        (&one, 1, 0, part(16, "a")),
        (&one, 1, 1, part(17, "b")),
        (&one, 2, 0, part(16, "c")),
        (&other, 1, 0, part(16, "d")),
    ] {
        let found = ledger.part_group(header, epoch, group).await.unwrap();
        assert_eq!(found.parts, [expected]);
    }
    let last = part(10_000, "last");
    let group = ledger.record_part(&one, u64::MAX, last.clone()).await.unwrap();
    assert_eq!(group.parts, std::slice::from_ref(&last));
    let found = ledger.part_group(&one, u64::MAX, group_of(last.number)).await.unwrap();
    assert_eq!(found, group);
}

async fn concurrent_parts_are_all_recorded(ledger: &dyn Ledger) {
    let header = header("crowd");
    let sets = (1..=16).rev().map(|n| ledger.record_part(&header, 3, part(n, &n.to_string())));
    let groups: Vec<PartGroup> = join_all(sets).await.into_iter().map(Result::unwrap).collect();
    let whole: Vec<Part> = (1..=16).map(|n| part(n, &n.to_string())).collect();
    assert!(groups.iter().any(|group| group.parts == whole), "the last one sees them all");
    assert_eq!(ledger.part_group(&header, 3, 0).await.unwrap().parts, whole);
}

async fn what_is_forgotten_leaves_nothing(ledger: &dyn Ledger) {
    let (gone, kept) = (header("gone"), header("kept"));
    for header in [&gone, &kept] {
        for epoch in [1, 2] {
            ledger.record_part(header, epoch, part(1, "p")).await.unwrap();
            ledger.record_part(header, epoch, part(40, "p")).await.unwrap();
        }
    }
    ledger.forget(&gone.groups_prefix(1)).await.unwrap();
    assert!(keys(ledger, &gone.groups_prefix(1), None, 10).await.is_empty());
    assert_eq!(ledger.part_group(&gone, 1, 0).await.unwrap(), PartGroup::default());
    for (header, epoch) in [(&gone, 2), (&kept, 1), (&kept, 2)] {
        assert_eq!(keys(ledger, &header.groups_prefix(epoch), None, 10).await.len(), 2);
        assert_eq!(ledger.part_group(header, epoch, 0).await.unwrap().parts.len(), 1);
    }

    let (a, b) = (key("forget/1/a"), key("forget/2/b"));
    stores(ledger, &a, due_row(1, 10)).await;
    stores(ledger, &b, due_row(1, 10)).await;
    for _ in 0..2 {
        ledger.forget("suite/forget/1").await.unwrap();
    }
    assert_eq!(ledger.get(&a).await.unwrap(), None);
    is_due(ledger, 10_000, &key("forget/"), &[&b]).await;
    stores(ledger, &a, row(1, "anew")).await;
}

async fn many_rows_are_forgotten(ledger: &dyn Ledger) {
    let names: Vec<RowKey> = (0..5_000).map(|n| key(&format!("many/{n:05}"))).collect();
    for names in names.chunks(250) {
        let puts = names.iter().map(|key| ledger.put(key, row(1, "m"), None));
        for stored in join_all(puts).await {
            assert!(stored.unwrap());
        }
    }
    ledger.forget("suite/many/").await.unwrap();
    assert!(keys(ledger, "suite/many/", None, 1).await.is_empty());
}
