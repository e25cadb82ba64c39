//! The ledger in DynamoDB.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement,
    KeyType, Projection, ProjectionType, ScalarAttributeType,
};
use serde_json::{Value, json};
use tranship_adapters::ledgers::dynamodb::{DUE_INDEX, DynamoDbLedger};
use tranship_core::checksum::{Algorithm, Checksum};
use tranship_core::error::LedgerError;
use tranship_core::object::{ETag, Millis, ObjectKey, PartNumber};
use tranship_core::ports::{Ledger as _, Row};
use tranship_core::rows::{HeaderId, RowKey};
use tranship_core::store::Part;
use tranship_tests::ledger;
use tranship_tests::wire::{Exchange, Wire};

use super::{Cloud, clock, cloud};

fn key(name: &str, role: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(role).build().unwrap()
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
}

/// A table as the stack makes it.
async fn table(name: &str) -> (Cloud, aws_sdk_dynamodb::Client, DynamoDbLedger) {
    let cloud = cloud().await;
    let client = aws_sdk_dynamodb::Client::new(&cloud.config);
    let keys_only = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
    let index = GlobalSecondaryIndex::builder()
        .index_name(DUE_INDEX)
        .key_schema(key("lane", KeyType::Hash))
        .key_schema(key("due", KeyType::Range))
        .projection(keys_only)
        .build()
        .unwrap();
    client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk", ScalarAttributeType::S))
        .attribute_definitions(attribute("sk", ScalarAttributeType::S))
        .attribute_definitions(attribute("lane", ScalarAttributeType::S))
        .attribute_definitions(attribute("due", ScalarAttributeType::N))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .global_secondary_indexes(index)
        .send()
        .await
        .unwrap();
    let ledger = DynamoDbLedger::new(&cloud.config, name, clock());
    cloud.wire.take();
    (cloud, client, ledger)
}

fn named(text: &str) -> RowKey {
    RowKey(text.to_owned())
}

fn row(revision: u64, value: &str) -> Row {
    Row { revision, due: None, value: value.as_bytes().to_vec() }
}

fn due(revision: u64, at: u64) -> Row {
    Row { due: Some(Millis(at)), ..row(revision, "due") }
}

fn part(number: u16) -> Part {
    Part {
        number: PartNumber::new(number).unwrap(),
        size: 64 << 20,
        etag: ETag::new("d41d8cd98f00b204e9800998ecf8427e"),
        checksums: vec![Checksum { algorithm: Algorithm::Crc64Nvme, value: u64::MAX }],
    }
}

fn header() -> HeaderId {
    HeaderId::of(&ObjectKey::new("a/large/object"))
}

fn calls(exchanges: &[Exchange]) -> Vec<&str> {
    exchanges.iter().map(|exchange| exchange.call.as_str()).collect()
}

/// What the table charged, in units.
fn units(wire: &Wire) -> u64 {
    let of = |capacity: &Value| capacity["CapacityUnits"].as_f64().unwrap();
    let exchanges = wire.take();
    let charged = exchanges.iter().map(|exchange| match &exchange.answered["ConsumedCapacity"] {
        Value::Array(tables) => tables.iter().map(of).sum::<f64>(),
        table => of(table),
    });
    // The server charges whole units, and writes them as decimal fractions.
    format!("{:.0}", charged.sum::<f64>()).parse().unwrap()
}

#[tokio::test]
async fn the_dynamodb_ledger_conforms() {
    let (_cloud, _client, table) = table("suite").await;
    ledger::conforms(&table).await;
}

/// A family that lies in many partitions is found, in order, and forgotten.
#[tokio::test]
async fn headers_are_paged_over_and_forgotten_as_a_whole() {
    let (_cloud, _client, table) = table("headers").await;
    let mut headers: Vec<RowKey> =
        (0..50).map(|n| HeaderId::of(&ObjectKey::new(n.to_string())).row_key()).collect();
    for key in headers.iter().chain([&named("run"), &named("scan/1/1")]) {
        assert!(table.put(key, row(1, "{}"), None).await.unwrap());
    }
    headers.sort();
    let mut seen = Vec::new();
    while let Some((last, _)) = {
        let page = table.page("header/", seen.last(), 20).await.unwrap();
        seen.extend(page.iter().map(|(key, _)| key.clone()));
        page.into_iter().last()
    } {
        assert_eq!(seen.last(), Some(&last));
    }
    assert_eq!(seen, headers);
    table.forget("header/").await.unwrap();
    assert!(table.page("header/", None, 1).await.unwrap().is_empty());
    assert!(table.get(&named("run")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_known_for_ours() {
    let (cloud, _client, table) = table("lost").await;
    let (a, b) = (named("a"), named("b"));
    cloud.wire.lose("PutItem");
    assert!(table.put(&a, row(1, "same"), None).await.unwrap());
    assert_eq!(calls(&cloud.wire.take()), ["PutItem", "PutItem"]);
    assert!(!table.put(&a, row(1, "same"), None).await.unwrap(), "another's, of the same content");

    cloud.wire.lose("TransactWriteItems");
    assert!(table.put(&a, row(2, "2"), Some((b.clone(), row(1, "1")))).await.unwrap());
    assert!(!table.put(&a, row(2, "2"), Some((b.clone(), row(1, "1")))).await.unwrap());

    cloud.wire.lose("UpdateItem");
    let group = table.record_part(&header(), 1, part(1)).await.unwrap();
    assert_eq!(group.parts, [part(1)]);
}

#[tokio::test]
async fn throttling_and_conflicts_are_waited_out() {
    let (cloud, _client, table) = table("throttled").await;
    let (a, b) = (named("a"), named("b"));
    for code in [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "TransactionConflictException",
    ] {
        cloud.wire.fail("PutItem", 400, code);
    }
    assert!(table.put(&a, row(1, "1"), None).await.unwrap());
    cloud.wire.fail("UpdateItem", 400, "TransactionConflictException");
    table.record_part(&header(), 1, part(1)).await.unwrap();
    cloud.wire.fail("GetItem", 500, "InternalServerError");
    assert_eq!(table.get(&a).await.unwrap(), Some(row(1, "1")));
    for code in ["TransactionConflict", "ThrottlingError"] {
        let reasons = json!([{ "Code": "None" }, { "Code": code, "Message": "later" }]);
        let body =
            json!({ "__type": "TransactionCanceledException", "CancellationReasons": reasons });
        cloud.wire.answer("TransactWriteItems", move |_| (400, body));
    }
    assert!(table.put(&a, row(2, "2"), Some((b, row(1, "1")))).await.unwrap());
    assert_eq!(cloud.wire.take().len(), 4 + 2 + 2 + 3);

    for _ in 0..6 {
        cloud.wire.fail("GetItem", 400, "ThrottlingException");
    }
    let Err(LedgerError::Unavailable(text)) = table.get(&a).await else {
        panic!("it went through")
    };
    assert!(text.contains("GetItem on throttled: ThrottlingException"), "{text}");
    assert_eq!(cloud.wire.take().len(), 6);
}

#[tokio::test]
async fn what_a_batch_left_over_is_asked_for_again() {
    let (cloud, _client, table) = table("batches").await;
    for n in 0..30 {
        assert!(table.put(&named(&format!("scan/1/{n:02}")), due(1, n), None).await.unwrap());
    }
    cloud.wire.take();
    cloud.wire.answer("BatchGetItem", |asked| {
        (200, json!({ "Responses": {}, "UnprocessedKeys": asked["RequestItems"] }))
    });
    assert_eq!(table.due(Millis(100), 100).await.unwrap().len(), 30);
    assert_eq!(calls(&cloud.wire.take()).len(), 8 + 2);

    cloud.wire.answer("BatchWriteItem", |asked| {
        (200, json!({ "UnprocessedItems": asked["RequestItems"] }))
    });
    table.forget("scan/1/").await.unwrap();
    assert_eq!(cloud.wire.take().iter().filter(|e| e.call == "BatchWriteItem").count(), 2 + 1);
    assert!(table.page("scan/1/", None, 1).await.unwrap().is_empty());

    assert!(table.put(&named("scan/2/0"), row(1, ""), None).await.unwrap());
    for _ in 0..6 {
        cloud.wire.answer("BatchWriteItem", |asked| {
            (200, json!({ "UnprocessedItems": asked["RequestItems"] }))
        });
    }
    let forgotten = table.forget("scan/2/").await;
    assert!(matches!(forgotten, Err(LedgerError::Unavailable(_))), "{forgotten:?}");
    cloud.wire.take();
}

#[tokio::test]
async fn a_damaged_item_is_unreadable_and_named() {
    let (_cloud, client, table) = table("damaged").await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = || client.put_item().table_name("damaged").item("pk", text("scan/1"));
    put().item("sk", text("/2")).item("value", text("{}")).send().await.unwrap();
    for answer in [
        table.get(&named("scan/1/2")).await.map(|_| ()),
        table.page("scan/1/", None, 1).await.map(|_| ()),
    ] {
        let Err(LedgerError::Unreadable(text)) = answer else { panic!("{answer:?}") };
        assert!(text.contains("scan/1/2"), "{text}");
    }
    let id = header();
    let place = format!("part/{}/{:016x}", id.0, 1);
    let put = client.put_item().table_name("damaged").item("pk", text(&place));
    put.item("sk", text("/0000")).item("p1", text("not binary")).send().await.unwrap();
    let group = table.part_group(&id, 1, 0).await;
    assert!(matches!(group, Err(LedgerError::Unreadable(_))), "{group:?}");
}

#[tokio::test]
async fn a_table_that_is_not_there_is_unavailable() {
    let (cloud, _client, _) = table("there").await;
    let table = DynamoDbLedger::new(&cloud.config, "elsewhere", clock());
    let Err(LedgerError::Unavailable(text)) = table.get(&named("a")).await else { panic!("found") };
    assert!(text.contains("elsewhere: ResourceNotFoundException"), "{text}");
}

/// What each step costs, as the server charges it.
#[tokio::test]
async fn a_part_costs_one_write_unit() {
    let (cloud, client, table) = table("costs").await;
    let mut costs = Vec::new();
    for number in 1..=16 {
        table.record_part(&header(), 1, part(number)).await.unwrap();
        costs.push(units(&cloud.wire));
    }
    assert_eq!(costs, [1; 16], "each part of a group");
    table.part_group(&header(), 1, 0).await.unwrap();
    assert_eq!(units(&cloud.wire), 1, "a consistent read of a group");
    table.put(&named("scan/1/1"), row(1, "{}"), None).await.unwrap();
    assert_eq!(units(&cloud.wire), 1, "a small row");
    let also = Some((named("scan/1/2"), row(1, "{}")));
    table.put(&named("run"), row(1, "{}"), also).await.unwrap();
    assert_eq!(units(&cloud.wire), 4, "two rows in one step");

    // Rows that are never due are not in the index, and cost it nothing.
    table.put(&header().row_key(), due(1, 5), None).await.unwrap();
    let index = client.scan().table_name("costs").index_name(DUE_INDEX).send().await.unwrap();
    assert_eq!(index.count(), 1);
    let names: Vec<_> = index.items()[0].keys().map(String::as_str).collect();
    assert!(!names.contains(&"value"), "{names:?}");
}
