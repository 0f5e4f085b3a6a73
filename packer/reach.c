// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whether one type leads to another.
 */
#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "packer.h"
#include "types.h"

enum answer { UNKNOWN, NO, YES, ASKED };

struct mark {
	Dwarf_Off offset;
	enum answer answer;
	unsigned int search;
};

static struct mark *mark_of(struct reach *reach, Dwarf_Off offset)
{
	size_t at;

	if (reach->nr * 2 >= reach->size) {
		struct mark *old = reach->marks;
		size_t size = reach->size;

		reach->size = size ? 2 * size : 1024;
		reach->marks = xcalloc(reach->size, sizeof(*reach->marks));
		for (size_t i = 0; i < size; i++)
			if (old[i].answer) {
				at = old[i].offset * 0x9e3779b97f4a7c15ULL % reach->size;
				while (reach->marks[at].answer)
					at = (at + 1) % reach->size;
				reach->marks[at] = old[i];
			}
		free(old);
	}
	at = offset * 0x9e3779b97f4a7c15ULL % reach->size;
	while (reach->marks[at].answer && reach->marks[at].offset != offset)
		at = (at + 1) % reach->size;
	if (!reach->marks[at].answer) {
		reach->marks[at] = (struct mark){ offset, ASKED, 0 };
		reach->nr++;
	}
	return &reach->marks[at];
}

static bool is_pointer(Dwarf_Die *die)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_pointer_type:
	case DW_TAG_reference_type:
	case DW_TAG_rvalue_reference_type:
	case DW_TAG_ptr_to_member_type:
		return true;
	default:
		return false;
	}
}

/* The structure itself, or, where a unit has no more than its name, that. */
static bool is_type(const struct reach *reach, Dwarf_Die *die)
{
	const char *name;

	if (dwarf_dieoffset(die) == reach->type->offset)
		return true;
	if (!dwarf_hasattr(die, DW_AT_declaration))
		return false;
	name = dwarf_diename(die);
	return name && dwarf_tag(die) != DW_TAG_member && !strcmp(name, reach->type->plain);
}

static bool search(struct reach *reach, Dwarf_Die *die)
{
	Dwarf_Off offset = dwarf_dieoffset(die);
	struct mark *mark = mark_of(reach, offset);
	bool found = is_type(reach, die);
	Dwarf_Die next, child;

	if (mark->answer != ASKED)
		return mark->answer == YES;
	if (mark->search == reach->search)
		return found;
	mark->search = reach->search;
	if (!found && (reach->by_pointers || !is_pointer(die)) && type_of(die, &next))
		found = search(reach, &next);
	if (!found && dwarf_tag(die) != DW_TAG_subroutine_type && !dwarf_child(die, &child))
		do {
			if ((dwarf_tag(&child) == DW_TAG_member ||
			     dwarf_tag(&child) == DW_TAG_inheritance) &&
			    !dwarf_hasattr(&child, DW_AT_declaration) && type_of(&child, &next))
				found = search(reach, &next);
		} while (!found && !dwarf_siblingof(&child, &child));
	if (found)
		mark_of(reach, offset)->answer = YES;
	return found;
}

bool reaches(struct reach *reach, Dwarf_Die *die)
{
	bool found;

	reach->search++;
	found = search(reach, die);
	/* a search that found nothing saw all there is */
	for (size_t i = 0; i < reach->size && !found; i++)
		if (reach->marks[i].answer == ASKED && reach->marks[i].search == reach->search)
			reach->marks[i].answer = NO;
	return found;
}
