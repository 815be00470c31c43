/*
 * late_library.h - a shared library that is opened when it is first needed
 *
 * For those that would cost every process megabytes and that few need: its functions are
 * rows of a table, found by name. Once for all callers, from any thread; never closed,
 * since libraries leave threads and pointers behind.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct fault;

struct late_symbol {
	const char *name;
	void *at;		/* the pointer to a function that is to be filled */
};

struct late_library {
	const char *file, *package;	/* "libzmq.so.5", "libzmq5" */
	const char *feature, *instead;	/* what needs it; what to do without */
	const struct late_symbol *symbols;
	size_t n_symbols;
	const char *(*begin)(void);	/* after all; what it lacks, or NULL. May be NULL */
	pthread_mutex_t lock;		/* PTHREAD_MUTEX_INITIALIZER */
	bool is_tried;
	const char *missing;		/* the rest is ours */
};

/* False with `why` filled: it is not installed, or is another version. */
bool late_library_load(struct late_library *l, struct fault *why);
