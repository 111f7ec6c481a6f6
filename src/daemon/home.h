/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * home.h - memory that the daemons of a mount that carries swap live in, one after the other.
 *
 *     | heap | stacks, one set | stacks, the other set | spare |
 *
 * What a process has allocated is free when it dies, and a machine without memory takes it at once: the
 * next daemon would find none. So all daemons but the first allocate in a file that stays in memory,
 * whoever has it mapped (arena.h). When one of them has died the next one begins with a heap that is
 * there. One that stands by has one set of stacks, the one that serves the other.
 *
 * What a process needs all the same (tables of pages, the kernel's part of threads) comes from the
 * spare: it goes back to the machine, by and by, until the next daemon serves, and is filled again while
 * there is memory.
 *
 * Locks: none; before there are threads, but for home_fill_spare().
 */
#ifndef ZT_DAEMON_HOME_H
#define ZT_DAEMON_HOME_H

#include <stddef.h>
#include <stdint.h>

#include "util/compiler.h"
#include "util/sizes.h"

/* Of each thread; no handler needs more. */
#define HOME_STACK_SIZE ((size_t)128 * KIB)

/* How it is cut. */
struct home {
	int fd; /* -1: there is none */
	unsigned nr_stacks; /* in a set */
};

/**
 * home_make() - a file of which all is there
 * @heap: bytes
 * @out_home: its descriptor is the caller's
 * Return: 0; -errno, as arena_make_file().
 */
int home_make(size_t heap, unsigned nr_stacks, struct home *out_home) ZT_MUST_CHECK;

/**
 * home_take_heap() - the heap goes on in it, and zt_map() takes of the heap
 * The process that had it is dead. Before there is anything of zt_map(). Return: 0 or -errno.
 */
int home_take_heap(const struct home *home) ZT_MUST_CHECK;

/**
 * home_take_stacks() - stacks of threads to come, of HOME_STACK_SIZE
 * @set: 0 or 1; nobody else has it
 * Return: 0 or -errno.
 */
int home_take_stacks(const struct home *home, unsigned set) ZT_MUST_CHECK;

/** home_give_spare() - up to @nr_pages go back to the machine: a process needs memory. Never allocates. */
void home_give_spare(int fd, unsigned nr_pages);

/** home_fill_spare() - up to @nr_pages are taken, if they are missing; the machine has them. Context: any thread. */
void home_fill_spare(int fd, unsigned nr_pages);

#endif
