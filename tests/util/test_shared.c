// SPDX-License-Identifier: GPL-2.0-or-later
/* test_shared.c - a struct in a memfd is what it was made as, or refused. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/zt_check.h"
#include "util/shared.h"

enum { SIZE = 5000 };

START_TEST(test_two_processes_see_the_same)
{
	unsigned char *made, *mapped;
	void *memory;
	uint32_t size;
	int fd;

	ck_assert_int_eq(shared_make("test", SIZE, &memory, &fd), 0);
	made = memory;
	memcpy(&size, made, sizeof(size));
	ck_assert_uint_eq(size, SIZE);
	for (unsigned i = sizeof(size); i < SIZE; i++)
		ck_assert_uint_eq(made[i], 0);
	ck_assert_int_eq(shared_map(fd, SIZE, &memory), 0);
	mapped = memory;
	made[SIZE - 1] = 7;
	ck_assert_uint_eq(mapped[SIZE - 1], 7);
	shared_unmap(mapped, SIZE);
	shared_unmap(made, SIZE);
	shared_unmap(NULL, SIZE);
	close(fd);
}
END_TEST

START_TEST(test_what_is_of_another_size_is_refused)
{
	void *memory, *none = NULL;
	int fd;

	ck_assert_int_eq(shared_make("test", SIZE, &memory, &fd), 0);
	ck_assert_int_eq(shared_map(fd, SIZE - 1, &none), -EPROTO);
	ck_assert_int_eq(shared_map(fd, SIZE + 1, &none), -EPROTO);
	/* The file's is right, and what it says of itself is not. */
	*(uint32_t *)memory = SIZE - 1;
	ck_assert_int_eq(shared_map(fd, SIZE, &none), -EPROTO);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(shared_map(-1, SIZE, &none), -EBADF);
	shared_unmap(memory, SIZE);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shared");
	TCase *tc = tcase_create("shared");

	tcase_add_test(tc, test_two_processes_see_the_same);
	tcase_add_test(tc, test_what_is_of_another_size_is_refused);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
