/*
 * home.h - an endpoint's identity, with its slot
 *
 * Shared by the target that scrapes it and by every membership (hence every view)
 * that names it; when the last of them goes, so do its slot and its prefix memory.
 * Scraper's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint_spec;
struct label;
struct pool;

struct home {
	struct pool *pool;	/* holds a reference */
	unsigned refs;
	uint16_t slot;
	uint16_t port;
	char *name, *host, *address, *addr_text;	/* address may be NULL */
	struct label *labels;
	uint64_t *label_ids;	/* endpoint_label_id() of each */
	size_t n_labels;
};

/* Takes a slot of the pool and joins its index; one reference. NULL: no memory, or
 * no slot left. */
struct home *home_new(struct pool *p, const struct endpoint_spec *s);
void home_unref(struct home *h);

/* Same host, address, port and labels: the same endpoint as far as we can know. */
bool home_is(const struct home *h, const struct endpoint_spec *s);
