/*
 * running.h - what the HAProxy that runs is known to have
 *
 * A model of one worker: its maps, servers, certificates in crt-lists and the sections
 * of its configuration. It is read from the worker itself (running_read), or known
 * because the worker has just loaded an output (running_load), and then follows each
 * change that the worker has agreed to. What the worker has and nobody wants any more is
 * kept and dated: a request that is on its way may have seen it, so it goes later. Owns
 * its strings; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "output.h"
#include "span.h"

struct runtime;

struct running_entry {
	char *key, *value;	/* one allocation, the key's */
	uint64_t hash;		/* as output_entry's */
	int64_t unwanted_ms;	/* since when; 0: wanted */
};

struct running_map {
	struct running_entry *items;	/* sorted by key */
	size_t n, cap;
};

struct running_server {
	char *backend, *name;
	bool is_away;		/* in maintenance, to be deleted when idle */
};

struct running_section {
	char *name;		/* "" for what is no backend */
	uint64_t hash;
};

struct running_cert {
	char *list, *cert, *filters;
};

struct running {
	struct running_map maps[OUTPUT_N_MAPS];
	struct { struct running_server *items; size_t n, cap; } servers;
	struct { struct running_section *items; size_t n, cap; } sections;
	struct { struct running_cert *items; size_t n, cap; } certs;
	uint64_t shape;		/* of what it loaded */
	uint64_t certs_hash;	/* of an output whose lines `certs` are; or 0 */
	bool failed;		/* no memory: the model is void */
};

void running_init(struct running *r);
void running_fini(struct running *r);

/* The worker has read exactly this. -ENOMEM with the model void. */
int running_load(struct running *r, const struct output *o);

/*
 * Asks the worker, which has loaded a configuration of `o`'s shape: maps, servers and
 * crt-lists as they are, the rest as in `o`. 0 or -errno with the model void.
 */
int running_read(struct running *r, const struct output *o,
    struct runtime *runtime, const char *dir);

/*
 * Answers to "show map", "show servers state" and "show ssl crt-list"; what is no line
 * of theirs is passed over. 0 or -ENOMEM.
 */
int running_parse_map(struct running *r, size_t map, struct span text);
int running_parse_servers(struct running *r, struct span text);
int running_parse_list(struct running *r, const char *list, struct span text);

/* An entry of our own. False without memory. */
bool running_entry_make(struct running_entry *e, const char *key,
    const char *value);

/* Where an entry is, or would be. */
size_t running_find_entry(const struct running_map *m, const char *key,
    bool *is_there);
/* Inserts it there. 0 or -ENOMEM. */
int running_put_entry(struct running *r, size_t map, size_t at, const char *key,
    const char *value);

/* True when no reload is needed: all sections of `o` are there as it wants them. */
bool running_has_shape(const struct running *r, const struct output *o);

/* Where a server is, or would be. */
size_t running_find_server(const struct running *r, const char *backend,
    const char *name, bool *is_there);

/* A line of a crt-list; false without memory, with the model void. */
bool running_add_cert(struct running *r, struct span list, struct span cert,
    struct span filters);
void running_remove_cert(struct running *r, size_t at);

/* Insert and remove, keeping the order. False without memory. */
bool running_put_server(struct running *r, size_t at, const char *backend,
    const char *name);
void running_remove_server(struct running *r, size_t at);
