/*
 * store.c - a hash table of objects, and a sorted list of each kind brought up
 * to date when it is asked for
 *
 * Objects live in the arena of the file, or of the upsert, that declared them: a
 * batch. A batch that was replaced is kept until the next sweep.
 */
#include "store.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "decode.h"
#include "hash.h"
#include "must.h"
#include "store_table.h"

enum { FIRST_SLOTS = 256, OBJECT_BYTES = 1024, OBJECT_BYTES_MAX = 16 << 20 };

/* ---- batches ------------------------------------------------------------- */

void batch_free(struct batch *b)
{
	if (b == NULL)
		return;
	arena_free(b->arena);
	free(b->objects);
	free(b);
}

struct batch *batch_new(size_t first_bytes, size_t max_bytes)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->arena = arena_new(first_bytes, max_bytes);
	if (b->arena != NULL)
		return b;
	free(b);
	return NULL;
}

bool batch_add(struct batch *b, const struct object *o)
{
	if (b->n == b->cap) {
		size_t cap = b->cap > 0 ? 2 * b->cap : 1;
		const struct object **grown = realloc(b->objects,
		    cap * sizeof(const struct object *));

		if (grown == NULL)
			return false;
		b->objects = grown;
		b->cap = cap;
	}
	b->objects[b->n++] = o;
	return true;
}

void store_retire(struct store *s, struct batch *b)
{
	if (b == NULL)
		return;
	b->next = s->retired;
	s->retired = b;
}

/* ---- the table ----------------------------------------------------------- */

static uint64_t hash_of(enum kind kind, const char *namespace,
    const char *name)
{
	return hash_bytes(name, strlen(name), hash_bytes(namespace,
	    strlen(namespace), (uint64_t)kind));
}

static bool is_named(const struct object *o, enum kind kind,
    const char *namespace, const char *name)
{
	return o->kind == kind && strcmp(o->name, name) == 0 &&
	    strcmp(o->namespace, namespace) == 0;
}

/* Where it is, or where it would go. */
static size_t slot_of(const struct store *s, enum kind kind,
    const char *namespace, const char *name)
{
	size_t at = hash_of(kind, namespace, name) & (s->n_slots - 1);

	while (s->slots[at].object != NULL &&
	    !is_named(s->slots[at].object, kind, namespace, name))
		at = (at + 1) & (s->n_slots - 1);
	return at;
}

static bool grow(struct store *s, size_t n_slots)
{
	struct slot *old = s->slots;
	size_t n_old = s->n_slots;

	s->slots = calloc(n_slots, sizeof(*s->slots));
	if (s->slots == NULL) {
		s->slots = old;
		return false;
	}
	s->n_slots = n_slots;
	for (size_t i = 0; i < n_old; i++) {
		const struct object *o = old[i].object;

		if (o != NULL)
			s->slots[slot_of(s, o->kind, o->namespace, o->name)] =
			    old[i];
	}
	free(old);
	return true;
}

/* Room for `n` more at no more than half full. */
bool store_reserve(struct store *s, size_t n)
{
	size_t n_slots = s->n_slots;

	while (s->n_objects + n > n_slots / 2)
		n_slots *= 2;
	return n_slots == s->n_slots || grow(s, n_slots);
}

static bool reserve_list(struct list_of_kind *l, size_t n)
{
	const struct object **grown;
	size_t cap = l->cap > 0 ? l->cap : 16;

	while (cap < n)
		cap *= 2;
	if (cap == l->cap)
		return true;
	grown = realloc(l->items, cap * sizeof(const struct object *));
	if (grown == NULL)
		return false;
	l->items = grown;
	l->cap = cap;
	return true;
}

static void note_change(struct store *s, const struct object *o)
{
	if (s->has_many || s->n_changed == STORE_CHANGES_MAX)
		s->has_many = true;
	else
		s->changed[s->n_changed++] = o;
}

bool store_changes(const struct store *s, struct objects *out)
{
	*out = (struct objects){ s->changed, s->n_changed };
	return !s->has_many;
}

void store_forget_changes(struct store *s)
{
	s->n_changed = 0;
	s->has_many = false;
}

bool store_insert(struct store *s, const struct object *o, struct batch *b)
{
	struct list_of_kind *l = &s->lists[o->kind];
	size_t at;

	if (!store_reserve(s, 1) || !reserve_list(l, l->n_sorted + l->n_new + 1))
		return false;
	at = slot_of(s, o->kind, o->namespace, o->name);
	must(s->slots[at].object == NULL);
	s->slots[at] = (struct slot){ o, b };
	s->n_objects++;
	note_change(s, o);
	l->items[l->n_sorted + l->n_new++] = o;
	return true;
}

/* Those behind a hole that it cut off from their place move up. */
static void close_hole(struct store *s, size_t hole)
{
	size_t mask = s->n_slots - 1;

	for (size_t at = (hole + 1) & mask; s->slots[at].object != NULL;
	    at = (at + 1) & mask) {
		const struct object *o = s->slots[at].object;
		size_t home = hash_of(o->kind, o->namespace, o->name) & mask;

		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		s->slots[hole] = s->slots[at];
		s->slots[at].object = NULL;
		hole = at;
	}
}

void store_remove(struct store *s, const struct object *o)
{
	size_t at = slot_of(s, o->kind, o->namespace, o->name);

	must(s->slots[at].object == o);
	s->slots[at].object = NULL;
	s->n_objects--;
	note_change(s, o);
	s->lists[o->kind].has_dead = true;
	close_hole(s, at);
}

const struct object *store_find(const struct store *s, enum kind kind,
    const char *namespace, const char *name)
{
	return s->slots[slot_of(s, kind, namespace, name)].object;
}

/* ---- lists --------------------------------------------------------------- */

static int by_place(const struct object *a, const struct object *b)
{
	int order = strcmp(a->namespace, b->namespace);

	return order != 0 ? order : strcmp(a->name, b->name);
}

static int by_place_of_pointers(const void *left, const void *right)
{
	return by_place(*(const struct object *const *)left,
	    *(const struct object *const *)right);
}

/* Drops those that are declared no more, and says how many stay. */
static size_t drop_dead(const struct store *s, const struct object **items,
    size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (store_find(s, items[i]->kind, items[i]->namespace,
			items[i]->name) == items[i])
			items[kept++] = items[i];
	return kept;
}

/* From behind, so that only the new ones need another place meanwhile. */
static bool merge(struct list_of_kind *l)
{
	size_t n_new = l->n_new, i = l->n_sorted, at = l->n_sorted + n_new;
	const struct object **fresh;

	fresh = malloc(n_new * sizeof(const struct object *));
	if (fresh == NULL)
		return false;
	memcpy(fresh, l->items + i, n_new * sizeof(const struct object *));
	qsort(fresh, n_new, sizeof(*fresh), by_place_of_pointers);
	while (n_new > 0) {
		if (i > 0 && by_place(l->items[i - 1], fresh[n_new - 1]) > 0)
			l->items[--at] = l->items[--i];
		else
			l->items[--at] = fresh[--n_new];
	}
	l->n_sorted += l->n_new;
	l->n_new = 0;
	free(fresh);
	return true;
}

static void purge(const struct store *s, struct list_of_kind *l)
{
	size_t n_sorted = drop_dead(s, l->items, l->n_sorted);
	size_t n_new = drop_dead(s, l->items + l->n_sorted, l->n_new);

	if (n_new > 0)
		memmove(l->items + n_sorted, l->items + l->n_sorted,
		    n_new * sizeof(const struct object *));
	l->n_sorted = n_sorted;
	l->n_new = n_new;
	l->has_dead = false;
}

/* What was taken out and put back again stands there twice. */
static void drop_twins(struct list_of_kind *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n_sorted; i++)
		if (kept == 0 || l->items[kept - 1] != l->items[i])
			l->items[kept++] = l->items[i];
	l->n_sorted = kept;
}

struct objects store_all(struct store *s, enum kind kind)
{
	struct list_of_kind *l = &s->lists[kind];

	if (l->has_dead)
		purge(s, l);
	if (l->n_new > 0) {
		if (!merge(l)) {
			l->n_sorted += l->n_new;
			l->n_new = 0;
			qsort(l->items, l->n_sorted, sizeof(*l->items),
			    by_place_of_pointers);
		}
		drop_twins(l);
	}
	return (struct objects){ l->items, l->n_sorted };
}

/* Lists forget what is about to be freed. */
void store_sweep(struct store *s)
{
	/* Of what is freed nothing can be told any more. */
	if (s->retired != NULL && s->n_changed > 0) {
		s->has_many = true;
		s->n_changed = 0;
	}
	for (size_t k = 0; k < N_KINDS && s->retired != NULL; k++)
		if (s->lists[k].has_dead)
			purge(s, &s->lists[k]);
	while (s->retired != NULL) {
		struct batch *next = s->retired->next;

		batch_free(s->retired);
		s->retired = next;
	}
}

/* ---- objects one by one -------------------------------------------------- */

static int no_memory(struct fault *why)
{
	fault_set(why, NULL, 0, "no memory for an object", NULL);
	return -ENOMEM;
}

/* Only what was upserted may be upserted over: files say it twice otherwise. */
static struct batch *upserted(const struct store *s, const struct object *o)
{
	size_t at = slot_of(s, o->kind, o->namespace, o->name);

	return s->slots[at].object != NULL ? s->slots[at].batch : NULL;
}

static int replace(struct store *s, struct batch *b, const struct object *o,
    struct fault *why)
{
	struct batch *old = upserted(s, o);

	if (old != NULL && old->is_file) {
		fault_setf(why, NULL, 0, "%s %s/%s is declared by %s",
		    kind_name(o->kind), o->namespace, o->name,
		    old->objects[0]->file);
		fault_want(why, "it in one place");
		return -EINVAL;
	}
	if (!store_reserve(s, 1))
		return no_memory(why);
	if (old != NULL)
		store_remove(s, old->objects[0]);
	if (!store_insert(s, o, b)) {
		if (old != NULL)
			must(store_insert(s, old->objects[0], old));
		return no_memory(why);
	}
	store_retire(s, old);
	return 0;
}

int store_upsert(struct store *s, const struct conf *root, struct fault *why)
{
	struct batch *b = batch_new(OBJECT_BYTES, OBJECT_BYTES_MAX);
	const struct object *o;
	char kind[128];
	int err;

	if (b == NULL)
		return no_memory(why);
	err = decode_object(NULL, 0, root, b->arena, &o, kind, sizeof(kind),
	    why);
	if (err == DECODE_OK)
		err = batch_add(b, o) ? replace(s, b, o, why) : no_memory(why);
	else if (err == DECODE_UNKNOWN)
		batch_free(b);
	if (err < 0)
		batch_free(b);
	return err < 0 ? err : 0;
}

bool store_delete(struct store *s, enum kind kind, const char *namespace,
    const char *name)
{
	size_t at = slot_of(s, kind, namespace, name);
	struct batch *b = s->slots[at].batch;

	if (s->slots[at].object == NULL || b->is_file)
		return false;
	store_remove(s, s->slots[at].object);
	store_retire(s, b);
	return true;
}

/* ---- the whole ----------------------------------------------------------- */

struct store *store_new(void)
{
	struct store *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->n_slots = FIRST_SLOTS;
	s->slots = calloc(s->n_slots, sizeof(*s->slots));
	if (s->slots != NULL)
		return s;
	free(s);
	return NULL;
}

void store_free(struct store *s)
{
	if (s == NULL)
		return;
	store_files_free(s);
	for (size_t i = 0; i < s->n_slots && s->slots != NULL &&
	    !s->is_snapshot; i++)
		if (s->slots[i].object != NULL && !s->slots[i].batch->is_file)
			batch_free(s->slots[i].batch);
	for (size_t k = 0; k < N_KINDS; k++) {
		s->lists[k].has_dead = false;
		free(s->lists[k].items);
	}
	store_sweep(s);
	free(s->slots);
	free(s);
}
