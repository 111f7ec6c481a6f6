// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hole_seeker.c - asks where data is while the kernel has not written all of it: hole_seeker FILE MIB
 *
 * Writes noise behind a hole of 1 MiB, says "asks", and then where data begins.
 */
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PIECE (1u << 20)

int main(int argc, char **argv)
{
	static char piece[PIECE];
	const long nr = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	const int fd = nr > 0 ? open(argv[1], O_RDWR | O_CREAT, 0600) : -1;
	uint64_t random = 12345;
	off_t at;

	for (size_t i = 0; i < sizeof(piece); i++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		piece[i] = (char)(random >> 56);
	}
	for (long i = 1; i <= nr; i++)
		if (pwrite(fd, piece, sizeof(piece), i * (off_t)PIECE) != (ssize_t)sizeof(piece)) {
			perror("hole_seeker: write");
			return 2;
		}
	puts("asks");
	(void)fflush(stdout);
	at = lseek(fd, 0, SEEK_DATA);
	if (at < 0) {
		perror("hole_seeker: lseek");
		return 1;
	}
	printf("data at %jd\n", (intmax_t)at);
	return at != PIECE;
}
