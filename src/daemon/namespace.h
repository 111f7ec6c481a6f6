/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * namespace.h - a daemon that does not keep the mount namespace of its caller alive.
 *
 * A mount namespace ends with its last process. A daemon inside would be that process for ever, and
 * with its own mount it would keep all others of the namespace. So it works in a namespace of its
 * own and visits the caller's to mount: when the caller's ends, the mount goes, and with it the
 * daemon.
 */
#ifndef ZT_DAEMON_NAMESPACE_H
#define ZT_DAEMON_NAMESPACE_H

#include <stdbool.h>
#include <sys/types.h>

/* Where the daemon comes from; of the main thread. All zero: it has stayed there. */
struct caller_namespace {
	bool left;
	int caller, own, root; /* descriptors, open from namespace_leave() to namespace_back() */
	dev_t dev; /* of the caller's namespace, */
	ino_t ino; /* by which it is found again */
};

/**
 * namespace_leave() - go into a new mount namespace, unless the caller's is that of process 1
 * What cannot be had (a namespace, /proc) leaves the daemon where it is, as *@out_ns says.
 * Context: before there are threads, which inherit it.
 */
void namespace_leave(struct caller_namespace *out_ns);

/**
 * namespace_visit() - have this thread, and no other, see the caller's namespace
 * All threads have / as their folder afterwards.
 * Return: 0 or -errno; 0 when it has not left.
 */
int namespace_visit(const struct caller_namespace *ns);

/**
 * namespace_back() - the visit is over: nothing of the caller's namespace is held from here on
 * What is mounted in the own one is detached, as far as nothing here needs it.
 * Return: 0 or -errno; 0 when it has not left.
 */
int namespace_back(struct caller_namespace *ns);

/**
 * namespace_open() - open a file as some process in the caller's namespace sees it
 * @check: whether it is the one; others of that path are closed, and other processes asked
 * With it open the namespace, and what is mounted there, lasts.
 * Context: any thread, after namespace_back().
 * Return:  a descriptor, or -ESTALE: there is no such process, or none that sees the file.
 */
int namespace_open(const struct caller_namespace *ns, const char *path, int flags,
		   bool (*check)(int fd, const void *arg), const void *arg);

/**
 * namespace_find() - for unmounting: go to the caller's namespace while some process is in it
 * Only when this is the last thing that the thread has to do with files.
 */
void namespace_find(const struct caller_namespace *ns);

#endif
