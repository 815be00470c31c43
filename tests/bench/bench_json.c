/*
 * bench_json.c - what reading one chat body costs, beside yajl
 *
 * The same body goes through both in turn within each round, so that whatever
 * else the machine does falls on both; the ratio is that of the medians. Ours is
 * measured bare and with each string's escapes resolved, as yajl does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "buf.h"
#include "clock.h"
#include "json.h"
#include "must.h"

enum { BODY_MAX = 1 << 20, ROUNDS = 41, ROUND_BYTES = 2 << 20 };

/* A conversation, its lines broken by \n as clients write them. */
static struct buf make_body(size_t bytes)
{
	static const char *const roles[] = { "user", "assistant" };
	struct buf b;

	buf_init(&b, BODY_MAX);
	buf_puts(&b, "{\"model\":\"llama-3.1-8b\",\"stream\":true,"
	    "\"max_tokens\":256,\"temperature\":0.7,\"messages\":["
	    "{\"role\":\"system\",\"content\":\"You are \\\"terse\\\".\"}");
	for (int turn = 0; b.len + 64 < bytes; turn++) {
		buf_printf(&b, ",{\"role\":\"%s\",\"content\":\"",
		    roles[turn % 2]);
		for (int line = 0; line < 20 && b.len + 64 < bytes; line++)
			buf_printf(&b, "Line %d tells of a tree that grew "
			    "by the river.\\n", line);
		buf_puts(&b, "\"}");
	}
	buf_puts(&b, "]}");
	must(!buf_failed(&b));
	return b;
}

static size_t scan(struct span body)
{
	struct json j = json_over(body);
	enum json_event event;
	size_t n = 0;

	while ((event = json_next(&j)) > JSON_DONE)
		n += event == JSON_STRING;
	must(event == JSON_DONE);
	return n;
}

static size_t scan_and_resolve(struct span body)
{
	static char text[BODY_MAX];
	struct json j = json_over(body);
	enum json_event event;
	size_t n = 0;

	while ((event = json_next(&j)) > JSON_DONE)
		if (event == JSON_STRING) {
			must(json_unescape(j.value, text, sizeof(text)) !=
			    SIZE_MAX);
			n++;
		}
	must(event == JSON_DONE);
	return n;
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
	size_t *n = ctx;

	(void)text;
	(void)len;
	++*n;
	return 1;
}

static size_t scan_yajl(struct span body)
{
	static const yajl_callbacks callbacks = { .yajl_string = on_string };
	size_t n = 0;
	yajl_handle h = yajl_alloc(&callbacks, NULL, &n);

	must(h != NULL);
	yajl_config(h, yajl_dont_validate_strings, 1);
	must(yajl_parse(h, (const uint8_t *)body.ptr, body.len) ==
	    yajl_status_ok);
	must(yajl_complete_parse(h) == yajl_status_ok);
	yajl_free(h);
	return n;
}

static const struct {
	const char *name;
	size_t (*scan)(struct span body);
} ways[] = {
	{ "yajl", scan_yajl },
	{ "json_next", scan },
	{ "json_next+unescape", scan_and_resolve },
};

enum { WAYS = sizeof(ways) / sizeof(*ways) };

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void measure(struct span body, double ns[WAYS])
{
	static int64_t spent[WAYS][ROUNDS];
	size_t repeats = 1 + ROUND_BYTES / body.len;

	for (int round = 0; round < ROUNDS; round++)
		for (int way = 0; way < WAYS; way++) {
			int64_t start = clock_ns();
			size_t n = 0;

			for (size_t i = 0; i < repeats; i++)
				n += ways[way].scan(body);
			must(n > 0);
			spent[way][round] = clock_ns() - start;
		}
	for (int way = 0; way < WAYS; way++) {
		qsort(spent[way], ROUNDS, sizeof(**spent), by_time);
		ns[way] = (double)spent[way][ROUNDS / 2] / (double)repeats;
	}
}

int main(void)
{
	static const size_t sizes[] = { 1 << 10, 16 << 10, 100 << 10 };

	printf("%-20s %9s %12s %9s %9s\n", "reading", "body", "ns/body",
	    "MB/s", "x yajl");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct buf body = make_body(sizes[i]);
		double ns[WAYS];

		measure(buf_span(&body), ns);
		for (int way = 0; way < WAYS; way++)
			printf("%-20s %5zu KiB %12.0f %9.0f %9.2f\n",
			    ways[way].name, sizes[i] >> 10, ns[way],
			    (double)body.len * 1e3 / ns[way], ns[0] / ns[way]);
		buf_fini(&body);
	}
	return 0;
}
