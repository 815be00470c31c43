#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "slurp.h"

static char dir[] = "/tmp/test_slurp.XXXXXX";
static char path[64];

static int make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/file", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void write_file(size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (size_t i = 0; i < len; i++)
		fputc("abcdefg"[i % 7], f);
	assert_int_equal(fclose(f), 0);
}

static void test_a_file_comes_whole_up_to_the_ceiling(void **state)
{
	static const struct { size_t len, cap; ssize_t got; } rows[] = {
		{ 0, 10, 0 }, { 9, 10, 9 }, { 10, 10, 10 }, { 11, 10, 10 },
		{ 100000, 1 << 20, 100000 }, { 100000, 4096, 4096 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *bytes = NULL;

		write_file(rows[i].len);
		assert_int_equal(slurp_file(path, rows[i].cap, &bytes),
		    rows[i].got);
		for (ssize_t k = 0; k < rows[i].got; k++)
			assert_int_equal(bytes[k], "abcdefg"[k % 7]);
		free(bytes);
	}
}

static void test_what_is_no_file_is_an_error_and_nothing_to_free(void **state)
{
	char *bytes = NULL;

	(void)state;
	assert_int_equal(slurp_file("/nonexistent/file", 10, &bytes), -ENOENT);
	assert_int_equal(slurp_file(dir, 10, &bytes), -EINVAL);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(slurp_file(path, 10, &bytes), -EINVAL);
	assert_int_equal(slurp_file("/dev/zero", 10, &bytes), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_comes_whole_up_to_the_ceiling),
		cmocka_unit_test(
		    test_what_is_no_file_is_an_error_and_nothing_to_free),
	};

	return cmocka_run_group_tests_name("slurp", tests, make_dir, remove_dir);
}
