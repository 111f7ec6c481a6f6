// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * train.c - ztmpfsctl train: a dictionary out of files like those that will be stored.
 *
 * Samples are cut as the filesystem cuts files, so that the dictionary has what clusters lack.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/newfile.h"
#include "ctl/progress.h"
#include "ctl/sample.h"
#include "image/io.h"
#include "util/alloc.h"
#include "util/sizes.h"
#include "zcomp/dict.h"

/* The trainer's authors advise a hundred times the dictionary. */
#define SAMPLES_PER_DICT 128u

struct train {
	uint64_t size; /* of the dictionary, at most */
	uint64_t cluster;
	uint64_t limit; /* of all samples */
	const char *output;
};

/* A daemon that reads it meanwhile sees the old one or the new. */
static int write_file(const char *path, const void *data, size_t size)
{
	struct newfile file;
	int error = newfile_begin(path, 0666, &file);

	if (error)
		return error;
	return newfile_end(&file, image_write(file.fd, data, size, 0));
}

static int train(const struct train *options, const struct samples *samples)
{
	const struct progress progress = {
		.what = "training", .interrupted = "ztmpfsctl: no dictionary was written\n"
	};
	char text[ZCOMP_ERROR_TEXT];
	void *dict = zt_zalloc(options->size);
	size_t size;
	int error;

	if (!dict)
		return ctl_failed("", strerror(ENOMEM));
	if (samples->nr > UINT_MAX) {
		zt_free(dict);
		return ctl_failed("--limit", "too many samples");
	}
	progress_begin(&progress);
	error = zcomp_dict_train(samples->data, samples->sizes, (unsigned)samples->nr, dict,
				 options->size, 0, text, &size);
	progress_end();
	if (error) {
		zt_free(dict);
		return ctl_failed("", text);
	}
	error = write_file(options->output, dict, size);
	zt_free(dict);
	if (error)
		return ctl_failed(options->output, strerror(-error));
	printf("%s: %zu bytes, from %zu samples of up to %" PRIu64 " bytes, %zu of %" PRIu64
	       " bytes in %" PRIu64 " files\n",
	       options->output, size, samples->nr, options->cluster, samples->size, samples->found,
	       samples->nr_files);
	if (samples->nr_unread > 0)
		fprintf(stderr, "ztmpfsctl: %" PRIu64 " files or folders could not be read\n",
			samples->nr_unread);
	return 0;
}

static int parse(int argc, char *argv[], struct train *out)
{
	int letter = ctl_switch(&ctl_train, argc, argv, true);

	for (; letter != CTL_SWITCH_END; letter = ctl_switch(&ctl_train, argc, argv, false)) {
		if (letter == 'o')
			out->output = optarg;
		else if (letter == 's' && size_parse(optarg, 0, &out->size) == 0 &&
			 out->size >= ZCOMP_DICT_MIN && out->size <= ZCOMP_DICT_MAX)
			continue;
		else if (letter == 'c' && ctl_parse_cluster(optarg, &out->cluster) == 0)
			continue;
		else if (letter == 'l' && size_parse(optarg, 0, &out->limit) == 0 &&
			 out->limit > 0 && out->limit <= GIB)
			continue;
		else
			return -EINVAL;
	}
	return out->output && optind < argc ? 0 : -EINVAL;
}

/* Reading, and then the trainer, which does not say how far it is. */
static int work(const struct train *options, const struct sample_params *params)
{
	const struct progress progress = {
		.what = "reading samples", .interrupted = "ztmpfsctl: no dictionary was written\n"
	};
	char text[SAMPLE_ERROR_TEXT];
	struct samples samples;
	int status;

	progress_begin(&progress);
	status = samples_read(params, text, &samples);
	progress_end();
	if (status != 0)
		return ctl_failed("", text);
	status = train(options, &samples);
	samples_free(&samples);
	return status;
}

static int run(int argc, char *argv[])
{
	struct train options = { .size = ZCOMP_DICT_SIZE, .cluster = ZT_PAGE_SIZE };
	struct sample_params params = { .skip_same = true };

	if (parse(argc, argv, &options) != 0)
		return ctl_usage(&ctl_train);
	params.paths = argv + optind;
	params.piece = options.cluster;
	params.limit = options.limit ? options.limit : options.size * SAMPLES_PER_DICT;
	return work(&options, &params);
}

static const struct ctl_switch switches[] = {
	{ .letter = 'o',
	  .brief = true,
	  .arg = "DICT",
	  .help = "the file to write; it must be said" },
	{ .letter = 's',
	  .name = "size",
	  .arg = "SIZE",
	  .words = "",
	  .help = "bytes of the dictionary at most (64k)" },
	{ .letter = 'c',
	  .name = "cluster",
	  .arg = "SIZE",
	  .words = "4k 8k 16k 32k 64k 128k",
	  .help = "bytes of a sample (4k)" },
	{ .letter = 'l',
	  .name = "limit",
	  .arg = "SIZE",
	  .words = "",
	  .help = "bytes of all samples (128 times the dictionary)" },
	{ 0 },
};

const struct ctl_command ctl_train = {
	.name = "train",
	.operands = "PATH...",
	.help = "Make a dictionary for dict= out of files and folders.",
	.switches = switches,
	.takes = CTL_PATHS,
	.run = run,
};
