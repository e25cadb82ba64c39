//! The metadata service of an instance, version 2: no question is answered without a token.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::RUNTIME;

const TOKEN: &str = "a-token-of-the-metadata-service";
const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

/// What an instance is told about itself, by path below `meta-data`.
#[derive(Debug)]
pub struct Metadata {
    endpoint: String,
    told: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Metadata {
    pub async fn start(id: &str) -> Self {
        let told = Arc::new(Mutex::new(BTreeMap::new()));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let listener = listener.into_std().unwrap();
        RUNTIME.spawn(serve(listener, Arc::clone(&told)));
        let metadata = Self { endpoint, told };
        metadata.tell("instance-id", id);
        metadata
    }

    /// Where it is, for whoever asks the variables of its process.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn tell(&self, path: &str, text: &str) {
        self.told.lock().unwrap().insert(path.to_owned(), text.to_owned());
    }
}

async fn serve(listener: std::net::TcpListener, told: Arc<Mutex<BTreeMap<String, String>>>) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let told = Arc::clone(&told);
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer(&told.lock().unwrap(), &request);
            async move { Ok::<_, Infallible>(answer) }
        });
        tokio::spawn(async move {
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

fn answer(told: &BTreeMap<String, String>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let path = request.uri().path();
    let (status, text) = if request.method() == Method::PUT && path == "/latest/api/token" {
        match header(TTL) {
            Some(_) => (StatusCode::OK, TOKEN),
            None => (StatusCode::BAD_REQUEST, ""),
        }
    } else if header("x-aws-ec2-metadata-token") != Some(TOKEN) {
        (StatusCode::UNAUTHORIZED, "")
    } else {
        let known = path.strip_prefix("/latest/meta-data/").and_then(|path| told.get(path));
        known.map_or((StatusCode::NOT_FOUND, ""), |text| (StatusCode::OK, text.as_str()))
    };
    let mut response = Response::new(Full::new(Bytes::from(text.to_owned())));
    *response.status_mut() = status;
    if let Some(ttl) = request.headers().get(TTL) {
        response.headers_mut().insert(TTL, ttl.clone());
    }
    response
}
