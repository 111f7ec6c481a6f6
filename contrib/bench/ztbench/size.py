# SPDX-License-Identifier: GPL-2.0-or-later
"""size - cost against size: microseconds per MiB by size of file, microseconds per file by number of files and of clients."""
import json

from ztbench.rounds import Scenario
from ztbench.settings import MIB

SYSTEMS = ("ztmpfs", "null", "tmpfs", "zram-ext4", "btrfs-zstd")


def seconds(text):
    return json.loads(text)["seconds"]


def available():
    """Bytes of memory that can be had now."""
    with open("/proc/meminfo", encoding="ascii") as f:
        for line in f:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def largest(settings):
    """The file is there once for the system and once in the page cache."""
    return min(settings.size_max, available() // 3)


def steps(first, last, factor):
    """first, first * factor, ... up to last, which is always the end."""
    value = first
    while value < last:
        yield value
        value *= factor
    yield last


def files(run):
    """At least 64 MiB of each size, so that the clock has something to see."""
    for size in steps(MIB, largest(run.settings), 8):
        nr = max(1, min(64 * MIB, run.settings.size) // size)
        work = "%d MiB" % (size // MIB)
        for what in ("write", "read"):
            # ops: so that "us" is microseconds per MiB
            run.measure("%s, %s" % (what, work), run.clients(what, run.source.data, run.path("size"), size, nr), unit="us",
                        ops=size * nr / MIB, nbytes=size * nr, inner=seconds,
                        series=("us for 1 MiB, by size of file: " + what, size))
            run.cold()
        run.command(["rm", "-r", run.path("size")])


def counts(run):
    for nr in steps(1000, run.settings.files_max, 10):
        run.measure("%d files, create and write" % nr, run.clients("small", run.source.data, run.path("small"), nr), unit="us", ops=nr,
                    inner=seconds, series=("us a file, by number of files: create and write", nr))
        run.cold()
        run.note("%d files, memory" % nr, run.system.held() / nr, "B", series=("bytes held a file, by number of files", nr))
        run.measure("%d files, stat" % nr, ["find", run.path("small"), "-type", "f", "-size", "+1000000"], unit="us", ops=nr,
                    series=("us a file, by number of files: cold find", nr))
        run.measure("%d files, rm" % nr, ["rm", "-r", run.path("small")], unit="us", ops=nr,
                    series=("us a file, by number of files: rm -r", nr))


def clients(run):
    for nr in steps(1, run.settings.clients_max, 2):
        ops = max(1, run.settings.client_ops // nr) * nr
        run.measure("%d clients" % nr, run.clients("parallel", run.source.data, run.path("clients"), nr, ops), unit="us", ops=ops,
                    inner=seconds, series=("us for the life of a file, by number of clients", nr))


SCENARIOS = [
    Scenario("size", "files from 1 MiB", files, only=SYSTEMS, room=lambda s: int(1.3 * largest(s)) + 256 * MIB),
    Scenario("size", "from 1,000 files", counts, only=SYSTEMS, inodes=lambda s: s.files_max + 10000,
             room=lambda s: s.files_max * 6144),
    Scenario("size", "from 1 client", clients, only=SYSTEMS),
]
