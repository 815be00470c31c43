/* The scanner against itself: skipped or walked, whole or cut anywhere. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "json.h"
#include "must.h"

enum { CUTS = 64 };

static void unescape(struct span raw)
{
	char *out = malloc(raw.len != 0 ? raw.len : 1);
	size_t len = json_unescape(raw, out, raw.len), again;

	must(len <= raw.len);	/* no escape is shorter than what it means */
	if (len > 0) {
		again = json_unescape(raw, out, len - 1);
		must(again == SIZE_MAX);
	}
	free(out);
}

/* The last event, and by the way how many there were and what they lent. */
static enum json_event walk(struct span text, bool skips, size_t *n_events)
{
	struct json j = json_over(text);
	enum json_event event;
	uint64_t number;

	*n_events = 0;
	do {
		size_t at = json_offset(&j);

		event = json_next(&j);
		must(j.at >= j.start && j.at <= j.end && json_offset(&j) >= at);
		if (event == JSON_KEY || event == JSON_STRING) {
			must(j.value.ptr >= text.ptr && j.value.ptr +
			    j.value.len <= text.ptr + text.len);
			unescape(j.value);
		}
		if (event == JSON_NUMBER)
			json_uint(j.value, &number);
		if (skips && event > JSON_DONE) {
			struct span raw = { 0 };

			event = json_skip(&j, event, &raw);
			must(raw.len <= text.len);
		}
		++*n_events;
	} while (event > JSON_DONE);
	must(json_next(&j) == event);
	must((event == JSON_BAD) == (j.bad_why != NULL && j.at < j.end));
	return event;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	size_t n, n_cut;
	enum json_event whole = walk(text, false, &n);

	must(walk(text, true, &n_cut) == whole);
	unescape(text);		/* never scanned, so anything at all */
	for (size_t i = 0; i < CUTS && i < size; i++) {
		size_t len = size <= CUTS ? i : size * i / CUTS;
		char *exact = malloc(len != 0 ? len : 1);
		enum json_event cut;

		memcpy(exact, data, len);
		cut = walk((struct span){ exact, len }, false, &n_cut);
		free(exact);
		must(n_cut <= n + 1);
		if (cut == JSON_BAD)
			must(whole == JSON_BAD && n_cut == n);
	}
	return 0;
}
