/*
 * flow_queue.h - who waits for one pool, who is next, who has waited too long
 *
 * Waiters stand in bands, one for each priority; the highest band that has any is
 * served first, whatever waits below. Within a band each fairness id is a flow: either
 * flows take turns, or they are ignored and the band is one line. Within a flow a
 * line is ordered by arrival or by a deadline. Two limits, of the band and of the
 * whole queue, bound how many wait and how many bytes they hold.
 *
 * Every step is O(log n) but for a look at the options' rows (flow_queue_add() that
 * opens a band) and for what changes all at once (flow_queue_set_options(),
 * flow_queue_renew()), which is O(n). Bands and flows exist while somebody waits in
 * them and cost memory only then.
 *
 * Owned by one thread; no clock and no I/O: milliseconds are the caller's, of any
 * clock that does not go back. Source of the behaviour and of each default:
 * llm-d-router pkg/epp/flowcontrol (registry/config.go, controller/internal/
 * processor.go) and pkg/epp/framework/plugins/flowcontrol.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow_heap.h"
#include "span.h"

enum {
	FLOW_BAND_MAX_REQUESTS = 5000,		/* defaultPriorityBandMaxRequests */
	FLOW_BAND_MAX_BYTES = 1000000000,	/* defaultPriorityBandMaxBytes */
	FLOW_BANDS_MAX = 1024,	/* ours: priorities that wait at one time */
};

/* Of nobody's fairness id: waiters that have none share this flow. */
#define FLOW_DEFAULT_ID "default-flow"

/* For who never expires; no time is later. */
#define FLOW_NEVER INT64_MAX

/* Which flow of a band is served next. */
enum flow_fairness {
	FLOW_GLOBAL_STRICT,	/* whichever has the first of all, by the ordering */
	FLOW_ROUND_ROBIN,	/* the one that was served longest ago */
};

/* Who is first; those who are equal in it go by arrived_ms, then as they were added. */
enum flow_ordering {
	FLOW_FCFS,		/* all are equal */
	FLOW_EDF,		/* earliest expires_ms */
	FLOW_SLO_DEADLINE,	/* earliest arrived_ms + slo_ms; who has none is last */
};

/*
 * A limit of zero is none here. llm-d reads a band's zero as the default, so whoever
 * decodes its documents has to write the default in.
 */
struct flow_band_options {
	int32_t priority;	/* higher is served first; of no matter in a template */
	uint64_t max_requests;	/* default FLOW_BAND_MAX_REQUESTS */
	uint64_t max_bytes;	/* default FLOW_BAND_MAX_BYTES */
	enum flow_fairness fairness;	/* default FLOW_GLOBAL_STRICT */
	enum flow_ordering ordering;	/* default FLOW_FCFS */
	int64_t ttl_ms;		/* to wait, for whoever sets expires_ms; 0: the pool's */
};

struct flow_options {
	uint64_t max_requests, max_bytes;	/* of all bands; default 0, no limit */
	const struct flow_band_options *bands;	/* each priority once, in any order */
	size_t n_bands;
	/*
	 * Templates for priorities that have no row; the second for those below zero.
	 * Where it is not given, llm-d takes the first: so has to who decodes.
	 */
	struct flow_band_options default_band, default_negative_band;
};

/* What llm-d does without a word of configuration. */
extern const struct flow_options flow_options_default;

/* The row, or the template, that is for this priority. */
const struct flow_band_options *flow_options_band(const struct flow_options *o,
    int32_t priority);

struct flow;
struct flow_queue;

/*
 * Part of what waits. The first half is the caller's to fill before
 * flow_queue_add() and not to touch until the waiter is out again; the bytes of
 * `fairness_id` have to stay as long. The second half is zeroed before the first
 * time, and never touched.
 */
struct waiter {
	int32_t priority;
	struct span fairness_id;	/* empty: FLOW_DEFAULT_ID */
	int64_t arrived_ms;
	int64_t expires_ms;	/* from then on it has waited too long; or FLOW_NEVER */
	int64_t slo_ms;		/* after arrival; none when 0 or less */
	int64_t ttl_ms;		/* to wait at most, as a band's; none when 0 or less */
	uint64_t bytes;		/* what it costs us to hold it */

	struct flow *flow;	/* NULL: does not wait */
	struct flow_node place, expiry;
};

/*
 * `options` is borrowed, until flow_queue_set_options() has returned with another or the
 * queue is freed. `secret` keeps clients from aiming fairness ids at one bucket of the table of
 * flows. Bands and flows, which are some hundred bytes each, take `max_table_bytes`
 * altogether. NULL without memory.
 */
struct flow_queue *flow_queue_new(const struct flow_options *options,
    uint64_t secret, size_t max_table_bytes);

/* Nobody may wait any more. */
void flow_queue_free(struct flow_queue *q);

enum flow_refusal {
	FLOW_FULL = 1,		/* the queue's limits, or FLOW_BANDS_MAX */
	FLOW_BAND_FULL,		/* the limits of the waiter's band */
};

/*
 * 0: it waits, and is borrowed until it is taken or dropped. An enum flow_refusal, or
 * -ENOMEM past max_table_bytes or without memory: nothing changed.
 */
int flow_queue_add(struct flow_queue *q, struct waiter *w);

/* Who is to be served next, still waiting; NULL when nobody waits. */
struct waiter *flow_queue_next(const struct flow_queue *q);

/* It is being served: out of the queue, and its flow goes behind the others. */
void flow_queue_take(struct flow_queue *q, struct waiter *w);

/* It expired or gave up: out of the queue, and its flow keeps its turn. */
void flow_queue_drop(struct flow_queue *q, struct waiter *w);

/* Who should have left at `now_ms` or before, the longest ago first; NULL: nobody. */
struct waiter *flow_queue_expired(const struct flow_queue *q, int64_t now_ms);

/* When the next one expires; FLOW_NEVER when nobody will. */
int64_t flow_queue_next_expiry_ms(const struct flow_queue *q);

/* One waits shorter or longer than was said. */
void flow_queue_set_expiry(struct flow_queue *q, struct waiter *w,
    int64_t expires_ms);

/* The same for all of them: a pool that has no endpoint left keeps its own time. */
typedef int64_t flow_expiry_f(const struct waiter *w, void *data);
void flow_queue_renew(struct flow_queue *q, flow_expiry_f *expires_ms,
    void *data);

/*
 * Other limits, fairness and ordering, for who waits now too. Nobody is lost: a queue
 * that holds more than it may only takes no more in. Turns are kept.
 */
void flow_queue_set_options(struct flow_queue *q,
    const struct flow_options *options);

struct flow_counts {
	uint64_t requests, bytes;
	size_t flows;
};

struct flow_counts flow_queue_counts(const struct flow_queue *q);

/* Bands that somebody waits in, the highest priority at 0. */
size_t flow_queue_n_bands(const struct flow_queue *q);
struct flow_counts flow_queue_band(const struct flow_queue *q, size_t i,
    int32_t *priority);

/* What `max_table_bytes` limits: bytes of bands, flows and their tables. */
size_t flow_queue_table_bytes(const struct flow_queue *q);
