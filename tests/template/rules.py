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
    "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
    "xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets",
    "logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
}
# Queues and the function that takes messages from each.
TAKES = {"ScanQueue": "Finder", "EventQueue": "S3Event", "TransferQueue": "Worker", "LargeQueue": "Worker"}
DEAD_LETTERS = {
    "ScanQueue": "ScanDeadLetterQueue", "TransferQueue": "TransferDeadLetterQueue", "EventQueue": "EventDeadLetterQueue",
    "LargeQueue": "LargeDeadLetterQueue",
}
# What there is only where the largest objects have a queue of their own, and only where the stack has instances.
OF_LARGE_QUEUE = {
    "LargeTasks", "LargeQueue", "LargeDeadLetterQueue", "FleetPolicy", "FleetLogGroup",
    "LargeDeadLettersAlarm", "LargeAgeAlarm", "FleetAbsentAlarm", "FleetTroubledAlarm",
}
OF_FLEET = {
    "FleetRole", "FleetInstanceProfile", "FleetLaunchTemplate", "FleetGroup", "FleetOut", "FleetIn", "FleetOutAlarm", "FleetInAlarm",
}
# What a worker on an instance may do and one in Lambda may not.
OF_INSTANCES = {
    "lambda:GetFunction", "lambda:GetLayerVersion", "autoscaling:CompleteLifecycleAction", "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
}
GRAVITON = ("t4g", "c6gn", "c7gn", "c8gn")
# Alarms that make the group larger or smaller, and are no reason for a person to act.
SCALES = {"FleetOutAlarm": "FleetOut", "FleetInAlarm": "FleetIn"}
ROLES = {
    "finder": "FinderRole", "worker": "WorkerRole", "completer": "CompleterRole", "s3-event": "S3EventRole", "notification": "NotificationRole",
}
ALARMS = {
    "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage", "Errors", "Throttles", "ExecutionsFailed",
    "UploadsParked", "BreakerOpen", "RunsIncomplete", "RunsFailed", "FleetAbsent", "FleetTroubled",
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
    found = {ref(m["Properties"]["EventSourceArn"]): ref(m["Properties"]["FunctionName"]).replace("Function", "") for m in mappings.values()}
    if found != TAKES:
        yield f"queues are taken from by {found}, not {TAKES}"
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
        # The sweep switches the one of the largest objects, while no instance shows itself.
        if p.get("Enabled", True) is (ref(p["EventSourceArn"]) == "LargeQueue"):
            yield f"{name}: it takes nothing, or what is an instance's"


def concurrency_is_within_what_is_reserved(stack):
    mapping = stack.properties("WorkerTasks").get("ScalingConfig", {}).get("MaximumConcurrency")
    reserved = stack.properties("WorkerFunction").get("ReservedConcurrentExecutions")
    expected = {"Fn::If": ["Reserves", {"Ref": "WorkerReservedConcurrency"}, {"Ref": "WorkerConcurrency"}]}
    if mapping != expected:
        yield f"workers may be asked for more than is reserved: {mapping}"
    besides = stack.properties("LargeTasks").get("ScalingConfig", {}).get("MaximumConcurrency")
    if besides != {"Fn::If": ["Reserves", 2, {"Ref": "WorkerConcurrency"}]}:
        yield f"LargeTasks: what is reserved is the other mapping's, and 2 the least that a mapping may have: {besides}"
    if reserved != {"Fn::If": ["Reserves", {"Ref": "WorkerReservedConcurrency"}, {"Ref": "AWS::NoValue"}]}:
        yield f"a new account has nothing to reserve: {reserved}"
    for name, function in stack.of("AWS::Lambda::Function").items():
        if name != "WorkerFunction" and "ReservedConcurrentExecutions" in function["Properties"]:
            yield f"{name}: reserves what a new account does not have"


def visibility_is_six_times_a_functions_time(stack):
    for queue, function in TAKES.items():
        timeout = stack.properties(f"{function}Function").get("Timeout", 0)
        mappings = [m["Properties"] for m in stack.of("AWS::Lambda::EventSourceMapping").values() if ref(m["Properties"]["EventSourceArn"]) == queue]
        window = max([m.get("MaximumBatchingWindowInSeconds", 0) for m in mappings], default=0)
        visibility = stack.properties(queue).get("VisibilityTimeout", 30)
        if visibility < 6 * timeout + window:
            yield f"{queue}: hidden for {visibility} s, and {function} may take {timeout} s"


def the_worker_knows_its_own_time(stack):
    timeout, told = stack.properties("WorkerFunction").get("Timeout", 0), stack.tree["worker_seconds"]
    if timeout != told:
        yield f"WorkerFunction: may take {timeout} s, and warns of shares of a limit that are too small for {told} s"


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
                    closed.update(ref(name) for name in flat(policy["Properties"][names]))
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
                for queue in flat(policy["Properties"]["Queues"]):
                    senders.setdefault(ref(queue), set()).add(statement["Principal"].get("Service"))
    for queue in ("ScanQueue", "TransferQueue", "LargeQueue"):
        if senders.get(queue):
            yield f"{queue}: only our roles may send tasks, not {senders[queue]}"


def a_role_is_trusted_for_our_account(stack):
    for name, role in stack.of("AWS::IAM::Role").items():
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            if statement["Principal"] == {"Service": {"Fn::Sub": "ec2.${AWS::URLSuffix}"}}:
                # EC2 names no account. A role is given to instances of its own account alone.
                continue
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
            if text(ref(policy)) not in map(text, stack.of("AWS::IAM::ManagedPolicy")):
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
        if "s3:DeleteObject" in many(statement["Action"]) and name not in ("WorkerRole", "FleetPolicy"):
            yield f"{name}: may delete objects"


def statements_of(stack, role):
    """What is allowed to a role, by its own policies and by those that are attached to it."""
    names = [role, *(ref(policy) for policy in flat(stack.properties(role).get("ManagedPolicyArns", [])))]
    return [statement for name, statement in statements(stack) if name in names]


def rights(stack, role):
    """All actions that a role may take."""
    return {a for statement in statements_of(stack, role) for a in many(statement["Action"])}


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
    # What only a process outside Lambda reads, it has defaults for.
    settings = {setting for setting in stack.tree["settings"] if not setting.startswith("TRANSHIP_FLEET_")}
    for name, function in stack.of("AWS::Lambda::Function").items():
        variables = set(function["Properties"].get("Environment", {}).get("Variables", {}))
        if name == "NotificationFunction":
            continue
        if variables != settings:
            missing, unknown = settings - variables, variables - settings
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
        "SourceKind": "amazon-s3", "DestinationKind": "amazon-s3", "Facts": "",
        "Fleet": "off", "FleetMin": 0, "FleetSpot": "false", "BandwidthMiBPerSecond": 0,
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
        if name in SCALES:
            continue
        found.add(p["MetricName"])
        if [ref(a) for a in p.get("AlarmActions", [])] != ["NoticeTopic"]:
            yield f"{name}: nobody hears it"
        if p.get("ActionsEnabled") is False:
            yield f"{name}: it is silent"
    if not ALARMS <= found:
        yield f"no alarm for {sorted(ALARMS - found)}"
    watched = {ref(d["Value"]) for a in stack.of("AWS::CloudWatch::Alarm").values() for d in a["Properties"].get("Dimensions", []) if a["Properties"].get("MetricName") == "ApproximateNumberOfMessagesVisible"}
    for queue in [*DEAD_LETTERS.values(), "ScheduleDeadLetterQueue"]:
        if queue not in watched:
            yield f"{queue}: fills unseen"
    subscription = stack.of("AWS::SNS::Subscription")
    if not any(s["Properties"].get("Endpoint") == {"Ref": "AlarmEmail"} for s in subscription.values()):
        yield "no e-mail"


def body_of(dashboard, *conditions):
    """The text of a dashboard where these conditions hold."""
    whole, choices = dashboard["Properties"]["DashboardBody"]["Fn::Sub"]
    for name, choice in choices.items():
        condition, then, otherwise = choice["Fn::If"]
        whole = whole.replace(f"${{{name}}}", then["Fn::Sub"] if condition in conditions else otherwise)
    return whole


def metrics_are_those_that_are_emitted(stack):
    shown = set()
    for alarm in stack.of("AWS::CloudWatch::Alarm").values():
        if alarm["Properties"].get("Namespace") == "tranship":
            shown.add(alarm["Properties"]["MetricName"])
    dashboard = stack.resources["Dashboard"]
    for conditions in ((), ("HasLargeQueue",), ("HasLargeQueue", "HasFleet")):
        try:
            widgets = json.loads(body_of(dashboard, *conditions))["widgets"]
        except ValueError as error:
            yield f"the dashboard is no JSON with {conditions}: {error}"
            continue
        places = [(widget["x"], widget["y"]) for widget in widgets]
        if len(places) != len(set(places)):
            yield f"widgets of the dashboard cover each other with {conditions}"
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
    for kind in ("AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::IAM::Role", "AWS::Logs::LogGroup", "AWS::Lambda::Function", "AWS::SNS::Topic",
                 "AWS::EC2::SecurityGroup", "AWS::AutoScaling::AutoScalingGroup", "AWS::EC2::LaunchTemplate"):
        for name, resource in stack.of(kind).items():
            tags = resource["Properties"].get("Tags", resource["Properties"].get("TagSpecifications", ""))
            if "tranship" not in text(tags):
                yield f"{name}: no tag"
    made = {t["ResourceType"]: text(t["Tags"]) for t in stack.properties("FleetLaunchTemplate").get("LaunchTemplateData", {}).get("TagSpecifications", [])}
    for kind in ("instance", "volume"):
        if "tranship" not in made.get(kind, ""):
            yield f"the fleet's {kind}s: no tag"


def outputs_are_what_a_person_needs(stack):
    wanted = {"DashboardUrl", "EventQueueUrl", "LedgerTableName", "StackBucketName", "StateMachineArn", "NoticeTopicArn", "TransferDeadLetterQueueUrl",
              "LargeQueueUrl", "LargeDeadLetterQueueUrl", "FleetGroupName", "FleetLogGroupName", "FleetPolicyArns"}
    missing = wanted - set(stack.template.get("Outputs", {}))
    if missing:
        yield f"no output {sorted(missing)}"


def sizes_of(stack, value, with_fleet=False):
    """A value of the environment as it may come out, with a stack's name of 32 letters."""
    names = {"AWS::StackName": "s" * 32, "AWS::Partition": "aws-us-gov", "AWS::Region": "ap-southeast-1", "AWS::AccountId": "1" * 12}
    parameters = stack.template["Parameters"]
    names |= {name: str(p.get("Default", "")) for name, p in parameters.items()}
    if not isinstance(value, dict):
        return str(value)
    if "Fn::If" in value:
        condition, then, otherwise = value["Fn::If"]
        return sizes_of(stack, then if with_fleet and condition == "HasLargeQueue" else otherwise)
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
        for with_fleet, room in ((False, 1040), (True, 840)):
            sizes = {key: sizes_of(stack, value, with_fleet) for key, value in variables.items()}
            taken = len(json.dumps(sizes, separators=(",", ":")))
            if taken > 4096 - room:
                yield f"{name}: its environment has {taken} bytes before anything is set{' but the fleet' if with_fleet else ''}"


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
            elif [ref(r) for r in resources] != [ref(q) for q in flat(policy["Properties"]["Queues"])]:
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
        expected = {"Fn::If": ["HasLargeQueue", {"Ref": queue}, ""]} if queue.startswith("Large") else {"Ref": queue}
        if setting.endswith("_QUEUE_URL") and value != expected:
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
        if p.get("MetricName") == "Invocations" and ref(p["Dimensions"][0]["Value"]) == "FinderFunction" and p.get("TreatMissingData") == "breaching":
            return
    yield "a sweep that is not begun any more is not noticed"


def what_the_fleet_needs_is_there_only_with_it(stack):
    """With Fleet=off the stack is what it was without the option."""
    conditions = stack.template["Conditions"]
    on = {"Fn::And": [{"Fn::Not": [{"Fn::Equals": [{"Ref": "Fleet"}, "off"]}]}, {"Fn::Not": [{"Fn::Equals": [{"Ref": "LargeObjectMiB"}, "0"]}]}]}
    if conditions.get("HasLargeQueue") != on:
        yield f"the largest objects have a queue under {conditions.get('HasLargeQueue')}"
    if conditions.get("HasFleet") != {"Fn::And": [{"Condition": "HasLargeQueue"}, {"Fn::Equals": [{"Ref": "Fleet"}, "ec2"]}]}:
        yield f"instances are started under {conditions.get('HasFleet')}"
    for names, condition in ((OF_LARGE_QUEUE, "HasLargeQueue"), (OF_FLEET | set(stack.of("AWS::Lambda::LayerVersion")), "HasFleet"), ({"FleetSecurity"}, "MakesSecurityGroup")):
        for name in sorted(names):
            if stack.resources.get(name, {}).get("Condition") != condition:
                yield f"{name}: only where {condition}"
    named = {name for name in stack.resources if name.startswith(("Fleet", "Large"))}
    unknown = named - OF_LARGE_QUEUE - OF_FLEET - set(stack.of("AWS::Lambda::LayerVersion")) - {"FleetSecurity"}
    if unknown:
        yield f"{sorted(unknown)}: under which condition?"
    for name, output in stack.template["Outputs"].items():
        if name.startswith(("Fleet", "Large")) and output.get("Condition") not in ("HasLargeQueue", "HasFleet"):
            yield f"output {name}: only with the fleet"
    variables = stack.properties("WorkerFunction")["Environment"]["Variables"]
    if variables.get("TRANSHIP_LARGE_OBJECT_MIB") != {"Fn::If": ["HasLargeQueue", {"Ref": "LargeObjectMiB"}, "0"]}:
        yield "without a fleet some objects are large all the same"


def the_fleets_parameters_fit(stack):
    """A type of the other architecture, and a fleet without a network, are refused before anything is made."""
    rules = stack.template["Rules"]
    types = stack.template["Parameters"]["FleetInstanceType"]["AllowedValues"]
    arm = [t for t in types if t.split(".")[0] in GRAVITON]
    if stack.template["Parameters"]["FleetInstanceType"]["Default"] not in arm:
        yield "the default type is not of the default architecture"
    for architecture, kinds in (("arm64", arm), ("x86_64", [t for t in types if t not in arm])):
        name = "FleetIsOfArm64" if architecture == "arm64" else "FleetIsOfX86"
        rule = rules.get(name, {})
        when = {"Fn::And": [{"Fn::Equals": [{"Ref": "Fleet"}, "ec2"]}, {"Fn::Equals": [{"Ref": "Architecture"}, architecture]}]}
        asserts = [a["Assert"] for a in rule.get("Assertions", [])]
        if rule.get("RuleCondition") != when or asserts != [{"Fn::Contains": [kinds, {"Ref": "FleetInstanceType"}]}]:
            yield f"{name}: a type that does not run the package is let through, or one that does is not"
    pattern = stack.template["Parameters"]["FleetSubnets"].get("AllowedPattern", "")
    for given, fits in (("", True), ("subnet-0a1b", True), ("subnet-0,subnet-1", True), ("subnet-0,", False), ("subnet-0, subnet-1", False), ("vpc-0", False)):
        if bool(re.fullmatch(pattern, given)) is not fits:
            yield f"FleetSubnets: {given!r} is {'refused' if fits else 'let through'}"
    network = rules.get("FleetHasANetwork", {})
    if network.get("RuleCondition") != {"Fn::Equals": [{"Ref": "Fleet"}, "ec2"]}:
        yield "FleetHasANetwork: asked of everybody, or of nobody"
    asserts = [a["Assert"] for a in network.get("Assertions", [])]
    for wanted in ({"Fn::Not": [{"Fn::Equals": [{"Ref": "FleetVpc"}, ""]}]}, {"Fn::Not": [{"Fn::Equals": [{"Ref": "FleetSubnets"}, ""]}]}):
        if wanted not in asserts:
            yield f"a fleet without a network is let through: {text(wanted)}"
    for name, rule in rules.items():
        # Of other forms the service says nothing, and a rule that it cannot read keeps every stack from being made.
        if re.search(r'"Fn::Contains": \[\{|Fn::(?!Contains|Equals|And|Or|Not)', text(rule)):
            yield f"{name}: a form that is not documented"


def a_side_is_a_store_that_can_be_reached(stack):
    """A kind without the region that its endpoint follows from, without keys, or with what it does not know, is refused before anything is made."""
    of_region = ["alibaba-oss", "tencent-cos", "qiniu-kodo"]
    for side in ("Source", "Destination"):
        named = lambda what: {"Fn::Not": [{"Fn::Equals": [{"Ref": side + what}, ""]}]}
        other_than = lambda kinds: {"Fn::Not": [{"Fn::Contains": [kinds, {"Ref": side + "Kind"}]}]}
        keys = [other_than([*of_region, "google-gcs"]), named("Credentials")]
        if side == "Source":
            keys.append({"Fn::Equals": [{"Ref": "SourceInCurrentAccount"}, "false"]})
            unknown = [{"Fn::Equals": [{"Ref": "SourceRequesterPays"}, "false"]}]
        else:
            unknown = [{"Fn::Equals": [{"Ref": "DestinationExpectedOwner"}, ""]}, {"Fn::Not": [{"Fn::Equals": [{"Ref": "DestinationSse"}, "aws:kms"]}]}]
        wanted = [
            [other_than(of_region), named("Region"), named("Endpoint")],
            [{"Fn::Not": [{"Fn::Equals": [{"Ref": side + "Kind"}, "s3-compatible"]}]}, named("Endpoint")],
            *([other_than([*of_region, "google-gcs"]), one] for one in unknown),
            keys,
        ]
        rule = stack.template["Rules"].get(side + "IsAStore", {})
        if "RuleCondition" in rule or [a["Assert"] for a in rule.get("Assertions", [])] != [{"Fn::Or": one} for one in wanted]:
            yield f"{side}IsAStore: a store that cannot be reached is let through, or one that can is not"
    pattern = stack.template["Parameters"]["Facts"].get("AllowedPattern", "")
    for given, fits in (("", True), ("source-list-version=1,destination-conditions=false", True), ('multipart-threshold = "5GiB"', True), ("a=b;c", False), ("a=$x", False)):
        if bool(re.fullmatch(pattern, given)) is not fits:
            yield f"Facts: {given!r} is {'refused' if fits else 'let through'}"


def an_instance_is_closed(stack):
    data = stack.properties("FleetLaunchTemplate").get("LaunchTemplateData", {})
    if data.get("MetadataOptions") != {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1}:
        yield "credentials of the instance can be had without a token, or from a container"
    for device in data.get("BlockDeviceMappings", [{}]):
        disk = device.get("Ebs", {})
        if disk.get("Encrypted") is not True or disk.get("DeleteOnTermination") is not True:
            yield "a disk of the instance is not encrypted, or outlives it"
    if "KeyName" in data or "NetworkInterfaces" in data:
        yield "a key pair, or an address whatever the subnet says"
    groups = data.get("SecurityGroupIds")
    if groups != [{"Fn::If": ["HasSecurityGroup", {"Ref": "FleetSecurityGroup"}, {"Fn::GetAtt": ["FleetSecurity", "GroupId"]}]}]:
        yield f"the instance's security group is neither ours nor the one that is given: {groups}"
    security = stack.properties("FleetSecurity")
    if security.get("SecurityGroupIngress") or stack.of("AWS::EC2::SecurityGroupIngress"):
        yield "something is let in"
    ways = {(e.get("IpProtocol"), e.get("FromPort"), e.get("ToPort")) for e in security.get("SecurityGroupEgress", [{}])}
    if ways != {("tcp", 443, 443), ("tcp", 80, 80)}:
        yield f"more than HTTPS and HTTP is let out, or less: {ways}"


def an_instance_is_what_the_parameters_say(stack):
    data = stack.properties("FleetLaunchTemplate").get("LaunchTemplateData", {})
    if data.get("ImageId") != {"Fn::Sub": "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${Architecture}"}:
        yield f"another image than the newest of the architecture: {text(data.get('ImageId'))}"
    if data.get("InstanceType") != {"Ref": "FleetInstanceType"}:
        yield "another type than the parameter's"
    if data.get("Monitoring") != {"Enabled": True}:
        yield "metrics of five minutes are too late for alarms of one"
    if ref(data.get("IamInstanceProfile", {}).get("Arn")) != "FleetInstanceProfile" or [ref(r) for r in stack.properties("FleetInstanceProfile").get("Roles", [])] != ["FleetRole"]:
        yield "the instance has another role"
    group = stack.properties("FleetGroup")
    if (group.get("MinSize"), group.get("MaxSize"), group.get("VPCZoneIdentifier")) != ({"Ref": "FleetMin"}, {"Ref": "FleetMax"}, {"Fn::Split": [",", {"Ref": "FleetSubnets"}]}):
        yield "the group is not as large as the parameters say, or elsewhere"
    if "DesiredCapacity" in group:
        yield "each deployment sets the number of instances back"
    mixed = group.get("MixedInstancesPolicy", {})
    if mixed.get("InstancesDistribution", {}).get("OnDemandPercentageAboveBaseCapacity") != {"Fn::If": ["IsSpot", 0, 100]}:
        yield "Spot is not what the parameter says"
    template = mixed.get("LaunchTemplate", {}).get("LaunchTemplateSpecification", {})
    if template.get("Version") != {"Fn::GetAtt": ["FleetLaunchTemplate", "LatestVersionNumber"]} or "AutoScalingRollingUpdate" not in stack.resources["FleetGroup"].get("UpdatePolicy", {}):
        yield "instances stay as they were when the template changes"
    if not 86400 <= group.get("MaxInstanceLifetime", 0) <= 30 * 86400:
        yield "an instance grows old without patches"
    notices = group.get("NotificationConfigurations", [])
    if [(ref(n["TopicARN"]), n["NotificationTypes"]) for n in notices] != [("NoticeTopic", ["autoscaling:EC2_INSTANCE_LAUNCH_ERROR"])]:
        yield "nobody hears of an instance that cannot be started"


def setting_of(unit, name):
    """A number of a unit of systemd."""
    found = re.search(rf"^{name}=(\d+)$", unit, flags=re.M)
    return int(found[1]) if found else 0


def number_of(script, name):
    """A number of a script in Python."""
    found = re.search(rf"^{name} = (\d+)$", script, flags=re.M)
    return int(found[1]) if found else 0


def an_instance_drains_before_it_ends(stack):
    """Work in flight, then systemd, then Auto Scaling: each waits longer than what it waits for."""
    hooks = stack.properties("FleetGroup").get("LifecycleHookSpecificationList", [])
    if [(h.get("LifecycleTransition"), h.get("DefaultResult")) for h in hooks] != [("autoscaling:EC2_INSTANCE_TERMINATING", "CONTINUE")]:
        yield f"an instance that ends is not waited for, or for ever: {hooks}"
        return
    unit, script = stack.tree["fleet"]["tranship-worker.service"], stack.tree["fleet"]["fleet.py"]
    longest, drains = stack.tree["drain"]
    taken, margin = number_of(script, "DRAIN_SECONDS"), number_of(script, "STOP_MARGIN_SECONDS")
    if taken != drains:
        yield f"the worker drains for {drains} s, and fleet.py waits as if it were {taken}"
    if not 0 < margin or not drains + margin < hooks[0].get("HeartbeatTimeout", 3600) <= 15 * MINUTE:
        yield f"a drain of {drains} s, a stop {margin} s later and a hook of {hooks[0].get('HeartbeatTimeout')} s do not follow each other"
    if setting_of(unit, "TimeoutStopSec") <= longest + margin:
        yield f"systemd does not wait for the longest drain, of {longest} s"
    if "ExecStop=-/usr/bin/python3 -I /opt/tranship/fleet.py stop" not in unit.splitlines():
        yield "a stop takes as long as systemd allows, not as long as a drain"
    # Spot says so two minutes before.
    if drains >= 2 * MINUTE:
        yield f"a drain of {drains} s is longer than Spot waits"
    if "ExecStopPost=/usr/bin/python3 -I /opt/tranship/fleet.py ended" not in unit:
        yield "nobody says that the drain is over"
    user_data = user_data_of(stack)
    for name, wanted in (("FLEET_GROUP", stack.properties("FleetGroup").get("AutoScalingGroupName", {}).get("Fn::Sub")), ("FLEET_HOOK", hooks[0].get("LifecycleHookName")),
                         ("WORKER_FUNCTION", stack.properties("WorkerFunction").get("FunctionName", {}).get("Fn::Sub")), ("FLEET_LOG_GROUP", stack.properties("FleetLogGroup").get("LogGroupName", {}).get("Fn::Sub")),
                         ("STACK", "${AWS::StackName}"), ("AWS_REGION", "${AWS::Region}")):
        if f"\n{name}={wanted}\n" not in user_data:
            yield f"the instance takes another {name} than {wanted}"


def user_data_of(stack):
    return stack.properties("FleetLaunchTemplate").get("LaunchTemplateData", {}).get("UserData", {}).get("Fn::Base64", {}).get("Fn::Sub", "")


def user_data_brings_the_folder(stack):
    user_data = user_data_of(stack)
    if not user_data.startswith("#!/bin/bash\n") or len(user_data) > 8192:
        yield f"user data is no script, or too long for a person and for EC2: {len(user_data)} letters"
    layers = stack.of("AWS::Lambda::LayerVersion")
    if len(layers) != 1 or stack.source["Resources"].get("FleetFiles", {}).get("Properties", {}).get("ContentUri") != "fleet/":
        yield "the folder fleet/ is not deployed"
    for name in layers:
        if f"${{{name}}}" not in user_data:
            yield "user data fetches another folder"
    if re.search(r"\$\{(?!AWS::|FleetFiles)", user_data):
        yield "a variable of the shell in braces is CloudFormation's"
    if "bash /opt/tranship/setup" not in user_data:
        yield "the setup is not run"


def long_links_are_provided_for(stack):
    """BBR with fq, and buffers for 200 ms at a gigabit and more, before the worker is started."""
    set_ = dict(re.findall(r"^([a-z0-9_.]+) = (.+)$", stack.tree["fleet"]["sysctl.conf"], flags=re.M))
    if (set_.get("net.core.default_qdisc"), set_.get("net.ipv4.tcp_congestion_control")) != ("fq", "bbr"):
        yield "no BBR with fq"
    for name in ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem", "net.core.rmem_max", "net.core.wmem_max"):
        if int(set_.get(name, "0").split()[-1]) < 32 << 20:
            yield f"{name}: too little for 200 ms at a gigabit a second"
    setup = stack.tree["fleet"]["setup"]
    if not re.search(r"^kernel$\n^units$", setup, flags=re.M) or "tcp_bbr" not in setup or "/etc/sysctl.d/90-tranship.conf" not in setup:
        yield "the setup does not tell the kernel, or too late"


def the_group_grows_fast_and_shrinks_slowly(stack):
    p = {name: stack.properties(name) for name in ("FleetOut", "FleetIn", "FleetOutAlarm", "FleetInAlarm")}
    for alarm, policy in SCALES.items():
        if [ref(a) for a in p[alarm].get("AlarmActions", [])] != [policy] or ref(p[policy].get("AutoScalingGroupName")) != "FleetGroup":
            yield f"{alarm}: does not scale the group"
    steps = {name: [s["ScalingAdjustment"] for s in p[name].get("StepAdjustments", [])] for name in ("FleetOut", "FleetIn")}
    if not steps["FleetOut"] or steps["FleetOut"] != sorted(steps["FleetOut"]) or steps["FleetOut"][0] < 1 or max(steps["FleetOut"]) < 4:
        yield f"a flood is met with {steps['FleetOut']} instances"
    if steps["FleetIn"] != [-1]:
        yield f"instances end {steps['FleetIn']} at a time"
    for name, periods, than in (("FleetOutAlarm", 1, "GreaterThanThreshold"), ("FleetInAlarm", 15, "LessThanThreshold")):
        alarm = p[name]
        seconds = {m["MetricStat"]["Period"] for m in alarm.get("Metrics", []) if "MetricStat" in m}
        if alarm.get("EvaluationPeriods") != periods or seconds != {60} or alarm.get("ComparisonOperator") != than or alarm.get("Threshold") != 1:
            yield f"{name}: out after a minute, in after fifteen; here {alarm.get('EvaluationPeriods')} periods of {seconds} s, {alarm.get('ComparisonOperator')} {alarm.get('Threshold')}"
        told = {m["Id"]: (m["MetricStat"]["Metric"]["MetricName"], ref(m["MetricStat"]["Metric"]["Dimensions"][0]["Value"])) for m in alarm.get("Metrics", []) if "MetricStat" in m}
        known = {"waiting": ("ApproximateNumberOfMessagesVisible", "LargeQueue"), "flying": ("ApproximateNumberOfMessagesNotVisible", "LargeQueue"), "instances": ("GroupInServiceInstances", "FleetGroup"), "open": ("BreakerOpen", "AWS::StackName"), "paused": ("Paused", "AWS::StackName")}
        if not told or any(known.get(i) != what for i, what in told.items()):
            yield f"{name}: looks at {told}"
    # A queue that says nothing is empty.
    if (p["FleetOutAlarm"].get("TreatMissingData"), p["FleetInAlarm"].get("TreatMissingData")) != ("notBreaching", "breaching"):
        yield "a queue that has told nothing for hours starts instances, or keeps them"
    collected = stack.properties("FleetGroup").get("MetricsCollection", [{}])[0]
    if "GroupInServiceInstances" not in collected.get("Metrics", []) or collected.get("Granularity") != "1Minute":
        yield "the number of instances is not told each minute"


def the_backlog_is_per_instance(stack):
    """The alarms' arithmetic, worked out: the first message starts an instance, then each backlog another one, and none
    while the stack is halted."""
    backlog = int(stack.template["Parameters"]["FleetBacklogPerInstance"]["Default"])

    def worked_out(name, **numbers):
        metrics = {m["Id"]: m for m in stack.properties(name)["Metrics"]}
        told = (numbers.pop("open", 0), numbers.pop("paused", 0))
        # One that says nothing has nothing that could be repeated.
        numbers["halts"] = None if None in told else sum(told)
        formula = next(m["Expression"] for m in metrics.values() if "Expression" in m and m.get("ReturnData", True))
        formula = formula["Fn::Sub"].replace("${FleetBacklogPerInstance}", str(backlog)) if isinstance(formula, dict) else formula
        names = {"FILL": lambda value, otherwise: otherwise if value is None else value, "IF": lambda condition, then, otherwise: then if condition else otherwise, "__builtins__": {}}
        # CloudWatch works out both ways of an IF, and drops what is divided by zero.
        while True:
            try:
                return eval(formula, names, numbers)  # noqa: S307, a formula of the template in a world of two names
            except ZeroDivisionError:
                numbers["instances"] = float("1e-9")

    for waiting, instances, grows in ((0, 0, False), (1, 0, True), (backlog, 1, False), (backlog + 1, 1, True), (4 * backlog, 4, False), (0, 3, False)):
        value = worked_out("FleetOutAlarm", waiting=waiting, instances=instances)
        if (value > 1) is not grows:
            yield f"{waiting} messages wait for {instances} instances, and it {'does not start' if grows else 'starts'} another"
    for waiting, flying, instances, shrinks in ((0, 0, 0, False), (0, 0, 1, True), (0, 1, 1, False), (1, 1, 3, True), (0, 40, 2, False)):
        value = worked_out("FleetInAlarm", waiting=waiting, flying=flying, instances=instances)
        if (value < 1) is not shrinks:
            yield f"{waiting} messages wait and {flying} are in flight with {instances} instances, and one {'does not end' if shrinks else 'ends'}"
    for name in SCALES:
        formula = [m["Expression"] for m in stack.properties(name)["Metrics"] if m["Id"] == "halts"]
        if formula != ["FILL(open, REPEAT) + FILL(paused, REPEAT)"]:
            yield f"{name}: whether the stack is halted is {formula}; a pause counts, and the minute in which the sweep is late"
    for halt in ({"open": 1}, {"paused": 1}):
        if worked_out("FleetOutAlarm", waiting=9 * backlog, instances=0, **halt) > 1 or worked_out("FleetOutAlarm", waiting=9 * backlog, instances=2, **halt) > 1:
            yield f"an instance is started to wait: {halt}"
        if worked_out("FleetInAlarm", waiting=9 * backlog, flying=0, instances=2, **halt) >= 1:
            yield f"an instance waits and is paid for: {halt}"
        if worked_out("FleetInAlarm", waiting=9 * backlog, flying=0, instances=0, **halt) < 1:
            yield f"there is none, and one is to end: {halt}"
    if worked_out("FleetOutAlarm", waiting=9 * backlog, instances=1, open=None, paused=None) <= 1:
        yield "a sweep that is silent stops the group's growth"


def a_host_elsewhere_has_what_an_instance_has(stack):
    """The stack attaches it, so that the stack's end takes it off: IAM deletes no policy that somebody has attached."""
    if stack.template["Conditions"].get("HasHostRole") != {"Fn::And": [{"Condition": "HasLargeQueue"}, {"Fn::Not": [{"Fn::Equals": [{"Ref": "FleetHostRole"}, ""]}]}]}:
        yield "a role of a host is asked for without a queue that it could poll"
    wanted = {"Fn::If": ["HasHostRole", [{"Ref": "FleetHostRole"}], {"Ref": "AWS::NoValue"}]}
    for policy in flat(stack.properties("FleetRole").get("ManagedPolicyArns", [])):
        if stack.properties(ref(policy)).get("Roles") != wanted:
            yield f"{ref(policy)}: is not attached to the hosts' role, or to that of others"
    others = set(stack.of("AWS::IAM::ManagedPolicy")) - {ref(policy) for policy in flat(stack.properties("FleetRole").get("ManagedPolicyArns", []))}
    for name in others:
        if "Roles" in stack.properties(name):
            yield f"{name}: is more than a worker needs"


def a_worker_on_an_instance_may_do_no_more(stack):
    """What one in Lambda may, and what an instance itself needs, each of this stack's own."""
    more = rights(stack, "FleetRole") ^ rights(stack, "WorkerRole")
    if more != OF_INSTANCES:
        yield f"FleetRole and WorkerRole differ by {sorted(more ^ OF_INSTANCES)} besides"
    wanted = {
        "lambda:GetFunction": {"Fn::GetAtt": ["WorkerFunction", "Arn"]},
        "lambda:GetLayerVersion": {"Ref": next(iter(stack.of("AWS::Lambda::LayerVersion")))},
        "autoscaling:CompleteLifecycleAction": {"Fn::Sub": "arn:${AWS::Partition}:autoscaling:${AWS::Region}:${AWS::AccountId}:autoScalingGroup:*:autoScalingGroupName/" + stack.properties("FleetGroup").get("AutoScalingGroupName", {}).get("Fn::Sub", "")},
    }
    for name, statement in statements(stack):
        for action in many(statement["Action"]):
            if action in wanted and many(statement["Resource"]) != [wanted[action]]:
                yield f"{name}: {action} on {text(statement['Resource'])}"
    trust = stack.properties("FleetRole").get("AssumeRolePolicyDocument", {}).get("Statement", [])
    if [s.get("Principal") for s in trust] != [{"Service": {"Fn::Sub": "ec2.${AWS::URLSuffix}"}}]:
        yield "in China the service is called otherwise"


def the_queue_of_the_largest_is_reached(stack):
    """Who plans sends there, who works takes from there, and the finder looks at it and brings dead letters back."""
    wanted = {
        "LargeQueue": {
            "FinderRole": {"sqs:SendMessage", "sqs:GetQueueAttributes"},
            "WorkerRole": {"sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"},
            "FleetRole": {"sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"},
            "CompleterRole": {"sqs:SendMessage"},
        },
        "LargeDeadLetterQueue": {
            "FinderRole": {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
            "WorkerRole": {"sqs:SendMessage"},
            "FleetRole": {"sqs:SendMessage"},
        },
    }
    for queue, roles in wanted.items():
        for role in stack.of("AWS::IAM::Role"):
            found = {a for s in statements_of(stack, role) for a in many(s["Action"]) if queue in [ref(r) for r in flat(many(s["Resource"]))]}
            if found != roles.get(role, set()):
                yield f"{role}: {sorted(found)} on {queue}, not {sorted(roles.get(role, set()))}"


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
         and name not in ("Stack", "ref", "flat", "many", "text", "default", "statements", "statements_of", "rights", "sizes_of", "body_of", "setting_of", "number_of", "user_data_of")]
