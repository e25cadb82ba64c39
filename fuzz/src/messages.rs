//! What travels in the queues, lies in the ledger, and is written beside an object.

use std::collections::BTreeMap;

use tranship_core::layout::Layout;
use tranship_core::message::{Message, Work};
use tranship_core::ports::Row;
use tranship_core::room::MetadataRoom;
use tranship_core::rows::{
    Evidence, Header, Notes, PartFailures, PartGroup, Run, Scan, Stored, Task, group_of, parse,
};
use tranship_core::token::{SOURCE, TOKEN, Token};

/// A message that can be read is written again as ASCII, and is the same when it is read again.
pub fn message(data: &[u8]) {
    let Ok(body) = std::str::from_utf8(data) else { return };
    let message = match Message::decode(body) {
        Ok(message) => message,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let again = message.encode().unwrap();
    assert_eq!(Message::decode(&again).unwrap(), message, "{again}");
    if let Work::Objects(mut task) = message.work {
        // Other fields are text of a store's or of ours; what keys are made of is up to everybody.
        task.objects.retain(|entry| entry.etag.is_none() && entry.destination.is_none());
        task.objects.retain(|entry| entry.class.is_none());
        let body = Message::new(Work::Objects(task)).encode().unwrap();
        assert!(body.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{body}");
    }
}

/// The first byte says which row it is; a row that can be read is written again the same.
pub fn ledger_row(data: &[u8]) {
    let Some((kind, value)) = data.split_first() else { return };
    match kind {
        b'r' => drop(row::<Run>(value).map(|run| run.verdict())),
        b's' => drop(row::<Scan>(value).map(|scan| scan.attempt_of(scan.windows))),
        b't' => drop(row::<Task>(value)),
        b'e' => drop(row::<Evidence>(value)),
        b'f' => drop(row::<PartFailures>(value)),
        b'n' => drop(row::<Notes>(value)),
        b'g' => drop(serde_json::from_slice::<PartGroup>(value)),
        _ => {
            if let Some(header) = row::<Header>(value) {
                let (_, layout) = (header.is_full(), header.layout);
                layout.iter().for_each(of_layout);
            }
        }
    }
}

fn of_layout(layout: &Layout) {
    let mut end = 0;
    for part in layout.parts() {
        let range = layout.range(part).unwrap();
        assert_eq!(range.start(), end);
        end = range.end();
        assert!(group_of(part) < layout.part_count().div_ceil(16));
    }
    assert_eq!(end, layout.size());
}

fn row<T: Stored + PartialEq + std::fmt::Debug>(value: &[u8]) -> Option<T> {
    let read = |value: Vec<u8>| {
        let key = Run::row_key();
        parse::<T>(&key, &Row { revision: 1, due: None, value })
    };
    let first = read(value.to_vec()).ok()?;
    let again = read(serde_json::to_vec(&first).unwrap()).unwrap();
    assert_eq!(again, first);
    assert_eq!(again.key(), first.key());
    Some(first)
}

/// The two values of a token, one a line. What can be read is written so that it reads the same.
pub fn token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (token, source) = text.split_once('\n').unwrap_or((text, ""));
    let user = [(TOKEN, token), (SOURCE, source)];
    let user = user.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let Some(token) = Token::read(&BTreeMap::from(user)) else { return };
    let mut user = BTreeMap::new();
    if token.write(&mut user, &MetadataRoom::ASSUMED) {
        assert_eq!(Token::read(&user), Some(token));
        assert!(MetadataRoom::ASSUMED.holds(&user));
    } else {
        assert!(user.is_empty());
    }
}
