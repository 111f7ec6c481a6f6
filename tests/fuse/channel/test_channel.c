// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_channel.c - threads, buffers, who reads, and answers from other threads (channel.c, worker.c,
 * workers.c, caretaker.c, longline.c, interrupt.c, intake.c, ending.c).
 *
 * The channel is a pair of sockets that keep the borders of messages, so several threads may read
 * it, as they read /dev/fuse. What serves requests is the test's own.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "fuse/channel/channel_i.h"
#include "fuse/channel/worker.h"
#include "tests/fuse/kernel.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"

#define IO_MAX     (1024u * 1024)

static struct channel *channel;
static pthread_t server;
static int kernel_fd = -1; /* our end */
static int served; /* what channel_wait() gave, or why it was not called */
static atomic_bool initialised;
static atomic_uint nr_trims; /* calls of channel_ops.trim() */

static const struct fuse_in_header *header_of(const struct request *req)
{
	return req->msg;
}

/* Return: as a reply's writev(2). */
static ssize_t reply(struct request *req, int error, const void *data, size_t len)
{
	struct fuse_out_header header = {
		.len = (uint32_t)(sizeof(header) + len),
		.error = error,
		.unique = header_of(req)->unique,
	};
	struct iovec iov[] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)(uintptr_t)data, .iov_len = len },
	};

	return channel_write(channel, -1, iov, len ? 2 : 1);
}

static bool serve_write(struct request *req)
{
	const struct fuse_write_in *in = (const void *)(header_of(req) + 1);
	const char *data = (const char *)(in + 1);
	const bool held = channel_hold(req);

	note_write(held ? req : NULL, NULL, data, in->size);
	if (!held)
		(void)reply(req, 0, NULL, 0);
	return !held;
}

/* Who answers short requests, in how many threads, and how long one takes. */
static pthread_mutex_t short_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t short_threads[8]; /* guarded by short_lock, as the rest */
static unsigned nr_short_threads;
static atomic_uint short_rounds; /* no lock: a number */

static void note_thread(void)
{
	unsigned i = 0;

	pthread_mutex_lock(&short_lock);
	while (i < nr_short_threads && !pthread_equal(short_threads[i], pthread_self()))
		i++;
	if (i == nr_short_threads && i < ARRAY_SIZE(short_threads))
		short_threads[nr_short_threads++] = pthread_self();
	pthread_mutex_unlock(&short_lock);
}

static void serve_statfs(struct request *req)
{
	uint64_t values[14] = { 0 }; /* a hundred bytes and some, for rounds that take their time */

	note_thread();
	for (unsigned i = 0, nr = short_rounds; i < nr; i++)
		values[0] += hash_of(values, sizeof(values));
	(void)reply(req, 0, values, sizeof(values));
}

/* Handlers that wait until the test opens the gate. */
static sem_t gate;

static void wait_at_gate(struct request *req)
{
	while (sem_wait(&gate) != 0)
		; /* EINTR */
	(void)reply(req, 0, NULL, 0);
}

static void serve_fallocate(struct request *req)
{
	const struct fuse_fallocate_in *in = (const void *)(header_of(req) + 1);

	if (in->length < ENDLESS) {
		wait_at_gate(req);
		return;
	}
	/* As long as somebody wants it. */
	while (!request_is_interrupted(req) && !channel_stops(channel))
		(void)sched_yield();
	(void)reply(req, -EINTR, NULL, 0);
}

static void serve_init(struct request *req)
{
	const struct fuse_init_out out = { .major = 7, .minor = 31, .max_write = IO_MAX };

	atomic_store(&initialised, true);
	(void)reply(req, 0, &out, sizeof(out));
}

static bool serve(void *arg, struct request *req)
{
	(void)arg;
	switch (header_of(req)->opcode) {
	case FUSE_INIT:
		serve_init(req);
		break;
	case FUSE_WRITE:
		return serve_write(req);
	case FUSE_STATFS:
		serve_statfs(req);
		break;
	case FUSE_FALLOCATE:
		serve_fallocate(req);
		break;
	case FUSE_UNLINK:
		channel_may_wait();
		channel_may_wait();
		wait_at_gate(req);
		break;
	case FUSE_RMDIR: /* nothing says that it takes long */
		wait_at_gate(req);
		break;
	}
	return true;
}

static enum channel_length length(void *arg, const void *msg, size_t len)
{
	const struct fuse_in_header *header = msg;
	const struct fuse_fallocate_in *in = (const void *)(header + 1);

	(void)arg;
	if (header->opcode == FUSE_FALLOCATE)
		return in->length >= ENDLESS ? CHANNEL_ENDLESS : CHANNEL_LONG;
	return header->opcode == FUSE_WRITE && len > DATA_SIZE / 2 ? CHANNEL_LONG : CHANNEL_SHORT;
}

static void trim(void *arg)
{
	(void)arg;
	atomic_fetch_add(&nr_trims, 1);
}

static void agree(void *arg, uint64_t flags)
{
	(void)arg;
	(void)flags;
}

static const struct channel_ops ops = {
	.serve = serve,
	.length = length,
	.agree = agree,
	.trim = trim,
};

/* As a session does it. */
static int serve_all(void)
{
	int error;

	(void)channel_open(channel, kernel_fd);
	error = channel_start(channel);
	if (error > 0)
		error = channel_wait(channel);
	channel_stop(channel);
	return error;
}

static void *server_main(void *arg)
{
	ssize_t len = 1;

	(void)arg;
	while (len > 0 && !atomic_load(&initialised))
		len = channel_serve_first(channel, kernel_fd);
	served = len > 0 ? serve_all() : -EPROTO;
	return NULL;
}

static bool clone_fd;
static int latency_fd = -1;
static const cpu_set_t *cpus;
static bool with_inbox; /* requests lie in a memfd, and stand in line themselves */
static unsigned nr_held = NR_HELD;

static int make_channel(unsigned nr_threads)
{
	int inbox, error;

	const struct channel_params params = {
		.nr_threads = nr_threads,
		.nr_held = nr_held,
		.io_max = IO_MAX,
		.cpus = cpus,
		.clone_fd = clone_fd,
		.latency_asked = latency_fd >= 0,
		.latency_fd = latency_fd,
		.latency_us = 7,
	};

	error = channel_create(&params, &ops, NULL, &channel);
	if (!error && with_inbox) {
		ck_assert_int_eq(channel_make_inbox(channel, &inbox), 0);
		close(inbox); /* it is mapped */
	}
	return error;
}

static void open_channel(unsigned nr_threads)
{
	nr_short_threads = 0;
	short_rounds = 0;
	initialised = false;
	ck_assert_int_eq(sem_init(&gate, 0, 0), 0);
	ck_assert_int_eq(make_channel(nr_threads), 0);
	kernel_fd = open_kernel();
}

static void start(unsigned nr_threads)
{
	open_channel(nr_threads);
	ck_assert_int_eq(pthread_create(&server, NULL, server_main, NULL), 0);
	agree_on_protocol();
}

static void close_channel(void)
{
	close(client);
	close(kernel_fd);
	channel_destroy(channel);
}

static void stop(int expected)
{
	channel_end(channel);
	ck_assert_int_eq(pthread_join(server, NULL), 0);
	ck_assert_int_eq(served, expected);
	close_channel();
}

/* All threads sleep in read(2); none may be missed. */
START_TEST(test_stop_wakes_threads_that_wait)
{
	start(NR_THREADS);
	for (unsigned i = 0; i < 50; i++) {
		send_message(FUSE_STATFS, i + 2, NULL, 0, NULL, 0);
		ck_assert_uint_eq(receive_answer(), i + 2);
	}
	stop(0);
}
END_TEST

START_TEST(test_end_of_the_channel_ends_the_threads)
{
	start(NR_THREADS);
	ck_assert_int_eq(shutdown(client, SHUT_RDWR), 0);
	ck_assert_int_eq(pthread_join(server, NULL), 0);
	ck_assert_int_eq(served, 0);
	close_channel();
}
END_TEST

static void reply_held(const struct held_write *w)
{
	ck_assert_int_gt(reply(w->held, 0, NULL, 0), 0);
	channel_release(w->held);
}

static struct other_end other_end = { start, stop, reply_held };

START_TEST(test_data_of_a_write_begins_on_a_page)
{
	start(1);
	send_write(10, 'x');
	wait_for_writes(1);
	ck_assert_uint_eq((uintptr_t)writes[0].data % 4096, 0);
	answer(&writes[0]);
	(void)receive_answer();
	stop(0);
}
END_TEST

/* A process that goes leaves it to the next one, without a reply. */
START_TEST(test_what_is_held_may_be_left_when_the_channel_stops)
{
	start(NR_THREADS);
	send_write(10, 'x');
	wait_for_writes(1);
	channel_end(channel);
	ck_assert_int_eq(pthread_join(server, NULL), 0);
	channel_release(writes[0].held);
	ck_assert_int_lt(recv(client, &(char){ 0 }, 1, MSG_DONTWAIT), 0);
	close_channel();
}
END_TEST

static unsigned resident_pages(const char *data)
{
	unsigned char pages[DATA_SIZE / 4096];
	unsigned nr = 0;

	ck_assert_int_eq(mincore((void *)(uintptr_t)data, DATA_SIZE / 4096 * 4096, pages), 0);
	for (unsigned i = 0; i < sizeof(pages); i++)
		nr += pages[i] & 1;
	return nr;
}

START_TEST(test_idle_buffers_give_their_memory_back)
{
	const char *own;

	start(1);
	/* One that becomes idle, and one that the thread keeps. */
	send_write(10, 'x');
	wait_for_writes(1);
	ck_assert_uint_eq(resident_pages(writes[0].data), DATA_SIZE / 4096);
	answer(&writes[0]);
	(void)receive_answer();
	send_write(11, 'y');
	wait_for_writes(2);
	own = writes[1].data;
	ck_assert_ptr_ne(own, writes[0].data);
	answer(&writes[1]);
	(void)receive_answer();
	/* It takes effect once the thread has gone to wait, and was seen there twice. */
	for (unsigned i = 0; i < 1000000; i++) {
		channel_trim(channel);
		if (resident_pages(own) < 20 && resident_pages(writes[0].data) < 20)
			break;
		(void)sched_yield();
	}
	send_message(FUSE_STATFS, 100, NULL, 0, NULL, 0);
	ck_assert_uint_eq(receive_answer(), 100);
	ck_assert_uint_lt(resident_pages(writes[0].data), 20);
	ck_assert_uint_lt(resident_pages(own), 20);
	stop(0);
}
END_TEST

/* Who reads ----------------------------------------------------------------- */

static void ask_shortly(uint64_t unique)
{
	send_message(FUSE_STATFS, unique, NULL, 0, NULL, 0);
	ck_assert_uint_eq(receive_answer(), unique);
}

/* Of all requests' buffers. */
static unsigned nr_large_buffers(void)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < channel->pool.nr_all; i++)
		nr += resident_pages(request_payload(&channel->pool.all[i])) >= 20;
	return nr;
}

/*
 * By the caretaker alone, which then sleeps for good: those of readers and of threads that are parked,
 * too, and what others have to give. A single reader is looked after for that alone.
 */
START_TEST(test_nothing_large_is_kept_after_a_stream)
{
	uint64_t end;

	start(_i == 0 ? 1 : NR_THREADS);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < NR_HELD; i++)
			send_write(10 + i, 'x');
		wait_for_writes((round + 1) * NR_HELD);
		ck_assert_uint_ge(nr_large_buffers(), NR_HELD);
		for (unsigned i = 0; i < NR_HELD; i++) {
			answer(&writes[round * NR_HELD + i]);
			(void)receive_answer();
		}
	}
	atomic_store(&nr_trims, 0);
	end = zt_now_ns() + UINT64_C(20000000000);
	while ((nr_large_buffers() > 0 || atomic_load(&nr_trims) < 2) && zt_now_ns() < end)
		(void)sched_yield();
	ck_assert_uint_eq(nr_large_buffers(), 0);
	ck_assert_uint_ge(atomic_load(&nr_trims), 2);
	ask_shortly(100);
	stop(0);
}
END_TEST

/* Nobody who is called may find that others hold what it would read into. */
START_TEST(test_parked_threads_have_requests)
{
	start(NR_THREADS);
	for (unsigned i = 0; i < NR_HELD + 2; i++)
		send_write(10 + i, 'x');
	wait_for_writes(NR_HELD);
	for (unsigned i = 0; i < 2; i++)
		(void)receive_answer();
	mutex_lock(&channel->lock);
	ck_assert_uint_ge(channel->pool.nr_idle, channel->pool.nr_promised);
	mutex_unlock(&channel->lock);
	for (unsigned i = 0; i < NR_HELD; i++) {
		answer(&writes[i]);
		(void)receive_answer();
	}
	ck_assert_uint_eq(nr_answered_now, 2);
	stop(0);
}
END_TEST

START_TEST(test_short_requests_are_served_by_one_thread)
{
	start(NR_THREADS);
	for (unsigned i = 0; i < 2000; i++)
		ask_shortly(i + 2);
	/*
	 * More, when the machine let a thread wait so long that it seemed busy or stuck; in turn
	 * they would be all.
	 */
	ck_assert_uint_lt(nr_short_threads, NR_THREADS);
	stop(0);
}
END_TEST

/* The last CPU that this thread may use, alone. */
static cpu_set_t one_cpu(void)
{
	cpu_set_t all, one;
	unsigned cpu = CPU_SETSIZE;

	ck_assert_int_eq(pthread_getaffinity_np(pthread_self(), sizeof(all), &all), 0);
	do
		cpu--;
	while (!CPU_ISSET(cpu, &all));
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return one;
}

static bool runs_on(pthread_t thread, const cpu_set_t *wanted)
{
	cpu_set_t set;

	ck_assert_int_eq(pthread_getaffinity_np(thread, sizeof(set), &set), 0);
	return CPU_EQUAL(&set, wanted);
}

/* Whether all threads have been made, and run there. */
static bool all_run_on(const cpu_set_t *wanted)
{
	unsigned nr, i = 0;

	mutex_lock(&channel->lock);
	nr = channel->nr_workers;
	mutex_unlock(&channel->lock);
	while (i < nr && runs_on(channel->workers[i].thread, wanted))
		i++;
	return i == NR_THREADS;
}

START_TEST(test_threads_run_on_the_cpus_that_were_asked_for)
{
	const cpu_set_t one = one_cpu();

	cpus = &one;
	start(NR_THREADS);
	ask_shortly(2);
	while (!all_run_on(&one))
		(void)sched_yield(); /* each binds itself */
	ck_assert(runs_on(server, &one));
	ck_assert_uint_eq(channel->duty.most_wanted, 1);
	stop(0);
	cpus = NULL;
}
END_TEST

/* Read what was asked of the kernel; waits for it. */
static int32_t asked_latency(int fd)
{
	int32_t us = 0;

	ck_assert_int_eq(read(fd, &us, sizeof(us)), sizeof(us));
	return us;
}

/* A pipe stands for /dev/cpu_dma_latency. */
static void ask_for_latency(unsigned nr_threads)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	latency_fd = fds[1];
	start(nr_threads);
	for (unsigned round = 0; round < 2; round++) {
		struct pollfd ready = { .fd = fds[0], .events = POLLIN };

		for (unsigned i = 0; i < 1000000 && poll(&ready, 1, 0) == 0; i++)
			ask_shortly(i + 2);
		ck_assert_int_eq(asked_latency(fds[0]), 7);
		if (round == 0)
			ck_assert_int_eq(asked_latency(fds[0]), -1);
	}
	stop(0);
	ck_assert_int_eq(asked_latency(fds[0]), -1);
	close(fds[0]);
	close(fds[1]);
	latency_fd = -1;
}

START_TEST(test_latency_is_asked_for_while_many_short_requests_come)
{
	ask_for_latency(NR_THREADS);
}
END_TEST

START_TEST(test_latency_is_asked_for_with_one_thread)
{
	ask_for_latency(1);
}
END_TEST

/* All but one thread wait inside handlers; whatever is short is answered, and the rest later. */
static unsigned block_all_but_one(uint32_t opcode, const void *fixed, size_t fixed_len,
				  const char *name)
{
	unsigned nr_surprises;

	start(NR_THREADS);
	for (unsigned i = 0; i < NR_THREADS - 1; i++) {
		send_message(opcode, 10 + i, fixed, fixed_len, name, strlen(name) + 1);
		ask_shortly(100 + i);
	}
	mutex_lock(&channel->lock);
	nr_surprises = channel->nr_surprises;
	mutex_unlock(&channel->lock);
	for (unsigned i = 0; i < NR_THREADS - 1; i++)
		ck_assert_int_eq(sem_post(&gate), 0);
	for (unsigned i = 0; i < NR_THREADS - 1; i++)
		ck_assert_uint_lt(receive_answer(), 100);
	for (unsigned i = 0; i < 10; i++)
		ask_shortly(200 + i);
	stop(0);
	return nr_surprises;
}

START_TEST(test_long_requests_leave_a_reader)
{
	const struct fuse_fallocate_in in = { .length = 1 };

	/* Some, where a thread was kept from running for long; not all. */
	ck_assert_uint_lt(block_all_but_one(FUSE_FALLOCATE, &in, sizeof(in), ""), NR_THREADS - 1);
}
END_TEST

START_TEST(test_who_may_wait_leaves_a_reader)
{
	ck_assert_uint_lt(block_all_but_one(FUSE_UNLINK, NULL, 0, "name"), NR_THREADS - 1);
}
END_TEST

START_TEST(test_who_waits_by_surprise_is_replaced)
{
	ck_assert_uint_ge(block_all_but_one(FUSE_RMDIR, NULL, 0, "name"), NR_THREADS - 1);
}
END_TEST

/* The caretaker sleeps by now; it is woken for a thread that gets stuck. */
START_TEST(test_surprise_after_a_quiet_time_is_noticed)
{
	start(2);
	ask_shortly(2);
	for (unsigned i = 0; i < 2; i++) {
		while (!atomic_load(&channel->ending.caretaker_sleeps))
			(void)sched_yield();
		send_message(FUSE_RMDIR, 10, NULL, 0, "name", 5);
		ask_shortly(3);
		ck_assert_int_eq(sem_post(&gate), 0);
		ck_assert_uint_eq(receive_answer(), 10);
	}
	stop(0);
}
END_TEST

/*
 * Four requests are always there, and each takes some time: one thread is not enough. Later they
 * come one by one.
 */
START_TEST(test_as_many_threads_read_as_requests_need)
{
	uint64_t unique = 2;

	if (get_nprocs() < 2)
		return;
	start(NR_THREADS);
	short_rounds = 500;
	for (unsigned i = 0; i < 4; i++)
		send_message(FUSE_STATFS, unique++, NULL, 0, NULL, 0);
	while (atomic_load(&channel->duty.nr_wanted) == 1) {
		(void)receive_answer();
		send_message(FUSE_STATFS, unique++, NULL, 0, NULL, 0);
	}
	for (unsigned i = 0; i < 4; i++)
		(void)receive_answer();
	short_rounds = 0;
	while (atomic_load(&channel->duty.nr_wanted) > 1)
		ask_shortly(unique++);
	stop(0);
}
END_TEST

static void ask_long(uint64_t unique)
{
	const struct fuse_fallocate_in in = { .length = 1 };

	ck_assert_int_eq(sem_post(&gate), 0);
	send_message(FUSE_FALLOCATE, unique, &in, sizeof(in), NULL, 0);
	ck_assert_uint_eq(receive_answer(), unique);
}

/* A stream of long requests has its next reader waiting; single ones among short ones don't. */
START_TEST(test_a_stream_has_two_readers)
{
	unsigned nr_two = 0;
	uint64_t unique = 2;

	if (get_nprocs() < 2)
		return;
	start(NR_THREADS);
	for (unsigned i = 0; i < 20; i++) {
		ask_long(unique++);
		ask_shortly(unique++);
		nr_two += atomic_load(&channel->duty.nr_wanted) > 1;
	}
	/* Some, when the machine is so busy that short ones seemed to come without a pause. */
	ck_assert_uint_lt(nr_two, 10);
	for (unsigned i = 0; i < 4; i++)
		ask_long(unique++);
	ck_assert_uint_eq(atomic_load(&channel->duty.nr_wanted), 2);
	while (atomic_load(&channel->duty.nr_wanted) > 1)
		ask_shortly(unique++);
	stop(0);
}
END_TEST

/* Long and short ones in any order, held ones among them. */
START_TEST(test_duty_changes_hands_many_times)
{
	const struct fuse_fallocate_in in = { .length = 1 };
	uint64_t random = zt_seed();
	unsigned nr_sent = 0;

	start(NR_THREADS);
	for (unsigned i = 0; i < 3000; i++)
		ck_assert_int_eq(sem_post(&gate), 0);
	for (unsigned i = 0; i < 3000; i++) {
		if (zt_random(&random) % 3 == 0)
			send_message(FUSE_FALLOCATE, 10 + i, &in, sizeof(in), NULL, 0);
		else
			send_message(FUSE_STATFS, 10 + i, NULL, 0, NULL, 0);
		nr_sent++;
		while (nr_sent > zt_random(&random) % 8) {
			(void)receive_answer();
			nr_sent--;
		}
	}
	while (nr_sent-- > 0)
		(void)receive_answer();
	stop(0);
}
END_TEST

/* What may be missing ------------------------------------------------------ */

START_TEST(test_no_memory_for_any_part)
{
	int error = -ENOMEM;

	for (long n = 1; error; n++) {
		zt_fault_set(n);
		error = make_channel(2);
		ck_assert(error == 0 || error == -ENOMEM);
		ck_assert(!error == zt_fault_pending());
		zt_fault_set(0);
		ck_assert_int_lt(n, 100);
	}
	channel_destroy(channel);
}
END_TEST

START_TEST(test_no_thread_at_all_is_an_error)
{
	open_channel(2);
	zt_fault_set_from(1);
	ck_assert_int_eq(serve_all(), -EAGAIN);
	zt_fault_set(0);
	close_channel();
}
END_TEST

START_TEST(test_fewer_threads_serve_with_a_warning)
{
	nr_warnings = 0;
	zt_log_set_sink(count_warning);
	open_channel(3);
	channel_end(channel); /* it runs, and ends at once */
	zt_fault_set_from(2);
	ck_assert_int_eq(serve_all(), 0);
	zt_fault_set(0);
	ck_assert_uint_eq(nr_warnings, 1);
	close_channel();
}
END_TEST

/* A socket has nothing to clone. */
START_TEST(test_clone_fd_that_cannot_be_is_a_warning)
{
	nr_warnings = 0;
	clone_fd = true;
	zt_log_set_sink(count_warning);
	start(2);
	send_message(FUSE_STATFS, 7, NULL, 0, NULL, 0);
	ck_assert_uint_eq(receive_answer(), 7);
	stop(0);
	ck_assert_uint_ge(nr_warnings, 1);
}
END_TEST

static void set_inbox(void)
{
	with_inbox = true;
}

static void set_inbox_with_a_line(void)
{
	with_inbox = true;
	nr_held = 3 * NR_THREADS;
}

static void unset_inbox(void)
{
	with_inbox = false;
	nr_held = NR_HELD;
}

static void add_threads(Suite *suite, const char *name, SFun set)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, set, unset_inbox);
	tcase_add_test(tc, test_long_requests_leave_a_thread_and_are_interrupted_wherever_they_are);
	tcase_add_test(tc, test_interruption_that_comes_before_its_request_is_kept);
	tcase_add_test(tc, test_end_does_not_wait_for_long_requests);
	tcase_add_test(tc, test_stop_wakes_threads_that_wait);
	tcase_add_test(tc, test_what_is_held_may_be_left_when_the_channel_stops);
	tcase_add_test(tc, test_stop_before_anything_was_served);
	tcase_add_test(tc, test_end_of_the_channel_ends_the_threads);
	suite_add_tcase(suite, tc);
}

static void add_held(Suite *suite, const char *name, SFun set)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, set, unset_inbox);
	tcase_add_test(tc, test_held_requests_are_answered_later_in_any_order);
	tcase_add_test(tc, test_no_more_can_be_held_than_there_are_buffers);
	tcase_add_test(tc, test_data_of_a_write_begins_on_a_page);
	tcase_add_test(tc, test_idle_buffers_give_their_memory_back);
	tcase_add_loop_test(tc, test_nothing_large_is_kept_after_a_stream, 0, 2);
	tcase_add_test(tc, test_parked_threads_have_requests);
	suite_add_tcase(suite, tc);
}

int main(void)
{
	Suite *suite = suite_create("channel");
	TCase *tc = tcase_create("duty");

	add_threads(suite, "threads", unset_inbox);
	add_threads(suite, "threads with an inbox", set_inbox_with_a_line);
	add_held(suite, "held", unset_inbox);
	add_held(suite, "held in an inbox", set_inbox);
	tcase_add_test(tc, test_short_requests_are_served_by_one_thread);
	tcase_add_test(tc, test_threads_run_on_the_cpus_that_were_asked_for);
	tcase_add_test(tc, test_latency_is_asked_for_while_many_short_requests_come);
	tcase_add_test(tc, test_latency_is_asked_for_with_one_thread);
	tcase_add_test(tc, test_long_requests_leave_a_reader);
	tcase_add_test(tc, test_who_may_wait_leaves_a_reader);
	tcase_add_test(tc, test_who_waits_by_surprise_is_replaced);
	tcase_add_test(tc, test_surprise_after_a_quiet_time_is_noticed);
	tcase_add_test(tc, test_as_many_threads_read_as_requests_need);
	tcase_add_test(tc, test_a_stream_has_two_readers);
	tcase_add_test(tc, test_duty_changes_hands_many_times);
	suite_add_tcase(suite, tc);
	tc = tcase_create("missing");
	tcase_add_test(tc, test_no_memory_for_any_part);
	tcase_add_test(tc, test_no_thread_at_all_is_an_error);
	tcase_add_test(tc, test_fewer_threads_serve_with_a_warning);
	tcase_add_test(tc, test_clone_fd_that_cannot_be_is_a_warning);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
