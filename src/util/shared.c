// SPDX-License-Identifier: GPL-2.0-or-later
/* shared.c - a struct in a memfd. See shared.h. */
#include "util/shared.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int map(int fd, size_t size, void **out_memory)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	*out_memory = memory;
	return 0;
}

int shared_make(const char *name, size_t size, void **out_memory, int *out_fd)
{
	const int fd = memfd_create(name, MFD_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	error = ftruncate(fd, (off_t)size) != 0 ? -errno : map(fd, size, out_memory);
	if (error) {
		close(fd);
		return error;
	}
	*(uint32_t *)*out_memory = (uint32_t)size;
	*out_fd = fd;
	return 0;
}

int shared_map(int fd, size_t size, void **out_memory)
{
	void *memory = NULL;
	struct stat st;
	int error;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (st.st_size != (off_t)size)
		return -EPROTO;
	error = map(fd, size, &memory);
	if (error)
		return error;
	if (*(const uint32_t *)memory != size) {
		shared_unmap(memory, size);
		return -EPROTO;
	}
	*out_memory = memory;
	return 0;
}

void shared_unmap(void *memory, size_t size)
{
	if (memory)
		(void)munmap(memory, size); /* it is mapped */
}
