/*
 * flow_heap.h - who is first, through the members of those who stand in line
 *
 * A leftist heap (Crane 1972; Knuth, TAOCP vol. 3, 5.2.3): nothing is allocated, any
 * node may leave, and each step is O(log n) at worst, not only on average. Nodes are
 * the caller's, and in one heap at a time. Among equal keys nobody is first, so give
 * each a number of its own where order matters. One thread.
 */
#pragma once

#include <stdint.h>

/* Compared from left to right; the smallest is first. */
struct flow_key {
	int64_t time_ms, arrived_ms;
	uint64_t number;
};

struct flow_node {
	struct flow_node *left, *right, *parent;
	struct flow_key key;
	uint32_t left_rank, right_rank;	/* of the children: flow_heap.c */
};

/* Zeroed: empty. */
struct flow_heap {
	struct flow_node *first;	/* NULL: empty */
};

void flow_heap_insert(struct flow_heap *h, struct flow_node *n,
    struct flow_key key);
void flow_heap_remove(struct flow_heap *h, struct flow_node *n);

/* Takes a node out and puts it back under another key. */
void flow_heap_move(struct flow_heap *h, struct flow_node *n,
    struct flow_key key);

/*
 * A new key for every node, in O(n). `key_of` sees each once, in no order, and may not
 * touch this heap.
 */
typedef struct flow_key flow_key_f(struct flow_node *n, void *data);
void flow_heap_rekey(struct flow_heap *h, flow_key_f *key_of, void *data);
