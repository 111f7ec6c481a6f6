#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# git: clone, fsck, check out, commit, repack, gc; everything that git says is what it says on a tmpfs.
# shellcheck source=tests/lib/workload.sh
. "${srcdir:-.}/tests/lib/workload.sh"
need_fuse
need_program git git
make_ref

top=$(cd "$srcdir" && pwd)
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test
export GIT_AUTHOR_DATE='2026-01-01 00:00:00 +0000' GIT_COMMITTER_DATE='2026-01-01 00:00:00 +0000'
git()
{
  command git -c safe.directory='*' -c gc.autoDetach=false -c maintenance.autoDetach=false "$@"
}

# A tarball's source has no history: one is made of the files.
origin=$top
if ! git -C "$top" rev-parse HEAD >/dev/null 2>&1; then
  origin=$TMP/origin
  mkdir "$origin"
  (cd "$top" && tar -cf - --exclude='./build*' .) | tar -xf - -C "$origin"
  git -C "$origin" init -q && git -C "$origin" add -A && git -C "$origin" commit -qm 'all of it' || fail "cannot make a repository"
fi

# story FOLDER - one developer's day; prints what must be the same everywhere
story()
{
  cd "$1" || exit 1
  git clone -q --no-hardlinks "file://$origin" clone || exit 1
  cd clone || exit 1
  git fsck --full --strict || exit 1
  git rev-parse HEAD
  first=$(git rev-list --max-parents=0 HEAD | tail -n 1)
  git checkout -q "$first" && git status --porcelain && git ls-files -s | sha256sum
  git checkout -q - && git status --porcelain
  git checkout -q -b topic
  for i in 1 2 3 4 5; do
    seq "$i" 20000 >"new-$i"
    [ "$i" != 1 ] || sed -i 's/ztmpfs/ZTMPFS/' README.md NEWS
    git add -A && git commit -qm "change $i"
  done
  git stash list
  git rebase -q --onto "HEAD~3" "HEAD~2" || exit 1
  git rev-parse HEAD
  git gc -q --prune=now || exit 1
  git repack -qadf || exit 1
  git fsck --full --strict || exit 1
  git count-objects -v | grep -E '^(count|in-pack|garbage)'
  git archive HEAD | sha256sum
  git clean -qxfd && git status --porcelain
  git worktree add -q ../second "$first" && git -C ../second status --porcelain
  git -C ../second ls-files -s | sha256sum
}

(story "$REF") >"$TMP/want" 2>&1 || fail "on the reference: $(cat "$TMP/want")"
for options in '' cluster=4k,cache=through; do
  zt_start "$options"
  (story "$MNT") >"$TMP/got" 2>&1 || fail "with '$options': $(cat "$TMP/got")"
  diff "$TMP/want" "$TMP/got" || fail "git says something else with '$options'"
  fresh
  (cd "$MNT/clone" && git fsck --full --strict) || fail "fsck after the caches were dropped"
  for name in clone second; do
    diff -r --no-dereference -x .git "$REF/$name" "$MNT/$name" || fail "$name differs with '$options'"
  done
  echo "compared with '$options': $(git -C "$MNT/clone" rev-list --count --all) commits, $(wc -l <"$TMP/want") lines of output, work trees"
  zt_stop
done
