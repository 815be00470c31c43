/*
 * test_ids.c - the same content, the same id; other content, another
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arena.h"
#include "ids.h"

static void test_an_id_is_made_of_its_content(void **state)
{
	struct arena *arena = arena_new(4096, 64 << 20);
	struct ids ids, others;
	char content[32], name[WORDS_ID_BYTES];

	(void)state;
	ids_init(&ids, arena);
	ids_init(&others, arena);
	for (int i = 0; i < 20000; i++) {
		int n = snprintf(content, sizeof(content), "content %d", i);

		assert_null(ids_get(&ids, 'R', content, (size_t)n)->data);
		ids_get(&ids, 'R', content, (size_t)n)->data = &ids;
	}
	assert_int_equal(ids.n, 20000);
	for (int i = 20000; i-- > 0;) {
		int n = snprintf(content, sizeof(content), "content %d", i);
		const struct id *id = ids_get(&ids, 'R', content, (size_t)n);

		assert_ptr_equal(id->data, &ids);
		assert_int_equal(id->len, n);
		assert_memory_equal(id->content, content, (size_t)n);
		snprintf(name, sizeof(name), "%s", id->name);
		assert_string_equal(ids_get(&others, 'R', content,
		    (size_t)n)->name, name);
		assert_string_not_equal(ids_get(&others, 'B', content,
		    (size_t)n)->name, name);
	}
	assert_int_equal(ids.n, 20000);
	ids_fini(&ids);
	ids_fini(&others);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_id_is_made_of_its_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
