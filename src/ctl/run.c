// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * run.c - ztmpfsctl run: a command, and the threads that serve its requests, on one CPU.
 *
 * A request wakes a thread of the daemon, and its reply wakes the client. On one CPU both are nearly
 * free; on two, of which one sleeps, each takes 20 to 40 us. So a job of one thread whose requests are
 * small is done sooner when it and its servers take turns. The kernel lets the user whose daemon it
 * is say where its threads run: no request is needed for it.
 *
 * Weakness: a run that is killed by SIGKILL leaves the threads where they are, until the next one ends.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "util/alloc.h"
#include "util/sizes.h"

/* As shells have it. */
enum { EXIT_CANNOT = 126, EXIT_NOT_FOUND = 127, EXIT_SIGNAL = 128 };

/* One of the daemon's threads, and where it ran before. */
struct server {
	pid_t tid;
	cpu_set_t before;
};

struct run {
	const char *path; /* of the mount */
	int cpu;
	pid_t daemon;
	cpu_set_t all; /* where the daemon's other threads may run */
	struct server *servers;
	size_t nr, most;
};

static volatile pid_t child; /* for the signals' handler; 0: none */

static void pass_on(int sig)
{
	if (child > 0)
		(void)kill(child, sig); /* it may have ended */
}

/* What a thread of the daemon does for a job on one CPU. */
enum role { ROLE_NONE, ROLE_CHANNEL, ROLE_RING };

/* Any thread that reads the channel may serve it, and those of the rings of its CPU. */
static enum role role_of(const struct run *run, const char *tid)
{
	char path[64], name[32] = "";
	unsigned queue;
	FILE *comm;

	snprintf(path, sizeof(path), "/proc/%ld/task/%.20s/comm", (long)run->daemon, tid);
	comm = fopen(path, "re");
	if (!comm)
		return ROLE_NONE;
	if (!fgets(name, sizeof(name), comm))
		name[0] = '\0';
	fclose(comm);
	if (strncmp(name, "zt-fuse/", 8) == 0)
		return ROLE_CHANNEL;
	if (sscanf(name, "zt-ring/%u.", &queue) == 1 && queue == (unsigned)run->cpu)
		return ROLE_RING;
	return ROLE_NONE;
}

static int note_server(struct run *run, const char *name)
{
	struct server server = { .tid = (pid_t)strtol(name, NULL, 10) };
	const enum role role = server.tid > 0 ? role_of(run, name) : ROLE_NONE;

	if (role == ROLE_NONE)
		return 0;
	/* One that ends meanwhile serves nobody. */
	if (sched_getaffinity(server.tid, sizeof(server.before), &server.before) != 0)
		return errno == ESRCH ? 0 : -errno;
	/* Another run has it now: where it was before that is not known, but where the rest is. */
	if (role == ROLE_CHANNEL && CPU_COUNT(&server.before) == 1)
		server.before = run->all;
	if (run->nr == run->most) {
		struct server *more =
			zt_grow(run->servers, sizeof(*more), 16, &run->most);

		if (!more)
			return -ENOMEM;
		run->servers = more;
	}
	run->servers[run->nr++] = server;
	return 0;
}

/* Return: 0; -ESRCH: there are none here. */
static int find_servers(struct run *run)
{
	char path[64];
	struct dirent *entry;
	int error = 0;
	DIR *dir;

	if (sched_getaffinity(run->daemon, sizeof(run->all), &run->all) != 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/%ld/task", (long)run->daemon);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!error && (entry = readdir(dir)) != NULL)
		error = note_server(run, entry->d_name);
	closedir(dir);
	return error ? error : run->nr == 0 ? -ESRCH : 0;
}

static void release_servers(const struct run *run, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		(void)sched_setaffinity(run->servers[i].tid, sizeof(run->servers[i].before),
					&run->servers[i].before); /* it may have ended */
}

static int bind_servers(const struct run *run, const cpu_set_t *set)
{
	for (size_t i = 0; i < run->nr; i++) {
		if (sched_setaffinity(run->servers[i].tid, sizeof(*set), set) != 0 &&
		    errno != ESRCH) {
			const int error = -errno;

			release_servers(run, i);
			return error;
		}
	}
	return 0;
}

/* The CPU that was asked for, or the one that this runs on. -EINVAL: it is none of ours. */
static int choose_cpu(const char *text, int *out_cpu)
{
	cpu_set_t allowed;
	char *end;
	long cpu;

	if (!text) {
		*out_cpu = sched_getcpu();
		return *out_cpu >= 0 ? 0 : -errno;
	}
	errno = 0;
	cpu = strtol(text, &end, 10);
	if (errno || end == text || *end != '\0' || cpu < 0 || cpu >= CPU_SETSIZE)
		return -EINVAL;
	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return -errno;
	*out_cpu = (int)cpu;
	return CPU_ISSET((int)cpu, &allowed) ? 0 : -EINVAL;
}

/* In the child. */
static void run_child(const cpu_set_t *set, char *argv[])
{
	int error;

	if (sched_setaffinity(0, sizeof(*set), set) == 0)
		execvp(argv[0], argv);
	error = errno;
	ctl_failed(argv[0], strerror(error));
	_exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT);
}

/* What a terminal sends comes to the command by itself; what ends this process is passed on. */
static const struct {
	int sig;
	void (*handler)(int sig);
} outlived[] = {
	{ SIGINT, SIG_IGN },
	{ SIGQUIT, SIG_IGN },
	{ SIGHUP, pass_on },
	{ SIGTERM, pass_on },
};

/* The command's exit status. This process ends after the command, whatever is sent to it. */
static int run_to_its_end(const cpu_set_t *set, char *argv[])
{
	struct sigaction action = { .sa_flags = SA_RESTART };
	sigset_t held, before;
	int status = 0;

	sigemptyset(&held);
	for (size_t i = 0; i < ARRAY_SIZE(outlived); i++)
		sigaddset(&held, outlived[i].sig);
	/* One that comes before there is a child waits for it. */
	sigprocmask(SIG_BLOCK, &held, &before);
	child = fork();
	if (child == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		run_child(set, argv);
	}
	if (child < 0)
		return ctl_fail(argv[0], -errno);
	for (size_t i = 0; i < ARRAY_SIZE(outlived); i++) {
		action.sa_handler = outlived[i].handler;
		sigaction(outlived[i].sig, &action, NULL);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	child = 0;
	return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run_bound(struct run *run, char *argv[])
{
	cpu_set_t set;
	int error, status;

	CPU_ZERO(&set);
	CPU_SET(run->cpu, &set);
	error = bind_servers(run, &set);
	if (error) {
		fprintf(stderr, "ztmpfsctl: %s: threads of its daemon, pid %ld: %s\n", run->path,
			(long)run->daemon, strerror(-error));
		return CTL_EXIT_FAILED;
	}
	status = run_to_its_end(&set, argv);
	release_servers(run, run->nr);
	return status;
}

static int run_run(int argc, char *argv[])
{
	struct ztmpfs_info info;
	struct run run = { 0 };
	const char *cpu = NULL;
	int letter, error, status;

	for (letter = ctl_switch(&ctl_run, argc, argv, true); letter != CTL_SWITCH_END;
	     letter = ctl_switch(&ctl_run, argc, argv, false))
		cpu = optarg;
	if (argc < optind + 2)
		return ctl_usage(&ctl_run);
	run.path = argv[optind];
	if (choose_cpu(cpu, &run.cpu) != 0) {
		fprintf(stderr, "ztmpfsctl: --cpu %s: it is no number of a CPU that may be used here\n",
			cpu ? cpu : "");
		return CTL_EXIT_USAGE;
	}
	error = ctl_get_info(run.path, &info);
	if (error)
		return ctl_fail(run.path, error);
	run.daemon = (pid_t)info.pid;
	error = find_servers(&run);
	if (error)
		status = ctl_failed(run.path, error == -ESRCH || error == -ENOENT
						      ? "its daemon's threads cannot be seen from here"
						      : strerror(-error));
	else
		status = run_bound(&run, argv + optind + 1);
	zt_free(run.servers);
	return status;
}

static const struct ctl_switch switches[] = {
	{ .letter = 'c',
	  .name = "cpu",
	  .arg = "NUMBER",
	  .words = "",
	  .help = "the CPU; else the one that this command runs on" },
	{ 0 },
};

const struct ctl_command ctl_run = {
	.name = "run",
	.operands = "MOUNTPOINT -- COMMAND [ARGUMENT...]",
	.help = "Run a command on one CPU, with the threads that serve its requests.",
	.switches = switches,
	.takes = CTL_MOUNTS,
	.run = run_run,
};
