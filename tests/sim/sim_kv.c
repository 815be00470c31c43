/*
 * sim_kv.c - blocks by index: a hash table of names and a queue of free ones
 *
 * The free queue runs from the next to be reused (head) to the last used (tail).
 * Blocks never used so far are not in it but counted by n_fresh, so that a
 * thousand idle servers cost no memory: calloc's pages stay untouched.
 */
#include "sim_kv.h"

#include <stdlib.h>

#include "must.h"

enum { NIL = UINT32_MAX };

struct block {
	uint64_t name;
	uint32_t refs;
	uint32_t prev, next;	/* free queue, while refs == 0 */
	uint32_t chain;		/* next of the same bucket, plus one; 0 ends */
	bool is_named;
};

struct sim_kv {
	uint32_t n_blocks, n_fresh, n_queued;
	uint32_t head, tail;
	uint32_t mask;
	uint32_t *buckets;	/* block plus one, so that zeroed is empty */
	struct block *blocks;
	sim_kv_removed_f *removed;	/* or NULL */
	void *data;
};

struct sim_kv *sim_kv_new(uint32_t n_blocks)
{
	struct sim_kv *kv = calloc(1, sizeof(*kv));
	uint32_t n_buckets = 64;

	if (kv == NULL)
		return NULL;
	while (n_buckets < n_blocks)
		n_buckets *= 2;
	kv->n_blocks = kv->n_fresh = n_blocks;
	kv->head = kv->tail = NIL;
	kv->mask = n_buckets - 1;
	kv->buckets = calloc(n_buckets, sizeof(*kv->buckets));
	kv->blocks = calloc(n_blocks, sizeof(*kv->blocks));
	if (kv->buckets == NULL || kv->blocks == NULL) {
		sim_kv_free(kv);
		return NULL;
	}
	return kv;
}

void sim_kv_free(struct sim_kv *kv)
{
	if (kv == NULL)
		return;
	free(kv->buckets);
	free(kv->blocks);
	free(kv);
}

void sim_kv_watch(struct sim_kv *kv, sim_kv_removed_f *removed, void *data)
{
	kv->removed = removed;
	kv->data = data;
}

uint32_t sim_kv_free_blocks(const struct sim_kv *kv)
{
	return kv->n_fresh + kv->n_queued;
}

static uint32_t find(const struct sim_kv *kv, uint64_t name)
{
	uint32_t at = kv->buckets[name & kv->mask];

	while (at != 0 && kv->blocks[at - 1].name != name)
		at = kv->blocks[at - 1].chain;
	return at != 0 ? at - 1 : NIL;
}

static void unname(struct sim_kv *kv, uint32_t block)
{
	struct block *b = &kv->blocks[block];
	uint32_t *at = &kv->buckets[b->name & kv->mask];

	if (!b->is_named)
		return;
	while (*at != block + 1)
		at = &kv->blocks[*at - 1].chain;
	*at = b->chain;
	b->is_named = false;
	if (kv->removed != NULL)
		kv->removed(kv->data, b->name);
}

static void unqueue(struct sim_kv *kv, uint32_t block)
{
	struct block *b = &kv->blocks[block];

	*(b->prev != NIL ? &kv->blocks[b->prev].next : &kv->head) = b->next;
	*(b->next != NIL ? &kv->blocks[b->next].prev : &kv->tail) = b->prev;
	kv->n_queued--;
}

static void queue_tail(struct sim_kv *kv, uint32_t block)
{
	struct block *b = &kv->blocks[block];

	b->prev = kv->tail;
	b->next = NIL;
	*(kv->tail != NIL ? &kv->blocks[kv->tail].next : &kv->head) = block;
	kv->tail = block;
	kv->n_queued++;
}

static void queue_head(struct sim_kv *kv, uint32_t block)
{
	struct block *b = &kv->blocks[block];

	b->prev = NIL;
	b->next = kv->head;
	*(kv->head != NIL ? &kv->blocks[kv->head].prev : &kv->tail) = block;
	kv->head = block;
	kv->n_queued++;
}

uint32_t sim_kv_match(const struct sim_kv *kv, const uint64_t *names,
    uint32_t n)
{
	uint32_t i = 0;

	while (i < n && find(kv, names[i]) != NIL)
		i++;
	return i;
}

bool sim_kv_fits(const struct sim_kv *kv, const uint64_t *names,
    uint32_t n_match, uint64_t n_more)
{
	for (uint32_t i = 0; i < n_match; i++) {
		uint32_t block = find(kv, names[i]);

		/* A match that nobody holds yet stops being free. */
		if (block != NIL && kv->blocks[block].refs == 0)
			n_more++;
	}
	return n_more <= sim_kv_free_blocks(kv);
}

uint32_t sim_kv_hold(struct sim_kv *kv, uint64_t name)
{
	uint32_t block = find(kv, name);

	must(block != NIL);
	if (kv->blocks[block].refs++ == 0)
		unqueue(kv, block);
	return block;
}

uint32_t sim_kv_take(struct sim_kv *kv)
{
	uint32_t block;

	if (kv->n_fresh > 0) {
		block = kv->n_blocks - kv->n_fresh--;
	} else {
		must(kv->head != NIL);
		block = kv->head;
		unqueue(kv, block);
		unname(kv, block);
	}
	kv->blocks[block].refs = 1;
	return block;
}

bool sim_kv_name(struct sim_kv *kv, uint32_t block, uint64_t name)
{
	struct block *b = &kv->blocks[block];

	must(b->refs > 0);
	if (b->is_named || find(kv, name) != NIL)
		return false;
	b->name = name;
	b->is_named = true;
	b->chain = kv->buckets[name & kv->mask];
	kv->buckets[name & kv->mask] = block + 1;
	return true;
}

void sim_kv_release(struct sim_kv *kv, const uint32_t *blocks, uint32_t n)
{
	/* From the leaf: what is queued first is reused first. */
	while (n-- > 0) {
		struct block *b = &kv->blocks[blocks[n]];

		must(b->refs > 0);
		if (--b->refs > 0)
			continue;
		if (b->is_named)
			queue_tail(kv, blocks[n]);
		else
			queue_head(kv, blocks[n]);
	}
}

void sim_kv_forget(struct sim_kv *kv)
{
	for (uint32_t at = kv->head; at != NIL; at = kv->blocks[at].next)
		unname(kv, at);
}
