#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "arena.h"
#include "decode.h"
#include "fault.h"
#include "fuzz.h"
#include "json_tree.h"
#include "must.h"
#include "yaml.h"

static void check_route(const struct route *r)
{
	must(r->n_hostnames <= 1024 && r->n_parents <= 32 && r->n_rules <= 16);
	for (size_t i = 0; i < r->n_parents; i++)
		must(r->parents[i].name != NULL && r->parents[i].kind != NULL);
	for (size_t i = 0; i < r->n_rules; i++) {
		const struct rule *rule = &r->rules[i];

		must(r->o.kind != KIND_HTTP_ROUTE || rule->n_http_matches > 0);
		for (size_t k = 0; k < rule->n_http_matches; k++)
			must(rule->http_matches[k].path.value != NULL);
		for (size_t k = 0; k < rule->n_backends; k++)
			must(rule->backends[k].name != NULL &&
			    rule->backends[k].weight <= 1000000);
	}
}

static void check_listeners(const struct listeners *l)
{
	must(l->n >= 1 && l->n <= 64);
	for (size_t i = 0; i < l->n; i++)
		must(l->items[i].name != NULL && l->items[i].port != 0 &&
		    l->items[i].protocol != NULL);
}

static void check(const struct object *o)
{
	must(o->name != NULL && o->namespace != NULL && o->line > 0);
	switch (o->kind) {
	case KIND_HTTP_ROUTE:
	case KIND_GRPC_ROUTE:
	case KIND_TLS_ROUTE:
	case KIND_TCP_ROUTE:
		check_route((const void *)o);
		break;
	case KIND_GATEWAY:
		check_listeners(&((const struct gateway *)(const void *)o)->
		    listeners);
		break;
	case KIND_LISTENER_SET:
		check_listeners(&((const struct listener_set *)(const void *)
		    o)->listeners);
		break;
	default:
		break;
	}
}

static bool on_document(void *data, const struct conf *root,
    struct conf_place place)
{
	struct arena *arena = arena_new(4096, 64 << 20);
	struct fault why = { 0 };
	const struct object *o;
	char kind[64];
	int err = decode_object("fuzz", place.document, root, arena, &o, kind,
	    sizeof(kind), &why);

	(void)data;
	must((err < 0) == why.is_set);
	must((err == DECODE_OK) == (o != NULL));
	must(why.path == NULL);
	if (o != NULL)
		check(o);
	arena_free(arena);
	return true;
}

/* An object that keeps what its header promises, a foreign kind, or a fault. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span text = { (const char *)data, size };
	struct fault why = { 0 };

	yaml_each("fuzz", text, &yaml_limits_default, on_document, NULL, &why);
	why = (struct fault){ 0 };
	json_each("fuzz", text, &yaml_limits_default, on_document, NULL, &why);
	return 0;
}
