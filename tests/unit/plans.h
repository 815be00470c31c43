/*
 * plans.h - plans made by hand, for tests of what renders and applies them
 *
 * One HTTP bind on 127.0.0.1:PORT with a listener for any name, to which matches are
 * added; more is set by the test itself, in the structs. Freed by plans_fini().
 */
#pragma once

#include "plan.h"

enum { PLANS_MATCHES_MAX = 65536, PLANS_RULES_MAX = 65536 };

struct plans {
	struct plan plan;
	struct plan_bind bind;
	struct plan_listener listeners[8];
	struct plan_match *matches;	/* of listeners[0] */
	struct plan_rule *rules;
	struct plan_target *targets;	/* [rule][16] */
	size_t n_rules;
	struct plan_backend service;	/* one endpoint, 127.0.0.1:1 */
	struct plan_endpoint endpoint;
};

void plans_init(struct plans *p, uint16_t port);
void plans_fini(struct plans *p);

/* A rule of HTTPRoute ns/NAME that leads to p->service. */
struct plan_rule *plans_rule(struct plans *p, const char *name);

/* A match of listeners[0]; in the order of calls, which is precedence's. */
struct plan_match *plans_match(struct plans *p, const char *hostname,
    enum plan_path_type type, const char *path, const struct plan_rule *rule);
