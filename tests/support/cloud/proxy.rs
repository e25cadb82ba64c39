//! The way of every AWS request: between whoever sends it and the local cloud.
//!
//! It records what the functions ask for, says who asked, has the ledger's service tell what it
//! consumed, and plays faults. To the cloud behind it every request came over TLS, as policies ask.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::actions::Actions;
use super::call::{self, Call};
use super::http::send;
use super::sign::Keys;

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The service never sees it.
    Refuse { status: u16, code: &'static str },
    /// The service does what it is asked, and the answer is lost.
    Lose,
    /// The last so many entries of a batch are not taken, and the answer says so.
    Leave(usize),
    /// The service gets it twice.
    Double,
    /// The sender is told that all messages are sent, and none is.
    Swallow,
}

/// Which requests a fault is for: a function's whole name or the end of it, and the action.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub function: String,
    pub action: &'static str,
    pub times: u64,
    pub fault: Fault,
}

#[derive(Default)]
struct State {
    used: Actions,
    calls: Vec<Call>,
    troubles: Vec<Trouble>,
    /// Functions and their keys, by access key.
    names: BTreeMap<String, (String, Keys)>,
}

/// The proxy. It lives as long as the runtime that it was started in.
#[derive(Clone)]
pub struct Proxy {
    port: u16,
    upstream: Arc<AtomicU16>,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Proxy {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, upstream: Arc::default(), state: Arc::default() };
        let serving = proxy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().converse(stream));
            }
        });
        proxy
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends everything there from now on.
    pub fn lead_to(&self, port: u16) {
        self.upstream.store(port, Ordering::Relaxed);
    }

    /// Whose keys these are.
    pub(super) fn name(&self, keys: Keys, function: &str) {
        self.state().names.insert(keys.access.clone(), (function.to_owned(), keys));
    }

    pub fn trouble(&self, trouble: Trouble) {
        self.state().troubles.push(trouble);
    }

    /// Takes away what is left of the troubles of a stack; says how much that was.
    pub fn calm(&self, stack: &str) -> u64 {
        let mut state = self.state();
        let (ours, others) = state
            .troubles
            .drain(..)
            .partition(|trouble: &Trouble| trouble.function.starts_with(stack));
        state.troubles = others;
        ours.iter().map(|trouble: &Trouble| trouble.times).sum()
    }

    /// What the functions of a stack have asked for so far.
    pub fn calls(&self, stack: &str) -> Vec<Call> {
        let state = self.state();
        let of_stack = |call: &&Call| {
            call.function.strip_prefix(stack).is_some_and(|rest| rest.starts_with('-'))
        };
        state.calls.iter().filter(of_stack).cloned().collect()
    }

    /// Forgets what the functions of a stack asked for.
    pub fn forget(&self, stack: &str) {
        let of_stack = |call: &Call| {
            call.function.strip_prefix(stack).is_some_and(|rest| rest.starts_with('-'))
        };
        self.state().calls.retain(|call| !of_stack(call));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn converse(self, stream: TcpStream) {
        stream.set_nodelay(true).ok();
        let service = hyper::service::service_fn(move |request| {
            let proxy = self.clone();
            async move { proxy.answer(request).await }
        });
        // It ends in an error whenever a client hangs up, or a fault does.
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await
            .ok();
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, super::http::NoAnswer> {
        let (mut head, body) = request.into_parts();
        let body =
            body.collect().await.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
        let (key, service) = call::signed_by(&head.headers);
        let action = call::action(&service, &head.method, &head.uri, &head.headers, &body);
        let (function, keys) = self.function(&key);
        let is_head = head.method == http::Method::HEAD;
        let mut asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let fault = self.fault(&function, &action);
        for name in ["expect", "connection", "transfer-encoding"] {
            head.headers.remove(name);
        }
        let (left, changed) = meddle(&service, &mut asked, fault.as_ref());
        let is_changed = changed.is_some();
        let body = changed.unwrap_or(body);
        head.headers.insert("content-length", body.len().into());
        if let (Some(keys), true) = (keys, is_changed) {
            keys.sign(&service, &mut head.headers, &body);
        }
        head.headers.insert("x-forwarded-proto", http::HeaderValue::from_static("https"));
        let mut call = Call {
            function,
            service,
            action,
            asked,
            status: 0,
            answered: Value::Null,
            struck: fault.is_some(),
        };
        if let Some(Fault::Refuse { status, code }) = fault {
            call.status = status;
            self.record(call);
            return Ok(refusal(status, code));
        }
        if fault == Some(Fault::Swallow) {
            call.status = 200;
            let sent = swallowed(&call.asked);
            self.record(call);
            return Ok(Response::new(Full::new(sent.to_string().into())));
        }
        let upstream = self.upstream.load(Ordering::Relaxed);
        if fault == Some(Fault::Double) {
            send(upstream, Request::from_parts(head.clone(), Full::new(body.clone()))).await?;
        }
        let answer = send(upstream, Request::from_parts(head, Full::new(body))).await?;
        let (mut head, mut body) = answer.into_parts();
        call.status = head.status.as_u16();
        call.answered = serde_json::from_slice(&body).unwrap_or_default();
        if !left.is_empty() {
            body = with_failures(&mut call.answered, &call.action, &left);
        }
        self.record(call);
        if fault == Some(Fault::Lose) {
            // An error of the service closes the connection without an answer.
            return Err(super::http::NoAnswer::lost());
        }
        head.headers.remove("transfer-encoding");
        if is_head {
            // Its length is that of a body which is not sent.
            return Ok(Response::from_parts(head, Full::default()));
        }
        head.headers.remove("content-length");
        Ok(Response::from_parts(head, Full::new(body)))
    }

    fn function(&self, access_key: &str) -> (String, Option<Keys>) {
        match self.state().names.get(access_key) {
            Some((name, keys)) => (name.clone(), Some(keys.clone())),
            // Keys of roles are temporary, and only functions have roles here.
            None if access_key.starts_with("ASIA") => (format!("unknown {access_key}"), None),
            None => (String::new(), None),
        }
    }

    fn fault(&self, function: &str, action: &str) -> Option<Fault> {
        let mut state = self.state();
        let found = state.troubles.iter_mut().find(|trouble| {
            trouble.times > 0 && trouble.action == action && function.starts_with(&trouble.function)
        })?;
        found.times -= 1;
        Some(found.fault.clone())
    }

    fn record(&self, call: Call) {
        if !call.function.is_empty() {
            let mut state = self.state();
            state.used.add(&call);
            state.calls.push(call);
        }
    }
}

/// Has the ledger's service say what it consumes, and takes out the entries that are to be left.
fn meddle(service: &str, asked: &mut Value, fault: Option<&Fault>) -> (Vec<Value>, Option<Bytes>) {
    let mut left = Vec::new();
    if let Some(Fault::Leave(count)) = fault
        && let Some(entries) = asked.get_mut("Entries").and_then(Value::as_array_mut)
    {
        left = entries.split_off(entries.len().saturating_sub(*count));
    }
    let reads = service == "dynamodb" && asked.is_object();
    if reads {
        asked["ReturnConsumedCapacity"] = "TOTAL".into();
    }
    let changed = reads || !left.is_empty();
    (left, changed.then(|| asked.to_string().into()))
}

/// The answer of a batch, some entries of which were not taken.
fn with_failures(answered: &mut Value, action: &str, left: &[Value]) -> Bytes {
    if action == "PutEvents" {
        answered["FailedEntryCount"] = left.len().into();
        let failed = left.iter().map(|_| json!({ "ErrorCode": "ThrottlingException" }));
        if let Some(entries) = answered["Entries"].as_array_mut() {
            entries.extend(failed);
        }
    } else {
        let failed = left.iter().map(|entry| {
            json!({ "Id": entry["Id"], "SenderFault": false, "Code": "InternalError", "Message": "for a test" })
        });
        answered["Failed"] = failed.collect();
    }
    answered.to_string().into()
}

/// What a queue says that took a message, or the messages of a batch.
fn swallowed(asked: &Value) -> Value {
    let digest = |body: &Value| hex::encode(Md5::digest(body.as_str().unwrap_or_default()));
    let Some(entries) = asked["Entries"].as_array() else {
        return json!({ "MessageId": "none", "MD5OfMessageBody": digest(&asked["MessageBody"]) });
    };
    let sent = entries.iter().map(|entry| {
        json!({ "Id": entry["Id"], "MessageId": "none", "MD5OfMessageBody": digest(&entry["MessageBody"]) })
    });
    json!({ "Successful": sent.collect::<Value>() })
}

fn refusal(status: u16, code: &str) -> Response<Full<Bytes>> {
    let body = json!({ "__type": code, "message": "for a test", "Message": "for a test" });
    Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amzn-errortype", code)
        .body(Full::new(body.to_string().into()))
        .unwrap()
}
