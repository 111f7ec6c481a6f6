// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * chains.c - a hash table of linked nodes that grows and shrinks by one chain at a time.
 *
 * This is linear hashing: with n chains a hash counts modulo the power of two at or above n, and
 * modulo half of that where there is no such chain yet. So the chain that comes next takes nodes
 * from one other chain alone, its partner, and gives them back to that one when it goes.
 */
#include "util/chains.h"

#include <string.h>

#define CHAINS_LOAD     2u /* nodes to a chain, on average, before there is one more */
#define CHAINS_MIN      16u

static uint32_t chains_index(const struct chains *chains, uint64_t hash)
{
	uint32_t last = chains->more, mask = last ? UINT32_MAX >> __builtin_clz(last) : 0;
	uint32_t index = (uint32_t)hash & mask;

	return index <= last ? index : index & mask >> 1;
}

static uint32_t chains_partner(uint32_t index)
{
	return index & ~(UINT32_C(1) << (31 - __builtin_clz(index)));
}

static struct chain_link **chains_head(struct chains *chains, uint32_t index)
{
	return chains->nr_heads ? &chains->heads[index] : &chains->lone;
}

struct chain_link *chains_first(const struct chains *chains, uint64_t hash)
{
	return chains->nr_heads ? chains->heads[chains_index(chains, hash)] : chains->lone;
}

/* An array of @nr_heads chains, those that there are in it. Without memory all stays as it is. */
static void chains_resize(struct chains *chains, const struct chains_ops *ops, void *arg,
			  uint32_t nr_heads)
{
	struct chain_link **heads;
	void *space;

	if (ops->alloc(arg, nr_heads * sizeof(*heads), &space) != 0)
		return;
	heads = space;
	if (chains->nr_heads) {
		memcpy(heads, chains->heads, (chains->more + 1) * sizeof(*heads));
		ops->free(arg, chains->heads, chains->nr_heads * sizeof(*heads));
	} else {
		heads[0] = chains->lone;
	}
	chains->heads = heads;
	chains->nr_heads = nr_heads;
}

static void chains_split(struct chains *chains, const struct chains_ops *ops, void *arg)
{
	struct chain_link **link, **added;
	uint32_t index = chains->more + 1;

	if (index >= chains->nr_heads)
		chains_resize(chains, ops, arg,
			      chains->nr_heads ? chains->nr_heads * 2 : CHAINS_MIN);
	if (index >= chains->nr_heads)
		return;
	added = &chains->heads[index];
	*added = NULL;
	link = &chains->heads[chains_partner(index)];
	chains->more = index;
	while (*link) {
		struct chain_link *node = *link;

		if (chains_index(chains, ops->hash(arg, node)) != index) {
			link = &node->next;
			continue;
		}
		*link = node->next;
		node->next = *added;
		*added = node;
	}
}

static void chains_merge(struct chains *chains, const struct chains_ops *ops, void *arg)
{
	uint32_t index = chains->more;
	struct chain_link **link = &chains->heads[chains_partner(index)];

	while (*link)
		link = &(*link)->next;
	*link = chains->heads[index];
	chains->heads[index] = NULL;
	chains->more--;
	if (chains->nr_heads > CHAINS_MIN && (chains->more + 1) * 4 <= chains->nr_heads)
		chains_resize(chains, ops, arg, chains->nr_heads / 2);
}

void chains_add(struct chains *chains, const struct chains_ops *ops, void *arg,
		struct chain_link *link, uint64_t hash)
{
	struct chain_link **head;

	chains->nodes++;
	if (chains->nodes > (chains->more + 1) * CHAINS_LOAD)
		chains_split(chains, ops, arg);
	head = chains_head(chains, chains_index(chains, hash));
	link->next = *head;
	*head = link;
}

void chains_remove(struct chains *chains, const struct chains_ops *ops, void *arg,
		   struct chain_link *link, uint64_t hash)
{
	struct chain_link **at = chains_head(chains, chains_index(chains, hash));

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	link->next = NULL;
	chains->nodes--;
	if (chains->nodes == 0 && chains->nr_heads) {
		ops->free(arg, chains->heads, chains->nr_heads * sizeof(*chains->heads));
		*chains = (struct chains){ 0 };
		return;
	}
	/* Two for one node, so that it keeps pace when all go. */
	for (unsigned i = 0; i < 2; i++)
		if (chains->more > 0 && chains->nodes * 4 < (chains->more + 1) * CHAINS_LOAD)
			chains_merge(chains, ops, arg);
}
