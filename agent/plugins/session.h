/*
 * session.h - where the requests of a session go, for the scorer and the filter
 *
 * encoded_endpoint_header: a header, x-session-token, names the endpoint: base64 of its
 * name, or of "namespace/name", or the name as it is. Nothing is remembered here. Who
 * sets it on the answer is HAProxy, which knows who really served:
 * `http-response set-header x-session-token %[srv_name,base64]`.
 *
 * session_id: the client names its session, x-session-id, and the pool remembers its
 * endpoint until nobody has used it for evictionTtlSeconds. A session moves only when
 * its endpoint is no candidate. There is room for LIVE_SESSIONS; when more are alive,
 * those unused the longest among eight make place. It is a preference in either use: a
 * session that is forgotten is placed anew.
 *
 * An entry is one atomic word in the pool's live.h: no lock, no memory of ours. It names
 * an endpoint by slot and generation, so that another one in the same slot does not
 * inherit its sessions, whatever becomes of the pool. Any thread.
 * Source: llm-d-router, scheduling/util/sessionaffinity.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct choice;
struct conf_table;

enum session_strategy { SESSION_TOKEN, SESSION_ID };

/* One of both. */
struct session_source {
	const char *header, *attribute;
	const char *unused;
};

struct session_params {
	enum session_strategy strategy;
	const char *token_header;
	const struct session_source *sources;
	size_t n_sources;		/* 0: the header x-session-id */
	float ttl_s;
	float unused_sweep_s;
	const char *profile;		/* keeps its sessions apart; may be NULL */
};

extern const struct conf_table session_table;

#define SESSION_DIFFERS "x-session-token on answers is for HAProxy to set; the agent " \
	"remembers 131,072 sessions a pool, and none over a restart"

/* The candidate this request's session is at, or c->n: none of them. */
size_t session_find(const struct choice *c, const struct session_params *p);

/* `picked` of the scorer and of the filter. */
void session_picked(const struct choice *c, const void *params,
    uint32_t winner);
