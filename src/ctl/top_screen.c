// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * top_screen.c - ztmpfsctl top on a terminal, by ncurses.
 *
 * A terminal that is resized is a key, and drawn anew at once. A signal that ends the program leaves
 * the terminal as it was: those of the keyboard are ncurses', others are taken here.
 */
#include "ctl/top.h"

#include <errno.h>

#ifndef HAVE_NCURSES

int top_screen(struct top *top)
{
	(void)top;
	return -ENOTSUP;
}

#else

#include <curses.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/sizes.h"

#define INTERVAL_MIN_NS (ZT_NS_PER_S / 4)
#define INTERVAL_MAX_NS (60 * ZT_NS_PER_S)
/* Before the first round: what is shown at once has no rates. */
#define FIRST_NS        (ZT_NS_PER_S / 2)
#define COLUMNS_MIN     20

enum pair { PAIR_NEAR = 1, PAIR_FULL };

struct screen {
	struct top_sink sink;
	int row;
	bool colour;
};

static volatile sig_atomic_t ended;

static void end(int signal_nr)
{
	(void)signal_nr;
	ended = 1;
}

static attr_t attribute(const struct screen *screen, enum top_kind kind)
{
	if (kind == TOP_HEADING)
		return A_REVERSE;
	if (kind == TOP_NEAR)
		return screen->colour ? (attr_t)COLOR_PAIR(PAIR_NEAR) : A_BOLD;
	if (kind == TOP_FULL)
		return screen->colour ? (attr_t)COLOR_PAIR(PAIR_FULL) : A_BOLD;
	return A_NORMAL;
}

static void screen_line(struct top_sink *sink, enum top_kind kind, const char *text)
{
	struct screen *screen = container_of(sink, struct screen, sink);

	(void)attrset((int)attribute(screen, kind));
	(void)mvaddstr(screen->row++, 0, text);
	(void)attrset(A_NORMAL);
}

static void draw(struct screen *screen, const struct top *top)
{
	screen->row = 0;
	screen->sink.width = (size_t)(COLS > COLUMNS_MIN ? COLS : COLUMNS_MIN);
	screen->sink.height = (size_t)LINES;
	(void)erase();
	top_draw(&screen->sink, top, true);
	(void)refresh();
}

/* Return: false at the end. */
static bool take_key(struct top *top, int key)
{
	switch (key) {
	case 'q':
	case 'Q':
		return false;
	case ' ':
		top->paused = !top->paused;
		break;
	case '+':
		top->interval_ns = min_u64(top->interval_ns * 2, INTERVAL_MAX_NS);
		break;
	case '-':
		top->interval_ns = max_u64(top->interval_ns / 2, INTERVAL_MIN_NS);
		break;
	default:
		break;
	}
	return true;
}

static int show(struct screen *screen, struct top *top)
{
	uint64_t next_ns = zt_now_ns() + min_u64(FIRST_NS, top->interval_ns);
	bool goes_on = true;

	while (goes_on && !ended) {
		int key;

		draw(screen, top);
		timeout(top->paused ? -1 : zt_ms_until(next_ns));
		key = getch();
		if (key != ERR) {
			goes_on = take_key(top, key);
			if (key == '+' || key == '-')
				next_ns = zt_now_ns() + top->interval_ns;
		}
		if (!goes_on || top->paused || zt_now_ns() < next_ns)
			continue;
		next_ns = zt_now_ns() + top->interval_ns;
		if (top_look(top) != 0 && top->nr == 0)
			return -EIO;
	}
	return 0;
}

static void choose_colours(struct screen *screen)
{
	const char *no_color = getenv("NO_COLOR");

	screen->colour = !(no_color && *no_color != '\0') && has_colors() && start_color() == OK;
	if (!screen->colour)
		return;
	(void)use_default_colors();
	(void)init_pair(PAIR_NEAR, COLOR_YELLOW, -1);
	(void)init_pair(PAIR_FULL, COLOR_RED, -1);
}

int top_screen(struct top *top)
{
	const struct sigaction action = { .sa_handler = end }; /* no SA_RESTART: it wakes getch() */
	struct screen screen = { .sink = { .line = screen_line } };
	SCREEN *terminal;
	int error = top_look(top);

	if (error)
		return error;
	/* initscr() would end the program where the terminal is not known. */
	terminal = newterm(NULL, stdout, stdin);
	if (!terminal)
		return -ENOTSUP;
	(void)set_term(terminal);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGHUP, &action, NULL);
	choose_colours(&screen);
	(void)cbreak();
	(void)noecho();
	(void)keypad(stdscr, TRUE);
	(void)curs_set(0);
	error = show(&screen, top);
	(void)endwin();
	delscreen(terminal);
	return error;
}

#endif
