//! Listing open uploads, under common prefixes if asked to.

use super::list::{encode, encoding};
use super::multipart::{checksum_algorithm, initiator, owner, storage_class};
use super::{Api, caller_of};
use crate::store::{Access, Bucket, Upload, enter};
use s3s::dto::{
    ChecksumType, CommonPrefix, EncodingType, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, MultipartUpload,
};
use s3s::{S3Request, S3Response, S3Result};

impl Api {
    pub(super) fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let url = encoding(&self.options, input.encoding_type.as_ref());
        let max = input.max_uploads.unwrap_or(1000).clamp(0, 1000);
        let prefix = input.prefix.clone().unwrap_or_default();
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller_of!(input), Access::List)?;
        let marker = input.key_marker.clone().unwrap_or_default();
        let delimiter = input.delimiter.clone().filter(|it| !it.is_empty());
        let query = UploadsQuery {
            prefix: &prefix,
            delimiter: delimiter.as_deref(),
            marker: &marker,
            // An upload id counts only together with the key it follows.
            id_marker: input.upload_id_marker.as_deref().filter(|_| !marker.is_empty()),
        };
        let mut page = query.lines(bucket);
        let max_lines = usize::try_from(max).unwrap_or_default();
        let truncated = page.len() > max_lines;
        page.truncate(max_lines);
        let mut output = ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            is_truncated: Some(truncated),
            key_marker: Some(encode(url, &marker)),
            upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
            max_uploads: Some(max),
            prefix: Some(encode(url, &prefix)),
            delimiter: delimiter.as_deref().map(|it| encode(url, it)),
            encoding_type: url.then(|| EncodingType::from_static(EncodingType::URL)),
            ..Default::default()
        };
        if truncated {
            match page.last() {
                Some(Line::Upload(key, id, _)) => {
                    output.next_key_marker = Some(encode(url, key));
                    output.next_upload_id_marker = Some((*id).to_owned());
                }
                Some(Line::Prefix(prefix)) => output.next_key_marker = Some(encode(url, prefix)),
                None => {}
            }
        }
        for line in page {
            match line {
                Line::Upload(key, id, upload) => {
                    output.uploads.get_or_insert_default().push(row(encode(url, key), id, upload));
                }
                Line::Prefix(prefix) => {
                    let prefix = Some(encode(url, prefix));
                    output.common_prefixes.get_or_insert_default().push(CommonPrefix { prefix });
                }
            }
        }
        Ok(S3Response::new(output))
    }
}

/// Which open uploads to list.
struct UploadsQuery<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    marker: &'a str,
    id_marker: Option<&'a str>,
}

/// One line of a listing of uploads.
enum Line<'a> {
    Upload(&'a str, &'a str, &'a Upload),
    Prefix(&'a str),
}

impl UploadsQuery<'_> {
    fn lines<'a>(&self, bucket: &'a Bucket) -> Vec<Line<'a>> {
        let mut lines = Vec::new();
        for ((key, id), upload) in &bucket.uploads {
            let is_behind = match self.id_marker {
                Some(marker_id) => (key.as_str(), id.as_str()) > (self.marker, marker_id),
                None => key.as_str() > self.marker,
            };
            let Some(rest) = key.strip_prefix(self.prefix).filter(|_| is_behind) else { continue };
            let common = self.delimiter.and_then(|delimiter| {
                let end = rest.find(delimiter)? + delimiter.len();
                key.get(..self.prefix.len() + end)
            });
            match common {
                None => lines.push(Line::Upload(key, id, upload)),
                // A marker may be a common prefix out of the page before.
                Some(common) if common == self.marker => {}
                Some(common) if matches!(lines.last(), Some(Line::Prefix(it)) if *it == common) => {
                }
                Some(common) => lines.push(Line::Prefix(common)),
            }
        }
        lines
    }
}

fn row(key: String, id: &str, upload: &Upload) -> MultipartUpload {
    MultipartUpload {
        key: Some(key),
        upload_id: Some(id.to_owned()),
        initiated: Some(upload.initiated.clone()),
        initiator: Some(initiator()),
        owner: Some(owner()),
        storage_class: Some(storage_class(upload)),
        checksum_algorithm: checksum_algorithm(upload),
        checksum_type: upload.algorithm.map(|_| ChecksumType::from_static(upload.checksum_type)),
    }
}
