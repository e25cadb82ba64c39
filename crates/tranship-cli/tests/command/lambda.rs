//! As much of Lambda's Invoke API as the command uses: scripted answers over HTTP.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::process::Command;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::World;

/// One answer. The last of a script is given again and again.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Reply {
    pub(crate) fn of(body: &Value) -> Self {
        Self::text(&body.to_string())
    }

    pub(crate) fn text(body: &str) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.to_owned() }
    }

    /// The function itself failed.
    pub(crate) fn failed(error_type: &str, message: &str) -> Self {
        let body = json!({ "errorType": error_type, "errorMessage": message });
        let headers = vec![("x-amz-function-error", "Unhandled".to_owned())];
        Self { headers, ..Self::of(&body) }
    }

    /// Lambda refused.
    pub(crate) fn refused(status: u16, code: &str, message: &str) -> Self {
        let headers = vec![("x-amzn-errortype", code.to_owned())];
        Self { status, headers, ..Self::of(&json!({ "Message": message })) }
    }
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Reply>,
    /// Path and body of each request.
    asked: Vec<(String, String)>,
    /// The access key that signed it.
    signers: Vec<String>,
}

pub(crate) struct Lambda {
    state: Arc<Mutex<State>>,
    endpoint: String,
}

impl Lambda {
    pub(crate) async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let script = script.into_iter().collect();
        let state = Arc::new(Mutex::new(State { script, ..State::default() }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                let service = hyper::service::service_fn(move |request| {
                    let shared = Arc::clone(&shared);
                    async move { Ok::<_, Infallible>(answer(request, &shared).await) }
                });
                tokio::spawn(async move {
                    let mut http = hyper::server::conn::http1::Builder::new();
                    // A client that hangs up is no news.
                    http.timer(TokioTimer::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                        .ok();
                });
            }
        });
        Self { state, endpoint }
    }

    /// The command with these words, led here.
    pub(crate) fn command(&self, world: &World, args: &[&str]) -> Command {
        let mut command = world.bare(args);
        command.env("AWS_ENDPOINT_URL", &self.endpoint).env("AWS_REGION", "eu-west-1");
        command
    }

    /// The questions so far, in order.
    pub(crate) fn questions(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.iter().map(|(_, body)| body.clone()).collect()
    }

    pub(crate) fn signers(&self) -> Vec<String> {
        self.state.lock().unwrap().signers.clone()
    }

    /// The paths that were asked, in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.iter().map(|(path, _)| path.clone()).collect()
    }
}

async fn answer(request: Request<Incoming>, state: &Mutex<State>) -> Response<Full<Bytes>> {
    assert_eq!(request.method(), Method::POST);
    let path = request.uri().path().to_owned();
    let signature = request.headers().get("authorization").unwrap().to_str().unwrap();
    assert!(signature.contains("/eu-west-1/lambda/aws4_request"), "{signature}");
    let signer =
        signature.split_once("Credential=").unwrap().1.split('/').next().unwrap().to_owned();
    assert_eq!(request.headers().get("x-amz-invocation-type").unwrap(), "RequestResponse");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut state = state.lock().unwrap();
    state.signers.push(signer);
    state.asked.push((path, String::from_utf8(body.into()).unwrap()));
    let reply = if state.script.len() > 1 { state.script.pop_front() } else { None };
    let reply = reply.unwrap_or_else(|| state.script.front().unwrap().clone());
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Full::from(reply.body)).unwrap()
}
