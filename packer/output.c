// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a build makes: programs and libraries, which of them is the target, and which
 * units are in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "packer.h"
#include "build.h"

/* ---- what a file is ---- */

struct facts {
	uint16_t type;			/* ET_* */
	uint8_t build_id[ULP_BUILD_ID_MAX];
	size_t build_id_size;
	const char *soname;
	const void *text;		/* .text */
	size_t text_size;
	bool symtab;
};

static void read_id(Elf_Scn *scn, struct facts *facts)
{
	size_t offset = 0, next, name, desc;
	Elf_Data *data = elf_getdata(scn, NULL);
	GElf_Nhdr note;

	while (data && (next = gelf_getnote(data, offset, &note, &name, &desc))) {
		offset = next;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    !memcmp((char *)data->d_buf + name, "GNU", 4) &&
		    note.n_descsz <= sizeof(facts->build_id)) {
			memcpy(facts->build_id, (char *)data->d_buf + desc, note.n_descsz);
			facts->build_id_size = note.n_descsz;
		}
	}
}

static void read_soname(Elf *elf, Elf_Scn *scn, size_t strings, struct facts *facts)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	GElf_Dyn dyn;

	for (int i = 0; data && gelf_getdyn(data, i, &dyn) && dyn.d_tag != DT_NULL; i++)
		if (dyn.d_tag == DT_SONAME)
			facts->soname = elf_strptr(elf, strings, dyn.d_un.d_val);
}

/* Of a program or library; others are of no interest.  The file stays open. */
static bool facts_read(const char *path, struct facts *facts)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	Elf_Scn *scn = NULL;
	GElf_Ehdr header;
	GElf_Shdr shdr;
	size_t names;
	Elf *elf;

	memset(facts, 0, sizeof(*facts));
	elf_version(EV_CURRENT);
	elf = fd >= 0 ? elf_begin(fd, ELF_C_READ_MMAP, NULL) : NULL;
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header) ||
	    (header.e_type != ET_EXEC && header.e_type != ET_DYN) ||
	    elf_getshdrstrndx(elf, &names)) {
		elf_end(elf);
		if (fd >= 0)
			close(fd);
		return false;
	}
	facts->type = header.e_type;
	while ((scn = elf_nextscn(elf, scn))) {
		const char *name;

		if (!gelf_getshdr(scn, &shdr))
			continue;
		name = elf_strptr(elf, names, shdr.sh_name);
		if (shdr.sh_type == SHT_NOTE) {
			read_id(scn, facts);
		} else if (shdr.sh_type == SHT_DYNAMIC) {
			read_soname(elf, scn, shdr.sh_link, facts);
		} else if (shdr.sh_type == SHT_SYMTAB) {
			facts->symtab = true;
		} else if (shdr.sh_type == SHT_PROGBITS && name && !strcmp(name, ".text")) {
			Elf_Data *data = elf_rawdata(scn, NULL);

			facts->text = data ? data->d_buf : NULL;
			facts->text_size = data ? data->d_size : 0;
		}
	}
	close(fd);
	return true;
}

char *output_build_id(const char *path)
{
	struct facts facts;

	if (!facts_read(path, &facts) || !facts.build_id_size)
		return NULL;
	return hex(facts.build_id, facts.build_id_size);
}

static Elf *open_object(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = fd >= 0 ? elf_begin(fd, ELF_C_READ, NULL) : NULL;
	if (elf)
		elf_cntl(elf, ELF_C_FDREAD);
	if (fd >= 0)
		close(fd);
	return elf;
}

static Elf_Scn *next_section(Elf *elf, Elf_Scn *scn, GElf_Shdr *shdr)
{
	const char *name;
	size_t names;

	while ((scn = elf_nextscn(elf, scn))) {
		if (elf_getshdrstrndx(elf, &names) || !gelf_getshdr(scn, shdr))
			continue;
		name = elf_strptr(elf, names, shdr->sh_name);
		if (name && strncmp(name, ".debug_", 7) != 0 &&
		    strncmp(name, ".rela.debug_", 12) != 0)
			break;
	}
	return scn;
}

static bool same_section(Elf_Scn *a, Elf_Scn *b, const GElf_Shdr *shdr, const GElf_Shdr *other)
{
	const Elf_Data *data, *theirs;

	if (shdr->sh_type != other->sh_type || shdr->sh_flags != other->sh_flags ||
	    shdr->sh_size != other->sh_size || shdr->sh_info != other->sh_info)
		return false;
	if (shdr->sh_type == SHT_NOBITS || !shdr->sh_size)
		return true;
	data = elf_rawdata(a, NULL);
	theirs = elf_rawdata(b, NULL);
	return data && theirs && data->d_size == theirs->d_size &&
	       !memcmp(data->d_buf, theirs->d_buf, data->d_size);
}

bool output_same_object(const char *a, const char *b)
{
	GElf_Shdr shdr = { 0 }, other = { 0 };
	Elf_Scn *ours = NULL, *theirs = NULL;
	Elf *elf[2];
	bool same;

	if (!a || !b)
		return a == b;
	elf[0] = open_object(a);
	elf[1] = open_object(b);
	same = elf[0] && elf[1];
	while (same) {
		ours = next_section(elf[0], ours, &shdr);
		theirs = next_section(elf[1], theirs, &other);
		if (!ours || !theirs)
			break;
		same = same_section(ours, theirs, &shdr, &other);
	}
	same &= !ours && !theirs;
	elf_end(elf[0]);
	elf_end(elf[1]);
	return same;
}

/* ---- the target's twin ---- */

struct search {
	const struct scratch *scratch;
	const struct calls *calls;
	const char *names[3];		/* that the target goes by */
	struct facts target;
	struct output *output;
	unsigned int rank;
};

const struct call *output_link(const struct calls *calls, const char *path)
{
	for (int tree = 0; path && tree < NR_TREES; tree++)
		for (size_t i = 0; i < calls->nr[tree]; i++) {
			const struct call *call = &calls->calls[tree][i];

			if (call->kind == CALL_LINK && call->output &&
			    !strcmp(call->output, path))
				return call;
		}
	return NULL;
}

static bool is_compiled(const struct calls *calls, const char *path)
{
	for (int tree = 0; tree < NR_TREES; tree++) {
		for (size_t i = 0; i < calls->nr[tree]; i++) {
			const struct call *call = &calls->calls[tree][i];

			for (size_t j = 0; j < call->nr_inputs; j++) {
				char *object = call_object(call, &call->inputs[j]);
				bool same = object && !strcmp(object, path);

				free(object);
				if (same)
					return true;
			}
		}
	}
	return false;
}

static bool has_name(const struct search *search, const char *name)
{
	for (size_t i = 0; name && i < 3; i++)
		if (search->names[i] && !strcmp(search->names[i], name))
			return true;
	return false;
}

/* Bits from what counts most to what counts least. */
enum { RANK_LINKED = 1, RANK_SYMTAB = 2, RANK_NAME = 4, RANK_CODE = 8, RANK_ID = 16 };

static void consider(struct search *search, const char *file, const char *path)
{
	const struct facts *target = &search->target;
	unsigned int rank = 0;
	struct facts facts;

	if (!facts_read(file, &facts))
		return;
	if (target->build_id_size && facts.build_id_size == target->build_id_size &&
	    !memcmp(facts.build_id, target->build_id, facts.build_id_size))
		rank |= RANK_ID;
	if (target->text_size && facts.text_size == target->text_size &&
	    !memcmp(facts.text, target->text, facts.text_size))
		rank |= RANK_CODE;
	if (has_name(search, base_name(path)) || has_name(search, facts.soname))
		rank |= RANK_NAME;
	if (!rank)
		return;
	rank |= facts.symtab ? RANK_SYMTAB : 0;
	rank |= output_link(search->calls, path) ? RANK_LINKED : 0;
	if (rank <= search->rank)
		return;
	search->rank = rank;
	search->output->file = xstrdup(file);
	search->output->path = xstrdup(path);
	search->output->same_id = rank & RANK_ID;
	search->output->same_code = rank & RANK_CODE;
}

static bool visit(const char *file, const char *relative, const struct stat *stat, void *data)
{
	struct search *search = data;

	if (S_ISREG(stat->st_mode) && (stat->st_mode & 0111 || strstr(relative, ".so")))
		consider(search, file, xasprintf("%s/%s", search->scratch->place, relative));
	return true;
}

bool output_find(const struct scratch *scratch, const struct calls *calls, const char *target,
		 struct output *output)
{
	struct search search = { .scratch = scratch, .calls = calls, .output = output };
	char *real = realpath(target, NULL);

	memset(output, 0, sizeof(*output));
	if (!facts_read(target, &search.target)) {
		error("%s: %s", target, access(target, R_OK) ? strerror(errno) :
		      "not a program or shared library");
		return false;
	}
	search.names[0] = base_name(target);
	search.names[1] = real ? base_name(real) : NULL;
	search.names[2] = search.target.soname;
	/* linked outside of the tree, too */
	for (size_t i = 0; i < calls->nr[TREE_ORIGINAL]; i++) {
		const struct call *call = &calls->calls[TREE_ORIGINAL][i];

		if (call->kind == CALL_LINK && call->output &&
		    !scratch_inside(scratch, call->output))
			consider(&search, call->output, call->output);
	}
	return tree_walk(scratch->trees[TREE_ORIGINAL], visit, &search);
}

/* ---- what is in it ---- */

struct question {
	const struct scratch *scratch;
	const struct calls *calls;
	const struct unit *unit;
	enum tree tree;			/* that has the unit's object */
	const void *object;		/* its contents, if it is still there */
	size_t size;
	unsigned int depth;
};

static enum part linked_into(struct question *question, const char *path);

static bool is_object(const struct question *question, const void *data, size_t size)
{
	return question->object && size == question->size &&
	       !memcmp(data, question->object, size);
}

/* A member of an archive is linked only if something needs it. */
static enum part in_archive(const struct question *question, int fd, Elf *archive)
{
	enum part part = question->object ? PART_NO : PART_MAYBE;
	Elf_Cmd command = ELF_C_READ_MMAP;
	Elf *member;

	while ((member = elf_begin(fd, command, archive))) {
		size_t size;
		const char *data = elf_rawfile(member, &size);

		if (data && is_object(question, data, size))
			part = PART_MAYBE;
		command = elf_next(member);
		elf_end(member);
	}
	return part;
}

static enum part in_elf(struct question *question, const char *path, int fd, Elf *elf)
{
	GElf_Ehdr header;
	const char *data;
	size_t size;

	if (elf_kind(elf) == ELF_K_AR)
		return in_archive(question, fd, elf);
	data = elf_rawfile(elf, &size);
	if (!data || !gelf_getehdr(elf, &header))
		return data && size > 7 && !memcmp(data, "!<thin>", 7) ? PART_MAYBE : PART_NO;
	if (header.e_type != ET_REL)
		return PART_NO;		/* a shared library is not taken in */
	if (is_compiled(question->calls, path))
		return PART_NO;		/* another unit's, though it may look the same */
	if (is_object(question, data, size))
		return PART_YES;	/* it was renamed or copied */
	/* of several, by ld -r */
	if (output_link(question->calls, path))
		return linked_into(question, path);
	/* which may have been called by itself; but crti.o and the like are the system's */
	return scratch_inside(question->scratch, path) ? PART_MAYBE : PART_NO;
}

static enum part in_file(struct question *question, const char *path)
{
	enum part part = PART_MAYBE;
	Elf *elf;
	int fd;

	if (question->unit->object && !strcmp(question->unit->object, path))
		return PART_YES;
	fd = open(scratch_path(question->scratch, question->tree, path), O_RDONLY | O_CLOEXEC);
	elf = fd >= 0 ? elf_begin(fd, ELF_C_READ_MMAP, NULL) : NULL;
	if (elf)
		part = in_elf(question, path, fd, elf);
	elf_end(elf);
	if (fd >= 0)
		close(fd);
	return part;
}

/* libNAME.a in the first directory that has it, unless there is a shared one. */
static enum part in_library(struct question *question, const struct call *call,
			    const char *name)
{
	for (size_t i = 0; i < call->nr_inputs; i++) {
		const char *dir = call->inputs[i].given, *path;

		if (strncmp(dir, "-L", 2) != 0)
			continue;
		path = name[0] == ':' ? xasprintf("%s/%s", dir + 2, name + 1) :
					xasprintf("%s/lib%s.so", dir + 2, name);
		if (name[0] != ':' &&
		    !access(scratch_path(question->scratch, question->tree, path), F_OK))
			return PART_NO;
		if (name[0] != ':')
			path = xasprintf("%s/lib%s.a", dir + 2, name);
		if (!access(scratch_path(question->scratch, question->tree, path), F_OK))
			return in_file(question, path);
	}
	return PART_NO;
}

static enum part in_call(struct question *question, const struct call *call)
{
	enum part part = PART_NO;

	if (!question->unit->object && question->unit->versions[question->tree].call == call)
		return PART_YES;
	for (size_t i = 0; i < call->nr_inputs && part < PART_YES; i++) {
		const struct input *input = &call->inputs[i];
		enum part found = PART_NO;

		if (!strncmp(input->given, "-l", 2))
			found = in_library(question, call, input->given + 2);
		else if (!input->source && strncmp(input->given, "-L", 2) != 0)
			found = in_file(question, input->path);
		if (found > part)
			part = found;
	}
	return part;
}

static enum part linked_into(struct question *question, const char *path)
{
	enum part part = PART_NO;

	if (question->depth++ > 16)
		return PART_MAYBE;
	for (int tree = 0; tree < NR_TREES && part < PART_YES; tree++) {
		for (size_t i = 0; i < question->calls->nr[tree] && part < PART_YES; i++) {
			const struct call *call = &question->calls->calls[tree][i];
			enum part found = PART_NO;

			if (call->kind == CALL_LINK && call->output && !strcmp(call->output, path))
				found = in_call(question, call);
			if (found > part)
				part = found;
		}
	}
	question->depth--;
	return part;
}

enum part output_has(const struct scratch *scratch, const struct calls *calls,
		     const char *path, const struct unit *unit)
{
	struct question question = {
		.scratch = scratch,
		.calls = calls,
		.unit = unit,
		.tree = unit->versions[TREE_ORIGINAL].call ? TREE_ORIGINAL : TREE_FIXED,
	};

	/* nobody was seen linking it */
	if (!output_link(calls, path))
		return PART_MAYBE;
	if (unit->object)
		question.object = file_read(scratch_path(scratch, question.tree, unit->object),
					    &question.size);
	return linked_into(&question, path);
}
