//! The demo's world: a source bucket with everything that makes copying hard, and what changes in it.

use std::collections::BTreeMap;

use bytes::Bytes;
use tranship_server::{Properties, Store};

/// The bucket on both sides.
pub(super) const SOURCE: &str = "warehouse";
pub(super) const DESTINATION: &str = "archive";

const MIB: usize = 1 << 20;
const PART: usize = 16 * MIB;

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) flat: usize,
    pub(super) nested: usize,
    /// Parts of 16 MiB of the largest object.
    pub(super) large_parts: usize,
}

impl Scale {
    pub(super) const FULL: Self = Self { flat: 3_000, nested: 2_000, large_parts: 65 };
    pub(super) const SMALL: Self = Self { flat: 200, nested: 100, large_parts: 3 };
}

/// Keys that other tools lose.
pub(super) const HOSTILE: [&str; 22] = [
    "hostile/plus+sign",
    "hostile/per%cent",
    "hostile/%2B-literal",
    "hostile/space and  more ",
    " leading space",
    "hostile//double",
    "hostile/./dot",
    "hostile/../dots",
    "/leading/slash",
    "hostile/trailing/",
    "hostile/quote\"s'",
    "hostile/back\\slash",
    "hostile/tab\tand\nnewline",
    "hostile/bell\u{7}",
    "hostile/é-nfc",
    "hostile/e\u{301}-nfd",
    "hostile/emoji-😀🚚",
    "hostile/中文",
    "hostile/?query#fragment&amp;",
    "hostile/<xml>",
    "hostile/\u{202e}right-to-left",
    "hostile/last-\u{10ffff}",
];

/// Bytes that differ from key to key.
fn bytes(seed: usize, size: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(size + 8);
    while out.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(size);
    Bytes::from(out)
}

/// Fills the source; gives the number of objects and their bytes.
pub(super) fn fill(store: &Store, scale: Scale) -> (usize, u64) {
    store.create_bucket(SOURCE);
    for n in 0..scale.flat {
        store.put(SOURCE, &format!("flat/{n:08}"), bytes(n, 512 + n % 20_000));
    }
    for n in 0..scale.nested {
        let key = format!("logs/2026/{:02}/{:02}/part-{n}.json", n % 12 + 1, n % 28 + 1);
        store.put(SOURCE, &key, bytes(n, 4_096 + n % 60_000));
    }
    for (n, key) in HOSTILE.into_iter().enumerate() {
        store.put(SOURCE, key, bytes(n, 100 + n));
    }
    store.put(SOURCE, "empty", Bytes::new());
    store.put(SOURCE, "folder-marker/", Bytes::new());
    for n in 0..40 {
        store.put_with(
            SOURCE,
            &format!("labelled/{n}.html"),
            bytes(n, 2_000),
            properties(n),
            tags(n),
        );
    }
    for n in 0..6 {
        store.put_multipart(SOURCE, &format!("video/clip-{n}.mp4"), parts(n, 5));
    }
    store.put_multipart(SOURCE, "backup/database.dump", parts(99, scale.large_parts));
    // Multipart, and smaller than any threshold: its ETag is to survive all the same.
    store.put_multipart(SOURCE, "small-multipart", vec![bytes(7, 5 * MIB), bytes(8, 1_000)]);
    totals(store)
}

fn parts(seed: usize, count: usize) -> Vec<Bytes> {
    // A few different parts are enough, and share their memory; the last one is shorter.
    let some: Vec<Bytes> = (0..4).map(|n| bytes(seed * 10 + n, PART)).collect();
    let mut parts: Vec<Bytes> =
        some.iter().cycle().take(count.saturating_sub(1)).cloned().collect();
    parts.push(bytes(seed, MIB + seed));
    parts
}

fn properties(n: usize) -> Properties {
    let text = |text: &str| Some(text.to_owned());
    Properties {
        content_type: text("text/html; charset=utf-8"),
        content_encoding: text("identity"),
        content_language: text("de"),
        content_disposition: text("attachment; filename=\"page.html\""),
        cache_control: text("max-age=3600"),
        metadata: BTreeMap::from([
            ("owner".to_owned(), format!("team-{n}")),
            ("note".to_owned(), "naïve café 😀".to_owned()),
        ]),
        ..Properties::default()
    }
}

fn tags(n: usize) -> Vec<(String, String)> {
    vec![("project".to_owned(), "a+b & c".to_owned()), ("number".to_owned(), n.to_string())]
}

fn totals(store: &Store) -> (usize, u64) {
    let keys = store.keys(SOURCE);
    let bytes = keys.iter().filter_map(|key| store.get(SOURCE, key)).map(|o| o.size()).sum();
    (keys.len(), bytes)
}

/// Changes the source; gives how many objects changed, and how many were deleted.
pub(super) fn change(store: &Store) -> (usize, usize) {
    for n in 0..20 {
        store.put(SOURCE, &format!("flat/{n:08}"), bytes(n + 1_000_000, 700 + n));
    }
    // The change that a size comparison misses.
    let same_size = store.get(SOURCE, "logs/2026/01/01/part-0.json").map_or(0, |o| o.size());
    let same_size = usize::try_from(same_size).unwrap_or(0);
    store.put(SOURCE, "logs/2026/01/01/part-0.json", bytes(424_242, same_size));
    store.put(SOURCE, "new/object", bytes(5, 5_000));
    store.put_multipart(SOURCE, "video/clip-0.mp4", parts(1_000, 5));
    let gone = ["flat/00000100", "flat/00000101", "hostile//double"];
    for key in gone {
        store.delete(SOURCE, key);
    }
    (23, gone.len())
}

/// The differences between the two sides, by key: bytes, ETag, headers, user metadata and tags.
pub(super) fn differences(source: &Store, destination: &Store) -> Vec<String> {
    let mut differences = Vec::new();
    let there = destination.keys(DESTINATION);
    let here = source.keys(SOURCE);
    differences.extend(
        there
            .iter()
            .filter(|key| !here.contains(key))
            .map(|key| format!("{key:?}: only at the destination")),
    );
    for key in &here {
        let (Some(a), Some(b)) = (source.get(SOURCE, key), destination.get(DESTINATION, key))
        else {
            differences.push(format!("{key:?}: missing"));
            continue;
        };
        let mut metadata = b.properties.metadata.clone();
        metadata.retain(|name, _| !name.starts_with("tranship-"));
        let same_rest = content_type(&a.properties) == content_type(&b.properties)
            && a.properties.content_disposition == b.properties.content_disposition
            && a.properties.cache_control == b.properties.cache_control
            && a.properties.metadata == metadata
            && a.tags == b.tags;
        let same_bytes =
            a.size() == b.size() && source.read(SOURCE, key) == destination.read(DESTINATION, key);
        for (what, same) in [
            ("ETag", a.etag == b.etag),
            ("bytes", same_bytes),
            ("headers, metadata or tags", same_rest),
        ] {
            if !same {
                differences.push(format!("{key:?}: {what} differ"));
            }
        }
    }
    differences
}

/// What S3 answers for an object that was written without one.
fn content_type(properties: &Properties) -> &str {
    properties.content_type.as_deref().unwrap_or("binary/octet-stream")
}
