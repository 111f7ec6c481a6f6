// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * accel_idle.c - managed streams of the pseudo-accelerator that can be lent.
 *
 * Locks: idle_lock guards the list.
 */
#include <sys/mman.h>

#include "backends/accel.h"

struct managed_zstrm *accel_idle_pop(struct accel *accel)
{
	struct managed_zstrm *mstrm;

	accel_lock(&accel->idle_lock);
	mstrm = accel->idle;
	if (mstrm)
		accel->idle = mstrm->next;
	accel_unlock(&accel->idle_lock);
	return mstrm;
}

void accel_idle_push(struct accel *accel, struct managed_zstrm *mstrm)
{
	accel_lock(&accel->idle_lock);
	mstrm->next = accel->idle;
	accel->idle = mstrm;
	accel_unlock(&accel->idle_lock);
}

void accel_idle_cool(struct accel *accel)
{
	struct managed_zstrm *list, *last = NULL;
	uint32_t nr = 0;

	accel_lock(&accel->idle_lock);
	list = accel->idle;
	accel->idle = NULL; /* a caller that comes meanwhile falls back */
	accel_unlock(&accel->idle_lock);
	for (struct managed_zstrm *mstrm = list; mstrm; mstrm = mstrm->next) {
		last = mstrm;
		nr++;
	}
	if (nr == accel->nr_streams) /* fails for a wrong range only */
		(void)madvise(accel->buffers, accel->buffers_size, MADV_DONTNEED);
	if (!last)
		return;
	accel_lock(&accel->idle_lock);
	last->next = accel->idle;
	accel->idle = list;
	accel_unlock(&accel->idle_lock);
}
