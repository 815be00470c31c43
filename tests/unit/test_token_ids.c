#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "token_ids.h"

enum { MOST = 8 };

static const char *const good[] = {
	"{\"count\":3,\"max_model_len\":8192,\"tokens\":[1,22,4294967295],"
	    "\"token_strs\":null}",
	"{\"token_ids\":[1,22,4294967295],\"features\":{\"a\":[]}}",
	"[{\"request_id\":\"x\",\"token_ids\":[1,22,4294967295]}]",
	" { \"sampling_params\" : {\"tokens\":[7], \"x\":[[8]]} , \"tokens\" : [ 1 ,"
	    " 22 , 4294967295 ] } ",
};

static const char *const bad[] = {
	"", "null", "7", "[]", "{}", "[[1,2]]", "[1,2]", "{\"tokens\":[]}",
	"{\"tokens\":null}", "{\"tokens\":7}", "{\"tokens\":[\"a\"]}",
	"{\"tokens\":[1,-2]}", "{\"tokens\":[1.5]}", "{\"tokens\":[4294967296]}",
	"{\"tokens\":[1,[2]]}", "{\"tokens\":{\"tokens\":[1]}}",
	"{\"a\":{\"tokens\":[1]}}", "{\"tokens\":[1,2,3,4,5,6,7,8,9]}",
	"{\"object\":\"error\",\"message\":\"tokens\"}", "<html>", "{\"tokens\" [1]}",
	"[{\"a\":1},{\"tokens\":[1]}]",
};

static void test_each_form_of_an_answer_is_read(void **state)
{
	uint32_t ids[MOST];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(token_ids_read(span_of(good[i]), ids, MOST), 3);
		assert_int_equal(ids[0], 1);
		assert_int_equal(ids[1], 22);
		assert_true(ids[2] == UINT32_MAX);
	}
}

static void test_anything_else_is_none(void **state)
{
	uint32_t ids[MOST];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (token_ids_read(span_of(bad[i]), ids, MOST) != 0)
			fail_msg("%s", bad[i]);
}

/* Half a list would be taken for another prompt. */
static void test_no_truncation_within_the_list_passes(void **state)
{
	uint32_t ids[MOST];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		size_t end = (size_t)(strstr(good[i], "4294967295") - good[i]);

		end += strcspn(good[i] + end, "]");
		for (size_t len = 0; len <= end; len++) {
			char *exact = malloc(len + 1);

			memcpy(exact, good[i], len);
			assert_int_equal(token_ids_read((struct span){ exact,
				len }, ids, MOST), 0);
			free(exact);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_form_of_an_answer_is_read),
		cmocka_unit_test(test_anything_else_is_none),
		cmocka_unit_test(test_no_truncation_within_the_list_passes),
	};

	return cmocka_run_group_tests_name("token_ids", tests, NULL, NULL);
}
