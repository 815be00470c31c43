/*
 * arena.c - bump allocation in a chain of blocks
 */
#include "arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "must.h"

enum { ARENA_ALIGN = 16 };

struct block {
	struct block *next;
	size_t used, cap;
	_Alignas(ARENA_ALIGN) char bytes[];
};

struct arena {
	struct block *last;	/* where the next bytes come from */
	struct block *first;
	size_t max_bytes, held;
};

static struct block *block_new(size_t cap)
{
	struct block *b = malloc(sizeof(*b) + cap);

	if (b == NULL)
		return NULL;
	b->next = NULL;
	b->used = 0;
	b->cap = cap;
	return b;
}

struct arena *arena_new(size_t first_bytes, size_t max_bytes)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->first = a->last = block_new(first_bytes);
	if (a->first == NULL) {
		free(a);
		return NULL;
	}
	a->max_bytes = max_bytes;
	a->held = first_bytes;
	return a;
}

static void free_blocks(struct block *b)
{
	while (b != NULL) {
		struct block *next = b->next;

		free(b);
		b = next;
	}
}

void arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	free_blocks(a->first);
	free(a);
}

void arena_reset(struct arena *a)
{
	if (a->first->next != NULL) {
		struct block *one = block_new(a->held);

		if (one != NULL) {
			free_blocks(a->first);
			a->first = one;
		} else {
			free_blocks(a->first->next);
			a->first->next = NULL;
		}
	}
	a->first->used = 0;
	a->last = a->first;
	a->held = a->first->cap;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
	struct block *b = a->last;
	void *at;

	if (bytes > SIZE_MAX - ARENA_ALIGN)
		return NULL;
	bytes = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if (bytes > b->cap - b->used) {
		size_t cap = bytes > b->cap ? bytes : b->cap;
		size_t left = a->max_bytes > a->held ?
		    a->max_bytes - a->held : 0;

		if (bytes > left)
			return NULL;
		if (cap > left)
			cap = left;
		b = block_new(cap);
		if (b == NULL)
			return NULL;
		a->last->next = b;
		a->last = b;
		a->held += cap;
	}
	at = b->bytes + b->used;
	b->used += bytes;
	return at;
}

void *arena_zalloc(struct arena *a, size_t bytes)
{
	void *at = arena_alloc(a, bytes);

	return at != NULL ? memset(at, 0, bytes) : NULL;
}

char *arena_copy(struct arena *a, const char *bytes, size_t len)
{
	char *at = arena_alloc(a, len + 1);

	if (at == NULL)
		return NULL;
	if (len != 0)
		memcpy(at, bytes, len);
	at[len] = '\0';
	return at;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	char *at;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	must(n >= 0);
	at = arena_alloc(a, (size_t)n + 1);
	if (at != NULL)
		vsnprintf(at, (size_t)n + 1, fmt, ap);
	return at;
}

size_t arena_bytes(const struct arena *a)
{
	return a->held;
}
