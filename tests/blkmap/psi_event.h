/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * psi_event.h - memory is short in the machine, when a test wants it to be: a pseudo-terminal in packet
 * mode, whose events poll() tells as those of the kernel's trigger.
 */
#ifndef ZT_TESTS_BLKMAP_PSI_EVENT_H
#define ZT_TESTS_BLKMAP_PSI_EVENT_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* psi_event_open() - the end that is polled; *out_terminal is for psi_event(), and the caller's to close */
static inline int psi_event_open(int *out_terminal)
{
	int on = 1, fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "no pseudo-terminal: %s", strerror(errno));
	ck_assert_int_eq(grantpt(fd), 0);
	ck_assert_int_eq(unlockpt(fd), 0);
	*out_terminal = open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(*out_terminal, 0);
	ck_assert_int_eq(ioctl(fd, TIOCPKT, &on), 0);
	return fd;
}

/* psi_event() - one of them */
static inline void psi_event(int terminal)
{
	ck_assert_int_eq(tcflush(terminal, TCIFLUSH), 0);
}

#endif
