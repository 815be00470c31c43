/*
 * kv_sequence.c - the live stream never goes back, unless it begins anew
 */
#include "kv_sequence.h"

enum kv_verdict kv_sequence_replayed(struct kv_sequence *s, uint64_t number)
{
	if (number < s->next)
		return KV_SKIP;
	if (number > s->next)
		return KV_GAP;
	s->next++;
	return KV_TAKE;
}

enum kv_verdict kv_sequence_live(struct kv_sequence *s, uint64_t number)
{
	bool goes_back = s->has_live && number <= s->live;

	if (goes_back) {
		s->has_live = false;
		s->next = 0;
		return KV_RESTARTED;
	}
	s->has_live = true;
	s->live = number;
	if (!s->has_begun) {
		s->has_begun = true;
		s->next = number;
	}
	return kv_sequence_replayed(s, number);
}

void kv_sequence_give_up(struct kv_sequence *s, uint64_t number)
{
	s->next = number;
}
