//! What the stack tells others: the end of a run on the event bus and as a report in its bucket, the
//! candidates for deletion before the first of them is deleted, and dead letters with their reasons.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sqs::types::MessageAttributeValue;
use lambda_runtime::Error;
use serde::Serialize;
use tranship_core::finder::{self, events::Hour};
use tranship_core::outcome::Count;
use tranship_core::rows::{List, Note, Run, Totals};
use tranship_core::stage::Stage;

use crate::failure::{Failure, Name};
use crate::settings::{Own, QueueUrls};

/// The source of our events on the bus.
const EVENT_SOURCE: &str = "tranship";
/// Bytes of a reason that travels with a dead letter.
const REASON_BYTES_MAX: usize = 1_000;

/// The account of a run, or of an hour of events, for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub kind: &'static str,
    pub id: u64,
    pub state: String,
    pub started_ms: u64,
    pub ended_ms: Option<u64>,
    pub listed: Objects,
    pub outcomes: BTreeMap<&'static str, Objects>,
    pub unsettled: Objects,
    pub balanced: bool,
    /// Objects by what their copies lack.
    pub losses: BTreeMap<&'static str, u64>,
    /// Deliveries of tasks in which something really failed.
    pub failed_deliveries: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Objects {
    pub objects: u64,
    pub bytes: u64,
}

impl From<Count> for Objects {
    fn from(count: Count) -> Self {
        Self { objects: count.objects, bytes: count.bytes }
    }
}

impl Report {
    /// Of a run; of an open one as far as it is known.
    pub fn of_run(run: &Run) -> Self {
        let last = run.timeline.points().last().map(|(_, mark)| *mark).unwrap_or_default();
        let known = run.progress.as_ref().map(|known| Totals {
            listed: known.listed,
            account: known.account.clone(),
            unsettled: known.unsettled,
            failed_deliveries: last.failed_deliveries,
            ..Totals::default()
        });
        let totals = run.totals.clone().or(known).unwrap_or_default();
        let ended_ms = run.ended.map(|ended| ended.0);
        Self { ended_ms, ..Self::of("run", run.generation, run.verdict(), run.started.0, &totals) }
    }

    /// Of an hour of events.
    pub fn of_hour(hour: &Hour) -> Self {
        let id = hour.generation;
        Self::of("hour", id, hour.verdict(), hour.started.0, &hour.totals)
    }

    fn of(kind: &'static str, id: u64, state: &str, started_ms: u64, totals: &Totals) -> Self {
        let counted = totals.account.iter().filter(|(_, count)| *count != Count::default());
        Self {
            kind,
            id,
            state: state.to_owned(),
            started_ms,
            ended_ms: None,
            listed: totals.listed.into(),
            outcomes: counted.map(|(outcome, count)| (outcome.name(), count.into())).collect(),
            unsettled: totals.unsettled.into(),
            balanced: totals.balances(),
            losses: totals.losses.iter().map(|(loss, objects)| (loss.name(), objects)).collect(),
            failed_deliveries: totals.failed_deliveries,
        }
    }
}

/// A report with what it is about.
#[derive(Serialize)]
struct Told<'a> {
    stack: &'a str,
    source: String,
    destination: String,
    /// Keys in the stack's bucket.
    failures: Vec<String>,
    #[serde(flatten)]
    report: &'a Report,
}

/// The bus and the stack's bucket.
#[derive(Debug)]
pub struct Notices {
    bus: aws_sdk_eventbridge::Client,
    store: aws_sdk_s3::Client,
    stack: String,
    bucket: String,
}

impl Notices {
    pub fn new(config: &SdkConfig, own: &Own) -> Self {
        Self {
            bus: aws_sdk_eventbridge::Client::new(config),
            store: aws_sdk_s3::Client::new(config),
            stack: own.stack.clone(),
            bucket: own.bucket.clone(),
        }
    }

    /// Tells of the end of a run or of an hour: its failures and its report into the bucket, then a
    /// summary on the bus. May be told twice, and never not at all.
    pub async fn tell(&self, stage: &Stage, report: &Report) -> Result<(), Failure> {
        let place = format!("reports/{}/{:016}", report.kind, report.id);
        let failures = self.write_list(stage, report.id, List::Failures, &place).await?;
        let told = Told {
            stack: &self.stack,
            source: stage.transfer.source.display(),
            destination: stage.transfer.destination.display(),
            failures,
            report,
        };
        let text = serde_json::to_string(&told).map_err(|error| unreadable(&error))?;
        self.put(&format!("{place}/report.json"), text.clone().into_bytes()).await?;
        let entry = PutEventsRequestEntry::builder()
            .source(EVENT_SOURCE)
            .detail_type(format!("tranship {} ended", report.kind))
            .detail(text)
            .build();
        let put = self.bus.put_events().entries(entry).send().await;
        let put = put.map_err(|error| unavailable("PutEvents", error))?;
        match put.entries().iter().find_map(|entry| entry.error_code()) {
            Some(code) => Err(Failure::new(Name::Unavailable, format!("PutEvents: {code}"))),
            None => Ok(()),
        }
    }

    /// Writes down what is about to be deleted, before the first of it is.
    pub async fn write_manifest(&self, stage: &Stage, generation: u64) -> Result<(), Failure> {
        let place = format!("manifests/{generation:016}");
        self.write_list(stage, generation, List::Candidates, &place).await.map(drop)
    }

    /// Writes a list as objects of a few megabytes; gives their keys.
    async fn write_list(
        &self,
        stage: &Stage,
        generation: u64,
        list: List,
        place: &str,
    ) -> Result<Vec<String>, Failure> {
        let mut pieces = Vec::new();
        let mut after = None;
        loop {
            let page = finder::notes_after(stage, list, generation, after.as_ref()).await?;
            let mut bytes = Vec::new();
            for note in &page.notes {
                write_note(&mut bytes, note)?;
            }
            if !bytes.is_empty() {
                let key = format!("{place}/{:06}.jsonl", pieces.len());
                self.put(&key, bytes).await?;
                pieces.push(key);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(pieces),
            }
        }
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), Failure> {
        let put = self.store.put_object().bucket(&self.bucket).key(key);
        let put = put.body(ByteStream::from(bytes)).content_type("application/json");
        let put = put.send().await;
        put.map(drop)
            .map_err(|error| unavailable(&format!("PutObject {}/{key}", self.bucket), error))
    }
}

fn write_note(bytes: &mut Vec<u8>, note: &Note) -> Result<(), Failure> {
    serde_json::to_writer(&mut *bytes, note).map_err(|error| unreadable(&error))?;
    bytes.push(b'\n');
    Ok(())
}

/// Messages that can never be read, sent where a person finds them, with the reason.
#[derive(Debug)]
pub struct DeadLetters(aws_sdk_sqs::Client);

/// What a redrive came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Redriven {
    pub messages: u64,
    /// There was nothing more to be had.
    pub is_empty: bool,
}

impl DeadLetters {
    pub fn new(config: &SdkConfig) -> Self {
        Self(aws_sdk_sqs::Client::new(config))
    }

    pub async fn send(&self, url: &str, body: &str, reason: &str) -> Result<(), Failure> {
        let mut end = reason.len().min(REASON_BYTES_MAX);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = tranship_core::object::escape(reason.get(..end).unwrap_or_default());
        let attribute = MessageAttributeValue::builder().data_type("String").string_value(reason);
        let attribute = attribute.build().map_err(|error| unreadable(&error))?;
        let send = self.0.send_message().queue_url(url).message_body(body);
        let sent = send.message_attributes("reason", attribute).send().await;
        sent.map(drop).map_err(|error| unavailable(&format!("SendMessage to {url}"), error))
    }

    /// Sends a few dead letters back to their queue: each is sent first and deleted after, so that
    /// none is lost and some may come twice.
    pub async fn redrive(&self, queue: &QueueUrls) -> Result<Redriven, Failure> {
        let receive = self.0.receive_message().queue_url(&queue.dead_letters);
        let received = receive.max_number_of_messages(10).wait_time_seconds(1).send().await;
        let from = &queue.dead_letters;
        let received =
            received.map_err(|error| unavailable(&format!("ReceiveMessage on {from}"), error))?;
        let mut redriven = Redriven { is_empty: received.messages().is_empty(), messages: 0 };
        for message in received.messages() {
            let (Some(body), Some(receipt)) = (message.body(), message.receipt_handle()) else {
                continue;
            };
            let send = self.0.send_message().queue_url(&queue.url).message_body(body).send().await;
            send.map_err(|error| unavailable(&format!("SendMessage to {}", queue.url), error))?;
            let delete = self.0.delete_message().queue_url(from).receipt_handle(receipt);
            delete
                .send()
                .await
                .map_err(|error| unavailable(&format!("DeleteMessage on {from}"), error))?;
            redriven.messages += 1;
        }
        Ok(redriven)
    }

    /// Messages that wait in a queue, and that are in flight.
    pub async fn depth(&self, url: &str) -> Result<(u64, u64), Failure> {
        use aws_sdk_sqs::types::QueueAttributeName as Name;
        let waiting = Name::ApproximateNumberOfMessages;
        let in_flight = Name::ApproximateNumberOfMessagesNotVisible;
        let names = vec![waiting.clone(), in_flight.clone()];
        let ask = self.0.get_queue_attributes().queue_url(url).set_attribute_names(Some(names));
        let answer = ask.send().await;
        let answer =
            answer.map_err(|error| unavailable(&format!("GetQueueAttributes of {url}"), error))?;
        let attributes = answer.attributes.unwrap_or_default();
        let count = |name| attributes.get(&name).and_then(|n| n.parse().ok()).unwrap_or(0);
        Ok((count(waiting), count(in_flight)))
    }
}

fn unavailable(what: &str, error: impl Into<Error>) -> Failure {
    let error: Error = error.into();
    let mut text = format!("{what}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    Failure::new(Name::Unavailable, text)
}

fn unreadable(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Name::Unavailable, error.to_string())
}
