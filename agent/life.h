/*
 * life.h - is an engine still the process that it was?
 *
 * By its start time; where an engine tells none, by a counter that only rises and has
 * fallen. What was known may be of an earlier life of ours: warm.h. Scraper's thread.
 */
#pragma once

#include <stdbool.h>

struct engine_life;
struct engine_reading;

bool life_is_another(const struct engine_life *l, const struct engine_reading *r);
void life_note(struct engine_life *l, const struct engine_reading *r);
