// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * line.c - things that wait for their turn, and a thread that serves them. See line.h.
 */
#include "util/line.h"

#include <errno.h>

#include "util/alloc.h"
#include "util/lock.h"

void line_remove(struct line *line, struct line_item *item)
{
	struct line_item **link = &line->first;

	while (*link != item)
		link = &(*link)->next;
	*link = item->next;
	if (!item->next)
		line->last = link;
}

/* Return: NULL at the end. */
static struct line_item *next_item(struct line_thread *thread)
{
	struct line_item *item;

	mutex_lock(&thread->lock);
	while (!(item = line_take(&thread->line)) && !thread->stop)
		cond_wait(&thread->cond, &thread->lock);
	mutex_unlock(&thread->lock);
	return item;
}

static void *thread_main(void *arg)
{
	struct line_thread *thread = arg;
	struct line_item *item;

	while ((item = next_item(thread)) != NULL)
		thread->serve(thread, item);
	return NULL;
}

/* Under the lock. */
static int make_thread(struct line_thread *thread)
{
	int error;

	if (thread->stop)
		return -ECANCELED;
	if (thread->runs)
		return 0;
	error = zt_fault_hit() ? EAGAIN
			       : pthread_create(&thread->thread, NULL, thread_main, thread);
	if (error)
		return -error;
	(void)pthread_setname_np(thread->thread, thread->name); /* for people only */
	thread->runs = true;
	return 0;
}

int line_thread_start(struct line_thread *thread)
{
	int error;

	mutex_lock(&thread->lock);
	error = make_thread(thread);
	mutex_unlock(&thread->lock);
	return error;
}

bool line_thread_add(struct line_thread *thread, struct line_item *item)
{
	bool taken;

	mutex_lock(&thread->lock);
	taken = thread->runs && !thread->stop;
	if (taken) {
		line_add(&thread->line, item);
		cond_signal(&thread->cond);
	}
	mutex_unlock(&thread->lock);
	return taken;
}

bool line_thread_ends(struct line_thread *thread)
{
	bool ends;

	mutex_lock(&thread->lock);
	ends = thread->stop;
	mutex_unlock(&thread->lock);
	return ends;
}

void line_thread_init(struct line_thread *thread, const char *name,
		      void (*serve)(struct line_thread *thread, struct line_item *item))
{
	*thread = (struct line_thread){ .name = name, .serve = serve };
	line_init(&thread->line);
	mutex_init(&thread->lock, ZT_RANK_LINE_THREAD);
	cond_init(&thread->cond);
}

void line_thread_stop(struct line_thread *thread)
{
	bool join;

	mutex_lock(&thread->lock);
	thread->stop = true;
	join = thread->runs;
	thread->runs = false;
	cond_signal(&thread->cond);
	mutex_unlock(&thread->lock);
	if (join)
		zt_lock_check(pthread_join(thread->thread, NULL));
}

void line_thread_exit(struct line_thread *thread)
{
	cond_exit(&thread->cond);
	mutex_exit(&thread->lock);
}
