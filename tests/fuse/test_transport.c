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

#include "fs/namei.h"
#include "fuse/channel/channel_i.h"
#include "fuse/ops.h"
#include "fuse/request.h"
#include "fuse/retry.h"
#include "fuse/transport.h"
#include "fuse/transport_i.h"
#include "tests/fuse/fixture.h"
#include "tests/fuse/kernel.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/hook.h"
#include "util/lock.h"
#include "util/log.h"

static struct transport *transport;
static struct fuse_session *se;
static pthread_t server;
static int served; /* what transport_run() gave */

/* As one to which memory is refused: so often it is put off. */
static atomic_int nr_put_off;

static bool put_off(fuse_req_t req)
{
	struct request *held;

	if (atomic_fetch_sub(&nr_put_off, 1) <= 0)
		return false;
	held = ztfuse_hold(req);
	fuse_reply_none(req);
	retry_queue(&front.retry, held);
	return true;
}

/* WRITEs are to this file, and served as in a mount; 0: they are held. */
static fuse_ino_t real_file;

static void test_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	struct request *held;

	(void)ino;
	if (real_file) {
		if (!put_off(req))
			op_write(req, real_file, buf, size, off, fi);
		return;
	}
	held = ztfuse_hold(req);
	note_write(held, req, buf, size);
	if (!held)
		(void)fuse_reply_write(req, size);
}

static atomic_uint nr_statfs;
static atomic_bool waits_for_statfs;

static void test_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct statvfs st = { .f_bsize = 4096 };

	(void)ino;
	atomic_fetch_add(&nr_statfs, 1);
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

static char fsync_thread[16];

/* It says that it may wait, and does: for a STATFS, which another thread must read. */
static void wait_for_statfs(fuse_req_t req)
{
	const unsigned before = atomic_load(&nr_statfs);
	const uint64_t end = zt_now_ns() + 30 * ZT_NS_PER_S;

	ztfuse_req_may_wait(req);
	atomic_store(&waits_for_statfs, true);
	while (atomic_load(&nr_statfs) == before && zt_now_ns() < end)
		(void)sched_yield();
	(void)fuse_reply_err(req, atomic_load(&nr_statfs) == before ? EIO : 0);
}

static void test_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	if (datasync) {
		wait_for_statfs(req);
		return;
	}
	if (put_off(req))
		return;
	(void)pthread_getname_np(pthread_self(), fsync_thread, sizeof(fsync_thread));
	(void)fuse_reply_err(req, 0);
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
	.fsync = test_fsync,
};

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

	fixture_make(ZTFUSE_CACHE_WRITEBACK);
	(void)snprintf(max_read, sizeof(max_read), "-omax_read=%u", ZTFUSE_IO_MAX);
	ck_assert_int_eq(fuse_opt_add_arg(&args, "test"), 0);
	ck_assert_int_eq(fuse_opt_add_arg(&args, max_read), 0);
	se = fuse_session_new(&args, &test_ops, sizeof(test_ops), &front);
	ck_assert_ptr_nonnull(se);
	fuse_opt_free_args(&args);
	ck_assert_int_eq(make_transport(nr_threads), 0);
	ck_assert_int_eq(transport_attach(transport, se, open_kernel()), 0);
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
	/* They would put requests back into a channel that is gone. */
	ck_assert(line_thread_ends(&front.seeker.line));
	ck_assert(line_thread_ends(&front.retry.line));
	close_channel();
}

static void reply_held(const struct held_write *w)
{
	ck_assert_int_eq(fuse_reply_write(w->req, w->size), 0);
	ztfuse_release(w->held);
}

static struct other_end other_end = { start, stop, reply_held };

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

START_TEST(test_requests_that_wait_for_memory_are_served_again_by_the_thread_for_it)
{
	const struct fuse_fsync_in in = { .fh = 0 };

	start(2);
	for (int times = 0; times < 4; times++) {
		atomic_store(&nr_put_off, times);
		send_message(FUSE_FSYNC, (uint64_t)(10 + 2 * times), &in, sizeof(in), NULL, 0);
		ck_assert_uint_eq(receive_answer(), 10 + 2 * times);
		ck_assert_int_eq(strcmp(fsync_thread, "zt-retry") == 0, times > 0);
	}
	expect_short_requests();
	stop(0);
}
END_TEST

#ifdef ZT_DEBUG
static atomic_uint nr_async;

static void count_async(void *arg, const char *point, uint64_t what)
{
	(void)arg;
	(void)what;
	if (strcmp(point, "file: a write is to end in another thread") == 0)
		atomic_fetch_add(&nr_async, 1);
}

/*
 * In the end nobody is left to try it anew: so it is not given to an engine, whose thread waits for no
 * memory and would answer ENOSPC at once.
 */
START_TEST(test_a_write_that_is_tried_again_waits_in_its_thread)
{
	const struct fs_cred cred = { .uid = 0 };
	struct fs_entry entry;

	fixture_accel = BLKMAP_ACCEL_ON;
	zt_hook_set(count_async, NULL);
	start(2);
	ck_assert_int_eq(fs_mknod(sb, &cred, FS_ROOT_INO, "file", S_IFREG | 0600, 0, &entry), 0);
	real_file = entry.ino;
	for (int times = 0; times < 3; times++) {
		atomic_store(&nr_put_off, times);
		send_write((uint64_t)(10 + 2 * times), (char)('a' + times));
		ck_assert_uint_eq(receive_answer(), 10 + 2 * times);
		ck_assert_uint_eq(atomic_load(&nr_async), 1);
	}
	super_drain(sb);
	stop(0);
	real_file = 0;
	zt_hook_set(NULL, NULL);
	fixture_accel = BLKMAP_ACCEL_OFF;
}
END_TEST
#endif

static bool one_sleeps(void)
{
	struct channel *ch = transport->channel;
	bool sleeps;

	mutex_lock(&ch->lock);
	sleeps = ch->parked != NULL && ch->duty.nr_on == 1;
	mutex_unlock(&ch->lock);
	return sleeps;
}

/* The one that reads has begun to wait: the one that sleeps is called in its place. */
START_TEST(test_a_thread_that_is_going_to_wait_is_relieved)
{
	const struct fuse_fsync_in in = { .fsync_flags = 1 };

	start(2);
	while (!one_sleeps())
		(void)sched_yield();
	send_message(FUSE_FSYNC, 10, &in, sizeof(in), NULL, 0);
	while (!atomic_load(&waits_for_statfs))
		(void)sched_yield();
	send_message(FUSE_STATFS, 12, NULL, 0, NULL, 0);
	ck_assert_uint_eq(receive_answer() + receive_answer(), 22);
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
	tcase_add_test(tc, test_a_thread_that_is_going_to_wait_is_relieved);
	tcase_add_test(tc, test_requests_that_wait_for_memory_are_served_again_by_the_thread_for_it);
#ifdef ZT_DEBUG
	tcase_add_test(tc, test_a_write_that_is_tried_again_waits_in_its_thread);
#endif
	suite_add_tcase(suite, tc);
	tc = tcase_create("missing");
	tcase_add_test(tc, test_no_memory_for_any_part);
	tcase_add_test(tc, test_no_thread_at_all_is_an_error);
	tcase_add_test(tc, test_fewer_threads_serve_with_a_warning);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
