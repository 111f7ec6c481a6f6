// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_stress.c - many submitters, few engines, and somebody who holds, releases, fails, stalls,
 * kills and resets them at random, and lets deadlines pass. Every result must expand to what went
 * in, and every accepted request must end exactly once. ZT_STRESS=N multiplies the number of
 * requests; totals are printed.
 */
#include <errno.h>
#include <sched.h>
#include <semaphore.h>

#include "backends/accel.h"
#include "tests/zcomp/fixture.h"

/* Short: what a stall holds up waits for it. */
#define STRESS_DEADLINE_US 3000u

enum { UNIT = 4096, NR_SUBMITTERS = 8, NR_SLOTS = 6, REQUESTS = 400 };

static uint64_t seed;

static struct shared {
	struct zcomp *comp;
	long requests; /* of each submitter */
	atomic_int nr_running;
	atomic_ulong nr_accepted, nr_done, nr_cancelled;
} shared;

/* A request under way. */
struct slot {
	struct zcomp_strm *strm; /* NULL: free */
	struct zcomp_req req;
	uint64_t data_seed;
	sem_t done;
	atomic_int nr_done;
	int error;
};

struct submitter {
	uint64_t random;
	struct slot slots[NR_SLOTS];
	uint8_t data[UNIT], packed[2 * UNIT], back[UNIT];
};

/* The same data for the same seed, so that it needn't be kept. */
static size_t make_data(uint8_t *data, uint64_t data_seed)
{
	uint64_t random = data_seed;

	fill_data((enum data_kind)(data_seed % NR_DATA_KINDS), data, UNIT, &random);
	return 1 + data_seed % UNIT;
}

static void expand_is(struct submitter *s, const void *packed, size_t packed_len,
		      uint64_t data_seed)
{
	struct zcomp_strm *strm = zcomp_stream_get(shared.comp, ZSTRM_DEFAULT);
	size_t len = make_data(s->data, data_seed), out = 0;

	ck_assert_int_eq(
		zcomp_decompress(shared.comp, strm, packed, packed_len, s->back, UNIT, &out), 0);
	ck_assert_uint_eq(out, len);
	ck_assert_int_eq(memcmp(s->back, s->data, len), 0);
	zcomp_stream_put(shared.comp, strm);
}

static void slot_done(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	struct slot *slot = arg;

	ck_assert_ptr_eq(strm, slot->strm);
	ck_assert_ptr_eq(req, &slot->req);
	slot->error = error;
	atomic_fetch_add(&slot->nr_done, 1);
	atomic_fetch_add(&shared.nr_done, 1);
	sem_post(&slot->done);
}

static void reap(struct submitter *s, struct slot *slot)
{
	if (!slot->strm)
		return;
	while (sem_wait(&slot->done) != 0)
		;
	ck_assert_int_eq(atomic_load(&slot->nr_done), 1);
	if (slot->error == 0)
		expand_is(s, slot->strm->buffer, slot->req.dst_len, slot->data_seed);
	else
		ck_assert_msg(slot->error == -EIO || slot->error == -ETIMEDOUT ||
				      slot->error == -ECANCELED || slot->error == -EOWNERDEAD ||
				      slot->error == -ESHUTDOWN,
			      "%d", slot->error);
	zcomp_stream_put(shared.comp, slot->strm);
	slot->strm = NULL;
}

static void submit_one(struct submitter *s, struct slot *slot)
{
	struct zcomp_strm *strm = zcomp_stream_get_managed(shared.comp);
	size_t len;
	int error;

	if (!strm)
		return;
	slot->data_seed = zt_random(&s->random);
	len = make_data(strm->local_copy, slot->data_seed);
	slot->strm = strm;
	slot->error = 1;
	atomic_store(&slot->nr_done, 0);
	slot->req = (struct zcomp_req){ .src = strm->local_copy,
					.src_len = len,
					.dst = strm->buffer,
					.dst_cap = strm->buffer_size };
	error = zcomp_submit(shared.comp, strm, &slot->req, slot_done, slot);
	if (!error) {
		atomic_fetch_add(&shared.nr_accepted, 1);
		return;
	}
	ck_assert(error == -EBUSY || error == -ESHUTDOWN);
	slot->strm = NULL;
	zcomp_stream_put(shared.comp, strm);
}

/*
 * Some by one submission: of one size, and of different data. The device takes as many as it has
 * room for.
 */
static void submit_some(struct submitter *s)
{
	struct zcomp_batch_entry entries[NR_SLOTS];
	uint64_t data_seed = zt_random(&s->random);
	uint32_t nr = 0, taken;

	for (size_t i = 0; i < NR_SLOTS; i++) {
		struct slot *slot = &s->slots[i];
		size_t len;

		if (slot->strm)
			continue;
		slot->strm = zcomp_stream_get_managed(shared.comp);
		if (!slot->strm)
			break;
		slot->data_seed = data_seed + (uint64_t)nr * UNIT;
		len = make_data(slot->strm->local_copy, slot->data_seed);
		slot->error = 1;
		atomic_store(&slot->nr_done, 0);
		slot->req = (struct zcomp_req){ .src = slot->strm->local_copy,
						.src_len = len,
						.dst = slot->strm->buffer,
						.dst_cap = slot->strm->buffer_size };
		entries[nr++] = (struct zcomp_batch_entry){ slot->strm, &slot->req, slot };
	}
	taken = zcomp_submit_batch(shared.comp, entries, nr, slot_done);
	atomic_fetch_add(&shared.nr_accepted, taken);
	while (nr-- > taken) {
		struct slot *slot = entries[nr].arg;

		zcomp_stream_put(shared.comp, slot->strm);
		slot->strm = NULL;
	}
}

static void compress_one(struct submitter *s, enum zstrm_pref pref)
{
	struct zcomp_strm *strm = zcomp_stream_get(shared.comp, pref);
	uint64_t data_seed = zt_random(&s->random);
	size_t len = make_data(s->data, data_seed), out = 0;

	ck_assert_int_eq(zcomp_compress(shared.comp, strm, s->data, len, strm->buffer_size, &out),
			 0);
	memcpy(s->packed, strm->buffer, out);
	zcomp_stream_put(shared.comp, strm);
	expand_is(s, s->packed, out, data_seed);
}

static void *submitter_main(void *arg)
{
	struct submitter *s = arg;

	for (long i = 0; i < shared.requests; i++) {
		struct slot *slot = &s->slots[zt_random(&s->random) % NR_SLOTS];

		switch (zt_random(&s->random) % 10) {
		case 8: /* what no engine has begun is taken back */
			if (slot->strm && zcomp_cancel(shared.comp, slot->strm, &slot->req)) {
				atomic_fetch_add(&shared.nr_cancelled, 1);
				zcomp_stream_put(shared.comp, slot->strm);
				slot->strm = NULL;
			}
			break;
		case 9:
			reap(s, slot);
			submit_some(s);
			break;
		case 0:
			compress_one(s, ZSTRM_DEFAULT);
			break;
		case 1:
			compress_one(s, ZSTRM_PREFER_MGMT);
			break;
		default:
			reap(s, slot);
			submit_one(s, slot);
			break;
		}
	}
	for (size_t i = 0; i < NR_SLOTS; i++)
		reap(s, &s->slots[i]);
	atomic_fetch_sub(&shared.nr_running, 1);
	return NULL;
}

/* Holds are always followed by a release: submitters wait for what they submitted. */
static void disturb(uint64_t *random)
{
	const struct zcomp_params *params = zcomp_get_params(shared.comp);
	struct zcomp_stat stat;

	switch (zt_random(random) % 8) {
	case 0:
		accel_hold(params);
		for (uint64_t i = zt_random(random) % 50; i > 0; i--)
			sched_yield();
		accel_release(params);
		break;
	case 1:
		accel_fail_next(params, zt_random(random) % 20, -EIO);
		break;
	case 2:
		accel_reset(params);
		break;
	case 3: /* a reset lets it go on, at the latest when its deadline has passed */
		accel_fault_next(params, 1, ACCEL_FAULT_STALL);
		accel_advance_clock(params, STRESS_DEADLINE_US);
		break;
	case 4:
		accel_fault_next(params, zt_random(random) % 3,
				 zt_random(random) % 2 ? ACCEL_FAULT_KILL : ACCEL_FAULT_RESET);
		break;
	case 5:
		accel_advance_clock(params, zt_random(random) % STRESS_DEADLINE_US);
		break;
	default:
		zcomp_get_stat(shared.comp, &stat);
		(void)zcomp_poll(shared.comp, 3); /* some of what is done, or nothing */
		ck_assert_uint_le(stat.device.queued_max, 16 + 4);
		for (uint64_t i = zt_random(random) % 50; i > 0; i--)
			sched_yield();
		break;
	}
}

static void run_stress(const char *name, uint32_t latency_us, bool stop_in_the_middle)
{
	static struct submitter submitters[NR_SUBMITTERS];
	struct zcomp_config config = config_of(name, UNIT);
	pthread_t threads[NR_SUBMITTERS];
	const char *times = getenv("ZT_STRESS");
	uint64_t random = seed;
	struct zcomp_stat stat;

	config.nr_streams = 4;
	config.accel = true;
	config.accel_params = (struct zcomp_accel_params){ .engines = 4,
							   .depth = 16,
							   .deadline_us = STRESS_DEADLINE_US,
							   .latency_us = latency_us,
							   .poll_us = 2 * latency_us };
	memset(&shared, 0, sizeof(shared));
	memset(submitters, 0, sizeof(submitters));
	shared.comp = must_create(&config);
	accel_be_patient(zcomp_get_params(shared.comp));
	shared.requests = REQUESTS * (times ? atol(times) : 1);
	atomic_store(&shared.nr_running, NR_SUBMITTERS);
	for (int i = 0; i < NR_SUBMITTERS; i++) {
		submitters[i].random = seed + (uint64_t)i + 1;
		for (size_t k = 0; k < NR_SLOTS; k++)
			sem_init(&submitters[i].slots[k].done, 0, 0);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, submitter_main, &submitters[i]),
				 0);
	}
	while (atomic_load(&shared.nr_running) > 0) {
		disturb(&random);
		if (stop_in_the_middle && atomic_load(&shared.nr_done) > REQUESTS)
			zcomp_stop(shared.comp);
	}
	for (int i = 0; i < NR_SUBMITTERS; i++)
		pthread_join(threads[i], NULL);
	stat = stat_of(shared.comp);
	printf("%s: accepted %lu, ended %lu, cancelled %lu, late %" PRIu64 ", resets %" PRIu64
	       ", restarts %" PRIu64 ", timeouts %" PRIu64 "\n",
	       name, atomic_load(&shared.nr_accepted), atomic_load(&shared.nr_done),
	       atomic_load(&shared.nr_cancelled), stat.device.late, stat.device.resets,
	       stat.device.restarts, stat.fallback_timeout);
	ck_assert_uint_eq(atomic_load(&shared.nr_done) + atomic_load(&shared.nr_cancelled),
			  atomic_load(&shared.nr_accepted));
	ck_assert_uint_eq(stat.device.queued_now, 0);
	ck_assert_uint_ge(stat.device.completed, atomic_load(&shared.nr_done));
	ck_assert_uint_ge(stat.mgmt_calls + stat.fallback_error + stat.fallback_timeout +
				  stat.fallback_reset + stat.fallback_dead + stat.fallback_shutdown,
			  stat.device.completed);
	zcomp_destroy(shared.comp);
}

START_TEST(test_every_request_ends_once_and_right_under_disturbance)
{
	run_stress(_i ? "zstd" : "lz4", _i ? 50 : 0, false);
}
END_TEST

START_TEST(test_stop_under_load_loses_nothing)
{
	run_stress(_i ? "zstd" : "lz4", 0, true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stress");
	TCase *tc = tcase_create("stress");

	seed = zt_seed();
	tcase_set_timeout(tc, getenv("ZT_STRESS") ? 7200 : 120);
	tcase_add_loop_test(tc, test_every_request_ends_once_and_right_under_disturbance, 0, 2);
	tcase_add_loop_test(tc, test_stop_under_load_loses_nothing, 0, 2);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
