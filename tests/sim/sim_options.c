/*
 * sim_options.c - the option table of epp-sim; README.md shows the same rows
 */
#include "sim_options.h"

#include <arpa/inet.h>

static int listen_add(struct sim_options *o, const char *host, unsigned port)
{
	struct sim_address *a;
	struct sockaddr_in *v4;
	struct sockaddr_in6 *v6;

	a = realloc(o->listen, (o->n_listen + 1) * sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	o->listen = a;
	a += o->n_listen;
	memset(a, 0, sizeof(*a));
	v4 = (struct sockaddr_in *)&a->bytes;
	v6 = (struct sockaddr_in6 *)&a->bytes;
	a->port = (uint16_t)port;
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(a->port);
		a->len = sizeof(*v4);
		snprintf(a->text, sizeof(a->text), "%s:%u", host, port);
	} else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(a->port);
		a->len = sizeof(*v6);
		snprintf(a->text, sizeof(a->text), "[%s]:%u", host, port);
	} else {
		return -EINVAL;
	}
	o->n_listen++;
	return 0;
}

/* "9001" or "9001-9100"; ports count from 1. */
static int read_ports(const char *text, unsigned long *first,
    unsigned long *last)
{
	char *end;

	*first = strtoul(text, &end, 10);
	*last = *first;
	if (end != text && *end == '-') {
		text = end + 1;
		*last = strtoul(text, &end, 10);
	}
	if (end == text || *end != '\0' || *first == 0 || *last > 65535 ||
	    *first > *last)
		return -EINVAL;
	return 0;
}

static int on_listen(void *options, const char *value, struct fault *f)
{
	struct sim_options *o = options;
	const char *colon = strrchr(value, ':');
	char host[48] = "";
	unsigned long first, last;
	size_t len = colon != NULL ? (size_t)(colon - value) : 0;

	if (len >= 2 && value[0] == '[' && value[len - 1] == ']')
		snprintf(host, sizeof(host), "%.*s", (int)len - 2, value + 1);
	else
		snprintf(host, sizeof(host), "%.*s", (int)len, value);
	if (colon == NULL || read_ports(colon + 1, &first, &last) < 0)
		goto bad;
	if (o->n_listen + (last - first) >= SIM_SERVERS_MAX)
		goto bad;
	for (; first <= last; first++)
		if (listen_add(o, host, (unsigned)first) < 0)
			goto bad;
	return 0;
bad:
	fault_setf(f, NULL, 0, "-l %s", value);
	fault_want(f, "a numeric ADDR:PORT or ADDR:FIRST-LAST, "
	    "%d servers at most", SIM_SERVERS_MAX);
	return -1;
}

/* The one that on_listen() has put last is not a server. */
static int on_oracle(void *options, const char *value, struct fault *f)
{
	struct sim_options *o = options;
	size_t before = o->n_listen;

	if (on_listen(options, value, f) < 0)
		return -1;
	if (o->n_listen != before + 1) {
		fault_setf(f, NULL, 0, "--oracle %s", value);
		fault_want(f, "one numeric ADDR:PORT");
		return -1;
	}
	o->oracle = o->listen[--o->n_listen];
	return 0;
}

static int on_lora(void *options, const char *value, struct fault *f)
{
	struct sim_options *o = options;

	if (o->n_loras == SIM_LORAS_MAX || value[0] == '\0') {
		fault_setf(f, NULL, 0, "--lora %s", value);
		fault_want(f, "at most %d adapters, each with a name",
		    SIM_LORAS_MAX);
		return -1;
	}
	o->loras[o->n_loras++] = value;
	return 0;
}

#define AT(field) .offset = offsetof(struct sim_options, field)

static const struct flag rows[] = {
	{ 'l', "listen", "ADDR:PORT[-LAST]", FLAG_CALL, .call = on_listen,
	  .help = "one server a port; may be repeated" },
	{ 0, "oracle", "ADDR:PORT", FLAG_CALL, .call = on_oracle,
	  .help = "requests that come here go to the server that will answer "
	      "first" },
	{ 's', "seed", "N", FLAG_COUNT, AT(seed), .max = 1.8e19,
	  .help = "seed of the generated text (1)" },
	{ 0, "model", "NAME", FLAG_TEXT, AT(model),
	  .help = "the base model's name (sim-model)" },
	{ 0, "lora", "NAME", FLAG_CALL, .call = on_lora,
	  .help = "an adapter, asked for as a model; may be repeated" },
	{ 0, "max-loras", "N", FLAG_COUNT, AT(max_loras), .min = 1, .max = 64,
	  .help = "adapters resident at once (4)" },
	{ 0, "lora-load-ms", "MS", FLAG_COUNT, AT(lora_load_ms), .max = 6e5,
	  .help = "cost of making an adapter resident (200)" },
	{ 0, "batch", "N", FLAG_COUNT, AT(batch), .min = 1, .max = 4096,
	  .help = "sequences running at once; more wait (8)" },
	{ 0, "prefill-rate", "TOKENS/S", FLAG_REAL, AT(prefill_rate),
	  .max = 1e9,
	  .help = "of the whole server, one prompt at a time; 0 = at once "
	      "(8000)" },
	{ 0, "decode-rate", "TOKENS/S", FLAG_REAL, AT(decode_rate), .max = 1e9,
	  .help = "of each sequence; 0 = at once (50)" },
	{ 0, "decode-slowdown", "SHARE", FLAG_REAL, AT(decode_slowdown),
	  .max = 100,
	  .help = "a step takes 1 + SHARE * (sequences - 1) times as long "
	      "(0)" },
	{ 0, "kv-blocks", "N", FLAG_COUNT, AT(kv_blocks), .min = 1,
	  .max = 1 << 24, .help = "KV cache size in blocks (2048)" },
	{ 0, "block-tokens", "N", FLAG_COUNT, AT(block_tokens), .min = 1,
	  .max = SIM_BLOCK_TOKENS_MAX, .help = "tokens of one block (16)" },
	{ 0, "tokens-per-chunk", "N", FLAG_COUNT, AT(tokens_per_chunk),
	  .min = 1, .max = 65536, .help = "tokens of one SSE event (1)" },
	{ 0, "default-tokens", "N", FLAG_COUNT, AT(default_tokens), .min = 1,
	  .max = 65536, .help = "answer length when none is asked for (32)" },
	{ 0, "early-headers", NULL, FLAG_SWITCH, AT(early_headers),
	  .help = "headers of a stream go out at once, as vLLM does; then "
	      "x-sim-cached-tokens and x-sim-queue-ms cannot be in them" },
	{ 0, "metrics-pad", "BYTES", FLAG_COUNT, AT(metrics_pad),
	  .max = 1 << 20, .help = "bucket lines up to this page size (0)" },
	{ 0, "dp", "N", FLAG_COUNT, AT(dp), .min = 1, .max = 64,
	  .help = "engine=\"0..N-1\" series on the page, load split (1)" },
	{ 0, "kv-events", "N", FLAG_COUNT, AT(kv_events), .max = 60000,
	  .help = "publish KV events at the server's port plus N (0: none)" },
	{ 0, "kv-replay", "N", FLAG_COUNT, AT(kv_replay), .max = 60000,
	  .help = "replay them at the server's port plus N (0: nowhere)" },
	{ 0, "kv-maps", NULL, FLAG_SWITCH, AT(kv_maps),
	  .help = "events are maps, as of later releases, not arrays" },
	{ 'h', "help", NULL, FLAG_HELP, .help = "this text" },
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

enum flags_result sim_options_parse(struct sim_options *o, char **argv,
    struct fault *f)
{
	enum flags_result rc;

	*o = (struct sim_options){
		.seed = 1, .model = "sim-model", .max_loras = 4,
		.lora_load_ms = 200, .batch = 8, .prefill_rate = 8000,
		.decode_rate = 50, .kv_blocks = 2048, .block_tokens = 16,
		.tokens_per_chunk = 1, .default_tokens = 32, .dp = 1,
	};
	rc = flags_parse(rows, N_ROWS, o, argv, f);
	if (rc == FLAGS_OK && o->n_listen == 0) {
		fault_set(f, NULL, 0, "no address to listen on",
		    "at least one -l ADDR:PORT");
		return FLAGS_BAD;
	}
	return rc;
}

void sim_options_fini(struct sim_options *o)
{
	free(o->listen);
	o->listen = NULL;
	o->n_listen = 0;
}

void sim_options_help(FILE *to)
{
	fprintf(to, "usage: epp-sim -l ADDR:PORT[-LAST] [options]\n"
	    "Simulates model servers (vLLM's HTTP API and metrics).\n\n");
	flags_print(to, rows, N_ROWS);
}
