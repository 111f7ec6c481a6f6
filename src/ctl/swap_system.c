// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swap_system.c - for ztmpfsctl swap: what the system has now (loop devices, /proc/swaps, memory),
 * and the calls that change it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/swap.h"
#include "util/sizes.h"
#include "ztmpfs/zcomp.h"

#define SECTOR_SIZE   4096u
#define DEPTH         "8"
#define DEPTH_DEFAULT "128"
/* Of queue/rq_affinity: the CPU that asked, or one that shares its caches. */
#define AFFINITY_CPU     "2"
#define AFFINITY_DEFAULT "1"
/* Another process may take the free loop device first. */
#define ATTACH_TRIES 8
/* Somebody who looks at every block device (udev) may still have it open: 50 ms each. */
#define BUSY_TRIES 100

const char *swap_root = "";

void swap_system_path(char out[PATH_MAX], const char *path)
{
	(void)snprintf(out, PATH_MAX, "%s%s", swap_root, path);
}

bool swap_read_line(const char *path, char *line, size_t space)
{
	FILE *file = fopen(path, "re");
	bool got;

	if (!file)
		return false;
	got = fgets(line, (int)space, file) != NULL;
	fclose(file);
	if (got)
		line[strcspn(line, "\n")] = '\0';
	return got;
}

int swap_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		error = -errno;
	close(fd);
	return error;
}

/* ---- looking ---- */

static void find_device(const char *file, char out_device[SWAP_DEVICE_MAX])
{
	char path[PATH_MAX], line[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	swap_system_path(path, "/sys/block");
	dir = opendir(path);
	while (dir && (entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, "loop", 4) != 0 || strlen(entry->d_name) > 20)
			continue;
		(void)snprintf(path, sizeof(path), "%s/sys/block/%.20s/loop/backing_file",
			       swap_root, entry->d_name);
		if (swap_read_line(path, line, sizeof(line)) && strcmp(line, file) == 0)
			(void)snprintf(out_device, SWAP_DEVICE_MAX, "/dev/%.20s", entry->d_name);
	}
	if (dir)
		closedir(dir);
}

static int find_active(struct swap_found *found)
{
	char path[PATH_MAX], line[PATH_MAX];
	FILE *file;

	swap_system_path(path, "/proc/swaps");
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		uint64_t size, used;
		char name[64];
		int priority;

		if (sscanf(line, "%63s %*s %" SCNu64 " %" SCNu64 " %d", name, &size, &used,
			   &priority) == 4 &&
		    strcmp(name, found->device) == 0) {
			found->active = true;
			found->size = size * KIB;
			found->used = used * KIB;
			found->priority = priority;
		}
	}
	fclose(file);
	return 0;
}

int swap_find(const char *mount, struct swap_found *out_found)
{
	struct swap_found found = { 0 };
	char file[PATH_MAX];
	int error = swap_calls.get_stat(mount, &found.stat);

	if (error && error != -ENOTTY && error != -ENOENT && error != -ENOTCONN)
		return error;
	found.dead = error == -ENOTCONN;
	found.mounted = error == 0 || found.dead;
	(void)snprintf(file, sizeof(file), "%s/%s", mount, SWAP_FILE);
	find_device(file, found.device);
	error = *found.device != '\0' ? find_active(&found) : 0;
	if (!error)
		*out_found = found;
	return error;
}

uint64_t swap_meminfo(const char *name)
{
	const size_t len = strlen(name);
	char path[PATH_MAX], line[128];
	uint64_t kib = 0;
	FILE *file;

	swap_system_path(path, "/proc/meminfo");
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, name, len) == 0 && line[len] == ':')
			(void)sscanf(line + len + 1, "%" SCNu64, &kib);
	fclose(file);
	return kib * KIB;
}

/* ---- changing ---- */

static bool is_root(void)
{
	return geteuid() == 0;
}

static int mark(int fd)
{
	struct ztmpfs_file_attr attr = {
		.version = ZTMPFS_STAT_VERSION,
		.which = ZTMPFS_ATTR_CLUSTER | ZTMPFS_ATTR_COMPRESS,
		.cluster_size = ZT_PAGE_SIZE,
		.level = ZCOMP_LEVEL_DEFAULT,
		.compress = "default",
	};

	return ioctl(fd, ZTMPFS_IOC_SET_ATTR, &attr) == 0 ? 0 : -errno;
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
	return swap_read_line(path, line, sizeof(line)) && strcmp(line, "1") == 0;
}

/* The kernel keeps what a queue is told when its device is detached. */
static int set_queue(const char *device, const char *name, const char *value)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/sys/block/%s/queue/%s", strrchr(device, '/') + 1,
		       name);
	return swap_write(path, value);
}

/*
 * Few requests at a time, so that what the daemon has ready holds them all, of 512 KiB each at most.
 * And who waits for a page is woken by its own CPU: else by ksoftirqd on the daemon's, one switch
 * more. A kernel for one CPU knows of no such choice.
 */
static int set_up_queue(const char *device)
{
	const int error = set_queue(device, "nr_requests", DEPTH);

	if (!error)
		(void)set_queue(device, "rq_affinity", AFFINITY_CPU);
	return error;
}

static int reset_queue(const char *device)
{
	char depth[16];

	if (!swap_read_line("/sys/module/loop/parameters/hw_queue_depth", depth, sizeof(depth)))
		strcpy(depth, DEPTH_DEFAULT); /* of kernels that have no parameter for it */
	(void)set_queue(device, "rq_affinity", AFFINITY_DEFAULT);
	return set_queue(device, "nr_requests", depth);
}

static int attach_once(int control, int backing, const char *file, char device_name[32])
{
	int number = ioctl(control, LOOP_CTL_GET_FREE);
	int device, error;

	if (number < 0)
		return -errno;
	(void)snprintf(device_name, SWAP_DEVICE_MAX, "/dev/loop%d", number);
	device = open(device_name, O_RDWR | O_CLOEXEC);
	if (device < 0)
		return -errno;
	error = configure(device, backing, file);
	if (!error) {
		error = is_direct(number) ? set_up_queue(device_name) : -EOPNOTSUPP;
		if (error)
			(void)ioctl(device, LOOP_CLR_FD, 0); /* it is ours, and nobody uses it */
	}
	close(device);
	return error;
}

static int attach(int fd, const char *name, char out_device[SWAP_DEVICE_MAX])
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	char device[SWAP_DEVICE_MAX];
	int error = -EBUSY;

	if (control < 0)
		return -errno;
	for (int i = 0; i < ATTACH_TRIES && error == -EBUSY; i++)
		error = attach_once(control, fd, name, device);
	close(control);
	if (!error)
		strcpy(out_device, device);
	return error;
}

static int detach(const char *device)
{
	int fd = open(device, O_RDWR | O_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	/* While it is ours: a moment later it may be somebody else's. */
	error = reset_queue(device);
	if (!error && ioctl(fd, LOOP_CLR_FD, 0) != 0) {
		error = -errno;
		(void)set_up_queue(device); /* it stays attached, and may be swapped to again */
	}
	close(fd);
	return error;
}

/* In the child: signals as usual, no chatter, and root's programs wherever the caller's PATH ends. */
static void run_child(const char *const argv[])
{
	const char *old = getenv("PATH");
	char path[PATH_MAX];
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)snprintf(path, sizeof(path), "%s:/usr/local/sbin:/usr/sbin:/sbin",
		       old ? old : "/usr/bin:/bin");
	(void)setenv("PATH", path, 1);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (null >= 0)
		(void)dup2(null, STDOUT_FILENO);
	execvp(argv[0], (char *const *)argv);
	_exit(errno == ENOENT ? 127 : 126);
}

static int run(const char *const argv[])
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (child == 0)
		run_child(argv);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -ENOENT;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

static int swap_on_device(const char *device, int priority)
{
	int flags = SWAP_FLAG_DISCARD;

	if (priority >= 0)
		flags |= SWAP_FLAG_PREFER | (priority & SWAP_FLAG_PRIO_MASK);
	return swapon(device, flags) == 0 ? 0 : -errno;
}

static int swap_off_device(const char *device)
{
	return swapoff(device) == 0 ? 0 : -errno;
}

static int unmount(const char *mount)
{
	const struct timespec pause = { .tv_nsec = 50000000L };

	for (int i = 0; i < BUSY_TRIES; i++) {
		if (umount2(mount, 0) == 0)
			return 0;
		if (errno != EBUSY)
			break;
		(void)nanosleep(&pause, NULL);
	}
	return -errno;
}

struct swap_calls swap_calls = {
	.is_root = is_root,
	.get_stat = ctl_get_stat,
	.run = run,
	.mark = mark,
	.attach = attach,
	.detach = detach,
	.swap_on = swap_on_device,
	.swap_off = swap_off_device,
	.unmount = unmount,
};
