# SPDX-License-Identifier: GPL-2.0-or-later
"""streams - large files in and out: one and four at a time, through the page cache and past it, and a tar stream."""
import os
import time

from ztbench.rounds import Scenario

HOT = 4  # how often a hot file is read: once takes 0.2 s

def shell(script, *arguments):
    """A command line for a few words of sh."""
    return ["sh", "-c", script, "sh"] + list(arguments)


def held_ratio(run, nbytes):
    """How many bytes of content one byte of memory holds, once that stops falling."""
    if not run.wanted("content / memory held"):
        return
    run.sync()
    held, before = run.system.held(), 0
    for _ in range(10):  # what is compressed again, trimmed or discarded behind the requests
        time.sleep(0.5)
        held, before = run.system.held(), held
        if held >= 0.999 * before:
            break
    if held:
        run.note("content / memory held", nbytes / held, "x")


def compare(run, pairs):
    """What was written is what is read; in the first round only, and not on the clock."""
    if run.round == 0:
        run.command(*[["cmp", a, b] for a, b in pairs])


def read_all(paths, direct):
    flags = ["iflag=direct"] if direct else []
    return [["dd", "if=" + path, "of=/dev/null", "bs=1M", "status=none"] + flags for path in paths]


def read_again(paths):
    """HOT times, so that the clock has something to see."""
    again = "for i in $(seq %d); do dd if=\"$1\" of=/dev/null bs=1M status=none || exit; done" % HOT
    return [shell(again, path) for path in paths]


def copy(run, sources, direct):
    """Write, cold read, hot read; every source in a process of its own."""
    pairs = [(source, run.path(os.path.basename(source))) for source in sources]
    nbytes = sum(os.path.getsize(source) for source in sources)
    if direct:
        commands = [["dd", "if=" + a, "of=" + b, "bs=1M", "oflag=direct", "conv=fsync", "status=none"] for a, b in pairs]
    elif len(pairs) == 1:
        commands = [shell('cp "$1" "$2" && sync -f "$2"', *pairs[0])]
    else:
        commands = [shell('cp "$1" "$2" && sync "$2"', a, b) for a, b in pairs]
    run.measure("write", *commands, nbytes=nbytes)
    held_ratio(run, nbytes)
    readers = read_all([b for _, b in pairs], direct)
    run.cold()
    run.measure("read, cold", *readers, nbytes=nbytes)
    if not direct and run.wanted("read, hot"):
        run.measure("read, hot", *read_again([b for _, b in pairs]), nbytes=HOT * nbytes)
    compare(run, pairs)


def one_buffered(run):
    copy(run, [run.source.data], False)


def four_buffered(run):
    copy(run, run.source.parts(), False)


def one_direct(run):
    copy(run, [run.source.data], True)


def four_direct(run):
    copy(run, run.source.parts(), True)


def recompressed(run):
    """Read when it has lain idle; again; and once more, when there was time to store anew what was read twice."""
    path = run.path(os.path.basename(run.source.data))
    nbytes = os.path.getsize(run.source.data)
    run.command(["cp", run.source.data, path])
    run.sync()
    run.system.recompress()
    held_ratio(run, nbytes)
    for work in ("read, cold", "read again, cold"):
        run.cold()
        run.measure(work, *read_all([path], False), nbytes=nbytes)
    run.system.restore()
    run.cold()
    run.measure("read a third time, cold", *read_all([path], False), nbytes=nbytes)
    compare(run, [(run.source.data, path)])


def tar_stream(run):
    names = run.source.tree() + ".names"
    run.measure("write", shell('tar -cf "$1" -C / --no-recursion --null -T "$2" && sync -f "$1"', run.path("tar"), names),
                nbytes=os.path.getsize(run.source.tree()))


SCENARIOS = [
    Scenario("streams", "1 file, buffered", one_buffered),
    Scenario("streams", "4 files, buffered", four_buffered),
    Scenario("streams", "1 file, direct", one_direct),
    Scenario("streams", "4 files, direct", four_direct),
    Scenario("streams", "1 file, recompressed", recompressed),
    Scenario("streams", "tar of a tree", tar_stream, needs=("tar",)),
]
