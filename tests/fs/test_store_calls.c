// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_store_calls.c - after each store of calls that change little (a page over a cluster, modes, attributes,
 * times, flags, a last reference, a file without a name) and of compaction that moves objects, the
 * next life has the old or the new, and all other files.
 */
#include <linux/fs.h>
#include <sys/stat.h>

#include "fs/fileattr.h"
#include "fs/settings.h"
#include "fs/xattr.h"
#include "tests/fs/step_attach.h"
#include "util/sizes.h"
#include "ztmpfs/control.h"

#define CLUSTER (64 * KIB)
#define SMALL   64u /* small files */

static struct super *sb;
static ino_nr file, gone, nameless, dir, symlink_ino, small[SMALL];
static char target[300]; /* of a symbolic link */
static char content[CLUSTER], changed[CLUSTER], found[CLUSTER], tiny[SMALL][ZT_PAGE_SIZE];

struct call {
	const char *name;
	void (*run)(void);
	bool (*is_new)(
		struct super *next); /* what the call was for is there; NULL: nobody sees it */
};

static void fill(char *bytes, unsigned len, uint64_t seed)
{
	for (unsigned i = 0; i < len; i += 8) {
		const uint64_t value = i % 64 < 40 ? zt_random(&seed) : 7;

		memcpy(bytes + i, &value, 8);
	}
}

/* A cluster, one with a page over it (from 32 KiB on), a file that is unlinked and held, one without a name. */
static void start(void *arg)
{
	struct fs_entry entry;
	char name[32];

	(void)arg;
	sb = fixture_init();
	fill(content, CLUSTER, 1);
	memcpy(changed, content, CLUSTER);
	file = make_file(sb, FS_ROOT_INO, "file");
	dir = make_dir(sb, FS_ROOT_INO, "dir");
	write_all(sb, file, 0, content, CLUSTER);
	gone = make_file(sb, FS_ROOT_INO, "gone");
	write_all(sb, gone, 0, content, CLUSTER);
	step_expect(fs_setxattr(sb, gone, "user.a", content, 3000, 0) == 0 &&
			    fs_unlink(sb, FS_ROOT_INO, "gone") == 0 &&
			    fs_tmpfile(sb, &user_cred, FS_ROOT_INO, 0600, true, &entry) == 0,
		    "not made");
	nameless = entry.ino;
	write_all(sb, nameless, 0, content, CLUSTER);
	memset(target, 't', sizeof(target) - 1);
	step_expect(fs_symlink(sb, &user_cred, FS_ROOT_INO, "link", target, &entry) == 0,
		    "no link");
	symlink_ino = entry.ino;
	for (unsigned i = 0; i < SMALL; i++) {
		snprintf(name, sizeof(name), "small-%u", i);
		small[i] = make_file(sb, FS_ROOT_INO, name);
		fill(tiny[i], ZT_PAGE_SIZE, 100 + i);
		write_all(sb, small[i], 0, tiny[i], ZT_PAGE_SIZE);
	}
}

/* Two of three go, so that pages are left with one object each. */
static void start_thin(void *arg)
{
	char name[32];

	start(arg);
	for (unsigned i = 0; i < SMALL; i++) {
		if (i % 3 == 0)
			continue;
		snprintf(name, sizeof(name), "small-%u", i);
		step_expect(fs_unlink(sb, FS_ROOT_INO, name) == 0, "not unlinked");
		fs_forget(sb, small[i], 1);
		small[i] = 0;
	}
}

/* ---- calls ---- */

static void over(unsigned at, unsigned len)
{
	memset(changed + at, 'x', len);
	write_all(sb, file, at, changed + at, len);
}

static void run_over(void)
{
	over(8192, ZT_PAGE_SIZE);
	over(8192, ZT_PAGE_SIZE);
	over(20000, 300);
	over(40960, 2 * ZT_PAGE_SIZE);
}

static void set_attr(unsigned which, const struct stat *attr)
{
	struct stat out;

	step_expect(fs_setattr(sb, &root_cred, file, attr, which, &out) == 0, "setattr fails");
}

static void run_mode(void)
{
	set_attr(FS_SET_MODE, &(struct stat){ .st_mode = 0640 });
}

static bool has_mode(struct super *next)
{
	return (attr_of(next, file).st_mode & 07777) == 0640;
}

static void run_owner(void)
{
	set_attr(FS_SET_UID | FS_SET_GID, &(struct stat){ .st_uid = 7, .st_gid = 8 });
}

static bool has_owner(struct super *next)
{
	const struct stat attr = attr_of(next, file);

	return attr.st_uid == 7 && attr.st_gid == 8;
}

static void run_times(void)
{
	set_attr(FS_SET_MTIME | FS_SET_CTIME,
		 &(struct stat){ .st_mtim.tv_sec = 12, .st_ctim.tv_sec = 13 });
}

static bool has_times(struct super *next)
{
	const struct stat attr = attr_of(next, file);

	return attr.st_mtim.tv_sec == 12 && attr.st_ctim.tv_sec == 13;
}

static void run_flags(void)
{
	step_expect(fs_set_flags(sb, &root_cred, file, FS_NOATIME_FL | FS_NODUMP_FL) == 0,
		    "no flags");
}

static bool has_flags(struct super *next)
{
	uint32_t flags;

	return fs_get_flags(next, file, &flags) == 0 && (flags & FS_NODUMP_FL);
}

static void run_order(void)
{
	struct ztmpfs_file_attr attr = { .version = ZTMPFS_STAT_VERSION,
					 .which = ZTMPFS_ATTR_CLUSTER,
					 .cluster_size = 16384 };

	step_expect(fs_set_settings(sb, &root_cred, dir, &attr) == 0, "no cluster size");
}

static bool has_order(struct super *next)
{
	struct ztmpfs_file_attr attr;

	return fs_get_settings(next, dir, &attr) == 0 && attr.cluster_size == 16384;
}

static void run_references(void)
{
	struct fs_entry entry;

	step_expect(fs_lookup(sb, FS_ROOT_INO, "file", &entry) == 0 &&
			    fs_lookup(sb, dir, "..", &entry) == 0,
		    "not looked up");
	fs_note_pages(sb, file);
	fs_pages_dropped(sb, file, fs_pages_known(sb, file));
	fs_forget(sb, file, 1);
	fs_forget(sb, gone, 1);
}

static void run_link(void)
{
	struct fs_entry entry;

	step_expect(fs_link(sb, nameless, dir, "named", &entry) == 0, "no name");
}

static bool has_link(struct super *next)
{
	size_t got = 0;
	const ino_nr ino = look_ino(next, dir, "named");

	step_expect(ino == 0 || (fs_read(next, ino, 0, found, CLUSTER, &got) == 0 &&
				 got == CLUSTER && memcmp(found, content, CLUSTER) == 0),
		    "it is empty");
	return ino != 0;
}

static void run_promise(void)
{
	step_expect(fs_fallocate(sb, &user_cred, file, 0, CLUSTER, CLUSTER) == 0, "no promise");
	write_all(sb, file, CLUSTER, content, ZT_PAGE_SIZE);
}

static bool has_promise(struct super *next)
{
	return attr_of(next, file).st_size == 2 * CLUSTER;
}

static void run_unlink(void)
{
	step_expect(fs_unlink(sb, FS_ROOT_INO, "link") == 0, "not unlinked");
	fs_forget(sb, symlink_ino, 1);
}

static bool has_no_link(struct super *next)
{
	char text[FS_SYMLINK_MAX + 1];
	const ino_nr ino = look_ino(next, FS_ROOT_INO, "link");

	step_expect(ino == 0 || (fs_readlink(next, ino, text) == 0 && strcmp(text, target) == 0),
		    "it leads elsewhere");
	return ino == 0;
}

static void run_device(void)
{
	struct fs_entry entry;

	step_expect(fs_mknod(sb, &root_cred, dir, "device", S_IFCHR | 0600, 0x103, &entry) == 0,
		    "no device");
}

static bool has_device(struct super *next)
{
	const ino_nr ino = look_ino(next, dir, "device");

	step_expect(ino == 0 || attr_of(next, ino).st_rdev == 0x103, "it is another device");
	return ino != 0;
}

/* The file gets longer by what it shares with itself. */
static void run_share(void)
{
	uint64_t done = 0;

	step_expect(fs_copy_range(sb, &user_cred, file, 0, file, CLUSTER, CLUSTER, &done) == 0 &&
			    done == CLUSTER,
		    "not shared");
}

static bool has_shared(struct super *next)
{
	size_t got = 0;

	step_expect(fs_read(next, file, CLUSTER, found, CLUSTER, &got) == 0 &&
			    (got == 0 || (got == CLUSTER && memcmp(found, content, CLUSTER) == 0)),
		    "the copy differs");
	return got != 0;
}

/* In blocks of their own, and one of them again, larger. */
static void run_attributes(void)
{
	for (unsigned i = 0; i < 4; i++) {
		const char name[] = { 'u', 's', 'e', 'r', '.', (char)('a' + i % 3), '\0' };

		step_expect(fs_setxattr(sb, file, name, content, 3000 + i * 100, 0) == 0,
			    "no attribute");
	}
	step_expect(fs_removexattr(sb, file, "user.b") == 0, "it is not removed");
}

static bool has_attributes(struct super *next)
{
	size_t len[3] = { 0 };

	for (unsigned i = 0; i < 3; i++) {
		const char name[] = { 'u', 's', 'e', 'r', '.', (char)('a' + i), '\0' };
		const int err = fs_getxattr(next, file, name, found, CLUSTER, &len[i]);

		step_expect(err == -ENODATA || (err == 0 && memcmp(found, content, len[i]) == 0),
			    "attribute %u differs", i);
		step_expect(err || len[i] == 3000 + i * 100 || (i == 0 && len[i] == 3300),
			    "attribute %u has %zu bytes", i, len[i]);
		len[i] = err ? 0 : len[i];
	}
	return len[0] == 3300 && len[1] == 0 && len[2] == 3200;
}

static void run_compact(void)
{
	struct ztmpfs_stat stat;

	(void)super_compact(sb);
	super_get_stat(sb, &stat);
	step_expect(stat.pages_compacted > 0, "nothing has moved");
}

static void run(void *arg)
{
	((const struct call *)arg)->run();
}

/* ---- afterwards ---- */

static void judge(void *arg, bool done)
{
	const struct call *call = arg;
	struct super *next = step_attach(sb);
	size_t got = 0;

	/* What run_over() does, which this process has not done. */
	memcpy(changed, content, CLUSTER);
	memset(changed + 8192, 'x', ZT_PAGE_SIZE);
	memset(changed + 20000, 'x', 300);
	memset(changed + 40960, 'x', 2 * ZT_PAGE_SIZE);
	step_expect(fs_read(next, file, 0, found, CLUSTER, &got) == 0 && got == CLUSTER,
		    "it is short");
	for (unsigned at = 0; at < CLUSTER; at += ZT_PAGE_SIZE) {
		const bool is_old = memcmp(found + at, content + at, ZT_PAGE_SIZE) == 0;
		const bool is_new = memcmp(found + at, changed + at, ZT_PAGE_SIZE) == 0;

		step_expect(call->run == run_over ? is_new || (!done && is_old) : is_old,
			    "page %u differs", at / ZT_PAGE_SIZE);
	}
	for (unsigned i = 0; i < SMALL; i++)
		step_expect(!small[i] || (fs_read(next, small[i], 0, found, CLUSTER, &got) == 0 &&
					  got == ZT_PAGE_SIZE && memcmp(found, tiny[i], got) == 0),
			    "small file %u differs", i);
	if (call->is_new)
		step_expect(call->is_new(next) || !done, "it is as before");
}

static const struct call calls[] = {
	{ "pages over a cluster", run_over, NULL },
	{ "a mode", run_mode, has_mode },
	{ "an owner", run_owner, has_owner },
	{ "times", run_times, has_times },
	{ "flags", run_flags, has_flags },
	{ "a cluster size", run_order, has_order },
	{ "references, and the last one", run_references, NULL },
	{ "a name for what had none", run_link, has_link },
	{ "a promise, and a write to it", run_promise, has_promise },
	{ "a symbolic link goes", run_unlink, has_no_link },
	{ "a device", run_device, has_device },
	{ "a file shares with itself", run_share, has_shared },
	{ "attributes", run_attributes, has_attributes },
};

START_TEST(test_a_call_is_done_or_not)
{
	struct step_ops ops = { start, run, judge, (void *)&calls[_i] };

	ck_assert_uint_ge(step_all(calls[_i].name, &ops), 1);
}
END_TEST

START_TEST(test_compaction_that_moves_objects_keeps_all_bytes)
{
	static const struct call call = { "compaction", run_compact, NULL };
	struct step_ops ops = { start_thin, run, judge, (void *)&call };

	ck_assert_uint_ge(step_all("compaction", &ops), 40);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_calls");
	TCase *tc = tcase_create("calls");

#ifndef ZT_DEBUG
	return STEP_MISSING;
#endif
	tcase_set_timeout(tc, 400);
	tcase_add_loop_test(tc, test_a_call_is_done_or_not, 0, ARRAY_SIZE(calls));
	tcase_add_test(tc, test_compaction_that_moves_objects_keeps_all_bytes);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
