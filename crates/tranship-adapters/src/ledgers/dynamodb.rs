//! The ledger in one DynamoDB table, on demand.
//!
//! The table has the keys `pk` and `sk` (text), a time to live on `expires`, and the index `due`
//! over `lane` (text) and `due` (number), of keys only: a row without a due time is not in it, and a
//! change that leaves the due time alone costs it nothing.
//!
//! Every write is conditional and may be sent again by the SDK. A row carries its write's stamp, so
//! that a write whose answer was lost is not taken for another's.

mod items;
mod keys;

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    DeleteRequest, KeysAndAttributes, Put, ReturnValue, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, WriteRequest,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship_core::error::LedgerError;
use tranship_core::object::Millis;
use tranship_core::ports::{Clock, Ledger, Row};
use tranship_core::rows::{HeaderId, PartGroup, RowKey, group_of};
use tranship_core::store::Part;

use self::items::{
    DUE, EXPIRES, Item, LANE, PK, REVISION, SK, STAMP, bytes, encode_part, number, part_name, text,
};
use self::keys::{Place, Reach};
use crate::aws::{ATTEMPTS_MAX, Repeat, back_off, timeouts, unavailable};

/// The index of due rows.
pub const DUE_INDEX: &str = "due";
/// Items of one batch that is read, and of one that is written: the service's limits.
const GET_BATCH: usize = 100;
const WRITE_BATCH: usize = 25;
/// Batches of deletes on their way at once.
const WRITE_BATCHES: usize = 8;
/// Of one attempt: the table answers in milliseconds, or the connection is dead.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// A transaction that met another one may simply be sent again.
const MET_ANOTHER: &[&str] =
    &["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];

/// The ledger of a transfer in a table of its own.
pub struct DynamoDbLedger {
    client: Client,
    table: String,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for DynamoDbLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamoDbLedger").field("table", &self.table).finish_non_exhaustive()
    }
}

impl DynamoDbLedger {
    /// Sends no request yet.
    pub fn new(config: &SdkConfig, table: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .timeout_config(timeouts(ATTEMPT_TIMEOUT))
            .retry_classifier(Repeat::<PutItemError>::when(|error| {
                matches!(error, PutItemError::TransactionConflictException(_))
            }))
            .retry_classifier(Repeat::<UpdateItemError>::when(|error| {
                matches!(error, UpdateItemError::TransactionConflictException(_))
            }))
            .retry_classifier(Repeat::<TransactWriteItemsError>::when(|error| {
                let reasons = reasons(error);
                !reasons.is_empty()
                    && reasons.iter().all(|code| *code == "None" || MET_ANOTHER.contains(code))
            }))
            .build();
        Self { client: Client::from_conf(config), table: table.into(), clock }
    }

    fn unavailable<E>(&self, call: &str, error: &SdkError<E, HttpResponse>) -> LedgerError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        unavailable(&format!("{call} on {}", self.table), error)
    }

    async fn item(&self, place: Place) -> Result<Option<Item>, LedgerError> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let get = get.set_key(Some(items::primary(place)));
        let got = get.send().await.map_err(|error| self.unavailable("GetItem", &error))?;
        Ok(got.item)
    }

    async fn put_one(&self, key: &RowKey, row: Row) -> Result<bool, LedgerError> {
        let condition = Condition::before(row.revision);
        let stamp = self.clock.random();
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(items::row_item(key, row, stamp, self.clock.now())))
            .condition_expression(condition.expression)
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(condition.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                // Stored all the same if by an attempt of this very call whose answer was lost.
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    let stored = failed.item().and_then(|item| item.get(STAMP));
                    Ok(stored == Some(&number(stamp)))
                }
                _ => Err(self.unavailable("PutItem", &error)),
            },
        }
    }

    /// The SDK sends the same token with every attempt, so here the service recognises its own work.
    async fn put_both(&self, rows: [(&RowKey, Row); 2]) -> Result<bool, LedgerError> {
        let mut transaction = self.client.transact_write_items();
        for (key, row) in rows {
            let condition = Condition::before(row.revision);
            let put = Put::builder()
                .table_name(&self.table)
                .set_item(Some(items::row_item(key, row, self.clock.random(), self.clock.now())))
                .condition_expression(condition.expression)
                .set_expression_attribute_names(Some(condition.names))
                .set_expression_attribute_values(condition.values)
                .build()
                .map_err(|error| LedgerError::Unreadable(error.to_string()))?;
            transaction = transaction.transact_items(TransactWriteItem::builder().put(put).build());
        }
        match transaction.send().await {
            Ok(_) => Ok(true),
            Err(error) => {
                let reasons = error.as_service_error().map(reasons).unwrap_or_default();
                if reasons.contains(&"ConditionalCheckFailed") {
                    return Ok(false);
                }
                Err(self.unavailable("TransactWriteItems", &error))
            }
        }
    }

    fn query(&self, reach: &Place) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#pk = :pk AND begins_with(#sk, :sk)")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#sk", SK)
            .expression_attribute_values(":pk", text(&reach.pk))
            .expression_attribute_values(":sk", text(&reach.sk))
    }

    async fn page_of_partition(
        &self,
        reach: &Place,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<(RowKey, Row)>, LedgerError> {
        let mut rows = Vec::new();
        let mut start = after.map(|after| items::primary(Place::of(after)));
        while rows.len() < limit {
            let wanted = i32::try_from(limit - rows.len()).unwrap_or(i32::MAX);
            let query = self.query(reach).limit(wanted).set_exclusive_start_key(start);
            let page = query.send().await.map_err(|error| self.unavailable("Query", &error))?;
            for item in page.items() {
                rows.push(items::row_of(item)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(rows)
    }

    /// Reads the whole table and keeps the first rows. Only embedded mode pages over a family of
    /// many partitions; on AWS the sweep finds headers by their due times.
    async fn page_of_table(
        &self,
        prefix: &str,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<(RowKey, Row)>, LedgerError> {
        let mut first = BTreeMap::new();
        let mut start = None;
        loop {
            let scan = self
                .client
                .scan()
                .table_name(&self.table)
                .consistent_read(true)
                .filter_expression("begins_with(#pk, :prefix)")
                .expression_attribute_names("#pk", PK)
                .expression_attribute_values(":prefix", text(prefix))
                .set_exclusive_start_key(start);
            let page = scan.send().await.map_err(|error| self.unavailable("Scan", &error))?;
            for item in page.items() {
                let (key, row) = items::row_of(item)?;
                if after.is_none_or(|after| key > *after) {
                    first.insert(key, row);
                }
                if first.len() > limit {
                    first.pop_last();
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(first.into_iter().collect());
            }
        }
    }

    /// Keys of one lane of the index that are due, the longest due first.
    async fn due_of_lane(
        &self,
        lane: String,
        now: Millis,
        limit: usize,
    ) -> Result<Vec<(Millis, RowKey)>, LedgerError> {
        let mut due = Vec::new();
        let mut start = None;
        while due.len() < limit {
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(DUE_INDEX)
                .key_condition_expression("#lane = :lane AND #due <= :now")
                .expression_attribute_names("#lane", LANE)
                .expression_attribute_names("#due", DUE)
                .expression_attribute_values(":lane", text(lane.as_str()))
                .expression_attribute_values(":now", number(now.0))
                .limit(i32::try_from(limit - due.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start);
            let page = query.send().await.map_err(|error| self.unavailable("Query", &error))?;
            for item in page.items() {
                let key = items::key_of(item)?;
                let at = items::due_of(&key, item)?.ok_or_else(|| items::not_due(&key))?;
                due.push((at, key));
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(due)
    }

    /// The rows that are there, in no order.
    async fn rows(&self, keys: &[RowKey]) -> Result<Vec<(RowKey, Row)>, LedgerError> {
        let mut rows = Vec::new();
        for keys in keys.chunks(GET_BATCH) {
            let keys = keys.iter().map(|key| items::primary(Place::of(key))).collect();
            let wanted = KeysAndAttributes::builder().consistent_read(true).set_keys(Some(keys));
            let wanted = wanted.build();
            let mut wanted =
                Some(wanted.map_err(|error| LedgerError::Unreadable(error.to_string()))?);
            let mut attempt = 0;
            while let Some(request) = wanted.take() {
                let get = self.client.batch_get_item().request_items(&self.table, request);
                let got = get.send().await;
                let got = got.map_err(|error| self.unavailable("BatchGetItem", &error))?;
                let found = got.responses.unwrap_or_default().remove(&self.table);
                for item in found.unwrap_or_default() {
                    rows.push(items::row_of(&item)?);
                }
                wanted = got.unprocessed_keys.unwrap_or_default().remove(&self.table);
                if wanted.is_some() {
                    attempt = self.next_attempt("BatchGetItem", attempt).await?;
                }
            }
        }
        Ok(rows)
    }

    async fn delete(&self, places: Vec<Item>) -> Result<(), LedgerError> {
        let mut deletes = Vec::with_capacity(places.len());
        for place in places {
            let delete = DeleteRequest::builder().set_key(Some(place)).build();
            let delete = delete.map_err(|error| LedgerError::Unreadable(error.to_string()))?;
            deletes.push(WriteRequest::builder().delete_request(delete).build());
        }
        let mut attempt = 0;
        loop {
            let write = self.client.batch_write_item().request_items(&self.table, deletes);
            let written = write.send().await;
            let written = written.map_err(|error| self.unavailable("BatchWriteItem", &error))?;
            let left = written.unprocessed_items.unwrap_or_default().remove(&self.table);
            deletes = left.unwrap_or_default();
            if deletes.is_empty() {
                return Ok(());
            }
            attempt = self.next_attempt("BatchWriteItem", attempt).await?;
        }
    }

    /// Waits before what the table has not taken is sent again.
    async fn next_attempt(&self, call: &str, attempt: u32) -> Result<u32, LedgerError> {
        let next = attempt + 1;
        if next >= ATTEMPTS_MAX {
            let text = format!("{call} on {}: items were left over {next} times", self.table);
            return Err(LedgerError::Unavailable(text));
        }
        back_off(&*self.clock, next).await;
        Ok(next)
    }

    /// One page of the keys under a prefix, and where the next one starts.
    async fn places(
        &self,
        reach: &Reach,
        start: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), LedgerError> {
        match reach {
            Reach::Partition(place) => {
                let query = self.query(place).projection_expression("#pk, #sk");
                let page = query.set_exclusive_start_key(start).send().await;
                let page = page.map_err(|error| self.unavailable("Query", &error))?;
                Ok((page.items.unwrap_or_default(), page.last_evaluated_key))
            }
            Reach::Table(prefix) => {
                let scan = self
                    .client
                    .scan()
                    .table_name(&self.table)
                    .consistent_read(true)
                    .filter_expression("begins_with(#pk, :prefix)")
                    .projection_expression("#pk, #sk")
                    .expression_attribute_names("#pk", PK)
                    .expression_attribute_names("#sk", SK)
                    .expression_attribute_values(":prefix", text(prefix))
                    .set_exclusive_start_key(start);
                let page = scan.send().await.map_err(|error| self.unavailable("Scan", &error))?;
                Ok((page.items.unwrap_or_default(), page.last_evaluated_key))
            }
        }
    }
}

/// What must hold of the item before it is written.
struct Condition {
    expression: &'static str,
    names: HashMap<String, String>,
    values: Option<Item>,
}

impl Condition {
    /// The stored revision is the one before, or there is none before 1.
    fn before(revision: u64) -> Self {
        if revision <= 1 {
            let names = HashMap::from([("#pk".to_owned(), PK.to_owned())]);
            return Self { expression: "attribute_not_exists(#pk)", names, values: None };
        }
        Self {
            expression: "#revision = :before",
            names: HashMap::from([("#revision".to_owned(), REVISION.to_owned())]),
            values: Some(HashMap::from([(":before".to_owned(), number(revision - 1))])),
        }
    }
}

/// Why each item of a transaction was not written.
fn reasons(error: &TransactWriteItemsError) -> Vec<&str> {
    let TransactWriteItemsError::TransactionCanceledException(canceled) = error else {
        return Vec::new();
    };
    canceled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or_default()).collect()
}

#[async_trait]
impl Ledger for DynamoDbLedger {
    async fn get(&self, key: &RowKey) -> Result<Option<Row>, LedgerError> {
        let item = self.item(Place::of(key)).await?;
        item.map(|item| items::row_of(&item).map(|(_, row)| row)).transpose()
    }

    async fn put(
        &self,
        key: &RowKey,
        row: Row,
        also: Option<(RowKey, Row)>,
    ) -> Result<bool, LedgerError> {
        // No revision comes before 0: such a row is never the next one.
        if row.revision == 0 || also.as_ref().is_some_and(|(_, row)| row.revision == 0) {
            return Ok(false);
        }
        match also {
            None => self.put_one(key, row).await,
            Some((other, also)) => self.put_both([(key, row), (&other, also)]).await,
        }
    }

    async fn page(
        &self,
        prefix: &str,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<(RowKey, Row)>, LedgerError> {
        let after = after.filter(|after| after.0.as_str() >= prefix);
        match Reach::of(prefix) {
            _ if after.is_some_and(|after| !after.0.starts_with(prefix)) => Ok(Vec::new()),
            Reach::Partition(reach) => self.page_of_partition(&reach, after, limit).await,
            Reach::Table(prefix) => self.page_of_table(&prefix, after, limit).await,
        }
    }

    /// The index names the rows, and the table says what they are now: one that was settled
    /// meanwhile is left out.
    async fn due(&self, now: Millis, limit: usize) -> Result<Vec<(RowKey, Row)>, LedgerError> {
        let lanes = keys::lanes().map(|lane| self.due_of_lane(lane, now, limit));
        let mut due: Vec<_> = try_join_all(lanes).await?.into_iter().flatten().collect();
        due.sort_unstable();
        due.truncate(limit);
        let keys: Vec<RowKey> = due.into_iter().map(|(_, key)| key).collect();
        let mut rows = self.rows(&keys).await?;
        rows.retain(|(_, row)| row.due.is_some_and(|due| due <= now));
        rows.sort_unstable_by(|(a, x), (b, y)| (x.due, a).cmp(&(y.due, b)));
        Ok(rows)
    }

    /// One write that names its part alone, so parts that are recorded at once do not meet. Parts of
    /// an older epoch lie under keys of their own, where nobody reads them any more.
    async fn record_part(
        &self,
        header: &HeaderId,
        epoch: u64,
        part: Part,
    ) -> Result<PartGroup, LedgerError> {
        let key = header.group_key(epoch, group_of(part.number));
        let row = Row { revision: 0, due: None, value: Vec::new() };
        let expires = keys::expires(&key, &row, self.clock.now()).unwrap_or(u64::MAX);
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(items::primary(Place::of(&key))))
            .update_expression("SET #part = :part, #expires = :expires ADD #revision :one")
            .expression_attribute_names("#part", part_name(part.number))
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_names("#revision", REVISION)
            .expression_attribute_values(":part", bytes(encode_part(&part)))
            .expression_attribute_values(":expires", number(expires))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew);
        let updated =
            update.send().await.map_err(|error| self.unavailable("UpdateItem", &error))?;
        items::group_of(&key, &updated.attributes.unwrap_or_default())
    }

    async fn part_group(
        &self,
        header: &HeaderId,
        epoch: u64,
        group: u16,
    ) -> Result<PartGroup, LedgerError> {
        let key = header.group_key(epoch, group);
        match self.item(Place::of(&key)).await? {
            Some(item) => items::group_of(&key, &item),
            None => Ok(PartGroup::default()),
        }
    }

    async fn forget(&self, prefix: &str) -> Result<(), LedgerError> {
        let reach = Reach::of(prefix);
        let mut start = None;
        loop {
            let (places, next) = self.places(&reach, start).await?;
            let batches: Vec<_> = places.chunks(WRITE_BATCH).map(<[Item]>::to_vec).collect();
            stream::iter(batches.into_iter().map(|places| self.delete(places)))
                .buffer_unordered(WRITE_BATCHES)
                .try_for_each(|()| std::future::ready(Ok(())))
                .await?;
            start = next;
            if start.is_none() {
                return Ok(());
            }
        }
    }
}
