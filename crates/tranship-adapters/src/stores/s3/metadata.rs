//! User metadata that is not ASCII, as S3 wants it on the wire.
//!
//! S3 takes the bytes of such a header for Latin-1, unless they are an encoded word of RFC 2047, and
//! answers with encoded words itself. So values are encoded when they are written and decoded when
//! they are read, and what the core sees is text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

const OPENING: &str = "=?";
const CLOSING: &str = "?=";

/// The value of a header for this text.
pub(super) fn encoded(text: &str) -> String {
    // Text that looks like an encoded word would come back as what it seems to encode.
    if text.is_ascii() && !text.contains(OPENING) {
        return text.to_owned();
    }
    format!("=?UTF-8?B?{}?=", BASE64.encode(text))
}

/// The text of a header's value: encoded words are decoded, and what cannot be stays as it is.
pub(super) fn decoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    let mut after_word = false;
    while let Some(at) = rest.find(OPENING) {
        let (before, from) = rest.split_at(at);
        let Some((word, len)) = word(from) else {
            let (opening, behind) = from.split_at(OPENING.len());
            text.push_str(before);
            text.push_str(opening);
            (rest, after_word) = (behind, false);
            continue;
        };
        // White space between two encoded words separates them, and means nothing else.
        if !(after_word && before.trim().is_empty()) {
            text.push_str(before);
        }
        text.push_str(&word);
        (rest, after_word) = (from.get(len..).unwrap_or_default(), true);
    }
    text.push_str(rest);
    text
}

/// The encoded word that a text begins with, and its length.
fn word(text: &str) -> Option<(String, usize)> {
    let inner = text.strip_prefix(OPENING)?;
    let (charset, inner) = inner.split_once('?')?;
    let (encoding, inner) = inner.split_once('?')?;
    let (encoded, behind) = inner.split_once(CLOSING)?;
    let bytes = match encoding {
        "B" | "b" => BASE64.decode(encoded).ok()?,
        "Q" | "q" => quoted(encoded)?,
        _ => return None,
    };
    let decoded = match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "us-ascii" => String::from_utf8(bytes).ok()?,
        "iso-8859-1" => bytes.into_iter().map(char::from).collect(),
        _ => return None,
    };
    Some((decoded, text.len() - behind.len()))
}

fn quoted(encoded: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'_' => b' ',
            b'=' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_the_wire() {
        for text in ["", "plain", "naïve café 😀", "=?UTF-8?B?w6k=?=", "a =? b", "ends in ?="] {
            let wire = encoded(text);
            assert!(wire.is_ascii(), "{wire}");
            assert_eq!(decoded(&wire), text, "{wire}");
        }
    }

    #[test]
    fn what_stores_answer_is_read() {
        for (wire, text) in [
            ("=?UTF-8?B?w6k=?=", "é"),
            ("=?utf-8?q?caf=C3=A9_au_lait?=", "café au lait"),
            ("=?UTF-8?Q?=C3=A9?=", "é"),
            ("=?ISO-8859-1?Q?=E9?=", "é"),
            ("=?UTF-8?B?w6k=?= =?UTF-8?B?w6k=?=", "éé"),
            ("a =?UTF-8?B?w6k=?= b", "a é b"),
            // Not encoded words, or not ours to read.
            ("=?UTF-8?X?w6k=?=", "=?UTF-8?X?w6k=?="),
            ("=?UTF-8?B?not base64?=", "=?UTF-8?B?not base64?="),
            ("=?KOI8-R?B?w6k=?=", "=?KOI8-R?B?w6k=?="),
            ("=?", "=?"),
            ("naïve", "naïve"),
        ] {
            assert_eq!(decoded(wire), text, "{wire}");
        }
    }
}
