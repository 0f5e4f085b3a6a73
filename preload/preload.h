/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the preload library share.
 *
 * The rules of this library: it needs nothing that might be missing, allocates nothing,
 * changes no errno, ends no process, and does nothing on any doubt.
 */
#ifndef ULP_PRELOAD_H
#define ULP_PRELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ulp_preload.h"

/*
 * A function of libc that may not be there: "if (!dlsym)" is a question.  Without
 * DT_NEEDED nothing else would make the program start.
 */
#define WEAK(name)	extern __typeof__(name) (name) __attribute__((weak))

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define NR_MESSAGES	128
#define NR_IMAGES	256

struct block {
	struct ulp_preload head;
	uint64_t __reserved[20];	/* the first messages share its page */
	struct ulp_preload_message messages[NR_MESSAGES];
	uint64_t images[NR_IMAGES];
};

extern struct block ulp_preload_block;

/* messages.c: a line that is put together, and then said. */
struct line {
	uint32_t length;
	char text[ULP_PRELOAD_TEXT];
};

void line_put(struct line *line, const char *text);
void line_put_number(struct line *line, uint64_t number);
void say(enum ulp_preload_kind kind, const struct line *line);

/* optout.c: fills state and cause. */
void decide(char *const *environment);

#endif /* ULP_PRELOAD_H */
