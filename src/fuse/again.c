// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * again.c - what the ledger says of a request, and how that is answered. See again.h.
 *
 * Answers are made here, without libfuse: its handler, which would tell it what to answer, does not run.
 *
 * Locks: none.
 */
#include "fuse/again.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fs/deed.h"
#include "fs/namei.h"
#include "fuse/channel/channel.h"
#include "fuse/reply.h"
#include "fuse/transport_i.h"
#include "util/log.h"
#include "util/sizes.h"
#include "ztmpfs/control.h"

/* ---- for tests ---- */

#ifdef ZT_DEBUG

/*
 * With ZT_DIE_BY_NAME in its environment a daemon dies of names that say so: before the first answer to
 * what it has done with one, or whenever it is asked for one.
 */
static const char dies_once[] = ".die-before-answer", dies_always[] = ".die-always";

static _Thread_local const struct again *served;

static bool may_die(void)
{
	return getenv("ZT_DIE_BY_NAME") != NULL;
}

void again_may_die(void)
{
	const struct again *again = served;

	if (again && again->slot && again->slot->witness.done && !ledger_is_again(again->unique) &&
	    may_die() && strstr(again->slot->name, dies_once))
		(void)kill(getpid(), SIGKILL);
}

static void served_begins(const struct again *again, const struct request *req)
{
	const char *name = (const char *)req->msg + sizeof(struct fuse_in_header);

	served = again;
	if (again->opcode == FUSE_LOOKUP && may_die() &&
	    strncmp(name, dies_always, sizeof(dies_always) - 1) == 0)
		abort();
}

static void served_ends(void)
{
	served = NULL;
}

#else

static void served_begins(const struct again *again, const struct request *req)
{
	(void)again;
	(void)req;
}

static void served_ends(void)
{
}

#endif

/* ---- answers ---- */

static void fill_attr(const struct stat *st, struct fuse_attr *out)
{
	*out = (struct fuse_attr){
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.ctime = (uint64_t)st->st_ctim.tv_sec,
		.atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		/* The kernel's form of a device number. */
		.rdev = (minor(st->st_rdev) & 0xff) | (major(st->st_rdev) << 8) |
			((minor(st->st_rdev) & ~0xffu) << 12),
		.blksize = (uint32_t)st->st_blksize,
	};
}

static void fill_entry(const struct ztfuse *front, const struct fs_entry *entry,
		       struct fuse_entry_out *out)
{
	struct fuse_entry_param param;

	entry_param(front, entry, &param);
	*out = (struct fuse_entry_out){
		.nodeid = param.ino,
		.generation = param.generation,
		.entry_valid = (uint64_t)param.entry_timeout,
		.attr_valid = (uint64_t)param.attr_timeout,
	};
	fill_attr(&param.attr, &out->attr);
}

static bool gives_entry(uint32_t kind)
{
	return kind == FS_DEED_NAME || kind == FS_DEED_LINK || kind == FS_DEED_NAMELESS;
}

static void answer_entry(struct ztfuse *front, const struct request *req,
			 const struct ledger_slot *slot)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { .open.open_flags = 0 };
	const bool opens = slot->opcode == FUSE_CREATE || slot->opcode == FUSE_TMPFILE;
	struct fs_entry entry;
	const int error = fs_entry_of(front->sb, slot->witness.ino, &entry);

	if (error) {
		(void)channel_answer(req, error, NULL, 0); /* or nobody waits any longer */
		return;
	}
	fill_entry(front, &entry, &out.entry);
	if (front->cache == ZTFUSE_CACHE_NEVER)
		out.open.open_flags = FOPEN_DIRECT_IO;
	else
		out.open.open_flags = FOPEN_KEEP_CACHE | FOPEN_NOFLUSH;
	if (channel_answer(req, 0, &out, opens ? sizeof(out) : sizeof(out.entry)) < 0)
		fs_forget(front->sb, entry.ino, 1);
}

/* As op_clone() does. What was found by looking alone counts as one. */
static void answer_clone(const struct request *req, const struct ledger_slot *slot)
{
	const struct fuse_ioctl_in *in =
		(const void *)((const char *)req->msg + sizeof(struct fuse_in_header));
	const size_t got = req->len - ((const char *)(in + 1) - (const char *)req->msg);
	struct {
		struct fuse_ioctl_out head;
		struct ztmpfs_clone args;
	} out = { .head.result = 0 };
	const size_t size = min_u64(in->out_size, sizeof(out.args));

	memcpy(&out.args, in + 1, min_u64(got, sizeof(out.args)));
	out.args.struct_size = (uint32_t)size;
	out.args.made = slot->witness.done;
	(void)channel_answer(req, 0, &out, sizeof(out.head) + size); /* or nobody waits any longer */
}

/* As op_rename() does; of an exchange the other one keeps its listing, which only ".." is wrong in. */
static void drop_listing(struct ztfuse *front, const struct ledger_slot *slot)
{
	struct stat attr;

	if (slot->kind != FS_DEED_RENAME ||
	    fs_getattr(front->sb, slot->witness.ino, &attr) != 0 || !S_ISDIR(attr.st_mode))
		return;
	channel_may_wait();
	(void)fuse_lowlevel_notify_inval_inode(front->se, slot->witness.ino, 0, 0);
}

static bool answer_from_slot(struct ztfuse *front, const struct request *req, uint64_t unique)
{
	struct ledger_slot *slot = ledger_find(front->ledger, unique);

	if (!slot)
		return false;
	drop_listing(front, slot);
	if (gives_entry(slot->kind))
		answer_entry(front, req, slot);
	else if (slot->kind == FS_DEED_CLONE)
		answer_clone(req, slot);
	else
		(void)channel_answer(req, 0, NULL, 0); /* or nobody waits any longer */
	atomic_fetch_add_explicit(&front->ledger->nr_answered, 1, memory_order_relaxed);
	ledger_end(slot);
	return true;
}

static bool refuse_poison(struct ztfuse *front, const struct request *req, uint64_t unique)
{
	if (!ledger_is_poison(front->ledger, unique))
		return false;
	zt_log(ZT_LOG_ERR,
	       "a request (operation %u on inode %llu) has killed the daemon %u times: answered with %s",
	       req->shim.opcode,
	       (unsigned long long)((const struct fuse_in_header *)req->msg)->nodeid,
	       LEDGER_CRASHES_MOST, strerror(EIO));
	(void)channel_answer(req, -EIO, NULL, 0); /* or nobody waits any longer */
	atomic_fetch_add_explicit(&front->ledger->nr_poisoned, 1, memory_order_relaxed);
	ledger_forgive(front->ledger, unique);
	return true;
}

bool again_begin(struct ztfuse *front, const struct request *req, struct again *out_again)
{
	const uint64_t unique = request_number(req);

	*out_again = (struct again){ .unique = unique, .opcode = req->shim.opcode };
	if (!front->ledger)
		return true;
	if (ledger_is_again(unique)) {
		atomic_fetch_add_explicit(&front->ledger->nr_resent, 1, memory_order_relaxed);
		if (refuse_poison(front, req, unique) || answer_from_slot(front, req, unique))
			return false;
	}
	out_again->slot = ledger_begin(front->ledger, unique, req->shim.opcode, req->msg, req->len);
	served_begins(out_again, req);
	return true;
}

void again_end(struct ztfuse *front, const struct again *again)
{
	if (!front->ledger)
		return;
	served_ends();
	ledger_end(again->slot);
	if (ledger_is_again(again->unique))
		ledger_forgive(front->ledger, again->unique);
}

/* ---- crashes ---- */

static const int crashes[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };

/* Stored before there are threads. */
static struct ledger *watched;

/* A thread may stay until the mount has ended, or is served by the next daemon. */
static atomic_bool waits;

void again_waits(bool for_itself)
{
	atomic_store(&waits, for_itself);
}

/* In the thread that has crashed; a signal that somebody sends says nothing about its request. */
static void crashed(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (watched && (info->si_code > 0 || (info->si_code == SI_TKILL && info->si_pid == getpid())))
		ledger_note_crash(watched, request_current_unique());
	/*
	 * The kernel dumps no core before all threads have ended, and what the process has stays open till
	 * then: neither would the keeper hear of this death, nor would the mount end.
	 */
	if (watched || atomic_load(&waits))
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)raise(sig); /* as it would have died */
}

void again_watch(struct ztfuse *front)
{
	const struct sigaction action = { .sa_sigaction = crashed,
					  .sa_flags = SA_SIGINFO | SA_RESETHAND };
	struct sigaction old;

	watched = front->ledger;
	/* They fail only for signals that do not exist. */
	for (size_t i = 0; i < ARRAY_SIZE(crashes); i++)
		if (sigaction(crashes[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			(void)sigaction(crashes[i], &action, NULL);
}

void again_unwatch(void)
{
	const struct sigaction dies = { .sa_handler = SIG_DFL };
	struct sigaction old;

	for (size_t i = 0; i < ARRAY_SIZE(crashes); i++)
		if (sigaction(crashes[i], NULL, &old) == 0 && old.sa_sigaction == crashed)
			(void)sigaction(crashes[i], &dies, NULL);
	watched = NULL;
}
