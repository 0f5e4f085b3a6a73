// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The command line: one table of options for all commands.
 */
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "../uapi/ulp.h"
#include "cmds.h"

#define CMD_CHANGE	(CMD_APPLY | CMD_REVERT)
#define CMD_WAIT	(CMD_CHANGE | CMD_FINISH)
#define CMD_PROCESSES	(CMD_WAIT | CMD_PATCHES | CMD_CHECK | CMD_MESSAGES | CMD_PATCHABLE)
#define CMD_FILES	(CMD_CHANGE | CMD_CHECK | CMD_DUMP | CMD_ENABLE)
#define CMD_LIST	(CMD_ENABLE | CMD_DISABLE | CMD_ENABLED | CMD_DAEMON)
#define CMD_ANY		(~0U)

enum option_value {	/* of options without a letter, as getopt_long() returns them */
	OPTION_TIMEOUT = 256, OPTION_MAX_FREEZE, OPTION_MAX_HOLD,
	OPTION_SCAN_MEMORY, OPTION_BACKEND, OPTION_CONSISTENCY, OPTION_REVERT,
	OPTION_REVERT_ALL, OPTION_ALL_OF, OPTION_ALL, OPTION_RECURSIVE, OPTION_EVERY_ONE,
	OPTION_JOBS, OPTION_NO_THREADS, OPTION_ONLY_LIVEPATCHED, OPTION_USAGE,
	OPTION_COUNT, OPTION_LIST, OPTION_HOLD, OPTION_ONLY_NEW, OPTION_IGNORE_OPT_OUT,
	OPTION_COLOR, OPTION_SECCOMP,
};

struct option_info {
	int value;
	const char *name;
	const char *argument;
	unsigned int commands;
	const char *help;
};

static const struct option_info infos[] = {
	{ 'p', "process", "PID|NAME", CMD_PROCESSES,
	  "this process, or all of this name (wildcards); repeatable" },
	{ 'u', "user", "USER", CMD_PROCESSES, "only processes of this user (name, wildcard, uid)" },
	{ 'i', "id", "ID", CMD_REVERT | CMD_CHECK, "patch by its id (first digits) or name" },
	{ OPTION_ALL_OF, "all-of", "LIB", CMD_REVERT,
	  "all patches of this object (name, path, build-id)" },
	{ OPTION_ALL, "all", NULL, CMD_REVERT, "all patches" },
	{ OPTION_REVERT, "revert", NULL, CMD_APPLY, "revert the patches instead" },
	{ OPTION_REVERT_ALL, "revert-all", "LIB", CMD_APPLY,
	  "first revert all patches of LIB; \"target\": of the patch's object" },
	{ 'r', "retries", "N", CMD_CHANGE | CMD_PATCHABLE, "try again N times when busy (19)" },
	{ OPTION_TIMEOUT, "timeout", "S", CMD_WAIT | CMD_PATCHABLE,
	  "give up after S seconds when busy (10)" },
	{ OPTION_CONSISTENCY, "consistency", "MODE", CMD_CHANGE,
	  "when threads switch: atomic (all at once) or thread (one by one)" },
	{ OPTION_MAX_FREEZE, "max-freeze", "US", CMD_WAIT,
	  "hold a process for at most US microseconds" },
	{ OPTION_MAX_HOLD, "max-hold", "US", CMD_WAIT,
	  "hold a thread for at most US microseconds to look into it" },
	{ 'c', "check-stack", NULL, CMD_CHANGE,
	  "only if no thread is inside the patched library at all" },
	{ OPTION_SCAN_MEMORY, "scan-memory", "WHEN", CMD_CHANGE,
	  "look for suspended coroutines: auto, always or never" },
	{ OPTION_BACKEND, "backend", "NAME", CMD_WAIT,
	  "how to hold it: auto, gate or stop-machine" },
	{ OPTION_IGNORE_OPT_OUT, "ignore-opt-out", NULL, CMD_APPLY,
	  "apply also to processes that opted out of patches" },
	{ 'n', "dry-run", NULL, CMD_CHANGE, "do all but the writing" },
	{ OPTION_RECURSIVE, "recursive", NULL, CMD_FILES,
	  "look for patches in subdirectories too" },
	{ 'R', "root", "PREFIX", CMD_CHANGE, "accepted and not needed: nothing is opened there" },
	{ OPTION_SECCOMP, "disable-seccomp", NULL, CMD_PROCESSES,
	  "accepted and not needed: no process makes a system call for us" },
	{ 'b', "build-id", "ID", CMD_PATCHES, "only objects whose build-id starts with ID" },
	{ OPTION_ONLY_LIVEPATCHED, "only-livepatched", NULL, CMD_PATCHES,
	  "only what has patches" },
	{ OPTION_EVERY_ONE, "disable-summarization", NULL,
	  CMD_WAIT | CMD_CHECK | CMD_PATCHABLE,
	  "list also processes where nothing is to do" },
	{ OPTION_JOBS, "jobs", "N", CMD_PROCESSES, "work on N processes at once (processors)" },
	{ OPTION_NO_THREADS, "disable-threading", NULL, CMD_PROCESSES, "same as --jobs=1" },
	{ OPTION_COUNT, "count", "N", CMD_MONITOR, "end after N events" },
	{ OPTION_LIST, "list", "DIR", CMD_LIST, "the list (" ULP_ENABLED_DIRECTORY ")" },
	{ OPTION_HOLD, "hold", "S", CMD_DAEMON,
	  "hold a program at its start for at most S seconds (2)" },
	{ OPTION_ONLY_NEW, "only-new", NULL, CMD_DAEMON, "leave alone what is running" },
	{ OPTION_COLOR, "color", "WHEN", CMD_ANY, "colours: auto (on terminals), always or never" },
	{ 'j', "json", NULL, CMD_ANY, "print JSON" },
	{ 'q', "quiet", NULL, CMD_ANY, "print only errors" },
	{ 'v', "verbose", NULL, CMD_ANY, "print more; twice: for debugging" },
	{ 'h', "help", NULL, CMD_ANY, "print this" },
	{ OPTION_USAGE, "usage", NULL, CMD_ANY, "same as --help" },
	{ 'V', "version", NULL, CMD_ANY, "print the version" },
};

_Static_assert(ARRAY_SIZE(infos) <= 64, "one bit each in the mask of options that were given");

/* ---- what was probably meant ---- */

static const char *closest_option(const char *word)
{
	const char *best = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
		closest(word, infos[i].name, &best);
	return best;
}

static const char *closest_command(const char *word)
{
	const char *best = NULL;

	/* an alias only if it is nearer: "patchs" is not to be taken for "patch" */
	for (size_t i = 0; i < nr_commands; i++)
		closest(word, commands[i].name, &best);
	for (size_t i = 0; i < nr_commands; i++)
		for (const char *const *alias = commands[i].aliases; *alias; alias++)
			closest(word, *alias, &best);
	return best;
}

/* The options that @start may be short for; false if there are none. */
static bool list_completions(const char *start, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
		if (!strncmp(start, infos[i].name, strlen(start)) && used < size)
			used += snprintf(out + used, size - used, "%s--%s", used ? ", " : "",
					 infos[i].name);
	return used;
}

const struct command *command_named(const char *word)
{
	for (size_t i = 0; i < nr_commands; i++) {
		if (!strcmp(word, commands[i].name))
			return &commands[i];
		for (const char *const *alias = commands[i].aliases; *alias; alias++)
			if (!strcmp(word, *alias))
				return &commands[i];
	}
	return NULL;
}

/* ---- values ---- */

static void add_text(char ***list, size_t *nr, const char *text, size_t length)
{
	char **larger = reallocarray(*list, *nr + 1, sizeof(**list));
	char *copy = strndup(text, length);

	if (!larger || !copy)
		out_of_memory();
	*list = larger;
	larger[(*nr)++] = copy;
}

void options_add_id(struct options *options, const char *text)
{
	add_text(&options->ids, &options->nr_ids, text, strlen(text));
}

/* "12 34" and "12,34" are what pidof and pgrep -d, print: several pids. */
static void add_processes(struct options *options, const char *text)
{
	size_t length;

	if (text[strspn(text, "0123456789, \t\n")]) {
		add_text(&options->processes, &options->nr_processes, text, strlen(text));
		return;
	}
	for (text += strspn(text, ", \t\n"); *text; text += strspn(text, ", \t\n")) {
		length = strcspn(text, ", \t\n");
		add_text(&options->processes, &options->nr_processes, text, length);
		text += length;
	}
}

static void set_option(struct tool *tool, const struct option_info *info, const char *value)
{
	struct options *options = &tool->options;
	size_t nr = options->nr_processes;

	/* no option takes an empty value: it is an unset variable of a script */
	if (info->argument && !*value) {
		p_usage(tool, "--%s: empty value", info->name);
		return;
	}
	switch (info->value) {
	case 'p':
		add_processes(options, value);
		if (options->nr_processes == nr)
			p_usage(tool, "--%s: '%s' names no process", info->name, value);
		break;
	case 'u':
		options->user = value;
		break;
	case 'i':
		options_add_id(options, value);
		break;
	case 'r':
		options->change.attempts = parse_number(tool, info->name, value, 0, 1000000) + 1;
		break;
	case 'n':
		options->change.dry_run = true;
		break;
	case 'R':
		options->root = value;
		break;
	case 'b':
		options->build_id = value;
		if (value[strspn(value, "0123456789abcdefABCDEF")])
			p_usage(tool, "--%s: '%s' is not made of hex digits", info->name,
				value);
		break;
	case 'j':
		options->json = true;
		break;
	case 'q':
		options->quiet = true;
		break;
	case 'v':
		options->verbose++;
		break;
	case 'h':
	case OPTION_USAGE:
		options->help = true;
		break;
	case 'V':
		options->version = true;
		break;
	case OPTION_TIMEOUT:
		options->change.timeout_ns = parse_seconds(tool, info->name, value);
		break;
	case OPTION_MAX_FREEZE:
		options->change.max_freeze_ns =
			1000 * parse_number(tool, info->name, value, 1, 60000000);
		break;
	case OPTION_MAX_HOLD:
		options->change.max_hold_ns =
			1000 * parse_number(tool, info->name, value, 1, 10000000);
		break;
	case OPTION_SCAN_MEMORY:
		options->change.scan_memory = parse_scan(tool, info->name, value);
		break;
	case 'c':
		options->change.check_stack = true;
		break;
	case OPTION_CONSISTENCY:
		options->change.consistency = parse_consistency(tool, info->name, value);
		break;
	case OPTION_BACKEND:
		options->change.backend = parse_backend(tool, info->name, value);
		break;
	case OPTION_REVERT:
		options->revert = true;
		break;
	case OPTION_REVERT_ALL:
		options->revert_all = value;
		break;
	case OPTION_ALL_OF:
		options->all_of = value;
		break;
	case OPTION_ALL:
		options->all = true;
		break;
	case OPTION_RECURSIVE:
		options->recursive = true;
		break;
	case OPTION_ONLY_LIVEPATCHED:
		options->only_livepatched = true;
		break;
	case OPTION_EVERY_ONE:
		options->every_one = true;
		break;
	case OPTION_JOBS:
		options->jobs = parse_number(tool, info->name, value, 1, 1024);
		break;
	case OPTION_COLOR:
		options->color = parse_color(tool, info->name, value);
		break;
	case OPTION_SECCOMP:
		break;
	case OPTION_COUNT:
		options->count = parse_number(tool, info->name, value, 1, UINT32_MAX);
		break;
	case OPTION_LIST:
		options->list = value;
		break;
	case OPTION_HOLD:
		options->hold_ns = parse_seconds(tool, info->name, value);
		if (options->hold_ns > 600000000000ULL)
			p_usage(tool, "--%s: more than 600 seconds", info->name);
		break;
	case OPTION_ONLY_NEW:
		options->only_new = true;
		break;
	case OPTION_IGNORE_OPT_OUT:
		options->change.ignore_opt_out = true;
		break;
	case OPTION_NO_THREADS:
		options->jobs = 1;
		break;
	}
}

/* ---- the line ---- */

static const struct option_info *find_option(int value)
{
	for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
		if (infos[i].value == value)
			return &infos[i];
	return NULL;
}

/* getopt_long() found something wrong with @word. */
static void bad_option(struct tool *tool, int result, const char *word)
{
	const struct option_info *info = optopt ? find_option(optopt) : NULL;
	char name[64] = "", completions[256];
	const char *near;

	if (result == '?' && optopt == '?') {	/* -?, as the manual has it */
		tool->options.help = true;
		return;
	}
	if (result == ':' && info) {
		p_usage(tool, "--%s needs a value: %s", info->name, info->argument);
		return;
	}
	if (strncmp(word, "--", 2) != 0) {
		p_usage(tool, "unknown option '-%c'", optopt);
		return;
	}
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	if (info) {
		p_usage(tool, "--%s takes no value", info->name);
		return;
	}
	if (list_completions(name, completions, sizeof(completions))) {
		p_usage(tool, "ambiguous option '--%s': %s", name, completions);
		return;
	}
	near = closest_option(name);
	p_usage(tool, near ? "unknown option '--%s'; did you mean '--%s'?" :
			     "unknown option '--%s'", name, near);
}

static void read_line(struct tool *tool, int argc, char **argv, uint64_t *given)
{
	struct option longs[ARRAY_SIZE(infos) + 1] = { 0 };
	char shorts[2 + 2 * ARRAY_SIZE(infos) + 1] = "-:";	/* in order; ':' for no value */
	const struct option_info *info;
	size_t at = 2;
	int result;

	for (size_t i = 0; i < ARRAY_SIZE(infos); i++) {
		longs[i].name = infos[i].name;
		longs[i].has_arg = infos[i].argument ? required_argument : no_argument;
		longs[i].val = infos[i].value;
		if (infos[i].value > UCHAR_MAX)
			continue;
		shorts[at++] = (char)infos[i].value;
		if (infos[i].argument)
			shorts[at++] = ':';
	}
	opterr = 0;
	tool->args = calloc(argc + 1, sizeof(*tool->args));
	if (!tool->args)
		out_of_memory();
	for (;;) {
		int word = optind;

		result = getopt_long(argc, argv, shorts, longs, NULL);
		if (result == -1)
			break;
		if (result == 1) {
			tool->args[tool->nr_args++] = optarg;
			continue;
		}
		info = result == '?' || result == ':' ? NULL : find_option(result);
		if (!info) {
			bad_option(tool, result, argv[word]);
			continue;
		}
		*given |= 1ULL << (info - infos);
		set_option(tool, info, optarg);
	}
	while (optind < argc)
		tool->args[tool->nr_args++] = argv[optind++];
}

static void choose_command(struct tool *tool)
{
	const char *word, *near;

	if (!tool->nr_args) {
		if (!tool->options.help && !tool->options.version)
			p_usage(tool, "no command");
		return;
	}
	word = tool->args[0];
	tool->command = command_named(word);
	if (!tool->command && foreign_answer(word)) {
		p_usage(tool, "%s: %s", word, foreign_answer(word));
		return;
	}
	if (!tool->command) {
		near = closest_command(word);
		p_usage(tool, near ? "unknown command '%s'; did you mean '%s'?" :
				     "unknown command '%s'", word, near);
		return;
	}
	memmove(tool->args, tool->args + 1, tool->nr_args * sizeof(*tool->args));
	tool->nr_args--;
	/* as with options: an unset variable must not look like a patch that is not there */
	for (size_t i = 0; i < tool->nr_args; i++)
		if (!*tool->args[i])
			p_usage(tool, "%s: argument %zu is empty", tool->command->name, i + 1);
}

void options_parse(struct tool *tool, int argc, char **argv)
{
	const struct option_info *info;
	uint64_t given = 0;

	tool->options.change.sz = sizeof(tool->options.change);
	/* so that errors found on the way are JSON too, wherever --json stands */
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		tool->options.json |= !strcmp(argv[i], "--json") || !strcmp(argv[i], "-j");
	if (tool->options.json)
		tool->document = json_object_new_object();
	read_line(tool, argc, argv, &given);
	if (tool->options.json && !tool->document)	/* abbreviated */
		tool->document = json_object_new_object();
	choose_command(tool);
	for (size_t i = 0; tool->command && i < ARRAY_SIZE(infos); i++) {
		info = &infos[i];
		if ((given & 1ULL << i) && !(info->commands & tool->command->id))
			p_usage(tool, "%s has no option --%s", tool->command->name, info->name);
	}
}

void options_free(struct options *options)
{
	for (size_t i = 0; i < options->nr_processes; i++)
		free(options->processes[i]);
	for (size_t i = 0; i < options->nr_ids; i++)
		free(options->ids[i]);
	free(options->processes);
	free(options->ids);
}

void options_help(const struct tool *tool, FILE *out)
{
	const struct command *command = tool->command;
	char left[64], letter[8];

	if (!command) {
		fprintf(out, "Usage: %s COMMAND [OPTION]... [ARGUMENT]...\n", tool->name);
		fputs("Live patching of running processes.\n\nCommands:\n", out);
		for (size_t i = 0; i < nr_commands; i++) {
			fprintf(out, "  %-14s%s", commands[i].name, commands[i].summary);
			for (const char *const *a = commands[i].aliases; *a; a++)
				fprintf(out, "%s%s", a == commands[i].aliases ? " (also: " : ", ",
					*a);
			fputs(commands[i].aliases[0] ? ")\n" : "\n", out);
		}
		fprintf(out, "  %-14s%s\n", "pack", "Make a patch: ulp-packer pack (also: packer)");
		fprintf(out, "\n'%s COMMAND --help' lists the options of a command.\n", tool->name);
		return;
	}
	fprintf(out, "Usage: %s %s [OPTION]...%s\n%s.\n\n", tool->name, command->name,
		command->arguments, command->summary);
	for (size_t i = 0; i < ARRAY_SIZE(infos); i++) {
		if (!(infos[i].commands & command->id))
			continue;
		snprintf(letter, sizeof(letter), "-%c,", infos[i].value);
		snprintf(left, sizeof(left), "  %-4s--%s%s%s",
			 infos[i].value <= UCHAR_MAX ? letter : "", infos[i].name,
			 infos[i].argument ? "=" : "",
			 infos[i].argument ? infos[i].argument : "");
		fprintf(out, "%-30s %s\n", left, infos[i].help);
	}
	fputs("\nExit status: 0 done or nothing to do, 1 failed, 2 wrong usage, 3 busy: nothing\n"
	      "was changed, try again later, 4 done, but threads have not switched yet.\n", out);
}
