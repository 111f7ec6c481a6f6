#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# tar with xattrs, ACLs and capabilities, in and out again: getfattr and getfacl say the same as on a tmpfs.
# shellcheck source=tests/lib/workload.sh
. "${srcdir:-.}/tests/lib/workload.sh"
need_fuse
need_program setfattr attr
need_program setfacl acl
need_program tar tar
make_ref
zt_start ''
user_xattrs "$REF" || skip "tmpfs has no user xattrs here"
user_xattrs "$MNT" || skip "the mount has no xattrs"
acls "$MNT" || skip "the mount has no ACLs"

mkdir "$REF/source"
(
  cd "$REF/source" || exit 1
  mkdir -p open/inherits
  seq 1 10000 >file && cp file many && cp file program && cp file closed && ln -s file link
  setfattr -n user.plain -v value file
  setfattr -n user.empty file
  setfattr -n user.binary -v 0x00ff0a0d00 file
  setfattr -n user.large -v "$(printf '%04000d' 9)" file
  for i in $(seq 1 30); do
    setfattr -n "user.nr$i" -v "$i" many || exit 1
  done
  setfacl -m u:1234:rwx,g:4321:r-x,m::r-x closed
  setfacl -d -m u:1234:rwx,o::--- open/inherits
  mkdir open/inherits/below && echo x >open/inherits/below/file
  if is_root; then
    setfattr -n trusted.test -v root file
    command -v setcap >/dev/null && setcap cap_net_raw+ep program
  fi
) || fail "cannot make the source"

# all_of FOLDER - every xattr and ACL below it
all_of()
{
  (
    cd "$1" || exit 1
    find . | sort | while read -r name; do
      getfattr -h -d -m - -e hex "$name" 2>/dev/null | sort
      [ -L "$name" ] || getfacl -n "$name"
    done
  )
}

all_of "$REF/source" >"$TMP/want"
[ "$(grep -c '^user\.' "$TMP/want")" -ge 34 ] || fail "the source lacks xattrs: $(cat "$TMP/want")"
flags="--xattrs --xattrs-include=* --acls --numeric-owner"
# shellcheck disable=SC2086 # flags are words
{
  set -f
  mkdir "$MNT/in" "$REF/back"
  tar -C "$REF/source" $flags -cf - . | tar -C "$MNT/in" $flags -xpf - || fail "tar in"
  fresh
  all_of "$MNT/in" >"$TMP/got"
  diff "$TMP/want" "$TMP/got" || fail "xattrs or ACLs differ on the mount"
  same_trees "$REF/source" "$MNT/in"
  tar -C "$MNT/in" $flags -cf - . | tar -C "$REF/back" $flags -xpf - || fail "tar out"
}
all_of "$REF/back" >"$TMP/got"
diff "$TMP/want" "$TMP/got" || fail "xattrs or ACLs differ after the way back"
# cp -a keeps them within the mount
cp -a "$MNT/in" "$MNT/again" || fail "cp -a"
all_of "$MNT/again" >"$TMP/got"
diff "$TMP/want" "$TMP/got" || fail "xattrs or ACLs differ after cp -a"
echo "compared: $(grep -c = "$TMP/want") xattrs, $(grep -c '^user:\|^group:\|^mask:\|^default:' "$TMP/want") entries of ACLs"
zt_stop
