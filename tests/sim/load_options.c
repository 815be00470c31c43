/*
 * load_options.c - the option table of epp-load; README.md shows the same rows
 */
#include "load_options.h"

#include <netdb.h>

static int on_header(void *options, const char *value, struct fault *f)
{
	struct load_options *o = options;

	if (o->n_headers == LOAD_HEADERS_MAX || strchr(value, ':') == NULL ||
	    strpbrk(value, "\r\n") != NULL) {
		fault_setf(f, NULL, 0, "-H %s", value);
		fault_want(f, "\"Name: value\", %d at most", LOAD_HEADERS_MAX);
		return -1;
	}
	o->headers[o->n_headers++] = value;
	return 0;
}

static int on_adapter(void *options, const char *value, struct fault *f)
{
	struct load_options *o = options;

	if (o->n_adapters == LOAD_ADAPTERS_MAX || value[0] == '\0' ||
	    strpbrk(value, "\"\\") != NULL) {
		fault_setf(f, NULL, 0, "--adapter %s", value);
		fault_want(f, "a plain name, %d at most", LOAD_ADAPTERS_MAX);
		return -1;
	}
	o->adapters[o->n_adapters++] = value;
	return 0;
}

#define AT(field) .offset = offsetof(struct load_options, field)
#define TOKENS .max = 4 << 20

static const struct flag rows[] = {
	{ 'u', "url", "http://HOST:PORT", FLAG_TEXT, AT(url),
	  .help = "where to" },
	{ 'w', "workload", "NAME", FLAG_TEXT, AT(workload),
	  .help = "shared-prefix, multi-turn, burst or uniform "
	      "(shared-prefix)" },
	{ 'c', "concurrency", "N", FLAG_COUNT, AT(concurrency), .min = 1,
	  .max = 100000, .help = "closed loop: so many at any time (8)" },
	{ 'r', "rate", "R", FLAG_REAL, AT(rate), .max = 1e6,
	  .help = "open loop instead: R requests/s, Poisson" },
	{ 'n', "requests", "N", FLAG_COUNT, AT(requests), .max = 1e8,
	  .help = "stop after N (groups * per-group, or 100)" },
	{ 'd', "duration", "S", FLAG_REAL, AT(duration), .max = 1e6,
	  .help = "start none after S seconds" },
	{ 's', "seed", "N", FLAG_COUNT, AT(seed), .max = 1.8e19,
	  .help = "seed of contents, order and arrivals (1)" },
	{ 0, "groups", "G", FLAG_COUNT, AT(groups), .min = 1, .max = 1 << 20,
	  .help = "shared-prefix: system prompts (8)" },
	{ 0, "per-group", "N", FLAG_COUNT, AT(per_group), .min = 1,
	  .max = 1 << 20, .help = "shared-prefix: questions to each (16)" },
	{ 0, "in-order", NULL, FLAG_SWITCH, AT(in_order),
	  .help = "shared-prefix: one system prompt after the other, not "
	      "shuffled" },
	{ 0, "prefix-tokens", "P", FLAG_COUNT, AT(prefix_tokens), TOKENS,
	  .help = "system prompt, shared-prefix and burst (1024)" },
	{ 0, "question-tokens", "Q", FLAG_COUNT, AT(question_tokens), .min = 1,
	  TOKENS, .help = "question, all but uniform (64)" },
	{ 0, "turns", "N", FLAG_COUNT, AT(turns), .min = 1, .max = 10000,
	  .help = "multi-turn: of each session (5)" },
	{ 0, "sessions", "N", FLAG_COUNT, AT(sessions), .max = 1 << 20,
	  .help = "multi-turn: alive at once, taking turns (concurrency)" },
	{ 0, "burst-size", "N", FLAG_COUNT, AT(burst_size), .min = 1,
	  .max = 100000, .help = "burst: requests at once, one new shared "
	      "prefix each time (32)" },
	{ 0, "burst-every", "S", FLAG_REAL, AT(burst_every), .min = 0.001,
	  .max = 3600, .help = "burst: seconds from one to the next (2)" },
	{ 0, "min-tokens", "N", FLAG_COUNT, AT(min_tokens), .min = 1, TOKENS,
	  .help = "uniform: shortest prompt (32)" },
	{ 0, "long-tokens", "N", FLAG_COUNT, AT(long_tokens), .min = 1, TOKENS,
	  .help = "uniform: longest prompt (2048)" },
	{ 'm', "max-tokens", "N", FLAG_COUNT, AT(max_tokens), .min = 1,
	  .max = 1e6, .help = "to generate (32)" },
	{ 0, "model", "NAME", FLAG_TEXT, AT(model),
	  .help = "asked for (sim-model)" },
	{ 0, "adapter", "NAME", FLAG_CALL, .call = on_adapter,
	  .help = "asked for instead; of several, each as often as all "
	      "after it" },
	{ 0, "slo", "MS", FLAG_REAL, AT(slo_ms), .min = 0.001, .max = 1e9,
	  .help = "goodput counts first tokens that come this soon (500)" },
	{ 0, "completions", NULL, FLAG_SWITCH, AT(is_completions),
	  .help = "/v1/completions instead of /v1/chat/completions" },
	{ 0, "path", "PATH", FLAG_TEXT, AT(path),
	  .help = "another path than these" },
	{ 0, "no-stream", NULL, FLAG_SWITCH, AT(no_stream),
	  .help = "ask for the answer as a whole" },
	{ 'H', "header", "'NAME: VALUE'", FLAG_CALL, .call = on_header,
	  .help = "one more header; may be repeated" },
	{ 't', "timeout", "S", FLAG_REAL, AT(timeout), .min = 0.001,
	  .max = 86400, .help = "for one request, all in all (120)" },
	{ 0, "json", "FILE", FLAG_TEXT, AT(json),
	  .help = "the results for machines; - is stdout, without the table" },
	{ 0, "allow-errors", NULL, FLAG_SWITCH, AT(allow_errors),
	  .help = "exit 0 even if requests failed" },
	{ 'h', "help", NULL, FLAG_HELP, .help = "this text" },
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

static int resolve(struct load_options *o, struct fault *f)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const char *at = o->url, *port = "80";
	struct addrinfo *found;
	char name[300], *colon;
	size_t len;

	if (strncmp(at, "http://", 7) == 0)
		at += 7;
	len = strcspn(at, "/");
	if (len == 0 || len >= sizeof(name) || at[len + (at[len] == '/')] != 0)
		goto bad;
	snprintf(o->host, sizeof(o->host), "%.*s", (int)len, at);
	snprintf(name, sizeof(name), "%s", o->host);
	colon = strrchr(name, ':');
	if (colon != NULL && strchr(colon, ']') == NULL) {
		*colon = '\0';
		port = colon + 1;
	}
	len = strlen(name);
	if (name[0] == '[' && len > 1 && name[len - 1] == ']') {
		memmove(name, name + 1, len);
		name[len - 2] = '\0';
	}
	if (getaddrinfo(name, port, &hints, &found) != 0)
		goto bad;
	memcpy(&o->address, found->ai_addr, found->ai_addrlen);
	o->address_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
bad:
	fault_setf(f, NULL, 0, "--url %s", o->url);
	fault_want(f, "http://HOST:PORT that can be resolved, no path");
	return -1;
}

static void fill_defaults(struct load_options *o)
{
	bool is_shared = strcmp(o->workload, "shared-prefix") == 0;

	if (o->path == NULL)
		o->path = o->is_completions ? "/v1/completions" :
		    "/v1/chat/completions";
	if (o->sessions == 0)
		o->sessions = o->concurrency;
	if (o->long_tokens < o->min_tokens)
		o->long_tokens = o->min_tokens;
	if (o->requests == 0 && o->duration <= 0)
		o->requests = is_shared ? o->groups * o->per_group : 100;
	if (o->requests == 0)
		o->requests = UINT64_MAX;
}

enum flags_result load_options_parse(struct load_options *o, char **argv,
    struct fault *f)
{
	enum flags_result rc;

	*o = (struct load_options){
		.workload = "shared-prefix", .model = "sim-model",
		.seed = 1, .concurrency = 8, .max_tokens = 32, .timeout = 120, .slo_ms = 500,
		.groups = 8, .per_group = 16, .prefix_tokens = 1024,
		.question_tokens = 64, .turns = 5, .burst_size = 32,
		.burst_every = 2, .min_tokens = 32, .long_tokens = 2048,
	};
	rc = flags_parse(rows, N_ROWS, o, argv, f);
	if (rc != FLAGS_OK)
		return rc;
	if (o->url == NULL) {
		fault_set(f, NULL, 0, "no --url", "--url http://HOST:PORT");
		return FLAGS_BAD;
	}
	fill_defaults(o);
	return resolve(o, f) == 0 ? FLAGS_OK : FLAGS_BAD;
}

void load_options_help(FILE *to)
{
	fprintf(to, "usage: epp-load --url http://HOST:PORT [options]\n"
	    "Sends completion requests and tells how they fared.\n\n");
	flags_print(to, rows, N_ROWS);
}
