"""Serves AWS services by another hand than ours, on a free port of loopback, for as long as standard input is open.

The socket is bound here and handed over, so no other process can take the port in between. The first line
of standard output is the port. The end of standard input means that the test is gone, however it ended;
then this process goes too, with everything it started.
"""

import asyncio
import json
import os

from loopback import listen


def go_by_policies_as_aws_does():
    """Two things that policies say and this server does not know.

    A batch of messages is allowed by the permission for one: no policy holds sqs:SendMessageBatch. And two calls have
    condition keys of their own: the sources of the events that are put, and the function of a mapping.
    """
    from contextvars import ContextVar

    from ministack.core import iam_actions
    from ministack.services import lambda_svc

    action_of, context_of = iam_actions.extract_iam_action, iam_actions.request_tag_context
    asked = ContextVar("asked", default="")

    def action(service, method, path, *rest):
        asked.set(path)
        action = action_of(service, method, path, *rest)
        return action.removesuffix("Batch") if action and action.startswith("sqs:") else action

    def context(service, action, body, params):
        context = context_of(service, action, body, params)
        if action == "events:PutEvents":
            sources = {entry.get("Source", "") for entry in json.loads(body)["Entries"]}
            context["events:source"] = sources.pop() if len(sources) == 1 else sorted(sources)
        if action == "lambda:UpdateEventSourceMapping":
            mapping = lambda_svc._esms.get(asked.get().rstrip("/").rsplit("/", 1)[-1]) or {}
            context["lambda:FunctionArn"] = mapping.get("FunctionArn", "")
        return context

    iam_actions.extract_iam_action, iam_actions.request_tag_context = action, context


def take_numbers_of_parameters():
    """A parameter of a template is text until a property of a number is made of it; here it stays text."""
    from ministack.services import lambda_svc

    def with_numbers(theirs):
        def ours(mapping, *args, **kwargs):
            scaling = mapping.get("ScalingConfig") or {}
            if isinstance(scaling.get("MaximumConcurrency"), str):
                scaling["MaximumConcurrency"] = int(scaling["MaximumConcurrency"])
            return theirs(mapping, *args, **kwargs)

        return ours

    # Whoever comes first to a mapping that was just made: what polls it, or a client that reads it.
    for name in ["_sqs_esm_concurrency", "_esm_response"]:
        setattr(lambda_svc, name, with_numbers(getattr(lambda_svc, name)))


def main():
    listener, port = listen()
    # Read when the package is imported, hence the imports below.
    os.environ["GATEWAY_PORT"] = str(port)

    if os.environ.get("LAMBDA_EXECUTOR"):
        go_by_policies_as_aws_does()
        take_numbers_of_parameters()
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.loglevel = "WARNING"
    asyncio.run(serve(app, config))


main()
