//! What a store answers: any status, any headers, any body, through the SDK and the adapter.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use tokio::runtime::Runtime;
use tranship_adapters::stores::s3::{S3Settings, S3Store};
use tranship_core::error::StoreError;
use tranship_core::object::{ByteRange, ETag, ObjectKey, PartNumber, UploadId};
use tranship_core::store::{Completion, ListRequest, ObjectStore as _, Pin};

use super::number;

const BUCKET: &str = "bucket";

/// What is answered next, whatever was asked.
#[derive(Debug, Clone, Default)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A store behind which nothing is but the next answer.
#[derive(Debug)]
struct World {
    runtime: Runtime,
    store: S3Store,
    next: Canned,
}

#[derive(Debug, Clone, Default)]
struct Canned(Arc<Mutex<(Answer, u32)>>);

impl HttpConnector for Canned {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        next.1 += 1;
        // A listing that goes on for ever is refused by whoever reads it, and must not be asked so.
        assert!(next.1 < 1_000, "the same answer is believed again and again");
        let answer = next.0.clone();
        let status = StatusCode::try_from(answer.status).unwrap();
        let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
        for (name, value) in answer.headers {
            response.headers_mut().try_append(name, value).ok();
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let next = Canned::default();
        let connector = SharedHttpConnector::new(next.clone());
        let client = http_client_fn(move |_, _| connector.clone());
        let settings = S3Settings {
            bucket: BUCKET.to_owned(),
            region: Some("us-east-1".to_owned()),
            endpoint: Some("http://127.0.0.1:1".to_owned()),
            path_style: true,
            anonymous: true,
            ..S3Settings::default()
        };
        let store = runtime.block_on(S3Store::connect_with(settings, client)).unwrap();
        Self { runtime, store, next }
    }

    /// Asks, and is given this answer.
    fn ask<T>(
        &self,
        answer: Answer,
        question: impl AsyncFnOnce(&S3Store) -> Result<T, StoreError>,
    ) -> Option<T> {
        *self.next.0.lock().unwrap_or_else(PoisonError::into_inner) = (answer, 0);
        match self.runtime.block_on(question(&self.store)) {
            Ok(answer) => Some(answer),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(BUCKET), "it does not say where: {text:?}");
                assert!(!text.contains(char::is_control), "{text:?}");
                None
            }
        }
    }
}

thread_local! {
    static WORLD: World = World::new();
}

fn ask<T>(
    answer: Answer,
    question: impl AsyncFnOnce(&S3Store) -> Result<T, StoreError>,
) -> Option<T> {
    WORLD.with(|world| world.ask(answer, question))
}

/// The first byte says what is listed: objects, parts or uploads. The others are the document.
pub fn listing(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    let headers = vec![("content-type".to_owned(), "application/xml".to_owned())];
    let answer = Answer { status: 200, headers, body: body.to_vec() };
    let key = ObjectKey::new("key");
    match kind {
        b'p' => {
            let (upload, after) = (UploadId("id".to_owned()), PartNumber::new(7));
            let page = ask(answer, async |store| store.list_parts(&key, &upload, after).await);
            if let Some(next) = page.and_then(|page| page.next) {
                assert!(Some(next) > after, "it goes back");
            }
        }
        b'u' => {
            let uploads = ask(answer, async |store| store.list_uploads(&key).await);
            assert!(uploads.unwrap_or_default().iter().all(|upload| upload.key == key));
        }
        b't' => drop(ask(answer, async |store| store.tags(&key, None).await)),
        _ => {
            let request = ListRequest { limit: 1_000, ..ListRequest::default() };
            if let Some(page) = ask(answer, async |store| store.list(&request).await) {
                let says_where = page.continuation.is_some() || !page.objects.is_empty();
                assert!(!page.truncated || says_where);
            }
        }
    }
}

/// The first byte says what is asked. Then the status, headers a line each, an empty line, and the
/// body, as they go over the wire.
pub fn answer(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let Some(answer) = parsed(rest) else { return };
    let is_good = (200..300).contains(&answer.status);
    let (key, upload) = (ObjectKey::new("key"), UploadId("id".to_owned()));
    let is_done = match kind {
        b'g' => ask(answer, async |store| store.get(&key, None, None).await).is_some(),
        b'c' => {
            let parts = [(PartNumber::FIRST, ETag::new("etag"))];
            let completion =
                Completion { key: &key, upload: &upload, parts: &parts, size: 1, condition: None };
            ask(answer, async |store| store.complete_upload(completion).await).is_some()
        }
        // What is not there needs no deleting.
        b'd' if answer.status == 404 => false,
        b'd' => ask(answer, async |store| store.delete(&key, None).await).is_some(),
        b'a' => ask(answer, async |store| store.abort_upload(&key, &upload).await).is_some(),
        b'b' => ask(answer, async |store| store.bucket().await).is_some(),
        b'l' => {
            let request = ListRequest { limit: 1_000, ..ListRequest::default() };
            ask(answer, async |store| store.list(&request).await).is_some()
        }
        _ => {
            let head = ask(answer, async |store| store.head(&key, None, None).await);
            head.is_some_and(|head| !head.identity.etag.as_str().contains('\n'))
        }
    };
    assert!(is_good || !is_done, "a refusal is taken for success");
}

fn parsed(data: &[u8]) -> Option<Answer> {
    let end = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((data, &[][..]), |at| (&data[..at], &data[at + 2..]));
    let mut lines = std::str::from_utf8(head).ok()?.lines();
    let status: u16 = lines.next()?.trim().parse().ok()?;
    // What the protocol below cannot carry never comes.
    StatusCode::try_from(status).ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers = lines.filter_map(header).collect();
    Some(Answer { status, headers, body: body.to_vec() })
}

/// A range and a length in eight bytes each, a byte for the pinned `ETag`, and the text of a
/// Content-Range: what is believed is what was asked for.
pub fn content_range(mut data: &[u8]) {
    let (start, size) = (number(&mut data), number(&mut data));
    let (start, size) = (start % (1 << 46), 1 + size % (5 << 30));
    let Some((pinned, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    if text.contains(char::is_control) {
        // No header holds that.
        return;
    }
    let range = ByteRange::new(start, start + size);
    let headers = [
        ("etag", "\"a\"".to_owned()),
        ("content-length", size.to_string()),
        // `@` stands for the range that was asked for, which no fuzzer would guess.
        ("content-range", text.replace('@', &format!("{start}-{}", start + size - 1))),
    ];
    let is_unsaid = text == "none";
    let headers: Vec<_> = headers
        .into_iter()
        .filter(|(name, _)| !(is_unsaid && *name == "content-range"))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let answered = headers.last().map(|(_, value)| value.clone()).unwrap_or_default();
    let answer = Answer { status: 206, headers, body: Vec::new() };
    let etag = if pinned % 2 == 0 { "a" } else { "b" };
    let pin = Pin { etag: ETag::new(etag), version: None };
    let key = ObjectKey::new("key");
    let Some(read) = ask(answer, async |store| store.get(&key, range, Some(&pin)).await) else {
        return;
    };
    assert_eq!(etag, "a", "it is of another generation");
    assert_eq!(read.size, size);
    if is_unsaid {
        assert_eq!((start, read.head.identity.size), (0, size), "all of it was asked for");
        return;
    }
    let said = format!("bytes {start}-{}/{}", start + size - 1, read.head.identity.size);
    assert_eq!(answered.trim(), said, "it is another range");
    assert!(read.head.identity.size >= start + size, "it ends behind the end");
}
