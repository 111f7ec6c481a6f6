# SPDX-License-Identifier: GPL-2.0-or-later
"""build - this project itself: unpacked, configured and made on each system."""
import os
import subprocess

from ztbench.rounds import Scenario, WorkFailed
from ztbench.streams import shell


def tarball(run):
    """What `make dist` would pack, made once."""
    path = os.path.join(run.source.folder, "ztmpfs.tar")
    folder = os.path.join(run.source.folder, "ztmpfs-source")
    if not os.path.exists(path):
        done = subprocess.run(["make", "-s", "-C", run.settings.build, "distdir", "distdir=" + folder], check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if done.returncode:
            raise WorkFailed("make distdir: " + done.stderr.decode(errors="replace").strip()[-300:])
        subprocess.run(["tar", "-cf", path, "-C", run.source.folder, "ztmpfs-source"], check=True)
    return path


def project(run):
    run.command(["tar", "-xf", tarball(run), "-C", run.mnt])
    top = run.path("ztmpfs-source")
    jobs = str(os.cpu_count() or 1)
    clean = {"MAKEFLAGS": "", "MFLAGS": ""}
    run.measure("configure", shell('cd "$1" && ./configure -q', top), env=clean)
    run.measure("make", shell('cd "$1" && make -s -j"$2"', top, jobs), env=clean)
    total = sum(s.value for s in run.samples[-2:])
    run.note("configure and make", total, "s")
    run.samples[-1].steal = max(s.steal for s in run.samples[-3:-1])


SCENARIOS = [Scenario("build", "this project", project, needs=("make", "cc"))]
