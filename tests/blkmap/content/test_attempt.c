// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_attempt.c - the protocol by which clusters change: lost rounds, and the last one under the
 * lock.
 *
 * Tests attempt.c, commit.c and merge.c of the part content, and links nothing above it. What the
 * others of the part do with it is in test_overwrite, test_blkmap and test_races.
 */
#define ZT_LOCKS_UNCHECKED /* what a trylock took is asked for later */

#include <errno.h>
#include <pthread.h>

#include "blkmap/cluster/cluster.h"
#include "blkmap/content/attempt.h"
#include "blkmap/content/change.h"
#include "tests/blkmap/one_cluster.h"
#include "util/hook.h"

#define ORDER   2u
#define CLUSTER (4096u << ORDER)

/* What was called, in order: a letter each, as a name of what held the lock. */
static char trace[64];
static unsigned nr_lost; /* rounds in which another thread changes something while one prepares */
static int look_error, prepare_error, publish_error;

static void note(char what)
{
	size_t len = strlen(trace);

	ck_assert_uint_lt(len, sizeof(trace) - 1);
	trace[len] = what;
}

/* Whether another thread could take the lock now, shared or exclusive. */
struct probe {
	bool shared, exclusive;
};

static void *probe_thread(void *arg)
{
	struct probe *probe = arg;
	struct rwlock *lock = &c.lock->lock;

	probe->shared = read_trylock(lock);
	if (probe->shared)
		rw_unlock(lock);
	probe->exclusive = write_trylock(lock);
	if (probe->exclusive) {
		if (nr_lost > 0) {
			nr_lost--;
			c.lock->seq++;
		}
		rw_unlock(lock);
	}
	return NULL;
}

/* r: held shared, w: held exclusive, n: not at all. Then, when it is not, a round may be lost. */
static char held(void)
{
	struct probe probe;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, probe_thread, &probe), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	if (probe.exclusive)
		return 'n';
	return probe.shared ? 'r' : 'w';
}

static int look(const struct cluster *cluster, void *arg)
{
	ck_assert_ptr_eq(cluster, &c);
	ck_assert_ptr_eq(arg, trace);
	note('L');
	note(held());
	return look_error;
}

static int prepare(const struct cluster *cluster, void *arg, bool kept)
{
	const char now = held();

	(void)cluster;
	(void)arg;
	ck_assert_int_eq(kept, now == 'w');
	note('P');
	note(now);
	return prepare_error;
}

static int publish(const struct cluster *cluster, void *arg)
{
	(void)cluster;
	(void)arg;
	note('U');
	note(held());
	return publish_error;
}

static void end(const struct cluster *cluster, void *arg)
{
	unsigned keep = nr_lost;

	(void)cluster;
	(void)arg;
	nr_lost = 0;
	note('E');
	note(held());
	nr_lost = keep;
}

static const struct attempt_ops keeping = { look, prepare, publish, end, true };
static const struct attempt_ops giving_up = { look, prepare, publish, end, false };

static void start(unsigned lost)
{
	one_cluster_start(ORDER);
	memset(trace, 0, sizeof(trace));
	nr_lost = lost;
	look_error = prepare_error = publish_error = 0;
}

START_TEST(test_nothing_is_prepared_under_the_lock_while_no_round_is_lost)
{
	start(0);
	ck_assert_int_eq(attempt_run(&c, &keeping, trace), 0);
	ck_assert_str_eq(trace, "LrPnUwEn");
	one_cluster_stop();
}
END_TEST

START_TEST(test_a_lost_round_begins_with_another_look)
{
	start(2);
	ck_assert_int_eq(attempt_run(&c, &keeping, trace), 0);
	ck_assert_str_eq(trace, "LrPnEnLrPnEnLrPnUwEn");
	one_cluster_stop();
}
END_TEST

START_TEST(test_the_lock_is_kept_after_so_many_lost_rounds)
{
	start(1000);
	ck_assert_int_eq(attempt_run(&c, &keeping, trace), 0);
	ck_assert_uint_eq(ATTEMPTS, 4);
	ck_assert_str_eq(trace, "LrPnEnLrPnEnLrPnEnLrPnEnLwPwUwEn");
	one_cluster_stop();
}
END_TEST

START_TEST(test_a_change_that_keeps_no_lock_gives_up)
{
	start(1000);
	ck_assert_int_eq(attempt_run(&c, &giving_up, trace), -EAGAIN);
	ck_assert_str_eq(trace, "LrPnEnLrPnEnLrPnEnLrPnEn");
	one_cluster_stop();
}
END_TEST

START_TEST(test_every_error_ends_the_round_and_the_attempt)
{
	start(0);
	look_error = -EIO;
	ck_assert_int_eq(attempt_run(&c, &keeping, trace), -EIO);
	ck_assert_str_eq(trace, "LrEn");
	one_cluster_stop();
	start(0);
	look_error = ATTEMPT_DONE;
	ck_assert_int_eq(attempt_run(&c, &keeping, trace), 0);
	ck_assert_str_eq(trace, "LrEn");
	one_cluster_stop();
	start(0);
	prepare_error = -ENOMEM;
	ck_assert_int_eq(attempt_run(&c, &keeping, trace), -ENOMEM);
	ck_assert_str_eq(trace, "LrPnEn");
	one_cluster_stop();
	start(0);
	publish_error = -ENOSPC;
	ck_assert_int_eq(attempt_run(&c, &keeping, trace), -ENOSPC);
	ck_assert_str_eq(trace, "LrPnUwEn");
	one_cluster_stop();
}
END_TEST

START_TEST(test_a_publish_alone_is_refused_when_seq_has_moved)
{
	uint64_t seq;

	start(0);
	seq = c.lock->seq;
	ck_assert_int_eq(attempt_publish(&c, &seq, publish, trace), 0);
	c.lock->seq++;
	ck_assert_int_eq(attempt_publish(&c, &seq, publish, trace), -EAGAIN);
	ck_assert_int_eq(attempt_publish(&c, NULL, publish, trace), 0);
	ck_assert_str_eq(trace, "UwUw");
	one_cluster_stop();
}
END_TEST

#ifdef ZT_DEBUG

static unsigned nr_free, nr_kept;

static void disturb(void *arg, const char *point, uint64_t what)
{
	(void)arg;
	(void)what;
	if (strcmp(point, "attempt: a change is prepared") == 0) {
		nr_free++;
		(void)held(); /* loses the round */
	} else if (strcmp(point, "attempt: a change is prepared under the lock") == 0) {
		nr_kept++;
		ck_assert_int_eq(held(), 'w');
	}
}

/* A real change: nothing of the lost rounds may be left, and the bytes are there. */
START_TEST(test_a_merge_that_keeps_losing_is_stored_once)
{
	static char bytes[CLUSTER], back[CLUSTER];
	struct cluster_op op = { .to = CLUSTER, .src = bytes };
	struct zs_pool_stat stat;

	for (unsigned i = 0; i < CLUSTER; i++)
		bytes[i] = "merged under the lock "[i % 22];
	start(1000);
	nr_free = nr_kept = 0;
	zt_hook_set(disturb, NULL);
	ck_assert_int_eq(cluster_merge(&c, &op), 0);
	zt_hook_set(NULL, NULL);
	ck_assert_uint_eq(nr_free, ATTEMPTS);
	ck_assert_uint_eq(nr_kept, 1);
	zs_pool_get_stat(lower.slots.data, &stat);
	ck_assert_uint_eq(stat.objects, 1);
	read_lock(&c.lock->lock);
	ck_assert_int_eq(cluster_load(&c, *c.slot, 0, CLUSTER, back), 0);
	rw_unlock(&c.lock->lock);
	ck_assert_int_eq(memcmp(bytes, back, CLUSTER), 0);
	op = (struct cluster_op){ .drop_pages = 0xf };
	nr_lost = 0;
	ck_assert_int_eq(cluster_merge(&c, &op), 0);
	ck_assert_uint_eq(*c.slot, 0);
	one_cluster_stop();
}
END_TEST

#endif

int main(void)
{
	Suite *suite = suite_create("attempt");
	TCase *tcase = tcase_create("attempt");

	tcase_add_test(tcase, test_nothing_is_prepared_under_the_lock_while_no_round_is_lost);
	tcase_add_test(tcase, test_a_lost_round_begins_with_another_look);
	tcase_add_test(tcase, test_the_lock_is_kept_after_so_many_lost_rounds);
	tcase_add_test(tcase, test_a_change_that_keeps_no_lock_gives_up);
	tcase_add_test(tcase, test_every_error_ends_the_round_and_the_attempt);
	tcase_add_test(tcase, test_a_publish_alone_is_refused_when_seq_has_moved);
#ifdef ZT_DEBUG
	tcase_add_test(tcase, test_a_merge_that_keeps_losing_is_stored_once);
#endif
	suite_add_tcase(suite, tcase);
	return zt_check_main(suite);
}
