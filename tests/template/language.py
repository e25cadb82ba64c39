"""Reads a template as CloudFormation does: the short forms of its functions become the long ones."""

import yaml


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


def read(path):
    return yaml.load(path.read_text(), Loader=Tags)  # noqa: S506, a SafeLoader
