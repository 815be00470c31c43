#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ev.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "watch.h"

/* Well below the look once a second: what is late was not seen by inotify. */
static const double QUICK_S = 0.5;

struct seen {
	struct ev_loop *loop;
	char dir[64];
	struct watch *watch;
	unsigned n_calls;
};

static void on_change(void *data)
{
	struct seen *s = data;

	s->n_calls++;
	ev_break(s->loop, EVBREAK_ALL);
}

static void on_late(EV_P_ ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	ev_break(EV_A_ EVBREAK_ALL);
}

static bool is_called_within(struct seen *s, double seconds)
{
	unsigned before = s->n_calls;
	ev_timer late;

	ev_now_update(s->loop);
	ev_timer_init(&late, on_late, seconds, 0.);
	ev_timer_start(s->loop, &late);
	ev_run(s->loop, 0);
	ev_timer_stop(s->loop, &late);
	return s->n_calls > before;
}

/* A name in the test's directory; a few may be held at once. */
static const char *in(struct seen *s, const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", s->dir, name);
	return path;
}

static void put(struct seen *s, const char *name, const char *text)
{
	FILE *f = fopen(in(s, name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void begin(struct seen *s, const char *name)
{
	s->watch = watch_start(s->loop, in(s, name), on_change, s);
	assert_non_null(s->watch);
}

static int setup(void **state)
{
	struct seen *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->loop = ev_loop_new(EVFLAG_AUTO);
	snprintf(s->dir, sizeof(s->dir), "/tmp/test_watch.XXXXXX");
	*state = s;
	return mkdtemp(s->dir) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const files[] = { "f", "g", "v1/f", "v2/f",
		"late/d/f", "..data", "..data_tmp", "link", "other" };
	static const char *const dirs[] = { "v1", "v2", "late/d", "late", "" };
	struct seen *s = *state;

	watch_stop(s->watch);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		unlink(in(s, files[i]));
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		rmdir(in(s, dirs[i]));
	ev_loop_destroy(s->loop);
	free(s);
	return 0;
}

static void test_a_file_renamed_over_is_seen(void **state)
{
	struct seen *s = *state;

	put(s, "f", "1");
	begin(s, "f");
	for (int i = 0; i < 3; i++) {
		put(s, "g", "2");
		assert_int_equal(rename(in(s, "g"), in(s, "f")), 0);
		assert_true(is_called_within(s, QUICK_S));
	}
}

static void test_an_edit_in_place_is_seen_every_time(void **state)
{
	struct seen *s = *state;

	put(s, "f", "1");
	begin(s, "f");
	for (int i = 0; i < 3; i++) {
		put(s, "f", "2");
		assert_true(is_called_within(s, QUICK_S));
	}
}

/* How a kubelet updates a ConfigMap: f -> ..data/f, ..data -> v1. */
static void test_a_symlink_swapped_on_the_way_is_seen(void **state)
{
	struct seen *s = *state;

	assert_int_equal(mkdir(in(s, "v1"), 0700), 0);
	assert_int_equal(mkdir(in(s, "v2"), 0700), 0);
	put(s, "v1/f", "1");
	put(s, "v2/f", "2");
	assert_int_equal(symlink("v1", in(s, "..data")), 0);
	assert_int_equal(symlink("..data/f", in(s, "f")), 0);
	begin(s, "f");
	for (int i = 0; i < 4; i++) {
		assert_int_equal(symlink(i % 2 ? "v1" : "v2",
		    in(s, "..data_tmp")), 0);
		assert_int_equal(rename(in(s, "..data_tmp"), in(s, "..data")),
		    0);
		assert_true(is_called_within(s, QUICK_S));
	}
	put(s, "v1/f", "3");
	assert_true(is_called_within(s, QUICK_S));
}

static void test_an_absolute_link_is_followed(void **state)
{
	struct seen *s = *state;

	put(s, "other", "1");
	assert_int_equal(symlink(in(s, "other"), in(s, "link")), 0);
	begin(s, "link");
	put(s, "other", "2");
	assert_true(is_called_within(s, QUICK_S));
}

static void test_a_file_that_appears_later_is_seen(void **state)
{
	struct seen *s = *state;

	begin(s, "late/d/f");
	assert_int_equal(mkdir(in(s, "late"), 0700), 0);
	assert_true(is_called_within(s, QUICK_S));
	assert_int_equal(mkdir(in(s, "late/d"), 0700), 0);
	assert_true(is_called_within(s, QUICK_S));
	put(s, "late/d/f", "1");
	assert_true(is_called_within(s, QUICK_S));
	unlink(in(s, "late/d/f"));
	assert_true(is_called_within(s, QUICK_S));
}

static void test_a_loop_of_links_ends(void **state)
{
	struct seen *s = *state;

	assert_int_equal(symlink("link", in(s, "link")), 0);
	begin(s, "link");
	put(s, "g", "1");
	assert_int_equal(rename(in(s, "g"), in(s, "link")), 0);
	assert_true(is_called_within(s, QUICK_S));
}

static void test_a_neighbour_is_not_seen(void **state)
{
	struct seen *s = *state;

	put(s, "f", "1");
	begin(s, "f");
	put(s, "g", "2");
	assert_false(is_called_within(s, 0.1));
}

/* Written but not closed: only the look once a second tells. */
static void test_a_writer_that_never_closes_is_seen_in_the_end(void **state)
{
	struct seen *s = *state;
	int fd;

	put(s, "f", "1");
	begin(s, "f");
	fd = open(in(s, "f"), O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "2", 1), 1);
	assert_true(is_called_within(s, 5.));
	close(fd);
}

static void test_a_folder_is_watched_for_all_in_it(void **state)
{
	struct seen *s = *state;

	assert_int_equal(mkdir(in(s, "sub"), 0700), 0);
	begin(s, "sub");
	put(s, "sub/a", "1");
	assert_true(is_called_within(s, QUICK_S));
	put(s, "b", "1");
	assert_int_equal(rename(in(s, "b"), in(s, "sub/b")), 0);
	assert_true(is_called_within(s, QUICK_S));
	assert_int_equal(unlink(in(s, "sub/a")), 0);
	assert_true(is_called_within(s, QUICK_S));
	assert_int_equal(unlink(in(s, "sub/b")), 0);
	assert_int_equal(rmdir(in(s, "sub")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_a_file_renamed_over_is_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_an_edit_in_place_is_seen_every_time, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_symlink_swapped_on_the_way_is_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_an_absolute_link_is_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_file_that_appears_later_is_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_loop_of_links_ends,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_folder_is_watched_for_all_in_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_neighbour_is_not_seen,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_writer_that_never_closes_is_seen_in_the_end, setup,
		    teardown),
	};

	return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
