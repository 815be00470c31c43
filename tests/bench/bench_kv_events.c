/*
 * bench_kv_events.c - what taking in KV events costs, beside libmsgpackc
 *
 * Batches as vLLM sends them: a prompt stored, a block of an answer, blocks removed. Each
 * goes through all ways in turn within each round, so that whatever else the machine does
 * falls on all; the ratio is that of the medians. The library only unpacks into objects;
 * ours is measured as it walks a batch, and with all that the tracker makes of it.
 */
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "kv_events.h"
#include "kv_track_parts.h"
#include "must.h"
#include "prefix.h"
#include "rng.h"

enum {
	ROUNDS = 41, REPEATS = 200, BLOCK_TOKENS = 16, TEXT_BYTES = 256,
	BLOCKS_MAX = 6250, FROM = 1000, OPEN_BLOCKS = 400,
};

static struct kv_track *track;
static struct prefix_index *prefix;
static int64_t now_ms;

/* ---- batches ---- */

static void put_text(msgpack_packer *pk, const char *text)
{
	msgpack_pack_str(pk, strlen(text));
	msgpack_pack_str_body(pk, text, strlen(text));
}

static void put_hashes(msgpack_packer *pk, uint64_t from, uint32_t n)
{
	msgpack_pack_array(pk, n);
	for (uint32_t i = 0; i < n; i++)
		msgpack_pack_uint64(pk, rng_mix(from + i));
}

static void begin(msgpack_packer *pk, msgpack_sbuffer *out)
{
	msgpack_sbuffer_init(out);
	msgpack_packer_init(pk, out, msgpack_sbuffer_write);
	msgpack_pack_array(pk, 3);
	msgpack_pack_double(pk, 1764000000.25);
	msgpack_pack_array(pk, 1);
}

static msgpack_sbuffer stored(uint32_t n, uint64_t from, bool is_root)
{
	msgpack_sbuffer out;
	msgpack_packer pk;
	struct rng rng = { 1 };

	begin(&pk, &out);
	msgpack_pack_array(&pk, 7);
	put_text(&pk, "BlockStored");
	put_hashes(&pk, from, n);
	if (is_root)
		msgpack_pack_nil(&pk);
	else
		msgpack_pack_uint64(&pk, rng_mix(7));
	msgpack_pack_array(&pk, (size_t)n * BLOCK_TOKENS);
	for (uint32_t i = 0; i < n * BLOCK_TOKENS; i++)
		msgpack_pack_uint32(&pk, rng_below(&rng, 151936));
	msgpack_pack_int(&pk, BLOCK_TOKENS);
	msgpack_pack_nil(&pk);
	put_text(&pk, "GPU");
	msgpack_pack_int(&pk, 0);
	return out;
}

static msgpack_sbuffer removed(uint32_t n)
{
	msgpack_sbuffer out;
	msgpack_packer pk;

	begin(&pk, &out);
	msgpack_pack_array(&pk, 3);
	put_text(&pk, "BlockRemoved");
	put_hashes(&pk, 500000, n);
	put_text(&pk, "GPU");
	msgpack_pack_int(&pk, 0);
	return out;
}

/* ---- ways ---- */

static size_t by_library(struct span batch)
{
	msgpack_unpacked u;
	size_t at = 0, n;

	msgpack_unpacked_init(&u);
	must(msgpack_unpack_next(&u, batch.ptr, batch.len, &at) ==
	    MSGPACK_UNPACK_SUCCESS);
	n = u.data.via.array.size;
	msgpack_unpacked_destroy(&u);
	return n;
}

static size_t by_walk(struct span batch)
{
	struct kv_batch b;
	struct kv_event e;
	size_t n = 0;

	must(kv_batch_open(&b, batch));
	while (kv_batch_next(&b, &e) == KV_EVENT)
		n += e.n_hashes;
	return n;
}

static size_t by_track(struct span batch)
{
	must(kv_track_batch(track, batch, 0, now_ms));
	return 1;
}

static const struct {
	const char *name;
	size_t (*take)(struct span batch);
} ways[] = {
	{ "msgpack_unpack_next", by_library },
	{ "kv_batch_next", by_walk },
	{ "kv_track_batch", by_track },
};

enum { WAYS = sizeof(ways) / sizeof(*ways) };

/* ---- measuring ---- */

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void measure(struct span batch, double ns[WAYS])
{
	static int64_t spent[WAYS][ROUNDS];

	for (int round = 0; round < ROUNDS; round++)
		for (int way = 0; way < WAYS; way++) {
			int64_t start = clock_ns();
			size_t n = 0;

			for (int i = 0; i < REPEATS; i++)
				n += ways[way].take(batch);
			must(n > 0);
			spent[way][round] = clock_ns() - start;
		}
	for (int way = 0; way < WAYS; way++) {
		qsort(spent[way], ROUNDS, sizeof(**spent), by_time);
		ns[way] = (double)spent[way][ROUNDS / 2] / REPEATS;
	}
}

static void show(const char *what, msgpack_sbuffer batch)
{
	double ns[WAYS];

	measure((struct span){ batch.data, batch.size }, ns);
	for (int way = 0; way < WAYS; way++)
		printf("%-22s %-20s %8zu B %10.0f ns %10.0f /s %6.2f\n", what,
		    ways[way].name, batch.size, ns[way], 1e9 / ns[way],
		    ns[0] / ns[way]);
	msgpack_sbuffer_destroy(&batch);
}

/* A tracker that follows a full cache, so that removals look it up. */
static void fill(void)
{
	uint64_t *chain = calloc(BLOCKS_MAX, sizeof(*chain));

	prefix = prefix_new(16 << 20, 1);
	must(chain != NULL && prefix != NULL && prefix_track(prefix) == 0);
	prefix_join(prefix, 0, BLOCKS_MAX);
	track = kv_track_new(prefix, 0, 1, TEXT_BYTES, NULL, NULL);
	must(track != NULL);
	for (uint32_t i = 0; i < BLOCKS_MAX / 4; i++)
		chain[i] = rng_mix(i + 1);
	prefix_insert(prefix, 0, chain, BLOCKS_MAX / 4, 0);
	free(chain);
}

/* As many prompts as can be on their way into the engine at once. */
static void open_chains(void)
{
	uint64_t chain[OPEN_BLOCKS / 4];

	for (uint32_t k = 1; k <= KV_OPEN_MAX; k++) {
		msgpack_sbuffer batch = stored(OPEN_BLOCKS, k * 10000000, true);

		for (uint32_t i = 0; i < OPEN_BLOCKS / 4; i++)
			chain[i] = rng_mix(k * 1000000 + i);
		prefix_insert(prefix, 0, chain, OPEN_BLOCKS / 4, 0);
		by_track((struct span){ batch.data, batch.size });
		msgpack_sbuffer_destroy(&batch);
	}
	must(track->n_open == KV_OPEN_MAX);
}

int main(void)
{
	msgpack_sbuffer all = stored(BLOCKS_MAX, FROM, true);

	fill();
	by_track((struct span){ all.data, all.size });
	msgpack_sbuffer_destroy(&all);
	now_ms = 1000;
	kv_track_beat(track, now_ms);
	must(kv_track_followed(track) > BLOCKS_MAX / 5);
	printf("%-22s %-20s %10s %13s %12s %6s\n", "one batch of", "taken by",
	    "bytes", "time", "batches", "x lib");
	show("a 1,024-token prompt", stored(64, FROM, true));
	show("a 100,000-token prompt", stored(BLOCKS_MAX, FROM, true));
	show("a block of an answer", stored(1, FROM, false));
	show("16 blocks removed", removed(16));
	open_chains();
	show("  while 16 are told", removed(16));
	kv_track_free(track);
	prefix_free(prefix);
	return 0;
}
