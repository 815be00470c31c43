/*
 * flags.h - command line options as a table of rows that also prints the help
 *
 * A row names a field of the caller's options struct by offset, or a function
 * for what repeats or needs its own checks. Both programs here use it and each
 * is linked from its own files only, hence static inline. Main thread.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

enum flag_kind { FLAG_HELP, FLAG_SWITCH, FLAG_COUNT, FLAG_REAL, FLAG_TEXT,
	FLAG_CALL };

/* Field types: SWITCH bool, COUNT uint64_t, REAL double, TEXT const char *. */
struct flag {
	char letter;		/* 0: only the long form */
	const char *name;	/* without its dashes */
	const char *arg;	/* as the help shows it; NULL: takes none */
	enum flag_kind kind;
	size_t offset;
	double min, max;	/* for COUNT and REAL, both included */
	int (*call)(void *options, const char *value, struct fault *f);
	const char *help;
};

enum flags_result { FLAGS_OK, FLAGS_HELP, FLAGS_BAD };

static inline void flags_print(FILE *to, const struct flag *rows, size_t n)
{
	char left[64];

	for (size_t i = 0; i < n; i++) {
		const struct flag *r = &rows[i];
		char letter[5] = "    ";

		if (r->letter != 0)
			snprintf(letter, sizeof(letter), "-%c, ", r->letter);
		snprintf(left, sizeof(left), "%s--%s %s", letter, r->name,
		    r->arg != NULL ? r->arg : "");
		fprintf(to, "  %-32s %s\n", left, r->help);
	}
}

/* The row that `word` spells; `*value` is what stands glued to it, or NULL. */
static inline const struct flag *flags_find(const struct flag *rows, size_t n,
    const char *word, const char **value)
{
	*value = NULL;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(rows[i].name);

		if (word[1] != '-') {
			if (rows[i].letter == 0 || word[1] != rows[i].letter)
				continue;
			*value = word[2] != '\0' ? word + 2 : NULL;
			return &rows[i];
		}
		if (strncmp(word + 2, rows[i].name, len) != 0)
			continue;
		if (word[2 + len] == '=')
			*value = word + 2 + len + 1;
		if (word[2 + len] == '=' || word[2 + len] == '\0')
			return &rows[i];
	}
	return NULL;
}

static inline int flags_number(const struct flag *r, void *field,
    const char *value, struct fault *f)
{
	char *end;
	double real;

	errno = 0;
	real = strtod(value, &end);
	if (end == value || *end != '\0' || errno != 0 ||
	    !(real >= r->min && real <= r->max)) {
		fault_setf(f, NULL, 0, "--%s %s", r->name, value);
		fault_want(f, "a number from %g to %g", r->min, r->max);
		return FLAGS_BAD;
	}
	if (r->kind == FLAG_REAL) {
		*(double *)field = real;
		return FLAGS_OK;
	}
	/* Doubles are exact only to 2^53, and a seed may be longer. */
	*(uint64_t *)field = strtoull(value, &end, 10);
	if (*end == '\0')
		return FLAGS_OK;
	fault_setf(f, NULL, 0, "--%s %s", r->name, value);
	fault_want(f, "a whole number");
	return FLAGS_BAD;
}

static inline int flags_store(const struct flag *r, void *options,
    const char *value, struct fault *f)
{
	void *field = (char *)options + r->offset;

	switch (r->kind) {
	case FLAG_HELP:
		return FLAGS_HELP;
	case FLAG_SWITCH:
		*(bool *)field = true;
		return FLAGS_OK;
	case FLAG_TEXT:
		*(const char **)field = value;
		return FLAGS_OK;
	case FLAG_CALL:
		return r->call(options, value, f) == 0 ? FLAGS_OK : FLAGS_BAD;
	case FLAG_COUNT:
	case FLAG_REAL:
		break;
	}
	return flags_number(r, field, value, f);
}

/* Reads all of argv; on FLAGS_BAD `f` says what was wrong. Texts are borrowed. */
static inline enum flags_result flags_parse(const struct flag *rows, size_t n,
    void *options, char **argv, struct fault *f)
{
	for (argv++; *argv != NULL; argv++) {
		const struct flag *r = NULL;
		const char *value;
		int rc;

		if ((*argv)[0] == '-' && (*argv)[1] != '\0')
			r = flags_find(rows, n, *argv, &value);
		if (r == NULL) {
			fault_setf(f, NULL, 0, "%s", *argv);
			fault_want(f, "an option that -h lists");
			return FLAGS_BAD;
		}
		if (r->arg == NULL && value != NULL) {
			fault_setf(f, NULL, 0, "%s", *argv);
			fault_want(f, "--%s, which takes no value", r->name);
			return FLAGS_BAD;
		}
		if (r->arg != NULL && value == NULL && argv[1] == NULL) {
			fault_setf(f, NULL, 0, "%s at the end", *argv);
			fault_want(f, "--%s %s", r->name, r->arg);
			return FLAGS_BAD;
		}
		if (r->arg != NULL && value == NULL)
			value = *++argv;
		rc = flags_store(r, options, value, f);
		if (rc != FLAGS_OK)
			return (enum flags_result)rc;
	}
	return FLAGS_OK;
}
