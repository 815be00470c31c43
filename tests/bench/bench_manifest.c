/*
 * bench_manifest.c - from the text of manifests to a plan, beside libyaml alone
 *
 * The same text goes through libyaml's events, thrown away, and through the store,
 * the plan and the statuses, in turn within each round; medians, and how much they are
 * of libyaml's. Routes are those of gateway-api-bench's probe: a host each, one rule
 * with filters, one that leads nowhere.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "arena.h"
#include "buf.h"
#include "clock.h"
#include "fault.h"
#include "must.h"
#include "plan_make.h"
#include "status.h"
#include "store.h"

enum { ROUNDS = 7, EVENTS = 0, STORE, PLAN, STATUS, WAYS };

static const char head[] =
    "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n"
    "metadata: {name: epp}\nspec: {controllerName: example.com/epp}\n---\n"
    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n"
    "metadata: {name: gw}\nspec:\n  gatewayClassName: epp\n"
    "  listeners:\n  - {name: http, port: 80, protocol: HTTP}\n---\n"
    "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
    "spec: {ports: [{port: 80}]}\n---\n"
    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
    "metadata: {name: web, labels: {kubernetes.io/service-name: web}}\n"
    "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]\n"
    "ports: [{port: 8000}]\n";

static struct buf manifests_of(size_t n)
{
	struct buf b;

	buf_init(&b, (size_t)1 << 30);
	buf_puts(&b, head);
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "---\napiVersion: gateway.networking.k8s.io/v1\n"
		    "kind: HTTPRoute\nmetadata:\n  name: route-%zu\nspec:\n"
		    "  parentRefs:\n  - name: gw\n  hostnames:\n"
		    "  - \"%zu-route.example.com\"\n  rules:\n  - matches:\n"
		    "    - path:\n        type: PathPrefix\n        value: /%zu\n"
		    "    filters:\n    - type: RequestHeaderModifier\n"
		    "      requestHeaderModifier:\n        add:\n"
		    "        - name: x-a\n          value: b\n"
		    "    - type: ResponseHeaderModifier\n"
		    "      responseHeaderModifier:\n        add:\n"
		    "        - name: x-c\n          value: d\n"
		    "    backendRefs:\n    - name: web\n      port: 80\n"
		    "  - matches:\n    - path:\n        type: PathPrefix\n"
		    "        value: /\n    backendRefs:\n    - name: nowhere\n"
		    "      port: 80\n", i, i, i);
	must(!buf_failed(&b));
	return b;
}

static int64_t events(struct span text)
{
	int64_t start = clock_us();
	yaml_parser_t parser;
	bool done = false;

	must(yaml_parser_initialize(&parser));
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const uint8_t *)text.ptr,
	    text.len);
	while (!done) {
		yaml_event_t event;

		must(yaml_parser_parse(&parser, &event));
		done = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return clock_us() - start;
}

static void ours(struct span text, size_t n, int64_t us[WAYS])
{
	struct store *store = store_new();
	struct arena *arena = arena_new(1 << 20, (size_t)1 << 32);
	struct plan_input in = { .store = store,
		.controller = "example.com/epp" };
	struct statuses statuses;
	struct fault why = { 0 };
	struct plan plan;
	struct buf out;
	int64_t start = clock_us();

	must(store_put_text(store, "bench.yaml", text, &why) == 0);
	us[STORE] = clock_us() - start;
	start = clock_us();
	must(plan_make(&in, arena, &plan, &statuses) == 0);
	us[PLAN] = clock_us() - start;
	must(plan.binds[0].listeners[0].n_matches == 2 * n);
	buf_init(&out, (size_t)1 << 30);
	start = clock_us();
	status_write(&statuses, NULL, &out);
	us[STATUS] = clock_us() - start;
	must(!buf_failed(&out));
	buf_fini(&out);
	arena_free(arena);
	store_free(store);
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void bench(size_t n)
{
	static const char *const names[] = { "libyaml", "store", "plan",
		"statuses" };
	int64_t us[WAYS][ROUNDS];
	struct buf text = manifests_of(n);

	for (int round = 0; round < ROUNDS; round++) {
		int64_t one[WAYS];

		one[EVENTS] = events(buf_span(&text));
		ours(buf_span(&text), n, one);
		for (int way = 0; way < WAYS; way++)
			us[way][round] = one[way];
	}
	printf("%6zu routes, %5.1f MB:", n, (double)text.len / 1e6);
	for (int way = 0; way < WAYS; way++) {
		qsort(us[way], ROUNDS, sizeof(int64_t), by_size);
		printf("  %s %.1f ms (%.2f)", names[way],
		    (double)us[way][ROUNDS / 2] / 1e3,
		    (double)us[way][ROUNDS / 2] / (double)us[EVENTS][ROUNDS / 2]);
	}
	printf("\n");
	buf_fini(&text);
}

int main(void)
{
	static const size_t sizes[] = { 100, 1000, 5000, 40000 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		bench(sizes[i]);
	return EXIT_SUCCESS;
}
