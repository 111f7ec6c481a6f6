// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * image_list.c - the files of an image, a line each, as tar -tv has them; or as JSON.
 */
#include "ctl/image_list.h"

#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "ctl/ctl.h"
#include "util/clock.h"
#include "util/sizes.h"

/* ---- words ---- */

static const struct {
	mode_t type;
	char letter;
	const char *word;
} types[] = {
	{ S_IFREG, '-', "file" },    { S_IFDIR, 'd', "directory" }, { S_IFLNK, 'l', "link" },
	{ S_IFCHR, 'c', "char" },    { S_IFBLK, 'b', "block" },	    { S_IFIFO, 'p', "fifo" },
	{ S_IFSOCK, 's', "socket" },
};

/* What is loaded has one of them. */
static size_t type_of(mode_t mode)
{
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(types) && types[i].type != (mode & S_IFMT))
		i++;
	return i;
}

/* As ls -l. */
static void mode_text(mode_t mode, char out[11])
{
	static const char letters[] = "rwxrwxrwx";

	out[0] = types[type_of(mode)].letter;
	for (unsigned i = 0; i < 9; i++)
		out[1 + i] = mode & (0400u >> i) ? letters[i] : '-';
	if (mode & S_ISUID)
		out[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		out[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		out[9] = mode & S_IXOTH ? 't' : 'T';
	out[10] = '\0';
}

void image_time_text(struct timespec at, bool fraction, char out[IMAGE_TIME_TEXT])
{
	struct tm tm;
	size_t len;

	if (!gmtime_r(&at.tv_sec, &tm) || (len = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm)) == 0) {
		strcpy(out, "?");
		return;
	}
	if (fraction)
		len += (size_t)snprintf(out + len, IMAGE_TIME_TEXT - len, ".%09ld", at.tv_nsec);
	strcpy(out + len, "Z");
}

/* In the image: memory of the mount that was saved, and its spill file. */
static uint64_t stored_of(const struct ztmpfs_file_stat *usage)
{
	return usage->stored + usage->out;
}

static double ratio_of(const struct ztmpfs_file_stat *usage)
{
	const uint64_t stored = stored_of(usage);

	return stored ? (double)usage->allocated / (double)stored : 0;
}

/* ---- a line ---- */

/* The algorithm that has most of it, with a + where others have some; "-": nothing is stored. */
static void print_codec(const struct ztmpfs_file_stat *usage)
{
	const struct ztmpfs_file_codec *most = &usage->codecs[0];
	unsigned nr = 0;
	char name[sizeof(most->name) + 2];

	for (size_t i = 0; i < ZTMPFS_FILE_CODECS; i++) {
		nr += usage->codecs[i].pages > 0;
		if (usage->codecs[i].pages > most->pages)
			most = &usage->codecs[i];
	}
	snprintf(name, sizeof(name), "%.*s%s", (int)sizeof(most->name), nr ? most->name : "-",
		 nr > 1 ? "+" : "");
	ctl_print_name(stdout, name);
	printf("%*s", (int)(8 - min_u64(strlen(name), 8)), "");
}

static void print_line(const struct listed *file)
{
	const struct stat *attr = &file->attr;
	char mode[11], owner[32], size[32], date[IMAGE_TIME_TEXT];

	mode_text(attr->st_mode, mode);
	snprintf(owner, sizeof(owner), "%u/%u", attr->st_uid, attr->st_gid);
	if (S_ISCHR(attr->st_mode) || S_ISBLK(attr->st_mode))
		snprintf(size, sizeof(size), "%u,%u", major(attr->st_rdev), minor(attr->st_rdev));
	else
		snprintf(size, sizeof(size), "%" PRIu64, (uint64_t)attr->st_size);
	image_time_text(attr->st_mtim, false, date);
	printf("%s %-9s %10s %10" PRIu64 " ", mode, owner, size, stored_of(&file->usage));
	print_codec(&file->usage);
	printf(" %s ", date);
	ctl_print_name(stdout, file->path);
	if (file->target) {
		fputs(" -> ", stdout);
		ctl_print_name(stdout, file->target);
	}
	if (file->first) {
		fputs(" link to ", stdout);
		ctl_print_name(stdout, file->first);
	}
	putchar('\n');
}

/* ---- JSON ---- */

static void print_member(const char *name, const char *text)
{
	if (!text)
		return;
	printf(", \"%s\": ", name);
	ctl_print_json_text(stdout, text);
}

static void print_codecs(const struct ztmpfs_file_stat *usage)
{
	char name[sizeof(usage->codecs[0].name) + 1];

	for (size_t i = 0, nr = 0; i < ZTMPFS_FILE_CODECS; i++) {
		if (usage->codecs[i].pages == 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)sizeof(usage->codecs[i].name),
			 usage->codecs[i].name);
		fputs(nr++ ? ", " : "", stdout);
		ctl_print_json_text(stdout, name);
		printf(": {\"allocated\": %" PRIu64 ", \"stored\": %" PRIu64 "}",
		       usage->codecs[i].pages * ZT_PAGE_SIZE, usage->codecs[i].stored);
	}
}

static void print_object(const struct listed *file)
{
	const struct stat *attr = &file->attr;
	char date[IMAGE_TIME_TEXT];

	image_time_text(attr->st_mtim, true, date);
	fputs("{\"path\": ", stdout);
	ctl_print_json_text(stdout, file->path);
	printf(", \"type\": \"%s\", \"mode\": \"%04o\", \"uid\": %u, \"gid\": %u, \"inode\": %" PRIu64
	       ", \"links\": %" PRIu64 ", \"size\": %" PRIu64 ", \"mtime\": \"%s\"",
	       types[type_of(attr->st_mode)].word, attr->st_mode & 07777u, attr->st_uid, attr->st_gid,
	       (uint64_t)attr->st_ino, (uint64_t)attr->st_nlink, (uint64_t)attr->st_size, date);
	if (S_ISREG(attr->st_mode)) {
		printf(", \"allocated\": %" PRIu64 ", \"stored\": %" PRIu64 ", \"out\": %" PRIu64
		       ", \"ratio\": %.4f, \"codecs\": {",
		       (uint64_t)file->usage.allocated, stored_of(&file->usage),
		       (uint64_t)file->usage.out, ratio_of(&file->usage));
		print_codecs(&file->usage);
		putchar('}');
	}
	if (S_ISCHR(attr->st_mode) || S_ISBLK(attr->st_mode))
		printf(", \"device\": \"%u:%u\"", major(attr->st_rdev), minor(attr->st_rdev));
	print_member("target", file->target);
	print_member("link_to", file->first);
	putchar('}');
}

/* ---- all of them ---- */

struct print {
	bool json;
	bool begun;
};

/* listing_fn: until the reader goes away. */
static bool print_one(void *arg, const struct listed *file)
{
	struct print *print = arg;

	if (print->json) {
		fputs(print->begun ? ",\n  " : "\n  ", stdout);
		print->begun = true;
		print_object(file);
	} else {
		print_line(file);
	}
	return ferror(stdout) == 0;
}

int image_list_print(struct listing *listing, bool json)
{
	struct print print = { .json = json };
	int error;

	/* Which bytes are letters; without it all but ASCII is escaped. */
	(void)setlocale(LC_CTYPE, "");
	if (json)
		fputs(", \"files\": [", stdout);
	error = listing_each(listing, print_one, &print);
	if (json)
		fputs("\n]", stdout);
	return error;
}
