// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wakeup.c - when idle CPUs are asked to wake up at once. See wakeup.h.
 */
#include "fuse/channel/wakeup.h"

#include <unistd.h>

#include "util/log.h"

/*
 * Requests a second from which it pays: at 5,000 the wake-ups of a halted virtual CPU, 2 * 20 us,
 * are a fifth of the time. One client after the other asks for 20,000 to 40,000.
 */
#define RATE_BEGIN 5000u
#define RATE_KEEP  2500u
/* Looks that may be slow before it ends: a client thinks for a moment. */
#define NR_SLOW 4u

/* The kernel's number for "whatever it takes". */
#define LATENCY_ANY (-1)

static void ask(struct wakeup *w, int32_t latency_us)
{
	atomic_store_explicit(&w->asked, latency_us != LATENCY_ANY, memory_order_relaxed);
	if (write(w->fd, &latency_us, sizeof(latency_us)) == (ssize_t)sizeof(latency_us))
		return;
	atomic_store_explicit(&w->asked, false, memory_order_relaxed);
	zt_log(ZT_LOG_WARN, "cpu_latency: cannot be asked for any more");
	w->fd = -1;
}

static void begin(struct wakeup *w)
{
	w->nr_slow = 0;
	if (w->fd >= 0)
		ask(w, w->latency_us);
	atomic_store_explicit(&w->rapid, true, memory_order_relaxed);
}

void wakeup_look(struct wakeup *w, uint64_t now_ns, unsigned nr_requests)
{
	const uint64_t ns = now_ns - w->looked_at_ns;
	const uint64_t rate = ns ? nr_requests * UINT64_C(1000000000) / ns : 0;

	w->looked_at_ns = now_ns;
	if (!w->rapid) {
		if (rate >= RATE_BEGIN)
			begin(w);
		return;
	}
	w->nr_slow = rate < RATE_KEEP ? w->nr_slow + 1 : 0;
	if (w->nr_slow >= NR_SLOW)
		wakeup_end(w);
}

void wakeup_end(struct wakeup *w)
{
	if (w->asked)
		ask(w, LATENCY_ANY);
	atomic_store_explicit(&w->rapid, false, memory_order_relaxed);
}
