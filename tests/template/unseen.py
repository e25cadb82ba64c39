"""Rights that the end-to-end suite need not see a function use, each with the reason that it stays.

Who used what is in `used-actions.json`. A right that is neither used nor named here fails a test, and so does an
excuse for a right that is used, or that no role has.
"""

ALL = ("finder", "worker", "completer", "s3-event", "notification")
ENGINE = ("finder", "worker", "completer")

# Functions, rights, and why the suite does not show them each time.
EXCUSES = (
    (ALL, ("logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"),
     "Lambda itself calls them, under the function's role."),
    (("worker", "s3-event"), ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
     "The event source mapping takes the messages, under the function's role."),
    (ALL, ("kms:Decrypt", "kms:GenerateDataKey"),
     "Only where a customer's key is given. The services call KMS, and the local cloud does not."),
    (ENGINE, ("s3:GetObjectVersion", "s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:ListBucketMultipartUploads",
              "s3:AbortMultipartUpload", "s3:PutObjectTagging", "s3:PutObjectAcl"),
     "Most sides of the suite are servers that know no roles. Each of the three plans uploads: who plans looks at both"
     " sides, reads tags, creates the upload with its tags and its ACL, and aborts the one of an earlier epoch."),
    (("finder",), ("s3:GetObject", "s3:ListMultipartUploadParts"), "As above."),
    (("worker",), ("s3:ListMultipartUploadParts",), "As above."),
    (("completer",), ("s3:ListBucket",), "As above; it proves that a source is gone by an exact listing."),
    (("finder",), ("s3:GetBucketVersioning", "s3:GetLifecycleConfiguration"),
     "As above; the finder asks whether deletes can be undone, and whether somebody tidies up uploads."),
    (("worker",), ("dynamodb:Query", "dynamodb:BatchWriteItem"),
     "Who ends an upload, by completing it or by giving it up, forgets its parts."),
    (("finder", "completer"), ("dynamodb:UpdateItem",),
     "Who plans anew an object of several parts that is below the threshold copies the parts at once, and records them."),
    (("completer",), ("states:StartExecution", "sqs:SendMessage"),
     "Who plans anew sends the parts again, and starts the completion if that was all."),
    (("finder",), ("states:StartExecution",), "The sweep starts a completion whose execution was lost."),
    (("completer",), ("lambda:ListEventSourceMappings", "lambda:UpdateEventSourceMapping"),
     "Whoever meets a halt opens the breaker; in the suite it is another one."),
    (("finder",), ("dynamodb:BatchGetItem", "sqs:ChangeMessageVisibility"),
     "Rows that the sweep finds due are read together; a scan that fails chooses its own back-off."),
)

UNSEEN = {function: {} for function in ALL}
for functions, rights, reason in EXCUSES:
    for function in functions:
        UNSEEN[function].update({right: reason for right in rights})
