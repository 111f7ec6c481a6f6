// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * top.c - ztmpfsctl top: what mounts do, again and again: on a terminal, or as plain rounds.
 *
 * A mount is opened only while it is asked, so that it can be unmounted meanwhile.
 * Weakness: a daemon that hangs is waited for.
 */
#include "ctl/top.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/mounts.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/sizes.h"

#define INTERVAL_NS (2 * ZT_NS_PER_S)
#define SECONDS_MIN 0.1
#define SECONDS_MAX 3600.0
/* Of a pipe, and where a terminal does not say. */
#define COLUMNS     80u
#define COLUMNS_MIN 20u

/* Asking ------------------------------------------------------------------ */

static struct top_mount *find(struct top *top, const char *path)
{
	for (size_t i = 0; i < top->nr; i++)
		if (strcmp(top->mounts[i].path, path) == 0)
			return &top->mounts[i];
	return NULL;
}

static struct top_mount *add(struct top *top, const char *path)
{
	struct top_mount *more =
		reallocarray(top->mounts, top->nr + 1, sizeof(*more)); /* free()'s */

	if (!more)
		return NULL;
	top->mounts = more;
	more[top->nr] = (struct top_mount){ .path = strdup(path) };
	return more[top->nr].path ? &more[top->nr++] : NULL;
}

/* Return: 0 or -ENOMEM; that a mount does not answer stands with it. */
static int look_at(struct top *top, const char *path)
{
	struct top_mount *mount = find(top, path);
	struct ztmpfs_stat stat;

	if (!mount)
		mount = add(top, path);
	if (!mount)
		return -ENOMEM;
	mount->seen = true;
	mount->error = ctl_get_stat(path, &stat);
	if (mount->error) {
		mount->now_ns = 0;
		return 0;
	}
	mount->before_ns = mount->now_ns;
	mount->before = mount->now;
	mount->now_ns = zt_now_ns();
	mount->now = stat;
	return 0;
}

struct walk {
	struct top *top;
	int error;
};

static void look_at_each(void *arg, const struct mountinfo *mount)
{
	struct walk *walk = arg;

	if (!walk->error)
		walk->error = look_at(walk->top, mount->path);
}

static void drop_unseen(struct top *top)
{
	size_t kept = 0;

	for (size_t i = 0; i < top->nr; i++) {
		if (top->mounts[i].seen)
			top->mounts[kept++] = top->mounts[i];
		else
			free(top->mounts[i].path); /* strdup's */
	}
	top->nr = kept;
}

int top_look(struct top *top)
{
	struct walk walk = { .top = top };
	int error;

	for (size_t i = 0; i < top->nr; i++)
		top->mounts[i].seen = false;
	if (top->path) {
		error = look_at(top, top->path);
		return error ? error : top->mounts[0].error;
	}
	error = ctl_each_mount(look_at_each, &walk);
	drop_unseen(top);
	return error ? error : walk.error;
}

void top_free(struct top *top)
{
	for (size_t i = 0; i < top->nr; i++)
		free(top->mounts[i].path); /* strdup's, reallocarray's */
	free(top->mounts);
	*top = (struct top){ .path = NULL };
}

/* Plain rounds ------------------------------------------------------------- */

static void print_line(struct top_sink *sink, enum top_kind kind, const char *text)
{
	(void)sink;
	(void)kind;
	puts(text);
}

static size_t output_columns(void)
{
	const char *text = getenv("COLUMNS");
	const unsigned long said = text ? strtoul(text, NULL, 10) : 0;
	struct winsize size;

	if (said >= COLUMNS_MIN && said <= 1000)
		return said;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= COLUMNS_MIN)
		return size.ws_col;
	return COLUMNS;
}

/* Each round is what has happened since the one before; the first one begins now. */
static int print_rounds(struct top *top)
{
	struct top_sink sink = { .line = print_line, .width = output_columns() };
	int error = top_look(top);

	for (uint64_t round = 0; !error && (!top->nr_rounds || round < top->nr_rounds); round++) {
		const struct timespec pause = zt_timespec(top->interval_ns);

		(void)nanosleep(&pause, NULL); /* a signal that does not end it shortens a round */
		error = top_look(top);
		if (error)
			break;
		if (round > 0)
			puts("");
		top_draw(&sink, top, false);
		if (fflush(stdout) != 0)
			return ctl_end(0);
	}
	return error ? ctl_fail(top->path ? top->path : "top", error) : ctl_end(0);
}

/* The command ------------------------------------------------------------- */

static int parse_seconds(const char *text, uint64_t *out_ns)
{
	char *end;
	const double seconds = strtod(text, &end);

	if (end == text || *end != '\0' || !(seconds >= SECONDS_MIN && seconds <= SECONDS_MAX)) {
		fprintf(stderr, "ztmpfsctl: --delay %s: allowed: seconds from 0.1 to 3600\n", text);
		return -EINVAL;
	}
	*out_ns = (uint64_t)llround(seconds * (double)ZT_NS_PER_S);
	return 0;
}

static int parse_rounds(const char *text, uint64_t *out_nr)
{
	if (size_parse(text, 0, out_nr) == 0 && *out_nr > 0)
		return 0;
	fprintf(stderr, "ztmpfsctl: --rounds %s: allowed: a number from 1 on\n", text);
	return -EINVAL;
}

/* Return: 0, -EINVAL after a line. */
static int parse(int argc, char *argv[], struct top *top)
{
	int error = 0, letter = ctl_switch(&ctl_top, argc, argv, true);

	for (; !error && letter != CTL_SWITCH_END; letter = ctl_switch(&ctl_top, argc, argv, false))
		error = letter == 'd' ? parse_seconds(optarg, &top->interval_ns)
				      : parse_rounds(optarg, &top->nr_rounds);
	if (!error && argc - optind > 1) {
		(void)ctl_usage(&ctl_top);
		error = -EINVAL;
	}
	if (!error && argc > optind && strcmp(argv[optind], "all") != 0)
		top->path = argv[optind];
	return error;
}

static int run(int argc, char *argv[])
{
	struct top top = { .interval_ns = INTERVAL_NS };
	int status = CTL_EXIT_USAGE, error;

	/* How wide a character is; numbers stay as they are. */
	(void)setlocale(LC_CTYPE, "");
	if (parse(argc, argv, &top) != 0)
		return status;
	error = -ENOTSUP;
	if (isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && !top.nr_rounds)
		error = top_screen(&top);
	if (error == -ENOTSUP)
		status = print_rounds(&top);
	else
		status = error ? ctl_fail(top.path ? top.path : "top", error) : 0;
	top_free(&top);
	return status;
}

static const struct ctl_switch switches[] = {
	{ .letter = 'd',
	  .brief = true,
	  .name = "delay",
	  .arg = "SECONDS",
	  .words = "",
	  .help = "time between two rounds, 0.1 to 3600; default: 2" },
	{ .letter = 'n',
	  .brief = true,
	  .name = "rounds",
	  .arg = "NUMBER",
	  .words = "",
	  .help = "print so many rounds as plain lines, and end" },
	{ 0 },
};

const struct ctl_command ctl_top = {
	.name = "top",
	.operands = "[MOUNTPOINT|all]",
	.help = "Show what mounts do, again and again.",
	.switches = switches,
	.words = "all",
	.takes = CTL_MOUNTS,
	.run = run,
};
