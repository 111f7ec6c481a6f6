// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * upgrade.c - another program goes on with a mount. See upgrade.h.
 *
 * A program is asked before it is trusted: it gets the memory of the mount, but not its connection, and
 * says whether it could go on with it. What it says is nothing but a word, and a sentence.
 *
 * Locks: none; upgrade.busy, by trying.
 */
#include "daemon/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/handover.h"
#include "util/clock.h"
#include "util/log.h"

/* So long may a program take to say whether it could. */
#define PROBE_MS 10000

/* ---- the program ---- */

/* What stands now where this one came from. */
static int own_path(char path[PATH_MAX])
{
	static const char mark[] = " (deleted)";
	const size_t end = sizeof(mark) - 1;
	const ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (len < 0)
		return -errno;
	path[len] = '\0';
	if ((size_t)len > end && strcmp(path + len - end, mark) == 0)
		path[len - (ssize_t)end] = '\0';
	return 0;
}

/* Pages of a program on this mount would be asked of the process that runs it. Asks no filesystem. */
static int check_place(const struct handover_record *record, int fd,
		       const struct ztmpfs_upgrade *wanted, char text[256])
{
	struct statx at;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &at) != 0)
		return -errno;
	if (record->has_bdi && at.stx_dev_major == record->bdi.major &&
	    at.stx_dev_minor == record->bdi.minor) {
		snprintf(text, 256, "the program lies on the mount itself");
		return -EINVAL;
	}
	if (wanted->ino && (wanted->ino != at.stx_ino ||
			    wanted->dev != makedev(at.stx_dev_major, at.stx_dev_minor))) {
		snprintf(text, 256, "where the daemon is, another file has this name");
		return -ESTALE;
	}
	return 0;
}

static int open_program(const struct handover_record *record, struct ztmpfs_upgrade *wanted,
			int *out_fd)
{
	char path[PATH_MAX];
	int fd, error = 0;

	wanted->path[sizeof(wanted->path) - 1] = '\0';
	if (wanted->path[0] == '\0')
		error = own_path(path);
	else if (wanted->path[0] != '/')
		error = -EINVAL;
	else
		(void)snprintf(path, sizeof(path), "%s", wanted->path);
	if (error)
		return error;
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0) {
		error = -errno;
		snprintf(wanted->text, sizeof(wanted->text), "where the daemon is, it cannot be opened: %s",
			 strerror(-error));
		return error;
	}
	error = check_place(record, fd, wanted, wanted->text);
	if (error)
		close(fd);
	else
		*out_fd = fd;
	return error;
}

/* ---- the probe ---- */

/* What tells whether a program could go on with the mount; not the connection. */
static int tell_facts(const struct survive *survive, int sock)
{
	int error = 0;

	for (unsigned i = 0; i < survive->nr && !error; i++)
		switch ((enum handover_kind)survive->kinds[i]) {
		case HANDOVER_ARENA:
		case HANDOVER_DICT:
		case HANDOVER_RECORD:
		case HANDOVER_LEDGER:
		case HANDOVER_INBOX:
			error = handover_send(sock, survive->kinds[i], survive->fds[i]);
			break;
		default:
			break;
		}
	return error ? error : handover_send(sock, HANDOVER_COMPLETE, -1);
}

static int hear_probe(struct survive *survive, int sock, char text[256])
{
	int kind;

	mutex_lock(&survive->lock);
	kind = tell_facts(survive, sock);
	mutex_unlock(&survive->lock);
	/* One that knows without them may have ended by now. */
	if (!kind || kind == -EPIPE)
		kind = handover_hear(sock, PROBE_MS, text);
	if (kind == HANDOVER_READY)
		return 0;
	if (kind == -ETIMEDOUT)
		snprintf(text, 256, "the program does not say in time whether it could");
	else if (kind != HANDOVER_REFUSED)
		snprintf(text, 256, "the program is no ztmpfs that takes mounts over");
	return -ENOEXEC;
}

static int probe(struct survive *survive, int binary, char text[256])
{
	int sock, error;
	pid_t pid;

	mutex_lock(&survive->lock); /* argv[1] is set in it */
	pid = handover_spawn(&(struct handover_child){ .binary = binary,
						       .word = HANDOVER_WORD_PROBE,
						       .argv = survive->argv },
			     &sock);
	mutex_unlock(&survive->lock);
	if (pid < 0) {
		snprintf(text, 256, "the program cannot be run: %s", strerror((int)-pid));
		return -ENOEXEC;
	}
	error = hear_probe(survive, sock, text);
	close(sock);
	(void)kill(pid, SIGKILL); /* it has said what it had to say */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return error;
}

/* ---- asked for ---- */

static uint32_t state_of(const struct handover_record *record)
{
	return atomic_load_explicit(&record->upgrade.state, memory_order_acquire);
}

static void tell_state(const struct survive *survive, struct ztmpfs_upgrade *out)
{
	static const uint32_t states[] = {
		[HANDOVER_UPGRADE_NONE] = ZTMPFS_UPGRADE_NONE,
		[HANDOVER_UPGRADE_RUNS] = ZTMPFS_UPGRADE_RUNS,
		[HANDOVER_UPGRADE_DONE] = ZTMPFS_UPGRADE_DONE,
		[HANDOVER_UPGRADE_DIED] = ZTMPFS_UPGRADE_DIED,
		[HANDOVER_UPGRADE_LATE] = ZTMPFS_UPGRADE_LATE,
	};
	const struct handover_record *record = survive->record;
	const uint32_t state = state_of(record);

	out->state = record->upgrade.ticket == out->ticket && state < ARRAY_SIZE(states) ?
			     states[state] :
			     ZTMPFS_UPGRADE_NONE;
	out->pid = (uint32_t)getpid();
	out->outage_ns = record->outage_ns;
	(void)snprintf(out->release, sizeof(out->release), "%s", PACKAGE_VERSION);
	(void)snprintf(out->text, sizeof(out->text), "%s", record->upgrade.text);
}

static int start(struct upgrade *upgrade, struct ztmpfs_upgrade *wanted)
{
	struct survive *survive = upgrade->survive;
	struct handover_upgrade *shared = &survive->record->upgrade;
	const uint64_t one = 1;
	int fd, error = open_program(survive->record, wanted, &fd);

	if (!error) {
		error = probe(survive, fd, wanted->text);
		if (error)
			close(fd);
	}
	if (error && wanted->text[0] != '\0') {
		wanted->state = ZTMPFS_UPGRADE_REFUSED;
		return 0;
	}
	if (error)
		return error;
	shared->ticket = wanted->ticket;
	shared->text[0] = '\0';
	atomic_store_explicit(&shared->state, HANDOVER_UPGRADE_RUNS, memory_order_release);
	atomic_store(&upgrade->binary, fd);
	wanted->state = ZTMPFS_UPGRADE_RUNS;
	return write(upgrade->wanted_fd, &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
}

/* It may come again, when its answer was not heard. */
static bool has_begun(const struct survive *survive, const struct ztmpfs_upgrade *wanted)
{
	return survive->record->upgrade.ticket == wanted->ticket &&
	       state_of(survive->record) != HANDOVER_UPGRADE_NONE;
}

int upgrade_ask(void *arg, struct ztmpfs_upgrade *inout)
{
	struct upgrade *upgrade = arg;
	int error = 0;

	if (inout->op == ZTMPFS_UPGRADE_ASK ||
	    (inout->op == ZTMPFS_UPGRADE_START && has_begun(upgrade->survive, inout))) {
		tell_state(upgrade->survive, inout);
		return 0;
	}
	if (inout->op != ZTMPFS_UPGRADE_START || inout->ticket == 0)
		return -EINVAL;
	if (atomic_flag_test_and_set(&upgrade->busy))
		return -EBUSY;
	inout->text[0] = '\0';
	/* One that has begun is not begun once more: this process has little time left. */
	error = atomic_load(&upgrade->binary) >= 0 ? -EBUSY : start(upgrade, inout);
	atomic_flag_clear(&upgrade->busy);
	return error;
}

/* ---- done ---- */

void upgrade_init(struct upgrade *upgrade)
{
	*upgrade = (struct upgrade){ .wanted_fd = -1 };
	atomic_init(&upgrade->binary, -1);
	atomic_flag_clear(&upgrade->busy);
}

int upgrade_open(struct upgrade *upgrade, struct survive *survive)
{
	upgrade->survive = survive;
	upgrade->wanted_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return upgrade->wanted_fd < 0 ? -errno : 0;
}

void upgrade_close(struct upgrade *upgrade)
{
	if (upgrade->wanted_fd >= 0)
		close(upgrade->wanted_fd);
	if (atomic_load(&upgrade->binary) >= 0 && !upgrade->given)
		close(atomic_load(&upgrade->binary));
	upgrade_init(upgrade);
}

bool upgrade_begins(struct upgrade *upgrade)
{
	struct handover_record *record = upgrade->survive->record;
	const int binary = atomic_load(&upgrade->binary);
	uint64_t count;
	int error;

	(void)!read(upgrade->wanted_fd, &count, sizeof(count)); /* it is readable */
	error = survive_leave(upgrade->survive, binary);
	if (!error) {
		upgrade->given = true;
		record->died_ns = zt_now_ns();
		return true;
	}
	atomic_store(&upgrade->binary, -1);
	close(binary);
	snprintf(record->upgrade.text, sizeof(record->upgrade.text), "the keeper does not hear: %s",
		 strerror(-error));
	atomic_store_explicit(&record->upgrade.state, HANDOVER_UPGRADE_DIED, memory_order_release);
	return false;
}
