/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * step.h - a process that dies behind the n-th store into the arena, for every n.
 *
 * For each n a child makes a fresh state, a grandchild runs the operation on it and dies, and the
 * child judges what it finds in the arena, which both have mapped. Nothing of the grandchild's heap is
 * there: that of the child is as it was before the operation.
 *
 * With the library of contrib/stores it is every instruction that stores, not only those that have a
 * point.
 */
#ifndef ZT_TESTS_LIB_STEP_H
#define ZT_TESTS_LIB_STEP_H

#include <dlfcn.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "tests/lib/zt_check.h"
#include "util/store.h"

#define STEP_MISSING 77 /* exit status: builds without debugging have no points */

struct step_ops {
	void (*start)(void *arg); /* make the state */
	void (*run)(void *arg); /* the operation */
	/* What the dead one left; @done: the operation came to its end. */
	void (*judge)(void *arg, bool done);
	void *arg;
};

/* Shared with the processes that die. */
struct step_state {
	unsigned at, left;
	const char *point; /* behind which one died: the same address in all of them */
};

static struct step_state *step_now;

/* The child says what is wrong, and ends. */
static inline void step_expect(bool holds, const char *format, ...)
{
	va_list args;

	if (holds)
		return;
	fprintf(stderr, "store %u (%s): ", step_now->at, step_now->point);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	fflush(NULL);
	_exit(1);
}

enum { STEP_DIED = 42, STEP_DONE = 43 }; /* exit statuses */

#ifdef ZT_DEBUG

/* A process costs a sanitizer about a second; what it looks for is not tied to one store. */
#ifdef ZT_SANITIZERS
#define STEP_STRIDE 25u
#else
#define STEP_STRIDE 1u
#endif

static inline void step_hook(void *arg, const char *point)
{
	struct step_state *state = arg;

	state->point = point;
	if (--state->left == 0)
		_exit(STEP_DIED);
}

/* For ops.start(), in a process of its own: it dies behind the @nr-th point. */
static inline void step_die_at(unsigned nr)
{
	step_now->left = nr;
	zt_stored_set(step_hook, step_now);
}

typedef void step_set(void (*hook)(void *arg, const char *point), void *arg);

static inline void step_begin(void)
{
	step_set *set = (step_set *)dlsym(RTLD_DEFAULT, "zt_each_store");

	step_now->left = step_now->at;
	(set ? set : zt_stored_set)(step_hook, step_now);
}

static inline int step_wait(pid_t child)
{
	int status;

	ck_assert_int_ge(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* In a child: all of one step. Exit status: 0 right, 1 wrong, STEP_DONE right and no store was left. */
static inline void step_once(const struct step_ops *ops)
{
	pid_t child;
	int status;

	ops->start(ops->arg);
	child = fork();
	if (child == 0) {
		step_begin();
		ops->run(ops->arg);
		_exit(STEP_DONE);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		_exit(3);
	step_expect(WIFEXITED(status), "the operation ended by signal %d", WTERMSIG(status));
	status = WEXITSTATUS(status);
	step_expect(status == STEP_DIED || status == STEP_DONE, "the operation ended with %d", status);
	ops->judge(ops->arg, status == STEP_DONE);
	fflush(NULL);
	_exit(status == STEP_DONE ? STEP_DONE : 0);
}

/*
 * step_every() - try every @stride-th store of an operation. Return: how many stores there are about;
 * none is judged wrong.
 */
static inline unsigned step_every(const char *name, const struct step_ops *ops, unsigned stride)
{
	unsigned wrong = 0, n = 1;
	int status = 0;

	stride = stride > STEP_STRIDE ? stride : STEP_STRIDE;
	step_now = mmap(NULL, sizeof(*step_now), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(step_now, MAP_FAILED);
	for (; status != STEP_DONE && wrong < 100; n += stride) {
		pid_t child;

		fflush(NULL);
		*step_now = (struct step_state){ .at = n, .point = "none" };
		child = fork();
		if (child == 0)
			step_once(ops);
		status = step_wait(child);
		if (status != 0 && status != STEP_DONE) {
			if (status != 1)
				fprintf(stderr, "store %u (%s): judging ended with %d\n", n,
					step_now->point, status);
			wrong++;
		}
	}
	munmap(step_now, sizeof(*step_now));
	n -= stride + 1;
	printf("%s: %u stores, stopped behind one in %u, %u wrong\n", name, n, stride, wrong);
	fflush(stdout);
	ck_assert_msg(wrong == 0, "%s: %u wrong of %u", name, wrong, n);
	return n;
}

#else

static inline void step_die_at(unsigned nr)
{
	(void)nr;
}

static inline unsigned step_every(const char *name, const struct step_ops *ops, unsigned stride)
{
	(void)ops;
	(void)stride;
	printf("%s: this build has no points behind stores\n", name);
	exit(STEP_MISSING);
}

#endif

static inline unsigned step_all(const char *name, const struct step_ops *ops)
{
	return step_every(name, ops, 1);
}

#endif
