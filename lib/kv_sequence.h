/*
 * kv_sequence.h - is a batch of KV events the next one, an old one, or is one missing?
 *
 * A publisher numbers its batches from 0 and keeps the last ones for whoever asks (vLLM:
 * ZmqEventPublisher). Batches reach us live and, asked for, by replay; both ways may
 * bring the same. No I/O, no time. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct kv_sequence {
	uint64_t next;		/* the number that is expected */
	uint64_t live;		/* the last one that came live */
	bool has_begun, has_live;
};

enum kv_verdict {
	KV_TAKE,	/* the next one */
	KV_SKIP,	/* known already */
	KV_GAP,		/* others must come first; nothing has changed */
	KV_RESTARTED,	/* the publisher counts anew: look at this one again */
};

/* Of one that came live. The first of all is taken, whatever its number. */
enum kv_verdict kv_sequence_live(struct kv_sequence *s, uint64_t number);

/* Of one that was asked for, or came live before that: KV_TAKE, KV_SKIP, KV_GAP. */
enum kv_verdict kv_sequence_replayed(struct kv_sequence *s, uint64_t number);

/* What is missing is not to be had: `number` is the next one. */
void kv_sequence_give_up(struct kv_sequence *s, uint64_t number);
