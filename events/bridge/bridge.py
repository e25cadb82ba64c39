"""Posts what changed in a bucket of another cloud to the event queue of a stack.

One file without dependencies, for Alibaba Cloud Function Compute (handler `bridge.oss`) and Tencent
Cloud SCF (handler `bridge.cos`), Python 3.9 or newer. Both read from the environment:

    QUEUE_URL              the stack's output EventQueueUrl
    AWS_ACCESS_KEY_ID      of an IAM user that may do sqs:SendMessage on that queue, and nothing else
    AWS_SECRET_ACCESS_KEY

An event is only a reason to look, so duplicates and disorder do no harm. An error is raised, so that
the cloud calls again.
"""

import datetime
import hashlib
import hmac
import json
import os
import urllib.error
import urllib.parse
import urllib.request

# Bytes of a message that SQS takes in every partition.
MESSAGE_BYTES_MAX = 262_144
TIMEOUT_S = 10
# Steps of an upload that has not become an object, or never will.
OSS_NO_CHANGE = {"InitiateMultipartUpload", "UploadPart", "UploadPartCopy", "AbortMultipartUpload"}


def oss(event, context):
    """Handler of Function Compute with an OSS trigger: the event is JSON in bytes."""
    return post(from_oss(json.loads(event)))


def cos(event, context):
    """Handler of SCF with a COS trigger: the event is an object already."""
    return post(from_cos(event))


def from_oss(event):
    """What OSS says, in the plain form that the queue takes."""
    messages = []
    for record in event["events"]:
        name, of = record["eventName"], record["oss"]
        group, _, what = name.partition(":")
        if what in OSS_NO_CHANGE:
            continue
        if "ObjectRemoved" in (group, what):
            change = {"deleted": True}
        elif group in ("ObjectCreated", "ObjectReplication", "ObjectRestore"):
            change = {"size": of["object"].get("size")}
        else:
            continue
        messages.append({"bucket": of["bucket"]["name"], "key": of["object"]["key"], **change})
    return messages


def from_cos(event):
    """What COS says, in the plain form. Its keys begin with /APPID/BUCKET/, which is cut off."""
    messages = []
    for record in event["Records"]:
        name, of = record["event"]["eventName"], record["cos"]
        bucket, appid = of["cosBucket"]["name"], of["cosBucket"]["appid"]
        key, start = of["cosObject"]["key"], f"/{appid}/{bucket}/"
        if not key.startswith(start):
            raise ValueError(f"the key {key!r} does not begin with {start!r}")
        if name.startswith("cos:ObjectRemove"):
            change = {"deleted": True}
        elif name.startswith("cos:ObjectCreated:") or name == "cos:ObjectRestore:Completed":
            change = {"size": of["cosObject"].get("size")}
        else:
            continue
        messages.append({"bucket": f"{bucket}-{appid}", "key": key[len(start) :], **change})
    return messages


def post(messages):
    """Sends them as one message, or each by itself where together they are too long."""
    if not messages:
        return "0 changes"
    # ASCII, so that neither a control character nor half of a pair is refused.
    body = json.dumps(messages)
    bodies = [body] if len(body) <= MESSAGE_BYTES_MAX else [json.dumps(one) for one in messages]
    for body in bodies:
        request = request_of(os.environ, body, datetime.datetime.now(datetime.timezone.utc))
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"SQS answers {error.code}: {error.read(500)!r}") from None
    return f"{len(messages)} changes"


def request_of(environment, body, now):
    """SendMessage of SQS, signed with AWS Signature Version 4."""
    queue_url = environment["QUEUE_URL"]
    host = urllib.parse.urlsplit(queue_url).netloc
    # sqs.eu-central-1.amazonaws.com, sqs.cn-north-1.amazonaws.com.cn
    region = host.split(".")[1]
    payload = json.dumps({"QueueUrl": queue_url, "MessageBody": body}).encode()
    time = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "host": host,
        "x-amz-date": time,
        "x-amz-target": "AmazonSQS.SendMessage",
    }
    names = ";".join(headers)
    canonical = "\n".join(
        ["POST", "/", ""]
        + [f"{name}:{value}" for name, value in headers.items()]
        + ["", names, hashlib.sha256(payload).hexdigest()]
    )
    scope = f"{time[:8]}/{region}/sqs/aws4_request"
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", time, scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = ("AWS4" + environment["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in (*scope.split("/"), to_sign):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    credential = f"{environment['AWS_ACCESS_KEY_ID']}/{scope}"
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={key.hex()}"
    )
    return urllib.request.Request(f"https://{host}/", data=payload, headers=headers)
