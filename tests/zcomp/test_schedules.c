// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_schedules.c - the pseudo-accelerator in thousands of orders: two tasks submit, cancel and wait, a
 * third has engines stall, fail and die, resets the device and moves its clock; engines and the watchdog
 * are tasks as well. Each request ends once, its stream is lent to one at a time, and all that was made
 * comes to its end.
 *
 * ZT_SECONDS and ZT_SEED: tests/lib/sched_case.h.
 *
 * Tests accel.c, accel_engine.c, accel_queue.c, accel_watch.c, accel_wait.c, accel_idle.c and accel_ripe.c together.
 */
#include <errno.h>
#include <stdatomic.h>

#include "backends/accel.h"
#include "tests/lib/sched_case.h"
#include "tests/zcomp/fixture.h"

#define NR_TASKS    3u
#define NR_OPS	    4u
#define UNIT	    4096u
#define DEPTH	    3u
#define DEADLINE_US 10000000u
#define RUNS	    60u

enum op_kind { OP_SUBMIT, OP_CANCEL, OP_COMPRESS, OP_POLL, OP_RESET, OP_LATE, OP_LOOK, OP_FAULT, OP_HOLD, OP_RELEASE };

static const enum op_kind callers_ops[] = { OP_SUBMIT, OP_SUBMIT, OP_CANCEL, OP_COMPRESS, OP_POLL };
static const enum op_kind device_ops[] = { OP_RESET, OP_LATE, OP_LOOK, OP_FAULT, OP_FAULT, OP_HOLD, OP_RELEASE };

static const char *const op_names[] = {
	[OP_SUBMIT] = "submit", [OP_CANCEL] = "cancel", [OP_COMPRESS] = "compress", [OP_POLL] = "poll",
	[OP_RESET] = "reset", [OP_LATE] = "deadline", [OP_LOOK] = "look", [OP_FAULT] = "fault",
	[OP_HOLD] = "hold", [OP_RELEASE] = "release",
};

struct request {
	struct zcomp_strm *strm; /* NULL: not submitted */
	struct zcomp_req req;
	unsigned nr_done, nr_unpinned;
	bool cancelled;
};

struct job {
	enum op_kind ops[NR_OPS];
	unsigned nr;
	struct request requests[NR_OPS];
	enum accel_fault fault;
};

static struct zcomp *comp;
static const struct zcomp_params *params;
static struct job jobs[NR_TASKS];
static struct zcomp_accel_params accel_params;
static uint8_t text[UNIT];
static const struct zcomp_strm *lent[16]; /* to whom tasks have them: never twice */

static void lend(const struct zcomp_strm *strm)
{
	unsigned at = ARRAY_SIZE(lent);

	for (unsigned i = 0; i < ARRAY_SIZE(lent); i++) {
		if (lent[i] == strm)
			sched_fail("a stream is lent twice");
		if (!lent[i])
			at = i;
	}
	if (at == ARRAY_SIZE(lent))
		sched_fail("more streams than there are");
	lent[at] = strm;
}

static void give_back(struct zcomp_strm *strm)
{
	for (unsigned i = 0; i < ARRAY_SIZE(lent); i++)
		if (lent[i] == strm)
			lent[i] = NULL;
	zcomp_stream_put(comp, strm);
}

static void request_done(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	struct request *request = arg;

	if (req != &request->req || strm != request->strm || request->cancelled)
		sched_fail("done() of another request");
	if (!error && (req->dst_len == 0 || req->dst_len > req->dst_cap))
		sched_fail("done() says %zu bytes", req->dst_len);
	request->nr_done++;
	give_back(strm);
}

static void request_unpinned(void *arg)
{
	((struct request *)arg)->nr_unpinned++;
}

static void submit(struct request *request)
{
	struct zcomp_strm *strm = zcomp_stream_get_managed(comp);

	if (!strm)
		return;
	lend(strm);
	request->strm = strm;
	request->req = (struct zcomp_req){ .src = text, .src_len = UNIT, .dst = strm->buffer, .dst_cap = 2 * UNIT,
					   .unpin = request_unpinned, .unpin_arg = request };
	if (zcomp_submit(comp, strm, &request->req, request_done, request) != 0) {
		request->strm = NULL;
		give_back(strm);
	}
}

static void cancel(struct job *job, unsigned before)
{
	for (unsigned i = 0; i < before; i++) {
		struct request *request = &job->requests[i];

		if (request->strm && !request->cancelled && zcomp_cancel(comp, request->strm, &request->req)) {
			request->cancelled = true;
			give_back(request->strm);
		}
	}
}

/* It waits, and falls back where the device fails. */
static void compress(void)
{
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_PREFER_MGMT);
	size_t len = 0;
	int error = zcomp_compress(comp, strm, text, UNIT, UNIT, &len);

	if (error && error != -ENOSPC)
		sched_fail("compress: %d", error);
	zcomp_stream_put(comp, strm);
}

static void *job_run(void *arg)
{
	struct job *job = arg;

	for (unsigned i = 0; i < job->nr; i++) {
		sched_name(op_names[job->ops[i]]);
		switch (job->ops[i]) {
		case OP_SUBMIT:
			submit(&job->requests[i]);
			break;
		case OP_CANCEL:
			cancel(job, i);
			break;
		case OP_COMPRESS:
			compress();
			break;
		case OP_POLL:
			(void)zcomp_poll(comp, 2);
			break;
		case OP_RESET:
			accel_reset(params);
			break;
		case OP_LATE:
			accel_advance_clock(params, DEADLINE_US);
			break;
		case OP_LOOK:
			accel_look(params);
			break;
		case OP_FAULT:
			accel_fault_next(params, 1, job->fault);
			break;
		case OP_HOLD:
			accel_hold(params);
			break;
		default:
			accel_release(params);
		}
	}
	return NULL;
}

/* In the run, so that engines are tasks. */
static void prepare(uint64_t seed)
{
	struct zcomp_config config = { .name = "lz4", .level = ZCOMP_LEVEL_DEFAULT, .nr_streams = 4, .unit = UNIT, .accel = true,
				       .accel_params = accel_params };
	char why[ZCOMP_ERROR_TEXT];

	fill_text(text, UNIT, &seed);
	memset(lent, 0, sizeof(lent));
	for (unsigned t = 0; t < NR_TASKS; t++)
		memset(jobs[t].requests, 0, sizeof(jobs[t].requests));
	sched_must(zcomp_create(&config, why, &comp), "create");
	params = zcomp_get_params(comp);
}

static void check(void)
{
	accel_release(params);
	zcomp_stop(comp);
	for (unsigned t = 0; t < NR_TASKS; t++)
		for (unsigned i = 0; i < NR_OPS; i++) {
			const struct request *request = &jobs[t].requests[i];
			const unsigned wanted = request->strm && !request->cancelled;

			if (request->nr_done != wanted || request->nr_unpinned != wanted)
				sched_fail("request %u.%u: done() %u times, unpin() %u times", t, i, request->nr_done,
					   request->nr_unpinned);
		}
	zcomp_destroy(comp);
}

static const char *random_jobs(uint64_t seed)
{
	static char words[320];
	size_t at = 0;

	accel_params = (struct zcomp_accel_params){ .engines = 1 + zt_random(&seed) % 2, .depth = DEPTH,
						    .deadline_us = DEADLINE_US, .batch = 1 + zt_random(&seed) % 2,
						    .poll_us = zt_random(&seed) % 3 ? 0 : 50 };
	words[0] = '\0';
	for (unsigned t = 0; t < NR_TASKS; t++) {
		jobs[t].nr = 1 + (unsigned)(zt_random(&seed) % NR_OPS);
		jobs[t].fault = ACCEL_FAULT_FAIL + (enum accel_fault)(zt_random(&seed) % 4);
		for (unsigned i = 0; i < jobs[t].nr; i++) {
			jobs[t].ops[i] = t < 2 ? callers_ops[zt_random(&seed) % ARRAY_SIZE(callers_ops)] :
						 device_ops[zt_random(&seed) % ARRAY_SIZE(device_ops)];
			at += (size_t)snprintf(words + at, sizeof(words) - at, "%s%s", i ? ", " : t ? " beside " : "",
					       op_names[jobs[t].ops[i]]);
		}
	}
	return words;
}

START_TEST(test_requests_in_many_orders)
{
	struct sched_totals totals = { 0 };

	for (uint64_t seed = sched_time_begins(); sched_has_time(&totals); seed++) {
		const struct sched_case c = {
			.seed = seed,
			.text = random_jobs(seed),
			.prepare = prepare,
			.check = check,
			.inside = true,
			.nr_more = 1 + accel_params.engines,
			.task = job_run,
			.args = { &jobs[0], &jobs[1], &jobs[2] },
			.nr_tasks = NR_TASKS,
			.totals = &totals,
		};

		if (_i)
			sched_case_all(&c, 1);
		else
			sched_case_random(&c, RUNS, 3);
	}
	sched_tell(&totals);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("accel");

	tcase_add_loop_test(tc, test_requests_in_many_orders, 0, 2);
	return sched_case_main(tc, NULL);
}
