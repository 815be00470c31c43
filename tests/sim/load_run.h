/*
 * load_run.h - when to ask: closed loop, Poisson arrivals, or bursts
 *
 * Caller's storage; main thread.
 */
#pragma once

#include "load_client.h"
#include "load_stats.h"
#include "load_workload.h"

struct load_run {
	struct ev_loop *loop;
	const struct load_options *options;
	struct load_workload *workload;
	struct load_client client;
	struct load_stats *stats;
	struct ev_timer arrival;	/* open loop and bursts */
	LIST_HEAD(, load_call) calls;	/* under way */
	uint64_t n_started, n_running;
	uint64_t rng;
	int64_t next_us, stop_us;	/* next arrival; no start after */
};

/* Runs until all asked for has ended or ev_break(). */
void load_run(struct load_run *r, struct ev_loop *loop,
    const struct load_options *o, struct load_workload *w,
    struct load_stats *stats);
