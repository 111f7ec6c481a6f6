#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# pjdfstest (https://github.com/pjd/pjdfstest), built in the folder that PJDFSTEST= names: what it says on a mount and on a tmpfs is held
# against each other. TESTS: some of its folders (chmod link ...). The last line counts.
ZT_TIME_LIMIT=${ZT_TIME_LIMIT:-5400}
# shellcheck source=tests/lib/workload.sh
. "${srcdir:-.}/tests/lib/workload.sh"
need_fuse
is_root || skip "pjdfstest wants root"
need_program prove perl
[ -x "${PJDFSTEST:-}/pjdfstest" ] || skip "PJDFSTEST= names no folder with a pjdfstest that was built"
make_ref

# results FOLDER - a line for each check that fails: "test: not ok number - what"; and all of them in $TMP/checks
results()
{
  : >"$TMP/checks"
  (cd "$PJDFSTEST/tests" && for group in ${TESTS:-*}; do find "$group" -name '*.t'; done | sort) | while read -r test; do
    (cd "$1" && timeout 600 sh "$PJDFSTEST/tests/$test" 2>/dev/null) | sed "s|^|$test: |" >>"$TMP/checks"
    rm -rf "${1:?}"/*
  done
  # Names are random.
  grep -F ': not ok' "$TMP/checks" | sed 's/pjdfstest_[0-9a-f]*/NAME/g'
}

zt_start dev,suid
results "$MNT" >"$TMP/here"
cp "$TMP/checks" "$TMP/all"
zt_stop
results "$REF" >"$TMP/there"
nr=$(grep -cE ': (not )?ok' "$TMP/all")
[ "$nr" -gt 0 ] || fail "no checks"
[ "$nr" = "$(grep -cE ': (not )?ok' "$TMP/checks")" ] || echo "note: another number of checks on the reference"
diff "$TMP/there" "$TMP/here" || fail "$(wc -l <"$TMP/here") of $nr checks fail, and not the same as on a tmpfs"
echo "pjdfstest: $nr checks, $(wc -l <"$TMP/here") fail here and on a tmpfs alike"
