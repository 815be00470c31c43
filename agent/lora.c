/*
 * lora.c - lists of names on a metrics page, as sets of hashes
 *
 * A comma cannot be a part of a name there, nor does an escape make one: so lists are
 * cut first and unescaped then, one name at a time.
 */
#include "lora.h"

#include "hash.h"
#include "json.h"
#include "prom_line.h"

uint64_t lora_name(struct span name)
{
	return hash_bytes(name.ptr, name.len, 0);
}

/* One too long to be an adapter that we keep is none. */
uint64_t lora_spelled(struct span raw)
{
	char name[LORA_NAME_MAX];
	size_t len;

	if (raw.len > 0 && memchr(raw.ptr, '\\', raw.len) != NULL) {
		len = json_unescape(raw, name, sizeof(name));
		if (len != SIZE_MAX)
			raw = (struct span){ name, len };
	}
	return lora_name(raw);
}

static void add_name(struct lora_set *set, struct span raw)
{
	char name[LORA_NAME_MAX];
	uint64_t hash;

	raw = prom_trim(raw);
	if (raw.len == 0)
		return;
	if (raw.len >= sizeof(name)) {
		set->is_cut = true;
		return;
	}
	if (memchr(raw.ptr, '\\', raw.len) != NULL) {
		prom_value_copy(raw, name, sizeof(name));
		raw = span_of(name);
	}
	hash = lora_name(raw);
	if (lora_find(set, hash) != LORA_ABSENT)
		return;
	if (set->n == LORA_ADAPTERS_MAX)
		set->is_cut = true;
	else
		set->names[set->n++] = hash;
}

static bool is_done(const struct lora_set *set)
{
	return set->is_cut && set->n == LORA_ADAPTERS_MAX;
}

static void add_list(struct lora_set *set, struct span raw)
{
	while (raw.len > 0 && !is_done(set)) {
		const char *comma = memchr(raw.ptr, ',', raw.len);
		size_t len = comma != NULL ? (size_t)(comma - raw.ptr) : raw.len;

		add_name(set, (struct span){ raw.ptr, len });
		len += comma != NULL;
		raw.ptr += len;
		raw.len -= len;
	}
}

static uint32_t count_of(struct span raw)
{
	double value;

	if (!prom_number(prom_trim(raw), &value) || !(value >= 0))
		return 0;
	return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

void lora_read(struct lora_set *set, struct span raw,
    const struct lora_labels *labels)
{
	struct span running = { NULL, 0 }, waiting = running, max = running;
	struct prom_pair pair;

	while (prom_pair_next(&raw, &pair) == PROM_NEXT_PAIR) {
		if (span_is_text(pair.key, labels->running))
			running = pair.value;
		else if (span_is_text(pair.key, labels->waiting))
			waiting = pair.value;
		else if (span_is_text(pair.key, labels->max))
			max = pair.value;
	}
	*set = (struct lora_set){ .max = count_of(max) };
	add_list(set, running);
	set->n_running = set->n;
	add_list(set, waiting);
}
