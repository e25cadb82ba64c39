"""What moving a terabyte costs and takes on Lambda, on an EC2 fleet and on Lambda Managed Instances.

    python3 docs/models/fleet.py                                 prints every table of docs/COST.md that follows from it
    python3 docs/models/fleet.py --set c7gn.medium=0.07          the same with another price; may be given several times
    python3 docs/models/fleet.py --write docs/COST.md            puts the tables into the page

It is arithmetic over the inputs below, and measures nothing. Money is what the compute costs: requests, transfer and NAT
stand apart, since they are the same wherever the worker runs.
"""

import argparse
import math
import pathlib
import re
import sys

MB, GB, TB = 10**6, 10**9, 10**12
MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40
HOUR_SECONDS = 3600
MONTH_HOURS = 730
PARTS_MAX = 10_000
TEMPLATE = "template.yaml"
KARPENTER = "aws/karpenter-provider-aws, tables at commit 1d92708 of 2026-08-21"

# Name: value, unit, where it comes from and from when. Prices are list prices of us-east-1 without free tiers.
INPUTS = {
    "lambda": (13.3334, "$ a million GB-seconds, arm64", "AWS Lambda, price page, November 2026"),
    "invocation": (0.20, "$ a million invocations", "the same"),
    "worker memory": (0.5, "GB", f"`WorkerMemory`, {TEMPLATE}"),
    "workers": (100, "at once", f"`WorkerConcurrency`, {TEMPLATE}"),
    "lambda network": (78, "MB/s each way, sustained", "hpides/skyrise, measured March 2024 and March 2025 (arXiv 2501.07771)"),
    "timeout": (180, "s of the worker", TEMPLATE),
    "let go": (3, "s before its end work is let go", "`LAST_MS`, crates/tranship-stack"),
    "timeout max": (900, "s of a function", "AWS Lambda, developer guide, *Configure timeout*, November 2026"),
    "task": (256, "MiB of a task of parts", "`bytes_per_parts_task`, crates/tranship-core"),
    "t4g.small": (0.0168, "$ an hour", f"on demand, 2026-07-20: {KARPENTER}"),
    "c7gn.medium": (0.0624, "$ an hour", "the same"),
    "c7gn.large": (0.1248, "$ an hour", "the same"),
    "t4g.small network": (16, "MB/s, baseline (128 Mbit/s)", KARPENTER),
    "c7gn.medium network": (390, "MB/s, baseline (3,125 Mbit/s)", "the same"),
    "c7gn.large network": (781, "MB/s, baseline (6,250 Mbit/s)", "the same"),
    "egress": (625, "MB/s out of the region, below 32 vCPU (5 Gbit/s)", "Amazon EC2, user guide, *Instance network bandwidth*, November 2026"),
    "spot": (0.40, "of the on-demand price", "assumed: Spot prices move, look yours up"),
    "address": (0.005, "$ an hour, public IPv4 address", "AWS, in force since 2024-02-01"),
    "disk": (0.64, "$ a month, 8 GiB of gp3", "Amazon EBS, price page, November 2026"),
    "monitoring": (2.10, "$ a month, 7 metrics each minute", "Amazon CloudWatch, price page, November 2026"),
    "managed": (0.15, "of the on-demand price on top: Managed Instances", "AWS Lambda, price page, 2026; AWS re:Invent 2025, CNS382"),
    "managed instances": (3, "that run when nothing happens", "AWS Lambda, developer guide, *Scaling Lambda Managed Instances*, 2026"),
    "connections": (8, "times those of a worker, on one instance", "assumed, cautiously"),
    "instances": (4, "at once", f"`FleetMax`, {TEMPLATE}"),
    "idle": (17, "minutes: 2 to start, 15 with an empty queue", f"start-up assumed; {TEMPLATE}"),
    "put": (20, "MB/s of one UploadPart to Amazon S3", "awslabs/aws-s3-transfer-manager-rs, constants of 2025-09-18"),
    "segment": (1460, "bytes in a packet of 1,500", "Ethernet, IPv4 and TCP without options"),
}

# What a worker's network carries, in MB/s.
SPEEDS = (1, 1.6, 2, 3, 5, 10, 20, 40, 78)
ROUND_TRIPS_MS = (10, 50, 100, 200, 300)
LOSSES_PERCENT = (0.001, 0.01, 0.1, 1)
SIZES = (
    ("256 MiB", 256 * MIB),
    ("1 GiB", GIB),
    ("100 GiB", 100 * GIB),
    ("1 TiB", TIB),
    ("2.4 TiB", 2 * TIB + 450 * GIB),
    ("5 TiB", 5 * TIB),
    ("10 TiB", 10 * TIB),
    ("16 TiB", 16 * TIB),
    ("48.8 TiB (50 TB)", 10_000 * 5 * GIB),
)


class Model:
    def __init__(self, **other):
        unknown = set(other) - set(INPUTS)
        if unknown:
            raise ValueError(f"no such input: {', '.join(sorted(unknown))}; there are: {', '.join(INPUTS)}")
        self.inputs = {name: other.get(name, value) for name, (value, _, _) in INPUTS.items()}

    def __getitem__(self, name):
        return self.inputs[name]

    # ---- Money ------------------------------------------------------------------------------------------

    def lambda_dollars(self, speed, memory=None):
        """Dollars a TB on functions that move so many MB/s each."""
        seconds = TB / (min(speed, self["lambda network"]) * MB)
        gigabyte_seconds = seconds * (self["worker memory"] if memory is None else memory)
        invocations = TB / (self["task"] * MIB)
        return (gigabyte_seconds * self["lambda"] + invocations * self["invocation"]) / 1e6

    def hour_dollars(self, instance, spot=False, managed=False):
        """Dollars of an instance's hour, with all that is paid for by the hour."""
        price = self[instance] * (self["spot"] if spot else 1) * (1 + (self["managed"] if managed else 0))
        return price + self["address"] + (self["disk"] + self["monitoring"]) / MONTH_HOURS

    def instance_speed(self, instance, speed):
        """MB/s of an instance where a function's worker moves so many: connections, or the network."""
        return min(self["connections"] * speed, self[f"{instance} network"], self["egress"])

    def instance_dollars(self, instance, speed, **kind):
        """Dollars a TB on an instance that is busy all the time."""
        hours = TB / (self.instance_speed(instance, speed) * MB) / HOUR_SECONDS
        return hours * self.hour_dollars(instance, **kind)

    def break_even_bytes(self, instance, speed, **kind):
        """From how many bytes at once an instance that has to be started is cheaper; None: never."""
        saved = self.lambda_dollars(speed) - self.instance_dollars(instance, speed, **kind)
        start = self.hour_dollars(instance, **kind) * self["idle"] / 60
        return start / saved * TB if saved > 0 else None

    def standing(self, instance, count, **kind):
        """Dollars a month of instances that always run, and the TB a month that they can move at each speed."""
        dollars = count * self.hour_dollars(instance, **kind) * MONTH_HOURS
        return dollars, lambda speed: count * self.instance_speed(instance, speed) * MB * MONTH_HOURS * HOUR_SECONDS / TB

    # ---- Time -------------------------------------------------------------------------------------------

    def lambda_hours(self, size, speed):
        return size / (min(speed, self["lambda network"]) * MB * self["workers"]) / HOUR_SECONDS

    def fleet_hours(self, instance, size, speed):
        return size / (self.instance_speed(instance, speed) * MB * self["instances"]) / HOUR_SECONDS

    def parts(self, size):
        """Bytes of a part, as `Layout::by_size` chooses them, and parts of one task."""
        by_cost = 64 * MIB if size < GIB else 128 * MIB if size < 100 * GIB else 256 * MIB
        least = math.ceil(math.ceil(size / PARTS_MAX) / MIB) * MIB
        part = max(by_cost, least)
        return part, max(1, self["task"] * MIB // part)

    def speed_needed(self, size, seconds):
        """MB/s at which a function moves all parts of one task in so many seconds."""
        part, count = self.parts(size)
        return part * count / seconds / MB

    def verdict(self, size, speed):
        """Whether a function comes to the end of its task."""
        if speed < self.speed_needed(size, self["timeout"] - self["let go"]):
            return "never"
        return "just" if speed < self.speed_needed(size, self["timeout"] / 2) else "yes"

    # ---- One connection ---------------------------------------------------------------------------------

    def window(self, round_trip_ms, loss_percent):
        """Packets on the way of a connection that takes each lost one for congestion.

        The larger of two, as CUBIC does it (RFC 9438, August 2023): Reno's, by the formula of Mathis, Semke, Mahdavi and
        Ott (1997), and CUBIC's own, with its constants C = 0.4 and beta = 0.7.
        """
        seconds, loss = round_trip_ms / 1000, loss_percent / 100
        reno = math.sqrt(3 / 2) / math.sqrt(loss)
        cubic = (0.4 * 3.7 / (4 * 0.3)) ** 0.25 * (seconds / loss) ** 0.75
        return max(reno, cubic)

    def loss_based(self, round_trip_ms, loss_percent):
        """MB/s of such a connection."""
        carried = self.window(round_trip_ms, loss_percent) * self["segment"] / (round_trip_ms / 1000)
        return min(carried / MB, self["put"])

    def bbr(self, loss_percent):
        """MB/s of a connection by BBR where the path has room: what the store takes, less what is lost."""
        return self["put"] * (1 - loss_percent / 100)


def number(value, digits=2):
    """A number with so many digits that count, and no false precision."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.{digits}f}"


def table(heads, rows, left=1):
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join(["---"] * left + ["---:"] * (len(heads) - left)) + " |"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def inputs(model):
    rows = []
    for name, (_, unit, source) in INPUTS.items():
        rows.append([name, f"{model[name]:g}", unit, source])
    lines = table(["input", "value", "unit", "source, date"], rows, left=4)
    return lines.replace("| --- | --- |", "| --- | ---: |", 1)


def dollars(model):
    heads = ["MB/s of a worker", "Lambda, 512 MB", "Lambda, 256 MB", "t4g.small", "t4g.small, Spot", "c7gn.medium", "c7gn.medium, Spot", "Managed Instances, c7gn.large"]
    rows = []
    for speed in SPEEDS:
        costs = [model.lambda_dollars(speed), model.lambda_dollars(speed, 0.25)]
        for instance in ("t4g.small", "c7gn.medium"):
            costs += [model.instance_dollars(instance, speed, spot=spot) for spot in (False, True)]
        costs.append(model.instance_dollars("c7gn.large", speed, managed=True))
        rows.append([f"{speed:g}"] + [number(cost) for cost in costs])
    return table(heads, rows, left=0)


def hours(model):
    heads = ["MB/s of a worker", "Lambda: a TB, h", "1 TiB object, h", "its tasks end", "t4g.small: a TB, h", "1 TiB object, h", "c7gn.medium: a TB, h", "1 TiB object, h"]
    rows = []
    for speed in SPEEDS:
        verdict = model.verdict(TIB, speed)
        whole = "–" if verdict == "never" else number(model.lambda_hours(TIB, speed))
        row = [f"{speed:g}", "–" if verdict == "never" else number(model.lambda_hours(TB, speed)), whole, verdict]
        for instance in ("t4g.small", "c7gn.medium"):
            row += [number(model.fleet_hours(instance, size, speed)) for size in (TB, TIB)]
        rows.append(row)
    return table(heads, rows, left=0)


def crossover(model):
    heads = ["MB/s of a worker", "t4g.small", "t4g.small, Spot", "c7gn.medium", "c7gn.medium, Spot"]
    rows = []
    for speed in SPEEDS:
        row = [f"{speed:g}"]
        for instance in ("t4g.small", "c7gn.medium"):
            for spot in (False, True):
                least = model.break_even_bytes(instance, speed, spot=spot)
                row.append("never" if least is None else number(least / GIB))
        rows.append(row)
    return table(heads, rows, left=0)


def parts(model):
    heads = ["object", "part, MiB", "parts", "parts of a task", "to end at all", "with time to spare", "with 900 s, to spare"]
    rows = []
    for name, size in SIZES:
        part, count = model.parts(size)
        times = (model["timeout"] - model["let go"], model["timeout"] / 2, model["timeout max"] / 2)
        needs = [number(model.speed_needed(size, seconds)) for seconds in times]
        rows.append([name, number(part / MIB, 0), f"{math.ceil(size / part):,}", str(min(count, math.ceil(size / part)))] + needs)
    return table(heads, rows)


def connections(model):
    heads = ["round trip, ms", "packets lost, %", "CUBIC, MB/s", "a function's two, MB/s", "they end", "BBR, MB/s", "times"]
    rows = []
    for round_trip in ROUND_TRIPS_MS:
        for loss in LOSSES_PERCENT:
            one, other = model.loss_based(round_trip, loss), model.bbr(loss)
            two = min(2 * one, model["lambda network"])
            rows.append([str(round_trip), f"{loss:g}", number(one), number(two), model.verdict(GIB, two), number(other), number(other / one, 1)])
    return table(heads, rows, left=0)


def standing(model):
    heads = ["what always runs", "$ a month", "TB a month, 3 MB/s", "10 MB/s", "78 MB/s"]
    managed = f"Managed Instances, {model['managed instances']:g} × c7gn.large"
    kept = (
        ("`FleetMin=1`, t4g.small", "t4g.small", 1, {}),
        ("`FleetMin=1`, c7gn.medium", "c7gn.medium", 1, {}),
        (managed, "c7gn.large", model["managed instances"], {"managed": True}),
    )
    rows = []
    for name, instance, count, kind in kept:
        month, carries = model.standing(instance, count, **kind)
        row = [name, number(month)]
        for speed in (3, 10, 78):
            least = month / model.lambda_dollars(speed)
            row.append(number(least) if least <= carries(speed) else "never")
        rows.append(row)
    return table(heads, rows)


TABLES = (inputs, connections, parts, dollars, hours, crossover, standing)


def block(name, text):
    return f"<!-- fleet.py: {name} -->\n{text}\n<!-- end -->"


def written(page, model):
    """The page with the tables of the model in their places."""
    for make in TABLES:
        name = make.__name__
        place = re.compile(rf"<!-- fleet\.py: {name} -->\n.*?<!-- end -->", re.S)
        if len(place.findall(page)) != 1:
            raise ValueError(f"the page has to have one place for the table {name}")
        page = place.sub(lambda _: block(name, make(model)), page)
    return page


def setting(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text}: say NAME=VALUE")
    return name, float(value)


def main():
    parser = argparse.ArgumentParser(description="Tables of docs/COST.md about Lambda and the fleet.")
    parser.add_argument("--set", dest="settings", action="append", type=setting, default=[], metavar="NAME=VALUE")
    parser.add_argument("--write", type=pathlib.Path, metavar="PAGE")
    arguments = parser.parse_args()
    try:
        model = Model(**dict(arguments.settings))
        if arguments.write:
            arguments.write.write_text(written(arguments.write.read_text(), model))
        else:
            print("\n\n".join(f"{make.__name__}\n\n{make(model)}" for make in TABLES))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
