/*
 * fault.h - what is wrong in something an operator wrote, and what would be right
 *
 * Filled at the place that found it, printed once by whoever decides about it.
 * The first fault sticks: a later fault_set() on the same struct is ignored, so
 * a decoder may run on after an error. Caller's storage, no ownership, any
 * thread (one struct, one thread).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Where in a tree a decoder stands, from the inside out: conf.c keeps it while it
 * descends. The outermost one names the thing: "HTTPRoute a/b: rules[0].name".
 */
struct fault_path {
	const struct fault_path *up;
	const char *key;	/* an entry of a list: NULL */
	size_t index;		/* of that entry */
};

struct fault {
	char file[256];		/* as the operator named it; may be empty */
	unsigned line;		/* counted from 1; 0 where there is none */
	char found[768];	/* what stands there */
	char want[256];		/* what would be right; may be empty */
	bool is_set;
	bool is_closed;		/* another came since: no more words about this */
	const struct fault_path *path;	/* NULL: places are told by line alone */
};

/* `file` may be NULL. Text that does not fit is cut. */
void fault_set(struct fault *f, const char *file, unsigned line,
    const char *found, const char *want);

/* As fault_set() with `found` built from a format; set `want` with fault_want(). */
void fault_setf(struct fault *f, const char *file, unsigned line,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* That as text; "" for none. Always NUL-terminated. */
void fault_path_text(const struct fault_path *path, char *out, size_t len);

/* Adds what would be right, if none was said yet. */
void fault_want(struct fault *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* "file:line: found; want: ..." into `out`; always NUL-terminated. */
const char *fault_text(const struct fault *f, char *out, size_t len);
