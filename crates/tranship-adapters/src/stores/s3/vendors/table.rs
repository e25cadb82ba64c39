//! The rows.

use tranship_core::room::{MetadataRoom, ObjectRoom};

use super::{Acls, ChecksumHeader, ETags, Endpoints, ListVersion, Permissions, Quirks, Vendor};

const TIB: u64 = 1 << 40;

/// What every store can be asked for that speaks the protocol at all.
const CAREFUL: Quirks = Quirks {
    path_style: true,
    signed_region: None,
    list: ListVersion::V2,
    encodes_listings: true,
    lists_late: false,
    lists_links: false,
    lists_restores: false,
    checksums: false,
    conditions: true,
    tags: true,
    part_copy: true,
    owners: false,
    kms: false,
    payer: false,
    etags: ETags::Md5,
    md5_is_promised: false,
    encryption_hides_md5: false,
    qetags: false,
    prefix: None,
    checksum: None,
    accepts_gzip: false,
    acls: Acls::Shown,
    metadata: MetadataRoom::ASSUMED,
    objects: ObjectRoom::WHOLE,
    classes: &[],
};

/// What a vendor documents of user metadata, to which its row adds what else it says.
const METADATA: MetadataRoom = MetadataRoom { is_assumed: false, ..MetadataRoom::ASSUMED };

/// What XML 1.0 cannot carry, or what its readers take for another character: no listing without an encoding tells of
/// a key with one of these.
const UNLISTED: &[char] = &[
    '\0', '\u{1}', '\u{2}', '\u{3}', '\u{4}', '\u{5}', '\u{6}', '\u{7}', '\u{8}', '\u{b}', '\u{c}',
    '\r', '\u{e}', '\u{f}', '\u{10}', '\u{11}', '\u{12}', '\u{13}', '\u{14}', '\u{15}', '\u{16}',
    '\u{17}', '\u{18}', '\u{19}', '\u{1a}', '\u{1b}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{1f}',
    '\u{fffe}', '\u{ffff}',
];

pub static AMAZON: Vendor = Vendor {
    kind: "amazon-s3",
    scheme: "s3",
    name: "Amazon S3",
    hosts: &[".amazonaws.com", ".amazonaws.com.cn"],
    endpoints: None,
    quirks: Quirks {
        path_style: false,
        lists_restores: true,
        md5_is_promised: true,
        checksums: true,
        owners: true,
        kms: true,
        payer: true,
        metadata: METADATA,
        ..CAREFUL
    },
    permissions: Permissions::Iam,
    knows_owners: true,
    bridge: None,
    documents: &[
        "https://docs.aws.amazon.com/AmazonS3/latest/API/",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/RequesterPaysBuckets.html",
    ],
};

/// A store of which nothing is known but that it speaks the protocol: MinIO, Ceph, and many others.
/// Whether it honours conditions is seen at each write, since a refused one says so.
pub static COMPATIBLE: Vendor = Vendor {
    kind: "s3-compatible",
    scheme: "s3",
    name: "an S3-compatible store",
    hosts: &[],
    endpoints: None,
    quirks: Quirks { checksums: true, owners: true, kms: true, payer: true, ..CAREFUL },
    permissions: Permissions::Iam,
    knows_owners: false,
    bridge: None,
    documents: &[],
};

/// Stores that are known by their scheme or by their hosts.
pub static VENDORS: &[Vendor] = &[OSS, COS, KODO, GCS, R2];

const OSS: Vendor = Vendor {
    kind: "alibaba-oss",
    scheme: "oss",
    name: "Alibaba Cloud OSS",
    hosts: &[".aliyuncs.com"],
    endpoints: Some(Endpoints {
        public: "https://s3.oss-{region}.aliyuncs.com",
        internal: Some("https://s3.oss-{region}-internal.aliyuncs.com"),
        example: "cn-hangzhou",
    }),
    quirks: Quirks {
        path_style: false,
        lists_links: true,
        conditions: false,
        // Not among the operations behind the S3 protocol.
        tags: false,
        etags: ETags::Md5OfPlain,
        prefix: Some("x-oss-"),
        checksum: Some(ChecksumHeader::Crc64(&["x-oss-hash-crc64ecma", "x-amz-hash-crc64ecma"])),
        // Less than 8 KB, with the whole names of the headers.
        metadata: MetadataRoom { total: 8_191, prefix: 11, plain_names: true, ..METADATA },
        objects: ObjectRoom { key_bytes: 1_023, not_first: &["/", "\\"], ..ObjectRoom::WHOLE },
        classes: &[
            // Amazon's names behind the S3 protocol, its own elsewhere.
            ("STANDARD", "STANDARD"),
            ("STANDARD_IA", "STANDARD_IA"),
            ("IA", "STANDARD_IA"),
            ("GLACIER", "GLACIER"),
            ("Archive", "GLACIER"),
            ("DEEP_ARCHIVE", "DEEP_ARCHIVE"),
            ("ColdArchive", "DEEP_ARCHIVE"),
            ("DeepColdArchive", "DEEP_ARCHIVE"),
        ],
        ..CAREFUL
    },
    permissions: Permissions::Ram,
    knows_owners: false,
    bridge: Some("bridge.oss"),
    documents: &[
        "https://help.aliyun.com/en/oss/developer-reference/use-aws-sdks-to-access-oss",
        "https://help.aliyun.com/en/oss/developer-reference/compatibility-with-amazon-s3",
        "https://www.alibabacloud.com/help/en/oss/user-guide/0017-00000804",
        "https://www.alibabacloud.com/help/en/oss/developer-reference/getobject",
        "https://help.aliyun.com/en/oss/user-guide/0011-00000002",
        "https://help.aliyun.com/en/oss/user-guide/0016-00000002",
        "https://help.aliyun.com/en/oss/user-guide/0026-00000012",
    ],
};

const COS: Vendor = Vendor {
    kind: "tencent-cos",
    scheme: "cos",
    name: "Tencent Cloud COS",
    hosts: &[".myqcloud.com", ".tencentcos.cn"],
    endpoints: Some(Endpoints {
        public: "https://cos.{region}.myqcloud.com",
        // Within the vendor's network the same name leads to a private address.
        internal: Some("https://cos.{region}.myqcloud.com"),
        example: "ap-guangzhou",
    }),
    quirks: Quirks {
        path_style: false,
        // Only the first version is documented, and it may show late what was written.
        list: ListVersion::V1,
        lists_late: true,
        conditions: false,
        etags: ETags::Md5OfPlain,
        encryption_hides_md5: true,
        prefix: Some("x-cos-"),
        checksum: Some(ChecksumHeader::Crc64(&["x-cos-hash-crc64ecma", "x-amz-hash-crc64ecma"])),
        metadata: MetadataRoom {
            total: 4_096,
            entry: 2_048,
            prefix: 11,
            plain_names: true,
            ..METADATA
        },
        objects: ObjectRoom {
            key_bytes: 850,
            not_first: &["/", "\\"],
            not_within: &['\u{18}', '\u{19}', '\u{1a}', '\u{1b}'],
            ..ObjectRoom::WHOLE
        },
        classes: &[
            ("STANDARD_IA", "STANDARD_IA"),
            ("STANDARD", "STANDARD"),
            ("MAZ_STANDARD", "STANDARD"),
            ("MAZ_STANDARD_IA", "STANDARD_IA"),
            ("INTELLIGENT_TIERING", "INTELLIGENT_TIERING"),
            ("MAZ_INTELLIGENT_TIERING", "INTELLIGENT_TIERING"),
            ("COLD", "GLACIER_IR"),
            ("ARCHIVE", "GLACIER"),
            ("DEEP_ARCHIVE", "DEEP_ARCHIVE"),
        ],
        ..CAREFUL
    },
    permissions: Permissions::Cam,
    knows_owners: false,
    bridge: Some("bridge.cos"),
    documents: &[
        "https://www.tencentcloud.com/document/product/436/32537",
        "https://www.tencentcloud.com/document/product/436/30614",
        "https://www.tencentcloud.com/document/product/436/7729",
        "https://www.tencentcloud.com/document/product/436/7746",
        "https://www.tencentcloud.com/document/product/436/7749",
        "https://www.tencentcloud.com/document/product/436/13324",
    ],
};

const KODO: Vendor = Vendor {
    kind: "qiniu-kodo",
    scheme: "kodo",
    name: "Qiniu Kodo",
    hosts: &[".qiniucs.com"],
    endpoints: Some(Endpoints {
        public: "https://s3.{region}.qiniucs.com",
        internal: None,
        example: "cn-east-1",
    }),
    quirks: Quirks {
        encodes_listings: false,
        conditions: false,
        tags: false,
        // Documented of the store's files; of the ETags behind the S3 protocol nothing is. Never MD5, then, and a
        // qetag where one has the form.
        etags: ETags::Own,
        qetags: true,
        // Documented of the store's files, and not again of the S3 protocol.
        metadata: MetadataRoom { total: 1_024, ..METADATA },
        // Its listings are never encoded, so one such key would make them unreadable from then on.
        objects: ObjectRoom { not_within: UNLISTED, ..ObjectRoom::WHOLE },
        classes: &[
            ("LINE", "STANDARD_IA"),
            ("INTELLIGENT_TIERING", "INTELLIGENT_TIERING"),
            ("GLACIER_IR", "GLACIER_IR"),
            ("GLACIER", "GLACIER"),
            ("DEEP_ARCHIVE", "DEEP_ARCHIVE"),
        ],
        ..CAREFUL
    },
    permissions: Permissions::Console,
    knows_owners: false,
    bridge: None,
    documents: &[
        "https://developer.qiniu.com/kodo/4088/s3-access-domainname",
        "https://developer.qiniu.com/kodo/4087/compatible-s3-api",
        "https://developer.qiniu.com/kodo/8567/settings-file-meta-information",
        "https://github.com/qiniu/qetag",
    ],
};

const GCS: Vendor = Vendor {
    kind: "google-gcs",
    scheme: "gs",
    name: "Google Cloud Storage",
    hosts: &["storage.googleapis.com"],
    endpoints: Some(Endpoints {
        public: "https://storage.googleapis.com",
        internal: None,
        example: "auto",
    }),
    quirks: Quirks {
        signed_region: Some("auto"),
        conditions: false,
        tags: false,
        part_copy: false,
        etags: ETags::Md5OfPlain,
        prefix: Some("x-goog-"),
        checksum: Some(ChecksumHeader::Hashes(&["x-goog-hash"])),
        accepts_gzip: true,
        acls: Acls::Own,
        metadata: MetadataRoom { total: 8_192, name: 1_024, value: 4_096, ..METADATA },
        objects: ObjectRoom {
            not_first: &[".well-known/acme-challenge/"],
            not_within: &['\r', '\n'],
            not_whole: &[".", ".."],
            size_bytes: 5 * TIB,
            ..ObjectRoom::WHOLE
        },
        classes: &[
            ("STANDARD", "STANDARD"),
            ("NEARLINE", "STANDARD_IA"),
            ("COLDLINE", "GLACIER_IR"),
            // It is read at once, without a restore.
            ("ARCHIVE", "GLACIER_IR"),
            ("MULTI_REGIONAL", "STANDARD"),
            ("REGIONAL", "STANDARD"),
            ("DURABLE_REDUCED_AVAILABILITY", "STANDARD"),
        ],
        ..CAREFUL
    },
    permissions: Permissions::Roles,
    knows_owners: false,
    bridge: None,
    documents: &[
        "https://cloud.google.com/storage/docs/aws-simple-migration",
        "https://cloud.google.com/storage/docs/xml-api/reference-headers",
        "https://cloud.google.com/storage/docs/xml-api/post-object-complete",
        "https://cloud.google.com/storage/docs/request-preconditions",
        "https://cloud.google.com/storage/docs/transcoding",
        "https://cloud.google.com/storage/docs/migrating",
        "https://cloud.google.com/storage/docs/reference/rpc/google.storage.v1",
        "https://cloud.google.com/storage/docs/objects",
        "https://cloud.google.com/storage/quotas",
    ],
};

const R2: Vendor = Vendor {
    kind: "cloudflare-r2",
    scheme: "s3",
    name: "Cloudflare R2",
    hosts: &[".r2.cloudflarestorage.com"],
    endpoints: None,
    quirks: Quirks {
        signed_region: Some("auto"),
        etags: ETags::Md5OfPlain,
        tags: false,
        acls: Acls::Absent,
        // 5 GiB less than 5 TiB.
        objects: ObjectRoom { size_bytes: 5 * TIB - (5 << 30), ..ObjectRoom::WHOLE },
        ..CAREFUL
    },
    permissions: Permissions::Iam,
    knows_owners: false,
    bridge: None,
    documents: &[
        "https://developers.cloudflare.com/r2/api/s3/api/",
        "https://developers.cloudflare.com/r2/platform/limits/",
    ],
};
