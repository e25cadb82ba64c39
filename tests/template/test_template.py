"""The template keeps every rule, and a rule finds every flaw.

Runs without a network and without credentials: the template is translated as the service does it.
"""

import copy
import json
import pathlib
import re
import unittest

import yaml
from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform

import flaws
import rules

ROOT = pathlib.Path(__file__).resolve().parents[2]


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


def tree():
    settings = source("crates/tranship-stack/src/settings.rs")
    errors = source("crates/tranship-stack/src/failure.rs")
    code = source("functions/*/src/*.rs", "crates/tranship-stack/src/*.rs")
    metrics = code.split("#[cfg(test)]")[0] if False else re.sub(r"#\[cfg\(test\)\]\nmod tests \{.*?\n\}\n", "", code, flags=re.S)
    return {
        "settings": set(re.findall(r'"(TRANSHIP_[A-Z_]+)"', settings)),
        "errors": set(re.findall(r'"(Tranship\.[A-Za-z]+)"', errors)),
        "metrics": set(re.findall(r'\.with\(\s*"([A-Za-z]+)"', metrics)),
        "functions": {path.name for path in (ROOT / "functions").iterdir() if path.is_dir()},
        "deployment": (ROOT / "docs/DEPLOYMENT.md").read_text(),
        "used": json.loads((ROOT / "tests/template/used-actions.json").read_text()),
    }


def read():
    template = yaml.load((ROOT / "template.yaml").read_text(), Loader=Tags)  # noqa: S506, a SafeLoader
    # Where the code lies is for the build; the service is given a place in a bucket.
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
        if resource["Type"] == "AWS::Serverless::StateMachine":
            resource["Properties"]["DefinitionUri"] = "s3://bucket/key"
    parameters = {name: p.get("Default", "x") for name, p in template["Parameters"].items()}
    translated = transform(template, parameters, NoPolicies())
    machine = json.loads((ROOT / "statemachine/completion.asl.json").read_text())
    return rules.Stack(translated, machine, tree())


def findings(stack):
    found = {}
    for rule in rules.RULES:
        try:
            said = list(rule(stack))
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            said = [f"{type(error).__name__}: {error}"]
        if said:
            found[rule.__name__] = said
    return found


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
        self.assertGreater(len(rules.RULES), 25)

    def test_every_rule_is_kept(self):
        self.assertEqual(findings(self.stack), {})

    def test_every_flaw_is_found(self):
        self.assertGreaterEqual(len(flaws.FLAWS), 45)
        for flaw, spoil in flaws.FLAWS.items():
            with self.subTest(flaw=flaw):
                spoiled = copy.deepcopy(self.stack)
                spoil(spoiled)
                self.assertNotEqual(findings(spoiled), {}, f"no rule finds: {flaw}")

    def test_every_rule_finds_a_flaw(self):
        used = set()
        for spoil in flaws.FLAWS.values():
            spoiled = copy.deepcopy(self.stack)
            spoil(spoiled)
            used.update(findings(spoiled))
        self.assertEqual({rule.__name__ for rule in rules.RULES} - used, set())


if __name__ == "__main__":
    unittest.main()
