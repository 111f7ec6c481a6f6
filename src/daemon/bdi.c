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

/* What compressors on all cores work off in a fraction of a second: enough to never run dry. */
#define DIRTY_BYTES "134217728"
/* Four requests under way at a time: with one, its sender and the daemon take turns. */
#define READ_AHEAD_KB "4096"

/* In place: mountinfo writes blank, tab, newline and backslash as three octal digits. */
static void unescape(char *text)
{
	char *out = text;

	for (; *text != '\0'; text++) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' &&
		    text[2] <= '7' && text[3] >= '0' && text[3] <= '7') {
			*out++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + text[3] - '0');
			text += 3;
		} else {
			*out++ = *text;
		}
	}
	*out = '\0';
}

/* "36 35 98:0 /root /mnt/point options ...": the last line for a mount point is the one on top. */
static bool find_device(const char *mountpoint, unsigned *out_major, unsigned *out_minor)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	if (!file)
		return false;
	while (getline(&line, &room, file) > 0) {
		unsigned major, minor;
		char *path = NULL;

		if (sscanf(line, "%*d %*d %u:%u %*s %ms", &major, &minor, &path) == 3) {
			unescape(path);
			if (strcmp(path, mountpoint) == 0) {
				*out_major = major;
				*out_minor = minor;
				found = true;
			}
		}
		free(path);
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
	unsigned major, minor;

	if (!find_device(mountpoint, &major, &minor))
		return;
	/* Linux 6.2 has bytes and the switch; before, only a share of all dirty memory. */
	if (!write_limit(major, minor, "max_bytes", DIRTY_BYTES))
		write_limit(major, minor, "max_ratio", "100");
	write_limit(major, minor, "read_ahead_kb", READ_AHEAD_KB);
}
