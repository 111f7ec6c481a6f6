// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * realdata.c - preloaded into fio: what it writes is real data in place of its own.
 *
 * fio makes random bytes and zeros in turn, which lz4 compresses in half of the time that it takes for binaries and
 * headers. Here pwrite() takes the bytes of ZT_REALDATA, from a place that goes round that file in steps of a prime
 * number of pages. The copy costs about 0.2 us for each 4 KiB, for every filesystem the same.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define PAGE       4096
#define STEP_PAGES 7919

static const char *data;
static size_t data_pages;
static ssize_t (*libc_pwrite)(int, const void *, size_t, off64_t);
static atomic_size_t place;

__attribute__((constructor)) static void map_data(void)
{
	const char *path = getenv("ZT_REALDATA");
	int fd = path ? open(path, O_RDONLY) : -1;
	struct stat st;

	libc_pwrite = (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size >= PAGE) {
		void *map =
			mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);

		if (map != MAP_FAILED) {
			data = map;
			data_pages = (size_t)st.st_size / PAGE;
		}
	}
	close(fd);
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t offset)
{
	/* fio's buffers are its own and writable; it does not look at them again unless it is told to verify. */
	for (size_t done = 0; data && done + PAGE <= len; done += PAGE) {
		size_t page = atomic_fetch_add_explicit(&place, STEP_PAGES, memory_order_relaxed) %
			      data_pages;

		memcpy((char *)(size_t)buf + done, data + page * PAGE, PAGE);
	}
	return libc_pwrite(fd, buf, len, offset);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	return pwrite64(fd, buf, len, offset);
}
