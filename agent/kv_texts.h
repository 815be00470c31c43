/*
 * kv_texts.h - which text is which tokens, as far as a tokenizer has told
 *
 * Two chains of hashes grow beside each other: of a prompt's text, as prompt.h has it,
 * and of its token ids, cut into blocks as the engine cuts them. Where they belong
 * together is learned from whole prompts whose tokens are known: a text block ends in
 * the token block at the same share of the prompt, rounded up. So both ends of a prompt
 * are exact; within it, where its text is denser here than there (a chat template,
 * tools beside prose), a claim may be off by that much, and costs or saves so much
 * prefill. What follows from the tokens themselves, that is what engines hold, is exact,
 * as long as they evict leaves before what they hang on, which both do.
 *
 *	link = XXH64(LE64(XXH64(ids of the block)) . LE64(link before)), root: the adapter
 *
 * Two generations of KV_TEXTS_MAX text blocks each: when the younger is full the older
 * is forgotten. 25 MB at most, grown into. One for a pool; scraper's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

enum { KV_TEXTS_MAX = 1 << 17 };

struct kv_texts;

/* `block_bytes` of a text block. NULL without memory. */
struct kv_texts *kv_texts_new(uint32_t block_bytes, size_t max);
void kv_texts_free(struct kv_texts *t);		/* NULL is fine */

/* Tokens in a block of the engines'; 0: none has told yet. */
uint32_t kv_texts_block_size(const struct kv_texts *t);

/*
 * False for blocks of another size than those that are held. Where none are (a rollout
 * has come round) the new size is taken, and all that was learned is forgotten.
 */
bool kv_texts_hear(struct kv_texts *t, uint32_t block_size);

/* So many links are held somewhere, or no longer. */
void kv_texts_hold(struct kv_texts *t, size_t n);
void kv_texts_let_go(struct kv_texts *t, size_t n);

/* ---- chains of tokens ---- */

/*
 * Where blocks of that adapter begin (empty: of the model itself). One that is new may
 * have been taken for a model, so all is forgotten then. 0: too many adapters.
 */
uint64_t kv_texts_root(struct kv_texts *t, struct span adapter);
uint64_t kv_texts_link(uint64_t before, const uint32_t *ids, uint32_t n);

/* ---- learning ---- */

/* A prompt: its chain of text blocks, of which the last may be short. */
struct kv_prompt {
	const uint64_t *texts;
	uint32_t n_texts;
	uint64_t bytes;		/* of its text, also behind those blocks */
	uint64_t model;		/* lora_spelled() of the name it was asked under */
};

/*
 * Its tokens are these. Fills `chain`, with room for n_ids / block_size links; returns
 * how many there are, 0 without memory or with no whole block.
 */
uint32_t kv_texts_learn(struct kv_texts *t, const struct kv_prompt *p,
    const uint32_t *ids, uint32_t n_ids, uint64_t *chain);

/* The last and the first text block that end in the token block of that link. */
bool kv_texts_find(const struct kv_texts *t, uint64_t link, uint64_t *last,
    uint64_t *first);

/* How many blocks a text has, up to that one; and those, root first. 0: forgotten. */
uint32_t kv_texts_depth(const struct kv_texts *t, uint64_t text);
bool kv_texts_path(const struct kv_texts *t, uint64_t text, uint64_t *out,
    uint32_t n);
