/*
 * translate.h - from what is declared to HAProxy's configuration and to statuses,
 * in one go: what every command does first
 *
 * One thread; the store must not be swept while a translation of it is in use.
 */
#pragma once

#include "plan.h"
#include "render.h"
#include "status.h"

struct arena;
struct flags;
struct output;
struct store;

struct translation {
	struct arena *arena;
	struct plan plan;
	struct statuses statuses;	/* what render could not do included */
	struct plan_problems problems;
	struct output *output;
};

/* 0, or -ENOMEM with nothing to free. */
int translate(struct store *store, const char *controller,
    const struct render_options *options, struct translation *out);
void translation_free(struct translation *t);

/*
 * Part of what translate() would make, in a time that does not grow with the rest: when
 * all that changed in the store are HTTPRoutes and GRPCRoutes of hostnames without
 * wildcards, the maps' entries of these hostnames and what they lead to. NULL: it is
 * something else, or conditional, or there is no memory. The output is the caller's; good
 * for apply_ahead() only.
 */
struct output *translate_ahead(struct store *store, const char *controller,
    const struct render_options *options);

/*
 * The store of the -f of a command; NULL, with words on stderr, when there is none or
 * no memory. Whether its files are good is the caller's to ask.
 */
struct store *translate_load(const struct flags *flags);

/* The version flags name, or that of the program they name; 0, with words on stderr. */
unsigned translate_version(const struct flags *flags);
