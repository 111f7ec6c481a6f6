// SPDX-License-Identifier: GPL-2.0-or-later
/* test_options.c - the command line: every option right, wrong and at its edges. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/dict.h"
#include "daemon/option_table.h"
#include "tests/lib/zt_check.h"
#include "util/alloc.h"
#include "util/sizes.h"
#include "zcomp/dict.h"
#include "zcomp/module.h"
#include "zcomp/registry.h"

static const struct options_env env = {
	.ram = 1000 * MIB, .nr_cpus = 6, .uid = 1000, .gid = 100, .root = false
};
static const struct options_env root_env = { .ram = GIB, .nr_cpus = 1, .root = true };

static int parse(const struct options_env *e, struct options *options, struct options_error *error,
		 const char *argv[])
{
	int argc = 0;

	while (argv[argc])
		argc++;
	/* getopt changes the order, no text. */
	return options_parse(argc, (char **)argv, e, options, error);
}

#define PARSE(e, options, error, ...)                                                              \
	parse(e, options, error, (const char *[]){ __VA_ARGS__, NULL })

/* Options of one -o list that must be right. */
static void good(const char *list, struct options *o)
{
	struct options_error error;
	int res = PARSE(&env, o, &error, "ztmpfs", "-o", list, "/mnt");

	ck_assert_msg(res == 0, "%s: %s", list, res ? error.text : "");
}

/* Others could fill the machine by what size= does not count. */
START_TEST(test_memory_is_limited_where_others_are_let_in)
{
	static const struct {
		const char *list;
		uint64_t mem_limit;
	} cases[] = {
		{ "", 0 },
		{ "allow_other", 500 * MIB },
		{ "allow_other,size=1m", 500 * MIB },
		{ "allow_other,mem_limit=0", 0 },
		{ "mem_limit=0,allow_other", 0 },
		{ "allow_other,mem_limit=64m", 64 * MIB },
		{ "allow_other,no_allow_other", 0 },
	};
	struct options o;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		good(cases[i].list, &o);
		ck_assert_msg(o.super.mem_limit == cases[i].mem_limit, "%s", cases[i].list);
		options_free(&o);
	}
}
END_TEST

START_TEST(test_defaults_are_tmpfs_like)
{
	struct options o;

	good("", &o);
	ck_assert_uint_eq(o.super.size, 500 * MIB);
	ck_assert_uint_eq(o.super.nr_inodes, 500 * MIB / 4096);
	ck_assert_uint_eq(o.super.mem_limit, 0);
	ck_assert_uint_eq(o.super.mode, 01777);
	ck_assert(o.super.acl);
	ck_assert_uint_eq(o.super.uid, 1000);
	ck_assert_uint_eq(o.super.gid, 100);
	ck_assert_uint_eq(o.super.cluster_order, 4);
	ck_assert_str_eq(o.super.content.comp.name, "auto");
	ck_assert_int_eq(o.super.content.comp.level, ZCOMP_LEVEL_DEFAULT);
	ck_assert_str_eq(o.super.content.recompress, "zstd");
	ck_assert_int_eq(o.super.content.recompress_level, 8);
	ck_assert_uint_eq(o.super.content.recompress_idle, 30);
	ck_assert_int_eq(o.super.content.accel, BLKMAP_ACCEL_AUTO);
	ck_assert(o.super.content.background);
	ck_assert_int_eq(o.cache, ZTFUSE_CACHE_WRITEBACK);
	ck_assert_uint_eq(o.max_threads, 12);
	ck_assert(o.cpu_latency);
	ck_assert(!o.clone_fd && !o.allow_other && !o.foreground && !o.debug);
	ck_assert_str_eq(o.fsname, "ztmpfs");
	ck_assert_str_eq(o.subtype, "ztmpfs");
	ck_assert_str_eq(o.mountpoint, "/mnt");
	ck_assert_ptr_null(o.source);
	options_free(&o);
}
END_TEST

START_TEST(test_sizes_take_suffixes_and_percent)
{
	static const struct {
		const char *list;
		uint64_t size, nr_inodes, mem_limit;
	} cases[] = {
		{ "size=0,nr_inodes=0,mem_limit=0", 0, 0, 0 },
		{ "size=1,nr_inodes=1,mem_limit=1", 1, 1, 1 },
		{ "size=4096,nr_inodes=10k,mem_limit=64m", 4096, 10240, 64 * MIB },
		{ "size=2G,nr_inodes=3M,mem_limit=50%", 2 * GIB, 3 * MIB, 500 * MIB },
		{ "size=150%,nr_inodes=1g,mem_limit=100%", 1500 * MIB, GIB, 1000 * MIB },
		{ "size=1g,nr_blocks=3,nr_inodes=0,mem_limit=0", 3 * 4096, 0, 0 },
		{ "nr_blocks=2k,nr_inodes=0,mem_limit=0", 2048 * 4096, 0, 0 },
		{ "nr_blocks=7,size=0,nr_inodes=0,mem_limit=0", 0, 0, 0 },
		{ "nr_blocks=4503599627370495,nr_inodes=0,mem_limit=0", UINT64_MAX - 4095, 0, 0 },
		{ "size=8e,nr_inodes=18446744073709551615,mem_limit=1t", UINT64_C(1) << 63,
		  UINT64_MAX, 1024 * GIB },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options o;

		good(cases[i].list, &o);
		ck_assert_msg(o.super.size == cases[i].size, "%s", cases[i].list);
		ck_assert_msg(o.super.nr_inodes == cases[i].nr_inodes, "%s", cases[i].list);
		ck_assert_msg(o.super.mem_limit == cases[i].mem_limit, "%s", cases[i].list);
		options_free(&o);
	}
}
END_TEST

START_TEST(test_root_directory_is_as_asked)
{
	struct options o;

	good("mode=0,uid=0,gid=4294967294", &o);
	ck_assert_uint_eq(o.super.mode, 0);
	ck_assert_uint_eq(o.super.uid, 0);
	ck_assert_uint_eq(o.super.gid, 4294967294u);
	options_free(&o);
	good("mode=07777,uid=root,gid=root", &o);
	ck_assert_uint_eq(o.super.mode, 07777);
	ck_assert_uint_eq(o.super.uid, 0);
	ck_assert_uint_eq(o.super.gid, 0);
	options_free(&o);
}
END_TEST

START_TEST(test_compression_and_level_are_taken)
{
	static const struct {
		const char *list, *name;
		int32_t level;
	} cases[] = {
		{ "compress=lz4", "lz4", ZCOMP_LEVEL_DEFAULT },
		{ "compress=lz4hc", "lz4hc", ZCOMP_LEVEL_DEFAULT },
		{ "compress=zstd", "zstd", ZCOMP_LEVEL_DEFAULT },
		{ "compress=null", "null", ZCOMP_LEVEL_DEFAULT },
		{ "compress=zstd:3", "zstd", 3 },
		{ "compress=zstd:3,compress=lz4", "lz4", ZCOMP_LEVEL_DEFAULT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options o;

		good(cases[i].list, &o);
		ck_assert_str_eq(o.super.content.comp.name, cases[i].name);
		ck_assert_msg(o.super.content.comp.level == cases[i].level, "%s", cases[i].list);
		options_free(&o);
	}
}
END_TEST

START_TEST(test_dictionaries_follow_from_who_is_let_in_unless_it_is_said)
{
	static const struct {
		const char *list;
		bool dicts;
	} cases[] = {
		{ "", true },
		{ "allow_other", false },
		{ "allow_other,dicts=on", true },
		{ "dicts=on,allow_other", true },
		{ "dicts=off", false },
		{ "dicts=on,dicts=off", false },
		{ "allow_other,no_allow_other", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options o;

		good(cases[i].list, &o);
		ck_assert_msg(o.super.content.dicts == cases[i].dicts, "%s", cases[i].list);
		options_free(&o);
	}
}
END_TEST

START_TEST(test_packs_are_off_unless_it_is_said)
{
	static const struct {
		const char *list;
		bool packs;
	} cases[] = {
		{ "", false },
		{ "allow_other", false },
		{ "allow_other,packs=on", true },
		{ "packs=on,allow_other", true },
		{ "packs=off", false },
		{ "packs=on,packs=off", false },
		{ "packs=on", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options o;

		good(cases[i].list, &o);
		ck_assert_msg(o.super.packs == cases[i].packs, "%s", cases[i].list);
		options_free(&o);
	}
}
END_TEST

START_TEST(test_deduplication_follows_from_who_is_let_in_unless_it_is_said)
{
	static const struct {
		const char *list;
		bool dedup;
	} cases[] = {
		{ "", true },
		{ "allow_other", false },
		{ "allow_other,dedup=on", true },
		{ "dedup=on,allow_other", true },
		{ "dedup=off", false },
		{ "dedup=on,dedup=off", false },
		{ "allow_other,no_allow_other", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options o;

		good(cases[i].list, &o);
		ck_assert_msg(o.super.content.dedup == cases[i].dedup, "%s", cases[i].list);
		options_free(&o);
	}
}
END_TEST

START_TEST(test_recompression_is_taken)
{
	static const struct {
		const char *list, *name;
		int32_t level;
		uint32_t idle;
	} cases[] = {
		{ "recompress=off", NULL, 0, 0 },
		{ "recompress=zstd", "zstd", ZCOMP_LEVEL_DEFAULT, 30 },
		{ "recompress=zstd:3", "zstd", 3, 30 },
		{ "recompress=zstd:-5@1", "zstd", -5, 1 },
		{ "recompress=lz4hc@86400", "lz4hc", ZCOMP_LEVEL_DEFAULT, 86400 },
		{ "recompress=off,recompress=zstd:9@7", "zstd", 9, 7 },
		{ "recompress=zstd:9@7,recompress=off", NULL, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options o;

		good(cases[i].list, &o);
		if (cases[i].name) {
			ck_assert_str_eq(o.super.content.recompress, cases[i].name);
			ck_assert_int_eq(o.super.content.recompress_level, cases[i].level);
			ck_assert_uint_eq(o.super.content.recompress_idle, cases[i].idle);
		} else {
			ck_assert_ptr_null(o.super.content.recompress);
		}
		options_free(&o);
	}
}
END_TEST

/* Whether it is a module at all is seen when it is loaded: any file will do here. */
START_TEST(test_module_is_taken_by_path_and_by_name_if_there_is_a_file)
{
	struct options o;
	struct options_error error;
	char dir[] = "options-test.XXXXXX", path[256], list[300], cwd[128];
	const char *const module_dir = zcomp_module_dir;
	FILE *file;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_ptr_nonnull(getcwd(cwd, sizeof(cwd)));
	snprintf(path, sizeof(path), "%s/%s/ztmpfs-mine.so", cwd, dir);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fclose(file);
	snprintf(list, sizeof(list), "compress=%s", path);
	good(list, &o);
	ck_assert_str_eq(o.super.content.comp.name, path);
	ck_assert_int_eq(o.super.content.comp.level, ZCOMP_LEVEL_DEFAULT);
	options_free(&o);
	snprintf(list, sizeof(list), "compress=%s:-3", path);
	good(list, &o);
	ck_assert_str_eq(o.super.content.comp.name, path);
	ck_assert_int_eq(o.super.content.comp.level, -3);
	options_free(&o);

	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-o", "compress=mine", "/m"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, zcomp_module_dir));
	zcomp_module_dir = dir;
	good("compress=mine:7", &o);
	ck_assert_str_eq(o.super.content.comp.name, "mine");
	ck_assert_int_eq(o.super.content.comp.level, 7);
	options_free(&o);
	unlink(path);
	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-o", list, "/m"), -EINVAL);
	zcomp_module_dir = module_dir;
	rmdir(dir);
}
END_TEST

START_TEST(test_the_default_algorithm_is_lz4_where_the_other_does_not_fit)
{
	static const struct {
		const char *list, *name;
	} cases[] = {
		{ "", "auto" },
		{ "dict=/a/b", "lz4" },
		{ "compress=auto,dict=/a/b", "auto" },
		{ "compress=zstd,dict=/a/b", "zstd" },
		{ "swap,mem_limit=200m", "lz4" },
		{ "swap,mem_limit=200m,compress=auto", "auto" },
		{ "compress=lz4", "lz4" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options o;

		good(cases[i].list, &o);
		ck_assert_str_eq(o.super.content.comp.name, cases[i].name);
		ck_assert_int_eq(o.super.content.comp.level, ZCOMP_LEVEL_DEFAULT);
		options_free(&o);
	}
}
END_TEST

START_TEST(test_auto_alone_has_a_dictionary_by_default)
{
	static const struct {
		const char *list;
		bool has;
	} cases[] = {
		{ "", true },
		{ "compress=auto:2", true },
		{ "dict=off", false },
		{ "dict=/a/b,dict=off", false },
		{ "dict=off,dict=/a/b", false },
		{ "compress=auto,dict=/a/b", false },
		{ "compress=zstd", false },
		{ "compress=off", false },
		{ "swap,mem_limit=200m", false },
		{ "swap,mem_limit=200m,compress=auto", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options o;
		size_t size;

		good(cases[i].list, &o);
		ck_assert_msg(o.super.dict_by_default == cases[i].has, "%s", cases[i].list);
		ck_assert_ptr_eq(o.super.content.comp.dict,
				 cases[i].has ? zcomp_dict_words(&size) : NULL);
		if (cases[i].has)
			ck_assert_uint_eq(o.super.content.comp.dict_size, size);
		options_free(&o);
	}
}
END_TEST

START_TEST(test_dictionary_is_a_file_of_limited_size)
{
	struct options o;
	struct options_error error;
	char path[] = "options-test.XXXXXX";
	void *data = NULL;
	size_t size = 0;
	int fd = mkstemp(path);

	good("dict=/a/b", &o);
	ck_assert_str_eq(o.dict_path, "/a/b");
	options_free(&o);
	good("", &o);
	ck_assert_ptr_null(o.dict_path);
	options_free(&o);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(dict_load(path, &error, &data, &size), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "has 0 bytes: allowed are 1 to 16777216"));
	ck_assert_int_eq(write(fd, "dictionary", 10), 10);
	ck_assert_int_eq(dict_load(path, &error, &data, &size), 0);
	ck_assert_uint_eq(size, 10);
	ck_assert_mem_eq(data, "dictionary", 10);
	zt_free(data);
	zt_fault_set(1);
	ck_assert_int_eq(dict_load(path, &error, &data, &size), -ENOMEM);
	zt_fault_set(0);
	ck_assert_int_eq(ftruncate(fd, DICT_FILE_MAX), 0);
	ck_assert_int_eq(dict_load(path, &error, &data, &size), 0);
	zt_free(data);
	ck_assert_int_eq(ftruncate(fd, DICT_FILE_MAX + 1), 0);
	ck_assert_int_eq(dict_load(path, &error, &data, &size), -EINVAL);
	close(fd);
	unlink(path);
	ck_assert_int_eq(dict_load(path, &error, &data, &size), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error.text, "option dict=options-test."));
	ck_assert_int_eq(dict_load("/dev/null", &error, &data, &size), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "is no regular file"));
}
END_TEST

START_TEST(test_levels_at_both_edges_are_taken_and_beyond_refused)
{
	const struct zcomp_ops *ops;

	for (size_t i = 0; (ops = zcomp_ops_at(i)) != NULL; i++) {
		struct options o;
		struct options_error error;
		char list[64];

		if (ops->level_min == ops->level_max)
			continue;
		snprintf(list, sizeof(list), "compress=%s:%d", ops->name, (int)ops->level_min);
		good(list, &o);
		ck_assert_int_eq(o.super.content.comp.level, ops->level_min);
		options_free(&o);
		snprintf(list, sizeof(list), "compress=%s:%d", ops->name, (int)ops->level_max);
		good(list, &o);
		ck_assert_int_eq(o.super.content.comp.level, ops->level_max);
		options_free(&o);
		snprintf(list, sizeof(list), "compress=%s:%d", ops->name, (int)ops->level_max + 1);
		ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-o", list, "/mnt"), -EINVAL);
		ck_assert_ptr_nonnull(strstr(error.text, list));
	}
}
END_TEST

START_TEST(test_every_cluster_size_is_a_power_of_two_of_pages)
{
	static const char *const lists[] = { "cluster=4k",  "cluster=8192", "cluster=16k",
					     "cluster=32K", "cluster=64k",  "cluster=128k" };

	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++) {
		struct options o;

		good(lists[i], &o);
		ck_assert_uint_eq(o.super.cluster_order, i);
		options_free(&o);
	}
}
END_TEST

/* As tmpfs: the page that an odd number of pages leaves over is nobody's. */
START_TEST(test_half_of_an_odd_number_of_pages)
{
	static const struct options_env odd = { .ram = 101 * ZT_PAGE_SIZE, .nr_cpus = 1 };
	struct options_error error;
	struct options o;

	ck_assert_int_eq(PARSE(&odd, &o, &error, "ztmpfs", "/mnt"), 0);
	ck_assert_uint_eq(o.super.size, 50 * ZT_PAGE_SIZE);
	ck_assert_uint_eq(o.super.nr_inodes, 50);
	options_free(&o);
}
END_TEST

START_TEST(test_device_by_name_gives_all_that_was_not_said)
{
	const struct zcomp_accel_params hisi = zcomp_device_find("hisi")->params;
	const struct zcomp_accel_params qpace = zcomp_device_find("qpace")->params;
	const char *const module_dir = zcomp_module_dir;
	struct options_error error;
	struct options o;

	good("accel=hisi", &o);
	ck_assert_int_eq(o.super.content.accel, BLKMAP_ACCEL_ON);
	ck_assert(memcmp(&o.super.content.comp.accel_params, &hisi, sizeof(hisi)) == 0);
	ck_assert_str_eq(o.compress_name, "lz4");
	ck_assert_uint_eq(o.super.cluster_order, 4);
	options_free(&o);
	good("compress=zstd:3,accel=qpace:depth=7:work=9", &o);
	ck_assert_uint_eq(o.super.content.comp.accel_params.depth, 7);
	ck_assert_uint_eq(o.super.content.comp.accel_params.work_ns, 9);
	ck_assert_uint_eq(o.super.content.comp.accel_params.submit_ns, qpace.submit_ns);
	ck_assert_str_eq(o.compress_name, "zstd");
	ck_assert_int_eq(o.super.content.comp.level, 3);
	ck_assert_uint_eq(o.super.cluster_order, 0);
	options_free(&o);
	good("accel=iaa,cluster=16k,compress=lz4", &o);
	ck_assert_uint_eq(o.super.cluster_order, 2);
	ck_assert_str_eq(o.compress_name, "lz4");
	options_free(&o);
	/* Its algorithm is a module's. */
	zcomp_module_dir = "no-such-folder";
	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-o", "accel=qat", "/mnt"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "deflate, and there is no module"));
	zcomp_module_dir = module_dir;
	/* Buffers of as many requests would all be locked. */
	good("swap,accel=hisi,mem_limit=200m", &o);
	ck_assert_uint_lt(o.super.content.comp.accel_params.depth, 64);
	options_free(&o);
}
END_TEST

START_TEST(test_accelerator_takes_when_and_parameters)
{
	static const struct {
		const char *list;
		enum blkmap_accel accel;
		struct zcomp_accel_params params;
	} cases[] = {
		{ "accel=off", BLKMAP_ACCEL_OFF, { 0 } },
		{ "accel=auto", BLKMAP_ACCEL_AUTO, { 0 } },
		{ "accel=on", BLKMAP_ACCEL_ON, { 0 } },
		{ "accel=on:engines=1", BLKMAP_ACCEL_ON, { .engines = 1 } },
		{ "accel=on:depth=4096", BLKMAP_ACCEL_ON, { .depth = 4096 } },
		{ "accel=on:depth=8:engines=64", BLKMAP_ACCEL_ON, { .engines = 64, .depth = 8 } },
		{ "accel=auto:engines=2:batch=16",
		  BLKMAP_ACCEL_AUTO,
		  { .engines = 2, .batch = 16 } },
		{ "accel=on:latency=100:deadline=101:submit=500",
		  BLKMAP_ACCEL_ON,
		  { .latency_us = 100, .deadline_us = 101, .submit_ns = 500 } },
		{ "accel=on:fail=1000000:stall=2:reset=3:kill=4",
		  BLKMAP_ACCEL_ON,
		  { .fail_ppm = 1000000, .stall_ppm = 2, .reset_ppm = 3, .kill_ppm = 4 } },
		{ "accel=on:engines=4:fail=1,accel=on", BLKMAP_ACCEL_ON, { 0 } },
		{ "accel=on:work=8000:unit=4096",
		  BLKMAP_ACCEL_ON,
		  { .work_ns = 8000, .unit = 4096 } },
		{ "accel=iaa,accel=on", BLKMAP_ACCEL_ON, { 0 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options o;

		good(cases[i].list, &o);
		ck_assert_msg(o.super.content.accel == cases[i].accel, "%s", cases[i].list);
		ck_assert_msg(memcmp(&o.super.content.comp.accel_params, &cases[i].params,
				     sizeof(cases[i].params)) == 0,
			      "%s", cases[i].list);
		options_free(&o);
	}
}
END_TEST

/* The numbers of @set, as a list. */
static const char *cpus_text(const cpu_set_t *set)
{
	static char text[256];
	size_t at = 0;

	text[0] = '\0';
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, set))
			at += (size_t)snprintf(text + at, sizeof(text) - at, " %u", cpu);
	return text;
}

START_TEST(test_cpus_are_numbers_and_ranges)
{
	static const struct {
		const char *list, *cpus;
	} cases[] = {
		{ "cpus=0", " 0" },
		{ "cpus=3-5", " 3 4 5" },
		{ "cpus=7-7:0:2-3", " 0 2 3 7" },
		{ "cpus=1023", " 1023" },
		{ "cpus=1,cpus=2", " 2" },
	};
	struct options o;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		good(cases[i].list, &o);
		ck_assert(o.cpus_said);
		ck_assert_str_eq(cpus_text(&o.cpus), cases[i].cpus);
		options_free(&o);
	}
	good("", &o);
	ck_assert(!o.cpus_said);
	options_free(&o);
}
END_TEST

START_TEST(test_cpus_that_may_not_be_used_are_left_out)
{
	struct options_env here = env;
	struct options_error error;
	struct options o;

	CPU_SET(2, &here.cpus);
	CPU_SET(3, &here.cpus);
	ck_assert_int_eq(PARSE(&here, &o, &error, "ztmpfs", "-o", "cpus=0-2", "/mnt"), 0);
	ck_assert_str_eq(cpus_text(&o.cpus), " 2");
	options_free(&o);
	ck_assert_int_eq(PARSE(&here, &o, &error, "ztmpfs", "-o", "cpus=0:1:4-9", "/mnt"),
			 -EINVAL);
	ck_assert_str_eq(error.text, "option cpus: none of these CPUs may be used here");
}
END_TEST

START_TEST(test_cache_and_threads_are_taken)
{
	struct options o;

	good("cache=through,max_threads=1", &o);
	ck_assert_int_eq(o.cache, ZTFUSE_CACHE_THROUGH);
	ck_assert_uint_eq(o.max_threads, 1);
	options_free(&o);
	good("cache=never,max_threads=1000,clone_fd", &o);
	ck_assert_int_eq(o.cache, ZTFUSE_CACHE_NEVER);
	ck_assert_uint_eq(o.max_threads, 1000);
	ck_assert(o.clone_fd);
	options_free(&o);
	good("survive=off", &o);
	ck_assert_int_eq(o.uring, CHANNEL_URING_AUTO);
	options_free(&o);
	good("", &o);
	ck_assert_int_eq(o.uring, CHANNEL_URING_OFF); /* survive=auto is on */
	ck_assert_int_eq(o.oom, -900);
	ck_assert(!o.oom_said);
	options_free(&o);
	good("oom=-1000", &o);
	ck_assert_int_eq(o.oom, -1000);
	ck_assert(o.oom_said);
	options_free(&o);
	good("oom=1000", &o);
	ck_assert_int_eq(o.oom, 1000);
	options_free(&o);
	good("oom=keep", &o);
	ck_assert_int_eq(o.oom, OPTION_OOM_KEEP);
	options_free(&o);
	good("cpu_latency=off", &o);
	ck_assert(!o.cpu_latency);
	options_free(&o);
	good("cpu_latency=auto", &o);
	ck_assert(o.cpu_latency);
	options_free(&o);
	good("io_uring=on", &o);
	ck_assert_int_eq(o.uring, CHANNEL_URING_ON);
	options_free(&o);
	good("io_uring=off", &o);
	ck_assert_int_eq(o.uring, CHANNEL_URING_OFF);
	options_free(&o);
	good("survive=off,io_uring=auto", &o);
	ck_assert_int_eq(o.uring, CHANNEL_URING_AUTO);
	options_free(&o);
	good("cache=never,cache=writeback", &o);
	ck_assert_int_eq(o.cache, ZTFUSE_CACHE_WRITEBACK);
	options_free(&o);
}
END_TEST

/* What is refused with exactly this sentence. */
static void bad(const char *list, const char *sentence)
{
	struct options_error error;
	struct options o;

	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-o", list, "/mnt"), -EINVAL);
	ck_assert_str_eq(error.text, sentence);
}

START_TEST(test_swap_implies_what_it_needs_wherever_it_stands)
{
	static const char *const lists[] = { "swap,cluster=128k,cache=writeback",
					     "cluster=128k,cache=writeback,swap" };
	struct options o;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		good(lists[i], &o);
		ck_assert(o.swap);
		ck_assert_uint_eq(o.super.cluster_order, 0);
		ck_assert_int_eq(o.cache, ZTFUSE_CACHE_NEVER);
		ck_assert_ptr_null(o.super.content.recompress);
		ck_assert_int_eq(o.super.content.accel, BLKMAP_ACCEL_OFF);
		/* A half and a 16th of 1000 MiB; the reserve is rounded by nobody. */
		ck_assert_uint_eq(o.super.mem_limit, 500 * MIB);
		ck_assert_uint_eq(o.super.swap_reserve, 1000 * MIB / 16);
		ck_assert_uint_gt(o.super.content.comp.nr_streams, o.max_threads);
		ck_assert_int_eq(o.uring, CHANNEL_URING_OFF);
		options_free(&o);
	}
	/* What is asked for all the same is done. */
	good("swap,recompress=zstd:3,accel=on,mem_limit=200m", &o);
	ck_assert_str_eq(o.super.content.recompress, "zstd");
	ck_assert_int_eq(o.super.content.accel, BLKMAP_ACCEL_ON);
	ck_assert_uint_gt(o.super.content.comp.accel_params.depth, 0);
	ck_assert_uint_eq(o.super.mem_limit, 200 * MIB);
	options_free(&o);
	good("", &o);
	ck_assert(!o.swap);
	options_free(&o);
}
END_TEST

START_TEST(test_swap_reserve_is_a_size_that_fits_twice)
{
	static const struct options_env small = { .ram = 100 * MIB, .nr_cpus = 1, .root = true };
	static const struct options_env large = { .ram = 30 * GIB, .nr_cpus = 1, .root = true };
	struct options_error error;
	struct options o;

	good("swap,swap_reserve=10%,mem_limit=200m", &o);
	ck_assert_uint_eq(o.super.swap_reserve, 100 * MIB);
	options_free(&o);
	good("swap,swap_reserve=1m,mem_limit=2m", &o);
	ck_assert_uint_eq(o.super.swap_reserve, MIB);
	options_free(&o);
	/* Without swap there is none. */
	good("swap_reserve=16m", &o);
	ck_assert_uint_eq(o.super.swap_reserve, 0);
	options_free(&o);
	/* A 16th of RAM, but from 8 to 64 MiB. */
	ck_assert_int_eq(PARSE(&small, &o, &error, "ztmpfs", "-o", "swap", "/mnt"), 0);
	ck_assert_uint_eq(o.super.swap_reserve, 8 * MIB);
	options_free(&o);
	ck_assert_int_eq(PARSE(&large, &o, &error, "ztmpfs", "-o", "swap", "/mnt"), 0);
	ck_assert_uint_eq(o.super.swap_reserve, 64 * MIB);
	options_free(&o);

	bad("swap,swap_reserve=100m,mem_limit=199m",
	    "option swap: mem_limit must be from twice swap_reserve (102400 KiB) to 24g");
	bad("mem_limit=25g,swap,swap_reserve=8m",
	    "option swap: mem_limit must be from twice swap_reserve (8192 KiB) to 24g");
	bad("max_threads=1,swap,swap_reserve=8m",
	    "option swap: max_threads must be at least 2: while all others wait for memory, one "
	    "brings pages back");
	bad("swap=on", "option swap=on: allowed is swap without a value");
	bad("swap_reserve", "option swap_reserve: needs a value: swap_reserve=SIZE");
	bad("swap_reserve=1023k",
	    "option swap_reserve=1023k: allowed: a number of bytes, with suffix k, m, g, t, p or e "
	    "or as a % of RAM, at least 1m");
	bad("swap_reserve=lots",
	    "option swap_reserve=lots: allowed: a number of bytes, with suffix k, m, g, t, p or e "
	    "or as a % of RAM, at least 1m");
}
END_TEST

START_TEST(test_words_for_mount_8_are_taken_in_silence)
{
	const char *word;

	for (size_t i = 0; (word = option_ignored_at(i)) != NULL; i++) {
		char list[64];
		struct options o;

		snprintf(list, sizeof(list), "%s%s,,size=7", word,
			 strcmp(word, "huge=") == 0		? "advise"
			 : strchr("=-", word[strlen(word) - 1]) ? "anything"
								: "");
		good(list, &o);
		ck_assert_uint_eq(o.super.size, 7);
		/* What is tmpfs's, and would do something there, gets a line in the log. */
		if (o.notes) {
			ck_assert_ptr_nonnull(strstr(o.notes, word));
			ck_assert_ptr_nonnull(strstr(o.notes, "has no effect: "));
			ck_assert_ptr_eq(strchr(o.notes, '\n'), o.notes + strlen(o.notes) - 1);
		}
		options_free(&o);
	}
	options_free(&(struct options){ 0 });
}
END_TEST

/* Each is one wrong option, and a word that its refusal must contain beside the option itself. */
START_TEST(test_wrong_option_is_named_with_the_allowed_values)
{
	static const struct {
		const char *list, *allowed;
	} cases[] = {
		{ "size=", "suffix k, m, g" },
		{ "size=-1", "% of RAM" },
		{ "size=1x", "suffix k, m, g" },
		{ "size=1 g", "suffix k, m, g" },
		{ "size=16e", "suffix k, m, g" },
		{ "nr_blocks=10%", "suffix k, m, g" },
		{ "nr_blocks=4503599627370496", "at most 4503599627370495" },
		{ "nr_inodes=10%", "suffix k, m, g" },
		{ "nr_inodes=x", "0: no limit" },
		{ "mem_limit=5z", "0: no limit" },
		{ "mode=", "octal" },
		{ "mode=8", "octal" },
		{ "mode=10000", "7777" },
		{ "mode=-1", "octal" },
		{ "uid=4294967295", "number or name" },
		{ "uid=no-such-user-here", "number or name" },
		{ "uid=", "number or name" },
		{ "gid=-1", "number or name" },
		{ "gid=no-such-group-here", "number or name" },
		{ "compress=lzo", "lz4" },
		{ "compress=lzo", "zstd" },
		{ "compress=", "lz4hc" },
		{ "compress=zstd:", "zstd" },
		{ "compress=zstd:x", "zstd" },
		{ "compress=zstd:1x", "zstd" },
		{ "compress=zstd:99999999999999999999", "zstd" },
		{ "compress=null:0", "null" },
		{ "compress=null:1", "null" },
		{ "recompress=", "off, lz4" },
		{ "recompress=on", "off, lz4" },
		{ "recompress=off@3", "off, lz4" },
		{ "recompress=zstd:@3", "zstd" },
		{ "recompress=zstd@", "@1..86400" },
		{ "recompress=zstd@0", "@1..86400" },
		{ "recompress=zstd@86401", "@1..86400" },
		{ "recompress=zstd:99", "zstd[:" },
		{ "compress=a-name-that-is-longer-than-any-algorithm", "null" },
		{ "compress=/no/such/module.so", "absolute path" },
		{ "compress=/no/such/module.so:3", "absolute path" },
		{ "compress=zstd:-2147483648", "zstd" },
		{ "dict=", "not empty" },
		{ "dicts=", "on, off" },
		{ "dicts=auto", "on, off" },
		{ "packs=", "on, off" },
		{ "packs=auto", "on, off" },
		{ "dedup=", "on, off" },
		{ "dedup=auto", "on, off" },
		{ "cluster=2k", "4k, 8k" },
		{ "cluster=256k", "128k" },
		{ "cluster=5000", "4k, 8k" },
		{ "cluster=0", "4k, 8k" },
		{ "cluster=50%", "4k, 8k" },
		{ "accel=", "off, auto, on" },
		{ "accel=maybe", "off, auto, on, hisi, iaa, qpace, hwz, qat" },
		{ "accel=his", "unknown; did you mean accel=hisi?" },
		{ "accel=atuo", "unknown; did you mean accel=auto?" },
		{ "accel=iaa:depth=0", "depth is a number from 1 to 4096" },
		{ "accel=off:engines=1", "off takes no parameters" },
		{ "accel=off:", "off takes no parameters" },
		{ "accel=on:engines=0", "engines is a number from 1 to 64" },
		{ "accel=on:engines=65", "engines is a number from 1 to 64" },
		{ "accel=on:engines=", "engines is a number from 1 to 64" },
		{ "accel=on:depth=0", "depth is a number from 1 to 4096" },
		{ "accel=on:depth=4097", "depth is a number from 1 to 4096" },
		{ "accel=on:batch=257", "batch is a number from 1 to 256" },
		{ "accel=on:deadline=0", "deadline is a number from 1 to 60000000" },
		{ "accel=on:submit=1000001", "submit is a number from 0 to 1000000" },
		{ "accel=on:latency=10000001", "latency is a number from 0 to 10000000" },
		{ "accel=on:fail=1000001", "fail is a number from 0 to 1000000" },
		{ "accel=on:stall=x", "stall is a number from 0 to 1000000" },
		{ "accel=on:reset=-1", "reset is a number from 0 to 1000000" },
		{ "accel=on:kill=1k", "kill is a number from 0 to 1000000" },
		{ "accel=on:latency=100:deadline=100", "deadline must be longer than latency" },
		{ "accel=on:", "parameters are :engines=N" },
		{ "accel=on:engines", "parameters are :engines=N" },
		{ "accel=on:speed=1", ":stall=N" },
		{ "cache=", "writeback, through, never" },
		{ "cache=always", "writeback, through, never" },
		{ "max_threads=0", "1 to 1000" },
		{ "max_threads=1001", "1 to 1000" },
		{ "max_threads=x", "1 to 1000" },
		{ "cpus=", "0-3:8" },
		{ "cpus=-1", "0-3:8" },
		{ "cpus=1-", "0-3:8" },
		{ "cpus=2-1", "0-3:8" },
		{ "cpus=0:", "0-3:8" },
		{ "cpus=0:x", "0-3:8" },
		{ "cpus=1024", "from 0 to 1023" },
		{ "cpus=0-1024", "from 0 to 1023" },
		{ "cpus=99999999999999999999", "from 0 to 1023" },
		{ "io_uring=maybe", "on, off, auto" },
		{ "oom=", "-1000" },
		{ "oom=1001", "-1000" },
		{ "oom=-1001", "keep" },
		{ "oom=--1", "keep" },
		{ "oom=-", "keep" },
		{ "cpu_latency=0", "auto, off" },
		{ "huge=sometimes", "never always within_size advise" },
		{ "huge=", "never always within_size advise" },
		{ "context=", "not empty" },
		{ "remount=ro", "without a value" },
		{ "noswap=1", "without a value" },
		{ "cpu_latency=", "auto, off" },
		{ "max_threads=", "1 to 1000" },
		{ "fsname=", "not empty" },
		{ "ro=1", "without a value" },
		{ "allow_other=yes", "without a value" },
		{ "size", "size=SIZE" },
		{ "compress", "compress=ALG" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options o;
		struct options_error error;
		const char *list = cases[i].list;

		ck_assert_msg(PARSE(&env, &o, &error, "ztmpfs", "-o", list, "/mnt") == -EINVAL,
			      "%s is taken", list);
		ck_assert_msg(strstr(error.text, list) != NULL, "%s: %s", list, error.text);
		ck_assert_msg(strstr(error.text, cases[i].allowed) != NULL, "%s: %s", list,
			      error.text);
		ck_assert_ptr_null(strchr(error.text, '\n'));
	}
}
END_TEST

START_TEST(test_unknown_option_is_named_with_a_guess)
{
	static const struct {
		const char *word, *guess; /* NULL: nothing is like it */
	} cases[] = {
		{ "sise=1g", "size=?" },       { "szie=1g", "size=?" },
		{ "nr_inode=5", "nr_inodes=?" }, { "memlimit=1g", "mem_limit=?" },
		{ "compres=lz4", "compress=?" }, { "nosiud", "nosuid?" },
		{ "strictatim", "strictatime?" }, { "uuid=0", "uid=?" },
		{ "inode23", "inode32?" },     { "zzzzzzzz", NULL },
		{ "q", NULL },
		{ "a_name_that_is_longer_than_any_there_will_ever_be=1", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *word = cases[i].word, *guess = cases[i].guess;
		struct options o;
		struct options_error error;
		char list[128], name[128];

		snprintf(list, sizeof(list), "ro,%s", word);
		snprintf(name, sizeof(name), "option %.*s: unknown", (int)strcspn(word, "="), word);
		ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-o", list, "/mnt"), -EINVAL);
		ck_assert_msg(strncmp(error.text, name, strlen(name)) == 0, "%s", error.text);
		ck_assert_msg(strlen(error.text) < 120, "%s", error.text);
		ck_assert_msg(guess ? strstr(error.text, guess) != NULL
				    : strstr(error.text, "did you mean") == NULL,
			      "%s", error.text);
		ck_assert_ptr_nonnull(strstr(error.text, "--help"));
	}
}
END_TEST

START_TEST(test_a_spill_file_has_a_path_and_a_size)
{
	struct options o;

	good("", &o);
	ck_assert_ptr_null(o.spill_path);
	options_free(&o);
	good("spill=/a/b", &o);
	ck_assert_str_eq(o.spill_path, "/a/b");
	ck_assert_uint_eq(o.spill_size, 0);
	ck_assert_uint_eq(o.super.content.spill_size, 0);
	options_free(&o);
	good("spill=/a/b:3g,spill_idle=60", &o);
	ck_assert_str_eq(o.spill_path, "/a/b");
	ck_assert_uint_eq(o.spill_size, 3 * GIB);
	ck_assert_uint_eq(o.super.content.spill_idle, 60);
	options_free(&o);
	good("spill=/dev/disk/by-path/pci-0000:00:1f,io_uring=on", &o);
	ck_assert_str_eq(o.spill_path, "/dev/disk/by-path/pci-0000:00:1f");
	ck_assert_int_eq(o.uring, CHANNEL_URING_OFF);
	ck_assert_ptr_nonnull(strstr(o.notes, "off with spill="));
	options_free(&o);
	bad("spill=", "option spill=: allowed: a file that is not there, or a block device; "
		      ":SIZE is 1m to 16t");
	bad("spill=/a:4k", "option spill=/a:4k: allowed: a file that is not there, or a block device; "
			   ":SIZE is 1m to 16t");
	bad("spill=/a:16t", "option spill=/a:16t: allowed: a file that is not there, or a block "
			    "device; :SIZE is 1m to 16t");
	bad("spill_idle=5", "option spill_idle: needs spill=FILE");
	bad("spill=/a,spill_idle=86401",
	    "option spill_idle=86401: allowed: a number from 0 to 86400");
	bad("spill=/a,swap,mem_limit=200m", "option spill: does not go with option swap");
	bad("spill_encrypt=on", "option spill_encrypt: needs spill=FILE");
	bad("spill=/a,spill_encrypt=yes", "option spill_encrypt=yes: allowed: on, off");
	good("spill=/a,survive=on,spill_encrypt=on", &o);
	ck_assert(o.survive && o.spill_encrypt);
	options_free(&o);
	good("spill=/a,survive=auto", &o);
	ck_assert(o.survive && !o.spill_encrypt);
	options_free(&o);
	good("spill=/a,image=b,save=unmount", &o);
	ck_assert(o.save_at_end && o.survive);
	options_free(&o);
	bad("spill=/a,remount", "option spill: only when mounting");
}
END_TEST

START_TEST(test_an_image_is_saved_only_where_there_is_one)
{
	struct options o;

	good("rw", &o);
	ck_assert_ptr_null(o.image_path);
	ck_assert(!o.save_at_end);
	options_free(&o);
	good("image=/a/b,save=unmount", &o);
	ck_assert_str_eq(o.image_path, "/a/b");
	ck_assert(o.save_at_end);
	options_free(&o);
	good("save=unmount,save=never,image=b,survive=on", &o);
	ck_assert(!o.save_at_end);
	options_free(&o);
	bad("save=unmount", "option save=unmount: needs image=FILE");
	bad("image=a,save=always", "option save=always: allowed: unmount, never");
	good("image=a,save=unmount,survive=on", &o);
	options_free(&o);
	bad("image=a,swap,mem_limit=200m", "option image: does not go with option swap");
	bad("image=a,remount", "option image: only when mounting");
}
END_TEST

START_TEST(test_survive_has_no_rings_and_does_not_go_with_all)
{
	struct options_env managed = env;
	struct options_error error;
	struct options o;

	good("rw", &o);
	ck_assert(o.survive);
	options_free(&o);
	good("survive=off", &o);
	ck_assert(!o.survive);
	options_free(&o);
	good("survive=on", &o);
	ck_assert(o.survive);
	ck_assert_int_eq(o.uring, CHANNEL_URING_OFF);
	ck_assert_ptr_null(o.notes);
	options_free(&o);
	good("survive=on,io_uring=on", &o);
	ck_assert_int_eq(o.uring, CHANNEL_URING_OFF);
	ck_assert_ptr_nonnull(strstr(o.notes, "io_uring=on: is off with survive=on"));
	options_free(&o);
	good("survive=off,io_uring=on", &o);
	ck_assert_int_eq(o.uring, CHANNEL_URING_ON);
	options_free(&o);
	good("survive=on,rescue=a", &o);
	ck_assert_str_eq(o.rescue_path, "a");
	options_free(&o);
	good("rescue=a", &o);
	ck_assert(o.survive);
	options_free(&o);
	bad("survive=off,rescue=a", "option rescue: needs survive=on");
	bad("survive=yes", "option survive=yes: allowed: auto, on, off");
	good("survive=on,swap,mem_limit=200m", &o);
	ck_assert(o.survive && o.swap);
	ck_assert_int_eq(o.uring, CHANNEL_URING_OFF);
	ck_assert_ptr_null(o.notes);
	options_free(&o);
	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-f", "-o", "survive=on", "/mnt"),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "does not go with -f and -d"));
	/* Where a service manager may be the keeper. */
	managed.manager = true;
	ck_assert_int_eq(PARSE(&managed, &o, &error, "ztmpfs", "-f", "-o", "survive=on", "/mnt"), 0);
	ck_assert(o.survive);
	options_free(&o);
	ck_assert_int_eq(PARSE(&managed, &o, &error, "ztmpfs", "-f", "/mnt"), 0);
	ck_assert(!o.survive);
	options_free(&o);
	/* That one has none stand by. */
	ck_assert_int_eq(PARSE(&managed, &o, &error, "ztmpfs", "-f", "-o",
			       "survive=on,swap,mem_limit=200m", "/mnt"),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "does not go with -f with option swap"));
}
END_TEST

START_TEST(test_survive_auto_gives_way_to_what_it_does_not_go_with)
{
	static const struct {
		const char *more, *reason;
	} others[] = {
		{ "swap,mem_limit=200m", "option swap" },
		{ "io_uring=on", "option io_uring=on" },
	};
	struct options_error error;
	struct options o;
	char list[128];

	good("survive=auto", &o);
	ck_assert(o.survive);
	ck_assert_int_eq(o.uring, CHANNEL_URING_OFF);
	ck_assert_ptr_null(o.notes);
	options_free(&o);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		snprintf(list, sizeof(list), "survive=auto,%s", others[i].more);
		good(list, &o);
		ck_assert(!o.survive);
		snprintf(list, sizeof(list), "option survive=auto: off, since it does not go with %s",
			 others[i].reason);
		ck_assert_ptr_nonnull(strstr(o.notes, list));
		options_free(&o);
		/* The default is not talked about. */
		good(others[i].more, &o);
		ck_assert(!o.survive);
		ck_assert(!o.notes || !strstr(o.notes, "survive"));
		options_free(&o);
	}
	good("survive=auto,io_uring=on", &o);
	ck_assert_int_eq(o.uring, CHANNEL_URING_ON);
	options_free(&o);
	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-f", "-o", "survive=auto", "/mnt"), 0);
	ck_assert(!o.survive);
	ck_assert_ptr_nonnull(strstr(o.notes, "since it does not go with -f"));
	options_free(&o);
	good("survive=auto,rescue=a", &o);
	ck_assert(o.survive);
	options_free(&o);
	bad("survive=auto,io_uring=on,rescue=a", "option rescue: needs survive=on");
}
END_TEST

START_TEST(test_lines_for_a_tmpfs_are_taken)
{
	/* The last two are systemd's tmp.mount, and what distributions make of it. */
	static const char *const lists[] = {
		"size=1g,huge=within_size,noswap,inode64",
		"nr_blocks=1k,nr_inodes=10k,mode=755,uid=0,gid=0,inode32",
		"mpol=bind:0-3,5,7-9,15,size=7",
		"mpol=prefer:1,size=7",
		"size=50%,silent,lazytime,noiversion",
		"rw,nosuid,nodev,noexec,relatime,nosymfollow,loud",
		"mode=1777,strictatime,nosuid,nodev,size=50%,nr_inodes=1m",
		"mode=1777,strictatime,nosuid,nodev,size=50%,nr_inodes=1m,x-systemd.graceful-option=usrquota",
	};
	struct options o;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		good(lists[i], &o);
		options_free(&o);
	}
	good("mpol=interleave:0,2,size=7", &o);
	ck_assert_uint_eq(o.super.size, 7);
	ck_assert_ptr_nonnull(strstr(o.notes, "mpol=interleave:0,2 has no effect"));
	options_free(&o);
	good("strictatime,relatime,huge=never", &o);
	ck_assert_ptr_nonnull(strstr(o.notes, "option strictatime has no effect"));
	ck_assert_ptr_nonnull(strstr(o.notes, "option huge=never has no effect"));
	options_free(&o);
	good("noswap,nosymfollow", &o);
	ck_assert(o.noswap);
	ck_assert_int_eq(o.mount_flags[MOUNT_SYMFOLLOW], 0);
	ck_assert_ptr_null(o.notes);
	options_free(&o);
}
END_TEST

START_TEST(test_words_that_would_change_a_mounts_meaning_are_refused)
{
	const char *word;

	for (size_t i = 0; (word = option_refused_at(i)) != NULL; i++) {
		struct options o;
		struct options_error error;
		char list[64];

		snprintf(list, sizeof(list), "%s%s", word, strchr(word, '=') ? "1g" : "");
		ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-o", list, "/mnt"), -EINVAL);
		ck_assert_msg(strstr(error.text, list) && strstr(error.text, ": refused: "), "%s",
			      error.text);
	}
}
END_TEST

START_TEST(test_nothing_is_compressed_with_none_unless_asked)
{
	static const char *const none[] = { "compress=none", "compress=off" };
	struct options o;

	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		good(none[i], &o);
		ck_assert_str_eq(o.super.content.comp.name, "null");
		ck_assert_ptr_null(o.super.content.recompress);
		options_free(&o);
	}
	good("compress=none,recompress=zstd", &o);
	ck_assert_str_eq(o.super.content.recompress, "zstd");
	options_free(&o);
	good("compress=none,compress=lz4", &o);
	ck_assert_str_eq(o.super.content.recompress, "zstd");
	options_free(&o);
}
END_TEST

START_TEST(test_forgotten_switch_is_seen_in_the_source)
{
	static const struct {
		const char *source, *option;
	} cases[] = {
		{ "size=1g", "size" },	 { "size=1g,ro", "size" }, { "ro,size=1g", "ro" },
		{ "none", NULL },	 { "swap", NULL },	   { "a=b", NULL },
		{ "host:/a,b", NULL }, { "", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct options o;
		struct options_error error;
		const char *seen;

		ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", cases[i].source, "/mnt"), 0);
		seen = options_source_looks_like(&o);
		ck_assert_msg(cases[i].option ? seen && strcmp(seen, cases[i].option) == 0 : !seen,
			      "%s", cases[i].source);
		options_free(&o);
	}
}
END_TEST

/* The table says of itself what the manual page and --help repeat. */
START_TEST(test_table_is_complete_and_help_shows_all_of_it)
{
	const struct option_desc *desc;
	char help[16384] = "";
	FILE *file = fmemopen(help, sizeof(help) - 1, "w");

	options_help(file, &env);
	fclose(file);
	for (size_t i = 0; (desc = option_at(i)) != NULL; i++) {
		char line[64];

		ck_assert_ptr_eq(option_find(desc->name), desc);
		ck_assert_ptr_nonnull(desc->help);
		/* There is a way to read it, and a place for what was read. */
		ck_assert((desc->kind == OPTION_OTHER) == (desc->read != NULL));
		ck_assert((desc->kind == OPTION_CHOICE) == (desc->choices != NULL));
		if (desc->kind == OPTION_NUMBER || desc->kind == OPTION_SIZE)
			ck_assert_uint_ne(desc->width, 0);
		if (desc->kind == OPTION_NUMBER)
			ck_assert_uint_lt(desc->min, desc->max);
		ck_assert_msg(!option_is_ignored(desc->name), "%s", desc->name);
		snprintf(line, sizeof(line), "  -o %s%s%s", desc->name, desc->arg ? "=" : "",
			 desc->arg ? desc->arg : "");
		ck_assert_msg(strstr(help, line) != NULL, "%s", line);
		ck_assert_msg(strstr(help, desc->help) != NULL, "%s", desc->name);
	}
	for (char *line = strtok(help, "\n"); line; line = strtok(NULL, "\n"))
		ck_assert_msg(strlen(line) < 140, "%s", line);
}
END_TEST

/* What libfuse is told, from a list. */
static char *mount_opts(const struct options_env *e, const char *list)
{
	struct options o;
	struct options_error error;
	char *text;

	ck_assert_int_eq(PARSE(e, &o, &error, "ztmpfs", "-o", list, "src", "/mnt"), 0);
	ck_assert_int_eq(options_mount_opts(&o, &text), 0);
	options_free(&o);
	return text;
}

START_TEST(test_mount_options_reach_libfuse)
{
	static const struct {
		bool root;
		const char *list, *opts;
	} cases[] = {
		{ false, "", "fsname=src,subtype=ztmpfs" },
		{ true, "", "fsname=src,subtype=ztmpfs,allow_other,suid,dev" },
		{ true, "nosuid,nodev,no_allow_other", "fsname=src,subtype=ztmpfs,nosuid,nodev" },
		{ true, "nosuid,suid", "fsname=src,subtype=ztmpfs,allow_other,suid,dev" },
		{ false, "allow_other,default_permissions",
		  "fsname=src,subtype=ztmpfs,allow_other" },
		{ false, "ro,noexec,sync,dirsync,noatime",
		  "fsname=src,subtype=ztmpfs,ro,noexec,sync,dirsync,noatime" },
		{ false, "ro,rw,noexec,exec,sync,async,noatime,atime",
		  "fsname=src,subtype=ztmpfs,rw,exec,async,atime" },
		{ false, "subtype=", "fsname=src" },
		{ false, "subtype=x,fsname=y", "fsname=y,subtype=x" },
		{ false, "fsname=a\\,b\\\\c", "fsname=a\\,b\\\\c,subtype=ztmpfs" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = mount_opts(cases[i].root ? &root_env : &env, cases[i].list);

		ck_assert_str_eq(text, cases[i].opts);
		zt_free(text);
	}
}
END_TEST

START_TEST(test_labels_reach_the_kernel_where_it_has_selinux)
{
	struct options_env with = env;
	struct options o;
	char *text;

	with.selinux = true;
	text = mount_opts(&with, "context=\"u:r:t:s0:c1,c2\",fscontext=a:b,noexec");
	ck_assert_str_eq(text, "fsname=src,subtype=ztmpfs,context=\"u:r:t:s0:c1\\,c2\","
			       "fscontext=a:b,noexec");
	zt_free(text);
	text = mount_opts(&with, "defcontext=a:b,rootcontext=\"c:d\"");
	ck_assert_str_eq(text,
			 "fsname=src,subtype=ztmpfs,defcontext=a:b,rootcontext=\"c:d\"");
	zt_free(text);
	/* A quote that never ends is an ordinary letter, as is one in the middle. */
	text = mount_opts(&with, "fsname=\"a,noexec");
	ck_assert_str_eq(text, "fsname=\"a,subtype=ztmpfs,noexec");
	zt_free(text);
	text = mount_opts(&with, "fsname=a\"b,subtype=c\"d");
	ck_assert_str_eq(text, "fsname=a\"b,subtype=c\"d");
	zt_free(text);
	good("context=\"u:r:t:s0:c1,c2\",size=7", &o);
	ck_assert_uint_eq(o.super.size, 7);
	ck_assert_ptr_nonnull(strstr(o.notes, "option context= has no effect: SELinux"));
	options_free(&o);
}
END_TEST

START_TEST(test_remount_takes_flags_from_what_mount_8_repeats)
{
	struct options o;
	struct options_error error;

	ck_assert_int_eq(PARSE(&root_env, &o, &error, "/sbin/mount.fuse.ztmpfs", "none", "/mnt", "-o",
			       "ro,relatime,remount,user_id=0,group_id=0,default_permissions,"
			       "allow_other,max_read=1048576,size=2g"),
			 0);
	ck_assert(o.helper && o.remount && o.size_said && !o.nr_inodes_said && !o.mem_limit_said);
	ck_assert_int_eq(o.mount_flags[MOUNT_RO], 1);
	/* Not on by root's default: what is not named is as mount(8) says, or as the mount has it. */
	ck_assert_int_eq(o.mount_flags[MOUNT_SUID], -1);
	options_free(&o);
}
END_TEST

START_TEST(test_attributes_and_acls_can_be_had_or_not)
{
	struct options o;
	struct options_error error;

	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-o", "noacl", "/mnt"), 0);
	ck_assert(!o.super.acl);
	options_free(&o);
	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-o", "noacl,acl,noxattr", "/mnt"), 0);
	ck_assert(o.super.acl);
	ck_assert(!o.xattr);
	options_free(&o);
	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-o", "noxattr,xattr", "/mnt"), 0);
	ck_assert(o.xattr);
	options_free(&o);
}
END_TEST

START_TEST(test_switches_come_before_and_behind_the_places)
{
	struct options o;
	struct options_error error;

	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-fo", "size=1m", "src", "/m", "-o",
			       "ro,size=2m"),
			 0);
	ck_assert(o.foreground && !o.debug && !o.fake);
	ck_assert_uint_eq(o.super.size, 2 * MIB);
	ck_assert_int_eq(o.mount_flags[MOUNT_RO], 1);
	ck_assert_str_eq(o.source, "src");
	ck_assert_str_eq(o.fsname, "src");
	ck_assert_str_eq(o.mountpoint, "/m");
	options_free(&o);
	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-d", "/m"), 0);
	ck_assert(o.foreground && o.debug);
	options_free(&o);
	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "/m", "--help", "--no-such"), 0);
	ck_assert(o.help);
	options_free(&o);
	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-V"), 0);
	ck_assert(o.version);
	options_free(&o);
}
END_TEST

START_TEST(test_helper_takes_what_mount_8_hands_over)
{
	struct options o;
	struct options_error error;

	ck_assert_int_eq(PARSE(&root_env, &o, &error, "/sbin/mount.ztmpfs", "none", "/mnt", "-s",
			       "-f", "-n", "-v", "-r", "-o", "rw,size=2G,unheard_of=1", "-t",
			       "ztmpfs", "-N", "/proc/1/ns/mnt"),
			 0);
	ck_assert(o.helper && o.fake && o.verbose && o.sloppy && !o.foreground);
	ck_assert_uint_eq(o.super.size, 2 * GIB);
	ck_assert_int_eq(o.mount_flags[MOUNT_RO], 0);
	ck_assert_int_eq(o.mount_flags[MOUNT_SUID], 1);
	ck_assert_str_eq(o.namespace, "/proc/1/ns/mnt");
	ck_assert_str_eq(o.fsname, "none");
	options_free(&o);
	ck_assert_int_eq(PARSE(&root_env, &o, &error, "mount.ztmpfs", "none", "/mnt", "-o", "x=1"),
			 -EINVAL);
	ck_assert_int_eq(PARSE(&root_env, &o, &error, "mount.ztmpfs", "/mnt"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "no source"));
}
END_TEST

START_TEST(test_wrong_usage_is_told_in_one_line)
{
	struct options o;
	struct options_error error;

	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "no mount point"));
	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "a", "b", "c"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "more than"));
	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-x", "/m"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "-x"));
	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "--nope", "/m"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "--nope"));
	ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "/m", "-o"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "-o"));
}
END_TEST

/* What is quoted may hold anything: it must neither look like another message nor steer a terminal. */
START_TEST(test_an_error_is_one_printable_line)
{
	static const char *const lists[] = { "si\nze=1", "size=\x1b[2J", "mode=\r7", "uid=\x7f" };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct options_error error;
		struct options o;

		ck_assert_int_eq(PARSE(&env, &o, &error, "ztmpfs", "-o", lists[i], "/mnt"), -EINVAL);
		for (const char *c = error.text; *c; c++)
			ck_assert((unsigned char)*c >= ' ' && *c != 0x7f);
	}
}
END_TEST

START_TEST(test_no_memory_at_any_point_is_an_error_and_leaks_nothing)
{
	for (long n = 1;; n++) {
		struct options o;
		struct options_error error;
		int res;

		zt_fault_set(n);
		res = PARSE(&env, &o, &error, "ztmpfs", "-o", "fsname=x,subtype=y,strictatime,huge=never", "src",
			    "/m");
		if (zt_fault_pending()) {
			zt_fault_set(0);
			ck_assert_int_eq(res, 0);
			options_free(&o);
			ck_assert_int_gt(n, 4);
			break;
		}
		ck_assert_int_eq(res, -ENOMEM);
		ck_assert_ptr_nonnull(strstr(error.text, "memory"));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *tc = tcase_create("options");

	tcase_add_test(tc, test_memory_is_limited_where_others_are_let_in);
	tcase_add_test(tc, test_defaults_are_tmpfs_like);
	tcase_add_test(tc, test_sizes_take_suffixes_and_percent);
	tcase_add_test(tc, test_root_directory_is_as_asked);
	tcase_add_test(tc, test_compression_and_level_are_taken);
	tcase_add_test(tc, test_dictionaries_follow_from_who_is_let_in_unless_it_is_said);
	tcase_add_test(tc, test_packs_are_off_unless_it_is_said);
	tcase_add_test(tc, test_deduplication_follows_from_who_is_let_in_unless_it_is_said);
	tcase_add_test(tc, test_recompression_is_taken);
	tcase_add_test(tc, test_module_is_taken_by_path_and_by_name_if_there_is_a_file);
	tcase_add_test(tc, test_the_default_algorithm_is_lz4_where_the_other_does_not_fit);
	tcase_add_test(tc, test_auto_alone_has_a_dictionary_by_default);
	tcase_add_test(tc, test_dictionary_is_a_file_of_limited_size);
	tcase_add_test(tc, test_levels_at_both_edges_are_taken_and_beyond_refused);
	tcase_add_test(tc, test_every_cluster_size_is_a_power_of_two_of_pages);
	tcase_add_test(tc, test_half_of_an_odd_number_of_pages);
	tcase_add_test(tc, test_device_by_name_gives_all_that_was_not_said);
	tcase_add_test(tc, test_accelerator_takes_when_and_parameters);
	tcase_add_test(tc, test_cache_and_threads_are_taken);
	tcase_add_test(tc, test_cpus_are_numbers_and_ranges);
	tcase_add_test(tc, test_cpus_that_may_not_be_used_are_left_out);
	tcase_add_test(tc, test_swap_implies_what_it_needs_wherever_it_stands);
	tcase_add_test(tc, test_swap_reserve_is_a_size_that_fits_twice);
	tcase_add_test(tc, test_an_image_is_saved_only_where_there_is_one);
	tcase_add_test(tc, test_a_spill_file_has_a_path_and_a_size);
	tcase_add_test(tc, test_survive_has_no_rings_and_does_not_go_with_all);
	tcase_add_test(tc, test_survive_auto_gives_way_to_what_it_does_not_go_with);
	tcase_add_test(tc, test_words_for_mount_8_are_taken_in_silence);
	tcase_add_test(tc, test_wrong_option_is_named_with_the_allowed_values);
	tcase_add_test(tc, test_unknown_option_is_named_with_a_guess);
	tcase_add_test(tc, test_lines_for_a_tmpfs_are_taken);
	tcase_add_test(tc, test_words_that_would_change_a_mounts_meaning_are_refused);
	tcase_add_test(tc, test_nothing_is_compressed_with_none_unless_asked);
	tcase_add_test(tc, test_forgotten_switch_is_seen_in_the_source);
	tcase_add_test(tc, test_labels_reach_the_kernel_where_it_has_selinux);
	tcase_add_test(tc, test_remount_takes_flags_from_what_mount_8_repeats);
	tcase_add_test(tc, test_table_is_complete_and_help_shows_all_of_it);
	tcase_add_test(tc, test_mount_options_reach_libfuse);
	tcase_add_test(tc, test_attributes_and_acls_can_be_had_or_not);
	tcase_add_test(tc, test_switches_come_before_and_behind_the_places);
	tcase_add_test(tc, test_helper_takes_what_mount_8_hands_over);
	tcase_add_test(tc, test_wrong_usage_is_told_in_one_line);
	tcase_add_test(tc, test_an_error_is_one_printable_line);
	tcase_add_test(tc, test_no_memory_at_any_point_is_an_error_and_leaks_nothing);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
