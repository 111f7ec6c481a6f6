// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_duty.c - which threads read: every arrow of the drawing in duty.h and no other, and the numbers
 * that say how many should. No threads.
 */
#include "fuse/channel/duty.h"
#include "tests/lib/zt_check.h"
#include "util/compiler.h"

#define MOST 3u

static struct duty duty;
static struct duty_pace pace;
static uint64_t now;

static void setup(void)
{
	duty = (struct duty){ 0 };
	pace = (struct duty_pace){ 0 };
	now = 1000000;
	duty_init(&duty, MOST);
}

/* Where each event leads from each state; DUTY_NR_STATES: nowhere. */
static enum duty_state expected(enum duty_state from, enum duty_event event)
{
	static const struct {
		enum duty_state from;
		enum duty_event event;
		enum duty_state to;
	} drawing[] = {
		{ DUTY_AWAY, DUTY_TAKE, DUTY_READING },
		{ DUTY_AWAY, DUTY_PARK, DUTY_PARKED },
		{ DUTY_PARKED, DUTY_CALL, DUTY_READING },
		{ DUTY_READING, DUTY_REQUEST, DUTY_SERVING },
		{ DUTY_SERVING, DUTY_DONE, DUTY_READING },
		{ DUTY_SERVING, DUTY_LEAVE, DUTY_AWAY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(drawing); i++)
		if (drawing[i].from == from && drawing[i].event == event)
			return drawing[i].to;
	return DUTY_NR_STATES;
}

START_TEST(test_arrows_are_those_of_the_drawing)
{
	for (unsigned from = 0; from < DUTY_NR_STATES; from++) {
		for (unsigned event = 0; event < DUTY_NR_EVENTS; event++) {
			const enum duty_state to = expected(from, event);
			_Atomic enum duty_state state = from;

			ck_assert_int_eq(duty_move(&state, event), to != DUTY_NR_STATES);
			ck_assert_uint_eq(atomic_load(&state), to != DUTY_NR_STATES ? to : from);
		}
	}
}
END_TEST

/* The thread itself and the caretaker may want it at the same time. */
START_TEST(test_the_duty_is_left_once)
{
	_Atomic enum duty_state state = DUTY_SERVING;

	ck_assert(duty_move(&state, DUTY_LEAVE));
	ck_assert(!duty_move(&state, DUTY_LEAVE));
	ck_assert(!duty_move(&state, DUTY_DONE));
}
END_TEST

START_TEST(test_one_is_wanted_at_least_and_never_too_many)
{
	ck_assert(duty_is_free(&duty));
	duty.nr_on = 1;
	ck_assert(!duty_is_free(&duty));
	duty_want(&duty, -1);
	ck_assert_uint_eq(duty.nr_wanted, 1);
	for (unsigned i = 0; i < 2 * MOST; i++)
		duty_want(&duty, 1);
	ck_assert_uint_eq(duty.nr_wanted, MOST);
	ck_assert(duty_is_free(&duty));
	duty.nr_on = MOST;
	ck_assert(!duty_is_free(&duty));
	duty_want(&duty, -1);
	ck_assert_uint_eq(duty.nr_wanted, MOST - 1);
}
END_TEST

/* A request that was there after @waited, when the one before took @served. */
static int short_one(uint64_t waited, uint64_t served)
{
	const uint64_t asked_at = now + served;

	now = asked_at + waited;
	return duty_short(&duty, &pace, asked_at, now);
}

START_TEST(test_work_without_a_pause_wants_one_more)
{
	unsigned nr = 0;

	while (short_one(100, 10000) == 0)
		ck_assert_uint_lt(++nr, 100);
	/* 200 us of it, and it begins anew. */
	ck_assert_uint_ge(nr, 15);
	ck_assert_uint_le(nr, 25);
	ck_assert_int_eq(short_one(100, 10000), 0);
}
END_TEST

START_TEST(test_a_pause_is_enough_for_one)
{
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(short_one(i % 10 == 9 ? 5000 : 100, 10000), 0);
}
END_TEST

/* The thread was not running, or the machine was busy otherwise: one request is not a load. */
START_TEST(test_a_single_long_while_counts_little)
{
	(void)short_one(5000, 0);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(short_one(100, 1000000000), 0);
}
END_TEST

START_TEST(test_no_more_than_the_most_are_wanted)
{
	for (unsigned i = 0; i < MOST; i++)
		duty_want(&duty, 1);
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(short_one(100, 10000), 0);
}
END_TEST

START_TEST(test_who_waits_again_and_again_beside_others_may_go)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(short_one(5000, 1000), 0); /* the only one stays */
	duty_want(&duty, 1);
	while (short_one(5000, 1000) == 0)
		ck_assert_uint_lt(++nr, 100);
	ck_assert_uint_ge(nr, 10);
	/* One after the other: what came at once between them begins the count anew. */
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(short_one(i % 8 == 7 ? 100 : 5000, 1000), 0);
}
END_TEST

START_TEST(test_three_long_ones_are_a_stream)
{
	for (unsigned round = 0; round < 3; round++) {
		ck_assert(!duty_long(&duty, &pace));
		ck_assert(!duty_long(&duty, &pace));
		(void)short_one(100, 100);
	}
	ck_assert(!duty_long(&duty, &pace));
	ck_assert(!duty_long(&duty, &pace));
	ck_assert(duty_long(&duty, &pace));
	for (unsigned i = 0; i < MOST; i++)
		duty_want(&duty, 1);
	ck_assert(!duty_long(&duty, &pace));
}
END_TEST

START_TEST(test_time_away_is_no_work)
{
	(void)short_one(100, 10000);
	for (unsigned i = 0; i < 100; i++) {
		duty_pace_begin(&pace);
		ck_assert_int_eq(short_one(100, 20000), 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("duty");
	TCase *tc = tcase_create("duty");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_arrows_are_those_of_the_drawing);
	tcase_add_test(tc, test_the_duty_is_left_once);
	tcase_add_test(tc, test_one_is_wanted_at_least_and_never_too_many);
	tcase_add_test(tc, test_work_without_a_pause_wants_one_more);
	tcase_add_test(tc, test_a_pause_is_enough_for_one);
	tcase_add_test(tc, test_a_single_long_while_counts_little);
	tcase_add_test(tc, test_no_more_than_the_most_are_wanted);
	tcase_add_test(tc, test_who_waits_again_and_again_beside_others_may_go);
	tcase_add_test(tc, test_three_long_ones_are_a_stream);
	tcase_add_test(tc, test_time_away_is_no_work);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
