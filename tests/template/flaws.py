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


def instance(stack):
    return at(stack, "FleetLaunchTemplate")["LaunchTemplateData"]


def says(stack, old, new):
    """Another user data."""
    user_data = instance(stack)["UserData"]["Fn::Base64"]
    assert old in user_data["Fn::Sub"], old
    user_data["Fn::Sub"] = user_data["Fn::Sub"].replace(old, new)


def file(stack, name, old, new):
    """Another file of the folder that instances fetch. The tree is the flaw's own."""
    assert old in stack.tree["fleet"][name], old
    stack.tree["fleet"][name] = stack.tree["fleet"][name].replace(old, new)


def metric(stack, alarm, name):
    return next(m for m in at(stack, alarm)["Metrics"] if m["Id"] == name)


def widgets(stack, name):
    return stack.resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][1][name]["Fn::If"][1]


def shown(stack, name, old, new):
    assert old in widgets(stack, name)["Fn::Sub"], old
    widgets(stack, name)["Fn::Sub"] = widgets(stack, name)["Fn::Sub"].replace(old, new)


def types(stack):
    return stack.template["Rules"]["FleetIsOfArm64"]["Assertions"][0]["Assert"]["Fn::Contains"][0]


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
    "a level that the functions do not know": lambda s: s.template["Parameters"]["LogLevel"]["AllowedValues"].append("trace"),
    "a word that the template does not admit": lambda s: s.template["Parameters"]["Compare"]["AllowedValues"].remove("size+time"),
    "another default than the functions'": lambda s: s.template["Parameters"]["Streams"].update(Default=64),
    "a number that the functions refuse": lambda s: s.template["Parameters"]["RunDeadlineHours"].update(MaxValue=1000),
    "an environment that is full": lambda s: at(s, "WorkerFunction")["Environment"]["Variables"].update(TRANSHIP_LOG="x" * 700),
    "a statement about two queues": lambda s: at(s, "QueuePolicy")["PolicyDocument"]["Statement"][0].update(Resource=[{"Fn::GetAtt": ["ScanQueue", "Arn"]}, {"Fn::GetAtt": ["TransferQueue", "Arn"]}]),
    "a policy of one queue on another": lambda s: at(s, "EventDeadLetterQueuePolicy").update(Queues=[{"Ref": "ScanDeadLetterQueue"}]),
    "a table that ignores the key": lambda s: at(s, "LedgerTable").pop("SSESpecification"),
    "a topic that ignores the key": lambda s: at(s, "NoticeTopic").pop("KmsMasterKeyId"),
    "a role that may not use the key": lambda s: at(s, "NotificationRole").pop("ManagedPolicyArns"),
    "the binary of another function": lambda s: s.source["Resources"]["WorkerFunction"]["Metadata"]["BuildProperties"].update(Binary="finder"),
    "the folder of another function": lambda s: s.source["Resources"]["CompleterFunction"]["Properties"].update(CodeUri="functions/worker"),
    "a policy for a rule that is not there": lambda s: at(s, "SourceEventRule").update(Name={"Fn::Sub": "${AWS::StackName}-events"}),
    "the breaker switches another function": lambda s: at(s, "EnginePolicy")["PolicyDocument"]["Statement"][4]["Condition"]["ArnEquals"]["lambda:FunctionArn"][0].update({"Fn::Sub": "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${AWS::StackName}-copier"}),
    "dead letters that refuse their queue's": lambda s: at(s, "TransferQueue").update(QueueName={"Fn::Sub": "${AWS::StackName}-tasks"}),
    "the worker's breaker on the finder": lambda s: at(s, "FinderFunction")["Environment"]["Variables"].update(TRANSHIP_WORKER_FUNCTION={"Fn::Sub": "${AWS::StackName}-finder"}),
    "tasks into the scan queue": lambda s: at(s, "FinderFunction")["Environment"]["Variables"].update(TRANSHIP_TRANSFER_QUEUE_URL={"Ref": "ScanQueue"}),
    "a machine that cannot be replaced": lambda s: at(s, "CompletionStateMachine").update(StateMachineName={"Fn::Sub": "${AWS::StackName}-completion"}),
    "summaries of other stacks": lambda s: at(s, "SummaryRule")["EventPattern"].pop("detail"),
    "a summary that nobody sends": lambda s: at(s, "SummaryRule")["EventPattern"].update({"detail-type": ["tranship run finished"]}),
    "a field that no report has": lambda s: at(s, "SummaryRule")["Targets"][0]["InputTransformer"]["InputPathsMap"].update(state="$.detail.status"),
    "events under any name": lambda s: role(s, "FinderRole", "Notices").pop("Condition"),
    "an event that is lost when s3-event fails": lambda s: at(s, "S3EventFunction").pop("DeadLetterConfig"),
    "summaries among the events' dead letters": lambda s: at(s, "SummaryRule")["Targets"][0].update(DeadLetterConfig={"Arn": {"Fn::GetAtt": ["EventDeadLetterQueue", "Arn"]}}),
    "a stack that waits for an hour": lambda s: at(s, "SourceNotification").pop("ServiceTimeout"),
    "a sweep that stops unheard": lambda s: at(s, "SweepSilentAlarm").update(TreatMissingData="notBreaching"),
    "a right that nobody uses": lambda s: role(s, "WorkerRole", "TakeTasks")["Action"].append("sqs:PurgeQueue"),
    # The fleet.
    "instances by default": lambda s: s.template["Parameters"]["Fleet"].update(Default="ec2"),
    "instances that never go": lambda s: s.template["Parameters"]["FleetMin"].update(Default=1),
    "Spot by default": lambda s: s.template["Parameters"]["FleetSpot"].update(Default="true"),
    "a queue of the largest objects without a fleet": lambda s: s.resources["LargeQueue"].pop("Condition"),
    "a role of instances without a fleet": lambda s: s.resources["FleetRole"].pop("Condition"),
    "the folder is deployed without a fleet": lambda s: next(iter(s.of("AWS::Lambda::LayerVersion").values())).pop("Condition"),
    "a security group beside the one that is given": lambda s: s.resources["FleetSecurity"].update(Condition="HasFleet"),
    "a fleet whatever the size says": lambda s: s.template["Conditions"].update(HasLargeQueue={"Fn::Not": [{"Fn::Equals": [{"Ref": "Fleet"}, "off"]}]}),
    "instances of whoever runs it elsewhere": lambda s: s.template["Conditions"].update(HasFleet={"Condition": "HasLargeQueue"}),
    "an alarm that nobody has thought of": lambda s: s.resources.update(FleetCostAlarm=s.resources["FleetAbsentAlarm"]),
    "an output of what is not there": lambda s: s.template["Outputs"]["LargeQueueUrl"].pop("Condition"),
    "large objects without a queue": lambda s: at(s, "FinderFunction")["Environment"]["Variables"].update(TRANSHIP_LARGE_OBJECT_MIB={"Ref": "LargeObjectMiB"}),
    "a fleet without a VPC": lambda s: s.template["Rules"]["FleetHasANetwork"]["Assertions"].pop(0),
    "a fleet without subnets": lambda s: s.template["Rules"]["FleetHasANetwork"]["Assertions"].pop(1),
    "subnets with spaces": lambda s: s.template["Parameters"]["FleetSubnets"].update(AllowedPattern="[a-z0-9, -]*"),
    "a rule that the service may not read": lambda s: s.template["Rules"]["FleetHasANetwork"]["Assertions"][1].update(Assert={"Fn::Not": [{"Fn::Contains": [{"Ref": "FleetSubnets"}, ""]}]}),
    "a network for a fleet that is off": lambda s: s.template["Rules"]["FleetHasANetwork"].pop("RuleCondition"),
    "Graviton for a package of Intel's": lambda s: s.template["Rules"]["FleetIsOfX86"]["Assertions"][0]["Assert"]["Fn::Contains"][0].append("t4g.small"),
    "a type that no rule lets through": lambda s: types(s).remove("c7gn.medium"),
    "a type of Intel's that runs on Graviton": lambda s: types(s).append("t3.small"),
    "no rule for arm64": lambda s: s.template["Rules"].pop("FleetIsOfArm64"),
    "a default type of the other architecture": lambda s: s.template["Parameters"]["FleetInstanceType"].update(Default="t3.small"),
    "a source without a region": lambda s: s.template["Rules"]["SourceIsAStore"]["Assertions"].pop(0),
    "an owner that the destination is never told of": lambda s: s.template["Rules"]["DestinationIsAStore"]["Assertions"].pop(2),
    "a destination that nobody has keys for": lambda s: s.template["Rules"]["DestinationIsAStore"]["Assertions"].pop(),
    "no rule for the kind of the destination": lambda s: s.template["Rules"].pop("DestinationIsAStore"),
    "a kind that the functions do not know": lambda s: s.template["Parameters"]["DestinationKind"]["AllowedValues"].append("azure-blob"),
    "a kind that only one side may have": lambda s: s.template["Parameters"]["DestinationKind"]["AllowedValues"].remove("qiniu-kodo"),
    "another kind by default": lambda s: s.template["Parameters"]["DestinationKind"].update(Default="s3-compatible"),
    "facts that break a line": lambda s: s.template["Parameters"]["Facts"].update(AllowedPattern=".*"),
    "metadata without a token": lambda s: instance(s)["MetadataOptions"].update(HttpTokens="optional"),
    "metadata for containers": lambda s: instance(s)["MetadataOptions"].update(HttpPutResponseHopLimit=2),
    "a disk in the clear": lambda s: instance(s)["BlockDeviceMappings"][0]["Ebs"].update(Encrypted=False),
    "a disk that stays": lambda s: instance(s)["BlockDeviceMappings"][0]["Ebs"].update(DeleteOnTermination=False),
    "a key pair": lambda s: instance(s).update(KeyName="mine"),
    "an open port": lambda s: at(s, "FleetSecurity").update(SecurityGroupIngress=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}]),
    "everything is let out": lambda s: at(s, "FleetSecurity").update(SecurityGroupEgress=[{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}]),
    "the security group that is given is not used": lambda s: instance(s).update(SecurityGroupIds=[{"Fn::GetAtt": ["FleetSecurity", "GroupId"]}]),
    "an image that stays": lambda s: instance(s).update(ImageId="ami-0123456789abcdef0"),
    "an image of one architecture": lambda s: instance(s).update(ImageId={"Fn::Sub": "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"}),
    "a type that is not the parameter's": lambda s: instance(s).update(InstanceType="t4g.small"),
    "metrics of five minutes": lambda s: instance(s).pop("Monitoring"),
    "an instance with the role of a function": lambda s: at(s, "FleetInstanceProfile").update(Roles=[{"Ref": "WorkerRole"}]),
    "four instances at once": lambda s: at(s, "FleetGroup").update(MinSize=4),
    "each deployment ends all instances": lambda s: at(s, "FleetGroup").update(DesiredCapacity=0),
    "Spot always": lambda s: at(s, "FleetGroup")["MixedInstancesPolicy"]["InstancesDistribution"].update(OnDemandPercentageAboveBaseCapacity=0),
    "a template that stays": lambda s: s.resources["FleetGroup"].pop("UpdatePolicy"),
    "an instance for years": lambda s: at(s, "FleetGroup").pop("MaxInstanceLifetime"),
    "an instance that cannot be started, unheard": lambda s: at(s, "FleetGroup").pop("NotificationConfigurations"),
    "no hook": lambda s: at(s, "FleetGroup").pop("LifecycleHookSpecificationList"),
    "a worker that takes itself for a longer one": lambda s: at(s, "WorkerFunction").update(Timeout=170),
    "a hook that is shorter than a drain": lambda s: at(s, "FleetGroup")["LifecycleHookSpecificationList"][0].update(HeartbeatTimeout=60),
    "an instance that is kept when it says nothing": lambda s: at(s, "FleetGroup")["LifecycleHookSpecificationList"][0].update(DefaultResult="ABANDON"),
    "a hook of another name": lambda s: at(s, "FleetGroup")["LifecycleHookSpecificationList"][0].update(LifecycleHookName="end"),
    "systemd kills before the longest drain is over": lambda s: file(s, "tranship-worker.service", "TimeoutStopSec=3660", "TimeoutStopSec=120"),
    "a stop that takes an hour": lambda s: file(s, "tranship-worker.service", "ExecStop=-", "ExecStopPost=-"),
    "a stop that fails starts the worker again": lambda s: file(s, "tranship-worker.service", "ExecStop=-", "ExecStop="),
    "a stop that is shorter than the drain": lambda s: file(s, "fleet.py", "DRAIN_SECONDS = 90", "DRAIN_SECONDS = 60"),
    "a stop that leaves no time to hand back": lambda s: file(s, "fleet.py", "STOP_MARGIN_SECONDS = 30", "STOP_MARGIN_SECONDS = 0"),
    "a drain that Spot does not wait for": lambda s: s.tree.update(drain=(3_600, 120)) or file(s, "fleet.py", "DRAIN_SECONDS = 90", "DRAIN_SECONDS = 120"),
    "a drain that nobody hears of": lambda s: file(s, "tranship-worker.service", "ExecStopPost", "ExecStop"),
    "the package of another function": lambda s: says(s, "WORKER_FUNCTION=${AWS::StackName}-worker", "WORKER_FUNCTION=${AWS::StackName}-finder"),
    "logs into another group": lambda s: says(s, "FLEET_LOG_GROUP=/tranship/", "FLEET_LOG_GROUP=/aws/"),
    "a group of another name": lambda s: at(s, "FleetGroup").update(AutoScalingGroupName={"Fn::Sub": "${AWS::StackName}-instances"}),
    "user data that is no script": lambda s: says(s, "#!/bin/bash", "#cloud-config"),
    "a variable that CloudFormation takes": lambda s: says(s, '"$place"', '"${place}"'),
    "user data without the setup": lambda s: says(s, "bash /opt/tranship/setup", "true"),
    "another folder": lambda s: s.source["Resources"]["FleetFiles"]["Properties"].update(ContentUri="events/"),
    "user data fetches a layer of others": lambda s: says(s, f"${{{next(iter(s.of('AWS::Lambda::LayerVersion')))}}}", "arn:x"),
    "CUBIC": lambda s: file(s, "sysctl.conf", "= bbr", "= cubic"),
    "BBR without fq": lambda s: file(s, "sysctl.conf", "= fq", "= fq_codel"),
    "small buffers": lambda s: file(s, "sysctl.conf", "tcp_rmem = 4096 131072 67108864", "tcp_rmem = 4096 131072 6291456"),
    "a kernel that is told too late": lambda s: file(s, "setup", "\nkernel\nunits\n", "\nunits\nkernel\n"),
    "out after five minutes": lambda s: at(s, "FleetOutAlarm").update(EvaluationPeriods=5),
    "in after a minute": lambda s: at(s, "FleetInAlarm").update(EvaluationPeriods=1),
    "all instances end at once": lambda s: at(s, "FleetIn")["StepAdjustments"][0].update(ScalingAdjustment=-4),
    "one at a time in a flood": lambda s: at(s, "FleetOut").update(StepAdjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]),
    "an alarm that scales the wrong way": lambda s: at(s, "FleetOutAlarm").update(AlarmActions=[{"Ref": "FleetIn"}]),
    "an alarm that looks at another queue": lambda s: metric(s, "FleetOutAlarm", "waiting")["MetricStat"]["Metric"].update(Dimensions=[{"Name": "QueueName", "Value": {"Fn::GetAtt": ["TransferQueue", "QueueName"]}}]),
    "a silent queue keeps its instances": lambda s: at(s, "FleetInAlarm").update(TreatMissingData="notBreaching"),
    "nobody counts the instances": lambda s: at(s, "FleetGroup").pop("MetricsCollection"),
    "a first message that waits for fifteen others": lambda s: metric(s, "FleetOutAlarm", "backlogs").update(Expression={"Fn::Sub": "waiting / (IF(instances < 1, 1, instances) * ${FleetBacklogPerInstance})"}),
    "a backlog of all instances together": lambda s: metric(s, "FleetOutAlarm", "backlogs").update(Expression={"Fn::Sub": "IF(waiting < 1, 0, IF(instances < 1, 2, waiting / ${FleetBacklogPerInstance}))"}),
    "what is in flight counts for nothing": lambda s: metric(s, "FleetInAlarm", "tasks").update(Expression="IF(instances < 1, 1, waiting / instances)"),
    "instances that are started to wait": lambda s: metric(s, "FleetOutAlarm", "backlogs")["Expression"].update({"Fn::Sub": metric(s, "FleetOutAlarm", "backlogs")["Expression"]["Fn::Sub"].replace("FILL(halts, 0) > 0", "0 > 1")}),
    "instances that wait until somebody resumes": lambda s: metric(s, "FleetInAlarm", "tasks").update(Expression=metric(s, "FleetInAlarm", "tasks")["Expression"].replace("FILL(halts, 0) > 0", "0 > 1")),
    "a pause that is no halt": lambda s: metric(s, "FleetOutAlarm", "halts").update(Expression="FILL(open, REPEAT)"),
    "a minute without a sweep starts instances": lambda s: metric(s, "FleetOutAlarm", "halts").update(Expression="FILL(open, 0) + FILL(paused, 0)"),
    "a sweep that is late stops the growth": lambda s: metric(s, "FleetOutAlarm", "backlogs")["Expression"].update({"Fn::Sub": metric(s, "FleetOutAlarm", "backlogs")["Expression"]["Fn::Sub"].replace("FILL(halts, 0)", "FILL(halts, 1)")}),
    "a breaker of another stack": lambda s: metric(s, "FleetInAlarm", "open")["MetricStat"]["Metric"].update(Dimensions=[{"Name": "Stack", "Value": "photos"}]),
    "a host that lacks a policy": lambda s: at(s, "DestinationWritePolicy").pop("Roles"),
    "policies that stay attached when the option is off": lambda s: at(s, "EnginePolicy").update(Roles=[{"Ref": "FleetHostRole"}]),
    "a host's role without a fleet": lambda s: s.template["Conditions"].update(HasHostRole={"Fn::Not": [{"Fn::Equals": [{"Ref": "FleetHostRole"}, ""]}]}),
    "an instance makes itself at home": lambda s: role(s, "FleetRole", "Files")["Action"].append("iam:PassRole"),
    "an instance ends others' instances": lambda s: role(s, "FleetRole", "Ends").update(Resource={"Fn::Sub": "arn:${AWS::Partition}:autoscaling:${AWS::Region}:${AWS::AccountId}:autoScalingGroup:*:autoScalingGroupName/*"}),
    "an instance reads every function": lambda s: statement([at(s, "FleetPolicy")], "Package").update(Resource="*"),
    "AmazonSSMManagedInstanceCore": lambda s: at(s, "FleetRole")["ManagedPolicyArns"].append({"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"}),
    "an instance that does not write": lambda s: at(s, "FleetRole")["ManagedPolicyArns"].remove({"Fn::If": ["DestinationByRole", {"Ref": "DestinationWritePolicy"}, {"Ref": "AWS::NoValue"}]}),
    "no instances in China": lambda s: at(s, "FleetRole")["AssumeRolePolicyDocument"]["Statement"][0].update(Principal={"Service": "ec2.amazonaws.com"}),
    "who plans cannot send to the largest": lambda s: statement([at(s, "EnginePolicy")], "Tasks").update(Resource={"Fn::GetAtt": ["TransferQueue", "Arn"]}),
    "an instance that may not read its queue": lambda s: statement([at(s, "FleetPolicy")], "TakeTasks").update(Resource={"Fn::GetAtt": ["TransferQueue", "Arn"]}),
    "functions that cannot step in": lambda s: role(s, "WorkerRole", "TakeTasks").update(Resource={"Fn::GetAtt": ["TransferQueue", "Arn"]}),
    "dead letters of the largest that stay": lambda s: role(s, "FinderRole", "Redrive")["Resource"].pop(),
    "the finder does not see the largest": lambda s: role(s, "FinderRole", "Depths")["Resource"].pop(),
    "functions beside the fleet": lambda s: at(s, "LargeTasks").pop("Enabled"),
    "nobody but the fleet": lambda s: s.resources.pop("LargeTasks"),
    "two mappings for what is reserved": lambda s: at(s, "LargeTasks").update(ScalingConfig={"MaximumConcurrency": {"Fn::If": ["Reserves", {"Ref": "WorkerReservedConcurrency"}, {"Ref": "WorkerConcurrency"}]}}),
    "the largest without dead letters": lambda s: at(s, "LargeQueue").pop("RedrivePolicy"),
    "the largest in the clear": lambda s: at(s, "LargeQueue").pop("SqsManagedSseEnabled"),
    "the largest without TLS": lambda s: at(s, "QueuePolicy")["Queues"].pop(),
    "the largest come back while a function works": lambda s: at(s, "LargeQueue").update(VisibilityTimeout=180),
    "no alarm for the largest's dead letters": lambda s: s.resources.pop("LargeDeadLettersAlarm"),
    "no alarm for a fleet that is not there": lambda s: s.resources.pop("FleetAbsentAlarm"),
    "an alarm for a fleet that nobody hears": lambda s: at(s, "FleetTroubledAlarm").pop("AlarmActions"),
    "the largest's queue is another one": lambda s: at(s, "WorkerFunction")["Environment"]["Variables"].update(TRANSHIP_LARGE_QUEUE_URL={"Ref": "TransferQueue"}) or at(s, "FinderFunction")["Environment"]["Variables"].update(TRANSHIP_LARGE_QUEUE_URL={"Ref": "TransferQueue"}),
    "a setting of instances for all functions": lambda s: at(s, "WorkerFunction")["Environment"]["Variables"].update(TRANSHIP_FLEET_STREAMS="8"),
    "a dashboard that is no JSON with a fleet": lambda s: shown(s, "Fleet", ',{"type"', '{"type"'),
    "widgets that cover each other": lambda s: shown(s, "Fleet", '"x": 16, "y": 36', '"x": 8, "y": 36'),
    "draining is not seen": lambda s: shown(s, "Large", '["tranship", "FleetDraining", "Stack", "${AWS::StackName}"]', '["tranship", "FleetAbsent", "Stack", "${AWS::StackName}"]'),
    "instances without a tag": lambda s: instance(s).pop("TagSpecifications"),
    "a group without a tag": lambda s: at(s, "FleetGroup").pop("Tags"),
    "logs of instances for ever": lambda s: at(s, "FleetLogGroup").pop("RetentionInDays"),
    "an instance that may not use the key": lambda s: at(s, "FleetRole")["ManagedPolicyArns"].pop(),
}
