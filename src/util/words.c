// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * words.c - how far words are from one another, for guesses at what was meant. No locks.
 */
#include "util/words.h"

#include <stdint.h>
#include <string.h>

#include "util/sizes.h"

size_t words_distance(const char *a, const char *b)
{
	size_t rows[3][WORDS_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];
	const size_t len_a = strlen(a), len_b = strlen(b);

	if (len_a > WORDS_MAX || len_b > WORDS_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= len_b; j++)
		last[j] = j;
	for (size_t i = 1; i <= len_a; i++) {
		size_t *spare = before;

		now[0] = i;
		for (size_t j = 1; j <= len_b; j++) {
			size_t least = last[j - 1] + (a[i - 1] != b[j - 1]);

			least = min_u64(least, min_u64(last[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				least = min_u64(least, before[j - 2] + 1);
			now[j] = least;
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[len_b];
}

size_t words_near(const char *word)
{
	return max_u64(2, strlen(word) / 3 + 1);
}
