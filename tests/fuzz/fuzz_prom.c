/* Two readings of one page, cut at another width each, must hear the same. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "fuzz.h"
#include "hash.h"
#include "must.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t whole, cut;
	struct engine_reading reading;
	size_t step;

	if (size == 0)
		return 0;
	step = 1 + data[0] % 64;
	data++;
	size--;
	must(scan(data, size, size + 1, &whole) == scan(data, size, step, &cut));
	must(whole == cut);
	for (size_t i = 0; engine_at(i) != NULL; i++) {
		struct engine_scan *s = engine_scan_new(engine_at(i));

		engine_scan_begin(s);
		engine_scan_feed(s, data, size);
		if (engine_scan_end(s, &reading) == PROM_OK)
			must(reading.kv_used >= 0 && reading.kv_used <= 1);
		engine_scan_free(s);
	}
	return 0;
}
