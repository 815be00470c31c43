/*
 * replace_file.h - a file's new content, or its old one; never a mix
 *
 * Written beside it under another name, synced, renamed over it. The mirror of slurp.h.
 * Blocks as long as the disk does. Any thread.
 */
#pragma once

#include <sys/types.h>

#include "span.h"

/* 0; or -errno with the old file as it was and nothing left behind. */
int replace_file(const char *file, struct span bytes, mode_t mode);
