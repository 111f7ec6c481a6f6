// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * load.c - processes that use more memory than there is, and know every byte of it.
 *
 *     load PROCESSES MIB PASSES SEED [SHARE] [RANDOM]
 *
 * Each process fills MIB MiB, then goes over it PASSES times in random order: every page is
 * compared with what it must be, and every fourth one gets new content. At last all is read once
 * more in order. SHARE of 256 is how much of each page is random (default 40: lz4 makes it a fifth);
 * RANDOM pages are read after the filling one by one, and those timed that were not in memory.
 *
 * Linked statically and quiet: while memory is short it neither allocates nor prints.
 * Exit status: 0 every byte was right, 1 usage, 2 wrong bytes, 3 a process was killed.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096u

enum { EXIT_WRONG = 2, EXIT_KILLED = 3 };

struct load {
	unsigned nr_procs, nr_passes, share, nr_timed;
	size_t nr_pages;
	uint64_t seed;
};

static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* What a page holds: random words in front, a pattern of its own behind. */
static void page_fill(const struct load *load, uint64_t *words, unsigned proc, size_t page,
		      unsigned generation)
{
	uint64_t state = load->seed ^ (uint64_t)proc << 56 ^ (uint64_t)page << 16 ^ generation;
	const unsigned nr_random = PAGE / 8 * load->share / 256;

	for (unsigned i = 0; i < PAGE / 8; i++)
		words[i] = i < nr_random ? mix(state + i) : (uint64_t)page << 8 ^ (i & 7);
}

static void page_check(const struct load *load, const char *bytes, unsigned proc, size_t page,
		       unsigned generation)
{
	uint64_t expected[PAGE / 8];
	char line[128];
	int len;

	page_fill(load, expected, proc, page, generation);
	if (memcmp(expected, bytes, PAGE) == 0)
		return;
	len = snprintf(line, sizeof(line), "load: process %u page %zu generation %u: wrong bytes\n",
		       proc, page, generation);
	if (write(STDOUT_FILENO, line, (size_t)len) < 0)
		_exit(EXIT_WRONG + 2);
	_exit(EXIT_WRONG);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare_ns(const void *a, const void *b)
{
	const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

/* Page faults so far that had to wait for a disk. */
static long nr_faults(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_majflt : 0;
}

/* Times of single reads that came from swap, as a line of numbers in nanoseconds. */
static void time_reads(const struct load *load, const char *memory, unsigned proc)
{
	uint32_t *times = calloc(load->nr_timed, sizeof(*times));
	unsigned nr = 0;
	volatile char sink;

	if (!times)
		_exit(EXIT_FAILURE);
	for (unsigned i = 0; i < load->nr_timed; i++) {
		size_t page = mix(load->seed ^ i ^ UINT64_C(0xfeed)) % load->nr_pages;
		long faults = nr_faults();
		uint64_t start = now_ns(), ns;

		sink = memory[page * PAGE];
		ns = now_ns() - start;
		if (nr_faults() != faults)
			times[nr++] = (uint32_t)ns;
	}
	(void)sink;
	qsort(times, nr, sizeof(*times), compare_ns);
	if (nr)
		printf("load: process %u: %u faults p50 %u ns, p90 %u, p99 %u, worst %u\n", proc,
		       nr, times[nr / 2], times[(uint64_t)nr * 90 / 100],
		       times[(uint64_t)nr * 99 / 100], times[nr - 1]);
	fflush(stdout);
	free(times);
}

/* Pages that the machine swapped out since it started, by /proc/vmstat; 0: not known. */
static uint64_t pages_out(void)
{
	static char text[32768];
	int fd = open("/proc/vmstat", O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *at;

	if (fd >= 0)
		close(fd);
	if (len < 0)
		return 0;
	text[len] = '\0';
	at = strstr(text, "\npswpout ");
	return at ? strtoull(at + strlen("\npswpout "), NULL, 10) : 0;
}

static void report(const char *what, unsigned proc, size_t nr_pages, uint64_t ns)
{
	printf("load: process %u: %s %llu MiB/s\n", proc, what,
	       (unsigned long long)(nr_pages * PAGE * UINT64_C(1000) / (ns * 1049 / 1000 + 1)));
	fflush(stdout);
}

static void run(const struct load *load, unsigned proc)
{
	size_t size = load->nr_pages * PAGE;
	char *memory = mmap(NULL, size + load->nr_pages, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned char *generation = (unsigned char *)memory + size;
	uint64_t out = pages_out(), start = now_ns(), ns;

	if (memory == MAP_FAILED)
		_exit(EXIT_FAILURE);
	for (size_t page = 0; page < load->nr_pages; page++)
		page_fill(load, (uint64_t *)(void *)(memory + page * PAGE), proc, page, 0);
	ns = now_ns() - start;
	report("filled", proc, load->nr_pages, ns);
	report("swapped out", proc, pages_out() - out, ns);
	if (load->nr_timed)
		time_reads(load, memory, proc);
	for (unsigned pass = 0; pass < load->nr_passes; pass++) {
		uint64_t at = mix(load->seed + proc * 1000u + pass);

		for (size_t i = 0; i < load->nr_pages; i++) {
			size_t page = mix(at + i) % load->nr_pages;
			char *bytes = memory + page * PAGE;

			page_check(load, bytes, proc, page, generation[page]);
			if (i % 4 == 0)
				page_fill(load, (uint64_t *)(void *)bytes, proc, page,
					  ++generation[page]);
		}
	}
	start = now_ns();
	for (size_t page = 0; page < load->nr_pages; page++)
		page_check(load, memory + page * PAGE, proc, page, generation[page]);
	report("read", proc, load->nr_pages, now_ns() - start);
	_exit(EXIT_SUCCESS);
}

int main(int argc, char *argv[])
{
	struct load load = { .share = 40 };
	int status, result = EXIT_SUCCESS;

	if (argc < 5 || argc > 7) {
		fprintf(stderr, "usage: load PROCESSES MIB PASSES SEED [SHARE] [RANDOM]\n");
		return EXIT_FAILURE;
	}
	load.nr_procs = (unsigned)strtoul(argv[1], NULL, 0);
	load.nr_pages = strtoul(argv[2], NULL, 0) * 256;
	load.nr_passes = (unsigned)strtoul(argv[3], NULL, 0);
	load.seed = strtoull(argv[4], NULL, 0);
	if (argc > 5)
		load.share = (unsigned)strtoul(argv[5], NULL, 0);
	if (argc > 6)
		load.nr_timed = (unsigned)strtoul(argv[6], NULL, 0);
	if (load.nr_procs == 0 || load.nr_pages == 0 || load.share > 256)
		return EXIT_FAILURE;
	for (unsigned proc = 0; proc < load.nr_procs; proc++) {
		pid_t child = fork();

		if (child < 0)
			return EXIT_FAILURE;
		if (child == 0)
			run(&load, proc);
	}
	while (wait(&status) > 0) {
		if (WIFSIGNALED(status)) {
			printf("load: a process was killed by signal %d\n", WTERMSIG(status));
			result = EXIT_KILLED;
		} else if (WEXITSTATUS(status) != 0 && result == EXIT_SUCCESS) {
			result = WEXITSTATUS(status);
		}
	}
	return result;
}
