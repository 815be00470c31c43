/*
 * picker_config.c - decode the document, part by part; report; put it into the pool
 */
#include "picker_config_parts.h"

#include <string.h>

#include "arena.h"
#include "log.h"
#include "must.h"

/* ---- decoding ---- */

/*
 * Beyond a line for each entry, profile and gate: of sections and keys, of what is there
 * by default, of two entries that score or filter too. Ten at most.
 */
enum { OTHER_LINES = 12 };

static int begin(struct decoding *d)
{
	struct arena *arena = d->in->arena;

	d->config = arena_zalloc(arena, sizeof(*d->config));
	if (d->config == NULL)
		return conf_no_memory(d->in);
	d->config->file = arena_copy(arena, d->in->file, strlen(d->in->file));
	return d->config->file != NULL ? 0 : conf_no_memory(d->in);
}

static size_t most_lines(const struct document *doc)
{
	return doc->n_entries + doc->n_profiles + doc->n_gates + OTHER_LINES;
}

static int make_lines(struct decoding *d)
{
	d->config->lines = arena_zalloc(d->in->arena,
	    most_lines(&d->doc) * sizeof(*d->config->lines));
	return d->config->lines != NULL ? 0 : conf_no_memory(d->in);
}

/* Each where it belongs; of those of one line, the first that was told. */
void picker_config_tell(struct decoding *d, unsigned line,
    enum migration verdict, const char *what, const char *note)
{
	struct picker_config *c = d->config;
	size_t at = c->n_lines;

	must(c->n_lines < most_lines(&d->doc));
	for (; at > 0 && c->lines[at - 1].line > line; at--)
		c->lines[at] = c->lines[at - 1];
	c->lines[at] = (struct migration_line){ line, verdict, what, note };
	c->n_lines++;
}

int picker_config_decode(const struct conf_input *in, const struct conf *root,
    struct picker_config **out)
{
	struct decoding d = { .in = in, .root = root };
	int err = begin(&d);

	if (err == 0)
		err = conf_decode(in, &document_table, root, &d.doc);
	if (err == 0)
		err = make_lines(&d);
	if (err == 0)
		err = picker_config_resolve(&d);
	if (err == 0)
		err = picker_config_build_schedule(&d);
	if (err == 0)
		err = picker_config_take(&d);
	if (err != 0)
		return err;
	picker_config_tell_plugins(&d);
	*out = d.config;
	return 0;
}

/* ---- the report ---- */

static const char *const verdicts[] = {
	[MIGRATION_EXACT] = "exact", [MIGRATION_APPROXIMATE] = "approximate",
	[MIGRATION_NOT_HONOURED] = "not honoured",
};

void picker_config_report(const struct picker_config *c, FILE *out)
{
	for (size_t i = 0; i < c->n_lines; i++) {
		const struct migration_line *l = &c->lines[i];

		fprintf(out, "%s:%u: %s: %s%s%s\n", c->file, l->line,
		    verdicts[l->verdict], l->what, l->note != NULL ? ": " : "",
		    l->note != NULL ? l->note : "");
	}
}

void picker_config_warn(const struct picker_config *c, const char *pool)
{
	for (size_t i = 0; i < c->n_lines; i++)
		if (c->lines[i].verdict == MIGRATION_NOT_HONOURED)
			log_warn("scheduling.not_honoured", "pool=%s "
			    "file=\"%s\" line=%u what=\"%s\" note=\"%s\"", pool, c->file,
			    c->lines[i].line, c->lines[i].what,
			    c->lines[i].note != NULL ? c->lines[i].note : "");
}

/* ---- into the pool ---- */

/* Keys of the pool's sections that the document has no word for. */
static const struct {
	const char *section;
	const char *keys[6];
} ours[] = {
	{ "prefix", { "maxBytes", "snapshot", "snapshotMaxAge", "kvEvents",
		"tokenizer" } },
	{ "saturation", { "retryAfter" } },
	{ "metrics", { "enabled", "interval", "timeout", "staleAfter",
		"maxBytes" } },
	{ "flowControl", { NULL } },
};

static bool says(const struct picker_config *c, const char *section)
{
	return (strcmp(section, "prefix") == 0 && c->prefix != NULL) ||
	    (strcmp(section, "saturation") == 0 && c->saturation != NULL) ||
	    (strcmp(section, "metrics") == 0 && c->scrape != NULL) ||
	    (strcmp(section, "flowControl") == 0 && c->flow != NULL);
}

static bool is_ours(const struct picker_config *c, size_t i, const char *key)
{
	if (c->scrape != NULL && c->scrape->interval_ms != 0 &&
	    strcmp(key, "interval") == 0)
		return false;
	for (size_t k = 0; ours[i].keys[k] != NULL; k++)
		if (strcmp(ours[i].keys[k], key) == 0)
			return true;
	return false;
}

const struct conf *picker_config_overlap(const struct picker_config *c,
    const struct conf *pool)
{
	const struct conf *section = conf_child(pool, "engine");

	if (c->engine != NULL && conf_is_given(section))
		return section;
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		section = conf_child(pool, ours[i].section);
		if (!says(c, ours[i].section) || !conf_is_given(section))
			continue;
		for (const struct conf *k = section->children; k != NULL;
		    k = k->next)
			if (conf_is_given(k) && !is_ours(c, i, k->key))
				return k;
	}
	return NULL;
}

static void apply_scrape(const struct picker_config *c,
    struct scrape_options *to)
{
	const struct scrape_source *from = c->scrape;

	if (c->never_scrapes)
		to->enabled = false;
	if (from == NULL)
		return;
	to->https = from->https;
	to->path = from->path;
	to->port = from->port;
	if (from->interval_ms > 0)
		to->interval_ms = from->interval_ms;
	to->insecure_skip_verify = from->insecure_skip_verify;
	to->ca_file = from->ca_file;
}

void picker_config_apply(const struct picker_config *c,
    struct pool_options *pool)
{
	struct prefix_options kept = pool->prefix;
	int64_t retry_after_s = pool->saturation.retry_after_s;

	pool->schedule = c->schedule;
	if (c->prefix != NULL) {
		pool->prefix = *c->prefix;
		pool->prefix.max_bytes = kept.max_bytes;
		pool->prefix.snapshot = kept.snapshot;
		pool->prefix.snapshot_max_age_ms = kept.snapshot_max_age_ms;
		if (kept.kv.enabled)	/* said of the approximate one */
			pool->prefix.kv = kept.kv;
		if (kept.tokenizer.enabled)
			pool->prefix.tokenizer = kept.tokenizer;
	}
	if (c->saturation != NULL) {
		pool->saturation = *c->saturation;
		pool->saturation.retry_after_s = retry_after_s;
	}
	if (c->flow != NULL)
		pool->flow = *c->flow;
	if (c->engine != NULL)
		pool->engine = c->engine;
	apply_scrape(c, &pool->scrape);
}
