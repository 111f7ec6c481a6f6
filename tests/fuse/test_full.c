// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_full.c - a mount that is nearly full, by the requests of it: refusals that close(2) tells and
 * that stat(2) waits for, attributes that make the kernel write at once, and writes that leave room.
 * What the kernel makes of it is in tests/mount/full.
 */
#include <unistd.h>

#include "fs/super.h"
#include "fuse/full.h"
#include "tests/fuse/fixture.h"
#include "util/clock.h"

static uint64_t file;

/* Over our own transport: a request waits only where others are served meanwhile. */
static void start(void)
{
	fixture_start_transport(40);
	file = make_file(ROOT, "f");
	/* With its one thread, as with three; it is all there now. */
	atomic_store(&front.retry.nr_may_wait, 1);
}

/* As the thread does that mends sizes. */
static void begin_to_mend(void)
{
	mutex_lock(&front.full.lock);
	front.full.runs = true;
	mutex_unlock(&front.full.lock);
}

static int flush(uint64_t ino)
{
	const struct fuse_flush_in in = { .fh = 0 };

	return wire_call(&wire, FUSE_FLUSH, ino, &in, sizeof(in), NULL, 0).error;
}

static struct fuse_attr_out getattr(uint64_t ino, bool by_handle)
{
	const struct fuse_getattr_in in = { .getattr_flags = by_handle ? FUSE_GETATTR_FH : 0 };
	struct wire_reply reply = wire_call(&wire, FUSE_GETATTR, ino, &in, sizeof(in), NULL, 0);
	struct fuse_attr_out out;

	ck_assert_int_eq(reply.error, 0);
	memcpy(&out, reply.data, sizeof(out));
	return out;
}

START_TEST(test_close_tells_of_a_refusal_once)
{
	const uint64_t other = make_file(ROOT, "g");

	ck_assert_int_eq(flush(file), -ENOSYS);
	front.full.flush = true;
	ck_assert_int_eq(flush(file), 0);
	full_refused(&front, file, 0, 100);
	full_refused(&front, file, 100, 100);
	ck_assert_int_eq(flush(other), 0);
	/* The thread that mends sizes has written nothing, and would keep it to itself. */
	atomic_store(&front.full.mender, WIRE_PID);
	ck_assert_int_eq(flush(file), 0);
	atomic_store(&front.full.mender, 0);
	ck_assert_int_eq(flush(file), -ENOSPC);
	ck_assert_int_eq(flush(file), 0);
}
END_TEST

START_TEST(test_nothing_is_left_to_tell_of_a_file_that_was_cut_to_nothing)
{
	const struct fuse_setattr_in in = { .valid = FATTR_SIZE, .size = 0 };
	struct fuse_attr attr;

	front.full.flush = true;
	full_refused(&front, file, 0, 100);
	ck_assert_int_eq(wire_setattr(&wire, file, &in, &attr), 0);
	ck_assert_int_eq(flush(file), 0);
}
END_TEST

START_TEST(test_a_write_that_does_not_fit_is_told_where_it_was_delayed)
{
	static char data[ZT_PAGE_SIZE];
	long res = 0;
	uint64_t off;

	front.full.flush = true;
	memset(data, 'x', sizeof(data));
	for (off = 0; off <= FIXTURE_SIZE; off += sizeof(data)) {
		res = wire_write(&wire, file, off, data, sizeof(data), FUSE_WRITE_CACHE);
		if (res < 0)
			break;
	}
	ck_assert_int_eq(res, -ENOSPC);
	ck_assert_int_eq(flush(file), -ENOSPC);
	/* The caller of write(2) hears of these by itself. */
	ck_assert_int_eq(wire_write(&wire, file, off, data, sizeof(data), 0), -ENOSPC);
	ck_assert_int_eq(flush(file), 0);
}
END_TEST

START_TEST(test_refusals_of_one_file_are_one_until_it_is_mended)
{
	struct full_refusal first, again;

	ck_assert(!full_next(&front.full, &first));
	full_refused(&front, file, 4096, 100);
	/* Without a thread nobody would wait for anything. */
	ck_assert(!full_next(&front.full, &first));
	begin_to_mend();
	full_refused(&front, file, 4096, 100);
	ck_assert(full_next(&front.full, &first));
	ck_assert_uint_eq(first.ino, file);
	ck_assert_uint_eq(first.from, 4096);
	ck_assert_uint_eq(first.to, 4196);
	full_refused(&front, file, 0, 50);
	/* More has come since: it stays. */
	full_mended(&front.full, &first);
	ck_assert(full_next(&front.full, &again));
	ck_assert_uint_eq(again.from, 0);
	ck_assert_uint_eq(again.to, 4196);
	ck_assert_uint_eq(atomic_load(&front.full.nr_refusals), 1);
	full_mended(&front.full, &again);
	ck_assert(!full_next(&front.full, &again));
	ck_assert_uint_eq(atomic_load(&front.full.nr_refusals), 0);
	/* Again, of what is no longer there. */
	full_mended(&front.full, &again);
	ck_assert_uint_eq(atomic_load(&front.full.nr_refusals), 0);
}
END_TEST

static atomic_bool is_mended;

static void *mend_soon(void *arg)
{
	struct full_refusal refusal;

	(void)arg;
	usleep(50000);
	atomic_store(&is_mended, true);
	ck_assert(full_next(&front.full, &refusal));
	full_mended(&front.full, &refusal);
	return NULL;
}

START_TEST(test_stat_waits_for_the_truth_and_a_handle_does_not)
{
	const uint64_t other = make_file(ROOT, "g");
	pthread_t thread;
	uint64_t begin;

	begin_to_mend();
	full_refused(&front, file, 0, 100);
	/* Its attributes have been called back. */
	ck_assert_int_eq(pthread_create(&thread, NULL, mend_soon, NULL), 0);
	(void)getattr(other, false);
	(void)getattr(file, true);
	ck_assert_uint_eq(wire.notified_ino, file);
	(void)getattr(file, false);
	ck_assert(atomic_load(&is_mended));
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	/* A thread that never comes holds nobody for long. */
	full_refused(&front, file, 0, 100);
	begin = zt_now_ns();
	(void)getattr(file, false);
	ck_assert_uint_ge(zt_now_ns() - begin, ZT_NS_PER_S / 2);
	ck_assert_uint_lt(zt_now_ns() - begin, 30 * ZT_NS_PER_S);
	/* As many may wait as before. */
	ck_assert_int_eq(atomic_load(&front.retry.nr_may_wait), 1);
}
END_TEST

START_TEST(test_near_the_limit_a_handle_gets_attributes_that_have_the_kernel_write_at_once)
{
	const uint64_t before = getattr(file, true).attr_valid;
	struct fuse_attr_out out;

	ck_assert_uint_gt(before, 0);
	atomic_store(&front.full.through, true);
	out = getattr(file, true);
	ck_assert_uint_eq(out.attr.mode & 07777, 04644);
	ck_assert_uint_eq(out.attr_valid + out.attr_valid_nsec, 0);
	/* Programs see the truth, and folders are as ever. */
	ck_assert_uint_eq(getattr(file, false).attr.mode & 07777, 0644);
	ck_assert_uint_eq(getattr(ROOT, true).attr.mode & 07777, 01777);
	ck_assert_uint_gt(getattr(ROOT, true).attr_valid, 0);
	atomic_store(&front.full.through, false);
	ck_assert_uint_eq(getattr(file, true).attr.mode & 07777, 0644);
	ck_assert_uint_eq(getattr(file, true).attr_valid, before);
}
END_TEST

/* What the thread does when it is woken: it sees that a request waits, and stores what was delayed. */
static void *store_soon(void *arg)
{
	bool *out_expected = arg;

	*out_expected = full_sleep(&front.full, 0) && full_expects(&front.full);
	atomic_store(&is_mended, true);
	full_set_safe(&front.full, true);
	return NULL;
}

START_TEST(test_what_takes_much_room_waits_until_what_was_delayed_is_stored)
{
	bool expected = false;
	pthread_t thread;

	begin_to_mend();
	atomic_store(&front.full.near_at, FIXTURE_SIZE / 2);
	/* That leaves enough. */
	ck_assert_int_eq(wire_fallocate(&wire, file, 0, 0, FIXTURE_SIZE / 4), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, store_soon, &expected), 0);
	ck_assert_int_eq(wire_fallocate(&wire, file, 0, 0, FIXTURE_SIZE / 4 * 3), 0);
	ck_assert(atomic_load(&is_mended));
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(expected);
	ck_assert(!full_expects(&front.full));
	/* What cannot fit is refused at once. */
	full_set_safe(&front.full, false);
	ck_assert_int_eq(wire_fallocate(&wire, file, 0, 0, FIXTURE_SIZE * 2), -ENOSPC);
}
END_TEST

START_TEST(test_the_thread_is_woken_when_little_is_left)
{
	static char data[ZT_PAGE_SIZE];

	memset(data, 'x', sizeof(data));
	begin_to_mend();
	atomic_store(&front.full.low, super_bytes_left(sb) - 2 * sizeof(data) + 1);
	ck_assert_int_eq(wire_write(&wire, file, 0, data, sizeof(data), 0), sizeof(data));
	ck_assert(!front.full.woken);
	ck_assert_int_eq(wire_write(&wire, file, sizeof(data), data, sizeof(data), 0),
			 sizeof(data));
	ck_assert(full_sleep(&front.full, 0));
	ck_assert(!front.full.woken);
	front.full.stop = true;
	ck_assert(!full_sleep(&front.full, 0));
}
END_TEST

static char page[ZT_PAGE_SIZE];

/* Return: how long it took, in ns. */
static uint64_t write_pages(unsigned nr, uint32_t flags)
{
	const uint64_t begin = zt_now_ns();

	for (unsigned i = 0; i < nr; i++)
		ck_assert_int_eq(wire_write(&wire, file, 0, page, sizeof(page), flags),
				 sizeof(page));
	return zt_now_ns() - begin;
}

/* Where a write of a page leaves room for so many others beside what is to be left. */
static void pace_with_room_for(unsigned nr)
{
	ck_assert_int_eq(wire_write(&wire, file, 0, page, sizeof(page), 0), sizeof(page));
	atomic_store(&front.full.leave, super_bytes_left(sb) - nr * sizeof(page));
	atomic_store(&front.full.pace_at, UINT64_MAX);
}

START_TEST(test_delayed_writes_are_slower_the_less_is_left)
{
	memset(page, 'x', sizeof(page));
	/* There is no thread, so nothing to wait for. */
	pace_with_room_for(0);
	ck_assert_uint_lt(write_pages(50, FUSE_WRITE_CACHE), 30 * ZT_NS_PER_S);
	begin_to_mend();
	pace_with_room_for(100);
	ck_assert_uint_ge(write_pages(100, FUSE_WRITE_CACHE), ZT_NS_PER_S / 10);
	ck_assert(front.full.woken);
	pace_with_room_for(10);
	ck_assert_uint_ge(write_pages(20, FUSE_WRITE_CACHE), ZT_NS_PER_S / 5);
	/* A second each. */
	pace_with_room_for(0);
	ck_assert_uint_ge(write_pages(2, FUSE_WRITE_CACHE), 2 * ZT_NS_PER_S);
	/* The kernel asks: nobody waits, nor where it cannot be made to. */
	full_set_safe(&front.full, true);
	ck_assert_uint_lt(write_pages(50, FUSE_WRITE_CACHE), 30 * ZT_NS_PER_S);
	full_set_safe(&front.full, false);
	atomic_store(&front.full.pace_at, 0);
	ck_assert_uint_lt(write_pages(50, FUSE_WRITE_CACHE), 30 * ZT_NS_PER_S);
	/* What its caller waits for is not one of them. */
	atomic_store(&front.full.pace_at, UINT64_MAX);
	atomic_store(&front.full.leave, 0);
	ck_assert_uint_lt(write_pages(50, 0), 30 * ZT_NS_PER_S);
}
END_TEST

START_TEST(test_delayed_writes_go_on_at_once_when_the_kernel_asks)
{
	bool expected = true;
	pthread_t thread;

	memset(page, 'x', sizeof(page));
	begin_to_mend();
	pace_with_room_for(0);
	/* Each would wait as long as one may. */
	mutex_lock(&front.full.lock);
	front.full.paced_until = zt_now_ns() + 1000 * ZT_NS_PER_S;
	mutex_unlock(&front.full.lock);
	ck_assert_int_eq(pthread_create(&thread, NULL, store_soon, &expected), 0);
	ck_assert_uint_lt(write_pages(10, FUSE_WRITE_CACHE), 30 * ZT_NS_PER_S);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(!expected);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("full");
	TCase *tc = tcase_create("full");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, start, teardown);
	tcase_add_test(tc, test_close_tells_of_a_refusal_once);
	tcase_add_test(tc, test_nothing_is_left_to_tell_of_a_file_that_was_cut_to_nothing);
	tcase_add_test(tc, test_a_write_that_does_not_fit_is_told_where_it_was_delayed);
	tcase_add_test(tc, test_refusals_of_one_file_are_one_until_it_is_mended);
	tcase_add_test(tc, test_stat_waits_for_the_truth_and_a_handle_does_not);
	tcase_add_test(
		tc,
		test_near_the_limit_a_handle_gets_attributes_that_have_the_kernel_write_at_once);
	tcase_add_test(tc, test_what_takes_much_room_waits_until_what_was_delayed_is_stored);
	tcase_add_test(tc, test_the_thread_is_woken_when_little_is_left);
	tcase_add_test(tc, test_delayed_writes_are_slower_the_less_is_left);
	tcase_add_test(tc, test_delayed_writes_go_on_at_once_when_the_kernel_asks);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
