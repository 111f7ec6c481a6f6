// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * latency.c - what the kernel can be asked for, so that idle CPUs wake up at once. See latency.h.
 *
 * Locks: none. To open the file asks for nothing yet.
 */
#include "daemon/latency.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define LATENCY_POLL_CPUS 8
#define LATENCY_C1_US     5

static bool cpus_halt(void)
{
	int fd = open("/sys/devices/system/cpu/cpuidle/current_driver", O_RDONLY | O_CLOEXEC);
	char driver[16] = "";

	if (fd < 0)
		return false;
	if (read(fd, driver, sizeof(driver) - 1) < 0)
		driver[0] = '\0';
	close(fd);
	return strcmp(driver, "haltpoll\n") == 0;
}

void latency_open(struct channel_params *inout_params)
{
	const bool poll = cpus_halt();
	const int nr_cpus = get_nprocs();

	if (nr_cpus == 1 || (poll && nr_cpus > LATENCY_POLL_CPUS))
		return;
	inout_params->latency_fd = open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC);
	inout_params->latency_asked = inout_params->latency_fd >= 0;
	inout_params->latency_us = poll ? 0 : LATENCY_C1_US;
}

void latency_close(const struct channel_params *params)
{
	if (params->latency_asked)
		close(params->latency_fd);
}
