// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * witness.c - what threads are about to do. See witness.h.
 *
 * Locks: none.
 */
#include "fs/witness.h"

#include <stddef.h>

#include "util/store.h"

static _Thread_local struct fs_witness *current;

void fs_set_witness(struct fs_witness *witness)
{
	current = witness;
}

static void tell(uint64_t *field, uint64_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELEASE);
	zt_stored("witness: a field");
}

void witness_intend(ino_nr ino)
{
	if (current)
		tell(&current->ino, ino);
}

void witness_made(uint64_t nr)
{
	if (current)
		tell(&current->done, nr);
}

void witness_done(void)
{
	witness_made(1);
}
