//! Listing versions: every version and delete marker of every key, newest first.

use super::list::{
    Cursor, Query, Row, encode, encoding, max_keys, page, restore_status, wants_restore,
};
use super::multipart::owner;
use super::{Api, caller_of, signed, strong};
use crate::store::{Access, Bucket, Version, enter};
use s3s::dto::{
    CommonPrefix, DeleteMarkerEntry, EncodingType, ListObjectVersionsInput,
    ListObjectVersionsOutput, ObjectVersion, ObjectVersionStorageClass,
};
use s3s::{S3Request, S3Response, S3Result};

/// One line of the answer.
enum Line {
    Version { key: String, version: Version, newest: bool },
    Prefix(String),
}

/// The lines behind the markers, one more than the page holds if there are more.
fn lines(
    bucket: &Bucket,
    query: &Query<'_>,
    key_marker: &str,
    id_marker: Option<&str>,
) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut unlisted = Vec::new();
    if let Some(id_marker) = id_marker
        && key_marker.starts_with(query.prefix)
    {
        let history = bucket.keys.get(key_marker).cloned().unwrap_or_default();
        unlisted = older(key_marker, history, Some(id_marker));
    }
    lines.append(&mut unlisted);
    let mut cursor = Cursor::marker(key_marker, query.delimiter);
    while lines.len() <= query.max {
        let (rows, more) = page(bucket, query, &cursor, true);
        let Some(last) = rows.last() else { break };
        cursor = last.cursor();
        for row in rows {
            match row {
                Row::Prefix(prefix) => lines.push(Line::Prefix(prefix)),
                Row::Versions(key, history) => lines.append(&mut older(&key, history, None)),
            }
        }
        if !more {
            break;
        }
    }
    lines
}

/// A key's versions, newest first, behind a marker if there is one.
fn older(key: &str, history: Vec<Version>, marker: Option<&str>) -> Vec<Line> {
    let newest = history.last().map(|version| version.id().to_owned());
    let mut behind = marker.is_none();
    let mut lines = Vec::new();
    for version in history.into_iter().rev() {
        let id = version.id().to_owned();
        if behind {
            lines.push(Line::Version {
                key: key.to_owned(),
                newest: newest.as_deref() == Some(&id),
                version,
            });
        }
        behind |= marker == Some(id.as_str());
    }
    lines
}

impl Api {
    pub(super) fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let input = request.input;
        let url = encoding(&self.options, input.encoding_type.as_ref());
        let max = max_keys(input.max_keys)?;
        let delimiter = input.delimiter.clone().filter(|it| !it.is_empty());
        let prefix = input.prefix.clone().unwrap_or_default();
        let key_marker = input.key_marker.clone().unwrap_or_default();
        let query = Query {
            prefix: &prefix,
            delimiter: delimiter.as_deref(),
            max: usize::try_from(max).unwrap_or_default(),
        };
        let restore = wants_restore(input.optional_object_attributes.as_ref());
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller_of!(input), Access::List)?;
        let id_marker = input.version_id_marker.as_deref();
        let mut lines = lines(bucket, &query, &key_marker, id_marker);
        let truncated = query.max > 0 && lines.len() > query.max;
        lines.truncate(query.max);
        let mut output = ListObjectVersionsOutput {
            name: Some(input.bucket),
            prefix: Some(encode(url, &prefix)),
            delimiter: delimiter.as_deref().map(|it| encode(url, it)),
            key_marker: Some(encode(url, &key_marker)),
            version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
            max_keys: Some(max),
            is_truncated: Some(truncated),
            encoding_type: url.then(|| EncodingType::from_static(EncodingType::URL)),
            ..Default::default()
        };
        if truncated {
            match lines.last() {
                Some(Line::Version { key, version, .. }) => {
                    output.next_key_marker = Some(encode(url, key));
                    output.next_version_id_marker = Some(version.id().to_owned());
                }
                Some(Line::Prefix(prefix)) => output.next_key_marker = Some(encode(url, prefix)),
                None => {}
            }
        }
        for line in lines {
            add(&mut output, line, url, restore);
        }
        Ok(S3Response::new(output))
    }
}

fn add(output: &mut ListObjectVersionsOutput, line: Line, url: bool, restore: bool) {
    match line {
        Line::Prefix(prefix) => {
            output
                .common_prefixes
                .get_or_insert_default()
                .push(CommonPrefix { prefix: Some(encode(url, &prefix)) });
        }
        Line::Version { key, version: Version::Object(object), newest } => {
            let class = object.properties.storage_class.as_deref();
            output.versions.get_or_insert_default().push(ObjectVersion {
                key: Some(encode(url, &key)),
                version_id: Some(object.version_id.clone()),
                is_latest: Some(newest),
                size: Some(signed(object.size())),
                e_tag: Some(strong(&object.etag)),
                last_modified: Some(object.modified.clone()),
                owner: Some(owner()),
                storage_class: Some(ObjectVersionStorageClass::from(
                    class.unwrap_or("STANDARD").to_owned(),
                )),
                restore_status: restore.then(|| restore_status(&object)).flatten(),
                checksum_algorithm: None,
                checksum_type: None,
            });
        }
        Line::Version { key, version: Version::DeleteMarker { version_id, modified }, newest } => {
            output.delete_markers.get_or_insert_default().push(DeleteMarkerEntry {
                key: Some(encode(url, &key)),
                version_id: Some(version_id),
                is_latest: Some(newest),
                last_modified: Some(modified),
                owner: Some(owner()),
            });
        }
    }
}
