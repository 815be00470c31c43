/* Columns answer as a look at each endpoint's labels does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "endpoints.h"
#include "label_columns.h"
#include "options.h"
#include "plugins/label.h"
#include "rng.h"

enum { N = 5, LABELS = 3, KEYS = 6 };

static uint64_t id(const char *value)
{
	return value != NULL ? endpoint_value_id(span_of(value)) : 0;
}

static void test_a_column_has_each_endpoints_value(void **state)
{
	static const struct label a[] = { { "x", "1" }, { "y", "" } };
	static const struct label c[] = { { "y", "2" }, { "x", "1" } };
	const struct endpoint endpoints[] = {
		{ .labels = a, .n_labels = 2 }, { .n_labels = 0 },
		{ .labels = c, .n_labels = 2 },
	};
	struct label_columns *l = label_columns_new(endpoints, 3);
	const uint64_t *x, *y, *z;

	(void)state;
	assert_non_null(l);
	x = label_column(l, endpoint_label_id("x"));
	y = label_column(l, endpoint_label_id("y"));
	z = label_column(l, endpoint_label_id("z"));
	assert_true(x[0] == id("1") && x[1] == 0 && x[2] == id("1"));
	assert_true(y[0] == id("") && y[1] == 0 && y[2] == id("2"));
	assert_true(y[0] != 0 && y[0] != y[2]);
	assert_true(z[0] == 0 && z[1] == 0 && z[2] == 0);
	assert_null(label_column(NULL, endpoint_label_id("x")));
	free(l);
}

static void test_columns_agree_with_the_labels(void **state)
{
	static const char *const texts[] = { "a", "b", "c", "", "e", "f" };
	struct rng rng = { 1 };

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct label labels[N][LABELS];
		struct endpoint endpoints[N] = { 0 };
		struct label_columns *l;

		for (size_t i = 0; i < N; i++) {
			endpoints[i].labels = labels[i];
			endpoints[i].n_labels = rng_below(&rng, LABELS + 1);
			for (size_t k = 0; k < LABELS; k++)	/* twice, too */
				labels[i][k] = (struct label){
					texts[rng_below(&rng, KEYS)],
					texts[rng_below(&rng, KEYS)] };
		}
		l = label_columns_new(endpoints, N);
		assert_non_null(l);
		for (size_t k = 0; k < KEYS; k++)
			for (size_t i = 0; i < N; i++)
				assert_true(label_column(l,
				    endpoint_label_id(texts[k]))[i] ==
				    id(label_value(&endpoints[i], texts[k])));
		free(l);
	}
}

/* As many as there may be are known; of one more, endpoints must be asked. */
static void test_keys_without_a_column_are_said_to_be(void **state)
{
	static char keys[LABEL_COLUMNS_MAX + 1][24];
	struct label labels[LABEL_COLUMNS_MAX + 1];

	(void)state;
	for (size_t n = LABEL_COLUMNS_MAX; n <= LABEL_COLUMNS_MAX + 1; n++) {
		struct endpoint e = { .labels = labels, .n_labels = n };
		struct label_columns *l;

		for (size_t k = 0; k < n; k++) {
			snprintf(keys[k], sizeof(keys[k]), "k%zu", k);
			labels[k] = (struct label){ keys[k], "v" };
		}
		l = label_columns_new(&e, 1);
		assert_non_null(l);
		for (size_t k = 0; k < LABEL_COLUMNS_MAX; k++)
			assert_true(*label_column(l,
			    endpoint_label_id(keys[k])) == id("v"));
		assert_int_equal(label_column(l,
		    endpoint_label_id("other")) == NULL,
		    n > LABEL_COLUMNS_MAX);
		if (n > LABEL_COLUMNS_MAX)
			assert_null(label_column(l,
			    endpoint_label_id(keys[n - 1])));
		free(l);
	}
}

static void test_a_pool_of_nobody_has_no_labels(void **state)
{
	struct label_columns *l = label_columns_new(NULL, 0);

	(void)state;
	assert_non_null(l);
	assert_int_equal(l->n, 0);
	free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_column_has_each_endpoints_value),
		cmocka_unit_test(test_columns_agree_with_the_labels),
		cmocka_unit_test(test_keys_without_a_column_are_said_to_be),
		cmocka_unit_test(test_a_pool_of_nobody_has_no_labels),
	};

	return cmocka_run_group_tests_name("label_columns", tests, NULL, NULL);
}
