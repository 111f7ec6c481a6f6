// SPDX-License-Identifier: GPL-2.0-or-later
/* test_registry.c - names, and tables that are refused. */
#include <errno.h>

#include "tests/zcomp/fake.h"

START_TEST(test_every_built_in_algorithm_is_found_by_its_name_and_acceptable)
{
	char text[ZCOMP_ERROR_TEXT] = "";
	size_t i;

	for (i = 0; zcomp_ops_at(i); i++) {
		ck_assert_ptr_eq(zcomp_find_ops(zcomp_ops_at(i)->name), zcomp_ops_at(i));
		ck_assert_msg(zcomp_check_ops(zcomp_ops_at(i), text) == 0, "%s", text);
	}
	ck_assert_uint_eq(i, 5);
	ck_assert_ptr_null(zcomp_ops_at(i + 1));
	ck_assert_int_eq(zcomp_check_ops(zcomp_accel_ops(), text), 0);
}
END_TEST

START_TEST(test_other_names_are_not_found)
{
	static const char *const names[] = { "", "lz", "lz44", "LZ4", "accel", "zstd:3", " lz4" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_ptr_null(zcomp_find_ops(names[i]));
}
END_TEST

START_TEST(test_list_names_all_and_is_cut_at_its_end)
{
	char text[64], small[8];

	ck_assert_str_eq(zcomp_ops_list(text, sizeof(text)), "lz4, lz4hc, zstd, null, auto");
	ck_assert_str_eq(zcomp_ops_list(small, sizeof(small)), "lz4, lz");
}
END_TEST

static void is_refused(const struct zcomp_ops *ops, const char *word)
{
	char text[ZCOMP_ERROR_TEXT] = "";

	ck_assert_int_eq(zcomp_check_ops(ops, text), -EINVAL);
	ck_assert_msg(strstr(text, word) != NULL, "'%s' in '%s'", word, text);
}

START_TEST(test_table_of_another_version_or_size_is_refused)
{
	struct zcomp_ops ops = fake_ops();

	ops.abi_version++;
	is_refused(&ops, "version 2");
	ops = fake_ops();
	ops.struct_size -= 8;
	is_refused(&ops, "bytes");
}
END_TEST

START_TEST(test_table_that_lacks_a_needed_member_is_refused)
{
	struct zcomp_ops ops = fake_ops();

	ops.name = NULL;
	is_refused(&ops, "lacks name");
	ops = fake_ops();
	ops.name = "";
	is_refused(&ops, "lacks name");
	ops = fake_ops();
	ops.setup_params = NULL;
	is_refused(&ops, "setup_params");
	ops = fake_ops();
	ops.release_params = NULL;
	is_refused(&ops, "release_params");
	ops = fake_ops();
	ops.create_ctx = NULL;
	is_refused(&ops, "create_ctx");
	ops = fake_ops();
	ops.destroy_ctx = NULL;
	is_refused(&ops, "destroy_ctx");
	ops = fake_ops();
	ops.compress = NULL;
	is_refused(&ops, "compress");
	ops = fake_ops();
	ops.decompress = NULL;
	is_refused(&ops, "decompress");
	ops = fake_ops();
	ops.stop = NULL;
	is_refused(&ops, "stop");
}
END_TEST

START_TEST(test_table_without_managed_operations_is_accepted)
{
	struct zcomp_ops ops = fake_ops();
	char text[ZCOMP_ERROR_TEXT];

	ops.get_stream = NULL;
	ck_assert_int_eq(zcomp_check_ops(&ops, text), 0);
	ops.put_stream = NULL;
	ops.submit = NULL;
	ops.stop = NULL;
	ck_assert_int_eq(zcomp_check_ops(&ops, text), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("registry");
	TCase *tc = tcase_create("registry");

	tcase_add_test(tc, test_every_built_in_algorithm_is_found_by_its_name_and_acceptable);
	tcase_add_test(tc, test_other_names_are_not_found);
	tcase_add_test(tc, test_list_names_all_and_is_cut_at_its_end);
	tcase_add_test(tc, test_table_of_another_version_or_size_is_refused);
	tcase_add_test(tc, test_table_that_lacks_a_needed_member_is_refused);
	tcase_add_test(tc, test_table_without_managed_operations_is_accepted);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
