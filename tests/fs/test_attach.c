// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_attach.c - a mount goes on in another process: after a clean detach, and after a kill. Tests
 * attach.c, attach_clean.c, attach_names.c, attach_inodes.c, record.c, tune.c.
 */
#include "blkmap/parts.h"
#include "fs/promise.h"
#include "fs/tune.h"
#include "tests/fs/attach_fixture.h"
#include "util/alloc.h"
#include "zcomp/dict.h"

static void get_stat(struct super *sb, struct ztmpfs_stat *out)
{
	memset(out, 0, sizeof(*out));
	super_get_stat(sb, out);
}

/* What both say of contents and limits. */
static void check_same_stat(const struct ztmpfs_stat *a, const struct ztmpfs_stat *b)
{
	ck_assert_uint_eq(a->inodes_used, b->inodes_used);
	ck_assert_uint_eq(a->orig_data_size, b->orig_data_size);
	ck_assert_uint_eq(a->compr_data_size, b->compr_data_size);
	ck_assert_uint_eq(a->same_pages, b->same_pages);
	ck_assert_uint_eq(a->huge_pages, b->huge_pages);
	ck_assert_uint_eq(b->arena_used, a->arena_used);
}

/* Three lives more, each ended as @next does it. */
static void live_on(struct super *(*next)(struct super *sb, const struct super_params *params),
		    bool is_clean)
{
	struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	struct ztmpfs_stat before, after;
	struct super_attach_report report;

	make_tree(sb);
	get_stat(sb, &before);
	for (unsigned life = 2; life < 5; life++) {
		sb = next(sb, &params);
		get_stat(sb, &after);
		check_same_stat(&before, &after);
		report = report_of(sb);
		ck_assert(report.attached && report.was_clean == is_clean);
		ck_assert_uint_eq(report.life, life);
		ck_assert_uint_eq(report.inodes, before.inodes_used);
		ck_assert_uint_eq(super_attach_repairs(&report), 0);
		check_tree(sb);
		ck_assert_int_eq(super_check(sb), 0);
	}
	fixture_exit(sb);
}

START_TEST(test_after_a_clean_detach_all_is_there)
{
	live_on(next_life_clean, true);
}
END_TEST

static bool count_promise(void *arg, ino_nr ino, uint64_t nr_pages)
{
	(void)ino;
	*(uint64_t *)arg += nr_pages;
	return true;
}

/* What stands on the heap alone is in lists: cluster maps that wait to be folded, and promises. */
START_TEST(test_after_a_clean_detach_promises_hold_and_cluster_maps_are_folded)
{
	struct super_params params = fixture_params();
	struct blkmap_stat stat;
	uint64_t nr_pages = 0;
	struct super *sb;
	ino_nr ino;

	params.mem_limit = 256 * MIB;
	sb = fixture_init_params(&params);
	make_tree(sb);
	ino = look_ino(sb, FS_ROOT_INO, "big");
	for (unsigned i = 0; i < 7; i++)
		write_filled(sb, ino, 1, i * 131072 + 8192, 4096);
	for (unsigned i = 0; i < 3; i++) {
		char name[16];

		snprintf(name, sizeof(name), "promised-%u", i);
		ino = make_file(sb, FS_ROOT_INO, name);
		ck_assert_int_eq(fs_fallocate(sb, &user_cred, ino, 0, 0, (i + 1) * 40960), 0);
	}
	sb = next_life_clean(sb, &params);
	ck_assert(report_of(sb).was_clean);
	promise_each(sb, count_promise, &nr_pages);
	ck_assert_uint_eq(nr_pages, 60);
	fold_idle(&sb->map->upkeep.folder, 0);
	blkmap_get_stat(sb->map, &stat);
	ck_assert_uint_eq(stat.folds, 7);
	ck_assert_int_eq(super_check(sb), 0);
	check_tree(sb);
	fixture_exit(sb);
}
END_TEST

/* Whether a reserve may be kept as it is for a mount that carries swap: CAP_IPC_LOCK, CAP_SYS_NICE, CAP_SYS_ADMIN. */
static bool can_have_reserve(const struct super_params *params)
{
	char text[256];
	struct super *sb;

	if (super_create(params, text, &sb) != 0) {
		printf("no mount that carries swap: %s\n", text);
		return false;
	}
	super_destroy(sb);
	return true;
}

START_TEST(test_a_mount_that_carries_swap_goes_on_after_a_kill)
{
	struct super_params params = fixture_params();
	struct super *sb;

	params.mem_limit = 64 * MIB;
	params.swap_reserve = 4 * MIB;
	params.outlives = true;
	if (!can_have_reserve(&params))
		return;
	sb = fixture_init_params(&params);
	make_tree(sb);
	for (unsigned life = 2; life < 5; life++) {
		const struct arena_grant all = { .more = UINT64_MAX, .urgent = UINT64_MAX };
		struct super_attach_report report;

		sb = next_life_after_kill(sb, &params);
		super_swap_grant(sb, &all);
		report = report_of(sb);
		ck_assert_uint_eq(report.life, life);
		ck_assert_uint_eq(super_attach_repairs(&report), 0);
		check_tree(sb);
		ck_assert_int_eq(super_check(sb), 0);
	}
	fixture_exit(sb);
}
END_TEST

START_TEST(test_after_a_kill_all_is_there)
{
	live_on(next_life_after_kill, false);
}
END_TEST

/* The kernel holds what it held; what it lets go is freed. */
START_TEST(test_references_and_open_files_without_a_name_stay)
{
	struct super_params params = fixture_params();

	for (unsigned clean = 0; clean < 2; clean++) {
		struct super *sb = fixture_init_params(&params);
		ino_nr ino = make_file(sb, FS_ROOT_INO, "gone"), dir, left;
		struct stat attr;

		write_filled(sb, ino, 3, 0, 200000);
		ck_assert_int_eq(fs_unlink(sb, FS_ROOT_INO, "gone"), 0);
		dir = make_dir(sb, FS_ROOT_INO, "gone-dir");
		ck_assert_int_eq(fs_rmdir(sb, FS_ROOT_INO, "gone-dir"), 0);
		left = make_file(sb, FS_ROOT_INO, "left");
		sb = clean ? next_life_clean(sb, &params) : next_life_after_kill(sb, &params);
		check_filled(sb, ino, 3, 0, 200000);
		ck_assert_uint_eq(attr_of(sb, ino).st_nlink, 0);
		ck_assert_uint_eq(attr_of(sb, dir).st_nlink, 0);
		ck_assert_int_eq(super_check(sb), 0);
		fs_forget(sb, ino, 1);
		fs_forget(sb, dir, 1);
		ck_assert_int_eq(fs_getattr(sb, ino, &attr), -ESTALE);
		ck_assert_uint_eq(look_ino(sb, FS_ROOT_INO, "left"), left);
		fixture_exit(sb);
	}
}
END_TEST

START_TEST(test_recompressed_content_dictionaries_and_settings_stay)
{
	struct super_params params = fixture_params();
	params.content.recompress = "zstd";
	params.content.recompress_level = ZCOMP_LEVEL_DEFAULT;
	params.content.dicts = true;
	params.content.dedup = true;
	for (unsigned clean = 0; clean < 2; clean++) {
		struct super *sb = fixture_init_params(&params);
		struct blkmap_stat before, after;

		make_tree(sb);
		for (unsigned i = 0; i < 3000; i++) {
			char name[32];
			ino_nr ino;

			snprintf(name, sizeof(name), "small-%u", i);
			ino = make_file(sb, FS_ROOT_INO, name);
			write_filled(sb, ino, 3 * i + 1, 0, 900);
			fs_forget(sb, ino, 1);
		}
		(void)blkmap_recompress(sb->map, 0);
		blkmap_get_stat(sb->map, &before);
		ck_assert_uint_gt(before.recompressed, 0);
		sb = clean ? next_life_clean(sb, &params) : next_life_after_kill(sb, &params);
		ck_assert_int_eq(report_of(sb).was_clean, clean);
		blkmap_get_stat(sb->map, &after);
		ck_assert_uint_eq(before.dicts, after.dicts);
		ck_assert_uint_eq(before.dict_objects, after.dict_objects);
		ck_assert_uint_eq(before.shared_pages, after.shared_pages);
		check_tree(sb);
		(void)blkmap_recompress(sb->map, 0);
		check_tree(sb);
		fixture_exit(sb);
	}
}
END_TEST

static bool has_dict(const struct super *sb)
{
	return sb->rec->format.dict_size != 0;
}

/* One that nobody asked for is for new mounts. */
START_TEST(test_a_mount_made_without_a_dictionary_goes_on_without)
{
	struct super_params params = fixture_params(), now;
	char text[256];
	struct super *sb;
	int fd;

	params.content.comp.name = "auto";
	now = params;
	now.dict_by_default = true;
	now.content.comp.dict = zcomp_dict_words(&now.content.comp.dict_size);
	for (unsigned with = 0; with < 2; with++) {
		sb = fixture_init_params(with ? &now : &params);
		make_tree(sb);
		for (unsigned life = 0; life < 4; life++) {
			sb = life % 2 ? next_life_clean(sb, &now) : next_life_after_kill(sb, &now);
			ck_assert(has_dict(sb) == (with > 0));
			check_tree(sb);
			write_filled(sb, look_ino(sb, FS_ROOT_INO, "big"), 1, 0, 10);
			fs_forget(sb, look_ino(sb, FS_ROOT_INO, "big"), 2);
		}
		ck_assert_int_eq(super_check(sb), 0);
		if (with == 0) {
			fixture_exit(sb);
			continue;
		}
		/* A program that knows none refuses it, and so does one that was asked for none. */
		fd = keep_fd(sb);
		super_detach(sb);
		ck_assert_int_eq(super_attach(&params, fd, text, &sb), -EINVAL);
		ck_assert_ptr_nonnull(strstr(text, "compress=auto and another dictionary"));
		fixture_exit(attach_params(&now, fd));
	}
}
END_TEST

START_TEST(test_records_are_kept_over_lives)
{
	struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	char data[SUPER_RECORD_MAX + 1] = "terms", back[SUPER_RECORD_MAX];

	ck_assert_int_eq(super_record_get(sb, SUPER_RECORD_INIT_REQUEST, back, sizeof(back)), 0);
	ck_assert_int_eq(super_record_set(sb, SUPER_RECORD_INIT_REQUEST, data, 104), 0);
	ck_assert_int_eq(super_record_set(sb, SUPER_NR_RECORDS, data, 1), -EINVAL);
	ck_assert_int_eq(super_record_set(sb, 0, data, SUPER_RECORD_MAX + 1), -E2BIG);
	sb = next_life_after_kill(sb, &params);
	ck_assert_int_eq(super_record_get(sb, SUPER_RECORD_INIT_REQUEST, back, sizeof(back)), 104);
	ck_assert(memcmp(back, data, 104) == 0);
	ck_assert_int_eq(super_record_get(sb, SUPER_RECORD_INIT_REQUEST, back, 50), -E2BIG);
	ck_assert_int_eq(super_record_get(sb, SUPER_NR_RECORDS, back, 50), -EINVAL);
	fixture_exit(sb);
}
END_TEST

static struct ztmpfs_stat stat_of(struct super *sb)
{
	struct ztmpfs_stat stat;

	get_stat(sb, &stat);
	return stat;
}

START_TEST(test_what_was_set_is_set_in_later_lives)
{
	struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	struct ztmpfs_set set = { .which = ZTMPFS_SET_SIZE | ZTMPFS_SET_INODES,
				  .size = 64 * MIB,
				  .nr_inodes = 1000 };
	char options[448];

	make_tree(sb);
	ck_assert_int_eq(super_set(sb, &set), 0);
	set = (struct ztmpfs_set){ .which = ZTMPFS_SET_SIZE | ZTMPFS_SET_COMPRESS, .size = 32 * MIB,
				   .compress = "zstd", .level = 3 };
	ck_assert_int_eq(super_set(sb, &set), 0);
	/* What is refused is not kept. */
	set = (struct ztmpfs_set){ .which = ZTMPFS_SET_INODES, .nr_inodes = 1 };
	ck_assert_int_eq(super_set(sb, &set), -EBUSY);
	for (unsigned life = 2; life < 6; life++) {
		sb = life % 2 ? next_life_clean(sb, &params) : next_life_after_kill(sb, &params);
		ck_assert_uint_eq(stat_of(sb).size_limit, 32 * MIB);
		ck_assert_uint_eq(stat_of(sb).inodes_limit, 1000);
		super_get_options(sb, options, sizeof(options));
		ck_assert_ptr_nonnull(strstr(options, "compress=zstd:3"));
		check_tree(sb);
		ck_assert_int_eq(super_check(sb), 0);
	}
	/* A limit that can no longer hold does not keep the others from holding. */
	set = (struct ztmpfs_set){ .which = ZTMPFS_SET_SIZE | ZTMPFS_SET_INODES, .size = 16 * MIB,
				   .nr_inodes = 1 };
	ck_assert_int_eq(super_record_set(sb, SUPER_RECORD_SET, &set, sizeof(set)), 0);
	sb = next_life_after_kill(sb, &params);
	ck_assert_uint_eq(stat_of(sb).size_limit, 16 * MIB);
	ck_assert_uint_eq(stat_of(sb).inodes_limit, 0);
	/* A mount that begins with an image has the limits that it is given. */
	params.from_image = true;
	sb = next_life_after_kill(sb, &params);
	ck_assert_uint_eq(stat_of(sb).size_limit, 0);
	ck_assert_int_eq(super_record_get(sb, SUPER_RECORD_SET, &set, sizeof(set)), 0);
	fixture_exit(sb);
}
END_TEST

START_TEST(test_want_of_memory_at_attach_leaves_the_arena_as_it_was)
{
	struct super_params params = fixture_params();

	/* After a kill, after a clean detach, and as an image, which has all names compared. */
	for (unsigned way = 0; way < 3; way++) {
		struct super *sb = fixture_init_params(&params), *next = NULL;
		const struct ztmpfs_file_attr attr = { .version = ZTMPFS_STAT_VERSION,
						       .which = ZTMPFS_ATTR_COMPRESS,
						       .level = 3,
						       .compress = "zstd" };
		struct ztmpfs_file_attr now;
		int fd = keep_fd(sb), err;
		char text[256];
		bool pending;
		long n = 0;

		make_tree(sb);
		ck_assert_int_eq(fs_set_settings(sb, &root_cred, look_ino(sb, FS_ROOT_INO, "big"), &attr), 0);
		if (way == 1)
			super_detach(sb);
		else
			super_leave(sb, false, NULL);
		params.from_image = way == 2;
		for (;;) {
			zt_fault_set(++n);
			text[0] = '\0';
			err = super_attach(&params, fd, text, &next);
			pending = zt_fault_pending();
			zt_fault_set(0);
			ck_assert_int_lt(n, 10000);
			if (err) {
				ck_assert_str_ne(text, "");
				ck_assert_int_eq(err, -ENOMEM);
				continue;
			}
			ck_assert_int_eq(fs_get_settings(next, look_ino(next, FS_ROOT_INO, "big"), &now), 0);
			ck_assert_str_eq(now.compress, "zstd");
			if (pending)
				break;
			/* What can be made later was not missed. */
			fd = keep_fd(next);
			super_leave(next, false, NULL);
		}
		ck_assert_int_gt(n, 5);
		check_tree(next);
		fixture_exit(next);
		params.from_image = false;
	}
}
END_TEST

static Suite *attach_suite(void)
{
	Suite *suite = suite_create("attach");
	TCase *tcase = tcase_create("lives");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_after_a_clean_detach_all_is_there);
	tcase_add_test(tcase, test_after_a_clean_detach_promises_hold_and_cluster_maps_are_folded);
	tcase_add_test(tcase, test_after_a_kill_all_is_there);
	tcase_add_test(tcase, test_a_mount_that_carries_swap_goes_on_after_a_kill);
	tcase_add_test(tcase, test_references_and_open_files_without_a_name_stay);
	tcase_add_test(tcase, test_recompressed_content_dictionaries_and_settings_stay);
	tcase_add_test(tcase, test_a_mount_made_without_a_dictionary_goes_on_without);
	tcase_add_test(tcase, test_records_are_kept_over_lives);
	tcase_add_test(tcase, test_what_was_set_is_set_in_later_lives);
	tcase_add_test(tcase, test_want_of_memory_at_attach_leaves_the_arena_as_it_was);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return zt_check_main(attach_suite());
}
