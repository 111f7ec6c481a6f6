// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_atimes.c - a mount is found by where it is, and its flags say whether reading moves times of access.
 * Tests atimes.c, and bdi.c as far as it needs no mount of ours.
 */
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "daemon/atimes.h"
#include "fs/super_i.h"
#include "tests/fs/fixture.h"

START_TEST(test_a_mount_is_found_by_its_folder)
{
	struct bdi bdi = { .major = 4711 };
	struct stat st;

	ck_assert_int_eq(stat("/proc", &st), 0);
	ck_assert(bdi_find("/proc", &bdi));
	ck_assert_uint_eq(bdi.major, major(st.st_dev));
	ck_assert_uint_eq(bdi.minor, minor(st.st_dev));
	ck_assert(!bdi_find("/proc/self", &bdi));
	ck_assert(!bdi_find("", &bdi));
}
END_TEST

static unsigned frozen(const struct super *sb)
{
	return sb->frozen_atimes;
}

START_TEST(test_times_follow_the_flags_of_the_mount)
{
	struct super *sb = fixture_init();
	struct options options = { .mount_flags = { 0 } };
	struct atimes atimes;
	struct bdi bdi;

	memset(options.mount_flags, -1, sizeof(options.mount_flags));
	ck_assert(bdi_find("/proc", &bdi));
	atimes_open(&atimes, sb, &options, &bdi);
	ck_assert_uint_eq(frozen(sb), 0);
	/* As if it had been noatime until now. */
	super_set_frozen_atimes(sb, SUPER_ATIME_ALL | SUPER_ATIME_DIR);
	atimes_look(&atimes);
	ck_assert_uint_eq(frozen(sb), 0);
	/* One that is not seen says nothing. */
	atimes.mount.minor += 100000;
	super_set_frozen_atimes(sb, SUPER_ATIME_DIR);
	atimes_look(&atimes);
	ck_assert_uint_eq(frozen(sb), SUPER_ATIME_DIR);
	atimes_close(&atimes);

	options.mount_flags[MOUNT_DIRATIME] = 0;
	atimes_open(&atimes, sb, &options, NULL);
	ck_assert_uint_eq(frozen(sb), SUPER_ATIME_DIR);
	options.mount_flags[MOUNT_ATIME] = 0;
	atimes_open(&atimes, sb, &options, NULL);
	ck_assert_uint_eq(frozen(sb), SUPER_ATIME_ALL | SUPER_ATIME_DIR);
	fixture_exit(sb);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("atimes");
	TCase *tc = tcase_create("atimes");

	tcase_add_test(tc, test_a_mount_is_found_by_its_folder);
	tcase_add_test(tc, test_times_follow_the_flags_of_the_mount);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
