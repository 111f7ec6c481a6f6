// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_transport.c - threads, buffers, and answers from other threads.
 *
 * The channel is a pair of sockets that keep the borders of messages, so several threads may read
 * it, as they read /dev/fuse. The table of requests is the test's own.
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

#include "fuse/request.h"
#include "fuse/transport_i.h"
#include "tests/fuse/fixture.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"

#define NR_THREADS 4u
#define NR_SPARE   3u
#define DATA_SIZE  100000u
#define ENDLESS    (INT64_C(1) << 40) /* bytes of a request that never ends by itself */

static struct transport *transport;
static struct fuse_session *se;
static pthread_t server;
static int client = -1; /* the kernel's end */
static int served; /* what transport_run() gave */

/* Requests that are held until the test lets them go. */
static struct held_write {
	struct ztfuse_held *held;
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
	struct ztfuse_held *held = ztfuse_hold(req);

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

static void test_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st = { .f_bsize = 4096 };

	(void)ino;
	note_thread();
	for (unsigned i = 0, nr = short_rounds; i < nr; i++)
		st.f_blocks += hash_of(&st, sizeof(st));
	(void)fuse_reply_statfs(req, &st);
}

/* Handlers that wait until the test opens the gate. */
static sem_t gate;

static void wait_at_gate(fuse_req_t req)
{
	while (sem_wait(&gate) != 0)
		; /* EINTR */
	(void)fuse_reply_err(req, 0);
}

/* Nothing says that it takes long. */
static void test_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent;
	(void)name;
	wait_at_gate(req);
}

static void test_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent;
	(void)name;
	ztfuse_req_may_wait(req);
	ztfuse_req_may_wait(req);
	wait_at_gate(req);
}

static void test_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
			   struct fuse_file_info *fi)
{
	(void)ino;
	(void)mode;
	(void)off;
	(void)fi;
	if (len < ENDLESS) {
		wait_at_gate(req);
		return;
	}
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
	.rmdir = test_rmdir,
	.unlink = test_unlink,
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

static bool clone_fd;
static int latency_fd = -1;

static int make_transport(unsigned nr_threads)
{
	const struct transport_params params = {
		.nr_threads = nr_threads,
		.nr_spare = NR_SPARE,
		.clone_fd = clone_fd,
		.latency_asked = latency_fd >= 0,
		.latency_fd = latency_fd,
		.latency_us = 7,
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
	nr_short_threads = 0;
	short_rounds = 0;
	ck_assert_int_eq(sem_init(&gate, 0, 0), 0);
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

START_TEST(test_stop_before_anything_was_served)
{
	start(NR_THREADS);
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
	for (unsigned i = 0; i < NR_SPARE; i++)
		send_write(10 + i, (char)('a' + i));
	wait_for_writes(NR_SPARE);
	/* Others are served meanwhile. */
	send_message(FUSE_STATFS, 99, NULL, 0, NULL, 0);
	ck_assert_uint_eq(receive_answer(), 99);
	for (unsigned i = NR_SPARE; i-- > 0;) {
		answer(&writes[i]);
		ck_assert_uint_eq(receive_answer(), 10 + i);
	}
	stop(0);
}
END_TEST

START_TEST(test_no_more_can_be_held_than_there_are_buffers)
{
	start(1);
	for (unsigned i = 0; i < NR_SPARE; i++)
		send_write(10 + i, 'x');
	wait_for_writes(NR_SPARE);
	send_write(50, 'y');
	ck_assert_uint_eq(receive_answer(), 50);
	ck_assert_uint_eq(nr_answered_now, 1);
	answer(&writes[0]);
	ck_assert_uint_eq(receive_answer(), 10);
	send_write(51, 'z');
	wait_for_writes(NR_SPARE + 1);
	for (unsigned i = 1; i <= NR_SPARE; i++) {
		answer(&writes[i]);
		(void)receive_answer();
	}
	ck_assert_uint_eq(nr_answered_now, 1);
	stop(0);
}
END_TEST

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
	/* One that becomes spare, and one that the thread keeps. */
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
		transport_trim(transport);
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

	for (unsigned i = 0; i < transport->nr_reqs; i++)
		nr += resident_pages(request_payload(&transport->reqs[i])) >= 20;
	return nr;
}

static bool has_read_buffers(void)
{
	bool has;

	mutex_lock(&front.buffers.lock);
	has = front.buffers.free != NULL;
	mutex_unlock(&front.buffers.lock);
	return has;
}

/*
 * By the watch alone, which has gone to sleep then: those of readers and of who is parked, too, and
 * those that READs were unpacked in. A single reader is watched for that alone.
 */
START_TEST(test_nothing_large_is_kept_after_a_stream)
{
	uint64_t end;

	start(_i == 0 ? 1 : NR_THREADS);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < NR_SPARE; i++)
			send_write(10 + i, 'x');
		wait_for_writes((round + 1) * NR_SPARE);
		ck_assert_uint_ge(nr_large_buffers(), NR_SPARE);
		for (unsigned i = 0; i < NR_SPARE; i++) {
			answer(&writes[round * NR_SPARE + i]);
			(void)receive_answer();
		}
	}
	buffers_put(&front.buffers, buffers_get(&front.buffers));
	ck_assert(has_read_buffers());
	end = zt_now_ns() + UINT64_C(20000000000);
	while ((nr_large_buffers() > 0 || has_read_buffers()) && zt_now_ns() < end)
		(void)sched_yield();
	ck_assert_uint_eq(nr_large_buffers(), 0);
	ck_assert(!has_read_buffers());
	ask_shortly(100);
	stop(0);
}
END_TEST

/* Nobody who is called may find that others hold what it would read into. */
START_TEST(test_parked_threads_have_requests)
{
	start(NR_THREADS);
	for (unsigned i = 0; i < NR_SPARE + 2; i++)
		send_write(10 + i, 'x');
	wait_for_writes(NR_SPARE);
	for (unsigned i = 0; i < 2; i++)
		(void)receive_answer();
	mutex_lock(&transport->lock);
	ck_assert_uint_ge(transport->nr_spare, transport->nr_parked);
	mutex_unlock(&transport->lock);
	for (unsigned i = 0; i < NR_SPARE; i++) {
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
	mutex_lock(&transport->lock);
	nr_surprises = transport->nr_surprises;
	mutex_unlock(&transport->lock);
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

/* The watch sleeps by now; it is woken for who gets stuck. */
START_TEST(test_surprise_after_a_quiet_time_is_noticed)
{
	start(2);
	ask_shortly(2);
	for (unsigned i = 0; i < 2; i++) {
		while (!atomic_load(&transport->watch_sleeps))
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
	while (atomic_load(&transport->nr_wanted) == 1) {
		(void)receive_answer();
		send_message(FUSE_STATFS, unique++, NULL, 0, NULL, 0);
	}
	for (unsigned i = 0; i < 4; i++)
		(void)receive_answer();
	short_rounds = 0;
	while (atomic_load(&transport->nr_wanted) > 1)
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
		nr_two += atomic_load(&transport->nr_wanted) > 1;
	}
	/* Some, when the machine is so busy that short ones seemed to come without a pause. */
	ck_assert_uint_lt(nr_two, 10);
	for (unsigned i = 0; i < 4; i++)
		ask_long(unique++);
	ck_assert_uint_eq(atomic_load(&transport->nr_wanted), 2);
	while (atomic_load(&transport->nr_wanted) > 1)
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

static void expect_short_requests(void)
{
	for (uint64_t unique = 1000; unique < 1100; unique += 2) {
		send_message(FUSE_STATFS, unique, NULL, 0, NULL, 0);
		ck_assert_uint_eq(receive_answer(), unique);
	}
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
	tcase_add_test(tc, test_stop_wakes_threads_that_wait);
	tcase_add_test(tc, test_stop_before_anything_was_served);
	tcase_add_test(tc, test_end_of_the_channel_ends_the_threads);
	suite_add_tcase(suite, tc);
	tc = tcase_create("held");
	tcase_add_test(tc, test_held_requests_are_answered_later_in_any_order);
	tcase_add_test(tc, test_no_more_can_be_held_than_there_are_buffers);
	tcase_add_test(tc, test_data_of_a_write_begins_on_a_page);
	tcase_add_test(tc, test_idle_buffers_give_their_memory_back);
	tcase_add_loop_test(tc, test_nothing_large_is_kept_after_a_stream, 0, 2);
	tcase_add_test(tc, test_parked_threads_have_requests);
	suite_add_tcase(suite, tc);
	tc = tcase_create("duty");
	tcase_add_test(tc, test_short_requests_are_served_by_one_thread);
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
