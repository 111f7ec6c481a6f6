// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rescue.c - rescue=: where the contents of a mount go that no daemon can go on with. See rescue.h.
 *
 * The pages are saved as they are: a daemon that died of them would die once more.
 */
#include "daemon/rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/image.h"
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

void rescue(const struct survive *survive, const char *why)
{
	int res;

	if (survive->rescue_fd < 0) {
		zt_log(ZT_LOG_ERR, "%s; the mount and all that it held are gone", why);
		return;
	}
	zt_log(ZT_LOG_ERR, "%s; the mount has ended, and what it held is being saved", why);
	res = save(survive);
	if (res)
		zt_log(ZT_LOG_ERR, "%.512s: cannot be saved to %s, and is gone: %s",
		       survive->record->mountpoint, survive->record->rescue, strerror(-res));
	else
		zt_log(ZT_LOG_WARN, "%.512s: saved to %s, an image for -o image=",
		       survive->record->mountpoint, survive->record->rescue);
}
