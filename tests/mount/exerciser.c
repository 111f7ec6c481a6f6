// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * exerciser.c - random operations on the content of shared files by several processes, against a
 * model in memory; what fsx and fsstress are for.
 *
 *     exerciser DIR SEED OPERATIONS PROCESSES [WORD...]
 *
 * buffered, direct, mmap: how bytes are read and written (default: all three, mixed call by call)
 * upkeep: what keeps the daemon's upkeep busy, too. Own files are given up for new ones with other
 *         settings, and small files that are much alike, symbolic links and attributes come and go.
 * full:   ENOSPC is an answer. Each byte that was to be changed is the old one or the new one then.
 *         Not with mmap.
 *
 * Each shared file is divided into stripes. A byte belongs to one process, which knows what it has to
 * be and checks it after each operation; what is around it changes all the time. Stripes of the first
 * file (buffered and mapped) and the second one (buffered and direct) have an odd size, so that
 * processes share pages; those of the third (all modes) are pages: O_DIRECT beside a shared mapping
 * of the same page is defined nowhere, since a page that is read for the mapping in the middle of a
 * direct write is written back later with what was there before. Each process also has a file of its own, where it truncates,
 * punches, allocates and copies too. At the end everything is compared twice, the second time with
 * the caches dropped as far as that is allowed.
 *
 * Ends with 1 and one line at the first difference.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ztmpfs/control.h"

#define NR_SHARED   3u
#define ODD_STRIPE  1021u /* a prime: no two stripes begin alike in their pages */
#define SHARED_SIZE (2u << 20)
#define OWN_SIZE    (1u << 20)
#define MAX_PROCS   64u
#define PAGE        4096u
#define MAX_LEN	    (1u << 18) /* of one call */
#define NR_SMALL    128u

enum mode { BUFFERED, DIRECT, MAPPED, NR_MODES };
static const char *const mode_names[NR_MODES] = { "buffered", "direct", "mmap" };

struct file {
	int fd, direct; /* direct -1: not to be had here */
	char *map; /* SHARED_SIZE or OWN_SIZE, MAP_SHARED; NULL: not to be had */
	uint64_t size; /* of the file; the shared ones keep theirs */
	uint64_t stripe; /* shared files: bytes */
	bool no_mode[NR_MODES];
	unsigned char *model; /* what my bytes are */
};

static struct {
	const char *dir;
	uint64_t seed, rng, op;
	unsigned me, nr_procs;
	bool modes[NR_MODES], upkeep, full;
	struct file shared[NR_SHARED], own, other;
	struct file still; /* upkeep: written in whole clusters alone, so that it lies idle between them */
	unsigned char *buf, *fresh; /* MAX_LEN each */
	uint64_t small[NR_SMALL]; /* what each holds; 0: it is not there */
	uint64_t counts[8], nr_refused, nr_new, nr_small;
} x;

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *fmt, ...)
{
	va_list args;

	printf("seed %" PRIu64 ", process %u, operation %" PRIu64 ": ", x.seed, x.me, x.op);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

static uint64_t next(void)
{
	uint64_t z = (x.rng += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64 */

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t below(uint64_t limit)
{
	return next() % limit;
}

static enum mode pick_mode(const struct file *file)
{
	enum mode mode;

	do
		mode = (enum mode)below(NR_MODES);
	while (!x.modes[mode]);
	if (file->no_mode[mode] || (mode == DIRECT && file->direct < 0) ||
	    (mode == MAPPED && !file->map))
		return BUFFERED;
	return mode;
}

/* Half of it compresses. */
static void fill(unsigned char *buf, size_t len)
{
	uint64_t kind = below(4), word = next();

	for (size_t i = 0; i < len; i++) {
		if (kind == 0 && i % 8 == 0)
			word = next();
		buf[i] = (unsigned char)(kind == 1 ? 0 : kind == 2 ? word : word >> i % 8 * 8);
	}
}

static bool is_refused(const char *what, uint64_t off, uint64_t len)
{
	if (!x.full || errno != ENOSPC)
		die("%s %" PRIu64 " at %" PRIu64 ": %s", what, len, off, strerror(errno));
	x.nr_refused++;
	return true;
}

/* A call was refused or came short: what it left of each byte. @fresh NULL: zeros were to be there */
static void settle(struct file *file, uint64_t off, size_t len, const unsigned char *fresh)
{
	struct stat st;
	ssize_t n;

	if (fstat(file->fd, &st) < 0)
		die("fstat: %s", strerror(errno));
	file->size = (uint64_t)st.st_size;
	n = pread(file->fd, x.buf, len, (off_t)off);
	if (n < 0)
		die("pread: %s", strerror(errno));
	for (size_t i = 0; i < (size_t)n; i++) {
		const unsigned char want = fresh ? fresh[i] : 0;

		if (x.buf[i] != want && x.buf[i] != file->model[off + i])
			die("after a refusal byte %" PRIu64 " is %02x, not %02x or %02x", off + i,
			    x.buf[i], want, file->model[off + i]);
		file->model[off + i] = x.buf[i];
	}
}

/* x.fresh goes there. */
static void put_fresh(struct file *file, uint64_t off, size_t len)
{
	enum mode mode = pick_mode(file);
	ssize_t n;

	if (mode == MAPPED && off + len <= file->size) {
		memcpy(file->map + off, x.fresh, len);
		if (below(16) == 0 &&
		    msync(file->map + off / PAGE * PAGE, off % PAGE + len, MS_SYNC) < 0)
			die("msync: %s", strerror(errno));
	} else {
		n = pwrite(mode == DIRECT ? file->direct : file->fd, x.fresh, len, (off_t)off);
		if (n >= 0 && n < (ssize_t)len)
			errno = ENOSPC;
		if (n != (ssize_t)len && is_refused(mode_names[mode], off, len)) {
			settle(file, off, len, x.fresh);
			return;
		}
	}
	memcpy(file->model + off, x.fresh, len);
	if (off + len > file->size)
		file->size = off + len;
}

static void put(struct file *file, uint64_t off, size_t len)
{
	fill(x.fresh, len);
	put_fresh(file, off, len);
}

static void get_and_compare(struct file *file, const char *name, uint64_t off, size_t len)
{
	enum mode mode = pick_mode(file);
	size_t want = off >= file->size ? 0 : len;
	ssize_t n;

	if (want > file->size - off)
		want = file->size - off;
	if (mode == MAPPED) {
		len = want;
		memcpy(x.buf, file->map + off, len);
	} else {
		n = pread(mode == DIRECT ? file->direct : file->fd, x.buf, len, (off_t)off);
		if (n != (ssize_t)want)
			die("%s: pread %zu at %" PRIu64 " (%s): %zd in place of %zu", name, len,
			    off, mode_names[mode], n, want);
	}
	for (size_t i = 0; i < want; i++)
		if (x.buf[i] != file->model[off + i])
			die("%s: byte %" PRIu64 " is %02x in place of %02x (%s)", name, off + i,
			    x.buf[i], file->model[off + i], mode_names[mode]);
}

/* ---- files that all write to ---- */

static void shared_op(void)
{
	unsigned nr = (unsigned)below(NR_SHARED);
	struct file *file = &x.shared[nr];
	uint64_t stripes = SHARED_SIZE / file->stripe / x.nr_procs;
	uint64_t stripe = below(stripes) * x.nr_procs + x.me;
	uint64_t from = below(file->stripe), len = 1 + below(file->stripe - from);
	uint64_t off = stripe * file->stripe + from;

	if (below(2)) {
		put(file, off, len);
		x.counts[0]++;
	}
	get_and_compare(file, "shared", off, len);
	x.counts[1]++;
}

/* ---- files of one process ---- */

static void model_zero(struct file *file, uint64_t off, uint64_t len)
{
	memset(file->model + off, 0, len);
}

static void own_truncate(struct file *file)
{
	uint64_t size = below(OWN_SIZE);

	if (ftruncate(file->fd, (off_t)size) < 0) {
		(void)is_refused("ftruncate", size, 0);
		settle(file, 0, MAX_LEN, NULL);
		settle(file, MAX_LEN, MAX_LEN, NULL);
		settle(file, 2 * MAX_LEN, MAX_LEN, NULL);
		settle(file, 3 * MAX_LEN, MAX_LEN, NULL);
		return;
	}
	model_zero(file, size, OWN_SIZE - size);
	file->size = size;
}

static void own_allocate(struct file *file, uint64_t off, uint64_t len)
{
	bool punch = below(2);
	int mode = punch ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : 0;

	if (fallocate(file->fd, mode, (off_t)off, (off_t)len) < 0) {
		if (is_refused(punch ? "punch" : "fallocate", off, len) && punch)
			settle(file, off, len, NULL);
		return;
	}
	if (punch)
		model_zero(file, off, len);
	else if (off + len > file->size)
		file->size = off + len;
}

/* From one own file to the other, at like places or not. */
static void own_copy(struct file *from, struct file *to)
{
	uint64_t in = below(OWN_SIZE), out = below(OWN_SIZE), len;
	off_t in_off, out_off;
	size_t done = 0;
	ssize_t n = 1;

	if (below(2)) {
		in &= ~UINT64_C(65535);
		out &= ~UINT64_C(65535);
	}
	if (in >= from->size)
		return;
	len = 1 + below(OWN_SIZE - (in > out ? in : out));
	if (len > from->size - in)
		len = from->size - in;
	in_off = (off_t)in;
	out_off = (off_t)out;
	while (done < len && n > 0) {
		n = copy_file_range(from->fd, &in_off, to->fd, &out_off, len - done, 0);
		if (n > 0)
			done += (size_t)n;
	}
	if (n == 0)
		errno = 0;
	if (done != len && is_refused("copy_file_range", out, len))
		for (size_t at = done; at < len; at += MAX_LEN)
			settle(to, out + at, len - at < MAX_LEN ? len - at : MAX_LEN,
			       from->model + in + at);
	memcpy(to->model + out, from->model + in, done);
	if (done > 0 && out + done > to->size)
		to->size = out + done;
}

static void open_file(struct file *file, const char *name, uint64_t room)
{
	char path[4096];
	void *map;

	snprintf(path, sizeof(path), "%s/%s", x.dir, name);
	file->fd = open(path, O_RDWR | O_CREAT, 0644);
	if (file->fd < 0)
		die("open %s: %s", path, strerror(errno));
	file->direct = open(path, O_RDWR | O_DIRECT);
	map = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
	file->map = map == MAP_FAILED ? NULL : map;
	file->model = calloc(1, room);
	if (!file->model)
		die("no memory");
}

static void close_file(struct file *file, uint64_t room)
{
	if (file->map)
		munmap(file->map, room);
	if (file->direct >= 0)
		close(file->direct);
	close(file->fd);
	free(file->model);
}

/* ---- what keeps upkeep busy ---- */

/* Everywhere but on ztmpfs there are none. */
static void set_settings(int fd)
{
	static const char *const names[] = { "lz4", "zstd", "none", "default" };
	struct ztmpfs_file_attr attr = {
		.version = ZTMPFS_STAT_VERSION,
		.which = ZTMPFS_ATTR_CLUSTER | ZTMPFS_ATTR_COMPRESS,
		.cluster_size = UINT64_C(4096) << below(6),
		.level = INT32_MIN,
	};

	snprintf(attr.compress, sizeof(attr.compress), "%s", names[below(4)]);
	if (ioctl(fd, ZTMPFS_IOC_SET_ATTR, &attr) < 0 && errno != ENOTTY && errno != ENOSPC)
		die("settings: %s", strerror(errno));
}

/* A new file takes the place of the old one. */
static void own_make(struct file *file)
{
	char name[64], path[2][4096];
	int fd;

	snprintf(name, sizeof(name), "%s%u", file == &x.own ? "own" : "other", x.me);
	snprintf(path[0], sizeof(path[0]), "%s/%s.new", x.dir, name);
	snprintf(path[1], sizeof(path[1]), "%s/%s", x.dir, name);
	fd = open(path[0], O_RDWR | O_CREAT | O_EXCL, 0644);
	if (fd < 0) {
		(void)is_refused("open", 0, 0);
		return;
	}
	set_settings(fd);
	close(fd);
	if (rename(path[0], path[1]) < 0) {
		(void)is_refused("rename", 0, 0);
		if (unlink(path[0]) < 0)
			die("unlink: %s", strerror(errno));
		return;
	}
	close_file(file, OWN_SIZE);
	*file = (struct file){ 0 };
	open_file(file, name, OWN_SIZE);
	x.nr_new++;
}

static size_t small_text(char *text, size_t room, uint64_t word)
{
	const size_t size = 600 + word % 1000;
	size_t at = 0;

	while (at < size) {
		word = word * 6364136223846793005u + 1442695040888963407u;
		at += (size_t)snprintf(text + at, room - at,
				       "{\"customer\": %u, \"status\": \"delivered\", \"total\": "
				       "%u, \"currency\": \"EUR\"},\n",
				       (unsigned)(word >> 40) % 100000,
				       (unsigned)(word >> 20) % 1000);
	}
	return at;
}

/* Small ones that are alike: what dictionaries are made for. Each is there whole, or it is not. */
static void small_op(void)
{
	const unsigned nr = (unsigned)below(NR_SMALL);
	char path[4096], want[2048], got[2048];
	size_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/small%u-%u", x.dir, x.me, nr);
	x.nr_small++;
	if (x.small[nr]) {
		len = small_text(want, sizeof(want), x.small[nr]);
		fd = open(path, O_RDONLY);
		if (fd < 0 || read(fd, got, sizeof(got)) != (ssize_t)len ||
		    memcmp(want, got, len) != 0)
			die("%s is not as it was written: %s", path, strerror(errno));
		close(fd);
		if (below(4))
			return;
		if (unlink(path) < 0)
			die("unlink %s: %s", path, strerror(errno));
		x.small[nr] = 0;
	}
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0644);
	if (fd < 0) {
		(void)is_refused("open", 0, 0);
		return;
	}
	x.small[nr] = next() | 1;
	len = small_text(want, sizeof(want), x.small[nr]);
	errno = ENOSPC;
	if (write(fd, want, len) != (ssize_t)len && is_refused("write", 0, len)) {
		x.small[nr] = 0;
		if (unlink(path) < 0)
			die("unlink %s: %s", path, strerror(errno));
	}
	close(fd);
}

/* Objects of other kinds, in memory that files had just now. */
static void reuse_op(void)
{
	char path[4096], text[4001];
	const size_t len = 1 + below(4000);

	memset(text, 'x', len);
	text[len] = '\0';
	snprintf(path, sizeof(path), "%s/link%u", x.dir, x.me);
	if (symlink(text, path) < 0) {
		(void)is_refused("symlink", 0, len);
		return;
	}
	if (unlink(path) < 0)
		die("unlink %s: %s", path, strerror(errno));
	if (fsetxattr(x.own.fd, "user.x", text, len, 0) < 0 && errno != EOPNOTSUPP)
		(void)is_refused("setxattr", 0, len);
}

/* What other files have in the same place, in whole clusters. */
static void alike_op(struct file *file)
{
	const unsigned tag = (unsigned)below(3);
	const size_t len = 131072;
	size_t at = 0;

	while (at < len)
		at += (size_t)snprintf((char *)x.fresh + at, 32, "%u: line %zu of all\n", tag, at);
	at = below(OWN_SIZE / len) * len;
	put_fresh(file, at, len);
	get_and_compare(&x.still, "still", below(OWN_SIZE), len);
}

static void upkeep_op(void)
{
	struct file *file = below(2) ? &x.own : &x.other;

	switch (below(24)) {
	case 0:
		own_make(file);
		break;
	case 1:
		reuse_op();
		break;
	case 2:
	case 3:
	case 4:
		alike_op(below(3) ? file : &x.still);
		break;
	default:
		small_op();
	}
}

static void own_op(void)
{
	struct file *file = below(2) ? &x.own : &x.other,
		    *rest = file == &x.own ? &x.other : &x.own;
	uint64_t off = below(OWN_SIZE), len = 1 + below(below(4) ? 9000 : 200000);

	if (len > OWN_SIZE - off)
		len = OWN_SIZE - off;
	switch (below(12)) {
	case 0:
		own_truncate(file);
		x.counts[2]++;
		break;
	case 1:
	case 2:
		own_allocate(file, off, len);
		x.counts[3]++;
		break;
	case 3:
	case 4:
		own_copy(file, rest);
		get_and_compare(rest, "own", off, len);
		x.counts[4]++;
		break;
	case 5:
		if (below(8) == 0 && fsync(file->fd) < 0)
			die("fsync: %s", strerror(errno));
		x.counts[5]++;
		break;
	default:
		put(file, off, len);
		x.counts[6]++;
		break;
	}
	get_and_compare(file, "own", off, len);
	x.counts[7]++;
}

/* ---- set-up and end ---- */

static void compare_all(void)
{
	for (unsigned f = 0; f < NR_SHARED; f++) {
		const uint64_t stripe = x.shared[f].stripe;

		for (uint64_t nr = 0; nr < SHARED_SIZE / stripe / x.nr_procs; nr++)
			get_and_compare(&x.shared[f], "shared", (nr * x.nr_procs + x.me) * stripe,
					stripe);
	}
	for (uint64_t off = 0; off < OWN_SIZE; off += 65536) {
		get_and_compare(&x.own, "own", off, 65536);
		get_and_compare(&x.other, "other", off, 65536);
		if (x.upkeep)
			get_and_compare(&x.still, "still", off, 65536);
	}
}

static void process(unsigned me, uint64_t nr_ops)
{
	char name[64];

	x.me = me;
	x.rng = x.seed * 1000003 + me;
	x.buf = aligned_alloc(PAGE, MAX_LEN);
	x.fresh = aligned_alloc(PAGE, MAX_LEN);
	if (!x.buf || !x.fresh)
		die("no memory");
	for (unsigned f = 0; f < NR_SHARED; f++) {
		snprintf(name, sizeof(name), "shared%u", f);
		open_file(&x.shared[f], name, SHARED_SIZE);
		x.shared[f].size = SHARED_SIZE;
		x.shared[f].stripe = f == 2 ? PAGE : ODD_STRIPE;
		x.shared[f].no_mode[DIRECT] = f == 0;
		x.shared[f].no_mode[MAPPED] = f == 1;
	}
	snprintf(name, sizeof(name), "own%u", me);
	open_file(&x.own, name, OWN_SIZE);
	snprintf(name, sizeof(name), "other%u", me);
	open_file(&x.other, name, OWN_SIZE);
	if (x.upkeep) {
		snprintf(name, sizeof(name), "still%u", me);
		open_file(&x.still, name, OWN_SIZE);
	}
	for (x.op = 0; x.op < nr_ops; x.op++)
		if (x.upkeep && below(4) == 0)
			upkeep_op();
		else if (below(2))
			shared_op();
		else
			own_op();
	compare_all();
	for (unsigned f = 0; f < NR_SHARED; f++) {
		(void)fsync(x.shared[f].fd);
		(void)posix_fadvise(x.shared[f].fd, 0, 0, POSIX_FADV_DONTNEED);
	}
	(void)fsync(x.own.fd);
	(void)posix_fadvise(x.own.fd, 0, 0, POSIX_FADV_DONTNEED);
	compare_all();
	printf("process %u: shared %" PRIu64 " writes %" PRIu64 " reads; own %" PRIu64
	       " cuts %" PRIu64 " allocations %" PRIu64 " copies %" PRIu64 " syncs %" PRIu64
	       " writes; %" PRIu64 " new, %" PRIu64 " small, %" PRIu64 " refused\n",
	       me, x.counts[0], x.counts[1], x.counts[2], x.counts[3], x.counts[4], x.counts[5],
	       x.counts[6], x.nr_new, x.nr_small, x.nr_refused);
}

static void prepare(void)
{
	char path[4096];

	for (unsigned f = 0; f < NR_SHARED; f++) {
		int fd;

		snprintf(path, sizeof(path), "%s/shared%u", x.dir, f);
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
		if (fd < 0 || ftruncate(fd, SHARED_SIZE) < 0)
			die("%s: %s", path, strerror(errno));
		close(fd);
	}
}

static bool parse_words(char **words)
{
	bool any = false;

	for (; *words; words++) {
		unsigned mode = 0;

		while (mode < NR_MODES && strcmp(*words, mode_names[mode]) != 0)
			mode++;
		if (mode < NR_MODES)
			x.modes[mode] = any = true;
		else if (strcmp(*words, "upkeep") == 0)
			x.upkeep = true;
		else if (strcmp(*words, "full") == 0)
			x.full = true;
		else
			return false;
	}
	for (unsigned mode = 0; mode < NR_MODES && !any; mode++)
		x.modes[mode] = mode != MAPPED || !x.full;
	return !x.full || !x.modes[MAPPED];
}

int main(int argc, char **argv)
{
	uint64_t nr_ops;
	int failed = 0;

	if (argc < 5 || atoi(argv[4]) < 1 || (unsigned)atoi(argv[4]) > MAX_PROCS) {
		fprintf(stderr, "usage: exerciser DIR SEED OPERATIONS PROCESSES [WORD...]\n");
		return 2;
	}
	x.dir = argv[1];
	x.seed = strtoull(argv[2], NULL, 0);
	nr_ops = strtoull(argv[3], NULL, 0);
	x.nr_procs = (unsigned)atoi(argv[4]);
	if (!parse_words(argv + 5)) {
		fprintf(stderr, "exerciser: an unknown word, or full with mmap\n");
		return 2;
	}
	prepare();
	for (unsigned i = 0; i < x.nr_procs; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork: %s", strerror(errno));
		if (pid == 0) {
			process(i, nr_ops / x.nr_procs);
			exit(0);
		}
	}
	for (unsigned i = 0; i < x.nr_procs; i++) {
		int status = 1;

		if (wait(&status) < 0 || status != 0)
			failed = 1;
	}
	printf("seed %" PRIu64 ": %" PRIu64 " operations by %u processes%s\n", x.seed,
	       nr_ops / x.nr_procs * x.nr_procs, x.nr_procs, failed ? ": failed" : " alike");
	return failed;
}
