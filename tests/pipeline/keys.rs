//! Keys are bytes: every character that there is, over the wire and back, and nothing else in between.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use http_body_util::BodyExt as _;
use tranship_adapters::stores::s3::S3Store;
use tranship_adapters::stores::s3::vendors::ListVersion;
use tranship_core::body::full;
use tranship_core::error::{Disposition, ErrorKind, StoreError};
use tranship_core::location::Location;
use tranship_core::object::{KEY_LENGTH_MAX_BYTES, ObjectKey};
use tranship_core::policy::Policy;
use tranship_core::store::{ListRequest, ObjectStore as _, Put, Write};
use tranship_server::{Server, ServerOptions};
use tranship_tests::keys::{HOSTILE, is_lost_in_xml, of_length};
use tranship_tests::rig::{self, DESTINATION, Rig, SOURCE, settings};

/// Requests at a time.
const STREAMS: usize = 16;

/// Keys that name a folder, an escape or another spelling to whoever looks for one in them.
const SPELT: [&str; 32] = [
    ".", "..", "./", "../", "/", "//", "///a", "a/.", "a/..", "a/./b", "a/../b", "../../a", "/a",
    "a/", "a//", "a/ ", " /a", " a", "a ", "+", "%", "%%", "%zz", "%2", "%2B", "%252B", "%2e%2e/a",
    "%2E", "%00", "a%2Fb", "\u{e9}", "e\u{301}",
];

/// Every Unicode scalar value that is wanted, in keys as long as keys may be.
fn keys_of_all(is_wanted: impl Fn(char) -> bool) -> Vec<String> {
    let mut keys: Vec<String> = SPELT.into_iter().map(str::to_owned).collect();
    let mut key = String::new();
    for c in ('\0'..=char::MAX).filter(|c| is_wanted(*c)) {
        if key.len() + c.len_utf8() > KEY_LENGTH_MAX_BYTES {
            keys.push(std::mem::take(&mut key));
        }
        key.push(c);
    }
    keys.push(key);
    keys
}

async fn listed(store: &S3Store) -> Result<Vec<String>, StoreError> {
    let (mut keys, mut after, mut continuation) = (Vec::new(), None, None);
    loop {
        let request = ListRequest { prefix: String::new(), after, limit: 1_000, continuation };
        let page = store.list(&request).await?;
        keys.extend(page.objects.iter().map(|listed| listed.key.as_str().to_owned()));
        after = page.objects.into_iter().last().map(|last| last.key);
        continuation = page.continuation;
        if !page.truncated {
            return Ok(keys);
        }
    }
}

/// Puts the key by way of the adapter; its bytes are the object's.
async fn write(store: &S3Store, key: &str) -> Result<(), StoreError> {
    let (bytes, key) = (Bytes::copy_from_slice(key.as_bytes()), ObjectKey::new(key));
    let size = u64::try_from(bytes.len()).unwrap();
    let write = Write::default();
    let put = Put { key: &key, size, write, condition: None, checksum: None, md5: None };
    store.put(put, full(bytes)).await.map(drop)
}

/// Looks at the key and reads it.
async fn read(store: &S3Store, key: &str) -> Result<(), StoreError> {
    let name = ObjectKey::new(key);
    let head = store.head(&name, None, None).await?;
    let read = store.get(&name, None, Some(&(&head.identity).into())).await?;
    let bytes = read.body.collect().await.unwrap().to_bytes();
    assert_eq!(bytes, key.as_bytes(), "{key:?}");
    Ok(())
}

async fn rig(encode_listing: bool) -> (Rig, Arc<S3Store>) {
    let options = ServerOptions { encode_listing, ..ServerOptions::default() };
    let rig = Rig::with(options, ServerOptions::default()).await;
    let store = S3Store::connect(settings(&rig.source, SOURCE)).await.unwrap();
    (rig, Arc::new(store))
}

/// Put, list, head and get: the same bytes each time.
#[tokio::test(flavor = "multi_thread")]
async fn every_character_crosses_the_wire_and_comes_back() {
    let keys = keys_of_all(|_| true);
    let characters: BTreeSet<char> = keys.iter().flat_map(|key| key.chars()).collect();
    assert_eq!(characters.len(), 0x11_0000 - 0x800, "all but the surrogates");
    let (rig, store) = rig(true).await;
    let all = stream::iter(keys.iter().map(Ok::<_, StoreError>));
    all.try_for_each_concurrent(STREAMS, |key| write(&store, key)).await.unwrap();
    let mut sorted = keys.clone();
    sorted.sort();
    assert!(rig.here().keys(SOURCE) == sorted, "the server has other keys");
    assert!(listed(&store).await.unwrap() == sorted, "other keys are listed");
    let all = stream::iter(keys.iter().map(Ok::<_, StoreError>));
    all.try_for_each_concurrent(STREAMS, |key| read(&store, key)).await.unwrap();
}

/// A store that does not encode listings on request: everything that XML holds comes back.
#[tokio::test(flavor = "multi_thread")]
async fn every_character_of_xml_is_listed_without_an_encoding() {
    let (rig, store) = rig(false).await;
    let mut keys = keys_of_all(|c| !is_lost_in_xml(c));
    for key in &keys {
        rig.put(key, "");
    }
    keys.sort();
    assert!(listed(&store).await.unwrap() == keys, "other keys are listed");
}

/// What XML does not hold is a listing that cannot be read, or comes back as it is: never another key,
/// and never one key fewer.
#[tokio::test(flavor = "multi_thread")]
async fn a_character_that_xml_lacks_never_becomes_another() {
    for lost in ('\0'..=char::MAX).filter(|c| is_lost_in_xml(*c)) {
        let (rig, store) = rig(false).await;
        let keys = ["a".to_owned(), format!("b{lost}c"), "d".to_owned()];
        for key in &keys {
            rig.put(key, "");
        }
        match listed(&store).await {
            Ok(listed) => assert_eq!(listed, keys, "{lost:?}"),
            Err(error) => assert_eq!(error.kind, ErrorKind::Lied, "{lost:?} {error}"),
        }
    }
}

/// How a listing is asked for, and whether it says what was asked for: the version, whether keys are asked for encoded,
/// whether the store does so.
const LISTINGS: [(ListVersion, bool, bool); 6] = [
    (ListVersion::V1, true, true),
    (ListVersion::V1, true, false),
    (ListVersion::V1, false, true),
    (ListVersion::V2, true, true),
    (ListVersion::V2, true, false),
    (ListVersion::V2, false, true),
];

/// Copies from one bucket of the rig's to another, both listed in this way.
async fn copy_between(
    rig: &Rig,
    (source, destination): ((&Server, &str), (&Server, &str)),
    (version, is_asked, _): (ListVersion, bool, bool),
) -> rig::Report {
    let place = |(server, bucket): (&Server, &str)| {
        let mut settings = settings(server, bucket);
        settings.list_version = Some(version);
        settings.list_encoding = Some(is_asked);
        (Location::new(Some(&server.endpoint()), bucket, ""), settings)
    };
    let mut parts = rig.parts(Policy::default());
    (parts.transfer.source, parts.source) = place(source);
    (parts.transfer.destination, parts.destination) = place(destination);
    parts.ledger = Some(rig.folder.path().join(destination.1));
    rig::run(parts, None).await.unwrap()
}

/// Both stores list in the same way, so that the way back is a listing of what the way there has written.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_keys_go_there_and_back_by_every_kind_of_listing() {
    for listing in LISTINGS {
        let (version, is_asked, is_done) = listing;
        let options = ServerOptions { encode_listing: is_done, ..ServerOptions::default() };
        let rig = Rig::with(options.clone(), options).await;
        rig.here().create_bucket("back");
        let longest = of_length(KEY_LENGTH_MAX_BYTES);
        let all = HOSTILE.into_iter().chain(SPELT).chain([longest.as_str()]);
        let keys: BTreeSet<&str> =
            all.filter(|key| (is_asked && is_done) || !key.contains(is_lost_in_xml)).collect();
        for key in &keys {
            rig.put(key, key.as_bytes());
        }
        let (here, there) = ((&rig.source, SOURCE), (&rig.destination, DESTINATION));
        let copied = [("copied", u64::try_from(keys.len()).unwrap())];
        copy_between(&rig, (here, there), listing).await.expect(&copied);
        copy_between(&rig, (there, (&rig.source, "back")), listing).await.expect(&copied);
        for (store, bucket) in [(rig.there(), DESTINATION), (rig.here(), "back")] {
            let held = store.keys(bucket);
            assert!(held.iter().eq(&keys), "{listing:?} {bucket}: {held:?}");
            for key in &keys {
                let bytes = store.read(bucket, key);
                assert!(bytes.is_some_and(|it| it == key.as_bytes()), "{listing:?}: {key:?}");
            }
        }
        let asked = rig.destination.requests();
        let (first, second) = (asked.count("ListObjects"), asked.count("ListObjectsV2"));
        let (used, other) =
            if version == ListVersion::V1 { (first, second) } else { (second, first) };
        assert!(used > 0 && other == 0, "{listing:?}");
    }
}

/// The SDK takes a key of nothing but white space for none at all. No other key suffers, and the failure
/// says which it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_nothing_but_space_fails_alone() {
    let (rig, store) = rig(true).await;
    for (key, escaped) in [(" ", "bucket/ "), ("  ", "bucket/  "), ("\u{2003}\n", "\u{2003}\\n")] {
        rig.put(key, "x");
        let error = write(&store, key).await.unwrap_err();
        assert_eq!((error.kind, error.disposition()), (ErrorKind::Invalid, Disposition::Permanent));
        assert!(error.context.contains(escaped), "{error}");
    }
    rig.put(" a", "x");
    rig.copy(Policy::default()).await.expect(&[("copied", 1), ("failed", 3)]);
    assert_eq!(rig.there().keys(DESTINATION), [" a"]);
}
