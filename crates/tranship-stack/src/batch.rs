//! Batches of messages: each is answered for itself, and one that fails touches no other.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::sqs::SqsMessage;
use futures_util::FutureExt as _;
use serde::Serialize;
use tranship_core::ports::Received;

/// The messages of a batch that are to come again. Without any, the whole batch is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub batch_item_failures: Vec<ItemFailure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    pub item_identifier: String,
}

impl Answer {
    /// This message comes again.
    pub fn fail(&mut self, message_id: &str) {
        self.batch_item_failures.push(ItemFailure { item_identifier: message_id.to_owned() });
    }
}

/// A message as the core takes it; `None` if it is none. An empty body is one that cannot be read.
pub fn received(message: &SqsMessage) -> Received {
    let receives = message.attributes.get("ApproximateReceiveCount");
    Received {
        receipt: message.receipt_handle.clone().unwrap_or_default(),
        body: message.body.clone().unwrap_or_default(),
        receives: receives.and_then(|count| count.parse().ok()).unwrap_or(1),
    }
}

/// Runs the work of one message; a panic is an error with this text.
pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        format!("a panic: {}", text.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_spelled_as_the_service_reads_it() {
        let mut answer = Answer::default();
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"batchItemFailures":[]}"#);
        answer.fail("m-1");
        let text = r#"{"batchItemFailures":[{"itemIdentifier":"m-1"}]}"#;
        assert_eq!(serde_json::to_string(&answer).unwrap(), text);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_its_own_message() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        let panics = async |text: &str| -> u8 { panic!("no {text}") };
        assert_eq!(caught(panics("reason")).await, Err("a panic: no reason".to_owned()));
    }
}
