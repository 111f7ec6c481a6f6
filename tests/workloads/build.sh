#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# This project itself, unpacked, configured and built on the mount: each object is the one that a tmpfs gives, and its quick
# tests pass there, mounts inside the mount among them.
# shellcheck source=tests/lib/workload.sh
. "${srcdir:-.}/tests/lib/workload.sh"
need_fuse
need_program cc gcc
need_program make make
make_ref
jobs=$(nproc 2>/dev/null || echo 1)
unset MAKEFLAGS MFLAGS MAKELEVEL srcdir TESTS

make -s distdir distdir="$TMP/source" >"$TMP/dist.log" 2>&1 || fail "make distdir: $(tail -n 5 "$TMP/dist.log")"

# No -g: where it was built must not show.
build()
{
  cp -a "$TMP/source" "$1/source" && cd "$1/source" &&
    ./configure -q CFLAGS=-O1 && make -s -j"$jobs"
}

(build "$REF") >"$TMP/log" 2>&1 || fail "on the reference: $(tail -n 5 "$TMP/log")"
for options in '' cluster=4k,compress=zstd,cache=through; do
  zt_start "$options"
  (build "$MNT") >"$TMP/log" 2>&1 || fail "with '$options': $(tail -n 5 "$TMP/log")"
  fresh
  (cd "$REF/source" && find . -name '*.o' | sort | xargs sha256sum) >"$TMP/sums"
  [ "$(wc -l <"$TMP/sums")" -ge 30 ] || fail "only $(wc -l <"$TMP/sums") objects"
  (cd "$MNT/source" && sha256sum --quiet -c "$TMP/sums") || fail "objects differ with '$options'"
  diff -r --no-dereference "$TMP/source/src" "$MNT/source/src" | grep '^diff' && fail "sources changed with '$options'"

  mkdir "$MNT/tmp"
  tests='tests/util/test_sizes tests/zsmalloc/test_pool tests/docs/check-layers tests/docs/check-filemap tests/mount/cli tests/mount/enoino'
  (cd "$MNT/source" && TMPDIR=$MNT/tmp ZT_LIMITED='' make -s check TESTS="$tests") >"$TMP/log" 2>&1 ||
    fail "make check with '$options': $(grep -E '^(FAIL|ERROR)' "$TMP/log"; cat "$MNT/source/test-suite.log")"
  passed=$(sed -n 's/^# PASS: *//p' "$TMP/log")
  [ "${passed:-0}" -ge 3 ] || fail "only ${passed:-0} tests passed: $(cat "$TMP/log")"
  echo "compared with '$options': $(wc -l <"$TMP/sums") objects; $passed tests passed on the mount"
  zt_stop
done
