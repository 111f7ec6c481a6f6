// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * spin.c - a thread that reads looks for requests for a moment, before it sleeps. See spin.h.
 */
#include "fuse/channel/spin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "fuse/channel/channel_i.h"
#include "fuse/channel/inbox.h"
#include "fuse/channel/intake.h"
#include "util/clock.h"
#include "util/sizes.h"

/* Between two looks, so that the client finds the kernel's lock free. */
#define SPIN_PAUSES 16u

/* A request that came late costs as much as two that came soon have gained. */
#define CREDIT_MAX  16u
#define CREDIT_SOON 1u
#define CREDIT_LATE 2u

static inline void pause_briefly(void)
{
	for (unsigned i = 0; i < SPIN_PAUSES; i++)
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#else
		atomic_signal_fence(memory_order_seq_cst);
#endif
}

int spin_open(int master)
{
	int fd = channel_clone(master);

	if (fd < 0)
		return -1;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		return fd;
	close(fd);
	return -1;
}

ssize_t spin_receive(const struct spin *spin, struct channel *ch, struct request *req)
{
	const uint64_t began_ns = zt_now_ns();

	/* Of several readers one would keep the other, which is not needed, from sleeping. */
	if (ch->spin_fd < 0 || spin->credit == 0 ||
	    !atomic_load_explicit(&ch->wakeup.asked, memory_order_relaxed) ||
	    atomic_load_explicit(&ch->duty.nr_wanted, memory_order_relaxed) > 1)
		return 0;
	do {
		const ssize_t len = request_receive(ch, req, ch->spin_fd, INBOX_SPIN);

		if (len > 0)
			return len;
		if (len != -EAGAIN && len != -ENOENT)
			return 0; /* the read(2) that waits hears it, too */
		pause_briefly();
	} while (zt_now_ns() - began_ns < ch->params.spin_ns);
	return 0;
}

void spin_learn(struct spin *spin, const struct channel *ch, uint64_t waited_ns)
{
	if (waited_ns < ch->params.spin_ns)
		spin->credit = (unsigned)min_u64(spin->credit + CREDIT_SOON, CREDIT_MAX);
	else
		spin->credit -= (unsigned)min_u64(spin->credit, CREDIT_LATE);
}
