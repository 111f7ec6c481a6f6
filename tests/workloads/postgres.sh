#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# PostgreSQL: initdb with checksums, pgbench with one client (compared with a tmpfs, row by row) and with four (sums that
# must agree), an immediate stop with recovery, pg_checksums.
# shellcheck source=tests/lib/workload.sh
. "${srcdir:-.}/tests/lib/workload.sh"
need_fuse
bin=
for folder in /usr/lib/postgresql/*/bin; do
  [ -x "$folder/initdb" ] && [ -x "$folder/pgbench" ] && bin=$folder
done
[ -n "$bin" ] || skip "PostgreSQL is not installed (package postgresql)"
if is_root; then
  id postgres >/dev/null 2>&1 || skip "there is no user postgres"
  need_program runuser util-linux
  chmod 711 "$TMP"
fi
make_ref
scale=${ZT_SCALE:-2}
port=5999
top=

# as_postgres COMMAND... - the server refuses to be root
as_postgres()
{
  if is_root; then
    (cd / && runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

stop_server()
{
  if [ -n "$top" ] && [ -e "$top/data/postmaster.pid" ]; then
    as_postgres "$bin/pg_ctl" -D "$top/data" -m immediate -w stop >/dev/null 2>&1
  fi
}
ended=0
trap 'ended=$?; stop_server; (exit $ended); cleanup' EXIT

start_server()
{
  # No full_page_writes and the like: as it comes, but for the socket's place.
  as_postgres "$bin/pg_ctl" -D "$top/data" -w -t 120 -l "$top/log" -o "-k $top -p $port -c listen_addresses=''" start \
    >"$TMP/pg_ctl" 2>&1 || fail "the server does not start on $top: $(cat "$TMP/pg_ctl" "$top/log")"
}

query()
{
  as_postgres "$bin/psql" -h "$top" -p $port -qAtX -v ON_ERROR_STOP=1 -d postgres -c "$1" || fail "query on $top: $1"
}

bench()
{
  as_postgres "$bin/pgbench" -h "$top" -p $port "$@" postgres >"$TMP/pgbench" 2>&1 || fail "pgbench $*: $(cat "$TMP/pgbench")"
}

# Every transaction adds one number to an account, a teller, a branch, and the history.
sums()
{
  query "SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers),
    (SELECT sum(bbalance) FROM pgbench_branches), (SELECT coalesce(sum(delta), 0) FROM pgbench_history)"
}

sums_agree()
{
  [ "$(sums | tr '|' '\n' | sort -u | wc -l)" = 1 ] || fail "sums do not agree $1: $(sums)"
}

# one_client FOLDER - the same transactions everywhere; prints what the tables hold
one_client()
{
  top=$1
  as_postgres "$bin/initdb" -D "$top/data" -A trust -k --no-instructions --locale=C -E UTF8 >"$TMP/initdb" 2>&1 ||
    fail "initdb on $top: $(cat "$TMP/initdb")"
  start_server
  bench -i -q -s "$scale"
  bench -c 1 -t 400 --random-seed=42
  for table in accounts tellers branches; do
    query "SELECT * FROM pgbench_$table ORDER BY 1" | sha256sum
  done
  query 'SELECT tid, bid, aid, delta FROM pgbench_history ORDER BY 1, 2, 3, 4' | sha256sum
}

mkdir "$REF/pg"
is_root && chown postgres "$REF/pg"
one_client "$REF/pg" >"$TMP/want" || exit 1
stop_server

for options in '' cluster=4k,cache=through; do
  zt_start "$options"
  mkdir "$MNT/pg"
  is_root && chown postgres "$MNT/pg"
  one_client "$MNT/pg" >"$TMP/got" || exit 1
  top=$MNT/pg
  diff "$TMP/want" "$TMP/got" || fail "tables differ with '$options'"
  bench -n -c 4 -j 2 -t 250 # without -n it empties the history
  sums_agree "after four clients with '$options'"
  before=$(sums)
  stop_server
  grep -qE 'PANIC|could not (read|write|fsync|extend)' "$top/log" && fail "the server's log: $(cat "$top/log")"
  fresh
  start_server
  [ "$(sums)" = "$before" ] || fail "an immediate stop changed $before to $(sums) with '$options'"
  query 'CREATE EXTENSION amcheck' >/dev/null &&
    query "SELECT bt_index_check(oid, true) FROM pg_class WHERE relkind = 'i' AND relname LIKE 'pgbench%'" >/dev/null
  query 'VACUUM FULL ANALYZE' && sums_agree "after VACUUM with '$options'"
  as_postgres "$bin/pg_ctl" -D "$top/data" -m fast -w stop >/dev/null || fail "the server does not stop"
  as_postgres "$bin/pg_checksums" --check -D "$top/data" >"$TMP/checksums" || fail "checksums: $(cat "$TMP/checksums")"
  echo "compared with '$options': $(sed -n 's/^Blocks scanned: *//p' "$TMP/checksums") blocks, sums $before"
  zt_stop
done
