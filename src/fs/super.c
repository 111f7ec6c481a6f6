// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * super.c - one mount: made and ended.
 */
#include "fs/super.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena/attach.h"
#include "fs/attach_i.h"
#include "fs/dirindex.h"
#include "fs/inode_i.h"
#include "fs/livefile.h"
#include "fs/packs.h"
#include "fs/tune.h"
#include "fs/work.h"
#include "image/pages.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "zsmalloc/attach.h"

/* Addresses of a mount that carries swap, beyond twice its memory. */
#define SWAP_RANGE_MORE (64 * MIB)
/* Low among real-time threads: those of the kernel that it needs come first. */
#define SWAP_GROWER_PRIORITY 5

/* @fd: of an arena that is there, or -1. */
static int open_arena(struct super *sb, const struct super_params *params, int fd,
		      char error_text[256])
{
	struct arena_params arena = { .backing = ARENA_MEMFD,
				      .limit = params->mem_limit,
				      .borrows = params->content.lender != NULL };
	int err;

	if (params->swap_reserve) {
		/* Twice: long runs want places side by side. */
		arena.reserve = 2 * params->mem_limit + SWAP_RANGE_MORE;
		arena.stock = params->swap_reserve;
		arena.stock_lock = true;
		arena.backing = params->outlives ? ARENA_UNSWAPPED : ARENA_MEMFD;
		arena.stock_priority = SWAP_GROWER_PRIORITY;
	}
	if (fd >= 0)
		return arena_attach(&arena, fd, error_text, &sb->arena);
	err = arena_create(&arena, &sb->arena);
	if (err && params->swap_reserve)
		snprintf(error_text, 256, "cannot keep a reserve of %llu KiB in memory: %s",
			 (unsigned long long)params->swap_reserve / 1024,
			 err == -ENOSPC ? "the memory limit is too small" : strerror(-err));
	else if (err)
		snprintf(error_text, 256, "cannot make the memory arena: %s",
			 err == -ENOSPC ? "the memory limit is too small" : strerror(-err));
	return err;
}

static int open_pool(struct super *sb, enum blkmap_attach attach, const struct zs_pool_params *params,
		     char error_text[256], struct zs_pool **out_pool)
{
	int err;

	snprintf(error_text, 256, "cannot make the pools");
	if (attach == BLKMAP_MAKE)
		err = zs_pool_create(sb->arena, params, out_pool);
	else
		err = zs_pool_attach(sb->arena, params, attach == BLKMAP_ATTACH, error_text,
				     out_pool);
	if (err == -ENOMEM)
		snprintf(error_text, 256, "cannot make the pools: %s", strerror(-err));
	return err;
}

static int open_pools(struct super *sb, enum blkmap_attach attach, char error_text[256])
{
	struct zs_pool_params meta = { .name = "meta", .id = SUPER_POOL_META };
	struct zs_pool_params inodes = {
		.name = "inodes",
		.id = SUPER_POOL_INODE,
		.fixed_size = sizeof(struct inode_rec),
	};
	int err = open_pool(sb, attach, &meta, error_text, &sb->meta);

	return err ? err : open_pool(sb, attach, &inodes, error_text, &sb->inodes);
}

/* What is there from the beginning to the end. */
static int set_aside(struct super *sb, uint64_t bytes, char error_text[256])
{
	int err = arena_set_aside(sb->arena, bytes);

	if (err)
		snprintf(error_text, 256,
			 "the memory limit is too small: requests take %llu KiB of it",
			 (unsigned long long)(bytes / KIB));
	else
		sb->set_aside = bytes;
	return err;
}

static int open_map(struct super *sb, const struct super_params *params, enum blkmap_attach attach,
		    char error_text[256])
{
	struct blkmap_params map = params->content;
	const struct blkmap_packs packs = {
		.pool = sb->inodes,
		.look = super_packs_look,
		.begin = super_packs_begin,
		.arg = sb,
	};

	/* What is only read stays as it is. */
	map.packs = params->packs && !params->content.lender ? &packs : NULL;
	map.attach = attach;
	/* Not before all is found. */
	map.background = params->content.background && attach == BLKMAP_MAKE;
	map.arena = sb->arena;
	map.meta = sb->meta;
	map.beside = sb->inodes;
	map.record = &((struct super_record *)arena_super(sb->arena))->map;
	map.max_pages = div_round_up_u64(params->size, ZT_PAGE_SIZE);
	return blkmap_create(&map, error_text, &sb->map);
}

static int create_root(struct super *sb, const struct super_params *params, char error_text[256])
{
	struct inode_init init = {
		.mode = S_IFDIR | (params->mode & 07777),
		.uid = params->uid,
		.gid = params->gid,
		.parent = FS_ROOT_INO,
		.cluster_order = params->cluster_order,
	};
	struct inode_rec *rec;
	ino_nr ino;
	int err;

	sb->rec->version = SUPER_VERSION;
	sb->rec->generation = 1;
	err = inode_alloc(sb, &init, &ino, &rec);
	if (err) {
		snprintf(error_text, 256, "cannot make the root directory: %s",
			 err == -ENOSPC ? "the memory limit is too small" : strerror(-err));
		return err;
	}
	/* It answers to its fixed number only. */
	inodeset_remove(&sb->live, ino);
	sb->rec->root = ino;
	super_format_make(sb, params);
	sb->rec->magic = SUPER_MAGIC;
	return 0;
}

static void heap_free(struct super *sb)
{
	for (unsigned i = 0; i < INODE_NR_LOCKS; i++)
		rwlock_exit(&sb->locks[i].lock);
	gate_exit(&sb->gate);
	mutex_exit(&sb->intent_lock);
	mutex_exit(&sb->tune_lock);
	mutex_exit(&sb->rename_lock);
	mutex_exit(&sb->drain_lock);
	mutex_exit(&sb->reap_lock);
	cond_exit(&sb->drain_cond);
	zt_free(sb);
}

static void super_free(struct super *sb)
{
	livesave_end(sb);
	reap_drop(sb);
	promise_exit(sb);
	dirindex_drop_all(sb);
	blkmap_destroy(sb->map);
	zs_pool_destroy(sb->inodes);
	zs_pool_destroy(sb->meta);
	if (sb->arena != NULL) {
		inodeset_exit(&sb->live, sb->arena);
		arena_unset_aside(sb->arena, sb->set_aside);
	}
	arena_destroy(sb->arena);
	image_pages_close(sb->lender);
	heap_free(sb);
}

void super_leave(struct super *sb, bool is_clean, int *out_fd)
{
	livesave_end(sb);
	reap_drop(sb);
	promise_exit(sb);
	dirindex_drop_all(sb);
	blkmap_detach(sb->map);
	zs_pool_detach(sb->inodes);
	zs_pool_detach(sb->meta);
	if (sb->arena != NULL) {
		inodeset_exit(&sb->live, sb->arena);
		arena_unset_aside(sb->arena, sb->set_aside);
		if (is_clean)
			arena_set_state(sb->arena, ARENA_CLEAN);
		arena_detach(sb->arena, out_fd);
	}
	image_pages_close(sb->lender);
	heap_free(sb);
}

static int super_alloc(const struct super_params *params, char error_text[256],
		       struct super **out_sb)
{
	struct super *sb;
	int err;

	if (params->cluster_order > BLKMAP_MAX_ORDER) {
		snprintf(error_text, 256, "cluster size: at most %u KiB",
			 (ZT_PAGE_SIZE << BLKMAP_MAX_ORDER) / 1024);
		return -EINVAL;
	}
	sb = zt_alloc_aligned(_Alignof(struct super), sizeof(*sb));
	if (sb == NULL) {
		snprintf(error_text, 256, "no memory");
		return -ENOMEM;
	}
	memset(sb, 0, sizeof(*sb));
	mutex_init(&sb->rename_lock, ZT_RANK_RENAME);
	mutex_init(&sb->intent_lock, ZT_RANK_INTENT);
	mutex_init(&sb->tune_lock, ZT_RANK_TUNE);
	mutex_init(&sb->drain_lock, ZT_RANK_DRAIN);
	mutex_init(&sb->reap_lock, ZT_RANK_REAP);
	gate_init(&sb->gate);
	promise_init(&sb->promises);
	line_init(&sb->jobs);
	sb->round_ns = WORK_ROUND_NS;
	cond_init(&sb->drain_cond);
	for (unsigned i = 0; i < INODE_NR_LOCKS; i++)
		rwlock_init(&sb->locks[i].lock, ZT_RANK_INODE);
	sb->max_inodes = params->nr_inodes;
	sb->acl = params->acl;
	err = keyhash_key_init(&sb->hash_key);
	if (err) {
		snprintf(error_text, 256, "cannot get random bytes: %s", strerror(-err));
		heap_free(sb);
		return err;
	}
	*out_sb = sb;
	return 0;
}

/* The arena and what stands on it; @before: see zt_thread_allocated(). */
static int super_open(struct super *sb, const struct super_params *params, int fd, uint64_t before,
		      char error_text[256])
{
	enum blkmap_attach attach = BLKMAP_MAKE;
	struct super_params adopted = *params;
	int err = open_arena(sb, params, fd, error_text);

	if (err)
		return err;
	sb->rec = arena_super(sb->arena);
	sb->borrows = params->content.lender != NULL;
	if (fd >= 0) {
		sb->from_image = params->from_image;
		attach = attach_is_clean(sb) ? BLKMAP_ATTACH_CLEAN : BLKMAP_ATTACH;
		super_format_adopt(sb->rec, &adopted);
		err = super_format_check(sb->rec, &adopted, error_text);
	}
	if (!err)
		err = open_pools(sb, attach, error_text);
	if (!err)
		err = set_aside(sb, zt_thread_allocated() - before + params->mem_beside,
				error_text);
	return err ? err : open_map(sb, &adopted, attach, error_text);
}

int super_create(const struct super_params *params, char error_text[256], struct super **out_sb)
{
	const uint64_t before = zt_thread_allocated();
	struct super *sb;
	int err = super_alloc(params, error_text, &sb);

	if (err)
		return err;
	err = super_open(sb, params, -1, before, error_text);
	if (!err)
		err = create_root(sb, params, error_text);
	if (err) {
		super_free(sb);
		return err;
	}
	*out_sb = sb;
	return 0;
}

int super_attach(const struct super_params *params, int arena_fd, char error_text[256],
		 struct super **out_sb)
{
	const uint64_t before = zt_thread_allocated(), begin = zt_now_ns();
	struct super *sb;
	int err, fd;

	if (arena_fd < 0) {
		snprintf(error_text, 256, "there is no arena to attach to");
		return -EBADF;
	}
	err = super_alloc(params, error_text, &sb);
	if (err)
		return err;
	err = super_open(sb, params, arena_fd, before, error_text);
	if (!err)
		err = attach_all(sb, error_text);
	if (!err) {
		err = arena_attach_end(sb->arena);
		if (err)
			snprintf(error_text, 256, "cannot keep a reserve: %s", strerror(-err));
	}
	if (!err && params->content.background)
		err = blkmap_start(sb->map, error_text);
	if (err) {
		super_leave(sb, false, &fd);
		return err;
	}
	tune_restore(sb);
	arena_set_state(sb->arena, ARENA_SERVING);
	sb->report.ns = zt_now_ns() - begin;
	*out_sb = sb;
	return 0;
}

bool super_has_acl(const struct super *sb)
{
	return sb->acl;
}

int super_lock_memory(struct super *sb)
{
	return arena_lock_memory(sb->arena);
}

void super_drain(struct super *sb)
{
	(void)blkmap_drain(sb->map, 0); /* without an end it says yes */
}

void super_swap_grant(struct super *sb, const struct arena_grant *grant)
{
	arena_stock_grant(sb->arena, grant);
}

bool super_swap_is_short(const struct super *sb)
{
	return arena_stock_is_short(sb->arena);
}

uint64_t super_requests(const struct super *sb)
{
	return blkmap_requests(sb->map);
}

void super_set_pause(struct super *sb, bool (*pause)(void *arg), void *arg)
{
	sb->pause = pause;
	sb->pause_arg = arg;
}

void super_request_begin(struct super *sb)
{
	gate_enter(&sb->gate);
}

void super_request_end(struct super *sb)
{
	gate_leave(&sb->gate);
}

void super_set_round(struct super *sb, uint64_t ns)
{
	sb->round_ns = ns;
}

void super_each_known(struct super *sb, void (*file)(void *arg, uint64_t ino), void *arg)
{
	for (uint64_t ino = 1; inodeset_next(&sb->live, ino, &ino); ino++) {
		const struct inode_rec *rec;
		bool known;

		inode_lock_shared(sb, ino);
		rec = inode_get(sb, ino);
		known = rec != NULL && inode_is_reg(rec) && rec_load(&rec->nlookup) > 0;
		inode_unlock(sb, ino);
		if (known)
			file(arg, ino);
	}
}

uid_t super_owner(struct super *sb)
{
	return rec_load(&inode_get(sb, FS_ROOT_INO)->uid);
}

uint64_t super_compact(struct super *sb)
{
	return blkmap_trim(sb->map);
}

int super_recompress(struct super *sb, uint64_t *out_passes)
{
	if (blkmap_recompress_name(sb->map) == NULL)
		return -EOPNOTSUPP;
	if (sb->lender)
		return -EROFS;
	*out_passes = blkmap_recompress_kick(sb->map);
	return 0;
}

void super_destroy(struct super *sb)
{
	if (sb == NULL)
		return;
#ifdef ZT_DEBUG
	/* Whatever this mount was used for is a test, too: do the walkers agree? */
	blkmap_stop(sb->map);
	super_set_pause(sb, NULL, NULL);
	super_reap(sb);
	if (super_check(sb) != 0)
		abort();
#endif
	super_free(sb);
}
