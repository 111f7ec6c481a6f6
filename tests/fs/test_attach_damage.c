// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_attach_damage.c - what an attach puts right, each half state planted, and what it refuses: other
 * options, other layouts, damage. Tests attach.c, attach_names.c, attach_inodes.c, record.c, and the
 * arena's superblock.c and attach.c.
 */
#include <sys/mman.h>

#include "arena/arena_i.h"
#include "fs/dir.h"
#include "fs/dirblock.h"
#include "tests/fs/attach_fixture.h"
#include "zsmalloc/pool_i.h"

#ifdef ZT_SANITIZERS /* each process costs them half a second */
#define NR_DAMAGED 25u
#else
#define NR_DAMAGED 150u
#endif

static int try_attach(const struct super_params *params, int fd, char text[256])
{
	struct super *sb = NULL;
	int err;

	text[0] = '\0';
	err = super_attach(params, fd, text, &sb);
	if (!err)
		super_leave(sb, false, NULL);
	else
		ck_assert_str_ne(text, "");
	return err;
}

static struct inode_rec *rec_of(struct super *sb, ino_nr ino)
{
	struct inode_rec *rec = inode_get(sb, ino);

	ck_assert_ptr_nonnull(rec);
	return rec;
}

/* ---- put right ---- */

static void plant_lost_inode(struct super *sb, const char *target)
{
	const struct inode_init init = {
		.mode = (mode_t)(target ? S_IFLNK : S_IFREG) | 0644,
		.target = target,
		.target_len = target ? strlen(target) : 0,
	};
	struct inode_rec *rec;
	ino_nr ino;

	ck_assert_int_eq(inode_alloc(sb, &init, &ino, &rec), 0);
}

START_TEST(test_inodes_that_no_name_leads_to_are_freed)
{
	const struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	struct super_attach_report report;
	ref_t ref;

	make_tree(sb);
	plant_lost_inode(sb, NULL);
	plant_lost_inode(sb, "a target that is longer than nothing");
	/* A link that was killed before its target was stored, and a record of nothing yet. */
	plant_lost_inode(sb, "x");
	for (uint64_t ino = 1; inodeset_next(&sb->live, ino, &ino); ino++)
		if (S_ISLNK(rec_of(sb, ino)->mode) && rec_of(sb, ino)->size == 1)
			rec_of(sb, ino)->tree_word = 0;
	ck_assert_int_eq(zs_malloc(sb->inodes, sizeof(struct inode_rec), &ref), 0);
	sb = next_life_after_kill(sb, &params);
	report = report_of(sb);
	ck_assert_uint_eq(report.lost_inodes, 4);
	ck_assert_uint_eq(report.swept_meta, 2);
	ck_assert_uint_eq(super_attach_repairs(&report), 6);
	check_tree(sb);
	fixture_exit(sb);
}
END_TEST

START_TEST(test_counts_of_links_and_entries_follow_the_names)
{
	const struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	struct super_attach_report report;
	ino_nr dir;

	make_tree(sb);
	dir = look_ino(sb, FS_ROOT_INO, "dir");
	rec_of(sb, look_ino(sb, FS_ROOT_INO, "big"))->nlink = 3;
	rec_of(sb, dir)->nlink = 2;
	rec_of(sb, dir)->nr_pages--;
	rec_of(sb, look_ino(sb, dir, "sub"))->parent = FS_ROOT_INO;
	sb = next_life_after_kill(sb, &params);
	report = report_of(sb);
	ck_assert_uint_eq(report.link_counts, 2);
	ck_assert_uint_eq(report.dir_counts, 1);
	ck_assert_uint_eq(report.parents, 1);
	ck_assert_uint_eq(super_attach_repairs(&report), 4);
	check_tree(sb);
	fixture_exit(sb);
}
END_TEST

/* A rename that was killed: the name where the directory says it is stays, or, in one folder, either. */
START_TEST(test_of_two_names_of_a_directory_one_stays)
{
	const struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	struct super_attach_report report;
	struct fs_name name;
	struct dir dir;
	ino_nr a, moved;

	make_tree(sb);
	a = make_dir(sb, FS_ROOT_INO, "a");
	moved = make_dir(sb, FS_ROOT_INO, "moved");
	ck_assert_int_eq(dir_open(sb, a, &dir), 0);
	ck_assert_int_eq(fs_name_init(sb, "new", &name), 0);
	ck_assert_int_eq(dir_add(&dir, &name, moved, S_IFDIR >> 12), 0);
	sb = next_life_after_kill(sb, &params);
	report = report_of(sb);
	ck_assert_uint_eq(report.second_names, 1);
	ck_assert_uint_eq(look_ino(sb, FS_ROOT_INO, "moved"), moved);
	ck_assert_uint_eq(attr_of(sb, a).st_nlink, 2);
	ck_assert_int_eq(super_check(sb), 0);
	/* Both in the root. */
	ck_assert_int_eq(dir_open(sb, FS_ROOT_INO, &dir), 0);
	ck_assert_int_eq(fs_name_init(sb, "new", &name), 0);
	ck_assert_int_eq(dir_make_index(&dir), 0);
	ck_assert_int_eq(dir_add(&dir, &name, moved, S_IFDIR >> 12), 0);
	sb = next_life_after_kill(sb, &params);
	ck_assert_uint_eq(report_of(sb).second_names, 1);
	ck_assert((look_ino(sb, FS_ROOT_INO, "new") != 0) !=
		  (look_ino(sb, FS_ROOT_INO, "moved") != 0));
	check_tree(sb);
	fixture_exit(sb);
}
END_TEST

START_TEST(test_blocks_without_names_go)
{
	const struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	struct super_attach_report report;
	struct dirblock_space space;
	uint64_t *block;
	ino_nr dir, file;
	ref_t ref;

	make_tree(sb);
	dir = make_dir(sb, FS_ROOT_INO, "emptied");
	file = make_file(sb, dir, "file");
	fs_forget(sb, file, 1);
	/* The name is gone, the block not yet. */
	ref = dir_word_ref(rec_of(sb, dir)->tree_word);
	block = zs_data(sb->arena, ref);
	dirblock_remove(block, zs_size(sb->arena, ref) / 8, 0, &space);
	sb = next_life_after_kill(sb, &params);
	report = report_of(sb);
	ck_assert_uint_eq(report.empty_blocks, 1);
	ck_assert_uint_eq(report.lost_inodes, 1);
	ck_assert_uint_eq(report.dir_counts, 1);
	check_tree(sb);
	fixture_exit(sb);
}
END_TEST

START_TEST(test_marks_of_attributes_and_dirty_ends_follow_what_is_there)
{
	const struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	struct super_attach_report report;
	ino_nr sparse, big;
	char byte;
	size_t got;

	make_tree(sb);
	sparse = look_ino(sb, FS_ROOT_INO, "sparse");
	rec_of(sb, sparse)->flags &= (uint16_t)~INODE_HAS_CAPABILITY;
	rec_of(sb, sparse)->flags |= INODE_HAS_ACL;
	big = make_file(sb, FS_ROOT_INO, "tail");
	write_filled(sb, big, 9, 0, 100000);
	rec_of(sb, big)->size = 70000; /* the write was under way, and its size not yet set */
	sb = next_life_after_kill(sb, &params);
	report = report_of(sb);
	ck_assert_uint_eq(report.hints, 1);
	ck_assert_uint_eq(report.tails, 1);
	ck_assert_uint_eq(super_attach_repairs(&report), 2);
	check_tree(sb);
	/* What the write left is not seen when the file grows. */
	write_all(sb, big, 100010, "z", 1);
	ck_assert_int_eq(fs_read(sb, big, 80000, &byte, 1, &got), 0);
	ck_assert_int_eq(byte, 0);
	fixture_exit(sb);
}
END_TEST

START_TEST(test_stray_pages_and_runs_of_no_use_go_back)
{
	const struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	struct super_attach_report report;
	struct zs_geometry geo;
	uint32_t last;
	ref_t ref;
	int fd;

	make_tree(sb);
	/* Taken and not yet put to use; populated after the run was freed; tails without a head. */
	zs_geometry_init(&geo, ZS_MIN_ROOM);
	ck_assert_int_eq(arena_run_alloc(sb->arena, geo.nr_pages, ARENA_RUN_ZSPAGE,
					 SUPER_POOL_META << ZS_USER_CLASS_BITS, &ref),
			 0);
	fd = keep_fd(sb);
	last = sb->arena->map_end - 1;
	ck_assert_uint_eq(sb->arena->map[last], 0);
	sb->arena->map[last] = 5u << 16 | ARENA_RUN_ZSPAGE;
	*(char *)arena_ptr(sb->arena, page_to_ref((uint64_t)sb->arena->first_page + last)) = 1;
	super_leave(sb, false, NULL);
	sb = attach_params(&params, fd);
	report = report_of(sb);
	ck_assert_uint_eq(report.map_entries, 1);
	ck_assert_uint_eq(report.stray_pages, 1);
	ck_assert_uint_eq(report.empty_runs, 1);
	ck_assert_uint_eq(super_attach_repairs(&report), 3);
	check_tree(sb);
	fixture_exit(sb);
}
END_TEST

/* ---- refused ---- */

struct refusal {
	const char *sentence;
	int err;
	void (*spoil)(struct super_params *params, struct super *sb);
};

static struct arena_superblock *arena_sb(struct super *sb)
{
	return arena_ptr(sb->arena, 0);
}

static void sum_anew(struct super *sb)
{
	const struct keyhash_key key = { .k0 = ARENA_MAGIC, .k1 = ARENA_LAYOUT };

	arena_sb(sb)->sum =
		keyhash(&key, arena_sb(sb), offsetof(struct arena_superblock, sum));
}

#define SPOIL(name, what)                                                    \
	static void name(struct super_params *params, struct super *sb)     \
	{                                                                    \
		(void)params;                                                \
		(void)sb;                                                    \
		what;                                                        \
	}

SPOIL(spoil_magic, arena_sb(sb)->magic++)
SPOIL(spoil_layout, arena_sb(sb)->layout++)
SPOIL(spoil_sum, arena_sb(sb)->uuid[3] ^= 4)
SPOIL(spoil_incompat, arena_sb(sb)->incompat |= UINT64_C(1) << 40; sum_anew(sb))
SPOIL(spoil_ro, arena_sb(sb)->ro_compat |= 1; sum_anew(sb))
SPOIL(spoil_reserve, arena_sb(sb)->reserve /= 2; sum_anew(sb))
SPOIL(spoil_first_page, arena_sb(sb)->first_page = 1024; sum_anew(sb))
SPOIL(spoil_state, arena_sb(sb)->state = 9)
SPOIL(spoil_fs_magic, sb->rec->magic = 0)
SPOIL(spoil_fs_version, sb->rec->version = SUPER_VERSION_PACKS + 1)
SPOIL(spoil_format, sb->rec->format.compress[1] ^= 1)
SPOIL(spoil_root, sb->rec->root++)
SPOIL(other_compress, params->content.comp.name = "zstd")
SPOIL(other_recompress, params->content.recompress = "zstd")
SPOIL(other_dict, params->content.comp.dict = "12345678"; params->content.comp.dict_size = 8)
SPOIL(other_swap, params->swap_reserve = MIB; params->mem_limit = 64 * MIB)

static const struct refusal refusals[] = {
	{ "this memory is no arena", -EUCLEAN, spoil_magic },
	{ "layout 3", -EPROTONOSUPPORT, spoil_layout },
	{ "sum is wrong", -EUCLEAN, spoil_sum },
	{ "features", -EPROTONOSUPPORT, spoil_incompat },
	{ "features", -EPROTONOSUPPORT, spoil_ro },
	{ "bytes from page", -EUCLEAN, spoil_reserve },
	{ "bytes from page", -EUCLEAN, spoil_first_page },
	{ "state is unknown", -EUCLEAN, spoil_state },
	{ "no filesystem", -EUCLEAN, spoil_fs_magic },
	{ "layout 5", -EPROTONOSUPPORT, spoil_fs_version },
	{ "sum is wrong", -EUCLEAN, spoil_format },
	{ "root", -EUCLEAN, spoil_root },
	{ "compress=lz4", -EINVAL, other_compress },
	{ "recompress=off", -EINVAL, other_recompress },
	{ "dictionary", -EINVAL, other_dict },
	{ "reserve for swap", -EINVAL, other_swap },
};

START_TEST(test_what_does_not_agree_is_refused_with_a_sentence)
{
	const struct refusal *refusal = &refusals[_i];
	struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params);
	char text[256];
	int fd = keep_fd(sb);

	refusal->spoil(&params, sb);
	super_leave(sb, false, NULL);
	ck_assert_int_eq(try_attach(&params, fd, text), refusal->err);
	ck_assert_msg(strstr(text, refusal->sentence) != NULL, "%s: %s", refusal->sentence, text);
	/* Once more: it has not become another one by that. */
	ck_assert_int_eq(try_attach(&params, fd, text), refusal->err);
	close(fd);
}
END_TEST

START_TEST(test_files_that_are_no_arena_are_refused)
{
	const struct super_params params = fixture_params();
	int fd = memfd_create("test", MFD_CLOEXEC);
	char text[256];

	ck_assert_int_eq(try_attach(&params, fd, text), -EUCLEAN);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	ck_assert_int_eq(try_attach(&params, fd, text), -EUCLEAN);
	close(fd);
	ck_assert_int_eq(try_attach(&params, -1, text), -EBADF);
}
END_TEST

/* ---- bits ---- */

static void flip(int fd, uint64_t off, unsigned bit)
{
	unsigned char byte;

	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)off), 1);
	byte ^= (unsigned char)(1u << bit);
	ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)off), 1);
}

/* What is populated, as the kernel has it: @off walks from one run of data to the next. */
static bool next_data(int fd, off_t *inout_off, off_t *out_end)
{
	*inout_off = lseek(fd, *inout_off, SEEK_DATA);
	if (*inout_off < 0)
		return false;
	*out_end = lseek(fd, *inout_off, SEEK_HOLE);
	return true;
}

static int copy_of(int fd)
{
	int copy = memfd_create("copy", MFD_CLOEXEC);
	off_t off = 0, end;

	ck_assert_int_ge(copy, 0);
	ck_assert_int_eq(ftruncate(copy, lseek(fd, 0, SEEK_END)), 0);
	for (; next_data(fd, &off, &end); off = end) {
		char *bytes = mmap(NULL, (size_t)(end - off), PROT_READ, MAP_SHARED, fd, off);

		ck_assert_ptr_ne(bytes, MAP_FAILED);
		ck_assert_int_eq(pwrite(copy, bytes, (size_t)(end - off), off), end - off);
		munmap(bytes, (size_t)(end - off));
	}
	return copy;
}

/* A byte of what is populated: each fourth time one of the first pages. */
static uint64_t random_place(int fd, uint64_t *seed)
{
	uint64_t all = 0, nr;
	off_t off = 0, end;

	for (; next_data(fd, &off, &end); off = end)
		all += (uint64_t)(end - off);
	nr = zt_random(seed) % (zt_random(seed) % 4 ? all : 3 * ZT_PAGE_SIZE);
	for (off = 0; next_data(fd, &off, &end) && nr >= (uint64_t)(end - off); off = end)
		nr -= (uint64_t)(end - off);
	return (uint64_t)off + nr;
}

/* Refused, or attached; what it is then, the walker says; in no case a crash. */
START_TEST(test_flipped_bits_are_refused_or_survived)
{
	const struct super_params params = fixture_params();
	struct super *sb = fixture_init_params(&params), *next;
	uint64_t seed = zt_seed();
	unsigned refused = 0, whole = 0, differs = 0;
	int fd, copy;
	char text[256];

	make_tree(sb);
	fd = keep_fd(sb);
	super_leave(sb, false, NULL);
	for (unsigned i = 0; i < NR_DAMAGED; i++) {
		pid_t child;
		int status;

		copy = copy_of(fd);
		for (unsigned n = 1 + i % 3; n > 0; n--)
			flip(copy, random_place(copy, &seed), (unsigned)(zt_random(&seed) % 8));
		fflush(NULL);
		child = fork();
		if (child == 0) {
			next = NULL;
			zt_log_set_sink(NULL);
			if (super_attach(&params, copy, text, &next) != 0)
				_exit(text[0] ? 1 : 3);
			_exit(super_check(next) == 0 ? 0 : 2);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) < 3, "%u: %x", i,
			      (unsigned)status);
		whole += WEXITSTATUS(status) == 0;
		refused += WEXITSTATUS(status) == 1;
		differs += WEXITSTATUS(status) == 2;
		close(copy);
	}
	printf("%u refused, %u whole, %u that the walker objects to\n", refused, whole, differs);
	ck_assert_uint_gt(refused, 0);
	close(fd);
}
END_TEST

static Suite *damage_suite(void)
{
	Suite *suite = suite_create("attach-damage");
	TCase *tcase = tcase_create("damage");

	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, test_inodes_that_no_name_leads_to_are_freed);
	tcase_add_test(tcase, test_counts_of_links_and_entries_follow_the_names);
	tcase_add_test(tcase, test_of_two_names_of_a_directory_one_stays);
	tcase_add_test(tcase, test_blocks_without_names_go);
	tcase_add_test(tcase, test_marks_of_attributes_and_dirty_ends_follow_what_is_there);
	tcase_add_test(tcase, test_stray_pages_and_runs_of_no_use_go_back);
	tcase_add_loop_test(tcase, test_what_does_not_agree_is_refused_with_a_sentence, 0,
			    (int)ARRAY_SIZE(refusals));
	tcase_add_test(tcase, test_files_that_are_no_arena_are_refused);
	tcase_add_test(tcase, test_flipped_bits_are_refused_or_survived);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return zt_check_main(damage_suite());
}
