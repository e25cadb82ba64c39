//! The rules that settings keep, one option against another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tranship_adapters::stores::s3::vendors::{AMAZON_CLASSES, Asked, Lacking, Vendor};
use tranship_core::location::Transfer;
use tranship_core::object::{OBJECT_SIZE_MAX_BYTES, PART_SIZE_MAX_BYTES, PART_SIZE_MIN_BYTES};
use tranship_core::policy::{Compare, Overwrite};
use tranship_core::store::STANDARD;

use super::layers::Layers;
use super::names::{ACLS, COMPARE, OVERWRITE, SERVER_SIDE, SSE, TRUST};
use super::patterns::{self, BadPattern};
use super::values::size_text;
use super::{
    ACL_SAMPLE_DEFAULT, ACL_SAMPLE_MAX, BANDWIDTH_MAX_BYTES, BANDWIDTH_MIN_BYTES,
    BASE_MEMORY_BYTES, CONCURRENCY_DEFAULT, CONCURRENCY_MAX, CopySettings, DELETE_MAX_DEFAULT,
    DELETE_MAX_RATIO_DEFAULT_PERCENT, DeleteSettings, MEMORY_DEFAULT_BYTES, MEMORY_MAX_BYTES,
    MULTIPART_THRESHOLD_DEFAULT_BYTES, MULTIPART_THRESHOLD_MAX_BYTES,
    MULTIPART_THRESHOLD_MIN_BYTES, RETRIES_DEFAULT, RETRIES_MAX, STREAM_MEMORY_BYTES,
    SelectSettings, ServerSideCopy, SideSettings, Sse, SseMethod, Verbosity, places,
};
use crate::ledger_path::{beside, default_ledger};
use crate::usage::{UsageError, did_you_mean, quoted};

const ACCOUNT_DIGITS: usize = 12;

pub(super) fn settings(
    layers: &Layers,
    env: &BTreeMap<String, String>,
) -> Result<CopySettings, UsageError> {
    let source = places::read(layers, "source")?;
    let destination = places::read(layers, "destination")?;
    places::check_overlap(layers, &source, &destination)?;
    let transfer =
        Transfer { source: source.location.clone(), destination: destination.location.clone() };
    let ledger = ledger(layers, env, &transfer)?;
    let dry_run = layers.is_on("dry-run")?;
    let failures = file_beside(layers, "failures", &ledger, dry_run);
    let delete = delete(layers, &ledger, dry_run)?;
    let compare = layers.word("compare", &COMPARE)?.unwrap_or(Compare::ETag);
    let (concurrency, memory_budget_bytes) = memory(layers)?;
    let settings = CopySettings {
        expected_bucket_owner: owner(layers, &destination)?,
        ca_bundle: layers.text("ca-bundle").map(PathBuf::from),
        select: select(layers)?,
        compare,
        overwrite: layers.word("overwrite", &OVERWRITE)?.unwrap_or(Overwrite::Always),
        trust_size_and_time: trust(layers, compare)?,
        delete,
        storage_class: storage_class(layers, &destination)?,
        class_map: class_map(layers)?,
        conditions: conditions(layers, &destination)?,
        acl: acl(layers)?,
        sse: sse(layers, &destination)?,
        tags: !layers.is_on("no-tags")?,
        token: !layers.is_on("no-token")?,
        server_side: server_side(layers, &source, &destination)?,
        multipart_threshold_bytes: layers
            .size(
                "multipart-threshold",
                MULTIPART_THRESHOLD_MIN_BYTES,
                MULTIPART_THRESHOLD_MAX_BYTES,
            )?
            .unwrap_or(MULTIPART_THRESHOLD_DEFAULT_BYTES),
        part_size_bytes: layers.size("part-size", PART_SIZE_MIN_BYTES, PART_SIZE_MAX_BYTES)?,
        concurrency,
        bandwidth_bytes: layers.size("bandwidth", BANDWIDTH_MIN_BYTES, BANDWIDTH_MAX_BYTES)?,
        memory_budget_bytes,
        retries: retries(layers)?,
        rate: layers.rate("rate")?,
        egress_nanodollars: layers.dollars("egress-price")?,
        acl_sample: layers.number("acl-sample", 0, ACL_SAMPLE_MAX)?.unwrap_or(ACL_SAMPLE_DEFAULT),
        report: layers.text("report").map(PathBuf::from).filter(|_| !dry_run),
        dry_run,
        verbosity: verbosity(layers)?,
        source,
        destination,
        transfer,
        ledger,
        failures,
    };
    distinct_files(layers, &settings)?;
    Ok(settings)
}

/// Two options that cannot both hold.
fn contradiction(layers: &Layers, one: &str, other: &str, remedy: &str) -> UsageError {
    let what = format!("{} and {} contradict", layers.name(one), layers.name(other));
    UsageError::new(what, format!("{}; {}", layers.place(one), layers.place(other)), remedy)
}

fn ledger(
    layers: &Layers,
    env: &BTreeMap<String, String>,
    transfer: &Transfer,
) -> Result<PathBuf, UsageError> {
    if let Some(path) = layers.text("ledger") {
        return Ok(PathBuf::from(path));
    }
    default_ledger(env, &transfer.id()).ok_or_else(|| {
        UsageError::new(
            "there is no directory for the ledger",
            "the environment: neither XDG_STATE_HOME nor HOME is an absolute path",
            "give --ledger FILE, or set HOME",
        )
    })
}

/// Whether writes are fenced: as the vendor's row says, unless an option says otherwise.
pub(super) fn conditions(layers: &Layers, destination: &SideSettings) -> Result<bool, UsageError> {
    let given = layers.switch("destination-conditions")?;
    Ok(given.unwrap_or(destination.vendor.quirks.conditions))
}

pub(super) fn owner(
    layers: &Layers,
    destination: &SideSettings,
) -> Result<Option<String>, UsageError> {
    let option = "expected-bucket-owner";
    check_known(layers, option, destination.vendor, Asked::Owner)?;
    let Some(text) = layers.text(option) else { return Ok(None) };
    if text.len() != ACCOUNT_DIGITS || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        let what = format!("{} is not an account number: {}", layers.name(option), quoted(text));
        return Err(layers.error(
            option,
            what,
            "give the 12 digits of the account, as a text in quotes in a file",
        ));
    }
    Ok(Some(text.to_owned()))
}

pub(super) fn select(layers: &Layers) -> Result<SelectSettings, UsageError> {
    for option in ["include", "exclude"] {
        check_patterns(layers, option, "glob", |pattern| patterns::glob(pattern).map(drop))?;
    }
    for option in ["include-regex", "exclude-regex"] {
        check_patterns(layers, option, "regular expression", patterns::regex)?;
    }
    for (globs, regexes) in [("include", "include-regex"), ("exclude", "exclude-regex")] {
        patterns::set(&layers.list(globs), &layers.list(regexes)).map_err(|bad| {
            let what =
                format!("{} and its kin are too much together: {}", layers.name(globs), bad.reason);
            layers.error(globs, what, "use fewer or simpler patterns")
        })?;
    }
    let select = SelectSettings {
        include_globs: layers.list("include"),
        exclude_globs: layers.list("exclude"),
        include_regexes: layers.list("include-regex"),
        exclude_regexes: layers.list("exclude-regex"),
        min_size: layers.size("min-size", 0, OBJECT_SIZE_MAX_BYTES)?,
        max_size: layers.size("max-size", 0, OBJECT_SIZE_MAX_BYTES)?,
        modified_after: layers.moment("modified-after")?,
        modified_before: layers.moment("modified-before")?,
        keys_from: layers.text("keys-from").map(PathBuf::from),
    };
    if select.min_size.zip(select.max_size).is_some_and(|(min, max)| min > max) {
        return Err(contradiction(
            layers,
            "min-size",
            "max-size",
            "no object is that large and that small: swap them",
        ));
    }
    if select
        .modified_after
        .zip(select.modified_before)
        .is_some_and(|(after, before)| after > before)
    {
        let remedy = "no object is that young and that old: swap them";
        return Err(contradiction(layers, "modified-after", "modified-before", remedy));
    }
    Ok(select)
}

fn check_patterns(
    layers: &Layers,
    option: &str,
    kind: &str,
    check: impl Fn(&str) -> Result<(), BadPattern>,
) -> Result<(), UsageError> {
    for pattern in layers.list(option) {
        check(&pattern).map_err(|bad| {
            let position = bad.position.map(|at| format!(" at character {at}")).unwrap_or_default();
            let what = format!(
                "{} is not a {kind}: {}{position}: {}",
                layers.name(option),
                quoted(&pattern),
                tranship_core::object::escape(&bad.reason)
            );
            layers.error(
                option,
                what,
                "correct the pattern; a backslash takes a special character for itself",
            )
        })?;
    }
    Ok(())
}

fn trust(layers: &Layers, compare: Compare) -> Result<bool, UsageError> {
    let trust = layers.word("trust", &TRUST)?.is_some();
    if trust && !matches!(compare, Compare::ETag | Compare::Metadata) {
        let remedy = "leave --trust away: it says what to believe where ETags are compared and prove nothing";
        return Err(contradiction(layers, "trust", "compare", remedy));
    }
    Ok(trust)
}

/// A file that is written beside the ledger if no other place is named. A dry run has no ledger, and
/// writes only what is asked for by name.
fn file_beside(layers: &Layers, option: &str, ledger: &Path, dry_run: bool) -> Option<PathBuf> {
    let suffix = if option == "failures" { "failures.jsonl" } else { "deletes.jsonl" };
    let named = layers.text(option).map(PathBuf::from);
    named.or_else(|| (!dry_run).then(|| beside(ledger, suffix)))
}

fn delete(
    layers: &Layers,
    ledger: &Path,
    dry_run: bool,
) -> Result<Option<DeleteSettings>, UsageError> {
    let delete = DeleteSettings {
        objects_max: layers.number("delete-max", 0, u64::MAX)?.unwrap_or(DELETE_MAX_DEFAULT),
        percent_max: layers
            .number("delete-max-ratio", 0, 100)?
            .unwrap_or(DELETE_MAX_RATIO_DEFAULT_PERCENT),
        unversioned: layers.is_on("delete-unversioned")?,
        manifest: file_beside(layers, "delete-manifest", ledger, dry_run),
    };
    let switch = layers.switch("delete")?;
    if switch == Some(true) {
        if layers.get("keys-from").is_some() {
            let remedy = "leave one away: a list of keys cannot prove that the others are gone from the source";
            return Err(contradiction(layers, "delete", "keys-from", remedy));
        }
        return Ok(Some(delete));
    }
    // Someone who says `--delete=false` takes back what a file says, with all that belongs to it.
    if switch.is_none() {
        for option in ["delete-max", "delete-max-ratio", "delete-unversioned", "delete-manifest"] {
            if layers.get(option).is_some() {
                let what = format!("{} has no effect without --delete", layers.name(option));
                return Err(layers.error(option, what, "add --delete, or leave the option away"));
            }
        }
    }
    Ok(None)
}

fn storage_class(
    layers: &Layers,
    destination: &SideSettings,
) -> Result<Option<String>, UsageError> {
    let option = "storage-class";
    let Some(text) = layers.text(option) else { return Ok(None) };
    if text == "keep" {
        return Ok(None);
    }
    if destination.vendor.lacks_class(text) {
        let name = destination.vendor.name;
        let what = format!("{} {text} has no equal at {name}", layers.name(option));
        let mut classes = vec![STANDARD];
        classes.extend(destination.vendor.quirks.classes.iter().map(|(theirs, _)| *theirs));
        classes.dedup();
        return Err(layers.error(
            option,
            what,
            format!("give keep or one of {}", classes.join(", ")),
        ));
    }
    let has_form = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    // Stores of other vendors have classes of their own.
    let is_known = AMAZON_CLASSES.contains(&text) || destination.location.endpoint.is_some();
    if has_form && is_known {
        return Ok(Some(text.to_owned()));
    }
    let otherwise = format!("give keep or one of {}", AMAZON_CLASSES.join(", "));
    let what = format!("{} does not know {}", layers.name(option), quoted(text));
    Err(layers.error(option, what, did_you_mean(text, AMAZON_CLASSES, &otherwise)))
}

/// `FROM=TO`, each of them once.
fn class_map(layers: &Layers) -> Result<Vec<(String, String)>, UsageError> {
    let option = "map-storage-class";
    let is_class = |text: &str| {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        !text.is_empty() && text.bytes().all(is_good)
    };
    let mut map: Vec<(String, String)> = Vec::new();
    for text in layers.list(option) {
        let pair = text.split_once('=').filter(|(from, to)| is_class(from) && is_class(to));
        let Some((from, to)) = pair else {
            let what = format!("{} {} names no two classes", layers.name(option), quoted(&text));
            return Err(layers.error(option, what, "write FROM=TO, such as NEARLINE=STANDARD_IA"));
        };
        if map.iter().any(|(known, _)| known.eq_ignore_ascii_case(from)) {
            let what = format!("{} maps {} twice", layers.name(option), quoted(from));
            return Err(layers.error(option, what, "give each class of the source once"));
        }
        map.push((from.to_owned(), to.to_owned()));
    }
    Ok(map)
}

pub(super) fn acl(layers: &Layers) -> Result<Option<String>, UsageError> {
    Ok(layers.word("acl", &ACLS)?.map(str::to_owned))
}

pub(super) fn sse(layers: &Layers, destination: &SideSettings) -> Result<Option<Sse>, UsageError> {
    let method = layers.word("sse", &SSE)?;
    if method == Some(SseMethod::Kms) {
        check_known(layers, "sse", destination.vendor, Asked::Kms)?;
    }
    let key_id = layers.owned("sse-kms-key-id");
    match (method, key_id) {
        (Some(SseMethod::Kms), key_id) => Ok(Some(Sse::Kms { key_id })),
        (Some(SseMethod::Aes256), None) => Ok(Some(Sse::Aes256)),
        (None, None) => Ok(None),
        (Some(SseMethod::Aes256), Some(_)) => Err(contradiction(
            layers,
            "sse-kms-key-id",
            "sse",
            "write --sse aws:kms, or leave the key away",
        )),
        (None, Some(_)) => {
            let what =
                format!("{} has no effect without --sse aws:kms", layers.name("sse-kms-key-id"));
            Err(layers.error("sse-kms-key-id", what, "add --sse aws:kms, or leave the key away"))
        }
    }
}

fn server_side(
    layers: &Layers,
    source: &SideSettings,
    destination: &SideSettings,
) -> Result<ServerSideCopy, UsageError> {
    let choice = layers.word("server-side", &SERVER_SIDE)?.unwrap_or_default();
    let vendor = destination.vendor;
    if choice == ServerSideCopy::Always && !vendor.quirks.part_copy {
        return Err(lacking(
            layers,
            "server-side",
            vendor,
            "copies no parts by itself",
            "write auto",
        ));
    }
    if choice == ServerSideCopy::Always && !places::are_one_store(source, destination) {
        let what =
            format!("{} always: the two sides are different stores", layers.name("server-side"));
        return Err(layers.error(
            "server-side",
            what,
            "write auto: a store can only copy from itself",
        ));
    }
    Ok(choice)
}

/// An option asks for what the destination's store does not have.
fn lacking(
    layers: &Layers,
    option: &'static str,
    vendor: &Vendor,
    what: &str,
    remedy: &str,
) -> UsageError {
    let text = format!("{}: {} {what}", layers.name(option), vendor.name);
    layers.error(option, text, remedy)
}

/// Refuses an option, where it is given, that asks what the store does not know.
pub(super) fn check_known(
    layers: &Layers,
    option: &str,
    vendor: &Vendor,
    asked: Asked,
) -> Result<(), UsageError> {
    match vendor.lacks(asked).filter(|_| layers.get(option).is_some()) {
        None => Ok(()),
        Some(Lacking { what, to_do }) => {
            Err(layers.error(option, format!("{}: {what}", layers.name(option)), to_do))
        }
    }
}

/// Streams, and the memory that they need.
pub(super) fn memory(layers: &Layers) -> Result<(u64, u64), UsageError> {
    let concurrency =
        layers.number("concurrency", 1, CONCURRENCY_MAX)?.unwrap_or(CONCURRENCY_DEFAULT);
    let needed = BASE_MEMORY_BYTES + concurrency * STREAM_MEMORY_BYTES;
    let option = "memory-budget";
    let Some(budget) = layers.size(option, 0, MEMORY_MAX_BYTES)? else {
        return Ok((concurrency, MEMORY_DEFAULT_BYTES.max(needed)));
    };
    if budget >= needed {
        return Ok((concurrency, budget));
    }
    let what = format!(
        "{} {} is below {}, what a concurrency of {concurrency} needs",
        layers.name(option),
        size_text(budget),
        size_text(needed)
    );
    let streams = budget.saturating_sub(BASE_MEMORY_BYTES) / STREAM_MEMORY_BYTES;
    let remedy = match streams {
        0 => format!("give at least {}", size_text(BASE_MEMORY_BYTES + STREAM_MEMORY_BYTES)),
        _ => format!("give at least {}, or --concurrency {streams} at most", size_text(needed)),
    };
    Err(layers.error(option, what, remedy))
}

fn retries(layers: &Layers) -> Result<u32, UsageError> {
    let retries = layers.number("retries", 0, RETRIES_MAX)?.unwrap_or(RETRIES_DEFAULT);
    // The bound lies far below what the type holds.
    Ok(u32::try_from(retries).unwrap_or(u32::MAX))
}

pub(super) fn verbosity(layers: &Layers) -> Result<Verbosity, UsageError> {
    match (layers.is_on("json")?, layers.is_on("quiet")?) {
        (true, true) => Err(contradiction(
            layers,
            "quiet",
            "json",
            "give one of them, or take one back with =false",
        )),
        (true, false) => Ok(Verbosity::Json),
        (false, true) => Ok(Verbosity::Quiet),
        (false, false) => Ok(Verbosity::Normal),
    }
}

/// Nothing that is written may be written over something else. The failure list may well be the
/// list of keys: a retry reads it first and writes it last.
fn distinct_files(layers: &Layers, settings: &CopySettings) -> Result<(), UsageError> {
    let manifest = settings.delete.as_ref().and_then(|delete| delete.manifest.as_ref());
    let keys = settings.select.keys_from.as_ref();
    let written = [
        ("ledger", Some(&settings.ledger)),
        ("failures", settings.failures.as_ref()),
        ("delete-manifest", manifest),
    ];
    let pairs = [(0, 1), (0, 2), (1, 2)];
    for (one, other) in pairs {
        let (Some((one, Some(a))), Some((other, Some(b)))) = (written.get(one), written.get(other))
        else {
            continue;
        };
        if a == b {
            return Err(contradiction(layers, one, other, "name two different files"));
        }
    }
    if keys == Some(&settings.ledger) {
        return Err(contradiction(layers, "keys-from", "ledger", "name two different files"));
    }
    Ok(())
}
