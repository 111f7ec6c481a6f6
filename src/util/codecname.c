// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * codecname.c - an algorithm as people write it. See codecname.h.
 */
#include "util/codecname.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int codecname_parse(const char *text, char *out_name, size_t space, int32_t *inout_level)
{
	const size_t len = strcspn(text, ":");
	char *end;
	long level;

	if (len == 0 || len >= space)
		return -EINVAL;
	memcpy(out_name, text, len);
	out_name[len] = '\0';
	if (text[len] == '\0')
		return 0;
	errno = 0;
	level = strtol(text + len + 1, &end, 10);
	if (errno || end == text + len + 1 || *end != '\0' || level <= INT32_MIN ||
	    level > INT32_MAX || strcmp(out_name, "none") == 0 || strcmp(out_name, "default") == 0)
		return -EINVAL;
	*inout_level = (int32_t)level;
	return 0;
}
