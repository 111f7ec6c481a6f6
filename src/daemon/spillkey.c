// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * spillkey.c - the key of spill_encrypt=on. See spillkey.h.
 */
#include "daemon/spillkey.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "blkmap/blkmap.h"
#include "util/sizes.h"

static int make_memory(void)
{
	int fd = -1;

#ifdef SYS_memfd_secret
	fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
#endif
	/* Before Linux 5.14, and where it was turned off. */
	if (fd < 0)
		fd = memfd_create("ztmpfs-spill-key", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, ZT_PAGE_SIZE) != 0) {
		const int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

static int map(int fd, uint8_t **out_key)
{
	void *key = mmap(NULL, ZT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (key == MAP_FAILED)
		return -errno;
	/* Memory of memfd_secret() is like that by itself, and says so by errors. */
	(void)madvise(key, ZT_PAGE_SIZE, MADV_DONTDUMP);
	(void)mlock(key, ZT_PAGE_SIZE);
	*out_key = key;
	return 0;
}

int spillkey_make(const uint8_t **out_key, int *out_fd)
{
	const int fd = make_memory();
	uint8_t *key;
	int error;

	if (fd < 0)
		return fd;
	error = map(fd, &key);
	if (error)
		goto err_fd;
	if (getrandom(key, SPILL_KEY_SIZE, 0) != (ssize_t)SPILL_KEY_SIZE) {
		error = -errno;
		goto err_map;
	}
	*out_key = key;
	*out_fd = fd;
	return 0;

err_map:
	spillkey_unmap(key);
err_fd:
	close(fd);
	return error;
}

int spillkey_map(int fd, const uint8_t **out_key)
{
	uint8_t *key;
	int error = map(fd, &key);

	if (!error)
		*out_key = key;
	return error;
}

void spillkey_unmap(const uint8_t *key)
{
	if (key)
		munmap((void *)(uintptr_t)key, ZT_PAGE_SIZE);
}
