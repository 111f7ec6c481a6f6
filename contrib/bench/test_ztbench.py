# SPDX-License-Identifier: GPL-2.0-or-later
"""test_ztbench - what the bench computes and draws, on figures that are known. tests/docs/check-bench runs it."""
import importlib
import json
import os
import sys
import tempfile
import time
import unittest
from xml.etree import ElementTree

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from ztbench import bars, fio, main, meter, picture, report, rounds, settings, systems  # noqa: E402
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

    def test_waits_for_locks_are_medians_and_the_kind_that_took_most(self):
        results = Results([sample("a", 0, 1, locks={"class": (3, 4000000), "file": (1, 1000000)}), sample("a", 1, 1, locks={}),
                           sample("a", 2, 1, locks={"file": (1, 2000000)}), sample("b", 0, 1)])
        found = results.summary(KEY, "a")
        self.assertEqual((found.lock_ms, found.lock_most), (2.0, "class"))
        self.assertIsNone(results.summary(KEY, "b").lock_ms)

    def test_cpu_is_per_gib(self):
        results = Results([sample("a", 0, 1, nbytes=1 << 29, cpu={"daemon": 1.0})])
        self.assertAlmostEqual(results.summary(KEY, "a").cpu["daemon"], 2.0)


class TestBars(unittest.TestCase):
    def reached(self, ours, theirs):
        results = Results([sample("ztmpfs", 0, ours), sample("zram-ext4", 0, theirs)])
        return bars.all_bars(results, {})[0].reached()

    def test_reached(self):
        self.assertEqual(self.reached(175, 100), "yes")
        self.assertEqual(self.reached(174, 100), "no")
        self.assertEqual(bars.all_bars(Results([]), {})[0].reached(), "not measured")

    def test_time_bar(self):
        key = bars.TREE + ("untar, with sync",)
        for seconds, word in ((1.5, "yes"), (1.51, "no")):
            results = Results([sample("ztmpfs", 0, seconds, "s", key), sample("zram-ext4", 0, 1.0, "s", key)])
            found = [bar for bar in bars.all_bars(results, {}) if bar.work.startswith("untar, ")]
            self.assertEqual([bar.reached() for bar in found], [word])

    def test_spread_and_distance(self):
        results = Results([sample("ztmpfs", nr, value) for nr, value in enumerate((100, 350, 600))] +
                          [sample("zram-ext4", nr, 100) for nr in range(3)])
        bar = bars.all_bars(results, {})[0]
        self.assertEqual((bar.measured, bar.low, bar.high, bar.rounds, bar.share()), (3.5, 1.0, 6.0, 3, 2.0))
        self.assertEqual((bar.ours, bar.theirs, bar.unit), (350, 100, "MB/s"))

    def test_what_is_only_for_comparison_is_no_bar(self):
        key = bars.DIRECT + ("read",)
        results = Results([sample("ztmpfs", 0, 1.0, "1/s", key), sample("empty", 0, 2.0, "1/s", key)])
        found = [bar for bar in bars.all_bars(results, {}) if bar.need is None and bar.measured]
        self.assertEqual([(bar.measured, bar.reached(), bar.share()) for bar in found], [(0.5, "-", None)])
        self.assertTrue(any(" -  " in line and "0.50" in line for line in report.bars_table(results, {})))

    def test_daemon(self):
        results = Results([sample("ztmpfs", 0, 1, nbytes=1 << 30, cpu={"daemon": 2.4, "client": 9.0})])
        self.assertAlmostEqual(bars.all_bars(results, {64: {0: (2.0, 1.0, 2.0), 1: (9.0, 1.0, 2.0)}})[-1].measured, 1.2)

    def test_works_of_bars_and_overview_exist(self):
        """A work that was renamed would never be measured for its bar."""
        text = ""
        for module in main.SECTIONS.values():
            with open(module.__file__, encoding="utf-8") as f:
                text += f.read()
        named = [row.key[2] for row in bars.RATIOS] + [row.other_key[2] for row in bars.RATIOS if row.other_key]
        known = {(s.section, s.name) for module in main.SECTIONS.values() for s in module.SCENARIOS}
        for work in named + [key[2] for key in bars.OVERVIEW]:
            self.assertIn('"%s"' % work, text)
        for key in bars.OVERVIEW + [key for _, key in picture.FRONT]:
            self.assertIn(key[:2], known)
            self.assertIn('"%s"' % key[2], text)

    def test_systems_of_bars_exist(self):
        names = [system.name for system in systems.all_systems(".", ".")]
        for chosen in bars.needed().values():
            for name in chosen:
                self.assertIn(name, names)

    def test_an_earlier_state_is_one_more_system(self):
        conf = settings.Settings({"SYSTEMS": "ztmpfs before", "BEFORE": "/nonexistent"})
        chosen = {s.name: s for s in systems.all_systems(conf.build, ".", conf.before) if s.name in conf.systems}
        self.assertEqual((list(chosen), chosen["before"].build), (["ztmpfs", "before"], "/nonexistent"))
        self.assertIn("/nonexistent/ztmpfs is not built", chosen["before"].missing())
        with self.assertRaises(settings.UsageError):
            main.choose_systems(conf.systems, ".", settings.Settings({}))

    def test_options_are_one_more_system(self):
        conf = settings.Settings({"SYSTEMS": "ztmpfs options", "OPTIONS": "compress=lz4"})
        chosen = {s.name: s for s in systems.all_systems(conf.build, ".", conf.before, conf.options) if s.name in conf.systems}
        self.assertEqual((list(chosen), chosen["options"].options), (["ztmpfs", "options"], "compress=lz4"))

    def test_full_is_everything(self):
        self.assertEqual(len(main.choose_sections(["full"])), sum(len(module.SCENARIOS) for module in main.SECTIONS.values()))
        self.assertEqual(main.wanted_systems(main.choose_sections(["full"])), [])
        self.assertEqual((settings.Settings({}).sections, settings.Settings({}).minutes), (["bars"], 40))
        self.assertEqual((settings.Settings({"BENCH": "full"}).minutes, settings.Settings({"MINUTES": "7"}).minutes), (0, 7))

    def test_bars_alone(self):
        try:
            chosen = main.choose_sections(["bars"])
            self.assertEqual({(s.section, s.name): s.only for s in chosen}, bars.needed())
            self.assertEqual(main.wanted_systems(chosen), sorted({row.system for row in bars.RATIOS} | {row.other for row in bars.RATIOS}))
            run = rounds.Run([s for s in chosen if s.name == "a tree"][0], systems.Tmpfs(), "/", None, None, 0)
            self.assertTrue(run.wanted("find, cold"), "no choice for a system that is not named")
            run.works = {"rm -r, cold"}
            self.assertFalse(run.wanted("find, cold"))
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

    def test_rounds_go_through_all_scenarios_and_systems_in_turn(self):
        order = []
        conf = settings.Settings({"ROUNDS": "2"})
        named = [rounds.Scenario("s", name, lambda run: order.append((run.round, run.scenario.name, run.system.name))) for name in "ab"]
        pair = [FakeSystem([]), FakeSystem([])]
        pair[1].name = "other"
        rounds.Schedule(named, pair, None, conf, "/", lambda text: None).go(lambda nr: order.append(nr))
        self.assertEqual(order, [0, (0, "a", "fake"), (0, "a", "other"), (0, "b", "fake"), (0, "b", "other"),
                                 1, (1, "a", "other"), (1, "a", "fake"), (1, "b", "other"), (1, "b", "fake")])

    def test_late_rounds_are_left_out_and_none_is_repeated(self):
        plan = self.schedule([50.0, 3.0, 0.0])
        plan.settings.minutes = 1
        for part, passed, late in ((1.0, 61, True), (1.0, 59, False), (0.75, 46, True)):
            plan.started = time.monotonic() - passed
            self.assertEqual(plan.late(part), late)
        plan.settings.minutes = 0
        self.assertFalse(plan.late(1.0))

    def test_waits_for_locks_are_what_lies_between(self):
        before, after = {"file": (1, 10), "dir": (2, 20)}, {"file": (1, 10), "dir": (5, 70)}
        self.assertEqual(rounds.lock_difference(before, after), {"dir": (3, 50)})
        self.assertIsNone(rounds.lock_difference(None, None))

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


class TestFio(unittest.TestCase):
    def test_seconds_of_several_calls_are_added(self):
        text = '{"jobs": [{"read": {"runtime": 1500}, "write": {"runtime": 0}}]}\n'
        self.assertAlmostEqual(fio.seconds("note: x\n" + text), 1.5)
        self.assertAlmostEqual(fio.seconds(text + text), 3.0)


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
            report.save_json(path, results, {}, settings.Settings({}), [], {64: {0: (1.0, 1.0, 1.0)}})
            with open(path, encoding="utf-8") as f:
                document = json.load(f)
        self.assertEqual(document["bars"][0]["reached"], "yes")
        self.assertEqual(len(document["samples"]), 2)


class TestPicture(unittest.TestCase):
    def points(self, description):
        """{series: value} of the last chart that has it."""
        words = [line.split("\t") for line in description.lines]
        return {a[1]: float(b[2]) for a, b in zip(words, words[1:]) if a[0] == "series" and b[0] == "point"}

    def drawn(self, description):
        """The picture, by the program that was built here; None where none was."""
        if not os.path.exists("./ztmpfsctl"):
            return None
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.svg")
            self.assertTrue(picture.draw(description, "./ztmpfsctl", path))
            return ElementTree.parse(path).getroot()

    def test_front_has_what_was_measured_and_one_for_tmpfs(self):
        key = bars.TREE + (picture.HELD,)
        d = picture.front(Results([sample("ztmpfs", 0, 2.0, "x", key), sample("zram-ext4", 0, 1.6, "x", key)]), "caption")
        self.assertEqual(self.points(d), {"ztmpfs": 2.0, "zram + ext4": 1.6, "tmpfs": 1.0})
        self.assertIn("chart\tbars\tMemory: a tree of files\tcontent for each byte of memory, more is better", d.lines)
        self.drawn(d)

    def test_front_shows_nothing_of_ztmpfs_alone(self):
        d = picture.front(Results([sample("ztmpfs", 0, 1), sample("tmpfs", 0, 1)]), "caption")
        self.assertFalse(picture.draw(d, "/nonexistent", "/nonexistent/x.svg"))

    def test_bars_are_cut_and_say_their_figures(self):
        samples = [sample(name, nr, 10.0 ** nr, key=row.key) for row in bars.RATIOS for name in (row.system, row.other) for nr in range(3)]
        samples += [sample(row.other, nr, 7.0, key=row.other_key) for row in bars.RATIOS if row.other_key for nr in range(3)]
        samples += [sample("ztmpfs", nr, 1, key=bars.DAEMON.key, nbytes=1 << 30, cpu={who: 1.0 for who in report.CPU}) for nr in range(3)]
        d = picture.bars(bars.all_bars(Results(samples), {64: {nr: (1.0, 1.0, 1.0) for nr in range(3)}}), "caption")
        values = self.points(d)
        self.assertEqual(sum(line.startswith("series") for line in d.lines), 1 + sum(row.need is not None for row in bars.RATIOS))
        self.assertTrue(all(0 < value <= picture.BAR_MOST for value in values.values()))
        self.assertIn("mark\t1\tthe goal", d.lines)
        self.drawn(d)
        self.assertFalse(picture.draw(picture.bars(bars.all_bars(Results([]), {}), "caption"), "/nonexistent", "/nonexistent/x.svg"))

    def test_works_and_curves(self):
        names = [system.name for system in systems.all_systems(".", ".")]
        samples = []
        for i, name in enumerate(names):
            samples += [sample(name, nr, 10 ** i * (nr + 1)) for nr in range(3)]
            samples += [sample(name, 0, 1e-6, "s", ("a section", "a scenario\tof words", "a work with a very long name, " * 4))]
            for n in range(21):
                samples.append(sample(name, 0, 3.7 ** (i - 5) * (n + 1), "us", ("size", "s", "%d" % n), series=("curve " * 20, 2 ** n)))
                samples.append(sample(name, 0, 5, "us", ("size", "t", "%d" % n), series=("flat", 10 ** n)))
        d = picture.works(Results(samples), "caption")
        self.assertEqual(d.charts, 4)
        self.assertEqual(sum(line.startswith("chart\tlines") for line in d.lines), 2)
        self.assertIn("point\t0\t%.9g\t%.9g\t%.9g\t2.00" % (2, 1, 3), d.lines)
        root = self.drawn(d)
        if root is not None:
            self.assertEqual(sum(e.tag.endswith("polyline") for e in root.iter()), 2 * len(names))


if __name__ == "__main__":
    unittest.main()
