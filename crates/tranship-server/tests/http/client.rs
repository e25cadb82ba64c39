//! A client that sends exactly what a test says, one connection per request.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails by panicking, as the tests themselves do"
)]

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tranship_server::{Server, ServerOptions};

pub(crate) async fn start() -> Server {
    start_with(ServerOptions::default()).await
}

pub(crate) async fn start_with(options: ServerOptions) -> Server {
    let server = Server::start(options).await.unwrap();
    server.store().create_bucket("bucket");
    server
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    /// The contents of all elements of this name.
    pub(crate) fn all(&self, element: &str) -> Vec<String> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let text = self.text();
        text.split(&open)
            .skip(1)
            .map(|rest| rest.split(&close).next().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn one(&self, element: &str) -> String {
        self.all(element).into_iter().next().unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }
}

pub(crate) async fn ask(
    server: &Server,
    line: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    try_ask(server, line, headers, body).await.unwrap()
}

pub(crate) async fn get(server: &Server, path: &str) -> Answer {
    ask(server, &format!("GET {path}"), &[], "").await
}

pub(crate) async fn try_ask(
    server: &Server,
    line: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Answer, hyper::Error> {
    let (method, path) = line.split_once(' ').unwrap();
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path);
    // A test may say itself what host it means.
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", server.address().to_string());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let answer = sender.send_request(request).await?;
    let (parts, body) = answer.into_parts();
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.collect().await?.to_bytes(),
    })
}
