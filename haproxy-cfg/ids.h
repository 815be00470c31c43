/*
 * ids.h - short names for long things, the same today and tomorrow
 *
 * An id is a letter and 50 bits of a hash of its content, so it changes only when
 * what it stands for does, wherever and in whatever order it is made. Contents are
 * kept and compared: two that hash alike, by accident or by an attacker's choice of
 * words, get different ids. One thread; everything lives until ids_fini().
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "words.h"

struct arena;

struct id {
	char name[WORDS_ID_BYTES];
	const void *content;
	size_t len;
	void *data;		/* the caller's; NULL at first */
};

struct ids {
	struct arena *arena;	/* borrowed */
	struct id **slots;
	uint64_t *keys;
	size_t n, cap;
};

void ids_init(struct ids *ids, struct arena *arena);
void ids_fini(struct ids *ids);

/* The id of that content, made if it is new (`data` NULL). NULL without memory. */
struct id *ids_get(struct ids *ids, char letter, const void *content,
    size_t len);
