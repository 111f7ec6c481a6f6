// SPDX-License-Identifier: GPL-2.0-or-later
/* test_check.c - the pool's walker finds each kind of damage. */
#define ZT_LOCKS_UNCHECKED /* nobody else has the pool */

#include <errno.h>

#include "tests/lib/zt_check.h"
#include "zsmalloc/pool_i.h"
#include "zsmalloc/zspage.h"

#define SIZE 1000u

static struct arena *arena;
static struct zs_pool *pool;
static ref_t refs[20];
static struct size_class *class;
static struct zspage *zspage;

static void setup(void)
{
	struct arena_params params = { .reserve = 64 * MIB };
	struct zs_pool_params pool_params = { .name = "checked", .id = 1 };
	uint64_t page;
	uint32_t offset;

	ck_assert_int_eq(arena_create(&params, &arena), 0);
	ck_assert_int_eq(zs_pool_create(arena, &pool_params, &pool), 0);
	for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
		ck_assert_int_eq(zs_malloc(pool, SIZE, &refs[i]), 0);
	zs_free(pool, refs[1]);
	class = zs_find(pool, refs[0], &page, &offset);
	ck_assert_ptr_nonnull(class);
	zspage = zspage_find(class, page);
	ck_assert_ptr_nonnull(zspage);
	ck_assert_int_eq(zs_check(pool), 0);
}

static void teardown(void)
{
	ck_assert_int_eq(zs_check(pool), 0);
	zs_pool_destroy(pool);
	ck_assert_int_eq(arena_check(arena), 0);
	arena_destroy(arena);
}

/* Each damage is done, found, undone. */
#define DAMAGE(do_it, undo_it)                                                                     \
	do {                                                                                       \
		do_it;                                                                             \
		ck_assert_int_eq(zs_check(pool), -EUCLEAN);                                        \
		undo_it;                                                                           \
		ck_assert_int_eq(zs_check(pool), 0);                                               \
	} while (0)

START_TEST(test_headers_that_differ_from_the_bitmap_are_found)
{
	uint64_t hdr = hdr_load(arena, refs[0]);

	DAMAGE(hdr_store(arena, refs[0], 0), hdr_store(arena, refs[0], hdr));
	DAMAGE(hdr_store(arena, refs[1], hdr), hdr_store(arena, refs[1], 0));
	DAMAGE(hdr_store(arena, refs[0], hdr_with_len(hdr, class->geo.room)),
	       hdr_store(arena, refs[0], hdr));
	DAMAGE(hdr_store(arena, refs[0], hdr_with_len(hdr, SIZE - 1)),
	       hdr_store(arena, refs[0], hdr));
	DAMAGE(bitmap_set(zspage_live(zspage), 1), bitmap_clear(zspage_live(zspage), 1));
}
END_TEST

START_TEST(test_pages_that_differ_from_the_kernel_are_found)
{
	uint32_t last = class->geo.nr_pages - 1u;
	uint64_t *resident = zspage_resident(class, zspage);

	ck_assert(!bitmap_test(resident, last));
	DAMAGE(bitmap_set(resident, last), bitmap_clear(resident, last));
	DAMAGE(bitmap_clear(resident, 0), bitmap_set(resident, 0));
	DAMAGE(ck_assert_int_eq(
		       arena_populate(arena, zspage_ref(zspage) + last * ARENA_PAGE_REFS, 1), 0),
	       arena_punch(arena, zspage_ref(zspage) + last * ARENA_PAGE_REFS, 1));
}
END_TEST

START_TEST(test_counters_that_are_off_are_found)
{
	DAMAGE(zspage->inuse++, zspage->inuse--);
	DAMAGE(zspage->nr_resident++, zspage->nr_resident--);
	DAMAGE(zspage->nr_cached++, zspage->nr_cached--);
	DAMAGE(zspage->nr_busy++, zspage->nr_busy--);
	DAMAGE(class->objects++, class->objects--);
	DAMAGE(class->object_bytes++, class->object_bytes--);
	DAMAGE(class->resident++, class->resident--);
	DAMAGE(class->cached++, class->cached--);
	DAMAGE(class->by_page.nodes++, class->by_page.nodes--);
	DAMAGE(pool->cached++, pool->cached--);
}
END_TEST

START_TEST(test_zspage_in_the_wrong_group_is_found)
{
	DAMAGE(zspage->group++, zspage->group--);
	DAMAGE(class->groups[zspage->group] = NULL, class->groups[zspage->group] = zspage);
}
END_TEST

START_TEST(test_run_that_the_pool_does_not_know_is_found)
{
	uint32_t user = 1u << ZS_USER_CLASS_BITS;
	ref_t run;

	ck_assert_int_eq(arena_run_alloc(arena, 1, ARENA_RUN_ZSPAGE, user | 3, &run), 0);
	ck_assert_int_eq(zs_check(pool), -EUCLEAN);
	arena_run_free(arena, run);
	ck_assert_int_eq(arena_run_alloc(arena, 1, ARENA_RUN_ZSPAGE, user | 1023, &run), 0);
	ck_assert_int_eq(zs_check(pool), -EUCLEAN);
	arena_run_free(arena, run);
	ck_assert_int_eq(zs_check(pool), 0);
	/* Another pool's is none of our business. */
	ck_assert_int_eq(arena_run_alloc(arena, 1, ARENA_RUN_ZSPAGE, 3, &run), 0);
	ck_assert_int_eq(zs_check(pool), 0);
	arena_run_free(arena, run);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("check");
	TCase *tc = tcase_create("damage");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_headers_that_differ_from_the_bitmap_are_found);
	tcase_add_test(tc, test_pages_that_differ_from_the_kernel_are_found);
	tcase_add_test(tc, test_counters_that_are_off_are_found);
	tcase_add_test(tc, test_zspage_in_the_wrong_group_is_found);
	tcase_add_test(tc, test_run_that_the_pool_does_not_know_is_found);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
