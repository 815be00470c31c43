/*
 * follow.h - what a change of the manifests sets off
 *
 * What can be put ahead (translate_ahead(), apply_ahead()) gets traffic at once. The
 * whole follows in the background, from a snapshot of the store, while the loop takes
 * the next changes; only what is said to HAProxy is said on the loop. Statuses, old
 * generations and the table of ids are for people and come last, in the background too.
 *
 * All calls on the loop's thread.
 */
#pragma once

struct ev_loop;
struct follow;
struct setup;

/* Of a setup that was opened, and outlives it. NULL without memory. */
struct follow *follow_new(struct ev_loop *loop, struct setup *setup);
void follow_free(struct follow *f);

/* The first pass; waits until HAProxy is there, or said why not. */
void follow_begin(struct follow *f);

/* Manifests may have changed: reads those that did. */
void follow_change(struct follow *f);

/* What is owed still is done and written; then nothing is at work. */
void follow_end(struct follow *f);
