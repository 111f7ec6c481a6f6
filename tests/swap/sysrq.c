// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sysrq.c - have the kernel tell what memory there is and who waits for what, in a guest.
 *
 *     sysrq SECONDS    so many seconds after the start
 *     sysrq -SECONDS   when no page was swapped in or out for so long; the guest ends then, and its
 *                      result is a hang. A guest that is only slow goes on.
 *
 * Locked in memory and before everything else, so that it still speaks when nothing else does.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <unistd.h>

/* Pages swapped in and out so far. The kernel's buffer behind @fd stays. */
static unsigned long pages_swapped(int fd)
{
	static char text[32768];
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
	const char *in, *out;

	text[len > 0 ? len : 0] = '\0';
	in = strstr(text, "\npswpin ");
	out = strstr(text, "\npswpout ");
	return (in ? strtoul(in + 8, NULL, 10) : 0) + (out ? strtoul(out + 9, NULL, 10) : 0);
}

static void wait_for_hang(int fd, int seconds)
{
	unsigned long before = pages_swapped(fd);

	for (int quiet = 0; quiet < seconds; quiet++) {
		unsigned long now;

		sleep(1);
		now = pages_swapped(fd);
		if (now != before)
			quiet = -1;
		before = now;
	}
}

static int tell(int trigger)
{
	/* A character at a time is what it takes. */
	for (const char *key = "9mwt"; *key; key++)
		if (write(trigger, key, 1) != 1)
			return -1;
	return 0;
}

int main(int argc, char *argv[])
{
	static const char hang[] = "zt-result: HANG no page was swapped for a while\n";
	struct sched_param param = { .sched_priority = 50 };
	int seconds = argc > 1 ? atoi(argv[1]) : 60;
	int trigger = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
	int vmstat = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);

	if (trigger < 0 || vmstat < 0 || mlockall(MCL_CURRENT | MCL_FUTURE) != 0 ||
	    sched_setscheduler(0, SCHED_FIFO, &param) != 0)
		return EXIT_FAILURE;
	if (seconds >= 0) {
		sleep((unsigned)seconds);
		return tell(trigger) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	wait_for_hang(vmstat, -seconds);
	if (tell(trigger) != 0 || write(STDOUT_FILENO, hang, sizeof(hang) - 1) < 0)
		return EXIT_FAILURE;
	sleep(2);
	return reboot(RB_POWER_OFF) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
