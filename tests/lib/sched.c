// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sched.c - one task at a time, by priorities that change at few points. See sched.h.
 *
 * No locks: the state belongs to the task that runs. Who goes on is told by a semaphore of its own.
 */
#include "tests/lib/sched.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/zt_check.h"
#include "util/hook.h"
#include "util/store.h"

/* A task that has passed so many points while others wait to go on is lowered: it may spin. */
#define MAX_ALONE  20000u
#define MAX_POINTS 20000000u
#define NS_PER_S   INT64_C(1000000000)

enum task_state { TASK_READY, TASK_WAITS, TASK_OVER };

struct task {
	enum task_state state;
	int64_t priority;
	const void *waits_for; /* a lock, a condition, a task */
	bool is_timed, timed_out; /* the wait; and how it ended */
	int64_t until_ns;
	uint64_t alone; /* points passed since another task ran */
	const char *name;
	sem_t go;
	pthread_t thread;
	void *(*fn)(void *arg);
	void *arg, *result;
};

static struct {
	struct task tasks[SCHED_MAX_TASKS];
	unsigned nr_tasks;
	struct sched_plan plan;
	unsigned next_change;
	int64_t lowest; /* priority given last by a change */
	struct sched_result result;
	bool learns, has_learned, named_only;
	uint64_t all_points; /* counted or not */
	void (*on_kill)(pthread_t thread);
	bool has_random;
	uint64_t random;
	int64_t now_ns; /* 0: the real time */
} s;

static _Thread_local struct task *self;

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __real_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_tryrdlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_trywrlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __real_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __real_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				  const struct timespec *until);
int __real_pthread_cond_signal(pthread_cond_t *cond);
int __real_pthread_cond_broadcast(pthread_cond_t *cond);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __real_pthread_join(pthread_t thread, void **out_result);
int __real_pthread_kill(pthread_t thread, int sig);
int __real_sem_wait(sem_t *sem);
int __real_sem_post(sem_t *sem);
int __real_sched_yield(void);
int __real_nanosleep(const struct timespec *time, struct timespec *left);
int __real_clock_gettime(clockid_t clock, struct timespec *out_now);
ssize_t __real_getrandom(void *buf, size_t len, unsigned flags);

/* What is of interest ---------------------------------------------------- */

#define NR_SEEN (1u << 14)

/* Objects that were used by tasks: one bit a task, the highest for all from the 32nd on. */
static struct {
	const void *object;
	uint32_t tasks;
} seen[NR_SEEN];

/* Its entry, or a free one; NULL: all are taken by others. */
static unsigned seen_find(const void *object)
{
	unsigned at = (unsigned)(((uint64_t)(uintptr_t)object * UINT64_C(0x9e3779b97f4a7c15)) >> 50);

	for (unsigned i = 0; i < 64; i++, at = (at + 1) % NR_SEEN)
		if (!seen[at].object || seen[at].object == object)
			return at;
	return NR_SEEN;
}

/* Whether a point at @object counts; NULL: it does. */
static bool counts(const struct task *task, const void *object)
{
	const unsigned at = object ? seen_find(object) : NR_SEEN;

	if (at == NR_SEEN)
		return true;
	if (s.learns) {
		seen[at].object = object;
		seen[at].tasks |= 1u << (task - s.tasks);
		return true;
	}
	return !s.has_learned || (seen[at].tasks & (seen[at].tasks - 1)) != 0;
}

void sched_learn(bool learn)
{
	if (learn)
		memset(seen, 0, sizeof(seen));
	s.learns = learn;
	s.has_learned = !learn;
}

/* Who goes on ------------------------------------------------------------ */

static void __attribute__((noreturn)) give_up(const char *why)
{
	fprintf(stderr, "schedule: %s after %llu points\n", why, (unsigned long long)s.result.points);
	for (unsigned i = 0; i < s.nr_tasks; i++) {
		const struct task *task = &s.tasks[i];

		if (task->state != TASK_OVER)
			fprintf(stderr, "schedule: task %u (%s) %s %p\n", i, task->name,
				task->state == TASK_READY ? "is ready" : "waits for",
				task->waits_for);
	}
	abort();
}

/* The one of the highest priority that is ready; NULL: all wait. */
static struct task *highest(void)
{
	struct task *best = NULL;

	for (unsigned i = 0; i < s.nr_tasks; i++)
		if (s.tasks[i].state == TASK_READY &&
		    (!best || s.tasks[i].priority > best->priority))
			best = &s.tasks[i];
	return best;
}

/* Time passes until the first of the timed waits is over. */
static struct task *wake_by_time(void)
{
	struct task *first = NULL;

	for (unsigned i = 0; i < s.nr_tasks; i++) {
		struct task *task = &s.tasks[i];

		if (task->state == TASK_WAITS && task->is_timed &&
		    (!first || task->until_ns < first->until_ns))
			first = task;
	}
	if (!first)
		give_up("all tasks wait");
	if (first->until_ns > s.now_ns)
		s.now_ns = first->until_ns;
	first->timed_out = true;
	first->state = TASK_READY;
	return first;
}

static void wait_for_turn(struct task *task)
{
	while (__real_sem_wait(&task->go) != 0)
		;
}

/* Let the first of those that can go on; return when that is the caller again. */
static void dispatch(void)
{
	struct task *me = self, *next = highest();
	const bool over = me->state == TASK_OVER;

	if (!next)
		next = wake_by_time();
	if (next == me)
		return;
	s.result.switches++;
	me->alone = 0;
	next->alone = 0;
	(void)__real_sem_post(&next->go);
	if (!over)
		wait_for_turn(me);
}

static void lower(struct task *task)
{
	task->priority = --s.lowest;
}

/* @named: at a zt_hook() */
static void point(const void *object, bool named)
{
	struct task *me = self;

	if (!me)
		return;
	if (me != &s.tasks[0] && (s.named_only ? named : counts(me, object))) {
		s.result.points++;
		if (s.next_change < s.plan.nr_changes &&
		    s.result.points >= s.plan.changes[s.next_change]) {
			s.next_change++;
			lower(me);
		}
	}
	if (++me->alone > MAX_ALONE) {
		me->alone = 0;
		lower(me);
	}
	if (++s.all_points > MAX_POINTS)
		give_up("no end");
	dispatch();
}

static void point_at(const void *object)
{
	point(object, false);
}

void sched_point(void)
{
	point_at(NULL);
}

/* Return: false when the time was over. */
static bool wait_on(const void *what, bool is_timed, int64_t until_ns)
{
	struct task *me = self;

	me->state = TASK_WAITS;
	me->waits_for = what;
	me->is_timed = is_timed;
	me->until_ns = until_ns;
	me->timed_out = false;
	dispatch();
	me->waits_for = NULL;
	return !me->timed_out;
}

/* Those that wait for it are ready; @most of them, those of the highest priority first. */
static void wake(const void *what, unsigned most)
{
	while (most-- > 0) {
		struct task *best = NULL;

		for (unsigned i = 0; i < s.nr_tasks; i++) {
			struct task *task = &s.tasks[i];

			if (task->state == TASK_WAITS && task->waits_for == what &&
			    (!best || task->priority > best->priority))
				best = task;
		}
		if (!best)
			return;
		best->state = TASK_READY;
	}
}

/* Runs ------------------------------------------------------------------- */

struct sched_plan sched_random_plan(uint64_t *seed, uint64_t points, unsigned most_changes)
{
	struct sched_plan plan = { .seed = zt_random(seed) };

	plan.nr_changes = most_changes ? (unsigned)(zt_random(seed) % (most_changes + 1)) : 0;
	for (unsigned i = 0; i < plan.nr_changes; i++) {
		uint64_t at = 1 + zt_random(seed) % (points ? points : 1);
		unsigned j = i;

		for (; j > 0 && plan.changes[j - 1] > at; j--)
			plan.changes[j] = plan.changes[j - 1];
		plan.changes[j] = at;
	}
	return plan;
}

/* Above all that changes give, and below the first task's. */
static int64_t first_priority(unsigned nr)
{
	if (s.plan.rotate == 0)
		return (int64_t)(zt_random(&s.plan.seed) >> 8);
	return nr == s.plan.rotate ? SCHED_MAX_TASKS + 1 : SCHED_MAX_TASKS - nr;
}

static struct task *task_new(void)
{
	struct task *task = &s.tasks[s.nr_tasks];

	if (s.nr_tasks == SCHED_MAX_TASKS)
		give_up("too many tasks");
	memset(task, 0, sizeof(*task));
	task->name = "";
	task->priority = s.nr_tasks == 0 ? INT64_MAX : first_priority(s.nr_tasks);
	(void)sem_init(&task->go, 0, 0);
	s.nr_tasks++;
	return task;
}

#ifdef ZT_DEBUG
static void at_hook(void *arg, const char *where, uint64_t what)
{
	(void)arg;
	(void)where;
	(void)what;
	point(NULL, true);
}

static void at_store(void *arg, const char *where)
{
	(void)arg;
	(void)where;
	sched_point();
}
#endif

void sched_begin(const struct sched_plan *plan)
{
	struct timespec now;

	(void)__real_clock_gettime(CLOCK_MONOTONIC, &now);
	s.nr_tasks = 0;
	s.plan = *plan;
	s.next_change = 0;
	s.lowest = 0;
	s.all_points = 0;
	s.result = (struct sched_result){ 0 };
	s.now_ns = now.tv_sec * NS_PER_S;
	self = task_new();
	self->name = "first";
#ifdef ZT_DEBUG
	zt_hook_set(at_hook, NULL);
	zt_looks_set(point_at);
	zt_stored_set(at_store, NULL);
#endif
}

void sched_end(struct sched_result *out_result)
{
	for (unsigned i = 1; i < s.nr_tasks; i++)
		if (s.tasks[i].state != TASK_OVER)
			give_up("a task was not joined");
	for (unsigned i = 0; i < s.nr_tasks; i++)
		(void)sem_destroy(&s.tasks[i].go);
#ifdef ZT_DEBUG
	zt_hook_set(NULL, NULL);
	zt_looks_set(NULL);
	zt_stored_set(NULL, NULL);
#endif
	self = NULL;
	s.now_ns = 0;
	*out_result = s.result;
}

void sched_named_only(bool only)
{
	s.named_only = only;
}

void sched_random(uint64_t seed)
{
	s.has_random = true;
	s.random = seed;
}

void sched_on_kill(void (*on_kill)(pthread_t thread))
{
	s.on_kill = on_kill;
}

void sched_name(const char *name)
{
	if (self)
		self->name = name;
}

/* Locks ------------------------------------------------------------------ */

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_tryrdlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_trywrlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				  const struct timespec *until);
int __wrap_pthread_cond_signal(pthread_cond_t *cond);
int __wrap_pthread_cond_broadcast(pthread_cond_t *cond);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_join(pthread_t thread, void **out_result);
int __wrap_pthread_kill(pthread_t thread, int sig);
int __wrap_sem_wait(sem_t *sem);
int __wrap_sem_post(sem_t *sem);
int __wrap_sched_yield(void);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out_now);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags);

static int mutex_take(pthread_mutex_t *mutex)
{
	int error;

	while ((error = __real_pthread_mutex_trylock(mutex)) == EBUSY)
		(void)wait_on(mutex, false, 0);
	return error;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (!self)
		return __real_pthread_mutex_lock(mutex);
	point_at(mutex);
	return mutex_take(mutex);
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	point_at(mutex);
	return __real_pthread_mutex_trylock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	int error = __real_pthread_mutex_unlock(mutex);

	if (self) {
		wake(mutex, SCHED_MAX_TASKS);
		point_at(mutex);
	}
	return error;
}

int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
	int error;

	if (!self)
		return __real_pthread_rwlock_rdlock(lock);
	point_at(lock);
	while ((error = __real_pthread_rwlock_tryrdlock(lock)) == EBUSY)
		(void)wait_on(lock, false, 0);
	return error;
}

int __wrap_pthread_rwlock_tryrdlock(pthread_rwlock_t *lock)
{
	point_at(lock);
	return __real_pthread_rwlock_tryrdlock(lock);
}

int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	int error;

	if (!self)
		return __real_pthread_rwlock_wrlock(lock);
	point_at(lock);
	while ((error = __real_pthread_rwlock_trywrlock(lock)) == EBUSY)
		(void)wait_on(lock, false, 0);
	return error;
}

int __wrap_pthread_rwlock_trywrlock(pthread_rwlock_t *lock)
{
	point_at(lock);
	return __real_pthread_rwlock_trywrlock(lock);
}

int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	int error = __real_pthread_rwlock_unlock(lock);

	if (self) {
		wake(lock, SCHED_MAX_TASKS);
		point_at(lock);
	}
	return error;
}

/* Conditions ------------------------------------------------------------- */

/* Between giving the mutex back and waiting nobody else runs. */
static int cond_wait_task(pthread_cond_t *cond, pthread_mutex_t *mutex, bool is_timed,
			  int64_t until_ns)
{
	bool in_time;

	point_at(mutex);
	(void)__real_pthread_mutex_unlock(mutex);
	wake(mutex, SCHED_MAX_TASKS);
	in_time = wait_on(cond, is_timed, until_ns);
	(void)mutex_take(mutex);
	return in_time ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	if (!self)
		return __real_pthread_cond_wait(cond, mutex);
	return cond_wait_task(cond, mutex, false, 0);
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				  const struct timespec *until)
{
	if (!self)
		return __real_pthread_cond_timedwait(cond, mutex, until);
	return cond_wait_task(cond, mutex, true, until->tv_sec * NS_PER_S + until->tv_nsec);
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
	if (!self)
		return __real_pthread_cond_signal(cond);
	wake(cond, 1);
	point_at(cond);
	return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
	if (!self)
		return __real_pthread_cond_broadcast(cond);
	wake(cond, SCHED_MAX_TASKS);
	point_at(cond);
	return 0;
}

int __wrap_sem_wait(sem_t *sem)
{
	if (!self)
		return __real_sem_wait(sem);
	point_at(sem);
	while (sem_trywait(sem) != 0)
		(void)wait_on(sem, false, 0);
	return 0;
}

int __wrap_sem_post(sem_t *sem)
{
	int error = __real_sem_post(sem);

	if (self) {
		wake(sem, SCHED_MAX_TASKS);
		point_at(sem);
	}
	return error;
}

/* Threads, time, chance -------------------------------------------------- */

static void *task_main(void *arg)
{
	struct task *task = arg;

	self = task;
	wait_for_turn(task);
	task->result = task->fn(task->arg);
	task->state = TASK_OVER;
	wake(task, SCHED_MAX_TASKS);
	dispatch();
	self = NULL;
	return task->result;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	struct task *task;
	int error;

	if (!self)
		return __real_pthread_create(thread, attr, fn, arg);
	task = task_new();
	task->fn = fn;
	task->arg = arg;
	error = __real_pthread_create(&task->thread, attr, task_main, task);
	if (error) {
		s.nr_tasks--;
		return error;
	}
	*thread = task->thread;
	sched_point();
	return 0;
}

int __wrap_pthread_join(pthread_t thread, void **out_result)
{
	struct task *task = NULL;

	if (!self)
		return __real_pthread_join(thread, out_result);
	for (unsigned i = 1; i < s.nr_tasks; i++)
		if (s.tasks[i].fn && pthread_equal(s.tasks[i].thread, thread))
			task = &s.tasks[i];
	if (task) {
		while (task->state != TASK_OVER)
			(void)wait_on(task, false, 0);
		task->fn = NULL; /* the C library may give the same name to another */
	}
	return __real_pthread_join(thread, out_result);
}

int __wrap_pthread_kill(pthread_t thread, int sig)
{
	if (!self || !s.on_kill)
		return __real_pthread_kill(thread, sig);
	sched_point();
	s.on_kill(thread);
	return 0;
}

int __wrap_sched_yield(void)
{
	if (!self)
		return __real_sched_yield();
	lower(self);
	sched_point();
	return 0;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	if (!self)
		return __real_nanosleep(time, left);
	(void)wait_on(time, true, s.now_ns + time->tv_sec * NS_PER_S + time->tv_nsec);
	return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *out_now)
{
	if (!self || (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE))
		return __real_clock_gettime(clock, out_now);
	sched_point();
	s.now_ns += 1000;
	*out_now = (struct timespec){ .tv_sec = s.now_ns / NS_PER_S,
				      .tv_nsec = s.now_ns % NS_PER_S };
	return 0;
}

ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags)
{
	char *bytes = buf;

	if (!s.has_random)
		return __real_getrandom(buf, len, flags);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)zt_random(&s.random);
	return (ssize_t)len;
}
