#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "haproxy_version.h"

static const struct {
	const char *text;
	unsigned version;
} texts[] = {
	{ "2.6", 206 }, { "2.6.12", 206 }, { "2.6.12-1+deb12u4", 206 },
	{ "3.2.7-1~bpo12+1", 302 }, { "3.5-dev5", 305 }, { "10.11", 1011 },
	{ "", 0 }, { "2", 0 }, { "2.", 0 }, { ".6", 0 }, { "2.x", 0 },
	{ "2.6x", 0 }, { "-2.6", 0 }, { "0.6", 0 }, { "100.6", 0 },
	{ "2.100", 0 }, { " 2.6", 0 },
	{ "99999999999999999999.1", 0 },
};

static void test_versions_are_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (haproxy_version_of(texts[i].text) != texts[i].version)
			fail_msg("%s: %u", texts[i].text,
			    haproxy_version_of(texts[i].text));
}

static void test_the_installed_one_tells_its_version(void **state)
{
	struct fault why = { 0 };
	unsigned version = 0;

	(void)state;
	assert_int_equal(haproxy_version_ask("haproxy", &version, &why), 0);
	assert_true(version >= 206);
}

static void test_what_is_none_is_a_fault(void **state)
{
	static const char *const programs[] = { "/nowhere/haproxy", "true",
		"/etc/passwd" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fault why = { 0 };
		unsigned version = 7;

		assert_true(haproxy_version_ask(programs[i], &version, &why) <
		    0);
		assert_true(why.is_set);
		assert_non_null(strstr(why.want, "--haproxy-version"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions_are_numbers),
		cmocka_unit_test(test_the_installed_one_tells_its_version),
		cmocka_unit_test(test_what_is_none_is_a_fault),
	};

	return cmocka_run_group_tests_name("haproxy_version", tests, NULL,
	    NULL);
}
