//! What is told about single keys: created, overwritten, deleted, in any order.

use tranship_server::Versioning;
use tranship_tests::cloud::sides::Sides;
use tranship_tests::cloud::stack::Stack;
use tranship_tests::rig::{DESTINATION, SOURCE, noise};

use crate::look::{notification, of_bucket};

const CREATED: &str = "ObjectCreated:Put";
const DELETED: &str = "ObjectRemoved:Delete";
const MARKED: &str = "ObjectRemoved:DeleteMarkerCreated";
const KEY: &str = "a folder/é +%2F.bin";

async fn tell(stack: &Stack, event: &str, key: &str) {
    stack.send("EventQueue", &notification(event, key, 1)).await;
}

async fn quiet(stack: &Stack) {
    stack.drained("EventQueue").await;
    stack.drained("TransferQueue").await;
}

async fn copied(stack: &Stack, key: &str) {
    let equal = async || {
        let (here, there) = (stack.sides.here(), stack.sides.there());
        (here.read(SOURCE, key) == there.read(DESTINATION, key)).then_some(())
    };
    stack.until(&format!("{key} is copied"), equal).await;
}

#[tokio::test]
async fn events_are_followed_in_whatever_order_they_come() {
    let sides = Sides::start().await;
    sides.here().configure(SOURCE, |bucket| bucket.versioning = Versioning::Enabled);
    let parameters = [("SourceEvents", "create-and-delete"), ("DeleteUnversioned", "true")];
    let stack = Stack::deploy("events", sides, &parameters).await;

    // Created, and told twice.
    stack.sides.put(KEY, noise(1, 3_000));
    tell(&stack, CREATED, KEY).await;
    tell(&stack, CREATED, KEY).await;
    copied(&stack, KEY).await;

    // Overwritten.
    stack.sides.put(KEY, noise(2, 4_000));
    tell(&stack, CREATED, KEY).await;
    copied(&stack, KEY).await;

    // Deleted and written again, and told of it the other way round: the key is there.
    stack.sides.here().delete(SOURCE, KEY);
    stack.sides.put(KEY, noise(3, 5_000));
    tell(&stack, CREATED, KEY).await;
    tell(&stack, MARKED, KEY).await;
    copied(&stack, KEY).await;
    quiet(&stack).await;
    stack.sides.expect_equal();

    // An old version is deleted: the live one stays where it is.
    let mut old = of_bucket(SOURCE, DELETED, KEY, 1);
    old["Records"][0]["s3"]["object"]["versionId"] = "an-old-one".into();
    stack.send("EventQueue", &old.to_string()).await;
    quiet(&stack).await;
    stack.sides.expect_equal();

    // Deleted.
    stack.sides.here().delete(SOURCE, KEY);
    tell(&stack, MARKED, KEY).await;
    let gone = async || stack.sides.there().keys(DESTINATION).is_empty().then_some(());
    stack.until("the copy is deleted", gone).await;

    // Written late, told early: the event of a key that is not there any more, or not yet.
    tell(&stack, CREATED, "not there").await;
    quiet(&stack).await;
    assert_eq!(stack.sides.there().keys(DESTINATION), Vec::<String>::new());
    assert_eq!(stack.depth("EventDeadLetterQueue").await, (0, 0));
    assert_eq!(stack.depth("TransferDeadLetterQueue").await, (0, 0));
}

/// The events of a stack that follows only creations, and none of another bucket's.
#[tokio::test]
async fn what_is_not_followed_changes_nothing_and_what_is_foreign_is_refused() {
    let sides = Sides::start().await;
    sides.put("in/here", "1");
    sides.put("elsewhere", "1");
    sides.there().put(DESTINATION, "out/kept", "1");
    let parameters =
        [("SourceEvents", "create"), ("SourcePrefix", "in/"), ("DestinationPrefix", "out/")];
    let stack = Stack::deploy("refuse", sides, &parameters).await;
    tell(&stack, DELETED, "in/kept").await;
    tell(&stack, CREATED, "elsewhere").await;
    let foreign = of_bucket("another-bucket", CREATED, "in/here", 1);
    stack.send("EventQueue", &foreign.to_string()).await;
    stack.send("EventQueue", r#"{"Service":"Amazon S3","Event":"s3:TestEvent"}"#).await;
    stack.send("EventQueue", "not a notification").await;
    quiet(&stack).await;
    assert_eq!(stack.sides.there().keys(DESTINATION), ["out/kept"]);
    let letter = stack.take("EventDeadLetterQueue").await;
    assert_eq!(letter.len(), 1, "{letter:?}");
    assert_eq!(letter[0]["Body"], "not a notification");
    let reason = letter[0]["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap();
    assert!(!reason.is_empty());
    let log = stack.log("s3-event").await.join("\n");
    assert!(log.contains("refused: a record of another bucket"), "{log}");
    assert!(log.contains("RecordsRefused"), "{log}");

    // As other clouds' bridges send it, and directly.
    stack.send("EventQueue", r#"{"key":"in/here","size":1}"#).await;
    let there = async || stack.sides.there().read(DESTINATION, "out/here").map(drop);
    stack.until("the key of the bridge is copied", there).await;
    stack.sides.put("in/direct", "2");
    let direct = stack.invoke("s3-event", of_bucket(SOURCE, CREATED, "in/direct", 1)).await;
    assert_eq!(direct.unwrap()["taken"], 1);
    let there = async || stack.sides.there().read(DESTINATION, "out/direct").map(drop);
    stack.until("the key of the direct call is copied", there).await;
}
