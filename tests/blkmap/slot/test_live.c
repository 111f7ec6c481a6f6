// SPDX-License-Identifier: GPL-2.0-or-later
/* test_live.c - the cluster maps behind a slot lock: found without a walk, the oldest first. */
#include "blkmap/slot/live.h"
#include "tests/blkmap/lower.h"

#include <string.h>

static struct lower lower;

/* Places of one lock, as many as are wanted. */
static uint64_t place_of(const struct slot_lock *lock, uint64_t *inout_next)
{
	while (slot_lock_at(&lower.slots, *inout_next) != lock)
		++*inout_next;
	return (*inout_next)++;
}

static struct live_map *add(struct slot_lock *lock, uint64_t place)
{
	struct live_map *live;
	void *space;

	ck_assert_int_eq(arena_heap_alloc(lower.arena, sizeof(*live), &space), 0);
	live = space;
	live->place = place;
	write_lock(&lock->lock);
	live_map_add(&lower.slots, lock, live);
	rw_unlock(&lock->lock);
	return live;
}

/* How many nodes a look-up of @live comes by. */
static unsigned steps_to(const struct slot_lock *lock, const struct live_map *live)
{
	const uint64_t hash = keyhash_word(&lower.slots.hash_key, live->place);
	unsigned steps = 1;

	for (const struct chain_link *link = chains_first(&lock->maps.by_place, hash);
	     link != &live->link; link = link->next)
		steps++;
	return steps;
}

START_TEST(test_a_map_is_found_as_fast_among_a_thousand_as_among_a_few)
{
	enum { NR = 2000 };
	static struct live_map *maps[NR];
	struct slot_lock *lock;
	uint64_t next = 1, heap;
	struct arena_stat stat;
	unsigned most = 0;

	lower_start(&lower, 2, 0);
	lock = &lower.slots.locks[7];
	arena_get_stat(lower.arena, &stat);
	heap = stat.heap;
	for (unsigned i = 0; i < NR; i++)
		maps[i] = add(lock, place_of(lock, &next));
	for (unsigned i = 0; i < NR; i++) {
		ck_assert_ptr_eq(live_map_find(&lower.slots, lock, maps[i]->place), maps[i]);
		most = steps_to(lock, maps[i]) > most ? steps_to(lock, maps[i]) : most;
	}
	ck_assert_uint_le(most, 20);
	ck_assert_ptr_null(live_map_find(&lower.slots, lock, place_of(lock, &next)));
	for (unsigned i = 0; i < NR; i++)
		live_map_remove(&lower.slots, lock, maps[i]->place);
	ck_assert_ptr_null(live_map_next(lock, NULL));
	arena_get_stat(lower.arena, &stat);
	ck_assert_uint_eq(stat.heap, heap);
	lower_stop(&lower);
}
END_TEST

static void check_order(struct slot_lock *lock, struct live_map *const *maps, unsigned nr)
{
	const struct live_map *live = NULL;

	for (unsigned i = 0; i < nr; i++) {
		live = live_map_next(lock, live);
		ck_assert_ptr_eq(live, maps[i]);
	}
	ck_assert_ptr_null(live_map_next(lock, live));
}

START_TEST(test_what_is_touched_is_the_youngest)
{
	struct live_map *maps[3];
	struct slot_lock *lock;
	uint64_t next = 1;

	lower_start(&lower, 2, 0);
	lock = &lower.slots.locks[7];
	for (unsigned i = 0; i < 3; i++)
		maps[i] = add(lock, place_of(lock, &next));
	check_order(lock, maps, 3);
	/* Within a second the order stays. */
	maps[0]->touched = (uint32_t)blkmap_now();
	live_map_touch(lock, maps[0]);
	maps[0]->touched -= 5;
	live_map_touch(lock, maps[0]);
	ck_assert_uint_le((uint32_t)blkmap_now() - maps[0]->touched, 1);
	check_order(lock, (struct live_map *[]){ maps[1], maps[2], maps[0] }, 3);
	live_map_postpone(lock, maps[2]);
	check_order(lock, (struct live_map *[]){ maps[1], maps[0], maps[2] }, 3);
	ck_assert_ptr_eq(live_map_take(&lower.slots, lock, maps[1]->place), maps[1]);
	check_order(lock, (struct live_map *[]){ maps[0], maps[2] }, 2);
	arena_heap_free(lower.arena, maps[1], sizeof(*maps[1]));
	/* Those that are left go with the slots. */
	lower_stop(&lower);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("live");
	TCase *tcase = tcase_create("live");

	tcase_add_test(tcase, test_a_map_is_found_as_fast_among_a_thousand_as_among_a_few);
	tcase_add_test(tcase, test_what_is_touched_is_the_youngest);
	suite_add_tcase(suite, tcase);
	return zt_check_main(suite);
}
