/*
 * bench_flow_queue.c - what it costs to wait in line, beside simpler lines
 *
 * One thread. A queue is filled to N waiters of F flows; then each turn adds one and
 * serves one (next and take), so that N stay. Deadlines are random within a minute.
 * Beside it, in turn within each round and with the same waiters: a plain list, which
 * is all that one flow in order of arrival needs and which cannot tell who expires; and
 * a binary heap of (expiry, waiter) in an array, the textbook's line, which can do
 * nothing else. Last, in the queue: one comes, and any one of all gives up.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "flow_queue.h"
#include "list.h"
#include "must.h"
#include "rng.h"

enum {
	WAITERS_MAX = 50000 + 1, FLOWS_MAX = 1000, ID_BYTES = 16,
	TURNS = 20000,		/* of each line in each round */
	ROUNDS = 15,
};

static const size_t depths[] = { 10, 1000, 50000 };
static const size_t flow_counts[] = { 1, 1000 };

static const struct policy {
	const char *name;
	enum flow_fairness fairness;
	enum flow_ordering ordering;
} policies[] = {
	{ "strict fcfs", FLOW_GLOBAL_STRICT, FLOW_FCFS },
	{ "turns fcfs", FLOW_ROUND_ROBIN, FLOW_FCFS },
	{ "turns edf", FLOW_ROUND_ROBIN, FLOW_EDF },
};

struct item {
	struct list link;
	struct waiter w;
};

static struct item items[WAITERS_MAX];
static char ids[FLOWS_MAX][ID_BYTES];

/* ---- the textbook's heap ---- */

struct entry {
	int64_t key;
	struct item *item;
};

static struct entry entries[WAITERS_MAX + 1];	/* from 1 */
static size_t n_entries;

static void plain_push(int64_t key, struct item *item)
{
	size_t at = ++n_entries;

	for (; at > 1 && entries[at / 2].key > key; at /= 2)
		entries[at] = entries[at / 2];
	entries[at] = (struct entry){ key, item };
}

static struct item *plain_pop(void)
{
	struct item *first = entries[1].item;
	struct entry last = entries[n_entries--];
	size_t at = 1;

	for (size_t down; (down = 2 * at) <= n_entries; at = down) {
		if (down < n_entries && entries[down + 1].key < entries[down].key)
			down++;
		if (entries[down].key >= last.key)
			break;
		entries[at] = entries[down];
	}
	entries[at] = last;
	return first;
}

/* ---- the world ---- */

struct world {
	struct rng rng;
	size_t n_flows;
	int64_t now_ms;
	struct item *spare;
};

/* As if it had just come: a fairness id, and a deadline within the next minute. */
static struct item *arrive(struct world *w)
{
	struct item *i = w->spare;

	w->now_ms++;
	i->w.fairness_id = span_of(ids[rng_below(&w->rng,
	    (uint32_t)w->n_flows)]);
	i->w.arrived_ms = w->now_ms;
	i->w.expires_ms = w->now_ms + 1 + rng_below(&w->rng, 60000);
	i->w.bytes = 1000;
	return i;
}

static int64_t run_queue(struct world *w, struct flow_queue *q)
{
	int64_t from = clock_ns();

	for (int turn = 0; turn < TURNS; turn++) {
		struct waiter *next;

		must(flow_queue_add(q, &arrive(w)->w) == 0);
		next = flow_queue_next(q);
		flow_queue_take(q, next);
		w->spare = list_entry(next, struct item, w);
	}
	return clock_ns() - from;
}

static int64_t run_cancel(struct world *w, struct flow_queue *q, size_t n)
{
	int64_t from = clock_ns();

	for (int turn = 0; turn < TURNS; turn++) {
		struct item *any = &items[rng_below(&w->rng, (uint32_t)n + 1)];

		must(flow_queue_add(q, &arrive(w)->w) == 0);
		flow_queue_drop(q, &any->w);
		w->spare = any;
	}
	return clock_ns() - from;
}

static int64_t run_list(struct world *w, struct list *line)
{
	int64_t from = clock_ns();

	for (int turn = 0; turn < TURNS; turn++) {
		list_append(line, &arrive(w)->link);
		w->spare = list_entry(line->next, struct item, link);
		list_remove(line->next);
	}
	return clock_ns() - from;
}

static int64_t run_heap(struct world *w)
{
	int64_t from = clock_ns();

	for (int turn = 0; turn < TURNS; turn++) {
		struct item *i = arrive(w);

		plain_push(i->w.expires_ms, i);
		w->spare = plain_pop();
	}
	return clock_ns() - from;
}

/* ---- a round: every line is filled anew with the same items ---- */

static void world_open(struct world *w, uint64_t seed, size_t n_flows)
{
	*w = (struct world){ .rng = { seed }, .n_flows = n_flows };
	memset(items, 0, sizeof(items));
}

static int64_t measure_list(size_t n, size_t n_flows, uint64_t seed)
{
	struct list line;
	struct world w;

	world_open(&w, seed, n_flows);
	list_init(&line);
	for (size_t i = 0; i < n; i++) {
		w.spare = &items[i];
		list_append(&line, &arrive(&w)->link);
	}
	w.spare = &items[n];
	return run_list(&w, &line);
}

static int64_t measure_heap(size_t n, size_t n_flows, uint64_t seed)
{
	struct world w;

	world_open(&w, seed, n_flows);
	n_entries = 0;
	for (size_t i = 0; i < n; i++) {
		w.spare = &items[i];
		plain_push(arrive(&w)->w.expires_ms, w.spare);
	}
	w.spare = &items[n];
	return run_heap(&w);
}

static void measure_queue(const struct policy *p, size_t n, size_t n_flows,
    uint64_t seed, int64_t *serve, int64_t *cancel)
{
	const struct flow_options o = { .default_band = {
		.fairness = p->fairness, .ordering = p->ordering } };
	struct flow_queue *q = flow_queue_new(&o, seed, 64 << 20);
	struct waiter *next;
	struct world w;

	must(q != NULL);
	world_open(&w, seed, n_flows);
	for (size_t i = 0; i < n; i++) {
		w.spare = &items[i];
		must(flow_queue_add(q, &arrive(&w)->w) == 0);
	}
	w.spare = &items[n];
	*serve = run_queue(&w, q);
	*cancel = run_cancel(&w, q, n);
	while ((next = flow_queue_next(q)) != NULL)
		flow_queue_take(q, next);
	flow_queue_free(q);
}

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double median(int64_t times[ROUNDS])
{
	qsort(times, ROUNDS, sizeof(*times), by_time);
	return (double)times[ROUNDS / 2] / TURNS;
}

static void measure(const struct policy *p, size_t n, size_t n_flows)
{
	int64_t serve[ROUNDS], cancel[ROUNDS], list[ROUNDS], heap[ROUNDS];
	double ours, plain_list, plain_heap;

	for (uint64_t r = 0; r < ROUNDS; r++) {
		measure_queue(p, n, n_flows, r, &serve[r], &cancel[r]);
		list[r] = measure_list(n, n_flows, r);
		heap[r] = measure_heap(n, n_flows, r);
	}
	ours = median(serve);
	plain_list = median(list);
	plain_heap = median(heap);
	printf("%-12s %8zu %6zu %10.0f %8.0f %8.2f %8.0f %8.2f %10.0f\n",
	    p->name, n, n_flows, ours, plain_list, ours / plain_list,
	    plain_heap, ours / plain_heap, median(cancel));
}

int main(void)
{
	for (int i = 0; i < FLOWS_MAX; i++)
		snprintf(ids[i], ID_BYTES, "tenant-%d", i);
	printf("bench_flow_queue: one comes, one is served; ns for both\n");
	printf("%-12s %8s %6s %10s %8s %8s %8s %8s %10s\n", "policy", "waiting",
	    "flows", "queue ns", "list ns", "x list", "heap ns", "x heap",
	    "cancel ns");
	for (size_t p = 0; p < sizeof(policies) / sizeof(*policies); p++)
		for (size_t f = 0; f < 2; f++)
			for (size_t d = 0; d < 3; d++)
				measure(&policies[p], depths[d],
				    flow_counts[f]);
	return 0;
}
