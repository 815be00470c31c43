/*
 * presets.h - EndpointPickerConfigs that a pool may name instead of writing one
 *
 * `scheduling: sticky` reads the text of that name as if it stood in a file. Pure.
 */
#pragma once

#include <stddef.h>

struct preset {
	const char *name;
	const char *text;	/* YAML */
};

/* NULL when there is none of that name. */
const struct preset *preset_find(const char *name);

/* Row i; NULL past the end. */
const struct preset *preset_at(size_t i);
