# SPDX-License-Identifier: GPL-2.0-or-later
"""rounds - the schedule: each scenario on each system in turn, and again, and again.

Every scenario starts on a fresh mount. A round in which the hypervisor took more than STEAL per cent of the time from any of
its works is repeated, ATTEMPTS times at most; of each work the attempt with the least steal is kept.
"""
import os
import subprocess
import sys
import time

from ztbench import systems
from ztbench.meter import Meter
from ztbench.results import Sample


class WorkFailed(Exception):
    """A command of a scenario failed; the rest of this scenario is left out for this system."""


class NotHere(Exception):
    """A system cannot do what a scenario measures, which is no failure; the text says why."""


class Scenario:
    """A chain of works on one fresh mount: function(run) calls run.measure() for each."""

    def __init__(self, section, name, function, needs=(), room=None, inodes=0, only=None, keeps=True):
        self.section = section
        self.name = name
        self.function = function
        self.needs = needs
        self.room = room
        self.inodes = inodes
        self.keeps = keeps  # False: what does not keep data can be measured, too
        self.only = only  # names of systems, or {name: works that are wanted}; None: all

    def runs_on(self, system):
        return (self.only is None or system.name in self.only) and (system.keeps or not self.keeps)


class Run:
    """One scenario on one system in one round."""

    def __init__(self, scenario, system, mnt, source, settings, nr):
        self.scenario = scenario
        self.system = system
        self.mnt = mnt
        self.source = source
        self.settings = settings
        self.round = nr
        self.samples = []
        self.works = scenario.only.get(system.name) if scenario and isinstance(scenario.only, dict) else None

    def wanted(self, work):
        """False for what may be left out, because only others are asked for."""
        return self.works is None or work in self.works

    def path(self, *names):
        return os.path.join(self.mnt, *names)

    def sync(self):
        """What is delayed is written, so that it is not part of the next work."""
        self.command(["sync", "-f", self.mnt])

    def cold(self):
        """Sync, and let the kernel forget what it cached. Without root only the first."""
        self.sync()
        try:
            with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
                f.write("3")
        except OSError:
            pass

    def command(self, *commands, env=None):
        """Run commands side by side; what the first one printed. Fails when any fails."""
        environ = dict(os.environ, LC_ALL="C", **(env or {}))
        running = []
        try:
            for words in commands:
                running.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ,
                                                stdin=subprocess.DEVNULL))
            out = [process.communicate() for process in running]
        finally:
            for process in running:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        for process, words, (text, err) in zip(running, commands, out):
            if process.returncode:
                last = (err.strip() or text.strip()).decode(errors="replace").splitlines()[-1:]
                raise WorkFailed(": ".join(["'%s' ended with %d" % (" ".join(words)[:100], process.returncode)] + last))
        return out[0][0].decode(errors="replace")

    def measure(self, work, *commands, nbytes=0, ops=0, unit=None, inner=None, env=None, series=None):
        """Run commands side by side on the clock.

        nbytes, ops: what they do, for rates; unit: MB/s, 1/s, us or s (by default what fits); inner: a function from
        what the first command printed to the seconds that count, where starting it would distort them; series: a
        curve and the place on it, for cost against size.
        """
        before = self.system.lock_waits()
        with Meter(self.system.pid) as meter:
            text = self.command(*[self.system.how() + words for words in commands], env=env)
        after = self.system.lock_waits()
        seconds = inner(text) if inner else meter.seconds
        unit = unit or ("MB/s" if nbytes else "1/s" if ops else "s")
        value = {"MB/s": nbytes / 1e6, "1/s": ops}[unit] / max(seconds, 1e-9) if unit in ("MB/s", "1/s") else \
            1e6 * seconds / max(1, ops) if unit == "us" else seconds
        self.keep(work, value, unit, meter, nbytes, series, seconds)
        self.samples[-1].locks = lock_difference(before, after)
        return text

    def note(self, work, value, unit, series=None):
        """A figure that takes no time of its own."""
        self.keep(work, value, unit, None, 0, series, 0.0)

    def keep(self, work, value, unit, meter, nbytes, series, seconds):
        self.samples.append(Sample(
            section=self.scenario.section, scenario=self.scenario.name, work=work, system=self.system.name,
            round=self.round, value=value, unit=unit, seconds=seconds, nbytes=nbytes,
            steal=meter.steal_pct if meter else 0.0, cpu=meter.cpu if meter else {}, series=series))

    def clients(self, *words):
        """The command line of one of the small programs in clients.py."""
        return [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients.py")] + [str(w) for w in words]


def lock_difference(before, after):
    """{kind: (waits, ns)} of what lies between, or None."""
    if not before or not after:
        return None
    return {kind: (after[kind][0] - before[kind][0], after[kind][1] - before[kind][1])
            for kind in after if after[kind][0] > before[kind][0]}


class Schedule:
    """All rounds of a list of scenarios over a list of systems."""

    def __init__(self, scenarios, chosen, source, settings, mnt, say):
        self.scenarios = scenarios
        self.systems = chosen
        self.source = source
        self.settings = settings
        self.mnt = mnt
        self.say = say
        self.samples = []
        self.failures = {}  # (section, scenario, system): why
        self.left_out = {}  # the same for what cannot be
        self.started = time.monotonic()

    def go(self, each_round=None):
        """All scenarios once, and again: what is broken off has fewer rounds of everything. each_round: called with its number."""
        runnable = []
        for scenario in self.scenarios:
            reason = systems.lacks(*scenario.needs)
            if reason:
                self.say("%s / %s: left out, %s" % (scenario.section, scenario.name, reason))
            else:
                runnable.append(scenario)
        self.started = time.monotonic()
        for nr in range(self.settings.rounds):
            if self.late(1.0):
                self.say("round %d and later ones are left out: MINUTES=%d are over" % (nr + 1, self.settings.minutes))
                break
            if each_round:
                each_round(nr)
            for scenario in runnable:
                # The first one of a round is not always the same.
                for system in self.systems if nr % 2 == 0 else self.systems[::-1]:
                    key = (scenario.section, scenario.name, system.name)
                    if key not in self.failures and key not in self.left_out and scenario.runs_on(system):
                        self.one(scenario, system, nr, key)

    def late(self, part):
        """Whether so much of the time for the whole run is over."""
        return 0 < part * self.settings.minutes * 60 <= time.monotonic() - self.started

    def one(self, scenario, system, nr, key):
        """One round, repeated while its time was stolen."""
        best = {}
        for _ in range(self.settings.attempts):
            started = time.monotonic()
            try:
                samples, failure = self.attempt(scenario, system, nr)
            except NotHere as e:
                self.left_out[key] = str(e)
                return
            for sample in samples:
                if sample.work not in best or sample.steal < best[sample.work].steal:
                    best[sample.work] = sample
            worst = max((s.steal for s in samples), default=0.0)
            self.say("%s / %s, round %d: %s, %.1f s%s%s" % (
                scenario.section, scenario.name, nr + 1, system.name, time.monotonic() - started,
                ", %.0f %% stolen" % worst if worst > self.settings.steal else "", ": " + failure if failure else ""))
            if failure:
                self.failures[key] = failure
            if failure or all(s.steal <= self.settings.steal for s in best.values()) or self.late(0.75):
                break
        for sample in best.values():
            sample.clean = sample.steal <= self.settings.steal
            self.samples.append(sample)

    def attempt(self, scenario, system, nr):
        """Mount, work, unmount. What went wrong is returned as a sentence, so that the others go on."""
        run = Run(scenario, system, self.mnt, self.source, self.settings, nr)
        room = max(self.settings.room, scenario.room(self.settings) if scenario.room else 0)
        inodes = scenario.inodes(self.settings) if scenario.inodes else 0
        failure = None
        try:
            try:
                system.start(self.mnt, room, inodes)
                scenario.function(run)
            finally:
                system.stop()
        except (WorkFailed, systems.Trouble, OSError) as e:
            failure = str(e)
        return run.samples, failure
