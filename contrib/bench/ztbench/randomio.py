# SPDX-License-Identifier: GPL-2.0-or-later
"""randomio - requests of 4 KiB at random places of one large file: past the page cache and through it, 1 and 4 jobs.

What is written is real data too: fio's own compresses in half of the time (see realdata.c).
"""
from ztbench import fio
from ztbench.rounds import Scenario


def requests(run, work, path, direct, jobs, factor, *options):
    if not run.wanted(work):
        return
    ops = run.settings.random_ops * factor
    env = {"LD_PRELOAD": run.source.realdata, "ZT_REALDATA": run.source.data} if run.source.realdata else None
    run.measure(work, fio.job(path, "--bs=4k", "--direct=%d" % direct, "--numjobs=%d" % jobs, "--size=%d" % run.settings.size,
                              "--io_size=%d" % (ops // jobs * 4096), *options),
                ops=ops // jobs * jobs, inner=fio.seconds, env=env)


def direct(run, jobs):
    path = fio.layout(run)
    requests(run, "read", path, 1, jobs, 1, "--rw=randread")
    requests(run, "write", path, 1, jobs, 1, "--rw=randwrite")
    requests(run, "70 % read, 30 % write", path, 1, jobs, 1, "--rw=randrw", "--rwmixread=70")


def buffered(run, jobs):
    path = fio.layout(run)
    requests(run, "read, cold", path, 0, jobs, 1, "--rw=randread")
    run.command(["cat", path])
    requests(run, "read, hot", path, 0, jobs, 8, "--rw=randread", "--invalidate=0")
    requests(run, "write, with fsync", path, 0, jobs, 1, "--rw=randwrite", "--end_fsync=1", "--invalidate=0")
    requests(run, "70 % read, 30 % write", path, 0, jobs, 1, "--rw=randrw", "--rwmixread=70", "--end_fsync=1",
             "--invalidate=0")


SCENARIOS = [
    Scenario("random", "direct, 1 job", lambda run: direct(run, 1), needs=("fio",), keeps=False),
    Scenario("random", "direct, 4 jobs", lambda run: direct(run, 4), needs=("fio",)),
    Scenario("random", "buffered, 1 job", lambda run: buffered(run, 1), needs=("fio",)),
    Scenario("random", "buffered, 4 jobs", lambda run: buffered(run, 4), needs=("fio",)),
]
