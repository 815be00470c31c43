/*
 * render.c - the order of things: names and maps first, then the text
 */
#include "render.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "render_parts.h"
#include "words.h"

enum {
	ARENA_FIRST_BYTES = 256 << 10,
	SCRATCH_MAX_BYTES = 4 << 20,
};

static const size_t ARENA_MAX_BYTES = (size_t)1 << 30;

const struct render_options render_defaults = {
	.haproxy_version = RENDER_OLDEST,
	.agent = "127.0.0.1:9002",
	.feedback = "127.0.0.1:9003",
	.spoe_file = "/usr/share/haproxy-epp/spoe-epp.conf",
	.lua_file = "/usr/share/haproxy-epp/epp-model.lua",
	.health_path = "/health",
	.hard_stop_after_ms = 15 * 60 * 1000,
};

void *render_alloc(struct render *r, size_t bytes)
{
	void *at = arena_zalloc(r->arena, bytes);

	if (at == NULL)
		r->failed = true;
	return at;
}

/* ---- problems ----------------------------------------------------------- */

/* What was said of an object is found by its owner, a place of its own. */
static void *owner_of(struct render *r, const struct plan_ref *ref)
{
	void **at = index_at(&r->owners, ref->namespace, ref->name, ref->kind);

	if (at != NULL && *at == NULL)
		*at = render_alloc(r, 1);
	if (at == NULL)
		r->failed = true;
	return at != NULL ? *at : NULL;
}

static bool is_said(const struct render *r, const void *owner, const char *text)
{
	return index_get(&r->said, text, "", (uintptr_t)owner) != NULL;
}

/* A copy that is_said() finds from now on. */
static const char *say(struct render *r, const void *owner, const char *text)
{
	char *message = arena_copy(r->problem_arena, text, strlen(text));
	void **at = message != NULL ?
	    index_at(&r->said, message, "", (uintptr_t)owner) : NULL;

	if (at == NULL)
		return NULL;
	*at = message;
	return message;
}

static struct plan_problem *add_problem(struct render *r)
{
	struct plan_problems *p = r->problems;

	if (p->n == p->cap) {
		size_t cap = p->cap != 0 ? 2 * p->cap : 16;
		struct plan_problem *more = arena_alloc(r->problem_arena,
		    cap * sizeof(*more));

		if (more == NULL)
			return NULL;
		if (p->n > 0)
			memcpy(more, p->items, p->n * sizeof(*more));
		p->items = more;
		p->cap = cap;
	}
	return &p->items[p->n++];
}

void render_problem(struct render *r, const struct plan_ref *ref,
    const char *reason, const char *fmt, ...)
{
	char text[1024];
	struct plan_problem *p;
	const char *message;
	void *owner = owner_of(r, ref);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (owner == NULL || is_said(r, owner, text))
		return;
	message = say(r, owner, text);
	p = message != NULL ? add_problem(r) : NULL;
	if (p != NULL)
		*p = (struct plan_problem){ .ref = *ref, .reason = reason,
			.message = message };
	else
		r->failed = true;
}

/* ---- names -------------------------------------------------------------- */

struct id *render_id(struct render *r, char letter)
{
	struct id *id = NULL;

	if (!buf_failed(&r->content))
		id = ids_get(&r->ids, letter, r->content.data, r->content.len);
	buf_clear(&r->content);
	if (id != NULL)
		return id;
	r->failed = true;
	r->nobody = (struct id){ .data = NULL };
	return &r->nobody;
}

static const char *const kind_names[PLAN_N_KINDS] = {
	[PLAN_GATEWAY] = "Gateway", [PLAN_LISTENER_SET] = "ListenerSet",
	[PLAN_HTTP_ROUTE] = "HTTPRoute", [PLAN_GRPC_ROUTE] = "GRPCRoute",
	[PLAN_TLS_ROUTE] = "TLSRoute", [PLAN_TCP_ROUTE] = "TCPRoute",
	[PLAN_SERVICE] = "Service", [PLAN_INFERENCE_POOL] = "InferencePool",
	[PLAN_BACKEND_TLS_POLICY] = "BackendTLSPolicy",
	[PLAN_SECRET] = "Secret", [PLAN_CONFIG_MAP] = "ConfigMap",
};

void render_put_ref(struct buf *b, const struct plan_ref *ref)
{
	words_comment(b, kind_names[ref->kind]);
	buf_puts(b, " ");
	words_comment(b, ref->namespace);
	buf_puts(b, "/");
	words_comment(b, ref->name);
}

/* ids.json: an array of {id, kind, namespace, name, ...}, as they come. */
void render_table_row(struct render *r, const char *id,
    const struct plan_ref *ref, bool is_rule)
{
	struct buf *b = &r->out->table;

	buf_puts(b, b->len == 0 ? "[\n{\"id\":\"" : ",\n{\"id\":\"");
	buf_puts(b, id);
	buf_puts(b, "\",\"kind\":\"");
	buf_puts(b, kind_names[ref->kind]);
	buf_puts(b, "\",\"namespace\":");
	words_json(b, ref->namespace);
	buf_puts(b, ",\"name\":");
	words_json(b, ref->name);
	if (is_rule)
		buf_printf(b, ",\"rule\":%u", ref->index);
	if (is_rule && ref->section != NULL) {
		buf_puts(b, ",\"ruleName\":");
		words_json(b, ref->section);
	}
	buf_puts(b, "}");
}

/* ---- the text ----------------------------------------------------------- */

static void put_global(struct render *r)
{
	struct buf *t = &r->out->text;
	const struct render_options *o = r->options;

	output_section_begin(r->out, "", NULL);
	/* Experimental since 2.4: normalize-uri. */
	buf_puts(t, "global\n    tune.bufsize 65536\n"
	    "    expose-experimental-directives\n    stats socket ");
	if (o->stats_socket != NULL)
		words_quote(t, o->stats_socket);
	else
		buf_puts(t, OUTPUT_DIR "haproxy.sock");
	buf_puts(t, " mode 660 level admin\n");
	buf_printf(t, "    hard-stop-after %lldms\n",
	    (long long)o->hard_stop_after_ms);
	render_lua(r);
	buf_puts(t, "    log stderr format raw local0 info\n\n");
	if (r->plan->n_pools > 0)
		buf_printf(t, "ring epp\n"
		    "    description \"ends of requests, for epp-agent\"\n"
		    "    format raw\n    maxlen 2048\n    size 4194304\n"
		    "    timeout connect 1s\n    timeout server 10s\n"
		    "    server epp %s\n\n", o->feedback);
	buf_puts(t, "defaults http\n    mode http\n    log global\n"
	    "    option http-no-delay\n    option abortonclose\n"
	    "    option idle-close-on-response\n    option redispatch 1\n"
	    "    balance roundrobin\n"
	    "    timeout http-request 10s\n    timeout connect 1s\n"
	    "    timeout queue 30s\n    timeout client 10m\n"
	    "    timeout server 10m\n    timeout tunnel 1h\n\n"
	    "defaults tcp\n    mode tcp\n    log global\n"
	    "    option redispatch 1\n    balance roundrobin\n"
	    "    timeout connect 1s\n"
	    "    timeout queue 30s\n    timeout client 1h\n"
	    "    timeout server 1h\n\n");
	output_section_end(r->out);
}

static void put_all(struct render *r)
{
	put_global(r);
	render_sort_conditions(r);
	for (size_t i = 0; i < r->plan->n_binds; i++)
		render_bind(r, &r->plan->binds[i]);
	render_backends(r);
	if (r->plan->n_pools > 0)
		render_agent_backend(r);
	render_agent_files(r);
	buf_puts(&r->out->table, r->out->table.len == 0 ? "[]\n" : "\n]\n");
}

/* Names, which fills the maps: frontends need to know what is looked at. */
static void name_all(struct render *r)
{
	for (size_t i = 0; i < r->plan->n_binds; i++)
		render_name_bind(r, &r->plan->binds[i]);
}

static void fini(struct render *r)
{
	free(r->attributes.items);
	free(r->schemas.items);
	free(r->backends.items);
	buf_fini(&r->line);
	buf_fini(&r->policy);
	buf_fini(&r->inner);
	buf_fini(&r->content);
	buf_fini(&r->uses);
	ids_fini(&r->ids);
	arena_free(r->arena);
}

int render(const struct plan *plan, const struct render_options *options,
    struct arena *arena, struct plan_problems *problems, struct output **out)
{
	struct render r = {
		.plan = plan, .options = options, .problem_arena = arena,
		.problems = problems, .out = output_new(),
		.arena = arena_new(ARENA_FIRST_BYTES, ARENA_MAX_BYTES),
	};

	buf_init(&r.line, SCRATCH_MAX_BYTES);
	buf_init(&r.policy, SCRATCH_MAX_BYTES);
	buf_init(&r.inner, SCRATCH_MAX_BYTES);
	buf_init(&r.content, SCRATCH_MAX_BYTES);
	buf_init(&r.uses, SCRATCH_MAX_BYTES);
	if (r.out != NULL && r.arena != NULL) {
		ids_init(&r.ids, r.arena);
		r.owners.arena = r.said.arena = r.arena;
		name_all(&r);
		put_all(&r);
		output_finish(r.out);
		r.failed |= r.out->failed;
	} else {
		r.failed = true;
	}
	fini(&r);
	if (r.failed) {
		output_free(r.out);
		return -ENOMEM;
	}
	*out = r.out;
	return 0;
}
