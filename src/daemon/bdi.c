// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bdi.c - the kernel's limits on this mount's pages.
 *
 * The device number comes from /proc/self/mountinfo: stat() of the mount point would be a request
 * to ourselves. Failures are silent by design, see bdi.h.
 */
#include "daemon/bdi.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/mountinfo.h"

/* What compressors on all cores work off in a fraction of a second: enough to never run dry. */
#define DIRTY_BYTES "134217728"
/* Four requests under way at a time: with one, its sender and the daemon take turns. */
#define READ_AHEAD_KB "4096"

/* The last line for a mount point is the one on top. */
static bool find_device(const char *mountpoint, struct mountinfo *out_mount)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	struct mountinfo mount;
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	if (!file)
		return false;
	while (getline(&line, &room, file) > 0) {
		if (mountinfo_parse(line, &mount) && strcmp(mount.path, mountpoint) == 0) {
			out_mount->major = mount.major;
			out_mount->minor = mount.minor;
			found = true;
		}
	}
	free(line);
	fclose(file);
	return found;
}

/* False: an older kernel, or not root. */
static bool write_limit(unsigned major, unsigned minor, const char *name, const char *value)
{
	char path[96];
	bool written;
	int fd;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/%s", major, minor, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	written = write(fd, value, strlen(value)) > 0;
	close(fd);
	return written;
}

void bdi_tune(const char *mountpoint)
{
	struct mountinfo mount;

	if (!find_device(mountpoint, &mount))
		return;
	/* Linux 6.2 has bytes and the switch; before, only a share of all dirty memory. */
	if (!write_limit(mount.major, mount.minor, "max_bytes", DIRTY_BYTES))
		write_limit(mount.major, mount.minor, "max_ratio", "100");
	write_limit(mount.major, mount.minor, "read_ahead_kb", READ_AHEAD_KB);
}
