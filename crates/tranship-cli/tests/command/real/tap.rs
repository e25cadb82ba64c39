//! What a store answered, word for word, below the adapter that reads it.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;

/// The last answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in small letters, with their values.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// Clones share what they see.
#[derive(Debug, Clone, Default)]
pub(super) struct Tap(Arc<Mutex<Answer>>);

impl Tap {
    pub(super) fn client(&self, inner: SharedHttpClient) -> SharedHttpClient {
        let tap = self.clone();
        http_client_fn(move |settings, components| {
            let inner = inner.http_connector(settings, components);
            SharedHttpConnector::new(Tapped { tap: tap.clone(), inner })
        })
    }

    pub(super) fn last(&self) -> Answer {
        self.0.lock().unwrap().clone()
    }
}

#[derive(Debug, Clone)]
struct Tapped {
    tap: Tap,
    inner: SharedHttpConnector,
}

impl HttpConnector for Tapped {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { tap, inner } = self.clone();
        HttpConnectorFuture::new_boxed(Box::pin(async move {
            let mut answer = inner.call(request).await?;
            // The suite's own objects are small.
            let body = std::mem::replace(answer.body_mut(), SdkBody::empty());
            let body = body.collect().await.map_err(ConnectorError::io)?.to_bytes();
            let headers = answer.headers().iter();
            *tap.0.lock().unwrap() = Answer {
                status: answer.status().as_u16(),
                headers: headers
                    .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                    .collect(),
                body: String::from_utf8_lossy(&body).into_owned(),
            };
            *answer.body_mut() = SdkBody::from(body);
            Ok(answer)
        }))
    }
}
