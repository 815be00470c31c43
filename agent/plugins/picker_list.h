/*
 * picker_list.h - how many endpoints a picker names: parameter maxNumOfEndpoints
 *
 * llm-d names one unless told otherwise, since few proxies walk a list. HAProxy does
 * (ep, ep2, eps), and what it falls back on costs nothing: so without the parameter a
 * picker names as many as it is asked for, and with it no more than it says. 0 is as
 * not given. Source: llm-d-router, scheduling/picker/common.go.
 */
#pragma once

#include <stddef.h>

extern const struct conf_table picker_table;

/* `params` of picker_table, or NULL. */
size_t picker_limit(const void *params, size_t n_best);

/* What it says itself; 0: nothing. */
size_t picker_asked(const void *params);
