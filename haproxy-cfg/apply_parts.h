/*
 * apply_parts.h - what the files of apply share; for apply*.c only
 *
 * Each step takes the model (running.h) to what is wanted and HAProxy with it. A step
 * with `is_dry` counts only. -errno: the model may no longer be true.
 */
#pragma once

#include "apply.h"
#include "buf.h"
#include "output.h"
#include "running.h"
#include "runtime.h"

/* An output on its way to the disk. */
struct staging {
	struct output *output;
	const struct output *previous;	/* what `current` names; NULL: unknown */
	bool must_check;
	int result;			/* 0, -errno, or 1: HAProxy refuses it */
	struct buf said;		/* then why */
};

struct apply {
	struct apply_options options;
	struct runtime runtime;
	struct running running;
	struct output *wanted;		/* on the disk once `is_staged` */
	struct output *refused;		/* the last one: reports lend from it */
	bool is_known;			/* `running` is true of worker `pid` */
	bool is_staged;			/* `current` names `wanted` */
	bool is_ahead;			/* of the files: apply_output() has to follow */
	bool was_put_ahead;		/* since apply_expect() */
	struct staging staging;
	bool needs_reload;
	int pid;
	int64_t last_reload_ms, look_ms;
	bool is_untidy;			/* for apply_tidy() */
	bool is_done;			/* what apply.pending is about */
	bool keeps_mark;		/* all the same: it is needed again soon */
	struct buf line;		/* commands on their way */
	char socket[108], master[108];
	/* for the steps */
	int64_t now_ms;
	bool is_dry;
	apply_change_f *on_change;	/* dry only */
	void *data;
	struct apply_report *report;
};

/* What the report is to say; `text` may be NULL. */
void apply_say(struct apply *a, enum apply_result result, const char *text);

/* Tells of a change, when only that is asked for. */
void apply_tell(struct apply *a, const char *sign, const char *where,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

enum { APPLY_SAID_MAX_BYTES = 1 << 20 };

/* After apply_stage(): what was staged is wanted. True if it is on the disk. */
bool apply_take_staged(struct apply *a);

/* ---- apply_mark.c ---- */

/* Leaves apply.pending: nobody knows what of a change the worker has. */
int apply_mark(struct apply *a);
void apply_unmark(struct apply *a);
bool apply_is_marked(const struct apply *a);

/* When the next map entry is to go; -1: no entry is unwanted. */
int64_t apply_entries_due_ms(const struct apply *a);

/* ---- apply_worker.c ---- */

/* Who answers, and whether the model is of it. */
int apply_look(struct apply *a, char description[RUNTIME_NAME_BYTES]);

/* Reads a worker that we did not see start; true if it can be changed as it is. */
bool apply_learn(struct apply *a, const struct output *o,
    const char *description);

/* What a worker of that output says that it is. */
void apply_describe(const struct output *o, char text[RUNTIME_NAME_BYTES]);

/* By the command line. */
int apply_change(struct apply *a);
/* The same, and looked at afterwards. */
int apply_change_and_verify(struct apply *a);

/* By new processes; the report says what came of it. */
void apply_reload(struct apply *a);

/* In the order in which nothing is named before it is there. */
extern const enum output_map_name apply_map_order[OUTPUT_N_MAPS];

/* Sends what is in a->line, if anything; -EPROTO when HAProxy objects. */
int apply_send(struct apply *a);

/* Room for another command on the line, by sending it if it is full. */
int apply_make_room(struct apply *a, size_t bytes);

/* ---- apply_maps.c, apply_servers.c, apply_certs.c ---- */

enum { APPLY_MAP_IN_USE = -1 };

/* A line for an "add map" of that version; sends what was too much for one command. */
int apply_map_line(struct apply *a, enum output_map_name map, long version,
    const char *key, const char *value);

/* Adds and changes of a map; what is unwanted is dated. */
int apply_map(struct apply *a, enum output_map_name map);
/* Deletes what has been unwanted for long enough; -1: all. */
int apply_map_rest(struct apply *a, enum output_map_name map);
int apply_verify_maps(struct apply *a);

int apply_servers_add(struct apply *a);
int apply_servers_remove(struct apply *a);
/* Deletes what was put away and is idle now. */
void apply_servers_rest(struct apply *a);

/* True when `o` has a certificate that the worker has not: it may be none. */
bool apply_certs_are_new(const struct apply *a, const struct output *o);
int apply_certs_add(struct apply *a);
int apply_certs_remove(struct apply *a);
/* False: crt-lists cannot be told apart line by line; a reload is. */
bool apply_certs_can(const struct apply *a);
