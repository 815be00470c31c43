/*
 * kv_events.c - fields by name or by place, both by one table
 */
#include "kv_events.h"

#include <endian.h>

#include "hash.h"
#include "msgpack.h"

/* ---- fields ---- */

static uint32_t small(const struct msgpack *m)
{
	return m->type == MSGPACK_UINT && m->number <= UINT32_MAX ?
	    (uint32_t)m->number : 0;
}

/* Eight bytes as a number: what vLLM sends unless told otherwise. */
static bool is_plain(const struct reader *r)
{
	return reader_left(r) >= 9 && *r->at == 0xcf;
}

static uint64_t hash_of(struct reader *r)
{
	struct msgpack m;
	uint64_t plain;

	if (is_plain(r)) {
		memcpy(&plain, r->at + 1, sizeof(plain));
		r->at += 9;
		return be64toh(plain);
	}
	m = msgpack_read(r);
	switch (m.type) {
	case MSGPACK_UINT:
	case MSGPACK_INT:
		return m.number;
	case MSGPACK_TEXT:
		return hash_bytes(m.bytes.ptr, m.bytes.len, 0);
	default:
		r->bad = true;
		return 0;
	}
}

static void read_hashes(struct reader *r, struct kv_event *e)
{
	struct msgpack m = msgpack_read(r);

	if (m.type != MSGPACK_ARRAY) {
		r->bad = true;
		return;
	}
	e->hashes = *r;
	e->n_hashes = m.n;
	for (uint32_t i = 0; i < m.n && !r->bad; i++)
		hash_of(r);
}

static void read_parent(struct reader *r, struct kv_event *e)
{
	if (r->at < r->end && *r->at == 0xc0) {
		r->at++;	/* nil */
		return;
	}
	e->parent = hash_of(r);
	e->has_parent = true;
}

/* Only their number is of use to who has no tokenizer. */
static void read_tokens(struct reader *r, struct kv_event *e)
{
	struct msgpack m;

	e->tokens = *r;
	m = msgpack_read(&e->tokens);
	if (m.type != MSGPACK_ARRAY)
		r->bad = true;
	e->n_tokens = m.n;
	msgpack_skip(r);
}

static void read_block_size(struct reader *r, struct kv_event *e)
{
	struct msgpack m = msgpack_read(r);

	e->block_size = small(&m);
	r->bad |= m.type != MSGPACK_UINT;
}

/* A text, or nil. */
static struct span read_text(struct reader *r)
{
	struct msgpack m = msgpack_read(r);

	r->bad |= m.type != MSGPACK_TEXT && m.type != MSGPACK_NIL;
	return m.type == MSGPACK_TEXT ? m.bytes : (struct span){ 0 };
}

static void read_medium(struct reader *r, struct kv_event *e)
{
	e->medium = read_text(r);
}

static void read_lora_id(struct reader *r, struct kv_event *e)
{
	struct reader begin = *r;

	e->has_lora |= msgpack_read(&begin).type != MSGPACK_NIL;
	msgpack_skip(r);
}

static void read_lora_name(struct reader *r, struct kv_event *e)
{
	e->lora = read_text(r);
	e->has_lora |= e->lora.len > 0;
}

static void read_extra(struct reader *r, struct kv_event *e)
{
	struct reader begin = *r;

	e->extra = begin;
	e->has_extra = msgpack_read(&begin).type != MSGPACK_NIL;
	msgpack_skip(r);
}

static void read_group(struct reader *r, struct kv_event *e)
{
	struct msgpack m = msgpack_read(r);

	r->bad |= m.type != MSGPACK_UINT && m.type != MSGPACK_NIL;
	e->group = m.type == MSGPACK_UINT ? (int64_t)small(&m) : -1;
}

static void read_spec_kind(struct reader *r, struct kv_event *e)
{
	e->spec_kind = read_text(r);
}

static void read_nothing(struct reader *r, struct kv_event *e)
{
	(void)e;
	msgpack_skip(r);
}

struct field {
	const char *name;
	void (*read)(struct reader *r, struct kv_event *e);
};

static const struct field stored_fields[] = {
	{ "block_hashes", read_hashes },
	{ "parent_block_hash", read_parent },
	{ "token_ids", read_tokens },
	{ "block_size", read_block_size },
	{ "lora_id", read_lora_id },
	{ "medium", read_medium },
	{ "lora_name", read_lora_name },
	{ "extra_keys", read_extra },
	{ "group_idx", read_group },
	{ "kv_cache_spec_kind", read_spec_kind },
	{ NULL, read_nothing },
};

static const struct field removed_fields[] = {
	{ "block_hashes", read_hashes },
	{ "medium", read_medium },
	{ "group_idx", read_group },
	{ NULL, read_nothing },
};

static const struct field no_fields[] = { { NULL, read_nothing } };

static const struct {
	const char *tag;
	enum kv_kind kind;
	const struct field *fields;
	uint32_t n_required;
} kinds[] = {
	{ "BlockStored", KV_STORED, stored_fields, 4 },
	{ "BlockRemoved", KV_REMOVED, removed_fields, 1 },
	{ "AllBlocksCleared", KV_CLEARED, no_fields, 0 },
	{ NULL, KV_OTHER, no_fields, 0 },
};

static size_t kind_of(struct span tag)
{
	size_t i = 0;

	while (kinds[i].tag != NULL && !span_is_text(tag, kinds[i].tag))
		i++;
	return i;
}

static const struct field *field_named(const struct field *f, struct span name)
{
	while (f->name != NULL && !span_is_text(name, f->name))
		f++;
	return f;
}

/* ---- events ---- */

static void read_by_place(struct reader *r, struct kv_event *e, uint32_t n)
{
	size_t kind = kind_of(read_text(r));
	const struct field *f = kinds[kind].fields;

	e->kind = kinds[kind].kind;
	r->bad |= n == 0 || n - 1 < kinds[kind].n_required;
	for (uint32_t i = 1; i < n && !r->bad; i++) {
		f->read(r, e);
		if (f->name != NULL)
			f++;
	}
}

/* The tag may stand behind what it is the tag of. */
static size_t find_kind(struct reader r, uint32_t n)
{
	size_t kind = kind_of((struct span){ 0 });

	for (uint32_t i = 0; i < n && !r.bad; i++) {
		if (span_is_text(read_text(&r), "type"))
			return kind_of(read_text(&r));
		msgpack_skip(&r);
	}
	return kind;
}

static void read_by_name(struct reader *r, struct kv_event *e, uint32_t n)
{
	size_t kind = find_kind(*r, n);
	bool has_hashes = kinds[kind].n_required == 0;

	e->kind = kinds[kind].kind;
	for (uint32_t i = 0; i < n && !r->bad; i++) {
		const struct field *f = field_named(kinds[kind].fields,
		    read_text(r));

		has_hashes |= f->read == read_hashes;
		f->read(r, e);
	}
	r->bad |= !has_hashes || (e->kind == KV_STORED && e->block_size == 0);
}

enum kv_result kv_batch_next(struct kv_batch *b, struct kv_event *out)
{
	struct reader *r = &b->events;
	struct msgpack m;

	if (b->n_left == 0)
		return KV_END;
	b->n_left--;
	*out = (struct kv_event){ .group = -1 };
	m = msgpack_read(r);
	if (m.type == MSGPACK_ARRAY)
		read_by_place(r, out, m.n);
	else if (m.type == MSGPACK_MAP)
		read_by_name(r, out, m.n);
	else
		r->bad = true;
	if (!r->bad)
		return KV_EVENT;
	b->n_left = 0;
	return KV_BAD;
}

uint64_t kv_hash(struct reader *hashes)
{
	return hash_of(hashes);
}

bool kv_tokens(const struct kv_event *e, uint32_t *out)
{
	struct reader r = e->tokens;

	for (uint32_t i = 0; i < e->n_tokens; i++) {
		struct msgpack m = msgpack_read(&r);

		if (m.type != MSGPACK_UINT || m.number > UINT32_MAX)
			return false;
		out[i] = (uint32_t)m.number;
	}
	return true;
}

/* Of one block: nil, or a list in which nothing but the adapter's name stands. */
static bool is_of_adapter(struct reader *r, struct span lora)
{
	struct msgpack m = msgpack_read(r);

	if (m.type == MSGPACK_NIL)
		return true;
	if (m.type != MSGPACK_ARRAY)
		return false;
	for (uint32_t i = 0, n = m.n; i < n; i++) {
		m = msgpack_read(r);
		if (m.type != MSGPACK_TEXT || !span_is(m.bytes, lora))
			return false;
	}
	return true;
}

bool kv_event_is_of_text(const struct kv_event *e)
{
	struct reader r = e->extra;
	struct msgpack m;

	if (e->has_lora && e->lora.len == 0)
		return false;
	if (!e->has_extra)
		return true;
	m = msgpack_read(&r);
	if (m.type != MSGPACK_ARRAY)
		return false;
	for (uint32_t i = 0; i < m.n; i++)
		if (!is_of_adapter(&r, e->lora))
			return false;
	return true;
}

bool kv_event_is_of_prefixes(const struct kv_event *e)
{
	return e->spec_kind.len == 0 ||
	    span_is_text(e->spec_kind, "full_attention") ||
	    span_is_text(e->spec_kind, "mla_attention") ||
	    span_is_text(e->spec_kind, "sink_full");
}

/* ---- batches ---- */

static bool take_events(struct kv_batch *b, struct reader *r)
{
	struct msgpack m = msgpack_read(r);

	b->events = *r;
	b->n_left = m.n;
	return m.type == MSGPACK_ARRAY;
}

static bool open_by_name(struct kv_batch *b, struct reader *r, uint32_t n)
{
	for (uint32_t i = 0; i < n && !r->bad; i++) {
		if (span_is_text(read_text(r), "events"))
			return take_events(b, r);
		msgpack_skip(r);
	}
	return false;
}

bool kv_batch_open(struct kv_batch *b, struct span payload)
{
	struct reader r = reader_over(payload.ptr, payload.len);
	struct msgpack m = msgpack_read(&r);

	*b = (struct kv_batch){ .n_left = 0 };
	if (m.type == MSGPACK_MAP)
		return open_by_name(b, &r, m.n);
	if (m.type != MSGPACK_ARRAY || m.n < 2)
		return false;
	msgpack_skip(&r);	/* when */
	return take_events(b, &r);
}
