// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * spin.c - a thread that reads looks for requests for a moment, before it sleeps. See spin.h.
 */
#include "fuse/channel/spin.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
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

/* One CPU is looked at again after so many times. */
#define ALONE_LOOK 1024u

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

/* As long as a sleep and a wake-up take. 0: not at all. */
static uint64_t soon_ns(const struct channel *ch)
{
	const struct wakeup *wakeup = &ch->wakeup;

	return atomic_load_explicit(&wakeup->asked, memory_order_relaxed) ? ch->params.spin_ns :
	       atomic_load_explicit(&wakeup->rapid, memory_order_relaxed) ? ch->params.spin_unasked_ns :
									    0;
}

/* Others may have bound it: ztmpfsctl run, a cpuset. */
static bool is_alone(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) == 1;
}

/* Where it would be, it is looked at again only now and then. */
static bool stays_alone(struct spin *spin)
{
	if (spin->alone && ++spin->nr_passed % ALONE_LOOK == 0)
		spin->alone = is_alone();
	return spin->alone;
}

ssize_t spin_receive(struct spin *spin, struct channel *ch, struct request *req)
{
	const uint64_t began_ns = zt_now_ns(), ns = soon_ns(ch);

	/* Of several readers one would keep the other, which is not needed, from sleeping. */
	if (ch->spin_fd < 0 || spin->credit == 0 || ns == 0 || stays_alone(spin) ||
	    atomic_load_explicit(&ch->duty.nr_wanted, memory_order_relaxed) > 1)
		return 0;
	do {
		const ssize_t len = request_receive(ch, req, ch->spin_fd, INBOX_SPIN);

		if (len > 0)
			return len;
		if (len != -EAGAIN && len != -ENOENT)
			return 0; /* the read(2) that waits hears it, too */
		pause_briefly();
	} while (zt_now_ns() - began_ns < ns);
	spin->alone = is_alone();
	return 0;
}

void spin_learn(struct spin *spin, const struct channel *ch, uint64_t waited_ns)
{
	if (waited_ns < soon_ns(ch))
		spin->credit = (unsigned)min_u64(spin->credit + CREDIT_SOON, CREDIT_MAX);
	else
		spin->credit -= (unsigned)min_u64(spin->credit, CREDIT_LATE);
}
