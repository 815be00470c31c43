/*
 * bench_record.c - what one end-of-request line costs
 *
 * Four readings of the same stream in one run, so that the ratios hold on any machine:
 * finding the newlines alone (the floor), what a first attempt would do (sscanf with
 * all fields), and ours: lines known beforehand, then cut out of a stream as a socket
 * brings it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "clock.h"
#include "lines.h"
#include "must.h"
#include "record.h"

enum { LINES = 1000, STREAM_MAX = 1 << 20, ROUNDS = 200, READ_BYTES = 65536 };

/* As HAProxy writes it: lengths differ, most are served, some are not. */
static struct buf make_stream(void)
{
	static const char *const ends[] = {
		"st=200 ts=---- rc=0 Tw=0 Tc=1 Tr=31",
		"st=200 ts=---- rc=0 Tw=0 Tc=0 Tr=212",
		"st=200 ts=CD-- rc=0 Tw=0 Tc=0 Tr=8",
		"st=200 ts=---- rc=+1 Tw=2 Tc=0 Tr=44",
		"st=503 ts=SC-- rc=+2 Tw=0 Tc=-1 Tr=-1",
	};
	struct buf b;

	buf_init(&b, STREAM_MAX);
	for (unsigned i = 0; i < LINES; i++)
		buf_printf(&b, "epp1 pool=llama-70b srv=pod-%u %s Ta=%u B=%u "
		    "ttft=%u id=%08x-2404-4427-a14f-0fe363a6a218 | 10.1.%u.7:60%03u "
		    "llama \"POST /v1/chat/completions HTTP/1.1\"\n", i % 32,
		    ends[i % (sizeof(ends) / sizeof(*ends))], 800 + i * 37,
		    2000 + i * 211, 30000 + i * 97, i * 2654435761u, i % 250, i);
	must(!buf_failed(&b));
	return b;
}

static size_t read_newlines(const struct buf *stream)
{
	const char *at = stream->data, *end = at + stream->len;
	size_t n = 0;

	while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		at++;
		n++;
	}
	return n;
}

/* On a copy with NULs for newlines: sscanf() would measure the rest each time. */
static size_t read_by_sscanf(const struct buf *stream)
{
	static char copy[STREAM_MAX];
	size_t n = 0;

	if (copy[0] == '\0') {
		memcpy(copy, stream->data, stream->len);
		for (size_t i = 0; i < stream->len; i++)
			copy[i] = copy[i] == '\n' ? '\0' : copy[i];
	}
	for (size_t at = 0; at < stream->len; at += strlen(copy + at) + 1) {
		char pool[256], server[256], ts[8], rc[16], ttft[32], id[129];
		int status, tw, tc, tr, ta;
		unsigned long long bytes;

		n += sscanf(copy + at, "epp1 pool=%255s srv=%255s st=%d ts=%7s "
		    "rc=%15s Tw=%d Tc=%d Tr=%d Ta=%d B=%llu ttft=%31s id=%128s",
		    pool, server, &status, ts, rc, &tw, &tc, &tr, &ta, &bytes,
		    ttft, id) == 12;
	}
	return n;
}

static size_t count(struct span line)
{
	struct record_fault why;
	struct record r;

	return record_parse(line, &r, &why) == RECORD_OK &&
	    (r.ttft_us >= 0 || record_blame(&r) == RECORD_FAILED);
}

static size_t read_lines(const struct buf *stream)
{
	const char *at = stream->data, *end = at + stream->len, *newline;
	size_t n = 0;

	while ((newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		n += count((struct span){ at, (size_t)(newline - at) });
		at = newline + 1;
	}
	return n;
}

static size_t read_stream(const struct buf *stream)
{
	static struct lines c;
	struct span line;
	size_t n = 0;

	if (c.partial.max_bytes == 0)
		lines_init(&c);
	for (size_t at = 0; at < stream->len; at += READ_BYTES) {
		struct span in = { stream->data + at, stream->len - at };

		in.len = in.len < READ_BYTES ? in.len : READ_BYTES;
		while (lines_next(&c, &in, &line) == LINES_LINE)
			n += count(line);
	}
	return n;
}

static const struct {
	const char *name;
	size_t (*read)(const struct buf *stream);
} ways[] = {
	{ "newlines only", read_newlines },
	{ "sscanf", read_by_sscanf },
	{ "record_parse", read_lines },
	{ "cut and parsed", read_stream },
};

/* The best of five, in ns per line: the others were disturbed. */
static double measure(size_t way, const struct buf *stream)
{
	int64_t best = INT64_MAX;
	size_t n = 0;

	for (int i = 0; i < 5; i++) {
		int64_t start = clock_ns(), spent;

		for (size_t k = 0; k < ROUNDS; k++)
			n += ways[way].read(stream);
		spent = clock_ns() - start;
		if (spent < best)
			best = spent;
	}
	must(n == 5 * (size_t)ROUNDS * LINES);
	return (double)best / ROUNDS / LINES;
}

int main(void)
{
	struct buf stream = make_stream();
	double naive_ns = 0;

	printf("%-18s %9s %9s %12s %9s\n", "reading", "B/line", "ns/line",
	    "lines/s", "x sscanf");
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		double ns = measure(i, &stream);

		if (i == 1)
			naive_ns = ns;
		printf("%-18s %9zu %9.1f %12.0f", ways[i].name,
		    stream.len / LINES, ns, 1e9 / ns);
		if (i > 0)
			printf(" %9.2f", naive_ns / ns);
		printf("\n");
	}
	buf_fini(&stream);
	return 0;
}
