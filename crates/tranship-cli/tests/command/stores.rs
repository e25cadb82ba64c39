//! Stores that refuse: which side, why, what to do; nothing is written.

use std::collections::BTreeMap;

use tranship_server::{Fault, Matcher, Properties, Rule, ServerOptions};

use crate::support::{
    CANARY, DESTINATION, MIB, SOURCE, World, expect_all_there, expect_outcomes, noise, run,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_named_with_its_side() {
    let world = World::new().await;
    world.put("k", "bytes");
    let (source, destination) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
    for (from, to, words) in [
        ("s3://nowhere", &*destination, ["the source", "s3://nowhere", "--source-endpoint"]),
        (&*source, "s3://nowhere", ["the destination", "s3://nowhere", "--destination-endpoint"]),
    ] {
        let words = [&words[..], &["NoSuchBucket", "create the bucket", "nothing was written"]];
        world.refuses(world.copying_at(from, to, &[]), 4, &words.concat());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_region_is_answered_with_the_right_one() {
    let at = |region: &str| ServerOptions { region: region.to_owned(), ..ServerOptions::default() };
    let world = World::with(at("eu-west-1"), at("ap-south-1")).await;
    world.put("k", "bytes");
    let words = ["the source", "the bucket is in region eu-west-1", "--source-region"];
    world.refuses(world.copying(&[]), 4, &words);
    let words = ["the destination", "in region ap-south-1", "--destination-region"];
    world.refuses(world.copying(&["--source-region", "eu-west-1"]), 4, &words);
    let right = ["--source-region", "eu-west-1", "--destination-region", "ap-south-1"];
    expect_outcomes(&world.copy_in_json(&right), &[("copied", 1)]);
}

/// Only advice and deletes depend on what a bucket says of itself: a store that has no answer to it can be copied.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_know_a_question_about_its_bucket_is_copied_all_the_same() {
    for (operation, status, code) in [
        ("GetBucketVersioning", 400, "InvalidArgument"),
        ("GetBucketVersioning", 404, "NotFound"),
        ("GetBucketVersioning", 404, "NoSuchKey"),
        ("GetBucketVersioning", 409, "SomethingElse"),
        ("HeadBucket", 400, "InvalidArgument"),
        ("HeadBucket", 501, "NotImplemented"),
    ] {
        let world = World::new().await;
        world.put("k", "bytes");
        for server in [&world.source, &world.destination] {
            let refuse = Fault::Refuse { status, code };
            server.faults().add(Rule::new(Matcher::on(operation), refuse));
        }
        expect_outcomes(&world.copy_in_json(&[]), &[("copied", 1)]);
        // It may keep none: what would be deleted there may be lost.
        let words = ["keeps no versions", "--delete-unversioned"];
        run(world.copying(&["--delete"])).expect(2, &words);
    }
    // What every call would meet is no answer to this one.
    let world = World::new().await;
    world.put("k", "bytes");
    let refuse = Fault::Refuse { status: 403, code: "InvalidAccessKeyId" };
    world.source.faults().add(Rule::new(Matcher::on("GetBucketVersioning"), refuse));
    world.refuses(world.copying(&[]), 4, &["InvalidAccessKeyId", "--source-profile"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_may_not_be_listed_stops_the_run_before_it_begins() {
    let world = World::new().await;
    world.put("k", "bytes");
    world.here().configure(SOURCE, |bucket| bucket.deny_list = true);
    let words =
        ["the source", "ListObjectsV2", "AccessDenied", "s3:ListBucket", "--source-profile"];
    world.refuses(world.copying(&[]), 4, &words);
    world.here().configure(SOURCE, |bucket| bucket.deny_list = false);
    world.there().configure(DESTINATION, |bucket| bucket.deny_list = true);
    let words = ["the destination", "AccessDenied", "s3:PutObject", "--destination-profile"];
    world.refuses(world.copying(&[]), 4, &words);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_may_not_be_read_stops_the_run_before_it_begins() {
    let world = World::new().await;
    for n in 0..20 {
        world.put(&format!("{n}"), "bytes");
    }
    world.here().configure(SOURCE, |bucket| bucket.deny_read = true);
    let words = ["the source", "HeadObject", "403", "s3:GetObject", "--source-profile"];
    world.refuses(world.copying(&[]), 4, &words);
    world.here().configure(SOURCE, |bucket| bucket.deny_read = false);
    world.copy(&[]).expect(0, &["copied"]);
    world.expect_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_may_not_be_written_halts_the_run_which_can_go_on() {
    let world = World::new().await;
    for n in 0..20 {
        world.put(&format!("{n}"), "bytes");
    }
    let deny = |on| world.there().configure(DESTINATION, |bucket| bucket.deny_write = on);
    deny(true);
    let done = world.copy(&[]);
    let call = "PutObject s3://destination";
    done.expect(4, &["halted", call, "AccessDenied", "0 of 20 objects", "to resume, run:"]);
    assert_eq!(world.there().keys(DESTINATION), [""; 0]);
    deny(false);
    let done = world.copy(&["--json"]);
    assert_eq!(done.events()[0]["resumed"], true, "{done}");
    expect_outcomes(&done.last_event(), &[("copied", 20)]);
    world.expect_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_and_missing_credentials_are_told_apart() {
    let world = World::new().await;
    world.put("k", "bytes");
    let with = |pairs: &[(&str, &str)]| {
        let mut command = world.copying(&[]);
        command.envs(pairs.iter().copied());
        command
    };
    let wrong_secret = with(&[("AWS_SECRET_ACCESS_KEY", "another")]);
    world.refuses(wrong_secret, 4, &["the source", "SignatureDoesNotMatch", "--source-profile"]);
    let wrong_id = with(&[("AWS_ACCESS_KEY_ID", "AKIDNOBODY")]);
    world.refuses(wrong_id, 4, &["the source", "give credentials", "nothing was written"]);
    let mut none = with(&[]);
    none.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let words = ["the source", "no usable credentials", "AWS_ACCESS_KEY_ID", "--source-anonymous"];
    world.refuses(none, 4, &words);
    let no_profile = world.copying(&["--destination-profile", "nobody"]);
    let config = format!("{}", world.path(".aws/config").display());
    let words = ["the destination", "no usable credentials", "profile nobody", &config];
    world.refuses(no_profile, 4, &words);
    let mut elsewhere = world.copying(&["--source-profile", "nobody"]);
    elsewhere.env("AWS_SHARED_CREDENTIALS_FILE", "/etc/keys");
    world.refuses(elsewhere, 4, &["the source", "profile nobody", &config, "/etc/keys were read"]);
}

/// Objects of a transfer that is refused in the midst of it.
const SMALL: u64 = 40;
const PARTS: u64 = 8;

/// The store answers nothing but this to one call, from some time on: the run halts with one message,
/// keeps what was copied, and goes on from there.
async fn halts_and_goes_on(
    operation: &str,
    skip: u64,
    status: u16,
    code: &'static str,
    to_do: &str,
) {
    let fault = Fault::Refuse { status, code };
    let what = format!("{operation} {fault:?}");
    let at_source = operation == "GetObject";
    let world = World::new().await;
    for n in 0..SMALL {
        world.put(&format!("{n:02}"), noise(n, 500));
    }
    world.put("large", noise(99, usize::try_from(PARTS).unwrap() * 5 * MIB));
    let server = if at_source { &world.source } else { &world.destination };
    server.faults().add(Rule::new(Matcher::on(operation), fault.clone()).skip(skip));
    if code == "AccessDenied" && operation == "PutObject" {
        // Whoever may not write an object may not begin one in parts: it is the same permission.
        let upload = Matcher::on("CreateMultipartUpload");
        server.faults().add(Rule::new(upload, fault).skip(1));
    }
    let options = ["--part-size", "5MiB", "--multipart-threshold", "6MiB", "--concurrency", "2"];
    let done = world.copy(&options);
    done.expect(4, &["halted", code, to_do, "to resume, run:"]);
    let said = format!("{}{}", done.out, done.err);
    assert_eq!(said.matches("halted").count(), 1, "{what}: {done}");
    let was_copied = world.there().keys(DESTINATION);
    let parts = world.destination.requests().count("UploadPart");
    assert!(was_copied.len() < 41, "{what}: nothing was left to do");

    server.faults().clear();
    let done = world.copy(&[&options[..], &["--json"]].concat());
    let begun = done.events().swap_remove(0);
    assert_eq!(begun.get("resumed"), Some(&true.into()), "{what}: {done}");
    expect_all_there(&done.last_event(), SMALL + 1);
    world.expect_equal();
    for key in world.there().keys(DESTINATION) {
        assert_eq!(world.there().count_writes(DESTINATION, &key), 1, "{what}: {key}");
    }
    // What was taken before is not sent again, but for what was in flight on two streams.
    let taken = if operation == "UploadPart" { skip } else { parts };
    let sent = world.destination.requests().count("UploadPart") - parts;
    assert!(taken + sent <= PARTS + 2, "{what}: {taken} parts, and then {sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_end_in_mid_run_halt_it_and_good_ones_go_on() {
    for (status, code, to_do) in [
        (403, "ExpiredToken", "give credentials that are good now"),
        (400, "ExpiredToken", "give credentials that are good now"),
        (403, "InvalidAccessKeyId", "give credentials that are good now"),
        (403, "AccessDenied", "give credentials that are allowed to do this"),
        (403, "RequestTimeTooSkewed", "set this machine's clock"),
    ] {
        for (operation, skip) in [("PutObject", 10), ("UploadPart", 3), ("GetObject", 12)] {
            halts_and_goes_on(operation, skip, status, code, to_do).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_object_that_is_denied_fails_alone() {
    let world = World::new().await;
    for key in ["a", "secret", "z"] {
        world.put(key, key);
    }
    let denied = Fault::Refuse { status: 403, code: "AccessDenied" };
    world.source.faults().add(Rule::new(Matcher::on("GetObject").key("secret"), denied));
    let done = world.copy(&[]);
    done.expect(3, &["1 object failed", "secret", "AccessDenied", "failure list"]);
    assert_eq!(world.there().keys(DESTINATION), ["a", "z"], "{done}");
    world.source.faults().clear();
    expect_outcomes(&world.copy_in_json(&[]), &[("copied", 1), ("equal", 2)]);
    world.expect_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_object_that_may_not_be_written_fails_alone() {
    let world = World::new().await;
    for key in ["a", "locked", "z"] {
        world.put(key, key);
    }
    let denied = Fault::Refuse { status: 403, code: "AccessDenied" };
    world.destination.faults().add(Rule::new(Matcher::any().key("locked"), denied));
    let done = world.copy(&[]);
    let words =
        ["1 object failed", "locked", "AccessDenied", "the bucket's policy", "failure list"];
    done.expect(3, &words);
    assert_eq!(world.there().keys(DESTINATION), ["a", "z"], "{done}");
    assert_eq!(world.there().open_uploads(DESTINATION), []);
    world.destination.faults().clear();
    expect_outcomes(&world.copy_in_json(&[]), &[("copied", 1), ("equal", 2)]);
    world.expect_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_named() {
    let world = World::new().await;
    world.put("k", "bytes");
    let skewed = Fault::Refuse { status: 403, code: "RequestTimeTooSkewed" };
    world.source.faults().add(Rule::new(Matcher::any(), skewed));
    let words = ["the source", "RequestTimeTooSkewed", "the store's clock says", "clock", "NTP"];
    world.refuses(world.copying(&[]), 4, &words);
}

/// A source may hold more user metadata than S3 takes: nothing is dropped in silence.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_the_destination_cannot_hold_fails_its_object_alone() {
    let world = World::new().await;
    let metadata = BTreeMap::from([("m".to_owned(), "x".repeat(2_500))]);
    let rich = Properties { metadata, ..Properties::default() };
    for (key, size) in [("rich/small", 100), ("rich/large", 7 * MIB)] {
        world.here().put_with(SOURCE, key, noise(1, size), rich.clone(), vec![]);
    }
    world.put("plain", "bytes");
    let options = ["--part-size", "5MiB", "--multipart-threshold", "6MiB"];
    let done = world.copy(&options);
    let words = ["2 objects failed", "rich/small", "rich/large", "MetadataTooLarge", "shorten it"];
    done.expect(3, &words);
    assert_eq!(world.there().keys(DESTINATION), ["plain"]);
    assert_eq!(world.there().open_uploads(DESTINATION), []);
    for key in ["rich/small", "rich/large"] {
        world.here().change(SOURCE, key, |object| object.properties.metadata.clear());
    }
    let ended = world.copy_in_json(&options);
    expect_outcomes(&ended, &[("copied", 2), ("equal", 1)]);
    world.expect_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_side_can_have_a_profile() {
    let world = World::new().await;
    world.put("k", "bytes");
    std::fs::create_dir(world.path(".aws")).unwrap();
    let profile =
        format!("[right]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = {CANARY}\n");
    world.write(".aws/credentials", profile);
    let mut command =
        world.copying(&["--json", "--source-profile", "right", "--destination-profile", "right"]);
    command.env("AWS_SECRET_ACCESS_KEY", "wrong");
    expect_outcomes(&run(command).last_event(), &[("copied", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_accounts_bucket_and_a_payers_bucket_are_refused() {
    let world = World::new().await;
    world.put("k", "bytes");
    world.there().configure(DESTINATION, |bucket| bucket.owner = Some("111122223333".to_owned()));
    let other = world.copying(&["--expected-bucket-owner", "444455556666"]);
    world.refuses(other, 4, &["the destination", "AccessDenied"]);
    world.here().configure(SOURCE, |bucket| bucket.requester_pays = true);
    world.refuses(world.copying(&[]), 4, &["the source", "AccessDenied"]);
    let both = ["--expected-bucket-owner", "111122223333", "--source-requester-pays"];
    expect_outcomes(&world.copy_in_json(&both), &[("copied", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_does_not_answer_is_named() {
    let world = World::new().await;
    let mut command = world.bare(&["copy", "s3://aaa", "s3://bbb"]);
    command.args(["--source-endpoint", "http://127.0.0.1:1"]);
    command.args(["--destination-endpoint", &world.destination.endpoint()]);
    world.refuses(command, 1, &["the source", "http://127.0.0.1:1", "check --source-endpoint"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn amazon_needs_a_region() {
    let world = World::new().await;
    let command = world.bare(&["copy", "s3://aaa", "s3://bbb"]);
    world.refuses(command, 2, &["s3://aaa", "there is no region", "AWS_REGION"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_the_aws_configuration_is_never_taken_in_silence() {
    let world = World::new().await;
    world.put("k", "bytes");
    let elsewhere = world.source.endpoint();
    std::fs::create_dir(world.path(".aws")).unwrap();
    let config = format!(
        "[profile one]\nendpoint_url = {elsewhere}\n[profile two]\nservices = two\n[services two]\ns3 =\n  endpoint_url = {elsewhere}\n"
    );
    world.write(".aws/config", config);
    let (from, to) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
    for (name, value) in [
        ("AWS_ENDPOINT_URL", &*elsewhere),
        ("AWS_ENDPOINT_URL_S3", &elsewhere),
        ("AWS_PROFILE", "one"),
        ("AWS_PROFILE", "two"),
    ] {
        let mut command = world.bare(&["copy", &from, &to, "--source-region", "us-east-1"]);
        command.args(["--destination-endpoint", &world.destination.endpoint()]);
        command.env(name, value);
        let words = ["the source", "AWS_ENDPOINT_URL", &elsewhere, "AWS_IGNORE_CONFIGURED"];
        world.refuses(command, 2, &words);
    }
    assert_eq!(world.source.requests().total(), 0, "no store was asked");
    // Options of ours go before all of them.
    let mut command = world.copying(&["--json"]);
    command.env("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1");
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    expect_outcomes(&run(command).last_event(), &[("copied", 1)]);
    world.expect_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_needs_its_bundle() {
    let tls = || ServerOptions { tls: true, ..ServerOptions::default() };
    let world = World::with(tls(), tls()).await;
    world.put("k", "bytes");
    world.put("large", vec![7; 12 << 20]);
    let mut both = world.source.ca_pem().unwrap().to_owned();
    both.push_str(world.destination.ca_pem().unwrap());
    world.write("ca.pem", both);
    world.refuses(world.copying(&[]), 1, &["the source", "certificate", "--ca-bundle"]);
    let options = ["--ca-bundle", "ca.pem", "--multipart-threshold", "6MiB", "--part-size", "5MiB"];
    expect_outcomes(&world.copy_in_json(&options), &[("copied", 2)]);
    world.expect_equal();
    assert_eq!(world.destination.requests().count("UploadPart"), 3);
}
