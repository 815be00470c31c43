#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "prom.h"
#include "prom_line.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

enum { LOG_MAX = 4096 };

static const struct prom_selector wanted[] = {
	{ .name = "m:queue" },
	{ .name = "m:queue_by" },
	{ .name = "m:kv", .matchers = { { "type", "used" } }, .n_matchers = 1 },
	{ .name = "m:kv", .matchers = { { "type", "" } }, .n_matchers = 1 },
	{ .name = "m:kv",
	  .matchers = { { "b", "a\\\"\n}" }, { "type", "x,y" } },
	  .n_matchers = 2 },
};

struct heard {
	char log[LOG_MAX];	/* "selector{labels}value " for each sample */
	size_t len;
};

static void on_sample(void *data, const struct prom_sample *s)
{
	struct heard *h = data;

	h->len += (size_t)snprintf(h->log + h->len, LOG_MAX - h->len,
	    "%zu{%.*s}%g ", s->selector, (int)s->labels.len, s->labels.ptr,
	    s->value);
	assert_true(h->len < LOG_MAX);
}

/* Feeds pieces of `step` bytes, each in memory of its own size for ASan. */
static enum prom_result scan(const char *page, size_t len, size_t step,
    struct heard *h)
{
	struct prom p;
	enum prom_result result;

	h->len = 0;
	h->log[0] = '\0';
	prom_init(&p, wanted, COUNT(wanted), sizeof(*wanted), on_sample, h);
	for (size_t at = 0; at < len; at += step) {
		size_t n = len - at < step ? len - at : step;
		char *piece = malloc(n);

		memcpy(piece, page + at, n);
		prom_feed(&p, piece, n);
		free(piece);
	}
	result = prom_finish(&p);
	assert_true(p.carry.cap <= 1024);
	prom_fini(&p);
	return result;
}

static const struct {
	const char *page, *log;
} good[] = {
	{ "m:queue 3\n", "0{}3 " },
	{ "m:queue 3", "0{}3 " },
	{ "m:queue 3\r\nm:queue 4\r\n", "0{}3 0{}4 " },
	{ "# HELP m:queue 7\n# TYPE m:queue gauge\nm:queue 1\n", "0{}1 " },
	{ "#m:queue 7\n\n\n \nm:queue 1\n# EOF\n", "0{}1 " },
	{ "m:queue_by 2\nm:queue 1\nm:queue_by_more 9\nm:que 8\nm:q 7\nm: 6\n",
	  "1{}2 0{}1 " },
	{ "  m:queue\t 3 \n\tm:queue{} 4\n", "0{}3 0{}4 " },
	{ "m:queue{a=\"1\"} 2.5 1700000000000\n", "0{a=\"1\"}2.5 " },
	{ "m:queue{a=\"1\"} 2 # {trace=\"x\"} 1 1.5\n", "0{a=\"1\"}2 " },
	{ "m:queue 2 17.5 # {} 1\n", "0{}2 " },
	{ "m:queue{a=\"}\",b=\"x,y=\\\"{\\\\\"} 5\n",
	  "0{a=\"}\",b=\"x,y=\\\"{\\\\\"}5 " },
	{ "m:queue { a = \"1\" , b = \"2\" , } 5\n",
	  "0{ a = \"1\" , b = \"2\" , }5 " },
	{ "m:kv{type=\"used\"} 1\nm:kv{type=\"free\"} 2\nm:kv{a=\"b\"} 3\nm:kv 4\n"
	  "m:kv{type=\"\"} 5\n",
	  "2{type=\"used\"}1 3{a=\"b\"}3 3{}4 3{type=\"\"}5 " },
	{ "m:kv{type=\"x,y\",b=\"a\\\\\\\"\\n}\"} 1\n"
	  "m:kv{b=\"a\\\\\\\"\\n}\",type=\"x,y\"} 2\n",
	  "4{type=\"x,y\",b=\"a\\\\\\\"\\n}\"}1 "
	  "4{b=\"a\\\\\\\"\\n}\",type=\"x,y\"}2 " },
	{ "m:queue NaN\nm:queue +Inf\nm:queue -inf\nm:queue 1e3\nm:queue -0.5\n",
	  "0{}nan 0{}inf 0{}-inf 0{}1000 0{}-0.5 " },
	{ "other{a=\"m:queue\"} 1\nxm:queue 2\nm:queueX 3\nM:queue 4\n", "" },
	{ "", "" },
};

static const char *const bad[] = {
	"m:queue\n",
	"m:queue{} \n",
	"m:queue{a=\"1\" 3\n",
	"m:queue{a=\"1} 3\n",
	"m:queue{a=1} 3\n",
	"m:queue{a\"1\"} 3\n",
	"m:queue{,} 3\n",
	"m:queue{a=\"1\"b=\"2\"} 3\n",
	"m:queue{1a=\"1\"} 3\n",
	"m:queue{a=\"\\\"} 3\n",
	"m:queue three\n",
	"m:queue 0x10\n",
	"m:queue 1_000\n",
	"m:queue 1 now\n",
	"m:queue 1 2 3\n",
	"m:queue --1\n",
	"m:queue .\n",
	"m:queue 1e\n",
};

static void test_wanted_samples_are_heard_in_order(void **state)
{
	struct heard h;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(scan(good[i].page, strlen(good[i].page), 65536,
			&h), PROM_OK);
		assert_string_equal(h.log, good[i].log);
	}
}

static void test_no_cut_of_a_page_changes_what_is_heard(void **state)
{
	struct heard h;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		for (size_t step = 1; step <= strlen(good[i].page); step++) {
			assert_int_equal(scan(good[i].page,
				strlen(good[i].page), step, &h), PROM_OK);
			assert_string_equal(h.log, good[i].log);
		}
}

static void test_a_wanted_line_off_the_format_is_bad(void **state)
{
	struct heard h;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		for (size_t step = 1; step <= strlen(bad[i]); step++) {
			assert_int_equal(scan(bad[i], strlen(bad[i]), step, &h),
			    PROM_BAD);
			assert_int_equal(h.len, 0);
		}
}

/* Two pages from random pieces of the grammar, cut anywhere: same answer. */
static void test_random_pages_are_the_same_however_cut(void **state)
{
	static const char *const pieces[] = {
		"m:queue", "m:kv", "m:queue_by", "m:", "{", "}", "type=\"used\"",
		"a=\"", "\"", "\\", ",", " ", "\t", "\n", "\n", "\n", "\r\n",
		"1", "2.5", "NaN", "#", "m:queue 1\n", "x",
	};
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		char page[512] = "";
		size_t len = 0;
		struct heard whole, cut;
		enum prom_result result;

		for (int i = 0; i < 30; i++) {
			seed = seed * 1103515245u + 12345u;
			len += (size_t)snprintf(page + len, sizeof(page) - len,
			    "%s", pieces[(seed >> 16) % COUNT(pieces)]);
		}
		result = scan(page, len, sizeof(page), &whole);
		for (size_t step = 1; step < 20; step += 3) {
			assert_int_equal(scan(page, len, step, &cut), result);
			assert_string_equal(cut.log, whole.log);
		}
	}
}

/* Of a wanted name and of no other: a line's length alone is no fault. */
static void test_only_a_wanted_line_can_be_too_long(void **state)
{
	size_t len = 2 * PROM_LINE_MAX;
	char *page = malloc(len + 1);
	static const size_t steps[] = { 1, 7, 4096, 1 << 20 };
	struct heard h;

	(void)state;
	memset(page, 'x', len);
	memcpy(page + len - 10, "\nm:queue 1", 10);
	page[len] = '\n';
	for (size_t i = 0; i < COUNT(steps); i++) {
		memcpy(page, "other{a=\"", 9);
		assert_int_equal(scan(page, len + 1, steps[i], &h), PROM_OK);
		assert_string_equal(h.log, "0{}1 ");
		memcpy(page, "m:queue{a", 9);
		assert_int_equal(scan(page, len + 1, steps[i], &h),
		    PROM_TOO_LONG);
		assert_int_equal(h.len, 0);
	}
	free(page);
}

static void test_the_first_failure_sticks_until_reset(void **state)
{
	struct heard h = { .len = 0 };
	struct prom p;

	(void)state;
	prom_init(&p, wanted, COUNT(wanted), sizeof(*wanted), on_sample, &h);
	assert_int_equal(prom_feed(&p, "m:queue\nm:queue 1\n", 18), PROM_BAD);
	assert_int_equal(prom_feed(&p, "m:queue 1\n", 10), PROM_BAD);
	assert_int_equal(prom_finish(&p), PROM_BAD);
	assert_int_equal(h.len, 0);
	prom_reset(&p);
	assert_int_equal(prom_feed(&p, "m:queue 1\nm:que", 15), PROM_OK);
	prom_reset(&p);		/* the cut line is of the page before */
	assert_int_equal(prom_feed(&p, "ue 2\n", 5), PROM_OK);
	assert_int_equal(prom_finish(&p), PROM_OK);
	assert_string_equal(h.log, "0{}1 ");
	prom_fini(&p);
}

static void test_a_page_fed_whole_allocates_nothing(void **state)
{
	struct heard h = { .len = 0 };
	struct prom p;

	(void)state;
	prom_init(&p, wanted, COUNT(wanted), sizeof(*wanted), on_sample, &h);
	for (size_t i = 0; i < COUNT(good); i++) {
		size_t len = strlen(good[i].page);

		if (len == 0 || good[i].page[len - 1] != '\n')
			continue;
		h.len = 0;
		assert_int_equal(prom_feed(&p, good[i].page, len), PROM_OK);
		assert_int_equal(prom_finish(&p), PROM_OK);
		assert_null(p.carry.data);
		prom_reset(&p);
	}
	assert_int_equal(prom_feed(&p, "unwanted{a=\"cut he", 18), PROM_OK);
	assert_null(p.carry.data);
	prom_fini(&p);
}

static void test_a_label_is_found_and_unescaped(void **state)
{
	struct span labels = span_of("a=\"1\", bb=\"x\\\\y\\\"z\\n\\q\" ,c=\"\",");
	char out[16];

	(void)state;
	assert_true(prom_label(labels, "a", out, sizeof(out)));
	assert_string_equal(out, "1");
	assert_true(prom_label(labels, "bb", out, sizeof(out)));
	assert_string_equal(out, "x\\y\"z\n\\q");
	assert_true(prom_label(labels, "bb", out, 3));
	assert_string_equal(out, "x\\");
	assert_true(prom_label(labels, "c", out, sizeof(out)));
	assert_string_equal(out, "");
	assert_false(prom_label(labels, "b", out, sizeof(out)));
	assert_false(prom_label(span_of(""), "a", out, sizeof(out)));
}

static void test_numbers_are_those_of_strtod(void **state)
{
	static const char *const numbers[] = {
		"0", "1", "1.0", "0.1", "0.30000000000000004", "123456789012345",
		"1234567890123456", "9007199254740993", "1.7976931348623157e+308",
		"5e-324", "1e999", "-1.5E-3", "+7", ".5", "5.", "000000000000001.5",
		"0.000000000000001", "1700000000.123", "12345678.9012345",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		double value = -1;

		assert_true(prom_number(span_of(numbers[i]), &value));
		assert_true(value == strtod(numbers[i], NULL));
	}
}

static void test_numbers_do_not_depend_on_the_locale(void **state)
{
	double value;

	(void)state;
	if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL)
		skip();
	assert_true(prom_number(span_of("1.5e1"), &value));
	setlocale(LC_NUMERIC, "C");
	assert_true(value == 15.0);
}

static void test_a_selector_is_read_as_promql_and_as_llm_d_write_it(void **state)
{
	static const char *const texts[] = {
		"m", " m ", "m{}", "m{a=\"x\"}", "m{a=x}", "m { a = x , b=\"y\" , }",
		"a:b_1{type=\"a\\\"b\",c=d e}",
	};
	static const char *const keys[] = {
		"m", "m", "m", "m a=x", "m a=x", "m a=x b=y",
		"a:b_1 type=a\"b c=d e",
	};
	struct arena *arena = arena_new(4096, 65536);

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct fault why = { .is_set = false };
		struct prom_selector s;
		char out[128];
		int n;

		assert_int_equal(prom_selector_parse(&s, texts[i], arena, &why),
		    0);
		n = snprintf(out, sizeof(out), "%s", s.name);
		for (size_t k = 0; k < s.n_matchers; k++)
			n += snprintf(out + n, sizeof(out) - (size_t)n, " %s=%s",
			    s.matchers[k].key, s.matchers[k].value);
		assert_string_equal(out, keys[i]);
	}
	arena_free(arena);
}

static void test_a_selector_we_cannot_honour_is_a_fault(void **state)
{
	static const char *const texts[] = {
		"", "{a=\"b\"}", "1m", "m{", "m{a", "m{a=}", "m{a=b", "m}", "m{}x",
		"m{a!=\"b\"}", "m{a=~\"b\"}", "m{a!~b}", "m{a=~b}", "m-n",
		"m{a=1,b=2,c=3,d=4,e=5}", "m{=b}", "m{a==b}", "m[5m]",
		"m{a=b}[5m]", "m{a:b=c}", "m{\r=b}",
	};
	struct arena *arena = arena_new(4096, 65536);

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct fault why = { .is_set = false };
		struct prom_selector s;

		assert_int_equal(prom_selector_parse(&s, texts[i], arena, &why),
		    -EINVAL);
		assert_true(why.is_set && why.want[0] != '\0');
	}
	arena_free(arena);
}

static void test_a_selector_without_memory_is_enomem(void **state)
{
	struct arena *arena = arena_new(16, 16);
	struct fault why = { .is_set = false };
	struct prom_selector s;

	(void)state;
	assert_int_equal(prom_selector_parse(&s, "metric{aaaaaaaaa=\"b\"}", arena,
		&why), -ENOMEM);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wanted_samples_are_heard_in_order),
		cmocka_unit_test(test_no_cut_of_a_page_changes_what_is_heard),
		cmocka_unit_test(test_a_wanted_line_off_the_format_is_bad),
		cmocka_unit_test(test_random_pages_are_the_same_however_cut),
		cmocka_unit_test(test_only_a_wanted_line_can_be_too_long),
		cmocka_unit_test(test_the_first_failure_sticks_until_reset),
		cmocka_unit_test(test_a_page_fed_whole_allocates_nothing),
		cmocka_unit_test(test_a_label_is_found_and_unescaped),
		cmocka_unit_test(test_numbers_are_those_of_strtod),
		cmocka_unit_test(test_numbers_do_not_depend_on_the_locale),
		cmocka_unit_test(
		    test_a_selector_is_read_as_promql_and_as_llm_d_write_it),
		cmocka_unit_test(test_a_selector_we_cannot_honour_is_a_fault),
		cmocka_unit_test(test_a_selector_without_memory_is_enomem),
	};

	return cmocka_run_group_tests_name("prom", tests, NULL, NULL);
}
