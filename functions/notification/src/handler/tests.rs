use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, http_client_fn};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use serde_json::json;
use tranship_adapters::clock::SimulatedClock;
use tranship_core::object::Millis;

use super::*;

const NOW: Millis = Millis(1_773_480_413_589);
const MINUTE_MS: u64 = 60_000;
const THEIRS: &str = "<TopicConfiguration><Id>topic</Id><Topic>arn:aws:sns:eu-west-1:111122223333:t</Topic><Event>s3:ObjectTagging:*</Event><Filter><S3Key><FilterRule><Name>Prefix</Name><Value>a &amp; b+%2B</Value></FilterRule><FilterRule><Name>Suffix</Name><Value>.jpg</Value></FilterRule></S3Key></Filter></TopicConfiguration><QueueConfiguration><Id>queue</Id><Queue>arn:aws:sqs:eu-west-1:111122223333:theirs</Queue><Event>s3:ReducedRedundancyLostObject</Event><Event>s3:SomethingNew:Of2030</Event></QueueConfiguration><CloudFunctionConfiguration><Id>function</Id><CloudFunction>arn:aws:lambda:eu-west-1:111122223333:function:f</CloudFunction><Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>Prefix</Name><Value>elsewhere/</Value></FilterRule></S3Key></Filter></CloudFunctionConfiguration><EventBridgeConfiguration/>";

/// A bucket's notifications and a `ResponseURL`, behind one connector.
#[derive(Debug, Default)]
struct State {
    /// Inside the document's root; `None`: there is no such bucket.
    document: Option<String>,
    /// What the next writes are refused with.
    refusals: VecDeque<(u16, &'static str, &'static str)>,
    /// Reads hang.
    hangs: bool,
    writes: Vec<HttpRequestSeen>,
    answers: Vec<Value>,
    /// The next answers are not taken.
    deaf: u32,
}

#[derive(Debug)]
struct HttpRequestSeen {
    uri: String,
    skips_validation: bool,
}

#[derive(Debug, Clone, Default)]
struct Cloud(Arc<Mutex<State>>);

impl Cloud {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(document: Option<&str>) -> Self {
        let cloud = Self::default();
        cloud.state().document = document.map(str::to_owned);
        cloud
    }

    fn hands(&self) -> Hands {
        let connector = SharedHttpConnector::new(self.clone());
        let there = connector.clone();
        let credentials = Credentials::new("id", "secret", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http_client_fn(move |_, _| there.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        Hands { config, connector, clock: Arc::new(SimulatedClock::automatic(NOW, 1)) }
    }

    async fn handle(&self, event: Value) -> Value {
        handle(&self.hands(), event, NOW.0 + MINUTE_MS).await.unwrap();
        let mut answers = std::mem::take(&mut self.state().answers);
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    fn document(&self) -> String {
        self.state().document.clone().unwrap()
    }
}

fn answer(status: u16, body: String) -> HttpResponse {
    HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body))
}

fn error(status: u16, code: &str, message: &str) -> HttpResponse {
    answer(status, format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"))
}

impl HttpConnector for Cloud {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let cloud = self.clone();
        HttpConnectorFuture::new(async move {
            if cloud.state().hangs && request.method() == "GET" {
                std::future::pending::<()>().await;
            }
            Ok::<_, ConnectorError>(cloud.serve(&request))
        })
    }
}

impl Cloud {
    fn serve(&self, request: &HttpRequest) -> HttpResponse {
        let mut state = self.state();
        let body = String::from_utf8(request.body().bytes().unwrap_or_default().to_vec()).unwrap();
        if !request.uri().contains("notification") || request.uri().contains("custom-resource") {
            assert_eq!((request.method(), request.headers().get("content-type")), ("PUT", None));
            let length = body.len().to_string();
            assert_eq!(request.headers().get("content-length"), Some(&*length));
            assert!(body.len() <= 4_096);
            if state.deaf > 0 {
                state.deaf -= 1;
                return answer(503, String::new());
            }
            state.answers.push(serde_json::from_str(&body).unwrap());
            return answer(200, String::new());
        }
        let Some(document) = &state.document else {
            return error(404, "NoSuchBucket", "The specified bucket does not exist");
        };
        if request.method() == "GET" {
            return answer(
                200,
                format!("<NotificationConfiguration>{document}</NotificationConfiguration>"),
            );
        }
        let skips = request.headers().get("x-amz-skip-destination-validation") == Some("true");
        let seen = HttpRequestSeen { uri: request.uri().to_owned(), skips_validation: skips };
        state.writes.push(seen);
        if let Some((status, code, message)) = state.refusals.pop_front() {
            return error(status, code, message);
        }
        let (_, inner) = body.split_once('>').unwrap();
        state.document =
            Some(inner.strip_suffix("</NotificationConfiguration>").unwrap_or_default().to_owned());
        answer(200, String::new())
    }
}

fn create() -> Value {
    serde_json::from_str(include_str!("../../../../events/notification/create.json")).unwrap()
}

fn update() -> Value {
    serde_json::from_str(include_str!("../../../../events/notification/update.json")).unwrap()
}

fn delete() -> Value {
    serde_json::from_str(include_str!("../../../../events/notification/delete.json")).unwrap()
}

/// The entries of a document, whatever their order.
fn pieces(document: &str) -> Vec<String> {
    let marks = [
        "<TopicConfiguration>",
        "<QueueConfiguration>",
        "<CloudFunctionConfiguration>",
        "<EventBridgeConfiguration",
    ];
    let mut text = document.replace(
        "<EventBridgeConfiguration></EventBridgeConfiguration>",
        "<EventBridgeConfiguration/>",
    );
    for mark in marks {
        text = text.replace(mark, &format!("\n{mark}"));
    }
    let mut pieces: Vec<String> = text.split('\n').map(str::to_owned).collect();
    pieces.sort();
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[tokio::test]
async fn it_is_attached_changed_and_detached_and_all_others_stay() {
    let cloud = Cloud::with(Some(THEIRS));
    let answer = cloud.handle(create()).await;
    let request = create();
    assert_eq!(
        answer,
        json!({
            "Status": "SUCCESS", "Reason": "tranship-photos is attached to example-source",
            "PhysicalResourceId": "tranship-photos/example-source", "StackId": request["StackId"],
            "RequestId": request["RequestId"], "LogicalResourceId": "Notification",
        })
    );
    let ours = "<QueueConfiguration><Id>tranship-photos</Id><Queue>arn:aws:sqs:eu-west-1:111122223333:photos-event</Queue><Event>s3:ObjectCreated:*</Event><Event>s3:ObjectRestore:Completed</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>photos/</Value></FilterRule></S3Key></Filter></QueueConfiguration>";
    assert_eq!(pieces(&cloud.document()), pieces(&format!("{THEIRS}{ours}")));

    // Delivered twice: nothing is left to write.
    cloud.handle(create()).await;
    assert_eq!(cloud.state().writes.len(), 1);

    assert_eq!(cloud.handle(update()).await["PhysicalResourceId"], answer["PhysicalResourceId"]);
    assert!(cloud.document().contains("<Event>s3:ObjectRemoved:*</Event>"));
    assert_eq!(pieces(&cloud.document()).len(), 5);

    for _ in 0..2 {
        assert_eq!(cloud.handle(delete()).await["Status"], "SUCCESS");
        assert_eq!(pieces(&cloud.document()), pieces(THEIRS));
    }
    let state = cloud.state();
    let skips: Vec<bool> = state.writes.iter().map(|write| write.skips_validation).collect();
    assert_eq!(skips, [false, false, true]);
    assert!(state.writes[0].uri.contains("example-source.s3.eu-west-1."), "{:?}", state.writes);
}

#[tokio::test]
async fn a_bucket_that_is_gone_needs_no_detaching_and_cannot_be_attached() {
    let cloud = Cloud::with(None);
    assert_eq!(cloud.handle(delete()).await["Status"], "SUCCESS");
    let answer = cloud.handle(create()).await;
    assert_eq!(answer["Status"], "FAILED");
    assert!(answer["Reason"].as_str().unwrap().contains("NoSuchBucket"), "{answer}");
}

#[tokio::test]
async fn a_refusal_is_answered_in_the_words_of_the_store() {
    let cloud = Cloud::with(Some(""));
    cloud.state().refusals.push_back((403, "AccessDenied", "no s3:PutBucketNotification"));
    let answer = cloud.handle(create()).await;
    assert_eq!(answer["Status"], "FAILED");
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("AccessDenied: no s3:PutBucketNotification"), "{reason}");
    assert_eq!(cloud.document(), "");

    let theirs = "<QueueConfiguration><Id>x</Id><Queue>arn:aws:sqs:eu-west-1:111122223333:x</Queue><Event>s3:ObjectCreated:Put</Event></QueueConfiguration>";
    let cloud = Cloud::with(Some(theirs));
    let answer = cloud.handle(create()).await;
    assert!(answer["Reason"].as_str().unwrap().contains("Configurations overlap"), "{answer}");
    assert!(cloud.state().writes.is_empty());
}

#[tokio::test]
async fn what_passes_by_itself_is_waited_for_and_not_for_ever() {
    let unknown =
        (400, "InvalidArgument", "Unable to validate the following destination configurations");
    let busy = (409, "OperationAborted", "A conflicting conditional operation is in progress");
    let cloud = Cloud::with(Some(""));
    cloud.state().refusals.extend([unknown, busy, unknown]);
    assert_eq!(cloud.handle(create()).await["Status"], "SUCCESS");
    assert_eq!(cloud.state().writes.len(), 4);

    let cloud = Cloud::with(Some(""));
    cloud.state().refusals.extend([unknown; 9]);
    let answer = cloud.handle(create()).await;
    assert!(answer["Reason"].as_str().unwrap().contains("Unable to validate"), "{answer}");
}

#[tokio::test]
async fn bad_input_is_answered_too() {
    let without = |field: &str, value: Value| {
        let mut event = create();
        event["ResourceProperties"][field] = value;
        event
    };
    let mut unknown = create();
    unknown["RequestType"] = json!("Drift");
    for event in [
        without("QueueArn", json!("arn:aws:sns:eu-west-1:111122223333:t")),
        without("Events", json!("all")),
        without("Bucket", json!("")),
        without("Bucket", json!(7)),
        without("Stack", Value::Null),
        unknown,
    ] {
        let cloud = Cloud::with(Some(THEIRS));
        let mut as_delete = event.clone();
        as_delete["RequestType"] = json!("Delete");
        as_delete["PhysicalResourceId"] = json!("Notification");
        let answer = cloud.handle(event).await;
        assert_eq!(answer["Status"], "FAILED");
        assert!(!answer["Reason"].as_str().unwrap().is_empty());
        assert!(!answer["PhysicalResourceId"].as_str().unwrap().is_empty());
        // The stack can be rolled back.
        let answer = cloud.handle(as_delete).await;
        assert_eq!(
            (&answer["Status"], &answer["PhysicalResourceId"]),
            (&json!("SUCCESS"), &json!("Notification"))
        );
        assert_eq!(cloud.document(), THEIRS);
    }
    let cloud = Cloud::with(Some(THEIRS));
    let failure = handle(&cloud.hands(), json!({}), NOW.0 + MINUTE_MS).await.unwrap_err();
    assert_eq!(failure.name, Name::BadInput);
}

#[tokio::test]
async fn another_bucket_is_another_resource_and_a_failed_update_is_none() {
    let cloud = Cloud::with(Some(""));
    let mut event = update();
    event["ResourceProperties"]["Bucket"] = json!("other-source");
    assert_eq!(
        cloud.handle(event.clone()).await["PhysicalResourceId"],
        "tranship-photos/other-source"
    );
    cloud.state().document = None;
    let answer = cloud.handle(event).await;
    assert_eq!(answer["Status"], "FAILED");
    assert_eq!(answer["PhysicalResourceId"], "tranship-photos/example-source");
}

#[tokio::test]
async fn the_answer_comes_before_the_time_is_over_and_again_if_it_is_not_taken() {
    let cloud = Cloud::with(Some(""));
    cloud.state().hangs = true;
    cloud.state().deaf = 2;
    let answer = cloud.handle(create()).await;
    assert_eq!(answer["Status"], "FAILED");
    assert!(answer["Reason"].as_str().unwrap().contains("the time was over"), "{answer}");

    cloud.state().deaf = 9;
    let failure = handle(&cloud.hands(), create(), NOW.0 + MINUTE_MS).await.unwrap_err();
    assert_eq!(failure.name, Name::Unavailable);
}

#[tokio::test]
async fn a_long_reason_fits_into_an_answer() {
    let cloud = Cloud::with(Some(""));
    cloud.state().refusals.push_back((
        400,
        "InvalidArgument",
        Box::leak("é\u{202e}".repeat(3_000).into_boxed_str()),
    ));
    assert_eq!(cloud.handle(create()).await["Status"], "FAILED");
}

#[tokio::test]
async fn the_answer_goes_over_a_real_connection_to_the_very_url() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let path = "/arn%3Aaws%3Acloudformation%3Astack/x%7Cy%7Cz?X-Amz-Date=1&X-Amz-Signature=a%2Fb";
    let mut event = create();
    event["ResponseURL"] = json!(format!("http://{}{path}", listener.local_addr().unwrap()));
    event["RequestType"] = json!("Unknown");
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = String::new();
        while !seen.ends_with('}') {
            let mut buffer = [0; 4_096];
            let count = stream.read(&mut buffer).await.unwrap();
            seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        seen
    };
    let hands = Hands { connector: connector(), ..Cloud::with(None).hands() };
    let (handled, seen) = tokio::join!(handle(&hands, event, NOW.0 + MINUTE_MS), server);
    handled.unwrap();
    assert!(seen.starts_with(&format!("PUT {path} HTTP/1.1\r\n")), "{seen}");
    assert!(!seen.to_ascii_lowercase().contains("content-type"), "{seen}");
    assert!(!seen.to_ascii_lowercase().contains("transfer-encoding"), "{seen}");
    assert!(seen.contains(r#""Status":"FAILED""#), "{seen}");
}
