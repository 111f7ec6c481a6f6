// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_spill.c - clusters whose objects are out: read, written, cut, shared, and brought back; and
 * what others do while objects go out or come in.
 *
 * Tests fetch.c, spiller.c, spill_pass.c and spilled.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "blkmap/spilled.h"
#include "blkmap/upkeep/spiller.h"
#include "tests/blkmap/at_point.h"
#include "tests/blkmap/bm_fixture.h"
#include "tests/blkmap/psi_event.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/hook.h"

#define CLUSTER 65536u
#define CLUSTERS 24u
#define SIZE (CLUSTERS * CLUSTER)

static struct bm bm;
static char data[SIZE], back[SIZE];
static int fd;

static void start(const struct bm_config *base)
{
	struct bm_config config = *base;
	char name[] = "/tmp/zt-spill-XXXXXX";

	fd = mkstemp(name);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(name), 0);
	if (!config.order)
		config.order = 4;
	if (!config.spill_size)
		config.spill_size = 256 * MIB;
	config.spill_fd = fd;
	bm_start(&bm, &config);
}

static void stop(void)
{
	spill_io_hook = NULL;
	bm_stop(&bm);
	close(fd);
}

static void fill_random(char *buf, size_t len, uint64_t seed)
{
	for (size_t i = 0; i + 8 <= len; i += 8) {
		const uint64_t value = zt_random(&seed);

		memcpy(buf + i, &value, 8);
	}
}

/* Compresses to about a half: so no cluster has one value, and each has an object of its own. */
static void fill_half(char *buf, size_t len, uint64_t seed)
{
	fill_random(buf, len, seed);
	for (size_t i = 0; i < len; i += 64)
		memset(buf + i, (int)(i / CLUSTER) + 1, len - i < 32 ? len - i : 32);
}

static unsigned nr_waits; /* for the disk */

/* As the layer above does: with nothing held, and then again. */
static int retry(int error)
{
	if (error == -EREMOTE) {
		nr_waits++;
		blkmap_spill_wait(bm.map, NULL);
	} else {
		blkmap_spill_done(bm.map);
	}
	return error;
}

static int spill_read(uint64_t off, void *buf, size_t len)
{
	int error;

	do {
		error = blkmap_read(bm.map, &bm.file, off, buf, len);
	} while (retry(error) == -EREMOTE);
	return error;
}

static int read_all(void)
{
	int error = 0;

	for (uint64_t off = 0; !error && off < SIZE; off += 4 * CLUSTER)
		error = spill_read(off, back + off, 4 * CLUSTER);
	return error;
}

static int write_at(uint64_t off, const void *buf, size_t len)
{
	int error;

	do {
		error = bm_write(&bm, off, buf, len);
	} while (retry(error) == -EREMOTE);
	return error;
}

static void check_all(void)
{
	ck_assert_int_eq(read_all(), 0);
	ck_assert(memcmp(back, data, SIZE) == 0);
}

static struct blkmap_stat stat_now(void)
{
	struct blkmap_stat stat;

	blkmap_get_stat(bm.map, &stat);
	return stat;
}

static void all_out(void)
{
	(void)blkmap_spill_now(bm.map, 0, UINT64_MAX);
}

static void begin(const struct bm_config *config, bool raw)
{
	start(config);
	if (raw)
		fill_random(data, SIZE, 7);
	else
		fill_half(data, SIZE, 7);
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	all_out();
}

static uint64_t *slot_of(uint64_t idx)
{
	return tree_slot(bm.arena, &bm.file.tree, idx);
}

static bool is_out(uint64_t idx)
{
	return slot_kind(*slot_of(idx)) == SLOT_SPILLED;
}

/* No read is allowed until it is taken back. */
static int no_reads(bool writes, uint64_t off, size_t *inout_len)
{
	(void)off;
	(void)inout_len;
	return writes ? 0 : -EIO;
}

/* ---- out and in ---- */

START_TEST(test_what_went_out_reads_as_it_was)
{
	const bool raw = _i;
	struct blkmap_stat before, after;

	start(&(struct bm_config){ .order = 4 });
	if (raw)
		fill_random(data, SIZE, 7);
	else
		fill_half(data, SIZE, 7);
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	before = stat_now();
	all_out();
	after = stat_now();
	ck_assert_uint_eq(after.data.objects, 0);
	ck_assert_uint_eq(after.spill.objects, CLUSTERS);
	ck_assert_uint_eq(after.spill.bytes, before.data.object_bytes);
	ck_assert_uint_eq(after.nr_pages, before.nr_pages);
	ck_assert_uint_eq(after.huge_pages, before.huge_pages);
	ck_assert_uint_eq(after.huge_pages_since, before.huge_pages_since);
	ck_assert_uint_lt(after.data.resident, 64 * KIB);
	bm_check(&bm);
	nr_waits = 0;
	check_all();
	ck_assert_uint_ge(nr_waits, CLUSTERS / 8);
	ck_assert_uint_le(nr_waits, CLUSTERS);
	ck_assert(is_out(0) && is_out(CLUSTERS - 1));
	stop();
}
END_TEST

START_TEST(test_small_pieces_are_read_out_of_one_copy)
{
	begin(&(struct bm_config){ .order = 4 }, false);
	nr_waits = 0;
	for (uint32_t at = 0; at < CLUSTER; at += 4096) {
		ck_assert_int_eq(spill_read(at, back, 4096), 0);
		ck_assert(memcmp(back, data + at, 4096) == 0);
	}
	ck_assert_uint_eq(nr_waits, 1);
	stop();
}
END_TEST

/* Only what is large, and what is not a page over another object. */
START_TEST(test_small_objects_and_maps_stay)
{
	start(&(struct bm_config){ .order = 4 });
	memset(data, 0, SIZE);
	for (uint32_t i = 0; i < SIZE; i += 64)
		data[i] = (char)(i / CLUSTER + 1);
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	all_out();
	ck_assert_uint_eq(stat_now().spill.objects, 0);
	fill_half(data, SIZE, 3);
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	fill_random(data + 4096, 4096, 9);
	ck_assert_int_eq(bm_write(&bm, 4096, data + 4096, 4096), 0);
	ck_assert_int_eq(slot_kind(*slot_of(0)), SLOT_MAP);
	all_out();
	ck_assert_uint_eq(stat_now().spill.objects, CLUSTERS - 1);
	check_all();
	/* Folded it is one object like others. */
	(void)blkmap_trim(bm.map);
	all_out();
	ck_assert_uint_eq(stat_now().spill.objects, CLUSTERS);
	check_all();
	stop();
}
END_TEST

START_TEST(test_what_is_shared_stays_and_what_is_out_is_not_shared)
{
	struct blkmap_copy copy = { .from = &bm.file,
				    .to = &bm.file,
				    .from_off = 0,
				    .to_off = SIZE,
				    .len = CLUSTER };
	uint64_t done;

	begin(&(struct bm_config){ .order = 4 }, false);
	ck_assert_int_eq(blkmap_grow(bm.map, &bm.file, SIZE, CLUSTER), 0);
	ck_assert_int_eq(blkmap_share(bm.map, &copy, &done), -EAGAIN);
	ck_assert_uint_eq(done, 0);
	ck_assert_int_eq(spill_read(0, back, CLUSTER), 0);
	ck_assert_int_eq(write_at(0, data, CLUSTER), 0);
	ck_assert(!is_out(0));
	ck_assert_int_eq(blkmap_share(bm.map, &copy, &done), 0);
	all_out();
	ck_assert_int_eq(slot_kind(*slot_of(0)), SLOT_SHARED);
	check_all();
	stop();
}
END_TEST

START_TEST(test_oldest_goes_first_and_what_does_not_compress)
{
	start(&(struct bm_config){ .order = 4, .spill_idle = 50 });
	fill_half(data, SIZE, 1);
	fill_random(data + SIZE / 2, SIZE / 2, 2);
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	atomic_store(&bm.map->slots.age_now, 20);
	ck_assert_uint_eq(blkmap_spill_now(bm.map, 21, UINT64_MAX), 0);
	/* Used just now: these two, and what lies on the same pages. */
	ck_assert_int_eq(spill_read(0, back, CLUSTER), 0);
	ck_assert_int_eq(spill_read(SIZE - CLUSTER, back, CLUSTER), 0);
	ck_assert_uint_gt(blkmap_spill_now(bm.map, 20, UINT64_MAX), 0);
	ck_assert(!is_out(0));
	ck_assert(!is_out(CLUSTERS - 1));
	ck_assert_uint_ge(stat_now().spill.objects, CLUSTERS - 6);
	check_all();
	stop();
}
END_TEST

START_TEST(test_no_more_goes_than_is_asked_for)
{
	start(&(struct bm_config){ .order = 4 });
	fill_random(data, SIZE, 1);
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	ck_assert_uint_ge(blkmap_spill_now(bm.map, 0, 3 * CLUSTER), 3 * CLUSTER);
	ck_assert_uint_eq(stat_now().spill.objects, 3);
	/* The next look begins where this one ended, and comes around. */
	for (unsigned i = 2; i <= CLUSTERS / 3; i++) {
		(void)blkmap_spill_now(bm.map, 0, 3 * CLUSTER);
		ck_assert_uint_eq(stat_now().spill.objects, 3 * i);
	}
	ck_assert_uint_eq(blkmap_spill_now(bm.map, 0, 3 * CLUSTER), 0);
	check_all();
	stop();
}
END_TEST

START_TEST(test_clusters_of_all_sizes_go_out)
{
	const unsigned order = (unsigned)_i;

	begin(&(struct bm_config){ .order = order ? order : 5 }, order % 2);
	check_all();
	for (unsigned i = 0; i < 50; i++) {
		uint64_t seed = i + 1;
		const uint32_t at = (uint32_t)(zt_random(&seed) % (SIZE - 40000));
		const uint32_t len = 1 + (uint32_t)(zt_random(&seed) % 40000);

		fill_random(data + at, len & ~7u, i);
		ck_assert_int_eq(write_at(at, data + at, len), 0);
		if (i % 5 == 0)
			all_out();
	}
	all_out();
	check_all();
	stop();
}
END_TEST

/* ---- changes ---- */

START_TEST(test_a_whole_cluster_is_replaced_without_a_read)
{
	begin(&(struct bm_config){ .order = 4 }, false);
	spill_io_hook = no_reads;
	fill_half(data + CLUSTER, 2 * CLUSTER, 99);
	ck_assert_int_eq(bm_write(&bm, CLUSTER, data + CLUSTER, 2 * CLUSTER), 0);
	ck_assert_uint_eq(stat_now().spill.objects, CLUSTERS - 2);
	/* And so is what is longer than all that there is. */
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, SIZE - CLUSTER + 5000), 0);
	ck_assert(is_out(CLUSTERS - 1));
	ck_assert_int_eq(bm_write(&bm, SIZE - CLUSTER, data + SIZE - CLUSTER, CLUSTER / 2), 0);
	ck_assert(!is_out(CLUSTERS - 1));
	memset(data + SIZE - CLUSTER / 2, 0, CLUSTER / 2);
	spill_io_hook = NULL;
	check_all();
	stop();
}
END_TEST

START_TEST(test_it_is_cut_and_punched_without_a_read)
{
	begin(&(struct bm_config){ .order = 4 }, false);
	spill_io_hook = no_reads;
	ck_assert_int_eq(blkmap_punch(bm.map, &bm.file, 2 * CLUSTER, 3 * CLUSTER), 0);
	memset(data + 2 * CLUSTER, 0, 3 * CLUSTER);
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, SIZE - CLUSTER - 100), 0);
	memset(data + SIZE - CLUSTER - 100, 0, CLUSTER + 100);
	ck_assert_uint_eq(stat_now().spill.objects, CLUSTERS - 4);
	ck_assert(is_out(CLUSTERS - 2));
	bm_check(&bm);
	spill_io_hook = NULL;
	check_all();
	/* Cut once more, to some pages; and what is behind the end is not read. */
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, SIZE - 2 * CLUSTER + 4096), 0);
	memset(data + SIZE - 2 * CLUSTER + 4096, 0, CLUSTER);
	spill_io_hook = no_reads;
	ck_assert_int_eq(spill_read(SIZE - 2 * CLUSTER + 8192, back, 4096), 0);
	spill_io_hook = NULL;
	check_all();
	stop();
}
END_TEST

START_TEST(test_parts_are_merged_with_what_was_out)
{
	struct blkmap_stat before;

	begin(&(struct bm_config){ .order = 4 }, false);
	before = stat_now();
	memset(data + 100, 'a', 50);
	nr_waits = 0;
	ck_assert_int_eq(write_at(100, data + 100, 50), 0);
	ck_assert_uint_eq(nr_waits, 1);
	ck_assert(!is_out(0));
	ck_assert_uint_eq(stat_now().nr_pages, before.nr_pages);
	/* Over two of them. */
	memset(data + 3 * CLUSTER - 5000, 'b', 10000);
	ck_assert_int_eq(write_at(3 * CLUSTER - 5000, data + 3 * CLUSTER - 5000, 10000), 0);
	ck_assert(!is_out(2) && !is_out(3));
	/* A page in the middle. */
	memset(data + 5 * CLUSTER + 8192, 0, 4096);
	do {
		;
	} while (retry(blkmap_punch(bm.map, &bm.file, 5 * CLUSTER + 8192, 4096)) == -EREMOTE);
	ck_assert(!is_out(5));
	ck_assert_uint_eq(stat_now().nr_pages, before.nr_pages - 1);
	check_all();
	stop();
}
END_TEST

START_TEST(test_holes_in_a_cluster_stay_holes)
{
	uint64_t found;

	start(&(struct bm_config){ .order = 4 });
	memset(data, 0, SIZE);
	for (uint32_t page = 0; page < SIZE / 4096; page += 3) {
		fill_random(data + page * 4096u, 4096, page);
		ck_assert_int_eq(bm_write(&bm, page * UINT64_C(4096), data + page * 4096u, 4096), 0);
	}
	(void)blkmap_trim(bm.map); /* folded */
	all_out();
	ck_assert_uint_eq(stat_now().spill.objects, CLUSTERS);
	spill_io_hook = no_reads;
	for (uint32_t page = 0; page + 3 < SIZE / 4096; page += 3) {
		ck_assert_int_eq(blkmap_seek(bm.map, &bm.file, SIZE, page * UINT64_C(4096),
					     SEEK_HOLE, &found),
				 0);
		ck_assert_uint_eq(found, (page + 1) * UINT64_C(4096));
		ck_assert_int_eq(blkmap_seek(bm.map, &bm.file, SIZE, found, SEEK_DATA, &found), 0);
		ck_assert_uint_eq(found, (page + 3) * UINT64_C(4096));
	}
	spill_io_hook = NULL;
	check_all();
	/* Back in memory they are as they were, too. */
	for (uint64_t at = 0; at < SIZE;) {
		if (retry(blkmap_fetch(bm.map, &bm.file, at, &at)) == 0)
			break;
	}
	ck_assert_uint_eq(stat_now().spill.objects, 0);
	ck_assert_int_eq(blkmap_seek(bm.map, &bm.file, SIZE, 3 * 4096, SEEK_HOLE, &found), 0);
	ck_assert_uint_eq(found, 4 * 4096);
	check_all();
	/* fallocate fills them. */
	all_out();
	do {
		;
	} while (retry(blkmap_allocate(bm.map, &bm.file, 0, CLUSTER)) == -EREMOTE);
	ck_assert_int_eq(blkmap_seek(bm.map, &bm.file, SIZE, 0, SEEK_HOLE, &found), 0);
	ck_assert_uint_eq(found, CLUSTER);
	check_all();
	stop();
}
END_TEST

/* A tree that grows moves words; what is out needs nothing of it. */
START_TEST(test_a_file_grows_over_what_is_out)
{
	start(&(struct bm_config){ .order = 4 });
	fill_half(data, SIZE, 5);
	ck_assert_int_eq(bm_write(&bm, 0, data, CLUSTER), 0);
	all_out();
	for (unsigned i = 1; i < CLUSTERS; i++) {
		ck_assert_int_eq(bm_write(&bm, i * (uint64_t)CLUSTER, data + i * CLUSTER, CLUSTER), 0);
		if (i % 4 == 0)
			all_out();
	}
	check_all();
	stop();
}
END_TEST

/* ---- back ---- */

START_TEST(test_what_is_read_again_comes_back)
{
	const struct timespec second = { 1, 100000000 };

	begin(&(struct bm_config){ .order = 4 }, _i);
	ck_assert_int_eq(spill_read(0, back, CLUSTER), 0);
	ck_assert_int_eq(spill_read(0, back, CLUSTER), 0);
	ck_assert(is_out(0)); /* that was one use */
	nanosleep(&second, NULL);
	ck_assert_int_eq(spill_read(0, back, 4096), 0);
	ck_assert(!is_out(0));
	ck_assert(is_out(1));
	ck_assert_uint_eq(stat_now().spill.objects, CLUSTERS - 1);
	spill_io_hook = no_reads;
	ck_assert_int_eq(spill_read(0, back, CLUSTER), 0);
	ck_assert(memcmp(back, data, CLUSTER) == 0);
	spill_io_hook = NULL;
	check_all();
	stop();
}
END_TEST

START_TEST(test_all_of_a_file_is_fetched)
{
	uint64_t at = 0;
	int error;

	begin(&(struct bm_config){ .order = 4 }, _i);
	nr_waits = 0;
	do {
		error = blkmap_fetch(bm.map, &bm.file, at, &at);
	} while (retry(error) == -EREMOTE);
	ck_assert_int_eq(error, 0);
	ck_assert_uint_le(nr_waits, CLUSTERS / 4);
	ck_assert_uint_eq(stat_now().spill.objects, 0);
	ck_assert_uint_eq(stat_now().spill.used, 0);
	spill_io_hook = no_reads;
	check_all();
	stop();
}
END_TEST

START_TEST(test_dictionaries_stay_for_what_is_out)
{
	const struct bm_config config = { .order = 2, .recompress = "zstd", .recompress_idle = 1 };
	static char line[64];

	start(&config);
	for (uint32_t at = 0; at < SIZE; at += 16) {
		uint64_t seed = at;

		snprintf(line, sizeof(line), "%015x\n", (unsigned)(zt_random(&seed) & 0xffff));
		memcpy(data + at, line, 16);
	}
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	(void)blkmap_recompress(bm.map, 0);
	all_out();
	bm_check(&bm);
	for (unsigned i = 0; i < 3; i++)
		(void)blkmap_recompress(bm.map, 0);
	check_all();
	stop();
}
END_TEST

/* ---- a disk that fails ---- */

static atomic_uint nr_io, fail_from;

static int fail_writes(bool writes, uint64_t off, size_t *inout_len)
{
	(void)off;
	(void)inout_len;
	return writes && atomic_fetch_add(&nr_io, 1) + 1 >= atomic_load(&fail_from) ? -ENOSPC : 0;
}

START_TEST(test_what_cannot_be_written_stays)
{
	start(&(struct bm_config){ .order = 4 });
	fill_random(data, SIZE, 1);
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	atomic_store(&nr_io, 0);
	atomic_store(&fail_from, 2);
	spill_io_hook = fail_writes;
	all_out();
	ck_assert_uint_gt(stat_now().spill.objects, 0);
	ck_assert_uint_lt(stat_now().spill.objects, CLUSTERS);
	ck_assert_uint_eq(stat_now().spill.objects + stat_now().data.objects, CLUSTERS);
	ck_assert_uint_eq(stat_now().spill.write_errors, 1);
	bm_check(&bm);
	check_all();
	stop();
}
END_TEST

START_TEST(test_a_read_that_fails_is_of_its_file_alone)
{
	begin(&(struct bm_config){ .order = 4 }, false);
	ck_assert_int_eq(bm_write(&bm, SIZE, data, CLUSTER), 0);
	spill_io_hook = no_reads;
	ck_assert_int_eq(spill_read(CLUSTER, back, 4096), -EIO);
	ck_assert_int_eq(write_at(CLUSTER + 10, "x", 1), -EIO);
	ck_assert(is_out(1));
	ck_assert_int_eq(spill_read(SIZE, back, CLUSTER), 0);
	ck_assert(memcmp(back, data, CLUSTER) == 0);
	ck_assert_uint_ge(stat_now().spill.read_errors, 2);
	bm_check(&bm);
	/* Written as a whole it is sound again. */
	ck_assert_int_eq(bm_write(&bm, CLUSTER, data + CLUSTER, CLUSTER), 0);
	ck_assert_int_eq(spill_read(CLUSTER, back, CLUSTER), 0);
	spill_io_hook = NULL;
	check_all();
	stop();
}
END_TEST

START_TEST(test_a_small_file_takes_what_fits)
{
	start(&(struct bm_config){ .order = 4, .spill_size = MIB });
	fill_random(data, SIZE, 1);
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	all_out();
	ck_assert_uint_eq(stat_now().spill.objects, 16);
	ck_assert_uint_eq(stat_now().spill.used, MIB);
	ck_assert_uint_eq(stat_now().spill.write_errors, 0);
	check_all();
	stop();
}
END_TEST

/* ---- the limit on memory ---- */

static int write_reclaiming(uint64_t off, const char *buf, size_t len)
{
	const uint64_t until = zt_now_ns() + 20 * ZT_NS_PER_S;
	unsigned tries = 0;
	int error;

	do {
		error = write_at(off, buf, len);
	} while (error == -ENOSPC && blkmap_reclaim(bm.map, tries++, until));
	return error;
}

START_TEST(test_four_times_the_limit_is_written_and_read)
{
	enum { TIMES = 4 };
	const uint64_t limit = 8 * MIB;
	struct arena_stat arena;

	start(&(struct bm_config){ .order = 4, .limit = limit, .background = true });
	for (uint64_t off = 0; off < TIMES * limit; off += CLUSTER) {
		fill_random(back, CLUSTER, off + 1);
		ck_assert_int_eq(write_reclaiming(off, back, CLUSTER), 0);
	}
	arena_get_stat(bm.arena, &arena);
	ck_assert_uint_le(arena.used, arena.limit);
	ck_assert_uint_ge(stat_now().spill.bytes, (TIMES - 1) * limit);
	for (uint64_t off = 0; off < TIMES * limit; off += CLUSTER) {
		fill_random(data, CLUSTER, off + 1);
		ck_assert_int_eq(spill_read(off, back, CLUSTER), 0);
		ck_assert(memcmp(back, data, CLUSTER) == 0);
	}
	blkmap_stop(bm.map);
	stop();
}
END_TEST

START_TEST(test_age_alone_sends_out)
{
	const struct timespec a_while = { 0, 50000000 };

	start(&(struct bm_config){ .order = 4, .spill_idle = 1, .background = true });
	fill_half(data, SIZE, 1);
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	for (unsigned i = 0; i < 400 && stat_now().spill.objects < CLUSTERS; i++)
		nanosleep(&a_while, NULL);
	ck_assert_uint_eq(stat_now().spill.objects, CLUSTERS);
	check_all();
	blkmap_stop(bm.map);
	stop();
}
END_TEST

/* No limit is near, and no age was named. */
START_TEST(test_short_memory_in_the_machine_sends_out_what_is_idle)
{
	const struct timespec a_while = { 0, 50000000 };
	int terminal, psi = psi_event_open(&terminal);

	start(&(struct bm_config){ .order = 4 });
	fill_half(data, SIZE, 1);
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	atomic_store(&bm.map->slots.age_now, 20);
	ck_assert_int_eq(spiller_start(bm.map->upkeep.spiller, psi), 0);
	for (unsigned i = 0; i < 30; i++) /* more than a look */
		nanosleep(&a_while, NULL);
	ck_assert_uint_eq(stat_now().spill.objects, 0);
	psi_event(terminal);
	for (unsigned i = 0; i < 400 && stat_now().spill.objects < CLUSTERS; i++)
		nanosleep(&a_while, NULL);
	ck_assert_uint_eq(stat_now().spill.objects, CLUSTERS);
	check_all();
	blkmap_stop(bm.map);
	ck_assert_int_eq(fcntl(psi, F_GETFD), -1);
	close(terminal);
	stop();
}
END_TEST

START_TEST(test_a_kick_sends_all_out)
{
	const struct timespec a_while = { 0, 20000000 };
	uint64_t passes;

	start(&(struct bm_config){ .order = 4, .background = true });
	fill_half(data, SIZE, 1);
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	passes = blkmap_spill_kick(bm.map);
	for (unsigned i = 0; i < 500 && stat_now().spill_passes <= passes; i++)
		nanosleep(&a_while, NULL);
	ck_assert_uint_gt(stat_now().spill_passes, passes);
	ck_assert_uint_eq(stat_now().spill.objects, CLUSTERS);
	check_all();
	blkmap_stop(bm.map);
	stop();
}
END_TEST

/* What a pass needs is spared for it: entries, when the first chunk of them is full. */
START_TEST(test_objects_go_out_although_memory_is_used_up)
{
	enum { ENTRIES = 1638, MORE = 20, LEN = 8192 };
	const struct timespec a_while = { 0, 20000000 };
	struct arena_stat arena;
	static char cluster[LEN], got[LEN];

	start(&(struct bm_config){ .order = 1, .limit = 64 * MIB, .background = true });
	for (uint64_t i = 0; i < ENTRIES + MORE; i++) {
		fill_random(cluster, LEN, i + 1);
		ck_assert_int_eq(bm_write(&bm, i * LEN, cluster, LEN), 0);
	}
	zt_fault_set_from(1); /* no second one yet */
	all_out();
	zt_fault_set(0);
	ck_assert_uint_eq(stat_now().spill.objects, ENTRIES);
	arena_get_stat(bm.arena, &arena);
	ck_assert_uint_gt(arena.spare, 128 * KIB);
	arena_set_limit(bm.arena, arena.used + 128 * KIB);
	for (unsigned i = 0; i < 500 && stat_now().spill.objects == ENTRIES; i++)
		nanosleep(&a_while, NULL);
	ck_assert_uint_gt(stat_now().spill.objects, ENTRIES);
	for (uint64_t i = 0; i < ENTRIES + MORE; i++) {
		fill_random(cluster, LEN, i + 1);
		ck_assert_int_eq(spill_read(i * LEN, got, LEN), 0);
		ck_assert(memcmp(cluster, got, LEN) == 0);
	}
	blkmap_stop(bm.map);
	stop();
}
END_TEST

START_TEST(test_it_is_not_made_without_memory)
{
	const struct arena_params arena_params = { .reserve = GIB };
	const struct zs_pool_params pool_params = { .name = "meta", .id = 2 };
	struct blkmap_params params = { .comp.name = "lz4",
					.comp.level = ZCOMP_LEVEL_DEFAULT,
					.comp.nr_streams = 2,
					.spill_size = MIB,
					.spill_fd = -1 };
	char text[256];

	ck_assert_int_eq(arena_create(&arena_params, &params.arena), 0);
	ck_assert_int_eq(zs_pool_create(params.arena, &pool_params, &params.meta), 0);
	for (long n = 1;; n++) {
		struct blkmap *map;
		int error;

		zt_fault_set(n);
		error = blkmap_create(&params, text, &map);
		if (zt_fault_pending()) {
			zt_fault_set(0);
			ck_assert_int_eq(error, 0);
			blkmap_destroy(map);
			ck_assert_int_gt(n, 8);
			break;
		}
		if (!error)
			blkmap_destroy(map);
	}
	zs_pool_destroy(params.meta);
	arena_destroy(params.arena);
}
END_TEST

/* ---- all at once, against a model ---- */

enum { MODEL_FILES = 4 };
static struct blkmap_file files[MODEL_FILES];
static char model[MODEL_FILES][SIZE];
static pthread_mutex_t file_locks[MODEL_FILES]; /* as inodes are locked */
static atomic_bool ends;
static atomic_uint_fast64_t nr_ops;

static void file_new(struct blkmap_file *file)
{
	struct bm_file *record;
	ref_t ref;

	ck_assert_int_eq(zs_malloc(bm.meta, sizeof(struct bm_file), &ref), 0);
	record = zs_data(bm.arena, ref);
	memset(record, 0, sizeof(*record));
	*file = (struct blkmap_file){
		.tree = { .word = &record->word },
		.nr_pages = &record->nr_pages,
		.order = 4,
		.setting = BLKMAP_SETTING_DEFAULT,
	};
}

/* One operation on a file that is locked. Return: what it came to. */
static int operate(unsigned i, unsigned what, uint32_t at, uint32_t len, const char *bytes, char *got)
{
	size_t done;

	switch (what) {
	case 0:
		return blkmap_punch(bm.map, &files[i], at, len);
	case 1:
	case 2:
	case 3:
		if (!blkmap_covers(&files[i], at, len))
			ck_assert_int_eq(blkmap_grow(bm.map, &files[i], at, len), 0);
		return blkmap_write(bm.map, &files[i],
				    &(struct blkmap_bytes){ at, bytes, len, ZSTRM_DEFAULT }, &done);
	default:
		return blkmap_read(bm.map, &files[i], at, got, len);
	}
}

static void *worker(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg;
	char *bytes = malloc(4 * CLUSTER), *got = malloc(4 * CLUSTER);

	while (!atomic_load(&ends)) {
		const unsigned i = (unsigned)(zt_random(&seed) % MODEL_FILES);
		const unsigned what = (unsigned)(zt_random(&seed) % 8);
		const bool whole = zt_random(&seed) % 2;
		const uint32_t most = whole ? 3 * CLUSTER : 9000;
		uint32_t at = (uint32_t)(zt_random(&seed) % (SIZE - most));
		uint32_t len = 1 + (uint32_t)(zt_random(&seed) % most);
		int error;

		if (whole) {
			at = at / CLUSTER * CLUSTER;
			len = (len / CLUSTER + 1) * CLUSTER;
			len = len > SIZE - at ? SIZE - at : len;
		}
		bm_fill(&seed, bytes, len);
		do {
			pthread_mutex_lock(&file_locks[i]);
			/* A change that has begun is seen by nobody before it has ended: for the model. */
			while ((error = operate(i, what, at, len, bytes, got)) == -EREMOTE && what <= 3)
				blkmap_spill_wait(bm.map, NULL);
			if (!error && what == 0)
				memset(&model[i][at], 0, len);
			else if (!error && what <= 3)
				memcpy(&model[i][at], bytes, len);
			else if (!error)
				ck_assert(memcmp(&model[i][at], got, len) == 0);
			pthread_mutex_unlock(&file_locks[i]);
			if (error == -EREMOTE)
				blkmap_spill_wait(bm.map, NULL);
		} while (error == -EREMOTE);
		blkmap_spill_done(bm.map);
		ck_assert_int_eq(error, 0);
		atomic_fetch_add(&nr_ops, 1);
	}
	free(bytes);
	free(got);
	return NULL;
}

static void model_begin(void)
{
	memset(model, 0, sizeof(model));
	for (unsigned i = 0; i < MODEL_FILES; i++) {
		pthread_mutex_init(&file_locks[i], NULL);
		file_new(&files[i]);
		ck_assert_int_eq(blkmap_grow(bm.map, &files[i], 0, SIZE), 0);
	}
}

static void model_check(void)
{
	uint64_t objects = 0;

	for (unsigned i = 0; i < MODEL_FILES; i++) {
		bm.file = files[i];
		ck_assert_int_eq(read_all(), 0);
		ck_assert(memcmp(back, model[i], SIZE) == 0);
	}
	for (unsigned i = 0; i < MODEL_FILES; i++)
		ck_assert_int_eq(blkmap_check_file(bm.map, &files[i], &objects), 0);
	ck_assert_int_eq(blkmap_check(bm.map, objects), 0);
}

static void model_stop(void)
{
	blkmap_stop(bm.map);
	model_check();
	for (unsigned i = 0; i < MODEL_FILES; i++)
		ck_assert_int_eq(blkmap_truncate(bm.map, &files[i], 0), 0);
	ck_assert_uint_eq(stat_now().spill.objects, 0);
	ck_assert_uint_eq(stat_now().spill.used, 0);
	ck_assert_uint_eq(stat_now().data.objects, 0);
	blkmap_destroy(bm.map);
	zs_pool_destroy(bm.meta);
	arena_destroy(bm.arena);
	close(fd);
}

START_TEST(test_all_goes_on_while_objects_go_and_come)
{
	const struct bm_config config = { .order = 4,
					  .recompress = _i ? "zstd" : NULL,
					  .recompress_idle = 1,
					  .dedup = _i,
					  .background = true };
	const struct timespec a_while = { 0, 2000000 };
	const uint64_t until = zt_now_ns() + 2 * ZT_NS_PER_S, seed = zt_seed();
	pthread_t threads[4];

	start(&config);
	model_begin();
	atomic_store(&ends, false);
	for (uintptr_t i = 0; i < ARRAY_SIZE(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, worker, (void *)(seed + i)), 0);
	while (zt_now_ns() < until ||
	       (stat_now().spill.fetched <= 20 && zt_now_ns() < until + 50 * ZT_NS_PER_S)) {
		(void)blkmap_spill_now(bm.map, 0, 16 * CLUSTER);
		nanosleep(&a_while, NULL);
	}
	atomic_store(&ends, true);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	printf("%u operations, %u objects out, %u read\n", (unsigned)atomic_load(&nr_ops),
	       (unsigned)stat_now().spill.written, (unsigned)stat_now().spill.fetched);
	ck_assert_uint_gt(stat_now().spill.written, 20);
	ck_assert_uint_gt(stat_now().spill.fetched, 20);
	model_stop();
}
END_TEST

/* ---- schedules ---- */

#ifdef ZT_DEBUG

static void act_write_part(void)
{
	memset(data + 10000, 'w', 100);
	ck_assert_int_eq(write_at(10000, data + 10000, 100), 0);
}

static void act_write_whole(void)
{
	fill_half(data, 4 * CLUSTER, 1234);
	ck_assert_int_eq(write_at(0, data, 4 * CLUSTER), 0);
}

static void act_punch(void)
{
	memset(data, 0, 4 * CLUSTER);
	ck_assert_int_eq(blkmap_punch(bm.map, &bm.file, 0, 4 * CLUSTER), 0);
}

static void act_cut(void)
{
	memset(data + CLUSTER, 0, SIZE - CLUSTER);
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, CLUSTER), 0);
}

/* All is gone, the tree too, and other things stand where it was. */
static void act_replace_tree(void)
{
	memset(data, 0, SIZE);
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 0), 0);
	for (unsigned i = 0; i < 64; i++) {
		ref_t ref;

		ck_assert_int_eq(zs_malloc(bm.meta, 128, &ref), 0);
		memset(zs_data(bm.arena, ref), 't', 128);
	}
}

static void act_share(void)
{
	const struct blkmap_copy copy = { .from = &bm.file,
					  .to = &bm.file,
					  .from_off = 0,
					  .to_off = CLUSTER,
					  .len = CLUSTER };
	uint64_t done;

	memcpy(data + CLUSTER, data, CLUSTER);
	ck_assert_int_eq(blkmap_share(bm.map, &copy, &done), 0);
}

static void act_compact(void)
{
	(void)zs_compact(bm.map->slots.data, 0);
}

static void act_read(void)
{
	ck_assert_int_eq(spill_read(0, back, 8 * CLUSTER), 0);
	ck_assert(memcmp(back, data, 8 * CLUSTER) == 0);
}

static void (*const acts[])(void) = { act_write_part, act_write_whole, act_punch,   act_cut,
				      act_share,      act_compact,     act_read };

static void check_quietly(void)
{
	zt_hook_set(NULL, NULL);
	check_all();
	bm_check(&bm);
}

START_TEST(test_objects_change_after_they_were_copied)
{
	start(&(struct bm_config){ .order = 4 });
	fill_half(data, SIZE, 3);
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	at_point(bm.map, "spill: objects are copied", acts[_i]);
	all_out();
	ck_assert_uint_ge(nr_arrivals, 1);
	check_quietly();
	stop();
}
END_TEST

START_TEST(test_objects_change_after_they_were_written)
{
	start(&(struct bm_config){ .order = 4 });
	fill_half(data, SIZE, 3);
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	at_point(bm.map, "spill: objects are written", acts[_i]);
	all_out();
	ck_assert_uint_ge(nr_arrivals, 1);
	check_quietly();
	stop();
}
END_TEST

START_TEST(test_a_tree_goes_while_its_objects_are_written)
{
	start(&(struct bm_config){ .order = 4 });
	fill_half(data, SIZE, 3);
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	at_point(bm.map, "spill: objects are written", act_replace_tree);
	all_out();
	zt_hook_set(NULL, NULL);
	ck_assert_uint_eq(stat_now().spill.objects, 0);
	ck_assert_uint_eq(stat_now().spill.used, 0);
	check_all();
	blkmap_destroy(bm.map);
	zs_pool_destroy(bm.meta);
	arena_destroy(bm.arena);
	close(fd);
}
END_TEST

/* What a thread is about to read is replaced, and its units are written anew. */
static void act_reuse_units(void)
{
	zt_hook_set(NULL, NULL);
	act_write_whole();
	all_out();
}

START_TEST(test_what_is_to_be_read_is_replaced)
{
	begin(&(struct bm_config){ .order = 4, .spill_size = MIB }, false);
	at_point(bm.map, "spill: a thread reads with nothing held", _i ? act_punch : act_reuse_units);
	ck_assert_int_eq(spill_read(0, back, 4 * CLUSTER), 0);
	ck_assert_uint_ge(nr_arrivals, 1);
	ck_assert(memcmp(back, data, 4 * CLUSTER) == 0);
	check_quietly();
	stop();
}
END_TEST

/* It goes out between the choice of a way to write and the attempt. */
static void act_all_out(void)
{
	zt_hook_set(NULL, NULL);
	all_out();
}

START_TEST(test_a_cluster_goes_out_while_a_write_prepares)
{
	start(&(struct bm_config){ .order = 4 });
	fill_half(data, SIZE, 3);
	ck_assert_int_eq(bm_write(&bm, 0, data, SIZE), 0);
	at_point(bm.map, "attempt: a change is prepared", act_all_out);
	memset(data + 8192, 'p', 100); /* pages over it: an overlay */
	ck_assert_int_eq(write_at(8192, data + 8192, 100), 0);
	ck_assert_uint_eq(nr_arrivals, 1);
	check_quietly();
	ck_assert(!is_out(0) && is_out(1));
	stop();
}
END_TEST

#endif

int main(void)
{
	Suite *suite = suite_create("blkmap-spill");
	TCase *tc = tcase_create("spill");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_what_went_out_reads_as_it_was, 0, 2);
	tcase_add_test(tc, test_small_pieces_are_read_out_of_one_copy);
	tcase_add_test(tc, test_small_objects_and_maps_stay);
	tcase_add_test(tc, test_what_is_shared_stays_and_what_is_out_is_not_shared);
	tcase_add_test(tc, test_oldest_goes_first_and_what_does_not_compress);
	tcase_add_test(tc, test_no_more_goes_than_is_asked_for);
	tcase_add_loop_test(tc, test_clusters_of_all_sizes_go_out, 0, 5);
	tcase_add_test(tc, test_a_whole_cluster_is_replaced_without_a_read);
	tcase_add_test(tc, test_it_is_cut_and_punched_without_a_read);
	tcase_add_test(tc, test_parts_are_merged_with_what_was_out);
	tcase_add_test(tc, test_holes_in_a_cluster_stay_holes);
	tcase_add_test(tc, test_a_file_grows_over_what_is_out);
	tcase_add_loop_test(tc, test_what_is_read_again_comes_back, 0, 2);
	tcase_add_loop_test(tc, test_all_of_a_file_is_fetched, 0, 2);
	tcase_add_test(tc, test_dictionaries_stay_for_what_is_out);
	tcase_add_test(tc, test_what_cannot_be_written_stays);
	tcase_add_test(tc, test_a_read_that_fails_is_of_its_file_alone);
	tcase_add_test(tc, test_a_small_file_takes_what_fits);
	tcase_add_test(tc, test_four_times_the_limit_is_written_and_read);
	tcase_add_test(tc, test_age_alone_sends_out);
	tcase_add_test(tc, test_short_memory_in_the_machine_sends_out_what_is_idle);
	tcase_add_test(tc, test_a_kick_sends_all_out);
	tcase_add_test(tc, test_objects_go_out_although_memory_is_used_up);
	tcase_add_test(tc, test_it_is_not_made_without_memory);
	tcase_add_loop_test(tc, test_all_goes_on_while_objects_go_and_come, 0, 2);
#ifdef ZT_DEBUG
	tcase_add_loop_test(tc, test_objects_change_after_they_were_copied, 0,
			    (int)ARRAY_SIZE(acts));
	tcase_add_loop_test(tc, test_objects_change_after_they_were_written, 0,
			    (int)ARRAY_SIZE(acts));
	tcase_add_test(tc, test_a_tree_goes_while_its_objects_are_written);
	tcase_add_loop_test(tc, test_what_is_to_be_read_is_replaced, 0, 2);
	tcase_add_test(tc, test_a_cluster_goes_out_while_a_write_prepares);
#endif
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
