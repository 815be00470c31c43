/*
 * passes.h - what a change of the manifests sets off
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
struct passes;
struct setup;

/* Of a setup that was opened, and outlives it. NULL without memory. */
struct passes *passes_new(struct ev_loop *loop, struct setup *setup);
void passes_free(struct passes *p);

/* The first pass; waits until HAProxy is there, or said why not. */
void passes_begin(struct passes *p);

/* Manifests may have changed: reads those that did. */
void passes_change(struct passes *p);

/* What is owed still is done and written; then nothing is at work. */
void passes_end(struct passes *p);
