/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spillfile.h - spill=: the file or block device that objects go out to.
 *
 * A file is made for the mount, without a name, for its owner alone; so it goes with the last process
 * that has it, whatever ends that: the daemon, or with survive= its keeper. Nothing that is there already is written to, but a block device.
 *
 * Context: one thread, no locks; in the caller's folder and mount namespace.
 */
#ifndef ZT_DAEMON_SPILLFILE_H
#define ZT_DAEMON_SPILLFILE_H

#include "daemon/options.h"
#include "util/compiler.h"

struct survive;

/* What a mount has of it, owned by the session. */
struct spillfile {
	int fd, key_fd; /* -1: none */
	uint64_t size; /* bytes that may be used; 0: none */
	const uint8_t *key; /* of spill_encrypt=on, or NULL */
};

#define SPILLFILE_NONE ((struct spillfile){ .fd = -1, .key_fd = -1 })

/**
 * spillfile_open() - open what spill= names
 * @file: SPILLFILE_NONE; left so without spill=
 * Return: 0; -errno with a sentence in @error.
 */
int spillfile_open(const struct options *options, struct spillfile *file,
		   struct options_error *error) ZT_MUST_CHECK;

/** spillfile_take() - the one that an earlier daemon of the mount has opened; as spillfile_open() */
int spillfile_take(const struct options *options, const struct survive *survive,
		   struct spillfile *file, struct options_error *error) ZT_MUST_CHECK;

/** spillfile_keep() - have the keeper keep it for the next daemon. Return: 0 or -errno. */
int spillfile_keep(const struct spillfile *file, struct survive *survive) ZT_MUST_CHECK;

void spillfile_close(struct spillfile *file);

#endif
