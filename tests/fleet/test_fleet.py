"""The fleet's user data, setup, scripts and units, run in a clean root as far as they go without EC2.

    .venv/bin/python -m unittest discover --start-directory tests/fleet

Commands that would reach AWS or the system are stood in for (services.py); everything else is real: the scripts as they
are deployed, the zip, the program in it.
"""

import ast
import base64
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLEET = ROOT / "fleet"
sys.path.insert(0, str(ROOT / "tests/template"))

import language  # noqa: E402
from root import Root, why_not  # noqa: E402

LAYER = "arn:aws:lambda:eu-central-1:111122223333:layer:photos-fleet:7"
# A signed address opens the package to whoever reads it.
SIGNATURE = "X-Amz-Signature=0123456789abcdef"
FILES_PLACE = f"https://awslambda-eu-central-1-layers.s3.eu-central-1.amazonaws.com/files?{SIGNATURE}"
PACKAGE_PLACE = f"https://awslambda-eu-central-1-tasks.s3.eu-central-1.amazonaws.com/package?versionId=1&{SIGNATURE}"
# Of every kind that a shell, a file of variables or systemd would take for something else.
VARIABLES = {
    "TRANSHIP_SOURCE_BUCKET": "my-photos",
    "TRANSHIP_SOURCE_PREFIX": "a b/\"c\"/$HOME/%i/`d`/\\e/图/'f' #g=h",
    "TRANSHIP_DESTINATION_PREFIX": "",
    "TRANSHIP_SOURCE_CREDENTIALS": "tranship/photos-source",
    "TRANSHIP_LARGE_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/111122223333/photos-large",
    "TRANSHIP_LOG": " info ",
}
ARCHITECTURE = {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
INSTANCE = {"instance-id": "i-0123456789abcdef0", "autoscaling/target-lifecycle-state": "InService"}
UNITS = ("tranship-worker.service", "tranship-update.service", "tranship-update.timer", "tranship-logs.service")
SETTINGS = {
    "AWS_REGION": "eu-central-1", "STACK": "photos", "WORKER_FUNCTION": "photos-worker", "FLEET_GROUP": "photos-fleet",
    "FLEET_HOOK": "drain", "FLEET_LOG_GROUP": "/tranship/photos/fleet",
}


def user_data():
    """The script as CloudFormation gives it to an instance."""
    template = language.read(ROOT / "template.yaml")
    text = template["Resources"]["FleetLaunchTemplate"]["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"]
    names = {"AWS::StackName": "photos", "AWS::Region": "eu-central-1", "FleetFiles": LAYER}
    return re.sub(r"\$\{([^}]+)\}", lambda m: names[m[1]], text)


def zip_of(files):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as members:
        for name, content in files.items():
            # Without a time, so that the same content is the same zip.
            members.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return whole.getvalue()


def folder():
    """What `sam deploy` makes of fleet/."""
    return zip_of({path.name: path.read_bytes() for path in sorted(FLEET.iterdir())})


def package():
    """A program that prints its environment and nothing else."""
    return zip_of({"bootstrap": pathlib.Path(shutil.which("env")).read_bytes()})


def function(content, **more):
    """What `aws lambda get-function` answers."""
    configuration = {
        "FunctionName": "photos-worker", "RevisionId": "first", "Architectures": [ARCHITECTURE], "CodeSize": len(content),
        "CodeSha256": base64.b64encode(hashlib.sha256(content).digest()).decode(), "LastUpdateStatus": "Successful",
        "Environment": {"Variables": VARIABLES}, **more,
    }
    return {"stdout": json.dumps({"Configuration": configuration, "Code": {"RepositoryType": "S3", "Location": PACKAGE_PLACE}})}


def refused(text):
    return {"stderr": f"\n{text}\n", "code": 254}


def world():
    return {
        "aws": {
            "lambda get-layer-version-by-arn": {"stdout": FILES_PLACE + "\n"},
            "lambda get-function": function(package()),
            "autoscaling complete-lifecycle-action": {},
        },
        "codes": {}, "metadata": dict(INSTANCE), "places": {FILES_PLACE: "files.zip", PACKAGE_PLACE: "package.zip"},
    }


def commands(unit, name):
    # The sign before one says that it may fail.
    lines = [line.split("=", 1)[1] for line in (FLEET / unit).read_text().splitlines() if line.startswith(f"{name}=")]
    return [line.removeprefix("-").split() for line in lines]


class Scripts(unittest.TestCase):
    """What can be said without running them."""

    def shell(self):
        return {"user data": user_data(), **{name: (FLEET / name).read_text() for name in ("setup", "logs")}}

    def test_shell_scripts_are_clean(self):
        checker = shutil.which("shellcheck", path=f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}")
        self.assertIsNotNone(checker, "shellcheck is not there: run `make venv`")
        for name, text in self.shell().items():
            with self.subTest(script=name):
                self.assertTrue(text.startswith("#!/bin/bash\n"))
                for command in (["bash", "-n"], [checker, "--enable=all", "--exclude=SC2250,SC2310,SC2312", "-"]):
                    done = subprocess.run(command, input=text, capture_output=True, text=True)
                    self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_python_is_that_of_amazon_linux(self):
        ast.parse((FLEET / "fleet.py").read_text(), feature_version=(3, 9))

    def test_units_are_taken_by_systemd(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("there is no systemd-analyze here")
        # Where the tests run, the interpreter may lie elsewhere.
        with Clean(world()) as root:
            for unit in UNITS:
                root.put(f"/etc/systemd/system/{unit}", (FLEET / unit).read_text().replace("/usr/bin/python3", "/bin/sh").replace("/usr/bin/bash", "/bin/sh"))
            units = [str(root.path / "etc/systemd/system" / unit) for unit in UNITS]
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
        ours = [line for line in done.stderr.splitlines() if "tranship" in line]
        self.assertEqual((done.returncode, ours), (0, []))

    def test_the_worker_is_started_for_ever_and_never_after_a_drain(self):
        unit = (FLEET / "tranship-worker.service").read_text().splitlines()
        for line in ("Restart=on-failure", "StartLimitIntervalSec=0", "DynamicUser=yes", "NoNewPrivileges=yes", "CapabilityBoundingSet=", "EnvironmentFile=/etc/tranship/fleet.conf"):
            self.assertIn(line, unit)

    def test_the_container_ends_when_it_is_told(self):
        lines = (FLEET / "Containerfile").read_text().splitlines()
        # A shell between the two would not hand on the signal.
        self.assertIn('ENTRYPOINT ["/bootstrap"]', lines)
        self.assertIn("STOPSIGNAL SIGTERM", lines)
        user = next(line.split()[1] for line in lines if line.startswith("USER"))
        self.assertNotIn(user.split(":")[0], ("0", "root"))


class Clean:
    """A clean root, with what the services hold."""

    def __init__(self, services):
        self.services = services

    def __enter__(self):
        self.root = Root(self.services)
        self.root.put("/services/files.zip", folder())
        self.root.put("/services/package.zip", package())
        return self.root

    def __exit__(self, *_exception):
        self.root.close()


def runs_here(case):
    why = why_not()
    if why and os.geteuid() == 0:
        case.fail(f"root cannot make a clean root file system: {why}")
    if why:
        case.skipTest(f"no clean root file system can be made here: {why}")


class Instance(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        runs_here(self)
        clean = Clean(world())
        self.root = clean.__enter__()
        self.addCleanup(clean.__exit__)

    @property
    def world(self):
        return self.root.world

    def boot(self):
        self.root.put("/user-data", user_data())
        done = self.root.run(["bash", "/user-data"])
        self.assertNotIn(SIGNATURE, done.text)
        return done


class Boot(Instance):
    """User data, and the setup that it hands over to."""

    def test_an_instance_is_made(self):
        done = self.boot()
        self.assertEqual((done.code, done.text), (0, "tranship setup: Done.\n"))
        settings = dict(line.split("=", 1) for line in self.root.text("/etc/tranship/fleet.conf").splitlines())
        self.assertEqual(settings, SETTINGS)
        for unit in UNITS:
            self.assertEqual(self.root.text(f"/etc/systemd/system/{unit}"), (FLEET / unit).read_text())
        self.assertEqual(self.root.text("/etc/sysctl.d/90-tranship.conf"), (FLEET / "sysctl.conf").read_text())
        self.assertEqual(self.root.text("/etc/modules-load.d/tranship.conf").split(), ["tcp_bbr", "sch_fq"])
        calls = [(name, arguments) for name, arguments, _said in done.calls]
        self.assertEqual(calls, [
            ("aws", ["lambda", "get-layer-version-by-arn", "--region", "eu-central-1", "--arn", LAYER, "--query", "Content.Location", "--output", "text"]),
            # The signed address is not among the arguments.
            ("curl", ["--config", "-", "--fail", "--silent", "--show-error", "--max-time", "300", "--output", "/opt/tranship.zip"]),
            ("modprobe", ["--all", "tcp_bbr", "sch_fq"]),
            ("sysctl", ["--quiet", "--load=/etc/sysctl.d/90-tranship.conf"]),
            ("systemctl", ["daemon-reload"]),
            ("systemctl", ["enable", "--now", "--no-block", "tranship-worker.service", "tranship-update.timer", "tranship-logs.service"]),
            ("tc", ["qdisc", "replace", "dev", "ens5", "root", "mq"]),
            ("dnf", ["--quiet", "--assumeyes", "install", "amazon-cloudwatch-agent"]),
            ("amazon-cloudwatch-agent-ctl", ["-a", "fetch-config", "-m", "ec2", "-s", "-c", "file:/etc/tranship/agent.json"]),
        ])
        agent = json.loads(self.root.text("/etc/tranship/agent.json"))
        self.assertEqual(agent["agent"]["region"], "eu-central-1")
        (file,) = agent["logs"]["logs_collected"]["files"]["collect_list"]
        self.assertEqual(file, {"file_path": "/var/log/tranship/fleet.log", "log_group_name": "/tranship/photos/fleet", "log_stream_name": "{instance_id}"})

    def test_it_may_be_run_again(self):
        self.boot()
        done = self.boot()
        self.assertEqual((done.code, done.of("dnf")), (0, []))

    def test_it_waits_for_its_files(self):
        for what, broken in (
            ("the role may not", {"aws": {"lambda get-layer-version-by-arn": refused("An error occurred (AccessDeniedException) when calling the GetLayerVersionByArn operation")}}),
            ("no credentials", {"aws": {"lambda get-layer-version-by-arn": refused("Unable to locate credentials. You can configure credentials by running \"aws configure\".")}}),
            ("no way to S3", {"places": {}}),
            ("a broken zip", {"places": {FILES_PLACE: "broken.zip"}}),
            ("an empty zip", {"places": {FILES_PLACE: "empty.zip"}}),
        ):
            with self.subTest(what), Clean(world()) as root:
                root.put("/services/broken.zip", folder()[:1000])
                root.put("/services/empty.zip", zip_of({}))
                root.world.update(broken, mended={"2": {name: world()[name] for name in broken}})
                root.put("/user-data", user_data())
                done = root.run(["bash", "/user-data"])
                self.assertEqual(done.code, 0)
                self.assertEqual(done.of("sleep"), [["30"], ["30"]])
                self.assertEqual(done.complaints.count("The fleet's files cannot be fetched: has the subnet a way to Lambda and S3"), 2)
                self.assertIn("Done.", done.complaints)
                self.assertTrue(root.has("/etc/systemd/system/tranship-worker.service"))

    def test_it_tries_again_where_the_setup_breaks_off(self):
        self.world.update(codes={"systemctl": 1}, mended={"1": {"codes": {}}})
        done = self.boot()
        self.assertEqual((done.code, done.of("sleep")), (0, [["30"]]))
        self.assertIn("The setup did not come to its end.", done.complaints)

    def test_the_worker_runs_without_packages_of_others(self):
        self.world["codes"] = {"dnf": 1}
        self.root.take_away("tc")
        done = self.boot()
        self.assertEqual(done.code, 0)
        self.assertEqual([arguments[-1] for arguments in done.of("dnf")], ["iproute-tc", *["amazon-cloudwatch-agent"] * 3])
        self.assertIn("fq holds from the next boot on", done.complaints)
        self.assertIn("attempt 3 of 3", done.complaints)
        self.assertIn("No logs and metrics in CloudWatch. The worker works", done.complaints)
        # Before it waited for any of them.
        order = [name for name, _arguments, _said in done.calls]
        self.assertLess(order.index("systemctl"), order.index("dnf"))
        self.assertIn(["enable", "--now", "--no-block", "tranship-worker.service", "tranship-update.timer", "tranship-logs.service"], done.of("systemctl"))

    def test_the_worker_runs_on_a_kernel_without_bbr(self):
        self.world["codes"] = {"modprobe": 1, "sysctl": 255, "tc": 2}
        done = self.boot()
        self.assertEqual(done.code, 0)
        self.assertIn("long links with losses will be slow", done.complaints)
        self.assertIn("does not hold on this kernel", done.complaints)
        # A device with one queue.
        self.assertEqual([arguments[-1] for arguments in done.of("tc")], ["mq", "fq"])
        self.assertIn("fq is not on ens5", done.complaints)


class Unit(Instance):
    """What systemd runs, as it stands in the units."""

    def setUp(self):
        super().setUp()
        # As the setup leaves them.
        for path in FLEET.iterdir():
            self.root.put(f"/opt/tranship/{path.name}", path.read_bytes())
        self.root.put("/var/lib/tranship/.keep", "")
        self.settings = dict(SETTINGS)

    def systemd(self, name, unit="tranship-worker.service", **more):
        """Runs the commands of a unit until one fails, with the settings of its file."""
        for command in commands(unit, name):
            done = self.root.run(command, {**self.settings, "INVOCATION_ID": "0", "LANG": "C.UTF-8"}, **more)
            # Neither the signed address nor a variable of the function is in a log.
            self.assertNotIn(SIGNATURE, done.text)
            if name != "ExecStart":
                self.assertNotIn("my-photos", done.text)
            if done.code:
                break
        return done


class Worker(Unit):
    def test_it_is_started_with_the_functions_environment(self):
        done = self.systemd("ExecStartPre")
        self.assertEqual(done.code, 0, done.text)
        self.assertEqual(done.of("aws"), [["lambda", "get-function", "--function-name", "photos-worker", "--output", "json"]])
        # The address goes by standard input.
        self.assertEqual(done.of("curl"), [["--config", "-", "--fail", "--silent", "--show-error", "--max-time", "300"]])
        self.assertEqual([line["message"] for line in done.lines], ["fetched the function photos-worker, revision first"])
        self.assertEqual((self.root.path / "var/lib/tranship/bootstrap").stat().st_mode & 0o777, 0o755)
        self.assertEqual((self.root.path / "var/lib/tranship/environment.json").stat().st_mode & 0o077, 0)
        self.assertFalse(self.root.has("/var/lib/tranship/new"))
        done = self.systemd("ExecStart")
        # Of the host no more than the region and where its programs are.
        expected = {**VARIABLES, "AWS_REGION": "eu-central-1", "PATH": "/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}
        self.assertEqual(sorted(done.out.splitlines()), sorted(f"{name}={value}" for name, value in expected.items()))

    def test_a_host_elsewhere_says_what_is_its_own(self):
        own = {
            "AWS_CONFIG_FILE": "/etc/tranship/aws-config", "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL_SQS": "https://sqs.example.internal",
            "TRANSHIP_FLEET_INSTANCE": "rack-7", "TRANSHIP_FLEET_QUEUES": "large,transfer", "TRANSHIP_LOG": "debug",
        }
        # Whatever the function says of them.
        others = {name: "the function's" for name in own}
        self.world["aws"]["lambda get-function"] = function(package(), Environment={"Variables": {**VARIABLES, **others, "AWS_USE_FIPS_ENDPOINT": "true"}})
        self.settings = {"AWS_REGION": "eu-central-1", "WORKER_FUNCTION": "photos-worker", **own}
        self.assertEqual(self.systemd("ExecStartPre").code, 0)
        lines = self.systemd("ExecStart").out.splitlines()
        for name, value in {**own, "AWS_USE_FIPS_ENDPOINT": "true"}.items():
            self.assertIn(f"{name}={value}", lines)
            self.assertEqual(len([line for line in lines if line.startswith(f"{name}=")]), 1)
        # There is no group, and nobody asks for a metadata service.
        done = self.systemd("ExecStopPost")
        self.assertEqual((done.code, done.text, done.calls), (0, "", []))

    def test_a_host_does_not_say_what_all_workers_have_to_agree_on(self):
        self.settings |= {
            "TRANSHIP_TABLE": "another-ledger", "TRANSHIP_LARGE_QUEUE_URL": "https://sqs.example.org/1/another", "TRANSHIP_SOURCE_BUCKET": "another",
            "TRANSHIP_SOURCE_ENDPOINT": "http://10.0.0.7:9000", "TRANSHIP_BANDWIDTH_MIB_PER_SECOND": "1",
            # The same as the function says: nobody is misled.
            "TRANSHIP_DESTINATION_PREFIX": "", "TRANSHIP_SOURCE_CREDENTIALS": VARIABLES["TRANSHIP_SOURCE_CREDENTIALS"],
        }
        self.assertEqual(self.systemd("ExecStartPre").code, 0)
        done = self.systemd("ExecStart")
        variables = dict(line.split("=", 1) for line in done.out.splitlines() if not line.startswith("{"))
        self.assertEqual({name: value for name, value in variables.items() if name.startswith("TRANSHIP_")}, VARIABLES)
        named = ["TRANSHIP_BANDWIDTH_MIB_PER_SECOND", "TRANSHIP_LARGE_QUEUE_URL", "TRANSHIP_SOURCE_BUCKET", "TRANSHIP_SOURCE_ENDPOINT", "TRANSHIP_TABLE"]
        self.assertEqual([(line["level"], line["message"].split()[0]) for line in done.lines], [("WARN", name) for name in named])
        self.assertIn("is not followed", done.lines[0]["message"])
        for value in ("another-ledger", "10.0.0.7"):
            self.assertNotIn(value, done.out)

    def fails(self, words, **more):
        """It does not begin, says why in one line that is also a metric, and keeps what was there."""
        before = {name: (self.root.path / "var/lib/tranship" / name).read_bytes() for name in ("bootstrap", "environment.json", "revision")}
        done = self.systemd("ExecStartPre", **more)
        self.assertEqual(done.code, 1, done.text)
        (line,) = done.lines
        self.assertEqual((line["level"], line["FleetTroubled"], line["Stack"]), ("ERROR", 1, "photos"))
        (metric,) = line["_aws"]["CloudWatchMetrics"]
        self.assertEqual(metric, {"Namespace": "tranship", "Dimensions": [["Stack"]], "Metrics": [{"Name": "FleetTroubled", "Unit": "Count"}]})
        for word in words:
            self.assertIn(word, line["message"])
        self.assertEqual(done.complaints, "")
        for name, content in before.items():
            self.assertEqual((self.root.path / "var/lib/tranship" / name).read_bytes(), content)
        self.assertFalse(self.root.has("/var/lib/tranship/new"))

    def test_what_keeps_it_from_beginning_is_said_and_tried_again(self):
        content = package()
        broken, not_a_zip, without = content[:-100], b"no zip" * 1000, zip_of({"readme": b"x"})
        other = "x86_64" if ARCHITECTURE == "arm64" else "arm64"
        error = "An error occurred ({}) when calling the GetFunction operation: {}"
        cases = {
            "no metadata service": (refused('Unable to locate credentials. You can configure credentials by running "aws configure".'), content, ["metadata service", "profile"]),
            "a role that may not": (refused(error.format("AccessDeniedException", "User: photos is not authorized to perform: lambda:GetFunction")), content, ["lambda:GetFunction on it", "not authorized"]),
            "a role that has expired": (refused(error.format("ExpiredTokenException", "The security token included in the request is expired")), content, ["credentials of this host have ended"]),
            "another region": (refused(error.format("ResourceNotFoundException", "Function not found")), content, ["right name, region and account"]),
            "no way to Lambda": (refused('Could not connect to the endpoint URL: "https://lambda.eu-central-1.amazonaws.com/"'), content, ["a way to the service"]),
            "an answer that is none": ({"stdout": "<html>"}, content, ["no JSON"]),
            "a function in change": (function(content, LastUpdateStatus="InProgress"), content, ["is being updated"]),
            "the other architecture": (function(content, Architectures=[other]), content, [f"is built for {other}", f"Architecture={ARCHITECTURE}"]),
            "a key that it may not use": (function(content, Environment={"Error": {"ErrorCode": "AccessDeniedException", "Message": "KMS says no"}}), content, ["kms:Decrypt", "KMS says no"]),
            "a package that came in part": (function(content), broken, ["is broken", "fetched again"]),
            "a package that is no zip": (function(not_a_zip), not_a_zip, ["is broken", "not a zip"]),
            "a package without a program": (function(without), without, ["is broken", "bootstrap"]),
            "no way to S3": (function(content), None, ["has this host a way to S3", "curl: (28)"]),
        }
        self.assertEqual(self.systemd("ExecStartPre").code, 0)
        for what, (answer, comes, words) in cases.items():
            with self.subTest(what):
                self.world["aws"]["lambda get-function"] = answer
                self.world["places"] = {} if comes is None else world()["places"]
                self.root.put("/services/package.zip", comes or b"")
                self.fails(words)
        # systemd starts it again, and once it is mended it begins.
        self.world.update(aws={"lambda get-function": function(content, RevisionId="second")}, places=world()["places"])
        self.root.put("/services/package.zip", content)
        self.assertEqual(self.systemd("ExecStartPre").code, 0)
        self.assertEqual(self.root.text("/var/lib/tranship/revision"), "second")

    def test_a_full_disk_is_said(self):
        content = package()
        self.assertEqual(self.systemd("ExecStartPre").code, 0)
        page = os.sysconf("SC_PAGE_SIZE")
        room = -(-len(content) // page) * page
        # It is seen beforehand; while the package comes; while the program is unpacked.
        for size, disk in ((len(content), 4 * page), (1, 4 * page), (1, room + 4 * page)):
            with self.subTest(size=size, disk=disk):
                self.world["aws"]["lambda get-function"] = function(content, CodeSize=size)
                self.fails(["the disk of /var/lib/tranship is full", "are free"], disk_bytes=disk)
        self.world["aws"]["lambda get-function"] = function(content)
        self.assertEqual(self.systemd("ExecStartPre").code, 0)

    def test_settings_and_commands_that_are_missing_are_named(self):
        self.assertEqual(self.systemd("ExecStartPre").code, 0)
        self.root.take_away("aws")
        self.fails(["the AWS command line is not installed"])
        del self.settings["WORKER_FUNCTION"]
        self.fails(["WORKER_FUNCTION is not set", "/etc/tranship/fleet.conf"])

    def test_its_environment_can_be_given_to_a_container(self):
        done = self.root.run(["/usr/bin/python3", "-I", "/opt/tranship/fleet.py", "environment"], self.settings)
        self.assertEqual(done.out.splitlines(), [f"{name}={value}" for name, value in sorted(VARIABLES.items())])
        self.world["aws"]["lambda get-function"] = refused("An error occurred (AccessDeniedException)")
        done = self.root.run(["/usr/bin/python3", "-I", "/opt/tranship/fleet.py", "environment"], self.settings)
        self.assertEqual((done.code, done.out), (1, ""))
        self.assertIn("lambda:GetFunction", done.complaints)


class Stop(Unit):
    """What systemd runs to stop the worker: it waits as long as a drain may take, whatever the setting says."""

    # A worker that goes on for a while after the signal, and one that never ends.
    HANGS = "import pathlib, signal, time\nasked = []\nsignal.signal(signal.SIGTERM, lambda *_: asked.append(True))\npathlib.Path('/var/begun').touch()\nwhile True:\n    time.sleep(0.05)"
    DRAINS = HANGS.replace("while True", "while not asked") + "\ntime.sleep(0.5)\npathlib.Path('/var/drained').touch()"

    def stop(self, worker, **settings):
        """Stops a process as the unit does."""
        (command,) = commands("tranship-worker.service", "ExecStop")
        # Its end is taken note of, as systemd does with the worker's.
        lines = (
            'python3 -c "$WORKER" & worker=$!', "until [[ -e /var/begun ]]; do :; done", f"MAINPID=$worker {' '.join(command)} & stops=$!",
            'wait $worker; echo "ended $?"', 'wait $stops; echo "stopped $?"',
        )
        return self.root.run(["bash", "-c", "\n".join(lines)], {**self.settings, "WORKER": worker, **settings})

    def test_a_worker_that_drains_is_waited_for(self):
        done = self.stop(self.DRAINS)
        self.assertEqual(done.out.splitlines(), ["ended 0", "stopped 0"], done.text)
        self.assertTrue(self.root.has("/var/drained"))

    def test_one_that_hangs_is_killed_after_its_drain_and_no_earlier(self):
        # The script's own margin makes that half a minute; another one is put in its place.
        script = self.root.text("/opt/tranship/fleet.py")
        self.assertIn("STOP_MARGIN_SECONDS = 30", script)
        self.root.put("/opt/tranship/fleet.py", script.replace("STOP_MARGIN_SECONDS = 30", "STOP_MARGIN_SECONDS = 1"))
        done = self.stop(self.HANGS, TRANSHIP_FLEET_DRAIN_SECONDS="2")
        (line,) = done.lines
        self.assertIn("had not ended 3 s after SIGTERM and was killed", line["message"])
        self.assertIn("ended 137", done.out)

    def test_one_that_has_ended_by_itself_is_no_error(self):
        (command,) = commands("tranship-worker.service", "ExecStop")
        done = self.root.run(command, self.settings)
        self.assertEqual((done.code, done.text), (0, ""))


class End(Unit):
    """The lifecycle action of an instance that goes."""

    COMPLETED = ["autoscaling", "complete-lifecycle-action", "--auto-scaling-group-name", "photos-fleet", "--lifecycle-hook-name", "drain",
                 "--instance-id", "i-0123456789abcdef0", "--lifecycle-action-result", "CONTINUE", "--output", "json"]

    def test_it_is_completed_when_the_instance_is_terminated(self):
        self.world["metadata"]["autoscaling/target-lifecycle-state"] = "Terminated"
        done = self.systemd("ExecStopPost")
        self.assertEqual((done.code, done.of("aws")), (0, [self.COMPLETED]))
        # The token goes by standard input, too.
        self.assertNotIn("token-of-the-metadata-service", json.dumps(done.of("curl")))

    def test_it_is_not_completed_otherwise(self):
        for state in ("InService", "Standby", "Detached", "", None):
            with self.subTest(state=state):
                self.world["metadata"]["autoscaling/target-lifecycle-state"] = state
                done = self.systemd("ExecStopPost")
                self.assertEqual((done.code, done.of("aws"), done.text), (0, [], ""))

    def test_a_metadata_service_that_is_missing_is_said(self):
        self.world["metadata"] = None
        done = self.systemd("ExecStopPost")
        self.assertEqual((done.code, done.of("aws")), (0, []))
        (line,) = done.lines
        self.assertEqual(line["level"], "WARN")
        self.assertIn("the instance's metadata service does not answer (curl: (7)", line["message"])

    def test_a_completion_that_is_refused_is_said(self):
        self.world["metadata"]["autoscaling/target-lifecycle-state"] = "Terminated"
        self.world["aws"]["autoscaling complete-lifecycle-action"] = refused("An error occurred (ValidationError): No active Lifecycle Action found")
        done = self.systemd("ExecStopPost")
        self.assertEqual(done.code, 0)
        self.assertIn("No active Lifecycle Action found", done.lines[0]["message"])


class Update(Unit):
    """What the timer runs."""

    RESTART = [["try-restart", "--no-block", "tranship-worker.service"]]

    def update(self):
        return self.systemd("ExecStart", unit="tranship-update.service")

    def test_only_a_new_revision_starts_the_worker_again(self):
        done = self.update()
        self.assertEqual((done.code, done.calls), (0, []), "nothing was fetched yet")
        self.assertEqual(self.systemd("ExecStartPre").code, 0)
        done = self.update()
        self.assertEqual((done.code, done.of("systemctl"), done.text), (0, [], ""))
        content = package()
        for answer in (function(content, RevisionId="second", LastUpdateStatus="InProgress"), refused("An error occurred (AccessDeniedException)"), {"stdout": "{"}):
            self.world["aws"]["lambda get-function"] = answer
            done = self.update()
            self.assertEqual((done.code, done.of("systemctl")), (1, []))
        self.world["aws"]["lambda get-function"] = function(content, RevisionId="second")
        done = self.update()
        self.assertEqual((done.code, done.of("systemctl")), (0, self.RESTART))
        self.assertIn("from revision first to second", done.lines[0]["message"])
        # It fetches before it starts, and that is that.
        self.assertEqual(self.systemd("ExecStartPre").code, 0)
        done = self.update()
        self.assertEqual((done.code, done.of("systemctl")), (0, []))

    def test_it_looks_every_five_minutes(self):
        timer = (FLEET / "tranship-update.timer").read_text()
        self.assertIn("OnUnitInactiveSec=5min\n", timer)
        self.assertNotIn("Unit=", timer.replace("OnUnit", ""), "the timer starts the service of its own name")


class Logs(Unit):
    def agent(self, **settings):
        done = self.root.run(["/usr/bin/python3", "-I", "/opt/tranship/fleet.py", "agent"], settings)
        self.assertEqual(done.code, 0, done.text)
        (file,) = json.loads(done.out)["logs"]["logs_collected"]["files"]["collect_list"]
        return file["log_group_name"], file["log_stream_name"]

    def test_a_host_elsewhere_has_a_stream_of_its_own_name(self):
        here = {"AWS_REGION": "eu-central-1", "STACK": "photos", "WORKER_FUNCTION": "photos-worker"}
        self.assertEqual(self.agent(**here), ("/tranship/photos/fleet", os.uname().nodename))
        # As the worker calls itself in its lines; a stream may not have every letter.
        self.assertEqual(self.agent(**here, TRANSHIP_FLEET_INSTANCE="rack:7*"), ("/tranship/photos/fleet", "rack-7-"))
        self.assertEqual(self.agent(**SETTINGS), ("/tranship/photos/fleet", "{instance_id}"))
        done = self.root.run(["/usr/bin/python3", "-I", "/opt/tranship/fleet.py", "agent"], {"AWS_REGION": "eu-central-1"})
        self.assertEqual((done.code, done.out), (1, ""))
        self.assertIn("STACK is not set", done.complaints)

    def test_lines_reach_the_agents_file_as_they_were_written(self):
        lines = ['{"level":"INFO","message":"polling"}', '{"_aws":{"Timestamp":1},"FleetTasks":3}', "plain", "图"]
        self.world.update(journal=lines, ends_after=4)
        self.root.put("/var/lib/tranship-logs/.keep", "")
        self.root.put("/var/log/tranship/.keep", "")
        self.settings |= {"STATE_DIRECTORY": "/var/lib/tranship-logs", "LOGS_DIRECTORY": "/var/log/tranship"}
        done = self.systemd("ExecStart", unit="tranship-logs.service")
        self.assertEqual(self.root.text("/var/log/tranship/fleet.log").splitlines(), lines)
        units = [a for a in done.of("journalctl")[0] if a.startswith("--unit=")]
        self.assertEqual(units, ["--unit=tranship-worker.service", "--unit=tranship-update.service"])
        # Started anew, it goes on behind what it has written.
        self.world.update(journal=[*lines, "later"], ends_after=1, slept=0)
        self.systemd("ExecStart", unit="tranship-logs.service")
        self.assertEqual(self.root.text("/var/log/tranship/fleet.log").splitlines(), [*lines, "later"])

    def test_a_file_that_has_grown_is_put_aside(self):
        self.world.update(journal=["a", "b", "c"], ends_after=2)
        self.root.put("/var/lib/tranship-logs/.keep", "")
        with open(self.root.put("/var/log/tranship/fleet.log", ""), "r+b") as file:
            file.truncate((64 << 20) + 1)
        self.settings |= {"STATE_DIRECTORY": "/var/lib/tranship-logs", "LOGS_DIRECTORY": "/var/log/tranship"}
        self.systemd("ExecStart", unit="tranship-logs.service")
        self.assertEqual(self.root.text("/var/log/tranship/fleet.log"), "c\n")
        self.assertTrue(self.root.has("/var/log/tranship/fleet.log.1"))


if __name__ == "__main__":
    unittest.main()
