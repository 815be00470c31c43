/*
 * status_since.c - the table of the last writing, and that of this one
 */
#include "status_since.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hash.h"
#include "status.h"

enum { FIRST_SLOTS = 256, TIME_BYTES = 24 };

/* Thousands of routes have tens of thousands of these. */
struct moment {
	uint64_t key;		/* 0: free */
	uint64_t status : 8, since_s : 56;
};

struct table {
	struct moment *slots;	/* half full at most */
	size_t n_slots, n;
};

struct status_since {
	struct table before, here;
	int64_t now_s;
	int64_t text_s;		/* what `text` says */
	char text[TIME_BYTES];
};

struct status_since *status_since_new(void)
{
	return calloc(1, sizeof(struct status_since));
}

void status_since_free(struct status_since *s)
{
	if (s == NULL)
		return;
	free(s->before.slots);
	free(s->here.slots);
	free(s);
}

void status_since_begin(struct status_since *s, int64_t now_s)
{
	free(s->before.slots);
	s->before = s->here;
	s->here = (struct table){ .n = 0 };
	s->now_s = now_s;
}

/* Where the key is or would go; NULL: the table is empty. */
static struct moment *slot_of(const struct table *t, uint64_t key)
{
	size_t at = key & (t->n_slots - 1);

	if (t->n_slots == 0)
		return NULL;
	while (t->slots[at].key != 0 && t->slots[at].key != key)
		at = (at + 1) & (t->n_slots - 1);
	return &t->slots[at];
}

static bool grow(struct table *t)
{
	struct table larger = { .n = t->n,
		.n_slots = t->n_slots > 0 ? 2 * t->n_slots : FIRST_SLOTS };

	larger.slots = calloc(larger.n_slots, sizeof(*larger.slots));
	if (larger.slots == NULL)
		return false;
	for (size_t i = 0; i < t->n_slots; i++)
		if (t->slots[i].key != 0)
			*slot_of(&larger, t->slots[i].key) = t->slots[i];
	free(t->slots);
	*t = larger;
	return true;
}

static uint64_t key_of(const struct object *o, const char *where, size_t index,
    const struct condition *c)
{
	uint64_t key = hash_bytes(o->namespace, strlen(o->namespace),
	    (uint64_t)o->kind);

	key = hash_bytes(o->name, strlen(o->name), key);
	key = hash_bytes(where, strlen(where), key);
	key = hash_pair(hash_bytes(c->type, strlen(c->type), key), index);
	return key != 0 ? key : 1;
}

/* One after the other is mostly the same. */
static const char *text_of(struct status_since *s, int64_t at_s)
{
	time_t at = (time_t)at_s;
	struct tm tm;

	if (at_s == s->text_s && *s->text != '\0')
		return s->text;
	s->text_s = at_s;
	if (gmtime_r(&at, &tm) == NULL ||
	    strftime(s->text, sizeof(s->text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		s->text[0] = '\0';
	return s->text;
}

static bool put(struct status_since *s, uint64_t key,
    enum condition_status status, int64_t since_s)
{
	struct moment *at;

	if (s->here.n >= s->here.n_slots / 2 && !grow(&s->here))
		return false;
	at = slot_of(&s->here, key);
	s->here.n += at->key == 0;
	*at = (struct moment){ .key = key, .status = status,
		.since_s = (uint64_t)since_s };
	return true;
}

void status_since_recall(struct status_since *s, const struct object *o,
    const char *where, size_t index, const struct condition *c,
    int64_t since_s)
{
	put(s, key_of(o, where, index, c), c->status, since_s);
}

const char *status_since_get(struct status_since *s, const struct object *o,
    const char *where, size_t index, const struct condition *c)
{
	uint64_t key = key_of(o, where, index, c);
	const struct moment *old = slot_of(&s->before, key);
	int64_t since_s = old != NULL && old->key == key &&
	    old->status == c->status ? (int64_t)old->since_s : s->now_s;

	return text_of(s, put(s, key, c->status, since_s) ? since_s :
	    s->now_s);
}
