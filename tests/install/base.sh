# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# base.sh - a Debian of the tests' own, made once out of this machine's archive, in install-root of the build folder. Sourced behind
# functions.sh by tests that run as root in a mount namespace of their own.
#
#   need_base             $base has a Debian with the libraries of the programs; without an archive the test is skipped
#   in_root ROOT COMMAND  in a copy of it, with the machine's devices
#   names ROOT            all files of a copy
build=$PWD
base=$build/install-root

# Packages of the libraries that the programs need.
libraries()
{
  ldd ztmpfs ztmpfsctl .libs/*-module.so 2>/dev/null | awk '$3 ~ /^\// { print $3 }' | sort -u | while read -r library; do
    real=$(realpath "$library")
    { dpkg -S "$real" || dpkg -S "${real#/usr}"; } 2>/dev/null | sed -n '1s/:.*//p'
  done | sort -u | paste -sd,
}

# The first archive that apt has a main component of, and its release.
make_base()
{
  # shellcheck disable=SC2016 # apt's own variables
  archive=$(apt-get indextargets --format '$(COMPONENT) $(CODENAME) $(SITE) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
    awk '$1 == "main" && $2 !~ /-/ { print $2, $3; exit }')
  [ -n "$archive" ] || skip "apt knows no archive"
  [ -e "/usr/share/debootstrap/scripts/${archive%% *}" ] || skip "debootstrap does not know the release ${archive%% *}"
  rm -rf "$base" "$base.new"
  debootstrap --variant=minbase --include="systemd,systemd-sysv,fuse3,$(libraries)" "${archive%% *}" "$base.new" "${archive#* }" \
    >"$TMP/log" 2>&1 || {
    grep -qE "Couldn't download|Failed getting release|Invalid Release" "$TMP/log" && skip "the archive does not answer"
    fail "debootstrap: $(tail -n 20 "$TMP/log")"
  }
  mv "$base.new" "$base"
}

need_base()
{
  needed=$(libraries)
  [ -d "$base" ] && [ "$(cat "$base.libraries" 2>/dev/null)" = "$needed" ] && return
  make_base
  echo "$needed" >"$base.libraries"
}

# in_root ROOT COMMAND... - with the machine's devices
in_root()
{
  root=$1
  shift
  mount --bind "$root" "$root" && mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" || fail "$root: cannot be prepared"
  chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C \
    FRESH_TESTS="${FRESH_TESTS:-}" "$@" </dev/null
  status=$?
  umount -R "$root" || fail "$root: something is still mounted"
  return "$status"
}

names()
{
  (cd "$1" && find . -xdev ! -path './proc/*' ! -path './dev/*' ! -path './tmp/*' | sort)
}
