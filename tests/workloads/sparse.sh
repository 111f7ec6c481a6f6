#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# cp --sparse, tar -S, fallocate(1) and a disk image: contents and places of data are those of a tmpfs.
# shellcheck source=tests/lib/workload.sh
. "${srcdir:-.}/tests/lib/workload.sh"
need_fuse
need_program perl perl
make_ref

# segments FILE - where SEEK_DATA and SEEK_HOLE see data, one "begin end" a line
segments()
{
  perl -e 'use strict; open(my $f, "<", $ARGV[0]) or die "$ARGV[0]: $!";
    my ($at, $size) = (0, -s $f);
    while ($at < $size) {
      my $data = sysseek($f, $at, 3); last unless defined $data;
      $at = sysseek($f, $data, 4) // die "SEEK_HOLE: $!";
      printf "%d %d\n", $data, $at;
    }' "$1"
}

# The same file on both sides: data at odd places, zeros that were written, holes between.
make_file()
{
  truncate -s 40m "$1"
  for at in 0 1 100 2047 5000 9999; do
    head -c 5000 /usr/bin/env | dd of="$1" bs=4096 seek="$at" conv=notrunc status=none
  done
  dd if=/dev/zero of="$1" bs=4096 seek=3000 count=500 conv=notrunc status=none
  printf end | dd of="$1" bs=1 seek=41943037 conv=notrunc status=none
}

# compare_allocated NAME - contents and blocks; what was allocated and not written to is data here, on a tmpfs a hole
compare_allocated()
{
  cmp "$REF/$1" "$MNT/$1" || fail "$1: contents differ with '$options'"
  [ "$(stat -c '%s %b' "$REF/$1")" = "$(stat -c '%s %b' "$MNT/$1")" ] ||
    fail "$1: size and blocks are $(stat -c '%s %b' "$MNT/$1") with '$options', on a tmpfs $(stat -c '%s %b' "$REF/$1")"
  compared=$((compared + 1))
}

# compare NAME - the file of this name on both sides
compare()
{
  compare_allocated "$1"
  segments "$REF/$1" >"$TMP/want"
  segments "$MNT/$1" >"$TMP/got"
  diff "$TMP/want" "$TMP/got" || fail "$1: data stands in other places with '$options'"
}

compared=0
for options in '' cluster=4k,cache=through cluster=128k; do
  rm -rf "${REF:?}"/*
  zt_start "$options"
  for side in "$REF" "$MNT"; do
    make_file "$side/made"
    for how in always auto never; do
      cp --sparse=$how "$side/made" "$side/copy-$how" || fail "cp --sparse=$how"
    done
    (cd "$side" && tar -cSf made.tar made && mkdir out && tar -xSf made.tar -C out) || fail "tar -S"
    cp "$side/made" "$side/punched" && fallocate -p -o 409600 -l 12288 "$side/punched" || fail "fallocate -p"
    cp --sparse=never "$side/made" "$side/dug" && fallocate -d "$side/dug" || fail "fallocate -d"
    : >"$side/reserved" && fallocate -l 3m "$side/reserved" || fail "fallocate -l"
    fallocate -n -o 3m -l 1m "$side/reserved" || fail "fallocate -n"
  done
  # tmpfs has no FALLOC_FL_ZERO_RANGE: contents alone are compared.
  cp "$REF/made" "$REF/zeroed" && head -c 100000 /dev/zero | dd of="$REF/zeroed" bs=4096 seek=2 conv=notrunc status=none
  cp "$MNT/made" "$MNT/zeroed" && fallocate -z -o 8192 -l 100000 "$MNT/zeroed" || fail "fallocate -z"
  fresh
  for name in made copy-always copy-auto copy-never out/made punched dug; do
    compare $name
  done
  compare_allocated reserved
  cmp "$REF/zeroed" "$MNT/zeroed" || fail "fallocate -z: contents differ with '$options'"
  cmp "$REF/made.tar" "$MNT/made.tar" >/dev/null || echo "note: the tar files differ, as their times do"
  zt_stop
done

# A disk image with a filesystem in it, as tools make them.
if command -v mkfs.ext4 >/dev/null; then
  zt_start ''
  truncate -s 64m "$MNT/disk" && mkfs.ext4 -q -d "$srcdir/src" "$MNT/disk" || fail "mkfs.ext4 in an image"
  fresh
  e2fsck -fn "$MNT/disk" >"$TMP/fsck" 2>&1 || fail "e2fsck: $(cat "$TMP/fsck")"
  cp --sparse=always "$MNT/disk" "$MNT/copy" && cmp "$MNT/disk" "$MNT/copy" || fail "the image's copy differs"
  zt_stop
fi
echo "compared: $compared files, byte by byte and by where data stands"
