#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# debootstrap: a minimal system unpacked and configured on the mount. dpkg finds every file as it was packed, and programs run in
# it. The mirror and the release are those of this machine's apt.
# shellcheck source=tests/lib/workload.sh
. "${srcdir:-.}/tests/lib/workload.sh"
need_fuse
is_root || skip "needs root"
need_program debootstrap debootstrap
need_program apt-get apt

# The first archive that apt has a main component of, and its release.
# shellcheck disable=SC2016 # apt's own variables
archive=$(apt-get indextargets --format '$(COMPONENT) $(CODENAME) $(SITE) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
  awk '$1 == "main" && $2 !~ /-/ { print $2, $3; exit }')
[ -n "$archive" ] || skip "apt knows no archive"
codename=${archive%% *}
mirror=${archive#* }
[ -e "/usr/share/debootstrap/scripts/$codename" ] || skip "debootstrap does not know the release $codename"

zt_start ''
debootstrap --variant=minbase --cache-dir="$TMP" "$codename" "$MNT/root" "$mirror" >"$TMP/log" 2>&1 || {
  grep -qE "Couldn't download|Failed getting release|Invalid Release" "$TMP/log" && skip "the archive does not answer"
  fail "debootstrap: $(tail -n 20 "$TMP/log")"
}
fresh
cd "$MNT/root" || exit 1
[ -z "$(chroot . dpkg --audit)" ] || fail "dpkg --audit: $(chroot . dpkg --audit)"
# What packages brought, as they brought it. debootstrap's own changes are none of them.
cat var/lib/dpkg/info/*.md5sums >"$TMP/sums"
md5sum --quiet -c "$TMP/sums" || fail "files are not what was packed"
chroot . dpkg --verify >"$TMP/verify" || fail "dpkg --verify: $(cat "$TMP/verify")"
[ "$(chroot . sh -c 'echo works | sed s/works/fine/')" = fine ] || fail "programs do not run"
chroot . dpkg-reconfigure -f noninteractive debconf >"$TMP/log" 2>&1 || fail "dpkg-reconfigure: $(tail -n 5 "$TMP/log")"
# A package removed and its files gone; dpkg's database is written with many fsyncs.
chroot . dpkg --force-remove-essential --force-depends --purge gzip >"$TMP/log" 2>&1 || fail "purge: $(tail -n 5 "$TMP/log")"
[ ! -e bin/gzip ] || fail "a removed package is still there"

# The same system by tar on a tmpfs and back: owners, modes, set-user-ID bits, links, device nodes.
make_ref
tar --format=posix -cf - -C "$MNT/root" . | tar -xpf - -C "$REF" || fail "tar"
same_trees "$REF" "$MNT/root"
setuid=$(find . -xdev -perm -4000 -type f | wc -l)
[ "$setuid" -gt 0 ] || fail "no set-user-ID program in a Debian system"
echo "compared: $(wc -l <"$TMP/sums") checksums of $(chroot . dpkg-query -f '.\n' -W | wc -l) packages; $setuid set-user-ID programs"
cd / || exit 1
zt_stop
