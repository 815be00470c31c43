/*
 * store_table.h - what store.c and store_file.c share
 */
#pragma once

#include "store.h"

struct arena;

struct batch {			/* objects that come and go together */
	struct batch *next;	/* retired */
	struct arena *arena;
	const struct object **objects;
	size_t n, cap;
	bool is_file;
};

struct slot {
	const struct object *object;
	struct batch *batch;
};

struct list_of_kind {
	const struct object **items;	/* the sorted, then the new ones */
	size_t n_sorted, n_new, cap;
	bool has_dead;
};

struct store {
	struct slot *slots;		/* a power of two, half full at most */
	size_t n_slots, n_objects;
	struct list_of_kind lists[N_KINDS];
	struct batch *retired;
	/* Came or went since store_forget_changes(). */
	const struct object *changed[STORE_CHANGES_MAX];
	size_t n_changed;
	bool has_many;		/* more than these */
	bool is_snapshot;	/* objects and batches are another's */
	struct manifest **files;	/* sorted by path */
	size_t n_files, cap_files;
};

struct batch *batch_new(size_t first_bytes, size_t max_bytes);
void batch_free(struct batch *b);
bool batch_add(struct batch *b, const struct object *o);

bool store_reserve(struct store *s, size_t n);
/* Of no object that is there already; false without memory. */
bool store_insert(struct store *s, const struct object *o, struct batch *b);
void store_remove(struct store *s, const struct object *o);
void store_retire(struct store *s, struct batch *b);
void store_files_free(struct store *s);
