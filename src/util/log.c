// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * log.c - messages for a person, handed to the program's sink.
 */
#include "util/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

/* A daemon's is another one once its caller has gone; by then it has threads. */
static _Atomic(zt_log_fn) log_sink;

void zt_log_set_sink(zt_log_fn sink)
{
	atomic_store(&log_sink, sink);
}

void zt_log(enum zt_log_level level, const char *fmt, ...)
{
	const zt_log_fn sink = atomic_load(&log_sink);
	char line[512];
	va_list ap;

	if (!sink)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	sink(level, line);
}
