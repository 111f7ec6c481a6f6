// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * main.c - ztmpfs and mount.ztmpfs: from a command line to a daemon.
 *
 * The process forks before anything has a thread. The child does everything and reports through a
 * pipe once the mount is usable; until then its messages go to the caller's error output,
 * afterwards to syslog.
 *
 * Exit status, as mount(8) has it: 0 mounted, 1 wrong usage, 2 the system refused a process, 32
 * mount failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon/deadmount.h"
#include "daemon/keeper.h"
#include "daemon/main_i.h"
#include "daemon/option_table.h"
#include "daemon/options.h"
#include "daemon/remount.h"
#include "daemon/sandbox.h"
#include "daemon/service.h"
#include "daemon/session.h"
#include "daemon/surroundings.h"
#include "daemon/survive.h"
#include "util/log.h"

static const int priorities[] = {
	[ZT_LOG_ERR] = LOG_ERR,
	[ZT_LOG_WARN] = LOG_WARNING,
	[ZT_LOG_INFO] = LOG_INFO,
};

void main_log_stderr(enum zt_log_level level, const char *line)
{
	if (service_is_journal())
		fprintf(stderr, "<%d>", priorities[level]);
	fprintf(stderr, "ztmpfs: %s\n", line);
}

static void log_syslog(enum zt_log_level level, const char *line)
{
	syslog(priorities[level], "%s", line);
}

static void libfuse_log(enum fuse_log_level level, const char *fmt, va_list ap)
{
	vsyslog((int)level, fmt, ap);
}

void main_log_to_syslog(void)
{
	openlog("ztmpfs", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	fuse_set_log_func(libfuse_log);
	zt_log_set_sink(log_syslog);
}

/* Leave the caller's folder, input and output; -1 tells that this failed. */
static int detach(void)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int res;

	if (null < 0 || chdir("/") != 0)
		return -1;
	main_log_to_syslog();
	res = dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
			      dup2(null, STDERR_FILENO) < 0
		      ? -1
		      : 0;
	if (null > STDERR_FILENO)
		close(null);
	return res;
}

/* What was taken without effect; it is worth a line each, and no error. */
static void log_notes(const struct options *options)
{
	const char *line = options->notes ? options->notes : "";

	for (; *line != '\0'; line += strcspn(line, "\n") + 1)
		zt_log(ZT_LOG_INFO, "%s: %.*s", options->mountpoint, (int)strcspn(line, "\n"), line);
}

/* Where a person reads it later. A terminal is told only what is wrong. */
static void log_life(const struct options *options, const char *what)
{
	if (!options->foreground || service_is_journal())
		zt_log(ZT_LOG_INFO, "%s: %s", options->mountpoint, what);
}

int main_serve_session(const struct options *options, struct session *session)
{
	int failed, lost;
	bool leaves;

	service_tell("READY=1\nSTATUS=Mounted on %s", options->mountpoint);
	failed = session_serve(session);
	leaves = session_leaves(session);
	if (!leaves)
		service_tell("STOPPING=1\nSTATUS=Unmounting %s", options->mountpoint);
	lost = session_destroy(session);
	log_life(options, leaves ? "left to another program" :
			  failed ? "ended, since the kernel's channel failed" :
				   "unmounted");
	service_close();
	return failed || lost ? EXIT_SYSTEM : EXIT_SUCCESS;
}

/*
 * @survive: NULL: the mount ends with this process. @report: where the caller waits for one byte; -1:
 * stay in the foreground.
 */
static int serve(const struct options *options, struct survive *survive, int report)
{
	struct options_error error;
	struct session *session;

	if (session_create(options, survive, &error, &session) != 0) {
		main_log_stderr(ZT_LOG_ERR, error.text);
		return EXIT_MOUNT;
	}
	if (report >= 0) {
		if (detach() != 0 || write(report, "", 1) != 1) {
			main_log_stderr(ZT_LOG_ERR, "cannot become a daemon");
			(void)session_destroy(session);
			return EXIT_SYSTEM;
		}
		close(report);
	}
	log_life(options, "mounted");
	log_notes(options);
	session_tell(session);
	sandbox_tell(options);
	return main_serve_session(options, session);
}

/* The same with a keeper. */
static int serve_kept(struct options *options, const struct command *command, int report)
{
	struct survive *survive;
	int status, error = survive_create(command->argc, command->argv, &survive);

	if (error && options->survive_when == OPTION_SURVIVE_AUTO &&
	    option_note(options, "option survive=auto: off: %s", strerror(-error)) == 0) {
		options->survive = false;
		return serve(options, NULL, report);
	}
	if (error) {
		fprintf(stderr, "ztmpfs: option survive: %s\n", strerror(-error));
		return EXIT_MOUNT;
	}
	if (options->foreground)
		survive_store(survive);
	status = serve(options, survive, report);
	survive_destroy(survive);
	return status;
}

/* The caller's side: the child's byte, or its exit status. */
static int wait_for_daemon(pid_t child, int report)
{
	ssize_t got;
	char byte;
	int status = 0;

	do {
		got = read(report, &byte, 1);
	} while (got < 0 && errno == EINTR);
	if (got == 1)
		return EXIT_SUCCESS;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		return WEXITSTATUS(status);
	fprintf(stderr, "ztmpfs: the daemon ended before the mount was usable\n");
	return EXIT_MOUNT;
}

static int serve_in_background(struct options *options, const struct command *command)
{
	int report[2];
	pid_t child;
	int status;

	if (pipe2(report, O_CLOEXEC) != 0) {
		perror("ztmpfs: pipe");
		return EXIT_SYSTEM;
	}
	child = fork();
	if (child < 0) {
		perror("ztmpfs: fork");
		close(report[0]);
		close(report[1]);
		return EXIT_SYSTEM;
	}
	if (child == 0) {
		close(report[0]);
		(void)setsid(); /* a new child leads no group yet */
		return options->survive ? serve_kept(options, command, report[1]) :
					  serve(options, NULL, report[1]);
	}
	close(report[1]);
	status = wait_for_daemon(child, report[0]);
	close(report[0]);
	return status;
}

static int enter_namespace(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	int res = -1;

	if (fd >= 0) {
		res = setns(fd, CLONE_NEWNS);
		close(fd);
	}
	if (res != 0)
		fprintf(stderr, "ztmpfs: mount namespace %s: %s\n", path, strerror(errno));
	return res;
}

/*
 * The daemon leaves its folder, so the mount point must be absolute. /dev/fd/N is an open channel,
 * not a place.
 */
static int resolve_mountpoint(struct options *options)
{
	char text[PATH_MAX + 256], *path;
	struct stat st;
	int error = 0;

	if (strncmp(options->mountpoint, "/dev/fd/", 8) == 0)
		return 0;
	path = realpath(options->mountpoint, NULL);
	if (!path || stat(path, &st) != 0)
		error = errno;
	else if (!S_ISDIR(st.st_mode))
		error = ENOTDIR;
	else
		error = -option_text_set(&options->mountpoint, path);
	(void)snprintf(text, sizeof(text), "%s", strerror(error));
	if ((!error || error == ENOTCONN) &&
	    deadmount_is_there(path ? path : options->mountpoint, text, sizeof(text)))
		error = ENOTCONN;
	free(path);
	if (error)
		fprintf(stderr, "ztmpfs: %s: %s\n", options->mountpoint, text);
	return error ? -1 : 0;
}

static int remount(const struct options *options)
{
	struct options_error error;

	if (remount_run(options, &error) == 0)
		return EXIT_SUCCESS;
	main_log_stderr(ZT_LOG_ERR, error.text);
	return EXIT_MOUNT;
}

static int mount_as_asked(struct options *options, const struct command *command)
{
	const char *forgotten = options_source_looks_like(options);
	struct options_error error;
	int status;

	if (forgotten)
		fprintf(stderr,
			"ztmpfs: '%s' is taken for the name of the source: option %s needs -o\n",
			options->source, forgotten);
	if (surroundings_page_size(sysconf(_SC_PAGESIZE), &error) != 0 ||
	    surroundings_limits(options, &error) != 0) {
		main_log_stderr(ZT_LOG_ERR, error.text);
		return EXIT_MOUNT;
	}
	if (options->namespace && enter_namespace(options->namespace) != 0)
		return EXIT_MOUNT;
	if (resolve_mountpoint(options) != 0)
		return EXIT_MOUNT;
	if (options->fake) {
		/* contrib/check-installed looks for this. */
		if (options->verbose)
			printf("ztmpfs: %s would be mounted on %s\n", options->fsname,
			       options->mountpoint);
		return EXIT_SUCCESS;
	}
	if (options->remount)
		return remount(options);
	/* It may have been started as mount.ztmpfs, by a number, or by another name. */
	(void)prctl(PR_SET_NAME, "ztmpfs");
	if (options->foreground) {
		service_open();
		return options->survive ? serve_kept(options, command, -1) :
					  serve(options, NULL, -1);
	}
	status = serve_in_background(options, command);
	if (status == EXIT_SUCCESS && options->verbose)
		printf("ztmpfs: %s mounted on %s\n", options->fsname, options->mountpoint);
	return status;
}

/* The command line of the mount, behind the word that says which part this process plays. */
static struct command behind_word(int argc, char *argv[])
{
	argv[1] = argv[0];
	return (struct command){ argc - 1, argv + 1 };
}

static int live_again(int sock, int argc, char *argv[])
{
	return main_kept(sock, behind_word(argc, argv));
}

int main(int argc, char *argv[])
{
	const struct command command = { argc, argv };
	const int keeper = handover_word(argc, argv, HANDOVER_WORD_KEEPER);
	const int kept = handover_word(argc, argv, HANDOVER_WORD_KEPT);
	const int probe = handover_word(argc, argv, HANDOVER_WORD_PROBE);
	struct options_env env;
	struct options options;
	struct options_error error;
	int status = EXIT_SUCCESS;

	if (keeper >= 0)
		return keeper_main(keeper, &(struct keeper_life){ argc, argv, live_again });
	if (kept >= 0)
		return live_again(kept, argc, argv);
	if (probe >= 0)
		return main_probe(probe, behind_word(argc, argv));
	if (survive_is_stored()) {
		status = main_stored(&command);
		if (status >= 0)
			return status;
	}
	surroundings_descriptors(argc, argv);
	surroundings_signals();
	zt_log_set_sink(main_log_stderr);
	options_env_get(&env);
	if (options_parse(argc, argv, &env, &options, &error) != 0) {
		main_log_stderr(ZT_LOG_ERR, error.text);
		return EXIT_USAGE;
	}
	if (options.help)
		options_help(stdout, &env);
	else if (options.version)
		printf("ztmpfs %s, libfuse %s\n", PACKAGE_VERSION, fuse_pkgversion());
	else
		status = mount_as_asked(&options, &command);
	options_free(&options);
	return status;
}
