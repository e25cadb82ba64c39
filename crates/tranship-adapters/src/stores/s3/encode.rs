//! Encodings of the wire: copy sources, tags, and the keys of listings.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tranship_core::object::{ObjectKey, VersionId};
use tranship_core::store::CopySource;

/// What a query value may not contain as it is: all but the unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// In a path, the slashes of the key stay.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// The value of `x-amz-copy-source`.
pub(super) fn copy_source(source: &CopySource<'_>) -> String {
    let CopySource { bucket, key, pin } = source;
    // An access point's ARN needs a marker between itself and the key.
    let separator = if bucket.starts_with("arn:") { "/object/" } else { "/" };
    let mut out = utf8_percent_encode(bucket, RESERVED_IN_PATH).to_string();
    out.push_str(separator);
    out.extend(utf8_percent_encode(key.as_str(), RESERVED_IN_PATH));
    if let Some(VersionId(version)) = &pin.version {
        out.push_str("?versionId=");
        out.extend(utf8_percent_encode(version, RESERVED));
    }
    out
}

/// The value of `x-amz-tagging`; `None` without tags.
pub(super) fn tagging(tags: &[(String, String)]) -> Option<String> {
    let encode = |text| utf8_percent_encode(text, RESERVED);
    let pairs: Vec<_> = tags.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

/// A key as a listing has it. Stores that were asked to encode do not all do it, so `is_encoded` is
/// what the answer says. An encoded space is `+` with some stores and `%20` with others; an encoded
/// plus is `%2B` with all of them. `None` if the key is not UTF-8.
pub(super) fn listed_key(text: &str, is_encoded: bool) -> Option<ObjectKey> {
    if !is_encoded {
        return Some(ObjectKey::new(text));
    }
    let spaced = text.replace('+', " ");
    let key = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(ObjectKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::CONTROLS;
    use tranship_core::object::ETag;
    use tranship_core::store::Pin;

    #[test]
    fn copy_sources_are_encoded_byte_by_byte() {
        for (bucket, key, version, expected) in [
            ("b", "a/b.txt", None, "b/a/b.txt"),
            ("b", "a b+c%20?#", None, "b/a%20b%2Bc%2520%3F%23"),
            ("b", "é\n", Some("v+1/="), "b/%C3%A9%0A?versionId=v%2B1%2F%3D"),
            ("b", "/../x", None, "b//../x"),
            (
                "arn:aws:s3:r:1:accesspoint/p",
                "k",
                None,
                "arn%3Aaws%3As3%3Ar%3A1%3Aaccesspoint/p/object/k",
            ),
        ] {
            let pin =
                Pin { etag: ETag::new("e"), version: version.map(|v| VersionId(v.to_owned())) };
            let key = ObjectKey::new(key);
            assert_eq!(copy_source(&CopySource { bucket, key: &key, pin: &pin }), expected);
        }
    }

    #[test]
    fn tags_are_a_query() {
        assert_eq!(tagging(&[]), None);
        let tags = [("a b".to_owned(), "1&2=3".to_owned()), ("é".to_owned(), String::new())];
        assert_eq!(tagging(&tags).as_deref(), Some("a%20b=1%262%3D3&%C3%A9="));
    }

    #[test]
    fn listed_keys_are_decoded_only_where_the_answer_says_so() {
        for (text, is_encoded, key) in [
            ("a+b%20c", false, Some("a+b%20c")),
            ("a+b%20c%2Bd", true, Some("a b c+d")),
            ("%C3%A9%00%25", true, Some("é\0%")),
            ("100%", true, Some("100%")),
            ("%FF", true, None),
        ] {
            let got = listed_key(text, is_encoded);
            assert_eq!(got.as_ref().map(ObjectKey::as_str), key, "{text}");
        }
    }

    /// Each of the 1,112,064 Unicode scalar values, many to a key: whichever bytes a store leaves as they
    /// are, and however it writes a space.
    #[test]
    fn every_character_is_listed_as_it_is() {
        /// What Amazon S3 leaves as it is, and the least that a store has to encode.
        const AMAZON: &AsciiSet = &RESERVED_IN_PATH.remove(b'*').add(b'~');
        const LEAST: &AsciiSet = &CONTROLS.add(b'%').add(b'+').add(b' ');
        let all: Vec<char> = ('\0'..=char::MAX).collect();
        assert_eq!(all.len(), 1_112_064);
        for some in all.chunks(256) {
            let key: String = some.iter().collect();
            let expected = Some(ObjectKey::new(key.as_str()));
            assert_eq!(listed_key(&key, false), expected);
            for set in [AMAZON, LEAST] {
                let text = utf8_percent_encode(&key, set).to_string();
                assert_eq!(listed_key(&text, true), expected);
                assert_eq!(listed_key(&text.replace("%20", "+"), true), expected);
            }
            // Whoever reads a copy source splits it at the question mark and decodes the path.
            let pin = Pin { etag: ETag::new("e"), version: Some(VersionId("v".to_owned())) };
            let key = ObjectKey::new(key);
            let source = copy_source(&CopySource { bucket: "b", key: &key, pin: &pin });
            assert!(source.bytes().all(|byte| byte.is_ascii_graphic()));
            let (path, version) = source.split_once('?').unwrap();
            assert_eq!(version, "versionId=v");
            let path = percent_decode_str(path.strip_prefix("b/").unwrap()).decode_utf8().unwrap();
            assert_eq!(path, key.as_str());
        }
    }

    #[test]
    fn a_listed_key_that_looks_encoded_or_like_a_folder_is_what_it_says() {
        for key in
            ["+", "%", "%2B", "%zz", "%2e%2e", "..", "a/../b", "//", " a ", "e\u{301}", "\u{e9}"]
        {
            let expected = Some(ObjectKey::new(key));
            assert_eq!(listed_key(key, false), expected);
            let text = utf8_percent_encode(key, RESERVED).to_string();
            assert_eq!(listed_key(&text, true), expected);
            assert_eq!(listed_key(&text.replace("%20", "+"), true), expected);
        }
    }
}
