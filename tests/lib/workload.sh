# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# workload.sh - what the workloads share besides functions.sh, which it brings. Sourced at their top.
#
#   need_program PROGRAM PACKAGE   skip when a program is missing
#   user_xattrs, acls              does the folder $1 take them?
#   attributes FOLDER              a line for each name below it: type, mode, owner, size, link count, time, link target
#   same_trees A B                 names, attributes and contents alike, or the test fails

ZT_TIME_LIMIT=${ZT_TIME_LIMIT:-1800}
# shellcheck source=tests/lib/functions.sh
. "${srcdir:-.}/tests/lib/functions.sh"

need_program()
{
  command -v "$1" >/dev/null || skip "$1 is not installed (package $2)"
}

user_xattrs()
{
  command -v setfattr >/dev/null && : >"$1/.probe" && setfattr -n user.probe -v 1 "$1/.probe" 2>/dev/null
  xattrs_status=$?
  rm -f "$1/.probe"
  return $xattrs_status
}

acls()
{
  command -v setfacl >/dev/null && : >"$1/.probe" && setfacl -m u:1:r "$1/.probe" 2>/dev/null
  acls_status=$?
  rm -f "$1/.probe"
  return $acls_status
}

# Folders have no size and no time here: both depend on how the filesystem keeps names, and when. FOLDER_LINKS= (empty) leaves
# their link counts out as well.
FOLDER_LINKS=' %n'
attributes()
{
  (
    cd "$1" || exit 1
    find . -type d -printf "%p %y %m %U %G$FOLDER_LINKS\\n" -o -type l -printf '%p %y %U %G %l\n' \
      -o -printf '%p %y %m %U %G %s %n %T@\n' | sort
  )
}

same_trees()
{
  attributes "$1" >"$TMP/attributes.1"
  attributes "$2" >"$TMP/attributes.2"
  [ -s "$TMP/attributes.1" ] || fail "nothing in $1"
  diff "$TMP/attributes.1" "$TMP/attributes.2" || fail "$1 and $2 have different attributes"
  same_contents "$1" "$2"
  echo "compared: $(wc -l <"$TMP/attributes.1") names with attributes and contents"
}

# same_contents A B - regular files byte by byte; what differs is named
same_contents()
{
  (cd "$1" && find . -type f -print0 | sort -z | xargs -0 -r sha256sum) >"$TMP/sums"
  (cd "$2" && sha256sum --quiet -c "$TMP/sums") || fail "contents of $1 and $2 differ"
}

# fresh - what is read next comes out of the daemon, where that is allowed
fresh()
{
  drop_caches || echo "note: caches not dropped, not root"
}
