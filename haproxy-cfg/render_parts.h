/*
 * render_parts.h - what the files of render share; for render*.c only
 *
 * First everything is looked at and named, which fills the maps and the tables
 * below; then the text is written, from the tables sorted by name, so that no order
 * of the plan shows in it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "ids.h"
#include "output.h"
#include "plan.h"
#include "plan_index.h"
#include "render.h"

enum {
	RENDER_LABELS_MAX = 127,	/* of a DNS name of 253 bytes */
	/* A group's last resort; below it, ranks of candidates. */
	RENDER_NO_RANK = 1000000,
	/* Weights are approximated by so many equal buckets. */
	RENDER_BUCKETS = 1000,
};

/* Something a conditional match looks at; its value is txn.NAME, in hex. */
struct attribute {
	const char *name;	/* A... */
	enum { ATTRIBUTE_METHOD, ATTRIBUTE_HEADER, ATTRIBUTE_QUERY,
	    ATTRIBUTE_PATH } type;
	const char *of;		/* header's or parameter's name */
	const char *regex;	/* value is "1" where it matches; NULL: exact */
	size_t round;		/* of struct render that used it last */
};

/* Attributes that are looked at together. */
struct schema {
	const char *name;	/* S... */
	struct attribute **attributes;	/* sorted by name */
	size_t n;
	size_t round;		/* as an attribute's */
};

/* Passed on as it came: the client's own TLS, whatever a policy says. */
enum backend_mode { BACKEND_HTTP, BACKEND_TCP, BACKEND_PASSTHROUGH };

/* A backend of the text. */
struct backend {
	const char *name;	/* B... */
	struct plan_ref ref;	/* first route rule that needs it */
	enum backend_mode mode;
	const struct plan_backend *to;	/* NULL: answers by itself */
	const char *policy;	/* its lines but servers */
	const char *inner;	/* lines of the hop behind it; NULL: no hop */
	const char *keywords;	/* of its servers */
	bool has_cookie;
};

#define RENDER_LIST(type) struct { type *items; size_t n, cap; }

struct render {
	const struct plan *plan;
	const struct render_options *options;
	struct output *out;
	struct arena *arena;		/* scratch: dies with the rendering */
	struct arena *problem_arena;
	struct plan_problems *problems;
	struct plan_index owners, said;	/* of problems; the second by the first */
	struct ids ids;
	struct buf line, policy, inner, content;	/* scratch */
	bool has_labels[RENDER_LABELS_MAX + 1];	/* of wildcards below "*." */
	RENDER_LIST(struct attribute *) attributes;
	RENDER_LIST(struct schema *) schemas;
	RENDER_LIST(struct backend *) backends;
	size_t round;			/* groups of candidates so far */
	struct buf uses;		/* names that the group at hand looks at */
	/* render_keywords() of these: mostly the same again */
	const struct plan_backend *keywords_to;
	enum backend_mode keywords_mode;
	const char *keywords;
	struct id nobody;		/* what there is without memory */
	bool failed;			/* no memory */
};

/* ---- render.c ----------------------------------------------------------- */

/* Zeroed memory that lives as long as the rendering; NULL and `failed`. */
void *render_alloc(struct render *r, size_t bytes);

/* As output_grow(), for the lists above. */
#define render_add(r, list) \
	((__typeof__((list)->items))output_grow((r)->out, \
	    (void **)&(list)->items, &(list)->n, &(list)->cap, \
	    sizeof(*(list)->items)))

/* Tells once; the same words for the same object again are dropped. */
void render_problem(struct render *r, const struct plan_ref *ref,
    const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* An id of the content that is in r->content. */
struct id *render_id(struct render *r, char letter);

/* What `id` is, for people: a rule of a route, or where a backend leads. */
void render_table_row(struct render *r, const char *id,
    const struct plan_ref *ref, bool is_rule);

/* "namespace/name" and the like, into a buffer, as content or comment. */
void render_put_ref(struct buf *b, const struct plan_ref *ref);

/* ---- render_hosts.c ----------------------------------------------------- */

/* Name of the frontend of a bind: P... */
const char *render_bind_id(struct render *r, const struct plan_bind *bind,
    const char *suffix);

/* The keys of all hostnames of a bind's HTTP and HTTPS listeners. */
void render_http_hosts(struct render *r, const struct plan_bind *bind,
    const char *bind_id);

/*
 * TLS and TCP: hostname → rule, of the listeners of `protocols`, a mask. `hops` by
 * protocol: what stands instead of a rule; NULL: nothing.
 */
void render_tls_hosts(struct render *r, const struct plan_bind *bind,
    const char *bind_id, unsigned protocols, const char *const *hops);

/* ---- render_paths.c ----------------------------------------------------- */

/* What `group` does with a path: `matches` cover its hostname, first wins. */
void render_paths(struct render *r, const char *group,
    const struct plan_match *const *matches, size_t n);

/* ---- render_conditions.c ------------------------------------------------ */

/* R or C of candidates, first wins; "" when none can be. */
const char *render_candidates(struct render *r,
    const struct plan_match *const *matches, size_t n);
bool render_is_conditional(const struct plan_match *m);
void render_sort_conditions(struct render *r);

/* Lines of a frontend that turn txn.r from C... to R... */
void render_condition_lines(struct render *r);

/* ---- render_rules.c ----------------------------------------------------- */

/* R... of a rule, for a match of that prefix; makes its backends. */
const char *render_rule(struct render *r, const struct plan_rule *rule,
    const struct plan_match *match, enum backend_mode mode);

/* ---- render_backends.c -------------------------------------------------- */

extern const char render_backend_500[], render_backend_reset[];

/* B... `target` NULL: the rule answers by itself. */
const char *render_backend(struct render *r, const struct plan_rule *rule,
    const struct plan_target *target, const char *prefix,
    enum backend_mode mode);
void render_backends(struct render *r);

/* ---- render_policy.c, render_path_edit.c, render_cors.c ----------------- */

/* Lines of filters, to r->policy. `prefix`: what the match matched. */
void render_filters(struct render *r, const struct plan_ref *ref,
    const struct plan_filters *f, const char *prefix);
void render_redirect(struct render *r, const struct plan_ref *ref,
    const struct plan_redirect *f, const char *prefix);
void render_path_edit(struct render *r, const struct plan_ref *ref,
    enum plan_path_edit edit, const char *path, const char *prefix);
void render_cors(struct render *r, const struct plan_ref *ref,
    const struct plan_cors *f);

/* Timeouts, retries, session; a hop's part to r->inner if there is one. */
void render_timing(struct render *r, const struct plan_rule *rule,
    enum backend_mode mode);
void render_session(struct render *r, const struct plan_rule *rule);

/* ---- render_servers.c --------------------------------------------------- */

/* What stands behind a server's address. NULL: it must not be talked to. */
const char *render_keywords(struct render *r, const struct plan_backend *to,
    enum backend_mode mode);
void render_servers(struct render *r, const struct backend *b,
    const char *name);

/* File name of a bundle within the generation; registers it. */
const char *render_ca(struct render *r, const struct plan_pem *const *cas,
    size_t n);
/* File name below certs/; registers it. */
const char *render_cert(struct render *r, const struct plan_pem *cert);

/* ---- render_frontends.c, render_tls.c ----------------------------------- */

/* Names of a bind's frontends, and what their maps say. */
void render_name_bind(struct render *r, const struct plan_bind *bind);
void render_bind(struct render *r, const struct plan_bind *bind);

/* A frontend begun: its line `bind`, up to what is common to its protocol. */
void render_bind_begin(struct render *r, const struct plan_bind *bind,
    const char *id, const char *defaults);

/* txn.TO becomes the value of MAP_HOST for the name in txn.FROM. `verb` is
   "http-request" or "tcp-request content". */
void render_host_lines(struct render *r, const char *verb, const char *from,
    const char *to, const char *bind_id);

/* txn.r is a rule; txn.b becomes a backend, or is not found. */
void render_rule_lines(struct render *r, const char *verb);

/* What stands behind "ssl" on a bind line of listeners of that protocol, and the
   crt-list that it names. */
void render_ssl_words(struct render *r, const struct plan_bind *bind,
    const char *id, enum plan_listener_protocol protocol);
void render_grpc_lines(struct render *r, const char *condition, unsigned status,
    const char *message);
void render_http_lines(struct render *r, const struct plan_bind *bind,
    const char *id);

/* ---- render_pools.c ----------------------------------------------------- */

/* The pool's name for the agent. */
const char *render_pool_name(struct render *r, const struct plan_ref *pool);
/* Lines of a pool's backend, to r->policy. `has_tries`: the rule says how often. */
void render_pool_lines(struct render *r, const struct plan_backend *to,
    bool has_tries);
void render_agent_files(struct render *r);
void render_agent_backend(struct render *r);
void render_lua(struct render *r);	/* in global, where a pool needs it */
