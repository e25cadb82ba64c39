//! The completion's executions in Step Functions.

use aws_sdk_sfn::types::{ExecutionListItem, StateMachineType};
use tranship_adapters::completion::step_functions::{Completion, StepFunctionsCompleter};
use tranship_core::error::LedgerError;
use tranship_core::object::ObjectKey;
use tranship_core::ports::Completer as _;
use tranship_core::rows::HeaderId;

use super::cloud;

const DEFINITION: &str =
    r#"{ "StartAt": "Done", "States": { "Done": { "Type": "Pass", "End": true } } }"#;

/// Makes a state machine that keeps its executions; gives its ARN.
async fn standard(client: &aws_sdk_sfn::Client, name: &str) -> String {
    let made = client
        .create_state_machine()
        .name(name)
        .r#type(StateMachineType::Standard)
        .definition(DEFINITION)
        .role_arn("arn:aws:iam::000000000000:role/states")
        .send()
        .await;
    made.unwrap().state_machine_arn
}

/// AWS takes a name again as long as its execution runs with the same input. The service here refuses it at once,
/// as AWS does once the execution has ended: then there is another one, which finds the work done.
#[tokio::test]
async fn an_attempt_is_started_however_often_it_is_asked_for() {
    let cloud = cloud().await;
    let client = aws_sdk_sfn::Client::new(&cloud.config);
    let machine = standard(&client, "once").await;
    let completer = StepFunctionsCompleter::new(&cloud.config, &machine);
    let header = HeaderId::of(&ObjectKey::new("a/large/object"));
    cloud.wire.take();
    // The first answer is lost: the SDK asks again, and so does the worker that gets the message
    // another time.
    cloud.wire.lose("StartExecution");
    for _ in 0..2 {
        completer.start(&header, 3, 1).await.unwrap();
    }
    assert_eq!(cloud.wire.take().len(), 5);
    completer.start(&header, 3, 2).await.unwrap();
    completer.start(&header, 4, 1).await.unwrap();

    let list = client.list_executions().state_machine_arn(&machine);
    let executions = list.send().await.unwrap().executions;
    let mut names: Vec<&str> = executions.iter().map(ExecutionListItem::name).collect();
    names.sort_unstable();
    let start = &header.0[..40];
    let attempts: Vec<String> = ["3-1", "3-2", "4-1"].map(|of| format!("{start}-{of}")).into();
    let (own, again): (Vec<&str>, Vec<&str>) =
        names.iter().partition(|name| attempts.iter().any(|attempt| attempt == *name));
    assert_eq!(own, attempts);
    assert!(
        again.len() == 2 && again.iter().all(|name| name.starts_with(&attempts[0])),
        "{again:?}"
    );
    let last = executions.iter().find(|execution| execution.name().ends_with("-4-1")).unwrap();
    let described = client.describe_execution().execution_arn(last.execution_arn()).send().await;
    let input = described.unwrap().input.unwrap();
    let given: Completion = serde_json::from_str(&input).unwrap();
    assert_eq!(given, Completion { header, epoch: 4, attempt: 1 });
}

/// An execution that ended before it took the header's lease leaves the attempt's number as it was.
#[tokio::test]
async fn an_attempt_whose_execution_has_ended_is_started_under_another_name() {
    let cloud = cloud().await;
    let client = aws_sdk_sfn::Client::new(&cloud.config);
    let machine = standard(&client, "ended").await;
    let completer = StepFunctionsCompleter::new(&cloud.config, &machine);
    let header = HeaderId::of(&ObjectKey::new("a/large/object"));
    completer.start(&header, 3, 1).await.unwrap();
    // What the service says of one that has ended, for 90 days.
    cloud.wire.fail("StartExecution", 400, "ExecutionAlreadyExists");
    completer.start(&header, 3, 1).await.unwrap();
    let list = client.list_executions().state_machine_arn(&machine);
    let executions = list.send().await.unwrap().executions;
    let mut names: Vec<&str> = executions.iter().map(ExecutionListItem::name).collect();
    names.sort_unstable();
    let first = format!("{}-3-1", &header.0[..40]);
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[0] == first && names[1].starts_with(&first), "{names:?}");
    // While it goes on like that, the message stays.
    for _ in 0..2 {
        cloud.wire.fail("StartExecution", 400, "ExecutionAlreadyExists");
    }
    assert!(completer.start(&header, 3, 1).await.is_err());
}

#[tokio::test]
async fn a_start_that_is_throttled_is_repeated_and_one_that_is_refused_is_not() {
    let cloud = cloud().await;
    let arn = "arn:aws:states:us-east-1:000000000000:stateMachine:none";
    let completer = StepFunctionsCompleter::new(&cloud.config, arn);
    let header = HeaderId::of(&ObjectKey::new("k"));
    cloud.wire.fail("StartExecution", 400, "ThrottlingException");
    cloud.wire.fail("StartExecution", 400, "ExecutionLimitExceeded");
    let Err(LedgerError::Unavailable(text)) = completer.start(&header, 1, 1).await else {
        panic!("it was started")
    };
    assert!(text.contains(arn) && text.contains("StateMachineDoesNotExist"), "{text}");
    assert_eq!(cloud.wire.take().len(), 3);
}
