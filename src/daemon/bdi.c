// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bdi.c - the kernel's limits on this mount's pages. Failures are silent by design, see bdi.h.
 */
#include "daemon/bdi.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/mountinfo.h"

/* Four requests under way at a time: with one, its sender and the daemon take turns. */
#define READ_AHEAD_KB "4096"

struct search {
	const char *path;
	struct bdi bdi;
	bool found;
};

/* The last line for a mount point is the one on top. */
static void look(void *arg, const struct mountinfo *mount)
{
	struct search *search = arg;

	if (strcmp(mount->path, search->path) != 0)
		return;
	search->bdi = (struct bdi){ mount->major, mount->minor,
				    mountinfo_has_word(mount->options, "nosuid") };
	search->found = true;
}

bool bdi_find(const char *mountpoint, struct bdi *out_bdi)
{
	struct search search = { .path = mountpoint };

	if (!mountinfo_each("", look, &search) || !search.found)
		return false;
	*out_bdi = search.bdi;
	return true;
}

static int open_limit(const struct bdi *bdi, const char *name, int flags)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/%s", bdi->major, bdi->minor, name);
	return open(path, flags | O_CLOEXEC);
}

static bool write_limit(const struct bdi *bdi, const char *name, const char *value)
{
	int fd = open_limit(bdi, name, O_WRONLY);
	bool written;

	if (fd < 0)
		return false;
	written = write(fd, value, strlen(value)) > 0;
	close(fd);
	return written;
}

static uint64_t read_limit(const struct bdi *bdi, const char *name)
{
	int fd = open_limit(bdi, name, O_RDONLY);
	char text[32];
	ssize_t len;

	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[len > 0 ? len : 0] = '\0';
	return strtoull(text, NULL, 10);
}

bool bdi_set_dirty(const struct bdi *bdi, uint64_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	return write_limit(bdi, "max_bytes", text);
}

uint64_t bdi_get_dirty(const struct bdi *bdi)
{
	return read_limit(bdi, "max_bytes");
}

void bdi_tune(const struct bdi *bdi)
{
	/* Linux 6.2 has bytes and the switch; before, only a share of all dirty memory. */
	if (!bdi_set_dirty(bdi, BDI_DIRTY_MOST))
		write_limit(bdi, "max_ratio", "100");
	write_limit(bdi, "read_ahead_kb", READ_AHEAD_KB);
}
