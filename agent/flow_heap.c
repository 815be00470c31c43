/*
 * flow_heap.c - two heaps merge along their right spines, which are short
 *
 * A node's rank is the number of nodes on its right spine; a missing one's is 0. Of two
 * children the left one has the higher rank, so that the right spine of n nodes has
 * log2(n + 1) of them at most, and all work is done there. Left spines may be long:
 * nothing recurs along them. Each node knows its children's ranks, so that a walk down
 * the right does not have to fetch every left one too.
 */
#include "flow_heap.h"

#include <stdbool.h>
#include <stddef.h>

static bool is_before(const struct flow_node *a, const struct flow_node *b)
{
	if (a->key.time_ms != b->key.time_ms)
		return a->key.time_ms < b->key.time_ms;
	if (a->key.arrived_ms != b->key.arrived_ms)
		return a->key.arrived_ms < b->key.arrived_ms;
	return a->key.number < b->key.number;
}

static uint32_t rank_of(const struct flow_node *n)
{
	return n != NULL ? n->right_rank + 1 : 0;
}

/* For a node that has one child at most, on the left: the other one, on either side. */
static void add_child(struct flow_node *n, struct flow_node *child)
{
	uint32_t rank = rank_of(child);

	if (child != NULL)
		child->parent = n;
	if (rank <= n->left_rank) {
		n->right = child;
		n->right_rank = rank;
		return;
	}
	n->right = n->left;
	n->right_rank = n->left_rank;
	n->left = child;
	n->left_rank = rank;
}

/* The parent of the first is the caller's to set. */
static struct flow_node *merge(struct flow_node *a, struct flow_node *b)
{
	if (a == NULL || b == NULL)
		return a != NULL ? a : b;
	if (is_before(b, a)) {
		struct flow_node *first = b;

		b = a;
		a = first;
	}
	add_child(a, merge(a->right, b));
	return a;
}

/* `child` is `old` with another rank, or instead of it. False: the node's rank stays. */
static bool replace_child(struct flow_node *n, const struct flow_node *old,
    struct flow_node *child)
{
	uint32_t before = rank_of(n);

	if (n->left == old) {
		n->left = n->right;
		n->left_rank = n->right_rank;
	}
	add_child(n, child);
	return rank_of(n) != before;
}

static void set_first(struct flow_heap *h, struct flow_node *n)
{
	h->first = n;
	if (n != NULL)
		n->parent = NULL;
}

void flow_heap_insert(struct flow_heap *h, struct flow_node *n,
    struct flow_key key)
{
	*n = (struct flow_node){ .key = key };
	set_first(h, merge(h->first, n));
}

/*
 * Ranks change on the way up only as long as each is one more than the one below, before
 * or after: so this too ends within the length of a right spine.
 */
void flow_heap_remove(struct flow_heap *h, struct flow_node *n)
{
	struct flow_node *rest = merge(n->left, n->right), *up = n->parent;

	if (up == NULL) {
		set_first(h, rest);
		return;
	}
	for (; up != NULL && replace_child(up, n, rest); up = up->parent)
		n = rest = up;
}

void flow_heap_move(struct flow_heap *h, struct flow_node *n,
    struct flow_key key)
{
	flow_heap_remove(h, n);
	flow_heap_insert(h, n, key);
}

/* ---- all at once: nodes stand in a line through their parents ---- */

struct line {
	struct flow_node *head, *tail;
};

static void line_append(struct line *l, struct flow_node *n)
{
	n->parent = NULL;
	if (l->head == NULL)
		l->head = n;
	else
		l->tail->parent = n;
	l->tail = n;
}

static struct flow_node *line_take(struct line *l)
{
	struct flow_node *n = l->head;

	l->head = n->parent;
	return n;
}

/* The part of the line behind a node is what of the tree still has to be seen. */
static struct line take_apart(struct flow_node *first, flow_key_f *key_of,
    void *data)
{
	struct line l = { 0 };

	if (first != NULL)
		line_append(&l, first);
	for (struct flow_node *n = l.head; n != NULL; n = n->parent) {
		if (n->left != NULL)
			line_append(&l, n->left);
		if (n->right != NULL)
			line_append(&l, n->right);
		n->left = n->right = NULL;
		n->left_rank = n->right_rank = 0;
		n->key = key_of(n, data);
	}
	return l;
}

void flow_heap_rekey(struct flow_heap *h, flow_key_f *key_of, void *data)
{
	struct line l = take_apart(h->first, key_of, data);

	while (l.head != NULL && l.head != l.tail) {
		struct flow_node *a = line_take(&l), *b = line_take(&l);

		line_append(&l, merge(a, b));
	}
	set_first(h, l.head);
}
