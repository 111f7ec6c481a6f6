#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# SQLite: write-ahead log and memory-mapped reads; many rows, processes side by side, a writer that is killed. The
# contents are compared with the same statements on a tmpfs.
# shellcheck source=tests/lib/workload.sh
. "${srcdir:-.}/tests/lib/workload.sh"
need_fuse
need_program sqlite3 sqlite3
make_ref
rows=${ZT_ROWS:-60000}

# sql FILE - statements from standard input, an error ends them
sql()
{
  timeout 300 sqlite3 -batch -bail -cmd '.timeout 60000' "$1"
}

# fill FILE JOURNAL - the same contents for the same number of rows
fill()
{
  sql "$1" <<END
PRAGMA page_size=4096;
PRAGMA journal_mode=$2;
PRAGMA mmap_size=268435456;
CREATE TABLE t (id INTEGER PRIMARY KEY, key TEXT, value BLOB);
CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER);
INSERT INTO account SELECT value, 1000 FROM generate_series(1, 100);
BEGIN;
INSERT INTO t SELECT value, hex(value * 7919 % 100003), zeroblob(value % 700) FROM generate_series(1, $rows);
COMMIT;
CREATE INDEX by_key ON t (key);
UPDATE t SET value = CAST(key || key AS BLOB) WHERE id % 3 = 0;
DELETE FROM t WHERE id % 7 = 0;
INSERT INTO t (key, value) SELECT 'again ' || key, value FROM t WHERE id % 11 = 0;
PRAGMA wal_checkpoint(TRUNCATE);
VACUUM;
ANALYZE;
PRAGMA integrity_check;
END
}

# What the shell has not: generate_series is an extension of some builds.
if ! echo 'SELECT count(*) FROM generate_series(1, 3);' | sqlite3 -batch 2>/dev/null | grep -qx 3; then
  skip "this sqlite3 has no generate_series"
fi

# worker FILE NR - moves between accounts, so that the sum stays
worker()
{
  i=0
  while [ "$i" -lt 60 ]; do
    echo "BEGIN IMMEDIATE;
      UPDATE account SET balance = balance - $2 WHERE id = $((i % 100 + 1));
      UPDATE account SET balance = balance + $2 WHERE id = $(((i * 37 + $2) % 100 + 1));
      INSERT INTO t (key, value) VALUES ('worker $2 $i', zeroblob(3000));
      COMMIT;"
    i=$((i + 1))
  done | sql "$1" >/dev/null || echo "worker $2 failed" >>"$TMP/workers"
}

reader()
{
  i=0
  while [ "$i" -lt 30 ]; do
    echo "PRAGMA mmap_size=268435456; SELECT sum(balance) FROM account;" | sql "$1" | tail -n 1
    i=$((i + 1))
  done | grep -vx 100000 >>"$TMP/workers"
}

check()
{
  [ "$(echo 'PRAGMA integrity_check;' | sql "$1")" = ok ] || fail "integrity_check of $1 $2"
}

for options in '' cluster=4k,cache=through; do
  zt_start "$options"
  for journal in WAL DELETE; do
    rm -f "$REF"/db* "$MNT"/db*
    fill "$REF/db" $journal >"$TMP/want" || fail "on the reference: $(cat "$TMP/want")"
    fill "$MNT/db" $journal >"$TMP/got" || fail "with '$options': $(cat "$TMP/got")"
    diff "$TMP/want" "$TMP/got" || fail "SQLite says something else with '$options' and $journal"
    fresh
    check "$MNT/db" "after the caches were dropped"
    want=$(echo .dump | sql "$REF/db" | sha256sum)
    [ "$(echo .dump | sql "$MNT/db" | sha256sum)" = "$want" ] || fail "contents differ with '$options' and $journal"
    cmp "$REF/db" "$MNT/db" || echo "note: the files differ, their contents don't"

    : >"$TMP/workers"
    pids=
    for nr in 1 2 3 4; do
      worker "$MNT/db" $nr &
      pids="$pids $!"
    done
    reader "$MNT/db" &
    # shellcheck disable=SC2086 # several
    wait $pids $!
    [ ! -s "$TMP/workers" ] || fail "side by side with '$options' and $journal: $(cat "$TMP/workers")"
    [ "$(echo 'SELECT sum(balance) FROM account;' | sql "$MNT/db")" = 100000 ] || fail "the sum changed with '$options'"
    [ "$(echo "SELECT count(*) FROM t WHERE key LIKE 'worker%';" | sql "$MNT/db")" = 240 ] || fail "rows are missing with '$options'"
    check "$MNT/db" "after four writers"

    # A writer is killed in the middle; what it committed before it said so is there.
    (
      i=0
      while :; do
        i=$((i + 1))
        echo "INSERT INTO t (key, value) VALUES ('kill', zeroblob(2000)); SELECT 'done $i';"
      done | exec sqlite3 -batch -bail "$MNT/db" >"$TMP/done"
    ) &
    feeder=$!
    wait_until 300 grep -q 'done 50$' "$TMP/done" || fail "the writer does not write"
    # The only sqlite3 that has the file open is the one to kill.
    killed=
    for fd in /proc/[0-9]*/fd; do
      if find "$fd" -lname "$MNT/db" 2>/dev/null | grep -q .; then
        killed=${fd#/proc/}
        kill -9 "${killed%/fd}"
      fi
    done
    [ -n "$killed" ] || fail "the writer cannot be found"
    wait $feeder 2>/dev/null
    check "$MNT/db" "after its writer was killed"
    said=$(grep -c '^done' "$TMP/done")
    there=$(echo "SELECT count(*) FROM t WHERE key = 'kill';" | sql "$MNT/db")
    [ "$there" -ge "$said" ] || fail "$said rows were committed, $there are there"
    echo "compared with '$options' and $journal: $(wc -c <"$MNT/db") bytes, 4 writers and a reader, a killed writer ($said rows said, $there there)"
  done
  zt_stop
done
