// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * json_get FILE PATH[=VALUE]... - look at values of a JSON file
 * json_get -p FILE PATH         - print one
 *
 * PATH is made of keys and array indices with dots between them; "#" is the
 * length of an array.  Exit status 0 if all are there and are VALUE, which is
 * compared as text.  jq does more, but takes half a second to start in an
 * emulated machine.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json_object *find(struct json_object *at, char *path)
{
	char *save = NULL;

	for (char *key = strtok_r(path, ".", &save); key && at; key = strtok_r(NULL, ".", &save)) {
		if (json_object_is_type(at, json_type_object)) {
			if (!json_object_object_get_ex(at, key, &at))
				return NULL;
			if (!at)
				at = json_object_new_string("null");
		} else if (!json_object_is_type(at, json_type_array)) {
			return NULL;
		} else if (!strcmp(key, "#")) {
			at = json_object_new_int64((int64_t)json_object_array_length(at));
		} else {
			at = json_object_array_get_idx(at, strtoul(key, NULL, 10));
		}
	}
	return at;
}

static int check(struct json_object *root, char *arg)
{
	char *want = strchr(arg, '=');
	struct json_object *value;
	char *path;

	if (want)
		*want++ = '\0';
	path = strdup(arg);
	if (!path)
		return 1;
	value = find(root, path);
	free(path);
	if (!value) {
		printf("json: there is no %s\n", arg);
		return 1;
	}
	if (want && strcmp(json_object_get_string(value), want)) {
		printf("json: %s is '%s', not '%s'\n", arg, json_object_get_string(value), want);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct json_object *root, *value;
	int bad = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: json_get FILE PATH[=VALUE]... | json_get -p FILE PATH\n");
		return 2;
	}
	if (!strcmp(argv[1], "-p") && argc == 4) {
		root = json_object_from_file(argv[2]);
		value = root ? find(root, argv[3]) : NULL;
		if (!value)
			return 1;
		puts(json_object_get_string(value));
		return 0;
	}
	root = json_object_from_file(argv[1]);
	if (!root) {
		printf("json: %s", json_util_get_last_err());
		return 1;
	}
	for (int i = 2; i < argc; i++)
		bad |= check(root, argv[i]);
	return bad;
}
