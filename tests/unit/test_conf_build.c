#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "conf_build.h"
#include "fault.h"
#include "json_tree.h"
#include "yaml.h"

struct told {
	struct buf text;
	unsigned last_line;
	unsigned stop_after;	/* so many; 0: never */
	unsigned n;
};

static void spell(struct buf *out, const struct conf *c)
{
	if (c->key != NULL)
		buf_printf(out, "%s=", c->key);
	if (c->type == CONF_NULL)
		buf_puts(out, "~");
	if (c->type == CONF_SCALAR)
		buf_printf(out, c->quoted ? "'%s'" : "%s", c->text);
	if (c->type != CONF_LIST && c->type != CONF_MAP)
		return;
	buf_puts(out, c->type == CONF_LIST ? "[" : "{");
	for (const struct conf *k = c->children; k != NULL; k = k->next) {
		spell(out, k);
		buf_puts(out, k->next != NULL ? " " : "");
	}
	buf_puts(out, c->type == CONF_LIST ? "]" : "}");
}

static bool on_document(void *data, const struct conf *root,
    struct conf_place place)
{
	struct told *t = data;

	buf_printf(&t->text, "%u.%u:", place.document, place.item);
	spell(&t->text, root);
	buf_puts(&t->text, " ");
	t->last_line = root->line;
	return ++t->n != t->stop_after;
}

static int tell(const char *text, bool json, struct told *t, struct fault *why)
{
	int err;

	*why = (struct fault){ 0 };
	buf_init(&t->text, 1 << 16);
	err = (json ? json_each : yaml_each)("f", span_of(text),
	    &yaml_limits_default, on_document, t, why);
	buf_put(&t->text, "", 1);
	assert_int_equal(err != 0, why->is_set);
	return err;
}

static const struct {
	const char *text;
	bool json;
	const char *told;
} good[] = {
	{ "", false, "" },
	{ "---\n---\n# nothing\n", false, "" },
	{ "a: 1\n---\nb: 2\n", false, "1.0:{a=1} 2.0:{b=2} " },
	{ "---\n---\na: 1\n...\n---\nx\n", false, "2.0:{a=1} 3.0:x " },
	/* A List's entries come one by one, what is around them last. */
	{ "items:\n- a: 1\n- b\n-\n- [c]\nkind: List\n", false,
	    "1.1:{a=1} 1.2:b 1.3:~ 1.4:[c] 1.0:{items=[] kind=List} " },
	{ "items: []\n", false, "1.0:{items=[]} " },
	{ "items: {a: 1}\n", false, "1.0:{items={a=1}} " },
	{ "a: {items: [1]}\n", false, "1.0:{a={items=[1]}} " },
	{ "{\"items\": [{\"items\": [1, 2]}], \"a\": 1}\n{\"b\": null}", true,
	    "1.1:{items=[1 2]} 1.0:{items=[] a=1} 2.0:{b=~} " },
	{ "[1, true, \"true\", \"\\u00e9\\n\"]", true,
	    "1.0:[1 true 'true' '\xc3\xa9\n'] " },
	{ " 1 2\n\"x\" ", true, "1.0:1 2.0:2 3.0:'x' " },
	{ "", true, "" },
};

static void test_documents_are_handed_over_in_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct told t = { .stop_after = 0 };
		struct fault why;

		assert_int_equal(tell(good[i].text, good[i].json, &t, &why), 0);
		assert_string_equal(t.text.data, good[i].told);
		buf_fini(&t.text);
	}
}

static const struct {
	const char *text;
	bool json;
	unsigned line;
	const char *found;
} bad[] = {
	{ "a: 1\n---\nb: 2\nb: 3\n", false, 4, "b a second time" },
	{ "items:\n- a: 1\n  a: 2\n", false, 3, "a a second time" },
	{ "a: [\n", false, 2, "not YAML" },
	{ "{\"a\": 1,\n\"a\": 2}", true, 2, "a a second time" },
	{ "{\"a\":\n\n", true, 3, "the end" },
	{ "\"abc", true, 1, "the end" },
	{ "{\"a\": 1}\n\n}", true, 3, "not JSON" },
	{ "[\n\"a\\u0000\"]", true, 2, "NUL" },
	{ "nul", true, 1, "the end" },
	{ "nulx", true, 1, "not JSON" },
};

static void test_what_is_wrong_is_told_with_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct told t = { .stop_after = 0 };
		struct fault why;

		assert_int_not_equal(tell(bad[i].text, bad[i].json, &t, &why),
		    0);
		assert_int_equal(why.line, bad[i].line);
		if (strstr(why.found, bad[i].found) == NULL)
			fail_msg("%s: %s", bad[i].text, why.found);
		buf_fini(&t.text);
	}
}

static void test_lines_are_those_of_the_file(void **state)
{
	static const char *const texts[] = {
		"a: 1\n---\n\n\nb: 2\n", "{\n\"a\": 1}\n\n\n{\n\"b\": 2}",
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct told t = { .stop_after = 0 };
		struct fault why;

		assert_int_equal(tell(texts[i], i == 1, &t, &why), 0);
		assert_int_equal(t.last_line, 5);
		buf_fini(&t.text);
	}
}

static void test_who_has_enough_is_given_no_more(void **state)
{
	static const char *const texts[] = {
		"a: 1\n---\nb: [\n", "items:\n- 1\n- 2\n- [\n", "{\"items\": [1,",
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct told t = { .stop_after = 1 };
		struct fault why;

		assert_int_equal(tell(texts[i], i == 2, &t, &why), 0);
		assert_int_equal(t.n, 1);
		buf_fini(&t.text);
	}
}

/* A limit that counts values is one of each object, not of the whole file. */
static void test_limits_are_of_one_object(void **state)
{
	const struct yaml_limits limits = { 1 << 20, 4 };
	static const char *const fit[] = {
		"{a: 1, b: 2}\n---\n{c: 3, d: 4}\n",
		"items: [{a: 1, b: 2}, {c: 3, d: 4}, 5]\n",
	};
	struct fault why = { 0 };
	struct told t = { .stop_after = 0 };

	(void)state;
	buf_init(&t.text, 1 << 16);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(yaml_each("f", span_of(fit[i]), &limits,
		    on_document, &t, &why), 0);
	assert_int_equal(yaml_each("f", span_of("[1, 2, 3, 4]"), &limits,
	    on_document, &t, &why), -22);
	assert_non_null(strstr(why.found, "more than 4 values"));
	why = (struct fault){ 0 };
	assert_int_equal(json_each("f", span_of("[1, 2, 3, 4]"), &limits,
	    on_document, &t, &why), -22);
	buf_fini(&t.text);
}

static void test_depth_has_an_end(void **state)
{
	char deep[4096];

	(void)state;
	for (int json = 0; json < 2; json++)
		for (size_t n = CONF_BUILD_DEPTH_MAX;
		    n <= CONF_BUILD_DEPTH_MAX + 1; n++) {
			struct told t = { .stop_after = 0 };
			struct fault why;

			memset(deep, '[', n);
			memset(deep + n, ']', n);
			deep[2 * n] = '\0';
			assert_int_equal(tell(deep, json, &t, &why) == 0,
			    n == CONF_BUILD_DEPTH_MAX);
			buf_fini(&t.text);
		}
}

/* The property worth more than any example: no prefix of a text passes. */
static void test_every_truncation_of_json_is_bad(void **state)
{
	static const char text[] = "{\"a\": [1, {\"b\": \"c\\u00e9\"}, null]}";

	(void)state;
	for (size_t n = 1; n < sizeof(text) - 1; n++) {
		struct told t = { .stop_after = 0 };
		struct fault why;
		char cut[sizeof(text)];

		memcpy(cut, text, n);
		cut[n] = '\0';
		assert_int_equal(tell(cut, true, &t, &why), -22);
		buf_fini(&t.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documents_are_handed_over_in_order),
		cmocka_unit_test(test_what_is_wrong_is_told_with_its_line),
		cmocka_unit_test(test_lines_are_those_of_the_file),
		cmocka_unit_test(test_who_has_enough_is_given_no_more),
		cmocka_unit_test(test_limits_are_of_one_object),
		cmocka_unit_test(test_depth_has_an_end),
		cmocka_unit_test(test_every_truncation_of_json_is_bad),
	};

	return cmocka_run_group_tests_name("conf_build", tests, NULL, NULL);
}
