#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "answer.h"
#include "help.h"
#include "pick.h"

static const struct endpoint a = { .name = { "s1", 2 },
	.addr = { "10.0.0.1:80", 11 } };
static const struct endpoint b = { .name = { "s2", 2 },
	.addr = { "[fd00::2]:80", 12 } };
static const struct endpoint nameless = { .slot = 3 };
static const struct endpoint addressless = { .name = { "s4", 2 } };

static const struct {
	struct pick pick;
	const char *vars;	/* "name=text " of each, in order; status in # */
} answers[] = {
	{ { .n = 1, .choices = { &a } },
	    "eps=10.0.0.1:80 ep=s1 addr=10.0.0.1:80 " },
	{ { .n = 2, .choices = { &b, &a }, .why = "so" },
	    "eps=[fd00::2]:80,10.0.0.1:80 ep=s2 ep2=s1 addr=[fd00::2]:80 "
	    "why=so " },
	{ { .n = 3, .choices = { &a, &addressless, &b } },
	    "eps=10.0.0.1:80,[fd00::2]:80 ep=s1 ep2=s4 addr=10.0.0.1:80 " },
	{ { .n = 1, .choices = { &addressless } }, "ep=s4 " },
	{ { .status = 503, .reason = "r", .message = "m" },
	    "status=#503 reason=r message=m " },
	{ { .status = 400, .message = "bad" }, "status=#400 message=bad " },
	{ { .status = 429, .reason = "r", .retry_after_s = 1 },
	    "status=#429 reason=r retry_after=#1 " },
	{ { .status = 503, .retry_after_s = 86400, .message = "m" },
	    "status=#503 retry_after=#86400 message=m " },
	{ { .message = "no such pool" }, "message=no such pool " },
	{ { .n = 1, .choices = { &a }, .prefill = &b, .rank = &b,
	    .n_encode = 2, .encode = { &b, &a } },
	    "eps=10.0.0.1:80 encode=[fd00::2]:80,10.0.0.1:80 ep=s1 "
	    "addr=10.0.0.1:80 prefill=[fd00::2]:80 rank=[fd00::2]:80 " },
	{ { .n = 1, .choices = { &addressless }, .prefill = &addressless,
	    .n_encode = 1, .encode = { &addressless } }, "ep=s4 " },
	{ { .n = 1, .choices = { &addressless }, .model = { "m", 1 },
	    .model_at = 10, .model_len = 4, .model_grow = -3 },
	    "ep=s4 model=m model_at=#10 model_len=#4 model_grow=#-3 "
	    "model_room=#6 " },
	{ { .model = { "mmmm", 4 }, .model_len = 1, .model_grow = 3 },
	    "model=mmmm model_at=#0 model_len=#1 model_grow=#3 "
	    "model_room=#0 " },
	{ { .status = 400, .model = { "m", 1 }, .model_len = 1 },
	    "status=#400 " },
	/* Never nothing. */
	{ { 0 }, "ep=- " },
	{ { .why = "", .reason = "" }, "ep=- " },
	{ { .n = 1, .choices = { &nameless } }, "ep=- " },
};

static void describe(const struct help_actions *got, char *out, size_t len)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < got->n; i++) {
		const struct spop_data *v = &got->vars[i].value;
		struct span name = got->vars[i].name;

		n += (size_t)snprintf(out + n, len - n, "%.*s=", (int)name.len,
		    name.ptr);
		if (v->type == SPOP_INT64)
			n += (size_t)snprintf(out + n, len - n, "#%d ",
			    (int)v->number);
		else
			n += (size_t)snprintf(out + n, len - n, "%.*s ",
			    v->type == SPOP_STRING ? (int)v->bytes.len : 1,
			    v->type == SPOP_STRING ? v->bytes.ptr : "-");
	}
}

static struct help_actions write_and_read(const struct pick *p, uint8_t *bytes,
    size_t len)
{
	struct writer w = writer_over(bytes, len);
	struct help_actions got;

	answer_write(&w, p);
	assert_false(w.full);
	assert_true(help_read_actions(reader_over(bytes, writer_len(&w)), &got));
	return got;
}

static void test_each_pick_sets_its_variables_and_no_others(void **state)
{
	uint8_t bytes[ANSWER_MAX_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		struct help_actions got = write_and_read(&answers[i].pick,
		    bytes, sizeof(bytes));
		char text[512];

		assert_true(got.n >= 1);
		describe(&got, text, sizeof(text));
		assert_string_equal(text, answers[i].vars);
	}
}

/* ANSWER_MAX_BYTES is a promise; HAProxy's frame is not the place to break it. */
static void test_the_longest_answer_fits(void **state)
{
	static char huge[100000];
	static const struct endpoint giant = {
		.name = { huge, sizeof(huge) - 1 },
		.addr = { huge, sizeof(huge) - 1 },
	};
	uint8_t bytes[ANSWER_MAX_BYTES];
	struct help_actions got;
	struct pick p = { .status = 503, .reason = huge, .message = huge,
		.retry_after_s = UINT32_MAX, .why = huge, .n = 4,
		.choices = { &giant, &giant, &a, &b }, .prefill = &giant,
		.rank = &giant, .n_encode = 4,
		.encode = { &a, &giant, &a, &b }, .model = { huge, 99999 } };

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	got = write_and_read(&p, bytes, sizeof(bytes));
	assert_int_equal(got.n, 12);
	assert_int_equal(help_var(&got, "retry_after")->number, UINT32_MAX);
	for (size_t i = 0; i < got.n; i++)
		assert_true(got.vars[i].value.bytes.len <= 512);
	/* Of a list only whole addresses are of use. */
	assert_true(span_is_text(help_text(&got, "eps"),
	    "10.0.0.1:80,[fd00::2]:80"));
}

static void test_texts_are_cut_at_512_bytes(void **state)
{
	static const size_t lens[] = { 1, 239, 240, 511, 512, 513, 600 };
	uint8_t bytes[ANSWER_MAX_BYTES];
	char text[601];

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		struct pick p = { .why = text };
		struct help_actions got;

		memset(text, 'y', sizeof(text));
		text[lens[i]] = '\0';
		got = write_and_read(&p, bytes, sizeof(bytes));
		assert_int_equal(help_text(&got, "why").len,
		    lens[i] < 512 ? lens[i] : 512);
	}
}

static void test_too_small_a_buffer_is_full_and_not_overrun(void **state)
{
	struct pick p = { .n = 2, .choices = { &a, &b } };
	uint8_t bytes[ANSWER_MAX_BYTES];
	struct writer w = writer_over(bytes, sizeof(bytes));
	size_t whole;

	(void)state;
	answer_write(&w, &p);
	whole = writer_len(&w);
	for (size_t len = 0; len < whole; len++) {
		w = writer_over(bytes, len);
		answer_write(&w, &p);
		assert_true(w.full);
		assert_true(writer_len(&w) <= len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_pick_sets_its_variables_and_no_others),
		cmocka_unit_test(test_the_longest_answer_fits),
		cmocka_unit_test(test_texts_are_cut_at_512_bytes),
		cmocka_unit_test(test_too_small_a_buffer_is_full_and_not_overrun),
	};

	return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
