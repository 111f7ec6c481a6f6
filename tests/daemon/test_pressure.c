// SPDX-License-Identifier: GPL-2.0-or-later
/* test_pressure.c - what /proc/zoneinfo says, and what follows for the reserve. */
#include <stdio.h>

#include "daemon/pressure.h"
#include "tests/lib/zt_check.h"

/* As kernels write it, with most of its lines. */
#define ZONE(name, free, min, low, managed, protection)                                            \
	"Node 0, zone " name "\n"                                                                  \
	"  pages free     " free "\n"                                                              \
	"        boost    0\n"                                                                     \
	"        min      " min "\n"                                                               \
	"        low      " low "\n"                                                               \
	"        high     9999\n"                                                                  \
	"        spanned  99999\n"                                                                 \
	"        managed  " managed "\n"                                                           \
	"        cma      0\n"                                                                     \
	"        protection: (" protection ")\n"                                                   \
	"      nr_free_pages " free "\n"                                                           \
	"  pagesets\n"                                                                             \
	"    cpu: 0\n"                                                                             \
	"              count:    7\n"                                                              \
	"              high:     78\n"

static struct pressure_memory parse(const char *text)
{
	struct pressure_memory memory;

	ck_assert(pressure_parse(text, &memory));
	return memory;
}

START_TEST(test_the_zone_with_most_to_spare_counts)
{
	struct pressure_memory memory =
		parse(ZONE("     DMA", "87", "55", "68", "3840", "0, 60, 60, 60, 60")
			      ZONE("   DMA32", "500", "221", "276", "18477", "0, 0, 0, 0, 0"));

	ck_assert_int_eq(memory.above_min, 500 - 221);
	ck_assert_int_eq(memory.above_half, 500 - 110);
	ck_assert_int_eq(memory.above_low, 500 - 276);
	/* The other way round; what is kept for others is not there. */
	memory = parse(ZONE("     DMA", "1000", "55", "68", "3840", "0, 60, 600, 60")
			       ZONE("   DMA32", "200", "221", "276", "18477", "0, 0, 0, 0, 0"));
	ck_assert_int_eq(memory.above_min, 1000 - 600 - 55);
}
END_TEST

START_TEST(test_zones_that_do_not_count)
{
	struct pressure_memory memory =
		parse(ZONE("  Normal", "100", "221", "276", "18477", "0, 0")
			      ZONE(" Movable", "50000", "10", "20", "60000", "0, 0")
				      ZONE("  Device", "0", "0", "0", "0", "0, 0"));

	ck_assert_int_eq(memory.above_min, 100 - 221);
	ck_assert(!pressure_parse("", &memory));
	ck_assert(!pressure_parse(ZONE("  Device", "0", "0", "0", "0", "0, 0"), &memory));
}
END_TEST

START_TEST(test_numbers_beyond_all_bounds)
{
	struct pressure_memory memory =
		parse(ZONE("  Normal", "100", "8", "8", "18477", "0, 99999999999999999999"));

	ck_assert_int_lt(memory.above_low, 0);
	memory = parse(ZONE("  Normal", "99999999999999999999", "-99999999999999999999", "0",
			    "18477", "0, 0"));
	ck_assert_int_gt(memory.above_min, 0);
}
END_TEST

START_TEST(test_this_machine_s_own)
{
	static char text[1 << 20];
	FILE *file = fopen("/proc/zoneinfo", "re");
	struct pressure_memory memory;

	ck_assert_ptr_nonnull(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	ck_assert(pressure_parse(text, &memory));
	ck_assert_int_lt(memory.above_low, memory.above_min);
	ck_assert_int_lt(memory.above_min, memory.above_half);
}
END_TEST

START_TEST(test_what_the_reserve_may_do)
{
	const struct pressure_memory plenty = { .above_low = 700,
						.above_min = 800,
						.above_half = 900 };
	const struct pressure_memory little = { .above_low = -50,
						.above_min = 20,
						.above_half = 130 };
	const struct pressure_memory none = { .above_low = -300,
					      .above_min = -200,
					      .above_half = -90 };
	struct arena_grant room = pressure_grant(&plenty, false);

	ck_assert_uint_eq(room.more, 700);
	ck_assert_uint_gt(room.urgent, 700);
	ck_assert_uint_lt(room.urgent, 900);
	ck_assert_uint_eq(room.back, 0);
	/* No requests, since nobody swaps. */
	room = pressure_grant(&plenty, true);
	ck_assert_uint_eq(room.more, 700);
	ck_assert_uint_eq(room.back, 0);
	room = pressure_grant(&little, false);
	ck_assert_uint_eq(room.more, 0);
	ck_assert_uint_gt(room.urgent, 64);
	ck_assert_uint_eq(room.back, 0);
	room = pressure_grant(&none, false);
	ck_assert_uint_eq(room.more + room.urgent + room.back, 0);
	/* What it would give back it must not take again. */
	room = pressure_grant(&little, true);
	ck_assert_uint_eq(room.more + room.urgent, 0);
	ck_assert_uint_gt(room.back, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pressure");
	TCase *tc = tcase_create("pressure");

	tcase_add_test(tc, test_the_zone_with_most_to_spare_counts);
	tcase_add_test(tc, test_zones_that_do_not_count);
	tcase_add_test(tc, test_numbers_beyond_all_bounds);
	tcase_add_test(tc, test_this_machine_s_own);
	tcase_add_test(tc, test_what_the_reserve_may_do);
	suite_add_tcase(s, tc);
	return zt_check_main(s);
}
