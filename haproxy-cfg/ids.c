/*
 * ids.c - an open-addressed table by the hash that the name is made of
 */
#include "ids.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "hash.h"

enum { ID_BITS = 50, FIRST_CAP = 8192 };

void ids_init(struct ids *ids, struct arena *arena)
{
	*ids = (struct ids){ .arena = arena };
}

void ids_fini(struct ids *ids)
{
	free(ids->slots);
	free(ids->keys);
	*ids = (struct ids){ 0 };
}

static size_t find_slot(const struct ids *ids, uint64_t key, char letter)
{
	size_t at = (size_t)hash_pair(key, (uint64_t)letter) & (ids->cap - 1);

	while (ids->slots[at] != NULL && (ids->keys[at] != key ||
	    ids->slots[at]->name[0] != letter))
		at = (at + 1) & (ids->cap - 1);
	return at;
}

/* At most half full. */
static bool make_room(struct ids *ids)
{
	struct ids more = *ids;

	if (2 * (ids->n + 1) <= ids->cap)
		return true;
	more.cap = ids->cap != 0 ? 2 * ids->cap : FIRST_CAP;
	more.slots = calloc(more.cap, sizeof(struct id *));
	more.keys = calloc(more.cap, sizeof(*more.keys));
	if (more.slots == NULL || more.keys == NULL) {
		free(more.slots);
		free(more.keys);
		return false;
	}
	for (size_t i = 0; i < ids->cap; i++) {
		size_t at;

		if (ids->slots[i] == NULL)
			continue;
		at = find_slot(&more, ids->keys[i], ids->slots[i]->name[0]);
		more.slots[at] = ids->slots[i];
		more.keys[at] = ids->keys[i];
	}
	free(ids->slots);
	free(ids->keys);
	*ids = more;
	return true;
}

static struct id *add(struct ids *ids, size_t at, uint64_t key, char letter,
    const void *content, size_t len)
{
	struct id *id = arena_zalloc(ids->arena, sizeof(*id));

	if (id == NULL)
		return NULL;
	id->content = arena_copy(ids->arena, content, len);
	if (id->content == NULL)
		return NULL;
	id->len = len;
	words_id(id->name, letter, key);
	ids->slots[at] = id;
	ids->keys[at] = key;
	ids->n++;
	return id;
}

struct id *ids_get(struct ids *ids, char letter, const void *content,
    size_t len)
{
	if (!make_room(ids))
		return NULL;
	for (uint64_t seed = 0;; seed++) {
		uint64_t key = hash_bytes(content, len, seed) &
		    (((uint64_t)1 << ID_BITS) - 1);
		size_t at = find_slot(ids, key, letter);
		struct id *id = ids->slots[at];

		if (id == NULL)
			return add(ids, at, key, letter, content, len);
		if (id->len == len && memcmp(id->content, content, len) == 0)
			return id;
	}
}
