/*
 * test_translate.c - what is put ahead of the whole is a part of the whole
 *
 * Routes are added, changed and taken away at random, some with wildcards or without a
 * hostname, over listeners that overlap. Whatever translate_ahead() makes of a change,
 * translate() makes from scratch too, byte for byte; and of the hostnames that changed
 * nothing is left out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "help_manifest.h"
#include "hostname.h"
#include "output.h"
#include "rendered.h"
#include "rng.h"
#include "translate.h"

enum { ROUNDS = 600, FILES = 24 };

static const char rest[] =
    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n"
    "metadata: {name: gw}\nspec:\n  gatewayClassName: epp\n  listeners:\n"
    "  - {name: any, port: 80, protocol: HTTP}\n"
    "  - {name: org, port: 80, protocol: HTTP, hostname: \"*.a.org\"}\n"
    "  - {name: one, port: 80, protocol: HTTP, hostname: b.a.org}\n"
    "  - {name: other, port: 81, protocol: HTTP}\n---\n"
    "apiVersion: v1\nkind: Service\nmetadata: {name: s1}\n"
    "spec: {ports: [{port: 80}]}\n---\n"
    "apiVersion: v1\nkind: Service\nmetadata: {name: s2}\n"
    "spec: {ports: [{port: 80}]}\n";

static const char *const hosts[] = { "b.a.org", "c.a.org", "d.c.a.org",
	"e.org", "f.org", "g.org", "*.a.org", "*.c.a.org" };
static const char *const paths[] = { "/", "/a", "/a/b", "/c" };
enum { N_HOSTS = sizeof(hosts) / sizeof(*hosts), N_PLAIN = 6, N_PATHS = 4 };

static void put(struct store *s, unsigned file, const char *text)
{
	struct fault why = { 0 };
	char name[32], said[1400];

	snprintf(name, sizeof(name), "%u.yaml", file);
	if (store_put_text(s, name, span_of(text), &why) != 0)
		fail_msg("%s\n%s", fault_text(&why, said, sizeof(said)), text);
}

static void put_match(struct buf *b, struct rng *rng, bool is_grpc,
    bool is_conditional)
{
	buf_puts(b, "  - matches:\n");
	if (is_grpc)
		buf_printf(b, "    - method: {service: s%u, method: m}\n%s",
		    (unsigned)rng_below(rng, 3), is_conditional ?
		    "      headers: [{name: x, value: y}]\n" : "");
	else
		buf_printf(b, "    - path: {type: %s, value: %s}\n%s",
		    rng_below(rng, 4) == 0 ? "Exact" : "PathPrefix",
		    paths[rng_below(rng, N_PATHS)], is_conditional ?
		    "      method: GET\n" : "");
}

static void put_rule(struct buf *b, struct rng *rng, bool is_grpc)
{
	put_match(b, rng, is_grpc, rng_below(rng, 40) == 0);
	if (rng_below(rng, 3) == 0)
		buf_printf(b, "    filters:\n    - type: RequestHeaderModifier\n"
		    "      requestHeaderModifier: {set: [{name: x, value: "
		    "\"%u\"}]}\n", (unsigned)rng_below(rng, 3));
	buf_printf(b, "    backendRefs:\n    - {name: s1, port: 80, weight: "
	    "%u}\n", (unsigned)rng_below(rng, 3));
	if (rng_below(rng, 2) == 0)
		buf_puts(b, "    - {name: s2, port: 80}\n");
}

/* A route, or nothing where there was one. Plain hostnames mostly. */
static void change(struct store *s, struct rng *rng)
{
	unsigned file = (unsigned)rng_below(rng, FILES);
	size_t n_hosts = rng_below(rng, 30) == 0 ? 0 : 1 + rng_below(rng, 2);
	bool is_wild = rng_below(rng, 12) == 0;
	bool is_grpc = file % 6 == 0;
	struct buf b;

	buf_init(&b, 1 << 16);
	if (rng_below(rng, 5) > 0) {
		buf_printf(&b, "apiVersion: gateway.networking.k8s.io/v1\n"
		    "kind: %sRoute\nmetadata: {name: r%u}\nspec:\n"
		    "  parentRefs: [{name: gw}]\n", is_grpc ? "GRPC" : "HTTP",
		    file);
		buf_printf(&b, "%s", n_hosts > 0 ? "  hostnames:\n" : "");
		for (size_t i = 0; i < n_hosts; i++)
			buf_printf(&b, "  - \"%s\"\n", hosts[rng_below(rng,
			    is_wild ? N_HOSTS : N_PLAIN)]);
		buf_puts(&b, "  rules:\n");
		for (uint32_t i = 1 + rng_below(rng, 2); i-- > 0;)
			put_rule(&b, rng, is_grpc);
	}
	buf_put(&b, "", 1);
	put(s, file, b.data);
	buf_fini(&b);
}

/* ---- the property -------------------------------------------------------- */

static void assert_is_part(const struct output *part,
    const struct output *whole)
{
	for (size_t m = 0; m < OUTPUT_N_MAPS; m++)
		for (size_t i = 0; i < part->maps[m].n; i++) {
			const struct output_entry *e = &part->maps[m].items[i];
			const char *value = rendered_value(whole, m, e->key);

			if (value == NULL || strcmp(value, e->value) != 0)
				fail_msg("%s: %s is %s ahead, %s in the whole",
				    output_map_files[m], e->key, e->value,
				    value != NULL ? value : "not there");
		}
	for (size_t i = 0; i < part->sections.n; i++) {
		const struct output_section *s = &part->sections.items[i];
		const struct output_section *has = output_backend(whole,
		    s->name);

		if (*s->name == '\0')
			continue;
		assert_non_null(has);
		assert_int_equal(s->end - s->start, has->end - has->start);
		assert_memory_equal(part->text.data + s->start,
		    whole->text.data + has->start, s->end - s->start);
	}
}

static bool is_changed(const struct store *store, const char *host)
{
	struct objects changed;

	assert_true(store_changes(store, &changed));
	for (size_t i = 0; i < changed.n; i++) {
		const struct route *r = (const void *)changed.items[i];

		for (size_t k = 0; k < r->n_hostnames; k++)
			if (strcmp(r->hostnames[k], host) == 0)
				return true;
	}
	return false;
}

/* Of those hosts that changed, the hosts and all paths of theirs. */
static void assert_is_all(const struct store *store, const struct output *part,
    const struct output *whole)
{
	const struct output_map *all = &whole->maps[MAP_HOST];

	for (size_t i = 0; i < all->n; i++) {
		const char *group = all->items[i].value;
		size_t len = strlen(group);

		if (!is_changed(store, strchr(all->items[i].key, '|') + 1))
			continue;
		assert_non_null(rendered_value(part, MAP_HOST,
		    all->items[i].key));
		for (size_t m = MAP_EXACT; m <= MAP_PREFIX; m++)
			for (size_t k = 0; k < whole->maps[m].n; k++) {
				const char *key = whole->maps[m].items[k].key;

				if (strncmp(key, group, len) == 0 &&
				    key[len] == '/')
					assert_non_null(rendered_value(part, m,
					    key));
			}
	}
}

static bool is_plain(const struct store *store)
{
	struct objects changed;

	if (!store_changes(store, &changed))
		return false;
	for (size_t i = 0; i < changed.n; i++) {
		const struct route *r = (const void *)changed.items[i];

		if (r->n_hostnames == 0)
			return false;
		for (size_t k = 0; k < r->n_hostnames; k++)
			if (r->hostnames[k][0] == '*')
				return false;
	}
	return changed.n > 0;
}

static bool has_grpc(const struct store *store)
{
	struct objects changed;
	bool any = false;

	store_changes(store, &changed);
	for (size_t i = 0; i < changed.n; i++)
		any |= changed.items[i]->kind == KIND_GRPC_ROUTE;
	return any;
}

static void test_what_is_ahead_is_what_the_whole_says(void **state)
{
	struct render_options options = render_defaults;
	struct store *store = store_new();
	struct rng rng = { 5 };
	size_t n_ahead = 0, n_whole = 0, n_grpc = 0;

	(void)state;
	put(store, 1000, manifest_class);
	put(store, 1001, rest);
	store_forget_changes(store);
	for (int i = 0; i < ROUNDS; i++) {
		struct translation t;
		struct output *part;

		for (uint32_t k = 1 + rng_below(&rng, 3); k-- > 0;)
			change(store, &rng);
		part = translate_ahead(store, "example.com/epp", &options);
		assert_int_equal(translate(store, "example.com/epp", &options,
		    &t), 0);
		if (part != NULL) {
			assert_true(is_plain(store));
			assert_is_part(part, t.output);
			assert_is_all(store, part, t.output);
		}
		n_ahead += part != NULL;
		n_whole += part == NULL;
		n_grpc += part != NULL && has_grpc(store);
		output_free(part);
		translation_free(&t);
		store_forget_changes(store);
		store_sweep(store);
	}
	/* Both ways were gone, with both kinds. */
	assert_true(n_ahead > ROUNDS / 4);
	assert_true(n_whole > ROUNDS / 20);
	assert_true(n_grpc > ROUNDS / 20);
	store_free(store);
}

static void test_only_plain_routes_are_put_ahead(void **state)
{
	struct render_options options = render_defaults;
	struct store *store = store_new();

	(void)state;
	put(store, 1000, manifest_class);
	put(store, 1001, rest);
	assert_null(translate_ahead(store, "example.com/epp", &options));
	store_forget_changes(store);
	assert_null(translate_ahead(store, "example.com/epp", &options));
	put(store, 1001, rest);
	assert_null(translate_ahead(store, "example.com/epp", &options));
	store_free(store);
}

/* Their strings are gone with the sweep. */
static void test_changes_that_were_swept_are_too_many_to_tell(void **state)
{
	struct store *store = store_new();
	struct objects changed;

	(void)state;
	put(store, 1, manifest_class);
	assert_true(store_changes(store, &changed));
	assert_int_equal(changed.n, 1);
	put(store, 1, manifest_class);
	store_sweep(store);
	assert_false(store_changes(store, &changed));
	store_forget_changes(store);
	assert_true(store_changes(store, &changed));
	assert_int_equal(changed.n, 0);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_ahead_is_what_the_whole_says),
		cmocka_unit_test(test_only_plain_routes_are_put_ahead),
		cmocka_unit_test(
		    test_changes_that_were_swept_are_too_many_to_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
