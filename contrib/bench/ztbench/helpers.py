# SPDX-License-Identifier: GPL-2.0-or-later
"""helpers - the small C programs of the folder above, compiled where they are needed, and words on the way."""
import os
import shutil
import subprocess
import sys

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def say(text):
    """Progress; the report alone goes to standard output."""
    print("bench: " + text, file=sys.stderr, flush=True)


def compile_helper(source, out, *flags):
    """A program of this folder; None where there is no compiler."""
    done = subprocess.run(["cc", "-O2", os.path.join(BENCH, source), "-o", out] + list(flags), stderr=subprocess.PIPE, check=False) \
        if shutil.which("cc") else None
    if done is None or done.returncode:
        say("%s does not compile here%s" % (source, ": " + done.stderr.decode(errors="replace")[:200] if done else ", no cc"))
        return None
    return out
