#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# stress-ng: its stressors of files and folders, one after the other, with --verify, on a mount and on a tmpfs: none may fail or be killed
# here that does well there. ZT_SECONDS: for each stressor (2).
# shellcheck source=tests/lib/workload.sh
. "${srcdir:-.}/tests/lib/workload.sh"
need_fuse
need_program stress-ng stress-ng
make_ref
seconds=${ZT_SECONDS:-2}
stressors="access chdir chmod chown copy-file dentry dir dirdeep dirmany fallocate fcntl fiemap filename flock fpunch fstat getdent hdd
  inotify io iomix lease link locka lockf lockofd metamix mknod open readahead rename revio seek sendfile splice symlink sync-file
  touch truncate utime verity xattr mmapfixed mmapaddr aio dup fsize handle file-ioctl"

# known STRESSOR - versions differ in what they have
known()
{
  stress-ng --stressors 2>/dev/null | tr ' ' '\n' | grep -qx "$1"
}

# stress STRESSOR FOLDER - return: stress-ng's status, 3 or 4 where a machine lacks what the stressor wants
stress()
{
  mkdir -p "$2/s"
  timeout $((seconds * 10 + 120)) stress-ng --temp-path "$2/s" --verify --timeout "${seconds}s" --metrics-brief --seed "${ZT_SEED:-4711}" \
    --hdd-bytes 32m --iomix-bytes 32m --fallocate-bytes 32m --copy-file-bytes 128m --aio-requests 8 --seek-size 16m --readahead-bytes 32m \
    --revio-bytes 32m "--$1" 2 >"$TMP/$3.out" 2>&1
  stress_status=$?
  rm -rf "${2:?}/s"
  return $stress_status
}

for options in '' cache=through; do
  zt_start "$options"
  ran=0
  left=
  for stressor in $stressors; do
    known "$stressor" || continue
    if stress "$stressor" "$MNT" here; then
      ran=$((ran + 1))
      continue
    fi
    status=$?
    if stress "$stressor" "$REF" there; then
      case $status in
      3 | 4) left="$left $stressor" ;;
      *)
        tail -n 20 "$TMP/here.out"
        fail "$stressor ends with $status on the mount, with '$options', and well on a tmpfs"
        ;;
      esac
    else
      left="$left $stressor(also)"
    fi
  done
  zt_stop
  echo "with '$options': $ran stressors did well; not so, or not able, there or here:${left:- none}"
  [ "$ran" -ge 20 ] || fail "only $ran stressors ran"
done
