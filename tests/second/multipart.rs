//! Exchanges about multipart uploads: parts, completion, what a finished object says of them, open uploads.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use tranship_tests::rig::{MIB, noise};

use crate::talk::Talk;

const LEAST: usize = 5 * MIB;

pub(crate) fn bytes(seed: u64, size: usize) -> ByteStream {
    ByteStream::from(noise(seed, size))
}

pub(crate) async fn create(talk: &mut Talk, client: &Client, bucket: &str, key: &str) -> String {
    let create = client.create_multipart_upload().bucket(bucket).key(key);
    talk.must("create", create.send()).await.upload_id.unwrap()
}

/// Sends a part of noise; gives its `ETag`.
async fn part(talk: &mut Talk, at: (&Client, &str, &str), number: i32, size: usize) -> String {
    let (client, key, upload) = at;
    let part = client.upload_part().bucket(talk.topic).key(key).upload_id(upload);
    let seed = number.unsigned_abs().into();
    let part = part.part_number(number).body(bytes(seed, size));
    talk.must(&format!("part {number}"), part.send()).await.e_tag.unwrap()
}

pub(crate) fn chosen(parts: &[(i32, &str)]) -> CompletedMultipartUpload {
    let one = |(number, etag): &(i32, &str)| {
        CompletedPart::builder().part_number(*number).e_tag(*etag).build()
    };
    CompletedMultipartUpload::builder().set_parts(Some(parts.iter().map(one).collect())).build()
}

pub(crate) async fn uploads_with_parts(talk: &mut Talk) {
    let (c, b) = talk.topic("multipart").await;
    let upload = create(talk, &c, b, "k").await;
    let at = (&c, "k", upload.as_str());
    let two = part(talk, at, 2, LEAST + 7).await;
    part(talk, at, 7, 100).await;
    let one = part(talk, at, 1, LEAST).await;
    let seven = part(talk, at, 7, 9).await;
    let list = || c.list_parts().bucket(b).key("k").upload_id(&upload);
    talk.say("list parts", list().send()).await;
    talk.say("list parts, two", list().max_parts(2).send()).await;
    talk.say("list parts, after two", list().part_number_marker("2").send()).await;
    talk.say("list parts, after the last", list().part_number_marker("9").send()).await;
    let key = || c.complete_multipart_upload().bucket(b).key("k").upload_id(&upload);
    let wrong = chosen(&[(1, &one), (2, &one)]);
    talk.say("complete with a wrong etag", key().multipart_upload(wrong).send()).await;
    let absent = chosen(&[(1, &one), (3, &one)]);
    talk.say("complete with an absent part", key().multipart_upload(absent).send()).await;
    talk.say("nothing is there yet", c.head_object().bucket(b).key("k").send()).await;
    let all = chosen(&[(1, &one), (2, &two), (7, &seven)]);
    talk.say("complete", key().multipart_upload(all.clone()).send()).await;
    talk.say("complete again", key().multipart_upload(all).send()).await;
    talk.say("list parts of a finished upload", list().send()).await;
    talk.say("head", c.head_object().bucket(b).key("k").send()).await;
    talk.read("get", c.get_object().bucket(b).key("k").send()).await;
    let across = format!("bytes={}-{}", LEAST - 2, LEAST + 1);
    let across = c.get_object().bucket(b).key("k").range(across);
    talk.read("get across two parts", across.send()).await;
    for number in [1, 2, 3, 4] {
        let head = c.head_object().bucket(b).key("k").part_number(number);
        talk.say(&format!("head part {number}"), head.send()).await;
        let get = c.get_object().bucket(b).key("k").part_number(number);
        talk.read(&format!("get part {number}"), get.send()).await;
    }
    whole_object_as_part(talk, &c, b).await;
}

async fn whole_object_as_part(talk: &mut Talk, c: &Client, b: &str) {
    talk.say("put", c.put_object().bucket(b).key("plain").body(bytes(1, 30)).send()).await;
    for number in [1, 2] {
        let head = c.head_object().bucket(b).key("plain").part_number(number);
        talk.say(&format!("head plain part {number}"), head.send()).await;
        let get = c.get_object().bucket(b).key("plain").part_number(number);
        talk.read(&format!("get plain part {number}"), get.send()).await;
    }
}

pub(crate) async fn refused_uploads(talk: &mut Talk) {
    let (c, b) = talk.topic("refused-uploads").await;
    // One upload and one key for each, since what one server refuses the other may complete.
    for (key, numbers) in [("small parts", &[1, 2][..]), ("disorder", &[2, 1]), ("no parts", &[])] {
        let upload = create(talk, &c, b, key).await;
        let size = if key == "disorder" { LEAST } else { 100 };
        let mut etags = vec![String::new()];
        for number in [1, 2] {
            etags.push(part(talk, (&c, key, &upload), number, size).await);
        }
        let etag = |number: i32| etags[usize::try_from(number).unwrap()].as_str();
        let parts: Vec<_> = numbers.iter().map(|number| (*number, etag(*number))).collect();
        let complete = c.complete_multipart_upload().bucket(b).key(key).upload_id(&upload);
        let complete = complete.multipart_upload(chosen(&parts));
        talk.say(&format!("complete with {key}"), complete.send()).await;
    }
    let upload = create(talk, &c, b, "k").await;
    let one = part(talk, (&c, "k", &upload), 1, 100).await;
    let key = || c.complete_multipart_upload().bucket(b).key("k").upload_id(&upload);
    let send = || c.upload_part().bucket(b).key("k").body(bytes(1, 10));
    for number in [0, 10_001] {
        let part = send().upload_id(&upload).part_number(number);
        talk.say(&format!("part {number}"), part.send()).await;
    }
    let unknown = "bm9zdWNodXBsb2Fk";
    talk.say("part, no upload", send().upload_id(unknown).part_number(1).send()).await;
    let other = c.upload_part().bucket(b).key("other").upload_id(&upload).part_number(1);
    talk.say("part of another key", other.send()).await;
    let list = c.list_parts().bucket(b).key("k").upload_id(unknown);
    talk.say("list parts, no upload", list.send()).await;
    let complete = c.complete_multipart_upload().bucket(b).key("k").upload_id(unknown);
    let complete = complete.multipart_upload(chosen(&[(1, &one)]));
    talk.say("complete, no upload", complete.send()).await;
    let abort = |upload: &str| c.abort_multipart_upload().bucket(b).key("k").upload_id(upload);
    talk.say("abort, no upload", abort(unknown).send()).await;
    talk.say("abort", abort(&upload).send()).await;
    talk.say("abort again", abort(&upload).send()).await;
    talk.say("part, aborted", send().upload_id(&upload).part_number(1).send()).await;
    let late = key().multipart_upload(chosen(&[(1, &one)]));
    talk.say("complete, aborted", late.send()).await;
    talk.say("nothing came of it", c.head_object().bucket(b).key("k").send()).await;
}

pub(crate) async fn conditional_completions(talk: &mut Talk) {
    let (c, b) = talk.topic("conditional-completions").await;
    let put = c.put_object().bucket(b).key("k").body(bytes(9, 10));
    let old = talk.must("put", put.send()).await.e_tag.unwrap();
    let upload = create(talk, &c, b, "k").await;
    let one = part(talk, (&c, "k", &upload), 1, 100).await;
    let complete = || {
        let complete = c.complete_multipart_upload().bucket(b).key("k").upload_id(&upload);
        complete.multipart_upload(chosen(&[(1, &one)]))
    };
    talk.say("complete if none match", complete().if_none_match("*").send()).await;
    let other = "\"00000000000000000000000000000000\"";
    talk.say("complete if match other", complete().if_match(other).send()).await;
    talk.say("the old one", c.head_object().bucket(b).key("k").send()).await;
    let wrong = complete().mpu_object_size(99);
    talk.say("complete with a wrong size", wrong.send()).await;
    let right = complete().if_match(&old).mpu_object_size(100);
    talk.say("complete if match same", right.send()).await;
    talk.say("the new one", c.head_object().bucket(b).key("k").send()).await;
    let upload = create(talk, &c, b, "new").await;
    let one = part(talk, (&c, "new", &upload), 1, 100).await;
    let complete = || {
        let complete = c.complete_multipart_upload().bucket(b).key("new").upload_id(&upload);
        complete.multipart_upload(chosen(&[(1, &one)]))
    };
    talk.say("complete if match, absent", complete().if_match(other).send()).await;
    talk.say("complete if none match, absent", complete().if_none_match("*").send()).await;
}

pub(crate) async fn open_uploads(talk: &mut Talk) {
    let (c, b) = talk.topic("open-uploads").await;
    for key in ["b", "a", "a b/é", "c/1", "c/2"] {
        create(talk, &c, b, key).await;
    }
    let list = || c.list_multipart_uploads().bucket(b);
    talk.say("all", list().send()).await;
    talk.say("a prefix", list().prefix("a").send()).await;
    talk.say("encoded", list().encoding_type("url".into()).send()).await;
    talk.say("a delimiter", list().delimiter("/").send()).await;
    talk.say("two", list().max_uploads(2).send()).await;
    talk.say("after a key", list().key_marker("b").send()).await;
    let rest = c.list_multipart_uploads().bucket(b).prefix("none");
    talk.say("none", rest.send()).await;
}
