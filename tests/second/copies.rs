//! Exchanges about copies on the server's side, tags, metadata and versions.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketVersioningStatus, MetadataDirective, StorageClass, Tag, Tagging, TaggingDirective,
    VersioningConfiguration,
};

use crate::multipart::{bytes, chosen, create};
use crate::talk::Talk;

const OTHER: &str = "\"00000000000000000000000000000000\"";

pub(crate) async fn whole_copies(talk: &mut Talk) {
    let (c, b) = talk.topic("whole-copies").await;
    let put = c.put_object().bucket(b).key("from é").body(bytes(1, 100));
    let put = put.content_type("text/plain").metadata("color", "red").tagging("a=1&b=2");
    let etag = talk.must("put", put.send()).await.e_tag.unwrap();
    let source = format!("{b}/from%20%C3%A9");
    let copy = |to: &str| c.copy_object().bucket(b).key(to).copy_source(&source);
    let head = |key: &str| c.head_object().bucket(b).key(key).send();
    talk.say("copy", copy("to").send()).await;
    talk.say("head the copy", head("to")).await;
    let tags = c.get_object_tagging().bucket(b).key("to");
    talk.say("tags of the copy", tags.send()).await;
    let replace = copy("replaced").metadata_directive(MetadataDirective::Replace);
    let replace = replace.content_type("text/html").metadata("size", "big");
    talk.say("copy and replace", replace.send()).await;
    talk.say("head the replaced", head("replaced")).await;
    let retag = copy("retagged").tagging_directive(TaggingDirective::Replace).tagging("c=3");
    talk.say("copy and tag anew", retag.send()).await;
    let tags = c.get_object_tagging().bucket(b).key("retagged");
    talk.say("tags of the retagged", tags.send()).await;
    talk.say("copy onto itself", copy("from é").send()).await;
    talk.say("if match same", copy("to").copy_source_if_match(&etag).send()).await;
    talk.say("if match other", copy("to").copy_source_if_match(OTHER).send()).await;
    talk.say("if none match same", copy("to").copy_source_if_none_match(&etag).send()).await;
    talk.say("if none match other", copy("to").copy_source_if_none_match(OTHER).send()).await;
    talk.say("onto what must be absent", copy("to").if_none_match("*").send()).await;
    talk.say("onto what must be another", copy("to").if_match(OTHER).send()).await;
    let missing = c.copy_object().bucket(b).key("to").copy_source(format!("{b}/missing"));
    talk.say("copy the missing", missing.send()).await;
    let nowhere = c.copy_object().bucket(b).key("to").copy_source("no-such-bucket-anywhere/k");
    talk.say("copy out of no bucket", nowhere.send()).await;
}

pub(crate) async fn part_copies(talk: &mut Talk) {
    let (c, b) = talk.topic("part-copies").await;
    let put = c.put_object().bucket(b).key("from").body(bytes(1, 6 << 20));
    let etag = talk.must("put", put.send()).await.e_tag.unwrap();
    let upload = create(talk, &c, b, "to").await;
    let copy = |number: i32, range: &str| {
        let copy = c.upload_part_copy().bucket(b).key("to").upload_id(&upload);
        copy.part_number(number).copy_source(format!("{b}/from")).copy_source_range(range)
    };
    let first = copy(1, "bytes=0-5242879").copy_source_if_match(&etag);
    let first = talk.must("if match same", first.send()).await;
    let other = copy(1, "bytes=0-99").copy_source_if_match(OTHER);
    talk.say("if match other", other.send()).await;
    let same = copy(1, "bytes=0-99").copy_source_if_none_match(&etag);
    talk.say("if none match same", same.send()).await;
    for range in ["bytes=6291455-6291456", "bytes=-5", "bytes=5-", "bytes=9-8", "0-5"] {
        talk.say(&format!("range {range}"), copy(3, range).send()).await;
    }
    let missing = copy(3, "bytes=0-9").copy_source(format!("{b}/missing"));
    talk.say("out of the missing", missing.send()).await;
    let last = talk.must("the rest", copy(2, "bytes=5242880-6291455").send()).await;
    let [first, last] = [first, last].map(|it| it.copy_part_result.unwrap().e_tag.unwrap());
    let whole = c.upload_part_copy().bucket(b).key("to").upload_id("none").part_number(1);
    talk.say("no upload", whole.copy_source(format!("{b}/from")).send()).await;
    let parts = c.list_parts().bucket(b).key("to").upload_id(&upload);
    talk.say("list parts", parts.send()).await;
    let complete = c.complete_multipart_upload().bucket(b).key("to").upload_id(&upload);
    let complete = complete.multipart_upload(chosen(&[(1, &first), (2, &last)]));
    talk.say("complete", complete.send()).await;
    talk.read("get", c.get_object().bucket(b).key("to").send()).await;
}

pub(crate) async fn tags(talk: &mut Talk) {
    let (c, b) = talk.topic("tags").await;
    let put = c.put_object().bucket(b).key("k").tagging("a=1&b%20c=d+e%2B&%C3%A9=");
    talk.say("put", put.send()).await;
    talk.say("head", c.head_object().bucket(b).key("k").send()).await;
    let get = || c.get_object_tagging().bucket(b).key("k").send();
    talk.say("get", get()).await;
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build().unwrap();
    let set = |tags: Vec<Tag>| {
        let tagging = Tagging::builder().set_tag_set(Some(tags)).build().unwrap();
        c.put_object_tagging().bucket(b).key("k").tagging(tagging)
    };
    talk.say("replace", set(vec![tag("x", "<&>\"'"), tag("ü", "")]).send()).await;
    talk.say("get the new ones", get()).await;
    talk.say("twice the same", set(vec![tag("x", "1"), tag("x", "2")]).send()).await;
    let many = (0..11).map(|n| tag(&n.to_string(), "v")).collect();
    talk.say("eleven", set(many).send()).await;
    let long = "t".repeat(129);
    talk.say("a name too long", set(vec![tag(&long, "1")]).send()).await;
    talk.say("still the new ones", get()).await;
    let eleven: Vec<String> = (0..11).map(|n| format!("k{n}=v")).collect();
    let put = c.put_object().bucket(b).key("many").tagging(eleven.join("&"));
    talk.say("put with eleven", put.send()).await;
    talk.say("remove", c.delete_object_tagging().bucket(b).key("k").send()).await;
    talk.say("get none", get()).await;
    let missing = c.get_object_tagging().bucket(b).key("missing");
    talk.say("get of the missing", missing.send()).await;
    let create = c.create_multipart_upload().bucket(b).key("parts").tagging("a=1");
    let upload = talk.must("create", create.send()).await.upload_id.unwrap();
    finish(talk, &c, b, &upload).await;
    let get = c.get_object_tagging().bucket(b).key("parts");
    talk.say("get of a multipart object", get.send()).await;
}

/// Completes the upload of `parts` with one part.
async fn finish(talk: &mut Talk, c: &Client, b: &str, upload: &str) {
    let part = c.upload_part().bucket(b).key("parts").upload_id(upload).part_number(1);
    let etag = talk.must("part", part.body(bytes(1, 10)).send()).await.e_tag.unwrap();
    let complete = c.complete_multipart_upload().bucket(b).key("parts").upload_id(upload);
    let complete = complete.multipart_upload(chosen(&[(1, &etag)]));
    talk.say("complete", complete.send()).await;
}

pub(crate) async fn metadata(talk: &mut Talk) {
    let (c, b) = talk.topic("metadata").await;
    let put = c.put_object().bucket(b).key("k").content_type("text/html; charset=utf-8");
    let put = put.content_encoding("gzip").content_language("de").cache_control("max-age=60");
    let put = put.content_disposition("attachment; filename=\"a b.html\"");
    let put = put.website_redirect_location("/elsewhere").storage_class(StorageClass::StandardIa);
    let put = put.metadata("Color", "red").metadata("coded", "=?UTF-8?B?w6k=?=");
    let expires = "Wed, 21 Oct 2037 07:28:00 GMT";
    let put = put.metadata("spaced", "a  b").customize().mutate_request(move |request| {
        request.headers_mut().insert("expires", expires);
    });
    talk.say("put", put.send()).await;
    talk.say("head", c.head_object().bucket(b).key("k").send()).await;
    talk.read("get", c.get_object().bucket(b).key("k").send()).await;
    let get = c.get_object().bucket(b).key("k").response_content_type("a/b");
    talk.read("get under another type", get.response_cache_control("no-store").send()).await;
    talk.say("in a listing", c.list_objects_v2().bucket(b).send()).await;
    let put = c.put_object().bucket(b).key("bytes").customize().mutate_request(|request| {
        request.headers_mut().insert("x-amz-meta-name", "na\u{ef}ve \u{1f600}".to_owned());
    });
    talk.say("put bytes beyond ASCII", put.send()).await;
    let head = c.head_object().bucket(b).key("bytes");
    talk.say("head bytes beyond ASCII", head.send()).await;
    let most = "v".repeat(2_048 - "name".len());
    let put = |value: &str| c.put_object().bucket(b).key("most").metadata("name", value);
    talk.say("as much as there may be", put(&most).send()).await;
    talk.say("more than there may be", put(&format!("{most}v")).send()).await;
    let create = c.create_multipart_upload().bucket(b).key("parts").content_type("a/b");
    let create = create.metadata("color", "red").storage_class(StorageClass::StandardIa);
    let upload = talk.must("create", create.send()).await.upload_id.unwrap();
    finish(talk, &c, b, &upload).await;
    talk.say("head of a multipart object", c.head_object().bucket(b).key("parts").send()).await;
}

pub(crate) async fn versions(talk: &mut Talk) {
    let (c, b) = talk.topic("versions").await;
    talk.say("put before", c.put_object().bucket(b).key("k").body(bytes(0, 10)).send()).await;
    talk.say("versioning, never set", c.get_bucket_versioning().bucket(b).send()).await;
    let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let set = c.put_bucket_versioning().bucket(b).versioning_configuration(on);
    talk.say("enable", set.send()).await;
    talk.say("versioning, enabled", c.get_bucket_versioning().bucket(b).send()).await;
    let put = |seed| c.put_object().bucket(b).key("k").body(bytes(seed, 10)).send();
    let first = talk.must("put one", put(1)).await.version_id.unwrap();
    talk.say("put two", put(2)).await;
    talk.read("get", c.get_object().bucket(b).key("k").send()).await;
    let get = |version: &str| c.get_object().bucket(b).key("k").version_id(version).send();
    talk.read("get one", get(&first)).await;
    talk.read("get null", get("null")).await;
    talk.read("get unknown", get("0123456789abcdef0123456789abcdef")).await;
    let gone = talk.must("delete", c.delete_object().bucket(b).key("k").send()).await;
    talk.read("get deleted", c.get_object().bucket(b).key("k").send()).await;
    talk.say("head deleted", c.head_object().bucket(b).key("k").send()).await;
    talk.say("list deleted", c.list_objects_v2().bucket(b).send()).await;
    let marker = gone.version_id.unwrap();
    talk.read("get the marker", get(&marker)).await;
    talk.say("all versions", c.list_object_versions().bucket(b).send()).await;
    let two = c.list_object_versions().bucket(b).max_keys(2);
    talk.say("two versions", two.send()).await;
    let delete = |version: &str| c.delete_object().bucket(b).key("k").version_id(version).send();
    talk.say("delete the marker", delete(&marker)).await;
    talk.say("delete one", delete(&first)).await;
    talk.read("get one, gone", get(&first)).await;
    talk.read("two is back", c.get_object().bucket(b).key("k").send()).await;
    talk.say("the rest", c.list_object_versions().bucket(b).send()).await;
}
