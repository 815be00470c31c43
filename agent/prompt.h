/*
 * prompt.h - the text a model will read, as spans of the request's body
 *
 * Spans are gathered in the order of the body and hashed in the order in which an
 * engine lays its prompt out: tools, system text, then messages (llm-d-router's
 * token-producer, "estimate" backend, flattens in that order too). The bytes are
 * hashed as they stand in the JSON, escapes unresolved: a client spells the same text
 * the same way every time. Four bytes stand for one token, as there. Worker's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request.h"
#include "span.h"

enum prompt_section {
	PROMPT_TOOLS, PROMPT_SYSTEM, PROMPT_TEXT, PROMPT_SECTIONS
};

enum {
	PROMPT_TOKEN_BYTES = 4,	/* llm-d-router: tokenizer "estimate" */
	PROMPT_BLOCK_BYTES_MAX = 4096,
	PROMPT_CHAINS_MAX = 64,
	PROMPT_BLOCKS_MAX = 65535,	/* of all chains: depths have 16 bits */
};

struct prompt_piece;

struct prompt {
	struct arena *arena;
	struct {
		struct prompt_piece *first, *last;
	} sections[PROMPT_SECTIONS];
	uint64_t bytes;
	size_t n_chains;	/* splits of PROMPT_TEXT so far, plus one */
	bool failed;		/* no arena left: hash nothing */
};

void prompt_init(struct prompt *p, struct arena *arena);
void prompt_add(struct prompt *p, enum prompt_section s, struct span text);

/* For what is long and no text (an image): its hash stands in for it. */
void prompt_add_digest(struct prompt *p, enum prompt_section s,
    struct span bytes);

/* What comes next in PROMPT_TEXT is another prompt, hashed by itself. */
void prompt_split(struct prompt *p);
void prompt_clear(struct prompt *p, enum prompt_section s);

/* Fills r->blocks and r->chains; leaves them empty when the arena is spent. */
void prompt_hash(struct prompt *p, struct request *r, uint32_t block_bytes,
    uint32_t max_blocks);
