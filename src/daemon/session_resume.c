// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * session_resume.c - what one process leaves to the next of the same mount, and how that goes on.
 * See session_i.h, doc/design/survival.md.
 *
 * The mount point is not touched here: not looked up, not asked for its status, not tuned. Nobody
 * else would answer.
 *
 * Locks: none; before there are threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/session_i.h"
#include "daemon/surroundings.h"
#include "daemon/swapmode.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/sizes.h"

/* ---- left ---- */

static int leave_terms(const struct session *s)
{
	struct channel_terms terms;
	int res = transport_get_terms(s->transport, &terms);

	if (!res)
		res = super_record_set(s->sb, SUPER_RECORD_INIT_REQUEST, terms.request,
				       terms.request_len);
	if (!res)
		res = super_record_set(s->sb, SUPER_RECORD_INIT_REPLY, terms.reply,
				       terms.reply_len);
	return res;
}

static int leave_facts(struct session *s)
{
	struct handover_record *record = s->survive->record;
	int oom, res = surroundings_get_oom(&oom);

	if (strlen(s->options->mountpoint) >= sizeof(record->mountpoint))
		return -ENAMETOOLONG;
	strcpy(record->mountpoint, s->options->mountpoint);
	record->oom = oom;
	record->caller_left = s->caller.left;
	record->caller_dev = s->caller.dev;
	record->caller_ino = s->caller.ino;
	/* Found when the mount could be seen: it is in the caller's namespace alone. */
	record->has_bdi = s->own.path != NULL;
	record->bdi = s->own.bdi;
	record->has_full = s->full.front != NULL;
	record->full_way = s->full.way;
	record->full_least = s->full.least;
	record->full_dirty = s->full.dirty;
	record->full_tunes = s->full.tunes;
	memcpy(record->image, s->image.place.name, sizeof(record->image));
	record->image_sum = s->image.sum;
	record->swaps = s->options->swap;
	return res;
}

/* It is saved by whichever process ends the mount. */
static void keep_image(const struct session *s)
{
	if (s->image.sum)
		survive_keep(s->survive, HANDOVER_IMAGE, s->image.fd);
	if (s->image.lock_fd < 0)
		return;
	survive_keep(s->survive, HANDOVER_IMAGE_DIR, s->image.place.dir_fd);
	survive_keep(s->survive, HANDOVER_IMAGE_LOCK, s->image.lock_fd);
}

/* What the kernel does not send again is to be found by the next one. */
static int leave_inbox(struct session *s)
{
	int fd, res;

	if (transport_resends(s->transport))
		return 0;
	res = transport_make_inbox(s->transport, &fd);
	if (!res)
		survive_keep(s->survive, HANDOVER_INBOX, fd);
	return res;
}

/* What is allocated by now is what each life allocates; libfuse has some, too. */
static int leave_home(const struct session *s)
{
	int fd, res;

	if (!s->options->swap)
		return 0;
	res = swapmode_make_home(s->options, zt_thread_allocated() + MIB, &fd);
	if (res)
		return res;
	s->survive->home_fd = fd;
	survive_keep(s->survive, HANDOVER_HOME, fd);
	return 0;
}

int session_leave_record(struct session *s, struct options_error *error)
{
	const char *when = s->options->survive_when == OPTION_SURVIVE_AUTO ? "auto" : "on";
	const int channel = fuse_session_fd(s->se);
	int res;

	/* Where it came as /dev/fd/N. */
	res = fcntl(channel, F_SETFD, FD_CLOEXEC) != 0 ? -errno : leave_terms(s);
	if (!res)
		res = leave_facts(s);
	if (!res)
		res = leave_inbox(s);
	s->survive->ledger->facts.lives = 1;
	if (!res && s->dict)
		res = survive_keep_dict(s->survive, s->dict, s->dict_size);
	if (!res)
		res = spillfile_keep(&s->spill, s->survive);
	if (!res)
		res = leave_home(s);
	if (!res) {
		survive_keep(s->survive, HANDOVER_CHANNEL, channel);
		survive_keep(s->survive, HANDOVER_ARENA, super_arena_fd(s->sb));
		keep_image(s);
		res = survive_hire(s->survive);
	}
	if (res)
		ERR_PRINTF(error, "option survive=%s: cannot have a process that keeps the mount: %s",
			   when, strerror(-res));
	return res;
}

/* ---- taken up ---- */

static int take_terms(const struct session *s, struct channel_terms *out_terms)
{
	ssize_t request = super_record_get(s->sb, SUPER_RECORD_INIT_REQUEST, out_terms->request,
					   sizeof(out_terms->request));
	ssize_t reply = super_record_get(s->sb, SUPER_RECORD_INIT_REPLY, out_terms->reply,
					 sizeof(out_terms->reply));

	if (request <= 0 || reply <= 0)
		return -EPROTO;
	out_terms->request_len = (uint32_t)request;
	out_terms->reply_len = (uint32_t)reply;
	return 0;
}

static void take_facts(struct session *s)
{
	const struct handover_record *record = s->survive->record;
	const struct full found = {
		.mount = { s->options->mountpoint, &s->caller, record->bdi },
		.way = record->full_way,
		.least = record->full_least,
		.dirty = record->full_dirty,
		.tunes = record->full_tunes,
	};

	if (record->has_full)
		full_resume(&s->full, &s->front, &found);
	atimes_open(&s->atimes, s->sb, s->options,
		    record->has_bdi && !s->caller.left ? &record->bdi : NULL);
}

/* Whoever has an answer of this life can see that the one before has ended. */
static void count_life(const struct session *s)
{
	const struct handover_record *record = s->survive->record;
	struct ledger_facts *facts = &s->survive->ledger->facts;
	struct super_attach_report report;

	super_get_attach_report(s->sb, &report);
	facts->lives = record->nr_lives;
	facts->kills = record->nr_kills;
	facts->repairs += super_attach_repairs(&report);
}

void session_take_image(struct session *s)
{
	const struct handover_record *record = s->survive->record;

	if (s->survive->image_fd >= 0) {
		s->image.fd = survive_give(&s->survive->image_fd);
		s->image.sum = record->image_sum;
	}
	if (s->survive->image_dir_fd < 0 || s->survive->image_lock_fd < 0)
		return;
	memcpy(s->image.place.name, record->image, sizeof(record->image));
	s->image.place.dir_fd = survive_give(&s->survive->image_dir_fd);
	s->image.lock_fd = survive_give(&s->survive->image_lock_fd);
	s->image.stays = true; /* until this process has served */
}

int session_resume(struct session *s, struct options_error *error)
{
	const struct handover_record *record = s->survive->record;
	struct channel_terms terms;
	int res;

	s->caller = (struct caller_namespace){ .left = record->caller_left,
					       .dev = (dev_t)record->caller_dev,
					       .ino = (ino_t)record->caller_ino };
	if (record->has_bdi)
		s->own = (struct ownmount){ s->options->mountpoint, &s->caller, record->bdi };
	/* Before anything is done, and before requests come again. */
	ledger_settle(s->survive->ledger, s->sb);
	res = take_terms(s, &terms);
	if (!res)
		res = transport_resume(s->transport, &terms, s->survive->inbox_fd);
	if (res) {
		ERR_PRINTF(error, "%s: cannot go on with the kernel as it was agreed: %s",
			   s->options->mountpoint, strerror(-res));
		return res;
	}
	session_agree_on_clock(s);
	take_facts(s);
	count_life(s);
	return 0;
}

/* @report: of what it was to take the mount over. */
static void log_upgrade(const struct session *s, const struct super_attach_report *report)
{
	struct handover_record *record = s->survive->record;

	atomic_store_explicit(&record->upgrade.state, HANDOVER_UPGRADE_DONE, memory_order_release);
	zt_log(ZT_LOG_INFO,
	       "%s: ztmpfs %s goes on, as process %u of the mount; requests have waited for %llu us, "
	       "%llu of them to attach%s",
	       s->options->mountpoint, PACKAGE_VERSION, record->nr_lives,
	       (unsigned long long)record->outage_ns / 1000, (unsigned long long)report->ns / 1000,
	       report->was_clean ? "" : ", since the daemon before was killed");
}

void session_resumed(const struct session *s)
{
	struct handover_record *record = s->survive->record;
	struct super_attach_report report;

	super_get_attach_report(s->sb, &report);
	record->outage_ns = zt_now_ns() - record->died_ns;
	s->survive->ledger->facts.outage_ns = record->outage_ns;
	record->nr_stood_by += s->survive->stood_by;
	if (record->order == HANDOVER_TRY) {
		log_upgrade(s, &report);
		return;
	}
	zt_log(ZT_LOG_WARN,
	       "%s: the daemon had died; process %u of the mount%s serves after %llu us, %llu of them to "
	       "attach; %llu inodes, %llu repairs",
	       s->options->mountpoint, record->nr_lives,
	       s->survive->stood_by ? ", which stood by," : "",
	       (unsigned long long)record->outage_ns / 1000, (unsigned long long)report.ns / 1000,
	       (unsigned long long)report.inodes,
	       (unsigned long long)super_attach_repairs(&report));
}
