// SPDX-License-Identifier: GPL-2.0-or-later
/* test_lock.c - waits for locks are counted, and only waits. */
#define ZT_LOCKS_UNCHECKED /* locks are taken and given back in functions of their own */

#include "tests/lib/waiter.h"
#include "tests/lib/zt_check.h"
#include "util/lock.h"

static struct mutex mutex;
static struct rwlock rwlock;
static struct zt_lock_waits before[ZT_NR_LOCK_KINDS]; /* the counters are the process's */

/* Since setup(). */
static struct zt_lock_waits counted(enum zt_lock_kind kind)
{
	const struct zt_lock_waits now = zt_lock_waits(kind);

	return (struct zt_lock_waits){ .waits = now.waits - before[kind].waits,
				       .ns = now.ns - before[kind].ns };
}

static void setup(void)
{
	for (enum zt_lock_kind kind = 0; kind < ZT_NR_LOCK_KINDS; kind++)
		before[kind] = zt_lock_waits(kind);
	mutex_init(&mutex, ZT_RANK_CLASS);
	rwlock_init(&rwlock, ZT_RANK_SLOT);
}

static void teardown(void)
{
	mutex_exit(&mutex);
	rwlock_exit(&rwlock);
}

static void check_nothing_counted_but(enum zt_lock_kind but)
{
	for (enum zt_lock_kind kind = 0; kind < ZT_NR_LOCK_KINDS; kind++) {
		const struct zt_lock_waits found = counted(kind);

		if (kind == but)
			continue;
		ck_assert_msg(found.waits == 0 && found.ns == 0, "%s", zt_lock_name(kind));
	}
}

START_TEST(test_free_locks_are_not_counted)
{
	mutex_lock_counted(&mutex, ZT_LOCK_ARENA);
	mutex_unlock(&mutex);
	read_lock_counted(&rwlock, ZT_LOCK_ARENA);
	rw_unlock(&rwlock);
	write_lock_counted(&rwlock, ZT_LOCK_ARENA);
	rw_unlock(&rwlock);
	check_nothing_counted_but(ZT_NR_LOCK_KINDS);
}
END_TEST

static void take_mutex(void *arg)
{
	(void)arg;
	mutex_lock_counted(&mutex, ZT_LOCK_CLASS);
	mutex_unlock(&mutex);
}

static void take_shared(void *arg)
{
	(void)arg;
	read_lock_counted(&rwlock, ZT_LOCK_SLOT);
	rw_unlock(&rwlock);
}

static void take_exclusive(void *arg)
{
	(void)arg;
	write_lock_counted(&rwlock, ZT_LOCK_DIR);
	rw_unlock(&rwlock);
}

static void hold_mutex(void)
{
	mutex_lock(&mutex);
}

static void release_mutex(void)
{
	mutex_unlock(&mutex);
}

static void hold_exclusive(void)
{
	write_lock(&rwlock);
}

static void hold_shared(void)
{
	read_lock(&rwlock);
}

static void release_rwlock(void)
{
	rw_unlock(&rwlock);
}

static const struct {
	enum zt_lock_kind kind;
	void (*hold)(void);
	void (*take)(void *arg);
	void (*release)(void);
} waits[] = {
	{ ZT_LOCK_CLASS, hold_mutex, take_mutex, release_mutex },
	{ ZT_LOCK_SLOT, hold_exclusive, take_shared, release_rwlock },
	{ ZT_LOCK_DIR, hold_exclusive, take_exclusive, release_rwlock },
	{ ZT_LOCK_DIR, hold_shared, take_exclusive, release_rwlock },
};

/* The thread sleeps from before @asleep until after @released at least, from after @start at most. */
START_TEST(test_a_wait_is_counted_with_its_time)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	uint64_t start = zt_lock_wait_begin(), asleep, released;
	struct zt_lock_waits found;
	struct waiter waiter;

	waits[_i].hold();
	waiter_start(&waiter, waits[_i].take, NULL);
	asleep = zt_lock_wait_begin();
	nanosleep(&pause, NULL);
	released = zt_lock_wait_begin();
	waits[_i].release();
	waiter_join(&waiter);
	found = counted(waits[_i].kind);
	ck_assert_uint_eq(found.waits, 1);
	ck_assert_uint_ge(found.ns, released - asleep);
	ck_assert_uint_le(found.ns, zt_lock_wait_begin() - start);
	check_nothing_counted_but(waits[_i].kind);
}
END_TEST

START_TEST(test_kinds_have_names_of_their_own)
{
	for (enum zt_lock_kind a = 0; a < ZT_NR_LOCK_KINDS; a++) {
		ck_assert_ptr_nonnull(zt_lock_name(a));
		for (enum zt_lock_kind b = 0; b < a; b++)
			ck_assert_str_ne(zt_lock_name(a), zt_lock_name(b));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lock");
	TCase *tc = tcase_create("lock");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_free_locks_are_not_counted);
	tcase_add_loop_test(tc, test_a_wait_is_counted_with_its_time, 0, ARRAY_SIZE(waits));
	tcase_add_test(tc, test_kinds_have_names_of_their_own);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
