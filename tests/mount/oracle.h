/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * oracle.h - the random-operation test: the same operations on two folders must have the same
 * results.
 *
 * Folder A is on the filesystem under test, folder B on one that is believed (tmpfs). Nothing here
 * knows what a filesystem should answer: only that both answer alike. One thread; no locks.
 */
#ifndef ZT_TESTS_MOUNT_ORACLE_H
#define ZT_TESTS_MOUNT_ORACLE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { SIDE_A, SIDE_B, NR_SIDES };

#define OPEN_PAIRS    8 /* files held open */
#define MAX_FILE_SIZE (3u << 20) /* bytes a file grows to */
#define MAX_IO        (512u << 10) /* bytes of one request */
#define PATH_SIZE     1200

/* One file open on both sides. */
struct pair {
	int fd[NR_SIDES]; /* -1: free */
	bool append, direct;
	char path[PATH_SIZE]; /* as it was opened, for messages */
};

struct oracle {
	const char *dir[NR_SIDES];
	int root[NR_SIDES]; /* folder's file descriptor */
	uint64_t seed, rng;
	uint64_t op; /* number of the operation under way */
	unsigned nr_files; /* names per folder */
	bool verbose;
	bool twice; /* what was done twice is counted, see oracle.c */
	uint64_t nr_twice;
	const char *until; /* the run ends when this file is there; NULL: after so many operations */
	bool names_only; /* no operations on data */
	bool is_root;
	bool has_direct[NR_SIDES]; /* O_DIRECT opens */
	bool has_mmap; /* A maps shared and writable */
	bool has_zero_range; /* A has FALLOC_FL_ZERO_RANGE */
	bool has_user_attr; /* B has attributes of users: a tmpfs since Linux 6.6 */
	struct pair open[OPEN_PAIRS];
	char what[2 * PATH_SIZE + 256]; /* the operation, for messages */
	char *buf[NR_SIDES]; /* MAX_IO bytes, page aligned */
	char *text, *noise; /* 2 * MAX_IO bytes: compressible, incompressible */
};

/* What a system call did on one side. */
struct result {
	int64_t value;
	int error; /* errno, 0 when value says success */
};

uint64_t oracle_random(struct oracle *o);

/* oracle_below() - 0..@limit - 1 */
uint64_t oracle_below(struct oracle *o, uint64_t limit);

/* oracle_say() - describe the operation; printed with --verbose and when the sides differ */
void oracle_say(struct oracle *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* oracle_die() - the sides differ, or the test cannot go on: seed, operation, message; exits 1 */
void oracle_die(struct oracle *o, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

struct result oracle_result(int64_t value);

/* oracle_expect() - both results must be equal. Return: whether they are a success. */
bool oracle_expect(struct oracle *o, const char *call, const struct result r[NR_SIDES]);

/*
 * oracle_path() - a random path below the root, maybe of something that exists; @folder: one
 * that folders have
 */
void oracle_path(struct oracle *o, char path[PATH_SIZE], bool folder);

/* oracle_fill() - @len bytes of some kind of data into the buffer of A, and the same into B's */
void oracle_fill(struct oracle *o, size_t len);

/* Comparisons; each ends the program when the sides differ. */
void compare_stat(struct oracle *o, const char *path, const struct stat st[NR_SIDES]);
void compare_fds(struct oracle *o, const struct pair *pair);
void compare_paths(struct oracle *o, const char *path);
void compare_content(struct oracle *o, const char *path, const int fd[NR_SIDES], bool cold);
/* @path: on each side, from anywhere */
void compare_attrs(struct oracle *o, const char *const path[NR_SIDES]);
void compare_trees(struct oracle *o);

/*
 * cool() - write a file's dirty pages out and drop its cache, so that the next read comes from
 * the daemon
 */
void cool(struct oracle *o, const char *path, int fd);

/* One random operation on data, on names, on extended attributes. */
void oracle_data_op(struct oracle *o);
void oracle_name_op(struct oracle *o);
void oracle_attr_op(struct oracle *o);
void oracle_close_all(struct oracle *o);

/* A file of its own that is written sparsely; data and holes must be at the same places. */
void oracle_sparse_op(struct oracle *o);

#endif
