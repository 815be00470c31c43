/*
 * output.h - a whole configuration of HAProxy, and of the agent beside it, as data
 *
 * render*.c fill one, output_files.c writes it to a folder, apply*.c bring a
 * running HAProxy there. The text of haproxy.cfg is kept in sections, each with a
 * hash, so that it is known without reading what only a reload can change: what
 * the runtime API can do is outside of these hashes (servers, maps, crt-lists,
 * certificates). Equal plans give equal bytes, and equal hashes.
 *
 * Paths in the text begin with one of two marks, since the same text is written
 * to stay and, elsewhere, to be checked first. Owns all it holds; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "plan.h"
#include "span.h"

struct arena;

/* Control characters: words.c lets none through from a manifest. */
#define OUTPUT_DIR "\001"	/* certificates, sockets: live on */
#define OUTPUT_GENERATION "\002"	/* replaced as a whole */

enum output_map_name {
	MAP_HOST,	/* P|hostname → G: who is asked for at a bind */
	MAP_EXACT,	/* G/path → R or C */
	MAP_PREFIX,	/* G/path/ → R or C, longest wins */
	MAP_USES,	/* C → ,A,A,S,: which conditions it looks at */
	MAP_CONDITION,	/* C|S|value|value → rank */
	MAP_PICK,	/* C|rank → R */
	MAP_RULE,	/* R → B or T; T/target → B */
	MAP_SPLIT,	/* T → D; D/bucket → target */
	MAP_OWNER,	/* G → the listener whose it is, for 421 */
	OUTPUT_N_MAPS,
};

extern const char *const output_map_files[OUTPUT_N_MAPS];

/* dynamic-cookie-key of every backend: see `set dynamic-cookie-key`. */
#define OUTPUT_COOKIE_KEY "haproxy-epp"

struct output_entry {
	const char *key, *value;
	uint64_t front;		/* the key's first bytes, to sort by */
	uint64_t hash;		/* of both: equal entries are found by it */
};

struct output_map {
	struct output_entry *items;	/* sorted by key once finished */
	size_t n, cap;
};

struct output_server {
	const char *backend, *name, *address;	/* "10.0.0.1:80", "[::1]:80" */
	const char *keywords;	/* behind the address; may be "" */
	bool is_checked;	/* `enable health` once it is added */
	bool has_cookie;	/* which must be computed for it */
};

/* A frontend, backend or another part of haproxy.cfg. */
struct output_section {
	const char *name;	/* a backend's; "" for others */
	struct plan_ref ref;	/* whom to blame when HAProxy refuses it */
	size_t start, end;	/* in the text */
	uint64_t hash;		/* without its servers */
};

/* What a crt-list says, in file order. */
struct output_cert_line {
	const char *list;	/* file name within the generation */
	const char *cert;	/* file name below certs/ */
	const char *filters;	/* SNI filters; may be "" */
};

/* A certificate, below certs/; or CAs, within the generation. Named by content. */
struct output_pem {
	const char *name;
	const char *text;
	size_t len;
};

struct output_text {
	const char *name;	/* below the folder */
	const char *text;
	size_t len;
};

#define OUTPUT_LIST(type) struct { type *items; size_t n, cap; }

struct output {
	struct arena *arena;
	struct buf text;	/* haproxy.cfg, with marks */
	uint64_t shape;		/* of all sections: what only a reload changes */
	struct output_map maps[OUTPUT_N_MAPS];
	OUTPUT_LIST(struct output_section) sections;
	/* Those with a name, sorted by it; once finished. */
	OUTPUT_LIST(const struct output_section *) backends;
	OUTPUT_LIST(struct output_server) servers;
	OUTPUT_LIST(struct output_cert_line) cert_lines;
	uint64_t certs_hash;	/* of all lines, in order */
	OUTPUT_LIST(const char *) cert_lists;	/* of binds; perhaps empty */
	OUTPUT_LIST(struct output_pem) certs;
	OUTPUT_LIST(struct output_pem) cas;
	OUTPUT_LIST(struct output_text) agent;	/* pools.yaml and its files */
	struct buf table;	/* ids.json: id → whose; for people */
	bool failed;		/* no memory: nothing of it may be used */
	/* private */
	size_t mark;
	uint64_t section_hash;
};

/* NULL without memory. */
struct output *output_new(void);
void output_free(struct output *o);

/* Room for one more in a list; zeroed. NULL (and `failed`) without memory. */
#define output_add(o, list) \
	((__typeof__((list)->items))output_grow((o), (void **)&(list)->items, \
	    &(list)->n, &(list)->cap, sizeof(*(list)->items)))
void *output_grow(struct output *o, void **items, size_t *n, size_t *cap,
    size_t size);

/* A copy that lives as long as `o`; "" and `failed` without memory. */
const char *output_copy(struct output *o, const char *text, size_t len);
const char *output_copyf(struct output *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A key's first bytes, in an order that is strcmp()'s: sorting looks there first. */
uint64_t output_front(const char *key);

/* Both are copied. */
void output_map_add(struct output *o, enum output_map_name map,
    const char *key, const char *value);

/* What is appended to `o->text` between the two is one section. */
void output_section_begin(struct output *o, const char *name,
    const struct plan_ref *ref);
void output_section_end(struct output *o);

/* A server of the section that is open; strings must live as long as `o`. */
void output_server_add(struct output *o, const struct output_server *s);

/* Sorts, and computes `shape`. Nothing may be added afterwards. */
void output_finish(struct output *o);

/* NULL when there is none. Once finished. */
const struct output_section *output_backend(const struct output *o,
    const char *name);
const struct output_pem *output_find_cert(const struct output *o,
    const char *name);
