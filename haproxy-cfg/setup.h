/*
 * setup.h - what render, diff and watch begin with: manifests and where to
 *
 * One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "plan.h"
#include "render.h"
#include "translate.h"

struct flags;
struct status_since;
struct store;

struct setup {
	const struct flags *flags;
	struct render_options options;
	struct store *store;
	struct status_since *since;
	bool has_since;		/* the times written before us are known */
	char dir[4096];		/* -o, absolute; "" when there is none */
};

/* False, with words on stderr. `needs_dir`: the command is nothing without -o. */
bool setup_open(struct setup *s, const struct flags *flags, bool needs_dir);
void setup_close(struct setup *s);

/* True when a file of manifests is not taken; told on stderr. */
bool setup_tell_bad_files(const struct setup *s);

/* What could not be rendered or applied, on stderr. */
void setup_tell(const struct plan_problems *problems);

/*
 * DIR/status.yaml; with lastTransitionTimes when `is_live`, the first time those of the
 * file that is there. 0 or -errno.
 */
int setup_write_status(struct setup *s, const struct translation *t,
    bool is_live);
