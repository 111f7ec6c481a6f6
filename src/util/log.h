/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.h - messages for a person: one clear line each, "subject: action: cause".
 *
 * Only the daemon and ztmpfsctl decide where messages go. Library layers do not print; what they
 * must say once (a degraded backend) they hand to zt_log(), which is silent until a sink is set.
 */
#ifndef ZT_UTIL_LOG_H
#define ZT_UTIL_LOG_H

#include "util/compiler.h"

enum zt_log_level { ZT_LOG_ERR, ZT_LOG_WARN, ZT_LOG_INFO };

typedef void (*zt_log_fn)(enum zt_log_level level, const char *line);

/** zt_log_set_sink() - where lines go; NULL: nowhere. Before other threads exist. */
void zt_log_set_sink(zt_log_fn sink);

/** zt_log() - one line, without a newline at its end; cut at 511 bytes */
void zt_log(enum zt_log_level level, const char *fmt, ...) ZT_PRINTF(2, 3);

#endif
