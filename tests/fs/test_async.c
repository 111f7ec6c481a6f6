// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_async.c - writes that end in another thread, and those who want the file for themselves
 * meanwhile. The device is held by hooks, so that "meanwhile" lasts as long as a test wants.
 */
#include <semaphore.h>
#include <unistd.h>

#include "backends/accel.h"
#include "blkmap/parts.h"
#include "tests/fs/fixture.h"

enum { CLUSTER = 65536 };

static struct super *sb;
static ino_nr file;
static char data[CLUSTER];

static const struct zcomp_params *device(void)
{
	return zcomp_get_params(sb->map->codecs.comp);
}

static void setup(void)
{
	struct super_params params = fixture_params();
	struct fs_entry entry;

	params.content.accel = BLKMAP_ACCEL_ON;
	params.content.comp.accel_params.engines = 1;
	params.content.comp.accel_params.deadline_us = ZCOMP_ACCEL_MAX_DEADLINE_US;
	sb = fixture_init_params(&params);
	ck_assert_int_eq(fs_mknod(sb, &user_cred, FS_ROOT_INO, "file", S_IFREG | 0644, 0, &entry),
			 0);
	file = entry.ino;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)('a' + i % 23);
}

static void teardown(void)
{
	super_drain(sb);
	fixture_exit(sb);
}

struct wait {
	sem_t done;
	int error;
	size_t len;
	struct stat attr; /* of the file, at the time of the reply */
};

static void wait_done(void *arg, int error, size_t len)
{
	struct wait *wait = arg;

	wait->error = error;
	wait->len = len;
	ck_assert_int_eq(fs_getattr(sb, file, &wait->attr), 0);
	sem_post(&wait->done);
}

/* One cluster, which stays with the device as long as that is held. */
static void write_held(struct wait *wait, uint64_t off)
{
	struct fs_write_end end = { .done = wait_done, .arg = wait };

	memset(wait, 0, sizeof(*wait));
	sem_init(&wait->done, 0, 0);
	accel_hold(device());
	fs_write_async(sb, &user_cred, file, off, data, CLUSTER, FS_WRITE_DELAYED, &end);
	ck_assert_int_eq(sem_trywait(&wait->done), -1);
}

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) != 0)
		;
}

START_TEST(test_reply_comes_with_data_and_size_in_place)
{
	struct wait wait;
	struct stat attr;
	char back[CLUSTER];
	size_t len = 0;

	write_held(&wait, 0);
	ck_assert_int_eq(fs_getattr(sb, file, &attr), 0);
	ck_assert_int_eq(attr.st_size, 0); /* not before */
	accel_release(device());
	wait_for(&wait.done);
	ck_assert_int_eq(wait.error, 0);
	ck_assert_uint_eq(wait.len, CLUSTER);
	ck_assert_int_eq(wait.attr.st_size, CLUSTER);
	ck_assert_int_eq(fs_read(sb, file, 0, back, sizeof(back), &len), 0);
	ck_assert_uint_eq(len, CLUSTER);
	ck_assert_int_eq(memcmp(back, data, CLUSTER), 0);
}
END_TEST

/* Reading does not wait for what is under way. */
START_TEST(test_readers_go_on_while_a_write_is_under_way)
{
	struct wait wait;
	char back[8];
	size_t len = 1;

	write_held(&wait, 0);
	ck_assert_int_eq(fs_read(sb, file, 0, back, sizeof(back), &len), 0);
	ck_assert_uint_eq(len, 0);
	accel_release(device());
	wait_for(&wait.done);
}
END_TEST

/* What needs the file for itself, in a thread of its own. */
struct rival {
	int what;
	atomic_bool ended;
	int error;
};

enum { RIVAL_TRUNCATE, RIVAL_PUNCH, RIVAL_UNLINK, RIVAL_GROW, NR_RIVALS };

static void *rival_main(void *arg)
{
	struct rival *rival = arg;
	struct stat attr = { .st_size = 100 };
	size_t done;

	switch (rival->what) {
	case RIVAL_TRUNCATE:
		rival->error = fs_setattr(sb, &user_cred, file, &attr, FS_SET_SIZE, &attr);
		break;
	case RIVAL_PUNCH:
		rival->error = fs_fallocate(sb, &user_cred, file, 3, 0, CLUSTER); /* keeps size */
		break;
	case RIVAL_UNLINK:
		rival->error = fs_unlink(sb, FS_ROOT_INO, "file");
		break;
	default: /* the tree must become larger */
		rival->error =
			fs_write(sb, &user_cred, file, UINT64_C(1) << 40, data, 100, 0, &done);
		break;
	}
	atomic_store(&rival->ended, true);
	return NULL;
}

/* It waits: for the write's end, not for anything else. */
START_TEST(test_who_wants_the_file_alone_waits_for_writes_under_way)
{
	struct rival rival = { .what = _i };
	struct stat attr;
	struct wait wait;
	pthread_t thread;

	write_held(&wait, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, rival_main, &rival), 0);
	while (atomic_load(&sb->nr_draining) == 0)
		sched_yield();
	ck_assert(!atomic_load(&rival.ended));
	ck_assert_int_eq(sem_trywait(&wait.done), -1);
	accel_release(device());
	wait_for(&wait.done);
	pthread_join(thread, NULL);
	ck_assert_int_eq(wait.error, 0);
	ck_assert_int_eq(rival.error, 0);
	ck_assert_uint_eq(atomic_load(&sb->nr_draining), 0);
	ck_assert_int_eq(fs_getattr(sb, file, &attr), 0);
	if (_i == RIVAL_TRUNCATE)
		ck_assert_int_eq(attr.st_size, 100);
	if (_i == RIVAL_PUNCH)
		ck_assert_int_eq(attr.st_blocks, 0);
}
END_TEST

/* Many writers of one file, and one who cuts it again and again. */
struct writer {
	uint64_t seed;
	sem_t done;
	int error;
};

static void writer_done(void *arg, int error, size_t len)
{
	struct writer *writer = arg;

	(void)len;
	writer->error = error;
	sem_post(&writer->done);
}

static void *writer_main(void *arg)
{
	struct writer *writer = arg;
	struct fs_write_end end = { .done = writer_done, .arg = writer };

	for (int i = 0; i < 60; i++) {
		uint64_t off = zt_random(&writer->seed) % 16 * CLUSTER;

		fs_write_async(sb, &user_cred, file, off, data, CLUSTER, FS_WRITE_DELAYED, &end);
		wait_for(&writer->done);
		ck_assert_int_eq(writer->error, 0);
	}
	return NULL;
}

START_TEST(test_writers_and_truncation_side_by_side_lose_nothing)
{
	struct writer writers[4];
	pthread_t threads[4];

	accel_be_patient(device());
	for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
		writers[i].seed = i;
		sem_init(&writers[i].done, 0, 0);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, writer_main, &writers[i]), 0);
	}
	for (int i = 0; i < 60; i++) {
		struct stat attr = { .st_size = i % 5 * 30000 };

		ck_assert_int_eq(fs_setattr(sb, &user_cred, file, &attr, FS_SET_SIZE, &attr), 0);
		if (i % 10 == 0)
			accel_reset(device());
	}
	for (size_t i = 0; i < ARRAY_SIZE(writers); i++)
		pthread_join(threads[i], NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("async");
	TCase *tc = tcase_create("async");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_reply_comes_with_data_and_size_in_place);
	tcase_add_test(tc, test_readers_go_on_while_a_write_is_under_way);
	tcase_add_loop_test(tc, test_who_wants_the_file_alone_waits_for_writes_under_way, 0,
			    NR_RIVALS);
	tcase_add_test(tc, test_writers_and_truncation_side_by_side_lose_nothing);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
