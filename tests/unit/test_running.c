/*
 * test_running.c - the model says what the worker said
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "output.h"
#include "running.h"

static void test_a_map_is_read_in_order(void **state)
{
	struct running r;

	(void)state;
	running_init(&r);
	assert_int_equal(running_parse_map(&r, MAP_RULE, span_of(
	    "0x1 Rb B2\nnoise\n0x2 Ra B1\n0x3 only\n\n")), 0);
	assert_int_equal(r.maps[MAP_RULE].n, 2);
	assert_string_equal(r.maps[MAP_RULE].items[0].key, "Ra");
	assert_string_equal(r.maps[MAP_RULE].items[0].value, "B1");
	assert_string_equal(r.maps[MAP_RULE].items[1].key, "Rb");
	running_fini(&r);
}

static void test_only_our_servers_are_looked_at(void **state)
{
	struct running r;
	bool is_there;
	size_t at;

	(void)state;
	running_init(&r);
	assert_int_equal(running_parse_servers(&r, span_of("1\n# header\n"
	    "3 Bb 1 10.0.0.2:80 10.0.0.2 2 1 1 1\n"
	    "3 Ba 1 10.0.0.1:80 10.0.0.1 2 0 1 1\n"
	    "4 epp-agents 1 a1 127.0.0.1 2 0 1 1\n"
	    "5 Bc 1 tries - 2 0 1 1\n")), 0);
	assert_int_equal(r.servers.n, 2);
	at = running_find_server(&r, "Bb", "10.0.0.2:80", &is_there);
	assert_true(is_there && r.servers.items[at].is_away);
	at = running_find_server(&r, "Ba", "10.0.0.1:80", &is_there);
	assert_true(is_there && !r.servers.items[at].is_away);
	running_find_server(&r, "Ba", "10.0.0.9:80", &is_there);
	assert_false(is_there);
	running_remove_server(&r, at);
	running_find_server(&r, "Ba", "10.0.0.1:80", &is_there);
	assert_false(is_there);
	running_fini(&r);
}

static void test_a_list_has_its_filters(void **state)
{
	struct running r;

	(void)state;
	running_init(&r);
	assert_int_equal(running_parse_list(&r, "P.list", span_of(
	    "# /d/current/P.list\n/d/certs/K1.pem a.org b.org\n"
	    "/d/certs/K2.pem\n")), 0);
	assert_int_equal(r.certs.n, 2);
	assert_string_equal(r.certs.items[0].cert, "K1.pem");
	assert_string_equal(r.certs.items[0].filters, "a.org b.org");
	assert_string_equal(r.certs.items[1].filters, "");
	running_fini(&r);
}

static struct output *sections(const char *const *texts, size_t n)
{
	struct output *o = output_new();

	assert_non_null(o);
	for (size_t i = 0; i < n; i++) {
		output_section_begin(o, texts[i][0] == 'B' ? texts[i] : "",
		    NULL);
		buf_puts(&o->text, texts[i]);
		output_section_end(o);
	}
	output_finish(o);
	return o;
}

/* A backend too many is no reason to reload; a frontend too many is one. */
static void test_which_shapes_need_no_reload(void **state)
{
	static const char *const texts[] = { "f1", "f2", "B1", "B2", "B3" };
	static const struct {
		size_t from, n;
		bool has;
	} cases[] = {
		{ 0, 5, true }, { 0, 4, true }, { 0, 2, true },
		{ 1, 4, false }, { 0, 1, false },
	};
	struct output *all = sections(texts, 4), *more = sections(texts, 5);
	struct running r;

	(void)state;
	running_init(&r);
	assert_int_equal(running_load(&r, all), 0);
	assert_false(running_has_shape(&r, more));
	assert_int_equal(running_load(&r, more), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct output *o = sections(texts + cases[i].from, cases[i].n);

		assert_int_equal(running_has_shape(&r, o), cases[i].has);
		output_free(o);
	}
	running_fini(&r);
	output_free(all);
	output_free(more);
}

static void test_a_backend_is_found_by_its_name(void **state)
{
	static const char *const texts[] = { "f1", "B3", "f2", "B1", "B2" };
	struct output *o = sections(texts, 5), *none = sections(texts, 1);

	(void)state;
	assert_ptr_equal(output_backend(o, "B1"), &o->sections.items[3]);
	assert_ptr_equal(output_backend(o, "B2"), &o->sections.items[4]);
	assert_ptr_equal(output_backend(o, "B3"), &o->sections.items[1]);
	assert_null(output_backend(o, "B4"));
	assert_null(output_backend(o, ""));
	assert_null(output_backend(none, "B1"));
	output_free(o);
	output_free(none);
}

/* What the runtime API changes is outside of the shape; where it stands is inside. */
static void test_servers_are_no_part_of_the_shape(void **state)
{
	const struct output_server server = { .backend = "B1", .name = "a:1",
		.address = "a:1", .keywords = "" };
	uint64_t shapes[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct output *o = output_new();

		output_section_begin(o, "B1", NULL);
		buf_puts(&o->text, "backend B1\n");
		if (i == 1)
			output_server_add(o, &server);
		output_section_end(o);
		output_finish(o);
		shapes[i] = o->shape;
		output_free(o);
	}
	assert_true(shapes[0] == shapes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_map_is_read_in_order),
		cmocka_unit_test(test_only_our_servers_are_looked_at),
		cmocka_unit_test(test_a_list_has_its_filters),
		cmocka_unit_test(test_which_shapes_need_no_reload),
		cmocka_unit_test(test_a_backend_is_found_by_its_name),
		cmocka_unit_test(test_servers_are_no_part_of_the_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
