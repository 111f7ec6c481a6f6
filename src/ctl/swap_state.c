// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swap_state.c - what ztmpfsctl swap remembers while swap is on, and the kernel's settings.
 *
 * The state is a small text in /run: a crash of the daemon must not take the old settings with it,
 * and a reboot, which sets them back, takes the state away, too. It is written before anything else
 * is done, so that `off` can clean up after an `on` that was killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/swap.h"

#define STATE_MAX 1024u

/* Settings of /proc/sys/vm, and what they become. */
static const struct {
	const char *name;
	long value;
} settings[] = {
	{ "page-cluster", 0 },
	{ "watermark_boost_factor", 0 },
};
static_assert(ARRAY_SIZE(settings) == SWAP_NR_SETTINGS, "struct swap_state has space for them");

/* ---- the state ---- */

static void clear(struct swap_state *state)
{
	*state = (struct swap_state){ .mount = "" };
	for (size_t i = 0; i < SWAP_NR_SETTINGS; i++)
		state->old[i] = -1;
}

static void parse_line(char *line, struct swap_state *state)
{
	char *value = strchr(line, ' ');

	if (!value)
		return;
	*value++ = '\0';
	if (strcmp(line, "mount") == 0 && strlen(value) < sizeof(state->mount))
		strcpy(state->mount, value);
	if (strcmp(line, "mounted") == 0)
		state->mounted = *value == '1';
	if (strcmp(line, "folder") == 0)
		state->folder = *value == '1';
	for (size_t i = 0; i < SWAP_NR_SETTINGS; i++)
		if (strcmp(line, settings[i].name) == 0)
			state->old[i] = strtol(value, NULL, 10);
}

static int state_read(int fd, struct swap_state *out_state)
{
	char text[STATE_MAX], *line, *rest = text;
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

	clear(out_state);
	if (len < 0)
		return -errno;
	text[len] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL)
		parse_line(line, out_state);
	return 0;
}

void swap_state_look(struct swap_state *out_state)
{
	char path[PATH_MAX];
	int fd;

	swap_system_path(path, SWAP_STATE);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || state_read(fd, out_state) != 0)
		clear(out_state);
	if (fd >= 0)
		close(fd);
}

/* The file that is locked may have been removed by who held the lock before. */
static bool is_there(int fd, const char *path)
{
	struct stat mine, there;

	return fstat(fd, &mine) == 0 && lstat(path, &there) == 0 && mine.st_ino == there.st_ino &&
	       mine.st_dev == there.st_dev;
}

int swap_state_open(int *out_fd, struct swap_state *out_state)
{
	char path[PATH_MAX];
	int error = 0, fd;

	swap_system_path(path, SWAP_STATE);
	for (;;) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			error = -errno;
			break;
		}
		if (is_there(fd, path)) {
			error = state_read(fd, out_state);
			break;
		}
		close(fd);
	}
	if (error)
		close(fd);
	else
		*out_fd = fd;
	return error;
}

int swap_state_write(int fd, const struct swap_state *state)
{
	char text[STATE_MAX];
	int len = snprintf(text, sizeof(text), "mount %s\nmounted %d\nfolder %d\n", state->mount,
			   state->mounted, state->folder);
	ssize_t put;

	for (size_t i = 0; i < SWAP_NR_SETTINGS; i++)
		if (state->old[i] >= 0)
			len += snprintf(text + len, sizeof(text) - (size_t)len, "%s %ld\n",
					settings[i].name, state->old[i]);
	if (ftruncate(fd, 0) != 0)
		return -errno;
	put = pwrite(fd, text, (size_t)len, 0);
	if (put < 0)
		return -errno;
	return put == len ? 0 : -ENOSPC;
}

void swap_state_close(int fd, bool forget)
{
	char path[PATH_MAX];

	swap_system_path(path, SWAP_STATE);
	if (forget)
		(void)unlink(path); /* the next `on` or `off` finds it, and that it is old */
	close(fd);
}

/* ---- the settings ---- */

static void setting_path(char out[PATH_MAX], size_t idx)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "/proc/sys/vm/%s", settings[idx].name);
	swap_system_path(out, path);
}

static long setting_get(size_t idx)
{
	char path[PATH_MAX], line[32];

	setting_path(path, idx);
	return swap_read_line(path, line, sizeof(line)) ? strtol(line, NULL, 10) : -1;
}

static int setting_write(size_t idx, long value)
{
	char path[PATH_MAX], text[32];

	setting_path(path, idx);
	(void)snprintf(text, sizeof(text), "%ld\n", value);
	return swap_write(path, text);
}

void swap_settings_get(struct swap_state *inout_state)
{
	for (size_t i = 0; i < SWAP_NR_SETTINGS; i++)
		inout_state->old[i] = setting_get(i);
}

int swap_settings_set(const struct swap_state *state)
{
	int error = 0;

	for (size_t i = 0; i < SWAP_NR_SETTINGS && !error; i++)
		if (state->old[i] >= 0)
			error = setting_write(i, settings[i].value);
	return error;
}

void swap_settings_restore(const struct swap_state *state)
{
	for (size_t i = 0; i < SWAP_NR_SETTINGS; i++) {
		/* Somebody else's wish stays. */
		if (state->old[i] < 0 || setting_get(i) != settings[i].value)
			continue;
		if (setting_write(i, state->old[i]) != 0)
			fprintf(stderr, "ztmpfsctl: swap: vm.%s stays %ld, it was %ld\n",
				settings[i].name, settings[i].value, state->old[i]);
	}
}

void swap_settings_print(FILE *out, const struct swap_state *state)
{
	const char *comma = "";

	for (size_t i = 0; i < SWAP_NR_SETTINGS; i++) {
		if (state->old[i] < 0)
			continue;
		fprintf(out, "%svm.%s is %ld (it was %ld)", comma, settings[i].name,
			settings[i].value, state->old[i]);
		comma = ", ";
	}
	fputc('\n', out);
}
