/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attach.h - the words of files found again by a process that attaches: each object is claimed for the
 * word that names it, and what a kill left half done beside the words is put right.
 *
 * The words decide. Headers' owners, places of maps, names of share records and counts follow them.
 *
 * Context, all of it: one thread, between zs_pool_attach() with claims and zs_attach_end(). On
 * -EUCLEAN something does not agree, and *@what says what, in words.
 */
#ifndef ZT_BLKMAP_SLOT_ATTACH_H
#define ZT_BLKMAP_SLOT_ATTACH_H

#include "blkmap/slot/slots.h"

/* What the walk knows of share records: each with the count that it had. */
struct slots_attach {
	struct slots *slots;
	struct {
		ref_t ref;
		uint64_t count;
	} *shares;
	uint64_t nr_shares, max_shares;
	struct blkmap_repairs repairs;
	const char *what;
};

/*
 * slots_attach_file() - all words of a file: claimed, put right, counted
 * @out_end: behind the last byte that may differ from zero
 * Return: 0, -EUCLEAN, -ENOMEM.
 */
int slots_attach_file(struct slots_attach *attach, const struct blkmap_file *file,
		      uint64_t *out_end) ZT_MUST_CHECK;

/* slots_attach_end() - after all files: how many names share records have; frees what it knows */
void slots_attach_end(struct slots_attach *attach);

/* slots_attach_map() - the volatile entry of a cluster map at @place. 0, -ENOMEM. */
int slots_attach_map(struct slots *slots, uint64_t place, unsigned order,
		     unsigned setting) ZT_MUST_CHECK;

#endif
