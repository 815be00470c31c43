/*
 * load_stats.h - one sample a request, and the report made of them at the end
 *
 * Caller's storage; main thread.
 */
#pragma once

#include "load_client.h"

enum { LOAD_SERVERS_MAX = 16384 };

struct load_sample;

struct load_stats {
	struct load_sample *samples;
	size_t n, cap;
	uint64_t n_lost;		/* not recorded: no memory */
	int64_t start_us, end_us;
	struct load_server {
		char name[64];
		uint64_t n;
	} *servers;
	size_t n_servers;
};

void load_stats_init(struct load_stats *s);
void load_stats_fini(struct load_stats *s);

void load_stats_add(struct load_stats *s, const struct load_call *call);
uint64_t load_stats_errors(const struct load_stats *s);

/* The table; and the same as one JSON object. */
void load_stats_print(struct load_stats *s, const struct load_options *o,
    uint64_t n_connects, FILE *to);
void load_stats_print_json(struct load_stats *s,
    const struct load_options *o, uint64_t n_connects, FILE *to);
