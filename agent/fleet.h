/*
 * fleet.h - views of all pools in one box, for the epoch
 *
 * Built and retired by the scraper's thread only; each box holds a reference to every
 * view in it.
 */
#pragma once

#include <stddef.h>

#include "endpoints.h"

/* NULL without memory. */
struct fleet *fleet_empty(void);

/* Views in the order of their pools' names; NULL without memory. */
struct fleet *fleet_new(const struct endpoint_view *const *views, size_t n);

/* For epoch_new(). */
void fleet_retire(void *fleet);
