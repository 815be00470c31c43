/*
 * warm.c - endpoints by name and address, in and out of a snapshot
 */
#include "warm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "endpoints.h"
#include "log.h"
#include "options.h"
#include "prefix.h"
#include "prefix_file.h"
#include "prompt.h"
#include "replace_file.h"
#include "slurp.h"

enum {
	/* A section's head and names, far more than an endpoint's ever are. */
	SECTION_BYTES = 1024,
	FILE_MODE = 0600,	/* hashes of prompts: nobody else's business */
};

struct warm {
	char *bytes;
	struct reader sections;
	size_t n_sections, n_taken;
	bool *taken;
};

/* As large as one of ours can get. */
static size_t most_bytes(const struct pool_options *o)
{
	return o->prefix.max_bytes + (size_t)POOL_ENDPOINTS_MAX * SECTION_BYTES;
}

static uint32_t block_bytes(const struct pool_options *o)
{
	return o->prefix.block_tokens * PROMPT_TOKEN_BYTES;
}

/* ---- in ---- */

static const char *refusal(const struct pool_options *o, struct span bytes,
    int64_t unix_ms, struct reader *sections)
{
	struct prefix_file_head head = { 0 };
	const char *why = prefix_file_open(bytes, &head, sections);

	if (why != NULL)
		return why;
	if (head.block_bytes != block_bytes(o))
		return "its blocks are not of blockSizeTokens";
	/* From the future too: then some clock was wrong, and its age is not known. */
	if (head.written_ms > unix_ms ||
	    unix_ms - head.written_ms > o->prefix.snapshot_max_age_ms)
		return "it is older than snapshotMaxAge";
	return NULL;
}

static struct warm *warm_over(char *bytes, struct reader sections)
{
	struct warm *w = calloc(1, sizeof(*w));
	struct prefix_file_section s;
	struct reader walk = sections;

	if (w == NULL)
		return NULL;
	w->bytes = bytes;
	w->sections = sections;
	while (prefix_file_next(&walk, &s))
		w->n_sections++;
	w->taken = calloc(w->n_sections + 1, sizeof(*w->taken));
	if (w->taken == NULL) {
		free(w);
		return NULL;
	}
	return w;
}

struct warm *warm_load(const struct pool_options *o, int64_t unix_ms)
{
	size_t cap = most_bytes(o);
	struct reader sections;
	struct warm *w = NULL;
	const char *why;
	char *bytes;
	ssize_t n;

	if (o->prefix.snapshot == NULL)
		return NULL;
	n = slurp_file(o->prefix.snapshot, cap, &bytes);
	if (n == -ENOENT)
		return NULL;	/* the first time */
	if (n < 0) {
		log_warn("prefix.cold", "pool=%s snapshot=%s err=\"%s\"", o->name,
		    o->prefix.snapshot, strerror((int)-n));
		return NULL;
	}
	why = (size_t)n == cap ? "it is too large to be ours" :
	    refusal(o, (struct span){ bytes, (size_t)n }, unix_ms, &sections);
	if (why == NULL)
		w = warm_over(bytes, sections);
	if (w != NULL)
		return w;
	log_warn("prefix.cold", "pool=%s snapshot=%s err=\"%s\"", o->name,
	    o->prefix.snapshot, why != NULL ? why : "no memory");
	free(bytes);
	return NULL;
}

void warm_free(struct warm *w)
{
	if (w == NULL)
		return;
	free(w->bytes);
	free(w->taken);
	free(w);
}

bool warm_is_spent(const struct warm *w)
{
	return w->n_taken == w->n_sections;
}

/* Its number, or n_sections. */
static size_t find_section(const struct warm *w, struct span name,
    struct span addr, struct prefix_file_section *out)
{
	struct reader walk = w->sections;
	size_t i = 0;

	for (; prefix_file_next(&walk, out); i++)
		if (!w->taken[i] && span_is(out->name, name) &&
		    span_is(out->addr, addr))
			return i;
	return w->n_sections;
}

static uint32_t import(struct prefix_index *prefix, uint16_t slot,
    const struct prefix_file_section *s)
{
	struct prefix_block *blocks = calloc((size_t)s->n_blocks + 1,
	    sizeof(*blocks));
	uint32_t n;

	if (blocks == NULL)
		return 0;
	for (uint32_t i = 0; i < s->n_blocks; i++)
		blocks[i] = prefix_file_block(s, i);
	n = prefix_import(prefix, slot, blocks, s->n_blocks);
	free(blocks);
	return n;
}

uint32_t warm_take(struct warm *w, struct span name, struct span addr,
    struct prefix_index *prefix, uint16_t slot, struct engine_life *life)
{
	struct prefix_file_section s;
	size_t i = find_section(w, name, addr, &s);

	if (i == w->n_sections)
		return 0;
	w->taken[i] = true;
	w->n_taken++;
	atomic_store(&life->started_ms, s.started_ms);
	atomic_store(&life->served, s.served);
	return import(prefix, slot, &s);
}

/* ---- out ---- */

static void put_endpoint(struct buf *out, const struct endpoint_view *view,
    size_t row, struct prefix_block *blocks, uint32_t max)
{
	const struct endpoint *e = &view->endpoints[row];
	struct engine_life *l = &view->pool_live->lives[e->slot];
	struct prefix_file_section s = { .name = e->name, .addr = e->addr,
		.started_ms = atomic_load(&l->started_ms),
		.served = atomic_load(&l->served) };

	s.n_blocks = prefix_export(view->prefix, e->slot, blocks, max);
	if (s.n_blocks > 0 && s.name.len <= UINT16_MAX &&
	    s.addr.len <= UINT16_MAX)
		prefix_file_section(out, &s, blocks);
}

static bool encode(struct buf *out, const struct endpoint_view *view,
    int64_t unix_ms)
{
	const struct prefix_file_head head = { view->block_bytes, unix_ms };
	uint32_t max = prefix_capacity(view->prefix);
	struct prefix_block *blocks = calloc((size_t)max + 1, sizeof(*blocks));

	if (blocks == NULL)
		return false;
	prefix_file_begin(out, &head);
	for (size_t i = 0; i < view->n_endpoints; i++)
		put_endpoint(out, view, i, blocks, max);
	prefix_file_end(out);
	free(blocks);
	return !buf_failed(out);
}

int warm_save(const struct endpoint_view *view, int64_t unix_ms)
{
	const struct pool_options *o = view->options;
	struct buf out;
	int err = -ENOMEM;

	if (o->prefix.snapshot == NULL)
		return 0;
	buf_init(&out, most_bytes(o) - 1);
	if (encode(&out, view, unix_ms))
		err = replace_file(o->prefix.snapshot, buf_span(&out), FILE_MODE);
	if (err == 0)
		log_info("prefix.saved", "pool=%s snapshot=%s bytes=%zu", o->name,
		    o->prefix.snapshot, out.len);
	else
		log_warn("prefix.saved", "pool=%s snapshot=%s err=\"%s\"", o->name,
		    o->prefix.snapshot, strerror(-err));
	buf_fini(&out);
	return err;
}
