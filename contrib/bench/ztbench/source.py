# SPDX-License-Identifier: GPL-2.0-or-later
"""source - the real data of this machine: parts of /usr as one file, and as a tree.

Made once for each run, on a tmpfs where root can mount one, so that reading it costs every system the same.
"""
import os
import subprocess

from ztbench.settings import MIB

FILE_FOLDERS = ["usr/bin", "usr/include", "usr/share/doc", "usr/share/perl", "usr/lib/python3", "usr/lib/gcc",
                "usr/lib", "usr/share", "usr/libexec", "usr/sbin"]
TREE_FOLDERS = ["usr/include", "usr/share/doc", "usr/lib/python3", "usr/share/perl", "usr/share", "usr/lib"]
LARGE = 4 * MIB  # a tree of sources has no larger files


class SourceError(Exception):
    """This machine has too little to copy."""


class Source:
    """data: one file of SIZE bytes; parts: the same in four; tree: a tar of TREE_FILES files."""

    def __init__(self, folder, settings):
        self.folder = folder
        self.settings = settings
        self._parts = self._tree = None
        self.data = self._file("data")
        self.size = settings.size
        self.tree_files = self.tree_bytes = 0

    def _file(self, name):
        """What tar makes of parts of /usr, as long as it was asked for; from the start again where that is too little."""
        path = os.path.join(self.folder, name)
        with open(path, "wb") as out:
            while out.tell() < self.settings.size:
                before = out.tell()
                self._tar_into(out)
                if out.tell() < before + MIB:
                    raise SourceError("/usr has less than 1 MiB to read")
        return path

    def _tar_into(self, out):
        folders = [name for name in FILE_FOLDERS if os.path.isdir("/" + name)]
        with subprocess.Popen(["tar", "-cf", "-", "-C", "/"] + folders, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as tar:
            while out.tell() < self.settings.size:
                piece = tar.stdout.read(min(MIB, self.settings.size - out.tell()))
                if not piece:
                    return
                out.write(piece)
            tar.kill()

    def parts(self):
        """Four files that together are data."""
        if self._parts is None:
            self._parts = []
            quarter = self.settings.size // 4
            with open(self.data, "rb") as f:
                for i in range(4):
                    path = os.path.join(self.folder, "part%d" % i)
                    with open(path, "wb") as out:
                        for _ in range(0, quarter, 65536):
                            out.write(f.read(65536))
                    self._parts.append(path)
        return self._parts

    def _names(self):
        """Names below / of regular files for the tree, largest ones left out, in the order of folders."""
        seen = set()
        for folder in TREE_FOLDERS:
            for base, dirs, files in os.walk("/" + folder):
                dirs.sort()
                for name in sorted(files):
                    path = os.path.join(base, name)
                    if path in seen or not os.path.isfile(path) or os.path.islink(path) or not os.access(path, os.R_OK):
                        continue
                    seen.add(path)
                    length = os.path.getsize(path)
                    if length <= LARGE:
                        yield path[1:], length

    def tree(self):
        """A tar of TREE_FILES files."""
        if self._tree is None:
            path = os.path.join(self.folder, "tree.tar")
            with open(path + ".names", "w", encoding="utf-8", errors="surrogateescape") as names:
                for name, length in self._names():
                    names.write(name + "\0")
                    self.tree_files += 1
                    self.tree_bytes += length
                    if self.tree_files >= self.settings.tree_files:
                        break
            subprocess.run(["tar", "-cf", path, "--hard-dereference", "-C", "/", "--no-recursion", "--null", "-T", path + ".names"], check=True)
            self._tree = path
        return self._tree
