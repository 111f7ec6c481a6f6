// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_packs.c - small files that lie idle, packed together: what changes one leaves the others, the
 * walker counts right, and another process finds all of it.
 *
 * Tests pack.c of slot, packer.c of upkeep and packs.c of fs.
 */
#include <linux/falloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "blkmap/parts.h"
#include "blkmap/slot/pack.h"
#include "blkmap/slot/share.h"
#include "tests/fs/attach_fixture.h"
#include "tests/lib/step.h"
#include "util/hook.h"

#define NR      64u
#define MOST    (200 * 1024u)
#define SMALL   900u
#define ONE     16u /* files in a pack */

/* Files known by heart. */
struct known {
	ino_nr ino; /* 0: there is none */
	uint32_t size;
	char bytes[MOST];
};

static struct super *sb;
static struct known files[NR];
static char found[MOST];

static void fill(char *bytes, uint32_t len, unsigned k)
{
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = "int main(void)\n{\n\treturn 0;\n}\n"[(i * (k % 5 + 1) + i / 37) % 31];
	for (uint32_t i = 0; i < len; i += 50)
		bytes[i] = (char)('a' + (k + i / 50) % 26);
}

static void put(struct known *file, uint32_t off, uint32_t len, unsigned k)
{
	fill(file->bytes + off, len, k);
	write_all(sb, file->ino, off, file->bytes + off, len);
	file->size = (uint32_t)max_u64(file->size, off + len);
}

static void make(unsigned f, unsigned k)
{
	char name[16];

	snprintf(name, sizeof(name), "file-%u", f);
	memset(&files[f], 0, sizeof(files[f]));
	files[f].ino = make_file(sb, FS_ROOT_INO, name);
	put(&files[f], 0, SMALL + 7 * f, k);
}

static void drop(unsigned f)
{
	char name[16];

	snprintf(name, sizeof(name), "file-%u", f);
	step_expect(fs_unlink(sb, FS_ROOT_INO, name) == 0, "not unlinked");
	fs_forget(sb, files[f].ino, 1);
	files[f].ino = 0;
}

static void start_with(unsigned nr)
{
	const struct super_params params = packing_params();

	sb = fixture_init_params(&params);
	memset(files, 0, sizeof(files));
	for (unsigned f = 0; f < nr; f++)
		make(f, f);
}

static struct blkmap_stat stat_now(void)
{
	struct blkmap_stat stat;

	blkmap_get_stat(sb->map, &stat);
	return stat;
}

static bool is_right(struct super *in, unsigned f)
{
	size_t got = 0;

	return !files[f].ino ||
	       (fs_read(in, files[f].ino, 0, found, MOST, &got) == 0 && got == files[f].size &&
		memcmp(found, files[f].bytes, got) == 0);
}

static void all_right(void)
{
	for (unsigned f = 0; f < NR; f++)
		ck_assert_msg(is_right(sb, f), "file %u differs", f);
	ck_assert_int_eq(super_check(sb), 0);
}

static void pack_all(void)
{
	(void)blkmap_recompress(sb->map, 0);
}

static uint64_t word_of(unsigned f)
{
	return word_get(&inode_get(sb, files[f].ino)->tree_word);
}

static struct pack_rec *pack_of_file(unsigned f)
{
	const uint64_t word = word_of(f);

	return slot_kind(word) == SLOT_SHARED ? pack_of(&sb->map->slots, word) : NULL;
}

static void stop(void)
{
	all_right();
	for (unsigned f = 0; f < NR; f++)
		if (files[f].ino)
			drop(f);
	ck_assert_int_eq(super_check(sb), 0);
	ck_assert_uint_eq(stat_now().packs, 0);
	ck_assert_uint_eq(stat_now().packed_pages, 0);
	ck_assert_uint_eq(stat_now().data.objects, 0);
	fixture_exit(sb);
}

START_TEST(test_small_files_are_packed)
{
	uint64_t before;

	start_with(40);
	before = stat_now().data.object_bytes;
	ck_assert_uint_eq(sb->rec->version, SUPER_VERSION);
	pack_all();
	/* Eight wait for others. */
	ck_assert_uint_eq(stat_now().packs, 3);
	ck_assert_uint_eq(stat_now().packed_pages, 40);
	ck_assert_uint_eq(stat_now().pack_joined, 40);
	ck_assert_uint_gt(stat_now().pack_saved, 0);
	ck_assert_uint_lt(stat_now().data.object_bytes, before / 2);
	ck_assert_uint_eq(sb->rec->version, SUPER_VERSION_PACKS);
	all_right();
	/* Nothing is new. */
	pack_all();
	ck_assert_uint_eq(stat_now().pack_joined, 40);
	stop();
}
END_TEST

START_TEST(test_few_files_wait_for_others)
{
	start_with(5);
	pack_all();
	ck_assert_uint_eq(stat_now().packs, 0);
	for (unsigned f = 5; f < ONE; f++)
		make(f, f);
	pack_all();
	ck_assert_uint_eq(stat_now().packs, 1);
	ck_assert_uint_eq(stat_now().packed_pages, ONE);
	stop();
}
END_TEST

START_TEST(test_a_pack_is_of_one_owner)
{
	const struct stat root = { .st_uid = 0 };
	struct stat attr;

	start_with(48);
	for (unsigned f = 0; f < 48; f += 3)
		ck_assert_int_eq(fs_setattr(sb, &root_cred, files[f].ino, &root, FS_SET_UID, &attr), 0);
	pack_all();
	ck_assert_uint_eq(stat_now().packs, 3);
	for (unsigned f = 3; f < 48; f++)
		ck_assert_int_eq(pack_of_file(f) == pack_of_file(0), f % 3 == 0);
	stop();
}
END_TEST

/* More owners than a pass goes through: the next one goes on. */
START_TEST(test_all_owners_have_their_turn)
{
	struct stat root = { 0 }, attr;

	start_with(NR);
	for (unsigned f = 0; f < 40; f++) {
		root.st_uid = 1 + f;
		ck_assert_int_eq(fs_setattr(sb, &root_cred, files[f].ino, &root, FS_SET_UID, &attr), 0);
	}
	for (unsigned pass = 0; pass < 4; pass++)
		pack_all();
	ck_assert_uint_eq(stat_now().packed_pages, NR - 40);
	stop();
}
END_TEST

START_TEST(test_files_with_a_setting_of_their_own_are_left_alone)
{
	start_with(ONE);
	for (unsigned f = 0; f < ONE; f++)
		inode_set_flag(inode_get(sb, files[f].ino),
			       BLKMAP_SETTING_NONE << INODE_SETTING_SHIFT);
	pack_all();
	ck_assert_uint_eq(stat_now().packs, 0);
	stop();
}
END_TEST

static void resize(unsigned f, uint32_t size)
{
	const struct stat want = { .st_size = size };
	struct stat attr;

	ck_assert_int_eq(fs_setattr(sb, &user_cred, files[f].ino, &want, FS_SET_SIZE, &attr), 0);
	if (size < files[f].size)
		memset(files[f].bytes + size, 0, files[f].size - size);
	files[f].size = size;
}

static void punch(unsigned f, uint32_t off, uint32_t len)
{
	ck_assert_int_eq(fs_fallocate(sb, &user_cred, files[f].ino,
				      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len),
			 0);
	memset(files[f].bytes + off, 0, len);
}

START_TEST(test_what_changes_one_leaves_the_others)
{
	start_with(32);
	pack_all();
	ck_assert_uint_eq(stat_now().packs, 2);
	put(&files[0], 0, files[0].size, 77); /* as a whole */
	all_right();
	put(&files[1], 100, 50, 78); /* a part */
	all_right();
	put(&files[2], 150 * 1024, 300, 79); /* the slot moves to a leaf */
	all_right();
	put(&files[3], 30000, 3, 80); /* pages over it */
	all_right();
	resize(4, 100);
	all_right();
	resize(4, 3000); /* what was cut is zero */
	all_right();
	resize(5, 0);
	all_right();
	punch(6, 200, 300);
	all_right();
	drop(7);
	all_right();
	ck_assert_ptr_null(pack_of_file(0));
	ck_assert_ptr_nonnull(pack_of_file(4));
	ck_assert_ptr_nonnull(pack_of_file(8));
	/* All that changed is packed again with the next. */
	pack_all();
	all_right();
	stop();
}
END_TEST

static void copy(unsigned from, unsigned to)
{
	uint64_t done = 0;

	make(to, to);
	resize(to, 0);
	ck_assert_int_eq(fs_copy_range(sb, &user_cred, files[from].ino, 0, files[to].ino, 0,
				       files[from].size, &done),
			 0);
	ck_assert_uint_eq(done, files[from].size);
	memcpy(files[to].bytes, files[from].bytes, files[from].size);
	files[to].size = files[from].size;
}

START_TEST(test_a_copy_names_the_same_member)
{
	const struct pack_rec *pack;

	start_with(ONE);
	pack_all();
	pack = pack_of_file(3);
	copy(3, 20);
	ck_assert_ptr_eq(pack_of_file(20), pack);
	ck_assert_uint_eq(pack->names[pack_member(word_of(3))], 2);
	all_right();
	drop(3);
	all_right();
	put(&files[20], 0, 10, 99);
	all_right();
	stop();
}
END_TEST

START_TEST(test_names_of_a_member_have_an_end)
{
	struct pack_rec *pack;
	unsigned i;

	start_with(ONE);
	pack_all();
	pack = pack_of_file(3);
	i = pack_member(word_of(3));
	pack->names[i] = UINT16_MAX;
	copy(3, 20);
	pack->names[i] = 1;
	ck_assert_ptr_null(pack_of_file(20)); /* its bytes were copied */
	stop();
}
END_TEST

START_TEST(test_a_thin_pack_is_made_anew)
{
	uint64_t before;
	const struct pack_rec *pack;

	start_with(ONE);
	pack_all();
	before = stat_now().data.object_bytes;
	for (unsigned f = 0; f < 7; f++)
		drop(f);
	pack_all();
	ck_assert_uint_eq(stat_now().packs_remade, 0); /* it is not thin yet */
	pack = pack_of_file(10);
	for (unsigned f = 7; f < 10; f++)
		drop(f);
	pack_all();
	ck_assert_uint_eq(stat_now().packs_remade, 1);
	ck_assert_uint_eq(stat_now().packs, 1);
	ck_assert_ptr_eq(pack_of_file(10), pack);
	ck_assert_uint_lt(stat_now().data.object_bytes, before * 2 / 3);
	all_right();
	/* It is not done again. */
	pack_all();
	ck_assert_uint_eq(stat_now().packs_remade, 1);
	drop(11);
	drop(12);
	drop(13);
	drop(14);
	pack_all();
	ck_assert_uint_eq(stat_now().packs_remade, 2);
	stop();
}
END_TEST

START_TEST(test_compaction_moves_packs)
{
	start_with(NR);
	pack_all();
	ck_assert_uint_eq(stat_now().packs, 4);
	for (unsigned f = 0; f < NR; f += 2)
		drop(f);
	pack_all();
	(void)super_compact(sb);
	stop();
}
END_TEST

START_TEST(test_a_file_knows_its_part)
{
	struct ztmpfs_file_stat alone, packed;

	start_with(ONE);
	ck_assert_int_eq(fs_file_stat(sb, files[3].ino, &alone), 0);
	pack_all();
	ck_assert_int_eq(fs_file_stat(sb, files[3].ino, &packed), 0);
	ck_assert_uint_eq(packed.objects, 1);
	ck_assert_uint_eq(packed.allocated, alone.allocated);
	ck_assert_uint_gt(packed.stored, 0);
	ck_assert_uint_lt(packed.memory, alone.memory);
	stop();
}
END_TEST

START_TEST(test_the_next_process_finds_packs)
{
	const struct super_params params = packing_params();

	start_with(40);
	pack_all();
	drop(3);
	copy(4, 50);
	sb = next_life_clean(sb, &params);
	ck_assert_uint_eq(stat_now().packs, 3);
	ck_assert_uint_eq(stat_now().packed_pages, 40);
	all_right();
	sb = next_life_after_kill(sb, &params);
	ck_assert_uint_eq(stat_now().packs, 3);
	ck_assert_uint_eq(stat_now().packed_pages, 40);
	ck_assert_uint_eq(sb->rec->version, SUPER_VERSION_PACKS);
	stop();
}
END_TEST

/* ---- what another process refuses ---- */

static int attach_after(void (*damage)(struct pack_rec *pack))
{
	const struct super_params params = packing_params();
	struct super *next = NULL;
	char text[256] = "";
	int fd, err;

	start_with(ONE);
	pack_all();
	damage(pack_of_file(3));
	fd = keep_fd(sb);
	blkmap_stop(sb->map);
	super_leave(sb, false, NULL);
	err = super_attach(&params, fd, text, &next);
	if (err) {
		ck_assert_str_ne(text, "");
		close(fd);
	} else {
		super_leave(next, false, NULL);
	}
	return err;
}

static void damage_length(struct pack_rec *pack)
{
	((struct pack_head *)(uintptr_t)pack_head(&sb->map->slots, pack))->len[3]++;
}

static void damage_member(struct pack_rec *pack)
{
	struct pack_head *head = (struct pack_head *)(uintptr_t)pack_head(&sb->map->slots, pack);

	head->len[3]--;
	head->len[4]++;
}

static void damage_word(struct pack_rec *pack)
{
	pack->share.word |= SLOT_SPARSE;
}

static void no_damage(struct pack_rec *pack)
{
	pack->names[0] = 7; /* counted anew */
	pack->share.count = 1;
}

START_TEST(test_what_is_no_pack_is_refused)
{
	ck_assert_int_eq(attach_after(damage_length), -EUCLEAN);
	ck_assert_int_eq(attach_after(damage_member), -EUCLEAN);
	ck_assert_int_eq(attach_after(damage_word), -EUCLEAN);
	ck_assert_int_eq(attach_after(no_damage), 0);
}
END_TEST

/* A link's target that looks like a pack's record, and a file that names it. */
START_TEST(test_what_was_claimed_as_something_else_is_no_pack)
{
	const struct super_params params = packing_params();
	char target[sizeof(struct pack_rec) + 1];
	struct super *next = NULL;
	struct fs_entry entry;
	char text[256] = "";
	uint64_t word;
	ref_t ref;
	int fd;

	start_with(ONE);
	memset(target, 'x', sizeof(target) - 1);
	target[sizeof(target) - 1] = '\0';
	ck_assert_int_eq(fs_symlink(sb, &user_cred, FS_ROOT_INO, "a-link", target, &entry), 0);
	ref = inode_get(sb, entry.ino)->tree_word;
	/* Any object that is not there. */
	word = slot_with_ref(slot_make_obj(SLOT_CODEC_IDLE, 16000, false), (ref_t)1 << 30);
	memcpy(zs_data(sb->arena, ref), &word, sizeof(word));
	inode_get(sb, files[0].ino)->tree_word = slot_make_member(ref, 2, 100);
	fd = keep_fd(sb);
	blkmap_stop(sb->map);
	super_leave(sb, false, NULL);
	ck_assert_int_eq(super_attach(&params, fd, text, &next), -EUCLEAN);
	ck_assert_str_ne(text, "");
	close(fd);
}
END_TEST

/* ---- while a pack is made ---- */

#ifdef ZT_DEBUG

static void *change_some(void *arg)
{
	(void)arg;
	put(&files[2], 0, 40, 55);
	drop(5);
	put(&files[6], 150 * 1024, 10, 56);
	return NULL;
}

static void *change_each(void *arg)
{
	(void)arg;
	for (unsigned f = 0; f < ONE; f++)
		put(&files[f], 0, 40, 55);
	return NULL;
}

/* @arg: what another thread does when a pack is there, and no file has its name in it. */
static void meddle(void *arg, const char *point, uint64_t what)
{
	void *(**act)(void *) = arg;
	pthread_t thread;

	(void)what;
	if (strcmp(point, "packer: a pack has no names yet") != 0)
		return;
	zt_hook_set(NULL, NULL);
	ck_assert_int_eq(pthread_create(&thread, NULL, *act, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static void pack_and(void *(*act)(void *))
{
	start_with(ONE);
	zt_hook_set(meddle, &act);
	pack_all();
	zt_hook_set(NULL, NULL);
}

START_TEST(test_what_changes_meanwhile_is_left_out)
{
	pack_and(change_some);
	ck_assert_uint_eq(stat_now().packs, 1);
	/* Others under the same locks are left out, too. */
	ck_assert_uint_le(stat_now().packed_pages, ONE - 3);
	ck_assert_uint_gt(stat_now().packed_pages, 0);
	ck_assert_ptr_null(pack_of_file(2));
	ck_assert_ptr_null(pack_of_file(6));
	stop();
}
END_TEST

START_TEST(test_a_pack_that_nobody_wants_goes)
{
	pack_and(change_each);
	ck_assert_uint_eq(stat_now().packs, 0);
	ck_assert_uint_eq(stat_now().pack_joined, 0);
	stop();
}
END_TEST

/* ---- after each store ---- */

static void judge(void *arg, bool done)
{
	const struct super_params params = packing_params();
	struct super *next;
	char text[256] = "";
	int err = super_attach(&params, dup(super_arena_fd(sb)), text, &next);

	(void)arg;
	(void)done;
	step_expect(err == 0, "attaching: %d %s", err, text);
	step_expect(super_check(next) == 0, "attached, and something is wrong");
	for (unsigned f = 0; f < NR; f++)
		step_expect(is_right(next, f), "file %u differs", f);
}

static void start_unpacked(void *arg)
{
	(void)arg;
	start_with(ONE);
}

static void run_pack(void *arg)
{
	(void)arg;
	pack_all();
	step_expect(stat_now().packs == 1, "nothing was packed");
}

START_TEST(test_packing_keeps_all_bytes_after_each_store)
{
	struct step_ops ops = { start_unpacked, run_pack, judge, NULL };

	ck_assert_uint_ge(step_all("packing", &ops), 100);
}
END_TEST

/* Those that go are not judged. */
static void start_thin(void *arg)
{
	(void)arg;
	start_with(ONE);
	pack_all();
	for (unsigned f = 0; f < 10; f++)
		drop(f);
	copy(12, 20);
}

static void run_remake(void *arg)
{
	(void)arg;
	pack_all();
	step_expect(stat_now().packs_remade == 1, "nothing was made anew");
	put(&files[12], 0, files[12].size, 12); /* what it has already */
	(void)super_compact(sb);
}

START_TEST(test_a_pack_made_anew_keeps_all_bytes_after_each_store)
{
	struct step_ops ops = { start_thin, run_remake, judge, NULL };

	ck_assert_uint_ge(step_all("a pack is made anew", &ops), 10);
}
END_TEST

#endif /* ZT_DEBUG */

/* ---- threads ---- */

static atomic_bool over;

/* Its own files, which it alone knows. */
static void *change_files(void *arg)
{
	const unsigned first = *(const unsigned *)arg;
	uint64_t seed = first + 1;

	while (!atomic_load(&over)) {
		const unsigned f = first + (unsigned)zt_random(&seed) % (NR / 4);
		char *mine = malloc(MOST);
		size_t got = 0;

		switch (zt_random(&seed) % 4) {
		case 0:
			put(&files[f], 0, files[f].size, (unsigned)zt_random(&seed) % 1000);
			break;
		case 1:
			put(&files[f], 500, 20, (unsigned)zt_random(&seed) % 1000);
			break;
		default:
			ck_assert_int_eq(fs_read(sb, files[f].ino, 0, mine, MOST, &got), 0);
			ck_assert_uint_eq(got, files[f].size);
			ck_assert_int_eq(memcmp(mine, files[f].bytes, got), 0);
			break;
		}
		free(mine);
	}
	return NULL;
}

START_TEST(test_readers_and_writers_beside_packing)
{
	pthread_t threads[4];
	unsigned firsts[4];

	start_with(NR);
	atomic_store(&over, false);
	for (unsigned t = 0; t < 4; t++) {
		firsts[t] = t * (NR / 4);
		ck_assert_int_eq(pthread_create(&threads[t], NULL, change_files, &firsts[t]), 0);
	}
	for (unsigned pass = 0; pass < 60 || stat_now().packs_remade == 0; pass++) {
		pack_all();
		if (pass % 8 == 0)
			(void)super_compact(sb);
	}
	atomic_store(&over, true);
	for (unsigned t = 0; t < 4; t++)
		ck_assert_int_eq(pthread_join(threads[t], NULL), 0);
	ck_assert_uint_gt(stat_now().pack_joined, NR);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("packs");
	TCase *tc = tcase_create("packs");

	tcase_set_timeout(tc, 400);
	tcase_add_test(tc, test_small_files_are_packed);
	tcase_add_test(tc, test_few_files_wait_for_others);
	tcase_add_test(tc, test_a_pack_is_of_one_owner);
	tcase_add_test(tc, test_all_owners_have_their_turn);
	tcase_add_test(tc, test_files_with_a_setting_of_their_own_are_left_alone);
	tcase_add_test(tc, test_what_changes_one_leaves_the_others);
	tcase_add_test(tc, test_a_copy_names_the_same_member);
	tcase_add_test(tc, test_names_of_a_member_have_an_end);
	tcase_add_test(tc, test_a_thin_pack_is_made_anew);
	tcase_add_test(tc, test_compaction_moves_packs);
	tcase_add_test(tc, test_a_file_knows_its_part);
	tcase_add_test(tc, test_the_next_process_finds_packs);
	tcase_add_test(tc, test_what_is_no_pack_is_refused);
	tcase_add_test(tc, test_what_was_claimed_as_something_else_is_no_pack);
	tcase_add_test(tc, test_readers_and_writers_beside_packing);
#ifdef ZT_DEBUG
	tcase_add_test(tc, test_what_changes_meanwhile_is_left_out);
	tcase_add_test(tc, test_a_pack_that_nobody_wants_goes);
	tcase_add_test(tc, test_packing_keeps_all_bytes_after_each_store);
	tcase_add_test(tc, test_a_pack_made_anew_keeps_all_bytes_after_each_store);
#endif
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
