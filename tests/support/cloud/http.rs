//! One HTTP request over a connection of its own: loopback makes connections cheap, and a connection
//! that nobody shares cannot hold somebody up.

use std::fmt;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Why there is no answer.
#[derive(Debug)]
pub struct NoAnswer(String);

impl NoAnswer {
    /// The answer is kept from whoever waits for it.
    pub(super) fn lost() -> Self {
        Self("the answer is lost".to_owned())
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoAnswer {}

fn none(error: &dyn fmt::Display) -> NoAnswer {
    NoAnswer(error.to_string())
}

/// Sends it to a port of loopback; the answer's body is in memory.
pub async fn send(port: u16, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, NoAnswer> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| none(&error))?;
    stream.set_nodelay(true).ok();
    let connected = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.map_err(|error| none(&error))?;
    let connection = tokio::spawn(connection);
    let answer = async {
        let answer = sender.send_request(request).await.map_err(|error| none(&error))?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| none(&error))?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    let answer = answer.await;
    connection.abort();
    answer
}
