//! Receiving: the body of a `PutObject` or `UploadPart`, hashed while it arrives, and what becomes of it.

use super::condition::check_write;
use super::multipart::{no_such_upload, part_number};
use super::properties::{check_key, parse_tags, properties_of, put_encryption, read_as_latin1};
use super::{Api, Misbehave, caller_of, misbehaves, signed, strong};
use crate::checksum::{Algorithm, Hashed, Hasher, Sums, put_sums, size, sums_of};
use crate::clock;
use crate::content::Content;
use crate::framing::Trailers;
use crate::options::Backend;
use crate::store::{Access, Properties, UploadedPart, enter};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::HeaderMap;
use s3s::dto::{
    ChecksumType, PutObjectInput, PutObjectOutput, StreamingBlob, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result, TrailingHeaders, s3_error};

type Tags = Vec<(String, String)>;

/// The largest body of one request.
const BODY_LIMIT: i64 = 5 << 30;

/// What a body must turn out to be.
struct Expected {
    backend: Backend,
    length: Option<i64>,
    content_md5: Option<String>,
    /// Checksums from headers; those of trailers come later.
    sums: Sums,
    /// What is computed in any case.
    algorithms: Vec<Algorithm>,
    trailing: Option<TrailingHeaders>,
    framed: Option<Trailers>,
}

struct Received {
    content: Content,
    etag: String,
    sums: Sums,
}

impl Api {
    fn expected<T>(
        &self,
        request: &S3Request<T>,
        sums: Sums,
        backend: Backend,
        wanted: Option<Algorithm>,
    ) -> Expected {
        let mut algorithms: Vec<Algorithm> = sums.iter().map(|(algorithm, _)| algorithm).collect();
        for name in request.headers.get_all("x-amz-trailer") {
            algorithms.extend(Algorithm::ALL.into_iter().filter(|algorithm| {
                name.as_bytes().eq_ignore_ascii_case(algorithm.header().as_bytes())
            }));
        }
        algorithms.extend(wanted);
        if algorithms.is_empty() && self.options.default_checksum {
            algorithms.push(Algorithm::Crc64Nvme);
        }
        Expected {
            backend,
            length: None,
            content_md5: None,
            sums,
            algorithms,
            trailing: request.trailing_headers.clone(),
            framed: request.extensions.get::<Trailers>().cloned(),
        }
    }

    async fn receive(&self, body: Option<StreamingBlob>, expected: Expected) -> S3Result<Received> {
        if expected.length.is_some_and(|length| length > BODY_LIMIT) {
            return Err(s3_error!(
                EntityTooLarge,
                "Your proposed upload exceeds the maximum allowed size"
            ));
        }
        let unhashed = expected.backend == Backend::Synthetic { hash_writes: false };
        let md5 = !unhashed && (self.options.etags.hashes() || expected.content_md5.is_some());
        let algorithms: &[Algorithm] = if unhashed { &[] } else { &expected.algorithms };
        let mut hasher = self.store.hasher(md5, algorithms);
        let keep = expected.backend == Backend::Memory;
        let bytes = drain(body, &mut hasher, keep, expected.length).await?;
        let hashed = hasher.finish();
        self.store.count_received(hashed.length);
        if expected.length.is_some_and(|length| length != signed(hashed.length)) {
            return Err(s3_error!(
                IncompleteBody,
                "You did not provide the number of bytes specified by the Content-Length HTTP header"
            ));
        }
        let given = expected.given();
        if !unhashed {
            verify(&hashed, expected.content_md5.as_deref(), &given)?;
        }
        // Bytes that are not hashed are what the client says they are.
        let believed = expected.content_md5.as_deref().filter(|_| unhashed).and_then(decode_md5);
        Ok(Received {
            content: match bytes {
                Some(bytes) => Content::from(bytes),
                None => Content::Discarded { length: hashed.length },
            },
            etag: match believed {
                Some(md5) => self.store.etag(Some(md5), 0),
                None => self.store.etag_of(&hashed),
            },
            sums: if unhashed { given } else { hashed.sums },
        })
    }

    /// Checks what can be checked of a `PutObject` before its body comes.
    fn admit_object(&self, input: &PutObjectInput) -> S3Result<(Properties, Tags, Backend)> {
        check_key(&input.key)?;
        let properties = properties_of!(input, self.options.metadata_limit)?;
        let tags = parse_tags(input.tagging.as_ref())?;
        let mut buckets = self.store.lock();
        if !tags.is_empty() {
            enter(&mut buckets, &caller_of!(input), Access::Tagging)?;
        }
        let bucket = enter(&mut buckets, &caller_of!(input), Access::Write)?;
        Ok((properties, tags, bucket.backend))
    }

    /// The same of an `UploadPart`.
    fn admit_part(
        &self,
        input: &UploadPartInput,
        row: &(String, String),
    ) -> S3Result<(u16, Backend, Option<Algorithm>)> {
        let number = part_number(input.part_number)?;
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller_of!(input), Access::Write)?;
        let upload = bucket.uploads.get(row).ok_or_else(no_such_upload)?;
        Ok((number, bucket.backend, upload.algorithm))
    }

    pub(super) async fn receive_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let body = request.input.body.take();
        read_as_latin1(&mut request.input.metadata, &request.headers);
        let input = &request.input;
        let admitted = self.admit_object(input);
        let (admitted, body) = admit(admitted, &request.headers, body).await?;
        let (properties, tags, backend) = admitted;
        let wanted =
            input.checksum_algorithm.as_ref().and_then(|name| Algorithm::parse(name.as_str()));
        let mut expected = self.expected(&request, sums_of!(input), backend, wanted);
        expected.length = input.content_length;
        expected.content_md5.clone_from(&input.content_md5);
        let received = self.receive(body, expected).await?;

        let mut object = self.store.new_object(received.content, properties, tags);
        object.etag = received.etag;
        object.sums = received.sums;
        let id = self.store.fresh_id();
        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller_of!(input), Access::Write)?;
        if self.options.conditional_writes && !misbehaves(&request, Misbehave::IgnoreConditions) {
            let current = bucket.current(&input.key);
            check_write(input.if_match.as_ref(), input.if_none_match.as_ref(), current.as_deref())?;
        }
        let object = bucket.write(&input.key, object, id);
        let mut output = PutObjectOutput {
            e_tag: Some(strong(&object.etag)),
            version_id: bucket.is_versioned().then(|| object.version_id.clone()),
            ..Default::default()
        };
        if !object.sums.is_empty() {
            put_sums!(output, &object.sums);
            output.checksum_type = Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT));
        }
        put_encryption!(output, object.properties);
        Ok(S3Response::new(output))
    }

    pub(super) async fn receive_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let body = request.input.body.take();
        let input = &request.input;
        let row = (input.key.clone(), input.upload_id.clone());
        let admitted = self.admit_part(input, &row);
        let (admitted, body) = admit(admitted, &request.headers, body).await?;
        let (number, backend, algorithm) = admitted;
        let mut expected = self.expected(&request, sums_of!(input), backend, algorithm);
        expected.length = input.content_length;
        expected.content_md5.clone_from(&input.content_md5);
        let ((), body) = admit(expected.check_kind(algorithm), &request.headers, body).await?;
        // An upload without a checksum of its own is summed up with CRC-64/NVME, whatever its parts bring along.
        if algorithm.is_none() && self.options.default_checksum {
            expected.algorithms.push(Algorithm::Crc64Nvme);
        }
        let received = self.receive(body, expected).await?;

        let mut buckets = self.store.lock();
        let bucket = enter(&mut buckets, &caller_of!(input), Access::Write)?;
        let upload = bucket.uploads.get_mut(&row).ok_or_else(no_such_upload)?;
        let mut output =
            UploadPartOutput { e_tag: Some(strong(&received.etag)), ..Default::default() };
        put_sums!(output, &received.sums);
        put_encryption!(output, upload.properties);
        let part = UploadedPart {
            content: received.content,
            etag: received.etag,
            sums: received.sums,
            modified: clock::now(),
        };
        upload.parts.insert(number, part);
        Ok(S3Response::new(output))
    }
}

impl Expected {
    /// The checksums of the headers, and of the trailers once the body has been read.
    fn given(&self) -> Sums {
        let mut given = self.sums.clone();
        let mut add = |trailers: &HeaderMap| {
            for algorithm in Algorithm::ALL {
                let value = trailers.get(algorithm.header());
                if let Some(value) = value.and_then(|value| value.to_str().ok()) {
                    given.set(algorithm, Some(value.trim().to_owned()));
                }
            }
        };
        if let Some(trailing) = &self.trailing {
            trailing.read(&mut add);
        }
        if let Some(framed) = &self.framed {
            framed.read(&mut add);
        }
        given
    }

    /// A part must bring the checksum that its upload was created with, and no other.
    fn check_kind(&self, algorithm: Option<Algorithm>) -> S3Result<()> {
        let Some(algorithm) = algorithm else {
            return Ok(());
        };
        let declared: Vec<Algorithm> =
            self.algorithms.iter().copied().take(self.algorithms.len() - 1).collect();
        if declared.contains(&algorithm) {
            return Ok(());
        }
        let actual = declared.first().map_or("null", |other| other.name());
        Err(s3_error!(
            InvalidRequest,
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            algorithm.name().to_lowercase(),
            actual.to_lowercase()
        ))
    }
}

/// Goes on with an admitted body. A refused one is read to its end, unless the client waits to be asked for it:
/// an answer that comes while the client still sends would be lost with the connection.
async fn admit<T>(
    admitted: S3Result<T>,
    headers: &HeaderMap,
    body: Option<StreamingBlob>,
) -> S3Result<(T, Option<StreamingBlob>)> {
    match admitted {
        Ok(admitted) => Ok((admitted, body)),
        Err(error) => {
            let mut body = body.filter(|_| !headers.contains_key(http::header::EXPECT));
            while let Some(body) = &mut body
                && let Some(Ok(_)) = body.next().await
            {}
            Err(error)
        }
    }
}

/// Reads a body to its end; keeps it if asked to, in one piece of the length to expect.
async fn drain(
    body: Option<StreamingBlob>,
    hasher: &mut Hasher,
    keep: bool,
    length: Option<i64>,
) -> S3Result<Option<Bytes>> {
    let mut kept = keep.then(BytesMut::new);
    let length = length.and_then(|length| usize::try_from(length).ok());
    let Some(mut body) = body else {
        return Ok(kept.map(BytesMut::freeze));
    };
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(unreadable)?;
        hasher.update(&piece);
        let Some(kept) = &mut kept else { continue };
        if kept.is_empty() {
            if length == Some(piece.len()) && body.next().await.is_none() {
                return Ok(Some(piece));
            }
            kept.reserve(length.unwrap_or_default());
        }
        kept.extend_from_slice(&piece);
    }
    Ok(kept.map(BytesMut::freeze))
}

fn unreadable(source: s3s::StdError) -> s3s::S3Error {
    let text = source.to_string();
    if text.contains("Sha256Mismatch") {
        return crate::store::custom_error(
            "XAmzContentSHA256Mismatch",
            http::StatusCode::BAD_REQUEST,
            "The provided 'x-amz-content-sha256' header does not match what was computed",
        );
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch, "A piece of the body is not signed as it says");
    }
    s3_error!(IncompleteBody, "The body could not be read: {text}")
}

fn decode_md5(header: &str) -> Option<[u8; 16]> {
    STANDARD.decode(header).ok()?.try_into().ok()
}

fn verify(hashed: &Hashed, content_md5: Option<&str>, given: &Sums) -> S3Result<()> {
    if let Some(header) = content_md5 {
        let wanted = decode_md5(header)
            .ok_or_else(|| s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid"))?;
        if hashed.md5.is_some_and(|md5| md5 != wanted) {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received"
            ));
        }
    }
    for (algorithm, value) in given.iter() {
        let computed = hashed.sums.get(algorithm);
        if computed.is_some_and(|computed| computed != value) {
            let width = size(value.as_bytes());
            let wanted = computed.map_or(0, |computed| size(computed.as_bytes()));
            if width != wanted {
                return Err(s3_error!(
                    InvalidRequest,
                    "Value for {} header is invalid.",
                    algorithm.header()
                ));
            }
            return Err(s3_error!(
                BadDigest,
                "The {} you specified did not match the calculated checksum.",
                algorithm.name()
            ));
        }
    }
    Ok(())
}
