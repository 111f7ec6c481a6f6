// SPDX-License-Identifier: GPL-2.0-or-later
/* test_home.c - memory that daemons live in: heap, stacks, and what is kept for others. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/home.h"
#include "tests/lib/zt_check.h"
#include "util/alloc.h"

#define HEAP      (8 * MIB)
#define NR_STACKS 3u
#define SPARE     (4 * MIB)

/* Only root can have files that are never swapped out, since Linux 6.4. */
static bool make(struct home *home)
{
	int error;

#ifdef ZT_SANITIZERS
	(void)home;
	error = -ENOSYS; /* they have a malloc() of their own */
#else
	error = home_make(HEAP, NR_STACKS, home);
#endif

	if (error == -EPERM || error == -EINVAL || error == -ENOSYS) {
		printf("no home here: %s\n", strerror(-error));
		return false;
	}
	ck_assert_int_eq(error, 0);
	return true;
}

static uint64_t held(const struct home *home)
{
	struct stat st;

	ck_assert_int_eq(fstat(home->fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static uint64_t size_of(const struct home *home)
{
	struct stat st;

	ck_assert_int_eq(fstat(home->fd, &st), 0);
	return (uint64_t)st.st_size;
}

START_TEST(test_all_of_it_is_there_and_the_spare_goes_and_comes)
{
	struct home home;

	if (!make(&home))
		return;
	ck_assert_uint_eq(size_of(&home), HEAP + 2 * NR_STACKS * HOME_STACK_SIZE + SPARE);
	ck_assert_uint_eq(held(&home), size_of(&home));
	home_give_spare(home.fd, 100);
	ck_assert_uint_eq(held(&home), size_of(&home) - 100 * ZT_PAGE_SIZE);
	home_fill_spare(home.fd, 30);
	ck_assert_uint_eq(held(&home), size_of(&home) - 70 * ZT_PAGE_SIZE);
	/* No more than that, however much is asked for. */
	home_give_spare(home.fd, 100000);
	ck_assert_uint_eq(held(&home), size_of(&home) - SPARE);
	home_fill_spare(home.fd, 100000);
	ck_assert_uint_eq(held(&home), size_of(&home));
	close(home.fd);
}
END_TEST

/* Whether the bytes stand somewhere in the file, from @from on, before @end. */
static bool holds(const struct home *home, uint64_t from, uint64_t end, const char *text)
{
	char *bytes = malloc(end - from);
	bool found;

	ck_assert_ptr_nonnull(bytes);
	ck_assert_int_eq(pread(home->fd, bytes, end - from, (off_t)from), (ssize_t)(end - from));
	found = memmem(bytes, end - from, text, strlen(text)) != NULL;
	free(bytes);
	return found;
}

/* Run in a process of its own, which ends. */
static void in_child(int (*life)(const struct home *home), const struct home *home)
{
	int status;
	const pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(life(home));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it ended with %x", status);
}

/* Not in this program's own data: the text is put together. */
static void name_of(char text[32], const char *what)
{
	snprintf(text, 32, "%s-%s-%d", "stands", what, 4711);
}

static int heap_life(const struct home *home)
{
	char text[32], *small, *large;

	if (home_take_heap(home) != 0)
		return 1;
	large = zt_map(3 * MIB);
	small = zt_zalloc(MIB);
	if (!large || !small)
		return 2;
	for (size_t i = 0; i < 3 * MIB; i++)
		if (large[i] != 0)
			return 3;
	name_of(text, "large");
	memcpy(large + MIB, text, sizeof(text));
	name_of(text, "small");
	memcpy(small, text, sizeof(text));
	/* Or the compiler sees that nobody reads it. */
	__asm__ volatile("" : : "r"(small), "r"(large) : "memory");
	return 0;
}

/* What the first has left is not what the second finds. */
START_TEST(test_one_process_after_the_other_has_its_heap_there)
{
	struct home home;
	char text[32];

	if (!make(&home))
		return;
	for (int i = 0; i < 2; i++) {
		in_child(heap_life, &home);
		name_of(text, "large");
		ck_assert(holds(&home, 0, HEAP, text));
		name_of(text, "small");
		ck_assert(holds(&home, 0, HEAP, text));
	}
	ck_assert_uint_eq(held(&home), size_of(&home));
	close(home.fd);
}
END_TEST

static void *stack_thread(void *arg)
{
	volatile char bytes[48 * 1024];
	char text[32];

	(void)arg;
	name_of(text, "stack");
	for (size_t i = 0; i < sizeof(text); i++)
		bytes[64 + i] = text[i];
	return (void *)(uintptr_t)(bytes[64] == 's');
}

static int stack_life(const struct home *home)
{
	pthread_t threads[NR_STACKS];
	pthread_attr_t attr;
	void *result;

	if (pthread_attr_init(&attr) != 0 || pthread_attr_setstacksize(&attr, HOME_STACK_SIZE) != 0 ||
	    pthread_setattr_default_np(&attr) != 0 || home_take_stacks(home, 1) != 0)
		return 1;
	for (unsigned i = 0; i < NR_STACKS; i++)
		if (pthread_create(&threads[i], NULL, stack_thread, NULL) != 0)
			return 2;
	for (unsigned i = 0; i < NR_STACKS; i++)
		if (pthread_join(threads[i], &result) != 0 || !result)
			return 3;
	return 0;
}

START_TEST(test_threads_have_their_stacks_there)
{
	const uint64_t second = HEAP + NR_STACKS * HOME_STACK_SIZE;
	struct home home;
	char text[32];

	if (!make(&home))
		return;
	in_child(stack_life, &home);
	name_of(text, "stack");
	ck_assert(holds(&home, second, second + NR_STACKS * HOME_STACK_SIZE, text));
	ck_assert(!holds(&home, 0, second, text));
	ck_assert_uint_eq(held(&home), size_of(&home));
	close(home.fd);
}
END_TEST

/* Another program may have cut it otherwise, or made it smaller. */
static int small_life(const struct home *home)
{
	const struct home other = { home->fd, 100000 };

	return home_take_heap(&other) == -EPROTO && home_take_stacks(&other, 0) == -EPROTO ? 0 : 1;
}

START_TEST(test_one_that_is_too_small_is_refused)
{
	struct home home;

	if (!make(&home))
		return;
	in_child(small_life, &home);
	close(home.fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("home");
	TCase *tc = tcase_create("home");

	tcase_add_test(tc, test_all_of_it_is_there_and_the_spare_goes_and_comes);
	tcase_add_test(tc, test_one_process_after_the_other_has_its_heap_there);
	tcase_add_test(tc, test_threads_have_their_stacks_there);
	tcase_add_test(tc, test_one_that_is_too_small_is_refused);
	suite_add_tcase(s, tc);
	return zt_check_main(s);
}
