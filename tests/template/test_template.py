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

import yaml
from samtranslator.translator.transform import transform

import flaws
import rules
import unseen

ROOT = pathlib.Path(__file__).resolve().parents[2]


# The translator asks for one, and no rule depends on it.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")


class Tags(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions."""


def long_form(loader, suffix, node):
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


Tags.add_multi_constructor("!", long_form)


class NoPolicies:
    """The template names no policy of AWS, so none has to be looked up."""

    def load(self):
        return {}


def source(*patterns):
    files = [path for pattern in patterns for path in ROOT.glob(pattern)]
    return "\n".join(path.read_text() for path in sorted(files) if "tests" not in path.name)


def words(settings):
    """Settings and the words that each may be, out of the tables that the functions read them with."""
    tables = {}
    for name, body in re.findall(r"const ([A-Z_]+): &\[Word<[^=]*=\s*&\[(.*?)\];", settings, flags=re.S):
        tables[name] = set(re.findall(r'\("([^"]+)",', body))
    return {setting: tables[table] for setting, table in re.findall(r'\.word\(\s*"(TRANSHIP_[A-Z_]+)",\s*([A-Z_]+),', settings)}


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
    code = source("functions/*/src/*.rs", "crates/tranship-stack/src/*.rs")
    metrics = re.sub(r"#\[cfg\(test\)\]\nmod tests \{.*?\n\}\n", "", code, flags=re.S)
    return {
        "settings": set(re.findall(r'"(TRANSHIP_[A-Z_]+)"', settings)),
        "errors": set(re.findall(r'"(Tranship\.[A-Za-z]+)"', errors)),
        "metrics": set(re.findall(r'\.with\(\s*"([A-Za-z]+)"', metrics)),
        "words": words(settings),
        "numbers": numbers(settings),
        "notices": notices(source("crates/tranship-stack/src/notices.rs")),
        "unseen": unseen.UNSEEN,
        "functions": {path.name for path in (ROOT / "functions").iterdir() if path.is_dir()},
        "deployment": (ROOT / "docs/DEPLOYMENT.md").read_text(),
        "used": json.loads((ROOT / "tests/template/used-actions.json").read_text()),
    }


def read():
    template = yaml.load((ROOT / "template.yaml").read_text(), Loader=Tags)  # noqa: S506, a SafeLoader
    source = copy.deepcopy(template)
    # Where the code lies is for the build; the service is given a place in a bucket.
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
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
