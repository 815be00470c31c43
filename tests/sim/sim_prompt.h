/*
 * sim_prompt.h - what a completion request asks for, out of its JSON body
 *
 * The text is what the engine would see: tools, then each message's role and
 * content, then "assistant", after which the answer follows. The next turn of a
 * conversation thus begins with exactly these bytes. One token is four of them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "span.h"

enum { SIM_TOKEN_BYTES = 4 };

struct sim_prompt {
	struct buf text;
	struct buf model;
	struct buf salt;	/* cache_salt: keeps tenants' prefixes apart */
	double max_tokens;	/* 0: not said */
	bool is_chat, is_stream, wants_usage, has_input;
};

void sim_prompt_init(struct sim_prompt *p, bool is_chat);
void sim_prompt_fini(struct sim_prompt *p);

/* NULL, or what is wrong with the body. */
const char *sim_prompt_read(struct sim_prompt *p, struct span body);
