/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spillfile.h - spill=: the file or block device that objects go out to.
 *
 * A file is made for the mount, without a name, for its owner alone; so it goes with the process,
 * whatever ends that. Nothing that is there already is written to, but a block device.
 *
 * Context: one thread, no locks; in the caller's folder and mount namespace.
 */
#ifndef ZT_DAEMON_SPILLFILE_H
#define ZT_DAEMON_SPILLFILE_H

#include "daemon/options.h"
#include "util/compiler.h"

/**
 * spillfile_open() - open what spill= names
 * @out_fd: the caller's to close; -1 without spill=
 * @out_size: bytes of it that may be used; 0 without
 * Return: 0; -errno with a sentence in @error.
 */
int spillfile_open(const struct options *options, int *out_fd, uint64_t *out_size,
		   struct options_error *error) ZT_MUST_CHECK;

#endif
