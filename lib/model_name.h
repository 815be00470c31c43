/*
 * model_name.h - what a model may be called, and how many rules rename models
 *
 * epp-agent refuses a configuration that has more, so whoever writes one asks here
 * first. A name has to fit JSON, a header and HAProxy's variables. Pure; any thread.
 */
#pragma once

#include <stdbool.h>

#include "span.h"

enum {
	MODEL_NAME_MAX = 256,		/* bytes */
	MODEL_RULES_MAX = 4096,		/* of a pool */
	MODEL_MATCHES_MAX = 4096,	/* of a rule */
	MODEL_TARGETS_MAX = 64,
};

/* May it be one? 1 to MODEL_NAME_MAX bytes of UTF-8 without control characters. */
bool model_is_name(struct span name);
