//! Listing: `ListObjects` in both versions, by walking sorted keys.

use super::multipart::owner;
use super::{Api, Misbehave, caller_of, count, signed, strong};
use crate::checksum::Algorithm;
use crate::options::ServerOptions;
use crate::store::{Access, Bucket, Object as Stored, Version, enter};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CommonPrefix, EncodingType, ListObjectsInput,
    ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object, ObjectStorageClass,
    OptionalObjectAttributes, OptionalObjectAttributesList, RestoreStatus,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};
use std::ops::Bound;
use std::sync::Arc;

/// What Amazon S3 leaves as it is under `encoding-type=url`.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

/// Whether this listing is encoded.
pub(super) fn encoding(options: &ServerOptions, asked: Option<&EncodingType>) -> bool {
    options.encode_listing && asked.is_some_and(|kind| kind.as_str() == EncodingType::URL)
}

/// A key as it appears in a listing. Like Amazon S3, a space becomes `+`.
pub(super) fn encode(url: bool, key: &str) -> String {
    if url {
        utf8_percent_encode(key, PLAIN).to_string().replace("%20", "+")
    } else {
        key.to_owned()
    }
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cursor {
    Start,
    /// Behind this key.
    After(String),
    /// At this key; only a listing that repeats itself begins so.
    At(String),
    /// Behind all keys that begin with this common prefix.
    Beyond(String),
}

impl Cursor {
    fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(match self {
            Self::Start => "s".to_owned(),
            Self::After(key) | Self::At(key) => format!("k{key}"),
            Self::Beyond(prefix) => format!("p{prefix}"),
        })
    }

    fn parse(token: &str) -> S3Result<Self> {
        let text =
            URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let cursor = text.as_deref().and_then(|text| match text.split_at_checked(1)? {
            ("s", _) => Some(Self::Start),
            ("k", key) => Some(Self::After(key.to_owned())),
            ("p", prefix) => Some(Self::Beyond(prefix.to_owned())),
            _ => None,
        });
        cursor.ok_or_else(|| {
            s3_error!(InvalidArgument, "The continuation token provided is incorrect")
        })
    }

    /// A V1 marker may be a common prefix out of the page before.
    pub(super) fn marker(marker: &str, delimiter: Option<&str>) -> Self {
        match delimiter {
            _ if marker.is_empty() => Self::Start,
            Some(delimiter) if marker.ends_with(delimiter) => Self::Beyond(marker.to_owned()),
            _ => Self::After(marker.to_owned()),
        }
    }
}

/// The least string that sorts behind everything that begins with `prefix`; `None` if there is none.
pub(super) fn successor(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            _ => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

/// What to list.
pub(super) struct Query<'a> {
    pub(super) prefix: &'a str,
    pub(super) delimiter: Option<&'a str>,
    pub(super) max: usize,
}

/// One line of a page.
pub(super) enum Row {
    Versions(String, Vec<Version>),
    Prefix(String),
}

impl Row {
    pub(super) fn cursor(&self) -> Cursor {
        match self {
            Self::Versions(key, _) => Cursor::After(key.clone()),
            Self::Prefix(prefix) => Cursor::Beyond(prefix.clone()),
        }
    }
}

/// The rows behind a cursor, and whether there are more. With `history`, keys that only have old versions count.
pub(super) fn page(
    bucket: &Bucket,
    query: &Query<'_>,
    cursor: &Cursor,
    history: bool,
) -> (Vec<Row>, bool) {
    let mut rows = Vec::new();
    let mut from = start(query.prefix, cursor);
    while let Some(bound) = from.take() {
        for (key, entry) in bucket.walk(bound.as_ref().map(String::as_str)) {
            if !key.starts_with(query.prefix) {
                break;
            }
            if !history && !entry.is_listed() {
                continue;
            }
            if rows.len() >= query.max {
                return (rows, true);
            }
            let common = query.delimiter.and_then(|delimiter| {
                let rest = key.get(query.prefix.len()..)?;
                let end = rest.find(delimiter)? + delimiter.len();
                key.get(..query.prefix.len() + end)
            });
            if let Some(common) = common {
                from = successor(common).map(Bound::Included);
                rows.push(Row::Prefix(common.to_owned()));
                break;
            }
            let versions = if history {
                entry.versions()
            } else {
                entry.current().map(Version::Object).into_iter().collect()
            };
            rows.push(Row::Versions(key, versions));
        }
    }
    (rows, false)
}

fn start(prefix: &str, cursor: &Cursor) -> Option<Bound<String>> {
    let bound = match cursor {
        Cursor::Start => Bound::Included(prefix.to_owned()),
        Cursor::After(key) if key.as_str() < prefix => Bound::Included(prefix.to_owned()),
        Cursor::At(key) => Bound::Included(key.clone()),
        Cursor::After(key) => Bound::Excluded(key.clone()),
        Cursor::Beyond(common) => {
            let next = successor(common)?;
            Bound::Included(next.max(prefix.to_owned()))
        }
    };
    Some(bound)
}

struct Page {
    contents: Vec<Object>,
    prefixes: Vec<CommonPrefix>,
    truncated: bool,
    /// The row that the next page begins behind.
    last: Option<Cursor>,
}

/// How the rows of a page are shown.
struct Show {
    url: bool,
    owner: bool,
    restore: bool,
}

impl Show {
    fn object(&self, key: &str, object: &Arc<Stored>) -> Object {
        let class = object.properties.storage_class.as_deref();
        let kinds: Vec<ChecksumAlgorithm> = object
            .sums
            .iter()
            .map(|(algorithm, _): (Algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name()))
            .collect();
        Object {
            key: Some(encode(self.url, key)),
            size: Some(signed(object.size())),
            e_tag: Some(strong(&object.etag)),
            last_modified: Some(object.modified.clone()),
            storage_class: Some(ObjectStorageClass::from(class.unwrap_or("STANDARD").to_owned())),
            checksum_type: (!kinds.is_empty())
                .then(|| ChecksumType::from_static(object.checksum_type)),
            checksum_algorithm: (!kinds.is_empty()).then_some(kinds),
            owner: self.owner.then(owner),
            restore_status: self.restore.then(|| restore_status(object)).flatten(),
        }
    }

    fn rows(&self, rows: &[Row], truncated: bool) -> Page {
        let mut page = Page {
            contents: Vec::new(),
            prefixes: Vec::new(),
            truncated,
            last: rows.last().map(Row::cursor),
        };
        for row in rows {
            match row {
                Row::Prefix(prefix) => {
                    page.prefixes.push(CommonPrefix { prefix: Some(encode(self.url, prefix)) });
                }
                Row::Versions(key, versions) => {
                    let object = versions.last().and_then(Version::object);
                    page.contents.extend(object.map(|object| self.object(key, object)));
                }
            }
        }
        page
    }
}

pub(super) fn restore_status(object: &Stored) -> Option<RestoreStatus> {
    object.in_archive_class().then(|| RestoreStatus {
        is_restore_in_progress: Some(false),
        restore_expiry_date: object.restored_until.clone(),
    })
}

pub(super) fn wants_restore(asked: Option<&OptionalObjectAttributesList>) -> bool {
    asked.into_iter().flatten().any(|it| it.as_str() == OptionalObjectAttributes::RESTORE_STATUS)
}

pub(super) fn max_keys(asked: Option<i32>) -> S3Result<i32> {
    match asked.unwrap_or(1000) {
        negative @ ..0 => Err(s3_error!(
            InvalidArgument,
            "Argument max-keys must be an integer between 0 and 2147483647, not {negative}"
        )),
        max => Ok(max.min(1000)),
    }
}

/// Lists one page and lets it go wrong as the fault layer says.
fn misbehaving_page(
    bucket: &Bucket,
    query: &Query<'_>,
    cursor: &mut Cursor,
    show: &Show,
    how: Option<&Misbehave>,
) -> Page {
    if let (Some(Misbehave::ListRepeats), Cursor::After(key)) = (how, &cursor) {
        *cursor = Cursor::At(key.clone());
    }
    let (mut rows, truncated) = page(bucket, query, cursor, false);
    let last = rows.last().map(Row::cursor);
    match how {
        Some(Misbehave::ListGoesBackwards) => rows.reverse(),
        Some(Misbehave::ListRepeats) if *cursor == Cursor::Start && rows.len() > 1 => {
            rows.pop();
            let (again, _) = page(bucket, &Query { max: 1, ..*query }, cursor, false);
            rows.splice(0..0, again);
        }
        _ => {}
    }
    let mut page = show.rows(&rows, truncated && query.max > 0);
    page.last = last;
    if how == Some(&Misbehave::ListNeverAdvances) {
        page.truncated = true;
        page.last = Some(cursor.clone());
    }
    page
}

impl Api {
    pub(super) fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let how = request.extensions.get::<Misbehave>().copied();
        let input = request.input;
        let url = encoding(&self.options, input.encoding_type.as_ref());
        let max = max_keys(input.max_keys)?;
        let delimiter = input.delimiter.clone().filter(|it| !it.is_empty());
        let mut cursor = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => Cursor::parse(token)?,
            (None, Some(key)) if !key.is_empty() => Cursor::After(key.clone()),
            (None, _) => Cursor::Start,
        };
        let show = Show {
            url,
            owner: input.fetch_owner.unwrap_or_default(),
            restore: wants_restore(input.optional_object_attributes.as_ref()),
        };
        let prefix = input.prefix.clone().unwrap_or_default();
        let query = Query {
            prefix: &prefix,
            delimiter: delimiter.as_deref(),
            max: usize::try_from(max).unwrap_or_default(),
        };
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller_of!(input), Access::List)?;
        let page = misbehaving_page(bucket, &query, &mut cursor, &show, how.as_ref());
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(encode(url, &prefix)),
            delimiter: delimiter.as_deref().map(|it| encode(url, it)),
            max_keys: Some(max),
            key_count: Some(count(page.contents.len() + page.prefixes.len())),
            continuation_token: input.continuation_token,
            start_after: input.start_after.map(|it| encode(url, &it)),
            is_truncated: Some(page.truncated),
            next_continuation_token: page.last.filter(|_| page.truncated).map(|it| it.token()),
            contents: (!page.contents.is_empty()).then_some(page.contents),
            common_prefixes: (!page.prefixes.is_empty()).then_some(page.prefixes),
            encoding_type: url.then(|| EncodingType::from_static(EncodingType::URL)),
            request_charged: None,
        }))
    }

    pub(super) fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let how = request.extensions.get::<Misbehave>().copied();
        let input = request.input;
        let url = encoding(&self.options, input.encoding_type.as_ref());
        let max = max_keys(input.max_keys)?;
        let delimiter = input.delimiter.clone().filter(|it| !it.is_empty());
        let marker = input.marker.clone().unwrap_or_default();
        let mut cursor = Cursor::marker(&marker, delimiter.as_deref());
        let show = Show {
            url,
            owner: true,
            restore: wants_restore(input.optional_object_attributes.as_ref()),
        };
        let prefix = input.prefix.clone().unwrap_or_default();
        let query = Query {
            prefix: &prefix,
            delimiter: delimiter.as_deref(),
            max: usize::try_from(max).unwrap_or_default(),
        };
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller_of!(input), Access::List)?;
        let page = misbehaving_page(bucket, &query, &mut cursor, &show, how.as_ref());
        // Only a listing with a delimiter says where to go on; without one it is the last key.
        let next = match page.last.filter(|_| page.truncated && delimiter.is_some()) {
            Some(Cursor::After(key) | Cursor::At(key) | Cursor::Beyond(key)) => {
                Some(encode(url, &key))
            }
            _ => None,
        };
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(encode(url, &prefix)),
            marker: Some(encode(url, &marker)),
            delimiter: delimiter.as_deref().map(|it| encode(url, it)),
            max_keys: Some(max),
            is_truncated: Some(page.truncated),
            next_marker: next,
            contents: (!page.contents.is_empty()).then_some(page.contents),
            common_prefixes: (!page.prefixes.is_empty()).then_some(page.prefixes),
            encoding_type: url.then(|| EncodingType::from_static(EncodingType::URL)),
            request_charged: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successors_sort_behind_the_prefix() {
        assert_eq!(successor("a/").as_deref(), Some("a0"));
        assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(successor("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(successor("\u{10ffff}"), None);
    }

    #[test]
    fn encoding_is_amazons() {
        assert_eq!(encode(true, "a b+c/é\u{1}~.*"), "a+b%2Bc/%C3%A9%01%7E.*");
        assert_eq!(encode(false, "a b"), "a b");
    }
}
