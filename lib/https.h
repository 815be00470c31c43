/*
 * https.h - http.h's https half, through libcurl; only http.c includes this
 *
 * libcurl is loaded when the first client is made, so that an agent without
 * https targets neither needs it nor pays its memory. The meanings are those of
 * http.h.
 */
#pragma once

#include "http.h"

struct https_client;
struct https_target;

/* NULL with `why` filled: no libcurl on this machine, or no memory. */
struct https_client *https_client_new(struct ev_loop *loop, struct fault *why);
void https_client_free(struct https_client *c);

struct https_target *https_target_new(struct https_client *c,
    const struct http_target_options *options, struct fault *why);
void https_target_free(struct https_target *t);

void https_target_get(struct https_target *t, int64_t deadline_ms);
void https_target_post(struct https_target *t, struct span body,
    int64_t deadline_ms);
bool https_target_is_busy(const struct https_target *t);
