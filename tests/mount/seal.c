// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * seal.c - writes to a file, and at once forbids that it is changed: seal FILE a|i TEXT
 *
 * chattr(1) would close the file in between, with which the kernel writes what is dirty.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = argc == 4 ? open(argv[1], O_RDWR) : -1;
	int flags = argc == 4 && *argv[2] == 'a' ? FS_APPEND_FL : FS_IMMUTABLE_FL;

	if (fd < 0 || pwrite(fd, argv[3], strlen(argv[3]), 0) < 0) {
		perror("seal: write");
		return 2;
	}
	if (ioctl(fd, FS_IOC_SETFLAGS, &flags) != 0) {
		perror("seal: ioctl");
		return 2;
	}
	/* Of somebody else; an error that comes from now on is told. */
	if (syncfs(fd) != 0) {
		perror("seal: syncfs");
		return 1;
	}
	return 0;
}
