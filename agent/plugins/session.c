/*
 * session.c - tokens that name endpoints, and sessions that are looked up
 *
 * The table is sets of eight words, a cache line each. A word is, from the top: 24
 * bits of the session's hash beside those that chose the set, 16 of slot, 8 of
 * generation, 16 of seconds. Two sessions that look alike share an endpoint, one pair
 * in two million within a set; a word that nobody touched comes to look young again
 * after 18 hours, and then sends its session where it was. Neither does harm.
 */
#include "plugins/session.h"

#include <errno.h>

#include "conf.h"
#include "endpoints.h"
#include "fault.h"
#include "hash.h"
#include "plugin.h"
#include "request.h"

enum {
	SET_WORDS = 8, SETS = LIVE_SESSIONS / SET_WORDS,
	TTL_MAX_S = 30000,	/* times have 16 bits, and must not seem young */
	LATE_MAX_S = 60,	/* of two threads one may see the earlier time */
	TRIES = 4,
	NAME_MAX_BYTES = 512,
	SOURCES_MAX = 16,
};

/* ---- parameters ---- */

static const char *const strategies[] = {
	[SESSION_TOKEN] = "encoded_endpoint_header",
	[SESSION_ID] = "session_id", NULL,
};

/* What llm-d's plugin of that name looks for, in its order. */
static const char *const agent_identity[] = {
	"x-claude-code-session-id", "x-session-affinity", "session-id",
	"session_id", NULL,
};

static int check_source(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct session_source *s = out;

	if ((s->header == NULL) == (s->attribute == NULL)) {
		fault_set(in->why, in->file, map->line,
		    "a source of session ids with neither, or both",
		    "header or attribute");
		return -EINVAL;
	}
	if (s->attribute == NULL || strcmp(s->attribute, "agent-identity") == 0)
		return 0;
	fault_setf(in->why, in->file, map->line, "attribute: %.100s",
	    s->attribute);
	fault_want(in->why, "agent-identity, or header: with its name");
	return -EINVAL;
}

#define SOURCE(field) offsetof(struct session_source, field)

static const struct conf_row source_rows[] = {
	{ .key = "header", .decode = conf_string, .offset = SOURCE(header),
	  .help = "of the request" },
	{ .key = "attribute", .decode = conf_string,
	  .offset = SOURCE(attribute),
	  .help = "agent-identity: the headers that coding agents send" },
	{ .key = "producer", .decode = conf_string, .offset = SOURCE(unused),
	  .help = "without effect" },
};

static const struct conf_table source_table = {
	.what = "a source of session ids",
	.size = sizeof(struct session_source),
	.rows = source_rows,
	.n_rows = sizeof(source_rows) / sizeof(*source_rows),
	.check = check_source,
};

#define SESSION(field) offsetof(struct session_params, field)

/* Sections that decode into the struct they stand in: their offset is 0. */
static const struct conf_row token_rows[] = {
	{ .key = "header", .decode = conf_string, .preset = "x-session-token",
	  .offset = SESSION(token_header), .help = "that names the endpoint" },
};

static const struct conf_table token_table = {
	.what = "encodedEndpointHeaderConfig",
	.rows = token_rows,
	.n_rows = sizeof(token_rows) / sizeof(*token_rows),
};

static const struct conf_row id_rows[] = {
	{ .key = "sources", .decode = conf_list, .table = &source_table,
	  .max = SOURCES_MAX, .offset = SESSION(sources),
	  .offset_n = SESSION(n_sources),
	  .help = "the first that is there; header: x-session-id" },
	{ .key = "evictionTtlSeconds", .decode = conf_fraction,
	  .preset = "300", .min = 1, .max = TTL_MAX_S,
	  .offset = SESSION(ttl_s),
	  .help = "a session unused for longer is forgotten" },
	{ .key = "evictionSweepSeconds", .decode = conf_fraction,
	  .preset = "10", .offset = SESSION(unused_sweep_s),
	  .help = "none is swept, none outlives its time: without effect" },
};

static const struct conf_table id_table = {
	.what = "sessionIdConfig",
	.rows = id_rows,
	.n_rows = sizeof(id_rows) / sizeof(*id_rows),
};

static const struct conf_row rows[] = {
	{ .key = "strategy", .decode = conf_enum,
	  .preset = "encoded_endpoint_header", .names = strategies,
	  .offset = SESSION(strategy),
	  .help = "encoded_endpoint_header or session_id" },
	{ .key = "encodedEndpointHeaderConfig", .decode = conf_section,
	  .preset = "{}", .table = &token_table, .help = "a map of:" },
	{ .key = "sessionIdConfig", .decode = conf_section, .preset = "{}",
	  .table = &id_table, .help = "a map of:" },
	{ .key = "profileName", .decode = conf_string,
	  .offset = SESSION(profile),
	  .help = "sessions of another name are others" },
};

const struct conf_table session_table = {
	.what = "session affinity",
	.size = sizeof(struct session_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

/* ---- encoded_endpoint_header ---- */

static int sextet(char ch)
{
	if (ch >= 'A' && ch <= 'Z')
		return ch - 'A';
	if (ch >= 'a' && ch <= 'z')
		return ch - 'a' + 26;
	if (ch >= '0' && ch <= '9')
		return ch - '0' + 52;
	return ch == '+' ? 62 : ch == '/' ? 63 : -1;
}

/* RFC 4648 section 4, with its padding. False: it is none, or longer than a name. */
static bool decode_base64(struct span in, char *out, size_t *len)
{
	size_t pad = 0, n = 0;
	uint32_t bits = 0;

	if (in.len == 0 || in.len % 4 != 0 || in.len / 4 * 3 > NAME_MAX_BYTES)
		return false;
	while (pad < 2 && in.ptr[in.len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < in.len; i++) {
		int v = i < in.len - pad ? sextet(in.ptr[i]) : 0;

		if (v < 0)
			return false;
		bits = bits << 6 | (uint32_t)v;
		if (i % 4 != 3)
			continue;
		for (int shift = 16; shift >= 0; shift -= 8)
			out[n++] = (char)(bits >> shift & 0xff);
	}
	*len = n - pad;
	return true;
}

static size_t row_of(const struct endpoint_view *view, struct span name)
{
	size_t row = endpoint_find(view, name);
	const char *slash = row == view->n_endpoints && name.len > 0 ?
	    memrchr(name.ptr, '/', name.len) : NULL;

	if (slash == NULL)
		return row;
	return endpoint_find(view, (struct span){ slash + 1,
		(size_t)(name.ptr + name.len - (slash + 1)) });
}

/* A name may look like base64 of something: the one that exists is meant. */
static size_t row_of_token(const struct choice *c, const char *header)
{
	char name[NAME_MAX_BYTES];
	struct span token;
	size_t len, row = c->view->n_endpoints;

	if (!request_header(c->request, header, &token))
		return row;
	if (decode_base64(token, name, &len))
		row = row_of(c->view, (struct span){ name, len });
	return row < c->view->n_endpoints ? row : row_of(c->view, token);
}

static size_t candidate_of_row(const struct choice *c, size_t row)
{
	size_t i = 0;

	while (i < c->n && c->rows[i] != row)
		i++;
	return i;
}

/* ---- session_id ---- */

static bool header_id(const struct choice *c, const char *name,
    struct span *id)
{
	return request_header(c->request, name, id) && id->len > 0;
}

static bool source_id(const struct choice *c, const struct session_source *s,
    struct span *id)
{
	if (s->header != NULL)
		return header_id(c, s->header, id);
	for (size_t i = 0; agent_identity[i] != NULL; i++)
		if (header_id(c, agent_identity[i], id))
			return true;
	return false;
}

/* False: the request is of no session. */
static bool key_of(const struct choice *c, const struct session_params *p,
    uint64_t *key)
{
	struct span profile = span_of(p->profile), id;
	bool found = p->n_sources == 0 && header_id(c, "x-session-id", &id);

	for (size_t i = 0; i < p->n_sources && !found; i++)
		found = source_id(c, &p->sources[i], &id);
	if (found)
		*key = hash_bytes(id.ptr, id.len, profile.len > 0 ?
		    hash_bytes(profile.ptr, profile.len, 0) : 0);
	return found;
}

static uint64_t tag_of(uint64_t key)
{
	return key >> 40 != 0 ? key >> 40 : 1;	/* a word of 0 is none */
}

static uint64_t word_of(uint64_t key, const struct endpoint_view *view,
    uint16_t slot, int64_t now_ms)
{
	uint64_t generation = live_generation(&view->live[slot]) & 0xff;

	return tag_of(key) << 40 | (uint64_t)slot << 24 | generation << 16 |
	    (uint16_t)(now_ms / 1000);
}

static uint16_t slot_of(uint64_t word)
{
	return (uint16_t)(word >> 24);
}

/* In seconds. */
static uint16_t age_of(uint64_t word, int64_t now_ms)
{
	uint16_t age = (uint16_t)(now_ms / 1000) - (uint16_t)word;

	return age <= UINT16_MAX - LATE_MAX_S ? age : 0;
}

static bool is_alive(uint64_t word, const struct session_params *p,
    int64_t now_ms)
{
	return word != 0 && (float)age_of(word, now_ms) <= p->ttl_s;
}

static _Atomic uint64_t *set_of(const struct choice *c, uint64_t key)
{
	return &c->view->pool_live->sessions[key % SETS * SET_WORDS];
}

/* The session's word, alive or not; or where it may be put: never NULL. */
static _Atomic uint64_t *place_of(const struct choice *c, uint64_t key,
    uint64_t *word)
{
	_Atomic uint64_t *set = set_of(c, key), *oldest = set;
	uint64_t seen;

	*word = atomic_load_explicit(set, memory_order_relaxed);
	for (size_t i = 0; i < SET_WORDS; i++) {
		seen = atomic_load_explicit(&set[i], memory_order_relaxed);
		if (seen >> 40 == tag_of(key)) {
			*word = seen;
			return &set[i];
		}
		if (*word != 0 && (seen == 0 ||
			age_of(seen, c->now_ms) > age_of(*word, c->now_ms))) {
			*word = seen;
			oldest = &set[i];
		}
	}
	return oldest;
}

/* The candidate that a word names; c->n when it is another's, or none of them. */
static size_t candidate_of(const struct choice *c,
    const struct session_params *p, uint64_t key, uint64_t word)
{
	size_t i = 0;

	if (word >> 40 != tag_of(key) || !is_alive(word, p, c->now_ms))
		return c->n;
	while (i < c->n && c->view->stats[c->rows[i]].slot != slot_of(word))
		i++;
	if (i < c->n && (live_generation(endpoint_live(c->view, c->rows[i])) &
		0xff) != (word >> 16 & 0xff))
		return c->n;
	return i;
}

static bool has_memory(const struct choice *c)
{
	return c->view->pool_live != NULL &&
	    c->view->pool_live->sessions != NULL;
}

size_t session_find(const struct choice *c, const struct session_params *p)
{
	uint64_t key, word;

	if (p->strategy == SESSION_TOKEN)
		return candidate_of_row(c, row_of_token(c, p->token_header));
	if (!has_memory(c) || !key_of(c, p, &key))
		return c->n;
	place_of(c, key, &word);
	return candidate_of(c, p, key, word);
}

/* Another thread may be at the same words: then look again, it may be the session's. */
void session_picked(const struct choice *c, const void *params,
    uint32_t winner)
{
	const struct session_params *p = params;
	uint16_t slot = c->view->stats[c->rows[winner]].slot;
	uint64_t key, word, next;

	if (p->strategy == SESSION_TOKEN || !has_memory(c) ||
	    !key_of(c, p, &key))
		return;
	next = word_of(key, c->view, slot, c->now_ms);
	for (int tries = 0; tries < TRIES; tries++) {
		_Atomic uint64_t *at = place_of(c, key, &word);
		size_t was = candidate_of(c, p, key, word);

		if (word == next || (was < c->n && was != winner) ||
		    atomic_compare_exchange_strong_explicit(at, &word, next,
			memory_order_relaxed, memory_order_relaxed))
			return;
	}
}
