/*
 * prom.c - find the wanted lines of a page that arrives in pieces
 *
 * Of a line that nobody asked for we look at its first eight bytes (fewer, if a name
 * is shorter) and for its newline. The bytes, hashed, are two bits to find in two
 * words of 64: of a dozen names one foreign family in thirty passes, and is told apart
 * by its whole name. That filter depends on the line's first bytes alone, so cutting
 * a page differently cannot change the answer. A cut line is kept only if the filter
 * lets it pass.
 */
#include "prom.h"

#include <string.h>

#include "must.h"
#include "prom_line.h"

enum { CARRY_KEPT_BYTES = 1024, PAD_BYTES = 8 };

static const struct prom_selector *selector_at(const struct prom *p, size_t i)
{
	return (const void *)((const char *)p->selectors + i * p->stride);
}

/* How many first bytes every name has: the filter looks at no more. */
static size_t shortest_name(const struct prom *p)
{
	size_t len = sizeof(p->first_mask);

	for (size_t i = 0; i < p->n_selectors; i++) {
		size_t n = strlen(selector_at(p, i)->name);

		must(n > 0);
		len = n < len ? n : len;
	}
	return len;
}

/* Bits 58.. and 52.. of a multiplicative hash: one for each bloom. */
static inline uint64_t first_hash(const struct prom *p, const char *at)
{
	uint64_t first;

	memcpy(&first, at, sizeof(first));
	return (first & p->first_mask) * UINT64_C(0x9e3779b97f4a7c15);
}

void prom_init(struct prom *p, const struct prom_selector *selectors,
    size_t n_selectors, size_t stride, prom_sample_f *on_sample, void *data)
{
	*p = (struct prom){
		.selectors = selectors,
		.n_selectors = n_selectors,
		.stride = stride,
		.on_sample = on_sample,
		.data = data,
	};
	buf_init(&p->carry, PROM_LINE_MAX);
	if (n_selectors == 0)
		return;
	p->n_first = (uint8_t)shortest_name(p);
	memset(&p->first_mask, 0xff, p->n_first);
	for (size_t i = 0; i < n_selectors; i++) {
		char first[sizeof(p->first_mask)];
		uint64_t h;

		memset(first, 0, sizeof(first));
		memcpy(first, selector_at(p, i)->name, p->n_first);
		h = first_hash(p, first);
		p->blooms[0] |= UINT64_C(1) << (h >> 58);
		p->blooms[1] |= UINT64_C(1) << (h >> 52 & 63);
	}
}

void prom_fini(struct prom *p)
{
	buf_fini(&p->carry);
}

static void carry_clear(struct prom *p)
{
	if (p->carry.cap > CARRY_KEPT_BYTES)
		buf_fini(&p->carry);
	buf_clear(&p->carry);
}

void prom_reset(struct prom *p)
{
	carry_clear(p);
	p->skipping = false;
	p->result = PROM_OK;
}

/*
 * May the line at `at` be wanted? `left` bytes may be looked at, those of later
 * lines included: no name has a newline in it, so they cannot make it pass.
 */
static inline bool may_be_wanted(const struct prom *p, const char *at,
    size_t left)
{
	char padded[PAD_BYTES];
	uint64_t h;

	if (left < sizeof(padded)) {
		memset(padded, '\n', sizeof(padded));
		memcpy(padded, at, left);
		at = padded;
	}
	h = first_hash(p, at);
	if ((p->blooms[0] >> (h >> 58) & p->blooms[1] >> (h >> 52 & 63) & 1) != 0)
		return true;
	return *at == ' ' || *at == '\t';	/* blanks may precede a name */
}

static bool selector_matches(const struct prom_selector *s, struct span labels)
{
	for (size_t i = 0; i < s->n_matchers; i++) {
		struct span rest = labels, value = { NULL, 0 };
		struct prom_pair pair;

		while (prom_pair_next(&rest, &pair) == PROM_NEXT_PAIR)
			if (span_is_text(pair.key, s->matchers[i].key))
				value = pair.value;
		if (!prom_value_is(value, s->matchers[i].value))
			return false;
	}
	return true;
}

/* Is `name` the line's name: followed by a blank, a brace or nothing? */
static bool line_is_of(struct span line, const char *name, size_t len)
{
	return line.len >= len && memcmp(line.ptr, name, len) == 0 &&
	    (line.len == len || memchr(" \t{", line.ptr[len], 3) != NULL);
}

/* A whole line that passed the filter; several selectors may want it. */
static void take_line(struct prom *p, struct span line)
{
	struct prom_sample sample;
	bool parsed = false;

	if (line.len > PROM_LINE_MAX) {
		p->result = PROM_TOO_LONG;
		return;
	}
	line = prom_trim(line);
	for (size_t i = 0; i < p->n_selectors; i++) {
		const struct prom_selector *s = selector_at(p, i);
		size_t len = strlen(s->name);

		if (!line_is_of(line, s->name, len))
			continue;
		if (!parsed && !prom_line_parse((struct span){ line.ptr + len,
			line.len - len }, &sample.labels, &sample.value)) {
			p->result = PROM_BAD;
			return;
		}
		parsed = true;
		sample.selector = i;
		if (selector_matches(s, sample.labels))
			p->on_sample(p->data, &sample);
	}
}

static void carry_put(struct prom *p, const char *at, size_t len)
{
	if (len > PROM_LINE_MAX - p->carry.len) {
		p->result = PROM_TOO_LONG;
		return;
	}
	buf_put(&p->carry, at, len);
	if (buf_failed(&p->carry))
		p->result = PROM_NO_MEMORY;
}

/* A line or a part of one, its end not seen yet. */
static void keep_part(struct prom *p, const char *at, size_t len)
{
	size_t need = p->n_first;

	if (p->carry.len == 0 && len >= need && !may_be_wanted(p, at, len)) {
		p->skipping = true;
		return;
	}
	if (p->carry.len != 0 && p->carry.len < need) {
		size_t n = need - p->carry.len;

		if (n > len)
			n = len;
		carry_put(p, at, n);
		at += n;
		len -= n;
		if (p->carry.len == need &&
		    !may_be_wanted(p, p->carry.data, p->carry.len)) {
			p->skipping = true;
			return;
		}
	}
	if (p->result == PROM_OK)
		carry_put(p, at, len);
}

/* The line that an earlier piece began is over. */
static void end_kept(struct prom *p)
{
	if (!p->skipping && p->result == PROM_OK && p->carry.len != 0)
		take_line(p, buf_span(&p->carry));
	p->skipping = false;
	buf_clear(&p->carry);
}

/* How much of the piece belongs to the line that an earlier one began. */
static size_t feed_kept(struct prom *p, const char *at, size_t len)
{
	const char *newline = memchr(at, '\n', len);
	size_t n = newline != NULL ? (size_t)(newline - at) : len;

	if (!p->skipping)
		keep_part(p, at, n);
	if (newline == NULL)
		return len;
	end_kept(p);
	return n + 1;
}

enum prom_result prom_feed(struct prom *p, const void *bytes, size_t len)
{
	const char *at = bytes, *end = at + len, *newline;

	if (len == 0 || p->result != PROM_OK)
		return p->result;
	if (p->skipping || p->carry.len != 0)
		at += feed_kept(p, at, len);
	while (at < end && p->result == PROM_OK) {
		newline = memchr(at, '\n', (size_t)(end - at));
		if (newline == NULL) {
			keep_part(p, at, (size_t)(end - at));
			break;
		}
		if (may_be_wanted(p, at, (size_t)(end - at)))
			take_line(p,
			    (struct span){ at, (size_t)(newline - at) });
		at = newline + 1;
	}
	return p->result;
}

enum prom_result prom_finish(struct prom *p)
{
	end_kept(p);
	carry_clear(p);
	return p->result;
}

bool prom_label(struct span labels, const char *key, char *out, size_t len)
{
	struct prom_pair pair;

	while (prom_pair_next(&labels, &pair) == PROM_NEXT_PAIR)
		if (span_is_text(pair.key, key)) {
			prom_value_copy(pair.value, out, len);
			return true;
		}
	return false;
}
