# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# inbox.sh - the tests of mounts that outlive their daemons on kernels that send no request again, before Linux 6.9: there requests are
# taken out of the inbox, and a thread is watched by a pipe. Debug builds do so on others, too, when ZT_INBOX is set.
#
#   run_with_inbox NAME    tests/survive/NAME

run_with_inbox()
{
  if ! grep -q '^#define ZT_DEBUG' config.h; then
    echo "SKIP: not a debug build"
    exit 77
  fi
  ZT_INBOX=1
  export ZT_INBOX
  exec sh "${srcdir:-.}/tests/survive/$1"
}
