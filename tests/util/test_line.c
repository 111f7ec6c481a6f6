// SPDX-License-Identifier: GPL-2.0-or-later
/* test_line.c - lines: their order, what leaves them from the middle, and the thread that serves one. */
#include <errno.h>
#include <semaphore.h>

#include "tests/lib/zt_check.h"
#include "util/alloc.h"
#include "util/line.h"

struct thing {
	struct line_item item;
	unsigned nr;
};

static struct thing things[8];

static unsigned number(const struct line_item *item)
{
	return container_of(item, struct thing, item)->nr;
}

static void fill(struct line *line, unsigned nr)
{
	line_init(line);
	for (unsigned i = 0; i < nr; i++) {
		things[i].nr = i;
		line_add(line, &things[i].item);
	}
}

START_TEST(test_who_comes_first_is_taken_first)
{
	struct line line;

	line_init(&line);
	ck_assert_ptr_null(line_take(&line));
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 3; i++) {
			things[i].nr = i;
			line_add(&line, &things[i].item);
		}
		for (unsigned i = 0; i < 3; i++)
			ck_assert_uint_eq(number(line_take(&line)), i);
		ck_assert_ptr_null(line_take(&line));
	}
}
END_TEST

/* The first, one in the middle, the last; what comes later stands behind all. */
START_TEST(test_one_leaves_from_anywhere)
{
	for (unsigned out = 0; out < 4; out++) {
		struct line line;

		fill(&line, 4);
		line_remove(&line, &things[out].item);
		things[4].nr = 4;
		line_add(&line, &things[4].item);
		for (unsigned i = 0; i < 5; i++)
			if (i != out)
				ck_assert_uint_eq(number(line_take(&line)), i);
		ck_assert_ptr_null(line_take(&line));
	}
}
END_TEST

START_TEST(test_a_line_of_one_is_empty_without_it)
{
	struct line line;

	fill(&line, 1);
	line_remove(&line, &things[0].item);
	ck_assert_ptr_null(line_take(&line));
	line_add(&line, &things[0].item);
	ck_assert_ptr_eq(line_take(&line), &things[0].item);
}
END_TEST

/* The thread ----------------------------------------------------------------- */

static struct line_thread thread;
static sem_t gate, done;
static unsigned served[8], nr_served; /* the thread's own until it is joined */
static bool ended[8]; /* whether the end was known when it was served */

static void serve(struct line_thread *of, struct line_item *item)
{
	while (sem_wait(&gate) != 0)
		; /* EINTR */
	ended[nr_served] = line_thread_ends(of);
	served[nr_served++] = number(item);
	ck_assert_int_eq(sem_post(&done), 0);
}

static void setup(void)
{
	nr_served = 0;
	ck_assert_int_eq(sem_init(&gate, 0, 0), 0);
	ck_assert_int_eq(sem_init(&done, 0, 0), 0);
	line_thread_init(&thread, "test", serve);
	for (unsigned i = 0; i < 8; i++)
		things[i].nr = i;
}

static void teardown(void)
{
	line_thread_stop(&thread);
	line_thread_exit(&thread);
}

static bool add(unsigned nr)
{
	return line_thread_add(&thread, &things[nr].item);
}

START_TEST(test_the_thread_serves_in_order)
{
	ck_assert_int_eq(line_thread_start(&thread), 0);
	ck_assert_int_eq(line_thread_start(&thread), 0);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert(add(i));
		ck_assert_int_eq(sem_post(&gate), 0);
	}
	for (unsigned i = 0; i < 5; i++)
		while (sem_wait(&done) != 0)
			; /* EINTR */
	line_thread_stop(&thread);
	ck_assert_uint_eq(nr_served, 5);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_uint_eq(served[i], i);
}
END_TEST

START_TEST(test_nothing_is_taken_without_a_thread)
{
	ck_assert(!add(0));
	zt_fault_set(1);
	ck_assert_int_eq(line_thread_start(&thread), -EAGAIN);
	zt_fault_set(0);
	ck_assert(!add(0));
	ck_assert_int_eq(line_thread_start(&thread), 0);
	ck_assert(add(0));
	ck_assert_int_eq(sem_post(&gate), 0);
	line_thread_stop(&thread);
	ck_assert_uint_eq(nr_served, 1);
}
END_TEST

static void *stopper_main(void *arg)
{
	(void)arg;
	line_thread_stop(&thread);
	return NULL;
}

/* What stood in line when the end came is served, and can see that; what comes later is refused. */
START_TEST(test_stop_serves_what_is_there)
{
	pthread_t stopper;

	ck_assert_int_eq(line_thread_start(&thread), 0);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(add(i));
	ck_assert(!line_thread_ends(&thread));
	ck_assert_int_eq(pthread_create(&stopper, NULL, stopper_main, NULL), 0);
	while (!line_thread_ends(&thread))
		(void)sched_yield();
	ck_assert(!add(3));
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(sem_post(&gate), 0);
	ck_assert_int_eq(pthread_join(stopper, NULL), 0);
	ck_assert_uint_eq(nr_served, 3);
	ck_assert(ended[2]);
	ck_assert_int_eq(line_thread_start(&thread), -ECANCELED);
	ck_assert(!add(3));
	line_thread_stop(&thread);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("line");
	TCase *tc = tcase_create("order");

	tcase_add_test(tc, test_who_comes_first_is_taken_first);
	tcase_add_test(tc, test_one_leaves_from_anywhere);
	tcase_add_test(tc, test_a_line_of_one_is_empty_without_it);
	suite_add_tcase(suite, tc);
	tc = tcase_create("thread");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_the_thread_serves_in_order);
	tcase_add_test(tc, test_nothing_is_taken_without_a_thread);
	tcase_add_test(tc, test_stop_serves_what_is_there);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
