/*
 * kv_feed.c - streams by rank, and what their breakages mean
 */
#include "kv_feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "counters.h"
#include "fault.h"
#include "home.h"
#include "kv_stream.h"
#include "kv_track.h"
#include "log.h"
#include "options.h"
#include "pool.h"
#include "prompt.h"

/* Of one endpoint where several engines share an address: labels of its own. */
#define LABEL_PORT "haproxy-epp/kv-events-port"
#define LABEL_REPLAY_PORT "haproxy-epp/kv-replay-port"

struct rank {
	struct kv_feed *feed;
	uint32_t number;
	struct kv_stream *stream;
};

struct kv_feed {
	const struct home *home;
	const struct pool_context *context;
	struct kv_options options;	/* with which it was opened */
	char *topic;
	struct kv_track *track;
	struct rank ranks[];
};

static struct log_gate garbage_gate, lost_gate, open_gate;

/* ---- breakages ---- */

static const struct {
	const char *name;
	bool is_empty, purges;
} breaks[] = {
	[KV_BEGINS] = { "begins", true, false },
	[KV_JOINED] = { "joined", false, false },
	[KV_RESTARTS] = { "restarts", true, true },
	[KV_LOST] = { "lost", false, true },
};

static void on_broken(void *data, enum kv_break what)
{
	struct rank *r = data;
	struct kv_feed *f = r->feed;
	uint32_t held;

	if (what == KV_LOST)
		counter_add(f->context->counters->kv_lost, 1);
	if (breaks[what].purges) {
		counter_add(f->context->counters->kv_cleared, 1);
		kv_track_reset(f->track, breaks[what].is_empty);
	} else if (breaks[what].is_empty) {
		kv_track_count(f->track);
	}
	if (what == KV_LOST && !log_gate_open(&lost_gate, clock_ms(), &held))
		return;
	log_info("kv.stream", "pool=%s endpoint=%s rank=%u event=%s",
	    f->home->pool->name, f->home->name, r->number, breaks[what].name);
}

static void say_garbage(const struct rank *r)
{
	const struct kv_feed *f = r->feed;
	uint32_t held;

	counter_add(f->context->counters->kv_garbage, 1);
	if (log_gate_open(&garbage_gate, clock_ms(), &held))
		log_warn("kv.garbage", "pool=%s endpoint=%s rank=%u held=%u "
		    "err=\"not the KV events of vLLM or SGLang\"",
		    f->home->pool->name, f->home->name, r->number, held);
}

static void on_garbage(void *data)
{
	say_garbage(data);
}

static void on_batch(void *data, struct span payload, bool is_replayed)
{
	struct rank *r = data;
	struct kv_feed *f = r->feed;

	counter_add(f->context->counters->kv_batches, 1);
	if (is_replayed)
		counter_add(f->context->counters->kv_replayed, 1);
	if (!kv_track_batch(f->track, payload, r->number, clock_ms()))
		say_garbage(r);
}

static const struct kv_stream_calls calls = {
	.batch = on_batch, .broken = on_broken, .garbage = on_garbage,
};

/* ---- life ---- */

/* Of its first rank: the others have those behind it. */
static uint16_t labelled_port(const struct home *h, const char *key,
    uint16_t otherwise)
{
	const unsigned long most = UINT16_MAX + 1 -
	    h->pool->options->prefix.kv.ranks;

	for (size_t i = 0; i < h->n_labels; i++) {
		char *end;
		unsigned long n;

		if (strcmp(h->labels[i].key, key) != 0)
			continue;
		n = strtoul(h->labels[i].value, &end, 10);
		if (n > 0 && n <= most && *end == '\0')
			return (uint16_t)n;
		log_warn("kv.label", "pool=%s endpoint=%s label=%s value=\"%s\" "
		    "want=\"1 to %lu\"", h->pool->name, h->name, key,
		    h->labels[i].value, most);
	}
	return otherwise;
}

static void say_closed(const struct home *h, const struct fault *why)
{
	uint32_t held;
	char text[640];

	if (log_gate_open(&open_gate, clock_ms(), &held))
		log_error("kv.open", "pool=%s endpoint=%s held=%u err=\"%s\" "
		    "note=\"tried again\"", h->pool->name, h->name, held,
		    fault_text(why, text, sizeof(text)));
}

static bool open_rank(struct kv_feed *f, uint32_t number)
{
	const struct home *h = f->home;
	struct rank *r = &f->ranks[number];
	uint16_t replay = labelled_port(h, LABEL_REPLAY_PORT,
	    f->options.replay_port);
	const struct kv_stream_options o = {
		.address = h->address,
		.port = (uint16_t)(labelled_port(h, LABEL_PORT,
		    f->options.port) + number),
		.replay_port = replay != 0 ? (uint16_t)(replay + number) : 0,
		.topic = f->topic, .calls = &calls, .data = r };
	struct fault why = { 0 };

	r->feed = f;
	r->number = number;
	r->stream = kv_stream_open(f->context->kv, &o, &why);
	if (r->stream == NULL)
		say_closed(h, &why);
	return r->stream != NULL;
}

struct kv_feed *kv_feed_open(const struct home *home,
    const struct pool_context *context)
{
	const struct kv_options *o = &home->pool->options->prefix.kv;
	struct kv_feed *f;

	if (!o->enabled || context->kv == NULL || home->address == NULL)
		return NULL;
	f = calloc(1, sizeof(*f) + o->ranks * sizeof(f->ranks[0]));
	if (f == NULL)
		return NULL;
	f->home = home;
	f->context = context;
	f->options = *o;
	f->topic = strdup(o->topic);
	f->track = kv_track_new(home->pool->prefix, home->slot, o->ranks,
	    home->pool->prefix_options.block_tokens * PROMPT_TOKEN_BYTES,
	    home->pool->texts, context->counters);
	for (uint32_t i = 0; i < o->ranks; i++)
		if (f->topic == NULL || f->track == NULL || !open_rank(f, i)) {
			kv_feed_close(f);
			return NULL;
		}
	return f;
}

void kv_feed_close(struct kv_feed *f)
{
	if (f == NULL)
		return;
	for (uint32_t i = 0; i < f->options.ranks; i++)
		kv_stream_close(f->ranks[i].stream);
	kv_track_free(f->track);
	free(f->topic);
	free(f);
}

bool kv_feed_is_current(const struct kv_feed *f)
{
	const struct kv_options *o = &f->home->pool->options->prefix.kv;

	return o->enabled && o->port == f->options.port &&
	    o->replay_port == f->options.replay_port &&
	    o->ranks == f->options.ranks && strcmp(o->topic, f->topic) == 0;
}

void kv_feed_beat(struct kv_feed *f, int64_t now_ms)
{
	kv_track_beat(f->track, now_ms);
}

void kv_feed_learned(struct kv_feed *f, const uint64_t *chain, uint32_t n)
{
	kv_track_learned(f->track, chain, n);
}

void kv_feed_reset(struct kv_feed *f)
{
	kv_track_reset(f->track, false);
}
