#!/usr/bin/python3 -I
"""Stands in for the commands that would reach AWS or the system, by the name under which it is called.

What it answers is in /services/world.json, and each call is written to /services/calls.jsonl. The metadata service
answers as its second version does: to whoever brings the token that it gave.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import sys

SERVICES = pathlib.Path("/services")
METADATA = "http://169.254.169.254/latest/"
TOKEN = "token-of-the-metadata-service"
AGENT = pathlib.Path("/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl")
# curl's own codes.
NO_CONNECTION, REFUSED, NOT_WRITTEN = 7, 22, 23


def aws(world, arguments, _said):
    answer = world["aws"].get(" ".join(arguments[:2]), {"stderr": "no such call", "code": 254})
    sys.stdout.write(answer.get("stdout", ""))
    sys.stderr.write(answer.get("stderr", ""))
    return answer.get("code", 0)


def metadata(world, path, options):
    if world["metadata"] is None:
        return NO_CONNECTION, "curl: (7) Failed to connect to 169.254.169.254 port 80"
    if path == "api/token":
        asked = options.get("request") == "PUT" and re.search(r"^X-aws-ec2-metadata-token-ttl-seconds: \d+$", options.get("header", ""))
        return (0, TOKEN) if asked else (REFUSED, "curl: (22) The requested URL returned error: 400")
    if options.get("header") != f"X-aws-ec2-metadata-token: {TOKEN}":
        return REFUSED, "curl: (22) The requested URL returned error: 401"
    value = world["metadata"].get(path.removeprefix("meta-data/"))
    return (0, value) if value is not None else (REFUSED, "curl: (22) The requested URL returned error: 404")


def curl(world, arguments, said):
    options = {name: json.loads(value) for name, value in re.findall(r'^(\S+) = (".*")$', said, flags=re.M)}
    options |= {a[2:]: b for a, b in zip(arguments, arguments[1:]) if a == "--output"}
    place = options["url"]
    if place.startswith(METADATA):
        code, text = metadata(world, place.removeprefix(METADATA), options)
        print(text, end="", file=sys.stderr if code else sys.stdout)
        return code
    file = world["places"].get(place)
    if file is None:
        print("curl: (28) Failed to connect after 300000 ms", file=sys.stderr)
        return 28
    try:
        shutil.copyfile(SERVICES / file, options["output"])
    except OSError:
        print("curl: (23) Failure writing output to destination", file=sys.stderr)
        return NOT_WRITTEN
    return 0


def dnf(world, arguments, _said):
    if world["codes"].get("dnf"):
        print("Error: Failed to download metadata for repo 'amazonlinux'", file=sys.stderr)
    elif arguments[-1] == "amazon-cloudwatch-agent":
        AGENT.parent.mkdir(parents=True)
        AGENT.symlink_to("/usr/bin/systemctl")


def sleep(world, _arguments, _said):
    """No time passes, and what is mended meanwhile is mended."""
    world["slept"] = world.get("slept", 0) + 1
    world.update(world.get("mended", {}).get(str(world["slept"]), {}))
    (SERVICES / "world.json").write_text(json.dumps(world))
    if world["slept"] == world.get("ends_after"):
        os.kill(os.getppid(), signal.SIGTERM)


def journalctl(world, arguments, _said):
    """Prints what comes behind the cursor, and moves it."""
    cursor = pathlib.Path(next(a for a in arguments if a.startswith("--cursor-file=")).split("=")[1])
    seen = int(cursor.read_text()) if cursor.exists() else 0
    lines = world["journal"][seen:seen + 2]
    print("\n".join(lines), end="\n" if lines else "")
    cursor.write_text(str(seen + len(lines)))


def main():
    name, arguments = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
    world = json.loads((SERVICES / "world.json").read_text())
    said = sys.stdin.read() if "--config" in arguments else ""
    with open(SERVICES / "calls.jsonl", "a") as calls:
        calls.write(json.dumps([name, arguments, said]) + "\n")
    does = {"aws": aws, "curl": curl, "dnf": dnf, "sleep": sleep, "journalctl": journalctl}.get(name)
    code = does(world, arguments, said) if does else None
    return world["codes"].get(name, 0) if code is None else code


sys.exit(main())
