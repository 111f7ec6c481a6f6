# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# own-sbin.sh - the real mount(8) finds the helper of this build, and the machine stays as it is. Sourced before functions.sh, whose
# users then call own_sbin. As root only: a mount namespace of the test's own has a /sbin of its own, in which the programs of the
# machine's are links.

if [ "$(id -u)" = 0 ] && [ -z "${ZT_OWN_SBIN:-}" ] && unshare -m true 2>/dev/null; then
  ZT_OWN_SBIN=1
  export ZT_OWN_SBIN
  exec unshare -m --propagation private sh "$0" "$@"
fi

# own_sbin - true once `mount -t ztmpfs` runs $ZTMPFS
own_sbin()
{
  [ -n "${ZT_OWN_SBIN:-}" ] || return 1
  real=$(realpath /sbin) && mkdir "$TMP/sbin" "$TMP/sbin.machine" && mount --bind "$real" "$TMP/sbin.machine" || return 1
  for program in "$TMP/sbin.machine"/*; do
    ln -s "$program" "$TMP/sbin/"
  done
  for name in mount.ztmpfs mount.fuse.ztmpfs; do
    rm -f "$TMP/sbin/$name"
    ln -s "$ZTMPFS" "$TMP/sbin/$name"
  done
  mount --bind "$TMP/sbin" "$real"
}
