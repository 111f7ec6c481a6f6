// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attach_time.c - how long an attach takes, after a kill and after a clean detach: a table by number of
 * files. Not a test: make tests/fs/attach_time && tests/fs/attach_time [FILES [BYTES-OF-EACH]]
 */
#include "tests/fs/attach_fixture.h"
#include "util/clock.h"

static void fill(struct super *sb, unsigned files, size_t bytes)
{
	ino_nr dir = 0;
	char name[32];

	for (unsigned i = 0; i < files; i++) {
		ino_nr ino;

		if (i % 1000 == 0) {
			snprintf(name, sizeof(name), "dir-%u", i / 1000);
			dir = make_dir(sb, FS_ROOT_INO, name);
		}
		snprintf(name, sizeof(name), "a-file-%u", i);
		ino = make_file(sb, dir, name);
		write_filled(sb, ino, i, 0, bytes);
		fs_forget(sb, ino, 1);
	}
}

static void tell(const struct super *sb, const char *how)
{
	struct super_attach_report report = report_of(sb);

	printf("%-6s %8.1f ms, %" PRIu64 " inodes, %" PRIu64 " objects, %" PRIu64 " repairs\n", how,
	       (double)report.ns / 1e6, report.inodes, report.data_objects,
	       super_attach_repairs(&report));
	fflush(stdout);
}

static unsigned files = 20000;
static size_t bytes = 900;

START_TEST(measure)
{
	struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	struct arena_stat stat;

	fill(sb, files, bytes);
	arena_get_stat(sb->arena, &stat);
	printf("%u files of %zu bytes, %" PRIu64 " MiB\n", files, bytes, stat.resident >> 20);
	for (unsigned i = 0; i < 3; i++) {
		sb = next_life_after_kill(sb, &params);
		tell(sb, "kill");
	}
	for (unsigned i = 0; i < 3; i++) {
		uint64_t begin = zt_now_ns();

		sb = next_life_clean(sb, &params);
		tell(sb, "clean");
		printf("       %8.1f ms with the detach\n", (double)(zt_now_ns() - begin) / 1e6);
	}
	super_leave(sb, false, NULL);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("attach-time");
	TCase *tcase = tcase_create("time");

	if (argc > 1)
		files = (unsigned)atoi(argv[1]);
	if (argc > 2)
		bytes = (size_t)atoi(argv[2]);
	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, measure);
	suite_add_tcase(suite, tcase);
	return zt_check_main(suite);
}
