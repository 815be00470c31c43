/*
 * plans.c - plans made by hand
 */
#include "plans.h"

#include <stdlib.h>

#include "must.h"

void plans_init(struct plans *p, uint16_t port)
{
	*p = (struct plans){
		.bind = { .ref = { PLAN_GATEWAY, "ns", "gw", NULL, 0 },
			.address = "127.0.0.1", .port = port },
		.listeners = { { .ref = { PLAN_GATEWAY, "ns", "gw", "l", 0 },
			.protocol = PLAN_LISTENER_HTTP } },
		.service = { .ref = { PLAN_SERVICE, "ns", "svc", NULL, 0 },
			.port = 80 },
		.endpoint = { "127.0.0.1", 1 },
	};
	p->matches = calloc(PLANS_MATCHES_MAX, sizeof(*p->matches));
	p->rules = calloc(PLANS_RULES_MAX, sizeof(*p->rules));
	p->targets = calloc(PLANS_RULES_MAX, 16 * sizeof(*p->targets));
	must(p->matches != NULL && p->rules != NULL && p->targets != NULL);
	p->service.endpoints = &p->endpoint;
	p->service.n_endpoints = 1;
	p->listeners[0].matches = p->matches;
	p->bind.listeners = p->listeners;
	p->bind.n_listeners = 1;
	p->plan.binds = &p->bind;
	p->plan.n_binds = 1;
}

void plans_fini(struct plans *p)
{
	free(p->matches);
	free(p->rules);
	free(p->targets);
}

struct plan_rule *plans_rule(struct plans *p, const char *name)
{
	struct plan_rule *rule = &p->rules[p->n_rules];
	struct plan_target *targets = &p->targets[16 * p->n_rules];

	must(p->n_rules < PLANS_RULES_MAX);
	p->n_rules++;
	targets[0] = (struct plan_target){ .backend = &p->service,
		.weight = 1 };
	*rule = (struct plan_rule){
		.ref = { PLAN_HTTP_ROUTE, "ns", name, NULL, 0 },
		.request_ms = PLAN_NOT_GIVEN,
		.backend_request_ms = PLAN_NOT_GIVEN,
		.targets = targets, .n_targets = 1,
	};
	return rule;
}

struct plan_match *plans_match(struct plans *p, const char *hostname,
    enum plan_path_type type, const char *path, const struct plan_rule *rule)
{
	struct plan_match *m = &p->matches[p->listeners[0].n_matches++];

	must(p->listeners[0].n_matches <= PLANS_MATCHES_MAX);
	*m = (struct plan_match){ .hostname = hostname, .path_type = type,
		.path = path, .rule = rule };
	return m;
}
