/*
 * detector.h - what both saturation detectors need to be filters
 *
 * The plugin that is the pool's detector and the one that filters are one, with one
 * set of parameters. They begin with saturation_options, complete, so that whoever
 * sets the pool's saturation by such a plugin finds it there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "options.h"

struct choice;

struct detector_params {
	struct saturation_options saturation;
	float headroom;
	/* The filter's: waiting and KV cache, or requests and tokens. */
	double limits[2];
};

#define DETECTOR_HEADROOM_ROW                                                 \
	{ .key = "headroom", .decode = conf_fraction, .preset = "0",          \
	  .offset = offsetof(struct detector_params, headroom),               \
	  .help = "share by which the filter's limits are higher" }

/* What a detector has no key for is as in a pool that says nothing. */
extern const struct saturation_options detector_presets;

/* limit * (1 + headroom) */
double detector_limit(double limit, float headroom);

typedef bool detector_passes_f(const struct choice *c, size_t i,
    const struct detector_params *p);

/* Clears keep[i] of those that do not pass; of none, when nobody does. */
void detector_keep(const struct choice *c, const struct detector_params *p,
    bool *keep, detector_passes_f *passes);
