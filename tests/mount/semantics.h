/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * semantics.h - system calls on a folder, and what they answered, as text: two filesystems behave
 * alike when the texts are alike.
 *
 * Each case runs alone in an empty folder, its working directory. It prints results only: values,
 * names of errors, contents; never what may differ between two runs (inode numbers, times, pids).
 */
#ifndef ZT_TESTS_MOUNT_SEMANTICS_H
#define ZT_TESTS_MOUNT_SEMANTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sem_case {
	const char *name;
	void (*run)(void);
};

/* Each ends with a case without a name. */
extern const struct sem_case sem_data_cases[], sem_map_cases[], sem_io_cases[], sem_lock_cases[],
	sem_name_cases[], sem_attr_cases[];

/* say() - one line of the transcript */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* sys() - print "text = value" or "text: ENAME"; errno as the call left it. Return: @value. */
long sys(long value, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* must() - a call that the case cannot do without; ends the program when it failed */
long must(long value, const char *what);

/* make() - a new file, open for reading and writing, with @len bytes of a pattern */
int make(const char *name, size_t len);

/* pattern() - @len bytes that only this place has */
void pattern(char *buf, size_t len, uint64_t off);

/*
 * show_file() - size, a sum of the content, where data and holes are, and if @blocks how many
 * blocks there are once all is written
 */
void show_file(int fd, const char *what, bool blocks);

/* show_seeks() - data and holes as SEEK_DATA and SEEK_HOLE tell them */
void show_seeks(int fd);

/* sum_range() - a sum of what pread() says, up to the end of the file */
uint64_t sum_range(int fd, uint64_t off, uint64_t len);

/* drop() - what is written is stored, and the kernel forgets inodes that nobody uses, where root may ask for that */
void drop(void);

/* child() - fork and run @run(@arg) there; reap() waits and prints how it ended */
pid_t child(void (*run)(void *arg), void *arg);
void reap(pid_t pid, const char *what);

/* A pipe as a signal between processes. */
struct gate {
	int fd[2];
};

void gate_make(struct gate *gate);
void gate_open(struct gate *gate); /* lets one waiter pass */
void gate_wait(struct gate *gate);

#endif
