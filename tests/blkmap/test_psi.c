// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_psi.c - the kernel says that memory is short: everything is recompressed however young, maps
 * are folded, gaps closed.
 *
 * There is no maintenance thread, so that whatever happens is the event's doing.
 *
 * Tests recompress_thread.c of upkeep.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "blkmap/upkeep/recompress.h"
#include "tests/blkmap/bm_fixture.h"
#include "tests/blkmap/psi_event.h"

#define NR_TEXT  64u /* clusters that zstd makes smaller, */
#define NR_NOISE 256u /* and that nothing does */
#define CLUSTER  ((size_t)ZT_PAGE_SIZE)
#define SIZE     ((NR_TEXT + NR_NOISE) * CLUSTER)

static struct bm bm;
static char content[SIZE], buf[SIZE];
static int terminal;

static struct blkmap_stat get_stat(void)
{
	struct blkmap_stat stat;

	blkmap_get_stat(bm.map, &stat);
	return stat;
}

static bool is_raised(int fd)
{
	struct pollfd wanted = { .fd = fd, .events = POLLPRI };

	return poll(&wanted, 1, 0) == 1 && (wanted.revents & POLLPRI);
}

static void wait_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* Young objects that can be made smaller, others with gaps between them, and a cluster map. */
static void fill(void)
{
	uint64_t seed = 5;

	for (size_t i = 0; i < SIZE; i++) {
		uint64_t random = zt_random(&seed);

		content[i] = i < NR_TEXT * CLUSTER ? "etaoin shrdlucmf"[random % 16] : (char)random;
	}
	ck_assert_int_eq(bm_write(&bm, 0, content, SIZE), 0);
	for (size_t i = NR_TEXT; i < NR_TEXT + NR_NOISE; i++) {
		if (i % 4 == 0)
			continue;
		ck_assert_int_eq(blkmap_punch(bm.map, &bm.file, i * CLUSTER, CLUSTER), 0);
		memset(content + i * CLUSTER, 0, CLUSTER);
	}
}

static void check_content(void)
{
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, buf, SIZE), 0);
	ck_assert_int_eq(memcmp(buf, content, SIZE), 0);
}

static void start(unsigned order)
{
	bm_start(&bm, &(struct bm_config){
			      .order = order, .recompress = "zstd", .recompress_idle = 1000 });
}

/* Waits for so many hard passes and what belongs to them; longer on machines that are busy. */
static void wait_pressures(uint64_t nr)
{
	for (int tries = 600; get_stat().recompress_pressures < nr && tries > 0; tries--)
		wait_ms(100);
	ck_assert_uint_ge(get_stat().recompress_pressures, nr);
}

START_TEST(test_an_event_recompresses_what_is_young_and_closes_gaps)
{
	int fd = psi_event_open(&terminal);
	struct blkmap_stat stat;

	start(0);
	fill();
	ck_assert_int_eq(recomp_start(bm.map->upkeep.recomp, fd), 0);
	/* It looks once a second, and sees requests that it has not seen before, but no event. */
	wait_ms(1500);
	stat = get_stat();
	ck_assert_uint_eq(stat.recompressed + stat.recompress_pressures, 0);
	ck_assert_uint_eq(stat.data.pages_compacted, 0);
	psi_event(terminal);
	ck_assert(is_raised(fd));
	wait_pressures(1);
	/* It ends what it is at: a pass is not stopped that is over. */
	for (int tries = 600; get_stat().recompress_passes == 0 && tries > 0; tries--)
		wait_ms(100);
	blkmap_stop(bm.map);
	stat = get_stat();
	ck_assert_uint_eq(stat.recompressed, NR_TEXT);
	ck_assert_uint_eq(stat.recompress_kept, NR_NOISE / 4);
	ck_assert_uint_gt(stat.data.pages_compacted, 0);
	/* The recompressor has closed it. */
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	close(terminal);
	check_content();
	bm_stop(&bm);
}
END_TEST

START_TEST(test_an_event_folds_maps_however_young)
{
	int fd = psi_event_open(&terminal);
	struct blkmap_stat stat;

	start(4);
	fill();
	memcpy(content, "over it", 7);
	ck_assert_int_eq(bm_write(&bm, 0, content, 7), 0);
	ck_assert_int_eq(recomp_start(bm.map->upkeep.recomp, fd), 0);
	psi_event(terminal);
	for (int tries = 600; get_stat().folds == 0 && tries > 0; tries--)
		wait_ms(100);
	blkmap_stop(bm.map);
	stat = get_stat();
	ck_assert_uint_ge(stat.folds, 1);
	ck_assert_uint_ge(stat.recompress_pressures, 1);
	close(terminal);
	check_content();
	bm_stop(&bm);
}
END_TEST

START_TEST(test_an_event_without_new_requests_is_nothing_new)
{
	int fd = psi_event_open(&terminal);

	start(0);
	fill();
	ck_assert_int_eq(recomp_start(bm.map->upkeep.recomp, fd), 0);
	psi_event(terminal);
	wait_pressures(1);
	/* It stays raised; nobody has read it. */
	wait_ms(1500);
	ck_assert(is_raised(fd));
	ck_assert_uint_eq(get_stat().recompress_pressures, 1);
	ck_assert_int_eq(bm_write(&bm, 0, content, CLUSTER), 0);
	wait_pressures(2);
	blkmap_stop(bm.map);
	close(terminal);
	check_content();
	bm_stop(&bm);
}
END_TEST

START_TEST(test_a_watch_says_what_it_wants_to_hear_of)
{
	const char *dir = getenv("TMPDIR");
	char path[256], said[64];
	unsigned stall, window;
	int fd, end = -1, nr;
	ssize_t len;

	snprintf(path, sizeof(path), "%s/ztmpfs-psi.XXXXXX", dir ? dir : "/tmp");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	nr = recomp_psi_open(path);
	unlink(path);
	ck_assert_int_ge(nr, 0);
	len = pread(fd, said, sizeof(said), 0);
	ck_assert_int_gt(len, 0);
	/* With its NUL, as the kernel wants it. */
	ck_assert_uint_eq(strnlen(said, (size_t)len), len - 1);
	ck_assert_int_eq(sscanf(said, "some %u %u%n", &stall, &window, &end), 2);
	ck_assert_int_eq(end, len - 1);
	ck_assert_uint_gt(stall, 0);
	ck_assert_uint_lt(stall, window);
	/* Other windows are for the privileged (kernel/sched/psi.c). */
	ck_assert_uint_eq(window % 2000000, 0);
	close(nr);
	close(fd);
}
END_TEST

START_TEST(test_a_machine_without_watches_is_no_error)
{
	int next = dup(0);

	close(next);
	ck_assert_int_eq(recomp_psi_open("/proc/no/such/file"), -1);
	/* Opens, and refuses what is written. */
	ck_assert_int_eq(recomp_psi_open("/dev/full"), -1);
	ck_assert_int_eq(dup(0), next);
	close(next);
	start(0);
	fill();
	ck_assert_int_eq(recomp_start(bm.map->upkeep.recomp, -1), 0);
	wait_ms(1200);
	ck_assert_uint_eq(get_stat().recompress_pressures, 0);
	blkmap_stop(bm.map);
	check_content();
	bm_stop(&bm);
}
END_TEST

START_TEST(test_the_kernel_takes_the_trigger)
{
	int may = open(RECOMP_PSI_FILE, O_RDWR | O_CLOEXEC), fd;
	struct pollfd wanted = { .events = POLLPRI };

	if (may < 0)
		return; /* none here, or not for us */
	ck_assert_int_eq(close(may), 0);
	fd = recomp_psi_open(RECOMP_PSI_FILE);
	ck_assert_int_ge(fd, 0);
	wanted.fd = fd;
	ck_assert_int_ge(poll(&wanted, 1, 0), 0);
	ck_assert_int_eq(wanted.revents & POLLERR, 0);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("psi");
	TCase *tc = tcase_create("psi");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_an_event_recompresses_what_is_young_and_closes_gaps);
	tcase_add_test(tc, test_an_event_folds_maps_however_young);
	tcase_add_test(tc, test_an_event_without_new_requests_is_nothing_new);
	tcase_add_test(tc, test_a_watch_says_what_it_wants_to_hear_of);
	tcase_add_test(tc, test_a_machine_without_watches_is_no_error);
	tcase_add_test(tc, test_the_kernel_takes_the_trigger);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
