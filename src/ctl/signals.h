/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * signals.h - what would end the program is noted, so that what was begun is undone or ended first.
 *
 * Context: one thread, before it makes others.
 */
#ifndef ZT_CTL_SIGNALS_H
#define ZT_CTL_SIGNALS_H

#include <stdbool.h>

/**
 * signals_catch() - note SIGINT, SIGTERM and SIGHUP from here on
 * @goes_on: calls that wait are not interrupted where SA_RESTART has a meaning
 * Restored by nobody: the program ends soon after.
 */
void signals_catch(bool goes_on);

/** signals_noted() - the last one, or 0. Context: any thread. */
int signals_noted(void);

/** signals_pass_on() - end of the one that was noted, as whoever started the program expects; without one: nothing */
void signals_pass_on(void);

#endif
