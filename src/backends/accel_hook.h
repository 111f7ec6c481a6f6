/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * accel_hook.h - the hooks by which tests control the pseudo-accelerator.
 */
#ifndef ZT_BACKENDS_ACCEL_HOOK_H
#define ZT_BACKENDS_ACCEL_HOOK_H

#include <pthread.h>

#include "ztmpfs/zcomp.h"

/* What a request is to meet; drawn when an engine takes it. */
enum accel_fault {
	ACCEL_FAULT_NONE,
	ACCEL_FAULT_FAIL, /* end with managed_zstrm.error */
	ACCEL_FAULT_STALL, /* its engine stops until a reset */
	ACCEL_FAULT_RESET, /* the device resets itself */
	ACCEL_FAULT_KILL, /* its engine dies */
};

/*
 * Hooks for tests, of any layer: @params is what zcomp_get_params() returns for a zcomp whose
 * managed streams are on. Any thread, but not from done().
 */

/** accel_hold() - engines take nothing more from the queue, until accel_release() or stop */
void accel_hold(const struct zcomp_params *params);
void accel_release(const struct zcomp_params *params);

/** accel_fail_next() - the next @count requests that engines take just end with @error */
void accel_fail_next(const struct zcomp_params *params, uint64_t count, int error);

/** accel_fault_next() - the next @count requests that engines take meet @fault */
void accel_fault_next(const struct zcomp_params *params, uint64_t count, enum accel_fault fault);

/** accel_reset() - reset the device; returns when that is over */
void accel_reset(const struct zcomp_params *params);

/**
 * accel_advance_clock() - the device's clock jumps forward
 * Returns when the watchdog has looked, and has ended what missed its deadline by that.
 */
void accel_advance_clock(const struct zcomp_params *params, uint64_t us);

/** accel_look() - have the watchdog look, and wait until it has */
void accel_look(const struct zcomp_params *params);

/** accel_be_patient() - however often the device is reset, go on using it */
void accel_be_patient(const struct zcomp_params *params);

/** accel_create_thread - pthread_create(), unless a test put something else there */
extern int (*accel_create_thread)(pthread_t *thread, const pthread_attr_t *attr,
				  void *(*start)(void *), void *arg);

#endif
