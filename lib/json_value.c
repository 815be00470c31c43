/*
 * json_value.c - what raw text means: a string with its escapes, a whole number
 */
#include "json.h"

#include <string.h>

static unsigned hex4(const char *at)
{
	unsigned v = 0;

	for (int i = 0; i < 4; i++) {
		char c = at[i];

		v = v << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return v;
}

static size_t utf8_put(unsigned c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* \uXXXX at `at`, with its second half if it is a pair; returns bytes eaten. */
static size_t read_unicode(const char *at, const char *end, unsigned *c)
{
	*c = hex4(at + 2);
	if (*c < 0xd800 || *c > 0xdfff)
		return 6;
	if (*c < 0xdc00 && end - at >= 12 && at[6] == '\\' && at[7] == 'u') {
		unsigned low = hex4(at + 8);

		if (low >= 0xdc00 && low <= 0xdfff) {
			*c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
			return 12;
		}
	}
	*c = 0xfffd;
	return 6;
}

/* One escape into `out`; returns bytes eaten, all the rest when it is cut. */
static size_t resolve_escape(const char *at, const char *end, char out[4],
    size_t *n_out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found;
	unsigned c;
	size_t eaten;

	*n_out = 0;
	if (end - at < 2 || (at[1] == 'u' && end - at < 6))
		return (size_t)(end - at);
	if (at[1] == 'u') {
		eaten = read_unicode(at, end, &c);
		*n_out = utf8_put(c, out);
		return eaten;
	}
	found = memchr(from, at[1], sizeof(from) - 1);
	if (found != NULL) {
		out[0] = to[found - from];
		*n_out = 1;
	}
	return 2;
}

size_t json_unescape(struct span raw, char *out, size_t len)
{
	const char *at = raw.ptr;
	const char *end = raw.len != 0 ? at + raw.len : at;
	size_t n = 0;

	while (at < end) {
		char bytes[4] = { *at };
		size_t n_bytes = 1;

		at += *at == '\\' ? resolve_escape(at, end, bytes, &n_bytes) : 1;
		if (n_bytes > len - n)
			return SIZE_MAX;
		memcpy(out + n, bytes, n_bytes);
		n += n_bytes;
	}
	return n;
}

bool json_uint(struct span digits, uint64_t *out)
{
	uint64_t v = 0;
	bool is_over = false;

	if (digits.len == 0)
		return false;
	for (size_t i = 0; i < digits.len; i++) {
		char c = digits.ptr[i];

		if (c < '0' || c > '9')
			return false;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(c - '0'), &v))
			is_over = true;
	}
	*out = is_over ? UINT64_MAX : v;
	return true;
}
