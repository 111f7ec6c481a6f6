// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * order_maker.c - what is changed later is not older: files, folders and links are made and changed
 * one after another, in all orders of two ways.
 *
 *     order_maker FOLDER
 *
 * Before each change the times of a memfd are moved and looked at: from Linux 6.13 on no stamp that
 * the kernel gives after that is older, whatever its coarse clock says. Ends with 1 when something
 * was older than what was changed before it; prints how many changes there were.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NR_ROUNDS 8

static int file = -1, memory;
static char *mapped;
static unsigned nr_made;

static long must(long value, const char *what)
{
	if (value < 0) {
		printf("%s: %s\n", what, strerror(errno));
		exit(1);
	}
	return value;
}

static const char *new_name(void)
{
	static char name[32];

	(void)snprintf(name, sizeof(name), "n%u", ++nr_made);
	return name;
}

/* Each changes something and names what is looked at then. */

static const char *write_new(void)
{
	const char *name = new_name();
	int fd = (int)must(open(name, O_CREAT | O_WRONLY, 0666), "create");

	must(write(fd, "x", 1), "write");
	must(close(fd), "close");
	return name;
}

static const char *make_empty(void)
{
	const char *name = new_name();

	must(close((int)must(open(name, O_CREAT | O_WRONLY, 0666), "create")), "close");
	return name;
}

static const char *make_folder(void)
{
	const char *name = new_name();

	must(mkdir(name, 0777), "mkdir");
	return name;
}

static const char *make_symlink(void)
{
	const char *name = new_name();

	must(symlink("x", name), "symlink");
	return name;
}

static const char *make_fifo(void)
{
	const char *name = new_name();

	must(mkfifo(name, 0666), "mkfifo");
	return name;
}

static const char *write_open(void)
{
	must(pwrite(file, "y", 1, 0), "pwrite");
	return "file";
}

static const char *store_mapped(void)
{
	mapped[0]++;
	must(msync(mapped, 1, MS_SYNC), "msync");
	return "file";
}

static const char *cut(void)
{
	static int len = 4096;

	must(ftruncate(file, ++len), "ftruncate");
	return "file";
}

static const char *touch(void)
{
	must(utimensat(AT_FDCWD, "touched", NULL, 0), "utimensat");
	return "touched";
}

static const char *touch_open(void)
{
	must(futimens(file, NULL), "futimens");
	return "file";
}

static const char *change_mode(void)
{
	must(chmod("touched", 0600), "chmod");
	return "touched";
}

static const char *rename_it(void)
{
	static int there;

	must(rename(there ? "moved" : "moves", there ? "moves" : "moved"), "rename");
	there = !there;
	return there ? "moved" : "moves";
}

static const char *link_it(void)
{
	const char *name = new_name();

	must(link("touched", name), "link");
	return name;
}

static const char *unlink_it(void)
{
	static char name[32];

	(void)snprintf(name, sizeof(name), "%s", make_empty());
	must(unlink(name), "unlink");
	return ".";
}

static const char *(*const ways[])(void) = {
	write_new, make_empty, make_folder, make_symlink, make_fifo, write_open, store_mapped,
	cut,       touch,      touch_open,  change_mode,  rename_it, link_it,    unlink_it,
};
static const char *const way_names[] = {
	"a new file is written",
	"open(2)",
	"mkdir",
	"symlink",
	"mkfifo",
	"write(2)",
	"a mapped store",
	"ftruncate",
	"utimensat",
	"futimens",
	"chmod",
	"rename",
	"link",
	"unlink",
};
#define NR_WAYS (sizeof(ways) / sizeof(ways[0]))

static int64_t look(int fd, const char *name)
{
	struct stat st;

	must(name ? lstat(name, &st) : fstat(fd, &st), "stat");
	return (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
}

static unsigned nr_changes, nr_older;
static int64_t worst;

static void change(unsigned way, unsigned before)
{
	static int64_t last;
	int64_t now;

	must(futimens(memory, NULL), "futimens");
	(void)look(memory, NULL);
	now = look(-1, ways[way]());
	if (now < last) {
		if (nr_older++ < 10)
			printf("%s after %s: older by %lld ns\n", way_names[way], way_names[before],
			       (long long)(last - now));
		worst = last - now > worst ? last - now : worst;
	}
	last = now;
	nr_changes++;
}

int main(int argc, char *argv[])
{
	if (argc != 2)
		return 2;
	must(chdir(argv[1]), argv[1]);
	memory = (int)must(memfd_create("clock", 0), "memfd_create");
	file = (int)must(open("file", O_CREAT | O_RDWR, 0666), "file");
	must(ftruncate(file, 4096), "ftruncate");
	mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	must(mapped == MAP_FAILED ? -1 : 0, "mmap");
	must(close((int)must(open("touched", O_CREAT | O_WRONLY, 0666), "touched")), "close");
	must(close((int)must(open("moves", O_CREAT | O_WRONLY, 0666), "moves")), "close");
	for (unsigned round = 0; round < NR_ROUNDS; round++)
		for (unsigned first = 0; first < NR_WAYS; first++)
			for (unsigned second = 0; second < NR_WAYS; second++) {
				change(first, (unsigned)(second ? second - 1 : 0));
				change(second, first);
			}
	printf("%u changes, %u older than what was before, by %lld ns at most\n", nr_changes,
	       nr_older, (long long)worst);
	return nr_older > 0;
}
