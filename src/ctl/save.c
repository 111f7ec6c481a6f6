// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * save.c - ztmpfsctl save: what a mount holds at one moment into an image, while it is in use.
 *
 * The daemon gives it through a file of the mount that has no name. It is read and written here, with
 * the caller's rights: the daemon opens nothing. The image gets its name when it is whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/behind.h"
#include "ctl/ctl.h"
#include "ctl/progress.h"
#include "ctl/signals.h"
#include "image/file.h"
#include "image/image.h"
#include "image/io.h"
#include "util/alloc.h"
#include "util/clock.h"

/* What one read asks for. A whole request of 1 MiB, and several at once, are slower. */
#define READ_BYTES (2 * IMAGE_BLOCK_BYTES)
#define NR_NAMES   100
/* Files of a program that was killed are closed a little after it is gone. */
#define OTHERS_END_NS   (UINT64_C(2) * ZT_NS_PER_S)
#define OTHERS_ASKED_NS 20000000L

struct save_job {
	const char *mount, *path; /* as they were given */
	int source; /* the mount's file without a name */
	struct image_place place;
	struct image_file file;
	struct image_writer *writer;
	struct ztmpfs_save save;
	struct image_facts facts;
	char *buffer; /* READ_BYTES */
	atomic_uint_fast64_t done, all; /* bytes, for the line about it; all is 0 before the moment */
};

static int refused(const char *path, int error)
{
	switch (error) {
	case -EACCES:
		return ctl_failed(path, "only root and the user who mounted it may save all files");
	case -EBUSY:
		return ctl_failed(path, "somebody saves it already, or requests did not end");
	case -ENOSPC:
	case -ENOMEM:
		return ctl_failed(path, "no memory is left for what changes while it is saved");
	case -EOPNOTSUPP:
		return ctl_failed(path, "not a mount with swap, nor before Linux 5.19");
	case -EPERM:
	case -ENOSYS:
		return ctl_failed(path, "the daemon may not call userfaultfd(2)");
	case -ESTALE:
		return ctl_failed(path, "the daemon was started again meanwhile");
	default:
		return ctl_fail(path, error);
	}
}

/* ---- the mount's side ---- */

/* For kernels and libraries without O_TMPFILE on FUSE. */
static int open_and_unlink(int dir)
{
	int fd = -1;

	for (unsigned i = 0; i < NR_NAMES && fd < 0; i++) {
		uint64_t number;
		char name[64];

		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return -errno;
		(void)snprintf(name, sizeof(name), ".ztmpfsctl-save-%016" PRIx64, number);
		fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			return -errno;
		if (fd >= 0)
			(void)unlinkat(dir, name, 0); /* the daemon refuses a file that has a name */
	}
	return fd < 0 ? -EEXIST : fd;
}

/* Around the page cache, which would keep the whole image. */
static int open_source(struct save_job *job, int dir)
{
	int flags;

	job->source = openat(dir, ".", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	if (job->source < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOSYS))
		job->source = open_and_unlink(dir);
	else if (job->source < 0)
		job->source = -errno;
	if (job->source < 0)
		return ctl_fail(job->mount, job->source);
	flags = fcntl(job->source, F_GETFL);
	return flags < 0 || fcntl(job->source, F_SETFL, flags | O_DIRECT) != 0
		       ? ctl_fail(job->mount, -errno)
		       : 0;
}

static int begin_source(struct save_job *job)
{
	const int dir = open(job->mount, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	struct ztmpfs_info info;
	int failed = 0;

	if (dir < 0)
		return ctl_fail(job->mount, -errno);
	/* Another filesystem shall not be written to. */
	if (ctl_get_info(job->mount, &info) != 0)
		failed = ctl_fail(job->mount, -ENOTTY);
	/* What only the kernel has is not part of it. */
	if (!failed && syncfs(dir) != 0)
		failed = ctl_fail(job->mount, -errno);
	if (!failed)
		failed = open_source(job, dir);
	close(dir);
	return failed;
}

/* Another one that saves may be about to end. */
static int ask_for_moment(struct save_job *job)
{
	const struct timespec a_while = { .tv_nsec = OTHERS_ASKED_NS };
	const uint64_t until = zt_now_ns() + OTHERS_END_NS;
	int error;

	for (;;) {
		job->save.op = ZTMPFS_SAVE_BEGIN;
		error = ctl_ask_fd(job->source, ZTMPFS_IOC_SAVE, &job->save);
		if (error != -EBUSY || signals_noted() || zt_now_ns() > until)
			return error;
		(void)nanosleep(&a_while, NULL); /* a signal ends it, and then all */
	}
}

static int take_moment(struct save_job *job)
{
	int error = ask_for_moment(job);

	if (error)
		return refused(job->mount, error);
	if (job->save.facts_size != sizeof(job->facts) || job->save.nr_pages == 0 ||
	    job->save.nr_pages > UINT32_MAX || /* with those of a spill file */
	    job->save.nr_extents > job->save.nr_pages)
		return ctl_fail(job->mount, -EPROTO);
	memcpy(&job->facts, job->save.facts, sizeof(job->facts));
	/* The kernel reads nothing behind the end. */
	if (ftruncate(job->source, (off_t)((job->save.nr_pages << ZT_PAGE_SHIFT) +
					   job->save.nr_extents * sizeof(struct image_extent))) != 0)
		return ctl_fail(job->mount, -errno);
	return 0;
}

static int check_source(struct save_job *job)
{
	int error;

	job->save.op = ZTMPFS_SAVE_CHECK;
	error = ctl_ask_fd(job->source, ZTMPFS_IOC_SAVE, &job->save);
	return error ? refused(job->mount, error) : 0;
}

/* ---- from there to the file ---- */

/* In the thread of the line. */
static void save_text(void *arg, char out[PROGRESS_TEXT])
{
	const struct save_job *job = arg;
	const uint64_t all = atomic_load(&job->all), done = atomic_load(&job->done);
	char text[2][CTL_HUMAN];

	if (all > 0)
		snprintf(out, PROGRESS_TEXT, "%" PRIu64 " %%, %s of %s", done * 100 / all,
			 ctl_human(done, text[0]), ctl_human(all, text[1]));
}

static int signalled(void)
{
	return signals_noted() ? -EINTR : 0;
}

/* Return: 0; -EINTR; errors of the mount, said; *out_error: of the image. */
static int read_pages(struct save_job *job, struct behind *behind, int *out_error)
{
	const uint64_t all = job->save.nr_pages << ZT_PAGE_SHIFT;
	uint64_t done = 0;

	atomic_store(&job->all, all);
	while (done < all && !*out_error) {
		const size_t len = (size_t)min_u64(READ_BYTES, all - done);
		int error = signalled();

		if (!error)
			error = image_read(job->source, behind_next(behind), len, done);
		if (error)
			return error == -EINTR ? CTL_EXIT_FAILED : refused(job->mount, error);
		*out_error = behind_put(behind, len);
		done += len;
		atomic_store(&job->done, done);
	}
	return 0;
}

static int copy_pages(struct save_job *job)
{
	struct behind behind;
	int error = behind_begin(&behind, job->writer, READ_BYTES), failed, last;

	if (error)
		return ctl_fail(job->path, error);
	failed = read_pages(job, &behind, &error);
	last = behind_end(&behind);
	if (failed)
		return failed;
	return error || last ? ctl_fail(job->path, error ? error : last) : 0;
}

static int copy_extents(struct save_job *job)
{
	const uint64_t at = job->save.nr_pages << ZT_PAGE_SHIFT;
	const uint64_t all = job->save.nr_extents * sizeof(struct image_extent);
	uint64_t done = 0;
	int error = 0;

	while (done < all && !error) {
		const size_t len = (size_t)min_u64(READ_BYTES, all - done);
		struct image_extent extent;

		error = image_read(job->source, job->buffer, len, at + done);
		if (error)
			return refused(job->mount, error);
		for (size_t i = 0; i < len && !error; i += sizeof(extent)) {
			memcpy(&extent, job->buffer + i, sizeof(extent));
			error = image_writer_place(job->writer, extent);
		}
		done += len;
	}
	return error ? ctl_fail(job->path, error) : 0;
}

static int write_all(struct save_job *job)
{
	int failed = copy_pages(job), error;

	if (!failed)
		failed = copy_extents(job);
	if (!failed)
		failed = check_source(job);
	if (failed)
		return failed;
	error = image_writer_end(job->writer, &job->facts);
	if (!error)
		error = signalled();
	/* A mount that has ended meanwhile may have been saved to the same file. */
	if (!error && fsync(job->file.fd) != 0)
		error = -errno;
	if (!error && check_source(job) != 0)
		return CTL_EXIT_FAILED;
	if (!error)
		error = image_file_commit(&job->file);
	return error ? ctl_fail(job->path, error) : 0;
}

static int save_to_file(struct save_job *job)
{
	int error = image_writer_create(job->file.fd, job->save.reserve, &job->writer);

	job->buffer = zt_map(READ_BYTES);
	if (!error && !job->buffer)
		error = -ENOMEM;
	return error ? ctl_fail(job->path, error) : write_all(job);
}

static int save(struct save_job *job)
{
	int failed = begin_source(job), error;

	if (failed)
		return failed;
	error = image_place_find(job->path, &job->place);
	if (!error)
		error = image_file_begin(&job->place, &job->file);
	if (error)
		return ctl_fail(job->path, error);
	failed = take_moment(job);
	return failed ? failed : save_to_file(job);
}

static void report(const struct save_job *job, uint64_t begin)
{
	const double seconds = (double)(zt_now_ns() - begin) / 1e9;
	const uint64_t all = job->save.nr_pages << ZT_PAGE_SHIFT;
	char text[2][CTL_HUMAN];

	fprintf(stderr, "%s in %.2f s; requests waited %.1f ms for the moment; %s of memory\n",
		ctl_human(all, text[0]), seconds,
		(double)job->save.pause_ns / 1e6, ctl_human(job->save.held, text[1]));
}

static int run_save(int argc, char *argv[])
{
	struct save_job job = { .source = -1, .place.dir_fd = -1, .file.fd = -1 };
	struct progress progress = { .what = "saving", .text = save_text, .arg = &job };
	const uint64_t begin = zt_now_ns();
	int letter = ctl_switch(&ctl_save, argc, argv, true), failed;

	for (; letter != CTL_SWITCH_END; letter = ctl_switch(&ctl_save, argc, argv, false))
		progress.lines = true;
	if (argc != optind + 2)
		return ctl_usage(&ctl_save);
	job.mount = argv[optind];
	job.path = argv[optind + 1];
	signals_catch(false); /* what was begun is removed then */
	(void)signal(SIGXFSZ, SIG_IGN); /* a file that grows too large is an error */
	progress_begin(&progress);
	failed = save(&job);
	progress_end();
	if (!failed && (progress.lines || isatty(STDERR_FILENO)))
		report(&job, begin);
	image_file_drop(&job.file);
	image_writer_destroy(job.writer);
	zt_unmap(job.buffer, READ_BYTES);
	if (job.place.dir_fd >= 0)
		close(job.place.dir_fd);
	if (job.source >= 0)
		close(job.source);
	signals_pass_on();
	return failed;
}

static const struct ctl_switch switches[] = {
	{ 'v', true, "verbose", NULL, "show how far it is, and what it took", NULL, NULL },
	{ 0 },
};

const struct ctl_command ctl_save = {
	.name = "save",
	.operands = "MOUNT FILE",
	.help = "Save a mount, as it is at this moment, to an image for image=.",
	.switches = switches,
	.takes = CTL_MOUNTS,
	.run = run_save,
};
