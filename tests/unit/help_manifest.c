#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "help_manifest.h"

const char manifest_class[] =
    "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n"
    "metadata: {name: epp}\nspec: {controllerName: example.com/epp}\n";

const char manifest_gateway[] =
    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n"
    "metadata: {name: gw, generation: 3}\nspec:\n"
    "  gatewayClassName: epp\n"
    "  listeners: [{name: http, port: 80, protocol: HTTP}]\n";

struct made made_of(const char *const *texts, size_t n)
{
	struct made m = { .store = store_new(),
		.arena = arena_new(1 << 16, 1 << 28) };
	struct plan_input in = { .store = m.store,
		.controller = "example.com/epp" };

	for (size_t i = 0; i < n; i++) {
		struct fault why = { 0 };
		char name[32], text[1400];

		snprintf(name, sizeof(name), "%zu.yaml", i);
		if (store_put_text(m.store, name, span_of(texts[i]), &why) != 0)
			fail_msg("%s", fault_text(&why, text, sizeof(text)));
	}
	assert_int_equal(plan_make(&in, m.arena, &m.plan, &m.statuses), 0);
	return m;
}

void made_free(struct made *m)
{
	arena_free(m->arena);
	store_free(m->store);
}

const struct condition *made_parent(const struct made *m, enum kind kind,
    const char *name, size_t parent, const char *type)
{
	const struct status *s = statuses_find(&m->statuses, kind, "default",
	    name);

	assert_non_null(s);
	assert_true(parent < s->n_parents);
	return conditions_get(&s->parents[parent].conditions, type);
}
