// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trace.c - ztmpfsctl trace: the compression requests of a mount, recorded to a file.
 *
 * What the daemon has recorded is fetched again and again, until a signal comes or the time is over.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/newfile.h"
#include "ctl/signals.h"
#include "ctl/trace_file.h"
#include "image/io.h"

/* Between two fetches of a ring that was empty: it takes 65,000 requests, or 16 MiB of contents. */
#define PAUSE_NS (5 * 1000 * 1000)

struct tracing {
	const char *mount, *path; /* the operands */
	bool contents;
	uint64_t time_ns; /* 0: until a signal comes */
	int mount_fd;
	struct newfile file;
	uint64_t at; /* where the next bytes go */
	struct trace_scan scan;
	struct trace_header header;
	struct ztmpfs_trace call; /* what is asked, and answered */
};

static int ask(struct tracing *tracing, uint32_t op)
{
	int error;

	do {
		tracing->call.op = op;
		tracing->call.flags = tracing->contents ? ZTMPFS_TRACE_CONTENTS : 0;
		error = ctl_ask_fd(tracing->mount_fd, ZTMPFS_IOC_TRACE, &tracing->call);
	} while (error == -EINTR);
	return error;
}

/* Return: 0, or what fetching (@out_ended) or writing said. */
static int fetch(struct tracing *tracing, bool *out_ended)
{
	const struct ztmpfs_trace *call = &tracing->call;
	int error = ask(tracing, ZTMPFS_TRACE_FETCH);

	*out_ended = error != 0;
	if (error)
		return error;
	if (call->len > sizeof(call->bytes))
		return -EPROTO;
	trace_scan(&tracing->scan, call->bytes, call->len);
	if (tracing->scan.wrong)
		return -EPROTO;
	error = image_write(tracing->file.fd, call->bytes, call->len, tracing->at);
	tracing->at += call->len;
	tracing->header.lost = call->lost;
	return error;
}

/* Until there is nothing left after the time is over. */
static int record(struct tracing *tracing, bool *out_ended)
{
	const uint64_t begun = zt_now_ns();
	bool stopped = false;
	int error = 0;

	while (!error && !(stopped && tracing->call.left == 0)) {
		const uint64_t took = zt_now_ns() - begun;

		if (!stopped && (signals_noted() || (tracing->time_ns && took >= tracing->time_ns))) {
			tracing->header.seconds_ns = took;
			stopped = true;
			error = ask(tracing, ZTMPFS_TRACE_STOP);
			*out_ended = error != 0;
		}
		if (!error)
			error = fetch(tracing, out_ended);
		if (!error && !stopped && tracing->call.left == 0) {
			const struct timespec pause = zt_timespec(PAUSE_NS);

			(void)nanosleep(&pause, NULL); /* a signal may end it */
		}
	}
	if (!stopped)
		tracing->header.seconds_ns = zt_now_ns() - begun;
	return error;
}

static void print(const struct tracing *tracing)
{
	const struct trace_counts *counts = &tracing->scan.counts;
	const uint64_t *nr = counts->nr;

	printf("%s: %" PRIu64 " requests of %.1f MB in %.1f s: %" PRIu64 " of one repeated value, %" PRIu64
	       " stored without a try, %" PRIu64 " tried in vain, %" PRIu64 " made smaller; stored in %.1f MB\n",
	       tracing->path, nr[0] + nr[1] + nr[2] + nr[3], (double)counts->len / 1e6,
	       (double)tracing->header.seconds_ns / 1e9, nr[TRACE_SAME], nr[TRACE_SKIPPED],
	       nr[TRACE_RAW], nr[TRACE_SMALLER], (double)counts->stored / 1e6);
	fflush(stdout);
	if (tracing->header.lost > 0)
		fprintf(stderr, "ztmpfsctl: %" PRIu64 " requests were not recorded: they came faster than they "
				"could be fetched\n",
			tracing->header.lost);
}

/* A mount that ends takes what it had not told yet along; what was told is a trace. */
static int trace_mount(struct tracing *tracing)
{
	bool ended = false;
	int error = ask(tracing, ZTMPFS_TRACE_START), why;

	if (error) {
		newfile_drop(&tracing->file);
		return error == -EBUSY ? ctl_failed(tracing->mount, "somebody traces it already")
				       : ctl_fail(tracing->mount, error);
	}
	tracing->header.begun_s = time(NULL);
	tracing->at = sizeof(tracing->header);
	tracing->scan.contents = tracing->contents;
	tracing->header.contents = tracing->contents;
	why = record(tracing, &ended);
	error = ended ? 0 : why;
	if (!error)
		error = trace_file_end(tracing->file.fd, &tracing->scan, &tracing->header);
	error = newfile_end(&tracing->file, error);
	if (error)
		return ctl_failed(tracing->path, strerror(-error));
	print(tracing);
	return ctl_end(ended ? ctl_fail(tracing->mount, why) : 0);
}

/* The trace's own writes would be requests, too. */
static bool is_inside(const struct tracing *tracing)
{
	struct stat mount, file;

	return fstat(tracing->mount_fd, &mount) == 0 && fstat(tracing->file.fd, &file) == 0 &&
	       mount.st_dev == file.st_dev;
}

static int begin(struct tracing *tracing)
{
	/* What all users have written is for the eyes of one. */
	int error = newfile_begin(tracing->path, tracing->contents ? 0600 : 0666, &tracing->file);

	if (error)
		return ctl_failed(tracing->path, strerror(-error));
	if (!is_inside(tracing))
		return trace_mount(tracing);
	newfile_drop(&tracing->file);
	return ctl_failed(tracing->path, "is in the mount that is to be traced");
}

static int parse(int argc, char *argv[], struct tracing *out)
{
	int letter = ctl_switch(&ctl_trace, argc, argv, true);
	double seconds;
	char *end;

	for (; letter != CTL_SWITCH_END; letter = ctl_switch(&ctl_trace, argc, argv, false)) {
		if (letter == 'd') {
			out->contents = true;
			continue;
		}
		seconds = strtod(optarg, &end);
		/* Written so that what is no number is refused too. */
		if (end == optarg || *end != '\0' || !(seconds >= 0.001 && seconds <= 1e7))
			return -EINVAL;
		out->time_ns = (uint64_t)(seconds * 1e9);
	}
	if (argc != optind + 2)
		return -EINVAL;
	out->mount = argv[optind];
	out->path = argv[optind + 1];
	return 0;
}

static int run(int argc, char *argv[])
{
	/* Too large for a stack of unknown size; one at a time. */
	static struct tracing tracing;
	int status;

	memset(&tracing, 0, sizeof(tracing));
	if (parse(argc, argv, &tracing) != 0)
		return ctl_usage(&ctl_trace);
	tracing.mount_fd = open(tracing.mount, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (tracing.mount_fd < 0)
		return ctl_fail(tracing.mount, -errno);
	signals_catch(true);
	status = begin(&tracing);
	close(tracing.mount_fd);
	return status;
}

static const struct ctl_switch switches[] = {
	{ .letter = 'd',
	  .name = "with-data",
	  .help = "what was to be compressed, too: contents of all users' files" },
	{ .letter = 's',
	  .name = "seconds",
	  .arg = "S",
	  .words = "",
	  .help = "end after this time (when a signal comes)" },
	{ 0 },
};

const struct ctl_command ctl_trace = {
	.name = "trace",
	.operands = "MOUNTPOINT FILE",
	.help = "Record what a mount has compressed, for zbench --replay.",
	.switches = switches,
	.takes = CTL_MOUNTS,
	.run = run,
};
