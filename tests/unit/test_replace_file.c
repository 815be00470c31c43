#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replace_file.h"
#include "slurp.h"

static char dir[] = "/tmp/epp-replace-XXXXXX";
static char file[64];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/epp-replace-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/f", dir);
	return 0;
}

static size_t entries(void)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static int teardown(void **state)
{
	(void)state;
	rmdir(file);
	unlink(file);
	return rmdir(dir);
}

static void assert_says(const char *text)
{
	char *bytes;
	ssize_t n = slurp_file(file, 1 << 20, &bytes);

	assert_int_equal(n, strlen(text));
	assert_memory_equal(bytes, text, strlen(text));
	free(bytes);
}

static void test_new_content_with_the_mode_asked_for(void **state)
{
	struct stat st;

	(void)state;
	umask(0);
	assert_int_equal(replace_file(file, span_of("one"), 0600), 0);
	assert_says("one");
	assert_int_equal(replace_file(file, span_of("two, longer"), 0640), 0);
	assert_says("two, longer");
	assert_int_equal(replace_file(file, span_of(""), 0600), 0);
	assert_says("");
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(entries(), 1);
}

/* Who has the old one open goes on reading the old one: it was not written over. */
static void test_the_old_one_is_never_touched(void **state)
{
	char text[8] = "";
	FILE *f;

	(void)state;
	assert_int_equal(replace_file(file, span_of("old"), 0600), 0);
	f = fopen(file, "r");
	assert_int_equal(replace_file(file, span_of("new"), 0600), 0);
	assert_non_null(fgets(text, sizeof(text), f));
	assert_string_equal(text, "old");
	fclose(f);
}

static void test_failure_leaves_nothing_behind(void **state)
{
	(void)state;
	assert_int_equal(mkdir(file, 0700), 0);	/* cannot be renamed over */
	assert_int_equal(replace_file(file, span_of("x"), 0600), -EISDIR);
	assert_int_equal(entries(), 1);
	assert_int_equal(replace_file("/nonexistent/f", span_of("x"), 0600),
	    -ENOENT);
}

static void test_pieces_are_one_file_or_none(void **state)
{
	struct replacement r;

	(void)state;
	assert_int_equal(replace_file(file, span_of("old"), 0600), 0);
	replace_begin(&r, file);
	replace_put(&r, span_of("one, "));
	replace_put(&r, span_of(""));
	replace_put(&r, span_of("two"));
	assert_says("old");
	assert_int_equal(entries(), 2);
	assert_int_equal(replace_end(&r, 0600), 0);
	assert_says("one, two");
	replace_begin(&r, file);
	replace_put(&r, span_of("three"));
	replace_drop(&r);
	assert_says("one, two");
	assert_int_equal(entries(), 1);

	replace_begin(&r, "/nowhere/at/all");
	replace_put(&r, span_of("x"));
	assert_int_equal(replace_end(&r, 0600), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_new_content_with_the_mode_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_the_old_one_is_never_touched, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_failure_leaves_nothing_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_pieces_are_one_file_or_none, setup, teardown),
	};

	return cmocka_run_group_tests_name("replace_file", tests, NULL, NULL);
}
