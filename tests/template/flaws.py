"""Flaws that a template may come to have, each made on purpose. A rule has to find every one.

A flaw is given a copy of the stack and spoils it in place.
"""


def at(stack, name):
    return stack.resources[name]["Properties"]


def statement(policies, sid):
    for policy in policies:
        for one in policy["PolicyDocument"]["Statement"]:
            if isinstance(one, dict) and one.get("Sid") == sid:
                return one
    raise KeyError(sid)


def role(stack, name, sid):
    return statement(at(stack, name)["Policies"], sid)


FLAWS = {
    "the worker's batch fails as a whole": lambda s: at(s, "WorkerTasks").pop("FunctionResponseTypes"),
    "the finder's batch fails as a whole": lambda s: at(s, "FinderScans").update(FunctionResponseTypes=[]),
    "a filter on the event queue": lambda s: at(s, "S3EventMessages").update(FilterCriteria={"Filters": []}),
    "workers without bound": lambda s: at(s, "WorkerTasks").pop("ScalingConfig"),
    "more workers than are reserved": lambda s: at(s, "WorkerTasks").update(ScalingConfig={"MaximumConcurrency": {"Ref": "WorkerConcurrency"}}),
    "the finder reserves concurrency": lambda s: at(s, "FinderFunction").update(ReservedConcurrentExecutions=5),
    "workers reserve in a new account": lambda s: at(s, "WorkerFunction").update(ReservedConcurrentExecutions=100),
    "ten tasks in a batch": lambda s: at(s, "WorkerTasks").update(BatchSize=10),
    "a large batch without a window": lambda s: at(s, "S3EventMessages").pop("MaximumBatchingWindowInSeconds"),
    "the worker takes events": lambda s: at(s, "WorkerTasks").update(EventSourceArn={"Fn::GetAtt": ["EventQueue", "Arn"]}),
    "a worker of 15 minutes": lambda s: at(s, "WorkerFunction").update(Timeout=900),
    "visibility of one function's time": lambda s: at(s, "TransferQueue").update(VisibilityTimeout=180),
    "visibility without the window": lambda s: at(s, "EventQueue").update(VisibilityTimeout=360),
    "no visibility at all": lambda s: at(s, "ScanQueue").pop("VisibilityTimeout"),
    "no dead letters": lambda s: at(s, "TransferQueue").pop("RedrivePolicy"),
    "dead letters of another queue": lambda s: at(s, "ScanQueue")["RedrivePolicy"].update(deadLetterTargetArn={"Fn::GetAtt": ["EventDeadLetterQueue", "Arn"]}),
    "five receives": lambda s: at(s, "TransferQueue")["RedrivePolicy"].update(maxReceiveCount=5),
    "dead letters that die with their queue": lambda s: at(s, "EventDeadLetterQueue").update(MessageRetentionPeriod=604800),
    "any queue's dead letters": lambda s: at(s, "ScanDeadLetterQueue").pop("RedriveAllowPolicy"),
    "a smaller message": lambda s: at(s, "EventQueue").update(MaximumMessageSize=1024),
    "a queue in the clear": lambda s: at(s, "TransferQueue").pop("SqsManagedSseEnabled"),
    "a queue that ignores the key": lambda s: at(s, "ScanQueue").pop("KmsMasterKeyId"),
    "queues without TLS": lambda s: s.resources.pop("QueuePolicy"),
    "a bucket without TLS": lambda s: s.resources.pop("StackBucketPolicy"),
    "TLS that is only advised": lambda s: at(s, "EventQueuePolicy")["PolicyDocument"]["Statement"][0].update(Effect="Allow"),
    "S3 of any account": lambda s: at(s, "EventQueuePolicy")["PolicyDocument"]["Statement"][1]["Fn::If"][1]["Condition"].pop("StringEquals"),
    "any bucket": lambda s: at(s, "EventQueuePolicy")["PolicyDocument"]["Statement"][1]["Fn::If"][1]["Condition"].pop("ArnEquals"),
    "S3 sends tasks": lambda s: at(s, "QueuePolicy")["PolicyDocument"]["Statement"].append(at(s, "EventQueuePolicy")["PolicyDocument"]["Statement"][1]["Fn::If"][1]),
    "Lambda of any account": lambda s: at(s, "WorkerRole")["AssumeRolePolicyDocument"]["Statement"][0].pop("Condition"),
    "s3:* on the destination": lambda s: at(s, "DestinationPolicy")["PolicyDocument"]["Statement"][0].update(Action="s3:*"),
    "reading every bucket": lambda s: at(s, "SourcePolicy")["PolicyDocument"]["Statement"][1].update(Resource="*"),
    "AmazonS3FullAccess": lambda s: at(s, "WorkerRole")["ManagedPolicyArns"].append("arn:aws:iam::aws:policy/AmazonS3FullAccess"),
    "every secret": lambda s: at(s, "SecretsPolicy")["PolicyDocument"]["Statement"][0].update(Resource="*"),
    "any mapping": lambda s: at(s, "EnginePolicy")["PolicyDocument"]["Statement"][4].update(Resource="*"),
    "rights on a bucket that a secret opens": lambda s: s.resources["SourcePolicy"].pop("Condition"),
    "no ListBucket at the destination": lambda s: at(s, "DestinationPolicy")["PolicyDocument"]["Statement"][0].update(Action=["s3:ListBucketMultipartUploads"]),
    "conditions without the right to read": lambda s: at(s, "DestinationPolicy")["PolicyDocument"]["Statement"][1].update(Action=["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]),
    "the completer deletes": lambda s: at(s, "CompleterRole")["Policies"][0]["PolicyDocument"]["Statement"].append({"Effect": "Allow", "Action": ["s3:DeleteObject"], "Resource": "x"}),
    "a right that a function uses is gone": lambda s: role(s, "WorkerRole", "TakeTasks").update(Action=["sqs:ReceiveMessage", "sqs:DeleteMessage"]),
    "functions make log groups": lambda s: role(s, "FinderRole", "Logs").update(Action=["logs:CreateLogGroup", "logs:CreateLogStream"]),
    "two functions share a role": lambda s: at(s, "CompleterFunction").update(Role={"Fn::GetAtt": ["WorkerRole", "Arn"]}),
    "no tracing": lambda s: at(s, "FinderFunction").pop("TracingConfig"),
    "a log group of nobody": lambda s: at(s, "WorkerFunction").pop("LoggingConfig"),
    "loops are allowed": lambda s: at(s, "FinderFunction").update(RecursiveLoop="Allow"),
    "one architecture only": lambda s: at(s, "WorkerFunction").update(Architectures=["x86_64"]),
    "a function without a folder": lambda s: at(s, "WorkerFunction").update(FunctionName={"Fn::Sub": "${AWS::StackName}-copier"}),
    "a table without its index": lambda s: at(s, "LedgerTable").pop("GlobalSecondaryIndexes"),
    "an index of everything": lambda s: at(s, "LedgerTable")["GlobalSecondaryIndexes"][0].update(Projection={"ProjectionType": "ALL"}),
    "rows for ever": lambda s: at(s, "LedgerTable").pop("TimeToLiveSpecification"),
    "no point in time": lambda s: at(s, "LedgerTable").pop("PointInTimeRecoverySpecification"),
    "provisioned capacity": lambda s: at(s, "LedgerTable").update(BillingMode="PROVISIONED"),
    "no deletion protection": lambda s: at(s, "LedgerTable").pop("DeletionProtectionEnabled"),
    "a ledger that goes with the stack": lambda s: s.resources["LedgerTable"].pop("DeletionPolicy"),
    "a public bucket": lambda s: at(s, "StackBucket").pop("PublicAccessBlockConfiguration"),
    "logs for ever": lambda s: at(s, "WorkerLogGroup").pop("RetentionInDays"),
    "executions unseen": lambda s: at(s, "CompletionStateMachine").pop("LoggingConfiguration"),
    "executions untraced": lambda s: at(s, "CompletionStateMachine").pop("TracingConfiguration"),
    "Standard by default": lambda s: s.template["Parameters"]["StateMachineType"].update(Default="STANDARD"),
    "another machine's name": lambda s: at(s, "CompletionStateMachine").update(StateMachineName={"Fn::Sub": "${AWS::StackName}-completer"}),
    "an execution of ten minutes": lambda s: s.machine.update(TimeoutSeconds=600),
    "an error that nobody knows": lambda s: s.machine["States"]["Complete"]["Retry"][0]["ErrorEquals"].append("Tranship.Busy"),
    "an error that is not caught": lambda s: s.machine["States"]["Complete"].update(Catch=s.machine["States"]["Complete"]["Catch"][:1]),
    "a halt that is repeated": lambda s: s.machine["States"]["Complete"]["Retry"][0]["ErrorEquals"].append("Tranship.Halted"),
    "retries that come together": lambda s: s.machine["States"]["Complete"]["Retry"][0].pop("JitterStrategy"),
    "a task shorter than its function": lambda s: s.machine["States"]["Complete"].update(TimeoutSeconds=60),
    "a poll": lambda s: s.machine["States"].update(Wait={"Type": "Wait", "Seconds": 60, "Next": "Complete"}),
    "a state that is not there": lambda s: s.machine.update(StartAt="Begin"),
    "a setting that is not set": lambda s: at(s, "WorkerFunction")["Environment"]["Variables"].pop("TRANSHIP_COMPARE"),
    "a setting that nobody reads": lambda s: at(s, "FinderFunction")["Environment"]["Variables"].update(TRANSHIP_SHARDS="1"),
    "a parameter that changes nothing": lambda s: s.template["Parameters"].update(Speed={"Type": "String", "Default": "fast"}),
    "a bucket name is not enough": lambda s: s.template["Parameters"]["SourceRegion"].pop("Default"),
    "deletes by default": lambda s: s.template["Parameters"]["Delete"].update(Default="true"),
    "an ACL by default": lambda s: s.template["Parameters"]["DestinationAcl"].update(Default="private"),
    "messages of 1 MiB by default": lambda s: s.template["Parameters"]["MessageBytesMax"].update(Default=1048576),
    "a schedule without dead letters": lambda s: at(s, "RunSchedule")["Target"].pop("DeadLetterConfig"),
    "no sweep": lambda s: s.resources.pop("SweepScheduleRule"),
    "a schedule of once": lambda s: s.resources["RunSchedule"].pop("Condition"),
    "an alarm that nobody hears": lambda s: at(s, "BreakerOpenAlarm").pop("AlarmActions"),
    "no alarm for dead letters": lambda s: s.resources.pop("TransferDeadLettersAlarm"),
    "no alarm for incomplete runs": lambda s: s.resources.pop("RunsIncompleteAlarm"),
    "an alarm for a metric that nobody emits": lambda s: at(s, "UploadsParkedAlarm").update(MetricName="UploadsGivenUp"),
    "no e-mail": lambda s: s.resources.pop("NoticeEmail"),
    "one partition only": lambda s: at(s, "DestinationPolicy")["PolicyDocument"]["Statement"][0].update(Resource="arn:aws:s3:::bucket"),
    "a queue without a tag": lambda s: at(s, "ScanQueue").pop("Tags"),
    "no way to the dashboard": lambda s: s.template["Outputs"].pop("DashboardUrl"),
}
