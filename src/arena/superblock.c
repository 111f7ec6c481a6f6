// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * superblock.c - page 0 of the arena: what it says of itself, written once and checked at attach.
 *
 * Locks: none; state and life are changed by the thread that makes, attaches or detaches.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena/arena_i.h"
#include "arena/scratch.h"
#include "arena/attach.h"
#include "util/keyhash.h"
#include "util/store.h"

/* Against damage, not against people: the key is known. */
static uint64_t sum_of(const struct arena_superblock *sb)
{
	static const struct keyhash_key key = { .k0 = ARENA_MAGIC, .k1 = ARENA_LAYOUT };

	return keyhash(&key, sb, offsetof(struct arena_superblock, sum));
}

int arena_superblock_make(struct arena *arena)
{
	struct arena_superblock *sb = arena_ptr(arena, 0);

	if (getrandom(sb->uuid, sizeof(sb->uuid), 0) != sizeof(sb->uuid))
		return -errno;
	sb->magic = ARENA_MAGIC;
	sb->layout = ARENA_LAYOUT;
	sb->first_page = arena->first_page;
	sb->reserve = arena->reserve;
	sb->incompat = arena->stock.target != 0 ? ARENA_STOCKED : 0;
	sb->life = 1;
	sb->state = ARENA_SERVING;
	sb->sum = sum_of(sb);
	arena->last_state = ARENA_CLEAN;
	return 0;
}

void arena_superblock_borrow(struct arena_superblock *sb)
{
	sb->incompat |= ARENA_BORROWS;
	sb->sum = sum_of(sb);
}

bool arena_superblock_is_sound(const struct arena_superblock *sb)
{
	return sb->magic == ARENA_MAGIC && sb->layout == ARENA_LAYOUT && sb->sum == sum_of(sb);
}

/* It spills since a moment before its last process was killed, and the sum did not say so yet. */
static bool sum_fits(const struct arena_superblock *sb)
{
	struct arena_superblock before = *sb;

	before.incompat &= ~ARENA_SPILLS;
	return sb->sum == sum_of(sb) || sb->sum == sum_of(&before);
}

/* The sum comes last: a newer layout may have another. */
static int check_format(const struct arena_superblock *sb, char text[256])
{
	if (sb->magic != ARENA_MAGIC) {
		snprintf(text, 256, "this memory is no arena");
		return -EUCLEAN;
	}
	if (sb->layout != ARENA_LAYOUT) {
		snprintf(text, 256,
			 "the arena has layout %" PRIu32 ", this program reads layout %u",
			 sb->layout, ARENA_LAYOUT);
		return -EPROTONOSUPPORT;
	}
	if (!sum_fits(sb)) {
		snprintf(text, 256, "the arena's superblock is damaged: its sum is wrong");
		return -EUCLEAN;
	}
	if (sb->incompat & ~ARENA_INCOMPAT || sb->ro_compat & ~ARENA_RO_COMPAT) {
		snprintf(text, 256,
			 "the arena has features that this program does not know: %" PRIx64
			 ", %" PRIx64,
			 sb->incompat & ~ARENA_INCOMPAT, sb->ro_compat & ~ARENA_RO_COMPAT);
		return -EPROTONOSUPPORT;
	}
	return 0;
}

int arena_superblock_check(const struct arena_superblock *sb, uint64_t file_size, char text[256])
{
	uint64_t nr_chunks = sb->reserve / CHUNK_BYTES;
	int error = check_format(sb, text);

	if (error)
		return error;
	if (sb->reserve != file_size || sb->reserve % CHUNK_BYTES != 0 ||
	    sb->reserve < RESERVE_MIN || sb->reserve > RESERVE_MAX ||
	    sb->first_page % BUDDY_CHUNK_PAGES != 0 ||
	    sb->first_page < 1 + nr_chunks + ARENA_SCRATCH_PAGES ||
	    sb->first_page >= sb->reserve >> ZT_PAGE_SHIFT) {
		snprintf(text, 256,
			 "the arena says it has %" PRIu64 " bytes from page %" PRIu32
			 " on, and its file has %" PRIu64,
			 sb->reserve, sb->first_page, file_size);
		return -EUCLEAN;
	}
	if (sb->state < ARENA_CLEAN || sb->state > ARENA_RECOVERING) {
		snprintf(text, 256, "the arena's state is unknown: %" PRIu32, sb->state);
		return -EUCLEAN;
	}
	return 0;
}

int arena_probe(int fd, char page[ZT_PAGE_SIZE], char text[256], const void **out_super)
{
	const struct arena_superblock *sb = (const void *)page;
	struct stat st;

	if (fstat(fd, &st) != 0 || pread(fd, page, ZT_PAGE_SIZE, 0) != ZT_PAGE_SIZE) {
		snprintf(text, 256, "this memory is no arena");
		return -EUCLEAN;
	}
	*out_super = page + ARENA_SUPER_OFFSET;
	return arena_superblock_check(sb, (uint64_t)st.st_size, text);
}

static struct arena_superblock *superblock(const struct arena *arena)
{
	return arena_ptr(arena, 0);
}

uint32_t arena_layout(void)
{
	return ARENA_LAYOUT;
}

int arena_fd(const struct arena *arena)
{
	return arena->fd;
}

void arena_set_spills(struct arena *arena)
{
	struct arena_superblock *sb = superblock(arena);

	if (sb->incompat & ARENA_SPILLS)
		return;
	/* A kill between the two leaves what sum_fits() knows. */
	sb->incompat |= ARENA_SPILLS;
	zt_stored("superblock: it spills");
	sb->sum = sum_of(sb);
	zt_stored("superblock: its sum");
}

void arena_superblock_sum(struct arena_superblock *sb)
{
	sb->sum = sum_of(sb);
	zt_stored("superblock: its sum");
}

void arena_set_state(struct arena *arena, enum arena_state state)
{
	/* Release: all that was done in the state before comes first. */
	__atomic_store_n(&superblock(arena)->state, (uint32_t)state, __ATOMIC_RELEASE);
}

enum arena_state arena_last_state(const struct arena *arena)
{
	return arena->last_state;
}

uint32_t arena_life(const struct arena *arena)
{
	return superblock(arena)->life;
}

const uint8_t *arena_uuid(const struct arena *arena)
{
	return superblock(arena)->uuid;
}
