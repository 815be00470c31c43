#include "help_kv.h"

#include <msgpack.h>
#include <string.h>

#include "must.h"

static msgpack_sbuffer events, batch;
static uint32_t n_events;
static bool are_maps, is_begun;
static int64_t group_idx;
static const char *group_kind;		/* NULL: no group */

void help_kv_begin(bool as_maps)
{
	if (is_begun) {
		msgpack_sbuffer_destroy(&events);
		msgpack_sbuffer_destroy(&batch);
	}
	msgpack_sbuffer_init(&events);
	msgpack_sbuffer_init(&batch);
	n_events = 0;
	group_kind = NULL;
	are_maps = as_maps;
	is_begun = true;
}

void help_kv_group(int64_t group, const char *spec_kind)
{
	group_idx = group;
	group_kind = spec_kind;
}

static void put_text(msgpack_packer *pk, const char *text)
{
	if (text == NULL) {
		msgpack_pack_nil(pk);
		return;
	}
	msgpack_pack_str(pk, strlen(text));
	msgpack_pack_str_body(pk, text, strlen(text));
}

static void put_name(msgpack_packer *pk, const char *name)
{
	if (are_maps)
		put_text(pk, name);
}

static void begin_event(msgpack_packer *pk, const char *tag, size_t n)
{
	msgpack_packer_init(pk, &events, msgpack_sbuffer_write);
	n_events++;
	if (are_maps)
		msgpack_pack_map(pk, n);
	else
		msgpack_pack_array(pk, n);
	put_name(pk, "type");
	put_text(pk, tag);
}

static void put_hashes(msgpack_packer *pk, const uint64_t *hashes, uint32_t n)
{
	put_name(pk, "block_hashes");
	msgpack_pack_array(pk, n);
	for (uint32_t i = 0; i < n; i++)
		msgpack_pack_uint64(pk, hashes[i]);
}

static void put_ids(msgpack_packer *pk, uint32_t n, const uint32_t *ids)
{
	put_name(pk, "token_ids");
	msgpack_pack_array(pk, n);
	for (uint32_t i = 0; i < n; i++)
		msgpack_pack_uint32(pk, ids != NULL ? ids[i] :
		    i * 37 % 151936);
}

/* Of each block: what beside tokens its hash depends on. */
static void put_extra(msgpack_packer *pk, uint32_t n,
    const struct help_kv_text *t)
{
	put_name(pk, "extra_keys");
	if (t->extra == NULL && t->lora == NULL) {
		msgpack_pack_nil(pk);
		return;
	}
	msgpack_pack_array(pk, n);
	for (uint32_t i = 0; i < n; i++) {
		msgpack_pack_array(pk, (t->lora != NULL) + (t->extra != NULL));
		if (t->lora != NULL)
			put_text(pk, t->lora);
		if (t->extra != NULL)
			put_text(pk, t->extra);
	}
}

static void put_group(msgpack_packer *pk)
{
	put_name(pk, "group_idx");
	msgpack_pack_int64(pk, group_idx);
}

void help_kv_stored_text(const uint64_t *parent, const uint64_t *hashes,
    uint32_t n, uint32_t block_size, const char *medium,
    const struct help_kv_text *text)
{
	static const struct help_kv_text nothing;
	msgpack_packer pk;

	if (group_kind != NULL && text == NULL)
		text = &nothing;
	begin_event(&pk, "BlockStored", group_kind != NULL ? 11 :
	    text != NULL ? 9 : 7);
	put_hashes(&pk, hashes, n);
	put_name(&pk, "parent_block_hash");
	if (parent != NULL)
		msgpack_pack_uint64(&pk, *parent);
	else
		msgpack_pack_nil(&pk);
	put_ids(&pk, n * block_size, text != NULL ? text->ids : NULL);
	put_name(&pk, "block_size");
	msgpack_pack_uint32(&pk, block_size);
	put_name(&pk, "lora_id");
	if (text != NULL && text->lora_id != 0)
		msgpack_pack_int64(&pk, text->lora_id);
	else
		msgpack_pack_nil(&pk);
	put_name(&pk, "medium");
	put_text(&pk, medium);
	if (text == NULL)
		return;
	put_name(&pk, "lora_name");
	put_text(&pk, text->lora);
	put_extra(&pk, n, text);
	if (group_kind == NULL)
		return;
	put_group(&pk);
	put_name(&pk, "kv_cache_spec_kind");
	put_text(&pk, group_kind);
}

void help_kv_stored(const uint64_t *parent, const uint64_t *hashes, uint32_t n,
    uint32_t block_size, const char *medium)
{
	help_kv_stored_text(parent, hashes, n, block_size, medium, NULL);
}

void help_kv_removed(const uint64_t *hashes, uint32_t n, const char *medium)
{
	msgpack_packer pk;

	begin_event(&pk, "BlockRemoved", group_kind != NULL ? 4 : 3);
	put_hashes(&pk, hashes, n);
	put_name(&pk, "medium");
	put_text(&pk, medium);
	if (group_kind != NULL)
		put_group(&pk);
}

void help_kv_cleared(void)
{
	msgpack_packer pk;

	begin_event(&pk, "AllBlocksCleared", 1);
}

struct span help_kv_end(void)
{
	msgpack_packer pk;

	must(is_begun);
	msgpack_packer_init(&pk, &batch, msgpack_sbuffer_write);
	if (are_maps)
		msgpack_pack_map(&pk, 3);
	else
		msgpack_pack_array(&pk, 3);
	put_name(&pk, "ts");
	msgpack_pack_double(&pk, 1764000000.25);
	put_name(&pk, "events");
	msgpack_pack_array(&pk, n_events);
	msgpack_sbuffer_write(&batch, events.data, events.size);
	put_name(&pk, "data_parallel_rank");
	msgpack_pack_int(&pk, 3);
	return (struct span){ batch.data, batch.size };
}
