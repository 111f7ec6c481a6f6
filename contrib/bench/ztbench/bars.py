# SPDX-License-Identifier: GPL-2.0-or-later
"""bars - what ztmpfs is to reach beside the others, and what this run measured."""
from dataclasses import dataclass

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
    """measured: ratio as far as it could be measured, or None; need: what it must be at least (or at most)."""

    work: str
    sense: str  # "at least" or "at most"
    need: float
    measured: float
    rounds: int

    def reached(self):
        if self.measured is None:
            return "not measured"
        good = self.measured >= self.need if self.sense == "at least" else self.measured <= self.need
        return "yes" if good else "no"


def ratio_bar(results, work, sense, need, key, system, other, other_key=None):
    """A bar on the paired ratio of two systems, or of two works of one system."""
    rounds = min(len(results.counting(key, system)), len(results.counting(other_key or key, other)))
    return Bar(work, sense, need, results.ratio(key, system, other, other_key), rounds)


def daemon_bar(results, lz4_own):
    """CPU seconds of the daemon for each GiB written, beside lz4's own on clusters of the same size."""
    summary = results.summary(STREAM + ("write",), "ztmpfs")
    measured = summary.cpu["daemon"] / lz4_own[64][0] if summary and lz4_own.get(64) else None
    return Bar("CPU of the daemon for each GiB written, beside lz4's own on 64 KiB", "at most", 1.2, measured,
               summary.clean if summary else 0)


WRITE, COLD, HOT = (STREAM + (work,) for work in ("write", "read, cold", "read, hot"))
HELD = STREAM + ("content / memory held",)
MAPPED = ("mmap", "in order", "read in order, hot")
BUFFERED = ("random", "buffered, 1 job", "write, with fsync")
RATIOS = [
    ("one file, cp and sync, beside zram-ext4: speed", "at least", 1.5, WRITE, "ztmpfs", "zram-ext4"),
    ("the same with compress=zstd:1: speed", "at least", 1.0, WRITE, "zstd1", "zram-ext4"),
    ("the same with compress=zstd:1: content / memory", "at least", 1.5, HELD, "zstd1", "zram-ext4"),
    ("cold read in order, beside zram-ext4: speed", "at least", 1.0, COLD, "ztmpfs", "zram-ext4"),
    ("the same with compress=zstd:1: speed", "at least", 0.7, COLD, "zstd1", "zram-ext4"),
    ("hot read, beside tmpfs: speed", "at least", 0.95, HOT, "ztmpfs", "tmpfs"),
    ("hot read by mmap, beside tmpfs: speed", "at least", 0.95, MAPPED, "ztmpfs", "tmpfs"),
    ("4 KiB random direct read, cluster=4k, beside null: speed", "at least", 0.90, DIRECT + ("read",), "cluster4k", "null4k"),
    ("4 KiB random direct write, cluster=4k, beside null: speed", "at least", 0.90, DIRECT + ("write",), "cluster4k", "null4k"),
    ("4 KiB random direct read, beside null: speed", "at least", 0.60, DIRECT + ("read",), "ztmpfs", "null"),
    ("4 KiB random direct write, beside null: speed", "at least", 0.70, DIRECT + ("write",), "ztmpfs", "null"),
    ("4 KiB random buffered write, beside zram-ext4: speed", "at least", 1.0, BUFFERED, "ztmpfs", "zram-ext4"),
    ("untar, beside zram-ext4: time", "at most", 1.3, TREE + ("untar, with sync",), "ztmpfs", "zram-ext4"),
    ("grep -r, beside zram-ext4: time", "at most", 1.5, TREE + ("grep -r, cold",), "ztmpfs", "zram-ext4"),
    ("rm -r, beside zram-ext4: time", "at most", 1.5, TREE + ("rm -r, cold",), "ztmpfs", "zram-ext4"),
    ("create in a full directory, beside one of 1,000: time", "at most", 1.3, MANY + ("one file, the last 5 %",), "ztmpfs", "ztmpfs",
     MANY + ("one file, in a directory of 1,000",)),
    ("configure and make, beside tmpfs: time", "at most", 1.10, ("build", "this project", "configure and make"), "ztmpfs", "tmpfs"),
]


def all_bars(results, lz4_own):
    """lz4_own: {KiB: (seconds per GiB in, seconds per GiB out, ratio)}."""
    return [ratio_bar(results, *row) for row in RATIOS] + [daemon_bar(results, lz4_own)]


def needed():
    """What must run for the bars: {(section, scenario): names of systems}."""
    systems = {}
    for row in RATIOS:
        systems.setdefault(row[3][:2], set()).update(row[4:6])
    return systems
