// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pages_guard.c - who hears of it when a mapped image ends under its readers, or is opened for writing.
 *
 * SIGBUS comes to the thread that reads a page which the file no longer has, or the disk does not give.
 * Its block is bad before the page turns to zeros, so that whoever reads zeros finds that out.
 *
 * A lease has a writer's open(2) wait, for /proc/sys/fs/lease-break-time at most, until the handler of
 * SIGIO has noted it: what was looked at before was right, and nothing is after.
 *
 * Locks: none. Handlers read a table of pointers; an image is in it while it is mapped.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/io.h"
#include "image/pages_i.h"

/* A mount has one; tests have some. */
#define NR_GUARDED 8u
static _Atomic(struct image_pages *) guarded[NR_GUARDED];

/* What SIGBUS did before; stored while no image is guarded. */
static struct sigaction before;

/* ---- SIGBUS ---- */

/* Return: whether it is a page of the image, and can be read now. */
static bool mend(struct image_pages *pages, uintptr_t addr)
{
	const uintptr_t base = (uintptr_t)pages->base;
	const uintptr_t page = (addr - base) & ~(uintptr_t)(ZT_PAGE_SIZE - 1);

	if (!pages->base || addr < base || addr - base >= pages->len)
		return false;
	if (page >= ZT_PAGE_SIZE)
		atomic_store(&pages->states[(page - ZT_PAGE_SIZE) / IMAGE_BLOCK_BYTES], BLOCK_BAD);
	return mmap(pages->base + page, ZT_PAGE_SIZE, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
	struct sigaction dies = { .sa_handler = SIG_DFL };

	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(sig, info, context);
		return;
	}
	/* It comes again when this one returns, but for one that was sent. */
	(void)sigaction(sig, &dies, NULL);
	if (info->si_code <= 0)
		(void)raise(sig);
}

static void bus_error(int sig, siginfo_t *info, void *context)
{
	const int saved = errno;

	for (unsigned i = 0; info->si_code > 0 && i < NR_GUARDED; i++) {
		struct image_pages *pages = atomic_load(&guarded[i]);

		if (pages && mend(pages, (uintptr_t)info->si_addr)) {
			errno = saved;
			return;
		}
	}
	pass_on(sig, info, context);
	errno = saved;
}

/* ---- SIGIO ---- */

static void opened_for_writing(int sig, siginfo_t *info, void *context)
{
	const int saved = errno;

	(void)sig;
	(void)context;
	for (unsigned i = 0; i < NR_GUARDED; i++) {
		struct image_pages *pages = atomic_load(&guarded[i]);

		/* Without its descriptor where the kernel could not queue it. */
		if (!pages || (info->si_code != SI_KERNEL && pages->fd != info->si_fd))
			continue;
		atomic_store(&pages->written, true);
		(void)fcntl(pages->fd, F_SETLEASE, F_UNLCK); /* from here on it is written */
	}
	errno = saved;
}

/* Return: 0; -ETXTBSY; other errors: there is none. */
static int take_lease(struct image_pages *pages)
{
	if (fcntl(pages->fd, F_SETOWN, getpid()) != 0 || fcntl(pages->fd, F_SETSIG, SIGIO) != 0)
		return -errno;
	if (fcntl(pages->fd, F_SETLEASE, F_RDLCK) == 0)
		return 0;
	return errno == EAGAIN || errno == EBUSY ? -ETXTBSY : -errno;
}

bool pages_are_written(struct image_pages *pages)
{
	struct stat st;

	if (!pages->leased && !atomic_load(&pages->written) &&
	    (fstat(pages->fd, &st) != 0 || st.st_ctim.tv_sec != pages->changed.tv_sec ||
	     st.st_ctim.tv_nsec != pages->changed.tv_nsec))
		atomic_store(&pages->written, true);
	return atomic_load(&pages->written);
}

/* ---- both ---- */

/* They fail only for signals that do not exist. */
static void catch_signals(void)
{
	const struct sigaction bus = { .sa_sigaction = bus_error, .sa_flags = SA_SIGINFO };
	const struct sigaction io = { .sa_sigaction = opened_for_writing,
				      .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigaction now;

	if (sigaction(SIGBUS, NULL, &now) == 0 && now.sa_sigaction != bus_error) {
		before = now;
		(void)sigaction(SIGBUS, &bus, NULL);
	}
	(void)sigaction(SIGIO, &io, NULL);
}

int pages_guard(struct image_pages *pages)
{
	struct image_pages *none = NULL;
	unsigned i = 0;
	int error;

	while (i < NR_GUARDED && !atomic_compare_exchange_strong(&guarded[i], &none, pages)) {
		none = NULL;
		i++;
	}
	if (i == NR_GUARDED)
		return -ENFILE;
	catch_signals();
	error = take_lease(pages);
	pages->leased = !error;
	return error == -ETXTBSY ? error : 0;
}

void pages_unguard(struct image_pages *pages)
{
	if (pages->leased)
		(void)fcntl(pages->fd, F_SETLEASE, F_UNLCK); /* it was ours */
	for (unsigned i = 0; i < NR_GUARDED; i++) {
		struct image_pages *mine = pages;

		(void)atomic_compare_exchange_strong(&guarded[i], &mine, NULL);
	}
}
