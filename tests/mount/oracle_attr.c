// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * oracle_attr.c - operations on extended attributes, ACLs and the umask. See oracle.h.
 */
#include "tests/mount/oracle.h"

#include <endian.h>
#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_VALUE 65536u
#define NR_NAMES  12u

static char values[NR_SIDES][MAX_VALUE + 1];

/* The calls for attributes know no folder to start from. */
static void full_path(const struct oracle *o, int side, const char *path, char *out, size_t room)
{
	snprintf(out, room, "/proc/self/fd/%d/%s", o->root[side], path);
}

static void attr_path(struct oracle *o, char path[NR_SIDES][PATH_SIZE + 32])
{
	char below[PATH_SIZE];

	oracle_path(o, below, oracle_below(o, 4) == 0);
	for (int side = 0; side < NR_SIDES; side++)
		full_path(o, side, below, path[side], PATH_SIZE + 32);
}

static const char *attr_name(struct oracle *o, char name[32])
{
	static const char *const spaces[] = {
		"user", "user", "user", "trusted", "security", "foo"
	};

	snprintf(name, 32, "%s.%c", spaces[oracle_below(o, 6)],
		 'a' + (int)oracle_below(o, NR_NAMES));
	return name;
}

static size_t random_size(struct oracle *o)
{
	static const size_t limits[] = { 1, 20, 20, 200, 200, 3000, 5000, MAX_VALUE };

	return oracle_below(o, limits[oracle_below(o, 8)] + 1);
}

static void op_set(struct oracle *o)
{
	char path[NR_SIDES][PATH_SIZE + 32], name[32];
	const char *from = o->noise + oracle_below(o, MAX_IO);
	size_t size = random_size(o);
	int flags = (int)oracle_below(o, 5);
	struct result r[NR_SIDES];

	attr_path(o, path);
	attr_name(o, name);
	flags = flags == 1 ? XATTR_CREATE : flags == 2 ? XATTR_REPLACE : 0;
	oracle_say(o, "setxattr %s %s, %zu bytes, flags %d", path[SIDE_A], name, size, flags);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(lsetxattr(path[side], name, from, size, flags));
	oracle_expect(o, "setxattr", r);
}

static void compare_value(struct oracle *o, const char *const path[NR_SIDES], const char *name,
			  size_t room)
{
	struct result r[NR_SIDES];

	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(lgetxattr(path[side], name, values[side], room));
	if (oracle_expect(o, name, r) && room > 0 &&
	    memcmp(values[SIDE_A], values[SIDE_B], (size_t)r[SIDE_A].value) != 0)
		oracle_die(o, "%s: another value than the reference", name);
}

static void op_get(struct oracle *o)
{
	char path[NR_SIDES][PATH_SIZE + 32], name[32];
	const char *const paths[] = { path[SIDE_A], path[SIDE_B] };
	size_t room = oracle_below(o, 3) ? MAX_VALUE : random_size(o);

	attr_path(o, path);
	attr_name(o, name);
	oracle_say(o, "getxattr %s %s into %zu", path[SIDE_A], name, room);
	compare_value(o, paths, name, room);
}

static void op_remove(struct oracle *o)
{
	char path[NR_SIDES][PATH_SIZE + 32], name[32];
	struct result r[NR_SIDES];

	attr_path(o, path);
	attr_name(o, name);
	oracle_say(o, "removexattr %s %s", path[SIDE_A], name);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(lremovexattr(path[side], name));
	oracle_expect(o, "removexattr", r);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of a list, sorted; they stay in the list. */
static size_t sort_names(char *list, size_t len, const char *names[], size_t room)
{
	size_t nr = 0;

	for (size_t at = 0; at < len && nr < room; at += strlen(list + at) + 1)
		names[nr++] = list + at;
	qsort(names, nr, sizeof(names[0]), by_text);
	return nr;
}

void compare_attrs(struct oracle *o, const char *const path[NR_SIDES])
{
	static char lists[NR_SIDES][MAX_VALUE];
	const char *names[NR_SIDES][128];
	struct result r[NR_SIDES];
	size_t nr[NR_SIDES];

	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(llistxattr(path[side], lists[side], MAX_VALUE));
	if (!oracle_expect(o, "listxattr", r))
		return;
	for (int side = 0; side < NR_SIDES; side++)
		nr[side] = sort_names(lists[side], (size_t)r[side].value, names[side], 128);
	for (size_t i = 0; i < nr[SIDE_A] && i < nr[SIDE_B]; i++) {
		if (strcmp(names[SIDE_A][i], names[SIDE_B][i]) != 0)
			oracle_die(o, "%s: lists attribute %s, the reference %s", path[SIDE_A],
				   names[SIDE_A][i], names[SIDE_B][i]);
		compare_value(o, path, names[SIDE_A][i], MAX_VALUE);
	}
	if (nr[SIDE_A] != nr[SIDE_B])
		oracle_die(o, "%s: %zu attributes, the reference %zu", path[SIDE_A], nr[SIDE_A],
			   nr[SIDE_B]);
}

static void op_list(struct oracle *o)
{
	char path[NR_SIDES][PATH_SIZE + 32];
	const char *const paths[] = { path[SIDE_A], path[SIDE_B] };

	attr_path(o, path);
	oracle_say(o, "listxattr %s", path[SIDE_A]);
	compare_attrs(o, paths);
}

static size_t add_entry(char *buf, size_t len, unsigned tag, unsigned perm, uint32_t id)
{
	struct posix_acl_xattr_entry e = { htole16((uint16_t)tag), htole16((uint16_t)perm),
					   htole32(id) };

	memcpy(buf + len, &e, sizeof(e));
	return len + sizeof(e);
}

/* Mostly a good one; the owner keeps access, so that the tree stays open to a run as user. */
static size_t random_acl(struct oracle *o, char *buf)
{
	struct posix_acl_xattr_header header = { htole32(POSIX_ACL_XATTR_VERSION) };
	unsigned users = (unsigned)oracle_below(o, 3), groups = (unsigned)oracle_below(o, 3);
	size_t len = sizeof(header);

	memcpy(buf, &header, sizeof(header));
	len = add_entry(buf, len, ACL_USER_OBJ, 7, ACL_UNDEFINED_ID);
	for (unsigned i = 0; i < users; i++)
		len = add_entry(buf, len, ACL_USER, (unsigned)oracle_below(o, 8), 1000 + i);
	len = add_entry(buf, len, ACL_GROUP_OBJ, (unsigned)oracle_below(o, 8), ACL_UNDEFINED_ID);
	for (unsigned i = 0; i < groups; i++)
		len = add_entry(buf, len, ACL_GROUP, (unsigned)oracle_below(o, 8), 2000 + i);
	if (users + groups > 0 ? oracle_below(o, 20) : oracle_below(o, 2))
		len = add_entry(buf, len, ACL_MASK, (unsigned)oracle_below(o, 8), ACL_UNDEFINED_ID);
	return add_entry(buf, len, ACL_OTHER, (unsigned)oracle_below(o, 8), ACL_UNDEFINED_ID);
}

static void op_acl(struct oracle *o)
{
	char path[NR_SIDES][PATH_SIZE + 32], acl[256];
	bool remove = oracle_below(o, 4) == 0, dir = oracle_below(o, 2);
	const char *name = dir ? "system.posix_acl_default" : "system.posix_acl_access";
	size_t size = random_acl(o, acl);
	struct result r[NR_SIDES];
	struct stat st[NR_SIDES];

	attr_path(o, path);
	oracle_say(o, "%s %s of %s", remove ? "remove" : "set", name, path[SIDE_A]);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(remove ? lremovexattr(path[side], name)
					       : lsetxattr(path[side], name, acl, size, 0));
	oracle_expect(o, name, r);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(lstat(path[side], &st[side]));
	if (oracle_expect(o, "lstat", r))
		compare_stat(o, path[SIDE_A], st);
}

static void op_umask(struct oracle *o)
{
	static const mode_t masks[] = { 022, 0, 027, 077 };
	mode_t mask = masks[oracle_below(o, 4)];

	oracle_say(o, "umask %o", mask);
	umask(mask);
}

void oracle_attr_op(struct oracle *o)
{
	uint64_t kind = oracle_below(o, 100);

	if (kind < 65 && !o->has_user_attr)
		op_acl(o);
	else if (kind < 35)
		op_set(o);
	else if (kind < 50)
		op_get(o);
	else if (kind < 65)
		op_remove(o);
	else if (kind < 75)
		op_list(o);
	else if (kind < 97)
		op_acl(o);
	else
		op_umask(o);
}
