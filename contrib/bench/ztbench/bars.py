# SPDX-License-Identifier: GPL-2.0-or-later
"""bars - what ztmpfs is to reach beside the others, and what this run measured."""
from dataclasses import dataclass
from statistics import median

STREAM = ("streams", "1 file, buffered")
DIRECT = ("random", "direct, 1 job")
TREE = ("metadata", "a tree")
MANY = ("metadata", "many in one directory")

# What one picture shows of all that can be measured
OVERVIEW = [STREAM + (work,) for work in ("write", "content / memory held", "read, cold", "read, hot")] + \
    [DIRECT + (work,) for work in ("read", "write")] + [("random", "buffered, 1 job", "write, with fsync")] + \
    [TREE + (work,) for work in ("untar, with sync", "content / memory held", "grep -r, cold", "rm -r, cold")] + \
    [("build", "this project", "configure and make")]


@dataclass
class Bar:
    """measured: median of the rounds' ratios, or None; need: what it must be at least (or at most), or None; aim: a higher one."""

    work: str
    sense: str  # "at least" or "at most"; None: only for comparison
    need: float
    aim: float  # None: the bar is all
    measured: float
    low: float
    high: float
    rounds: int
    ours: float  # medians of the two sides, in unit
    theirs: float
    unit: str

    def reached(self):
        if self.measured is None:
            return "not measured"
        if self.need is None:
            return "-"
        good = self.measured >= self.need if self.sense == "at least" else self.measured <= self.need
        return "yes" if good else "no"

    def share(self):
        """How far: 1 is the bar, more is better, whatever the sense."""
        if not self.measured or self.need is None:
            return None
        return self.measured / self.need if self.sense == "at least" else self.need / self.measured


@dataclass
class Row:
    """One bar on the paired ratio of two systems, or of two works of one system."""

    work: str
    sense: str
    need: float
    key: tuple
    system: str
    other: str
    other_key: tuple = None
    aim: float = None


def make_bar(row, ratios, ours, theirs, unit):
    return Bar(row.work, row.sense, row.need, row.aim, median(ratios) if ratios else None, min(ratios, default=None),
               max(ratios, default=None), len(ratios), ours, theirs, unit)


def ratio_bar(results, row):
    """Rounds in which too much time was stolen are left out, and those without a partner."""
    ours, theirs = results.summary(row.key, row.system), results.summary(row.other_key or row.key, row.other)
    ratios = results.ratios(row.key, row.system, row.other, row.other_key)
    return make_bar(row, ratios, ours and ours.median, theirs and theirs.median, ours.unit if ours else "")


def daemon_bar(results, lz4_own):
    """CPU seconds of the daemon for each GiB written, beside lz4's own in the same round on clusters of the same size."""
    daemon = {s.round: s.cpu["daemon"] / (s.nbytes / (1 << 30)) for s in results.counting(DAEMON.key, DAEMON.system) if s.nbytes}
    alone = {nr: figures[0] for nr, figures in lz4_own.get(64, {}).items()}
    ratios = [daemon[nr] / alone[nr] for nr in daemon if alone.get(nr)]
    return make_bar(DAEMON, ratios, median(daemon.values()) if daemon else None, median(alone.values()) if alone else None, "s/GiB")


WRITE, COLD, HOT = (STREAM + (work,) for work in ("write", "read, cold", "read, hot"))
IDLE = ("streams", "1 file, recompressed")
HELD = STREAM + ("content / memory held",)
MAPPED = ("mmap", "in order", "read in order, hot")
BUFFERED = ("random", "buffered, 1 job", "write, with fsync")
RATIOS = [
    Row("one file, cp and sync, beside zram-ext4: speed", "at least", 1.75, WRITE, "ztmpfs", "zram-ext4", aim=2.0),
    Row("the same with compress=zstd:1: speed", "at least", 1.2, WRITE, "zstd1", "zram-ext4"),
    Row("the same with compress=zstd:1: content / memory", "at least", 1.5, HELD, "zstd1", "zram-ext4"),
    Row("cold read in order, beside zram-ext4: speed", "at least", 1.25, COLD, "ztmpfs", "zram-ext4"),
    Row("the same with compress=zstd:1: speed", "at least", 0.7, COLD, "zstd1", "zram-ext4"),
    Row("cold read of what was recompressed, beside zram-ext4: speed", "at least", 0.9, IDLE + ("read, cold",), "ztmpfs", "zram-ext4"),
    Row("the same after it was read twice: speed", "at least", 1.0, IDLE + ("read a third time, cold",), "ztmpfs", "zram-ext4"),
    Row("hot read, beside tmpfs: speed", "at least", 0.95, HOT, "ztmpfs", "tmpfs"),
    Row("hot read by mmap, beside tmpfs: speed", "at least", 0.95, MAPPED, "ztmpfs", "tmpfs"),
    Row("4 KiB random direct read, cluster=4k, beside null: speed", "at least", 0.90, DIRECT + ("read",), "cluster4k", "null4k"),
    Row("4 KiB random direct write, cluster=4k, beside null: speed", "at least", 0.85, DIRECT + ("write",), "cluster4k", "null4k"),
    Row("4 KiB random direct read, beside null: speed", "at least", 0.70, DIRECT + ("read",), "ztmpfs", "null"),
    Row("4 KiB random direct write, beside null: speed", "at least", 0.80, DIRECT + ("write",), "ztmpfs", "null"),
    Row("4 KiB random buffered write, beside zram-ext4: speed", "at least", 1.0, BUFFERED, "ztmpfs", "zram-ext4"),
    Row("untar, beside zram-ext4: time", "at most", 1.5, TREE + ("untar, with sync",), "ztmpfs", "zram-ext4"),
    Row("grep -r, beside zram-ext4: time", "at most", 1.3, TREE + ("grep -r, cold",), "ztmpfs", "zram-ext4"),
    Row("rm -r, beside zram-ext4: time", "at most", 1.5, TREE + ("rm -r, cold",), "ztmpfs", "zram-ext4"),
    Row("untar as a user (no PM QoS), beside zram-ext4: time", "at most", 2.5, TREE + ("untar, with sync",), "user", "zram-ext4"),
    Row("rm -r as a user, beside zram-ext4: time", "at most", 3.0, TREE + ("rm -r, cold",), "user", "zram-ext4"),
    Row("grep -r as a user, beside zram-ext4: time", "at most", 2.0, TREE + ("grep -r, cold",), "user", "zram-ext4"),
    Row("4 KiB random direct read as a user, beside root: speed", "at least", 0.5, DIRECT + ("read",), "user", "ztmpfs"),
    Row("the same by ztmpfsctl run: speed", "at least", 1.0, DIRECT + ("read",), "bound", "ztmpfs"),
    Row("untar: how much of its time an empty FUSE filesystem takes", None, None, TREE + ("untar, with sync",), "ztmpfs", "empty"),
    Row("grep -r: the same", None, None, TREE + ("grep -r, cold",), "ztmpfs", "empty"),
    Row("rm -r: the same", None, None, TREE + ("rm -r, cold",), "ztmpfs", "empty"),
    Row("4 KiB random direct read: the same", None, None, DIRECT + ("read",), "ztmpfs", "empty"),
    Row("create in a full directory, beside one of 1,000: time", "at most", 1.3, MANY + ("one file, the last 5 %",), "ztmpfs", "ztmpfs",
     MANY + ("one file, in a directory of 1,000",)),
    Row("configure and make, beside tmpfs: time", "at most", 1.10, ("build", "this project", "configure and make"), "ztmpfs", "tmpfs"),
]
DAEMON = Row("CPU of the daemon for each GiB written, beside lz4's own on 64 KiB", "at most", 1.2, WRITE, "ztmpfs", "lz4 alone")


def all_bars(results, lz4_own):
    """lz4_own: {KiB: {round: (seconds per GiB in, seconds per GiB out, ratio)}}."""
    return [ratio_bar(results, row) for row in RATIOS] + [daemon_bar(results, lz4_own)]


def needed():
    """What must run for the bars: {(section, scenario): {system: works}}."""
    found = {}
    for row in RATIOS:
        for system, key in ((row.system, row.key), (row.other, row.other_key or row.key)):
            found.setdefault(key[:2], {}).setdefault(system, set()).add(key[2])
    return found
