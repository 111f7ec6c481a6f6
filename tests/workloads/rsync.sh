#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# rsync: a tree with links, holes, odd names, and xattrs and ACLs where the mount has them, copied in, changed, copied again with
# --delete, and out again; rsync with checksums, find and sha256sum see no difference.
# shellcheck source=tests/lib/workload.sh disable=SC2086 # options are words
. "${srcdir:-.}/tests/lib/workload.sh"
need_fuse
need_program rsync rsync
make_ref
mkdir "$REF/source" "$REF/back"

from=
for dir in /usr/include /usr/share/perl /usr/share/doc /usr/share/man; do
  [ -d "$dir" ] && from=$dir && break
done
[ -n "$from" ] || skip "no tree to copy"
rsync -a "$from/" "$REF/source/tree/" || fail "cannot copy $from"
(
  cd "$REF/source" || exit 1
  mkdir odd && cd odd || exit 1
  echo one >hard && ln hard link1 && ln hard link2
  ln -s hard soft && ln -s /nowhere/at/all broken
  truncate -s 50m sparse && printf x | dd of=sparse bs=1 seek=30000000 conv=notrunc status=none
  printf 'a' >"$(printf 'new\nline')" && : >' leading' && : >"$(printf '\303\274\377')" && : >'*?[x]'
  : >"$(printf '%0255d' 1)"
  mkfifo fifo && chmod 4751 hard && touch -d '1987-03-04 05:06:07.123456789' ' leading'
  touch -h -d '2003-01-02 03:04:05.678901234' soft
  mkdir -m 2770 group && mkdir -m 1777 sticky && mkdir -m 0500 closed
  if is_root; then
    mknod null c 1 3 && chown 12:34 '*?[x]' && chown -h 56:78 soft
  fi
)

zt_start ''
# Without the window rsync takes times of the same second for equal.
options='--modify-window=-1 -aHS'
if user_xattrs "$MNT" && user_xattrs "$REF"; then
  options=${options}X
  setfattr -n user.test -v value "$REF/source/odd/hard"
  setfattr -n user.long -v "$(printf '%01000d' 3)" "$REF/source/odd/group"
else
  echo "note: no user xattrs here: not compared"
fi
if acls "$MNT" && acls "$REF"; then
  options=${options}A
  setfacl -m u:1234:rw,g:77:r "$REF/source/odd/link1" && setfacl -d -m u:1234:rwx "$REF/source/odd/group"
else
  echo "note: no ACLs here: not compared"
fi

# alike A B - rsync would change nothing, by checksum, and neither sees find a difference
alike()
{
  rsync $options -n -c --delete --itemize-changes "$1/" "$2/" >"$TMP/changes" || fail "rsync -n $1 $2"
  [ ! -s "$TMP/changes" ] || fail "$1 and $2 differ: $(head -n 20 "$TMP/changes")"
  same_trees "$1" "$2"
}

rsync $options --delete "$REF/source/" "$MNT/copy/" || fail "copying in"
fresh
alike "$REF/source" "$MNT/copy"

# What a day changes: contents, names, types, modes; some in place.
(
  cd "$REF/source" || exit 1
  find tree -type f | sort | awk 'NR % 10 == 0' | while read -r name; do
    echo "more" >>"$name"
  done
  find tree -type f | sort | awk 'NR % 17 == 0' | tr '\n' '\0' | xargs -0 rm -f
  rm odd/broken && mkdir odd/broken && rm odd/link2 && ln -s hard odd/link2
  seq 1 200000 >odd/large && chmod 600 odd/hard
)
rsync $options --delete "$REF/source/" "$MNT/copy/" || fail "copying changes"
alike "$REF/source" "$MNT/copy"
seq 200000 -1 1 >"$REF/source/odd/large"
rsync -aHX --inplace --no-whole-file "$REF/source/odd/large" "$MNT/copy/odd/large" 2>/dev/null ||
  rsync -aH --inplace --no-whole-file "$REF/source/odd/large" "$MNT/copy/odd/large" || fail "copying in place"
fresh
alike "$REF/source" "$MNT/copy"
rsync $options "$MNT/copy/" "$REF/back/" || fail "copying out"
alike "$REF/source" "$REF/back"
rm -rf "$MNT/copy" || fail "rm"
zt_stop
