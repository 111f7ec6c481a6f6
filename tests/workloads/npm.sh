#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# npm: a few packages with all that they need, installed on the mount, run there, and compared with the same versions on a
# tmpfs. Needs the registry that npm is set up with.
# shellcheck source=tests/lib/workload.sh
. "${srcdir:-.}/tests/lib/workload.sh"
need_fuse
need_program npm npm
need_program node nodejs
make_ref
npm()
{
  timeout 300 npm --no-audit --no-fund --no-update-notifier --fetch-retries=1 "$@"
}
npm ping >"$TMP/ping" 2>&1 || skip "no registry answers"

zt_start ''
mkdir "$MNT/project" "$REF/project"
echo '{ "name": "test", "version": "1.0.0", "private": true }' >"$MNT/project/package.json"
(cd "$MNT/project" && npm install --cache "$MNT/cache" express lodash semver) >"$TMP/log" 2>&1 ||
  fail "npm install: $(tail -n 20 "$TMP/log")"
cp "$MNT/project/package.json" "$MNT/project/package-lock.json" "$REF/project"
(cd "$REF/project" && npm ci --cache "$REF/cache") >"$TMP/log" 2>&1 || fail "npm ci on the reference: $(tail -n 20 "$TMP/log")"
fresh
diff -r --no-dereference -x .package-lock.json "$REF/project/node_modules" "$MNT/project/node_modules" || fail "packages differ"
(cd "$MNT/project" && node -e 'const s = require("semver"), e = require("express"), l = require("lodash");
  if (!s.satisfies("1.2.3", "^1.0.0") || typeof e() !== "function" || l.chunk([1, 2, 3], 2).length !== 2) process.exit(1)') ||
  fail "the packages do not work"
# Again from its own cache, over what is there, as every CI does.
(cd "$MNT/project" && npm ci --prefer-offline --cache "$MNT/cache") >"$TMP/log" 2>&1 || fail "npm ci: $(tail -n 20 "$TMP/log")"
(cd "$MNT" && npm cache verify --cache "$MNT/cache") >"$TMP/log" 2>&1 || fail "npm cache verify: $(tail -n 20 "$TMP/log")"
diff -r --no-dereference -x .package-lock.json "$REF/project/node_modules" "$MNT/project/node_modules" ||
  fail "packages differ after npm ci"
echo "compared: $(find "$MNT/project/node_modules" -type f | wc -l) files of $(find "$MNT/project/node_modules" -name package.json | wc -l) packages"
zt_stop
