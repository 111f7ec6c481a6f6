// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_request.c - requests without threads: the arrows between their states, and which of them the
 * pool gives and keeps warm.
 */
#include <string.h>

#include "fuse/channel/pool.h"
#include "tests/lib/zt_check.h"
#include "util/lock.h"

#define IO_MAX (128u * 1024)
#define NR     4u

static struct mutex lock;
static struct ending ending;
static struct request_pool pool;

static void setup(void)
{
	mutex_init(&lock, ZT_RANK_CHANNEL);
	memset(&pool, 0, sizeof(pool));
	ending_init(&ending, &lock);
	pool.lock = &lock;
	pool.ending = &ending;
	ck_assert_int_eq(pool_init(&pool, NULL, NR, IO_MAX, NR), 0);
}

static void teardown(void)
{
	pool_exit(&pool);
	ending_exit(&ending);
	mutex_exit(&lock);
}

START_TEST(test_all_are_idle_at_first)
{
	ck_assert_uint_eq(pool.nr_idle, NR);
	for (unsigned i = 0; i < NR; i++)
		ck_assert_int_eq(request_state(&pool.all[i]), REQUEST_IDLE);
}
END_TEST

/* From its arrival to its answer, at once and by somebody else. */
START_TEST(test_arrows_of_the_drawing_may_be_gone)
{
	static const enum request_state ways[][6] = {
		{ REQUEST_READING, REQUEST_SERVED, REQUEST_ANSWERED, REQUEST_READING },
		{ REQUEST_READING, REQUEST_SERVED, REQUEST_HELD, REQUEST_ANSWERED, REQUEST_IDLE },
		{ REQUEST_READING, REQUEST_READING, REQUEST_SERVED, REQUEST_READING, REQUEST_IDLE },
		{ REQUEST_READING, REQUEST_SERVED, REQUEST_HELD, REQUEST_ANSWERED,
		  REQUEST_READING },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct request *req = pool_get(&pool);

		for (unsigned at = 0; at < 6 && ways[i][at] != REQUEST_IDLE; at++) {
			request_set(req, ways[i][at]);
			ck_assert_int_eq(request_state(req), ways[i][at]);
		}
		pool_put(&pool, req);
	}
	ck_assert_uint_eq(pool.nr_idle, NR);
}
END_TEST

#ifdef ZT_DEBUG
/* What is no arrow: a second answer, one that nobody read, one that is given back unanswered... */
static const enum request_state wrong[][3] = {
	{ REQUEST_SERVED },
	{ REQUEST_ANSWERED },
	{ REQUEST_READING, REQUEST_HELD },
	{ REQUEST_READING, REQUEST_ANSWERED },
};

START_TEST(test_other_ways_are_caught)
{
	struct request *req;

	if (!zt_aborts())
		return;
	req = pool_get(&pool);
	for (unsigned at = 0; at < 3 && wrong[_i][at] != REQUEST_IDLE; at++)
		request_set(req, wrong[_i][at]);
	_exit(0);
}
END_TEST

START_TEST(test_a_held_one_is_not_given_back_without_an_answer)
{
	struct request *req;

	if (!zt_aborts())
		return;
	req = pool_get(&pool);
	request_set(req, REQUEST_READING);
	request_set(req, REQUEST_SERVED);
	request_set(req, REQUEST_HELD);
	pool_put(&pool, req);
	_exit(0);
}
END_TEST
#endif

START_TEST(test_the_one_that_was_used_last_is_taken_first)
{
	struct request *req = pool_get(&pool), *other = pool_get(&pool);

	request_touched(req, IO_MAX);
	pool_put(&pool, req);
	pool_put(&pool, other); /* its buffer was not used */
	ck_assert_ptr_eq(pool_get(&pool), req);
	pool_put(&pool, req);
	/* Two trims: the first one learns that it was needed since the last. */
	mutex_lock(&lock);
	pool_trim(&pool);
	ck_assert(request_is_large(req));
	pool_trim(&pool);
	mutex_unlock(&lock);
	ck_assert(!request_is_large(req));
	ck_assert_ptr_null(pool.warm);
}
END_TEST

START_TEST(test_what_is_promised_is_kept_back)
{
	struct request *mine = pool_get(&pool), *taken[NR];
	unsigned nr = 0;

	mutex_lock(&lock);
	pool_promise(&pool, mine);
	mutex_unlock(&lock);
	while ((taken[nr] = pool_get(&pool)))
		nr++;
	ck_assert_uint_eq(nr, NR - 1);
	mutex_lock(&lock);
	ck_assert_ptr_nonnull(pool_fulfil(&pool));
	mutex_unlock(&lock);
	ck_assert_uint_eq(pool.nr_idle, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("request");
	TCase *tc = tcase_create("request");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_all_are_idle_at_first);
	tcase_add_test(tc, test_arrows_of_the_drawing_may_be_gone);
#ifdef ZT_DEBUG
	tcase_add_loop_test(tc, test_other_ways_are_caught, 0, (int)ARRAY_SIZE(wrong));
	tcase_add_test(tc, test_a_held_one_is_not_given_back_without_an_answer);
#endif
	tcase_add_test(tc, test_the_one_that_was_used_last_is_taken_first);
	tcase_add_test(tc, test_what_is_promised_is_kept_back);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
