// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-tool: the commands.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmds.h"

const struct command commands[] = {
	{ CMD_APPLY, "apply", { "trigger", "patch" }, " FILE...",
	  "Apply patches to running processes", cmd_apply },
	{ CMD_REVERT, "revert", { "unpatch" }, " {FILE|ID|NAME | --all-of=LIB | --all}...",
	  "Take patches back", cmd_revert },
	{ CMD_FINISH, "finish", { NULL }, "",
	  "Wait for threads that have not switched yet", cmd_finish },
	{ CMD_PATCHES, "patches", { "info" }, "",
	  "List processes and the patches they have", cmd_patches },
	{ CMD_CHECK, "check", { NULL }, " FILE|ID|NAME...",
	  "Tell whether processes have a patch", cmd_check },
	{ CMD_DUMP, "dump", { NULL }, " FILE...",
	  "Print what a patch file contains", cmd_dump },
	{ CMD_MESSAGES, "messages", { NULL }, "",
	  "Print what the preload library in processes has to say", cmd_messages },
	{ CMD_PATCHABLE, "set-patchable", { "set_patchable" }, " {enable|disable}",
	  "Have processes with the preload library take patches, or none", cmd_set_patchable },
	{ CMD_STATUS, "status", { NULL }, "",
	  "Tell what this machine has and lacks", cmd_status },
	{ CMD_MONITOR, "monitor", { NULL }, "",
	  "Print what is applied, reverted and refused, as it happens", cmd_monitor },
	{ CMD_ENABLE, "enable", { NULL }, " FILE...",
	  "Have patches applied to what is loaded from now on", cmd_enable },
	{ CMD_DISABLE, "disable", { NULL }, " FILE|ID|NAME...",
	  "Have them applied no more; nothing is reverted", cmd_disable },
	{ CMD_ENABLED, "enabled", { NULL }, "", "List the enabled patches", cmd_enabled },
	{ CMD_DAEMON, "daemon", { NULL }, "",
	  "Apply the enabled patches to what is loaded, before it runs", cmd_daemon },
	{ CMD_HELP, "help", { NULL }, " [COMMAND]", "Print the options of a command", cmd_help },
};

const size_t nr_commands = ARRAY_SIZE(commands);

void cmd_help(struct tool *tool)
{
	options_help(tool, stdout);
}

int module_check(struct tool *tool)
{
	struct ulp_status status = { .sz = sizeof(status) };
	int err = ulp_status_get(tool->ctx, &status);

	if (!err)
		err = status.module;
	if (!err)
		return 0;
	if (err == -EACCES || err == -EPERM)
		err = -ULP_E_PERMISSION;
	else if (err > -ULP_E_ALREADY_APPLIED)
		err = -ULP_E_MODULE;
	p_err(tool, err, "%s", ulp_error(tool->ctx));
	return err;
}

void tool_log_line(enum ulp_log_level level, const char *text, void *data)
{
	p_note(data, "%s%s", level == ULP_LOG_WARN ? "warning: " : "", text);
}

void tool_set_log(const struct tool *tool, struct ulp_context *ctx, ulp_log_fn fn, void *data)
{
	int verbose = tool->options.verbose;

	ulp_context_set_log(ctx, fn, verbose > 1 ? ULP_LOG_DEBUG : (enum ulp_log_level)verbose,
			    data);
}

/* "help COMMAND" is "COMMAND --help"; "help" alone is "--help". */
static bool help_wanted(struct tool *tool)
{
	if (tool->command && tool->command->id == CMD_HELP) {
		tool->options.help = true;
		tool->command = tool->nr_args ? command_named(tool->args[0]) : NULL;
		if (tool->nr_args && !tool->command)
			p_usage(tool, "help: unknown command '%s'", tool->args[0]);
	}
	return tool->options.help;
}

static void run(struct tool *tool)
{
	bool help = help_wanted(tool);

	if (tool->tally.usage)
		return;
	if (help) {
		options_help(tool, stdout);
		return;
	}
	if (tool->options.version) {
		if (tool->document)
			json_put(tool->document, "version", json_text(ulp_version()));
		else
			printf("ulp-tool %s\n", ulp_version());
		return;
	}
	if (ulp_context_new(&tool->ctx))
		out_of_memory();
	tool_set_log(tool, tool->ctx, tool_log_line, tool);
	tool->command->run(tool);
	patches_close(tool);
	ulp_context_free(tool->ctx);
}

/* Output that nobody got is a failure too. */
static void finish_output(struct tool *tool)
{
	struct pollfd reader = { .fd = STDOUT_FILENO };
	bool gone = poll(&reader, 1, 0) > 0 && (reader.revents & POLLERR);
	/* why something was lost earlier is not known any more */
	int err = ferror(stdout) ? EIO : 0;

	if (fflush(stdout) || fclose(stdout))
		err = errno;
	if (!err)
		return;
	if (!gone && err != EPIPE)
		fprintf(stderr, "%s: standard output: not all of it was written: %s\n",
			tool->name, strerror(err));
	tool->tally.errors++;
}

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	struct tool tool = { .name = slash ? slash + 1 : argc ? argv[0] : "ulp-tool" };
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

	foreign_packer(argc, argv);
	/* a reader that goes away must not end us between two processes */
	signal(SIGPIPE, SIG_IGN);
	tool.color = isatty(STDOUT_FILENO) && !(no_color && *no_color) &&
		     term && strcmp(term, "dumb") != 0;
	options_parse(&tool, argc, argv);
	if (tool.options.color)
		tool.color = tool.options.color == COLOR_ALWAYS;
	run(&tool);
	if (tool.tally.usage)
		fprintf(stderr, "Try '%s%s%s --help'.\n", tool.name, tool.command ? " " : "",
			tool.command ? tool.command->name : "");
	if (!(tool.options.help && !tool.tally.usage))
		json_finish(&tool);
	finish_output(&tool);
	free(tool.args);
	options_free(&tool.options);
	return exit_status(&tool.tally);
}
