/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * oracle_compare.c - what "alike" means: attributes, contents, listings. See oracle.h.
 *
 * Not compared: st_blocks, sizes of folders, and times, but right after they were set.
 */
#include "tests/mount/oracle.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void compare_stat(struct oracle *o, const char *path, const struct stat st[NR_SIDES])
{
	const struct stat *a = &st[SIDE_A], *b = &st[SIDE_B];

	if (a->st_mode != b->st_mode)
		oracle_die(o, "%s: mode %o, the reference %o", path, a->st_mode, b->st_mode);
	if (a->st_nlink != b->st_nlink)
		oracle_die(o, "%s: %lu links, the reference %lu", path, (unsigned long)a->st_nlink,
			   (unsigned long)b->st_nlink);
	if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
		oracle_die(o, "%s: owner %u:%u, the reference %u:%u", path, a->st_uid, a->st_gid,
			   b->st_uid, b->st_gid);
	if (!S_ISDIR(a->st_mode) && a->st_size != b->st_size)
		oracle_die(o, "%s: size %" PRId64 ", the reference %" PRId64, path,
			   (int64_t)a->st_size, (int64_t)b->st_size);
	if (a->st_rdev != b->st_rdev)
		oracle_die(o, "%s: device %lx, the reference %lx", path, (unsigned long)a->st_rdev,
			   (unsigned long)b->st_rdev);
}

void compare_fds(struct oracle *o, const struct pair *pair)
{
	struct stat st[NR_SIDES];

	for (int side = 0; side < NR_SIDES; side++)
		if (fstat(pair->fd[side], &st[side]) < 0)
			oracle_die(o, "fstat: %s", strerror(errno));
	compare_stat(o, pair->path, st);
}

void compare_paths(struct oracle *o, const char *path)
{
	struct stat st[NR_SIDES];
	struct result r[NR_SIDES];

	for (int side = 0; side < NR_SIDES; side++)
		r[side] =
			oracle_result(fstatat(o->root[side], path, &st[side], AT_SYMLINK_NOFOLLOW));
	if (oracle_expect(o, "lstat", r))
		compare_stat(o, path, st);
}

void cool(struct oracle *o, const char *path, int fd)
{
	if (fsync(fd) < 0)
		oracle_die(o, "%s: fsync: %s", path, strerror(errno));
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static size_t first_difference(const char *a, const char *b, size_t len)
{
	size_t i = 0;

	while (i < len && a[i] == b[i])
		i++;
	return i;
}

void compare_content(struct oracle *o, const char *path, const int fd[NR_SIDES], bool cold)
{
	struct result r[NR_SIDES];
	off_t off = 0;
	size_t len;

	if (cold)
		cool(o, path, fd[SIDE_A]);
	do {
		for (int side = 0; side < NR_SIDES; side++)
			r[side] = oracle_result(pread(fd[side], o->buf[side], MAX_IO, off));
		if (!oracle_expect(o, path, r))
			return; /* not readable, on both sides */
		len = (size_t)r[SIDE_A].value;
		if (memcmp(o->buf[SIDE_A], o->buf[SIDE_B], len) != 0)
			oracle_die(o, "%s: content differs%s at %" PRId64, path,
				   cold ? " (cache dropped)" : "",
				   (int64_t)off + (int64_t)first_difference(o->buf[SIDE_A],
									    o->buf[SIDE_B], len));
		off += (off_t)len;
	} while (len == MAX_IO);
}

/* A listing: names with their types, sorted. */
struct listing {
	char **names; /* first character: type; then the name */
	size_t nr, room;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void listing_add(struct oracle *o, struct listing *list, const struct dirent *entry)
{
	if (list->nr == list->room) {
		list->room = list->room ? 2 * list->room : 64;
		list->names = reallocarray(list->names, list->room, sizeof(char *));
	}
	if (!list->names ||
	    asprintf(&list->names[list->nr++], "%c%s", 'A' + entry->d_type, entry->d_name) < 0)
		oracle_die(o, "out of memory");
}

static void check_ino(struct oracle *o, int dir, const char *path, const struct dirent *entry)
{
	struct stat st;

	if (fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		oracle_die(o, "%s/%s: listed, but lstat says %s", path, entry->d_name,
			   strerror(errno));
	if (st.st_ino != entry->d_ino)
		oracle_die(o, "%s/%s: inode %lu, listed with %lu", path, entry->d_name,
			   (unsigned long)st.st_ino, (unsigned long)entry->d_ino);
}

static void listing_load(struct oracle *o, struct listing *list, int dir, const char *path,
			 int side)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	memset(list, 0, sizeof(*list));
	if (!stream)
		oracle_die(o, "%s: cannot list: %s", path, strerror(errno));
	errno = 0;
	while ((entry = readdir(stream))) {
		listing_add(o, list, entry);
		if (side == SIDE_A)
			check_ino(o, dir, path, entry);
		errno = 0;
	}
	if (errno)
		oracle_die(o, "%s: readdir: %s", path, strerror(errno));
	closedir(stream);
	qsort(list->names, list->nr, sizeof(char *), by_name);
}

static void listing_free(struct listing *list)
{
	for (size_t i = 0; i < list->nr; i++)
		free(list->names[i]);
	free(list->names);
}

static void compare_listings(struct oracle *o, const char *path,
			     const struct listing list[NR_SIDES])
{
	const struct listing *a = &list[SIDE_A], *b = &list[SIDE_B];

	for (size_t i = 0; i < a->nr || i < b->nr; i++) {
		if (i == a->nr)
			oracle_die(o, "%s: not listed: %s", path, b->names[i] + 1);
		if (i == b->nr)
			oracle_die(o, "%s: listed, but not there: %s", path, a->names[i] + 1);
		if (strcmp(a->names[i], b->names[i]) != 0)
			oracle_die(o, "%s: lists %s (type %d), the reference %s (type %d)", path,
				   a->names[i] + 1, a->names[i][0] - 'A', b->names[i] + 1,
				   b->names[i][0] - 'A');
	}
}

static void compare_dirs(struct oracle *o, const char *path, const int dir[NR_SIDES]);

static void compare_links(struct oracle *o, const char *path, const int dir[NR_SIDES],
			  const char *name)
{
	char target[NR_SIDES][PATH_SIZE];
	struct result r[NR_SIDES];

	for (int side = 0; side < NR_SIDES; side++) {
		memset(target[side], 0, PATH_SIZE);
		r[side] = oracle_result(readlinkat(dir[side], name, target[side], PATH_SIZE - 1));
	}
	if (oracle_expect(o, path, r) && strcmp(target[SIDE_A], target[SIDE_B]) != 0)
		oracle_die(o, "%s: target %s, the reference %s", path, target[SIDE_A],
			   target[SIDE_B]);
}

static void compare_attrs_at(struct oracle *o, const int dir[NR_SIDES], const char *name)
{
	char path[NR_SIDES][PATH_SIZE];
	const char *const paths[] = { path[SIDE_A], path[SIDE_B] };

	for (int side = 0; side < NR_SIDES; side++)
		snprintf(path[side], PATH_SIZE, "/proc/self/fd/%d/%s", dir[side], name);
	compare_attrs(o, paths);
}

static void compare_entry(struct oracle *o, const char *path, const int dir[NR_SIDES],
			  const char *name)
{
	struct stat st[NR_SIDES];
	struct result r[NR_SIDES];
	int fd[NR_SIDES];

	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(fstatat(dir[side], name, &st[side], AT_SYMLINK_NOFOLLOW));
	if (!oracle_expect(o, path, r))
		return;
	compare_stat(o, path, st);
	compare_attrs_at(o, dir, name);
	if (S_ISLNK(st[SIDE_A].st_mode))
		compare_links(o, path, dir, name);
	if (!S_ISREG(st[SIDE_A].st_mode) && !S_ISDIR(st[SIDE_A].st_mode))
		return;
	for (int side = 0; side < NR_SIDES; side++) {
		fd[side] = openat(dir[side], name, O_RDONLY | O_NOFOLLOW);
		r[side] = oracle_result(fd[side] < 0 ? -1 : 0);
	}
	if (!oracle_expect(o, path, r))
		return;
	if (S_ISREG(st[SIDE_A].st_mode))
		compare_content(o, path, fd, oracle_below(o, 2));
	else
		compare_dirs(o, path, fd);
	close(fd[SIDE_A]);
	close(fd[SIDE_B]);
}

static void compare_dirs(struct oracle *o, const char *path, const int dir[NR_SIDES])
{
	struct listing list[NR_SIDES];
	char below[PATH_SIZE];

	for (int side = 0; side < NR_SIDES; side++)
		listing_load(o, &list[side], dir[side], path, side);
	compare_listings(o, path, list);
	for (size_t i = 0; i < list[SIDE_A].nr; i++) {
		const char *name = list[SIDE_A].names[i] + 1;

		if (!strcmp(name, ".") || !strcmp(name, ".."))
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, name);
		compare_entry(o, below, dir, name);
	}
	listing_free(&list[SIDE_A]);
	listing_free(&list[SIDE_B]);
}

void compare_trees(struct oracle *o)
{
	oracle_say(o, "comparing both trees");
	for (int i = 0; i < OPEN_PAIRS; i++)
		if (o->open[i].fd[SIDE_A] >= 0) {
			compare_fds(o, &o->open[i]);
			compare_content(o, o->open[i].path, o->open[i].fd, true);
		}
	compare_dirs(o, "", o->root);
}
