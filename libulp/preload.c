// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The block of the preload library in a target: uapi/ulp_preload.h, preload/.
 *
 * It is the target's memory, so nothing in it is believed: it can make us refuse a patch,
 * which is its right, and show text; it cannot make us read or write elsewhere.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object.h"

struct block {
	uint64_t addr;
	struct ulp_preload head;
};

static bool table_fits(const struct ulp_preload *head, uint32_t offset, uint64_t count,
		       uint64_t entry)
{
	return offset >= sizeof(*head) && !(offset % 8) && offset <= head->size &&
	       count * entry <= head->size - offset;
}

/* Private, writable, and in the object whose note led here. */
static bool is_block(const struct ulp_target *target, const struct ulp_object *object,
		     struct block *block)
{
	const struct ulp_mapping *mapping = ulp_target_mapping(target, object->preload);
	struct ulp_preload *head = &block->head;

	block->addr = object->preload;
	return mapping && mapping->write && !mapping->shared && !(block->addr % 8) &&
	       !ulp_memory_read(target, block->addr, head, sizeof(*head)) &&
	       head->magic == ULP_PRELOAD_MAGIC && head->version == ULP_PRELOAD_VERSION &&
	       head->size >= sizeof(*head) && head->size <= ULP_PRELOAD_MAX &&
	       ulp_object_holds(object, block->addr, head->size) &&
	       head->message_size >= sizeof(struct ulp_preload_message) &&
	       head->message_size <= head->size &&
	       table_fits(head, head->messages, head->room_messages, head->message_size) &&
	       table_fits(head, head->images, head->room_images, sizeof(uint64_t)) &&
	       head->nr_images <= head->room_images;
}

static bool find_block(const struct ulp_target *target, struct block *block)
{
	for (size_t i = 0; i < target->nr_objects; i++)
		if (target->objects[i].preload && is_block(target, &target->objects[i], block))
			return true;
	return false;
}

static int no_preload(struct ulp_target *target)
{
	return ulp_err(target->ctx, -ULP_E_NO_PRELOAD,
		       "%s (pid %d): it runs without libulp-preload.so", target->name, target->pid);
}

static const char *cause_name(uint32_t cause)
{
	static const char *const names[] = {
		[ULP_PRELOAD_CAUSE_NONE] = "",
		[ULP_PRELOAD_CAUSE_PATH] = "path",
		[ULP_PRELOAD_CAUSE_USER] = "user",
		[ULP_PRELOAD_CAUSE_GROUP] = "group",
		[ULP_PRELOAD_CAUSE_TOOL] = "set-patchable",
	};

	return cause < ARRAY_SIZE(names) ? names[cause] : "";
}

int ulp_target_preload(struct ulp_target *target, struct ulp_preload_info *out)
{
	struct ulp_preload_info info = { .sz = out->sz };
	struct block block;

	if (!find_block(target, &block))
		return no_preload(target);
	info.version = block.head.version;
	info.patchable = block.head.state != ULP_PRELOAD_OPTED_OUT;
	info.cause = cause_name(block.head.cause);
	memcpy(out, &info, out->sz < sizeof(info) ? out->sz : sizeof(info));
	return 0;
}

/* ---- opt-out ---- */

/* A block that its library has not filled yet: the process is at its very start. */
static bool is_empty(const struct ulp_target *target)
{
	uint64_t magic;

	for (size_t i = 0; i < target->nr_objects; i++)
		if (target->objects[i].preload &&
		    ulp_object_holds(&target->objects[i], target->objects[i].preload,
				     sizeof(struct ulp_preload)) &&
		    !ulp_memory_read(target, target->objects[i].preload, &magic,
				     sizeof(magic)) && !magic)
			return true;
	return false;
}

int ulp_preload_check(struct ulp_target *target, const struct ulp_plan *plan)
{
	static const char *const causes[] = {
		[ULP_PRELOAD_CAUSE_PATH] = "by LIBULP_DISABLE_ON_PATH",
		[ULP_PRELOAD_CAUSE_USER] = "by LIBULP_DISABLE_ON_USERS",
		[ULP_PRELOAD_CAUSE_GROUP] = "by LIBULP_DISABLE_ON_GROUPS",
		[ULP_PRELOAD_CAUSE_TOOL] = "by set-patchable",
	};
	uint32_t number = ULP_PRELOAD_CAUSE_NONE;
	struct block block;
	const char *cause;

	if (plan->ignore_opt_out)
		return 0;
	if (find_block(target, &block)) {
		if (block.head.state != ULP_PRELOAD_OPTED_OUT)
			return 0;
		number = block.head.cause;
	} else {
		if (is_empty(target))
			number = ulp_opt_out_early(target);
		if (number == ULP_PRELOAD_CAUSE_NONE)
			return 0;
	}
	cause = number < ARRAY_SIZE(causes) ? causes[number] : NULL;
	return ulp_err(target->ctx, -ULP_E_OPTED_OUT,
		       "%s (pid %d): it opted out of patches%s%s; \"set-patchable enable\" takes that back",
		       target->name, target->pid, cause ? " " : "", cause ? cause : "");
}

static int set_plan(struct ulp_target *target, struct ulp_plan *plan, void *arg)
{
	const bool *patchable = arg;
	struct block block;
	const uint32_t wanted[] = {
		*patchable ? ULP_PRELOAD_PATCHABLE : ULP_PRELOAD_OPTED_OUT,
		ULP_PRELOAD_CAUSE_TOOL,
	};

	_Static_assert(offsetof(struct ulp_preload, cause) ==
		       offsetof(struct ulp_preload, state) + sizeof(block.head.state),
		       "state and cause are written as one");
	if (!find_block(target, &block))
		return no_preload(target);
	if (block.head.state == wanted[0])
		return -ULP_E_ALREADY_APPLIED;
	return ulp_plan_write(plan, block.addr + offsetof(struct ulp_preload, state),
			      &block.head.state, wanted, sizeof(wanted), "libulp-preload.so");
}

int ulp_set_patchable(struct ulp_target *target, bool patchable,
		      const struct ulp_options *options)
{
	static const struct ulp_change_ops ops = { .plan = set_plan };
	int err = ulp_change(target, &ops, &patchable, options, NULL);

	return err == -ULP_E_ALREADY_APPLIED ? 0 : err;
}

/* ---- images ---- */

static bool is_listed(const uint64_t *listed, uint32_t nr, uint64_t start)
{
	for (uint32_t i = 0; i < nr; i++)
		if (listed[i] == start)
			return true;
	return false;
}

/* One write for all new entries, one for their number. */
static int plan_images(struct ulp_target *target, struct ulp_plan *plan, const struct block *block,
		       uint64_t *now, uint64_t *then, const struct ulp_image *images,
		       size_t nr_images)
{
	const struct ulp_preload *head = &block->head;
	uint64_t at = block->addr + head->images;
	uint32_t nr = head->nr_images;
	int err;

	if (ulp_memory_read(target, at, now, head->room_images * sizeof(*now)))
		return 0;
	memcpy(then, now, head->room_images * sizeof(*now));
	for (size_t i = 0; i < nr_images; i++) {
		if (is_listed(now, head->nr_images, images[i].start))
			continue;
		if (nr == head->room_images) {
			ulp_log(target->ctx, ULP_LOG_WARN,
				"%s (pid %d): its preload library knows %u patches already: dlclose() may unload what the others are for",
				target->name, target->pid, nr);
			break;
		}
		then[nr++] = images[i].start;
	}
	if (nr == head->nr_images)
		return 0;
	err = ulp_plan_write(plan, at + head->nr_images * sizeof(*now), now + head->nr_images,
			     then + head->nr_images, (nr - head->nr_images) * sizeof(*now),
			     "libulp-preload.so");
	if (err)
		return err;
	return ulp_plan_write(plan, block->addr + offsetof(struct ulp_preload, nr_images),
			      &head->nr_images, &nr, sizeof(nr), "libulp-preload.so");
}

int ulp_preload_plan(struct ulp_target *target, struct ulp_plan *plan,
		     const struct ulp_image *images, size_t nr_images)
{
	struct block block;
	uint64_t *tables;
	int err;

	if (!find_block(target, &block) || !block.head.room_images)
		return 0;
	tables = calloc(block.head.room_images, 2 * sizeof(*tables));
	if (!tables)
		return -ENOMEM;
	err = plan_images(target, plan, &block, tables, tables + block.head.room_images, images,
			  nr_images);
	free(tables);
	return err;
}

/* ---- messages ---- */

static const char *kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[ULP_PRELOAD_OPT_OUT] = "opt-out",
		[ULP_PRELOAD_CLOSE] = "close",
		[ULP_PRELOAD_KEEP] = "keep",
		[ULP_PRELOAD_RELEASE] = "release",
		[ULP_PRELOAD_PROBLEM] = "problem",
	};

	return kind < ARRAY_SIZE(names) && names[kind] ? names[kind] : "unknown";
}

static int compare_messages(const void *a, const void *b)
{
	const struct ulp_message *one = a, *other = b;

	return (one->number > other->number) - (one->number < other->number);
}

/*
 * The ring as it was read twice: what did not change in between was not being written.
 * Returns how many messages are whole.
 */
static size_t take_messages(const struct block *block, const uint8_t *first,
			    const uint8_t *second, struct ulp_message *out, char *text)
{
	const struct ulp_preload *head = &block->head;
	size_t nr = 0;

	for (uint32_t i = 0; i < head->room_messages; i++) {
		const uint8_t *place = first + (size_t)i * head->message_size;
		struct ulp_preload_message message;
		size_t length;

		memcpy(&message, place, sizeof(message));
		if (!message.number || (message.number - 1) % head->room_messages != i ||
		    message.number > head->next || message.length > sizeof(message.text) ||
		    memcmp(place, second + (place - first), sizeof(message)) != 0)
			continue;
		length = strnlen(message.text, message.length);
		memcpy(text, message.text, length);
		text[length] = '\0';
		out[nr++] = (struct ulp_message){
			.number = message.number,
			.time_ns = message.time,
			.kind = kind_name(message.kind),
			.text = text,
		};
		text += length + 1;
	}
	qsort(out, nr, sizeof(*out), compare_messages);
	return nr;
}

static int read_messages(struct ulp_target *target, const struct block *block, uint8_t *ring,
			 uint64_t *lost)
{
	const struct ulp_preload *head = &block->head;
	size_t size = (size_t)head->room_messages * head->message_size, nr;

	for (int i = 0; i < 2; i++)
		if (ulp_memory_read(target, block->addr + head->messages, ring + i * size, size))
			return ulp_err(target->ctx, -ULP_E_NO_PROCESS,
				       "%s (pid %d): its messages cannot be read any more",
				       target->name, target->pid);
	free(target->messages);
	free(target->message_text);
	target->messages = calloc(head->room_messages + 1, sizeof(*target->messages));
	target->message_text = calloc(head->room_messages + 1, ULP_PRELOAD_TEXT + 1);
	if (!target->messages || !target->message_text)
		return ulp_err(target->ctx, -ENOMEM, "out of memory");
	nr = take_messages(block, ring, ring + size, target->messages, target->message_text);
	*lost = head->next > nr ? head->next - nr : 0;
	return (int)nr;
}

int ulp_target_messages(struct ulp_target *target, const struct ulp_message **out, uint64_t *lost)
{
	struct block block;
	uint8_t *ring;
	int nr;

	*out = NULL;
	*lost = 0;
	if (!find_block(target, &block))
		return no_preload(target);
	ring = calloc((size_t)block.head.room_messages + 1, 2 * (size_t)block.head.message_size);
	if (!ring)
		return ulp_err(target->ctx, -ENOMEM, "out of memory");
	nr = read_messages(target, &block, ring, lost);
	free(ring);
	*out = target->messages;
	return nr;
}
