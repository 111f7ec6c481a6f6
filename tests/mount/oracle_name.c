/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * oracle_name.c - operations on names and attributes, and the sparse file. See oracle.h.
 */
#include "tests/mount/oracle.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef RENAME_WHITEOUT
#define RENAME_WHITEOUT (1 << 2)
#endif

static void op_mkdir(struct oracle *o)
{
	char path[PATH_SIZE];
	struct result r[NR_SIDES];
	mode_t mode = (mode_t)(0700 | oracle_below(o, 01000));

	oracle_path(o, path, oracle_below(o, 8));
	oracle_say(o, "mkdir %s mode %o", path, mode);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(mkdirat(o->root[side], path, mode));
	oracle_expect(o, "mkdir", r);
	compare_paths(o, path);
}

static void op_remove(struct oracle *o, int flags)
{
	char path[PATH_SIZE];
	struct result r[NR_SIDES];

	oracle_path(o, path, flags & AT_REMOVEDIR);
	oracle_say(o, "%s %s", flags ? "rmdir" : "unlink", path);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(unlinkat(o->root[side], path, flags));
	oracle_expect(o, flags ? "rmdir" : "unlink", r);
	compare_paths(o, path);
}

static void op_rename(struct oracle *o)
{
	static const unsigned all_flags[] = { 0,
					      0,
					      0,
					      RENAME_NOREPLACE,
					      RENAME_EXCHANGE,
					      RENAME_WHITEOUT,
					      RENAME_NOREPLACE | RENAME_EXCHANGE };
	unsigned flags = all_flags[oracle_below(o, 7)];
	bool folder = oracle_below(o, 4) == 0;
	char from[PATH_SIZE], to[PATH_SIZE];
	struct result r[NR_SIDES];

	if ((flags & RENAME_WHITEOUT) && !o->is_root)
		flags = 0;
	oracle_path(o, from, folder);
	oracle_path(o, to, folder && oracle_below(o, 8));
	oracle_say(o, "rename %s to %s flags %u", from, to, flags);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(renameat2(o->root[side], from, o->root[side], to, flags));
	oracle_expect(o, "rename", r);
	compare_paths(o, from);
	compare_paths(o, to);
}

static void op_link(struct oracle *o)
{
	char from[PATH_SIZE], to[PATH_SIZE];
	int flags = oracle_below(o, 2) ? AT_SYMLINK_FOLLOW : 0;
	struct result r[NR_SIDES];

	oracle_path(o, from, false);
	oracle_path(o, to, false);
	oracle_say(o, "link %s to %s flags %d", from, to, flags);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(linkat(o->root[side], from, o->root[side], to, flags));
	oracle_expect(o, "link", r);
	compare_paths(o, from);
	compare_paths(o, to);
}

/* Targets stay below the folder of the link: nothing leads out of the two trees. */
static void op_symlink(struct oracle *o)
{
	char target[PATH_SIZE], path[PATH_SIZE];
	struct result r[NR_SIDES];

	oracle_path(o, target, oracle_below(o, 4) == 0);
	oracle_path(o, path, false);
	oracle_say(o, "symlink %s -> %s", path, target);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(symlinkat(target, o->root[side], path));
	oracle_expect(o, "symlink", r);
	compare_paths(o, path);
}

static void op_mknod(struct oracle *o)
{
	bool device = o->is_root && oracle_below(o, 2);
	mode_t mode = device               ? S_IFCHR | 0600
		      : oracle_below(o, 2) ? S_IFIFO | 0644
					   : S_IFSOCK | 0755;
	dev_t rdev = device ? (dev_t)0x103 : 0;
	char path[PATH_SIZE];
	struct result r[NR_SIDES];

	oracle_path(o, path, false);
	oracle_say(o, "mknod %s mode %o", path, mode);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(mknodat(o->root[side], path, mode, rdev));
	oracle_expect(o, "mknod", r);
	compare_paths(o, path);
}

static void op_chmod(struct oracle *o)
{
	/* The owner keeps access, so that a run as user does not end in a tree nobody may enter. */
	mode_t mode = (mode_t)(0700 | oracle_below(o, 010000));
	char path[PATH_SIZE];
	struct result r[NR_SIDES];

	oracle_path(o, path, oracle_below(o, 5) == 0);
	oracle_say(o, "chmod %s mode %o", path, mode);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(fchmodat(o->root[side], path, mode, 0));
	oracle_expect(o, "chmod", r);
	compare_paths(o, path);
}

static void op_chown(struct oracle *o)
{
	uid_t uid = (uid_t)oracle_below(o, 4) - 1;
	gid_t gid = (gid_t)oracle_below(o, 4) - 1;
	char path[PATH_SIZE];
	struct result r[NR_SIDES];

	if (!o->is_root)
		return;
	oracle_path(o, path, oracle_below(o, 5) == 0);
	oracle_say(o, "chown %s to %d:%d", path, (int)uid, (int)gid);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] =
			oracle_result(fchownat(o->root[side], path, uid, gid, AT_SYMLINK_NOFOLLOW));
	oracle_expect(o, "chown", r);
	compare_paths(o, path);
}

static void op_utimens(struct oracle *o)
{
	struct timespec times[2];
	struct stat st[NR_SIDES];
	struct result r[NR_SIDES];
	char path[PATH_SIZE];
	uint64_t omit = oracle_below(o, 6);

	oracle_path(o, path, oracle_below(o, 5) == 0);
	for (int i = 0; i < 2; i++) {
		times[i].tv_sec = (time_t)oracle_below(o, UINT64_C(5000000000)) - 500000000;
		times[i].tv_nsec = (long)oracle_below(o, 1000000000);
	}
	if (omit < 2)
		times[omit].tv_nsec = UTIME_OMIT;
	oracle_say(o, "utimens %s", path);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(utimensat(o->root[side], path, times, AT_SYMLINK_NOFOLLOW));
	if (!oracle_expect(o, "utimens", r))
		return;
	for (int side = 0; side < NR_SIDES; side++)
		if (fstatat(o->root[side], path, &st[side], AT_SYMLINK_NOFOLLOW) < 0)
			oracle_die(o, "lstat: %s", strerror(errno));
	compare_stat(o, path, st);
	if (omit != 0 && memcmp(&st[SIDE_A].st_atim, &times[0], sizeof(times[0])) != 0)
		oracle_die(o, "atime %lld.%09ld, not as set", (long long)st[SIDE_A].st_atim.tv_sec,
			   st[SIDE_A].st_atim.tv_nsec);
	if (omit != 1 && memcmp(&st[SIDE_A].st_mtim, &times[1], sizeof(times[1])) != 0)
		oracle_die(o, "mtime %lld.%09ld, not as set", (long long)st[SIDE_A].st_mtim.tv_sec,
			   st[SIDE_A].st_mtim.tv_nsec);
}

static void op_readlink(struct oracle *o)
{
	char path[PATH_SIZE], target[NR_SIDES][PATH_SIZE];
	struct result r[NR_SIDES];

	oracle_path(o, path, oracle_below(o, 5) == 0);
	oracle_say(o, "readlink %s", path);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(readlinkat(o->root[side], path, target[side], PATH_SIZE));
	if (oracle_expect(o, "readlink", r) &&
	    memcmp(target[SIDE_A], target[SIDE_B], (size_t)r[SIDE_A].value) != 0)
		oracle_die(o, "other target than the reference");
}

static void op_stat(struct oracle *o)
{
	char path[PATH_SIZE];
	struct stat st[NR_SIDES];
	struct result r[NR_SIDES];

	oracle_path(o, path, oracle_below(o, 5) == 0);
	oracle_say(o, "stat %s", path);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(fstatat(o->root[side], path, &st[side], 0));
	if (oracle_expect(o, "stat", r))
		compare_stat(o, path, st);
	compare_paths(o, path);
}

void oracle_name_op(struct oracle *o)
{
	uint64_t kind = oracle_below(o, 100);

	if (kind < 11)
		op_mkdir(o);
	else if (kind < 25)
		op_remove(o, 0);
	else if (kind < 28)
		op_remove(o, AT_REMOVEDIR);
	else if (kind < 48)
		op_rename(o);
	else if (kind < 58)
		op_link(o);
	else if (kind < 64)
		op_symlink(o);
	else if (kind < 67)
		op_mknod(o);
	else if (kind < 75)
		op_chmod(o);
	else if (kind < 80)
		op_chown(o);
	else if (kind < 87)
		op_utimens(o);
	else if (kind < 90)
		op_readlink(o);
	else
		op_stat(o);
}

/* One change of the sparse file: data is never zero, punched ranges are whole pages. */
static struct result sparse_step(struct oracle *o, int side, int fd, unsigned kind, uint64_t off,
				 size_t len)
{
	uint64_t page = off & ~UINT64_C(4095);

	switch (kind) {
	case 0:
		return oracle_result(ftruncate(fd, (off_t)off));
	case 1:
		return oracle_result(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					       (off_t)page, (off_t)((len + 4095) & ~(size_t)4095)));
	default:
		return oracle_result(pwrite(fd, o->buf[side], len, (off_t)off));
	}
}

static void compare_segment(struct oracle *o, const int fd[NR_SIDES], off_t start, off_t end)
{
	struct result r[NR_SIDES];

	for (; start < end; start += r[SIDE_A].value) {
		size_t len = end - start < (off_t)MAX_IO ? (size_t)(end - start) : MAX_IO;

		for (int side = 0; side < NR_SIDES; side++)
			r[side] = oracle_result(pread(fd[side], o->buf[side], len, start));
		if (!oracle_expect(o, "pread", r) || r[SIDE_A].value == 0 ||
		    memcmp(o->buf[SIDE_A], o->buf[SIDE_B], (size_t)r[SIDE_A].value) != 0)
			oracle_die(o, "sparse file: content differs at %" PRId64, (int64_t)start);
	}
}

/*
 * Both list the same runs of data, which read the same. Ends at the file's end, with ENXIO on
 * both sides.
 */
static void compare_segments(struct oracle *o, const int fd[NR_SIDES])
{
	struct result r[NR_SIDES];
	off_t start, off = 0;

	for (;;) {
		for (int side = 0; side < NR_SIDES; side++)
			r[side] = oracle_result(lseek(fd[side], off, SEEK_DATA));
		if (!oracle_expect(o, "SEEK_DATA", r))
			return;
		start = r[SIDE_A].value;
		for (int side = 0; side < NR_SIDES; side++)
			r[side] = oracle_result(lseek(fd[side], start, SEEK_HOLE));
		if (!oracle_expect(o, "SEEK_HOLE", r) || r[SIDE_A].value <= start)
			oracle_die(o, "SEEK_HOLE after data at %" PRId64, (int64_t)start);
		off = r[SIDE_A].value;
		compare_segment(o, fd, start, off);
	}
}

void oracle_sparse_op(struct oracle *o)
{
	static const char name[] = "sparse";
	unsigned bits = 13 + (unsigned)oracle_below(o, 50);
	unsigned steps = 1 + (unsigned)oracle_below(o, 24);
	struct result r[NR_SIDES];
	int fd[NR_SIDES];

	oracle_say(o, "sparse file");
	for (int side = 0; side < NR_SIDES; side++) {
		fd[side] = openat(o->root[side], name, O_RDWR | O_CREAT | O_EXCL, 0600);
		r[side] = oracle_result(fd[side] < 0 ? -1 : 0);
	}
	if (!oracle_expect(o, "open", r))
		oracle_die(o, "cannot create a file: %s", strerror(r[SIDE_A].error));
	while (steps-- > 0) {
		uint64_t off = oracle_below(o, UINT64_C(1) << (oracle_below(o, 4) ? bits : 18));
		size_t len = 1 + oracle_below(o, oracle_below(o, 2) ? 65536 : 5000);
		unsigned kind = (unsigned)oracle_below(o, 6);

		oracle_say(o, "sparse file: step %u, %zu bytes at %" PRIu64, kind, len, off);
		memcpy(o->buf[SIDE_A], o->text + oracle_below(o, MAX_IO), len);
		memcpy(o->buf[SIDE_B], o->buf[SIDE_A], len);
		for (int side = 0; side < NR_SIDES; side++)
			r[side] = sparse_step(o, side, fd[side], kind, off, len);
		oracle_expect(o, "sparse step", r);
	}
	oracle_say(o, "sparse file: comparing");
	/* the kernel asks the daemon for holes, without its own dirty pages */
	cool(o, name, fd[SIDE_A]);
	compare_segments(o, fd);
	for (int side = 0; side < NR_SIDES; side++) {
		close(fd[side]);
		unlinkat(o->root[side], name, 0);
	}
}
