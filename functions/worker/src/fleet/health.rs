//! The health endpoint: one answer, for whoever looks after the process on this machine.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Fleet;

/// A queue that has not answered for so long cannot be read.
const SILENT_MS: u64 = 5 * 60 * 1_000;
/// Where one that never answered is troubled already.
const NEVER_MS: u64 = 60 * 1_000;

pub(super) async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until the process ends.
pub(super) async fn serve(listener: TcpListener, fleet: Arc<Fleet>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let fleet = Arc::clone(&fleet);
        let service = service_fn(move |request: Request<Incoming>| {
            let fleet = Arc::clone(&fleet);
            async move { Ok::<_, Infallible>(answer(&fleet, &request)) }
        });
        tokio::spawn(async move {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // Whoever hung up does not want to know.
            connection.await.ok();
        });
    }
}

fn answer(fleet: &Fleet, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, body) = if request.uri().path() != "/health" {
        (StatusCode::NOT_FOUND, json!({ "error": "ask for /health" }))
    } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
        (StatusCode::METHOD_NOT_ALLOWED, json!({ "error": "only GET" }))
    } else if is_troubled(fleet) {
        (StatusCode::SERVICE_UNAVAILABLE, state(fleet))
    } else {
        (StatusCode::OK, state(fleet))
    };
    let mut response = Response::new(Full::new(Bytes::from(format!("{body}\n"))));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    response
}

/// Whether a queue that is to be polled does not answer.
pub(super) fn is_troubled(fleet: &Fleet) -> bool {
    if fleet.is_draining.load(Ordering::Relaxed) || fleet.is_halted.load(Ordering::Relaxed) {
        return false;
    }
    let now = fleet.now().0;
    let is_idle = fleet.tasks.load(Ordering::Relaxed) == 0;
    fleet.answered_ms.iter().any(|answered| match answered.load(Ordering::Relaxed) {
        0 => now.saturating_sub(fleet.began.0) > NEVER_MS,
        // With all streams at work nobody asks.
        answered => now.saturating_sub(answered) > SILENT_MS && is_idle,
    })
}

fn state(fleet: &Fleet) -> Value {
    let state = if fleet.is_draining.load(Ordering::Relaxed) {
        "draining"
    } else if fleet.is_halted.load(Ordering::Relaxed) {
        "halted"
    } else if is_troubled(fleet) {
        "troubled"
    } else {
        "polling"
    };
    let moved = fleet.moved();
    let answered = fleet.answered_ms.iter().map(|answered| answered.load(Ordering::Relaxed));
    let answered = match answered.min() {
        None | Some(0) => Value::Null,
        Some(answered) => json!(fleet.now().0.saturating_sub(answered)),
    };
    json!({
        "state": state,
        "instance": fleet.name,
        "tasks": fleet.tasks.load(Ordering::Relaxed),
        "streams": fleet.surroundings.stage.link.streams(),
        "streams_max": fleet.streams_max,
        "bytes_moved": moved.bytes_moved,
        "retries": moved.retries,
        "queue_answered_ms_ago": answered,
    })
}
