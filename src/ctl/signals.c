// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * signals.c - what would end the program is noted. See signals.h.
 *
 * Locks: none; one word that a handler stores.
 */
#include "ctl/signals.h"

#include <signal.h>
#include <stddef.h>

#include "util/sizes.h"

static volatile sig_atomic_t noted;

static void note(int sig)
{
	noted = sig;
}

void signals_catch(bool goes_on)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction action = { .sa_handler = note, .sa_flags = goes_on ? SA_RESTART : 0 };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaction(signals[i], &action, NULL); /* it fails only for numbers that are none */
}

int signals_noted(void)
{
	return noted;
}

void signals_pass_on(void)
{
	if (!noted)
		return;
	(void)signal(noted, SIG_DFL);
	(void)raise(noted);
}
