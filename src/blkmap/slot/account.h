/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * account.h - what is counted of words, and what is left of the limits.
 *
 * Context: any thread; slot_count() looks at a cluster map, so the slot lock is held.
 */
#ifndef ZT_BLKMAP_SLOT_ACCOUNT_H
#define ZT_BLKMAP_SLOT_ACCOUNT_H

#include "blkmap/slot/slots.h"

/* Charge (or, negative, give back) pages. -ENOSPC. */
int pages_charge(struct slots *slots, const struct blkmap_file *file, int64_t delta) ZT_MUST_CHECK;

/* Count a word in same_pages, huge_pages and those like them, or take it out again; it names what it names. */
void slot_count(struct slots *slots, uint64_t word, unsigned order, int sign);

/* Count the object of an OBJ word by its codec; for what slot_count() does not see. */
void codec_count(struct slots *slots, uint64_t word, int sign);

static inline uint64_t nr_pages(const struct slots *slots)
{
	return atomic_load_explicit(&slots->account.nr_pages, memory_order_relaxed);
}

/* set_max_pages() - see blkmap_set_max_pages() */
int set_max_pages(struct slots *slots, uint64_t pages, uint64_t *out_old) ZT_MUST_CHECK;

/* Pages that size= lets be filled yet; UINT64_MAX without it. */
uint64_t pages_left(const struct slots *slots);

/* Less than mem_limit= / @divisor, and less than @max bytes, is left of the limit. */
bool limit_is_near(const struct slots *slots, unsigned divisor, uint64_t max);

/*
 * For threads that used what the arena spares: memory that they freed goes back at once, before
 * writers use it, until nothing spared is in use.
 */
void spare_give_back(struct slots *slots);

/* Whether a setting is an entry of the mount's table, whose users are counted. */
static inline bool setting_has_entry(unsigned setting)
{
	return setting >= BLKMAP_SETTING_FIRST &&
	       setting < BLKMAP_SETTING_FIRST + BLKMAP_NR_SETTINGS;
}

/*
 * setting_get(), setting_put() - one user more, or less; any setting is allowed
 * A thread that takes the last use away is through with it before: release, and acquire where 0 is
 * looked for.
 */
static inline void setting_get(struct slots *slots, unsigned setting)
{
	if (setting_has_entry(setting))
		atomic_fetch_add_explicit(
			&slots->account.setting_users[setting - BLKMAP_SETTING_FIRST], 1,
			memory_order_relaxed);
}

static inline void setting_put(struct slots *slots, unsigned setting)
{
	if (setting_has_entry(setting))
		atomic_fetch_sub_explicit(
			&slots->account.setting_users[setting - BLKMAP_SETTING_FIRST], 1,
			memory_order_release);
}

void account_get_stat(const struct slots *slots, struct blkmap_stat *out_stat);

#endif
