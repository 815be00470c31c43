/*
 * plan_index.c - open addressing, half full at most
 */
#include "plan_index.h"

#include <string.h>

#include "arena.h"
#include "hash.h"
#include "plan_state.h"

enum { FIRST_SLOTS = 64 };

static size_t slot_of(const struct plan_index *x, const char *a, const char *b,
    uint64_t number)
{
	size_t mask = x->n_slots - 1;
	size_t at = hash_bytes(b, strlen(b), hash_bytes(a, strlen(a),
	    number)) & mask;

	for (;; at = (at + 1) & mask) {
		const struct index_slot *s = &x->slots[at];

		if (s->a == NULL || (s->number == number &&
			strcmp(s->b, b) == 0 && strcmp(s->a, a) == 0))
			return at;
	}
}

static bool grow(struct plan_index *x)
{
	struct index_slot *old = x->slots;
	size_t n_old = x->n_slots;
	size_t n_slots = n_old > 0 ? 4 * n_old : FIRST_SLOTS;

	x->slots = arena_zalloc(x->arena, n_slots * sizeof(*x->slots));
	if (x->slots == NULL) {
		x->slots = old;
		return false;
	}
	x->n_slots = n_slots;
	for (size_t i = 0; i < n_old; i++)
		if (old[i].a != NULL)
			x->slots[slot_of(x, old[i].a, old[i].b,
			    old[i].number)] = old[i];
	return true;
}

void **index_at(struct plan_index *x, const char *a, const char *b,
    uint64_t number)
{
	struct index_slot *s;

	if (x->n >= x->n_slots / 2 && !grow(x))
		return NULL;
	s = &x->slots[slot_of(x, a, b, number)];
	if (s->a == NULL) {
		*s = (struct index_slot){ a, b, number, NULL };
		x->n++;
	}
	return &s->value;
}

void *index_get(const struct plan_index *x, const char *a, const char *b,
    uint64_t number)
{
	return x->n_slots > 0 ? x->slots[slot_of(x, a, b, number)].value : NULL;
}

/* ---- of a planner -------------------------------------------------------- */

void **plan_at(struct planner *p, struct plan_index *x, const char *a,
    const char *b, uint64_t number)
{
	void **at = index_at(x, a, b, number);

	if (at == NULL)
		p->failed = true;
	return at;
}

void *plan_held(struct planner *p, struct plan_index *x, const char *a,
    const char *b, uint64_t number, size_t bytes)
{
	void **at = plan_at(p, x, a, b, number);

	if (at != NULL && *at == NULL)
		*at = plan_alloc(p, bytes);
	return at != NULL ? *at : NULL;
}
