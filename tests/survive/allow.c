// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * allow.c - preloaded into a daemon of -o swap where CAP_SYS_RESOURCE is missing: what that is wanted
 * for is said to be done. A machine that has memory left needs neither.
 */
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SET_IO_FLUSHER 57 /* of prctl(2) */
#define INSTEAD __attribute__((visibility("default")))

INSTEAD int prctl(int option, ...);

int prctl(int option, ...)
{
	unsigned long words[4];
	va_list args;

	va_start(args, option);
	for (int i = 0; i < 4; i++)
		words[i] = va_arg(args, unsigned long);
	va_end(args);
	if (option == SET_IO_FLUSHER)
		return 0;
	return (int)syscall(SYS_prctl, option, words[0], words[1], words[2], words[3]);
}

/* The score for the OOM killer. */
INSTEAD ssize_t write(int fd, const void *bytes, size_t len)
{
	if (len == 5 && memcmp(bytes, "-1000", 5) == 0)
		return 5;
	return syscall(SYS_write, fd, bytes, len);
}
