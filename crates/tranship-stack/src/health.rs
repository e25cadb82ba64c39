//! The health endpoint of a process that stays: one question, for whoever looks after it on its machine.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The only path there is.
const PATH: &str = "/health";

/// How a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether it can do its work: 200, or 503.
    pub is_well: bool,
    pub says: Value,
}

pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until it is dropped.
pub async fn serve(listener: TcpListener, health: impl Fn() -> Health + Send + Sync + 'static) {
    let health = Arc::new(health);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let health = Arc::clone(&health);
        let service = service_fn(move |request: Request<Incoming>| {
            let (status, says) = answer(request.method(), request.uri().path(), &*health);
            async move { Ok::<_, Infallible>(response(status, &says)) }
        });
        tokio::spawn(async move {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // Whoever hung up does not want to know.
            connection.await.ok();
        });
    }
}

fn answer(method: &Method, path: &str, health: &dyn Fn() -> Health) -> (StatusCode, Value) {
    if path != PATH {
        return (StatusCode::NOT_FOUND, json!({ "error": format!("ask for {PATH}") }));
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, json!({ "error": "only GET" }));
    }
    let Health { is_well, says } = health();
    (if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, says)
}

fn response(status: StatusCode, says: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{says}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_question() {
        let well = || Health { is_well: true, says: json!({ "state": "polling" }) };
        let ill = || Health { is_well: false, says: json!({ "state": "troubled" }) };
        let status = |method, path, health: &dyn Fn() -> Health| answer(&method, path, health).0;
        assert_eq!(status(Method::GET, "/health", &well), StatusCode::OK);
        assert_eq!(status(Method::HEAD, "/health", &ill), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(Method::POST, "/health", &well), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(status(Method::GET, "/", &well), StatusCode::NOT_FOUND);
        assert_eq!(answer(&Method::GET, "/health", &well).1["state"], "polling");
    }
}
