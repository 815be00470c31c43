#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "buf.h"
#include "fault.h"
#include "yaml.h"

static int setup(void **state)
{
	*state = arena_new(4096, 64 << 20);
	return *state != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	arena_free(*state);
	return 0;
}

static const struct conf *parse(struct arena *a, const char *text,
    struct fault *why)
{
	*why = (struct fault){ 0 };
	return yaml_parse("f", span_of(text), &yaml_limits_default, a, why);
}

/* A tree as text that can be compared: lists in [], maps in {}, null as ~. */
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

static const struct {
	const char *text, *tree;
} good[] = {
	{ "", "~" },
	{ "# nothing but a comment\n", "~" },
	{ "a: 1\nb: x y\n", "{a=1 b=x y}" },
	{ "{\"a\": [1, \"2\", null, true], \"b\": {}}",
	    "{a=[1 '2' ~ true] b={}}" },
	{ "- a\n-\n- ~\n- ''\n- null\n- 'null'\n", "[a ~ ~ '' ~ 'null']" },
	{ "a:\nb: {c: [d, {e: f}]}\n", "{a=~ b={c=[d {e=f}]}}" },
	{ "t: |\n  one\n  two\n", "{t='one\ntwo\n'}" },
	{ "---\na: 1\n...\n", "{a=1}" },
	{ "\xef\xbb\xbf" "a: 1", "{a=1}" },
	{ "\"\": x", "{=x}" },
};

static void test_text_becomes_this_tree(void **state)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct fault why;
		struct buf out;
		const struct conf *root = parse(*state, good[i].text, &why);

		assert_non_null(root);
		buf_init(&out, 4096);
		spell(&out, root);
		buf_put(&out, "", 1);
		assert_string_equal(out.data, good[i].tree);
		buf_fini(&out);
	}
}

static const struct {
	const char *text;
	unsigned line;
	const char *says;
} bad[] = {
	{ "a: &x 1\nb: *x\n", 1, "an anchor" },
	{ "a: 1\nb: *x\n", 2, "an alias" },
	{ "a: !!str 1\n", 1, "a tag" },
	{ "a: !mine {b: c}\n", 1, "a tag" },
	{ "&k a: 1\n", 1, "an anchor" },
	{ "&r [1]\n", 1, "an anchor" },
	{ "a: 1\n---\nb: 2\n", 2, "a second document" },
	{ "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", 5, "c a second time" },
	{ "? [a]\n: 1\n", 1, "as a key" },
	{ "{[a]: 1}", 1, "as a key" },
	{ "{\"a\": \"x\\0y\"}", 1, "NUL" },
	{ "a: 1\n\tb: 2\n", 2, "not YAML" },
	{ "a: [1, 2\n", 2, "not YAML" },
	{ "a: 1\nb: \xff\n", 2, "UTF-8" },
};

static void test_what_is_refused_says_where_and_what(void **state)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fault why;

		assert_null(parse(*state, bad[i].text, &why));
		assert_true(why.is_set);
		assert_string_equal(why.file, "f");
		assert_int_equal(why.line, bad[i].line);
		assert_true(strstr(why.found, bad[i].says) != NULL ||
		    strstr(why.want, bad[i].says) != NULL);
	}
}

static void test_a_tab_is_called_a_tab(void **state)
{
	struct fault why;

	assert_null(parse(*state, "pools:\n\t- a\n", &why));
	assert_non_null(strstr(why.want, "not a tab"));
}

static void test_children_of_a_map_stand_on_the_line_of_their_key(void **state)
{
	struct fault why;
	const struct conf *root = parse(*state,
	    "a:\n  - 1\n\nb:\n  x: y\n", &why);

	assert_int_equal(conf_child(root, "a")->line, 1);
	assert_int_equal(conf_child(root, "a")->children->line, 2);
	assert_int_equal(conf_child(root, "b")->line, 4);
	assert_null(conf_child(root, "c"));
	assert_null(conf_child(conf_child(root, "a"), "1"));
}

static const struct conf *nested(struct arena *a, size_t depth,
    struct fault *why)
{
	char text[256] = "";

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	return parse(a, text, why);
}

static void test_depth_ends_at_the_limit(void **state)
{
	struct fault why;

	assert_non_null(nested(*state, YAML_DEPTH_MAX, &why));
	assert_null(nested(*state, YAML_DEPTH_MAX + 1, &why));
	assert_non_null(strstr(why.found, "levels"));
}

static void test_nodes_end_at_the_limit(void **state)
{
	const struct yaml_limits few = { .max_bytes = 100, .max_nodes = 4 };
	struct fault why = { 0 };

	assert_non_null(yaml_parse("f", span_of("[1, 2, 3]"), &few, *state,
	    &why));
	assert_null(yaml_parse("f", span_of("[1, 2, 3, 4]"), &few, *state,
	    &why));
	assert_non_null(strstr(why.found, "more than 4 values"));
}

static void test_bytes_end_at_the_limit(void **state)
{
	const struct yaml_limits few = { .max_bytes = 4, .max_nodes = 100 };
	struct fault why = { 0 };

	assert_non_null(yaml_parse("f", span_of("a: 1"), &few, *state, &why));
	assert_null(yaml_parse("f", span_of("a: 12"), &few, *state, &why));
	assert_non_null(strstr(why.found, "more than 4 bytes"));
}

static void test_a_full_arena_is_a_fault_and_no_crash(void **state)
{
	struct arena *small = arena_new(64, 128);
	struct fault why;

	(void)state;
	assert_non_null(small);
	assert_null(parse(small, "a: [1, 2, 3, 4]", &why));
	assert_non_null(strstr(why.found, "no memory"));
	arena_free(small);
}

static void test_every_truncation_gives_a_tree_or_a_fault(void **state)
{
	static const char whole[] =
	    "a: [1, {b: \"c\\u00e4\"}]\nd:\n  - e: 'f'\n    g: >\n      h\n";
	struct fault why;

	for (size_t cut = 0; cut < sizeof(whole); cut++) {
		char *exact = malloc(cut + 1);	/* so that ASan sees the edge */
		const struct conf *root;

		assert_non_null(exact);
		memcpy(exact, whole, cut);
		why = (struct fault){ 0 };
		root = yaml_parse("f", (struct span){ exact, cut },
		    &yaml_limits_default, *state, &why);
		assert_int_equal(root == NULL, why.is_set);
		free(exact);
	}
}

static void test_a_file_that_is_none_is_a_fault(void **state)
{
	static const char *const files[] = { "/nonesuch/f.yaml", "/tmp",
		"/dev/null" };

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		struct fault why = { 0 };

		assert_null(yaml_load(files[i], &yaml_limits_default, *state,
		    &why));
		assert_string_equal(why.file, files[i]);
	}
}

static void test_a_file_reads_as_its_text_does(void **state)
{
	char path[] = "/tmp/test_yaml.XXXXXX";
	const struct yaml_limits few = { .max_bytes = 3, .max_nodes = 100 };
	struct fault why = { 0 };
	int fd = mkstemp(path);
	const struct conf *root;

	assert_int_equal(write(fd, "a: 1", 4), 4);
	close(fd);
	root = yaml_load(path, &yaml_limits_default, *state, &why);
	assert_non_null(root);
	assert_string_equal(conf_child(root, "a")->text, "1");
	assert_null(yaml_load(path, &few, *state, &why));
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_becomes_this_tree),
		cmocka_unit_test(test_what_is_refused_says_where_and_what),
		cmocka_unit_test(test_a_tab_is_called_a_tab),
		cmocka_unit_test(
		    test_children_of_a_map_stand_on_the_line_of_their_key),
		cmocka_unit_test(test_depth_ends_at_the_limit),
		cmocka_unit_test(test_nodes_end_at_the_limit),
		cmocka_unit_test(test_bytes_end_at_the_limit),
		cmocka_unit_test(test_a_full_arena_is_a_fault_and_no_crash),
		cmocka_unit_test(test_every_truncation_gives_a_tree_or_a_fault),
		cmocka_unit_test(test_a_file_that_is_none_is_a_fault),
		cmocka_unit_test(test_a_file_reads_as_its_text_does),
	};

	return cmocka_run_group_tests_name("yaml", tests, setup, teardown);
}
