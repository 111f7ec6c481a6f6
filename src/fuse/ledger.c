// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ledger.c - slots of requests under way. See ledger.h.
 *
 * Locks: none.
 */
#include "fuse/ledger.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fuse/channel/channel.h"
#include "fuse/channel/proto.h"
#include "util/shared.h"
#include "util/store.h"
#include "ztmpfs/control.h"

#define AGAIN PROTO_RESENT
/* Until it is looked again whether a slot is idle: as long as a few requests take. */
#define WAIT_NS 200000L

/* ---- memory ---- */

int ledger_make(struct ledger **out_ledger, int *out_fd)
{
	void *memory;
	int error = shared_make("ztmpfs-ledger", sizeof(**out_ledger), &memory, out_fd);

	if (!error)
		*out_ledger = memory;
	return error;
}

int ledger_map(int fd, struct ledger **out_ledger)
{
	void *memory;
	int error = shared_map(fd, sizeof(**out_ledger), &memory);

	if (!error)
		*out_ledger = memory;
	return error;
}

void ledger_unmap(struct ledger *ledger)
{
	shared_unmap(ledger, sizeof(*ledger));
}

/* ---- slots ---- */

static void set_state(struct ledger_slot *slot, enum ledger_state state)
{
	atomic_store_explicit(&slot->state, state, memory_order_release);
	zt_stored("ledger: a slot's state");
}

static bool change_state(struct ledger_slot *slot, uint32_t from, enum ledger_state to)
{
	return atomic_load_explicit(&slot->state, memory_order_acquire) == from &&
	       atomic_compare_exchange_strong_explicit(&slot->state, &from, to, memory_order_acq_rel,
						       memory_order_relaxed);
}

/* Each thread begins to look at another place, and mostly finds its own slot. */
static struct ledger_slot *take_idle(struct ledger *ledger)
{
	static atomic_uint nr_threads;
	static _Thread_local unsigned first = UINT32_MAX;

	if (first == UINT32_MAX)
		first = atomic_fetch_add_explicit(&nr_threads, 1, memory_order_relaxed);
	for (unsigned i = 0; i < LEDGER_NR_SLOTS; i++) {
		struct ledger_slot *slot = &ledger->slots[(first + i) % LEDGER_NR_SLOTS];

		if (change_state(slot, LEDGER_IDLE, LEDGER_TAKEN))
			return slot;
	}
	return NULL;
}

/* Those that have them need nothing of a request that waits here: it has begun nothing. */
static struct ledger_slot *take(struct ledger *ledger)
{
	struct ledger_slot *slot = take_idle(ledger);

	if (!slot)
		channel_may_wait();
	while (!slot) {
		(void)nanosleep(&(struct timespec){ .tv_nsec = WAIT_NS }, NULL); /* shorter will do */
		slot = take_idle(ledger);
	}
	return slot;
}

/* ---- what a message asks ---- */

/* Where its name is: behind so many bytes of the header's body; and what it is. */
static const struct shape {
	uint32_t opcode;
	enum fs_deed_kind kind;
	size_t fixed;
	bool second; /* the second of two names */
} shapes[] = {
	{ FUSE_MKNOD, FS_DEED_NAME, sizeof(struct fuse_mknod_in), false },
	{ FUSE_MKDIR, FS_DEED_NAME, sizeof(struct fuse_mkdir_in), false },
	{ FUSE_SYMLINK, FS_DEED_NAME, 0, false },
	{ FUSE_CREATE, FS_DEED_NAME, sizeof(struct fuse_create_in), false },
	{ FUSE_TMPFILE, FS_DEED_NAMELESS, sizeof(struct fuse_create_in), false },
	{ FUSE_LINK, FS_DEED_LINK, sizeof(struct fuse_link_in), false },
	{ FUSE_UNLINK, FS_DEED_REMOVE, 0, false },
	{ FUSE_RMDIR, FS_DEED_REMOVE, 0, false },
	{ FUSE_RENAME, FS_DEED_RENAME, sizeof(struct fuse_rename_in), true },
	{ FUSE_RENAME2, FS_DEED_RENAME, sizeof(struct fuse_rename2_in), true },
	{ FUSE_SETXATTR, FS_DEED_SET_XATTR, FUSE_COMPAT_SETXATTR_IN_SIZE, false },
	{ FUSE_REMOVEXATTR, FS_DEED_REMOVE_XATTR, 0, false },
	{ FUSE_IOCTL, FS_DEED_CLONE,
	  sizeof(struct fuse_ioctl_in) + offsetof(struct ztmpfs_clone, to_name), false },
};

static const struct shape *shape_of(uint32_t opcode)
{
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
		if (shapes[i].opcode == opcode)
			return &shapes[i];
	return NULL;
}

/* All other calls of its kind can be made again. */
static bool is_clone(const struct fuse_in_header *header)
{
	const struct fuse_ioctl_in *in = (const void *)(header + 1);

	return _IOC_TYPE(in->cmd) == 'Z' && _IOC_NR(in->cmd) == _IOC_NR(ZTMPFS_IOC_CLONE);
}

/* Both kinds of RENAME begin with it. */
static uint64_t parent_of(const struct shape *shape, const struct fuse_in_header *header)
{
	uint64_t parent = header->nodeid;

	if (shape->kind == FS_DEED_RENAME)
		memcpy(&parent, header + 1, sizeof(parent));
	return parent;
}

/* Return: whether it could be read; what is longer than a name is refused anyhow. */
static bool read_name(const struct shape *shape, const char *msg, size_t len, char out[LEDGER_NAME_MAX])
{
	size_t at = sizeof(struct fuse_in_header) + shape->fixed, name;

	for (unsigned skip = shape->second; at < len; skip--) {
		name = strnlen(msg + at, len - at);
		if (name == len - at || (!skip && name >= LEDGER_NAME_MAX))
			return false;
		if (!skip) {
			memcpy(out, msg + at, name + 1);
			return true;
		}
		at += name + 1;
	}
	return false;
}

struct ledger_slot *ledger_begin(struct ledger *ledger, uint64_t unique, uint32_t opcode,
				 const void *msg, size_t len)
{
	const struct shape *shape = shape_of(opcode);
	const struct fuse_in_header *header = msg;
	struct ledger_slot *slot;

	if (!shape || len < sizeof(*header) + shape->fixed)
		return NULL;
	if (shape->kind == FS_DEED_CLONE && !is_clone(header))
		return NULL;
	slot = take(ledger);
	slot->name[0] = '\0';
	if (shape->kind != FS_DEED_NAMELESS && !read_name(shape, msg, len, slot->name)) {
		set_state(slot, LEDGER_IDLE);
		return NULL;
	}
	slot->opcode = opcode;
	slot->kind = shape->kind;
	slot->key = unique & ~AGAIN;
	slot->life = ledger->life;
	slot->parent = parent_of(shape, header);
	slot->witness = (struct fs_witness){ .ino = 0 };
	set_state(slot, LEDGER_BEGUN);
	fs_set_witness(&slot->witness);
	return slot;
}

void ledger_end(struct ledger_slot *slot)
{
	if (!slot)
		return;
	fs_set_witness(NULL);
	set_state(slot, LEDGER_IDLE);
}

/* ---- a later life ---- */

void ledger_settle(struct ledger *ledger, struct super *sb)
{
	ledger->life++;
	for (unsigned i = 0; i < LEDGER_NR_SLOTS; i++) {
		struct ledger_slot *slot = &ledger->slots[i];
		const uint32_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
		const struct fs_deed deed = {
			.kind = (enum fs_deed_kind)slot->kind,
			.parent = slot->parent,
			.name = slot->name,
			.witness = slot->witness,
		};

		if (state == LEDGER_BEGUN && fs_deed_is_done(sb, &deed)) {
			slot->witness.done = 1;
			set_state(slot, LEDGER_DONE);
		} else if (state == LEDGER_ANSWERED) {
			set_state(slot, LEDGER_DONE); /* maybe not: then nobody asks for it again */
		} else if (state != LEDGER_IDLE && state != LEDGER_DONE) {
			set_state(slot, LEDGER_IDLE);
		}
	}
}

bool ledger_is_again(uint64_t unique)
{
	return unique & AGAIN;
}

struct ledger_slot *ledger_find(struct ledger *ledger, uint64_t unique)
{
	if (!ledger_is_again(unique))
		return NULL;
	for (unsigned i = 0; i < LEDGER_NR_SLOTS; i++) {
		struct ledger_slot *slot = &ledger->slots[i];

		/* The key first: another one's slot stays as it is. */
		if (atomic_load_explicit(&slot->state, memory_order_acquire) == LEDGER_DONE &&
		    slot->key == (unique & ~AGAIN) &&
		    change_state(slot, LEDGER_DONE, LEDGER_ANSWERED))
			return slot;
	}
	return NULL;
}

void ledger_retire(struct ledger *ledger)
{
	for (unsigned i = 0; i < LEDGER_NR_SLOTS; i++)
		(void)change_state(&ledger->slots[i], LEDGER_DONE, LEDGER_IDLE);
}

/* ---- crashes ---- */

void ledger_note_crash(struct ledger *ledger, uint64_t unique)
{
	const uint64_t key = unique & ~AGAIN;

	for (unsigned i = 0; key && i < LEDGER_NR_CRASHES; i++) {
		struct ledger_crash *crash = &ledger->crashes[i];
		uint64_t found = 0;

		if (atomic_compare_exchange_strong(&crash->key, &found, key) || found == key) {
			atomic_fetch_add(&crash->nr, 1);
			return;
		}
	}
}

void ledger_forgive(struct ledger *ledger, uint64_t unique)
{
	for (unsigned i = 0; i < LEDGER_NR_CRASHES; i++) {
		struct ledger_crash *crash = &ledger->crashes[i];

		if (atomic_load(&crash->key) != (unique & ~AGAIN))
			continue;
		atomic_store(&crash->nr, 0);
		atomic_store(&crash->key, 0);
	}
}

bool ledger_is_poison(const struct ledger *ledger, uint64_t unique)
{
	for (unsigned i = 0; ledger_is_again(unique) && i < LEDGER_NR_CRASHES; i++)
		if (atomic_load(&ledger->crashes[i].key) == (unique & ~AGAIN))
			return atomic_load(&ledger->crashes[i].nr) >= LEDGER_CRASHES_MOST;
	return false;
}
