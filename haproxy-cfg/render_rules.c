/*
 * render_rules.c - a rule → where it leads: one backend, or several by weight
 *
 * A rule's name is made of whose it is, so it stays when its backends change: then one
 * map entry moves, for all matches at once. A split is named by what it consists of:
 * a new one is laid beside the old one before the rule's entry moves, and no request
 * ever sees half of one.
 */
#include <stdio.h>
#include <string.h>

#include "render_parts.h"
#include "words.h"

static bool edits_prefix(const struct plan_filters *f)
{
	return (f->redirect != NULL &&
	    f->redirect->path_edit == PLAN_PATH_PREFIX_MATCH) ||
	    (f->rewrite != NULL &&
		f->rewrite->path_edit == PLAN_PATH_PREFIX_MATCH);
}

/* Only then does it matter which of its matches led to the rule. */
static bool depends_on_prefix(const struct plan_rule *rule)
{
	bool yes = edits_prefix(&rule->filters);

	for (size_t i = 0; i < rule->n_targets; i++)
		yes |= edits_prefix(&rule->targets[i].filters);
	return yes;
}

static void put_identity(struct buf *b, const struct plan_rule *rule,
    const char *prefix, enum backend_mode mode)
{
	buf_put(b, (const char[]){ (char)mode, (char)rule->ref.kind }, 2);
	buf_put(b, &rule->ref.index, sizeof(rule->ref.index));
	buf_puts(b, rule->ref.namespace);
	buf_puts(b, "/");
	buf_puts(b, rule->ref.name);
	buf_puts(b, "|");
	buf_puts(b, prefix);
}

static size_t count_active(const struct plan_rule *rule,
    const struct plan_target **last)
{
	size_t n = 0;

	for (size_t i = 0; i < rule->n_targets; i++)
		if (rule->targets[i].weight > 0) {
			*last = &rule->targets[i];
			n++;
		}
	return n;
}

/* ---- splits ------------------------------------------------------------- */

struct share {
	const char *backend;
	uint64_t weight;
	unsigned buckets;
	uint64_t rest;		/* what rounding down left */
};

/*
 * Largest remainder: each weight gets its part of RENDER_BUCKETS rounded down, at
 * least one, and what is left goes to the largest remainders, the first of equals.
 */
static void allot(struct share *s, size_t n)
{
	uint64_t total = 0;
	size_t left = RENDER_BUCKETS;

	for (size_t i = 0; i < n; i++)
		total += s[i].weight;
	for (size_t i = 0; i < n; i++) {
		uint64_t part = s[i].weight * RENDER_BUCKETS;

		s[i].buckets = (unsigned)(part / total);
		s[i].rest = part % total;
		if (s[i].buckets == 0) {
			s[i].buckets = 1;
			s[i].rest = 0;
		}
		left -= s[i].buckets <= left ? s[i].buckets : left;
	}
	while (left > 0) {
		size_t most = 0;

		for (size_t i = 1; i < n; i++)
			if (s[i].rest > s[most].rest)
				most = i;
		s[most].buckets++;
		s[most].rest = 0;
		left--;
	}
}

/* D/bucket → index; the same for all splits of equal weights. */
static const char *put_buckets(struct render *r, const struct share *s,
    size_t n)
{
	struct id *id;
	char key[48], value[24];
	unsigned bucket = 0;

	for (size_t i = 0; i < n; i++)
		buf_printf(&r->content, "%u,", s[i].buckets);
	id = render_id(r, 'D');
	if (id->data != NULL)
		return id->name;
	id->data = id;
	for (size_t i = 0; i < n; i++)
		for (unsigned k = 0; k < s[i].buckets &&
		    bucket < RENDER_BUCKETS; k++) {
			snprintf(key, sizeof(key), "%s/%u", id->name,
			    bucket++);
			snprintf(value, sizeof(value), "%zu", i);
			output_map_add(r->out, MAP_SPLIT, key, value);
		}
	return id->name;
}

static const char *put_split(struct render *r, const struct share *s, size_t n)
{
	const char *buckets = put_buckets(r, s, n);
	struct id *id;
	char key[48];

	buf_puts(&r->content, buckets);
	for (size_t i = 0; i < n; i++)
		buf_printf(&r->content, "|%s", s[i].backend);
	id = render_id(r, 'T');
	if (id->data != NULL)
		return id->name;
	id->data = id;
	output_map_add(r->out, MAP_SPLIT, id->name, buckets);
	for (size_t i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "%s/%zu", id->name, i);
		output_map_add(r->out, MAP_RULE, key, s[i].backend);
	}
	return id->name;
}

static const char *split(struct render *r, const struct plan_rule *rule,
    const char *prefix, enum backend_mode mode, size_t n)
{
	struct share *s = render_alloc(r, n * sizeof(*s));
	size_t k = 0;

	if (s == NULL)
		return "";
	if (rule->session != NULL)
		render_problem(r, &rule->ref, "UnsupportedValue",
		    "sessionPersistence holds within each backendRef; which of "
		    "them a request goes to is chosen by weight each time");
	for (size_t i = 0; i < rule->n_targets; i++) {
		const struct plan_target *t = &rule->targets[i];

		if (t->weight == 0)
			continue;
		s[k].backend = render_backend(r, rule, t, prefix, mode);
		s[k++].weight = t->weight;
	}
	allot(s, n);
	return put_split(r, s, n);
}

/* ---- rules -------------------------------------------------------------- */

static const char *lead(struct render *r, const struct plan_rule *rule,
    const char *prefix, enum backend_mode mode)
{
	const struct plan_target *only = NULL;
	size_t n = count_active(rule, &only);

	if (rule->filters.redirect != NULL)
		return render_backend(r, rule, NULL, prefix, mode);
	if (n > 1)
		return split(r, rule, prefix, mode, n);
	if (n == 1)
		return render_backend(r, rule, only, prefix, mode);
	return mode == BACKEND_HTTP ? render_backend_500 :
	    render_backend_reset;
}

const char *render_rule(struct render *r, const struct plan_rule *rule,
    const struct plan_match *match, enum backend_mode mode)
{
	const char *prefix = "";
	struct id *id;

	if (mode == BACKEND_HTTP && match->path_type == PLAN_PATH_PREFIX &&
	    depends_on_prefix(rule))
		prefix = match->path;
	put_identity(&r->content, rule, prefix, mode);
	id = render_id(r, 'R');
	if (id->data == NULL && !r->failed) {
		id->data = (void *)(uintptr_t)rule;
		render_table_row(r, id->name, &rule->ref, true);
		output_map_add(r->out, MAP_RULE, id->name,
		    lead(r, rule, prefix, mode));
	}
	return id->name;
}
