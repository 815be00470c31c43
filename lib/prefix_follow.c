/*
 * prefix_follow.c - what becomes of a chain after it was sent: its answer, and who asks
 * which it was
 *
 * An answer's blocks are known by number only. They stand behind a block of their
 * prompt under keys that no prompt can be made to hash to, take capacity, age and are
 * evicted as all others; when the next turn brings the answer as text, they make way
 * for it.
 */
#include "prefix_parts.h"

#include <stdlib.h>

#include "hash.h"
#include "must.h"

enum { ANSWER_BLOCKS_MAX = 4096 };

/* ---- answers ---- */

/* By the secret, or a client could name one in its prompt and have it removed. */
static uint64_t answer_key(const struct prefix_index *p, uint64_t block,
    uint32_t i)
{
	return hash_pair(block ^ p->secret, ~(uint64_t)i);
}

/* How many stand behind the block: 0 .. n - 1 do, since they go last one first. */
static uint32_t answer_count(const struct prefix_index *p, uint16_t slot,
    uint64_t block)
{
	uint32_t low = 0, high = 1;	/* low are there, high are not */

	while (high <= ANSWER_BLOCKS_MAX &&
	    prefix_find(p, answer_key(p, block, high - 1), slot) != 0) {
		low = high;
		high *= 2;
	}
	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;

		if (prefix_find(p, answer_key(p, block, mid - 1), slot) != 0)
			low = mid;
		else
			high = mid;
	}
	return low;
}

void prefix_retire_answer(struct prefix_index *p, struct holder *h,
    uint16_t slot, uint64_t block, uint32_t n_new)
{
	uint32_t n;

	if (prefix_find(p, answer_key(p, block, 0), slot) == 0)
		return;		/* nearly always */
	n = answer_count(p, slot, block);
	for (; n > 0 && n_new > 0; n--, n_new--)
		prefix_remove(p, h,
		    prefix_find(p, answer_key(p, block, n - 1), slot));
}

static void add_answer(struct prefix_index *p, struct holder *h, uint16_t slot,
    uint64_t block, uint32_t n)
{
	uint32_t limit = prefix_limit(p, h);
	uint32_t first = answer_count(p, slot, block);
	uint32_t leaf = prefix_find(p, first > 0 ?
	    answer_key(p, block, first - 1) : block, slot);

	n = n < limit ? n : limit;
	if (leaf == 0)
		return;
	prefix_touch(p, h, leaf);	/* so that making room spares it */
	prefix_make_room(p, h, n);
	/* Its own prompt may have had to go: an answer longer than the cache. */
	if (prefix_find(p, first > 0 ? answer_key(p, block, first - 1) : block,
		slot) != leaf)
		return;
	for (uint32_t i = first; i < first + n && i < ANSWER_BLOCKS_MAX; i++) {
		uint32_t id = prefix_add(p, h, slot, answer_key(p, block, i), leaf);

		if (id == 0)
			break;
		prefix_push_newest(p, h, id);
		h->has_answers = true;
		leaf = id;
	}
	prefix_touch(p, h, leaf);
}

void prefix_answered(struct prefix_index *p, uint16_t slot, uint64_t block,
    uint32_t n)
{
	must(slot < p->n_slots);
	if (n == 0)
		return;
	prefix_lock(p);
	if (p->holders[slot].joined)
		add_answer(p, &p->holders[slot], slot, block, n);
	prefix_unlock(p);
}

/* ---- following an engine ---- */

int prefix_track(struct prefix_index *p)
{
	must(p->n_used == 0 && p->kin == NULL);
	p->kin = calloc((size_t)p->n_postings + 1, sizeof(*p->kin));
	if (p->kin == NULL)
		return -1;
	p->bytes += ((size_t)p->n_postings + 1) * sizeof(*p->kin);
	return 0;
}

int prefix_follow(struct prefix_index *p, uint16_t slot, bool is_followed)
{
	struct journal *j = NULL, *old;

	must(slot < p->n_slots && p->kin != NULL);
	if (is_followed) {
		j = calloc(1, sizeof(*j));
		if (j == NULL)
			return -1;
	}
	prefix_lock(p);
	old = p->holders[slot].journal;
	p->holders[slot].journal = j;
	prefix_unlock(p);
	free(old);
	return 0;
}

void prefix_note_sent(struct holder *h, uint64_t leaf, uint32_t n, uint32_t held)
{
	struct journal *j = h->journal;

	if (j->n == PREFIX_SENT_MAX)
		j->n_lost++;
	else
		j->sent[j->n++] = (struct prefix_sent){ leaf, n, held };
}

uint32_t prefix_sent(struct prefix_index *p, uint16_t slot,
    struct prefix_sent out[PREFIX_SENT_MAX], uint32_t *n_lost)
{
	struct journal *j;
	uint32_t n = 0;

	must(slot < p->n_slots);
	*n_lost = 0;
	prefix_lock(p);
	j = p->holders[slot].journal;
	if (j != NULL) {
		n = j->n;
		memcpy(out, j->sent, n * sizeof(*out));
		*n_lost = j->n_lost;
		j->n = j->n_lost = 0;
	}
	prefix_unlock(p);
	return n;
}

uint32_t prefix_blocks(struct prefix_index *p, uint16_t slot, uint64_t leaf,
    uint32_t n, uint64_t *out)
{
	uint32_t id, i = n;

	must(slot < p->n_slots);
	prefix_lock(p);
	id = p->holders[slot].joined ? prefix_find(p, leaf, slot) : 0;
	for (; id != 0 && i > 0; id = p->postings[id].parent)
		out[--i] = atomic_load_explicit(&p->postings[id].key,
		    memory_order_relaxed);
	prefix_unlock(p);
	return i == 0 ? n : 0;
}
