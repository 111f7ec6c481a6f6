// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * full.c - what requests do about a mount that is nearly full. See full.h.
 *
 * Locks: full.lock guards both lists and all that the thread and requests wait for.
 */
#include "fuse/full.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuse/reply.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/sizes.h"

/* Mending takes a millisecond or so; a request does not hang on a kernel that is busy otherwise. */
#define WAIT_NS ZT_NS_PER_S
/* With a lock held that mending may want: to wait longer would be of no use. */
#define WAIT_HANDLE_NS UINT64_C(20000000)
/* All that the kernel holds is stored in that time, or it never is. */
#define EXPECT_NS (5 * ZT_NS_PER_S)
/*
 * What is left beside what the kernel may hold would be used up in no less than that. Without others
 * on the CPUs the kernel asks in write(2) after a tenth of it.
 */
#define PACE_NS UINT64_C(100000000)
/* With nothing left beside that, each write waits so long. */
#define PACE_MOST_NS ZT_NS_PER_S

void full_init(struct ztfuse_full *full)
{
	*full = (struct ztfuse_full){ .mender_fd = -1 };
	mutex_init(&full->lock, ZT_RANK_FULL);
	cond_init(&full->wake);
	cond_init(&full->changed);
}

static void list_free(struct full_refusal *list)
{
	while (list) {
		struct full_refusal *next = list->next;

		zt_free(list);
		list = next;
	}
}

void full_exit(struct ztfuse_full *full)
{
	list_free(full->refusals);
	list_free(full->untold);
	cond_exit(&full->changed);
	cond_exit(&full->wake);
	mutex_exit(&full->lock);
}

/* Refusals ---------------------------------------------------------------- */

static struct full_refusal **find(struct full_refusal **place, uint64_t ino)
{
	while (*place && (*place)->ino != ino)
		place = &(*place)->next;
	return place;
}

/*
 * Under the lock. Return: whether it is new in the list. Without memory it is not remembered: then a
 * size stays false, and FLUSH does not tell.
 */
static bool note(struct full_refusal **list, uint64_t ino, uint64_t from, uint64_t to)
{
	struct full_refusal **place = find(list, ino), *refusal = *place;

	if (refusal) {
		refusal->from = min_u64(refusal->from, from);
		refusal->to = max_u64(refusal->to, to);
		refusal->nr++;
		return false;
	}
	refusal = zt_zalloc(sizeof(*refusal));
	if (!refusal)
		return false;
	*refusal = (struct full_refusal){ .ino = ino, .from = from, .to = to, .nr = 1 };
	*place = refusal;
	return true;
}

/* Under the lock. */
static void wake(struct ztfuse_full *full)
{
	full->woken = true;
	cond_signal(&full->wake);
}

void full_refused(struct ztfuse *front, uint64_t ino, uint64_t off, uint64_t len)
{
	struct ztfuse_full *full = &front->full;
	bool mends;

	mutex_lock(&full->lock);
	if (full->flush)
		(void)note(&full->untold, ino, off, off + len); /* new or not */
	mends = full->runs && !full->stop;
	if (mends) {
		if (note(&full->refusals, ino, off, off + len))
			atomic_fetch_add_explicit(&full->nr_refusals, 1, memory_order_relaxed);
		wake(full);
	}
	mutex_unlock(&full->lock);
	/* What the kernel keeps of its attributes is not true any more; stat(2) asks, and waits. */
	if (mends)
		(void)fuse_lowlevel_notify_inval_inode(front->se, ino, -1, 0);
}

bool full_told(struct ztfuse_full *full, uint64_t ino)
{
	struct full_refusal **place, *refusal;

	mutex_lock(&full->lock);
	place = find(&full->untold, ino);
	refusal = *place;
	if (refusal)
		*place = refusal->next;
	mutex_unlock(&full->lock);
	zt_free(refusal);
	return refusal != NULL;
}

void full_forget(struct ztfuse_full *full, uint64_t ino)
{
	if (full->flush)
		(void)full_told(full, ino); /* whether or not there was one */
}

bool full_next(struct ztfuse_full *full, struct full_refusal *out_refusal)
{
	bool found;

	mutex_lock(&full->lock);
	found = full->refusals != NULL;
	if (found)
		*out_refusal = *full->refusals;
	mutex_unlock(&full->lock);
	return found;
}

void full_mended(struct ztfuse_full *full, const struct full_refusal *refusal)
{
	struct full_refusal **place, *found;

	mutex_lock(&full->lock);
	place = find(&full->refusals, refusal->ino);
	found = *place;
	/* More was refused meanwhile: once again. */
	if (found && found->nr != refusal->nr)
		found = NULL;
	if (found) {
		*place = found->next;
		atomic_fetch_sub_explicit(&full->nr_refusals, 1, memory_order_relaxed);
		cond_broadcast(&full->changed);
	}
	mutex_unlock(&full->lock);
	zt_free(found);
}

/* Waiting ----------------------------------------------------------------- */

/* Under the lock. Return: false when the time is over. */
static bool wait_changed(struct ztfuse_full *full, uint64_t end_ns) ZT_REQUIRES(&full->lock)
{
	const struct timespec end = zt_timespec(end_ns);

	return cond_wait_until(&full->changed, &full->lock, &end);
}

bool full_mends(fuse_req_t req)
{
	const pid_t mender =
		atomic_load_explicit(&req_front(req)->full.mender, memory_order_relaxed);

	return unlikely(mender != 0) && fuse_req_ctx(req)->pid == mender;
}

/*
 * What is waited for takes requests, too. So those that wait share the number of those that may at
 * one time with those that wait for memory; others go on at once.
 */
void full_wait(fuse_req_t req, uint64_t ino, bool by_handle)
{
	struct ztfuse_full *full = &req_front(req)->full;
	const uint64_t end = zt_now_ns() + (by_handle ? WAIT_HANDLE_NS : WAIT_NS);

	if (likely(atomic_load_explicit(&full->nr_refusals, memory_order_relaxed) == 0) ||
	    full_mends(req) || !retry_wait_begin(req))
		return;
	mutex_lock(&full->lock);
	while (!full->stop && *find(&full->refusals, ino) && wait_changed(full, end))
		;
	mutex_unlock(&full->lock);
	retry_wait_end(&req_front(req)->retry);
}

void full_written(struct ztfuse *front)
{
	struct ztfuse_full *full = &front->full;
	const uint64_t low = atomic_load_explicit(&full->low, memory_order_relaxed);

	if (likely(low == 0) || likely(super_bytes_left(front->sb) >= low))
		return;
	mutex_lock(&full->lock);
	if (!full->woken)
		wake(full);
	mutex_unlock(&full->lock);
}

/* Under the lock. */
static bool waits_for_safe(const struct ztfuse_full *full)
{
	return full->runs && !full->stop && !full->safe;
}

/* Until what was delayed is stored. */
static void wait_safe(fuse_req_t req)
{
	struct ztfuse_full *full = &req_front(req)->full;
	const uint64_t end = zt_now_ns() + EXPECT_NS;

	if (!retry_wait_begin(req))
		return;
	mutex_lock(&full->lock);
	while (waits_for_safe(full) && wait_changed(full, end))
		;
	mutex_unlock(&full->lock);
	retry_wait_end(&req_front(req)->retry);
}

/* Whether less than @most would be left; what does not fit at all is refused anyway. */
static bool comes_near(fuse_req_t req, uint64_t bytes, uint64_t most)
{
	const uint64_t left = most ? super_bytes_left(req_super(req)) : UINT64_MAX;

	return unlikely(left < most || left - most < bytes) && bytes <= left;
}

bool full_expect(fuse_req_t req, uint64_t bytes)
{
	struct ztfuse_full *full = &req_front(req)->full;

	if (!comes_near(req, bytes, atomic_load_explicit(&full->near_at, memory_order_relaxed)))
		return false;
	mutex_lock(&full->lock);
	full->nr_expected++;
	wake(full);
	mutex_unlock(&full->lock);
	wait_safe(req);
	return true;
}

void full_expected(struct ztfuse_full *full)
{
	mutex_lock(&full->lock);
	full->nr_expected--;
	mutex_unlock(&full->lock);
}

void full_leave(fuse_req_t req, uint64_t bytes)
{
	struct ztfuse_full *full = &req_front(req)->full;

	if (!comes_near(req, bytes, atomic_load_explicit(&full->leave, memory_order_relaxed)))
		return;
	wait_safe(req);
}

static uint64_t pace_ns(uint64_t left, uint64_t keep, uint64_t bytes)
{
	const uint64_t beside = left > keep ? left - keep : 0;

	return beside <= bytes / (PACE_MOST_NS / PACE_NS) ? PACE_MOST_NS : PACE_NS * bytes / beside;
}

static void pace(struct ztfuse_full *full, uint64_t ns, uint64_t most_ns)
{
	const uint64_t now = zt_now_ns();
	uint64_t end;

	mutex_lock(&full->lock);
	wake(full);
	full->paced_until = min_u64(max_u64(full->paced_until, now) + ns, now + EXPECT_NS);
	end = min_u64(full->paced_until, now + most_ns);
	while (waits_for_safe(full) && atomic_load(&full->pace_at) != 0 && wait_changed(full, end))
		;
	mutex_unlock(&full->lock);
}

/*
 * Where no more requests can be held, and no more threads may wait, this one waits all the same, but
 * not for long: what the mount is made synchronous with are requests, too.
 */
bool full_pace(fuse_req_t req, uint64_t bytes)
{
	struct ztfuse_full *full = &req_front(req)->full;
	const uint64_t at = atomic_load_explicit(&full->pace_at, memory_order_relaxed);
	const uint64_t left = at ? super_bytes_left(req_super(req)) : UINT64_MAX;
	uint64_t keep, most = EXPECT_NS;

	if (likely(left >= at))
		return false;
	if (super_waits_never()) {
		if (retry_later(req, EXPECT_NS))
			return true;
		ztfuse_req_may_wait(req);
		most = WAIT_HANDLE_NS;
	}
	keep = atomic_load_explicit(&full->leave, memory_order_relaxed);
	pace(full, pace_ns(left, keep, bytes), most);
	return false;
}

void full_set_safe(struct ztfuse_full *full, bool safe)
{
	mutex_lock(&full->lock);
	full->safe = safe;
	cond_broadcast(&full->changed);
	mutex_unlock(&full->lock);
}

bool full_expects(struct ztfuse_full *full)
{
	bool expects;

	mutex_lock(&full->lock);
	expects = full->nr_expected > 0;
	mutex_unlock(&full->lock);
	return expects;
}

bool full_sleep(struct ztfuse_full *full, uint64_t ns)
{
	const struct timespec end = zt_timespec(zt_now_ns() + ns);
	bool in_time = true, stop;

	mutex_lock(&full->lock);
	while (!full->woken && !full->stop && in_time) {
		if (ns)
			in_time = cond_wait_until(&full->wake, &full->lock, &end);
		else
			cond_wait(&full->wake, &full->lock);
	}
	full->woken = false;
	stop = full->stop;
	mutex_unlock(&full->lock);
	return !stop;
}

/* Mending ----------------------------------------------------------------- */

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

/* Of linux/mman.h, which older headers lack. */
struct cache_range {
	uint64_t off, len; /* 0 bytes: to the end */
};
struct cache_pages {
	uint64_t nr_cache, nr_dirty, nr_writeback, nr_evicted, nr_recently_evicted;
};

/* False where the kernel does not say (before Linux 6.5), too. */
static bool nothing_delayed(int fd, uint64_t from)
{
	struct cache_range range = { .off = from & ~(uint64_t)(ZT_PAGE_SIZE - 1) };
	struct cache_pages pages = { 0 };

	return syscall(SYS_cachestat, fd, &range, &pages, 0) == 0 && pages.nr_dirty == 0 &&
	       pages.nr_writeback == 0;
}

int full_kernel_size(int fd, uint64_t *out_size)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &st) != 0)
		return -errno;
	*out_size = st.stx_size;
	return 0;
}

/*
 * The size that was asked for is of before the lock was taken: what was appended since then must not
 * be cut.
 */
int full_mend(fuse_req_t req, uint64_t ino, struct stat *out_attr)
{
	struct ztfuse_full *full = &req_front(req)->full;
	const int fd = atomic_load_explicit(&full->mender_fd, memory_order_relaxed);
	int error = fs_getattr(req_super(req), ino, out_attr);
	uint64_t size;

	if (!error)
		error = full_kernel_size(fd, &size);
	if (!error && (size < (uint64_t)out_attr->st_size ||
		       !nothing_delayed(fd, (uint64_t)out_attr->st_size)))
		out_attr->st_size = (off_t)size;
	return error;
}
