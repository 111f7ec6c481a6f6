# SPDX-License-Identifier: GPL-2.0-or-later
"""main - the command line, and the way from settings to a report."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from ztbench import build, mapped, metadata, picture, randomio, report, settings, size, streams, systems
from ztbench.bars import OVERVIEW, all_bars, needed
from ztbench.helpers import compile_helper, say
from ztbench.results import Results
from ztbench.rounds import Schedule
from ztbench.source import Source, SourceError

SECTIONS = {"streams": streams, "random": randomio, "mmap": mapped, "metadata": metadata, "build": build, "size": size}


def usage():
    names = ", ".join(system.name for system in systems.all_systems(".", "."))
    return "usage: bench [--help]\n\nSections: %s; or bars or full\nSystems: %s\n\nFrom the environment:\n%s" % (
        ", ".join(SECTIONS), names, settings.describe())


def end_by_signal(number, frame):
    """Signals end the program the way exceptions do, so that everything is undone."""
    del frame
    raise SystemExit(128 + number)


def choose_sections(chosen):
    every = [scenario for section in SECTIONS.values() for scenario in section.SCENARIOS]
    if chosen == ["full"]:
        return every
    if chosen == ["bars"]:
        for scenario in every:
            scenario.only = needed().get((scenario.section, scenario.name))
        return [scenario for scenario in every if scenario.only]
    for name in chosen:
        if name not in SECTIONS:
            raise settings.UsageError("BENCH: no section %s; there are: %s; or bars or full alone" % (name, ", ".join(SECTIONS)))
    return [scenario for name in chosen for scenario in SECTIONS[name].SCENARIOS]


def wanted_systems(scenarios):
    """Names of those that any of these runs on; empty: all."""
    if any(scenario.only is None for scenario in scenarios):
        return []
    return sorted({name for scenario in scenarios for name in scenario.only})


def choose_systems(chosen, folder, conf):
    known = systems.all_systems(conf.build, folder, conf.before, conf.options)
    names = [system.name for system in known]
    for name in chosen:
        if name not in names:
            raise settings.UsageError("SYSTEMS: no system %s; there are: %s" % (name, ", ".join(names)))
    found = []
    for system in known:
        if chosen and system.name not in chosen:
            continue
        reason = system.missing()
        if reason:
            say("%s: left out, %s" % (system.name, reason))
        else:
            found.append(system)
    if not found:
        raise settings.UsageError("none of these systems runs here")
    return found


class Lz4Alone:
    """What lz4 itself costs on the same data, once a round; figures: {KiB: {round: figures}}, empty where it cannot be compiled."""

    def __init__(self, source):
        self.source = source
        self.program = compile_helper("lz4_own.c", os.path.join(source.folder, "lz4_own"), "-llz4")
        self.figures = {}

    def measure(self, nr):
        for kib in (4, 64) if self.program else ():
            words = systems.call(self.program, self.source.data, str(kib)).split()
            self.figures.setdefault(kib, {})[nr] = tuple(float(word) for word in words)


class Workspace:
    """The folder of one run, with the mount point; a tmpfs where root can mount one. Undone at its end."""

    def __init__(self, parent):
        self.folder = tempfile.mkdtemp(prefix="ztmpfs-bench.", dir=parent or None)
        self.data = os.path.join(self.folder, "data")
        self.mnt = os.path.join(self.folder, "mnt")

    def __enter__(self):
        os.mkdir(self.data)
        os.mkdir(self.mnt)
        if os.geteuid() == 0:
            systems.call("mount", "-t", "tmpfs", "-o", "size=80%", "bench-data", self.data)
        return self

    def __exit__(self, *unused):
        for path in (self.mnt, self.data):
            if os.path.ismount(path):
                systems.unmount(path)
        shutil.rmtree(self.folder, ignore_errors=True)


def run(conf):
    scenarios = choose_sections(conf.sections)
    with Workspace(conf.work) as space:
        chosen = choose_systems(conf.systems or wanted_systems(scenarios), space.folder, conf)
        say("making the data: %d MiB" % (conf.size >> 20))
        source = Source(space.data, conf)
        source.realdata = compile_helper("realdata.c", os.path.join(space.data, "realdata.so"), "-shared", "-fPIC")
        lz4_alone = Lz4Alone(source)
        schedule = Schedule(scenarios, chosen, source, conf, space.mnt, say)
        started = time.strftime("%Y-%m-%d %H:%M")
        try:
            schedule.go(lz4_alone.measure)
        finally:
            # What was measured until then is worth having also when the run is broken off.
            write_report(conf, schedule, chosen, lz4_alone.figures, started)
    return 1 if schedule.failures else 0


def write_report(conf, schedule, chosen, lz4_own, started):
    results = Results(schedule.samples)
    box = report.machine()
    caption = "%d CPUs, %s GiB, Linux %s; %d rounds, %s, %.0f minutes" % (
        box["cpus"], box["memory_gib"], box["kernel"], conf.rounds, started, (time.monotonic() - schedule.started) / 60)
    print("ztmpfs bench: " + caption)
    for system in chosen:
        print("  %-10s %s" % (system.name, system.what))
    print("\n".join([""] + report.lz4_lines(lz4_own) + [""] + report.tables(results, schedule.failures, schedule.left_out)))
    print("\n".join(["", "Bars: medians of paired rounds, with the lowest and the highest."] + report.bars_table(results, lz4_own)))
    os.makedirs(conf.out, exist_ok=True)
    path = os.path.join(conf.out, "bench.json")
    report.save_json(path, results, schedule.failures, conf, chosen, lz4_own)
    say("written: " + path)
    program = os.path.join(conf.build, "ztmpfsctl")
    pictures = {
        "bench": picture.works(results, caption),
        "bench-overview": picture.works(results, caption, OVERVIEW),
        "bench-bars": picture.bars(all_bars(results, lz4_own), caption),
        "bench-front": picture.front(results, caption),
    }
    drawn = [name for name, description in pictures.items()
             if picture.draw(description, program, os.path.join(conf.out, name + ".svg"))]
    for name in drawn:
        say("written: " + os.path.join(conf.out, name + ".svg") + raster(os.path.join(conf.out, name)))


def raster(path):
    """The same as PNG, where there is a program for it."""
    if not shutil.which("rsvg-convert"):
        return ""
    systems.call("rsvg-convert", "-z", "1.5", "-o", path + ".png", path + ".svg")
    return " and .png"


def main(arguments):
    if arguments:
        print(usage())
        return 0 if arguments[0] in ("-h", "--help") else 2
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_by_signal)
    try:
        return run(settings.Settings(os.environ))
    except (settings.UsageError, systems.Trouble, SourceError) as e:
        say(str(e))
        return 2
