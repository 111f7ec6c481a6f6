/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kernel.h - the kernel's end of a channel, and what must hold whatever serves the other end: the
 * channel alone (tests/fuse/channel/test_channel.c), and libfuse on it (tests/fuse/test_transport.c).
 *
 * It is a pair of sockets that keep the borders of messages, so several threads may read it, as they
 * read /dev/fuse. A test that includes this answers STATFS at once, holds WRITEs and tells
 * note_write(), does not end a FALLOCATE of ENDLESS bytes before it is interrupted, and says in
 * other_end how it is begun and ended.
 */
#ifndef ZT_TESTS_FUSE_KERNEL_H
#define ZT_TESTS_FUSE_KERNEL_H

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/lib/zt_check.h"
#include "util/log.h"
#include "util/sizes.h"

#define NR_THREADS 4u
#define NR_HELD    3u
#define DATA_SIZE  100000u
#define ENDLESS    (INT64_C(1) << 40) /* bytes of a request that never ends by itself */

struct request;

static int client = -1; /* the kernel's end */

/* WRITEs that are held until the test lets them go. */
static struct held_write {
	struct request *held;
	void *req; /* libfuse's, if that serves */
	const char *data;
	size_t size;
	uint64_t hash; /* of the data, when it came */
} writes[16];
static unsigned nr_writes;
static pthread_mutex_t writes_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t writes_cond = PTHREAD_COND_INITIALIZER;
static unsigned nr_answered_now; /* guarded by writes_lock */

/* What serves; initialised by the test that includes this. */
static struct other_end {
	void (*start)(unsigned nr_threads); /* INIT is answered when it returns */
	void (*stop)(int expected); /* what serving ends with */
	void (*reply)(const struct held_write *write); /* and give its request back */
} other_end;

static uint64_t hash_of(const void *data, size_t size)
{
	const unsigned char *at = data;
	uint64_t hash = 14695981039346656037u;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* @held: NULL: it could not be, and is answered now. */
static void note_write(struct request *held, void *req, const char *data, size_t size)
{
	pthread_mutex_lock(&writes_lock);
	if (held) {
		writes[nr_writes++] =
			(struct held_write){ held, req, data, size, hash_of(data, size) };
		pthread_cond_broadcast(&writes_cond);
	} else {
		nr_answered_now++;
	}
	pthread_mutex_unlock(&writes_lock);
}

/* Return: our end. */
static int open_kernel(void)
{
	int fds[2], size = 2 * (int)MIB;

	nr_writes = nr_answered_now = 0;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	client = fds[0];
	ck_assert_int_eq(setsockopt(client, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	return fds[1];
}

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

static void agree_on_protocol(void)
{
	const struct fuse_init_in init = { .major = 7, .minor = 31, .flags = FUSE_MAX_PAGES };

	send_message(FUSE_INIT, 1, &init, sizeof(init), NULL, 0);
	ck_assert_uint_eq(receive_answer(), 1);
}

static void send_write(uint64_t unique, char fill)
{
	static char data[DATA_SIZE];
	const struct fuse_write_in in = { .size = DATA_SIZE };

	memset(data, fill, sizeof(data));
	send_message(FUSE_WRITE, unique, &in, sizeof(in), data, sizeof(data));
}

static void wait_for_writes(unsigned nr)
{
	pthread_mutex_lock(&writes_lock);
	while (nr_writes < nr)
		pthread_cond_wait(&writes_cond, &writes_lock);
	pthread_mutex_unlock(&writes_lock);
}

static void answer(const struct held_write *w)
{
	/* The bytes stay until they are given back, whatever else was received. */
	ck_assert_uint_eq(hash_of(w->data, w->size), w->hash);
	other_end.reply(w);
}

static void expect_short_requests(void)
{
	for (uint64_t unique = 1000; unique < 1100; unique += 2) {
		send_message(FUSE_STATFS, unique, NULL, 0, NULL, 0);
		ck_assert_uint_eq(receive_answer(), unique);
	}
}

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

static unsigned nr_warnings;

static void count_warning(enum zt_log_level level, const char *line)
{
	(void)line;
	nr_warnings += level == ZT_LOG_WARN;
}

START_TEST(test_stop_before_anything_was_served)
{
	other_end.start(NR_THREADS);
	other_end.stop(0);
}
END_TEST

START_TEST(test_held_requests_are_answered_later_in_any_order)
{
	other_end.start(1);
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
	other_end.stop(0);
}
END_TEST

START_TEST(test_no_more_can_be_held_than_there_are_buffers)
{
	other_end.start(1);
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
	other_end.stop(0);
}
END_TEST

/* More than there are threads: short ones are served, and a signal finds each, in whatever order. */
START_TEST(test_long_requests_leave_a_thread_and_are_interrupted_wherever_they_are)
{
	enum { NR = 3 * NR_THREADS };

	other_end.start(NR_THREADS);
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
	other_end.stop(0);
}
END_TEST

START_TEST(test_interruption_that_comes_before_its_request_is_kept)
{
	other_end.start(NR_THREADS);
	for (uint64_t unique = 10; unique < 50; unique += 2) {
		interrupt(unique);
		send_endless(unique);
		ck_assert_uint_eq(receive_interrupted(), unique);
	}
	/* One for what was answered long ago changes nothing, as often as it comes. */
	for (unsigned i = 0; i < 100; i++)
		interrupt(10);
	expect_short_requests();
	other_end.stop(0);
}
END_TEST

START_TEST(test_end_does_not_wait_for_long_requests)
{
	other_end.start(NR_THREADS);
	for (unsigned i = 0; i < 3 * NR_THREADS; i++)
		send_endless(10 + 2 * i);
	expect_short_requests();
	other_end.stop(0);
}
END_TEST

#endif
