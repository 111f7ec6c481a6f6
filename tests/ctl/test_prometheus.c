// SPDX-License-Identifier: GPL-2.0-or-later
/* test_prometheus.c - metrics of mounts: names, labels, types, histograms. */
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/stat_fields.h"
#include "tests/lib/zt_check.h"

static char text[1 << 18];

static void print(const struct ctl_metrics_mount *mounts, size_t nr)
{
	FILE *file;

	text[0] = '\0';
	file = fmemopen(text, sizeof(text), "w");

	ck_assert_ptr_nonnull(file);
	ctl_print_metrics(file, mounts, nr);
	ck_assert_int_eq(fclose(file), 0);
}

static struct ctl_metrics_mount sample(const char *path)
{
	return (struct ctl_metrics_mount){
		.path = (char *)(uintptr_t)path, /* only read */
		.up = true,
		.info = { .release = "0.1.0" },
		.stat = { .compress = "lz4", .mem_used_total = 4096, .compress_in = 7 },
	};
}

static void has(const char *line)
{
	ck_assert_msg(strstr(text, line) != NULL, "lacks: %s\n%.1000s", line, text);
}

START_TEST(test_gauges_and_counters_are_told_apart)
{
	const struct ctl_metrics_mount mount = sample("/mnt");

	print(&mount, 1);
	has("# TYPE ztmpfs_mem_used_bytes gauge\nztmpfs_mem_used_bytes{mount=\"/mnt\"} 4096\n");
	has("# TYPE ztmpfs_compress_in_bytes_total counter\n"
	    "ztmpfs_compress_in_bytes_total{mount=\"/mnt\"} 7\n");
	has("ztmpfs_mount_info{mount=\"/mnt\",release=\"0.1.0\",compress=\"lz4\",recompress=\"\"} 1\n");
}
END_TEST

START_TEST(test_labels_with_quotes_and_line_ends_are_escaped)
{
	const char *const path = "/a\"b\\c\nd";
	const struct ctl_metrics_mount mount = sample(path);

	print(&mount, 1);
	has("ztmpfs_up{mount=\"/a\\\"b\\\\c\\nd\"} 1\n");
}
END_TEST

START_TEST(test_histograms_grow_to_infinity)
{
	struct ctl_metrics_mount mount = sample("/mnt");

	mount.stat.accel_batches[0] = 3;
	mount.stat.accel_batches[2] = 4;
	mount.stat.managed_latency[9] = 1;
	mount.stat.lock_wait_ns[0] = 1500000000;
	print(&mount, 1);
	has("# TYPE ztmpfs_accel_batches histogram\n");
	has("ztmpfs_accel_batches_bucket{mount=\"/mnt\",le=\"1\"} 3\n"
	    "ztmpfs_accel_batches_bucket{mount=\"/mnt\",le=\"3\"} 3\n"
	    "ztmpfs_accel_batches_bucket{mount=\"/mnt\",le=\"7\"} 7\n");
	has("ztmpfs_accel_batches_bucket{mount=\"/mnt\",le=\"+Inf\"} 7\n"
	    "ztmpfs_accel_batches_count{mount=\"/mnt\"} 7\n");
	has("ztmpfs_managed_latency_seconds_bucket{mount=\"/mnt\",le=\"1.023e-06\"} 1\n");
	has("ztmpfs_lock_wait_seconds_total{mount=\"/mnt\",lock=\"file\"} 1.500000000\n");
}
END_TEST

START_TEST(test_values_of_a_name_stand_together_and_the_dead_are_down)
{
	struct ctl_metrics_mount mounts[3] = { sample("/a"), sample("/b"), sample("/dead") };

	mounts[2].up = false;
	print(mounts, 3);
	has("ztmpfs_up{mount=\"/a\"} 1\nztmpfs_up{mount=\"/b\"} 1\nztmpfs_up{mount=\"/dead\"} 0\n");
	has("ztmpfs_mem_used_bytes{mount=\"/a\"} 4096\nztmpfs_mem_used_bytes{mount=\"/b\"} 4096\n# ");
	print(mounts, 0);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(test_every_name_comes_once)
{
	const struct ctl_metrics_mount mount = sample("/mnt");
	size_t nr = 0;

	print(&mount, 1);
	for (char *at = strstr(text, "# TYPE "); at; at = strstr(at + 1, "# TYPE ")) {
		char line[128];

		(void)snprintf(line, sizeof(line), "%.*s", (int)(strcspn(at + 7, " ") + 8), at);
		ck_assert_msg(strstr(at + 1, line) == NULL, "twice: %s", line);
		nr++;
	}
	ck_assert_uint_gt(nr, 70);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl prometheus");
	TCase *tc = tcase_create("ctl prometheus");

	tcase_add_test(tc, test_gauges_and_counters_are_told_apart);
	tcase_add_test(tc, test_labels_with_quotes_and_line_ends_are_escaped);
	tcase_add_test(tc, test_histograms_grow_to_infinity);
	tcase_add_test(tc, test_values_of_a_name_stand_together_and_the_dead_are_down);
	tcase_add_test(tc, test_every_name_comes_once);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
