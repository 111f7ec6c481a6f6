# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# functions.sh - what the tests that mount share. Sourced at their top; they run in the top build folder.
#
#   need_fuse             skip the test where nothing can be mounted here
#   zt_start OPTIONS      mount at $MNT (daemon in the foreground, as this shell's child $PID); the environment's
#                         ZT_MORE_OPTIONS are added
#   zt_stop               unmount; the daemon must end with 0 and leave nothing
#   fail, skip            end the test with a sentence
#
# Each test has a private folder $TMP, gone at its end together with every mount below it. Only the
# test's own daemon is ever signalled, by its pid. A test that hangs is ended by timeout(1).

set -u
umask 022
LC_ALL=C
export LC_ALL

: "${srcdir:=.}"
ZTMPFS=${ZTMPFS:-$PWD/ztmpfs}
ZTMPFSCTL=${ZTMPFSCTL:-$PWD/ztmpfsctl}
# shellcheck disable=SC2034 # for the tests
HELPERS=$PWD/tests/mount

sanitized()
{
  grep -q '^#define ZT_SANITIZERS' config.h 2>/dev/null
}

# One limit over the whole test, several times larger where sanitizers slow everything down.
if [ -z "${ZT_LIMITED:-}" ]; then
  limit=${ZT_TIME_LIMIT:-180}
  if sanitized; then
    limit=$((limit * 4))
  fi
  ZT_LIMITED=1
  export ZT_LIMITED
  exec timeout -k 15 "$limit" sh "$0" "$@"
fi

fail()
{
  echo "FAIL: $*"
  exit 1
}

skip()
{
  echo "SKIP: $*"
  exit 77
}

is_root()
{
  [ "$(id -u)" = 0 ]
}

# all_mounts - the mount points of this name space, one a line
all_mounts()
{
  cut -d' ' -f5 /proc/self/mountinfo
}

is_mounted()
{
  all_mounts | grep -qxF "$1"
}

unmount()
{
  if is_root; then
    umount "$@"
  else
    fusermount3 -u "$@"
  fi
}

# Ends what is still there, however the test ended.
cleanup()
{
  status=$?
  trap - EXIT
  cd / || exit 1
  if [ -n "${PID:-}" ]; then
    kill "$PID" 2>/dev/null
  fi
  all_mounts | grep "^$TMP/" | sort -r | while read -r m; do
    if is_root; then
      umount -l "$m"
    else
      fusermount3 -uz "$m"
    fi 2>/dev/null # the daemon may just have done it
  done
  if [ -n "${PID:-}" ]; then
    wait_gone "$PID" 50 || kill -9 "$PID" 2>/dev/null
  fi
  if [ "$status" != 0 ] && [ "$status" != 77 ] && [ -s "$TMP/daemon.log" ]; then
    echo "--- messages of the daemon:"
    tail -n 50 "$TMP/daemon.log"
  fi
  for report in "$TMP"/san.*; do
    [ -s "$report" ] || continue
    echo "--- report of a sanitizer:"
    cat "$report"
    status=1
  done
  rm -rf "$TMP" "${REF:-$TMP}"
  exit "$status"
}

# wait_until TENTHS COMMAND... - try a command every tenth of a second
wait_until()
{
  tenths=$1
  shift
  while [ "$tenths" -gt 0 ]; do
    if "$@"; then
      return 0
    fi
    sleep 0.1
    tenths=$((tenths - 1))
  done
  "$@"
}

# has_ended PID - gone, or a zombie that waits for its parent
has_ended()
{
  [ ! -d "/proc/$1" ] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

wait_gone()
{
  wait_until "${2:-100}" has_ended "$1"
}

# is_held - another mount namespace has a copy of the mount: one that a test beside this one, or a service, made while it was there
is_held()
{
  grep -qF " $MNT " /proc/[0-9]*/mountinfo 2>/dev/null
}

# wait_unmounted TENTHS COMMAND... - as wait_until, for what follows an unmount: the mount ends with its last copy, so the time that
# others have one does not count
wait_unmounted()
{
  until wait_until "$@"; do
    if ! is_held; then
      # The last copy may just have gone.
      wait_until "$@"
      return
    fi
    echo "note: another mount namespace has $MNT"
  done
}

# show_threads PID - where each of them waits, as far as this user may see
show_threads()
{
  for task in "/proc/$1/task"/*; do
    echo "--- $(cat "$task/comm") (${task##*/}): $(cat "$task/wchan")"
    cat "$task/syscall" "$task/stack"
  done 2>/dev/null
  if command -v gdb >/dev/null; then
    timeout 60 gdb -p "$1" -batch -ex 'thread apply all bt' 2>/dev/null | grep '^Thread\|^#'
  fi
  return 0
}

# need_fuse - /dev/fuse opens and this user may mount
need_fuse()
{
  [ -e /dev/fuse ] || skip "/dev/fuse is missing"
  (: <>/dev/fuse) 2>/dev/null || skip "/dev/fuse cannot be opened"
  if is_root; then
    # CAP_SYS_ADMIN is bit 21
    caps=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)
    [ $((0x$caps >> 21 & 1)) = 1 ] || skip "root without CAP_SYS_ADMIN cannot mount"
  else
    [ -u "$(command -v fusermount3)" ] || skip "no set-user-ID fusermount3"
  fi
  [ -x "$ZTMPFS" ] || fail "$ZTMPFS: not built"
}

# users_mount - root can be an ordinary user here who may mount; fusermount3 unmounts nothing without an mtab
users_mount()
{
  [ -e /etc/mtab ] && is_root && command -v setpriv >/dev/null && [ -u "$(command -v fusermount3)" ] &&
    setpriv --reuid 65534 --regid 65534 --clear-groups sh -c ': <>/dev/fuse' 2>/dev/null
}

TMP=$(mktemp -d "${TMPDIR:-/tmp}/ztmpfs-test.XXXXXX") || exit 1
MNT=$TMP/mnt
PID=
mkdir "$MNT"
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# Reports of the daemon's sanitizers go to files, so that the daemon may also run in the background.
ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:log_path=$TMP/san
UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:log_path=$TMP/san
TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:log_path=$TMP/san
export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS

is_serving()
{
  is_mounted "$MNT" || has_ended "$PID"
}

# zt_start OPTIONS [ARGUMENT...] - mount at $MNT; OPTIONS may be empty
zt_start()
{
  options=${1:-rw}${ZT_MORE_OPTIONS:+,$ZT_MORE_OPTIONS}
  shift
  "$ZTMPFS" -f -o "$options" "$@" ztmpfs-test "$MNT" >>"$TMP/daemon.log" 2>&1 &
  PID=$!
  wait_until 300 is_serving
  is_mounted "$MNT" || fail "no mount with -o $options"
  timeout 30 stat "$MNT" >/dev/null || fail "mounted with -o $options, but does not answer"
}

# zt_stop - unmount and see that nothing remains
zt_stop()
{
  wait_until 100 try_unmount || fail "cannot unmount: $(cat "$TMP/umount.err")"
  zt_wait
}

try_unmount()
{
  unmount "$MNT" 2>"$TMP/umount.err"
}

# zt_wait - the daemon ends by itself, with 0, and the mount is gone
zt_wait()
{
  if ! wait_unmounted "${ZT_END_TENTHS:-300}" has_ended "$PID"; then
    show_threads "$PID"
    fail "the daemon did not end"
  fi
  wait "$PID"
  code=$?
  PID=
  [ "$code" = 0 ] || fail "the daemon ended with $code"
  is_mounted "$MNT" && fail "the mount is still there"
  return 0
}

# drop_caches - what is read next comes from the daemon; false where that is not allowed
drop_caches()
{
  sync
  { echo 3 >/proc/sys/vm/drop_caches; } 2>/dev/null
}

# make_ref - $REF: an empty folder on a tmpfs, or on whatever there is
make_ref()
{
  REF=$TMP/ref
  mkdir "$REF"
  if is_root && mount -t tmpfs -o size=2g ztmpfs-ref "$REF" 2>/dev/null; then
    return
  fi
  if [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ] && [ -w /dev/shm ]; then
    REF=$(mktemp -d /dev/shm/ztmpfs-ref.XXXXXX)
    return
  fi
  echo "note: the reference is no tmpfs but $(stat -f -c %T "$REF")"
}

# zt_stat NAME - one counter of the mount
zt_stat()
{
  "$ZTMPFSCTL" stat --json "$MNT" | sed -n "s/^ *\"$1\": *\([0-9]*\),*\$/\1/p"
}

# zt_stat_is NAME VALUE
zt_stat_is()
{
  [ "$(zt_stat "$1")" = "$2" ]
}
