/* Tokens are encoded by hand (RFC 4648 section 10 has the first ones). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>

#include "arena.h"
#include "conf.h"
#include "fault.h"
#include "help.h"
#include "pick.h"
#include "plugins/plugins.h"
#include "plugins/session.h"
#include "rng.h"
#include "yaml.h"

enum { N = 6 };

static struct help_pool pool;
static struct arena *arena;
static _Atomic uint64_t sessions[LIVE_SESSIONS];
static const uint32_t every_row[N] = { 0, 1, 2, 3, 4, 5 };
static const uint32_t no_unsettled[N];
static const uint16_t no_matched[N];

static const struct session_params *params_of(const char *yaml,
    struct fault *why)
{
	struct conf_input in = { "test", arena, why };
	const struct conf *root = yaml_parse("test", span_of(yaml),
	    &yaml_limits_default, arena, why);
	struct session_params *p = arena_zalloc(arena, session_table.size);

	assert_non_null(root);
	return conf_decode(&in, &session_table, root, p) == 0 ? p : NULL;
}

static const struct session_params *good(const char *yaml)
{
	struct fault why = { 0 };
	const struct session_params *p = params_of(yaml, &why);

	if (p == NULL)
		fail_msg("%s: %s", yaml, why.found);
	return p;
}

/* One request with one header; what it borrows lives as long as it. */
struct asked {
	char headers[1100];
	struct ask ask;
	struct request request;
	struct choice choice;
};

static const struct choice *ask_at(struct asked *a, const char *name,
    const char *value, int64_t now_ms)
{
	const char *const pairs[] = { name, value, NULL };

	a->ask = (struct ask){ .headers = help_headers(pairs, a->headers,
	    sizeof(a->headers)) };
	a->request = (struct request){ .ask = &a->ask, .has_body = true };
	a->choice = (struct choice){ .view = &pool.view,
		.request = &a->request, .rows = every_row, .n = N,
		.unsettled = no_unsettled, .matched = no_matched,
		.now_ms = now_ms };
	return &a->choice;
}

/* ---- encoded_endpoint_header ---- */

static const struct {
	const char *token;
	size_t want;		/* row; N: none */
} tokens[] = {
	{ "Zg==", 0 }, { "Zm8=", 1 }, { "Zm9v", 2 }, { "Zm9vYg==", 3 },
	{ "Zm9vYmE=", 4 }, { "Zm9vYmFy", 5 },
	{ "ZGVmYXVsdC9mb28=", 2 },		/* default/foo */
	{ "YS9iL2Zvb2I=", 3 },			/* a/b/foob */
	{ "ZGVmYXVsdC8=", N },			/* default/ */
	{ "L2Y=", 0 },				/* /f */
	{ "foo", 2 }, { "foob", 3 },		/* the second is base64, of no name */
	{ "default/foobar", 5 },
	{ "", N }, { "=", N }, { "==", N }, { "====", N }, { "Z", N },
	{ "Zg", N }, { "Zg=", N }, { "Zg===", N }, { "Z===", N },
	{ "Zm9=v", N }, { "=Zm9v", N }, { "Zm9v\n", N }, { " Zm9v", N },
	{ "Zm9v=", N }, { "zM9V", N }, { "FOO", N }, { "/", N }, { "foo/", N },
	{ "Zm9vAA==", N },			/* foo and a NUL */
	{ "czAx", N },				/* s01, which is not there */
};

static void name_endpoints(void)
{
	static const char *const names[N] = { "f", "fo", "foo", "foob", "fooba",
		"foobar" };

	for (size_t i = 0; i < N; i++)
		pool.endpoints[i].name = span_of(names[i]);
}

static void test_tokens_name_endpoints(void **state)
{
	const struct session_params *p = good("{}");
	struct asked a;

	(void)state;
	name_endpoints();
	for (size_t k = 0; k < sizeof(tokens) / sizeof(*tokens); k++) {
		const struct choice *c = ask_at(&a, "x-session-token",
		    tokens[k].token, 0);
		float scores[N];
		bool keep[N] = { 1, 1, 1, 1, 1, 1 };

		if (session_find(c, p) != tokens[k].want)
			fail_msg("%s", tokens[k].token);
		scorer_session_affinity.score(c, p, scores);
		filter_session_affinity.filter(c, p, keep);
		for (size_t i = 0; i < N; i++) {
			assert_true(scores[i] ==
			    (i == tokens[k].want ? 1.0f : 0.0f));
			assert_true(keep[i] == (i == tokens[k].want ||
			    tokens[k].want == N));
		}
	}
	assert_int_equal(session_find(ask_at(&a, "x-other", "Zm9v", 0), p), N);
}

static void test_the_header_may_be_another(void **state)
{
	const struct session_params *p = good(
	    "{encodedEndpointHeaderConfig: {header: X-My-Pod}}");
	struct asked a;

	(void)state;
	name_endpoints();
	assert_int_equal(session_find(ask_at(&a, "x-my-pod", "Zm9v", 0), p), 2);
	assert_int_equal(session_find(ask_at(&a, "x-session-token", "Zm9v", 0),
	    p), N);
}

static void test_who_is_no_candidate_is_not_invented(void **state)
{
	static const uint32_t some[] = { 5, 1 };
	const struct session_params *p = good("{}");
	struct asked a;

	(void)state;
	name_endpoints();
	ask_at(&a, "x-session-token", "Zm9v", 0);
	a.choice.rows = some;
	a.choice.n = 2;
	assert_int_equal(session_find(&a.choice, p), 2);
	ask_at(&a, "x-session-token", "Zm9vYmFy", 0);
	a.choice.rows = some;
	a.choice.n = 2;
	assert_int_equal(session_find(&a.choice, p), 0);
	a.choice.n = 0;
	assert_int_equal(session_find(&a.choice, p), 0);
}

/* Any bytes of any length: it names one of them or nobody. */
static void test_hostile_tokens_name_nobody_or_one(void **state)
{
	static const char letters[] = "Zm9vYmFy=/+A";
	const struct session_params *p = good("{}");
	struct rng rng = { 1 };
	struct asked a;
	unsigned n_found = 0;

	(void)state;
	name_endpoints();
	for (int round = 0; round < 20000; round++) {
		char token[1000];
		size_t len = rng_below(&rng, round % 100 == 0 ? 999 : 9);

		for (size_t i = 0; i < len; i++)
			token[i] = round % 2 == 0 ?
			    letters[rng_below(&rng, sizeof(letters) - 1)] :
			    (char)(1 + rng_below(&rng, 255));
		token[len] = '\0';
		size_t at = session_find(ask_at(&a, "x-session-token", token, 0),
		    p);

		assert_true(at <= N);
		n_found += at < N;
	}
	assert_true(n_found > 0);
	for (size_t len = 600; len < 1000; len++) {	/* base64 of a long name */
		char token[1000];

		memset(token, 'A', len);
		token[len] = '\0';
		assert_int_equal(session_find(ask_at(&a, "x-session-token",
		    token, 0), p), N);
	}
	for (size_t len = 0; len < 8; len++) {		/* no prefix of foobar's */
		char token[] = "Zm9vYmFy";
		static const size_t want[] = { N, N, N, N, 2, N, N, N };

		token[len] = '\0';
		assert_int_equal(session_find(ask_at(&a, "x-session-token",
		    token, 0), p), want[len]);
	}
}

/* ---- session_id ---- */

static const char by_id[] = "{strategy: session_id}";

static size_t find(const char *id, int64_t now_ms,
    const struct session_params *p)
{
	struct asked a;

	return session_find(ask_at(&a, "x-session-id", id, now_ms), p);
}

static void go(const char *id, size_t row, int64_t now_ms,
    const struct session_params *p)
{
	struct asked a;

	session_picked(ask_at(&a, "x-session-id", id, now_ms), p,
	    (uint32_t)row);
}

static void test_a_session_is_where_it_was(void **state)
{
	const struct session_params *p = good(by_id);
	bool keep[N] = { 1, 1, 1, 1, 1, 1 };
	struct asked a;

	(void)state;
	assert_int_equal(find("a", 0, p), N);
	filter_session_affinity.filter(ask_at(&a, "x-session-id", "a", 0), p,
	    keep);
	for (size_t i = 0; i < N; i++)
		assert_true(keep[i]);
	scorer_session_affinity.picked(&a.choice, p, 3);
	filter_session_affinity.picked(ask_at(&a, "x-session-id", "b", 0), p,
	    0);
	assert_int_equal(find("a", 0, p), 3);
	assert_int_equal(find("b", 0, p), 0);
	assert_int_equal(find("c", 0, p), N);
	assert_int_equal(find("A", 0, p), N);
	filter_session_affinity.filter(ask_at(&a, "x-session-id", "a", 0), p,
	    keep);
	for (size_t i = 0; i < N; i++)
		assert_true(keep[i] == (i == 3));
}

static void test_a_request_of_no_session_leaves_no_trace(void **state)
{
	static const uint64_t zeros[LIVE_SESSIONS];
	struct asked a;

	(void)state;
	session_picked(ask_at(&a, "x-other", "a", 0), good(by_id), 1);
	session_picked(ask_at(&a, "x-session-id", "", 0), good(by_id), 1);
	session_picked(ask_at(&a, "x-session-token", "Zg==", 0), good("{}"), 1);
	assert_memory_equal((void *)sessions, zeros, sizeof(zeros));
}

/* Steps of one session, in seconds; the TTL is 300. */
static void test_a_session_is_forgotten_when_it_is_not_used(void **state)
{
	const struct session_params *p = good(by_id);

	(void)state;
	for (int64_t from = 0; from < 3 * 65536; from += 4099) {
		int64_t ms = from * 1000 + 999;		/* over each end of 16 bits */

		memset((void *)sessions, 0, sizeof(sessions));
		go("a", 2, ms, p);
		assert_int_equal(find("a", ms - 59000, p), 2);	/* a late thread */
		assert_int_equal(find("a", ms + 300000, p), 2);
		assert_int_equal(find("a", ms + 301000, p), N);
		go("a", 2, ms + 299000, p);			/* used */
		assert_int_equal(find("a", ms + 599000, p), 2);
		assert_int_equal(find("a", ms + 600000, p), N);
		go("a", 4, ms + 600000, p);
		assert_int_equal(find("a", ms + 600000, p), 4);
	}
}

static void test_the_time_to_live_may_be_another(void **state)
{
	const struct session_params *p = good("{strategy: session_id, "
	    "sessionIdConfig: {evictionTtlSeconds: 1.5, "
	    "evictionSweepSeconds: 0.1}}");

	(void)state;
	go("a", 2, 5000, p);
	assert_int_equal(find("a", 6999, p), 2);
	assert_int_equal(find("a", 7000, p), N);
	p = good("{strategy: session_id, sessionIdConfig: "
	    "{evictionTtlSeconds: 30000}}");
	go("b", 2, 5000, p);
	assert_int_equal(find("b", 30005000, p), 2);
	assert_int_equal(find("b", 30006000, p), N);
}

/* Other scores may send one request elsewhere: it does not take the session along. */
static void test_a_session_moves_only_when_it_must(void **state)
{
	static const uint32_t without_2[] = { 5, 4, 3, 1, 0 };
	const struct session_params *p = good(by_id);
	struct asked a;

	(void)state;
	go("a", 2, 0, p);
	go("a", 4, 200000, p);
	assert_int_equal(find("a", 200000, p), 2);
	assert_int_equal(find("a", 301000, p), N);	/* nor was it used */
	go("a", 2, 0, p);
	ask_at(&a, "x-session-id", "a", 0);
	a.choice.rows = without_2;
	a.choice.n = N - 1;
	assert_int_equal(session_find(&a.choice, p), N - 1);
	session_picked(&a.choice, p, 1);		/* row 4 */
	assert_int_equal(find("a", 0, p), 4);
	assert_int_equal(session_find(&a.choice, p), 1);
}

static void test_the_pool_may_change(void **state)
{
	const struct session_params *p = good(by_id);
	struct endpoint e = pool.endpoints[1];
	struct endpoint_stats s = pool.stats[1];

	(void)state;
	go("a", 1, 0, p);
	go("b", 2, 0, p);
	/* Others join before it: its row is another, its slot is not. */
	pool.endpoints[1] = pool.endpoints[5];
	pool.stats[1] = pool.stats[5];
	pool.endpoints[5] = e;
	pool.stats[5] = s;
	assert_int_equal(find("a", 0, p), 5);
	assert_int_equal(find("b", 0, p), 2);
	/* It leaves, and its slot is another's: no session is inherited. */
	live_renew(&pool.live[1]);
	assert_int_equal(find("a", 0, p), N);
	assert_int_equal(find("b", 0, p), 2);
	go("a", 3, 0, p);
	assert_int_equal(find("a", 0, p), 3);
	/* Its slot is in no row at all. */
	pool.stats[2].slot = 60;
	assert_int_equal(find("b", 0, p), N);
}

static void test_sessions_come_from_the_first_source_that_has_one(void **state)
{
	static const char yaml[] = "{strategy: session_id, sessionIdConfig: "
	    "{sources: [{header: X-Mine}, {attribute: agent-identity, "
	    "producer: p}, {header: x-last}]}}";
	static const char *const names[] = { "x-mine",
		"x-claude-code-session-id", "x-session-affinity", "session-id",
		"session_id", "x-last" };
	const struct session_params *p = good(yaml);
	char block[1000];
	struct asked a;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		session_picked(ask_at(&a, names[i], names[i], 0), p,
		    (uint32_t)i);
		assert_int_equal(session_find(&a.choice, p), i);
	}
	assert_int_equal(session_find(ask_at(&a, "x-session-id", "x-mine", 0),
	    p), N);
	for (size_t i = 0; i < N; i++) {	/* all from i on, last first */
		const char *pairs[2 * N + 3] = { "x-mine", "" };
		size_t n = 2;

		for (size_t k = N; k-- > i;) {
			pairs[n++] = names[k];
			pairs[n++] = names[k];
		}
		a.ask.headers = help_headers(pairs + (i == 0 ? 2 : 0), block,
		    sizeof(block));
		assert_int_equal(session_find(&a.choice, p), i);
	}
}

static void test_profiles_keep_their_sessions_apart(void **state)
{
	const struct session_params *decode = good(by_id);
	const struct session_params *prefill = good(
	    "{strategy: session_id, profileName: prefill}");

	(void)state;
	go("a", 1, 0, decode);
	assert_int_equal(find("a", 0, prefill), N);
	go("a", 2, 0, prefill);
	assert_int_equal(find("a", 0, decode), 1);
	assert_int_equal(find("a", 0, prefill), 2);
}

static void test_without_memory_there_are_no_sessions(void **state)
{
	const struct session_params *p = good(by_id);

	(void)state;
	pool.pool_live.sessions = NULL;
	go("a", 1, 0, p);
	assert_int_equal(find("a", 0, p), N);
	pool.view.pool_live = NULL;
	go("a", 1, 0, p);
	assert_int_equal(find("a", 0, p), N);
}

/* ---- a full table ---- */

static void put_number(char *id, size_t n)
{
	snprintf(id, 32, "session-%zu", n);
}

static void test_many_sessions_are_all_remembered(void **state)
{
	enum { MANY = LIVE_SESSIONS / 8 };
	const struct session_params *p = good(by_id);
	size_t n_lost = 0, n_wrong = 0;
	char id[32];

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		put_number(id, i);
		go(id, i % N, 0, p);
	}
	for (size_t i = 0; i < MANY; i++) {
		put_number(id, i);
		size_t at = find(id, 0, p);

		n_lost += at == N;
		n_wrong += at != N && at != i % N;
	}
	/* One a set of 8 on average; nine in one set are one in a million. */
	assert_true(n_lost <= 2);
	assert_true(n_wrong <= 1);
}

/* However many come: who keeps coming is not the one that is longest unused. */
static void test_a_flood_does_not_wash_a_busy_session_away(void **state)
{
	enum { FLOOD = 2 * LIVE_SESSIONS };
	const struct session_params *p = good(by_id);
	char id[32];

	(void)state;
	go("mine", 4, 0, p);
	for (size_t i = 0; i < FLOOD; i++) {
		int64_t now_ms = (int64_t)i / 2;	/* 2000 a second */

		put_number(id, i);
		go(id, i % N, now_ms, p);
		if (find(id, now_ms, p) != i % N)	/* a newcomer has a place */
			fail_msg("no place for %zu", i);
		if (i % 2000 != 0)
			continue;
		if (find("mine", now_ms, p) != 4)
			fail_msg("lost behind %zu", i);
		go("mine", 4, now_ms, p);
	}
	for (size_t i = 0; i < 1000; i++) {	/* who never came has none */
		put_number(id, FLOOD + i);
		assert_int_equal(find(id, FLOOD / 2, p), N);
	}
}

/* Whatever stands in the table, nobody is sent where no candidate is. */
static void test_any_word_in_the_table_is_harmless(void **state)
{
	const struct session_params *p = good(by_id);
	struct rng rng = { 7 };
	unsigned n_found = 0;
	char id[32];

	(void)state;
	for (size_t i = 0; i < LIVE_SESSIONS; i++)
		sessions[i] = rng_next(&rng);
	for (size_t i = 0; i < 20000; i++) {
		put_number(id, i);
		assert_true(find(id, (int64_t)rng_next(&rng) >> 20, p) <= N);
		go(id, i % N, 0, p);
		n_found += find(id, 0, p) == i % N;
	}
	assert_true(n_found > 19000);	/* it is in order again */
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 3000, FEW = 16 };

struct crowd {
	const struct session_params *params;
	size_t index;
	uintptr_t n_lost;
};

/* All at the same few sessions, each at a time of its own, and at many others. */
static void *crowd_main(void *arg)
{
	struct crowd *c = arg;
	char id[32];

	for (size_t i = 0; i < ROUNDS; i++) {
		int64_t now_ms = (int64_t)i * 10;	/* 30 s apart at most */

		put_number(id, i % FEW);
		c->n_lost += find(id, now_ms, c->params) != i % FEW % N;
		go(id, i % FEW % N, now_ms, c->params);
		put_number(id, FEW + c->index * ROUNDS + i);
		go(id, i % N, now_ms, c->params);
	}
	return NULL;
}

static void test_no_session_is_lost_among_threads(void **state)
{
	const struct session_params *p = good(by_id);
	struct crowd crowds[THREADS];
	pthread_t threads[THREADS];
	char id[32];

	(void)state;
	for (size_t i = 0; i < FEW; i++) {
		put_number(id, i);
		go(id, i % N, 0, p);
	}
	for (size_t i = 0; i < THREADS; i++) {
		crowds[i] = (struct crowd){ p, i, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_main,
			&crowds[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(crowds[i].n_lost, 0);
}

struct first {
	const struct session_params *params;
	pthread_barrier_t *barrier;
	size_t row;
};

static void *first_main(void *arg)
{
	struct first *f = arg;
	char id[32];

	for (size_t i = 0; i < 500; i++) {
		put_number(id, i);
		pthread_barrier_wait(f->barrier);
		go(id, f->row, 0, f->params);
	}
	return NULL;
}

/* Of several first requests at once one decides, and none after it. */
static void test_the_first_of_several_at_once_decides(void **state)
{
	const struct session_params *p = good(by_id);
	struct first firsts[THREADS];
	pthread_t threads[THREADS];
	pthread_barrier_t barrier;
	char id[32];

	(void)state;
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (size_t i = 0; i < THREADS; i++) {
		firsts[i] = (struct first){ p, &barrier, i };
		assert_int_equal(pthread_create(&threads[i], NULL, first_main,
			&firsts[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
	for (size_t i = 0; i < 500; i++) {
		size_t n_words = 0;

		put_number(id, i);
		assert_true(find(id, 0, p) < THREADS);
		for (size_t k = 0; i == 0 && k < LIVE_SESSIONS; k++)
			n_words += sessions[k] != 0;
		if (i == 0)			/* one word each, not four */
			assert_in_range(n_words, 495, 500);
	}
}

/* ---- within a pick ---- */

static size_t pick_row(const char *id, const struct session_params *p,
    const struct profile *profile, struct rng *rng)
{
	struct asked a;
	struct pick got;

	(void)p;
	ask_at(&a, "x-session-id", id, 0);
	help_pool_profile(&pool, profile);
	pick_endpoint(&got, &pool.view, &a.request, rng, arena);
	arena_reset(arena);
	return (size_t)(got.choices[0] - pool.endpoints);
}

static void test_picks_of_a_session_stay_together(void **state)
{
	struct arena *keeps = arena;
	const struct session_params *p = good(by_id);
	const struct used_filter filters[] = { { &filter_session_affinity, p } };
	const struct weighted_scorer scorers[] = {
		{ &scorer_queue, 1, NULL },
		{ &scorer_session_affinity, 2, p } };
	const struct profile profiles[] = {
		{ .name = "filter", .filters = filters, .n_filters = 1,
		  .scorers = scorers, .n_scorers = 1,
		  .picker = &picker_max_score },
		{ .name = "scorer", .scorers = scorers, .n_scorers = 2,
		  .picker = &picker_max_score },
	};
	struct rng rng = { 1 };
	char id[32];

	(void)state;
	arena = arena_new(64 << 10, 1 << 20);
	assert_non_null(arena);
	for (size_t k = 0; k < 2; k++) {
		size_t at[FEW];

		memset((void *)sessions, 0, sizeof(sessions));
		for (size_t i = 0; i < 10 * FEW; i++) {
			put_number(id, i % FEW);
			size_t row = pick_row(id, p, &profiles[k], &rng);

			if (i < FEW)
				at[i] = row;
			assert_int_equal(row, at[i % FEW]);
		}
		/* Where it was is down: elsewhere, and it stays there. */
		put_number(id, 0);
		pool.stats[at[0]].health = ENDPOINT_DOWN;
		size_t next = pick_row(id, p, &profiles[k], &rng);

		assert_true(next < N && next != at[0]);
		pool.stats[at[0]].health = ENDPOINT_FRESH;
		assert_int_equal(pick_row(id, p, &profiles[k], &rng), next);
	}
	arena_free(arena);
	arena = keeps;
}

/* ---- parameters ---- */

static const struct {
	const char *yaml;
	const char *found, *want;	/* NULL: fine */
} params[] = {
	{ "{}", NULL, NULL },
	{ "{strategy: encoded_endpoint_header, profileName: decode, "
	  "encodedEndpointHeaderConfig: {header: h}, sessionIdConfig: "
	  "{sources: [{header: a}]}}", NULL, NULL },
	{ "{strategy: session-id}", "strategy: session-id", "session_id" },
	{ "{strategy: cookie}", "strategy: cookie", "one of" },
	{ "{header: x}", "unknown key header", "" },
	{ "{encodedEndpointHeaderConfig: {headr: x}}", "unknown key headr",
	  "header" },
	{ "{encodedEndpointHeaderConfig: x}", "encodedEndpointHeaderConfig: x",
	  "a map" },
	{ "{sessionIdConfig: {ttl: 5}}", "unknown key ttl", "" },
	{ "{sessionIdConfig: {evictionTtlSeconds: 0}}",
	  "evictionTtlSeconds: 0", "from 1 to 30000" },
	{ "{sessionIdConfig: {evictionTtlSeconds: 30001}}",
	  "evictionTtlSeconds: 30001", "from 1 to 30000" },
	{ "{sessionIdConfig: {sources: []}}", NULL, NULL },
	{ "{sessionIdConfig: {sources: [{}]}}", "with neither, or both",
	  "header or attribute" },
	{ "{sessionIdConfig: {sources: [{header: a, attribute: b}]}}",
	  "with neither, or both", "header or attribute" },
	{ "{sessionIdConfig: {sources: [{attribute: session-id}]}}",
	  "attribute: session-id", "agent-identity" },
};

static void test_parameters_are_checked(void **state)
{
	const struct session_params *p = good("{}");

	(void)state;
	assert_int_equal(p->strategy, SESSION_TOKEN);
	assert_string_equal(p->token_header, "x-session-token");
	assert_int_equal(p->n_sources, 0);
	assert_true(p->ttl_s == 300);
	assert_ptr_equal(scorer_session_affinity.params, &session_table);
	assert_ptr_equal(filter_session_affinity.params, &session_table);
	for (size_t k = 0; k < sizeof(params) / sizeof(*params); k++) {
		struct fault why = { 0 };
		bool is_fine = params_of(params[k].yaml, &why) != NULL;

		if (is_fine != (params[k].found == NULL) || (!is_fine &&
			(strstr(why.found, params[k].found) == NULL ||
			strstr(why.want, params[k].want) == NULL)))
			fail_msg("row %zu: %s: want %s", k, why.found, why.want);
	}
}

static int setup(void **state)
{
	(void)state;
	arena = arena_new(64 << 10, 16 << 20);
	memset((void *)sessions, 0, sizeof(sessions));
	help_pool_init(&pool, "pool", N);
	pool.pool_live.sessions = sessions;
	return arena == NULL;
}

static int teardown(void **state)
{
	(void)state;
	help_pool_fini(&pool);
	arena_free(arena);
	return 0;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_tokens_name_endpoints),
		unit(test_the_header_may_be_another),
		unit(test_who_is_no_candidate_is_not_invented),
		unit(test_hostile_tokens_name_nobody_or_one),
		unit(test_a_session_is_where_it_was),
		unit(test_a_request_of_no_session_leaves_no_trace),
		unit(test_a_session_is_forgotten_when_it_is_not_used),
		unit(test_the_time_to_live_may_be_another),
		unit(test_a_session_moves_only_when_it_must),
		unit(test_the_pool_may_change),
		unit(test_sessions_come_from_the_first_source_that_has_one),
		unit(test_profiles_keep_their_sessions_apart),
		unit(test_without_memory_there_are_no_sessions),
		unit(test_many_sessions_are_all_remembered),
		unit(test_a_flood_does_not_wash_a_busy_session_away),
		unit(test_any_word_in_the_table_is_harmless),
		unit(test_no_session_is_lost_among_threads),
		unit(test_the_first_of_several_at_once_decides),
		unit(test_picks_of_a_session_stay_together),
		unit(test_parameters_are_checked),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
