/*
 * A batch of KV events: whatever it says, nothing outside of it is read, and the tracker
 * keeps its bounds. Twice in a row, as a replay may bring it.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "kv_events.h"
#include "kv_texts.h"
#include "kv_track_parts.h"
#include "must.h"
#include "prefix.h"

enum { CAPACITY = 64, BLOCKS = 12 };

static void within(struct span s, struct span all)
{
	must(s.len == 0 || (s.ptr >= all.ptr &&
	    s.ptr + s.len <= all.ptr + all.len));
}

static void walk(struct span payload)
{
	struct kv_batch b;
	struct kv_event e;

	if (!kv_batch_open(&b, payload))
		return;
	while (kv_batch_next(&b, &e) == KV_EVENT) {
		must(e.n_hashes <= payload.len && e.n_tokens <= payload.len);
		within(e.medium, payload);
		within(e.spec_kind, payload);
		for (uint32_t i = 0; i < e.n_hashes; i++)
			kv_hash(&e.hashes);
		within(e.lora, payload);
		kv_event_is_of_text(&e);
		if (e.kind == KV_STORED) {
			uint32_t *ids = calloc(e.n_tokens + 1, sizeof(*ids));

			kv_tokens(&e, ids);
			free(ids);
		}
		must(!e.hashes.bad);
	}
	must(kv_batch_next(&b, &e) == KV_END);
}

static void track(struct span payload, struct kv_texts *texts)
{
	struct prefix_index *p = prefix_new(64 << 10, 1);
	struct kv_track *t;
	uint64_t chain[BLOCKS];

	must(p != NULL && prefix_track(p) == 0);
	prefix_join(p, 0, CAPACITY);
	t = kv_track_new(p, 0, 1, 256, texts, NULL);
	must(t != NULL);
	for (uint64_t i = 0; i < BLOCKS; i++)
		chain[i] = (i + 1) << 20;
	prefix_insert(p, 0, chain, BLOCKS, 0);
	kv_track_count(t);
	for (int64_t turn = 1; turn < 3; turn++) {
		kv_track_batch(t, payload, 0, 1000 * turn);
		kv_track_beat(t, 1000 * turn + 600);
		prefix_insert(p, 0, chain, BLOCKS - 2, 0);
		must(prefix_count(p, 0) <= CAPACITY);
		must(kv_track_followed(t) <= KV_FOLLOWED_MAX);
	}
	kv_track_free(t);
	prefix_leave(p, 0);
	must(prefix_total(p) == 0);
	prefix_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span payload = { (const char *)data, size };

	struct kv_texts *texts = kv_texts_new(256, 64);

	walk(payload);
	track(payload, NULL);
	must(texts != NULL);
	track(payload, texts);
	kv_texts_free(texts);
	return 0;
}
