// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * backing.c - the file that an arena is: a memfd, or one that the kernel never swaps out.
 *
 * What a process has locked is swapped out when it has died. The files of a tmpfs that was made with
 * noswap stay in memory whoever has them mapped, and if nobody has. Such a tmpfs is mounted nowhere,
 * and ends with the last descriptor of its only file.
 *
 * libc's headers and the kernel's cannot be included together, so calls are made by number.
 */
#include "arena/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int set_options(int context)
{
	/* Half of the memory by default; the arena has its own limit. */
	if (syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, "noswap", NULL, 0) != 0 ||
	    syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "size", "0", 0) != 0 ||
	    syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
		return -errno;
	return 0;
}

/* Return: a descriptor of its root folder; -errno. */
static int make_tmpfs(void)
{
	const int context = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	int root, error;

	if (context < 0)
		return -errno;
	error = set_options(context);
	root = error ? error :
		       (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
				    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (!error && root < 0)
		root = -errno;
	close(context);
	return root;
}

static int make_unswapped(void)
{
	const int root = make_tmpfs();
	int fd;

	if (root < 0)
		return root;
	fd = openat(root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		fd = -errno;
	close(root);
	return fd;
}

int arena_make_file(enum arena_backing backing)
{
	int fd;

	switch (backing) {
	case ARENA_MEMFD:
		fd = memfd_create(PACKAGE_NAME, MFD_CLOEXEC);
		return fd < 0 ? -errno : fd;
	case ARENA_UNSWAPPED:
		return make_unswapped();
	}
	return -EINVAL;
}
