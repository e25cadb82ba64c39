//! A whole copy with a server of another hand on one side, through the embedded engine and over HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, EncodingType};
use tranship_adapters::clock::SystemClock;
use tranship_adapters::stores::s3::{S3Settings, S3Store};
use tranship_cli::engine::Parts;
use tranship_core::location::{Location, Transfer};
use tranship_core::object::Millis;
use tranship_core::outcome::Outcome;
use tranship_core::policy::{DeleteGuard, Filter, Policy};
use tranship_core::verify::tally::{Conclusion, Tally};
use tranship_core::verify::walk::{KEYS_BEFORE_SPLIT, Plan, Verification, Window};
use tranship_server::{Server, ServerOptions};
use tranship_tests::keys::HOSTILE;
use tranship_tests::rig::{MIB, Report, credentials, noise, run, settings_at};
use tranship_tests::second::{Hand, MINISTACK, MOTO, Second};

use crate::talk::Talk;

/// Its `ETag` is that of two parts, of a size that no default hits by chance.
const TWO_PARTS: &str = "two parts";
/// Above the threshold, so it goes in parts.
const LARGE: &str = "large";
const DRESSED: &str = "dressed";

/// Keys that one of them cannot hold, with the cause. One that it can hold after all fails the tests.
struct Lack {
    key: &'static str,
    status: u16,
    why: &'static str,
}

const NOTHING: &[Lack] = &[];
const OF_MOTO: &[Lack] = &[Lack {
    key: "tab\tnew\nline",
    status: 404,
    why: "its routes take no path with a line feed in it, and S3 has objects of any name",
}];

/// A bucket on one of the servers.
struct Side {
    settings: S3Settings,
    client: Client,
}

impl Side {
    async fn new(endpoint: String, bucket: &str) -> Self {
        let settings = settings_at(endpoint, bucket);
        let client = Talk::with(&settings).client;
        client.create_bucket().bucket(bucket).send().await.unwrap();
        Self { settings, client }
    }

    fn bucket(&self) -> &str {
        &self.settings.bucket
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) {
        let put = self.client.put_object().bucket(self.bucket()).key(key);
        put.body(ByteStream::from(bytes)).send().await.unwrap();
    }

    async fn etag(&self, key: &str) -> String {
        let head = self.client.head_object().bucket(self.bucket()).key(key);
        head.send().await.unwrap().e_tag.unwrap()
    }

    async fn tags(&self, key: &str) -> BTreeMap<String, String> {
        let tags = self.client.get_object_tagging().bucket(self.bucket()).key(key);
        let tags = tags.send().await.unwrap().tag_set;
        tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
    }

    /// Everything that is carried over but tags: bytes, type, encoding, and the user's metadata.
    async fn object(&self, key: &str) -> (Vec<u8>, Vec<Option<String>>, BTreeMap<String, String>) {
        let get = self.client.get_object().bucket(self.bucket()).key(key);
        let got = get.send().await.unwrap();
        let headers = vec![got.content_type, got.content_encoding, got.cache_control];
        let mut metadata: BTreeMap<_, _> = got.metadata.unwrap_or_default().into_iter().collect();
        metadata.retain(|name, _| !name.starts_with("tranship-"));
        (got.body.collect().await.unwrap().to_vec(), headers, metadata)
    }

    async fn two_parts(&self) {
        let (b, k) = (self.bucket(), TWO_PARTS);
        let create = self.client.create_multipart_upload().bucket(b).key(k);
        let upload = create.content_type("a/b").send().await.unwrap().upload_id.unwrap();
        let mut parts = CompletedMultipartUpload::builder();
        for (number, seed, size) in [(1, 91, 5 * MIB + 7), (2, 92, 99)] {
            let part = self.client.upload_part().bucket(b).key(k).upload_id(&upload);
            let part = part.part_number(number).body(noise(seed, size).into());
            let etag = part.send().await.unwrap().e_tag.unwrap();
            parts = parts.parts(CompletedPart::builder().part_number(number).e_tag(etag).build());
        }
        let complete = self.client.complete_multipart_upload().bucket(b).key(k);
        let complete = complete.upload_id(upload).multipart_upload(parts.build());
        complete.send().await.unwrap();
    }

    /// Fails unless it refuses these keys as it is known to.
    async fn expect_lacks(&self, lacks: &[Lack]) {
        for Lack { key, status, why } in lacks {
            let put = self.client.put_object().bucket(self.bucket()).key(*key);
            let Err(refused) = put.send().await else {
                panic!("it has learned to hold {key:?}: {why}")
            };
            let answer = refused.raw_response().map(|answer| answer.status().as_u16());
            assert_eq!(answer, Some(*status), "{key:?}: {why}");
        }
    }

    /// A small world with something of everything but these keys; gives its keys.
    async fn fill(&self, lacks: &[Lack]) -> Vec<String> {
        let mut keys: Vec<String> = HOSTILE.map(str::to_owned).to_vec();
        keys.retain(|key| lacks.iter().all(|lack| lack.key != key));
        keys.extend((0..20).map(|n| format!("small/{n:02}")));
        for (seed, key) in (0..).zip(&keys) {
            self.put(key, noise(seed, 500)).await;
        }
        for (key, size) in [("empty", 0), ("folder/", 0), (LARGE, 11 * MIB)] {
            self.put(key, noise(77, size)).await;
        }
        self.two_parts().await;
        let put = self.client.put_object().bucket(self.bucket()).key(DRESSED);
        let put = put.body(ByteStream::from_static(b"dressed")).content_type("text/html");
        let put = put.content_encoding("gzip").cache_control("max-age=60");
        // As Amazon S3 gives back what is not ASCII, and wants to have it.
        let put = put.metadata("owner", "=?UTF-8?B?bmHDr3ZlIPCfmIA=?=").metadata("plain", "a b");
        put.tagging("a%20b=1%2B2&%C3%A9=").send().await.unwrap();
        keys.extend(["empty", "folder/", LARGE, TWO_PARTS, DRESSED].map(str::to_owned));
        keys
    }

    async fn expect_same(&self, other: &Self, keys: &[String]) {
        for key in keys {
            assert!(self.object(key).await == other.object(key).await, "{key:?} differs");
        }
        let list = other.client.list_objects_v2().bucket(other.bucket());
        let list = list.encoding_type(EncodingType::Url);
        let count = list.send().await.unwrap().key_count.unwrap();
        assert_eq!(usize::try_from(count).unwrap(), keys.len());
        let open = other.client.list_multipart_uploads().bucket(other.bucket());
        assert!(open.send().await.unwrap().uploads.is_none(), "an upload is still open");
        assert_eq!(self.tags(DRESSED).await, other.tags(DRESSED).await);
    }
}

/// Two servers, ours and one of another hand, and the place of the ledger.
struct Both {
    strict: Server,
    second: Second,
    lacks: &'static [Lack],
    folder: tempfile::TempDir,
}

impl Both {
    async fn start(hand: Hand, lacks: &'static [Lack]) -> Self {
        let options =
            ServerOptions { credentials: Some(credentials()), ..ServerOptions::default() };
        Self {
            strict: Server::start(options).await.unwrap(),
            second: Second::of(hand).await,
            lacks,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn copy(&self, source: &Side, destination: &Side) -> Report {
        self.copy_and(source, destination, None).await
    }

    async fn copy_and(
        &self,
        source: &Side,
        destination: &Side,
        delete: Option<DeleteGuard>,
    ) -> Report {
        let policy = Policy {
            multipart_threshold_bytes: 6 << 20,
            part_size_bytes: Some(5 << 20),
            delete,
            ..Policy::default()
        };
        let parts = Parts {
            transfer: between(source, destination),
            source: source.settings.clone(),
            destination: destination.settings.clone(),
            policy,
            bandwidth: None,
            delete_unversioned: delete.is_some(),
            server_side_if_possible: false,
            ledger: Some(self.folder.path().join("ledger.redb")),
            fingerprint: "test".to_owned(),
            lines: None,
        };
        run(parts, None).await.unwrap()
    }

    /// Copies a world, copies it again, and copies what changed; deletes what the source lost, and reads
    /// both sides again.
    async fn copies(&self, source: &Side, destination: &Side) {
        let keys = source.fill(self.lacks).await;
        let all = u64::try_from(keys.len()).unwrap();
        self.copy(source, destination).await.expect(&[("copied", all)]);
        source.expect_same(destination, &keys).await;
        self.copy(source, destination).await.expect(&[("equal", all)]);
        source.put("small/07", noise(1_007, 500)).await;
        source.put(LARGE, noise(1_008, 11 * MIB)).await;
        self.copy(source, destination).await.expect(&[("equal", all - 2), ("copied", 2)]);
        source.expect_same(destination, &keys).await;
        self.copy(source, destination).await.expect(&[("equal", all)]);
        assert_eq!(conclusion(source, destination).await, Conclusion::Equal);
        destination.put("extra", b"only here".to_vec()).await;
        assert_eq!(conclusion(source, destination).await, Conclusion::Different);
        let guard = DeleteGuard { objects_max: 1, percent_max: 50 };
        let report = self.copy_and(source, destination, Some(guard)).await;
        report.expect(&[("equal", all), ("deleted", 1)]);
        source.expect_same(destination, &keys).await;
    }

    /// A world from ours to theirs.
    async fn to(&self) -> (Side, Side) {
        let source = Side::new(self.strict.endpoint(), "from-strict").await;
        let destination = Side::new(self.second.endpoint(), "to-other").await;
        destination.expect_lacks(self.lacks).await;
        self.copies(&source, &destination).await;
        (source, destination)
    }

    /// A world from theirs to ours.
    async fn from(&self) -> (Side, Side) {
        let source = Side::new(self.second.endpoint(), "from-other").await;
        let destination = Side::new(self.strict.endpoint(), "to-strict").await;
        source.expect_lacks(self.lacks).await;
        self.copies(&source, &destination).await;
        (source, destination)
    }
}

fn between(source: &Side, destination: &Side) -> Transfer {
    let at = |side: &Side| Location::new(side.settings.endpoint.as_deref(), side.bucket(), "");
    Transfer { source: at(source), destination: at(destination) }
}

/// What a verification that reads every byte of both sides comes to.
async fn conclusion(source: &Side, destination: &Side) -> Conclusion {
    let plan = Plan {
        transfer: between(source, destination),
        filter: Filter::default(),
        deep: true,
        source_lists_links: false,
        workers: 1,
        streams: 4,
        keys_before_split: KEYS_BEFORE_SPLIT,
    };
    let here = Arc::new(S3Store::connect(source.settings.clone()).await.unwrap());
    let there = Arc::new(S3Store::connect(destination.settings.clone()).await.unwrap());
    let clock = Arc::new(SystemClock::new());
    let verification = Verification::new(plan, here, there, clock, Arc::default());
    let tally = Arc::new(Mutex::new(Tally::new("", Millis(0))));
    let tell = {
        let tally = tally.clone();
        move |window: Window| {
            tally.lock().unwrap().add(&window);
            Ok(())
        }
    };
    verification.work(&tell).await.unwrap();
    let tally = tally.lock().unwrap();
    assert!(tally.is_balanced(), "{tally:?}");
    tally.conclusion(false)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_arrives_at_the_second_server() {
    let both = Both::start(MINISTACK, NOTHING).await;
    let (source, destination) = both.to().await;
    assert_eq!(source.etag(TWO_PARTS).await, destination.etag(TWO_PARTS).await);
    // It forgets the tags that an upload was created with. The bytes arrive all the same, once.
    let put = source.client.put_object().bucket(source.bucket()).key("tagged").tagging("a=1");
    put.body(noise(5, 7 * MIB).into()).send().await.unwrap();
    let report = both.copy(&source, &destination).await;
    report.expect(&[("equal", report.objects(Outcome::Equal)), ("copied", 1)]);
    assert!(source.object("tagged").await == destination.object("tagged").await);
    assert_eq!(source.tags("tagged").await.len(), 1);
    assert_eq!(destination.tags("tagged").await.len(), 0, "it has learned to keep them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_arrives_from_the_second_server() {
    let both = Both::start(MINISTACK, NOTHING).await;
    let (source, destination) = both.from().await;
    // It does not say how large its parts are, so the layout cannot be kept; the token still shows that
    // the copy is the same object.
    let etags = (source.etag(TWO_PARTS).await, destination.etag(TWO_PARTS).await);
    assert_ne!(etags.0, etags.1, "it has learned to answer for parts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_arrives_at_the_third_server() {
    let both = Both::start(MOTO, OF_MOTO).await;
    let (source, destination) = both.to().await;
    assert_eq!(source.etag(TWO_PARTS).await, destination.etag(TWO_PARTS).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_arrives_from_the_third_server() {
    let both = Both::start(MOTO, OF_MOTO).await;
    let (source, destination) = both.from().await;
    // A HEAD of a part tells the part's own ETag and not the object's, so nothing else in that answer is
    // believed, and the layout cannot be kept.
    let etags = (source.etag(TWO_PARTS).await, destination.etag(TWO_PARTS).await);
    assert_ne!(etags.0, etags.1, "it has learned to answer for parts");
}
