#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "pem.h"
#include "slurp.h"

struct pair {
	char dir[32];
	char *crt, *key;
};

static char *text_of(const char *dir, const char *name)
{
	char path[64], *bytes;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	n = slurp_file(path, 1 << 16, &bytes);
	assert_true(n > 0 && n < 1 << 16);
	bytes[n] = '\0';
	return bytes;
}

static struct pair pair_new(void)
{
	struct pair p = { .dir = "/tmp/pem-test.XXXXXX" };
	char command[512];

	assert_non_null(mkdtemp(p.dir));
	snprintf(command, sizeof(command), "openssl req -x509 -newkey ec "
	    "-pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=a "
	    "-keyout %s/key -out %s/crt 2>%s/log", p.dir, p.dir, p.dir);
	assert_int_equal(system(command), 0);
	p.crt = text_of(p.dir, "crt");
	p.key = text_of(p.dir, "key");
	return p;
}

static void pair_free(struct pair *p)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	assert_int_equal(system(command), 0);
	free(p->crt);
	free(p->key);
}

static void test_a_certificate_and_its_key_are_a_pair(void **state)
{
	struct pair p = pair_new(), other = pair_new();

	(void)state;
	assert_null(pem_check_pair(span_of(p.crt), span_of(p.key)));
	assert_null(pem_check_cas(span_of(p.crt)));
	assert_non_null(strstr(pem_check_pair(span_of(p.crt),
	    span_of(other.key)), "not the key"));
	assert_non_null(strstr(pem_check_pair(span_of(p.key),
	    span_of(p.key)), "tls.crt"));
	assert_non_null(strstr(pem_check_pair(span_of(p.crt),
	    span_of(p.crt)), "tls.key"));
	assert_non_null(pem_check_cas(span_of(p.key)));
	pair_free(&p);
	pair_free(&other);
}

static void test_a_chain_is_certificates_to_its_end(void **state)
{
	struct pair p = pair_new(), q = pair_new();
	struct buf both;

	(void)state;
	buf_init(&both, 1 << 16);
	buf_printf(&both, "%s%s", p.crt, q.crt);
	assert_null(pem_check_cas(buf_span(&both)));
	both.data[both.len - 40] = '!';
	assert_non_null(pem_check_cas(buf_span(&both)));
	buf_fini(&both);
	pair_free(&p);
	pair_free(&q);
}

static void test_every_truncation_is_bad(void **state)
{
	struct pair p = pair_new();

	(void)state;
	for (size_t n = 0; n + 2 < strlen(p.crt); n += 7)
		assert_non_null(pem_check_cas((struct span){ p.crt, n }));
	for (size_t n = 0; n + 2 < strlen(p.key); n += 7)
		assert_non_null(pem_check_pair(span_of(p.crt),
		    (struct span){ p.key, n }));
	pair_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_certificate_and_its_key_are_a_pair),
		cmocka_unit_test(test_a_chain_is_certificates_to_its_end),
		cmocka_unit_test(test_every_truncation_is_bad),
	};

	return cmocka_run_group_tests_name("pem", tests, NULL, NULL);
}
