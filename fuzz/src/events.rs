//! What the event queue delivers.

use s3_event::records::{Notice, read};
use tranship_core::object::KEY_LENGTH_MAX_BYTES;

use super::assert_readable;

/// A notification of any shape: each record is a change of a key, of no consequence, or unreadable.
pub fn s3_event(data: &[u8]) {
    let Ok(event) = serde_json::from_slice(data) else { return };
    for envelope in read(&event) {
        assert_eq!(envelope.reason().is_some(), !envelope.unreadable.is_empty());
        if let Some(reason) = envelope.reason() {
            assert_readable(&reason);
        }
        for notice in envelope.notices {
            match notice {
                Notice::Change { change, .. } => {
                    let bytes = change.key.as_str().len();
                    assert!((1..=KEY_LENGTH_MAX_BYTES).contains(&bytes), "{bytes}");
                }
                Notice::Other(kind) => assert_readable(&kind),
            }
        }
    }
}
