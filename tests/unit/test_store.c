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

#include "arena.h"
#include "store.h"
#include "yaml.h"

#define SERVICE(name, port) \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " name "}\n" \
	"spec: {ports: [{port: " #port "}]}\n"

struct fixture {
	char dir[64];
	struct store *store;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/store-test.XXXXXX");
	*state = f;
	f->store = store_new();
	return mkdtemp(f->dir) != NULL && f->store != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[96];

	store_free(f->store);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void put(const struct fixture *f, const char *name, const char *text)
{
	char path[160], temp[200];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	snprintf(temp, sizeof(temp), "%s.temp", path);
	out = fopen(temp, "w");
	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(rename(temp, path), 0);
}

static bool sync_all(const struct fixture *f)
{
	const char *const paths[] = { f->dir };
	bool changed;

	assert_int_equal(store_sync(f->store, paths, 1, &changed), 0);
	return changed;
}

static unsigned port_of(const struct fixture *f, const char *name)
{
	const struct service *s = (const void *)store_find(f->store,
	    KIND_SERVICE, "default", name);

	return s != NULL ? s->ports[0].port : 0;
}

static void test_a_folder_is_what_its_manifests_declare(void **state)
{
	struct fixture *f = *state;

	put(f, "a.yaml", SERVICE("one", 1) SERVICE("two", 2));
	put(f, "b.json", "{\"apiVersion\": \"v1\", \"kind\": \"List\", "
	    "\"items\": [{\"apiVersion\": \"v1\", \"kind\": \"Service\", "
	    "\"metadata\": {\"name\": \"three\"}, \"spec\": {\"ports\": "
	    "[{\"port\": 3}]}}]}");
	put(f, "c.txt", "not: [a manifest");
	put(f, ".hidden.yaml", "not: [a manifest");
	assert_true(sync_all(f));
	assert_int_equal(store_n_files(f->store), 2);
	assert_int_equal(port_of(f, "one"), 1);
	assert_int_equal(port_of(f, "two"), 2);
	assert_int_equal(port_of(f, "three"), 3);
	assert_int_equal(store_all(f->store, KIND_SERVICE).n, 3);
	assert_false(sync_all(f));
}

static void test_a_bad_file_keeps_its_last_good_objects(void **state)
{
	struct fixture *f = *state;
	const struct store_file *file;

	put(f, "a.yaml", SERVICE("one", 1));
	put(f, "b.yaml", SERVICE("two", 2));
	sync_all(f);
	put(f, "a.yaml", SERVICE("one", 11) "---\nkind: 1\n");
	put(f, "b.yaml", SERVICE("two", 22));
	assert_true(sync_all(f));
	assert_int_equal(port_of(f, "one"), 1);
	assert_int_equal(port_of(f, "two"), 22);
	file = store_file(f->store, 0);
	assert_true(file->is_bad);
	assert_int_equal(file->why->line, 7);
	assert_int_equal(file->n_objects, 1);
	assert_false(sync_all(f));
	put(f, "a.yaml", SERVICE("one", 111));
	assert_true(sync_all(f));
	assert_false(store_file(f->store, 0)->is_bad);
	assert_null(store_file(f->store, 0)->why);
	assert_int_equal(port_of(f, "one"), 111);
}

static void test_a_file_that_goes_takes_its_objects_along(void **state)
{
	struct fixture *f = *state;
	char path[160];

	put(f, "a.yaml", SERVICE("one", 1));
	put(f, "b.yaml", SERVICE("two", 2));
	sync_all(f);
	snprintf(path, sizeof(path), "%s/a.yaml", f->dir);
	assert_int_equal(unlink(path), 0);
	assert_true(sync_all(f));
	assert_int_equal(port_of(f, "one"), 0);
	assert_int_equal(port_of(f, "two"), 2);
	assert_int_equal(store_n_files(f->store), 1);
}

static void test_the_same_twice_names_both_places(void **state)
{
	struct fixture *f = *state;
	const struct store_file *b;

	put(f, "a.yaml", SERVICE("one", 1));
	put(f, "b.yaml", SERVICE("two", 2) SERVICE("one", 3));
	sync_all(f);
	b = store_file(f->store, 1);
	assert_true(b->is_bad);
	assert_int_equal(b->why->line, 7);
	assert_non_null(strstr(b->why->found, "Service default/one"));
	assert_non_null(strstr(b->why->want, "a.yaml:2"));
	assert_int_equal(port_of(f, "one"), 1);
	assert_int_equal(port_of(f, "two"), 0);
	assert_false(sync_all(f));	/* refused again: nothing to do */
	/* Once the other lets go, it is taken without having changed. */
	put(f, "a.yaml", SERVICE("four", 4));
	assert_true(sync_all(f));
	assert_int_equal(port_of(f, "one"), 3);
	assert_int_equal(port_of(f, "two"), 2);
	put(f, "a.yaml", SERVICE("five", 5) SERVICE("five", 6));
	sync_all(f);
	assert_true(store_file(f->store, 0)->is_bad);
	assert_int_equal(port_of(f, "four"), 4);
	assert_int_equal(port_of(f, "five"), 0);
	assert_int_equal(store_all(f->store, KIND_SERVICE).n, 3);
	store_sweep(f->store);
	assert_int_equal(store_all(f->store, KIND_SERVICE).n, 3);
}

/* Away, or not to be opened: no reason to take what it declares out of service. */
static void test_a_folder_that_cannot_be_read_keeps_its_objects(void **state)
{
	struct fixture *f = *state;
	char away[80];

	put(f, "a.yaml", SERVICE("one", 1));
	put(f, "b.yaml", SERVICE("two", 2));
	sync_all(f);
	snprintf(away, sizeof(away), "%s.away", f->dir);
	assert_int_equal(rename(f->dir, away), 0);
	sync_all(f);
	assert_int_equal(port_of(f, "one"), 1);
	assert_int_equal(port_of(f, "two"), 2);
	assert_true(store_file(f->store, 0)->is_bad);	/* and it is told */
	assert_int_equal(rename(away, f->dir), 0);
	sync_all(f);
	assert_int_equal(store_n_files(f->store), 2);
	assert_int_equal(port_of(f, "one"), 1);
	put(f, "a.yaml", SERVICE("three", 3));
	assert_true(sync_all(f));
	assert_int_equal(port_of(f, "one"), 0);
}

/* As a ConfigMap's folder is swapped: ..data is a link, files are links into it. */
static void test_an_object_moves_between_files_in_one_swap(void **state)
{
	struct fixture *f = *state;
	char path[160], target[160];

	for (int i = 1; i <= 2; i++) {
		snprintf(path, sizeof(path), "%s/..%d", f->dir, i);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	put(f, "..1/a.yaml", SERVICE("one", 1) SERVICE("two", 2));
	put(f, "..1/b.yaml", SERVICE("three", 3));
	put(f, "..2/a.yaml", SERVICE("three", 33));
	put(f, "..2/b.yaml", SERVICE("one", 11) SERVICE("two", 22));
	snprintf(path, sizeof(path), "%s/..data", f->dir);
	assert_int_equal(symlink("..1", path), 0);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%c.yaml", f->dir, 'a' + i);
		snprintf(target, sizeof(target), "..data/%c.yaml", 'a' + i);
		assert_int_equal(symlink(target, path), 0);
	}
	sync_all(f);
	assert_int_equal(port_of(f, "two"), 2);
	snprintf(path, sizeof(path), "%s/..next", f->dir);
	assert_int_equal(symlink("..2", path), 0);
	snprintf(target, sizeof(target), "%s/..data", f->dir);
	assert_int_equal(rename(path, target), 0);
	assert_true(sync_all(f));
	assert_false(store_file(f->store, 0)->is_bad);
	assert_false(store_file(f->store, 1)->is_bad);
	assert_int_equal(port_of(f, "one"), 11);
	assert_int_equal(port_of(f, "two"), 22);
	assert_int_equal(port_of(f, "three"), 33);
}

static void test_foreign_kinds_are_counted_and_passed_over(void **state)
{
	struct fixture *f = *state;
	const struct store_file *file;

	put(f, "a.yaml", "apiVersion: apps/v1\nkind: Deployment\n---\n"
	    "apiVersion: apps/v1\nkind: Deployment\n" SERVICE("one", 1));
	sync_all(f);
	file = store_file(f->store, 0);
	assert_false(file->is_bad);
	assert_int_equal(file->n_skipped, 1);
	assert_string_equal(file->skipped[0].kind, "apps/v1 Deployment");
	assert_int_equal(file->skipped[0].n, 2);
	assert_int_equal(port_of(f, "one"), 1);
}

static void test_of_foreign_kinds_some_are_named(void **state)
{
	enum { KINDS = 70, NAMED = 64 };
	struct fixture *f = *state;
	const struct store_file *file;
	char text[KINDS * 48] = "";
	size_t len = 0;

	for (int i = 0; i < KINDS; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "---\napiVersion: v9\nkind: K%d\n", i);
	put(f, "a.yaml", text);
	sync_all(f);
	file = store_file(f->store, 0);
	assert_false(file->is_bad);
	assert_int_equal(file->n_skipped, NAMED);
	assert_string_equal(file->skipped[NAMED - 1].kind, "v9 K63");
	put(f, "a.yaml", SERVICE("one", 1));
	sync_all(f);
	assert_int_equal(store_file(f->store, 0)->n_skipped, 0);
}

static void test_files_stand_by_path_whenever_they_came(void **state)
{
	static const char *const names[] = { "m", "z", "a", "n", "b", "y" };
	static const char *const want[] = { "a", "b", "m", "n", "y", "z" };
	struct fixture *f = *state;
	struct fault why;

	for (size_t i = 0; i < 6; i++)
		assert_int_equal(store_put_text(f->store, names[i],
		    span_of(""), &why), 0);
	assert_int_equal(store_n_files(f->store), 6);
	for (size_t i = 0; i < 6; i++) {
		assert_string_equal(store_file(f->store, i)->path, want[i]);
		assert_null(store_file(f->store, i)->why);
	}
}

static void test_what_is_no_file_is_told(void **state)
{
	struct fixture *f = *state;
	const char *const paths[] = { "/dev/zero", "/nowhere/at/all.yaml" };
	bool changed;

	assert_int_equal(store_sync(f->store, paths, 2, &changed), 0);
	assert_int_equal(store_n_files(f->store), 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(store_file(f->store, i)->is_bad);
		assert_int_equal(store_file(f->store, i)->why->line, 0);
	}
}

/* ---- object by object ---------------------------------------------------- */

static int upsert(struct store *s, const char *text)
{
	struct arena *arena = arena_new(4096, 1 << 20);
	struct fault why = { 0 };
	const struct conf *root = yaml_parse("f", span_of(text),
	    &yaml_limits_default, arena, &why);
	int err = store_upsert(s, root, &why);

	assert_int_equal(err != 0, why.is_set);
	arena_free(arena);
	return err;
}

static void test_a_watch_feeds_the_same_store(void **state)
{
	struct fixture *f = *state;

	put(f, "a.yaml", SERVICE("file", 9));
	sync_all(f);
	assert_int_equal(upsert(f->store, SERVICE("one", 1)), 0);
	assert_int_equal(port_of(f, "one"), 1);
	assert_int_equal(upsert(f->store, SERVICE("one", 2)), 0);
	assert_int_equal(port_of(f, "one"), 2);
	assert_int_equal(store_all(f->store, KIND_SERVICE).n, 2);
	assert_int_equal(upsert(f->store, SERVICE("one", 99999)), -22);
	assert_int_equal(port_of(f, "one"), 2);
	assert_int_equal(upsert(f->store, SERVICE("file", 3)), -22);
	assert_int_equal(upsert(f->store, "apiVersion: v1\nkind: Node\n"), 0);
	assert_true(store_delete(f->store, KIND_SERVICE, "default", "one"));
	assert_false(store_delete(f->store, KIND_SERVICE, "default", "one"));
	assert_false(store_delete(f->store, KIND_SERVICE, "default", "file"));
	assert_int_equal(port_of(f, "one"), 0);
	store_sweep(f->store);
	assert_int_equal(store_all(f->store, KIND_SERVICE).n, 1);
}

/* A model of a thousand changes: the list is always what was put, sorted. */
static void test_lists_are_sorted_whatever_came_and_went(void **state)
{
	struct fixture *f = *state;
	unsigned ports[100] = { 0 }, random = 1;

	for (unsigned i = 0; i < 1000; i++) {
		struct objects all;
		char text[256], name[16];
		size_t n = 0;
		unsigned k;

		random = random * 1103515245 + 12345;
		k = random / 65536 % 100;
		snprintf(name, sizeof(name), "s%02u", k);
		if (random / 8 % 3 == 0) {
			assert_int_equal(store_delete(f->store, KIND_SERVICE,
			    "default", name), ports[k] != 0);
			ports[k] = 0;
		} else {
			snprintf(text, sizeof(text), "apiVersion: v1\nkind: "
			    "Service\nmetadata: {name: %s}\nspec: {ports: "
			    "[{port: %u}]}\n", name, i + 1);
			assert_int_equal(upsert(f->store, text), 0);
			ports[k] = i + 1;
		}
		if (random / 16 % 4 == 0)
			store_sweep(f->store);
		if (random / 32 % 2 == 0)
			continue;
		all = store_all(f->store, KIND_SERVICE);
		for (k = 0; k < 100; k++) {
			if (ports[k] == 0)
				continue;
			assert_true(n < all.n);
			assert_int_equal(((const struct service *)(const void *)
			    all.items[n++])->ports[0].port, ports[k]);
		}
		assert_int_equal(n, all.n);
	}
}

/* ---- snapshots ----------------------------------------------------------- */

static unsigned found_port(const struct store *s, const char *name)
{
	const struct service *service = (const void *)store_find(s,
	    KIND_SERVICE, "default", name);

	return service != NULL ? service->ports[0].port : 0;
}

static void test_a_snapshot_stays_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct store *then;
	struct objects all;

	put(f, "a.yaml", SERVICE("c", 3));
	sync_all(f);
	assert_int_equal(upsert(f->store, SERVICE("b", 2)), 0);
	assert_int_equal(upsert(f->store, SERVICE("a", 1)), 0);
	then = store_snapshot(f->store);
	assert_non_null(then);

	assert_int_equal(upsert(f->store, SERVICE("a", 11)), 0);
	assert_int_equal(upsert(f->store, SERVICE("d", 4)), 0);
	assert_true(store_delete(f->store, KIND_SERVICE, "default", "b"));
	put(f, "a.yaml", SERVICE("c", 33) "---\n" SERVICE("e", 5));
	sync_all(f);

	all = store_all(then, KIND_SERVICE);
	assert_int_equal(all.n, 3);
	for (size_t i = 0; i < all.n; i++) {
		assert_int_equal(all.items[i]->name[0], "abc"[i]);
		assert_int_equal(found_port(then, all.items[i]->name), i + 1);
	}
	assert_int_equal(found_port(then, "d"), 0);
	assert_int_equal(store_all(then, KIND_GATEWAY).n, 0);
	store_free(then);
	store_sweep(f->store);
	assert_int_equal(port_of(f, "a"), 11);
	assert_int_equal(port_of(f, "b"), 0);
	assert_int_equal(port_of(f, "c"), 33);
	assert_int_equal(store_all(f->store, KIND_SERVICE).n, 4);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_folder_is_what_its_manifests_declare),
		TEST(test_a_bad_file_keeps_its_last_good_objects),
		TEST(test_a_file_that_goes_takes_its_objects_along),
		TEST(test_the_same_twice_names_both_places),
		TEST(test_a_folder_that_cannot_be_read_keeps_its_objects),
		TEST(test_an_object_moves_between_files_in_one_swap),
		TEST(test_foreign_kinds_are_counted_and_passed_over),
		TEST(test_of_foreign_kinds_some_are_named),
		TEST(test_files_stand_by_path_whenever_they_came),
		TEST(test_what_is_no_file_is_told),
		TEST(test_a_watch_feeds_the_same_store),
		TEST(test_lists_are_sorted_whatever_came_and_went),
		TEST(test_a_snapshot_stays_as_it_was),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
