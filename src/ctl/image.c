// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * image.c - ztmpfsctl image: what is in an image, without a mount. Sums of it after all of it was read and
 * checked, or its files one by one (image_list.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/image_list.h"
#include "image/image.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/sizes.h"

static const char *date_of(const struct image_facts *facts, char out[IMAGE_TIME_TEXT])
{
	const struct timespec at = { .tv_sec = (time_t)(facts->saved_ns / (int64_t)ZT_NS_PER_S) };

	image_time_text(at, false, out);
	return out;
}

static double ratio_of(const struct image_header *header)
{
	return (double)header->facts.content / (double)header->size;
}

/* Names come from a file: nothing but letters goes to a terminal. */
static const char *name_of(const char *name, size_t space, char out[IMAGE_NAME_MAX])
{
	const size_t len = strnlen(name, min_u64(space, IMAGE_NAME_MAX - 1));

	memcpy(out, len ? name : "off", len ? len : 3);
	out[len ? len : 3] = '\0';
	for (char *at = out; *at != '\0'; at++)
		if (*at < '!' || *at > '~')
			*at = '?';
	return out;
}

static void print_codecs(const struct image_facts *facts)
{
	char name[IMAGE_NAME_MAX];

	printf("compress    %s\n", name_of(facts->compress, sizeof(facts->compress), name));
	printf("recompress  %s\n", name_of(facts->recompress, sizeof(facts->recompress), name));
	for (unsigned i = 0; i < IMAGE_NR_SETTINGS; i++)
		if (facts->settings[i][0] != '\0')
			printf("setting     %s\n", name_of(facts->settings[i], sizeof(facts->settings[i]), name));
	if (facts->dict_size)
		printf("dictionary  %" PRIu64 " bytes, %016" PRIx64 "\n", facts->dict_size,
		       facts->dict_sum);
}

static void print_text(const struct image_header *header)
{
	const struct image_facts *facts = &header->facts;
	char content[CTL_HUMAN], stored[CTL_HUMAN], size[CTL_HUMAN], date[IMAGE_TIME_TEXT], name[IMAGE_NAME_MAX];

	printf("saved       %s, by ztmpfs %s\n", date_of(facts, date),
	       name_of(facts->release, sizeof(facts->release), name));
	printf("inodes      %" PRIu64 "\n", facts->inodes);
	printf("content     %s\n", ctl_human(facts->content, content));
	printf("stored      %s\n", ctl_human(facts->stored, stored));
	printf("image       %s, in %" PRIu64 " extents\n", ctl_human(header->size, size),
	       header->nr_extents);
	printf("ratio       %.2f\n", ratio_of(header));
	print_codecs(facts);
	printf("format      version %" PRIu32 ", layout %" PRIu32 ".%" PRIu32 ", pages of %" PRIu32
	       " bytes, %s endian\n",
	       header->version, facts->arena_layout, facts->fs_version, header->page_size,
	       __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "little" : "big");
}

/* All but the brace at its end. */
static void print_json(const struct image_header *header)
{
	const struct image_facts *facts = &header->facts;
	char date[IMAGE_TIME_TEXT], compress[IMAGE_NAME_MAX], recompress[IMAGE_NAME_MAX];

	printf("{\"saved\": \"%s\", \"inodes\": %" PRIu64 ", \"content\": %" PRIu64
	       ", \"stored\": %" PRIu64 ", \"image\": %" PRIu64 ", \"ratio\": %.2f, ",
	       date_of(facts, date), facts->inodes, facts->content, facts->stored, header->size,
	       ratio_of(header));
	printf("\"compress\": ");
	ctl_print_json_text(stdout, name_of(facts->compress, sizeof(facts->compress), compress));
	printf(", \"recompress\": ");
	ctl_print_json_text(stdout, name_of(facts->recompress, sizeof(facts->recompress), recompress));
	printf(", \"dict_size\": %" PRIu64 ", \"version\": %" PRIu32 ", \"page_size\": %" PRIu32,
	       facts->dict_size, header->version, header->page_size);
}

/* Return: 0; or an error, with a sentence in @text unless that is empty. */
static int print_sums(int fd, bool json, char text[256])
{
	struct image *image = NULL;
	int error = image_check_rights(fd, text);

	if (!error || error == -EPERM) /* it is read, not trusted */
		error = image_open(fd, text, &image);
	if (!error)
		error = image_verify(image, text);
	if (!error && json) {
		print_json(image_header(image));
		puts("}");
	} else if (!error) {
		print_text(image_header(image));
	}
	image_close(image);
	return error;
}

/* Names are walked as for a mount, so the file is trusted as for one. */
static int print_list(int fd, const char *path, bool json, char text[256])
{
	struct listing *listing = NULL;
	int error = image_check_rights(fd, text);

	if (!error)
		error = listing_open(fd, path, text, &listing);
	if (!error && json)
		print_json(listing_header(listing));
	if (!error) {
		snprintf(text, 256, "no memory");
		error = image_list_print(listing, json);
	}
	if (!error && json)
		puts("}");
	listing_close(listing);
	return error;
}

static void log_line(enum zt_log_level level, const char *line)
{
	(void)level;
	fprintf(stderr, "ztmpfsctl: %s\n", line);
}

static int run_image(int argc, char *argv[])
{
	int letter = ctl_switch(&ctl_image, argc, argv, true), error, fd;
	bool json = false, list = false;
	char text[256] = "";

	for (; letter != CTL_SWITCH_END; letter = ctl_switch(&ctl_image, argc, argv, false)) {
		json |= letter == 'J';
		list |= letter == 'l';
	}
	if (argc != optind + 1)
		return ctl_usage(&ctl_image);
	/* A fifo must not be waited for. */
	fd = open(argv[optind], O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return ctl_fail(argv[optind], -errno);
	zt_log_set_sink(log_line);
	error = list ? print_list(fd, argv[optind], json, text) : print_sums(fd, json, text);
	close(fd);
	if (error)
		return ctl_failed(argv[optind], text);
	return ctl_end(0);
}

static const struct ctl_switch switches[] = {
	{ .letter = 'J', .brief = true, .name = "json", .help = "one JSON object, in bytes" },
	{ .letter = 'l', .brief = true, .name = "list", .help = "a line for each file" },
	{ 0 },
};

const struct ctl_command ctl_image = {
	.name = "image",
	.operands = "FILE",
	.help = "List what is in a saved mount, and check all of it.",
	.switches = switches,
	.takes = CTL_PATHS,
	.run = run_image,
};
