/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * probe.h - whether this program could attach to a mount that another process uses.
 *
 * Context: one thread. Nothing of the other mount is changed, and nothing but its first page is read.
 */
#ifndef ZT_FS_PROBE_H
#define ZT_FS_PROBE_H

#include "fs/super.h"

/* What stands in the first page for the daemon. */
struct super_probe {
	uint32_t request_len, reply_len; /* bytes of SUPER_RECORD_INIT_REQUEST and _REPLY */
	char request[SUPER_RECORD_MAX], reply[SUPER_RECORD_MAX];
};

/**
 * super_probe() - whether super_attach() would know layout, features and algorithms
 * @like: an empty mount of this process, made with @params
 * @arena_fd: the other one's; stays the caller's
 * @text: out on errors: one sentence
 * Return: 0; as super_attach(); -ENOENT: a file's own algorithm is missing.
 */
int super_probe(const struct super *like, const struct super_params *params, int arena_fd,
		char text[256], struct super_probe *out_probe) ZT_MUST_CHECK;

#endif
