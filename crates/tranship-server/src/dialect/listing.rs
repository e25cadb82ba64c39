//! A listing: what a vendor's pages have besides, and how they name storage classes.

use super::{Vendor, class_name};
use crate::store::{Form, Store};
use http::{Response, header};
use percent_encoding::percent_decode_str;
use s3s::Body;
use std::fmt::Write;

/// A page of a bucket, as the service behind has given it.
pub(super) struct Listing<'a> {
    pub(super) vendor: &'static Vendor,
    pub(super) native: bool,
    pub(super) store: &'a Store,
    pub(super) bucket: &'a str,
    /// Whether keys are encoded for URLs.
    pub(super) encoded: bool,
}

/// The text of the first element of this name.
pub(super) fn inner<'a>(text: &'a str, element: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{element}>"))?;
    let (inner, _) = rest.split_once(&format!("</{element}>"))?;
    Some(inner)
}

impl Listing<'_> {
    pub(super) fn translate(&self, answer: &mut Response<Body>) {
        let Some(text) = answer.body().bytes() else { return };
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut pieces = text.split("<Contents>");
        let mut page = pieces.next().unwrap_or_default().to_owned();
        let mut last = None;
        for piece in pieces {
            let (row, rest) = piece.split_once("</Contents>").unwrap_or((piece, ""));
            last = inner(row, "Key").map(str::to_owned).or(last);
            write!(page, "<Contents>{}</Contents>{rest}", self.row(row)).ok();
        }
        let truncated = inner(&page, "IsTruncated") == Some("true");
        let marked = page.contains("<NextMarker>") || page.contains("<KeyCount>");
        if self.vendor.lists.next_marker && truncated && !marked {
            let marker = last.or_else(|| last_prefix(&page)).unwrap_or_default();
            let end = "</ListBucketResult>";
            page = page.replace(end, &format!("<NextMarker>{marker}</NextMarker>{end}"));
        }
        answer.headers_mut().remove(header::CONTENT_LENGTH);
        *answer.body_mut() = Body::from(page);
    }

    fn row(&self, row: &str) -> String {
        let mut row = row.to_owned();
        if let Some(class) = inner(&row, "StorageClass") {
            let told = class_name(self.vendor, class, self.native);
            let (old, new) =
                (format!(">{class}</StorageClass>"), format!(">{told}</StorageClass>"));
            row = row.replace(&old, &new);
        }
        if self.vendor.lists.types {
            let kind = self.kind(&row).unwrap_or("Normal");
            write!(row, "<Type>{kind}</Type>").ok();
        }
        row
    }

    fn kind(&self, row: &str) -> Option<&'static str> {
        let mut key = unescape(inner(row, "Key")?);
        if self.encoded {
            key = percent_decode_str(&key.replace('+', " ")).decode_utf8().ok()?.into_owned();
        }
        let object = self.store.find(self.bucket, &key, None)?;
        Some(match &object.form {
            Form::Appendable => "Appendable",
            Form::Symlink { .. } => "Symlink",
            Form::Plain if object.parts.is_empty() => "Normal",
            Form::Plain => "Multipart",
        })
    }
}

fn last_prefix(page: &str) -> Option<String> {
    let last = page.rsplit("<CommonPrefixes>").next()?;
    inner(last, "Prefix").map(str::to_owned)
}

fn unescape(text: &str) -> String {
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}
