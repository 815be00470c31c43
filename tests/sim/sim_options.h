/*
 * sim_options.h - what epp-sim was told on its command line
 *
 * Filled once by main, read by everyone, never changed after. Texts are argv's.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "flags.h"

enum {
	SIM_SERVERS_MAX = 16384,
	SIM_LORAS_MAX = 64,
	SIM_BLOCK_TOKENS_MAX = 256,
};

/* Where one server listens. */
struct sim_address {
	struct sockaddr_storage bytes;
	socklen_t len;
	uint16_t port;
	char text[64];		/* "addr:port", as x-sim-server tells it */
};

struct sim_options {
	struct sim_address *listen;
	size_t n_listen;
	struct sim_address oracle;	/* len 0: none */
	uint64_t seed;
	const char *model;
	const char *loras[SIM_LORAS_MAX];
	size_t n_loras;
	uint64_t max_loras, lora_load_ms;
	uint64_t batch;
	double prefill_rate, decode_rate;	/* tokens/s; 0: at once */
	double decode_slowdown;	/* added share of a step per further sequence */
	uint64_t kv_blocks, block_tokens;
	uint64_t tokens_per_chunk, default_tokens;
	uint64_t metrics_pad, dp;
	bool early_headers;
	uint64_t kv_events, kv_replay;	/* ports, added to the server's; 0: none */
	bool kv_maps;
};

/* Defaults, then argv. The caller frees with sim_options_fini() in any case. */
enum flags_result sim_options_parse(struct sim_options *o, char **argv,
    struct fault *f);
void sim_options_fini(struct sim_options *o);
void sim_options_help(FILE *to);
