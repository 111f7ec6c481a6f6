// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * commit.c - what was encoded becomes a cluster: placed, published, and the old object given up.
 */
#include <errno.h>

#include "blkmap/content/attempt.h"
#include "blkmap/content/change.h"

void change_place(const struct cluster *c, struct change *change, bool kept)
{
	/* Giving cached pages back tries other slots' locks: never under one. */
	change->refused = kept ? encoded_place(c->slots, &change->enc, &change->word)
			       : encoded_place_hard(c->slots, &change->enc, &change->word);
	change->rest = slot_fresh(change->refused ? 0 : change->word);
}

int change_publish(const struct cluster *c, struct change *change)
{
	if (change->refused)
		return encoded_overwrite(c, &change->enc) ? 0 : change->refused;
	/* What fails leaves the new word to be released. */
	return slot_publish(c->slots, c->file, c->slot, change->word, &change->rest);
}

void change_end(const struct cluster *c, struct change *change)
{
	slot_release(c->slots, change->rest, c->file->order);
	change->rest = slot_fresh(0);
}

static int publish(const struct cluster *c, void *arg)
{
	return change_publish(c, arg);
}

int cluster_commit(const struct cluster *c, const struct encoded *enc, const uint64_t *seq)
{
	struct change change = { .enc = *enc };
	int error;

	change_place(c, &change, false);
	error = attempt_publish(c, seq, publish, &change);
	change_end(c, &change);
	return error;
}
