/*
 * conf.h - a map of a configuration file into a struct, by a table of rows
 *
 * A row names a key, how its value is decoded and where to, what it is when not
 * given, and what it means; the same rows print the help text. Decoding is
 * strict: an unknown key, a missing one, a wrong type or a number out of bounds
 * is a fault with its line, what stands there, and what would be right (for a
 * misspelt key, the nearest known one). Strings live in the arena. No state:
 * any thread.
 *
 * Who sets why->path hears the whole path to the place (rules[2].name: ...); and
 * lists are lists then, one value alone is none.
 *
 *	static const struct conf_row rows[] = {
 *		{ .key = "port", .decode = conf_u16, .min = 1,
 *		  .offset = offsetof(struct place, port), .required = true,
 *		  .help = "where it listens" },
 *	};
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "conf_tree.h"

struct arena;
struct fault;
struct conf_row;
struct conf_table;

enum { CONF_ROWS_MAX = 64 };

/* What every decoder is told: where it reads, where strings go, who hears. */
struct conf_input {
	const char *file;
	struct arena *arena;
	struct fault *why;
};

/*
 * Writes what `value` means to `out`, which is `row->offset` into the struct
 * that the table fills. 0; -EINVAL or -ENOMEM with `why` filled.
 */
typedef int conf_decode_f(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out);

/* Runs once the rows did, for what one row alone cannot tell. Same returns. */
typedef int conf_check_f(const struct conf_input *in, const struct conf *map,
    void *out);

struct conf_row {
	const char *key;
	conf_decode_f *decode;
	size_t offset;
	size_t offset_n;	/* conf_list: of the size_t that counts */
	const char *preset;	/* when not given, as one would write it; "{}"
				   for a section's own presets; NULL: left
				   alone */
	uint64_t min, max;	/* of the number, or of how many in a list; a
				   max of 0 is as much as the type holds */
	const struct conf_table *table;	/* conf_section, conf_list */
	const char *const *names;	/* conf_enum: [value], then NULL */
	bool required;
	const char *help;
};

/* A struct's rows; or, with `item`, what one entry of a list of values is. */
struct conf_table {
	const char *what;	/* for messages: "a pool" */
	size_t size;		/* conf_list: of one entry */
	const struct conf_row *rows;
	size_t n_rows;
	const struct conf_row *item;
	conf_check_f *check;	/* may be NULL */
	bool is_open;		/* keys without a row are somebody else's */
};

/* Decodes `map` into `out`, which the caller zeroed. */
int conf_decode(const struct conf_input *in, const struct conf_table *table,
    const struct conf *map, void *out);

/* ---- decoders: the type behind `out` ---- */
conf_decode_f conf_bool;	/* bool; true or false, nothing else */
conf_decode_f conf_u16;		/* uint16_t */
conf_decode_f conf_u32;		/* uint32_t */
conf_decode_f conf_u64;		/* uint64_t */
conf_decode_f conf_i32;		/* int32_t; any, no min and max */
conf_decode_f conf_fraction;	/* float; 0.8, 1, 12.5; min and max are whole */
conf_decode_f conf_size;	/* size_t; 65536, 64k, 16MiB, 1G (of 1024) */
conf_decode_f conf_duration;	/* int64_t, ms; 50ms, 1s, 2m, 1h, 1m30s, 0 */
conf_decode_f conf_string;	/* const char *; any scalar but an empty one */
conf_decode_f conf_enum;	/* int-sized; index into row->names */
conf_decode_f conf_section;	/* a map, by row->table */
conf_decode_f conf_pointer;	/* to one of row->table->size bytes; NULL when
				   not given */
conf_decode_f conf_ignore;	/* nothing: known, and of no interest */

/*
 * A pointer to an array, its length to row->offset_n. Entries are maps by
 * row->table, or values by row->table->item; one value alone is a list of one.
 */
conf_decode_f conf_list;

/* ---- for decoders of one's own ---- */

/* "key: value" was found; what is wanted comes as a format. Returns -EINVAL. */
int conf_refuse(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, const char *want, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * As conf_refuse(), for a check: about what stands under `key` in `map`, or about
 * the map when `key` is NULL or not in it. `found` NULL: the value is shown.
 */
int conf_refuse_at(const struct conf_input *in, const struct conf *map,
    const char *key, const char *found, const char *want, ...)
    __attribute__((format(printf, 5, 6)));

/* The fault that there is no memory. Returns -ENOMEM. */
int conf_no_memory(const struct conf_input *in);

/* The name nearest to `word`, or all that there is room for, as what the fault wants. */
void conf_want_name(struct fault *why, const char *word,
    const char *const *names, size_t n);

/* Every row below `table`, one a line: key, preset, help. */
void conf_print_help(FILE *out, const struct conf_table *table);
