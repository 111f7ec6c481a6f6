/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scratch.h - pages in front of the first run, for what must be written down before an object is
 * overwritten.
 */
#ifndef ZT_ARENA_SCRATCH_H
#define ZT_ARENA_SCRATCH_H

#include "arena/arena.h"

/* Pages that lie apart from all runs: one object of the largest size with its header. */
#define ARENA_SCRATCH_PAGES 33u

/** arena_scratch() - where these pages are; they are backed, and nobody else uses them */
void *arena_scratch(const struct arena *arena);

/**
 * arena_scratch_back() - memory for them; their bytes were set aside before
 * arena_scratch_drop() - give it back: the bytes are set aside again
 * Return: 0, -ENOMEM.
 */
int arena_scratch_back(struct arena *arena) ZT_MUST_CHECK;
void arena_scratch_drop(struct arena *arena);

/** arena_scratch_forget() - when attaching: what the last process has left there goes */
void arena_scratch_forget(struct arena *arena);

#endif
