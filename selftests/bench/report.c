// SPDX-License-Identifier: LGPL-2.1-or-later
/* Samples and their medians, the summary, the JSON file. */
#include <err.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "driver.h"

#define MAX_RATIOS	128

struct ratio {
	char name[96];
	double value, target;
};

static struct ratio ratios[MAX_RATIOS];
static size_t nr_ratios;
static struct json_object *root, *figures;

void sample_add(struct samples *samples, double value)
{
	if (samples->count == MAX_SAMPLES)
		errx(1, "too many samples");
	samples->values[samples->count++] = value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double sample_median(const struct samples *samples)
{
	struct samples sorted = *samples;
	size_t half = sorted.count / 2;

	if (!sorted.count)
		errx(1, "no samples");
	qsort(sorted.values, sorted.count, sizeof(double), compare);
	return sorted.count % 2 ? sorted.values[half] :
				  (sorted.values[half - 1] + sorted.values[half]) / 2;
}

static void add_text(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

static void add_number(struct json_object *object, const char *key, double number)
{
	json_object_object_add(object, key, json_object_new_double(number));
}

/* What the processor calls itself tells emulation from the real thing. */
static void processor(char *name, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(name, size, "unknown");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "model name", 10) || !strchr(line, ':'))
			continue;
		line[strcspn(line, "\n")] = 0;
		snprintf(name, size, "%s", strchr(line, ':') + 2);
		break;
	}
	if (file)
		fclose(file);
}

void report_start(const char *module_version)
{
	time_t now = time(NULL);
	struct utsname uts;
	char text[128];

	root = json_object_new_object();
	figures = json_object_new_array();
	strftime(text, sizeof(text), "%Y-%m-%d", gmtime(&now));
	add_text(root, "date", text);
	printf("date       %s\n", text);
	uname(&uts);
	add_text(root, "kernel", uts.release);
	printf("kernel     %s\n", uts.release);
	processor(text, sizeof(text));
	add_text(root, "processor", text);
	add_number(root, "processors", sysconf(_SC_NPROCESSORS_ONLN));
	printf("processor  %ld x %s\n", sysconf(_SC_NPROCESSORS_ONLN), text);
	add_text(root, "module", module_version);
	printf("module     %s\n", module_version);
	json_object_object_add(root, "figures", figures);
}

void report_title(const char *title, const char *text)
{
	printf("\n%s\n", title);
	for (size_t i = 0; i < strlen(title); i++)
		putchar('-');
	printf("\n%s\n\n", text);
	fflush(stdout);
}

double report_figure(const struct samples *samples, const char *unit, const char *format, ...)
{
	struct json_object *figure = json_object_new_object();
	struct json_object *values = json_object_new_array();
	double median = sample_median(samples);
	char name[128];
	va_list args;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	add_text(figure, "name", name);
	add_text(figure, "unit", unit);
	add_number(figure, "median", median);
	for (size_t i = 0; i < samples->count; i++)
		json_object_array_add(values, json_object_new_double(samples->values[i]));
	json_object_object_add(figure, "values", values);
	json_object_array_add(figures, figure);
	return median;
}

void report_ratio(double value, double target, const char *format, ...)
{
	struct ratio *ratio = &ratios[nr_ratios++];
	va_list args;

	if (nr_ratios == MAX_RATIOS)
		errx(1, "too many ratios");
	va_start(args, format);
	vsnprintf(ratio->name, sizeof(ratio->name), format, args);
	va_end(args);
	ratio->value = value;
	ratio->target = target;
}

void report_end(const char *path)
{
	struct json_object *list = json_object_new_array();
	int missed = 0;

	report_title("Ratios of this run", "At most the target is \"ok\".");
	for (size_t i = 0; i < nr_ratios; i++) {
		struct json_object *object = json_object_new_object();
		const struct ratio *ratio = &ratios[i];
		bool ok = ratio->value <= ratio->target;

		printf("%-66s %9.4f", ratio->name, ratio->value);
		add_text(object, "name", ratio->name);
		add_number(object, "value", ratio->value);
		if (ratio->target > 0) {
			printf("  target %7.4f  %s", ratio->target, ok ? "ok" : "missed");
			add_number(object, "target", ratio->target);
			json_object_object_add(object, "ok", json_object_new_boolean(ok));
			missed += !ok;
		}
		putchar('\n');
		json_object_array_add(list, object);
	}
	json_object_object_add(root, "ratios", list);
	printf("\n%d of the targets missed\n", missed);
	if (path && json_object_to_file_ext(path, root, JSON_C_TO_STRING_PRETTY))
		errx(1, "cannot write %s", path);
	json_object_put(root);
}
