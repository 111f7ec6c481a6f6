// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * options.c - the command line of ztmpfs, and mount(8)'s helper interface of mount.ztmpfs.
 *
 * Locks: none. Nothing is mounted, started or printed here.
 */
#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/option_table.h"
#include "util/alloc.h"
#include "util/memory.h"
#include "util/sizes.h"
#include "ztmpfs/zcomp.h"

#define DEFAULT_CLUSTER_ORDER 4 /* 64 KiB */

/* Others are ended first, unless the daemon alone holds nine tenths of all memory. */
#define DEFAULT_OOM (-900)

void options_env_get(struct options_env *out_env)
{
	out_env->ram = memory_allowed();
	CPU_ZERO(&out_env->cpus);
	/* A machine of more CPUs than cpu_set_t holds still has that many. */
	out_env->nr_cpus = sched_getaffinity(0, sizeof(out_env->cpus), &out_env->cpus) == 0
				   ? (unsigned)CPU_COUNT(&out_env->cpus)
				   : CPU_SETSIZE;
	out_env->uid = getuid();
	out_env->gid = getgid();
	out_env->root = geteuid() == 0;
	out_env->selinux = access("/sys/fs/selinux/enforce", F_OK) == 0;
	out_env->manager = getenv("NOTIFY_SOCKET") != NULL;
}

static int set_defaults(struct options *options, const struct options_env *env)
{
	const uint64_t pages = env->ram / ZT_PAGE_SIZE / OPTION_RAM_DIVISOR;

	*options = (struct options){
		.managed = env->manager,
		.cache = ZTFUSE_CACHE_WRITEBACK,
		.uring = CHANNEL_URING_AUTO,
		.cpu_latency = true,
		.oom = DEFAULT_OOM,
		.xattr = true,
		.max_threads = (unsigned)max_u64(4, (uint64_t)env->nr_cpus * 2),
		.allow_other = env->root,
		.super = {
			.size = pages * ZT_PAGE_SIZE,
			.nr_inodes = pages,
			.mode = 01777,
			.uid = env->uid,
			.gid = env->gid,
			.cluster_order = DEFAULT_CLUSTER_ORDER,
			.content.comp.level = ZCOMP_LEVEL_DEFAULT,
			.content.recompress = options->recompress_name,
			.content.recompress_level = 8,
			.content.recompress_idle = 30,
			.content.accel = BLKMAP_ACCEL_AUTO,
			.content.background = true,
			.acl = true,
		},
	};
	options->seccomp = OPTION_SECCOMP_OFF;
	options->dumpable = true;
	options->survive_when = OPTION_SURVIVE_AUTO;
	strcpy(options->recompress_name, "zstd");
	memset(options->mount_flags, -1, sizeof(options->mount_flags));
	if (option_text_set(&options->compress_name, "auto") != 0)
		return -ENOMEM;
	return option_text_set(&options->subtype, "ztmpfs");
}

static int refuse_unknown(const char *word, struct options_error *error)
{
	const char *guess = option_guess(word);
	const struct option_desc *desc = guess ? option_find(guess) : NULL;

	if (guess)
		ERR_PRINTF(error, "option %.64s: unknown; did you mean %s%s? (ztmpfs --help lists all)",
			   word, guess, desc && desc->arg ? "=" : "");
	else
		ERR_PRINTF(error, "option %.64s: unknown (ztmpfs --help lists all)", word);
	return -EINVAL;
}

/* One option; @word is changed. */
static int parse_word(struct options *options, const struct options_env *env, char *word,
		      struct options_error *error)
{
	const struct option_desc *desc;
	char *value = strchr(word, '=');
	int error_code;

	if (*word == '\0')
		return 0;
	error_code = option_take_word(options, word, error);
	if (error_code)
		return error_code > 0 ? 0 : error_code;
	if (value)
		*value++ = '\0';
	desc = option_find(word);
	if (!desc)
		return options->sloppy ? 0 : refuse_unknown(word, error);
	if (value && !desc->arg) {
		ERR_PRINTF(error, "option %s=%.64s: allowed is %s without a value", word, value,
			   word);
		return -EINVAL;
	}
	if (!value && desc->arg) {
		ERR_PRINTF(error, "option %s: needs a value: %s=%s", word, word, desc->arg);
		return -EINVAL;
	}
	error->text[0] = '\0';
	error_code = option_read(&(struct option_reading){ options, env, desc, value, error });
	if (error_code == -EINVAL && error->text[0] == '\0')
		ERR_PRINTF(error, "option %s=%.64s: allowed: %s", word, value, desc->allowed);
	return error_code;
}

/*
 * Copy the first word of @list to @word, and return where the next begins. A backslash makes the
 * next character an ordinary one; a value that begins with a quote goes to the next quote, as
 * mount(8) has it for labels; and mpol= has commas of its own, before digits, as tmpfs has it.
 */
static const char *next_word(const char *list, char *word)
{
	const bool policy = strncmp(list, "mpol=", 5) == 0;
	bool quoted = false;
	char *out = word;

	for (; *list != '\0'; list++) {
		const bool in_policy = policy && list[1] >= '0' && list[1] <= '9';

		if (*list == ',' && !quoted && !in_policy)
			break;
		if (*list == '"' && (quoted || (out > word && out[-1] == '=')))
			quoted = !quoted && strchr(list + 1, '"');
		else if (*list == '\\' && list[1] != '\0')
			list++;
		*out++ = *list;
	}
	*out = '\0';
	return *list == ',' ? list + 1 : list;
}

/* The argument of -o: words between commas. */
static int parse_list(struct options *options, const struct options_env *env, const char *list,
		      struct options_error *error)
{
	char *word = zt_zalloc(strlen(list) + 1);
	int error_code = 0;

	if (!word)
		return -ENOMEM;
	while (*list != '\0' && !error_code) {
		list = next_word(list, word);
		error_code = parse_word(options, env, word, error);
	}
	zt_free(word);
	return error_code;
}

static int parse_switch(struct options *options, const struct options_env *env, int letter,
			struct options_error *error)
{
	switch (letter) {
	case 'o':
		return parse_list(options, env, optarg, error);
	case 'h':
		options->help = true;
		return 0;
	case 'V':
		options->version = true;
		return 0;
	case 'd':
		options->debug = true;
		options->foreground = true;
		return 0;
	case 'f':
		if (options->helper)
			options->fake = true;
		else
			options->foreground = true;
		return 0;
	case 's':
		options->sloppy = true;
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	case 'r':
		options->mount_flags[MOUNT_RO] = 1;
		return 0;
	case 'n': /* there is no mtab to write */
	case 't': /* the type by which mount(8) found this helper */
		return 0;
	case 'N':
		return option_text_set(&options->namespace, optarg);
	default:
		return -EINVAL;
	}
}

static int parse_switches(struct options *options, int argc, char *const argv[],
			  const struct options_env *env, struct options_error *error)
{
	static const struct option words[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *letters = options->helper ? ":hVo:sfnvrN:t:" : ":hVo:fd";
	int letter, error_code;

	optind = 0; /* glibc: start anew */
	opterr = 0;
	while ((letter = getopt_long(argc, argv, letters, words, NULL)) != -1) {
		if (letter == ':' || letter == '?') {
			ERR_PRINTF(error, "%.64s: %s; see --help", argv[optind - 1],
				   letter == ':' ? "needs a value" : "unknown switch");
			return -EINVAL;
		}
		error_code = parse_switch(options, env, letter, error);
		if (error_code || options->help || options->version)
			return error_code;
	}
	return 0;
}

/* [SOURCE] MOUNTPOINT; a helper is always given both. */
static int parse_places(struct options *options, int nr, char *const places[],
			struct options_error *error)
{
	int error_code = 0;

	if (nr > 2 || nr < (options->helper ? 2 : 1)) {
		ERR_PRINTF(error, "%s; see --help",
			   nr > 2   ? "more than a source and a mount point"
			   : nr < 1 ? "no mount point"
				    : "no source");
		return -EINVAL;
	}
	if (nr == 2)
		error_code = option_text_set(&options->source, places[0]);
	if (!error_code)
		error_code = option_text_set(&options->mountpoint, places[nr - 1]);
	if (!error_code && !options->fsname)
		error_code = option_text_set(&options->fsname,
					     nr == 2 && *places[0] != '\0' ? places[0] : "ztmpfs");
	return error_code;
}

static bool is_helper(const char *program)
{
	const char *slash = strrchr(program, '/');

	return strncmp(slash ? slash + 1 : program, "mount.", 6) == 0;
}

/* It quotes what was given: that may hold line feeds, or what a terminal obeys. */
static void make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

int options_parse(int argc, char *const argv[], const struct options_env *env,
		  struct options *out_options, struct options_error *out_error)
{
	struct options options;
	int error;

	error = set_defaults(&options, env);
	if (error)
		goto err_text;
	options.helper = argc > 0 && is_helper(argv[0]);
	error = parse_switches(&options, argc, argv, env, out_error);
	if (!error && !options.help && !options.version)
		error = parse_places(&options, argc - optind, argv + optind, out_error);
	if (!error)
		error = options_settle(&options, env, out_error);
	if (error)
		goto err_text;
	*out_options = options;
	out_options->super.content.comp.name = out_options->compress_name;
	if (options.super.content.recompress)
		out_options->super.content.recompress = out_options->recompress_name;
	return 0;

err_text:
	if (error == -ENOMEM)
		ERR_PRINTF(out_error, "%s", strerror(ENOMEM));
	make_printable(out_error->text);
	options_free(&options);
	return error;
}

void options_free(struct options *options)
{
	zt_free(options->namespace);
	zt_free(options->source);
	zt_free(options->mountpoint);
	zt_free(options->fsname);
	zt_free(options->subtype);
	zt_free(options->compress_name);
	zt_free(options->dict_path);
	zt_free(options->image_path);
	zt_free(options->spill_path);
	zt_free(options->rescue_path);
	zt_free(options->notes);
	for (size_t i = 0; i < CONTEXT_NR; i++)
		zt_free(options->contexts[i]);
}

/* Append "word" or "word=value" to a list, with commas and backslashes of the value escaped. */
static void append_word(char **inout_pos, const char *word, const char *value)
{
	char *pos = *inout_pos;

	pos = stpcpy(pos, word);
	if (value) {
		*pos++ = '=';
		for (; *value != '\0'; value++) {
			if (*value == ',' || *value == '\\')
				*pos++ = '\\';
			*pos++ = *value;
		}
	}
	*pos++ = ',';
	*inout_pos = pos;
}

static const char *const context_words[CONTEXT_NR] = {
	[CONTEXT_ALL] = "context",
	[CONTEXT_FS] = "fscontext",
	[CONTEXT_DEFAULT] = "defcontext",
	[CONTEXT_ROOT] = "rootcontext",
};

int options_mount_opts(const struct options *options, char **out_text)
{
	static const struct {
		const char *off, *on;
	} flags[MOUNT_DIRATIME] = {
		[MOUNT_RO] = { "rw", "ro" },
		[MOUNT_SUID] = { "nosuid", "suid" },
		[MOUNT_DEV] = { "nodev", "dev" },
		[MOUNT_EXEC] = { "noexec", "exec" },
		[MOUNT_SYNC] = { "async", "sync" },
		[MOUNT_DIRSYNC] = { NULL, "dirsync" },
		[MOUNT_ATIME] = { "noatime", "atime" },
	};
	size_t space = 256 + 2 * (strlen(options->fsname) + strlen(options->subtype));
	char *text, *pos;

	for (size_t i = 0; i < CONTEXT_NR; i++)
		space += options->contexts[i] ? 16 + 2 * strlen(options->contexts[i]) : 0;
	text = zt_zalloc(space);
	if (!text)
		return -ENOMEM;
	pos = text;
	append_word(&pos, "fsname", options->fsname);
	if (*options->subtype != '\0')
		append_word(&pos, "subtype", options->subtype);
	if (options->allow_other)
		append_word(&pos, "allow_other", NULL);
	for (size_t i = 0; i < CONTEXT_NR; i++)
		if (options->contexts[i])
			append_word(&pos, context_words[i], options->contexts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (options->mount_flags[i] >= 0)
			append_word(&pos, options->mount_flags[i] ? flags[i].on : flags[i].off,
				    NULL);
	pos[-1] = '\0';
	*out_text = text;
	return 0;
}

const char *options_source_looks_like(const struct options *options)
{
	const char *source = options->source ? options->source : "";
	char word[64];
	const struct option_desc *desc;

	/* A source may well be called sync or swap; with a value or a list it is hardly meant. */
	if (!strpbrk(source, "=,"))
		return NULL;
	(void)snprintf(word, sizeof(word), "%.*s", (int)strcspn(source, "=,"), source);
	desc = option_find(word);
	return desc ? desc->name : NULL;
}
