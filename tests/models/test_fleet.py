"""The model of what Lambda and the fleet cost: its arithmetic, its inputs, and the tables of docs/COST.md.

    python3 -m unittest discover --start-directory tests/models
"""

import contextlib
import io
import pathlib
import re
import sys
import tempfile
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs" / "models"))

import fleet  # noqa: E402

PAGE = ROOT / "docs" / "COST.md"
TEMPLATE = (ROOT / "template.yaml").read_text()


def default_of(parameter):
    """The default of a parameter of the template."""
    body = re.search(rf"^  {parameter}:\n((?:    .*\n)+)", TEMPLATE, re.M).group(1)
    return float(re.search(r'Default: "?([0-9.]+)', body).group(1))


def constant(path, pattern):
    """A number that stands in a source, such as `256 << 20`."""
    text = re.search(pattern, (ROOT / path).read_text()).group(1).replace("_", "")
    number, shift, bits = text.partition("<<")
    return int(number) << int(bits) if shift else int(number)


def run(*arguments):
    """What the command says, and how it ends."""
    out, err = io.StringIO(), io.StringIO()
    with mock.patch.object(sys, "argv", ["fleet.py", *arguments]):
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = fleet.main()
    return status, out.getvalue(), err.getvalue()


class ThePage(unittest.TestCase):
    def test_its_tables_are_what_the_model_says(self):
        page = PAGE.read_text()
        self.assertEqual(
            page,
            fleet.written(page, fleet.Model()),
            "run: python3 docs/models/fleet.py --write docs/COST.md",
        )

    def test_a_page_without_a_place_for_a_table_is_named_and_left_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "page.md"
            page.write_text("nothing\n")
            status, _, err = run("--write", str(page))
            self.assertEqual((status, page.read_text()), (2, "nothing\n"))
            self.assertIn("one place for the table inputs", err)


class Inputs(unittest.TestCase):
    def test_they_are_those_of_the_code_and_the_template(self):
        model = fleet.Model()
        self.assertEqual(model["worker memory"] * 1024, default_of("WorkerMemory"))
        self.assertEqual(model["workers"], default_of("WorkerConcurrency"))
        worker = TEMPLATE[TEMPLATE.index("  WorkerFunction:") :]
        self.assertEqual(model["timeout"], int(re.search(r"Timeout: ([0-9]+)", worker).group(1)))
        let_go = constant("crates/tranship-stack/src/deadline.rs", r"LAST_MS: u64 = ([0-9_]+);")
        self.assertEqual(model["let go"] * 1000, let_go)
        task = constant("crates/tranship-core/src/policy.rs", r"bytes_per_parts_task: ([0-9]+ << [0-9]+),")
        self.assertEqual(model["task"] * fleet.MIB, task)

    def test_those_of_the_fleet_are_the_templates(self):
        self.assertEqual(fleet.Model()["instances"], default_of("FleetMax"))
        self.assertEqual(default_of("LargeObjectMiB") * fleet.MIB, fleet.GIB)

    def test_prices_that_another_page_of_costs_has_are_the_same(self):
        page = PAGE.read_text()
        self.assertIn("$13.33 a million GB-seconds, $0.20 a million invocations", page)
        self.assertEqual(round(fleet.Model()["lambda"], 2), 13.33)
        self.assertEqual(fleet.Model()["invocation"], 0.20)

    def test_a_reader_may_put_in_others(self):
        status, dearer, _ = run("--set", "t4g.small=1.68", "--set", "spot=0.5")
        self.assertEqual(status, 0)
        self.assertIn("| t4g.small | 1.68 | $ an hour |", dearer)
        self.assertNotEqual(dearer, run()[1])

    def test_an_input_that_there_is_not_is_named(self):
        status, out, err = run("--set", "t4g.smal=1")
        self.assertEqual((status, out), (2, ""))
        self.assertIn("no such input: t4g.smal; there are: lambda, ", err)


class Arithmetic(unittest.TestCase):
    def test_windows_are_those_that_the_standard_of_cubic_prints(self):
        # RFC 9438, section 5.2: average windows in packets for a round trip of 0.1 s and C = 0.4.
        for loss_percent, packets in ((1, 12), (0.1, 38), (0.01, 187), (0.001, 1054)):
            self.assertAlmostEqual(fleet.Model().window(100, loss_percent), packets, delta=1)

    def test_a_connection_never_brings_more_than_a_store_takes(self):
        self.assertEqual(fleet.Model().loss_based(1, 0.000001), 20)

    def test_money_by_hand(self):
        model = fleet.Model()
        # A TB at 78 MB/s is 12,820.5 s, and half a GB of memory for so long; 3,725.3 invocations.
        self.assertAlmostEqual(model.lambda_dollars(78), 12820.513 * 0.5 * 13.3334e-6 + 3725.3 * 0.2e-6, places=6)
        self.assertEqual(model.lambda_dollars(78), model.lambda_dollars(500), "no function moves more")
        hour = 0.0168 + 0.005 + (0.64 + 2.10) / 730
        self.assertAlmostEqual(model.hour_dollars("t4g.small"), hour)
        # At 16 MB/s a TB is 17.3611 h.
        self.assertAlmostEqual(model.instance_dollars("t4g.small", 2), 17.3611 * hour, places=4)
        self.assertAlmostEqual(model.hour_dollars("c7gn.large", managed=True), 0.1248 * 1.15 + hour - 0.0168)

    def test_where_both_cost_the_same_they_do(self):
        model = fleet.Model()
        least = model.break_even_bytes("c7gn.medium", 10) / fleet.TB
        started = model.hour_dollars("c7gn.medium") * 17 / 60
        self.assertAlmostEqual(
            least * model.lambda_dollars(10), least * model.instance_dollars("c7gn.medium", 10) + started
        )
        self.assertIsNone(model.break_even_bytes("t4g.small", 78), "a t4g.small is never cheaper than a fast function")

    def test_parts_are_those_that_the_layout_chooses(self):
        for size, part, of_a_task in (
            (fleet.GIB - 1, 64 * fleet.MIB, 4),
            (fleet.GIB, 128 * fleet.MIB, 2),
            (100 * fleet.GIB, 256 * fleet.MIB, 1),
            (2 * fleet.TIB, 256 * fleet.MIB, 1),
            (10_000 * 5 * fleet.GIB, 5 * fleet.GIB, 1),
        ):
            self.assertEqual(fleet.Model().parts(size), (part, of_a_task))

    def test_the_link_decides_and_not_the_size(self):
        model = fleet.Model()
        sizes = [size for _, size in fleet.SIZES if size <= 10_000 * 256 * fleet.MIB]
        self.assertGreaterEqual(len(sizes), 5)
        self.assertEqual(len({model.speed_needed(size, 90) for size in sizes}), 1)
        self.assertEqual([model.verdict(fleet.GIB, speed) for speed in (1.5, 2, 3)], ["never", "just", "yes"])

    def test_below_the_threshold_no_instance_pays_for_one_object(self):
        # This is what the default of LargeObjectMiB rests on.
        model = fleet.Model()
        slow = [speed for speed in fleet.SPEEDS if model.verdict(fleet.GIB, speed) != "never"]
        for speed in slow:
            for instance in ("t4g.small", "c7gn.medium"):
                for spot in (False, True):
                    least = model.break_even_bytes(instance, speed, spot=spot)
                    self.assertTrue(least is None or least > fleet.GIB, f"{instance} at {speed} MB/s: {least}")


if __name__ == "__main__":
    unittest.main()
