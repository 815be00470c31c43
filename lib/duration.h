/*
 * duration.h - a time as Go writes one: 1.5s, 1h30m, 300ms
 *
 * Decimal numbers, each with its unit (ns, us, ms, s, m, h), or 0 alone: what llm-d's
 * header values are. Configuration files are stricter: conf_duration(). Source: Go's
 * package time, ParseDuration(); a negative one is none here. No state: any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "span.h"

/* False, and `*ns` left alone: it is no time, or above INT64_MAX. */
bool duration_parse(struct span text, int64_t *ns);
