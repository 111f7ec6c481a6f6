// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_uring.c - rings on a real mount of the test's own table of requests: answers from another
 * thread, and what happens when something cannot be had. Skips itself where the kernel offers none.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fuse/request.h"
#include "fuse/transport.h"
#include "fuse/transport_i.h"
#include "tests/fuse/fixture.h"
#include "util/alloc.h"
#include "util/log.h"

#define NR_HELD   6u
#define NR_WRITERS 8u
#define FILE_INO   2u
#define LARGE      (128u * 1024) /* much more than stays with a trimmed buffer */
static_assert(NR_WRITERS * LARGE <= ZTFUSE_IO_MAX, "each has its own part");

static struct transport *transport;
static struct fuse_session *se;
static pthread_t server, replier;
static char folder[] = "/tmp/ztmpfs-uring.XXXXXX";
static unsigned nr_warnings;
static int served;

/* Held requests, answered by a thread of their own in the order of a stack. */
static struct late {
	struct request *held;
	fuse_req_t req;
	size_t size;
	const char *bytes; /* of a read */
} late[64];
static unsigned nr_late, nr_held, nr_direct;
static bool no_more;
static pthread_mutex_t late_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t late_cond = PTHREAD_COND_INITIALIZER;
static char content[ZTFUSE_IO_MAX];
static atomic_bool trims_in_read, trimming;
/* Asserted when nothing is mounted any more: a process that ends while it serves itself hangs. */
static atomic_uint nr_wrong;

static struct stat file_attr(fuse_ino_t ino)
{
	return (struct stat){
		.st_ino = ino,
		.st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644,
		.st_nlink = 1,
		.st_size = ino == FUSE_ROOT_ID ? 0 : (off_t)sizeof(content),
	};
}

static void answer(const struct late *l)
{
	if (l->bytes)
		(void)fuse_reply_buf(l->req, l->bytes, l->size);
	else
		(void)fuse_reply_write(l->req, l->size);
}

static void hold_or_answer(fuse_req_t req, size_t size, const char *bytes)
{
	struct late l = { ztfuse_hold(req), req, size, bytes };

	pthread_mutex_lock(&late_lock);
	if (l.held) {
		late[nr_late++] = l;
		nr_held++;
		pthread_cond_broadcast(&late_cond);
	} else {
		nr_direct++;
	}
	pthread_mutex_unlock(&late_lock);
	if (!l.held)
		answer(&l);
}

static void *replier_main(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&late_lock);
	for (;;) {
		struct late l;

		while (nr_late == 0 && !no_more)
			pthread_cond_wait(&late_cond, &late_lock);
		if (nr_late == 0)
			break;
		l = late[--nr_late];
		pthread_mutex_unlock(&late_lock);
		answer(&l);
		ztfuse_release(l.held);
		pthread_mutex_lock(&late_lock);
	}
	pthread_mutex_unlock(&late_lock);
	return NULL;
}

static void t_init(void *userdata, struct fuse_conn_info *conn)
{
	struct ztfuse *f = userdata;

	conn->max_write = ZTFUSE_IO_MAX;
	conn->max_read = ZTFUSE_IO_MAX;
	f->initialised = true;
}

static void t_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct fuse_entry_param entry = { .ino = FILE_INO, .attr = file_attr(FILE_INO) };

	(void)parent;
	if (strcmp(name, "file") == 0)
		(void)fuse_reply_entry(req, &entry);
	else
		(void)fuse_reply_err(req, ENOENT);
}

static void t_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct stat attr = file_attr(ino);

	(void)fi;
	(void)fuse_reply_attr(req, &attr, 1000);
}

static void t_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fi->direct_io = 1;
	(void)fuse_reply_open(req, fi);
}

static void t_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	memcpy(content + off, buf, size);
	hold_or_answer(req, size, NULL);
}

static void t_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		   struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	if (!atomic_load(&trims_in_read)) {
		hold_or_answer(req, size, content + off);
		return;
	}
	/* As seen by the second trim, the ring has been idle: it serves this since before the first. */
	channel_trim(transport->channel);
	channel_trim(transport->channel);
	(void)fuse_reply_buf(req, content + off, size);
}

static const struct fuse_lowlevel_ops t_ops = {
	.init = t_init,
	.lookup = t_lookup,
	.getattr = t_getattr,
	.open = t_open,
	.write = t_write,
	.read = t_read,
};

static void count_warning(enum zt_log_level level, const char *line)
{
	nr_warnings += level == ZT_LOG_WARN && strstr(line, "io_uring") != NULL;
}

static void *server_main(void *arg)
{
	(void)arg;
	served = transport_run(transport);
	return NULL;
}

/* @fault: which allocation fails, counted from the making of the rings on; 0: none */
static void start(long fault)
{
	const struct channel_params params = {
		.nr_threads = 2,
		.nr_held = NR_HELD,
		.uring = CHANNEL_URING_ON,
	};
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	char max_read[32];

	zt_log_set_sink(count_warning);
	fixture_make(ZTFUSE_CACHE_NEVER);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(max_read, sizeof(max_read), "-omax_read=%u", ZTFUSE_IO_MAX);
	ck_assert_int_eq(fuse_opt_add_arg(&args, "test"), 0);
	ck_assert_int_eq(fuse_opt_add_arg(&args, max_read), 0);
	se = fuse_session_new(&args, &t_ops, sizeof(t_ops), &front);
	ck_assert_ptr_nonnull(se);
	fuse_opt_free_args(&args);
	ck_assert_int_eq(transport_create(&front, &params, &transport), 0);
	ck_assert_int_eq(transport_attach(transport, se, -1), 0);
	ck_assert_int_eq(fuse_session_mount(se, folder), 0);
	ck_assert_int_eq(transport_serve_init(transport), 0);
	zt_fault_set(fault);
	ck_assert_int_eq(pthread_create(&replier, NULL, replier_main, NULL), 0);
	ck_assert_int_eq(pthread_create(&server, NULL, server_main, NULL), 0);
}

static void stop(void)
{
	transport_stop(transport);
	ck_assert_int_eq(pthread_join(server, NULL), 0);
	ck_assert_int_eq(served, 0);
	pthread_mutex_lock(&late_lock);
	no_more = true;
	pthread_cond_broadcast(&late_cond);
	pthread_mutex_unlock(&late_lock);
	ck_assert_int_eq(pthread_join(replier, NULL), 0);
	fuse_session_unmount(se);
	fuse_session_destroy(se);
	transport_destroy(transport);
	ztfuse_exit(&front);
	super_destroy(sb);
	ck_assert_int_eq(rmdir(folder), 0);
}

static int open_file(void)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/file", folder);
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void *writer_main(void *arg)
{
	const unsigned nr = (unsigned)(uintptr_t)arg;
	static char bufs[NR_WRITERS][65536];
	char *buf = bufs[nr];
	const int fd = open_file();

	for (unsigned i = 0; i < 200; i++) {
		memset(buf, (int)(nr * 31 + i), sizeof(bufs[nr]));
		if (pwrite(fd, buf, sizeof(bufs[nr]), nr * 65536) != sizeof(bufs[nr]))
			abort();
	}
	close(fd);
	return NULL;
}

static void write_side_by_side(void)
{
	pthread_t writers[NR_WRITERS];
	static char got[NR_WRITERS * 65536];
	int fd;

	for (unsigned i = 0; i < NR_WRITERS; i++)
		ck_assert_int_eq(
			pthread_create(&writers[i], NULL, writer_main, (void *)(uintptr_t)i), 0);
	for (unsigned i = 0; i < NR_WRITERS; i++)
		ck_assert_int_eq(pthread_join(writers[i], NULL), 0);
	fd = open_file();
	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), sizeof(got));
	close(fd);
	for (unsigned i = 0; i < NR_WRITERS; i++) {
		ck_assert_int_eq(got[i * 65536], (char)(i * 31 + 199));
		ck_assert_int_eq(got[i * 65536 + 65535], (char)(i * 31 + 199));
	}
}

START_TEST(test_held_requests_of_rings_are_answered_by_another_thread)
{
	start(0);
	write_side_by_side();
	stop();
	ck_assert_uint_gt(nr_held, 0);
	ck_assert_uint_eq(nr_held + nr_direct, NR_WRITERS * 200 + 1);
	ck_assert_uint_eq(nr_warnings, 0);
}
END_TEST

/* Of the buffers' pages each is known: a lost one would be zero. */
static void fill_content(void)
{
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (char)(1 + i % 251);
}

static void stay_on_this_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
}

/*
 * The ring is told to give memory back while it serves: the answer lies in that memory until it is
 * sent. That is every second time, since a ring that has just been trimmed has none to give.
 */
START_TEST(test_answers_survive_a_trim)
{
	static char got[LARGE]; /* so little is one request, wherever it begins */
	int fd;

	start(0);
	stay_on_this_cpu(); /* so it is always the same ring */
	fill_content();
	atomic_store(&trims_in_read, true);
	fd = open_file();
	for (unsigned i = 0; i < 20; i++) {
		memset(got, 0, sizeof(got));
		if (pread(fd, got, sizeof(got), 0) != sizeof(got) ||
		    memcmp(got, content, sizeof(got)) != 0)
			atomic_fetch_add(&nr_wrong, 1);
	}
	close(fd);
	stop();
	ck_assert_uint_eq(atomic_load(&nr_wrong), 0);
}
END_TEST

static void *trimmer_main(void *arg)
{
	(void)arg;
	while (atomic_load(&trimming)) {
		channel_trim(transport->channel);
		sched_yield();
	}
	return NULL;
}

static void *large_writer_main(void *arg)
{
	const size_t at = (size_t)(uintptr_t)arg * LARGE;
	static char bufs[NR_WRITERS][LARGE], gots[NR_WRITERS][LARGE];
	char *buf = bufs[at / LARGE], *got = gots[at / LARGE];
	const int fd = open_file();

	for (unsigned i = 0; i < 100; i++) {
		memset(buf, (int)(1 + i), LARGE);
		if (pwrite(fd, buf, LARGE, (off_t)at) != LARGE)
			atomic_fetch_add(&nr_wrong, 1);
		if (pread(fd, got, LARGE, (off_t)at) != LARGE || memcmp(got, buf, LARGE) != 0)
			atomic_fetch_add(&nr_wrong, 1);
	}
	close(fd);
	return NULL;
}

/* Nor do requests that have just come lose their bytes, in whatever order all this happens. */
START_TEST(test_requests_survive_trims)
{
	pthread_t writers[NR_WRITERS], trimmer;

	start(0);
	atomic_store(&trimming, true);
	ck_assert_int_eq(pthread_create(&trimmer, NULL, trimmer_main, NULL), 0);
	for (unsigned i = 0; i < NR_WRITERS; i++)
		ck_assert_int_eq(
			pthread_create(&writers[i], NULL, large_writer_main, (void *)(uintptr_t)i),
			0);
	for (unsigned i = 0; i < NR_WRITERS; i++)
		ck_assert_int_eq(pthread_join(writers[i], NULL), 0);
	atomic_store(&trimming, false);
	ck_assert_int_eq(pthread_join(trimmer, NULL), 0);
	stop();
	ck_assert_uint_eq(atomic_load(&nr_wrong), 0);
}
END_TEST

/* Each failure leads back to the channel, with one sentence; the mount works all the same. */
START_TEST(test_failure_while_rings_are_made_leads_back_to_the_channel)
{
	start(_i);
	write_side_by_side();
	ck_assert(!zt_fault_pending());
	zt_fault_set(0);
	stop();
	ck_assert_uint_eq(nr_warnings, 1);
}
END_TEST

START_TEST(test_rings_that_cannot_be_are_not_asked_for)
{
	const struct channel_params params = { .nr_threads = 1, .uring = CHANNEL_URING_ON };
	int error;

	zt_log_set_sink(count_warning);
	fixture_make(ZTFUSE_CACHE_NEVER);
	/* The transport itself is the first allocation. */
	zt_fault_set(2);
	error = transport_create(&front, &params, &transport);
	while (error == -ENOMEM && nr_warnings == 0) {
		static long n = 3;

		ck_assert_int_lt(n, 10);
		zt_fault_set(n++);
		error = transport_create(&front, &params, &transport);
	}
	zt_fault_set(0);
	ck_assert_int_eq(error, 0);
	ck_assert_uint_eq(nr_warnings, 1);
	transport_destroy(transport);
	ztfuse_exit(&front);
	super_destroy(sb);
}
END_TEST

static bool kernel_offers_rings(void)
{
	FILE *f = fopen("/sys/module/fuse/parameters/enable_uring", "r");
	const int c = f ? fgetc(f) : 'N';

	if (f)
		(void)fclose(f);
	return c == 'Y' && geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0;
}

int main(void)
{
	Suite *suite = suite_create("uring");
	TCase *tc = tcase_create("without a mount");

#ifndef HAVE_LIBURING
	printf("SKIP: built without liburing\n");
	return 77;
#endif
	tcase_add_test(tc, test_rings_that_cannot_be_are_not_asked_for);
	suite_add_tcase(suite, tc);
	if (kernel_offers_rings()) {
		tc = tcase_create("mounted");
		tcase_set_timeout(tc, 60);
		tcase_add_test(tc, test_held_requests_of_rings_are_answered_by_another_thread);
		tcase_add_test(tc, test_answers_survive_a_trim);
		tcase_add_test(tc, test_requests_survive_trims);
		/* 1 to 3: memory for them; then each thread with its ring */
		tcase_add_loop_test(tc, test_failure_while_rings_are_made_leads_back_to_the_channel,
				    1, 8);
		suite_add_tcase(suite, tc);
	} else {
		printf("note: no rings here (root, enable_uring of the module fuse): half of the "
		       "tests\n");
	}
	return zt_check_main(suite);
}
