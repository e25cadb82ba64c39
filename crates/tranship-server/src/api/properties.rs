//! The properties of an object as they cross the API: out of a request's headers, and into an answer's.

use s3s::dto::{Metadata, TaggingHeader};
use s3s::{S3Result, s3_error};

/// The properties out of an input that has them by their usual names.
macro_rules! properties_of {
    ($input:expr, $limit:expr) => {{
        let properties = $crate::store::Properties {
            content_type: $input.content_type.clone(),
            content_encoding: $crate::api::properties::encoding($input.content_encoding.as_deref()),
            content_language: $input.content_language.clone(),
            content_disposition: $input.content_disposition.clone(),
            cache_control: $input.cache_control.clone(),
            expires: $input.expires.clone(),
            website_redirect_location: $input.website_redirect_location.clone(),
            storage_class: $input
                .storage_class
                .as_ref()
                .map(|class| class.as_str().to_owned())
                .filter(|class| class != "STANDARD"),
            server_side_encryption: $input
                .server_side_encryption
                .as_ref()
                .map(|kind| kind.as_str().to_owned()),
            kms_key_id: $input.ssekms_key_id.clone(),
            bucket_key_enabled: $input.bucket_key_enabled,
            metadata: $input.metadata.clone().unwrap_or_default().into_iter().collect(),
        };
        $crate::api::properties::check_metadata(&properties.metadata, $limit).map(|()| properties)
    }};
}

/// Fills in the encryption that an answer to a write tells of.
macro_rules! put_encryption {
    ($output:expr, $properties:expr) => {{
        $output.server_side_encryption = Some($crate::api::properties::encryption(&$properties));
        $output.ssekms_key_id = $properties.kms_key_id.clone();
        $output.bucket_key_enabled = $properties.bucket_key_enabled;
    }};
}

pub(super) use {properties_of, put_encryption};

/// What is stored is encrypted with SSE-S3 unless the write says otherwise.
pub(super) fn encryption(properties: &crate::store::Properties) -> s3s::dto::ServerSideEncryption {
    let kind = properties.server_side_encryption.as_deref();
    s3s::dto::ServerSideEncryption::from(kind.unwrap_or("AES256").to_owned())
}

/// `aws-chunked` is how a body travels and is not kept.
pub(super) fn encoding(header: Option<&str>) -> Option<String> {
    let kept: Vec<&str> = header?
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// To Amazon S3, bytes beyond ASCII in a header are Latin-1, whatever the client meant by them. Only what is
/// encoded after RFC 2047 arrives as it was meant.
pub(super) fn read_as_latin1(metadata: &mut Option<Metadata>, headers: &http::HeaderMap) {
    for (name, value) in metadata.iter_mut().flatten() {
        let sent = headers.get(format!("x-amz-meta-{name}"));
        if let Some(sent) = sent.filter(|sent| !sent.as_bytes().is_ascii()) {
            *value = sent.as_bytes().iter().map(|byte| char::from(*byte)).collect();
        }
    }
}

pub(super) fn check_metadata(
    metadata: &std::collections::BTreeMap<String, String>,
    limit: usize,
) -> S3Result<()> {
    let size: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > limit {
        return Err(s3_error!(
            MetadataTooLarge,
            "Your metadata headers exceed the maximum allowed metadata size"
        ));
    }
    Ok(())
}

/// A key is 1 to 1024 bytes of UTF-8.
pub(super) fn check_key(key: &str) -> S3Result<()> {
    match key.len() {
        1..=1024 => Ok(()),
        0 => Err(s3_error!(InvalidArgument, "The key is empty")),
        _ => Err(s3_error!(KeyTooLongError, "Your key is too long")),
    }
}

/// The tags of `x-amz-tagging`, which is encoded like a query.
pub(super) fn parse_tags(header: Option<&TaggingHeader>) -> S3Result<Vec<(String, String)>> {
    let mut tags = Vec::new();
    for pair in header.into_iter().flat_map(|it| it.split('&')) {
        if pair.is_empty() {
            continue;
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        tags.push((decode(name)?, decode(value)?));
    }
    check_tags(&tags)?;
    Ok(tags)
}

fn decode(text: &str) -> S3Result<String> {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| {
            s3_error!(InvalidArgument, "The header 'x-amz-tagging' shall be encoded as UTF-8")
        })
}

pub(super) fn check_tags(tags: &[(String, String)]) -> S3Result<()> {
    if tags.len() > 10 {
        return Err(crate::store::custom_error(
            "BadRequest",
            http::StatusCode::BAD_REQUEST,
            "Object tags cannot be greater than 10",
        ));
    }
    for (index, (name, value)) in tags.iter().enumerate() {
        if name.is_empty() || name.chars().count() > 128 {
            return Err(s3_error!(InvalidTag, "The TagKey you have provided is invalid"));
        }
        if value.chars().count() > 256 {
            return Err(s3_error!(InvalidTag, "The TagValue you have provided is invalid"));
        }
        if tags.iter().take(index).any(|(known, _)| known == name) {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(())
}
