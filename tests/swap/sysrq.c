// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sysrq.c - after so many seconds, have the kernel tell what memory there is and who waits for what.
 *
 * Locked in memory and before everything else, so that it still speaks when nothing else does.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
	struct sched_param param = { .sched_priority = 50 };
	unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 60;
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
	int failed = fd < 0 || mlockall(MCL_CURRENT | MCL_FUTURE) != 0 ||
		     sched_setscheduler(0, SCHED_FIFO, &param) != 0;

	if (failed)
		return EXIT_FAILURE;
	sleep(seconds);
	failed = write(fd, "9", 1) != 1;
	failed |= write(fd, "m", 1) != 1;
	failed |= write(fd, "w", 1) != 1;
	failed |= write(fd, "l", 1) != 1;
	failed |= write(fd, "t", 1) != 1;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
