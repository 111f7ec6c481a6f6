#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# overlayfs with the mount as lower layer, and as upper layer as far as the kernel takes a FUSE filesystem for that; each
# time the merged tree is what the same changes make of a plain copy.
# shellcheck source=tests/lib/workload.sh
. "${srcdir:-.}/tests/lib/workload.sh"
need_fuse
is_root || skip "needs root"
grep -q overlay /proc/filesystems || modprobe -q overlay || skip "this kernel has no overlayfs"
make_ref
FOLDER_LINKS= # overlayfs has 1 everywhere

# No hard links below: overlayfs without an index breaks them on the first change.
make_tree()
{
  mkdir -p "$1/a/b/c" "$1/empty" "$1/gone/deep/er" "$1/replaced"
  for i in $(seq 1 200); do
    seq "$i" $((i * 20)) >"$1/a/file-$i"
  done
  echo lower >"$1/a/b/c/file" && ln -s b/c/file "$1/a/soft"
  echo x >"$1/gone/deep/er/x" && echo y >"$1/replaced/y" && seq 1 100000 >"$1/large"
  # The same moment for all: both copies are compared with their times.
  find "$1" -exec touch -h -d '2020-02-02 02:02:02.5' {} +
}

# change FOLDER - what a container does to its image
change()
{
  (
    cd "$1" || exit 1
    echo more >>a/file-1 && echo new >a/file-2 && rm a/file-3 && mv a/file-4 a/renamed && cp a/file-5 a/copied
    rm -r gone && rm -r replaced && mkdir replaced && echo z >replaced/z && mkdir gone && echo w >gone/w
    chmod 640 a/file-6 && chown 12:34 a/file-7 && truncate -s 10 a/file-8 && ln a/file-9 a/nine
    printf patch | dd of=large bs=1 seek=12345 conv=notrunc status=none
    mv a/b/c/file a/b/moved && ln -s large to-large && rm a/soft && mkfifo fifo && mkdir -p new/er/st
    mv empty full && echo full >full/file
    for i in $(seq 20 100); do echo "$i" >>"a/file-$i"; done
    for i in $(seq 101 150); do rm "a/file-$i"; done
    find . ! -type d -exec touch -h -d '2021-03-04 05:06:07' {} +
  )
}

# try_mount LOWER UPPER WORK OPTIONS - false, with the kernel's reason in $TMP/why
try_mount()
{
  mount -t overlay -o "lowerdir=$1,upperdir=$2,workdir=$3,$4" overlay "$TMP/merged" 2>"$TMP/why"
}

# layers WHAT LOWER UPPER WORK OPTIONS - change through the overlay and compare, also after it was mounted anew
layers()
{
  try_mount "$2" "$3" "$4" "$5" || return 1
  change "$TMP/merged" || fail "$1: changes through the overlay"
  same_trees "$REF/plain" "$TMP/merged"
  umount "$TMP/merged" || fail "$1: umount"
  fresh
  try_mount "$2" "$3" "$4" "$5" || fail "$1: cannot be mounted again: $(cat "$TMP/why")"
  same_trees "$REF/plain" "$TMP/merged"
  umount "$TMP/merged" || fail "$1: umount"
  echo "compared: $1"
}

mkdir "$TMP/merged" "$REF/plain" "$REF/lower" "$REF/upper" "$REF/work"
make_tree "$REF/plain"
make_tree "$REF/lower"
change "$REF/plain" || fail "changes on the reference"
zt_start ''
mkdir "$MNT/lower" "$MNT/upper" "$MNT/work"
make_tree "$MNT/lower"
cp -a "$MNT/lower" "$TMP/kept"

layers "the mount below, a tmpfs above" "$MNT/lower" "$REF/upper" "$REF/work" rw || fail "as lower layer: $(cat "$TMP/why")"
same_trees "$TMP/kept" "$MNT/lower" # a lower layer is never changed

if ! layers "a tmpfs below, the mount above" "$REF/lower" "$MNT/upper" "$MNT/work" rw; then
  why=$(cat "$TMP/why")
  # Named, so that it is seen when a kernel or libfuse begins to allow it.
  if ! layers "a tmpfs below, the mount above, userxattr" "$REF/lower" "$MNT/upper" "$MNT/work" userxattr; then
    zt_stop
    skip "works as lower layer; as upper layer the kernel refuses it: ${why##*: }"
  fi
fi
zt_stop
