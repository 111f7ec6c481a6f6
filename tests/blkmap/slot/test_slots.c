// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_slots.c - words without codecs: published, counted, shared, moved, aged.
 *
 * Tests slots.c, present.c, account.c, relocate.c, share.c, age.c and word.h of the part slot,
 * and links nothing above it.
 */
#include <errno.h>

#include "blkmap/slot/age.h"
#include "blkmap/slot/share.h"
#include "tests/blkmap/lower.h"
#include "util/hook.h"

#define ORDER   2u
#define CLUSTER (4096u << ORDER)

static struct lower lower;

/* An object of @size bytes that are all @fill, as a word without an owner. */
static uint64_t object(uint32_t size, int fill)
{
	ref_t ref;

	ck_assert_int_eq(zs_malloc(lower.slots.data, size, &ref), 0);
	memset(zs_data(lower.arena, ref), fill, size);
	return slot_with_ref(slot_make_obj(SLOT_CODEC_MAIN, CLUSTER, false), ref);
}

static int publish(uint64_t *slot, uint64_t word)
{
	struct slot_lock *lock = slot_lock(&lower.slots, slot);
	struct loose_word old = { 0 };
	int error;

	write_lock(&lock->lock);
	error = slot_publish(&lower.slots, &lower.file, slot, word, &old);
	rw_unlock(&lock->lock);
	slot_release(&lower.slots, old, ORDER);
	return error;
}

START_TEST(test_a_published_word_owns_its_object_and_moves_seq)
{
	uint64_t *slot, word, seq;
	struct zs_owner owner;

	lower_start(&lower, ORDER, 0);
	slot = lower_slot(&lower);
	word = object(100, 'a');
	seq = slot_lock(&lower.slots, slot)->seq;
	ck_assert_int_eq(publish(slot, word), 0);
	ck_assert_uint_eq(slot_lock(&lower.slots, slot)->seq, seq + 1);
	owner = zs_get_owner(lower.arena, slot_ref(word));
	ck_assert_uint_eq(owner.word, slot_place(&lower.slots, slot));
	ck_assert_uint_eq(owner.index, OWNER_SLOT);
	ck_assert_uint_eq(lower.nr_pages, 4);
	ck_assert_int_eq(publish(slot, 0), 0);
	lower_stop(&lower);
}
END_TEST

START_TEST(test_a_word_says_which_pages_are_there_and_how_far_they_reach)
{
	uint64_t cut = slot_with_length(slot_make_obj(SLOT_CODEC_MAIN, CLUSTER, false), 4097);

	lower_start(&lower, ORDER, 0);
	ck_assert_uint_eq(slot_present(&lower.slots, 0, ORDER), 0);
	ck_assert_uint_eq(slot_present(&lower.slots, slot_make_same(7), ORDER), 0xf);
	ck_assert_uint_eq(slot_present(&lower.slots, slot_make_zero(0x5), ORDER), 0x5);
	ck_assert_uint_eq(slot_present(&lower.slots, cut, ORDER), 0x3);
	ck_assert_uint_eq(slot_extent(&lower.slots, slot_make_zero(0x5), ORDER), 3 * 4096);
	ck_assert_uint_eq(slot_extent(&lower.slots, cut, ORDER), 4097);
	lower_stop(&lower);
}
END_TEST

START_TEST(test_pages_beyond_the_limit_are_refused_and_nothing_changes)
{
	uint64_t *slot, *other, seq;

	lower_start(&lower, ORDER, 5);
	slot = lower_slot(&lower);
	other = lower_slot(&lower);
	ck_assert_int_eq(publish(slot, slot_make_zero(0xf)), 0);
	ck_assert_uint_eq(pages_left(&lower.slots), 1);
	seq = slot_lock(&lower.slots, other)->seq;
	ck_assert_int_eq(publish(other, slot_make_zero(0x3)), -ENOSPC);
	ck_assert_uint_eq(*other, 0);
	ck_assert_uint_eq(slot_lock(&lower.slots, other)->seq, seq);
	ck_assert_uint_eq(lower.slots.account.same_pages, 4);
	ck_assert_int_eq(publish(slot, 0), 0);
	lower_stop(&lower);
}
END_TEST

static unsigned nr_moved;

static void count_moved(void *arg, uint64_t word, ref_t old)
{
	ck_assert_ptr_eq(arg, &lower);
	ck_assert_uint_ne(slot_ref(word), old);
	nr_moved++;
}

START_TEST(test_compaction_moves_objects_and_tells_who_asked)
{
	enum { NR = 4000 };
	static uint64_t *slots[NR];

	lower_start(&lower, ORDER, 0);
	lower.slots.moved_arg = &lower;
	lower.slots.moved = count_moved;
	nr_moved = 0;
	for (unsigned i = 0; i < NR; i++) {
		slots[i] = lower_slot(&lower);
		ck_assert_int_eq(publish(slots[i], object(500, (int)i & 0x7f)), 0);
	}
	for (unsigned i = 0; i < NR; i++)
		if (i % 8)
			ck_assert_int_eq(publish(slots[i], 0), 0);
	ck_assert_uint_gt(zs_compact(lower.slots.data, 0), 0);
	ck_assert_uint_gt(nr_moved, 0);
	for (unsigned i = 0; i < NR; i += 8) {
		const char *data = zs_data(lower.arena, slot_ref(*slots[i]));

		ck_assert_int_eq(data[0], (int)i & 0x7f);
		ck_assert_int_eq(data[499], (int)i & 0x7f);
		ck_assert_int_eq(publish(slots[i], 0), 0);
	}
	lower_stop(&lower);
}
END_TEST

/* Those of the second half move: theirs are the emptiest zspages. */
static bool is_kept(unsigned i, unsigned nr)
{
	return i % (i < nr / 2 ? 2 : 8) == 0;
}

START_TEST(test_what_compaction_moves_is_as_young_as_before)
{
	enum { NR = 4000 };
	static uint64_t *slots[NR], words[NR];
	unsigned nr = 0;

	lower_start(&lower, ORDER, 0);
	ck_assert_int_eq(ages_init(&lower.slots, 0), 0);
	for (unsigned i = 0; i < NR; i++) {
		slots[i] = lower_slot(&lower);
		ck_assert_int_eq(publish(slots[i], object(500, 'x')), 0);
	}
	for (unsigned i = 0; i < NR; i++)
		if (!is_kept(i, NR))
			ck_assert_int_eq(publish(slots[i], 0), 0);
	atomic_store(&lower.slots.age_now, 150);
	for (unsigned i = NR / 2; i < NR; i += 8) {
		words[i] = *slots[i];
		age_touch(&lower.slots, slot_ref(words[i]));
	}
	ck_assert_uint_gt(zs_compact(lower.slots.data, 0), 0);
	for (unsigned i = NR / 2; i < NR; i += 8) {
		nr += *slots[i] != words[i];
		ck_assert_uint_eq(age_of(&lower.slots, slot_ref(*slots[i])), 0);
	}
	ck_assert_uint_gt(nr, 0);
	for (unsigned i = 0; i < NR; i++)
		if (is_kept(i, NR))
			ck_assert_int_eq(publish(slots[i], 0), 0);
	ages_exit(&lower.slots);
	lower_stop(&lower);
}
END_TEST

START_TEST(test_a_shared_object_lives_until_its_last_name_is_gone)
{
	uint64_t *slot, *other, word = 0, first;
	struct zs_pool_stat stat;

	lower_start(&lower, ORDER, 0);
	slot = lower_slot(&lower);
	other = lower_slot(&lower);
	first = object(100, 'x');
	ck_assert_int_eq(publish(slot, first), 0);
	ck_assert_int_eq(share_take(&lower.slots, slot, &word), 0);
	ck_assert_int_eq(slot_kind(word), SLOT_SHARED);
	ck_assert_int_eq(publish(other, word), 0);
	ck_assert_uint_eq(slot_ref(share_hold(&lower.slots, *slot)), slot_ref(first));
	share_drop(&lower.slots, *slot);
	ck_assert_uint_eq(lower.slots.account.shared_pages, 8);
	ck_assert_int_eq(publish(slot, 0), 0);
	zs_pool_get_stat(lower.slots.data, &stat);
	ck_assert_uint_eq(stat.objects, 1);
	ck_assert_int_eq(publish(other, 0), 0);
	ck_assert_uint_eq(lower.slots.account.shared_pages, 0);
	lower_stop(&lower);
}
END_TEST

#ifdef ZT_DEBUG
static unsigned nr_points;

/* Whoever is killed here leaves a slot that leads to its object, by a record or by itself. */
static void slot_leads_to_its_object(void *arg, const char *point, uint64_t what)
{
	const struct slots *slots = arg;
	uint64_t word;

	if (strncmp(point, "share: ", 7) != 0)
		return;
	nr_points++;
	word = word_get(slot_at(slots, what));
	if (strcmp(point, "share: a record lost its object") == 0)
		ck_assert_int_eq((int)slot_kind(word), SLOT_OBJ);
	else
		ck_assert_int_eq((int)slot_kind(word), SLOT_SHARED);
}

START_TEST(test_a_slot_leads_to_its_object_at_every_moment_of_sharing)
{
	uint64_t *slot, word;
	struct slot_lock *lock;

	lower_start(&lower, ORDER, 0);
	slot = lower_slot(&lower);
	ck_assert_int_eq(publish(slot, object(100, 'a')), 0);
	zt_hook_set(slot_leads_to_its_object, &lower.slots);
	ck_assert_int_eq(share_take(&lower.slots, slot, &word), 0);
	share_release(&lower.slots, word);
	lock = slot_lock(&lower.slots, slot);
	write_lock(&lock->lock);
	share_end(&lower.slots, lock, slot, OWNER_SLOT);
	rw_unlock(&lock->lock);
	zt_hook_set(NULL, NULL);
	ck_assert_uint_eq(nr_points, 2);
	ck_assert_int_eq(publish(slot, 0), 0);
	lower_stop(&lower);
}
END_TEST
#endif

START_TEST(test_ages_count_from_the_last_use)
{
	lower_start(&lower, ORDER, 0);
	ck_assert_int_eq(ages_init(&lower.slots, 0), 0);
	atomic_store(&lower.slots.age_now, 10);
	age_touch(&lower.slots, 1000);
	atomic_store(&lower.slots.age_now, 250);
	ck_assert_uint_eq(age_of(&lower.slots, 1000), 240);
	age_limit(&lower.slots, 1000, 200);
	ck_assert_uint_eq(age_of(&lower.slots, 1000), 200);
	age_touch(&lower.slots, 2000000);
	age_move(&lower.slots, 2000000, 1000);
	ck_assert_uint_eq(age_of(&lower.slots, 1000), 0);
	lower_stop(&lower);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("slots");
	TCase *tcase = tcase_create("slots");

	tcase_add_test(tcase, test_a_published_word_owns_its_object_and_moves_seq);
	tcase_add_test(tcase, test_a_word_says_which_pages_are_there_and_how_far_they_reach);
	tcase_add_test(tcase, test_pages_beyond_the_limit_are_refused_and_nothing_changes);
	tcase_add_test(tcase, test_compaction_moves_objects_and_tells_who_asked);
	tcase_add_test(tcase, test_what_compaction_moves_is_as_young_as_before);
	tcase_add_test(tcase, test_a_shared_object_lives_until_its_last_name_is_gone);
#ifdef ZT_DEBUG
	tcase_add_test(tcase, test_a_slot_leads_to_its_object_at_every_moment_of_sharing);
#endif
	tcase_add_test(tcase, test_ages_count_from_the_last_use);
	suite_add_tcase(suite, tcase);
	return zt_check_main(suite);
}
