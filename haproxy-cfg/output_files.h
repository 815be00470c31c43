/*
 * output_files.h - an output on disk, replaced as a whole or not at all
 *
 *	DIR/current -> gen.7	haproxy.cfg, maps, crt-lists, CAs
 *	DIR/certs/		certificates with their keys, named by content
 *	DIR/ids.json		whose each id is
 *	DIR/pools.yaml, DIR/pool-NAME.yaml	for epp-agent
 *	DIR/haproxy.sock, DIR/ID.sock		HAProxy's
 *
 * A generation is complete before `current` names it, which is one rename(): whoever
 * starts HAProxy at any instant finds the old one or the new one. Everything is on
 * the disk before it is named. Functions block; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

struct output;

enum { OUTPUT_GENERATION_BYTES = 32 };

/* Text with marks as text with paths. */
void output_put_paths(struct buf *b, const char *text, size_t len,
    const char *dir, const char *generation);

/* haproxy.cfg as it stands in DIR/GENERATION/. */
void output_put_config(struct buf *b, const struct output *o, const char *dir,
    const char *generation);
void output_put_map(struct buf *b, const struct output *o, size_t map);
void output_put_cert_list(struct buf *b, const struct output *o,
    const char *list, const char *dir);

/*
 * Writes all of `o` as the next generation; its name into `name`. What is equal in
 * `current` is linked, not written: `current` NULL: nothing is known to be. 0 or
 * -errno.
 */
int output_stage(const struct output *o, const struct output *current,
    const char *dir, char name[OUTPUT_GENERATION_BYTES]);

/*
 * What `haproxy -c` says of a staged generation. 0: valid. 1: it is not, its words in
 * `said`. -errno: it could not be asked.
 */
int output_check(const struct output *o, const char *haproxy, const char *dir,
    const char *name, struct buf *said);

/* From here on `name` is what HAProxy starts with. 0 or -errno. */
int output_commit(const char *dir, const char *name);

/* It is not. */
void output_drop(const char *dir, const char *name);

/* The agent's files; those of pools that are gone are removed. 0 or -errno. */
int output_write_agent(const struct output *o, const char *dir);

/* ids.json; nothing but people depends on it. */
int output_write_table(const struct output *o, const char *dir);

/* Generations but `current`, and certificates that `o` does not name. */
void output_clean(const struct output *o, const char *dir);
