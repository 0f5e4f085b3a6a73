/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libulp - live patching of running processes through /dev/ulp
 */
#ifndef LIBULP_H
#define LIBULP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: Conventions
 *
 * The library never prints, never exits, and keeps no global state; a context
 * and what was made from it may be used by one thread at a time, different
 * contexts by different threads at once.  A patch that is open, and a list of
 * enabled ones, do not change: any number of threads may use them at once, each with
 * targets of a context of its own.
 *
 * Functions return 0 or a positive count, or a negative code: -errno for
 * what the system said, -ULP_E... (5000 and up) for what libulp found.  After a
 * failure ulp_error() of the context has the whole story in one sentence: what,
 * where, and what to do next.  ulp_reason() gives the stable word for it that
 * scripts may depend on.
 *
 * The sequence of an apply:
 *
 *	ulp_context_new(&ctx);
 *	ulp_patch_open(ctx, "fix.so", &patch);
 *	ulp_target_open(ctx, pid, &target);
 *	ulp_apply(target, patch, NULL, &result);
 *	ulp_target_close(target);
 *	ulp_patch_close(patch);
 *	ulp_context_free(ctx);
 *
 * All of it exists since version 0.1.
 */

#define LIBULP_API	__attribute__((visibility("default")))
#define LIBULP_CHECK	__attribute__((warn_unused_result))

/** define ULP_NAME_MAX - longest name of a patch, without the NUL */
#define ULP_NAME_MAX	64
/** define ULP_ID_SHORTEST - digits that the beginning of an id must have to stand for it */
#define ULP_ID_SHORTEST	4

/**
 * enum ulp_code - libulp's own error codes, returned negated
 *
 * Each has one stable word, see ulp_reason().
 */
enum ulp_code {
	ULP_E_ALREADY_APPLIED	= 5000,	/* already-applied: nothing to do */
	ULP_E_NOT_APPLIED	= 5001,	/* not-applied: nothing to do */
	ULP_E_NOT_TARGET	= 5002,	/* not-target: object not loaded there */
	ULP_E_BUILD_ID		= 5003,	/* build-id: other build of it loaded */
	ULP_E_BUSY		= 5004,	/* busy: a thread is inside */
	ULP_E_BYTES_DIFFER	= 5005,	/* bytes-differ: memory is not as built */
	ULP_E_FOREIGN_HOOK	= 5006,	/* foreign-hook: breakpoint, uprobe, other patcher */
	ULP_E_NO_PROCESS	= 5007,	/* no-such-process */
	ULP_E_PERMISSION	= 5008,	/* permission */
	ULP_E_ARCH		= 5009,	/* arch: 32-bit or foreign target */
	ULP_E_CONTAINER		= 5010,	/* container: damaged, unknown version */
	ULP_E_SYMBOL		= 5011,	/* symbol: cannot be resolved */
	ULP_E_RELOCATION	= 5012,	/* relocation: kind not supported */
	ULP_E_NO_ROOM		= 5013,	/* no-room: no free address within 2 GiB */
	ULP_E_LIMIT		= 5014,	/* limit: freeze limit reached */
	ULP_E_MODULE		= 5015,	/* module-missing: /dev/ulp */
	ULP_E_ABI		= 5016,	/* abi: module too old or too new */
	ULP_E_DEPENDENCY	= 5017,	/* dependency: another patch is needed first */
	ULP_E_RECORD		= 5018,	/* record: damaged record in the target */
	ULP_E_TRACED		= 5019,	/* session-busy: another tool is at it */
	ULP_E_TLS		= 5020,	/* tls: variable cannot be reached */
	ULP_E_CHANGING		= 5021,	/* changing: target kept changing */
	ULP_E_TIMEOUT		= 5022,	/* timeout: --timeout went by */
	ULP_E_PATCH_ID		= 5023,	/* patch-id: none or several such ids */
	ULP_E_NOT_PATCH		= 5024,	/* container: a file that is no patch at all */
	ULP_E_OPTED_OUT		= 5025,	/* opted-out: the process does not want patches */
	ULP_E_NO_PRELOAD	= 5026,	/* no-preload: it runs without the preload library */
	ULP_E_CONSISTENCY	= 5027,	/* consistency: threads cannot switch one by one */
	ULP_E_SWITCHING		= 5028,	/* switching: done, but threads have not switched yet */
	ULP_E_NOT_SWITCHING	= 5029,	/* not-switching: nothing to finish */
};

/** enum ulp_log_level - of a message to the log callback */
enum ulp_log_level {
	ULP_LOG_WARN	= 0,
	ULP_LOG_INFO	= 1,
	ULP_LOG_DEBUG	= 2,
};

struct ulp_context;
struct ulp_patch;
struct ulp_target;

typedef void (*ulp_log_fn)(enum ulp_log_level level, const char *text, void *data);

/* ---- context ---- */

/**
 * ulp_context_new() - a context: error text, log callback, /dev/ulp
 * @out: receives it; free with ulp_context_free()
 *
 * /dev/ulp is opened only when it is needed: everything that only reads works
 * without the module.  Return: 0, -ENOMEM.
 */
LIBULP_API int ulp_context_new(struct ulp_context **out) LIBULP_CHECK;
LIBULP_API void ulp_context_free(struct ulp_context *ctx);

/** ulp_context_set_log() - who gets messages of @level and below */
LIBULP_API void ulp_context_set_log(struct ulp_context *ctx, ulp_log_fn fn,
				    enum ulp_log_level level, void *data);

/** ulp_error() - the last failure in words; never NULL, valid until the next call */
LIBULP_API const char *ulp_error(const struct ulp_context *ctx);

/** ulp_reason() - stable word for a (negative) return value; "success" for >= 0 */
LIBULP_API const char *ulp_reason(int code);

/** ulp_version() - "0.1.0" */
LIBULP_API const char *ulp_version(void);

/**
 * struct ulp_status - what this machine has, from ulp_status_get()
 * @sz: sizeof(struct ulp_status), set by the caller
 * @module: 0 if /dev/ulp answers, else -errno of opening or asking it
 * @abi: of the module
 * @features: bits of enum ulp_features (uapi/ulp.h)
 * @default_backend: enum ulp_backend
 * @module_version: text
 */
struct ulp_status {
	size_t sz;
	int module;
	uint32_t abi;
	uint64_t features;
	uint32_t default_backend;
	char module_version[32];
};

LIBULP_API int ulp_status_get(struct ulp_context *ctx, struct ulp_status *status) LIBULP_CHECK;

/* ---- patch: a container ---- */

/**
 * ulp_patch_open() - read and check a container file
 * @out: receives it; close with ulp_patch_close()
 *
 * Return: 0, -errno of the file, -ULP_E_CONTAINER, -ULP_E_NOT_PATCH.
 */
LIBULP_API int ulp_patch_open(struct ulp_context *ctx, const char *path,
			      struct ulp_patch **out) LIBULP_CHECK;

/** ulp_patch_read() - the same from memory; @data is copied, @name is for messages */
LIBULP_API int ulp_patch_read(struct ulp_context *ctx, const void *data, size_t size,
			      const char *name, struct ulp_patch **out) LIBULP_CHECK;
LIBULP_API void ulp_patch_close(struct ulp_patch *patch);

LIBULP_API const char *ulp_patch_name(const struct ulp_patch *patch);
LIBULP_API const char *ulp_patch_path(const struct ulp_patch *patch);
/** ulp_patch_id() - 64 hex digits and NUL */
LIBULP_API const char *ulp_patch_id(const struct ulp_patch *patch);

/* ---- target: a process ---- */

/**
 * ulp_target_open() - look at a process
 * @pid: any live thread group; its leader may be a zombie
 * @out: receives it; close with ulp_target_close()
 *
 * Reads /proc/PID/maps and memory; the process is not stopped and notices
 * nothing.  Return: 0, -ULP_E_NO_PROCESS, -ULP_E_PERMISSION, -ULP_E_ARCH.
 */
LIBULP_API int ulp_target_open(struct ulp_context *ctx, pid_t pid,
			       struct ulp_target **out) LIBULP_CHECK;
LIBULP_API void ulp_target_close(struct ulp_target *target);
LIBULP_API pid_t ulp_target_pid(const struct ulp_target *target);
/** ulp_target_name() - as in /proc/PID/comm */
LIBULP_API const char *ulp_target_name(const struct ulp_target *target);

/**
 * struct ulp_applied - one record found in a target
 * @id: 64 hex digits
 * @name: of the patch
 * @active: whether its functions are entered
 * @sequence: higher is newer
 * @applied: seconds since the epoch
 * @uid: who applied it
 * @nr_functions: entries of @functions
 * @functions: names
 * @nr_labels: entries of @labels
 * @labels: such as CVE-2024-1234
 * @object: path of the object it changes
 * @build_id: of that object, hex
 * @state: "active", "reverted", "switching" (threads go over to it one by one),
 *	"returning" (back from it)
 * @waiting: threads that have not switched yet, as the target's memory has it: some
 *	may have ended
 */
struct ulp_applied {
	const char *id;
	const char *name;
	bool active;
	uint64_t sequence;
	int64_t applied;
	uint32_t uid;
	size_t nr_functions;
	const char *const *functions;
	size_t nr_labels;
	const char *const *labels;
	const char *object;
	const char *build_id;
	const char *state;
	size_t waiting;
};

/**
 * ulp_target_applied() - the patches of a target
 * @out: receives an array that lives until ulp_target_close() or the next call
 * that changes the target; a patch of several objects has one entry for each
 *
 * Records that fail their checks are left out and reported as warnings to the
 * log.  Return: number of entries or a negative code.
 */
LIBULP_API int ulp_target_applied(struct ulp_target *target,
				  const struct ulp_applied **out) LIBULP_CHECK;

/**
 * struct ulp_object_info - one ELF object mapped in a target
 * @path: as in /proc/PID/maps, without " (deleted)"
 * @build_id: hex, "" if it has none
 * @start: lowest mapped address
 * @deleted: the file is gone or replaced
 */
struct ulp_object_info {
	const char *path;
	const char *build_id;
	uint64_t start;
	bool deleted;
};

/** ulp_target_objects() - the ELF objects of a target; lifetime as above */
LIBULP_API int ulp_target_objects(struct ulp_target *target,
				  const struct ulp_object_info **out) LIBULP_CHECK;

/* ---- apply and revert ---- */

/**
 * enum ulp_scan_memory - when the target's other memory is scanned
 * @ULP_SCAN_AUTO: if the target's program uses makecontext() or swapcontext()
 * @ULP_SCAN_ALWAYS: also if none does
 * @ULP_SCAN_NEVER: not at all
 */
enum ulp_scan_memory {
	ULP_SCAN_AUTO	= 0,
	ULP_SCAN_ALWAYS	= 1,
	ULP_SCAN_NEVER	= 2,
};

/**
 * enum ulp_consistency - when threads get other code
 * @ULP_CONSISTENCY_ATOMIC: all at once, at an instant when none is inside
 * @ULP_CONSISTENCY_THREAD: each by itself, when it is not inside
 */
enum ulp_consistency {
	ULP_CONSISTENCY_ATOMIC	= 0,
	ULP_CONSISTENCY_THREAD	= 1,
};

/**
 * struct ulp_options - how to apply or revert; NULL means all defaults
 * @sz: sizeof(struct ulp_options), set by the caller; an unknown part that is
 *	not zero is an error
 * @backend: enum ulp_backend (uapi/ulp.h), 0 = the module's choice
 * @attempts: 0 = 20
 * @retry_ns: pause between attempts, 0 = 5 ms, growing up to 20 times that
 * @timeout_ns: give up between two attempts after this long, 0 = 10 s
 * @max_freeze_ns: 0 = the module's default
 * @dry_run: everything but the writing
 * @check_stack: no thread may be inside the patched objects at all, not only not
 *	in the functions
 * @scan_memory: enum ulp_scan_memory: look for return addresses of suspended
 *	contexts in the target's other memory
 * @max_hold_ns: longest time that a thread in whose way a word is may be held
 *	while that is looked into, 0 = the module's default
 * @ignore_opt_out: apply also if the process opted out (ulp_target_preload())
 * @consistency: enum ulp_consistency.  With THREAD a thread that is inside is in
 *	nobody's way: the patch is there for all others, and @timeout_ns is for how
 *	long to wait for it
 */
struct ulp_options {
	size_t sz;
	uint32_t backend;
	uint32_t attempts;
	uint64_t retry_ns;
	uint64_t timeout_ns;
	uint64_t max_freeze_ns;
	bool dry_run;
	bool check_stack;
	uint8_t scan_memory;
	uint64_t max_hold_ns;
	bool ignore_opt_out;
	uint32_t consistency;
};

/**
 * struct ulp_result - what happened, also filled on failure
 * @sz: sizeof(struct ulp_result), set by the caller
 * @code: what the function returned
 * @attempts: made
 * @threads: in the target at the last attempt
 * @backend: enum ulp_backend used
 * @freeze_ns: length of the last frozen window
 * @max_freeze_ns: of the longest
 * @proof: "scan" (no thread had a word pointing into the code), "unwound" (threads
 *	had such words, and their frames show that none is a return address), ""
 *	if refused
 * @blocker_tid: thread that was in the way, 0 none
 * @blocker_ip: its instruction pointer
 * @blocker_slot: address of the stack word that shows it, 0 if it is the ip
 * @blocker_value: the word, or the ip
 * @blocker_function: function it is inside, "" unknown
 * @blocker_thread: name of the thread
 * @id: of the patch
 * @message: whole sentence, as from ulp_error()
 * @hold_ns: longest time that a thread was held to be looked into, 0 none was
 * @blocker_frame: which of its frames is inside, 0 the innermost
 * @blocker_backtrace: its frames, one line each, "" if it was not unwound
 * @waiting: threads that have not switched (-ULP_E_SWITCHING); the blocker is one
 */
struct ulp_result {
	size_t sz;
	int code;
	uint32_t attempts;
	uint32_t threads;
	uint32_t backend;
	uint64_t freeze_ns;
	uint64_t max_freeze_ns;
	const char *proof;
	pid_t blocker_tid;
	uint64_t blocker_ip;
	uint64_t blocker_slot;
	uint64_t blocker_value;
	char blocker_function[128];
	char blocker_thread[32];
	char id[65];
	char message[512];
	uint64_t hold_ns;
	uint32_t blocker_frame;
	char blocker_backtrace[2048];
	uint32_t waiting;
};

/**
 * ulp_apply() - replace the functions of @patch in @target
 *
 * All or nothing.  Return: 0; nothing to do: -ULP_E_ALREADY_APPLIED,
 * -ULP_E_NOT_TARGET, -ULP_E_BUILD_ID; not wanted: -ULP_E_OPTED_OUT; may succeed
 * later: -ULP_E_BUSY,
 * -ULP_E_LIMIT, -ULP_E_CHANGING, -ULP_E_TRACED, -ULP_E_TIMEOUT; done, but some
 * threads have not switched yet: -ULP_E_SWITCHING; else failed.
 */
LIBULP_API int ulp_apply(struct ulp_target *target, struct ulp_patch *patch,
			 const struct ulp_options *options,
			 struct ulp_result *result) LIBULP_CHECK;

/**
 * ulp_revert() - take a patch back
 * @id: hex digits, at least 4, that name exactly one active patch of @target,
 *	or the patch's name
 *
 * Needs no container file.  Any of several stacked patches can be reverted.
 * Return: 0, -ULP_E_NOT_APPLIED, -ULP_E_PATCH_ID, else as ulp_apply().
 */
LIBULP_API int ulp_revert(struct ulp_target *target, const char *id,
			  const struct ulp_options *options,
			  struct ulp_result *result) LIBULP_CHECK;

/**
 * ulp_revert_object() - take back all active patches of one object, at once
 * @object: base name, path, or build-id (hex) of the object
 */
LIBULP_API int ulp_revert_object(struct ulp_target *target, const char *object,
				 const struct ulp_options *options,
				 struct ulp_result *result) LIBULP_CHECK;

/**
 * ulp_finish() - wait for the threads that have not switched yet
 *
 * For a target that was left with -ULP_E_SWITCHING, by whoever it was.  Return: 0,
 * -ULP_E_NOT_SWITCHING, -ULP_E_SWITCHING, else as ulp_apply().
 */
LIBULP_API int ulp_finish(struct ulp_target *target, const struct ulp_options *options,
			  struct ulp_result *result) LIBULP_CHECK;

/**
 * struct ulp_thread_state - a thread while threads switch one by one
 * @tid: its id
 * @name: of it, "" unknown
 * @switched: it runs the code that all are to run
 * @function: the one that keeps it, "" if nothing does or that is unknown
 * @frame: which of its frames that is, 0 the innermost
 */
struct ulp_thread_state {
	pid_t tid;
	char name[32];
	bool switched;
	char function[128];
	uint32_t frame;
};

/**
 * ulp_target_threads() - the threads of a target whose threads are switching
 * @out: receives an array that lives until the next call or ulp_target_close()
 *
 * Each that has not switched is looked at, as ulp_finish() would, but none is
 * switched.  Return: number of entries, 0 if no patch is being switched, or a
 * negative code.
 */
LIBULP_API int ulp_target_threads(struct ulp_target *target,
				  const struct ulp_thread_state **out) LIBULP_CHECK;

/** ulp_code_is_switching() - done but for some threads: a tool exits 4 */
LIBULP_API bool ulp_code_is_switching(int code);

/** ulp_code_is_nothing() - nothing was to do: a tool exits 0 */
LIBULP_API bool ulp_code_is_nothing(int code);

/** ulp_code_is_busy() - nothing was changed, it may succeed later: a tool exits 3 */
LIBULP_API bool ulp_code_is_busy(int code);

/* ---- the preload library in a target ---- */

/**
 * struct ulp_preload_info - what the preload library of a target says
 * @sz: sizeof(struct ulp_preload_info), set by the caller
 * @version: of its block
 * @patchable: whether the process takes patches
 * @cause: why not, or who decided: "" nobody, "path", "user", "group", "set-patchable"
 */
struct ulp_preload_info {
	size_t sz;
	uint32_t version;
	bool patchable;
	const char *cause;
};

/** ulp_target_preload() - Return: 0, -ULP_E_NO_PRELOAD */
LIBULP_API int ulp_target_preload(struct ulp_target *target,
				  struct ulp_preload_info *info) LIBULP_CHECK;

/**
 * ulp_set_patchable() - have a process take patches, or none
 *
 * Return: 0, also if it is so already; -ULP_E_NO_PRELOAD, else as ulp_apply().
 */
LIBULP_API int ulp_set_patchable(struct ulp_target *target, bool patchable,
				 const struct ulp_options *options) LIBULP_CHECK;

/**
 * struct ulp_message - what the preload library had to say
 * @number: counts from 1
 * @time_ns: since the epoch, 0 unknown
 * @kind: opt-out, close, keep, release, problem; unknown
 * @text: of unknown origin
 */
struct ulp_message {
	uint64_t number;
	uint64_t time_ns;
	const char *kind;
	const char *text;
};

/**
 * ulp_target_messages() - the last messages of a target, oldest first
 * @out: receives an array that lives until ulp_target_close() or the next call
 * @lost: receives how many older ones there were, and not any more
 *
 * The process is not stopped.  Return: number of entries, -ULP_E_NO_PRELOAD, -errno.
 */
LIBULP_API int ulp_target_messages(struct ulp_target *target, const struct ulp_message **out,
				   uint64_t *lost) LIBULP_CHECK;

/* ---- events ---- */

struct ulp_monitor;

/**
 * struct ulp_event_info - one event of the module, from whatever process
 * @event: enum ulp_event (uapi/ulp_netlink.h)
 * @word: the same as a stable word: applied, reverted, refused, busy, overdue
 * @action: enum ulp_action (uapi/ulp.h): what was to be done
 * @pid: process, 0 if it was gone; all ids are those of the initial namespaces
 * @name: of it, "" unknown
 * @patch: name of the patch
 * @id: of the patch, 64 hex digits, all 0 if it is about several
 * @nr_functions: functions that are changed
 * @nr_names: entries of @functions: not all names may have been told
 * @functions: their names
 * @by_pid: process that did it
 * @by_uid: user that did it
 * @max_freeze_ns: the longest hold of all attempts
 * @attempts: made
 * @threads: of the process
 * @backend: enum ulp_backend
 * @code: 0, or the -errno that the transaction ended with
 * @reason: enum ulp_reason
 * @blocker_tid: thread that was in the way, 0 none; overdue: that was held
 * @blocker_ip: its instruction pointer
 * @blocker_slot: address of the stack word that shows it, or offset of the register
 * @blocker_value: the word
 * @place: enum ulp_place where it was held; overdue only
 * @held_ns: how long it was held; overdue only
 */
struct ulp_event_info {
	uint32_t event;
	const char *word;
	uint32_t action;
	pid_t pid;
	const char *name;
	const char *patch;
	const char *id;
	uint32_t nr_functions;
	size_t nr_names;
	const char *const *functions;
	pid_t by_pid;
	uint32_t by_uid;
	uint64_t max_freeze_ns;
	uint32_t attempts;
	uint32_t threads;
	uint32_t backend;
	int code;
	uint32_t reason;
	pid_t blocker_tid;
	uint64_t blocker_ip;
	uint64_t blocker_slot;
	uint64_t blocker_value;
	uint32_t place;
	uint64_t held_ns;
};

/**
 * ulp_monitor_open() - listen to the events of the module
 * @out: receives it; close with ulp_monitor_close()
 *
 * Needs CAP_SYS_ADMIN.  Return: 0, -ULP_E_MODULE (not loaded, or without events),
 * -ULP_E_PERMISSION, -errno.
 */
LIBULP_API int ulp_monitor_open(struct ulp_context *ctx,
				struct ulp_monitor **out) LIBULP_CHECK;
LIBULP_API void ulp_monitor_close(struct ulp_monitor *monitor);

/** ulp_monitor_fd() - to be waited for with poll(): readable when there may be an event */
LIBULP_API int ulp_monitor_fd(const struct ulp_monitor *monitor);

/**
 * ulp_monitor_next() - the next event; does not wait
 * @out: receives it; it lives until the next call
 *
 * Return: 1; 0: there is none now; -ENOBUFS: events were lost, more may come;
 * -ULP_E_MODULE: the module was unloaded, nothing will come; -errno.
 */
LIBULP_API int ulp_monitor_next(struct ulp_monitor *monitor,
				const struct ulp_event_info **out) LIBULP_CHECK;

/* ---- enabled: patches for what is not loaded yet ---- */

/** define ULP_ENABLED_DIRECTORY - where the list is unless another is named */
#define ULP_ENABLED_DIRECTORY	"/var/lib/ulp/enabled"

struct ulp_enabled;

/**
 * struct ulp_enabled_entry - one entry of the list
 * @file: its name in the directory
 * @patch: NULL if it is damaged, or may not be used: see @code and @message
 * @code: 0 or why not
 * @message: whole sentence
 */
struct ulp_enabled_entry {
	char *file;
	struct ulp_patch *patch;
	int code;
	char message[512];
};

/**
 * ulp_enabled_read() - the list, in the order in which the patches are applied
 * @directory: NULL: %ULP_ENABLED_DIRECTORY
 * @out: receives it; free with ulp_enabled_free()
 *
 * A damaged entry is in it, and its patch is not.  A directory that does not exist
 * is an empty list.  Return: 0, -ULP_E_PERMISSION (others may write it), -errno, also
 * if an entry could not be read for want of memory or descriptors.
 */
LIBULP_API int ulp_enabled_read(struct ulp_context *ctx, const char *directory,
				struct ulp_enabled **out) LIBULP_CHECK;
LIBULP_API void ulp_enabled_free(struct ulp_enabled *list);
/** ulp_enabled_entries() - of the list; lives as long as it does.  Return: count */
LIBULP_API size_t ulp_enabled_entries(const struct ulp_enabled *list,
				      const struct ulp_enabled_entry **out);

/** ulp_enabled_create() - make the directory, if it does not exist; 0 or -errno */
LIBULP_API int ulp_enabled_create(struct ulp_context *ctx, const char *directory) LIBULP_CHECK;

/**
 * ulp_enabled_add() - enable a patch: what is loaded from now on is to get it
 *
 * Atomic; the file is copied.  Return: 0, -ULP_E_ALREADY_APPLIED (it is enabled),
 * -ULP_E_DEPENDENCY, -ULP_E_PERMISSION, -errno.
 */
LIBULP_API int ulp_enabled_add(struct ulp_context *ctx, const char *directory,
			       const struct ulp_patch *patch) LIBULP_CHECK;
/**
 * ulp_enabled_remove() - disable a patch; nothing is reverted
 * @file: ulp_enabled_entry.file, also of a damaged one
 */
LIBULP_API int ulp_enabled_remove(struct ulp_context *ctx, const char *directory,
				  const char *file) LIBULP_CHECK;

/* ---- sensor: who holds it is asked before new code runs ---- */

struct ulp_sensor;

/**
 * struct ulp_load_info - a thread that is held
 * @place: enum ulp_place (uapi/ulp_sensor.h)
 * @ticket: for ulp_sensor_done()
 * @pid: process
 * @tid: thread
 */
struct ulp_load_info {
	uint32_t place;
	uint64_t ticket;
	pid_t pid;
	pid_t tid;
};

/**
 * ulp_sensor_open() - be asked; there is one sensor in the machine
 * @timeout_ns: longest time that a thread is held, 0 = the module's default
 * @out: receives it; its functions may be called by several threads at once
 *
 * Return: 0, -ULP_E_MODULE, -ULP_E_PERMISSION, -EBUSY, -EOPNOTSUPP.
 */
LIBULP_API int ulp_sensor_open(struct ulp_context *ctx, uint64_t timeout_ns,
			       struct ulp_sensor **out) LIBULP_CHECK;
/** ulp_sensor_close() - lets go of all that are held */
LIBULP_API void ulp_sensor_close(struct ulp_sensor *sensor);
/** ulp_sensor_next() - waits for the next; 0 or -errno */
LIBULP_API int ulp_sensor_next(struct ulp_sensor *sensor, struct ulp_load_info *out) LIBULP_CHECK;
/** ulp_sensor_done() - it may go on; -ENOENT: it is not held any more */
LIBULP_API int ulp_sensor_done(struct ulp_sensor *sensor, uint64_t ticket);
/**
 * ulp_sensor_arm() - hold who loads something with the dynamic linker of @target
 *
 * All processes that have the same file.  Return: 1; 0: it has none (a static
 * program); -ULP_E_NOT_TARGET: it is none that we know; -errno.
 */
LIBULP_API int ulp_sensor_arm(struct ulp_sensor *sensor, struct ulp_target *target) LIBULP_CHECK;

/* ---- dump ---- */

/**
 * struct ulp_patch_function - one replaced function of a container
 */
struct ulp_patch_function {
	const char *old_name;
	const char *new_name;
	uint64_t old_value;
	uint64_t old_size;
	uint64_t new_value;
	uint64_t new_size;
	uint64_t entry;
	uint64_t island;
	uint32_t kind;
	const uint8_t *expected;
	size_t expected_size;
};

/** struct ulp_patch_reference - one slot of a container to be filled */
struct ulp_patch_reference {
	const char *target_name;
	const char *slot_name;
	uint64_t target_value;
	uint64_t slot_value;
	bool tls;
};

/**
 * struct ulp_patch_relocation - one field of a container that depends on where
 *	things are in a process
 * @name: what it refers to
 * @place: address of the field in the container
 * @value: address in the target, or in the container, or offset of its TLS block
 * @addend: added to it
 * @type: how it is written: R_X86_64_*
 * @target: whose @value is; NULL: the container's own
 * @import: @name, which may have a version behind "@", as @target would bind it
 */
struct ulp_patch_relocation {
	const char *name;
	uint64_t place;
	uint64_t value;
	int64_t addend;
	uint32_t type;
	const struct ulp_patch_target *target;
	bool import;
};

/** struct ulp_patch_target - one object that a container changes */
struct ulp_patch_target {
	const char *name;
	const char *build_id;
	size_t nr_functions;
	const struct ulp_patch_function *functions;
	size_t nr_references;
	const struct ulp_patch_reference *references;
};

/** ulp_patch_targets() - the objects; lives as long as @patch.  Return: count */
LIBULP_API size_t ulp_patch_targets(const struct ulp_patch *patch,
				    const struct ulp_patch_target **out);
/** ulp_patch_relocations() - fields to be filled; same lifetime.  Return: count */
LIBULP_API size_t ulp_patch_relocations(const struct ulp_patch *patch,
					const struct ulp_patch_relocation **out);
/** ulp_patch_labels() - CVE-... and the like; same lifetime.  Return: count */
LIBULP_API size_t ulp_patch_labels(const struct ulp_patch *patch, const char *const **out);
/** ulp_patch_dependencies() - ids as hex; same lifetime.  Return: count */
LIBULP_API size_t ulp_patch_dependencies(const struct ulp_patch *patch,
					 const char *const **out);
/** ulp_patch_comment() - text of the description's comments, "" if none */
LIBULP_API const char *ulp_patch_comment(const struct ulp_patch *patch);
/** ulp_patch_scans_memory() - it says that memory is to be scanned for coroutines */
LIBULP_API bool ulp_patch_scans_memory(const struct ulp_patch *patch);
/** ulp_patch_created() - seconds since the epoch, 0 unknown */
LIBULP_API int64_t ulp_patch_created(const struct ulp_patch *patch);

#ifdef __cplusplus
}
#endif

#endif /* LIBULP_H */
