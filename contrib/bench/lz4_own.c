// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lz4_own.c - what lz4 itself costs: CPU seconds per GiB of a file, in blocks of one size, nothing else around it.
 *
 *   lz4_own FILE [KIB]    prints: CPU seconds per GiB in, per GiB out, ratio; blocks of 64 KiB unless told otherwise
 *
 * The file's pages are read before the clock runs. Blocks that do not shrink count with their full size.
 */
#include <fcntl.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_MAX 131072

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static char packed[LZ4_COMPRESSBOUND(BLOCK_MAX)], plain[BLOCK_MAX];
	double in = 0, out = 0, gib, start;
	size_t stored = 0;
	int block;
	struct stat st;
	char *map;
	int fd;

	fd = argc == 2 || argc == 3 ? open(argv[1], O_RDONLY) : -1;
	block = (argc == 3 ? atoi(argv[2]) : 64) * 1024;
	if (fd < 0 || block < 1024 || block > BLOCK_MAX || fstat(fd, &st) < 0 ||
	    st.st_size < block) {
		fputs("usage: lz4_own FILE [KIB]; blocks of 1 to 128 KiB, the file no smaller than "
		      "one\n",
		      stderr);
		return 2;
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (off_t off = 0; off + block <= st.st_size; off += block) {
		int len;

		start = cpu_seconds();
		len = LZ4_compress_default(map + off, packed, block, sizeof(packed));
		in += cpu_seconds() - start;
		start = cpu_seconds();
		if (LZ4_decompress_safe(packed, plain, len, block) != block ||
		    memcmp(plain, map + off, 16) != 0)
			return 1;
		out += cpu_seconds() - start;
		stored += len < block ? (size_t)len : (size_t)block;
	}
	gib = (double)(st.st_size / block * block) / (1 << 30);
	printf("%.2f %.2f %.3f\n", in / gib, out / gib, gib * (1 << 30) / (double)stored);
	return 0;
}
