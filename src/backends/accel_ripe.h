/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * accel_ripe.h - how requests of the pseudo-accelerator end; completions that wait to be asked for.
 */
#ifndef ZT_BACKENDS_ACCEL_RIPE_H
#define ZT_BACKENDS_ACCEL_RIPE_H

#include "backends/accel.h"

/**
 * accel_end() - tell the caller of a request whose state the calling thread has just changed
 * @pinned: an engine still has it, and will say itself when it has let go
 */
void accel_end(struct accel *accel, struct managed_zstrm *mstrm, int error, bool pinned);

/** accel_let_go() - an engine is through with a request that was given up */
void accel_let_go(struct accel *accel, struct managed_zstrm *mstrm);

/** accel_ripe_put() - completed; false: the device stops, and the caller has to conclude it */
bool accel_ripe_put(struct accel *accel, struct managed_zstrm *mstrm);

/**
 * accel_ripe_deliver() - conclude up to @max that are completed since @before_ns or earlier
 * Return: how many.
 */
uint32_t accel_ripe_deliver(struct accel *accel, uint32_t max, uint64_t before_ns);

/** accel_ripe_poll() - the same of what is completed by now, for a thread that asks. Return: how many. */
uint32_t accel_ripe_poll(struct accel *accel, uint32_t max);

/** accel_ripe_interrupt_ns() - when the first comes by itself; UINT64_MAX: none. queue_lock held */
uint64_t accel_ripe_interrupt_ns(const struct accel *accel);

/** accel_ripe_end() - deliver all, and wait for other threads that do. Engines are joined. */
void accel_ripe_end(struct accel *accel);

#endif
