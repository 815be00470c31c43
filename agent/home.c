/*
 * home.c - a slot, and copies of all that names the endpoint
 */
#include "home.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "discover.h"
#include "log.h"
#include "pool.h"
#include "prefix.h"
#include "span.h"
#include "warm.h"

static bool slot_take(struct pool *p, uint16_t *slot)
{
	if (p->n_free > 0)
		*slot = p->free_slots[--p->n_free];
	else if (p->n_slots < PREFIX_SLOTS_MAX)
		*slot = (uint16_t)p->n_slots++;
	else
		return false;
	return true;
}

static void home_free_strings(struct home *h)
{
	for (size_t i = 0; i < h->n_labels; i++) {
		free((char *)h->labels[i].key);
		free((char *)h->labels[i].value);
	}
	free(h->labels);
	free(h->label_ids);
	free(h->name);
	free(h->host);
	free(h->address);
	free(h->addr_text);
	free(h);
}

void home_unref(struct home *h)
{
	struct pool *p;

	if (h == NULL || --h->refs > 0)
		return;
	p = h->pool;
	prefix_leave(p->prefix, h->slot);
	live_renew(&p->live[h->slot]);
	pace_renew(&pool_live_of(p->live)->pace[h->slot]);
	p->free_slots[p->n_free++] = h->slot;
	home_free_strings(h);
	pool_unref(p);
}

static char *copy(const char *s)
{
	return s != NULL ? strdup(s) : NULL;
}

static char *addr_text(const struct endpoint_spec *s)
{
	char *text;
	bool is_v6;

	if (s->address == NULL)
		return strdup("");
	is_v6 = strchr(s->address, ':') != NULL;
	return asprintf(&text, is_v6 ? "[%s]:%u" : "%s:%u", s->address,
	    s->port) < 0 ? NULL : text;
}

static bool copy_labels(struct home *h, const struct endpoint_spec *s)
{
	if (s->n_labels == 0)
		return true;
	h->labels = calloc(s->n_labels, sizeof(*h->labels));
	h->label_ids = calloc(s->n_labels, sizeof(*h->label_ids));
	if (h->labels == NULL || h->label_ids == NULL)
		return false;
	for (; h->n_labels < s->n_labels; h->n_labels++) {
		struct label *l = &h->labels[h->n_labels];

		l->key = strdup(s->labels[h->n_labels].key);
		l->value = strdup(s->labels[h->n_labels].value);
		if (l->key == NULL || l->value == NULL) {
			h->n_labels++;
			return false;
		}
		h->label_ids[h->n_labels] = endpoint_label_id(l->key);
	}
	return true;
}

static uint32_t capacity_blocks(const struct pool *p)
{
	return p->prefix_options.capacity_tokens / p->prefix_options.block_tokens;
}

static void warm_up(struct home *h)
{
	struct pool *p = h->pool;
	struct engine_life *life = &pool_live_of(p->live)->lives[h->slot];
	uint32_t n;

	atomic_store(&life->started_ms, 0);	/* the slot was another's */
	atomic_store(&life->served, 0);
	n = p->warm != NULL ? warm_take(p->warm, span_of(h->name),
	    span_of(h->addr_text), p->prefix, h->slot, life) : 0;

	if (n > 0)
		log_info("prefix.warm", "pool=%s endpoint=%s blocks=%u", p->name,
		    h->name, n);
}

struct home *home_new(struct pool *p, const struct endpoint_spec *s)
{
	struct home *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->pool = p;
	h->refs = 1;
	h->port = s->port;
	h->name = copy(s->name);
	h->host = copy(s->host);
	h->address = copy(s->address);
	h->addr_text = addr_text(s);
	if (h->name == NULL || h->host == NULL || h->addr_text == NULL ||
	    (s->address != NULL && h->address == NULL) ||
	    !copy_labels(h, s) || !slot_take(p, &h->slot)) {
		home_free_strings(h);
		return NULL;
	}
	prefix_join(p->prefix, h->slot, capacity_blocks(p));
	warm_up(h);
	p->refs++;
	return h;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool home_is(const struct home *h, const struct endpoint_spec *s)
{
	if (h->port != s->port || !same_text(h->address, s->address) ||
	    !same_text(h->host, s->host) || h->n_labels != s->n_labels)
		return false;
	for (size_t i = 0; i < s->n_labels; i++)
		if (!same_text(h->labels[i].key, s->labels[i].key) ||
		    !same_text(h->labels[i].value, s->labels[i].value))
			return false;
	return true;
}
