/*
 * sim_tokenize.h - POST /tokenize and the render routes: a prompt's token ids
 *
 * As vLLM answers, without what no client of ours reads: `tokens`; of render `token_ids`,
 * in a list for completions. A token is four bytes of the text, as in the
 * KV events; the last one may be short. Main thread.
 */
#pragma once

#include "sim_server.h"

/* Chat or not as the body has it. */
void sim_tokenize(struct sim_server *s, struct sim_conn *c,
    struct sim_request *r);
void sim_render_chat(struct sim_server *s, struct sim_conn *c,
    struct sim_request *r);
void sim_render_completions(struct sim_server *s, struct sim_conn *c,
    struct sim_request *r);
