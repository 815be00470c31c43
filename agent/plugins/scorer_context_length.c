/*
 * scorer_context_length.c - endpoints made for prompts of this length: scorer, filter
 *
 * A label (llm-d.ai/context-length-range) says "min-max", in tokens, ends included:
 *
 *	within	0.3 + 0.7 * (0.7 / (1 + width / 10000) + 0.3 * (max - length) / width)
 *		and 1 where the width is 0: narrow ranges first, and room above
 *	outside	0.3 / (1 + distance / 1000), less than any within
 *	no label 0.5;  a label that is no range 0
 *
 * The filter does nothing without enableFiltering; with it, it keeps those within and
 * those without the label. Nobody left: 429. Source: llm-d-router, filter and scorer
 * "context-length-aware". A length is an estimate as there: four bytes are one token,
 * and what of a body we could not see counts too.
 */
#include "plugins/plugins.h"

#include "conf.h"
#include "endpoints.h"
#include "plugins/label.h"
#include "prompt.h"
#include "request.h"

struct length_params {
	const char *label;
	bool is_filtering;
};

static const struct conf_row rows[] = {
	{ .key = "label", .decode = conf_string,
	  .preset = "llm-d.ai/context-length-range",
	  .offset = offsetof(struct length_params, label),
	  .help = "whose value is min-max, as 0-2048" },
	{ .key = "enableFiltering", .decode = conf_bool, .preset = "false",
	  .offset = offsetof(struct length_params, is_filtering),
	  .help = "leave those out that are not made for it" },
};

static const struct conf_table table = {
	.what = "context-length-aware",
	.size = sizeof(struct length_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

enum { MEMO = 16 };

struct range {
	uint64_t min, max;
};

static const char *skip_blanks(const char *at)
{
	while (*at == ' ')
		at++;
	return at;
}

/* Moves behind the number and blanks around it; NULL when there is none. */
static const char *take_number(const char *at, uint64_t *out)
{
	uint64_t n = 0;
	const char *begin = skip_blanks(at);

	for (at = begin; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*at - '0'), &n))
			return NULL;
	*out = n;
	return at > begin ? skip_blanks(at) : NULL;
}

static bool parse_range(const char *text, struct range *r)
{
	text = take_number(text, &r->min);
	if (text == NULL || *text != '-')
		return false;
	text = take_number(text + 1, &r->max);
	return text != NULL && *text == '\0' && r->min <= r->max;
}

static uint64_t length_of(const struct request *r)
{
	return request_prompt_bytes(r) / PROMPT_TOKEN_BYTES;
}

static bool is_within(const struct range *r, uint64_t length)
{
	return length >= r->min && length <= r->max;
}

static float fit(const struct range *r, uint64_t length)
{
	uint64_t width = r->max - r->min;

	if (!is_within(r, length))
		return 0.3f / (1.0f + (float)(length > r->max ?
		    length - r->max : r->min - length) / 1000.0f);
	if (width == 0)
		return 1.0f;
	return 0.3f + 0.7f * (0.7f / (1.0f + (float)width / 10000.0f) +
	    0.3f * ((float)(r->max - length) / (float)width));
}

static const char *label_at(const struct choice *c, size_t i,
    const struct label_key *key)
{
	return label_find(&c->view->endpoints[c->rows[i]], key);
}

static float score_of(const char *label, uint64_t length)
{
	struct range range;

	if (label == NULL)
		return 0.5f;
	return parse_range(label, &range) ? fit(&range, length) : 0.0f;
}

/* What a few labels came to. A pool has a handful, on thousands of endpoints. */
struct memo {
	uint64_t ids[MEMO];
	float scores[MEMO];
};

static void length_score(const struct choice *choice, const void *params,
    float *out)
{
	const struct length_params *p = params;
	const struct choice c = *choice;
	const struct label_key key = label_key(c.view, p->label);
	uint64_t length = length_of(c.request);
	struct memo memo;

	for (size_t k = 0; k < MEMO; k++)
		memo.ids[k] = k + 1;	/* of an id that belongs elsewhere */
	for (size_t i = 0; i < c.n; i++) {
		uint64_t id = label_id_at(&c, i, &key);
		size_t at = id % MEMO;

		if (memo.ids[at] != id) {
			memo.ids[at] = id;
			memo.scores[at] = score_of(label_at(&c, i, &key),
			    length);
		}
		out[i] = memo.scores[at];
	}
}

static void length_filter(const struct choice *c, const void *params,
    bool *keep)
{
	const struct length_params *p = params;
	const struct label_key key = label_key(c->view, p->label);
	uint64_t length = length_of(c->request);
	struct range range;

	for (size_t i = 0; p->is_filtering && i < c->n; i++) {
		const char *label = label_at(c, i, &key);

		keep[i] = label == NULL || (parse_range(label, &range) &&
		    is_within(&range, length));
	}
}

const struct scorer scorer_context_length = {
	.name = "context-length-aware",
	.params = &table,
	.score = length_score,
};

const struct filter filter_context_length = {
	.name = "context-length-aware",
	.params = &table,
	.filter = length_filter,
};
