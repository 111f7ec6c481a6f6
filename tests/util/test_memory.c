// SPDX-License-Identifier: GPL-2.0-or-later
/* test_memory.c - what limits the memory of this process: cgroups of both versions, as /proc tells them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/zt_check.h"
#include "util/memory.h"
#include "util/mountinfo.h"
#include "util/sizes.h"

#define V1   "4:memory:%s\n2:cpuacct:/\n0::/\n"
#define V2   "0::%s\n"
#define MNT1 "30 29 0:26 %s /cg/memory rw,relatime - cgroup cgroup rw,memory\n"
#define MNT2 "31 29 0:27 %s /cg/unified rw shared:4 master:2 - cgroup2 cgroup2 rw,nsdelegate\n"
#define NONE "40 29 8:1 / /cg/memory rw - cgroup cgroup rw,cpuset,memory_pressure\n"

#define TEMPLATE "/tmp/zt-memory.XXXXXX"
static char root[] = TEMPLATE;

/* Below root, with its folders. */
static void put(const char *path, const char *text)
{
	char full[512];
	FILE *file;

	(void)snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		(void)mkdir(full, 0700);
		*slash = '/';
	}
	file = fopen(full, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void put_proc(const char *cgroup, const char *group, const char *mounts, const char *mounted)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), cgroup, group);
	put("/proc/self/cgroup", text);
	(void)snprintf(text, sizeof(text), mounts, mounted);
	put("/proc/self/mountinfo", text);
}

static void setup(void)
{
	/* Without fork one process runs all tests. */
	memcpy(root, TEMPLATE, sizeof(root));
	ck_assert_ptr_nonnull(mkdtemp(root));
}

static void teardown(void)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	ck_assert_int_eq(system(command), 0);
}

static void limit_is(uint64_t limit)
{
	ck_assert_uint_eq(memory_cgroup_limit(root), limit);
}

START_TEST(test_nothing_that_can_be_seen_limits_nothing)
{
	limit_is(UINT64_MAX);
	put("/proc/self/cgroup", "");
	limit_is(UINT64_MAX);
	put_proc(V1, "/a", NONE, "/");
	put("/cg/memory/a/memory.limit_in_bytes", "4096\n");
	limit_is(UINT64_MAX);
}
END_TEST

START_TEST(test_version_1_own_group_and_those_above_count)
{
	put_proc(V1, "/a/b", MNT1, "/");
	limit_is(UINT64_MAX);
	put("/cg/memory/a/b/memory.limit_in_bytes", "104857600\n");
	limit_is(100 * MIB);
	put("/cg/memory/a/memory.limit_in_bytes", "52428800\n");
	limit_is(50 * MIB);
	put("/cg/memory/memory.limit_in_bytes", "41943040\n");
	limit_is(40 * MIB);
	/* Another group's, and what is above the mount. */
	put("/cg/memory/a/c/memory.limit_in_bytes", "4096\n");
	put("/cg/memory.limit_in_bytes", "4096\n");
	limit_is(40 * MIB);
}
END_TEST

START_TEST(test_version_2_the_smaller_of_max_and_high_counts)
{
	put_proc(V2, "/user.slice/x.scope", MNT2, "/");
	put("/cg/unified/user.slice/x.scope/memory.max", "max\n");
	put("/cg/unified/user.slice/x.scope/memory.high", "max\n");
	limit_is(UINT64_MAX);
	put("/cg/unified/user.slice/x.scope/memory.high", "209715200\n");
	limit_is(200 * MIB);
	put("/cg/unified/user.slice/memory.max", "104857600\n");
	limit_is(100 * MIB);
}
END_TEST

START_TEST(test_container_sees_its_own_group_as_the_mount)
{
	/* Without a cgroup namespace the names are the host's. */
	put_proc(V1, "/docker/1234", MNT1, "/docker/1234");
	put("/cg/memory/memory.limit_in_bytes", "33554432\n");
	limit_is(32 * MIB);
	put_proc(V1, "/docker/1234/below", MNT1, "/docker/1234");
	put("/cg/memory/below/memory.limit_in_bytes", "16777216\n");
	limit_is(16 * MIB);
	/* A name that only begins alike is another group: the mount is what can be seen. */
	put_proc(V1, "/docker/12345/below", MNT1, "/docker/1234");
	limit_is(32 * MIB);
	/* With a namespace, entered from a group beside it. */
	put_proc(V2, "/../other", MNT2, "/");
	put("/cg/unified/memory.max", "8388608\n");
	limit_is(8 * MIB);
}
END_TEST

START_TEST(test_nonsense_limits_nothing)
{
	put_proc(V2, "/", MNT2, "/");
	put("/cg/unified/memory.max", "many\n");
	limit_is(UINT64_MAX);
	put("/cg/unified/memory.max", "");
	limit_is(UINT64_MAX);
	put("/cg/unified/memory.max", "99999999999999999999999\n");
	limit_is(UINT64_MAX);
	put("/proc/self/mountinfo", "31 29 0:27\n\n31 29 x / /cg/unified - cgroup2 a rw\n");
	limit_is(UINT64_MAX);
}
END_TEST

START_TEST(test_what_is_allowed_is_at_most_ram)
{
	const uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	ck_assert_uint_ge(memory_allowed(), 1);
	ck_assert_uint_le(memory_allowed(), ram);
}
END_TEST

START_TEST(test_mountinfo_puts_blanks_back)
{
	char line[] =
		"36 35 98:7 /a\\040b /mnt\\134x\\011y rw,noatime shared:1 - fuse.z \\040 rw,a\n";
	char bare[] = "36 35 98:7 / /mnt rw - tmpfs none rw";
	struct mountinfo mount;

	ck_assert(mountinfo_parse(line, &mount));
	ck_assert_uint_eq(mount.major, 98);
	ck_assert_uint_eq(mount.minor, 7);
	ck_assert_str_eq(mount.root, "/a b");
	ck_assert_str_eq(mount.path, "/mnt\\x\ty");
	ck_assert_str_eq(mount.type, "fuse.z");
	ck_assert_str_eq(mount.super_options, "rw,a");
	ck_assert(mountinfo_parse(bare, &mount));
	ck_assert_str_eq(mount.type, "tmpfs");
	ck_assert_str_eq(mount.super_options, "rw");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memory");
	TCase *tc = tcase_create("memory");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_nothing_that_can_be_seen_limits_nothing);
	tcase_add_test(tc, test_version_1_own_group_and_those_above_count);
	tcase_add_test(tc, test_version_2_the_smaller_of_max_and_high_counts);
	tcase_add_test(tc, test_container_sees_its_own_group_as_the_mount);
	tcase_add_test(tc, test_nonsense_limits_nothing);
	tcase_add_test(tc, test_what_is_allowed_is_at_most_ram);
	tcase_add_test(tc, test_mountinfo_puts_blanks_back);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
