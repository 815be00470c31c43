/*
 * sim_fault.h - what a server was told to do wrong, and for how long
 *
 * One fault at a time for completions, one for the metrics page, one for the
 * listener; setting another of its class replaces it. Plain data; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"
#include "span.h"

enum sim_fault_kind {
	SIM_FAULT_NONE,
	SIM_FAULT_DELAY, SIM_FAULT_HANG, SIM_FAULT_RESET, SIM_FAULT_503,
	SIM_FAULT_429,
	SIM_FAULT_REFUSE, SIM_FAULT_CRASH,
	SIM_FAULT_METRICS_GARBAGE, SIM_FAULT_METRICS_STALE,
	SIM_FAULT_METRICS_HANG, SIM_FAULT_METRICS_503,
	SIM_FAULT_METRICS_HUGE,
};

enum sim_fault_class { SIM_ON_ALL, SIM_ON_REQUESTS, SIM_ON_LISTENER,
	SIM_ON_METRICS, SIM_N_CLASSES };

struct sim_fault {
	enum sim_fault_kind kind;
	enum sim_fault_class class;
	uint64_t ms;		/* delay: of each request; else as for_ms */
	uint64_t for_ms;	/* 0: until cleared */
	uint64_t count;		/* requests it may hit; 0: no limit */
	uint64_t after;		/* reset: chunks that still go out */
	uint64_t port;		/* of the server meant; 0: the one asked */
	int64_t until_ns;	/* set by sim_faults_set() */
};

struct sim_faults {
	struct sim_fault of[SIM_N_CLASSES];
};

/* "kind=delay&ms=500&count=10"; 0, or -1 with `f` filled. */
int sim_fault_read(struct sim_fault *out, struct span text, struct fault *f);

void sim_faults_set(struct sim_faults *all, const struct sim_fault *fault,
    int64_t now_ns);

/* The fault to apply now, counted as used; kind NONE when there is none. */
struct sim_fault sim_faults_use(struct sim_faults *all,
    enum sim_fault_class class, int64_t now_ns);
