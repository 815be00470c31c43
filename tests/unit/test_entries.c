/* Who forwards to whom, against a look at each endpoint's address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "endpoints.h"
#include "entries.h"
#include "rng.h"

enum { N = 12, PORT = 8000 };

static const char *const hosts[] = { "10.0.0.1", "10.0.0.11", "[fd00::1]",
	"[fd00::1:8000]", "" };
static const uint16_t ports[] = { PORT, 80, 800, 18000, 8001 };

static void test_entries_agree_with_the_addresses(void **state)
{
	struct rng rng = { 3 };

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct endpoint endpoints[N];
		char texts[N][32];
		size_t host[N], port[N], n = rng_below(&rng, N + 1);
		struct entries *e;

		for (size_t i = 0; i < n; i++) {
			host[i] = rng_below(&rng, 5);
			port[i] = rng_below(&rng, 5);
			snprintf(texts[i], sizeof(texts[i]), "%s:%u",
			    hosts[host[i]], ports[port[i]]);
			endpoints[i] = (struct endpoint){
				.addr = span_of(texts[i]) };
		}
		e = entries_new(endpoints, n, PORT);
		assert_non_null(e);
		assert_int_equal(e->port, PORT);
		for (size_t i = 0; i < n; i++) {
			size_t k = 0;

			while (k < n && (host[k] != host[i] || port[k] != 0))
				k++;
			assert_int_equal(e->rows[i], k);
		}
		free(e);
	}
}

/* No address is as long; no endpoint of ours is without one. */
static void test_what_is_no_address_has_none(void **state)
{
	char large[600];
	struct endpoint endpoints[3] = { { .addr = { 0 } } };
	struct entries *e;

	(void)state;
	memset(large, 'x', sizeof(large));
	endpoints[1].addr = (struct span){ large, sizeof(large) };
	endpoints[2].addr = span_of("a:8000");
	e = entries_new(endpoints, 3, PORT);
	assert_int_equal(e->rows[0], 3);
	assert_int_equal(e->rows[2], 2);
	free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_agree_with_the_addresses),
		cmocka_unit_test(test_what_is_no_address_has_none),
	};

	return cmocka_run_group_tests_name("entries", tests, NULL, NULL);
}
