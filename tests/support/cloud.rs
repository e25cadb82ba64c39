//! A local cloud that takes the deployment of the stack: the services, of another hand; the functions,
//! as they are built for Lambda; and a proxy between the two that sees every request.
//!
//! The cloud checks what the functions' roles allow, so a permission that the template forgets fails
//! the test that needs it. There is one cloud for all tests of a binary, and each test has a stack of
//! its own in it. It ends with the process.

mod actions;
pub mod call;
pub mod http;
pub mod metadata;
pub mod poller;
pub mod proxy;
pub mod sam;
pub mod sides;
mod sign;
pub mod stack;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, Mutex};

use ::http::Request;
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use self::proxy::Proxy;
use self::sam::Build;
use crate::second::Second;

/// The account that everything belongs to. As an access key it is the account's root.
pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "us-east-1";
/// Where SAM puts the packages that stacks share.
const PACKAGES: &str = "packages";
/// The template that names them, there too.
const TEMPLATE: &str = "template.json";
const SERVICES: &str = "cloudformation,cloudwatch,dynamodb,events,iam,kms,lambda,logs,monitoring,s3,\
                        scheduler,secretsmanager,sns,sqs,ssm,states,stepfunctions,sts";

/// What serves the tests does not end with the first of them.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});
static CLOUD: OnceCell<Cloud> = OnceCell::const_new();

/// The services, the proxy before them, and what was built for them.
#[derive(Debug)]
pub struct Cloud {
    second: Second,
    pub proxy: Proxy,
    pub build: Build,
    /// The stacks that tests have deployed.
    stacks: Mutex<BTreeSet<String>>,
}

/// An answer of a service that is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    pub body: String,
}

impl Cloud {
    /// The one of this process.
    pub async fn get() -> &'static Self {
        CLOUD.get_or_init(|| async { RUNTIME.spawn(Self::start()).await.unwrap() }).await
    }

    /// Two tests with a stack of one name would change it under each other.
    fn claim(&self, stack: &str) {
        let is_new = self.stacks.lock().unwrap().insert(stack.to_owned());
        assert!(is_new, "another test has deployed a stack with the name {stack}");
    }

    async fn start() -> Self {
        let build = tokio::task::spawn_blocking(Build::make).await.unwrap();
        let proxy = Proxy::start().await;
        let endpoint = proxy.endpoint();
        let variables = [
            ("SERVICES", SERVICES),
            ("MINISTACK_ACCOUNT_ID", ACCOUNT),
            ("MINISTACK_REGION", REGION),
            ("LAMBDA_EXECUTOR", "local"),
            // It goes by the policies: those of the roles, and those of queues and buckets.
            ("AUTH", "true"),
            // What the functions are given.
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ];
        let second = Second::told(&variables).await;
        proxy.lead_to(second.port());
        let cloud = Self { second, proxy, build, stacks: Mutex::default() };
        cloud.s3("PUT", PACKAGES, "").await.unwrap();
        let template = tokio::task::block_in_place(|| cloud.build.package(&endpoint));
        cloud.s3("PUT", &format!("{PACKAGES}/{TEMPLATE}"), &template).await.unwrap();
        cloud
    }

    /// The process group of the services and of the functions that they started.
    pub fn group(&self) -> u32 {
        self.second.group()
    }

    pub fn complaints(&self) -> String {
        self.second.complaints()
    }

    async fn ask(
        &self,
        service: &str,
        request: ::http::request::Builder,
        body: String,
    ) -> Result<Bytes, Refused> {
        let scope = format!("{ACCOUNT}/20260101/{REGION}/{service}/aws4_request");
        let signature =
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        let request = request
            .header("host", format!("127.0.0.1:{}", self.proxy.port()))
            .header("authorization", signature)
            .header("x-amz-date", "20260101T000000Z")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let answer = http::send(self.proxy.port(), request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body();
        if status < 300 {
            return Ok(body);
        }
        Err(Refused { status, body: String::from_utf8_lossy(&body).into_owned() })
    }

    /// A call of a service that speaks JSON, by its name in signatures, with its target's prefix.
    pub async fn json(&self, service: &str, target: &str, asked: Value) -> Result<Value, Refused> {
        let request = Request::post("/")
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.0");
        let answer = self.ask(service, request, asked.to_string()).await?;
        Ok(serde_json::from_slice(&answer).unwrap_or_default())
    }

    pub async fn sqs(&self, action: &str, asked: Value) -> Value {
        self.json("sqs", &format!("AmazonSQS.{action}"), asked).await.unwrap()
    }

    pub async fn dynamodb(&self, action: &str, asked: Value) -> Value {
        self.json("dynamodb", &format!("DynamoDB_20120810.{action}"), asked).await.unwrap()
    }

    pub async fn secrets(&self, action: &str, asked: Value) -> Value {
        self.json("secretsmanager", &format!("secretsmanager.{action}"), asked).await.unwrap()
    }

    pub async fn states(&self, action: &str, asked: Value) -> Value {
        self.json("states", &format!("AWSStepFunctions.{action}"), asked).await.unwrap()
    }

    /// A call of a service that speaks the query protocol; the answer is XML.
    pub async fn query(&self, service: &str, fields: &[(&str, &str)]) -> Result<String, Refused> {
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
        };
        let fields = fields.iter().map(|(name, value)| format!("{name}={}", encode(value)));
        let body = fields.collect::<Vec<_>>().join("&");
        let request =
            Request::post("/").header("content-type", "application/x-www-form-urlencoded");
        let answer = self.ask(service, request, body).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// A call of Lambda or of another service with paths of its own.
    pub async fn rest(
        &self,
        service: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Refused> {
        let request =
            Request::builder().method(method).uri(path).header("content-type", "application/json");
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = self.ask(service, request, body).await?;
        Ok(serde_json::from_slice(&answer).unwrap_or_default())
    }

    /// A call of S3, about a bucket or `bucket/key?query`.
    pub async fn s3(&self, method: &str, path: &str, body: &str) -> Result<Bytes, Refused> {
        let request = Request::builder().method(method).uri(format!("/{path}"));
        self.ask("s3", request, body.to_owned()).await
    }

    /// A secret, made or changed.
    pub async fn put_secret(&self, name: &str, text: &str) {
        let asked = json!({ "Name": name, "SecretString": text });
        if self.json("secretsmanager", "secretsmanager.CreateSecret", asked).await.is_err() {
            self.secrets("PutSecretValue", json!({ "SecretId": name, "SecretString": text })).await;
        }
    }
}

/// The text of each element of this name, in the order of an XML document without attributes.
pub fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let pieces = xml.split(open.as_str()).skip(1);
    pieces.filter_map(|piece| piece.split(close.as_str()).next()).map(str::to_owned).collect()
}

/// Parameters of the template, by name.
pub type Parameters = BTreeMap<String, String>;
