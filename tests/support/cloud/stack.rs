//! One deployed stack: what a test does to it, and what it can see of it.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::Call;
use super::proxy::{Fault, Trouble};
use super::sides::Sides;
use super::sign::Keys;
use super::{Cloud, PACKAGES, Parameters, TEMPLATE, elements};

/// A loaded machine may need long for what takes a second by itself.
const WAIT_MAX: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// What of a row is a time, in milliseconds.
const TIMES: [&str; 10] = [
    "due",
    "ended",
    "lease_until",
    "orphans_since",
    "planned_at",
    "seen",
    "since",
    "started",
    "until",
    "waiting_since",
];

/// A function that ended with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub name: String,
    pub message: String,
}

/// Where the functions of a deployment come from.
#[derive(Debug, Clone)]
enum Packages {
    /// They are uploaded once for all stacks. A stack is made from them as `sam deploy` does it, without the command:
    /// it takes as long to begin as a stack to be made.
    Shared,
    /// `sam deploy` zips and uploads what was built into this bucket, and `sam delete` takes it away again.
    Own(String),
}

/// A stack and the two sides that it copies between.
#[derive(Debug)]
pub struct Stack {
    pub cloud: &'static Cloud,
    pub name: String,
    pub sides: Sides,
    pub parameters: Parameters,
    /// Physical ids by logical ones.
    pub resources: BTreeMap<String, String>,
    packages: Packages,
}

impl Stack {
    /// Deploys what `sam package` made; what `more` says goes before what the harness chooses.
    pub async fn deploy(name: &str, sides: Sides, more: &[(&str, &str)]) -> Self {
        Self::deploy_packages(Packages::Shared, name, sides, more).await
    }

    /// Deploys what `sam build` made with `sam deploy`, into a bucket of its own: so it can be deleted.
    pub async fn deploy_built(name: &str, sides: Sides, more: &[(&str, &str)]) -> Self {
        let bucket = format!("packages-{name}");
        Cloud::get().await.s3("PUT", &bucket, "").await.unwrap();
        Self::deploy_packages(Packages::Own(bucket), name, sides, more).await
    }

    async fn deploy_packages(
        packages: Packages,
        name: &str,
        sides: Sides,
        more: &[(&str, &str)],
    ) -> Self {
        let cloud = Cloud::get().await;
        cloud.claim(name);
        let mut parameters = sides.parameters(cloud, name).await;
        for (name, value) in [
            ("Architecture", "x86_64"),
            ("AlarmEmail", "operator@example.com"),
            // The tests begin runs and sweeps themselves, so that they know when they were.
            ("Schedule", "rate(30 days)"),
            ("SweepSchedule", "rate(30 days)"),
            ("WorkerConcurrency", "4"),
            ("ScanConcurrency", "2"),
            ("EventConcurrency", "2"),
        ]
        .iter()
        .chain(more)
        {
            parameters.insert((*name).to_owned(), (*value).to_owned());
        }
        let (name, resources) = (name.to_owned(), BTreeMap::new());
        let mut stack = Self { cloud, name, sides, parameters, resources, packages };
        stack.change(&[]).await;
        stack
    }

    /// Deploys the same stack with other parameters.
    pub async fn change(&mut self, parameters: &[(&str, &str)]) {
        for (name, value) in parameters {
            self.parameters.insert((*name).to_owned(), (*value).to_owned());
        }
        match self.packages.clone() {
            Packages::Shared => self.create().await,
            Packages::Own(bucket) => {
                let (name, parameters) = (self.name.clone(), self.parameters.clone());
                let (build, endpoint) = (&self.cloud.build, self.cloud.proxy.endpoint());
                let deploy = move || build.deploy(&endpoint, &name, &bucket, &parameters);
                tokio::task::spawn_blocking(deploy).await.unwrap();
            }
        }
        self.learn().await;
    }

    /// Has the template made into a stack, and waits for it.
    async fn create(&self) {
        let template = format!("{}/{PACKAGES}/{TEMPLATE}", self.cloud.proxy.endpoint());
        let mut fields = vec![
            ("Action".to_owned(), "CreateStack".to_owned()),
            ("StackName".to_owned(), self.name.clone()),
            ("TemplateURL".to_owned(), template),
            ("Capabilities.member.1".to_owned(), "CAPABILITY_IAM".to_owned()),
            ("Capabilities.member.2".to_owned(), "CAPABILITY_AUTO_EXPAND".to_owned()),
        ];
        for (number, (name, value)) in (1..).zip(&self.parameters) {
            let parameter = format!("Parameters.member.{number}");
            fields.push((format!("{parameter}.ParameterKey"), name.clone()));
            fields.push((format!("{parameter}.ParameterValue"), value.clone()));
        }
        let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        self.cloud.query("cloudformation", &fields).await.unwrap();
        let began = Instant::now();
        while began.elapsed() < WAIT_MAX {
            let asked = [("Action", "DescribeStacks"), ("StackName", self.name.as_str())];
            let xml = self.cloud.query("cloudformation", &asked).await.unwrap();
            match elements(&xml, "StackStatus").first().map(String::as_str) {
                Some("CREATE_COMPLETE") => return,
                Some("CREATE_IN_PROGRESS") => tokio::time::sleep(LOOK_AGAIN).await,
                _ => panic!("{}: is not made: {xml}", self.name),
            }
        }
        panic!("{}: takes too long to be made", self.name);
    }

    /// What the stack consists of, and whose keys the functions' are.
    async fn learn(&mut self) {
        let fields = [("Action", "DescribeStackResources"), ("StackName", &self.name)];
        let xml = self.cloud.query("cloudformation", &fields).await.unwrap();
        let logical = elements(&xml, "LogicalResourceId");
        let physical = elements(&xml, "PhysicalResourceId");
        self.resources = logical.into_iter().zip(physical).collect();
        for function in self.functions() {
            let path = format!("/2015-03-31/functions/{function}/configuration");
            let known = self.cloud.rest("lambda", "GET", &path, None).await.unwrap();
            let text = |name: &str| known[name].as_str().unwrap().to_owned();
            let keys = Keys::of(&text("FunctionArn"), &text("Role"));
            self.cloud.proxy.name(keys, &function);
        }
    }

    /// The names of its functions.
    pub fn functions(&self) -> Vec<String> {
        let all = ["finder", "worker", "completer", "s3-event", "notification"];
        let names = all.iter().map(|function| format!("{}-{function}", self.name));
        names.filter(|name| self.resources.values().any(|physical| physical == name)).collect()
    }

    /// `sam delete`.
    pub async fn delete(&self) {
        assert!(matches!(self.packages, Packages::Own(_)), "others use what would be deleted");
        let (build, endpoint) = (&self.cloud.build, self.cloud.proxy.endpoint());
        let name = self.name.clone();
        tokio::task::spawn_blocking(move || build.delete(&endpoint, &name)).await.unwrap();
    }

    /// Invokes a function and waits for its answer.
    pub async fn invoke(&self, function: &str, event: Value) -> Result<Value, Failed> {
        let path = format!("/2015-03-31/functions/{}-{function}/invocations", self.name);
        let answer = self.cloud.rest("lambda", "POST", &path, Some(event)).await.unwrap();
        match (answer["errorType"].as_str(), answer["errorMessage"].as_str()) {
            (Some(name), Some(message)) => {
                Err(Failed { name: name.to_owned(), message: message.to_owned() })
            }
            _ => Ok(answer),
        }
    }

    /// What the schedules and the command ask the finder for.
    pub async fn ask(&self, what: &str) -> Value {
        match self.invoke("finder", json!({ "tranship": what })).await {
            Ok(answer) => answer,
            Err(failed) => {
                panic!("{}: {what}: {failed:?}\n{}", self.name, self.last_words("finder").await)
            }
        }
    }

    /// Begins a run and sweeps until it has ended; gives its report.
    pub async fn run(&self) -> Value {
        let begun = self.ask("run").await;
        assert_eq!(begun["begun"], true, "{begun}");
        self.end_of_run().await
    }

    /// Sweeps until no run is open; gives the report of the last one.
    pub async fn end_of_run(&self) -> Value {
        self.until("the run ends", async || {
            let swept = self.ask("sweep").await;
            let ended = swept["run"]["ended_ms"].is_u64() && swept["breaker"].is_null();
            ended.then(|| swept["run"].clone())
        })
        .await
    }

    /// Looks again and again, until there is something.
    pub async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let began = Instant::now();
        while began.elapsed() < WAIT_MAX {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let status = self.invoke("finder", json!({ "tranship": "status" })).await;
        let words = self.last_words("worker").await;
        panic!("{}: never: {what}\n{status:?}\n{words}", self.name);
    }

    /// What a function said last, and what the cloud complained of.
    async fn last_words(&self, function: &str) -> String {
        let log = self.log(function).await;
        let log = log.iter().rev().take(20).cloned().collect::<Vec<_>>().join("\n");
        let cloud = self.cloud.complaints();
        let cloud = cloud.lines().rev().take(20).collect::<Vec<_>>().join("\n");
        format!("the {function}, last line first:\n{log}\nthe cloud, last line first:\n{cloud}")
    }

    /// The physical id of a resource.
    #[track_caller]
    pub fn resource(&self, logical: &str) -> &str {
        let known = self.resources.get(logical);
        known.unwrap_or_else(|| panic!("no {logical} in {:?}", self.resources))
    }

    /// Messages that wait and messages in flight, by the queue's logical name.
    pub async fn depth(&self, queue: &str) -> (u64, u64) {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let asked = json!({ "QueueUrl": self.resource(queue), "AttributeNames": names });
        let answer = self.cloud.sqs("GetQueueAttributes", asked).await;
        let count = |name: &str| answer["Attributes"][name].as_str().unwrap().parse().unwrap();
        (count(names[0]), count(names[1]))
    }

    pub async fn send(&self, queue: &str, body: &str) {
        let asked = json!({ "QueueUrl": self.resource(queue), "MessageBody": body });
        self.cloud.sqs("SendMessage", asked).await;
    }

    /// Takes up to ten messages off a queue for good.
    pub async fn take(&self, queue: &str) -> Vec<Value> {
        let url = self.resource(queue);
        let asked = json!({
            "QueueUrl": url,
            "MaxNumberOfMessages": 10,
            "MessageAttributeNames": ["All"],
            "AttributeNames": ["All"],
        });
        let answer = self.cloud.sqs("ReceiveMessage", asked).await;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        for message in &messages {
            let asked = json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] });
            self.cloud.sqs("DeleteMessage", asked).await;
        }
        messages
    }

    /// What is in flight after this comes back after so many seconds, and not after six times the
    /// function's: a test cannot wait for that.
    pub async fn hide_for(&self, queue: &str, seconds: u32) {
        let attributes = json!({ "VisibilityTimeout": seconds.to_string() });
        let asked = json!({ "QueueUrl": self.resource(queue), "Attributes": attributes });
        self.cloud.sqs("SetQueueAttributes", asked).await;
    }

    /// Switches the event source mapping of a function.
    pub async fn switch(&self, mapping: &str, enabled: bool) {
        let path = format!("/2015-03-31/event-source-mappings/{}", self.resource(mapping));
        let asked = json!({ "Enabled": enabled });
        self.cloud.rest("lambda", "PUT", &path, Some(asked)).await.unwrap();
    }

    /// Waits until nothing is left in a queue, in flight or not.
    pub async fn drained(&self, queue: &str) {
        let empty = async || (self.depth(queue).await == (0, 0)).then_some(());
        self.until(&format!("{queue} is empty"), empty).await;
    }

    /// The settings that the template gives a function.
    pub async fn settings(&self, function: &str) -> BTreeMap<String, String> {
        let path = format!("/2015-03-31/functions/{}-{function}/configuration", self.name);
        let known = self.cloud.rest("lambda", "GET", &path, None).await.unwrap();
        serde_json::from_value(known["Environment"]["Variables"].clone()).unwrap()
    }

    /// Gives a function other settings than the template did.
    pub async fn configure(&self, function: &str, settings: &[(&str, &str)]) {
        let path = format!("/2015-03-31/functions/{}-{function}/configuration", self.name);
        let known = self.cloud.rest("lambda", "GET", &path, None).await.unwrap();
        let mut variables = known["Environment"]["Variables"].clone();
        for (name, value) in settings {
            variables[*name] = (*value).into();
        }
        let asked = json!({ "Environment": { "Variables": variables } });
        self.cloud.rest("lambda", "PUT", &path, Some(asked)).await.unwrap();
    }

    /// Ends the processes of a function at once, as a crash does; says how many those were.
    pub fn kill(&self, function: &str) -> usize {
        let processes = self.processes(function);
        for process in &processes {
            let mut kill = std::process::Command::new("kill");
            kill.args(["-s", "KILL", &process.to_string()]).status().unwrap();
        }
        processes.len()
    }

    /// Plays a fault with requests of this stack's functions.
    pub fn trouble(&self, function: &str, action: &'static str, times: u64, fault: Fault) {
        let function = format!("{}-{function}", self.name);
        self.cloud.proxy.trouble(Trouble { function, action, times, fault });
    }

    /// What the command says of the stack.
    pub async fn status(&self) -> Value {
        self.ask("status").await
    }

    /// All items of the ledger's table.
    pub async fn rows(&self) -> Vec<Value> {
        let table = self.resource("LedgerTable");
        let mut rows = Vec::new();
        let mut asked = json!({ "TableName": table });
        loop {
            let page = self.cloud.dynamodb("Scan", asked.clone()).await;
            rows.extend(page["Items"].as_array().cloned().unwrap_or_default());
            if page["LastEvaluatedKey"].is_null() {
                return rows;
            }
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
        }
    }

    /// Deletes all items of the ledger's table.
    pub async fn wipe(&self) {
        for row in self.rows().await {
            let key = json!({ "pk": row["pk"], "sk": row["sk"] });
            let asked = json!({ "TableName": self.resource("LedgerTable"), "Key": key });
            self.cloud.dynamodb("DeleteItem", asked).await;
        }
    }

    /// Lets time pass for the ledger: every time in it is so much earlier.
    pub async fn age(&self, by: Duration) {
        self.age_rows(by, |_| true).await;
    }

    /// Lets time pass for what a sweep looks at once it is due, and for nothing else.
    pub async fn age_due(&self, by: Duration) {
        self.age_rows(by, |row| !row["due"].is_null()).await;
    }

    async fn age_rows(&self, by: Duration, which: impl Fn(&Value) -> bool) {
        let by = u64::try_from(by.as_millis()).unwrap();
        for mut row in self.rows().await.into_iter().filter(which) {
            // A function may write the row in between: then its words are what is aged.
            while !self.put_aged(&row, by).await {
                let key = json!({ "pk": row["pk"], "sk": row["sk"] });
                let asked = json!({ "TableName": self.resource("LedgerTable"), "Key": key });
                row = self.cloud.dynamodb("GetItem", asked).await["Item"].clone();
            }
        }
    }

    /// Writes a row with earlier times; `false` if it is another one by now.
    async fn put_aged(&self, row: &Value, by: u64) -> bool {
        let mut aged = row.clone();
        if let Some(due) = row["due"]["N"].as_str().and_then(|due| due.parse::<u64>().ok()) {
            aged["due"]["N"] = due.saturating_sub(by).to_string().into();
        }
        if let Some(value) = row["value"]["B"].as_str() {
            let base64 = base64::engine::general_purpose::STANDARD;
            if let Ok(mut value) = serde_json::from_slice(&base64.decode(value).unwrap()) {
                earlier(&mut value, by);
                aged["value"]["B"] = base64.encode(value.to_string()).into();
            }
        }
        if aged == *row {
            return true;
        }
        let asked = json!({
            "TableName": self.resource("LedgerTable"),
            "Item": aged,
            "ConditionExpression": "#value = :value",
            "ExpressionAttributeNames": { "#value": "value" },
            "ExpressionAttributeValues": { ":value": row["value"] },
        });
        match self.cloud.json("dynamodb", "DynamoDB_20120810.PutItem", asked).await {
            Ok(_) => true,
            Err(refused) if refused.body.contains("ConditionalCheckFailed") => false,
            Err(refused) => panic!("{}: a row cannot be aged: {refused:?}", self.name),
        }
    }

    /// What a function has logged: JSON lines and the lines of the service.
    pub async fn log(&self, function: &str) -> Vec<String> {
        let group = match function {
            "finder" => "FinderLogGroup",
            "worker" => "WorkerLogGroup",
            "completer" => "CompleterLogGroup",
            "s3-event" => "S3EventLogGroup",
            _ => "NotificationLogGroup",
        };
        let mut asked = json!({ "logGroupName": self.resource(group) });
        let mut lines = Vec::new();
        loop {
            let page =
                self.cloud.json("logs", "Logs_20140328.FilterLogEvents", asked.clone()).await;
            let Ok(page) = page else { return lines };
            let events = page["events"].as_array().into_iter().flatten();
            lines.extend(events.filter_map(|event| event["message"].as_str().map(str::to_owned)));
            if page["nextToken"].is_null() {
                return lines;
            }
            asked["nextToken"] = page["nextToken"].clone();
        }
    }

    /// What the functions have asked AWS for.
    pub fn calls(&self) -> Vec<Call> {
        self.cloud.proxy.calls(&self.name)
    }

    /// The processes that run a function now.
    pub fn processes(&self, function: &str) -> Vec<u32> {
        let wanted = format!("AWS_LAMBDA_FUNCTION_NAME={}-{function}", self.name);
        let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let runs = |process: &u32| {
            let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
        };
        numbers.filter(runs).collect()
    }

    /// The most memory that any process of a function ever had, in KiB.
    pub fn memory_kib(&self, function: &str) -> u64 {
        let peaks = self.processes(function).into_iter().filter_map(|process| {
            let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.trim().trim_end_matches(" kB").parse::<u64>().ok()
        });
        peaks.max().unwrap_or_default()
    }
}

/// Sets every time in a row back.
fn earlier(value: &mut Value, by: u64) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_u64() {
                    Some(time) if TIMES.contains(&name.as_str()) => {
                        *field = time.saturating_sub(by).into();
                    }
                    _ => earlier(field, by),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| earlier(item, by)),
        _ => {}
    }
}
