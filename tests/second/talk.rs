//! A transcript: what one server answered to each exchange, in words that two servers can be compared by.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, ConfigBag, Credentials, Intercept, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, RuntimeComponents,
};
use aws_sdk_s3::error::{BoxError, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use futures_util::future::LocalBoxFuture;
use md5::{Digest, Md5};
use tranship_adapters::stores::s3::{S3Settings, http_client};

/// Headers that every answer may carry and that mean something to a client.
const HEADERS: [&str; 14] = [
    "etag",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
    "x-amz-delete-marker",
    "x-amz-missing-meta",
    "x-amz-mp-parts-count",
    "x-amz-server-side-encryption",
    "x-amz-storage-class",
    "x-amz-tagging-count",
    "x-amz-website-redirect-location",
];

/// Headers of an object, in the answers of GET and HEAD.
const OBJECT_HEADERS: [&str; 9] = [
    "accept-ranges",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "expires",
];

/// Headers with values of the server's own choice: whether they are there is what counts.
const DATE: &str = "last-modified";
const MARKS: [&str; 3] = [DATE, "x-amz-copy-source-version-id", "x-amz-version-id"];

/// Elements with values of the server's own choice, or of no meaning to a client.
const OWN_WORDS: [&str; 17] = [
    "ContinuationToken",
    "DisplayName",
    "ID",
    "HostId",
    "Initiated",
    "LastModified",
    "Location",
    "Message",
    "NextContinuationToken",
    "NextUploadIdMarker",
    "NextVersionIdMarker",
    "RequestId",
    "Resource",
    "UploadId",
    "UploadIdMarker",
    "VersionId",
    "VersionIdMarker",
];

/// Words for what an answer says: `status`, `code`, header names, paths of elements.
pub(crate) type Answer = BTreeMap<String, String>;

/// A word that the two servers say differently; `-` for one that is not said.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) exchange: String,
    pub(crate) word: String,
    pub(crate) strict: String,
    pub(crate) second: String,
}

/// Compares the answers to one exchange. Where the status differs, only the code is of interest besides.
pub(crate) fn compare(exchange: &str, strict: &Answer, second: &Answer) -> Vec<Difference> {
    let said = |answer: &Answer, word: &str| answer.get(word).map_or("-".to_owned(), String::clone);
    let differ = said(strict, "status") != said(second, "status");
    let words: BTreeSet<&String> = strict.keys().chain(second.keys()).collect();
    let words =
        words.into_iter().filter(|word| !differ || ["status", "Code"].contains(&word.as_str()));
    words
        .map(|word| Difference {
            exchange: exchange.to_owned(),
            word: word.clone(),
            strict: said(strict, word),
            second: said(second, word),
        })
        .filter(|difference| difference.strict != difference.second)
        .collect()
}

/// A conversation with one server.
pub(crate) struct Talk {
    pub(crate) client: Client,
    tap: Tap,
    pub(crate) topic: &'static str,
    /// Each exchange with its answer, in order.
    pub(crate) said: Vec<(String, Answer)>,
}

impl Talk {
    pub(crate) fn with(settings: &S3Settings) -> Self {
        let keys = settings.credentials.as_ref().unwrap();
        let tap = Tap::default();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(http_client(None).unwrap())
            .region(Region::new("us-east-1"))
            .endpoint_url(settings.endpoint.as_deref().unwrap())
            .force_path_style(true)
            .credentials_provider(Credentials::new(
                &keys.access_key,
                &keys.secret_key,
                None,
                None,
                "test",
            ))
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::disabled())
            .interceptor(tap.clone())
            .build();
        Self { client: Client::from_conf(config), tap, topic: "", said: Vec::new() }
    }

    /// Begins a topic in a bucket of its own.
    pub(crate) async fn topic(&mut self, bucket: &'static str) -> (Client, &'static str) {
        self.topic = bucket;
        self.client.create_bucket().bucket(bucket).send().await.unwrap();
        (self.client.clone(), bucket)
    }

    /// Notes what the server says to a request; gives what the SDK made of it. The SDK's futures are large,
    /// so they are boxed before anything else holds them.
    pub(crate) fn say<'a, T, E>(
        &'a mut self,
        exchange: &str,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + 'a,
    ) -> LocalBoxFuture<'a, Option<T>>
    where
        T: 'a,
        E: 'a,
    {
        let request = Box::pin(request);
        let exchange = format!("{}: {exchange}", self.topic);
        Box::pin(async move {
            let result = request.await;
            let mut answer = self.tap.take();
            match &result {
                Ok(_) | Err(SdkError::ServiceError(_)) => {}
                Err(other) => _ = answer.insert("sdk".to_owned(), other.to_string()),
            }
            self.said.push((exchange, answer));
            result.ok()
        })
    }

    /// The same for what the rest of a topic depends on.
    pub(crate) fn must<'a, T, E>(
        &'a mut self,
        exchange: &str,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + 'a,
    ) -> LocalBoxFuture<'a, T>
    where
        T: 'a,
        E: 'a,
    {
        let request = Box::pin(request);
        let exchange = exchange.to_owned();
        Box::pin(async move {
            let output = self.say(&exchange, request).await;
            output.unwrap_or_else(|| panic!("{:?}", self.said.last()))
        })
    }

    /// The same for an answer with a body, which is read to its end.
    pub(crate) fn read<'a, E: 'a>(
        &'a mut self,
        exchange: &str,
        request: impl Future<Output = Result<GetObjectOutput, SdkError<E, HttpResponse>>> + 'a,
    ) -> LocalBoxFuture<'a, ()> {
        let request = Box::pin(request);
        let exchange = exchange.to_owned();
        Box::pin(async move {
            let Some(output) = self.say(&exchange, request).await else { return };
            let body = match output.body.collect().await {
                Ok(body) => brief(&body.into_bytes()),
                Err(error) => error.to_string(),
            };
            let (_, answer) = self.said.last_mut().unwrap();
            answer.insert("body".to_owned(), body);
        })
    }
}

/// Short text as it is, anything else by its length and MD5.
fn brief(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.len() < 40 => text.to_owned(),
        _ => format!("{} bytes, {}", bytes.len(), hex::encode(Md5::digest(bytes))),
    }
}

/// Sees each answer as it came over the wire.
#[derive(Clone, Debug, Default)]
struct Tap(Arc<Mutex<Answer>>);

impl Tap {
    fn take(&self) -> Answer {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Intercept for Tap {
    fn name(&self) -> &'static str {
        "Tap"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let mut answer = Answer::new();
        let status = response.status().as_u16();
        answer.insert("status".to_owned(), status.to_string());
        let xml = response.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
        // Of all answers without a document, only those to GET and HEAD of an object are dated.
        let is_object = status < 300 && xml.is_empty() && response.headers().get(DATE).is_some();
        let object_headers: &[&str] = if is_object { &OBJECT_HEADERS } else { &[] };
        for (name, value) in response.headers() {
            if HEADERS.contains(&name) || object_headers.contains(&name) {
                answer.insert(name.to_owned(), value.to_owned());
            } else if MARKS.contains(&name) {
                answer.insert(name.to_owned(), "there".to_owned());
            } else if name.starts_with("x-amz-meta-") {
                answer.insert(name.to_owned(), value.to_owned());
            }
        }
        for (path, text) in leaves(&xml) {
            let values = answer.entry(path).or_default();
            if !values.is_empty() {
                values.push('|');
            }
            values.push_str(&text);
        }
        *self.0.lock().unwrap() = answer;
        Ok(())
    }
}

/// The elements of a document that hold text and mean something, by their paths below the root. An
/// empty element counts as an absent one: clients cannot tell them apart.
fn leaves(xml: &str) -> Vec<(String, String)> {
    let mut path: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for piece in xml.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or((piece, ""));
        if tag.starts_with(['?', '!']) || tag.ends_with('/') {
            continue;
        }
        if tag.starts_with('/') {
            path.pop();
            continue;
        }
        path.push(tag.split_whitespace().next().unwrap_or_default());
        let own = path.last().is_some_and(|name| OWN_WORDS.contains(name));
        // Besides the code, errors tell what the request was.
        let told = path.first() == Some(&"Error") && path.last() != Some(&"Code");
        if !text.trim().is_empty() && !own && !told {
            found.push((path[1..].join("/"), unescape(text)));
        }
    }
    found
}

fn unescape(text: &str) -> String {
    let mut plain = text.to_owned();
    for (escaped, character) in
        [("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&apos;", "'"), ("&lt;", "<")]
    {
        plain = plain.replace(escaped, character);
    }
    plain.replace("&gt;", ">").replace("&amp;", "&")
}

#[test]
fn a_document_is_told_by_its_leaves() {
    let xml = "<?xml version=\"1.0\"?>\n<A xmlns=\"x\"><B><C>1</C><Empty/></B>\n<B><C>2 &amp; 3</C></B>\
               <RequestId>x</RequestId></A>";
    let expected = [("B/C", "1"), ("B/C", "2 & 3")];
    assert_eq!(leaves(xml), expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
    let error = "<Error><Code>NoSuchKey</Code><Key>k</Key></Error>";
    assert_eq!(leaves(error), [("Code".to_owned(), "NoSuchKey".to_owned())]);
}
