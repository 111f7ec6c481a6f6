// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rescue.c - ztmpfsctl rescue: what a mount held whose daemons died one after the other, out of the
 * process that has it, into an image.
 *
 * That process does nothing but hold it. It is read here, with the caller's rights.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/signals.h"
#include "image/file.h"
#include "image/image.h"
#include "image/io.h"

struct remains {
	int range, facts_fd; /* -1: there is none */
	struct image_facts facts;
};

/* Whether the descriptor is a memfd of that name. */
static bool is_memfd(int dir, const char *fd, const char *name)
{
	char link[64], wanted[64];
	const ssize_t len = readlinkat(dir, fd, link, sizeof(link) - 1);

	(void)snprintf(wanted, sizeof(wanted), "/memfd:%s (deleted)", name);
	if (len < 0)
		return false;
	link[len] = '\0';
	return strcmp(link, wanted) == 0;
}

static int look_through(DIR *dir, struct remains *out)
{
	const struct dirent *entry;

	while ((entry = readdir(dir)) != NULL) {
		int *fd = is_memfd(dirfd(dir), entry->d_name, IMAGE_REMAINS_RANGE) ? &out->range :
			  is_memfd(dirfd(dir), entry->d_name, IMAGE_REMAINS_FACTS) ? &out->facts_fd :
										     NULL;

		if (!fd || *fd >= 0)
			continue;
		*fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
		if (*fd < 0)
			return -errno;
	}
	return out->range >= 0 && out->facts_fd >= 0 ? 0 : -ENOENT;
}

static int find(pid_t pid, struct remains *out)
{
	char path[32];
	DIR *dir;
	int error;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	error = look_through(dir, out);
	closedir(dir);
	return error ? error : image_read(out->facts_fd, &out->facts, sizeof(out->facts), 0);
}

static int save(const struct remains *remains, const char *path)
{
	struct image_place place = { .dir_fd = -1 };
	struct image_file file = { .fd = -1 };
	int error = image_place_find(path, &place);

	if (!error)
		error = image_file_begin(&place, &file);
	if (!error)
		error = image_save(file.fd, remains->range, &remains->facts);
	if (!error && signals_noted())
		error = -EINTR;
	if (!error)
		error = image_file_commit(&file);
	image_file_drop(&file);
	if (place.dir_fd >= 0)
		close(place.dir_fd);
	return error;
}

static int rescue(const char *process, const char *path)
{
	struct remains remains = { .range = -1, .facts_fd = -1 };
	char *end;
	const long pid = strtol(process, &end, 10);
	int error, failed = 0;

	if (pid <= 0 || pid > INT_MAX || *end != '\0')
		return ctl_usage(&ctl_rescue);
	error = find((pid_t)pid, &remains);
	if (error == -ENOENT)
		failed = ctl_failed(process, "this process holds nothing of a mount that has ended");
	else if (error)
		failed = ctl_fail(process, error);
	if (!failed) {
		error = save(&remains, path);
		failed = error ? ctl_fail(path, error) : 0;
	}
	if (remains.range >= 0)
		close(remains.range);
	if (remains.facts_fd >= 0)
		close(remains.facts_fd);
	return failed;
}

static int run(int argc, char *argv[])
{
	int failed;

	(void)ctl_switch(&ctl_rescue, argc, argv, true);
	if (argc != optind + 2)
		return ctl_usage(&ctl_rescue);
	signals_catch(true); /* what was begun is removed then */
	(void)signal(SIGXFSZ, SIG_IGN); /* a file that grows too large is an error */
	failed = rescue(argv[optind], argv[optind + 1]);
	signals_pass_on();
	return failed;
}

const struct ctl_command ctl_rescue = {
	.name = "rescue",
	.operands = "PROCESS FILE",
	.help = "Save what is left of a mount that was ended, to an image for image=.",
	.takes = CTL_NOTHING,
	.run = run,
};
