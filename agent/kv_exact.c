/*
 * kv_exact.c - what an engine holds by its token ids, and which text that is
 *
 * Each block that is told gets its place in a chain of our own over token ids, by which
 * the same prompt has the same name wherever it is, whoever sent it there. Where the
 * tokenizer has told which text that is, the index is told too: at once when a block is
 * stored, or when its text is learned after that.
 */
#include "kv_track_parts.h"

#include <stdlib.h>

#include "kv_texts.h"

/* ---- which blocks are held ---- */

/* Of several blocks with the same tokens (ranks, groups) any will do. */
static bool hold_link(struct kv_track *t, uint64_t link)
{
	struct kv_entry *e = kv_map_find(&t->links, link);

	if (e != NULL) {
		e->media++;
		return true;
	}
	if (!kv_map_put(&t->links, &(struct kv_entry){ .key = link,
		.media = 1 }))
		return false;
	kv_texts_hold(t->texts, 1);
	return true;
}

static void drop_link(struct kv_track *t, uint64_t link)
{
	struct kv_entry *e = kv_map_find(&t->links, link);
	uint64_t last, first;

	if (e == NULL || --e->media > 0)
		return;
	kv_map_remove(&t->links, link);
	kv_texts_let_go(t->texts, 1);
	if (kv_texts_find(t->texts, link, &last, &first))
		counter_add(t->counters->kv_dropped,
		    prefix_drop(t->prefix, t->slot, first));
}

/* False when there is no room: then its children are not known either. */
static bool hold_block(struct kv_track *t, uint64_t key, uint64_t link)
{
	struct kv_entry *e = kv_map_find(&t->blocks, key);

	if (e != NULL && e->text == link) {
		e->media |= KV_GPU;
		return true;
	}
	if (e != NULL) {
		uint64_t old = e->text;

		kv_map_remove(&t->blocks, key);
		drop_link(t, old);
	}
	if (!kv_map_put(&t->blocks, &(struct kv_entry){ .key = key,
		.text = link, .media = KV_GPU }))
		return false;
	if (hold_link(t, link))
		return true;
	kv_map_remove(&t->blocks, key);
	return false;
}

/* ---- what that says of texts ---- */

static void claim(struct kv_track *t, uint64_t text)
{
	uint32_t n = kv_texts_depth(t->texts, text);
	uint64_t *path = calloc((size_t)n + 1, sizeof(*path));

	if (path != NULL && n > 0 && kv_texts_path(t->texts, text, path, n))
		counter_add(t->counters->kv_found,
		    prefix_claim(t->prefix, t->slot, path, n));
	free(path);
}

static void link_blocks(struct kv_track *t, const struct kv_event *e,
    const uint64_t *keys, const uint32_t *ids, uint64_t link)
{
	uint64_t text = 0, first;

	for (uint32_t i = 0; i < e->n_hashes; i++) {
		link = kv_texts_link(link, ids + (size_t)i * e->block_size,
		    e->block_size);
		if (!hold_block(t, keys[i], link))
			break;
		kv_texts_find(t->texts, link, &text, &first);
	}
	if (text != 0)
		claim(t, text);
}

/* Where the event's first block hangs; 0: that was never told. */
static uint64_t link_before(struct kv_track *t, const struct kv_event *e)
{
	const struct kv_entry *parent;

	if (!e->has_parent)
		return kv_texts_root(t->texts, e->lora);
	parent = kv_map_find(&t->blocks, e->parent);
	return parent != NULL ? parent->text : 0;
}

void kv_exact_stored(struct kv_track *t, const struct kv_event *e,
    const uint64_t *keys)
{
	uint32_t *ids;
	uint64_t link;

	if (t->texts == NULL || !kv_event_is_of_text(e) ||
	    e->n_tokens != (uint64_t)e->n_hashes * e->block_size)
		return;
	if (!kv_texts_hear(t->texts, e->block_size)) {
		counter_add(t->counters->kv_other_size, e->n_hashes);
		return;
	}
	link = link_before(t, e);
	if (link == 0)
		return;
	ids = calloc((size_t)e->n_tokens + 1, sizeof(*ids));
	if (ids != NULL && kv_tokens(e, ids))
		link_blocks(t, e, keys, ids, link);
	free(ids);
}

void kv_exact_forget(struct kv_track *t)
{
	if (t->texts != NULL)
		kv_texts_let_go(t->texts, t->links.n);
	kv_map_clear(&t->blocks);
	kv_map_clear(&t->links);
}

void kv_exact_medium(struct kv_track *t, const uint64_t *keys, uint32_t n,
    uint64_t medium)
{
	for (uint32_t i = 0; i < n; i++) {
		struct kv_entry *e = kv_map_find(&t->blocks, keys[i]);

		if (e != NULL)
			e->media |= medium;
	}
}

void kv_exact_removed(struct kv_track *t, uint64_t key, uint64_t medium)
{
	struct kv_entry *e = kv_map_find(&t->blocks, key);
	uint64_t link;

	if (e == NULL)
		return;
	e->media &= ~medium;
	if (e->media != 0)
		return;		/* another tier has it still */
	link = e->text;
	kv_map_remove(&t->blocks, key);
	drop_link(t, link);
}

void kv_track_learned(struct kv_track *t, const uint64_t *chain, uint32_t n)
{
	uint64_t last, first, text = 0;

	if (t->texts == NULL)
		return;
	for (uint32_t i = 0; i < n; i++) {
		if (kv_map_find(&t->links, chain[i]) == NULL)
			break;
		if (kv_texts_find(t->texts, chain[i], &last, &first))
			text = last;
	}
	if (text != 0)
		claim(t, text);
}
