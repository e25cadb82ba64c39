//! Mistakes that are found before any store is asked: what, where, what to do; exit code 2.

use crate::support::{CANARY, DESTINATION, SOURCE, World, text};

/// The options, and what the message must hold.
type Case<'a> = (&'a [&'a str], &'a [&'a str]);

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_command_line_is_explained() {
    let world = World::new().await;
    let cases: &[Case<'_>] = &[
        (&[], &["Usage: tranship <COMMAND>"]),
        (&["cpoy"], &["unrecognized subcommand 'cpoy'", "a similar subcommand exists: 'copy'"]),
        (&["completions", "tcsh"], &["invalid value 'tcsh'", "bash"]),
        (&["copy"], &["SOURCE is missing", "the command line", "s3://bucket/prefix"]),
        (&["copy", "s3://aaa"], &["DESTINATION is missing", "the command line"]),
        (&["copy", "s3://aaa", "s3://bbb", "s3://ccc"], &["unexpected argument 's3://ccc'"]),
        (&["copy", "./here", "s3://bbb"], &["not a place in a store", "SOURCE", "not files"]),
        (
            &["copy", "ftp://aaa", "s3://bbb"],
            &["not a place in a store", "s3://, oss://, cos://, kodo://, gs://"],
        ),
        (&["copy", "s3://", "s3://bbb"], &["a bucket name that is empty", "SOURCE"]),
        (&["copy", "s3://a_b", "s3://bbb"], &["small letters", "--source-path-style"]),
        (&["copy", "s3://aaa", "s3://bbb", "--\u{1b}[31m"], &["unexpected argument"]),
        (&["copy", "\u{1b}[31m", "s3://bbb"], &["\\u{1b}[31m"]),
    ];
    for (args, words) in cases {
        world.refuses(world.bare(args), 2, words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_option_is_explained() {
    let world = World::new().await;
    let cases: &[Case<'_>] = &[
        (&["--retires", "1"], &["unexpected argument '--retires'", "'--retries'"]),
        (&["--part-size"], &["a value is required for '--part-size <SIZE>'"]),
        (&["--part-size", "1"], &["--part-size 1B is below the least, 5MiB", "from 5MiB to 5GiB"]),
        (&["--part-size", "6GiB"], &["--part-size 6GiB is above the most, 5GiB"]),
        (&["--part-size", "many"], &["--part-size is not a size: \"many\"", "such as 64MiB"]),
        (&["--multipart-threshold", "1MiB"], &["below the least, 5MiB", "--multipart-threshold"]),
        (&["--concurrency", "0"], &["--concurrency 0 is not within 1 to 4096"]),
        (&["--retries", "-1"], &["not a whole number within 0 to 100: \"-1\""]),
        (
            &["--concurrency", "512", "--memory-budget", "128MiB"],
            &["--memory-budget 128MiB is below 544MiB", "--concurrency 96 at most"],
        ),
        (&["--compare", "etags"], &["invalid value 'etags'", "'etag'"]),
        (&["--storage-class", "STANDARD IA"], &["--storage-class does not know", "STANDARD_IA"]),
        (&["--modified-after", "yesterday"], &["RFC 3339: \"yesterday\"", "2024-05-01T00:00:00Z"]),
        (&["--expected-bucket-owner", "me"], &["not an account number", "12 digits"]),
        (&["--delete-max", "5"], &["--delete-max has no effect without --delete", "add --delete"]),
        (&["--delete", "--delete-max-ratio", "101"], &["101 is not within 0 to 100"]),
        (&["--delete", "--keys-from", "k"], &["--delete and --keys-from contradict", "leave one"]),
        (&["--min-size", "2", "--max-size", "1"], &["--min-size and --max-size contradict"]),
        (&["--json", "--quiet"], &["contradict", "--quiet", "--json"]),
        (&["--source-anonymous", "--source-profile", "p"], &["contradict", "no credentials"]),
        (&["--sse-kms-key-id", "k"], &["no effect without --sse aws:kms"]),
        (&["--server-side", "always"], &["different stores", "write auto"]),
        (&["--ledger", "same", "--failures", "same"], &["contradict", "two different files"]),
        (&["--ledger="], &["--ledger is empty", "give a value"]),
        (&["--include", "a[b"], &["--include is not a glob: \"a[b\" at character 2", "no ] for"]),
        (&["--exclude", "a{b"], &["--exclude is not a glob", "at character 2"]),
        (&["--include-regex", "a(b"], &["not a regular expression: \"a(b\" at character 2"]),
        (&["--exclude-regex", "*"], &["not a regular expression: \"*\" at character 1"]),
        (&["--ca-bundle", "none.pem"], &["the CA bundle none.pem cannot be read", "--ca-bundle"]),
        (&["--keys-from", "none"], &["the file of keys none cannot be read", "--keys-from"]),
    ];
    for (options, words) in cases {
        world.refuses(world.copying(options), 2, words);
    }
    assert_eq!(world.source.requests().total(), 0, "no store was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_file_is_explained() {
    let world = World::new().await;
    world.write("latin1", b"good\nsch\xf6n\n");
    world.write("text.pem", "no certificate");
    std::fs::create_dir(world.path("folder")).unwrap();
    let cases: &[Case<'_>] = &[
        (
            &["--keys-from", "latin1"],
            &["file of keys latin1", "line 2 is not UTF-8", "--keys-from"],
        ),
        (&["--keys-from", "folder"], &["file of keys folder cannot be read", "--keys-from"]),
        (&["--ca-bundle", "text.pem"], &["CA bundle text.pem is not one", "no certificate in it"]),
        (&["--ca-bundle", "folder"], &["CA bundle folder cannot be read"]),
    ];
    for (options, words) in cases {
        world.refuses(world.copying(options), 2, words);
    }
    assert_eq!(world.source.requests().total(), 0, "no store was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_file_is_explained_with_line_and_key() {
    let world = World::new().await;
    let cases: &[(&[u8], &[&str])] = &[
        (
            b"retries = 1\npart_size = 5\n",
            &["line 2, key \"part_size\"", "unknown key", "\"part-size\""],
        ),
        (
            b"retries = 1\npart-size = \"1MiB\"",
            &["line 2, key \"part-size\"", "below the least, 5MiB"],
        ),
        (b"\ndelete = \"yes\"", &["line 2, key \"delete\"", "must be true or false"]),
        (b"include = \"*.jpg\"", &["line 1, key \"include\"", "an array of strings"]),
        (b"include = [\"a[\"]", &["line 1, key \"include\"", "not a glob", "at character 2"]),
        (b"retries = 1\nretries = 2", &["line 2, key \"retries\"", "duplicate"]),
        (b"retries = = 2", &["line 1, key \"retries\"", "not valid TOML"]),
        (b"[copy]\nretries = 2", &["line 1", "unknown key \"copy\""]),
        (b"config = \"other.toml\"", &["line 1", "cannot name another"]),
        (b"\n\xff", &["is not UTF-8 in line 2"]),
    ];
    for (toml, words) in cases {
        world.write("tranship.toml", toml);
        world.refuses(world.copying(&["--config", "tranship.toml"]), 2, words);
        let mut by_environment = world.copying(&[]);
        by_environment.env("TRANSHIP_CONFIG", "tranship.toml");
        world.refuses(by_environment, 2, words);
    }
    let none = ["\"none.toml\" cannot be read", "--config", "name a readable TOML file"];
    world.refuses(world.copying(&["--config", "none.toml"]), 2, &none);
    assert_eq!(world.source.requests().total(), 0, "no store was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_environment_is_explained() {
    let world = World::new().await;
    for (name, value, words) in [
        (
            "TRANSHIP_PARTSIZE",
            "5MiB",
            &["unknown variable TRANSHIP_PARTSIZE", "TRANSHIP_PART_SIZE"][..],
        ),
        ("TRANSHIP_PART_SIZE", "1", &["TRANSHIP_PART_SIZE 1B is below the least, 5MiB"]),
        ("TRANSHIP_DELETE", "yes", &["TRANSHIP_DELETE is neither true nor false: \"yes\""]),
        ("TRANSHIP_INCLUDE", "*.jpg", &["TRANSHIP_INCLUDE is not a JSON array of strings"]),
        (
            "TRANSHIP_COMPARE",
            "etags",
            &["TRANSHIP_COMPARE does not know", "did you mean \"etag\"?"],
        ),
        ("HOME", "", &["no directory for the ledger", "give --ledger FILE"]),
    ] {
        let mut command = world.copying(&[]);
        command.env(name, value);
        world.refuses(command, 2, words);
    }
    assert_eq!(world.source.requests().total(), 0, "no store was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_into_itself_is_refused() {
    let world = World::new().await;
    world.put("a/b/k", "bytes");
    let endpoint = world.source.endpoint();
    let again = format!("{}/", endpoint.to_uppercase());
    for (from, to, what) in [
        ("", "", "the source is the destination"),
        ("a/", "a/", "the source is the destination"),
        ("a/b/", "a/", "lies inside the destination"),
        ("a", "a/b", "lies inside the source"),
        ("", "a/", "lies inside the source"),
    ] {
        let place = |prefix| format!("s3://{SOURCE}/{prefix}");
        let mut command = world.bare(&["copy", &place(from), &place(to)]);
        // The same store, written in two ways.
        command.args(["--source-endpoint", &endpoint, "--destination-endpoint", &again]);
        world.refuses(
            command,
            2,
            &[what, "SOURCE", "DESTINATION", "neither begins with the other"],
        );
    }
    assert_eq!(world.here().keys(SOURCE), ["a/b/k"]);
    assert_eq!(world.source.requests().total(), 0, "no store was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_the_wrong_place_is_not_repeated() {
    let world = World::new().await;
    let in_endpoint = format!("http://id:{CANARY}@127.0.0.1:9");
    let in_bucket = format!("s3://id:{CANARY}@{SOURCE}/k");
    let in_url = format!("https://id:{CANARY}@host/{SOURCE}");
    let there = format!("s3://{DESTINATION}");
    for (args, words) in [
        (
            &["copy", "s3://aaa", "s3://bbb", "--source-endpoint", &in_endpoint][..],
            &["--source-endpoint holds a user name or a password"][..],
        ),
        (&["copy", &in_bucket, &there], &["credentials come from the environment"]),
        (
            &["copy", &there, &in_bucket, "--destination-endpoint", "http://h"],
            &["credentials come"],
        ),
        (&["copy", &in_url, &there], &["not a place in a store"]),
        (
            &["copy", "s3://aaa", "s3://bbb", &format!("--source-secret={CANARY}")],
            &["--source-secret"],
        ),
    ] {
        world.refuses(world.bare(args), 2, words);
    }
    world.write("tranship.toml", format!("retries = 1\nsecret-key = \"{CANARY}\"\n"));
    let words = ["line 2, key \"secret-key\"", "unknown key"];
    world.refuses(world.copying(&["--config", text(&world.path("tranship.toml"))]), 2, &words);
    world.write("tranship.toml", format!("secret-key = {CANARY}\n"));
    world.refuses(world.copying(&["--config", "tranship.toml"]), 2, &["line 1", "not valid TOML"]);
}
