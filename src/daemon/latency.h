/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * latency.h - what the kernel can be asked for, so that idle CPUs wake up at once.
 */
#ifndef ZT_DAEMON_LATENCY_H
#define ZT_DAEMON_LATENCY_H

#include "fuse/transport.h"

/**
 * latency_open() - open /dev/cpu_dma_latency, and decide what to ask for when it pays
 * @inout_params: latency_asked, latency_fd and latency_us are set when it can be had: by root, on
 *		  machines with several CPUs. Else nothing is changed: the mount works, only slower.
 *
 * Where the CPUs' idle states are those of a virtual machine that halts (driver haltpoll), there is
 * nothing between halting and polling, and 0 us is asked for; on up to LATENCY_POLL_CPUS, since all
 * of them poll then. Elsewhere 5 us: the first idle state (C1) has 1 or 2, the deeper ones 10 to
 * hundreds. Where the kernel has no idle driver, nothing comes of it but that the reader looks for
 * requests itself (spin.h).
 */
void latency_open(struct channel_params *inout_params);

/** latency_close() - once the transport has ended */
void latency_close(const struct channel_params *params);

#endif
