// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_spill.c - objects in a file: written, read, dropped, and what a disk that fails makes of it.
 *
 * Tests spill.c, space.c, copies.c, reader.c, file.c, keep.c, seal.c and table.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena/attach.h"
#include "blkmap/spill/keep.h"
#include "blkmap/spill/space.h"
#include "blkmap/spill/spill_i.h"
#include "tests/lib/zt_check.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/sizes.h"

static struct arena *arena;
static struct spill *spill;
static struct spill_batch batch;
static int fd;

static const uint8_t *key; /* of start() and resume() */
static const uint8_t a_key[SPILL_KEY_SIZE] = "a key that only this mount has";

static void start(uint64_t size)
{
	const struct arena_params params = { .reserve = GIB };
	char name[] = "/tmp/zt-spill-XXXXXX", text[256];

	ck_assert_int_eq(arena_create(&params, &arena), 0);
	fd = mkstemp(name);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(name), 0);
	ck_assert_msg(spill_create(&(struct spill_params){ .fd = fd, .size = size, .arena = arena, .key = key },
				   text, &spill) == 0,
		      "%s", text);
	batch.bytes = zt_map(SPILL_BATCH_BYTES);
	ck_assert_ptr_nonnull(batch.bytes);
	batch.nr = batch.used = 0;
}

static void stop(void)
{
	struct arena_stat stat;

	spill_io_hook = NULL;
	spill_done(spill);
	spill_destroy(spill, false);
	zt_unmap(batch.bytes, SPILL_BATCH_BYTES);
	close(fd);
	key = NULL;
	arena_get_stat(arena, &stat);
	ck_assert_uint_eq(stat.aside, 0);
	/* A chunk of the range costs some, however little is in it. */
	ck_assert_uint_lt(stat.heap, 4096);
	arena_destroy(arena);
}

static void fill(char *bytes, uint32_t size, uint64_t seed)
{
	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (char)zt_random(&seed);
}

static void add(uint32_t size, uint64_t seed)
{
	char *bytes = spill_batch_add(&batch, size, (uint32_t)seed);

	ck_assert_ptr_nonnull(bytes);
	fill(bytes, size, seed);
}

/* One object alone; its id. */
static spill_id put(uint32_t size, uint64_t seed)
{
	batch.nr = batch.used = 0;
	add(size, seed);
	ck_assert_int_eq(spill_write(spill, &batch), 0);
	ck_assert_uint_ne(batch.items[0].id, 0);
	return batch.items[0].id;
}

/* Its bytes, read if they must be. Return: what spill_hold() says in the end. */
static int check(spill_id id, uint32_t size, uint64_t seed)
{
	static char want[SPILL_OBJECT_MAX];
	const char *bytes;
	int error;

	while ((error = spill_hold(spill, id, &bytes)) == -EREMOTE) {
		ck_assert(spill_want(spill, id));
		spill_fetch(spill, NULL);
	}
	if (!error) {
		fill(want, size, seed);
		ck_assert_uint_eq(spill_len(spill, id), size);
		ck_assert_uint_eq(spill_mask(spill, id), (uint32_t)seed);
		ck_assert(memcmp(bytes, want, size) == 0);
		spill_let(spill, id);
	}
	spill_done(spill);
	return error;
}

static struct spill_stat stat_now(void)
{
	struct spill_stat stat;

	spill_get_stat(spill, &stat);
	return stat;
}

/* ---- units ---- */

START_TEST(test_units_side_by_side_are_given_once)
{
	struct spill_space space;
	uint32_t start_unit, nr, group = 0;

	ck_assert_int_eq(space_init(&space, 3 * SPACE_GROUP_UNITS + 10), 0);
	ck_assert_uint_eq(space_take(&space, 1, 100, &start_unit), 100);
	ck_assert_uint_eq(start_unit, 0);
	ck_assert_uint_eq(space_take(&space, 5, 2000, &start_unit), 2000);
	ck_assert_uint_eq(start_unit, 100);
	space_give(&space, 0, 100);
	/* What is behind the cursor comes first, then what was given back. */
	nr = space_take(&space, 1, 5000, &start_unit);
	ck_assert_uint_eq(start_unit, 2100);
	ck_assert_uint_eq(nr, 3 * SPACE_GROUP_UNITS + 10 - 2100);
	ck_assert_uint_eq(space_take(&space, 101, 200, &start_unit), 0);
	ck_assert_uint_eq(space_take(&space, 100, 200, &start_unit), 100);
	ck_assert_uint_eq(start_unit, 0);
	ck_assert_uint_eq(space_take(&space, 1, 1, &start_unit), 0);
	ck_assert_uint_eq(space.nr_used, space.nr_units);
	ck_assert(!space_next_stale(&space, &group));
	space_give(&space, 0, 2 * SPACE_GROUP_UNITS);
	group = 0;
	ck_assert(space_next_stale(&space, &group));
	ck_assert_uint_eq(group, 0);
	group++;
	ck_assert(space_next_stale(&space, &group));
	ck_assert_uint_eq(group, 1);
	group = 0;
	ck_assert(!space_next_stale(&space, &group));
	space_exit(&space);
}
END_TEST

START_TEST(test_units_agree_with_a_model)
{
	enum { UNITS = 4000 };
	static bool model[UNITS];
	static struct { uint32_t start, nr; } runs[UNITS];
	struct spill_space space;
	uint64_t seed = zt_seed();
	unsigned nr_runs = 0, nr_used = 0;

	memset(model, 0, sizeof(model));
	ck_assert_int_eq(space_init(&space, UNITS), 0);
	for (unsigned turn = 0; turn < 20000; turn++) {
		uint32_t least = 1 + (uint32_t)(zt_random(&seed) % 32), at, got;
		uint32_t most = least + (uint32_t)(zt_random(&seed) % 64);

		if (zt_random(&seed) % 2 && nr_runs > 0) {
			const unsigned i = (unsigned)(zt_random(&seed) % nr_runs);

			space_give(&space, runs[i].start, runs[i].nr);
			for (uint32_t j = 0; j < runs[i].nr; j++)
				model[runs[i].start + j] = false;
			nr_used -= runs[i].nr;
			runs[i] = runs[--nr_runs];
			continue;
		}
		got = space_take(&space, least, most, &at);
		if (got == 0) {
			/* There are none indeed. */
			for (uint32_t i = 0, run = 0; i < UNITS; i++) {
				run = model[i] ? 0 : run + 1;
				ck_assert_uint_lt(run, least);
			}
			continue;
		}
		ck_assert(got >= least && got <= most && at + got <= UNITS);
		for (uint32_t i = 0; i < got; i++) {
			ck_assert(!model[at + i]);
			model[at + i] = true;
		}
		nr_used += got;
		runs[nr_runs].start = at;
		runs[nr_runs++].nr = got;
		ck_assert_uint_eq(space.nr_used, nr_used);
	}
	space_exit(&space);
}
END_TEST

/* ---- objects ---- */

START_TEST(test_objects_come_back_as_they_were)
{
	static const uint32_t sizes[] = { 1, 4095, 4096, 4097, 20000, 65536, 131072 };
	spill_id ids[ARRAY_SIZE(sizes)];

	start(16 * MIB);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		add(sizes[i], i + 1);
	ck_assert_int_eq(spill_write(spill, &batch), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		ids[i] = batch.items[i].id;
		ck_assert(spill_is_id(spill, ids[i]));
	}
	ck_assert_uint_eq(stat_now().objects, ARRAY_SIZE(sizes));
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		ck_assert_int_eq(check(ids[i], sizes[i], i + 1), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		spill_drop(spill, ids[i]);
		ck_assert(!spill_is_id(spill, ids[i]));
	}
	ck_assert_uint_eq(stat_now().objects, 0);
	ck_assert_uint_eq(stat_now().used, 0);
	ck_assert_uint_eq(stat_now().bytes, 0);
	ck_assert(!spill_is_id(spill, 0));
	ck_assert(!spill_is_id(spill, UINT32_MAX));
	stop();
}
END_TEST

START_TEST(test_a_full_batch_takes_no_more)
{
	start(16 * MIB);
	for (unsigned i = 0; i < SPILL_BATCH_ITEMS; i++)
		ck_assert_ptr_nonnull(spill_batch_add(&batch, 100, 0));
	ck_assert_ptr_null(spill_batch_add(&batch, 100, 0));
	batch.nr = batch.used = 0;
	for (unsigned i = 0; i < 8; i++)
		ck_assert_ptr_nonnull(spill_batch_add(&batch, SPILL_OBJECT_MAX, 0));
	ck_assert_ptr_null(spill_batch_add(&batch, 1, 0));
	stop();
}
END_TEST

/* More than the copies hold: they take turns. */
START_TEST(test_more_is_read_than_there_are_copies)
{
	enum { NR = 3 * COPIES_MAX };
	static spill_id ids[NR];

	start(16 * MIB);
	for (unsigned i = 0; i < NR; i++)
		ids[i] = put(5000, i + 1);
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < NR; i++)
			ck_assert_int_eq(check(ids[i], 5000, i + 1), 0);
	ck_assert_uint_eq(stat_now().fetched, 2 * NR);
	/* The last ones are there still. */
	ck_assert_int_eq(check(ids[NR - 1], 5000, NR), 0);
	ck_assert_uint_eq(stat_now().fetched, 2 * NR);
	for (unsigned i = 0; i < NR; i++)
		spill_drop(spill, ids[i]);
	stop();
}
END_TEST

static size_t copies_resident(void)
{
	static unsigned char pages[COPIES_MAX * COPY_BYTES / ZT_PAGE_SIZE];
	const size_t nr = spill->nr_copies * (size_t)COPY_BYTES / ZT_PAGE_SIZE;
	size_t resident = 0;

	ck_assert_int_eq(mincore(spill->copy_bytes, nr * ZT_PAGE_SIZE, pages), 0);
	for (size_t i = 0; i < nr; i++)
		resident += pages[i] & 1;
	return resident;
}

/* As if the last time was a second ago. */
static void cool(void)
{
	spill->cool_ns -= ZT_NS_PER_S;
	spill_cool(spill);
}

START_TEST(test_copies_that_nobody_wants_have_no_memory)
{
	spill_id ids[COPIES_MAX];
	const char *bytes;

	start(64 * MIB);
	for (unsigned i = 0; i < COPIES_MAX; i++)
		ids[i] = put(SPILL_OBJECT_MAX, i + 1);
	for (unsigned i = 0; i < COPIES_MAX; i++)
		ck_assert_int_eq(check(ids[i], SPILL_OBJECT_MAX, i + 1), 0);
	ck_assert_uint_ge(copies_resident(), COPIES_MAX * (SPILL_OBJECT_MAX / ZT_PAGE_SIZE));
	/* Used since the last time; and not again before a second has gone. */
	cool();
	spill_cool(spill);
	ck_assert_int_eq(spill_hold(spill, ids[3], &bytes), 0);
	spill_let(spill, ids[3]);
	ck_assert_int_eq(spill_hold(spill, ids[4], &bytes), 0);
	cool();
	ck_assert_uint_eq(copies_resident(), 2 * (SPILL_OBJECT_MAX / ZT_PAGE_SIZE));
	ck_assert_int_eq(spill_hold(spill, ids[3], &bytes), 0);
	spill_let(spill, ids[3]);
	spill_let(spill, ids[4]);
	cool();
	cool();
	ck_assert_uint_eq(copies_resident(), 0);
	ck_assert_int_eq(spill_hold(spill, ids[4], &bytes), -EREMOTE);
	for (unsigned i = 0; i < COPIES_MAX; i++)
		ck_assert_int_eq(check(ids[i], SPILL_OBJECT_MAX, i + 1), 0);
	stop();
}
END_TEST

START_TEST(test_a_file_that_is_full_takes_what_fits)
{
	spill_id ids[8];

	start(MIB);
	for (unsigned i = 0; i < 7; i++)
		ids[i] = put(SPILL_OBJECT_MAX, i);
	batch.nr = batch.used = 0;
	add(SPILL_OBJECT_MAX, 7);
	add(4096, 8);
	ck_assert_int_eq(spill_write(spill, &batch), -ENOSPC);
	ids[7] = batch.items[0].id;
	ck_assert_uint_ne(ids[7], 0);
	ck_assert_uint_eq(batch.items[1].id, 0);
	ck_assert_uint_eq(spill_free_bytes(spill), 0);
	ck_assert(!spill_may_write(spill));
	/* It is no error of the disk. */
	ck_assert_uint_eq(stat_now().write_errors, 0);
	spill_drop(spill, ids[3]);
	ck_assert(spill_may_write(spill));
	ids[3] = put(SPILL_OBJECT_MAX, 33);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_int_eq(check(ids[i], SPILL_OBJECT_MAX, i == 3 ? 33 : i), 0);
	for (unsigned i = 0; i < 8; i++)
		spill_drop(spill, ids[i]);
	stop();
}
END_TEST

/* Free units lie apart: a batch is written in several pieces. */
START_TEST(test_a_batch_fills_gaps)
{
	spill_id ids[256];

	start(MIB);
	for (unsigned i = 0; i < 256; i++)
		ids[i] = put(4096, i);
	for (unsigned i = 0; i < 256; i += 3)
		spill_drop(spill, ids[i]);
	batch.nr = batch.used = 0;
	for (unsigned i = 0; i < 60; i++)
		add(4000, 1000 + i);
	ck_assert_int_eq(spill_write(spill, &batch), 0);
	for (unsigned i = 0; i < 60; i++)
		ids[3 * i] = batch.items[i].id;
	for (unsigned i = 0; i < 180; i++)
		ck_assert_int_eq(i % 3 ? check(ids[i], 4096, i) : check(ids[i], 4000, 1000 + i / 3),
				 0);
	stop();
}
END_TEST

START_TEST(test_space_of_what_is_gone_is_given_back_to_the_disk)
{
	enum { NR = 64 }; /* of 128 KiB: two groups of 4 MiB */
	static spill_id ids[NR];
	struct stat before, after;

	start(16 * MIB);
	for (unsigned i = 0; i < NR; i++)
		ids[i] = put(SPILL_OBJECT_MAX, i);
	ck_assert_int_eq(fstat(fd, &before), 0);
	/* One stays in the second group. */
	for (unsigned i = 0; i < NR - 1; i++)
		spill_drop(spill, ids[i]);
	spill_give_back(spill);
	ck_assert_int_eq(fstat(fd, &after), 0);
	ck_assert_int_le(after.st_blocks, before.st_blocks - 4 * 2048 + 64);
	ck_assert_int_eq(check(ids[NR - 1], SPILL_OBJECT_MAX, NR - 1), 0);
	spill_drop(spill, ids[NR - 1]);
	stop();
}
END_TEST

/* ---- gone while it is wanted ---- */

START_TEST(test_units_stay_while_they_are_to_be_read)
{
	spill_id id, other;

	start(MIB);
	id = put(SPILL_OBJECT_MAX, 1);
	ck_assert(spill_want(spill, id));
	spill_drop(spill, id);
	/* It is out of no word, but its units are not another's yet. */
	ck_assert_uint_eq(stat_now().objects, 1);
	other = put(7 * SPILL_OBJECT_MAX / 8, 2);
	spill_fetch(spill, NULL);
	ck_assert_uint_eq(stat_now().objects, 1);
	spill_done(spill);
	ck_assert_int_eq(check(other, 7 * SPILL_OBJECT_MAX / 8, 2), 0);
	spill_drop(spill, other);
	stop();
}
END_TEST

START_TEST(test_a_copy_of_what_is_gone_is_not_found_by_its_successor)
{
	spill_id id, next;

	start(MIB);
	id = put(5000, 1);
	ck_assert_int_eq(check(id, 5000, 1), 0);
	spill_drop(spill, id);
	next = put(5000, 2);
	ck_assert_uint_eq(next, id); /* the entry is the same */
	ck_assert_int_eq(check(next, 5000, 2), 0);
	spill_drop(spill, next);
	stop();
}
END_TEST

START_TEST(test_no_more_is_wanted_than_fits)
{
	spill_id ids[SPILL_WANTS + 1];

	start(MIB);
	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
		ids[i] = put(4096, i);
	for (unsigned i = 0; i < SPILL_WANTS; i++)
		ck_assert(spill_want(spill, ids[i]));
	ck_assert(spill_want(spill, ids[0]));
	ck_assert(!spill_want(spill, ids[SPILL_WANTS]));
	spill_fetch(spill, NULL);
	ck_assert_uint_eq(stat_now().fetched, SPILL_WANTS);
	spill_done(spill);
	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
		spill_drop(spill, ids[i]);
	stop();
}
END_TEST

/* ---- a disk that fails ---- */

static bool fail_writes;
static unsigned fail_at, nr_calls; /* the call that fails, from 1 on; 0: none */
static int fail_error;
static size_t fail_len; /* or is as short as that */

static int hook(bool writes, uint64_t off, size_t *inout_len)
{
	(void)off;
	if (writes != fail_writes || ++nr_calls != fail_at)
		return 0;
	if (fail_len && *inout_len > fail_len)
		*inout_len = fail_len;
	return fail_error;
}

static void go_wrong(bool writes, unsigned at, int error, size_t len)
{
	fail_writes = writes;
	fail_at = at;
	nr_calls = 0;
	fail_error = error;
	fail_len = len;
	spill_io_hook = hook;
}

START_TEST(test_what_cannot_be_written_gets_no_id)
{
	static const int errors[] = { -ENOSPC, -EIO, -EFBIG };

	start(16 * MIB);
	for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
		batch.nr = batch.used = 0;
		add(5000, 1);
		add(70000, 2);
		go_wrong(true, 1, errors[i], 0);
		ck_assert_int_eq(spill_write(spill, &batch), errors[i]);
		ck_assert_uint_eq(batch.items[0].id, 0);
		ck_assert_uint_eq(batch.items[1].id, 0);
		ck_assert_uint_eq(stat_now().used, 0);
		ck_assert_uint_eq(stat_now().write_errors, i + 1);
		/* For a while it is not tried again. */
		ck_assert(!spill_may_write(spill));
		ck_assert_uint_eq(spill_free_bytes(spill), 0);
	}
	stop();
}
END_TEST

START_TEST(test_a_short_write_goes_on)
{
	spill_id id;

	start(16 * MIB);
	go_wrong(true, 1, 0, 1000);
	id = put(70000, 9);
	ck_assert_uint_ge(nr_calls, 2);
	spill_io_hook = NULL;
	ck_assert_int_eq(check(id, 70000, 9), 0);
	stop();
}
END_TEST

START_TEST(test_a_short_read_goes_on)
{
	spill_id ids[3];

	start(16 * MIB);
	for (unsigned i = 0; i < 3; i++)
		ids[i] = put(70000, i);
	go_wrong(false, 1, 0, 1000);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(spill_want(spill, ids[i]));
	spill_fetch(spill, NULL);
	ck_assert_uint_ge(nr_calls, 2);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(check(ids[i], 70000, i), 0);
	ck_assert_uint_eq(stat_now().fetched, 3);
	stop();
}
END_TEST

/* A disk that does not answer until it is told to. */
static atomic_bool answers;
static atomic_uint nr_hanging;

static bool hangs_in_writes; /* or in reads */

static int hang_hook(bool writes, uint64_t off, size_t *inout_len)
{
	(void)off;
	(void)inout_len;
	if (writes != hangs_in_writes)
		return 0;
	atomic_fetch_add(&nr_hanging, 1);
	while (!atomic_load(&answers))
		(void)usleep(1000);
	return 0;
}

static bool yes(void *arg)
{
	++*(unsigned *)arg;
	return true;
}

/* What spill_hold() says after a wait. */
static int wait_for(spill_id id, const struct spill_patience *patience)
{
	const char *bytes;
	int error;

	ck_assert_int_eq(spill_hold(spill, id, &bytes), -EREMOTE);
	ck_assert(spill_want(spill, id));
	spill_fetch(spill, patience);
	error = spill_hold(spill, id, &bytes);
	if (!error)
		spill_let(spill, id);
	spill_done(spill);
	return error;
}

static void begin_to_hang(bool in_writes)
{
	hangs_in_writes = in_writes;
	atomic_store(&answers, false);
	atomic_store(&nr_hanging, 0);
	spill_io_hook = hang_hook;
}

START_TEST(test_a_disk_that_does_not_answer_can_be_given_up)
{
	unsigned asked = 0;
	const struct spill_patience patience = { .is_over = yes, .arg = &asked };
	spill_id first, other;

	start(16 * MIB);
	first = put(8192, 1);
	other = put(8192, 2);
	begin_to_hang(false);
	ck_assert_int_eq(wait_for(first, &patience), -EINTR);
	ck_assert_uint_eq(asked, 1);
	/* It goes meanwhile; who reads still has its place. */
	spill_drop(spill, first);
	ck_assert_uint_eq(stat_now().used, 4 * SPILL_UNIT);
	/* This one has waited for long. */
	spill_patience_ns = SPILL_SLOW_NS;
	ck_assert_int_eq(wait_for(other, NULL), -EIO);
	ck_assert(spill->stuck);
	ck_assert_uint_eq(stat_now().read_errors, 1);
	ck_assert_uint_eq(atomic_load(&nr_hanging), 2);
	spill_patience_ns = 20 * ZT_NS_PER_S;
	/* And others do not wait as long, until it answers. */
	ck_assert_int_eq(wait_for(other, NULL), -EIO);
	atomic_store(&answers, true);
	ck_assert_int_eq(check(other, 8192, 2), 0);
	spill_quiet(spill); /* all readings have ended */
	ck_assert_uint_eq(stat_now().objects, 1);
	ck_assert(!spill->stuck);
	ck_assert_uint_eq(stat_now().used, 2 * SPILL_UNIT);
	/* Without its threads, too. */
	other = put(8192, 3);
	ck_assert_int_eq(check(other, 8192, 3), 0);
	stop();
}
END_TEST

static void *wait_long(void *arg)
{
	const spill_id *id = arg;

	ck_assert_int_eq(wait_for(*id, NULL), 0);
	return NULL;
}

START_TEST(test_of_a_slow_disk_so_many_threads_wait)
{
	pthread_t thread;
	spill_id id;

	start(16 * MIB);
	id = put(8192, 1);
	spill_set_waiters(spill, 1);
	spill_hangs_ns = SPILL_SLOW_NS;
	begin_to_hang(false);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_long, &id), 0);
	while (atomic_load(&nr_hanging) == 0)
		(void)usleep(1000);
	ck_assert_int_eq(wait_for(id, NULL), -EIO);
	/* They share what is read, and nothing is read twice. */
	ck_assert_uint_eq(atomic_load(&nr_hanging), 1);
	atomic_store(&answers, true);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(check(id, 8192, 1), 0);
	stop();
	spill_hangs_ns = 10 * ZT_NS_PER_S;
}
END_TEST

static atomic_bool slow_hangs;

/* The first object is never answered, others are, each after a while. */
static int slow_hook(bool writes, uint64_t off, size_t *inout_len)
{
	(void)inout_len;
	while (!writes && off == 0 && atomic_load(&slow_hangs))
		(void)usleep(1000);
	return 0;
}

static void *read_others(void *arg)
{
	const spill_id *ids = arg;

	for (unsigned i = 0; atomic_load(&slow_hangs); i++) {
		ck_assert_int_eq(check(ids[i % 100], COPY_BYTES / 2, i % 100), 0);
		(void)usleep(10000);
	}
	return NULL;
}

/* More wait than may of one that hangs; nobody is told that it does while it answers. */
START_TEST(test_a_disk_that_answers_others_is_busy_and_does_not_hang)
{
	spill_id ids[100], id;
	pthread_t thread;
	uint64_t begin;

	start(16 * MIB);
	id = put(8192, 1);
	for (unsigned i = 0; i < 100; i++)
		ids[i] = put(COPY_BYTES / 2, i);
	spill_set_waiters(spill, 0);
	spill_patience_ns = spill_hangs_ns = SPILL_SLOW_NS;
	atomic_store(&slow_hangs, true);
	spill_io_hook = slow_hook;
	ck_assert_int_eq(pthread_create(&thread, NULL, read_others, ids), 0);
	begin = zt_now_ns();
	ck_assert_int_eq(wait_for(id, NULL), -EIO);
	ck_assert_uint_ge(zt_now_ns() - begin, 6 * SPILL_SLOW_NS);
	ck_assert(!spill->stuck);
	atomic_store(&slow_hangs, false);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(check(id, 8192, 1), 0);
	stop();
	spill_patience_ns = 20 * ZT_NS_PER_S;
	spill_hangs_ns = 10 * ZT_NS_PER_S;
}
END_TEST

static void *write_one(void *arg)
{
	*(spill_id *)arg = put(8192, 7);
	return NULL;
}

START_TEST(test_a_write_that_does_not_end_counts_as_a_full_disk)
{
	pthread_t thread;
	spill_id id;

	start(16 * MIB);
	begin_to_hang(true);
	ck_assert_int_eq(pthread_create(&thread, NULL, write_one, &id), 0);
	while (atomic_load(&nr_hanging) == 0)
		(void)usleep(1000);
	ck_assert(spill_may_write(spill));
	spill_hangs_ns = SPILL_SLOW_NS;
	while (spill_may_write(spill))
		(void)usleep(10000);
	ck_assert_uint_eq(spill_free_bytes(spill), 0);
	atomic_store(&answers, true);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(spill_may_write(spill));
	ck_assert_int_eq(check(id, 8192, 7), 0);
	stop();
	spill_hangs_ns = 10 * ZT_NS_PER_S;
}
END_TEST

/* Bad blocks: where one of several that are read together fails, the others are read alone. */
static uint64_t bad_from, bad_to;

static int bad_hook(bool writes, uint64_t off, size_t *inout_len)
{
	(void)inout_len;
	if (writes)
		return 0;
	/* A call that begins before it may span it: the first one of several does. */
	nr_calls++;
	return (off >= bad_from && off < bad_to) || nr_calls == 1 ? -EIO : 0;
}

START_TEST(test_a_bad_block_fails_its_own_object_alone)
{
	spill_id ids[4];

	start(16 * MIB);
	for (unsigned i = 0; i < 4; i++)
		ids[i] = put(8192, i);
	bad_from = 2 * 8192;
	bad_to = 3 * 8192;
	nr_calls = 0;
	spill_io_hook = bad_hook;
	for (unsigned i = 0; i < 4; i++)
		ck_assert(spill_want(spill, ids[i]));
	spill_fetch(spill, NULL);
	for (unsigned i = 0; i < 4; i++) {
		const char *bytes;

		ck_assert_int_eq(spill_hold(spill, ids[i], &bytes), i == 2 ? -EIO : 0);
		if (i != 2)
			spill_let(spill, ids[i]);
	}
	ck_assert_uint_eq(stat_now().read_errors, 1);
	spill_done(spill);
	/* A disk that has recovered is asked anew. */
	spill_io_hook = NULL;
	ck_assert_int_eq(check(ids[2], 8192, 2), 0);
	stop();
}
END_TEST

START_TEST(test_bytes_that_have_changed_are_refused)
{
	spill_id id;
	char other = 'x';

	start(16 * MIB);
	id = put(8192, 5);
	ck_assert_int_eq(pwrite(fd, &other, 1, 8191), 1);
	ck_assert_int_eq(check(id, 8192, 5), -EIO);
	ck_assert_uint_eq(stat_now().read_errors, 1);
	/* Behind its end they do not matter. */
	spill_drop(spill, id);
	id = put(8000, 6);
	ck_assert_int_eq(pwrite(fd, &other, 1, (off_t)entry_unit(entry_at(&spill->table, id)) * SPILL_UNIT + 8100),
			 1);
	ck_assert_int_eq(check(id, 8000, 6), 0);
	stop();
}
END_TEST

START_TEST(test_a_file_that_was_cut_is_an_error)
{
	spill_id id;

	start(16 * MIB);
	id = put(8192, 5);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	ck_assert_int_eq(check(id, 8192, 5), -EIO);
	stop();
}
END_TEST

/* ---- without memory ---- */

START_TEST(test_it_is_not_made_without_memory)
{
	const struct arena_params params = { .reserve = GIB };
	char text[256];

	ck_assert_int_eq(arena_create(&params, &arena), 0);
	for (long n = 1;; n++) {
		struct arena_stat stat;
		int error;

		zt_fault_set(n);
		error = spill_create(&(struct spill_params){ .fd = -1, .size = MIB, .arena = arena }, text, &spill);
		if (!zt_fault_pending() && error) {
			ck_assert_int_eq(error, -ENOMEM);
		} else {
			zt_fault_set(0);
			ck_assert_int_eq(error, 0);
			spill_destroy(spill, false);
			ck_assert_int_gt(n, 3);
			break;
		}
		arena_get_stat(arena, &stat);
		ck_assert_uint_le(stat.aside + stat.heap, 2048); /* the chunk of a run */
	}
	ck_assert_int_eq(spill_create(&(struct spill_params){ .fd = -1, .size = MIB - 1, .arena = arena }, text, &spill),
			 -EINVAL);
	ck_assert_int_eq(spill_create(&(struct spill_params){ .fd = -1, .size = UINT64_C(16) << 40, .arena = arena }, text,
				      &spill),
			 -EINVAL);
	arena_destroy(arena);
}
END_TEST

/* Entries are made ahead; where there is no memory for more, those that are left serve. */
START_TEST(test_entries_last_without_memory)
{
	unsigned nr = 0;
	int error;

	start(64 * MIB);
	zt_fault_set_from(1);
	do {
		batch.nr = batch.used = 0;
		add(4000, nr);
		error = spill_write(spill, &batch);
		nr += error == 0;
	} while (!error);
	zt_fault_set_from(0);
	ck_assert_int_eq(error, -ENOMEM);
	ck_assert_uint_eq(nr, CHUNK_ENTRIES);
	ck_assert_uint_eq(batch.items[0].id, 0);
	(void)put(4000, 1);
	stop();
}
END_TEST

/* ---- encrypted ---- */

static void read_unit(spill_id id, char *bytes, size_t len)
{
	const off_t off = (off_t)entry_unit(entry_at(&spill->table, id)) * SPILL_UNIT;

	ck_assert_int_eq(pread(fd, bytes, len, off), (ssize_t)len);
}

static void write_unit(spill_id id, const char *bytes, size_t len)
{
	const off_t off = (off_t)entry_unit(entry_at(&spill->table, id)) * SPILL_UNIT;

	ck_assert_int_eq(pwrite(fd, bytes, len, off), (ssize_t)len);
}

START_TEST(test_encrypted_objects_come_back_and_are_not_in_the_file)
{
	static const uint32_t sizes[] = { 1, 4095, 4096, 4097, 20000, 65536, 131072 };
	static char file[SPILL_OBJECT_MAX], plain[SPILL_OBJECT_MAX];
	spill_id ids[ARRAY_SIZE(sizes)];

	key = a_key;
	start(16 * MIB);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		add(sizes[i], i + 1);
	ck_assert_int_eq(spill_write(spill, &batch), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		ids[i] = batch.items[i].id;
	for (unsigned i = 1; i < ARRAY_SIZE(sizes); i++) {
		read_unit(ids[i], file, sizes[i]);
		fill(plain, sizes[i], i + 1);
		for (uint32_t at = 0; at + 8 <= sizes[i]; at += 8)
			ck_assert(memcmp(file + at, plain + at, 8) != 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		ck_assert_int_eq(check(ids[i], sizes[i], i + 1), 0);
	stop();
}
END_TEST

START_TEST(test_the_same_bytes_are_never_encrypted_alike)
{
	char first[4096], second[4096];
	spill_id one, two;

	key = a_key;
	start(16 * MIB);
	one = put(4096, 7);
	read_unit(one, first, sizeof(first));
	spill_drop(spill, one);
	/* The same entry, the same units. */
	spill->space.cursor = 0;
	two = put(4096, 7);
	ck_assert_uint_eq(two, one);
	read_unit(two, second, sizeof(second));
	for (unsigned at = 0; at < sizeof(first); at += 8)
		ck_assert(memcmp(first + at, second + at, 8) != 0);
	ck_assert_int_eq(check(two, 4096, 7), 0);
	stop();
}
END_TEST

START_TEST(test_what_was_encrypted_is_refused_when_it_is_another)
{
	char one[4096], two[4096], old[4096], *bytes;
	spill_id ids[2], again;

	key = a_key;
	start(16 * MIB);
	ids[0] = put(4096, 1);
	ids[1] = put(4096, 2);
	read_unit(ids[0], one, sizeof(one));
	read_unit(ids[1], two, sizeof(two));
	/* A bit. */
	bytes = one + 4095;
	*bytes ^= 1;
	write_unit(ids[0], one, sizeof(one));
	ck_assert_int_eq(check(ids[0], 4096, 1), -EIO);
	*bytes ^= 1;
	/* Exchanged. */
	write_unit(ids[0], two, sizeof(two));
	write_unit(ids[1], one, sizeof(one));
	ck_assert_int_eq(check(ids[0], 4096, 1), -EIO);
	ck_assert_int_eq(check(ids[1], 4096, 2), -EIO);
	write_unit(ids[0], one, sizeof(one));
	ck_assert_int_eq(check(ids[0], 4096, 1), 0);
	/* As it once was, in the same place and of the same entry. */
	memcpy(old, one, sizeof(old));
	spill_drop(spill, ids[0]);
	spill->space.cursor = 0;
	again = put(4096, 1);
	ck_assert_uint_eq(again, ids[0]);
	write_unit(again, old, sizeof(old));
	ck_assert_int_eq(check(again, 4096, 1), -EIO);
	stop();
}
END_TEST

/* The bytes are right, but what the entry says of them is not. */
START_TEST(test_an_entry_that_is_another_is_refused)
{
	spill_id id;

	key = a_key;
	start(16 * MIB);
	id = put(4096, 1);
	entry_at(&spill->table, id)->mask ^= 1;
	ck_assert_int_eq(check(id, 4096, 1), -EIO);
	entry_at(&spill->table, id)->mask ^= 1;
	ck_assert_int_eq(check(id, 4096, 1), 0);
	stop();
}
END_TEST

/* ---- another process ---- */

/* As a kill leaves it, for a process with @with as its key. Return: what spill_create() says. */
static int resume(const uint8_t *with, char text[256])
{
	const struct arena_params params = { .reserve = GIB };
	const uint64_t size = spill->size;
	int arena_fd, error;

	spill_done(spill);
	spill_destroy(spill, true);
	arena_detach(arena, &arena_fd);
	ck_assert_msg(arena_attach(&params, arena_fd, text, &arena) == 0, "%s", text);
	error = spill_create(&(struct spill_params){ .fd = fd,
						     .size = size,
						     .arena = arena,
						     .key = with,
						     .attach = true },
			     text, &spill);
	if (!error)
		ck_assert_int_eq(arena_attach_end(arena), 0);
	return error;
}

static void resume_well(void)
{
	char text[256];

	ck_assert_msg(resume(key, text) == 0, "%s", text);
}

START_TEST(test_another_process_finds_all_of_it)
{
	enum { NR = CHUNK_ENTRIES + 200 };
	static spill_id ids[NR];
	struct spill_stat before;
	uint64_t nonce;

	key = _i ? a_key : NULL;
	start(64 * MIB);
	for (unsigned i = 0; i < NR; i++)
		ids[i] = put(5000, i + 1);
	for (unsigned i = 0; i < NR; i += 3)
		spill_drop(spill, ids[i]);
	before = stat_now();
	nonce = spill->table.nonce;
	resume_well();
	ck_assert_uint_eq(stat_now().objects, before.objects);
	ck_assert_uint_eq(stat_now().bytes, before.bytes);
	ck_assert_uint_eq(stat_now().used, before.used);
	for (unsigned i = 0; i < NR; i++)
		ck_assert_int_eq(spill_claim(spill, ids[i]), i % 3 != 0);
	ck_assert(!spill_claim(spill, ids[1])); /* twice */
	ck_assert(!spill_claim(spill, 0));
	ck_assert(!spill_claim(spill, UINT32_MAX));
	ck_assert_uint_eq(spill_sweep(spill), 0);
	for (unsigned i = 0; i < NR; i++)
		if (i % 3)
			ck_assert_int_eq(check(ids[i], 5000, i + 1), 0);
	/* It goes on, with entries, units and nonces that nobody has. */
	for (unsigned i = 0; i < NR; i += 3)
		ids[i] = put(5000, i + 1);
	if (key)
		ck_assert_uint_gt(entry_at(&spill->table, ids[0])->nonce, nonce);
	for (unsigned i = 0; i < NR; i++)
		ck_assert_int_eq(check(ids[i], 5000, i + 1), 0);
	stop();
}
END_TEST

/* What stands behind a chunk is somebody else's, whatever it looks like. */
START_TEST(test_entries_end_where_their_chunk_does)
{
	ref_t chunk, runs[64];
	bool behind = false;
	unsigned nr = 0;
	spill_id id;

	key = NULL;
	start(16 * MIB);
	id = put(5000, 1);
	chunk = arena_ref(arena, spill->table.chunks[0]);
	while (!behind && nr < ARRAY_SIZE(runs)) {
		ck_assert_int_eq(arena_run_alloc(arena, CHUNK_PAGES, ARENA_RUN_ZSPAGE, 0, &runs[nr]), 0);
		ck_assert_int_eq(arena_populate(arena, runs[nr], 1), 0);
		behind = runs[nr++] == chunk + CHUNK_PAGES * ARENA_PAGE_REFS;
	}
	ck_assert(behind);
	memset(arena_ptr(arena, runs[nr - 1]), 0xff, sizeof(struct spill_entry));
	resume_well();
	ck_assert_uint_eq(stat_now().objects, 1);
	ck_assert_int_eq(spill_claim(spill, id), 1);
	ck_assert_int_eq(check(id, 5000, 1), 0);
	while (nr-- > 0) {
		arena_punch(arena, runs[nr], 1);
		arena_run_free(arena, runs[nr]);
	}
	stop();
}
END_TEST

START_TEST(test_what_no_word_names_is_swept_and_its_units_rest)
{
	spill_id ids[4], id;
	uint32_t unit;

	key = NULL;
	start(16 * MIB);
	for (unsigned i = 0; i < 4; i++)
		ids[i] = put(8192, i);
	unit = entry_unit(entry_at(&spill->table, ids[2]));
	resume_well();
	ck_assert(spill_claim(spill, ids[0]) && spill_claim(spill, ids[1]) &&
		  spill_claim(spill, ids[3]));
	ck_assert_uint_eq(spill_sweep(spill), 1);
	ck_assert(!spill_is_id(spill, ids[2]));
	ck_assert_uint_eq(stat_now().objects, 3);
	ck_assert_uint_eq(stat_now().used, (uint64_t)8 * SPILL_UNIT);
	/* Whoever was killed may still be writing there. */
	for (unsigned i = 0; i < 100; i++) {
		spill->space.cursor = 0;
		id = put(4096, i);
		ck_assert(entry_unit(entry_at(&spill->table, id)) != unit);
	}
	/* In the life after that they are free. */
	resume_well();
	spill->space.cursor = 0;
	id = put(8192, 9);
	ck_assert_uint_eq(entry_unit(entry_at(&spill->table, id)), unit);
	stop();
}
END_TEST

START_TEST(test_a_group_that_was_being_punched_rests)
{
	spill_id id;

	key = NULL;
	start(16 * MIB);
	(void)put(4096, 1);
	table_punching(&spill->table, 1);
	resume_well();
	ck_assert_uint_eq(stat_now().used, (uint64_t)(SPACE_GROUP_UNITS + 1) * SPILL_UNIT);
	for (unsigned i = 0; i < SPACE_GROUP_UNITS; i++) {
		id = put(4096, i);
		ck_assert_uint_ne(entry_unit(entry_at(&spill->table, id)) / SPACE_GROUP_UNITS, 1);
	}
	resume_well();
	ck_assert_uint_eq(stat_now().used, (uint64_t)(SPACE_GROUP_UNITS + 1) * SPILL_UNIT);
	spill->space.cursor = SPACE_GROUP_UNITS;
	id = put(4096, 3);
	ck_assert_uint_eq(entry_unit(entry_at(&spill->table, id)) / SPACE_GROUP_UNITS, 1);
	stop();
}
END_TEST

static void forge_overlap(void)
{
	entry_at(&spill->table, 1)->place = entry_at(&spill->table, 2)->place;
}

static void forge_far(void)
{
	entry_at(&spill->table, 1)->place = UINT32_MAX | (uint64_t)4096 << 32;
}

static void forge_long(void)
{
	entry_at(&spill->table, 1)->place = (uint64_t)(SPILL_OBJECT_MAX + 1) << 32;
}

static void forge_number(void)
{
	spill->table.chunks[0]->head.nr = 2;
}

static void forge_larger(void)
{
	spill->table.chunks[0]->head.nr = UINT32_MAX;
}

static const struct {
	void (*forge)(void);
	const char *says;
} forged[] = {
	{ forge_overlap, "two objects have the same place" },
	{ forge_far, "two objects have the same place, or none" },
	{ forge_long, "two objects have the same place, or none" },
	{ forge_number, "a chunk is missing" },
	{ forge_larger, "it is of a larger file" },
};

START_TEST(test_a_damaged_table_is_refused)
{
	char text[256];

	key = NULL;
	start(16 * MIB);
	(void)put(4096, 1);
	(void)put(4096, 2);
	forged[_i].forge();
	ck_assert_int_eq(resume(NULL, text), -EUCLEAN);
	ck_assert_msg(strstr(text, forged[_i].says) != NULL, "%s", text);
	zt_unmap(batch.bytes, SPILL_BATCH_BYTES);
	close(fd);
	arena_destroy(arena);
}
END_TEST

START_TEST(test_a_build_without_the_library_says_so)
{
	const struct arena_params params = { .reserve = GIB };
	char text[256];

	ck_assert_int_eq(arena_create(&params, &arena), 0);
	ck_assert_int_eq(spill_create(&(struct spill_params){ .fd = -1,
							      .size = MIB,
							      .arena = arena,
							      .key = a_key },
				      text, &spill),
			 -EOPNOTSUPP);
	ck_assert_str_eq(text, "this build cannot encrypt what is in a spill file");
	arena_destroy(arena);
}
END_TEST

START_TEST(test_who_has_another_key_or_none_is_refused)
{
	char text[256];

	key = _i ? a_key : NULL;
	start(16 * MIB);
	(void)put(4096, 1);
	ck_assert_int_eq(resume(_i ? NULL : a_key, text), -EINVAL);
	ck_assert_str_eq(text, _i ? "what is in the spill file is encrypted"
				  : "what is in the spill file is not encrypted");
	zt_unmap(batch.bytes, SPILL_BATCH_BYTES);
	close(fd);
	arena_destroy(arena);
}
END_TEST

START_TEST(test_who_has_no_file_is_refused_unless_nothing_is_out)
{
	const struct arena_params params = { .reserve = GIB };
	struct arena_stat stat;
	uint64_t resident;
	char text[256];
	int arena_fd;
	spill_id id;

	key = NULL;
	start(16 * MIB);
	id = put(4096, 1);
	for (unsigned i = 0; i < 2; i++) {
		if (i)
			spill_drop(spill, id);
		spill_destroy(spill, true);
		arena_detach(arena, &arena_fd);
		ck_assert_int_eq(arena_attach(&params, arena_fd, text, &arena), 0);
		arena_get_stat(arena, &stat);
		resident = stat.resident;
		ck_assert_int_eq(spill_none(arena, text), i ? 0 : -EINVAL);
		ck_assert_int_eq(spill_create(&(struct spill_params){ .fd = fd,
								      .size = 16 * MIB,
								      .arena = arena,
								      .attach = true },
					      text, &spill),
				 0);
	}
	/* The table went, and is there anew. */
	arena_get_stat(arena, &stat);
	ck_assert_uint_eq(stat.resident, resident);
	ck_assert_uint_eq(stat_now().objects, 0);
	ck_assert_int_eq(arena_attach_end(arena), 0);
	stop();
}
END_TEST

/* ---- kept for an image ---- */

START_TEST(test_what_is_kept_stays_when_no_word_names_it)
{
	enum { NR = 20 };
	static char bytes[NR * 5 * SPILL_UNIT], want[5 * SPILL_UNIT];
	spill_id ids[NR], other;
	uint64_t units, objects, at = 0;
	struct spill_kept kept;
	size_t done;

	key = _i ? a_key : NULL;
	start(16 * MIB);
	for (unsigned i = 0; i < NR; i++)
		ids[i] = put(4096 + 1000 * i % 16000, i + 1);
	spill_drop(spill, ids[3]); /* before: it is none of them */
	ck_assert_int_eq(spill_keep(spill), 0);
	ck_assert_int_eq(spill_keep(spill), -EBUSY);
	spill_drop(spill, ids[5]); /* between: it may be */
	ck_assert_int_eq(spill_keep_list(spill, &units, &objects), 0);
	ck_assert_uint_eq(objects, NR - 1);
	for (unsigned i = 0; i < NR; i += 2)
		spill_drop(spill, ids[i]);
	/* What comes takes other units and entries, and does not matter. */
	for (unsigned i = 0; i < 50; i++) {
		spill->space.cursor = 0;
		other = put(4096, 1000 + i);
		for (unsigned j = 0; j < NR; j++)
			ck_assert(j == 3 || other != ids[j]);
	}
	ck_assert_int_eq(spill_keep_read(spill, 0, bytes, sizeof(bytes), &done), 0);
	ck_assert_uint_eq(done, units * SPILL_UNIT);
	for (uint64_t i = 0; i < objects; i++) {
		uint32_t size = 0;

		ck_assert_int_eq(spill_keep_at(spill, i, &kept), 0);
		for (unsigned j = 0; j < NR && !size; j++) {
			if (j == 3 || entry_unit(entry_at(&spill->table, ids[j])) != kept.unit)
				continue;
			size = 4096 + 1000 * j % 16000;
			memset(want, 0, sizeof(want));
			fill(want, size, j + 1);
		}
		ck_assert_uint_gt(size, 0);
		ck_assert_uint_eq(kept.nr_units, units_of(size));
		ck_assert(memcmp(bytes + at, want, (size_t)kept.nr_units * SPILL_UNIT) == 0);
		at += (uint64_t)kept.nr_units * SPILL_UNIT;
	}
	/* From the middle of one, too. */
	ck_assert_int_eq(spill_keep_read(spill, 7 * SPILL_UNIT, want, sizeof(want), &done), 0);
	ck_assert(memcmp(want, bytes + (size_t)7 * SPILL_UNIT, sizeof(want)) == 0);
	ck_assert_int_eq(spill_keep_at(spill, objects, &kept), -ESTALE);
	spill_keep_end(spill);
	ck_assert_uint_eq(stat_now().objects, NR / 2 - 2 + 50);
	ck_assert_int_eq(spill_keep_read(spill, 0, bytes, SPILL_UNIT, &done), -ESTALE);
	ck_assert_int_eq(spill_keep_at(spill, 0, &kept), -ESTALE);
	stop();
}
END_TEST

START_TEST(test_an_object_that_cannot_be_read_ends_the_reading)
{
	uint64_t units, objects;
	char bytes[SPILL_UNIT];
	size_t done;
	spill_id id;

	key = NULL;
	start(16 * MIB);
	id = put(4096, 1);
	(void)put(4096, 2);
	write_unit(id, "another", 7);
	ck_assert_int_eq(spill_keep(spill), 0);
	ck_assert_int_eq(spill_keep_list(spill, &units, &objects), 0);
	ck_assert_int_eq(spill_keep_read(spill, 0, bytes, sizeof(bytes), &done), -EIO);
	ck_assert_int_eq(spill_keep_read(spill, SPILL_UNIT, bytes, sizeof(bytes), &done), 0);
	go_wrong(false, 1, -EIO, 0);
	ck_assert_int_eq(spill_keep_read(spill, SPILL_UNIT, bytes, sizeof(bytes), &done), -EIO);
	spill_io_hook = NULL;
	spill_keep_end(spill);
	stop();
}
END_TEST

/* ---- threads ---- */

enum { SHARED = 200 };
static spill_id shared[SHARED];
static atomic_bool ends;

static void *reader(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg;

	while (!atomic_load(&ends)) {
		const unsigned i = (unsigned)(zt_random(&seed) % SHARED);
		const unsigned nr = 1 + (unsigned)(zt_random(&seed) % SPILL_WANTS);
		const char *bytes;

		for (unsigned j = 0; j < nr; j++)
			(void)spill_want(spill, shared[(i + j) % SHARED]);
		spill_fetch(spill, NULL);
		for (unsigned j = 0; j < nr; j++) {
			uint64_t first;

			if (spill_hold(spill, shared[(i + j) % SHARED], &bytes))
				continue;
			memcpy(&first, bytes, sizeof(first));
			ck_assert_uint_eq(first, (i + j) % SHARED);
			spill_let(spill, shared[(i + j) % SHARED]);
		}
		if (zt_random(&seed) % 4 == 0)
			spill_done(spill);
	}
	spill_done(spill);
	return NULL;
}

START_TEST(test_threads_share_copies)
{
	pthread_t threads[6];
	uint64_t seed = zt_seed();

	start(64 * MIB);
	for (uint64_t i = 0; i < SHARED; i++) {
		char *bytes;

		batch.nr = batch.used = 0;
		bytes = spill_batch_add(&batch, 4000 + (uint32_t)(zt_random(&seed) % 60000), 0);
		memcpy(bytes, &i, sizeof(i));
		ck_assert_int_eq(spill_write(spill, &batch), 0);
		shared[i] = batch.items[0].id;
	}
	atomic_store(&ends, false);
	for (uintptr_t i = 0; i < ARRAY_SIZE(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, reader, (void *)(i + seed)), 0);
	/* Others come and go meanwhile, in the same units. */
	for (unsigned i = 0; i < 3000; i++)
		spill_drop(spill, put(4000 + i, i));
	atomic_store(&ends, true);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	for (unsigned i = 0; i < SHARED; i++)
		spill_drop(spill, shared[i]);
	ck_assert_uint_eq(stat_now().objects, 0);
	ck_assert_uint_eq(stat_now().used, 0);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spill");
	TCase *tc = tcase_create("spill");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_units_side_by_side_are_given_once);
	tcase_add_test(tc, test_units_agree_with_a_model);
	tcase_add_test(tc, test_objects_come_back_as_they_were);
	tcase_add_test(tc, test_a_full_batch_takes_no_more);
	tcase_add_test(tc, test_more_is_read_than_there_are_copies);
	tcase_add_test(tc, test_copies_that_nobody_wants_have_no_memory);
	tcase_add_test(tc, test_a_file_that_is_full_takes_what_fits);
	tcase_add_test(tc, test_a_batch_fills_gaps);
	tcase_add_test(tc, test_space_of_what_is_gone_is_given_back_to_the_disk);
	tcase_add_test(tc, test_units_stay_while_they_are_to_be_read);
	tcase_add_test(tc, test_a_copy_of_what_is_gone_is_not_found_by_its_successor);
	tcase_add_test(tc, test_no_more_is_wanted_than_fits);
	tcase_add_test(tc, test_what_cannot_be_written_gets_no_id);
	tcase_add_test(tc, test_a_short_write_goes_on);
	tcase_add_test(tc, test_a_short_read_goes_on);
	tcase_add_test(tc, test_a_disk_that_does_not_answer_can_be_given_up);
	tcase_add_test(tc, test_of_a_slow_disk_so_many_threads_wait);
	tcase_add_test(tc, test_a_disk_that_answers_others_is_busy_and_does_not_hang);
	tcase_add_test(tc, test_a_write_that_does_not_end_counts_as_a_full_disk);
	tcase_add_test(tc, test_a_bad_block_fails_its_own_object_alone);
	tcase_add_test(tc, test_bytes_that_have_changed_are_refused);
	tcase_add_test(tc, test_a_file_that_was_cut_is_an_error);
	tcase_add_test(tc, test_it_is_not_made_without_memory);
	tcase_add_test(tc, test_entries_last_without_memory);
	if (spill_can_encrypt()) {
		tcase_add_test(tc, test_encrypted_objects_come_back_and_are_not_in_the_file);
		tcase_add_test(tc, test_the_same_bytes_are_never_encrypted_alike);
		tcase_add_test(tc, test_what_was_encrypted_is_refused_when_it_is_another);
		tcase_add_test(tc, test_an_entry_that_is_another_is_refused);
		tcase_add_loop_test(tc, test_who_has_another_key_or_none_is_refused, 0, 2);
	} else {
		tcase_add_test(tc, test_a_build_without_the_library_says_so);
	}
	tcase_add_loop_test(tc, test_another_process_finds_all_of_it, 0, spill_can_encrypt() ? 2 : 1);
	tcase_add_test(tc, test_entries_end_where_their_chunk_does);
	tcase_add_test(tc, test_what_no_word_names_is_swept_and_its_units_rest);
	tcase_add_test(tc, test_a_group_that_was_being_punched_rests);
	tcase_add_loop_test(tc, test_a_damaged_table_is_refused, 0, ARRAY_SIZE(forged));
	tcase_add_test(tc, test_who_has_no_file_is_refused_unless_nothing_is_out);
	tcase_add_loop_test(tc, test_what_is_kept_stays_when_no_word_names_it, 0,
			    spill_can_encrypt() ? 2 : 1);
	tcase_add_test(tc, test_an_object_that_cannot_be_read_ends_the_reading);
	tcase_add_test(tc, test_threads_share_copies);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
