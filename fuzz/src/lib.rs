//! What each program of the fuzzer does with the bytes that it is given.
//!
//! Each reads them as the product would, and panics where a promise is broken: what can be read comes
//! back the same, what cannot is refused in words, and nothing else happens. The tests of the
//! workspace replay the corpus through the same functions, so that they hold without a fuzzer.

mod arithmetic;
mod events;
mod messages;
mod settings;
mod stores;

pub use self::arithmetic::{checksum, layout};
pub use self::events::s3_event;
pub use self::messages::{ledger_row, message, token};
pub use self::settings::{keys_file, settings};
pub use self::stores::{answer, content_range, listing};

/// A program by its name, which is also the name of its folder of the corpus.
pub type Program = (&'static str, fn(&[u8]));

/// All of them.
pub const PROGRAMS: [Program; 11] = [
    ("answer", answer),
    ("checksum", checksum),
    ("content_range", content_range),
    ("keys_file", keys_file),
    ("layout", layout),
    ("ledger_row", ledger_row),
    ("listing", listing),
    ("message", message),
    ("s3_event", s3_event),
    ("settings", settings),
    ("token", token),
];

/// A number out of the first bytes, which are used up; zeros follow the last one.
fn number(bytes: &mut &[u8]) -> u64 {
    let (now, rest) = bytes.split_at(bytes.len().min(8));
    *bytes = rest;
    let mut all = [0; 8];
    for (byte, given) in all.iter_mut().zip(now) {
        *byte = *given;
    }
    u64::from_le_bytes(all)
}

/// What a person or a log reads has no control characters, whoever wrote it.
fn assert_readable(text: &str) {
    assert!(!text.is_empty(), "nothing is said");
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
}
