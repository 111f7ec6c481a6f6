// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_schedules.c - a channel in thousands of orders: readers that take and leave their duty, requests that are
 * held and answered by another thread, long ones that are interrupted, and the end at any moment. Each request is
 * answered once; what was not asked for is never answered; everything ends.
 *
 * The kernel is a queue in memory: a reader that finds it empty waits there, until a message comes, a signal or the
 * end. A signal that comes while its thread does not wait is lost, as it would be.
 *
 * ZT_SECONDS and ZT_SEED: tests/lib/sched_case.h.
 *
 * Tests worker.c, workers.c, caretaker.c, duty.c, longline.c, interrupt.c, ending.c and pool.c together; and line.c,
 * by which seeks wait for their turn.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <sched.h>
#include <string.h>

#include "fuse/channel/channel_i.h"
#include "tests/lib/sched_case.h"
#include "tests/lib/zt_check.h"
#include "util/line.h"

#define NR_READERS  3u
#define NR_HELD	    2u
#define NR_MESSAGES 5u
#define IO_MAX	    4096u
#define ENDLESS	    (UINT64_C(1) << 40)
#define RUNS	    60u
#define KERNEL_FD   1000 /* a number alone */

/* ---- the kernel ---- */

struct message {
	struct fuse_in_header header;
	union {
		struct fuse_init_in init;
		struct fuse_write_in write;
		struct fuse_fallocate_in fallocate;
		struct fuse_interrupt_in interrupt;
	};
};

/* All of it is guarded by the lock. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond; /* a message, the end, a signal */
	pthread_cond_t answered;
	struct message queue[2 * NR_MESSAGES + 1];
	unsigned nr_sent, nr_read;
	unsigned answers[4 * NR_MESSAGES]; /* by the message's number */
	unsigned nr_answered;
	bool over;
	struct reader {
		pthread_t thread;
		bool waits, signalled;
	} readers[NR_READERS + 1];
	unsigned nr_readers;
} kernel = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER };

/* The calling thread; the lock is held. */
static struct reader *reader_self(void)
{
	for (unsigned i = 0; i < kernel.nr_readers; i++)
		if (pthread_equal(kernel.readers[i].thread, pthread_self()))
			return &kernel.readers[i];
	if (kernel.nr_readers == ARRAY_SIZE(kernel.readers))
		sched_fail("more readers than there are threads");
	kernel.readers[kernel.nr_readers] = (struct reader){ .thread = pthread_self() };
	return &kernel.readers[kernel.nr_readers++];
}

static void on_kill(pthread_t thread)
{
	pthread_mutex_lock(&kernel.lock);
	for (unsigned i = 0; i < kernel.nr_readers; i++)
		if (pthread_equal(kernel.readers[i].thread, thread) && kernel.readers[i].waits)
			kernel.readers[i].signalled = true;
	pthread_cond_broadcast(&kernel.cond);
	pthread_mutex_unlock(&kernel.lock);
}

static ssize_t take(void *buf)
{
	const struct message *message = &kernel.queue[kernel.nr_read++];

	memcpy(buf, message, message->header.len);
	return (ssize_t)message->header.len;
}

static ssize_t kernel_read(int fd, void *buf, size_t size, void *arg)
{
	struct reader *me;
	ssize_t len = -1;

	(void)fd;
	(void)size;
	(void)arg;
	pthread_mutex_lock(&kernel.lock);
	me = reader_self();
	me->signalled = false;
	me->waits = true;
	while (kernel.nr_read == kernel.nr_sent && !kernel.over && !me->signalled)
		pthread_cond_wait(&kernel.cond, &kernel.lock);
	me->waits = false;
	if (kernel.nr_read < kernel.nr_sent)
		len = take(buf);
	else
		errno = kernel.over ? ENODEV : EINTR;
	pthread_mutex_unlock(&kernel.lock);
	return len;
}

static ssize_t kernel_writev(int fd, struct iovec *iov, int count, void *arg)
{
	const struct fuse_out_header *header = iov[0].iov_base;

	(void)fd;
	(void)count;
	(void)arg;
	pthread_mutex_lock(&kernel.lock);
	if (header->unique >= ARRAY_SIZE(kernel.answers) || ++kernel.answers[header->unique] > 1)
		sched_fail("request %llu is answered twice, or was never sent", (unsigned long long)header->unique);
	kernel.nr_answered++;
	pthread_cond_broadcast(&kernel.answered);
	pthread_mutex_unlock(&kernel.lock);
	return header->len;
}

static void kernel_send(const struct message *message, uint32_t opcode, uint64_t unique, size_t len)
{
	struct message *next;

	pthread_mutex_lock(&kernel.lock);
	next = &kernel.queue[kernel.nr_sent++];
	*next = *message;
	next->header = (struct fuse_in_header){ .len = (uint32_t)(sizeof(next->header) + len), .opcode = opcode, .unique = unique,
						.nodeid = FUSE_ROOT_ID };
	pthread_cond_broadcast(&kernel.cond);
	pthread_mutex_unlock(&kernel.lock);
}

/* ---- what serves ---- */

static struct channel *channel;

/* Requests that wait for the task that answers them; the end: no more come. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct request *requests[NR_MESSAGES];
	unsigned nr;
	bool over;
} held = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

static void reply(struct request *req, int error, const void *data, size_t len)
{
	struct fuse_out_header header = {
		.len = (uint32_t)(sizeof(header) + len),
		.error = error,
		.unique = ((const struct fuse_in_header *)req->msg)->unique,
	};
	struct iovec iov[] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)(uintptr_t)data, .iov_len = len },
	};

	(void)channel_write(channel, -1, iov, len ? 2 : 1);
}

static bool serve_write(struct request *req)
{
	if (!channel_hold(req)) {
		reply(req, 0, NULL, 0);
		return true;
	}
	pthread_mutex_lock(&held.lock);
	held.requests[held.nr++] = req;
	pthread_cond_signal(&held.cond);
	pthread_mutex_unlock(&held.lock);
	return false;
}

static bool serve(void *arg, struct request *req)
{
	const struct fuse_in_header *header = req->msg;
	const struct fuse_init_out init = { .major = 7, .minor = 31, .max_write = IO_MAX };

	(void)arg;
	switch (header->opcode) {
	case FUSE_INIT:
		reply(req, 0, &init, sizeof(init));
		break;
	case FUSE_WRITE:
		return serve_write(req);
	case FUSE_UNLINK:
		channel_may_wait();
		(void)sched_yield();
		reply(req, 0, NULL, 0);
		break;
	case FUSE_FALLOCATE:
		while (!request_is_interrupted(req) && !channel_stops(channel))
			(void)sched_yield();
		reply(req, -EINTR, NULL, 0);
		break;
	default:
		reply(req, 0, NULL, 0);
	}
	return true;
}

static enum channel_length length(void *arg, const void *msg, size_t len)
{
	const struct fuse_in_header *header = msg;

	(void)arg;
	(void)len;
	return header->opcode == FUSE_FALLOCATE ? CHANNEL_ENDLESS : header->opcode == FUSE_STATFS ? CHANNEL_SHORT : CHANNEL_LONG;
}

static void agree(void *arg, uint64_t flags)
{
	(void)arg;
	(void)flags;
}

static void trim(void *arg)
{
	(void)arg;
}

static const struct channel_ops ops = { .serve = serve, .length = length, .agree = agree, .trim = trim };

/* ---- tasks ---- */

/* What the client does, as the seed says. */
static struct {
	uint32_t opcodes[NR_MESSAGES];
	unsigned nr;
	bool waits; /* for all answers, before it ends */
} script;

static void send_one(uint32_t opcode, uint64_t unique)
{
	struct message message = { 0 };
	size_t len = 0;

	if (opcode == FUSE_WRITE) {
		message.write.size = 0;
		len = sizeof(message.write);
	} else if (opcode == FUSE_FALLOCATE) {
		message.fallocate.length = ENDLESS;
		len = sizeof(message.fallocate);
	} else if (opcode == FUSE_UNLINK) {
		memcpy(&message.init, "name", 5);
		len = 5;
	}
	kernel_send(&message, opcode, unique, len);
}

static void interrupt(uint64_t unique)
{
	struct message message = { .interrupt.unique = unique };

	kernel_send(&message, FUSE_INTERRUPT, unique | 1, sizeof(message.interrupt));
}

static void *client_run(void *arg)
{
	(void)arg;
	sched_name("client");
	for (unsigned i = 0; i < script.nr; i++)
		send_one(script.opcodes[i], 2 * i + 2);
	for (unsigned i = 0; i < script.nr; i++)
		if (script.opcodes[i] == FUSE_FALLOCATE)
			interrupt(2 * i + 2);
	pthread_mutex_lock(&kernel.lock);
	while (script.waits && kernel.nr_answered < script.nr)
		pthread_cond_wait(&kernel.answered, &kernel.lock);
	pthread_mutex_unlock(&kernel.lock);
	channel_end(channel);
	return NULL;
}

static void *holder_run(void *arg)
{
	(void)arg;
	sched_name("holder");
	pthread_mutex_lock(&held.lock);
	while (held.nr > 0 || !held.over) {
		struct request *req;

		if (held.nr == 0) {
			pthread_cond_wait(&held.cond, &held.lock);
			continue;
		}
		req = held.requests[--held.nr];
		pthread_mutex_unlock(&held.lock);
		reply(req, 0, NULL, 0);
		channel_release(req);
		pthread_mutex_lock(&held.lock);
	}
	pthread_mutex_unlock(&held.lock);
	return NULL;
}

static void *server_run(void *arg)
{
	(void)arg;
	sched_name("server");
	if (channel_start(channel) <= 0)
		sched_fail("no threads");
	sched_must(channel_wait(channel), "channel");
	channel_stop(channel);
	pthread_mutex_lock(&held.lock);
	held.over = true;
	pthread_cond_signal(&held.cond);
	pthread_mutex_unlock(&held.lock);
	return NULL;
}

static void *task_run(void *arg)
{
	return ((void *(*)(void *))(uintptr_t)arg)(NULL);
}

static void prepare(uint64_t seed)
{
	static const uint32_t kinds[] = { FUSE_STATFS, FUSE_STATFS, FUSE_WRITE, FUSE_WRITE, FUSE_UNLINK, FUSE_FALLOCATE };
	const struct channel_params params = {
		.nr_threads = 2 + (unsigned)(seed % (NR_READERS - 1)), /* one thread would wait for an interrupt that it must read */
		.nr_held = NR_HELD,
		.io_max = IO_MAX,
		.keeps_buffers = true,
		.read = kernel_read,
		.writev = kernel_writev,
	};
	struct message init = { .init = { .major = 7, .minor = 31, .flags = FUSE_MAX_PAGES } };

	kernel.nr_sent = kernel.nr_read = kernel.nr_answered = kernel.nr_readers = 0;
	kernel.over = false;
	memset(kernel.answers, 0, sizeof(kernel.answers));
	held.nr = 0;
	held.over = false;
	sched_must(channel_create(&params, &ops, NULL, &channel), "channel");
	kernel_send(&init, FUSE_INIT, 1, sizeof(init.init));
	if (channel_serve_first(channel, KERNEL_FD) <= 0)
		sched_fail("INIT is not served");
	(void)channel_open(channel, KERNEL_FD);
	kernel.nr_answered = 0;
	kernel.nr_readers = 0;
	script.nr = 1 + (unsigned)(zt_random(&seed) % NR_MESSAGES);
	script.waits = zt_random(&seed) % 4 != 0;
	for (unsigned i = 0; i < script.nr; i++)
		script.opcodes[i] = kinds[zt_random(&seed) % ARRAY_SIZE(kinds)];
}

static void check(void)
{
	if (held.nr != 0)
		sched_fail("a held request was forgotten");
	for (unsigned i = 0; script.waits && i < script.nr; i++)
		if (kernel.answers[2 * i + 2] != 1)
			sched_fail("request %u has %u answers", i, kernel.answers[2 * i + 2]);
	channel_destroy(channel);
}

static void one_case(uint64_t seed, unsigned nr_changes, struct sched_totals *totals)
{
	const struct sched_case c = {
		.seed = seed,
		.text = "a channel",
		.prepare = prepare,
		.check = check,
		.inside = true,
		.task = task_run,
		.args = { (void *)(uintptr_t)client_run, (void *)(uintptr_t)holder_run, (void *)(uintptr_t)server_run },
		.nr_tasks = 3,
		.totals = totals,
	};

	if (nr_changes)
		sched_case_all(&c, nr_changes);
	else
		sched_case_random(&c, RUNS, 4);
}

START_TEST(test_each_request_is_answered_once_and_all_ends)
{
	struct sched_totals totals = { 0 };

	sched_on_kill(on_kill);
	for (uint64_t seed = sched_time_begins(); sched_has_time(&totals); seed++)
		one_case(seed, (unsigned)_i, &totals);
	sched_on_kill(NULL);
	sched_tell(&totals);
}
END_TEST

/* ---- a line that ends: of seeks ---- */

#define NR_ITEMS 3u

static struct line_thread line;

static struct waiting {
	struct line_item item;
	unsigned nr_served; /* by the thread, or by who could not add it */
} waiting[2][NR_ITEMS];

static void serve_item(struct line_thread *thread, struct line_item *item)
{
	struct waiting *w = container_of(item, struct waiting, item);

	(void)thread;
	w->nr_served++;
}

static void *adder_run(void *arg)
{
	struct waiting *mine = arg;

	sched_name("adder");
	for (unsigned i = 0; i < NR_ITEMS; i++)
		if (line_thread_start(&line) != 0 || !line_thread_add(&line, &mine[i].item))
			mine[i].nr_served++;
	return NULL;
}

static void *line_task(void *arg)
{
	if (arg)
		return adder_run(arg);
	sched_name("stop");
	line_thread_stop(&line);
	return NULL;
}

static void line_prepare(uint64_t seed)
{
	(void)seed;
	memset(waiting, 0, sizeof(waiting));
	line_thread_init(&line, "zt-line", serve_item);
}

static void line_check(void)
{
	line_thread_stop(&line);
	line_thread_exit(&line);
	for (unsigned i = 0; i < 2 * NR_ITEMS; i++)
		if (waiting[i / NR_ITEMS][i % NR_ITEMS].nr_served != 1)
			sched_fail("an item is served %u times", waiting[i / NR_ITEMS][i % NR_ITEMS].nr_served);
}

START_TEST(test_all_that_waits_in_a_line_is_served_once_though_it_ends)
{
	struct sched_totals totals = { 0 };
	const struct sched_case c = {
		.text = "a line that ends",
		.prepare = line_prepare,
		.check = line_check,
		.inside = true,
		.nr_more = 1,
		.task = line_task,
		.args = { waiting[0], waiting[1], NULL },
		.nr_tasks = 3,
		.totals = &totals,
	};

	(void)sched_time_begins();
	sched_case_duel(&c);
	sched_tell(&totals);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("channel");

	tcase_add_loop_test(tc, test_each_request_is_answered_once_and_all_ends, 0, 3);
	tcase_add_test(tc, test_all_that_waits_in_a_line_is_served_once_though_it_ends);
	return sched_case_main(tc, NULL);
}
