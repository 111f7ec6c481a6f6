// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sched_case.c - the same in many orders. See sched_case.h.
 *
 * No locks: one thread, but for sched_fail().
 */
#include "tests/lib/sched_case.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/zt_check.h"
#include "util/clock.h"
#include "util/sizes.h"

/* Every two of more points would be too many runs. */
#define MOST_FOR_TWO 60u

static char where[640];
static uint64_t end_ns;

static void tell_where(int signal)
{
	(void)!write(STDERR_FILENO, where, strlen(where));
	(void)raise(signal); /* SA_RESETHAND: as it would have ended */
}

void sched_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	abort();
}

void sched_must(int error, const char *what)
{
	if (error)
		sched_fail("%s: %s", what, strerror(-error));
}

unsigned sched_seconds(void)
{
	const char *text = getenv("ZT_SECONDS");

	return text ? (unsigned)strtoul(text, NULL, 0) : 2;
}

uint64_t sched_time_begins(void)
{
	static const int signals[] = { SIGABRT, SIGSEGV, SIGBUS };
	struct sigaction action = { .sa_handler = tell_where, .sa_flags = (int)SA_RESETHAND };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		ck_assert_int_eq(sigaction(signals[i], &action, NULL), 0);
	end_ns = zt_now_ns() + sched_seconds() * ZT_NS_PER_S;
	return zt_seed();
}

bool sched_has_time(const struct sched_totals *totals)
{
	return totals->cases == 0 || zt_now_ns() < end_ns;
}

void sched_tell(const struct sched_totals *totals)
{
	printf("%" PRIu64 " runs of %" PRIu64 " cases, %" PRIu64 " points, %" PRIu64 " switches\n",
	       totals->runs, totals->cases, totals->points, totals->switches);
}

static void describe(const struct sched_case *c, const struct sched_plan *plan)
{
	size_t at = (size_t)snprintf(where, sizeof(where), "ZT_SEED=%" PRIu64 ": %s; changes at", c->seed, c->text);

	for (unsigned i = 0; i < plan->nr_changes && at < sizeof(where); i++)
		at += (size_t)snprintf(where + at, sizeof(where) - at, " %" PRIu64, plan->changes[i]);
	if (at < sizeof(where))
		(void)snprintf(where + at, sizeof(where) - at, "\n");
}

static uint64_t run(const struct sched_case *c, const struct sched_plan *plan)
{
	pthread_t threads[SCHED_CASE_TASKS];
	struct sched_result result;

	describe(c, plan);
	if (!c->inside)
		c->prepare(c->seed);
	sched_begin(plan);
	if (c->inside)
		c->prepare(c->seed);
	for (unsigned i = 0; i < c->nr_tasks; i++)
		sched_must(-pthread_create(&threads[i], NULL, c->task, c->args[i]), "thread");
	for (unsigned i = 0; i < c->nr_tasks; i++)
		sched_must(-pthread_join(threads[i], NULL), "join");
	if (c->inside)
		c->check();
	sched_end(&result);
	if (!c->inside)
		c->check();
	c->totals->runs++;
	c->totals->points += result.points;
	c->totals->switches += result.switches;
	return result.points;
}

/* Each task first, without a change: what several of them use is known then. Return: the points. */
static uint64_t learn(const struct sched_case *c)
{
	struct sched_plan plan = { .rotate = 1 };
	uint64_t most = 0;

	c->totals->cases++;
	sched_learn(true);
	for (; plan.rotate <= c->nr_more + c->nr_tasks; plan.rotate++)
		(void)run(c, &plan);
	sched_learn(false);
	for (plan.rotate = 1; plan.rotate <= c->nr_more + c->nr_tasks; plan.rotate++)
		most = max_u64(most, run(c, &plan));
	return most;
}

void sched_case_random(const struct sched_case *c, unsigned runs, unsigned most_changes)
{
	uint64_t seed = c->seed, points = learn(c);

	for (unsigned i = 0; i < runs; i++) {
		struct sched_plan plan = sched_random_plan(&seed, points, most_changes);

		(void)run(c, &plan);
	}
}

void sched_case_all(const struct sched_case *c, unsigned nr_changes)
{
	const uint64_t points = learn(c);
	struct sched_plan plan = { .nr_changes = nr_changes };

	if (nr_changes > 1 && points > MOST_FOR_TWO)
		return;
	for (plan.rotate = 1; plan.rotate <= c->nr_more + c->nr_tasks; plan.rotate++)
		for (uint64_t a = 1; a <= points; a++)
			for (uint64_t b = a + 1; b <= (nr_changes > 1 ? points : a + 1); b++) {
				if (zt_now_ns() >= end_ns && sched_seconds() > 0)
					return;
				plan.changes[0] = a;
				plan.changes[1] = b;
				(void)run(c, &plan);
			}
}

/* The @i-th place of the plan's changes; false: it is another one's twin. */
static bool place(struct sched_plan *plan, uint64_t i, uint64_t points)
{
	bool ascends = true;

	for (unsigned n = 0; n < plan->nr_changes; n++, i /= points) {
		plan->changes[n] = 1 + i % points;
		ascends = ascends && (n == 0 || plan->changes[n] > plan->changes[n - 1]);
	}
	plan->rotate = 1 + (unsigned)i;
	return ascends;
}

/* Every place once, scattered. Return: runs of a thousand that there was time for. */
static unsigned run_scattered(const struct sched_case *c, uint64_t points, unsigned nr_changes)
{
	const uint64_t prime = 1000003; /* with which no smaller number has a divisor in common */
	struct sched_plan plan = { .nr_changes = nr_changes };
	uint64_t nr = c->nr_more + c->nr_tasks, i;

	for (unsigned n = 0; n < nr_changes; n++)
		nr *= points;
	for (i = 0; i < nr; i++) {
		if (zt_now_ns() >= end_ns)
			break;
		if (place(&plan, nr % prime ? i * prime % nr : i, points))
			(void)run(c, &plan);
	}
	return nr ? (unsigned)(i * 1000 / nr) : 1000;
}

/* Where a bug is known to have been, the code has a name for the place. Return: how many such there are. */
static uint64_t run_named(const struct sched_case *c)
{
	struct sched_plan plan = { .rotate = 1 };
	uint64_t points = 0;

	sched_named_only(true);
	for (; plan.rotate <= c->nr_more + c->nr_tasks; plan.rotate++)
		points = max_u64(points, run(c, &plan));
	for (unsigned nr_changes = 1; nr_changes <= 2; nr_changes++)
		(void)run_scattered(c, points, nr_changes);
	sched_named_only(false);
	return points;
}

void sched_case_duel(const struct sched_case *c)
{
	uint64_t points = learn(c), seed = c->seed, named = run_named(c);
	unsigned one = run_scattered(c, points, 1), two = run_scattered(c, points, 2);

	while (zt_now_ns() < end_ns) {
		struct sched_plan plan = sched_random_plan(&seed, points, 4);

		(void)run(c, &plan);
	}
	printf("%s: %" PRIu64 " hooks, %" PRIu64 " points, %u.%u %% of one change, %u.%u %% of two\n", c->text, named, points,
	       one / 10, one % 10, two / 10, two % 10);
}

int sched_case_main(TCase *tc, TCase *more)
{
	Suite *suite = suite_create("schedules");

	tcase_set_timeout(tc, sched_seconds() * 10 + 60);
	suite_add_tcase(suite, tc);
	if (more) {
		tcase_set_timeout(more, sched_seconds() * 10 + 60);
		suite_add_tcase(suite, more);
	}
	return zt_check_main(suite);
}
