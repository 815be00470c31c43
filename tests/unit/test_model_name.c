#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model_name.h"

static void test_what_json_and_a_header_can_carry(void **state)
{
	char name[MODEL_NAME_MAX + 1];

	(void)state;
	memset(name, 'x', sizeof(name));
	assert_true(model_is_name(span_of("meta-llama/Llama-3.1-8B \"it\" \xc3\xa9")));
	assert_true(model_is_name((struct span){ name, MODEL_NAME_MAX }));
	assert_false(model_is_name((struct span){ name, MODEL_NAME_MAX + 1 }));
	assert_false(model_is_name(span_of("")));
	assert_false(model_is_name(span_of("a\nb")));
	assert_false(model_is_name(span_of("a\x7f")));
	assert_false(model_is_name((struct span){ "a\0b", 3 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_json_and_a_header_can_carry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
