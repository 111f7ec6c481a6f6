/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jobs.h - requests with a device that a test waits for. Included once, by the test itself.
 */
#ifndef ZT_TESTS_ZCOMP_JOBS_H
#define ZT_TESTS_ZCOMP_JOBS_H

#include <check.h>
#include <pthread.h>
#include <semaphore.h>

#include "zcomp/zcomp.h"

struct job {
	struct zcomp_req req;
	struct zcomp_strm *strm;
	sem_t done;
	int error;
	pthread_t by; /* what thread ended it */
};

/* A zcomp_done_fn; @arg: the job. */
static inline void job_done(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	struct job *job = arg;

	ck_assert_ptr_eq(strm, job->strm);
	ck_assert_ptr_eq(req, &job->req);
	job->error = error;
	job->by = pthread_self();
	sem_post(&job->done);
}

#endif
