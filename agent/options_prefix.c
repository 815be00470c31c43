/*
 * options_prefix.c - rows of a pool's prefix index: its size, KV events, a tokenizer
 */
#include "options_rows.h"

#include <errno.h>
#include <string.h>

#include "fault.h"
#include "model_rewrite.h"
#include "prompt.h"

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };

/* Relative to what, when a service manager starts us? */
static int decode_file(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	int err = conf_string(in, row, value, out);

	if (err == 0 && **(const char **)out != '/')
		return conf_refuse(in, row, value, "an absolute path, as "
		    "/var/lib/haproxy-epp/llm.prefix");
	return err;
}

static int decode_topic(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	if (value->type == CONF_SCALAR && value->text[0] == '\0')
		return 0;	/* as the preset: all */
	return conf_string(in, row, value, out);
}

static const struct conf_row kv_rows[] = {
	{ .key = "socketPort", .decode = conf_u16, .preset = "5557", .min = 1,
	  .offset = offsetof(struct prefix_options, kv.port),
	  .help = "where endpoints publish (ZMQ PUB)" },
	{ .key = "replaySocketPort", .decode = conf_u16, .preset = "0",
	  .offset = offsetof(struct prefix_options, kv.replay_port),
	  .help = "where what was missed is had; 0: nowhere" },
	{ .key = "ranks", .decode = conf_u32, .preset = "1", .min = 1, .max = 64,
	  .offset = offsetof(struct prefix_options, kv.ranks),
	  .help = "data-parallel engines of an endpoint, at ports in a row" },
	{ .key = "topicFilter", .decode = decode_topic,
	  .offset = offsetof(struct prefix_options, kv.topic),
	  .help = "beginning of the topics wanted; not given: all" },
};

/* The last rank's port must be one, too. */
static int check_kv(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct kv_options *o =
	    &((const struct prefix_options *)out)->kv;
	const char *key = o->port + o->ranks - 1 > UINT16_MAX ? "socketPort" :
	    "replaySocketPort";

	if (o->port + o->ranks - 1 <= UINT16_MAX &&
	    o->replay_port + o->ranks - 1 <= UINT16_MAX)
		return 0;
	return conf_refuse_at(in, map, key, NULL, "%u at most: ranks are at "
	    "ports in a row", UINT16_MAX + 1 - o->ranks);
}

static const struct conf_table kv_table = {
	.what = "kvEvents",
	.rows = kv_rows,
	.n_rows = sizeof(kv_rows) / sizeof(*kv_rows),
	.check = check_kv,
};

static const char *const apis[] = { "tokenize", "render", NULL };

#define TOKENIZER(field) offsetof(struct prefix_options, tokenizer.field)

static const struct conf_row tokenizer_rows[] = {
	{ .key = "url", .decode = decode_service_url,
	  .offset = TOKENIZER(host),
	  .help = "http://HOST:PORT; not given: the pool's endpoints" },
	{ .key = "api", .decode = conf_enum, .preset = "tokenize",
	  .names = apis, .offset = TOKENIZER(api),
	  .help = "/tokenize, or /v1/.../render" },
	{ .key = "modelName", .decode = decode_model_name,
	  .offset = TOKENIZER(model),
	  .help = "as it is known there; not given: as asked for" },
	{ .key = "timeout", .decode = conf_duration, .preset = "5s",
	  .min = 1, .max = MINUTE_MS, .offset = TOKENIZER(timeout_ms),
	  .help = "of one question" },
	{ .key = "concurrency", .decode = conf_u32, .preset = "4",
	  .min = 1, .max = 64, .offset = TOKENIZER(concurrency),
	  .help = "questions at a time" },
	{ .key = "maxBytes", .decode = conf_size, .preset = "4MiB",
	  .min = 64 << 10, .max = 1 << 30, .offset = TOKENIZER(max_bytes),
	  .help = "prompts that wait to be asked for" },
};

static const struct conf_table tokenizer_table = {
	.what = "tokenizer",
	.rows = tokenizer_rows,
	.n_rows = sizeof(tokenizer_rows) / sizeof(*tokenizer_rows),
};

/* It goes into a JSON text as it stands. */
int decode_model_name(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	int err = conf_string(in, row, value, out);

	if (err != 0)
		return err;
	for (const char *c = *(const char **)out; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == '"' || *c == '\\')
			return conf_refuse(in, row, value,
			    "a name without quotes and backslashes");
	return strlen(*(const char **)out) <= MODEL_NAME_MAX ? 0 :
	    conf_refuse(in, row, value, "%d bytes at most", MODEL_NAME_MAX);
}

int check_tokenizer(const struct conf_input *in, const struct conf *prefix,
    const struct prefix_options *o)
{
	if (!o->tokenizer.enabled || o->kv.enabled)
		return 0;
	fault_set(in->why, in->file, prefix->line,
	    "prefix with a tokenizer and without kvEvents",
	    "kvEvents beside it: token ids are matched against them");
	return -EINVAL;
}

static int check_prefix(const struct conf_input *in, const struct conf *map,
    void *out)
{
	struct prefix_options *p = out;

	(void)in;
	p->kv.enabled = conf_is_given(conf_child(map, "kvEvents"));
	if (p->kv.topic == NULL)
		p->kv.topic = "";
	p->tokenizer.enabled = conf_is_given(conf_child(map, "tokenizer"));
	return 0;
}

static const struct conf_row prefix_rows[] = {
	{ .key = "blockSizeTokens", .decode = conf_u32, .preset = "64",
	  .min = 1, .max = PROMPT_BLOCK_BYTES_MAX / PROMPT_TOKEN_BYTES,
	  .offset = offsetof(struct prefix_options, block_tokens),
	  .help = "tokens hashed as one" },
	{ .key = "maxPrefixTokensToMatch", .decode = conf_u32,
	  .preset = "131072", .min = 1, .max = 1 << 27,
	  .offset = offsetof(struct prefix_options, max_match_tokens),
	  .help = "a prompt's tail behind these is not looked at" },
	{ .key = "capacityTokens", .decode = conf_u32, .preset = "131072",
	  .min = 1, .offset = offsetof(struct prefix_options, capacity_tokens),
	  .help = "an endpoint's cache, when it does not tell" },
	{ .key = "autoTune", .decode = conf_bool, .preset = "true",
	  .offset = offsetof(struct prefix_options, auto_tune),
	  .help = "take the capacity that the engine tells" },
	{ .key = "maxBytes", .decode = conf_size, .preset = "16MiB",
	  .min = 64 << 10, .max = 1ull << 36,
	  .offset = offsetof(struct prefix_options, max_bytes),
	  .help = "memory of the pool's index" },
	{ .key = "snapshot", .decode = decode_file,
	  .offset = offsetof(struct prefix_options, snapshot),
	  .help = "written at stop, read at start; absolute" },
	{ .key = "snapshotMaxAge", .decode = conf_duration, .preset = "10m",
	  .min = 1000, .max = 24 * HOUR_MS,
	  .offset = offsetof(struct prefix_options, snapshot_max_age_ms),
	  .help = "an older one is not believed" },
	{ .key = "kvEvents", .decode = conf_section, .table = &kv_table,
	  .help = "what engines say of their caches; {}: with these presets" },
	{ .key = "tokenizer", .decode = conf_section, .table = &tokenizer_table,
	  .help = "who tells token ids of prompts, after they were picked for" },
};

const struct conf_table prefix_table = {
	.what = "prefix",
	.rows = prefix_rows,
	.n_rows = sizeof(prefix_rows) / sizeof(*prefix_rows),
	.check = check_prefix,
};
