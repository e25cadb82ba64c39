//! Precedence, defaults, and every kind of mistake.

mod stores;

use std::path::Path;

use clap::Parser;
use proptest::prelude::*;

use super::*;
use crate::args::{Cli, Command};

const PLACES: [&str; 2] = ["s3://from/a/", "s3://dst/b/"];
const FILE: &str = "/etc/tranship.toml";

/// What a person wrote, in all three places.
#[derive(Debug, Default, Clone, Copy)]
struct Written<'a> {
    args: &'a [&'a str],
    env: &'a [(&'a str, &'a str)],
    toml: Option<&'a str>,
}

/// The settings, or the message: clap's own where clap finds the mistake.
fn resolve(written: Written<'_>) -> Result<CopySettings, String> {
    let words = ["tranship", "copy"].iter().chain(written.args);
    let cli = Cli::try_parse_from(words).map_err(|error| {
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    })?;
    let Command::Copy(args) = cli.command else { panic!("copy was asked for") };
    let mut env: BTreeMap<String, String> =
        written.env.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    env.entry("HOME".to_owned()).or_insert_with(|| "/home/me".to_owned());
    let files: Vec<_> = written.toml.map(config).into_iter().collect();
    CopySettings::resolve(&args, &env, &files).map_err(|error| error.to_string())
}

fn config(text: &str) -> ConfigFile {
    ConfigFile { path: PathBuf::from(FILE), text: text.to_owned() }
}

fn with_args(args: &[&str]) -> Result<CopySettings, String> {
    let args: Vec<&str> = PLACES.iter().chain(args).copied().collect();
    resolve(Written { args: &args, ..Written::default() })
}

fn with_env(env: &[(&str, &str)]) -> Result<CopySettings, String> {
    resolve(Written { args: &PLACES, env, ..Written::default() })
}

fn with_toml(toml: &str) -> Result<CopySettings, String> {
    resolve(Written { args: &PLACES, toml: Some(toml), ..Written::default() })
}

#[track_caller]
fn assert_message<T: std::fmt::Debug>(result: Result<T, String>, parts: &[&str]) {
    let message = result.unwrap_err();
    for part in parts {
        assert!(message.contains(part), "{part:?} in:\n{message}");
    }
}

#[test]
fn defaults_are_the_documented_ones() {
    let settings = with_args(&[]).unwrap();
    assert_eq!(settings.compare, Compare::ETag);
    assert_eq!(settings.overwrite, Overwrite::Always);
    assert_eq!((settings.concurrency, settings.bandwidth_bytes), (64, None));
    assert_eq!(settings.memory_budget_bytes, 256 << 20);
    assert_eq!(settings.multipart_threshold_bytes, 64 << 20);
    assert_eq!(
        (settings.part_size_bytes, settings.delete.clone(), settings.storage_class.clone()),
        (None, None, None)
    );
    assert_eq!(
        (settings.retries, settings.tags, settings.token, settings.dry_run),
        (5, true, true, false)
    );
    let id = settings.transfer.id();
    assert_eq!(settings.ledger, Path::new(&format!("/home/me/.local/state/tranship/{id}.redb")));
    assert_eq!(
        settings.failures,
        Some(PathBuf::from(format!("/home/me/.local/state/tranship/{id}.failures.jsonl")))
    );
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let toml =
        "retries = 1\nconcurrency = 1\npart-size = \"5MiB\"\nexclude = [\"f\"]\nquiet = true";
    let env = [
        ("TRANSHIP_RETRIES", "2"),
        ("TRANSHIP_CONCURRENCY", "2"),
        ("TRANSHIP_EXCLUDE", "[\"e\", \"a,b\"]"),
    ];
    let args = ["s3://from", "s3://dst", "--retries", "3", "--quiet=false"];
    let settings = resolve(Written { args: &args, env: &env, toml: Some(toml) }).unwrap();
    assert_eq!(
        (settings.retries, settings.concurrency, settings.part_size_bytes),
        (3, 2, Some(5 << 20))
    );
    assert_eq!(settings.select.exclude_globs, ["e", "a,b"], "a list is taken whole");
    assert_eq!(settings.verbosity, Verbosity::Normal);
}

#[test]
fn everything_can_be_said_in_a_file() {
    let toml = r#"
source = "s3://from/p"
destination = "s3://dst/q"
source-endpoint = "http://localhost:9000"
destination-region = "cn-north-1"
expected-bucket-owner = "012345678901"
modified-after = 2024-05-01T00:00:00Z
delete = true
delete-max = 5
delete-unversioned = true
no-tags = true
sse = "aws:kms"
sse-kms-key-id = "k"
storage-class = "STANDARD_IA"
memory-budget = 268_435_456
ledger = "/l/x.redb"
"#;
    let settings = resolve(Written { toml: Some(toml), ..Written::default() }).unwrap();
    assert_eq!(settings.source.location, Location::new(Some("http://localhost:9000"), "from", "p"));
    assert_eq!(settings.destination.region.as_deref(), Some("cn-north-1"));
    assert_eq!(settings.select.modified_after, Some(Millis(1_714_521_600_000)));
    let delete = DeleteSettings {
        objects_max: 5,
        percent_max: 10,
        unversioned: true,
        manifest: Some(PathBuf::from("/l/x.deletes.jsonl")),
    };
    assert_eq!(settings.delete, Some(delete));
    assert_eq!(settings.sse, Some(Sse::Kms { key_id: Some("k".to_owned()) }));
    assert_eq!(
        (settings.tags, settings.failures),
        (false, Some(PathBuf::from("/l/x.failures.jsonl")))
    );
}

#[test]
fn places_are_strings_and_nothing_is_normalised() {
    for (text, bucket, prefix) in [
        ("s3://from", "from", ""),
        ("s3://from/", "from", ""),
        ("s3://from//../a%20b?c#d", "from", "/../a%20b?c#d"),
        ("s3://from/é\u{202e} +", "from", "é\u{202e} +"),
    ] {
        let settings =
            resolve(Written { args: &[text, "s3://dst"], ..Written::default() }).unwrap();
        assert_eq!(
            (settings.source.location.bucket.as_str(), settings.source.location.prefix.as_str()),
            (bucket, prefix)
        );
    }
    let old = with_args(&["--destination-path-style"]).unwrap();
    assert_eq!((old.source.path_style, old.destination.path_style), (None, Some(true)));
    let args = ["s3://From_", "s3://dst", "--source-endpoint", "https://[::1]:9000/"];
    assert!(resolve(Written { args: &args, ..Written::default() }).is_ok());
}

#[test]
fn bad_places_are_refused() {
    let long = format!("s3://from/{}", "k".repeat(1_025));
    for (args, parts) in [
        (&[][..], &["SOURCE is missing", "the command line, SOURCE", "name both sides: s3://"][..]),
        (&["s3://from"], &["DESTINATION is missing"]),
        (
            &["from/a", "s3://dst"],
            &["SOURCE is not a place in a store: \"from/a\"", "--source-endpoint"],
        ),
        (
            &["s3://from", "ftp://to"],
            &["DESTINATION", "known are s3://, oss://", "--destination-endpoint"],
        ),
        (&["S3://from", "s3://dst"], &["s3:// in lower case"]),
        (&["s4://from", "s3://dst"], &["\"s4://from\"", "s3"]),
        (&["https://s3.amazonaws.com/from", "s3://dst"], &["a URL is not cut apart"]),
        (&["s3://", "s3://dst"], &["a bucket name that is empty"]),
        (&["s3://fr", "s3://dst"], &["3 to 63 characters: \"fr\""]),
        (&["s3://From", "s3://dst"], &["small letters", "--source-path-style"]),
        (&["s3://a..b", "s3://dst"], &["two dots in a row"]),
        (&["s3://10.0.0.1", "s3://dst"], &["the form of an IP address"]),
        (&["s3://arn:aws:s3:x/y", "s3://dst"], &["the access point's alias"]),
        (&["s3://fr\u{1b}om", "s3://dst"], &["\"fr\\u{1b}om\""]),
        (&[&long, "s3://dst"], &["a prefix of 1025 bytes", "at most 1024 bytes"]),
    ] {
        assert_message(resolve(Written { args, ..Written::default() }), parts);
    }
}

#[test]
fn bad_endpoints_are_refused_and_passwords_not_repeated() {
    for (endpoint, part) in [
        ("localhost:9000", "has no scheme: \"localhost:9000\""),
        ("ftp://host", "neither https nor http"),
        ("https://", "has no host"),
        ("https://host/path", "more than a host and a port"),
        ("https://host?x", "more than a host and a port"),
        ("https://host:0", "not within 1 to 65535"),
        ("https://host:99999", "not within 1 to 65535"),
        ("https://host:+80", "not within 1 to 65535"),
        ("https://ho st", "a character that no host has"),
        ("https://[::g]", "no IPv6 address"),
    ] {
        assert_message(
            with_args(&["--source-endpoint", endpoint]),
            &[part, "the command line, --source-endpoint"],
        );
    }
    let secret = with_env(&[("TRANSHIP_SOURCE_ENDPOINT", "https://me:hunter2@host")]).unwrap_err();
    assert!(
        secret.contains("credentials are never options") && !secret.contains("hunter2"),
        "{secret}"
    );
}

#[test]
fn a_transfer_into_itself_is_refused() {
    let amazon = "https://s3.eu-west-1.amazonaws.com";
    for (args, part) in [
        (&["s3://bucket/x", "s3://bucket/x"][..], "the source is the destination: s3://bucket/x"),
        (
            &["s3://bucket/x/y", "s3://bucket/x"],
            "the source s3://bucket/x/y lies inside the destination s3://bucket/x",
        ),
        (
            &["s3://bucket", "s3://bucket/x"],
            "the destination s3://bucket/x lies inside the source s3://bucket/",
        ),
        (
            &["s3://bucket", "s3://bucket", "--source-endpoint", amazon],
            "the source is the destination",
        ),
        (
            &[
                "s3://b",
                "s3://b",
                "--source-endpoint",
                "http://H:80/",
                "--destination-endpoint",
                "http://h",
            ],
            "the source is the destination",
        ),
    ] {
        assert_message(
            resolve(Written { args, ..Written::default() }),
            &[part, "SOURCE", "another bucket"],
        );
    }
    for args in [
        &["s3://bucket/x", "s3://bucket/y"][..],
        &[
            "s3://bucket",
            "s3://bucket",
            "--source-region",
            "cn-north-1",
            "--destination-region",
            "eu-west-1",
        ],
        &["s3://bucket", "s3://bucket", "--source-endpoint", "http://s3.other.example"],
    ] {
        assert!(resolve(Written { args, ..Written::default() }).is_ok(), "{args:?}");
    }
}

#[test]
fn values_out_of_bounds_name_the_bound() {
    for (args, parts) in [
        (
            &["--part-size", "6GiB"][..],
            &["--part-size 6GiB is above the most, 5GiB", "from 5MiB to 5GiB"][..],
        ),
        (&["--part-size", "1MiB"], &["--part-size 1MiB is below the least, 5MiB"]),
        (&["--part-size", "big"], &["--part-size is not a size: \"big\"", "such as 64MiB"]),
        (&["--part-size="], &["--part-size"]),
        (&["--multipart-threshold", "4MiB"], &["below the least, 5MiB"]),
        (&["--multipart-threshold", "5TiB"], &["above the most, 5GiB"]),
        (&["--bandwidth", "1KiB"], &["--bandwidth 1KiB is below the least, 64KiB"]),
        (&["--bandwidth", "fast"], &["--bandwidth is not a size"]),
        (&["--concurrency", "0"], &["--concurrency 0 is not within 1 to 4096"]),
        (&["--concurrency", "4097"], &["not within 1 to 4096"]),
        (&["--concurrency", "many"], &["not a whole number within 1 to 4096: \"many\""]),
        (&["--concurrency=-1"], &["not a whole number"]),
        (&["--concurrency=+1"], &["not a whole number"]),
        (&["--retries", "101"], &["within 0 to 100"]),
        (
            &["--memory-budget", "90MiB"],
            &["90MiB is below 96MiB, what a concurrency of 64 needs", "--concurrency 58"],
        ),
        (&["--memory-budget", "1MiB", "--concurrency", "1"], &["at least 33MiB"]),
        (&["--memory-budget", "17TiB"], &["above the most, 16TiB"]),
        (&["--max-size", "99999999999999TiB"], &["not a size"]),
        (&["--max-size", "60TiB"], &["above the most, 50000GiB"]),
        (&["--delete", "--delete-max-ratio", "101"], &["within 0 to 100"]),
        (&["--modified-after", "yesterday"], &["\"yesterday\"", "2024-05-01T00:00:00Z"]),
        (&["--modified-after", "1969-01-01T00:00:00Z"], &["since 1970"]),
        (&["--expected-bucket-owner", "123"], &["12 digits"]),
        (&["--storage-class", "STANDRD"], &["\"STANDRD\"", "did you mean \"STANDARD\"?"]),
        (&["--compare", "etga"], &["etga", "etag"]),
        (&["--overwrite", "sometimes"], &["always, never, newer"]),
        (&["--trust", "me"], &["size+time"]),
        (&["--acl", "public"], &["private, public-read"]),
        (&["--sse", "kms"], &["aws:kms"]),
        (&["--server-side", "maybe"], &["auto, never, always"]),
        (&["--rate", "fast"], &["--rate is not a rate: \"fast\"", "50MiB..200MiB"]),
        (&["--rate", "2MiB..1MiB"], &["--rate is not a rate"]),
        (&["--rate", "0"], &["--rate is not a rate"]),
        (&["--egress-price", "free"], &["--egress-price is not a price: \"free\"", "0.02"]),
        (&["--egress-price", "-1"], &["--egress-price is not a price"]),
        (&["--acl-sample", "10001"], &["--acl-sample", "10000"]),
        (&["--json=maybe"], &["true, false"]),
        (&["--retries", "1", "--retries", "2"], &["cannot be used multiple times"]),
        (&["--partsize", "5MiB"], &["--partsize", "--part-size"]),
        (&["third"], &["third"]),
    ] {
        assert_message(with_args(args), parts);
    }
    assert_eq!(
        with_args(&["--concurrency", "1024"]).unwrap().memory_budget_bytes,
        (1024 + 32) << 20
    );
}

#[test]
fn bad_patterns_are_named_with_the_position() {
    for (args, part) in [
        (
            &["--include", "ok", "--include", "a[b"][..],
            "--include is not a glob: \"a[b\" at character 2",
        ),
        (&["--exclude", "{a"], "--exclude is not a glob: \"{a\" at character 1"),
        (
            &["--include-regex", "a(b"],
            "--include-regex is not a regular expression: \"a(b\" at character 2: unclosed group",
        ),
        (
            &["--exclude-regex", "*"],
            "--exclude-regex is not a regular expression: \"*\" at character 1",
        ),
        (&["--exclude-regex", "\u{1b}("], "\"\\u{1b}(\" at character 2"),
        (&["--include", ""], "--include is empty"),
    ] {
        assert_message(with_args(args), &[part, "the command line, --"]);
    }
}

#[test]
fn contradictions_name_both_sides() {
    for (args, parts) in [
        (&["--delete", "--keys-from", "k"][..], &["--delete and --keys-from contradict"][..]),
        (&["--delete-max", "3"], &["--delete-max has no effect without --delete"]),
        (&["--delete-unversioned"], &["--delete-unversioned has no effect without --delete"]),
        (
            &["--min-size", "2M", "--max-size", "1M"],
            &["--min-size and --max-size contradict", "swap"],
        ),
        (
            &[
                "--modified-after",
                "2024-02-01T00:00:00Z",
                "--modified-before",
                "2024-01-01T00:00:00Z",
            ],
            &["--modified-after and --modified-before contradict"],
        ),
        (&["--sse-kms-key-id", "k"], &["no effect without --sse aws:kms"]),
        (&["--sse", "AES256", "--sse-kms-key-id", "k"], &["--sse-kms-key-id and --sse contradict"]),
        (&["--quiet", "--json"], &["--quiet and --json contradict"]),
        (
            &["--source-anonymous", "--source-profile", "p"],
            &["--source-anonymous and --source-profile contradict"],
        ),
        (&["--trust", "size+time", "--compare", "size"], &["--trust and --compare contradict"]),
        (
            &["--server-side", "always", "--source-endpoint", "http://other"],
            &["--server-side always: the two sides are different stores"],
        ),
        (&["--ledger", "x", "--failures", "x"], &["--ledger and --failures contradict"]),
        (&["--ledger", "x", "--keys-from", "x"], &["--keys-from and --ledger contradict"]),
    ] {
        assert_message(with_args(args), parts);
    }
    let mixed = resolve(Written {
        args: &[PLACES[0], PLACES[1], "--json"],
        env: &[],
        toml: Some("# a comment\nquiet = true"),
    });
    assert_message(
        mixed,
        &["quiet and --json contradict", "line 2, key \"quiet\"; the command line, --json"],
    );
    let taken_back = resolve(Written {
        args: &[PLACES[0], PLACES[1], "--delete=false"],
        env: &[],
        toml: Some("delete = true\ndelete-max = 3"),
    });
    assert_eq!(taken_back.unwrap().delete, None);
}

#[test]
fn a_bad_file_is_named_with_line_and_key() {
    let place = "where: \"/etc/tranship.toml\", line 2";
    for (toml, parts) in [
        (
            "\npart_size = 1",
            &["unknown key \"part_size\"", "key \"part_size\"", "did you mean \"part-size\"?"][..],
        ),
        ("\nlightspeed = 1", &["unknown key \"lightspeed\"", "--help"]),
        ("\nconfig = \"x\"", &["cannot name another"]),
        ("\n[source]\nendpoint = \"x\"", &["source must be a text in quotes or a whole number"]),
        ("\nquiet = \"true\"", &["quiet must be true or false", "write quiet = true"]),
        ("\ninclude = \"*\"", &["include must be an array of strings"]),
        ("\ninclude = [1]", &["include must be an array of strings"]),
        ("\nretries = 1.5", &["retries must be a text in quotes or a whole number"]),
        ("\nretries = 0x10", &["retries must be"]),
        ("\nretries = -1", &["retries is not a whole number within 0 to 100: \"-1\""]),
        ("\npart-size = 64MiB", &["not valid TOML", "key \"part-size\""]),
        ("quiet = true\nquiet = true", &["not valid TOML", "duplicate key"]),
        (
            "\npart-size = \"6GiB\"",
            &["part-size 6GiB is above the most, 5GiB", "key \"part-size\""],
        ),
        ("\ncompare = \"etga\"", &["compare does not know \"etga\"", "did you mean \"etag\"?"]),
        (
            "\nexclude-regex = [\"(\"]",
            &["exclude-regex is not a regular expression: \"(\" at character 1"],
        ),
        ("\nprefix\u{1b} = 1", &["not valid TOML"]),
        ("\n\"a\\u001b\" = 1", &["unknown key \"a\\u{1b}\""]),
    ] {
        let result = with_toml(toml);
        assert_message(result.clone(), &[place]);
        assert_message(result, parts);
    }
}

#[test]
fn a_bad_variable_is_named() {
    for (env, parts) in [
        (
            ("TRANSHIP_PARTSIZE", "5MiB"),
            &["unknown variable TRANSHIP_PARTSIZE", "did you mean \"TRANSHIP_PART_SIZE\"?"][..],
        ),
        (("TRANSHIP_FOO_BAR_BAZ", "1"), &["unknown variable TRANSHIP_FOO_BAR_BAZ", "unset it"]),
        (("TRANSHIP_PART_SIZE", ""), &["TRANSHIP_PART_SIZE is empty"]),
        (
            ("TRANSHIP_PART_SIZE", "6GiB"),
            &["TRANSHIP_PART_SIZE 6GiB is above", "the environment, TRANSHIP_PART_SIZE"],
        ),
        (("TRANSHIP_QUIET", "yes"), &["TRANSHIP_QUIET is neither true nor false: \"yes\""]),
        (
            ("TRANSHIP_INCLUDE", "a,b"),
            &["TRANSHIP_INCLUDE is not a JSON array of strings: \"a,b\"", "'[\"first\""],
        ),
        (
            ("TRANSHIP_COMPARE", "Etag"),
            &["TRANSHIP_COMPARE does not know \"Etag\"", "did you mean \"etag\"?"],
        ),
        (("TRANSHIP_SOURCE_PROFILE", ""), &["TRANSHIP_SOURCE_PROFILE is empty"]),
    ] {
        assert_message(with_env(&[env]), parts);
    }
    let homeless = with_env(&[("HOME", "")]);
    assert_message(homeless, &["no directory for the ledger", "--ledger FILE"]);
}

#[test]
fn the_file_is_named_on_the_command_line_or_in_the_environment() {
    let mut args = CopyArgs::default();
    let env = BTreeMap::from([("TRANSHIP_CONFIG".to_owned(), "/e".to_owned())]);
    let paths = |args: &CopyArgs, env| config_paths(args, env).0;
    assert_eq!(paths(&args, &env), [Path::new("/e")]);
    args.state.config = vec!["/c".to_owned(), "/d".to_owned()];
    assert_eq!(paths(&args, &env), [Path::new("/c"), Path::new("/d")]);
    assert!(paths(&CopyArgs::default(), &BTreeMap::new()).is_empty());
}

#[test]
fn of_two_files_the_later_wins_option_by_option() {
    let args = CopyArgs {
        source: Some(PLACES[0].to_owned()),
        destination: Some(PLACES[1].to_owned()),
        ..CopyArgs::default()
    };
    let env = BTreeMap::from([("HOME".to_owned(), "/home/me".to_owned())]);
    let one = config("retries = 1\nconcurrency = 7\ninclude = [\"a\", \"b\"]\n");
    let other = config("retries = 2\ninclude = [\"c\"]\n");
    let settings = CopySettings::resolve(&args, &env, &[one.clone(), other.clone()]).unwrap();
    assert_eq!((settings.retries, settings.concurrency), (2, 7));
    assert_eq!(settings.select.include_globs, ["c"]);
    let settings = CopySettings::resolve(&args, &env, &[other, one]).unwrap();
    assert_eq!((settings.retries, settings.select.include_globs.len()), (1, 2));
    // A mistake is told of the file that has it, although the other one would win.
    let wrong = ConfigFile { path: PathBuf::from("wrong.toml"), text: "retries = []".to_owned() };
    let mistake = CopySettings::resolve(&args, &env, &[wrong, config("retries = 3")]).unwrap_err();
    assert!(mistake.place.contains("\"wrong.toml\", line 1"), "{mistake:?}");
}

#[test]
fn a_forecast_and_a_report_are_told_by_options() {
    let settings =
        with_args(&["--rate", "1MiB..2MiB", "--egress-price", "0.02", "--report", "out"]).unwrap();
    assert_eq!(settings.rate.map(|band| (band.low, band.high)), Some((1 << 20, 2 << 20)));
    assert_eq!(settings.egress_nanodollars, Some(20_000_000));
    assert_eq!(settings.report, Some(PathBuf::from("out")));
    assert_eq!(settings.acl_sample, 100);
    let settings = with_toml("rate = \"5MiB\"\negress-price = \"0\"\nacl-sample = 0\n").unwrap();
    assert_eq!(settings.acl_sample, 0);
    assert_eq!(settings.rate.map(|band| (band.low, band.high)), Some((5 << 20, 5 << 20)));
    assert_eq!((settings.egress_nanodollars, settings.report), (Some(0), None));
    let dry = with_args(&["--dry-run", "--report", "out"]).unwrap();
    assert_eq!(dry.report, None, "a dry run writes none");
}

/// What hardly any option takes.
const JUNK: [&str; 14] = [
    "",
    " ",
    "-1",
    "0",
    "1e3",
    "99999999999999999999999",
    "64 MiB",
    "nonsense",
    "[",
    "(",
    "\u{1b}[31m",
    "\u{202e}\n",
    "\0",
    "1970-13-01",
];

/// One option with a text in each place where it can stand: settings, or a message that names the option
/// as it was written, and is fit to be read. Says whether each was taken.
fn taken(option: &str, kind: names::Kind, text: &str) -> Vec<bool> {
    let variable = layers::variable(option);
    let list = serde_json::json!([text]).to_string();
    let in_variable = if kind == names::Kind::List { &list } else { text };
    let of_others = [("TRANSHIP_SOURCE", PLACES[0]), ("TRANSHIP_DESTINATION", PLACES[1])];
    let of_others = of_others.into_iter().filter(|(name, _)| *name != variable);
    let env: Vec<_> = of_others.chain([(variable.as_str(), in_variable)]).collect();
    let mut all = vec![(Written { env: &env, ..Written::default() }, variable.as_str())];
    let word = format!("--{option}={text}");
    let args: Vec<_> = PLACES.into_iter().chain([word.as_str()]).collect();
    let quoted = toml::Value::String(text.to_owned());
    let is_list = kind == names::Kind::List;
    let toml =
        if is_list { format!("{option} = [{quoted}]") } else { format!("{option} = {quoted}") };
    if !names::is_positional(option) {
        all.push((Written { args: &args, ..Written::default() }, option));
        all.push((Written { args: &PLACES, toml: Some(&toml), ..Written::default() }, option));
    }
    let is_taken = |(written, name): (Written<'_>, &str)| {
        let Err(message) = resolve(written) else { return true };
        assert!(message.contains(name), "{written:?} {message}");
        // clap quotes what was written, on its own account.
        let is_ours = message.contains("to do: ");
        assert!(!is_ours || !message.contains(is_hidden), "{message:?}");
        false
    };
    all.into_iter().map(is_taken).collect()
}

fn is_hidden(c: char) -> bool {
    c.is_control() && c != '\n'
}

#[test]
fn junk_in_any_option_is_taken_or_named() {
    let junk = |(option, kind)| JUNK.into_iter().flat_map(move |junk| taken(option, kind, junk));
    let all: Vec<bool> = names::OPTIONS.into_iter().flat_map(junk).collect();
    let count = |is: bool| all.iter().filter(|taken| **taken == is).count();
    assert!(count(true) > 300 && count(false) > 700, "{} {}", count(true), count(false));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_settings_or_a_mistake_with_its_place(
        words in prop::collection::vec(
            (prop::sample::select(&names::OPTIONS[..]), prop_oneof![
                any::<String>(),
                "[0-9]{1,20} ?[KMGTP]?i?B?",
                "\\[\"[a-z*?\\[{]{0,6}\"\\]",
                "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z?)?",
                "s3://[a-zA-Z0-9._@:/-]{0,20}",
                "true|false",
            ], 0..3_u8),
            0..6,
        ),
        toml in prop_oneof![Just(String::new()), any::<String>()],
    ) {
        let mut env = BTreeMap::new();
        let mut file = toml;
        for ((option, _), text, place) in words {
            match place {
                0 => drop(env.insert(layers::variable(option), text)),
                1 => file.extend(["\n", option, " = ", &text]),
                _ => file.extend(["\n", option, " = ", &toml::Value::String(text).to_string()]),
            }
        }
        env.insert("HOME".to_owned(), "/home/me".to_owned());
        let args = CopyArgs {
            source: Some(PLACES[0].to_owned()),
            destination: Some(PLACES[1].to_owned()),
            ..CopyArgs::default()
        };
        if let Err(mistake) = CopySettings::resolve(&args, &env, &[config(&file)]) {
            for text in [&mistake.what, &mistake.place, &mistake.remedy] {
                prop_assert!(!text.is_empty() && !text.contains(is_hidden), "{:?}", mistake);
            }
            let is_named = names::OPTIONS.iter().any(|(option, _)| mistake.place.contains(option))
                || mistake.place.contains("TRANSHIP_")
                || mistake.place.contains(FILE);
            prop_assert!(is_named, "{:?}", mistake);
        }
    }
}
