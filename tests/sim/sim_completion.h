/*
 * sim_completion.h - one completion, from request to last token
 *
 * A job belongs to its connection until the answer ends or the client leaves,
 * and to the engine's lists meanwhile. Main thread.
 */
#pragma once

#include "sim_server.h"

/* Answers now, or starts a job that will. */
void sim_completion_start(struct sim_server *s, struct sim_conn *c,
    const struct sim_request *r, bool is_chat);

/* An error in OpenAI's form, whole. */
void sim_completion_refuse(struct sim_conn *c, int status, const char *type,
    const char *message);

void sim_completion_on_gone(struct sim_conn *c);
void sim_completion_on_token(struct sim_seq *seq,
    const char text[SIM_TOKEN_BYTES]);
void sim_completion_on_done(struct sim_seq *seq);
