//! Runs, from the first to the one that finds nothing to do.

use serde_json::json;
use tranship_tests::cloud::sides::Sides;
use tranship_tests::cloud::stack::Stack;

#[tokio::test]
async fn a_first_run_copies_and_the_next_one_finds_all_equal() {
    let sides = Sides::start().await;
    sides.put("a", "one");
    sides.put("b/c", "two");
    let stack = Stack::deploy("first", sides, &[]).await;
    let report = stack.run().await;
    assert_eq!(report["outcomes"], json!({ "copied": { "objects": 2, "bytes": 6 } }), "{report}");
    stack.sides.expect_equal();
}
