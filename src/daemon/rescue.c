// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rescue.c - where the contents of a mount go that no daemon can go on with. See rescue.h.
 *
 * The pages are saved as they are: a daemon that died of them would die once more.
 */
#include "daemon/rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "daemon/surroundings.h"
#include "fs/image.h"
#include "image/format.h"
#include "image/file.h"
#include "util/log.h"

int rescue_open(const struct options *options, struct survive *survive, struct options_error *error)
{
	struct image_place place = { .dir_fd = -1 };
	int res;

	if (!options->rescue_path)
		return 0;
	res = image_place_find(options->rescue_path, &place);
	if (!res && faccessat(place.dir_fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
		res = -errno;
		close(place.dir_fd);
	}
	if (res) {
		ERR_PRINTF(error, "option rescue=%.512s: %s", options->rescue_path, strerror(-res));
		return res;
	}
	(void)snprintf(survive->record->rescue, sizeof(survive->record->rescue), "%s", place.name);
	survive_keep(survive, HANDOVER_RESCUE, place.dir_fd);
	return 0;
}

static int save(const struct survive *survive)
{
	struct image_place place = { .dir_fd = survive->rescue_fd };
	struct image_file file;
	int res;

	(void)snprintf(place.name, sizeof(place.name), "%s", survive->record->rescue);
	res = image_file_begin(&place, &file);
	if (res)
		return res;
	res = super_rescue(survive->arena_fd, file.fd);
	if (!res)
		res = image_file_commit(&file);
	image_file_drop(&file);
	return res;
}

/* Return: whether it was. */
static bool is_saved(const struct survive *survive, const char *why)
{
	int res;

	zt_log(ZT_LOG_ERR, "%s; the mount has ended, and what it held is being saved", why);
	res = save(survive);
	if (res)
		zt_log(ZT_LOG_ERR, "%.512s: cannot be saved to %s: %s", survive->record->mountpoint,
		       survive->record->rescue, strerror(-res));
	else
		zt_log(ZT_LOG_WARN, "%.512s: saved to %s, an image for -o image=",
		       survive->record->mountpoint, survive->record->rescue);
	return res == 0;
}

/* What an image of it would say, where ztmpfsctl finds that beside the arena. Return: 0 or -errno. */
static int leave_facts(const struct survive *survive)
{
	const int fd = memfd_create(IMAGE_REMAINS_FACTS, MFD_CLOEXEC); /* open until the process ends */
	struct image_facts facts;
	ssize_t len;

	if (fd < 0)
		return -errno;
	super_remains(survive->arena_fd, &facts);
	len = write(fd, &facts, sizeof(facts));
	return len == (ssize_t)sizeof(facts) ? 0 : len < 0 ? -errno : -ENOSPC;
}

/* Until it is told to end: by those signals that would have ended the mount. */
static void hold(const struct survive *survive)
{
	const char *path = survive->record->mountpoint;
	sigset_t ends;
	int sig, res;

	(void)prctl(PR_SET_NAME, IMAGE_REMAINS_FACTS);
	/* The keeper's is lower. Where it cannot be set, it was not either. */
	(void)!surroundings_set_oom(survive->record->oom);
	res = leave_facts(survive);
	if (res) {
		zt_log(ZT_LOG_ERR, "%.512s: what it held is gone: %s", path, strerror(-res));
		return;
	}
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &ends, NULL); /* it fails only for wrong arguments */
	zt_log(ZT_LOG_WARN,
	       "%.512s: process %d has what it held: 'ztmpfsctl rescue %d FILE' saves that, SIGTERM "
	       "frees it",
	       path, (int)getpid(), (int)getpid());
	(void)sigwait(&ends, &sig);
	zt_log(ZT_LOG_INFO, "%.512s: what it held was let go", path);
}

void rescue(const struct survive *survive, const char *why, bool stays)
{
	if (survive->rescue_fd >= 0) {
		if (is_saved(survive, why))
			return;
	} else {
		zt_log(ZT_LOG_ERR, "%s; the mount has ended", why);
	}
	if (stays)
		hold(survive);
	else
		zt_log(ZT_LOG_ERR, "%.512s: what it held is gone", survive->record->mountpoint);
}
