#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "fault.h"
#include "fuzz.h"
#include "must.h"
#include "yaml.h"

static size_t count(const struct conf *c)
{
	size_t n = 0;

	must((c->text != NULL) == (c->type == CONF_SCALAR));
	for (const struct conf *k = c->children; k != NULL; k = k->next) {
		must((k->key != NULL) == (c->type == CONF_MAP));
		count(k);
		n++;
	}
	must(n == c->n_children);
	return n;
}

static bool on_document(void *data, const struct conf *root,
    struct conf_place place)
{
	unsigned *last = data;

	must(place.document >= *last);
	*last = place.document;
	count(root);
	return true;
}

/* A tree that agrees with itself, or a fault; never both. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(4096, 64 << 20);
	struct fault why = { 0 };
	unsigned last = 0;
	int err;
	const struct conf *root = yaml_parse("fuzz",
	    (struct span){ (const char *)data, size }, &yaml_limits_default,
	    arena, &why);

	must((root == NULL) == why.is_set);
	if (root != NULL)
		count(root);
	arena_free(arena);
	why = (struct fault){ 0 };
	err = yaml_each("fuzz", (struct span){ (const char *)data, size },
	    &yaml_limits_default, on_document, &last, &why);
	must((err != 0) == why.is_set);
	return 0;
}
