//! The promises of a copy, over real HTTP between two strict servers.

use std::collections::BTreeMap;

use tranship_core::loss::Loss;
use tranship_core::outcome::Outcome;
use tranship_core::policy::{Compare, DeleteGuard, Overwrite, Policy};
use tranship_core::rows::RunState;
use tranship_server::{
    CompleteReplay, EtagMode, Fault, Matcher, Properties, Rule, ServerOptions, Versioning,
};
use tranship_tests::keys::HOSTILE;
use tranship_tests::rig::{DESTINATION, How, MIB, Report, Rig, SOURCE, noise};

/// Small parts and a low threshold make a multi-part object of a few mebibytes.
fn in_parts() -> Policy {
    Policy {
        multipart_threshold_bytes: 6 << 20,
        part_size_bytes: Some(5 << 20),
        ..Policy::default()
    }
}

fn parts(seed: u64, sizes: &[usize]) -> Vec<bytes::Bytes> {
    sizes.iter().zip(seed..).map(|(size, seed)| noise(seed, *size).into()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_keys_arrive_byte_for_byte() {
    for encode_listing in [true, false] {
        let options = ServerOptions { encode_listing, ..ServerOptions::default() };
        let mut rig = Rig::with(options.clone(), options).await;
        rig.prefixes = ("in".to_owned(), "out//".to_owned());
        let mut copied = 0;
        for (n, key) in HOSTILE.into_iter().enumerate() {
            // XML cannot carry these bare.
            if !encode_listing && key.contains(['\u{7}', '\t', '\n']) {
                continue;
            }
            rig.put(&format!("in{key}"), noise(copied, 50 + n));
            copied += 1;
        }
        rig.put("in", "");
        rig.put("elsewhere", "not under the prefix");
        rig.copy(Policy::default()).await.expect(&[("copied", copied + 1)]);
        rig.here().delete(SOURCE, "elsewhere");
        rig.expect_equal();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_tags_and_metadata_arrive() {
    let rig = Rig::new().await;
    let text = |text: &str| Some(text.to_owned());
    let properties = Properties {
        content_type: text("text/html; charset=utf-8"),
        content_encoding: text("gzip"),
        content_language: text("de"),
        content_disposition: text("attachment; filename=\"a b.html\""),
        cache_control: text("max-age=60"),
        website_redirect_location: text("/elsewhere"),
        storage_class: text("STANDARD_IA"),
        metadata: BTreeMap::from([("owner".to_owned(), "naïve café 😀".to_owned())]),
        ..Properties::default()
    };
    let tags =
        vec![("project".to_owned(), "a+b & c=d".to_owned()), ("é".to_owned(), String::new())];
    for (key, size) in [("small", 100), ("large", 8 * MIB)] {
        rig.here().put_with(SOURCE, key, noise(1, size), properties.clone(), tags.clone());
    }
    rig.copy(in_parts()).await.expect(&[("copied", 2)]);
    rig.expect_equal();
    for key in ["small", "large"] {
        let object = rig.there().get(DESTINATION, key).unwrap();
        let mut there = object.properties.clone();
        there.metadata.retain(|name, _| !name.starts_with("tranship-"));
        assert_eq!(there, properties, "{key}");
        let sorted = |mut tags: Vec<(String, String)>| {
            tags.sort();
            tags
        };
        assert_eq!(sorted(object.tags.clone()), sorted(tags.clone()), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_copies_nothing() {
    for etags in [EtagMode::Md5, EtagMode::Random] {
        let options = ServerOptions { etags, ..ServerOptions::default() };
        let rig = Rig::with(ServerOptions::default(), options).await;
        for n in 0..30 {
            rig.put(&format!("small/{n}"), noise(n, 1_000));
        }
        rig.put("large", noise(77, 12 * MIB));
        rig.here().put_multipart(SOURCE, "multipart", parts(5, &[5 * MIB, 100]));
        rig.copy(in_parts()).await.expect(&[("copied", 32)]);
        rig.expect_equal();
        rig.destination.requests().clear();
        rig.copy(in_parts()).await.expect(&[("equal", 32)]);
        for write in ["PutObject", "UploadPart", "CreateMultipartUpload"] {
            assert_eq!(rig.destination.requests().count(write), 0, "{write}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_objects_cost_no_request_of_their_own() {
    let rig = Rig::new().await;
    for n in 0..50 {
        rig.put(&format!("{n}"), noise(n, 100));
    }
    rig.copy(Policy::default()).await.expect(&[("copied", 50)]);
    assert_eq!(rig.source.requests().count("GetObject"), 50);
    // One asks, before the run begins, whether the source may be read at all.
    assert_eq!(rig.source.requests().count("HeadObject"), 1, "a GET says it all");
    assert_eq!(rig.destination.requests().count("PutObject"), 50);
    rig.source.requests().clear();
    rig.destination.requests().clear();
    rig.copy(Policy::default()).await.expect(&[("equal", 50)]);
    for (server, asks) in [(&rig.source, 1), (&rig.destination, 0)] {
        let requests = server.requests();
        assert_eq!(requests.count("HeadObject") + requests.count("GetObject"), asks);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_object_fails_alone_and_a_denied_source_stops_the_transfer() {
    let denied = Fault::Refuse { status: 403, code: "AccessDenied" };
    let rig = Rig::new().await;
    for n in 0..40 {
        rig.put(&format!("{n:02}"), noise(n, 100));
    }
    rig.put("large", noise(99, 12 * MIB));
    for key in ["00", "07", "large"] {
        for operation in ["GetObject", "HeadObject"] {
            let matcher = Matcher::on(operation).key(key);
            rig.source.faults().add(Rule::new(matcher, denied.clone()));
        }
    }
    let report = rig.copy(in_parts()).await;
    report.expect(&[("copied", 38), ("failed", 3)]);
    // The answer to a HEAD has no body that could name the code.
    let denied_so = |reason: &str| reason.contains("AccessDenied") || reason.contains("403");
    assert!(report.failures.iter().all(|note| denied_so(note.reason.as_ref().unwrap())));
    // What all objects have in common stops the run, and what was not copied is not called failed.
    rig.source.faults().add(Rule::new(Matcher::on("GetObject"), denied.clone()));
    for n in 0..40 {
        rig.put(&format!("{n:02}"), noise(n + 100, 100));
    }
    let report = rig.copy(in_parts()).await;
    let halted = matches!(&report.how, How::Halted(reason) if denied_so(reason));
    assert!(halted, "{report:?}");
    assert!(report.failures.is_empty(), "{report:?}");
    rig.source.faults().add(Rule::new(Matcher::on("HeadObject"), denied));
    let refused = rig.run(rig.parts(in_parts()), None).await.unwrap_err();
    assert!(denied_so(&refused.to_string()), "{refused}");
}

/// A bucket's policy may deny a prefix to whoever may write everywhere else.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_be_written_fails_alone_and_a_denied_destination_stops_the_transfer() {
    let denied = || Fault::Refuse { status: 403, code: "AccessDenied" };
    let rig = Rig::new().await;
    for n in 0..40 {
        rig.put(&format!("locked/{n:02}"), noise(n, 100));
        rig.put(&format!("open/{n:02}"), noise(n, 100));
    }
    for folder in ["locked", "open"] {
        rig.put(&format!("{folder}/large"), noise(99, 12 * MIB));
    }
    rig.destination.faults().add(Rule::new(Matcher::any().key("locked/"), denied()));
    // The second time nothing else is to be written.
    for others in ["copied", "equal"] {
        let report = rig.copy(in_parts()).await;
        report.expect(&[(others, 41), ("failed", 41)]);
        for note in &report.failures {
            let reason = note.reason.as_deref().unwrap();
            assert!(note.key.as_str().starts_with("locked/"), "{note:?}");
            assert!(reason.contains("403") || reason.contains("AccessDenied"), "{reason}");
            let may_be_written =
                ["another key is not denied", "an upload of another key can be begun"];
            assert!(may_be_written.iter().any(|says| reason.contains(says)), "{reason}");
        }
        assert_eq!(rig.there().open_uploads(DESTINATION), [], "a question left an upload");
    }
    rig.destination.faults().clear();
    rig.there().configure(DESTINATION, |bucket| bucket.deny_write = true);
    let report = rig.copy(in_parts()).await;
    assert!(matches!(&report.how, How::Halted(why) if why.contains("AccessDenied")), "{report:?}");
    assert!(report.failures.is_empty(), "{report:?}");
}

/// Actions are denied for all keys, too: who may begin uploads and not put objects is told to look at both.
#[tokio::test(flavor = "multi_thread")]
async fn where_uploads_may_be_begun_and_no_object_put_the_message_says_so() {
    let rig = Rig::new().await;
    rig.put("small", "s");
    rig.put("large", noise(1, 12 * MIB));
    let denied = Fault::Refuse { status: 403, code: "AccessDenied" };
    rig.destination.faults().add(Rule::new(Matcher::on("PutObject"), denied));
    let report = rig.copy(in_parts()).await;
    report.expect(&[("copied", 1), ("failed", 1)]);
    let reason = report.failures[0].reason.as_deref().unwrap();
    for says in ["PutObject", "AccessDenied", "can be begun", "every action that writes"] {
        assert!(reason.contains(says), "{says}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_same_size_change_is_copied() {
    let rig = Rig::new().await;
    rig.put("small", "one");
    rig.put("large", noise(1, 8 * MIB));
    rig.put("same", "same");
    rig.copy(in_parts()).await.expect(&[("copied", 3)]);
    rig.put("small", "two");
    rig.put("large", noise(2, 8 * MIB));
    rig.copy(in_parts()).await.expect(&[("equal", 1), ("copied", 2)]);
    rig.expect_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn multipart_etags_are_equal() {
    let rig = Rig::new().await;
    for (key, sizes) in [
        ("one-small-part", &[100][..]),
        ("two", &[5 * MIB, 1]),
        ("odd-part-size", &[5 * MIB + 3, 5 * MIB + 3, 7]),
        ("larger", &[6 * MIB, 6 * MIB, 6 * MIB]),
    ] {
        let etag = rig.here().put_multipart(SOURCE, key, parts(9, sizes));
        rig.copy(Policy::default()).await;
        assert_eq!(rig.there().get(DESTINATION, key).unwrap().etag, etag, "{key}");
    }
    // Unequal parts cannot be learned from one HEAD: the bytes arrive, the ETag is another.
    rig.here().put_multipart(SOURCE, "unequal", parts(9, &[5 * MIB, 6 * MIB, 1]));
    rig.copy(Policy::default()).await.expect(&[("equal", 4), ("copied", 1)]);
    rig.expect_equal();
    rig.copy(Policy::default()).await.expect(&[("equal", 5)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_error_is_never_empty() {
    for fault in [
        Fault::Refuse { status: 403, code: "AccessDenied" },
        Fault::Status5xxBefore,
        Fault::OkWithErrorBody,
        Fault::ListRepeats,
        Fault::ListGoesBackwards,
        Fault::ListNeverAdvances,
        Fault::TruncateBody(40),
    ] {
        let rig = Rig::new().await;
        for n in 0..1_500 {
            rig.put(&format!("{n:05}"), "x");
        }
        rig.source.faults().add(Rule::new(Matcher::on("ListObjectsV2"), fault.clone()).skip(1));
        let policy = Policy {
            delete: Some(DeleteGuard { objects_max: 9, percent_max: 100 }),
            failures_max: 2,
            ..Policy::default()
        };
        let parts = tranship_cli::engine::Parts { delete_unversioned: true, ..rig.parts(policy) };
        rig.there().put(DESTINATION, "00003-only-there", "x");
        let report = rig.run(parts, None).await;
        let ended = report.as_ref().is_ok_and(|report| report.run.state == RunState::Complete);
        assert!(!ended, "{fault:?}: {report:?}");
        assert!(rig.there().get(DESTINATION, "00003-only-there").is_some(), "{fault:?}");
    }
}

/// A limit of bandwidth is a promise about time: that it takes this long at least.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_bandwidth_is_kept() {
    let rig = Rig::new().await;
    for n in 0..8 {
        rig.put(&format!("{n}"), noise(n, 512 << 10));
    }
    let parts =
        tranship_cli::engine::Parts { bandwidth: Some(2 << 20), ..rig.parts(Policy::default()) };
    let began = tokio::time::Instant::now();
    rig.run(parts, None).await.unwrap().expect(&[("copied", 8)]);
    let took_ms = began.elapsed().as_millis();
    // 4 MiB at 2 MiB/s, but for the lease that may be used at once.
    assert!(took_ms >= 1_600, "{took_ms} ms");
    rig.expect_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_object_stops_only_itself() {
    let rig = Rig::new().await;
    for n in 0..20 {
        rig.put(&format!("{n:02}"), noise(n, 500));
    }
    rig.source.faults().add(Rule::new(Matcher::on("GetObject").key("07"), Fault::Status5xxBefore));
    let policy = Policy { failures_max: 2, ..Policy::default() };
    let report = rig.copy(policy.clone()).await;
    report.expect(&[("copied", 19), ("failed", 1)]);
    assert_eq!(report.failures.len(), 1);
    assert_eq!(report.failures[0].key.as_str(), "07");
    assert!(report.failures[0].reason.as_ref().unwrap().contains("InternalError"), "{report:?}");
    rig.source.faults().clear();
    rig.copy(policy).await.expect(&[("equal", 19), ("copied", 1)]);
    rig.expect_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_pass_passes() {
    for seed in 0..6 {
        let rig = Rig::new().await;
        for n in 0..40 {
            rig.put(&format!("{n:02}"), noise(n, 3_000));
        }
        rig.put("large", noise(99, 17 * MIB));
        for server in [&rig.source, &rig.destination] {
            server.faults().random(seed, 60, tranship_server::Faults::SURVIVABLE);
        }
        let policy = Policy { failures_max: 20, ..in_parts() };
        let report = rig.copy(policy).await;
        assert!(rig.source.faults().struck() + rig.destination.faults().struck() > 0);
        report.expect(&[("copied", 41)]);
        rig.source.faults().clear();
        rig.destination.faults().clear();
        rig.expect_equal();
    }
}

/// Overwrites the large source object just before its n-th GET.
async fn overwritten(honours_if_match: bool) {
    for skip in 0..4 {
        let rig = Rig::new().await;
        rig.put("large", noise(1, 20 * MIB));
        if !honours_if_match {
            rig.source.faults().add(Rule::new(Matcher::on("GetObject"), Fault::IgnoreIfMatch));
        }
        rig.source.faults().before(Matcher::on("GetObject"), skip, |store| {
            store.put(SOURCE, "large", noise(2, 20 * MIB));
        });
        rig.copy(in_parts()).await.expect(&[("copied", 1)]);
        rig.expect_equal();
        assert_eq!(
            rig.there().count_writes(DESTINATION, "large"),
            1,
            "nothing torn was ever visible"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwritten_source_is_never_torn() {
    overwritten(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwritten_source_is_never_torn_where_if_match_is_ignored() {
    overwritten(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_completion_answer_is_found_out() {
    for replay in
        [CompleteReplay::Ok200, CompleteReplay::NoSuchUpload404, CompleteReplay::Precondition412]
    {
        for fault in [
            Fault::Status5xxAfter,
            Fault::ResetAfter,
            Fault::OkWithErrorBodyAfter,
            Fault::Status5xxBefore,
            Fault::OkWithErrorBody,
            Fault::ResetBefore,
        ] {
            let options = ServerOptions { replay, ..ServerOptions::default() };
            let rig = Rig::with(ServerOptions::default(), options).await;
            rig.put("large", noise(1, 12 * MIB));
            rig.destination
                .faults()
                .add(Rule::once(Matcher::on("CompleteMultipartUpload"), fault.clone()));
            rig.copy(in_parts()).await.expect(&[("copied", 1)]);
            rig.expect_equal();
            assert_eq!(rig.there().count_writes(DESTINATION, "large"), 1, "{replay:?} {fault:?}");
            assert_eq!(
                rig.destination.requests().count("UploadPart"),
                3,
                "{replay:?} {fault:?}: nothing twice"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_put_answer_is_found_out() {
    for fault in [Fault::Status5xxAfter, Fault::ResetAfter] {
        let rig = Rig::new().await;
        rig.put("small", "bytes");
        rig.destination.faults().add(Rule::once(Matcher::on("PutObject"), fault.clone()));
        rig.copy(Policy::default()).await.expect(&[("copied", 1)]);
        rig.expect_equal();
        assert_eq!(rig.there().count_writes(DESTINATION, "small"), 1, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_upload_is_planned_anew() {
    let rig = Rig::new().await;
    rig.put("large", noise(1, 12 * MIB));
    rig.destination
        .faults()
        .add(Rule::once(Matcher::on("UploadPart").part(2), Fault::LifecycleAbort));
    rig.copy(in_parts()).await.expect(&[("copied", 1)]);
    rig.expect_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_write_is_not_clobbered_under_overwrite_never() {
    for (operation, size) in [("PutObject", 100), ("CompleteMultipartUpload", 12 * MIB)] {
        let rig = Rig::new().await;
        rig.put("k", noise(1, size));
        rig.destination.faults().before(Matcher::on(operation), 0, |store| {
            store.put(DESTINATION, "k", "foreign");
        });
        let policy = Policy { overwrite: Overwrite::Never, ..in_parts() };
        rig.copy(policy).await.expect(&[("kept", 1)]);
        assert_eq!(rig.there().read(DESTINATION, "k").unwrap(), "foreign");
        assert_eq!(rig.there().open_uploads(DESTINATION), [], "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_need_flag_guard_and_proof() {
    let rig = Rig::new().await;
    for n in 0..10 {
        rig.put(&format!("{n}"), "x");
    }
    for n in 0..3 {
        rig.there().put(DESTINATION, &format!("extra-{n}"), "x");
    }
    rig.copy(Policy::default()).await.expect(&[("copied", 10), ("extra", 3)]);
    // Deletes are on, and the guard holds them back.
    let guard = |objects_max, percent_max| Policy {
        delete: Some(DeleteGuard { objects_max, percent_max }),
        ..Policy::default()
    };
    let refused = rig.run(rig.parts(guard(9, 99)), None).await.unwrap_err();
    assert!(refused.to_string().contains("--delete-unversioned"), "{refused}");
    rig.there().configure(DESTINATION, |bucket| bucket.versioning = Versioning::Enabled);
    for policy in [guard(2, 99), guard(9, 10)] {
        rig.copy(policy).await.expect(&[("equal", 10), ("extra", 3)]);
    }
    rig.copy(guard(9, 99)).await.expect(&[("equal", 10), ("deleted", 3)]);
    rig.expect_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn corruption_is_never_visible() {
    for (key, size) in [("small", 5_000), ("large", 12 * MIB)] {
        for fault in [Fault::CorruptBody, Fault::TruncateBody(1_000)] {
            let rig = Rig::new().await;
            rig.put(key, noise(1, size));
            rig.source.faults().add(Rule::new(Matcher::on("GetObject"), fault.clone()).times(2));
            let report = rig.copy(in_parts()).await;
            report.expect(&[("copied", 1)]);
            rig.expect_equal();
            assert_eq!(rig.there().count_writes(DESTINATION, key), 1, "{key} {fault:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_metadata_alone_needs_its_policy() {
    let rig = Rig::new().await;
    rig.put("k", "bytes");
    rig.copy(Policy::default()).await.expect(&[("copied", 1)]);
    rig.here()
        .change(SOURCE, "k", |object| object.properties.content_type = Some("a/b".to_owned()));
    rig.copy(Policy::default()).await.expect(&[("equal", 1)]);
    let policy = Policy { compare: Compare::Metadata, ..Policy::default() };
    rig.copy(policy.clone()).await.expect(&[("copied", 1)]);
    rig.copy(policy).await.expect(&[("equal", 1)]);
}

/// The copy that lies there carries our own token, which says that it is this very source's.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_is_copied_again_where_the_policy_asks_for_it() {
    let rig = Rig::new().await;
    rig.put("k", noise(1, 12 * MIB));
    let policy = |compare| Policy { compare, ..in_parts() };
    rig.copy(policy(Compare::Metadata)).await.expect(&[("copied", 1)]);
    let tags = vec![("project".to_owned(), "a".to_owned())];
    rig.here().change(SOURCE, "k", |object| {
        object.tags.clone_from(&tags);
        object.properties.cache_control = Some("max-age=60".to_owned());
    });
    rig.copy(Policy { ..in_parts() }).await.expect(&[("equal", 1)]);
    rig.copy(policy(Compare::Metadata)).await.expect(&[("copied", 1)]);
    let there = rig.there().get(DESTINATION, "k").unwrap();
    assert_eq!(there.tags, tags);
    assert_eq!(there.properties.cache_control.as_deref(), Some("max-age=60"));
    rig.copy(policy(Compare::Metadata)).await.expect(&[("equal", 1)]);
    assert_eq!(rig.there().count_writes(DESTINATION, "k"), 2);
    for writes in [3, 4] {
        rig.copy(policy(Compare::Always)).await.expect(&[("copied", 1)]);
        assert_eq!(rig.there().count_writes(DESTINATION, "k"), writes);
    }
    rig.expect_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_fails_is_a_failure_of_the_run() {
    let rig = Rig::new().await;
    rig.put("k", "x");
    rig.there().put(DESTINATION, "extra", "x");
    rig.there().configure(DESTINATION, |bucket| bucket.versioning = Versioning::Enabled);
    let refused = Fault::Refuse { status: 501, code: "NotImplemented" };
    rig.destination.faults().add(Rule::new(Matcher::on("DeleteObject"), refused));
    let guard = DeleteGuard { objects_max: 9, percent_max: 100 };
    let policy = Policy { delete: Some(guard), ..Policy::default() };
    let report = rig.copy(policy).await;
    report.expect(&[("copied", 1), ("extra", 1)]);
    assert_eq!(report.run.verdict(), "failed");
    assert_eq!(report.run.totals.as_ref().unwrap().failed_deletes, 1);
    assert_eq!(report.failures.len(), 1, "{report:?}");
    assert!(rig.there().get(DESTINATION, "extra").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_no_condition_can_guard_looks_before_it_deletes() {
    let rig = Rig::new().await;
    for key in ["stale", "written"] {
        rig.there().put(DESTINATION, key, "x");
    }
    rig.there().configure(DESTINATION, |bucket| bucket.versioning = Versioning::Enabled);
    // After the listing, and before the delete.
    rig.destination.faults().before(Matcher::on("HeadObject").key("written"), 0, |store| {
        store.put(DESTINATION, "written", "by somebody else");
    });
    let guard = DeleteGuard { objects_max: 9, percent_max: 100 };
    let policy = Policy { delete: Some(guard), fenced: false, ..Policy::default() };
    rig.put("k", "x");
    rig.copy(policy).await.expect(&[("copied", 1), ("extra", 1), ("deleted", 1)]);
    assert_eq!(rig.there().read(DESTINATION, "written").unwrap(), "by somebody else");
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_and_vanished_objects_are_counted() {
    let rig = Rig::new().await;
    rig.put("archived", "x");
    rig.here()
        .change(SOURCE, "archived", |o| o.properties.storage_class = Some("GLACIER".to_owned()));
    rig.put("vanishes", "x");
    rig.put("stays", "x");
    rig.source
        .faults()
        .before(Matcher::on("GetObject"), 0, |store| store.delete(SOURCE, "vanishes"));
    let report = rig.copy(Policy::default()).await;
    assert_eq!(report.how, How::Closed);
    assert_eq!(report.objects(Outcome::Archived), 1);
    assert_eq!(report.objects(Outcome::Vanished) + report.objects(Outcome::Copied), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flat_prefix_lists_in_parallel_and_whole() {
    let rig = Rig::new().await;
    for n in 0..9_000 {
        rig.put(&format!("flat/{n:07}"), "");
    }
    let mut policy = Policy::default();
    policy.limits.window_keys = 1_000;
    rig.copy(policy.clone()).await.expect(&[("copied", 9_000)]);
    rig.copy(policy).await.expect(&[("equal", 9_000)]);
    rig.expect_equal();
}

/// The two sides' pages end at different keys, so that every split finds keys read ahead.
#[tokio::test(flavor = "multi_thread")]
async fn a_split_counts_no_key_twice() {
    let rig = Rig::new().await;
    for n in 0..4_000 {
        rig.put(&format!("{n:05}"), "");
        if n % 3 == 0 {
            rig.there().put(DESTINATION, &format!("{n:05}"), "");
        }
        if n % 2 == 0 {
            rig.there().put(DESTINATION, &format!("{n:05}-extra"), "");
        }
    }
    let mut policy = Policy { dry_run: true, ..Policy::default() };
    policy.limits.window_keys = 300;
    let parts = tranship_cli::engine::Parts { ledger: None, ..rig.parts(policy) };
    let report = rig.run(parts, None).await.unwrap();
    report.expect(&[("equal", 1_334), ("copied", 2_666), ("extra", 2_000)]);
}

/// A key may be longer at the source than the destination's prefix leaves room for, and back.
#[tokio::test(flavor = "multi_thread")]
async fn keys_too_long_for_the_other_side_are_named() {
    let mut rig = Rig::new().await;
    rig.prefixes = ("in/".to_owned(), "a/longer/prefix/".to_owned());
    let long = "k".repeat(1_015);
    rig.put(&format!("in/{long}"), "x");
    rig.put("in/z", "x");
    let report = rig.copy(Policy::default()).await;
    report.expect(&[("copied", 1), ("failed", 1)]);
    assert!(report.failures[0].reason.as_ref().unwrap().contains("1,024"), "{report:?}");
    let mut rig = Rig::new().await;
    rig.prefixes = ("a/longer/prefix/".to_owned(), "in/".to_owned());
    rig.there().put(DESTINATION, &format!("in/{long}"), "x");
    rig.here().put(SOURCE, "a/longer/prefix/z", "x");
    rig.copy(Policy::default()).await.expect(&[("copied", 1), ("extra", 1)]);
}

/// As often as one delivery tries a call that may pass.
const CALLS_OF_A_DELIVERY: u64 = 3;

fn failed_deliveries(report: &Report) -> u64 {
    report.run.totals.as_ref().unwrap().failed_deliveries
}

/// What was tried again by another delivery is told although it came right, and its rows are gone.
#[tokio::test(flavor = "multi_thread")]
async fn deliveries_that_failed_are_counted_of_objects_and_of_parts() {
    for (matcher, deliveries) in [
        (Matcher::on("UploadPart").part(2), 1),
        (Matcher::on("PutObject").key("small"), 1),
        (Matcher::any().key("none"), 0),
    ] {
        let rig = Rig::new().await;
        rig.put("large", noise(1, 12 * MIB));
        rig.put("small", "x");
        rig.destination
            .faults()
            .add(Rule::new(matcher, Fault::Status5xxBefore).times(CALLS_OF_A_DELIVERY));
        let report = rig.copy(in_parts()).await;
        report.expect(&[("copied", 2)]);
        assert_eq!(failed_deliveries(&report), deliveries);
        let (_, end) = report.run.timeline.points().last().unwrap();
        assert_eq!((end.settled_objects, end.failed_deliveries), (2, deliveries));
        assert_eq!(end.bytes_copied, u64::try_from(12 * MIB).unwrap() + 1);
        rig.expect_equal();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_never_passes_fails_its_object_and_leaves_nothing() {
    // How many deliveries of a task failed is told of tasks, and a completion is none.
    for (matcher, fault, deliveries) in [
        (Matcher::on("GetObject").key("large"), Fault::Status5xxBefore, 2),
        (Matcher::on("UploadPart").part(2), Fault::Status5xxBefore, 2),
        (Matcher::on("UploadPart"), Fault::Refuse { status: 400, code: "InvalidRequest" }, 1),
        (
            Matcher::on("CompleteMultipartUpload"),
            Fault::Refuse { status: 400, code: "EntityTooSmall" },
            0,
        ),
    ] {
        let rig = Rig::new().await;
        rig.put("large", noise(1, 12 * MIB));
        rig.put("small", "x");
        for server in [&rig.source, &rig.destination] {
            server.faults().add(Rule::new(matcher.clone(), fault.clone()));
        }
        let policy = Policy { failures_max: 2, ..in_parts() };
        let report = rig.copy(policy.clone()).await;
        report.expect(&[("copied", 1), ("failed", 1)]);
        assert_eq!(report.failures[0].key.as_str(), "large", "{fault:?}");
        assert_eq!(rig.there().open_uploads(DESTINATION), [], "{fault:?}");
        assert_eq!(failed_deliveries(&report), deliveries, "{fault:?}");
        for server in [&rig.source, &rig.destination] {
            server.faults().clear();
        }
        let report = rig.copy(policy).await;
        report.expect(&[("equal", 1), ("copied", 1)]);
        assert_eq!(failed_deliveries(&report), 0, "of this run");
        rig.expect_equal();
    }
}

/// User metadata is never dropped for the token: the ledger remembers the identity instead.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_without_room_for_a_token_survives_and_the_ledger_remembers() {
    for token in [true, false] {
        let options = ServerOptions { etags: EtagMode::Random, ..ServerOptions::default() };
        let rig = Rig::with(ServerOptions::default(), options).await;
        let full = Properties {
            metadata: BTreeMap::from([("m".to_owned(), "x".repeat(2_000))]),
            ..Properties::default()
        };
        for (key, size) in [("small", 100), ("large", 12 * MIB)] {
            rig.here().put_with(SOURCE, key, noise(1, size), full.clone(), vec![]);
        }
        let policy = Policy { token, ..in_parts() };
        let report = rig.copy(policy.clone()).await;
        report.expect(&[("copied", 2)]);
        let lost: Vec<_> = report.run.totals.as_ref().unwrap().losses.iter().collect();
        assert_eq!(lost, if token { vec![(Loss::Token, 2)] } else { vec![] });
        for key in ["small", "large"] {
            let there = rig.there().get(DESTINATION, key).unwrap();
            assert_eq!(there.properties.metadata, full.metadata, "{key}");
        }
        rig.copy(policy.clone()).await.expect(&[("equal", 2)]);
        rig.put("small", noise(2, 100));
        rig.there().put(DESTINATION, "large", noise(3, 12 * MIB));
        rig.copy(policy).await.expect(&[("copied", 2)]);
        rig.expect_equal();
    }
}

/// More of them than there may be reads in a row that are denied.
#[tokio::test(flavor = "multi_thread")]
async fn tags_that_may_not_be_read_fail_their_objects_alone() {
    for (versioning, permission) in [
        (Versioning::Off, "s3:GetObjectTagging at the source"),
        (Versioning::Enabled, "s3:GetObjectVersionTagging at the source"),
    ] {
        let rig = Rig::new().await;
        rig.here().configure(SOURCE, |bucket| bucket.versioning = versioning);
        let put = |key: &str, size| {
            let tags = vec![("team".to_owned(), "maps".to_owned())];
            rig.here().put_with(SOURCE, key, noise(1, size), Properties::default(), tags);
        };
        (0..20).for_each(|n| put(&format!("tagged/{n:02}"), 100));
        put("tagged/large", 7 * MIB);
        rig.put("untagged", "bytes");
        let refuse = || Fault::Refuse { status: 403, code: "AccessDenied" };
        let refused = || Rule::new(Matcher::on("GetObjectTagging"), refuse());
        rig.source.faults().add(refused());
        let report = rig.copy(in_parts()).await;
        report.expect(&[("copied", 1), ("failed", 21)]);
        for note in &report.failures {
            let reason = note.reason.as_deref().unwrap();
            assert!(reason.contains(permission), "{}: {reason}", note.key);
        }
        assert_eq!(rig.there().open_uploads(DESTINATION), []);
        // So is an object whose tags are to be compared, on either side.
        rig.source.faults().clear();
        rig.copy(in_parts()).await.expect(&[("equal", 1), ("copied", 21)]);
        let policy = || Policy { compare: Compare::Metadata, ..in_parts() };
        for faults in [rig.source.faults(), rig.destination.faults()] {
            faults.add(refused());
            rig.copy(policy()).await.expect(&[("equal", 1), ("failed", 21)]);
            faults.clear();
        }
        rig.copy(policy()).await.expect(&[("equal", 22)]);
    }
}

/// The number of tags is told to nobody who may not read them: then nothing shows that there are any.
#[tokio::test(flavor = "multi_thread")]
async fn tags_that_may_be_hidden_are_counted_as_unknown() {
    for (denied, lost) in [(true, vec![(Loss::TagsUnknown, 3)]), (false, vec![])] {
        let rig = Rig::new().await;
        rig.here().put_with(
            SOURCE,
            "tagged",
            "bytes",
            Properties::default(),
            vec![("team".to_owned(), "maps".to_owned())],
        );
        rig.put("small", "bytes");
        rig.put("large", noise(1, 12 * MIB));
        rig.here().configure(SOURCE, |bucket| bucket.deny_tagging = denied);
        let report = rig.copy(in_parts()).await;
        report.expect(&[("copied", 3)]);
        let losses: Vec<_> = report.run.totals.unwrap().losses.iter().collect();
        assert_eq!(losses, lost);
        let arrived = rig.there().get(DESTINATION, "tagged").unwrap();
        assert_eq!(arrived.tags.is_empty(), denied);
        // It was asked of one object, and where tags may be read, once more for those that there are.
        let asked = rig.source.requests().count("GetObjectTagging");
        assert!(asked == 1 || (!denied && asked == 2), "{asked}");
    }
}

/// The answer may pass: then it is no answer, and the next object is asked.
#[tokio::test(flavor = "multi_thread")]
async fn whether_tags_are_hidden_is_asked_until_there_is_an_answer() {
    let rig = Rig::new().await;
    rig.here().configure(SOURCE, |bucket| bucket.deny_tagging = true);
    for key in ["a", "b", "c"] {
        rig.put(key, key);
    }
    let busy = Fault::Refuse { status: 503, code: "SlowDown" };
    rig.source.faults().add(Rule::once(Matcher::on("GetObjectTagging"), busy));
    let report = rig.copy(Policy::default()).await;
    report.expect(&[("copied", 3)]);
    let losses: Vec<_> = report.run.totals.unwrap().losses.iter().collect();
    assert_eq!(losses, [(Loss::TagsUnknown, 2)]);
    assert_eq!(rig.source.requests().count("GetObjectTagging"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_is_counted() {
    let rig = Rig::new().await;
    let tags = vec![("a".to_owned(), "b".to_owned())];
    for (key, size) in [("small", 100), ("large", 12 * MIB)] {
        rig.here().put_with(SOURCE, key, noise(1, size), Properties::default(), tags.clone());
    }
    rig.put("untagged", "x");
    let report = rig.copy(Policy { tags: false, ..in_parts() }).await;
    report.expect(&[("copied", 3)]);
    let lost: Vec<_> = report.run.totals.as_ref().unwrap().losses.iter().collect();
    assert_eq!(lost, [(Loss::Tags, 2)]);
}

/// Whenever a deleted key comes back, before the run, during it or in the very moment of its delete.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_comes_back_is_there_in_the_end() {
    let mut copied_back = 0;
    for skip in 0..8 {
        let rig = Rig::new().await;
        rig.put("stays", "x");
        rig.put("gone", "old");
        rig.copy(Policy::default()).await.expect(&[("copied", 2)]);
        rig.here().delete(SOURCE, "gone");
        rig.source.faults().before(Matcher::on("ListObjectsV2"), skip, |store| {
            store.put(SOURCE, "gone", "new");
        });
        let policy = Policy {
            delete: Some(DeleteGuard { objects_max: 9, percent_max: 100 }),
            ..Policy::default()
        };
        let parts = tranship_cli::engine::Parts { delete_unversioned: true, ..rig.parts(policy) };
        let report = rig.run(parts, None).await.unwrap();
        assert_eq!(report.run.state, RunState::Complete, "{skip}");
        if report.objects(Outcome::Extra) == 0 {
            rig.expect_equal();
        }
        let there = rig.there().read(DESTINATION, "gone");
        copied_back += u32::from(there.as_deref() == Some(b"new"));
        assert!(there.is_some() || rig.here().read(SOURCE, "gone").is_none(), "{skip}: lost");
    }
    assert!(copied_back >= 2, "it came back before its listing and after its delete");
}
