// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_op_write.c - writes that wait for the reserve of a mount that carries swap, and who is
 * served meanwhile: the real table of requests behind our own transport, with several threads.
 */
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuse/transport.h"
#include "fs/file.h"
#include "tests/fuse/fixture.h"
#include "util/clock.h"

#define NR_THREADS 4u
#define NR_HELD   8u
#define RESERVE    (2 * MIB)
#define MEM_LIMIT  (96 * MIB)
#define WRITE_SIZE ((uint32_t)ZTFUSE_SWAP_IO_MAX)
#define NR_PAGES   (WRITE_SIZE / ZT_PAGE_SIZE)

static struct transport *transport;
static struct fuse_session *se;
static pthread_t server;
static int client = -1; /* the kernel's end */
static uint64_t file;
static uint64_t noise; /* state of the random bytes */

static char reply_data[ZTFUSE_SWAP_IO_MAX + 4096];

static void send_request(uint32_t opcode, uint64_t unique, uint64_t nodeid, const void *fixed,
			 size_t fixed_len, const void *data, size_t data_len)
{
	struct fuse_in_header header = {
		.len = (uint32_t)(sizeof(header) + fixed_len + data_len),
		.opcode = opcode,
		.unique = unique,
		.nodeid = nodeid,
	};
	struct iovec iov[] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)(uintptr_t)fixed, .iov_len = fixed_len },
		{ .iov_base = (void *)(uintptr_t)data, .iov_len = data_len },
	};

	ck_assert_int_eq(writev(client, iov, 3), header.len);
}

/* The next reply, to whichever request; its data in reply_data. */
static struct fuse_out_header receive(void)
{
	struct fuse_out_header header;
	struct iovec iov[] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = reply_data, .iov_len = sizeof(reply_data) },
	};
	const ssize_t len = readv(client, iov, 2);

	ck_assert_int_ge(len, (ssize_t)sizeof(header));
	ck_assert_uint_eq(header.len, (size_t)len);
	return header;
}

static void receive_good(uint64_t unique)
{
	const struct fuse_out_header header = receive();

	ck_assert_uint_eq(header.unique, unique);
	ck_assert_int_eq(header.error, 0);
}

/* What write @nr has in each of its pages: nothing that compresses. */
static void fill(uint64_t nr, char *out)
{
	uint64_t state = noise + nr;

	for (size_t i = 0; i < WRITE_SIZE; i += sizeof(uint64_t)) {
		const uint64_t word = zt_random(&state);

		memcpy(out + i, &word, sizeof(word));
	}
}

/* Each write has a place of its own. */
static void send_write(uint64_t nr)
{
	const struct fuse_write_in in = { .offset = nr * WRITE_SIZE, .size = WRITE_SIZE };
	static char data[WRITE_SIZE];

	fill(nr, data);
	send_request(FUSE_WRITE, nr, file, &in, sizeof(in), data, sizeof(data));
}

static void send_read(uint64_t unique, uint64_t nr, unsigned page)
{
	const struct fuse_read_in in = {
		.offset = nr * WRITE_SIZE + page * ZT_PAGE_SIZE,
		.size = ZT_PAGE_SIZE,
	};

	send_request(FUSE_READ, unique, file, &in, sizeof(in), NULL, 0);
}

static void check_page(uint64_t nr, unsigned page)
{
	static char data[WRITE_SIZE];

	fill(nr, data);
	ck_assert_mem_eq(reply_data, data + page * ZT_PAGE_SIZE, ZT_PAGE_SIZE);
}

static int make_swap_super(void)
{
	const struct super_params params = {
		.size = MEM_LIMIT,
		.nr_inodes = FIXTURE_INODES,
		.mode = 01777,
		.content.comp.name = "lz4",
		.content.comp.level = ZCOMP_LEVEL_DEFAULT,
		.content.comp.nr_streams = NR_THREADS + 1,
		.content.accel = BLKMAP_ACCEL_OFF,
		.mem_limit = MEM_LIMIT,
		.swap_reserve = RESERVE,
	};
	char text[256] = "";

	return super_create(&params, text, &sb);
}

static void *server_main(void *arg)
{
	(void)arg;
	ck_assert_int_eq(transport_serve_init(transport), 0);
	ck_assert_int_eq(transport_run(transport), 0);
	return NULL;
}

static void start(void)
{
	const struct ztfuse_session_params session = { .mount_opts = "fsname=test" };
	const struct channel_params params = { .nr_threads = NR_THREADS, .nr_held = NR_HELD };
	const struct fuse_init_in init = { .major = 7, .minor = 31, .flags = FUSE_MAX_PAGES };
	const struct fuse_mknod_in mknod_in = { .mode = S_IFREG | 0600 };
	struct fuse_entry_out entry;
	int fds[2], size = 4 * (int)MIB;

	noise = zt_seed();
	ck_assert_int_eq(make_swap_super(), 0);
	ztfuse_init(&front, sb, ZTFUSE_CACHE_NEVER);
	ck_assert_int_eq(ztfuse_prepare_swap(&front, NR_THREADS), 0);
	ck_assert_int_eq(ztfuse_session_new(&front, &session, &se), 0);
	ck_assert_int_eq(transport_create(&front, &params, &transport), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	client = fds[0];
	ck_assert_int_eq(setsockopt(client, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	ck_assert_int_eq(transport_attach(transport, se, fds[1]), 0);
	ck_assert_int_eq(pthread_create(&server, NULL, server_main, NULL), 0);
	send_request(FUSE_INIT, 1, 0, &init, sizeof(init), NULL, 0);
	receive_good(1);
	send_request(FUSE_MKNOD, 2, FUSE_ROOT_ID, &mknod_in, sizeof(mknod_in), "swap", 5);
	receive_good(2);
	memcpy(&entry, reply_data, sizeof(entry));
	file = entry.nodeid;
}

static void stop(void)
{
	transport_stop(transport);
	ck_assert_int_eq(pthread_join(server, NULL), 0);
	ck_assert_int_eq(super_check(sb), 0);
	close(client);
	fuse_session_destroy(se);
	transport_destroy(transport);
	ztfuse_exit(&front);
	super_destroy(sb);
}

static struct ztmpfs_stat stat_now(void)
{
	struct ztmpfs_stat stat;

	super_get_stat(sb, &stat);
	return stat;
}

/* Until a write would have to wait; the grower gets nothing. Return: the number of the next write. */
static uint64_t use_up(void)
{
	const struct arena_grant none = { 0 };
	uint64_t nr = 3;

	super_swap_grant(sb, &none);
	while (!fs_write_may_wait(sb, WRITE_SIZE)) {
		send_write(nr);
		receive_good(nr);
		nr++;
	}
	ck_assert_uint_gt(nr, 3);
	return nr;
}

static void give_room(void)
{
	const struct arena_grant plenty = { .more = UINT64_MAX, .urgent = UINT64_MAX };

	super_swap_grant(sb, &plenty);
}

/* From now on @nr writes from @first wait, in threads and in line. */
static void send_writes_that_wait(uint64_t first, unsigned nr)
{
	const uint64_t waits = stat_now().swap_waits;

	for (unsigned i = 0; i < nr; i++)
		send_write(first + i);
	while (stat_now().swap_waits < waits + min_u64(nr, NR_THREADS - 1))
		(void)sched_yield();
}

static void receive_all_writes(uint64_t first, unsigned nr)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < nr; i++) {
		const struct fuse_out_header header = receive();

		ck_assert_int_eq(header.error, 0);
		ck_assert_uint_ge(header.unique, first);
		ck_assert_uint_lt(header.unique, first + nr);
		seen |= UINT64_C(1) << (header.unique - first);
	}
	ck_assert_uint_eq(seen, (UINT64_C(1) << nr) - 1);
}

static void check_writes(uint64_t first, uint64_t nr)
{
	for (uint64_t i = first; i < first + nr; i++) {
		const unsigned page = (unsigned)(i % NR_PAGES);

		send_read(1000 + i, i, page);
		receive_good(1000 + i);
		check_page(i, page);
	}
}

/* As many as the loop device of swap has under way, and more than there are threads. */
START_TEST(test_a_read_is_answered_while_all_writes_wait_for_memory)
{
	const unsigned nr = NR_HELD;
	uint64_t first;

	start();
	first = use_up();
	send_writes_that_wait(first, nr);
	/* They would give up after some seconds: no reply of theirs comes before. */
	check_writes(3, first - 3);
	ck_assert_uint_eq(stat_now().swap_timeouts, 0);
	give_room();
	receive_all_writes(first, nr);
	check_writes(3, first - 3 + nr);
	stop();
}
END_TEST

/* The last thread waits, too, and nothing is lost. */
START_TEST(test_more_writes_than_can_stand_in_line_are_all_served)
{
	const unsigned nr = NR_THREADS - 1 + NR_HELD + 2;
	uint64_t first;

	start();
	first = use_up();
	send_writes_that_wait(first, nr);
	give_room();
	receive_all_writes(first, nr);
	check_writes(3, first - 3 + nr);
	stop();
}
END_TEST

/*
 * What no memory comes for fails within the time that one may wait: who holds what others want
 * does not wait once more, for each of its pages. What is left is enough for one and a part of others.
 */
START_TEST(test_writes_that_waited_in_vain_fail_in_time)
{
	const uint64_t begin = zt_now_ns();
	const unsigned nr = NR_THREADS;
	unsigned nr_failed = 0;
	uint64_t first;

	start();
	first = use_up();
	send_writes_that_wait(first, nr);
	for (unsigned i = 0; i < nr; i++) {
		const struct fuse_out_header header = receive();

		ck_assert_uint_ge(header.unique, first);
		if (header.error) {
			ck_assert_int_eq(header.error, -ENOSPC);
			nr_failed++;
		}
	}
	ck_assert_uint_ge(nr_failed, 1);
	/* Those in threads wait three seconds, then the one in line does. */
	ck_assert_uint_lt(zt_now_ns() - begin, 9 * ZT_NS_PER_S);
	check_writes(3, first - 3);
	give_room();
	send_write(first);
	receive_good(first);
	check_writes(first, 1);
	stop();
}
END_TEST

/* Turns are taken by who comes and by who has written, at the same time. */
START_TEST(test_turns_change_hands_many_times)
{
	const unsigned nr = 400, under_way = NR_HELD;
	unsigned sent = 0;

	start();
	for (; sent < under_way; sent++)
		send_write(3 + sent);
	for (unsigned i = 0; i < nr; i++) {
		const struct fuse_out_header header = receive();

		ck_assert_int_eq(header.error, 0);
		if (sent < nr)
			send_write(3 + sent++);
	}
	check_writes(3, nr);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("op_write");
	TCase *tc = tcase_create("turns");

	if (make_swap_super() != 0) {
		printf("SKIP: no memory can be locked, or no thread be made to run before "
		       "others\n");
		return 77;
	}
	super_destroy(sb);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_a_read_is_answered_while_all_writes_wait_for_memory);
	tcase_add_test(tc, test_more_writes_than_can_stand_in_line_are_all_served);
	tcase_add_test(tc, test_writes_that_waited_in_vain_fail_in_time);
	tcase_add_test(tc, test_turns_change_hands_many_times);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
