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

#include "arena.h"
#include "buf.h"
#include "fault.h"
#include "help_manifest.h"
#include "slurp.h"
#include "status_since.h"

/* Seconds of 2026-02-01, and of a day later. */
enum { THEN_S = 1769904000, LATER_S = THEN_S + 86400 };

static const char time_key[] = "lastTransitionTime: \"";
#define TIME_TEXT "2026-02-01T00:00:00Z"

static struct buf written(const struct statuses *all,
    struct status_since *since, int64_t now_s)
{
	struct buf out;

	buf_init(&out, 64 << 20);
	status_since_begin(since, now_s);
	status_write(all, since, &out);
	buf_put(&out, "", 1);
	assert_false(buf_failed(&out));
	return out;
}

/* As of THEN_S, by a translator that knew of nothing before. */
static struct buf first_written(const struct statuses *all)
{
	struct status_since *since = status_since_new();
	struct buf out = written(all, since, THEN_S);

	status_since_free(since);
	return out;
}

/* What is written a day later by one that read `text`. */
static struct buf written_after(const struct statuses *all, const char *text)
{
	struct status_since *since = status_since_new();
	struct buf out;

	status_read_text(all, span_of(text), LATER_S, since);
	out = written(all, since, LATER_S);
	status_since_free(since);
	return out;
}

/* The next one from `at` on; NULL: none. */
static char *next_time(char *at)
{
	at = strstr(at, time_key);
	return at != NULL ? at + sizeof(time_key) - 1 : NULL;
}

/* Each condition has a second of its own. How many there are. */
static size_t spread_times(char *text)
{
	size_t n = 0;

	for (char *at = next_time(text); at != NULL; at = next_time(at), n++) {
		char own[sizeof(TIME_TEXT) + 8];

		snprintf(own, sizeof(own), "2026-02-01T%02zu:%02zu:%02zuZ",
		    n / 3600 % 24, n / 60 % 60, n % 60);
		memcpy(at, own, sizeof(TIME_TEXT) - 1);
	}
	return n;
}

/* ---- what was written is known again ------------------------------------- */

/* False: the statuses do not come again as they were. */
static bool comes_again(const char *manifests, size_t *n_times)
{
	struct store *store = store_new();
	struct plan_input in = { .store = store,
		.controller = "haproxy-epp.io/gateway-controller" };
	struct arena *arena = arena_new(4096, 1 << 28);
	struct statuses all;
	struct plan plan;
	struct fault why = { 0 };
	struct buf first, again;
	bool is_same;

	/* Some cases are of what is refused. */
	store_put_text(store, "in.yaml", span_of(manifests), &why);
	assert_int_equal(plan_make(&in, arena, &plan, &all), 0);
	first = first_written(&all);
	*n_times += spread_times(first.data);
	again = written_after(&all, first.data);
	is_same = strcmp(first.data, again.data) == 0;
	buf_fini(&first);
	buf_fini(&again);
	arena_free(arena);
	store_free(store);
	return is_same;
}

/* Over every golden case: of each kind of object, listener and parent. */
static void test_each_condition_keeps_its_own_time(void **state)
{
	DIR *dir = opendir("tests/golden");
	const struct dirent *entry;
	size_t n_cases = 0, n_times = 0;

	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		char path[600], *bytes;
		ssize_t len;

		snprintf(path, sizeof(path), "tests/golden/%s/in.yaml",
		    entry->d_name);
		len = slurp_file(path, 1 << 20, &bytes);
		if (len < 0)
			continue;
		bytes[len] = '\0';
		if (!comes_again(bytes, &n_times))
			fail_msg("%s", path);
		free(bytes);
		n_cases++;
	}
	closedir(dir);
	assert_true(n_cases > 100);
	assert_true(n_times > 1000);
}

#define GATEWAY(name, namespace) \
	"---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n" \
	"metadata: {name: " name ", namespace: " namespace "}\n" \
	"spec: {gatewayClassName: epp, listeners: [{name: http, port: 80, " \
	"protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]}\n"

static void test_parents_that_share_a_name_are_told_apart(void **state)
{
	size_t n_times = 0;

	(void)state;
	assert_true(comes_again(
	    "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n"
	    "metadata: {name: epp}\n"
	    "spec: {controllerName: haproxy-epp.io/gateway-controller}\n"
	    GATEWAY("gw", "a") GATEWAY("gw", "b")
	    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
	    "metadata: {name: r, namespace: a}\nspec: {parentRefs: ["
	    "{name: gw, sectionName: http, port: 80},"
	    "{name: gw, namespace: b, sectionName: http, port: 80},"
	    "{name: gw, namespace: b, sectionName: http, port: 81},"
	    "{name: gw, namespace: b, sectionName: odd, port: 81}], rules: [{}]}\n", &n_times));
	assert_true(n_times >= 12);
}

/* ---- what changed is new ------------------------------------------------- */

static const char route[] =
    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
    "metadata: {name: r}\nspec: {parentRefs: [{name: gw}], rules: [{}]}\n";

static struct made made_with_route(void)
{
	const char *const texts[] = { manifest_class, manifest_gateway, route };

	return made_of(texts, 3);
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (text = strstr(text, what); text != NULL;
	     text = strstr(text + 1, what))
		n++;
	return n;
}

static void replace(char *text, const char *old, const char *new)
{
	char *at = strstr(text, old);

	assert_non_null(at);
	assert_int_equal(strlen(old), strlen(new));
	memcpy(at, new, strlen(new));
}

static void test_a_changed_status_has_a_new_time(void **state)
{
	static const char *const changes[][2] = {
		{ "status: \"True\"", "status: True  " },	/* the same */
		{ "status: \"True\"", "status: Unknow" },
		{ "status: \"True\"", "status: \"true\"" },
		{ "type: Accepted", "type: accepted" },
		{ TIME_TEXT, "2026-02-03T00:00:00Z" },	/* to come */
		{ TIME_TEXT, "1969-12-31T23:59:59Z" },
		{ TIME_TEXT, "2026-02-01 00:00:00Z" },
		{ time_key, "lastTransitionWhat: \"" },
		{ "name: \"epp\"", "name: \"eqq\"" },
		{ "kind: GatewayClass", "kind: GatewayClaas" },
		{ "apiVersion: gateway", "apiVersion: gatewax" },
	};
	struct made m = made_with_route();

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		struct buf first = first_written(&m.statuses), again;
		size_t n = count(first.data, TIME_TEXT);

		replace(first.data, changes[i][0], changes[i][1]);
		again = written_after(&m.statuses, first.data);
		assert_true(n > 5);
		assert_int_equal(count(again.data, TIME_TEXT), n - (i > 0));
		assert_int_equal(count(again.data, "2026-02-02T00:00:00Z"),
		    i > 0);
		buf_fini(&again);
		buf_fini(&first);
	}
	made_free(&m);
}

/* An older version of the API's, other fields, another order: the times are there. */
static void test_an_older_form_is_read(void **state)
{
	static const char old[] =
	    "kind: HTTPRoute\napiVersion: gateway.networking.k8s.io/v1beta1\n"
	    "status:\n  later: [{}, [], x]\n  parents:\n"
	    "  - conditions: [{lastTransitionTime: 2026-02-01T00:00:00.5Z, "
	    "status: 'True', type: Accepted}, 7]\n"
	    "    parentRef: {name: gw, group: gateway.networking.k8s.io, "
	    "kind: Gateway}\n  - 8\nmetadata: {namespace: default, name: r}\n";
	struct made m = made_with_route();
	struct buf again = written_after(&m.statuses, old);

	(void)state;
	assert_int_equal(count(again.data, TIME_TEXT), 1);
	buf_fini(&again);
	made_free(&m);
}

/* ---- what is no status file ---------------------------------------------- */

/* Times are the old one or the new one; the rest is what it is without any file. */
static void assert_sane(const struct statuses *all, const char *text)
{
	struct buf want = first_written(all);
	struct buf got = written_after(all, text);

	for (char *at = next_time(got.data); at != NULL; at = next_time(at)) {
		assert_true(memcmp(at, TIME_TEXT, sizeof(TIME_TEXT) - 1) == 0 ||
		    memcmp(at, "2026-02-02T00:00:00Z", 20) == 0);
		memcpy(at, TIME_TEXT, sizeof(TIME_TEXT) - 1);
	}
	assert_string_equal(got.data, want.data);
	buf_fini(&want);
	buf_fini(&got);
}

static void test_a_cut_or_broken_file_does_no_harm(void **state)
{
	struct made m = made_with_route();
	struct buf first = first_written(&m.statuses);

	(void)state;
	for (size_t i = 0; i + 1 < first.len; i++) {
		char kept = first.data[i];

		first.data[i] = '\0';
		assert_sane(&m.statuses, first.data);
		first.data[i] = "\n:-[{\"*&"[i % 8];
		assert_sane(&m.statuses, first.data);
		first.data[i] = kept;
	}
	assert_sane(&m.statuses, "\xff\xfe{]");
	assert_sane(&m.statuses, "[[[[");
	assert_sane(&m.statuses, "status: {conditions: {a: b}}\n---\n- 1\n");
	buf_fini(&first);
	made_free(&m);
}

/* ---- files --------------------------------------------------------------- */

struct folder {
	char dir[64], path[96];
};

static struct folder make_folder(void)
{
	struct folder f = { .dir = "/tmp/test_status.XXXXXX" };

	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/status.yaml", f.dir);
	return f;
}

static void put_file(const struct folder *f, const char *text, size_t len)
{
	FILE *file = fopen(f->path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static int read_file(const struct statuses *all, const struct folder *f,
    struct buf *again)
{
	struct status_since *since = status_since_new();
	int err = status_read(all, f->path, LATER_S, since);

	*again = written(all, since, LATER_S);
	status_since_free(since);
	return err;
}

static void remove_folder(const struct folder *f)
{
	unlink(f->path);
	assert_int_equal(rmdir(f->dir), 0);
}

enum { ROUTES = 2000 };

/* Several hundred kilobytes are read in pieces: no condition is lost between two. */
static void test_a_large_file_is_read_in_pieces(void **state)
{
	struct folder f = make_folder();
	struct buf manifests, first, again;
	struct made m;

	(void)state;
	buf_init(&manifests, 1 << 20);
	for (int i = 0; i < ROUTES; i++)
		buf_printf(&manifests, "---\napiVersion: gateway.networking."
		    "k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r%d}\n"
		    "spec: {parentRefs: [{name: gw}], rules: [{}]}\n", i);
	buf_put(&manifests, "", 1);
	m = made_of((const char *const[]){ manifest_class, manifest_gateway,
	    manifests.data }, 3);
	first = first_written(&m.statuses);
	assert_true(spread_times(first.data) > 2 * ROUTES);
	assert_true(first.len > 512 << 10);
	put_file(&f, first.data, first.len - 1);
	assert_int_equal(read_file(&m.statuses, &f, &again), 0);
	assert_string_equal(again.data, first.data);
	buf_fini(&again);

	/* One that is broken costs its piece; those before and behind are read. */
	replace(first.data, "kind: HTTPRoute\n", "kind: *TTPRoute\n");
	put_file(&f, first.data, first.len - 1);
	assert_int_equal(read_file(&m.statuses, &f, &again), -EINVAL);
	assert_true(count(again.data, "2026-02-02T00:00:00Z") > 2);
	assert_true(count(again.data, "2026-02-02T00:00:00Z") < ROUTES);
	buf_fini(&again);
	buf_fini(&first);
	buf_fini(&manifests);
	made_free(&m);
	remove_folder(&f);
}

static void test_what_is_no_file_of_ours_is_told(void **state)
{
	struct made m = made_with_route();
	struct folder f = make_folder();
	char *large = malloc(2 << 20);
	struct buf again;

	(void)state;
	assert_int_equal(read_file(&m.statuses, &f, &again), -ENOENT);
	assert_int_equal(count(again.data, TIME_TEXT), 0);
	buf_fini(&again);
	put_file(&f, "", 0);
	assert_int_equal(read_file(&m.statuses, &f, &again), 0);
	buf_fini(&again);
	/* A document without an end is not read to it. */
	memset(large, 'a', 2 << 20);
	put_file(&f, large, 2 << 20);
	assert_int_equal(read_file(&m.statuses, &f, &again), -EINVAL);
	buf_fini(&again);
	free(large);
	unlink(f.path);
	assert_int_equal(mkfifo(f.path, 0600), 0);
	assert_int_equal(read_file(&m.statuses, &f, &again), -EINVAL);
	buf_fini(&again);
	remove_folder(&f);
	made_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_condition_keeps_its_own_time),
		cmocka_unit_test(test_parents_that_share_a_name_are_told_apart),
		cmocka_unit_test(test_a_changed_status_has_a_new_time),
		cmocka_unit_test(test_an_older_form_is_read),
		cmocka_unit_test(test_a_cut_or_broken_file_does_no_harm),
		cmocka_unit_test(test_a_large_file_is_read_in_pieces),
		cmocka_unit_test(test_what_is_no_file_of_ours_is_told),
	};

	return cmocka_run_group_tests_name("status_read", tests, NULL, NULL);
}
