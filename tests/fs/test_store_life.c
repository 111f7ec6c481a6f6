// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_store_life.c - after each store of what a mount does with itself (ztmpfsctl set, leaving the
 * arena in order, finding it again, cloning a tree) the next life has all of it.
 */
#include <sys/stat.h>

#include "fs/clone.h"
#include "fs/tune.h"
#include "fs/xattr.h"
#include "tests/fs/step_attach.h"
#include "util/sizes.h"
#include "ztmpfs/control.h"

#define CLUSTER (64 * KIB)
#define NR      24u

static struct super *sb;
static ino_nr inos[NR];
static char content[NR][CLUSTER], found[CLUSTER];
static uint32_t lengths[NR];

static struct super_params life_params(void)
{
	struct super_params params = fixture_params();

	params.content.recompress = "zstd";
	params.content.recompress_level = 1;
	params.content.dedup = true;
	return params;
}

static struct super *attach(void)
{
	const struct super_params params = life_params();

	return step_attach_params(&params, sb);
}

/* ---- settings ---- */

static const struct ztmpfs_set earlier = {
	.which = ZTMPFS_SET_SIZE | ZTMPFS_SET_INODES | ZTMPFS_SET_DEDUP,
	.size = 64 * MIB,
	.nr_inodes = 1000,
};
static const struct ztmpfs_set later = {
	.which = ZTMPFS_SET_MEM | ZTMPFS_SET_COMPRESS | ZTMPFS_SET_INODES,
	.mem_limit = 96 * MIB,
	.nr_inodes = 2000,
	.compress = "zstd",
	.level = 3,
};

static void start_set(void *arg)
{
	const struct super_params params = life_params();

	(void)arg;
	sb = fixture_init_params(&params);
	step_expect(super_set(sb, &earlier) == 0, "not set");
}

static void run_set(void *arg)
{
	(void)arg;
	step_expect(super_set(sb, &later) == 0, "not set");
}

/* What was said to be so, and all or nothing of what was asked for when it died. */
static void judge_set(void *arg, bool done)
{
	struct super *next = attach();
	char text[1024];
	bool is_new;

	(void)arg;
	super_get_options(next, text, sizeof(text));
	step_expect(strstr(text, "size=64m,") && strstr(text, ",dedup=off"), "lost: %s", text);
	is_new = strstr(text, ",nr_inodes=2000,") != NULL;
	step_expect(is_new || (!done && strstr(text, ",nr_inodes=1000,")), "neither: %s", text);
	step_expect(is_new == !!strstr(text, ",mem_limit=96m,") &&
			    is_new == !!strstr(text, ",compress=zstd:3,"),
		    "a part: %s", text);
}

START_TEST(test_what_was_set_stays_set)
{
	struct step_ops ops = { start_set, run_set, judge_set, NULL };

	ck_assert_uint_ge(step_all("settings", &ops), 3);
}
END_TEST

/* ---- a tree of everything ---- */

static void put(unsigned f, uint32_t len, unsigned k)
{
	for (uint32_t i = 0; i < len; i++)
		content[f][i] = (char)('a' + (i / 7 * (k + 3) + i / 4096 + k) % 23);
	write_all(sb, inos[f], 0, content[f], len);
	lengths[f] = (uint32_t)max_u64(lengths[f], len);
}

static void over(unsigned f)
{
	memset(content[f] + 8192, 'x', 1000);
	write_all(sb, inos[f], 8192, content[f] + 8192, ZT_PAGE_SIZE);
}

static const char *name_of(unsigned f, char buf[32])
{
	snprintf(buf, 32, "file-%u", f);
	return buf;
}

/* In "tree": files, some with pages over them, one shared, one with a hard link, and so on. */
static void start_tree(void *arg)
{
	const struct super_params params = life_params();
	struct fs_entry entry;
	uint64_t copied;
	char name[32];
	ino_nr dir;

	(void)arg;
	sb = fixture_init_params(&params);
	dir = make_dir(sb, FS_ROOT_INO, "tree");
	for (unsigned f = 0; f < NR; f++) {
		lengths[f] = 0;
		inos[f] = make_file(sb, dir, name_of(f, name));
		put(f, f % 3 ? CLUSTER : 300 + 50 * f, f % 5);
		if (f % 3 == 1)
			over(f);
	}
	step_expect(fs_copy_range(sb, &user_cred, inos[2], 0, inos[5], 0, CLUSTER, &copied) == 0,
		    "not shared");
	memcpy(content[5], content[2], CLUSTER);
	step_expect(fs_link(sb, inos[2], dir, "again", &entry) == 0 &&
			    fs_symlink(sb, &user_cred, dir, "link", "file-1", &entry) == 0 &&
			    fs_setxattr(sb, inos[3], "user.a", "value", 5, 0) == 0 &&
			    fs_mknod(sb, &user_cred, dir, "pipe", S_IFIFO | 0600, 0, &entry) == 0 &&
			    fs_fallocate(sb, &user_cred, inos[4], 0, 0, 4 * CLUSTER) == 0,
		    "the tree is not made");
	lengths[4] = 4 * CLUSTER;
	(void)make_dir(sb, dir, "sub");
}

static void expect_files(struct super *in, const char *top)
{
	const ino_nr dir = look_ino(in, FS_ROOT_INO, top);
	char name[32];

	for (unsigned f = 0; f < NR; f++) {
		const ino_nr ino = look_ino(in, dir, name_of(f, name));
		const size_t want = min_u64(lengths[f], CLUSTER);
		size_t got = 0;

		step_expect(ino != 0 && attr_of(in, ino).st_size == lengths[f] &&
				    fs_read(in, ino, 0, found, CLUSTER, &got) == 0 && got == want &&
				    memcmp(found, content[f], want) == 0,
			    "%s differs", name);
	}
	step_expect(look_ino(in, dir, "again") == look_ino(in, dir, "file-2"), "the link is lost");
	step_expect(look_ino(in, dir, "link") && look_ino(in, dir, "pipe") &&
			    look_ino(in, dir, "sub"),
		    "a name is lost");
}

/* ---- left, and found again ---- */

static void run_leave(void *arg)
{
	(void)arg;
	super_detach(sb);
}

static void judge_leave(void *arg, bool done)
{
	struct super *next = attach();
	struct super_attach_report report;

	(void)arg;
	super_get_attach_report(next, &report);
	step_expect(report.was_clean || !done, "it was left in no order");
	expect_files(next, "tree");
}

START_TEST(test_a_mount_that_is_left_is_there)
{
	struct step_ops ops = { start_tree, run_leave, judge_leave, NULL };

	ck_assert_uint_ge(step_all("leaving", &ops), 1);
}
END_TEST

/* Some of everything, none of which makes a difference to what is judged. */
static void work(void)
{
	struct fs_entry entry;
	ino_nr dir = look_ino(sb, FS_ROOT_INO, "tree"), ino = make_file(sb, dir, "more");

	for (unsigned c = 0; c < 6; c++)
		write_all(sb, ino, c * CLUSTER, content[c], CLUSTER);
	step_expect(rename_name(sb, &user_cred, dir, "more", FS_ROOT_INO, "moved", 0) == 0 &&
			    fs_setxattr(sb, ino, "user.b", content[0], 2000, 0) == 0 &&
			    fs_link(sb, ino, dir, "moved-again", &entry) == 0 &&
			    fs_unlink(sb, FS_ROOT_INO, "moved") == 0,
		    "it does not work");
	over(1);
	(void)blkmap_recompress(sb->map, 0);
	(void)super_compact(sb);
	step_expect(fs_unlink(sb, dir, "moved-again") == 0, "it does not go");
	fs_forget(sb, ino, 2);
	(void)super_compact(sb);
}

/* A life was killed behind so many points before, or has left it in order. */
static void start_killed(void *arg)
{
	const unsigned at = *(const unsigned *)arg;
	pid_t child;
	int status;

	start_tree(NULL);
	child = fork();
	if (child == 0) {
		if (at == 0)
			super_detach(sb);
		else
			step_die_at(at);
		if (at > 0)
			work();
		_exit(STEP_DONE);
	}
	step_expect(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
			    WEXITSTATUS(status) == (at > 0 ? STEP_DIED : STEP_DONE),
		    "the life before ended otherwise");
}

static void run_find(void *arg)
{
	(void)arg;
	(void)attach();
}

static void judge_find(void *arg, bool done)
{
	(void)arg;
	(void)done;
	expect_files(attach(), "tree");
}

START_TEST(test_a_mount_whose_finder_was_killed_is_found)
{
	static const unsigned ats[] = { 0, 1, 25, 60, 100, 150, 200, 260, 320, 400 };
	struct step_ops ops = { start_killed, run_find, judge_find, (void *)&ats[_i] };
	char name[64];

	snprintf(name, sizeof(name), "attaching, what was killed behind store %u", ats[_i]);
	(void)step_all(ats[_i] ? name : "attaching, what was left in order", &ops);
}
END_TEST

/* ---- a copy of a tree ---- */

static ino_nr into;
static uint64_t inodes_before;

static uint64_t nr_inodes(struct super *in)
{
	struct ztmpfs_stat stat;

	super_get_stat(in, &stat);
	return stat.inodes_used;
}

static void start_clone(void *arg)
{
	struct fs_entry entry;

	start_tree(arg);
	step_expect(fs_mkdir(sb, &root_cred, FS_ROOT_INO, "into", 0700, &entry) == 0, "no place");
	into = entry.ino;
	inodes_before = nr_inodes(sb);
}

static void run_clone(void *arg)
{
	const struct fs_asker root = { .uid = 0, .privileged = true };
	const struct fs_clone_request request = {
		.from = FS_ROOT_INO, .from_name = "tree", .into = into, .to_name = "copy"
	};
	uint64_t nr;

	(void)arg;
	step_expect(fs_clone(sb, &root, &request, &nr) == 0, "no clone");
}

/* The copy has a name or is not there. */
static void judge_clone(void *arg, bool done)
{
	struct super *next = attach();
	const ino_nr copy = look_ino(next, into, "copy"), dir = look_ino(next, FS_ROOT_INO, "tree");
	struct fs_moved moved;

	(void)arg;
	expect_files(next, "tree");
	step_expect(copy != 0 || !done, "the copy is gone");
	if (!copy) {
		step_expect(nr_inodes(next) == inodes_before, "%u inodes, and there were %u",
			    (unsigned)nr_inodes(next), (unsigned)inodes_before);
		return;
	}
	step_expect(copy != dir, "it is the same");
	step_expect(fs_rename(next, &root_cred, into, "copy", FS_ROOT_INO, "copy", 0, &moved) == 0,
		    "it cannot be moved");
	expect_files(next, "copy");
	step_expect(nr_inodes(next) == inodes_before + NR + 4, "%u inodes, and there were %u",
		    (unsigned)nr_inodes(next), (unsigned)inodes_before);
}

START_TEST(test_a_clone_is_whole_or_not_there)
{
	struct step_ops ops = { start_clone, run_clone, judge_clone, NULL };

	ck_assert_uint_ge(step_all("a clone", &ops), 100);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_life");
	TCase *tc = tcase_create("life");

#ifndef ZT_DEBUG
	return STEP_MISSING;
#endif
	tcase_set_timeout(tc, 400);
	tcase_add_test(tc, test_what_was_set_stays_set);
	tcase_add_test(tc, test_a_mount_that_is_left_is_there);
	tcase_add_loop_test(tc, test_a_mount_whose_finder_was_killed_is_found, 0, 10);
	tcase_add_test(tc, test_a_clone_is_whole_or_not_there);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
