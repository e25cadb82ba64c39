//! Whose store a place is in, what follows from that, and what such a store lacks.

use super::*;

#[test]
fn the_endpoint_follows_from_scheme_and_region() {
    let source = |args: &[&str]| {
        let args: Vec<&str> = args.iter().chain(&["s3://dst"]).copied().collect();
        let settings = resolve(Written { args: &args, ..Written::default() }).unwrap();
        let SideSettings { vendor, location, .. } = settings.source;
        let place = location.display();
        (vendor.name, location.endpoint.unwrap_or_default(), place)
    };
    for (args, vendor, endpoint, place) in [
        (&["s3://src"][..], "Amazon S3", "", "s3://src/"),
        (
            &["--source-region=cn-hangzhou", "oss://b/a"],
            "Alibaba Cloud OSS",
            "https://s3.oss-cn-hangzhou.aliyuncs.com",
            "oss://b/a",
        ),
        (
            &["--source-region=cn-hangzhou", "--source-internal", "oss://b"],
            "Alibaba Cloud OSS",
            "https://s3.oss-cn-hangzhou-internal.aliyuncs.com",
            "oss://b/",
        ),
        (
            &["--source-region=ap-guangzhou", "cos://b-1250000000"],
            "Tencent Cloud COS",
            "https://cos.ap-guangzhou.myqcloud.com",
            "cos://b-1250000000/",
        ),
        (
            &["--source-region=cn-east-1", "kodo://b"],
            "Qiniu Kodo",
            "https://s3.cn-east-1.qiniucs.com",
            "kodo://b/",
        ),
        (&["gs://b"], "Google Cloud Storage", "https://storage.googleapis.com", "gs://b/"),
        // An endpoint that is given goes before, and says whose it is where the scheme does not.
        (
            &["--source-endpoint=https://oss-cn-beijing.aliyuncs.com", "s3://b"],
            "Alibaba Cloud OSS",
            "https://oss-cn-beijing.aliyuncs.com",
            "s3://b/",
        ),
        (
            &["--source-endpoint=https://files.example.org", "oss://b"],
            "Alibaba Cloud OSS",
            "https://files.example.org",
            "oss://b/",
        ),
        (
            &["--source-endpoint=https://minio.example.org", "s3://b"],
            "an S3-compatible store",
            "https://minio.example.org",
            "s3://b/",
        ),
    ] {
        assert_eq!(source(args), (vendor, endpoint.to_owned(), place.to_owned()), "{args:?}");
    }
}

#[test]
fn a_store_that_cannot_be_found_or_is_anothers_is_refused() {
    for (args, parts) in [
        (
            &["oss://b", "s3://dst"][..],
            &["has no region", "--source-region, such as cn-hangzhou"][..],
        ),
        (
            &["s3://src", "cos://b-1"],
            &["DESTINATION", "--destination-region, such as ap-guangzhou"],
        ),
        (
            &["gs://b", "s3://dst", "--source-internal"],
            &["--source-internal", "Google Cloud Storage"],
        ),
        (&["s3://src", "s3://dst", "--source-internal"], &["--source-internal", "Amazon S3"]),
        (&["oss://b", "s3://dst", "--source-bucket-endpoint"], &["--source-region"]),
        (
            &["s3://src", "s3://dst", "--source-bucket-endpoint"],
            &["has no effect without an endpoint"],
        ),
        (&["OSS://b", "s3://dst"], &["write oss:// in lower case"]),
        (&["gcs://b", "s3://dst"], &["write gs:// for Google"]),
        (
            &["oss://b", "s3://dst", "--source-endpoint=https://cos.ap-guangzhou.myqcloud.com"],
            &["an endpoint of Tencent Cloud COS", "write cos://bucket/prefix"],
        ),
        (
            &["s3://src", "s3://dst", "--map-storage-class=NEARLINE"],
            &["names no two classes", "FROM=TO"],
        ),
        (
            &["s3://src", "s3://dst", "--map-storage-class=A=B", "--map-storage-class=a=C"],
            &["maps \"a\" twice"],
        ),
        (&["s3://src", "s3://dst", "--source-list-version=3"], &["--source-list-version"]),
    ] {
        assert_message(resolve(Written { args, ..Written::default() }), parts);
    }
}

#[test]
fn options_that_a_store_lacks_are_refused_by_name() {
    for (args, parts) in [
        (
            &["gs://a", "gs://b", "--server-side=always"][..],
            &["--server-side", "Google", "write auto"][..],
        ),
        (
            &["s3://src", "gs://b", "--expected-bucket-owner=111122223333"],
            &["--expected-bucket-owner", "Google", "leave it away"],
        ),
        (
            &["gs://b", "s3://dst", "--source-requester-pays"],
            &["--source-requester-pays", "Google", "the bucket's own account"],
        ),
        (
            &["s3://src", "gs://b", "--destination-requester-pays"],
            &["--destination-requester-pays", "Google"],
        ),
        (
            &["s3://src", "kodo://b", "--destination-region=cn-east-1", "--sse=aws:kms"],
            &["--sse", "Qiniu Kodo", "Amazon's key management"],
        ),
        (
            &["s3://src", "gs://b", "--storage-class=ONEZONE_IA"],
            &["--storage-class", "no equal at Google", "STANDARD, NEARLINE, COLDLINE"],
        ),
    ] {
        assert_message(resolve(Written { args, ..Written::default() }), parts);
    }
    // A file that a person gives for several transfers may take it back.
    let args = ["gs://b", "s3://dst", "--source-requester-pays=false"];
    resolve(Written { args: &args, ..Written::default() }).unwrap();
}

#[test]
fn a_class_is_given_by_amazons_name_or_the_stores_own() {
    for class in ["STANDARD", "STANDARD_IA", "NEARLINE", "ARCHIVE", "A_CLASS_MADE_SINCE"] {
        let option = format!("--storage-class={class}");
        let args = ["s3://src", "gs://b", &option];
        let settings = resolve(Written { args: &args, ..Written::default() }).unwrap();
        assert_eq!(settings.storage_class.as_deref(), Some(class));
    }
}

#[test]
fn what_a_destination_cannot_do_is_not_asked_of_it() {
    let conditions = |args: &[&str]| {
        let args: Vec<&str> = ["s3://src"].iter().chain(args).copied().collect();
        resolve(Written { args: &args, ..Written::default() }).unwrap().conditions
    };
    assert!(conditions(&["s3://dst"]));
    assert!(!conditions(&["gs://dst"]));
    assert!(!conditions(&["s3://dst", "--destination-conditions=false"]));
    assert!(conditions(&["gs://dst", "--destination-conditions"]));
}
