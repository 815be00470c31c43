/*
 * report.c - counters by their rows, endpoints by their views
 */
#include "report.h"

#include <stdio.h>

#include "counters.h"
#include "endpoints.h"
#include "log.h"

static const struct {
	const char *name;
	size_t offset;
} rows[] = {
#define COUNTER_ROW(name, help) { #name, offsetof(struct counters, name) },
	COUNTERS(COUNTER_ROW)
#undef COUNTER_ROW
};

static uint64_t sum_of(const struct counters *const *threads, size_t n,
    size_t offset)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += atomic_load_explicit(
		    (const _Atomic uint64_t *)(const void *)
		    ((const char *)threads[i] + offset), memory_order_relaxed);
	return sum;
}

void report_counters(const struct counters *const *threads, size_t n)
{
	char line[2048];
	int len = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows) &&
	     len < (int)sizeof(line); i++)
		len += snprintf(line + len, sizeof(line) - (size_t)len,
		    "%s%s=%llu", i > 0 ? " " : "", rows[i].name,
		    (unsigned long long)sum_of(threads, n, rows[i].offset));
	log_info("house.counters", "%s", line);
}

static const char *const health_names[] = {
	[ENDPOINT_FRESH] = "fresh", [ENDPOINT_STALE] = "stale",
	[ENDPOINT_DOWN] = "down",
};

static const char *const breaker_names[] = {
	[BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open",
	[BREAKER_HALF_OPEN] = "half-open", [BREAKER_TRIAL] = "trial",
};

/* Averages below zero are of nothing yet. */
static void report_endpoint(const struct endpoint_view *v, size_t row)
{
	const struct endpoint *e = &v->endpoints[row];
	const struct endpoint_stats *s = &v->stats[row];
	const struct endpoint_live *l = endpoint_live(v, row);
	/* Said in full: gcc 12 makes a plain load of an atomic subscript. */
	uint16_t breaker = atomic_load(&l->breaker);

	log_info("house.endpoint", "pool=%s endpoint=%.*s addr=%.*s health=%s "
	    "breaker=%s queued=%u running=%u kv=%.3f unsettled=%u requests=%u "
	    "tokens=%u ttft_us=%.0f token_us=%.0f error_rate=%.3f", v->pool,
	    (int)e->name.len, e->name.ptr, (int)e->addr.len, e->addr.ptr,
	    health_names[s->health], breaker_names[breaker], s->queued,
	    s->running, (double)s->kv_used, endpoint_unsettled(v, row),
	    live_count_get(&l->requests), live_count_get(&l->tokens),
	    (double)ewma_get(&l->ttft_us), (double)ewma_get(&l->token_us),
	    (double)ewma_get(&l->error_rate));
}

void report_endpoints(const struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->n_pools; i++)
		for (size_t k = 0; k < fleet->pools[i]->n_endpoints; k++)
			report_endpoint(fleet->pools[i], k);
}
