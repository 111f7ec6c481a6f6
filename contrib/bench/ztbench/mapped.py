# SPDX-License-Identifier: GPL-2.0-or-later
"""mapped - the same file through mmap(2): in order and at random, cold and hot, and changed."""
import mmap

from ztbench import fio
from ztbench.rounds import NotHere, Scenario
from ztbench.streams import HOT, shell


def layout(run):
    """fio's file, if it can be mapped shared at all."""
    path = fio.layout(run)
    with open(path, "r+b") as f:
        try:
            mmap.mmap(f.fileno(), 4096).close()
        except OSError as e:
            raise NotHere("files cannot be mapped shared: %s" % e.strerror) from None
    return path


def in_order(run):
    path = layout(run)
    words = fio.job(path, "--ioengine=mmap", "--bs=1m", "--rw=read", "--size=%d" % run.settings.size, "--invalidate=0")
    run.measure("read in order, cold", words, nbytes=run.settings.size, inner=fio.seconds)
    # Mapped anew each time, as a program that starts does.
    again = shell('for i in $(seq %d); do "$@" || exit; done' % HOT, *words)
    run.measure("read in order, hot", again, nbytes=HOT * run.settings.size, inner=fio.seconds)


def at_random(run):
    path = layout(run)
    ops = run.settings.random_ops
    common = ["--ioengine=mmap", "--bs=4k", "--size=%d" % run.settings.size, "--io_size=%d" % (ops * 4096), "--invalidate=0"]
    run.measure("4 KiB at random, cold", fio.job(path, "--rw=randread", *common), ops=ops, inner=fio.seconds)
    run.command(["cat", path])
    run.measure("4 KiB at random, hot", fio.job(path, "--rw=randread", *common), ops=ops, inner=fio.seconds)
    run.measure("4 KiB changed at random, with msync", fio.job(path, "--rw=randwrite", "--end_fsync=1", *common), ops=ops,
                inner=fio.seconds)


SCENARIOS = [
    Scenario("mmap", "in order", in_order, needs=("fio",)),
    Scenario("mmap", "at random", at_random, needs=("fio",)),
]
