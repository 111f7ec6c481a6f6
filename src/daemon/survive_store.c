// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * survive_store.c - a service manager as the keeper of a mount: sd_notify(3)'s FDSTORE. See survive.h.
 *
 * It keeps what a keeper would, and gives it to the process that it starts when this one has died, or
 * all processes of the service. So the daemon has no keeper: that would be killed with it.
 *
 * Locks: survive.lock, as survive.c says.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/service.h"
#include "daemon/survive_i.h"
#include "util/clock.h"
#include "util/sizes.h"

/* A manager does what it is told at once. */
#define SETTLE_MS 5000
/* As sd_listen_fds(3) has it. */
#define FIRST_FD 3

static const char prefix[] = "ztmpfs-";

/* ---- stored ---- */

/* What is stored is found again by its kind, in the order in which it was kept. */
static void name_of(const struct survive *survive, unsigned i, char name[64])
{
	(void)snprintf(name, 64, "%s%u-%u", prefix, (unsigned)survive->kinds[i], i);
}

void survive_store_one(const struct survive *survive, unsigned i)
{
	char name[64];

	/* The manager has a program of its own. */
	if (survive->kinds[i] == HANDOVER_BINARY)
		return;
	name_of(survive, i, name);
	service_store(name, survive->fds[i]);
}

int survive_store_all(struct survive *survive)
{
	for (unsigned i = 0; i < survive->nr; i++)
		survive_store_one(survive, i);
	survive->hired = true;
	return service_settle(SETTLE_MS);
}

void survive_unstore_all(struct survive *survive)
{
	char name[64];

	if (!survive->hired)
		return;
	for (unsigned i = 0; i < survive->nr; i++) {
		name_of(survive, i, name);
		service_unstore(name);
	}
	survive->hired = false;
	(void)service_settle(SETTLE_MS); /* one that hangs keeps a connection, no mount */
}

void survive_store(struct survive *survive)
{
	survive->stored = true;
}

/* ---- taken out ---- */

bool survive_is_stored(void)
{
	const char *names = getenv("LISTEN_FDNAMES"), *pid = getenv("LISTEN_PID");

	return names && pid && strtol(pid, NULL, 10) == getpid() &&
	       strncmp(names, prefix, sizeof(prefix) - 1) == 0;
}

/* One of the manager's descriptors. Return: whether it is one of ours. */
static bool read_name(const char *name, unsigned *out_kind, unsigned *out_place)
{
	return sscanf(name, "ztmpfs-%u-%u", out_kind, out_place) == 2 && *out_kind < HANDOVER_NR &&
	       *out_place < HANDOVER_MOST;
}

/* All at the places that they had; -1: none. */
static void sort_stored(struct survive *survive, char *names)
{
	unsigned kind, place;
	int fd = FIRST_FD;

	for (unsigned i = 0; i < HANDOVER_MOST; i++)
		survive->fds[i] = -1;
	survive->kinds[0] = HANDOVER_BINARY; /* survive_create()'s first, which is not stored */
	for (char *name = strtok(names, ":"); name; name = strtok(NULL, ":"), fd++) {
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* it is open, or it is none */
		if (!read_name(name, &kind, &place))
			continue;
		survive->fds[place] = fd;
		survive->kinds[place] = (unsigned char)kind;
		survive->nr = (unsigned)max_u64(survive->nr, place + 1);
	}
}

static int take_all(struct survive *survive)
{
	int error = 0;

	for (unsigned i = 0; i < survive->nr && !error; i++)
		error = survive->fds[i] < 0 && i > 0 ? -EPROTO :
						       survive_take_one(survive, survive->kinds[i],
								    survive->fds[i]);
	if (!error && (!survive->record || !survive->ledger || survive->arena_fd < 0 ||
		       survive->channel_fd < 0))
		error = -EPROTO;
	return error;
}

/* As a keeper would have done. */
static void count_death(struct handover_record *record)
{
	record->order = HANDOVER_SERVE;
	record->nr_lives++;
	record->nr_kills++;
	record->died_ns = zt_now_ns(); /* or a moment ago */
	atomic_store_explicit(&record->answered, 0, memory_order_relaxed);
}

int survive_take_stored(int argc, char *argv[], struct survive **out_survive)
{
	struct survive *survive;
	int error = survive_make(argc, argv, false, &survive);

	if (error)
		return error;
	survive->resumed = survive->stored = survive->hired = true;
	sort_stored(survive, getenv("LISTEN_FDNAMES"));
	(void)unsetenv("LISTEN_FDNAMES"); /* these fail only for names that cannot be */
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_PID");
	error = take_all(survive);
	if (error) {
		survive_unstore_all(survive);
		survive_destroy(survive);
		return error;
	}
	count_death(survive->record);
	survive->channel.answered = &survive->record->answered;
	*out_survive = survive;
	return 0;
}
