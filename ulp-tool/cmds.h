/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of ulp-tool share among themselves.
 */
#ifndef ULP_TOOL_CMDS_H
#define ULP_TOOL_CMDS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "../libulp/libulp.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/*
 * options.c: one table of options for all commands.  An option means the same
 * wherever it is allowed, so it can be read before the command is known.
 */
/* --color; the first is "not given" as well */
enum color_when { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct options {
	char **processes;		/* -p, each one PID or one wildcard */
	size_t nr_processes;
	const char *user;
	char **ids;			/* -i */
	size_t nr_ids;
	const char *revert_all;
	const char *all_of;
	const char *build_id;
	const char *root;
	struct ulp_options change;	/* for ulp_apply() and ulp_revert() */
	unsigned int jobs;
	uint64_t count;			/* 0: no end */
	const char *list;		/* directory of enabled patches, or NULL */
	uint64_t hold_ns;		/* 0: the module's default */
	int verbose;
	bool revert, all, recursive, only_livepatched, every_one;
	enum color_when color;
	bool only_new;
	bool json, quiet, help, version;
};

/* Bits of struct command.id, in struct option_info.commands. */
enum command_id {
	CMD_APPLY	= 1 << 0,
	CMD_REVERT	= 1 << 1,
	CMD_PATCHES	= 1 << 2,
	CMD_CHECK	= 1 << 3,
	CMD_DUMP	= 1 << 4,
	CMD_STATUS	= 1 << 5,
	CMD_HELP	= 1 << 6,
	CMD_MONITOR	= 1 << 7,
	CMD_ENABLE	= 1 << 8,
	CMD_DISABLE	= 1 << 9,
	CMD_ENABLED	= 1 << 10,
	CMD_DAEMON	= 1 << 11,
	CMD_MESSAGES	= 1 << 12,
	CMD_PATCHABLE	= 1 << 13,
	CMD_FINISH	= 1 << 14,
};

struct tool;

struct command {
	enum command_id id;
	const char *name;
	const char *aliases[3];		/* ends with NULL */
	const char *arguments;		/* behind the options, for the usage line */
	const char *summary;
	void (*run)(struct tool *tool);
};

/* How often what happened; the exit status is made from this alone. */
struct tally {
	size_t success;
	size_t skipped;
	size_t failed;
	size_t busy;			/* of the failed: may succeed later */
	size_t switching;		/* done, but threads have not switched yet */
	size_t hidden;			/* of the skipped: not listed */
	size_t unreadable;		/* of the failed: not listed, no permission */
	size_t errors;			/* of no process */
	bool usage;
};

struct patch_file;

struct tool {
	const char *name;		/* as it was called: ulp-tool, ulp */
	const struct command *command;
	struct options options;
	char **args;			/* behind the command */
	size_t nr_args;
	struct ulp_context *ctx;	/* of the main thread */
	struct patch_file *patches;	/* files.c */
	size_t nr_patches;
	struct tally tally;
	json_object *document;		/* with --json */
	bool color;
	bool progress;			/* a progress line is on the terminal */
};

extern const struct command commands[];
extern const size_t nr_commands;

/* By its name or an alias, else NULL. */
const struct command *command_named(const char *word);

/* -ULP_E_MODULE and the like after p_err(), 0 if /dev/ulp answers. */
int module_check(struct tool *tool);

/* Who gets messages of @ctx, as many as --verbose says; the tool's own way. */
void tool_set_log(const struct tool *tool, struct ulp_context *ctx, ulp_log_fn fn, void *data);
void tool_log_line(enum ulp_log_level level, const char *text, void *data);

/* Fills @tool; whatever is wrong is reported with p_usage(). */
void options_parse(struct tool *tool, int argc, char **argv);
void options_add_id(struct options *options, const char *text);
void options_free(struct options *options);
void options_help(const struct tool *tool, FILE *out);

/* option_values.c: what is wrong with the value of --@option is reported with p_usage(). */
uint64_t parse_number(struct tool *tool, const char *option, const char *text, uint64_t min,
		      uint64_t max);
uint64_t parse_seconds(struct tool *tool, const char *option, const char *text);
uint32_t parse_backend(struct tool *tool, const char *option, const char *text);
uint8_t parse_scan(struct tool *tool, const char *option, const char *text);
enum color_when parse_color(struct tool *tool, const char *option, const char *text);
uint32_t parse_consistency(struct tool *tool, const char *option, const char *text);

/* closest.c: keeps the nearer one of @candidate and *@best, if it is near to @word at all. */
void closest(const char *word, const char *candidate, const char **best);

void cmd_apply(struct tool *tool);
void cmd_revert(struct tool *tool);
void cmd_finish(struct tool *tool);
void cmd_patches(struct tool *tool);
void cmd_check(struct tool *tool);
void cmd_dump(struct tool *tool);
void cmd_status(struct tool *tool);
void cmd_monitor(struct tool *tool);
void cmd_enable(struct tool *tool);
void cmd_disable(struct tool *tool);
void cmd_enabled(struct tool *tool);
void cmd_daemon(struct tool *tool);
void cmd_messages(struct tool *tool);
void cmd_set_patchable(struct tool *tool);
void cmd_help(struct tool *tool);

/* select.c: which processes */
struct process {
	pid_t pid;
	uint64_t start;			/* when it began: tells a pid that was reused */
	bool named;			/* by pid: that it exists is expected */
	bool missing;			/* named, and does not exist */
	char *name;			/* /proc/PID/comm */
};

struct selection {
	struct process *processes;	/* ascending pids, each once */
	size_t nr;
	bool all;			/* no -p: nobody named any of them */
};

/* 0, or -1 after p_err(): then nothing is to be done. */
int select_processes(struct tool *tool, struct selection *selection);
void selection_free(struct selection *selection);
/* Whether the process of this pid is still the one that was selected. */
bool process_is_same(const struct process *process);

/* user.c: the user of this name or uid; free @name */
bool user_find(const char *key, uid_t *uid, char **name);

/* files.c: which patches */
struct patch_file {
	char *path;			/* as given */
	char *name;
	char *id;
	char **dependencies;
	size_t nr_dependencies;
	struct ulp_patch *patch;	/* of tool->ctx */
};

/*
 * Fills tool->patches from @args in the order in which they can be applied.
 * 0, or -1 after p_err(): then no process is to be touched.
 */
int patches_open(struct tool *tool, char **args, size_t nr_args);
void patches_close(struct tool *tool);
/* Whether @arg means a file rather than the id or name of a patch. */
bool is_patch_argument(const char *arg);
/* Moves ids and names to options.ids; the number of file arguments that stay. */
size_t split_arguments(struct tool *tool);

/* parallel.c: several processes at once */
struct visit {				/* of one process */
	struct tool *tool;
	const struct process *process;
	bool all;			/* see struct selection */
	struct ulp_context *ctx;
	struct ulp_patch **patches;	/* as tool->patches, but of ctx */
	struct ulp_target *target;	/* NULL: see code and message */
	int code;
	char message[512];
	bool complain;			/* set by @fn: show code and message as an error */
	/* what the visit leaves; shown in the order of the selection */
	FILE *out;			/* text for standard output */
	json_object *json;		/* array, or NULL without --json */
	struct tally tally;
	char *text;			/* of out */
	size_t text_size;
};

typedef void (*visit_fn)(struct visit *visit);

/*
 * Calls @fn once for each selected process.  The JSON values that the visits
 * leave are appended to @list of the document.
 */
void visit_all(struct tool *tool, const struct selection *selection, visit_fn fn,
	       const char *list);

/*
 * For commands that are about processes alone: selects, and visits them.  Returns
 * whether none was named, so that it was all of them.
 */
bool visit_selected(struct tool *tool, visit_fn fn, const char *list);

/* output.c: text for people, and the exit status */
enum color { COLOR_NONE, COLOR_GREEN, COLOR_YELLOW, COLOR_RED };

enum verdict { SUCCESS, SKIPPED, FAILED, SWITCHING };

/* An error of no particular process: standard error, and "errors" of the document. */
void p_err(struct tool *tool, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void p_usage(struct tool *tool, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* For commands that have none; otherwise it is said. */
bool takes_no_argument(struct tool *tool);
/* For people only: not with --quiet. */
void p_note(struct tool *tool, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void p_progress(struct tool *tool, size_t done, size_t of);
void p_progress_end(struct tool *tool);

/* What became of one patch in one process. */
struct outcome {
	const char *action;		/* "apply", "revert", "finish" */
	const char *patch;		/* name, or what was asked for; "" all */
	const char *id;			/* if it is known beforehand, or NULL */
	const char *file;		/* NULL if it came from no file */
	const char *object;		/* of which all patches are reverted, or NULL */
	const struct ulp_result *result;
};

/* Ends the line: the word for @code, and the sentence. */
void put_reason(FILE *out, const struct process *process, int code, const char *message);
/* What a code means for one process, and its words: "success", "SUCCESS ". */
enum verdict verdict_of(const struct visit *visit, int code);
const char *verdict_status(enum verdict verdict);
void put_verdict(const struct tool *tool, FILE *out, enum verdict verdict);
void tally_verdict(struct tally *tally, enum verdict verdict, int code);

/*
 * A command that only reads could not do so, for the reason in @visit.  Of processes
 * nobody named some are gone by now, some are 32-bit ones.
 */
void visit_unopened(struct visit *visit);

void outcome_add(struct visit *visit, const struct outcome *outcome);
/* That the process itself could not be opened. */
void outcome_unopened(struct visit *visit, struct outcome *outcome);
void outcome_summary(struct tool *tool);

/* Text of unknown origin, safe on a terminal. */
void put_text(FILE *out, const char *text);
void put_process(FILE *out, const struct process *process);
void put_time(FILE *out, int64_t seconds);
void put_colored(const struct tool *tool, FILE *out, enum color color, const char *text);
char *text_for_terminal(const char *text);
char *text_for_json(const char *text);
const char *backend_name(uint32_t backend);
/* Of enum ulp_reason: why the module did not do it. */
const char *refusal_name(uint32_t reason);
bool is_gone(int code);

/* foreign.c: words of other tools */

/* What to do about a word that is no command here, or NULL. */
const char *foreign_answer(const char *word);
/* Becomes ulp-packer if the command is pack or packer. */
void foreign_packer(int argc, char **argv);
int exit_status(const struct tally *tally);
void out_of_memory(void) __attribute__((noreturn));

/* json.c: the same for programs */
json_object *json_new(void);
json_object *json_text(const char *text);
json_object *json_texts(const char *const *texts, size_t nr);
json_object *json_address(uint64_t address);
void json_put(json_object *object, const char *key, json_object *value);
json_object *json_list(json_object *object, const char *key);
json_object *json_outcome(const struct visit *visit, const struct outcome *outcome,
			  const char *status);
void json_error(struct tool *tool, const char *reason, const char *message);
/* Prints one value on one line. */
void json_line(json_object *object);
/* Prints the document of a tool that was called with --json. */
void json_finish(struct tool *tool);

#endif /* ULP_TOOL_CMDS_H */
