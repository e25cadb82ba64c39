//! From a request of `CloudFormation` to its answer, which always comes: a stack whose resource says
//! nothing waits for an hour.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::NotificationConfiguration;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use serde::Deserialize as _;
use serde_json::Value;
use tranship_core::ports::Clock;
use tranship_stack::{Failure, Name};

use crate::configuration::{attach, detach};
use crate::request::{Answer, Order, Request};

/// Kept for the answer.
const ANSWER_MS: u64 = 10_000;
/// Of one attempt to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_ATTEMPTS_MAX: u32 = 3;
/// Attempts at what passes by itself: a queue's policy is known to S3 only after some seconds, and
/// a bucket takes one change at a time.
const ATTEMPTS_MAX: u32 = 5;
const BACK_OFF_MS: u64 = 1_000;

/// What the function holds in its hands.
pub(crate) struct Hands {
    pub(crate) config: SdkConfig,
    /// The way to `ResponseURL`s.
    pub(crate) connector: SharedHttpConnector,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The way to `ResponseURL`s: the SDK's own HTTP client, without anything that signs.
pub(crate) fn connector() -> SharedHttpConnector {
    let tls = Provider::Rustls(CryptoMode::Ring);
    SharedHttpConnector::new(Connector::builder().tls_provider(tls).build())
}

/// Does what is asked within the time that there is, and answers.
pub(crate) async fn handle(hands: &Hands, event: Value, deadline_ms: u64) -> Result<(), Failure> {
    let request = Request::deserialize(&event).map_err(|error| {
        Failure::new(Name::BadInput, format!("not a request of CloudFormation: {error}"))
    })?;
    let left_ms = deadline_ms.saturating_sub(hands.clock.now().0).saturating_sub(ANSWER_MS);
    let order = Order::read(&request.resource_properties);
    let physical_id = physical_id(&request, order.as_ref().ok());
    let done = tokio::select! {
        biased;
        done = run(hands, &request, order) => done,
        () = hands.clock.sleep(left_ms) => {
            Err("the time was over before S3 had answered: try again".to_owned())
        }
    };
    let kind = &request.request_type;
    match &done {
        Ok(what) => tracing::info!(kind, physical_id, what, "done"),
        Err(reason) => tracing::error!(kind, physical_id, reason, "failed"),
    }
    // What failed changed nothing: the resource is what it was.
    let physical_id = match (&done, &request.physical_resource_id) {
        (Err(_), Some(known)) => known.clone(),
        _ => physical_id,
    };
    let answer = Answer::new(&request, physical_id, &done);
    answer_to(hands, &request.response_url, &answer).await
}

fn physical_id(request: &Request, order: Option<&Order>) -> String {
    match (request.request_type.as_str(), &request.physical_resource_id, order) {
        ("Delete", Some(known), _) | (_, Some(known), None) => known.clone(),
        (_, _, Some(order)) => order.physical_id(),
        (_, None, None) => request.logical_resource_id.clone(),
    }
}

async fn run(
    hands: &Hands,
    request: &Request,
    order: Result<Order, String>,
) -> Result<String, String> {
    match (request.request_type.as_str(), order) {
        ("Create" | "Update", Ok(order)) => change(hands, &order, Change::Attach).await,
        ("Delete", Ok(order)) => change(hands, &order, Change::Detach).await,
        // With properties like these nothing was ever attached, and the stack must be able to go.
        ("Delete", Err(why)) => Ok(format!("nothing to detach: {why}")),
        ("Create" | "Update", Err(why)) => Err(why),
        (other, _) => {
            Err(format!("RequestType is \"{other}\": Create, Update and Delete are known"))
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Attach,
    Detach,
}

/// Reads the bucket's notifications, changes ours, and writes them if that changed anything.
///
/// S3 has no condition for this write: who else changes them in the same moment may undo ours, or
/// have theirs undone.
async fn change(hands: &Hands, order: &Order, change: Change) -> Result<String, String> {
    let region = Region::new(order.region.clone());
    let config = aws_sdk_s3::config::Builder::from(&hands.config).region(region).build();
    let client = Client::from_conf(config);
    let mut attempt = 0;
    loop {
        match Box::pin(change_once(&client, order, change)).await {
            Ok(what) => return Ok(what),
            Err(trouble) => {
                attempt += 1;
                if !trouble.may_pass || attempt >= ATTEMPTS_MAX {
                    return Err(trouble.text);
                }
                tracing::warn!(reason = trouble.text, "tried again");
                hands.clock.sleep(BACK_OFF_MS << attempt.min(4)).await;
            }
        }
    }
}

/// Why a change was not made.
struct Trouble {
    text: String,
    may_pass: bool,
}

impl Trouble {
    /// S3's own words, and what was asked of it.
    fn of<E>(call: &str, bucket: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let (code, message) = (error.code(), error.message().unwrap_or_default());
        let text = match code {
            Some(code) => format!("{call} of {bucket}: S3 says {code}: {message}"),
            None => format!("{call} of {bucket}: {}", DisplayErrorContext(error)),
        };
        let unknown_yet = message.contains("Unable to validate the following destination");
        let may_pass = code == Some("OperationAborted") || unknown_yet;
        Self { text, may_pass }
    }
}

async fn change_once(client: &Client, order: &Order, change: Change) -> Result<String, Trouble> {
    let Order { bucket, wish, .. } = order;
    let get = client.get_bucket_notification_configuration().bucket(bucket).send().await;
    let before = match get {
        Ok(got) => NotificationConfiguration::builder()
            .set_topic_configurations(got.topic_configurations)
            .set_queue_configurations(got.queue_configurations)
            .set_lambda_function_configurations(got.lambda_function_configurations)
            .set_event_bridge_configuration(got.event_bridge_configuration)
            .build(),
        Err(error) if change == Change::Detach && error.code() == Some("NoSuchBucket") => {
            return Ok(format!("the bucket {bucket} is gone"));
        }
        Err(error) => return Err(Trouble::of("GetBucketNotification", bucket, &error)),
    };
    let after = match change {
        Change::Attach => attach(before.clone(), wish)
            .map_err(|refusal| Trouble { text: refusal.0, may_pass: false })?,
        Change::Detach => detach(before.clone(), &wish.id, &wish.queue),
    };
    if after == before {
        return Ok(format!("{} was as it is to be", wish.id));
    }
    let put = client
        .put_bucket_notification_configuration()
        .bucket(bucket)
        .notification_configuration(after)
        // Where ours goes, nothing new is notified: what others' entries lead to is not asked.
        .set_skip_destination_validation((change == Change::Detach).then_some(true));
    match put.send().await {
        Ok(_) => Ok(match change {
            Change::Attach => format!("{} is attached to {bucket}", wish.id),
            Change::Detach => format!("{} is detached from {bucket}", wish.id),
        }),
        Err(error) => Err(Trouble::of("PutBucketNotification", bucket, &error)),
    }
}

/// Puts the answer where it is waited for. The URL is signed for a request without a content type.
async fn answer_to(hands: &Hands, url: &str, answer: &Answer) -> Result<(), Failure> {
    let text = serde_json::to_string(answer)
        .map_err(|error| Failure::new(Name::Permanent, error.to_string()))?;
    let mut attempt = 0;
    loop {
        let mut put = HttpRequest::new(SdkBody::from(text.clone()));
        let bad = |error: &dyn std::fmt::Display| {
            Failure::new(Name::BadInput, format!("the ResponseURL cannot be used: {error}"))
        };
        put.set_method("PUT").map_err(|error| bad(&error))?;
        put.set_uri(url).map_err(|error| bad(&error))?;
        put.headers_mut().insert("content-length", text.len().to_string());
        let why = match tokio::time::timeout(ANSWER_TIMEOUT, hands.connector.call(put)).await {
            Ok(Ok(response)) if response.status().is_success() => return Ok(()),
            Ok(Ok(response)) => format!("status {}", response.status().as_u16()),
            Ok(Err(error)) => DisplayErrorContext(&error).to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        attempt += 1;
        tracing::error!(why, attempt, "the ResponseURL did not take the answer");
        if attempt >= ANSWER_ATTEMPTS_MAX {
            return Err(Failure::new(Name::Unavailable, format!("the ResponseURL: {why}")));
        }
        hands.clock.sleep(200 << attempt).await;
    }
}

#[cfg(test)]
mod tests;
