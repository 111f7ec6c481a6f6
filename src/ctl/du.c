// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * du.c - ztmpfsctl du: what files hold, and what that costs, one by one and for trees.
 *
 * Stays on one mount; an inode with several names is counted once.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/walk.h"

struct du {
	struct ctl_walk walk; /* first */
	struct ctl_usage sum;
	bool each; /* each file, too */
	bool codecs; /* each codec, too */
	bool json;
	bool begun; /* one object has been printed */
	int failed; /* exit status so far */
};

void ctl_usage_add(struct ctl_usage *sum, const struct ztmpfs_file_stat *stat)
{
	sum->nr_inodes++;
	sum->size += stat->size;
	sum->allocated += stat->allocated;
	sum->stored += stat->stored;
	sum->memory += stat->memory;
	sum->out += stat->out;
	for (size_t i = 0; i < ZTMPFS_FILE_CODECS; i++) {
		const struct ztmpfs_file_codec *codec = &stat->codecs[i];
		size_t at = 0;

		if (codec->pages == 0 && codec->stored == 0)
			continue;
		while (at + 1 < ARRAY_SIZE(sum->codecs) && sum->codecs[at].name[0] != '\0' &&
		       strncmp(sum->codecs[at].name, codec->name, sizeof(codec->name)) != 0)
			at++;
		memcpy(sum->codecs[at].name, codec->name, sizeof(codec->name));
		sum->codecs[at].name[sizeof(codec->name) - 1] = '\0';
		sum->codecs[at].pages += codec->pages;
		sum->codecs[at].stored += codec->stored;
	}
}

static double ratio(uint64_t plain, uint64_t held)
{
	return held ? (double)plain / (double)held : 0;
}

void ctl_usage_print(FILE *out, const struct ctl_usage *sum, const char *path)
{
	fprintf(out, "%14" PRIu64 " %14" PRIu64 " %14" PRIu64 " %14" PRIu64 " %7.3f ", sum->size,
		sum->allocated, sum->stored, sum->memory, ratio(sum->allocated, sum->memory));
	for (size_t i = 0; i < ARRAY_SIZE(sum->codecs) && sum->codecs[i].name[0] != '\0'; i++)
		fprintf(out, "%s%s:%.0f%%", i ? "," : "", sum->codecs[i].name,
			sum->allocated
				? 409600.0 * (double)sum->codecs[i].pages / (double)sum->allocated
				: 0.0);
	if (sum->codecs[0].name[0] == '\0')
		fputc('-', out);
	if (sum->out > 0)
		fprintf(out, ",out:%.0f%%",
			100.0 * (double)sum->out / (double)(sum->out + sum->stored));
	fprintf(out, " %s\n", path);
}

void ctl_usage_print_codecs(FILE *out, const struct ctl_usage *sum, const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(sum->codecs) && sum->codecs[i].name[0] != '\0'; i++)
		fprintf(out,
			"%14s %14" PRIu64 " %14" PRIu64 " %14s %7.3f %s %s\n", "-",
			sum->codecs[i].pages * 4096, sum->codecs[i].stored, "-",
			ratio(sum->codecs[i].pages * 4096, sum->codecs[i].stored),
			sum->codecs[i].name, path);
}

void ctl_usage_print_json(FILE *out, const struct ctl_usage *sum, const char *path)
{
	fputs("{\"path\": ", out);
	ctl_print_json_text(out, path);
	fprintf(out,
		", \"inodes\": %" PRIu64 ", \"size\": %" PRIu64 ", \"allocated\": %" PRIu64
		", \"stored\": %" PRIu64 ", \"memory\": %" PRIu64 ", \"out\": %" PRIu64
		", \"ratio\": %.4f, \"codecs\": {",
		sum->nr_inodes, sum->size, sum->allocated, sum->stored, sum->memory, sum->out,
		ratio(sum->allocated, sum->memory));
	for (size_t i = 0; i < ARRAY_SIZE(sum->codecs) && sum->codecs[i].name[0] != '\0'; i++) {
		fputs(i ? ", " : "", out);
		ctl_print_json_text(out, sum->codecs[i].name);
		fprintf(out, ": {\"allocated\": %" PRIu64 ", \"stored\": %" PRIu64 "}",
			sum->codecs[i].pages * 4096, sum->codecs[i].stored);
	}
	fputs("}}", out);
}

static void print(struct du *du, const struct ctl_usage *usage, const char *path)
{
	if (du->json) {
		fputs(du->begun ? ",\n  " : "\n  ", stdout);
		ctl_usage_print_json(stdout, usage, path);
		du->begun = true;
		return;
	}
	ctl_usage_print(stdout, usage, path);
	if (du->codecs && usage == &du->sum)
		ctl_usage_print_codecs(stdout, usage, path);
}

/* Below what is no ztmpfs there is nothing to be asked: said once. */
static void failed(struct ctl_walk *walk, const char *path, int error)
{
	struct du *du = (struct du *)walk;

	du->failed = ctl_fail(path, error);
	walk->stop |= error == -ENOTTY || error == -EPROTO;
}

static void count_inode(struct ctl_walk *walk, int fd, const struct stat *st, const char *path)
{
	struct du *du = (struct du *)walk;
	struct ztmpfs_file_stat stat = { 0 };

	if (ioctl(fd, ZTMPFS_IOC_FILE_STAT, &stat) != 0) {
		failed(walk, path, -errno);
		return;
	}
	ctl_usage_add(&du->sum, &stat);
	if (du->each && S_ISREG(st->st_mode)) {
		struct ctl_usage one = { 0 };

		ctl_usage_add(&one, &stat);
		print(du, &one, path);
	}
}

static void print_tree(struct du *du, const char *path)
{
	du->walk = (struct ctl_walk){ .each = count_inode, .failed = failed };
	memset(&du->sum, 0, sizeof(du->sum));
	ctl_walk(&du->walk, path);
	if (du->sum.nr_inodes > 0)
		print(du, &du->sum, path);
}

static int run(int argc, char *argv[])
{
	struct du du = { .failed = 0 };
	int letter = ctl_switch(&ctl_du, argc, argv, true), first;

	for (; letter != CTL_SWITCH_END; letter = ctl_switch(&ctl_du, argc, argv, false)) {
		du.each |= letter == 'f';
		du.codecs |= letter == 'c';
		du.json |= letter == 'J';
	}
	first = optind;
	if (du.json)
		fputs("{\"usage\": [", stdout);
	else
		printf("%14s %14s %14s %14s %7s %s %s\n", "size", "allocated", "stored", "memory",
		       "ratio", "codecs", "path");
	for (int i = first; i < argc || i == first; i++)
		print_tree(&du, i < argc ? argv[i] : ".");
	if (du.json)
		fputs("\n]}\n", stdout);
	return ctl_end(du.failed);
}

static const struct ctl_switch switches[] = {
	{ .letter = 'c', .name = "codecs", .help = "a line for each algorithm, too" },
	{ .letter = 'f', .name = "files", .help = "a line for each file, too" },
	{ .letter = 'J', .brief = true, .name = "json", .help = "one JSON object, for programs" },
	{ 0 },
};

const struct ctl_command ctl_du = {
	.name = "du",
	.operands = "[PATH...]",
	.help = "Print what files and trees hold, and what that costs.",
	.switches = switches,
	.takes = CTL_PATHS,
	.run = run,
};
