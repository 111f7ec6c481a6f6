# SPDX-License-Identifier: GPL-2.0-or-later
"""settings - sizes and choices of one run, from the environment."""
import os

MIB = 1 << 20
GIB = 1 << 30

# name: (full, quick, what it is)
NUMBERS = {
    "ROUNDS": (5, 2, "how often each scenario runs on each system"),
    "SIZE": (GIB, 32 * MIB, "bytes of the one large file of streams, random and mmap"),
    "TREE_FILES": (20000, 500, "files of the tree"),
    "RANDOM_OPS": (32768, 1024, "4 KiB requests of each job of random"),
    "CREATES": (1000000, 4000, "files created in one directory"),
    "SIZE_MAX": (8 * GIB, 8 * MIB, "largest file of size"),
    "FILES_MAX": (1000000, 2000, "most files of size"),
    "CLIENTS_MAX": (64, 4, "most clients of size"),
    "CLIENT_OPS": (20000, 400, "files that all clients together work on"),
    "STEAL": (5, 5, "per cent of stolen time above which a round is repeated"),
    "ATTEMPTS": (3, 2, "how often one round is tried"),
    "MINUTES": (0, 0, "when they are over no round begins, after three quarters none is repeated; 0: no limit, but 40 for bars"),
    "ROOM": (0, 0, "bytes of the disks of zram and btrfs at least (0: four times SIZE)"),
}

TEXTS = {
    "BENCH": "sections, separated by blanks; bars (default): only what the table of bars needs; full: all sections",
    "SYSTEMS": "systems, separated by blanks (default: all that this machine can)",
    "QUICK": "1 for the quick profile: small sizes, to see that everything runs",
    "BUILD": "the build folder with ztmpfs and ztmpfsctl (default: .)",
    "BEFORE": "the build folder of an earlier state, which is then one more system, \"before\" (none)",
    "OPTIONS": "mount options of one more system, \"options\" (none)",
    "OUT": "where bench.json and the pictures go (default: BUILD)",
    "WORK": "where source data and mount points are (default: a folder in ${TMPDIR:-/tmp}; root mounts a tmpfs there)",
}


BARS_MINUTES = 40  # MINUTES of the bars' run, unless it says otherwise


class UsageError(Exception):
    """Something in the environment that cannot be meant."""


def size(text):
    """A number of bytes with tmpfs's suffixes, or a plain number."""
    factor = {"k": 1 << 10, "m": MIB, "g": GIB}.get(text[-1:].lower(), 1)
    return int(text[:-1] if factor > 1 else text) * factor


class Settings:
    """One run's settings; NUMBERS as attributes in small letters."""

    def __init__(self, environ):
        self.quick = environ.get("QUICK", "") not in ("", "0")
        for name, (full, quick, _) in NUMBERS.items():
            text = environ.get(name, "")
            try:
                value = size(text) if text else (quick if self.quick else full)
            except ValueError:
                raise UsageError("%s=%s: a number was expected, with k, m or g where bytes are meant" % (name, text)) from None
            if value < 0 or (value == 0 and name not in ("ROOM", "STEAL", "MINUTES")):
                raise UsageError("%s=%s: must be larger" % (name, text))
            setattr(self, name.lower(), value)
        self.size = max(MIB, self.size // MIB * MIB)
        self.room = max(self.room, 4 * self.size, 512 * MIB)
        self.sections = environ.get("BENCH", "").split() or ["bars"]
        if self.sections == ["bars"] and not environ.get("MINUTES"):
            self.minutes = BARS_MINUTES
        self.systems = environ.get("SYSTEMS", "").split()
        self.build = os.path.abspath(environ.get("BUILD") or ".")
        self.before = os.path.abspath(environ["BEFORE"]) if environ.get("BEFORE") else None
        self.options = environ.get("OPTIONS")
        self.out = os.path.abspath(environ.get("OUT") or self.build)
        self.work = environ.get("WORK", "")

    def numbers(self):
        """The numbers by name, for the report."""
        return {name: getattr(self, name.lower()) for name in NUMBERS}


def describe():
    """Lines for --help."""
    lines = ["  %-12s %s" % (name, text) for name, text in TEXTS.items()]
    for name, (full, quick, text) in NUMBERS.items():
        lines.append("  %-12s %s (%d; quick: %d)" % (name, text, full, quick))
    return "\n".join(lines)
