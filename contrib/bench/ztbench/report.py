# SPDX-License-Identifier: GPL-2.0-or-later
"""report - the tables for people, and JSON for programs."""
import json
import os
import platform
from statistics import median

from ztbench.bars import all_bars
from ztbench.settings import GIB

REFERENCES = ("tmpfs", "zram-ext4", "null")
CPU = ("client", "daemon", "kernel", "busy")


def number(value):
    """Three digits that mean something."""
    if value is None:
        return "-"
    if value and abs(value) < 0.01:
        return "%.4f" % value
    for digits, limit in ((3, 1), (2, 10), (1, 100)):
        if abs(value) < limit:
            return "%.*f" % (digits, value)
    return "%.0f" % value


def table(rows):
    """Lines of columns: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    return lines


def work_table(results, key):
    """One work: a line for each system."""
    first = results.summary(key, results.systems(key)[0])
    references = [name for name in REFERENCES if results.summary(key, name)]
    timed = bool(first.cpu)
    locks = timed and any(results.summary(key, name).lock_ms is not None for name in results.systems(key))
    head = ["system", first.unit, "lowest", "highest"] + ["of " + name for name in references]
    if timed:
        head += ["wall s"] + ["%s %s" % (who, "s/GiB" if first.per_gib else "s") for who in CPU] + ["steal %", "rounds"]
    if locks:
        head += ["locks ms", "most for"]
    rows = [head]
    for system in results.systems(key):
        s = results.summary(key, system)
        row = [system, number(s.median), number(s.low), number(s.high)]
        row += [number(results.speed(key, system, name)) for name in references]
        if timed:
            row += [number(s.seconds)] + [number(s.cpu[who]) for who in CPU]
            row += ["%.0f" % s.steal, "%d of %d" % (s.clean, s.rounds)]
        if locks:
            row += [number(s.lock_ms), s.lock_most or "-"]
        rows.append(row)
    return table(rows)


def tables(results, failures, left_out):
    lines = ["Medians with the lowest and the highest round. \"of NAME\": how many times as good as NAME, round by round (above 1: better).",
             "CPU seconds as contrib/bench/ztbench/meter.py says; \"rounds\": those without too much steal time, of all; \"locks\": how long",
             "the daemon's threads waited for locks, all together, and for which kind (ztmpfsctl(8)) most of that.", ""]
    for key in results.keys():
        lines.append("%s / %s: %s" % key)
        lines += ["  " + line for line in work_table(results, key)] + [""]
    for word, reasons in (("failed", failures), ("left out", left_out)):
        for key, why in reasons.items():
            lines.append("%s: %s / %s on %s: %s" % ((word,) + key + (why,)))
    return lines


def bars_table(results, lz4_own):
    rows = [["work", "bar", "measured", "lowest", "highest", "reached", "rounds", "ours", "other"]]
    for bar in all_bars(results, lz4_own):
        need = "-" if bar.need is None else "%s %.2f" % (bar.sense, bar.need) + (" (aim %.2f)" % bar.aim if bar.aim else "")
        figures = ["-" if value is None else "%.2f" % value for value in (bar.measured, bar.low, bar.high)]
        sides = ["-" if value is None else "%s %s" % (number(value), bar.unit) for value in (bar.ours, bar.theirs)]
        rows.append([bar.work, need] + figures + [bar.reached(), str(bar.rounds)] + sides)
    return table(rows)


def lz4_lines(lz4_own):
    return ["lz4 alone on %d KiB: %.2f CPU seconds for each GiB in, %.2f out, ratio %.2f" % (
        (kib,) + tuple(median(column) for column in zip(*rounds.values()))) for kib, rounds in sorted(lz4_own.items())]


def machine():
    """What the figures depend on, without a name."""
    with open("/proc/meminfo", encoding="ascii") as f:
        memory = int(f.readline().split()[1]) * 1024
    return {"cpus": os.cpu_count(), "memory_gib": round(memory / GIB, 1), "kernel": platform.release(),
            "machine": platform.machine()}


def save_json(path, results, failures, settings, chosen, lz4_own):
    bars = [dict(vars(bar), reached=bar.reached()) for bar in all_bars(results, lz4_own)]
    summaries = [dict(vars(results.summary(key, system)), section=key[0], scenario=key[1], work=key[2], system=system)
                 for key in results.keys() for system in results.systems(key)]
    document = {
        "machine": machine(), "settings": settings.numbers(), "systems": {s.name: s.what for s in chosen},
        "lz4_own": lz4_own, "bars": bars, "medians": summaries, "samples": results.as_json(),
        "failures": [{"section": k[0], "scenario": k[1], "system": k[2], "why": why} for k, why in failures.items()],
    }
    with open(path, "w", encoding="utf-8") as f:
        json.dump(document, f, indent=1)
        f.write("\n")
