// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * main_later.c - a process that goes on with a mount of another one, or says whether it could. See
 * main_i.h.
 *
 * Locks: none.
 */
#include "daemon/main_i.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "daemon/option_table.h"
#include "daemon/options.h"
#include "daemon/rescue.h"
#include "daemon/service.h"
#include "daemon/surroundings.h"
#include "daemon/survive.h"
#include "daemon/swapmode.h"

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

/* What the command line says, for a process that goes on with a mount. */
struct later_life {
	struct options options;
	struct options_error error;
	int failed; /* with a sentence in error */
};

static void later_life_parse(struct later_life *life, const struct command *command)
{
	struct options_env env;

	surroundings_signals();
	options_env_get(&env);
	env.manager = service_listens();
	life->failed = options_parse(command->argc, command->argv, &env, &life->options, &life->error);
	if (!life->failed)
		life->failed = surroundings_limits(&life->options, &life->error);
}

/* Go on with a mount whose daemon has died; @survive is what its keeper has. */
static int go_on(struct later_life *life, struct survive *survive)
{
	const struct handover_record *record = survive->record;
	struct options *options = &life->options;
	struct options_error *error = &life->error;
	struct session *session = NULL;
	int failed = life->failed;

	if (!failed)
		failed = option_text_set(&options->mountpoint, record->mountpoint);
	if (!failed && record->order == HANDOVER_GIVE_UP)
		failed = give_up(record, error);
	else if (!failed)
		failed = session_create(options, survive, error, &session);
	if (failed && record->order == HANDOVER_TRY) {
		refuse_trial(survive->record, error->text);
	} else if (failed) {
		survive_bury(survive);
		if (options->save_at_end)
			zt_log(ZT_LOG_ERR, "%s: %s is as it was: nobody can save the mount",
			       options->mountpoint, options->image_path);
		/* No other process locks it in memory; and contents of an image are there still. */
		rescue(survive, error->text, !options->noswap && !record->image_sum);
	}
	return failed ? EXIT_MOUNT : main_serve_session(options, session);
}

/* survive_call.stand_by: one that cannot ends, and the keeper tries another. Its name says when it is ready. */
static int stand_by(void *arg, int home_fd, unsigned set)
{
	struct later_life *life = arg;

	(void)prctl(PR_SET_NAME, "ztmpfs-next");
	if (life->failed || swapmode_stand_by(&life->options, home_fd, set, &life->error) != 0) {
		zt_log(ZT_LOG_WARN, "no daemon stands by: %s", life->error.text);
		return -ECANCELED;
	}
	(void)prctl(PR_SET_NAME, "ztmpfs-standby");
	return 0;
}

/* Until it is its turn, which may be never. Return: 0; -errno, told. */
static int take_over(const struct survive_call *call, struct survive **out_survive)
{
	int error = survive_take(call, out_survive);

	if (!error && (*out_survive)->channel_fd < 0) {
		error = -EPROTO;
		survive_destroy(*out_survive);
	}
	if (error && error != -ECANCELED)
		zt_log(ZT_LOG_ERR, "the keeper has no mount: %s", strerror(-error));
	(void)prctl(PR_SET_NAME, "ztmpfs"); /* it was made by a descriptor's number, or stood by */
	return error;
}

int main_kept(int sock, struct command command)
{
	struct later_life life = { .options = { .mountpoint = NULL } };
	const struct survive_call call = { sock, command.argc, command.argv, stand_by, &life };
	struct survive *survive;
	int status = EXIT_MOUNT;

	main_log_to_syslog();
	later_life_parse(&life, &command);
	if (take_over(&call, &survive) == 0) {
		status = go_on(&life, survive);
		survive_destroy(survive);
	}
	options_free(&life.options);
	return status;
}

int main_stored(const struct command *command)
{
	struct later_life life = { .options = { .mountpoint = NULL } };
	struct survive *survive;
	int status = -1, error;

	(void)prctl(PR_SET_NAME, "ztmpfs");
	zt_log_set_sink(main_log_stderr);
	service_open();
	later_life_parse(&life, command);
	error = survive_take_stored(command->argc, command->argv, &survive);
	if (error) {
		zt_log(ZT_LOG_ERR, "the service manager has not kept all of the mount: %s",
		       strerror(-error));
		status = EXIT_MOUNT;
	} else {
		if (survive_connected(survive->channel_fd))
			status = go_on(&life, survive);
		else
			survive_bury(survive);
		survive_destroy(survive);
	}
	if (status < 0)
		service_give_back();
	options_free(&life.options);
	return status;
}

int main_probe(int sock, struct command command)
{
	struct options options = { .mountpoint = NULL };
	struct options_error error;
	struct options_env env;
	struct survive *survive;
	const struct survive_call call = { .sock = sock, .argc = command.argc, .argv = command.argv };
	int failed = survive_take(&call, &survive);

	surroundings_signals();
	(void)prctl(PR_SET_NAME, "ztmpfs-probe");
	if (failed)
		return handover_answer(sock, HANDOVER_REFUSED,
				       "it keeps a mount's requests in another form");
	options_env_get(&env);
	failed = options_parse(command.argc, command.argv, &env, &options, &error);
	if (!failed) {
		failed = session_probe(&options, survive, &error);
		options_free(&options);
	}
	failed = failed ? handover_answer(sock, HANDOVER_REFUSED, error.text) :
			  handover_answer(sock, HANDOVER_READY, PACKAGE_VERSION);
	survive_destroy(survive);
	return failed ? EXIT_SYSTEM : EXIT_SUCCESS;
}
