/* One line: nothing outside of it is lent, and what is read, written again, is read. */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "must.h"
#include "record.h"

static void within(struct span s, struct span line, size_t max)
{
	must(s.len <= max);
	must(s.len == 0 || (s.ptr >= line.ptr &&
	    s.ptr + s.len <= line.ptr + line.len));
}

static void check(const struct record *r, struct span line)
{
	within(r->id, line, RECORD_ID_MAX);
	within(r->pool, line, RECORD_NAME_MAX);
	within(r->server, line, RECORD_NAME_MAX);
	must(r->status == 0 || (r->status >= 100 && r->status <= 999));
	must(r->tw_ms >= -1 && r->tc_ms >= -1 && r->tr_ms >= -1 &&
	    r->ta_ms >= -1 && r->ttft_us >= -1);
	must(record_blame(r) == RECORD_NEUTRAL || r->server.len > 0);
	must(!record_has_ttft(r) || record_blame(r) == RECORD_SERVED);
}

/* "-" where there is none. */
#define TEXT(s) (int)((s).len > 0 ? (s).len : 1), ((s).len > 0 ? (s).ptr : "-")

static void write_and_read(const struct record *r, enum record_result result)
{
	static char line[2048];
	struct record_fault why;
	struct record again;
	int n = snprintf(line, sizeof(line), "epp1 id=%.*s B=%s%llu pool=%.*s "
	    "ttft=%lld ts=%.2s Tw=%lld Tc=%lld Tr=%lld Ta=%lld srv=%.*s "
	    "rc=%s%u st=%u | %%", TEXT(r->id), r->is_early ? "+" : "",
	    (unsigned long long)r->bytes, TEXT(r->pool), (long long)r->ttft_us,
	    r->ts, (long long)r->tw_ms, (long long)r->tc_ms,
	    (long long)r->tr_ms, (long long)r->ta_ms, TEXT(r->server),
	    r->is_redispatched ? "+" : "", r->n_retries, r->status);

	must(record_parse((struct span){ line, (size_t)n }, &again, &why) ==
	    result);
	must(span_is(again.id, r->id) && span_is(again.pool, r->pool) &&
	    span_is(again.server, r->server));
	again.id = r->id;
	again.pool = r->pool;
	again.server = r->server;
	must(again.status == r->status && memcmp(again.ts, r->ts, 2) == 0 &&
	    again.n_retries == r->n_retries &&
	    again.is_redispatched == r->is_redispatched &&
	    again.is_early == r->is_early && again.tw_ms == r->tw_ms &&
	    again.tc_ms == r->tc_ms && again.tr_ms == r->tr_ms &&
	    again.ta_ms == r->ta_ms && again.bytes == r->bytes &&
	    again.ttft_us == r->ttft_us);
	must(record_blame(&again) == record_blame(r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span line = { (const char *)data, size };
	struct record_fault why;
	struct record r;
	enum record_result result = record_parse(line, &r, &why);

	if (result == RECORD_BAD) {
		within(why.found, line, size);
		must(why.want != NULL);
	}
	if (result == RECORD_BAD || result == RECORD_NONE)
		return 0;
	must((result == RECORD_OK) == (r.id.len > 0));
	check(&r, line);
	write_and_read(&r, result);
	return 0;
}
