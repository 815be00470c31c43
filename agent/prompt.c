/*
 * prompt.c - spans to blocks to chained hashes
 */
#include "prompt.h"

#include "arena.h"
#include "hash.h"
#include "must.h"
#include "prefix.h"

enum { PIECE_SPANS = 30 };

/* A span with a null pointer is a split. */
struct prompt_piece {
	struct prompt_piece *next;
	size_t n;
	struct span spans[PIECE_SPANS];
};

void prompt_init(struct prompt *p, struct arena *arena)
{
	*p = (struct prompt){ .arena = arena, .n_chains = 1 };
}

static void append(struct prompt *p, enum prompt_section s, struct span text)
{
	struct prompt_piece *last = p->sections[s].last;

	if (p->failed)
		return;
	if (last == NULL || last->n == PIECE_SPANS) {
		struct prompt_piece *piece = arena_alloc(p->arena,
		    sizeof(*piece));

		if (piece == NULL) {
			p->failed = true;
			return;
		}
		piece->next = NULL;
		piece->n = 0;
		if (last != NULL)
			last->next = piece;
		else
			p->sections[s].first = piece;
		p->sections[s].last = last = piece;
	}
	last->spans[last->n++] = text;
	p->bytes += text.len;
}

void prompt_add(struct prompt *p, enum prompt_section s, struct span text)
{
	if (text.len > 0)
		append(p, s, text);
}

void prompt_add_digest(struct prompt *p, enum prompt_section s,
    struct span bytes)
{
	uint64_t hash = hash_bytes(bytes.ptr, bytes.len, 0);
	char *copy = arena_copy(p->arena, (const char *)&hash, sizeof(hash));

	if (copy == NULL)
		p->failed = true;
	else
		append(p, s, (struct span){ copy, sizeof(hash) });
}

void prompt_split(struct prompt *p)
{
	if (p->n_chains == PROMPT_CHAINS_MAX)
		return;
	append(p, PROMPT_TEXT, (struct span){ 0 });
	p->n_chains++;
}

static void count(const struct prompt_piece *piece, uint64_t *bytes,
    size_t *splits)
{
	*bytes = 0;
	*splits = 0;
	for (; piece != NULL; piece = piece->next)
		for (size_t i = 0; i < piece->n; i++) {
			*bytes += piece->spans[i].len;
			*splits += piece->spans[i].ptr == NULL;
		}
}

void prompt_clear(struct prompt *p, enum prompt_section s)
{
	uint64_t bytes;
	size_t splits;

	count(p->sections[s].first, &bytes, &splits);
	p->sections[s].first = p->sections[s].last = NULL;
	p->bytes -= bytes;
	p->n_chains -= splits;
}

/* The block being filled: whole blocks inside a span never pass through here. */
struct hasher {
	struct request *r;
	size_t block_bytes, max_blocks;
	size_t n_kept;
	char *kept;
};

static bool is_full(const struct hasher *h)
{
	return h->r->n_blocks == h->max_blocks;
}

static void put_block(struct hasher *h, const char *bytes, size_t len)
{
	h->r->blocks[h->r->n_blocks++] = hash_bytes(bytes, len, 0);
}

static void feed(struct hasher *h, struct span s)
{
	if (h->n_kept > 0) {
		size_t n = h->block_bytes - h->n_kept;

		n = n < s.len ? n : s.len;
		memcpy(h->kept + h->n_kept, s.ptr, n);
		h->n_kept += n;
		s.ptr += n;
		s.len -= n;
		if (h->n_kept < h->block_bytes)
			return;
		put_block(h, h->kept, h->block_bytes);
		h->n_kept = 0;
	}
	while (s.len >= h->block_bytes && !is_full(h)) {
		put_block(h, s.ptr, h->block_bytes);
		s.ptr += h->block_bytes;
		s.len -= h->block_bytes;
	}
	if (s.len > 0 && !is_full(h)) {
		memcpy(h->kept, s.ptr, s.len);
		h->n_kept = s.len;
	}
}

/* The last block may be short: llm-d-router counts it too. */
static void end_chain(struct hasher *h)
{
	struct request *r = h->r;
	struct request_chain *c = &r->chains[r->n_chains];

	if (h->n_kept > 0 && !is_full(h))
		put_block(h, h->kept, h->n_kept);
	h->n_kept = 0;
	c->n = (uint32_t)r->n_blocks - c->first;
	if (c->n == 0)
		return;
	prefix_chain(r->model, r->cache_salt, r->blocks + c->first, c->n);
	r->n_chains++;
}

static void start_chain(struct hasher *h)
{
	h->r->chains[h->r->n_chains].first = (uint32_t)h->r->n_blocks;
}

static void hash_section(struct hasher *h, const struct prompt_piece *piece)
{
	for (; piece != NULL; piece = piece->next)
		for (size_t i = 0; i < piece->n; i++) {
			if (piece->spans[i].ptr == NULL) {
				end_chain(h);
				start_chain(h);
			} else if (!is_full(h)) {
				feed(h, piece->spans[i]);
			}
		}
}

void prompt_hash(struct prompt *p, struct request *r, uint32_t block_bytes,
    uint32_t max_blocks)
{
	struct hasher h = { .r = r, .block_bytes = block_bytes };
	uint64_t most;

	must(block_bytes > 0);
	if (max_blocks > PROMPT_BLOCKS_MAX)
		max_blocks = PROMPT_BLOCKS_MAX;
	r->prompt_bytes = p->bytes;
	if (p->failed || p->bytes == 0)
		return;
	most = p->bytes / block_bytes + p->n_chains;
	h.max_blocks = most < max_blocks ? (size_t)most : max_blocks;
	r->blocks = arena_alloc(p->arena, h.max_blocks * sizeof(*r->blocks));
	r->chains = arena_alloc(p->arena, p->n_chains * sizeof(*r->chains));
	h.kept = arena_alloc(p->arena, block_bytes);
	if (r->blocks == NULL || r->chains == NULL || h.kept == NULL)
		return;
	start_chain(&h);
	for (int s = 0; s < PROMPT_SECTIONS; s++)
		hash_section(&h, p->sections[s].first);
	end_chain(&h);
}
