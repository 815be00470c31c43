/* Two readings of one page, cut at another width each, must hear the same. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "engine.h"
#include "fault.h"
#include "fuzz.h"
#include "hash.h"
#include "must.h"
#include "options.h"
#include "prom.h"

static const struct prom_selector wanted[] = {
	{ .name = "m:queue" },
	{ .name = "m:q" },
	{ .name = "m:kv", .matchers = { { "t", "used" } }, .n_matchers = 1 },
	{ .name = "m:kv", .matchers = { { "t", "" } }, .n_matchers = 1 },
};

static void on_sample(void *data, const struct prom_sample *s)
{
	double value = isnan(s->value) ? 0.5 : s->value;	/* one NaN */
	uint64_t *heard = data;
	char label[16];

	*heard = hash_bytes(s->labels.ptr, s->labels.len, *heard);
	*heard = hash_bytes(&value, sizeof(value), *heard + s->selector);
	if (prom_label(s->labels, "t", label, sizeof(label)))
		*heard = hash_bytes(label, strlen(label), *heard);
}

static enum prom_result scan(const uint8_t *data, size_t size, size_t step,
    uint64_t *heard)
{
	struct prom p;
	enum prom_result result;

	*heard = 0;
	prom_init(&p, wanted, sizeof(wanted) / sizeof(*wanted), sizeof(*wanted),
	    on_sample, heard);
	for (size_t at = 0; at < size; at += step)
		prom_feed(&p, data + at, size - at < step ? size - at : step);
	result = prom_finish(&p);
	prom_fini(&p);
	return result;
}

static void check_extras(const struct endpoint_extras *e)
{
	for (size_t i = 0; e->lora != NULL && i < e->lora->n; i++)
		must(lora_find(e->lora, e->lora->names[i]) ==
		    (i < e->lora->n_running ? LORA_RUNNING : LORA_WAITING));
	must(e->lora == NULL || (e->lora->n_running <= e->lora->n &&
		e->lora->n <= LORA_ADAPTERS_MAX));
	for (size_t i = 0; e->attributes != NULL && i < e->attributes->n; i++)
		must(isfinite(e->attributes->items[i].value));
}

static void read_as(const struct engine *engine, const uint8_t *data,
    size_t size)
{
	struct engine_scan *s = engine_scan_new(engine);
	struct engine_reading reading;

	engine_scan_begin(s);
	engine_scan_feed(s, data, size);
	if (engine_scan_end(s, &reading) == PROM_OK)
		must(reading.kv_used >= 0 && reading.kv_used <= 1);
	check_extras(&reading.extras);
	engine_scan_free(s);
}

/* With numbers of an operator's own beside vLLM's. */
static void read_as_own(const uint8_t *data, size_t size)
{
	static const struct custom_metric_options custom[] = {
		{ "sum", "m:queue", FOLD_SUM }, { "mean", "m:q", FOLD_MEAN },
		{ "max", "m:kv{t=used}", FOLD_MAX }, { "max", "m:kv", FOLD_MAX },
	};
	static const struct engine_options o = { .name = "own",
		.extends = "vllm", .custom = custom, .n_custom = 4 };
	struct arena *arena = arena_new(4096, 65536);
	struct fault why = { 0 };
	const struct engine *engine = engine_make(&o, arena, &why);

	must(engine != NULL);
	read_as(engine, data, size);
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t whole, cut;
	size_t step;

	if (size == 0)
		return 0;
	step = 1 + data[0] % 64;
	data++;
	size--;
	must(scan(data, size, size + 1, &whole) == scan(data, size, step, &cut));
	must(whole == cut);
	for (size_t i = 0; engine_at(i) != NULL; i++)
		read_as(engine_at(i), data, size);
	read_as_own(data, size);
	return 0;
}
