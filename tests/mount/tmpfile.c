// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tmpfile.c - files without a name and shared mappings, step by step; says what it sees.
 *
 * tmpfile FOLDER
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int open_tmpfile(const char *folder, int flags)
{
	int fd = open(folder, O_TMPFILE | O_RDWR | flags, 0640);

	if (fd < 0)
		die("O_TMPFILE");
	return fd;
}

static void show(const char *what, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		die("fstat");
	printf("%s: nlink %u, size %ld, mode %o\n", what, (unsigned)st.st_nlink, (long)st.st_size,
	       (unsigned)st.st_mode);
}

/* Its number, for what must fail. */
static int give_name(int fd, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

static void try_tmpfile(const char *folder)
{
	int fd = open_tmpfile(folder, 0);
	char buf[8] = "";

	show("new", fd);
	if (write(fd, "content", 7) != 7)
		die("write");
	printf("first name: %d\n", give_name(fd, "first"));
	show("named", fd);
	if (pread(fd, buf, 7, 0) != 7 || strcmp(buf, "content") != 0)
		die("what was written");
	printf("same name: %d\n", give_name(fd, "first"));
	if (unlink("first") != 0)
		die("unlink");
	show("unlinked", fd);
	printf("a name again: %d\n", give_name(fd, "second"));
	close(fd);
	fd = open_tmpfile(folder, O_EXCL);
	printf("name of an exclusive one: %d\n", give_name(fd, "third"));
	close(fd);
}

static void try_mapping(const char *folder)
{
	int fd = open_tmpfile(folder, 0);
	char buf[4] = "";
	char *map;

	if (ftruncate(fd, 8192) != 0)
		die("ftruncate");
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		die("mmap");
	memcpy(map + 4094, "abc", 3);
	if (pread(fd, buf, 3, 4094) != 3 || strcmp(buf, "abc") != 0)
		die("read what was mapped");
	if (pwrite(fd, "xyz", 3, 4094) != 3 || memcmp(map + 4094, "xyz", 3) != 0)
		die("see through the map what was written");
	munmap(map, 8192);
	close(fd);
	printf("shared mapping: as it should be\n");
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	try_tmpfile(argv[1]);
	try_mapping(argv[1]);
	return 0;
}
