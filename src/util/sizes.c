// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sizes.c - tmpfs's way to write a size.
 */
#include "util/sizes.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

int size_parse(const char *text, uint64_t whole, uint64_t *out_value)
{
	static const char suffixes[] = "kmgtpe";
	uint64_t value = 0;
	const char *p = text;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return -ERANGE;
	}
	if (*p == '%') {
		if (whole == 0 || p[1] != '\0')
			return -EINVAL;
		/* In two steps: neither product may overflow for any share up to 2^57 percent. */
		if (value > UINT64_MAX / (whole / 100 + 1))
			return -ERANGE;
		*out_value = whole / 100 * value + whole % 100 * value / 100;
		return 0;
	}
	if (*p != '\0') {
		const char *suffix = strchr(suffixes, tolower((unsigned char)*p));
		unsigned shift;

		if (!suffix || p[1] != '\0')
			return -EINVAL;
		shift = 10 * ((unsigned)(suffix - suffixes) + 1);
		if (value > UINT64_MAX >> shift)
			return -ERANGE;
		value <<= shift;
	}
	*out_value = value;
	return 0;
}
