/*
 * prom.h - find a few numbers in a Prometheus text page, without storing the page
 *
 * Format: "Prometheus text exposition format 0.0.4" (prometheus.io, Exposition
 * formats); OpenMetrics pages (# EOF, exemplars, timestamps) pass as well. The page
 * is fed in pieces as they arrive; only a line cut by a piece's end is kept, up to
 * PROM_LINE_MAX bytes. Families not asked for cost one comparison a line, however
 * long the line is. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "fault.h"
#include "span.h"

enum { PROM_LINE_MAX = 65536, PROM_MATCHERS_MAX = 4 };

enum prom_result {
	PROM_OK = 0,
	PROM_BAD,	/* a wanted line does not follow the format */
	PROM_TOO_LONG,	/* a line over PROM_LINE_MAX that may be a wanted one */
	PROM_NO_MEMORY,
};

/*
 * A PromQL vector selector with equality matchers only: name{key="value",...}.
 * As there, key="" also matches series without that label.
 */
struct prom_selector {
	const char *name;
	struct { const char *key, *value; } matchers[PROM_MATCHERS_MAX];
	size_t n_matchers;
};

struct prom_sample {
	size_t selector;	/* index of the selector that matched */
	struct span labels;	/* raw text between the braces; may be empty */
	double value;		/* may be NaN or infinite: the caller decides */
};

typedef void prom_sample_f(void *data, const struct prom_sample *sample);

struct prom {
	const struct prom_selector *selectors;
	size_t n_selectors, stride;
	prom_sample_f *on_sample;
	void *data;
	struct buf carry;	/* a line that the last piece cut */
	enum prom_result result;
	bool skipping;		/* until the next newline */

	/* What tells most lines apart from the wanted ones: prom_init(). */
	uint8_t n_first;		/* bytes that every name has, at most 8 */
	uint64_t first_mask;		/* of a line's first bytes, these */
	uint64_t blooms[2];		/* names by their first bytes, hashed */
};

/*
 * The selectors stay the caller's and must outlive `p`. Like qsort()'s elements
 * they are `stride` bytes apart, so that they may sit in rows of a table.
 * Allocates nothing.
 */
void prom_init(struct prom *p, const struct prom_selector *selectors,
    size_t n_selectors, size_t stride, prom_sample_f *on_sample, void *data);
void prom_fini(struct prom *p);

/* Starts a new page; at most 1 KiB of the carry's memory is kept. */
void prom_reset(struct prom *p);

/* The first result other than PROM_OK sticks until prom_reset(). */
enum prom_result prom_feed(struct prom *p, const void *bytes, size_t len);

/* The page ended: a last line without a newline counts. */
enum prom_result prom_finish(struct prom *p);

/*
 * The value of one label, unescaped into `out` (NUL-terminated, cut to `len`).
 * False when there is none.
 */
bool prom_label(struct span labels, const char *key, char *out, size_t len);

/*
 * Parses `text` as a selector; strings are allocated from `arena`.
 * 0, -EINVAL with `why` filled (found and want; file and line are the caller's),
 * or -ENOMEM.
 */
struct arena;
int prom_selector_parse(struct prom_selector *s, const char *text,
    struct arena *arena, struct fault *why);
