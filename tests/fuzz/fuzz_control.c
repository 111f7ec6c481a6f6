// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_control.c - what ztmpfsctl asks for by ioctl, with any numbers and texts in it, and messages that are no
 * requests at all. Each request has its one answer, and afterwards the walker finds the filesystem whole.
 *
 * Of each step the first byte says what it is: a control request as control.h has it, the same with another length,
 * a number that stands for none, a write that is in its way, or bytes that are sent as they are behind a header.
 */
#include "tests/fuse/fixture.h"
#include "tests/fuzz/fuzz.h"
#include "ztmpfs/control.h"

#define MAX_STEPS 32u
#define MAX_BYTES 20000u /* of the largest struct, and a few more */

/* UPGRADE is not among them: it would start what the input names. */
static const unsigned long commands[] = {
	ZTMPFS_IOC_INFO,     ZTMPFS_IOC_STAT,	  ZTMPFS_IOC_COMPACT,	ZTMPFS_IOC_RECOMPRESS, ZTMPFS_IOC_FILE_STAT,
	ZTMPFS_IOC_GET_ATTR, ZTMPFS_IOC_SET_ATTR, ZTMPFS_IOC_SET,	ZTMPFS_IOC_POOL_STAT,  ZTMPFS_IOC_TRACE,
	ZTMPFS_IOC_CLONE,    ZTMPFS_IOC_SAVE,
};

static uint64_t file_ino, dir_ino;

static void control(struct fuzz_input *in, uint8_t how)
{
	static char buf[sizeof(struct fuse_ioctl_in) + MAX_BYTES];
	unsigned long cmd = commands[fuzz_byte(in) % ARRAY_SIZE(commands)];
	struct fuse_ioctl_in head = { .fh = 0 };
	const uint64_t ino = how & 16 ? ROOT : how & 32 ? dir_ino : file_ino;
	struct wire_reply reply;
	uint32_t version = ZTMPFS_STAT_VERSION, size = (uint32_t)_IOC_SIZE(cmd);

	if (how & 64)
		size = (uint32_t)fuzz_byte(in) * 64 + fuzz_byte(in);
	if (how & 128)
		cmd = fuzz_byte(in);
	head.cmd = (uint32_t)(how & 128 ? _IOC(_IOC_READ | _IOC_WRITE, 'Z', cmd, size) :
					  _IOC(_IOC_DIR(cmd), 'Z', _IOC_NR(cmd), size));
	head.in_size = _IOC_DIR(head.cmd) & _IOC_WRITE ? size : 0;
	head.out_size = _IOC_DIR(head.cmd) & _IOC_READ ? size : 0;
	memcpy(buf, &head, sizeof(head));
	memset(buf + sizeof(head), 0, size);
	/* The version as it must be, unless the input says otherwise; then what the input has, cut short at 200 bytes. */
	fuzz_bytes(in, buf + sizeof(head), size < 200 ? size : 200);
	if (how & 8 && size >= 8) {
		memcpy(buf + sizeof(head), &version, sizeof(version));
		memcpy(buf + sizeof(head) + 4, &size, sizeof(size));
	}
	(void)wire_try(&wire, FUSE_IOCTL, ino, buf, sizeof(head) + head.in_size, &reply);
}

static void raw(struct fuzz_input *in)
{
	char buf[256];
	const size_t len = fuzz_byte(in);
	uint32_t opcode = fuzz_byte(in);
	struct wire_reply reply;

	/*
	 * What ends or begins a connection is not sent twice; an interrupt has no answer of its own. libfuse loses the
	 * memory of a reply to a notification that nobody has sent.
	 */
	if (opcode == FUSE_INIT || opcode == FUSE_DESTROY || opcode == FUSE_INTERRUPT || opcode == FUSE_NOTIFY_REPLY)
		opcode = FUSE_GETATTR;
	fuzz_bytes(in, buf, len);
	(void)wire_try(&wire, opcode, fuzz_byte(in), buf, len, &reply);
}

static void write_some(struct fuzz_input *in)
{
	static char data[65536];
	const uint32_t len = 1 + (uint32_t)fuzz_byte(in) * 256;

	memset(data, fuzz_byte(in), len);
	(void)wire_write(&wire, file_ino, (uint64_t)fuzz_byte(in) * 4096, data, len, 0);
}

static void prepare(enum ztfuse_cache cache)
{
	struct fuse_entry_out entry = { 0 };

	fixture_make(cache);
	wire_start_transport(&wire, &front, FIXTURE_OFFERED, 36);
	ck_assert_int_eq(wire_mkdir(&wire, ROOT, "dir", 0755, &entry), 0);
	dir_ino = entry.nodeid;
	ck_assert_int_eq(wire_mknod(&wire, dir_ino, "file", S_IFREG | 0644, &entry), 0);
	file_ino = entry.nodeid;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	zt_log_set_sink(NULL);
	prepare(fuzz_byte(&in) & 1 ? ZTFUSE_CACHE_NEVER : ZTFUSE_CACHE_WRITEBACK);
	for (unsigned i = 0; in.left > 0 && i < MAX_STEPS; i++) {
		const uint8_t how = fuzz_byte(&in);

		if ((how & 7) == 0)
			raw(&in);
		else if ((how & 7) == 1)
			write_some(&in);
		else
			control(&in, how);
	}
	teardown();
	return 0;
}
