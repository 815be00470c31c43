/*
 * Who is kept, by hand from the rules on top of each filter. A mask has a letter per
 * endpoint: x is kept, . is not. Rows of the choice are turned round, so that a filter
 * that mistakes a candidate's number for its row is seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "conf.h"
#include "fault.h"
#include "help.h"
#include "plugins/address_list.h"
#include "plugins/chance.h"
#include "plugins/detector.h"
#include "plugins/plugins.h"
#include "plugins/topology.h"
#include "rng.h"
#include "yaml.h"

enum { N_MAX = 16, BLOCKS = 10, NOW_MS = 10000 };

#define MANY 4294967295u

static struct help_pool pool;
static struct arena *arena;
static struct ask ask;
static struct request request;
static uint64_t blocks[BLOCKS];
static uint32_t rows[N_MAX], unsettled[N_MAX];
static uint16_t matched[N_MAX];
static char header_bytes[1 << 17];

/* ---- how it is made ---- */

/* `n` endpoints at rest, without labels; a prompt of ten blocks, no headers. */
static void make(size_t n)
{
	help_pool_fini(&pool);
	help_pool_init(&pool, "pool", n);
	arena_reset(arena);
	ask = (struct ask){ 0 };
	request = (struct request){ .ask = &ask, .has_body = true,
		.blocks = blocks, .n_blocks = BLOCKS };
	memset(unsettled, 0, sizeof(unsettled));
	memset(matched, 0, sizeof(matched));
}

static void set_header(const char *name, const char *value)
{
	const char *const pairs[] = { name, value, NULL };

	ask.headers = help_headers(pairs, header_bytes, sizeof(header_bytes));
}

/* `unsettled` and `matched` are by row here, by candidate there. */
static struct choice choice_of(size_t n)
{
	static uint32_t u[N_MAX];
	static uint16_t m[N_MAX];

	for (size_t i = 0; i < n; i++) {
		rows[i] = (uint32_t)(n - 1 - i);
		u[i] = unsettled[rows[i]];
		m[i] = matched[rows[i]];
	}
	return (struct choice){ .view = &pool.view, .request = &request,
		.rows = rows, .n = n, .unsettled = u, .matched = m,
		.now_ms = NOW_MS };
}

static int decode(const struct conf_table *table, const char *text, void **out,
    struct fault *why)
{
	const struct conf_input in = { "f", arena, why };
	const struct conf *map = yaml_parse("f", span_of(text),
	    &yaml_limits_default, arena, why);

	assert_non_null(map);
	*out = arena_zalloc(arena, table->size);
	assert_non_null(*out);
	return conf_decode(&in, table, map, *out);
}

static const void *params(const struct filter *f, const char *text)
{
	struct fault why = { 0 };
	char said[700];
	void *out;

	if (f->params == NULL)
		return NULL;
	if (decode(f->params, text, &out, &why) != 0)
		fail_msg("%s %s: %s", f->name, text,
		    fault_text(&why, said, sizeof(said)));
	return out;
}

/* The mask, by row. What is behind keep[] must stay as it is. */
static const char *kept(const struct filter *f, const void *p)
{
	static char mask[N_MAX + 1];
	size_t n = pool.view.n_endpoints;
	struct choice c = choice_of(n);
	unsigned char keep[N_MAX + 8];

	memset(keep, 0x5a, sizeof(keep));
	memset(keep, true, n);
	f->filter(&c, p, (bool *)keep);
	for (size_t i = n; i < sizeof(keep); i++)
		assert_int_equal(keep[i], 0x5a);
	for (size_t i = 0; i < n; i++)
		mask[rows[i]] = keep[i] ? 'x' : '.';
	mask[n] = '\0';
	return mask;
}

static void expect(const struct filter *f, const char *text, const char *mask)
{
	const char *got = kept(f, params(f, text));

	if (strcmp(got, mask) != 0)
		fail_msg("%s %s keeps %s, not %s", f->name, text, got, mask);
}

static void refuse(const struct conf_table *table, const char *text,
    const char *found, const char *want)
{
	struct fault why = { 0 };
	void *out;

	if (decode(table, text, &out, &why) == 0)
		fail_msg("%s: it is taken", text);
	if (strstr(why.found, found) == NULL || strstr(why.want, want) == NULL)
		fail_msg("%s: %s; want: %s", text, why.found, why.want);
}

/* ---- labels ---- */

static const struct label one_a[] = { { "a", "1" }, { "b", "2" } };
static const struct label one_b[] = { { "a", "1" } };
static const struct label none_c[] = { { "a", "" } };
static const struct label two_e[] = { { "c", "x" }, { "a", "2" } };

/* 0: a=1 b=2; 1: a=1; 2: a=""; 3: nothing; 4: c=x a=2 */
static void make_labelled(void)
{
	static const struct {
		const struct label *labels;
		size_t n;
	} all[] = { { one_a, 2 }, { one_b, 1 }, { none_c, 1 }, { NULL, 0 },
		{ two_e, 2 } };

	make(5);
	for (size_t i = 0; i < 5; i++) {
		pool.endpoints[i].labels = all[i].labels;
		pool.endpoints[i].n_labels = all[i].n;
	}
}

#define EXPRESSION(key, op, rest)                                          \
	"{matchExpressions: [{key: " key ", operator: " op rest "}]}"

static void test_label_selectors(void **state)
{
	static const struct {
		const char *text, *mask;
	} known[] = {
		{ "{}", "xxxxx" },
		{ "{matchLabels: {}}", "xxxxx" },
		{ "{matchLabels: {a: 1}}", "xx..." },
		{ "{matchLabels: {a: \"1\", b: 2}}", "x...." },
		{ "{matchLabels: {a: \"\"}}", "..x.." },
		{ "{matchLabels: {d: 1}}", "....." },
		{ EXPRESSION("a", "In", ", values: [1, 2]"), "xx..x" },
		{ EXPRESSION("a", "In", ", values: ['']"), "..x.." },
		{ EXPRESSION("a", "NotIn", ", values: [1]"), "..xxx" },
		{ EXPRESSION("a", "NotIn", ", values: ['']"), "xx.xx" },
		{ EXPRESSION("a", "Exists", ""), "xxx.x" },
		{ EXPRESSION("a", "DoesNotExist", ""), "...x." },
		{ EXPRESSION("c", "Exists", ""), "....x" },
		{ "{matchLabels: {a: 1}, matchExpressions: "
		  "[{key: b, operator: DoesNotExist}]}", ".x..." },
		{ "{matchExpressions: [{key: a, operator: Exists}, "
		  "{key: a, operator: NotIn, values: [1, 2]}]}", "..x.." },
	};

	(void)state;
	make_labelled();
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		expect(&filter_label_selector, known[i].text, known[i].mask);
		expect(&filter_by_label_selector, known[i].text,
		    known[i].mask);
	}
}

static void test_label_selectors_that_make_no_sense(void **state)
{
	const struct conf_table *t = filter_label_selector.params;

	(void)state;
	make(1);
	refuse(t, EXPRESSION("a", "In", ""), "In without values", "values");
	refuse(t, EXPRESSION("a", "NotIn", ", values: []"),
	    "NotIn without values", "values");
	refuse(t, EXPRESSION("a", "Exists", ", values: [1]"),
	    "Exists with values", "no values");
	refuse(t, EXPRESSION("a", "DoesNotExist", ", values: [1]"),
	    "DoesNotExist with values", "no values");
	refuse(t, EXPRESSION("a", "in", ", values: [1]"), "operator", "In");
	refuse(t, "{matchExpressions: [{operator: Exists}]}", "without key",
	    "key");
	refuse(t, "{matchExpressions: [{key: a}]}", "without operator",
	    "operator");
	refuse(t, "{matchLabels: [a]}", "matchLabels", "a map");
	refuse(t, "{matchLabels: {a: [1]}}", "matchLabels", "value");
	refuse(t, "{matchLabels: {a: }}", "matchLabels", "value");
	refuse(t, "{matchLabel: {a: 1}}", "matchLabel", "matchLabels");
}

static void test_by_label(void **state)
{
	const struct conf_table *t = filter_by_label.params;

	(void)state;
	make_labelled();
	expect(&filter_by_label, "{label: a, validValues: [1]}", "xx...");
	expect(&filter_by_label, "{label: a, validValues: [1, 2]}", "xx..x");
	expect(&filter_by_label, "{label: a, validValues: 2}", "....x");
	expect(&filter_by_label, "{label: a, validValues: ['']}", "..x..");
	expect(&filter_by_label,
	    "{label: a, validValues: [1], allowsNoLabel: true}", "xx.x.");
	expect(&filter_by_label, "{label: a, allowsNoLabel: true}", "...x.");
	expect(&filter_by_label, "{label: d, validValues: [1]}", ".....");
	refuse(t, "{validValues: [1]}", "without label", "label");
	refuse(t, "{label: a}", "keeps nobody", "validValues");
	refuse(t, "{label: a, validValues: []}", "keeps nobody", "validValues");
	refuse(t, "{label: a, validValues: [[1]]}", "values", "value");
	refuse(t, "{label: a, validValue: [1]}", "validValue", "validValues");
}

/* llm-d-router, bylabel/roles.go; the last is no role, the one before has none. */
static void test_roles(void **state)
{
	static const struct label roles[] = {
		{ "llm-d.ai/role", "encode" }, { "llm-d.ai/role", "prefill" },
		{ "llm-d.ai/role", "decode" },
		{ "llm-d.ai/role", "encode-prefill" },
		{ "llm-d.ai/role", "prefill-decode" },
		{ "llm-d.ai/role", "both" },
		{ "llm-d.ai/role", "encode-prefill-decode" },
		{ "role", "encode" }, { "llm-d.ai/role", "Decode" },
	};

	(void)state;
	make(9);
	for (size_t i = 0; i < 9; i++) {
		pool.endpoints[i].labels = &roles[i];
		pool.endpoints[i].n_labels = 1;
	}
	expect(&filter_encode, "", "x..x..x..");
	expect(&filter_prefill, "", ".x.xxxx..");
	expect(&filter_decode, "", "..x.xxxx.");
}

/* ---- addresses ---- */

static void make_addressed(void)
{
	static const char *const addrs[] = { "10.0.0.1:8000", "10.0.0.1:8001",
		"10.0.0.2:8000", "[fd00::7]:8000", "[fd00::8]:8000", "" };

	make(6);
	for (size_t i = 0; i < 6; i++)
		pool.endpoints[i].addr = span_of(addrs[i]);
}

static const struct {
	const char *list, *mask;
} lists[] = {
	{ "10.0.0.1", "xx...." },
	{ "10.0.0.1:8000", "x....." },
	{ "10.0.0.1:8001,10.0.0.2", ".xx..." },
	{ " 10.0.0.1:8000 ,\t10.0.0.2:8000 ", "x.x..." },
	{ "10.0.0.1:8000,10.0.0.1:8000", "x....." },
	{ "10.0.0.1:9,10.0.0.1", "xx...." },
	{ "10.0.0.1,10.0.0.1:9", "xx...." },
	{ "10.0.0.1:9", "......" },
	{ "fd00::7", "...x.." },
	{ "[fd00::7]", "...x.." },
	{ "[fd00::7]:8000", "...x.." },
	{ "[FD00:0:0::7]:8000,[fd00::8]:1", "...x.." },
	{ "fd00::7,fd00::8", "...xx." },
	{ "::ffff:10.0.0.2", "..x..." },	/* RFC 4291 2.5.5.2 */
	{ ",,10.0.0.2,,", "..x..." },
	/* Not addresses: they name nobody, and do not spoil those that are. */
	{ "", "......" }, { ",", "......" }, { " ", "......" },
	{ "localhost,10.0.0.2", "..x..." },
	{ "10.0.0.2:", "......" }, { "10.0.0.2:0", "......" },
	{ "10.0.0.2:65536", "......" }, { "10.0.0.2:+8000", "......" },
	{ "10.0.0.2:8000x", "......" }, { "10.0.0.2:008000", "......" },
	{ "10.0.0.2:08000", "..x..." }, { "10.0.0.2 :8000", "......" },
	{ "10.0.0.02", "......" }, { "10.0.0", "......" },
	{ "10.0.0.258", "......" }, { "10.0.0.2.", "......" },
	{ "10.0.0.2.1", "......" }, { "10.0.0.2000", "......" },
	{ "10..0.2", "......" }, { ".10.0.0.2", "......" },
	{ "10.0.0.-2", "......" }, { "0010.0.0.2", "......" },
	{ "[10.0.0.2]:8000", "......" }, { "[fd00::7", "......" },
	{ "[fd00::7]8000", "......" }, { "[fd00::7]:", "......" },
	{ "[]", "......" }, { "[", "......" }, { "]", "......" },
	{ ":", "......" }, { "[fd00::7]]:8000", "......" },
	{ "[[fd00::7]]", "......" }, { "10.0.0.1:8000:8000", "......" },
	{ "1234:1234:1234:1234:1234:1234:1234:1234:1234:1234", "......" },
};

static void test_lists_of_addresses(void **state)
{
	(void)state;
	make_addressed();
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		set_header("x-gateway-destination-endpoint-subset",
		    lists[i].list);
		if (strcmp(kept(&filter_endpoint_subset, NULL),
			lists[i].mask) != 0)
			fail_msg("\"%s\" keeps %s, not %s", lists[i].list,
			    kept(&filter_endpoint_subset, NULL),
			    lists[i].mask);
		set_header("test-epp-endpoint-selection", lists[i].list);
		assert_string_equal(kept(&filter_header_based_testing, NULL),
		    lists[i].mask);
	}
}

/* llm-d: without the test's header nobody; without a subset hint everybody. */
static void test_lists_that_are_not_there(void **state)
{
	(void)state;
	make_addressed();
	expect(&filter_endpoint_subset, "", "xxxxxx");
	expect(&filter_header_based_testing, "", "......");
	set_header("x-other", "10.0.0.1");
	expect(&filter_endpoint_subset, "", "xxxxxx");
	expect(&filter_header_based_testing, "", "......");
}

/* A NUL ends a string for inet_pton(), not for us. */
static void test_a_nul_is_no_end_of_an_address(void **state)
{
	static const char four[] = "10.0.0.2\0junk", six[] = "fd00::7\0junk";
	struct address a;

	(void)state;
	assert_true(address_parse(&a, (struct span){ four, 8 }));
	assert_true(address_parse(&a, (struct span){ six, 7 }));
	for (size_t len = 9; len < sizeof(four); len++)
		assert_false(address_parse(&a, (struct span){ four, len }));
	for (size_t len = 8; len < sizeof(six); len++)
		assert_false(address_parse(&a, (struct span){ six, len }));
}

/* On memory that ends with the text: a sanitizer sees who reads on. */
static void test_every_truncation_of_a_list_is_survived(void **state)
{
	static const char text[] =
	    " 10.0.0.1:8000, [fd00::7]:8000 ,fd00::8,::ffff:10.0.0.2";

	(void)state;
	make_addressed();
	for (size_t len = 0; len < sizeof(text); len++) {
		char *copy = malloc(len + 1);
		struct choice c = choice_of(6);
		bool keep[6];

		memcpy(copy + 1, text, len);	/* one before, none behind */
		address_list_keep(&c, (struct span){ copy + 1, len }, keep);
		/* Row 0; a port that is cut off or cut short is another. */
		assert_int_equal(keep[5], len == 9 || len >= 14);
		free(copy);
	}
}

struct random_list {
	char text[1 << 16];
	size_t len;
	bool has[256];		/* of 10.0.0.x:8000 */
};

/* Address and port, address alone, another port, not an address. */
static void add_random(struct random_list *l, struct rng *rng, bool is_read)
{
	static const char *const tails[] = { ":8000", "", ":8001", ":+8000" };
	uint32_t x = rng_below(rng, 256), form = rng_below(rng, 4);

	l->len += (size_t)snprintf(l->text + l->len, sizeof(l->text) - l->len,
	    "10.0.0.%u%s,", x, tails[form]);
	l->has[x] |= is_read && form < 2;
}

/* Against a table; longer ones than are read, too. */
static void test_random_lists_of_any_length(void **state)
{
	static struct random_list l;
	static char addrs[N_MAX][24];
	uint32_t last_of[N_MAX];
	struct rng rng = { 11 };

	(void)state;
	make(N_MAX);
	for (int round = 0; round < 200; round++) {
		size_t n = rng_below(&rng, 1 + rng_below(&rng, 3000));
		struct choice c = choice_of(N_MAX);
		bool keep[N_MAX];

		l = (struct random_list){ .len = 0 };
		for (size_t i = 0; i < n; i++)
			add_random(&l, &rng, i < ADDRESS_LIST_MAX);
		for (size_t i = 0; i < N_MAX; i++) {
			last_of[i] = rng_below(&rng, 256);
			snprintf(addrs[i], sizeof(addrs[i]), "10.0.0.%u:8000",
			    last_of[i]);
			pool.endpoints[i].addr = span_of(addrs[i]);
		}
		address_list_keep(&c, (struct span){ l.text, l.len }, keep);
		for (size_t i = 0; i < N_MAX; i++)
			assert_int_equal(keep[i], l.has[last_of[rows[i]]]);
	}
}

static void test_only_so_many_entries_are_read(void **state)
{
	static const char last[] = "10.0.0.2";
	char list[ADDRESS_LIST_MAX + sizeof(last)];
	struct choice c;
	bool keep[6];

	(void)state;
	make_addressed();
	c = choice_of(6);
	memset(list, ',', sizeof(list));
	memcpy(list + ADDRESS_LIST_MAX - 1, last, strlen(last));
	address_list_keep(&c, (struct span){ list, sizeof(list) }, keep);
	assert_true(keep[3]);	/* row 2 */
	memset(list, ',', sizeof(list));
	memcpy(list + ADDRESS_LIST_MAX, last, strlen(last));
	address_list_keep(&c, (struct span){ list, sizeof(list) }, keep);
	for (size_t i = 0; i < 6; i++)
		assert_false(keep[i]);
}

/* ---- topology ---- */

#define HOST(x) { "kubernetes.io/hostname", x }
#define RACK(x) { "topology.kubernetes.io/rack", x }
#define ZONE(x) { "topology.kubernetes.io/zone", x }
#define REGION(x) { "topology.kubernetes.io/region", x }

/* 0 is the peer; then same host, rack, zone, region, nothing, no labels. */
static void make_placed(void)
{
	static const struct label places[][4] = {
		{ HOST("h"), RACK("r"), ZONE("z"), REGION("g") },
		{ HOST("h"), RACK("r"), ZONE("z"), REGION("g") },
		{ HOST("h2"), RACK("r"), ZONE("z"), REGION("g") },
		{ HOST("h3"), RACK("r3"), ZONE("z"), REGION("g") },
		{ HOST("h4"), RACK(""), ZONE("z4"), REGION("g") },
		{ HOST("h5"), RACK("r5"), ZONE("z5"), REGION("g5") },
	};

	make(7);
	for (size_t i = 0; i < 6; i++) {
		pool.endpoints[i].labels = places[i];
		pool.endpoints[i].n_labels = 4;
	}
}

static void test_only_near_ones_are_kept(void **state)
{
	(void)state;
	make_placed();
	set_header("x-epp-peer", "10.0.0.1:8000");
	expect(&filter_topology_affinity, "{}", "xx.....");
	expect(&filter_topology_affinity, "{minAffinity: host}", "xx.....");
	expect(&filter_topology_affinity, "{minAffinity: rack}", "xxx....");
	expect(&filter_topology_affinity, "{minAffinity: zone}", "xxxx...");
	expect(&filter_topology_affinity, "{minAffinity: region}", "xxxxx..");
	set_header("x-epp-peer", "10.0.0.1");
	expect(&filter_topology_affinity, "{minAffinity: rack}", "xxx....");
	refuse(filter_topology_affinity.params, "{minAffinity: pod}",
	    "minAffinity", "host, rack, zone, region");
}

static void test_affinity_to_a_place_is_no_must(void **state)
{
	static const struct label nowhere[] = { HOST("") };

	(void)state;
	make_placed();
	expect(&filter_topology_affinity, "{}", "xxxxxxx");	/* no peer */
	set_header("x-epp-peer", "10.0.0.1:9");		/* not of the pool */
	expect(&filter_topology_affinity, "{}", "xxxxxxx");
	set_header("x-epp-peer", "no address");
	expect(&filter_topology_affinity, "{}", "xxxxxxx");
	set_header("x-epp-peer", "10.0.0.7:8000");	/* without labels */
	expect(&filter_topology_affinity, "{}", "xxxxxxx");
	pool.endpoints[6].labels = nowhere;	/* empty is not the same as empty */
	pool.endpoints[6].n_labels = 1;
	pool.endpoints[5].labels = nowhere;
	pool.endpoints[5].n_labels = 1;
	expect(&filter_topology_affinity, "{}", "xxxxxxx");
	set_header("x-epp-peer", "10.0.0.5:8000");	/* h4, r "", z4, g */
	expect(&filter_topology_affinity, "{minAffinity: zone}", "....x..");
}

/* Keys of the four levels, in the order of struct topology, and some like them. */
static const char *const place_keys[] = {
	"kubernetes.io/hostname", "topology.kubernetes.io/rack",
	"topology.kubernetes.io/zone", "topology.kubernetes.io/region",
};

static void expect_level(const struct topology *place, const struct endpoint *e,
    enum topology_level level)
{
	const struct topology_near near = topology_near(place);

	assert_int_equal(topology_level(&near, e), level);
}

static void test_the_level_is_the_tightest_one_shared(void **state)
{
	static const struct topology here = { { "h", "r", "z", "g" } };
	static const struct topology nowhere = { { NULL } };
	static const struct {
		const char *there[4];
		enum topology_level level;
	} known[] = {
		{ { "h", "r", "z", "g" }, TOPOLOGY_HOST },
		{ { "h", NULL, NULL, NULL }, TOPOLOGY_HOST },
		{ { "r", "h", "z", "g" }, TOPOLOGY_ZONE },
		{ { NULL, "r", NULL, NULL }, TOPOLOGY_RACK },
		{ { NULL, NULL, NULL, "g" }, TOPOLOGY_REGION },
		{ { NULL, NULL, NULL, NULL }, TOPOLOGY_NONE },
		{ { "x", "x", "x", "x" }, TOPOLOGY_NONE },
		{ { "", "", "", "" }, TOPOLOGY_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		for (int turned = 0; turned < 2; turned++) {
			struct label labels[4];
			uint64_t ids[4];
			struct endpoint e = { .labels = labels };

			for (size_t k = 0; k < 4; k++) {
				size_t at = turned ? 3 - k : k;

				if (known[i].there[at] == NULL)
					continue;
				ids[e.n_labels] = endpoint_label_id(
				    place_keys[at]);
				labels[e.n_labels++] = (struct label){
					place_keys[at], known[i].there[at] };
			}
			expect_level(&here, &e, known[i].level);
			expect_level(&nowhere, &e, TOPOLOGY_NONE);
			e.label_ids = ids;
			expect_level(&here, &e, known[i].level);
			expect_level(&nowhere, &e, TOPOLOGY_NONE);
		}
}

static void test_a_key_that_is_almost_one_is_none(void **state)
{
	static const char *const keys[] = { "", "k", "t",
		"kubernetes.io/hostnam", "kubernetes.io/hostnames",
		"topology.kubernetes.io/", "topology.kubernetes.io/r",
		"topology.kubernetes.io/z", "topology.kubernetes.io/racks",
		"topology.kubernetes.io/regio", "topology.kubernetes.io/zones",
		"topology.kubernetes.io.rack", "Topology.kubernetes.io/rack" };
	static const struct topology here = { { "v", "v", "v", "v" } };

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const struct label label = { keys[i], "v" };
		const struct endpoint e = { .labels = &label, .n_labels = 1 };

		expect_level(&here, &e, TOPOLOGY_NONE);
	}
}

/* ---- prefix affinity ---- */

static void set_tokens(size_t row, uint32_t tokens)
{
	pool.live[row].tokens.word = tokens;
}

static void set_matched(const uint16_t *of_ten, size_t n)
{
	memcpy(matched, of_ten, n * sizeof(*of_ten));
}

static void test_sticky_ones_are_kept(void **state)
{
	(void)state;
	make(4);
	set_matched((const uint16_t[]){ 10, 8, 7, 0 }, 4);
	expect(&filter_prefix_cache_affinity, "{}", "xx..");	/* .8 */
	expect(&filter_prefix_cache_affinity, "{affinityThreshold: 0.7}",
	    "xxx.");
	expect(&filter_prefix_cache_affinity, "{affinityThreshold: 0.99}",
	    "x...");
	expect(&filter_prefix_cache_affinity, "{affinityThreshold: 0}",
	    "xxxx");
	set_matched((const uint16_t[]){ 7, 7, 7, 0 }, 4);
	expect(&filter_prefix_cache_affinity, "{}", "xxxx");	/* nobody is */
	set_matched((const uint16_t[]){ 8, 8, 8, 8 }, 4);
	expect(&filter_prefix_cache_affinity, "{}", "xxxx");
	request.n_blocks = 0;
	set_matched((const uint16_t[]){ 0, 0, 0, 0 }, 4);
	expect(&filter_prefix_cache_affinity, "{}", "xxxx");
}

/*
 * tokens / 15928 * 1000 - 0 > 18000 from 286705 tokens on: 15928 * 18 is 286704. With
 * 1000 tokens a second and a penalty of 500 ms: from 501 more than the best other.
 */
static void test_the_load_gate_by_tokens_in_flight(void **state)
{
	static const char slow[] =
	    "{peakPrefillThroughput: 1000, maxTTFTPenaltyMs: 500}";

	(void)state;
	make(3);
	set_matched((const uint16_t[]){ 9, 0, 0 }, 3);
	set_tokens(0, 286704);
	expect(&filter_prefix_cache_affinity, "{}", "x..");
	set_tokens(0, 286705);
	expect(&filter_prefix_cache_affinity, "{}", "xxx");
	expect(&filter_prefix_cache_affinity, "{maxTTFTPenaltyMs: 0}", "x..");
	set_tokens(0, MANY);
	expect(&filter_prefix_cache_affinity,
	    "{maxTTFTPenaltyMs: 0, peakPrefillThroughput: 0}", "x..");
	set_tokens(1, 900);
	set_tokens(2, 700);
	set_tokens(0, 1200);
	expect(&filter_prefix_cache_affinity, slow, "x..");
	set_tokens(0, 1201);
	expect(&filter_prefix_cache_affinity, slow, "xxx");
	matched[1] = 9;		/* the fastest sticky one counts */
	expect(&filter_prefix_cache_affinity, slow, "xx.");
	matched[2] = 9;		/* nobody else */
	expect(&filter_prefix_cache_affinity, slow, "xxx");
}

static void test_the_load_gate_by_what_was_observed(void **state)
{
	static const char observed[] =
	    "{ttftSource: latencyPredictor, maxTTFTPenaltyMs: 200}";

	(void)state;
	make(3);
	set_matched((const uint16_t[]){ 9, 0, 0 }, 3);
	set_tokens(0, MANY);	/* another source */
	expect(&filter_prefix_cache_affinity, observed, "x..");
	ewma_add(&pool.live[0].ttft_us, 900e3f, 1);
	expect(&filter_prefix_cache_affinity, observed, "x..");	/* no other */
	ewma_add(&pool.live[1].ttft_us, 700e3f, 1);	/* 200 more, no more */
	expect(&filter_prefix_cache_affinity, observed, "x..");
	ewma_add(&pool.live[2].ttft_us, 699e3f, 1);
	expect(&filter_prefix_cache_affinity, observed, "xxx");
	ewma_reset(&pool.live[0].ttft_us);	/* no sample, not "for ever" */
	expect(&filter_prefix_cache_affinity, observed, "x..");
}

static void test_parameters_of_prefix_affinity(void **state)
{
	const struct conf_table *t = filter_prefix_cache_affinity.params;

	(void)state;
	make(1);
	refuse(t, "{affinityThreshold: 1.1}", "affinityThreshold", "0 to 1");
	refuse(t, "{explorationProbability: 2}", "explorationProbability",
	    "0 to 1");
	refuse(t, "{maxTTFTPenaltyMs: -1}", "maxTTFTPenaltyMs", "a number");
	refuse(t, "{ttftSource: guess}", "ttftSource", "latencyPredictor");
	refuse(t, "{peakPrefillThroughput: 0}", "peakPrefillThroughput",
	    "15928");
	refuse(t, "{affinityTreshold: 1}", "affinityTreshold",
	    "affinityThreshold");
	params(&filter_prefix_cache_affinity,
	    "{peakPrefillThroughput: 0, maxTTFTPenaltyMs: 0}");
	params(&filter_prefix_cache_affinity,
	    "{peakPrefillThroughput: 0, ttftSource: latencyPredictor}");
}

/* How often of 4000 prompts; one of the candidates is picked between two of them. */
static unsigned count_kept_all(const struct filter *f, const char *text,
    bool same_prompt)
{
	const void *p = params(f, text);
	struct rng rng = { 12 };
	unsigned n = 0;

	for (int round = 0; round < 4000; round++) {
		if (!same_prompt)
			blocks[BLOCKS - 1] = rng_next(&rng);
		unsettled[same_prompt ? (size_t)round % 2 : 0] += same_prompt;
		n += strcmp(kept(f, p), "xx") == 0;
	}
	return n;
}

/* 4000 at .25: 1000, sigma 27.4; five of them are 137. */
static void test_exploration_is_as_likely_as_it_says(void **state)
{
	const struct filter *f = &filter_prefix_cache_affinity;

	(void)state;
	make(2);
	set_matched((const uint16_t[]){ 9, 0 }, 2);
	assert_int_equal(count_kept_all(f, "{explorationProbability: 1}", false),
	    4000);
	assert_int_equal(count_kept_all(f, "{explorationProbability: 0}", false),
	    0);
	assert_in_range(count_kept_all(f, "{explorationProbability: 0.25}",
	    false), 863, 1137);
	assert_in_range(count_kept_all(f, "{explorationProbability: 0.25}",
	    true), 863, 1137);
	request.n_blocks = 0;	/* nobody is sticky: not for chance to say */
	assert_int_equal(count_kept_all(f, "{explorationProbability: 0}", true),
	    4000);
}

/* Two in a row, with thresholds of their own, do not toss the same coin. */
static void test_two_filters_explore_apart(void **state)
{
	const struct filter *f = &filter_prefix_cache_affinity;
	const void *a, *b;
	unsigned both = 0;

	(void)state;
	make(2);
	set_matched((const uint16_t[]){ 10, 0 }, 2);
	a = params(f, "{affinityThreshold: 0.99, explorationProbability: 0.5}");
	b = params(f, "{affinityThreshold: 0.8, explorationProbability: 0.5}");
	for (uint64_t i = 0; i < 4000; i++) {
		blocks[BLOCKS - 1] = rng_mix(i);
		both += strcmp(kept(f, a), "xx") == 0 &&
		    strcmp(kept(f, b), "xx") == 0;
	}
	assert_in_range(both, 863, 1137);	/* .25; 2000 of one coin */
}

/* Same facts, same draw; evenly spread: ten bins of 1000, sigma 30, chi-square 9. */
static void test_chance_of_a_filter(void **state)
{
	unsigned bins[10] = { 0 };
	double chi = 0;

	(void)state;
	make(4);
	for (uint32_t i = 0; i < 10000; i++) {
		struct choice c;
		double u;

		unsettled[i % 4]++;
		c = choice_of(4);
		u = chance_of(&c, 1);
		assert_true(u > 0 && u < 1);
		assert_true(u == chance_of(&c, 1));
		assert_true(u != chance_of(&c, 2));
		bins[(size_t)(u * 10)]++;
	}
	for (size_t i = 0; i < 10; i++)
		chi += ((double)bins[i] - 1000) * ((double)bins[i] - 1000) / 1000;
	assert_true(chi < 27.88);	/* p = .001 at nine degrees */
}

/* ---- SLO headroom ---- */

/* TTFT 100, 300 and 500 ms, 20, 40 and 10 ms a token; the fourth was never used. */
static void make_timed(void)
{
	static const float ttft_us[] = { 100e3f, 300e3f, 500e3f };
	static const float token_us[] = { 20e3f, 40e3f, 10e3f };

	make(4);
	for (size_t i = 0; i < 3; i++) {
		ewma_add(&pool.live[i].ttft_us, ttft_us[i], 1);
		ewma_add(&pool.live[i].token_us, token_us[i], 1);
	}
}

#define CERTAIN "{epsilonExploreNeg: 0}"
#define CONTRARY "{epsilonExploreNeg: 1}"

static void test_who_is_fast_enough_is_kept(void **state)
{
	const struct filter *f = &filter_slo_headroom_tier;

	(void)state;
	make_timed();
	expect(f, CERTAIN, "xxxx");		/* nothing is asked for */
	expect(f, CONTRARY, "xxxx");
	request.slo_ttft_ms = 300;
	expect(f, CERTAIN, "xx.x");
	expect(f, CONTRARY, "..x.");
	request.slo_ttft_ms = 299;
	expect(f, CERTAIN, "x..x");
	set_header("x-llm-d-slo-tpot-ms", "19");	/* 3 is asked for more */
	expect(f, CERTAIN, "...x");
	request.slo_ttft_ms = 0;
	set_header("x-slo-tpot-ms", "20");
	expect(f, CERTAIN, "x.xx");
	expect(f, CONTRARY, ".x..");
	set_header("x-slo-tpot-ms", "40");	/* all are enough */
	expect(f, CERTAIN, "xxxx");
	expect(f, CONTRARY, "xxxx");
	set_header("x-slo-tpot-ms", "soon");
	expect(f, CERTAIN, "xxxx");
	request.slo_ttft_ms = 1;
	ewma_add(&pool.live[3].ttft_us, 2e3f, 1);	/* none is */
	expect(f, CERTAIN, "xxxx");
	expect(f, CONTRARY, "xxxx");
	refuse(f->params, "{epsilonExploreNeg: 1.5}", "epsilonExploreNeg",
	    "0 to 1");
}

/* 1 of 100 unless told otherwise: 40 of 4000, sigma 6.3. */
static void test_the_slow_are_tried_now_and_then(void **state)
{
	const void *p = params(&filter_slo_headroom_tier, "{}");
	unsigned n = 0;

	(void)state;
	make_timed();
	p = params(&filter_slo_headroom_tier, "{}");
	request.slo_ttft_ms = 300;
	for (uint64_t i = 0; i < 4000; i++) {
		const char *mask;

		blocks[BLOCKS - 1] = rng_mix(i);
		mask = kept(&filter_slo_headroom_tier, p);
		if (strcmp(mask, "..x.") == 0)
			n++;
		else
			assert_string_equal(mask, "xx.x");
	}
	assert_in_range(n, 9, 71);
}

/* ---- utilization ---- */

#define CONDITION(metric, max)                                             \
	"{conditions: [{metric: " metric ", maxValue: " max "}]}"

static void test_each_condition_of_the_utilization_filter(void **state)
{
	const struct filter *f = &filter_utilization;

	(void)state;
	make(3);
	for (size_t i = 0; i < 3; i++) {
		pool.live[i].requests.word = i;
		pool.stats[i].running = (uint32_t)(5 - 2 * i);
		pool.stats[i].queued = i == 1 ? MANY : 7;
		pool.stats[i].kv_used = .25f * (float)i;
	}
	expect(f, CONDITION("active-requests", "1"), "xx.");
	expect(f, CONDITION("active-requests", "0.5"), "x..");
	expect(f, CONDITION("running-requests", "3"), ".xx");
	expect(f, CONDITION("waiting-queue", "7"), "x.x");
	expect(f, CONDITION("waiting-queue", "6"), "...");
	expect(f, CONDITION("waiting-queue", "4000000000"), "x.x");
	expect(f, CONDITION("kv-cache-utilization", "0.25"), "xx.");
	expect(f, CONDITION("kv-cache-utilization", "1"), "xxx");
	expect(f, "{conditions: [{metric: active-requests, maxValue: 1}, "
	    "{metric: running-requests, maxValue: 3}]}", ".x.");
	expect(f, "{fallbackOnEmpty: true, "
	    "conditions: [{metric: waiting-queue, maxValue: 6}]}", "xxx");
	expect(f, "{fallbackOnEmpty: true, "
	    "conditions: [{metric: running-requests, maxValue: 3}]}", ".xx");
	pool.stats[1].health = ENDPOINT_STALE;	/* as good as they were */
	unsettled[1] = 9;
	expect(f, CONDITION("running-requests", "3"), ".xx");
}

static void test_parameters_of_the_utilization_filter(void **state)
{
	const struct conf_table *t = filter_utilization.params;

	(void)state;
	make(1);
	refuse(t, "{}", "without conditions", "conditions");
	refuse(t, "{conditions: []}", "conditions", "1 or more");
	refuse(t, "{conditions: [{metric: running-requests}]}",
	    "without maxValue", "maxValue");
	refuse(t, "{conditions: [{maxValue: 1}]}", "without metric", "metric");
	refuse(t, CONDITION("running", "1"), "metric", "running-requests");
	refuse(t, CONDITION("running-requests", "-1"), "maxValue", "a number");
	refuse(t, CONDITION("kv-cache-utilization", "1.1"), "maxValue above 1",
	    "0.8");
	refuse(t, "{fallback: true}", "fallback", "conditions");
	params(&filter_utilization, CONDITION("running-requests", "1.1"));
}

/* ---- detectors ---- */

/* Limits 5 and .8: below, not at. Row 4 is at rest, and too old to be believed. */
static void test_the_utilization_detector_as_a_filter(void **state)
{
	const struct filter *f = &filter_utilization_detector;

	(void)state;
	make(5);
	for (size_t i = 0; i < 3; i++)
		pool.stats[i].queued = (uint32_t)(i + 3);	/* 3, 4, 5 */
	pool.stats[3].kv_used = .8f;
	pool.stats[4].is_current = false;
	expect(f, "{}", "xx...");
	unsettled[1] = 1;
	expect(f, "{}", "x....");
	expect(f, "{headroom: 0.2}", "xxxx.");	/* 6, .96 */
	expect(f, "{headroom: 0.19, kvCacheUtilThreshold: 0.5}", "xxx..");
	expect(f, "{queueDepthThreshold: 4}", "x....");
	pool.stats[3].kv_used = .9f;
	expect(f, "{queueDepthThreshold: 3}", "xxxxx");	/* nobody is left */
	pool.stats[4].is_current = true;
	expect(f, "{queueDepthThreshold: 3}", "....x");
	pool.stats[4].queued = MANY;
	unsettled[4] = 1;	/* does not wrap to nothing */
	expect(f, "{queueDepthThreshold: 4}", "x....");
}

/* Whatever the pool says, when the plugin itself says what is too old. */
static void test_how_old_numbers_may_be(void **state)
{
	static const int64_t seen_ms[] = { NOW_MS, 9000, 8999, 0 };
	const struct filter *f = &filter_utilization_detector;

	(void)state;
	make(4);
	for (size_t i = 0; i < 4; i++) {
		pool.stats[i].seen_ms = seen_ms[i];
		pool.stats[i].is_current = i == 3;
	}
	expect(f, "{metricsStalenessThreshold: 1s}", "xx..");
	expect(f, "{metricsStalenessThreshold: 999ms}", "x...");
	expect(f, "{metricsStalenessThreshold: 1h}", "xxx.");
	expect(f, "{}", "...x");
}

static void test_the_concurrency_detector_as_a_filter(void **state)
{
	const struct filter *f = &filter_concurrency_detector;

	(void)state;
	make(4);
	for (size_t i = 0; i < 4; i++) {
		pool.live[i].requests.word = 98 + i;	/* 98 .. 101 */
		pool.live[i].tokens.word = 1000001 - i;	/* 1000001 .. 999998 */
	}
	expect(f, "{}", "xx..");
	expect(f, "{concurrencyMode: tokens}", "..xx");
	expect(f, "{concurrencyMode: hybrid}", "xxxx");	/* nobody is left */
	expect(f, "{concurrencyMode: hybrid, headroom: 0.01}", "xxx.");
	expect(f, "{maxConcurrency: 99}", "x...");
	expect(f, "{concurrencyMode: tokens, maxTokenConcurrency: 999999}",
	    "...x");
	/* 8 * 12.5 is 100.0, 9 * 11.2 is 100.8: 100, for whole requests. */
	expect(f, "{maxConcurrency: 8, headroom: 11.5}", "xx..");
	expect(f, "{maxConcurrency: 9, headroom: 10.2}", "xx..");
	/* 100 * 1.7 is 170, although a float's .7 is less. */
	pool.live[3].requests.word = 169;
	pool.live[2].requests.word = 170;
	expect(f, "{headroom: 0.7}", "xx.x");
	pool.live[0].requests.word = MANY;
	expect(f, "{maxTokenConcurrency: 18446744073709551615, headroom: 9}",
	    ".xxx");
}

/* What a pool's saturation is set by begins the parameters. */
static void test_parameters_of_detectors(void **state)
{
	const struct detector_params *p;
	const struct saturation_options *s;

	(void)state;
	make(1);
	p = params(&filter_utilization_detector, "{}");
	s = (const void *)p;
	assert_int_equal(s->detector, DETECTOR_UTILIZATION);
	assert_true(s->queue_depth == 5 && s->kv_used == .8f);
	assert_int_equal(s->stale_ms, 0);	/* the pool's own default */
	assert_int_equal(s->max_concurrency, 100);
	assert_int_equal(s->max_token_concurrency, 1000000);
	assert_int_equal(s->retry_after_s, 1);
	assert_true(p->headroom == 0);
	s = params(&filter_utilization_detector, "{queueDepthThreshold: 7, "
	    "kvCacheUtilThreshold: 0.5, metricsStalenessThreshold: 1s}");
	assert_true(s->queue_depth == 7 && s->kv_used == .5f);
	assert_int_equal(s->stale_ms, 1000);
	s = params(&filter_concurrency_detector, "{concurrencyMode: hybrid, "
	    "maxConcurrency: 3, maxTokenConcurrency: 4}");
	assert_int_equal(s->detector, DETECTOR_CONCURRENCY);
	assert_int_equal(s->mode, CONCURRENCY_HYBRID);
	assert_int_equal(s->max_concurrency, 3);
	assert_int_equal(s->max_token_concurrency, 4);
	assert_true(s->queue_depth == 5 && s->kv_used == .8f);
	assert_int_equal(s->retry_after_s, 1);
	refuse(filter_utilization_detector.params, "{queueDepthThreshold: 0}",
	    "threshold of 0", "above 0");
	refuse(filter_utilization_detector.params, "{kvCacheUtilThreshold: 2}",
	    "kvCacheUtilThreshold", "0 to 1");
	refuse(filter_utilization_detector.params, "{maxConcurrency: 1}",
	    "maxConcurrency", "one of");
	refuse(filter_concurrency_detector.params, "{maxConcurrency: 0}",
	    "maxConcurrency", "from 1");
	refuse(filter_concurrency_detector.params, "{concurrencyMode: token}",
	    "concurrencyMode", "tokens");
	refuse(filter_concurrency_detector.params, "{headroom: -1}",
	    "headroom", "a number");
}

/* ---- of all of them ---- */

static const struct {
	const struct filter *filter;
	const char *text;
	bool fails_open;	/* keeps everybody rather than nobody */
} all[] = {
	{ &filter_label_selector, "{matchLabels: {a: 1}}", false },
	{ &filter_by_label_selector, "{matchLabels: {a: 2}}", false },
	{ &filter_by_label, "{label: a, validValues: [1]}", false },
	{ &filter_encode, "{}", false },
	{ &filter_prefill, "{}", false },
	{ &filter_decode, "{}", false },
	{ &filter_prefix_cache_affinity, "{explorationProbability: 0.1}", true },
	{ &filter_slo_headroom_tier, "{epsilonExploreNeg: 0.3}", true },
	{ &filter_utilization, CONDITION("running-requests", "9"), false },
	{ &filter_utilization, "{fallbackOnEmpty: true, "
	    "conditions: [{metric: waiting-queue, maxValue: 0}]}", true },
	{ &filter_utilization_detector, "{}", true },
	{ &filter_concurrency_detector, "{concurrencyMode: hybrid}", true },
	{ &filter_topology_affinity, "{minAffinity: zone}", true },
	{ &filter_endpoint_subset, "{}", false },
	{ &filter_header_based_testing, "{}", false },
};

enum { N_ALL = sizeof(all) / sizeof(*all) };

static uint32_t any_u32(struct rng *rng)
{
	return rng_below(rng, 1 + rng_below(rng, MANY)) +
	    (rng_below(rng, 9) == 0 ? MANY : 0);
}

static void make_any_endpoint(size_t i, struct rng *rng)
{
	static const struct label labels[][2] = {
		{ { "a", "1" }, ZONE("z") }, { { "a", "2" }, ZONE("y") },
		{ { "llm-d.ai/role", "both" }, { "a", "" } },
	};

	pool.endpoints[i].labels = labels[rng_below(rng, 3)];
	pool.endpoints[i].n_labels = rng_below(rng, 3);
	pool.stats[i].queued = any_u32(rng);
	pool.stats[i].running = rng_below(rng, 12);
	pool.stats[i].kv_used = (float)rng_below(rng, 1001) / 1000.f;
	pool.stats[i].health = (uint8_t)rng_below(rng, 3);
	pool.stats[i].is_current = rng_below(rng, 3) != 0;
	pool.live[i].requests.word = rng_next(rng);
	pool.live[i].tokens.word = any_u32(rng);
	ewma_reset(&pool.live[i].ttft_us);
	if (rng_below(rng, 3) != 0)
		ewma_add(&pool.live[i].ttft_us, (float)any_u32(rng), 1);
	unsettled[i] = any_u32(rng);
	matched[i] = (uint16_t)rng_below(rng, BLOCKS + 1);
}

static void make_any(size_t n, struct rng *rng)
{
	const char *const pairs[] = {
		"x-epp-peer", "10.0.0.1:8000",
		"test-epp-endpoint-selection", "10.0.0.1,10.0.0.3:8000",
		"x-gateway-destination-endpoint-subset", "10.0.0.2,10.0.0.5:1",
		NULL,
	};

	make(n);
	ask.headers = help_headers(pairs, header_bytes, sizeof(header_bytes));
	request.slo_ttft_ms = rng_below(rng, 2000);
	request.n_blocks = rng_below(rng, 4) == 0 ? 0 : BLOCKS;
	blocks[BLOCKS - 1] = rng_next(rng);
	for (size_t i = 0; i < n; i++)
		make_any_endpoint(i, rng);
}

static void test_who_fails_open_never_leaves_nobody(void **state)
{
	struct rng rng = { 13 };

	(void)state;
	for (int round = 0; round < 1000; round++) {
		size_t n = 1 + rng_below(&rng, N_MAX);

		make_any(n, &rng);
		for (size_t k = 0; k < N_ALL; k++) {
			const char *mask = kept(all[k].filter,
			    params(all[k].filter, all[k].text));

			if (all[k].fails_open && strchr(mask, 'x') == NULL)
				fail_msg("%s leaves nobody", all[k].filter->name);
		}
	}
}

/* Candidates in another order: the same are kept. */
static void test_the_order_does_not_matter(void **state)
{
	struct rng rng = { 14 };

	(void)state;
	for (int round = 0; round < 300; round++) {
		make_any(N_MAX, &rng);
		for (size_t k = 0; k < N_ALL; k++) {
			const struct filter *f = all[k].filter;
			const void *p = params(f, all[k].text);
			struct choice c = choice_of(N_MAX);
			const char *mask = kept(f, p);
			uint32_t straight[N_MAX];
			bool keep[N_MAX];

			for (size_t i = 0; i < N_MAX; i++)
				straight[i] = (uint32_t)i;
			c.rows = straight;
			c.unsettled = unsettled;
			c.matched = matched;
			memset(keep, true, sizeof(keep));
			f->filter(&c, p, keep);
			for (size_t i = 0; i < N_MAX; i++)
				assert_int_equal(keep[i], mask[i] == 'x');
		}
	}
}

static void test_nobody_is_no_trouble(void **state)
{
	(void)state;
	make(1);
	for (size_t k = 0; k < N_ALL; k++) {
		struct choice c = choice_of(0);
		bool keep = true;

		all[k].filter->filter(&c,
		    params(all[k].filter, all[k].text), &keep);
		assert_true(keep);
	}
}

static void test_every_filter_is_found_and_strict(void **state)
{
	(void)state;
	make(1);
	for (size_t k = 0; k < N_ALL; k++) {
		const struct filter *f = all[k].filter;

		assert_ptr_equal(filter_find(f->name), f);
		if (f->params != NULL)
			refuse(f->params, "{nonsense: 1}", "nonsense", "");
	}
	assert_null(filter_find("max-score-picker"));
	assert_null(filter_find(""));
}

static int setup(void **state)
{
	(void)state;
	arena = arena_new(1 << 16, 16 << 20);
	help_pool_init(&pool, "pool", 1);
	return arena == NULL;
}

static int teardown(void **state)
{
	(void)state;
	help_pool_fini(&pool);
	arena_free(arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_label_selectors),
		cmocka_unit_test(test_label_selectors_that_make_no_sense),
		cmocka_unit_test(test_by_label),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_lists_of_addresses),
		cmocka_unit_test(test_lists_that_are_not_there),
		cmocka_unit_test(test_a_nul_is_no_end_of_an_address),
		cmocka_unit_test(test_every_truncation_of_a_list_is_survived),
		cmocka_unit_test(test_random_lists_of_any_length),
		cmocka_unit_test(test_only_so_many_entries_are_read),
		cmocka_unit_test(test_only_near_ones_are_kept),
		cmocka_unit_test(test_affinity_to_a_place_is_no_must),
		cmocka_unit_test(test_the_level_is_the_tightest_one_shared),
		cmocka_unit_test(test_a_key_that_is_almost_one_is_none),
		cmocka_unit_test(test_sticky_ones_are_kept),
		cmocka_unit_test(test_the_load_gate_by_tokens_in_flight),
		cmocka_unit_test(test_the_load_gate_by_what_was_observed),
		cmocka_unit_test(test_parameters_of_prefix_affinity),
		cmocka_unit_test(test_exploration_is_as_likely_as_it_says),
		cmocka_unit_test(test_two_filters_explore_apart),
		cmocka_unit_test(test_chance_of_a_filter),
		cmocka_unit_test(test_who_is_fast_enough_is_kept),
		cmocka_unit_test(test_the_slow_are_tried_now_and_then),
		cmocka_unit_test(test_each_condition_of_the_utilization_filter),
		cmocka_unit_test(test_parameters_of_the_utilization_filter),
		cmocka_unit_test(test_the_utilization_detector_as_a_filter),
		cmocka_unit_test(test_how_old_numbers_may_be),
		cmocka_unit_test(test_the_concurrency_detector_as_a_filter),
		cmocka_unit_test(test_parameters_of_detectors),
		cmocka_unit_test(test_who_fails_open_never_leaves_nobody),
		cmocka_unit_test(test_the_order_does_not_matter),
		cmocka_unit_test(test_nobody_is_no_trouble),
		cmocka_unit_test(test_every_filter_is_found_and_strict),
	};

	return cmocka_run_group_tests_name("filters", tests, setup, teardown);
}
