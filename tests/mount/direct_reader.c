// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * direct_reader.c - a file is written by asynchronous O_DIRECT writes while others read it through
 * the page cache: what a write has completed, everybody reads.
 *
 *     direct_reader FILE SECONDS [mmap]
 *
 * The writer has several writes under way, and looks at each when it is done: by pread(2), or in a
 * mapping. Readers keep asking for what is being written, so that pages come in just then. Ends with 1
 * at the first old byte; prints how many writes there were.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK      4096u
#define NR_BLOCKS  64u
#define NR_AT_ONCE 4u
#define NR_READERS 2u

static atomic_uint under_way[NR_AT_ONCE]; /* blocks that are being written */
static atomic_bool ended;
static int plain, direct;
static const volatile char *mapped; /* or NULL */
static uint64_t newest[NR_BLOCKS];

static long must(long value, const char *what)
{
	if (value < 0) {
		perror(what);
		exit(2);
	}
	return value;
}

static uint64_t read_block(unsigned block)
{
	uint64_t value = 0;

	if (mapped)
		memcpy(&value, (const char *)(uintptr_t)mapped + (size_t)block * BLOCK,
		       sizeof(value));
	else
		must(pread(plain, &value, sizeof(value), (off_t)block * BLOCK), "pread");
	return value;
}

static void *reader_main(void *arg)
{
	unsigned at = (unsigned)(uintptr_t)arg;

	while (!atomic_load(&ended))
		(void)read_block(atomic_load(&under_way[at++ % NR_AT_ONCE]));
	return NULL;
}

static void write_some(aio_context_t ctx, char *bufs, uint64_t round)
{
	struct iocb cbs[NR_AT_ONCE], *list[NR_AT_ONCE];
	struct io_event events[NR_AT_ONCE];

	for (unsigned i = 0; i < NR_AT_ONCE; i++) {
		const unsigned block = (unsigned)((round * 7 + i * 16) % NR_BLOCKS);
		const uint64_t value = round * NR_AT_ONCE + i + 1;

		memcpy(bufs + i * BLOCK, &value, sizeof(value));
		cbs[i] = (struct iocb){ .aio_fildes = (uint32_t)direct,
					.aio_lio_opcode = IOCB_CMD_PWRITE,
					.aio_buf = (uintptr_t)(bufs + i * BLOCK),
					.aio_nbytes = BLOCK,
					.aio_offset = (int64_t)block * BLOCK,
					.aio_data = block };
		list[i] = &cbs[i];
		newest[block] = value;
		atomic_store(&under_way[i], block);
	}
	must(syscall(SYS_io_submit, ctx, (long)NR_AT_ONCE, list) == (long)NR_AT_ONCE ? 0 : -1,
	     "io_submit");
	for (unsigned left = NR_AT_ONCE; left > 0;) {
		long nr = must(syscall(SYS_io_getevents, ctx, 1L, (long)left, events, NULL),
			       "io_getevents");

		for (long i = 0; i < nr; i++) {
			const unsigned block = (unsigned)events[i].data;
			const uint64_t value = read_block(block);

			must(events[i].res == BLOCK ? 0 : -1, "a write");
			if (value == newest[block])
				continue;
			printf("round %llu, block %u: read %llu, written %llu\n",
			       (unsigned long long)round, block, (unsigned long long)value,
			       (unsigned long long)newest[block]);
			exit(1);
		}
		left -= (unsigned)nr;
	}
}

int main(int argc, char **argv)
{
	pthread_t readers[NR_READERS];
	aio_context_t ctx = 0;
	uint64_t round = 0;
	time_t end;
	char *bufs;

	if (argc < 3) {
		fprintf(stderr, "usage: direct_reader FILE SECONDS [mmap]\n");
		return 2;
	}
	plain = (int)must(open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600), argv[1]);
	must(ftruncate(plain, NR_BLOCKS * BLOCK), "ftruncate");
	direct = (int)must(open(argv[1], O_RDWR | O_DIRECT), "open with O_DIRECT");
	if (argc > 3) {
		mapped = mmap(NULL, (size_t)NR_BLOCKS * BLOCK, PROT_READ, MAP_SHARED, plain, 0);
		must(mapped == MAP_FAILED ? -1 : 0, "mmap");
	}
	bufs = aligned_alloc(BLOCK, NR_AT_ONCE * BLOCK);
	must(bufs ? 0 : -1, "aligned_alloc");
	memset(bufs, 0, NR_AT_ONCE * BLOCK);
	must(syscall(SYS_io_setup, (long)NR_AT_ONCE, &ctx), "io_setup");
	for (uintptr_t i = 0; i < NR_READERS; i++)
		must(-pthread_create(&readers[i], NULL, reader_main, (void *)i), "a thread");
	for (end = time(NULL) + atoi(argv[2]); time(NULL) < end; round++)
		write_some(ctx, bufs, round);
	atomic_store(&ended, true);
	for (unsigned i = 0; i < NR_READERS; i++)
		(void)pthread_join(readers[i], NULL);
	free(bufs);
	printf("%llu writes, no old byte\n", (unsigned long long)(round * NR_AT_ONCE));
	return 0;
}
