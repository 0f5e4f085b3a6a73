// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ulp-tool status
 */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../uapi/ulp.h"
#include "cmds.h"

#define LACKS_MAX	8

struct machine {
	struct ulp_status status;
	char module_error[1024];	/* why /dev/ulp does not answer, "" if it does */
	struct utsname kernel;
	char lockdown[32];		/* "" where the kernel has none */
	bool module_loaded, module_signed_only, module_installed;
	const char *user;
	size_t nr_lacks;
	struct lack {
		const char *what;
		char what_to_do[512];
	} lacks[LACKS_MAX];
};

static const struct {
	uint64_t bit;
	const char *name;
	bool backend;
} features[] = {
	{ ULP_FEATURE_GATE, "gate", true },
	{ ULP_FEATURE_STOP_MACHINE, "stop-machine", true },
	{ ULP_FEATURE_FORK_PROBE, "fork-probe", false },
	{ ULP_FEATURE_EVENTS, "events", false },
	{ ULP_FEATURE_STALE, "stale-words", false },
	{ ULP_FEATURE_SCAN_MEMORY, "scan-memory", false },
	{ ULP_FEATURE_SENSOR, "sensor", false },
	{ ULP_FEATURE_UNIVERSE, "universe", false },
	{ ULP_FEATURE_UNCHANGED, "unchanged", false },
	{ ULP_FEATURE_DEBUG, "debug", false },
};

static void __attribute__((format(printf, 3, 4)))
lack(struct machine *machine, const char *what, const char *format, ...)
{
	struct lack *entry = &machine->lacks[machine->nr_lacks++];
	va_list args;

	entry->what = what;
	va_start(args, format);
	vsnprintf(entry->what_to_do, sizeof(entry->what_to_do), format, args);
	va_end(args);
}

/* First line of a file, "" if it cannot be read. */
static void read_line(const char *path, char *out, size_t size)
{
	FILE *file = fopen(path, "re");

	*out = '\0';
	if (!file)
		return;
	if (fgets(out, (int)size, file))
		out[strcspn(out, "\n")] = '\0';
	fclose(file);
}

/* "none [integrity] confidentiality": the word in brackets is in force. */
static void read_lockdown(char *out, size_t size)
{
	char line[128], *start;

	read_line("/sys/kernel/security/lockdown", line, sizeof(line));
	start = strchr(line, '[');
	snprintf(out, size, "%.*s", start ? (int)strcspn(start + 1, "]") : 0,
		 start ? start + 1 : "");
}

static bool is_installed(const char *release)
{
	static const char * const places[] = { "extra", "updates", "updates/dkms", "kernel/*" };
	char pattern[512];
	bool found = false;
	glob_t paths;

	for (size_t i = 0; i < ARRAY_SIZE(places) && !found; i++) {
		snprintf(pattern, sizeof(pattern), "/lib/modules/%s/%s/ulp.ko*", release,
			 places[i]);
		found = !glob(pattern, 0, NULL, &paths);
		globfree(&paths);
	}
	return found;
}

static void look(struct tool *tool, struct machine *machine)
{
	char text[32];
	int err;

	machine->status.sz = sizeof(machine->status);
	err = ulp_status_get(tool->ctx, &machine->status);
	if (err)
		machine->status.module = err;
	if (machine->status.module)
		snprintf(machine->module_error, sizeof(machine->module_error), "%s",
			 ulp_error(tool->ctx));
	uname(&machine->kernel);
	read_lockdown(machine->lockdown, sizeof(machine->lockdown));
	machine->module_loaded = !access("/sys/module/ulp", F_OK);
	read_line("/sys/module/module/parameters/sig_enforce", text, sizeof(text));
	machine->module_signed_only = *text == 'Y' ||
		(*machine->lockdown && strcmp(machine->lockdown, "none") != 0);
	machine->module_installed = is_installed(machine->kernel.release);
	machine->user = geteuid() ? "not root" : "root";
}

static void judge_module(struct machine *machine)
{
	int err = machine->status.module;

	if (!err)
		return;
	if (err == -EACCES || err == -EPERM)
		lack(machine, "permission for /dev/ulp",
		     "run as root, or as a member of the group that a udev rule gives it to");
	else if (err <= -ULP_E_ALREADY_APPLIED)
		lack(machine, "module of this version", "%s", machine->module_error);
	else if (machine->module_loaded)
		lack(machine, "/dev/ulp",
		     "the module is loaded, its device says: %s; is devtmpfs mounted on /dev?",
		     strerror(-err));
	else if (machine->module_installed)
		lack(machine, "module", "load it: modprobe ulp");
	else
		lack(machine, "module",
		     "build it for kernel %s (make; make modules_install) and load it: modprobe ulp, or insmod ulp.ko",
		     machine->kernel.release);
	if (!machine->module_loaded && machine->module_signed_only)
		lack(machine, "signature of the module",
		     "this kernel takes only signed modules: sign ulp.ko with a key it trusts");
}

static void judge(struct machine *machine)
{
	const uint64_t backends = ULP_FEATURE_GATE | ULP_FEATURE_STOP_MACHINE;

	if (strcmp(machine->kernel.machine, "x86_64") != 0)
		lack(machine, "x86-64", "ulp has no support for %s yet", machine->kernel.machine);
	judge_module(machine);
	if (!machine->status.module && !(machine->status.features & backends))
		lack(machine, "backend",
		     "the module cannot hold a process on this kernel: see dmesg");
	/* with access to the device (udev) a user can patch what is his own */
	if (geteuid() && machine->status.module && machine->status.module != -EACCES)
		lack(machine, "root", "/dev/ulp is root's unless a udev rule gives it away");
}

static void put_features(const struct machine *machine, bool backend)
{
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (features[i].backend == backend &&
		    (machine->status.features & features[i].bit))
			printf(" %s", features[i].name);
}

static void put_machine(const struct tool *tool, const struct machine *machine)
{
	printf("tool:      %s\n", ulp_version());
	if (machine->status.module) {
		printf("module:    %s\n", machine->module_loaded ? "loaded, does not answer" :
		       "not loaded");
	} else {
		fputs("module:    loaded, version ", stdout);
		put_text(stdout, machine->status.module_version);
		printf(", ABI %u\nbackends: ", machine->status.abi);
		put_features(machine, true);
		printf(" (default: %s)\nfeatures: ",
		       backend_name(machine->status.default_backend));
		put_features(machine, false);
		putchar('\n');
	}
	printf("kernel:    %s %s\n", machine->kernel.release, machine->kernel.machine);
	printf("lockdown:  %s\n", *machine->lockdown ? machine->lockdown : "none");
	printf("user:      %s\n", machine->user);
	for (size_t i = 0; i < machine->nr_lacks; i++) {
		put_colored(tool, stdout, COLOR_RED, "missing:   ");
		printf("%s\n", machine->lacks[i].what);
		fputs("           ", stdout);
		put_text(stdout, machine->lacks[i].what_to_do);
		putchar('\n');
	}
	if (!machine->nr_lacks)
		put_colored(tool, stdout, COLOR_GREEN, "ready\n");
}

static json_object *json_features(const struct machine *machine, bool backend)
{
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (features[i].backend == backend &&
		    (machine->status.features & features[i].bit))
			json_object_array_add(list, json_text(features[i].name));
	return list;
}

static void json_machine(json_object *document, const struct machine *machine)
{
	json_object *module = json_new(), *kernel = json_new(), *list, *entry;

	json_put(document, "version", json_text(ulp_version()));
	json_put(module, "loaded", json_object_new_boolean(machine->module_loaded));
	json_put(module, "answers", json_object_new_boolean(!machine->status.module));
	json_put(module, "message", json_text(machine->module_error));
	json_put(module, "version", json_text(machine->status.module_version));
	json_put(module, "abi", json_object_new_int64(machine->status.abi));
	json_put(module, "backends", json_features(machine, true));
	json_put(module, "default_backend",
		 json_text(backend_name(machine->status.default_backend)));
	json_put(module, "features", json_features(machine, false));
	json_put(document, "module", module);
	json_put(kernel, "release", json_text(machine->kernel.release));
	json_put(kernel, "machine", json_text(machine->kernel.machine));
	json_put(kernel, "lockdown", json_text(*machine->lockdown ? machine->lockdown : "none"));
	json_put(document, "kernel", kernel);
	json_put(document, "root", json_object_new_boolean(!geteuid()));
	json_put(document, "ready", json_object_new_boolean(!machine->nr_lacks));
	list = json_list(document, "lacks");
	for (size_t i = 0; i < machine->nr_lacks; i++) {
		entry = json_new();
		json_put(entry, "what", json_text(machine->lacks[i].what));
		json_put(entry, "do", json_text(machine->lacks[i].what_to_do));
		json_object_array_add(list, entry);
	}
}

void cmd_status(struct tool *tool)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	if (!machine)
		out_of_memory();
	if (tool->nr_args) {
		p_usage(tool, "status takes no argument '%s'", tool->args[0]);
		free(machine);
		return;
	}
	look(tool, machine);
	judge(machine);
	if (tool->document)
		json_machine(tool->document, machine);
	else if (!tool->options.quiet)
		put_machine(tool, machine);
	tool->tally.failed += machine->nr_lacks;
	free(machine);
}
