// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Text for people: messages, the line of each process, the summary; and the
 * exit status.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../uapi/ulp.h"
#include "cmds.h"

/* The one place where the exit status is decided. */
int exit_status(const struct tally *tally)
{
	if (tally->usage)
		return 2;
	if (tally->errors || tally->failed > tally->busy)
		return 1;
	if (tally->busy)
		return 3;
	return tally->switching ? 4 : 0;
}

void out_of_memory(void)
{
	static const char text[] = "ulp-tool: out of memory\n";
	const struct tally tally = { .errors = 1 };

	/* ulp_apply() and ulp_revert() are all or nothing: leaving is safe */
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(exit_status(&tally));
	_exit(exit_status(&tally));
}

const char *backend_name(uint32_t backend)
{
	switch (backend) {
	case ULP_BACKEND_AUTO:
		return "auto";
	case ULP_BACKEND_GATE:
		return "gate";
	case ULP_BACKEND_STOP_MACHINE:
		return "stop-machine";
	}
	return "unknown";
}

const char *refusal_name(uint32_t reason)
{
	static const char * const names[] = {
		[ULP_REASON_NONE] = "none",
		[ULP_REASON_IP] = "ip",
		[ULP_REASON_STACK] = "stack",
		[ULP_REASON_SIGRETURN] = "sigreturn",
		[ULP_REASON_NO_STACK] = "no-stack",
		[ULP_REASON_FREEZE_LIMIT] = "freeze-limit",
		[ULP_REASON_BYTES] = "bytes",
		[ULP_REASON_PAGE] = "page",
		[ULP_REASON_NEW_THREADS] = "new-threads",
		[ULP_REASON_FAULT] = "fault",
		[ULP_REASON_REGISTER] = "register",
		[ULP_REASON_LOCK] = "lock",
		[ULP_REASON_MEMORY] = "memory",
		[ULP_REASON_NO_POINTER] = "no-pointer",
		[ULP_REASON_TABLE] = "table",
	};

	return reason < ARRAY_SIZE(names) ? names[reason] : "unknown";
}

/* ---- text of unknown origin ---- */

/*
 * Length of the UTF-8 character at @text, 0 if there is none.  Process names,
 * paths and records are bytes that anybody chose.
 */
static size_t character(const unsigned char *text)
{
	uint32_t code;
	size_t length;

	if (*text < 0x80)
		return 1;
	if (*text >= 0xc2 && *text < 0xe0)
		length = 2;
	else if (*text >= 0xe0 && *text < 0xf0)
		length = 3;
	else if (*text >= 0xf0 && *text < 0xf5)
		length = 4;
	else
		return 0;
	code = *text & (0x7f >> length);
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	/* overlong, surrogate, too high */
	if ((length == 3 && code < 0x800) || (length == 4 && code < 0x10000) ||
	    (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
		return 0;
	return length;
}

/* A terminal would act on these: C0, DEL, and C1 in UTF-8. */
static bool is_control(const unsigned char *text)
{
	return *text < 0x20 || *text == 0x7f || (*text == 0xc2 && text[1] < 0xa0);
}

static char *clean(const char *text, bool terminal)
{
	const unsigned char *at = (const unsigned char *)text;
	char *out = malloc(4 * strlen(text) + 1), *end = out;
	size_t length;

	if (!out)
		out_of_memory();
	for (; *at; at += length) {
		length = character(at);
		if (length && !(terminal && is_control(at))) {
			memcpy(end, at, length);
			end += length;
		} else if (terminal) {
			length = 1;
			end += sprintf(end, "\\x%02x", *at);
		} else {
			length = 1;
			end += sprintf(end, "\xef\xbf\xbd");	/* U+FFFD */
		}
	}
	*end = '\0';
	return out;
}

char *text_for_terminal(const char *text)
{
	return clean(text, true);
}

char *text_for_json(const char *text)
{
	return clean(text, false);
}

void put_text(FILE *out, const char *text)
{
	char *safe = text_for_terminal(text);

	fputs(safe, out);
	free(safe);
}

void put_time(FILE *out, int64_t seconds)
{
	time_t when = (time_t)seconds;
	struct tm parts;
	char text[64];

	if (seconds > 0 && localtime_r(&when, &parts) &&
	    strftime(text, sizeof(text), "%F %T", &parts))
		fprintf(out, "%s", text);
	else
		fputs("unknown time", out);
}

void put_colored(const struct tool *tool, FILE *out, enum color color, const char *text)
{
	static const char * const codes[] = {
		[COLOR_GREEN] = "32", [COLOR_YELLOW] = "33", [COLOR_RED] = "31",
	};

	if (tool->color && codes[color])
		fprintf(out, "\033[%sm%s\033[0m", codes[color], text);
	else
		fputs(text, out);
}

/* ---- messages ---- */

static void p_line(struct tool *tool, const char *text)
{
	p_progress_end(tool);
	fprintf(stderr, "%s: ", tool->name);
	put_text(stderr, text);
	fputc('\n', stderr);
}

void p_err(struct tool *tool, int code, const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	p_line(tool, text);
	json_error(tool, ulp_reason(code), text);
	tool->tally.errors++;
}

/* Only the first is shown: the others tend to follow from it. */
void p_usage(struct tool *tool, const char *format, ...)
{
	char text[2048];
	va_list args;

	if (tool->tally.usage)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	p_line(tool, text);
	json_error(tool, "usage", text);
	tool->tally.usage = true;
}

bool takes_no_argument(struct tool *tool)
{
	if (!tool->nr_args)
		return true;
	p_usage(tool, "%s takes no argument '%s'; a process is named with -p",
		tool->command->name, tool->args[0]);
	return false;
}

void p_note(struct tool *tool, const char *format, ...)
{
	char text[2048];
	va_list args;

	if (tool->options.quiet)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	p_line(tool, text);
}

/* A line that is written over and over, on a terminal and when it is worth it. */
void p_progress(struct tool *tool, size_t done, size_t of)
{
	if (tool->options.quiet || of < 20 || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%zu of %zu processes", done, of);
	fflush(stderr);
	tool->progress = true;
}

void p_progress_end(struct tool *tool)
{
	if (!tool->progress)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	tool->progress = false;
}

/* ---- what became of a patch in a process ---- */

/* It has ended: libulp saw it, or the system said so under a call of libulp's. */
bool is_gone(int code)
{
	return code == -ULP_E_NO_PROCESS || code == -ESRCH;
}

/*
 * Nothing to do is no failure; neither is a process that nobody named and that
 * is gone, does not want patches, or can never have the patch's target.
 */
enum verdict verdict_of(const struct visit *visit, int code)
{
	if (code >= 0)
		return SUCCESS;
	if (ulp_code_is_nothing(code))
		return SKIPPED;
	if (ulp_code_is_switching(code))
		return SWITCHING;
	if ((is_gone(code) || code == -ULP_E_OPTED_OUT || code == -ULP_E_NO_PRELOAD) &&
	    !visit->process->named)
		return SKIPPED;
	if (code == -ULP_E_ARCH && visit->all)
		return SKIPPED;
	return FAILED;
}

void visit_unopened(struct visit *visit)
{
	if (!visit->process->named && (is_gone(visit->code) || visit->code == -ULP_E_NO_PRELOAD))
		return;
	if (visit->all && visit->code == -ULP_E_ARCH)
		return;
	visit->tally.failed++;
	if (visit->all && visit->code == -ULP_E_PERMISSION && !visit->tool->options.verbose)
		visit->tally.unreadable++;
	else
		visit->complain = true;
}

/* Of all processes of a machine most do not have the target: they are only counted. */
static bool is_irrelevant(int code)
{
	return code == -ULP_E_NOT_TARGET || code == -ULP_E_NOT_APPLIED ||
	       code == -ULP_E_NOT_SWITCHING || is_gone(code) ||
	       code == -ULP_E_ARCH;
}

static const struct {
	const char *status, *word;
	enum color color;
} verdicts[] = {
	[SUCCESS] = { "success", "SUCCESS ", COLOR_GREEN },
	[SKIPPED] = { "skipped", "SKIPPED ", COLOR_YELLOW },
	[FAILED] = { "failed", "FAILED ", COLOR_RED },
	[SWITCHING] = { "switching", "SWITCHING ", COLOR_YELLOW },
};

const char *verdict_status(enum verdict verdict)
{
	return verdicts[verdict].status;
}

void put_verdict(const struct tool *tool, FILE *out, enum verdict verdict)
{
	put_colored(tool, out, verdicts[verdict].color, verdicts[verdict].word);
}

void tally_verdict(struct tally *tally, enum verdict verdict, int code)
{
	tally->success += verdict == SUCCESS;
	tally->skipped += verdict == SKIPPED;
	tally->failed += verdict == FAILED;
	tally->switching += verdict == SWITCHING;
	tally->busy += verdict == FAILED && ulp_code_is_busy(code);
}

void put_process(FILE *out, const struct process *process)
{
	put_text(out, *process->name ? process->name : "?");
	fprintf(out, " (pid: %d): ", (int)process->pid);
}

static void put_subject(FILE *out, const struct outcome *outcome)
{
	if (outcome->object) {
		fputs("all patches of ", out);
		put_text(out, outcome->object);
	} else if (!*outcome->patch) {
		fputs("all patches", out);
	} else {
		put_text(out, outcome->file ? outcome->file : outcome->patch);
	}
}

static void put_success(FILE *out, const struct outcome *outcome, bool dry_run)
{
	const struct ulp_result *result = outcome->result;
	bool apply = !strcmp(outcome->action, "apply");

	put_subject(out, outcome);
	if (!strcmp(outcome->action, "finish")) {
		fputs(": all threads have switched\n", out);
		return;
	}
	fprintf(out, dry_run ? " would be %s" : " %s", apply ? "applied" : "reverted");
	fprintf(out, " (%" PRIu64 ".%03u ms frozen, %u thread%s, attempt %u, proof: %s",
		result->freeze_ns / 1000000, (unsigned int)(result->freeze_ns / 1000 % 1000),
		result->threads, result->threads == 1 ? "" : "s", result->attempts,
		result->proof);
	if (result->hold_ns)
		fprintf(out, ", a thread held %" PRIu64 ".%03u ms", result->hold_ns / 1000000,
			(unsigned int)(result->hold_ns / 1000 % 1000));
	fputs(")\n", out);
}

static void put_backtrace(FILE *out, const char *text)
{
	size_t length;

	for (; *text; text += length + (text[length] == '\n')) {
		char line[256];

		length = strcspn(text, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)length, text);
		fputs("    ", out);
		put_text(out, line);
		fputc('\n', out);
	}
}

void put_reason(FILE *out, const struct process *process, int code, const char *message)
{
	char start[64];
	size_t length;

	fputs(ulp_reason(code), out);
	/* the message begins with the process, as the line does */
	length = snprintf(start, sizeof(start), "%s (pid %d): ", process->name, (int)process->pid);
	if (length < sizeof(start) && !strncmp(message, start, length))
		message += length;
	if (*message) {
		fputs(": ", out);
		put_text(out, message);
	}
	fputc('\n', out);
}

static void put_refusal(FILE *out, const struct process *process, const struct outcome *outcome)
{
	const struct ulp_result *result = outcome->result;

	put_subject(out, outcome);
	fputs(": ", out);
	put_reason(out, process, result->code, result->message);
	put_backtrace(out, result->blocker_backtrace);
}

void outcome_add(struct visit *visit, const struct outcome *outcome)
{
	const struct options *options = &visit->tool->options;
	int code = outcome->result->code;
	enum verdict verdict = verdict_of(visit, code);
	FILE *out = visit->out;

	tally_verdict(&visit->tally, verdict, code);
	if (verdict == SKIPPED && visit->all && is_irrelevant(code) &&
	    !options->verbose && !options->every_one) {
		visit->tally.hidden++;
		return;
	}
	if (visit->json)
		json_object_array_add(visit->json,
				      json_outcome(visit, outcome, verdict_status(verdict)));
	if (options->json || (options->quiet && verdict != FAILED && verdict != SWITCHING))
		return;
	put_process(out, visit->process);
	put_verdict(visit->tool, out, verdict);
	if (verdict == SUCCESS)
		put_success(out, outcome, options->change.dry_run);
	else
		put_refusal(out, visit->process, outcome);
}

/*
 * The process could not be opened.  Without permission to look at most of the
 * machine one line for all of them says it better.
 */
void outcome_unopened(struct visit *visit, struct outcome *outcome)
{
	struct ulp_result result = { .sz = sizeof(result), .code = visit->code, .proof = "" };

	if (visit->all && visit->code == -ULP_E_PERMISSION && !visit->tool->options.verbose) {
		visit->tally.failed++;
		visit->tally.unreadable++;
		return;
	}
	snprintf(result.message, sizeof(result.message), "%s", visit->message);
	outcome->result = &result;
	outcome_add(visit, outcome);
	outcome->result = NULL;
}

void outcome_summary(struct tool *tool)
{
	const struct tally *tally = &tool->tally;
	const struct options *options = &tool->options;
	json_object *summary;

	if (options->json) {
		summary = json_object_new_object();
		json_put(summary, "success", json_object_new_int64((int64_t)tally->success));
		json_put(summary, "skipped", json_object_new_int64((int64_t)tally->skipped));
		json_put(summary, "switching",
			 json_object_new_int64((int64_t)tally->switching));
		json_put(summary, "failed", json_object_new_int64((int64_t)tally->failed));
		json_put(tool->document, "summary", summary);
		return;
	}
	/* nothing was tried: the error has been told */
	if (options->quiet || (tally->errors && !tally->success && !tally->skipped &&
			       !tally->failed))
		return;
	printf("%s: %zu %s, %zu skipped", tool->name, tally->success,
	       options->change.dry_run ? "would succeed" : "succeeded", tally->skipped);
	if (tally->hidden)
		printf(" (%zu not listed: nothing to do there)", tally->hidden);
	if (tally->switching)
		printf(", %zu with threads that have not switched yet", tally->switching);
	printf(", %zu failed", tally->failed);
	if (tally->busy)
		printf(" (%zu busy: try again later)", tally->busy);
	putchar('\n');
}
