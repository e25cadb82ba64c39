//! The way to the AWS services, seen and meddled with at the SDK's connector: below the SDK's
//! retries, above the network.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;
use serde_json::Value;

/// A request that was sent, and what was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// As the service names it: `PutItem`.
    pub call: String,
    pub asked: Value,
    pub status: u16,
    pub answered: Value,
}

/// Makes an answer, status and body, out of a request's body.
type Answer = Box<dyn FnOnce(&Value) -> (u16, Value) + Send>;

enum Trick {
    /// The service never sees the request.
    Answer(Answer),
    /// The service does what it is asked, and the answer is lost.
    Lose,
}

#[derive(Default)]
struct State {
    exchanges: Vec<Exchange>,
    tricks: VecDeque<(String, Trick)>,
}

/// Everything that goes over one client. Clones share it.
#[derive(Clone, Default)]
pub struct Wire(Arc<Mutex<State>>);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.state().exchanges).finish()
    }
}

impl Wire {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client that goes over this wire.
    pub fn client(&self, inner: SharedHttpClient) -> SharedHttpClient {
        let wire = self.clone();
        http_client_fn(move |settings, components| {
            let inner = inner.http_connector(settings, components);
            SharedHttpConnector::new(Meddler { wire: wire.clone(), inner })
        })
    }

    /// The next such call is answered so. Tricks of one call are played in the order they came.
    pub fn answer(&self, call: &str, answer: impl FnOnce(&Value) -> (u16, Value) + Send + 'static) {
        self.state().tricks.push_back((call.to_owned(), Trick::Answer(Box::new(answer))));
    }

    /// The next such call fails with this error code, before it has any effect.
    pub fn fail(&self, call: &str, status: u16, code: &str) {
        let body = serde_json::json!({ "__type": code, "message": "for a test" });
        self.answer(call, move |_| (status, body));
    }

    /// The next such call takes effect, and its answer is lost.
    pub fn lose(&self, call: &str) {
        self.state().tricks.push_back((call.to_owned(), Trick::Lose));
    }

    /// What was exchanged since the last time.
    pub fn take(&self) -> Vec<Exchange> {
        let mut state = self.state();
        assert!(state.tricks.is_empty(), "not every trick was played");
        std::mem::take(&mut state.exchanges)
    }

    fn trick(&self, call: &str) -> Option<Trick> {
        let tricks = &mut self.state().tricks;
        let at = tricks.iter().position(|(of, _)| of == call)?;
        tricks.remove(at).map(|(_, trick)| trick)
    }
}

#[derive(Debug, Clone)]
struct Meddler {
    wire: Wire,
    inner: SharedHttpConnector,
}

impl HttpConnector for Meddler {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { wire, inner } = self.clone();
        HttpConnectorFuture::new_boxed(Box::pin(async move { call(&wire, &inner, request).await }))
    }
}

async fn call(
    wire: &Wire,
    inner: &SharedHttpConnector,
    mut request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let named = request.headers().get("x-amz-target").unwrap_or_default();
    let call = named.rsplit('.').next().unwrap_or_default().to_owned();
    let mut asked = json(request.body().bytes().unwrap_or_default());
    if named.starts_with("DynamoDB_") && asked.is_object() {
        // The server does not check signatures, so the request may ask what it costs, too.
        if let Some(fields) = asked.as_object_mut() {
            fields.insert("ReturnConsumedCapacity".to_owned(), "TOTAL".into());
        }
        let body = asked.to_string();
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = SdkBody::from(body);
    }
    let mut exchange = Exchange { call, asked, status: 0, answered: Value::Null };
    let trick = wire.trick(&exchange.call);
    let answer = match trick {
        Some(Trick::Answer(answer)) => {
            let (status, body) = answer(&exchange.asked);
            response(status, body.to_string().into_bytes())
        }
        Some(Trick::Lose) => {
            let answered = collected(inner.call(request).await?).await?;
            assert_eq!(answered.status().as_u16(), 200, "{exchange:?}");
            wire.state().exchanges.push(exchange);
            return Err(ConnectorError::io("the answer is lost".into()));
        }
        None => collected(inner.call(request).await?).await?,
    };
    exchange.status = answer.status().as_u16();
    exchange.answered = json(answer.body().bytes().unwrap_or_default());
    wire.state().exchanges.push(exchange);
    Ok(answer)
}

/// The answer, with its body in memory.
async fn collected(mut answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let body = std::mem::replace(answer.body_mut(), SdkBody::empty());
    let body = body.collect().await.map_err(ConnectorError::io)?;
    *answer.body_mut() = SdkBody::from(body.to_bytes());
    Ok(answer)
}

fn response(status: u16, body: Vec<u8>) -> HttpResponse {
    HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body))
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}
