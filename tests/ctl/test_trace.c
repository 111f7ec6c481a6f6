// SPDX-License-Identifier: GPL-2.0-or-later
/* test_trace.c - files of traces: written, taken apart wherever they are cut, replayed, refused when damaged. */
#include <errno.h>
#include <fcntl.h>

#include "ctl/trace_file.h"
#include "ctl/zbench_replay.h"
#include "tests/ctl/run.h"
#include "zcomp/zcomp.h"

#define NR_RECORDS 400u

/* Records and contents as a daemon gives them. Return: bytes. */
static size_t make_records(char *out, bool contents, uint64_t seed)
{
	size_t at = 0;

	for (unsigned i = 0; i < NR_RECORDS; i++) {
		const enum trace_kind kind = (enum trace_kind)(zt_random(&seed) % TRACE_NR_KINDS);
		const uint32_t len = (uint32_t)(1 + zt_random(&seed) % 9000);
		struct trace_record record = trace_note(
			kind, len,
			kind == TRACE_SAME      ? 0
			: kind == TRACE_SMALLER ? len / 2 + 1
						: len);

		record.at_ns = i * 250000; /* 0.1 s in all */
		record.flags = i % 2 ? TRACE_MANAGED : 0;
		memcpy(out + at, &record, sizeof(record));
		at += sizeof(record);
		if (!contents || kind == TRACE_SAME)
			continue;
		memset(out + at, 0, trace_content(&record));
		zbench_make_data(i + 1, record.ratio, out + at, len);
		at += trace_content(&record);
	}
	return at;
}

static void make_trace(const char *path, bool contents)
{
	static char bytes[NR_RECORDS * 9100];
	const size_t len = make_records(bytes, contents, 42);
	struct trace_scan scan = { .contents = contents };
	struct trace_header header = { .contents = contents, .seconds_ns = ZT_NS_PER_S / 10, .lost = 3 };
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, len, sizeof(header)), len);
	trace_scan(&scan, bytes, len);
	ck_assert_int_eq(trace_file_end(fd, &scan, &header), 0);
	close(fd);
}

START_TEST(test_records_are_found_wherever_the_bytes_are_cut)
{
	static char bytes[NR_RECORDS * 9100];

	for (unsigned contents = 0; contents < 2; contents++) {
		const size_t len = make_records(bytes, contents == 1, 7);
		struct trace_scan whole = { .contents = contents == 1 };
		uint64_t seed = zt_seed();

		trace_scan(&whole, bytes, len);
		ck_assert(!whole.wrong);
		ck_assert_uint_eq(whole.whole, len);
		for (unsigned round = 0; round < 20; round++) {
			struct trace_scan scan = { .contents = contents == 1 };

			for (size_t at = 0; at < len;) {
				size_t part = 1 + zt_random(&seed) % (round < 10 ? 40 : 20000);

				part = part < len - at ? part : len - at;
				trace_scan(&scan, bytes + at, part);
				at += part;
			}
			ck_assert(!scan.wrong);
			ck_assert_uint_eq(scan.whole, len);
			ck_assert_int_eq(memcmp(&scan.counts, &whole.counts, sizeof(scan.counts)), 0);
		}
		/* What is cut off counts no record. */
		whole = (struct trace_scan){ .contents = contents == 1 };
		trace_scan(&whole, bytes, len - 1);
		ck_assert_uint_lt(whole.whole, len);
	}
}
END_TEST

/* Of every byte that is changed, and every end that is missing. */
START_TEST(test_damage_is_told_in_one_sentence)
{
	char text[TRACE_FILE_TEXT], path[256];
	struct trace_file file;
	uint64_t seed = zt_seed();
	int fd;

	snprintf(path, sizeof(path), "%s", run_path("trace"));
	make_trace(path, false);
	ck_assert_int_eq(trace_file_open(path, text, &file), 0);
	ck_assert_uint_eq(file.header.counts.nr[0] + file.header.counts.nr[1] + file.header.counts.nr[2] +
				  file.header.counts.nr[3],
			  NR_RECORDS);
	trace_file_close(&file);
	for (unsigned i = 0; i < 600; i++) {
		const off_t at = i < sizeof(struct trace_header)
					 ? (off_t)i
					 : (off_t)(zt_random(&seed) % (NR_RECORDS * 16));
		char byte, other;

		fd = open(path, O_RDWR | O_CLOEXEC);
		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		other = (char)(byte ^ (char)(1 + zt_random(&seed) % 255));
		ck_assert_int_eq(pwrite(fd, &other, 1, at), 1);
		ck_assert_msg(trace_file_open(path, text, &file) != 0, "byte %d", (int)at);
		ck_assert_ptr_null(strchr(text, '\n'));
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
		close(fd);
	}
	ck_assert_int_eq(truncate(path, sizeof(struct trace_header) + 100), 0);
	ck_assert_int_eq(trace_file_open(path, text, &file), -EBADMSG);
	ck_assert_int_eq(truncate(path, 10), 0);
	ck_assert_int_eq(trace_file_open(path, text, &file), -EINVAL);
	ck_assert_int_eq(trace_file_open(run_dir, text, &file), -EINVAL);
	ck_assert_int_eq(trace_file_open(run_path("none"), text, &file), -ENOENT);
	ck_assert_int_ne(RUN("zbench", "--replay", path), 0);
	ck_assert_ptr_nonnull(strstr(run_err, "not a trace"));
	ck_assert_ptr_eq(strchr(run_err, '\n'), run_err + strlen(run_err) - 1);
}
END_TEST

/* What is made instead of contents shrinks as much as those did. */
START_TEST(test_made_contents_have_the_ratio_that_was_recorded)
{
	static const char *const names[] = { "lz4", "zstd" };
	static char data[65536];

	for (unsigned n = 0; n < ARRAY_SIZE(names); n++) {
		const struct zcomp_config config = {
			.name = names[n], .level = ZCOMP_LEVEL_DEFAULT, .unit = 65536, .nr_streams = 1
		};
		char text[ZCOMP_ERROR_TEXT];
		struct zcomp_strm *strm;
		struct zcomp *comp;

		ck_assert_int_eq(zcomp_create(&config, text, &comp), 0);
		strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
		for (unsigned ratio = 1; ratio <= TRACE_RATIOS; ratio++) {
			size_t len = sizeof(data);
			double is;

			zbench_make_data(ratio, ratio, data, sizeof(data));
			if (zcomp_compress(comp, strm, data, sizeof(data), sizeof(data), &len) != 0)
				len = sizeof(data);
			is = (double)len * TRACE_RATIOS / sizeof(data);
			ck_assert_msg(is > ratio - 3.0 && is < ratio + 3.0, "%s: %.1f instead of %u",
				      names[n], is, ratio);
		}
		zcomp_stream_put(comp, strm);
		zcomp_destroy(comp);
	}
}
END_TEST

static double csv_field(unsigned column)
{
	const char *at = strchr(run_out, '\n') + 1;

	while (column-- > 0)
		at = strchr(at, ',') + 1;
	return atof(at);
}

START_TEST(test_replay_does_each_request_when_it_was_due)
{
	char path[256], seconds[16];

	for (unsigned contents = 0; contents < 2; contents++) {
		static const char *const modes[] = { "sync", "wait", "managed" };
		struct trace_file file;
		char text[TRACE_FILE_TEXT];

		snprintf(path, sizeof(path), "%s", run_path(contents ? "full" : "plain"));
		make_trace(path, contents == 1);
		ck_assert_int_eq(trace_file_open(path, text, &file), 0);
		for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
			for (unsigned fast = 0; fast < 2; fast++) {
				ck_assert_msg(RUN("zbench", "--replay", path, "--codec", "lz4", "--csv",
						  "--mode", modes[m], "--depth", "8", "--batch", "3",
						  "--callers", "2", "--speed", fast ? "max" : "1") == 0,
					      "%s", run_err);
				/* units, calls, seconds: each request once; not before its time */
				ck_assert_uint_eq((uint64_t)csv_field(8),
						  file.header.counts.nr[TRACE_RAW] +
							  file.header.counts.nr[TRACE_SMALLER]);
				ck_assert_uint_eq((uint64_t)csv_field(13), (uint64_t)csv_field(8));
				if (!fast)
					ck_assert(csv_field(15) > 0.09);
			}
		}
		trace_file_close(&file);
	}
	snprintf(seconds, sizeof(seconds), "0.05");
	ck_assert_int_eq(RUN("zbench", "--replay", path, "--codec", "null", "--seconds", seconds), 0);
	ck_assert_ptr_nonnull(strstr(run_out, " of 400 requests, "));
	ck_assert_ptr_nonnull(strstr(run_out, "3 requests are missing in the trace"));
	ck_assert_int_eq(RUN("zbench", "--replay", path, "--codec", "null", "--speed", "max", "--json"), 0);
}
END_TEST

START_TEST(test_wrong_use_is_one_line)
{
	ck_assert_int_eq(RUN("trace", run_dir), CTL_EXIT_USAGE);
	ck_assert_int_eq(RUN("trace", "--seconds", "never", run_dir, "x"), CTL_EXIT_USAGE);
	ck_assert_int_eq(RUN("zbench", "--speed", "max", run_dir), CTL_EXIT_USAGE);
	ck_assert_int_eq(RUN("zbench", "--replay", "x", "--cluster", "4k"), CTL_EXIT_USAGE);
	ck_assert_int_eq(RUN("zbench", "--replay", "x", "--speed", "0"), CTL_EXIT_USAGE);
	ck_assert_int_eq(RUN("zbench", "--replay", "x", run_dir), CTL_EXIT_USAGE);
	ck_assert_int_eq(RUN("trace", "/proc", run_path("y")), CTL_EXIT_FAILED);
	ck_assert_ptr_nonnull(strstr(run_err, "not a ztmpfs"));
	ck_assert_int_ne(access(run_path("y"), F_OK), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl trace");
	TCase *tc = tcase_create("ctl trace");

	tcase_add_checked_fixture(tc, run_setup, run_teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_records_are_found_wherever_the_bytes_are_cut);
	tcase_add_test(tc, test_damage_is_told_in_one_sentence);
	tcase_add_test(tc, test_made_contents_have_the_ratio_that_was_recorded);
	tcase_add_test(tc, test_replay_does_each_request_when_it_was_due);
	tcase_add_test(tc, test_wrong_use_is_one_line);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
