# SPDX-License-Identifier: GPL-2.0-or-later
"""memory - the bars on memory: one function each, which prints figures and says whether they reach what was asked."""
import argparse
import ctypes
import json
import mmap
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from ztbench.settings import MIB
from ztbench.systems import Trouble, Zram, Ztmpfs, call

PAGE = 4096
SEED = 12345


class Daemon(Ztmpfs):
    """A mount whose memory is asked of the kernel, not of the daemon."""

    def private(self):
        """Bytes of heap, streams, buffers and stacks."""
        with open("/proc/%d/status" % self.pid, encoding="ascii") as f:
            for line in f:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        raise Trouble("no RssAnon in /proc")

    def arena(self):
        """Bytes that the memfd holds."""
        folder = "/proc/%d/fd" % self.pid
        for fd in os.listdir(folder):
            path = os.path.join(folder, fd)
            if os.readlink(path).startswith("/memfd:ztmpfs "):
                return os.stat(path).st_blocks * 512
        raise Trouble("the daemon has no memfd")

    def held(self):
        return self.arena() + self.private()

    def counter(self, name):
        return json.loads(call(os.path.join(self.build, "ztmpfsctl"), "stat", "--json", self.mnt))[name]

    def recompress(self):
        """Everything at once, until another pass would find nothing; then what was freed goes back."""
        before = None
        while before != self.counter("recompressed"):
            before = self.counter("recompressed")
            call(os.path.join(self.build, "ztmpfsctl"), "recompress", self.mnt)
        call(os.path.join(self.build, "ztmpfsctl"), "compact", self.mnt)

    def settled(self, seconds):
        """The least that it holds within so many seconds."""
        least, end = self.held(), time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.5)
            least = min(least, self.held())
        return least


class Bars:
    """Where things are, the sizes, and what came out."""

    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.mnt = os.path.join(folder, "mnt")
        self.missed = 0
        os.mkdir(self.mnt)

    def size(self, full, unit=1):
        return max(unit, int(full * self.options.scale) // unit * unit)

    def start(self, more=""):
        daemon = Daemon("ztmpfs", ",".join(filter(None, [self.options.options, more])), self.options.build)
        reason = daemon.missing()
        if reason:
            raise Trouble(reason)
        daemon.start(self.mnt, 0, 0)
        return daemon

    def zram(self, work, room, inodes=0):
        """What zram with ext4 holds of the same work, or None."""
        if self.options.no_zram:
            return None
        system = Zram("zram-ext4", "ext4", "lz4")
        if system.missing():
            return None
        try:
            system.start(self.mnt, room, inodes)
            work(self.mnt)
            sync(self.mnt)
            return system.held()
        finally:
            system.stop()

    def say(self, what, value, sense, need, zram=None, unit=""):
        """One line: the figure, zram's, the bar. need None: no bar."""
        good = need is None or (value >= need if sense == ">=" else value <= need)
        self.missed += not good
        beside = "-" if zram is None else "%.2f" % zram
        bar = "" if need is None else "%s %.2f" % (sense, need)
        print("%-58s %8.2f%-4s zram %7s  %-9s %s" % (what, value, unit, beside, bar, "" if need is None else "ok" if good else "MISSED"),
              flush=True)

    def note(self, text):
        print("    " + text, flush=True)


def sync(path):
    """syncfs(2) is not in os."""
    fd = os.open(path, os.O_RDONLY)
    ctypes.CDLL(None).syncfs(fd)
    os.close(fd)


def parts(daemon):
    return "arena %.1f MB, private %.1f MB" % (daemon.arena() / 1e6, daemon.private() / 1e6)


# What a mount that lets nobody else in may have: the first two are its defaults.
ALONE = "dicts=on,dedup=on,packs=on"


def alone_bar(bars, name, work, content, zram, beside):
    """The same on a mount that lets nobody else in, idle: how many times what zram holds for the memory."""
    daemon = bars.start(ALONE)
    try:
        work(bars.mnt)
        sync(bars.mnt)
        daemon.recompress()
        held = daemon.settled(5)
        need = beside * zram if zram else None
        bars.say(name + ", with dicts, dedup, packs", content / held, ">=", need, zram)
        bars.note("%s; %d packs of %d files%s" % (parts(daemon), daemon.counter("packs"), daemon.counter("pack_joined"),
                                                 "; %.2f times zram's, %.2f asked for" % (content / held / zram, beside) if zram else ""))
    finally:
        daemon.stop()


def ratio_bars(bars, name, work, content, at_once, idle, room, inodes=0, beside=1.0):
    """work(folder) stores content bytes: at once, after idle recompression, and where just one user is let in."""
    zram = bars.zram(work, room, inodes)
    zram = content / zram if zram else None
    daemon = bars.start()
    try:
        work(bars.mnt)
        sync(bars.mnt)
        held, text = daemon.held(), parts(daemon)
        bars.say(name + ", at once", content / held, ">=", at_once, zram)
        bars.note("%.1f MB of data; %s" % (content / 1e6, text))
        daemon.recompress()
        held = daemon.settled(5)
        bars.say(name + ", recompressed", content / held, ">=", idle, zram)
        bars.note(parts(daemon))
    finally:
        daemon.stop()
    alone_bar(bars, name, work, content, zram, beside)


# ---- the data ----

def tar_of_usr(bars, size):
    """The first bytes of a tar of /usr, made once."""
    path = os.path.join(bars.folder, "tar")
    if not os.path.exists(path) or os.path.getsize(path) < size:
        with open(path, "wb") as out, subprocess.Popen(["tar", "-cf", "-", "-C", "/", "usr"], stdout=subprocess.PIPE,
                                                       stderr=subprocess.DEVNULL) as tar:
            while out.tell() < size:
                piece = tar.stdout.read(min(MIB, size - out.tell()))
                if not piece:
                    raise Trouble("/usr has less than %d bytes" % size)
                out.write(piece)
            tar.kill()
    os.truncate(path, size)
    return path


def tree_names(limit):
    """Regular files of the tree of the bar, sorted, and their bytes."""
    names, total = [], 0
    for top in ("/usr/include", "/usr/share/doc", "/usr/lib/python3"):
        for folder, folders, files in os.walk(top):
            folders.sort()
            for name in sorted(files):
                path = os.path.join(folder, name)
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                names.append(path)
                total += os.path.getsize(path)
                if total >= limit:
                    return names, total
    return names, total


def text_pieces(nr):
    """nr pieces of 300 to 1,500 bytes, cut from text and source; the same on every call."""
    rand = random.Random(SEED)
    names, _ = tree_names(1 << 40)
    names = [name for name in names if not name.endswith((".gz", ".pyc", ".png", ".so", ".xz", ".jpg", ".pdf"))]
    rand.shuffle(names)
    pieces = []
    while len(pieces) < nr:
        before = len(pieces)
        for name in names:
            with open(name, "rb") as f:
                data = f.read(256 * 1024)
            if b"\0" in data or len(data) < 300:
                continue
            # Several of each, so that few long files do not make up everything.
            for _ in range(4):
                length = rand.randint(300, 1500)
                at = rand.randrange(max(1, len(data) - length))
                if len(data[at:at + length]) >= 300:
                    pieces.append(data[at:at + length])
            if len(pieces) >= nr:
                break
        if len(pieces) == before:
            raise Trouble("no text in /usr to cut files from")
    return pieces[:nr]


# ---- the bars ----

def bar_tar(bars):
    size = bars.size(976000000, PAGE)
    path = tar_of_usr(bars, size)
    ratio_bars(bars, "tar of /usr, one file", lambda folder: shutil.copyfile(path, os.path.join(folder, "tar")), size, 2.08, 2.85,
               size + size // 4 + 64 * MIB, beside=1.65)


def bar_tree(bars):
    names, total = tree_names(bars.size(1 << 30))
    listing = os.path.join(bars.folder, "names")
    with open(listing, "wb") as f:
        f.write(b"".join(os.fsencode(name[1:]) + b"\0" for name in names))

    def unpack(folder):
        with subprocess.Popen(["tar", "-cf", "-", "-C", "/", "--null", "-T", listing], stdout=subprocess.PIPE) as tar:
            subprocess.run(["tar", "-xf", "-", "-C", folder], stdin=tar.stdout, check=True)

    ratio_bars(bars, "tree of %d files" % len(names), unpack, total, 1.80, 2.15, 2 * total + 64 * MIB, 2 * len(names), 1.6)


def bar_small(bars):
    pieces = text_pieces(bars.size(20000))
    total = sum(map(len, pieces))

    def write(folder):
        for i, piece in enumerate(pieces):
            if i % 1000 == 0:
                os.mkdir(os.path.join(folder, str(i // 1000)))
            with open(os.path.join(folder, str(i // 1000), "%08d" % i), "wb") as f:
                f.write(piece)

    ratio_bars(bars, "%d files of 300 to 1,500 bytes" % len(pieces), write, total, 1.18, 1.50, 8 * total + 64 * MIB,
               len(pieces) + 1000, 2.25)


def overwrite(path, source, size, nr):
    """nr random pages of the file become random pages of the source, past the page cache."""
    rand = random.Random(SEED)
    pages, choices = size // PAGE, os.path.getsize(source) // PAGE
    fd = os.open(path, os.O_RDWR | os.O_DIRECT)
    with open(source, "rb") as f, mmap.mmap(f.fileno(), choices * PAGE, prot=mmap.PROT_READ) as data, memoryview(data) as view:
        for _ in range(nr):
            at = int(rand.random() * choices) * PAGE
            with view[at:at + PAGE] as page:
                os.pwrite(fd, page, int(rand.random() * pages) * PAGE)
    os.close(fd)


def copy_pages(source, path, step):
    """A copy written in order by step bytes at a time, past the page cache."""
    with open(source, "rb") as f:
        out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o644)
        buffer = mmap.mmap(-1, step)
        while f.readinto(buffer) == step:
            os.write(out, buffer)
        os.close(out)


def bar_overwrite(bars):
    """The three mounts compress in the same way, so that only what overwriting costs is seen."""
    size, nr = bars.size(1 << 30, MIB), bars.size(10000000)
    source = tar_of_usr(bars, bars.size(976000000, PAGE))
    last = os.path.join(bars.folder, "last")
    daemon = bars.start("recompress=off")
    try:
        path = os.path.join(bars.mnt, "f")
        with open(source, "rb") as f, open(path, "wb") as out:
            while out.tell() < size:
                piece = f.read(min(MIB, size - out.tell()))
                if not piece:
                    f.seek(0)
                out.write(piece)
        sync(bars.mnt)
        begin = time.monotonic()
        overwrite(path, source, size, nr)
        bars.note("%d overwrites in %.0f s" % (nr, time.monotonic() - begin))
        at_once, text = daemon.held(), parts(daemon)
        time.sleep(60)
        idle, idle_text = daemon.held(), parts(daemon)
        shutil.copyfile(path, last)
    finally:
        daemon.stop()

    fresh = []
    for options, step in (("cluster=4k", PAGE), ("", MIB)):
        daemon = bars.start(",".join(filter(None, ["recompress=off", options])))
        try:
            copy_pages(last, os.path.join(bars.mnt, "f"), step)
            fresh.append(daemon.settled(5))
        finally:
            daemon.stop()
    os.unlink(last)
    bars.say("overwritten at random, beside written page by page", at_once / fresh[0], "<=", 1.10, unit="x")
    bars.note("%s; page by page %.1f MB" % (text, fresh[0] / 1e6))
    bars.say("idle for 60 s, beside written in clusters", idle / fresh[1], "<=", 1.05, unit="x")
    bars.note("%s; in clusters %.1f MB" % (idle_text, fresh[1] / 1e6))


def copy_all(names, folder):
    for i, name in enumerate(names):
        if i % 1000 == 0:
            os.mkdir(os.path.join(folder, str(i // 1000)))
        shutil.copyfile(name, os.path.join(folder, str(i // 1000), str(i)))


def bar_delete(bars):
    names, total = tree_names(bars.size(1 << 30))
    rand = random.Random(SEED)
    kept = sorted(rand.sample(range(len(names)), max(1, len(names) // 10)))
    daemon = bars.start("recompress=off")
    try:
        copy_all([names[i] for i in kept], bars.mnt)
        sync(bars.mnt)
        alone, alone_text = daemon.settled(10), parts(daemon)
    finally:
        daemon.stop()
    daemon = bars.start("recompress=off")
    try:
        copy_all(names, bars.mnt)
        sync(bars.mnt)
        full = daemon.held()
        keep = set(kept)
        gone = [i for i in range(len(names)) if i not in keep]
        rand.shuffle(gone)
        for i in gone:
            os.unlink(os.path.join(bars.mnt, str(i // 1000), str(i)))
        begin = time.monotonic()
        while daemon.held() > 1.15 * alone and time.monotonic() < begin + 30:
            time.sleep(0.2)
        seconds = time.monotonic() - begin
        held, text = daemon.settled(max(0, 30 - seconds)), parts(daemon)
    finally:
        daemon.stop()
    bars.say("90 %% of %d files deleted, beside the rest alone" % len(names), held / alone, "<=", 1.15, unit="x")
    bars.note("%.1f MB of data took %.1f MB; afterwards %s; alone %s; below the bar after %.1f s" %
              (total / 1e6, full / 1e6, text, alone_text, seconds))


def foreground(bars, options, path):
    """Seconds that copying a file takes, with as much lying idle beside it."""
    daemon = bars.start(options)
    try:
        shutil.copyfile(path, os.path.join(bars.mnt, "idle"))
        sync(bars.mnt)
        time.sleep(2.5)  # it is idle by then
        begin = time.monotonic()
        for _ in range(3):
            shutil.copyfile(path, os.path.join(bars.mnt, "new"))
            sync(bars.mnt)
        seconds = time.monotonic() - begin
        passes = daemon.counter("recompressed")
    finally:
        daemon.stop()
    return seconds, passes


def bar_cost(bars):
    path = tar_of_usr(bars, bars.size(976000000, PAGE))
    ratios, done = [], 0
    for i in range(5):
        took = {}
        # Who comes first changes, so that what drifts slows both.
        for options in sorted(("recompress=zstd:8@1", "recompress=off"), reverse=bool(i % 2)):
            took[options], objects = foreground(bars, options, path)
            done = max(done, objects)
        ratios.append(took["recompress=off"] / took["recompress=zstd:8@1"])
    bars.say("writing while recompression has work, beside without", statistics.median(ratios), ">=", 0.95, unit="x")
    bars.note("rounds %s; %d objects were recompressed meanwhile" % (" ".join("%.2f" % r for r in ratios), done))


def make_empty(folder, begin, end):
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for i in range(begin, end):
        os.mknod("%08d" % i, 0o100644, dir_fd=fd)
    os.close(fd)


def bar_empty(bars):
    small, large = bars.size(1000000), bars.size(10000000)
    zram = bars.zram(lambda folder: make_empty(folder, 0, small), 512 * small + 256 * MIB, small)
    daemon = bars.start()
    try:
        base = daemon.settled(2)
        make_empty(bars.mnt, 0, small)
        held = daemon.settled(3)
        bars.say("%d empty files" % small, held / 1e6, "<=", 192.0 * bars.options.scale + base / 1e6 * (bars.options.scale < 1),
                 zram / 1e6 if zram else None, " MB")
        bars.note("%s; %.1f bytes a file" % (parts(daemon), held / small))
        make_empty(bars.mnt, small, large)
        more = daemon.settled(3)
        bars.say("%d empty files, a file beside %d" % (large, small), (more / large) / (held / small), "<=", 1.10, unit="x")
        bars.note("%s; %.1f bytes a file" % (parts(daemon), more / large))
    finally:
        daemon.stop()


BARS = {"tar": bar_tar, "tree": bar_tree, "small": bar_small, "overwrite": bar_overwrite, "delete": bar_delete, "cost": bar_cost,
        "empty": bar_empty}


def parse(usage, words):
    parser = argparse.ArgumentParser(prog="memory-bars", usage=usage, add_help=True)
    parser.add_argument("build", type=os.path.abspath)
    parser.add_argument("--only", default=",".join(BARS), help="bars, separated by commas: " + ", ".join(BARS))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--no-zram", action="store_true")
    parser.add_argument("--options", default="", help="mount options")
    options = parser.parse_args(words)
    options.only = options.only.split(",")
    for name in options.only:
        if name not in BARS:
            parser.error("no bar %s; there are: %s" % (name, ", ".join(BARS)))
    return options


def main(usage, words):
    options = parse(usage, words)
    folder = tempfile.mkdtemp(prefix="memory-bars.")
    try:
        bars = Bars(options, folder)
        for name in options.only:
            BARS[name](bars)
        return 1 if bars.missed else 0
    except (Trouble, OSError, subprocess.SubprocessError) as error:
        print("memory-bars: %s" % error, file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(folder, ignore_errors=True)
