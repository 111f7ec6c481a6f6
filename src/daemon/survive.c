// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * survive.c - the daemon's side of survive=on. See survive.h.
 *
 * Locks: survive.lock, innermost. A keeper that does not listen would stop whoever sends under it;
 * it does nothing else.
 */
#include "daemon/survive_i.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/dict.h"
#include "daemon/watched.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/sizes.h"

/* So many keepers, each less than RESTED_NS after the one before, are enough. */
#define HIRED_MOST 5u
#define RESTED_NS  (UINT64_C(10) * ZT_NS_PER_S)
/* A keeper that is told to end does so at once. */
#define END_MS 5000

/* ---- what is kept ---- */

void survive_note(struct survive *survive, enum handover_kind kind, int fd)
{
	if (survive->nr == ARRAY_SIZE(survive->fds))
		return;
	survive->fds[survive->nr] = fd;
	survive->kinds[survive->nr++] = (unsigned char)kind;
}

void survive_keep(struct survive *survive, enum handover_kind kind, int fd)
{
	mutex_lock(&survive->lock);
	survive_note(survive, kind, fd);
	if (survive->hired)
		survive_store_one(survive, survive->nr - 1);
	/* One that has gone is missed by the signal thread, and the next one is told. */
	if (survive->sock >= 0)
		(void)!handover_send(survive->sock, kind, fd);
	mutex_unlock(&survive->lock);
}

void survive_watch(struct survive *survive)
{
	const int fd = survive->stored ? -1 : watched_open();

	if (fd < 0)
		return; /* a stuck end is not noticed */
	/* The next keeper is told, too; a later daemon is not. */
	survive_keep(survive, HANDOVER_WATCH, fd);
}

static void opened(void *arg, bool spins, int fd)
{
	survive_keep(arg, spins ? HANDOVER_SPIN : HANDOVER_CLONE, fd);
}

static int tell_all(const struct survive *survive)
{
	int error = 0;

	for (unsigned i = 0; i < survive->nr && !error; i++)
		error = handover_send(survive->sock, survive->kinds[i], survive->fds[i]);
	return error;
}

/* From here on it starts another daemon when this one dies. */
static int tell_complete(const struct survive *survive)
{
	return handover_send(survive->sock, HANDOVER_COMPLETE, -1);
}

int survive_keep_dict(struct survive *survive, const void *data, size_t size)
{
	const int fd = memfd_create("ztmpfs-dict", MFD_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = write(fd, data, size);
	if (len != (ssize_t)size) {
		close(fd);
		return len < 0 ? -errno : -ENOSPC;
	}
	survive_keep(survive, HANDOVER_DICT, fd);
	return 0;
}

int survive_load_dict(const struct survive *survive, struct options_error *error, void **out_data,
		      size_t *out_size)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", survive->dict_fd);
	return dict_load(path, error, out_data, out_size);
}

/* ---- an upgrade ---- */

int survive_leave(struct survive *survive, int binary)
{
	int error;

	mutex_lock(&survive->lock);
	survive->leaves = true;
	survive_note(survive, HANDOVER_NEXT, binary); /* a keeper that is hired meanwhile is told, too */
	error = handover_send(survive->sock, HANDOVER_NEXT, binary);
	if (error) {
		survive->leaves = false;
		survive->nr--;
	}
	mutex_unlock(&survive->lock);
	return error;
}

void survive_ready(struct survive *survive)
{
	mutex_lock(&survive->lock);
	survive->leaves = false;
	if (survive->sock >= 0)
		(void)!handover_send(survive->sock, HANDOVER_READY, -1); /* it has gone: it is missed */
	mutex_unlock(&survive->lock);
}

/* ---- the keeper ---- */

static int binary_of(const struct survive *survive)
{
	for (unsigned i = 0; i < survive->nr; i++)
		if (survive->kinds[i] == HANDOVER_BINARY)
			return survive->fds[i];
	return -1;
}

/* Tell it to. Return: whether it has. */
static bool has_ended(int sock)
{
	struct pollfd gone = { .fd = sock };

	return handover_send(sock, HANDOVER_END, -1) != 0 || poll(&gone, 1, END_MS) > 0;
}

/* With the lock held. */
static void dismiss(struct survive *survive)
{
	if (survive->sock >= 0)
		close(survive->sock);
	survive->sock = -1;
	/* It has closed its end, so it has ended or is about to. */
	if (survive->keeper > 0)
		while (waitpid(survive->keeper, NULL, 0) < 0 && errno == EINTR)
			;
	survive->keeper = 0;
}

/* One that knows all, and would still end with this daemon. With the lock held. */
static int make_keeper(struct survive *survive)
{
	int sock, error;
	const pid_t pid = handover_spawn(&(struct handover_child){ .binary = binary_of(survive),
								   .word = HANDOVER_WORD_KEEPER,
								   .argv = survive->argv },
					 &sock);

	if (pid < 0)
		return (int)pid;
	survive->sock = sock;
	survive->keeper = pid;
	survive->hired_ns = zt_now_ns();
	error = tell_all(survive);
	if (error)
		dismiss(survive);
	return error;
}

/* With the lock held. */
static int hire(struct survive *survive)
{
	int error = make_keeper(survive);

	if (error)
		return error;
	error = tell_complete(survive);
	if (error)
		dismiss(survive);
	return error;
}

/* Two of them would start a daemon each, so the first ends before the second one may. */
int survive_replace(struct survive *survive)
{
	int error, sock;
	pid_t keeper;

	mutex_lock(&survive->lock);
	sock = survive->sock;
	keeper = survive->keeper;
	error = make_keeper(survive);
	if (!error && !has_ended(sock)) {
		dismiss(survive);
		error = -ETIMEDOUT;
	}
	if (error) {
		survive->sock = sock;
		survive->keeper = keeper;
	} else {
		close(sock);
		error = tell_complete(survive);
	}
	mutex_unlock(&survive->lock);
	return error;
}

int survive_hire(struct survive *survive)
{
	int error;

	mutex_lock(&survive->lock);
	error = survive->stored ? survive_store_all(survive) : hire(survive);
	mutex_unlock(&survive->lock);
	return error;
}

void survive_rehire(struct survive *survive, const char *mountpoint)
{
	struct pollfd gone = { .fd = -1 };
	int error = 0;

	mutex_lock(&survive->lock);
	/* It may have been replaced since: a keeper that is let go takes that for this daemon's death. */
	gone.fd = survive->sock;
	if (poll(&gone, 1, 0) == 0) {
		mutex_unlock(&survive->lock);
		return;
	}
	dismiss(survive);
	if (zt_now_ns() - survive->hired_ns > RESTED_NS)
		survive->nr_hired = 0;
	if (++survive->nr_hired > HIRED_MOST)
		error = -EAGAIN;
	else
		error = hire(survive);
	mutex_unlock(&survive->lock);
	if (error)
		zt_log(ZT_LOG_WARN,
		       "%s: the keeper has ended and there is no other: the mount will not outlive "
		       "this daemon: %s",
		       mountpoint, strerror(-error));
	else
		zt_log(ZT_LOG_INFO, "%s: the keeper had ended; there is another", mountpoint);
}

/* It goes on with the next one, if it is there. With the lock held. */
static void see_that_it_is_there(struct survive *survive)
{
	struct pollfd gone = { .fd = survive->sock };

	if (poll(&gone, 1, 0) == 0)
		return;
	dismiss(survive);
	(void)!hire(survive); /* or the mount ends */
}

void survive_end(struct survive *survive)
{
	mutex_lock(&survive->lock);
	survive_unstore_all(survive);
	if (survive->leaves) {
		see_that_it_is_there(survive);
	} else {
		if (survive->sock >= 0 && !has_ended(survive->sock))
			survive->keeper = 0; /* it hangs; its descriptors keep a connection, no mount */
		dismiss(survive);
	}
	mutex_unlock(&survive->lock);
}

/* ---- life ---- */

/* @first: no daemon was before this one. Later ones, of any program, take survive=on for said. */
int survive_make(int argc, char *argv[], bool first, struct survive **out_survive)
{
	struct survive *survive = zt_zalloc(sizeof(*survive));
	int next = 2;

	if (!survive)
		return -ENOMEM;
	/* The program, the keeper's word, what the first daemon decided, the words of the mount, NULL. */
	survive->argv = zt_zalloc(((size_t)argc + 4) * sizeof(*argv));
	if (!survive->argv) {
		zt_free(survive);
		return -ENOMEM;
	}
	survive->argv[0] = argv[0];
	if (first) {
		survive->argv[next++] = (char *)(uintptr_t) "-o";
		survive->argv[next++] = (char *)(uintptr_t) "survive=on";
	}
	for (int i = 1; i < argc; i++)
		survive->argv[next++] = argv[i];
	mutex_init(&survive->lock, ZT_RANK_SURVIVE);
	survive->sock = survive->channel_fd = -1;
	survive->arena_fd = survive->dict_fd = survive->rescue_fd = survive->inbox_fd = -1;
	survive->image_dir_fd = survive->image_lock_fd = survive->image_fd = -1;
	survive->home_fd = survive->spill_fd = survive->spill_key_fd = -1;
	survive->channel = (struct channel_survival){ .spin_fd = -1,
						      .clones = survive->clones,
						      .opened = opened,
						      .arg = survive };
	*out_survive = survive;
	return 0;
}

int survive_create(int argc, char *argv[], struct survive **out_survive)
{
	struct survive *survive;
	int error = survive_make(argc, argv, true, &survive);
	int binary, record, ledger;

	if (error)
		return error;
	binary = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	if (binary < 0) {
		error = -errno;
		goto err_survive;
	}
	survive_note(survive, HANDOVER_BINARY, binary);
	error = handover_record_make(&survive->record, &record);
	if (error)
		goto err_survive;
	survive->record->nr_lives = 1;
	survive_note(survive, HANDOVER_RECORD, record);
	survive->channel.answered = &survive->record->answered;
	error = ledger_make(&survive->ledger, &ledger);
	if (error)
		goto err_survive;
	survive_note(survive, HANDOVER_LEDGER, ledger);
	*out_survive = survive;
	return 0;

err_survive:
	survive_destroy(survive);
	return error;
}

/* Where those stand of which there is one, and which are no memory that is mapped at once; NULL: it is another. */
static int *place_of(struct survive *survive, enum handover_kind kind)
{
	int *const places[HANDOVER_NR] = {
		[HANDOVER_CHANNEL] = &survive->channel_fd,
		[HANDOVER_ARENA] = &survive->arena_fd,
		[HANDOVER_DICT] = &survive->dict_fd,
		[HANDOVER_RESCUE] = &survive->rescue_fd,
		[HANDOVER_IMAGE_DIR] = &survive->image_dir_fd,
		[HANDOVER_IMAGE_LOCK] = &survive->image_lock_fd,
		[HANDOVER_IMAGE] = &survive->image_fd,
		[HANDOVER_SPILL] = &survive->spill_fd,
		[HANDOVER_SPILL_KEY] = &survive->spill_key_fd,
		[HANDOVER_INBOX] = &survive->inbox_fd,
		[HANDOVER_HOME] = &survive->home_fd,
		[HANDOVER_SPIN] = &survive->channel.spin_fd,
	};

	return kind < HANDOVER_NR ? places[kind] : NULL;
}

int survive_take_one(struct survive *survive, enum handover_kind kind, int fd)
{
	int *place = place_of(survive, kind);

	if (place)
		*place = fd;
	else if (kind == HANDOVER_CLONE && survive->channel.nr_clones < ARRAY_SIZE(survive->clones))
		survive->clones[survive->channel.nr_clones++] = fd;
	else if (kind == HANDOVER_RECORD)
		return handover_record_map(fd, &survive->record);
	else if (kind == HANDOVER_LEDGER)
		return ledger_map(fd, &survive->ledger);
	return 0;
}

static int stand_by(struct survive *survive, const struct survive_call *call, unsigned set)
{
	survive->stood_by = true;
	return call->stand_by ? call->stand_by(call->arg, survive->home_fd, set) : -EPROTO;
}

static int take_next(struct survive *survive, const struct survive_call *call,
		     enum handover_kind *out_kind)
{
	int fd, error = handover_receive(call->sock, out_kind, &fd);

	if (error <= 0)
		return error < 0 ? error : survive->stood_by ? -ECANCELED : -EPROTO;
	if (*out_kind == HANDOVER_STANDBY || *out_kind == HANDOVER_STANDBY_OTHER)
		error = stand_by(survive, call, *out_kind - HANDOVER_STANDBY);
	else
		error = survive_take_one(survive, *out_kind, fd);
	if (fd >= 0 && *out_kind == HANDOVER_NR)
		close(fd);
	else if (fd >= 0)
		survive_note(survive, *out_kind, fd);
	return error;
}

int survive_take(const struct survive_call *call, struct survive **out_survive)
{
	enum handover_kind kind = HANDOVER_NR;
	struct survive *survive;
	int error = survive_make(call->argc, call->argv, false, &survive);

	if (error)
		return error;
	survive->sock = call->sock;
	survive->resumed = true;
	(void)fcntl(call->sock, F_SETFD, FD_CLOEXEC); /* it is open */
	while (!error && kind != HANDOVER_COMPLETE)
		error = take_next(survive, call, &kind);
	if (!error && (!survive->record || !survive->ledger || survive->arena_fd < 0))
		error = -EPROTO;
	if (error) {
		survive_destroy(survive);
		return error;
	}
	survive->hired_ns = zt_now_ns();
	survive->leaves = survive->record->order == HANDOVER_TRY;
	survive->channel.answered = &survive->record->answered;
	*out_survive = survive;
	return 0;
}

int survive_give(int *inout_fd)
{
	const int fd = *inout_fd;

	*inout_fd = -1;
	return fd;
}

/* The channel and the place of an image are the session's, and the arena its maker's. */
static bool owns(const struct survive *survive, unsigned char kind)
{
	return !handover_is_channel(kind) && kind != HANDOVER_IMAGE_DIR &&
	       kind != HANDOVER_IMAGE_LOCK && kind != HANDOVER_IMAGE && (kind != HANDOVER_ARENA || survive->resumed);
}

void survive_destroy(struct survive *survive)
{
	if (!survive)
		return;
	if (survive->sock >= 0)
		close(survive->sock);
	for (unsigned i = 0; i < survive->nr; i++)
		if (owns(survive, survive->kinds[i]))
			close(survive->fds[i]);
	handover_record_unmap(survive->record);
	ledger_unmap(survive->ledger);
	mutex_exit(&survive->lock);
	zt_free(survive->argv);
	zt_free(survive);
}
