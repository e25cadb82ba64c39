//! The queues of a transfer in SQS.
//!
//! They are standard queues: at least once, in any order, and how much waits is known about. Their
//! dead-letter queues are the stack's; nothing here knows them.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::change_message_visibility::ChangeMessageVisibilityError as DelayError;
use aws_sdk_sqs::operation::delete_message::DeleteMessageError;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;
use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchError;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, Message, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tranship_core::error::LedgerError;
use tranship_core::ports::{Clock, Queue, Received, TaskQueue};

use crate::aws::{ATTEMPTS_MAX, Repeat, back_off, unavailable};

/// Messages of one call: the service's limit.
const BATCH_MAX: usize = 10;
/// The service's limit: 12 hours, in seconds.
const VISIBILITY_MAX: u64 = 12 * 60 * 60;
/// Bytes of a message, and of a batch, in the large partitions.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// The longest a receive may wait, in seconds: the fewest empty answers.
pub const WAIT_MAX: u16 = 20;

/// Which queues, and what they allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqsSettings {
    pub scan_url: String,
    pub transfer_url: String,
    /// Without one, the largest objects go with the others.
    pub large_url: Option<String>,
    /// Bytes of a message, and of a batch: 1 MiB, in some partitions 256 KiB.
    pub message_bytes_max: usize,
    /// How long a receive waits for a first message, in seconds.
    pub wait_seconds: u16,
    /// How long a message that is received stays hidden, in seconds; `None` is as the queue says.
    pub hidden_seconds: Option<u16>,
}

impl SqsSettings {
    pub fn new(scan_url: impl Into<String>, transfer_url: impl Into<String>) -> Self {
        Self {
            scan_url: scan_url.into(),
            transfer_url: transfer_url.into(),
            large_url: None,
            message_bytes_max: MESSAGE_BYTES_MAX,
            wait_seconds: WAIT_MAX,
            hidden_seconds: None,
        }
    }
}

/// The queues of a transfer.
pub struct SqsQueue {
    client: Client,
    settings: SqsSettings,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for SqsQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqsQueue").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl SqsQueue {
    /// Sends no request yet.
    pub fn new(config: &SdkConfig, settings: SqsSettings, clock: Arc<dyn Clock>) -> Self {
        // The queues' encryption key is asked for too often: as good as a throttled queue.
        let config = aws_sdk_sqs::config::Builder::from(config)
            .retry_classifier(Repeat::<SendMessageBatchError>::when(|error| {
                matches!(error, SendMessageBatchError::KmsThrottled(_))
            }))
            .retry_classifier(Repeat::<ReceiveMessageError>::when(|error| {
                matches!(error, ReceiveMessageError::KmsThrottled(_))
            }))
            .build();
        Self { client: Client::from_conf(config), settings, clock }
    }

    fn url(&self, queue: Queue) -> &str {
        match queue {
            Queue::Scan => &self.settings.scan_url,
            Queue::Transfer => &self.settings.transfer_url,
            Queue::Large => {
                self.settings.large_url.as_deref().unwrap_or(&self.settings.transfer_url)
            }
        }
    }

    fn unavailable<E>(
        &self,
        call: &str,
        queue: Queue,
        error: &SdkError<E, HttpResponse>,
    ) -> LedgerError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        unavailable(&format!("{call} on {}", self.url(queue)), error)
    }

    /// The first bodies that go into one batch: ten, and no more bytes than the queue takes. A single
    /// body goes alone however long it is, and the service says what is wrong with it.
    fn batch(&self, bodies: &mut VecDeque<String>) -> Vec<String> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(body) = bodies.pop_front() {
            bytes += body.len();
            let full = batch.len() >= BATCH_MAX || bytes > self.settings.message_bytes_max;
            if full && !batch.is_empty() {
                bodies.push_front(body);
                break;
            }
            batch.push(body);
        }
        batch
    }

    /// Sends a batch, and again what of it was not taken. A batch may fail in part.
    async fn send_batch(&self, queue: Queue, mut batch: Vec<String>) -> Result<(), LedgerError> {
        let mut attempt = 0;
        loop {
            let mut entries = Vec::with_capacity(batch.len());
            for (id, body) in batch.iter().enumerate() {
                let entry = SendMessageBatchRequestEntry::builder();
                let entry = entry.id(id.to_string()).message_body(body).build();
                entries.push(entry.map_err(|error| LedgerError::Unreadable(error.to_string()))?);
            }
            let send = self.client.send_message_batch().queue_url(self.url(queue));
            let sent = send.set_entries(Some(entries)).send().await;
            let sent = sent.map_err(|error| self.unavailable("SendMessageBatch", queue, &error))?;
            let Some(first) = sent.failed.first() else { return Ok(()) };
            attempt += 1;
            if attempt >= ATTEMPTS_MAX || sent.failed.iter().any(|entry| entry.sender_fault) {
                return Err(self.not_taken(queue, first, sent.failed.len()));
            }
            let failed = sent.failed.iter().filter_map(|entry| entry.id.parse().ok());
            let failed: Vec<usize> = failed.collect();
            let mut id = 0..;
            batch.retain(|_| id.next().is_some_and(|id| failed.contains(&id)));
            back_off(&*self.clock, attempt).await;
        }
    }

    fn not_taken(&self, queue: Queue, first: &BatchResultErrorEntry, count: usize) -> LedgerError {
        let BatchResultErrorEntry { code, message, .. } = first;
        let message = message.as_deref().unwrap_or("no reason");
        LedgerError::Unavailable(format!(
            "SendMessageBatch on {}: {count} messages were not taken; the first: {code}: {message}",
            self.url(queue)
        ))
    }
}

/// `None` for what is no message: it will come again.
fn received(message: Message) -> Option<Received> {
    let count = MessageSystemAttributeName::ApproximateReceiveCount;
    let receives = message.attributes.as_ref().and_then(|attributes| attributes.get(&count));
    let receives = receives.and_then(|count| count.parse().ok()).unwrap_or(1);
    Some(Received { receipt: message.receipt_handle?, body: message.body?, receives })
}

#[async_trait]
impl TaskQueue for SqsQueue {
    async fn send(&self, queue: Queue, bodies: Vec<String>) -> Result<(), LedgerError> {
        let mut bodies = VecDeque::from(bodies);
        while !bodies.is_empty() {
            let batch = self.batch(&mut bodies);
            self.send_batch(queue, batch).await?;
        }
        Ok(())
    }

    async fn receive(&self, queue: Queue, limit: usize) -> Result<Vec<Received>, LedgerError> {
        let limit = limit.min(BATCH_MAX);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let receive = self
            .client
            .receive_message()
            .queue_url(self.url(queue))
            .max_number_of_messages(i32::try_from(limit).unwrap_or(1))
            .wait_time_seconds(i32::from(self.settings.wait_seconds.min(WAIT_MAX)))
            .set_visibility_timeout(self.settings.hidden_seconds.map(i32::from))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let answer = receive.send().await;
        let answer = answer.map_err(|error| self.unavailable("ReceiveMessage", queue, &error))?;
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(received).collect())
    }

    /// To the next second. A receipt that holds nothing any more changes nothing.
    async fn delay(&self, queue: Queue, receipt: &str, delay_ms: u64) -> Result<(), LedgerError> {
        let seconds = delay_ms.div_ceil(1_000).min(VISIBILITY_MAX);
        let change = self
            .client
            .change_message_visibility()
            .queue_url(self.url(queue))
            .receipt_handle(receipt)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX));
        match change.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(DelayError::ReceiptHandleIsInvalid(_) | DelayError::MessageNotInflight(_)) => {
                    Ok(())
                }
                _ => Err(self.unavailable("ChangeMessageVisibility", queue, &error)),
            },
        }
    }

    /// A receipt that holds nothing any more deletes nothing: the message is gone, or somebody else
    /// is at work on it.
    async fn delete(&self, queue: Queue, receipt: &str) -> Result<(), LedgerError> {
        let delete = self.client.delete_message().queue_url(self.url(queue));
        match delete.receipt_handle(receipt).send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(DeleteMessageError::ReceiptHandleIsInvalid(_)) => Ok(()),
                _ => Err(self.unavailable("DeleteMessage", queue, &error)),
            },
        }
    }

    /// Approximate, as all that the service says about a queue.
    async fn depth(&self, queue: Queue) -> Result<u64, LedgerError> {
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let ask = self.client.get_queue_attributes().queue_url(self.url(queue));
        let answer = ask.set_attribute_names(Some(counts.to_vec())).send().await;
        let answer =
            answer.map_err(|error| self.unavailable("GetQueueAttributes", queue, &error))?;
        let answer = answer.attributes.unwrap_or_default();
        let mut depth = 0;
        for name in counts {
            let count = answer.get(&name).and_then(|count| count.parse::<u64>().ok());
            depth += count.ok_or_else(|| {
                let url = self.url(queue);
                LedgerError::Unavailable(format!(
                    "GetQueueAttributes on {url}: no {}",
                    name.as_str()
                ))
            })?;
        }
        Ok(depth)
    }
}
