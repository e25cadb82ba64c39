"""The template keeps every rule, and a rule finds every flaw.

Runs without a network and without credentials: the template is translated as the service does it.
"""

import copy
import json
import math
import os
import pathlib
import re
import unittest

from samtranslator.translator.transform import transform

import deployed
import flaws
import language
import rules
import unseen

ROOT = pathlib.Path(__file__).resolve().parents[2]


# The translator asks for one, and no rule depends on it.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")


class NoPolicies:
    """The template names no policy of AWS, so none has to be looked up."""

    def load(self):
        return {}


def source(*patterns):
    files = [path for pattern in patterns for path in ROOT.glob(pattern)]
    return "\n".join(path.read_text() for path in sorted(files) if "tests" not in path.name)


def words(settings, vendors):
    """Settings and the words that each may be, out of the tables that the functions read them with."""
    # Of one kind nobody has to say that it is one: its host tells.
    tables = {"kinds": set(re.findall(r'^    kind: "([a-z0-9-]+)",', vendors, flags=re.M)) - {"cloudflare-r2"}}
    for name, body in re.findall(r"const ([A-Z_]+): &\[Word<[^=]*=\s*&\[(.*?)\];", settings, flags=re.S):
        tables[name] = set(re.findall(r'\("([^"]+)",', body))
    known = {setting: tables[table] for setting, table in re.findall(r'\.word\(\s*"(TRANSHIP_[A-Z_]+)",\s*([A-Z_]+),', settings)}
    # What both sides have is read by the name of its field.
    for field, table in re.findall(r"\.word\(\s*names\.([a-z_]+),\s*&?([A-Za-z_]+),", settings):
        known |= {setting: tables[table] for setting in re.findall(rf'^    {field}: "(TRANSHIP_[A-Z_]+)",', settings, flags=re.M)}
    return known


def numbers(settings):
    """Settings and the least, the most and the usual of each."""
    def number(text):
        # `24 * 14`, `5 * 1_024`; what is no arithmetic, such as `u64::MAX`, is no bound of a template.
        return None if re.search("[A-Za-z]", text) else math.prod(int(n.replace("_", "")) for n in text.split("*"))

    found = re.findall(r'number\(\s*"(TRANSHIP_[A-Z_]+)",\s*(.+?)\.\.=(.+?),\s*([0-9_]+),?\s*\)', settings)
    return {setting: (number(least), number(most), number(usual)) for setting, least, most, usual in found}


def notices(code):
    """What the functions say on the bus: source, detail types, and the fields of a report."""
    kinds = re.findall(r'Self::of\("([a-z]+)"', code)
    types = re.findall(r'detail_type\(format!\("([^"]+)", report\.kind\)', code)
    fields = "".join(re.findall(r"struct (?:Report|Told)[^{]*\{(.*?)\n\}", code, flags=re.S))
    return {
        "source": re.search(r'EVENT_SOURCE: &str = "([^"]+)"', code)[1],
        "kinds": {name.replace("{}", kind) for name in types for kind in kinds},
        "fields": set(re.findall(r"^    (?:pub )?([a-z_]+):", fields, flags=re.M)),
    }


def tree():
    settings = source("crates/tranship-stack/src/settings.rs")
    errors = source("crates/tranship-stack/src/failure.rs")
    code = source("functions/*/src/**/*.rs", "crates/tranship-stack/src/*.rs")
    metrics = re.sub(r"#\[cfg\(test\)\]\nmod tests \{.*?\n\}\n", "", code, flags=re.S)
    return {
        "settings": set(re.findall(r'"(TRANSHIP_[A-Z_]+)"', settings)),
        "errors": set(re.findall(r'"(Tranship\.[A-Za-z]+)"', errors)),
        "metrics": set(re.findall(r'\.with\(\s*"([A-Za-z]+)"', metrics)),
        "words": words(settings, source("crates/tranship-adapters/src/stores/s3/vendors/table.rs")),
        "numbers": numbers(settings),
        "notices": notices(source("crates/tranship-stack/src/notices.rs")),
        "unseen": unseen.UNSEEN,
        "functions": {path.name for path in (ROOT / "functions").iterdir() if path.is_dir()},
        "deployment": (ROOT / "docs/DEPLOYMENT.md").read_text(),
        "fleet": {path.name: path.read_text() for path in sorted((ROOT / "fleet").iterdir())},
        "drain": numbers(source("crates/tranship-stack/src/settings/fleet.rs"))["TRANSHIP_FLEET_DRAIN_SECONDS"][1:],
        "worker_seconds": int(re.search(r"FUNCTION_SECONDS: u64 = (\d+);", source("functions/worker/src/tell.rs"))[1]),
        "used": json.loads((ROOT / "tests/template/used-actions.json").read_text()),
    }


def read():
    template = language.read(ROOT / "template.yaml")
    source = copy.deepcopy(template)
    # Where the code lies is for the build; the service is given a place in a bucket.
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = "s3://bucket/key"
        if resource["Type"] == "AWS::Serverless::StateMachine":
            resource["Properties"]["DefinitionUri"] = "s3://bucket/key"
    parameters = {name: p.get("Default", "x") for name, p in template["Parameters"].items()}
    translated = transform(template, parameters, NoPolicies())
    machine = json.loads((ROOT / "statemachine/completion.asl.json").read_text())
    return rules.Stack(translated, machine, tree(), source)


def findings(stack):
    """Rules that are not kept, with what each finds; and rules that could not look, which find nothing."""
    found, blind = {}, {}
    for rule in rules.RULES:
        try:
            said = list(rule(stack))
        except (KeyError, AttributeError, TypeError, ValueError, IndexError) as error:
            blind[rule.__name__] = f"{type(error).__name__}: {error}"
            continue
        if said:
            found[rule.__name__] = said
    return found, blind


class Template(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.stack = read()

    def test_the_tree_was_read(self):
        tree = self.stack.tree
        self.assertGreater(len(tree["settings"]), 40)
        self.assertEqual(len(tree["errors"]), 5)
        self.assertGreater(len(tree["metrics"]), 20)
        self.assertGreater(len(tree["words"]), 15)
        self.assertGreater(len(tree["numbers"]), 6)
        self.assertEqual(len(tree["notices"]["kinds"]), 2)
        self.assertGreater(len(tree["notices"]["fields"]), 8)
        self.assertGreater(len(rules.RULES), 35)

    def test_every_rule_is_kept(self):
        self.assertEqual(findings(self.stack), ({}, {}))

    def test_without_a_fleet_nothing_of_it_is_made(self):
        for parameters in ({}, {"Fleet": "ec2", "LargeObjectMiB": 0}, {"Fleet": "off", "LargeObjectMiB": 64, "FleetSecurityGroup": "sg-0"}):
            with self.subTest(**parameters):
                deployment = deployed.Deployment(self.stack.template, **parameters)
                self.assertEqual(list(deployment.refused()) if "Fleet" not in parameters else [], [])
                self.assertEqual([n for n in {**deployment.resources, **deployment.outputs} if re.match("Fleet|Large", n)], [])
                of_fleet = {"AWS::EC2", "AWS::AutoScaling"}
                self.assertEqual([n for n, r in deployment.resources.items() if r["Type"].rpartition("::")[0] in of_fleet], [])
                whole = json.dumps(deployment.resources)
                self.assertNotRegex(whole, "autoscaling|ec2|LargeQueue|LargeDeadLetter|lambda:GetFunction")
                variables = deployment.resources["WorkerFunction"]["Properties"]["Environment"]["Variables"]
                self.assertEqual({n: v for n, v in variables.items() if "LARGE" in n}, {"TRANSHIP_LARGE_OBJECT_MIB": "0", "TRANSHIP_LARGE_QUEUE_URL": "", "TRANSHIP_LARGE_DEAD_LETTER_QUEUE_URL": ""})

    def test_with_a_fleet_all_of_it_is_made(self):
        network = {"FleetVpc": "vpc-0", "FleetSubnets": "subnet-0,subnet-1"}
        layer = next(iter(self.stack.of("AWS::Lambda::LayerVersion")))
        for parameters, made in (
            ({"Fleet": "elsewhere"}, rules.OF_LARGE_QUEUE),
            ({"Fleet": "ec2", **network}, rules.OF_LARGE_QUEUE | rules.OF_FLEET | {layer, "FleetSecurity"}),
            ({"Fleet": "ec2", "FleetSecurityGroup": "sg-0", **network}, rules.OF_LARGE_QUEUE | rules.OF_FLEET | {layer}),
        ):
            with self.subTest(**parameters):
                deployment = deployed.Deployment(self.stack.template, **parameters)
                self.assertEqual(list(deployment.refused()), [])
                self.assertEqual({n for n in deployment.resources if re.match("Fleet|Large", n)}, made)
                variables = deployment.resources["WorkerFunction"]["Properties"]["Environment"]["Variables"]
                self.assertEqual((variables["TRANSHIP_LARGE_OBJECT_MIB"], variables["TRANSHIP_LARGE_QUEUE_URL"]), ({"Ref": "LargeObjectMiB"}, {"Ref": "LargeQueue"}))

    def test_what_is_named_is_made(self):
        """No resource and no output names another one that its parameters leave out."""
        key = {"KmsKeyArn": "arn:aws:kms:eu-central-1:111122223333:key/1", "SourceCredentials": "source", "DestinationCredentials": "destination"}
        for fleet in ("off", "elsewhere", "ec2"):
            for more in ({}, key, {"Delete": "true", "FleetSecurityGroup": "sg-0", "WorkerReservedConcurrency": 5}):
                with self.subTest(fleet=fleet, more=more):
                    deployment = deployed.Deployment(self.stack.template, Fleet=fleet, FleetVpc="vpc-0", **more)
                    whole = json.dumps([deployment.resources, deployment.outputs])
                    named = set(re.findall(r'{"Ref": "([A-Za-z0-9:]+)"}', whole)) | set(re.findall(r'"Fn::GetAtt": \["([A-Za-z0-9]+)"', whole))
                    named |= {n for n in re.findall(r"\$\{([A-Za-z0-9]+)(?:\.[A-Za-z]+)?\}", whole)}
                    # Names of the one Sub that has its own, and of the machine's definition.
                    known = set(deployment.resources) | set(self.stack.template["Parameters"]) | set(deployed.ACCOUNT) | {"Console", "Large", "Fleet", "CompleterFunctionArn"}
                    self.assertEqual({n for n in named if not n.startswith("AWS::")} - known, set())

    def test_the_stack_attaches_what_hosts_need_and_no_more(self):
        attached = lambda **given: {n: r["Properties"].get("Roles") for n, r in deployed.Deployment(self.stack.template, **given).resources.items() if r["Type"] == "AWS::IAM::ManagedPolicy"}
        plain = attached(Fleet="elsewhere", FleetHostRole="racks", DestinationInCurrentAccount="true", SourceInCurrentAccount="true")
        self.assertEqual(plain, dict.fromkeys(("FleetPolicy", "EnginePolicy", "SourcePolicy", "DestinationPolicy", "DestinationWritePolicy"), [{"Ref": "FleetHostRole"}]))
        # What a later deployment adds comes by itself.
        self.assertEqual(attached(Fleet="elsewhere", FleetHostRole="racks", KmsKeyArn="arn:aws:kms:eu-central-1:111122223333:key/0")["KmsPolicy"], [{"Ref": "FleetHostRole"}])
        for without in ({"Fleet": "off", "FleetHostRole": "racks"}, {"Fleet": "elsewhere"}, {"Fleet": "elsewhere", "LargeObjectMiB": 0, "FleetHostRole": "racks"}):
            self.assertEqual(set(attached(**without).values()), {None}, without)

    def test_a_fleet_that_cannot_be_is_refused_with_a_sentence(self):
        network = {"FleetVpc": "vpc-0", "FleetSubnets": "subnet-0"}
        for parameters, says in (
            ({"Fleet": "ec2"}, ["FleetVpc", "FleetSubnets"]),
            ({"Fleet": "ec2", "FleetVpc": "vpc-0"}, ["FleetSubnets"]),
            ({"Fleet": "ec2", "Architecture": "x86_64", **network}, ["t3 or c6in"]),
            ({"Fleet": "ec2", "FleetInstanceType": "c6in.large", **network}, ["t4g"]),
            ({"Fleet": "ec2", "Architecture": "x86_64", "FleetInstanceType": "c6in.large", **network}, []),
            ({"Fleet": "ec2", "FleetInstanceType": "c7gn.medium", **network}, []),
            ({"Fleet": "elsewhere", "Architecture": "x86_64"}, []),
            ({"Architecture": "x86_64"}, []),
        ):
            with self.subTest(**parameters):
                said = list(deployed.Deployment(self.stack.template, **parameters).refused())
                self.assertEqual(len(said), len(says), said)
                for sentence, word in zip(said, says):
                    self.assertIn(word, sentence)

    def test_a_store_that_cannot_be_reached_is_refused_with_a_sentence(self):
        oss = {"Kind": "alibaba-oss", "Region": "cn-hangzhou", "Credentials": "tranship/oss"}
        for given, says in (
            ({}, []),
            (oss, []),
            ({**oss, "Region": ""}, ["{}Region"]),
            ({**oss, "Region": "", "Endpoint": "https://photos.example.org"}, []),
            ({**oss, "Credentials": ""}, ["{}Credentials"]),
            ({"Kind": "google-gcs"}, ["{}Credentials"]),
            ({"Kind": "google-gcs", "Credentials": "tranship/gcs"}, []),
            ({"Kind": "s3-compatible"}, ["{}Endpoint"]),
            ({"Kind": "s3-compatible", "Endpoint": "https://minio.example.org"}, []),
        ):
            for side in ("Source", "Destination"):
                with self.subTest(side=side, **given):
                    parameters = {side + name: value for name, value in given.items()}
                    said = list(deployed.Deployment(self.stack.template, **parameters).refused())
                    self.assertEqual(len(said), len(says), said)
                    for sentence, word in zip(said, says):
                        self.assertIn(word.format(side), sentence)
        public = {"SourceKind": "google-gcs", "SourceInCurrentAccount": "false"}
        self.assertEqual(list(deployed.Deployment(self.stack.template, **public).refused()), [])

    def test_every_flaw_is_found_and_every_rule_finds_one(self):
        self.assertGreaterEqual(len(flaws.FLAWS), 45)
        used, lines = set(), []
        for flaw, spoil in flaws.FLAWS.items():
            with self.subTest(flaw=flaw):
                spoiled = copy.deepcopy(self.stack)
                spoil(spoiled)
                found, blind = findings(spoiled)
                # A rule that breaks on a flaw has not found it: what it would say to a person is nothing.
                self.assertNotEqual(found, {}, f"no rule finds: {flaw}; and {blind} could not look")
                used.update(found)
                lines.append(f"{flaw}: {', '.join(sorted(found))}")
        self.assertEqual({rule.__name__ for rule in rules.RULES} - used, set(), "rules that find no flaw")
        (ROOT / "target").mkdir(exist_ok=True)
        (ROOT / "target/template-flaws.txt").write_text("\n".join(lines) + "\n")
        print(f"template: {len(rules.RULES)} rules kept, {len(lines)} flaws found (by which rules: target/template-flaws.txt)")


if __name__ == "__main__":
    unittest.main()
