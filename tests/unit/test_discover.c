#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ev.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "discover.h"
#include "fault.h"
#include "log.h"

struct seen {
	struct ev_loop *loop;
	unsigned n_calls;
	char last[1024];
};

static void on_found(void *data, const struct endpoint_spec *specs, size_t n)
{
	struct seen *s = data;
	size_t len = 0;

	s->n_calls++;
	s->last[0] = '\0';
	for (size_t i = 0; i < n && len < sizeof(s->last); i++)
		len += (size_t)snprintf(s->last + len, sizeof(s->last) - len,
		    "%s=%s:%u/%s/%zu%s ", specs[i].name,
		    specs[i].address != NULL ? specs[i].address : "?",
		    specs[i].port, specs[i].engine, specs[i].n_labels,
		    specs[i].ready ? "" : "/away");
	ev_break(s->loop, EVBREAK_ALL);
}

static void on_late(EV_P_ ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	ev_break(EV_A_ EVBREAK_ALL);
}

static bool is_called_within(struct seen *s, double seconds)
{
	unsigned before = s->n_calls;
	ev_timer late;

	ev_now_update(s->loop);
	ev_timer_init(&late, on_late, seconds, 0.);
	ev_timer_start(s->loop, &late);
	ev_run(s->loop, 0);
	ev_timer_stop(s->loop, &late);
	return s->n_calls > before;
}

static int setup(void **state)
{
	struct seen *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->loop = ev_loop_new(EVFLAG_AUTO);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct seen *s = *state;

	ev_loop_destroy(s->loop);
	free(s);
	return 0;
}

static struct options *options_of(const char *text)
{
	struct fault why = { 0 };
	struct options *o = options_parse("f", span_of(text), &why);

	assert_non_null(o);
	return o;
}

static void test_numeric_endpoints_are_told_at_once(void **state)
{
	struct seen *s = *state;
	struct options *o = options_of("pools: [{name: p, engine: sglang,"
	    " endpoints: [{name: b, address: 10.0.0.1, port: 1},"
	    " {name: a, address: '[::1]', ports: [2, 3], engine: vllm,"
	    " labels: {k: v}}]}]");
	struct discover *d = discover_start(s->loop, &o->pools[0], on_found, s);

	assert_non_null(d);
	assert_int_equal(s->n_calls, 1);
	assert_string_equal(s->last, "b=10.0.0.1:1/sglang/0 a-2=::1:2/vllm/1 "
	    "a-3=::1:3/vllm/1 ");
	discover_stop(d);
	options_free(o);
}

static void test_a_name_is_told_first_without_and_then_with_address(
    void **state)
{
	struct seen *s = *state;
	struct options *o = options_of("pools: [{name: p, endpoints:"
	    " [{name: a, address: 10.0.0.1, port: 1},"
	    " {name: l, address: localhost, ports: [2, 3]}]}]");
	struct discover *d = discover_start(s->loop, &o->pools[0], on_found, s);

	assert_string_equal(s->last, "a=10.0.0.1:1/vllm/0 l-2=?:2/vllm/0 "
	    "l-3=?:3/vllm/0 ");
	assert_true(is_called_within(s, 10.));
	assert_null(strchr(s->last, '?'));
	assert_int_equal(s->n_calls, 2);
	discover_stop(d);
	options_free(o);
}

static void test_stopping_while_a_name_is_asked_is_clean(void **state)
{
	struct seen *s = *state;
	struct options *o = options_of("pools: [{name: p, endpoints:"
	    " [{name: l, address: localhost, port: 2}]}]");

	for (int i = 0; i < 20; i++)
		discover_stop(discover_start(s->loop, &o->pools[0], on_found,
		    s));
	ev_run(s->loop, EVRUN_NOWAIT);
	assert_int_equal(s->n_calls, 20);
	discover_stop(NULL);
	options_free(o);
}

static void put(const char *path, const char *text)
{
	char temp[128];
	FILE *f;

	snprintf(temp, sizeof(temp), "%s.tmp", path);
	f = fopen(temp, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(rename(temp, path), 0);
}

static const char two[] = "endpoints:\n"
    "- {name: a, address: 10.0.0.1, port: 1}\n"
    "- {name: b, address: 10.0.0.2, port: 1, labels: {x: y}}\n";

/* Each step's text, and what is told then; NULL: nothing. */
static const struct {
	const char *text, *told;
} steps[] = {
	{ two, "a=10.0.0.1:1/vllm/0 b=10.0.0.2:1/vllm/1 " },
	{ two, NULL },
	{ "endpoints: [{name: a", NULL },
	{ "", NULL },
	{ "endpoints: [{name: a, address: 10.0.0.1, port: 1, engine: nix}]",
	    NULL },
	{ "endpoints: [{name: a, address: 10.0.0.9, port: 1}]",
	    "a=10.0.0.9:1/vllm/0 " },
	{ "endpoints: [{name: a, address: 10.0.0.9, port: 1, engine: sglang}]",
	    "a=10.0.0.9:1/sglang/0 " },
	{ "endpoints: []", "" },
};

static void test_a_file_is_told_when_it_is_good_and_differs(void **state)
{
	struct seen *s = *state;
	char dir[] = "/tmp/test_discover.XXXXXX", path[64], text[128];
	struct options *o;
	struct discover *d;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/endpoints.yaml", dir);
	snprintf(text, sizeof(text), "pools: [{name: p, file: %s}]", path);
	o = options_of(text);
	d = discover_start(s->loop, &o->pools[0], on_found, s);
	assert_int_equal(s->n_calls, 0);	/* it is not there yet */
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		bool is_told = steps[i].told != NULL;

		put(path, steps[i].text);
		assert_int_equal(is_called_within(s, is_told ? 5. : .15),
		    is_told);
		if (is_told)
			assert_string_equal(s->last, steps[i].told);
	}
	discover_stop(d);
	options_free(o);
	unlink(path);
	rmdir(dir);
}

static void test_a_name_keeps_its_address_when_its_set_changes(void **state)
{
	struct seen *s = *state;
	char dir[] = "/tmp/test_discover.XXXXXX", path[64], text[128];
	struct options *o;
	struct discover *d;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/endpoints.yaml", dir);
	snprintf(text, sizeof(text), "pools: [{name: p, file: %s}]", path);
	put(path, "endpoints: [{name: l, address: localhost, port: 1}]");
	o = options_of(text);
	d = discover_start(s->loop, &o->pools[0], on_found, s);
	assert_string_equal(s->last, "l=?:1/vllm/0 ");
	assert_true(is_called_within(s, 10.));
	put(path, "endpoints: [{name: l, address: localhost, port: 2}]");
	assert_true(is_called_within(s, 10.));
	assert_null(strchr(s->last, '?'));
	discover_stop(d);
	options_free(o);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_numeric_endpoints_are_told_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_name_is_told_first_without_and_then_with_address,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_stopping_while_a_name_is_asked_is_clean, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_file_is_told_when_it_is_good_and_differs, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_name_keeps_its_address_when_its_set_changes, setup,
		    teardown),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("discover", tests, NULL, NULL);
}
