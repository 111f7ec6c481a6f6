// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_swap.c - ztmpfsctl swap on a pretended machine: its files stand in a folder, its calls are a
 * model of a mount, a loop device and /proc/swaps, of which each one can be made to fail.
 */
#include "ctl/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>

#include "tests/ctl/json.h"
#include "tests/ctl/run.h"
#include "util/sizes.h"

/* The machine. */
static struct {
	bool root, mounted, dead, attached, active, busy, no_program;
	bool exchanged; /* another takes the place of the file */
	ino_t file_ino;
	struct ztmpfs_stat stat;
	uint64_t size_kib, used_kib;
	int priority;
	char options[512]; /* of the mount */
	char log[512]; /* calls that changed something, in their order */
	int nr_calls, fail_at, fail_with; /* the fail_at-th call fails, counted from 1 */
	uint64_t available_mib, swap_free_mib, cached_mib, other_used_mib;
} box;

static char root[PATH_MAX], mnt[PATH_MAX];

static const char *in_root(const char *path)
{
	static char full[2 * PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", root, path);
	return full;
}

static void put(const char *path, const char *format, ...)
{
	FILE *file = fopen(in_root(path), "w");
	va_list args;

	ck_assert_ptr_nonnull(file);
	va_start(args, format);
	vfprintf(file, format, args);
	va_end(args);
	ck_assert_int_eq(fclose(file), 0);
}

static long number_in(const char *path)
{
	char line[64];

	ck_assert(swap_read_line(in_root(path), line, sizeof(line)));
	return strtol(line, NULL, 10);
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static const char *swap_file(void)
{
	static char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/swap", mnt);
	return path;
}

/* What the kernel would say now. */
static void show(void)
{
	put("/proc/meminfo",
	    "MemTotal: %d kB\nMemFree: 5 kB\nMemAvailable: %d kB\nSwapCached: %d kB\n"
	    "SwapTotal: %d kB\nSwapFree: %d kB\n",
	    1024 * 1024, (int)box.available_mib * 1024, (int)box.cached_mib * 1024,
	    (int)(box.swap_free_mib + box.other_used_mib) * 1024 + (int)box.used_kib,
	    (int)box.swap_free_mib * 1024);
	put("/proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 999 1 -2\n");
	if (box.active)
		put("/proc/swaps",
		    "Filename Type Size Used Priority\n/dev/loop7 partition %d %d %d\n",
		    (int)box.size_kib, (int)box.used_kib, box.priority);
	if (box.attached)
		put("/sys/block/loop7/loop/backing_file", "%s\n", swap_file());
	else
		(void)unlink(in_root("/sys/block/loop7/loop/backing_file"));
}

/* Every call that changes something comes here first. */
static int call(const char *name)
{
	strcat(strcat(box.log, *box.log ? " " : ""), name);
	return ++box.nr_calls == box.fail_at ? box.fail_with : 0;
}

static bool box_is_root(void)
{
	return box.root;
}

static int box_get_stat(const char *path, struct ztmpfs_stat *out_stat)
{
	if (box.dead)
		return -ENOTCONN;
	if (!is_there(path))
		return -ENOENT;
	if (!box.mounted || strcmp(path, mnt) != 0)
		return -ENOTTY;
	*out_stat = box.stat;
	return 0;
}

static int box_run(const char *const argv[])
{
	int error = call(argv[0]);

	if (error)
		return error;
	if (strcmp(argv[0], "mkswap") == 0) {
		ck_assert(box.attached);
		ck_assert_str_eq(argv[1], "/dev/loop7");
		return 0;
	}
	ck_assert_str_eq(argv[0], "ztmpfs");
	ck_assert(is_there(argv[3]));
	snprintf(box.options, sizeof(box.options), "%s", argv[2]);
	box.mounted = true;
	return 0;
}

static int box_mark(int fd)
{
	struct stat st, there;
	int error = call("mark");

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(lstat(swap_file(), &there), 0);
	ck_assert_int_eq(st.st_ino, there.st_ino);
	box.file_ino = st.st_ino;
	if (box.exchanged) {
		/* As the owner of a folder above can do at any time. */
		ck_assert_int_eq(unlink(swap_file()), 0);
		ck_assert_int_eq(symlink("/etc/passwd", swap_file()), 0);
	}
	ck_assert_int_eq(st.st_size, 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	return error;
}

static int box_attach(int fd, const char *name, char out_device[SWAP_DEVICE_MAX])
{
	struct stat st;
	int error = call("attach");

	ck_assert_str_eq(name, swap_file());
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_ino, box.file_ino);
	if (error)
		return error;
	box.attached = true;
	strcpy(out_device, "/dev/loop7");
	show();
	return 0;
}

static int box_detach(const char *device)
{
	int error = call("detach");

	ck_assert_str_eq(device, "/dev/loop7");
	ck_assert(box.attached && !box.active);
	if (!error)
		box.attached = false;
	show();
	return error;
}

static int box_swap_on(const char *device, int priority)
{
	int error = call("swapon");
	struct stat st;

	ck_assert_str_eq(device, "/dev/loop7");
	ck_assert_int_eq(number_in("/proc/sys/vm/page-cluster"), 0);
	ck_assert_int_eq(stat(swap_file(), &st), 0);
	if (error)
		return error;
	box.size_kib = (uint64_t)st.st_size / 1024 - 4;
	box.priority = priority;
	box.active = true;
	show();
	return 0;
}

static int box_swap_off(const char *device)
{
	int error = call("swapoff");

	ck_assert_str_eq(device, "/dev/loop7");
	if (!error)
		box.active = false;
	show();
	return error;
}

static int box_unmount(const char *mount)
{
	int error = call("unmount");

	ck_assert_str_eq(mount, mnt);
	ck_assert(!is_there(swap_file()) || box.dead);
	if (error)
		return error;
	box.mounted = box.dead = false;
	return 0;
}

static int box_stuck(const char *device)
{
	(void)device;
	return -EBUSY;
}

static void setup(void)
{
	char command[3 * PATH_MAX];

	run_setup();
	ck_assert_ptr_nonnull(realpath(run_dir, root));
	snprintf(mnt, sizeof(mnt), "%.4000s/swapmnt", root);
	snprintf(command, sizeof(command),
		 "cd '%s' && mkdir -p run proc/sys/vm sys/block/loop7/loop sys/block/sda", root);
	ck_assert_int_eq(system(command), 0);
	memset(&box, 0, sizeof(box));
	box.root = true;
	box.available_mib = 900;
	box.stat.version = ZTMPFS_STAT_VERSION;
	box.stat.swap_reserve = 64 * MIB;
	box.stat.mem_limit = 512 * MIB;
	swap_root = root;
	swap_calls = (struct swap_calls){
		.is_root = box_is_root,
		.get_stat = box_get_stat,
		.run = box_run,
		.mark = box_mark,
		.attach = box_attach,
		.detach = box_detach,
		.swap_on = box_swap_on,
		.swap_off = box_swap_off,
		.unmount = box_unmount,
	};
	put("/proc/sys/vm/page-cluster", "3\n");
	put("/proc/sys/vm/watermark_boost_factor", "15000\n");
	show();
}

/* The machine is as it was before `on`. */
static void check_clean(void)
{
	ck_assert(!box.active);
	ck_assert(!box.attached);
	ck_assert(!is_there(swap_file()));
	ck_assert(!is_there(in_root(SWAP_STATE)));
	ck_assert_int_eq(number_in("/proc/sys/vm/page-cluster"), 3);
	ck_assert_int_eq(number_in("/proc/sys/vm/watermark_boost_factor"), 15000);
}

static void check_gone(void)
{
	check_clean();
	ck_assert(!box.mounted);
	ck_assert(!is_there(mnt));
}

/* One sentence, which has @words. */
static void check_sentence(const char *words)
{
	ck_assert_msg(strstr(run_err, words) != NULL, "no '%s' in: %s", words, run_err);
	ck_assert_ptr_eq(strchr(run_err, '\n'), run_err + strlen(run_err) - 1);
	ck_assert_int_eq(strncmp(run_err, "ztmpfsctl: swap: ", 17), 0);
}

#define REFUSED(words, ...)                                                                        \
	do {                                                                                       \
		ck_assert_int_eq(RUN("swap", __VA_ARGS__), CTL_EXIT_FAILED);                       \
		check_sentence(words);                                                             \
	} while (0)

START_TEST(test_on_mounts_and_swaps_and_off_leaves_nothing)
{
	ck_assert_int_eq(
		RUN("swap", "on", "--size", "512m", "--mem", "256m", "--priority", "7", mnt), 0);
	ck_assert_str_eq(run_err, "");
	ck_assert_str_eq(box.log, "ztmpfs mark attach mkswap swapon");
	ck_assert_str_eq(box.options, "swap,size=541065216,mem_limit=268435456,"
				      "mode=700,noexec,nosuid,nodev");
	ck_assert_int_eq(box.priority, 7);
	ck_assert_int_eq(number_in("/proc/sys/vm/watermark_boost_factor"), 0);
	ck_assert_ptr_nonnull(strstr(run_out, ": 512 MiB of swap on /dev/loop7, in at most 256"));
	ck_assert_ptr_nonnull(strstr(run_out, "vm.page-cluster is 0 (it was 3), "
					      "vm.watermark_boost_factor is 0 (it was 15000)\n"));
	/* 256 less a reserve of 64 and 2 for finding 131072 pages */
	ck_assert_ptr_nonnull(strstr(run_out, "it takes 190 MiB; all of it when they compress to "
					      "37%"));
	box.log[0] = '\0';
	/* Where it is on need not be said. */
	ck_assert_int_eq(RUN("swap", "off"), 0);
	ck_assert_str_eq(box.log, "swapoff detach unmount");
	check_gone();
}
END_TEST

START_TEST(test_both_may_be_called_twice)
{
	ck_assert_int_eq(RUN("swap", "off", mnt), 0);
	ck_assert_ptr_nonnull(strstr(run_out, "off already"));
	ck_assert(!is_there(in_root(SWAP_STATE)));
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(RUN("swap", "on", mnt), 0);
		ck_assert_str_eq(box.log, "ztmpfs mark attach mkswap swapon");
		ck_assert(is_there(in_root(SWAP_STATE)));
	}
	ck_assert_ptr_nonnull(strstr(run_out, "swap is on already, on /dev/loop7"));
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(RUN("swap", "off", mnt), 0);
		check_gone();
	}
}
END_TEST

START_TEST(test_each_call_that_fails_leaves_nothing_behind)
{
	static const char *const words[] = { NULL,
					     "cannot be mounted",
					     "/swap: Input/output error",
					     "loop device: Input/output error",
					     "mkswap failed on /dev/loop7",
					     "swapon: Input/output error" };
	int n;

	for (n = 1; box.fail_at < n; n++) {
		box.nr_calls = 0;
		box.fail_at = n;
		box.fail_with = -EIO;
		box.log[0] = '\0';
		if (RUN("swap", "on", mnt) == 0)
			break;
		ck_assert_int_lt(n, (int)ARRAY_SIZE(words));
		check_sentence(words[n]);
		check_gone();
	}
	ck_assert_int_eq(n, (int)ARRAY_SIZE(words));
	box.fail_at = 0;
	ck_assert_int_eq(RUN("swap", "off"), 0);
	check_gone();
}
END_TEST

START_TEST(test_what_is_missing_is_named)
{
	static const struct {
		int at, error;
		const char *words;
	} cases[] = {
		{ 1, -ENOENT, "there is no program ztmpfs" },
		{ 3, -ENOENT, "there are no loop devices" },
		{ 3, -EOPNOTSUPP, "no direct I/O" },
		{ 3, -ENOSPC, "loop device: No space left" },
		{ 4, -ENOENT, "there is no program mkswap" },
		{ 5, -EINVAL, "swapon: Invalid argument" },
		{ 5, -EPERM, "swapon: Operation not permitted" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		box.nr_calls = 0;
		box.fail_at = cases[i].at;
		box.fail_with = cases[i].error;
		REFUSED(cases[i].words, "on", mnt);
		check_gone();
	}
}
END_TEST

START_TEST(test_a_file_that_cannot_be_made_is_refused)
{
	struct rlimit old, small = { .rlim_cur = 65536 };

	/* Somebody's file of that name stays. */
	ck_assert_int_eq(mkdir(mnt, 0700), 0);
	box.mounted = true;
	put("/swapmnt/swap", "mine\n");
	REFUSED("/swap: File exists", "on", mnt);
	ck_assert_str_eq(box.log, "");
	ck_assert(is_there(swap_file()));
	ck_assert(!is_there(in_root(SWAP_STATE)));
	ck_assert_int_eq(unlink(swap_file()), 0);
	/* No room for its size. */
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	REFUSED("/swap: File too large", "on", mnt);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	check_clean();
	ck_assert(is_there(mnt));
}
END_TEST

START_TEST(test_settings_that_cannot_be_set_are_refused)
{
	/* Of the second file, which reads as zeros: the first one is set back. */
	ck_assert_int_eq(unlink(in_root("/proc/sys/vm/watermark_boost_factor")), 0);
	ck_assert_int_eq(symlink("/dev/full", in_root("/proc/sys/vm/watermark_boost_factor")), 0);
	ck_assert_int_eq(RUN("swap", "on", mnt), CTL_EXIT_FAILED);
	ck_assert_ptr_nonnull(strstr(run_err, "/proc/sys/vm: No space left on device\n"));
	ck_assert_str_eq(box.log, "ztmpfs mark attach detach unmount");
	ck_assert_int_eq(number_in("/proc/sys/vm/page-cluster"), 3);
	ck_assert(!is_there(mnt));
	ck_assert(!is_there(in_root(SWAP_STATE)));
}
END_TEST

START_TEST(test_settings_of_others_stay)
{
	ck_assert_int_eq(unlink(in_root("/proc/sys/vm/watermark_boost_factor")), 0);
	ck_assert_int_eq(RUN("swap", "on", mnt), 0);
	ck_assert_ptr_nonnull(strstr(run_out, "vm.page-cluster is 0 (it was 3)\n"));
	ck_assert_ptr_null(strstr(run_out, "boost"));
	put("/proc/sys/vm/page-cluster", "5\n");
	ck_assert_int_eq(RUN("swap", "off", mnt), 0);
	ck_assert_int_eq(number_in("/proc/sys/vm/page-cluster"), 5);
	ck_assert(!is_there(in_root("/proc/sys/vm/watermark_boost_factor")));
}
END_TEST

START_TEST(test_a_mount_that_is_there_stays_there)
{
	ck_assert_int_eq(mkdir(mnt, 0700), 0);
	box.mounted = true;
	box.stat.size_limit = 600 * MIB;
	box.stat.orig_data_size = 80 * MIB;
	REFUSED("has space for 520 MiB (size=), not for 521", "on", "--size", "521m", mnt);
	REFUSED("--mem and --options come too late", "on", "--size", "9m", "--mem", "99m", mnt);
	REFUSED("too late", "on", "--size", "9m", "--options", "noacl", mnt);
	box.stat.swap_reserve = 0;
	REFUSED("is not mounted with -o swap", "on", "--size", "9m", mnt);
	box.stat.swap_reserve = 64 * MIB;
	box.stat.mem_limit = 820 * MIB;
	REFUSED("its mem_limit 820 MiB: at most 80% of RAM (819 MiB)", "on", "--size", "9m", mnt);
	box.stat.mem_limit = 0;
	REFUSED("its mem_limit is 0: without", "on", "--size", "9m", mnt);
	box.stat.mem_limit = 512 * MIB;
	check_clean();
	ck_assert_str_eq(box.log, "");
	ck_assert_int_eq(RUN("swap", "on", "--size", "520m", mnt), 0);
	ck_assert_str_eq(box.log, "mark attach mkswap swapon");
	ck_assert_int_eq(RUN("swap", "off", mnt), 0);
	check_clean();
	ck_assert(box.mounted);
	ck_assert(is_there(mnt));
}
END_TEST

START_TEST(test_a_folder_that_is_there_stays_and_links_are_followed)
{
	char link[PATH_MAX + 16];

	ck_assert_int_eq(mkdir(mnt, 0700), 0);
	snprintf(link, sizeof(link), "%s/link/", root);
	ck_assert_int_eq(symlink(mnt, in_root("/link")), 0);
	ck_assert_int_eq(RUN("swap", "on", link), 0);
	ck_assert_int_eq(strncmp(run_out, mnt, strlen(mnt)), 0);
	ck_assert_int_eq(RUN("swap", "off", link), 0);
	check_clean();
	ck_assert(!box.mounted);
	ck_assert(is_there(mnt));
}
END_TEST

START_TEST(test_what_does_not_fit_the_machine_is_refused)
{
	REFUSED("--mem 820 MiB: at most 80% of RAM (819 MiB)", "on", "--mem", "820m", mnt);
	REFUSED("--mem 100 MiB: at least twice the reserve of 64 MiB", "on", "--mem", "100m", mnt);
	REFUSED("at least twice the reserve of 80 MiB", "on", "--mem", "150m", "--options",
		"swap_reserve=1m,noacl,swap_reserve=80m", mnt);
	REFUSED("--size 32768 MiB: less than 128 times the memory of 256 MiB", "on", "--size",
		"32g", "--mem", "256m", mnt);
	/* 64 + 16 + 2: reserve, daemon, its heap */
	box.available_mib = 81;
	show();
	REFUSED("81 MiB of memory are available, 82 MiB are needed", "on", "--mem", "256m", mnt);
	check_gone();
	ck_assert_str_eq(box.log, "");
	box.available_mib = 82;
	show();
	ck_assert_int_eq(RUN("swap", "on", "--mem", "256m", mnt), 0);
	ck_assert_int_eq(RUN("swap", "off"), 0);
	ck_assert_int_eq(RUN("swap", "on", "--mem", "100m", "--options", "swap_reserve=8m", mnt),
			 0);
	ck_assert_ptr_nonnull(strstr(box.options, ",nodev,swap_reserve=8m"));
}
END_TEST

START_TEST(test_off_refuses_while_it_would_not_fit)
{
	ck_assert_int_eq(RUN("swap", "on", "--size", "512m", mnt), 0);
	box.used_kib = 300 * 1024;
	box.available_mib = 250;
	/* Its own free room does not count, that of other swap does. */
	box.swap_free_mib = box.size_kib / 1024 - 300 + 1 + 40;
	show();
	box.log[0] = '\0';
	REFUSED("300 MiB are swapped out, there is space for 290 MiB: end something first", "off");
	ck_assert_str_eq(box.log, "");
	ck_assert(box.active);
	ck_assert(is_there(in_root(SWAP_STATE)));
	box.available_mib = 270;
	show();
	ck_assert_int_eq(RUN("swap", "off"), 0);
	check_gone();
}
END_TEST

START_TEST(test_what_memory_has_too_needs_no_room)
{
	ck_assert_int_eq(RUN("swap", "on", "--size", "512m", mnt), 0);
	box.used_kib = 300 * 1024;
	box.swap_free_mib = box.size_kib / 1024 - 300 + 1;
	box.available_mib = 99;
	box.cached_mib = 200;
	show();
	REFUSED("100 MiB are swapped out, there is space for 99 MiB", "off");
	/* Two thirds of it are of other swap. */
	box.other_used_mib = 600;
	show();
	REFUSED("233 MiB are swapped out, there is space for 99 MiB", "off");
	box.other_used_mib = 0;
	box.available_mib = 100;
	show();
	ck_assert_int_eq(RUN("swap", "off"), 0);
	check_gone();
}
END_TEST

START_TEST(test_an_off_that_fails_can_be_repeated)
{
	static const char *const words[] = { NULL, "swapoff: ", "loop7: ", "/swapmnt: " };

	for (int n = 1; n <= 3; n++) {
		ck_assert_int_eq(RUN("swap", "on", mnt), 0);
		box.nr_calls = 0;
		box.fail_at = n;
		box.fail_with = -EBUSY;
		ck_assert_int_eq(RUN("swap", "off"), CTL_EXIT_FAILED);
		ck_assert_ptr_nonnull(strstr(run_err, words[n]));
		ck_assert(is_there(in_root(SWAP_STATE)));
		box.fail_at = 0;
		ck_assert_int_eq(RUN("swap", "off"), 0);
		check_gone();
	}
}
END_TEST

START_TEST(test_an_undoing_that_fails_is_left_to_off)
{
	/* swapon fails, and then the loop device cannot be detached. */
	box.fail_at = 5;
	box.fail_with = -EINVAL;
	swap_calls.detach = box_stuck;
	ck_assert_int_eq(RUN("swap", "on", mnt), CTL_EXIT_FAILED);
	box.nr_calls = box.fail_at = 0;
	swap_calls.detach = box_detach;
	ck_assert(box.attached);
	ck_assert(is_there(in_root(SWAP_STATE)));
	ck_assert_int_eq(RUN("swap", "off"), 0);
	check_gone();
}
END_TEST

START_TEST(test_only_one_at_a_time)
{
	char other[PATH_MAX + 16];
	int fd;

	snprintf(other, sizeof(other), "%s/other", root);
	ck_assert_int_eq(RUN("swap", "on", mnt), 0);
	REFUSED("/swapmnt already; swap off first", "on", other);
	ck_assert_int_eq(RUN("swap", "off", other), 0);
	ck_assert_ptr_nonnull(strstr(run_out, "/other: swap is off already"));
	ck_assert(is_there(in_root(SWAP_STATE)));
	fd = open(in_root(SWAP_STATE), O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	REFUSED("another ztmpfsctl swap is at work", "off");
	REFUSED("another ztmpfsctl swap is at work", "on");
	close(fd);
	ck_assert_int_eq(RUN("swap", "off"), 0);
	check_gone();
	box.root = false;
	REFUSED("only root can", "on", mnt);
	REFUSED("only root can", "off", mnt);
	ck_assert_str_eq(run_out, "");
	check_gone();
}
END_TEST

START_TEST(test_what_a_daemon_that_ended_left_is_put_away)
{
	ck_assert_int_eq(RUN("swap", "on", mnt), 0);
	box.used_kib = 5 * 1024;
	box.dead = true;
	show();
	REFUSED("5 MiB that were swapped out are lost: restart the machine", "off");
	REFUSED("are lost", "on", mnt);
	REFUSED("was swapped out is lost", "status");
	/* Nothing was swapped out yet. */
	box.used_kib = 0;
	show();
	/* The file went with the daemon. */
	ck_assert_int_eq(unlink(swap_file()), 0);
	ck_assert_int_eq(RUN("swap", "off"), 0);
	check_gone();
	/* And when somebody else has unmounted already, the next `on` finds the rest. */
	ck_assert_int_eq(RUN("swap", "on", mnt), 0);
	ck_assert_int_eq(unlink(swap_file()), 0);
	box.active = box.attached = box.mounted = false;
	show();
	ck_assert_int_eq(RUN("swap", "on", mnt), 0);
	check_sentence("what was left of swap at");
	ck_assert_int_eq(number_in("/proc/sys/vm/page-cluster"), 0);
	ck_assert_int_eq(RUN("swap", "off", mnt), 0);
	check_gone();
}
END_TEST

START_TEST(test_status_tells_people_and_programs)
{
	ck_assert_int_eq(RUN("swap", "status", mnt), CTL_EXIT_FAILED);
	ck_assert_ptr_nonnull(strstr(run_out, "swapmnt: swap is off\n"));
	ck_assert_int_eq(RUN("swap", "status", "--json", mnt), CTL_EXIT_FAILED);
	ck_assert_ptr_null(json_error(run_out));
	ck_assert_ptr_nonnull(strstr(run_out, "\"active\": false"));
	ck_assert_int_eq(RUN("swap", "on", "--size", "512m", "--priority", "3", mnt), 0);
	box.used_kib = 100 * 1024;
	box.stat.mem_counted = 90 * MIB;
	box.stat.swap_ready = 60 * MIB;
	box.stat.swap_waits = 4;
	box.stat.mem_level = ZTMPFS_MEM_WARNING;
	show();
	/* Anybody may ask. */
	box.root = false;
	ck_assert_int_eq(RUN("swap", "status"), 0);
	ck_assert_ptr_nonnull(strstr(run_out, "swap is on, on /dev/loop7, priority 3\n"));
	ck_assert_ptr_nonnull(strstr(run_out, "swapped out       100 of 511 MiB\n"));
	ck_assert_ptr_nonnull(strstr(run_out, "memory             30 of 512 MiB, warning\n"));
	ck_assert_ptr_nonnull(strstr(run_out, "60 of 64 MiB ready, waited for 4 times, in vain 0"));
	ck_assert_ptr_null(strstr(run_out, "nearly full"));
	box.stat.mem_level = ZTMPFS_MEM_CRITICAL;
	ck_assert_int_eq(RUN("swap", "status", mnt), 0);
	ck_assert_ptr_nonnull(strstr(run_out, "critical\n"));
	ck_assert_ptr_nonnull(strstr(run_out, "nearly full"));
	ck_assert_int_eq(RUN("swap", "status", "--json"), 0);
	ck_assert_ptr_null(json_error(run_out));
	ck_assert_ptr_nonnull(strstr(run_out, "\"active\": true"));
	ck_assert_ptr_nonnull(strstr(run_out, "\"device\": \"/dev/loop7\""));
	ck_assert_ptr_nonnull(strstr(run_out, "\"used\": 104857600"));
	ck_assert_ptr_nonnull(strstr(run_out, "\"mem_used\": 31457280"));
	ck_assert_ptr_nonnull(strstr(run_out, "\"level\": \"critical\""));
}
END_TEST

START_TEST(test_wrong_use_is_told)
{
	static const char *const usage[][4] = {
		{ NULL },
		{ "nope" },
		{ "on", "--size" },
		{ "on", "--nope", "1" },
		{ "on", "/a", "/b" },
		{ "off", "--json" },
		{ "on", "--json" },
		{ "off", "--size", "9m" },
	};
	static const char *const values[][3] = {
		{ "--size", "9x", "--size 9x: allowed: a number of bytes" },
		{ "--size", "1023k", "at least 1m" },
		{ "--size", "8e", "allowed" },
		{ "--mem", "", "--mem : allowed" },
		{ "--mem", "0", "allowed" },
		{ "--priority", "-1", "--priority -1: allowed: a number from 0 to 32767" },
		{ "--priority", "32768", "allowed" },
		{ "--priority", "1x", "allowed" },
		{ "--priority", "", "allowed" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(usage); i++) {
		ck_assert_int_eq(RUN("swap", usage[i][0], usage[i][1], usage[i][2]),
				 CTL_EXIT_USAGE);
		ck_assert_int_eq(strncmp(run_err, "usage: ztmpfsctl swap ", 22), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		ck_assert_int_eq(RUN("swap", "on", values[i][0], values[i][1], mnt),
				 CTL_EXIT_USAGE);
		check_sentence(values[i][2]);
	}
	ck_assert_int_eq(RUN("swap", "on", "relative"), CTL_EXIT_USAGE);
	check_sentence("mount point relative: allowed: a path that begins with /");
	ck_assert_int_eq(RUN("swap", "on", "/no/such/folder"), CTL_EXIT_FAILED);
	check_sentence("/no/such/folder: No such file or directory");
	ck_assert_str_eq(box.log, "");
	check_gone();
	/* A share of RAM, and the largest priority. */
	ck_assert_int_eq(
		RUN("swap", "on", "--size", "150%", "--mem", "50%", "--priority", "32767", mnt), 0);
	ck_assert_ptr_nonnull(strstr(box.options, "size=1614807040,mem_limit=536870912"));
	ck_assert_int_eq(box.priority, 32767);
}
END_TEST

START_TEST(test_file_that_is_exchanged_is_not_followed)
{
	box.exchanged = true;
	ck_assert_int_eq(RUN("swap", "on", "--size", "512m", "--mem", "256m", mnt), 0);
	/* box_attach() has seen the file that was made. */
	ck_assert_str_eq(box.log, "ztmpfs mark attach mkswap swapon");
	ck_assert_int_eq(RUN("swap", "off", mnt), 0);
	check_clean();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl swap");
	TCase *tc = tcase_create("ctl swap");

	tcase_add_checked_fixture(tc, setup, run_teardown);
	tcase_add_test(tc, test_on_mounts_and_swaps_and_off_leaves_nothing);
	tcase_add_test(tc, test_file_that_is_exchanged_is_not_followed);
	tcase_add_test(tc, test_both_may_be_called_twice);
	tcase_add_test(tc, test_each_call_that_fails_leaves_nothing_behind);
	tcase_add_test(tc, test_what_is_missing_is_named);
	tcase_add_test(tc, test_a_file_that_cannot_be_made_is_refused);
	tcase_add_test(tc, test_settings_that_cannot_be_set_are_refused);
	tcase_add_test(tc, test_settings_of_others_stay);
	tcase_add_test(tc, test_a_mount_that_is_there_stays_there);
	tcase_add_test(tc, test_a_folder_that_is_there_stays_and_links_are_followed);
	tcase_add_test(tc, test_what_does_not_fit_the_machine_is_refused);
	tcase_add_test(tc, test_off_refuses_while_it_would_not_fit);
	tcase_add_test(tc, test_what_memory_has_too_needs_no_room);
	tcase_add_test(tc, test_an_off_that_fails_can_be_repeated);
	tcase_add_test(tc, test_an_undoing_that_fails_is_left_to_off);
	tcase_add_test(tc, test_only_one_at_a_time);
	tcase_add_test(tc, test_what_a_daemon_that_ended_left_is_put_away);
	tcase_add_test(tc, test_status_tells_people_and_programs);
	tcase_add_test(tc, test_wrong_use_is_told);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
