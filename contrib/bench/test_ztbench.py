# SPDX-License-Identifier: GPL-2.0-or-later
"""test_ztbench - what the bench computes and draws, on figures that are known. tests/docs/check-bench runs it."""
import importlib
import json
import os
import re
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from ztbench import bars, main, meter, picture, report, rounds, settings, systems  # noqa: E402
from ztbench.results import Results, Sample  # noqa: E402

KEY = bars.STREAM + ("write",)


def sample(system, nr, value, unit="MB/s", key=KEY, **more):
    return Sample(section=key[0], scenario=key[1], work=key[2], system=system, round=nr, value=value, unit=unit,
                  seconds=1.0, **more)


class TestResults(unittest.TestCase):
    def test_ratio_is_median_of_paired_rounds(self):
        # Medians alone would say 200 / 100 = 2.
        results = Results([sample("a", 0, 100), sample("a", 1, 200), sample("a", 2, 900)] +
                          [sample("b", 0, 100), sample("b", 1, 50), sample("b", 2, 300)])
        self.assertAlmostEqual(results.ratio(KEY, "a", "b"), 3.0)

    def test_speed_turns_round_where_less_is_better(self):
        results = Results([sample("a", 0, 2.0, "s"), sample("b", 0, 4.0, "s")])
        self.assertAlmostEqual(results.speed(KEY, "a", "b"), 2.0)

    def test_stolen_rounds_count_only_without_others(self):
        results = Results([sample("a", 0, 1, clean=False), sample("a", 1, 100), sample("b", 0, 7, clean=False)])
        self.assertEqual(results.summary(KEY, "a").median, 100)
        self.assertEqual(results.summary(KEY, "a").clean, 1)
        self.assertEqual(results.summary(KEY, "b").median, 7)
        self.assertEqual(results.summary(KEY, "b").clean, 0)
        self.assertIsNone(results.ratio(KEY, "a", "b"), "rounds without a partner")

    def test_cpu_is_per_gib(self):
        results = Results([sample("a", 0, 1, nbytes=1 << 29, cpu={"daemon": 1.0})])
        self.assertAlmostEqual(results.summary(KEY, "a").cpu["daemon"], 2.0)


class TestBars(unittest.TestCase):
    def reached(self, ours, theirs):
        results = Results([sample("ztmpfs", 0, ours), sample("zram-ext4", 0, theirs)])
        return bars.all_bars(results, {})[0].reached()

    def test_reached(self):
        self.assertEqual(self.reached(150, 100), "yes")
        self.assertEqual(self.reached(149, 100), "no")
        self.assertEqual(bars.all_bars(Results([]), {})[0].reached(), "not measured")

    def test_time_bar(self):
        key = bars.TREE + ("untar, with sync",)
        for seconds, word in ((1.3, "yes"), (1.31, "no")):
            results = Results([sample("ztmpfs", 0, seconds, "s", key), sample("zram-ext4", 0, 1.0, "s", key)])
            found = [bar for bar in bars.all_bars(results, {}) if bar.work.startswith("untar")]
            self.assertEqual([bar.reached() for bar in found], [word])

    def test_daemon(self):
        results = Results([sample("ztmpfs", 0, 1, nbytes=1 << 30, cpu={"daemon": 2.4, "client": 9.0})])
        self.assertAlmostEqual(bars.all_bars(results, {64: (2.0, 1.0, 2.0)})[-1].measured, 1.2)

    def test_works_of_bars_and_overview_exist(self):
        """A work that was renamed would never be measured for its bar."""
        text = ""
        for module in main.SECTIONS.values():
            with open(module.__file__, encoding="utf-8") as f:
                text += f.read()
        named = [row[3][2] for row in bars.RATIOS] + [row[6][2] for row in bars.RATIOS if len(row) > 6]
        known = {(s.section, s.name) for module in main.SECTIONS.values() for s in module.SCENARIOS}
        for work in named + [key[2] for key in bars.OVERVIEW]:
            self.assertIn('"%s"' % work, text)
        for key in bars.OVERVIEW:
            self.assertIn(key[:2], known)

    def test_systems_of_bars_exist(self):
        names = [system.name for system in systems.all_systems(".", ".")]
        for chosen in bars.needed().values():
            for name in chosen:
                self.assertIn(name, names)

    def test_bars_alone(self):
        try:
            chosen = main.choose_sections(["bars"])
            self.assertEqual({(s.section, s.name): s.only for s in chosen}, bars.needed())
        finally:
            for module in main.SECTIONS.values():
                importlib.reload(module)


class TestSettings(unittest.TestCase):
    def test_sizes(self):
        self.assertEqual(settings.Settings({"SIZE": "2g"}).size, 2 << 30)
        self.assertLess(settings.Settings({"QUICK": "1"}).size, settings.Settings({}).size)

    def test_wrong_ones_are_refused(self):
        for environ in ({"SIZE": "much"}, {"ROUNDS": "0"}, {"ROUNDS": "-1"}):
            with self.assertRaises(settings.UsageError):
                settings.Settings(environ)

    def test_unknown_names_are_refused(self):
        with self.assertRaises(settings.UsageError):
            main.choose_sections(["stream"])
        with self.assertRaises(settings.UsageError):
            main.choose_systems(["ext5"], ".", settings.Settings({}))


class FakeSystem(systems.System):
    """Mounts nothing; steal time as it was told."""

    def __init__(self, steal):
        super().__init__("fake", "fake")
        self.steal = list(steal)
        self.up = False

    def start(self, mnt, room, inodes):
        self.up = True

    def stop(self):
        self.up = False


class TestRounds(unittest.TestCase):
    def schedule(self, steal, function=None):
        conf = settings.Settings({"ROUNDS": "1", "ATTEMPTS": "3"})
        self.system = FakeSystem(steal)

        def work(run):
            run.keep("work", 1.0, "s", None, 0, None, 0.0)
            run.samples[-1].steal = run.system.steal.pop(0)

        plan = rounds.Schedule([rounds.Scenario("s", "n", function or work)], [self.system], None, conf, "/", lambda text: None)
        plan.go()
        return plan

    def test_stolen_round_is_repeated_and_the_best_kept(self):
        plan = self.schedule([50.0, 3.0, 0.0])
        self.assertEqual([(s.steal, s.clean) for s in plan.samples], [(3.0, True)])

    def test_repeats_are_bounded(self):
        plan = self.schedule([50.0, 30.0, 40.0, 0.0])
        self.assertEqual([(s.steal, s.clean) for s in plan.samples], [(30.0, False)])

    def test_failure_is_kept_and_the_system_stopped(self):
        plan = self.schedule([], lambda run: run.command(["false"]))
        self.assertIn("'false' ended with 1", list(plan.failures.values())[0])
        self.assertFalse(self.system.up)

    def test_what_cannot_be_is_no_failure(self):
        def cannot(run):
            raise rounds.NotHere("no such thing")
        plan = self.schedule([], cannot)
        self.assertEqual((plan.failures, list(plan.left_out.values())), ({}, ["no such thing"]))
        self.assertFalse(self.system.up)


class TestMeter(unittest.TestCase):
    def test_children_and_wall_are_counted(self):
        run = rounds.Run(None, FakeSystem([]), "/", None, None, 0)
        with meter.Meter(os.getpid()) as m:
            run.command([sys.executable, "-c", "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"])
        self.assertGreaterEqual(m.cpu["client"], 0.29)
        self.assertGreaterEqual(m.seconds, 0.29)
        self.assertLess(m.cpu["daemon"], 0.2)


class TestReport(unittest.TestCase):
    def test_tables_and_json(self):
        results = Results([sample("ztmpfs", 0, 300, nbytes=1 << 30, cpu={who: 1.0 for who in report.CPU}),
                           sample("zram-ext4", 0, 100, nbytes=1 << 30, cpu={who: 1.0 for who in report.CPU})])
        text = "\n".join(report.tables(results, {("a", "b", "c"): "because"}, {}))
        self.assertRegex(text, r"ztmpfs +300 +300 +300 +3\.00 ")
        self.assertIn("failed: a / b on c: because", text)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.json")
            report.save_json(path, results, {}, settings.Settings({}), [], {64: (1.0, 1.0, 1.0)})
            with open(path, encoding="utf-8") as f:
                document = json.load(f)
        self.assertEqual(document["bars"][0]["reached"], "yes")
        self.assertEqual(len(document["samples"]), 2)


class TestPicture(unittest.TestCase):
    def boxes(self, text):
        """Each text as a box of the room that it takes at most."""
        for x, y, size, anchor, words in re.findall(
                r'<text x="([^"]+)" y="([^"]+)" font-size="(\d+)" text-anchor="(\w+)"[^>]*>([^<]*)<', text):
            width = len(words) * 0.6 * int(size)
            left = float(x) - {"start": 0, "middle": width / 2, "end": width}[anchor]
            yield left, float(y) - 0.8 * int(size), left + width, float(y) + 0.1 * int(size), words

    def test_no_text_overlaps_or_leaves(self):
        names = [system.name for system in systems.all_systems(".", ".")]
        samples = []
        for i, name in enumerate(names):
            samples += [sample(name, nr, 10 ** i * (nr + 1)) for nr in range(3)]
            samples += [sample(name, 0, 1e-6, "s", ("a section", "a scenario of many words", "a work with a very long name, " * 4))]
            for n in range(21):
                samples.append(sample(name, 0, 3.7 ** (i - 5) * (n + 1), "us", ("size", "s", "%d" % n), series=("curve " * 20, 2 ** n)))
                samples.append(sample(name, 0, 5, "us", ("size", "t", "%d" % n), series=("flat", 10 ** n)))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.svg")
            self.assertTrue(picture.draw(Results(samples), path, "caption"))
            with open(path, encoding="utf-8") as f:
                text = f.read()
        width, height = (float(n) for n in re.search(r'width="(\d+)" height="(\d+)"', text).groups())
        found = list(self.boxes(text))
        self.assertGreater(len(found), 50)
        for i, a in enumerate(found):
            self.assertTrue(a[0] >= 0 and a[2] <= width and a[1] >= 0 and a[3] <= height, "%s leaves the picture" % (a,))
            for b in found[:i]:
                self.assertFalse(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3], "%s overlaps %s" % (a, b))


if __name__ == "__main__":
    unittest.main()
