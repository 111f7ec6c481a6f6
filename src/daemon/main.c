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
#include "daemon/handover.h"
#include "daemon/keeper.h"
#include "daemon/option_table.h"
#include "daemon/options.h"
#include "daemon/remount.h"
#include "daemon/rescue.h"
#include "daemon/sandbox.h"
#include "daemon/service.h"
#include "daemon/session.h"
#include "daemon/surroundings.h"
#include "daemon/survive.h"
#include "util/log.h"

enum { EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_MOUNT = 32 };

static const int priorities[] = {
	[ZT_LOG_ERR] = LOG_ERR,
	[ZT_LOG_WARN] = LOG_WARNING,
	[ZT_LOG_INFO] = LOG_INFO,
};

static void log_stderr(enum zt_log_level level, const char *line)
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

/* The command line as it came. */
struct command {
	int argc;
	char **argv;
};

static void log_to_syslog(void)
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
	log_to_syslog();
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

/* Until the mount's end. */
static int serve_session(const struct options *options, struct session *session)
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
		log_stderr(ZT_LOG_ERR, error.text);
		return EXIT_MOUNT;
	}
	if (report >= 0) {
		if (detach() != 0 || write(report, "", 1) != 1) {
			log_stderr(ZT_LOG_ERR, "cannot become a daemon");
			(void)session_destroy(session);
			return EXIT_SYSTEM;
		}
		close(report);
	}
	log_life(options, "mounted");
	log_notes(options);
	session_tell(session);
	sandbox_tell(options);
	return serve_session(options, session);
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
	log_stderr(ZT_LOG_ERR, error.text);
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
		log_stderr(ZT_LOG_ERR, error.text);
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

static int give_up(const struct handover_record *record, struct options_error *error)
{
	ERR_PRINTF(error, "%.512s: the daemon has died again and again, and answered nothing between",
		   record->mountpoint);
	return -EIO;
}

/* The program before is there, and is started again. */
static void refuse_trial(struct handover_record *record, const char *why)
{
	zt_log(ZT_LOG_ERR, "%.512s: ztmpfs %s cannot go on: %s", record->mountpoint, PACKAGE_VERSION,
	       why);
	(void)snprintf(record->upgrade.text, sizeof(record->upgrade.text), "%.255s", why);
}

/* Go on with a mount whose daemon has died; @survive is what its keeper has. */
static int go_on(const struct command *command, struct survive *survive)
{
	const struct handover_record *record = survive->record;
	struct options options = { .mountpoint = NULL };
	struct options_env env;
	struct options_error error;
	struct session *session = NULL;
	int failed;

	options_env_get(&env);
	env.manager = service_listens();
	failed = options_parse(command->argc, command->argv, &env, &options, &error);
	if (!failed)
		failed = surroundings_limits(&options, &error);
	if (!failed)
		failed = option_text_set(&options.mountpoint, record->mountpoint);
	if (!failed && record->order == HANDOVER_GIVE_UP)
		failed = give_up(record, &error);
	else if (!failed)
		failed = session_create(&options, survive, &error, &session);
	if (failed && record->order == HANDOVER_TRY) {
		refuse_trial(survive->record, error.text);
	} else if (failed) {
		survive_bury(survive);
		if (options.save_at_end)
			zt_log(ZT_LOG_ERR, "%s: %s is as it was: nobody can save the mount",
			       options.mountpoint, options.image_path);
		/* No other process locks it in memory; and contents of an image are there still. */
		rescue(survive, error.text, !options.noswap && !survive->record->image_sum);
	}
	failed = failed ? EXIT_MOUNT : serve_session(&options, session);
	options_free(&options);
	return failed;
}

static int main_kept(int sock, const struct command *command)
{
	struct survive *survive;
	int status, error;

	surroundings_signals();
	(void)prctl(PR_SET_NAME, "ztmpfs"); /* it was made by a descriptor's number */
	log_to_syslog();
	error = survive_take(sock, command->argc, command->argv, &survive);
	if (!error && survive->channel_fd < 0) {
		survive_destroy(survive);
		error = -EPROTO;
	}
	if (error) {
		zt_log(ZT_LOG_ERR, "the keeper has no mount: %s", strerror(-error));
		return EXIT_MOUNT;
	}
	status = go_on(command, survive);
	survive_destroy(survive);
	return status;
}

/* The process before, which a service manager had started, has died. Return: -1: its mount has gone, too. */
static int main_stored(const struct command *command)
{
	struct survive *survive;
	int status = -1, error;

	surroundings_signals();
	(void)prctl(PR_SET_NAME, "ztmpfs");
	zt_log_set_sink(log_stderr);
	service_open();
	error = survive_take_stored(command->argc, command->argv, &survive);
	if (error) {
		zt_log(ZT_LOG_ERR, "the service manager has not kept all of the mount: %s",
		       strerror(-error));
		return EXIT_MOUNT;
	}
	if (survive_connected(survive->channel_fd))
		status = go_on(command, survive);
	else
		survive_bury(survive);
	survive_destroy(survive);
	return status;
}

/* A daemon asks whether this program could go on with its mount. */
static int main_probe(int sock, const struct command *command)
{
	struct options options = { .mountpoint = NULL };
	struct options_error error;
	struct options_env env;
	struct survive *survive;
	int failed = survive_take(sock, command->argc, command->argv, &survive);

	surroundings_signals();
	(void)prctl(PR_SET_NAME, "ztmpfs-probe");
	if (failed)
		return handover_answer(sock, HANDOVER_REFUSED,
				       "it keeps a mount's requests in another form");
	options_env_get(&env);
	failed = options_parse(command->argc, command->argv, &env, &options, &error);
	if (!failed) {
		failed = session_probe(&options, survive, &error);
		options_free(&options);
	}
	failed = failed ? handover_answer(sock, HANDOVER_REFUSED, error.text) :
			  handover_answer(sock, HANDOVER_READY, PACKAGE_VERSION);
	survive_destroy(survive);
	return failed ? EXIT_SYSTEM : EXIT_SUCCESS;
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
		return keeper_main(keeper, argv);
	if (kept >= 0 || probe >= 0) {
		const struct command mount = { argc - 1, argv + 1 };

		argv[1] = argv[0];
		return kept >= 0 ? main_kept(kept, &mount) : main_probe(probe, &mount);
	}
	if (survive_is_stored()) {
		status = main_stored(&command);
		if (status >= 0)
			return status;
	}
	surroundings_descriptors(argc, argv);
	surroundings_signals();
	zt_log_set_sink(log_stderr);
	options_env_get(&env);
	if (options_parse(argc, argv, &env, &options, &error) != 0) {
		log_stderr(ZT_LOG_ERR, error.text);
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
