"""The bridge from other clouds: what it makes of their events, and how it signs.

    python3 -m unittest discover --start-directory tests/bridge
"""

import datetime
import json
import pathlib
import sys
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "events" / "bridge"))

import bridge  # noqa: E402

EVENTS = ROOT / "events" / "bridge"
ENVIRONMENT = {
    "QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/111122223333/photos-event",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
}
NOW = datetime.datetime(2026, 3, 14, 9, 26, 53, tzinfo=datetime.timezone.utc)


def event_of(name):
    return json.loads((EVENTS / name).read_text())


def with_name(event, name):
    """The same event of another kind."""
    for record in event.get("events", []):
        record["eventName"] = name
    for record in event.get("Records", []):
        record["event"]["eventName"] = name
    return event


class FromOss(unittest.TestCase):
    def test_a_write_becomes_a_look(self):
        self.assertEqual(
            bridge.from_oss(event_of("oss.json")),
            [{"bucket": "example-source", "key": "photos/a+b%2B 图.jpg", "size": 122539}],
        )

    def test_every_kind_of_event_has_a_meaning(self):
        written, deleted, nothing = "size", "deleted", None
        for name, kind in {
            "ObjectCreated:PutObject": written,
            "ObjectCreated:PostObject": written,
            "ObjectCreated:CopyObject": written,
            "ObjectCreated:CompleteMultipartUpload": written,
            "ObjectCreated:AppendObject": written,
            "ObjectCreated:PutSymlink": written,
            "ObjectCreated:InitiateMultipartUpload": nothing,
            "ObjectCreated:UploadPart": nothing,
            "ObjectCreated:UploadPartCopy": nothing,
            "ObjectReplication:ObjectCreated": written,
            "ObjectReplication:ObjectModified": written,
            "ObjectReplication:ObjectRemoved": deleted,
            "ObjectRemoved:DeleteObject": deleted,
            "ObjectRemoved:DeleteObjects": deleted,
            "ObjectRemoved:AbortMultipartUpload": nothing,
            "ObjectRestore:FinishRestore": written,
            "ObjectDownloaded:GetObject": nothing,
        }.items():
            messages = bridge.from_oss(with_name(event_of("oss.json"), name))
            self.assertEqual(len(messages), 0 if kind is None else 1, name)
            for message in messages:
                self.assertIn(kind, message, name)


class FromCos(unittest.TestCase):
    def test_what_precedes_the_key_is_cut_off(self):
        self.assertEqual(
            bridge.from_cos(event_of("cos.json")),
            [{"bucket": "example-1250000000", "key": "photos//a.jpg", "size": 1029}],
        )

    def test_a_key_of_another_form_is_refused(self):
        event = event_of("cos.json")
        event["Records"][0]["cos"]["cosObject"]["key"] = "photos/a.jpg"
        with self.assertRaisesRegex(ValueError, "does not begin with"):
            bridge.from_cos(event)

    def test_every_kind_of_event_has_a_meaning(self):
        written, deleted, nothing = "size", "deleted", None
        for name, kind in {
            "cos:ObjectCreated:Put": written,
            "cos:ObjectCreated:CompleteMultipartUpload": written,
            "cos:ObjectCreated:Replication": written,
            "cos:ObjectRemove:Delete": deleted,
            "cos:ObjectRemove:DeleteMarkerCreated": deleted,
            "cos:ObjectRestore:Completed": written,
            "cos:ObjectRestore:Post": nothing,
        }.items():
            messages = bridge.from_cos(with_name(event_of("cos.json"), name))
            self.assertEqual(len(messages), 0 if kind is None else 1, name)
            for message in messages:
                self.assertIn(kind, message, name)


class Messages(unittest.TestCase):
    def test_they_have_the_form_that_the_stack_reads(self):
        event = json.loads((ROOT / "events" / "s3-event" / "plain-of-a-bridge.json").read_text())
        read = json.loads(event["Records"][0]["body"])
        posted = bridge.from_oss(event_of("oss.json")) + bridge.from_cos(event_of("cos.json"))
        self.assertEqual([message.keys() for message in posted], [one.keys() for one in read])


class Request(unittest.TestCase):
    def test_the_signature_is_that_of_botocore(self):
        # Made with botocore 1.43 from the same request, keys and time.
        request = bridge.request_of(ENVIRONMENT, '[{"key": "a"}]', NOW)
        self.assertEqual(request.full_url, "https://sqs.eu-central-1.amazonaws.com/")
        self.assertTrue(
            request.get_header("Authorization").endswith(
                "Signature=02dcdbd1fe0959b23611dee2ab9109ad0946a465f6721ba928f10ff8bfca2ea8"
            )
        )

    def test_china_has_a_region_too(self):
        china = {**ENVIRONMENT, "QUEUE_URL": "https://sqs.cn-north-1.amazonaws.com.cn/1/q"}
        request = bridge.request_of(china, "[]", NOW)
        self.assertIn("/cn-north-1/sqs/aws4_request", request.get_header("Authorization"))

    def test_what_is_too_long_goes_one_by_one(self):
        messages = [{"key": "k" * 1000, "size": 1}] * 300
        with mock.patch.dict("os.environ", ENVIRONMENT), mock.patch("urllib.request.urlopen") as sent:
            bridge.post(messages)
        self.assertEqual(sent.call_count, len(messages))
        for call in sent.call_args_list:
            body = json.loads(json.loads(call.args[0].data)["MessageBody"])
            self.assertEqual(body, messages[0])


if __name__ == "__main__":
    unittest.main()
