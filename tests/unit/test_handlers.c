/*
 * Profile handlers as a document asks for them, run by the picker; expected numbers are
 * worked out by hand from the formulas on top of each handler and decider. Roles are a
 * letter per endpoint: d decodes, p prefills, e encodes, b decodes and prefills.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "entries.h"
#include "fault.h"
#include "help.h"
#include "options.h"
#include "outlier.h"
#include "pick.h"
#include "plugins/plugins.h"
#include "prefix.h"
#include "rng.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { ROUNDS = 2000 };
#else
enum { ROUNDS = 20000 };
#endif

enum { N_MAX = 8, LABELS_MAX = 2, THREADS = 4 };

#define HEAD "pools:\n- name: pool\n  file: /f\n  scheduling:\n" \
	"    apiVersion: llm-d.ai/v1alpha1\n    kind: EndpointPickerConfig\n"

/* llm-d's guide for P/D: see tests/presets too. */
#define PD_PLUGINS "    - {type: queue-scorer}\n    - {type: prefill-filter}\n" \
	"    - {type: decode-filter}\n    - {type: encode-filter}\n" \
	"    - {type: topology-affinity-filter}\n" \
	"    - {type: always-disagg-pd-decider}\n" \
	"    - {type: always-disagg-multimodal-decider}\n" \
	"    - {type: prefix-based-pd-decider, parameters: {nonCachedTokens: 48}}\n"
#define PD_PROFILES "    schedulingProfiles:\n" \
	"    - name: prefill\n      plugins: [{pluginRef: prefill-filter}," \
	" {pluginRef: topology-affinity-filter}, {pluginRef: queue-scorer}]\n" \
	"    - name: decode\n      plugins: [{pluginRef: decode-filter}," \
	" {pluginRef: topology-affinity-filter}, {pluginRef: queue-scorer}]\n" \
	"    - name: encode\n      plugins: [{pluginRef: encode-filter}]\n"
#define PD(handler) HEAD "    plugins:\n" PD_PLUGINS "    - " handler "\n" \
	PD_PROFILES
#define DISAGG(params) PD("{type: disagg-profile-handler, parameters: " \
	params "}")

#define BLOCK64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
/* Four blocks of 64 bytes: 64 tokens. */
#define PROMPT4 "a" BLOCK64 "b" BLOCK64 "c" BLOCK64 "d" BLOCK64

static struct help_pool pool;
static struct entries *entries;
static struct label labels[N_MAX][LABELS_MAX];
static struct options *options;
static struct arena *arena;
static struct rng rng;
static struct ask ask;
static char header_block[512];

/* ---- how it is made ---- */

static void label(size_t i, const char *key, const char *value)
{
	struct endpoint *e = &pool.endpoints[i];

	assert_true(e->n_labels < LABELS_MAX);
	labels[i][e->n_labels++] = (struct label){ key, value };
	e->labels = labels[i];
}

static void use(const char *text)
{
	struct fault why = { 0 };
	char said[512];

	options_free(options);
	options = options_parse("f", span_of(text), &why);
	if (options == NULL)
		fail_msg("%s", fault_text(&why, said, sizeof(said)));
	pool.view.schedule = options->pools[0].schedule;
}

static void make(const char *text, const char *roles)
{
	static const char *const names[128] = { ['d'] = "decode",
		['p'] = "prefill", ['e'] = "encode", ['b'] = "both" };

	help_pool_fini(&pool);
	help_pool_init(&pool, "pool", strlen(roles));
	arena_reset(arena);
	for (size_t i = 0; roles[i] != '\0'; i++)
		if (names[(int)roles[i]] != NULL)
			label(i, "llm-d.ai/role", names[(int)roles[i]]);
	use(text);
}

static struct request request_of(const char *path, const char *body,
    const char *const *headers)
{
	struct request r;

	ask = help_ask(path, body);
	if (headers != NULL)
		ask.headers = help_headers(headers, header_block,
		    sizeof(header_block));
	request_parse(&r, &ask, HELP_BLOCK_BYTES, 2048, NULL, arena);
	assert_int_equal(r.status, 0);
	return r;
}

static struct request prompt4(void)
{
	return request_of("/v1/completions",
	    "{\"model\":\"m\",\"prompt\":\"" PROMPT4 "\"}", NULL);
}

static struct pick pick(const struct request *r)
{
	struct pick out;

	pick_endpoint(&out, &pool.view, r, &rng, arena);
	return out;
}

static int row_of(const struct endpoint *e)
{
	return e != NULL ? (int)(e - pool.endpoints) : -1;
}

static uint32_t requests(size_t row)
{
	return live_count_get(&pool.live[row].requests);
}

static uint32_t tokens(size_t row)
{
	return live_count_get(&pool.live[row].tokens);
}

/* ---- disaggregated ---- */

static const struct {
	const char *handler, *roles;
	int primary, prefill;		/* rows; -1: nobody */
	int status;
} stages[] = {
	/* Queues of rows 0 to 7 grow: the first of a role is its best. */
	{ DISAGG("{deciders: {prefill: always-disagg-pd-decider}}"), "pddp",
	    1, 0, 0 },
	{ DISAGG("{deciders: {prefill: always-disagg-pd-decider}}"), "bp",
	    0, 0, 0 },		/* one that does both may do both: 0 has no queue */
	{ DISAGG("{deciders: {prefill: always-disagg-pd-decider}}"), "ee",
	    -1, -1, 429 },
	/* Nobody prefills: the decoding one does. */
	{ DISAGG("{deciders: {prefill: always-disagg-pd-decider}}"), "dd",
	    0, -1, 0 },
	/* Nobody decodes: refused, whoever was picked before. */
	{ DISAGG("{deciders: {prefill: always-disagg-pd-decider}}"), "pp",
	    -1, -1, 429 },
	{ DISAGG("{stageOrder: prefill-first}"), "pp", -1, -1, 429 },
	/* No decider: decode only; but not prefill-first. */
	{ DISAGG("{}"), "dp", 0, -1, 0 },
	{ DISAGG("{stageOrder: prefill-first}"), "dp", 0, 1, 0 },
	{ DISAGG("{stageOrder: prefill-first}"), "d", 0, -1, 0 },
	/* The older words for the same. */
	{ DISAGG("{prefillDeciderPluginName: always-disagg-pd-decider}"), "dp",
	    0, 1, 0 },
	{ DISAGG("{deciderPluginName: always-disagg-pd-decider}"), "dp",
	    0, 1, 0 },
	{ PD("{type: pd-profile-handler, parameters: {deciderPluginName:"
	    " always-disagg-pd-decider}}"), "dp", 0, 1, 0 },
	{ PD("{type: pd-profile-handler}"), "dp", 0, 1, 0 },	/* 64 >= 48 */
	/* Profiles may be called otherwise, even each other's name. */
	{ DISAGG("{profiles: {decode: prefill, prefill: decode},"
	    " deciders: {prefill: always-disagg-pd-decider}}"), "dp", 1, 0, 0 },
	/* One that nobody defined never runs. */
	{ DISAGG("{profiles: {prefill: nobody},"
	    " deciders: {prefill: always-disagg-pd-decider}}"), "dp",
	    0, -1, 0 },
};

static void test_stages_are_run_as_the_handler_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(stages) / sizeof(*stages); i++) {
		struct request r;
		struct pick got;

		make(stages[i].handler, stages[i].roles);
		for (uint32_t k = 0; k < pool.view.n_endpoints; k++)
			pool.stats[k].queued = 2 * k;
		r = prompt4();
		got = pick(&r);
		if (got.status != stages[i].status ||
		    row_of(got.n > 0 ? got.choices[0] : NULL) !=
			stages[i].primary ||
		    row_of(got.prefill) != stages[i].prefill)
			fail_msg("%zu: status %d, row %d, prefill %d", i,
			    got.status, row_of(got.n > 0 ? got.choices[0] :
				NULL), row_of(got.prefill));
		for (size_t k = 0; k < pool.view.n_endpoints; k++) {
			int mine = (int)k == stages[i].primary;
			int help = (int)k == stages[i].prefill;

			assert_int_equal(requests(k), mine + help);
			assert_int_equal(tokens(k), (mine + help) * 64);
		}
		pick_undo(&got);
		for (size_t k = 0; k < pool.view.n_endpoints; k++)
			assert_int_equal(requests(k) + tokens(k), 0);
	}
}

/* Row 0 decodes, row 1 prefills; 64 tokens of prompt, 16 a block. */
static const struct {
	uint32_t non_cached, prompt;	/* of the decider */
	uint32_t held;			/* blocks, by row 0 */
	bool prefills;
} deciders[] = {
	{ 0, 0, 0, false },	/* 0 is off */
	{ 1, 0, 0, true },
	{ 64, 0, 0, true },	/* 64 - 0 >= 64 */
	{ 65, 0, 0, false },
	{ 64, 0, 1, false },	/* 64 - 16 = 48 */
	{ 48, 0, 1, true },
	{ 49, 0, 1, false },
	{ 16, 0, 3, true },	/* 64 - 48 = 16 */
	{ 17, 0, 3, false },
	{ 1, 0, 4, false },	/* all held: 0 */
	{ 1, 64, 0, true },
	{ 1, 65, 0, false },	/* too short to think of */
	{ 4294967295u, 0, 0, false },
	{ 1, 4294967295u, 0, false },
};

static void use_decider(uint32_t non_cached, uint32_t prompt, const char *roles)
{
	char text[4096];

	snprintf(text, sizeof(text), HEAD "    plugins:\n" PD_PLUGINS
	    "    - {type: prefix-based-pd-decider, name: mine, parameters: "
	    "{nonCachedTokens: %u, promptTokens: %u}}\n"
	    "    - {type: disagg-profile-handler, parameters: {deciders: "
	    "{prefill: mine}}}\n" PD_PROFILES, non_cached, prompt);
	make(text, roles);
}

static void test_a_prefill_is_worth_it_as_the_formula_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(deciders) / sizeof(*deciders); i++) {
		struct request r;
		struct pick got;

		use_decider(deciders[i].non_cached, deciders[i].prompt, "dp");
		r = prompt4();
		prefix_insert(pool.view.prefix, 0, r.blocks,
		    deciders[i].held, 0);
		got = pick(&r);
		if ((got.prefill != NULL) != deciders[i].prefills)
			fail_msg("%zu: %d", i, got.prefill != NULL);
		assert_int_equal(row_of(got.choices[0]), 0);
	}
}

/* 61 bytes are 16 tokens, the last of one byte; what was cut off counts too. */
static const struct {
	uint32_t non_cached;
	uint64_t unseen;
	bool prefills;
} lengths[] = {
	{ 16, 0, true }, { 17, 0, false }, { 17, 3, false }, { 17, 4, true },
};

static void test_the_last_token_and_the_unseen_count(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		struct request r;

		use_decider(lengths[i].non_cached, 0, "dp");
		r = request_of("/v1/completions", "{\"model\":\"m\",\"prompt\":"
		    "\"0123456789012345678901234567890123456789"
		    "012345678901234567890\"}", NULL);
		assert_int_equal(r.prompt_bytes, 61);
		r.unseen_bytes = lengths[i].unseen;
		assert_int_equal(pick(&r).prefill != NULL,
		    lengths[i].prefills);
	}
}

static void test_who_prefills_has_the_prompt_from_then_on(void **state)
{
	struct request r;
	struct pick got;

	(void)state;
	make(DISAGG("{deciders: {prefill: always-disagg-pd-decider}}"), "dpe");
	r = prompt4();
	got = pick(&r);
	assert_int_equal(row_of(got.prefill), 1);
	assert_int_equal(prefix_count(pool.view.prefix, 0), 4);
	assert_int_equal(prefix_count(pool.view.prefix, 1), 4);
	assert_int_equal(prefix_count(pool.view.prefix, 2), 0);
	/* So the next one finds nothing to prefill there, nor here. */
	pick(&r);
	assert_int_equal(tokens(0), 64);
	assert_int_equal(tokens(1), 64);
	assert_int_equal(requests(0), 2);
	assert_int_equal(requests(1), 2);
}

/* ---- near each other ---- */

static const struct {
	const char *handler;
	const char *hosts;	/* of rows: d d p p */
	int primary, prefill;
} peers[] = {
	/* Rows 0 and 2 have no queue: best, were they not far apart. */
	{ DISAGG("{deciders: {prefill: always-disagg-pd-decider}}"), "abba",
	    0, 3 },
	{ DISAGG("{stageOrder: prefill-first}"), "abba", 1, 2 },
	/* Nobody near: anybody. */
	{ DISAGG("{deciders: {prefill: always-disagg-pd-decider}}"), "abcc",
	    0, 2 },
};

static void test_the_later_stage_is_near_the_earlier_one(void **state)
{
	static const char *const names[128] = { ['a'] = "a", ['b'] = "b",
		['c'] = "c" };

	(void)state;
	for (size_t i = 0; i < sizeof(peers) / sizeof(*peers); i++) {
		struct request r;
		struct pick got;

		make(peers[i].handler, "ddpp");
		for (size_t k = 0; k < 4; k++) {
			pool.stats[k].queued = k % 2 == 1;
			label(k, "kubernetes.io/hostname",
			    names[(int)peers[i].hosts[k]]);
		}
		r = prompt4();
		got = pick(&r);
		assert_int_equal(row_of(got.choices[0]), peers[i].primary);
		assert_int_equal(row_of(got.prefill), peers[i].prefill);
	}
}

/* ---- encode ---- */

#define CHAT(part) "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"," \
	"\"content\":[{\"type\":\"text\",\"text\":\"see\"}," part "]}]}"

static const struct {
	const char *path, *body;
	bool encodes;
} media[] = {
	{ "/v1/chat/completions", CHAT("{\"type\":\"image_url\","
	    "\"image_url\":{\"url\":\"http://h/a.png\"}}"), true },
	{ "/v1/chat/completions", CHAT("{\"video_url\":{\"url\":\"u\"},"
	    "\"type\":\"video_url\"}"), true },
	{ "/v1/chat/completions", CHAT("{\"type\":\"input_audio\","
	    "\"input_audio\":{\"data\":\"AA\",\"format\":\"wav\"}}"), true },
	{ "/v1/messages", CHAT("{\"type\":\"image\",\"source\":{"
	    "\"type\":\"base64\",\"data\":\"AA\"}}"), true },
	{ "/v1/responses", "{\"model\":\"m\",\"input\":[{\"role\":\"user\","
	    "\"content\":[{\"type\":\"input_image\",\"image_url\":\"u\"}]}]}",
	    true },
	{ "/v1/chat/completions", CHAT("{\"type\":\"text\","
	    "\"text\":\"image_url\"}"), false },
	{ "/v1/chat/completions", CHAT("{\"type\":[\"image_url\"]}"), false },
	{ "/v1/completions", "{\"model\":\"m\",\"prompt\":\"p\","
	    "\"type\":\"image_url\"}", false },
	/* Of a key that is there twice the last counts. */
	{ "/v1/chat/completions", "{\"model\":\"m\",\"messages\":[{\"role\":"
	    "\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
	    "{\"url\":\"u\"}}]}],\"messages\":[{\"role\":\"user\","
	    "\"content\":\"no\"}]}", false },
};

static void test_what_has_pictures_is_encoded(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(media) / sizeof(*media); i++) {
		struct request r;
		struct pick got;

		make(DISAGG("{deciders: {prefill: always-disagg-pd-decider,"
		    " encode: always-disagg-multimodal-decider}}"), "dpee");
		r = request_of(media[i].path, media[i].body, NULL);
		got = pick(&r);
		if (got.n_encode != media[i].encodes)
			fail_msg("%s: %zu encode", media[i].body, got.n_encode);
		assert_int_equal(row_of(got.choices[0]), 0);
		assert_int_equal(row_of(got.prefill), 1);
		assert_int_equal(requests(2) + requests(3), media[i].encodes);
		pick_undo(&got);
		assert_int_equal(requests(2) + requests(3), 0);
	}
}

/* One, unless the picker says more; a request is on the first one's counts. */
static void test_as_many_encode_as_the_picker_says(void **state)
{
	static const struct {
		const char *picker;
		size_t n;
	} pickers[] = {
		{ "{type: max-score-picker}", 1 },
		{ "{type: max-score-picker, parameters: {maxNumOfEndpoints: 3}}",
		    3 },
		{ "{type: random-picker, parameters: {maxNumOfEndpoints: 9}}",
		    PICK_CHOICES_MAX },
		{ "{type: weighted-random-picker, parameters:"
		    " {maxNumOfEndpoints: 2}}", 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pickers) / sizeof(*pickers); i++) {
		char text[4096];
		struct request r;
		struct pick got;

		snprintf(text, sizeof(text), HEAD "    plugins:\n" PD_PLUGINS
		    "    - %s\n    - {type: disagg-profile-handler, parameters:"
		    " {deciders: {encode: always-disagg-multimodal-decider}}}\n"
		    PD_PROFILES, pickers[i].picker);
		make(text, "deeeeee");
		r = request_of("/v1/chat/completions", media[0].body, NULL);
		got = pick(&r);
		assert_int_equal(got.n_encode, pickers[i].n);
		for (size_t k = 0; k < got.n_encode; k++) {
			assert_in_range(row_of(got.encode[k]), 1, 6);
			assert_int_equal(requests((size_t)row_of(
			    got.encode[k])), k == 0);
		}
	}
}

/* ---- by header ---- */

#define HEADER(params) PD("{type: header-profile-handler" params "}")

static const struct {
	const char *handler;
	const char *name, *value;
	int row;			/* of "dpe"; -1: 400 */
} named[] = {
	{ HEADER(""), "epp-profile", "prefill", 1 },
	{ HEADER(""), "EPP-Profile", " encode\t", 2 },
	{ HEADER(""), "EPP-Profile", "decode", 0 },
	{ HEADER(""), "EPP-Profile", "", 0 },
	{ HEADER(""), "EPP-Profile", "  ", 0 },
	{ HEADER(""), "X-Other", "prefill", 0 },
	{ HEADER(""), "EPP-Profile", "Prefill", -1 },
	{ HEADER(""), "EPP-Profile", "prefil", -1 },
	{ HEADER(", parameters: {headerName: X-Stage, defaultProfile: encode}"),
	    "x-stage", "prefill", 1 },
	{ HEADER(", parameters: {headerName: X-Stage, defaultProfile: encode}"),
	    "EPP-Profile", "prefill", 2 },
};

static void test_a_header_names_the_profile(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(named) / sizeof(*named); i++) {
		const char *const headers[] = { named[i].name, named[i].value,
			NULL };
		struct request r;
		struct pick got;

		make(named[i].handler, "dpe");
		r = request_of("/v1/completions",
		    "{\"model\":\"m\",\"prompt\":\"p\"}", headers);
		got = pick(&r);
		assert_int_equal(got.status, named[i].row < 0 ? 400 : 0);
		if (named[i].row < 0) {
			assert_non_null(got.message);
			assert_int_equal(help_picked(&pool), 0);
			continue;
		}
		assert_int_equal(row_of(got.choices[0]), named[i].row);
		assert_null(got.prefill);
	}
}

static void test_of_one_profile_there_is_nothing_to_choose(void **state)
{
	const char *const headers[] = { "EPP-Profile", "whatever", NULL };
	struct request r;

	(void)state;
	make(HEAD "    plugins:\n    - {type: prefill-filter}\n"
	    "    - {type: header-profile-handler}\n    schedulingProfiles:\n"
	    "    - {name: mine, plugins: [{pluginRef: prefill-filter}]}\n", "dp");
	r = request_of("/v1/completions", "{\"model\":\"m\",\"prompt\":\"p\"}",
	    headers);
	assert_int_equal(row_of(pick(&r).choices[0]), 1);
}

/* ---- ranks ---- */

#define PARALLEL HEAD "    plugins:\n    - {type: queue-scorer}\n" \
	"    - {type: data-parallel-profile-handler, parameters:" \
	" {primaryPort: 8000}}\n"

/* Addresses of four endpoints; queues are 3, 2, 1, 0, so the last is the best. */
static const struct {
	const char *addrs[4];
	int primary, rank, second;	/* rows; -1: none */
} ranks[] = {
	{ { "10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.1:8001", "10.0.0.1:8002" },
	    0, 3, 1 },		/* 3, 2, 1, 0 of .1, .1, .2, .1: .1 once */
	{ { "10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.3:8000", "10.0.0.4:8000" },
	    3, 3, 2 },		/* it is the one that forwards */
	{ { "10.0.0.1:8000", "10.0.0.1:8001", "10.0.0.3:8001", "10.0.0.2:8002" },
	    3, -1, 2 },		/* nobody forwards to .2 */
	{ { "[fd00::1]:8000", "[fd00::1]:80", "[fd00::1:8000]:1",
	    "[fd00::1]:8002" }, 0, 3, 2 },
	{ { "110.0.0.1:8000", "10.0.0.1:18000", "10.0.0.1:800",
	    "10.0.0.1:8002" }, 3, -1, 2 },
};

/* As a pool does it when the set has changed. */
static void know_entries(void)
{
	const struct schedule *s = pool.view.schedule;

	free(entries);
	entries = entries_new(pool.endpoints, pool.view.n_endpoints,
	    s->handler->entry_port(s->params));
	assert_non_null(entries);
	pool.view.entries = entries;
}

static void test_a_rank_is_reached_by_who_forwards_to_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ranks) / sizeof(*ranks); i++) {
		struct request r;
		struct pick got;

		make(PARALLEL, "dddd");
		for (size_t k = 0; k < 4; k++) {
			pool.endpoints[k].addr = span_of(ranks[i].addrs[k]);
			pool.stats[k].queued = (uint32_t)(3 - k);
		}
		know_entries();
		r = prompt4();
		got = pick(&r);
		assert_int_equal(row_of(got.choices[0]), ranks[i].primary);
		assert_int_equal(row_of(got.rank), ranks[i].rank);
		assert_true(got.n > 1);
		assert_int_equal(row_of(got.choices[1]), ranks[i].second);
		/* Counted where it runs. */
		assert_ptr_equal(got.live, &pool.live[3]);
		assert_int_equal(requests(3), 1);
		assert_ptr_equal(got.entry, ranks[i].primary == 3 ? NULL :
		    &pool.live[ranks[i].primary]);
	}
}

static void test_the_elder_handler_knows_ranks_too(void **state)
{
	struct request r;
	struct pick got;

	(void)state;
	make(PD("{type: pd-profile-handler, parameters: {primaryPort: 8000,"
	    " deciderPluginName: always-disagg-pd-decider}}"), "ddp");
	pool.stats[0].queued = 1;
	pool.endpoints[1].addr = span_of("10.0.0.1:8001");
	know_entries();
	r = prompt4();
	got = pick(&r);
	assert_int_equal(row_of(got.choices[0]), 0);
	assert_int_equal(row_of(got.rank), 1);
	assert_int_equal(row_of(got.prefill), 2);
}

/* ---- properties ---- */

/* Nothing tells how a trial of a prefill went: so it is none. */
static void test_who_comes_back_is_not_tried_by_a_prefill(void **state)
{
	struct request r;

	(void)state;
	make(DISAGG("{deciders: {prefill: always-disagg-pd-decider}}"), "dpp");
	pool.live[1].breaker = BREAKER_HALF_OPEN;
	pool.stats[2].queued = 100;
	r = prompt4();
	for (int i = 0; i < 50; i++) {
		assert_int_equal(row_of(pick(&r).prefill), 2);
		assert_int_equal(pool.live[1].breaker, BREAKER_HALF_OPEN);
		arena_reset(arena);
		r = prompt4();
	}
}

/* A decoding server that comes back is tried, and by one request only. */
static void test_a_trial_is_the_primarys(void **state)
{
	struct request r;

	(void)state;
	make(DISAGG("{deciders: {prefill: always-disagg-pd-decider}}"), "ddp");
	pool.live[0].breaker = BREAKER_HALF_OPEN;
	pool.stats[1].queued = 100;
	r = prompt4();
	assert_int_equal(row_of(pick(&r).choices[0]), 0);
	assert_int_equal(pool.live[0].breaker, BREAKER_TRIAL);
	assert_int_equal(row_of(pick(&r).choices[0]), 1);
}

static void test_why_is_the_primarys(void **state)
{
	struct request r;

	(void)state;
	make(DISAGG("{stageOrder: prefill-first}"), "ddp");
	r = prompt4();
	r.wants_why = true;
	assert_string_equal(pick(&r).why, "1.000 of 2: queue-scorer=1.000*1 "
	    "queued=0+0 running=0 kv=0.000 prefix=0/4");
}

static void *pick_many(void *data)
{
	struct arena *mine = arena_new(1 << 16, 1 << 20);
	struct rng numbers = { (uint64_t)(uintptr_t)data };
	struct request r = { .has_body = true, .ask = &ask };

	for (int i = 0; i < ROUNDS; i++) {
		struct pick got;

		pick_endpoint(&got, &pool.view, &r, &numbers, mine);
		if (got.status != 0 || got.prefill == NULL)
			abort();
		pick_undo(&got);
		arena_reset(mine);
	}
	arena_free(mine);
	return NULL;
}

/*
 * Whoever picks at the same time, each stage deals its endpoints out: no two requests
 * decided on the same counts, of decode or of prefill.
 */
static void test_both_are_reserved_by_many_at_once(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	make(DISAGG("{deciders: {prefill: always-disagg-pd-decider}}"),
	    "dddppppd");
	ask = (struct ask){ 0 };
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, pick_many,
		    (void *)(i + 1)), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(help_picked(&pool), 2 * THREADS * ROUNDS);
	for (size_t i = 0; i < 8; i++) {
		assert_in_range(pool.live[i].picked,
		    THREADS * ROUNDS / 4 - THREADS,
		    THREADS * ROUNDS / 4 + THREADS);
		assert_int_equal(requests(i) + tokens(i), 0);
	}
}

/* Too small an arena is no crash, no refusal, and raises nothing. */
static void test_without_memory_nobody_is_picked(void **state)
{
	struct request r;

	(void)state;
	make(DISAGG("{deciders: {prefill: always-disagg-pd-decider}}"), "ddpp");
	r = prompt4();
	for (size_t max = 16; max < 4096; max += 16) {
		struct arena *small = arena_new(16, max);
		struct pick got;

		pick_endpoint(&got, &pool.view, &r, &rng, small);
		assert_int_equal(got.status, 0);
		if (got.n == 0)
			for (size_t i = 0; i < 4; i++)
				assert_int_equal(requests(i), 0);
		pick_undo(&got);
		arena_free(small);
	}
}

static int setup(void **state)
{
	(void)state;
	arena = arena_new(1 << 16, 1 << 20);
	help_pool_init(&pool, "pool", 1);
	return arena == NULL;
}

static int teardown(void **state)
{
	(void)state;
	help_pool_fini(&pool);
	free(entries);
	arena_free(arena);
	options_free(options);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stages_are_run_as_the_handler_says),
		cmocka_unit_test(
		    test_a_prefill_is_worth_it_as_the_formula_says),
		cmocka_unit_test(test_the_last_token_and_the_unseen_count),
		cmocka_unit_test(test_who_prefills_has_the_prompt_from_then_on),
		cmocka_unit_test(test_the_later_stage_is_near_the_earlier_one),
		cmocka_unit_test(test_what_has_pictures_is_encoded),
		cmocka_unit_test(test_as_many_encode_as_the_picker_says),
		cmocka_unit_test(test_a_header_names_the_profile),
		cmocka_unit_test(
		    test_of_one_profile_there_is_nothing_to_choose),
		cmocka_unit_test(test_a_rank_is_reached_by_who_forwards_to_it),
		cmocka_unit_test(test_the_elder_handler_knows_ranks_too),
		cmocka_unit_test(test_who_comes_back_is_not_tried_by_a_prefill),
		cmocka_unit_test(test_a_trial_is_the_primarys),
		cmocka_unit_test(test_why_is_the_primarys),
		cmocka_unit_test(test_both_are_reserved_by_many_at_once),
		cmocka_unit_test(test_without_memory_nobody_is_picked),
	};

	return cmocka_run_group_tests_name("handlers", tests, setup, teardown);
}
