// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * du.c - ztmpfsctl du: what files hold, and what that costs, one by one and for trees.
 *
 * Stays on one mount; an inode with several names is counted once.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "util/alloc.h"

struct tree {
	struct ctl_usage sum;
	bool each; /* a line for each file */
	dev_t dev; /* of the mount that the tree began on */
	uint64_t *seen; /* numbers of inodes with several names, sorted */
	size_t nr_seen, max_seen;
	int failed; /* exit status so far */
};

void ctl_usage_add(struct ctl_usage *sum, const struct ztmpfs_file_stat *stat)
{
	sum->nr_inodes++;
	sum->size += stat->size;
	sum->allocated += stat->allocated;
	sum->stored += stat->stored;
	sum->memory += stat->memory;
	for (size_t i = 0; i < ZTMPFS_FILE_CODECS; i++) {
		const struct ztmpfs_file_codec *codec = &stat->codecs[i];
		size_t at = 0;

		if (codec->pages == 0 && codec->stored == 0)
			continue;
		while (at + 1 < ARRAY_SIZE(sum->codecs) && sum->codecs[at].name[0] != '\0' &&
		       strncmp(sum->codecs[at].name, codec->name, sizeof(codec->name)) != 0)
			at++;
		memcpy(sum->codecs[at].name, codec->name, sizeof(codec->name));
		sum->codecs[at].name[sizeof(codec->name) - 1] = '\0';
		sum->codecs[at].pages += codec->pages;
		sum->codecs[at].stored += codec->stored;
	}
}

void ctl_usage_print(FILE *out, const struct ctl_usage *sum, const char *path)
{
	double ratio = sum->memory ? (double)sum->allocated / (double)sum->memory : 0;

	fprintf(out, "%14" PRIu64 " %14" PRIu64 " %14" PRIu64 " %14" PRIu64 " %7.3f ", sum->size,
		sum->allocated, sum->stored, sum->memory, ratio);
	for (size_t i = 0; i < ARRAY_SIZE(sum->codecs) && sum->codecs[i].name[0] != '\0'; i++)
		fprintf(out, "%s%s:%.0f%%", i ? "," : "", sum->codecs[i].name,
			sum->allocated
				? 409600.0 * (double)sum->codecs[i].pages / (double)sum->allocated
				: 0.0);
	if (sum->codecs[0].name[0] == '\0')
		fputc('-', out);
	fprintf(out, " %s\n", path);
}

static void complain(struct tree *tree, const char *path, int error)
{
	fprintf(stderr, "ztmpfsctl: %s: %s\n", path,
		error == ENOTTY ? "not a ztmpfs" : strerror(error));
	tree->failed = CTL_EXIT_FAILED;
}

/* Whether an inode with several names comes for the second time. */
static bool seen_before(struct tree *tree, uint64_t ino)
{
	size_t low = 0, high = tree->nr_seen;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (tree->seen[middle] < ino)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < tree->nr_seen && tree->seen[low] == ino)
		return true;
	if (tree->nr_seen == tree->max_seen) {
		size_t max = tree->max_seen ? 2 * tree->max_seen : 64;
		uint64_t *more = zt_zalloc(max * sizeof(*more));

		if (!more)
			return false; /* counted twice rather than not at all */
		if (tree->seen)
			memcpy(more, tree->seen, tree->nr_seen * sizeof(*more));
		zt_free(tree->seen);
		tree->seen = more;
		tree->max_seen = max;
	}
	memmove(tree->seen + low + 1, tree->seen + low,
		(tree->nr_seen - low) * sizeof(*tree->seen));
	tree->seen[low] = ino;
	tree->nr_seen++;
	return false;
}

static void walk(struct tree *tree, int at, const char *name, const char *path);

static void walk_dir(struct tree *tree, int fd, const char *path)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		complain(tree, path, errno);
		close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		char *below;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (asprintf(&below, "%s/%s", path, entry->d_name) < 0) {
			complain(tree, path, ENOMEM);
			break;
		}
		walk(tree, dirfd(dir), entry->d_name, below);
		free(below); /* asprintf's */
	}
	closedir(dir);
}

/* Takes @fd. */
static void count_inode(struct tree *tree, int fd, const struct stat *st, const char *path)
{
	struct ztmpfs_file_stat stat = { 0 };

	if (ioctl(fd, ZTMPFS_IOC_FILE_STAT, &stat) != 0) {
		complain(tree, path, errno);
	} else {
		ctl_usage_add(&tree->sum, &stat);
		if (tree->each && S_ISREG(st->st_mode)) {
			struct ctl_usage one = { 0 };

			ctl_usage_add(&one, &stat);
			ctl_usage_print(stdout, &one, path);
		}
	}
	if (S_ISDIR(st->st_mode))
		walk_dir(tree, fd, path);
	else
		close(fd);
}

/* What cannot be opened without effects (links, devices, fifos) costs its inode only: left out. */
static void walk(struct tree *tree, int at, const char *name, const char *path)
{
	struct stat st;
	int fd;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		complain(tree, path, errno);
		return;
	}
	if (tree->dev == 0)
		tree->dev = st.st_dev;
	if (st.st_dev != tree->dev || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
		return;
	if (S_ISREG(st.st_mode) && st.st_nlink > 1 && seen_before(tree, st.st_ino))
		return;
	fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		complain(tree, path, errno);
	else
		count_inode(tree, fd, &st, path);
}

static int run(int argc, char *argv[])
{
	bool each = false;
	int first, status = 0;

	for (bool again = true; ctl_switch(&ctl_du, argc, argv, again) == 'f'; again = false)
		each = true;
	first = optind;
	printf("%14s %14s %14s %14s %7s %s %s\n", "size", "allocated", "stored", "memory", "ratio",
	       "codecs", "path");
	for (int i = first; i < argc || i == first; i++) {
		const char *path = i < argc ? argv[i] : ".";
		struct tree tree = { .each = each };

		walk(&tree, AT_FDCWD, path, path);
		if (tree.sum.nr_inodes > 0)
			ctl_usage_print(stdout, &tree.sum, path);
		zt_free(tree.seen);
		status = tree.failed ? tree.failed : status;
	}
	if (fflush(stdout) != 0) {
		fprintf(stderr, "ztmpfsctl: output: %s\n", strerror(errno));
		return CTL_EXIT_FAILED;
	}
	return status;
}

static const struct ctl_switch switches[] = {
	{ .letter = 'f', .name = "files", .help = "a line for each file, too" },
	{ 0 },
};

const struct ctl_command ctl_du = {
	.name = "du",
	.operands = "[PATH...]",
	.help = "Print what files and trees hold, and what that costs.",
	.switches = switches,
	.takes = CTL_PATHS,
	.run = run,
};
