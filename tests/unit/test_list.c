#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "list.h"
#include "rng.h"

enum { N = 32 };

struct item {
	int before;
	struct list link;
	int id;
};

static size_t read_ids(struct list *head, int *ids)
{
	size_t n = 0;

	list_each(link, after, head)
		ids[n++] = list_entry(link, struct item, link)->id;
	return n;
}

static void test_a_new_list_is_empty(void **state)
{
	struct list head;
	int ids[N];

	(void)state;
	list_init(&head);
	assert_true(list_is_empty(&head));
	assert_int_equal(read_ids(&head, ids), 0);
}

/* Beside a plain array of the ids that are in, in order of arrival. */
static void test_any_history_ends_as_the_plain_array_says(void **state)
{
	struct item items[N];
	struct rng rng = { 1 };
	struct list head;
	int want[N], got[N];
	size_t n = 0;

	(void)state;
	list_init(&head);
	for (int i = 0; i < N; i++) {
		items[i].id = i;
		list_init(&items[i].link);
	}
	for (int turn = 0; turn < 50000; turn++) {
		int id = (int)rng_below(&rng, N);
		size_t at = 0;

		while (at < n && want[at] != id)
			at++;
		if (at == n) {
			list_append(&head, &items[id].link);
			want[n++] = id;
		} else {
			list_remove(&items[id].link);
			memmove(want + at, want + at + 1,
			    (--n - at) * sizeof(*want));
		}
		assert_int_equal(read_ids(&head, got), n);
		assert_memory_equal(got, want, n * sizeof(*want));
		assert_int_equal(list_is_empty(&head), n == 0);
	}
}

static void test_removing_twice_does_no_harm(void **state)
{
	struct item a = { .id = 1 }, b = { .id = 2 };
	struct list head;
	int ids[N];

	(void)state;
	list_init(&head);
	list_append(&head, &a.link);
	list_append(&head, &b.link);
	list_remove(&a.link);
	list_remove(&a.link);
	assert_int_equal(read_ids(&head, ids), 1);
	assert_int_equal(ids[0], 2);
}

static void test_the_current_link_may_go_while_walking(void **state)
{
	struct item items[N];
	struct list head;
	int ids[N];

	(void)state;
	list_init(&head);
	for (int i = 0; i < N; i++) {
		items[i].id = i;
		list_append(&head, &items[i].link);
	}
	list_each(link, after, &head)
		if (list_entry(link, struct item, link)->id % 2 == 0)
			list_remove(link);
	assert_int_equal(read_ids(&head, ids), N / 2);
	for (int i = 0; i < N / 2; i++)
		assert_int_equal(ids[i], 2 * i + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_new_list_is_empty),
		cmocka_unit_test(test_any_history_ends_as_the_plain_array_says),
		cmocka_unit_test(test_removing_twice_does_no_harm),
		cmocka_unit_test(test_the_current_link_may_go_while_walking),
	};

	return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
