"""What has to hold of the stack, as rules over its translated template.

Linters pass a template without dead-letter queues, with a visibility below a function's time, with
`s3:*` on everything. These rules do not. Each is a function that is given the stack and yields what
it finds wrong; a stack without findings is one that keeps them all.
"""

import json
import re

MINUTE = 60
# Calls that take no resource. Every other statement has to name its own.
WITHOUT_RESOURCE = {
    "lambda:ListEventSourceMappings",
    "xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets",
    "logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
}
# Functions and the queue that each takes messages from.
TAKES = {"Finder": "ScanQueue", "S3Event": "EventQueue", "Worker": "TransferQueue"}
DEAD_LETTERS = {
    "ScanQueue": "ScanDeadLetterQueue", "TransferQueue": "TransferDeadLetterQueue", "EventQueue": "EventDeadLetterQueue",
}
ROLES = {
    "finder": "FinderRole", "worker": "WorkerRole", "completer": "CompleterRole", "s3-event": "S3EventRole", "notification": "NotificationRole",
}
ALARMS = {
    "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage", "Errors", "Throttles", "ExecutionsFailed",
    "UploadsParked", "BreakerOpen", "RunsIncomplete", "RunsFailed",
}


class Stack:
    """The translated template, and what else has to agree with it."""

    def __init__(self, template, machine, tree, source=None):
        self.template = template
        # As it is written, before it is translated.
        self.source = source
        self.machine = machine
        self.tree = tree

    @property
    def resources(self):
        return self.template["Resources"]

    def of(self, kind):
        return {name: r for name, r in self.resources.items() if r["Type"] == kind}

    def properties(self, name):
        return self.resources.get(name, {}).get("Properties", {})


def ref(value):
    """The resource that a Ref or GetAtt names, also below a choice."""
    if isinstance(value, dict):
        if "Ref" in value:
            return value["Ref"]
        if "Fn::GetAtt" in value:
            at = value["Fn::GetAtt"]
            return at[0] if isinstance(at, list) else at.split(".")[0]
    return value


def flat(values):
    """What may stand in a list whose members are chosen by conditions."""
    for value in values if isinstance(values, list) else [values]:
        if isinstance(value, dict) and "Fn::If" in value:
            for choice in value["Fn::If"][1:]:
                if choice != {"Ref": "AWS::NoValue"}:
                    yield from flat(choice)
        else:
            yield value


def many(value):
    return value if isinstance(value, list) else [value]


def text(value):
    return json.dumps(value, sort_keys=True)


def default(stack, value):
    """A number, or the default of the parameter that stands for it."""
    if isinstance(value, dict) and "Ref" in value:
        return int(stack.template["Parameters"][value["Ref"]]["Default"])
    return int(value)


def statements(stack):
    """All statements that allow something to a role of ours, with where they stand."""
    for name, role in stack.of("AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            for statement in flat(policy["PolicyDocument"]["Statement"]):
                yield name, statement
    for name, policy in stack.of("AWS::IAM::ManagedPolicy").items():
        for statement in flat(policy["Properties"]["PolicyDocument"]["Statement"]):
            yield name, statement


def functions_are_the_folders(stack):
    names = {text(f["Properties"].get("FunctionName")).split("}-")[-1].strip('"}') for f in stack.of("AWS::Lambda::Function").values()}
    if names != stack.tree["functions"]:
        yield f"functions {sorted(names)} are not the folders {sorted(stack.tree['functions'])}"


def a_function_is_bounded_and_seen(stack):
    for name, function in stack.of("AWS::Lambda::Function").items():
        p = function["Properties"]
        if not 0 < p.get("Timeout", 0) <= 5 * MINUTE:
            yield f"{name}: functions of minutes, not {p.get('Timeout')} s"
        if p.get("TracingConfig", {}).get("Mode") != "Active":
            yield f"{name}: no tracing"
        group = ref(p.get("LoggingConfig", {}).get("LogGroup"))
        if group not in stack.of("AWS::Logs::LogGroup"):
            yield f"{name}: no log group of its own"
        if p.get("RecursiveLoop", "Terminate") != "Terminate":
            yield f"{name}: the net under the hops is off"
        if ref(p.get("Role")) not in stack.of("AWS::IAM::Role"):
            yield f"{name}: no role of its own"
        if p.get("Runtime") != "provided.al2023" or p.get("Architectures") != [{"Ref": "Architecture"}]:
            yield f"{name}: another runtime or architecture than the parameter's"
    roles = [ref(f["Properties"].get("Role")) for f in stack.of("AWS::Lambda::Function").values()]
    if len(set(roles)) != len(roles):
        yield "two functions share a role"


def a_mapping_answers_in_part(stack):
    mappings = stack.of("AWS::Lambda::EventSourceMapping")
    found = {ref(m["Properties"]["FunctionName"]).replace("Function", ""): ref(m["Properties"]["EventSourceArn"]) for m in mappings.values()}
    if found != TAKES:
        yield f"functions take {found}, not {TAKES}"
    for name, mapping in mappings.items():
        p = mapping["Properties"]
        if p.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name}: a failed message fails its whole batch"
        if "FilterCriteria" in p:
            yield f"{name}: a filter on a queue deletes what it does not match"
        if "MaximumConcurrency" not in p.get("ScalingConfig", {}):
            yield f"{name}: no bound on its concurrency"
        if p.get("BatchSize", 10) > 10 and not p.get("MaximumBatchingWindowInSeconds"):
            yield f"{name}: a batch of more than ten needs a window"
        if ref(p["EventSourceArn"]) != "EventQueue" and p.get("BatchSize") != 1:
            yield f"{name}: a task lasts seconds, and is to be alone"
        if p.get("Enabled") is False:
            yield f"{name}: it takes nothing"


def concurrency_is_within_what_is_reserved(stack):
    mapping = stack.properties("WorkerTasks").get("ScalingConfig", {}).get("MaximumConcurrency")
    reserved = stack.properties("WorkerFunction").get("ReservedConcurrentExecutions")
    expected = {"Fn::If": ["Reserves", {"Ref": "WorkerReservedConcurrency"}, {"Ref": "WorkerConcurrency"}]}
    if mapping != expected:
        yield f"workers may be asked for more than is reserved: {mapping}"
    if reserved != {"Fn::If": ["Reserves", {"Ref": "WorkerReservedConcurrency"}, {"Ref": "AWS::NoValue"}]}:
        yield f"a new account has nothing to reserve: {reserved}"
    for name, function in stack.of("AWS::Lambda::Function").items():
        if name != "WorkerFunction" and "ReservedConcurrentExecutions" in function["Properties"]:
            yield f"{name}: reserves what a new account does not have"


def visibility_is_six_times_a_functions_time(stack):
    for function, queue in TAKES.items():
        timeout = stack.properties(f"{function}Function").get("Timeout", 0)
        mappings = [m["Properties"] for m in stack.of("AWS::Lambda::EventSourceMapping").values() if ref(m["Properties"]["EventSourceArn"]) == queue]
        window = max([m.get("MaximumBatchingWindowInSeconds", 0) for m in mappings], default=0)
        visibility = stack.properties(queue).get("VisibilityTimeout", 30)
        if visibility < 6 * timeout + window:
            yield f"{queue}: hidden for {visibility} s, and {function} may take {timeout} s"


def a_queue_has_dead_letters(stack):
    for queue, dead in DEAD_LETTERS.items():
        p = stack.properties(queue)
        redrive = p.get("RedrivePolicy", {})
        if ref(redrive.get("deadLetterTargetArn")) != dead:
            yield f"{queue}: what crashes has nowhere to go"
        if redrive.get("maxReceiveCount", 0) != 20:
            yield f"{queue}: throttles and hand-backs count as receives; {redrive.get('maxReceiveCount')} are not 20"
        if stack.properties(dead).get("MessageRetentionPeriod", 0) <= p.get("MessageRetentionPeriod", 0):
            yield f"{dead}: a dead letter keeps its age, and must outlive the queue"
        allowed = stack.properties(dead).get("RedriveAllowPolicy", {})
        if allowed.get("redrivePermission") != "byQueue":
            yield f"{dead}: any queue may send its dead letters there"
    for name in stack.of("AWS::SQS::Queue"):
        if "MaximumMessageSize" in stack.properties(name):
            yield f"{name}: S3 drops what a smaller limit refuses"


def a_queue_is_encrypted(stack):
    for name, queue in stack.of("AWS::SQS::Queue").items():
        p = queue["Properties"]
        if p.get("SqsManagedSseEnabled") != {"Fn::If": ["HasKms", {"Ref": "AWS::NoValue"}, True]}:
            yield f"{name}: not encrypted by the service"
        if p.get("KmsMasterKeyId") != {"Fn::If": ["HasKms", {"Ref": "KmsKeyArn"}, {"Ref": "AWS::NoValue"}]}:
            yield f"{name}: not encrypted with the key that is given"


def everything_of_ours_has_a_tls_only_policy(stack):
    closed = set()
    for kind, names in (("AWS::SQS::QueuePolicy", "Queues"), ("AWS::S3::BucketPolicy", "Bucket")):
        for policy in stack.of(kind).values():
            for statement in flat(policy["Properties"]["PolicyDocument"]["Statement"]):
                denies = statement["Effect"] == "Deny" and statement.get("Principal") == "*"
                if denies and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}:
                    closed.update(ref(name) for name in many(policy["Properties"][names]))
    for name in [*stack.of("AWS::SQS::Queue"), *stack.of("AWS::S3::Bucket")]:
        if name not in closed:
            yield f"{name}: can be reached without TLS"


def a_service_is_let_in_only_for_our_account(stack):
    for kind in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
        for name, policy in stack.of(kind).items():
            for statement in flat(policy["Properties"]["PolicyDocument"]["Statement"]):
                if statement["Effect"] != "Allow":
                    continue
                condition = statement.get("Condition", {})
                if "aws:SourceAccount" not in condition.get("StringEquals", {}):
                    yield f"{name} {statement.get('Sid')}: for any account"
                if "aws:SourceArn" not in {**condition.get("ArnEquals", {}), **condition.get("ArnLike", {})}:
                    yield f"{name} {statement.get('Sid')}: for any source"
                if statement.get("Principal") == "*":
                    yield f"{name} {statement.get('Sid')}: for anybody"
    senders = {}
    for policy in stack.of("AWS::SQS::QueuePolicy").values():
        for statement in flat(policy["Properties"]["PolicyDocument"]["Statement"]):
            if statement["Effect"] == "Allow":
                for queue in policy["Properties"]["Queues"]:
                    senders.setdefault(ref(queue), set()).add(statement["Principal"].get("Service"))
    for queue in ("ScanQueue", "TransferQueue"):
        if senders.get(queue):
            yield f"{queue}: only our roles may send tasks, not {senders[queue]}"


def a_role_is_trusted_for_our_account(stack):
    for name, role in stack.of("AWS::IAM::Role").items():
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            if "aws:SourceAccount" not in statement.get("Condition", {}).get("StringEquals", {}):
                yield f"{name}: trusts a service of any account"


def a_statement_names_its_resources(stack):
    for name, statement in statements(stack):
        actions = set(many(statement["Action"]))
        where = f"{name} {statement.get('Sid', sorted(actions)[0])}"
        if any("*" in action for action in actions):
            yield f"{where}: all actions of a service"
        free = any(resource == "*" for resource in flat(many(statement["Resource"])))
        if free and not actions <= WITHOUT_RESOURCE:
            yield f"{where}: {sorted(actions - WITHOUT_RESOURCE)} on everything"
        if statement["Effect"] != "Allow":
            yield f"{where}: a role is only allowed"
    for name, role in stack.of("AWS::IAM::Role").items():
        for policy in flat(role["Properties"].get("ManagedPolicyArns", [])):
            if ref(policy) not in stack.of("AWS::IAM::ManagedPolicy"):
                yield f"{name}: a policy that is not ours: {text(policy)}"


def rights_on_buckets_follow_who_reads_them(stack):
    wanted = {"SourcePolicy": "SourceByRole", "DestinationPolicy": "DestinationByRole", "DestinationWritePolicy": "DestinationByRole", "SecretsPolicy": "HasSecret", "KmsPolicy": "HasKms"}
    for name, condition in wanted.items():
        if stack.resources.get(name, {}).get("Condition") != condition:
            yield f"{name}: only where {condition}"
    needed = {
        "SourcePolicy": {"s3:ListBucket", "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging"},
        "DestinationPolicy": {"s3:ListBucket", "s3:GetObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:ListBucketMultipartUploads"},
        "DestinationWritePolicy": {"s3:PutObject", "s3:PutObjectTagging"},
    }
    for name, actions in needed.items():
        found = {a for of, s in statements(stack) if of == name for a in many(s["Action"])}
        if not actions <= found:
            yield f"{name}: lacks {sorted(actions - found)}"
    for name, statement in statements(stack):
        if "s3:DeleteObject" in many(statement["Action"]) and name != "WorkerRole":
            yield f"{name}: may delete objects"


def rights(stack, role):
    """All actions that a role may take, its own and those of the policies that are attached to it."""
    attached = {ref(policy) for policy in flat(stack.properties(role).get("ManagedPolicyArns", []))}
    return {a for name, statement in statements(stack) if name == role or name in attached for a in many(statement["Action"])}


def used_actions_are_allowed(stack):
    for function, used in stack.tree["used"].items():
        for action in sorted(set(used) - rights(stack, ROLES[function])):
            yield f"{ROLES[function]}: the functions call {action}, which it does not allow"


def the_table_is_the_ledgers(stack):
    p = stack.properties("LedgerTable")
    keys = [(k["AttributeName"], k["KeyType"]) for k in p.get("KeySchema", [])]
    if keys != [("pk", "HASH"), ("sk", "RANGE")]:
        yield f"the table's keys are {keys}"
    indexes = {i["IndexName"]: i for i in p.get("GlobalSecondaryIndexes", [])}
    due = indexes.get("due", {})
    if [(k["AttributeName"], k["KeyType"]) for k in due.get("KeySchema", [])] != [("lane", "HASH"), ("due", "RANGE")]:
        yield "the sweep's index is not there"
    if due.get("Projection", {}).get("ProjectionType") != "KEYS_ONLY":
        yield "the sweep's index costs a write for every change"
    if p.get("TimeToLiveSpecification") != {"AttributeName": "expires", "Enabled": True}:
        yield "rows do not expire"
    if not p.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"):
        yield "no point-in-time recovery"
    if p.get("BillingMode") != "PAY_PER_REQUEST":
        yield "the table is paid for while it is idle"
    if p.get("DeletionProtectionEnabled") != {"Ref": "DeletionProtection"}:
        yield "deletion protection is not the parameter's"


def what_is_evidence_is_kept(stack):
    for name in ("LedgerTable", "StackBucket"):
        resource = stack.resources.get(name, {})
        if resource.get("DeletionPolicy") != "Retain" or resource.get("UpdateReplacePolicy") != "Retain":
            yield f"{name}: goes with the stack"


def the_stacks_bucket_is_private(stack):
    p = stack.properties("StackBucket")
    block = p.get("PublicAccessBlockConfiguration", {})
    if [block.get(k) for k in ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")] != [True] * 4:
        yield "the stack's bucket may become public"
    if "BucketEncryption" not in p or p.get("VersioningConfiguration") != {"Status": "Enabled"}:
        yield "the stack's bucket is not encrypted, or keeps no versions"
    if "BucketOwnerEnforced" not in text(p.get("OwnershipControls", {})):
        yield "the stack's bucket takes access lists"
    if "AbortIncompleteMultipartUpload" not in text(p.get("LifecycleConfiguration", {})):
        yield "the stack's bucket keeps unfinished uploads"


def logs_end(stack):
    for name, group in stack.of("AWS::Logs::LogGroup").items():
        if group["Properties"].get("RetentionInDays") != {"Ref": "LogRetentionDays"}:
            yield f"{name}: never ends"
        if "KmsKeyId" not in group["Properties"]:
            yield f"{name}: not under the key that is given"
    for name, statement in statements(stack):
        if "logs:CreateLogGroup" in many(statement["Action"]):
            yield f"{name}: a group that is made by a function never ends"


def the_machine_is_seen_and_bounded(stack):
    machine = stack.properties("CompletionStateMachine")
    logging = machine.get("LoggingConfiguration", {})
    if logging.get("Level") != "ERROR" or logging.get("IncludeExecutionData") is not False or not logging.get("Destinations"):
        yield "executions that fail are not logged, or what they carry is"
    if not machine.get("TracingConfiguration", {}).get("Enabled"):
        yield "executions are not traced"
    if machine.get("StateMachineType") != {"Ref": "StateMachineType"} or stack.template["Parameters"]["StateMachineType"].get("Default") != "EXPRESS":
        yield "the machine is not Express by default"
    if not 0 < stack.machine.get("TimeoutSeconds", 0) < 5 * MINUTE:
        yield "an Express execution lasts five minutes at most"
    started = stack.properties("FinderFunction")["Environment"]["Variables"]["TRANSHIP_STATE_MACHINE_ARN"]["Fn::Sub"]
    if started.split(":stateMachine:")[-1] != machine.get("StateMachineName", {}).get("Fn::Sub"):
        yield "the functions start another machine than this one"


def the_machine_knows_the_errors(stack):
    states = stack.machine["States"]
    tasks = {name: s for name, s in states.items() if s["Type"] == "Task"}
    if len(states) > 4 or any(s["Type"] in ("Wait", "Map") for s in states.values()):
        yield "more than four transitions for an object, or a wait"
    if "waitForTaskToken" in text(stack.machine):
        yield "a task token"
    for name, task in tasks.items():
        retried = {e for r in task.get("Retry", []) for e in r["ErrorEquals"]}
        caught = {e for c in task.get("Catch", []) for e in c["ErrorEquals"]}
        ours = {e for e in retried | caught if e.startswith("Tranship.")}
        if ours != stack.tree["errors"]:
            yield f"{name}: knows {sorted(ours)}, and the functions say {sorted(stack.tree['errors'])}"
        if "Tranship.Unavailable" not in retried or "Tranship.Halted" in retried or "Tranship.Permanent" in retried:
            yield f"{name}: repeats the wrong errors"
        if "States.ALL" not in caught:
            yield f"{name}: some errors are not caught"
        if any(r.get("JitterStrategy") != "FULL" or r.get("MaxAttempts", 3) > 5 for r in task.get("Retry", [])):
            yield f"{name}: retries come together, or too often"
        if task.get("TimeoutSeconds", 0) <= stack.properties("CompleterFunction").get("Timeout", 0):
            yield f"{name}: gives up while the completer is at work"
    used = {s.get("Next") for s in states.values()} | {c["Next"] for s in states.values() for c in s.get("Catch", [])} | {stack.machine["StartAt"]}
    if not {n for n in used if n} <= set(states):
        yield f"states that are not there: {sorted(n for n in used if n and n not in states)}"


def the_environment_is_the_settings(stack):
    for name, function in stack.of("AWS::Lambda::Function").items():
        variables = set(function["Properties"].get("Environment", {}).get("Variables", {}))
        if name == "NotificationFunction":
            continue
        if variables != stack.tree["settings"]:
            missing, unknown = stack.tree["settings"] - variables, variables - stack.tree["settings"]
            yield f"{name}: does not set {sorted(missing)}; sets {sorted(unknown)}, which nobody reads"
        secret = [v for v in variables if re.search("SECRET_ACCESS|PASSWORD|ACCESS_KEY", v)]
        if secret:
            yield f"{name}: a secret in the environment: {secret}"


def every_parameter_is_used(stack):
    rest = text({k: v for k, v in stack.template.items() if k != "Parameters"})
    for name in stack.template["Parameters"]:
        if f'"Ref": "{name}"' not in rest and f"${{{name}}}" not in rest:
            yield f"{name}: changes nothing"
        if f"`{name}`" not in stack.tree["deployment"]:
            yield f"{name}: docs/DEPLOYMENT.md does not know it"
    needed = {n for n, p in stack.template["Parameters"].items() if "Default" not in p}
    if needed != {"SourceBucket", "DestinationBucket", "AlarmEmail"}:
        yield f"bucket names and an e-mail are not enough: {sorted(needed)}"


def defaults_are_the_safe_ones(stack):
    wanted = {
        "Architecture": "arm64", "Delete": "false", "DeleteUnversioned": "false", "DestinationAcl": "", "Compare": "etag",
        "SkipCompare": "false", "WorkerReservedConcurrency": 0, "SourceEvents": "none", "AttachNotification": "false",
        "TrustSizeAndTime": "false", "KmsKeyArn": "", "DestinationStorageClass": "",
    }
    for name, value in wanted.items():
        found = stack.template["Parameters"].get(name, {}).get("Default")
        if found != value:
            yield f"{name}: by default {found!r}, not {value!r}"
    if default(stack, {"Ref": "MessageBytesMax"}) > 262144:
        yield "MessageBytesMax: some partitions take 256 KiB"


def schedules_have_a_role_and_dead_letters(stack):
    schedules = stack.of("AWS::Scheduler::Schedule")
    inputs = {s["Properties"]["Target"].get("Input") for s in schedules.values()}
    if inputs != {'{"tranship":"run"}', '{"tranship":"sweep"}'}:
        yield f"the schedules say {inputs}"
    for name, schedule in schedules.items():
        to = schedule["Properties"]["Target"]
        if "DeadLetterConfig" not in to or ref(to.get("RoleArn")) != "SchedulerRole":
            yield f"{name}: what it cannot say is lost, or it has no role"
        if to.get("RetryPolicy", {}).get("MaximumEventAgeInSeconds", 86400) > 3600:
            yield f"{name}: a late finder is useless"
    if schedules.get("RunSchedule", {}).get("Condition") != "IsScheduled":
        yield "RunSchedule: `once` is no schedule"
    rules = stack.of("AWS::Events::Rule")
    for name, rule in rules.items():
        for at in rule["Properties"]["Targets"]:
            if "DeadLetterConfig" not in at:
                yield f"{name}: what it cannot deliver is lost"
    if stack.properties("FinderFunction").get("DeadLetterConfig") is None:
        yield "FinderFunction: an invocation that fails leaves no trace"


def alarms_reach_a_person(stack):
    found = set()
    for name, alarm in stack.of("AWS::CloudWatch::Alarm").items():
        p = alarm["Properties"]
        found.add(p["MetricName"])
        if [ref(a) for a in p.get("AlarmActions", [])] != ["NoticeTopic"]:
            yield f"{name}: nobody hears it"
        if p.get("ActionsEnabled") is False:
            yield f"{name}: it is silent"
    if not ALARMS <= found:
        yield f"no alarm for {sorted(ALARMS - found)}"
    watched = {ref(d["Value"]) for a in stack.of("AWS::CloudWatch::Alarm").values() for d in a["Properties"].get("Dimensions", []) if a["Properties"]["MetricName"] == "ApproximateNumberOfMessagesVisible"}
    for queue in [*DEAD_LETTERS.values(), "ScheduleDeadLetterQueue"]:
        if queue not in watched:
            yield f"{queue}: fills unseen"
    subscription = stack.of("AWS::SNS::Subscription")
    if not any(s["Properties"].get("Endpoint") == {"Ref": "AlarmEmail"} for s in subscription.values()):
        yield "no e-mail"


def metrics_are_those_that_are_emitted(stack):
    shown = set()
    for alarm in stack.of("AWS::CloudWatch::Alarm").values():
        if alarm["Properties"]["Namespace"] == "tranship":
            shown.add(alarm["Properties"]["MetricName"])
    for dashboard in stack.of("AWS::CloudWatch::Dashboard").values():
        body = dashboard["Properties"]["DashboardBody"]
        body = body["Fn::Sub"] if isinstance(body, dict) else body
        try:
            widgets = json.loads(body)["widgets"]
        except ValueError as error:
            yield f"the dashboard is no JSON: {error}"
            continue
        for widget in widgets:
            for metric in widget["properties"]["metrics"]:
                if metric[0] == "tranship":
                    shown.add(metric[1])
    if shown - stack.tree["metrics"]:
        yield f"nobody emits {sorted(shown - stack.tree['metrics'])}"
    if stack.tree["metrics"] - shown:
        yield f"nobody sees {sorted(stack.tree['metrics'] - shown)}"


def names_fit_any_partition(stack):
    whole = text(stack.template)
    for arn in re.findall(r"arn:aws[a-z-]*:", whole):
        yield f"{arn}: not every partition is called so"


def everything_is_tagged(stack):
    for kind in ("AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::IAM::Role", "AWS::Logs::LogGroup", "AWS::Lambda::Function", "AWS::SNS::Topic"):
        for name, resource in stack.of(kind).items():
            if "tranship" not in text(resource["Properties"].get("Tags", "")):
                yield f"{name}: no tag"


def outputs_are_what_a_person_needs(stack):
    wanted = {"DashboardUrl", "EventQueueUrl", "LedgerTableName", "StackBucketName", "StateMachineArn", "NoticeTopicArn", "TransferDeadLetterQueueUrl"}
    missing = wanted - set(stack.template.get("Outputs", {}))
    if missing:
        yield f"no output {sorted(missing)}"


def sizes_of(stack, value):
    """A value of the environment as it may come out, with a stack's name of 32 letters."""
    names = {"AWS::StackName": "s" * 32, "AWS::Partition": "aws-us-gov", "AWS::Region": "ap-southeast-1", "AWS::AccountId": "1" * 12}
    parameters = stack.template["Parameters"]
    names |= {name: str(p.get("Default", "")) for name, p in parameters.items()}
    if not isinstance(value, dict):
        return str(value)
    if "Fn::If" in value:
        return sizes_of(stack, value["Fn::If"][2])
    if "Fn::Sub" in value:
        return re.sub(r"\$\{([^}]+)\}", lambda m: names[m[1]], value["Fn::Sub"])
    if value["Ref"] in names:
        return names[value["Ref"]]
    if "QueueName" in stack.properties(value["Ref"]):
        return f"https://sqs.ap-southeast-1.amazonaws.com/{'1' * 12}/" + sizes_of(stack, stack.properties(value["Ref"])["QueueName"])
    return f"{'s' * 24}-{value['Ref']}-ABCDEFGHIJKL"


def the_environment_leaves_room(stack):
    # Lambda takes 4 KB as JSON; what a person gives (buckets, prefixes, endpoints, secrets) has to fit besides.
    for name, function in stack.of("AWS::Lambda::Function").items():
        variables = function["Properties"].get("Environment", {}).get("Variables", {})
        taken = len(json.dumps({key: sizes_of(stack, value) for key, value in variables.items()}, separators=(",", ":")))
        if taken > 4096 - 1200:
            yield f"{name}: its environment has {taken} bytes before anything is set"


def settings_have_the_same_words_and_numbers(stack):
    """What a parameter admits, the functions read; what is its default, is theirs."""
    variables = stack.properties("FinderFunction")["Environment"]["Variables"]
    for setting, value in variables.items():
        choice = value.get("Fn::If", [None, None, value])[2] if isinstance(value, dict) else value
        name = ref(choice)
        parameter = stack.template["Parameters"].get(name) if isinstance(name, str) else None
        if parameter is None:
            continue
        words = stack.tree["words"].get(setting)
        if words is not None and {str(w) for w in parameter.get("AllowedValues", [])} != words:
            yield f"{setting}: the template admits {parameter.get('AllowedValues')}, the functions read {sorted(words)}"
        numbers = stack.tree["numbers"].get(setting)
        if numbers is not None:
            least, most, usual = numbers
            found = (parameter.get("MinValue"), parameter.get("MaxValue"), parameter.get("Default"))
            if found != (least, most if most is not None else found[1], usual):
                yield f"{setting}: the template says {found}, the functions {numbers}"
    read = stack.tree["words"].keys() | stack.tree["numbers"].keys()
    if not read <= variables.keys():
        yield f"nobody sets {sorted(read - variables.keys())}"


def a_queues_statement_names_one_resource(stack):
    # SQS refuses a policy with a statement about several: "Policy statement must apply to a single resource".
    for name, policy in stack.of("AWS::SQS::QueuePolicy").items():
        for statement in flat(policy["Properties"]["PolicyDocument"]["Statement"]):
            resources = many(statement["Resource"])
            if len(resources) != 1:
                yield f"{name} {statement.get('Sid')}: about {len(resources)} resources"
            elif resources == ["*"]:
                if statement["Effect"] != "Deny":
                    yield f"{name} {statement.get('Sid')}: allows on whatever it is attached to"
            elif [ref(r) for r in resources] != [ref(q) for q in policy["Properties"]["Queues"]]:
                yield f"{name} {statement.get('Sid')}: about another queue than it is attached to"


def the_key_that_is_given_is_used(stack):
    key, nothing = {"Ref": "KmsKeyArn"}, {"Ref": "AWS::NoValue"}
    chosen = {"Fn::If": ["HasKms", key, nothing]}
    bucket = stack.properties("StackBucket").get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [{}])[0]
    bucket = bucket.get("ServerSideEncryptionByDefault", {})
    wanted = {
        "LedgerTable": ("SSESpecification", {"Fn::If": ["HasKms", {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}, nothing]}),
        "NoticeTopic": ("KmsMasterKeyId", chosen),
        **{name: ("KmsKeyArn", chosen) for name in [*stack.of("AWS::Lambda::Function"), *stack.of("AWS::Scheduler::Schedule")]},
        **{name: ("KmsKeyId", chosen) for name in stack.of("AWS::Logs::LogGroup")},
    }
    for name, (property, value) in wanted.items():
        if stack.properties(name).get(property) != value:
            yield f"{name}: not under the key that is given"
    if bucket.get("KMSMasterKeyID") != chosen or bucket.get("SSEAlgorithm") != {"Fn::If": ["HasKms", "aws:kms", "AES256"]}:
        yield "StackBucket: not under the key that is given"
    for name, role in stack.of("AWS::IAM::Role").items():
        attached = role["Properties"].get("ManagedPolicyArns", [])
        uses = [{"Fn::If": ["HasKms", {"Ref": "KmsPolicy"}, nothing]}]
        if name != "StateMachineRole" and not all(u in attached for u in uses):
            yield f"{name}: may not use the key that is given"


def a_function_is_built_from_its_folder(stack):
    for name, function in stack.source["Resources"].items():
        if function["Type"] != "AWS::Serverless::Function":
            continue
        metadata, p = function.get("Metadata", {}), function["Properties"]
        folder = p.get("CodeUri", "").removeprefix("functions/")
        if metadata.get("BuildMethod") != "rust-cargolambda" or metadata.get("BuildProperties", {}).get("Binary") != folder:
            yield f"{name}: built from {p.get('CodeUri')} as {metadata}"
        if p.get("FunctionName") != {"Fn::Sub": f"${{AWS::StackName}}-{folder}"}:
            yield f"{name}: built from {folder}, and called {text(p.get('FunctionName'))}"


def a_name_that_is_made_is_a_name_that_is_given(stack):
    """ARNs that are put together, so that nothing depends on itself, are those of what is there."""
    given = {
        "function": {f["Properties"]["FunctionName"]["Fn::Sub"] for f in stack.of("AWS::Lambda::Function").values()},
        "rule": {r["Properties"]["Name"]["Fn::Sub"] for r in stack.of("AWS::Events::Rule").values()},
        "sqs": {q["Properties"].get("QueueName", {}).get("Fn::Sub") for q in stack.of("AWS::SQS::Queue").values()},
        "stateMachine": {m["Properties"]["StateMachineName"]["Fn::Sub"] for m in stack.of("AWS::StepFunctions::StateMachine").values()},
    }
    whole = text(stack.template)
    for made in set(re.findall(r'arn:\$\{AWS::Partition\}:([^"]*)', whole)):
        service, last = made.split(":")[0], made.split("${AWS::AccountId}:")[-1]
        kind, name = (service, last) if service == "sqs" else re.match(r"([A-Za-z-]*)[:/](.*)", last).groups() if "AccountId" in made else (service, last)
        if kind in given and name not in given[kind]:
            yield f"{made}: nothing is called so"
    variables = stack.properties("FinderFunction")["Environment"]["Variables"]
    for setting in ("TRANSHIP_WORKER_FUNCTION", "TRANSHIP_FINDER_FUNCTION"):
        wanted = setting.removeprefix("TRANSHIP_").removesuffix("_FUNCTION").title() + "Function"
        if variables.get(setting) != stack.properties(wanted).get("FunctionName"):
            yield f"{setting}: nothing is called so"
    for setting, value in variables.items():
        queue = setting.removeprefix("TRANSHIP_").removesuffix("_URL").replace("_", " ").title().replace(" ", "")
        if setting.endswith("_QUEUE_URL") and value != {"Ref": queue}:
            yield f"{setting}: {text(value)} is another queue"
    for queue, dead in DEAD_LETTERS.items():
        sources = stack.properties(dead).get("RedriveAllowPolicy", {}).get("sourceQueueArns", [])
        name = stack.properties(queue).get("QueueName", {}).get("Fn::Sub")
        if [s["Fn::Sub"].split(":")[-1] if "${AWS::StackName}" not in s["Fn::Sub"] else "${AWS::StackName}" + s["Fn::Sub"].split("${AWS::StackName}")[-1] for s in sources] != [name]:
            yield f"{dead}: takes the dead letters of another queue"


def notices_are_what_is_said(stack):
    """The rule that hands on summaries hears the events that the functions send, and reads fields that they have."""
    p = stack.properties("SummaryRule")
    said = stack.tree["notices"]
    pattern = p.get("EventPattern", {})
    if pattern.get("source") != [said["source"]] or set(pattern.get("detail-type", [])) != said["kinds"]:
        yield f"the rule hears {pattern}, the functions say {said['source']} {sorted(said['kinds'])}"
    if pattern.get("detail") != {"stack": [{"Ref": "AWS::StackName"}]}:
        yield "the rule hears other stacks, too"
    transformer = p["Targets"][0].get("InputTransformer", {})
    for path in transformer.get("InputPathsMap", {}).values():
        if path.split(".")[2] not in said["fields"]:
            yield f"{path}: a report has no such field"
    shown = set(re.findall(r"<([a-z]+)>", transformer.get("InputTemplate", "")))
    if shown != set(transformer.get("InputPathsMap", {})):
        yield f"the summary shows {sorted(shown)}, and reads {sorted(transformer.get('InputPathsMap', {}))}"
    allowed = [s for _, s in statements(stack) if "events:PutEvents" in many(s["Action"])]
    if any(s.get("Condition") != {"StringEquals": {"events:source": said["source"]}} for s in allowed) or not allowed:
        yield "events under any name may be sent"


def what_is_invoked_without_a_queue_keeps_what_fails(stack):
    wanted = {"FinderFunction": "ScheduleDeadLetterQueue", "S3EventFunction": "EventDeadLetterQueue"}
    for name, queue in wanted.items():
        if ref(stack.properties(name).get("DeadLetterConfig", {}).get("TargetArn")) != queue:
            yield f"{name}: an event that it could not take is lost"
    seconds = int(stack.properties("SourceNotification").get("ServiceTimeout", 3600))
    if not stack.properties("NotificationFunction").get("Timeout", 0) < seconds <= 300:
        yield f"SourceNotification: the stack waits for {seconds} s"
    summaries = stack.properties("SummaryRule").get("Targets", [{}])[0].get("DeadLetterConfig", {})
    if ref(summaries.get("Arn")) in DEAD_LETTERS.values():
        yield "SummaryRule: a redrive would take its summaries for messages"


def silence_is_an_alarm(stack):
    for alarm in stack.of("AWS::CloudWatch::Alarm").values():
        p = alarm["Properties"]
        if p["MetricName"] == "Invocations" and ref(p["Dimensions"][0]["Value"]) == "FinderFunction" and p.get("TreatMissingData") == "breaching":
            return
    yield "a sweep that is not begun any more is not noticed"


def nothing_is_allowed_that_is_not_used(stack):
    for function, role in ROLES.items():
        used, unseen = set(stack.tree["used"].get(function, [])), stack.tree["unseen"][function]
        for action in sorted(rights(stack, role) - used):
            if not unseen.get(action):
                yield f"{role}: {action} is allowed, and neither used nor excused"
        for action in sorted(unseen):
            if action in used:
                yield f"{role}: {action} is used, and excused all the same"
            elif action not in rights(stack, role):
                yield f"{role}: {action} is excused, and not allowed"


RULES = [value for name, value in list(globals().items()) if callable(value) and getattr(value, "__module__", "") == __name__
         and name not in ("Stack", "ref", "flat", "many", "text", "default", "statements", "rights", "sizes_of")]
