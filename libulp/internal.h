/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of libulp share among themselves.
 */
#ifndef LIBULP_INTERNAL_H
#define LIBULP_INTERNAL_H

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "libulp.h"
#include "../uapi/ulp.h"
#include "../uapi/ulp_container.h"
#include "../uapi/ulp_preload.h"
#include "../uapi/ulp_sensor.h"
#include "../uapi/ulp_universe.h"
#include "record.h"
#include "resident/resident.h"

struct ulp_context {
	int dev;			/* /dev/ulp, -1 until needed */
	uint64_t features;		/* of the module, once dev was opened */
	ulp_log_fn log;
	enum ulp_log_level log_level;
	void *log_data;
	char error[1024];
};

/* error.c: the one place that makes error texts */

/* Stores the sentence, logs it at debug level, returns @code. */
int ulp_err_store(struct ulp_context *ctx, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What failed never comes out as success, whatever errno was. */
static inline int ulp_failure(int code)
{
	return code ? code : -EIO;
}

/* The same, and whoever reads the caller (a static analyzer, too) sees that it is not 0. */
#define ulp_err(ctx, code, ...) ulp_failure(ulp_err_store(ctx, code, __VA_ARGS__))

/* We have run out of something: that says nothing of what was looked at. */
static inline bool ulp_is_shortage(int code)
{
	return code == -ENOMEM || code == -EMFILE || code == -ENFILE;
}

void ulp_log(struct ulp_context *ctx, enum ulp_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * container.c: reading a container.  Everything below was checked against the
 * file's bounds when the patch was opened; nothing after that checks again.
 */
struct ulp_patch_segment {		/* one PT_LOAD */
	uint64_t vaddr, filesz, memsz, offset, align;
	uint32_t flags;			/* PF_* */
};

struct ulp_patch {
	struct ulp_context *ctx;
	char *path;
	uint8_t *data;			/* the whole ELF file */
	size_t size;
	uint8_t id[ULP_ID_SIZE];
	uint8_t digest[32];
	char id_hex[2 * ULP_ID_SIZE + 1];
	char *name;
	char *comment;
	int64_t created;

	/* raw tables of .ulp, entries copied into our own layout */
	size_t nr_targets;
	struct ulp_container_target *raw_targets;
	size_t nr_functions;
	struct ulp_container_function *raw_functions;
	size_t nr_ranges;
	struct ulp_container_range *raw_ranges;
	size_t nr_references;
	struct ulp_container_reference *raw_references;
	size_t nr_relocations;
	struct ulp_container_relocation *raw_relocations;
	size_t nr_originals;
	struct ulp_container_original *raw_originals;
	const uint8_t *bytes;		/* bytes table, spans index into it */
	size_t nr_bytes;

	/* the same for people (libulp.h) */
	struct ulp_patch_target *targets;
	struct ulp_patch_function *functions;
	struct ulp_patch_reference *references;
	struct ulp_patch_relocation *relocations;
	char *text;			/* names and build-ids of the four */
	size_t nr_labels;
	char **labels;
	size_t nr_dependencies;
	char **dependencies;		/* hex */

	/* the ELF object */
	size_t nr_segments;
	struct ulp_patch_segment *segments;	/* ascending, not overlapping */
	uint64_t image_size;		/* page aligned end of the highest segment */
	uint64_t relro_start, relro_end;	/* PT_GNU_RELRO, 0 if none */
	uint64_t dynamic;		/* vaddr of PT_DYNAMIC, 0 if none */
	uint64_t dynamic_size;
	uint64_t phdrs;			/* vaddr of the program headers, 0: in no segment */
	uint32_t nr_phdrs;
	uint64_t unwind;		/* vaddr of PT_GNU_EH_FRAME, 0 if none */
	bool handles_exceptions;	/* it has .gcc_except_table */
	bool scan_memory;		/* ULP_CONTAINER_SCAN_MEMORY */

	/* Relocations change what is not writable: it is not the same in all targets. */
	bool private_text;
	atomic_int text_fd;		/* image.c: sealed memfd of what is never written, or -1 */
};

/*
 * Bytes of the patch's load image at @vaddr (file-backed part), or NULL unless
 * all @length bytes lie in the file-backed part of one segment.
 */
const void *ulp_patch_at(const struct ulp_patch *patch, uint64_t vaddr, uint64_t length);

/*
 * target.c: a process as /proc shows it.  memory.c: its memory.
 * object.c: the ELF objects in it, read from its memory, never from files.
 */
struct ulp_mapping {
	uint64_t start, end, offset;
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	bool read, write, exec, shared;
	bool deleted;
	char *path;			/* "" anonymous; without " (deleted)" */
};

struct ulp_object {
	char *path;
	bool deleted;
	uint64_t start, end;		/* all of its mappings */
	uint64_t bias;			/* added to st_value */
	uint16_t type;			/* ET_EXEC, ET_DYN */
	size_t build_id_size;
	uint8_t build_id[ULP_BUILD_ID_MAX];
	char build_id_hex[2 * ULP_BUILD_ID_MAX + 1];
	char *soname;			/* "" if none */
	bool program;			/* what the kernel executed (AT_PHDR) */
	uint64_t preload;		/* where a note says a struct ulp_preload is, or 0 */
	uint64_t dynamic, dynamic_size;	/* run-time address of PT_DYNAMIC, 0 if none */
	uint64_t frames;		/* run-time address of PT_GNU_EH_FRAME, 0 if none */
	uint64_t tls_vaddr, tls_size, tls_align;	/* PT_TLS, size 0 if none */
	int link_order;			/* place in ld.so's list of objects, -1 unknown */
	struct ulp_symbols *symbols;	/* symbol.c, read when first needed */
};

/* An entry of ld.so's lists: list 0 is the program's, others are of dlmopen(). */
struct ulp_link {
	unsigned int list;
	size_t object;			/* index */
	uint64_t map;			/* address of the struct link_map */
};

#define ULP_AUXV_MAX	2048

struct ulp_target {
	struct ulp_context *ctx;
	pid_t pid;
	pid_t tid;			/* a live thread if the leader is a zombie, else 0 */
	uint8_t auxv[ULP_AUXV_MAX];	/* tells one exec from another */
	size_t auxv_size;
	int mem;			/* /proc/PID/mem or a live thread's, O_RDWR if allowed */
	bool mem_writable;
	char name[32];			/* comm */
	bool outdated;			/* what follows is of before something changed */
	size_t nr_mappings;
	struct ulp_mapping *mappings;	/* ascending */
	size_t nr_objects;
	struct ulp_object *objects;
	struct ulp_object_info *object_info;	/* the same for libulp.h */
	size_t nr_links;
	struct ulp_link *links;		/* in ld.so's order */
	struct ulp_record_list *records;	/* record.c, NULL until read */
	struct ulp_message *messages;	/* preload.c, the same for libulp.h; NULL until read */
	char *message_text;
	struct ulp_thread_state *threads;	/* for ulp_target_threads() */
};

/*
 * Reads /proc/PID/maps and the objects again if target->outdated says so: whoever
 * changed the target, or has seen that it changed, sets that and does not read himself.
 * Pointers to mappings and objects from before are invalid after it.
 */
int ulp_target_refresh(struct ulp_target *target);
/* -ULP_E_NO_PROCESS, -ULP_E_TRACED: said in one way, whoever meets it. */
int ulp_target_gone(const struct ulp_target *target);
int ulp_target_busy(const struct ulp_target *target);
/* A file of /proc/PID, through a live thread; fd or -errno. */
int ulp_target_proc(const struct ulp_target *target, const char *name, int flags);
/* The same to be read in lines; NULL: errno says why. */
FILE *ulp_target_file(const struct ulp_target *target, const char *name);
/* /proc/PID/stat, and a field of it by its number in proc(5), 3 and up; "" if none. */
#define ULP_STAT_MAX	2048
int ulp_target_stat(const struct ulp_target *target, char stat[ULP_STAT_MAX]);
const char *ulp_stat_field(const char *stat, int number);
/* The value of an entry of the auxiliary vector (AT_*), 0 if it has none. */
uint64_t ulp_target_auxv(const struct ulp_target *target, uint64_t type);
/* maps.c: one snapshot of /proc/PID/maps, 0 entries if the address space is gone. */
int ulp_maps_read(const struct ulp_target *target, struct ulp_mapping **out, size_t *nr);
void ulp_maps_free(struct ulp_mapping *mappings, size_t nr);
/* object.c, link.c: called by ulp_target_refresh() */
int ulp_objects_read(struct ulp_target *target);
void ulp_objects_free(struct ulp_target *target);
int ulp_links_read(struct ulp_target *target);

/* All of it or -EFAULT. */
int ulp_memory_read(const struct ulp_target *target, uint64_t addr, void *out, size_t size);
/* A string of at most @max bytes with its NUL, to be freed; NULL if there is none. */
char *ulp_memory_string(const struct ulp_target *target, uint64_t addr, size_t max);
/* False once the process has exited or started another program. */
bool ulp_memory_alive(const struct ulp_target *target);
const struct ulp_mapping *ulp_target_mapping(const struct ulp_target *target, uint64_t addr);
/* The object with this build-id, else NULL. */
struct ulp_object *ulp_target_object(struct ulp_target *target, const uint8_t *build_id,
				     size_t size);
/*
 * An object of this name (soname or base name) but another build-id: tells
 * "other build loaded" from "not loaded".
 */
struct ulp_object *ulp_target_object_named(struct ulp_target *target, const char *name);
/*
 * A free page-aligned address for @size bytes such that all of it is within
 * jmp rel32 reach of everything in [@low, @high), at a distance of at least a
 * guard page from stacks and away from the heap's way of growing.
 * -ULP_E_NO_ROOM if there is none.
 */
int ulp_target_hole(struct ulp_target *target, uint64_t low, uint64_t high, uint64_t size,
		    uint64_t *addr);
/* Until something is mapped there, nothing else may choose the place. */
int ulp_target_reserve(struct ulp_target *target, uint64_t start, uint64_t end);
/* contexts.c: whether the target's program uses makecontext() or swapcontext(). */
bool ulp_target_has_contexts(const struct ulp_target *target);
/* For messages: function, else offset, and object or patch of a code address. */
void ulp_target_describe(struct ulp_target *target, uint64_t addr, char *out, size_t size);
/* The exported function that covers a run-time address, "" if none does; for messages. */
void ulp_target_symbolize(struct ulp_target *target, uint64_t addr, char *out, size_t size);

/*
 * relocate.c, symbol.c: a patch's image made ready for one address.
 * @objects: for each target of the patch the object it goes to
 * @bias: run-time address minus container address
 * @image: patch->image_size bytes, segments already copied, written in place
 * Writes nothing into the target; refuses by name what it cannot do.
 */
int ulp_image_relocate(struct ulp_target *target, struct ulp_patch *patch,
		       struct ulp_object *const *objects, uint64_t bias, uint8_t *image);
/* fixup.c: the same for the relocations of .ulp */
int ulp_image_fix(struct ulp_target *target, const struct ulp_patch *patch,
		  struct ulp_object *const *objects, uint64_t bias, uint8_t *image);
void ulp_symbols_free(struct ulp_symbols *symbols);

/* sys.c: one wrapper per ioctl, and nothing else; 0 or -errno */
int ulp_sys_open(struct ulp_context *ctx);	/* fills ctx->dev; -ULP_E_MODULE, -ULP_E_ABI */
int ulp_sys_query(int dev, struct ulp_query *query);
int ulp_sys_session_open(int dev, int mem);
int ulp_sys_map(int session, uint32_t flags, int fd, uint64_t offset, uint64_t addr,
		uint64_t length);
int ulp_sys_unmap(int session, uint64_t addr, uint64_t length, uint64_t max_freeze_ns);
int ulp_sys_transact(int session, struct ulp_transact *transact);
int ulp_sys_release(int session, uint64_t *hold_ns);
int ulp_sys_members(int session, struct ulp_members *members);

/* sys_sensor.c: likewise */
int ulp_sys_sensor_open(int dev, uint64_t timeout_ns);
int ulp_sys_sensor_arm(int sensor, int fd, uint64_t offset);
int ulp_sys_sensor_done(int sensor, uint64_t ticket);

/* image.c: a patch made ready for one place in one target */
struct ulp_image {
	struct ulp_object **objects;	/* for each target of the patch */
	uint64_t start, end;		/* record included */
	uint64_t bias;			/* run-time minus container address */
	uint64_t text_start, text_end;
	uint64_t table, stubs;		/* 0: it has none */
	uint64_t head;			/* bytes of all before the segments */
	struct ulp_record *record;	/* as it is, or will be, in the target */
	const struct ulp_found *reuse;	/* is in the target already */
	int fd;				/* sealed memfd: record and writable segments */
};

int ulp_image_prepare(struct ulp_target *target, struct ulp_patch *patch,
		      struct ulp_image *image);
int ulp_image_map(struct ulp_target *target, struct ulp_patch *patch,
		  const struct ulp_image *image, int session);
void ulp_image_free(struct ulp_image *image);
/* record_build.c: image->record, of the addresses in @image */
int ulp_record_build(const struct ulp_patch *patch, struct ulp_image *image);
/* What is, or will be, at the entry of a function. */
void ulp_image_entry(const struct ulp_image *image, const struct ulp_container_function *function,
		     const struct ulp_object *object, struct ulp_record_function *out);
/* stub.c: code that sends each thread to the old or the new function */
uint64_t ulp_stubs_size(const struct ulp_patch *patch);	/* 0: it can have none */
/* Index of the function with this old_value, of target @t, that has an original, or -1. */
int ulp_patch_original(const struct ulp_patch *patch, size_t t, uint64_t old_value);
/* @switches: one for each function, zeroed */
void ulp_stubs_make(const struct ulp_patch *patch, const struct ulp_image *image, uint8_t *code,
		    struct ulp_record_switch *switches);
/* A memfd for what is to be mapped: made, filled, sealed; descriptor, 0 or -errno. */
int ulp_memfd_make(const char *name, uint64_t size);
int ulp_memfd_write(int fd, const void *data, size_t size, off_t at);
int ulp_memfd_seal(int fd);
/* Maps a piece of it; -ESTALE: the target was there first. */
int ulp_map_piece(struct ulp_target *target, int session, uint32_t flags, int fd,
		  uint64_t offset, uint64_t addr, uint64_t length);

/* plan.c: ranges and writes, and the transaction with its attempts */
struct ulp_plan {
	struct ulp_target *target;
	struct ulp_result *result;
	size_t nr_ranges, nr_writes, nr_bytes;
	struct ulp_range *ranges;
	char **range_names;		/* for messages */
	struct ulp_write *writes;
	char **write_names;
	bool check_stack;		/* no thread in any code of the objects */
	bool scan_memory;		/* for returns of suspended contexts, too */
	bool patch_may_scan;		/* the patch decides as well */
	bool ignore_opt_out;
	bool commit_maps;
	bool by_thread;			/* threads switch one by one */
	struct ulp_universe universe;	/* op 0: all at once */
	struct ulp_plan *leaving;	/* its ranges: for the universe */
	/* what the event is to say; no action: nothing */
	struct ulp_subject subject;
	char functions[ULP_SUBJECT_FUNCTIONS];
};

/* @id: NULL if it is about several patches at once. */
void ulp_plan_subject(struct ulp_plan *plan, enum ulp_action action, const char *name,
		      const uint8_t *id);
/* One more function that it changes. */
void ulp_plan_function(struct ulp_plan *plan, const char *name, size_t length);

int ulp_plan_range(struct ulp_plan *plan, uint64_t start, uint64_t end, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* All code of an object: for check_stack. */
int ulp_plan_object(struct ulp_plan *plan, const struct ulp_object *object);
/* Split at page borders; bytes are copied. */
int ulp_plan_write(struct ulp_plan *plan, uint64_t addr, const void *expected, const void *bytes,
		   size_t size, const char *format, ...)
	__attribute__((format(printf, 6, 7)));
/* Sets state, sequence, user and time of a record in the target. */
int ulp_plan_state(struct ulp_plan *plan, const struct ulp_record *record,
		   enum ulp_record_state state, uint64_t sequence);
/*
 * 0, or why not; -ESTALE: the target changed since it was read, plan again.
 * @deadline: CLOCK_MONOTONIC ns
 */
int ulp_plan_run(struct ulp_plan *plan, int session, const struct ulp_options *options,
		 uint64_t deadline);
void ulp_plan_free(struct ulp_plan *plan);
/* What @one tells of its transactions, @all tells as well. */
void ulp_result_add(struct ulp_result *all, const struct ulp_result *one);
uint64_t ulp_now_ns(void);
void ulp_pause_ns(uint64_t ns);

/* blocker.c: "" if it cannot be had */
void ulp_thread_name(pid_t pid, pid_t tid, char *out, size_t size);

/* universe.c: threads that switch one by one, as plans */

/* The patch that threads are switching to or back from, NULL if there is none. */
const struct ulp_found *ulp_records_moving(const struct ulp_record_list *records);
/* Refuses by name what cannot be done in this target. */
int ulp_universe_check(struct ulp_target *target, const struct ulp_plan *plan);
/* One at a time: refuses if @moving is another patch than @id. */
int ulp_universe_exclusive(struct ulp_target *target, const uint8_t *id,
			   const struct ulp_found **moving);
/*
 * @to: SWITCHING or RETURNING, from whatever state the record is in
 * @mapped: the image is in the target already
 */
int ulp_universe_begin(struct ulp_target *target, struct ulp_plan *plan,
		       const struct ulp_found *found, enum ulp_record_state to,
		       uint64_t sequence, bool mapped);
int ulp_universe_advance(struct ulp_target *target, struct ulp_plan *plan,
			 const struct ulp_found *found, pid_t tid);
int ulp_universe_end(struct ulp_target *target, struct ulp_plan *plan,
		     const struct ulp_found *found);

/* switching.c: waits until all threads have switched; -ULP_E_SWITCHING */
int ulp_switching_finish(struct ulp_target *target, const struct ulp_options *options,
			 uint64_t deadline, struct ulp_result *result);

/* resident.c: what makes the target's unwinder see the code of images */
struct ulp_resident {
	uint64_t start;			/* 0: there is none, nor is one needed */
	bool created;			/* by this apply: to be mapped */
	struct ulp_resident_head head;
	uint64_t originals[ULP_RESIDENT_HOOKS];
	uint64_t nr;			/* images it knows */
};

/* Adds to the plan what it takes for these images. */
int ulp_resident_plan(struct ulp_target *target, struct ulp_plan *plan,
		      const struct ulp_patch *patch, const struct ulp_image *images,
		      size_t nr_images, struct ulp_resident *resident);
int ulp_resident_map(struct ulp_target *target, const struct ulp_resident *resident, int session);

/* optout.c: ULP_PRELOAD_CAUSE_NONE, or why the process will opt out when it gets to it */
enum ulp_preload_cause ulp_opt_out_early(const struct ulp_target *target);

/* preload.c: the block of the preload library, if the target has it */

/* -ULP_E_OPTED_OUT if it says so, and the plan is not to ignore that. */
int ulp_preload_check(struct ulp_target *target, const struct ulp_plan *plan);
/* Adds to the plan that the library is told of these images. */
int ulp_preload_plan(struct ulp_target *target, struct ulp_plan *plan,
		     const struct ulp_image *images, size_t nr_images);

/* change.c: what apply and revert have in common */
struct ulp_change_ops {
	/* Fills the plan from what was read of the target; no session yet. */
	int (*plan)(struct ulp_target *target, struct ulp_plan *plan, void *arg);
	/* Maps what the plan needs; may be NULL. */
	int (*map)(struct ulp_target *target, int session, void *arg);
};

/*
 * Plans, opens a session, maps, transacts; again when the target changed in
 * between.  Fills @result, which may be NULL.
 */
int ulp_change(struct ulp_target *target, const struct ulp_change_ops *ops, void *arg,
	       const struct ulp_options *options, struct ulp_result *result);

/* A session on the target, or what is wrong in words. */
int ulp_session_open(struct ulp_target *target);
int ulp_options_read(struct ulp_context *ctx, const struct ulp_options *given,
		     struct ulp_options *options);
uint64_t ulp_options_deadline(const struct ulp_options *options);
/* Completes @result with @err and copies what @out has room for. */
void ulp_result_give(struct ulp_target *target, int err, struct ulp_result *result,
		     struct ulp_result *out);
/*
 * What begins, turns or goes on with a switch: ulp_change(), then threads are
 * waited for if some have to switch.  @ops->plan says -EALREADY if all that is
 * left to do is to wait.
 */
int ulp_change_by_thread(struct ulp_target *target, const struct ulp_change_ops *ops, void *arg,
			 const struct ulp_options *options, struct ulp_result *result);

/* util.c */
void ulp_hex(const uint8_t *bytes, size_t size, char *out);	/* 2 * size + 1 */
/* 2 * @size hex digits, checked before, to bytes */
void ulp_unhex(const char *hex, uint8_t *out, size_t size);
int ulp_sha256(const void *data, size_t size, uint8_t out[32]);
/* The user in whose name this process acts: the login user if there is one. */
uint32_t ulp_acting_user(void);

#endif /* LIBULP_INTERNAL_H */
