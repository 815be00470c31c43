/*
 * slurp.h - a whole file into memory, up to a ceiling
 *
 * Regular files only: a FIFO or a device could keep the caller waiting. Any
 * thread.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/*
 * At most `cap` bytes; as many as that may mean that there are more. `*bytes`
 * is malloc'd and the caller's. How many, or -errno with nothing to free;
 * -EINVAL for what is not a regular file.
 */
ssize_t slurp_file(const char *file, size_t cap, char **bytes);
