/*
 * render_frontends.c - what listens, and the lookups of an HTTP request
 *
 * host → group → path → (conditions) → rule → (split) → backend: each step a lookup in a
 * tree. No line here is for one route, so routes come and go without a reload.
 */
#include <string.h>

#include "render_parts.h"
#include "server_name.h"
#include "words.h"

static unsigned protocols_of(const struct plan_bind *bind)
{
	unsigned mask = 0;

	for (size_t i = 0; i < bind->n_listeners; i++)
		mask |= 1u << bind->listeners[i].protocol;
	return mask;
}

enum {
	HTTP = 1u << PLAN_LISTENER_HTTP,
	HTTPS = 1u << PLAN_LISTENER_HTTPS,
	TERMINATE = 1u << PLAN_LISTENER_TLS_TERMINATE,
	PASSTHROUGH = 1u << PLAN_LISTENER_TLS_PASSTHROUGH,
};

static bool is_bindable(struct render *r, const struct plan_bind *bind)
{
	char name[SERVER_NAME_BYTES];

	if (bind->n_listeners == 0)
		return false;
	if (bind->port != 0 && (bind->address == NULL ||
	    server_name(bind->address, bind->port, name) == 0))
		return true;
	render_problem(r, &bind->ref, "AddressNotUsable",
	    "\"%.100s\" port %u cannot be listened at",
	    bind->address != NULL ? bind->address : "*", bind->port);
	return false;
}

/* ---- names --------------------------------------------------------------- */

/* TLS by name: what is not passed through goes round to a frontend that decrypts. */
static void name_mixed(struct render *r, const struct plan_bind *bind,
    const char *id, unsigned protocols)
{
	const char *hops[PLAN_LISTENER_TCP + 1] = { NULL };
	const char *https = render_bind_id(r, bind, "https");
	const char *tls = render_bind_id(r, bind, "tls");

	if (protocols & HTTPS) {
		hops[PLAN_LISTENER_HTTPS] = https;
		output_map_add(r->out, MAP_RULE, https,
		    output_copyf(r->out, "%s.hop", https));
		render_http_hosts(r, bind, https);
	}
	if (protocols & TERMINATE) {
		hops[PLAN_LISTENER_TLS_TERMINATE] = tls;
		output_map_add(r->out, MAP_RULE, tls,
		    output_copyf(r->out, "%s.hop", tls));
		render_tls_hosts(r, bind, tls, TERMINATE,
		    (const char *[PLAN_LISTENER_TCP + 1]){ NULL });
	}
	render_tls_hosts(r, bind, id, protocols, hops);
}

void render_name_bind(struct render *r, const struct plan_bind *bind)
{
	unsigned protocols = protocols_of(bind);
	const char *id;

	if (!is_bindable(r, bind))
		return;
	id = render_bind_id(r, bind, "");
	if ((protocols & ~(unsigned)(HTTP | HTTPS)) == 0)
		render_http_hosts(r, bind, id);
	else if (protocols & PASSTHROUGH || protocols & HTTPS)
		name_mixed(r, bind, id, protocols);
	else
		render_tls_hosts(r, bind, id, protocols,
		    (const char *[PLAN_LISTENER_TCP + 1]){ NULL });
}

/* ---- lines that frontends share ------------------------------------------ */

void render_host_lines(struct render *r, const char *verb, const char *from,
    const char *to, const char *bind_id)
{
	struct buf *t = &r->out->text;
	const char *map = output_map_files[MAP_HOST];

	buf_printf(t, "    %s set-var(txn.%s) str(%s|),concat(,txn.%s),map_str("
	    OUTPUT_GENERATION "%s)\n", verb, to, bind_id, from, map);
	for (size_t n = RENDER_LABELS_MAX; n > 0; n--) {
		if (!r->has_labels[n])
			continue;
		buf_printf(t, "    %s set-var(txn.%s_tail) var(txn.%s),"
		    "field(-1,.,%zu) if !{ var(txn.%s) -m found } "
		    "{ var(txn.%s),field(-%zu,.) -m len gt 0 }\n", verb, to,
		    from, n, to, from, n + 1);
		buf_printf(t, "    %s set-var(txn.%s) str(%s|*.),concat(,"
		    "txn.%s_tail),map_str(" OUTPUT_GENERATION "%s) if "
		    "!{ var(txn.%s) -m found } { var(txn.%s_tail) -m found }\n",
		    verb, to, bind_id, to, map, to, to);
	}
	buf_printf(t, "    %s set-var(txn.%s) str(%s|*),map_str("
	    OUTPUT_GENERATION "%s) if !{ var(txn.%s) -m found }\n", verb, to,
	    bind_id, map, to);
}

/* txn.r is a rule; txn.b becomes a backend, or is not found. */
void render_rule_lines(struct render *r, const char *verb)
{
	struct buf *t = &r->out->text;
	const char *rule = output_map_files[MAP_RULE];
	const char *split = output_map_files[MAP_SPLIT];
	static const char is_split[] = "if { var(txn.b) -m beg T }";

	buf_printf(t, "    %s set-var(txn.b) var(txn.r),map_str("
	    OUTPUT_GENERATION "%s)\n", verb, rule);
	buf_printf(t, "    %s set-var(txn.i) rand(%d) %s\n", verb,
	    RENDER_BUCKETS, is_split);
	buf_printf(t, "    %s set-var(txn.i) var(txn.b),map_str("
	    OUTPUT_GENERATION "%s),concat(/,txn.i),map_str("
	    OUTPUT_GENERATION "%s) %s\n", verb, split, split, is_split);
	buf_printf(t, "    %s set-var(txn.b) var(txn.b),concat(/,txn.i),map_str("
	    OUTPUT_GENERATION "%s) %s\n", verb, rule, is_split);
}

static void put_refs(struct render *r, const struct plan_bind *bind)
{
	struct buf *t = &r->out->text;

	buf_puts(t, "    # ");
	render_put_ref(t, &bind->ref);
	buf_puts(t, "\n");
}

void render_bind_begin(struct render *r, const struct plan_bind *bind,
    const char *id, const char *defaults)
{
	output_section_begin(r->out, "", &bind->ref);
	buf_printf(&r->out->text, "frontend %s from %s\n", id, defaults);
	put_refs(r, bind);
}

static void put_address(struct render *r, const struct plan_bind *bind)
{
	const char *a = bind->address;

	if (a == NULL)
		buf_printf(&r->out->text, "    bind *:%u", bind->port);
	else
		buf_printf(&r->out->text, strchr(a, ':') != NULL ?
		    "    bind [%s]:%u" : "    bind %s:%u", a, bind->port);
}

static void bind_end(struct render *r)
{
	buf_puts(&r->out->text, "\n");
	output_section_end(r->out);
}

/* ---- HTTP ---------------------------------------------------------------- */

/* design: contract with HAProxy, "Hygiene" */
static const char *const steering_headers[] = {
	"x-gateway-destination-endpoint", "x-prefiller-host-port",
	"x-data-parallel-host-port", "x-encoder-hosts-ports",
	"x-kv-cache-source-host-port",
};

#define LOG_TAIL "%ci:%cp %ft %b/%s rule=%[var(txn.r)]"
#define LOG_TIMES " rc=%rc %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %{+Q}r"

/* Where there are pools the agent hears of every request: share/README.md. */
static void put_log(struct render *r)
{
	struct buf *t = &r->out->text;

	if (r->plan->n_pools == 0) {
		buf_puts(t, "    log-format '" LOG_TAIL LOG_TIMES "'\n");
		return;
	}
	buf_puts(t, "    unique-id-format %[uuid()]\n"
	    "    log ring@epp len 2048 format raw local0\n"
	    "    log-format 'epp1 pool=%[var(txn.epp.pool)] srv=%s st=%ST "
	    "ts=%tsc rc=%rc Tw=%Tw Tc=%Tc Tr=%Tr Ta=%Ta B=%B "
	    "ttft=%[var(txn.epp.ttft)] id=%ID | " LOG_TAIL
	    " ep=%[var(txn.epp.ep)] ep2=%[var(txn.epp.ep2)] "
	    "epp=%[var(txn.epp.status)] err=%[var(txn.epp.error)]"
	    LOG_TIMES "'\n");
}

static size_t count_listeners(const struct plan_bind *bind,
    enum plan_listener_protocol protocol)
{
	size_t n = 0;

	for (size_t i = 0; i < bind->n_listeners; i++)
		n += bind->listeners[i].protocol == protocol;
	return n;
}

/*
 * A connection that was opened for one listener's name, and is used for another's:
 * RFC 9110 section 15.5.20. HTTP/1 clients do not share connections between names.
 */
static void put_misdirected(struct render *r, const struct plan_bind *bind,
    const char *id)
{
	struct buf *t = &r->out->text;
	const char *map = output_map_files[MAP_OWNER];

	if (count_listeners(bind, PLAN_LISTENER_HTTPS) < 2)
		return;
	buf_puts(t, "    http-request set-var(txn.sni) ssl_fc_sni,lower\n");
	render_host_lines(r, "http-request", "sni", "s", id);
	buf_printf(t, "    http-request set-var(txn.gl) var(txn.g),map_str("
	    OUTPUT_GENERATION "%s)\n    http-request set-var(txn.sl) "
	    "var(txn.s),map_str(" OUTPUT_GENERATION "%s)\n", map, map);
	buf_puts(t, "    http-request return status 421 if "
	    "{ fc_http_major ge 2 } { var(txn.gl) -m found } "
	    "!{ var(txn.sl),strcmp(txn.gl) eq 0 }\n");
}

/*
 * An error as gRPC has it: PROTOCOL-HTTP2.md, "Trailers-Only". An answer before the end
 * of the request makes HAProxy reset the stream, which a client may see first; and
 * `return` has no content-type where it has no body.
 */
void render_grpc_lines(struct render *r, const char *condition, unsigned status,
    const char *message)
{
	buf_printf(&r->out->text, "    http-request set-var(txn.grpc) bool(true) "
	    "%s { req.hdr(content-type) -m beg application/grpc }\n"
	    "    http-after-response set-header content-type application/grpc "
	    "if { var(txn.grpc) -m bool }\n"
	    "    http-request wait-for-body time 1s if "
	    "{ var(txn.grpc) -m bool }\n"
	    "    http-request return status 200 hdr grpc-status %u hdr "
	    "grpc-message %s if { var(txn.grpc) -m bool }\n", condition, status,
	    message);
}

/*
 * "//admin", "/x/../admin" and "/%61dmin" are "/admin" to many a server, so they must
 * not be a way around the rules for it: what is looked up, and what the server gets, is
 * the path of RFC 3986 section 6.2.2, slashes merged. Most paths cost four searches.
 */
static void put_normal_path(struct buf *t)
{
	buf_puts(t, "    http-request normalize-uri percent-decode-unreserved "
	    "if { path -m sub % }\n"
	    "    http-request normalize-uri path-merge-slashes if "
	    "{ path -m sub // }\n"
	    "    http-request normalize-uri path-strip-dot if "
	    "{ path -m sub /. }\n"
	    "    http-request normalize-uri path-strip-dotdot full if "
	    "{ path -m sub /.. }\n");
}

void render_http_lines(struct render *r, const struct plan_bind *bind,
    const char *id)
{
	struct buf *t = &r->out->text;
	bool is_https = count_listeners(bind, PLAN_LISTENER_HTTPS) > 0;

	put_log(r);
	for (size_t i = 0; i < sizeof(steering_headers) /
	    sizeof(*steering_headers); i++)
		buf_printf(t, "    http-request del-header %s\n",
		    steering_headers[i]);
	if (bind->port != (is_https ? 443 : 80))
		buf_printf(t, "    http-request set-var(txn.port) str(:%u)\n",
		    bind->port);
	buf_puts(t, "    http-request set-var(txn.host) "
	    "req.hdr(host),host_only,lower\n");
	render_host_lines(r, "http-request", "host", "g", id);
	if (is_https)
		put_misdirected(r, bind, id);
	put_normal_path(t);
	buf_puts(t, "    http-request set-var(txn.path) path\n");
	buf_printf(t, "    http-request set-var(txn.r) var(txn.g),concat(,"
	    "txn.path),map_str(" OUTPUT_GENERATION "%s)\n",
	    output_map_files[MAP_EXACT]);
	buf_printf(t, "    http-request set-var(txn.r) var(txn.g),concat(,"
	    "txn.path,/),map_beg(" OUTPUT_GENERATION "%s) if "
	    "!{ var(txn.r) -m found }\n", output_map_files[MAP_PREFIX]);
	render_condition_lines(r);
	render_rule_lines(r, "http-request");
	render_grpc_lines(r, "if !{ var(txn.b) -m found }", 12, "unimplemented");
	buf_puts(t, "    http-request return status 404 if "
	    "!{ var(txn.b) -m found }\n    use_backend %[var(txn.b)]\n");
	buf_printf(t, "    default_backend %s\n", render_backend_500);
}

/* ---- all ----------------------------------------------------------------- */

static void put_http(struct render *r, const struct plan_bind *bind,
    const char *id)
{
	render_bind_begin(r, bind, id, "http");
	put_address(r, bind);
	if (bind->listeners[0].protocol == PLAN_LISTENER_HTTPS)
		render_ssl_words(r, bind, id, PLAN_LISTENER_HTTPS);
	buf_puts(&r->out->text, "\n");
	render_http_lines(r, bind, id);
	bind_end(r);
}

/* By SNI, or whoever connects to the port. */
static void put_tcp(struct render *r, const struct plan_bind *bind,
    const char *id, bool is_passed, bool is_terminated)
{
	struct buf *t = &r->out->text;
	static const char verb[] = "tcp-request content";

	render_bind_begin(r, bind, id, "tcp");
	put_address(r, bind);
	if (is_terminated)
		render_ssl_words(r, bind, id, PLAN_LISTENER_TLS_TERMINATE);
	buf_puts(t, "\n    log-format '" LOG_TAIL " %Tw/%Tc/%Tt %B %ts'\n");
	if (is_passed)
		buf_puts(t, "    tcp-request inspect-delay 5s\n"
		    "    tcp-request content reject if "
		    "!{ req.ssl_hello_type 1 }\n    tcp-request content "
		    "set-var(txn.sni) req.ssl_sni,lower\n");
	if (is_terminated)
		buf_printf(t, "    %s set-var(txn.sni) ssl_fc_sni,lower\n",
		    verb);
	render_host_lines(r, verb, "sni", "r", id);
	render_rule_lines(r, verb);
	buf_printf(t, "    %s reject if !{ var(txn.b) -m found }\n"
	    "    use_backend %%[var(txn.b)]\n    default_backend %s\n", verb,
	    render_backend_reset);
	bind_end(r);
}

static void put_hop(struct render *r, const struct plan_bind *bind,
    const char *id)
{
	struct buf *t = &r->out->text;

	output_section_begin(r->out, "", &bind->ref);
	buf_printf(t, "backend %s.hop from tcp\n    server hop unix@" OUTPUT_DIR
	    "%s.sock send-proxy-v2\n\n", id, id);
	output_section_end(r->out);
}

static void put_behind(struct render *r, const struct plan_bind *bind,
    const char *id, enum plan_listener_protocol protocol)
{
	struct buf *t = &r->out->text;

	put_hop(r, bind, id);
	render_bind_begin(r, bind, id,
	    protocol == PLAN_LISTENER_HTTPS ? "http" : "tcp");
	buf_printf(t, "    bind unix@" OUTPUT_DIR "%s.sock accept-proxy", id);
	render_ssl_words(r, bind, id, protocol);
	buf_puts(t, "\n");
	if (protocol == PLAN_LISTENER_HTTPS) {
		render_http_lines(r, bind, id);
		bind_end(r);
		return;
	}
	buf_puts(t, "    tcp-request content set-var(txn.sni) "
	    "ssl_fc_sni,lower\n");
	render_host_lines(r, "tcp-request content", "sni", "r", id);
	render_rule_lines(r, "tcp-request content");
	buf_printf(t, "    tcp-request content reject if "
	    "!{ var(txn.b) -m found }\n    use_backend %%[var(txn.b)]\n"
	    "    default_backend %s\n", render_backend_reset);
	bind_end(r);
}

void render_bind(struct render *r, const struct plan_bind *bind)
{
	unsigned protocols = protocols_of(bind);
	const char *id;

	if (!is_bindable(r, bind))
		return;
	id = render_bind_id(r, bind, "");
	if ((protocols & ~(unsigned)(HTTP | HTTPS)) == 0) {
		put_http(r, bind, id);
		return;
	}
	if ((protocols & (PASSTHROUGH | HTTPS)) == 0) {
		put_tcp(r, bind, id, false, protocols & TERMINATE);
		return;
	}
	put_tcp(r, bind, id, true, false);
	if (protocols & HTTPS)
		put_behind(r, bind, render_bind_id(r, bind, "https"),
		    PLAN_LISTENER_HTTPS);
	if (protocols & TERMINATE)
		put_behind(r, bind, render_bind_id(r, bind, "tls"),
		    PLAN_LISTENER_TLS_TERMINATE);
}
