"""Prints the template as the service translates it, with the state machine's definition inside, so
that linters see what they would not see in the template itself."""

import json

import test_template


def main():
    stack = test_template.read()
    machine = stack.properties("CompletionStateMachine")
    machine.pop("DefinitionS3Location", None)
    machine.pop("DefinitionSubstitutions", None)
    text = json.dumps(stack.machine)
    machine["DefinitionString"] = {"Fn::Sub": text.replace("${CompleterFunctionArn}", "${CompleterFunction.Arn}")}
    print(json.dumps(stack.template, indent=1))


main()
