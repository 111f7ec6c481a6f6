/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * service.h - what the daemon tells a service manager: sd_notify(3)'s protocol, and levels of journals.
 *
 * The protocol is a datagram of NAME=VALUE lines to the socket in $NOTIFY_SOCKET. libsystemd is not
 * used: with its own libraries it would be as large as the daemon, which -o swap locks in memory.
 *
 * One per process. Context: service_open() before there are threads; the rest by any thread.
 */
#ifndef ZT_DAEMON_SERVICE_H
#define ZT_DAEMON_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>

#include "util/compiler.h"

/**
 * service_open() - find out from the environment who wants to be told, and take it out of there
 * A manager waits for the process that it has started, so this is for the foreground. A process that
 * was started by that one is not the service: what it said would be taken for the service's word.
 */
void service_open(void);

/** service_give_back() - undo service_open(), as if the process were new */
void service_give_back(void);

/** service_close() - tell nobody any more */
void service_close(void);

/** service_tell() - lines as sd_notify(3) has them. Nobody listens: nothing is done. */
void service_tell(const char *fmt, ...) ZT_PRINTF(1, 2);

/**
 * service_store() - have the manager keep a descriptor under @name, and give it to the process that it
 * starts after this one
 * It keeps as many as FileDescriptorStoreMax= says, and does not tell of those beyond.
 */
void service_store(const char *name, int fd);

/** service_unstore() - it is not to be kept any longer; gone with service_settle() */
void service_unstore(const char *name);

/** service_settle() - wait until the manager has done what it was told. Return: 0, -ETIMEDOUT, -errno. */
int service_settle(int timeout_ms);

/** service_listens() - somebody is told */
bool service_listens(void);

/** service_watchdog_ns() - how long the manager waits for "WATCHDOG=1"; 0: it does not */
uint64_t service_watchdog_ns(void);

/** service_is_journal() - the error output goes to the journal, which takes a level as "<4>" */
bool service_is_journal(void);

/* How full a mount is. */
enum service_level { SERVICE_LEVEL_FREE, SERVICE_LEVEL_NEAR, SERVICE_LEVEL_FULL };

/**
 * service_level_next() - the level after @was
 * NEAR from 90 % used on and until less than 85 %; FULL with less than 1 MiB, or 1 % where that is
 * less, until twice as much is free.
 */
enum service_level service_level_next(enum service_level was, const struct statvfs *space);

/** service_used_pct() - of all blocks; 0 without any */
unsigned service_used_pct(const struct statvfs *space);

#endif
