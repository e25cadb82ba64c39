//! The options of one server: which back end new buckets get, how it listens, and where real stores differ.

use crate::dialect::Dialect;
use std::fmt;

/// What a new bucket does with the bytes written to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// Bytes are kept in memory and can be read again.
    #[default]
    Memory,
    /// Bytes are counted and thrown away; the row of the object (size, `ETag`, metadata) stays. With `hash_writes`
    /// the `ETag` is the MD5 of what came and CRCs are computed, else it is the `Content-MD5` that came
    /// along, or a cheap number without meaning.
    Synthetic { hash_writes: bool },
}

/// What an `ETag` is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EtagMode {
    /// MD5, and MD5 of MD5s with `-N` behind it for multipart uploads.
    #[default]
    Md5,
    /// Random, as under SSE-KMS; answers then say `x-amz-server-side-encryption: aws:kms`.
    Random,
    /// MD5 in capitals for what came in one piece, else random with `-N` behind it; so does Alibaba Cloud OSS.
    UpperMd5,
    /// MD5 for what came in one piece, else random with `-N` behind it; so does Tencent COS, and so is believed of
    /// the S3 API of Qiniu Kodo.
    Md5OfOnePiece,
    /// MD5 for what came in one piece, else a text that does not look like a digest; so does Google Cloud Storage.
    Md5OrOpaque,
    /// A qetag, of whatever it came in; so does the native API of Qiniu Kodo.
    Qetag,
}

impl EtagMode {
    /// Whether the `ETag` of what came in one piece is an MD5.
    pub(crate) fn hashes(self) -> bool {
        self != Self::Random
    }
}

/// How the replay of an already finished `CompleteMultipartUpload` is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompleteReplay {
    /// 200 with the same `ETag`, as Amazon S3 does for some time.
    #[default]
    Ok200,
    /// 404 `NoSuchUpload`.
    NoSuchUpload404,
    /// 412 `PreconditionFailed` if the request carries a condition, else 404 `NoSuchUpload`.
    Precondition412,
}

/// How a server behaves as a whole. Buckets have [settings](crate::BucketSettings) of their own.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent way in which stores differ"
)]
pub struct ServerOptions {
    /// Whose store this is. Another vendor's ways win over the options below wherever they differ from Amazon's.
    pub dialect: Dialect,
    /// Answers of another vendor's store name their headers after the vendor (`x-oss-meta-`, …) and storage classes
    /// as its own API does. Without, they are Amazon's wherever Amazon has one: vendors do either, by request.
    pub native_headers: bool,
    pub backend: Backend,
    /// HTTPS with a certificate for 127.0.0.1, localhost, s3.localhost and all names one label below the last, under a CA
    /// made on the spot. Buckets' names stand before s3.localhost.
    pub tls: bool,
    /// Access key and secret; requests must be signed with them. Without, signatures are ignored.
    pub credentials: Option<(String, String)>,
    /// The region that requests must be signed for, and that buckets are in. Only checked with `credentials`.
    pub region: String,
    /// Refuse requests that were signed for another region.
    pub check_region: bool,
    pub etags: EtagMode,
    pub replay: CompleteReplay,
    /// Honour `encoding-type=url` in listings; some stores ignore it.
    pub encode_listing: bool,
    /// Compute CRC-64/NVME for what comes without a checksum, as Amazon S3 does.
    pub default_checksum: bool,
    /// Take the headers about checksums and those that came with them; some stores refuse whatever they do not know.
    pub checksum_headers: bool,
    /// Support `If-Match` and `If-None-Match` on writes; some stores ignore them.
    pub conditional_writes: bool,
    /// The least size of all parts but the last; Amazon S3's is 5 MiB.
    pub minimum_part: u64,
    /// Bytes of user metadata that an object may have; Amazon S3 takes 2 KB.
    pub metadata_limit: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            dialect: Dialect::default(),
            native_headers: false,
            backend: Backend::default(),
            tls: false,
            credentials: None,
            region: "us-east-1".to_owned(),
            check_region: true,
            etags: EtagMode::default(),
            replay: CompleteReplay::default(),
            encode_listing: true,
            default_checksum: true,
            checksum_headers: true,
            conditional_writes: true,
            minimum_part: 5 << 20,
            metadata_limit: 2 << 10,
        }
    }
}

impl fmt::Debug for ServerOptions {
    // The secret stays out of logs, even though it is a test's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("dialect", &self.dialect)
            .field("backend", &self.backend)
            .field("tls", &self.tls)
            .field("region", &self.region)
            .field("etags", &self.etags)
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}
