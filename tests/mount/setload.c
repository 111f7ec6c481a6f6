// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * setload.c - a thousand changes of a mount's limits while threads write, and nothing is lost.
 *
 * Each thread writes files of bytes that follow from their number, and has them stored (fsync). ENOSPC
 * is no error: the file is removed. All others stay until the thread has NR_KEPT of them, and are
 * compared before they go, and at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "ztmpfs/control.h"

#define NR_THREADS   4u
#define NR_KEPT      6u
#define SIZE_MAX_KIB 1024u
#define MIB          (UINT64_C(1) << 20)

static const char *mount_dir;
static atomic_bool stop;
static atomic_uint nr_failed, nr_stored, nr_refused;

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void fail(const char *what, uint64_t number, int error)
{
	fprintf(stderr, "file %" PRIu64 ": %s: %s\n", number, what, strerror(error));
	atomic_fetch_add(&nr_failed, 1);
}

/* Every second word repeats, so that it compresses by a half. */
static size_t content(uint64_t number, uint64_t *out)
{
	uint64_t state = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	size_t words = (1 + next(&state) % SIZE_MAX_KIB) * 128;

	for (size_t i = 0; i < words; i++)
		out[i] = i % 2 ? number : next(&state);
	return words * sizeof(*out);
}

static void name_of(uint64_t number, char out[256])
{
	snprintf(out, 256, "%s/f%" PRIu64, mount_dir, number);
}

static bool write_file(uint64_t number, const char *bytes, size_t size)
{
	char name[256];
	size_t done = 0;
	int fd, error = 0;

	name_of(number, name);
	fd = open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		error = errno;
	while (!error && done < size) {
		const ssize_t put = write(fd, bytes + done, size - done);

		if (put < 0)
			error = errno;
		else
			done += (size_t)put;
	}
	if (!error && fsync(fd) != 0)
		error = errno;
	if (fd >= 0 && close(fd) != 0 && !error)
		error = errno;
	if (error && error != ENOSPC)
		fail("write", number, error);
	if (error)
		(void)unlink(name);
	return !error;
}

static void check_file(uint64_t number, const char *bytes, char *read_back, size_t size)
{
	char name[256];
	size_t done = 0;
	ssize_t got = 1;
	int fd;

	name_of(number, name);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fail("open", number, errno);
		return;
	}
	/* Of the daemon, not of the kernel's pages. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	while (got > 0 && done < size) {
		got = read(fd, read_back + done, size - done);
		done += got > 0 ? (size_t)got : 0;
	}
	if (done != size || memcmp(bytes, read_back, size) != 0)
		fail("what was stored is not there", number, got < 0 ? errno : EIO);
	close(fd);
}

static void check_and_remove(uint64_t number, char *bytes, char *read_back)
{
	char name[256];

	check_file(number, bytes, read_back, content(number, (uint64_t *)(void *)bytes));
	name_of(number, name);
	if (unlink(name) != 0)
		fail("unlink", number, errno);
}

static void *writer(void *arg)
{
	uint64_t number = (uintptr_t)arg * 1000000, kept[NR_KEPT], nr = 0;
	char *bytes = malloc(SIZE_MAX_KIB * 1024), *read_back = malloc(SIZE_MAX_KIB * 1024);

	while (bytes && read_back && !atomic_load(&stop)) {
		const size_t size = content(++number, (uint64_t *)(void *)bytes);

		if (!write_file(number, bytes, size)) {
			atomic_fetch_add(&nr_refused, 1);
			/* So that it does not stay full for want of a change. */
			if (nr > 0)
				check_and_remove(kept[--nr], bytes, read_back);
			continue;
		}
		atomic_fetch_add(&nr_stored, 1);
		if (nr == NR_KEPT)
			check_and_remove(kept[--nr], bytes, read_back);
		kept[nr++] = number;
	}
	while (nr > 0)
		check_and_remove(kept[--nr], bytes, read_back);
	free(bytes);
	free(read_back);
	return NULL;
}

/* Up, down, and now and then below what is used. Return: whether it was taken. */
static bool change(int fd, unsigned i, uint64_t *state)
{
	struct ztmpfs_set set = { .version = ZTMPFS_STAT_VERSION, .struct_size = sizeof(set) };

	set.size = (2 + next(state) % 24) * MIB;
	set.mem_limit = (40 + next(state) % 56) * MIB;
	set.nr_inodes = 4 + next(state) % 40;
	set.which = 1u << i % 3;
	if (i % 7 == 0)
		set.which = ZTMPFS_SET_SIZE | ZTMPFS_SET_INODES | ZTMPFS_SET_MEM;
	if (ioctl(fd, ZTMPFS_IOC_SET, &set) == 0)
		return true;
	if (errno != EBUSY) {
		fprintf(stderr, "change %u: %s\n", i, strerror(errno));
		atomic_fetch_add(&nr_failed, 1);
	}
	return false;
}

int main(int argc, char *argv[])
{
	const unsigned nr = argc == 3 ? (unsigned)atoi(argv[2]) : 0;
	uint64_t state = (uint64_t)time(NULL) | 1;
	pthread_t threads[NR_THREADS];
	unsigned taken = 0;
	int fd;

	mount_dir = argv[1];
	fd = nr ? open(mount_dir, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return 2;
	printf("ZT_SEED=%" PRIu64 "\n", state);
	if (getenv("ZT_SEED"))
		state = strtoull(getenv("ZT_SEED"), NULL, 10) | 1;
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		if (pthread_create(&threads[i], NULL, writer, (void *)(i + 1)) != 0)
			return 2;
	for (unsigned i = 0; i < nr; i++) {
		/* Changes go on among writes, not before them. */
		const unsigned until = atomic_load(&nr_stored) + atomic_load(&nr_refused) + 1;

		taken += change(fd, i, &state);
		for (unsigned t = 0; t < 200 && i % 4 == 0 &&
				     atomic_load(&nr_stored) + atomic_load(&nr_refused) < until;
		     t++)
			nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("%u changes, %u taken; %u files stored, %u refused\n", nr, taken,
	       atomic_load(&nr_stored), atomic_load(&nr_refused));
	close(fd);
	return atomic_load(&nr_failed) || !taken || !atomic_load(&nr_stored) ? 1 : 0;
}
