// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zbench_print.c - what zbench measured: as a table for people, as JSON, as CSV. No locks.
 */
#include <inttypes.h>

#include "ctl/ctl.h"
#include "ctl/zbench.h"
#include "util/sizes.h"

const char *zbench_mode_name(enum zbench_mode mode)
{
	static const char *const names[NR_ZBENCH_MODES] = { "sync", "wait", "managed" };

	return names[mode];
}

static double ratio(const struct zbench_result *result)
{
	return result->bytes_out ? (double)result->bytes_in / (double)result->bytes_out : 0;
}

static double compressed_bytes(const struct zbench_result *result)
{
	return result->in_mbps * 1e6 * result->seconds;
}

static double cpu_per_gb(const struct zbench_result *result)
{
	const double bytes = compressed_bytes(result);

	return bytes > 0 ? result->cpu_seconds / (bytes / 1e9) : 0;
}

#define HEAD "%-12s %4s %-7s %3s %5s %4s %5s %6s %6s %6s %6s %5s\n"

void zbench_print_table_head(FILE *out)
{
	fprintf(out, HEAD, "codec", "unit", "mode", "cal", "depth", "lat.", "ratio", "in", "out",
		"p50", "p99", "CPU");
	fprintf(out, HEAD, "", "KiB", "", "ler", "", "us", "", "MB/s", "MB/s", "us", "us", "s/GB");
}

/* Fewer digits behind the point as a value grows, so that it stays in its column. */
static void print_value(FILE *out, int width, double value)
{
	fprintf(out, " %*.*f", width, value < 100 ? 2 : value < 1000 ? 1 : 0, value);
}

void zbench_print_table_line(FILE *out, const struct zbench_result *result)
{
	const struct zbench_point *point = &result->point;

	char mode[16];

	snprintf(mode, sizeof(mode), "%s", zbench_mode_name(point->mode));
	if (point->batch > 1)
		snprintf(mode, sizeof(mode), "batch%u", point->batch);
	fprintf(out, "%-12.12s %4u %-7s %3u", result->codec, point->cluster / 1024, mode,
		point->threads);
	if (point->mode == ZBENCH_SYNC)
		fprintf(out, " %5s %4s", "-", "-");
	else
		fprintf(out, " %5u %4u", point->depth, point->latency_us);
	fprintf(out, " %5.3f", ratio(result));
	print_value(out, 6, result->in_mbps);
	if (result->out_mbps > 0)
		print_value(out, 6, result->out_mbps);
	else
		fprintf(out, " %6s", "-");
	print_value(out, 6, result->p50_us);
	print_value(out, 6, result->p99_us);
	print_value(out, 5, cpu_per_gb(result));
	fputc('\n', out);
	if (result->fallbacks > 0)
		fprintf(out, "%14s %" PRIu64 " of %" PRIu64 " calls fell back to the caller\n", "",
			result->fallbacks, result->calls);
}

void zbench_print_measured(FILE *out, const struct samples *samples)
{
	fprintf(out, "measured over %.1f of %.1f MB in %" PRIu64 " files",
		(double)samples->size / 1e6, (double)samples->found / 1e6, samples->nr_files);
	fputs(samples->size < samples->found ? ", evenly spread (--limit)\n" : "\n", out);
	if (samples->nr_unread > 0)
		fprintf(out, "%" PRIu64 " files or folders could not be read\n",
			samples->nr_unread);
}

void zbench_print_json_point(FILE *out, const struct zbench_result *result)
{
	const struct zbench_point *point = &result->point;

	fprintf(out, "    { \"codec\": ");
	ctl_print_json_text(out, result->codec);
	fprintf(out,
		", \"dict_bytes\": %zu, \"cluster\": %u, \"mode\": \"%s\", \"callers\": %u, "
		"\"engines\": %u, \"depth\": %u, \"latency_us\": %u, \"batch\": %u, "
		"\"submit_ns\": %u, \"work_ns\": %u, \"offered\": %u,\n",
		point->dict_size, point->cluster, zbench_mode_name(point->mode), point->threads,
		point->engines, point->depth, point->latency_us, point->batch, point->submit_ns,
		point->device.work_ns, point->offered);
	fprintf(out,
		"      \"units\": %" PRIu64 ", \"same_units\": %" PRIu64 ", \"bytes_in\": %" PRIu64
		", \"bytes_out\": %" PRIu64 ", \"ratio\": %.4f,\n",
		result->units, result->same_units, result->bytes_in, result->bytes_out,
		ratio(result));
	fprintf(out,
		"      \"calls\": %" PRIu64 ", \"fallbacks\": %" PRIu64
		", \"seconds\": %.6f, \"in_mbps\": %.3f, \"out_mbps\": ",
		result->calls, result->fallbacks, result->seconds, result->in_mbps);
	if (result->out_mbps > 0)
		fprintf(out, "%.3f", result->out_mbps);
	else
		fputs("null", out);
	fprintf(out,
		",\n      \"p50_us\": %.3f, \"p99_us\": %.3f, \"cpu_seconds\": %.6f, "
		"\"cpu_seconds_per_gb\": %.3f }",
		result->p50_us, result->p99_us, result->cpu_seconds, cpu_per_gb(result));
}

void zbench_print_json(FILE *out, const struct samples *samples,
		       const struct zbench_result *results, size_t nr)
{
	fprintf(out,
		"{\n  \"files\": %" PRIu64 ", \"bytes_found\": %" PRIu64 ", \"bytes_used\": %zu,\n"
		"  \"points\": [",
		samples->nr_files, samples->found, samples->size);
	for (size_t i = 0; i < nr; i++) {
		fputs(i ? ",\n" : "\n", out);
		zbench_print_json_point(out, &results[i]);
	}
	fputs("\n  ]\n}\n", out);
}

void zbench_print_csv_head(FILE *out)
{
	/* New columns come at the end: many count them from the front. */
	fputs("codec,dict_bytes,cluster,mode,callers,engines,depth,latency_us,units,same_units,"
	      "bytes_in,bytes_out,ratio,calls,fallbacks,seconds,in_mbps,out_mbps,p50_us,p99_us,"
	      "cpu_seconds,cpu_seconds_per_gb,batch,submit_ns,work_ns,offered\n",
	      out);
}

/* No value has a comma or a quote: names of codecs have neither. */
void zbench_print_csv_line(FILE *out, const struct zbench_result *result)
{
	const struct zbench_point *point = &result->point;

	fprintf(out, "%s,%zu,%u,%s,%u,%u,%u,%u,", result->codec, point->dict_size, point->cluster,
		zbench_mode_name(point->mode), point->threads, point->engines, point->depth,
		point->latency_us);
	fprintf(out,
		"%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%.4f,%" PRIu64 ",%" PRIu64
		",%.6f,%.3f,",
		result->units, result->same_units, result->bytes_in, result->bytes_out,
		ratio(result), result->calls, result->fallbacks, result->seconds, result->in_mbps);
	if (result->out_mbps > 0)
		fprintf(out, "%.3f", result->out_mbps);
	fprintf(out, ",%.3f,%.3f,%.6f,%.3f,%u,%u,%u,%u\n", result->p50_us, result->p99_us,
		result->cpu_seconds, cpu_per_gb(result), point->batch, point->submit_ns,
		point->device.work_ns, point->offered);
}
