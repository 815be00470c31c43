#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "mailbox.h"

enum { POSTERS = 4, LETTERS = 5000, TOTAL = POSTERS * LETTERS };

/* A letter is a number in a pointer: poster and serial, and never null. */
static void *letter(uintptr_t poster, uintptr_t serial)
{
	return (void *)(poster * LETTERS + serial + 1);
}

struct office {
	struct ev_loop *loop;
	struct mailbox *box;
	uintptr_t next[POSTERS];	/* the serial that each sends next */
	size_t n_heard, n_dropped, stop_after, n_wrong;
};

static void on_mail(void *data, void *mail)
{
	struct office *o = data;
	uintptr_t n = (uintptr_t)mail - 1;

	o->n_wrong += n % LETTERS != o->next[n / LETTERS];
	o->next[n / LETTERS] = n % LETTERS + 1;
	if (++o->n_heard == o->stop_after)
		ev_break(o->loop, EVBREAK_ALL);
}

static void drop(void *data, void *mail)
{
	struct office *o = data;

	on_mail(data, mail);
	o->n_heard--;
	o->n_dropped++;
}

static void office_open(struct office *o, size_t n_slots)
{
	*o = (struct office){ .loop = ev_loop_new(EVFLAG_AUTO) };
	assert_non_null(o->loop);
	o->box = mailbox_new(o->loop, n_slots, on_mail, drop, o);
	assert_non_null(o->box);
}

static void office_close(struct office *o)
{
	mailbox_free(o->box);
	ev_loop_destroy(o->loop);
}

static void test_mail_is_heard_in_order(void **state)
{
	struct office o;

	(void)state;
	office_open(&o, 10);
	for (uintptr_t i = 0; i < 10; i++)
		assert_int_equal(mailbox_post(o.box, letter(0, i)), 0);
	assert_int_equal(o.n_heard, 0);		/* not from within the post */
	ev_run(o.loop, EVRUN_NOWAIT);
	assert_int_equal(o.n_heard, 10);
	assert_int_equal(o.n_wrong, 0);
	office_close(&o);
	assert_int_equal(o.n_dropped, 0);
}

static void test_a_full_box_leaves_the_letter_with_its_sender(void **state)
{
	(void)state;
	for (size_t n_slots = 0; n_slots < 5; n_slots++) {
		struct office o;

		office_open(&o, n_slots);
		for (int round = 0; round < 3; round++) {
			uintptr_t from = o.n_heard;

			for (uintptr_t i = 0; i < n_slots; i++)
				assert_int_equal(mailbox_post(o.box,
					letter(0, from + i)), 0);
			assert_int_equal(mailbox_post(o.box, letter(1, 0)),
			    -EAGAIN);
			ev_run(o.loop, EVRUN_NOWAIT);
			assert_int_equal(o.n_heard, from + n_slots);
		}
		office_close(&o);
		assert_int_equal(o.n_wrong + o.n_dropped, 0);
	}
}

static void test_what_nobody_fetched_is_dropped_once_and_in_order(void **state)
{
	struct office o;

	(void)state;
	office_open(&o, 8);
	for (uintptr_t i = 0; i < 5; i++)
		assert_int_equal(mailbox_post(o.box, letter(0, i)), 0);
	office_close(&o);
	assert_int_equal(o.n_heard, 0);
	assert_int_equal(o.n_dropped, 5);
	assert_int_equal(o.n_wrong, 0);
	mailbox_free(NULL);
}

static void answer(void *data, void *mail)
{
	struct office *o = data;
	uintptr_t n = (uintptr_t)mail;

	o->n_heard++;
	if (n > 1)	/* must not run under the lock, nor lose a bell */
		assert_int_equal(mailbox_post(o->box, (void *)(n - 1)), 0);
}

static void test_on_mail_may_post(void **state)
{
	struct office o = { .loop = ev_loop_new(EVFLAG_AUTO) };

	(void)state;
	o.box = mailbox_new(o.loop, 1, answer, drop, &o);
	assert_int_equal(mailbox_post(o.box, (void *)(uintptr_t)100), 0);
	for (int i = 0; i < 100; i++)
		ev_run(o.loop, EVRUN_NOWAIT);
	assert_int_equal(o.n_heard, 100);
	office_close(&o);
}

struct poster {
	struct mailbox *box;
	uintptr_t id;
};

static void *post_all(void *data)
{
	struct poster *p = data;

	for (uintptr_t i = 0; i < LETTERS; i++)
		while (mailbox_post(p->box, letter(p->id, i)) == -EAGAIN)
			sched_yield();
	return NULL;
}

/* Small boxes are often full, large ones often empty; no bell may be lost. */
static void test_many_post_and_each_is_heard_in_its_order(void **state)
{
	static const size_t sizes[] = { 1, 3, 64, TOTAL };

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		struct poster posters[POSTERS];
		pthread_t threads[POSTERS];
		struct office o;

		office_open(&o, sizes[s]);
		o.stop_after = TOTAL;
		for (uintptr_t i = 0; i < POSTERS; i++) {
			posters[i] = (struct poster){ o.box, i };
			assert_int_equal(pthread_create(&threads[i], NULL,
				post_all, &posters[i]), 0);
		}
		ev_run(o.loop, 0);
		for (int i = 0; i < POSTERS; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(o.n_heard, TOTAL);
		assert_int_equal(o.n_wrong, 0);
		office_close(&o);
		assert_int_equal(o.n_dropped, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mail_is_heard_in_order),
		cmocka_unit_test(
		    test_a_full_box_leaves_the_letter_with_its_sender),
		cmocka_unit_test(
		    test_what_nobody_fetched_is_dropped_once_and_in_order),
		cmocka_unit_test(test_on_mail_may_post),
		cmocka_unit_test(test_many_post_and_each_is_heard_in_its_order),
	};

	return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
