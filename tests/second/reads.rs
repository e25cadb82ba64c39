//! Exchanges about whole objects: written, read in part, under conditions, removed.

use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use crate::talk::Talk;

fn body(text: &str) -> ByteStream {
    ByteStream::from(text.as_bytes().to_vec())
}

fn day(text: &str) -> DateTime {
    DateTime::from_str(text, DateTimeFormat::DateTime).unwrap()
}

pub(crate) async fn objects(talk: &mut Talk) {
    let (c, b) = talk.topic("objects").await;
    let put = c.put_object().bucket(b).key("k").body(body("0123456789"));
    talk.say("put", put.send()).await;
    talk.read("get", c.get_object().bucket(b).key("k").send()).await;
    talk.say("head", c.head_object().bucket(b).key("k").send()).await;
    talk.say("put empty", c.put_object().bucket(b).key("empty").send()).await;
    talk.read("get empty", c.get_object().bucket(b).key("empty").send()).await;
    let folder = c.put_object().bucket(b).key("folder/").content_type("application/x-directory");
    talk.say("put a folder marker", folder.send()).await;
    talk.say("head a folder marker", c.head_object().bucket(b).key("folder/").send()).await;
    talk.say("delete", c.delete_object().bucket(b).key("k").send()).await;
    talk.say("delete again", c.delete_object().bucket(b).key("k").send()).await;
    talk.read("get missing", c.get_object().bucket(b).key("k").send()).await;
    talk.say("head missing", c.head_object().bucket(b).key("k").send()).await;
    let none = "no-such-bucket-anywhere";
    talk.read("get, no bucket", c.get_object().bucket(none).key("k").send()).await;
    talk.say("head, no bucket", c.head_object().bucket(none).key("k").send()).await;
    talk.say("put, no bucket", c.put_object().bucket(none).key("k").send()).await;
    talk.say("delete, no bucket", c.delete_object().bucket(none).key("k").send()).await;
    talk.say("list, no bucket", c.list_objects_v2().bucket(none).send()).await;
    talk.say("head bucket", c.head_bucket().bucket(b).send()).await;
    talk.say("head no bucket", c.head_bucket().bucket(none).send()).await;
    talk.say("location", c.get_bucket_location().bucket(b).send()).await;
    let long = "k".repeat(1_025);
    talk.say("put a key too long", c.put_object().bucket(b).key(long).send()).await;
    let long = "k".repeat(1_024);
    talk.say("put the longest key", c.put_object().bucket(b).key(long).send()).await;
    many_deleted(talk).await;
}

async fn many_deleted(talk: &mut Talk) {
    let (c, b) = talk.topic("many-deleted").await;
    for key in ["a", "b c", "d"] {
        talk.say("put", c.put_object().bucket(b).key(key).send()).await;
    }
    let named = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = |quiet: bool, keys: &[&str]| {
        let objects = keys.iter().map(|key| named(key)).collect();
        Delete::builder().set_objects(Some(objects)).quiet(quiet).build().unwrap()
    };
    let all = c.delete_objects().bucket(b).delete(delete(false, &["a", "b c", "missing"]));
    talk.say("delete three", all.send()).await;
    let quiet = c.delete_objects().bucket(b).delete(delete(true, &["d"]));
    talk.say("delete quietly", quiet.send()).await;
    talk.say("what is left", c.list_objects_v2().bucket(b).send()).await;
}

pub(crate) async fn ranges(talk: &mut Talk) {
    let (c, b) = talk.topic("ranges").await;
    talk.say("put", c.put_object().bucket(b).key("k").body(body("0123456789")).send()).await;
    talk.say("put empty", c.put_object().bucket(b).key("empty").send()).await;
    for range in [
        "bytes=0-0",
        "bytes=2-4",
        "bytes=-3",
        "bytes=-99",
        "bytes=7-",
        "bytes=8-99",
        "bytes=10-",
        "bytes=10-12",
        "bytes=5-4",
        "bytes=-0",
        "bytes=0-1,4-5",
        "lines=1-2",
        "bytes=x",
    ] {
        let get = c.get_object().bucket(b).key("k").range(range);
        talk.read(&format!("get {range}"), get.send()).await;
        let head = c.head_object().bucket(b).key("k").range(range);
        talk.say(&format!("head {range}"), head.send()).await;
    }
    for range in ["bytes=0-0", "bytes=0-", "bytes=-1"] {
        let get = c.get_object().bucket(b).key("empty").range(range);
        talk.read(&format!("get {range} of nothing"), get.send()).await;
    }
}

pub(crate) async fn read_conditions(talk: &mut Talk) {
    let (c, b) = talk.topic("read-conditions").await;
    let put = c.put_object().bucket(b).key("k").body(body("0123456789"));
    let etag = talk.must("put", put.send()).await.e_tag.unwrap();
    let bare = etag.trim_matches('"').to_owned();
    let other = "\"00000000000000000000000000000000\"";
    for (name, value) in [("same", etag.as_str()), ("bare", &bare), ("other", other), ("any", "*")]
    {
        let get = || c.get_object().bucket(b).key("k");
        let head = || c.head_object().bucket(b).key("k");
        talk.read(&format!("get if match {name}"), get().if_match(value).send()).await;
        talk.say(&format!("head if match {name}"), head().if_match(value).send()).await;
        talk.read(&format!("get if none match {name}"), get().if_none_match(value).send()).await;
        talk.say(&format!("head if none match {name}"), head().if_none_match(value).send()).await;
        let range = get().if_match(value).range("bytes=2-4");
        talk.read(&format!("range if match {name}"), range.send()).await;
    }
    let missing = c.get_object().bucket(b).key("missing").if_match(&etag);
    talk.read("get missing if match", missing.send()).await;
    let (past, future) = (day("2001-01-01T00:00:00Z"), day("2037-01-01T00:00:00Z"));
    let get = || c.get_object().bucket(b).key("k");
    talk.read("if modified since past", get().if_modified_since(past).send()).await;
    talk.read("if unmodified since past", get().if_unmodified_since(past).send()).await;
    talk.read("if unmodified since future", get().if_unmodified_since(future).send()).await;
    let both = get().if_match(&etag).if_unmodified_since(past);
    talk.read("if match holds, if unmodified does not", both.send()).await;
    let both = get().if_none_match(other).if_modified_since(future);
    talk.read("if none match holds, if modified does not", both.send()).await;
}

pub(crate) async fn write_conditions(talk: &mut Talk) {
    let (c, b) = talk.topic("write-conditions").await;
    let put = |text: &str| c.put_object().bucket(b).key("k").body(body(text));
    let other = "\"00000000000000000000000000000000\"";
    talk.say("put if match, absent", put("a").if_match(other).send()).await;
    let first = talk.say("put if none match, absent", put("a").if_none_match("*").send()).await;
    let etag = first.unwrap().e_tag.unwrap();
    talk.say("put if none match, present", put("b").if_none_match("*").send()).await;
    talk.read("still the first", c.get_object().bucket(b).key("k").send()).await;
    talk.say("put if none match with an etag", put("b").if_none_match(&etag).send()).await;
    talk.say("put if match other", put("b").if_match(other).send()).await;
    talk.say("put if match same", put("c").if_match(&etag).send()).await;
    talk.read("the latest", c.get_object().bucket(b).key("k").send()).await;
    let delete = |key: &str| c.delete_object().bucket(b).key(key);
    talk.say("delete if match other", delete("k").if_match(other).send()).await;
    talk.say("delete if match, absent", delete("none").if_match(&etag).send()).await;
    talk.say("delete if match any, absent", delete("none").if_match("*").send()).await;
    let head = c.head_object().bucket(b).key("k");
    let now = talk.must("it is still there", head.send()).await.e_tag.unwrap();
    talk.say("delete if match same", delete("k").if_match(&now).send()).await;
    talk.say("it is gone", c.head_object().bucket(b).key("k").send()).await;
}
