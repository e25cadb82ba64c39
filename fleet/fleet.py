"""What systemd runs around the worker outside Lambda: it gets the worker function's own package and environment,
starts and stops it, ends the lifecycle action of an instance that goes, and sees that the function has changed.

    fleet.py fetch | start | stop | ended | update | environment | agent

Needs Python 3.9, the AWS command line and curl. Settings come from /etc/tranship/fleet.conf by the environment.
"""

import base64
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile

STATE = pathlib.Path("/var/lib/tranship")
METADATA = "http://169.254.169.254/latest/"
# What the worker gets besides its function's environment: nothing of the host but these. They are the host's to say,
# so they go before the function's. Everything else says what is copied, to where and how fast, or whose stack this is:
# there all of a stack's workers have to agree.
PASSED = ("PATH", "HOME", "LANG", "TRANSHIP_LOG")
PASSED_PREFIXES = ("AWS_", "TRANSHIP_FLEET_", "SSL_CERT_")
# How long the worker drains if the host does not say.
DRAIN_SECONDS = 90
# What it takes after that: the tasks in flight are handed back, and the process ends.
STOP_MARGIN_SECONDS = 30
AWS_SECONDS_MAX = 60
DOWNLOAD_SECONDS_MAX = 300
METADATA_SECONDS_MAX = 5
# The zip, and the program that is in it.
DISK_FACTOR = 4
# What an error of the AWS command line means here, by words that it has.
ADVICE = (
    ("AccessDenied", "give this host's role lambda:GetFunction on it, and kms:Decrypt if its environment has a key"),
    ("ExpiredToken", "the credentials of this host have ended"),
    ("InvalidClientTokenId", "the credentials of this host are not known"),
    ("UnrecognizedClient", "the credentials of this host are not known"),
    ("Unable to locate credentials", "has the instance a profile, and does its metadata service answer?"),
    ("ResourceNotFound", "is it the right name, region and account?"),
    ("Could not connect", "has this host a way to the service?"),
    ("Connect timeout", "has this host a way to the service?"),
)


class Trouble(Exception):
    """What keeps the worker from beginning, in words for a person."""


def setting(name):
    value = os.environ.get(name, "")
    if not value:
        raise Trouble(f"{name} is not set: /etc/tranship/fleet.conf has to say it")
    return value


def say(level, message, troubled=None):
    """One line of the log, as the worker writes its own; as a metric besides, where it is one."""
    now = time.time()
    line = {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)), "level": level, "message": message}
    if troubled is not None and os.environ.get("STACK"):
        definition = {"Namespace": "tranship", "Dimensions": [["Stack"]], "Metrics": [{"Name": "FleetTroubled", "Unit": "Count"}]}
        line["_aws"] = {"Timestamp": int(now * 1000), "CloudWatchMetrics": [definition]}
        line["Stack"] = os.environ["STACK"]
        line["FleetTroubled"] = troubled
    print(json.dumps(line), flush=True)


def disk_is_full(needed):
    free = shutil.disk_usage(STATE).free
    return Trouble(f"the disk of {STATE} is full: about {needed >> 20} MiB are needed, {free >> 20} MiB are free; end this instance, or make room")


def aws(*arguments):
    """Asks the AWS command line. What it answers is never logged: the environment is in it, and a signed address."""
    what = " ".join(arguments[:2])
    try:
        done = subprocess.run(["aws", *arguments, "--output", "json"], capture_output=True, text=True, timeout=AWS_SECONDS_MAX)
    except FileNotFoundError:
        raise Trouble("the AWS command line is not installed") from None
    except subprocess.TimeoutExpired:
        raise Trouble(f"aws {what} does not answer within {AWS_SECONDS_MAX} s: has this host a way to the service?") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        advice = next((f": {advice}" for words, advice in ADVICE if words in said), "")
        raise Trouble(f"aws {what} failed{advice} ({said})")
    try:
        return json.loads(done.stdout or "{}")
    except ValueError:
        raise Trouble(f"aws {what} answers what is no JSON") from None


def curl(options, seconds):
    """Calls curl; the options go by standard input, so that no list of processes shows an address or a token."""
    lines = "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in options)
    command = ["curl", "--config", "-", "--fail", "--silent", "--show-error", "--max-time", str(seconds)]
    return subprocess.run(command, input=lines, capture_output=True, text=True)


def function():
    """The worker function as it is now, complete."""
    name = setting("WORKER_FUNCTION")
    answer = aws("lambda", "get-function", "--function-name", name)
    known = answer.get("Configuration", {})
    if known.get("LastUpdateStatus") == "InProgress":
        raise Trouble(f"the function {name} is being updated: again in a moment")
    return name, known, answer.get("Code", {}).get("Location", "")


def variables_of(name, known):
    environment = known.get("Environment", {})
    if "Error" in environment:
        why = environment["Error"].get("Message", "no reason is given")
        raise Trouble(f"the environment of the function {name} cannot be read: give this host's role kms:Decrypt on its key ({why})")
    return environment.get("Variables", {})


def download(name, known, place, file):
    size = known.get("CodeSize", 0)
    if shutil.disk_usage(STATE).free < size * DISK_FACTOR:
        raise disk_is_full(size * DISK_FACTOR)
    done = curl([("url", place), ("output", str(file))], DOWNLOAD_SECONDS_MAX)
    # curl's own code for a file that cannot be written.
    if done.returncode == 23:
        raise disk_is_full(size * DISK_FACTOR)
    if done.returncode:
        said = " ".join(done.stderr.replace(place, "its address").split())
        raise Trouble(f"the package of the function {name} cannot be fetched: has this host a way to S3? ({said})")
    with open(file, "rb") as package:
        hashed = hashlib.sha256(package.read()).digest()
    if base64.b64encode(hashed).decode() != known.get("CodeSha256"):
        raise Trouble(f"the package of the function {name} is broken: its SHA-256 is not the function's; it is fetched again")


def unpack(name, package, program):
    try:
        with zipfile.ZipFile(package) as members, members.open("bootstrap") as inside, open(program, "wb") as out:
            shutil.copyfileobj(inside, out)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise Trouble(f"the package of the function {name} is broken: {error}; build and deploy it again") from None
    os.chmod(program, 0o755)


def fetch():
    """Puts the function's program, its environment and its revision where the other commands find them."""
    name, known, place = function()
    machine = {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    built = known.get("Architectures", ["x86_64"])[0]
    if built != machine:
        raise Trouble(f"the function {name} is built for {built}, and this host is {machine}: deploy with Architecture={machine}, or take another host")
    variables = variables_of(name, known)
    new = STATE / "new"
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        download(name, known, place, new / "package.zip")
        unpack(name, new / "package.zip", new / "bootstrap")
        (new / "environment.json").write_text(json.dumps(variables))
        (new / "revision").write_text(known.get("RevisionId", ""))
        for file in ("bootstrap", "environment.json", "revision"):
            os.replace(new / file, STATE / file)
    except OSError as error:
        if error.errno == 28:
            raise disk_is_full(known.get("CodeSize", 0) * DISK_FACTOR) from None
        raise Trouble(f"{STATE} cannot be written: {error}") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
    say("INFO", f"fetched the function {name}, revision {known.get('RevisionId')}")


def is_passed(name):
    return name in PASSED or name.startswith(PASSED_PREFIXES)


def start():
    """Becomes the worker, with the function's environment and what the host says itself."""
    of_function = json.loads((STATE / "environment.json").read_text())
    for name, value in sorted(os.environ.items()):
        if name.startswith("TRANSHIP_") and not is_passed(name) and of_function.get(name, "") != value:
            say("WARN", f"{name} of /etc/tranship/fleet.conf is not followed: it is the same for all workers of a stack, and the function says it")
    variables = {**of_function, **{name: value for name, value in os.environ.items() if is_passed(name)}}
    program = str(STATE / "bootstrap")
    try:
        os.execve(program, [program], variables)
    except OSError as error:
        raise Trouble(f"{program} cannot be run: {error.strerror}") from None


def stop():
    """Asks the worker to end and waits for as long as its drain may take, which a unit cannot say itself."""
    worker = os.environ.get("MAINPID")
    if not worker:
        # It has ended by itself.
        return
    drains = os.environ.get("TRANSHIP_FLEET_DRAIN_SECONDS", "")
    seconds = (int(drains) if drains.isdigit() else DRAIN_SECONDS) + STOP_MARGIN_SECONDS
    try:
        os.kill(int(worker), signal.SIGTERM)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.1)
            os.kill(int(worker), 0)
        os.kill(int(worker), signal.SIGKILL)
    except ProcessLookupError:
        return
    say("ERROR", f"the worker had not ended {seconds} s after SIGTERM and was killed: its tasks come back to others within 3 minutes")


def metadata(path):
    """What the instance knows of itself, by the second version of the metadata service; None if it is not there."""
    token = curl([("url", METADATA + "api/token"), ("request", "PUT"), ("header", "X-aws-ec2-metadata-token-ttl-seconds: 60")], METADATA_SECONDS_MAX)
    if token.returncode:
        raise Trouble(f"the instance's metadata service does not answer ({token.stderr.strip()})")
    told = curl([("url", METADATA + "meta-data/" + path), ("header", f"X-aws-ec2-metadata-token: {token.stdout.strip()}")], METADATA_SECONDS_MAX)
    return None if told.returncode else told.stdout.strip()


def ended():
    """Lets Auto Scaling go on with an instance that it is ending; of any other it says nothing."""
    group = os.environ.get("FLEET_GROUP")
    if not group:
        return
    try:
        if metadata("autoscaling/target-lifecycle-state") != "Terminated":
            return
        hook, instance = setting("FLEET_HOOK"), metadata("instance-id") or ""
        aws("autoscaling", "complete-lifecycle-action", "--auto-scaling-group-name", group, "--lifecycle-hook-name", hook,
            "--instance-id", instance, "--lifecycle-action-result", "CONTINUE")
    except Trouble as trouble:
        # The hook ends by itself, some minutes later.
        say("WARN", f"Auto Scaling is not told that this instance may end: {trouble}")
        return
    say("INFO", f"the work is handed back: {instance} of {group} may end")


def update():
    """Has the worker started again if its function is not the one that was fetched."""
    try:
        fetched = (STATE / "revision").read_text()
    except FileNotFoundError:
        # It has not begun yet, and fetches what is newest when it does.
        return
    name, known, _place = function()
    now = known.get("RevisionId", "")
    if now == fetched:
        return
    say("INFO", f"the function {name} has changed from revision {fetched} to {now}: the worker drains and starts again")
    subprocess.run(["systemctl", "try-restart", "--no-block", "tranship-worker.service"], check=True)


def environment():
    """Prints the function's environment as a container takes it, a line for each variable."""
    name, known, _place = function()
    for variable, value in sorted(variables_of(name, known).items()):
        if "\n" in value:
            raise Trouble(f"{variable} has several lines, which no file of variables for containers can hold")
        print(f"{variable}={value}")


def agent():
    """Prints the configuration of the CloudWatch agent: agent.json with what only the host knows."""
    stream = "{instance_id}"
    if not os.environ.get("FLEET_GROUP"):
        # No instance of the stack's, so there may be no such id: as the worker calls itself. Two letters a stream may not have.
        stream = re.sub("[:*]", "-", os.environ.get("TRANSHIP_FLEET_INSTANCE") or os.uname().nodename)
    group = os.environ.get("FLEET_LOG_GROUP") or f"/tranship/{setting('STACK')}/fleet"
    text = pathlib.Path(__file__).with_name("agent.json").read_text()
    for place, value in (("@AWS_REGION@", setting("AWS_REGION")), ("@FLEET_LOG_GROUP@", group), ("@FLEET_LOG_STREAM@", stream)):
        text = text.replace(place, json.dumps(value)[1:-1])
    print(text, end="")


COMMANDS = {"fetch": fetch, "start": start, "stop": stop, "ended": ended, "update": update, "environment": environment, "agent": agent}
# What they print is for another program, so what goes wrong is said beside it.
PRINT = (environment, agent)


def main():
    os.umask(0o077)
    command = COMMANDS.get(sys.argv[1] if len(sys.argv) == 2 else "")
    if command is None:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        command()
    except Trouble as trouble:
        if command in PRINT:
            print(trouble, file=sys.stderr)
        else:
            say("ERROR", f"this worker cannot {sys.argv[1]}: {trouble}", troubled=1)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
