/*
 * load_options.h - what epp-load was told on its command line
 *
 * Filled once by main, read by everyone, never changed after. Texts are argv's.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>

#include "flags.h"

enum { LOAD_HEADERS_MAX = 32, LOAD_ADAPTERS_MAX = 64 };

struct load_options {
	const char *url, *workload, *path, *model, *json;
	const char *headers[LOAD_HEADERS_MAX];
	size_t n_headers;
	const char *adapters[LOAD_ADAPTERS_MAX];
	size_t n_adapters;
	bool is_completions, no_stream, allow_errors, in_order;
	uint64_t seed, concurrency, requests, max_tokens;
	double rate, duration, timeout, slo_ms;
	uint64_t groups, per_group, prefix_tokens, question_tokens;
	uint64_t turns, sessions;
	uint64_t burst_size;
	double burst_every;
	uint64_t min_tokens, long_tokens;

	/* Worked out of the above. */
	char host[300];			/* as the Host header has it */
	struct sockaddr_storage address;
	socklen_t address_len;
};

/* Defaults, argv, then the URL's host is resolved. */
enum flags_result load_options_parse(struct load_options *o, char **argv,
    struct fault *f);
void load_options_help(FILE *to);
