// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * accel_hook.c - what goes wrong in the pseudo-accelerator: by parameter, at random; by hook, when
 * a test says so.
 *
 * Locks: queue_lock guards all of it.
 */
#include <errno.h>

#include "backends/accel.h"

#define MILLION 1000000u

/* splitmix64: the same faults for the same requests, mount after mount. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static bool draws(struct accel *accel, uint32_t ppm)
{
	return ppm > 0 && next_random(&accel->random) % MILLION < ppm;
}

enum accel_fault accel_draw_fault(struct accel *accel, int *out_error)
{
	const struct zcomp_accel_params *params = &accel->params;

	if (accel->nr_fault > 0 && (accel->next_fault == ACCEL_FAULT_FAIL || !accel->stopping)) {
		accel->nr_fault--;
		if (accel->next_fault == ACCEL_FAULT_FAIL)
			*out_error = accel->fail_error;
		return accel->next_fault;
	}
	if (draws(accel, params->fail_ppm)) {
		*out_error = -EIO;
		return ACCEL_FAULT_FAIL;
	}
	if (accel->stopping) /* it ends, and is not disturbed any more */
		return ACCEL_FAULT_NONE;
	if (draws(accel, params->stall_ppm))
		return ACCEL_FAULT_STALL;
	if (draws(accel, params->reset_ppm))
		return ACCEL_FAULT_RESET;
	return draws(accel, params->kill_ppm) ? ACCEL_FAULT_KILL : ACCEL_FAULT_NONE;
}

void accel_hold(const struct zcomp_params *params)
{
	struct accel *accel = params->drv_data;

	accel_lock(&accel->queue_lock);
	accel->held = true;
	accel_unlock(&accel->queue_lock);
}

void accel_release(const struct zcomp_params *params)
{
	struct accel *accel = params->drv_data;

	accel_lock(&accel->queue_lock);
	accel->held = false;
	pthread_cond_broadcast(&accel->work);
	accel_unlock(&accel->queue_lock);
}

static void set_fault(struct accel *accel, uint64_t count, enum accel_fault fault, int error)
{
	accel_lock(&accel->queue_lock);
	accel->nr_fault = count;
	accel->next_fault = fault;
	accel->fail_error = error;
	accel_unlock(&accel->queue_lock);
}

void accel_fail_next(const struct zcomp_params *params, uint64_t count, int error)
{
	set_fault(params->drv_data, count, ACCEL_FAULT_FAIL, error);
}

void accel_fault_next(const struct zcomp_params *params, uint64_t count, enum accel_fault fault)
{
	set_fault(params->drv_data, count, fault, -EIO);
}

void accel_be_patient(const struct zcomp_params *params)
{
	struct accel *accel = params->drv_data;

	accel_lock(&accel->queue_lock);
	accel->patient = true;
	accel_unlock(&accel->queue_lock);
}

/* queue_lock is held. A watchdog that has ended looks no more. */
static void look_and_wait(struct accel *accel)
{
	uint64_t ticket = ++accel->looks_wanted;

	accel_watch_wake(accel);
	while (accel->looks_done < ticket && !accel->watch_stop)
		pthread_cond_wait(&accel->watch_looked, &accel->queue_lock);
}

void accel_look(const struct zcomp_params *params)
{
	struct accel *accel = params->drv_data;

	accel_lock(&accel->queue_lock);
	look_and_wait(accel);
	accel_unlock(&accel->queue_lock);
}

void accel_reset(const struct zcomp_params *params)
{
	struct accel *accel = params->drv_data;

	accel_lock(&accel->queue_lock);
	accel->reset_wanted = true;
	look_and_wait(accel);
	accel_unlock(&accel->queue_lock);
}

void accel_advance_clock(const struct zcomp_params *params, uint64_t us)
{
	struct accel *accel = params->drv_data;

	accel_count(&accel->clock_offset_ns, us * 1000);
	accel_lock(&accel->queue_lock);
	pthread_cond_broadcast(&accel->work); /* lines may be due */
	look_and_wait(accel);
	accel_unlock(&accel->queue_lock);
}
