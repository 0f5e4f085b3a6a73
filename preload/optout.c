// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * LIBULP_DISABLE_ON_PATH, _USERS, _GROUPS: lists with colons, of patterns for the path of
 * the program, the real user and the real group; users and groups by number as well.
 * libpulp's LIBPULP_... mean the same.
 *
 * Names of users are looked up in /etc/passwd and nowhere else: to ask the name services
 * would load libraries into the program.
 */
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>

#include "preload.h"

WEAK(fnmatch);

/* What a rule is matched against. */
struct subject {
	const char *name;		/* "" unknown */
	bool has_id;
	uint32_t id;
};

struct rule {
	const char *variable;		/* behind LIBULP_ and LIBPULP_ */
	enum ulp_preload_cause cause;
	bool (*find)(struct subject *subject, char *name, size_t size);
};

/* The value of the variable PREFIX NAME, or NULL. */
static const char *value_of(char *const *environment, const char *prefix, const char *name)
{
	for (; *environment; environment++) {
		const char *at = *environment, *part = prefix;

		while (*part && *part == *at)
			part++, at++;
		if (*part)
			continue;
		for (part = name; *part && *part == *at; part++)
			at++;
		if (!*part && *at == '=')
			return at + 1;
	}
	return NULL;
}

/* Whether @text is a number, and which. */
static bool parse_id(const char *text, uint32_t *id)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9' && value <= UINT32_MAX; i++)
		value = 10 * value + (uint64_t)(text[i] - '0');
	*id = (uint32_t)value;
	return i && !text[i] && value <= UINT32_MAX;
}

static bool item_matches(const char *item, const struct subject *subject)
{
	uint32_t id;

	if (subject->has_id && parse_id(item, &id))
		return id == subject->id;
	return *subject->name && fnmatch && !fnmatch(item, subject->name, FNM_EXTMATCH);
}

/* The first item of @list that matches is left in @item. */
static bool list_matches(const char *list, const struct subject *subject, char *item, size_t size)
{
	while (*list) {
		size_t length = 0;

		for (; *list && *list != ':'; list++)
			if (length < size)
				item[length++] = *list;
		if (*list)
			list++;
		/* longer than any path: no pattern of ours */
		if (!length || length == size)
			continue;
		item[length] = '\0';
		if (item_matches(item, subject))
			return true;
	}
	return false;
}

/* ---- path, user, group ---- */

static bool find_path(struct subject *subject, char *name, size_t size)
{
	long length = system_call(SYS_readlink, (long)"/proc/self/exe", (long)name,
				  (long)size - 1);

	if (length <= 0)
		return false;
	name[length] = '\0';
	return true;
}

/*
 * The name that belongs to @id in a file of lines "NAME:PASSWORD:ID:...", as passwd(5) and
 * group(5) have them; "" if there is none.
 */
static void find_name(const char *file, uint32_t id, char *name, size_t size)
{
	char buffer[1024], text[16];
	size_t field = 0, length = 0, digits = 0;
	bool found = false;
	uint32_t this;
	long fd, have;

	*name = '\0';
	fd = system_call(SYS_open, (long)file, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	while (!found && (have = system_call(SYS_read, fd, (long)buffer, sizeof(buffer))) > 0) {
		for (long i = 0; i < have && !found; i++) {
			char c = buffer[i]; /* NOLINT: the system call filled it */

			if (c == ':' && field == 2) {
				text[digits] = '\0';
				found = parse_id(text, &this) && this == id;
			}
			if (c == ':') {
				field++;
			} else if (c == '\n') {
				field = length = digits = 0;
			} else if (!field && length < size - 1) {
				name[length++] = c;
				name[length] = '\0';
			} else if (field == 2 && digits < sizeof(text) - 1) {
				text[digits++] = c;
			}
		}
	}
	if (!found)
		*name = '\0';
	system_call(SYS_close, fd, 0, 0);
}

static bool find_user(struct subject *subject, char *name, size_t size)
{
	subject->has_id = true;
	subject->id = (uint32_t)system_call(SYS_getuid, 0, 0, 0);
	find_name("/etc/passwd", subject->id, name, size);
	return true;
}

static bool find_group(struct subject *subject, char *name, size_t size)
{
	subject->has_id = true;
	subject->id = (uint32_t)system_call(SYS_getgid, 0, 0, 0);
	find_name("/etc/group", subject->id, name, size);
	return true;
}

/* ---- the rules ---- */

static const char *const prefixes[] = { "LIBULP_", "LIBPULP_" };

static void opt_out(const struct rule *rule, const char *prefix, const char *text,
		    const char *why)
{
	struct line line = { .length = 0 };

	ulp_preload_block.head.state = ULP_PRELOAD_OPTED_OUT;
	ulp_preload_block.head.cause = rule->cause;
	line_put(&line, prefix);
	line_put(&line, rule->variable);
	line_put(&line, why);
	line_put(&line, text);
	say(ULP_PRELOAD_OPT_OUT, &line);
}

static bool rule_applies(const struct rule *rule, char *const *environment)
{
	char name[PATH_MAX], item[PATH_MAX];
	struct subject subject = { .name = name };
	bool known = false;

	name[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		const char *list = value_of(environment, prefixes[i], rule->variable);

		if (!list || !*list)
			continue;
		if (!known && !rule->find(&subject, name, sizeof(name))) {
			/* somebody wants some programs left alone: it may be this one */
			opt_out(rule, prefixes[i], "", ": the path of the program is unknown");
			return true;
		}
		known = true;
		if (list_matches(list, &subject, item, sizeof(item) - 1)) {
			opt_out(rule, prefixes[i], item, " has ");
			return true;
		}
	}
	return false;
}

void decide(char *const *environment)
{
	static const struct rule rules[] = {
		{ "DISABLE_ON_PATH", ULP_PRELOAD_CAUSE_PATH, find_path },
		{ "DISABLE_ON_USERS", ULP_PRELOAD_CAUSE_USER, find_user },
		{ "DISABLE_ON_GROUPS", ULP_PRELOAD_CAUSE_GROUP, find_group },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (rule_applies(&rules[i], environment))
			break;
}
