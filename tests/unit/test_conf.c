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
#include "yaml.h"

struct inner {
	uint32_t n;
	bool on;
};

struct outer {
	const char *name;
	uint16_t port;
	uint64_t big;
	size_t bytes;
	int64_t wait_ms;
	int32_t level;
	float share;
	int colour;
	bool flag;
	struct inner inner;
	const struct inner *list;
	size_t n_list;
	const uint16_t *ports;
	size_t n_ports;
};

static const char *const colours[] = { "red", "green", "blue", NULL };

static int check_inner(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct inner *inner = out;

	if (inner->n != 13)
		return 0;
	fault_set(in->why, in->file, map->line, "thirteen", "another number");
	return -22;
}

static const struct conf_row inner_rows[] = {
	{ .key = "n", .decode = conf_u32, .preset = "7", .min = 1, .max = 100,
	  .offset = offsetof(struct inner, n), .help = "a number" },
	{ .key = "on", .decode = conf_bool, .preset = "true",
	  .offset = offsetof(struct inner, on), .help = "a switch" },
};

static const struct conf_table inner_table = {
	.what = "an inner", .size = sizeof(struct inner), .rows = inner_rows,
	.n_rows = 2, .check = check_inner,
};

static const struct conf_row port_row = {
	.key = "ports", .decode = conf_u16, .min = 1,
};

static const struct conf_table port_table = {
	.what = "ports", .size = sizeof(uint16_t), .item = &port_row,
};

static const struct conf_row outer_rows[] = {
	{ .key = "name", .decode = conf_string, .required = true,
	  .offset = offsetof(struct outer, name), .help = "what it is called" },
	{ .key = "port", .decode = conf_u16, .min = 1, .preset = "80",
	  .offset = offsetof(struct outer, port), .help = "a port" },
	{ .key = "big", .decode = conf_u64, .preset = "0",
	  .offset = offsetof(struct outer, big), .help = "a big number" },
	{ .key = "bytes", .decode = conf_size, .preset = "64k", .max = 1 << 30,
	  .offset = offsetof(struct outer, bytes), .help = "a size" },
	{ .key = "wait", .decode = conf_duration, .preset = "50ms",
	  .max = 86400000,
	  .offset = offsetof(struct outer, wait_ms), .help = "a time" },
	{ .key = "level", .decode = conf_i32, .preset = "-3",
	  .offset = offsetof(struct outer, level), .help = "a level" },
	{ .key = "share", .decode = conf_fraction, .preset = "0.5", .min = 0,
	  .max = 10, .offset = offsetof(struct outer, share),
	  .help = "a share" },
	{ .key = "colour", .decode = conf_enum, .preset = "green",
	  .names = colours,
	  .offset = offsetof(struct outer, colour), .help = "a colour" },
	{ .key = "flag", .decode = conf_bool,
	  .offset = offsetof(struct outer, flag), .help = "a flag" },
	{ .key = "inner", .decode = conf_section, .preset = "{}",
	  .table = &inner_table,
	  .offset = offsetof(struct outer, inner), .help = "a section" },
	{ .key = "list", .decode = conf_list, .table = &inner_table, .max = 3,
	  .offset = offsetof(struct outer, list),
	  .offset_n = offsetof(struct outer, n_list), .help = "a list" },
	{ .key = "ports", .decode = conf_list, .table = &port_table, .min = 1,
	  .preset = "99", .offset = offsetof(struct outer, ports),
	  .offset_n = offsetof(struct outer, n_ports), .help = "ports" },
};

static const struct conf_table outer_table = {
	.what = "an outer", .size = sizeof(struct outer), .rows = outer_rows,
	.n_rows = sizeof(outer_rows) / sizeof(*outer_rows),
};

static int setup(void **state)
{
	*state = arena_new(4096, 16 << 20);
	return *state != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	arena_free(*state);
	return 0;
}

static int decode(struct arena *a, const char *text, struct outer *out,
    struct fault *why)
{
	const struct conf_input in = { "f", a, why };
	const struct conf *root;

	*why = (struct fault){ 0 };
	*out = (struct outer){ 0 };
	root = yaml_parse("f", span_of(text), &yaml_limits_default, a, why);
	assert_non_null(root);
	return conf_decode(&in, &outer_table, root, out);
}

static void test_what_is_not_given_is_its_preset(void **state)
{
	struct fault why;
	struct outer o;

	assert_int_equal(decode(*state, "name: x", &o, &why), 0);
	assert_string_equal(o.name, "x");
	assert_int_equal(o.port, 80);
	assert_int_equal(o.big, 0);
	assert_int_equal(o.bytes, 65536);
	assert_int_equal(o.wait_ms, 50);
	assert_int_equal(o.level, -3);
	assert_float_equal(o.share, .5f, 0);
	assert_int_equal(o.colour, 1);
	assert_false(o.flag);
	assert_int_equal(o.inner.n, 7);
	assert_true(o.inner.on);
	assert_int_equal(o.n_list, 0);
	assert_int_equal(o.n_ports, 1);
	assert_int_equal(o.ports[0], 99);
}

static void test_an_empty_key_is_as_if_not_given(void **state)
{
	struct fault why;
	struct outer o;

	assert_int_equal(decode(*state, "name: x\nport:\ninner:\nlist: ~\n", &o,
	    &why), 0);
	assert_int_equal(o.port, 80);
	assert_int_equal(o.inner.n, 7);
}

static void test_what_is_given_is_taken(void **state)
{
	struct fault why;
	struct outer o;

	assert_int_equal(decode(*state,
	    "{name: 12, port: 65535, big: 18446744073709551615, bytes: 16MiB,"
	    " wait: 1m30s, colour: blue, flag: true,"
	    " inner: {n: 100, on: false},"
	    " list: [{n: 1}, {n: 2, on: false}], ports: [1, 2]}", &o, &why), 0);
	assert_string_equal(o.name, "12");
	assert_int_equal(o.port, 65535);
	assert_true(o.big == UINT64_MAX);
	assert_int_equal(o.bytes, 16 << 20);
	assert_int_equal(o.wait_ms, 90000);
	assert_int_equal(o.colour, 2);
	assert_true(o.flag);
	assert_int_equal(o.inner.n, 100);
	assert_false(o.inner.on);
	assert_int_equal(o.n_list, 2);
	assert_int_equal(o.list[1].n, 2);
	assert_false(o.list[1].on);
	assert_true(o.list[0].on);
	assert_int_equal(o.ports[1], 2);
}

static const struct {
	const char *text;
	unsigned line;
	const char *found, *want;
} bad[] = {
	{ "prot: 1\nname: x", 1, "an outer with unknown key prot", "port" },
	{ "name: x\nzzzzzzzz: 1", 2, "an outer with unknown key zzzzzzzz",
	    "one of: name, port, big, bytes, wait, level, share, colour, flag, "
	    "inner, list, ports" },
	{ "port: 1", 1, "an outer without name", "name: what it is called" },
	{ "\nport: 1\nname: ~", 3, "an outer without name",
	    "name: what it is called" },
	{ "name: []", 1, "name: a list", "a string" },
	{ "name: ''", 1, "name: \"\"", "a string" },
	{ "name: x\nport: 0", 2, "port: 0", "a whole number from 1 to 65535" },
	{ "name: x\nport: 65536", 2, "port: 65536",
	    "a whole number from 1 to 65535" },
	{ "name: x\nport: -1", 2, "port: -1",
	    "a whole number from 1 to 65535" },
	{ "name: x\nport: 080", 2, "port: 080",
	    "a whole number from 1 to 65535" },
	{ "name: x\nport: 0x50", 2, "port: 0x50",
	    "a whole number from 1 to 65535" },
	{ "name: x\nport: 1e3", 2, "port: 1e3",
	    "a whole number from 1 to 65535" },
	{ "name: x\nport: '80'", 2, "port: \"80\"",
	    "a whole number from 1 to 65535" },
	{ "name: x\nbig: 18446744073709551616", 2, "big: 18446744073709551616",
	    "a whole number from 0 to 18446744073709551615" },
	{ "name: x\nbytes: 2G", 2, "bytes: 2G",
	    "a size from 0 to 1073741824 bytes" },
	{ "name: x\nbytes: 1MB", 2, "bytes: 1MB",
	    "a size such as 65536, 64k, 16MiB or 1G" },
	{ "name: x\nbytes: 18446744073709551615k", 2,
	    "bytes: 18446744073709551615k",
	    "a size such as 65536, 64k, 16MiB or 1G" },
	{ "name: x\nwait: 5", 2, "wait: 5",
	    "a duration such as 50ms, 1s, 2m or 1h" },
	{ "name: x\nwait: 1s0", 2, "wait: 1s0",
	    "a duration such as 50ms, 1s, 2m or 1h" },
	{ "name: x\nwait: 99999999999999999999h", 2,
	    "wait: 99999999999999999999h",
	    "a duration such as 50ms, 1s, 2m or 1h" },
	{ "name: x\nwait: 25h", 2, "wait: 25h",
	    "a duration from 0ms to 86400000ms" },
	{ "name: x\nlevel: 2147483648", 2, "level: 2147483648",
	    "a whole number from -2147483648 to 2147483647" },
	{ "name: x\nlevel: -2147483649", 2, "level: -2147483649",
	    "a whole number from -2147483648 to 2147483647" },
	{ "name: x\nlevel: 18446744073709551615", 2,
	    "level: 18446744073709551615",
	    "a whole number from -2147483648 to 2147483647" },
	{ "name: x\nlevel: '-1'", 2, "level: \"-1\"",
	    "a whole number from -2147483648 to 2147483647" },
	{ "name: x\nlevel: []", 2, "level: a list",
	    "a whole number from -2147483648 to 2147483647" },
	{ "name: x\nshare: 10.000001", 2, "share: 10.000001",
	    "a number from 0 to 10, as 0.8" },
	{ "name: x\nshare: '1'", 2, "share: \"1\"",
	    "a number from 0 to 10, as 0.8" },
	{ "name: x\nshare: {}", 2, "share: a map",
	    "a number from 0 to 10, as 0.8" },
	{ "name: x\ncolour: gren", 2, "colour: gren", "green" },
	{ "name: x\ncolour: {}", 2, "colour: a map",
	    "one of: red, green, blue" },
	{ "name: x\nflag: yes", 2, "flag: yes", "true or false" },
	{ "name: x\nflag: 'true'", 2, "flag: \"true\"", "true or false" },
	{ "name: x\ninner: 1", 2, "inner: 1", "a map: key: value" },
	{ "name: x\ninner: {n: 0}", 2, "n: 0", "a whole number from 1 to 100" },
	{ "name: x\ninner:\n  n: 13", 2, "thirteen", "another number" },
	{ "name: x\nlist: 1", 2, "list: 1", "a list" },
	{ "name: x\nlist:\n- n: 1\n- 5", 4, "an inner: 5",
	    "a map: key: value" },
	{ "name: x\nlist: [{}, {}, {}, {}]", 2, "list: a list",
	    "a list of at most 3" },
	{ "name: x\nports: []", 2, "ports: a list", "a list of 1 or more" },
	{ "name: x\nports: [1, ~]", 2, "ports: nothing",
	    "a whole number from 1 to 65535" },
	{ "[]", 1, "an outer: a list", "a map: key: value" },
	{ "name: x\nport: \"a\\nb\\e\"", 2, "port: \"a?b?\"",
	    "a whole number from 1 to 65535" },
};

static void test_what_does_not_fit_says_what_would(void **state)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fault why;
		struct outer o;

		assert_true(decode(*state, bad[i].text, &o, &why) < 0);
		assert_string_equal(why.found, bad[i].found);
		assert_string_equal(why.want, bad[i].want);
		assert_int_equal(why.line, bad[i].line);
		assert_string_equal(why.file, "f");
	}
}

static const struct {
	const char *text;
	int64_t ms;
} durations[] = {
	{ "0", 0 }, { "0s", 0 }, { "50ms", 50 }, { "1s", 1000 },
	{ "2m", 120000 }, { "1h", 3600000 }, { "1h1m1s1ms", 3661001 },
};

static void test_durations_are_milliseconds(void **state)
{
	for (size_t i = 0; i < sizeof(durations) / sizeof(*durations); i++) {
		char text[64];
		struct fault why;
		struct outer o;

		snprintf(text, sizeof(text), "{name: x, wait: %s}",
		    durations[i].text);
		assert_int_equal(decode(*state, text, &o, &why), 0);
		assert_int_equal(o.wait_ms, durations[i].ms);
	}
}

static const struct {
	const char *text;
	int32_t n;
} signeds[] = {
	{ "0", 0 }, { "-0", 0 }, { "1", 1 }, { "-1", -1 },
	{ "2147483647", INT32_MAX }, { "-2147483648", INT32_MIN },
};

static void test_signed_numbers_reach_both_ends(void **state)
{
	for (size_t i = 0; i < sizeof(signeds) / sizeof(*signeds); i++) {
		char text[64];
		struct fault why;
		struct outer o;

		snprintf(text, sizeof(text), "{name: x, level: %s}",
		    signeds[i].text);
		assert_int_equal(decode(*state, text, &o, &why), 0);
		assert_int_equal(o.level, signeds[i].n);
	}
}

static const struct {
	const char *text;
	float n;
} fractions[] = {
	{ "0", 0 }, { "0.0", 0 }, { "10", 10 }, { "10.000000", 10 },
	{ "0.8", .8f }, { "0.80", .8f }, { "1.25", 1.25f }, { "9.5", 9.5f },
	{ "0.000001", .000001f }, { "0.999999", .999999f },
};

static void test_fractions_are_plain_decimals(void **state)
{
	for (size_t i = 0; i < sizeof(fractions) / sizeof(*fractions); i++) {
		char text[64];
		struct fault why;
		struct outer o;

		snprintf(text, sizeof(text), "{name: x, share: %s}",
		    fractions[i].text);
		assert_int_equal(decode(*state, text, &o, &why), 0);
		assert_float_equal(o.share, fractions[i].n, 1e-9f);
	}
}

/* What other readers of numbers would take, or take for something else. */
static void test_odd_spellings_are_no_numbers(void **state)
{
	static const char *const odd[] = {
		"+1", "--1", "-x", "1-", "01", "-01", "0x1", "1e1", "1_0",
		"1,0", "1.", ".5", "-.5", "-0.5", "0..5", "0.5.", "0.5f", "00.5",
		"1.2.3", "0.0000001", "inf", ".inf", "nan", ".nan", "1 0", "1%",
		"4294967296", "99999999999999999999", "0.-5", "0.+5", "0. 5",
	};

	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++)
		for (size_t k = 0; k < 2; k++) {
			char text[64];
			struct fault why;
			struct outer o;

			snprintf(text, sizeof(text), "name: x\n%s: %s\n",
			    k == 0 ? "level" : "share", odd[i]);
			if (decode(*state, text, &o, &why) != -22)
				fail_msg("%s is taken", text);
			assert_int_equal(why.line, 2);
		}
}

static const struct {
	const char *text;
	size_t bytes;
} sizes[] = {
	{ "0", 0 }, { "1", 1 }, { "64k", 65536 }, { "64K", 65536 },
	{ "1Ki", 1024 }, { "1kib", 1024 }, { "2m", 2 << 20 },
	{ "2Mi", 2 << 20 }, { "1G", 1 << 30 }, { "1GiB", 1 << 30 },
};

static void test_sizes_are_of_1024(void **state)
{
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char text[64];
		struct fault why;
		struct outer o;

		snprintf(text, sizeof(text), "{name: x, bytes: \"%s\"}",
		    sizes[i].text);
		assert_int_equal(decode(*state, text, &o, &why), 0);
		assert_int_equal(o.bytes, sizes[i].bytes);
	}
}

static void test_one_value_alone_is_a_list_of_one(void **state)
{
	struct fault why;
	struct outer o;

	assert_int_equal(decode(*state, "{name: x, ports: 8000}", &o, &why), 0);
	assert_int_equal(o.n_ports, 1);
	assert_int_equal(o.ports[0], 8000);
}

/* Whatever does not fit into the arena must come back as a fault. */
static void test_a_full_arena_is_a_fault_and_no_crash(void **state)
{
	static const char text[] = "{name: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, "
	    "list: [{}, {}, {}], ports: [1, 2, 3]}";
	struct fault why = { 0 };
	const struct conf *root = yaml_parse("f", span_of(text),
	    &yaml_limits_default, *state, &why);

	for (size_t max = 16; max < 96; max += 16) {
		struct arena *small = arena_new(max, max);
		const struct conf_input in = { "f", small, &why };
		struct outer o = { 0 };

		why = (struct fault){ 0 };
		assert_int_equal(conf_decode(&in, &outer_table, root, &o), -12);
		assert_true(why.is_set);
		arena_free(small);
	}
}

/* Who wants paths hears where it is, through sections and lists. */
static void test_a_path_leads_to_the_place(void **state)
{
	static const struct {
		const char *text, *found;
	} cases[] = {
		{ "{name: x, port: 70000}", "Thing d/x: port: 70000" },
		{ "{name: x, prt: 1}", "Thing d/x: an outer with unknown key prt" },
		{ "{port: 1}", "Thing d/x: an outer without name" },
		{ "{name: x, inner: {n: x}}", "Thing d/x: inner.n: x" },
		{ "{name: x, inner: {m: 1}}", "Thing d/x: inner: " },
		{ "{name: x, list: [{n: 1}, {n: y}]}",
		    "Thing d/x: list[1].n: y" },
		{ "{name: x, list: [{n: 1}, 5]}", "Thing d/x: list[1]: 5" },
		{ "{name: x, ports: [1, z]}", "Thing d/x: ports[1]: z" },
		{ "{name: x, ports: 1}", "Thing d/x: ports: 1" },
	};
	const struct fault_path root = { NULL, "Thing d/x", 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fault why = { 0 };
		const struct conf_input in = { "f", *state, &why };
		const struct conf *map = yaml_parse("f",
		    span_of(cases[i].text), &yaml_limits_default, *state, &why);
		struct outer o = { 0 };

		why.path = &root;
		assert_int_equal(conf_decode(&in, &outer_table, map, &o), -22);
		if (strncmp(why.found, cases[i].found,
			strlen(cases[i].found)) != 0)
			fail_msg("%s: %s", cases[i].text, why.found);
		assert_ptr_equal(why.path, &root);
	}
}

static void test_an_open_map_keeps_its_secrets(void **state)
{
	struct conf_table open = outer_table;
	struct fault why = { 0 };
	const struct conf_input in = { "f", *state, &why };
	struct outer o = { 0 };

	open.is_open = true;
	assert_int_equal(conf_decode(&in, &open, yaml_parse("f",
	    span_of("{name: x, other: {a: 1}}"), &yaml_limits_default, *state,
	    &why), &o), 0);
	assert_string_equal(o.name, "x");
}

static void test_help_has_every_row(void **state)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	conf_print_help(out, &outer_table);
	fclose(out);
	for (size_t i = 0; i < outer_table.n_rows; i++)
		assert_non_null(strstr(text, outer_rows[i].help));
	assert_non_null(strstr(text, "list[].n "));
	assert_non_null(strstr(text, "inner.on "));
	assert_non_null(strstr(text, "(required)"));
	free(text);
}

/* Names are told whole, or not at all: 256 bytes are all there is room for. */
static void test_names_that_there_is_no_room_for_are_left_out(void **state)
{
	const char *const names[] = {
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
		"ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
		"ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
	};
	char whole[256];

	(void)state;
	for (size_t n = 1; n <= 4; n++) {
		struct fault why = { 0 };

		conf_want_name(&why, "e", names, n);
		snprintf(whole, sizeof(whole), "one of: %s%s%s%s%s%s",
		    names[0], n > 1 ? ", " : "", n > 1 ? names[1] : "",
		    n > 2 ? ", " : "", n > 2 ? names[2] : "",
		    n > 3 ? ", ..." : "");
		assert_string_equal(why.want, whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_given_is_its_preset),
		cmocka_unit_test(test_an_empty_key_is_as_if_not_given),
		cmocka_unit_test(test_what_is_given_is_taken),
		cmocka_unit_test(test_what_does_not_fit_says_what_would),
		cmocka_unit_test(test_durations_are_milliseconds),
		cmocka_unit_test(test_signed_numbers_reach_both_ends),
		cmocka_unit_test(test_fractions_are_plain_decimals),
		cmocka_unit_test(test_odd_spellings_are_no_numbers),
		cmocka_unit_test(test_sizes_are_of_1024),
		cmocka_unit_test(test_one_value_alone_is_a_list_of_one),
		cmocka_unit_test(test_a_full_arena_is_a_fault_and_no_crash),
		cmocka_unit_test(test_a_path_leads_to_the_place),
		cmocka_unit_test(test_an_open_map_keeps_its_secrets),
		cmocka_unit_test(
		    test_names_that_there_is_no_room_for_are_left_out),
		cmocka_unit_test(test_help_has_every_row),
	};

	return cmocka_run_group_tests_name("conf", tests, setup, teardown);
}
