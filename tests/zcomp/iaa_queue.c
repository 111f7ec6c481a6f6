// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * iaa_queue.c - contrib/codecs/iaa.c before a queue that is emulated: a thread takes descriptors and does what the
 * device would, by zlib with a window of 4 KiB and fixed codes, or fails as it is told. tests/zcomp/codecs builds it.
 */
#define IAA_EMULATED
#include IAA_SOURCE

#include <assert.h>
#include <pthread.h>

#include <zlib.h>

#define UNIT 16384u

/* What the device does with requests. */
enum fate { WORKS, IS_FULL, WAS_FULL, FAULTS, FAILS, SHORT_RECORD, NEVER_ENDS, NR_FATES };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static const struct iax_hw_desc *queued;
static enum fate fate;
static bool stop;
static unsigned nr_refused, nr_taken;

int iaa_emulated_submit(const struct iax_hw_desc *desc)
{
	int refused;

	pthread_mutex_lock(&lock);
	refused = queued || fate == IS_FULL || (fate == WAS_FULL && nr_refused % 8 != 7);
	nr_refused += (unsigned)refused;
	if (!refused) {
		assert((uintptr_t)desc % 64 == 0 && desc->completion_addr % 32 == 0);
		assert(desc->opcode == IAX_OPCODE_COMPRESS && desc->flags & IDXD_OP_FLAG_CRAV);
		assert(desc->src2_size == 1568 && desc->src2_addr % 32 == 0);
		nr_refused += fate == WAS_FULL;
		nr_taken++;
		queued = desc;
		pthread_cond_signal(&cond);
	}
	pthread_mutex_unlock(&lock);
	return refused;
}

static uint8_t compress_fixed(const struct iax_hw_desc *desc, uint32_t *out_size)
{
	z_stream stream = { .next_in = (Bytef *)(uintptr_t)desc->src1_addr,
			    .avail_in = desc->src1_size,
			    .next_out = (Bytef *)(uintptr_t)desc->dst_addr,
			    .avail_out = desc->max_dst_size };
	int end;

	assert(deflateInit2(&stream, 6, Z_DEFLATED, -12, 8, Z_FIXED) == Z_OK);
	end = deflate(&stream, Z_FINISH);
	*out_size = (uint32_t)stream.total_out;
	deflateEnd(&stream);
	return end == Z_STREAM_END ? IAX_COMP_SUCCESS : IAX_COMP_OUTBUF_OVERFLOW;
}

static void *device(void *arg)
{
	pthread_mutex_lock(&lock);
	while (!stop) {
		const struct iax_hw_desc *desc = queued;
		struct iax_completion_record *record;
		uint32_t size = 0;
		uint8_t status;

		if (!desc) {
			pthread_cond_wait(&cond, &lock);
			continue;
		}
		record = (struct iax_completion_record *)(uintptr_t)desc->completion_addr;
		status = fate == FAULTS       ? IAX_COMP_PAGE_FAULT_IR
			 : fate == FAILS      ? IAX_COMP_HW_ERR1
			 : fate == NEVER_ENDS ? IAX_COMP_NONE
					      : compress_fixed(desc, &size);
		record->output_size = fate == SHORT_RECORD ? 0xffffffff : size;
		queued = NULL;
		__atomic_store_n(&record->status, status, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&lock);
	return arg;
}

static void log_line(const char *line)
{
	printf("%s\n", line);
}

static void *map(size_t size)
{
	void *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return ptr == MAP_FAILED ? NULL : ptr;
}

static void unmap(void *ptr, size_t size)
{
	munmap(ptr, size);
}

static void fill(char *data, unsigned kind)
{
	uint32_t random = kind + 1;

	for (unsigned i = 0; i < UNIT; i++) {
		random = random * 1664525 + 1013904223;
		data[i] = kind % 3 == 0 ? "some words that come again and again, "[i % 38]
			  : kind % 3 == 1 ? (char)(random >> 24)
					  : (char)((random >> 24) % 4 + 'a');
	}
}

/* Every piece comes back, whatever the device does. Return: pieces that did not shrink. */
static unsigned there_and_back(const struct zcomp_params *params, struct zcomp_strm *strm, unsigned nr)
{
	static char data[UNIT], packed[2 * UNIT], back[UNIT];
	unsigned nr_raw = 0;

	for (unsigned i = 0; i < nr; i++) {
		struct zcomp_req req = { .src = data, .src_len = UNIT - i % 5 * 1000, .dst = packed,
					 .dst_cap = i % 2 ? sizeof(packed) : UNIT / 2 };
		int error;

		fill(data, i);
		memset(packed, '#', sizeof(packed));
		error = iaa_compress(params, strm, &req);
		assert(error == 0 || error == -ENOSPC);
		nr_raw += error != 0;
		for (size_t at = req.dst_cap; at < sizeof(packed); at++)
			assert(packed[at] == '#');
		if (error)
			continue;
		req = (struct zcomp_req){ .src = packed, .src_len = req.dst_len, .dst = back,
					  .dst_cap = UNIT };
		assert(iaa_decompress(params, strm, &req) == 0);
		assert(req.dst_len == UNIT - i % 5 * 1000 && memcmp(back, data, req.dst_len) == 0);
	}
	return nr_raw;
}

int main(void)
{
	static const struct zcomp_host host = { .struct_size = sizeof(host), .log = log_line, .alloc = malloc,
						.free = free, .map = map, .unmap = unmap };
	struct zcomp_params params = { .level = 1, .unit = UNIT, .host = &host };
	struct zcomp_caps caps = { 0 };
	pthread_t thread;

	assert(iaa_setup_params(&params, &caps) == 0);
	assert(pthread_create(&thread, NULL, device, NULL) == 0);
	for (unsigned i = 0; i < NR_FATES; i++) {
		struct zcomp_strm strm = { 0 };
		unsigned nr_raw, before = nr_taken;

		pthread_mutex_lock(&lock);
		fate = (enum fate)i;
		pthread_mutex_unlock(&lock);
		assert(iaa_create_ctx(&params, &strm.ctx) == 0);
		nr_raw = there_and_back(&params, &strm, 30);
		/* A stream that was lost goes on without the device: one request reached it. */
		assert(nr_taken - before == (i == IS_FULL ? 0 : i == NEVER_ENDS ? 1 : 30));
		assert(nr_raw > 0 && nr_raw < 15);
		printf("fate %u: %u of 30 requests reached the device\n", i, nr_taken - before);
		iaa_destroy_ctx(&params, &strm.ctx);
	}
	pthread_mutex_lock(&lock);
	stop = true;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	iaa_release_params(&params);
	return 0;
}
