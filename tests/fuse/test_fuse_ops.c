// SPDX-License-Identifier: GPL-2.0-or-later
/* test_fuse_ops.c - what is agreed on before the first request, and which requests there are. */
#include "tests/fuse/fixture.h"

START_TEST(test_init_asks_for_what_a_cache_may_keep)
{
	const uint32_t flags = wire.init.flags;

	ck_assert(flags & FUSE_WRITEBACK_CACHE);
	ck_assert(flags & FUSE_ASYNC_READ);
	ck_assert(flags & FUSE_ASYNC_DIO);
	ck_assert(flags & FUSE_DO_READDIRPLUS);
	ck_assert(flags & FUSE_READDIRPLUS_AUTO);
	ck_assert(flags & FUSE_CACHE_SYMLINKS);
	ck_assert(flags & FUSE_EXPORT_SUPPORT);
	ck_assert(front.initialised);
}
END_TEST

START_TEST(test_init_leaves_to_the_kernel_what_it_does_better)
{
	const uint32_t flags = wire.init.flags;

	ck_assert(!(flags & FUSE_POSIX_LOCKS));
	ck_assert(!(flags & FUSE_FLOCK_LOCKS));
	ck_assert(!(flags & FUSE_AUTO_INVAL_DATA));
	ck_assert(!(flags & FUSE_HANDLE_KILLPRIV));
	/* OPEN is never sent, so O_TRUNC may not come with it. */
	ck_assert(!(flags & FUSE_ATOMIC_O_TRUNC));
}
END_TEST

START_TEST(test_init_asks_for_acls_and_the_umask_with_them)
{
	ck_assert(wire.init.flags & FUSE_POSIX_ACL);
	ck_assert(wire.init.flags & FUSE_DONT_MASK);
}
END_TEST

START_TEST(test_init_without_acls_leaves_the_umask_to_the_kernel)
{
	ck_assert(!(wire.init.flags & FUSE_POSIX_ACL));
	ck_assert(!(wire.init.flags & FUSE_DONT_MASK));
}
END_TEST

START_TEST(test_init_agrees_on_large_requests_and_many_of_them)
{
	ck_assert_uint_eq(wire.init.max_write, ZTFUSE_IO_MAX);
	ck_assert_uint_ge(wire.init.max_background, 128);
	ck_assert_uint_le(wire.init.congestion_threshold, wire.init.max_background);
	ck_assert_uint_eq(wire.init.time_gran, 1);
}
END_TEST

START_TEST(test_init_without_writeback_where_it_is_not_wanted)
{
	ck_assert(!(wire.init.flags & FUSE_WRITEBACK_CACHE));
	ck_assert(wire.init.flags & FUSE_ASYNC_READ);
}
END_TEST

START_TEST(test_second_init_is_an_error_and_changes_nothing)
{
	const struct fuse_init_in init = { .major = 7, .minor = 31 };
	struct fuse_kstatfs st;

	ck_assert_int_ne(wire_call(&wire, FUSE_INIT, 0, &init, sizeof(init), NULL, 0).error, 0);
	ck_assert_int_eq(wire_statfs(&wire, &st), 0);
}
END_TEST

/* The kernel remembers ENOSYS and asks no more. */
START_TEST(test_requests_that_need_no_answer_are_declined_once_and_for_all)
{
	static const uint32_t opcodes[] = { FUSE_FLUSH,   FUSE_FSYNC,  FUSE_FSYNCDIR, FUSE_ACCESS,
					    FUSE_GETLK,   FUSE_SETLK,  FUSE_SETLKW,   FUSE_OPEN,
					    FUSE_OPENDIR, FUSE_CREATE, FUSE_BMAP,     FUSE_POLL };
	const uint64_t ino = make_file(ROOT, "f");
	static const char zeros[128];

	for (size_t i = 0; i < ARRAY_SIZE(opcodes); i++)
		ck_assert_msg(
			wire_call(&wire, opcodes[i], ino, zeros, sizeof(zeros), NULL, 0).error ==
				-ENOSYS,
			"opcode %u", opcodes[i]);
}
END_TEST

START_TEST(test_unknown_opcode_is_declined)
{
	/* 53, copying with a count of 64 bits, is known to libfuse 3.18. */
	static const uint32_t opcodes[] = {
		0,   7,    19,   51,         FUSE_VERSION < FUSE_MAKE_VERSION(3, 18) ? 53 : 99,
		100, 4095, 5000, 0x7fffffff, 0xffffffff
	};

	for (size_t i = 0; i < ARRAY_SIZE(opcodes); i++)
		ck_assert_msg(wire_call(&wire, opcodes[i], ROOT, NULL, 0, NULL, 0).error == -ENOSYS,
			      "opcode %u", opcodes[i]);
}
END_TEST

static void setup_noacl(void)
{
	fixture_acl = false;
	fixture_start(ZTFUSE_CACHE_WRITEBACK);
	fixture_acl = true;
}

static void setup_through(void)
{
	fixture_start(ZTFUSE_CACHE_THROUGH);
}

int main(void)
{
	Suite *suite = suite_create("fuse_ops");
	TCase *tc = tcase_create("writeback");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_init_asks_for_what_a_cache_may_keep);
	tcase_add_test(tc, test_init_leaves_to_the_kernel_what_it_does_better);
	tcase_add_test(tc, test_init_agrees_on_large_requests_and_many_of_them);
	tcase_add_test(tc, test_second_init_is_an_error_and_changes_nothing);
	tcase_add_test(tc, test_requests_that_need_no_answer_are_declined_once_and_for_all);
	tcase_add_test(tc, test_init_asks_for_acls_and_the_umask_with_them);
	tcase_add_test(tc, test_unknown_opcode_is_declined);
	suite_add_tcase(suite, tc);
	tc = tcase_create("through");
	tcase_add_checked_fixture(tc, setup_through, teardown);
	tcase_add_test(tc, test_init_without_writeback_where_it_is_not_wanted);
	suite_add_tcase(suite, tc);
	tc = tcase_create("noacl");
	tcase_add_checked_fixture(tc, setup_noacl, teardown);
	tcase_add_test(tc, test_init_without_acls_leaves_the_umask_to_the_kernel);
	suite_add_tcase(suite, tc);
	tc = tcase_create("never");
	tcase_add_checked_fixture(tc, setup_never, teardown);
	tcase_add_test(tc, test_init_without_writeback_where_it_is_not_wanted);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
