//! What one store does, beside what its row of the table says.

use bytes::Bytes;
use tranship_adapters::stores::s3::S3Store;
use tranship_adapters::stores::s3::vendors::{ETags, ListVersion};
use tranship_core::body::full;
use tranship_core::error::{ErrorKind, StoreError};
use tranship_core::object::{ByteRange, ETag, ObjectKey, PartNumber};
use tranship_core::store::{
    Attributes, Completion, Condition, CopySource, ListRequest, ObjectStore as _, Pin, Put, Write,
};

use super::place::Place;
use super::tap::{Answer, Tap};

/// The one byte `a`, and its MD5.
const PLAIN: &[u8] = b"a";
const MD5_OF_PLAIN: &str = "0cc175b9c0f1b6a831c399e269772661";
/// 5 MiB of zeros and the byte `a`, in two parts: the MD5 of their MD5s.
const PART: usize = 5 << 20;
const MD5_OF_PARTS: &str = "c37a4df95f46d5fbd682f9f1aff63bd5-2";

const PLAIN_KEY: &str = "a b+c%2B/é😀'\"&<>~";
const PARTS_KEY: &str = "in parts";

/// Small objects by the rests of their keys: what is easily mangled on its way.
pub(super) fn contents() -> [(&'static str, &'static [u8]); 7] {
    [
        (PLAIN_KEY, PLAIN),
        ("empty", b""),
        ("folder/", b""),
        ("double//slash", b"1"),
        ("%2B", b"22"),
        ("e\u{301}", b"333"),
        (PARTS_KEY, b""),
    ]
}

/// One habit.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) what: &'static str,
    pub(super) table: String,
    pub(super) found: String,
    agrees: bool,
}

impl Seen {
    /// A habit that a store has or has not.
    fn of(what: &'static str, table: bool, seen: bool, words: [&str; 2]) -> Self {
        let [yes, no] = words;
        let word = |is: bool| if is { yes } else { no }.to_owned();
        Self { what, table: word(table), found: word(seen), agrees: table == seen }
    }

    pub(super) fn differs(&self) -> bool {
        !self.agrees
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` calls it")]
fn failed(error: StoreError) -> String {
    error.to_string()
}

async fn put(
    store: &S3Store,
    key: &ObjectKey,
    bytes: &'static [u8],
    write: Write,
    condition: Option<&Condition>,
) -> Result<(), StoreError> {
    let size = u64::try_from(bytes.len()).unwrap();
    let put = Put { key, size, write, condition, checksum: None, md5: None };
    store.put(put, full(Bytes::from_static(bytes))).await.map(|_| ())
}

async fn put_parts(store: &S3Store, key: &ObjectKey, write: &Write) -> Result<(), StoreError> {
    let upload = store.create_upload(key, write).await?;
    let mut parts = Vec::new();
    for (number, bytes) in (1..).zip([vec![0; PART], PLAIN.to_vec()]) {
        let number = PartNumber::new(number).unwrap();
        let size = u64::try_from(bytes.len()).unwrap();
        let sent = store.upload_part(key, &upload, number, size, full(bytes.into())).await;
        match sent {
            Ok(etag) => parts.push((number, etag)),
            Err(error) => {
                store.abort_upload(key, &upload).await.ok();
                return Err(error);
            }
        }
    }
    let size = u64::try_from(PART + PLAIN.len()).unwrap();
    let parts = &*parts;
    let completion = Completion { key, upload: &upload, parts, size, condition: None };
    let completed = store.complete_upload(completion).await;
    if completed.is_err() {
        store.abort_upload(key, &upload).await.ok();
    }
    completed.map(|_| ())
}

/// Fills a place with the contents above.
pub(super) async fn fill(place: &Place) -> Result<(), String> {
    let (store, _) = place.store(None, None).await?;
    for (rest, bytes) in contents() {
        let key = place.key(rest);
        let written = if rest == PARTS_KEY {
            put_parts(&store, &key, &dressed(false)).await
        } else {
            put(&store, &key, bytes, dressed(false), None).await
        };
        written.map_err(failed)?;
    }
    Ok(())
}

fn dressed(tags: bool) -> Write {
    let text = |text: &str| Some(text.to_owned());
    let attributes = Attributes {
        content_type: text("text/html"),
        cache_control: text("max-age=60"),
        user: [("owner".to_owned(), "a b".to_owned())].into(),
        ..Attributes::default()
    };
    let tags = if tags { vec![("a b".to_owned(), "1+2".to_owned())] } else { Vec::new() };
    Write { attributes, tags }
}

/// Everything that is asked of one store. It writes what it asks about.
pub(super) async fn look(place: &Place) -> Result<Vec<Seen>, String> {
    let (store, tap) = place.store(None, None).await?;
    let (plain, parts) = (place.key(PLAIN_KEY), place.key(PARTS_KEY));
    put(&store, &plain, PLAIN, dressed(false), None).await.map_err(failed)?;
    put_parts(&store, &parts, &dressed(false)).await.map_err(failed)?;
    let mut seen = etags(place, &store, &plain, &parts).await?;
    seen.push(checksums(place, &store, &tap, &parts).await?);
    seen.extend(listings(place).await?);
    seen.push(pinned(&store, &tap, &plain).await?);
    seen.push(conditions(place, &store, &plain).await);
    seen.push(tags(place, &store).await);
    seen.push(part_copies(place, &store, &parts).await?);
    Ok(seen)
}

async fn etags(
    place: &Place,
    store: &S3Store,
    plain: &ObjectKey,
    parts: &ObjectKey,
) -> Result<Vec<Seen>, String> {
    let etags = place.vendor.quirks.etags;
    let words = ["an MD5", "no MD5"];
    let mut all = Vec::new();
    for (what, key, table, md5) in [
        ("ETag of a plain write", plain, etags != ETags::Own, MD5_OF_PLAIN),
        ("ETag of an upload in parts", parts, etags == ETags::Md5, MD5_OF_PARTS),
    ] {
        let etag = store.head(key, None, None).await.map_err(failed)?.identity.etag;
        let mut seen = Seen::of(what, table, etag.as_str().eq_ignore_ascii_case(md5), words);
        seen.found = format!("{} ({})", seen.found, etag.as_str());
        all.push(seen);
    }
    Ok(all)
}

/// The headers that might say a checksum of a whole object in parts, and whether the adapter reads one.
async fn checksums(
    place: &Place,
    store: &S3Store,
    tap: &Tap,
    key: &ObjectKey,
) -> Result<Seen, String> {
    let head = store.head(key, None, None).await.map_err(failed)?;
    let Answer { headers, .. } = tap.last();
    let is_one = |name: &str| ["checksum", "hash", "crc"].iter().any(|word| name.contains(word));
    let names: Vec<_> =
        headers.iter().map(|(name, _)| &**name).filter(|name| is_one(name)).collect();
    let quirks = &place.vendor.quirks;
    let table = quirks.checksum.is_some() || quirks.checksums;
    let words = ["there", "none that is read"];
    let mut seen = Seen::of("checksum of the whole", table, head.checksum.is_some(), words);
    seen.found = format!("{} (headers: {})", seen.found, names.join(", "));
    Ok(seen)
}

/// Both versions of the listing, and whether keys come encoded where that is asked for.
async fn listings(place: &Place) -> Result<Vec<Seen>, String> {
    let quirks = &place.vendor.quirks;
    let request = ListRequest { prefix: place.prefix.clone(), limit: 10, ..Default::default() };
    let (store, tap) = place.store(None, Some(true)).await?;
    store.list(&request).await.map_err(failed)?;
    let encoded = tap.last().body.contains("<EncodingType>url</EncodingType>");
    let words = ["there", "not there"];
    let mut all = vec![Seen::of("encoded listings", quirks.encodes_listings, encoded, words)];
    let (store, tap) = place.store(Some(ListVersion::V2), None).await?;
    let listed = store.list(&request).await;
    let second = listed.is_ok() && tap.last().body.contains("<KeyCount>");
    let table = quirks.list == ListVersion::V2;
    all.push(Seen::of("listings of the second version", table, second, words));
    // As a copy lists them. A store may show late what was written; the table knows which.
    let (store, _) = place.store(None, None).await?;
    let page = store.list(&request).await.map_err(failed)?.objects;
    let keys: Vec<_> = page.iter().map(|listed| listed.key.as_str()).collect();
    let wanted = [place.key(PLAIN_KEY), place.key(PARTS_KEY)];
    let at_once = keys == wanted.each_ref().map(ObjectKey::as_str);
    let words = ["listed as they are", "not listed as they are"];
    let mut listed = Seen::of("keys just written", true, at_once, words);
    listed.agrees |= quirks.lists_late;
    all.push(listed);
    Ok(all)
}

/// Nothing depends on it: every answer is compared by the adapter, too.
async fn pinned(store: &S3Store, tap: &Tap, key: &ObjectKey) -> Result<Seen, String> {
    let pin = Pin { etag: ETag::new("ffffffffffffffffffffffffffffffff"), version: None };
    if store.get(key, None, Some(&pin)).await.is_ok() {
        return Err(format!("{key}: a read of another generation was not refused"));
    }
    let refused = tap.last().status == 412;
    Ok(Seen::of("If-Match on reads", true, refused, ["honoured", "ignored"]))
}

async fn conditions(place: &Place, store: &S3Store, key: &ObjectKey) -> Seen {
    let again = put(store, key, PLAIN, dressed(false), Some(&Condition::Absent)).await;
    let honoured = again.as_ref().is_err_and(|error| error.kind == ErrorKind::PreconditionFailed);
    let words = ["honoured", "not honoured"];
    let table = place.vendor.quirks.conditions;
    let mut seen = Seen::of("conditions on writes", table, honoured, words);
    let answer = again.map_or_else(|error| error.to_string(), |()| "written over".to_owned());
    seen.found = format!("{} ({answer})", seen.found);
    seen
}

async fn tags(place: &Place, store: &S3Store) -> Seen {
    let key = place.key("tagged");
    let read = match put(store, &key, PLAIN, dressed(true), None).await {
        Ok(()) => store.tags(&key, None).await,
        Err(error) => Err(error),
    };
    let kept = read.as_ref().is_ok_and(|tags| *tags == dressed(true).tags);
    let mut seen = Seen::of("tags", place.vendor.quirks.tags, kept, ["kept", "not kept"]);
    if let Err(error) = read {
        seen.found = format!("{} ({error})", seen.found);
    }
    seen
}

/// Whether the store copies a part of an object by itself, as `--server-side` has it do where both sides are one
/// store.
async fn part_copies(place: &Place, store: &S3Store, from: &ObjectKey) -> Result<Seen, String> {
    let pin = Pin::from(&store.head(from, None, None).await.map_err(failed)?.identity);
    let source = CopySource { bucket: &place.bucket, key: from, pin: &pin };
    let key = place.key("copied by the store");
    let upload = store.create_upload(&key, &dressed(false)).await.map_err(failed)?;
    let range = ByteRange::new(0, u64::try_from(PART).unwrap()).unwrap();
    let copied = store.copy_part(source, &key, &upload, PartNumber::FIRST, range).await;
    store.abort_upload(&key, &upload).await.map_err(failed)?;
    let table = place.vendor.quirks.part_copy;
    let words = ["there", "not there"];
    let mut seen = Seen::of("copies of parts by the store", table, copied.is_ok(), words);
    if let Err(error) = copied {
        seen.found = format!("{} ({error})", seen.found);
    }
    Ok(seen)
}
