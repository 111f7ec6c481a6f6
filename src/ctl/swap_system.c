// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swap_system.c - loop devices, /proc/swaps and the kernel's settings, for ztmpfsctl swap.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/swap.h"

#define SECTOR_SIZE 4096u
/* Another process may take the free loop device first. */
#define ATTACH_TRIES 8
#define NR_LOOPS     256

void swap_path(char out[SWAP_PATH_MAX + 32], const char *mount, const char *name)
{
	(void)snprintf(out, SWAP_PATH_MAX + 32, "%s/%s", mount, name);
}

/* First line of a small file, without its newline; false when there is none. */
static bool read_line(const char *path, char *line, size_t room)
{
	FILE *file = fopen(path, "re");
	bool got;

	if (!file)
		return false;
	got = fgets(line, (int)room, file) != NULL;
	fclose(file);
	if (got)
		line[strcspn(line, "\n")] = '\0';
	return got;
}

static int write_number(const char *path, unsigned long value)
{
	char text[32];
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = 0, len;

	if (fd < 0)
		return -errno;
	len = snprintf(text, sizeof(text), "%lu\n", value);
	if (write(fd, text, (size_t)len) < 0)
		error = -errno;
	close(fd);
	return error;
}

static void find_device(const char *file, char out_device[32])
{
	for (int i = 0; i < NR_LOOPS; i++) {
		char path[64], line[PATH_MAX];

		(void)snprintf(path, sizeof(path), "/sys/block/loop%d/loop/backing_file", i);
		if (read_line(path, line, sizeof(line)) && strcmp(line, file) == 0) {
			(void)snprintf(out_device, 32, "/dev/loop%d", i);
			return;
		}
	}
}

static int find_active(struct swap_found *found)
{
	FILE *file = fopen("/proc/swaps", "re");
	char line[PATH_MAX];

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		char name[64];
		uint64_t size, used;

		if (sscanf(line, "%63s %*s %" SCNu64 " %" SCNu64, name, &size, &used) == 3 &&
		    strcmp(name, found->device) == 0) {
			found->active = true;
			found->size = size * 1024;
			found->used = used * 1024;
		}
	}
	fclose(file);
	return 0;
}

int swap_find(const char *mount, struct swap_found *out_found)
{
	struct swap_found found = { 0 };
	struct ztmpfs_stat stat;
	char file[SWAP_PATH_MAX + 32];
	int error = ctl_get_stat(mount, &stat);

	if (error && error != -ENOTTY && error != -ENOENT)
		return error;
	found.mounted = error == 0;
	swap_path(file, mount, SWAP_FILE);
	find_device(file, found.device);
	error = *found.device != '\0' ? find_active(&found) : 0;
	if (!error)
		*out_found = found;
	return error;
}

static int configure(int device, int backing, const char *file)
{
	struct loop_config config = {
		.fd = (uint32_t)backing,
		.block_size = SECTOR_SIZE,
		.info = { .lo_flags = LO_FLAGS_DIRECT_IO },
	};

	(void)snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "%s", file);
	return ioctl(device, LOOP_CONFIGURE, &config) == 0 ? 0 : -errno;
}

/* The kernel takes direct I/O for a wish. */
static bool is_direct(int number)
{
	char path[64], line[8];

	(void)snprintf(path, sizeof(path), "/sys/block/loop%d/loop/dio", number);
	return read_line(path, line, sizeof(line)) && strcmp(line, "1") == 0;
}

static int attach_once(int control, int backing, const char *file, char out_device[32])
{
	int number = ioctl(control, LOOP_CTL_GET_FREE);
	int device, error;

	if (number < 0)
		return -errno;
	(void)snprintf(out_device, 32, "/dev/loop%d", number);
	device = open(out_device, O_RDWR | O_CLOEXEC);
	if (device < 0)
		return -errno;
	error = configure(device, backing, file);
	if (!error && !is_direct(number)) {
		(void)ioctl(device, LOOP_CLR_FD, 0); /* it is ours, and nobody uses it */
		error = -EOPNOTSUPP;
	}
	close(device);
	return error;
}

int swap_attach(const char *file, char out_device[32])
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int backing, error = -EBUSY;

	if (control < 0)
		return -errno;
	backing = open(file, O_RDWR | O_CLOEXEC);
	if (backing < 0) {
		error = -errno;
		close(control);
		return error;
	}
	for (int i = 0; i < ATTACH_TRIES && error == -EBUSY; i++)
		error = attach_once(control, backing, file, out_device);
	close(backing);
	close(control);
	return error;
}

int swap_detach(const char *device)
{
	int fd = open(device, O_RDWR | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, LOOP_CLR_FD, 0) != 0)
		error = -errno;
	close(fd);
	return error;
}

int swap_run(const char *const argv[])
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (child == 0) {
		execvp(argv[0], (char *const *)argv);
		fprintf(stderr, "ztmpfsctl: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* Settings of /proc/sys/vm, and what they become. */
static const struct {
	const char *name;
	unsigned long value;
} settings[] = {
	{ "page-cluster", 0 },
	{ "watermark_boost_factor", 0 },
};

static void setting_path(char out[96], const char *name)
{
	(void)snprintf(out, 96, "/proc/sys/vm/%s", name);
}

int swap_tune(int state_fd, bool mounted_by_us, bool made_folder)
{
	char state[256], path[96], line[32];
	size_t len = (size_t)snprintf(state, sizeof(state), "mounted %d\nfolder %d\n",
				      mounted_by_us, made_folder);
	int error;

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		setting_path(path, settings[i].name);
		if (!read_line(path, line, sizeof(line)))
			continue; /* not of this kernel */
		len += (size_t)snprintf(state + len, sizeof(state) - len, "%s %s\n",
					settings[i].name, line);
	}
	if (write(state_fd, state, len) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		setting_path(path, settings[i].name);
		error = write_number(path, settings[i].value);
		if (error && error != -ENOENT)
			return error;
	}
	return 0;
}

void swap_untune(const char *state, bool *out_mounted_by_us, bool *out_made_folder)
{
	FILE *file = fopen(state, "re");
	char line[128];

	*out_mounted_by_us = *out_made_folder = false;
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		char name[64], path[96];
		unsigned long value;

		if (sscanf(line, "%63s %lu", name, &value) != 2)
			continue;
		if (strcmp(name, "mounted") == 0)
			*out_mounted_by_us = value != 0;
		if (strcmp(name, "folder") == 0)
			*out_made_folder = value != 0;
		for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
			if (strcmp(name, settings[i].name) != 0)
				continue;
			setting_path(path, name);
			if (write_number(path, value) != 0)
				fprintf(stderr, "ztmpfsctl: %s stays as it is\n", path);
		}
	}
	fclose(file);
}

uint64_t swap_meminfo(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "re");
	const size_t len = strlen(name);
	uint64_t kib = 0;
	char line[128];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, name, len) == 0 && line[len] == ':')
			(void)sscanf(line + len + 1, "%" SCNu64, &kib);
	fclose(file);
	return kib * 1024;
}
