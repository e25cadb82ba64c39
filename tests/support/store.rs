//! What every object store must do, whatever lies behind it.
//!
//! All keys are made under prefixes of the suite's own. What the row of a store's vendor says that it does in its own
//! way is expected of it so, and nothing else may differ.

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tranship_adapters::stores::s3::vendors::{AMAZON, ETags, Quirks};
use tranship_core::body::{Body, BodyError, full};
use tranship_core::checksum::{Algorithm, Checksum, Crcs, composite_etag};
use tranship_core::error::{ErrorKind, StoreError};
use tranship_core::loss::Loss;
use tranship_core::object::{
    ByteRange, ETag, KEY_LENGTH_MAX_BYTES, ObjectKey, PartNumber, UploadId,
};
use tranship_core::store::{
    Attributes, Completion, Condition, CopySource, Head, ListRequest, ObjectStore, Pin, Put, Read,
    Write, Written,
};

use crate::keys::{HOSTILE, of_length};
use crate::rig::noise;

/// The least size of all parts but the last.
const PART: usize = 5 << 20;

/// User metadata that is not ASCII, and the form in which S3 gives it back (RFC 2047).
const OWNER: &str = "naïve café 😀";
const OWNER_ENCODED: &str = "=?UTF-8?B?bmHDr3ZlIGNhZsOpIPCfmIA=?=";

/// What a store does in its own way.
#[derive(Debug, Clone, Copy)]
pub struct Ways<'a> {
    /// What the store calls itself as the source of a copy.
    pub bucket: &'a str,
    /// What the row of its vendor says.
    pub quirks: &'a Quirks,
    /// The longest key that it takes, which may be less than the row says where no document tells.
    pub key_bytes: usize,
    /// Whether it can be asked which uploads are open.
    pub lists_uploads: bool,
}

impl<'a> Ways<'a> {
    /// Amazon's, and those of what stands in for it.
    pub fn amazons(bucket: &'a str) -> Self {
        let (quirks, key_bytes) = (&AMAZON.quirks, KEY_LENGTH_MAX_BYTES);
        Self { bucket, quirks, key_bytes, lists_uploads: true }
    }

    /// Whether the store can have such a key.
    pub fn holds(&self, key: &ObjectKey) -> bool {
        let is_short = key.as_str().len() <= self.key_bytes;
        is_short && self.quirks.objects.refuses_key(key).is_none()
    }
}

/// Runs the whole suite.
pub async fn conforms(store: &dyn ObjectStore, ways: Ways<'_>) {
    store.bucket().await.unwrap();
    what_is_not_there_is_said_to_be_absent(store, ways).await;
    any_bytes_come_back(store, ways).await;
    everything_that_a_write_carries_comes_back(store, ways).await;
    hostile_keys_are_kept_byte_for_byte(store, ways).await;
    a_read_is_the_range_and_the_generation_that_was_asked_for(store).await;
    damaged_bytes_are_refused(store, ways).await;
    a_listing_is_sorted_and_goes_on_where_it_stopped(store).await;
    parts_make_an_object(store, ways).await;
    a_completion_of_wrong_parts_is_refused(store, ways).await;
    an_upload_that_was_ended_is_known_no_more(store).await;
    uploads_of_exactly_one_key_are_listed(store, ways).await;
    copies_on_the_servers_side_are_pinned(store, ways).await;
    if ways.quirks.conditions {
        a_write_takes_effect_only_under_its_condition(store).await;
        a_completion_takes_effect_only_under_its_condition(store).await;
        a_delete_takes_effect_only_under_its_condition(store).await;
    } else {
        no_write_pretends_to_have_seen_its_condition(store).await;
        no_completion_pretends_to_have_seen_its_condition(store).await;
    }
}

/// What the port can show and not bring about: `grant` gives an object so many grants besides its owner's,
/// `switch_off` switches ACLs off for the whole bucket.
pub async fn shows_grants(
    store: &dyn ObjectStore,
    grant: impl Fn(&ObjectKey, usize),
    switch_off: impl Fn(),
) {
    assert!(store.has_acls().await.unwrap());
    let shared = counts_grants(store, &grant).await;
    grant(&shared, 1);
    switch_off();
    assert!(!store.has_acls().await.unwrap());
    assert_eq!(store.grants(&shared).await, Ok(0));
}

/// What of it holds of a store that does not say whether it has ACLs at all. Gives the key that was shared.
pub async fn counts_grants(
    store: &dyn ObjectStore,
    grant: &impl Fn(&ObjectKey, usize),
) -> ObjectKey {
    let (plain, shared) = (key("acl/plain"), key("acl/shared \u{e9}"));
    for key in [&plain, &shared] {
        write(store, key, b"bytes").await;
    }
    grant(&shared, 2);
    assert_eq!(store.grants(&plain).await, Ok(0));
    assert_eq!(store.grants(&shared).await, Ok(2));
    assert_eq!(kind(store.grants(&key("acl/absent")).await), ErrorKind::NoSuchKey);
    write(store, &shared, b"other bytes").await;
    assert_eq!(store.grants(&shared).await, Ok(0), "a write leaves no grants of what was there");
    shared
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(format!("suite/{text}"))
}

fn number(number: u16) -> PartNumber {
    PartNumber::new(number).unwrap()
}

fn crc64(bytes: &[u8]) -> Checksum {
    let mut crcs = Crcs::new(&[Algorithm::Crc64Nvme]);
    crcs.update(bytes);
    crcs.finish().remove(0)
}

/// Fails if the answer has a checksum that the bytes do not come to, or lacks the one that its vendor keeps.
#[track_caller]
fn expect_checksum(head: &Head, bytes: &[u8], ways: Ways<'_>) {
    let Some(checksum) = head.checksum else {
        return assert_eq!(ways.quirks.checksum, None, "every object has one");
    };
    let mut crcs = Crcs::new(&[checksum.algorithm]);
    crcs.update(bytes);
    assert_eq!(crcs.finish(), [checksum]);
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap()
}

/// A write without anything but bytes.
fn put<'a>(key: &'a ObjectKey, bytes: &[u8], condition: Option<&'a Condition>) -> Put<'a> {
    let (write, size) = (Write::default(), size(bytes));
    Put { key, size, write, condition, checksum: None, md5: None }
}

async fn write(store: &dyn ObjectStore, key: &ObjectKey, bytes: &[u8]) -> ETag {
    let body = full(Bytes::copy_from_slice(bytes));
    store.put(put(key, bytes, None), body).await.unwrap().etag
}

async fn bytes_of(read: Read) -> Bytes {
    let bytes = read.body.collect().await.unwrap().to_bytes();
    assert_eq!(size(&bytes), read.size);
    bytes
}

async fn read(store: &dyn ObjectStore, key: &ObjectKey) -> Bytes {
    bytes_of(store.get(key, None, None).await.unwrap()).await
}

#[track_caller]
fn kind<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> ErrorKind {
    answer.unwrap_err().kind
}

async fn send(
    store: &dyn ObjectStore,
    key: &ObjectKey,
    upload: &UploadId,
    part: u16,
    bytes: &Bytes,
) -> Result<ETag, StoreError> {
    store.upload_part(key, upload, number(part), size(bytes), full(bytes.clone())).await
}

async fn complete(
    store: &dyn ObjectStore,
    key: &ObjectKey,
    upload: &UploadId,
    parts: &[(PartNumber, ETag)],
    rest: (usize, Option<&Condition>),
) -> Result<Written, StoreError> {
    let (size, condition) = (u64::try_from(rest.0).unwrap(), rest.1);
    store.complete_upload(Completion { key, upload, parts, size, condition }).await
}

async fn what_is_not_there_is_said_to_be_absent(store: &dyn ObjectStore, ways: Ways<'_>) {
    let absent = key("absent");
    let gone = UploadId("nobody-knows-it".to_owned());
    let pin = Pin { etag: ETag::new("d41d8cd98f00b204e9800998ecf8427e"), version: None };
    assert_eq!(kind(store.head(&absent, None, None).await), ErrorKind::NotFound);
    for pin in [None, Some(&pin)] {
        assert_eq!(kind(store.get(&absent, None, pin).await), ErrorKind::NoSuchKey);
    }
    let no_tags = if ways.quirks.tags { ErrorKind::NoSuchKey } else { ErrorKind::Unsupported };
    assert_eq!(kind(store.tags(&absent, None).await), no_tags);
    assert_eq!(kind(store.list_parts(&absent, &gone, None).await), ErrorKind::NoSuchUpload);
    assert_eq!(kind(store.abort_upload(&absent, &gone).await), ErrorKind::NoSuchUpload);
    let part = Bytes::from_static(b"part");
    assert_eq!(kind(send(store, &absent, &gone, 1, &part).await), ErrorKind::NoSuchUpload);
    let parts = [(number(1), pin.etag.clone())];
    let completed = complete(store, &absent, &gone, &parts, (4, None)).await;
    assert_eq!(kind(completed), ErrorKind::NoSuchUpload);
    store.delete(&absent, None).await.unwrap();
    store.delete(&absent, Some(&pin.etag)).await.unwrap();
    expect_uploads(store, &absent, &[], ways).await;
}

/// Fails unless these uploads of the key are open, where the store can be asked.
async fn expect_uploads(
    store: &dyn ObjectStore,
    key: &ObjectKey,
    expected: &[UploadId],
    ways: Ways<'_>,
) {
    let listed = store.list_uploads(key).await;
    if !ways.lists_uploads {
        return assert_eq!(kind(listed), ErrorKind::Unsupported);
    }
    let mut listed = listed.unwrap();
    assert!(listed.iter().all(|open| open.key == *key), "{listed:?}");
    listed.sort_by_key(|open| open.upload.0.clone());
    let mut expected: Vec<_> = expected.iter().collect();
    expected.sort_by_key(|upload| &upload.0);
    assert!(listed.iter().map(|open| &open.upload).eq(expected), "{listed:?}");
}

async fn any_bytes_come_back(store: &dyn ObjectStore, ways: Ways<'_>) {
    for (name, bytes) in [("empty", Vec::new()), ("one", vec![0]), ("many", noise(1, 3 << 20))] {
        let key = key(name);
        let etag = write(store, &key, &bytes).await;
        let is_own = ways.quirks.etags == ETags::Own;
        let md5 = ETag::new(&hex::encode(<md5::Md5 as md5::Digest>::digest(&bytes)));
        assert!(is_own || etag == md5, "{name}: {etag:?}");
        assert!(read(store, &key).await == bytes, "{name}");
        let head = store.head(&key, None, None).await.unwrap();
        assert_eq!((head.identity.size, head.content_size), (size(&bytes), size(&bytes)));
        assert_eq!(head.identity.etag, etag);
        expect_checksum(&head, &bytes, ways);
        assert_eq!((head.tag_count, head.etag_is_opaque, head.part_count), (0, is_own, None));
        let first = store.head(&key, None, Some(PartNumber::FIRST)).await.unwrap();
        assert_eq!(first.content_size, size(&bytes), "what came in one piece is its own part 1");
    }
}

/// Attributes with what S3 encodes as it was written.
fn as_written(attributes: &Attributes) -> Attributes {
    let mut attributes = attributes.clone();
    for value in attributes.user.values_mut().filter(|value| *value == OWNER_ENCODED) {
        OWNER.clone_into(value);
    }
    attributes
}

/// Everything that a write can carry besides bytes and tags.
fn all_attributes() -> Attributes {
    let text = |text: &str| Some(text.to_owned());
    Attributes {
        content_type: text("text/html; charset=utf-8"),
        content_encoding: text("gzip"),
        content_language: text("de"),
        content_disposition: text("attachment; filename=\"a b.html\""),
        cache_control: text("max-age=60"),
        expires: text("Wed, 21 Oct 2015 07:28:00 GMT"),
        website_redirect: text("/elsewhere"),
        storage_class: text("STANDARD_IA"),
        user: BTreeMap::from([
            ("owner".to_owned(), OWNER.to_owned()),
            ("plain".to_owned(), "a, b; c=d".to_owned()),
        ]),
    }
}

/// What of the attributes an answer is to have: some stores lay a disposition of their own over the object's, and
/// then say so.
fn shown(attributes: &Attributes, head: &Head, ways: Ways<'_>) -> Attributes {
    let is_hidden = head.losses.iter().any(|loss| *loss == Loss::Disposition);
    assert!(!is_hidden || ways.quirks.prefix.is_some(), "Amazon's protocol has no such thing");
    let content_disposition = attributes.content_disposition.clone().filter(|_| !is_hidden);
    Attributes { content_disposition, ..attributes.clone() }
}

async fn everything_that_a_write_carries_comes_back(store: &dyn ObjectStore, ways: Ways<'_>) {
    let attributes = all_attributes();
    let mut tags =
        vec![("project".to_owned(), "a+b = c".to_owned()), ("é".to_owned(), String::new())];
    tags.sort();
    // Nobody sends them to a store that has none.
    tags.retain(|_| ways.quirks.tags);
    let write = Write { attributes: attributes.clone(), tags: tags.clone() };
    let bytes = Bytes::from_static(b"carried");
    let (whole, parts) = (key("carries/whole"), key("carries/parts"));
    let put = Put { write: write.clone(), ..put(&whole, &bytes, None) };
    store.put(put, full(bytes.clone())).await.unwrap();
    let upload = store.create_upload(&parts, &write).await.unwrap();
    let etag = send(store, &parts, &upload, 1, &bytes).await.unwrap();
    let sent = complete(store, &parts, &upload, &[(number(1), etag)], (bytes.len(), None)).await;
    sent.unwrap();
    for key in [&whole, &parts] {
        let head = store.head(key, None, None).await.unwrap();
        let expected = shown(&attributes, &head, ways);
        assert_eq!(as_written(&head.attributes), expected, "{key}");
        assert_eq!(usize::try_from(head.tag_count), Ok(tags.len()), "{key}");
        let read = store.get(key, None, None).await.unwrap();
        assert_eq!(read.head.attributes, head.attributes, "{key}");
        let there = store.tags(key, None).await;
        if ways.quirks.tags {
            let mut there = there.unwrap();
            there.sort();
            assert_eq!(there, tags, "{key}");
        } else {
            assert_eq!(kind(there), ErrorKind::Unsupported);
        }
    }
    let head = store.head(&whole, None, None).await.unwrap();
    let write = Write { attributes: head.attributes.clone(), tags: tags.clone() };
    store.put(Put { write, ..self::put(&whole, &bytes, None) }, full(bytes)).await.unwrap();
    let again = store.head(&whole, None, None).await.unwrap();
    assert_eq!(again.attributes, head.attributes, "what was read can be written again");
    let large = "x".repeat(ways.quirks.metadata.total + 1);
    let large = BTreeMap::from([("large".to_owned(), large)]);
    let write = Write { attributes: Attributes { user: large, ..attributes }, tags };
    assert_eq!(kind(store.create_upload(&key("refused"), &write).await), ErrorKind::Invalid);
}

async fn hostile_keys_are_kept_byte_for_byte(store: &dyn ObjectStore, ways: Ways<'_>) {
    let rest = ways.key_bytes - key("hostile/").as_str().len();
    let longest = of_length(rest);
    let all = HOSTILE.into_iter().chain([longest.as_str()]);
    let mut keys: Vec<ObjectKey> = all.map(|text| key(&format!("hostile/{text}"))).collect();
    keys.retain(|key| ways.holds(key));
    assert!(keys.iter().any(|key| key.as_str().len() == ways.key_bytes));
    for key in &keys {
        write(store, key, key.as_str().as_bytes()).await;
    }
    for key in &keys {
        assert_eq!(read(store, key).await, key.as_str().as_bytes(), "{key}");
        // The answer that names such a key is no XML, so a client may be unable to read it.
        if key.as_str().contains('\u{7}') {
            continue;
        }
        let upload = store.create_upload(key, &Write::default()).await.unwrap();
        expect_uploads(store, key, std::slice::from_ref(&upload), ways).await;
        store.abort_upload(key, &upload).await.unwrap();
    }
    keys.sort();
    for limit in [3, 1_000] {
        assert_eq!(listed(store, "suite/hostile/", None, limit).await, keys);
    }
    for key in &keys {
        store.delete(key, None).await.unwrap();
    }
    assert_eq!(listed(store, "suite/hostile/", None, 1_000).await, []);
    let long = ObjectKey::new("k".repeat(ways.key_bytes + 1));
    assert_eq!(
        kind(store.put(put(&long, b"", None), full(Bytes::new())).await),
        ErrorKind::Invalid
    );
}

async fn a_read_is_the_range_and_the_generation_that_was_asked_for(store: &dyn ObjectStore) {
    let key = key("ranged");
    let bytes = noise(2, 1_000);
    let old = write(store, &key, b"the generation before").await;
    let new = write(store, &key, &bytes).await;
    let pin = |etag: &ETag| Pin { etag: etag.clone(), version: None };
    for (start, end) in [(0, 1), (0, 1_000), (999, 1_000), (17, 400)] {
        let range = ByteRange::new(start, end);
        let read = store.get(&key, range, Some(&pin(&new))).await.unwrap();
        assert_eq!((read.size, read.head.identity.size), (end - start, 1_000));
        let (start, end) = (usize::try_from(start).unwrap(), usize::try_from(end).unwrap());
        assert_eq!(bytes_of(read).await, bytes[start..end]);
    }
    // Some stores answer with the whole object where a range cannot be had.
    let (moved, lied) = (ErrorKind::PreconditionFailed, ErrorKind::Lied);
    for (range, etag, expected) in [
        (None, &old, &[moved][..]),
        (ByteRange::new(0, 5), &old, &[moved]),
        (ByteRange::new(1_000, 1_001), &new, &[moved, lied]),
        (ByteRange::new(990, 1_010), &new, &[lied]),
    ] {
        let answer = store.get(&key, range, Some(&pin(etag))).await;
        assert!(expected.contains(&kind(answer)), "{range:?}");
    }
}

async fn a_write_takes_effect_only_under_its_condition(store: &dyn ObjectStore) {
    let key = key("conditional");
    let absent = Condition::Absent;
    let never = Condition::Is(ETag::new("0123456789abcdef0123456789abcdef"));
    let try_put = async |bytes: &'static [u8], condition: &Condition| {
        store.put(put(&key, bytes, Some(condition)), full(Bytes::from_static(bytes))).await
    };
    assert_eq!(kind(try_put(b"a", &never).await), ErrorKind::NoSuchKey);
    let first = Condition::Is(try_put(b"first", &absent).await.unwrap().etag);
    for condition in [&absent, &never] {
        assert_eq!(kind(try_put(b"b", condition).await), ErrorKind::PreconditionFailed);
    }
    try_put(b"second", &first).await.unwrap();
    assert_eq!(kind(try_put(b"c", &first).await), ErrorKind::PreconditionFailed);
    assert_eq!(read(store, &key).await, "second");
}

/// A store whose vendor documents no conditions refuses them, or passes over them: it never says that one held or did
/// not, so whoever sent it would be none the wiser.
async fn no_write_pretends_to_have_seen_its_condition(store: &dyn ObjectStore) {
    let key = key("unconditional");
    let never = Condition::Is(ETag::new("0123456789abcdef0123456789abcdef"));
    let mut there = Bytes::from_static(b"first");
    write(store, &key, &there).await;
    for (bytes, condition) in [("if absent", &Condition::Absent), ("if it is another", &never)] {
        let bytes = Bytes::from_static(bytes.as_bytes());
        match store.put(put(&key, &bytes, Some(condition)), full(bytes.clone())).await {
            Ok(_) => there = bytes,
            Err(error) => assert_eq!(error.kind, ErrorKind::Unsupported, "{error}"),
        }
        assert_eq!(read(store, &key).await, there);
    }
    let never = ETag::new("0123456789abcdef0123456789abcdef");
    match store.delete(&key, Some(&never)).await {
        Ok(()) => assert_eq!(kind(store.head(&key, None, None).await), ErrorKind::NotFound),
        Err(error) => assert_eq!(error.kind, ErrorKind::Unsupported, "{error}"),
    }
}

async fn no_completion_pretends_to_have_seen_its_condition(store: &dyn ObjectStore) {
    let key = key("completed-unconditionally");
    write(store, &key, b"foreign").await;
    let bytes = Bytes::from_static(b"in one part");
    let upload = store.create_upload(&key, &Write::default()).await.unwrap();
    let parts = [(number(1), send(store, &key, &upload, 1, &bytes).await.unwrap())];
    let rest = |condition| (bytes.len(), condition);
    let absent = rest(Some(&Condition::Absent));
    if let Err(error) = complete(store, &key, &upload, &parts, absent).await {
        assert_eq!(error.kind, ErrorKind::Unsupported, "{error}");
        assert_eq!(read(store, &key).await, "foreign");
        complete(store, &key, &upload, &parts, rest(None)).await.unwrap();
    }
    assert_eq!(read(store, &key).await, bytes);
}

/// A body that breaks off in the middle.
fn torn_body() -> Body {
    let frames: [Result<Frame<Bytes>, BodyError>; 2] =
        [Ok(Frame::data(Bytes::from_static(b"bytes"))), Err("the source broke off".into())];
    Box::pin(StreamBody::new(futures_util::stream::iter(frames)))
}

async fn damaged_bytes_are_refused(store: &dyn ObjectStore, ways: Ways<'_>) {
    let key = key("damaged");
    let wrong = crc64(b"other bytes");
    // Of another kind than MD5 is what only some stores take.
    let sums = [(Some([7; 16]), None), (None, Some(wrong))];
    for (md5, checksum) in sums.into_iter().take(1 + usize::from(ways.quirks.checksums)) {
        let put = Put { md5, checksum, ..put(&key, b"bytes", None) };
        let answer = store.put(put, full(Bytes::from_static(b"bytes"))).await;
        assert_eq!(kind(answer), ErrorKind::BadDigest);
    }
    let torn = Put { size: 9, ..put(&key, b"", None) };
    assert_eq!(kind(store.put(torn, torn_body()).await), ErrorKind::Unavailable);
    assert_eq!(kind(store.head(&key, None, None).await), ErrorKind::NotFound);
}

async fn a_delete_takes_effect_only_under_its_condition(store: &dyn ObjectStore) {
    let key = key("deleted");
    let old = write(store, &key, b"old").await;
    let new = write(store, &key, b"new").await;
    assert_eq!(kind(store.delete(&key, Some(&old)).await), ErrorKind::PreconditionFailed);
    assert_eq!(read(store, &key).await, "new");
    store.delete(&key, Some(&new)).await.unwrap();
    assert_eq!(kind(store.head(&key, None, None).await), ErrorKind::NotFound);
}

/// All keys under a prefix after a key, page by page; each is what a HEAD says.
async fn listed(
    store: &dyn ObjectStore,
    prefix: &str,
    after: Option<&ObjectKey>,
    limit: u16,
) -> Vec<ObjectKey> {
    let (mut seen, mut after, mut continuation) = (Vec::new(), after.cloned(), None);
    loop {
        let request = ListRequest { prefix: prefix.to_owned(), after, limit, continuation };
        let page = store.list(&request).await.unwrap();
        assert!(page.objects.len() <= usize::from(limit));
        for listed in &page.objects {
            let head = store.head(&listed.key, None, None).await.unwrap().identity;
            assert_eq!((listed.size, &listed.etag), (head.size, &head.etag));
            assert_eq!(listed.modified.0 / 1_000, head.modified.0 / 1_000, "to the second");
        }
        seen.extend(page.objects.into_iter().map(|listed| listed.key));
        if !page.truncated {
            return seen;
        }
        after = seen.last().cloned();
        continuation = page.continuation;
    }
}

async fn a_listing_is_sorted_and_goes_on_where_it_stopped(store: &dyn ObjectStore) {
    let mut keys: Vec<ObjectKey> = ["Z", "a", "a!", "a/b", "aa", "b", "é", "ｚ", "😀"]
        .map(|k| key(&format!("list/{k}")))
        .into();
    for key in &keys {
        write(store, key, key.as_str().as_bytes()).await;
    }
    write(store, &key("list"), b"its neighbour").await;
    write(store, &key("list0"), b"its other neighbour").await;
    keys.sort();
    for limit in [1, 2, 4, 9, 1_000] {
        assert_eq!(listed(store, "suite/list/", None, limit).await, keys, "in pages of {limit}");
    }
    for (n, last) in keys.iter().enumerate() {
        let rest = listed(store, "suite/list/", Some(last), 1_000).await;
        assert_eq!(rest, keys[n + 1..], "after {last}");
    }
    let between = key("list/a\"");
    let rest = listed(store, "suite/list/", Some(&between), 1).await;
    assert_eq!(rest.first(), Some(&key("list/a/b")), "a key that is not there is a place, too");
    assert_eq!(listed(store, "suite/nothing", None, 1_000).await, []);
}

async fn parts_make_an_object(store: &dyn ObjectStore, ways: Ways<'_>) {
    let key = key("in-parts");
    let parts: [Bytes; 3] = [noise(3, PART).into(), noise(4, PART + 7).into(), noise(5, 11).into()];
    let upload = store.create_upload(&key, &Write::default()).await.unwrap();
    send(store, &key, &upload, 2, &parts[0]).await.unwrap();
    let mut etags = Vec::new();
    // Not every number is used, and what is sent again replaces what was there.
    for (n, bytes) in [2, 3, 9].into_iter().zip(&parts) {
        etags.push((number(n), send(store, &key, &upload, n, bytes).await.unwrap()));
    }
    assert_eq!(kind(store.head(&key, None, None).await), ErrorKind::NotFound, "not visible yet");
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.list_parts(&key, &upload, after).await.unwrap();
        listed.extend(page.parts);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let of = |part: &tranship_core::store::Part| (part.number, part.etag.clone());
    assert_eq!(listed.iter().map(of).collect::<Vec<_>>(), etags);
    for (part, bytes) in listed.iter().zip(&parts) {
        assert_eq!(part.size, size(bytes));
        assert!(part.checksums.iter().all(|c| *c == crc64(bytes)));
    }
    let whole = parts.concat();
    let written = complete(store, &key, &upload, &etags, (whole.len(), None)).await.unwrap();
    let is_composite = ways.quirks.etags == ETags::Md5;
    let composite = composite_etag(etags.iter().map(|(_, etag)| etag));
    assert_eq!(Some(&written.etag) == composite.as_ref(), is_composite);
    assert!(read(store, &key).await == whole);
    let head = store.head(&key, None, None).await.unwrap();
    assert_eq!(head.identity.etag, written.etag);
    expect_checksum(&head, &whole, ways);
    let first = store.head(&key, None, Some(number(1))).await.unwrap();
    assert_eq!(first.content_size, size(&parts[0]));
    // How many there are counts where the `ETag` is made of theirs.
    assert_eq!(first.part_count, is_composite.then_some(3));
    assert_eq!(first.identity, head.identity);
    let across = ByteRange::new(size(&parts[0]) - 3, size(&parts[0]) + 3);
    let read = bytes_of(store.get(&key, across, None).await.unwrap()).await;
    assert!(read == whole[PART - 3..PART + 3]);
}

async fn a_completion_takes_effect_only_under_its_condition(store: &dyn ObjectStore) {
    let key = key("completed-conditionally");
    let bytes = Bytes::from_static(b"in one part");
    let upload = store.create_upload(&key, &Write::default()).await.unwrap();
    let etag = send(store, &key, &upload, 1, &bytes).await.unwrap();
    let parts = [(number(1), etag)];
    let never = Condition::Is(ETag::new("0123456789abcdef0123456789abcdef"));
    let send = async |condition| {
        complete(store, &key, &upload, &parts, (bytes.len(), Some(condition))).await
    };
    assert_eq!(kind(send(&never).await), ErrorKind::NoSuchKey);
    let foreign = Condition::Is(write(store, &key, b"foreign").await);
    for condition in [&never, &Condition::Absent] {
        assert_eq!(kind(send(condition).await), ErrorKind::PreconditionFailed);
    }
    assert_eq!(read(store, &key).await, "foreign");
    send(&foreign).await.unwrap();
    assert_eq!(read(store, &key).await, bytes);
}

async fn a_completion_of_wrong_parts_is_refused(store: &dyn ObjectStore, ways: Ways<'_>) {
    let key = key("wrong-parts");
    let upload = store.create_upload(&key, &Write::default()).await.unwrap();
    let small = Bytes::from_static(b"too small to be followed");
    let mut etags = Vec::new();
    for n in [1, 2] {
        etags.push((number(n), send(store, &key, &upload, n, &small).await.unwrap()));
    }
    let (one, two) = (etags[0].clone(), etags[1].clone());
    let other = ETag::new("0123456789abcdef0123456789abcdef");
    for (parts, size, expected) in [
        (vec![(number(1), other)], small.len(), ErrorKind::InvalidPart),
        (vec![(number(3), one.1.clone())], small.len(), ErrorKind::InvalidPart),
        (vec![two.clone(), one.clone()], 2 * small.len(), ErrorKind::InvalidPart),
        (vec![one.clone(), two], 2 * small.len(), ErrorKind::Invalid),
        (Vec::new(), 0, ErrorKind::Invalid),
        (vec![one.clone()], small.len() + 1, ErrorKind::Invalid),
    ]
    .into_iter()
    // The size goes with Amazon's checksums.
    .take(5 + usize::from(ways.quirks.checksums))
    {
        let answer = complete(store, &key, &upload, &parts, (size, None)).await;
        assert_eq!(kind(answer), expected, "{parts:?}");
    }
    complete(store, &key, &upload, &[one], (small.len(), None)).await.unwrap();
    assert_eq!(read(store, &key).await, small);
}

async fn an_upload_that_was_ended_is_known_no_more(store: &dyn ObjectStore) {
    let bytes = Bytes::from_static(b"part");
    for is_completed in [true, false] {
        let key = key(&format!("ended/{is_completed}"));
        let upload = store.create_upload(&key, &Write::default()).await.unwrap();
        let parts = [(number(1), send(store, &key, &upload, 1, &bytes).await.unwrap())];
        if is_completed {
            complete(store, &key, &upload, &parts, (4, None)).await.unwrap();
        } else {
            store.abort_upload(&key, &upload).await.unwrap();
        }
        assert_eq!(kind(send(store, &key, &upload, 1, &bytes).await), ErrorKind::NoSuchUpload);
        assert_eq!(kind(store.list_parts(&key, &upload, None).await), ErrorKind::NoSuchUpload);
        assert_eq!(kind(store.abort_upload(&key, &upload).await), ErrorKind::NoSuchUpload);
        // Amazon S3 answers a repeated completion as it did the first time, for a while.
        match complete(store, &key, &upload, &parts, (4, None)).await {
            Ok(written) => assert!(is_completed, "{written:?}"),
            Err(error) => assert_eq!(error.kind, ErrorKind::NoSuchUpload),
        }
        assert_eq!(store.head(&key, None, None).await.is_ok(), is_completed);
    }
}

async fn uploads_of_exactly_one_key_are_listed(store: &dyn ObjectStore, ways: Ways<'_>) {
    let (mine, longer) = (key("uploads/a"), key("uploads/a/b"));
    let write = Write::default();
    let (mut open, mut foreign) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        open.push(store.create_upload(&mine, &write).await.unwrap());
        foreign.push(store.create_upload(&longer, &write).await.unwrap());
    }
    while let Some(upload) = open.pop() {
        store.abort_upload(&mine, &upload).await.unwrap();
        expect_uploads(store, &mine, &open, ways).await;
    }
    expect_uploads(store, &longer, &foreign, ways).await;
}

async fn copies_on_the_servers_side_are_pinned(store: &dyn ObjectStore, ways: Ways<'_>) {
    let (from, whole, parts) = (key("copy/ + from"), key("copy/whole"), key("copy/parts"));
    let old = write(store, &from, b"old").await;
    let bytes: Bytes = noise(6, PART + 100).into();
    let new = write(store, &from, &bytes).await;
    let pin = |etag: &ETag| Pin { etag: etag.clone(), version: None };
    let (stale, pin) = (pin(&old), pin(&new));
    let source = |pin| CopySource { bucket: ways.bucket, key: &from, pin };
    let to = |condition| put(&whole, &bytes, condition);
    let absent = Some(&Condition::Absent).filter(|_| ways.quirks.conditions);
    let answer = store.copy(source(&stale), to(absent)).await;
    assert_eq!(kind(answer), ErrorKind::PreconditionFailed);
    let written = store.copy(source(&pin), to(absent)).await.unwrap();
    assert!(read(store, &whole).await == bytes);
    if ways.quirks.conditions {
        let answer = store.copy(source(&pin), to(absent)).await;
        assert_eq!(kind(answer), ErrorKind::PreconditionFailed);
        store.copy(source(&pin), to(Some(&Condition::Is(written.etag)))).await.unwrap();
    }

    let upload = store.create_upload(&parts, &Write::default()).await.unwrap();
    let cut = u64::try_from(PART).unwrap();
    let ranges = [ByteRange::new(0, cut), ByteRange::new(cut, size(&bytes))].map(Option::unwrap);
    let answer = store.copy_part(source(&stale), &parts, &upload, number(1), ranges[0]).await;
    if !ways.quirks.part_copy {
        return assert_eq!(kind(answer), ErrorKind::Unsupported);
    }
    assert_eq!(kind(answer), ErrorKind::PreconditionFailed);
    let mut etags = Vec::new();
    for (n, range) in (1..).zip(ranges) {
        let copied = store.copy_part(source(&pin), &parts, &upload, number(n), range).await;
        etags.push((number(n), copied.unwrap()));
    }
    complete(store, &parts, &upload, &etags, (bytes.len(), absent)).await.unwrap();
    assert!(read(store, &parts).await == bytes);
}
