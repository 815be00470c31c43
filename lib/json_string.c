/*
 * json_string.c - 16 and 64 bytes at a time, where the machine can
 */
#include "json_string.h"

#include <stdbool.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Those of one letter. */
static inline bool is_short_escape(const char *at)
{
	static const bool letters[256] = { ['n'] = true, ['"'] = true,
		['\\'] = true, ['/'] = true, ['t'] = true, ['r'] = true,
		['b'] = true, ['f'] = true };

	return at[0] == '\\' && letters[(uint8_t)at[1]];
}

#if defined(__SSE2__)
enum { CHUNK = 16, BLOCK = 64 };

static inline __m128i load(const char *at)
{
	return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static inline __m128i equal(__m128i v, char c)
{
	return _mm_cmpeq_epi8(v, _mm_set1_epi8(c));
}

static inline __m128i control(__m128i v)
{
	return _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
}

/* Bit k is set when byte k ends a plain stretch: quote, backslash or control. */
static uint32_t stops(const char *at)
{
	__m128i v = load(at);

	return (uint32_t)_mm_movemask_epi8(_mm_or_si128(control(v),
	    _mm_or_si128(equal(v, '"'), equal(v, '\\'))));
}

/* Bit k is byte k's. */
struct marks {
	uint64_t quote, backslash, control, n;
};

static inline uint64_t bits_at(__m128i mask, int k)
{
	return (uint64_t)(uint32_t)_mm_movemask_epi8(mask) << (k * CHUNK);
}

static inline struct marks marks_of(const char *at)
{
	struct marks m = { 0 };

	for (int k = 0; k < BLOCK / CHUNK; k++) {
		__m128i v = load(at + k * CHUNK);

		m.quote |= bits_at(equal(v, '"'), k);
		m.backslash |= bits_at(equal(v, '\\'), k);
		m.control |= bits_at(control(v), k);
		m.n |= bits_at(equal(v, 'n'), k);
	}
	return m;
}

/*
 * Of a run of backslashes every other one begins an escape, the first as well: the
 * subtraction carries through each run, and shows where it ends by how it began.
 * Source: simdjson, json_escape_scanner.h, next_escape_and_terminal_code().
 */
static inline uint64_t escapes(uint64_t backslash)
{
	const uint64_t odd = UINT64_C(0xaaaaaaaaaaaaaaaa);

	return ((((backslash << 1) | odd) - backslash) ^ odd) & backslash;
}

/* Of some escapes: those from the first on that is not of one letter. */
static inline uint64_t long_escapes(const char *at, uint64_t some)
{
	while (some != 0 && is_short_escape(at + __builtin_ctzll(some)))
		some &= some - 1;
	return some;
}

/*
 * As json_string_stop(), of whole blocks, and may return early. Without a branch for each
 * escape: where the next is, nobody can foretell. Most are \n, \" or \\.
 */
static const char *blocks_stop(const char *at, const char *end)
{
	uint64_t first = 0;	/* 1: the first byte is the last block's escape's */

	for (; end - at > BLOCK; at += BLOCK) {
		struct marks m = marks_of(at);
		uint64_t begun = escapes(m.backslash & ~first);
		uint64_t usual = m.n | m.quote | m.backslash;
		uint64_t stop = (m.quote & ~(begun << 1 | first)) | m.control |
		    long_escapes(at, begun & ~(usual >> 1));

		if (stop != 0)
			return at + __builtin_ctzll(stop);
		first = begun >> (BLOCK - 1);
	}
	return at + first;
}
#else
enum { CHUNK = 1, BLOCK = 1 };

static uint32_t stops(const char *at)
{
	return *at == '"' || *at == '\\' || (uint8_t)*at < 0x20;
}

static const char *blocks_stop(const char *at, const char *end)
{
	(void)end;
	return at;
}
#endif

/* Does the first stop of this chunk end what json_string_stop() passes? Names are short. */
static inline bool ends_at_once(const char *at, uint32_t found)
{
	return found != 0 && !is_short_escape(at + __builtin_ctz(found));
}

const char *json_string_stop(const char *at, const char *end)
{
	if (end - at > BLOCK && !ends_at_once(at, stops(at)))
		at = blocks_stop(at, end);
	while (end - at > CHUNK) {
		uint32_t found = stops(at);
		const char *next = at + CHUNK;

		while (found != 0) {
			unsigned i = (unsigned)__builtin_ctz(found);

			if (!is_short_escape(at + i))
				return at + i;
			found &= ~(UINT32_C(3) << i);
			next = at + i + 2 > next ? at + i + 2 : next;
		}
		at = next;
	}
	while (at < end && *at != '"' && *at != '\\' && (uint8_t)*at >= 0x20)
		at++;
	return at;
}
