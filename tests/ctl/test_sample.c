// SPDX-License-Identifier: GPL-2.0-or-later
/* test_sample.c - which pieces of which files are read. */
#include <errno.h>

#include "ctl/sample.h"
#include "tests/ctl/run.h"
#include "util/alloc.h"

/* @len bytes that say where they stand in which file. */
static void numbered_file(const char *name, char letter, size_t len)
{
	FILE *file = fopen(run_path(name), "w");

	ck_assert_ptr_nonnull(file);
	for (size_t at = 0; at < len; at += 8) {
		char word[24];

		snprintf(word, sizeof(word), "%c%07zu", letter, at);
		ck_assert_uint_gt(fwrite(word, 1, len - at < 8 ? len - at : 8, file), 0);
	}
	ck_assert_int_eq(fclose(file), 0);
}

static struct samples must_read(uint64_t limit, size_t piece, bool skip_same)
{
	char *paths[] = { run_dir, NULL };
	struct sample_params params = {
		.paths = paths, .piece = piece, .limit = limit, .skip_same = skip_same
	};
	char text[SAMPLE_ERROR_TEXT] = "";
	struct samples samples;

	ck_assert_msg(samples_read(&params, text, &samples) == 0, "%s", text);
	return samples;
}

START_TEST(test_everything_is_read_in_order_of_names_when_it_fits)
{
	struct samples s;

	ck_assert_int_eq(mkdir(run_path("b"), 0700), 0);
	numbered_file("b/two", 'b', 5000);
	numbered_file("a", 'a', 8192);
	numbered_file("c", 'c', 100);
	fclose(fopen(run_path("empty"), "w"));
	ck_assert_int_eq(symlink("a", run_path("link")), 0);
	s = must_read(1 << 20, 4096, false);
	ck_assert_uint_eq(s.nr_files, 3);
	ck_assert_uint_eq(s.found, 8192 + 5000 + 100);
	ck_assert_uint_eq(s.nr, 5);
	ck_assert_uint_eq(s.size, s.found);
	ck_assert_uint_eq(s.sizes[1], 4096);
	ck_assert_uint_eq(s.sizes[3], 904);
	ck_assert_uint_eq(s.sizes[4], 100);
	ck_assert_mem_eq(s.data, "a0000000a0000008", 16);
	ck_assert_mem_eq(s.data + 8192, "b0000000", 8);
	ck_assert_mem_eq(s.data + 8192 + 4096, "b0004096", 8);
	ck_assert_mem_eq(s.data + 8192 + 5000, "c0000000", 8);
	ck_assert_uint_eq(s.nr_unread, 0);
	samples_free(&s);
}
END_TEST

START_TEST(test_less_is_spread_evenly_over_all_files)
{
	unsigned of_a = 0;
	struct samples s;

	numbered_file("a", 'a', 100 * 4096);
	numbered_file("b", 'b', 300 * 4096);
	s = must_read(40 * 4096, 4096, false);
	ck_assert_uint_eq(s.nr, 40);
	for (size_t i = 0; i < s.nr; i++) {
		const char *piece = s.data + i * 4096;

		of_a += piece[0] == 'a';
		/* Every tenth, so never two neighbours. */
		if (i > 0 && piece[0] == piece[-4096])
			ck_assert_int_eq(atoi(piece + 1) - atoi(piece - 4096 + 1), 10 * 4096);
	}
	ck_assert_uint_eq(of_a, 10);
	samples_free(&s);
	/* At least one, however little is allowed. */
	s = must_read(1, 4096, false);
	ck_assert_uint_eq(s.nr, 1);
	samples_free(&s);
}
END_TEST

/* Most files are shorter than a piece: then so many pieces are far fewer bytes. */
START_TEST(test_limit_is_in_bytes_however_short_files_are)
{
	uint64_t of_long = 0;
	struct samples s;

	for (unsigned i = 0; i < 400; i++) {
		char name[16];

		snprintf(name, sizeof(name), "s%03u", i);
		numbered_file(name, 's', 500 + i * 16 / 8 * 8);
	}
	numbered_file("t", 't', 40 * 16384);
	s = must_read(400000, 16384, false);
	ck_assert_uint_le(s.size, 400000 + 16384);
	ck_assert_uint_ge(s.size, 400000 - 2 * 16384);
	/* And as much of the long file as of the short ones. */
	for (size_t i = 0, at = 0; i < s.nr; at += s.sizes[i++])
		of_long += s.data[at] == 't' ? s.sizes[i] : 0;
	ck_assert_uint_ge(of_long * s.found / (40 * 16384), s.size / 10 * 9);
	ck_assert_uint_le(of_long * s.found / (40 * 16384), s.size / 10 * 11);
	samples_free(&s);
}
END_TEST

START_TEST(test_pieces_of_one_value_are_left_out_when_asked)
{
	FILE *file = fopen(run_path("zero"), "w");
	struct samples s;

	ck_assert_int_eq(ftruncate(fileno(file), 8 * 4096), 0);
	fclose(file);
	numbered_file("a", 'a', 4096);
	s = must_read(1 << 20, 4096, true);
	ck_assert_uint_eq(s.nr, 1);
	samples_free(&s);
	s = must_read(1 << 20, 4096, false);
	ck_assert_uint_eq(s.nr, 9);
	samples_free(&s);
	ck_assert(sample_is_same("abcdefghabcdefgh", 16));
	ck_assert(sample_is_same("abcdefgh", 8));
	ck_assert(!sample_is_same("abcdefghabcdefgi", 16));
	ck_assert(!sample_is_same("aaaaaaaaaaa", 11));
}
END_TEST

START_TEST(test_what_cannot_be_read_is_an_error_if_named_and_counted_if_found)
{
	char *missing[] = { run_dir, (char *)"/no/such/place", NULL };
	char *empty[] = { run_dir, NULL };
	struct sample_params params = { .paths = missing, .piece = 4096, .limit = 1 << 20 };
	char text[SAMPLE_ERROR_TEXT] = "";
	struct samples s = { 0 };

	ck_assert_int_eq(samples_read(&params, text, &s), -ENOENT);
	ck_assert_str_eq(text, "/no/such/place: No such file or directory");
	params.paths = empty;
	ck_assert_int_eq(samples_read(&params, text, &s), -ENODATA);
	ck_assert_ptr_nonnull(strstr(text, "nothing to read"));
	ck_assert_ptr_null(s.data);
	numbered_file("a", 'a', 9000);
	if (geteuid() != 0) {
		numbered_file("b", 'b', 9000);
		ck_assert_int_eq(chmod(run_path("b"), 0), 0);
		s = must_read(1 << 20, 4096, false);
		ck_assert_uint_eq(s.nr, 3);
		ck_assert_uint_eq(s.nr_unread, 1);
		samples_free(&s);
	}
}
END_TEST

START_TEST(test_no_memory_is_an_error_and_leaves_nothing)
{
	char *paths[] = { run_dir, NULL };
	struct sample_params params = { .paths = paths, .piece = 4096, .limit = 1 << 20 };
	char text[SAMPLE_ERROR_TEXT] = "";
	struct samples s;
	int error, nr = 0;

	numbered_file("a", 'a', 9000);
	do {
		zt_fault_set(++nr);
		error = samples_read(&params, text, &s);
		zt_fault_set(0);
		ck_assert(error == 0 || error == -ENOMEM);
	} while (error);
	ck_assert_int_eq(nr, 5); /* list, name, sizes, data */
	samples_free(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl sample");
	TCase *tc = tcase_create("ctl sample");

	tcase_add_checked_fixture(tc, run_setup, run_teardown);
	tcase_add_test(tc, test_everything_is_read_in_order_of_names_when_it_fits);
	tcase_add_test(tc, test_less_is_spread_evenly_over_all_files);
	tcase_add_test(tc, test_limit_is_in_bytes_however_short_files_are);
	tcase_add_test(tc, test_pieces_of_one_value_are_left_out_when_asked);
	tcase_add_test(tc, test_what_cannot_be_read_is_an_error_if_named_and_counted_if_found);
	tcase_add_test(tc, test_no_memory_is_an_error_and_leaves_nothing);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
