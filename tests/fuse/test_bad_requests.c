// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_bad_requests.c - requests that no kernel sends: cut short, out of range, at random.
 *
 * Each gets exactly one answer, within the errors that the kernel takes, and afterwards the walker
 * finds the filesystem whole. Left out are those whose damage would meet libfuse alone: counts of
 * BATCH_FORGET, INTERRUPT and NOTIFY_REPLY.
 */
#include "tests/fuse/fixture.h"
#include "tests/fuse/forms.h"

#define NR_RANDOM 6000

/* All but the last one. */
static const struct form *some_form(uint64_t *seed)
{
	return &forms[zt_random(seed) % (ARRAY_SIZE(forms) - 1)];
}

/* What has an answer without a fixed part and a name. */
static bool needs_nothing(uint32_t opcode)
{
	return opcode == FUSE_STATFS || opcode == FUSE_DESTROY || opcode == FUSE_RELEASE ||
	       opcode == FUSE_RELEASEDIR;
}

START_TEST(test_requests_cut_short_are_answered)
{
	static const char ones[256] = { [0 ... 255] = 1 };
	const uint64_t inos[] = { ROOT, make_file(ROOT, "f"), make_dir(ROOT, "d") };
	struct wire_reply reply;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		for (size_t len = 0; len <= forms[i].fixed_len; len++) {
			const uint64_t ino = inos[len % ARRAY_SIZE(inos)];
			const bool answered =
				wire_try(&wire, forms[i].opcode, ino, ones, len, &reply);

			ck_assert_msg(answered != (forms[i].opcode == FUSE_FORGET), "opcode %u",
				      forms[i].opcode);
			/* A name that is not there is an empty one, which nothing may have. */
			if (answered && forms[i].nr_names > 0 && forms[i].opcode != FUSE_WRITE)
				ck_assert_msg(reply.error < 0, "opcode %u, %zu bytes",
					      forms[i].opcode, len);
		}
	}
}
END_TEST

START_TEST(test_requests_without_anything_are_answered)
{
	struct wire_reply reply;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (forms[i].opcode == FUSE_FORGET)
			continue;
		ck_assert(wire_try(&wire, forms[i].opcode, UINT64_MAX, NULL, 0, &reply));
		if (!needs_nothing(forms[i].opcode))
			ck_assert_msg(reply.error < 0, "opcode %u", forms[i].opcode);
	}
}
END_TEST

/* A number near an edge, small, or any. */
static uint64_t odd_number(uint64_t *seed)
{
	static const uint64_t odd[] = { 0,
					1,
					255,
					4095,
					4096,
					65535,
					65536,
					1 << 20,
					INT32_MAX,
					UINT32_MAX,
					INT64_MAX - 1,
					INT64_MAX,
					UINT64_C(1) << 63,
					UINT64_MAX };
	const uint64_t r = zt_random(seed);

	switch (r % 4) {
	case 0:
		return odd[(r >> 8) % ARRAY_SIZE(odd)];
	case 1:
		return zt_random(seed);
	default:
		return (r >> 8) % (1 << 18);
	}
}

struct known {
	uint64_t ino[16];
	unsigned nr;
};

static uint64_t some_ino(const struct known *known, uint64_t *seed)
{
	const uint64_t r = zt_random(seed);

	if (r % 16 == 0)
		return odd_number(seed);
	return known->ino[(r >> 8) % known->nr];
}

/*
 * Mostly one of a few names, so that requests meet; sometimes any bytes. Returns the length with
 * its NUL.
 */
static size_t some_name(char *buf, uint64_t *seed)
{
	const uint64_t r = zt_random(seed);
	size_t len;

	if (r % 8 != 0)
		return (size_t)sprintf(buf, "n%u", (unsigned)(r >> 8) % 12) + 1;
	len = (r >> 8) % 300;
	for (size_t i = 0; i < len; i++) {
		buf[i] = (char)zt_random(seed);
		/* The kernel's own promise: a name has neither of these. */
		if (buf[i] == '/' || buf[i] == '\0')
			buf[i] = 'z';
	}
	buf[len] = '\0';
	return len + 1;
}

static size_t random_request(const struct form *form, const struct known *known, char *buf,
			     uint64_t *seed)
{
	size_t len = form->fixed_len;

	for (size_t i = 0; i + 4 <= len; i += 4) {
		const uint32_t word = (uint32_t)odd_number(seed);

		memcpy(buf + i, &word, 4);
	}
	/* Places where a number must mostly make sense for anything to happen. */
	if (form->opcode == FUSE_LINK || form->opcode == FUSE_RENAME ||
	    form->opcode == FUSE_RENAME2) {
		const uint64_t ino = some_ino(known, seed);

		memcpy(buf, &ino, sizeof(ino));
	}
	if (form->opcode == FUSE_FORGET) {
		const uint64_t nlookup = zt_random(seed) % 2;

		memcpy(buf, &nlookup, sizeof(nlookup));
	}
	for (unsigned i = 0; i < form->nr_names; i++)
		len += some_name(buf + len, seed);
	return len;
}

static void learn(struct known *known, const struct form *form, const struct wire_reply *reply,
		  uint64_t *seed)
{
	struct fuse_entry_out entry;
	const bool is_entry = form->opcode == FUSE_LOOKUP || form->opcode == FUSE_MKNOD ||
			      form->opcode == FUSE_MKDIR || form->opcode == FUSE_SYMLINK ||
			      form->opcode == FUSE_LINK || form->opcode == FUSE_TMPFILE;

	if (!is_entry || reply->error || reply->len < sizeof(entry))
		return;
	memcpy(&entry, reply->data, sizeof(entry));
	if (entry.nodeid == 0)
		return;
	/* The first one stays the root. */
	if (known->nr < ARRAY_SIZE(known->ino))
		known->ino[known->nr++] = entry.nodeid;
	else
		known->ino[1 + zt_random(seed) % (ARRAY_SIZE(known->ino) - 1)] = entry.nodeid;
}

START_TEST(test_random_requests_do_no_harm)
{
	struct known known = { .ino = { ROOT }, .nr = 1 };
	uint64_t seed = zt_seed();
	static char buf[4096];
	struct fuse_kstatfs st;

	for (unsigned i = 0; i < NR_RANDOM; i++) {
		const struct form *form = some_form(&seed);
		const size_t len = random_request(form, &known, buf, &seed);
		struct wire_reply reply;

		if (zt_random(&seed) % 32 == 0)
			wire_interrupt_next_reply();
		if (wire_try(&wire, form->opcode, some_ino(&known, &seed), buf, len, &reply))
			learn(&known, form, &reply, &seed);
	}
	ck_assert_int_eq(wire_statfs(&wire, &st), 0);
}
END_TEST

START_TEST(test_random_bytes_do_no_harm)
{
	uint64_t seed = zt_seed() + 1;
	static char buf[512];
	struct fuse_kstatfs st;

	make_file(ROOT, "f");
	for (unsigned i = 0; i < NR_RANDOM; i++) {
		const struct form *form = some_form(&seed);
		const size_t len = zt_random(&seed) % sizeof(buf);
		struct wire_reply reply;

		for (size_t k = 0; k < len; k++)
			buf[k] = (char)(zt_random(&seed) % 3 ? 0 : zt_random(&seed));
		(void)wire_try(&wire, form->opcode, zt_random(&seed) % 4, buf, len, &reply);
	}
	ck_assert_int_eq(wire_statfs(&wire, &st), 0);
}
END_TEST

static void setup_transport(void)
{
	fixture_make(ZTFUSE_CACHE_WRITEBACK);
	wire_start_transport(&wire, &front, UINT64_MAX, 45);
}

static void add_case(Suite *suite, const char *name, void (*start)(void))
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, start, teardown);
	tcase_add_test(tc, test_requests_cut_short_are_answered);
	tcase_add_test(tc, test_requests_without_anything_are_answered);
	tcase_add_test(tc, test_random_requests_do_no_harm);
	tcase_add_test(tc, test_random_bytes_do_no_harm);
	suite_add_tcase(suite, tc);
}

int main(void)
{
	Suite *suite = suite_create("bad requests");

	add_case(suite, "libfuse's loop", setup);
	add_case(suite, "transport", setup_transport);
	return zt_check_main(suite);
}
