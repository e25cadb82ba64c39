//! Exchanges about checksums: given and verified, kept, shown, and put together for multipart objects.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, RequestChecksumCalculation};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
    ObjectAttributes,
};
use bytes::Bytes;
use http_body_util::Full;
use tranship_tests::rig::MIB;

use crate::multipart::bytes as noise;
use crate::talk::Talk;

/// The published check values: those of the digits one to nine.
const NINE: &str = "123456789";
const MD5: &str = "JfnnlDI7RTiF9RgfG2JNCw==";
const CHECKS: [(&str, &str); 5] = [
    ("crc32", "y/Q5Jg=="),
    ("crc32c", "4waSgw=="),
    ("crc64nvme", "rosUhgp5mIg="),
    ("sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
    ("sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
];

/// The same length, another value.
fn spoilt(value: &str) -> String {
    format!("AAAA{}", &value[4..])
}

pub(crate) async fn of_objects(talk: &mut Talk) {
    let (c, b) = talk.topic("checksums").await;
    let put = |key: &str| c.put_object().bucket(b).key(key).body(NINE.as_bytes().to_vec().into());
    for (name, value) in CHECKS {
        for (what, value) in
            [("right", value.to_owned()), ("wrong", spoilt(value)), ("malformed", "AA==".into())]
        {
            let header = format!("x-amz-checksum-{name}");
            let put = put(name).customize().mutate_request(move |request| {
                request.headers_mut().insert(header.clone(), value.clone());
            });
            talk.say(&format!("put with a {what} {name}"), put.send()).await;
        }
        let head = c.head_object().bucket(b).key(name).checksum_mode(ChecksumMode::Enabled);
        talk.say(&format!("head with {name}"), head.send()).await;
        let get = c.get_object().bucket(b).key(name).checksum_mode(ChecksumMode::Enabled);
        talk.read(&format!("get with {name}"), get.send()).await;
        let head = c.head_object().bucket(b).key(name);
        talk.say(&format!("head with {name}, not asked for"), head.send()).await;
    }
    talk.say("put with the right MD5", put("md5").content_md5(MD5).send()).await;
    talk.say("put with a wrong MD5", put("md5").content_md5(spoilt(MD5)).send()).await;
    talk.say("put with no MD5 at all", put("md5").content_md5("no").send()).await;
    talk.say("put without", put("none").send()).await;
    let head = c.head_object().bucket(b).key("none").checksum_mode(ChecksumMode::Enabled);
    talk.say("head of one put without", head.send()).await;
    let streamed = ByteStream::from_body_1_x(Full::new(Bytes::from_static(NINE.as_bytes())));
    let trailer = put("trailer").checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).body(streamed);
    let trailer = trailer.customize().config_override(summing());
    talk.say("put with a trailer", trailer.send()).await;
    let head = c.head_object().bucket(b).key("trailer").checksum_mode(ChecksumMode::Enabled);
    talk.say("head of one put with a trailer", head.send()).await;
    let attributes = c.get_object_attributes().bucket(b).key("crc32c");
    let attributes = attributes.set_object_attributes(Some(wanted()));
    talk.say("attributes", attributes.send()).await;
    talk.say("in a listing", c.list_objects_v2().bucket(b).send()).await;
    let wrong = c.upload_part().bucket(b).key("parts").part_number(1);
    let create = c.create_multipart_upload().bucket(b).key("parts");
    let upload = talk.must("create", create.send()).await.upload_id.unwrap();
    let wrong = wrong.upload_id(&upload).body(ByteStream::from_static(b"123456789"));
    talk.say("part with a wrong MD5", wrong.content_md5(spoilt(MD5)).send()).await;
    let wrong = c.upload_part().bucket(b).key("parts").part_number(1).upload_id(&upload);
    let wrong = wrong.body(ByteStream::from_static(b"123456789"));
    talk.say("part with a wrong crc32", wrong.checksum_crc32("AAAAJg==").send()).await;
}

/// The SDK computes checksums itself: of bytes in memory as a header, of a stream as a trailer.
fn summing() -> Builder {
    Builder::new().request_checksum_calculation(RequestChecksumCalculation::WhenSupported)
}

fn wanted() -> Vec<ObjectAttributes> {
    [
        ObjectAttributes::Checksum,
        ObjectAttributes::Etag,
        ObjectAttributes::ObjectParts,
        ObjectAttributes::ObjectSize,
        ObjectAttributes::StorageClass,
    ]
    .to_vec()
}

pub(crate) async fn of_uploads(talk: &mut Talk) {
    let (c, b) = talk.topic("upload-checksums").await;
    let (composite, full) = (ChecksumType::Composite, ChecksumType::FullObject);
    for (algorithm, kind) in [
        (ChecksumAlgorithm::Sha256, composite.clone()),
        (ChecksumAlgorithm::Sha1, composite.clone()),
        (ChecksumAlgorithm::Crc32, composite.clone()),
        (ChecksumAlgorithm::Crc32, full.clone()),
        (ChecksumAlgorithm::Crc32C, composite),
        (ChecksumAlgorithm::Crc32C, full.clone()),
        (ChecksumAlgorithm::Crc64Nvme, full.clone()),
    ] {
        upload(talk, &c, b, (algorithm, kind)).await;
    }
    let unfit = c.create_multipart_upload().bucket(b).key("unfit").checksum_type(full);
    let unfit = unfit.checksum_algorithm(ChecksumAlgorithm::Sha256);
    talk.say("create with a pair that there is not", unfit.send()).await;
    let none = c.create_multipart_upload().bucket(b).key("none");
    let upload = talk.must("create without", none.send()).await.upload_id.unwrap();
    let part = c.upload_part().bucket(b).key("none").upload_id(&upload).part_number(1);
    let part = talk.must("part without", part.body(noise(1, 10)).send()).await;
    let part = CompletedPart::builder().part_number(1).e_tag(part.e_tag.unwrap()).build();
    let complete = c.complete_multipart_upload().bucket(b).key("none").upload_id(&upload);
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    talk.say("complete without", complete.multipart_upload(parts).send()).await;
}

/// Two parts with checksums, and what the finished object says of them.
async fn upload(talk: &mut Talk, c: &Client, b: &str, of: (ChecksumAlgorithm, ChecksumType)) {
    let name = format!("{}, {}", of.0, of.1);
    let create = c.create_multipart_upload().bucket(b).key(&name);
    let create = create.checksum_algorithm(of.0.clone()).checksum_type(of.1);
    let upload = talk.must(&format!("create with {name}"), create.send()).await;
    let upload = upload.upload_id.unwrap();
    let mut parts = Vec::new();
    for (number, size) in [(1, 5 * MIB), (2, 99)] {
        let part = c.upload_part().bucket(b).key(&name).upload_id(&upload).part_number(number);
        let part = part.checksum_algorithm(of.0.clone()).body(noise(7, size));
        let part = part.customize().config_override(summing());
        let part = talk.must(&format!("part with {name}"), part.send()).await;
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(part.e_tag)
            .set_checksum_crc32(part.checksum_crc32)
            .set_checksum_crc32_c(part.checksum_crc32_c)
            .set_checksum_crc64_nvme(part.checksum_crc64_nvme)
            .set_checksum_sha1(part.checksum_sha1)
            .set_checksum_sha256(part.checksum_sha256);
        parts.push(part.build());
    }
    let list = c.list_parts().bucket(b).key(&name).upload_id(&upload);
    talk.say(&format!("list parts with {name}"), list.send()).await;
    let complete = c.complete_multipart_upload().bucket(b).key(&name).upload_id(&upload);
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete = complete.multipart_upload(parts);
    talk.say(&format!("complete with {name}"), complete.send()).await;
    let head = c.head_object().bucket(b).key(&name).checksum_mode(ChecksumMode::Enabled);
    talk.say(&format!("head with {name}"), head.send()).await;
    let head = c.head_object().bucket(b).key(&name).checksum_mode(ChecksumMode::Enabled);
    talk.say(&format!("head part with {name}"), head.part_number(2).send()).await;
    let attributes = c.get_object_attributes().bucket(b).key(&name);
    let attributes = attributes.set_object_attributes(Some(wanted()));
    talk.say(&format!("attributes with {name}"), attributes.send()).await;
}
