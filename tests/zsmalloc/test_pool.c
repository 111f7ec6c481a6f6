// SPDX-License-Identifier: GPL-2.0-or-later
/* test_pool.c - objects of every size keep their bytes; limits, failures, wild refs. */
#include <errno.h>
#include <string.h>

#include "tests/lib/zt_check.h"
#include "util/alloc.h"
#include "util/sizes.h"
#include "zsmalloc/pool.h"

#define FIXED_SIZE 104u

static struct arena *arena;
static struct zs_pool *pool, *fixed;

static void setup(void)
{
	struct arena_params params = { .reserve = 2 * GIB };
	struct zs_pool_params any = { .name = "any", .id = 2 };
	struct zs_pool_params one = { .name = "one", .id = 3, .fixed_size = FIXED_SIZE };

	ck_assert_int_eq(arena_create(&params, &arena), 0);
	ck_assert_int_eq(zs_pool_create(arena, &any, &pool), 0);
	ck_assert_int_eq(zs_pool_create(arena, &one, &fixed), 0);
}

static void check_all(void)
{
	ck_assert_int_eq(zs_check(pool), 0);
	ck_assert_int_eq(zs_check(fixed), 0);
	ck_assert_int_eq(arena_check(arena), 0);
}

static void teardown(void)
{
	struct arena_stat stat;

	check_all();
	zs_pool_destroy(pool);
	zs_pool_destroy(fixed);
	ck_assert_int_eq(arena_check(arena), 0);
	arena_get_stat(arena, &stat);
	ck_assert_uint_eq(stat.run_bytes, 0);
	/*
	 * The superblock, and a page of the page map for every 4 MiB of range ever used; all
	 * classes together use 150 MiB when they hold next to nothing.
	 */
	ck_assert_uint_le(stat.resident, 40 * ZT_PAGE_SIZE + stat.resident_max / 500);
	arena_destroy(arena);
}

static void fill(ref_t ref, uint64_t seed)
{
	unsigned char *bytes = zs_data(arena, ref);
	uint32_t len = zs_size(arena, ref);

	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(seed + i * 7 + i / 256);
}

static void verify(ref_t ref, uint64_t seed, uint32_t len)
{
	const unsigned char *bytes = zs_data(arena, ref);

	ck_assert_uint_eq(zs_size(arena, ref), len);
	for (uint32_t i = 0; i < len; i++) {
		if (bytes[i] != (unsigned char)(seed + i * 7 + i / 256))
			ck_abort_msg("object of %" PRIu32 ": byte %" PRIu32 " differs", len, i);
	}
}

static uint64_t cached(struct zs_pool *of)
{
	struct zs_pool_stat stat;

	zs_pool_get_stat(of, &stat);
	return stat.cached;
}

START_TEST(test_edges_of_every_class_hold_their_bytes)
{
	uint32_t sizes[4096], nr = 0;
	ref_t refs[4096];
	struct zs_class_stat stat;

	for (uint32_t i = 0; i < zs_nr_classes(pool); i++) {
		zs_class_get_stat(pool, i, &stat);
		for (int delta = -1; delta <= 1; delta++) {
			uint32_t size = (uint32_t)((int)(stat.room - ZS_HDR_SIZE) + delta);

			if (size <= ZS_MAX_SIZE)
				sizes[nr++] = size;
		}
	}
	sizes[nr++] = 1;
	sizes[nr++] = ZS_MAX_SIZE;
	for (uint32_t i = 0; i < nr; i++) {
		ck_assert_int_eq(zs_malloc(pool, sizes[i], &refs[i]), 0);
		ck_assert_uint_eq(((uintptr_t)zs_data(arena, refs[i])) % 8, 0);
		fill(refs[i], i);
	}
	for (uint32_t i = 0; i < nr; i++)
		verify(refs[i], i, sizes[i]);
	check_all();
	for (uint32_t i = 0; i < nr; i++)
		zs_free(pool, refs[i]);
}
END_TEST

/* Of all classes; each agrees with itself. */
static struct zs_class_stat class_sums(void)
{
	struct zs_class_stat sum = { 0 }, stat;

	for (uint32_t i = 0; i < zs_nr_classes(pool); i++) {
		uint64_t zspages = 0;

		zs_class_get_stat(pool, i, &stat);
		for (unsigned group = 0; group < ZS_NR_GROUPS; group++) {
			zspages += stat.groups[group];
			sum.groups[group] += stat.groups[group];
		}
		ck_assert_uint_eq(zspages, stat.zspages);
		ck_assert_uint_le(stat.cached_pages, stat.resident_pages);
		ck_assert_uint_le(stat.cached_pages, stat.freeable_pages);
		sum.zspages += stat.zspages;
		sum.objects += stat.objects;
		sum.object_bytes += stat.object_bytes;
		sum.resident_pages += stat.resident_pages;
		sum.cached_pages += stat.cached_pages;
		sum.freeable_pages += stat.freeable_pages;
	}
	return sum;
}

START_TEST(test_classes_sum_up_to_the_pool_and_tell_what_could_be_freed)
{
	static ref_t refs[2000];
	struct zs_pool_stat stat;
	struct zs_class_stat sum;

	for (uint32_t i = 0; i < ARRAY_SIZE(refs); i++)
		ck_assert_int_eq(zs_malloc(pool, i % 100 ? 1000 : 100 + i, &refs[i]), 0);
	zs_pool_get_stat(pool, &stat);
	sum = class_sums();
	ck_assert_uint_eq(sum.objects, stat.objects);
	ck_assert_uint_eq(sum.object_bytes, stat.object_bytes);
	ck_assert_uint_eq(sum.zspages, stat.zspages);
	ck_assert_uint_eq(sum.resident_pages * ZT_PAGE_SIZE, stat.resident);
	ck_assert_uint_gt(sum.groups[ZS_GROUP_FULL], 0);
	/* A page begun in each of the 21 classes may have room for what begins another. */
	ck_assert_uint_le(sum.freeable_pages, 21);
	/* Three of four go: what is left fits a fourth of the pages. */
	for (uint32_t i = 0; i < ARRAY_SIZE(refs); i++)
		if (i % 4)
			zs_free(pool, refs[i]);
	(void)zs_trim(pool, 0);
	zs_pool_get_stat(pool, &stat);
	sum = class_sums();
	ck_assert_uint_eq(sum.object_bytes, stat.object_bytes);
	ck_assert_uint_eq(sum.resident_pages * ZT_PAGE_SIZE, stat.resident);
	ck_assert_uint_eq(sum.groups[ZS_GROUP_FULL] + sum.groups[ZS_GROUP_EMPTY], 0);
	ck_assert_uint_ge(sum.groups[2] + sum.groups[3], sum.zspages / 2);
	ck_assert_uint_gt(sum.freeable_pages, sum.resident_pages / 2);
	ck_assert_uint_ge((sum.resident_pages - sum.freeable_pages) * ZT_PAGE_SIZE,
			  stat.object_bytes + stat.objects * ZS_HDR_SIZE);
	/* Headers, rounding, and a page begun in each of the 21 classes. */
	ck_assert_uint_le((sum.resident_pages - sum.freeable_pages) * ZT_PAGE_SIZE,
			  stat.object_bytes + stat.objects * (ZS_HDR_SIZE + 15) +
				  21 * ZT_PAGE_SIZE);
	check_all();
	for (uint32_t i = 0; i < ARRAY_SIZE(refs); i += 4)
		zs_free(pool, refs[i]);
}
END_TEST

START_TEST(test_sizes_out_of_range_are_refused)
{
	ref_t ref = 42;

	ck_assert_int_eq(zs_malloc(pool, 0, &ref), -EINVAL);
	ck_assert_int_eq(zs_malloc(pool, ZS_MAX_SIZE + 1, &ref), -EINVAL);
	ck_assert_int_eq(zs_malloc(fixed, FIXED_SIZE - 1, &ref), -EINVAL);
	ck_assert_int_eq(zs_malloc(fixed, FIXED_SIZE + 1, &ref), -EINVAL);
	ck_assert_uint_eq(ref, 42);
}
END_TEST

START_TEST(test_bad_parameters_are_refused)
{
	struct zs_pool_params params = { .name = "bad", .id = 4 };
	struct zs_pool *none;

	ck_assert_int_eq(zs_pool_create(arena, &params, &none), -EINVAL);
	params.id = 0;
	params.fixed_size = ZS_MAX_SIZE + 1;
	ck_assert_int_eq(zs_pool_create(arena, &params, &none), -EINVAL);
}
END_TEST

START_TEST(test_fixed_pool_gives_zeroed_objects_again_and_again)
{
	static const char zero[FIXED_SIZE];
	ref_t refs[300];

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(refs); i++) {
			ck_assert_int_eq(zs_malloc(fixed, FIXED_SIZE, &refs[i]), 0);
			ck_assert_mem_eq(zs_data(arena, refs[i]), zero, FIXED_SIZE);
			memset(zs_data(arena, refs[i]), 0xff, FIXED_SIZE);
		}
		for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
			zs_free(fixed, refs[i]);
	}
}
END_TEST

START_TEST(test_owner_is_kept_beside_the_length)
{
	static const struct zs_owner cases[] = {
		{ 0, 0 }, { 1, 63 }, { (UINT64_C(1) << 39) - 1, 0 }, { (UINT64_C(1) << 39) - 1, 63 }
	};
	static const uint32_t sizes[] = { 1, ZS_MAX_SIZE };

	for (size_t i = 0; i < ARRAY_SIZE(cases) * ARRAY_SIZE(sizes); i++) {
		struct zs_owner owner = cases[i / 2], got;
		ref_t ref;

		ck_assert_int_eq(zs_malloc(pool, sizes[i % 2], &ref), 0);
		got = zs_get_owner(arena, ref);
		ck_assert_uint_eq(got.word, 0);
		zs_set_owner(arena, ref, owner);
		got = zs_get_owner(arena, ref);
		ck_assert_uint_eq(got.word, owner.word);
		ck_assert_uint_eq(got.index, owner.index);
		ck_assert_uint_eq(zs_size(arena, ref), sizes[i % 2]);
		check_all();
		zs_free(pool, ref);
	}
}
END_TEST

START_TEST(test_resize_works_within_the_room_and_keeps_the_owner)
{
	struct zs_owner owner = { .word = 77, .index = 5 };
	struct zs_pool_stat stat;
	ref_t ref;

	ck_assert_int_eq(zs_malloc(pool, 1000, &ref), 0);
	zs_set_owner(arena, ref, owner);
	ck_assert_uint_eq(zs_room(pool, 1000), 1000);
	ck_assert_uint_eq(zs_room(pool, 993), 1000);
	ck_assert_uint_eq(zs_room(pool, ZS_MAX_SIZE), ZS_MAX_SIZE);
	ck_assert_uint_eq(zs_room(pool, 0), 0);
	ck_assert_uint_eq(zs_room(fixed, FIXED_SIZE), FIXED_SIZE);
	ck_assert(!zs_resize(pool, ref, 1001));
	ck_assert(!zs_resize(pool, ref, 0));
	ck_assert_uint_eq(zs_size(arena, ref), 1000);
	ck_assert(zs_resize(pool, ref, 1));
	zs_pool_get_stat(pool, &stat);
	ck_assert_uint_eq(stat.object_bytes, 1);
	ck_assert_uint_eq(zs_room_of(pool, ref), 1000);
	zs_change_owner(pool, ref, (struct zs_owner){ 0 });
	ck_assert_uint_eq(zs_get_owner(arena, ref).word, 0);
	zs_change_owner(pool, ref, owner);
	check_all();
	ck_assert(zs_resize(pool, ref, 1000));
	ck_assert_uint_eq(zs_size(arena, ref), 1000);
	ck_assert_uint_eq(zs_get_owner(arena, ref).word, 77);
	ck_assert_uint_eq(zs_get_owner(arena, ref).index, 5);
	zs_free(pool, ref);
}
END_TEST

START_TEST(test_only_live_objects_of_this_pool_are_live)
{
	uint64_t state = zt_seed(), held;
	ref_t ref, other, big;

	ck_assert_int_eq(zs_malloc(pool, 100, &ref), 0);
	ck_assert_int_eq(zs_malloc(pool, 100000, &big), 0);
	ck_assert_int_eq(zs_malloc(fixed, FIXED_SIZE, &other), 0);
	held = arena_memfd_bytes(arena);
	ck_assert(zs_is_live(pool, ref));
	ck_assert(zs_is_live(pool, big));
	ck_assert(!zs_is_live(fixed, ref));
	ck_assert(!zs_is_live(pool, other));
	ck_assert(!zs_is_live(pool, ref + 1));
	for (int i = 0; i < 100000; i++) {
		uint64_t wild = zt_random(&state) >> (zt_random(&state) % 64);

		if (i % 2)
			wild = big + wild % 1000000;
		ck_assert_int_eq(zs_is_live(pool, wild), wild == ref || wild == big);
	}
	zs_free(pool, ref);
	ck_assert(!zs_is_live(pool, ref));
	zs_free(pool, big);
	ck_assert(!zs_is_live(pool, big));
	zs_free(fixed, other);
	ck_assert_uint_le(arena_memfd_bytes(arena), held);
}
END_TEST

#define MODEL_SLOTS 1500u

struct model {
	ref_t ref;
	uint32_t len;
	uint64_t seed;
};

static uint32_t random_size(uint64_t *state)
{
	uint64_t r = zt_random(state);
	unsigned bits = r % 18;

	return 1 + (uint32_t)((r >> 8) % min_u64(UINT64_C(1) << bits, ZS_MAX_SIZE));
}

START_TEST(test_random_life_keeps_every_byte)
{
	static struct model model[MODEL_SLOTS];
	uint64_t state = zt_seed(), cursor = 0, live = 0;
	ref_t ref;

	memset(model, 0, sizeof(model));
	for (int i = 0; i < 20000; i++) {
		struct model *m = &model[zt_random(&state) % MODEL_SLOTS];

		if (m->ref) {
			verify(m->ref, m->seed, m->len);
			zs_free(pool, m->ref);
			m->ref = 0;
		} else {
			m->len = random_size(&state);
			m->seed = zt_random(&state);
			ck_assert_int_eq(zs_malloc(pool, m->len, &m->ref), 0);
			fill(m->ref, m->seed);
		}
		if (i % 4000 == 3999) {
			check_all();
			(void)zs_trim(pool, zt_random(&state) % (2 * MIB));
			check_all();
		}
	}
	for (uint32_t i = 0; i < MODEL_SLOTS; i++)
		live += model[i].ref != 0;
	while (zs_object_next(pool, &cursor, &ref)) {
		ck_assert(zs_is_live(pool, ref));
		live--;
	}
	ck_assert_uint_eq(live, 0);
	for (uint32_t i = 0; i < MODEL_SLOTS; i++) {
		if (model[i].ref) {
			verify(model[i].ref, model[i].seed, model[i].len);
			zs_free(pool, model[i].ref);
		}
	}
}
END_TEST

START_TEST(test_free_keeps_little_and_trim_returns_the_rest)
{
	static ref_t refs[4000];
	struct zs_pool_stat stat;

	for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
		ck_assert_int_eq(zs_malloc(pool, 5000, &refs[i]), 0);
	ck_assert_uint_eq(cached(pool), 0);
	for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
		zs_free(pool, refs[i]);
	zs_pool_get_stat(pool, &stat);
	ck_assert_uint_eq(stat.objects, 0);
	ck_assert_uint_eq(stat.object_bytes, 0);
	ck_assert_uint_gt(stat.cached, 0);
	ck_assert_uint_le(stat.cached, MIB + 64 * KIB);
	ck_assert_uint_eq(stat.resident, stat.cached);
	check_all();
	ck_assert_uint_ge(zs_trim(pool, 512 * KIB), 256 * KIB);
	ck_assert_uint_le(cached(pool), 512 * KIB);
	ck_assert_uint_gt(cached(pool), 0);
	check_all();
	(void)zs_trim(pool, 0);
	zs_pool_get_stat(pool, &stat);
	ck_assert_uint_eq(stat.resident, 0);
	ck_assert_uint_eq(stat.zspages, 0);
}
END_TEST

/* Fill until it is full; return how many. */
static uint32_t fill_up(ref_t *refs, uint32_t most, uint32_t size)
{
	uint32_t nr = 0;
	int error;

	while ((error = zs_malloc(pool, size, &refs[nr])) == 0) {
		fill(refs[nr], nr);
		ck_assert_uint_lt(++nr, most);
	}
	ck_assert_int_eq(error, -ENOSPC);
	return nr;
}

START_TEST(test_full_pool_is_enospc_and_freeing_helps)
{
	static const uint32_t sizes[] = { 24, 1000, 4096, 30000, ZS_MAX_SIZE };
	static ref_t refs[200000];
	struct arena_stat stat;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint32_t size = sizes[i], nr, again;

		arena_get_stat(arena, &stat);
		arena_set_limit(arena, stat.resident + 2 * MIB);
		nr = fill_up(refs, ARRAY_SIZE(refs), size);
		ck_assert_uint_ge((uint64_t)nr * (size + 8), 2 * MIB * 19 / 20 - size);
		check_all();
		for (uint32_t k = 0; k < nr; k++)
			verify(refs[k], k, size);
		/* What was freed can be used again, in whatever order. */
		for (uint32_t k = 0; k < nr; k += 3)
			zs_free(pool, refs[k]);
		for (uint32_t k = 0; k < nr; k += 3) {
			ck_assert_int_eq(zs_malloc(pool, size, &refs[k]), 0);
			fill(refs[k], k);
		}
		for (uint32_t k = 0; k < nr; k++)
			verify(refs[k], k, size);
		check_all();
		for (uint32_t k = 0; k < nr; k++)
			zs_free(pool, refs[k]);
		again = fill_up(refs, ARRAY_SIZE(refs), size);
		ck_assert_uint_eq(again, nr);
		for (uint32_t k = 0; k < nr; k++)
			zs_free(pool, refs[k]);
		(void)zs_trim(pool, 0);
	}
}
END_TEST

START_TEST(test_create_survives_the_failure_of_every_allocation)
{
	struct zs_pool_params params = { .name = "failing", .id = 0 };
	struct zs_pool *other;
	long n = 0;

	for (;;) {
		int error;

		zt_fault_set(++n);
		error = zs_pool_create(arena, &params, &other);
		if (!error)
			break;
		ck_assert_int_eq(error, -ENOMEM);
		ck_assert(!zt_fault_pending());
	}
	zt_fault_set(0);
	ck_assert_int_eq(n, 4);
	zs_pool_destroy(other);
}
END_TEST

START_TEST(test_malloc_survives_the_failure_of_every_allocation)
{
	static const uint32_t sizes[] = { 10, 104, 4096, 65536 };
	ref_t refs[ARRAY_SIZE(sizes)][64];

	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		for (long n = 1;; n++) {
			int made = 0, error = 0;
			bool pending;

			zt_fault_set(n);
			while (made < 64 && !error)
				error = zs_malloc(pool, sizes[s], &refs[s][made++]);
			pending = zt_fault_pending();
			zt_fault_set(0);
			if (error) {
				ck_assert_int_eq(error, -ENOMEM);
				ck_assert(!pending);
				made--;
			}
			check_all();
			for (int i = 0; i < made; i++)
				fill(refs[s][i], (uint64_t)i);
			for (int i = 0; i < made; i++) {
				verify(refs[s][i], (uint64_t)i, sizes[s]);
				zs_free(pool, refs[s][i]);
			}
			check_all();
			(void)zs_trim(pool, 0);
			if (pending)
				break;
		}
	}
}
END_TEST

START_TEST(test_destroy_frees_objects_too)
{
	struct zs_pool_params params = { .name = "full", .id = 0 };
	struct zs_pool *other;
	uint64_t state = zt_seed();
	struct arena_stat before, after;
	ref_t ref;

	arena_get_stat(arena, &before);
	ck_assert_int_eq(zs_pool_create(arena, &params, &other), 0);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(zs_malloc(other, random_size(&state), &ref), 0);
	ck_assert_int_eq(zs_check(other), 0);
	zs_pool_destroy(other);
	arena_get_stat(arena, &after);
	ck_assert_uint_eq(after.run_bytes, before.run_bytes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pool");
	TCase *tc = tcase_create("pool");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_edges_of_every_class_hold_their_bytes);
	tcase_add_test(tc, test_classes_sum_up_to_the_pool_and_tell_what_could_be_freed);
	tcase_add_test(tc, test_sizes_out_of_range_are_refused);
	tcase_add_test(tc, test_bad_parameters_are_refused);
	tcase_add_test(tc, test_fixed_pool_gives_zeroed_objects_again_and_again);
	tcase_add_test(tc, test_owner_is_kept_beside_the_length);
	tcase_add_test(tc, test_resize_works_within_the_room_and_keeps_the_owner);
	tcase_add_test(tc, test_only_live_objects_of_this_pool_are_live);
	tcase_add_test(tc, test_random_life_keeps_every_byte);
	tcase_add_test(tc, test_free_keeps_little_and_trim_returns_the_rest);
	tcase_add_test(tc, test_full_pool_is_enospc_and_freeing_helps);
	tcase_add_test(tc, test_create_survives_the_failure_of_every_allocation);
	tcase_add_test(tc, test_malloc_survives_the_failure_of_every_allocation);
	tcase_add_test(tc, test_destroy_frees_objects_too);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
