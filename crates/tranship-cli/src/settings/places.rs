//! `s3://bucket/prefix` and endpoints: cut from strings, never through a URL parser.

use tranship_adapters::stores::s3::vendors::{Asked, Missing, Vendor, partition};
use tranship_core::location::{Location, Overlap, Transfer};
use tranship_core::object::KEY_LENGTH_MAX_BYTES;

use super::layers::Layers;
use super::names::LIST_VERSIONS;
use super::{SideSettings, rules};
use crate::usage::{UsageError, did_you_mean, quoted, quoted_place};

/// Bucket names of Amazon S3 since 2018.
const BUCKET_NAME_BYTES: std::ops::RangeInclusive<usize> = 3..=63;
/// Bucket names elsewhere, and of Amazon's oldest buckets.
const BUCKET_NAME_MAX_BYTES: usize = 255;

/// What may stand before `://`.
const SCHEMES: [&str; 5] = ["s3", "oss", "cos", "kodo", "gs"];

/// Reads one side: `side` is `source` or `destination`.
pub(super) fn read(layers: &Layers, side: &'static str) -> Result<SideSettings, UsageError> {
    let option = |name: &str| format!("{side}-{name}");
    let path_style = layers.switch(&option("path-style"))?;
    let given = endpoint(layers, &option("endpoint"))?;
    let vendor = vendor(layers, side, given)?;
    let region = layers.owned(&option("region"));
    let endpoint = match given {
        Some(given) => Some(given.to_owned()),
        None => derived(layers, side, vendor, region.as_deref())?,
    };
    let endpoint = endpoint.as_deref();
    let anonymous = layers.is_on(&option("anonymous"))?;
    let profile = layers.owned(&option("profile"));
    if anonymous && profile.is_some() {
        let what = format!(
            "{} and {} contradict",
            layers.name(&option("anonymous")),
            layers.name(&option("profile"))
        );
        let places =
            format!("{}; {}", layers.place(&option("anonymous")), layers.place(&option("profile")));
        return Err(UsageError::new(
            what,
            places,
            "give one of them: an anonymous request has no credentials",
        ));
    }
    let by_amazon_rules = endpoint.is_none() && path_style != Some(true);
    let (scheme, bucket, prefix) = bucket_and_prefix(layers, side, by_amazon_rules)?;
    Ok(SideSettings {
        location: Location::new(endpoint, bucket, prefix).with_scheme(scheme),
        vendor,
        list_version: layers.word(&option("list-version"), &LIST_VERSIONS)?,
        list_encoding: layers.switch(&option("list-encoding"))?,
        checksums: layers.switch(&option("checksums"))?,
        bucket_endpoint: bucket_endpoint(layers, side, given)?,
        region,
        profile,
        path_style,
        anonymous,
        requester_pays: requester_pays(layers, side, vendor)?,
    })
}

fn requester_pays(
    layers: &Layers,
    side: &'static str,
    vendor: &Vendor,
) -> Result<bool, UsageError> {
    let option = format!("{side}-requester-pays");
    let is_on = layers.is_on(&option)?;
    if is_on {
        rules::check_known(layers, &option, vendor, Asked::Payer)?;
    }
    Ok(is_on)
}

/// Whose store it is: by the scheme, or, behind `s3://`, by the endpoint's host.
fn vendor(
    layers: &Layers,
    side: &'static str,
    endpoint: Option<&str>,
) -> Result<&'static Vendor, UsageError> {
    let (scheme, _) = scheme_and_rest(layers, side)?;
    match Vendor::of_scheme(scheme) {
        Some(of_scheme) if of_scheme.scheme != "s3" => {
            if let Some(another) = endpoint.and_then(|endpoint| of_scheme.another_of(endpoint)) {
                let option = format!("{side}-endpoint");
                let what = format!(
                    "{} is an endpoint of {}, and {} says {}",
                    layers.name(&option),
                    another.name,
                    layers.name(side),
                    of_scheme.name
                );
                let remedy =
                    format!("write {}://bucket/prefix, or leave the endpoint away", another.scheme);
                return Err(layers.error(&option, what, remedy));
            }
            Ok(of_scheme)
        }
        Some(_) | None => Ok(Vendor::of_endpoint(endpoint)),
    }
}

fn bucket_endpoint(
    layers: &Layers,
    side: &'static str,
    endpoint: Option<&str>,
) -> Result<bool, UsageError> {
    let option = format!("{side}-bucket-endpoint");
    let is_on = layers.is_on(&option)?;
    if is_on && endpoint.is_none() {
        let what = format!("{} has no effect without an endpoint", layers.name(&option));
        let remedy = format!("give the bucket's domain as --{side}-endpoint");
        return Err(layers.error(&option, what, remedy));
    }
    Ok(is_on)
}

/// The endpoint that follows from scheme and region.
fn derived(
    layers: &Layers,
    side: &'static str,
    vendor: &Vendor,
    region: Option<&str>,
) -> Result<Option<String>, UsageError> {
    let is_internal = layers.is_on(&format!("{side}-internal"))?;
    vendor.endpoint(region, is_internal).map_err(|missing| match missing {
        Missing::Region(example) => {
            let what = format!("{} has no region, and its endpoint follows from it", vendor.name);
            let remedy = format!("give --{side}-region, such as {example}, or --{side}-endpoint");
            layers.error(side, what, remedy)
        }
        Missing::Internal => {
            let option = format!("{side}-internal");
            let what = format!(
                "{}: no endpoint of its own network is known for {}",
                layers.name(&option),
                vendor.name
            );
            layers.error(&option, what, format!("name it with --{side}-endpoint"))
        }
    })
}

/// What stands before `://`, which must be a known scheme, and what stands behind it.
fn scheme_and_rest<'a>(
    layers: &'a Layers,
    side: &'static str,
) -> Result<(&'a str, &'a str), UsageError> {
    let name = layers.name(side);
    let Some(text) = layers.text(side) else {
        let what = format!("{name} is missing");
        let remedy = "name both sides: s3://bucket/prefix s3://bucket/prefix";
        return Err(layers.error(side, what, remedy));
    };
    let known = text.split_once("://").filter(|(scheme, _)| Vendor::of_scheme(scheme).is_some());
    known.ok_or_else(|| {
        let what = format!("{name} is not a place in a store: {}", quoted_place(text));
        layers.error(side, what, scheme_remedy(text, side))
    })
}

fn bucket_and_prefix<'a>(
    layers: &'a Layers,
    side: &'static str,
    by_amazon_rules: bool,
) -> Result<(&'a str, &'a str, &'a str), UsageError> {
    let name = layers.name(side);
    let (scheme, rest) = scheme_and_rest(layers, side)?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if let Some(reason) = wrong_bucket(bucket, by_amazon_rules) {
        let what = format!("{name} has a bucket name that {reason}: {}", quoted_place(bucket));
        return Err(layers.error(side, what, bucket_remedy(bucket, side)));
    }
    if prefix.len() > KEY_LENGTH_MAX_BYTES {
        let what = format!("{name} has a prefix of {} bytes", prefix.len());
        return Err(layers.error(
            side,
            what,
            format!("a key has at most {KEY_LENGTH_MAX_BYTES} bytes: give a shorter prefix"),
        ));
    }
    Ok((scheme, bucket, prefix))
}

fn scheme_remedy(text: &str, side: &str) -> String {
    let form =
        format!("write s3://bucket/prefix, and the store's S3 endpoint as --{side}-endpoint");
    match text.split_once("://") {
        Some((scheme, _)) if Vendor::of_scheme(&scheme.to_ascii_lowercase()).is_some() => {
            format!("write {}:// in lower case", scheme.to_ascii_lowercase())
        }
        Some(("gcs", _)) => "write gs:// for Google Cloud Storage".to_owned(),
        Some(("http" | "https", _)) => format!("a URL is not cut apart: {form}"),
        Some((scheme, _)) => did_you_mean(
            scheme,
            SCHEMES,
            &format!(
                "known are {}:// for stores; any other that speaks S3: {form}",
                SCHEMES.join("://, ")
            ),
        ),
        None => format!("objects are copied between stores, not files: {form}"),
    }
}

fn wrong_bucket(bucket: &str, by_amazon_rules: bool) -> Option<&'static str> {
    let odd = |extra: &[u8]| {
        bucket.bytes().any(|byte| {
            !(byte.is_ascii_lowercase() || byte.is_ascii_digit() || extra.contains(&byte))
        })
    };
    let outer_odd = |text: &str| {
        let first_last = [text.bytes().next(), text.bytes().next_back()];
        first_last.iter().flatten().any(|byte| !byte.is_ascii_alphanumeric())
    };
    if bucket.is_empty() {
        return Some("is empty");
    }
    if !by_amazon_rules {
        let upper = bucket.to_ascii_lowercase();
        let allowed = upper.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte)
        });
        return if bucket.len() > BUCKET_NAME_MAX_BYTES {
            Some("is longer than 255 bytes")
        } else if !allowed || bucket.bytes().all(|byte| byte == b'.') {
            Some("holds something else than letters, digits, dots, dashes and underscores")
        } else {
            None
        };
    }
    if !BUCKET_NAME_BYTES.contains(&bucket.len()) {
        Some("does not have 3 to 63 characters")
    } else if odd(b".-") {
        Some("holds something else than small letters, digits, dots and dashes")
    } else if outer_odd(bucket) || bucket.contains("..") {
        Some("begins or ends with a dot or a dash, or has two dots in a row")
    } else if bucket.parse::<std::net::Ipv4Addr>().is_ok() {
        Some("has the form of an IP address")
    } else {
        None
    }
}

fn bucket_remedy(bucket: &str, side: &str) -> String {
    if bucket.starts_with("arn:") {
        return "use the access point's alias, which is a bucket name".to_owned();
    }
    if bucket.contains('@') {
        return format!(
            "write s3://bucket/prefix; credentials come from the environment or --{side}-profile"
        );
    }
    format!(
        "correct the name; a bucket of an older or another kind needs --{side}-path-style or --{side}-endpoint"
    )
}

/// `scheme://host` or `scheme://host:port`, and nothing else.
fn endpoint<'a>(layers: &'a Layers, option: &str) -> Result<Option<&'a str>, UsageError> {
    let Some(text) = layers.text(option) else { return Ok(None) };
    let wrong = |reason: &str, shown: &str| {
        let what = format!("{} {reason}{shown}", layers.name(option));
        layers.error(
            option,
            what,
            "write scheme, host and perhaps port, such as https://minio.example:9000",
        )
    };
    let shown = format!(": {}", quoted(text));
    let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("has no scheme", &shown))?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(wrong("has a scheme that is neither https nor http", &shown));
    }
    if rest.contains('@') {
        // What stands before the sign may be a password: it is not repeated.
        return Err(wrong(
            "holds a user name or a password, and credentials are never options",
            "",
        ));
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '\\']) {
        return Err(wrong("holds more than a host and a port", &shown));
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, port)) if host.parse::<std::net::Ipv6Addr>().is_ok() => {
            (host, port.strip_prefix(':'))
        }
        Some(_) => return Err(wrong("has a host that is no IPv6 address", &shown)),
        None => {
            authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
        }
    };
    let host_is_good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    if host.is_empty() || !host.bytes().all(host_is_good) {
        return Err(wrong("has no host, or one with a character that no host has", &shown));
    }
    let port_is_good = |port: &str| {
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0)
    };
    if port.is_some_and(|port| !port_is_good(port)) {
        return Err(wrong("has a port that is not within 1 to 65535", &shown));
    }
    Ok(Some(text))
}

/// Whether both sides are one store, as far as the options tell.
pub(super) fn are_one_store(source: &SideSettings, destination: &SideSettings) -> bool {
    store_of(source) == store_of(destination)
}

/// Refuses a transfer into itself.
pub(super) fn check_overlap(
    layers: &Layers,
    source: &SideSettings,
    destination: &SideSettings,
) -> Result<(), UsageError> {
    let comparable =
        |side: &SideSettings| Location { endpoint: Some(store_of(side)), ..side.location.clone() };
    let transfer = Transfer { source: comparable(source), destination: comparable(destination) };
    let Some(overlap) = transfer.overlap() else { return Ok(()) };
    let (from, to) = (source.location.display(), destination.location.display());
    let what = match overlap {
        Overlap::Same => format!("the source is the destination: {from}"),
        Overlap::SourceInsideDestination => {
            format!("the source {from} lies inside the destination {to}")
        }
        Overlap::DestinationInsideSource => {
            format!("the destination {to} lies inside the source {from}")
        }
    };
    let places = format!("{}; {}", layers.place("source"), layers.place("destination"));
    Err(UsageError::new(
        what,
        places,
        "give another bucket, or prefixes of which neither begins with the other",
    ))
}

/// The endpoint, or one name for all endpoints of an Amazon partition, within which a bucket's name
/// is unique.
fn store_of(side: &SideSettings) -> String {
    let Some(endpoint) = side.location.endpoint.as_deref() else {
        return partition(side.region.as_deref().unwrap_or_default()).to_owned();
    };
    let host = endpoint.split_once("://").map_or(endpoint, |(_, host)| host);
    let host = host.split(':').next().unwrap_or_default();
    let is_s3 = host.split('.').any(|label| label == "s3" || label.starts_with("s3-"));
    if is_s3 && host.ends_with(".amazonaws.com.cn") {
        partition("cn-").to_owned()
    } else if is_s3 && host.ends_with(".amazonaws.com") {
        partition(if host.contains("us-gov-") { "us-gov-" } else { "" }).to_owned()
    } else {
        endpoint.to_owned()
    }
}
