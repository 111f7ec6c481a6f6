// SPDX-License-Identifier: MIT
/*
 * iaa.c - raw deflate (RFC 1951) for ztmpfs, compressed by Intel's In-Memory Analytics Accelerator.
 *
 * Each context has a descriptor, a completion record and an output buffer that only the device and this
 * file know. A compression is one descriptor with the fixed Huffman table, brought to a shared queue
 * and polled for. The device looks back 4 KiB, so deflate's window is as long. What it refuses, fails
 * at or does not end in time is done by libdeflate; so is all decompression, since the device could not
 * decode what looks further back.
 *
 * ZTMPFS_IAA_QUEUE names the queue, such as /dev/iax/wq1.0; otherwise the first one is taken that can
 * be opened. Where there is none all is done by libdeflate, and a line says so.
 *
 * Locks: none. A context that the device did not give back in time has no device any more: what comes
 * late is written to its own buffer.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/idxd.h>

#include "deflate.h"

#define PORTAL_SIZE    4096
#define PORTAL_STRIDE  64 /* any address in the portal is the same door */
#define SUBMIT_TRIES   1000 /* of a queue that is full */
#define TIMEOUT_NS     1000000000ull
#define POLLS_PER_LOOK 1000 /* at the clock */
#define COMP_FLUSH     (1u << 1)
#define COMP_APPEND_EOB (1u << 2)

/* What the device is told of the code, as the kernel's driver lays it out. */
struct aecs {
	uint32_t crc, xor_checksum;
	uint32_t reserved0[5];
	uint32_t nr_bits; /* of accum: what comes first in the output */
	uint8_t accum[256];
	uint32_t literals[286]; /* length of the code << 15 | code */
	uint32_t reserved1[2];
	uint32_t distances[30];
	uint32_t reserved2[2];
} __attribute__((packed));

struct queue {
	struct aecs aecs __attribute__((aligned(64)));
	int fd; /* -1: no device */
	char *portal; /* NULL: descriptors are written to fd */
};

struct context {
	struct iax_hw_desc desc __attribute__((aligned(64)));
	struct iax_completion_record record __attribute__((aligned(64)));
	bool lost; /* the device has not given this back */
	struct libdeflate_compressor *compressor; /* NULL where nothing is compressed */
	struct libdeflate_decompressor *decompressor;
	char output[] __attribute__((aligned(64))); /* the largest request and a line more */
};

/* The queue ------------------------------------------------------------------ */

#ifdef IAA_EMULATED
/* A test's queue: 0: taken, else it is full. */
int iaa_emulated_submit(const struct iax_hw_desc *desc);
#endif

/* ENQCMD: 64 bytes, taken or not. */
static bool enqcmd(void *portal, const void *desc)
{
#if defined(__x86_64__) && !defined(IAA_EMULATED)
	uint8_t retry;

	__asm__ volatile(".byte 0xf2, 0x0f, 0x38, 0xf8, 0x02\n\tsetz %0"
			 : "=q"(retry)
			 : "a"(portal), "d"(desc)
			 : "cc", "memory");
	return !retry;
#else
	(void)portal;
	(void)desc;
	return false;
#endif
}

static void pause_cpu(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

static bool submit_once(const struct queue *queue, const struct iax_hw_desc *desc)
{
#ifdef IAA_EMULATED
	return iaa_emulated_submit(desc) == 0;
#endif
	/* Kernels from 6.9 on let only privileged programs map the portals of some devices. */
	if (!queue->portal)
		return write(queue->fd, desc, sizeof(*desc)) == sizeof(*desc);
	return enqcmd(queue->portal + (((uintptr_t)desc / PORTAL_STRIDE) * PORTAL_STRIDE) % PORTAL_SIZE,
		      desc);
}

static bool submit(const struct queue *queue, const struct iax_hw_desc *desc)
{
	/* What the device is to read is there before it is told. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < SUBMIT_TRIES; i++) {
		if (submit_once(queue, desc))
			return true;
		for (unsigned wait = 0; wait < 10; wait++)
			pause_cpu();
	}
	return false;
}

static bool has_enqcmd(void)
{
#ifdef __x86_64__
	uint32_t a = 7, b = 0, c = 0, d = 0;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c >> 29 & 1;
#else
	return false;
#endif
}

static int open_queue(struct queue *queue, const char *path)
{
	void *portal;

	queue->fd = open(path, O_RDWR | O_CLOEXEC);
	if (queue->fd < 0)
		return -errno;
	portal = mmap(NULL, PORTAL_SIZE, PROT_WRITE, MAP_SHARED | MAP_POPULATE, queue->fd, 0);
	queue->portal = portal != MAP_FAILED && has_enqcmd() ? portal : NULL;
	if (portal != MAP_FAILED && !queue->portal)
		munmap(portal, PORTAL_SIZE);
	return 0;
}

static int find_queue(struct queue *queue)
{
	const char *path = getenv("ZTMPFS_IAA_QUEUE");
	int error = -ENODEV;
	glob_t found;

#ifdef IAA_EMULATED
	return 0;
#endif
	if (path)
		return open_queue(queue, path);
	if (glob("/dev/iax/wq*", 0, NULL, &found) != 0)
		return -ENODEV;
	for (size_t i = 0; error && i < found.gl_pathc; i++)
		error = open_queue(queue, found.gl_pathv[i]);
	globfree(&found);
	return error;
}

/* RFC 1951, 3.2.6, and the header of one last block. */
static void fill_aecs(struct aecs *aecs)
{
	for (uint32_t i = 0; i < 286; i++)
		aecs->literals[i] = i < 144   ? 8u << 15 | (0x30 + i)
				    : i < 256 ? 9u << 15 | (0x190 + i - 144)
				    : i < 280 ? 7u << 15 | (i - 256)
					      : 8u << 15 | (0xc0 + i - 280);
	for (uint32_t i = 0; i < 30; i++)
		aecs->distances[i] = 5u << 15 | i;
	aecs->accum[0] = 1 | 1 << 1;
	aecs->nr_bits = 3;
}

static int iaa_setup_params(struct zcomp_params *params, struct zcomp_caps *caps)
{
	struct queue *queue = params->host->map(sizeof(*queue));
	char line[256];
	int error;

	(void)caps;
	if (!queue)
		return -ENOMEM;
	queue->fd = -1;
	fill_aecs(&queue->aecs);
	error = find_queue(queue);
	if (error) {
		queue->fd = -1;
		snprintf(line, sizeof(line), "iaa: no queue of a device (%s): libdeflate does the work",
			 strerror(-error));
		params->host->log(line);
	}
	params->drv_data = queue;
	return 0;
}

static void iaa_release_params(struct zcomp_params *params)
{
	struct queue *queue = params->drv_data;

	if (queue->portal)
		munmap(queue->portal, PORTAL_SIZE);
	if (queue->fd >= 0)
		close(queue->fd);
	params->host->unmap(queue, sizeof(*queue));
}

/* Contexts ------------------------------------------------------------------- */

static size_t context_size(const struct zcomp_params *params)
{
	return sizeof(struct context) + params->unit + 64;
}

static bool is_pending(const struct context *context)
{
	return __atomic_load_n(&context->record.status, __ATOMIC_ACQUIRE) == IAX_COMP_NONE;
}

static void iaa_destroy_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	struct context *context = ctx->context;

	if (context->compressor)
		libdeflate_free_compressor(context->compressor);
	if (context->decompressor)
		libdeflate_free_decompressor(context->decompressor);
	/* Memory that a device may still write to is never given to anybody else. */
	if (!context->lost || !is_pending(context))
		params->host->unmap(context, context_size(params));
	ctx->context = NULL;
}

static int iaa_create_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	struct context *context = params->host->map(context_size(params));

	if (!context)
		return -ENOMEM;
	context->decompressor = libdeflate_alloc_decompressor();
	if (!params->decode_only)
		context->compressor = libdeflate_alloc_compressor(params->level);
	ctx->context = context;
	if (context->decompressor && (context->compressor || params->decode_only))
		return 0;
	iaa_destroy_ctx(params, ctx);
	return -ENOMEM;
}

/* Compression ---------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool wait_record(const struct context *context)
{
	const uint64_t until = now_ns() + TIMEOUT_NS;

	do {
		for (unsigned i = 0; i < POLLS_PER_LOOK; i++) {
			if (!is_pending(context))
				return true;
			pause_cpu();
		}
	} while (now_ns() < until);
	return !is_pending(context);
}

static void fill_desc(const struct queue *queue, struct context *context, const struct zcomp_req *req,
		      uint32_t cap)
{
	/* A page that is not there would end the request: so all of the output is touched before. */
	for (uint32_t at = 0; at < cap; at += 4096)
		((volatile char *)context->output)[at] = 0;
	memset(&context->record, 0, sizeof(context->record));
	context->desc = (struct iax_hw_desc){
		.flags = IDXD_OP_FLAG_CRAV | IDXD_OP_FLAG_RCR | IDXD_OP_FLAG_CC | IDXD_OP_FLAG_RD_SRC2_AECS,
		.opcode = IAX_OPCODE_COMPRESS,
		.completion_addr = (uintptr_t)&context->record,
		.src1_addr = (uintptr_t)req->src,
		.src1_size = (uint32_t)req->src_len,
		.dst_addr = (uintptr_t)context->output,
		.max_dst_size = cap,
		.compr_flags = COMP_FLUSH | COMP_APPEND_EOB,
		.src2_addr = (uintptr_t)&queue->aecs,
		.src2_size = sizeof(queue->aecs),
	};
}

/* Return: 0, -ENOSPC, or -EIO: libdeflate shall do it. */
static int compress_by_device(const struct queue *queue, struct context *context,
			      const struct zcomp_params *params, struct zcomp_req *req)
{
	const size_t room = params->unit + 64;
	const uint32_t cap = (uint32_t)(req->dst_cap < room ? req->dst_cap : room);

	fill_desc(queue, context, req, cap);
	if (!submit(queue, &context->desc))
		return -EIO;
	if (!wait_record(context)) {
		context->lost = true;
		params->host->log("iaa: a request did not end: its stream goes on without the device");
		return -EIO;
	}
	switch (context->record.status & DSA_COMP_STATUS_MASK) {
	case IAX_COMP_SUCCESS:
		break;
	case IAX_COMP_OUTBUF_OVERFLOW:
		return -ENOSPC;
	default:
		return -EIO;
	}
	if (context->record.output_size == 0 || context->record.output_size > cap)
		return -EIO;
	memcpy(req->dst, context->output, context->record.output_size);
	req->dst_len = context->record.output_size;
	return 0;
}

static bool device_is_there(const struct queue *queue)
{
#ifdef IAA_EMULATED
	return true;
#endif
	return queue->fd >= 0;
}

static int iaa_compress(const struct zcomp_params *params, struct zcomp_strm *strm,
			struct zcomp_req *req)
{
	struct context *context = strm->ctx.context;
	const struct queue *queue = params->drv_data;
	int error = -EIO;

	if (device_is_there(queue) && !context->lost)
		error = compress_by_device(queue, context, params, req);
	if (error != -EIO)
		return error;
	return deflate_encode(context->compressor, req);
}

static int iaa_decompress(const struct zcomp_params *params, struct zcomp_strm *strm,
			  struct zcomp_req *req)
{
	const struct context *context = strm->ctx.context;

	(void)params;
	return deflate_decode(context->decompressor, req);
}

static const struct zcomp_ops iaa_ops = {
	.abi_version = ZCOMP_ABI_VERSION,
	.struct_size = sizeof(struct zcomp_ops),
	.name = "iaa",
	.level_min = 1,
	.level_max = 12,
	.level_default = 1,
	.setup_params = iaa_setup_params,
	.release_params = iaa_release_params,
	.create_ctx = iaa_create_ctx,
	.destroy_ctx = iaa_destroy_ctx,
	.compress = iaa_compress,
	.decompress = iaa_decompress,
};

ZCOMP_MODULE(iaa_ops)
