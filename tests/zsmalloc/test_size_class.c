// SPDX-License-Identifier: GPL-2.0-or-later
/* test_size_class.c - rooms and geometry: nothing too small, little lost. */
#include "tests/lib/zt_check.h"
#include "util/sizes.h"
#include "zsmalloc/size_class.h"
#include "zsmalloc/zspage.h"

#define MAX_ROOMS 1024u

static uint32_t rooms[MAX_ROOMS], nr_rooms;

static void setup(void)
{
	nr_rooms = zs_rooms_fill(NULL);
	ck_assert_uint_le(nr_rooms, MAX_ROOMS);
	ck_assert_uint_eq(zs_rooms_fill(rooms), nr_rooms);
}

START_TEST(test_rooms_ascend_in_steps_of_at_most_16_bytes_or_1_6_percent)
{
	ck_assert_uint_eq(rooms[0], ZS_MIN_ROOM);
	ck_assert_uint_ge(rooms[nr_rooms - 1], ZS_MAX_SIZE + ZS_HDR_SIZE);
	for (uint32_t i = 1; i < nr_rooms; i++) {
		uint32_t step = rooms[i] - rooms[i - 1];

		ck_assert_uint_gt(rooms[i], rooms[i - 1]);
		ck_assert_uint_eq(rooms[i] % 16, 0);
		if (step > 16)
			ck_assert_uint_le(step * 64, rooms[i]);
	}
}
END_TEST

START_TEST(test_raw_pages_and_clusters_have_their_own_rooms)
{
	for (uint32_t size = ZT_PAGE_SIZE; size <= 128 * KIB; size *= 2) {
		uint32_t bare = rooms[zs_rooms_find(rooms, nr_rooms, size + ZS_HDR_SIZE)];
		uint32_t kept = rooms[zs_rooms_find(rooms, nr_rooms, size + 16 + ZS_HDR_SIZE)];

		ck_assert_uint_eq(bare, size + 16);
		ck_assert_uint_eq(kept, size + 32);
	}
}
END_TEST

START_TEST(test_found_room_is_the_smallest_that_fits)
{
	for (uint32_t need = 1; need <= ZS_MAX_SIZE + ZS_HDR_SIZE; need++) {
		uint32_t i = zs_rooms_find(rooms, nr_rooms, need);

		ck_assert_uint_ge(rooms[i], need);
		if (i > 0)
			ck_assert_uint_lt(rooms[i - 1], need);
	}
}
END_TEST

START_TEST(test_zspages_hold_their_slots_and_lose_little)
{
	uint64_t lost_sum = 0; /* in 1/10000 of the zspage */

	for (uint32_t i = 0; i < nr_rooms; i++) {
		struct zs_geometry geo;
		uint64_t bytes, used, lost;

		zs_geometry_init(&geo, rooms[i]);
		bytes = (uint64_t)geo.nr_pages * ZT_PAGE_SIZE;
		used = (uint64_t)geo.nr_objs * geo.room;
		ck_assert_uint_eq(geo.room, rooms[i]);
		ck_assert_uint_le(geo.nr_pages, ZSPAGE_MAX_PAGES);
		ck_assert_uint_le(geo.nr_objs, ZSPAGE_MAX_OBJS);
		ck_assert_uint_le(used, bytes);
		ck_assert_uint_lt(bytes - used, ZT_PAGE_SIZE);
		lost = (bytes - used + zspage_struct_size(&geo)) * 10000 / bytes;
		ck_assert_msg(lost <= 125, "room %" PRIu32 ": %" PRIu64, rooms[i], lost);
		lost_sum += lost;
	}
	ck_assert_uint_le(lost_sum / nr_rooms, 30);
}
END_TEST

START_TEST(test_zspages_of_ready_memory_are_whole_blocks)
{
	uint64_t lost_sum = 0; /* in 1/10000 of the zspage */
	uint32_t nr = 0;

	for (uint32_t i = 0; i < nr_rooms; i++) {
		struct zs_geometry geo;
		uint64_t bytes, used;

		zs_geometry_init_stocked(&geo, rooms[i]);
		bytes = (uint64_t)geo.nr_pages * ZT_PAGE_SIZE;
		used = (uint64_t)geo.nr_objs * geo.room;
		ck_assert_uint_eq(geo.nr_pages & (geo.nr_pages - 1u), 0);
		ck_assert_uint_le(used, bytes);
		ck_assert(geo.nr_pages <= 8 || geo.nr_objs == 1);
		/* Pages that compress to a third are what it is for. */
		if (rooms[i] > ZT_PAGE_SIZE / 3)
			continue;
		lost_sum += (bytes - used) * 10000 / bytes;
		nr++;
	}
	ck_assert_uint_le(lost_sum / nr, 300);
}
END_TEST

START_TEST(test_volatile_struct_is_small)
{
	struct zs_geometry geo = { .nr_pages = 64, .nr_objs = 64 };

	ck_assert_uint_eq(zspage_struct_size(&geo), 64);
	geo.nr_pages = ZSPAGE_MAX_PAGES;
	geo.nr_objs = ZSPAGE_MAX_OBJS;
	ck_assert_uint_le(zspage_struct_size(&geo), 168);
	/* Debug builds keep the lock's rank beside it. */
	ck_assert_uint_le(sizeof(struct size_class), 200 + sizeof(struct mutex));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("size_class");
	TCase *tc = tcase_create("size_class");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_rooms_ascend_in_steps_of_at_most_16_bytes_or_1_6_percent);
	tcase_add_test(tc, test_raw_pages_and_clusters_have_their_own_rooms);
	tcase_add_test(tc, test_found_room_is_the_smallest_that_fits);
	tcase_add_test(tc, test_zspages_hold_their_slots_and_lose_little);
	tcase_add_test(tc, test_zspages_of_ready_memory_are_whole_blocks);
	tcase_add_test(tc, test_volatile_struct_is_small);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
