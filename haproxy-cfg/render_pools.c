/*
 * render_pools.c - InferencePools: the contract with epp-agent, and its files
 *
 * The lines are those of share/haproxy.cfg, which says why each is there. A pool may
 * have several backends, one for each policy that routes put before it; to the agent it
 * is one, by its name in txn.epp.pool. pools.yaml changes when pools come and go, a
 * pool's own file when its endpoints do: the agent watches both.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "render_parts.h"
#include "server_name.h"
#include "words.h"

enum { POOL_NAME_MAX_BYTES = 255 };	/* agent.yaml, pools: name: */

/* A namespace has no dot, so two pools never get one name. */
const char *render_pool_name(struct render *r, const struct plan_ref *pool)
{
	char name[POOL_NAME_MAX_BYTES + 1];
	int n = snprintf(name, sizeof(name), "%s.%s", pool->namespace,
	    pool->name);

	if (n > 0 && (size_t)n < sizeof(name) && words_is_host(name) &&
	    strchr(pool->namespace, '.') == NULL)
		return output_copy(r->out, name, (size_t)n);
	buf_printf(&r->content, "%s|%s", pool->namespace, pool->name);
	return output_copyf(r->out, "%s", render_id(r, 'N')->name);
}

static const struct {
	unsigned status;
	bool is_any;		/* and all from there on */
	bool can_retry;
	const char *type, *code;
} refusals[] = {
	{ 400, false, false, "invalid_request_error", "bad_request" },
	{ 404, false, false, "invalid_request_error", "not_found" },
	{ 429, false, true, "rate_limit_error", "rate_limit_exceeded" },
	{ 503, false, true, "server_error", "service_unavailable" },
	{ 400, true, false, "server_error", "internal_error" },
};

static void put_refusals(struct buf *b)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++)
		buf_printf(b, "    http-request return status %u content-type "
		    "application/json%s hdr x-llm-d-request-dropped-reason "
		    "%%[var(txn.epp.reason)] lf-string '{\"error\":{\"message\":"
		    "\"%%[var(txn.epp.message),json(utf8s)]\",\"type\":\"%s\","
		    "\"param\":null,\"code\":\"%s\"}}' if "
		    "{ var(txn.epp.status) -m int %s%u }\n",
		    refusals[i].is_any ? 500 : refusals[i].status,
		    refusals[i].can_retry ?
		    " hdr retry-after %[var(txn.epp.retry_after)]" : "",
		    refusals[i].type, refusals[i].code,
		    refusals[i].is_any ? "ge " : "", refusals[i].status);
}

static void put_tries(struct render *r, struct buf *b)
{
	buf_printf(b, "    balance leastconn\n    option redispatch 1\n"
	    "    retries 2\n    retry-on conn-failure empty-response 503%s\n",
	    r->options->haproxy_version >= 300 ? " 429" : "");
}

/* share/haproxy.cfg, the lines of models: in the request, then in the answer */
static void put_model_in(struct buf *b)
{
	buf_puts(b, "    filter lua.epp-model\n"
	    "    http-request set-header content-length "
	    "%[req.hdr(content-length),add(txn.epp.model_grow)] if "
	    "{ var(txn.epp.model) -m found } "
	    "{ req.hdr(content-length) -m found }\n");
}

static void put_model_out(struct buf *b)
{
	buf_puts(b, "    http-response set-var(txn.epp.rename) int(1) if "
	    "{ var(txn.epp.model) -m found } { res.body_len gt 0 } "
	    "{ res.hdr(content-type) -m beg application/json "
	    "text/event-stream }\n"
	    "    http-response unset-var(txn.epp.rename) if "
	    "{ res.hdr(content-encoding) -m found }\n"
	    "    http-response set-var(txn.epp.rename) int(2) if "
	    "{ var(txn.epp.rename) -m found } "
	    "{ res.hdr(content-length) -m found }\n"
	    "    http-response set-header content-length "
	    "%[res.hdr(content-length),add(txn.epp.model_room)] if "
	    "{ var(txn.epp.rename) -m int 2 }\n");
}

void render_pool_lines(struct render *r, const struct plan_backend *to,
    bool has_tries)
{
	struct buf *b = &r->policy;
	const char *name = render_pool_name(r, &to->ref);

	if (!has_tries)
		put_tries(r, b);
	buf_puts(b, "    filter spoe engine epp config ");
	words_quote(b, r->options->spoe_file);
	buf_printf(b, "\n    http-request set-var(txn.epp.pool) str(%s)\n"
	    "    http-request wait-for-body time 5s if "
	    "{ method POST PUT PATCH }\n"
	    "    http-request set-var(txn.epp.t0) date(0,us)\n"
	    "    acl epp_up srv_is_up(epp-agents/a1)\n"
	    "    http-request set-var(txn.epp.error) int(2) unless epp_up\n"
	    "    http-request send-spoe-group epp pick if epp_up\n", name);
	put_refusals(b);
	if (to->pool->failure_mode == PLAN_FAIL_CLOSE)
		buf_puts(b, "    http-request return status 503 content-type "
		    "application/json hdr retry-after 1 string '{\"error\":"
		    "{\"message\":\"no endpoint picker\",\"type\":"
		    "\"server_error\",\"param\":null,\"code\":"
		    "\"service_unavailable\"}}' unless "
		    "{ var(txn.epp.ep) -m found }\n");
	buf_puts(b, "    http-request set-header x-prefiller-host-port "
	    "%[var(txn.epp.prefill)] if { var(txn.epp.prefill) -m found }\n"
	    "    http-request set-header x-encoder-hosts-ports "
	    "%[var(txn.epp.encode)] if { var(txn.epp.encode) -m found }\n"
	    "    http-request set-header x-data-parallel-host-port "
	    "%[var(txn.epp.rank)] if { var(txn.epp.rank) -m found }\n");
	if (to->pool->n_rewrites > 0)
		put_model_in(b);
	buf_puts(b, "    use-server %[var(txn.epp.ep)]  if { var(txn.epp.ep)  -m found "
	    "}\n    use-server %[var(txn.epp.ep2)] if { var(txn.epp.ep2) -m "
	    "found }\n    http-response wait-for-body time 1d at-least 1\n"
	    "    http-response set-var(txn.epp.ttft) date(0,us),sub(txn.epp.t0)"
	    " if { res.body_len gt 0 }\n"
	    "    http-response send-spoe-group epp first if "
	    "{ var(txn.epp.ep) -m found } { res.body_len gt 0 } epp_up\n");
	if (to->pool->n_rewrites > 0)
		put_model_out(b);
	buf_puts(b, "    http-response set-header x-epp-why %[var(txn.epp.why)] if "
	    "{ var(txn.epp.why) -m found }\n");
	if (r->options->health_path != NULL) {
		buf_puts(b, "    option httpchk GET ");
		words_quote(b, r->options->health_path);
		buf_puts(b, "\n");
	}
}

/* HAProxy 3.1 and later want to be told, and 3.0 does not know the word. */
void render_lua(struct render *r)
{
	bool any = false;

	for (size_t i = 0; i < r->plan->n_pools; i++)
		any |= r->plan->pools[i]->pool->n_rewrites > 0;
	if (!any)
		return;
	if (r->options->haproxy_version >= 301)
		buf_puts(&r->out->text,
		    "    tune.lua.bool-sample-conversion normal\n");
	buf_puts(&r->out->text, "    lua-load-per-thread ");
	words_quote(&r->out->text, r->options->lua_file);
	buf_puts(&r->out->text, "\n");
}

/* share/haproxy.cfg, backend epp-agents, and why it is so */
void render_agent_backend(struct render *r)
{
	output_section_begin(r->out, "epp-agents", NULL);
	buf_printf(&r->out->text, "defaults spop\n    mode tcp\n"
	    "    timeout connect 100ms\n    timeout server  5m\n"
	    "    timeout check   100ms\n\nbackend epp-agents from spop\n"
	    "    mode tcp\n    retries 0\n%s    option spop-check\n"
	    "    server a1 %s check inter 200ms downinter 50ms fall 1 rise 1 "
	    "on-marked-down shutdown-sessions observe layer4 error-limit 1 "
	    "on-error mark-down\n", r->options->haproxy_version >= 300 ? "" :
	    "    tcp-request inspect-delay 50ms\n"
	    "    tcp-request content accept if { srv_is_up(a1) } or WAIT_END\n",
	    r->options->agent);
	output_section_end(r->out);
}

/* ---- the agent's files --------------------------------------------------- */

static void put_file(struct render *r, const char *name, struct buf *b)
{
	struct output_text *file = output_add(r->out, &r->out->agent);

	if (buf_failed(b))
		r->failed = true;
	if (file == NULL || r->failed)
		return;
	file->name = output_copy(r->out, name, strlen(name));
	file->text = output_copy(r->out, b->data != NULL ? b->data : "",
	    b->len);
	file->len = b->len;
}

/* Names are the agent's to make, from address and port: lib/server_name. */
static void put_endpoints(struct render *r, const struct plan_backend *pool,
    const char *name)
{
	struct buf *b = &r->content;
	char server[SERVER_NAME_BYTES];
	size_t n = 0;

	buf_puts(b, "endpoints:");
	for (size_t i = 0; i < pool->n_endpoints; i++) {
		const struct plan_endpoint *e = &pool->endpoints[i];

		if (e->port == 0 ||
		    server_name(e->address, e->port, server) != 0)
			continue;
		buf_printf(b, "\n- {address: \"%s\", port: %u}", e->address,
		    e->port);
		n++;
	}
	buf_puts(b, n == 0 ? " []\n" : "\n");
	put_file(r, output_copyf(r->out, "pool-%s.yaml", name), b);
	buf_clear(b);
}

static void put_objectives(struct buf *b, const struct plan_pool *pool)
{
	if (pool->n_objectives == 0)
		return;
	buf_puts(b, "  objectives:\n");
	for (size_t i = 0; i < pool->n_objectives; i++) {
		buf_puts(b, "  - {name: ");
		words_json(b, pool->objectives[i].name);
		buf_printf(b, ", priority: %" PRId32 "}\n",
		    pool->objectives[i].priority);
	}
}

static void put_rule(struct buf *b, const struct plan_model_rule *rule)
{
	buf_puts(b, rule->n_models > 0 ? "  - matches:\n" : "  - targets:\n");
	for (size_t i = 0; i < rule->n_models; i++) {
		buf_puts(b, "    - {model: {value: ");
		words_json(b, rule->models[i]);
		buf_puts(b, "}}\n");
	}
	if (rule->n_models > 0)
		buf_puts(b, "    targets:\n");
	for (size_t i = 0; i < rule->n_targets; i++) {
		buf_puts(b, "    - {modelRewrite: ");
		words_json(b, rule->targets[i].model);
		if (rule->targets[i].weight > 0)
			buf_printf(b, ", weight: %" PRIu32,
			    rule->targets[i].weight);
		buf_puts(b, "}\n");
	}
}

static void put_rewrites(struct buf *b, const struct plan_pool *pool)
{
	if (pool->n_rewrites > 0)
		buf_puts(b, "  modelRewrites:\n");
	for (size_t i = 0; i < pool->n_rewrites; i++)
		put_rule(b, &pool->rewrites[i]);
}

void render_agent_files(struct render *r)
{
	struct buf *b = &r->policy;

	if (r->plan->n_pools == 0)
		return;
	for (size_t i = 0; i < r->plan->n_pools; i++)
		put_endpoints(r, r->plan->pools[i],
		    render_pool_name(r, &r->plan->pools[i]->ref));
	buf_clear(b);
	buf_puts(b, "# InferencePools, for epp-agent -f\nlisten: [");
	words_json(b, r->options->agent);
	buf_puts(b, "]\nfeedback: {listen: [");
	words_json(b, r->options->feedback);
	buf_puts(b, "]}\npools:\n");
	for (size_t i = 0; i < r->plan->n_pools; i++) {
		const struct plan_backend *pool = r->plan->pools[i];
		const char *name = render_pool_name(r, &pool->ref);

		buf_printf(b, "- name: %s\n  file: \"" OUTPUT_DIR
		    "pool-%s.yaml\"\n  failureMode: %s\n", name, name,
		    pool->pool->failure_mode == PLAN_FAIL_CLOSE ?
		    "FailClose" : "FailOpen");
		put_objectives(b, pool->pool);
		put_rewrites(b, pool->pool);
	}
	put_file(r, "pools.yaml", b);
}
