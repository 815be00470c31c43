#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow_heap.h"
#include "flow_queue.h"
#include "flow_table.h"
#include "list.h"
#include "rng.h"

enum { TABLE_BYTES = 64 << 20, SECRET = 7 };

#if defined(__SANITIZE_THREAD__)	/* slow, and with one thread to look at */
enum { HISTORIES = 10000, FLOWS_IN_ALL = 100000 };
#else
enum { HISTORIES = 100000, FLOWS_IN_ALL = 1000000 };
#endif

#define BAND(prio, fair, order) { .priority = (prio), .fairness = (fair), \
	.ordering = (order) }

/* What waits in these tests. Its id's bytes are its own, and gone when it is out. */
struct held {
	struct waiter w;
	char *id_bytes;
	char name;
	uint32_t flow_id;	/* for the model, and when it came */
	uint64_t added;
};

static void held_set_id(struct held *h, const char *id)
{
	size_t len = strlen(id);

	h->id_bytes = malloc(len != 0 ? len : 1);	/* so that ASan sees the edge */
	memcpy(h->id_bytes, id, len);
	h->w.fairness_id = (struct span){ h->id_bytes, len };
}

static void held_forget_id(struct held *h)
{
	free(h->id_bytes);
	h->id_bytes = NULL;
}

static struct held *held_of(struct waiter *w)
{
	return w != NULL ? list_entry(w, struct held, w) : NULL;
}

static void drop(struct flow_queue *q, struct held *h)
{
	flow_queue_drop(q, &h->w);
	held_forget_id(h);
}

/* The name of who was served, 0 when there was nobody. */
static char serve(struct flow_queue *q)
{
	struct held *h = held_of(flow_queue_next(q));

	if (h == NULL)
		return 0;
	flow_queue_take(q, &h->w);
	held_forget_id(h);
	return h->name != 0 ? h->name : '?';
}

/* Names in the order of service, until nobody waits. */
static const char *serve_all(struct flow_queue *q)
{
	static char names[256];
	size_t n = 0;

	while (n < sizeof(names) - 1 && (names[n] = serve(q)) != 0)
		n++;
	names[n] = 0;
	return names;
}

static struct flow_queue *queue_new(const struct flow_options *o)
{
	struct flow_queue *q = flow_queue_new(o, SECRET, TABLE_BYTES);

	assert_non_null(q);
	return q;
}

/* ---- examples ---- */

static void test_an_empty_queue_has_nobody(void **state)
{
	struct flow_queue *q = queue_new(&flow_options_default);

	(void)state;
	assert_null(flow_queue_next(q));
	assert_null(flow_queue_expired(q, INT64_MAX));
	assert_int_equal(flow_queue_next_expiry_ms(q), FLOW_NEVER);
	assert_int_equal(flow_queue_counts(q).requests, 0);
	assert_int_equal(flow_queue_n_bands(q), 0);
	flow_queue_free(q);
	flow_queue_free(NULL);
}

static void test_defaults_are_llm_ds(void **state)
{
	const struct flow_options *o = &flow_options_default;
	const struct flow_band_options *bands[] = { &o->default_band,
		&o->default_negative_band };

	(void)state;
	assert_int_equal(o->max_requests, 0);
	assert_int_equal(o->max_bytes, 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(bands[i]->max_requests, 5000);
		assert_int_equal(bands[i]->max_bytes, 1000 * 1000 * 1000);
		assert_int_equal(bands[i]->fairness, FLOW_GLOBAL_STRICT);
		assert_int_equal(bands[i]->ordering, FLOW_FCFS);
	}
}

/* Added in this order; every example serves some of these five. */
static const struct {
	char name;
	int64_t arrived, expires, slo;
} five[] = {
	{ 'a', 10, 90, 0 },
	{ 'b', 20, 60, 50 },
	{ 'c', 20, 60, 50 },
	{ 'd', 30, FLOW_NEVER, 5 },
	{ 'e', 5, 70, INT64_MAX },	/* past the end of time is none */
};

static const struct {
	const char *what;
	enum flow_ordering ordering;
	const char *order;
} orderings[] = {
	{ "by arrival", FLOW_FCFS, "eabcd" },
	{ "by expiry", FLOW_EDF, "bcead" },
	{ "by SLO", FLOW_SLO_DEADLINE, "dbcea" },
};

/* The same whether they are of one flow or of five that are ignored. */
static void test_each_ordering_serves_in_its_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < 6; i++) {
		struct flow_options o = { .default_band =
			BAND(0, FLOW_GLOBAL_STRICT, orderings[i / 2].ordering) };
		struct flow_queue *q = queue_new(&o);
		struct held helds[5] = { 0 };

		for (size_t k = 0; k < 5; k++) {
			helds[k].name = five[k].name;
			helds[k].w.arrived_ms = five[k].arrived;
			helds[k].w.expires_ms = five[k].expires;
			helds[k].w.slo_ms = five[k].slo;
			held_set_id(&helds[k], i % 2 == 0 ? "" :
				(char[]){ five[k].name, 0 });
			assert_int_equal(flow_queue_add(q, &helds[k].w), 0);
		}
		assert_int_equal(flow_queue_counts(q).flows, i % 2 == 0 ? 1 : 5);
		assert_string_equal(serve_all(q), orderings[i / 2].order);
		flow_queue_free(q);
	}
}

/* Letters: a name, which is also the fairness id, and then its priority. */
static size_t add_letters(struct flow_queue *q, struct held *helds,
    const char *letters)
{
	size_t n = 0;

	for (const char *l = letters; *l != 0; l += 2, n++) {
		helds[n] = (struct held){ .name = *l, .w = {
			.priority = l[1] == '-' ? -1 : l[1] - '0',
			.arrived_ms = (int64_t)n, .expires_ms = FLOW_NEVER,
			.bytes = 1 } };
		held_set_id(&helds[n], (char[]){ *l, 0 });
		assert_int_equal(flow_queue_add(q, &helds[n].w), 0);
	}
	return n;
}

static const struct {
	enum flow_fairness fairness;
	const char *letters, *order;
} services[] = {
	{ FLOW_GLOBAL_STRICT, "a-b0c5d0e5", "cebda" },
	{ FLOW_ROUND_ROBIN, "a-b0c5d0e5", "cebda" },
	{ FLOW_GLOBAL_STRICT, "a0a0a0b0b0c0", "aaabbc" },
	{ FLOW_ROUND_ROBIN, "a0a0a0b0b0c0", "abcaba" },
	{ FLOW_ROUND_ROBIN, "a0a0b1a1b0b1", "bababa" },
};

static void test_bands_are_strict_and_flows_as_they_are_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++) {
		struct flow_options o = { .default_band =
			BAND(0, services[i].fairness, FLOW_FCFS),
			.default_negative_band =
			BAND(0, services[i].fairness, FLOW_FCFS) };
		struct flow_queue *q = queue_new(&o);
		struct held helds[16];

		add_letters(q, helds, services[i].letters);
		assert_string_equal(serve_all(q), services[i].order);
		flow_queue_free(q);
	}
}

static const struct flow_options round_robin = { .default_band =
	BAND(0, FLOW_ROUND_ROBIN, FLOW_FCFS) };

static void test_who_gives_up_costs_its_flow_no_turn(void **state)
{
	struct flow_queue *q = queue_new(&round_robin);
	struct held helds[8];

	(void)state;
	add_letters(q, helds, "a0a0a0b0b0c0");
	drop(q, &helds[0]);		/* the head, of the flow whose turn it is */
	assert_ptr_equal(flow_queue_next(q), &helds[1].w);
	assert_int_equal(serve(q), 'a');
	drop(q, &helds[3]);		/* b's turn now, and still b's */
	assert_ptr_equal(flow_queue_next(q), &helds[4].w);
	drop(q, &helds[2]);		/* the last of a, whose turn is far */
	assert_string_equal(serve_all(q), "bc");
	flow_queue_free(q);
}

static void test_a_flow_that_comes_again_comes_last(void **state)
{
	struct flow_queue *q = queue_new(&round_robin);
	struct held helds[8], again[2];

	(void)state;
	add_letters(q, helds, "a0b0b0c0");
	assert_int_equal(serve(q), 'a');	/* it ends here */
	add_letters(q, again, "a0a0");
	assert_string_equal(serve_all(q), "bcaba");
	flow_queue_free(q);
}

static void test_a_flow_served_out_of_turn_goes_behind(void **state)
{
	struct flow_queue *q = queue_new(&round_robin);
	struct held helds[8];

	(void)state;
	add_letters(q, helds, "a0b0b0c0c0");
	flow_queue_take(q, &helds[2].w);	/* the second of b */
	held_forget_id(&helds[2]);
	assert_string_equal(serve_all(q), "acbc");
	flow_queue_free(q);
}

static void test_no_id_is_the_default_flow(void **state)
{
	static const char *const ids[] = { "", "default-flow", "default-flo",
		"default-flow " };
	struct flow_queue *q = queue_new(&round_robin);
	struct held helds[4] = { 0 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		held_set_id(&helds[i], ids[i]);
		assert_int_equal(flow_queue_add(q, &helds[i].w), 0);
	}
	assert_int_equal(flow_queue_counts(q).flows, 3);
	drop(q, &helds[0]);
	assert_int_equal(flow_queue_counts(q).flows, 3);
	drop(q, &helds[1]);
	assert_int_equal(flow_queue_counts(q).flows, 2);
	drop(q, &helds[2]);
	drop(q, &helds[3]);
	flow_queue_free(q);
}

/* Whoever founded the flow may be long gone, and its id's bytes with it. */
static void test_a_flow_outlives_its_first_waiter(void **state)
{
	struct flow_queue *q = queue_new(&round_robin);
	struct held helds[8], more[2];

	(void)state;
	add_letters(q, helds, "a0a0b0");
	drop(q, &helds[0]);
	add_letters(q, more, "a0b0");
	assert_int_equal(flow_queue_counts(q).flows, 2);
	drop(q, &helds[2]);
	assert_int_equal(flow_queue_counts(q).flows, 2);
	assert_string_equal(serve_all(q), "aba");
	flow_queue_free(q);
}

static void test_expiry_is_told_in_its_order_and_not_before(void **state)
{
	struct flow_queue *q = queue_new(&flow_options_default);
	struct held helds[4];

	(void)state;
	add_letters(q, helds, "a0b3c0d1");
	flow_queue_set_expiry(q, &helds[0].w, 300);
	flow_queue_set_expiry(q, &helds[1].w, 100);
	flow_queue_set_expiry(q, &helds[2].w, 200);
	assert_int_equal(flow_queue_next_expiry_ms(q), 100);
	assert_null(flow_queue_expired(q, 99));
	assert_ptr_equal(flow_queue_expired(q, 100), &helds[1].w);
	assert_ptr_equal(flow_queue_expired(q, 1000), &helds[1].w);
	drop(q, &helds[1]);
	assert_ptr_equal(flow_queue_expired(q, 1000), &helds[2].w);
	flow_queue_set_expiry(q, &helds[2].w, FLOW_NEVER);
	assert_ptr_equal(flow_queue_expired(q, 1000), &helds[0].w);
	assert_null(flow_queue_expired(q, 299));
	drop(q, &helds[0]);
	assert_null(flow_queue_expired(q, INT64_MAX));
	assert_int_equal(flow_queue_next_expiry_ms(q), FLOW_NEVER);
	assert_string_equal(serve_all(q), "dc");
	flow_queue_free(q);
}

static int64_t backwards(const struct waiter *w, void *data)
{
	return *(int64_t *)data - w->arrived_ms;
}

static void test_a_renewal_reaches_all_and_their_order(void **state)
{
	struct flow_options o = { .default_band =
		BAND(0, FLOW_GLOBAL_STRICT, FLOW_EDF) };
	struct flow_queue *q = queue_new(&o);
	struct held helds[5];
	int64_t from = 1000;

	(void)state;
	add_letters(q, helds, "a0b0c0a0b0");
	flow_queue_renew(q, backwards, &from);
	assert_int_equal(flow_queue_next_expiry_ms(q), 996);
	assert_int_equal(helds[0].w.expires_ms, 1000);
	assert_string_equal(serve_all(q), "bacba");
	flow_queue_renew(q, backwards, &from);		/* nobody */
	flow_queue_free(q);
}

/* ---- limits ---- */

enum { ADDS = 4 };

static const struct {
	const char *what;
	uint64_t max_requests, max_bytes, band_requests, band_bytes;
	struct {
		int32_t priority;
		uint64_t bytes;
		int result;
	} adds[ADDS];
} limits[] = {
	{ "none", 0, 0, 0, 0,
	  { { 0, 0, 0 }, { 0, UINT64_MAX - 5, 0 }, { 1, 5, 0 },
	    { 0, 1, FLOW_FULL } } },
	{ "requests", 3, 0, 0, 0,
	  { { 0, 1, 0 }, { 1, 1, 0 }, { 2, 1, 0 }, { 3, 1, FLOW_FULL } } },
	{ "bytes", 0, 10, 0, 0,
	  { { 0, 6, 0 }, { 1, 5, FLOW_FULL }, { 1, 4, 0 }, { 0, 0, 0 } } },
	{ "requests of a band", 0, 0, 2, 0,
	  { { 0, 1, 0 }, { 0, 1, 0 }, { 0, 0, FLOW_BAND_FULL }, { 1, 1, 0 } } },
	{ "bytes of a band", 0, 0, 0, 10,
	  { { 0, 11, FLOW_BAND_FULL }, { 0, 10, 0 }, { 0, 1, FLOW_BAND_FULL },
	    { 1, 10, 0 } } },
	{ "both", 2, 0, 1, 0,
	  { { 0, 1, 0 }, { 0, 1, FLOW_BAND_FULL }, { 1, 1, 0 },
	    { 0, 1, FLOW_FULL } } },
	{ "sums that wrap", 0, 10, 0, 10,
	  { { 0, 3, 0 }, { 0, UINT64_MAX, FLOW_FULL },
	    { 0, UINT64_MAX - 2, FLOW_FULL }, { 0, 7, 0 } } },
};

static void test_limits_hold_to_the_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		struct flow_options o = { .max_requests = limits[i].max_requests,
			.max_bytes = limits[i].max_bytes, .default_band = {
				.max_requests = limits[i].band_requests,
				.max_bytes = limits[i].band_bytes } };
		struct flow_queue *q = queue_new(&o);
		struct held helds[ADDS] = { 0 };

		for (size_t k = 0; k < ADDS; k++) {
			helds[k].w.priority = limits[i].adds[k].priority;
			helds[k].w.bytes = limits[i].adds[k].bytes;
			held_set_id(&helds[k], "x");
			assert_int_equal(flow_queue_add(q, &helds[k].w),
			    limits[i].adds[k].result);
			if (limits[i].adds[k].result != 0)
				held_forget_id(&helds[k]);
		}
		serve_all(q);
		assert_int_equal(flow_queue_counts(q).bytes, 0);
		flow_queue_free(q);
	}
}

/* max_requests tells which row was used. */
static void test_each_priority_finds_its_row(void **state)
{
	static const struct flow_band_options rows[] = {
		{ .priority = 7, .max_requests = 3 },
		{ .priority = INT32_MIN, .max_requests = 4 },
		{ .priority = 0, .max_requests = 5 },
	};
	static const struct flow_options o = { .bands = rows, .n_bands = 3,
		.default_band = { .max_requests = 1 },
		.default_negative_band = { .max_requests = 2 } };
	static const struct {
		int32_t priority;
		size_t room;
	} priorities[] = { { 7, 3 }, { INT32_MIN, 4 }, { 0, 5 }, { 1, 1 },
		{ INT32_MAX, 1 }, { -1, 2 }, { INT32_MIN + 1, 2 } };
	struct flow_queue *q = queue_new(&o);
	struct held helds[7][6] = { 0 };
	int32_t above = INT32_MAX;

	(void)state;
	for (size_t i = 0; i < 7; i++)
		for (size_t k = 0; k <= priorities[i].room; k++) {
			helds[i][k].w.priority = priorities[i].priority;
			assert_int_equal(flow_queue_add(q, &helds[i][k].w),
			    k < priorities[i].room ? 0 : FLOW_BAND_FULL);
		}
	assert_int_equal(flow_queue_n_bands(q), 7);
	for (size_t i = 0; i < 7; i++) {
		int32_t priority;

		flow_queue_band(q, i, &priority);
		assert_true(i == 0 || priority < above);
		above = priority;
	}
	serve_all(q);
	flow_queue_free(q);
}

static void test_lower_limits_lose_nobody(void **state)
{
	const struct flow_options tight = { .max_requests = 2, .max_bytes = 2 };
	struct flow_queue *q = queue_new(&flow_options_default);
	struct held helds[8], late = { .name = 'z' };

	(void)state;
	add_letters(q, helds, "a0b0c1d-");
	flow_queue_set_options(q, &tight);
	assert_int_equal(flow_queue_counts(q).requests, 4);
	assert_int_equal(flow_queue_add(q, &late.w), FLOW_FULL);
	assert_int_equal(serve(q), 'c');
	assert_int_equal(flow_queue_add(q, &late.w), FLOW_FULL);
	assert_int_equal(serve(q), 'a');
	assert_int_equal(flow_queue_add(q, &late.w), FLOW_FULL);
	assert_int_equal(serve(q), 'b');
	late.w.arrived_ms = 100;
	assert_int_equal(flow_queue_add(q, &late.w), 0);
	assert_string_equal(serve_all(q), "zd");
	flow_queue_free(q);
}

static void test_other_policies_are_for_who_waits_too(void **state)
{
	const struct flow_options edf = { .default_band =
		BAND(0, FLOW_GLOBAL_STRICT, FLOW_EDF) };
	struct flow_queue *q = queue_new(&flow_options_default);
	struct held helds[8];

	(void)state;
	add_letters(q, helds, "a0a0a0b0b0c0");
	flow_queue_set_expiry(q, &helds[4].w, 50);
	assert_int_equal(serve(q), 'a');	/* strict: by arrival */
	flow_queue_set_options(q, &round_robin);
	assert_int_equal(serve(q), 'b');	/* a was served last */
	flow_queue_set_options(q, &edf);
	assert_int_equal(serve(q), 'b');	/* the one that expires */
	flow_queue_set_options(q, &round_robin);
	assert_string_equal(serve_all(q), "caa");
	flow_queue_free(q);
}

/* ---- the model: who waits as a plain array, flows as they have turns ---- */

enum { HELDS_MAX = 400, IDS = 6, ROWS = 5 };

/* The first two are the same flow: what the model goes by is flow_of_id(). */
static const char *const ids[IDS] = { "", "default-flow", "a", "b", "ab", "c" };
static const int32_t prios[] = { 0, 1, -1, 5, INT32_MAX, INT32_MIN };

static uint32_t flow_of_id(uint32_t id)
{
	return id != 0 ? id : 1;
}

struct model_flow {
	int32_t priority;
	uint32_t id;
};

struct model {
	struct held *waiting[HELDS_MAX];
	size_t n;
	struct model_flow flows[HELDS_MAX];	/* who was served last is last */
	size_t n_flows;
	const struct flow_options *options;
	uint64_t n_added;
};

static const struct flow_band_options *model_row(const struct model *m,
    int32_t priority)
{
	const struct flow_band_options *found = priority >= 0 ?
	    &m->options->default_band : &m->options->default_negative_band;

	for (size_t i = 0; i < m->options->n_bands; i++)
		if (m->options->bands[i].priority == priority)
			found = &m->options->bands[i];
	return found;
}

static bool is_in_flow(const struct held *h, const struct model_flow *f)
{
	return h->w.priority == f->priority && h->flow_id == f->id;
}

static size_t model_find(const struct model *m, const struct held *h)
{
	size_t i = 0;

	while (i < m->n_flows && !is_in_flow(h, &m->flows[i]))
		i++;
	return i;
}

static void model_move_last(struct model *m, size_t flow)
{
	struct model_flow f = m->flows[flow];

	memmove(m->flows + flow, m->flows + flow + 1,
	    (m->n_flows - flow - 1) * sizeof(f));
	m->flows[m->n_flows - 1] = f;
}

/* Of one band, or of all. */
#define ALL INT64_MAX

static struct flow_counts model_counts(const struct model *m, int64_t priority)
{
	struct flow_counts c = { 0 };
	bool is_all = priority == ALL;

	for (size_t i = 0; i < m->n; i++)
		if (is_all || m->waiting[i]->w.priority == priority) {
			c.requests++;
			c.bytes += m->waiting[i]->w.bytes;
		}
	for (size_t i = 0; i < m->n_flows; i++)
		c.flows += is_all || m->flows[i].priority == priority;
	return c;
}

static bool model_fits(const struct held *h, struct flow_counts c,
    uint64_t max_requests, uint64_t max_bytes)
{
	unsigned __int128 bytes = (unsigned __int128)c.bytes + h->w.bytes;

	return (max_requests == 0 || c.requests < max_requests) &&
	    bytes <= (max_bytes != 0 ? max_bytes : UINT64_MAX);
}

static int model_add(struct model *m, struct held *h)
{
	const struct flow_band_options *row = model_row(m, h->w.priority);

	if (!model_fits(h, model_counts(m, ALL), m->options->max_requests,
	    m->options->max_bytes))
		return FLOW_FULL;
	if (!model_fits(h, model_counts(m, h->w.priority), row->max_requests,
	    row->max_bytes))
		return FLOW_BAND_FULL;
	if (model_find(m, h) == m->n_flows)
		m->flows[m->n_flows++] = (struct model_flow){ h->w.priority,
			h->flow_id };
	h->added = m->n_added++;
	m->waiting[m->n++] = h;
	return 0;
}

static void model_leave(struct model *m, struct held *h, bool is_served)
{
	size_t flow = model_find(m, h), at = 0;

	assert_true(flow < m->n_flows);
	while (m->waiting[at] != h)
		at++;
	memmove(m->waiting + at, m->waiting + at + 1,
	    (--m->n - at) * sizeof(h));
	if (is_served) {
		model_move_last(m, flow);
		flow = m->n_flows - 1;
	}
	for (size_t i = 0; i < m->n; i++)
		if (is_in_flow(m->waiting[i], &m->flows[flow]))
			return;
	model_move_last(m, flow);
	m->n_flows--;
}

static int64_t model_deadline(const struct waiter *w, enum flow_ordering o)
{
	if (o == FLOW_EDF)
		return w->expires_ms;
	if (o == FLOW_FCFS)
		return 0;
	return w->slo_ms <= 0 || w->arrived_ms > INT64_MAX - w->slo_ms ?
	    INT64_MAX : w->arrived_ms + w->slo_ms;
}

static bool is_better(const struct held *a, const struct held *b,
    enum flow_ordering o)
{
	int64_t x = model_deadline(&a->w, o), y = model_deadline(&b->w, o);

	if (x != y)
		return x < y;
	if (a->w.arrived_ms != b->w.arrived_ms)
		return a->w.arrived_ms < b->w.arrived_ms;
	return a->added < b->added;
}

/* The best of a band, of the flow alone unless that is n_flows. */
static struct held *model_best(const struct model *m, int32_t priority,
    size_t flow)
{
	enum flow_ordering o = model_row(m, priority)->ordering;
	struct held *best = NULL;

	for (size_t i = 0; i < m->n; i++) {
		struct held *h = m->waiting[i];

		if (h->w.priority == priority && (flow == m->n_flows ||
		    is_in_flow(h, &m->flows[flow])) &&
		    (best == NULL || is_better(h, best, o)))
			best = h;
	}
	return best;
}

static struct held *model_next(const struct model *m)
{
	int32_t priority = INT32_MIN;
	size_t flow = 0;

	for (size_t i = 0; i < m->n; i++)
		if (m->waiting[i]->w.priority > priority)
			priority = m->waiting[i]->w.priority;
	while (flow < m->n_flows && m->flows[flow].priority != priority)
		flow++;
	if (model_row(m, priority)->fairness == FLOW_GLOBAL_STRICT)
		flow = m->n_flows;
	return model_best(m, priority, flow);
}

static struct held *model_soonest(const struct model *m)
{
	struct held *best = NULL;

	for (size_t i = 0; i < m->n; i++)
		if (best == NULL || is_better(m->waiting[i], best, FLOW_EDF))
			best = m->waiting[i];
	return best;
}

/* ---- queue and model side by side ---- */

struct history {
	struct flow_queue *q;
	struct model m;
	struct rng rng;
	struct held helds[HELDS_MAX];
	size_t n_helds;
	int64_t now;
	uint32_t patience_ms;
	struct flow_options options[2];		/* of which one is in use */
	struct flow_band_options rows[2][ROWS];
	int which;
};

static void random_row(struct history *h, struct flow_band_options *row,
    int32_t priority)
{
	struct rng *rng = &h->rng;
	uint32_t n = (uint32_t)h->n_helds;

	row->priority = priority;
	row->max_requests = rng_below(rng, 5) != 0 ? 0 : 1 + rng_below(rng, n);
	row->max_bytes = rng_below(rng, 5) != 0 ? 0 :
	    1 + rng_below(rng, 20 * n);
	row->fairness = (enum flow_fairness)rng_below(rng, 2);
	row->ordering = (enum flow_ordering)rng_below(rng, 3);
}

/* Into the pair that is not in use; what was in use is overwritten afterwards. */
static const struct flow_options *random_options(struct history *h)
{
	struct flow_options *o = &h->options[h->which ^= 1];
	struct flow_band_options any = { 0 };

	random_row(h, &any, 0);
	o->max_requests = any.max_requests * 2;
	o->max_bytes = any.max_bytes * 3;
	o->bands = h->rows[h->which];
	o->n_bands = rng_below(&h->rng, ROWS + 1);
	for (size_t i = 0; i < ROWS; i++)
		random_row(h, &h->rows[h->which][i], prios[i]);
	random_row(h, &o->default_band, 1);
	random_row(h, &o->default_negative_band, 1);
	return o;
}

static void change_options(struct history *h)
{
	int old = h->which;

	h->m.options = random_options(h);
	flow_queue_set_options(h->q, h->m.options);
	memset(&h->options[old], 0xdd, sizeof(h->options[old]));
	memset(h->rows[old], 0xdd, sizeof(h->rows[old]));
}

static int64_t random_expiry(struct history *h)
{
	return rng_below(&h->rng, 8) == 0 ? FLOW_NEVER :
	    h->now + rng_below(&h->rng, h->patience_ms);
}

static int64_t random_slo(struct rng *rng)
{
	static const int64_t odd[] = { 0, -1, INT64_MIN, INT64_MAX };

	return rng_below(rng, 2) == 0 ? odd[rng_below(rng, 4)] :
	    1 + rng_below(rng, 50);
}

static uint64_t random_bytes(struct rng *rng)
{
	return rng_below(rng, 500) != 0 ? rng_below(rng, 20) :
	    UINT64_MAX - rng_below(rng, 20);
}

static void do_add(struct history *h)
{
	struct held *held = &h->helds[rng_below(&h->rng, (uint32_t)h->n_helds)];
	uint32_t id = rng_below(&h->rng, IDS);
	int want;

	if (held->w.flow != NULL)
		return;
	held->w.priority = prios[rng_below(&h->rng, 6)];
	held->w.arrived_ms = h->now - rng_below(&h->rng, 3);
	held->w.expires_ms = random_expiry(h);
	held->w.slo_ms = random_slo(&h->rng);
	held->w.bytes = random_bytes(&h->rng);
	held_set_id(held, ids[id]);
	held->flow_id = flow_of_id(id);
	want = model_add(&h->m, held);
	assert_int_equal(flow_queue_add(h->q, &held->w), want);
	if (want != 0)
		held_forget_id(held);
}

static void leave(struct history *h, struct held *held, bool is_served)
{
	if (held == NULL)
		return;
	model_leave(&h->m, held, is_served);
	if (is_served)
		flow_queue_take(h->q, &held->w);
	else
		flow_queue_drop(h->q, &held->w);
	assert_null(held->w.flow);
	held_forget_id(held);
	held->w.fairness_id.ptr = NULL;
}

static struct held *random_waiting(struct history *h)
{
	return h->m.n == 0 ? NULL :
	    h->m.waiting[rng_below(&h->rng, (uint32_t)h->m.n)];
}

static void do_expire(struct history *h)
{
	struct waiter *w;

	while ((w = flow_queue_expired(h->q, h->now)) != NULL) {
		struct held *soonest = model_soonest(&h->m);

		assert_int_equal(w->expires_ms, soonest->w.expires_ms);
		assert_true(w->expires_ms <= h->now);
		leave(h, held_of(w), false);
	}
}

static void do_set_expiry(struct history *h)
{
	struct held *held = random_waiting(h);

	if (held != NULL)
		flow_queue_set_expiry(h->q, &held->w, random_expiry(h));
}

static int64_t shuffled(const struct waiter *w, void *data)
{
	return w->expires_ms == FLOW_NEVER ? FLOW_NEVER :
	    *(int64_t *)data + (w->expires_ms * 7 + w->arrived_ms) % 60;
}

static void do_anything(struct history *h)
{
	uint32_t what = rng_below(&h->rng, 100);

	h->now += rng_below(&h->rng, 4);
	if (what < 55)
		do_add(h);
	else if (what < 75)
		leave(h, model_next(&h->m), true);
	else if (what < 78)
		leave(h, random_waiting(h), true);
	else if (what < 86)
		leave(h, random_waiting(h), false);
	else if (what < 91)
		do_expire(h);
	else if (what < 95)
		do_set_expiry(h);
	else if (what < 96)
		flow_queue_renew(h->q, shuffled, &h->now);
	else
		change_options(h);
}

static void assert_counts(struct flow_counts a, struct flow_counts b)
{
	if (a.requests != b.requests || a.bytes != b.bytes || a.flows != b.flows)
		fail_msg("%zu/%zu/%zu is not %zu/%zu/%zu",
		    (size_t)a.requests, (size_t)a.bytes, a.flows,
		    (size_t)b.requests, (size_t)b.bytes, b.flows);
}

static void assert_same(struct history *h)
{
	struct held *soonest = model_soonest(&h->m);
	struct flow_counts all = { 0 };
	int32_t above = INT32_MAX;

	assert_ptr_equal(held_of(flow_queue_next(h->q)), model_next(&h->m));
	assert_int_equal(flow_queue_next_expiry_ms(h->q),
	    soonest != NULL ? soonest->w.expires_ms : FLOW_NEVER);
	assert_counts(flow_queue_counts(h->q), model_counts(&h->m, ALL));
	for (size_t i = 0; i < flow_queue_n_bands(h->q); i++) {
		int32_t priority;
		struct flow_counts c = flow_queue_band(h->q, i, &priority);

		assert_true(i == 0 || priority < above);
		assert_true(c.requests > 0);
		assert_counts(c, model_counts(&h->m, priority));
		above = priority;
		all.requests += c.requests;
		all.bytes += c.bytes;
		all.flows += c.flows;
	}
	assert_counts(all, flow_queue_counts(h->q));
}

static void run_history(struct history *h, uint64_t seed, size_t n_helds,
    int turns)
{
	size_t at_birth;

	memset(h->helds, 0, n_helds * sizeof(*h->helds));
	h->m.n = h->m.n_flows = h->m.n_added = 0;
	h->now = 0;
	h->rng.state = seed;
	h->n_helds = n_helds;
	h->patience_ms = 12 * (uint32_t)n_helds;
	h->m.options = random_options(h);
	h->q = flow_queue_new(h->m.options, seed, TABLE_BYTES);
	assert_non_null(h->q);
	at_birth = flow_queue_table_bytes(h->q);
	for (int turn = 0; turn < turns; turn++) {
		do_anything(h);
		assert_same(h);
	}
	while (h->m.n > 0) {
		leave(h, model_next(&h->m), true);
		assert_same(h);
	}
	assert_null(flow_queue_next(h->q));
	assert_int_equal(flow_queue_table_bytes(h->q), at_birth);
	flow_queue_free(h->q);
}

static void test_any_short_history_is_the_models(void **state)
{
	struct history *h = calloc(1, sizeof(*h));

	(void)state;
	for (uint64_t seed = 0; seed < HISTORIES; seed++)
		run_history(h, seed, 8, 30);
	free(h);
}

static void test_any_long_history_is_the_models(void **state)
{
	struct history *h = calloc(1, sizeof(*h));

	(void)state;
	for (uint64_t seed = 0; seed < 8; seed++)
		run_history(h, 1000000 + seed, seed % 2 == 0 ? 60 : HELDS_MAX,
		    6000);
	free(h);
}

/* ---- fairness ---- */

struct crowd {
	struct flow_queue *q;
	struct held *helds;
	uint32_t n_flows;
	uint64_t served[16];
};

static void crowd_add(struct crowd *c, struct held *h, uint32_t flow)
{
	*h = (struct held){ .name = (char)('a' + flow),
		.w.expires_ms = FLOW_NEVER };
	held_set_id(h, (char[]){ (char)('a' + flow), 0 });
	assert_int_equal(flow_queue_add(c->q, &h->w), 0);
}

/*
 * The first half of the flows always has somebody waiting; the other half comes and
 * goes. Some give up all the time. Whoever is always there is served as often as the
 * others of its kind, to within one, and nobody more often.
 */
static void test_backlogged_flows_are_served_alike(void **state)
{
	enum { FLOWS = 10, DEEP = 6, TURNS = 50000 };
	struct held helds[FLOWS][DEEP] = { 0 };
	struct crowd c = { .q = queue_new(&round_robin) };
	struct rng rng = { 3 };

	(void)state;
	for (int turn = 0; turn < TURNS; turn++) {
		uint32_t flow = rng_below(&rng, FLOWS);
		struct held *any = &helds[flow][rng_below(&rng, DEEP)];
		uint64_t least = UINT64_MAX, most = 0;

		for (uint32_t f = 0; f < FLOWS / 2; f++)
			for (uint32_t k = 0; k < 2; k++)
				if (helds[f][k].w.flow == NULL)
					crowd_add(&c, &helds[f][k], f);
		if (any->w.flow == NULL)
			crowd_add(&c, any, flow);
		else if (rng_below(&rng, 3) == 0 && any > &helds[flow][1])
			drop(c.q, any);
		c.served[serve(c.q) - 'a']++;
		for (uint32_t f = 0; f < FLOWS / 2; f++) {
			least = c.served[f] < least ? c.served[f] : least;
			most = c.served[f] > most ? c.served[f] : most;
		}
		assert_true(most - least <= 1);
		for (uint32_t f = FLOWS / 2; f < FLOWS; f++)
			assert_true(c.served[f] <= most);
	}
	assert_true(c.served[0] > TURNS / FLOWS);
	serve_all(c.q);
	flow_queue_free(c.q);
}

/* ---- ids that hash alike ---- */

/* XXH64 without its long loop and its last stir, each step of which can be undone. */
static const uint64_t P1 = 11400714785074694791u, P2 = 14029467366897019727u,
	P3 = 1609587929392839161u, P4 = 9650029242287828579u,
	P5 = 2870177450012600261u;

static uint64_t turn(uint64_t x, unsigned left)
{
	return x << left | x >> (64 - left);
}

/* The factor that undoes a product with an odd one (Newton). */
static uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd;

	for (int i = 0; i < 6; i++)
		x *= 2 - odd * x;
	return x;
}

/* Eight bytes that hash under `seed` as the four under `seed4`. */
static uint64_t colliding(uint64_t seed, uint64_t seed4, uint32_t four)
{
	uint64_t want = turn((seed4 + P5 + 4) ^ (four * P1), 23) * P2 + P3;
	uint64_t round = turn((want - P4) * inverse(P1), 64 - 27) ^
	    (seed + P5 + 8);

	return turn(round * inverse(P1), 64 - 31) * inverse(P2);
}

static void test_ids_that_hash_alike_are_flows_of_their_own(void **state)
{
	const struct flow_table t = { .secret = SECRET };
	struct flow_queue *q = queue_new(&round_robin);
	uint64_t seeds[] = { SECRET ^ rng_mix(0), SECRET ^ rng_mix(1) };
	uint32_t four = htole32(0x64636261);
	uint64_t eight[2];
	struct held helds[6] = { 0 };

	(void)state;
	for (size_t i = 0; i < 2; i++)
		eight[i] = htole64(colliding(seeds[i], seeds[0],
		    le32toh(four)));
	for (size_t i = 0; i < 6; i++) {
		helds[i].name = (char)('a' + i % 3);
		helds[i].w.priority = i % 3 == 2;
		helds[i].w.fairness_id = i % 3 == 0 ?
		    (struct span){ (char *)&four, 4 } :
		    (struct span){ (char *)&eight[i % 3 - 1], 8 };
		assert_true(flow_table_hash(&t, &helds[i].w) ==
		    flow_table_hash(&t, &helds[0].w));
		assert_int_equal(flow_queue_add(q, &helds[i].w), 0);
	}
	assert_int_equal(flow_queue_counts(q).flows, 3);
	assert_string_equal(serve_all(q), "ccabab");
	flow_queue_free(q);
}

/* ---- memory ---- */

static void numbered_id(char *id, size_t size, uint32_t n)
{
	snprintf(id, size, "tenant-%u", n);
}

/* A new fairness id with every request, a million times. */
static void test_a_million_flows_leave_nothing_behind(void **state)
{
	enum { AT_ONCE = 10000, ROUNDS = FLOWS_IN_ALL / AT_ONCE };
	static struct {
		struct waiter w;
		char id[24];
	} all[AT_ONCE];
	const struct flow_options o = { .default_band =
		BAND(0, FLOW_ROUND_ROBIN, FLOW_FCFS) };
	struct flow_queue *q = queue_new(&o);
	size_t at_birth = flow_queue_table_bytes(q), most = 0;

	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t i = 0; i < AT_ONCE; i++) {
			struct waiter *w = &all[i].w;

			numbered_id(all[i].id, sizeof(all[i].id),
			    round * AT_ONCE + i);
			w->fairness_id = span_of(all[i].id);
			w->expires_ms = i;
			assert_int_equal(flow_queue_add(q, w), 0);
		}
		assert_int_equal(flow_queue_counts(q).flows, AT_ONCE);
		assert_true(round == 0 || flow_queue_table_bytes(q) == most);
		most = flow_queue_table_bytes(q);
		for (uint32_t i = 0; i < AT_ONCE; i++) {
			struct waiter *w = i % 2 == 0 ? flow_queue_next(q) :
			    flow_queue_expired(q, AT_ONCE);

			assert_non_null(w);
			flow_queue_drop(q, w);
		}
		assert_null(flow_queue_next(q));
		assert_int_equal(flow_queue_table_bytes(q), at_birth);
	}
	assert_true(most / AT_ONCE < sizeof(struct waiter));
	flow_queue_free(q);
}

/* One more than fits is refused by name, whatever is then dropped and added. */
static void test_there_are_so_many_bands_and_no_more(void **state)
{
	enum { N = FLOW_BANDS_MAX };
	static struct waiter waiters[N + 1];
	struct flow_queue *q = queue_new(&flow_options_default);
	size_t at_birth = flow_queue_table_bytes(q);

	(void)state;
	for (int32_t i = 0; i < N; i++) {
		waiters[i].priority = (i * 619 % N - N / 2) * 1000;
		assert_int_equal(flow_queue_add(q, &waiters[i]), 0);
	}
	waiters[N].priority = 7;
	assert_int_equal(flow_queue_add(q, &waiters[N]), FLOW_FULL);
	assert_int_equal(flow_queue_n_bands(q), N);
	flow_queue_drop(q, &waiters[0]);
	assert_int_equal(flow_queue_add(q, &waiters[N]), 0);
	for (int32_t i = 1, above = INT32_MAX; i <= N; i++) {
		struct waiter *w = flow_queue_next(q);

		assert_true(w->priority < above);
		above = w->priority;
		flow_queue_take(q, w);
	}
	assert_int_equal(flow_queue_table_bytes(q), at_birth);
	flow_queue_free(q);
}

/* ---- no memory: under every ceiling from nothing to enough ---- */

enum { POOR = 48 };

/* Every third opens a band, every other one a flow. */
static void poor_waiter(struct held *h, uint32_t i)
{
	char id[24];

	numbered_id(id, sizeof(id), i / 2);
	*h = (struct held){ .w = { .priority = (int32_t)i / 3, .bytes = 3,
		.arrived_ms = i, .expires_ms = i } };
	held_set_id(h, id);
}

/* What must not change when an add fails. */
struct seen {
	struct waiter *next, *expired;
	struct flow_counts counts;
	size_t n_bands, bytes;
};

static struct seen look(const struct flow_queue *q)
{
	return (struct seen){ flow_queue_next(q), flow_queue_expired(q, POOR),
		flow_queue_counts(q), flow_queue_n_bands(q),
		flow_queue_table_bytes(q) };
}

static size_t fill_poor(struct flow_queue *q, struct held *helds, size_t ceiling)
{
	size_t n_failed = 0;

	for (uint32_t i = 0; i < POOR; i++) {
		struct seen before = look(q), after;
		int r;

		poor_waiter(&helds[i], i);
		r = flow_queue_add(q, &helds[i].w);
		assert_true(flow_queue_table_bytes(q) <= ceiling);
		if (r == 0)
			continue;
		n_failed++;
		after = look(q);
		assert_int_equal(r, -ENOMEM);
		assert_null(helds[i].w.flow);
		assert_memory_equal(&before, &after, sizeof(before));
		held_forget_id(&helds[i]);
	}
	return n_failed;
}

static void empty_poor(struct flow_queue *q, struct held *helds, size_t n)
{
	int32_t above = INT32_MAX;
	struct held *h;

	for (; (h = held_of(flow_queue_next(q))) != NULL; n--) {
		assert_true(h->w.priority <= above);
		above = h->w.priority;
		assert_true(h >= helds && h < helds + POOR);
		flow_queue_take(q, &h->w);
		held_forget_id(h);
	}
	assert_int_equal(n, 0);
}

static void test_without_memory_an_add_changes_nothing(void **state)
{
	size_t n_failed = SIZE_MAX, ceiling = 0, n_queues = 0;
	struct held helds[POOR];

	(void)state;
	for (; n_failed > 0; ceiling += 8) {
		struct flow_queue *q = flow_queue_new(&round_robin, SECRET,
		    ceiling);
		size_t at_birth;

		if (q == NULL) {
			assert_int_equal(n_queues, 0);
			continue;
		}
		n_queues++;
		at_birth = flow_queue_table_bytes(q);
		n_failed = fill_poor(q, helds, ceiling);
		empty_poor(q, helds, POOR - n_failed);
		assert_int_equal(flow_queue_table_bytes(q), at_birth);
		/* And what failed was not a debt. */
		assert_int_equal(fill_poor(q, helds, ceiling), n_failed);
		empty_poor(q, helds, POOR - n_failed);
		flow_queue_free(q);
	}
	assert_true(n_queues > 100);
}

/* ---- the heap ---- */

enum { NODES = 300 };

static uint32_t rank_of(const struct flow_node *n)
{
	return n != NULL ? n->right_rank + 1 : 0;
}

/* Order, ranks, and links both ways; without recursion along left spines. */
static size_t check_heap(const struct flow_heap *h)
{
	const struct flow_node *n = h->first;
	size_t count = 0;
	bool is_down = true;

	assert_true(n == NULL || n->parent == NULL);
	while (n != NULL) {
		const struct flow_node *up = n->parent;

		if (is_down) {
			count++;
			assert_true(n->left_rank >= n->right_rank);
			assert_int_equal(n->left_rank, rank_of(n->left));
			assert_int_equal(n->right_rank, rank_of(n->right));
			assert_true(up == NULL ||
			    up->key.time_ms <= n->key.time_ms);
			assert_true(n->left == NULL || n->left->parent == n);
			assert_true(n->right == NULL || n->right->parent == n);
			if (n->left != NULL) {
				n = n->left;
				continue;
			}
			if (n->right != NULL) {
				n = n->right;
				continue;
			}
		}
		is_down = up != NULL && n == up->left && up->right != NULL;
		n = is_down ? up->right : up;
	}
	return count;
}

static struct flow_key random_key(struct rng *rng)
{
	return (struct flow_key){ (int64_t)rng_below(rng, 40) - 20,
		rng_below(rng, 3), rng_below(rng, 3) };
}

static struct flow_key other_key(struct flow_node *n, void *data)
{
	struct rng *rng = data;

	return rng_below(rng, 2) == 0 ? n->key : random_key(rng);
}

/* Fills and empties in turn, from both ends of the random range. */
static void test_the_heap_stays_leftist(void **state)
{
	struct flow_node nodes[NODES];
	bool is_in[NODES] = { false };
	struct flow_heap h = { 0 };
	struct rng rng = { 9 };
	size_t n = 0;

	(void)state;
	for (uint32_t turn = 0; turn < 40000; turn++) {
		bool is_filling = turn / 2000 % 2 == 0;
		uint32_t i = rng_below(&rng, NODES);

		if (rng_below(&rng, 300) == 0)
			flow_heap_rekey(&h, other_key, &rng);
		if (!is_in[i] && is_filling) {
			flow_heap_insert(&h, &nodes[i], random_key(&rng));
			is_in[i] = true;
			n++;
		} else if (is_in[i] && rng_below(&rng, 2) == 0) {
			flow_heap_move(&h, &nodes[i], random_key(&rng));
		} else if (n > 0 && !is_filling) {
			i = is_in[i] ? i : (uint32_t)(h.first - nodes);
			flow_heap_remove(&h, &nodes[i]);
			is_in[i] = false;
			n--;
		}
		assert_int_equal(check_heap(&h), n);
	}
}

static struct flow_key same_key(struct flow_node *n, void *data)
{
	++*(size_t *)data;
	return n->key;
}

/* Each comes before all there are: one spine of them all, on the left. */
static void test_a_line_of_a_million_needs_no_deep_stack(void **state)
{
	enum { N = 1000000 };
	struct flow_node *nodes = calloc(N, sizeof(*nodes));
	struct flow_heap h = { 0 };
	size_t n_seen = 0;

	(void)state;
	for (int64_t i = 0; i < N; i++)
		flow_heap_insert(&h, &nodes[i],
		    (struct flow_key){ .time_ms = N - i });
	assert_int_equal(check_heap(&h), N);
	flow_heap_remove(&h, &nodes[0]);
	flow_heap_remove(&h, &nodes[N / 2]);
	assert_int_equal(check_heap(&h), N - 2);
	flow_heap_rekey(&h, same_key, &n_seen);
	assert_int_equal(n_seen, N - 2);
	assert_int_equal(check_heap(&h), N - 2);
	assert_ptr_equal(h.first, &nodes[N - 1]);
	free(nodes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_empty_queue_has_nobody),
		cmocka_unit_test(test_defaults_are_llm_ds),
		cmocka_unit_test(test_each_ordering_serves_in_its_order),
		cmocka_unit_test(
		    test_bands_are_strict_and_flows_as_they_are_told),
		cmocka_unit_test(test_who_gives_up_costs_its_flow_no_turn),
		cmocka_unit_test(test_a_flow_that_comes_again_comes_last),
		cmocka_unit_test(test_a_flow_served_out_of_turn_goes_behind),
		cmocka_unit_test(test_no_id_is_the_default_flow),
		cmocka_unit_test(test_a_flow_outlives_its_first_waiter),
		cmocka_unit_test(
		    test_expiry_is_told_in_its_order_and_not_before),
		cmocka_unit_test(test_a_renewal_reaches_all_and_their_order),
		cmocka_unit_test(test_limits_hold_to_the_byte),
		cmocka_unit_test(test_each_priority_finds_its_row),
		cmocka_unit_test(test_lower_limits_lose_nobody),
		cmocka_unit_test(test_other_policies_are_for_who_waits_too),
		cmocka_unit_test(test_any_short_history_is_the_models),
		cmocka_unit_test(test_any_long_history_is_the_models),
		cmocka_unit_test(test_backlogged_flows_are_served_alike),
		cmocka_unit_test(
		    test_ids_that_hash_alike_are_flows_of_their_own),
		cmocka_unit_test(test_a_million_flows_leave_nothing_behind),
		cmocka_unit_test(test_there_are_so_many_bands_and_no_more),
		cmocka_unit_test(test_without_memory_an_add_changes_nothing),
		cmocka_unit_test(test_the_heap_stays_leftist),
		cmocka_unit_test(test_a_line_of_a_million_needs_no_deep_stack),
	};

	return cmocka_run_group_tests_name("flow_queue", tests, NULL, NULL);
}
