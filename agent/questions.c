/*
 * questions.c - records in a ring; one that does not fit before the end begins anew
 */
#include "questions.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "lora.h"
#include "must.h"

enum { ALIGN = 8 };

/* What a record begins with; then the texts' hashes, then the body. */
struct record {
	size_t bytes;		/* of the record; 0: go on at the beginning */
	struct question question;	/* its pointers are not filled */
};

struct questions {
	pthread_mutex_t lock;	/* guards the ring */
	size_t max_bytes, head, tail;	/* the oldest; where the next goes */
	size_t n;
	_Atomic uint64_t known[QUESTIONS_KNOWN];
	_Alignas(ALIGN) char ring[];
};

struct questions *questions_new(size_t max_bytes)
{
	struct questions *q;

	max_bytes &= ~(size_t)(ALIGN - 1);
	must(max_bytes > sizeof(struct record));
	q = calloc(1, sizeof(*q) + max_bytes);
	if (q == NULL)
		return NULL;
	pthread_mutex_init(&q->lock, NULL);
	q->max_bytes = max_bytes;
	return q;
}

void questions_free(struct questions *q)
{
	if (q == NULL)
		return;
	pthread_mutex_destroy(&q->lock);
	free(q);
}

/* ---- what is asked for ---- */

/* Where the model's name stands in the body as the engine will see it. */
static bool find_model(const struct request *r, size_t *at)
{
	const char *from = r->ask->body.ptr, *to = from + r->ask->body.len;

	if (r->target.len > 0) {
		*at = (size_t)r->target_at;
		return *at + r->target_len <= r->ask->body.len;
	}
	*at = (size_t)(r->model.ptr - from);
	return r->model.len > 0 && r->model.ptr >= from && r->model.ptr < to;
}

/* The last full block: who it is. False: nothing to be asked for. */
static bool is_asked_for(const struct request *r, uint64_t *key)
{
	uint32_t n;

	if ((r->kind != REQUEST_CHAT && r->kind != REQUEST_COMPLETIONS) ||
	    !r->has_body || r->is_cut || r->has_media || r->status != 0 ||
	    r->n_chains != 1 || r->cache_salt.len > 0)
		return false;
	n = r->chains[0].n;
	if (n < 2)
		return false;
	*key = r->blocks[r->chains[0].first + n - 2];
	return true;
}

static _Atomic uint64_t *known_of(struct questions *q, uint64_t key)
{
	return &q->known[key % QUESTIONS_KNOWN];
}

/* ---- the ring ---- */

static size_t record_bytes(const struct question *of)
{
	size_t n = sizeof(struct record) + of->n_texts * sizeof(uint64_t) +
	    of->body.len;

	return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

/*
 * Room for a record in one piece, or NULL. Behind the head a byte is left at least: a
 * full ring would look like an empty one.
 */
static struct record *make_room(struct questions *q, size_t bytes)
{
	if (q->n == 0)
		q->head = q->tail = 0;
	if (q->tail < q->head ? q->head - q->tail <= bytes :
	    q->max_bytes - q->tail < bytes && q->head <= bytes)
		return NULL;
	if (q->tail >= q->head && q->max_bytes - q->tail < bytes) {
		if (q->tail < q->max_bytes)
			memset(q->ring + q->tail, 0, sizeof(size_t));
		q->tail = 0;
	}
	return (struct record *)(void *)(q->ring + q->tail);
}

static void copy_body(char *to, const struct request *r,
    const struct question *of)
{
	struct span body = r->ask->body;
	size_t at = of->model_at, behind = at + (r->target.len > 0 ?
	    r->target_len : r->model.len);

	memcpy(to, body.ptr, at);
	memcpy(to + at, r->model.ptr, r->model.len);
	memcpy(to + at + r->model.len, body.ptr + behind, body.len - behind);
}

static bool put(struct questions *q, const struct request *r,
    const struct question *of)
{
	size_t bytes = record_bytes(of);
	struct record *to = make_room(q, bytes);
	char *at;

	if (to == NULL)
		return false;
	to->bytes = bytes;
	to->question = *of;
	at = (char *)(to + 1);
	memcpy(at, r->blocks + r->chains[0].first,
	    of->n_texts * sizeof(uint64_t));
	copy_body(at + of->n_texts * sizeof(uint64_t), r, of);
	q->tail += bytes;
	q->n++;
	return true;
}

static struct question describe(const struct request *r, size_t model_at)
{
	size_t old_len = r->target.len > 0 ? r->target_len : r->model.len;

	return (struct question){ .kind = r->kind,
		.prompt_bytes = r->prompt_bytes,
		.model = lora_spelled(r->model),
		.n_texts = r->chains[0].n,
		.body.len = r->ask->body.len - old_len + r->model.len,
		.model_at = model_at, .model_len = r->model.len };
}

void questions_offer(struct questions *q, const struct request *r,
    struct counters *c)
{
	struct question of;
	size_t model_at;
	uint64_t key;
	bool is_put = false;

	if (!is_asked_for(r, &key) || !find_model(r, &model_at) ||
	    atomic_load_explicit(known_of(q, key), memory_order_relaxed) == key)
		return;
	of = describe(r, model_at);
	if (pthread_mutex_trylock(&q->lock) == 0) {
		is_put = put(q, r, &of);
		pthread_mutex_unlock(&q->lock);
	}
	if (is_put)
		atomic_store_explicit(known_of(q, key), key,
		    memory_order_relaxed);
	else
		counter_add(c->tokenize_dropped, 1);
}

static struct question *copy_out(const struct record *from)
{
	size_t n = from->bytes - sizeof(*from);
	struct question *out = malloc(sizeof(*out) + n);
	char *at = (char *)(out + 1);

	if (out == NULL)
		return NULL;
	*out = from->question;
	memcpy(at, from + 1, n);
	out->texts = (const uint64_t *)(void *)at;
	out->body.ptr = at + out->n_texts * sizeof(uint64_t);
	return out;
}

struct question *questions_take(struct questions *q)
{
	struct question *out = NULL;

	pthread_mutex_lock(&q->lock);
	if (q->n > 0) {
		struct record *from;
		size_t bytes;

		if (q->head == q->max_bytes ||
		    *(const size_t *)(void *)(q->ring + q->head) == 0)
			q->head = 0;
		from = (struct record *)(void *)(q->ring + q->head);
		out = copy_out(from);
		bytes = from->bytes;
		memset(from, 0, bytes);	/* a prompt is nobody's business */
		q->head += bytes;
		q->n--;
	}
	pthread_mutex_unlock(&q->lock);
	return out;
}
