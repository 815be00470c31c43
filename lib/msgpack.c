/*
 * msgpack.c - one head at a time, by its first byte
 */
#include "msgpack.h"

#include <endian.h>
#include <string.h>

/* 1, 2, 4 or 8 bytes. */
static uint64_t big_endian(struct reader *r, size_t len)
{
	uint64_t v = 0;

	if (reader_left(r) < len) {
		r->bad = true;
		return 0;
	}
	memcpy((char *)&v + sizeof(v) - len, r->at, len);
	r->at += len;
	return be64toh(v);
}

static struct msgpack a_uint(uint64_t v)
{
	return (struct msgpack){ .type = MSGPACK_UINT, .number = v };
}

/* Sign-extended from `len` bytes. */
static struct msgpack an_int(struct reader *r, size_t len)
{
	unsigned shift = 64 - 8 * (unsigned)len;
	int64_t v = (int64_t)(big_endian(r, len) << shift) >> shift;

	return (struct msgpack){ .type = v < 0 ? MSGPACK_INT : MSGPACK_UINT,
		.number = (uint64_t)v };
}

static struct msgpack a_float(struct reader *r, size_t len)
{
	struct msgpack m = { .type = MSGPACK_FLOAT };
	uint64_t bits = big_endian(r, len);
	uint32_t half = (uint32_t)bits;
	float narrow;

	if (len == sizeof(narrow)) {
		memcpy(&narrow, &half, sizeof(narrow));
		m.real = (double)narrow;
	} else {
		memcpy(&m.real, &bits, sizeof(bits));
	}
	return m;
}

static struct msgpack a_text(struct reader *r, uint64_t len)
{
	return (struct msgpack){ .type = MSGPACK_TEXT,
		.bytes = reader_bytes(r, len) };
}

/* A type byte, then that many. */
static struct msgpack an_ext(struct reader *r, uint64_t len)
{
	return (struct msgpack){ .type = MSGPACK_EXT,
		.bytes = reader_bytes(r, len + 1) };
}

/* Each element takes a byte at least, each pair two. */
static struct msgpack many(struct reader *r, enum msgpack_type type, uint64_t n)
{
	uint64_t least = type == MSGPACK_MAP ? 2 * n : n;

	if (least > reader_left(r))
		r->bad = true;
	return (struct msgpack){ .type = type, .n = (uint32_t)n };
}

/* Heads from 0xc0 to 0xdf. */
static struct msgpack read_marked(struct reader *r, uint8_t head)
{
	switch (head) {
	case 0xc0:
		return (struct msgpack){ .type = MSGPACK_NIL };
	case 0xc2: case 0xc3:
		return (struct msgpack){ .type = MSGPACK_BOOL,
			.number = head & 1 };
	case 0xc4: case 0xc5: case 0xc6:
		return a_text(r, big_endian(r, 1u << (head - 0xc4)));
	case 0xc7: case 0xc8: case 0xc9:
		return an_ext(r, big_endian(r, 1u << (head - 0xc7)));
	case 0xca: case 0xcb:
		return a_float(r, 4u << (head - 0xca));
	case 0xcc: case 0xcd: case 0xce: case 0xcf:
		return a_uint(big_endian(r, 1u << (head - 0xcc)));
	case 0xd0: case 0xd1: case 0xd2: case 0xd3:
		return an_int(r, 1u << (head - 0xd0));
	case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8:
		return an_ext(r, 1u << (head - 0xd4));
	case 0xd9: case 0xda: case 0xdb:
		return a_text(r, big_endian(r, 1u << (head - 0xd9)));
	case 0xdc: case 0xdd:
		return many(r, MSGPACK_ARRAY, big_endian(r, 2u << (head - 0xdc)));
	case 0xde: case 0xdf:
		return many(r, MSGPACK_MAP, big_endian(r, 2u << (head - 0xde)));
	default:		/* 0xc1 is never used */
		r->bad = true;
		return (struct msgpack){ .type = MSGPACK_BAD };
	}
}

static struct msgpack read_any(struct reader *r, uint8_t head)
{
	if (head < 0x80)
		return a_uint(head);
	if (head < 0x90)
		return many(r, MSGPACK_MAP, head & 0x0f);
	if (head < 0xa0)
		return many(r, MSGPACK_ARRAY, head & 0x0f);
	if (head < 0xc0)
		return a_text(r, head & 0x1f);
	if (head < 0xe0)
		return read_marked(r, head);
	return (struct msgpack){ .type = MSGPACK_INT,
		.number = (uint64_t)(int64_t)(int8_t)head };
}

struct msgpack msgpack_read(struct reader *r)
{
	struct msgpack m = read_any(r, reader_u8(r));

	return r->bad ? (struct msgpack){ .type = MSGPACK_BAD } : m;
}

/* Of a value by its head, with it; 0: the head alone does not tell. */
static const uint8_t whole_bytes[256] = {
	[0x00 ... 0x7f] = 1, [0xc0] = 1, [0xc2 ... 0xc3] = 1,
	[0xca] = 5, [0xcb] = 9,
	[0xcc] = 2, [0xcd] = 3, [0xce] = 5, [0xcf] = 9,
	[0xd0] = 2, [0xd1] = 3, [0xd2] = 5, [0xd3] = 9,
	[0xd4] = 3, [0xd5] = 4, [0xd6] = 6, [0xd7] = 10, [0xd8] = 18,
	[0xe0 ... 0xff] = 1,
};

/* Past scalars of a known size, `n` of them at most: token ids by the thousand. */
static uint64_t skip_scalars(struct reader *r, uint64_t n)
{
	const uint8_t *at = r->at, *end = r->end;

	for (; n > 0 && at < end; n--) {
		uint8_t len = whole_bytes[*at];

		if (len == 0 || len > end - at)
			break;
		at += len;
	}
	r->at = at;
	return n;
}

void msgpack_skip(struct reader *r)
{
	uint64_t n_left = 1;

	while ((n_left = skip_scalars(r, n_left)) > 0 && !r->bad) {
		struct msgpack m = msgpack_read(r);

		n_left--;
		if (m.type == MSGPACK_ARRAY)
			n_left += m.n;
		else if (m.type == MSGPACK_MAP)
			n_left += 2 * (uint64_t)m.n;
		if (n_left > reader_left(r))
			r->bad = true;
	}
}
