/*
 * held.c - one allocation: the struct, its blocks and chains, its texts
 */
#include "held.h"

#include <stdlib.h>
#include <string.h>

static _Atomic unsigned n_held;

/* What of a request outlives its frame: each of these spans. */
static struct span *const *spans_of(struct ask *ask, struct request *r,
    struct span *out[])
{
	struct span *all[] = { &ask->id, &ask->pool, &ask->path,
		&ask->headers, &r->model, &r->cache_salt, &r->session,
		&r->objective, &r->fairness, &r->target };

	memcpy(out, all, sizeof(all));
	return out;
}

enum { N_SPANS = 10 };

static size_t text_bytes(struct span *const *spans)
{
	size_t n = 0;

	for (size_t i = 0; i < N_SPANS; i++)
		n += spans[i]->len;
	return n;
}

static void *copy(char **at, const void *bytes, size_t len)
{
	void *to = *at;

	if (len > 0)
		memcpy(to, bytes, len);
	*at += len;
	return to;
}

static struct held *alloc(const struct request *r, size_t n_text)
{
	struct held *h = NULL;

	if (atomic_fetch_add(&n_held, 1) < HELD_MAX)
		h = malloc(sizeof(*h) + r->n_blocks * sizeof(*r->blocks) +
		    r->n_chains * sizeof(*r->chains) + n_text);
	if (h == NULL)
		atomic_fetch_sub(&n_held, 1);
	return h;
}

struct held *held_new(const struct request *request)
{
	struct ask ask = *request->ask;
	struct request r = *request;
	struct span *list[N_SPANS];
	struct span *const *spans = spans_of(&ask, &r, list);
	struct held *h = alloc(request, text_bytes(spans));
	char *at;

	if (h == NULL)
		return NULL;
	*h = (struct held){ .refs = 1 };
	at = (char *)(h + 1);
	r.blocks = copy(&at, request->blocks, r.n_blocks * sizeof(*r.blocks));
	r.chains = copy(&at, request->chains, r.n_chains * sizeof(*r.chains));
	for (size_t i = 0; i < N_SPANS; i++)
		spans[i]->ptr = copy(&at, spans[i]->ptr, spans[i]->len);
	ask.method = ask.body = ask.server = (struct span){ 0 };
	h->ask = ask;
	h->request = r;
	h->request.ask = &h->ask;
	list_init(&h->in_peer);
	return h;
}

void held_ref(struct held *h)
{
	atomic_fetch_add(&h->refs, 1);
}

void held_unref(struct held *h)
{
	if (h == NULL || atomic_fetch_sub(&h->refs, 1) > 1)
		return;
	free(h->actions);
	free(h);
	atomic_fetch_sub(&n_held, 1);
}

void held_drop(struct held *h)
{
	held_unref(h);
	held_unref(h);
}
