// SPDX-License-Identifier: GPL-2.0-or-later
/* test_top.c - the lines of ztmpfsctl top (top_text.c): their width, what they leave out, and rates. */
#include <errno.h>
#include <locale.h>
#include <string.h>
#include <wchar.h>

#include "ctl/top.h"
#include "tests/lib/zt_check.h"
#include "util/clock.h"
#include "util/sizes.h"

static char drawn[65536];
static size_t nr_lines;
static enum top_kind last_kind;

static size_t columns_of(const char *text)
{
	wchar_t wide[1024];
	const size_t len = mbstowcs(wide, text, ARRAY_SIZE(wide));

	ck_assert_msg(len != (size_t)-1, "no text: %s", text);
	return (size_t)wcswidth(wide, len);
}

static void keep_line(struct top_sink *sink, enum top_kind kind, const char *text)
{
	ck_assert_msg(columns_of(text) <= sink->width, "%zu columns: %s", sink->width, text);
	strcat(drawn, text);
	strcat(drawn, "\n");
	last_kind = kind;
	nr_lines++;
}

static void draw(const struct top *top, size_t width, size_t height, bool keys)
{
	struct top_sink sink = { .line = keep_line, .width = width, .height = height };

	drawn[0] = '\0';
	nr_lines = 0;
	top_draw(&sink, top, keys);
}

/* Two seconds: 400 requests, 4 MiB read, 8 MiB written, 6 fallbacks. */
static struct top_mount sample(char *path)
{
	struct top_mount mount = { .path = path,
				   .before_ns = ZT_NS_PER_S,
				   .now_ns = 3 * ZT_NS_PER_S };

	strcpy(mount.now.compress, "lz4");
	strcpy(mount.now.recompress, "zstd:8@30");
	strcpy(mount.now.degraded, "only one CPU");
	mount.now.requests = 1400;
	mount.before.requests = 1000;
	mount.now.bytes_read = 4 * MIB;
	mount.now.bytes_written = 8 * MIB;
	mount.now.fallback_busy = 4;
	mount.now.fallback_dead = 2;
	mount.now.orig_data_size = 64 * MIB;
	mount.now.mem_used_total = 32 * MIB;
	mount.now.mem_counted = 30 * MIB;
	mount.now.mem_limit = 100 * MIB;
	mount.now.streams = 4;
	return mount;
}

START_TEST(test_rates_are_of_the_time_between_two_looks)
{
	char path[] = "/mnt";
	struct top_mount mount = sample(path);
	const struct top top = { .mounts = &mount, .nr = 1, .interval_ns = ZT_NS_PER_S };

	draw(&top, 80, 0, false);
	ck_assert_uint_eq(nr_lines, 2);
	ck_assert_ptr_nonnull(strstr(drawn, "  200     2M      4M"));
	ck_assert_ptr_nonnull(strstr(drawn, " 2.00 "));
	ck_assert_ptr_nonnull(strstr(drawn, " 3.0 "));
	ck_assert_int_eq(last_kind, TOP_PLAIN);
	mount.before_ns = 0;
	draw(&top, 80, 0, false);
	ck_assert_ptr_nonnull(strstr(drawn, "  -      -       -"));
	/* Mounted anew: counters that went down are no rates. */
	mount.before_ns = 1;
	mount.before.requests = 5000;
	draw(&top, 80, 0, false);
	ck_assert_ptr_nonnull(strstr(drawn, "  - "));
}
END_TEST

START_TEST(test_no_line_is_wider_or_one_more_than_there_is_space_for)
{
	char path[] = "/a/place/whose/name/is/much/longer/than/any/column/should/have/to/be";
	struct top_mount mounts[] = { sample(path), sample(path), sample(path) };
	struct top top = { .mounts = mounts, .nr = 3, .interval_ns = ZT_NS_PER_S };

	mounts[1].error = -EPROTO;
	mounts[2].now = (struct ztmpfs_stat){ .requests = UINT64_MAX,
					      .bytes_read = UINT64_MAX,
					      .orig_data_size = UINT64_MAX,
					      .mem_used_total = 1,
					      .mem_limit = 1,
					      .mem_counted = UINT64_MAX / 2,
					      .streams = 100000 };
	for (size_t width = 20; width <= 200; width++)
		for (unsigned keys = 0; keys < 2; keys++)
			draw(&top, width, 0, keys);
	mounts[0] = mounts[2];
	strcpy(mounts[0].now.recompress, "an_algorithm_with_a_long_name_9");
	mounts[0].now.swap_reserve = mounts[0].now.swap_ready = UINT64_MAX;
	mounts[0].now.spill_size = mounts[0].now.spill_bytes = mounts[0].now.spill_used = UINT64_MAX;
	for (size_t width = 20; width <= 120; width++)
		draw(&top, width, 0, true);
	for (size_t height = 1; height < 20; height++) {
		draw(&top, 80, height, true);
		ck_assert_uint_le(nr_lines, height);
	}
}
END_TEST

START_TEST(test_what_is_out_is_shown_where_something_can_be)
{
	char path[] = "/mnt";
	struct top_mount mount = sample(path);
	const struct top top = { .mounts = &mount, .nr = 1, .interval_ns = ZT_NS_PER_S };

	draw(&top, 100, 0, true);
	ck_assert_ptr_null(strstr(drawn, "spill"));
	mount.now.spill_size = 3 * GIB;
	mount.now.spill_bytes = 7 * MIB;
	mount.now.spill_used = 9 * MIB;
	mount.now.spill_written = mount.before.spill_written + 120;
	draw(&top, 100, 0, true);
	ck_assert_msg(strstr(drawn, "spill      7M out, 9M of 3G used, 60/s written, 0/s read"),
		      "%s", drawn);
}
END_TEST

START_TEST(test_columns_go_in_their_order_of_use)
{
	char path[] = "/mnt";
	struct top_mount mount = sample(path);
	const struct top top = { .mounts = &mount, .nr = 1, .interval_ns = ZT_NS_PER_S };

	draw(&top, 80, 0, false);
	ck_assert_ptr_nonnull(strstr(drawn, "DATA"));
	ck_assert_ptr_nonnull(strstr(drawn, "FALLB"));
	draw(&top, 40, 0, false);
	ck_assert_ptr_null(strstr(drawn, "FALLB"));
	ck_assert_ptr_nonnull(strstr(drawn, "RATIO"));
	draw(&top, 20, 0, false);
	ck_assert_ptr_nonnull(strstr(drawn, "REQ/S"));
	ck_assert_ptr_null(strstr(drawn, "RATIO"));
}
END_TEST

START_TEST(test_names_cannot_move_the_cursor_and_wide_ones_are_cut)
{
	char path[] = "/\033[2J\n\xff/\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97";
	struct top_mount mount = sample(path);
	const struct top top = { .mounts = &mount, .nr = 1, .interval_ns = ZT_NS_PER_S };
	const bool wide = setlocale(LC_CTYPE, "C.UTF-8") != NULL;

	for (size_t width = 20; width <= 100; width++) {
		draw(&top, width, 0, true);
		ck_assert_ptr_null(strchr(drawn, '\033'));
		ck_assert_ptr_nonnull(strstr(drawn, "/?[2J?" "?/"));
	}
	if (wide)
		ck_assert_ptr_nonnull(strstr(drawn, "\xe6\xbc\xa2\xe5\xad\x97"));
	(void)setlocale(LC_CTYPE, "C");
	draw(&top, 80, 0, true);
	ck_assert_ptr_nonnull(strstr(drawn, "/?[2J?" "?/?" "?" "?" "?" "?" "?"));
}
END_TEST

START_TEST(test_what_is_nearly_full_or_silent_is_marked)
{
	char path[] = "/mnt";
	struct top_mount mount = sample(path);
	const struct top top = { .mounts = &mount, .nr = 1, .interval_ns = ZT_NS_PER_S };

	mount.now.mem_counted = 91 * MIB;
	draw(&top, 80, 0, false);
	ck_assert_int_eq(last_kind, TOP_NEAR);
	mount.now.size_limit = 64 * MIB;
	draw(&top, 80, 0, false);
	ck_assert_int_eq(last_kind, TOP_FULL);
	mount.error = -ENOTCONN;
	draw(&top, 80, 0, true);
	ck_assert_int_eq(last_kind, TOP_FULL);
	ck_assert_ptr_nonnull(strstr(drawn, "dead"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl top");
	TCase *tc = tcase_create("ctl top");

	tcase_add_test(tc, test_rates_are_of_the_time_between_two_looks);
	tcase_add_test(tc, test_no_line_is_wider_or_one_more_than_there_is_space_for);
	tcase_add_test(tc, test_what_is_out_is_shown_where_something_can_be);
	tcase_add_test(tc, test_columns_go_in_their_order_of_use);
	tcase_add_test(tc, test_names_cannot_move_the_cursor_and_wide_ones_are_cut);
	tcase_add_test(tc, test_what_is_nearly_full_or_silent_is_marked);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
