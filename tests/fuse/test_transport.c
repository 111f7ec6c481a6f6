// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_transport.c - libfuse on a channel: requests that are held, its threads at the end, and what
 * may be missing. The channel's own tests are in tests/fuse/channel.
 *
 * The channel is a pair of sockets that keep the borders of messages, so several threads may read
 * it, as they read /dev/fuse. The table of requests is the test's own.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuse/request.h"
#include "fuse/transport.h"
#include "fuse/transport_i.h"
#include "tests/fuse/fixture.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"

#define NR_THREADS 4u
#define NR_HELD   3u
#define DATA_SIZE  100000u
#define ENDLESS    (INT64_C(1) << 40) /* bytes of a request that never ends by itself */

static struct transport *transport;
static struct fuse_session *se;
static pthread_t server;
static int client = -1; /* the kernel's end */
static int served; /* what transport_run() gave */

/* Requests that are held until the test lets them go. */
static struct held_write {
	struct request *held;
	fuse_req_t req;
	const char *data;
	size_t size;
	uint64_t hash; /* of the data, when it came */
} writes[16];
static unsigned nr_writes;
static pthread_mutex_t writes_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t writes_cond = PTHREAD_COND_INITIALIZER;
static unsigned nr_answered_now; /* guarded by writes_lock */

static uint64_t hash_of(const void *data, size_t size)
{
	const unsigned char *at = data;
	uint64_t hash = 14695981039346656037u;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static void test_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	struct request *held = ztfuse_hold(req);

	(void)ino;
	(void)off;
	(void)fi;
	pthread_mutex_lock(&writes_lock);
	if (held) {
		writes[nr_writes++] =
			(struct held_write){ held, req, buf, size, hash_of(buf, size) };
		pthread_cond_broadcast(&writes_cond);
	} else {
		nr_answered_now++;
	}
	pthread_mutex_unlock(&writes_lock);
	if (!held)
		(void)fuse_reply_write(req, size);
}

static void test_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct statvfs st = { .f_bsize = 4096 };

	(void)ino;
	(void)fuse_reply_statfs(req, &st);
}

static void test_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
			   struct fuse_file_info *fi)
{
	(void)ino;
	(void)mode;
	(void)off;
	(void)fi;
	(void)len;
	/* As long as somebody wants it. */
	while (!request_pause(transport))
		(void)sched_yield();
	(void)fuse_reply_err(req, EINTR);
}

static void test_init(void *userdata, struct fuse_conn_info *conn)
{
	struct ztfuse *f = userdata;

	conn->max_write = ZTFUSE_IO_MAX;
	conn->max_read = ZTFUSE_IO_MAX;
	f->initialised = true;
}

static const struct fuse_lowlevel_ops test_ops = {
	.init = test_init,
	.write = test_write,
	.statfs = test_statfs,
	.fallocate = test_fallocate,
};

static void send_message(uint32_t opcode, uint64_t unique, const void *fixed, size_t fixed_len,
			 const void *data, size_t data_len)
{
	struct fuse_in_header header = {
		.len = (uint32_t)(sizeof(header) + fixed_len + data_len),
		.opcode = opcode,
		.unique = unique,
		.nodeid = FUSE_ROOT_ID,
	};
	struct iovec iov[] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)(uintptr_t)fixed, .iov_len = fixed_len },
		{ .iov_base = (void *)(uintptr_t)data, .iov_len = data_len },
	};

	ck_assert_int_eq(writev(client, iov, 3), header.len);
}

static uint64_t receive_answer(void)
{
	static char buf[65536];
	const ssize_t len = read(client, buf, sizeof(buf));
	struct fuse_out_header header;

	ck_assert_int_ge(len, (ssize_t)sizeof(header));
	memcpy(&header, buf, sizeof(header));
	ck_assert_int_eq(header.error, 0);
	ck_assert_uint_eq(header.len, (size_t)len);
	return header.unique;
}

static void send_write(uint64_t unique, char fill)
{
	static char data[DATA_SIZE];
	const struct fuse_write_in in = { .size = DATA_SIZE };

	memset(data, fill, sizeof(data));
	send_message(FUSE_WRITE, unique, &in, sizeof(in), data, sizeof(data));
}

static void *server_main(void *arg)
{
	(void)arg;
	served = transport_serve_init(transport);
	if (!served)
		served = transport_run(transport);
	return NULL;
}

static int make_transport(unsigned nr_threads)
{
	const struct channel_params params = {
		.nr_threads = nr_threads,
		.nr_held = NR_HELD,
	};

	return transport_create(&front, &params, &transport);
}

static void open_channel(unsigned nr_threads)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	char max_read[32];
	int fds[2], size = 2 * (int)MIB;

	fixture_make(ZTFUSE_CACHE_WRITEBACK);
	nr_writes = nr_answered_now = 0;
	(void)snprintf(max_read, sizeof(max_read), "-omax_read=%u", ZTFUSE_IO_MAX);
	ck_assert_int_eq(fuse_opt_add_arg(&args, "test"), 0);
	ck_assert_int_eq(fuse_opt_add_arg(&args, max_read), 0);
	se = fuse_session_new(&args, &test_ops, sizeof(test_ops), &front);
	ck_assert_ptr_nonnull(se);
	fuse_opt_free_args(&args);
	ck_assert_int_eq(make_transport(nr_threads), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	client = fds[0];
	ck_assert_int_eq(setsockopt(client, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	ck_assert_int_eq(transport_attach(transport, se, fds[1]), 0);
}

static void start(unsigned nr_threads)
{
	const struct fuse_init_in init = { .major = 7, .minor = 31, .flags = FUSE_MAX_PAGES };

	open_channel(nr_threads);
	ck_assert_int_eq(pthread_create(&server, NULL, server_main, NULL), 0);
	send_message(FUSE_INIT, 1, &init, sizeof(init), NULL, 0);
	ck_assert_uint_eq(receive_answer(), 1);
}

static void close_channel(void)
{
	close(client);
	fuse_session_destroy(se);
	transport_destroy(transport);
	ztfuse_exit(&front);
	super_destroy(sb);
}

static void stop(int expected)
{
	transport_stop(transport);
	ck_assert_int_eq(pthread_join(server, NULL), 0);
	ck_assert_int_eq(served, expected);
	close_channel();
}

START_TEST(test_stop_before_anything_was_served)
{
	start(NR_THREADS);
	stop(0);
}
END_TEST

static void wait_for_writes(unsigned nr)
{
	pthread_mutex_lock(&writes_lock);
	while (nr_writes < nr)
		pthread_cond_wait(&writes_cond, &writes_lock);
	pthread_mutex_unlock(&writes_lock);
}

static void answer(struct held_write *w)
{
	/* The bytes stay until they are given back, whatever else was received. */
	ck_assert_uint_eq(hash_of(w->data, w->size), w->hash);
	ck_assert_int_eq(fuse_reply_write(w->req, w->size), 0);
	ztfuse_release(w->held);
}

START_TEST(test_held_requests_are_answered_later_in_any_order)
{
	start(1);
	for (unsigned i = 0; i < NR_HELD; i++)
		send_write(10 + i, (char)('a' + i));
	wait_for_writes(NR_HELD);
	/* Others are served meanwhile. */
	send_message(FUSE_STATFS, 99, NULL, 0, NULL, 0);
	ck_assert_uint_eq(receive_answer(), 99);
	for (unsigned i = NR_HELD; i-- > 0;) {
		answer(&writes[i]);
		ck_assert_uint_eq(receive_answer(), 10 + i);
	}
	stop(0);
}
END_TEST

START_TEST(test_no_more_can_be_held_than_there_are_buffers)
{
	start(1);
	for (unsigned i = 0; i < NR_HELD; i++)
		send_write(10 + i, 'x');
	wait_for_writes(NR_HELD);
	send_write(50, 'y');
	ck_assert_uint_eq(receive_answer(), 50);
	ck_assert_uint_eq(nr_answered_now, 1);
	answer(&writes[0]);
	ck_assert_uint_eq(receive_answer(), 10);
	send_write(51, 'z');
	wait_for_writes(NR_HELD + 1);
	for (unsigned i = 1; i <= NR_HELD; i++) {
		answer(&writes[i]);
		(void)receive_answer();
	}
	ck_assert_uint_eq(nr_answered_now, 1);
	stop(0);
}
END_TEST

static void expect_short_requests(void)
{
	for (uint64_t unique = 1000; unique < 1100; unique += 2) {
		send_message(FUSE_STATFS, unique, NULL, 0, NULL, 0);
		ck_assert_uint_eq(receive_answer(), unique);
	}
}

static bool has_read_buffers(void)
{
	bool has;

	mutex_lock(&front.buffers.lock);
	has = front.buffers.free != NULL;
	mutex_unlock(&front.buffers.lock);
	return has;
}

/* By the thread that waits for the end; the buffers of requests are the channel's. */
START_TEST(test_buffers_of_reads_go_back)
{
	uint64_t end;

	start(1);
	expect_short_requests();
	buffers_put(&front.buffers, buffers_get(&front.buffers));
	ck_assert(has_read_buffers());
	end = zt_now_ns() + UINT64_C(20000000000);
	while (has_read_buffers() && zt_now_ns() < end)
		(void)sched_yield();
	ck_assert(!has_read_buffers());
	stop(0);
}
END_TEST

/* What may be missing ------------------------------------------------------ */

START_TEST(test_no_memory_for_any_part)
{
	int error = -ENOMEM;

	fixture_make(ZTFUSE_CACHE_WRITEBACK);
	for (long n = 1; error; n++) {
		zt_fault_set(n);
		error = make_transport(2);
		ck_assert(error == 0 || error == -ENOMEM);
		ck_assert(!error == zt_fault_pending());
		zt_fault_set(0);
		ck_assert_int_lt(n, 100);
	}
	transport_destroy(transport);
	ztfuse_exit(&front);
	super_destroy(sb);
}
END_TEST

static unsigned nr_warnings;

static void count_warning(enum zt_log_level level, const char *line)
{
	(void)line;
	nr_warnings += level == ZT_LOG_WARN;
}

START_TEST(test_no_thread_at_all_is_an_error)
{
	open_channel(2);
	zt_fault_set_from(1);
	ck_assert_int_eq(transport_run(transport), -EAGAIN);
	zt_fault_set(0);
	close_channel();
}
END_TEST

START_TEST(test_fewer_threads_serve_with_a_warning)
{
	nr_warnings = 0;
	zt_log_set_sink(count_warning);
	open_channel(3);
	transport_stop(transport); /* it runs, and ends at once */
	zt_fault_set_from(4); /* those that pages and room take, and one of three */
	ck_assert_int_eq(transport_run(transport), 0);
	zt_fault_set(0);
	ck_assert_uint_eq(nr_warnings, 1);
	close_channel();
}
END_TEST

static void send_endless(uint64_t unique)
{
	const struct fuse_fallocate_in in = { .length = ENDLESS };

	send_message(FUSE_FALLOCATE, unique, &in, sizeof(in), NULL, 0);
}

static void interrupt(uint64_t unique)
{
	const struct fuse_interrupt_in in = { .unique = unique };

	send_message(FUSE_INTERRUPT, unique | 1, &in, sizeof(in), NULL, 0);
}

static uint64_t receive_interrupted(void)
{
	struct fuse_out_header header;

	ck_assert_int_eq(read(client, &header, sizeof(header)), sizeof(header));
	ck_assert_int_eq(header.error, -EINTR);
	return header.unique;
}

/* More than there are threads: short ones are served, and a signal finds each, in whatever order. */
START_TEST(test_long_requests_leave_a_thread_and_are_interrupted_wherever_they_are)
{
	enum { NR = 3 * NR_THREADS };

	start(NR_THREADS);
	for (unsigned i = 0; i < NR; i++)
		send_endless(10 + 2 * i);
	expect_short_requests();
	for (unsigned i = 0; i < NR; i++) {
		/* From the end of the line, its middle and its front. */
		const uint64_t unique = 10 + 2 * ((i * 5 + NR - 1) % NR);

		interrupt(unique);
		ck_assert_uint_eq(receive_interrupted(), unique);
		if (i == NR / 2)
			expect_short_requests();
	}
	expect_short_requests();
	stop(0);
}
END_TEST

START_TEST(test_interruption_that_comes_before_its_request_is_kept)
{
	start(NR_THREADS);
	for (uint64_t unique = 10; unique < 50; unique += 2) {
		interrupt(unique);
		send_endless(unique);
		ck_assert_uint_eq(receive_interrupted(), unique);
	}
	/* One for what was answered long ago changes nothing, as often as it comes. */
	for (unsigned i = 0; i < 100; i++)
		interrupt(10);
	expect_short_requests();
	stop(0);
}
END_TEST

START_TEST(test_end_does_not_wait_for_long_requests)
{
	start(NR_THREADS);
	for (unsigned i = 0; i < 3 * NR_THREADS; i++)
		send_endless(10 + 2 * i);
	expect_short_requests();
	stop(0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("transport");
	TCase *tc = tcase_create("threads");

	tcase_add_test(tc,
		       test_long_requests_leave_a_thread_and_are_interrupted_wherever_they_are);
	tcase_add_test(tc, test_interruption_that_comes_before_its_request_is_kept);
	tcase_add_test(tc, test_end_does_not_wait_for_long_requests);
	tcase_add_test(tc, test_stop_before_anything_was_served);
	suite_add_tcase(suite, tc);
	tc = tcase_create("held");
	tcase_add_test(tc, test_held_requests_are_answered_later_in_any_order);
	tcase_add_test(tc, test_no_more_can_be_held_than_there_are_buffers);
	tcase_add_test(tc, test_buffers_of_reads_go_back);
	suite_add_tcase(suite, tc);
	tc = tcase_create("missing");
	tcase_add_test(tc, test_no_memory_for_any_part);
	tcase_add_test(tc, test_no_thread_at_all_is_an_error);
	tcase_add_test(tc, test_fewer_threads_serve_with_a_warning);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
