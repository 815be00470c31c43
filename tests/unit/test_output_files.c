/*
 * test_output_files.c - a generation is there as a whole or not at all
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "output.h"
#include "output_files.h"
#include "slurp.h"

static char dir[64];

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_output_files.XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static struct output *make(const char *value)
{
	struct output *o = output_new();
	struct output_text *t;

	assert_non_null(o);
	output_map_add(o, MAP_HOST, "b", "2");
	output_map_add(o, MAP_HOST, "a", "1");
	output_map_add(o, MAP_RULE, "R", value);
	output_section_begin(o, "", NULL);
	buf_puts(&o->text, "x " OUTPUT_GENERATION "host.map " OUTPUT_DIR
	    "s.sock\n");
	output_section_end(o);
	t = output_add(o, &o->agent);
	*t = (struct output_text){ "pools.yaml", value, strlen(value) };
	output_finish(o);
	return o;
}

static void expect(const char *file, const char *want)
{
	char path[256], *bytes = NULL;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	n = slurp_file(path, 1 << 20, &bytes);
	if (want == NULL) {
		assert_true(n < 0);
		return;
	}
	assert_int_equal(n, strlen(want));
	assert_memory_equal(bytes, want, (size_t)n);
	free(bytes);
}

static ino_t inode(const char *file)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void test_nothing_is_named_before_it_is_whole(void **state)
{
	struct output *o = make("v1");
	char name[OUTPUT_GENERATION_BYTES], config[256];
	struct buf b;

	(void)state;
	assert_int_equal(output_stage(o, NULL, dir, name), 0);
	expect("current/host.map", NULL);
	assert_int_equal(output_commit(dir, name), 0);
	expect("current/host.map", "a 1\nb 2\n");
	expect("current/rule.map", "R v1\n");
	snprintf(config, sizeof(config), "x %s/current/host.map %s/s.sock\n",
	    dir, dir);
	buf_init(&b, 4096);
	output_put_config(&b, o, dir, "current");
	buf_put(&b, "", 1);
	assert_non_null(strstr(b.data, config));
	expect("current/haproxy.cfg", b.data);
	buf_fini(&b);
	output_free(o);
}

static void test_what_is_equal_is_linked_and_the_old_goes(void **state)
{
	struct output *one = make("v1"), *two = make("v2");
	char first[OUTPUT_GENERATION_BYTES], second[OUTPUT_GENERATION_BYTES];
	ino_t host, rule;
	char path[128];

	(void)state;
	assert_int_equal(output_stage(one, NULL, dir, first), 0);
	assert_int_equal(output_commit(dir, first), 0);
	host = inode("current/host.map");
	rule = inode("current/rule.map");
	assert_int_equal(output_stage(two, one, dir, second), 0);
	expect("current/rule.map", "R v1\n");
	assert_int_equal(output_commit(dir, second), 0);
	assert_true(inode("current/host.map") == host);
	assert_true(inode("current/rule.map") != rule);
	expect("current/rule.map", "R v2\n");
	output_clean(two, dir);
	snprintf(path, sizeof(path), "%s/%s", dir, first);
	assert_int_equal(access(path, F_OK), -1);
	expect("current/rule.map", "R v2\n");
	output_free(one);
	output_free(two);
}

static void test_the_agent_sees_only_changes(void **state)
{
	struct output *one = make("v1"), *two = make("v2");
	ino_t before;

	(void)state;
	assert_int_equal(output_write_agent(one, dir), 0);
	before = inode("pools.yaml");
	assert_int_equal(output_write_agent(one, dir), 0);
	assert_true(inode("pools.yaml") == before);
	assert_int_equal(output_write_agent(two, dir), 0);
	expect("pools.yaml", "v2");
	output_free(one);
	output_free(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		WITH_DIR(test_nothing_is_named_before_it_is_whole),
		WITH_DIR(test_what_is_equal_is_linked_and_the_old_goes),
		WITH_DIR(test_the_agent_sees_only_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
