/* help_manifest.h - manifests in, a plan and statuses out */
#pragma once

#include "arena.h"
#include "plan_make.h"
#include "store.h"

struct made {
	struct store *store;
	struct arena *arena;
	struct plan plan;
	struct statuses statuses;
};

/* A GatewayClass "epp" of ours, and Gateway default/gw on port 80 of it. */
extern const char manifest_class[], manifest_gateway[];

/* The texts as one file each; all must be good. made_free() it. */
struct made made_of(const char *const *texts, size_t n);
void made_free(struct made *m);

/* NULL: no such condition. `parent`, `listener`: by index; -1 of the object. */
const struct condition *made_parent(const struct made *m, enum kind kind,
    const char *name, size_t parent, const char *type);
