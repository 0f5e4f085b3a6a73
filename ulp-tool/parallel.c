// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Several processes at once: a pool of workers, each with its own context and
 * its own copy of the patches; for one process the tool's own will do.  What they
 * leave is shown in the order of the selection, as soon as all before it is there.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "cmds.h"

struct pool {
	struct tool *tool;
	const struct selection *selection;
	visit_fn fn;
	json_object *list;
	pthread_mutex_t lock;		/* of all below, and of the outputs */
	struct visit *visits;		/* as selection->processes */
	bool *done;
	size_t next;			/* to be visited */
	size_t shown;
	size_t nr_done;
};

struct worker {
	struct pool *pool;
	bool is_tool;			/* this thread: context and patches are the tool's */
	struct ulp_context *ctx;
	struct ulp_patch **patches;
	char error[512];		/* why it cannot work */
	int code;
};

static void log_line(enum ulp_log_level level, const char *text, void *data)
{
	struct pool *pool = data;

	pthread_mutex_lock(&pool->lock);
	p_note(pool->tool, "%s%s", level == ULP_LOG_WARN ? "warning: " : "", text);
	pthread_mutex_unlock(&pool->lock);
}

static int worker_fail(struct worker *worker, int code, const char *text)
{
	worker->code = code;
	snprintf(worker->error, sizeof(worker->error), "%s", text);
	return -1;
}

static int worker_start(struct worker *worker)
{
	struct tool *tool = worker->pool->tool;
	int err;

	if (worker->is_tool)
		worker->ctx = tool->ctx;
	else if (ulp_context_new(&worker->ctx))
		out_of_memory();
	tool_set_log(tool, worker->ctx, log_line, worker->pool);
	worker->patches = calloc(tool->nr_patches + 1, sizeof(struct ulp_patch *));
	if (!worker->patches)
		out_of_memory();
	for (size_t i = 0; i < tool->nr_patches; i++) {
		if (worker->is_tool) {
			worker->patches[i] = tool->patches[i].patch;
			continue;
		}
		err = ulp_patch_open(worker->ctx, tool->patches[i].path, &worker->patches[i]);
		if (err)
			return worker_fail(worker, err, ulp_error(worker->ctx));
		if (strcmp(ulp_patch_id(worker->patches[i]), tool->patches[i].id) != 0)
			return worker_fail(worker, -ULP_E_CONTAINER,
					   "the file of a patch was replaced meanwhile");
	}
	return 0;
}

static void worker_end(struct worker *worker)
{
	for (size_t i = 0; !worker->is_tool && i < worker->pool->tool->nr_patches; i++)
		ulp_patch_close(worker->patches[i]);
	free(worker->patches);
	if (!worker->is_tool)
		ulp_context_free(worker->ctx);
}

static void visit_fail(struct visit *visit, int code, const char *message)
{
	visit->code = code;
	snprintf(visit->message, sizeof(visit->message), "%s", message);
}

static void visit_open(struct worker *worker, struct visit *visit)
{
	const struct process *process = visit->process;
	char text[128];
	int err;

	if (worker->code) {
		visit_fail(visit, worker->code, worker->error);
		return;
	}
	snprintf(text, sizeof(text), "there is no process %d", (int)process->pid);
	if (process->missing) {
		visit_fail(visit, -ULP_E_NO_PROCESS, text);
		return;
	}
	err = ulp_target_open(worker->ctx, process->pid, &visit->target);
	if (err) {
		visit_fail(visit, err, ulp_error(worker->ctx));
		return;
	}
	/* the pid may have been given to another process before it was opened */
	if (!process_is_same(process)) {
		ulp_target_close(visit->target);
		visit->target = NULL;
		visit_fail(visit, -ULP_E_NO_PROCESS, text);
	}
}

static void visit_run(struct worker *worker, struct visit *visit)
{
	struct pool *pool = worker->pool;

	visit->tool = pool->tool;
	visit->all = pool->selection->all;
	visit->ctx = worker->ctx;
	visit->patches = worker->patches;
	visit->out = open_memstream(&visit->text, &visit->text_size);
	visit->json = pool->list ? json_object_new_array() : NULL;
	if (!visit->out || (pool->list && !visit->json))
		out_of_memory();
	visit_open(worker, visit);
	pool->fn(visit);
	if (visit->target)
		ulp_target_close(visit->target);
	visit->target = NULL;
	if (fclose(visit->out))
		out_of_memory();
}

static void tally_add(struct tally *sum, const struct tally *part)
{
	sum->success += part->success;
	sum->skipped += part->skipped;
	sum->failed += part->failed;
	sum->busy += part->busy;
	sum->switching += part->switching;
	sum->hidden += part->hidden;
	sum->unreadable += part->unreadable;
	sum->errors += part->errors;
}

static void visit_show(struct pool *pool, struct visit *visit)
{
	struct tool *tool = pool->tool;

	if (visit->text_size) {
		p_progress_end(tool);
		fwrite(visit->text, 1, visit->text_size, tool->options.quiet ? stderr : stdout);
		fflush(stdout);
	}
	free(visit->text);
	for (size_t i = 0; visit->json && i < json_object_array_length(visit->json); i++) {
		json_object *value = json_object_array_get_idx(visit->json, i);

		json_object_array_add(pool->list, json_object_get(value));
	}
	json_object_put(visit->json);
	tally_add(&tool->tally, &visit->tally);
	if (visit->complain)
		p_err(tool, visit->code, "%s", visit->message);
}

static void work(struct worker *worker)
{
	struct pool *pool = worker->pool;
	size_t nr = pool->selection->nr, mine;

	worker_start(worker);
	pthread_mutex_lock(&pool->lock);
	while (pool->next < nr) {
		mine = pool->next++;
		pthread_mutex_unlock(&pool->lock);
		visit_run(worker, &pool->visits[mine]);
		pthread_mutex_lock(&pool->lock);
		pool->done[mine] = true;
		pool->nr_done++;
		while (pool->shown < nr && pool->done[pool->shown])
			visit_show(pool, &pool->visits[pool->shown++]);
		p_progress(pool->tool, pool->nr_done, nr);
	}
	pthread_mutex_unlock(&pool->lock);
	worker_end(worker);
}

static void *work_in_thread(void *arg)
{
	struct worker worker = { .pool = arg };

	work(&worker);
	return NULL;
}

static size_t worker_count(const struct tool *tool, size_t nr)
{
	size_t wanted = tool->options.jobs;
	cpu_set_t cpus;

	if (!wanted)
		wanted = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : CPU_COUNT(&cpus);
	return wanted < nr ? wanted : nr;
}

void visit_all(struct tool *tool, const struct selection *selection, visit_fn fn,
	       const char *list)
{
	struct pool pool = { .tool = tool, .selection = selection, .fn = fn };
	struct worker here = { .pool = &pool, .is_tool = true };
	size_t nr = worker_count(tool, selection->nr), started = 0;
	pthread_t *threads;

	if (!nr)
		return;
	pthread_mutex_init(&pool.lock, NULL);
	pool.list = tool->document ? json_list(tool->document, list) : NULL;
	pool.visits = calloc(selection->nr, sizeof(*pool.visits));
	pool.done = calloc(selection->nr, sizeof(*pool.done));
	threads = calloc(nr, sizeof(*threads));
	if (!pool.visits || !pool.done || !threads)
		out_of_memory();
	for (size_t i = 0; i < selection->nr; i++)
		pool.visits[i].process = &selection->processes[i];
	/* the last worker is this thread; it does all if no other can be had */
	while (started + 1 < nr && !pthread_create(&threads[started], NULL, work_in_thread, &pool))
		started++;
	work(&here);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	tool_set_log(tool, tool->ctx, tool_log_line, tool);
	p_progress_end(tool);
	if (tool->tally.unreadable)
		p_err(tool, -ULP_E_PERMISSION,
		      "%zu process%s may not be looked at by this user; run as root",
		      tool->tally.unreadable, tool->tally.unreadable == 1 ? "" : "es");
	free(threads);
	free(pool.done);
	free(pool.visits);
	pthread_mutex_destroy(&pool.lock);
}

bool visit_selected(struct tool *tool, visit_fn fn, const char *list)
{
	struct selection selection = { 0 };
	bool all;

	/* it is in the document also if nobody is visited */
	if (tool->document)
		json_list(tool->document, list);
	if (!select_processes(tool, &selection))
		visit_all(tool, &selection, fn, list);
	all = selection.all;
	selection_free(&selection);
	return all;
}
