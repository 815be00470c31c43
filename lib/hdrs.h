/*
 * hdrs.h - walk the header block that HAProxy's req.hdrs_bin gives
 *
 * Format (HAProxy configuration.txt, "req.hdrs_bin"): names and values in turn, each
 * a varint length and its bytes; an empty name and an empty value end it. HAProxy
 * writes names in lower case. Pure; everything borrows. Any thread.
 */
#pragma once

#include <stdbool.h>

#include "reader.h"

/*
 * False at the end, and when the block is malformed (ask r->bad), as one is that
 * stops without its end, or has no byte at all.
 */
bool hdrs_next(struct reader *r, struct span *name, struct span *value);
