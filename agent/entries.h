/*
 * entries.h - of data-parallel ranks, the endpoints that forward to them
 *
 * A rank shares its address with a server at a port that forwards to all ranks
 * (plugin.h, entry_port): HAProxy is told that one. Found out once for a set of endpoints,
 * as immutable as that. Pure but for memory; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct endpoint;

struct entries {
	uint16_t port;
	/* Of each row the one on its address with that port, or the number of rows. */
	uint32_t rows[];
};

/* free() frees it. NULL without memory. Of several with that address the first. */
struct entries *entries_new(const struct endpoint *endpoints, size_t n,
    uint16_t port);
