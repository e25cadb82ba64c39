//! Somebody between the engine and a store, who answers some requests in the store's place: a portal's
//! page, a redirect, a document made to hurt whoever reads it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use http::request::Parts;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::cloud::http::{NoAnswer, send};

type Answer = dyn Fn(&Parts) -> Option<Response<Bytes>> + Send + Sync;

/// It listens for as long as the runtime lives that it was started in. Clones share it.
#[derive(Clone)]
pub struct Between {
    port: u16,
    behind: u16,
    meddles: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    answer: Arc<Answer>,
}

impl std::fmt::Debug for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Between").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Between {
    /// What `answer` does not answer goes to the port `behind`.
    pub async fn start(
        behind: u16,
        answer: impl Fn(&Parts) -> Option<Response<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let between = Self {
            port: listener.local_addr().unwrap().port(),
            behind,
            meddles: Arc::new(AtomicBool::new(true)),
            answered: Arc::default(),
            answer: Arc::new(answer),
        };
        let serving = between.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let between = serving.clone();
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(|request| between.respond(request));
                    // It ends in an error whenever a client hangs up.
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                        .ok();
                });
            }
        });
        between
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many requests it has answered in the store's place.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// From now on everything goes to the store.
    pub fn stand_aside(&self) {
        self.meddles.store(false, Ordering::Relaxed);
    }

    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, NoAnswer> {
        let (mut head, body) = request.into_parts();
        let body =
            body.collect().await.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
        let is_head = head.method == http::Method::HEAD;
        if self.meddles.load(Ordering::Relaxed)
            && let Some(answer) = (self.answer)(&head)
        {
            self.answered.fetch_add(1, Ordering::Relaxed);
            return Ok(answer.map(Full::new));
        }
        for name in ["expect", "connection", "transfer-encoding"] {
            head.headers.remove(name);
        }
        let answer = send(self.behind, Request::from_parts(head, Full::new(body))).await?;
        let (mut head, body) = answer.into_parts();
        head.headers.remove("transfer-encoding");
        if !is_head {
            head.headers.remove("content-length");
        }
        Ok(Response::from_parts(head, Full::new(body)))
    }
}
