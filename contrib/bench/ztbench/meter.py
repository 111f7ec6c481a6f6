# SPDX-License-Identifier: GPL-2.0-or-later
"""meter - wall time, steal time, and CPU seconds of everybody involved.

CPU seconds are counted apart for
    client   the commands that were run, and their children (getrusage)
    daemon   the filesystem's own process with all of its threads (/proc/PID/stat)
    kernel   all kernel threads together (/proc/*/stat): the kworkers of zram and btrfs among them
    busy     everything that this machine did (/proc/stat)
Missing: what interrupts took, kernel threads that ended meanwhile, and whose work a kernel thread did. What zram
compresses in the context of a writer counts as client. Resolution is one clock tick.
"""
import os
import resource
import time

TICKS = os.sysconf("SC_CLK_TCK")
PF_KTHREAD = 0x00200000


def stat_fields(pid):
    """/proc/PID/stat behind the name, or None when the process is gone."""
    try:
        with open("/proc/%s/stat" % pid, encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None


def process_seconds(pid):
    """User and system time of a process, threads that ended included."""
    fields = stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS if fields else 0.0


def kernel_seconds():
    """CPU seconds of all kernel threads, by pid."""
    seconds = {}
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            fields = stat_fields(pid)
            if fields and int(fields[6]) & PF_KTHREAD:
                seconds[pid] = (int(fields[11]) + int(fields[12])) / TICKS
    return seconds


def machine_ticks():
    """All ticks, stolen ones, and those that were neither idle nor stolen."""
    with open("/proc/stat", encoding="ascii") as f:
        ticks = [int(word) for word in f.readline().split()[1:9]]
    user, nice, system, idle, iowait, irq, softirq, steal = ticks
    return user + nice + system + idle + iowait + irq + softirq + steal, steal, user + nice + system + irq + softirq


class Reading:
    """All clocks at one moment."""

    def __init__(self, daemon):
        self.all, self.stolen, self.busy = machine_ticks()
        self.daemon = process_seconds(daemon) if daemon else 0.0
        self.kernel = kernel_seconds()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.client = used.ru_utime + used.ru_stime
        self.wall = time.monotonic()


class Meter:
    """with Meter(pid) as m: ...; then m.seconds, m.steal_pct and m.cpu."""

    def __init__(self, daemon=None):
        self.daemon = daemon
        self.seconds = self.steal_pct = 0.0
        self.cpu = {}

    def __enter__(self):
        self.start = Reading(self.daemon)
        self.start.wall = time.monotonic()
        return self

    def __exit__(self, *unused):
        wall = time.monotonic()
        a, b = self.start, Reading(self.daemon)
        self.seconds = wall - a.wall
        self.steal_pct = 100.0 * (b.stolen - a.stolen) / max(1, b.all - a.all)
        self.cpu = {
            "client": b.client - a.client,
            "daemon": b.daemon - a.daemon,
            "kernel": sum(s - a.kernel.get(pid, 0.0) for pid, s in b.kernel.items()),
            "busy": (b.busy - a.busy) / TICKS,
        }
