/*
 * prefix_file.c - numbers in, numbers out; all is checked before any is believed
 */
#include "prefix_file.h"

#include <endian.h>

#include "buf.h"
#include "hash.h"

static const char magic[8] = "EPPPFX\n";

enum { VERSION = 1, BLOCK_BYTES = 12, TAIL_BYTES = 8 };

/* ---- out ---- */

static void put_u16(struct buf *b, uint16_t v)
{
	v = htole16(v);
	buf_put(b, &v, sizeof(v));
}

static void put_u32(struct buf *b, uint32_t v)
{
	v = htole32(v);
	buf_put(b, &v, sizeof(v));
}

static void put_u64(struct buf *b, uint64_t v)
{
	v = htole64(v);
	buf_put(b, &v, sizeof(v));
}

void prefix_file_begin(struct buf *out, const struct prefix_file_head *head)
{
	buf_put(out, magic, sizeof(magic));
	put_u32(out, VERSION);
	put_u32(out, head->block_bytes);
	put_u64(out, (uint64_t)head->written_ms);
}

void prefix_file_section(struct buf *out, const struct prefix_file_section *s,
    const struct prefix_block *blocks)
{
	put_u16(out, (uint16_t)s->name.len);
	put_u16(out, (uint16_t)s->addr.len);
	put_u32(out, s->n_blocks);
	put_u64(out, (uint64_t)s->started_ms);
	put_u64(out, s->served);
	buf_put(out, s->name.ptr, s->name.len);
	buf_put(out, s->addr.ptr, s->addr.len);
	for (uint32_t i = 0; i < s->n_blocks; i++) {
		put_u64(out, blocks[i].hash);
		put_u32(out, blocks[i].parent);
	}
}

void prefix_file_end(struct buf *out)
{
	put_u64(out, hash_bytes(out->data, out->len, 0));
}

/* ---- in ---- */

static uint64_t get(struct reader *r, size_t len)
{
	struct span s = reader_bytes(r, len);
	uint64_t v = 0;

	if (!r->bad)
		memcpy(&v, s.ptr, len);
	return le64toh(v);	/* the bytes behind are zero: fits each length */
}

bool prefix_file_next(struct reader *r, struct prefix_file_section *out)
{
	size_t name_len, addr_len;

	if (reader_left(r) == 0)
		return false;
	name_len = (size_t)get(r, 2);
	addr_len = (size_t)get(r, 2);
	out->n_blocks = (uint32_t)get(r, 4);
	out->started_ms = (int64_t)get(r, 8);
	out->served = get(r, 8);
	out->name = reader_bytes(r, name_len);
	out->addr = reader_bytes(r, addr_len);
	out->blocks = reader_bytes(r, (uint64_t)out->n_blocks *
	    BLOCK_BYTES).ptr;
	return !r->bad;
}

struct prefix_block prefix_file_block(const struct prefix_file_section *s,
    uint32_t i)
{
	const char *at = (const char *)s->blocks + (size_t)i * BLOCK_BYTES;
	uint64_t hash;
	uint32_t parent;

	memcpy(&hash, at, sizeof(hash));
	memcpy(&parent, at + sizeof(hash), sizeof(parent));
	return (struct prefix_block){ le64toh(hash), le32toh(parent) };
}

const char *prefix_file_open(struct span bytes, struct prefix_file_head *head,
    struct reader *sections)
{
	struct reader r = reader_over(bytes.ptr, bytes.len), walk;
	struct prefix_file_section s;
	struct span begin = reader_bytes(&r, sizeof(magic));
	uint32_t version = (uint32_t)get(&r, 4);

	if (begin.len < sizeof(magic) ||
	    memcmp(begin.ptr, magic, sizeof(magic)) != 0)
		return "it is no snapshot of a prefix index";
	if (!r.bad && version != VERSION)
		return "it is of another version of epp-agent";
	head->block_bytes = (uint32_t)get(&r, 4);
	head->written_ms = (int64_t)get(&r, 8);
	if (r.bad || reader_left(&r) < TAIL_BYTES)
		return "it is cut short";
	r.end -= TAIL_BYTES;
	walk = (struct reader){ r.end, r.end + TAIL_BYTES, false };
	if (get(&walk, 8) != hash_bytes(bytes.ptr, bytes.len - TAIL_BYTES, 0))
		return "its checksum is wrong: it is torn, or was changed";
	walk = r;
	while (prefix_file_next(&walk, &s))
		;
	if (walk.bad)
		return "its sections do not fit into it";
	*sections = r;
	return NULL;
}
