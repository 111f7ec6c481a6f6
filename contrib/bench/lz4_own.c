// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lz4_own.c - what lz4 itself costs: CPU seconds per GiB of a file, in blocks of 64 KiB, nothing else around it.
 *
 *   lz4_own FILE    prints: CPU seconds per GiB in, per GiB out, ratio
 *
 * The file's pages are read before the clock runs. Blocks that do not shrink count with their full size.
 */
#include <fcntl.h>
#include <lz4.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 65536

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static char packed[LZ4_COMPRESSBOUND(BLOCK)], plain[BLOCK];
	double in = 0, out = 0, gib, start;
	size_t stored = 0;
	struct stat st;
	char *map;
	int fd;

	fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < BLOCK) {
		fputs("usage: lz4_own FILE, of 64 KiB at least\n", stderr);
		return 2;
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (off_t off = 0; off + BLOCK <= st.st_size; off += BLOCK) {
		int len;

		start = cpu_seconds();
		len = LZ4_compress_default(map + off, packed, BLOCK, sizeof(packed));
		in += cpu_seconds() - start;
		start = cpu_seconds();
		if (LZ4_decompress_safe(packed, plain, len, BLOCK) != BLOCK ||
		    memcmp(plain, map + off, 16) != 0)
			return 1;
		out += cpu_seconds() - start;
		stored += len < BLOCK ? (size_t)len : BLOCK;
	}
	gib = (double)(st.st_size / BLOCK * BLOCK) / (1 << 30);
	printf("%.2f %.2f %.3f\n", in / gib, out / gib, gib * (1 << 30) / (double)stored);
	return 0;
}
