// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_requests.c - requests through the wire, the transport and the table: sequences on a few inodes and names, with
 * any numbers in their fixed parts. Each gets its one answer, and afterwards the walker finds the filesystem whole.
 */
#include "tests/fuse/fixture.h"
#include "tests/fuse/forms.h"
#include "tests/fuzz/fuzz.h"

#define MAX_REQUESTS 64u

struct known {
	uint64_t ino[16];
	unsigned nr;
};

/* Mostly one of a few, so that requests meet; else bytes without what the kernel never sends. */
static size_t take_name(struct fuzz_input *in, char *buf)
{
	const uint8_t how = fuzz_byte(in);
	size_t len = how & 0x7f;

	if (how < 0x80)
		return (size_t)sprintf(buf, "n%u", how % 12u) + 1;
	fuzz_bytes(in, buf, len);
	for (size_t i = 0; i < len; i++)
		if (buf[i] == '/' || buf[i] == '\0')
			buf[i] = 'z';
	buf[len] = '\0';
	return len + 1;
}

static size_t take_request(struct fuzz_input *in, const struct form *form,
			   const struct known *known, char *buf)
{
	size_t len = form->fixed_len;
	const uint8_t how = fuzz_byte(in);

	/* Whole, or its first bytes alone, so that short inputs are long sequences. */
	memset(buf, 0, len);
	fuzz_bytes(in, buf, how & 0x80 ? len : len < 16 ? len : 16);
	if (form->opcode == FUSE_LINK || form->opcode == FUSE_RENAME ||
	    form->opcode == FUSE_RENAME2)
		memcpy(buf, &known->ino[how % known->nr], sizeof(known->ino[0]));
	if (form->opcode == FUSE_FORGET)
		memset(buf + 1, 0, 7);
	for (unsigned i = 0; i < form->nr_names; i++)
		len += take_name(in, buf + len);
	return len;
}

static void learn(struct known *known, uint32_t opcode, const struct wire_reply *reply)
{
	struct fuse_entry_out entry;
	const bool is_entry = opcode == FUSE_LOOKUP || opcode == FUSE_MKNOD || opcode == FUSE_MKDIR ||
			      opcode == FUSE_SYMLINK || opcode == FUSE_LINK ||
			      opcode == FUSE_TMPFILE || opcode == FUSE_CREATE;

	if (!is_entry || reply->error || reply->len < sizeof(entry))
		return;
	memcpy(&entry, reply->data, sizeof(entry));
	if (entry.nodeid != 0)
		known->ino[known->nr < 16 ? known->nr++ : 1 + entry.nodeid % 15] = entry.nodeid;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* All but the last one, which is the connection's end. */
	const unsigned nr_forms = ARRAY_SIZE(forms) - 1;
	struct known known = { .ino = { ROOT }, .nr = 1 };
	struct fuzz_input in = { data, size };
	struct wire_reply reply;
	static char buf[4096];

	zt_log_set_sink(NULL);
	fixture_make(fuzz_byte(&in) & 1 ? ZTFUSE_CACHE_NEVER : ZTFUSE_CACHE_WRITEBACK);
	wire_start_transport(&wire, &front, FIXTURE_OFFERED, 36);
	for (unsigned i = 0; in.left > 0 && i < MAX_REQUESTS; i++) {
		const struct form *form = &forms[fuzz_byte(&in) % nr_forms];
		const uint64_t ino = known.ino[fuzz_byte(&in) % known.nr];
		const size_t len = take_request(&in, form, &known, buf);

		if (wire_try(&wire, form->opcode, ino, buf, len, &reply))
			learn(&known, form->opcode, &reply);
	}
	teardown();
	return 0;
}
