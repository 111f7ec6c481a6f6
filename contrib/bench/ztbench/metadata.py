# SPDX-License-Identifier: GPL-2.0-or-later
"""metadata - a tree of small files through its life, and one directory with very many of them."""
import json

from ztbench.rounds import Scenario
from ztbench.streams import held_ratio, shell


def tree(run):
    tar = run.source.tree()
    top = run.path("tree")
    run.command(["mkdir", top])
    run.measure("untar, with sync", shell('tar -xf "$1" -C "$2" && sync -f "$2"', tar, top), nbytes=run.source.tree_bytes, unit="s")
    held_ratio(run, run.source.tree_bytes)
    if run.wanted("find, cold"):
        run.cold()
        run.measure("find, cold", ["find", top, "-type", "f", "-size", "+1000000"])
        run.measure("find, hot", ["find", top, "-type", "f", "-size", "+1000000"])
    run.cold()
    # 1: no line has it, as it should be
    run.measure("grep -r, cold", shell('grep -rF "no line has these words, has it?!" "$1"; [ $? = 1 ]', top))
    if run.round == 0 and run.system.keeps:
        run.command(["tar", "-df", tar, "-C", top])
    run.cold()
    run.measure("rm -r, cold", shell('rm -r "$1" && sync -f "$2"', top, run.mnt))


def git(run):
    tar = run.source.tree()
    top = run.path("repository")
    run.command(["mkdir", top])
    run.command(["tar", "-xf", tar, "-C", top])
    run.command(["git", "-C", top, "init", "-q"])
    commit = 'cd "$1" && git add -A . && git -c user.name=bench -c user.email=bench -c gc.auto=0 commit -qm bench'
    run.measure("git add and commit", shell(commit, top))
    run.cold()
    run.measure("git status, cold", ["git", "-C", top, "status", "--short"])
    run.measure("git status, hot", ["git", "-C", top, "status", "--short"])


def creates(run):
    nr = run.settings.creates
    text = run.measure("one file, on average", run.clients("creates", run.path("many"), nr), ops=nr, unit="us",
                       inner=lambda text: json.loads(text)["seconds"])
    result = json.loads(text)
    run.note("one file, in a directory of 1,000", result["first_us"], "us")
    run.note("one file, the last 5 %", result["last_us"], "us")
    if not run.wanted("listing, cold"):
        return
    run.cold()
    run.measure("listing, cold", shell('ls -f "$1" | wc -l', run.path("many")))
    run.measure("unlink of one file", run.clients("unlinks", run.path("many"), nr), ops=nr, unit="us",
                inner=lambda text: json.loads(text)["seconds"])


SCENARIOS = [
    Scenario("metadata", "a tree", tree, needs=("tar", "grep", "find"), keeps=False),
    Scenario("metadata", "a repository", git, needs=("git",)),
    Scenario("metadata", "many in one directory", creates, inodes=lambda settings: settings.creates + 200000,
             room=lambda settings: settings.creates * 4096),
]
