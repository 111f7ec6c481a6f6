# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# survive.sh - what the tests of mounts that outlive their daemons share. Sourced after functions.sh.
#
#   survive_start OPTIONS   mount at $MNT with survive=on, in the background
#   survive_stop            unmount; no process of the mount may be left
#   daemon_pid, keeper_pid  of the mount, now
#   remains_pid             of the process that has what the mount held, when that was ended
#
# The test ends what is left of its own mount: its keeper first, or that would start another daemon.

KILLER=$PWD/tests/survive/killer
# shellcheck disable=SC2034 # for the tests
KEEPS=$PWD/tests/survive/keeps

pid_of()
{
  "$KILLER" --pids "$MNT" | sed -n "s/^$1 //p"
}

daemon_pid()
{
  pid_of ztmpfs
}

keeper_pid()
{
  pid_of ztmpfs-keeper
}

remains_pid()
{
  pid_of ztmpfs-remains
}

# end_all - whatever the test has left of them
end_all()
{
  tries=5
  while [ $tries -gt 0 ]; do
    tries=$((tries - 1))
    # shellcheck disable=SC2046 # a word each
    kill -9 $(keeper_pid) $(daemon_pid) $(remains_pid) 2>/dev/null || break
  done
}

# has_keeper - it gives itself its name when it begins
has_keeper()
{
  [ -n "$(keeper_pid)" ]
}

survive_cleanup()
{
  survive_status=$?
  end_all
  (exit $survive_status)
  cleanup
}
trap survive_cleanup EXIT

# A daemon that a test ends by SIGSEGV has no fault.
ASAN_OPTIONS=$ASAN_OPTIONS:handle_segv=0:handle_sigbus=0:handle_abort=0
export ASAN_OPTIONS
# libfuse frees its mount point when it unmounts, which a daemon that leaves its mount to another one does not.
echo "leak:fuse_session_mount" >"$TMP/known-leaks"
LSAN_OPTIONS=suppressions=$TMP/known-leaks:print_suppressions=0
export LSAN_OPTIONS

# need_survive - a mount can outlive its daemon here
need_survive()
{
  need_fuse
  # Its run-time library executes the program once more, by a path that a program started by its descriptor has not.
  ! grep -q '^#define ZT_SANITIZERS "thread"' config.h 2>/dev/null || skip "the thread sanitizer's programs do not start as a keeper"
  "$ZTMPFS" -o survive=on ztmpfs-test "$MNT" 2>"$TMP/refused" || fail "no mount with survive=on: $(cat "$TMP/refused")"
  survive_stop
}

survive_start()
{
  "$ZTMPFS" -o "survive=on,${1:-rw}${ZT_MORE_OPTIONS:+,$ZT_MORE_OPTIONS}" ztmpfs-test "$MNT" ||
    fail "no mount with -o $1"
  [ -n "$(daemon_pid)" ] || fail "no daemon"
  wait_until 300 has_keeper || fail "no keeper"
}

has_no_process()
{
  ! "$KILLER" --pids "$MNT" >"$TMP/left"
}

survive_gone()
{
  wait_unmounted 100 has_no_process || fail "processes are left: $(cat "$TMP/left")"
  is_mounted "$MNT" && fail "the mount is still there"
  return 0
}

survive_stop()
{
  wait_until 100 try_unmount || fail "cannot unmount: $(cat "$TMP/umount.err")"
  survive_gone
}

# has_remains - the mount was ended, and a process has what it held
has_remains()
{
  [ -n "$(remains_pid)" ]
}

# another_daemon PID - one that is not this
another_daemon()
{
  now=$(daemon_pid)
  [ -n "$now" ] && [ "$now" != "$1" ]
}
