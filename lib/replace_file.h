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

/* The same piece by piece, of what is too much to be held. */
struct replacement {
	char *file, *beside;
	int fd;
	int err;		/* -errno; the first one sticks */
};

/* What fails is told by replace_end(), which has to follow. */
void replace_begin(struct replacement *r, const char *file);
void replace_put(struct replacement *r, struct span bytes);
/* As replace_file(). */
int replace_end(struct replacement *r, mode_t mode);
/*
 * Not synced: after a power cut it may be the old one, or empty. For what is made anew
 * at each start; a sync makes all wait who write to that file system.
 */
int replace_end_unsynced(struct replacement *r, mode_t mode);
/* Instead: the old file stays. */
void replace_drop(struct replacement *r);
