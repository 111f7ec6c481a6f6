#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# fio's verify: every block carries its checksum and number, and is read back; random and sequential writes of many sizes, in the ways
# that an engine has (psync, mmap, libaio with O_DIRECT, io_uring), in each cache mode, above the memory limit's warning among them.
#
# ZT_FIO_MIB: of each job's file (48). The last line counts bytes verified.
# shellcheck source=tests/lib/workload.sh
. "${srcdir:-.}/tests/lib/workload.sh"
need_fuse
need_program fio fio
mib=${ZT_FIO_MIB:-48}

cat >"$TMP/jobs" <<END
[global]
directory=$MNT
size=${mib}m
verify=crc32c
verify_fatal=1
verify_dump=0
do_verify=1
verify_backlog=512
buffer_compress_percentage=60
refill_buffers=1
group_reporting=1
randseed=${ZT_SEED:-4711}
fallocate=none

[pages-at-random]
ioengine=psync
rw=randwrite
bs=4k

[sizes-at-random]
ioengine=psync
rw=randwrite
bssplit=4k/40:12k/20:36k/20:100k/10:192k/10

[in-a-row]
ioengine=psync
rw=write
bs=128k
fsync=64

[mapped]
ioengine=mmap
rw=randwrite
bs=16k

[direct]
ioengine=libaio
iodepth=16
direct=1
rw=randwrite
bs=64k

[read-and-written]
ioengine=psync
rw=randrw
rwmixread=50
bs=32k
END

total=0
for options in '' cache=through cache=never,cluster=16k "compress=zstd,dedup=on,recompress=zstd:9@1,mem_limit=$((mib * 6))m"; do
  zt_start "$options"
  "${FIO:-fio}" --output-format=json --output="$TMP/out" "$TMP/jobs" >"$TMP/fio.err" 2>&1 || { tail -n 20 "$TMP/fio.err" "$TMP/out"; fail "fio, with '$options'"; }
  # What fio says has been read for the check; an error ends it with a status, which is looked at besides.
  python3 - "$TMP/out" >"$TMP/count" <<'END' || fail "fio reports an error with '$options': $(cat "$TMP/count")"
import json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
jobs = json.loads(text[text.index("{"):])["jobs"]
bad = [job["jobname"] for job in jobs if job["error"] or job["read"]["io_bytes"] < job["write"]["io_bytes"]]
print(sum(job["read"]["io_bytes"] for job in jobs) if not bad else bad)
sys.exit(bool(bad))
END
  # Again, from the daemon, once its caches are gone. (fio's verify_only takes blocks for written that a mixed job has not written,
  # on a tmpfs, too.)
  (cd "$MNT" && sha256sum ./*) >"$TMP/sums"
  fresh
  (cd "$MNT" && sha256sum --quiet -c "$TMP/sums") || fail "what was written differs later, with '$options'"
  total=$((total + $(cat "$TMP/count")))
  rm -f "${MNT:?}"/*
  zt_stop
done
echo "verified: $total bytes in 6 kinds of jobs, 4 mounts, and all of it once more after the caches were dropped"
