// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * promise.c - what fallocate(2) has promised. See promise.h.
 *
 * Locks: promises.lock guards the table and the numbers in it; only arena counters and the heap are
 * used under it.
 */
#include "fs/promise.h"

#include <errno.h>

#include "fs/inode_i.h"
#include "util/lock.h"

struct promise {
	struct promise *next;
	ino_nr ino;
	uint64_t nr_pages; /* at least 1 */
};

/*
 * An object costs its header, its share of its zspage and a slot besides its bytes: as much as
 * statfs(2) says.
 */
#define PAGE_BYTES (ZT_PAGE_SIZE * 32 / 31 + 1)

static uint64_t bytes_of(uint64_t nr_pages)
{
	return nr_pages * PAGE_BYTES;
}

static bool is_limited(struct super *sb)
{
	struct arena_stat stat;

	arena_get_stat(sb->arena, &stat);
	return stat.limit != 0;
}

/* Where the file's promise hangs, or would. lock held. */
static struct promise **find(struct super *sb, ino_nr ino)
{
	struct promise **at =
		&sb->promises.buckets[keyhash(&sb->hash_key, &ino, sizeof(ino)) % PROMISE_BUCKETS];

	while (*at && (*at)->ino != ino)
		at = &(*at)->next;
	return at;
}

/* lock held; @at is one that is there. */
static void lower(struct super *sb, struct inode_rec *rec, struct promise **at, uint64_t nr_pages)
{
	struct promise *promise = *at;

	arena_unset_aside(sb->arena, bytes_of(nr_pages));
	promise->nr_pages -= nr_pages;
	if (promise->nr_pages > 0)
		return;
	rec_store(&rec->promised, 0);
	*at = promise->next;
	arena_heap_free(sb->arena, promise, sizeof(*promise));
}

void promise_init(struct promises *promises)
{
	mutex_init(&promises->lock, ZT_RANK_PROMISES);
}

void promise_exit(struct super *sb)
{
	for (unsigned i = 0; i < PROMISE_BUCKETS; i++) {
		struct promise *promise;

		while ((promise = sb->promises.buckets[i])) {
			sb->promises.buckets[i] = promise->next;
			arena_unset_aside(sb->arena, bytes_of(promise->nr_pages));
			arena_heap_free(sb->arena, promise, sizeof(*promise));
		}
	}
	mutex_exit(&sb->promises.lock);
}

int promise_add(struct super *sb, ino_nr ino, struct inode_rec *rec, uint64_t nr_pages)
{
	struct promises *promises = &sb->promises;
	struct promise **at;
	void *fresh = NULL;
	int error;

	if (nr_pages == 0 || !is_limited(sb))
		return 0;
	error = arena_set_aside(sb->arena, bytes_of(nr_pages));
	if (error)
		return error;
	mutex_lock(&promises->lock);
	at = find(sb, ino);
	if (!*at) {
		error = arena_heap_alloc(sb->arena, sizeof(**at), &fresh);
		if (!error) {
			*at = fresh;
			(*at)->ino = ino;
			rec_store(&rec->promised, 1);
		}
	}
	if (!error)
		(*at)->nr_pages += nr_pages;
	mutex_unlock(&promises->lock);
	if (error)
		arena_unset_aside(sb->arena, bytes_of(nr_pages));
	return error;
}

bool promise_use(struct super *sb, ino_nr ino, struct inode_rec *rec, uint64_t nr_pages)
{
	struct promises *promises = &sb->promises;
	struct promise **at;
	bool any;

	if (!rec_load(&rec->promised) || nr_pages == 0)
		return false;
	mutex_lock(&promises->lock);
	at = find(sb, ino);
	any = *at != NULL;
	if (any)
		lower(sb, rec, at, min_u64(nr_pages, (*at)->nr_pages));
	mutex_unlock(&promises->lock);
	return any;
}

void promise_keep(struct super *sb, ino_nr ino, struct inode_rec *rec, uint64_t nr_pages)
{
	struct promises *promises = &sb->promises;
	struct promise **at;

	if (!rec_load(&rec->promised))
		return;
	mutex_lock(&promises->lock);
	at = find(sb, ino);
	if (*at && (*at)->nr_pages > nr_pages)
		lower(sb, rec, at, (*at)->nr_pages - nr_pages);
	mutex_unlock(&promises->lock);
}

int promise_restore(struct super *sb, ino_nr ino, struct inode_rec *rec, uint64_t nr_pages)
{
	rec_store(&rec->promised, 0);
	return promise_add(sb, ino, rec, nr_pages);
}

void promise_each(struct super *sb, bool (*visit)(void *arg, ino_nr ino, uint64_t nr_pages),
		  void *arg)
{
	for (unsigned i = 0; i < PROMISE_BUCKETS; i++)
		for (const struct promise *at = sb->promises.buckets[i]; at; at = at->next)
			if (!visit(arg, at->ino, at->nr_pages))
				return;
}
