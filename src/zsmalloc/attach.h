/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attach.h - a pool in an arena that another process has filled: headers show which objects are
 * live, their keepers claim them, and the rest is swept.
 *
 * Context, all of it: between arena_attach() and arena_attach_end(), one thread.
 */
#ifndef ZT_ZSMALLOC_ATTACH_H
#define ZT_ZSMALLOC_ATTACH_H

#include "zsmalloc/pool.h"

/**
 * zs_pool_attach() - the pool of @params->id, with all objects that are there
 * @text: out on errors: one sentence, or left alone
 * @claims: note what is live, for the calls below; free it by zs_attach_end()
 * Return: 0; -EUCLEAN a zspage or a header makes no sense; -EINVAL; -ENOMEM. On errors the arena is
 *         as it was.
 */
int zs_pool_attach(struct arena *arena, const struct zs_pool_params *params, bool claims,
		   char text[256], struct zs_pool **out_pool) ZT_MUST_CHECK;

/** What there is to say about a ref, before its object is looked at. */
enum zs_claim {
	ZS_CLAIMED, /* live, and this is the first to name it */
	ZS_CLAIMED_BEFORE,
	ZS_NO_OBJECT,
};

/**
 * zs_claim() - somebody names an object; any value of @ref is allowed
 * In a pool without claims each live object is the caller's.
 */
enum zs_claim zs_claim(struct zs_pool *pool, uint64_t ref);

/** zs_is_unclaimed() - whether @ref names a live object that nobody has claimed; any value */
bool zs_is_unclaimed(const struct zs_pool *pool, uint64_t ref);

/** zs_claim_sized() - zs_claim() of an object of @size bytes: whether it is one and was not named */
bool zs_claim_sized(struct zs_pool *pool, uint64_t ref, uint32_t size);

/* A walk over the objects of a pool; zeros at first. */
struct zs_attach_walk {
	uint64_t cursor; /* of arena_run_next() */
	struct size_class *class;
	struct zspage *zspage; /* NULL: at its end */
	uint32_t slot; /* from which to look on */
};

/**
 * zs_attach_next() - the next live object by its place, claimed or not; none is freed meanwhile
 * Return: false at the end.
 */
bool zs_attach_next(const struct zs_pool *pool, struct zs_attach_walk *walk, ref_t *out_ref);

/** zs_sweep() - free all that nobody has claimed. Return: how many. */
uint64_t zs_sweep(struct zs_pool *pool);

/** zs_attach_end() - forget the claims */
void zs_attach_end(struct zs_pool *pool);

/** zs_pool_detach() - free what is on the heap; the objects stay. NULL is allowed. */
void zs_pool_detach(struct zs_pool *pool);

#endif
