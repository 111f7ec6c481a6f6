/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keeps.c - holds what only an open descriptor and a mapping hold, and sees that it stays.
 *
 *     keeps MOUNT ROUNDS     prints "ready N" before each round, and goes on when a line comes
 *
 * A file without a name, a shared mapping, an append: in each round all are looked at, and changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE ((size_t)1 << 20)

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static void expect(int ok, const char *what)
{
	if (ok)
		return;
	printf("wrong: %s\n", what);
	exit(1);
}

static int open_file(const char *folder, const char *name, int flags)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, flags | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		die(path);
	return fd;
}

static void fill(char *buf, unsigned round)
{
	for (size_t i = 0; i < SIZE; i++)
		buf[i] = (char)(i * 31 + i / 4096 + round);
}

int main(int argc, char *argv[])
{
	static char want[SIZE], got[SIZE];
	char *map, line[16];
	unsigned rounds = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	int nameless, mapped, appended;
	char path[4096];
	struct stat st;

	if (argc != 3)
		return 2;
	nameless = open_file(argv[1], "nameless", O_RDWR);
	mapped = open_file(argv[1], "mapped", O_RDWR);
	appended = open_file(argv[1], "appended", O_WRONLY | O_APPEND);
	snprintf(path, sizeof(path), "%s/nameless", argv[1]);
	if (unlink(path) != 0 || ftruncate(mapped, (off_t)SIZE) != 0)
		die("setting up");
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0);
	if (map == MAP_FAILED)
		die("mmap");
	for (unsigned round = 0; round < rounds; round++) {
		fill(want, round);
		if (pwrite(nameless, want, SIZE, 0) != (ssize_t)SIZE ||
		    write(appended, want, 1000) != 1000)
			die("write");
		memcpy(map, want, SIZE);
		if (msync(map, SIZE, MS_SYNC) != 0 || fsync(nameless) != 0 || fsync(appended) != 0)
			die("sync");
		posix_fadvise(nameless, 0, 0, POSIX_FADV_DONTNEED);
		printf("ready %u\n", round);
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin))
			return 1;
		expect(pread(nameless, got, SIZE, 0) == (ssize_t)SIZE, "length without a name");
		expect(memcmp(got, want, SIZE) == 0, "content without a name");
		madvise(map, SIZE, MADV_DONTNEED);
		posix_fadvise(mapped, 0, 0, POSIX_FADV_DONTNEED);
		expect(memcmp(map, want, SIZE) == 0, "content of the mapping");
		expect(fstat(appended, &st) == 0 && st.st_size == (off_t)(round + 1) * 1000,
		       "size of what was appended to");
		expect(fstat(nameless, &st) == 0 && st.st_nlink == 0, "links without a name");
	}
	puts("done");
	return 0;
}
