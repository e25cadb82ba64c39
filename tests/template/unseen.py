"""Rights that the end-to-end suite need not see a function use, each with the reason that it stays.

Who used what is in `used-actions.json`. A right that is neither used nor named here fails a test.
"""

ALL = ("finder", "worker", "completer", "s3-event", "notification")
ENGINE = ("finder", "worker", "completer")

# Functions, rights, and why the suite does not show them.
EXCUSES = (
    (ALL, ("logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"),
     "Lambda itself calls them, under the function's role."),
    (("finder", "worker", "s3-event"), ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
     "The event source mapping takes the messages, under the function's role."),
    (ALL, ("kms:Decrypt", "kms:GenerateDataKey"),
     "Only where a customer's key is given. The services call KMS, and the local cloud does not."),
    (ENGINE, ("s3:ListBucket", "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:GetObjectVersionTagging",
              "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"),
     "The two sides of the suite are servers that know no roles. Each of the three plans uploads, and who plans looks at"
     " both sides, reads tags, and aborts the upload of an earlier epoch."),
    (ENGINE, ("s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectAcl"),
     "As above; who plans an upload creates it, with its tags and its ACL, and the completer completes it."),
    (("worker",), ("s3:DeleteObject",), "As above; only where deletes are on."),
    (("finder",), ("s3:GetBucketVersioning", "s3:GetLifecycleConfiguration"),
     "As above; the finder asks whether deletes can be undone, and whether somebody tidies up uploads."),
    (ENGINE, ("secretsmanager:GetSecretValue",), "Only where a side is opened by a secret."),
    (ENGINE, ("dynamodb:Query", "dynamodb:BatchWriteItem"),
     "Who ends an upload, by completing it or by giving it up, forgets its parts."),
    (ENGINE, ("dynamodb:UpdateItem",),
     "Who plans anew an object of several parts that is below the threshold copies the parts at once, and records them."),
    (ENGINE, ("states:StartExecution", "sqs:SendMessage"),
     "Who settles the last part starts the completion, and who plans anew sends the parts again: in the suite it is not"
     " always the same one who comes to it."),
    (ENGINE, ("lambda:ListEventSourceMappings", "lambda:UpdateEventSourceMapping"),
     "Whoever meets a halt opens the breaker; in the suite one of them is the first."),
    (("notification",), ("s3:GetBucketNotification", "s3:PutBucketNotification"),
     "Only where a bucket of the account is attached; the function's own tests make the calls."),
    (("finder",), ("dynamodb:BatchGetItem", "sqs:ChangeMessageVisibility"),
     "Rows that the sweep finds due are read together; a scan that fails chooses its own back-off."),
)

UNSEEN = {function: {} for function in ALL}
for functions, rights, reason in EXCUSES:
    for function in functions:
        UNSEEN[function].update({right: reason for right in rights})
