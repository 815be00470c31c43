/*
 * picker_config_tell.c - what is told of each entry of `plugins:`
 *
 * One line each, once it is known who is used: what its type says of itself, unless the
 * pool takes another one of its kind.
 */
#include "picker_config_parts.h"

#include <stdio.h>
#include <string.h>

#include "arena.h"

static bool has_opinion(const struct entry *e)
{
	return e->filter != NULL || e->scorer != NULL || e->picker != NULL ||
	    e->handler != NULL || e->decider != NULL;
}

/* It names a producer of prefixes, and another one is the pool's. */
static bool reads_another(const struct decoding *d, const struct entry *e)
{
	const struct entry *from = e->prefixes != NULL ?
	    picker_config_find(d, e->prefixes) : NULL;

	return from != NULL && from->other != NULL && !from->is_taken &&
	    (from->other->role == OTHER_PREFIX ||
		from->other->role == OTHER_PRECISE);
}

/* Both in one line, since there is one for each entry; without memory, the news. */
static const char *joined(const struct decoding *d, const char *news,
    const char *differs)
{
	size_t len = strlen(news) + strlen("; ") + strlen(differs) + 1;
	char *text = arena_alloc(d->in->arena, len);

	if (text == NULL)
		return news;
	snprintf(text, len, "%s; %s", news, differs);
	return text;
}

static const char one_index[] =
    "a pool has one prefix index: it reads that one, not its producer's";

static void tell_opinion(struct decoding *d, const struct entry *e)
{
	const char *differs = NULL, *const each[] = {
		e->filter != NULL ? e->filter->differs : NULL,
		e->scorer != NULL ? e->scorer->differs : NULL,
		e->picker != NULL ? e->picker->differs : NULL,
		e->handler != NULL ? e->handler->differs : NULL,
		e->decider != NULL ? e->decider->differs : NULL,
	};

	for (size_t i = 0; i < sizeof(each) / sizeof(*each); i++)
		if (differs == NULL)
			differs = each[i];
	if (reads_another(d, e))
		differs = differs != NULL ? joined(d, one_index, differs) :
		    one_index;
	picker_config_tell(d, e->type.line, differs != NULL ?
	    MIGRATION_APPROXIMATE : MIGRATION_EXACT, e->type.name, differs);
}

/* Of some roles the pool takes one; a producer works by being listed. */
static bool is_left_over(const struct entry *e)
{
	return e->other->role >= OTHER_FIRST_TAKEN && !e->is_taken;
}

static void tell_left_over(struct decoding *d, const struct entry *e)
{
	if (e->is_referred || e->other->role == OTHER_PREFIX ||
	    e->other->role == OTHER_PRECISE)
		picker_config_tell(d, e->type.line, MIGRATION_NOT_HONOURED,
		    e->type.name, "another one of its kind is used");
	else
		picker_config_tell(d, e->type.line, MIGRATION_EXACT,
		    e->type.name, "nothing refers to it");
}

static bool is_harmless(const struct entry *e)
{
	const struct usage_limit *limit = e->other_params;

	return e->other->role == OTHER_USAGE_LIMIT && limit != NULL &&
	    limit->threshold == 1.0f;
}

/* With a service that is asked, or sizes of images: what becomes of it. */
static bool tell_tokens(struct decoding *d, const struct entry *e)
{
	const struct token_producer *p = e->other_params;

	if (e->other->role != OTHER_TOKENS || p == NULL ||
	    !(p->is_asked || p->sizes_media))
		return false;
	if (!p->is_asked)
		picker_config_tell(d, e->type.line, MIGRATION_APPROXIMATE,
		    e->type.name, "tokens are estimated, 4 bytes each; an image "
		    "or a video counts as a few, whatever its size");
	else if (e->is_taken)
		picker_config_tell(d, e->type.line, MIGRATION_APPROXIMATE,
		    e->type.name, "its service is asked after the pick, so "
		    "that no request waits for it: the next one with that prefix "
		    "is matched by token ids");
	else
		picker_config_tell(d, e->type.line, MIGRATION_APPROXIMATE,
		    e->type.name, "its service is not asked: without "
		    "precise-prefix-cache-producer tokens are estimated, 4 bytes "
		    "each, as its `estimate` backend");
	return true;
}

static void tell_other(struct decoding *d, const struct entry *e)
{
	if (is_left_over(e))
		tell_left_over(d, e);
	else if (tell_tokens(d, e))
		return;
	else if (is_harmless(e))
		picker_config_tell(d, e->type.line, MIGRATION_EXACT,
		    e->type.name, NULL);
	else
		picker_config_tell(d, e->type.line, e->other->verdict,
		    e->type.name, e->other->note);
}

void picker_config_tell_plugins(struct decoding *d)
{
	for (size_t i = 0; i < d->doc.n_entries; i++) {
		const struct entry *e = &d->doc.entries[i];

		if (has_opinion(e) && (e->other == NULL || e->is_in_profile))
			tell_opinion(d, e);
		if (e->other != NULL && !(has_opinion(e) && e->is_in_profile &&
			is_left_over(e)))
			tell_other(d, e);
	}
}
