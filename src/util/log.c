// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * log.c - messages for a person, handed to the program's sink.
 */
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>

static zt_log_fn log_sink;

void zt_log_set_sink(zt_log_fn sink)
{
	log_sink = sink;
}

void zt_log(enum zt_log_level level, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (!log_sink)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	log_sink(level, line);
}
