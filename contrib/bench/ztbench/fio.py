# SPDX-License-Identifier: GPL-2.0-or-later
"""fio - one call of fio(1) for the sections that use it, and the seconds that it says its jobs ran."""
import json


def job(path, *options):
    """A command line: psync and threads unless options say otherwise, the same random places each time."""
    return ["fio", "--name=bench", "--filename=" + path, "--ioengine=psync", "--thread", "--group_reporting",
            "--randrepeat=1", "--norandommap", "--fallocate=none", "--output-format=json"] + list(options)


def seconds(text):
    """Run time of the jobs, the final fsync included, without the start of fio; of all calls that printed something."""
    total, at = 0.0, text.find("{")
    while at >= 0:
        document, end = json.JSONDecoder().raw_decode(text, at)
        total += max(max(j["read"]["runtime"], j["write"]["runtime"]) for j in document["jobs"]) / 1000.0
        at = text.find("{", end)
    return total


def layout(run):
    """The large file of real data, written and out of the caches."""
    path = run.path("data")
    run.command(["cp", run.source.data, path])
    run.cold()
    return path
