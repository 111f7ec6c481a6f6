// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_lock_rank.c - a thread that breaks the order of locks is stopped, and no other.
 *
 * Each violation is a case that must end by abort(); Check runs it in a process of its own.
 */
#define ZT_LOCKS_UNCHECKED /* the order is broken on purpose */

#include <signal.h>

#include "tests/lib/zt_check.h"
#include "util/lock.h"

static struct mutex class_lock, arena_lock, dedup_lock, reap_lock;
static struct rwlock inodes[3], slot_lock;
static pthread_cond_t cond;

static void setup(void)
{
	mutex_init(&class_lock, ZT_RANK_CLASS);
	mutex_init(&arena_lock, ZT_RANK_ARENA);
	mutex_init(&dedup_lock, ZT_RANK_DEDUP);
	mutex_init(&reap_lock, ZT_RANK_REAP);
	for (unsigned i = 0; i < ARRAY_SIZE(inodes); i++)
		rwlock_init(&inodes[i], ZT_RANK_INODE);
	rwlock_init(&slot_lock, ZT_RANK_SLOT);
	cond_init(&cond);
}

START_TEST(test_each_kind_has_a_name_of_its_own)
{
	for (enum zt_lock_rank a = 0; a < ZT_NR_RANKS; a++) {
		ck_assert_ptr_nonnull(zt_rank_name(a));
		for (enum zt_lock_rank b = 0; b < a; b++)
			ck_assert_str_ne(zt_rank_name(a), zt_rank_name(b));
	}
}
END_TEST

START_TEST(test_locks_in_their_order_are_taken_and_given_back_in_any)
{
	for (unsigned round = 0; round < 3; round++) {
		read_lock(&inodes[0]);
		write_lock_counted(&inodes[2], ZT_LOCK_FILE);
		read_lock_counted(&slot_lock, ZT_LOCK_SLOT);
		mutex_lock_counted(&class_lock, ZT_LOCK_CLASS);
		mutex_lock(&arena_lock);
		mutex_lock(&dedup_lock);
		rw_unlock(&inodes[0]);
		mutex_unlock(&class_lock);
		mutex_unlock(&dedup_lock);
		rw_unlock(&inodes[2]);
		mutex_unlock(&arena_lock);
		rw_unlock(&slot_lock);
	}
}
END_TEST

START_TEST(test_a_trylock_may_go_upwards)
{
	mutex_lock(&class_lock);
	ck_assert(write_trylock(&slot_lock));
	ck_assert(read_trylock(&inodes[1]));
	rw_unlock(&inodes[1]);
	rw_unlock(&slot_lock);
	mutex_unlock(&class_lock);
}
END_TEST

/* The locks are the process's, what is held the thread's. */
static void *hold_arena(void *arg)
{
	(void)arg;
	mutex_lock(&arena_lock);
	mutex_unlock(&arena_lock);
	return NULL;
}

START_TEST(test_other_threads_hold_what_they_like)
{
	pthread_t thread;

	mutex_lock(&dedup_lock);
	ck_assert_int_eq(pthread_create(&thread, NULL, hold_arena, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	mutex_unlock(&dedup_lock);
}
END_TEST

START_TEST(test_a_condition_is_waited_for_with_the_highest_lock)
{
	const struct timespec over = { 0 };

	write_lock(&inodes[1]);
	mutex_lock(&arena_lock);
	ck_assert(!cond_wait_until(&cond, &arena_lock, &over));
	mutex_unlock(&arena_lock);
	rw_unlock(&inodes[1]);
}
END_TEST

static void upwards(void)
{
	mutex_lock(&class_lock);
	write_lock(&slot_lock);
}

static void upwards_shared(void)
{
	read_lock(&slot_lock);
	read_lock(&inodes[0]);
}

static void upwards_counted(void)
{
	mutex_lock(&arena_lock);
	mutex_lock_counted(&class_lock, ZT_LOCK_CLASS);
}

static void two_innermost(void)
{
	mutex_lock(&dedup_lock);
	mutex_lock(&reap_lock);
}

static void inodes_against_their_table(void)
{
	write_lock(&inodes[1]);
	read_lock(&inodes[0]);
}

static void the_same_shared_again(void)
{
	read_lock(&slot_lock);
	read_lock(&slot_lock);
}

static void below_what_a_trylock_took(void)
{
	if (mutex_trylock(&arena_lock))
		mutex_lock(&class_lock);
}

static void condition_below_another(void)
{
	const struct timespec over = { 0 };

	mutex_lock(&class_lock);
	mutex_lock(&arena_lock);
	(void)cond_wait_until(&cond, &class_lock, &over); /* it does not come to that */
}

static void given_back_by_another(void)
{
	rw_unlock(&slot_lock);
}

static void (*const violations[])(void) = {
	upwards,
	upwards_shared,
	upwards_counted,
	two_innermost,
	inodes_against_their_table,
	the_same_shared_again,
	below_what_a_trylock_took,
	condition_below_another,
	given_back_by_another,
};

START_TEST(test_a_violation_aborts)
{
	if (!zt_aborts())
		return;
	violations[_i]();
	_exit(0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lock_rank");
	TCase *tc = tcase_create("lock_rank");

#ifndef ZT_DEBUG
	printf("only builds with --enable-debug check the order\n");
	return 77;
#endif
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_each_kind_has_a_name_of_its_own);
	tcase_add_test(tc, test_locks_in_their_order_are_taken_and_given_back_in_any);
	tcase_add_test(tc, test_a_trylock_may_go_upwards);
	tcase_add_test(tc, test_other_threads_hold_what_they_like);
	tcase_add_test(tc, test_a_condition_is_waited_for_with_the_highest_lock);
	tcase_add_loop_test(tc, test_a_violation_aborts, 0, ARRAY_SIZE(violations));
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
