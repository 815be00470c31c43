#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define ID " id=de952cf6-3374-4427-a14f-0fe363a6a218"
#define REST " | 127.0.0.1:60222 \"GET /v1/completions HTTP/1.1\""

/* In memory of that very size, so that ASan sees a byte read too far. */
static char *exact;

static enum record_result parse_bytes(const char *line, size_t len,
    struct record *out, struct record_fault *why)
{
	free(exact);
	exact = malloc(len != 0 ? len : 1);
	memcpy(exact, line, len);
	*why = (struct record_fault){ 0 };
	return record_parse((struct span){ exact, len }, out, why);
}

static enum record_result parse(const char *line, struct record *out)
{
	struct record_fault why;

	return parse_bytes(line, strlen(line), out, &why);
}

static void assert_span(struct span s, const char *text)
{
	if (!span_is_text(s, text))
		fail_msg("\"%.*s\" is not \"%s\"", (int)s.len, s.ptr, text);
}

/* ---- what HAProxy writes ---- */

enum { OK = RECORD_OK, NO_ID = RECORD_NO_ID };
enum { SERVED = RECORD_SERVED, FAILED = RECORD_FAILED, NEUTRAL = RECORD_NEUTRAL };

/*
 * Lines of HAProxy as they came, cut behind the fields; the name tells version and
 * what was done.
 */
static const struct {
	const char *line;
	int result;
	int status;
	const char *server, *ts;
	int n_retries, is_redispatched;
	int64_t tc_ms, tr_ms, ta_ms;
	uint64_t bytes;
	int64_t ttft_us;
	int blame, has_ttft;
} real[] = {
	/* 3.2: served */
	{ "epp1 pool=llm srv=s1 st=200 ts=---- rc=0 Tw=0 Tc=0 Tr=2 Ta=811 B=83 ttft=106228" ID REST,
	  OK, 200, "s1", "--", 0, 0, 0, 2, 811, 83, 106228, SERVED, 1 },
	/* 3.2: the chosen server refused the connection */
	{ "epp1 pool=llm srv=s1 st=200 ts=---- rc=+1 Tw=0 Tc=0 Tr=1 Ta=1 B=54 ttft=1787" ID REST,
	  OK, 200, "s1", "--", 1, 1, 0, 1, 1, 54, 1787, SERVED, 1 },
	/* 3.2: every server refused the connection */
	{ "epp1 pool=llm srv=r1 st=503 ts=SC-- rc=+2 Tw=0 Tc=-1 Tr=-1 Ta=0 B=217 ttft=-" ID REST,
	  OK, 503, "r1", "SC", 2, 1, -1, -1, 0, 217, -1, FAILED, 0 },
	/* 3.2: every server answered 503 */
	{ "epp1 pool=llm srv=s2 st=503 ts=---- rc=+2 Tw=0 Tc=0 Tr=1 Ta=1 B=49 ttft=1172" ID REST,
	  OK, 503, "s2", "--", 2, 1, 0, 1, 1, 49, 1172, FAILED, 0 },
	/* 3.2: 500 of the server, seen through, and left by the client */
	{ "epp1 pool=llm srv=s1 st=500 ts=---- rc=0 Tw=0 Tc=0 Tr=0 Ta=0 B=49 ttft=364" ID REST,
	  OK, 500, "s1", "--", 0, 0, 0, 0, 0, 49, 364, FAILED, 0 },
	{ "epp1 pool=llm srv=s2 st=500 ts=CD-- rc=0 Tw=0 Tc=0 Tr=1 Ta=102 B=61 ttft=1094" ID REST,
	  OK, 500, "s2", "CD", 0, 0, 0, 1, 102, 61, 1094, FAILED, 0 },
	/* 3.2: 429 of the server: its first byte is no token */
	{ "epp1 pool=llm srv=s2 st=429 ts=---- rc=0 Tw=0 Tc=0 Tr=0 Ta=0 B=49 ttft=591" ID REST,
	  OK, 429, "s2", "--", 0, 0, 0, 0, 0, 49, 591, NEUTRAL, 0 },
	/* 2.6, 3.0, 3.2: http-request return, in the backend */
	{ "epp1 pool=llm srv=<NOSRV> st=429 ts=LR-- rc=0 Tw=-1 Tc=-1 Tr=-1 Ta=0 B=90 ttft=-" ID REST,
	  OK, 429, "", "LR", 0, 0, -1, -1, 0, 90, -1, NEUTRAL, 0 },
	/* 2.6, 3.0, 3.2: http-request deny */
	{ "epp1 pool=llm srv=<NOSRV> st=403 ts=PR-- rc=0 Tw=-1 Tc=-1 Tr=-1 Ta=0 B=192 ttft=-" ID REST,
	  OK, 403, "", "PR", 0, 0, -1, -1, 0, 192, -1, NEUTRAL, 0 },
	/* 3.2: http-response return status 503, http-response deny; 2.6: the latter */
	{ "epp1 pool=res srv=s1 st=503 ts=LH-- rc=0 Tw=0 Tc=0 Tr=0 Ta=0 B=143 ttft=-" ID REST,
	  OK, 503, "s1", "LH", 0, 0, 0, 0, 0, 143, -1, NEUTRAL, 0 },
	{ "epp1 pool=res srv=s1 st=502 ts=PH-- rc=0 Tw=0 Tc=0 Tr=0 Ta=0 B=263 ttft=-" ID REST,
	  OK, 502, "s1", "PH", 0, 0, 0, 0, 0, 263, -1, NEUTRAL, 0 },
	{ "epp1 pool=res srv=s1 st=502 ts=PH-- rc=0 Tw=0 Tc=0 Tr=-1 Ta=0 B=263 ttft=-" ID REST,
	  OK, 502, "s1", "PH", 0, 0, 0, -1, 0, 263, -1, NEUTRAL, 0 },
	/* 3.2: the client left before the headers; 2.6: with a reset */
	{ "epp1 pool=llm srv=s2 st=400 ts=CH-- rc=0 Tw=0 Tc=0 Tr=-1 Ta=202 B=206 ttft=-" ID REST,
	  OK, 400, "s2", "CH", 0, 0, 0, -1, 202, 206, -1, NEUTRAL, 0 },
	{ "epp1 pool=llm srv=s2 st=-1 ts=CD-- rc=0 Tw=0 Tc=0 Tr=-1 Ta=201 B=0 ttft=-" ID REST,
	  OK, 0, "s2", "CD", 0, 0, 0, -1, 201, 0, -1, NEUTRAL, 0 },
	/* 3.2: ... between headers and first byte: the number is the leaving's time */
	{ "epp1 pool=llm srv=s2 st=200 ts=CD-- rc=0 Tw=0 Tc=0 Tr=0 Ta=201 B=58 ttft=201202" ID REST,
	  OK, 200, "s2", "CD", 0, 0, 0, 0, 201, 58, 201202, NEUTRAL, 0 },
	/* 3.2: ... in the middle */
	{ "epp1 pool=llm srv=s1 st=200 ts=CD-- rc=0 Tw=0 Tc=0 Tr=0 Ta=252 B=64 ttft=100823" ID REST,
	  OK, 200, "s1", "CD", 0, 0, 0, 0, 252, 64, 100823, NEUTRAL, 0 },
	/* 3.2: ... in the queue of the chosen server; and who waited too long there */
	{ "epp1 pool=q srv=s1 st=-1 ts=CQ-- rc=0 Tw=101 Tc=-1 Tr=-1 Ta=101 B=0 ttft=-" ID REST,
	  OK, 0, "s1", "CQ", 0, 0, -1, -1, 101, 0, -1, NEUTRAL, 0 },
	{ "epp1 pool=q srv=s1 st=503 ts=sQ-- rc=0 Tw=502 Tc=-1 Tr=-1 Ta=502 B=217 ttft=-" ID REST,
	  OK, 503, "s1", "sQ", 0, 0, -1, -1, 502, 217, -1, NEUTRAL, 0 },
	/* 3.2: the server reset before headers; in the middle of the answer */
	{ "epp1 pool=llm srv=s1 st=502 ts=SH-- rc=+2 Tw=106 Tc=0 Tr=-1 Ta=158 B=209 ttft=-" ID REST,
	  OK, 502, "s1", "SH", 2, 1, 0, -1, 158, 209, -1, FAILED, 0 },
	{ "epp1 pool=llm srv=s2 st=200 ts=SD-- rc=0 Tw=0 Tc=0 Tr=0 Ta=201 B=61 ttft=459" ID REST,
	  OK, 200, "s2", "SD", 0, 0, 0, 0, 201, 61, 459, FAILED, 0 },
	/* 3.2: timeout server before headers, before the first byte, in the middle */
	{ "epp1 pool=llm srv=s1 st=504 ts=sH-- rc=0 Tw=0 Tc=0 Tr=-1 Ta=1001 B=198 ttft=-" ID REST,
	  OK, 504, "s1", "sH", 0, 0, 0, -1, 1001, 198, -1, FAILED, 0 },
	{ "epp1 pool=llm srv=s1 st=504 ts=sH-- rc=0 Tw=0 Tc=0 Tr=0 Ta=1002 B=256 ttft=-" ID REST,
	  OK, 504, "s1", "sH", 0, 0, 0, 0, 1002, 256, -1, FAILED, 0 },
	{ "epp1 pool=llm srv=s2 st=200 ts=sD-- rc=0 Tw=0 Tc=0 Tr=0 Ta=1002 B=61 ttft=686" ID REST,
	  OK, 200, "s2", "sD", 0, 0, 0, 0, 1002, 61, 686, FAILED, 0 },
	/* 2.6: before the first byte. 3.0: in the middle, said to be the client's */
	{ "epp1 pool=llm srv=s1 st=504 ts=sR-- rc=0 Tw=0 Tc=0 Tr=-1 Ta=1002 B=256 ttft=-" ID REST,
	  OK, 504, "s1", "sR", 0, 0, 0, -1, 1002, 256, -1, FAILED, 0 },
	{ "epp1 pool=llm srv=s2 st=200 ts=CD-- rc=0 Tw=0 Tc=0 Tr=0 Ta=1002 B=61 ttft=413" ID REST,
	  OK, 200, "s2", "CD", 0, 0, 0, 0, 1002, 61, 413, NEUTRAL, 0 },
	/* 2.6: a connect time below zero, after a retry of the request */
	{ "epp1 pool=llm srv=black st=503 ts=SC-- rc=+2 Tw=51 Tc=-51 Tr=-1 Ta=352 B=217 ttft=-" ID REST,
	  OK, 503, "black", "SC", 2, 1, -1, -1, 352, 217, -1, FAILED, 0 },
	/* 3.2: a backend without servers; no request at all */
	{ "epp1 pool=none srv=<NOSRV> st=503 ts=SC-- rc=0 Tw=-1 Tc=-1 Tr=-1 Ta=0 B=217 ttft=-" ID REST,
	  OK, 503, "", "SC", 0, 0, -1, -1, 0, 217, -1, NEUTRAL, 0 },
	{ "epp1 pool=fe srv=<NOSRV> st=408 ts=cR-- rc=0 Tw=-1 Tc=-1 Tr=-1 Ta=2001 B=0 ttft=- id=- | 127.0.0.1:47934 \"<BADREQ>\"",
	  NO_ID, 408, "", "cR", 0, 0, -1, -1, 2001, 0, -1, NEUTRAL, 0 },
	/* 3.2: formats short and priority of a ring */
	{ "<6>epp1 pool=llm srv=s1 st=200 ts=---- rc=0 Tw=0 Tc=0 Tr=0 Ta=0 B=54 ttft=851" ID REST,
	  OK, 200, "s1", "--", 0, 0, 0, 0, 0, 54, 851, SERVED, 1 },
	{ "<134>epp1 pool=llm srv=s1 st=200 ts=---- rc=0 Tw=0 Tc=0 Tr=0 Ta=0 B=54 ttft=851" ID REST,
	  OK, 200, "s1", "--", 0, 0, 0, 0, 0, 54, 851, SERVED, 1 },
};

static void test_what_haproxy_writes_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(real); i++) {
		struct record r;

		assert_int_equal(parse(real[i].line, &r), real[i].result);
		assert_span(r.id, real[i].result == OK ?
		    "de952cf6-3374-4427-a14f-0fe363a6a218" : "");
		assert_span(r.server, real[i].server);
		assert_int_equal(r.status, real[i].status);
		assert_span((struct span){ r.ts, 2 }, real[i].ts);
		assert_int_equal(r.n_retries, real[i].n_retries);
		assert_int_equal(r.is_redispatched, real[i].is_redispatched);
		assert_false(r.is_early);
		assert_int_equal(r.tc_ms, real[i].tc_ms);
		assert_int_equal(r.tr_ms, real[i].tr_ms);
		assert_int_equal(r.ta_ms, real[i].ta_ms);
		assert_int_equal(r.bytes, real[i].bytes);
		assert_int_equal(r.ttft_us, real[i].ttft_us);
	}
}

static void test_the_server_is_blamed_for_what_it_did(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(real); i++) {
		struct record r;

		parse(real[i].line, &r);
		if ((int)record_blame(&r) != real[i].blame)
			fail_msg("%s: %d", real[i].line, record_blame(&r));
		if (record_has_ttft(&r) != real[i].has_ttft)
			fail_msg("%s: ttft", real[i].line);
	}
}

static void test_a_line_at_the_headers_says_so(void **state)
{
	struct record r;

	(void)state;
	assert_int_equal(parse("epp1 id=1 pool=llm srv=s2 st=200 ts=---- rc=0 Tw=0 "
	    "Tc=0 Tr=1 Ta=+1 B=+61 ttft=102149 | x", &r), RECORD_OK);
	assert_true(r.is_early);
	assert_int_equal(r.ta_ms, 1);
	assert_int_equal(r.bytes, 61);
}

/* ---- blame, letter by letter ---- */

/* What is not on the list is new, and nobody's fault. */
static const struct {
	const char *ts;
	int of_200, of_503, of_503_without_headers;
} letters[] = {
	{ "--", SERVED, FAILED, FAILED },
	{ "SC", FAILED, FAILED, FAILED }, { "SH", FAILED, FAILED, FAILED },
	{ "SD", FAILED, FAILED, FAILED }, { "SL", FAILED, FAILED, FAILED },
	{ "sC", FAILED, FAILED, FAILED }, { "sH", FAILED, FAILED, FAILED },
	{ "sD", FAILED, FAILED, FAILED }, { "sR", FAILED, FAILED, FAILED },
	{ "sQ", NEUTRAL, NEUTRAL, NEUTRAL }, { "SQ", NEUTRAL, NEUTRAL, NEUTRAL },
	{ "DH", FAILED, FAILED, FAILED }, { "DD", FAILED, FAILED, FAILED },
	{ "CC", NEUTRAL, FAILED, NEUTRAL }, { "CH", NEUTRAL, FAILED, NEUTRAL },
	{ "CD", NEUTRAL, FAILED, NEUTRAL }, { "CQ", NEUTRAL, FAILED, NEUTRAL },
	{ "cD", NEUTRAL, FAILED, NEUTRAL }, { "cH", NEUTRAL, FAILED, NEUTRAL },
	{ "PR", NEUTRAL, NEUTRAL, NEUTRAL }, { "PH", NEUTRAL, NEUTRAL, NEUTRAL },
	{ "PD", NEUTRAL, NEUTRAL, NEUTRAL }, { "PT", NEUTRAL, NEUTRAL, NEUTRAL },
	{ "LR", NEUTRAL, NEUTRAL, NEUTRAL }, { "LH", NEUTRAL, NEUTRAL, NEUTRAL },
	{ "RC", NEUTRAL, NEUTRAL, NEUTRAL }, { "IH", NEUTRAL, NEUTRAL, NEUTRAL },
	{ "UD", NEUTRAL, NEUTRAL, NEUTRAL }, { "KD", NEUTRAL, NEUTRAL, NEUTRAL },
	{ "ZD", NEUTRAL, NEUTRAL, NEUTRAL },
};

static int blame(const char *server, int status, const char *ts, int tr_ms)
{
	char line[200];
	struct record r;

	snprintf(line, sizeof(line), "epp1 pool=p srv=%s st=%d ts=%s-- Tr=%d id=1",
	    server, status, ts, tr_ms);
	assert_int_equal(parse(line, &r), RECORD_OK);
	return (int)record_blame(&r);
}

static void test_each_letter_has_its_blame(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(letters); i++) {
		const char *ts = letters[i].ts;

		assert_int_equal(blame("s", 200, ts, 5), letters[i].of_200);
		assert_int_equal(blame("s", 503, ts, 5), letters[i].of_503);
		assert_int_equal(blame("s", 503, ts, -1),
		    letters[i].of_503_without_headers);
	}
}

static void test_without_a_server_none_is_to_blame(void **state)
{
	static const char *const none[] = { "-", "<NOSRV>" };

	(void)state;
	for (size_t i = 0; i < COUNT(letters); i++)
		for (size_t k = 0; k < 2; k++) {
			assert_int_equal(blame(none[k], 200, letters[i].ts, 5),
			    NEUTRAL);
			assert_int_equal(blame(none[k], 503, letters[i].ts, 5),
			    NEUTRAL);
		}
}

static void test_only_5xx_is_a_failure_by_status(void **state)
{
	(void)state;
	for (int status = 100; status <= 999; status++)
		assert_int_equal(blame("s", status, "--", 5),
		    status >= 500 ? FAILED : status == 429 ? NEUTRAL : SERVED);
	assert_int_equal(blame("s", 0, "--", 5), NEUTRAL);
	assert_int_equal(blame("s", -1, "--", 5), NEUTRAL);
}

static void test_a_first_byte_counts_for_an_answer_only(void **state)
{
	(void)state;
	for (int status = 100; status <= 999; status++) {
		char line[100];
		struct record r;

		snprintf(line, sizeof(line),
		    "epp1 pool=p srv=s st=%d ts=-- ttft=0 id=1", status);
		assert_int_equal(parse(line, &r), RECORD_OK);
		assert_int_equal(record_has_ttft(&r),
		    status >= 200 && status < 300);
		r.ttft_us = -1;
		assert_false(record_has_ttft(&r));
	}
}

/* ---- words ---- */

static const char *const keys[] = { "pool=llm", "srv=s1", "st=200", "ts=SD--",
	"rc=+3", "Tw=1", "Tc=2", "Tr=3", "Ta=4", "B=5", "ttft=6", "id=the-id" };

static void assert_is_the_one(const struct record *r)
{
	assert_span(r->pool, "llm");
	assert_span(r->server, "s1");
	assert_span(r->id, "the-id");
	assert_int_equal(r->status, 200);
	assert_memory_equal(r->ts, "SD", 2);
	assert_int_equal(r->n_retries, 3);
	assert_true(r->is_redispatched);
	assert_int_equal(r->tw_ms, 1);
	assert_int_equal(r->tc_ms, 2);
	assert_int_equal(r->tr_ms, 3);
	assert_int_equal(r->ta_ms, 4);
	assert_int_equal(r->bytes, 5);
	assert_int_equal(r->ttft_us, 6);
}

/* Every word at every place, with a stranger somewhere, before any rest. */
static void test_order_and_strangers_do_not_matter(void **state)
{
	static const char *const rests[] = { "", " |", " | ", " | st=500", " | x | y",
		" | id=other pool=" };

	(void)state;
	for (size_t step = 1; step < COUNT(keys); step++)
		for (size_t start = 0; start < COUNT(keys); start++) {
			char line[400] = "epp1";
			size_t n = 4;
			struct record r;

			if (step != 1 && step != 5 && step != 7 && step != 11)
				continue;	/* those meet each key once */
			for (size_t k = 0; k < COUNT(keys); k++)
				n += (size_t)snprintf(line + n, sizeof(line) - n,
				    " %s%s", k == start ? "new=\xff= " : "",
				    keys[(start + k * step) % COUNT(keys)]);
			snprintf(line + n, sizeof(line) - n, "%s",
			    rests[start % COUNT(rests)]);
			assert_int_equal(parse(line, &r), RECORD_OK);
			assert_is_the_one(&r);
		}
}

static void test_what_is_not_said_is_not_known(void **state)
{
	struct record r;

	(void)state;
	assert_int_equal(parse("epp1 pool=p srv=- st=0 ts=-- id=1", &r), RECORD_OK);
	assert_int_equal(r.status, 0);
	assert_int_equal(r.server.len, 0);
	assert_int_equal(r.n_retries, 0);
	assert_int_equal(r.tw_ms, -1);
	assert_int_equal(r.tc_ms, -1);
	assert_int_equal(r.tr_ms, -1);
	assert_int_equal(r.ta_ms, -1);
	assert_int_equal(r.ttft_us, -1);
	assert_int_equal(r.bytes, 0);
}

static const char *const none[] = {
	"", " ", "e", "epp", "epp2 id=1", "epp10 id=1", "xepp1 id=1", " epp1 id=1",
	"epp1\tid=1", "epp1\nid=1", "<>epp1 id=1", "<1234>epp1 id=1", "<6epp1 id=1",
	"<6> epp1id=1", "<a>epp1 id=1", "6>epp1 id=1", "EPP1 id=1",
	"127.0.0.1:5 [21/Nov/2026] fe llm/s1 0/0/0/1/1 200 \"GET / HTTP/1.1\"",
	"Server llm/s1 is DOWN, reason: Layer4 connection problem",
	"fe llm/s1 \"GET /?a epp1 pool=llm srv=s1 st=500 ts=---- id=1 | HTTP/1.1\"",
};

static void test_what_is_not_ours_is_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(none); i++) {
		struct record r;

		if (parse(none[i], &r) != RECORD_NONE)
			fail_msg("%s", none[i]);
	}
}

#define GOOD "pool=p srv=s st=200 ts=---- id=1"

static const struct {
	const char *line, *found, *want;
} bad[] = {
	{ "epp1", "", "pool=" },
	{ "epp1 ", "", "blank" },
	{ "epp1 |", "", "pool=" },
	{ "<6>epp1 | " GOOD, "", "pool=" },
	{ "epp1 srv=s st=200 ts=---- id=1", "", "pool=" },
	{ "epp1 pool=p st=200 ts=---- id=1", "", "srv=" },
	{ "epp1 pool=p srv=s ts=---- id=1", "", "st=" },
	{ "epp1 pool=p srv=s st=200 id=1", "", "ts=" },
	{ "epp1 pool=p srv=s st=200 ts=----", "", "id=" },
	{ "epp1 pool=p srv=s st=200 ts=---- | id=1", "", "id=" },
	{ "epp1  " GOOD, "", "blank" },
	{ "epp1 pool=p  srv=s", "", "blank" },
	{ "epp1 " GOOD " ", "", "blank" },
	{ "epp1 " GOOD " || x", "||", "blank" },
	{ "epp1 " GOOD " word", "word", "blank" },
	{ "epp1 " GOOD "\tx=1", "id=1\tx=1", "id=" },
	{ "epp1 " GOOD "\r", "id=1\r", "id=" },
	{ "epp1 " GOOD " st=200", "st=200", "once" },
	{ "epp1 " GOOD " id=1", "id=1", "once" },
	{ "epp1 " GOOD " Tw=1 Tw=", "Tw=", "once" },
	{ "epp1 pool= srv=s", "pool=", "pool=" },
	{ "epp1 srv=\x01", "srv=\x01", "srv=" },
	{ "epp1 srv=\xc3\xa4", "srv=\xc3\xa4", "srv=" },
	{ "epp1 id=", "id=", "id=" },
	{ "epp1 id=\x7f", "id=\x7f", "id=" },
	{ "epp1 st=", "st=", "st=" },
	{ "epp1 st=99", "st=99", "st=" },
	{ "epp1 st=1000", "st=1000", "st=" },
	{ "epp1 st=20x", "st=20x", "st=" },
	{ "epp1 st=+200", "st=+200", "st=" },
	{ "epp1 st=0xc8", "st=0xc8", "st=" },
	{ "epp1 st=2e2", "st=2e2", "st=" },
	{ "epp1 ts=", "ts=", "ts=" },
	{ "epp1 ts=-", "ts=-", "ts=" },
	{ "epp1 ts=-----", "ts=-----", "ts=" },
	{ "epp1 ts=\x02-", "ts=\x02-", "ts=" },
	{ "epp1 rc=", "rc=", "rc=" },
	{ "epp1 rc=+", "rc=+", "rc=" },
	{ "epp1 rc=-1", "rc=-1", "rc=" },
	{ "epp1 rc=++1", "rc=++1", "rc=" },
	{ "epp1 rc=65536", "rc=65536", "rc=" },
	{ "epp1 Tw=", "Tw=", "Tw=" },
	{ "epp1 Tc=-", "Tc=-", "Tc=" },
	{ "epp1 Tr=--1", "Tr=--1", "Tr=" },
	{ "epp1 Ta=1.5", "Ta=1.5", "Ta=" },
	{ "epp1 Ta=1000000000000000", "Ta=1000000000000000", "Ta=" },
	{ "epp1 Ta=-9999999999999999", "Ta=-9999999999999999", "Ta=" },
	{ "epp1 Ta=18446744073709551616", "Ta=18446744073709551616", "Ta=" },
	{ "epp1 B=-1", "B=-1", "B=" },
	{ "epp1 B=1000000000000000", "B=1000000000000000", "B=" },
	{ "epp1 ttft=", "ttft=", "ttft=" },
	{ "epp1 ttft=0x1", "ttft=0x1", "ttft=" },
	{ "epp1 ttft=+1", "ttft=+1", "ttft=" },
	/* formats of a ring: rfc5424, rfc3164, local, timed, iso */
	{ "<134>1 2026-11-21T04:35:45.713133+00:00 - haproxy 11336 - - epp1 " GOOD,
	  "<134>1 2026-11-21T04:35:45.713133+00:00 - haproxy 11336 - -", "raw" },
	{ "<134>Nov 21 04:35:45 host haproxy[11333]: epp1 " GOOD,
	  "<134>Nov 21 04:35:45 host haproxy[11333]:", "raw" },
	{ "<134>Nov 21 04:35:46 haproxy[11342]: epp1 " GOOD,
	  "<134>Nov 21 04:35:46 haproxy[11342]:", "raw" },
	{ "<6>2026-11-21T04:35:43.455866+00:00 epp1 " GOOD,
	  "<6>2026-11-21T04:35:43.455866+00:00", "raw" },
	{ "2026-11-21T04:35:44.174287+00:00 epp1 " GOOD,
	  "2026-11-21T04:35:44.174287+00:00", "raw" },
};

static void test_what_is_bad_is_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct record_fault why;
		struct record r;

		if (parse_bytes(bad[i].line, strlen(bad[i].line), &r, &why) !=
		    RECORD_BAD)
			fail_msg("%s", bad[i].line);
		assert_span(why.found, bad[i].found);
		if (strstr(why.want, bad[i].want) == NULL)
			fail_msg("%s: want %s", bad[i].line, why.want);
	}
}

/*
 * A unique-id made of a request header is whatever the client wants. As the last key it
 * can say nothing of the server: whatever key it writes has been there. The second
 * line, id first, is what 2.6, 3.0 and 3.2 then really write: never ship that order.
 */
static void test_an_id_made_by_a_client_speaks_for_itself_only(void **state)
{
	struct record r;

	(void)state;
	assert_int_equal(parse("epp1 pool=llm srv=s2 st=200 ts=---- Tr=1 id=a "
	    "pool=llm srv=s2 st=500 ts=---- | x |", &r), RECORD_BAD);
	assert_int_equal(parse("epp1 id=a pool=llm srv=s2 st=500 ts=---- | x "
	    "pool=llm srv=s2 st=200 ts=---- |", &r), RECORD_OK);
	assert_int_equal(r.status, 500);
	assert_int_equal(parse("epp1 pool=llm srv=s2 st=200 ts=---- id=a | st=500",
	    &r), RECORD_OK);
	assert_int_equal(r.status, 200);
}

/* ---- bounds ---- */

static void test_lengths_have_their_limits(void **state)
{
	static const struct {
		const char *key;
		size_t max;
	} rows[] = { { "pool", RECORD_NAME_MAX }, { "srv", RECORD_NAME_MAX },
		{ "id", RECORD_ID_MAX } };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t over = 0; over <= 1; over++) {
			char value[RECORD_NAME_MAX + 2], line[800];
			struct record r;

			memset(value, 'x', sizeof(value));
			value[rows[i].max + over] = '\0';
			snprintf(line, sizeof(line), "epp1 %s=%s%s%s%s st=200 ts=--",
			    rows[i].key, value, i == 0 ? "" : " pool=p",
			    i == 1 ? "" : " srv=s", i == 2 ? "" : " id=1");
			assert_int_equal(parse(line, &r),
			    over ? RECORD_BAD : RECORD_OK);
		}
}

static void test_the_largest_numbers_are_whole(void **state)
{
	struct record r;

	(void)state;
	assert_int_equal(parse("epp1 " GOOD " rc=65535 Tw=999999999999999 "
	    "B=999999999999999 ttft=999999999999999 Tc=-999999999999999", &r),
	    RECORD_OK);
	assert_int_equal(r.n_retries, 65535);
	assert_int_equal(r.tw_ms, 999999999999999);
	assert_int_equal(r.bytes, 999999999999999);
	assert_int_equal(r.ttft_us, 999999999999999);
	assert_int_equal(r.tc_ms, -1);
}

/* A byte that no C string can hold, at each place of a good line. */
static void test_a_nul_byte_ends_nothing(void **state)
{
	static const char line[] = "epp1 pool=llm srv=s1 st=200 ts=---- id=1 | x";

	(void)state;
	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		char copy[sizeof(line)];
		struct record_fault why;
		struct record r;
		enum record_result result;

		memcpy(copy, line, sizeof(line));
		copy[i] = '\0';
		result = parse_bytes(copy, sizeof(line) - 1, &r, &why);
		if (i == sizeof(line) - 2)	/* for humans */
			assert_int_equal(result, RECORD_OK);
		else
			assert_true(result == RECORD_BAD || result == RECORD_NONE);
	}
}

/* What is said of a line's front is what the whole line says, or nothing. */
static void test_a_truncated_line_invents_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(real); i++)
		for (size_t cut = 0; cut < strlen(real[i].line); cut++) {
			struct record_fault why;
			struct record r;
			enum record_result result = parse_bytes(real[i].line, cut,
			    &r, &why);

			if (result != RECORD_OK && result != RECORD_NO_ID)
				continue;
			assert_span(r.server, real[i].server);
			assert_int_equal(r.status, real[i].status);
			assert_int_equal(r.ta_ms, real[i].ta_ms);
			assert_int_equal(r.bytes, real[i].bytes);
			assert_int_equal(r.ttft_us, real[i].ttft_us);
		}
}

static int teardown(void **state)
{
	(void)state;
	free(exact);
	exact = NULL;
	return 0;
}

#define unit(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_what_haproxy_writes_is_read),
		unit(test_the_server_is_blamed_for_what_it_did),
		unit(test_a_line_at_the_headers_says_so),
		unit(test_each_letter_has_its_blame),
		unit(test_without_a_server_none_is_to_blame),
		unit(test_only_5xx_is_a_failure_by_status),
		unit(test_a_first_byte_counts_for_an_answer_only),
		unit(test_order_and_strangers_do_not_matter),
		unit(test_what_is_not_said_is_not_known),
		unit(test_what_is_not_ours_is_none),
		unit(test_what_is_bad_is_said),
		unit(test_an_id_made_by_a_client_speaks_for_itself_only),
		unit(test_lengths_have_their_limits),
		unit(test_the_largest_numbers_are_whole),
		unit(test_a_nul_byte_ends_nothing),
		unit(test_a_truncated_line_invents_nothing),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
