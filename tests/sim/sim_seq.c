/*
 * sim_seq.c - from text to names, once, when the request arrives
 */
#include "sim_seq.h"

#include "hash.h"

static uint64_t chain_root(const struct sim_prompt *p, int adapter)
{
	uint64_t root = hash_bytes(p->salt.data, p->salt.len, 0x51ab);

	return hash_pair(root, (uint64_t)(adapter + 1));
}

/*
 * The answer depends on the seed and the prompt, not on the server: whoever
 * answers says the same, and a repeated turn repeats its words.
 */
static void seed_words(struct sim_seq *s, const struct sim_options *o)
{
	s->words = hash_pair(hash_bytes(s->tail, s->n_tail, s->chain), o->seed);
}

int sim_seq_init(struct sim_seq *s, const struct sim_options *o,
    const struct sim_prompt *p, int adapter)
{
	uint32_t bb = (uint32_t)o->block_tokens * SIM_TOKEN_BYTES;
	const char *text = p->text.data;
	uint64_t most;

	*s = (struct sim_seq){ .adapter = adapter, .block_bytes = bb };
	s->n_bytes = p->text.len;
	s->prompt_tokens = (uint32_t)((s->n_bytes + SIM_TOKEN_BYTES - 1) /
	    SIM_TOKEN_BYTES);
	s->max_tokens = (uint32_t)(p->max_tokens >= 1 ? p->max_tokens :
	    (double)o->default_tokens);
	most = s->n_bytes + (uint64_t)s->max_tokens * SIM_TOKEN_BYTES;
	s->n_blocks_max = (uint32_t)((most + bb - 1) / bb);
	s->n_names = (uint32_t)(s->n_bytes / bb);
	s->names = calloc((size_t)s->n_names + 1, sizeof(*s->names));
	s->blocks = calloc(s->n_blocks_max, sizeof(*s->blocks));
	if (o->kv_events != 0)
		s->text = malloc((size_t)s->n_names * bb + 1);
	if (s->names == NULL || s->blocks == NULL ||
	    (o->kv_events != 0 && s->text == NULL)) {
		sim_seq_fini(s);
		return -ENOMEM;
	}
	if (s->text != NULL)
		memcpy(s->text, text, (size_t)s->n_names * bb);
	s->chain = chain_root(p, adapter);
	for (uint32_t i = 0; i < s->n_names; i++)
		s->names[i] = s->chain = hash_bytes(text + (size_t)i * bb, bb,
		    s->chain);
	s->n_tail = (uint32_t)(s->n_bytes % bb);
	memcpy(s->tail, text + s->n_bytes - s->n_tail, s->n_tail);
	seed_words(s, o);
	return 0;
}

void sim_seq_fini(struct sim_seq *s)
{
	free(s->names);
	free(s->blocks);
	free(s->text);
	s->names = NULL;
	s->text = NULL;
	s->blocks = NULL;
}

uint32_t sim_seq_prompt_blocks(const struct sim_seq *s)
{
	uint64_t bytes = (uint64_t)s->n_names * s->block_bytes;

	return s->n_names + (uint32_t)(s->n_bytes > bytes);
}

uint32_t sim_seq_reusable(const struct sim_seq *s)
{
	return (uint32_t)((s->n_bytes - 1) / s->block_bytes);
}

uint32_t sim_seq_cached_tokens(const struct sim_seq *s)
{
	return s->n_cached * (s->block_bytes / SIM_TOKEN_BYTES);
}
