// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_settings.c - how single files want to be compressed: who may say so, who inherits it; and
 * options of a mount that change while it is in use.
 *
 * Tests usage.c of blkmap/content, too.
 */
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>

#include "blkmap/parts.h"
#include "fs/fileattr.h"
#include "fs/settings.h"
#include "fs/tune.h"
#include "fs/xattr.h"
#include "tests/fs/fixture.h"
#include "util/alloc.h"

#define SIZE ((size_t)300000)

static struct super *sb;
static const struct fs_cred other_cred = { .uid = 1001, .gid = 1000 };
static ino_nr dir, file;
static char content[SIZE], buf[SIZE];

static void setup(void)
{
	struct super_params params = fixture_params();
	uint64_t seed = 1;

	params.content.recompress = "zstd";
	params.content.recompress_level = ZCOMP_LEVEL_DEFAULT;
	sb = fixture_init_params(&params);
	dir = make_dir(sb, FS_ROOT_INO, "dir");
	file = make_file(sb, dir, "file");
	/* Each algorithm can make something of it. */
	for (size_t i = 0; i < SIZE; i++)
		content[i] = i % 4096 < 2000 ? 'a' : "etaoin shrdlucmf"[zt_random(&seed) % 16];
}

static void teardown(void)
{
	fixture_exit(sb);
}

static int set(ino_nr ino, const struct fs_cred *cred, const char *compress, int32_t level,
	       uint64_t cluster)
{
	struct ztmpfs_file_attr attr = {
		.version = ZTMPFS_STAT_VERSION,
		.which =
			(compress ? ZTMPFS_ATTR_COMPRESS : 0) | (cluster ? ZTMPFS_ATTR_CLUSTER : 0),
		.cluster_size = cluster,
		.level = level,
	};

	if (compress)
		snprintf(attr.compress, sizeof(attr.compress), "%s", compress);
	return fs_set_settings(sb, cred, ino, &attr);
}

static int set_compress(ino_nr ino, const char *compress)
{
	return set(ino, &user_cred, compress, ZCOMP_LEVEL_DEFAULT, 0);
}

static void check_settings(ino_nr ino, const char *compress, int32_t level, uint64_t cluster)
{
	struct ztmpfs_file_attr attr;

	ck_assert_int_eq(fs_get_settings(sb, ino, &attr), 0);
	ck_assert_str_eq(attr.compress, compress);
	ck_assert_int_eq(attr.level, level);
	ck_assert_uint_eq(attr.cluster_size, cluster);
}

/* Pages that are stored by @codec, and that all of the file is. */
static void check_stored(ino_nr ino, const char *codec)
{
	struct ztmpfs_file_stat stat;
	size_t len = 0;

	ck_assert_int_eq(fs_file_stat(sb, ino, &stat), 0);
	ck_assert_str_eq(stat.codecs[0].name, codec);
	ck_assert_uint_eq(stat.codecs[0].pages, stat.allocated / 4096);
	ck_assert_int_eq(fs_read(sb, ino, 0, buf, SIZE, &len), 0);
	ck_assert_uint_eq(len, SIZE);
	ck_assert_int_eq(memcmp(buf, content, SIZE), 0);
}

START_TEST(test_new_files_and_directories_inherit_and_renaming_keeps)
{
	struct fs_entry entry;
	ino_nr sub, below;

	check_settings(file, "default", 0, 65536);
	ck_assert_int_eq(set(dir, &user_cred, "zstd", 5, 131072), 0);
	check_settings(dir, "zstd", 5, 131072);
	check_settings(file, "default", 0, 65536);
	sub = make_dir(sb, dir, "sub");
	below = make_file(sb, sub, "below");
	check_settings(sub, "zstd", 5, 131072);
	check_settings(below, "zstd", 5, 131072);
	write_all(sb, below, 0, content, SIZE);
	check_stored(below, "zstd");
	ck_assert_int_eq(rename_name(sb, &user_cred, sub, "below", FS_ROOT_INO, "above", 0), 0);
	check_settings(below, "zstd", 5, 131072);
	/* The directory changes, what is in it does not. */
	ck_assert_int_eq(set_compress(sub, "default"), 0);
	check_settings(sub, "default", 0, 131072);
	check_settings(below, "zstd", 5, 131072);
	ck_assert_int_eq(fs_symlink(sb, &user_cred, dir, "link", "x", &entry), 0);
	ck_assert_int_eq(set_compress(entry.ino, "none"), -ENOTTY);
}
END_TEST

START_TEST(test_contents_are_stored_as_they_are_or_by_the_algorithm_and_stay_so)
{
	static const char *const names[] = { "zstd", "lz4hc" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char name[8] = { (char)('a' + i) };
		ino_nr ino = make_file(sb, dir, name);

		ck_assert_int_eq(set_compress(ino, names[i]), 0);
		write_all(sb, ino, 0, content, SIZE);
		check_stored(ino, names[i]);
		blkmap_recompress(sb->map, 0);
		check_stored(ino, names[i]);
	}
	ck_assert_int_eq(set_compress(file, "none"), 0);
	write_all(sb, file, 0, content, SIZE);
	check_stored(file, "none");
	ck_assert_uint_eq(blkmap_recompress(sb->map, 0), 0);
	check_stored(file, "none");
	/* Small changes, and folding them, go the same way. */
	memset(content + 100000, 'x', 5000);
	write_all(sb, file, 100000, content + 100000, 5000);
	check_stored(file, "none");
	ck_assert_uint_ge(fold_idle(&sb->map->upkeep.folder, 0), 1);
	check_stored(file, "none");
	/* Back to the mount's: what is written from now on. */
	ck_assert_int_eq(set_compress(file, "default"), 0);
	check_stored(file, "none");
	write_all(sb, file, 0, content, SIZE);
	check_stored(file, "lz4");
	ck_assert_uint_gt(blkmap_recompress(sb->map, 0), 0);
	check_stored(file, "zstd");
}
END_TEST

static void check_flags(ino_nr ino, uint32_t want)
{
	uint32_t flags;

	ck_assert_int_eq(fs_get_flags(sb, ino, &flags), 0);
	ck_assert_uint_eq(flags, want);
}

START_TEST(test_two_of_chattrs_flags_are_settings)
{
	check_flags(file, 0);
	ck_assert_int_eq(fs_set_flags(sb, NULL, dir, FS_NOCOMP_FL | FS_NODUMP_FL), 0);
	check_flags(dir, FS_NOCOMP_FL | FS_NODUMP_FL);
	check_settings(dir, "none", 0, 65536);
	/* Inherited as settings are. */
	check_flags(make_file(sb, dir, "below"), FS_NOCOMP_FL | FS_NODUMP_FL);
	ck_assert_int_eq(fs_set_flags(sb, NULL, file, FS_NOCOMP_FL | FS_COMPR_FL), -EINVAL);
	ck_assert_int_eq(fs_set_flags(sb, NULL, file, FS_NOCOMP_FL | FS_SYNC_FL), -EOPNOTSUPP);
	check_flags(file, 0);
	/* chattr -m, +c and -c of "none": as the mount has it. */
	ck_assert_int_eq(fs_set_flags(sb, NULL, dir, FS_NODUMP_FL), 0);
	check_settings(dir, "default", 0, 65536);
	ck_assert_int_eq(set_compress(dir, "none"), 0);
	ck_assert_int_eq(fs_set_flags(sb, NULL, dir, FS_COMPR_FL), 0);
	check_settings(dir, "default", 0, 65536);
	check_flags(dir, 0);
	/* One of its own stays, until it shall go. */
	ck_assert_int_eq(set(file, &user_cred, "zstd", 5, 0), 0);
	check_flags(file, FS_COMPR_FL);
	ck_assert_int_eq(fs_set_flags(sb, NULL, file, FS_COMPR_FL | FS_IMMUTABLE_FL), 0);
	check_settings(file, "zstd", 5, 65536);
	ck_assert_int_eq(fs_set_flags(sb, NULL, file, 0), 0);
	check_settings(file, "default", 0, 65536);
	/* Others may not, as with all flags. */
	ck_assert_int_eq(fs_set_flags(sb, &other_cred, file, FS_NOCOMP_FL), -EPERM);
	check_flags(file, 0);
}
END_TEST

START_TEST(test_no_algorithm_is_chosen_where_the_mount_compresses_nothing)
{
	ck_assert_int_eq(blkmap_set_compress(sb->map, "none", ZCOMP_LEVEL_DEFAULT), 0);
	ck_assert_int_eq(fs_set_flags(sb, NULL, file, FS_COMPR_FL), -EOPNOTSUPP);
	ck_assert_int_eq(set_compress(file, "zstd"), 0);
	check_flags(file, FS_COMPR_FL);
}
END_TEST

/* The value of the attribute, or -errno. */
static int set_text(ino_nr ino, const struct fs_cred *cred, const char *text)
{
	return fs_set_setting_text(sb, cred, ino, text, strlen(text));
}

static void check_text(ino_nr ino, const char *want)
{
	char text[64];
	size_t len = 0, asked = 0;

	ck_assert_int_eq(fs_get_setting_text(sb, ino, text, 0, &asked), 0);
	ck_assert_int_eq(fs_get_setting_text(sb, ino, text, sizeof(text), &len), 0);
	ck_assert_uint_eq(len, strlen(want));
	ck_assert_uint_eq(asked, len);
	ck_assert_mem_eq(text, want, len);
	ck_assert_int_eq(fs_get_setting_text(sb, ino, text, len - 1, &len),
			 -ERANGE);
}

START_TEST(test_an_attribute_is_another_way_to_a_setting)
{
	static const char name[] = "user.ztmpfs.compress";
	static const char *const wrong[] = { "",       "nosuch", "zstd:99", "zstd:x",
					     "none:1", ":3",     "lz4,x",
					     ("zstd:1                                            "
					      "                                                  ") };
	struct fs_entry fifo;
	size_t len;

	ck_assert_int_eq(fs_get_setting_text(sb, file, buf, SIZE, &len), -ENODATA);
	ck_assert_int_eq(set_text(file, &user_cred, "zstd:5"), 0);
	check_text(file, "zstd:5");
	check_settings(file, "zstd", 5, 65536);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		ck_assert_msg(set_text(file, &user_cred, wrong[i]) == -EINVAL, "%s", wrong[i]);
	ck_assert_int_eq(fs_set_setting_text(sb, &user_cred, file, "none\0x", 6), -EINVAL);
	ck_assert_int_eq(set_text(file, &other_cred, "none"), -EPERM);
	check_text(file, "zstd:5");
	ck_assert_int_eq(set_text(file, &root_cred, "none"), 0);
	check_text(file, "none");
	ck_assert_int_eq(set_text(file, &user_cred, "default"), 0);
	ck_assert_int_eq(fs_get_setting_text(sb, file, buf, SIZE, &len), -ENODATA);
	/* It is in no list, and is not stored as others are. */
	ck_assert_int_eq(set_text(dir, &user_cred, "lz4hc:3"), 0);
	check_text(make_file(sb, dir, "below"), "lz4hc:3");
	ck_assert_int_eq(fs_listxattr(sb, dir, true, buf, SIZE, &len), 0);
	ck_assert_uint_eq(len, 0);
	ck_assert_int_eq(fs_setxattr(sb, dir, name, "none", 4, 0), -EOPNOTSUPP);
	ck_assert_int_eq(fs_removexattr(sb, dir, name), -EOPNOTSUPP);
	ck_assert_int_eq(fs_getxattr(sb, dir, name, buf, SIZE, &len), -ENODATA);
	ck_assert_int_eq(fs_mknod(sb, &user_cred, dir, "fifo", S_IFIFO | 0644, 0, &fifo), 0);
	ck_assert_int_eq(set_text(fifo.ino, &user_cred, "none"), -EOPNOTSUPP);
	ck_assert_int_eq(fs_get_setting_text(sb, fifo.ino, buf, SIZE, &len), -ENODATA);
	ck_assert_int_eq(set_text(file + 1000, &user_cred, "none"), -ESTALE);
}
END_TEST

START_TEST(test_what_an_algorithm_cannot_shrink_is_not_recompressed)
{
	uint64_t seed = 2;

	for (size_t i = 0; i < SIZE; i++)
		content[i] = (char)zt_random(&seed);
	ck_assert_int_eq(set_compress(file, "zstd"), 0);
	write_all(sb, file, 0, content, SIZE);
	check_stored(file, "none");
	ck_assert_uint_eq(blkmap_recompress(sb->map, 0), 0);
	/* Nothing was even tried. */
	{
		struct ztmpfs_stat stat;

		super_get_stat(sb, &stat);
		ck_assert_uint_eq(stat.recompress_kept, 0);
	}
}
END_TEST

START_TEST(test_clusters_change_while_a_file_is_empty_only)
{
	struct stat attr = { .st_size = 0 };

	ck_assert_int_eq(set(file, &user_cred, NULL, 0, 4096), 0);
	check_settings(file, "default", 0, 4096);
	write_all(sb, file, 0, content, SIZE);
	ck_assert_int_eq(set(file, &user_cred, NULL, 0, 131072), -ENOTEMPTY);
	ck_assert_int_eq(set(file, &user_cred, NULL, 0, 4096), 0);
	check_settings(file, "default", 0, 4096);
	check_stored(file, "lz4");
	ck_assert_int_eq(fs_setattr(sb, &user_cred, file, &attr, FS_SET_SIZE, &attr), 0);
	/* Empty to look at, but with room that was asked for. */
	ck_assert_int_eq(fs_fallocate(sb, &user_cred, file, FALLOC_FL_KEEP_SIZE, 0, 100000), 0);
	ck_assert_int_eq(set(file, &user_cred, NULL, 0, 131072), -ENOTEMPTY);
	ck_assert_int_eq(fs_fallocate(sb, &user_cred, file,
				      FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, SIZE),
			 0);
	ck_assert_int_eq(set(file, &user_cred, NULL, 0, 131072), 0);
	write_all(sb, file, 0, content, SIZE);
	check_settings(file, "default", 0, 131072);
	check_stored(file, "lz4");
}
END_TEST

START_TEST(test_only_owner_and_root_may_and_only_what_there_is)
{
	struct ztmpfs_file_attr attr;

	ck_assert_int_eq(set(file, &other_cred, "none", 0, 0), -EPERM);
	ck_assert_int_eq(set(file, &root_cred, "none", 0, 0), 0);
	ck_assert_int_eq(set(file, &user_cred, NULL, 0, 0), -EINVAL);
	ck_assert_int_eq(set(file, &user_cred, NULL, 0, 5000), -EINVAL);
	ck_assert_int_eq(set(file, &user_cred, NULL, 0, 262144), -EINVAL);
	ck_assert_int_eq(set(file, &user_cred, "zstd", 99, 0), -EINVAL);
	ck_assert_int_eq(set(file, &user_cred, "nosuch", 1, 0), -ENOENT);
	ck_assert_int_eq(set(file, &user_cred, "/tmp/module.so", 1, 0), -ENOENT);
	ck_assert_int_eq(set(file + 1, &user_cred, "none", 0, 0), -ESTALE);
	ck_assert_int_eq(fs_get_settings(sb, file + 1, &attr), -ESTALE);
	check_settings(file, "none", 0, 65536);
	memset(&attr, 'x', sizeof(attr));
	attr.which = ZTMPFS_ATTR_COMPRESS;
	ck_assert_int_eq(fs_set_settings(sb, &user_cred, file, &attr), -EINVAL);
	attr.which = 4;
	ck_assert_int_eq(fs_set_settings(sb, &user_cred, file, &attr), -EINVAL);
}
END_TEST

/* A file each for three levels of zstd. */
static void fill_table(ino_nr inos[3])
{
	for (int32_t i = 0; i < 3; i++) {
		char name[8] = { (char)('1' + i) };

		inos[i] = make_file(sb, dir, name);
		ck_assert_int_eq(set(inos[i], &root_cred, "zstd", i + 1, 0), 0);
	}
}

START_TEST(test_a_mount_takes_three_different_ones_at_a_time)
{
	ino_nr inos[3];

	fill_table(inos);
	ck_assert_int_eq(set(file, &user_cred, "zstd", 4, 0), -ENOSPC);
	check_settings(file, "default", 0, 65536);
	ck_assert_int_eq(set(file, &user_cred, "zstd", 1, 0), 0);
	check_settings(file, "zstd", 1, 65536);
	/* Two have the first one, none the second. */
	ck_assert_int_eq(set_compress(inos[0], "none"), 0);
	ck_assert_int_eq(set(inos[0], &user_cred, "zstd", 4, 0), -ENOSPC);
	ck_assert_int_eq(set_compress(inos[1], "none"), 0);
	ck_assert_int_eq(set(inos[0], &user_cred, "zstd", 4, 0), 0);
	check_settings(inos[0], "zstd", 4, 65536);
	check_settings(file, "zstd", 1, 65536);
	check_settings(inos[2], "zstd", 3, 65536);
	write_all(sb, inos[0], 0, content, SIZE);
	check_stored(inos[0], "zstd");
}
END_TEST

START_TEST(test_one_user_does_not_take_all_of_them)
{
	const struct fs_cred other = { .uid = 1001, .gid = 1001 };
	ino_nr inos[2] = { make_file(sb, dir, "1"), make_file(sb, dir, "2") }, his;
	struct fs_entry entry;

	ck_assert_int_eq(fs_mknod(sb, &other, dir, "his", S_IFREG | 0644, 0, &entry), 0);
	his = entry.ino;
	for (int32_t i = 0; i < 2; i++)
		ck_assert_int_eq(set(inos[i], &user_cred, "zstd", i + 1, 0), 0);
	ck_assert_int_eq(set(file, &user_cred, "zstd", 3, 0), -EDQUOT);
	check_settings(file, "default", 0, 65536);
	ck_assert_int_eq(set(his, &other, "zstd", 3, 0), 0);
	/* What others have made is there for all. */
	ck_assert_int_eq(set(file, &user_cred, "zstd", 3, 0), 0);
	ck_assert_int_eq(set(his, &other, "zstd", 4, 0), -ENOSPC);
	/* What is given up can be made anew. */
	ck_assert_int_eq(set(inos[0], &user_cred, "none", 0, 0), 0);
	ck_assert_int_eq(set(inos[0], &user_cred, "zstd", 5, 0), 0);
}
END_TEST

START_TEST(test_many_in_turn_do_not_use_the_table_up)
{
	for (int32_t level = 1; level <= 19; level++) {
		ck_assert_int_eq(set(file, &user_cred, "zstd", level, 0), 0);
		check_settings(file, "zstd", level, 65536);
	}
}
END_TEST

START_TEST(test_an_entry_stays_while_contents_need_it)
{
	struct fs_entry entry;
	ino_nr inos[3], copy = make_file(sb, dir, "copy");
	uint64_t done = 0;

	fill_table(inos);
	write_all(sb, inos[0], 0, content, SIZE);
	ck_assert_int_eq(set_compress(inos[0], "default"), 0);
	ck_assert_int_eq(set(file, &user_cred, "zstd", 4, 0), -ENOSPC);
	check_stored(inos[0], "zstd");
	/* A copy that shares the objects keeps them. */
	ck_assert_int_eq(fs_copy_range(sb, &user_cred, inos[0], 0, copy, 0, SIZE, &done), 0);
	ck_assert_uint_eq(done, SIZE);
	write_all(sb, inos[0], 0, content, SIZE);
	check_stored(inos[0], "lz4");
	ck_assert_int_eq(set(file, &user_cred, "zstd", 4, 0), -ENOSPC);
	check_stored(copy, "zstd");
	write_all(sb, copy, 0, content, SIZE);
	ck_assert_int_eq(set(file, &user_cred, "zstd", 4, 0), 0);
	/* Small changes over a cluster are to be folded by it. */
	write_all(sb, inos[1], 0, content, SIZE);
	write_all(sb, inos[1], 8192, content + 8192, 4096);
	ck_assert_int_eq(set_compress(inos[1], "default"), 0);
	ck_assert_int_eq(set(copy, &user_cred, "zstd", 5, 0), -ENOSPC);
	ck_assert_uint_ge(fold_idle(&sb->map->upkeep.folder, 0), 1);
	check_stored(inos[1], "zstd");
	ck_assert_int_eq(fs_unlink(sb, dir, "2"), 0);
	fs_forget(sb, inos[1], 1);
	ck_assert_int_eq(set(copy, &user_cred, "zstd", 5, 0), 0);
	/* And by what it has inherited. */
	ck_assert_int_eq(set(dir, &user_cred, "zstd", 5, 0), 0);
	ck_assert_int_eq(fs_mknod(sb, &user_cred, dir, "heir", S_IFREG | 0644, 0, &entry), 0);
	ck_assert_int_eq(set_compress(copy, "default"), 0);
	ck_assert_int_eq(set_compress(dir, "default"), 0);
	ck_assert_int_eq(set(copy, &root_cred, "zstd", 6, 0), -ENOSPC);
	check_settings(entry.ino, "zstd", 5, 65536);
	ck_assert_int_eq(fs_unlink(sb, dir, "heir"), 0);
	fs_forget(sb, entry.ino, 1);
	ck_assert_int_eq(set(copy, &user_cred, "zstd", 6, 0), 0);
}
END_TEST

START_TEST(test_walker_finds_a_wrong_count_of_users)
{
	ck_assert_int_eq(set_compress(file, "zstd"), 0);
	ck_assert_int_eq(super_check(sb), 0);
	sb->map->slots.account.setting_users[0]++;
	ck_assert_int_eq(super_check(sb), -EUCLEAN);
	sb->map->slots.account.setting_users[0]--;
}
END_TEST

#define RACE_ROUNDS 200

struct racer {
	ino_nr ino;
	uint64_t seed;
};

/* Settings come and go while files are written by them, folded, told about and read. */
static void *race(void *arg)
{
	static const char *const names[] = { "zstd", "lz4hc", "lz4", "none", "default" };
	struct racer *racer = arg;
	static _Thread_local char mine[131072];

	for (unsigned i = 0; i < RACE_ROUNDS; i++) {
		uint64_t n = zt_random(&racer->seed) % ARRAY_SIZE(names), len = 0;
		uint64_t off = zt_random(&racer->seed) % 16 * 8192;
		struct ztmpfs_file_stat stat;
		int err = set(racer->ino, &user_cred, names[n],
			      n < 3 ? 1 + (int32_t)(zt_random(&racer->seed) % 3)
				    : ZCOMP_LEVEL_DEFAULT,
			      0);

		ck_assert(err == 0 || err == -ENOSPC || err == -EDQUOT ||
			  (err == -EINVAL && n == 1));
		if (i % 4)
			write_all(sb, racer->ino, off, content + off, 4096);
		else
			write_all(sb, racer->ino, 0, content, sizeof(mine));
		if (i % 8 == 3)
			(void)fold_idle(&sb->map->upkeep.folder, 0);
		ck_assert_int_eq(fs_file_stat(sb, racer->ino, &stat), 0);
		ck_assert_int_eq(fs_read(sb, racer->ino, 0, mine, sizeof(mine), &len), 0);
		ck_assert_uint_eq(len, sizeof(mine));
		ck_assert_int_eq(memcmp(mine, content, sizeof(mine)), 0);
	}
	return NULL;
}

START_TEST(test_settings_come_and_go_beside_reads_and_writes)
{
	pthread_t threads[4];
	struct racer racers[4];
	uint64_t seed = zt_seed();

	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
		char name[8] = { (char)('a' + i) };

		racers[i] = (struct racer){ make_file(sb, dir, name), seed + i };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}
END_TEST

START_TEST(test_no_memory_for_a_setting_changes_nothing)
{
	long n = 1;
	int err;

	do {
		zt_fault_set(n++);
		err = set_compress(file, "zstd");
		zt_fault_set(0);
		if (err) {
			ck_assert_int_eq(err, -ENOMEM);
			check_settings(file, "default", 0, 65536);
		}
	} while (err);
	ck_assert_int_gt(n, 3);
	write_all(sb, file, 0, content, SIZE);
	check_stored(file, "zstd");
}
END_TEST

START_TEST(test_options_of_a_mount_change_together_or_not_at_all)
{
	const uint32_t limits = ZTMPFS_SET_SIZE | ZTMPFS_SET_INODES | ZTMPFS_SET_MEM;
	struct ztmpfs_set want = { .which = limits | ZTMPFS_SET_COMPRESS,
				   .size = 64 * MIB,
				   .nr_inodes = 1000,
				   .mem_limit = 1,
				   .level = ZCOMP_LEVEL_DEFAULT,
				   .compress = "zstd" };
	char before[256], after[256];

	super_get_options(sb, before, sizeof(before));
	ck_assert_ptr_nonnull(strstr(before, ",recompress=zstd@0,dicts="));
	/* The last limit is refused, after the others; then what comes behind the limits. */
	ck_assert_int_eq(super_set(sb, &want), -EBUSY);
	super_get_options(sb, after, sizeof(after));
	ck_assert_str_eq(after, before);
	want.mem_limit = 512 * MIB;
	snprintf(want.compress, sizeof(want.compress), "nonesuch");
	ck_assert_int_eq(super_set(sb, &want), -ENOENT);
	super_get_options(sb, after, sizeof(after));
	ck_assert_str_eq(after, before);
	snprintf(want.compress, sizeof(want.compress), "zstd");
	ck_assert_int_eq(super_set(sb, &want), 0);
	super_get_options(sb, after, sizeof(after));
	ck_assert_ptr_nonnull(strstr(after, "size=64m,nr_inodes=1000,mem_limit=512m,compress=zstd"));
	/* What is not named stays, whatever else is said of it. */
	want = (struct ztmpfs_set){ .which = ZTMPFS_SET_SIZE, .size = 32 * MIB };
	ck_assert_int_eq(super_set(sb, &want), 0);
	super_get_options(sb, after, sizeof(after));
	ck_assert_ptr_nonnull(strstr(after, "size=32m,nr_inodes=1000,mem_limit=512m,compress=zstd"));
	want = (struct ztmpfs_set){ .which = ZTMPFS_SET_MEM, .mem_limit = 256 * MIB };
	ck_assert_int_eq(super_set(sb, &want), 0);
	super_get_options(sb, after, sizeof(after));
	ck_assert_ptr_nonnull(strstr(after, "size=32m,nr_inodes=1000,mem_limit=256m,compress=zstd"));
}
END_TEST

START_TEST(test_each_option_of_upkeep_is_set_by_itself)
{
	struct ztmpfs_set want = { .which = ZTMPFS_SET_DEDUP, .dedup = 1 };
	struct super_params params = fixture_params();
	struct blkmap_tuning tuning;
	struct super *other;

	ck_assert_int_eq(super_set(sb, &want), -EOPNOTSUPP); /* it was made without */
	params.content.recompress = "zstd";
	params.content.recompress_level = ZCOMP_LEVEL_DEFAULT;
	params.content.recompress_idle = 60;
	params.content.dedup = true;
	other = fixture_init_params(&params);
	want.dedup = 0;
	ck_assert_int_eq(super_set(other, &want), 0);
	blkmap_get_tuning(other->map, &tuning);
	ck_assert(!tuning.dedup && tuning.recompress);
	ck_assert_uint_eq(tuning.recompress_idle, 60);
	want = (struct ztmpfs_set){ .which = ZTMPFS_SET_DEDUP | ZTMPFS_SET_IDLE, .dedup = 1, .idle = 7 };
	ck_assert_int_eq(super_set(other, &want), 0);
	blkmap_get_tuning(other->map, &tuning);
	ck_assert(tuning.dedup && tuning.recompress);
	ck_assert_uint_eq(tuning.recompress_idle, 7);
	want = (struct ztmpfs_set){ .which = ZTMPFS_SET_RECOMPRESS, .recompress = 0 };
	ck_assert_int_eq(super_set(other, &want), 0);
	blkmap_get_tuning(other->map, &tuning);
	ck_assert(!tuning.recompress);
	fixture_exit(other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("settings");
	TCase *tc = tcase_create("settings");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_new_files_and_directories_inherit_and_renaming_keeps);
	tcase_add_test(tc, test_contents_are_stored_as_they_are_or_by_the_algorithm_and_stay_so);
	tcase_add_test(tc, test_two_of_chattrs_flags_are_settings);
	tcase_add_test(tc, test_no_algorithm_is_chosen_where_the_mount_compresses_nothing);
	tcase_add_test(tc, test_an_attribute_is_another_way_to_a_setting);
	tcase_add_test(tc, test_what_an_algorithm_cannot_shrink_is_not_recompressed);
	tcase_add_test(tc, test_clusters_change_while_a_file_is_empty_only);
	tcase_add_test(tc, test_only_owner_and_root_may_and_only_what_there_is);
	tcase_add_test(tc, test_a_mount_takes_three_different_ones_at_a_time);
	tcase_add_test(tc, test_one_user_does_not_take_all_of_them);
	tcase_add_test(tc, test_many_in_turn_do_not_use_the_table_up);
	tcase_add_test(tc, test_an_entry_stays_while_contents_need_it);
	tcase_add_test(tc, test_walker_finds_a_wrong_count_of_users);
	tcase_add_test(tc, test_settings_come_and_go_beside_reads_and_writes);
	tcase_add_test(tc, test_no_memory_for_a_setting_changes_nothing);
	tcase_add_test(tc, test_options_of_a_mount_change_together_or_not_at_all);
	tcase_add_test(tc, test_each_option_of_upkeep_is_set_by_itself);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
