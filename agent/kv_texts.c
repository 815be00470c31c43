/*
 * kv_texts.c - two maps a generation: from links to texts, from texts to those before
 */
#include "kv_texts.h"

#include <stdlib.h>

#include "hash.h"
#include "kv_map.h"
#include "lora.h"
#include "must.h"

enum { ADAPTERS_MAX = 64 };

/*
 * links: link -> text, the last that ends there; `media` is the first.
 * texts: text -> text before; `media` is how deep it is.
 */
struct generation {
	struct kv_map links, texts;
};

struct kv_texts {
	uint32_t block_bytes, block_size;
	size_t max, n_held;
	struct generation young, old;
	uint64_t adapters[ADAPTERS_MAX];	/* lora_name() of those heard of */
	size_t n_adapters;
};

static void generation_init(struct generation *g, size_t max)
{
	kv_map_init(&g->links, max);
	kv_map_init(&g->texts, max);
}

static void generation_fini(struct generation *g)
{
	kv_map_fini(&g->links);
	kv_map_fini(&g->texts);
}

struct kv_texts *kv_texts_new(uint32_t block_bytes, size_t max)
{
	struct kv_texts *t = calloc(1, sizeof(*t));

	must(block_bytes > 0 && max > 0);
	if (t == NULL)
		return NULL;
	t->block_bytes = block_bytes;
	t->max = max;
	generation_init(&t->young, max);
	generation_init(&t->old, max);
	return t;
}

void kv_texts_free(struct kv_texts *t)
{
	if (t == NULL)
		return;
	generation_fini(&t->young);
	generation_fini(&t->old);
	free(t);
}

uint32_t kv_texts_block_size(const struct kv_texts *t)
{
	return t->block_size;
}

static void forget(struct kv_texts *t)
{
	generation_fini(&t->young);
	generation_fini(&t->old);
	generation_init(&t->young, t->max);
	generation_init(&t->old, t->max);
}

bool kv_texts_hear(struct kv_texts *t, uint32_t block_size)
{
	if (block_size == 0 || block_size == t->block_size)
		return block_size != 0;
	if (t->n_held > 0)
		return false;
	t->block_size = block_size;
	forget(t);
	return true;
}

void kv_texts_hold(struct kv_texts *t, size_t n)
{
	t->n_held += n;
}

void kv_texts_let_go(struct kv_texts *t, size_t n)
{
	must(n <= t->n_held);
	t->n_held -= n;
}

/* ---- chains of tokens ---- */

static bool is_adapter(const struct kv_texts *t, uint64_t name)
{
	for (size_t i = 0; i < t->n_adapters; i++)
		if (t->adapters[i] == name)
			return true;
	return false;
}

static uint64_t root_of(uint64_t adapter)
{
	return hash_pair(adapter, 0);
}

uint64_t kv_texts_root(struct kv_texts *t, struct span adapter)
{
	uint64_t name;

	if (adapter.len == 0)
		return root_of(0);
	name = lora_name(adapter);
	if (is_adapter(t, name))
		return root_of(name);
	if (t->n_adapters == ADAPTERS_MAX)
		return 0;
	t->adapters[t->n_adapters++] = name;
	forget(t);
	return root_of(name);
}

uint64_t kv_texts_link(uint64_t before, const uint32_t *ids, uint32_t n)
{
	return hash_pair(hash_bytes(ids, n * sizeof(*ids), 0), before);
}

/* ---- learning ---- */

static bool make_room(struct kv_texts *t, uint32_t n)
{
	if (n > t->max)
		return false;
	if (t->young.texts.n + n <= t->max && t->young.links.n + n <= t->max)
		return true;
	generation_fini(&t->old);
	t->old = t->young;
	generation_init(&t->young, t->max);
	return true;
}

/* The token block that text block i ends in, of `n` whole ones. */
static uint32_t place_of(const struct kv_texts *t, const struct kv_prompt *p,
    uint32_t i, uint32_t n_ids, uint32_t n)
{
	uint64_t end = (uint64_t)(i + 1) * t->block_bytes;
	double share = end < p->bytes ? (double)end / (double)p->bytes : 1;
	uint64_t ids = (uint64_t)(share * n_ids + .999);
	uint64_t at = (ids + t->block_size - 1) / t->block_size;

	at = at > 0 ? at - 1 : 0;
	return at < n ? (uint32_t)at : n - 1;	/* what is in part is not cached */
}

static bool put(struct generation *g, const struct kv_prompt *p, uint32_t i,
    uint64_t link, uint64_t first)
{
	const struct kv_entry at = { .key = link, .text = p->texts[i],
		.media = first };
	const struct kv_entry text = { .key = p->texts[i],
		.text = i > 0 ? p->texts[i - 1] : 0, .media = i + 1 };

	return kv_map_put(&g->texts, &text) && kv_map_put(&g->links, &at);
}

static bool learn_texts(struct kv_texts *t, const struct kv_prompt *p,
    uint32_t n_ids, const uint64_t *chain, uint32_t n)
{
	uint32_t last = UINT32_MAX;
	uint64_t first = 0;

	for (uint32_t i = 0; i < p->n_texts; i++) {
		uint32_t at = place_of(t, p, i, n_ids, n);

		if (at != last)
			first = p->texts[i];
		last = at;
		if (!put(&t->young, p, i, chain[at], first))
			return false;
	}
	return true;
}

uint32_t kv_texts_learn(struct kv_texts *t, const struct kv_prompt *p,
    const uint32_t *ids, uint32_t n_ids, uint64_t *chain)
{
	uint32_t n = t->block_size > 0 ? n_ids / t->block_size : 0;
	uint64_t link = root_of(is_adapter(t, p->model) ? p->model : 0);

	if (n == 0 || p->n_texts == 0 || p->bytes == 0 ||
	    !make_room(t, p->n_texts))
		return 0;
	for (uint32_t i = 0; i < n; i++)
		chain[i] = link = kv_texts_link(link,
		    ids + (size_t)i * t->block_size, t->block_size);
	return learn_texts(t, p, n_ids, chain, n) ? n : 0;
}

static const struct kv_entry *find_text(const struct kv_texts *t, uint64_t text)
{
	const struct kv_entry *e = kv_map_find(&t->young.texts, text);

	return e != NULL ? e : kv_map_find(&t->old.texts, text);
}

bool kv_texts_find(const struct kv_texts *t, uint64_t link, uint64_t *last,
    uint64_t *first)
{
	const struct kv_entry *e = kv_map_find(&t->young.links, link);

	if (e == NULL)
		e = kv_map_find(&t->old.links, link);
	if (e == NULL)
		return false;
	*last = e->text;
	*first = e->media;
	return true;
}

uint32_t kv_texts_depth(const struct kv_texts *t, uint64_t text)
{
	const struct kv_entry *e = find_text(t, text);

	return e != NULL ? (uint32_t)e->media : 0;
}

bool kv_texts_path(const struct kv_texts *t, uint64_t text, uint64_t *out,
    uint32_t n)
{
	while (n > 0) {
		const struct kv_entry *e = find_text(t, text);

		if (e == NULL || e->media != n)
			return false;
		out[--n] = text;
		text = e->text;
	}
	return true;
}
