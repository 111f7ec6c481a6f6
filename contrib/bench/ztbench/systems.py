# SPDX-License-Identifier: GPL-2.0-or-later
"""systems - the filesystems that are compared: each started and stopped on a mount point, with what it holds.

A system that cannot run here says why (`missing`), and is left out.
"""
import ctypes
import json
import os
import shutil
import signal
import subprocess
import time

from ztbench.helpers import compile_helper
from ztbench.settings import MIB

ZRAM_CONTROL = "/sys/class/zram-control"


class Trouble(Exception):
    """A system that does not start or stop; the text says which and why."""


def call(*words):
    """Run a command; what it printed, or Trouble with it."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace").strip()
    if done.returncode:
        raise Trouble("'%s' failed: %s" % (" ".join(words), text or "status %d" % done.returncode))
    return text


def lacks(*programs):
    """The first of these programs that is not installed, as a reason."""
    for program in programs:
        if not shutil.which(program):
            return "%s is not installed" % program
    return None


def needs_root():
    return None if os.geteuid() == 0 else "needs root"


def dies_with_parent():
    """In the daemon, before it is executed: PR_SET_PDEATHSIG."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class System:
    """One filesystem. pid: its process, if it has one; what: a sentence for the report; keeps: what is written can be read."""

    pid = None
    mnt = None
    keeps = True

    def __init__(self, name, what):
        self.name = name
        self.what = what

    def missing(self):
        """Why it cannot run here, or None."""
        return None

    def start(self, mnt, room, inodes):
        """Mount at mnt, with room for so many bytes and inodes."""
        raise NotImplementedError

    def stop(self):
        """Unmount and give everything back; also after a start() that failed half-way."""
        if self.mnt:
            unmount(self.mnt)
            self.mnt = None

    def held(self):
        """Bytes of memory held, metadata included."""
        raise NotImplementedError

    def recompress(self):
        """What it would do with data that lies idle, now."""

    def restore(self):
        """Wait until it has stored anew what is read again and again."""

    def lock_waits(self):
        """{kind: (waits, ns)} since it was started, or None."""
        return None

    def how(self):
        """Words in front of each command that is measured."""
        return []


def unmount(mnt):
    """Unmount now, or at least out of sight."""
    program = ["umount"] if os.geteuid() == 0 else ["fusermount3", "-u"]
    for _ in range(50):
        if not os.path.ismount(mnt):
            return
        if subprocess.run(program + [mnt], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return
        time.sleep(0.1)
    call(*program, "-l" if program == ["umount"] else "-z", mnt)


class Ztmpfs(System):
    """ztmpfs from the build folder, with mount options."""

    def __init__(self, name, options, build):
        super().__init__(name, "ztmpfs -o %s" % options if options else "ztmpfs, default options")
        self.options = options
        self.build = build
        self.process = None

    def missing(self):
        for program in ("ztmpfs", "ztmpfsctl"):
            if not os.access(os.path.join(self.build, program), os.X_OK):
                return "%s/%s is not built" % (self.build, program)
        return None if os.access("/dev/fuse", os.R_OK | os.W_OK) else "/dev/fuse cannot be opened"

    def start(self, mnt, room, inodes):
        # No limits but the machine's memory: the others have none of their own either.
        options = ",".join(filter(None, ["size=0,nr_inodes=0", self.options]))
        words = [os.path.join(self.build, "ztmpfs"), "-o", options, "bench", mnt]
        self.mnt = mnt
        if "survive=" in (self.options or ""):  # on does not go with -f, and off is to be compared with it
            call(*words)
            self.pid = self.daemon()
            return
        self.process = subprocess.Popen([words[0], "-f"] + words[1:], stdin=subprocess.DEVNULL, preexec_fn=dies_with_parent)
        self.pid = self.process.pid
        for _ in range(300):
            if os.path.ismount(mnt):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise Trouble("%s does not mount" % self.what)

    def daemon(self):
        """The process that serves a mount in the background."""
        mounts = json.loads(call(os.path.join(self.build, "ztmpfsctl"), "list", "--json"))["mounts"]
        return next(m["pid"] for m in mounts if m["mountpoint"] == self.mnt)

    def stop(self):
        super().stop()
        process, pid = self.process, self.pid
        self.process = self.pid = None
        if not process:
            for _ in range(1200):
                if not pid or not os.path.exists("/proc/%d" % pid):
                    return
                time.sleep(0.1)
            raise Trouble("%s did not end" % self.what)
        try:
            status = process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Trouble("%s did not end" % self.what) from None
        if status:
            raise Trouble("%s ended with %d" % (self.what, status))

    def stat(self):
        return json.loads(call(os.path.join(self.build, "ztmpfsctl"), "stat", "--json", self.mnt))

    def held(self):
        return self.stat()["mem_used_total"]

    def recompress(self):
        done = -1
        while done != self.stat()["recompressed"]:
            done = self.stat()["recompressed"]
            call(os.path.join(self.build, "ztmpfsctl"), "recompress", self.mnt)

    def restore(self):
        done, waits = -1, 0
        while waits < 3:
            now = self.stat().get("recompress_undone", 0)  # an earlier state has no such counter
            done, waits = now, waits + 1 if now == done else 0
            time.sleep(1)

    def lock_waits(self):
        stat = self.stat()
        return {kind: (waits, stat["lock_wait_ns"][kind]) for kind, waits in stat["lock_waits"].items()}


class Bound(Ztmpfs):
    """Each command on one CPU, with the threads that serve its requests."""

    def __init__(self, name, options, build):
        super().__init__(name, options, build)
        self.what = "ztmpfs -o %s, commands by ztmpfsctl run" % options

    def how(self):
        return [os.path.join(self.build, "ztmpfsctl"), "run", self.mnt, "--"]


class EmptyFuse(System):
    """Requests that nobody does anything for (empty_fuse.c): what is left of their time is not ours."""

    keeps = False

    def __init__(self, folder):
        super().__init__("empty", "a FUSE filesystem that keeps no data, in one thread")
        self.program = os.path.join(folder, "empty_fuse")
        self.process = None

    def missing(self):
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False) \
            if shutil.which("pkg-config") else None
        words = flags.stdout.decode().split() if flags else []
        return None if compile_helper("empty_fuse.c", self.program, *words) else "it does not compile here"

    def start(self, mnt, room, inodes):
        self.process = subprocess.Popen([self.program, mnt], stdin=subprocess.DEVNULL, preexec_fn=dies_with_parent)
        self.mnt, self.pid = mnt, self.process.pid
        for _ in range(100):
            if os.path.ismount(mnt):
                return
            time.sleep(0.05)
        raise Trouble("%s does not mount" % self.what)

    def stop(self):
        super().stop()
        process, self.process, self.pid = self.process, None, None
        if process and process.wait(60):
            raise Trouble("%s ended with %d" % (self.what, process.returncode))

    def held(self):
        return 0


class Tmpfs(System):
    """The kernel's own."""

    def __init__(self):
        super().__init__("tmpfs", "tmpfs")

    def missing(self):
        return needs_root()

    def start(self, mnt, room, inodes):
        call("mount", "-t", "tmpfs", "-o", "size=%d,nr_inodes=%d" % (room, max(1000000, inodes + 1000)), "bench", mnt)
        self.mnt = mnt

    def held(self):
        st = os.statvfs(self.mnt)
        return (st.f_blocks - st.f_bfree) * st.f_frsize


class Zram(System):
    """A filesystem on a zram device of its own, without a journal where that can be."""

    def __init__(self, name, kind, algorithm):
        super().__init__(name, "zram (%s) with %s" % (algorithm, kind))
        self.kind = kind
        self.algorithm = algorithm
        self.number = None

    def missing(self):
        if not os.path.exists(ZRAM_CONTROL) and os.geteuid() == 0:
            subprocess.run(["modprobe", "-q", "zram"], check=False)
        if not os.path.exists(ZRAM_CONTROL):
            return "this kernel has no zram"
        return needs_root() or lacks("mkfs." + self.kind)

    def start(self, mnt, room, inodes):
        with open(ZRAM_CONTROL + "/hot_add", encoding="ascii") as f:
            self.number = int(f.read())
        device = "/dev/zram%d" % self.number
        sys = "/sys/block/zram%d/" % self.number
        try:
            for name, value in (("comp_algorithm", self.algorithm), ("disksize", str(room))):
                with open(sys + name, "w", encoding="ascii") as f:
                    f.write(value)
        except OSError as e:
            raise Trouble("%s: cannot set %s: %s" % (device, self.algorithm, e)) from None
        for _ in range(50):
            if os.path.exists(device):
                break
            time.sleep(0.05)
        if self.kind == "ext4":
            words = ["-O", "^has_journal", "-E", "lazy_itable_init=0,nodiscard", "-m", "0"]
            if inodes > room // 16384:
                words += ["-N", str(inodes + 1000)]
            call("mkfs.ext4", "-q", *words, device)
        else:
            call("mkfs.xfs", "-q", "-K", device)
        call("mount", "-o", "discard", device, mnt)
        self.mnt = mnt

    def stop(self):
        super().stop()
        if self.number is None:
            return
        number, self.number = self.number, None
        with open("/sys/block/zram%d/reset" % number, "w", encoding="ascii") as f:
            f.write("1")
        with open(ZRAM_CONTROL + "/hot_remove", "w", encoding="ascii") as f:
            f.write(str(number))

    def held(self):
        with open("/sys/block/zram%d/mm_stat" % self.number, encoding="ascii") as f:
            return int(f.read().split()[2])


class Btrfs(System):
    """btrfs with compression on a loop device over a file in a tmpfs."""

    def __init__(self, name, algorithm, folder):
        super().__init__(name, "btrfs (compress=%s) on a loop device over tmpfs" % algorithm)
        self.algorithm = algorithm
        self.backing = os.path.join(folder, "backing-" + name)
        self.loop = None

    def missing(self):
        with open("/proc/filesystems", encoding="ascii") as f:
            if "btrfs" not in f.read() and subprocess.run(["modprobe", "-q", "btrfs"], check=False).returncode:
                return "this kernel has no btrfs"
        return needs_root() or lacks("mkfs.btrfs", "losetup")

    def start(self, mnt, room, inodes):
        os.makedirs(self.backing, exist_ok=True)
        call("mount", "-t", "tmpfs", "-o", "size=%d" % (room + 64 * MIB), "bench-btrfs", self.backing)
        disk = os.path.join(self.backing, "disk")
        with open(disk, "wb") as f:
            f.truncate(room)
        self.loop = call("losetup", "--find", "--show", disk)
        call("mkfs.btrfs", "-q", "-K", "-m", "single", "-d", "single", self.loop)
        call("mount", "-o", "compress=%s,discard=async" % self.algorithm, self.loop, mnt)
        self.mnt = mnt

    def stop(self):
        super().stop()
        if self.loop:
            call("losetup", "-d", self.loop)
            self.loop = None
        if os.path.ismount(self.backing):
            unmount(self.backing)

    def held(self):
        return os.stat(os.path.join(self.backing, "disk")).st_blocks * 512


def all_systems(build, folder, before=None, options=None):
    """
    Every system that the suite knows, in the order of the tables. before: the build folder of an earlier state; options: of a mount
    that is compared with that of default options.
    """
    asked = ([Ztmpfs("before", "", before)] if before else []) + ([Ztmpfs("options", options, build)] if options else [])
    return [Ztmpfs("ztmpfs", "", build)] + asked + [
        Ztmpfs("zstd1", "compress=zstd:1", build),
        Ztmpfs("cluster4k", "cluster=4k", build),
        Ztmpfs("never", "cache=never", build),
        Ztmpfs("accel", "accel=on", build),
        Ztmpfs("null", "compress=null", build),
        Ztmpfs("null4k", "compress=null,cluster=4k", build),
        Ztmpfs("user", "cpu_latency=off", build),
        Bound("bound", "cpu_latency=off", build),
        EmptyFuse(folder),
        Tmpfs(),
        Zram("zram-ext4", "ext4", "lz4"),
        Zram("zram-xfs", "xfs", "lz4"),
        Btrfs("btrfs-zstd", "zstd:1", folder),
        Btrfs("btrfs-lzo", "lzo", folder),
    ]
