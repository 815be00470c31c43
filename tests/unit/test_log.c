#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

/* ---- stderr, caught: a datagram for each write() ---- */

static int saved_stderr, caught = -1;

static int catch_stderr(void **state)
{
	int pair[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	saved_stderr = dup(STDERR_FILENO);
	dup2(pair[1], STDERR_FILENO);
	close(pair[1]);
	caught = pair[0];
	return 0;
}

static int release_stderr(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_INFO);
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(caught);
	return 0;
}

/* What one write() wrote; "" when there was none. */
static const char *next_write(void)
{
	static char text[4096];
	ssize_t n = recv(caught, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void test_an_event_is_one_line_in_one_write(void **state)
{
	(void)state;
	log_error("room.thing", "key=%s other=%d", "value", 7);
	assert_string_equal(next_write(), "error room.thing key=value other=7\n");
	log_warn("room.thing", "%s", "");
	assert_string_equal(next_write(), "warn room.thing \n");
	assert_string_equal(next_write(), "");
}

static void test_lines_above_the_level_are_dropped(void **state)
{
	static const struct {
		const char *name;
		void (*log)(const char *event, const char *fmt, ...);
	} levels[] = {
		{ "error a.b c\n", log_error }, { "warn a.b c\n", log_warn },
		{ "info a.b c\n", log_info }, { "debug a.b c\n", log_debug },
	};

	(void)state;
	for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
		log_set_level(level);
		for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
			levels[i].log("a.b", "c");
			assert_string_equal(next_write(),
			    i <= level ? levels[i].name : "");
		}
	}
}

static void test_a_fact_too_long_is_cut_and_still_a_line(void **state)
{
	char fact[3000];

	(void)state;
	for (size_t len = 980; len < sizeof(fact); len += len < 1040 ? 1 : 300) {
		const char *line;

		memset(fact, 'x', len);
		fact[len] = '\0';
		log_error("a.b", "f=%s", fact);
		line = next_write();
		assert_true(strlen(line) <= 1024);
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
		assert_non_null(strstr(line, "a.b f=xxxx"));
	}
}

/* A peer's words are quoted here and there; they shall not pass for our own. */
static void test_no_fact_breaks_the_line(void **state)
{
	(void)state;
	log_error("a.b", "pool=\"%s\"", "x\nerror c.d forged=1\r\t\x1b[31m\x7f");
	assert_string_equal(next_write(),
	    "error a.b pool=\"x?error c.d forged=1???[31m?\"\n");
	log_error("a.b", "pool=\"%s\"", "\xc3\xa9");	/* UTF-8 is left alone */
	assert_string_equal(next_write(), "error a.b pool=\"\xc3\xa9\"\n");
}

/* ---- the gate ---- */

static void test_the_gate_opens_once_a_second_and_counts_the_rest(void **state)
{
	struct log_gate gate = { 0 };
	uint32_t held = 99, n_shut = 0;

	(void)state;
	for (int64_t now = 5000; now < 15000; now += 7) {
		if (!log_gate_open(&gate, now, &held)) {
			n_shut++;
			continue;
		}
		assert_int_equal(held, n_shut);
		n_shut = 0;
		assert_false(log_gate_open(&gate, now + 999, &held));
		n_shut++;
	}
	assert_true(log_gate_open(&gate, INT64_MAX / 2, &held));
	assert_int_equal(held, n_shut);
}

static void test_the_gate_is_open_at_first(void **state)
{
	struct log_gate at_boot = { 0 }, later = { 0 };
	uint32_t held = 99;

	(void)state;
	assert_true(log_gate_open(&at_boot, 0, &held));
	assert_int_equal(held, 0);
	assert_true(log_gate_open(&later, 1, &held));
}

enum { KNOCKERS = 4, KNOCKS = 5000 };

static void *knock(void *data)
{
	struct log_gate *gate = data;
	uint32_t held;
	uintptr_t heard = 0;

	for (int i = 0; i < KNOCKS; i++)
		if (log_gate_open(gate, i, &held))
			heard += 1 + held;
	return (void *)heard;
}

static void test_many_threads_lose_no_count(void **state)
{
	struct log_gate gate = { 0 };
	pthread_t threads[KNOCKERS];
	uintptr_t sum = 0;

	(void)state;
	for (int i = 0; i < KNOCKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, knock, &gate),
		    0);
	for (int i = 0; i < KNOCKERS; i++) {
		void *heard;

		pthread_join(threads[i], &heard);
		sum += (uintptr_t)heard;
	}
	assert_int_equal(sum + gate.held, KNOCKERS * KNOCKS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_an_event_is_one_line_in_one_write,
		    catch_stderr, release_stderr),
		cmocka_unit_test_setup_teardown(
		    test_lines_above_the_level_are_dropped,
		    catch_stderr, release_stderr),
		cmocka_unit_test_setup_teardown(
		    test_a_fact_too_long_is_cut_and_still_a_line,
		    catch_stderr, release_stderr),
		cmocka_unit_test_setup_teardown(test_no_fact_breaks_the_line,
		    catch_stderr, release_stderr),
		cmocka_unit_test(
		    test_the_gate_opens_once_a_second_and_counts_the_rest),
		cmocka_unit_test(test_the_gate_is_open_at_first),
		cmocka_unit_test(test_many_threads_lose_no_count),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
