#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ev.h>
#include <pthread.h>
#include <semaphore.h>

#include "background.h"

struct bench {
	struct ev_loop *loop;
	struct background *b;
	pthread_t own, worked_on, done_on;
	sem_t gate;
	int n_worked, n_done, rounds;
};

static void do_work(void *data)
{
	struct bench *t = data;

	t->worked_on = pthread_self();
	t->n_worked++;
}

static void do_work_when_let(void *data)
{
	struct bench *t = data;

	sem_wait(&t->gate);
	do_work(data);
}

static void on_done(void *data)
{
	struct bench *t = data;

	t->done_on = pthread_self();
	t->n_done++;
	if (--t->rounds > 0)
		background_start(t->b, do_work, on_done, t);
	else
		ev_break(t->loop, EVBREAK_ALL);
}

static void open_bench(struct bench *t, int rounds)
{
	*t = (struct bench){ .loop = ev_loop_new(EVFLAG_AUTO),
		.own = pthread_self(), .rounds = rounds };
	assert_non_null(t->loop);
	sem_init(&t->gate, 0, 0);
	t->b = background_new(t->loop);
	assert_non_null(t->b);
}

static void close_bench(struct bench *t)
{
	background_free(t->b);
	ev_loop_destroy(t->loop);
	sem_destroy(&t->gate);
}

static void test_work_is_done_elsewhere_and_told_here(void **state)
{
	struct bench t;

	(void)state;
	open_bench(&t, 1);
	assert_false(background_is_busy(t.b));
	background_start(t.b, do_work, on_done, &t);
	assert_true(background_is_busy(t.b));
	ev_run(t.loop, 0);
	assert_int_equal(t.n_worked, 1);
	assert_int_equal(t.n_done, 1);
	assert_false(background_is_busy(t.b));
	assert_false(pthread_equal(t.worked_on, t.own));
	assert_true(pthread_equal(t.done_on, t.own));
	close_bench(&t);
}

static void test_an_end_may_start_the_next(void **state)
{
	struct bench t;

	(void)state;
	open_bench(&t, 100);
	background_start(t.b, do_work, on_done, &t);
	ev_run(t.loop, 0);
	assert_int_equal(t.n_worked, 100);
	assert_int_equal(t.n_done, 100);
	close_bench(&t);
}

static void test_one_may_wait_for_it(void **state)
{
	struct bench t;

	(void)state;
	open_bench(&t, 0);
	background_wait(t.b);
	assert_int_equal(t.n_done, 0);
	background_start(t.b, do_work, on_done, &t);
	background_wait(t.b);
	assert_int_equal(t.n_done, 1);
	assert_false(background_is_busy(t.b));
	close_bench(&t);
}

/* Its bell has not been heard yet when the next begins, which goes on. */
static void test_the_bell_of_what_was_waited_for_is_not_the_next(void **state)
{
	struct bench t;

	(void)state;
	open_bench(&t, 0);
	background_start(t.b, do_work, on_done, &t);
	background_wait(t.b);
	background_start(t.b, do_work_when_let, on_done, &t);
	ev_run(t.loop, EVRUN_NOWAIT);
	assert_true(background_is_busy(t.b));
	assert_int_equal(t.n_done, 1);
	sem_post(&t.gate);
	ev_run(t.loop, 0);
	assert_int_equal(t.n_done, 2);
	close_bench(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_work_is_done_elsewhere_and_told_here),
		cmocka_unit_test(test_an_end_may_start_the_next),
		cmocka_unit_test(test_one_may_wait_for_it),
		cmocka_unit_test(
		    test_the_bell_of_what_was_waited_for_is_not_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
