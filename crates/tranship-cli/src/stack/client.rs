//! Invokes the finder and waits for its answer.

use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::config::{Region, StalledStreamProtectionConfig};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tranship_adapters::{aws, http};

use super::Address;
use super::refusal::{self, Refusal};
use crate::exit::{Exit, Failure};

/// The function may take 180 s, and a cold start comes before.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(200);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);

/// What the finder can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "tranship", rename_all = "lowercase")]
pub(super) enum Question {
    Status,
    Run,
    Retry,
    Pause,
    Resume,
    Settings,
    /// The accounts of a run by prefix, as many of its rows as are summed up in one go.
    Report {
        run: u64,
        /// The last row of the part before.
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
}

impl Question {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Run => "run",
            Self::Retry => "retry",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Settings => "settings",
            Self::Report { .. } => "report",
        }
    }

    fn payload(&self) -> Result<Blob, Failure> {
        let body = serde_json::to_vec(self).map_err(|error| {
            let what = format!("the question for {} cannot be written: {error}", self.name());
            Failure::new(Exit::Other, what, "")
        })?;
        Ok(Blob::new(body))
    }
}

/// A way to one stack.
#[derive(Debug)]
pub(super) struct Client {
    lambda: aws_sdk_lambda::Client,
    address: Address,
    region: String,
}

impl Client {
    pub(super) async fn connect(address: &Address) -> Result<Self, Failure> {
        let http_client = http::http_client(None)
            .map_err(|error| Failure::new(Exit::Other, error.to_string(), ""))?;
        let mut loader = aws::loader(http_client.clone());
        if let Some(region) = address.region() {
            loader = loader.region(Region::new(region.to_owned()));
        }
        if let Some(profile) = address.profile() {
            loader = loader.profile_name(profile);
        }
        let shared = Box::pin(loader.load()).await;
        let Some(region) = shared.region().cloned() else {
            return Err(Failure::new(
                Exit::Usage,
                "the region of the stack is not known",
                "give --region, or set AWS_REGION",
            ));
        };
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ANSWER_TIMEOUT);
        let mut config = aws_sdk_lambda::config::Builder::from(&shared)
            .timeout_config(timeouts.build())
            // A function that thinks sends nothing meanwhile.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(profile) = address.profile() {
            // In the default chain the environment's credentials go before those of a named profile.
            let how = ProviderConfig::default()
                .with_region(Some(region.clone()))
                .with_http_client(http_client);
            let of_profile =
                ProfileFileCredentialsProvider::builder().configure(&how).profile_name(profile);
            config = config.credentials_provider(of_profile.build());
        }
        Ok(Self {
            lambda: aws_sdk_lambda::Client::from_conf(config.build()),
            address: address.clone(),
            region: region.to_string(),
        })
    }

    pub(super) async fn ask(&self, question: Question) -> Result<Answer, Refusal> {
        let invoke = self
            .lambda
            .invoke()
            .function_name(self.address.function())
            .invocation_type(InvocationType::RequestResponse)
            .payload(question.payload().map_err(Refusal::last)?);
        let output = Box::pin(invoke.send())
            .await
            .map_err(|error| refusal::of_call(&error, &self.address, &self.region))?;
        let bytes = output.payload.map(Blob::into_inner).unwrap_or_default();
        if let Some(kind) = &output.function_error {
            return Err(refusal::of_function(kind, &bytes, &self.address, &question));
        }
        Answer::of(bytes, question.name()).map_err(Refusal::last)
    }
}

/// JSON that the function answered.
#[derive(Debug)]
pub(super) struct Answer {
    text: String,
    question: &'static str,
}

impl Answer {
    fn of(bytes: Vec<u8>, question: &'static str) -> Result<Self, Failure> {
        let text =
            String::from_utf8(bytes).map_err(|_| unreadable(question, None, "it is not UTF-8"))?;
        match serde_json::from_str::<Value>(&text) {
            Ok(Value::Object(_)) => Ok(Self { text, question }),
            Ok(_) => Err(unreadable(question, None, "it is not a JSON object")),
            Err(error) => Err(unreadable(question, None, &error.to_string())),
        }
    }

    /// As it came.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.text).map_err(|error| {
            let value: Option<Value> = serde_json::from_str(&self.text).ok();
            let version = value.as_ref().and_then(|value| value.get("version")?.as_str());
            unreadable(self.question, version, &error.to_string())
        })
    }
}

/// The cause is most likely that the two are of different ages, so both are named.
fn unreadable(question: &str, version: Option<&str>, why: &str) -> Failure {
    let ours = env!("CARGO_PKG_VERSION");
    let theirs =
        version.map_or("of an unknown version".to_owned(), |theirs| format!("of version {theirs}"));
    Failure::new(
        Exit::Other,
        format!(
            "the stack's answer to {question} cannot be read: {why}; this command is of version {ours}, the stack {theirs}"
        ),
        "use the command of the stack's version, or deploy the stack again; --json shows answers that can be read in part as they came",
    )
}

#[cfg(test)]
mod tests {
    use super::super::answers::{RetryAnswer, Status};
    use super::*;

    #[test]
    fn fields_that_are_not_known_are_left_alone() {
        let text = r#"{"redriven":{"scan":1,"other":2},"left":false,"new":{"a":[1]}}"#;
        let answer = Answer::of(text.into(), "retry").unwrap();
        assert_eq!(answer.text(), text);
        let answer: RetryAnswer = answer.read().unwrap();
        assert_eq!((answer.redriven.messages(), answer.left), (3, false));
    }

    #[test]
    fn an_answer_that_cannot_be_read_names_both_versions() {
        let ours = format!("this command is of version {}", env!("CARGO_PKG_VERSION"));
        let answer = Answer::of(br#"{"version":"9.8.7"}"#.to_vec(), "status").unwrap();
        let failure = answer.read::<Status>().unwrap_err();
        for part in ["answer to status", "missing field", &ours, "the stack of version 9.8.7"] {
            assert!(failure.what.contains(part), "{part:?} in {failure:?}");
        }
        for bytes in [&b"\xff"[..], b"", b"[]", b"{", b"null"] {
            let failure = Answer::of(bytes.to_vec(), "run").unwrap_err();
            assert!(failure.what.contains("of an unknown version"), "{failure:?}");
            assert_eq!(failure.exit, Exit::Other);
        }
    }
}
