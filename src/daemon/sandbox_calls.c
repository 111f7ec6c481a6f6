// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sandbox_calls.c - the system calls of a daemon that serves, as a filter of the kernel's. See
 * sandbox_calls.h.
 *
 * What serving takes, what the C library does for it, and what ends a mount: to find the caller's
 * namespace, unmount, and save an image. None that looks into another process, makes a network
 * connection, or changes the system; and none that starts a program but with survive=on. A call that
 * this kernel or machine does not have is passed over.
 *
 * Weakness: names of files are not looked at, so what may be opened depends on capabilities alone; and
 * a ring, where requests come by io_uring, could be asked for more than requests.
 */
#include "daemon/sandbox_calls.h"

#include <errno.h>
#include <stddef.h>

#ifndef HAVE_LIBSECCOMP

bool sandbox_calls_built(void)
{
	return false;
}

int sandbox_calls_load(const struct sandbox_calls *calls)
{
	(void)calls;
	return -ENOTSUP;
}

#else

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/socket.h>

#include "util/sizes.h"

/* By name: headers may be older than the kernel. */
/* clang-format off */
static const char *const allowed[] = {
	/* requests and replies, and files */
	"read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev",
	"preadv2", "pwritev2", "poll", "ppoll", "select", "pselect6", "_newselect",
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "splice", "tee", "vmsplice",
	"ioctl", "fcntl", "fcntl64", "close", "close_range", "dup", "dup2", "dup3", "pipe2",
	"eventfd2", "lseek", "_llseek", "open", "openat", "openat2", "access", "faccessat",
	"faccessat2", "stat", "fstat", "lstat", "stat64", "fstat64", "lstat64", "fstatat64",
	"newfstatat", "statx", "statfs", "fstatfs", "statfs64", "fstatfs64", "readlink",
	"readlinkat", "getcwd", "getdents64", "cachestat",
	/* the kernel's size of a file of which it could not write all: by its number, src/daemon/mend.c */
	"open_by_handle_at", "truncate", "truncate64",
	/* contents that are stored, and an image that is saved */
	"fallocate", "ftruncate", "ftruncate64", "fsync", "fdatasync", "syncfs",
	"sync_file_range", "fadvise64", "fadvise64_64", "copy_file_range", "sendfile",
	"sendfile64", "flock", "fchmod", "fchown", "fchown32", "linkat", "unlink", "unlinkat",
	"rename", "renameat", "renameat2", "utimensat", "utimensat_time64",
	/* memory */
	"mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise", "mincore", "msync", "mlock",
	"mlock2", "munlock", "mlockall", "munlockall", "brk", "memfd_create",
	/* threads: clone is looked at below, as are a socket, and the way into the caller's namespace */
	"futex", "futex_time64", "futex_waitv", "set_robust_list", "get_robust_list",
	"set_tid_address", "rseq", "membarrier", "exit", "exit_group", "gettid", "getpid",
	"getppid", "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getscheduler",
	"sched_setscheduler", "sched_getparam", "sched_setparam", "sched_setattr",
	"sched_getattr", "sched_get_priority_max", "sched_get_priority_min", "setpriority",
	"getpriority", "getcpu", "arch_prctl",
	/* signals; tgkill is for threads of this process, and abort() */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn", "rt_sigtimedwait",
	"rt_sigtimedwait_time64", "rt_sigpending", "sigaltstack", "signalfd4", "restart_syscall",
	"tgkill",
	/* time, numbers */
	"clock_gettime", "clock_gettime64", "clock_getres", "clock_getres_time64",
	"clock_nanosleep", "clock_nanosleep_time64", "nanosleep", "gettimeofday", "time",
	"timerfd_create", "timerfd_settime", "timerfd_gettime", "alarm", "setitimer",
	"getrandom", "sysinfo", "uname",
	"getrlimit", "ugetrlimit", "prlimit64", "getrusage", "capget", "getuid", "geteuid",
	"getgid", "getegid", "getgroups", "getuid32", "geteuid32", "getgid32", "getegid32",
	"getgroups32", "prctl",
	/* a log and a service manager */
	"connect", "sendto", "sendmsg", "send", "getsockopt", "setsockopt", "getsockname",
	"shutdown",
	/* flags that change while it is full, and the end of the mount */
	"fspick", "fsconfig", "umount", "umount2", "chdir",
};

/*
 * With survive=on: a keeper is hired when the one before has died, and a program is asked before it
 * takes the mount over. Both have this filter, and so has each daemon that this keeper starts; so what
 * a daemon does as it begins is here, too.
 */
static const char *const lives_too[] = {
	/* to start it, to wait for it, and to end one that was asked */
	"vfork", "setsid", "wait4", "waitid", "kill",
	/* to hear it, and to be heard by it */
	"recvmsg", "recvfrom", "recv", "pidfd_open",
	/* a later daemon gives up what it was given once more */
	"capset", "seccomp", "setrlimit",
};
/* clang-format on */

/* What is looked at is one word, all of it or some bits. */
struct rule {
	const char *name;
	unsigned arg;
	uint64_t mask, value;
};

#define ALL UINT64_MAX
#ifdef __s390__
#define CLONE_ARG 1
#else
#define CLONE_ARG 0
#endif

static const struct rule rules[] = {
	/* A thread, never a process. */
	{ "clone", CLONE_ARG, CLONE_THREAD, CLONE_THREAD },
	/* A log and a service manager. */
	{ "socket", 0, ALL, AF_UNIX },
	/* To an unmount in the caller's namespace, with a root folder of the thread's own. */
	{ "setns", 1, ALL, CLONE_NEWNS },
	{ "unshare", 0, ALL, CLONE_FS },
	/* A thread without the channel: apart.c. */
	{ "unshare", 0, ALL, CLONE_FILES },
	/* An image of a mount in use: stores of this process alone are held up. */
	{ "userfaultfd", 0, ALL, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY },
};

static const struct rule lives_rules[] = {
	/* vfork(3), where that is no call of its own. */
	{ "clone", CLONE_ARG, CLONE_VM | CLONE_VFORK | CLONE_THREAD, CLONE_VM | CLONE_VFORK },
	/* fork(3): a mount that carries swap goes on in a child of its keeper. */
	{ "clone", CLONE_ARG, CLONE_VM | CLONE_VFORK | CLONE_THREAD, 0 },
	/* A program that is open, not one by its name. */
	{ "execveat", 4, ALL, AT_EMPTY_PATH },
	{ "socketpair", 0, ALL, AF_UNIX },
};

static int allow(scmp_filter_ctx filter, const char *const names[], size_t nr)
{
	int res = 0;

	for (size_t i = 0; i < nr && !res; i++) {
		const int call = seccomp_syscall_resolve_name(names[i]);

		if (call != __NR_SCMP_ERROR)
			res = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
	}
	return res;
}

static int allow_some(scmp_filter_ctx filter, const struct rule *some, size_t nr)
{
	int res = 0;

	for (size_t i = 0; i < nr && !res; i++) {
		const int call = seccomp_syscall_resolve_name(some[i].name);
		const struct scmp_arg_cmp looked_at = {
			.arg = some[i].arg,
			.op = SCMP_CMP_MASKED_EQ,
			.datum_a = some[i].mask,
			.datum_b = some[i].value,
		};

		if (call != __NR_SCMP_ERROR)
			res = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &looked_at);
	}
	return res;
}

static int add_rules(scmp_filter_ctx filter, const struct sandbox_calls *calls)
{
	static const char *const ring[] = { "io_uring_enter" };
	int res = allow(filter, allowed, ARRAY_SIZE(allowed));

	if (!res)
		res = allow_some(filter, rules, ARRAY_SIZE(rules));
	if (!res && calls->rings)
		res = allow(filter, ring, ARRAY_SIZE(ring));
	if (!res && calls->lives)
		res = allow(filter, lives_too, ARRAY_SIZE(lives_too));
	if (!res && calls->lives)
		res = allow_some(filter, lives_rules, ARRAY_SIZE(lives_rules));
	/* Its flags lie in memory, and the C library does without. */
	return res ? res : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

bool sandbox_calls_built(void)
{
	return true;
}

int sandbox_calls_load(const struct sandbox_calls *calls)
{
	scmp_filter_ctx filter =
		seccomp_init(calls->kill ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM));
	int res = 0;

	if (!filter)
		return -ENOMEM;
	res = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	/* The daemon runs no code of others; older kernels would slow it down for every filter. */
	if (!res)
		res = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	/* One of another machine's kind, 32 bits for example. */
	if (!res)
		res = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* Looked up as a tree: a request takes a few of them. */
	if (!res)
		res = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!res)
		res = add_rules(filter, calls);
	if (!res)
		res = seccomp_load(filter);
	seccomp_release(filter);
	return res;
}

#endif
