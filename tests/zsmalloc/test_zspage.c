// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_zspage.c - which slot is given, which pages exist, and what happens while they come and go.
 */
#define ZT_LOCKS_UNCHECKED /* nobody else has the pool */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "tests/lib/zt_check.h"
#include "util/alloc.h"
#include "util/lock.h"
#include "zsmalloc/pool_i.h"
#include "zsmalloc/zspage.h"

static struct arena *arena;
static struct zs_pool *pool;

static void setup(void)
{
	struct arena_params params = { .reserve = 512 * MIB };
	struct zs_pool_params pool_params = { .name = "pages", .id = 0 };

	ck_assert_int_eq(arena_create(&params, &arena), 0);
	ck_assert_int_eq(zs_pool_create(arena, &pool_params, &pool), 0);
}

static void check_all(void)
{
	ck_assert_int_eq(zs_check(pool), 0);
	ck_assert_int_eq(arena_check(arena), 0);
}

static void teardown(void)
{
	check_all();
	zs_pool_destroy(pool);
	arena_destroy(arena);
}

static ref_t make(uint32_t size)
{
	ref_t ref;

	ck_assert_int_eq(zs_malloc(pool, size, &ref), 0);
	return ref;
}

static struct zs_pool_stat stat(void)
{
	struct zs_pool_stat now;

	zs_pool_get_stat(pool, &now);
	return now;
}

static uint64_t resident_pages(void)
{
	return stat().resident / ZT_PAGE_SIZE;
}

static struct size_class *class_of(ref_t ref, struct zspage **out_zspage)
{
	uint64_t page;
	uint32_t offset;
	struct size_class *class = zs_find(pool, ref, &page, &offset);

	ck_assert_ptr_nonnull(class);
	*out_zspage = zspage_find(class, page);
	ck_assert_ptr_nonnull(*out_zspage);
	return class;
}

START_TEST(test_one_object_costs_its_own_pages)
{
	static const struct {
		uint32_t size, pages;
	} cases[] = { { 1, 1 },    { 100, 1 },   { 4000, 1 },
		      { 5000, 2 }, { 30000, 8 }, { ZS_MAX_SIZE, 33 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ref_t ref = make(cases[i].size);

		ck_assert_uint_eq(resident_pages(), cases[i].pages);
		zs_free(pool, ref);
		ck_assert_uint_eq(stat().cached, cases[i].pages * ZT_PAGE_SIZE);
		ck_assert_uint_eq(zs_trim(pool, 0), cases[i].pages * ZT_PAGE_SIZE);
		ck_assert_uint_eq(stat().zspages, 0);
	}
}
END_TEST

START_TEST(test_page_comes_back_when_no_slot_in_use_touches_it)
{
	/* Rooms of 30720 bytes: pages 0..7, 7..14, 15..22. */
	ref_t a = make(30700), b = make(30700), c = make(30700);

	ck_assert_uint_eq(resident_pages(), 23);
	zs_free(pool, b);
	ck_assert_uint_eq(stat().cached, 7 * ZT_PAGE_SIZE);
	check_all();
	zs_free(pool, a);
	ck_assert_uint_eq(stat().cached, 15 * ZT_PAGE_SIZE);
	ck_assert_uint_eq(zs_trim(pool, 0), 15 * ZT_PAGE_SIZE);
	ck_assert_uint_eq(resident_pages(), 8);
	zs_free(pool, c);
}
END_TEST

START_TEST(test_slot_with_memory_is_preferred)
{
	ref_t refs[24];

	for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
		refs[i] = make(2040);
	/* Two to a page. Pages 0 and 1 go; slot 20 leaves a page that others keep. */
	for (size_t i = 0; i < 4; i++)
		zs_free(pool, refs[i]);
	(void)zs_trim(pool, 0);
	zs_free(pool, refs[20]);
	ck_assert_uint_eq(make(2040), refs[20]);
	ck_assert_uint_eq(make(2040), refs[0]);
}
END_TEST

START_TEST(test_fullest_zspage_is_preferred)
{
	struct zs_class_stat cs = { 0 };
	ref_t first, hole = 0, ref = make(500);
	struct zspage *zspage;
	uint32_t nr;

	zs_class_get_stat(pool, class_of(ref, &zspage)->idx, &cs);
	nr = cs.objs_per_zspage;
	first = ref;
	for (uint32_t i = 1; i < nr; i++) {
		ref = make(500);
		if (i == nr / 2)
			hole = ref;
	}
	ck_assert_uint_eq(stat().zspages, 1);
	ref = make(500);
	ck_assert_uint_eq(stat().zspages, 2);
	zs_free(pool, hole);
	ck_assert_uint_eq(make(500), hole);
	/* The second one has room too and was used last. */
	zs_free(pool, first);
	(void)make(500);
	ck_assert(zs_is_live(pool, first));
}
END_TEST

START_TEST(test_pages_ahead_are_few)
{
	struct zs_class_stat cs = { 0 };
	struct zspage *zspage;
	uint32_t class_idx = class_of(make(100), &zspage)->idx;

	/* 112 bytes go into a page evenly enough that no zspage has a tail of a page. */
	for (uint32_t i = 2; i <= 20000; i++) {
		uint64_t needed = ((uint64_t)i * 112 + ZT_PAGE_SIZE - 1) / ZT_PAGE_SIZE;

		(void)make(100);
		zs_class_get_stat(pool, class_idx, &cs);
		if (needed < 60)
			ck_assert_uint_eq(cs.resident_pages, needed);
		ck_assert_uint_le(cs.resident_pages, needed + needed / 60);
	}
	ck_assert_uint_gt(stat().resident, 2 * MIB);
	ck_assert_uint_le(stat().cached, 3 * ZT_PAGE_SIZE);
}
END_TEST

/* Those right behind the slot's own, up to what is there or on its way. */
START_TEST(test_pages_ahead_are_those_behind_the_slot)
{
	struct page_set set;
	struct zspage *zspage;
	struct size_class *class = class_of(make(8000), &zspage);
	uint32_t last = slot_last_page(class, 3), end = class->geo.nr_pages;

	ck_assert_uint_gt(end, last + 5);
	mutex_lock(&class->lock);
	zspage_absent(class, zspage, 3, &set);
	ck_assert_uint_eq(set.nr, last - slot_first_page(class, 3) + 1);
	zspage_ahead(class, zspage, 3, 3, &set);
	ck_assert_uint_eq(set.nr, last - slot_first_page(class, 3) + 4);
	for (uint32_t page = 0; page < end; page++)
		ck_assert_int_eq(bitmap_test(set.bits, page),
				 page >= slot_first_page(class, 3) && page <= last + 3);
	/* Something of the fourth one behind it is on its way; and then the zspage ends. */
	memset(&set, 0, sizeof(set));
	bitmap_set(zspage_busy(class, zspage), last + 4);
	zspage_ahead(class, zspage, 3, end, &set);
	ck_assert_uint_eq(set.nr, 3);
	bitmap_clear(zspage_busy(class, zspage), last + 4);
	memset(&set, 0, sizeof(set));
	zspage_ahead(class, zspage, 3, end, &set);
	ck_assert_uint_eq(set.nr, end - last - 1);
	mutex_unlock(&class->lock);
}
END_TEST

START_TEST(test_zspages_are_found_without_memory_for_the_hash)
{
	static ref_t refs[6000];

	for (size_t i = 0; i < ARRAY_SIZE(refs); i++) {
		zt_fault_set((long)i % 7 + 1);
		while (zs_malloc(pool, 4000, &refs[i]) != 0)
			;
	}
	zt_fault_set(0);
	ck_assert_uint_gt(stat().zspages, 40);
	check_all();
	for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
		zs_free(pool, refs[i]);
	(void)zs_trim(pool, 0);
	ck_assert_uint_eq(stat().zspages, 0);
}
END_TEST

START_TEST(test_zspages_with_cached_pages_stand_first_in_their_group)
{
	static ref_t refs[20000];
	struct zspage *first, *middle;
	struct size_class *class;
	uint64_t cached;
	size_t at;

	for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
		refs[i] = make(4000);
	class = class_of(refs[0], &first);
	/* One object less in each zspage: all stand in one group. */
	for (size_t i = 0; i < ARRAY_SIZE(refs); i += class->geo.nr_objs)
		zs_free(pool, refs[i]);
	(void)zs_trim(pool, 0);
	at = ARRAY_SIZE(refs) / 2 / class->geo.nr_objs * class->geo.nr_objs + 3;
	(void)class_of(refs[at], &middle);
	ck_assert_uint_gt(class->group_zspages[middle->group], 100);
	ck_assert_ptr_ne(class->groups[middle->group], middle);
	zs_free(pool, refs[at]);
	zs_free(pool, refs[at + 1]);
	cached = stat().cached;
	ck_assert_uint_gt(cached, 0);
	ck_assert_ptr_eq(class->groups[middle->group], middle);
	ck_assert_uint_eq(zs_trim(pool, 0), cached);
	ck_assert_uint_eq(middle->nr_cached, 0);
	check_all();
}
END_TEST

static void *malloc_thread(void *arg)
{
	*(ref_t *)arg = make(8000);
	return NULL;
}

START_TEST(test_slots_on_busy_pages_are_avoided_or_waited_for)
{
	ref_t first = make(8000), away = 0;
	struct zspage *zspage;
	struct size_class *class = class_of(first, &zspage);
	uint32_t busy_pages = slot_last_page(class, 5) + 1;
	pthread_t thread;

	/* As if somebody populated the pages of slots 1 to 5. */
	mutex_lock(&class->lock);
	for (uint32_t page = 2; page < busy_pages; page++)
		bitmap_set(zspage_busy(class, zspage), page);
	zspage->nr_busy = (uint16_t)(busy_pages - 2);
	ck_assert_uint_eq(zspage_pick(class, zspage, false), 7);
	for (uint32_t page = busy_pages; page < class->geo.nr_pages; page++)
		bitmap_set(zspage_busy(class, zspage), page);
	zspage->nr_busy = (uint16_t)(class->geo.nr_pages - 2);
	ck_assert_uint_eq(zspage_pick(class, zspage, false), ZSPAGE_NO_SLOT);
	mutex_unlock(&class->lock);

	ck_assert_int_eq(pthread_create(&thread, NULL, malloc_thread, &away), 0);
	while (atomic_load(&pool->nr_waiters) == 0)
		sched_yield();
	mutex_lock(&class->lock);
	for (uint32_t page = 2; page < class->geo.nr_pages; page++)
		bitmap_clear(zspage_busy(class, zspage), page);
	zspage->nr_busy = 0;
	mutex_lock(&pool->wait_lock);
	pthread_cond_broadcast(&pool->wait_cond);
	mutex_unlock(&pool->wait_lock);
	mutex_unlock(&class->lock);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(away, zspage_slot_ref(class, zspage, 1));
}
END_TEST

/* Else the thread that ends being busy finds nobody waiting, and wakes nobody. */
START_TEST(test_who_waits_is_counted_before_the_class_is_given_back)
{
	ref_t away = 0;
	struct zspage *zspage;
	struct size_class *class = class_of(make(8000), &zspage);
	pthread_t thread;

	mutex_lock(&class->lock);
	for (uint32_t page = 2; page < class->geo.nr_pages; page++)
		bitmap_set(zspage_busy(class, zspage), page);
	zspage->nr_busy = (uint16_t)(class->geo.nr_pages - 2);
	mutex_unlock(&class->lock);
	mutex_lock(&pool->wait_lock);
	ck_assert_int_eq(pthread_create(&thread, NULL, malloc_thread, &away), 0);
	while (atomic_load(&pool->nr_waiters) == 0)
		sched_yield();
	ck_assert_int_eq(pthread_mutex_trylock(&class->lock.mutex), EBUSY);
	mutex_unlock(&pool->wait_lock);
	mutex_lock(&class->lock);
	for (uint32_t page = 2; page < class->geo.nr_pages; page++)
		bitmap_clear(zspage_busy(class, zspage), page);
	zspage->nr_busy = 0;
	mutex_lock(&pool->wait_lock);
	pthread_cond_broadcast(&pool->wait_cond);
	mutex_unlock(&pool->wait_lock);
	mutex_unlock(&class->lock);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(atomic_load(&pool->nr_waiters), 0);
	ck_assert_uint_eq(away, zspage_slot_ref(class, zspage, 1));
}
END_TEST

START_TEST(test_failed_populate_leaves_the_slot_free)
{
	ref_t first = make(9000), ref;
	uint64_t before = resident_pages();

	arena_set_limit(arena, arena_memfd_bytes(arena));
	ck_assert_int_eq(zs_malloc(pool, 9000, &ref), -ENOSPC);
	ck_assert_uint_eq(resident_pages(), before);
	ck_assert_uint_eq(stat().objects, 1);
	check_all();
	arena_set_limit(arena, 0);
	ref = make(9000);
	ck_assert_uint_lt(ref - first, 9000);
}
END_TEST

START_TEST(test_last_slot_with_memory_is_found_at_the_limit)
{
	ref_t ref = make(2040), b_first = 0, hole = 0;
	struct zs_class_stat cs = { 0 };
	struct zspage *zspage;
	uint32_t nr;

	/*
	 * Two to a page. The fuller zspage has lost page 0, of the other every second slot is free.
	 */
	zs_class_get_stat(pool, class_of(ref, &zspage)->idx, &cs);
	nr = cs.objs_per_zspage;
	ck_assert_uint_eq(cs.room, 2048);
	for (uint32_t i = 1; i < nr; i++)
		(void)make(2040);
	for (uint32_t i = 0; i < nr; i++) {
		hole = make(2040);
		if (i == 0)
			b_first = hole;
	}
	ck_assert_uint_eq(stat().zspages, 2);
	for (uint32_t i = 1; i < nr; i += 2)
		zs_free(pool, b_first + i * 128);
	zs_free(pool, ref);
	zs_free(pool, ref + 128);
	ck_assert_uint_eq(zs_trim(pool, 0), ZT_PAGE_SIZE);
	arena_set_limit(arena, arena_memfd_bytes(arena));
	for (uint32_t i = 1; i < nr; i += 2) {
		hole = make(2040);
		ck_assert_uint_ge(hole, b_first);
		ck_assert_uint_lt(hole, b_first + nr * 128);
	}
	ck_assert_int_eq(zs_malloc(pool, 2040, &hole), -ENOSPC);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zspage");
	TCase *tc = tcase_create("zspage");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_one_object_costs_its_own_pages);
	tcase_add_test(tc, test_page_comes_back_when_no_slot_in_use_touches_it);
	tcase_add_test(tc, test_slot_with_memory_is_preferred);
	tcase_add_test(tc, test_fullest_zspage_is_preferred);
	tcase_add_test(tc, test_pages_ahead_are_few);
	tcase_add_test(tc, test_pages_ahead_are_those_behind_the_slot);
	tcase_add_test(tc, test_zspages_are_found_without_memory_for_the_hash);
	tcase_add_test(tc, test_zspages_with_cached_pages_stand_first_in_their_group);
	tcase_add_test(tc, test_slots_on_busy_pages_are_avoided_or_waited_for);
	tcase_add_test(tc, test_who_waits_is_counted_before_the_class_is_given_back);
	tcase_add_test(tc, test_failed_populate_leaves_the_slot_free);
	tcase_add_test(tc, test_last_slot_with_memory_is_found_at_the_limit);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
