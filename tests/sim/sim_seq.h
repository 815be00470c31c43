/*
 * sim_seq.h - one sequence: its prompt as block names, and what it has generated
 *
 * Names are a chain: each hashes a full block's bytes onto the name before it,
 * from a root of adapter and salt. This is the simulator's own chain, so that an
 * agent's index is tested against something that does not share its code. Only
 * names and the last partial block are kept, never the prompt. One thread.
 */
#pragma once

#include <stdint.h>
#include <sys/queue.h>

#include "sim_options.h"
#include "sim_prompt.h"

enum { SIM_BLOCK_BYTES_MAX = SIM_BLOCK_TOKENS_MAX * SIM_TOKEN_BYTES };

enum sim_seq_state { SIM_SEQ_NEW, SIM_SEQ_WAITING, SIM_SEQ_PREFILL,
	SIM_SEQ_DECODE, SIM_SEQ_DONE };

struct sim_seq {
	TAILQ_ENTRY(sim_seq) link;	/* in the engine's list of its state */
	enum sim_seq_state state;
	int adapter;			/* -1: the base model */
	uint32_t block_bytes;
	uint32_t prompt_tokens, max_tokens, n_generated;
	uint64_t n_bytes;		/* prompt and generated */

	uint64_t *names;		/* of the prompt's full blocks */
	char *text;			/* of those, for KV events; else NULL */
	uint32_t n_names;
	uint32_t n_cached;		/* leading blocks found, not computed */
	uint32_t *blocks;		/* held; room for all it can need */
	uint32_t n_blocks, n_blocks_max;
	uint64_t chain;			/* name of the last full block */
	char tail[SIM_BLOCK_BYTES_MAX];	/* bytes of the block being filled */
	uint32_t n_tail;

	uint64_t words;			/* what it will say */
	int64_t arrival_ns, admitted_ns, first_ns, last_ns;
};

TAILQ_HEAD(sim_seq_list, sim_seq);

/* 0 or -ENOMEM; the prompt is not needed after. */
int sim_seq_init(struct sim_seq *s, const struct sim_options *o,
    const struct sim_prompt *p, int adapter);
void sim_seq_fini(struct sim_seq *s);

/* Blocks the prompt fills, the last one perhaps in part. */
uint32_t sim_seq_prompt_blocks(const struct sim_seq *s);

/* Leading blocks that may be reused: one token at least is always computed. */
uint32_t sim_seq_reusable(const struct sim_seq *s);

uint32_t sim_seq_cached_tokens(const struct sim_seq *s);
