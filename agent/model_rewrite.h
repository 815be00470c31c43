/*
 * model_rewrite.h - the model that is asked for, under another name
 *
 *	a rule that names the request's model; else one that names none; of several the
 *	oldest, that is the first; else the header x-llm-d-model-name-rewrite (or
 *	x-gateway-model-name-rewrite); else the model as it is
 *
 * Of a rule's targets one is chosen by chance, by weight where they have weights. What
 * is chosen stands for the model from then on: prompts are hashed with it, adapters are
 * looked for by it. Only a model that stands in the part of the body that HAProxy
 * showed can be rewritten, since HAProxy's Lua filter is told where it stands.
 * Source: llm-d-router pkg/epp/requestcontrol/director.go, applyWeightedModelRewrite(),
 * and pkg/epp/datastore/modelrewritestore.go. Worker's thread.
 */
#pragma once

#include <stdbool.h>

#include "model_name.h"
#include "span.h"

struct arena;
struct model_rewrite_options;
struct request;
struct rng;

/*
 * Sets r->target, target_at and target_len, and r->model to what is asked for from now
 * on; or leaves all as it is.
 */
void model_rewrite(const struct model_rewrite_options *o, struct request *r,
    struct rng *rng, struct arena *arena);
